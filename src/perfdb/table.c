/* Merged tables: slices of grids from rows in source order (docs/model/sources.md).
 *
 * A table is the columns of its sources and, by slice, the numbers of the rows that belong there. The grid of
 * a slice is built when it is first asked for, since a sweep touches few of the hundreds of slices that a
 * table may have.
 */
#include "perfdb/internal.h"
#include "perfdb/lattice.h"
#include "perfdb/scratch.h"
#include <stdatomic.h>
#include <stdlib.h>

/* What is built of a slice on demand; NULL = not yet. */
typedef struct slice_made {
    _Atomic(const pdb_grid *) grid;
    _Atomic(const pdb_sites *) sites;
    bool busy; /* some thread is building one of them; the view's lock guards it */
} slice_made;

struct pdb_table {
    const pdb_view *view;
    const pdb_schema *schema;
    pdb_slicing s;
    slice_made *made;    /* one per slice */
    atomic_size_t *left; /* how many slices nothing is built of yet */
    const pdb_part *parts;
    size_t n_parts;
};

static int key_size(const pdb_schema *s) {
    return s->n_cats - s->n_extra;
}

const pdb_slice *pdb_slice_find(const pdb_table *t, const uint64_t *cat) {
    uint32_t found = pdb_slices_find(&t->s, cat);
    return found != UINT32_MAX ? &t->s.slices[found] : NULL;
}

size_t pdb_slice_count(const pdb_table *t) {
    return t->s.n_slices;
}

const pdb_slice *pdb_slice_at(const pdb_table *t, size_t i) {
    return &t->s.slices[i];
}

/* ---- slices told apart by some of their categories ----------------------------------------------- */

typedef struct part_key {
    const pdb_table *t;
    int64_t from, to;
} part_key;

/* The same slices under the categories from..to-1 alone, as a grouping of their own. */
static const void *build_part_set(const pdb_view *view, const void *key, aic_arena *a, const char **why) {
    const part_key *k = key;
    (void)view;
    (void)why;
    pdb_grouping *g = pdb_grouping_new((int)(k->to - k->from));
    for (size_t i = 0; i < k->t->s.n_slices; i++)
        pdb_grouping_add(g, k->t->s.slices[i].cat + k->from);
    pdb_slicing *set = aic_arena_alloc(a, 1, sizeof *set);
    *set = pdb_grouping_finish(g, a, NULL);
    return set;
}

static const pdb_slicing *part_set(const pdb_view *view, const pdb_table *t, int from, int to) {
    static const char identity;
    const part_key k = {t, from, to};
    return pdb_derived_keyed(view, &identity, &k, sizeof k, build_part_set, NULL);
}

bool pdb_slice_any(const pdb_view *view, const pdb_table *t, const uint64_t *cat, int from, int to) {
    return pdb_slices_find(part_set(view, t, from, to), cat + from) != UINT32_MAX;
}

size_t pdb_slice_parts(const pdb_view *view, const pdb_table *t, int from, int to, const uint64_t **values) {
    const pdb_slicing *set = part_set(view, t, from, to);
    *values = set->keys.keys;
    return set->n_slices;
}

/* ---- the rows of a slice ------------------------------------------------------------------------ */

/* Rows of one slice brought together and raised to the schema's floor; scratch. */
typedef struct slice_rows {
    size_t n;
    uint64_t *coords;
    pdb_leaf *leaves;
    pdb_origins *from; /* NULL: all are the view's own */
} slice_rows;

#define GATHER(type)                                                                                         \
    do {                                                                                                     \
        const type *x = c->cells.data;                                                                       \
        if (add)                                                                                             \
            for (size_t i = 0; i < n; i++)                                                                   \
                to[i * step] += x[rows[i] - first];                                                          \
        else                                                                                                 \
            for (size_t i = 0; i < n; i++)                                                                   \
                to[i * step] = x[rows[i] - first];                                                           \
    } while (0)

