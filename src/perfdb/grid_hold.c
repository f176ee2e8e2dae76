/* GRID beyond the measured range: the four nearest leaves, scaled by speed of light
 * (docs/model/interpolation.md, "hold"). Queries that differ in their last coordinate share the search:
 * one list holds every leaf that can be among the nearest of any of them, with what it is worth, and each
 * picks its own. */
#include "perfdb/internal.h"

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
    if (!(g->leaf[at].latency > 0 && there > 0))
        return PDB_MISS_NO_ANCHOR;
    *from |= pdb_leaf_from(g, at);
    if (!pdb_valid(here))
        return PDB_MISS_QUERY_SOL;
    *latency = here / (there / g->leaf[at].latency);
    *power = pdb_blend_power(&g->leaf[at]);
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

/* ---- runs ------------------------------------------------------------------------------------- */

/* Queries of one list: no further apart than this, so that the list stays short, and no fewer, so that it
 * pays. */
#define LIST_SPAN 0.125
enum { LIST_MIN = 3, LIST_MAX = 64 };

pdb_miss pdb_grid_hold_last(const pdb_grid *g, double *c, const double *last, size_t n, pdb_sol sol,
                            const void *ctx, size_t *done, pdb_values *out) {
    const anchors a = {g, sol, ctx};
    const int axis = g->axes - 1;
    double at[LIST_MAX], target[PDB_MAX_AXES], low, high;
    size_t count = 0;
    *done = 0;
    for (low = high = pdb_log2_floor(last[0]); count < n && count < LIST_MAX; count++) {
        double t = at[count] = pdb_log2_floor(last[count]), l = t < low ? t : low, h = t > high ? t : high;
        if (!(h - l <= LIST_SPAN))
            break;
        low = l;
        high = h;
    }
    if (count < LIST_MIN || g->axes == 1)
        return PDB_HIT;
    pdb_near_tree tree = tree_of(g);
    for (int i = 0; i < axis; i++)
        target[i] = pdb_log2_floor(c[i]);
    pdb_near_list list;
    if (!pdb_near_gather(&tree, target, low, high, ANCHORS + 1, anchor_ok, &a, &list))
        return PDB_HIT;
    for (size_t i = 0; i < count; i++) {
        pdb_near_hit hit[ANCHORS + 1];
        double power;
        int found = pdb_near_pick(&list, at[i], ANCHORS + 1, hit);
        c[axis] = last[i];
        out->from[i] = 0;
        pdb_miss miss = blend_anchors(&a, c, hit, found, &out->latency[i], &power, &out->from[i]);
        if (miss != PDB_HIT)
            return miss;
        out->energy[i] = power * out->latency[i];
        out->how[i] = PDB_BEYOND;
    }
    *done = count;
    return PDB_HIT;
}
