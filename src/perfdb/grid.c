/* GRID: building nested tables and querying them (docs/model/interpolation.md). */
#include "perfdb/internal.h"
#include "perfdb/lattice.h"
#include "perfdb/scratch.h"
#include <string.h>

const char *pdb_miss_text(pdb_miss m) {
    static const char *const texts[] = {
        [PDB_HIT] = "answered",
        [PDB_MISS_EMPTY] = "the table has no entries",
        [PDB_MISS_NO_ANCHOR] = "no measured point with positive latency and SOL to scale from",
        [PDB_MISS_QUERY_SOL] = "the SOL time of the query is not positive",
        [PDB_MISS_NO_SITE] = "no measured shape within the distance gate",
        [PDB_MISS_NO_NEIGHBOUR] = "no neighbouring shape is usable",
        [PDB_MISS_HOLE] = "the bracketing branches hold nothing",
    };
    return texts[m];
}

/* ---- building -------------------------------------------------------------------------------- */

/* First level whose key differs between two rows; `axes` when they are one coordinate. */
static int differs_at(const uint64_t *a, const uint64_t *b, int axes) {
    int level = 0;
    while (level < axes && a[level] == b[level])
        level++;
    return level;
}

/* Counts the keys that each level needs for rows in ascending order. */
static void count_keys(size_t n, int axes, const uint64_t *coords, const uint32_t *order,
                       uint32_t count[PDB_MAX_AXES]) {
    for (size_t i = 0; i < n; i++) {
        const uint64_t *row = coords + (size_t)order[i] * (size_t)axes;
        int level = i ? differs_at(row, coords + (size_t)order[i - 1] * (size_t)axes, axes) : 0;
        for (; level < axes; level++)
            count[level]++;
    }
}

typedef struct grid_arrays {
    uint64_t *keys[PDB_MAX_AXES];
    uint32_t *first[PDB_MAX_AXES];
    double *latency;
} grid_arrays;

static void fill(grid_arrays *to, int axes, size_t kept, const uint64_t *coords, const pdb_leaf *leaves,
                 const uint32_t *order) {
    uint32_t at[PDB_MAX_AXES] = {0};
    for (size_t i = 0; i < kept; i++) {
        const uint64_t *row = coords + (size_t)order[i] * (size_t)axes;
        int level = i ? differs_at(row, coords + (size_t)order[i - 1] * (size_t)axes, axes) : 0;
        for (; level < axes; level++) {
            to->keys[level][at[level]] = row[level];
            if (level < axes - 1)
                to->first[level][at[level]] = at[level + 1];
            at[level]++;
        }
        to->latency[i] = leaves[order[i]].latency;
    }
    for (int level = 0; level < axes - 1; level++)
        to->first[level][at[level]] = at[level + 1];
}

/* Columns for runs along the last axis (grid_run.c). */
static void fill_columns(aic_arena *a, pdb_grid *g) {
    const uint32_t n = g->n[g->axes - 1];
    const uint64_t *keys = g->keys[g->axes - 1];
    double *real = aic_arena_take(a, n, sizeof *real), *power = NULL;
    bool doubles = true;
    for (uint32_t i = 0; i < n; i++) {
        doubles = doubles && keys[i] < UINT64_C(1) << 53;
        real[i] = pdb_key_real(keys[i]);
    }
    for (uint32_t i = 0; g->watts && i < n; i++) {
        const pdb_leaf leaf = pdb_grid_leaf(g, i);
        double p = pdb_blend_power(&leaf);
        if (!power && !pdb_is_zero(p))
            power = aic_arena_alloc(a, n, sizeof *power);
        if (power)
            power[i] = p;
    }
    g->real = doubles ? real : NULL;
    g->power = power;
}

const pdb_grid *pdb_grid_build(aic_arena *a, int axes, size_t n, const uint64_t *coords,
                               const pdb_leaf *leaves, const pdb_origins *from, bool *keep) {
    pdb_scratch scratch = pdb_scratch_begin();
    uint32_t *order = pdb_scratch_take(n, sizeof *order);
    size_t kept = pdb_distinct_rows(n, axes, coords, order);
    for (size_t i = 0; keep && i < n; i++)
        keep[i] = false;
    for (size_t i = 0; keep && i < kept; i++)
        keep[order[i]] = true;
    pdb_grid *g = aic_arena_alloc(a, 1, sizeof *g);
    g->axes = axes;
    count_keys(kept, axes, coords, order, g->n);
    grid_arrays to = {.latency = aic_arena_take(a, kept, sizeof *to.latency)};
    for (int i = 0; i < axes; i++) {
        to.keys[i] = aic_arena_take(a, g->n[i], sizeof **to.keys);
        if (i < axes - 1)
            to.first[i] = aic_arena_take(a, (size_t)g->n[i] + 1, sizeof **to.first);
    }
    fill(&to, axes, kept, coords, leaves, order);
    g->watts = pdb_keep_watts(a, leaves, kept, order);
    g->from = pdb_keep_origins(a, from, kept, order);
    pdb_scratch_end(&scratch);
    for (int i = 0; i < axes; i++) {
        double *logs = aic_arena_take(a, g->n[i], sizeof *logs);
        for (uint32_t j = 0; j < g->n[i]; j++)
            logs[j] = pdb_log2_floor((double)to.keys[i][j]);
        g->keys[i] = to.keys[i];
        g->first[i] = to.first[i];
        g->log2_key[i] = logs;
    }
    g->latency = to.latency;
    fill_columns(a, g);
    return g;
}

