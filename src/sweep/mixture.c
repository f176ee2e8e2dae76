/* Blocks whose points belong to several deployments, or come from an earlier result in part: points are
 * grouped by deployment, each group is evaluated or looked up, and all are laid out again in point order. */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

void swp_mixture_free(swp_mixture *m) {
    if (!m)
        return;
    free(m->loads);
    srv_points_free(&m->points);
    free(m->rows);
    free(m->latency);
    free(m->energy);
    free(m->source);
    free(m->basis);
    free(m->order);
    free(m->row_at);
    free(m->group);
    free(m->taken);
    aic_arena_free(m->texts);
    srv_block_free(&m->block);
    srv_block_free(&m->old);
    free(m);
}

static void reserve_points(swp_mixture *m, size_t n) {
    srv_points_reserve(&m->points, n);
    if (n <= m->cap_points)
        return;
    m->loads = aic_realloc(m->loads, n, sizeof *m->loads);
    m->rows = aic_realloc(m->rows, n, sizeof *m->rows);
    m->order = aic_realloc(m->order, n, sizeof *m->order);
    m->row_at = aic_realloc(m->row_at, n, sizeof *m->row_at);
    m->group = aic_realloc(m->group, n, sizeof *m->group);
    m->taken = aic_realloc(m->taken, n, sizeof *m->taken);
    m->cap_points = n;
}

