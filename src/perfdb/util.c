/* Calibrated estimation: utilisation samples, nearest reference shape, nearest difference
 * (docs/model/interpolation.md). */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

static double log_floor(double x) { /* zero kept finite */
    return log(x > 1e-9 ? x : 1e-9);
}

/* Where the points lie along one axis, in log space. */
typedef struct span {
    double lo, width; /* width 1 when all points agree */
} span;

/* latency: points below 0 or NaN are left out; NULL = all count. */
static bool usable(const double *latency, size_t i) {
    return !latency || latency[i] >= 0;
}

static span span_of(size_t n, size_t stride, const double *x, const double *latency) {
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double l = log_floor(x[i * stride]);
        if (!usable(latency, i))
            continue;
        lo = l < lo ? l : lo;
        hi = l > hi ? l : hi;
    }
    double width = hi - lo;
    return (span){lo, width > 0 ? width : 1.0};
}

static double normal(span s, double x) {
    return (log_floor(x) - s.lo) / s.width;
}

/* ---- UTIL-GRID ------------------------------------------------------------------------------- */

struct pdb_util {
    int axes;
    size_t n;
    span span[PDB_MAX_AXES];
    pdb_near_tree tree; /* samples nested by normalised coordinates; rank = the order they were given in */
    double *util;       /* by leaf */
    const pdb_origins *from; /* by leaf; NULL = all own */
};

/* Bits that order doubles as unsigned integers do. */
static uint64_t ordered_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

/* Samples usable for calibration, packed: coords, utilisation and the sample's index. Returns how many. */
static size_t collect(int axes, size_t n, const double *coords, const double *latency, pdb_sol sol,
                      const void *ctx, double *kept, double *util, uint32_t *row) {
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const double *at = coords + i * (size_t)axes;
        if (!(latency[i] > 0))
            continue;
        double s = sol(ctx, at);
        if (!(s > 0))
            continue;
        memcpy(kept + m * (size_t)axes, at, (size_t)axes * sizeof *at);
        row[m] = (uint32_t)i;
        util[m++] = s / latency[i];
    }
    return m;
}

/* Nests m normalised samples (axes values each) by their sorted order. Equal samples stay apart. */
static void nest(aic_arena *a, pdb_near_tree *t, size_t m, const uint64_t *bits, const double *x,
                 const uint32_t *order) {
    size_t axes = (size_t)t->axes;
    double *pos[PDB_MAX_AXES];
    uint32_t *first[PDB_MAX_AXES], *rank = aic_arena_alloc(a, m, sizeof *rank), at[PDB_MAX_AXES] = {0};
    for (size_t k = 0; k < axes; k++) {
        pos[k] = aic_arena_alloc(a, m, sizeof **pos);
        first[k] = aic_arena_alloc(a, m + 1, sizeof **first);
    }
    for (size_t i = 0; i < m; i++) {
        size_t row = order[i], level = 0;
        while (i && level < axes - 1 && bits[row * axes + level] == bits[order[i - 1] * axes + level])
            level++;
        for (; level < axes; level++) {
            pos[level][at[level]] = x[row * axes + level];
            if (level < axes - 1)
                first[level][at[level]] = at[level + 1];
            at[level]++;
        }
        rank[i] = order[i];
    }
    for (size_t k = 0; k < axes; k++) {
        if (k < axes - 1)
            first[k][at[k]] = at[k + 1];
        t->pos[k] = pos[k];
        t->first[k] = first[k];
    }
    t->roots = at[0];
    t->rank = rank;
}

pdb_util *pdb_util_build(aic_arena *a, int axes, size_t n, const double *coords, const double *latency,
                         const pdb_origins *from, pdb_sol sol, const void *ctx) {
    pdb_util *u = aic_arena_alloc(a, 1, sizeof *u);
    u->axes = u->tree.axes = axes;
    size_t width = (size_t)axes, cells = aic_mul(n, width);
    double *kept = aic_alloc(cells, sizeof *kept), *util = aic_alloc(n, sizeof *util);
    uint32_t *row = aic_alloc(n, sizeof *row);
    size_t m = collect(axes, n, coords, latency, sol, ctx, kept, util, row);
    for (size_t k = 0; k < width; k++)
        u->span[k] = span_of(m, width, kept + k, NULL);
    uint64_t *bits = aic_alloc(cells, sizeof *bits);
    uint32_t *order = aic_alloc(m, sizeof *order);
    for (size_t i = 0; i < m * width; i++) {
        kept[i] = normal(u->span[i % width], kept[i]);
        bits[i] = ordered_bits(kept[i]);
    }
    pdb_sort_rows(m, axes, bits, order);
    nest(a, &u->tree, m, bits, kept, order);
    u->n = m;
    u->util = aic_arena_alloc(a, m, sizeof *u->util);
    for (size_t i = 0; i < m; i++) {
        u->util[i] = util[order[i]];
        order[i] = row[order[i]];
    }
    u->from = pdb_keep_origins(a, from, m, order);
    free(row);
    free(kept);
    free(util);
    free(bits);
    free(order);
    return u;
}

