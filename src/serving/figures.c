/* From sums and memory to a point's figures; projection of draft tokens (docs/model/serving.md). */
#include "serving/internal.h"
#include <math.h>
#include <stddef.h>

#define AT(field) offsetof(srv_point, field)

/* Figures of the row that a projection rounds; the parts of the memory are not columns of it. */
static const size_t ROUNDED[] = {
    AT(ttft),
    AT(tpot),
    AT(request_latency),
    AT(encoder_latency),
    AT(context_latency),
    AT(generation_latency),
    AT(tokens_per_s),
    AT(seq_per_s),
    AT(tokens_per_s_per_gpu),
    AT(tokens_per_s_per_user),
    AT(seq_per_s_per_gpu),
    AT(concurrency),
    AT(memory),
    AT(encoder_memory),
    AT(power),
};

enum { N_ROUNDED = sizeof ROUNDED / sizeof ROUNDED[0] };

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

static const uint64_t limit = UINT64_C(1) << 32; /* of tokens */

/* Tokens of one image; none to a model that sees none. */
static mdl_image_tokens image_tokens(const srv_deployment *d, const mdl_images *images) {
    if (!d->built.model || images->count == 0)
        return (mdl_image_tokens){0, 0};
    return mdl_tokens_of_image(d->built.model, images);
}

/* What images add to the point, or the rule that they break. */
static int see_images(const srv_deployment *d, srv_point *p) {
    const mdl_images *images = &p->load.images;
    if (images->count == 0)
        return RULE_NONE;
    if ((images->height == 0) != (images->width == 0) || images->height >= SRV_MAX_SIDE ||
        images->width >= SRV_MAX_SIDE)
        return RULE_image_sides;
    mdl_image_tokens t = image_tokens(d, images);
    if (t.behind > SRV_MAX_SEQUENCE || images->count * t.behind > SRV_MAX_SEQUENCE ||
        images->count * t.behind > UINT32_MAX - p->load.isl)
        return RULE_image_tokens;
    p->visual_tokens = (uint32_t)(images->count * t.behind);
    p->encodes = srv_has_context(d->request.mode) && d->built.encoder.count > 0 && t.inside > 0;
    if (p->encodes && mdl_images_of_rank(&d->built, images, p->load.batch) > (limit - 1) / t.inside)
        return RULE_encoder_tokens;
    return RULE_NONE;
}

/* load: of the point, isl: with the tokens of its images. No product of two 32-bit values wraps. */
static int broken_rule(const srv_deployment *d, const srv_workload *load, uint32_t isl) {
    srv_mode mode = d->request.mode;
    if (srv_has_context(mode) && load->prefix >= isl)
        return RULE_prefix;
    uint64_t beam = d->tuning.beam;
    if (isl > SRV_MAX_SEQUENCE || beam * load->osl > SRV_MAX_SEQUENCE - isl)
        return RULE_sequence;
    if (srv_has_context(mode) && (uint64_t)load->batch * (isl - load->prefix) >= limit)
        return RULE_context_tokens;
    uint64_t widened = (uint64_t)load->batch * (d->built.nextn + UINT64_C(1));
    if (srv_has_generation(mode) && (widened >= limit || widened * beam >= limit))
        return RULE_decode_tokens;
    return RULE_NONE;
}

bool srv_loads_within_rules(const srv_deployment *d, const srv_workload *least, const srv_workload *most) {
    srv_workload worst = *most; /* but for prefix, each rule is the harder to keep the larger a load is */
    worst.prefix = 0;
    return least->batch > 0 && least->isl > 0 &&
           (!srv_has_context(d->request.mode) || most->prefix < least->isl) &&
           broken_rule(d, &worst, worst.isl) == RULE_NONE;
}

void srv_point_blank(srv_point *p) {
    for (size_t at = AT(ttft); at < sizeof *p; at += sizeof(double))
        *figure(p, at) = NAN;
}

static void refuse(srv_point *p, srv_status status, const char *text) {
    p->status = status;
    p->reason = text;
    srv_point_blank(p);
}

void srv_point_refuse(srv_point *p, op_class cls, const char *text) {
    refuse(p, cls == OP_INVALID ? SRV_ST_invalid : SRV_ST_missing, text);
}

void srv_point_start(const srv_deployment *d, const srv_workload *load, srv_point *p) {
    p->load = srv_plain_images(*load);
    p->status = SRV_ST_ok;
    p->reason = NULL;
    p->kv_oom = p->encodes = false;
    p->carried = SRV_CARRIED_own;
    p->tier = OP_TIER_none;
    p->visual_tokens = 0;
    if (d->refused != SRV_ST_ok) {
        refuse(p, d->refused, d->why.text);
        return;
    }
    int rule = p->load.batch == 0 ? RULE_batch : p->load.isl == 0 ? RULE_isl : see_images(d, p);
    if (rule == RULE_NONE)
        rule = broken_rule(d, &p->load, p->load.isl + p->visual_tokens);
    if (rule == RULE_NONE)
        return;
    srv_point_refuse(p, OP_INVALID, RULES[rule]);
    p->encodes = false;
}

srv_images srv_images_of(const srv_deployment *d, const srv_workload *w) {
    mdl_image_tokens t = image_tokens(d, &w->images);
    return (srv_images){(uint32_t)mdl_images_of_rank(&d->built, &w->images, w->batch), (uint32_t)t.inside,
                        (uint32_t)t.behind};
}

