/* EncoderAttention: bidirectional attention of a vision encoder (docs/model/attention.md). */
#include "ops/attention_kernel.h"

typedef struct encoder_params {
    uint32_t n, head_size;
    pdb_quant fmha_quant_mode;
    double partial_rotary_factor;
} encoder_params;

static const pdb_schema encoder_schema = {
    .table = "encoder_attention_perf",
    .cats = {{.column = "attn_dtype", .text = true}, {.column = "head_dim"}},
    .n_cats = 2,
    KERNEL_PREFILL_AXES};

/* Every head has its own KV head; operands move as 16-bit values whatever the mode. */
static attention_times encoder_price(const kernel_cost *c, double heads, double s, double prefix,
                                     double batch) {
    (void)prefix;
    double h = c->head_size;
    double ops = 2.0 * batch * s * s * heads * h * 2.0;
    double bytes = 2.0 * batch * (3.0 * heads * s * h + heads * s * h);
    return (attention_times){ops / c->flops * 1000.0, bytes / c->mem_bw * 1000.0};
}

static op_class encoder_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const encoder_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->n, .head_size = p->head_size, .mem_bw = b->system->mem_bw};
    return kernel_flops(b, p->fmha_quant_mode, &out->flops, why);
}

static op_key encoder_key(const op_bound *b) {
    const encoder_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_int(&key, p->head_size);
    return key;
}

static const attention_kernel encoder_kernel = {.schema = &encoder_schema,
                                                .page = ATTENTION_PAGE,
                                                .price = encoder_price,
                                                .cost = encoder_cost,
                                                .key = encoder_key};

/* The rotary embedding of a share of each head, which no table holds. */
static op_result rotary(const op_bound *b, op_mode mode, const op_shape *shape) {
    const encoder_params *p = b->op->params;
    double head_bytes = (double)p->n * p->head_size * 2.0;
    op_result r = op_mem(b->system, mode, 2.0 * head_bytes * shape->batch * shape->s);
    op_scale(&r, p->partial_rotary_factor * 2.0);
    op_scale(&r, 1.1);
    return r;
}

static op_class encoder_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                              op_refusal *why) {
    const encoder_params *p = b->op->params;
    op_shape whole = *shape;
    whole.prefix = 0; /* an image has no cached tokens */
    op_class cls = op_by_mode(&kernel_paths, b, mode, &whole, out, why);
    if (cls != OP_OK || !(p->partial_rotary_factor > 0.0))
        return cls;
    op_result extra = rotary(b, mode, &whole);
    *out = op_plus(out, &extra);
    return OP_OK;
}

static const op_field encoder_fields[] = {
    OP_U32(encoder_params, n),
    OP_U32(encoder_params, head_size),
    OP_QUANT(encoder_params, fmha_quant_mode, PDB_FMHA),
    OP_F64_OR(encoder_params, partial_rotary_factor, 0.0),
};

static const pdb_schema *const encoder_schemas[] = {&encoder_schema, NULL};

const op_desc op_desc_encoder_attention = {.kind = "EncoderAttention",
                                           .summary = "bidirectional attention over the patches of images",
                                           .params_size = sizeof(encoder_params),
                                           .fields = encoder_fields,
                                           .n_fields = OP_COUNT(encoder_fields),
                                           .reads = OP_READS_BATCH | OP_READS_S,
                                           .schemas = encoder_schemas,
                                           .bind = kernel_bind,
                                           .bind_estimate = kernel_bind_estimate,
                                           .query = encoder_query,
                                           .family = &encoder_kernel};
