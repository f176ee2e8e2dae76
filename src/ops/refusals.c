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

static void add_value(line *l, const pdb_view *view, const pdb_schema *schema, int c, uint64_t value) {
    if (!schema->cats[c].text)
        line_add(l, "%" PRIu64, value);
    else
        line_add(l, "%s", value ? pdb_text(view, value) : "(none)");
}

/* What identifies a refusal by key, and all that its text is made from. */
typedef struct key_refusal {
    const pdb_schema *schema;
    const pdb_table *t;
    int64_t skip, n;
    uint64_t value[PDB_MAX_CATS];
    char text[PDB_MAX_CATS][48]; /* names that were asked for, "" for integers; longer ones are cut */
} key_refusal;

/* Distinct values of category c among slices that match the key before it, in first-encounter order. */
static void add_measured(line *l, const pdb_view *view, const key_refusal *r, const op_key *k, int c) {
    enum { MOST = 16 };
    const size_t before = (size_t)(c - r->skip);
    const uint64_t *part;
    int n = 0;
    for (size_t left = pdb_slice_parts(view, r->t, (int)r->skip, c + 1, &part); left > 0 && n < MOST;
         left--, part += before + 1) {
        if (before && memcmp(part, k->value + r->skip, before * sizeof *part) != 0)
            continue;
        line_add(l, "%s", n++ ? ", " : "");
        add_value(l, view, r->schema, c, part[before]);
    }
    if (n == MOST)
        line_add(l, ", ...");
}

static const void *build_key_text(const pdb_view *view, const void *identity, aic_arena *a,
                                  const char **why) {
    const key_refusal *r = identity;
    (void)why;
    op_key k = {.n = (int)r->n};
    memcpy(k.value, r->value, sizeof k.value);
    int skip = (int)r->skip, c = skip;
    while (c < k.n - 1 && pdb_slice_any(view, r->t, k.value, skip, c + 1))
        c++;
    char key[400];
    line l = {key, sizeof key};
    key[0] = '\0';
    line_add(&l, "no rows with %s ", r->schema->cats[c].column);
    if (r->text[c][0])
        line_add(&l, "%s", r->text[c]);
    else
        line_add(&l, "%" PRIu64, k.value[c]);
    for (int i = skip; i < c; i++) {
        line_add(&l, "%s%s=", i == skip ? " at " : ", ", r->schema->cats[i].column);
        add_value(&l, view, r->schema, i, k.value[i]);
    }
    line_add(&l, "; measured: ");
    add_measured(&l, view, r, &k, c);
    return aic_arena_strdup(a, key);
}

op_class op_refuse_key(op_refusal *why, const op_bound *b, const pdb_schema *schema, const pdb_table *t,
                       const op_key *k, int skip, const char *page) {
    static const char identity;
    key_refusal r = {.schema = schema, .t = t, .skip = skip, .n = k->n};
    for (int i = 0; i < k->n; i++) {
        r.value[i] = k->value[i];
        if (k->text[i])
            snprintf(r.text[i], sizeof r.text[i], "%s", k->text[i]);
    }
    /* Thousands of deployments lack the same rows: each text is made once. */
    const char *text = pdb_derived_keyed(b->view, &identity, &r, sizeof r, build_key_text, NULL);
    return op_refuse_op(why, b->op, OP_MISSING, "%s of %s/%s/%s has %s (docs/model/%s.md)", schema->table,
                        b->view->system->name, b->view->backend, b->view->version, text, page);
}
