/* The reference path: one point at a time, every op at every step, exactly as docs/model/serving.md reads.
 * srv_price must give the same bits; tests compare the two. */
#include "serving/internal.h"
#include <string.h>

/* One folded table of a walk. */
typedef struct table {
    double *latency, *energy;
    uint8_t *source;
    srv_basis *basis;
    double cover[SRV_PARTS][OP_COVERS]; /* ms; encoder and context walks use part 0 alone */
} table;

static table new_table(srv_block *b, size_t n_rows) {
    return (table){.latency = srv_take(b, n_rows, sizeof(double)),
                   .energy = srv_take(b, n_rows, sizeof(double)),
                   .source = srv_take(b, n_rows, sizeof(uint8_t)),
                   .basis = srv_take(b, n_rows, sizeof(srv_basis))};
}

static void clear_table(table *t, size_t n_rows) {
    memset(t->cover, 0, sizeof t->cover);
    for (size_t r = 0; r < n_rows; r++) {
        t->latency[r] = t->energy[r] = 0;
        t->source[r] = OP_SRC_empirical;
        t->basis[r] = 0;
    }
}

static void fold(table *t, const srv_op *o, const op_result *r) {
    bool same = o->opens || t->source[o->row] == (uint8_t)r->source;
    t->latency[o->row] += r->latency;
    t->energy[o->row] += r->energy;
    t->source[o->row] = same ? (uint8_t)r->source : OP_SRC_mixed;
    t->basis[o->row] |= srv_basis_of(r->tier, r->from);
    for (int c = 0; c < OP_COVERS; c++)
        t->cover[o->part][c] += r->cover[c];
}

/* What the ops of a phase are asked for. */
typedef struct asked {
    srv_phase phase;
    const srv_workload *load; /* context */
    srv_images images;        /* encoder */
    uint32_t batch, position; /* generation */
} asked;

static op_shape shape_for(const srv_deployment *d, const asked *a, const srv_op *o) {
    switch (a->phase) {
    case SRV_PH_encoder:
        return srv_encoder_shape(&a->images, o->behind);
    case SRV_PH_context:
        return srv_context_shape(d, a->load, o->logits);
    default:
        return srv_decode_shape(d, a->batch, a->position);
    }
}

/* Asks the ops of a phase once, in order, and folds their answers. */
static op_class ask(const srv_deployment *d, const srv_walk *walk, const asked *a, table *t,
                    op_refusal *why) {
    clear_table(t, walk->n_rows);
    for (size_t i = 0; i < walk->n_bound; i++) {
        const srv_op *o = &walk->ops[i];
        op_shape shape = shape_for(d, a, o);
        op_result r;
        op_class cls = op_query(&o->bound, srv_plan_of(d)->mode, &shape, &r, why);
        if (cls != OP_OK)
            return cls;
        fold(t, o, &r);
    }
    return OP_OK;
}

/* Folded step values x repeats, added into the sum. */
static void accumulate(table *sum, const table *step, size_t n_rows, double repeats, bool first) {
    for (size_t r = 0; r < n_rows; r++) {
        sum->latency[r] += step->latency[r] * repeats;
        sum->energy[r] += step->energy[r] * repeats;
        sum->source[r] = first || sum->source[r] == step->source[r] ? step->source[r] : OP_SRC_mixed;
        sum->basis[r] |= step->basis[r];
    }
    for (int p = 0; p < SRV_PARTS; p++)
        for (int c = 0; c < OP_COVERS; c++)
            sum->cover[p][c] += step->cover[p][c] * repeats;
}

static op_class walk_generation(const srv_deployment *d, const srv_workload *w, table *sum, table *step,
                                op_refusal *why) {
    size_t n_rows = srv_plan_of(d)->generation.n_rows;
    uint32_t stride = d->tuning.stride, upper = w->osl > 1 ? w->osl - 1 : 0;
    clear_table(sum, n_rows);
    for (uint32_t i = 0; i < upper;) {
        uint32_t repeats = upper - i < stride ? upper - i : stride;
        op_class cls = ask(
            d, &srv_plan_of(d)->generation,
            &(asked){.phase = SRV_PH_generation, .batch = w->batch, .position = w->isl + i + 1}, step, why);
        if (cls != OP_OK)
            return cls;
        accumulate(sum, step, n_rows, (double)repeats, i == 0);
        i += repeats; /* only the last step repeats less than a stride */
    }
    return OP_OK;
}

