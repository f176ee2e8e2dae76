/* Merged tables: slices of grids from rows admitted in source order (docs/model/sources.md). */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

struct pdb_table {
    int n_key;         /* categories of a slice's key */
    pdb_slice *slices; /* first-encounter order */
    size_t n_slices;
    uint32_t *index; /* slice number + 1 by hash of the key, 0 = free; a power of two, at most half full */
    size_t n_index;
    size_t rows, bytes;
};

/* ---- slices by key --------------------------------------------------------------------------- */

static size_t hash_key(const uint64_t *key, int n) {
    uint64_t h = 0;
    for (int i = 0; i < n; i++) {
        h = (h ^ key[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return (size_t)h;
}

static bool same_key(const uint64_t *a, const uint64_t *b, int n) {
    for (int i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Place of the key in the index: its own, or the free one where it belongs. */
static size_t place_of(const uint32_t *index, size_t n_index, const pdb_slice *slices, int n_key,
                       const uint64_t *key) {
    size_t mask = n_index - 1, at = hash_key(key, n_key) & mask;
    while (index[at] && !same_key(slices[index[at] - 1].cat, key, n_key))
        at = (at + 1) & mask;
    return at;
}

const pdb_slice *pdb_slice_find(const pdb_table *t, const uint64_t *cat) {
    uint32_t found = t->index[place_of(t->index, t->n_index, t->slices, t->n_key, cat)];
    return found ? &t->slices[found - 1] : NULL;
}

size_t pdb_slice_count(const pdb_table *t) {
    return t->n_slices;
}

const pdb_slice *pdb_slice_at(const pdb_table *t, size_t i) {
    return &t->slices[i];
}

size_t pdb_table_rows(const pdb_table *t) {
    return t->rows;
}

size_t pdb_table_bytes(const pdb_table *t) {
    return t->bytes;
}

/* ---- gathering rows -------------------------------------------------------------------------- */

/* Rows while a table is built: parallel arrays, one entry per admitted row. */
typedef struct gathering {
    const pdb_view *view;
    const pdb_schema *schema;
    int n_key;
    pdb_slice *slices;
    size_t n_slices, cap_slices, last; /* last: slice of the row before, often this row's too */
    uint32_t *index;
    size_t n_index;
    uint32_t *slice_of;
    uint64_t *coords; /* n_axes per row */
    pdb_leaf *leaves;
    pdb_origins *from;
    size_t n, cap;
    size_t source_start; /* first row of the current source */
    const pdb_source *source;
} gathering;

static gathering gathering_of(const pdb_view *view, const pdb_schema *schema) {
    return (gathering){.view = view, .schema = schema, .n_key = schema->n_cats - schema->n_extra};
}

static void grow_index(gathering *g) {
    free(g->index);
    g->n_index = g->n_index ? aic_mul(g->n_index, 2) : 64;
    g->index = AIC_NEW_ARRAY(uint32_t, g->n_index);
    for (size_t i = 0; i < g->n_slices; i++)
        g->index[place_of(g->index, g->n_index, g->slices, g->n_key, g->slices[i].cat)] = (uint32_t)i + 1;
}

static uint32_t slice_for(gathering *g, const uint64_t *cat) {
    if (g->n_slices && same_key(g->slices[g->last].cat, cat, g->n_key))
        return (uint32_t)g->last;
    if (2 * (g->n_slices + 1) > g->n_index)
        grow_index(g);
    size_t at = place_of(g->index, g->n_index, g->slices, g->n_key, cat);
    if (!g->index[at]) {
        AIC_GROW(g->slices, g->n_slices, g->cap_slices);
        g->slices[g->n_slices] = (pdb_slice){0};
        memcpy(g->slices[g->n_slices].cat, cat, (size_t)g->n_key * sizeof *cat);
        g->index[at] = (uint32_t)++g->n_slices;
    }
    g->last = g->index[at] - 1;
    return (uint32_t)g->last;
}

static void reserve(gathering *g) {
    if (g->n < g->cap)
        return;
    g->cap = g->cap ? aic_mul(g->cap, 2) : 4096;
    g->slice_of = aic_realloc(g->slice_of, g->cap, sizeof *g->slice_of);
    g->coords = aic_realloc(g->coords, aic_mul(g->cap, (size_t)g->schema->n_axes), sizeof *g->coords);
    g->leaves = aic_realloc(g->leaves, g->cap, sizeof *g->leaves);
    g->from = aic_realloc(g->from, g->cap, sizeof *g->from);
}

/* Where the last row of a source wins, its rows are turned round: the first then wins everywhere. Their marks
 * are those of one source. */
static void reverse_source(gathering *g) {
    size_t axes = (size_t)g->schema->n_axes;
    for (size_t i = g->source_start, j = g->n; i + 1 < j; i++) {
        j--;
        uint32_t slice = g->slice_of[i];
        g->slice_of[i] = g->slice_of[j];
        g->slice_of[j] = slice;
        pdb_leaf leaf = g->leaves[i];
        g->leaves[i] = g->leaves[j];
        g->leaves[j] = leaf;
        for (size_t k = 0; k < axes; k++) {
            uint64_t key = g->coords[i * axes + k];
            g->coords[i * axes + k] = g->coords[j * axes + k];
            g->coords[j * axes + k] = key;
        }
    }
}

static void next_source(gathering *g, const pdb_source *source) {
    if (g->schema->last_in_source)
        reverse_source(g);
    g->source_start = g->n;
    g->source = source;
}

static void take(gathering *g, const pdb_row *row) {
    reserve(g);
    size_t axes = (size_t)g->schema->n_axes;
    g->slice_of[g->n] = slice_for(g, row->cat);
    memcpy(g->coords + g->n * axes, row->axis, axes * sizeof *row->axis);
    g->from[g->n] = row->from;
    pdb_leaf leaf = {row->latency, row->power, row->power * row->latency};
    if (g->schema->floor) {
        double least = g->schema->floor(g->view, row->cat, row->axis);
        if (least > leaf.latency)
            leaf.latency = least; /* energy stays: power over the time that was measured */
    }
    g->leaves[g->n++] = leaf;
}

static bool gather(void *ctx, pdb_row *row) {
    gathering *g = ctx;
    if (row->source != g->source)
        next_source(g, row->source);
    take(g, row);
    return true;
}

static void free_gathering(gathering *g) {
    free(g->slices);
    free(g->index);
    free(g->slice_of);
    free(g->coords);
    free(g->leaves);
    free(g->from);
}

/* ---- building -------------------------------------------------------------------------------- */

/* Rows of each slice brought together, order kept. start: n_slices + 1 entries. */
static void group_by_slice(gathering *g, uint32_t *start) {
    size_t axes = (size_t)g->schema->n_axes;
    uint64_t *coords = aic_alloc(aic_mul(g->n, axes), sizeof *coords);
    pdb_leaf *leaves = aic_alloc(g->n, sizeof *leaves);
    pdb_origins *from = aic_alloc(g->n, sizeof *from);
    memset(start, 0, (g->n_slices + 1) * sizeof *start);
    for (size_t i = 0; i < g->n; i++)
        start[g->slice_of[i] + 1]++;
    for (size_t s = 0; s < g->n_slices; s++)
        start[s + 1] += start[s];
    uint32_t *at = aic_alloc(g->n_slices, sizeof *at);
    memcpy(at, start, g->n_slices * sizeof *at);
    for (size_t i = 0; i < g->n; i++) {
        size_t to = at[g->slice_of[i]]++;
        memcpy(coords + to * axes, g->coords + i * axes, axes * sizeof *coords);
        leaves[to] = g->leaves[i];
        from[to] = g->from[i];
    }
    free(at);
    free(g->coords);
    free(g->leaves);
    free(g->from);
    g->coords = coords;
    g->leaves = leaves;
    g->from = from;
}

static pdb_table *build(gathering *g, aic_arena *a) {
    size_t before = aic_arena_bytes(a), axes = (size_t)g->schema->n_axes;
    uint32_t *start = aic_alloc(g->n_slices + 1, sizeof *start);
    group_by_slice(g, start);
    pdb_table *t = aic_arena_alloc(a, 1, sizeof *t);
    t->n_key = g->n_key;
    t->n_slices = g->n_slices;
    t->slices = aic_arena_alloc(a, g->n_slices, sizeof *t->slices);
    t->n_index = g->n_index;
    t->index = aic_arena_alloc(a, g->n_index, sizeof *t->index);
    memcpy(t->slices, g->slices, g->n_slices * sizeof *t->slices);
    memcpy(t->index, g->index, g->n_index * sizeof *t->index);
    for (size_t s = 0; s < g->n_slices; s++) {
        size_t n = start[s + 1] - start[s];
        const uint64_t *coords = g->coords + start[s] * axes;
        const pdb_leaf *leaves = g->leaves + start[s];
        const pdb_origins *from = g->from + start[s];
        t->slices[s].grid = pdb_grid_build(a, (int)axes, n, coords, leaves, from, NULL);
        if (g->schema->sites)
            t->slices[s].sites = pdb_sites_build(a, n, coords, leaves, from);
        t->rows += t->slices[s].grid->n[axes - 1];
    }
    free(start);
    t->bytes = aic_arena_bytes(a) - before;
    return t;
}

/* Why a table that could be read holds nothing. */
static const char *no_rows(const pdb_view *view, const pdb_schema *schema, aic_arena *a) {
    const pdb_source *list;
    size_t n = pdb_sources(view, schema->table, &list), there = 0;
    for (size_t i = 0; i < n; i++)
        there += list[i].exists;
    if (!n)
        return aic_arena_printf(a, "table %s: the spec sheet of %s names no version of its library",
                                schema->table, view->system->name);
    return aic_arena_printf(a, "table %s: no rows for %s %s on %s (%zu source%s, %zu present, first: %s)",
                            schema->table, view->backend, view->version, view->system->name, n,
                            n == 1 ? "" : "s", there, list[0].group);
}

static const void *load(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const pdb_schema *schema = identity;
    gathering g = gathering_of(view, schema);
    pdb_table *t = NULL;
    if (pdb_scan(view, schema, gather, &g, why)) {
        next_source(&g, NULL);
        if (g.n)
            t = build(&g, a);
        else
            *why = no_rows(view, schema, a);
    }
    free_gathering(&g);
    return t;
}

const pdb_table *pdb_table_get(const pdb_view *view, const pdb_schema *schema, const char **why) {
    return pdb_derived(view, schema, load, why);
}

/* ---- tables of several files ------------------------------------------------------------------ */

struct pdb_gather {
    gathering rows;
    uint64_t *rank; /* one per row */
    size_t cap_rank;
};

pdb_gather *pdb_gather_new(const pdb_view *view, const pdb_schema *schema) {
    pdb_gather *g = AIC_NEW(pdb_gather);
    g->rows = gathering_of(view, schema);
    return g;
}

void pdb_gather_add(pdb_gather *g, const pdb_row *row, uint32_t rank) {
    AIC_GROW(g->rank, g->rows.n, g->cap_rank);
    g->rank[g->rows.n] = rank;
    take(&g->rows, row);
}

/* Brings the rows into the order of their ranks. */
static void order_by_rank(gathering *g, const uint64_t *rank) {
    size_t axes = (size_t)g->schema->n_axes;
    uint32_t *order = aic_alloc(g->n, sizeof *order), *slice_of = aic_alloc(g->n, sizeof *slice_of);
    uint64_t *coords = aic_alloc(aic_mul(g->n, axes), sizeof *coords);
    pdb_leaf *leaves = aic_alloc(g->n, sizeof *leaves);
    pdb_origins *from = aic_alloc(g->n, sizeof *from);
    pdb_sort_rows(g->n, 1, rank, order);
    for (size_t i = 0; i < g->n; i++) {
        slice_of[i] = g->slice_of[order[i]];
        memcpy(coords + i * axes, g->coords + order[i] * axes, axes * sizeof *coords);
        leaves[i] = g->leaves[order[i]];
        from[i] = g->from[order[i]];
    }
    free(order);
    free(g->slice_of);
    free(g->coords);
    free(g->leaves);
    free(g->from);
    g->slice_of = slice_of;
    g->coords = coords;
    g->leaves = leaves;
    g->from = from;
}

const pdb_table *pdb_gather_finish(pdb_gather *g, aic_arena *a) {
    pdb_table *t = NULL;
    if (a && g->rows.n) {
        order_by_rank(&g->rows, g->rank);
        t = build(&g->rows, a);
    }
    free_gathering(&g->rows);
    free(g->rank);
    free(g);
    return t;
}
