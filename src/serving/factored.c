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
} pieces;

static void scale_table(srv_folded *f, size_t i, double scale) {
    for (size_t r = i * f->n_rows; r < (i + 1) * f->n_rows; r++) {
        f->latency[r] *= scale;
        f->energy[r] *= scale;
    }
}

/* Adds up rows of a phase in their order. */
static void sum_rows(const double *latency, const double *energy, size_t n, double *sum_latency,
                     double *sum_energy, double *powered) {
    for (size_t r = 0; r < n; r++) {
        *sum_latency += latency[r];
        *sum_energy += energy[r];
        if (energy[r] > 0)
            *powered += latency[r];
    }
}

static void price_encoder(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    size_t count;
    p->images_of = srv_take(b, n, sizeof *p->images_of);
    p->encoder = srv_encoder_tables(d, b, p->live, n, p->images_of, &count);
    for (size_t t = 0; t < count; t++)
        scale_table(&p->encoder, t, d->tuning.latency_scale);
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
        *s = (srv_sums){0};
        sum_rows(p->context.latency + at, p->context.energy + at, p->context.n_rows, &s->context_latency,
                 &s->context_energy, &s->powered);
    }
}

static void price_decode(const srv_deployment *d, srv_block *b, pieces *p, size_t n) {
    for (int part = 0; part < SRV_PARTS; part++) {
        p->walk_of[part] = srv_take(b, n, sizeof *p->walk_of[part]);
        p->decode[part] = srv_decode_sums(d, b, part, p->live, n, p->walk_of[part]);
    }
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

/* Copies rows of table t to those of the block from `at` on and adds its evidence. */
static void gather_rows(const srv_folded *f, size_t t, srv_block *b, size_t at, srv_sums *s) {
    size_t n = f->n_rows;
    memcpy(b->latency + at, f->latency + t * n, n * sizeof(double));
    memcpy(b->energy + at, f->energy + t * n, n * sizeof(double));
    memcpy(b->source + at, f->source + t * n, n);
    memcpy(b->basis + at, f->basis + t * n, n);
    s->basis |= f->any[t];
    for (int c = 0; c < OP_COVERS; c++)
        s->cover[c] += f->cover[t][c];
}

/* Puts a part's rows in their places and adds its evidence. */
static void gather_part(const srv_part *part, const srv_folded *f, size_t t, double scale, double *latency,
                        double *energy, uint8_t *source, srv_basis *basis, srv_sums *s) {
    const double *from_latency = f->latency + t * f->n_rows, *from_energy = f->energy + t * f->n_rows;
    const uint8_t *from_source = f->source + t * f->n_rows;
    const srv_basis *from_basis = f->basis + t * f->n_rows;
    for (size_t r = 0; r < part->n_rows; r++) {
        uint32_t row = part->rows[r];
        latency[row] = from_latency[r] * scale;
        energy[row] = from_energy[r] * scale;
        source[row] = from_source[r];
        basis[row] = from_basis[r];
    }
    s->basis |= f->any[t];
    for (int c = 0; c < OP_COVERS; c++)
        s->cover[c] += f->cover[t][c];
}

/* The rows of the context phase, and of the encoder before it where the point has images. */
static void gather_prefill(const pieces *p, size_t k, bool encodes, srv_block *b, size_t at, srv_sums *s) {
    size_t t = p->shape_of[k], n = p->encoder.n_rows;
    if (!encodes) {
        *s = p->context_sums[t];
        gather_rows(&p->context, t, b, at + n, s);
        return;
    }
    gather_rows(&p->encoder, p->images_of[k], b, at, s);
    gather_rows(&p->context, t, b, at + n, s);
    sum_rows(b->latency + at, b->energy + at, n, &s->encoder_latency, &s->encoder_energy, &s->powered);
    at += n;
    sum_rows(b->latency + at, b->energy + at, p->context.n_rows, &s->context_latency, &s->context_energy,
             &s->powered);
}

static void gather_point(const srv_deployment *d, srv_block *b, const pieces *p, size_t k) {
    const srv_plan *plan = srv_plan_of(d);
    size_t i = p->live[k], at = i * b->n_rows;
    const srv_gap *gap = first_gap(d, &b->points[i], p, k);
    if (gap) {
        srv_point_refuse(&b->points[i], gap->cls, gap->text);
        return;
    }
    srv_sums s = {0};
    if (srv_has_context(d->request.mode))
        gather_prefill(p, k, b->points[i].encodes, b, at, &s);
    at += plan->encoder.n_rows + plan->context.n_rows;
    double scale = d->tuning.latency_scale;
    for (int part = 0; srv_has_generation(d->request.mode) && part < SRV_PARTS; part++)
        gather_part(&plan->parts[part], &p->decode[part], p->walk_of[part][k], scale, b->latency + at,
                    b->energy + at, b->source + at, b->basis + at, &s);
    sum_rows(b->latency + at, b->energy + at, plan->generation.n_rows, &s.generation_latency,
             &s.generation_energy, &s.powered);
    for (int c = 0; c < OP_COVERS; c++)
        s.cover[c] *= scale;
    b->priced[i] = true;
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
    for (size_t k = 0; k < n_live; k++)
        gather_point(d, out, &p, k);
}