/* Scales a phase's table into the block's rows from `at` on and adds up its columns. */
static void put_rows(const table *t, size_t n_rows, double scale, srv_block *b, size_t at,
                     double *sum_latency, double *sum_energy, srv_sums *sums) {
    for (size_t r = 0; r < n_rows; r++, at++) {
        b->latency[at] = t->latency[r] * scale;
        b->energy[at] = t->energy[r] * scale;
        b->source[at] = t->source[r];
        b->basis[at] = t->basis[r];
        sums->basis |= t->basis[r];
        *sum_latency += b->latency[at];
        *sum_energy += b->energy[at];
        if (b->energy[at] > 0)
            sums->powered += b->latency[at];
    }
}

/* The folded tables of a point; step is one of generation's. */
typedef struct tables {
    table encoder, context, sum, step;
} tables;

static op_class walk(const srv_deployment *d, const srv_point *p, tables *t, op_refusal *why) {
    const srv_plan *plan = srv_plan_of(d);
    srv_workload w = srv_walked(p);
    op_class cls = OP_OK;
    clear_table(&t->encoder, 0);
    clear_table(&t->context, 0);
    clear_table(&t->sum, 0);
    if (p->encodes)
        cls = ask(d, &plan->encoder, &(asked){.phase = SRV_PH_encoder, .images = srv_images_of(d, &w)},
                  &t->encoder, why);
    if (cls == OP_OK && srv_has_context(d->request.mode))
        cls = ask(d, &plan->context, &(asked){.phase = SRV_PH_context, .load = &w}, &t->context, why);
    if (cls == OP_OK && srv_has_generation(d->request.mode))
        cls = walk_generation(d, &w, &t->sum, &t->step, why);
    return cls;
}

static void plain_point(const srv_deployment *d, srv_block *b, size_t i, tables *t, srv_point *p) {
    const srv_plan *plan = srv_plan_of(d);
    op_refusal why = {.cls = OP_OK};
    op_class cls = walk(d, p, t, &why);
    if (cls != OP_OK) {
        srv_point_refuse(p, cls, srv_block_text(b, why.text));
        return;
    }
    double scale = d->tuning.latency_scale;
    size_t at = srv_rows_at(b, i);
    srv_sums s = {0};
    if (p->encodes)
        put_rows(&t->encoder, plan->encoder.n_rows, scale, b, at, &s.encoder_latency, &s.encoder_energy, &s);
    at += plan->encoder.n_rows;
    put_rows(&t->context, plan->context.n_rows, scale, b, at, &s.context_latency, &s.context_energy, &s);
    at += plan->context.n_rows;
    put_rows(&t->sum, plan->generation.n_rows, scale, b, at, &s.generation_latency, &s.generation_energy, &s);
    for (int c = 0; c < OP_COVERS; c++)
        s.cover[c] = (t->encoder.cover[0][c] + t->context.cover[0][c] + t->sum.cover[SRV_STILL][c] +
                      t->sum.cover[SRV_MOVING][c]) *
                     scale;
    b->priced[i] = b->wanted != SRV_NO_ROWS;
    srv_point_finish(d, &s, p);
}

void srv_price_plain(const srv_deployment *d, srv_block *b) {
    if (!srv_block_start(d, b))
        return;
    const srv_plan *plan = srv_plan_of(d);
    tables t = {.encoder = new_table(b, plan->encoder.n_rows),
                .context = new_table(b, plan->context.n_rows),
                .sum = new_table(b, plan->generation.n_rows),
                .step = new_table(b, plan->generation.n_rows)};
    for (size_t i = 0; i < b->n; i++) {
        srv_point p = srv_points_get(&b->points, i);
        if (p.status != SRV_ST_ok)
            continue;
        plain_point(d, b, i, &t, &p);
        srv_points_put(&b->points, i, &p);
    }
}
