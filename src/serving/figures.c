/* From sums and memory to a point's figures; projection of draft tokens (docs/model/serving.md). */
#include "serving/internal.h"
#include <math.h>
#include <stddef.h>

#define AT(field) offsetof(srv_point, field)

/* Every figure of a point that must be finite; those of a refused point are NaN. */
static const size_t FIGURES[] = {
    AT(ttft),
    AT(tpot),
    AT(request_latency),
    AT(context_latency),
    AT(generation_latency),
    AT(tokens_per_s),
    AT(seq_per_s),
    AT(tokens_per_s_per_gpu),
    AT(tokens_per_s_per_user),
    AT(seq_per_s_per_gpu),
    AT(concurrency),
    AT(memory),
    AT(weights),
    AT(activations),
    AT(kvcache),
    AT(nccl),
    AT(others),
    AT(context_energy),
    AT(generation_energy),
};

/* Figures of the row that a projection rounds; the parts of the memory are not columns of it. */
static const size_t ROUNDED[] = {
    AT(ttft),
    AT(tpot),
    AT(request_latency),
    AT(context_latency),
    AT(generation_latency),
    AT(tokens_per_s),
    AT(seq_per_s),
    AT(tokens_per_s_per_gpu),
    AT(tokens_per_s_per_user),
    AT(seq_per_s_per_gpu),
    AT(concurrency),
    AT(memory),
    AT(power),
};

enum { N_FIGURES = sizeof FIGURES / sizeof FIGURES[0], N_ROUNDED = sizeof ROUNDED / sizeof ROUNDED[0] };

static double *figure(srv_point *p, size_t offset) {
    return (double *)(void *)((char *)p + offset);
}

static const char *const RULES[] = {
#define RULE_TEXT(name, text) text,
    SRV_RULES(RULE_TEXT)
#undef RULE_TEXT
};
enum {
#define RULE_ENUM(name, text) RULE_##name,
    SRV_RULES(RULE_ENUM)
#undef RULE_ENUM
        RULE_NONE
};

static int broken_rule(const srv_deployment *d, const srv_workload *w) {
    srv_mode mode = d->request.mode;
    const uint64_t limit = UINT64_C(1) << 32;
    if (w->batch == 0)
        return RULE_batch;
    if (w->isl == 0)
        return RULE_isl;
    if (srv_has_context(mode) && w->prefix >= w->isl)
        return RULE_prefix;
    /* Quotients, so that no product of three 32-bit values can wrap. */
    uint64_t beam = d->tuning.beam;
    if (w->isl > SRV_MAX_SEQUENCE || w->osl > (SRV_MAX_SEQUENCE - w->isl) / beam)
        return RULE_sequence;
    if (srv_has_context(mode) && (uint64_t)w->batch * (w->isl - w->prefix) >= limit)
        return RULE_context_tokens;
    uint64_t widened = (uint64_t)w->batch * (d->built.nextn + UINT64_C(1));
    if (srv_has_generation(mode) && (widened >= limit || widened * beam >= limit))
        return RULE_decode_tokens;
    return RULE_NONE;
}

void srv_point_refuse(srv_point *p, op_class cls, const char *text) {
    p->status = cls == OP_INVALID ? SRV_ST_invalid : SRV_ST_missing;
    p->reason = text;
}

void srv_point_start(const srv_deployment *d, const srv_workload *load, srv_point *p) {
    *p = (srv_point){.load = *load, .power = NAN};
    for (size_t i = 0; i < N_FIGURES; i++)
        *figure(p, FIGURES[i]) = NAN;
    for (int c = 0; c < OP_COVERS; c++)
        p->cover[c] = NAN;
    if (d->refused != SRV_ST_ok) {
        p->status = d->refused;
        p->reason = d->why.text;
        return;
    }
    int rule = broken_rule(d, load);
    if (rule != RULE_NONE)
        srv_point_refuse(p, OP_INVALID, RULES[rule]);
}

op_shape srv_context_shape(const srv_deployment *d, const srv_workload *w, bool logits) {
    uint32_t s = w->isl - w->prefix;
    return (op_shape){.batch = w->batch,
                      .s = s,
                      .prefix = w->prefix,
                      .x = logits ? w->batch : w->batch * s,
                      .imbalance = d->tuning.imbalance_ctx};
}

op_shape srv_decode_shape(const srv_deployment *d, uint32_t batch, uint32_t position) {
    uint32_t widened = batch * (d->built.nextn + 1);
    return (op_shape){
        .batch = widened, .s = position, .x = widened * d->tuning.beam, .imbalance = d->tuning.imbalance_gen};
}

