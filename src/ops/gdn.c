/* Gdn: a kernel of a gated delta net (docs/model/ssm.md). */
#include "ops/ssm_internal.h"

#include <math.h>
#include <string.h>

#define UPDATE     "fused_sigmoid_gating_delta_rule_update"
#define FLASHINFER "flashinfer_gated_delta_rule_decode"
#define CHUNK      "chunk_gated_delta_rule"

typedef enum gdn_kernel { CONV, CHUNKED, FUSED, FLASH, OTHER } gdn_kernel;

static const struct {
    const char *name;
    gdn_kernel kernel;
} kernels[] = {{"causal_conv1d_fn", CONV},
               {"causal_conv1d_update", CONV},
               {CHUNK, CHUNKED},
               {UPDATE, FUSED},
               {FLASHINFER, FLASH}};

typedef struct gdn_params {
    const char *kernel_source, *phase;
    uint32_t d_model, d_conv, num_k_heads, head_k_dim, num_v_heads, head_v_dim;
    const char *mamba_ssm_dtype;
    gdn_kernel kernel; /* this and the rest: made by gdn_check */
    bool is_context, is_generation;
    double state_bytes; /* per element of the recurrent state */
} gdn_params;

static bool gdn_check(const op *o, aic_error *err) {
    gdn_params *p = o->params;
    (void)err;
    p->kernel = OTHER;
    for (size_t i = 0; i < OP_COUNT(kernels); i++)
        if (strcmp(p->kernel_source, kernels[i].name) == 0)
            p->kernel = kernels[i].kernel;
    p->is_context = strcmp(p->phase, "context") == 0;
    p->is_generation = strcmp(p->phase, "generation") == 0;
    bool half = strcmp(p->mamba_ssm_dtype, "bfloat16") == 0 || strcmp(p->mamba_ssm_dtype, "float16") == 0;
    p->state_bytes = half ? 2.0 : 4.0;
    return true;
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static double gdn_bytes(const void *ctx, double batch, double s) {
    const gdn_params *p = ctx;
    double x = p->is_context && s > 0.0 ? batch * s : batch;
    double values = (double)p->num_v_heads * p->head_v_dim;
    double channels = 2.0 * p->num_k_heads * p->head_k_dim + values;
    double state = (double)p->num_v_heads * p->head_k_dim * p->head_v_dim;
    double chunks = floor(s / 64.0) * state * 2.0 * batch; /* states kept once per 64 tokens */
    double in = x * channels * 2.0, out = x * values * 2.0, held;
    switch (p->kernel) {
    case CONV:
        return x * channels * (p->d_conv + 1.0) * 2.0 + in;
    case CHUNKED:
        held = state * p->state_bytes * batch + chunks;
        return (in + held) + (out + held);
    case FUSED:
        held = state * p->state_bytes * batch;
        return (in + held) + (out + held);
    case FLASH:
        held = state * 2.0 * batch;
        return (in + held) + (out + held);
    case OTHER:
        break;
    }
    return x * p->d_model * 2.0 + x * p->d_model * 2.0;
}

/* ---- tables: decode rows depend on the batch, all others on batch and sequence ------------------------- */

static bool is_generation_row(const pdb_view *view, const pdb_row *row) {
    return strcmp(pdb_text(view, row->cat[SSM_PHASE]), "generation") == 0;
}

/* Two more names of the fused decode kernel. */
static void rename_kernel(const pdb_view *view, pdb_row *row) {
    const char *kernel = pdb_text(view, row->cat[SSM_KERNEL]);
    if (strcmp(kernel, "fused_recurrent_gated_delta_rule") == 0 ||
        strcmp(kernel, "fused_recurrent_gated_delta_rule_packed_decode") == 0)
        row->cat[SSM_KERNEL] = pdb_text_add(view, UPDATE);
}

static bool sequence_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    rename_kernel(view, row);
    return !is_generation_row(view, row);
}

static bool generation_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    rename_kernel(view, row);
    return is_generation_row(view, row);
}

static const pdb_schema sequence_schema = {.table = "gdn_perf",
                                           SSM_DELTA_RULE_CATS,
                                           .axes = {{.column = "batch_size"}, {.column = "seq_len"}},
                                           .n_axes = 2,
                                           .admit = sequence_admit};
static const pdb_schema generation_schema = {.table = "gdn_perf",
                                             SSM_DELTA_RULE_CATS,
                                             .axes = {{.column = "batch_size"}},
                                             .n_axes = 1,
                                             .admit = generation_admit};

