/* `where:` filters of a spec: expressions over the columns of a point that are known before it is evaluated,
 * and over a few facts of its model. */
#include "sweep/internal.h"
#include <string.h>

typedef struct fact {
    const char *name;
    aic_value (*get)(const swp_row *row, const mdl_model *m);
} fact;

static aic_value get_gpus(const swp_row *row, const mdl_model *m) {
    (void)m;
    return aic_int(mdl_gpus(&row->request.par));
}

static aic_value get_is_moe(const swp_row *row, const mdl_model *m) {
    (void)row;
    return m ? aic_bool(m->is_moe) : AIC_NULL_VALUE;
}

static aic_value get_family(const swp_row *row, const mdl_model *m) {
    (void)row;
    return m ? aic_str(m->family) : AIC_NULL_VALUE;
}

static aic_value get_context(const swp_row *row, const mdl_model *m) {
    (void)row;
    return m ? aic_int(m->context) : AIC_NULL_VALUE;
}

static aic_value get_experts(const swp_row *row, const mdl_model *m) {
    (void)row;
    return m ? aic_int(m->experts) : AIC_NULL_VALUE;
}

static const fact facts[] = {{"gpus", get_gpus},
                             {"is_moe", get_is_moe},
                             {"family", get_family},
                             {"context", get_context},
                             {"experts", get_experts}};
enum { N_FACTS = sizeof facts / sizeof *facts };

/* Slots: the fields of a point, then the facts. */
static int find_name(const void *ctx, const char *name) {
    (void)ctx;
    for (int i = 0; i < N_FACTS; i++)
        if (strcmp(facts[i].name, name) == 0)
            return (int)swp_field_count() + i;
    return swp_field_find(name);
}

static const char *name_at(const void *ctx, size_t i) {
    (void)ctx;
    size_t n = swp_field_count();
    if (i < n)
        return swp_field_at(i)->name;
    return i - n < N_FACTS ? facts[i - n].name : NULL;
}

static const aic_scope scope = {find_name, name_at, NULL, NULL, 0};

static void note_slot(void *ctx, int slot) {
    unsigned *reads = ctx;
    bool load = false;
    if ((size_t)slot < swp_field_count())
        for (size_t j = 0; j < SWP_LOAD_COLUMNS; j++)
            load = load || strcmp(swp_field_at((size_t)slot)->name, swp_load_keys.keys[j].name) == 0;
    *reads |= load ? SWP_READS_LOAD : SWP_READS_DEPLOYMENT;
}

bool swp_filters_read(aic_arena *a, const aic_node *n, swp_block *b, aic_error *err) {
    size_t count = n->kind == AIC_K_LIST ? n->count : 1;
    b->filters = aic_arena_alloc(a, count, sizeof *b->filters);
    for (size_t i = 0; i < count; i++) {
        const aic_node *item = n->kind == AIC_K_LIST ? n->items[i] : n;
        swp_filter *f = &b->filters[i];
        if (item->kind != AIC_K_TEXT)
            return aic_node_fail(err, item,
                                 "where: expected an expression such as \"isl + osl <= 8192\", found %s",
                                 aic_kind_name(item->kind));
        f->at = item;
        f->expr =
            aic_expr_compile(a, item->text, item->file, item->line, item->column + item->quoted, &scope, err);
        if (!f->expr)
            return false;
        aic_expr_slots(f->expr, note_slot, &f->reads);
    }
    b->n_filters = count;
    return true;
}

bool swp_filters_any(const swp_block *b, unsigned which) {
    for (size_t i = 0; i < b->n_filters; i++)
        if (b->filters[i].reads == which)
            return true;
    return false;
}

typedef struct candidate {
    const swp_row *row;
    const mdl_model *model;
} candidate;

static bool get(void *ctx, int slot, aic_value *out, aic_error *err) {
    const candidate *c = ctx;
    size_t n = swp_field_count(), i = (size_t)slot;
    (void)err;
    *out = i < n ? swp_row_value(c->row, i) : facts[i - n].get(c->row, c->model);
    return true;
}

bool swp_filters_pass(const swp_block *b, unsigned which, const swp_row *row, const mdl_model *model,
                      bool *pass, aic_error *err) {
    candidate c = {row, model};
    aic_env env = {.get = get, .ctx = &c};
    *pass = true;
    for (size_t i = 0; *pass && i < b->n_filters; i++) {
        aic_value v;
        if (b->filters[i].reads != which)
            continue;
        if (!aic_expr_eval(b->filters[i].expr, &env, &v, err))
            return false;
        *pass = aic_truthy(&v);
    }
    return true;
}
