/* Points of an earlier result, taken over where nothing they depend on has changed (docs/formats/results.md,
 * "Reuse").
 *
 * A point is found by the inputs digest of its deployment and its workload. The index is a hash table of all
 * points of the old file, 8 bytes a slot, at most two thirds full; a find is confirmed with what the file
 * says of the point. Sweeps ask in nearly the order of the old file, so a few windows of it, decoded once,
 * answer most questions.
 */
#include "results/file.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOWS = 8, WINDOW_POINTS = 16384 };

typedef struct slot {
    uint32_t tag, point; /* other half of the hash; 1 + point, 0 = free */
} slot;

typedef struct held {
    res_window *w;
    uint64_t first, used; /* UINT64_MAX = empty; clock of the last use */
} held;

struct res_reuse {
    pthread_mutex_t lock; /* guards everything below but by_inputs */
    res_file *f;
    aic_intern *by_inputs; /* id = 1 + index into dep_of */
    uint32_t *dep_of;
    size_t n_slots;
    slot *slots;
    size_t step; /* points of a window */
    uint64_t clock;
    held windows[WINDOWS];
    res_columns loads, columns; /* of workloads; of points */
};
_Static_assert(offsetof(srv_point, load) == 0, "columns of workloads are those at the start of a point");
_Static_assert(sizeof(srv_workload) % sizeof(uint32_t) == 0, "a workload is a row of uint32_t");

/* ---- the index --------------------------------------------------------------------------------------- */

/* Workloads are plain numbers without padding: columns of /points that lie inside srv_point.load. */
static bool is_of_load(int column) {
    const res_column *c = res_column_at((size_t)column);
    return c->type == RES_U32 && c->offset < sizeof(srv_workload);
}

static uint64_t hash_of(uint32_t dep, const srv_workload *l) {
    uint32_t parts[sizeof *l / sizeof(uint32_t)];
    uint64_t h = (UINT64_C(0x9e3779b97f4a7c15) ^ dep) * UINT64_C(0xff51afd7ed558ccd);
    memcpy(parts, l, sizeof parts);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h = (h ^ parts[i]) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    return h;
}

static srv_workload load_at(const res_reuse *r, const res_window *w, size_t i) {
    srv_point p = {0};
    for (size_t k = 0; k < r->loads.n; k++) {
        uint32_t v = (uint32_t)res_window_number(w, i, r->loads.items[k]);
        memcpy((char *)&p + res_column_at((size_t)r->loads.items[k])->offset, &v, sizeof v);
    }
    return p.load;
}

static void insert(res_reuse *r, uint64_t hash, uint32_t point) {
    size_t at = (size_t)hash & (r->n_slots - 1);
    while (r->slots[at].point)
        at = (at + 1) & (r->n_slots - 1);
    r->slots[at] = (slot){(uint32_t)(hash >> 32), point + 1};
}

static bool build_index(res_reuse *r, aic_error *err) {
    uint64_t points = res_count(r->f);
    if (points >= UINT32_MAX / 2)
        return aic_fail(err, AIC_BAD_INPUT, "%s has more points than can be reused", r->f->in.path);
    for (r->n_slots = 64; 2 * r->n_slots < 3 * points;)
        r->n_slots *= 2;
    r->slots = AIC_NEW_ARRAY(slot, r->n_slots);
    res_window *w = res_window_new(r->f);
    res_columns asked = {0};
    res_columns_add(&asked, RES_C_mode); /* brings the deployments along */
    for (size_t k = 0; k < r->loads.n; k++)
        res_columns_add(&asked, r->loads.items[k]);
    bool ok = true;
    for (uint64_t first = 0; ok && first < points; first += WINDOW_POINTS) {
        size_t n = points - first < WINDOW_POINTS ? (size_t)(points - first) : WINDOW_POINTS;
        ok = res_window_load(w, first, n, asked.items, asked.n, false, err);
        for (size_t i = 0; ok && i < n; i++) {
            srv_workload l = load_at(r, w, i);
            insert(r, hash_of(res_window_deployment(w, i), &l), (uint32_t)(first + i));
        }
    }
    res_columns_free(&asked);
    res_window_free(w);
    return ok;
}

