/* Sums over the decode steps of moving rows whose ops are asked for all lengths at once (ops/fan.c).
 *
 * The steps of a batch are columns over the block's positions; each lane adds up its stretch of a column in
 * step order, several lanes side by side, and walks read the running sum off where they end. What is known to
 * be 0, or equal to another column, is not added up.
 */
#include "serving/layout.h"
#include <string.h>

enum { ABREAST = 8 };

/* A column of steps and where the sums of walk 0 go. */
typedef struct column {
    const double *steps;
    double *to;
    size_t apart;  /* doubles from walk to walk */
    double *cover; /* where else they go, OP_COVERS apart; NULL: nowhere */
} column;

/* Columns over the positions, where those of the fans do not serve: rows of several ops, and kinds of
 * evidence that change from step to step. */
typedef struct own {
    double **latency, **energy; /* by row; NULL: the row has one op */
    double *cover[OP_COVERS];
    srv_basis **basis; /* by row; NULL: no op has marks */
} own;

typedef struct summer {
    const srv_deployment *d;
    srv_block *b;
    const srv_part *part;
    srv_steps steps;
    op_fan *fans; /* one for each op of the part */
    own own;
    bool any_energy;
    srv_folded sums;
    column *columns; /* of the batch at hand */
    size_t n_columns;
    double *strides; /* of the column at hand: its steps times the stride */
} summer;

static const srv_op *op_at(const summer *s, size_t i) {
    return &srv_plan_of(s->d)->generation.ops[s->part->ops[i]];
}

/* ---- running sums ------------------------------------------------------------------------------------ */

/* Lanes that are summed side by side. Their walks begin alike: in a grid, most lanes have the same output
 * lengths, and long inputs fewer of them. */
typedef struct abreast {
    size_t n;
    const srv_lane *lane[ABREAST]; /* each has no more walks than the one before */
} abreast;

static size_t walks_of(const srv_lane *l) {
    return l->end - l->first;
}

/* Do the walks of l begin those of the first lane? */
static bool goes_along(const srv_steps *s, const abreast *a, const srv_lane *l) {
    return walks_of(l) <= walks_of(a->lane[a->n - 1]) &&
           memcmp(s->walks + a->lane[0]->first, s->walks + l->first, walks_of(l) * sizeof *s->walks) == 0;
}

static abreast take_lanes(const srv_steps *s, size_t first, size_t end) {
    abreast a = {.n = 1, .lane = {&s->lanes[first]}};
    while (a.n < ABREAST && first + a.n < end && goes_along(s, &a, &s->lanes[first + a.n])) {
        a.lane[a.n] = &s->lanes[first + a.n];
        a.n++;
    }
    return a;
}

/* Adds steps from .. to - 1 of each lane, which stand for whole strides, to its sum. The lanes take turns, so
 * that no addition waits for the one before. */
static void add_strides(const double *const v[ABREAST], size_t from, size_t to, double sum[ABREAST]) {
    _Static_assert(ABREAST == 8, "sums are written out");
    const double *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = v[3], *v4 = v[4], *v5 = v[5], *v6 = v[6],
                 *v7 = v[7];
    double s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3], s4 = sum[4], s5 = sum[5], s6 = sum[6],
           s7 = sum[7];
    for (size_t i = from; i < to; i++) {
        s0 += v0[i];
        s1 += v1[i];
        s2 += v2[i];
        s3 += v3[i];
        s4 += v4[i];
        s5 += v5[i];
        s6 += v6[i];
        s7 += v7[i];
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
    sum[4] = s4;
    sum[5] = s5;
    sum[6] = s6;
    sum[7] = s7;
}

/* Walk number w of the lane ends with this sum of whole strides. */
static void end_walk(const column *c, const srv_lane *l, size_t w, const srv_stretch *walk, double sum) {
    const size_t at = l->first + w;
    if (walk->left)
        sum += c->steps[l->at + walk->strides] * (double)walk->left;
    c->to[at * c->apart] = sum;
    if (c->cover)
        c->cover[at * OP_COVERS] = sum;
}

/* strides: the column's steps, each times the stride. */
static void sum_abreast(const srv_steps *s, const abreast *a, const column *c, const double *strides) {
    const double *v[ABREAST];
    double sum[ABREAST] = {0};
    size_t n = a->n, done = 0;
    for (size_t j = 0; j < ABREAST; j++)
        v[j] = strides + a->lane[j < n ? j : 0]->at;
    for (size_t w = 0; w < walks_of(a->lane[0]); w++) {
        const srv_stretch *walk = &s->walks[a->lane[0]->first + w];
        for (; walks_of(a->lane[n - 1]) <= w; n--)
            v[n - 1] = v[0]; /* has no steps any more: goes along with the first, to no end */
        add_strides(v, done, walk->strides, sum);
        done = walk->strides;
        for (size_t j = 0; j < n; j++)
            end_walk(c, a->lane[j], w, walk, sum[j]);
    }
}

