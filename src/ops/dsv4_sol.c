/* DeepSeek-V4 attention: speed of light and weights (docs/model/dsv4.md). */
#include "ops/attention_internal.h"
#include "ops/dsv4_internal.h"

#include <math.h>

static const uint32_t ratios[] = {
#define RATIO(name, ratio) ratio,
    DSV4_KINDS(RATIO)
#undef RATIO
};

uint32_t dsv4_ratio(const dsv4_params *p) {
    return ratios[p->attn_kind];
}

static bool has_indexer(double ratio) {
    return ratio == 4.0;
}

/* Streams that are compressed: with an indexer two of them overlap. */
static double streams(double ratio) {
    return has_indexer(ratio) ? 2.0 : 1.0;
}

/* The model has 16 groups of output heads over 128 heads. */
static double groups_of(const dsv4_params *p) {
    if (p->o_groups >= 0)
        return op_at_least_1((uint32_t)p->o_groups);
    return op_at_least_1(16 / op_at_least_1(128 / op_at_least_1(p->num_heads)));
}

static dsv4_sol dims_of(const dsv4_params *p) {
    return (dsv4_sol){.ratio = dsv4_ratio(p),
                      .heads = p->num_heads,
                      .hidden = p->hidden_size,
                      .q_lora = p->q_lora_rank,
                      .o_lora = p->o_lora_rank,
                      .head = p->head_dim,
                      .rope = p->rope_head_dim,
                      .index_heads = p->index_n_heads,
                      .index_dim = p->index_head_dim,
                      .topk = p->index_topk,
                      .window = p->window_size < 0 ? 128.0 : (double)p->window_size,
                      .groups = groups_of(p)};
}

