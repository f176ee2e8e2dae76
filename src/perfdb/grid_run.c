/* GRID queries that differ in their last coordinate only (docs/model/interpolation.md).
 *
 * The levels above the last are walked once: they leave up to eight curves (legs) over the last axis and the
 * weights that blend them. A length inside every leg then costs one step along each curve and the blends, in
 * the order of the plain walk; any other length is left to pdb_grid_query, so that the answers are the same
 * to the bit.
 */
#include "perfdb/internal.h"

enum { LEGS = 1 << (PDB_MAX_AXES - 1), BRANCHES = 2 * LEGS - 1 };

typedef struct leg {
    uint32_t lo, hi; /* keys of the last level */
    uint32_t up;     /* first key above the length asked last */
} leg;

/* Branches are numbered like a heap: the children of b are 2b + 1 and 2b + 2, an exact key has the first
 * only. */
typedef struct plan {
    const pdb_grid *g;
    int sqrt_axis;
    bool used[BRANCHES], pair[BRANCHES];
    double w[BRANCHES]; /* of a pair */
    leg legs[LEGS];     /* by branch less first_leg */
    int first_leg;
    bool blended; /* a level above the last met no key exactly */
} plan;

static bool whole_key(double c, uint64_t *floor) {
    if (!(c >= 0 && c < 18446744073709551616.0))
        return false;
    *floor = (uint64_t)c;
    return true;
}

/* False: a branch is outside its level. */
static bool lay_out(plan *p, const double *c, int level, int branch, uint32_t lo, uint32_t hi) {
    const pdb_grid *g = p->g;
    p->used[branch] = true;
    if (level == g->axes - 1) {
        p->legs[branch - p->first_leg] = (leg){.lo = lo, .hi = hi, .up = lo};
        return true;
    }
    uint64_t floor;
    if (!whole_key(c[level], &floor))
        return false;
    const uint64_t *keys = g->keys[level];
    const uint32_t *first = g->first[level];
    uint32_t up = pdb_after(keys, lo, hi, floor);
    if (up > lo && keys[up - 1] == floor && (double)floor == c[level])
        return lay_out(p, c, level + 1, 2 * branch + 1, first[up - 1], first[up]);
    if (up == lo || up == hi)
        return false;
    p->pair[branch] = p->blended = true;
    p->w[branch] = (c[level] - (double)keys[up - 1]) / ((double)keys[up] - (double)keys[up - 1]);
    return lay_out(p, c, level + 1, 2 * branch + 1, first[up - 1], first[up]) &&
           lay_out(p, c, level + 1, 2 * branch + 2, first[up], first[up + 1]);
}

/* Where a length lies on a leg; lengths mostly ascend, so the search goes on from the last one. */
static void advance(leg *l, const uint64_t *keys, uint64_t floor) {
    if (l->up > l->lo && keys[l->up - 1] > floor)
        l->up = pdb_after(keys, l->lo, l->up, floor);
    while (l->up < l->hi && keys[l->up] <= floor)
        l->up++;
}

/* The value of a leg at a length; false when the length is outside it. */
static bool on_leg(plan *p, leg *l, double c, uint64_t floor, double *latency, double *power, bool *exact) {
    const pdb_grid *g = p->g;
    int last = g->axes - 1;
    const uint64_t *keys = g->keys[last];
    advance(l, keys, floor);
    if (l->up == l->lo)
        return false;
    const pdb_leaf *from = &g->leaf[l->up - 1];
    *exact = keys[l->up - 1] == floor && (double)floor == c;
    *latency = from->latency;
    *power = pdb_blend_power(from);
    if (*exact)
        return true;
    if (l->up == l->hi)
        return false;
    double key = (double)keys[l->up - 1], w = (c - key) / ((double)keys[l->up] - key);
    *power = *power + (pdb_blend_power(from + 1) - *power) * w;
    *latency = pdb_blend(from->latency, from[1].latency, w, last == p->sqrt_axis);
    return true;
}

static bool inside(plan *p, double c, pdb_value *out) {
    double latency[BRANCHES], power[BRANCHES];
    bool exact = true;
    uint64_t floor;
    if (!whole_key(c, &floor))
        return false;
    for (int b = 2 * p->first_leg; b >= p->first_leg; b--) {
        bool here;
        if (!p->used[b])
            continue;
        if (!on_leg(p, &p->legs[b - p->first_leg], c, floor, &latency[b], &power[b], &here))
            return false;
        exact = exact && here;
    }
    if (exact && !p->blended) { /* one leg, one leaf: verbatim */
        for (int b = p->first_leg; b <= 2 * p->first_leg; b++)
            if (p->used[b]) {
                const pdb_leaf *leaf = &p->g->leaf[p->legs[b - p->first_leg].up - 1];
                *out = (pdb_value){leaf->latency, leaf->power, leaf->energy, PDB_EXACT, 0};
            }
        return true;
    }
    for (int b = p->first_leg - 1, level = p->g->axes - 2; b >= 0; b--) {
        while (b < (1 << level) - 1)
            level--;
        int l = 2 * b + 1, r = l + 1;
        if (!p->used[b])
            continue;
        latency[b] =
            p->pair[b] ? pdb_blend(latency[l], latency[r], p->w[b], level == p->sqrt_axis) : latency[l];
        power[b] = p->pair[b] ? power[l] + (power[r] - power[l]) * p->w[b] : power[l];
    }
    *out = (pdb_value){latency[0], power[0], power[0] * latency[0], PDB_INSIDE, 0};
    return true;
}

/* Marks of the leaves that `inside` used for a length. */
static pdb_origins used(const plan *p, double c) {
    const pdb_grid *g = p->g;
    const uint64_t *keys = g->keys[g->axes - 1];
    uint64_t key;
    bool whole = pdb_whole_key(c, &key);
    pdb_origins from = 0;
    for (int b = p->first_leg; b <= 2 * p->first_leg; b++) {
        if (!p->used[b])
            continue;
        uint32_t up = p->legs[b - p->first_leg].up;
        from |= g->from[up - 1] | (whole && keys[up - 1] == key ? 0 : g->from[up]);
    }
    return from;
}

pdb_miss pdb_grid_query_last(const pdb_grid *g, double *coords, const double *last, int n, int sqrt_axis,
                             pdb_sol sol, const void *ctx, pdb_value *out) {
    if (g->n[0] == 0)
        return PDB_MISS_EMPTY;
    plan p = {.g = g, .sqrt_axis = sqrt_axis, .first_leg = (1 << (g->axes - 1)) - 1};
    bool laid = lay_out(&p, coords, 0, 0, 0, g->n[0]);
    for (int i = 0; i < n; i++) {
        if (laid && inside(&p, last[i], &out[i])) {
            if (g->from)
                out[i].from = used(&p, last[i]);
            continue;
        }
        coords[g->axes - 1] = last[i];
        pdb_miss miss = pdb_grid_query(g, coords, sqrt_axis, sol, ctx, &out[i]);
        if (miss != PDB_HIT)
            return miss;
    }
    return PDB_HIT;
}
