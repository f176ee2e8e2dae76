/* Memory of one GPU and the two verdicts on it (docs/model/memory.md). Sums and products stand in the order
 * of that page. */
#include "serving/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool in_list(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static const double *coefficients_of(const srv_backend *b, const char *family) {
    for (size_t i = 0; i < b->n_families; i++)
        if (strcmp(b->families[i].family, family) == 0)
            return b->families[i].at;
    return b->coefficient;
}

/* Index into constants given for 1, 2, 4 and 8 or more ranks; -1 for other counts. */
static int tp_step(uint32_t tp) {
    switch (tp < 8 ? tp : 8) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    case 8:
        return 3;
    default:
        return -1;
    }
}

/* Decimal-exact rounding to three places: what printing and reading back gives. */
static double round_text3(double v) {
    char text[64];
    snprintf(text, sizeof text, "%.3f", v);
    return strtod(text, NULL);
}

static double fraction_from_reserve(const srv_reserve *r, double mib, const mdl_parallel *par) {
    size_t t = 0;
    while (t + 1 < r->n_tiers && !(mib < r->tiers[t].below_mib))
        t++;
    double chunk = r->tiers[t].chunk, graph = r->tiers[t].graph[par->tp < 4 ? 0 : 1];
    double reserve = r->base_mib + r->mib_per_chunk_token * chunk;
    reserve += (double)par->tp * (double)par->pp / 8.0 * r->mib_per_8_gpus;
    reserve += graph * r->mib_per_graph_request;
    if (par->dp > 1) {
        reserve += graph * (double)par->dp * r->mib_per_graph_request_dp;
        if (graph > r->large_graph)
            reserve += graph * (double)par->dp * r->mib_per_large_graph_request_dp;
    }
    if (mib > r->large_gpu_mib)
        reserve = fmax(reserve, r->large_gpu_reserve_mib);
    return round_text3((mib - reserve) / mib);
}

double srv_default_fraction(const srv_backend *b, const char *version, const pdb_system *sys,
                            const mdl_parallel *par) {
    for (size_t i = 0; i < b->n_versions; i++)
        if (strncmp(version, b->versions[i].prefix, strlen(b->versions[i].prefix)) == 0)
            return b->versions[i].fraction;
    if (isnan(b->fraction))
        return fraction_from_reserve(&b->reserve, sys->mem_capacity / SRV_MIB, par);
    return b->fraction;
}

static op_class check_system(const pdb_system *sys, uint32_t tp, int step, op_refusal *why) {
    if (step < 0)
        return op_refuse(why, OP_INVALID,
                         "tensor parallelism %u has no memory coefficients: use 1, 2, 4, or 8 and more", tp);
    if (!(sys->mem_capacity > 0))
        return op_refuse(why, OP_MISSING, "system %s: gpu.mem_capacity is missing in its sheet", sys->name);
    if (sys->nccl_mem[step] < 0)
        return op_refuse(why, OP_MISSING, "system %s: misc.nccl_mem lacks an entry for %d GPUs in its sheet",
                         sys->name, 1 << step);
    if (sys->other_mem < 0)
        return op_refuse(why, OP_MISSING, "system %s: misc.other_mem is missing in its sheet", sys->name);
    return OP_OK;
}

bool srv_memory_plan(const srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                     const pdb_system *sys, srv_memory *out, op_refusal *why) {
    const mdl_parallel *par = &d->built.par;
    int step = tp_step(par->tp);
    if (check_system(sys, par->tp, step, why) != OP_OK)
        return false;
    const srv_request *req = &d->request;
    bool honour = d->tuning.honour_memory_args;
    double width = facts->heads * facts->head_dim;
    bool workspace = facts->experts > 0 && in_list(b->workspace, b->n_workspace, facts->family);
    bool asked = honour && !isnan(req->free_gpu_memory_fraction);
    *out = (srv_memory){
        .weights = d->built.weight_bytes / (double)par->pp,
        .width = width,
        .coefficient = coefficients_of(b, facts->family)[step],
        .floor = b->activation_floor,
        .factor = b->activation_factor,
        .workspace = !workspace                                       ? 0
                     : in_list(b->hidden, b->n_hidden, facts->family) ? facts->hidden
                                                                      : width,
        .dp = (double)par->dp,
        .experts = facts->experts,
        .topk = facts->topk,
        .moe_ep = par->moe_ep ? (double)par->moe_ep : 1.0,
        .nextn = (double)d->built.nextn,
        .nccl = sys->nccl_mem[step],
        .others = sys->other_mem * b->others_factor,
        .max_seq_len = honour ? (double)req->max_seq_len : 0,
        .capacity = sys->mem_capacity / SRV_GIB,
        .fraction =
            asked ? req->free_gpu_memory_fraction : srv_default_fraction(b, d->view->version, sys, par),
        .keep = (1.0 - b->reserved) * (1.0 - b->tolerance),
        .of_total = b->of_total,
    };
    return true;
}

/* Bytes of activations. Draft tokens widen decode only: a walk that prefills scales by the share of decode
 * tokens, which a static walk puts at none (kept as a product and a quotient: they do not cancel in the last
 * bit). */
static double activations(const srv_memory *m, double tokens, bool prefills) {
    double a = 2.0 * tokens * m->width * m->coefficient;
    if (m->workspace > 0)
        a += tokens * m->workspace * m->dp * m->experts * m->topk / m->moe_ep / 128.0 * 4.0;
    a = a > m->floor ? a : m->floor;
    if (m->nextn > 0)
        a = prefills ? a * tokens / tokens : a * (m->nextn + 1.0);
    return a * m->factor;
}

static void judge(const srv_memory *m, srv_footprint *f) {
    f->oom = f->total >= m->capacity;
    f->kv_oom = false;
    if (f->oom)
        return;
    double rest = f->total - f->kvcache;
    double budget = m->of_total ? m->capacity * m->fraction * m->keep - rest
                                : (m->capacity - rest) * m->fraction * m->keep;
    f->kv_oom = f->kvcache > budget;
}

void srv_memory_at(const srv_memory *m, srv_mode mode, uint32_t beam, const srv_workload *w,
                   const srv_guest *encoder, srv_footprint *out) {
    double batch = (double)w->batch;
    double osl = mode == SRV_static_ctx ? 1.0 : (double)w->osl;
    bool prefills = srv_has_context(mode);
    double tokens = prefills ? (double)(w->isl - w->prefix) * batch : batch * (double)beam;
    const srv_guest guest = encoder ? *encoder : (srv_guest){0};
    double weights = m->weights + guest.weights;
    double act = activations(m, tokens, prefills) + guest.activations;
    double length = m->max_seq_len > 0 ? m->max_seq_len : (double)w->isl + (double)beam * osl;
    double kv = batch * m->kv_bytes(m->kv_ctx, length);
    out->total = (weights + act + kv + m->nccl + m->others) / SRV_GIB;
    out->weights = weights / SRV_GIB;
    out->activations = act / SRV_GIB;
    out->kvcache = kv / SRV_GIB;
    out->nccl = m->nccl / SRV_GIB;
    out->others = m->others / SRV_GIB;
    out->encoder = (guest.weights + guest.activations) / SRV_GIB;
    judge(m, out);
}
