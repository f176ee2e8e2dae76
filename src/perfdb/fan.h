/* Fans: queries of a grid at many places of its last axis, the same ones for many values of the axis before
 * (a decode step's KV lengths and batches; docs/model/serving.md, "factoring").
 *
 * The curve of a key over the last axis is worked out once, for all places; a value between two keys blends
 * their curves, column by column. Whoever asks does that: a fan hands out the curves, and answers by itself
 * where one of them ends.
 */
#ifndef AICFG_PERFDB_FAN_H
#define AICFG_PERFDB_FAN_H

#include "perfdb/interp.h"

/* How a curve meets a place. */
enum { PDB_FAN_BETWEEN = 0, PDB_FAN_ON_KEY = 1, PDB_FAN_OUTSIDE = 2 };

/* Columns, one value for each place; 0 at those outside. */
typedef struct pdb_fan_curve {
    uint32_t made;     /* 1 + the index of its key; 0: not made yet */
    uint8_t *meets;    /* PDB_FAN_* */
    double *latency;   /* ms */
    double *power;     /* W; NULL: the grid has none */
    pdb_origins *from; /* NULL: all rows are the view's own */
} pdb_fan_curve;

typedef struct pdb_hold_lists pdb_hold_lists;

typedef struct pdb_fan {
    const pdb_grid *g;
    pdb_sol sol;
    const void *ctx;
    double at[4];    /* coordinates; those of the last axis are of no question in particular */
    uint32_t lo, hi; /* keys of the axis before the last */
    size_t n;
    const double *places;
    pdb_fan_curve curves[2];
    /* What the value asked for last lies between: right NULL = on the key of left; both NULL = outside. */
    const pdb_fan_curve *left, *right;
    double w;              /* share of right */
    pdb_hold_lists *lists; /* of leaves near places that no curve reaches */
} pdb_fan;

/* Memory for n places, bytes; aligned for doubles, it is the caller's. */
size_t pdb_fan_bytes(const pdb_grid *g, size_t n);
/* coords: those of the axes before the last two. places (n of them, best in ascending stretches) and ctx must
 * outlive the fan. False: the grid or the coordinates have no such answer; ask one at a time. */
bool pdb_fan_open(pdb_fan *f, const pdb_grid *g, const double *coords, const double *places, size_t n,
                  pdb_sol sol, const void *ctx, void *memory);
/* Turns to a value of the axis before the last. Ascending values make each curve once. */
void pdb_fan_turn(pdb_fan *f, double value);
/* What pdb_grid_query answers, without root space, at places from .. to - 1; ends at the first miss. */
pdb_miss pdb_fan_query(pdb_fan *f, size_t from, size_t to, const pdb_values *out);

#endif
