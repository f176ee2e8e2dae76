/* Declarations of measured kinds, read and checked whole (docs/formats/measured_op.md). */
#include "ops/measured_internal.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

typedef struct reader {
    aic_arena *arena;
    aic_error *err;
    measured_kind *k;
    op_field *fields;
} reader;

static bool is_word(const char *text) {
    if (!isalpha((unsigned char)text[0]) && text[0] != '_')
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return true;
}

static bool name_taken(const measured_kind *k, const char *name) {
    for (size_t i = 0; i < k->desc.n_fields; i++)
        if (strcmp(k->desc.fields[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < k->n_lets; i++)
        if (strcmp(k->lets[i].name, name) == 0)
            return true;
    for (int i = 0; i < k->schema.n_axes; i++)
        if (strcmp(k->axis[i], name) == 0)
            return true;
    return measured_reserved(name);
}

/* A new name: a word that means nothing else in this kind. */
static bool check_name(const reader *r, const aic_node *at, const char *name) {
    if (!is_word(name))
        return aic_node_fail(r->err, at, "\"%s\" is no name: letters, digits and _ after a letter", name);
    return !name_taken(r->k, name) ||
           aic_node_fail(r->err, at, "the name \"%s\" already means something here", name);
}

static bool check_list(const reader *r, const aic_node *n, const char *what, size_t most) {
    if (!n || n->kind != AIC_K_LIST || n->count == 0)
        return aic_node_fail(r->err, n, "%s: expected a list, found %s", what,
                             n ? aic_kind_name(n->kind) : "nothing");
    return n->count <= most || aic_node_fail(r->err, n, "%s: more than %zu entries", what, most);
}

static bool check_map(const reader *r, const aic_node *n, const char *what, size_t most) {
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(r->err, n, "%s: expected a mapping, found %s", what, aic_kind_name(n->kind));
    return n->count <= most || aic_node_fail(r->err, n, "%s: more than %zu entries", what, most);
}

/* ---- parameters ---------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    op_ftype type;
    unsigned quant_kind;
} types[] = {{"integer", OP_F_U32, 0},
             {"real", OP_F_F64, 0},
             {"boolean", OP_F_BOOL, 0},
             {"text", OP_F_TEXT, 0},
             {"gemm_mode", OP_F_QUANT, PDB_GEMM},
             {"moe_mode", OP_F_QUANT, PDB_MOE},
             {"fmha_mode", OP_F_QUANT, PDB_FMHA},
             {"kv_mode", OP_F_QUANT, PDB_KV},
             {"comm_mode", OP_F_QUANT, PDB_COMM}};

static bool read_type(const reader *r, const aic_node *n, op_field *f) {
    const char *name;
    if (!aic_node_text(n, "type", &name, r->err))
        return false;
    for (size_t i = 0; i < OP_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            f->type = types[i].type;
            f->quant_kind = types[i].quant_kind;
            return true;
        }
    aic_buf known = {0};
    for (size_t i = 0; i < OP_COUNT(types); i++)
        aic_buf_printf(&known, "%s%s", i ? ", " : "", types[i].name);
    aic_node_fail(r->err, n, "\"%s\" is no type; types are %s", name, known.data);
    aic_buf_free(&known);
    return false;
}

static bool read_default(const reader *r, const aic_node *n, op_field *f) {
    uint32_t u = 0;
    bool b = false, ok;
    switch (f->type) {
    case OP_F_U32:
        ok = aic_node_u32(n, "default", 0, UINT32_MAX, &u, r->err);
        f->def = u;
        return ok;
    case OP_F_F64:
        return aic_node_f64(n, "default", -1e300, 1e300, &f->def, r->err);
    case OP_F_BOOL:
        ok = aic_node_bool(n, "default", &b, r->err);
        f->def = b;
        return ok;
    default:
        break;
    }
    if (!aic_node_text(n, "default", &f->def_text, r->err))
        return false;
    return f->type == OP_F_TEXT || pdb_quant_parse(f->def_text, f->quant_kind) != PDB_Q_UNSET ||
           aic_node_fail(r->err, n, "\"%s\" is no %s mode; known: %s", f->def_text,
                         pdb_quant_kind_name(f->quant_kind), pdb_quant_names(f->quant_kind));
}

/* name: type, or name: {type, default} */
static bool read_param(reader *r, const aic_node *name, const aic_node *body) {
    static const char *const keys[] = {"type", "default"};
    bool plain = body->kind != AIC_K_MAP;
    op_field f = {.name = name->text, .offset = r->k->desc.n_fields * MEASURED_SLOT, .required = true};
    if (!check_name(r, name, name->text) ||
        (!plain && !aic_map_check_keys(body, name->text, keys, OP_COUNT(keys), r->err)) ||
        !read_type(r, plain ? body : aic_map_get(body, "type"), &f))
        return false;
    const aic_node *def = plain ? NULL : aic_map_get(body, "default");
    if (def && !read_default(r, def, &f))
        return false;
    f.required = !def;
    r->fields[r->k->desc.n_fields++] = f;
    return true;
}

static bool read_params(reader *r, const aic_node *n) {
    if (!n)
        return true;
    if (!check_map(r, n, "params", MEASURED_MAX_PARAMS))
        return false;
    for (size_t i = 0; i < n->count; i++)
        if (!read_param(r, n->keys[i], n->items[i]))
            return false;
    return true;
}

/* ---- expressions --------------------------------------------------------------------------------------- */

static bool read_lets(const reader *r, const aic_node *n) {
    if (!n)
        return true;
    if (!check_map(r, n, "let", MEASURED_MAX_LETS))
        return false;
    for (size_t i = 0; i < n->count; i++) {
        if (!check_name(r, n->keys[i], n->keys[i]->text))
            return false;
        const aic_expr *e =
            measured_compile(r->k, r->arena, n->items[i], MEASURED_SEES_LETS | MEASURED_SEES_SYSTEM, r->err);
        if (!e)
            return false;
        r->k->lets[r->k->n_lets++] = (measured_let){n->keys[i]->text, e};
    }
    return true;
}

/* The expression under a key of a mapping; absent gives NULL. */
static bool read_expr(const reader *r, const aic_node *map, const char *key, unsigned sees,
                      const aic_expr **out) {
    const aic_node *n = aic_map_get(map, key);
    *out = n ? measured_compile(r->k, r->arena, n, sees, r->err) : NULL;
    return !n || *out;
}

static bool read_sol(const reader *r, const aic_node *n) {
    static const char *const keys[] = {"math", "mem"};
    const unsigned sees = MEASURED_SEES_LETS | MEASURED_SEES_SYSTEM | MEASURED_SEES_AXES;
    if (!n)
        return true;
    return check_map(r, n, "sol", OP_COUNT(keys)) &&
           aic_map_check_keys(n, "sol", keys, OP_COUNT(keys), r->err) &&
           read_expr(r, n, "math", sees, &r->k->math) && read_expr(r, n, "mem", sees, &r->k->mem);
}

/* ---- table --------------------------------------------------------------------------------------------- */

static bool read_column(const reader *r, const aic_node *n, pdb_column *out) {
    const aic_node *optional = aic_map_get(n, "optional");
    return aic_node_text(aic_map_get(n, "column"), "column", &out->column, r->err) &&
           (!optional || aic_node_bool(optional, "optional", &out->optional, r->err));
}

/* {column, text: expression} or {column, integer: expression} */
static bool read_key(const reader *r, const aic_node *n) {
    static const char *const keys[] = {"column", "text", "integer", "optional"};
    measured_kind *k = r->k;
    pdb_column *c = &k->schema.cats[k->schema.n_cats];
    if (!check_map(r, n, "key", OP_COUNT(keys)) ||
        !aic_map_check_keys(n, "key", keys, OP_COUNT(keys), r->err) || !read_column(r, n, c))
        return false;
    const aic_node *text = aic_map_get(n, "text"), *integer = aic_map_get(n, "integer");
    if (!text == !integer)
        return aic_node_fail(r->err, n, "key %s: expected either text: or integer:", c->column);
    c->text = text != NULL;
    const aic_expr *e = measured_compile(k, r->arena, text ? text : integer,
                                         MEASURED_SEES_LETS | MEASURED_SEES_SYSTEM, r->err);
    k->key[k->schema.n_cats++] = e;
    return e != NULL;
}

static bool read_blend(const reader *r, const aic_node *n) {
    const char *how;
    if (!n)
        return true;
    if (!aic_node_text(n, "blend", &how, r->err))
        return false;
    if (strcmp(how, "sqrt") != 0)
        return aic_node_fail(r->err, n, "blend: expected sqrt, found \"%s\"", how);
    if (r->k->sqrt_axis >= 0)
        return aic_node_fail(r->err, n, "only one axis may be blended in square roots");
    r->k->sqrt_axis = r->k->schema.n_axes;
    return true;
}

/* {column, at: expression} with plus, name, blend and optional */
static bool read_axis(const reader *r, const aic_node *n) {
    static const char *const keys[] = {"column", "plus", "name", "at", "blend", "optional"};
    measured_kind *k = r->k;
    int i = k->schema.n_axes;
    pdb_column *c = &k->schema.axes[i];
    if (!check_map(r, n, "axis", OP_COUNT(keys)) ||
        !aic_map_check_keys(n, "axis", keys, OP_COUNT(keys), r->err) || !read_column(r, n, c))
        return false;
    const aic_node *plus = aic_map_get(n, "plus"), *name = aic_map_get(n, "name"), *at = aic_map_get(n, "at");
    k->axis[i] = c->column;
    if ((plus && !aic_node_text(plus, "plus", &c->plus, r->err)) ||
        (name && !aic_node_text(name, "name", &k->axis[i], r->err)) ||
        !check_name(r, name ? name : n, k->axis[i]) || !read_blend(r, aic_map_get(n, "blend")))
        return false;
    if (!at)
        return aic_node_fail(r->err, n, "axis %s: at: is missing", k->axis[i]);
    k->place[i] = measured_compile(k, r->arena, at,
                                   MEASURED_SEES_LETS | MEASURED_SEES_SYSTEM | MEASURED_SEES_INPUTS, r->err);
    if (!k->place[i])
        return false;
    k->desc.reads |= measured_reads(k, k->place[i]);
    k->schema.n_axes++;
    return true;
}

/* One column, or several that are added. */
static bool read_latency(const reader *r, const aic_node *n) {
    const char **value = r->k->schema.value;
    if (!n)
        return true;
    if (n->kind != AIC_K_LIST)
        return aic_node_text(n, "latency", &value[0], r->err);
    if (!check_list(r, n, "latency", PDB_MAX_VALUES))
        return false;
    for (size_t i = 0; i < n->count; i++)
        if (!aic_node_text(n->items[i], "latency", &value[i], r->err))
            return false;
    return true;
}

static bool read_table(const reader *r, const aic_node *body) {
    const aic_node *key = aic_map_get(body, "key"), *axes = aic_map_get(body, "axes"),
                   *wide = aic_map_get(body, "wide");
    pdb_schema *s = &r->k->schema;
    if (!aic_node_text(aic_map_get(body, "table"), "table", &s->table, r->err) ||
        (key && !check_list(r, key, "key", PDB_MAX_CATS)) || !check_list(r, axes, "axes", PDB_MAX_AXES))
        return false;
    for (size_t i = 0; key && i < key->count; i++)
        if (!read_key(r, key->items[i]))
            return false;
    for (size_t i = 0; i < axes->count; i++)
        if (!read_axis(r, axes->items[i]))
            return false;
    return (!wide || aic_node_bool(wide, "wide", &s->wide_axis, r->err)) &&
           read_latency(r, aic_map_get(body, "latency"));
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static bool read_kind(reader *r, const aic_node *body) {
    static const char *const keys[] = {"summary", "params", "let",     "table", "key",
                                       "axes",    "wide",   "latency", "sol",   "weights"};
    const aic_node *summary = aic_map_get(body, "summary");
    return check_map(r, body, "kind", OP_COUNT(keys)) &&
           aic_map_check_keys(body, r->k->desc.kind, keys, OP_COUNT(keys), r->err) &&
           (!summary || aic_node_text(summary, "summary", &r->k->desc.summary, r->err)) &&
           read_params(r, aic_map_get(body, "params")) && read_lets(r, aic_map_get(body, "let")) &&
           read_table(r, body) && read_sol(r, aic_map_get(body, "sol")) &&
           read_expr(r, body, "weights", 0, &r->k->weights);
}

const measured_kind *measured_read(aic_arena *a, const aic_node *name, const aic_node *body,
                                   const char *definition, aic_error *err) {
    measured_kind *k = aic_arena_alloc(a, 1, sizeof *k);
    reader r = {a, err, k, aic_arena_alloc(a, MEASURED_MAX_PARAMS, sizeof *r.fields)};
    k->at = name;
    k->sqrt_axis = -1;
    k->schemas[0] = &k->schema;
    k->desc = (op_desc){.kind = name->text,
                        .summary = "measured kernel, declared in data",
                        .fields = r.fields,
                        .every_mode = true, /* its constants are; its table is read as the mode says */
                        .schemas = k->schemas,
                        .check = measured_check,
                        .bind = measured_bind,
                        .bind_estimate = measured_bind_estimate,
                        .query = measured_query,
                        .weight_bytes = measured_weight_bytes,
                        .definition = definition,
                        .family = k};
    if (!is_word(name->text)) {
        aic_node_fail(err, name, "\"%s\" is no name of a kind", name->text);
        return NULL;
    }
    if (!read_kind(&r, body))
        return NULL;
    k->desc.params_size = k->desc.n_fields * MEASURED_SLOT + sizeof(double);
    return k;
}
