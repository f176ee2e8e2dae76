/* GRID queries that differ in their last coordinate only (docs/model/interpolation.md).
 *
 * The levels above the last are walked once: they leave up to eight curves (legs) over the last axis and the
 * weights that blend them. Lengths are then taken by the tile and a tile by the span, lengths between the
 * same two keys of a leg; within a span all is plain arithmetic on columns. Legs with the same keys share
 * their spans. Then the branches are blended, column by column, in the order of the plain walk. A length
 * outside a leg is left to pdb_grid_query, so that the answers are the same to the bit.
 */
#include "perfdb/internal.h"
#include <string.h>

enum { LEGS = 1 << (PDB_MAX_AXES - 1), BRANCHES = 2 * LEGS - 1, TILE = 64 };

typedef struct leg {
    uint32_t lo, hi; /* keys of the last level */
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
    bool blended;     /* a level above the last met no key exactly */
    double low, high; /* below and above these, all legs are left behind */
} plan;

/* False: a branch is outside its level. */
static bool lay_out(plan *p, const double *c, int level, int branch, uint32_t lo, uint32_t hi) {
    const pdb_grid *g = p->g;
    p->used[branch] = true;
    if (level == g->axes - 1) {
        p->legs[branch - p->first_leg] = (leg){.lo = lo, .hi = hi};
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

/* Lengths from .. to - 1 of a tile lie between two keys of a leg, or one meets the lower key. */
typedef struct span {
    uint32_t from, to;
    uint32_t at; /* the lower key, counted from the leg's first */
    bool exact;
} span;

/* Lengths on their way through the plan, and what is known of each. */
typedef struct tile {
    size_t n;
    const double *c;
    bool outside[TILE]; /* of a leg: left to the plain query */
    bool any_outside;
    size_t n_spans; /* of the leg asked last */
    span spans[TILE];
    double w[TILE]; /* within its span */
    pdb_origins from[TILE];
    double latency[BRANCHES][TILE], power[BRANCHES][TILE]; /* power of grids that have any */
} tile;

/* Lengths mostly ascend: looks a little further than the key above the last one before it searches. */
static uint32_t advance(const double *keys, leg l, uint32_t up, double c) {
    if (up > l.lo && !(keys[up - 1] <= c))
        return pdb_after_real(keys, l.lo, up, c);
    if (up < l.hi && keys[up] <= c && (++up == l.hi || keys[up] <= c))
        return pdb_after_real(keys, up, l.hi, c);
    return up;
}

/* Cuts the tile into spans of a leg and weighs its lengths. */
static void cut(const double *keys, leg l, tile *t) {
    uint32_t up = l.lo, n = (uint32_t)t->n;
    t->n_spans = 0;
    for (uint32_t i = 0, end; i < n; i = end) {
        double c = t->c[i];
        end = i + 1;
        if (t->outside[i])
            continue;
        up = advance(keys, l, up, c);
        bool before = up == l.lo, exact = !before && keys[up - 1] == c;
        if (before || (!exact && up == l.hi)) {
            t->outside[i] = t->any_outside = true;
            continue;
        }
        if (!exact) {
            double low = keys[up - 1], high = keys[up], width = high - low;
            while (end < n && t->c[end] > low && t->c[end] < high && !t->outside[end])
                end++;
#pragma omp simd
            for (uint32_t k = i; k < end; k++)
                t->w[k] = (t->c[k] - low) / width;
        }
        t->spans[t->n_spans++] = (span){.from = i, .to = end, .at = up - 1 - l.lo, .exact = exact};
    }
}

/* A column of the leaves of a leg at every length of the tile. */
static void fill_column(const double *leaves, const tile *t, double *restrict out) {
    for (size_t s = 0; s < t->n_spans; s++) {
        const span *sp = &t->spans[s];
        const double a = leaves[sp->at];
        if (sp->exact) {
            out[sp->from] = a;
            continue;
        }
        const double rise = leaves[sp->at + 1] - a;
#pragma omp simd
        for (uint32_t i = sp->from; i < sp->to; i++)
            out[i] = a + rise * t->w[i];
    }
}

static void fill_roots(const double *leaves, const tile *t, double *restrict out) {
    for (size_t s = 0; s < t->n_spans; s++) {
        const span *sp = &t->spans[s];
        for (uint32_t i = sp->from; i < sp->to; i++)
            out[i] =
                sp->exact ? leaves[sp->at] : pdb_blend(leaves[sp->at], leaves[sp->at + 1], t->w[i], true);
    }
}

static void mark_origins(const pdb_origins *from, tile *t) {
    for (size_t s = 0; s < t->n_spans; s++) {
        const span *sp = &t->spans[s];
        pdb_origins of = from[sp->at] | (sp->exact ? 0 : from[sp->at + 1]);
        for (uint32_t i = sp->from; i < sp->to; i++)
            t->from[i] |= of;
    }
}

static bool same_keys(const double *keys, leg a, leg b) {
    return a.hi - a.lo == b.hi - b.lo && memcmp(keys + a.lo, keys + b.lo, (a.hi - a.lo) * sizeof *keys) == 0;
}

/* Values of all legs at every length of the tile. */
static void ask_legs(const plan *p, tile *t) {
    const pdb_grid *g = p->g;
    const leg *last = NULL;
    for (int k = 0; k <= p->first_leg; k++) {
        const leg *l = &p->legs[k];
        int branch = p->first_leg + k;
        if (!p->used[branch])
            continue;
        if (!last || !same_keys(g->real, *last, *l))
            cut(g->real, *l, t);
        last = l;
        if (g->axes - 1 == p->sqrt_axis)
            fill_roots(g->latency + l->lo, t, t->latency[branch]);
        else
            fill_column(g->latency + l->lo, t, t->latency[branch]);
        if (g->power)
            fill_column(g->power + l->lo, t, t->power[branch]);
        if (g->from)
            mark_origins(g->from + l->lo, t);
    }
}

static void blend_column(const double *restrict l, const double *restrict r, double w, bool root, size_t n,
                         double *restrict out) {
    if (root) {
        for (size_t i = 0; i < n; i++)
            out[i] = pdb_blend(l[i], r[i], w, true);
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = l[i] + (r[i] - l[i]) * w;
}

/* Branch b of every length from its children; lengths outside carry garbage along. */
static void blend_branch(const plan *p, int b, int level, tile *t) {
    int l = 2 * b + 1, r = l + 1;
    size_t bytes = t->n * sizeof(double);
    if (p->pair[b])
        blend_column(t->latency[l], t->latency[r], p->w[b], level == p->sqrt_axis, t->n, t->latency[b]);
    else
        memcpy(t->latency[b], t->latency[l], bytes);
    if (p->g->power && p->pair[b])
        blend_column(t->power[l], t->power[r], p->w[b], false, t->n, t->power[b]);
    else if (p->g->power)
        memcpy(t->power[b], t->power[l], bytes);
}

/* One leg and one leaf answer verbatim. */
static void put_exact(const plan *p, const tile *t, pdb_values *out, size_t first) {
    const pdb_leaf *leaves = p->g->leaf;
    for (int k = 0; k <= p->first_leg; k++) {
        for (size_t s = 0; p->used[p->first_leg + k] && s < t->n_spans; s++) {
            const span *sp = &t->spans[s];
            if (!sp->exact)
                continue;
            out->energy[first + sp->from] = leaves[p->legs[k].lo + sp->at].energy;
            out->how[first + sp->from] = PDB_EXACT;
        }
    }
}

static void ask_tile(const plan *p, tile *t, pdb_values *out, size_t first) {
    static const double none[TILE];
    const size_t n = t->n;
    t->any_outside = false;
    memset(t->outside, 0, n);
    memset(t->from, 0, n * sizeof *t->from);
    ask_legs(p, t);
    for (int b = p->first_leg - 1, level = p->g->axes - 2; b >= 0; b--) {
        while (b < (1 << level) - 1)
            level--;
        if (p->used[b])
            blend_branch(p, b, level, t);
    }
    double *restrict latency = out->latency + first, *restrict energy = out->energy + first;
    const double *power = p->g->power ? t->power[0] : none;
    memcpy(latency, t->latency[0], n * sizeof *latency);
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        energy[i] = power[i] * latency[i];
    memset(out->how + first, PDB_INSIDE, n);
    memcpy(out->from + first, t->from, n * sizeof *t->from);
    if (!p->blended)
        put_exact(p, t, out, first);
}

/* One length, as pdb_grid_query has it. */
static pdb_miss ask_plainly(const pdb_grid *g, double *coords, double last, int sqrt_axis, pdb_sol sol,
                            const void *ctx, pdb_values *out, size_t i) {
    pdb_value v;
    coords[g->axes - 1] = last;
    pdb_miss miss = pdb_grid_query(g, coords, sqrt_axis, sol, ctx, &v);
    if (miss != PDB_HIT)
        return miss;
    out->latency[i] = v.latency;
    out->energy[i] = v.energy;
    out->how[i] = (uint8_t)v.how;
    out->from[i] = v.from;
    return PDB_HIT;
}

static void find_ends(plan *p) {
    const double *keys = p->g->real;
    p->low = INFINITY;
    p->high = -INFINITY;
    for (int k = 0; k <= p->first_leg; k++) {
        if (!p->used[p->first_leg + k])
            continue;
        p->low = fmin(p->low, keys[p->legs[k].lo]);
        p->high = fmax(p->high, keys[p->legs[k].hi - 1]);
    }
}

/* Lengths of a tile that the plan does not answer. Those beyond all legs stand together, as they ascend. */
static pdb_miss ask_outside(const plan *p, double *coords, const tile *t, pdb_sol sol, const void *ctx,
                            pdb_values *out, size_t first) {
    for (size_t i = 0, done; i < t->n; i += done) {
        size_t n = 0;
        pdb_miss miss = PDB_HIT;
        done = 1;
        if (!t->outside[i])
            continue;
        while (i + n < t->n && t->outside[i + n] && (t->c[i + n] > p->high || t->c[i + n] < p->low))
            n++;
        pdb_values to = {out->latency + first + i, out->energy + first + i, out->how + first + i,
                         out->from + first + i};
        done = 0;
        if (n > 0)
            miss = pdb_grid_hold_last(p->g, coords, t->c + i, n, sol, ctx, &done, &to);
        if (miss == PDB_HIT && done == 0) {
            miss = ask_plainly(p->g, coords, t->c[i], p->sqrt_axis, sol, ctx, &to, 0);
            done = 1;
        }
        if (miss != PDB_HIT)
            return miss;
    }
    return PDB_HIT;
}

pdb_miss pdb_grid_query_last(const pdb_grid *g, double *coords, const double *last, size_t n, int sqrt_axis,
                             pdb_sol sol, const void *ctx, pdb_values *out) {
    if (g->n[0] == 0)
        return PDB_MISS_EMPTY;
    plan p = {.g = g, .sqrt_axis = sqrt_axis, .first_leg = (1 << (g->axes - 1)) - 1};
    tile t;
    pdb_miss miss = PDB_HIT;
    if (!g->real || !lay_out(&p, coords, 0, 0, 0, g->n[0])) {
        for (size_t i = 0; i < n && miss == PDB_HIT; i++)
            miss = ask_plainly(g, coords, last[i], sqrt_axis, sol, ctx, out, i);
        return miss;
    }
    find_ends(&p);
    for (size_t first = 0; first < n && miss == PDB_HIT; first += TILE) {
        t.n = n - first < TILE ? n - first : TILE;
        t.c = last + first;
        ask_tile(&p, &t, out, first);
        if (t.any_outside)
            miss = ask_outside(&p, coords, &t, sol, ctx, out, first);
    }
    return miss;
}
