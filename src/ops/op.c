/* Ops: made with defaults, set field by field, checked once. */
#include "ops/internal.h"

#include <string.h>

static const char *field_name(const void *ctx, size_t i) {
    return ((const op_desc *)ctx)->fields[i].name;
}

/* ---- making -------------------------------------------------------------------------------------------- */

static void set_default(aic_arena *a, op *o, const op_field *f) {
    void *at = op_member(o, f);
    switch (f->type) {
    case OP_F_U32:
        *(uint32_t *)at = (uint32_t)f->def;
        break;
    case OP_F_U32_OR_NULL:
        *(int64_t *)at = -1;
        break;
    case OP_F_I64:
        *(int64_t *)at = (int64_t)f->def;
        break;
    case OP_F_F64:
        *(double *)at = f->def;
        break;
    case OP_F_BOOL:
        *(bool *)at = f->def != 0.0;
        break;
    case OP_F_TEXT:
        *(const char **)at = f->def_text;
        break;
    case OP_F_TEXTS:
        if (f->def_text) {
            const char **one = aic_arena_alloc(a, 1, sizeof *one);
            one[0] = f->def_text;
            *(op_texts *)at = (op_texts){1, one};
        }
        break;
    case OP_F_QUANT:
        *(pdb_quant *)at = f->def_text ? pdb_quant_parse(f->def_text, f->quant_kind) : PDB_Q_UNSET;
        break;
    case OP_F_CHOICE:
        *(int *)at = (int)f->def;
        break;
    case OP_F_QUANTS_OR_NULL:
    case OP_F_OP:
    case OP_F_OPS:
        break; /* zeroed memory: none */
    }
}

op *op_new(aic_arena *a, const char *kind, aic_error *err) {
    const op_desc *d = op_desc_find(kind);
    if (!d) {
        const char *near = op_kinds_nearest(NULL, kind);
        aic_fail(err, AIC_BAD_INPUT, "unknown op kind \"%s\"%s%s%s", kind, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
        return NULL;
    }
    return op_make(a, d);
}

op *op_make(aic_arena *a, const op_desc *d) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    o->desc = d;
    o->name = "";
    o->repeat = 1.0;
    o->params = aic_arena_alloc(a, 1, d->params_size);
    for (size_t i = 0; i < d->n_fields; i++)
        set_default(a, o, &d->fields[i]);
    return o;
}

/* ---- setting ------------------------------------------------------------------------------------------- */

static bool wrong_type(aic_error *err, const op *o, const char *field, const char *expected,
                       const aic_value *v) {
    return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\": expected %s, found %s", o->desc->kind, field,
                    expected, aic_vtype_name(v->type));
}

static bool check_u32(const op *o, const op_field *f, const aic_value *v, aic_error *err) {
    if (v->type != AIC_V_INT)
        return wrong_type(err, o, f->name, "an integer", v);
    if (v->u.i < 0 || v->u.i > UINT32_MAX)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s field \"%s\": expected an integer from 0 to 4294967295, found %lld",
                        o->desc->kind, f->name, (long long)v->u.i);
    return true;
}

static bool set_u32(const op *o, const op_field *f, const aic_value *v, void *at, aic_error *err) {
    if (!check_u32(o, f, v, err))
        return false;
    *(uint32_t *)at = (uint32_t)v->u.i;
    return true;
}

static bool set_u32_or_null(const op *o, const op_field *f, const aic_value *v, void *at, aic_error *err) {
    bool null = v->type == AIC_V_NULL;
    if (!null && !check_u32(o, f, v, err))
        return false;
    *(int64_t *)at = null ? -1 : v->u.i;
    return true;
}

static bool is_finite(double v) {
    return v - v == 0.0;
}

static bool set_f64(const op *o, const char *field, const aic_value *v, void *at, aic_error *err) {
    double r;
    if (!aic_as_real(v, &r))
        return wrong_type(err, o, field, "a number", v);
    if (!is_finite(r))
        return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\": expected a finite number", o->desc->kind,
                        field);
    *(double *)at = r;
    return true;
}