srv_power srv_power_of(const srv_sums *s) {
    double latency = s->context_latency + s->generation_latency;
    if (!(latency > 0))
        return (srv_power){0, 0};
    double energy = s->context_energy + s->generation_energy;
    return (srv_power){energy / latency, fmin(fmax(s->powered / latency, 0.0), 1.0)};
}

static void rates(const srv_deployment *d, srv_point *p) {
    const mdl_parallel *par = &d->built.par;
    double tp = (double)par->tp, pp = (double)par->pp, dp = (double)par->dp;
    double osl = (double)p->load.osl, steps = p->load.osl > 0 ? osl - 1.0 : 0.0;
    p->concurrency = (double)p->load.batch * dp;
    p->seq_per_s = p->request_latency == 0 ? 0 : p->concurrency / p->request_latency * 1000.0 * pp;
    p->seq_per_s_per_gpu = p->seq_per_s / tp / pp / dp;
    switch (d->request.mode) {
    case SRV_static_ctx:
        p->tokens_per_s = p->seq_per_s;
        break;
    case SRV_static_gen:
        p->tokens_per_s = p->seq_per_s * steps;
        break;
    default:
        p->tokens_per_s = p->seq_per_s * osl;
    }
    p->tokens_per_s_per_gpu = p->tokens_per_s / tp / pp / dp;
    p->tokens_per_s_per_user = p->tpot == 0 ? 0 : 1000.0 / p->tpot;
}

void srv_figures(const srv_deployment *d, const srv_sums *s, srv_point *p) {
    double steps = p->load.osl > 1 ? (double)p->load.osl - 1.0 : 0.0;
    double total = s->context_latency + s->generation_latency;
    p->context_latency = p->ttft = s->context_latency;
    p->generation_latency = s->generation_latency;
    p->context_energy = s->context_energy;
    p->generation_energy = s->generation_energy;
    p->tpot = steps > 0 ? s->generation_latency / steps : 0;
    p->request_latency = p->ttft + p->tpot * steps;
    if (p->request_latency == 0)
        p->request_latency = total;
    rates(d, p);
    srv_power power = srv_power_of(s);
    p->power = power.coverage >= 0.9 ? power.watts : NAN;
    for (int c = 0; c < OP_COVERS; c++)
        p->cover[c] = total > 0 ? s->cover[c] / total : 0;
}

static void round_row(srv_point *p) {
    for (size_t i = 0; i < N_ROUNDED; i++)
        *figure(p, ROUNDED[i]) = srv_round3(*figure(p, ROUNDED[i]));
}

void srv_project(const srv_deployment *d, srv_point *p) {
    double accepted = srv_plan_of(d)->accepted;
    if (!(accepted > 0) || d->request.mode == SRV_static_ctx)
        return;
    double progress = 1.0 + accepted, steps = p->load.osl > 1 ? (double)p->load.osl - 1.0 : 0.0;
    round_row(p);
    double before = p->request_latency;
    p->tpot /= progress;
    p->generation_latency /= progress;
    p->request_latency = p->ttft + p->tpot * steps;
    double ratio = progress;
    if (d->request.mode == SRV_static)
        ratio = p->request_latency == 0 ? 1.0 : before / p->request_latency;
    p->seq_per_s *= ratio;
    p->seq_per_s_per_gpu *= ratio;
    p->tokens_per_s *= ratio;
    p->tokens_per_s_per_gpu *= ratio;
    p->tokens_per_s_per_user *= progress;
    round_row(p);
}

static bool all_finite(srv_point *p) {
    for (size_t i = 0; i < N_FIGURES; i++)
        if (!isfinite(*figure(p, FIGURES[i])))
            return false;
    return true;
}

void srv_point_finish(const srv_deployment *d, const srv_sums *sums, srv_point *p) {
    const srv_plan *plan = srv_plan_of(d);
    srv_footprint f;
    srv_memory_at(&plan->memory, d->request.mode, d->tuning.beam, &p->load, &f);
    p->memory = f.total;
    p->weights = f.weights;
    p->activations = f.activations;
    p->kvcache = f.kvcache;
    p->nccl = f.nccl;
    p->others = f.others;
    p->carried = srv_basis_carried(sums->basis);
    p->tier = srv_basis_tier(sums->basis);
    srv_figures(d, sums, p);
    srv_project(d, p);
    if (!all_finite(p)) {
        p->status = SRV_ST_nonfinite;
        p->reason = "a figure is NaN or infinite";
    } else if (f.oom || f.kv_oom) {
        p->status = SRV_ST_oom;
        p->kv_oom = f.kv_oom;
        p->reason = f.oom ? plan->oom_text : plan->kv_oom_text;
    }
}
