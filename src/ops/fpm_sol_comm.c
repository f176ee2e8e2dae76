/* Terms of communication: collectives, pipeline stages, token exchange around experts (docs/model/fpm.md). */
#include "ops/comm_internal.h"
#include "ops/fpm_sol.h"

#include <math.h>
#include <string.h>

/* ---- collectives --------------------------------------------------------------------------------------- */

/* A step of communication. */
typedef struct hop {
    enum { NOTHING, COLLECTIVE, ALLREDUCE } kind;
    double gpus, elements; /* elements per token */
    double passes, bytes;  /* COLLECTIVE: how often an element crosses the ring, and its bytes */
} hop;

typedef struct hops {
    hop items[2];
    double split; /* tokens are divided by it and rounded up; 0: neither */
} hops;

static double hop_price(const pdb_system *sys, const hop *h, double tokens) {
    double g = h->gpus, size = tokens * h->elements;
    if (h->kind == NOTHING || !(g > 1.0))
        return 0.0;
    double bw = pdb_p2p_bw(sys, (uint32_t)g);
    if (h->kind == ALLREDUCE)
        return 2.0 * size * 2.0 / g * (g - 1.0) / bw * 1000.0;
    return h->passes * h->bytes * size * (g - 1.0) / g / bw * 1000.0;
}

static double hops_price(const fpm_term *t, const fpm_coordinates *at) {
    const hops *h = t->figures;
    double tokens = h->split > 0.0 ? ceil(at->x / h->split) : at->x;
    return hop_price(t->sys, &h->items[0], tokens) + hop_price(t->sys, &h->items[1], tokens);
}

static hop allreduce_over(double gpus, double elements) {
    return (hop){.kind = ALLREDUCE, .gpus = gpus, .elements = elements};
}

static hop gather_over(double gpus, double elements) {
    return (hop){.kind = COLLECTIVE, .gpus = gpus, .elements = elements, .passes = 1.0, .bytes = 2.0};
}

void fpm_make_allreduce(fpm_maker *m) {
    hops *h = fpm_figures(m, sizeof *h, hops_price);
    h->items[0] = allreduce_over(fpm_number(m, "tp_size"), fpm_number(m, "hidden_size"));
    h->split = fpm_at_least_1(fpm_number(m, "seq_split"));
}

void fpm_make_nccl(fpm_maker *m) {
    static const struct {
        const char *name;
        double passes;
    } operations[] = {
#define OPERATION(name, passes) {#name, (passes)},
        COMM_OPERATIONS(OPERATION)
#undef OPERATION
    };
    hops *h = fpm_figures(m, sizeof *h, hops_price);
    h->split = fpm_at_least_1(fpm_number(m, "seq_split"));
    for (size_t i = 0; i < OP_COUNT(operations); i++)
        if (strcmp(fpm_text(m, "operation"), operations[i].name) == 0)
            h->items[0] = (hop){COLLECTIVE, fpm_number(m, "num_gpus"), fpm_number(m, "hidden_size"),
                                operations[i].passes, pdb_quant_get(fpm_mode(m, "dtype"))->bytes};
}

/* ---- pipeline stages ----------------------------------------------------------------------------------- */

typedef struct p2p_figures {
    double hidden, split; /* hidden 0: one stage */
} p2p_figures;

static double p2p_price(const fpm_term *t, const fpm_coordinates *at) {
    const p2p_figures *f = t->figures;
    return ceil(at->x / f->split) * f->hidden * 2.0 / t->sys->inter_node_bw * 1000.0;
}

void fpm_make_p2p(fpm_maker *m) {
    p2p_figures *f = fpm_figures(m, sizeof *f, p2p_price);
    f->hidden = fpm_number(m, "pp_size") > 1.0 ? fpm_number(m, "hidden_size") : 0.0;
    f->split = fpm_at_least_1(fpm_number(m, "seq_split"));
}

/* ---- MoeDispatch --------------------------------------------------------------------------------------- */

typedef struct dispatch {
    double n, dp, tp; /* GPUs of the expert group, attention-DP ranks, GPUs per rank */
    double hidden;    /* elements per token */
    bool before, context_parallel, context;
} dispatch;

static void plan_sglang(const dispatch *d, hops *h) {
    hop within = gather_over(d->tp, d->hidden), among = gather_over(d->n, d->hidden * d->dp);
    if (d->tp > 1.0 && d->dp > 1.0)
        *h = d->before ? (hops){{within, among}, 0.0} : (hops){{among, within}, 0.0};
    else if (d->context_parallel && d->context)
        h->items[0] = gather_over(d->n, d->hidden);
    else if (d->context_parallel ? !d->before : d->tp > 1.0)
        h->items[0] = allreduce_over(d->n, d->hidden);
    else if (!d->context_parallel && d->dp > 1.0)
        h->items[0] = among;
}

static void plan_vllm(const fpm_maker *m, const dispatch *d, hops *h) {
    bool modelled = d->before && fpm_number(m, "attn_ar_modeled") != 0.0;
    if (d->tp > 1.0 && !modelled)
        h->items[0] = allreduce_over(d->n, d->hidden);
    if (d->dp > 1.0)
        h->items[1] = gather_over(d->n, d->hidden * d->dp);
}

/* Share of a half-precision element that a quantised token takes on the wire. */
static double wire_share(pdb_quant q) {
    if (q == PDB_Q_nvfp4)
        return 0.25 + 0.03125;
    return q == PDB_Q_fp8 || q == PDB_Q_fp8_block ? 0.5 : 1.0;
}

static void plan_trtllm(const fpm_maker *m, const dispatch *d, bool alltoall, hops *h) {
    bool data_parallel = d->dp > 1.0;
    double share = alltoall && d->before ? wire_share(fpm_mode(m, "moe_quant")) : 1.0;
    if (data_parallel && (alltoall || !(d->tp > 1.0)))
        h->items[0] = gather_over(d->n, d->hidden * share * d->dp);
    else if (d->tp > 1.0)
        h->items[0] = allreduce_over(d->n, d->hidden);
}

void fpm_make_dispatch(fpm_maker *m) {
    const char *flavor = fpm_text(m, "flavor"), *backend = fpm_text(m, "backend");
    if (strcmp(flavor, "RetiredDeepEp") == 0)
        return;
    hops *h = fpm_figures(m, sizeof *h, hops_price);
    dispatch d = {.n = fpm_at_least_1(fpm_number(m, "moe_tp_size") * fpm_number(m, "moe_ep_size")),
                  .dp = fpm_at_least_1(fpm_number(m, "attention_dp_size")),
                  .hidden = fpm_number(m, "hidden_size"),
                  .before = fpm_number(m, "pre_dispatch") != 0.0,
                  .context_parallel = fpm_number(m, "attn_cp_size") > 1.0,
                  .context = fpm_number(m, "is_context") != 0.0};
    d.tp = fpm_at_least_1(floor(d.n / d.dp));
    bool alltoall = strcmp(flavor, "TrtllmAlltoall") == 0;
    if (alltoall || strcmp(backend, "trtllm") == 0)
        plan_trtllm(m, &d, alltoall, h);
    else if (strcmp(backend, "sglang") == 0)
        plan_sglang(&d, h);
    else
        plan_vllm(m, &d, h);
}