AIC_WIDE static void srv_fan_strides(const double *restrict steps, srv_range r, double stride,
                                     double *restrict strides) {
#pragma omp simd
    for (size_t i = r.from; i < r.to; i++)
        strides[i] = steps[i] * stride;
}

static void sum_column(const summer *s, const srv_batch *b, const column *c) {
    for (size_t k = 0; k < b->n_ranges; k++)
        srv_fan_strides(c->steps, b->ranges[k], s->d->tuning.stride, s->strides);
    for (size_t first = b->first; first < b->end;) {
        const abreast a = take_lanes(&s->steps, first, b->end);
        sum_abreast(&s->steps, &a, c, s->strides);
        first += a.n;
    }
}

/* ---- columns of a batch ------------------------------------------------------------------------------ */

static void add_column(summer *s, const double *steps, double *to, size_t apart) {
    s->columns[s->n_columns++] = (column){.steps = steps, .to = to, .apart = apart};
}

/* Adds what an op has of one kind of evidence to a column. */
AIC_WIDE static void srv_fan_add_kind(const op_fan *f, unsigned kind, srv_range r, double *restrict column) {
    const double *restrict latency = f->latency, *restrict parts = f->parts[kind];
    const uint8_t *restrict cover = f->cover;
#pragma omp simd
    for (size_t i = r.from; i < r.to; i++) {
        double part = cover[i] == OP_COVERS ? parts[i] : 0.0;
        column[i] += cover[i] == kind ? latency[i] : part;
    }
}

/* The column of one kind of evidence. */
static const double *fill_kind(const summer *s, const srv_batch *b, unsigned kind) {
    double *column = s->own.cover[kind];
    for (size_t k = 0; k < b->n_ranges; k++) {
        const srv_range r = b->ranges[k];
        memset(column + r.from, 0, (r.to - r.from) * sizeof *column);
        for (size_t i = 0; i < s->part->n_ops; i++)
            srv_fan_add_kind(&s->fans[i], kind, r, column);
    }
    return column;
}

static void add_covers(summer *s, const srv_batch *b) {
    unsigned kinds = 0;
    for (size_t i = 0; i < s->part->n_ops; i++)
        kinds |= s->fans[i].kinds;
    s->sums.kinds |= kinds;
    for (unsigned kind = 0; kind < OP_COVERS; kind++) {
        double *to = s->sums.cover[0] + kind;
        if (kinds == 1u << kind && s->part->n_ops == 1)
            s->columns[0].cover = to; /* the first column is the latency of the only row */
        else if (kinds & 1u << kind)
            add_column(s, fill_kind(s, b, kind), to, OP_COVERS);
    }
}

/* Adds a column of an op, NULL = 0, to that of its row, the first one to 0. */
static void add_op(const double *v, const srv_batch *b, bool first, double *column) {
    for (size_t k = 0; k < b->n_ranges; k++)
        for (uint32_t i = b->ranges[k].from; i < b->ranges[k].to; i++)
            column[i] = (first ? 0.0 : column[i]) + (v ? v[i] : 0.0);
}

/* Columns of the rows, those of several ops added up in their order. */
static void add_rows(summer *s, const srv_batch *b) {
    const size_t rows = s->part->n_rows;
    for (size_t i = 0; i < s->part->n_ops; i++) {
        const op_fan *f = &s->fans[i];
        uint32_t row = s->part->slots[i];
        double *latency = s->own.latency[row], *energy = s->own.energy[row];
        bool opens = op_at(s, i)->opens;
        if (latency)
            add_op(f->latency, b, opens, latency);
        if (latency && s->any_energy)
            add_op(f->energy, b, opens, energy);
        if (opens)
            add_column(s, latency ? latency : f->latency, s->sums.latency + row, rows);
        if (opens && (latency ? s->any_energy : f->energy != NULL))
            add_column(s, latency ? energy : f->energy, s->sums.energy + row, rows);
    }
}

/* Marks of rows at the steps of a batch, and of walks, which rest on all their steps. */
static void add_marks(summer *s, const srv_batch *b) {
    const size_t rows = s->part->n_rows;
    for (size_t r = 0; r < rows; r++)
        memset(s->own.basis[r], 0, s->steps.n_positions * sizeof **s->own.basis);
    for (size_t i = 0; i < s->part->n_ops; i++)
        for (size_t k = 0; s->fans[i].from && k < b->n_ranges; k++)
            for (uint32_t at = b->ranges[k].from; at < b->ranges[k].to; at++)
                s->own.basis[s->part->slots[i]][at] |= srv_basis_of(OP_TIER_none, s->fans[i].from[at]);
    for (uint32_t l = b->first; l < b->end; l++)
        for (uint32_t w = s->steps.lanes[l].first; w < s->steps.lanes[l].end; w++)
            for (size_t r = 0; r < rows; r++) {
                const srv_stretch *walk = &s->steps.walks[w];
                const srv_basis *from = s->own.basis[r] + s->steps.lanes[l].at;
                srv_basis *to = &s->sums.basis[w * rows + r];
                for (size_t at = 0; at < walk->strides + (size_t)(walk->left > 0); at++)
                    *to |= from[at];
                s->sums.any[w] |= *to;
            }
}

