/* One unit: classifies the points of a range with their partners, and says which ops moved those that
 * drifted. Breakdowns are read only where a figure moved. */
#include "results/compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A point of A and one of B, by their places in the windows. */
typedef struct pair {
    uint32_t at[CMP_SIDES];
    res_difference difference;
} pair;

/* Rows of the two breakdowns that are one op; CMP_NONE: the other deployment lacks it. */
typedef struct op_pair {
    uint32_t row[CMP_SIDES];
    size_t move;
} op_pair;

struct cmp_worker {
    const cmp_job *job;
    res_window *w[CMP_SIDES];
    uint64_t first[CMP_SIDES]; /* of the windows */
    size_t n[CMP_SIDES];
    bool rows[CMP_SIDES]; /* are the breakdowns of the window loaded? */
    pair *pairs;          /* CMP_UNIT of them */
    struct partner {
        uint32_t b, at;
    } * partners;
    uint32_t deployment[CMP_SIDES]; /* whose ops these are, for the unit's tally: */
    size_t n_ops;
    op_pair *ops;
    res_numbers *numbers;
};

cmp_worker *cmp_worker_new(const cmp_job *job) {
    cmp_worker *w = AIC_NEW(cmp_worker);
    const cmp_side *side = job->ids.side;
    w->job = job;
    for (int s = 0; s < CMP_SIDES; s++)
        w->w[s] = res_window_new(side[s].f);
    w->pairs = AIC_NEW_ARRAY(pair, CMP_UNIT);
    w->partners = AIC_NEW_ARRAY(struct partner, CMP_UNIT);
    w->ops = AIC_NEW_ARRAY(op_pair, res_most_rows(side[CMP_A].f) + res_most_rows(side[CMP_B].f));
    w->numbers = res_numbers_new();
    return w;
}

void cmp_worker_free(cmp_worker *w) {
    if (!w)
        return;
    for (int s = 0; s < CMP_SIDES; s++)
        res_window_free(w->w[s]);
    free(w->pairs);
    free(w->partners);
    free(w->ops);
    res_numbers_free(w->numbers);
    free(w);
}

/* ---- values of a point ------------------------------------------------------------------------------- */

static uint32_t deployment_of(const cmp_worker *w, int side, size_t i) {
    return ((const uint32_t *)res_window_field(w->w[side], RES_P_DEPLOYMENT))[i];
}

static uint32_t reason_of(const cmp_worker *w, int side, size_t i) {
    return res_window_text_id(w->w[side], i, RES_C_reason);
}

static double figure(const cmp_worker *w, int side, size_t i, int column) {
    return ((const double *)res_window_field(w->w[side], res_point_field((size_t)column)))[i];
}

/* |b - a| / max(|a|, |b|); infinite when one of them is absent or infinite and they differ. */
static double distance(double a, double b) {
    if (a == b || (isnan(a) && isnan(b)))
        return 0;
    double d = fabs(b - a) / fmax(fabs(a), fabs(b));
    return isfinite(d) ? d : (double)INFINITY;
}

/* ---- classes ----------------------------------------------------------------------------------------- */

/* The figure that differs most. */
static double largest(const cmp_worker *w, const pair *p, int *column) {
    double most = 0;
    const res_columns *by = &w->job->by;
    for (size_t c = 0; c < by->n; c++) {
        double d = distance(figure(w, CMP_A, p->at[CMP_A], by->items[c]),
                            figure(w, CMP_B, p->at[CMP_B], by->items[c]));
        if (d > most * (1 + 1e-9) || c == 0) { /* figures that move as one: the first of them */
            most = d;
            *column = by->items[c];
        }
    }
    return most;
}

static res_difference classify(const cmp_worker *w, const pair *p) {
    const cmp_side *side = w->job->ids.side;
    srv_status a = res_window_status(w->w[CMP_A], p->at[CMP_A]),
               b = res_window_status(w->w[CMP_B], p->at[CMP_B]);
    int column;
    if (a != b && (a == SRV_ST_ok || b == SRV_ST_ok))
        return a == SRV_ST_ok ? RES_DIFF_regression : RES_DIFF_gain;
    if (a != b || side[CMP_A].reason[reason_of(w, CMP_A, p->at[CMP_A])] !=
                      side[CMP_B].reason[reason_of(w, CMP_B, p->at[CMP_B])])
        return RES_DIFF_status;
    return largest(w, p, &column) > w->job->opt->tolerance ? RES_DIFF_drift : RES_DIFF_same;
}