/* ---- binding ------------------------------------------------------------------------------------------- */

static const pdb_slice *slice_of(const op_bound *b, const pdb_table *t, const char *kernel) {
    const gdn_params *p = b->op->params;
    op_key key = ssm_key(b->view, kernel, p->phase);
    const uint32_t shape[] = {p->d_model,    p->d_conv,      p->num_k_heads,
                              p->head_k_dim, p->num_v_heads, p->head_v_dim};
    for (size_t i = 0; i < OP_COUNT(shape); i++)
        op_key_int(&key, shape[i]);
    return pdb_slice_find(t, key.value);
}

/* SGLang decodes a bfloat16 state on SM 100 to 109 with FlashInfer's kernel. */
static bool in_flash_lane(const op_bound *b) {
    const gdn_params *p = b->op->params;
    int sm = b->system->sm_version;
    return strcmp(b->view->backend, "sglang") == 0 && sm >= 100 && sm <= 109 && p->is_generation &&
           strcmp(p->mamba_ssm_dtype, "bfloat16") == 0;
}

/* vLLM 0.24.0 names its chunk kernels by what implements them. The one measured for the shape stands for the
 * logical name, before the name itself; several would be ambiguous and none is taken. */
static const pdb_slice *chunk_slice(const op_bound *b, const pdb_table *t) {
    static const char *const physical[] = {CHUNK "_flashinfer", CHUNK "_triton", CHUNK "_cutedsl"};
    const pdb_slice *found = NULL;
    int n = 0;
    for (size_t i = 0; i < OP_COUNT(physical); i++) {
        const pdb_slice *s = slice_of(b, t, physical[i]);
        n += s != NULL;
        found = s ? s : found;
    }
    return n > 1 ? NULL : found ? found : slice_of(b, t, CHUNK);
}

static const pdb_slice *choose(const op_bound *b, const pdb_table *t) {
    const gdn_params *p = b->op->params;
    bool flash = in_flash_lane(b);
    if (p->kernel == CONV)
        return slice_of(b, t, p->kernel_source);
    if (p->kernel == FLASH || (p->kernel == FUSED && flash))
        return flash ? slice_of(b, t, FLASHINFER) : NULL;
    if (strcmp(p->mamba_ssm_dtype, "float32") != 0)
        return NULL; /* the recurrent kernels were measured with a float32 state */
    bool physical = strcmp(b->view->backend, "vllm") == 0 && strcmp(b->view->version, "0.24.0") == 0;
    if (p->kernel == CHUNKED && p->is_context && physical)
        return chunk_slice(b, t);
    return slice_of(b, t, p->kernel_source);
}

static void gdn_bind(op_binder *binder, op_bound *b) {
    const gdn_params *p = b->op->params;
    ssm_kernel *k = aic_arena_alloc(binder->arena, 1, sizeof *k);
    *k = ssm_by_bytes(b, gdn_bytes, p);
    b->state = k;
    const pdb_table *t =
        pdb_table_get(b->view, p->is_generation ? &generation_schema : &sequence_schema, NULL);
    const pdb_slice *s = t ? choose(b, t) : NULL;
    k->grid = s ? pdb_slice_grid(s) : NULL;
}

static op_class gdn_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    (void)mode;
    (void)why;
    *out = ssm_answer(b->state, shape->batch, shape->s);
    return OP_OK;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field gdn_fields[] = {
    OP_TEXT(gdn_params, kernel_source),
    OP_TEXT(gdn_params, phase),
    OP_U32(gdn_params, d_model),
    OP_U32(gdn_params, d_conv),
    OP_U32(gdn_params, num_k_heads),
    OP_U32(gdn_params, head_k_dim),
    OP_U32(gdn_params, num_v_heads),
    OP_U32(gdn_params, head_v_dim),
    OP_TEXT_OR(gdn_params, mamba_ssm_dtype, "float32"),
};

static const pdb_schema *const gdn_schemas[] = {&sequence_schema, &generation_schema, NULL};

const op_desc op_desc_gdn = {.kind = "Gdn",
                             .summary = "kernel of a gated delta net",
                             .params_size = sizeof(gdn_params),
                             .fields = gdn_fields,
                             .n_fields = OP_COUNT(gdn_fields),
                             .every_mode = true,
                             .reads = OP_READS_BATCH | OP_READS_S,
                             .schemas = gdn_schemas,
                             .check = gdn_check,
                             .bind = gdn_bind,
                             .query = gdn_query};