/* ---- querying -------------------------------------------------------------------------------- */

typedef struct query {
    const pdb_grid *g;
    const double *c;
    uint64_t floor[PDB_MAX_AXES]; /* largest integer not above the coordinate */
    bool whole[PDB_MAX_AXES];     /* the coordinate is an integer a key can equal */
    bool usable[PDB_MAX_AXES];    /* false: negative, NaN or beyond 64 bits, hence outside every level */
    int sqrt_axis;
    pdb_sol sol;
    const void *ctx;
    bool blended;     /* some axis did not meet a key exactly */
    bool beyond;      /* a branch was answered from one side only */
    uint32_t last;    /* the leaf used last: the only one unless blended */
    pdb_origins from; /* of the leaves used so far */
} query;

typedef enum answer {
    ANSWERED,
    OUTSIDE
} answer; /* nodes are never empty: a branch exists only through its leaves */

static void prepare(query *q, int axis) {
    double c = q->c[axis];
    q->usable[axis] = pdb_floor_key(c, &q->floor[axis]);
    q->whole[axis] = q->usable[axis] && (double)q->floor[axis] == c;
}

/* The children of node j of a level, or at the last level the leaf itself as the range j..j+1. */
static void children(const pdb_grid *g, int level, uint32_t j, uint32_t *lo, uint32_t *hi) {
    bool last = level == g->axes - 1;
    *lo = last ? j : g->first[level][j];
    *hi = last ? j + 1 : g->first[level][j + 1];
}

static answer interior(query *q, int level, uint32_t lo, uint32_t hi, double *latency, double *power) {
    const pdb_grid *g = q->g;
    if (level == g->axes) {
        q->last = lo;
        q->from |= pdb_leaf_from(g, lo);
        *latency = g->latency[lo];
        *power = g->power ? g->power[lo] : 0.0;
        return ANSWERED;
    }
    if (!q->usable[level])
        return OUTSIDE;
    const uint64_t *keys = g->keys[level];
    uint32_t up = pdb_after(keys, lo, hi, q->floor[level]), from, to;
    if (up > lo && q->whole[level] && keys[up - 1] == q->floor[level]) {
        children(g, level, up - 1, &from, &to);
        return interior(q, level + 1, from, to, latency, power);
    }
    if (up == lo || up == hi)
        return OUTSIDE;
    q->blended = true;
    double l[2], p[2], key[2] = {(double)keys[up - 1], (double)keys[up]};
    answer side[2];
    for (uint32_t k = 0; k < 2; k++) {
        children(g, level, up - 1 + k, &from, &to);
        side[k] = interior(q, level + 1, from, to, &l[k], &p[k]);
    }
    if (side[0] == OUTSIDE && side[1] == OUTSIDE)
        return OUTSIDE;
    if (side[0] == ANSWERED && side[1] == ANSWERED) {
        double w = (q->c[level] - key[0]) / (key[1] - key[0]);
        *power = p[0] + (p[1] - p[0]) * w;
        *latency = pdb_blend(l[0], l[1], w, level == q->sqrt_axis);
        return ANSWERED;
    }
    int k = side[0] == ANSWERED ? 0 : 1;
    *latency = pdb_carried(g->axes, q->sol, q->ctx, q->c, level, key[k], l[k]); /* one branch alone */
    q->beyond = true;
    *power = p[k];
    return ANSWERED;
}

static pdb_miss ask(query *q, pdb_value *out) {
    double latency, power;
    q->blended = q->beyond = false;
    q->from = 0;
    bool inside = interior(q, 0, 0, q->g->n[0], &latency, &power) == ANSWERED;
    if (inside && !q->blended) {
        const pdb_leaf leaf = pdb_grid_leaf(q->g, q->last);
        *out = (pdb_value){leaf.latency, leaf.power, leaf.energy, PDB_EXACT, q->from};
        return PDB_HIT;
    }
    if (!inside) {
        pdb_miss miss = pdb_grid_hold(q->g, q->c, q->sol, q->ctx, &latency, &power, &q->from);
        if (miss != PDB_HIT)
            return miss;
    }
    pdb_how how = inside && !q->beyond ? PDB_INSIDE : PDB_BEYOND;
    *out = (pdb_value){latency, power, power * latency, how, q->from};
    return PDB_HIT;
}

pdb_miss pdb_grid_query(const pdb_grid *g, const double *coords, int sqrt_axis, pdb_sol sol, const void *ctx,
                        pdb_value *out) {
    if (g->n[0] == 0)
        return PDB_MISS_EMPTY;
    query q = {.g = g, .c = coords, .sqrt_axis = sqrt_axis, .sol = sol, .ctx = ctx};
    for (int i = 0; i < g->axes; i++)
        prepare(&q, i);
    return ask(&q, out);
}
