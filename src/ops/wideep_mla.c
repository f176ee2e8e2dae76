/* WideEpContextMla, WideEpGenerationMla: SGLang's latent-attention block under large expert parallelism,
 * projections included (docs/model/mla.md). */
#include "ops/mla_internal.h"

#include <math.h>
#include <string.h>

typedef struct wideep_params {
    uint32_t num_heads;
    pdb_quant kv_cache_dtype, fmha_quant_mode;
    const char *attn_backend;
    uint32_t cp_size; /* prefills only */
} wideep_params;

/* ---- speed of light ------------------------------------------------------------------------------------ */

#define HIDDEN 7168.0
#define Q_LORA 1536.0
#define LATENT 512.0
#define ROTARY 64.0
#define HEAD   128.0 /* of keys, rotary part aside, and of values */
#define NATIVE 128.0 /* heads of the model over all ranks */

/* Floating-point operations and elements moved. */
typedef struct work {
    double ops, elements;
} work;

/* tokens x in -> tokens x out, once per head: the input has `in`, the output `out` elements per token. */
static work product(double tokens, double in, double weights, double out) {
    return (work){2.0 * weights * tokens, in * tokens + weights + 2.0 * out * tokens};
}

static attention_times times_of(const kernel_cost *c, double gemm_ops, double attention_ops,
                                double elements) {
    return (attention_times){gemm_ops / c->gemm_flops * 1000.0 + attention_ops / c->flops * 1000.0,
                             elements * c->gemm_bytes / c->mem_bw * 1000.0};
}

static attention_times context_price(const kernel_cost *c, double heads, double s, double prefix,
                                     double batch) {
    double full = s + prefix, tokens = batch * s;
    work q_b = product(tokens, Q_LORA, Q_LORA * heads * (HEAD + ROTARY), heads * (HEAD + ROTARY));
    work kv_b = product(tokens, LATENT, LATENT * heads * 2.0 * HEAD, heads * 2.0 * HEAD);
    work out = product(tokens, heads * HEAD, heads * HEAD * HIDDEN, HIDDEN);
    double attention =
        floor(2.0 * heads * (HEAD + ROTARY + HEAD) * batch * (full * full - prefix * prefix) / 2.0);
    double moved = tokens * heads * (HEAD + ROTARY) + batch * full * heads * (HEAD + ROTARY) +
                   batch * full * heads * HEAD + tokens * heads * HEAD;
    return times_of(c, q_b.ops + kv_b.ops + out.ops, attention,
                    q_b.elements + kv_b.elements + 2.0 * moved + out.elements);
}

static attention_times generation_price(const kernel_cost *c, double heads, double s, double prefix,
                                        double batch) {
    (void)prefix;
    double latent = heads * LATENT, values = heads * HEAD;
    work q_b = product(batch, Q_LORA, Q_LORA * heads * (HEAD + ROTARY), heads * (HEAD + ROTARY));
    work absorb = product(batch, values, heads * LATENT * HEAD, latent);
    work expand = product(batch, latent, heads * HEAD * LATENT, values);
    work out = product(batch, values, values * HIDDEN, HIDDEN);
    double attention = 2.0 * batch * s * heads * (ROTARY + 2.0 * LATENT);
    double moved = batch * heads * (LATENT + ROTARY) + batch * s * (LATENT + ROTARY) + batch * latent;
    return times_of(c, q_b.ops + absorb.ops + expand.ops + out.ops, attention,
                    q_b.elements + absorb.elements + 2.0 * moved + expand.elements + out.elements);
}

/* The tables' head counts stand for 128 heads over a whole number of ranks. */
static double row_heads(double heads) {
    return floor(NATIVE / floor(NATIVE / heads));
}

static double sample_heads(double heads) {
    return floor(NATIVE / nearbyint(NATIVE / heads));
}

/* ---- tables -------------------------------------------------------------------------------------------- */

#define KERNEL_SOURCE                                                                                        \
    { .column = "kernel_source", .text = true }
enum { CAT_KERNEL = 0 };

/* Rows were measured without power. */
static const pdb_schema context_schema = {.table = "wideep_context_mla_perf",
                                          .cats = {KERNEL_SOURCE, MLA_DTYPE, MLA_KV_DTYPE},
                                          .n_cats = 3,
                                          KERNEL_PREFILL_AXES,
                                          .no_power = true};

static const pdb_schema generation_schema = {.table = "wideep_generation_mla_perf",
                                             .cats = {KERNEL_SOURCE, MLA_KV_DTYPE},
                                             .n_cats = 2,
                                             KERNEL_DECODE_AXES,
                                             .no_power = true};

/* ---- the slice that answers ---------------------------------------------------------------------------- */

/* The backends that can be asked for; on Blackwell the kernel behind both is trtllm_mla. */
static bool is_backend(const char *name) {
    return strcmp(name, "flashinfer") == 0 || strcmp(name, "fa3") == 0;
}

static bool has_kernel(const pdb_table *t, uint64_t kernel) {
    for (size_t i = 0; i < pdb_slice_count(t); i++)
        if (pdb_slice_at(t, i)->cat[CAT_KERNEL] == kernel)
            return true;
    return false;
}