static void reserve_rows(swp_mixture *m, size_t n) {
    if (n <= m->cap_rows)
        return;
    m->latency = aic_realloc(m->latency, n, sizeof *m->latency);
    m->energy = aic_realloc(m->energy, n, sizeof *m->energy);
    m->source = aic_realloc(m->source, n, sizeof *m->source);
    m->basis = aic_realloc(m->basis, n, sizeof *m->basis);
    m->cap_rows = n;
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
static void group_points(swp_mixture *m, const swp_work *w) {
    for (size_t i = 0; i < w->n; i++)
        m->order[i] = i;
    if (w->one)
        return;
    item *items = aic_alloc(w->n, sizeof *items);
    for (size_t i = 0; i < w->n; i++)
        items[i] = (item){w->deps[i], (uint32_t)i};
    qsort(items, w->n, sizeof *items, by_dep);
    for (size_t i = 0; i < w->n; i++)
        m->order[i] = items[i].point;
    free(items);
}

/* ---- evaluating
 * ---------------------------------------------------------------------------------------------------------------
 */

/* The reason of a point outlives the block it came with: deployments' reasons stay as they are, others are
 * copied. */
static const char *keep_reason(swp_mixture *m, const srv_deployment *d, const char *reason, const char **last,
                               const char **last_copy) {
    if (!reason || reason == d->why.text)
        return reason;
    if (reason != *last) {
        *last = reason;
        *last_copy = aic_arena_strdup(m->texts, reason);
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
 * block's points; which: NULL = all of them. */
static void take_group(swp_mixture *m, const srv_deployment *d, const srv_block *b, const size_t *order,
                       size_t n, const bool *which) {
    const char *last = NULL, *last_copy = NULL;
    m->no_energy = m->no_energy && b->no_energy;
    m->no_basis = m->no_basis && b->no_basis;
    for (size_t i = 0; i < n; i++) {
        if (which && !which[i])
            continue;
        const size_t place = order[i];
        srv_point p = srv_points_get(&b->points, i);
        p.reason = keep_reason(m, d, p.reason, &last, &last_copy);
        srv_points_put(&m->points, place, &p);
        size_t first = srv_first_row(d, p.encodes), n_rows = b->priced[i] ? b->n_rows - first : 0;
        m->rows[place] = (uint32_t)n_rows;
        m->row_at[place] = m->n_rows;
        if (n_rows == 0)
            continue;
        first += i * b->n_rows;
        append(m->latency, m->n_rows, b->latency + first, false, n_rows, sizeof *m->latency);
        append(m->energy, m->n_rows, b->energy + first, b->no_energy, n_rows, sizeof *m->energy);
        append(m->source, m->n_rows, b->source + first, false, n_rows, sizeof *m->source);
        append(m->basis, m->n_rows, b->basis + first, b->no_basis, n_rows, sizeof *m->basis);
        m->n_rows += n_rows;
    }
}

/* The loads of a group, in its order. */
static const srv_workload *loads_of(swp_mixture *m, const size_t *order, size_t n) {
    for (size_t i = 0; i < n; i++)
        m->group[i] = m->loads[order[i]];
    return m->group;
}

static void evaluate(swp_mixture *m, const swp_pricing *p, const srv_deployment *d, const size_t *order,
                     size_t n) {
    const srv_workload *loads = loads_of(m, order, n);
    m->block.wanted = p->breakdown ? SRV_ROWS_BUT_ZEROS : SRV_NO_ROWS;
    if (p->plain)
        srv_evaluate_plain(d, loads, n, &m->block);
    else
        srv_evaluate(d, loads, n, &m->block);
    take_group(m, d, &m->block, order, n, NULL);
}

/* Takes what the earlier result has; what is left of the group moves to the front of order, the rest behind
 * it. */
static bool reuse(swp_mixture *m, swp_pricing *p, const srv_deployment *d, size_t *order, size_t n,
                  size_t *left, aic_error *err) {
    size_t taken = 0;
    m->old.wanted = p->breakdown ? SRV_ROWS_BUT_ZEROS : SRV_NO_ROWS;
    if (!res_reuse_take(p->old, d, loads_of(m, order, n), n, p->breakdown, &m->old, m->taken, err))
        return false;
    take_group(m, d, &m->old, order, n, m->taken);
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        size_t point = order[i];
        if (m->taken[i]) {
            taken++;
            continue;
        }
        order[i] = order[*left];
        order[(*left)++] = point;
    }
    p->reused += taken;
    return true;
}

static bool evaluate_groups(swp_mixture *m, const swp_work *w, swp_pricing *p, aic_error *err) {
    for (size_t start = 0, end; start < w->n; start = end) {
        uint32_t dep = w->deps[w->one ? 0 : m->order[start]];
        const srv_deployment *d = swp_compiled_get(p->compiled, dep, err);
        if (!d)
            return false;
        for (end = start; end < w->n && (w->one || w->deps[m->order[end]] == dep); end++)
            ;
        size_t n = end - start, left = n;
        reserve_rows(m, p->breakdown ? m->n_rows + n * d->n_rows : d->n_rows);
        if (p->old && d->refused == SRV_ST_ok && !reuse(m, p, d, m->order + start, n, &left, err))
            return false;
        if (left)
            evaluate(m, p, d, m->order + start, left);
        if (p->origin)
            p->origin[dep] |= (uint8_t)((left < n ? SWP_REUSED : 0) | (left ? SWP_EVALUATED : 0));
    }
    return true;
}

/* ---- point order --------------------------------------------------------------------------------------- */

/* Puts one column of rows, of so many bytes each, into point order. */
static void order_column(const swp_mixture *m, size_t n, void *column, size_t width, char *scratch) {
    char *to = scratch;
    for (size_t i = 0; i < n; to += m->rows[i++] * width)
        memcpy(to, (const char *)column + m->row_at[i] * width, m->rows[i] * width);
    memcpy(column, scratch, m->n_rows * width);
}

/* After several groups were appended one after another. */
static void order_rows(swp_mixture *m, size_t n) {
    char *scratch = aic_alloc(m->n_rows, sizeof(double));
    order_column(m, n, m->latency, sizeof *m->latency, scratch);
    order_column(m, n, m->energy, sizeof *m->energy, scratch);
    order_column(m, n, m->source, sizeof *m->source, scratch);
    order_column(m, n, m->basis, sizeof *m->basis, scratch);
    free(scratch);
}

/* Do the rows of each point follow those of the point before? */
static bool in_point_order(const swp_mixture *m, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n; at += m->rows[i++])
        if (m->rows[i] && m->row_at[i] != at)
            return false;
    return true;
}

bool swp_mixture_evaluate(swp_mixture *m, swp_work *w, swp_pricing *p, aic_error *err) {
    m->n_rows = 0;
    m->no_energy = m->no_basis = true;
    reserve_points(m, w->n);
    m->points.same = 0;
    swp_loads(p->s, w->first, w->n, m->loads);
    aic_arena_free(m->texts);
    m->texts = aic_arena_new();
    group_points(m, w);
    if (!evaluate_groups(m, w, p, err))
        return false;
    if (!in_point_order(m, w->n))
        order_rows(m, w->n);
    w->points = (res_points){.n = w->n,
                             .points = &m->points,
                             .rows = m->rows,
                             .n_rows = m->n_rows,
                             .latency = m->latency,
                             .energy = m->no_energy ? NULL : m->energy,
                             .source = m->source,
                             .basis = m->no_basis ? NULL : m->basis};
    return true;
}
