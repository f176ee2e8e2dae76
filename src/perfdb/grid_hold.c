/* GRID beyond the measured range: the four nearest leaves, scaled by speed of light
 * (docs/model/interpolation.md, "hold"). Queries that differ in their last coordinate share the search:
 * one list holds every leaf that can be among the nearest of any of a stretch of them, with what it is worth,
 * and each picks its own. */
#include "perfdb/internal.h"
#include <limits.h>

enum { ANCHORS = 4 };

typedef struct anchors {
    const pdb_grid *g;
    pdb_sol sol;
    const void *ctx;
} anchors;

/* efficiency: speed of light over latency. */
static bool anchor_ok(const void *ctx, const uint32_t *path, double *efficiency) {
    const anchors *a = ctx;
    const pdb_grid *g = a->g;
    double latency = g->latency[path[g->axes - 1]], at[PDB_MAX_AXES];
    if (!pdb_valid(latency))
        return false;
    for (int i = 0; i < g->axes; i++)
        at[i] = (double)g->keys[i][path[i]];
    double sol = a->sol(a->ctx, at);
    *efficiency = sol / latency;
    return pdb_valid(sol);
}

/* Weight of an anchor: inverse square distance, tapered to zero at the support radius (distance of the fifth
 * anchor). */
static double weigh(double distance, double radius) {
    if (isinf(radius))
        return 1 / (distance * distance + 1e-12);
    double t = (radius - distance > 0 ? radius - distance : 0) / (radius * distance + 1e-12);
    return t * t;
}

/* The answer at c from its anchors, nearest first. */
static pdb_miss blend_anchors(const anchors *a, const double *c, const pdb_near_hit *hit, int found,
                              double *latency, double *power, pdb_origins *from) {
    const pdb_grid *g = a->g;
    if (!found)
        return PDB_MISS_NO_ANCHOR;
    double radius = found > ANCHORS ? hit[ANCHORS].distance : INFINITY, w[ANCHORS], sum = 0, u = 0, p = 0;
    int n = found < ANCHORS ? found : ANCHORS;
    for (int i = 0; i < n; i++)
        sum += w[i] = weigh(hit[i].distance, radius);
    if (sum <= 0) { /* all anchors at the radius */
        sum = 0;
        for (int i = 0; i < n; i++)
            sum += w[i] = 1;
    }
    for (int i = 0; i < n; i++) {
        u += w[i] * hit[i].value;
        p += w[i] * (g->power ? g->power[hit[i].leaf] : 0.0);
        *from |= w[i] > 0 ? pdb_leaf_from(g, hit[i].leaf) : 0;
    }
    double sol = a->sol(a->ctx, c);
    if (!pdb_valid(sol))
        return PDB_MISS_QUERY_SOL;
    *latency = sol / (u / sum);
    *power = p / sum;
    return PDB_HIT;
}

static pdb_near_tree tree_of(const pdb_grid *g) {
    pdb_near_tree t = {.axes = g->axes, .roots = g->n[0]};
    for (int i = 0; i < g->axes; i++) {
        t.pos[i] = g->log2_key[i];
        t.first[i] = g->first[i];
    }
    return t;
}

/* The nearer end alone. */
static pdb_miss hold_curve(const anchors *a, const double *c, double *latency, double *power,
                           pdb_origins *from) {
    const pdb_grid *g = a->g;
    uint32_t end = g->n[0] - 1, at = c[0] > (double)g->keys[0][end] ? end : 0;
    double key = (double)g->keys[0][at], there = a->sol(a->ctx, &key), here = a->sol(a->ctx, c);
    if (!(g->latency[at] > 0 && there > 0))
        return PDB_MISS_NO_ANCHOR;
    *from |= pdb_leaf_from(g, at);
    if (!pdb_valid(here))
        return PDB_MISS_QUERY_SOL;
    *latency = here / (there / g->latency[at]);
    *power = g->power ? g->power[at] : 0.0;
    return PDB_HIT;
}

pdb_miss pdb_grid_hold(const pdb_grid *g, const double *c, pdb_sol sol, const void *ctx, double *latency,
                       double *power, pdb_origins *from) {
    const anchors a = {g, sol, ctx};
    if (g->axes == 1)
        return hold_curve(&a, c, latency, power, from);
    pdb_near_tree tree = tree_of(g);
    double target[PDB_MAX_AXES];
    for (int i = 0; i < g->axes; i++)
        target[i] = pdb_log2_floor(c[i]);
    pdb_near_hit hit[ANCHORS + 1];
    int found = pdb_near(&tree, target, ANCHORS + 1, anchor_ok, &a, hit);
    return blend_anchors(&a, c, hit, found, latency, power, from);
}

/* ---- lists ------------------------------------------------------------------------------------ */

/* Stretches of a list in log2 of the last coordinate: short, so that the list stays short. */
#define PER_OCTAVE 8.0
#define FARTHEST   1024.0 /* of any finite coordinate */

void pdb_hold_forget(pdb_hold_lists *lists) {
    for (int i = 0; i < PDB_HOLD_LISTS; i++)
        lists->stretch[i] = INT_MIN;
}

/* The list of the stretch that t lies in; NULL: too long. target's last coordinate is overwritten. */
static const pdb_near_list *list_at(const anchors *a, pdb_hold_lists *lists, double *target, double t) {
    const double stretch = floor(t * PER_OCTAVE);
    const int slot = (int)((unsigned)(int)stretch % PDB_HOLD_LISTS);
    pdb_near_list *list = &lists->list[slot];
    if (lists->stretch[slot] != (int)stretch) {
        pdb_near_tree tree = tree_of(a->g);
        lists->stretch[slot] = (int)stretch;
        lists->usable[slot] = pdb_near_gather(&tree, target, stretch / PER_OCTAVE, (stretch + 1) / PER_OCTAVE,
                                              ANCHORS + 1, anchor_ok, a, list);
    }
    return lists->usable[slot] ? list : NULL;
}

pdb_miss pdb_grid_hold_listed(const pdb_grid *g, pdb_hold_lists *lists, const double *c, pdb_sol sol,
                              const void *ctx, double *latency, double *power, pdb_origins *from) {
    const anchors a = {g, sol, ctx};
    const int axis = g->axes - 1;
    double target[PDB_MAX_AXES], t = pdb_log2_floor(c[axis]);
    for (int i = 0; i < axis; i++)
        target[i] = pdb_log2_floor(c[i]);
    const pdb_near_list *list =
        axis > 0 && t > -FARTHEST && t < FARTHEST ? list_at(&a, lists, target, t) : NULL;
    if (!list)
        return pdb_grid_hold(g, c, sol, ctx, latency, power, from);
    pdb_near_hit hit[ANCHORS + 1];
    int found = pdb_near_pick(list, t, ANCHORS + 1, hit);
    return blend_anchors(&a, c, hit, found, latency, power, from);
}