static bool set_text(aic_arena *a, const op *o, const op_field *f, const aic_value *v, void *at,
                     aic_error *err) {
    if (v->type == AIC_V_NULL && !f->required && !f->def_text) {
        *(const char **)at = NULL;
        return true;
    }
    if (v->type != AIC_V_STR)
        return wrong_type(err, o, f->name, "text", v);
    *(const char **)at = aic_arena_strdup(a, v->u.s);
    return true;
}

static bool set_texts(aic_arena *a, const op *o, const op_field *f, const aic_value *v, void *at,
                      aic_error *err) {
    if (v->type != AIC_V_LIST)
        return wrong_type(err, o, f->name, "a list of texts", v);
    const aic_list *list = v->u.list;
    const char **items = aic_arena_alloc(a, list->count, sizeof *items);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].type != AIC_V_STR)
            return wrong_type(err, o, f->name, "a list of texts", &list->items[i]);
        items[i] = aic_arena_strdup(a, list->items[i].u.s);
    }
    *(op_texts *)at = (op_texts){list->count, items};
    return true;
}

static bool set_quant(const op *o, const op_field *f, const aic_value *v, pdb_quant *at, aic_error *err) {
    if (v->type != AIC_V_STR)
        return wrong_type(err, o, f->name, "the name of a mode", v);
    pdb_quant q = pdb_quant_parse(v->u.s, f->quant_kind);
    if (q == PDB_Q_UNSET)
        return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\": unknown %s mode \"%s\"; known: %s",
                        o->desc->kind, f->name, pdb_quant_kind_name(f->quant_kind), v->u.s,
                        pdb_quant_names(f->quant_kind));
    *at = q;
    return true;
}

static size_t member_count(const op_field *f) {
    size_t n = 0;
    while (f->choices[n])
        n++;
    return n;
}

static bool set_quants(const op *o, const op_field *f, const aic_value *v, pdb_quant *at, aic_error *err) {
    size_t n = member_count(f);
    if (v->type == AIC_V_NULL) {
        memset(at, 0, n * sizeof *at);
        return true;
    }
    if (v->type != AIC_V_LIST)
        return wrong_type(err, o, f->name, "a list of modes", v);
    if (v->u.list->count != n)
        return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\": expected %zu modes, found %zu", o->desc->kind,
                        f->name, n, v->u.list->count);
    for (size_t i = 0; i < n; i++)
        if (!set_quant(o, f, &v->u.list->items[i], &at[i], err))
            return false;
    return true;
}

static bool set_choice(const op *o, const op_field *f, const aic_value *v, void *at, aic_error *err) {
    if (v->type != AIC_V_STR)
        return wrong_type(err, o, f->name, "text", v);
    aic_buf known = {0};
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], v->u.s) == 0) {
            *(int *)at = i;
            aic_buf_free(&known);
            return true;
        }
        aic_buf_printf(&known, "%s%s", i ? ", " : "", f->choices[i]);
    }
    aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\": expected one of %s, found \"%s\"", o->desc->kind, f->name,
             known.data, v->u.s);
    aic_buf_free(&known);
    return false;
}

static bool set_field(aic_arena *a, op *o, const op_field *f, const aic_value *v, aic_error *err) {
    void *at = op_member(o, f);
    switch (f->type) {
    case OP_F_U32:
        return set_u32(o, f, v, at, err);
    case OP_F_U32_OR_NULL:
        return set_u32_or_null(o, f, v, at, err);
    case OP_F_I64:
        if (v->type != AIC_V_INT)
            return wrong_type(err, o, f->name, "an integer", v);
        *(int64_t *)at = v->u.i;
        return true;
    case OP_F_F64:
        return set_f64(o, f->name, v, at, err);
    case OP_F_BOOL:
        if (v->type != AIC_V_BOOL)
            return wrong_type(err, o, f->name, "true or false", v);
        *(bool *)at = v->u.b;
        return true;
    case OP_F_TEXT:
        return set_text(a, o, f, v, at, err);
    case OP_F_TEXTS:
        return set_texts(a, o, f, v, at, err);
    case OP_F_QUANT:
        return set_quant(o, f, v, at, err);
    case OP_F_QUANTS_OR_NULL:
        return set_quants(o, f, v, at, err);
    case OP_F_CHOICE:
        return set_choice(o, f, v, at, err);
    case OP_F_OP:
    case OP_F_OPS:
        break;
    }
    return wrong_type(err, o, f->name, "ops", v);
}

