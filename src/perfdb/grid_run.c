/* GRID queries that differ in their last coordinate only (docs/model/interpolation.md).
 *
 * The levels above the last are walked once: they leave up to eight curves (legs) over the last axis and the
 * weights that blend them. Lengths are then taken by the tile: every leg answers all lengths of a tile, then
 * the branches are blended, column by column, in the order of the plain walk. A length outside a leg is left
 * to pdb_grid_query, so that the answers are the same to the bit.
 */
#include "perfdb/internal.h"
#include <string.h>

enum { LEGS = 1 << (PDB_MAX_AXES - 1), BRANCHES = 2 * LEGS - 1, TILE = 64 };

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

/* False: a branch is outside its level. */
static bool lay_out(plan *p, const double *c, int level, int branch, uint32_t lo, uint32_t hi) {
    const pdb_grid *g = p->g;
    p->used[branch] = true;
    if (level == g->axes - 1) {
        p->legs[branch - p->first_leg] = (leg){.lo = lo, .hi = hi, .up = lo};
        return true;
    }
    uint64_t floor;
    if (!pdb_floor_key(c[level], &floor))
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

/* Lengths on their way through the plan, and what is known of each. */
typedef struct tile {
    size_t n;
    const double *c;
    uint64_t floor[TILE];
    bool outside[TILE];  /* of a leg: left to the plain query */
    bool exact[TILE];    /* meets a key on every leg so far */
    uint32_t leaf[TILE]; /* on the last leg asked */
    pdb_origins from[TILE];
    double latency[BRANCHES][TILE], power[BRANCHES][TILE];
} tile;

/* Where a length lies on a leg; lengths mostly ascend, so the search goes on from the last one. */
static void advance(leg *l, const uint64_t *keys, uint64_t floor) {
    if (l->up > l->lo && keys[l->up - 1] > floor)
        l->up = pdb_after(keys, l->lo, l->up, floor);
    while (l->up < l->hi && keys[l->up] <= floor)
        l->up++;
}

/* Values of a leg at every length of the tile. */
static void ask_leg(const plan *p, int branch, tile *t) {
    const pdb_grid *g = p->g;
    const int last = g->axes - 1;
    const bool root = last == p->sqrt_axis;
    const uint64_t *keys = g->keys[last];
    leg l = p->legs[branch - p->first_leg];
    double *latency = t->latency[branch], *power = t->power[branch];
    for (size_t i = 0; i < t->n; i++) {
        if (t->outside[i])
            continue;
        advance(&l, keys, t->floor[i]);
        bool before = l.up == l.lo;
        bool exact = !before && keys[l.up - 1] == t->floor[i] && pdb_key_real(t->floor[i]) == t->c[i];
        if (before || (!exact && l.up == l.hi)) {
            t->outside[i] = true;
            continue;
        }
        const pdb_leaf *a = &g->leaf[l.up - 1];
        t->leaf[i] = l.up - 1;
        t->exact[i] = t->exact[i] && exact;
        t->from[i] |= pdb_leaf_from(g, l.up - 1);
        latency[i] = a->latency;
        power[i] = pdb_blend_power(a);
        if (exact)
            continue;
        double key = pdb_key_real(keys[l.up - 1]), w = (t->c[i] - key) / (pdb_key_real(keys[l.up]) - key);
        t->from[i] |= pdb_leaf_from(g, l.up);
        power[i] = power[i] + (pdb_blend_power(a + 1) - power[i]) * w;
        latency[i] = pdb_blend(a->latency, a[1].latency, w, root);
    }
}

/* Branch b of every length from its children; lengths outside carry garbage along. */
static void blend_branch(const plan *p, int b, int level, tile *t) {
    int l = 2 * b + 1, r = l + 1;
    const double w = p->w[b];
    const bool root = level == p->sqrt_axis;
    if (!p->pair[b]) {
        memcpy(t->latency[b], t->latency[l], t->n * sizeof(double));
        memcpy(t->power[b], t->power[l], t->n * sizeof(double));
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        t->latency[b][i] = pdb_blend(t->latency[l][i], t->latency[r][i], w, root);
        t->power[b][i] = t->power[l][i] + (t->power[r][i] - t->power[l][i]) * w;
    }
}

static void ask_tile(const plan *p, tile *t, pdb_value *out) {
    for (size_t i = 0; i < t->n; i++) {
        t->exact[i] = true;
        t->from[i] = 0;
        t->outside[i] = !pdb_floor_key(t->c[i], &t->floor[i]);
    }
    for (int b = 2 * p->first_leg; b >= p->first_leg; b--)
        if (p->used[b])
            ask_leg(p, b, t);
    for (int b = p->first_leg - 1, level = p->g->axes - 2; b >= 0; b--) {
        while (b < (1 << level) - 1)
            level--;
        if (p->used[b])
            blend_branch(p, b, level, t);
    }
    for (size_t i = 0; i < t->n; i++) {
        if (t->outside[i])
            continue;
        const pdb_leaf *leaf = &p->g->leaf[t->leaf[i]];
        if (t->exact[i] && !p->blended) /* one leg, one leaf: verbatim */
            out[i] = (pdb_value){leaf->latency, leaf->power, leaf->energy, PDB_EXACT, t->from[i]};
        else
            out[i] = (pdb_value){t->latency[0][i], t->power[0][i], t->power[0][i] * t->latency[0][i],
                                 PDB_INSIDE, t->from[i]};
    }
}

pdb_miss pdb_grid_query_last(const pdb_grid *g, double *coords, const double *last, int n, int sqrt_axis,
                             pdb_sol sol, const void *ctx, pdb_value *out) {
    if (g->n[0] == 0)
        return PDB_MISS_EMPTY;
    plan p = {.g = g, .sqrt_axis = sqrt_axis, .first_leg = (1 << (g->axes - 1)) - 1};
    bool laid = lay_out(&p, coords, 0, 0, 0, g->n[0]);
    tile t;
    for (int first = 0; first < n; first += TILE) {
        t.n = n - first < TILE ? (size_t)(n - first) : TILE;
        t.c = last + first;
        if (laid)
            ask_tile(&p, &t, out + first);
        for (size_t i = 0; i < t.n; i++) {
            if (laid && !t.outside[i])
                continue;
            coords[g->axes - 1] = t.c[i];
            pdb_miss miss = pdb_grid_query(g, coords, sqrt_axis, sol, ctx, &out[(size_t)first + i]);
            if (miss != PDB_HIT)
                return miss;
        }
    }
    return PDB_HIT;
}
