/* One block of work: points grouped by deployment, evaluated, and laid out again in point order. */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

void swp_work_free(swp_work *w) {
    free(w->loads);
    free(w->deps);
    free(w->points);
    free(w->rows);
    free(w->latency);
    free(w->energy);
    free(w->source);
    free(w->basis);
    free(w->order);
    free(w->row_at);
    free(w->group);
    aic_arena_free(w->texts);
    srv_block_free(&w->block);
    *w = (swp_work){0};
}

static void reserve_points(swp_work *w, size_t n) {
    if (n <= w->cap_points)
        return;
    w->loads = aic_realloc(w->loads, n, sizeof *w->loads);
    w->deps = aic_realloc(w->deps, n, sizeof *w->deps);
    w->points = aic_realloc(w->points, n, sizeof *w->points);
    w->rows = aic_realloc(w->rows, n, sizeof *w->rows);
    w->order = aic_realloc(w->order, n, sizeof *w->order);
    w->row_at = aic_realloc(w->row_at, n, sizeof *w->row_at);
    w->group = aic_realloc(w->group, n, sizeof *w->group);
    w->cap_points = n;
}

static void reserve_rows(swp_work *w, size_t n) {
    if (n <= w->cap_rows)
        return;
    w->latency = aic_realloc(w->latency, n, sizeof *w->latency);
    w->energy = aic_realloc(w->energy, n, sizeof *w->energy);
    w->source = aic_realloc(w->source, n, sizeof *w->source);
    w->basis = aic_realloc(w->basis, n, sizeof *w->basis);
    w->cap_rows = n;
}

/* ---- grouping
 * -----------------------------------------------------------------------------------------------------------
 */

typedef struct item {
    uint32_t dep, point;
} item;

static int by_dep(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->dep != y->dep)
        return x->dep < y->dep ? -1 : 1;
    return x->point < y->point ? -1 : x->point > y->point;
}

/* Fills order: points of equal deployments side by side, each group in point order. */
static void group_points(swp_work *w) {
    bool mixed = false;
    for (size_t i = 0; i < w->n; i++) {
        w->order[i] = i;
        mixed = mixed || w->deps[i] != w->deps[0];
    }
    if (!mixed)
        return;
    item *items = aic_alloc(w->n, sizeof *items);
    for (size_t i = 0; i < w->n; i++)
        items[i] = (item){w->deps[i], (uint32_t)i};
    qsort(items, w->n, sizeof *items, by_dep);
    for (size_t i = 0; i < w->n; i++)
        w->order[i] = items[i].point;
    free(items);
}

/* ---- evaluating
 * ---------------------------------------------------------------------------------------------------------------
 */

static void evaluate(swp_work *w, const srv_deployment *d, const srv_workload *loads, size_t n, bool plain) {
    if (plain)
        srv_evaluate_plain(d, loads, n, &w->block);
    else
        srv_evaluate(d, loads, n, &w->block);
}

/* The reason of a point outlives the block it came with: deployments' reasons stay as they are, others are
 * copied. */
static const char *keep_reason(swp_work *w, const srv_deployment *d, const char *reason, const char **last,
                               const char **last_copy) {
    if (!reason || reason == d->why.text)
        return reason;
    if (reason != *last) {
        *last = reason;
        *last_copy = aic_arena_strdup(w->texts, reason);
    }
    return *last_copy;
}

/* Rows are appended group by group at first: row_at says where each point's rows lie. */
static void take_group(swp_work *w, const srv_deployment *d, const size_t *order, size_t n) {
    const srv_block *b = &w->block;
    const char *last = NULL, *last_copy = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t point = order[i];
        w->points[point] = b->points[i];
        w->points[point].reason = keep_reason(w, d, b->points[i].reason, &last, &last_copy);
        size_t first = srv_first_row(d, &b->points[i]), n_rows = b->priced[i] ? b->n_rows - first : 0;
        w->rows[point] = (uint32_t)n_rows;
        w->row_at[point] = w->n_rows;
        if (n_rows == 0)
            continue;
        first += i * b->n_rows;
        memcpy(w->latency + w->n_rows, b->latency + first, n_rows * sizeof *w->latency);
        memcpy(w->energy + w->n_rows, b->energy + first, n_rows * sizeof *w->energy);
        memcpy(w->source + w->n_rows, b->source + first, n_rows);
        memcpy(w->basis + w->n_rows, b->basis + first, n_rows);
        w->n_rows += n_rows;
    }
}

static bool evaluate_groups(swp_work *w, swp_compiled *c, bool plain, aic_error *err) {
    for (size_t start = 0, end; start < w->n; start = end) {
        uint32_t dep = w->deps[w->order[start]];
        const srv_deployment *d = swp_compiled_get(c, dep, err);
        if (!d)
            return false;
        for (end = start; end < w->n && w->deps[w->order[end]] == dep; end++)
            w->group[end - start] = w->loads[w->order[end]];
        evaluate(w, d, w->group, end - start, plain);
        reserve_rows(w, w->n_rows + (end - start) * d->n_rows);
        take_group(w, d, w->order + start, end - start);
    }
    return true;
}

/* Puts rows into point order after several groups were appended one after another. */
static void order_rows(swp_work *w) {
    double *values = aic_alloc(w->n_rows, sizeof *values);
    uint8_t *bytes = aic_alloc(w->n_rows, 1), *byte_columns[] = {w->source, w->basis};
    double *columns[] = {w->latency, w->energy};
    for (size_t k = 0; k < 2; k++) {
        size_t at = 0;
        for (size_t i = 0; i < w->n; i++) {
            memcpy(values + at, columns[k] + w->row_at[i], w->rows[i] * sizeof *values);
            at += w->rows[i];
        }
        memcpy(columns[k], values, w->n_rows * sizeof *values);
    }
    for (size_t k = 0; k < 2; k++) {
        size_t at = 0;
        for (size_t i = 0; i < w->n; i++) {
            memcpy(bytes + at, byte_columns[k] + w->row_at[i], w->rows[i]);
            at += w->rows[i];
        }
        memcpy(byte_columns[k], bytes, w->n_rows);
    }
    free(values);
    free(bytes);
}

bool swp_work_evaluate(swp_work *w, const swp_sweep *s, swp_compiled *c, uint64_t first, size_t n, bool plain,
                       aic_error *err) {
    w->first = first;
    w->n = n;
    w->n_rows = 0;
    reserve_points(w, n);
    swp_loads(s, first, n, w->loads);
    uint32_t dep = (uint32_t)swp_dep_of(s, first);
    for (size_t i = 0; i < n; i++)
        w->deps[i] = s->listed ? (uint32_t)swp_dep_of(s, first + i) : dep;
    aic_arena_free(w->texts);
    w->texts = aic_arena_new();
    group_points(w);
    if (!evaluate_groups(w, c, plain, err))
        return false;
    bool ordered = true;
    for (size_t i = 1; ordered && i < n; i++)
        ordered = w->order[i] > w->order[i - 1];
    if (!ordered && w->n_rows)
        order_rows(w);
    return true;
}

void swp_work_done(const swp_work *w, swp_compiled *c) {
    for (size_t start = 0, end; start < w->n; start = end) {
        uint32_t dep = w->deps[w->order[start]];
        for (end = start; end < w->n && w->deps[w->order[end]] == dep; end++)
            ;
        swp_compiled_done(c, dep, end - start);
    }
}
