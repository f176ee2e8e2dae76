/* The factored path: distinct shapes in arrays, points gathered from them (docs/model/serving.md,
 * "factoring"). Every sum is taken in the order of the plain path, so the bits agree. */
#include "serving/folded.h"
#include <string.h>

/* What the points of a block are gathered from; the tables' columns are scaled in place before gathering. */
typedef struct pieces {
    const uint32_t *live; /* points to price */
    srv_folded encoder, context, decode[SRV_PARTS];
    uint32_t *images_of;                     /* per live point that encodes */
    uint32_t *shape_of, *walk_of[SRV_PARTS]; /* per live point */
    srv_sums *context_sums;                  /* per context table, of points that do not encode */
    srv_folded frames;  /* per table of the still part: all rows of the phase, moving ones to be filled in */
    bool energy, basis; /* some table has one that is not 0; else the block's rows are left alone */
    bool gaps;          /* some table is refused */
} pieces;

/* Notes what the first `count` tables have. */
static void look_at(pieces *p, const srv_folded *f, size_t count) {
    uint64_t energy = 0;
    unsigned basis = 0;
    for (size_t r = 0; r < count * f->n_rows; r++) {
        uint64_t bits; /* -0 counts, too */
        memcpy(&bits, &f->energy[r], sizeof bits);
        energy |= bits;
    }
    for (size_t t = 0; t < count; t++) {
        basis |= f->any[t];
        p->gaps = p->gaps || f->gap[t].cls != OP_OK;
    }
    p->energy = p->energy || energy;
    p->basis = p->basis || basis;
}

static void scale_table(srv_folded *f, size_t i, double scale) {
    for (size_t r = i * f->n_rows; r < (i + 1) * f->n_rows; r++) {
        f->latency[r] *= scale;
        f->energy[r] *= scale;
    }
}

/* Adds up rows of a phase in their order. powered is never -0: it starts at 0. */
static void sum_rows(const double *latency, const double *energy, size_t n, double *sum_latency,
                     double *sum_energy, double *powered) {
    double l = *sum_latency, e = *sum_energy, p = *powered; /* in registers: rows are doubles, too */
    for (size_t r = 0; r < n; r++) {
        l += latency[r];
        e += energy[r];
        p += energy[r] > 0 ? latency[r] : 0;
    }
    *sum_latency = l;
    *sum_energy = e;
    *powered = p;
}

static void price_encoder(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    size_t count;
    p->images_of = srv_take(b, n, sizeof *p->images_of);
    p->encoder = srv_encoder_tables(d, b, p->live, n, p->images_of, &count);
    for (size_t t = 0; t < count; t++)
        scale_table(&p->encoder, t, d->tuning.latency_scale);
    look_at(p, &p->encoder, count);
}

static void price_context(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    size_t count;
    p->shape_of = srv_take(b, n, sizeof *p->shape_of);
    p->context = srv_context_tables(d, b, p->live, n, p->shape_of, &count);
    p->context_sums = srv_take(b, count, sizeof *p->context_sums);
    for (size_t t = 0; t < count; t++) {
        scale_table(&p->context, t, d->tuning.latency_scale);
        srv_sums *s = &p->context_sums[t];
        size_t at = t * p->context.n_rows;
        *s = (srv_sums){.basis = p->context.any[t]};
        for (int c = 0; c < OP_COVERS; c++)
            s->cover[c] = p->context.cover[t][c];
        sum_rows(p->context.latency + at, p->context.energy + at, p->context.n_rows, &s->context_latency,
                 &s->context_energy, &s->powered);
    }
    look_at(p, &p->context, count);
}

/* Puts the still part's rows in their places, scaled. */
static srv_folded make_frames(const srv_deployment *d, srv_block *b, const srv_folded *from, size_t count) {
    const srv_part *still = &srv_plan_of(d)->parts[SRV_STILL];
    double scale = d->tuning.latency_scale;
    size_t n_rows = srv_plan_of(d)->generation.n_rows;
    srv_folded frames = srv_folded_take(b, count, n_rows);
    for (size_t t = 0, r = 0; t < count; t++)
        for (size_t i = 0; i < still->n_rows; i++, r++) {
            size_t to = t * n_rows + still->rows[i];
            frames.latency[to] = from->latency[r] * scale;
            frames.energy[to] = from->energy[r] * scale;
            frames.source[to] = from->source[r];
            frames.basis[to] = from->basis[r];
        }
    return frames;
}

