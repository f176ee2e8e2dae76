/* Merged tables: slices of grids from rows admitted in source order (docs/model/sources.md).
 *
 * A table keeps its rows grouped by slice; the grid of a slice is built when it is first asked for, since a
 * sweep touches few of the hundreds of slices that a table may have.
 */
#include "perfdb/internal.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What is built of a slice on demand; NULL = not yet. */
typedef struct slice_made {
    _Atomic(const pdb_grid *) grid;
    _Atomic(const pdb_sites *) sites;
} slice_made;

struct pdb_table {
    const pdb_view *view;
    const pdb_schema *schema;
    int n_key;         /* categories of a slice's key */
    pdb_slice *slices; /* first-encounter order */
    slice_made *made;  /* one per slice */
    size_t n_slices;
    uint32_t *index; /* slice number + 1 by hash of the key, 0 = free; a power of two, at most half full */
    size_t n_index;
    const uint32_t *start;  /* n_slices + 1: first row of each slice in order */
    const uint32_t *order;  /* rows grouped by slice, in source order within */
    const uint64_t *coords; /* n_axes per row */
    const pdb_leaf *leaves;
    const pdb_origins *from;
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

/* Slices told apart by some of their categories, as a set: slice number + 1 by hash. */
typedef struct part_key {
    const pdb_table *t;
    int64_t from, to;
} part_key;

typedef struct part_set {
    size_t n_index; /* a power of two, at most half full */
    uint32_t *index;
} part_set;

static uint32_t *part_place(const part_set *set, const part_key *k, const uint64_t *cat) {
    int n = (int)(k->to - k->from);
    size_t mask = set->n_index - 1, at = hash_key(cat + k->from, n) & mask;
    while (set->index[at] && !same_key(k->t->slices[set->index[at] - 1].cat + k->from, cat + k->from, n))
        at = (at + 1) & mask;
    return &set->index[at];
}

static const void *build_part_set(const pdb_view *view, const void *key, aic_arena *a, const char **why) {
    const part_key *k = key;
    (void)view;
    (void)why;
    part_set *set = aic_arena_alloc(a, 1, sizeof *set);
    set->n_index = 2;
    while (set->n_index < 2 * k->t->n_slices)
        set->n_index *= 2;
    set->index = aic_arena_alloc(a, set->n_index, sizeof *set->index);
    for (size_t i = 0; i < k->t->n_slices; i++)
        *part_place(set, k, k->t->slices[i].cat) = (uint32_t)i + 1;
    return set;
}

bool pdb_slice_any(const pdb_view *view, const pdb_table *t, const uint64_t *cat, int from, int to) {
    static const char identity;
    const part_key k = {t, from, to};
    const part_set *set = pdb_derived_keyed(view, &identity, &k, sizeof k, build_part_set, NULL);
    return *part_place(set, &k, cat) != 0;
}

/* ---- what is built on demand ------------------------------------------------------------------- */

/* Rows of one slice brought together and raised to the schema's floor. */
typedef struct slice_rows {
    size_t n;
    uint64_t *coords;
    pdb_leaf *leaves;
    pdb_origins *from;
} slice_rows;

static slice_rows rows_of(const pdb_table *t, size_t slice) {
    size_t axes = (size_t)t->schema->n_axes, first = t->start[slice], n = t->start[slice + 1] - first;
    slice_rows r = {.n = n,
                    .coords = aic_alloc(aic_mul(n, axes), sizeof *r.coords),
                    .leaves = aic_alloc(n, sizeof *r.leaves),
                    .from = aic_alloc(n, sizeof *r.from)};
    for (size_t i = 0; i < n; i++) {
        size_t row = t->order[first + i];
        memcpy(r.coords + i * axes, t->coords + row * axes, axes * sizeof *r.coords);
        r.leaves[i] = t->leaves[row];
        r.from[i] = t->from[row];
    }
    for (size_t i = 0; t->schema->floor && i < n; i++) {
        double least = t->schema->floor(t->view, t->slices[slice].cat, r.coords + i * axes);
        if (least > r.leaves[i].latency)
            r.leaves[i].latency = least; /* energy stays: power over the time that was measured */
    }
    return r;
}

static void free_rows(slice_rows *r) {
    free(r->coords);
    free(r->leaves);
    free(r->from);
}

/* Grid or sites of a slice, built under the view's lock by whoever asks first. */
static void make(const pdb_table *t, size_t slice, bool sites) {
    pdb_view_impl *v = pdb_impl(t->view);
    slice_made *m = &t->made[slice];
    pthread_mutex_lock(&v->lock);
    if (sites ? !atomic_load(&m->sites) : !atomic_load(&m->grid)) {
        slice_rows r = rows_of(t, slice);
        if (sites)
            atomic_store(&m->sites, pdb_sites_build(v->arena, r.n, r.coords, r.leaves, r.from));
        else
            atomic_store(&m->grid,
                         pdb_grid_build(v->arena, t->schema->n_axes, r.n, r.coords, r.leaves, r.from, NULL));
        free_rows(&r);
    }
    pthread_mutex_unlock(&v->lock);
}

const pdb_grid *pdb_slice_grid(const pdb_slice *s) {
    const pdb_table *t = s->table;
    size_t i = (size_t)(s - t->slices);
    if (!atomic_load_explicit(&t->made[i].grid, memory_order_acquire))
        make(t, i, false);
    return atomic_load_explicit(&t->made[i].grid, memory_order_acquire);
}

const pdb_sites *pdb_slice_sites(const pdb_slice *s) {
    const pdb_table *t = s->table;
    size_t i = (size_t)(s - t->slices);
    if (t->schema->sites && !atomic_load_explicit(&t->made[i].sites, memory_order_acquire))
        make(t, i, true);
    return atomic_load_explicit(&t->made[i].sites, memory_order_acquire);
}

size_t pdb_slice_leaves(const pdb_slice *s) {
    const pdb_grid *g = pdb_slice_grid(s);
    return g->n[g->axes - 1];
}

size_t pdb_table_rows(const pdb_table *t) {
    size_t rows = 0;
    for (size_t i = 0; i < t->n_slices; i++)
        rows += pdb_slice_leaves(&t->slices[i]);
    return rows;
}

/* ---- gathering rows -------------------------------------------------------------------------- */

/* Rows while a table is built: parallel arrays, one entry per admitted row. */
typedef struct gathering {
    const pdb_view *view;
    const pdb_schema *schema;
    aic_arena *arena; /* where the arrays lie once their size is known; NULL: they grow on the heap */
    int n_key;
    pdb_slice *slices;
    size_t n_slices, cap_slices, last; /* last: slice of the row before, often this row's too */
    uint32_t *index;
    size_t n_index;
    uint32_t *slice_of;
    uint64_t *coords; /* n_axes per row */
    pdb_leaf *leaves; /* as measured */
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

static void expect(void *ctx, size_t rows) {
    gathering *g = ctx;
    g->cap = rows;
    g->slice_of = aic_alloc(rows, sizeof *g->slice_of);
    g->coords = aic_arena_alloc(g->arena, aic_mul(rows, (size_t)g->schema->n_axes), sizeof *g->coords);
    g->leaves = aic_arena_alloc(g->arena, rows, sizeof *g->leaves);
    g->from = aic_arena_alloc(g->arena, rows, sizeof *g->from);
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
    g->leaves[g->n++] = (pdb_leaf){row->latency, row->power, row->power * row->latency};
}

static bool gather(void *ctx, pdb_row *row) {
    gathering *g = ctx;
    if (row->source != g->source)
        next_source(g, row->source);
    take(g, row);
    return true;
}

/* Whole columns at a time; a slice is looked up where a category changes. */
static void gather_block(void *ctx, const pdb_block *b) {
    gathering *g = ctx;
    uint64_t changes[PDB_BLOCK] = {1}, cat[PDB_MAX_CATS];
    size_t axes = (size_t)g->schema->n_axes;
    if (b->source != g->source)
        next_source(g, b->source);
    for (int k = 0; k < g->n_key; k++)
        for (size_t i = 1; i < b->n; i++)
            changes[i] |= b->cat[k][i] ^ b->cat[k][i - 1];
    for (size_t i = 0; i < b->n; i++) {
        for (int k = 0; changes[i] && k < g->n_key; k++)
            cat[k] = b->cat[k][i];
        g->slice_of[g->n + i] = changes[i] ? slice_for(g, cat) : (uint32_t)g->last;
    }
    for (size_t k = 0; k < axes; k++)
        for (size_t i = 0; i < b->n; i++)
            g->coords[(g->n + i) * axes + k] = b->axis[k][i];
    for (size_t i = 0; i < b->n; i++)
        g->leaves[g->n + i] = (pdb_leaf){b->latency[i], b->power[i], b->power[i] * b->latency[i]};
    for (size_t i = 0; i < b->n; i++)
        g->from[g->n + i] = b->from;
    g->n += b->n;
}

static void free_gathering(gathering *g) {
    free(g->slices);
    free(g->index);
    free(g->slice_of);
    if (g->arena)
        return;
    free(g->coords);
    free(g->leaves);
    free(g->from);
}

/* ---- building -------------------------------------------------------------------------------- */

/* Numbers of the rows by slice, order kept. start: n_slices + 1 entries. */
static void group_by_slice(const gathering *g, uint32_t *start, uint32_t *order) {
    uint32_t *at = aic_alloc(g->n_slices, sizeof *at);
    memset(start, 0, (g->n_slices + 1) * sizeof *start);
    for (size_t i = 0; i < g->n; i++)
        start[g->slice_of[i] + 1]++;
    for (size_t s = 0; s < g->n_slices; s++)
        start[s + 1] += start[s];
    memcpy(at, start, g->n_slices * sizeof *at);
    for (size_t i = 0; i < g->n; i++)
        order[at[g->slice_of[i]]++] = (uint32_t)i;
    free(at);
}

/* Copies n items to the arena. */
static void *keep(aic_arena *a, const void *items, size_t n, size_t size) {
    void *copy = aic_arena_alloc(a, n, size);
    return n ? memcpy(copy, items, n * size) : copy;
}

static pdb_table *build(const gathering *g, aic_arena *a) {
    pdb_table *t = aic_arena_alloc(a, 1, sizeof *t);
    uint32_t *start = aic_arena_alloc(a, g->n_slices + 1, sizeof *start);
    uint32_t *order = aic_arena_alloc(a, g->n, sizeof *order);
    group_by_slice(g, start, order);
    *t = (pdb_table){.view = g->view,
                     .schema = g->schema,
                     .n_key = g->n_key,
                     .slices = keep(a, g->slices, g->n_slices, sizeof *g->slices),
                     .made = aic_arena_alloc(a, g->n_slices, sizeof *t->made),
                     .n_slices = g->n_slices,
                     .index = keep(a, g->index, g->n_index, sizeof *g->index),
                     .n_index = g->n_index,
                     .start = start,
                     .order = order,
                     .coords = g->coords,
                     .leaves = g->leaves,
                     .from = g->from};
    if (!g->arena) {
        t->coords = keep(a, g->coords, aic_mul(g->n, (size_t)g->schema->n_axes), sizeof *g->coords);
        t->leaves = keep(a, g->leaves, g->n, sizeof *g->leaves);
        t->from = keep(a, g->from, g->n, sizeof *g->from);
    }
    for (size_t i = 0; i < t->n_slices; i++)
        t->slices[i].table = t;
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
    const pdb_sink sink = {.ctx = &g, .expect = expect, .visit = gather, .block = gather_block};
    pdb_table *t = NULL;
    g.arena = a;
    if (pdb_scan_to(view, schema, &sink, why)) {
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