/* Cells rows[i] - first of a column of integers as every step-th value, or added to it. */
static void take_cells(const pdb_stored *c, size_t n, const uint32_t *rows, uint32_t first, uint64_t *to,
                       size_t step, bool add) {
    switch (c->cells.width) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    case 4:
        GATHER(uint32_t);
        break;
    default:
        GATHER(uint64_t);
    }
}

/* What is wanted of a slice's rows goes by the parts they come from: visits them in order of precedence. */
typedef void take_part(const pdb_schema *schema, const pdb_part *p, const uint32_t *rows, uint32_t first,
                       slice_rows *r, size_t at, size_t n);

/* Fills the coordinates of n entries of r from `at` on with rows of one part, whose first row is `first`. */
static void take_coords(const pdb_schema *schema, const pdb_part *p, const uint32_t *rows, uint32_t first,
                        slice_rows *r, size_t at, size_t n) {
    size_t axes = (size_t)schema->n_axes;
    for (size_t k = 0; k < axes; k++) {
        uint64_t *to = r->coords + at * axes + k;
        if (p->axis[k])
            take_cells(p->axis[k], n, rows, first, to, axes, false);
        for (size_t i = 0; !p->axis[k] && i < n; i++)
            to[i * axes] = 0;
        if (p->plus[k])
            take_cells(p->plus[k], n, rows, first, to, axes, true);
    }
}

/* Leaves and marks too. */
static void take_rows(const pdb_schema *schema, const pdb_part *p, const uint32_t *rows, uint32_t first,
                      slice_rows *r, size_t at, size_t n) {
    const double *power = p->power && !schema->no_power ? p->power->cells.data : NULL;
    take_coords(schema, p, rows, first, r, at, n);
    for (size_t i = 0; i < n; i++) {
        size_t row = rows[i] - first;
        double latency = ((const double *)p->value[0]->cells.data)[row];
        for (int v = 1; v < PDB_MAX_VALUES && p->value[v]; v++)
            latency += ((const double *)p->value[v]->cells.data)[row];
        double watts = power ? power[row] : 0.0;
        r->leaves[at + i] = (pdb_leaf){latency, watts, watts * latency};
    }
    for (size_t i = 0; r->from && i < n; i++)
        r->from[at + i] = p->marks ? p->marks[rows[i] - first] : p->from;
}

/* The columns of a part that rows are taken from, as far as they may have left memory. */
static size_t columns_of(const pdb_part *p, const pdb_stored **out) {
    size_t n = 0;
    const pdb_stored *const *const from[] = {p->axis, p->plus, p->value, &p->power};
    static const int most[] = {PDB_MAX_AXES, PDB_MAX_AXES, PDB_MAX_VALUES, 1};
    for (size_t i = 0; p->source && i < sizeof most / sizeof *most; i++)
        for (int k = 0; k < most[i]; k++)
            if (from[i][k])
                out[n++] = from[i][k];
    return n;
}

/* use: what the columns are let go for afterwards. */
static void take_slice(const pdb_table *t, size_t slice, pdb_use use, slice_rows *r, take_part *take) {
    const uint32_t *rows = t->s.order + t->s.start[slice];
    size_t done = 0;
    uint64_t first = 0;
    for (size_t k = 0; k < t->n_parts && done < r->n; first += t->parts[k++].rows) {
        const pdb_part *p = &t->parts[k];
        size_t end = k + 1 < t->n_parts ? done : r->n; /* what no part before has is the last one's */
        while (end < r->n && rows[end] - first < p->rows)
            end++;
        if (end == done)
            continue;
        const pdb_stored *columns[PDB_SHELF_MOST];
        size_t n = columns_of(p, columns);
        pdb_shelf_hold_again(columns, n);
        take(t->schema, p, rows + done, (uint32_t)first, r, done, end - done);
        pdb_shelf_drop(columns, n, use);
        done = end;
    }
}

static void raise_to_floor(const pdb_table *t, size_t slice, slice_rows *r) {
    double *least = pdb_scratch_take(r->n, sizeof *least);
    if (t->schema->floor(t->view, t->s.slices[slice].cat, r->n, r->coords, least))
        for (size_t i = 0; i < r->n; i++)
            if (least[i] > r->leaves[i].latency)
                r->leaves[i].latency = least[i]; /* energy stays: power over the time that was measured */
}

