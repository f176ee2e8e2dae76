/* Calibration of sparse-attention modules from their own rows (docs/model/dsa.md, "Estimates"). */
#include "ops/sparse_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is kept by the view -------------------------------------------------------------------------- */

/* Unused bytes are zero, so that equal keys are equal bytes. */
typedef struct sampling_key {
    const pdb_grid *grid;
    pdb_sol sol;
    double heads; /* -1: the grid has no heads */
    _Alignas(max_align_t) unsigned char sol_ctx[SPARSE_SOL];
} sampling_key;

static const void *samples_of(op_binder *binder, const sparse_sampling *from, const void *identity,
                              pdb_builder build) {
    sampling_key key;
    memset(&key, 0, sizeof key);
    key.grid = from->grid;
    key.sol = from->sol;
    key.heads = from->has_heads ? from->heads : -1.0;
    memcpy(key.sol_ctx, from->sol_ctx, from->sol_size);
    return pdb_derived_keyed(binder->view, identity, &key, sizeof key, build, NULL);
}

/* ---- rows and what is fixed of them -------------------------------------------------------------------- */

/* Rows in sample order, and which axes they still differ in. */
typedef struct rows {
    size_t n;
    int axes;
    double *coords, *latency; /* n x axes; n */
    pdb_origins *from;        /* n */
    bool measured_heads;      /* only rows of the op's head count are left */
} rows;

/* Coordinates of a sample, with the fixed axes put back, as the grid has them. */
typedef struct priced {
    const sampling_key *key;
    int axes; /* of the grid */
    bool is_fixed[PDB_MAX_AXES];
    double fixed[PDB_MAX_AXES];
} priced;

static double price(const void *ctx, const double *c) {
    const priced *p = ctx;
    double full[PDB_MAX_AXES];
    for (int i = 0; i < p->axes; i++)
        full[i] = p->is_fixed[i] ? p->fixed[i] : *c++;
    return p->key->sol(p->key->sol_ctx, full);
}

static rows rows_of(const sampling_key *key) {
    const pdb_grid *g = key->grid;
    rows r = {.n = g->n[g->axes - 1], .axes = g->axes};
    r.coords = aic_alloc(r.n, (size_t)g->axes * sizeof *r.coords);
    r.latency = aic_alloc(r.n, sizeof *r.latency);
    r.from = aic_alloc(r.n, sizeof *r.from);
    op_leaf_coords(g, r.coords);
    for (size_t i = 0; i < r.n; i++) {
        r.latency[i] = g->latency[i];
        r.from[i] = pdb_leaf_from(g, i);
    }
    for (uint32_t i = 0; i < g->n[0]; i++)
        r.measured_heads |= (double)g->keys[0][i] == key->heads;
    return r;
}

static void free_rows(rows *r) {
    free(r->coords);
    free(r->latency);
    free(r->from);
}

/* Keeps the rows that have the value on the axis. */
static void keep(rows *r, int axis, double value) {
    size_t n = 0, axes = (size_t)r->axes;
    for (size_t i = 0; i < r->n; i++) {
        if (r->coords[i * axes + (size_t)axis] != value)
            continue;
        memmove(r->coords + n * axes, r->coords + i * axes, axes * sizeof *r->coords);
        r->from[n] = r->from[i];
        r->latency[n++] = r->latency[i];
    }
    r->n = n;
}

/* Samples over the axes that p does not fix. */
static const pdb_util *sample(aic_arena *a, const rows *r, const priced *p) {
    size_t axes = (size_t)r->axes, left = 0;
    double *coords = aic_alloc(r->n, axes * sizeof *coords);
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < axes; k++)
            if (!p->is_fixed[k])
                coords[left++] = r->coords[i * axes + k];
    int width = r->axes;
    for (int k = 0; k < r->axes; k++)
        width -= p->is_fixed[k];
    const pdb_util *u = pdb_util_build(a, width, r->n, coords, r->latency, r->from, price, p);
    free(coords);
    return u;
}

/* ---- prefill ------------------------------------------------------------------------------------------- */

