/* Ordering rows by the values of their axes. Private to perfdb.
 *
 * Measurements lie on few values of each axis, and on most combinations of them: a row's place in the box
 * that the values span is its place in the order, so that nothing needs sorting but the values. Everything
 * here is scratch of the caller's level. */
#ifndef AICFG_PERFDB_LATTICE_H
#define AICFG_PERFDB_LATTICE_H

#include "base/base.h"

/* The values that rows have along one axis, numbered in the order in which they are first seen. */
typedef struct pdb_axis {
    uint32_t n;
    uint32_t *number; /* by row */
    uint64_t *value;  /* by number */
    uint32_t *rank;   /* by number: place among the values in ascending order */
} pdb_axis;

/* Row i has the value values[i * step]. Fewer than 2^31 rows. */
pdb_axis pdb_axis_of(size_t n, const uint64_t *values, size_t step);

/* The place of each of n rows of `width` keys, all different, among them in ascending order. */
uint32_t *pdb_ranks_of(size_t n, int width, const uint64_t *keys);

/* Rows in ascending order of their axes, the most significant first; of rows that agree the first alone.
 * order: n entries; returns how many are filled. False: the box is too empty for that. */
bool pdb_lattice_order(size_t n, int axes, const pdb_axis *axis, uint32_t *order, size_t *kept);

/* The same of n rows of `width` keys each, whatever they are. */
size_t pdb_distinct_rows(size_t n, int width, const uint64_t *keys, uint32_t *order);

#endif