size_t pdb_util_count(const pdb_util *u) {
    return u->n;
}

static pdb_origins sample_from(const pdb_util *u, uint32_t leaf) {
    return u->from ? u->from[leaf] : 0;
}

bool pdb_util_at(const pdb_util *u, const double *coords, double *util, pdb_origins *from) {
    double z[PDB_MAX_AXES];
    for (int i = 0; i < u->axes; i++) {
        double x = normal(u->span[i], coords[i]);
        z[i] = x < 0 ? 0 : x > 1 ? 1 : x;
    }
    pdb_near_hit hit[2];
    int n = pdb_near(&u->tree, z, 2, NULL, NULL, hit);
    if (n == 0)
        return false;
    if (hit[0].distance == 0) {
        *util = u->util[hit[0].leaf];
        *from = sample_from(u, hit[0].leaf);
        return true;
    }
    double sum = 0, weights = 0;
    *from = 0;
    for (int i = 0; i < n; i++) {
        double w = 1 / hit[i].distance;
        sum += u->util[hit[i].leaf] * w;
        weights += w;
        *from |= sample_from(u, hit[i].leaf);
    }
    *util = sum / weights;
    return true;
}

/* ---- NEAREST-REF ----------------------------------------------------------------------------- */

int pdb_nearest_ref(int dims, const double *query, size_t n, const double *candidates) {
    double target[PDB_MAX_FEATURES], best_square = INFINITY;
    span spans[PDB_MAX_FEATURES];
    size_t width = (size_t)dims, best = n;
    if (n == 0)
        return -1;
    for (size_t k = 0; k < width; k++) {
        spans[k] = span_of(n, width, candidates + k, NULL);
        target[k] = normal(spans[k], query[k]);
    }
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t k = 0; k < width; k++) {
            double d = normal(spans[k], candidates[i * width + k]) - target[k];
            square += d * d;
        }
        if (best == n || square < best_square) {
            best = i;
            best_square = square;
        }
    }
    return (int)best;
}

/* ---- DELTA-LOOKUP ---------------------------------------------------------------------------- */

/* The answer at the nearest point, whose difference is `latency`. */
static bool scale_delta(const double *point, double latency, const double *query, pdb_sol sol,
                        const void *ctx, double *out) {
    *out = 0;
    if (latency == 0)
        return true;
    double there = sol(ctx, point), here = sol(ctx, query);
    if (there <= 0 || here <= 0)
        return false;
    *out = here / (there / latency);
    return true;
}

struct pdb_delta {
    int axes;
    size_t n; /* usable points */
    span span[PDB_MAX_AXES];
    double *point, *z, *latency; /* n x axes as given and normalised; n */
    pdb_origins *from;           /* n; NULL = all own */
};

const pdb_delta *pdb_delta_build(aic_arena *a, int axes, size_t n, const double *points,
                                 const double *latency, const pdb_origins *from) {
    pdb_delta *d = aic_arena_alloc(a, 1, sizeof *d);
    size_t width = (size_t)axes, cells = aic_mul(n, width);
    *d = (pdb_delta){.axes = axes,
                     .point = aic_arena_alloc(a, cells, sizeof(double)),
                     .z = aic_arena_alloc(a, cells, sizeof(double)),
                     .latency = aic_arena_alloc(a, n, sizeof(double)),
                     .from = from ? aic_arena_alloc(a, n, sizeof(pdb_origins)) : NULL};
    for (size_t k = 0; k < width; k++)
        d->span[k] = span_of(n, width, points + k, latency);
    for (size_t i = 0; i < n; i++) {
        if (!usable(latency, i))
            continue;
        for (size_t k = 0; k < width; k++) {
            d->point[d->n * width + k] = points[i * width + k];
            d->z[d->n * width + k] = normal(d->span[k], points[i * width + k]);
        }
        if (from)
            d->from[d->n] = from[i];
        d->latency[d->n++] = latency[i];
    }
    return d;
}

bool pdb_delta_at(const pdb_delta *d, const double *query, pdb_sol sol, const void *ctx, double *out,
                  pdb_origins *out_from) {
    size_t width = (size_t)d->axes, best = d->n;
    double target[PDB_MAX_AXES], best_square = INFINITY;
    for (size_t k = 0; k < width; k++)
        target[k] = normal(d->span[k], query[k]);
    for (size_t i = 0; i < d->n; i++) {
        double square = 0;
        for (size_t k = 0; k < width; k++) {
            double x = d->z[i * width + k] - target[k];
            square += x * x;
        }
        if (best == d->n || square < best_square) {
            best = i;
            best_square = square;
        }
    }
    *out_from = best < d->n && d->from ? d->from[best] : 0;
    return best < d->n && scale_delta(d->point + best * width, d->latency[best], query, sol, ctx, out);
}