/* ---- ops of a drift ---------------------------------------------------------------------------------- */

static const uint32_t *ops_of(const cmp_side *s, uint32_t deployment, size_t *n) {
    *n = res_table_get_u32(&s->f->deployments, RES_DEP_op_count, deployment);
    return s->op + res_table_get_u64(&s->f->deployments, RES_DEP_first_op, deployment);
}

static uint32_t find_op(const uint32_t *ops, size_t n, uint32_t op, size_t guess) {
    if (guess < n && ops[guess] == op)
        return (uint32_t)guess;
    for (size_t i = 0; i < n; i++)
        if (ops[i] == op)
            return (uint32_t)i;
    return CMP_NONE;
}

static void add_op(cmp_worker *w, cmp_tally *t, uint32_t op, uint32_t row_a, uint32_t row_b) {
    const cmp_side *side = w->job->ids.side;
    size_t move =
        cmp_tally_move(t, op, side[CMP_A].site[w->deployment[CMP_A]], side[CMP_B].site[w->deployment[CMP_B]]);
    w->ops[w->n_ops++] = (op_pair){{row_a, row_b}, move};
}

/* Pairs the ops of two deployments; a name stands once in a phase of a deployment. */
static void pair_ops(cmp_worker *w, cmp_tally *t, uint32_t a, uint32_t b) {
    size_t na, nb;
    const uint32_t *ops_a = ops_of(&w->job->ids.side[CMP_A], a, &na),
                   *ops_b = ops_of(&w->job->ids.side[CMP_B], b, &nb);
    if (w->deployment[CMP_A] == a && w->deployment[CMP_B] == b)
        return;
    w->deployment[CMP_A] = a;
    w->deployment[CMP_B] = b;
    w->n_ops = 0;
    for (size_t i = 0; i < na; i++)
        add_op(w, t, ops_a[i], (uint32_t)i, find_op(ops_b, nb, ops_a[i], i));
    for (size_t i = 0; i < nb; i++)
        if (find_op(ops_a, na, ops_b[i], i) == CMP_NONE)
            add_op(w, t, ops_b[i], CMP_NONE, (uint32_t)i);
}

typedef struct rows {
    size_t n, first; /* first: place in the window */
    size_t lead; /* ops of the deployment before the point's first row: an encoder that has nothing to do */
    const double *latency;
    double total;
} rows;

static rows rows_of(const cmp_worker *w, int side, size_t i) {
    rows r = {0};
    size_t ops;
    ops_of(&w->job->ids.side[side], deployment_of(w, side, i), &ops);
    r.n = res_window_span(w->w[side], i, &r.latency, &r.first);
    r.lead = ops - r.n;
    for (size_t k = 0; k < r.n; k++)
        r.total += isnan(r.latency[k]) ? 0 : r.latency[k]; /* left out */
    return r;
}

/* The place in the point's breakdown of row `row` of its deployment; CMP_NONE where it has none. */
static uint32_t place_of(const rows *r, uint32_t row) {
    return row == CMP_NONE || row < r->lead ? CMP_NONE : row - (uint32_t)r->lead;
}

static void add_move(cmp_move *m, const double ms[CMP_SIDES], double effect, bool source,
                     const cmp_drift *d) {
    m->points++;
    m->sources += source;
    m->ms[CMP_A] += ms[CMP_A];
    m->ms[CMP_B] += ms[CMP_B];
    m->effect += effect;
    m->moved += fabs(effect);
    if (fabs(effect) > m->largest) {
        m->largest = fabs(effect);
        memcpy(m->example, d->point, sizeof m->example);
    }
}

