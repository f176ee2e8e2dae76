/* One point op by op, for `show`: results as the walk adds them up, beside the speed of light of the same
 * shapes. */
#include "serving/internal.h"
#include <math.h>

static void add_sol(srv_detail *e, const op_bound *bound, const op_shape *shape, double repeats) {
    op_result sol;
    if (op_query(bound, OP_SOL, shape, &sol, NULL) != OP_OK) {
        e->sol_ms = e->sol_math = e->sol_mem = NAN;
        return;
    }
    e->sol_ms += sol.latency * repeats;
    e->sol_math += sol.has_sol ? sol.sol_math * repeats : NAN;
    e->sol_mem += sol.has_sol ? sol.sol_mem * repeats : NAN;
}

/* Adds one step. After a refusal the rest of the walk is still priced at the speed of light. */
static void add_step(const srv_deployment *d, const op_bound *bound, const op_shape *shape, double repeats,
                     bool first, srv_detail *e) {
    add_sol(e, bound, shape, repeats);
    if (e->cls != OP_OK)
        return;
    op_result r, *sum = &e->result;
    e->cls = op_query(bound, srv_plan_of(d)->mode, shape, &r, &e->why);
    if (e->cls != OP_OK)
        return;
    op_scale(&r, repeats);
    sum->latency += r.latency;
    sum->energy += r.energy;
    for (int c = 0; c < OP_COVERS; c++)
        sum->cover[c] += r.cover[c];
    sum->source = first || sum->source == r.source ? r.source : OP_SRC_mixed;
    sum->tier = r.tier > sum->tier ? r.tier : sum->tier;
    sum->from |= r.from;
}

static void explain_encoder(const srv_deployment *d, const srv_workload *w, const srv_op *o, srv_detail *e) {
    srv_images images = srv_images_of(d, w);
    op_shape shape = srv_encoder_shape(&images, o->behind);
    add_step(d, &o->bound, &shape, 1.0, true, e);
}

static void explain_context(const srv_deployment *d, const srv_workload *w, const srv_op *o, srv_detail *e) {
    op_shape shape = srv_context_shape(d, w, o->logits);
    add_step(d, &o->bound, &shape, 1.0, true, e);
}

static void explain_generation(const srv_deployment *d, const srv_workload *w, const srv_op *o,
                               srv_detail *e) {
    uint32_t stride = d->tuning.stride, upper = w->osl > 1 ? w->osl - 1 : 0;
    for (uint32_t i = 0; i < upper;) {
        uint32_t repeats = upper - i < stride ? upper - i : stride;
        op_shape shape = srv_decode_shape(d, w->batch, w->isl + i + 1);
        add_step(d, &o->bound, &shape, (double)repeats, i == 0, e);
        i += repeats;
    }
}

typedef void (*explain_fn)(const srv_deployment *d, const srv_workload *w, const srv_op *o, srv_detail *e);

/* Fills one detail per op of the walk; rows are numbered from `row` on. */
static void explain_walk(const srv_deployment *d, const srv_workload *w, const srv_walk *walk, size_t row,
                         explain_fn explain, srv_detail *details) {
    for (size_t i = 0; i < walk->n_ops; i++) {
        const srv_op *o = &walk->ops[i];
        details[i] = (srv_detail){
            .row = row + o->row, .op = o->bound.op, .result = op_zero(OP_SRC_empirical), .cls = OP_OK};
        explain(d, w, o, &details[i]);
        op_scale(&details[i].result, d->tuning.latency_scale);
    }
}

size_t srv_explain(const srv_deployment *d, const srv_workload *load, aic_arena *a, srv_detail **out) {
    srv_point p;
    *out = NULL;
    srv_point_start(d, load, &p);
    if (p.status != SRV_ST_ok)
        return 0;
    const srv_plan *plan = srv_plan_of(d);
    srv_workload w = srv_walked(&p);
    size_t n_encoder = p.encodes ? plan->encoder.n_ops : 0, n_context = plan->context.n_ops;
    size_t n = n_encoder + n_context + plan->generation.n_ops, row = plan->encoder.n_rows;
    srv_detail *details = aic_arena_alloc(a, n, sizeof *details);
    if (p.encodes)
        explain_walk(d, &w, &plan->encoder, 0, explain_encoder, details);
    explain_walk(d, &w, &plan->context, row, explain_context, details + n_encoder);
    explain_walk(d, &w, &plan->generation, row + plan->context.n_rows, explain_generation,
                 details + n_encoder + n_context);
    *out = details;
    return n;
}
