/* Empirical estimates: speed of light over the utilisation that measurements reached (docs/model/modes.md).
 */
#include "ops/internal.h"

#include <stdlib.h>
#include <string.h>

/* Leaves in key order: axes coordinates each, and latencies. */
typedef struct points {
    size_t n;
    double *coords, *latency;
    const pdb_origins *from; /* the grid's */
} points;

void op_leaf_coords(const pdb_grid *g, double *out) {
    uint32_t at[PDB_MAX_AXES] = {0};
    int last = g->axes - 1;
    for (uint32_t leaf = 0; leaf < g->n[last]; leaf++) {
        at[last] = leaf;
        for (int level = last - 1; level >= 0; level--)
            while (g->first[level][at[level] + 1] <= at[level + 1])
                at[level]++;
        for (int level = 0; level <= last; level++)
            *out++ = (double)g->keys[level][at[level]];
    }
}

static points points_of(const pdb_grid *g) {
    points p = {.n = g->n[g->axes - 1], .from = g->from};
    p.coords = aic_alloc(p.n, (size_t)g->axes * sizeof *p.coords);
    p.latency = aic_alloc(p.n, sizeof *p.latency);
    op_leaf_coords(g, p.coords);
    for (size_t leaf = 0; leaf < p.n; leaf++)
        p.latency[leaf] = g->latency[leaf];
    return p;
}

static void points_free(points *p) {
    free(p->coords);
    free(p->latency);
}

static const pdb_util *util_of_grid(aic_arena *a, const pdb_grid *g, pdb_sol sol, const void *ctx) {
    points p = points_of(g);
    const pdb_util *u = pdb_util_build(a, g->axes, p.n, p.coords, p.latency, p.from, sol, ctx);
    points_free(&p);
    return u;
}

const pdb_util *op_util_of_grid(op_binder *binder, const pdb_grid *g, pdb_sol sol, const void *ctx) {
    return util_of_grid(binder->arena, g, sol, ctx);
}

/* ---- kept by the view ---------------------------------------------------------------------------------- */

/* Unused bytes are zero, so that equal keys are equal bytes. */
typedef struct util_key {
    const pdb_grid *grid;
    pdb_sol sol;
    _Alignas(max_align_t) unsigned char ctx[OP_UTIL_CTX];
} util_key;

static const void *build_util(const pdb_view *view, const void *key, aic_arena *a, const char **why) {
    const util_key *k = key;
    (void)view;
    (void)why;
    return util_of_grid(a, k->grid, k->sol, k->ctx);
}

const pdb_util *op_util_of_view(op_binder *binder, const pdb_grid *g, pdb_sol sol, const void *ctx,
                                size_t size) {
    static const char identity;
    util_key key;
    memset(&key, 0, sizeof key);
    key.grid = g;
    key.sol = sol;
    memcpy(key.ctx, ctx, size);
    return pdb_derived_keyed(binder->view, &identity, &key, sizeof key, build_util, NULL);
}

static const void *build_delta(const pdb_view *view, const void *key, aic_arena *a, const char **why) {
    const pdb_grid *g = *(const pdb_grid *const *)key;
    (void)view;
    (void)why;
    points p = points_of(g);
    const pdb_delta *d = pdb_delta_build(a, g->axes, p.n, p.coords, p.latency, p.from);
    points_free(&p);
    return d;
}

const pdb_delta *op_delta_of_view(op_binder *binder, const pdb_grid *g) {
    static const char identity;
    return pdb_derived_keyed(binder->view, &identity, &g, sizeof g, build_delta, NULL);
}

/* ---- estimates ----------------------------------------------------------------------------------------- */

op_class op_estimate(const op_bound *b, const pdb_util *u, const double *coords, double sol_query,
                     double scale, op_tier tier, op_result *out, op_refusal *why) {
    double util;
    pdb_origins from;
    if (!u || !pdb_util_at(u, coords, &util, &from) || !(util > 0.0))
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "no measured shape to calibrate an estimate from (docs/model/modes.md)");
    *out = op_estimated(sol_query / (util * scale), tier);
    out->from = from;
    return OP_OK;
}