/* Counts what the ops did to the point; d learns the one that did most. */
static void count_ops(cmp_worker *w, cmp_tally *t, const pair *p, cmp_drift *d) {
    rows r[CMP_SIDES] = {rows_of(w, CMP_A, p->at[CMP_A]), rows_of(w, CMP_B, p->at[CMP_B])};
    double whole = fmax(r[CMP_A].total, r[CMP_B].total), most = 0;
    if (!r[CMP_A].n || !r[CMP_B].n || !(whole > 0))
        return;
    pair_ops(w, t, deployment_of(w, CMP_A, p->at[CMP_A]), deployment_of(w, CMP_B, p->at[CMP_B]));
    for (size_t k = 0; k < w->n_ops; k++) {
        const op_pair *o = &w->ops[k];
        double ms[CMP_SIDES];
        uint32_t at[CMP_SIDES];
        for (int s = 0; s < CMP_SIDES; s++) {
            at[s] = place_of(&r[s], o->row[s]);
            ms[s] = at[s] == CMP_NONE ? 0 : r[s].latency[at[s]];
        }
        if (!(distance(ms[CMP_A], ms[CMP_B]) > w->job->op_tolerance))
            continue; /* also where one file left it out */
        double effect = (ms[CMP_B] - ms[CMP_A]) / whole;
        bool source = at[CMP_A] != CMP_NONE && at[CMP_B] != CMP_NONE &&
                      !res_windows_agree(w->w[CMP_A], r[CMP_A].first + at[CMP_A], w->w[CMP_B],
                                         r[CMP_B].first + at[CMP_B]);
        add_move(&t->moves[o->move], ms, effect, source, d);
        if (fabs(effect) > most) {
            most = fabs(effect);
            d->op = t->moves[o->move].op;
            memcpy(d->op_ms, ms, sizeof d->op_ms);
        }
    }
}

/* ---- CSV --------------------------------------------------------------------------------------------- */

void cmp_csv_header(const cmp_job *job, aic_buf *out) {
    aic_buf_add(out, "difference,point_a,point_b");
    for (size_t c = 0; c < job->keys.n; c++)
        aic_buf_printf(out, ",%s", res_column_at((size_t)job->keys.items[c])->name);
    aic_buf_add(out, ",version_a,version_b,status_a,status_b,reason_a,reason_b");
    for (size_t c = 0; c < job->by.n; c++) {
        const char *name = res_column_at((size_t)job->by.items[c])->name;
        aic_buf_printf(out, ",%s_a,%s_b,%s_change", name, name, name);
    }
    aic_buf_add(out, ",op_phase,op,op_ms_a,op_ms_b\n");
}

/* A value of each side, where there is one. */
static void add_both(cmp_worker *w, const pair *p, int column, aic_buf *b) {
    for (int s = 0; s < CMP_SIDES; s++) {
        aic_buf_add(b, ",");
        if (p->at[s] == CMP_NONE)
            continue;
        aic_value v = res_window_value(w->w[s], p->at[s], column);
        res_csv_value(w->numbers, b, &v);
    }
}

static void add_change(cmp_worker *w, const pair *p, int column, aic_buf *b) {
    aic_buf_add(b, ",");
    if (p->at[CMP_A] == CMP_NONE || p->at[CMP_B] == CMP_NONE)
        return;
    double x = figure(w, CMP_A, p->at[CMP_A], column), y = figure(w, CMP_B, p->at[CMP_B], column);
    res_number_add(w->numbers, b, x == y ? 0 : (y - x) / x);
}

static void add_point(cmp_worker *w, const pair *p, int side, aic_buf *b) {
    aic_buf_add(b, ",");
    if (p->at[side] != CMP_NONE)
        aic_buf_printf(b, "%llu", (unsigned long long)(w->first[side] + p->at[side]));
}