/* ---- a block ----------------------------------------------------------------------------------------- */

static bool is_empty(const srv_stretch *walk) {
    return !walk->strides && !walk->left;
}

/* Tables as they are before anything is added up; walks without steps stay so, others are measured. */
static void clear_sums(summer *s) {
    const size_t rows = s->part->n_rows, n = s->steps.n_walks;
    size_t opened = 0; /* rows that get their latencies from a column */
    for (size_t i = 0; i < s->part->n_ops; i++)
        opened += op_at(s, i)->opens;
    if (opened < rows)
        memset(s->sums.latency, 0, n * rows * sizeof *s->sums.latency);
    memset(s->sums.cover, 0, n * sizeof *s->sums.cover);
    s->sums.blank = SRV_RARE;
    srv_folded_open(&s->sums, n, (s->any_energy ? SRV_ENERGY : 0u) | (s->own.basis ? SRV_BASIS : 0u));
    memset(s->sums.source, OP_SRC_silicon, n * rows);
    for (size_t l = 0; l < s->steps.n_lanes; l++) { /* those without steps come first */
        const srv_lane *lane = &s->steps.lanes[l];
        for (uint32_t w = lane->first; w < lane->end && is_empty(&s->steps.walks[w]); w++)
            memset(s->sums.source + w * rows, OP_SRC_empirical, rows);
    }
}

static double *own_column(const summer *s) {
    return srv_take(s->b, s->steps.n_positions, sizeof(double));
}

static void take_own_columns(summer *s) {
    const size_t rows = s->part->n_rows;
    s->own = (own){.latency = srv_take(s->b, rows, sizeof(double *)),
                   .energy = srv_take(s->b, rows, sizeof(double *))};
    memset(s->own.latency, 0, rows * sizeof(double *));
    memset(s->own.energy, 0, rows * sizeof(double *));
    bool marks = false;
    for (size_t i = 0; i < s->part->n_ops; i++) {
        uint32_t row = s->part->slots[i];
        s->any_energy = s->any_energy || s->fans[i].energy;
        marks = marks || s->fans[i].from;
        if (op_at(s, i)->opens || s->own.latency[row])
            continue;
        s->own.latency[row] = own_column(s);
        s->own.energy[row] = own_column(s);
    }
    for (int c = 0; c < OP_COVERS; c++)
        s->own.cover[c] = own_column(s);
    if (!marks)
        return;
    s->own.basis = srv_take(s->b, rows, sizeof *s->own.basis);
    for (size_t r = 0; r < rows; r++)
        s->own.basis[r] = srv_take(s->b, s->steps.n_positions, sizeof **s->own.basis);
}

static bool open_fans(summer *s) {
    s->fans = srv_take(s->b, s->part->n_ops, sizeof *s->fans);
    for (size_t i = 0; i < s->part->n_ops; i++)
        if (!srv_open_fan(s->d, s->b, &s->steps, &op_at(s, i)->bound, &s->fans[i]))
            return false;
    return true;
}

static bool sum_batch(summer *s, const srv_batch *b) {
    for (size_t i = 0; i < s->part->n_ops; i++)
        if (!srv_ask_fan(s->d, s->b, &s->steps, b, op_at(s, i)->who, &s->fans[i]))
            return false;
    s->n_columns = 0;
    add_rows(s, b);
    add_covers(s, b);
    for (size_t c = 0; c < s->n_columns; c++)
        sum_column(s, b, &s->columns[c]);
    if (s->own.basis)
        add_marks(s, b);
    return true;
}

bool srv_fan_sums(const srv_deployment *d, srv_block *b, const srv_live *l, srv_folded *out) {
    const srv_part *part = &srv_plan_of(d)->parts[SRV_MOVING];
    summer s = {.d = d, .b = b, .part = part};
    for (size_t i = 0; i < part->n_ops; i++)
        if (!op_has_fan(&op_at(&s, i)->bound, srv_plan_of(d)->mode))
            return false;
    srv_layout_steps(d, b, l);
    s.steps = l->layout->steps;
    if (!l->layout->fits || !open_fans(&s))
        return false;
    take_own_columns(&s);
    s.sums = srv_folded_take(b, s.steps.n_walks, part->n_rows);
    s.columns = srv_take(b, 2 * part->n_rows + OP_COVERS, sizeof *s.columns);
    s.strides = own_column(&s);
    clear_sums(&s);
    for (size_t i = 0; i < s.steps.n_batches; i++)
        if (!sum_batch(&s, &s.steps.batches[i]))
            return false;
    *out = s.sums;
    return true;
}
