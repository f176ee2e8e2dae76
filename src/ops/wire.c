/* Wire JSON of ops: {"Gemm": {"name": ..., "scale_factor": ..., fields}}. */
#include "ops/internal.h"

#include <string.h>

/* ---- reading ------------------------------------------------------------------------------------------- */

/* A scalar, or a list of scalars, as a value of the expression language. */
static bool to_value(aic_arena *a, const aic_node *n, aic_value *out, aic_error *err) {
    if (aic_node_scalar(n, out))
        return true;
    if (n->kind == AIC_K_MAP)
        return aic_node_fail(err, n, "expected a value or a list of values, found a mapping");
    aic_list *list = aic_arena_alloc(a, 1, sizeof *list);
    aic_value *items = aic_arena_alloc(a, n->count, sizeof *items);
    for (size_t i = 0; i < n->count; i++)
        if (n->items[i]->kind == AIC_K_LIST)
            return aic_node_fail(err, n->items[i], "expected a value, found a list");
        else if (!to_value(a, n->items[i], &items[i], err))
            return false;
    *list = (aic_list){n->count, items};
    *out = (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
    return true;
}

/* NULL: name, scale_factor, or a name that op_set refuses. */
static const op_field *find_field(const op_desc *d, const char *name) {
    for (size_t i = 0; i < d->n_fields; i++)
        if (strcmp(d->fields[i].name, name) == 0)
            return &d->fields[i];
    return NULL;
}

/* {"q": mode, "kv": mode, ...} as the list of its modes in the field's order. */
static bool record_to_value(aic_arena *a, const op_field *f, const aic_node *n, aic_value *out,
                            aic_error *err) {
    aic_list *list = aic_arena_alloc(a, 1, sizeof *list);
    aic_value *items = aic_arena_alloc(a, n->count, sizeof *items);
    while (f->choices[list->count]) {
        const aic_node *member = aic_map_get(n, f->choices[list->count]);
        if (!member)
            return aic_node_fail(err, n, "\"%s\" is missing", f->choices[list->count]);
        if (!to_value(a, member, &items[list->count++], err))
            return false;
    }
    if (list->count < n->count)
        return aic_node_fail(err, n, "expected %zu modes, found %zu", list->count, n->count);
    list->items = items;
    *out = (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
    return true;
}

static bool read_members(aic_arena *a, op *o, const char *field, op_ftype type, const aic_node *n,
                         aic_error *err) {
    op_list members = {0};
    op *one = NULL;
    if (type == OP_F_OPS) {
        if (!op_list_from_json(a, n, &members, err))
            return false;
    } else {
        one = op_from_json(a, n, err);
        if (!one)
            return false;
        members = (op_list){1, aic_arena_alloc(a, 1, sizeof one)};
        members.items[0] = one;
    }
    return op_set_members(o, field, &members, err);
}

static bool read_field(aic_arena *a, op *o, const char *field, const aic_node *n, aic_error *err) {
    const op_field *f = find_field(o->desc, field);
    if (f && (f->type == OP_F_OP || f->type == OP_F_OPS))
        return read_members(a, o, field, f->type, n, err);
    bool record = f && f->type == OP_F_QUANTS_OR_NULL && n->kind == AIC_K_MAP;
    aic_value v;
    aic_error inner = {0};
    if (!(record ? record_to_value(a, f, n, &v, err) : to_value(a, n, &v, err)))
        return false;
    if (!op_set(a, o, field, &v, &inner))
        return aic_node_fail(err, n, "%s", inner.text);
    return true;
}

op *op_from_json(aic_arena *a, const aic_node *n, aic_error *err) {
    if (n->kind != AIC_K_MAP || n->count != 1 || n->items[0]->kind != AIC_K_MAP) {
        aic_node_fail(err, n, "expected an op {\"Kind\": {fields}}");
        return NULL;
    }
    const aic_node *fields = n->items[0];
    aic_error inner = {0};
    op *o = op_new(a, n->keys[0]->text, &inner);
    if (!o) {
        aic_node_fail(err, n->keys[0], "%s", inner.text);
        return NULL;
    }
    for (size_t i = 0; i < fields->count; i++)
        if (!read_field(a, o, fields->keys[i]->text, fields->items[i], err))
            return NULL;
    bool scaled = o->desc->composite || aic_map_get(fields, "scale_factor");
    if (!scaled || !op_finish(o, &inner)) {
        aic_node_fail(err, fields, "%s", scaled ? inner.text : "required field \"scale_factor\" is missing");
        return NULL;
    }
    return o;
}

bool op_list_from_json(aic_arena *a, const aic_node *n, op_list *out, aic_error *err) {
    if (n->kind != AIC_K_LIST)
        return aic_node_fail(err, n, "expected a list of ops, found %s", aic_kind_name(n->kind));
    *out = (op_list){n->count, aic_arena_alloc(a, n->count, sizeof(op *))};
    for (size_t i = 0; i < n->count; i++) {
        out->items[i] = op_from_json(a, n->items[i], err);
        if (!out->items[i])
            return false;
    }
    return true;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static void write_texts(const op_texts *t, aic_buf *out) {
    aic_buf_add(out, "[");
    for (size_t i = 0; i < t->count; i++) {
        aic_buf_add(out, i ? ", " : "");
        aic_buf_json_string(out, t->items[i]);
    }
    aic_buf_add(out, "]");
}

static void write_ops(const op_list *ops, aic_buf *out) {
    aic_buf_add(out, "[");
    for (size_t i = 0; i < ops->count; i++) {
        aic_buf_add(out, i ? ", " : "");
        op_to_json(ops->items[i], out);
    }
    aic_buf_add(out, "]");
}

static void write_text(const char *text, aic_buf *out) {
    if (text)
        aic_buf_json_string(out, text);
    else
        aic_buf_add(out, "null");
}

static void write_u32_or_null(int64_t v, aic_buf *out) {
    if (v < 0)
        aic_buf_add(out, "null");
    else
        aic_buf_printf(out, "%lld", (long long)v);
}

static void write_quants(const op_field *f, const pdb_quant *q, aic_buf *out) {
    if (*q == PDB_Q_UNSET) {
        aic_buf_add(out, "null");
        return;
    }
    for (int i = 0; f->choices[i]; i++)
        aic_buf_printf(out, "%s\"%s\": \"%s\"", i ? ", " : "{", f->choices[i], pdb_quant_get(q[i])->name);
    aic_buf_add(out, "}");
}

static void write_field(const op *o, const op_field *f, aic_buf *out) {
    const void *at = op_member(o, f);
    switch (f->type) {
    case OP_F_U32:
        aic_buf_printf(out, "%lu", (unsigned long)*(const uint32_t *)at);
        break;
    case OP_F_U32_OR_NULL:
        write_u32_or_null(*(const int64_t *)at, out);
        break;
    case OP_F_I64:
        aic_buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case OP_F_F64:
        aic_buf_json_number(out, *(const double *)at);
        break;
    case OP_F_BOOL:
        aic_buf_add(out, *(const bool *)at ? "true" : "false");
        break;
    case OP_F_TEXT:
        write_text(*(const char *const *)at, out);
        break;
    case OP_F_TEXTS:
        write_texts(at, out);
        break;
    case OP_F_QUANT: {
        pdb_quant q = *(const pdb_quant *)at;
        write_text(q == PDB_Q_UNSET ? NULL : pdb_quant_get(q)->name, out);
        break;
    }
    case OP_F_QUANTS_OR_NULL:
        write_quants(f, at, out);
        break;
    case OP_F_CHOICE:
        write_text(f->choices[*(const int *)at], out);
        break;
    case OP_F_OP:
        op_to_json(*(op *const *)at, out);
        break;
    case OP_F_OPS:
        write_ops(at, out);
        break;
    }
}

void op_to_json(const op *o, aic_buf *out) {
    aic_buf_printf(out, "{\"%s\": {\"name\": ", o->desc->kind);
    aic_buf_json_string(out, o->name);
    if (!o->desc->composite) {
        aic_buf_add(out, ", \"scale_factor\": ");
        aic_buf_json_number(out, o->repeat);
    }
    for (size_t i = 0; i < o->desc->n_fields; i++) {
        aic_buf_printf(out, ", \"%s\": ", o->desc->fields[i].name);
        write_field(o, &o->desc->fields[i], out);
    }
    aic_buf_add(out, "}}");
}