static void index_deployments(res_reuse *r) {
    const res_table *t = &r->f->deployments;
    r->by_inputs = aic_intern_new();
    r->dep_of = AIC_NEW_ARRAY(uint32_t, t->rows);
    for (size_t d = 0; d < t->rows; d++) {
        const char *inputs = (const char *)t->data[RES_DEP_inputs] + d * t->width[RES_DEP_inputs];
        size_t len = strnlen(inputs, t->width[RES_DEP_inputs]), before = aic_intern_count(r->by_inputs);
        if (len == SRV_INPUTS_DIGITS && aic_intern_add(r->by_inputs, inputs, len) == before)
            r->dep_of[before - 1] = (uint32_t)d;
    }
}

/* What was rounded does not say what it was; rows as computed are rounded as those computed now would be.
 * What was left out is gone; the slowest of the slowest are there. */
static bool rows_serve(const res_file *f, const res_writer_options *opt, aic_error *err) {
    if (opt->breakdown && f->rows > 0 && f->top && (!opt->top || opt->top > f->top))
        return aic_fail(
            err, AIC_BAD_INPUT,
            "%s: its breakdown keeps the %u slowest ops of a point; points of it serve a run with "
            "--breakdown top:%u, with fewer or without breakdown",
            f->in.path, f->top, f->top);
    return !opt->breakdown || f->rows == 0 || f->precision == RES_PRECISION_f64 ||
           f->precision == opt->precision ||
           aic_fail(err, AIC_BAD_INPUT,
                    "%s: its breakdown was rounded to %s; points of it serve a run with --precision %s or "
                    "without breakdown",
                    f->in.path, res_precision_name(f->precision), res_precision_name(f->precision));
}

res_reuse *res_reuse_open(const char *path, const res_writer_options *opt, aic_error *err) {
    res_file *f = res_open(path, err);
    if (!f || !rows_serve(f, opt, err)) {
        res_close(f);
        return NULL;
    }
    res_reuse *r = AIC_NEW(res_reuse);
    r->f = f;
    pthread_mutex_init(&r->lock, NULL);
    index_deployments(r);
    for (int c = RES_C_batch; c < RES_COLUMN_COUNT; c++)
        res_columns_add(is_of_load(c) ? &r->loads : &r->columns, c);
    for (size_t k = 0; k < r->loads.n; k++)
        res_columns_add(&r->columns, r->loads.items[k]);
    r->step = f->most_rows * WINDOW_POINTS > RES_WINDOW_ROWS ? RES_WINDOW_ROWS / f->most_rows : WINDOW_POINTS;
    for (int i = 0; i < WINDOWS; i++)
        r->windows[i] = (held){res_window_new(f), UINT64_MAX, 0};
    if (build_index(r, err))
        return r;
    res_reuse_close(r);
    return NULL;
}

