/* The names of graph files and architecture rules (docs/formats/graph.md). */
#include "models/internal.h"
#include <string.h>

/* ---- names while compiling ---- */

typedef struct symbol_info {
    const char *name;
    mdl_level level;
} symbol_info;

static const symbol_info symbols[MDL_SYMBOL_COUNT] = {
#define SYMBOL_INFO(name, level, value, meaning) {#name, level},
    MDL_SYMBOLS(SYMBOL_INFO)
#undef SYMBOL_INFO
};

const char *mdl_phase_name(mdl_phase p) {
    static const char *const names[MDL_PHASES] = {"context", "generation", "encoder"};
    return names[p];
}

bool mdl_name_taken(const char *name, const mdl_graph *graph) {
    for (size_t i = 0; i < MDL_SYMBOL_COUNT; i++)
        if (strcmp(symbols[i].name, name) == 0)
            return true;
    for (size_t i = 0; graph && i < graph->n_lets; i++)
        if (strcmp(graph->lets[i].name, name) == 0)
            return true;
    return false;
}

static int find_name(const void *ctx, const char *name) {
    const mdl_names *names = ctx;
    for (const mdl_local *l = names->locals; l; l = l->next)
        if (strcmp(l->name, name) == 0)
            return l->slot;
    for (size_t i = 0; names->graph && i < names->graph->n_lets; i++)
        if (strcmp(names->graph->lets[i].name, name) == 0)
            return MDL_SYMBOL_COUNT + (int)i;
    for (int i = 0; i < MDL_SYMBOL_COUNT; i++)
        if (symbols[i].level <= names->latest && strcmp(symbols[i].name, name) == 0)
            return i;
    return -1;
}

/* Candidates for suggestions: symbols, then lets, then locals. */
static const char *name_at(const void *ctx, size_t i) {
    const mdl_names *names = ctx;
    size_t n_lets = names->graph ? names->graph->n_lets : 0;
    if (i < MDL_SYMBOL_COUNT)
        return symbols[i].name;
    i -= MDL_SYMBOL_COUNT;
    if (i < n_lets)
        return names->graph->lets[i].name;
    i -= n_lets;
    const mdl_local *l = names->locals;
    for (; l && i > 0; i--)
        l = l->next;
    return l ? l->name : NULL;
}

/* ---- compiling ---- */

static aic_scope scope_of(const mdl_names *names) {
    return (aic_scope){find_name, name_at, names, mdl_functions, mdl_n_functions};
}

aic_expr *mdl_expr(aic_arena *a, const char *text, const char *file, int line, int column,
                   const mdl_names *names, aic_error *err) {
    aic_scope scope = scope_of(names);
    return aic_expr_compile(a, text, file, line, column, &scope, err);
}

aic_template *mdl_template(aic_arena *a, const char *text, const char *file, int line, int column,
                           const mdl_names *names, aic_error *err) {
    aic_scope scope = scope_of(names);
    return aic_template_compile(a, text, file, line, column, &scope, err);
}

aic_expr *mdl_node_expr(aic_arena *a, const aic_node *n, const char *what, const mdl_names *names,
                        aic_error *err) {
    if (!n || !n->text) {
        aic_node_fail(err, n, "%s: expected an expression, found %s", what,
                      n ? aic_kind_name(n->kind) : "nothing");
        return NULL;
    }
    return mdl_expr(a, n->text, n->file, n->line, n->column + (n->quoted ? 1 : 0), names, err);
}

typedef struct level_of {
    const mdl_graph *graph;
    mdl_level level;
} level_of;

static void raise_level(void *ctx, int slot) {
    level_of *of = ctx;
    mdl_level level = MDL_OF_MODEL;
    if (slot < MDL_SYMBOL_COUNT)
        level = symbols[slot].level;
    else if (of->graph && (size_t)(slot - MDL_SYMBOL_COUNT) < of->graph->n_lets)
        level = of->graph->lets[slot - MDL_SYMBOL_COUNT].level;
    if (level > of->level)
        of->level = level;
}

mdl_level mdl_expr_level(const aic_expr *e, const mdl_graph *graph) {
    level_of of = {graph, MDL_OF_MODEL};
    aic_expr_slots(e, raise_level, &of);
    return of.level;
}

/* ---- values ---- */

static aic_value quant_text(pdb_quant q) {
    return q == PDB_Q_UNSET ? AIC_NULL_VALUE : aic_str(pdb_quant_get(q)->name);
}