static op_class wideep_slice(const op_bound *b, const pdb_table *t, op_key *key, const pdb_slice **out,
                             op_refusal *why) {
    const wideep_params *p = b->op->params;
    const attention_kernel *k = kernel_of(b);
    bool known = is_backend(p->attn_backend);
    if (!known && !has_kernel(t, key->value[CAT_KERNEL]))
        return op_refuse_op(why, b->op, OP_INVALID,
                            "attn_backend \"%s\" is neither flashinfer, fa3 nor a kernel of %s",
                            p->attn_backend, k->schema->table);
    *out = pdb_slice_find(t, key->value);
    if (!*out && known) {
        op_key stand_in = *key;
        stand_in.value[CAT_KERNEL] = pdb_text_id(b->view, "trtllm_mla");
        *out = stand_in.value[CAT_KERNEL] ? pdb_slice_find(t, stand_in.value) : NULL;
    }
    return *out ? OP_OK : op_refuse_key(why, b, k->schema, t, key, 0, k->page);
}

/* A measured answer is given for the two backends only; an estimate also for a kernel by its own name. No
 * table comes before a wrong backend, and that before missing FLOPS. */
static void wideep_bind(op_binder *binder, op_bound *b) {
    const wideep_params *p = b->op->params;
    const attention_kernel *k = kernel_of(b);
    if (!op_bind_table(binder, b, k->schema, k->page))
        return;
    if (is_backend(p->attn_backend)) {
        kernel_bind(binder, b);
        return;
    }
    op_refusal why;
    op_refuse_op(&why, b->op, OP_INVALID, "attn_backend \"%s\" is neither flashinfer nor fa3",
                 p->attn_backend);
    op_bind_refuse(binder, b, &why);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* The kinds export no decomposition. */
static op_class wideep_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    op_class cls = kernel_sol(b, shape, out, why);
    if (cls == OP_OK)
        *out = op_formula(out->latency, OP_SRC_sol);
    return cls;
}

static op_class wideep_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                             op_refusal *why) {
    static const op_paths paths = {kernel_silicon, kernel_empirical, wideep_sol};
    const wideep_params *p = b->op->params;
    return attention_split(&paths, b, mode, p->cp_size, shape, out, why);
}

static op_class wideep_cost(const op_bound *b, pdb_quant mode, kernel_cost *out, op_refusal *why) {
    const wideep_params *p = b->op->params;
    *out = (kernel_cost){
        .heads = p->num_heads, .gemm_bytes = pdb_quant_get(mode)->bytes, .mem_bw = b->system->mem_bw};
    op_class cls = kernel_flops(b, mode, &out->gemm_flops, why);
    return cls == OP_OK ? kernel_flops(b, PDB_Q_bfloat16, &out->flops, why) : cls;
}

static op_class context_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const wideep_params *p = b->op->params;
    return wideep_cost(b, p->fmha_quant_mode, out, why);
}

static op_class generation_cost(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const wideep_params *p = b->op->params;
    return wideep_cost(b, attention_decode_mode(b->system, p->kv_cache_dtype), out, why);
}

static op_key context_key(const op_bound *b) {
    const wideep_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, p->attn_backend);
    op_key_text(&key, b->view, pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    return key;
}

static op_key generation_key(const op_bound *b) {
    const wideep_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, p->attn_backend);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    return key;
}

/* ---- the kinds ----------------------------------------------------------------------------------------- */

static const attention_kernel context_kernel = {.schema = &context_schema,
                                                .page = MLA_PAGE,
                                                .price = context_price,
                                                .cost = context_cost,
                                                .key = context_key,
                                                .slice = wideep_slice,
                                                .row_heads = row_heads,
                                                .sample_heads = sample_heads};

static const attention_kernel generation_kernel = {.schema = &generation_schema,
                                                   .page = MLA_PAGE,
                                                   .decode = true,
                                                   .price = generation_price,
                                                   .cost = generation_cost,
                                                   .key = generation_key,
                                                   .slice = wideep_slice,
                                                   .row_heads = row_heads,
                                                   .sample_heads = sample_heads};

#define WIDEEP_FIELDS                                                                                        \
    OP_U32(wideep_params, num_heads), OP_QUANT(wideep_params, kv_cache_dtype, PDB_KV),                       \
        OP_QUANT(wideep_params, fmha_quant_mode, PDB_FMHA), OP_TEXT(wideep_params, attn_backend)
static const op_field context_fields[] = {WIDEEP_FIELDS, OP_U32_OR(wideep_params, cp_size, 1)};
static const op_field generation_fields[] = {WIDEEP_FIELDS};

static const pdb_schema *const context_schemas[] = {&context_schema, NULL};
static const pdb_schema *const generation_schemas[] = {&generation_schema, NULL};

const op_desc op_desc_wideep_context_mla = {
    .kind = "WideEpContextMla",
    .summary = "latent-attention block of a prefill under large expert parallelism",
    .params_size = sizeof(wideep_params),
    .fields = context_fields,
    .n_fields = OP_COUNT(context_fields),
    .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
    .schemas = context_schemas,
    .bind = wideep_bind,
    .bind_estimate = kernel_bind_estimate,
    .query = wideep_query,
    .family = &context_kernel};

const op_desc op_desc_wideep_generation_mla = {
    .kind = "WideEpGenerationMla",
    .summary = "latent-attention block of one decode step under large expert parallelism",
    .params_size = sizeof(wideep_params),
    .fields = generation_fields,
    .n_fields = OP_COUNT(generation_fields),
    .reads = OP_READS_BATCH | OP_READS_S,
    .schemas = generation_schemas,
    .bind = wideep_bind,
    .bind_estimate = kernel_bind_estimate,
    .query = wideep_query,
    .fan = kernel_fan,
    .family = &generation_kernel};
