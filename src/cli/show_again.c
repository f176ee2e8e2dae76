/* A stored point evaluated again: speed of light of its shapes, and the sources its rows were taken from. */
#include "cli/show.h"
#include <math.h>
#include <string.h>

void show_evaluate(show_again *g, const srv_env *env, const srv_request *req, const srv_workload *load) {
    aic_error ignored = {0};
    *g = (show_again){.arena = aic_arena_new()};
    g->d = srv_compile(env, req, NULL, &ignored);
    if (g->d && g->d->plan)
        g->n_ops = srv_explain(g->d, load, g->arena, &g->ops);
}

void show_free(show_again *g) {
    srv_free(g->d);
    aic_arena_free(g->arena);
    *g = (show_again){0};
}

void show_row(const show_again *g, const res_op_row *row, show_more *out) {
    pdb_origins from = 0;
    bool found = false;
    *out = (show_more){0};
    for (size_t i = 0; i < g->n_ops; i++) {
        const srv_detail *e = &g->ops[i];
        const srv_row *r = &g->d->rows[e->row];
        if (r->phase != row->phase || strcmp(r->name, row->name) != 0)
            continue;
        found = true;
        out->sol += e->sol_ms;
        out->sol_math += e->sol_math;
        out->sol_mem += e->sol_mem;
        from |= e->result.from;
    }
    if (found)
        out->n_origins = pdb_origin_names(g->d->view, from, out->origins);
    else
        out->sol = out->sol_math = out->sol_mem = NAN;
}