/* The still part has few distinct walks, of which each table is a frame for the rows of many points. */
static void price_still(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    srv_key *keys = srv_take(b, n, sizeof *keys);
    uint32_t *of = srv_take(b, n, sizeof *of), *some = srv_take(b, n, sizeof *some);
    for (size_t k = 0; k < n; k++) {
        const srv_workload *w = &b->points[p->live[k]].load;
        keys[k] = (srv_key){.hi = w->batch, .lo = w->osl};
    }
    size_t count = srv_number_keys(b, keys, n, of, some);
    uint32_t *walks = srv_take(b, count, sizeof *walks);
    for (size_t i = 0; i < count; i++)
        some[i] = p->live[some[i]];
    p->decode[SRV_STILL] = srv_decode_sums(d, b, SRV_STILL, some, count, walks);
    p->frames = make_frames(d, b, &p->decode[SRV_STILL], count);
    look_at(p, &p->decode[SRV_STILL], count);
    for (size_t k = 0; k < n; k++)
        of[k] = walks[of[k]];
    p->walk_of[SRV_STILL] = of;
}

static void price_decode(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    uint32_t *walk_of = srv_take(b, n, sizeof *walk_of);
    size_t count = 0;
    price_still(d, b, p, n);
    p->decode[SRV_MOVING] = srv_decode_sums(d, b, SRV_MOVING, p->live, n, walk_of);
    p->walk_of[SRV_MOVING] = walk_of;
    for (size_t k = 0; k < n; k++)
        count = walk_of[k] >= count ? (size_t)walk_of[k] + 1 : count;
    look_at(p, &p->decode[SRV_MOVING], count);
}

static bool comes_before(const srv_gap *a, const srv_gap *b) {
    return a->step < b->step || (a->step == b->step && a->op < b->op);
}

/* The refusal the plain walk would meet first, NULL when there is none. */
static const srv_gap *first_gap(const srv_deployment *d, const srv_point *point, const pieces *p, size_t k) {
    if (point->encodes) {
        const srv_gap *g = &p->encoder.gap[p->images_of[k]];
        if (g->cls != OP_OK)
            return g;
    }
    if (srv_has_context(d->request.mode)) {
        const srv_gap *g = &p->context.gap[p->shape_of[k]];
        if (g->cls != OP_OK)
            return g;
    }
    const srv_gap *first = NULL;
    for (int part = 0; srv_has_generation(d->request.mode) && part < SRV_PARTS; part++) {
        const srv_gap *g = &p->decode[part].gap[p->walk_of[part][k]];
        if (g->cls != OP_OK && (!first || comes_before(g, first)))
            first = g;
    }
    return first;
}

/* A phase has a dozen rows or so: not worth a call. The last word may overlap the one before. */
static void copy_bytes(uint8_t *to, const uint8_t *from, size_t n) {
    enum { WORD = 8 };
    if (n < WORD) {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
        return;
    }
    for (size_t i = 0; i + WORD < n; i += WORD)
        memcpy(to + i, from + i, WORD);
    memcpy(to + n - WORD, from + n - WORD, WORD);
}

/* Copies rows of table t to those of the block from `at` on. */
static void copy_rows(const pieces *p, const srv_folded *f, size_t t, srv_block *b, size_t at) {
    size_t n = f->n_rows;
    if (b->wanted == SRV_NO_ROWS)
        return;
    memcpy(b->latency + at, f->latency + t * n, n * sizeof(double));
    if (p->energy)
        memcpy(b->energy + at, f->energy + t * n, n * sizeof(double));
    copy_bytes(b->source + at, f->source + t * n, n);
    if (p->basis)
        copy_bytes(b->basis + at, f->basis + t * n, n);
}

/* Adds a table's cover to a point's, and what its rows rest on. */
static void add_evidence(const srv_folded *f, size_t t, double *restrict cover, srv_basis *basis) {
    *basis |= f->any[t];
    for (int c = 0; c < OP_COVERS; c++)
        cover[c] += f->cover[t][c];
}

/* Adds up rows of table t of a phase, and what they rest on. */
static void sum_table(const srv_folded *f, size_t t, double *latency, double *energy, srv_sums *s) {
    size_t at = t * f->n_rows;
    add_evidence(f, t, s->cover, &s->basis);
    sum_rows(f->latency + at, f->energy + at, f->n_rows, latency, energy, &s->powered);
}

/* The rows of the context phase, and of the encoder before it where the point has images. */
static void gather_prefill(const pieces *p, size_t k, bool encodes, srv_block *b, size_t at, srv_sums *s) {
    size_t t = p->shape_of[k];
    copy_rows(p, &p->context, t, b, at + p->encoder.n_rows);
    if (!encodes) {
        *s = p->context_sums[t];
        return;
    }
    copy_rows(p, &p->encoder, p->images_of[k], b, at);
    sum_table(&p->encoder, p->images_of[k], &s->encoder_latency, &s->encoder_energy, s);
    sum_table(&p->context, t, &s->context_latency, &s->context_energy, s);
}