static const op_field *find_field(const op *o, const char *field, aic_error *err) {
    const op_desc *d = o->desc;
    for (size_t i = 0; i < d->n_fields; i++)
        if (strcmp(d->fields[i].name, field) == 0)
            return &d->fields[i];
    const char *near = aic_nearest(field, d->n_fields, field_name, d);
    aic_fail(err, AIC_BAD_INPUT, "%s has no field \"%s\"%s%s%s", d->kind, field,
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static void mark_given(op *o, const op_field *f) {
    o->given |= UINT64_C(1) << (f - o->desc->fields);
}

bool op_set(aic_arena *a, op *o, const char *field, const aic_value *v, aic_error *err) {
    if (strcmp(field, "name") == 0) {
        if (v->type != AIC_V_STR)
            return wrong_type(err, o, field, "text", v);
        o->name = aic_arena_strdup(a, v->u.s);
        return true;
    }
    if (strcmp(field, "scale_factor") == 0 && !o->desc->composite)
        return set_f64(o, field, v, &o->repeat, err);
    const op_field *f = find_field(o, field, err);
    if (!f || !set_field(a, o, f, v, err))
        return false;
    mark_given(o, f);
    return true;
}

bool op_set_members(op *o, const char *field, const op_list *members, aic_error *err) {
    const op_field *f = find_field(o, field, err);
    if (!f)
        return false;
    if (f->type == OP_F_OPS)
        *(op_list *)op_member(o, f) = *members;
    else if (f->type == OP_F_OP && members->count == 1)
        *(op **)op_member(o, f) = members->items[0];
    else if (f->type == OP_F_OP)
        return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\" takes exactly one op, found %zu", o->desc->kind,
                        field, members->count);
    else
        return aic_fail(err, AIC_BAD_INPUT, "%s field \"%s\" takes a value, not ops", o->desc->kind, field);
    mark_given(o, f);
    return true;
}

/* ---- checking ------------------------------------------------------------------------------------------ */

bool op_finish(op *o, aic_error *err) {
    const op_desc *d = o->desc;
    if (!o->name[0])
        return aic_fail(err, AIC_BAD_INPUT, "%s: field \"name\" is missing or empty", d->kind);
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].required && !(o->given >> i & 1))
            return aic_fail(err, AIC_BAD_INPUT, "%s \"%s\": required field \"%s\" is missing", d->kind,
                            o->name, d->fields[i].name);
    if (!(o->repeat >= 0.0) || !is_finite(o->repeat))
        return aic_fail(err, AIC_BAD_INPUT, "%s \"%s\": scale_factor must be a number >= 0", d->kind,
                        o->name);
    return !d->check || d->check(o, err);
}

double op_weight_bytes(const op *o) {
    return o->desc->weight_bytes ? o->desc->weight_bytes(o) * o->repeat : 0.0;
}

static unsigned list_reads(const op_list *list) {
    unsigned reads = 0;
    for (size_t i = 0; i < list->count; i++)
        reads |= op_reads(list->items[i]);
    return reads;
}

unsigned op_reads(const op *o) {
    unsigned reads = o->desc->reads;
    for (size_t i = 0; i < o->desc->n_fields; i++) {
        const op_field *f = &o->desc->fields[i];
        if (f->type == OP_F_OPS)
            reads |= list_reads(op_member(o, f));
        else if (f->type == OP_F_OP && *(op *const *)op_member(o, f))
            reads |= op_reads(*(op *const *)op_member(o, f));
    }
    return reads;
}

bool op_is_logits(const op *o) {
    return o->desc == &op_desc_gemm && strstr(o->name, "logits_gemm") != NULL;
}
