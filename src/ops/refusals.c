/* Why an op cannot answer: texts that name op, table, key and what is measured instead, and no workload
 * figures. */
#include "ops/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

op_class op_refuse_op(op_refusal *why, const op *o, op_class cls, const char *fmt, ...) {
    if (!why)
        return cls;
    why->cls = cls;
    int n = snprintf(why->text, sizeof why->text, "%s (%s): ", o->name, o->desc->kind);
    if (n < 0 || (size_t)n >= sizeof why->text)
        return cls;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text + n, sizeof why->text - (size_t)n, fmt, ap);
    va_end(ap);
    return cls;
}

op_class op_refuse_flops(op_refusal *why, const op *o, const pdb_system *sys, pdb_quant q) {
    const pdb_quant_info *info = pdb_quant_get(q);
    if (info->dtype == PDB_DTYPE_NONE)
        return op_refuse_op(why, o, OP_NO_FLOPS, "mode %s is for memory only and computes nothing",
                            info->name);
    return op_refuse_op(
        why, o, OP_NO_FLOPS,
        "mode %s needs gpu.%s, which the spec sheet of %s lacks: the hardware has no such unit, "
        "or the sheet is incomplete (docs/model/modes.md)",
        info->name, pdb_dtype_key(info->dtype), sys->name);
}

op_class op_refuse_miss(op_refusal *why, const op_bound *b, const pdb_schema *schema, pdb_miss miss,
                        const char *about, const char *page) {
    if (!why)
        return OP_MISSING;
    const pdb_view *v = b->view;
    return op_refuse_op(why, b->op, OP_MISSING,
                        "%s of %s/%s/%s cannot answer this shape at %s: %s (docs/model/%s.md)", schema->table,
                        v->system->name, v->backend, v->version, about, pdb_miss_text(miss), page);
}

op_class op_refuse_basis(op_refusal *why, const op_bound *b, const pdb_schema *schema, const char *about) {
    const pdb_view *v = b->view;
    return op_refuse_op(
        why, b->op, OP_NO_EMPIRICAL,
        "%s of %s/%s/%s%s holds nothing to calibrate an estimate from for %s, nor for what the "
        "transfer policy lets stand in (docs/model/modes.md)",
        schema->table, v->system->name, v->backend, v->version, v->shared ? "" : " (own rows only)", about);
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

void op_key_text(op_key *k, const pdb_view *view, const char *text) {
    uint64_t id = pdb_text_id(view, text);
    k->text[k->n] = text;
    k->value[k->n++] = id || !text[0] ? id : UINT64_MAX;
}

void op_key_int(op_key *k, uint64_t value) {
    k->text[k->n] = NULL;
    k->value[k->n++] = value;
}

const pdb_table *op_table(const op_bound *b, const pdb_schema *schema, const char *page, op_refusal *why) {
    const char *reason = NULL;
    const pdb_table *t = pdb_table_get(b->view, schema, &reason);
    if (!t)
        op_refuse_op(why, b->op, OP_MISSING, "%s/%s/%s: %s (docs/model/%s.md)", b->view->system->name,
                     b->view->backend, b->view->version, reason, page);
    return t;
}

const pdb_table *op_bind_table(op_binder *binder, op_bound *b, const pdb_schema *schema, const char *page) {
    op_refusal why;
    const pdb_table *t = op_table(b, schema, page, &why);
    if (!t)
        op_bind_refuse(binder, b, &why);
    return t;
}

/* Text that stops growing when full. */
typedef struct line {
    char *at;
    size_t room;
} line;

static void line_add(line *l, const char *fmt, ...) AIC_PRINTF(2, 3);
static void line_add(line *l, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->at, l->room, fmt, ap);
    va_end(ap);
    if (n > 0) {
        size_t used = (size_t)n < l->room ? (size_t)n : l->room - 1;
        l->at += used;
        l->room -= used;
    }
}

static bool matches(const pdb_slice *s, const op_key *k, int from, int to) {
    for (int c = from; c < to; c++)
        if (s->cat[c] != k->value[c])
            return false;
    return true;
}

static bool any_matches(const pdb_table *t, const op_key *k, int from, int to) {
    for (size_t i = 0; i < pdb_slice_count(t); i++)
        if (matches(pdb_slice_at(t, i), k, from, to))
            return true;
    return false;
}

static void add_value(line *l, const pdb_view *view, const pdb_schema *schema, int c, uint64_t value) {
    if (!schema->cats[c].text)
        line_add(l, "%" PRIu64, value);
    else
        line_add(l, "%s", value ? pdb_text(view, value) : "(none)");
}

/* Distinct values of category c among slices that match the key before it, in first-encounter order. */
static void add_measured(line *l, const op_bound *b, const pdb_schema *schema, const pdb_table *t,
                         const op_key *k, int skip, int c) {
    enum { MOST = 16 };
    uint64_t seen[MOST];
    int n = 0;
    for (size_t i = 0; i < pdb_slice_count(t) && n < MOST; i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        bool known = !matches(s, k, skip, c);
        for (int j = 0; j < n && !known; j++)
            known = seen[j] == s->cat[c];
        if (known)
            continue;
        line_add(l, "%s", n ? ", " : "");
        add_value(l, b->view, schema, c, s->cat[c]);
        seen[n++] = s->cat[c];
    }
    if (n == MOST)
        line_add(l, ", ...");
}

op_class op_refuse_key(op_refusal *why, const op_bound *b, const pdb_schema *schema, const pdb_table *t,
                       const op_key *k, int skip, const char *page) {
    int c = skip;
    while (c < k->n - 1 && any_matches(t, k, skip, c + 1))
        c++;
    char key[400];
    line l = {key, sizeof key};
    key[0] = '\0';
    line_add(&l, "no rows with %s ", schema->cats[c].column);
    if (k->text[c])
        line_add(&l, "%s", k->text[c]);
    else
        line_add(&l, "%" PRIu64, k->value[c]);
    for (int i = skip; i < c; i++) {
        line_add(&l, "%s%s=", i == skip ? " at " : ", ", schema->cats[i].column);
        add_value(&l, b->view, schema, i, k->value[i]);
    }
    line_add(&l, "; measured: ");
    add_measured(&l, b, schema, t, k, skip, c);
    return op_refuse_op(why, b->op, OP_MISSING, "%s of %s/%s/%s has %s (docs/model/%s.md)", schema->table,
                        b->view->system->name, b->view->backend, b->view->version, key, page);
}
