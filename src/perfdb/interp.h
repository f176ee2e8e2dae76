/* Interpolation primitives over measured leaves (docs/model/interpolation.md).
 *
 * GRID: nested sorted axes, exact hit, piecewise-linear inside, four nearest anchors scaled by SOL beyond
 * (GRID-HOLD). CURVE: GRID with one axis. SITES: scattered shapes, each with its own curve (GEMM: site (n,
 * k), curve over m). All are pure functions of (immutable data, coordinates, sol); no allocation, no locks.
 * The sol function prices the full coordinate vector in ms; nothing is clamped and nothing is invented: with
 * no anchor the query is a miss.
 */
#ifndef AICFG_PERFDB_INTERP_H
#define AICFG_PERFDB_INTERP_H

#include "base/base.h"
#include <stdint.h>

typedef struct pdb_leaf {
    double latency; /* ms, clamped at load where the schema says so */
    double power;   /* W as stored */
    double energy;  /* W*ms: stored power x measured latency (before the clamp) */
} pdb_leaf;

/* The part of leaves that most tables do not measure. */
typedef struct pdb_watts {
    double power, energy; /* as in pdb_leaf */
} pdb_watts;
static inline pdb_leaf pdb_leaf_of(const double *latency, const pdb_watts *watts, size_t i) {
    return (pdb_leaf){latency[i], watts ? watts[i].power : 0.0, watts ? watts[i].energy : 0.0};
}

/* The sources besides the one asked for that something was computed from, as bits: the kinds of them, then
 * the sources themselves as the view numbers them (pdb_origin_names). 0 = rows of the view's own backend and
 * version alone. */
typedef uint32_t pdb_origins;
enum {
    PDB_OTHER_VERSION = 1, /* rows of another version of the view's backend */
    PDB_OTHER_BACKEND = 2, /* rows of another backend */
    PDB_CARRIED = PDB_OTHER_VERSION | PDB_OTHER_BACKEND,
    PDB_ORIGIN_BITS = 2, /* the bits above are sources */
    PDB_ORIGIN_MAX = 30  /* sources that have a bit; those met after them have a kind only */
};

typedef enum pdb_how {
    PDB_EXACT,  /* a measured point verbatim */
    PDB_INSIDE, /* interpolated inside the measured range */
    PDB_BEYOND  /* held, transferred or scaled by SOL beyond it */
} pdb_how;

typedef enum pdb_miss {
    PDB_HIT = 0,
    PDB_MISS_EMPTY,        /* table has no entries */
    PDB_MISS_NO_ANCHOR,    /* no measured point with positive latency and SOL to scale from */
    PDB_MISS_QUERY_SOL,    /* SOL at the query is not positive */
    PDB_MISS_NO_SITE,      /* no measured shape within the distance gate */
    PDB_MISS_NO_NEIGHBOUR, /* neighbours exist but none is usable */
    PDB_MISS_HOLE          /* the bracketing branches hold nothing */
} pdb_miss;
const char *pdb_miss_text(pdb_miss m);

typedef struct pdb_value {
    double latency, power, energy; /* energy = stored on an exact GRID hit, else power x latency */
    pdb_how how;
    pdb_origins from; /* of exactly the leaves that went in */
} pdb_value;

typedef double (*pdb_sol)(const void *ctx, const double *coords);

/* Nested grid, flattened: level i has keys[i][0..n[i]), first[i][j] .. first[i][j+1] are the children of key
 * j in level i+1 (levels 0..axes-2); at the last level key j belongs to leaf j. Keys ascend within a node. */
typedef struct pdb_grid {
    int axes;      /* 1..PDB_MAX_AXES */
    uint32_t n[4]; /* keys per level; n[axes-1] = leaves */
    const uint64_t *keys[4];
    const uint32_t *first[4];  /* n[i]+1 entries, levels 0..axes-2 */
    const double *log2_key[4]; /* log2(max(key, 1e-12)) of every key, for distances */
    const double *real;        /* keys of the last level; NULL when some are no doubles */
    const double *latency;     /* of n[axes-1] leaves in lexicographic key order */
    const pdb_watts *watts;    /* by leaf; NULL when all are 0 */
    const double *power;       /* by leaf: what powers are blended from; NULL when all are 0 */
    const pdb_origins *from;   /* by leaf; NULL: all rows are the view's own */
} pdb_grid;

/* Builds a grid in the arena from leaves given in priority order: coords is n x axes; from tells where each
 * leaf comes from (NULL: all are own); the first leaf of a coordinate wins, and keep[i] tells which rows were
 * kept (keep may be NULL). */
const pdb_grid *pdb_grid_build(aic_arena *a, int axes, size_t n, const uint64_t *coords,
                               const pdb_leaf *leaves, const pdb_origins *from, bool *keep);
static inline pdb_leaf pdb_grid_leaf(const pdb_grid *g, size_t leaf) {
    return pdb_leaf_of(g->latency, g->watts, leaf);
}
static inline pdb_origins pdb_leaf_from(const pdb_grid *g, size_t leaf) {
    return g->from ? g->from[leaf] : 0;
}