static const void *build_prefill(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    (void)view;
    (void)why;
    const sampling_key *key = identity;
    sparse_prefill *s = aic_arena_alloc(a, 1, sizeof *s);
    rows r = rows_of(key);
    priced p = {.key = key, .axes = r.axes};
    int prefix = key->heads < 0.0 ? 0 : 1;
    s->by_heads = prefix == 1 && !r.measured_heads;
    if (prefix == 1 && r.measured_heads) {
        keep(&r, 0, key->heads);
        p.is_fixed[0] = true;
        p.fixed[0] = key->heads;
    }
    for (size_t i = 0; i < r.n; i++) {
        double at = r.coords[i * (size_t)r.axes + (size_t)prefix];
        s->low = i && s->low < at ? s->low : at;
        s->high = i && s->high > at ? s->high : at;
    }
    s->all = sample(a, &r, &p);
    keep(&r, prefix, 0.0);
    p.is_fixed[prefix] = true;
    if (r.n)
        s->fresh = sample(a, &r, &p);
    free_rows(&r);
    return s;
}

const sparse_prefill *sparse_prefill_samples(op_binder *binder, const sparse_sampling *from) {
    static const char identity;
    return samples_of(binder, from, &identity, build_prefill);
}

op_class sparse_prefill_estimate(const op_bound *b, const sparse_prefill *samples, bool lenient, double heads,
                                 const op_shape *shape, double sol, op_result *out, op_refusal *why) {
    double c[PDB_MAX_AXES], prefix = shape->prefix;
    int n = 0;
    if (samples && samples->by_heads)
        c[n++] = heads;
    bool inside =
        samples && samples->low < samples->high && prefix >= samples->low && prefix <= samples->high;
    bool all = inside || (samples && lenient && !samples->fresh);
    if (all)
        c[n++] = prefix;
    c[n++] = all ? shape->s : (double)shape->s + prefix;
    c[n] = shape->batch;
    const pdb_util *u = !samples ? NULL : all ? samples->all : samples->fresh;
    return op_estimate(b, u, c, sol, 1.0, OP_TIER_empirical, out, why);
}

/* ---- decode -------------------------------------------------------------------------------------------- */

/* A row of a decode grid with heads. */
typedef struct decode_row {
    double at[3]; /* heads, batch, length */
    double latency;
    pdb_origins from;
} decode_row;

static int by_length(const void *x, const void *y) {
    const decode_row *a = x, *b = y;
    static const int order[] = {0, 2, 1};
    for (size_t i = 0; i < OP_COUNT(order); i++)
        if (a->at[order[i]] != b->at[order[i]])
            return a->at[order[i]] < b->at[order[i]] ? -1 : 1;
    return 0;
}

/* Where heads are an axis, rows count by (heads, length, batch): equally distant samples are told apart by
 * it. */
static void order_by_length(rows *r) {
    decode_row *row = aic_alloc(r->n, sizeof *row);
    for (size_t i = 0; i < r->n; i++) {
        memcpy(row[i].at, r->coords + 3 * i, sizeof row[i].at);
        row[i].latency = r->latency[i];
        row[i].from = r->from[i];
    }
    qsort(row, r->n, sizeof *row, by_length);
    for (size_t i = 0; i < r->n; i++) {
        memcpy(r->coords + 3 * i, row[i].at, sizeof row[i].at);
        r->latency[i] = row[i].latency;
        r->from[i] = row[i].from;
    }
    free(row);
}

static const void *build_decode(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    (void)view;
    (void)why;
    const sampling_key *key = identity;
    sparse_decode *s = aic_arena_alloc(a, 1, sizeof *s);
    rows r = rows_of(key);
    priced p = {.key = key, .axes = r.axes};
    if (key->heads >= 0.0) {
        order_by_length(&r);
        s->by_heads = !r.measured_heads;
        if (r.measured_heads) {
            keep(&r, 0, key->heads);
            p.is_fixed[0] = true;
            p.fixed[0] = key->heads;
        }
    }
    s->all = sample(a, &r, &p);
    free_rows(&r);
    return s;
}

const sparse_decode *sparse_decode_samples(op_binder *binder, const sparse_sampling *from) {
    static const char identity;
    return samples_of(binder, from, &identity, build_decode);
}

op_class sparse_decode_estimate(const op_bound *b, const sparse_decode *samples, double heads,
                                const op_shape *shape, double sol, op_result *out, op_refusal *why) {
    double c[PDB_MAX_AXES];
    int n = 0;
    if (samples && samples->by_heads)
        c[n++] = heads;
    c[n++] = shape->batch;
    c[n] = shape->s;
    return op_estimate(b, samples ? samples->all : NULL, c, sol, 1.0, OP_TIER_empirical, out, why);
}
