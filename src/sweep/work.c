/* One block of work: points grouped by deployment, evaluated, and laid out again in point order. */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

void swp_work_free(swp_work *w) {
    free(w->loads);
    free(w->deps);
    free(w->stored);
    res_placement_free(&w->place);
    free(w->points);
    free(w->rows);
    free(w->latency);
    free(w->energy);
    free(w->source);
    free(w->basis);
    free(w->order);
    free(w->row_at);
    free(w->group);
    free(w->taken);
    aic_arena_free(w->texts);
    srv_block_free(&w->block);
    srv_block_free(&w->old);
    free(w);
}

static void reserve_points(swp_work *w, size_t n) {
    if (n <= w->cap_points)
        return;
    w->loads = aic_realloc(w->loads, n, sizeof *w->loads);
    w->deps = aic_realloc(w->deps, n, sizeof *w->deps);
    w->stored = aic_realloc(w->stored, n, sizeof *w->stored);
    w->points = aic_realloc(w->points, n, sizeof *w->points);
    w->rows = aic_realloc(w->rows, n, sizeof *w->rows);
    w->order = aic_realloc(w->order, n, sizeof *w->order);
    w->row_at = aic_realloc(w->row_at, n, sizeof *w->row_at);
    w->group = aic_realloc(w->group, n, sizeof *w->group);
    w->taken = aic_realloc(w->taken, n, sizeof *w->taken);
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

/* The next n values of a column of rows, of so many bytes each: a group's, or zeros. */
static void append(void *column, size_t at, const void *from, bool zeros, size_t n, size_t width) {
    if (zeros)
        memset((char *)column + at * width, 0, n * width);
    else
        memcpy((char *)column + at * width, from, n * width);
}

/* Rows are appended group by group at first: row_at says where each point's rows lie. order: places of the
 * block's points. */
static void take_group(swp_work *w, const srv_deployment *d, const srv_block *b, const size_t *order,
                       size_t n, const bool *which) {
    const char *last = NULL, *last_copy = NULL;
    w->no_energy = w->no_energy && b->no_energy;
    w->no_basis = w->no_basis && b->no_basis;
    for (size_t i = 0; i < n; i++) {
        size_t point = order[i];
        if (which && !which[i])
            continue;
        w->points[point] = b->points[i];
        w->points[point].reason = keep_reason(w, d, b->points[i].reason, &last, &last_copy);
        size_t first = srv_first_row(d, &b->points[i]), n_rows = b->priced[i] ? b->n_rows - first : 0;
        w->rows[point] = (uint32_t)n_rows;
        w->row_at[point] = w->n_rows;
        if (n_rows == 0)
            continue;
        first += i * b->n_rows;
        append(w->latency, w->n_rows, b->latency + first, false, n_rows, sizeof *w->latency);
        append(w->energy, w->n_rows, b->energy + first, b->no_energy, n_rows, sizeof *w->energy);
        append(w->source, w->n_rows, b->source + first, false, n_rows, sizeof *w->source);
        append(w->basis, w->n_rows, b->basis + first, b->no_basis, n_rows, sizeof *w->basis);
        w->n_rows += n_rows;
    }
}

#define SWAP(type, a, b)                                                                                     \
    do {                                                                                                     \
        type swap_ = (a);                                                                                    \
        (a) = (b);                                                                                           \
        (b) = swap_;                                                                                         \
    } while (0)

/* Do all points have all rows of the deployment, or all of them none? Then the block's rows lie as the work's
 * do. */
static bool all_alike(const srv_deployment *d, const srv_block *b) {
    if (b->wanted == SRV_NO_ROWS)
        return true;
    for (size_t i = 0; i < b->n; i++)
        if (!b->priced[i] || srv_first_row(d, &b->points[i]) != 0)
            return false;
    return true;
}

/* Exchanges memory with the block in place of copying, where the block is the whole work. */
static bool take_whole(swp_work *w, const srv_deployment *d, srv_block *b) {
    if (b->n != w->n || w->n_rows || b->cap_points != w->cap_points || b->cap_rows != w->cap_rows ||
        !all_alike(d, b))
        return false;
    SWAP(srv_point *, w->points, b->points);
    SWAP(double *, w->latency, b->latency);
    SWAP(double *, w->energy, b->energy);
    SWAP(uint8_t *, w->source, b->source);
    SWAP(srv_basis *, w->basis, b->basis);
    SWAP(aic_arena *, w->texts, b->texts); /* reasons live on with their points */
    w->no_energy = b->no_energy;
    w->no_basis = b->no_basis;
    const size_t rows = b->wanted == SRV_NO_ROWS ? 0 : b->n_rows;
    for (size_t i = 0; i < w->n; i++) {
        w->rows[i] = (uint32_t)rows;
        w->row_at[i] = i * rows;
    }
    w->n_rows = w->n * rows;
    return true;
}

/* What a block is asked for: the loads of a group, and rows where the run wants them. */
static void ask(swp_work *w, const swp_pricing *p, const size_t *order, size_t n, srv_block *b) {
    for (size_t i = 0; i < n; i++)
        w->group[i] = w->loads[order[i]];
    b->wanted = p->breakdown ? SRV_ROWS_BUT_ZEROS : SRV_NO_ROWS;
}

static void evaluate(swp_work *w, const swp_pricing *p, const srv_deployment *d, const size_t *order,
                     size_t n) {
    ask(w, p, order, n, &w->block);
    if (p->plain)
        srv_evaluate_plain(d, w->group, n, &w->block);
    else
        srv_evaluate(d, w->group, n, &w->block);
    if (!take_whole(w, d, &w->block))
        take_group(w, d, &w->block, order, n, NULL);
}

/* Takes what the earlier result has; what is left of the group moves to the front of order, the rest behind
 * it. */
static bool reuse(swp_work *w, swp_pricing *p, const srv_deployment *d, size_t *order, size_t n, size_t *left,
                  aic_error *err) {
    size_t taken = 0;
    ask(w, p, order, n, &w->old);
    if (!res_reuse_take(p->old, d, w->group, n, p->breakdown, &w->old, w->taken, err))
        return false;
    take_group(w, d, &w->old, order, n, w->taken);
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        size_t point = order[i];
        if (w->taken[i]) {
            taken++;
            continue;
        }
        order[i] = order[*left];
        order[(*left)++] = point;
    }
    p->reused += taken;
    return true;
}