/* One column of generation: the frame's rows with the moving ones in their places. Returns their sum in row
 * order. */
static double lay_column(const srv_part *moving, const double *frame, size_t n_rows, const double *values,
                         double scale, double *to) {
    double sum = 0;
    size_t r = 0;
    for (size_t m = 0; m < moving->n_rows; m++) {
        for (; r < moving->rows[m]; r++)
            sum += to[r] = frame[r];
        sum += to[r++] = values[m] * scale;
    }
    for (; r < n_rows; r++)
        sum += to[r] = frame[r];
    return sum;
}

static void lay_bytes(const srv_part *moving, const uint8_t *frame, size_t n_rows, const uint8_t *values,
                      uint8_t *to) {
    copy_bytes(to, frame, n_rows);
    for (size_t m = 0; m < moving->n_rows; m++)
        to[moving->rows[m]] = values[m];
}

static void gather_generation(const srv_part *moving, double scale, const pieces *p, size_t k, srv_block *b,
                              size_t at, srv_sums *s) {
    const srv_folded *still = &p->decode[SRV_STILL], *walks = &p->decode[SRV_MOVING], *frames = &p->frames;
    size_t t = p->walk_of[SRV_STILL][k], walk = p->walk_of[SRV_MOVING][k], n = frames->n_rows;
    size_t from = t * n, values = walk * moving->n_rows;
    s->generation_latency =
        lay_column(moving, frames->latency + from, n, walks->latency + values, scale, b->latency + at);
    if (p->energy) {
        s->generation_energy =
            lay_column(moving, frames->energy + from, n, walks->energy + values, scale, b->energy + at);
        for (size_t r = at; r < at + n; r++)
            s->powered += b->energy[r] > 0 ? b->latency[r] : 0;
    }
    if (b->wanted != SRV_NO_ROWS)
        lay_bytes(moving, frames->source + from, n, walks->source + values, b->source + at);
    if (b->wanted != SRV_NO_ROWS && p->basis)
        lay_bytes(moving, frames->basis + from, n, walks->basis + values, b->basis + at);
    add_evidence(still, t, s->cover, &s->basis);
    add_evidence(walks, walk, s->cover, &s->basis);
}

static void gather_point(const srv_deployment *d, srv_block *b, const pieces *p, size_t k) {
    const srv_plan *plan = srv_plan_of(d);
    size_t i = p->live[k], at = srv_rows_at(b, i);
    const srv_gap *gap = p->gaps ? first_gap(d, &b->points[i], p, k) : NULL;
    if (gap) {
        srv_point_refuse(&b->points[i], gap->cls, gap->text);
        return;
    }
    srv_sums s = {0};
    if (srv_has_context(d->request.mode))
        gather_prefill(p, k, b->points[i].encodes, b, at, &s);
    at += plan->encoder.n_rows + plan->context.n_rows;
    double scale = d->tuning.latency_scale;
    if (srv_has_generation(d->request.mode))
        gather_generation(&plan->parts[SRV_MOVING], scale, p, k, b, at, &s);
    for (int c = 0; c < OP_COVERS; c++)
        s.cover[c] *= scale;
    b->priced[i] = b->wanted != SRV_NO_ROWS;
    srv_point_finish(d, &s, &b->points[i]);
}

void srv_evaluate(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *out) {
    if (!srv_block_start(d, loads, n, out))
        return;
    uint32_t *live = srv_take(out, n, sizeof *live);
    size_t n_live = 0;
    for (size_t i = 0; i < n; i++)
        if (out->points[i].status == SRV_ST_ok)
            live[n_live++] = (uint32_t)i;
    pieces p = {.live = live};
    if (srv_plan_of(d)->encoder.n_ops > 0)
        price_encoder(d, out, &p, n_live);
    if (srv_has_context(d->request.mode))
        price_context(d, out, &p, n_live);
    if (srv_has_generation(d->request.mode))
        price_decode(d, out, &p, n_live);
    out->no_energy = !p.energy;
    out->no_basis = !p.basis;
    if (out->no_energy && out->wanted == SRV_ALL_ROWS)
        memset(out->energy, 0, n * out->n_rows * sizeof *out->energy);
    if (out->no_basis && out->wanted == SRV_ALL_ROWS)
        memset(out->basis, 0, n * out->n_rows);
    for (size_t k = 0; k < n_live; k++)
        gather_point(d, out, &p, k);
}