static void add_line(cmp_worker *w, cmp_tally *t, const pair *p, const cmp_drift *d) {
    const cmp_job *job = w->job;
    int side = p->at[CMP_A] != CMP_NONE ? CMP_A : CMP_B;
    aic_buf *b = &t->text;
    size_t start = b->len;
    aic_buf_add(b, res_difference_name(p->difference));
    add_point(w, p, CMP_A, b);
    add_point(w, p, CMP_B, b);
    for (size_t c = 0; c < job->keys.n; c++) {
        aic_value v = res_window_value(w->w[side], p->at[side], job->keys.items[c]);
        aic_buf_add(b, ",");
        res_csv_value(w->numbers, b, &v);
    }
    add_both(w, p, RES_C_version, b);
    add_both(w, p, RES_C_status, b);
    add_both(w, p, RES_C_reason, b);
    for (size_t c = 0; c < job->by.n; c++) {
        add_both(w, p, job->by.items[c], b);
        add_change(w, p, job->by.items[c], b);
    }
    if (d && d->op != CMP_NONE) {
        const cmp_op *op = &job->ids.ops[d->op];
        aic_buf_printf(b, ",%s,", srv_phase_name(op->phase));
        aic_csv_quote(b, op->name);
        for (int s = 0; s < CMP_SIDES; s++) {
            aic_buf_add(b, ",");
            res_number_add(w->numbers, b, d->op_ms[s]);
        }
    } else {
        aic_buf_add(b, ",,,,");
    }
    aic_buf_add(b, "\n");
    AIC_GROW(t->lines, t->n_lines, t->cap_lines);
    t->lines[t->n_lines++] = (cmp_line){w->first[side] + p->at[side], start, b->len - start};
}

/* ---- counting ---------------------------------------------------------------------------------------- */

/* The change of the first figure, in the rows of the groups. */
static void count_change(const cmp_worker *w, const pair *p, cmp_group_row *row) {
    double a = figure(w, CMP_A, p->at[CMP_A], w->job->by.items[0]),
           b = figure(w, CMP_B, p->at[CMP_B], w->job->by.items[0]);
    if (!(a > 0 && b > 0 && isfinite(a) && isfinite(b)))
        return;
    double change = a == b ? 0 : log(b) - log(a); /* turns its sign when the files change places */
    row->compared++;
    row->logs += change;
    row->lowest = fmin(row->lowest, change);
    row->highest = fmax(row->highest, change);
}

static void count_groups(const cmp_worker *w, cmp_tally *t, const pair *p) {
    const cmp_ids *ids = &w->job->ids;
    int side = p->at[CMP_A] != CMP_NONE ? CMP_A : CMP_B;
    uint32_t deployment = deployment_of(w, side, p->at[side]);
    bool figures = (p->difference == RES_DIFF_same || p->difference == RES_DIFF_drift) &&
                   res_window_status(w->w[CMP_A], p->at[CMP_A]) == SRV_ST_ok;
    for (size_t g = 0; g < ids->n_groupings; g++) {
        cmp_group_row *row = &t->groups[g][ids->side[side].label[g][deployment]];
        row->points[p->difference]++;
        if (figures)
            count_change(w, p, row);
    }
}

static void count_turn(const cmp_worker *w, cmp_tally *t, const pair *p) {
    cmp_turn turn = {.difference = p->difference};
    for (int s = 0; s < CMP_SIDES; s++) {
        turn.status[s] = (uint8_t)res_window_status(w->w[s], p->at[s]);
        turn.reason[s] = reason_of(w, s, p->at[s]);
        turn.example[s] = w->first[s] + p->at[s];
    }
    cmp_tally_turn(t, &turn, &w->job->ids)->points++;
}

static void count_drift(cmp_worker *w, cmp_tally *t, const pair *p, cmp_drift *d) {
    *d = (cmp_drift){.op = CMP_NONE};
    d->size = largest(w, p, &d->column);
    for (int s = 0; s < CMP_SIDES; s++) {
        d->point[s] = w->first[s] + p->at[s];
        d->value[s] = figure(w, s, p->at[s], d->column);
    }
    count_ops(w, t, p, d);
    cmp_tally_drift(t, d);
}

static void count(cmp_worker *w, cmp_tally *t, const pair *p) {
    cmp_drift d;
    t->points[p->difference]++;
    count_groups(w, t, p);
    switch (p->difference) {
    case RES_DIFF_drift:
        count_drift(w, t, p, &d);
        break;
    case RES_DIFF_regression:
    case RES_DIFF_gain:
    case RES_DIFF_status:
        count_turn(w, t, p);
        break;
    default:
        break;
    }
    if (w->job->csv && p->difference != RES_DIFF_same)
        add_line(w, t, p, p->difference == RES_DIFF_drift ? &d : NULL);
}

