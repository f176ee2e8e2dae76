/* ContextMla, GenerationMla: latent attention of DeepSeek's geometry, projections aside
 * (docs/model/mla.md). */
#include "ops/mla_internal.h"

/* Geometry: latent 512, rotary part 64, head 128 and value 128. */
enum { QUERY_KEY = 128 + 64, VALUE = 128, LATENT_KEY = 512 + 64, ABSORBED = LATENT_KEY + 512 };

/* ---- speed of light ------------------------------------------------------------------------------------ */

attention_times mla_context_price(const kernel_cost *c, double heads, double s, double prefix, double batch) {
    double full = s + prefix, widths = QUERY_KEY + VALUE;
    double ops = batch * heads * 2.0 / 2.0 * widths * (full * full - prefix * prefix);
    double bytes = batch * heads * (c->kv_bytes * full * widths + 2.0 * s * widths);
    return (attention_times){ops / c->flops * 1000.0, bytes / c->mem_bw * 1000.0};
}

attention_times mla_generation_price(const kernel_cost *c, double heads, double s, double prefix,
                                     double batch) {
    (void)prefix;
    double ops = 2.0 * batch * heads * ABSORBED * s;
    double bytes = batch * (heads * ABSORBED * 2.0 + (s - 1.0) * LATENT_KEY * c->kv_bytes);
    return (attention_times){ops / c->flops * 1000.0, bytes / c->mem_bw * 1000.0};
}

/* ---- ContextMla ---------------------------------------------------------------------------------------- */

typedef struct context_params {
    uint32_t num_heads;
    pdb_quant kv_cache_dtype, fmha_quant_mode;
    uint32_t cp_size;
} context_params;

static const pdb_schema context_schema = {
    .table = "context_mla_perf", .cats = {MLA_DTYPE, MLA_KV_DTYPE}, .n_cats = 2, KERNEL_PREFILL_AXES};

static op_class context_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const context_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->num_heads,
                         .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                         .mem_bw = b->system->mem_bw};
    return kernel_flops(b, p->fmha_quant_mode, &out->flops, why);
}

static op_key context_key(const op_bound *b) {
    const context_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    return key;
}

static const attention_kernel context_kernel = {.schema = &context_schema,
                                                .page = MLA_PAGE,
                                                .price = mla_context_price,
                                                .cost = context_cost,
                                                .key = context_key};

static op_class context_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                              op_refusal *why) {
    const context_params *p = b->op->params;
    return attention_split(&kernel_paths, b, mode, p->cp_size, shape, out, why);
}

static const op_field context_fields[] = {
    OP_U32(context_params, num_heads),
    OP_QUANT(context_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(context_params, fmha_quant_mode, PDB_FMHA),
    OP_U32_OR(context_params, cp_size, 1),
};

static const pdb_schema *const context_schemas[] = {&context_schema, NULL};

const op_desc op_desc_context_mla = {.kind = "ContextMla",
                                     .summary = "latent attention of a prefill",
                                     .params_size = sizeof(context_params),
                                     .fields = context_fields,
                                     .n_fields = OP_COUNT(context_fields),
                                     .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                     .schemas = context_schemas,
                                     .bind = kernel_bind,
                                     .bind_estimate = kernel_bind_estimate,
                                     .query = context_query,
                                     .family = &context_kernel};

/* ---- GenerationMla ------------------------------------------------------------------------------------- */

typedef struct generation_params {
    uint32_t num_heads;
    pdb_quant kv_cache_dtype;
} generation_params;

static const pdb_schema generation_schema = {
    .table = "generation_mla_perf", .cats = {MLA_KV_DTYPE}, .n_cats = 1, KERNEL_DECODE_AXES};

static op_class generation_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const generation_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->num_heads,
                         .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                         .mem_bw = b->system->mem_bw};
    return kernel_flops(b, attention_decode_mode(b->system, p->kv_cache_dtype), &out->flops, why);
}

static op_key generation_key(const op_bound *b) {
    const generation_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    return key;
}

static const attention_kernel generation_kernel = {.schema = &generation_schema,
                                                   .page = MLA_PAGE,
                                                   .decode = true,
                                                   .price = mla_generation_price,
                                                   .cost = generation_cost,
                                                   .key = generation_key};

static const op_field generation_fields[] = {
    OP_U32(generation_params, num_heads),
    OP_QUANT(generation_params, kv_cache_dtype, PDB_KV),
};

static const pdb_schema *const generation_schemas[] = {&generation_schema, NULL};

const op_desc op_desc_generation_mla = {.kind = "GenerationMla",
                                        .summary = "latent attention of one decode step",
                                        .params_size = sizeof(generation_params),
                                        .fields = generation_fields,
                                        .n_fields = OP_COUNT(generation_fields),
                                        .reads = OP_READS_BATCH | OP_READS_S,
                                        .schemas = generation_schemas,
                                        .bind = kernel_bind,
                                        .bind_estimate = kernel_bind_estimate,
                                        .query = kernel_query,
                                        .fan = kernel_fan,
                                        .family = &generation_kernel};