op_class dsv4_sol_of(const op_bound *b, dsv4_sol *out, op_refusal *why) {
    const dsv4_params *p = b->op->params;
    bool decode = b->op->desc == &op_desc_dsv4_generation;
    pdb_quant attention = decode ? attention_decode_mode(b->system, p->kv_cache_dtype) : p->fmha_quant_mode;
    *out = dims_of(p);
    out->decode = decode;
    out->gemm_bytes = pdb_quant_get(p->gemm_quant_mode)->bytes;
    out->kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes;
    out->attn_bytes = pdb_quant_get(attention)->bytes;
    out->mem_bw = b->system->mem_bw;
    op_class cls = sparse_flops(b, p->gemm_quant_mode, &out->gemm_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, PDB_Q_bfloat16, &out->bf16_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, PDB_Q_fp8, &out->fp8_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, attention, &out->attn_flops, why);
    return cls;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

/* Sum of floor(i / ratio) for i from 0 to n. */
static double sum_of_blocks(double n, double ratio) {
    if (n < 0.0)
        return 0.0;
    double u = floor(n / ratio);
    return ratio * (u * (u - 1.0) / 2.0) + u * (n - ratio * u + 1.0);
}

/* Pairs of a new token and one of the at most `limit` compressed tokens before it. */
static double compressed_pairs(double batch, double fresh, double prefix, double ratio, double limit) {
    if (fresh <= 0.0)
        return 0.0;
    double first = prefix + 1.0, last = prefix + fresh, full = limit * ratio, per;
    if (last < full)
        per = sum_of_blocks(last, ratio) - sum_of_blocks(first - 1.0, ratio);
    else if (first >= full)
        per = fresh * limit;
    else
        per = sum_of_blocks(full - 1.0, ratio) - sum_of_blocks(first - 1.0, ratio) +
              (last - full + 1.0) * limit;
    return batch * per;
}

static double least(double a, double b) {
    return a < b ? a : b;
}

/* Pairs of the window and of the compressed past. */
static double attended(const dsv4_sol *s, double prefix, double tokens, double batch, double length) {
    double blocks = floor(length / s->ratio), limit = has_indexer(s->ratio) ? s->topk : blocks;
    if (s->decode)
        return batch * least(length, s->window) + batch * least(blocks, limit);
    return sparse_pairs(batch, tokens, prefix, s->window) +
           compressed_pairs(batch, tokens, prefix, s->ratio, limit);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

typedef struct indexer_work {
    double fp8_ops, bf16_ops, cache_bytes;
} indexer_work;

static indexer_work index_of(const dsv4_sol *s, double t, double batch, double length) {
    if (!has_indexer(s->ratio))
        return (indexer_work){0};
    double blocks = floor(length / s->ratio), width = s->index_heads * s->index_dim;
    return (indexer_work){2.0 * t * s->q_lora * width + 2.0 * (t * blocks) * width,
                          2.0 * t * s->hidden * s->index_heads, batch * blocks * (s->index_dim * 0.5)};
}

/* Operations of the projections and of the compression, per mode of their weights. */
static double gemm_ops(const dsv4_sol *s, double t) {
    double h = s->hidden, d = s->head, e = s->index_dim, m = streams(s->ratio);
    double projections = 2.0 * t * h * s->q_lora + 2.0 * t * s->q_lora * s->heads * d + 2.0 * t * h * d +
                         2.0 * t * s->groups * s->o_lora * h;
    double compression = 4.0 * t * h * m * d + 2.0 * t * m * d;
    if (has_indexer(s->ratio))
        compression += 4.0 * t * h * 2.0 * e + 2.0 * t * 2.0 * e;
    return projections + compression;
}

static double gemm_weights(const dsv4_sol *s) {
    return s->hidden * s->q_lora + s->q_lora * s->heads * s->head + s->hidden * s->head +
           s->groups * s->o_lora * s->hidden;
}

static double weight_bytes(const dsv4_sol *s) {
    double in_mode = gemm_weights(s) * s->gemm_bytes +
                     2.0 * s->hidden * streams(s->ratio) * s->head * s->gemm_bytes,
           in_bf16 = s->heads * s->head * s->o_lora * 2.0;
    if (has_indexer(s->ratio)) {
        in_mode += s->q_lora * s->index_heads * s->index_dim * s->gemm_bytes;
        in_bf16 += s->hidden * s->index_heads * 2.0;
    }
    return in_mode + in_bf16;
}

sparse_times dsv4_sol_at(const dsv4_sol *s, double prefix, double tokens, double batch) {
    double t = s->decode ? batch : batch * tokens,
           length = s->decode ? (tokens > 1.0 ? tokens - 1.0 : 0.0) : prefix + tokens;
    double pairs = attended(s, prefix, tokens, batch, length), attention = 4.0 * s->heads * s->head * pairs;
    indexer_work index = index_of(s, t, batch, length);
    double absorb = 2.0 * t * s->heads * s->head * s->o_lora;
    double math = gemm_ops(s, t) / s->gemm_flops + (absorb + index.bf16_ops) / s->bf16_flops +
                  index.fp8_ops / s->fp8_flops + attention / s->attn_flops;
    double activations = t * (s->hidden + s->q_lora + s->heads * s->head + s->head + s->groups * s->o_lora) *
                         s->gemm_bytes,
           cache = pairs * s->head * s->kv_bytes, rotated = t * s->heads * s->rope * s->attn_bytes;
    double bytes = weight_bytes(s) + activations + cache + index.cache_bytes + rotated;
    return (sparse_times){math * 1000.0, bytes / s->mem_bw * 1000.0};
}

double dsv4_table_sol(const void *sol, const double *c) {
    const dsv4_sol *s = sol;
    return sparse_slower(s->decode ? dsv4_sol_at(s, 0.0, c[1], c[0]) : dsv4_sol_at(s, c[0], c[1], c[2]));
}

/* ---- weights ------------------------------------------------------------------------------------------- */

double dsv4_weights(const op *o) {
    const dsv4_params *p = o->params;
    dsv4_sol s = dims_of(p);
    double m = streams(s.ratio), in_mode = gemm_weights(&s) + 2.0 * s.hidden * m * s.head,
           in_bf16 = s.heads * s.head * s.o_lora, in_fp32 = s.heads + s.ratio * m * s.head;
    if (has_indexer(s.ratio)) {
        in_mode += s.q_lora * s.index_heads * s.index_dim + 2.0 * s.hidden * 2.0 * s.index_dim;
        in_bf16 += s.hidden * s.index_heads;
        in_fp32 += s.ratio * 2.0 * s.index_dim;
    }
    return in_mode * pdb_quant_get(p->gemm_quant_mode)->bytes + in_bf16 * 2.0 + in_fp32 * 4.0;
}
