/* Empirical estimates: speed of light over the utilisation that measurements reached (docs/model/modes.md).
 */
#include "ops/internal.h"

#include <stdlib.h>

/* Coordinates of every leaf in key order: axes values each. */
static void leaf_coords(const pdb_grid *g, double *out) {
    uint32_t at[PDB_MAX_AXES] = {0};
    int last = g->axes - 1;
    for (uint32_t leaf = 0; leaf < g->n[last]; leaf++) {
        at[last] = leaf;
        for (int level = last - 1; level >= 0; level--)
            while (g->first[level][at[level] + 1] <= at[level + 1])
                at[level]++;
        for (int level = 0; level <= last; level++)
            out[(size_t)leaf * (size_t)g->axes + (size_t)level] = (double)g->keys[level][at[level]];
    }
}

const pdb_util *op_util_of_grid(op_binder *binder, const pdb_grid *g, pdb_sol sol, const void *ctx) {
    size_t n = g->n[g->axes - 1];
    double *coords = aic_alloc(n, (size_t)g->axes * sizeof *coords), *latency = aic_alloc(n, sizeof *latency);
    leaf_coords(g, coords);
    for (size_t i = 0; i < n; i++)
        latency[i] = g->leaf[i].latency;
    const pdb_util *u = pdb_util_build(binder->arena, g->axes, n, coords, latency, sol, ctx);
    free(coords);
    free(latency);
    return u;
}

op_class op_estimate(const op_bound *b, const pdb_util *u, const double *coords, double sol_query,
                     double scale, op_tier tier, op_result *out, op_refusal *why) {
    double util;
    if (!u || !pdb_util_at(u, coords, &util) || !(util > 0.0))
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "no measured shape to calibrate an estimate from (docs/model/modes.md)");
    *out = op_estimated(sol_query / (util * scale), tier);
    return OP_OK;
}