/* ---- loading ----------------------------------------------------------------------------------------- */

static bool load(cmp_worker *w, int side, uint64_t first, size_t n, aic_error *err) {
    const res_columns *c = &w->job->loaded;
    w->first[side] = first;
    w->n[side] = n;
    w->rows[side] = false;
    return res_window_load(w->w[side], first, n, c->items, c->n, false, err);
}

static bool load_rows(cmp_worker *w, aic_error *err) {
    for (int s = 0; s < CMP_SIDES; s++) {
        if (!w->rows[s] && !res_window_load(w->w[s], w->first[s], w->n[s], NULL, 0, true, err))
            return false;
        w->rows[s] = true;
    }
    return true;
}

/* Counts the n pairs of the loaded windows. */
static bool count_pairs(cmp_worker *w, cmp_tally *t, size_t n, aic_error *err) {
    bool drift = false;
    for (size_t k = 0; k < n; k++) {
        w->pairs[k].difference = classify(w, &w->pairs[k]);
        drift |= w->pairs[k].difference == RES_DIFF_drift;
    }
    if (drift && !load_rows(w, err))
        return false;
    for (size_t k = 0; k < n; k++)
        count(w, t, &w->pairs[k]);
    return true;
}

static int by_point(const void *a, const void *b) {
    const struct partner *p = a, *q = b;
    return p->b < q->b ? -1 : p->b > q->b;
}

/* Partners of the window's points in point order; points without one are counted. */
static size_t find_partners(cmp_worker *w, cmp_tally *t, size_t n) {
    size_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t b = w->job->match.partner[w->first[CMP_A] + i];
        if (b == CMP_NONE)
            count(w, t, &(pair){{i, CMP_NONE}, RES_DIFF_removed});
        else
            w->partners[found++] = (struct partner){b, i};
    }
    qsort(w->partners, found, sizeof *w->partners, by_point);
    return found;
}

/* Reads B in ranges that hold many partners. */
static bool unit_by_index(cmp_worker *w, size_t n, cmp_tally *t, aic_error *err) {
    size_t found = find_partners(w, t, n), k = 0;
    while (k < found) {
        uint32_t first = w->partners[k].b, last = first;
        size_t pairs = 0;
        for (; k < found && w->partners[k].b - first < w->job->unit; k++) {
            last = w->partners[k].b;
            w->pairs[pairs++] = (pair){{w->partners[k].at, last - first}, RES_DIFF_same};
        }
        if (!load(w, CMP_B, first, last - first + 1, err) || !count_pairs(w, t, pairs, err))
            return false;
    }
    return true;
}

static int by_place(const void *a, const void *b) {
    const cmp_line *p = a, *q = b;
    return p->point < q->point ? -1 : p->point > q->point;
}

bool cmp_unit(cmp_worker *w, uint64_t first, size_t n, cmp_tally *t, aic_error *err) {
    w->deployment[CMP_A] = w->deployment[CMP_B] = CMP_NONE; /* rows of another tally */
    if (!load(w, CMP_A, first, n, err))
        return false;
    if (w->job->match.in_step) {
        for (uint32_t i = 0; i < n; i++)
            w->pairs[i] = (pair){{i, i}, RES_DIFF_same};
        return load(w, CMP_B, first, n, err) && count_pairs(w, t, n, err);
    }
    if (!unit_by_index(w, n, t, err))
        return false;
    if (t->n_lines)
        qsort(t->lines, t->n_lines, sizeof *t->lines, by_place);
    return true;
}

bool cmp_added(cmp_worker *w, uint64_t first, size_t n, cmp_tally *t, aic_error *err) {
    if (!load(w, CMP_B, first, n, err))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!w->job->match.taken[first + i])
            count(w, t, &(pair){{CMP_NONE, i}, RES_DIFF_added});
    return true;
}
