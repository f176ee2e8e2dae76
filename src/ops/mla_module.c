/* MlaModuleContext, MlaModuleGeneration: the whole latent-attention block measured as one kernel
 * (docs/model/mla.md). */
#include "ops/mla_internal.h"

#include <string.h>

typedef struct module_params {
    uint32_t num_heads;
    pdb_quant kv_cache_dtype, fmha_quant_mode, gemm_quant_mode;
    int64_t native_num_heads; /* -1 = whatever the table has */
} module_params;

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Heads of the models that were measured, over all ranks. */
static const struct {
    const char *model;
    uint32_t heads;
} natives[] = {
    {"deepseek-ai/DeepSeek-V3", 128},
    {"deepseek-ai/DeepSeek-R1", 128},
    {"nvidia/DeepSeek-V3.1-NVFP4", 128},
    {"moonshotai/Kimi-K3", 96},
};

/* Both tables end in these categories; the last two only inform admit. */
#define NATIVE_MODEL_AND_TP                                                                                  \
    {.column = "native_num_heads", .optional = true}, /* made by admit */                                    \
        {.column = "model", .text = true}, {                                                                 \
        .column = "tp_size", .optional = true                                                                \
    }
enum { FROM_END_TP = 1, FROM_END_MODEL, FROM_END_NATIVE };

static bool module_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    uint64_t *end = row->cat + schema->n_cats, tp = end[-FROM_END_TP];
    const char *model = pdb_text(view, end[-FROM_END_MODEL]);
    size_t i = 0;
    while (i < OP_COUNT(natives) && strcmp(natives[i].model, model) != 0)
        i++;
    if (i == OP_COUNT(natives))
        row->fault = model[0] ? "a row is of a model whose head count is not known (docs/model/" MLA_PAGE
                                ".md)"
                              : "a row names no model";
    else if (tp > 1 && row->axis[0] * tp != natives[i].heads)
        row->fault = "num_heads x tp_size of a row is not the head count of its model";
    else
        end[-FROM_END_NATIVE] = natives[i].heads;
    return true;
}

static const pdb_schema context_schema = {
    .table = "mla_context_module_perf",
    .cats = {MLA_DTYPE, MLA_KV_DTYPE, {.column = "gemm_type", .text = true}, NATIVE_MODEL_AND_TP},
    .n_cats = 6,
    .n_extra = 2,
    KERNEL_PREFILL_AXES,
    .admit = module_admit,
    .n_admit_axes = 1};

static const pdb_schema generation_schema = {
    .table = "mla_generation_module_perf",
    .cats = {MLA_KV_DTYPE, {.column = "gemm_type", .text = true}, NATIVE_MODEL_AND_TP},
    .n_cats = 5,
    .n_extra = 2,
    KERNEL_DECODE_AXES,
    .admit = module_admit,
    .n_admit_axes = 1};

/* ---- the slice that answers ---------------------------------------------------------------------------- */

/* Among slices that differ in the native head count only: the op's, else the next lower, else the lowest; a
 * single one serves every op. An op that names none is refused where there are several. */
static op_class module_slice(const op_bound *b, const pdb_table *t, op_key *key, const pdb_slice **out,
                             op_refusal *why) {
    const module_params *p = b->op->params;
    const attention_kernel *k = kernel_of(b);
    const pdb_slice *lowest = NULL, *best = NULL;
    size_t found = 0;
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        if (memcmp(s->cat, key->value, (size_t)key->n * sizeof *key->value) != 0)
            continue;
        uint64_t native = s->cat[key->n];
        found++;
        if (!lowest || native < lowest->cat[key->n])
            lowest = s;
        if ((int64_t)native <= p->native_num_heads && (!best || native > best->cat[key->n]))
            best = s;
    }
    if (!found)
        return op_refuse_key(why, b, k->schema, t, key, 0, k->page);
    if (found > 1 && p->native_num_heads < 0)
        return op_refuse_op(why, b->op, OP_MISSING,
                            "%s has rows of several native head counts for this key: native_num_heads must "
                            "say which (docs/model/" MLA_PAGE ".md)",
                            k->schema->table);
    *out = best ? best : lowest;
    return OP_OK;
}