void res_reuse_close(res_reuse *r) {
    if (!r)
        return;
    for (int i = 0; i < WINDOWS; i++)
        res_window_free(r->windows[i].w);
    res_columns_free(&r->columns);
    res_columns_free(&r->loads);
    aic_intern_free(r->by_inputs);
    free(r->dep_of);
    free(r->slots);
    res_close(r->f);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- taking points ----------------------------------------------------------------------------------- */

/* The window that holds a point, and the point's place in it. */
static const res_window *window_at(res_reuse *r, uint64_t point, size_t *at, aic_error *err) {
    uint64_t first = point / r->step * r->step, left = res_count(r->f) - first;
    held *oldest = &r->windows[0];
    *at = (size_t)(point - first);
    for (int i = 0; i < WINDOWS; i++) {
        held *h = &r->windows[i];
        if (h->first == first) {
            h->used = ++r->clock;
            return h->w;
        }
        oldest = h->used < oldest->used ? h : oldest;
    }
    oldest->first = UINT64_MAX;
    if (!res_window_load(oldest->w, first, left < r->step ? (size_t)left : r->step, r->columns.items,
                         r->columns.n, true, err))
        return NULL;
    oldest->first = first;
    oldest->used = ++r->clock;
    return oldest->w;
}

/* The point of this deployment with this workload: *out is its window, NULL when there is none. */
static bool find(res_reuse *r, uint32_t dep, const srv_workload *l, const res_window **out, size_t *at,
                 aic_error *err) {
    uint64_t hash = hash_of(dep, l);
    *out = NULL;
    for (size_t s = (size_t)hash & (r->n_slots - 1); r->slots[s].point; s = (s + 1) & (r->n_slots - 1)) {
        if (r->slots[s].tag != (uint32_t)(hash >> 32))
            continue;
        const res_window *w = window_at(r, r->slots[s].point - 1, at, err);
        if (!w)
            return false;
        srv_workload found = load_at(r, w, *at);
        if (res_window_deployment(w, *at) == dep && memcmp(&found, l, sizeof found) == 0) {
            *out = w;
            return true;
        }
    }
    return true;
}

static void copy_point(const res_reuse *r, const res_window *w, size_t i, srv_point *p) {
    srv_point_blank(p); /* some figures are no columns */
    for (size_t k = 0; k < r->columns.n; k++) {
        const res_column *column = res_column_at((size_t)r->columns.items[k]);
        char *to = (char *)p + column->offset;
        double v = column->type == RES_TEXT ? 0 : res_window_number(w, i, r->columns.items[k]);
        unsigned whole = column->type == RES_F64 ? 0 : (unsigned)v; /* every enumeration's type, too */
        if (column->type == RES_F64)
            memcpy(to, &v, sizeof v);
        else if (column->type != RES_TEXT)
            memcpy(to, &whole, sizeof whole);
    }
    p->reason = res_window_text(w, i, RES_C_reason);
}

static bool is_priced(srv_status s) {
    return s == SRV_ST_ok || s == SRV_ST_oom || s == SRV_ST_nonfinite;
}

/* Copies the breakdown rows of a priced point, entry i of out; false when the old file has not got them. */
static bool copy_rows(const res_window *w, size_t at, const srv_deployment *d, const srv_point *p, size_t i,
                      srv_block *out) {
    const res_op_row *rows;
    size_t first = srv_first_row(d, p->encodes), n = res_window_all_rows(w, at, &rows);
    if (n != d->n_rows - first)
        return false;
    first += i * d->n_rows;
    for (size_t r = 0; r < n; r++) {
        out->latency[first + r] = rows[r].latency;
        out->energy[first + r] = rows[r].energy;
        out->source[first + r] = (uint8_t)rows[r].source;
        out->basis[first + r] = srv_basis_of(rows[r].tier, (pdb_origins)rows[r].carried);
    }
    return true;
}

static bool take(res_reuse *r, uint32_t dep, const srv_deployment *d, bool breakdown, size_t i,
                 srv_block *out, bool *taken, aic_error *err) {
    size_t at;
    const res_window *w;
    srv_point p = srv_points_get(&out->points, i);
    if (!find(r, dep, &p.load, &w, &at, err))
        return false;
    if (!w)
        return true;
    bool priced = breakdown && is_priced(res_window_status(w, at));
    if (priced && !copy_rows(w, at, d, &p, i, out))
        return true;
    copy_point(r, w, at, &p);
    srv_points_put(&out->points, i, &p);
    out->priced[i] = priced;
    *taken = true;
    return true;
}

bool res_reuse_take(res_reuse *r, const srv_deployment *d, const srv_workload *loads, size_t n,
                    bool breakdown, srv_block *out, bool *taken, aic_error *err) {
    bool known = false, ok = true;
    uint32_t id = *d->inputs ? aic_intern_find(r->by_inputs, d->inputs, SRV_INPUTS_DIGITS, &known) : 0;
    memset(taken, 0, n * sizeof *taken);
    if (!known || id == 0)
        return true;
    srv_block_load(out, loads, n);
    srv_block_start(d, out);
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; ok && i < n; i++)
        ok = take(r, r->dep_of[id - 1], d, breakdown, i, out, &taken[i], err);
    pthread_mutex_unlock(&r->lock);
    return ok;
}
