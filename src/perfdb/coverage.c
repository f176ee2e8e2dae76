/* What a merged table holds: the values of its categories, the range of its axes. */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts and keeps each value once; returns how many are left. */
static size_t distinct(uint64_t *values, size_t n) {
    size_t kept = 0;
    if (n)
        qsort(values, n, sizeof *values, ascending);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || values[i] != values[kept - 1])
            values[kept++] = values[i];
    return kept;
}

/* Appends a slice's coordinates; a coordinate may stand there several times. */
static void gather(const pdb_slice *s, int axis, uint64_t **keys, size_t *n) {
    const pdb_grid *g = pdb_slice_grid(s);
    size_t more = g->n[axis];
    *keys = aic_realloc(*keys, aic_add(*n, more), sizeof **keys);
    memcpy(*keys + *n, g->keys[axis], more * sizeof **keys);
    *n = distinct(*keys, *n + more);
}

pdb_range pdb_coverage_axis(const pdb_table *t, const pdb_slice *slice, int axis) {
    uint64_t *keys = NULL;
    size_t n = 0;
    for (size_t i = 0; !slice && i < pdb_slice_count(t); i++)
        gather(pdb_slice_at(t, i), axis, &keys, &n);
    if (slice)
        gather(slice, axis, &keys, &n);
    pdb_range r = {.low = n ? keys[0] : 0, .high = n ? keys[n - 1] : 0, .points = n};
    free(keys);
    return r;
}

size_t pdb_coverage_values(const pdb_table *t, int cat, aic_arena *a, const uint64_t **values) {
    size_t n = pdb_slice_count(t);
    uint64_t *all = aic_arena_alloc(a, n, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = pdb_slice_at(t, i)->cat[cat];
    *values = all;
    return distinct(all, n);
}
