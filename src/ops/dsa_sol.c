/* DSA: dimensions by architecture, speed of light, weights (docs/model/dsa.md). */
#include "ops/dsa_internal.h"

#include <math.h>
#include <string.h>

/* ---- structure ----------------------------------------------------------------------------------------- */

static const struct {
    const char *architecture;
    dsa_dims dims;
} architectures[] = {
    {"DeepseekV32ForCausalLM", {7168, 1536, 512, 128, 64, 128, 2048, 128, 64}},
    {"GlmMoeDsaForCausalLM", {6144, 2048, 512, 192, 64, 256, 2048, 128, 32}},
};

const dsa_dims *dsa_dims_of(const char *architecture) {
    for (size_t i = 0; i < OP_COUNT(architectures); i++)
        if (strcmp(architectures[i].architecture, architecture) == 0)
            return &architectures[i].dims;
    return &architectures[0].dims;
}

double dsa_weights(const op *o) {
    const dsa_params *p = o->params;
    const dsa_dims *d = dsa_dims_of(p->architecture);
    double bytes[DSA_PROJECTION_COUNT], heads = p->num_heads;
    for (int i = 0; i < DSA_PROJECTION_COUNT; i++) {
        pdb_quant own = p->attn_projection_quant_modes[i];
        bytes[i] = pdb_quant_get(own == PDB_Q_UNSET ? p->gemm_quant_mode : own)->bytes;
    }
    double q = d->hidden * d->q_lora + d->q_lora * heads * (d->nope + d->rope),
           kv = d->hidden * (d->kv_lora + d->rope) + d->kv_lora * heads * (d->nope + d->v),
           out = heads * d->v * d->hidden,
           indexer = d->q_lora * (d->index_dim * d->index_heads) + d->hidden * d->index_heads;
    return q * bytes[DSA_q] + kv * bytes[DSA_kv] + out * bytes[DSA_o] + indexer * bytes[DSA_indexer];
}

/* ---- speed of light ------------------------------------------------------------------------------------ */

op_class dsa_sol_of(const op_bound *b, bool skip, dsa_sol *out, op_refusal *why) {
    const dsa_params *p = b->op->params;
    bool decode = b->op->desc == &op_desc_dsa_generation;
    const dsa_dims *d = dsa_dims_of(p->architecture);
    *out = (dsa_sol){.dims = d,
                     .topk = decode ? d->topk : p->index_topk,
                     .gemm_bytes = pdb_quant_get(p->gemm_quant_mode)->bytes,
                     .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                     .fmha_bytes = pdb_quant_get(p->fmha_quant_mode)->bytes,
                     .mem_bw = b->system->mem_bw,
                     .decode = decode,
                     .skip = skip};
    op_class cls = sparse_flops(b, p->gemm_quant_mode, &out->gemm_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, PDB_Q_fp8, &out->fp8_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, decode ? PDB_Q_bfloat16 : p->fmha_quant_mode, &out->attn_flops, why);
    return cls;
}

/* Projections of T tokens: into the latents and the indexer, up to the heads, and back. */
static double projection_ops(const dsa_dims *d, double t, double n) {
    double latents = d->q_lora + d->kv_lora + d->rope + d->index_dim;
    return 2.0 * t * d->hidden * latents + 2.0 * t * d->q_lora * (n * (d->nope + d->rope)) +
           2.0 * t * d->q_lora * (d->index_heads * d->index_dim) + 2.0 * t * d->hidden * d->index_heads +
           2.0 * t * (n * d->v) * d->hidden + 2.0 * n * t * d->nope * d->kv_lora +
           2.0 * n * t * d->kv_lora * d->v;
}

static double weight_bytes(const dsa_sol *s, double n) {
    const dsa_dims *d = s->dims;
    double latents = d->q_lora + d->kv_lora + d->rope + d->index_dim;
    return (d->hidden * latents + d->q_lora * n * (d->nope + d->rope) +
            d->q_lora * d->index_heads * d->index_dim + d->hidden * d->index_heads + n * d->v * d->hidden) *
           s->gemm_bytes;
}

/* Bytes of a token in the indexer's cache: its key in fp8 and a scale per 128 elements. */
static double index_token_bytes(const dsa_dims *d) {
    return d->index_dim + ceil(d->index_dim / 128.0) * 4.0;
}

static sparse_times times_of(const dsa_sol *s, double gemm, double indexer, double attention, double bytes) {
    return (sparse_times){(gemm / s->gemm_flops + indexer / s->fp8_flops + attention / s->attn_flops) *
                              1000.0,
                          bytes / s->mem_bw * 1000.0};
}

static sparse_times prefill(const dsa_sol *s, double n, double prefix, double tokens, double batch) {
    const dsa_dims *d = s->dims;
    double t = batch * tokens, full = tokens + prefix, latent = d->kv_lora + d->rope;
    bool indexed = !s->skip && full > s->topk; /* fewer tokens than the indexer leaves need no index */
    double indexer = indexed ? 2.0 * t * d->index_heads * d->index_dim * full : 0.0;
    double attention = 2.0 * n * (latent + d->kv_lora) * sparse_pairs(batch, tokens, prefix, s->topk);
    double kept = full < s->topk ? full : s->topk;
    double kv = batch * n * kept * latent * s->kv_bytes;
    double index = indexed ? batch * full * index_token_bytes(d) : 0.0;
    double io = t * n * (d->nope + d->rope) * s->fmha_bytes * 2.0;
    return times_of(s, projection_ops(d, t, n), indexer, attention, weight_bytes(s, n) + kv + index + io);
}

static sparse_times decode(const dsa_sol *s, double n, double length, double batch) {
    const dsa_dims *d = s->dims;
    double latent = d->kv_lora + d->rope, kept = length < s->topk ? length : s->topk;
    double indexer = 2.0 * batch * d->index_heads * d->index_dim * length;
    double attention = 2.0 * batch * n * (latent + d->kv_lora) * kept;
    double index = batch * length * index_token_bytes(d), kv = batch * kept * latent * s->kv_bytes;
    return times_of(s, projection_ops(d, batch, n), indexer, attention, weight_bytes(s, n) + index + kv);
}

sparse_times dsa_sol_at(const dsa_sol *s, double heads, double prefix, double tokens, double batch) {
    return s->decode ? decode(s, heads, tokens, batch) : prefill(s, heads, prefix, tokens, batch);
}

double dsa_table_sol(const void *sol, const double *c) {
    const dsa_sol *s = sol;
    return sparse_slower(s->decode ? decode(s, c[0], c[2], c[1]) : prefill(s, c[0], c[1], c[2], c[3]));
}