static aic_value texts_value(const op_texts *t, aic_arena *a) {
    aic_value *items = aic_arena_alloc(a, t->count, sizeof *items);
    for (size_t i = 0; i < t->count; i++)
        items[i] = aic_str(t->items[i]);
    aic_list *list = aic_arena_alloc(a, 1, sizeof *list);
    *list = (aic_list){t->count, items};
    return (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
}

static double draft_factor(const mdl_frame *f) {
    if (f->phase != MDL_GENERATION || f->request->nextn == 0)
        return 1.0;
    return (double)((int64_t)f->request->nextn + f->model->pub.layers) / (double)f->model->pub.layers;
}

static aic_value int_or_null(int64_t v, bool null) {
    return null ? AIC_NULL_VALUE : aic_int(v);
}

static aic_value text_or_null(const char *text) {
    return text ? aic_str(text) : AIC_NULL_VALUE;
}

const char *mdl_system_of(const mdl_request *r) {
    return r->system ? r->system : r->view ? r->view->system->name : NULL;
}

uint32_t mdl_node_size(const mdl_request *r) {
    return r->gpus_per_node ? r->gpus_per_node : r->view ? r->view->system->gpus_per_node : 0;
}

static const char *phase_a2a(const mdl_frame *f) {
    return f->phase == MDL_CONTEXT      ? f->request->a2a_context
           : f->phase == MDL_GENERATION ? f->request->a2a_generation
                                        : NULL;
}

static aic_value symbol_value(const mdl_frame *f, mdl_symbol s) {
    const mdl_model *m = &f->model->pub;
    const mdl_request *r =
        f->request; /* NULL while only the model is known; names of that level don't look at it */
    switch (s) {
#define SYMBOL_CASE(name, level, value, meaning)                                                             \
    case MDL_S_##name:                                                                                       \
        return value;
        MDL_SYMBOLS(SYMBOL_CASE)
#undef SYMBOL_CASE
    case MDL_SYMBOL_COUNT:
        break;
    }
    return AIC_NULL_VALUE;
}

static void add_value(const aic_value *v, aic_buf *out) {
    size_t len = v->type == AIC_V_STR ? strlen(v->u.s) : sizeof v->u;
    const uint64_t head = (uint64_t)v->type << 56 | len;
    aic_buf_addn(out, (const char *)&head, sizeof head);
    aic_buf_addn(out, v->type == AIC_V_STR ? v->u.s : (const char *)&v->u, len);
}

/* Names of a phase count with their values in all phases; kv_token_bytes follows from what KV rules look up.
 */
void mdl_trace_values(const mdl_frame *f, mdl_trace trace, aic_buf *out) {
    mdl_frame at = *f;
    for (int s = 0; s < MDL_SYMBOL_COUNT; s++) {
        if (!(trace >> s & 1) || symbols[s].level == MDL_OF_MODEL)
            continue;
        int phases = symbols[s].level == MDL_OF_PHASE ? MDL_PHASES : 1;
        for (int p = 0; p < phases; p++) {
            at.phase = (mdl_phase)p;
            aic_value v = symbol_value(&at, (mdl_symbol)s);
            add_value(&v, out);
        }
    }
}

/* A let is evaluated when it is first needed; expressions are pure, so that order does not show. */
static bool let_value(mdl_frame *f, size_t i, aic_value *out, aic_error *err) {
    if (!f->known[i]) {
        if (!mdl_eval(f->graph->lets[i].value, f, &f->vars[i], err))
            return false;
        f->known[i] = true;
    }
    *out = f->vars[i];
    return true;
}

static bool get_value(void *ctx, int slot, aic_value *out, aic_error *err) {
    mdl_frame *f = ctx;
    if (slot < MDL_SYMBOL_COUNT) {
        f->trace |= UINT64_C(1) << slot;
        *out = symbol_value(f, (mdl_symbol)slot);
        return true;
    }
    size_t i = (size_t)(slot - MDL_SYMBOL_COUNT);
    if (i < f->graph->n_lets)
        return let_value(f, i, out, err);
    *out = f->vars[i];
    return true;
}

aic_env mdl_env(mdl_frame *f) {
    return (aic_env){get_value, f, f, f->arena};
}

bool mdl_eval(const aic_expr *e, mdl_frame *f, aic_value *out, aic_error *err) {
    aic_env env = mdl_env(f);
    return aic_expr_eval(e, &env, out, err);
}

bool mdl_eval_true(const aic_expr *e, mdl_frame *f, bool *out, aic_error *err) {
    *out = true;
    if (!e)
        return true;
    aic_value v;
    if (!mdl_eval(e, f, &v, err))
        return false;
    *out = aic_truthy(&v);
    return true;
}