static bool evaluate_groups(swp_work *w, swp_pricing *p, aic_error *err) {
    for (size_t start = 0, end; start < w->n; start = end) {
        uint32_t dep = w->deps[w->order[start]];
        const srv_deployment *d = swp_compiled_get(p->compiled, dep, err);
        if (!d)
            return false;
        for (end = start; end < w->n && w->deps[w->order[end]] == dep; end++)
            ;
        size_t n = end - start, left = n;
        reserve_rows(w, p->breakdown ? w->n_rows + n * d->n_rows : d->n_rows);
        if (p->old && d->refused == SRV_ST_ok && !reuse(w, p, d, w->order + start, n, &left, err))
            return false;
        if (left)
            evaluate(w, p, d, w->order + start, left);
        if (p->origin)
            p->origin[dep] |= (uint8_t)((left < n ? SWP_REUSED : 0) | (left ? SWP_EVALUATED : 0));
    }
    return true;
}

/* Puts one column of rows, of so many bytes each, into point order. */
static void order_column(const swp_work *w, void *column, size_t width, char *scratch) {
    char *to = scratch;
    for (size_t i = 0; i < w->n; to += w->rows[i++] * width)
        memcpy(to, (const char *)column + w->row_at[i] * width, w->rows[i] * width);
    memcpy(column, scratch, w->n_rows * width);
}

/* After several groups were appended one after another. */
static void order_rows(swp_work *w) {
    char *scratch = aic_alloc(w->n_rows, sizeof(double));
    order_column(w, w->latency, sizeof *w->latency, scratch);
    order_column(w, w->energy, sizeof *w->energy, scratch);
    order_column(w, w->source, sizeof *w->source, scratch);
    order_column(w, w->basis, sizeof *w->basis, scratch);
    free(scratch);
}

/* Do the rows of each point follow those of the point before? */
static bool in_point_order(const swp_work *w) {
    size_t at = 0;
    for (size_t i = 0; i < w->n; at += w->rows[i++])
        if (w->rows[i] && w->row_at[i] != at)
            return false;
    return true;
}

bool swp_work_evaluate(swp_work *w, swp_pricing *p, uint64_t first, size_t n, aic_error *err) {
    const swp_sweep *s = p->s;
    w->first = first;
    w->n = n;
    w->n_rows = 0;
    w->no_energy = w->no_basis = true;
    reserve_points(w, n);
    swp_loads(s, first, n, w->loads);
    uint32_t dep = (uint32_t)swp_dep_of(s, first);
    for (size_t i = 0; i < n; i++)
        w->deps[i] = s->listed ? (uint32_t)swp_dep_of(s, first + i) : dep;
    aic_arena_free(w->texts);
    w->texts = aic_arena_new();
    group_points(w);
    if (!evaluate_groups(w, p, err))
        return false;
    if (!in_point_order(w))
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