static size_t slice_size(const pdb_table *t, size_t slice) {
    return t->s.start[slice + 1] - t->s.start[slice];
}

/* Room for the coordinates of so many rows. */
static uint64_t *new_coords(const pdb_table *t, size_t n) {
    return pdb_scratch_take(aic_mul(n, (size_t)t->schema->n_axes), sizeof(uint64_t));
}

/* Are all rows the view's own? Then there is no need to say so of each. */
static bool all_own(const pdb_table *t) {
    for (size_t k = 0; k < t->n_parts; k++)
        if (t->parts[k].rows && (t->parts[k].marks || t->parts[k].from))
            return false;
    return true;
}

static slice_rows rows_of(const pdb_table *t, size_t slice, pdb_use use) {
    size_t n = slice_size(t, slice);
    slice_rows r = {.n = n,
                    .coords = new_coords(t, n),
                    .leaves = pdb_scratch_take(n, sizeof *r.leaves),
                    .from = all_own(t) ? NULL : pdb_scratch_take(n, sizeof *r.from)};
    take_slice(t, slice, use, &r, take_rows);
    if (t->schema->floor)
        raise_to_floor(t, slice, &r);
    return r;
}

/* ---- what is built on demand ------------------------------------------------------------------- */

static void build_slice(const pdb_table *t, size_t slice, bool sites, aic_arena *a) {
    slice_made *m = &t->made[slice];
    const bool first = !atomic_load(&m->grid) && !atomic_load(&m->sites);
    const bool last = first && atomic_fetch_sub(t->left, 1) == 1;
    pdb_scratch scratch = pdb_scratch_begin();
    const slice_rows r = rows_of(t, slice, last ? PDB_IS_SPENT : PDB_IS_TAKEN);
    if (sites)
        atomic_store(&m->sites, pdb_sites_build(a, r.n, r.coords, r.leaves, r.from));
    else
        atomic_store(&m->grid, pdb_grid_build(a, t->schema->n_axes, r.n, r.coords, r.leaves, r.from, NULL));
    pdb_scratch_end(&scratch);
}

/* Grid or sites of a slice, built by whoever asks first; others wait for this slice alone. */
static void make(const pdb_table *t, size_t slice, bool sites) {
    pdb_view_impl *v = pdb_impl(t->view);
    slice_made *m = &t->made[slice];
    pthread_mutex_lock(&v->lock);
    while (m->busy)
        pthread_cond_wait(&v->built, &v->lock);
    if (sites ? !atomic_load(&m->sites) : !atomic_load(&m->grid)) {
        aic_arena *a = pdb_arena_take(v);
        m->busy = true;
        pthread_mutex_unlock(&v->lock);
        build_slice(t, slice, sites, a);
        pthread_mutex_lock(&v->lock);
        m->busy = false;
        pdb_arena_give(v, a);
        pthread_cond_broadcast(&v->built);
    }
    pthread_mutex_unlock(&v->lock);
}

const pdb_grid *pdb_slice_grid(const pdb_slice *s) {
    const pdb_table *t = s->table;
    size_t i = (size_t)(s - t->s.slices);
    if (!atomic_load_explicit(&t->made[i].grid, memory_order_acquire))
        make(t, i, false);
    return atomic_load_explicit(&t->made[i].grid, memory_order_acquire);
}

const pdb_sites *pdb_slice_sites(const pdb_slice *s) {
    const pdb_table *t = s->table;
    size_t i = (size_t)(s - t->s.slices);
    if (t->schema->sites && !atomic_load_explicit(&t->made[i].sites, memory_order_acquire))
        make(t, i, true);
    return atomic_load_explicit(&t->made[i].sites, memory_order_acquire);
}

