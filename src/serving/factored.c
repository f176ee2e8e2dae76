/* The factored path: distinct shapes in arrays, points gathered from them (docs/model/serving.md,
 * "factoring"). Every sum is taken in the order of the plain path, so the bits agree. */
#include "serving/gather.h"
#include "serving/layout.h"
#include <string.h>

/* Notes what the first `count` tables have. */
static void look_at(srv_pieces *p, const srv_folded *f, size_t count) {
    uint64_t cover[OP_COVERS] = {0}, bits[OP_COVERS];
    for (int c = 0; c < OP_COVERS; c++)
        cover[c] = f->kinds >> c & 1;
    for (size_t t = 0; !f->kinds && t < count; t++) {
        memcpy(bits, f->cover[t], sizeof bits);
        for (int c = 0; c < OP_COVERS; c++)
            cover[c] |= bits[c];
    }
    p->energy = p->energy || (srv_folded_has(f, SRV_ENERGY) && /* -0 counts, too */
                              !aic_all_zero(f->energy, count * f->n_rows * sizeof *f->energy));
    p->basis = p->basis || (srv_folded_has(f, SRV_BASIS) && !aic_all_zero(f->any, count * sizeof *f->any));
    for (size_t t = 0; srv_folded_has(f, SRV_GAPS) && t < count; t++)
        p->gaps = p->gaps || srv_folded_gap(f, t);
    for (int c = 0; c < OP_COVERS; c++)
        p->cover[c] = p->cover[c] || cover[c];
}

static void scale_table(srv_folded *f, size_t i, double scale) {
    for (size_t r = i * f->n_rows; r < (i + 1) * f->n_rows; r++)
        f->latency[r] *= scale;
    for (size_t r = i * f->n_rows; srv_folded_has(f, SRV_ENERGY) && r < (i + 1) * f->n_rows; r++)
        f->energy[r] *= scale;
}

/* Adds up rows of a phase in their order; energy NULL: all 0. powered is never -0: it starts at 0. */
static void sum_rows(const double *latency, const double *energy, size_t n, double *sum_latency,
                     double *sum_energy, double *powered) {
    double l = *sum_latency, e = *sum_energy, p = *powered; /* in registers: rows are doubles, too */
    for (size_t r = 0; r < n; r++)
        l += latency[r];
    for (size_t r = 0; energy && r < n; r++) {
        e += energy[r];
        p += energy[r] > 0 ? latency[r] : 0;
    }
    *sum_latency = l;
    *sum_energy = e;
    *powered = p;
}

static void price_encoder(const srv_deployment *d, srv_block *b, srv_pieces *p, const srv_live *l) {
    size_t count;
    uint32_t *of = srv_take(b, l->n, sizeof *of);
    p->images_of = of;
    p->encoder = srv_encoder_tables(d, b, l->at, l->n, of, &count);
    for (size_t t = 0; t < count; t++)
        scale_table(&p->encoder, t, d->tuning.latency_scale);
    look_at(p, &p->encoder, count);
}

/* Adds a table's cover to a point's, and what its rows rest on. */
static void add_evidence(const srv_folded *f, size_t t, double *restrict cover, srv_basis *basis) {
    *basis |= srv_folded_has(f, SRV_BASIS) ? f->any[t] : 0;
    for (int c = 0; c < OP_COVERS; c++)
        cover[c] += f->cover[t][c];
}

/* Adds up rows of table t of a phase, and what they rest on. */
static void sum_table(const srv_folded *f, size_t t, double *latency, double *energy, srv_sums *s) {
    size_t at = t * f->n_rows;
    add_evidence(f, t, s->cover, &s->basis);
    sum_rows(f->latency + at, srv_folded_has(f, SRV_ENERGY) ? f->energy + at : NULL, f->n_rows, latency,
             energy, &s->powered);
}

static void price_context(const srv_deployment *d, srv_block *b, srv_pieces *p, const srv_live *l) {
    p->context = srv_context_tables(d, b, l);
    p->shape_of = l->layout->shape_of;
    const size_t count = l->layout->n_shapes;
    p->prefill = srv_take(b, count, sizeof *p->prefill);
    p->prefill_of = p->shape_of;
    for (size_t t = 0; t < count; t++) {
        scale_table(&p->context, t, d->tuning.latency_scale);
        srv_sums *s = &p->prefill[t];
        *s = (srv_sums){0};
        sum_table(&p->context, t, &s->context_latency, &s->context_energy, s);
    }
    look_at(p, &p->context, count);
}

/* Where some points have images, sums are taken point by point: the encoder's rows come first. */
static void sum_images(srv_block *b, srv_pieces *p, const srv_live *l) {
    srv_sums *sums = srv_take(b, l->n, sizeof *sums);
    uint32_t *of = srv_take(b, l->n, sizeof *of);
    p->prefill_of = of;
    for (size_t k = 0; k < l->n; k++) {
        srv_sums *s = &sums[k];
        *s = (srv_sums){0};
        of[k] = (uint32_t)k;
        if (b->points.of.encodes[l->at[k]])
            sum_table(&p->encoder, p->images_of[k], &s->encoder_latency, &s->encoder_energy, s);
        sum_table(&p->context, p->shape_of[k], &s->context_latency, &s->context_energy, s);
    }
    p->prefill = sums;
}