/* sqrt_axis: the axis blended in square-root space, or -1. coords: grid->axes doubles. */
pdb_miss pdb_grid_query(const pdb_grid *g, const double *coords, int sqrt_axis, pdb_sol sol, const void *ctx,
                        pdb_value *out);

/* Columns of values. */
typedef struct pdb_values {
    double *latency, *energy;
    uint8_t *how; /* pdb_how */
    pdb_origins *from;
} pdb_values;

/* SITES: shapes (two site axes) with one curve each, in enumeration order (it decides exact distance ties).
 */
typedef struct pdb_sites {
    uint32_t n;              /* sites */
    const uint64_t *site;    /* n x 2 site coordinates */
    const double *log2_site; /* n x 2 */
    const double *range;     /* n x 2: first and last curve key of each site */
    const uint32_t *first;   /* n+1: curve points of site i are first[i] .. first[i+1] */
    const uint64_t *key;     /* curve keys, ascending per site */
    const double *latency;   /* by point */
    const pdb_watts *watts;  /* by point; NULL when all are 0 */
    const uint32_t *by_site; /* site indices sorted by coordinates, for exact lookup */
    const pdb_origins *from; /* by point; NULL: all rows are the view's own */
} pdb_sites;

/* From rows in priority order with coords n x 3 = (curve, site0, site1); order of first appearance as the
 * chapter says. from as for pdb_grid_build. */
const pdb_sites *pdb_sites_build(aic_arena *a, size_t n, const uint64_t *coords, const pdb_leaf *leaves,
                                 const pdb_origins *from);
/* The same with sites numbered in ascending order of their coordinates. */
const pdb_sites *pdb_sites_build_ascending(aic_arena *a, size_t n, const uint64_t *coords,
                                           const pdb_leaf *leaves, const pdb_origins *from);

/* coords = (curve, site0, site1). own_fallback: an own site whose curve does not cover the query gives way to
 * its neighbours. */
pdb_miss pdb_sites_query(const pdb_sites *s, const double coords[3], bool own_fallback, pdb_sol sol,
                         const void *ctx, pdb_value *out);

/* A shape asked many times: its own site, or all sites from the nearest outwards, found once. Answers what
 * pdb_sites_query answers without own_fallback. s must outlive it. */
typedef struct pdb_site_aim pdb_site_aim;
const pdb_site_aim *pdb_sites_aim(aic_arena *a, const pdb_sites *s, double site0, double site1);
pdb_miss pdb_sites_query_aimed(const pdb_site_aim *aim, double curve, pdb_sol sol, const void *ctx,
                               pdb_value *out);

/* Queries of a shape one after another, best with ascending positions: what one finds out helps the next. */
typedef struct pdb_site_tail {
    bool known;  /* the rest is filled in */
    bool usable; /* some point near that end has an efficiency */
    double efficiency, power;
    pdb_origins from;
} pdb_site_tail;
typedef struct pdb_site_place {
    uint32_t curve;         /* 1 + the site whose curve it is on; 0 = of none yet */
    uint32_t up;            /* the curve's first point beyond the last position */
    pdb_site_tail tails[2]; /* its upper end and its lower */
} pdb_site_place;
enum { PDB_SITE_PLACES = 4 };
typedef struct pdb_site_run {
    const pdb_site_aim *aim;
    pdb_sol sol;
    const void *ctx;
    pdb_site_place places[PDB_SITE_PLACES]; /* on the own curve, or on those that stand in for it */
} pdb_site_run;
pdb_site_run pdb_site_run_of(const pdb_site_aim *aim, pdb_sol sol, const void *ctx);
/* What pdb_sites_query_aimed answers. */
pdb_miss pdb_site_run_at(pdb_site_run *r, double curve, pdb_value *out);

/* Calibrated estimation (empirical mode): utilisation samples over normalised log axes. from tells where each
 * sample comes from (NULL: all are own). */
typedef struct pdb_util pdb_util;
pdb_util *pdb_util_build(aic_arena *a, int axes, size_t n, const double *coords, const double *latency,
                         const pdb_origins *from, pdb_sol sol, const void *ctx);
/* *from: the origins of the samples that went in. False: no samples. */
bool pdb_util_at(const pdb_util *u, const double *coords, double *util, pdb_origins *from);
size_t pdb_util_count(const pdb_util *u); /* samples fit for use */

/* Index of the candidate nearest to `query` in normalised log space (n x dims candidates), -1 when n = 0. */
#define PDB_MAX_FEATURES 8 /* dims at most */
int pdb_nearest_ref(int dims, const double *query, size_t n, const double *candidates);

/* Nearest non-negative difference (0 is a measurement). points: n x axes, copied; from as above. False =
 * nothing to scale from. */
typedef struct pdb_delta pdb_delta;
const pdb_delta *pdb_delta_build(aic_arena *a, int axes, size_t n, const double *points,
                                 const double *latency, const pdb_origins *from);
bool pdb_delta_at(const pdb_delta *d, const double *query, pdb_sol sol, const void *ctx, double *out,
                  pdb_origins *out_from);

#endif