/* ---- MlaModuleContext ---------------------------------------------------------------------------------- */

static op_class context_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const module_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->num_heads,
                         .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                         .mem_bw = b->system->mem_bw};
    return kernel_flops(b, p->fmha_quant_mode, &out->flops, why);
}

static op_key context_key(const op_bound *b) {
    const module_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->gemm_quant_mode)->name);
    return key;
}

/* Priced without its projections, as the rule has it. */
static const attention_kernel context_kernel = {.schema = &context_schema,
                                                .page = MLA_PAGE,
                                                .price = mla_context_price,
                                                .cost = context_cost,
                                                .key = context_key,
                                                .slice = module_slice};

/* ---- MlaModuleGeneration ------------------------------------------------------------------------------- */

/* Attention and both batched products. */
static attention_times generation_price(const kernel_cost *c, double heads, double s, double prefix,
                                        double batch) {
    attention_times core = mla_generation_price(c, heads, s, prefix, batch),
                    bmm = mla_bmm_price(c, heads, batch);
    return (attention_times){core.math + 2.0 * bmm.math, core.mem + 2.0 * bmm.mem};
}

static op_class generation_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const module_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->num_heads,
                         .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                         .gemm_bytes = pdb_quant_get(p->gemm_quant_mode)->bytes,
                         .mem_bw = b->system->mem_bw};
    op_class cls = kernel_flops(b, attention_decode_mode(b->system, p->kv_cache_dtype), &out->flops, why);
    return cls == OP_OK ? kernel_flops(b, p->gemm_quant_mode, &out->gemm_flops, why) : cls;
}

static op_key generation_key(const op_bound *b) {
    const module_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->gemm_quant_mode)->name);
    return key;
}

static const attention_kernel generation_kernel = {.schema = &generation_schema,
                                                   .page = MLA_PAGE,
                                                   .decode = true,
                                                   .price = generation_price,
                                                   .cost = generation_cost,
                                                   .key = generation_key,
                                                   .slice = module_slice};

/* ---- the kinds ----------------------------------------------------------------------------------------- */

static const op_field module_fields[] = {
    OP_U32(module_params, num_heads),
    OP_QUANT(module_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(module_params, fmha_quant_mode, PDB_FMHA),
    OP_QUANT(module_params, gemm_quant_mode, PDB_GEMM),
    OP_U32_OR_NULL(module_params, native_num_heads),
};

static const pdb_schema *const context_schemas[] = {&context_schema, NULL};
static const pdb_schema *const generation_schemas[] = {&generation_schema, NULL};

const op_desc op_desc_mla_module_context = {.kind = "MlaModuleContext",
                                            .summary =
                                                "latent-attention block of a prefill, one measured kernel",
                                            .params_size = sizeof(module_params),
                                            .fields = module_fields,
                                            .n_fields = OP_COUNT(module_fields),
                                            .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                            .schemas = context_schemas,
                                            .bind = kernel_bind,
                                            .bind_estimate = kernel_bind_estimate,
                                            .query = kernel_query,
                                            .family = &context_kernel};

const op_desc op_desc_mla_module_generation = {
    .kind = "MlaModuleGeneration",
    .summary = "latent-attention block of one decode step, one measured kernel",
    .params_size = sizeof(module_params),
    .fields = module_fields,
    .n_fields = OP_COUNT(module_fields),
    .reads = OP_READS_BATCH | OP_READS_S,
    .schemas = generation_schemas,
    .bind = kernel_bind,
    .bind_estimate = kernel_bind_estimate,
    .query = kernel_query,
    .fan = kernel_fan,
    .family = &generation_kernel};