/* As many as there are coordinates: no reason to build a grid. */
size_t pdb_slice_leaves(const pdb_slice *s) {
    const pdb_table *t = s->table;
    size_t slice = (size_t)(s - t->s.slices), n = slice_size(t, slice);
    pdb_scratch scratch = pdb_scratch_begin();
    slice_rows r = {.n = n, .coords = new_coords(t, n)};
    take_slice(t, slice, PDB_IS_TAKEN, &r, take_coords);
    uint32_t *order = pdb_scratch_take(n, sizeof *order);
    size_t leaves = pdb_distinct_rows(n, t->schema->n_axes, r.coords, order);
    pdb_scratch_end(&scratch);
    return leaves;
}

size_t pdb_table_rows(const pdb_table *t) {
    size_t rows = 0;
    for (size_t i = 0; i < t->s.n_slices; i++)
        rows += pdb_slice_leaves(&t->s.slices[i]);
    return rows;
}

/* ---- building -------------------------------------------------------------------------------- */

/* A table of grouped rows; copies the parts. */
static pdb_table *table_of(aic_arena *a, const pdb_view *view, const pdb_schema *schema, const pdb_slicing *s,
                           const pdb_part *parts, size_t n_parts) {
    pdb_table *t = aic_arena_alloc(a, 1, sizeof *t);
    pdb_part *kept = aic_arena_alloc(a, n_parts, sizeof *kept);
    if (n_parts)
        memcpy(kept, parts, n_parts * sizeof *parts);
    for (size_t i = 0; i < n_parts; i++)
        kept[i].allowed = NULL; /* it has done its work */
    *t = (pdb_table){.view = view,
                     .schema = schema,
                     .s = *s,
                     .made = aic_arena_alloc(a, s->n_slices, sizeof *t->made),
                     .left = aic_arena_alloc(a, 1, sizeof *t->left),
                     .parts = kept,
                     .n_parts = n_parts};
    atomic_init(t->left, s->n_slices);
    for (size_t i = 0; i < s->n_slices; i++)
        s->slices[i].table = t;
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

/* Does nothing but the version's own file answer for the table? */
static bool is_own(const pdb_source *list, size_t n) {
    return n == 1 && list[0].channel == PDB_PRIMARY && list[0].exists;
}

/* Where a version has inherited nothing, it has one table whether rows are shared or not: the slices of the
 * other view's, if that is made. Attention asks both which kernels they have measured. */
static pdb_table *table_of_twin(const pdb_view *view, const pdb_schema *schema, aic_arena *a) {
    pdb_view_impl *v = pdb_impl(view), *twin = pdb_view_twin(view);
    const pdb_source *list;
    char sha256[65];
    size_t n = twin ? pdb_sources(view, schema->table, &list) : 0;
    if (!n || !is_own(list, n))
        return NULL;
    pthread_mutex_lock(&twin->lock);
    const pdb_table *made = pdb_made_already(twin, schema);
    bool same = made && made->n_parts == 1 && made->parts[0].source->channel == PDB_PRIMARY;
    if (same)
        memcpy(sha256, pdb_read_digest(twin, schema), sizeof sha256);
    pthread_mutex_unlock(&twin->lock);
    if (!same)
        return NULL;
    pthread_mutex_lock(&v->lock);
    pdb_read_note(v, schema, sha256);
    pthread_mutex_unlock(&v->lock);
    pdb_slicing s = made->s;
    s.slices = aic_arena_alloc(a, s.n_slices, sizeof *s.slices);
    memcpy(s.slices, made->s.slices, s.n_slices * sizeof *s.slices);
    return table_of(a, view, schema, &s, made->parts, made->n_parts);
}

static const void *load(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const pdb_schema *schema = identity;
    pdb_table *t = table_of_twin(view, schema, a);
    if (t)
        return t;
    pdb_parts parts;
    bool ok = pdb_parts_read(view, schema, &parts);
    if (ok) {
        pdb_slicing s = pdb_slices_of(a, &parts);
        if (s.fault)
            ok = pdb_parts_fault(&parts, s.fault_at, s.fault);
        else if (s.n_slices)
            t = table_of(a, view, schema, &s, parts.part, parts.n);
    }
    const char *fault = pdb_parts_end(&parts);
    if (!t)
        *why = ok ? no_rows(view, schema, a) : fault;
    return t;
}

const pdb_table *pdb_table_get(const pdb_view *view, const pdb_schema *schema, const char **why) {
    return pdb_derived(view, schema, load, why);
}

/* ---- tables of several files ------------------------------------------------------------------ */

struct pdb_gather {
    const pdb_view *view;
    const pdb_schema *schema;
    pdb_grouping *slices;
    uint64_t *rank, *axis[PDB_MAX_AXES]; /* one per row, as what follows */
    double *latency, *power;
    pdb_origins *from;
    size_t n, cap;
};

pdb_gather *pdb_gather_new(const pdb_view *view, const pdb_schema *schema) {
    pdb_gather *g = AIC_NEW(pdb_gather);
    g->view = view;
    g->schema = schema;
    g->slices = pdb_grouping_new(key_size(schema));
    return g;
}

static void reserve(pdb_gather *g) {
    if (g->n < g->cap)
        return;
    g->cap = g->cap ? aic_mul(g->cap, 2) : 4096;
    g->rank = aic_realloc(g->rank, g->cap, sizeof *g->rank);
    for (int k = 0; k < g->schema->n_axes; k++)
        g->axis[k] = aic_realloc(g->axis[k], g->cap, sizeof *g->axis[k]);
    g->latency = aic_realloc(g->latency, g->cap, sizeof *g->latency);
    g->power = aic_realloc(g->power, g->cap, sizeof *g->power);
    g->from = aic_realloc(g->from, g->cap, sizeof *g->from);
}

void pdb_gather_add(pdb_gather *g, const pdb_row *row, uint32_t rank) {
    reserve(g);
    g->rank[g->n] = rank;
    for (int k = 0; k < g->schema->n_axes; k++)
        g->axis[k][g->n] = row->axis[k];
    g->latency[g->n] = row->latency;
    g->power[g->n] = row->power;
    g->from[g->n++] = row->from;
    pdb_grouping_add(g->slices, row->cat);
}

/* n items of eight bytes as a column, in the arena. */
static const pdb_stored *column_of(aic_arena *a, pdb_cell_kind kind, const void *items, size_t n) {
    pdb_stored *c = aic_arena_alloc(a, 1, sizeof *c);
    void *data = aic_arena_alloc(a, n, sizeof(uint64_t));
    c->cells = (pdb_cells){.kind = kind, .width = 8, .rows = n, .data = memcpy(data, items, n * 8)};
    return c;
}

static pdb_part part_of(const pdb_gather *g, aic_arena *a) {
    pdb_origins *marks = aic_arena_alloc(a, g->n, sizeof *marks);
    pdb_part p = {.rows = g->n,
                  .marks = memcpy(marks, g->from, g->n * sizeof *marks),
                  .value = {column_of(a, PDB_CELL_REAL, g->latency, g->n)},
                  .power = column_of(a, PDB_CELL_REAL, g->power, g->n)};
    for (int k = 0; k < g->schema->n_axes; k++)
        p.axis[k] = column_of(a, PDB_CELL_INT, g->axis[k], g->n);
    return p;
}

static void free_gather(pdb_gather *g) {
    if (g->slices)
        pdb_grouping_free(g->slices);
    for (int k = 0; k < PDB_MAX_AXES; k++)
        free(g->axis[k]);
    free(g->rank);
    free(g->latency);
    free(g->power);
    free(g->from);
    free(g);
}

const pdb_table *pdb_gather_finish(pdb_gather *g, aic_arena *a) {
    pdb_table *t = NULL;
    if (a && g->n) {
        uint32_t *sequence = aic_alloc(g->n, sizeof *sequence);
        pdb_sort_rows(g->n, 1, g->rank, sequence);
        pdb_slicing s = pdb_grouping_finish(g->slices, a, sequence);
        pdb_part p = part_of(g, a);
        t = table_of(a, g->view, g->schema, &s, &p, 1);
        g->slices = NULL;
        free(sequence);
    }
    free_gather(g);
    return t;
}