/* Puts the still part's rows in their places, scaled. */
static srv_folded make_frames(const srv_deployment *d, srv_block *b, const srv_folded *from, size_t count) {
    const srv_part *still = &srv_plan_of(d)->parts[SRV_STILL];
    double scale = d->tuning.latency_scale;
    size_t n_rows = srv_plan_of(d)->generation.n_rows;
    srv_folded frames = srv_folded_take(b, count, n_rows);
    frames.blank = from->blank;
    for (size_t t = 0, r = 0; t < count; t++)
        for (size_t i = 0; i < still->n_rows; i++, r++) {
            size_t to = t * n_rows + still->rows[i];
            frames.latency[to] = from->latency[r] * scale;
            frames.source[to] = from->source[r];
            if (srv_folded_has(from, SRV_ENERGY))
                frames.energy[to] = from->energy[r] * scale;
            if (srv_folded_has(from, SRV_BASIS))
                frames.basis[to] = from->basis[r];
        }
    return frames;
}

/* The still part has few distinct walks, of which each table is a frame for the rows of many points. */
static void price_still(const srv_deployment *d, srv_block *b, srv_pieces *p, const srv_live *l) {
    srv_layout_still(b, l);
    const size_t count = l->layout->n_still;
    p->decode[SRV_STILL] = srv_still_sums(d, b, l->layout->still, count);
    p->frames = make_frames(d, b, &p->decode[SRV_STILL], count);
    p->n_frames = count;
    p->walk_of[SRV_STILL] = l->layout->still_of;
    look_at(p, &p->decode[SRV_STILL], count);
}

static uint32_t largest(const uint32_t *v, size_t n) {
    uint32_t most = 0;
#pragma omp simd reduction(max : most)
    for (size_t i = 0; i < n; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}

static void price_decode(const srv_deployment *d, srv_block *b, srv_pieces *p, const srv_live *l) {
    price_still(d, b, p, l);
    p->decode[SRV_MOVING] = srv_moving_sums(d, b, l, &p->walk_of[SRV_MOVING]);
    look_at(p, &p->decode[SRV_MOVING], l->n ? (size_t)largest(p->walk_of[SRV_MOVING], l->n) + 1 : 0);
}

/* ---- gaps -------------------------------------------------------------------------------------- */

static bool comes_before(const srv_gap *a, const srv_gap *b) {
    return a->step < b->step || (a->step == b->step && a->op < b->op);
}

/* The refusal the plain walk would meet first, NULL when there is none. */
static const srv_gap *first_gap(const srv_deployment *d, bool encodes, const srv_pieces *p, size_t k) {
    const srv_gap *first = encodes ? srv_folded_gap(&p->encoder, p->images_of[k]) : NULL;
    if (!first && srv_has_context(d->request.mode))
        first = srv_folded_gap(&p->context, p->shape_of[k]);
    if (first)
        return first;
    for (int part = 0; srv_has_generation(d->request.mode) && part < SRV_PARTS; part++) {
        const srv_gap *g = srv_folded_gap(&p->decode[part], p->walk_of[part][k]);
        if (g && (!first || comes_before(g, first)))
            first = g;
    }
    return first;
}

static void refuse_gaps(const srv_deployment *d, srv_block *b, srv_pieces *p, srv_live *l) {
    enum { COLUMNS = 3 + SRV_PARTS };
    bool *gone = srv_take(b, l->n, sizeof *gone);
    for (size_t k = 0; k < l->n; k++) {
        const srv_gap *gap = first_gap(d, SRV_AT(&b->points, encodes, l->at[k]), p, k);
        gone[k] = gap != NULL;
        if (gap)
            srv_live_refuse(b, l, k, gap->cls, gap->text);
    }
    const uint32_t *columns[COLUMNS] = {p->images_of, p->shape_of, p->prefill_of, p->walk_of[0],
                                        p->walk_of[1]};
    srv_live_drop(b, l, gone, columns, COLUMNS);
    p->images_of = columns[0];
    p->shape_of = columns[1];
    p->prefill_of = columns[2];
    p->walk_of[0] = columns[3];
    p->walk_of[1] = columns[4];
}

void srv_price(const srv_deployment *d, srv_block *b) {
    srv_live l;
    srv_pieces p = {.gaps = false};
    memset(b->priced, 0, b->n * sizeof *b->priced);
    if (!srv_live_start(d, b, &l))
        return;
    if (srv_plan_of(d)->encoder.n_ops > 0 && srv_points_have_images(&b->points))
        price_encoder(d, b, &p, &l);
    if (srv_has_context(d->request.mode))
        price_context(d, b, &p, &l);
    if (p.encoder.n_rows > 0)
        sum_images(b, &p, &l);
    if (srv_has_generation(d->request.mode))
        price_decode(d, b, &p, &l);
    if (p.gaps)
        refuse_gaps(d, b, &p, &l);
    const double *powered = srv_gather_sums(d, b, &p, &l);
    srv_live_finish(d, b, &l, powered);
    srv_live_spread(b, &l);
    srv_gather_rows(d, b, &p, &l);
}