op_shape srv_encoder_shape(const srv_images *images, bool behind) {
    uint32_t s = behind ? images->behind : images->inside;
    return (op_shape){.batch = images->count, .s = s, .x = images->count * s, .imbalance = 1.0};
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
    double latency = s->encoder_latency + s->context_latency + s->generation_latency;
    if (!(latency > 0))
        return (srv_power){0, 0};
    double energy = s->encoder_energy + s->context_energy + s->generation_energy;
    double share = s->powered / latency;
    return (srv_power){energy / latency, share > 0 ? share < 1 ? share : 1 : 0};
}

double srv_covered_watts(const srv_sums *s) {
    if (!(s->powered > 0)) /* no part of the latency is covered */
        return NAN;
    srv_power power = srv_power_of(s);
    return power.coverage >= 0.9 ? power.watts : (double)NAN;
}

/* v / 1 is v: most deployments have no use for some of the divisors. */
static double per(double v, double n) {
    return n == 1 ? v : v / n;
}

static double per_gpu(double v, const mdl_parallel *par) {
    return per(per(per(v, (double)par->tp), (double)par->pp), (double)par->dp);
}

static void rates(const srv_deployment *d, srv_point *p) {
    const mdl_parallel *par = &d->built.par;
    double osl = (double)p->load.osl, steps = p->load.osl > 0 ? osl - 1.0 : 0.0;
    double latency = p->request_latency, concurrency = (double)p->load.batch * (double)par->dp;
    double seq = latency == 0 ? 0 : concurrency / latency * 1000.0 * (double)par->pp;
    double factor = d->request.mode == SRV_static_ctx ? 1.0 : d->request.mode == SRV_static_gen ? steps : osl;
    double tokens = seq * factor;
    p->concurrency = concurrency;
    p->seq_per_s = seq;
    p->seq_per_s_per_gpu = per_gpu(seq, par);
    p->tokens_per_s = tokens;
    p->tokens_per_s_per_gpu = per_gpu(tokens, par);
    p->tokens_per_s_per_user = p->tpot == 0 ? 0 : 1000.0 / p->tpot;
}

void srv_figures(const srv_deployment *d, const srv_sums *s, srv_point *p) {
    double steps = p->load.osl > 1 ? (double)p->load.osl - 1.0 : 0.0;
    double encoder = s->encoder_latency, context = s->context_latency, generation = s->generation_latency;
    double ttft = encoder + context, total = ttft + generation;
    double tpot = steps > 0 ? generation / steps : 0, latency = ttft + tpot * steps;
    bool any = total > 0;
    for (int c = 0; c < OP_COVERS; c++)
        p->cover[c] = any ? s->cover[c] / total : 0;
    p->encoder_energy = s->encoder_energy;
    p->context_energy = s->context_energy;
    p->generation_energy = s->generation_energy;
    p->power = srv_covered_watts(s);
    p->ttft = ttft;
    p->tpot = tpot;
    p->request_latency = latency == 0 ? total : latency;
    p->encoder_latency = encoder;
    p->context_latency = context;
    p->generation_latency = generation;
    rates(d, p);
}

static void round_row(srv_point *p) {
    for (size_t i = 0; i < N_ROUNDED; i++)
        *figure(p, ROUNDED[i]) = srv_round3(*figure(p, ROUNDED[i]));
}

bool srv_projects(const srv_deployment *d) {
    return srv_plan_of(d)->accepted > 0 && d->request.mode != SRV_static_ctx;
}

void srv_project(const srv_deployment *d, srv_point *p) {
    if (!srv_projects(d))
        return;
    double accepted = srv_plan_of(d)->accepted;
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

/* NaN where v is infinite or NaN, else 0. */
static double defect(double v) {
    return v - v;
}

/* Sums and products of figures are finite only where all of them are: these have all others in them. */
bool srv_figures_finite(const srv_point *p) {
    double latency = defect(p->request_latency) + defect(p->generation_latency);
    double rate = defect(p->seq_per_s) + defect(p->tokens_per_s) + defect(p->tokens_per_s_per_user);
    double memory = defect(p->memory) + defect(p->encoder_memory);
    double energy = defect(p->encoder_energy + p->context_energy + p->generation_energy);
    return latency + rate + memory + energy == 0;
}

void srv_footprint_of(const srv_deployment *d, const srv_workload *w, bool encodes, srv_footprint *out) {
    srv_guest encoder;
    if (encodes)
        encoder = (srv_guest){d->built.encoder_weight_bytes,
                              mdl_encoder_activations(&d->built, &w->images, w->batch)};
    srv_memory_at(&srv_plan_of(d)->memory, d->request.mode, d->tuning.beam, w, encodes ? &encoder : NULL,
                  out);
}

void srv_point_finish(const srv_deployment *d, const srv_sums *sums, srv_point *p) {
    const srv_plan *plan = srv_plan_of(d);
    srv_footprint f;
    srv_workload w = srv_walked(p);
    srv_footprint_of(d, &w, p->encodes, &f);
    p->memory = f.total;
    p->encoder_memory = f.encoder;
    p->weights = f.weights;
    p->activations = f.activations;
    p->kvcache = f.kvcache;
    p->nccl = f.nccl;
    p->others = f.others;
    p->carried = srv_basis_carried(sums->basis);
    p->tier = srv_basis_tier(sums->basis);
    srv_figures(d, sums, p);
    srv_project(d, p);
    if (!srv_figures_finite(p)) {
        p->status = SRV_ST_nonfinite;
        p->reason = SRV_NONFINITE;
    } else if (f.oom || f.kv_oom) {
        p->status = SRV_ST_oom;
        p->kv_oom = f.kv_oom;
        p->reason = f.oom ? plan->verdicts->oom : plan->verdicts->kv_oom;
    }
}
