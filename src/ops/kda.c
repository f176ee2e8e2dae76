/* Kda: a kernel of Kimi delta attention, decode with speculation included (docs/model/ssm.md). */
#include "ops/ssm_internal.h"

#include <math.h>
#include <string.h>

/* X(kernel, name): kernels with a byte model of their own. */
#define KDA_KERNELS(X)                                                                                       \
    X(CONV_QKV, "causal_conv1d_fn_qkv3")                                                                     \
    X(CONV_UPDATE, "causal_conv1d_update")                                                                   \
    X(CHUNK, "chunk_kda")                                                                                    \
    X(PACKED_DECODE, "fused_recurrent_kda_packed_decode")                                                    \
    X(SIGMOID_UPDATE, "fused_sigmoid_gating_delta_rule_update")                                              \
    X(FUSED_VERIFY, "fused_kda_decode_mtp_dspark")                                                           \
    X(FUSED_DECODE, "kda_fused_decode")
#define KDA_ENUM(kernel, name) kernel,
#define KDA_NAME(kernel, name) [kernel] = (name),
typedef enum kda_kernel { OTHER, KDA_KERNELS(KDA_ENUM) KERNELS } kda_kernel;
static const char *const names[KERNELS] = {[OTHER] = "", KDA_KERNELS(KDA_NAME)};

/* Kernels that move the bytes of another one. */
static const struct {
    const char *name;
    kda_kernel as;
} likenesses[] = {{"chunk_kda_with_fused_gate", CHUNK},
                  {"flashkda_fwd", CHUNK},
                  {"fused_kda_decode", PACKED_DECODE},
                  {"fused_recurrent_kda", SIGMOID_UPDATE}};

typedef enum kda_phase { CONTEXT, VERIFY, GENERATION, UNKNOWN_PHASE } kda_phase;
static const char *const phases[] = {"context", "verify", "generation"};

typedef struct kda_params {
    const char *kernel_source, *phase;
    uint32_t d_model, d_conv, num_k_heads, head_k_dim, num_v_heads, head_v_dim;
    int64_t draft_tokens;
    kda_phase at; /* made by kda_check */
} kda_params;

static bool kda_check(const op *o, aic_error *err) {
    kda_params *p = o->params;
    (void)err;
    int i = 0;
    while (i < UNKNOWN_PHASE && strcmp(p->phase, phases[i]) != 0)
        i++;
    p->at = (kda_phase)i;
    return true;
}

static bool has_sequence(const kda_params *p) {
    return p->at == CONTEXT || p->at == VERIFY;
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

/* A kernel as it is priced: what was asked for, or what the table's fused kernel makes of it. */
typedef struct kda_priced {
    const kda_params *p;
    kda_kernel kernel;
} kda_priced;

static kda_kernel kernel_of(const char *name) {
    for (int k = OTHER + 1; k < KERNELS; k++)
        if (strcmp(names[k], name) == 0)
            return (kda_kernel)k;
    for (size_t i = 0; i < OP_COUNT(likenesses); i++)
        if (strcmp(likenesses[i].name, name) == 0)
            return likenesses[i].as;
    return OTHER;
}

static double kda_bytes(const void *ctx, double batch, double s) {
    const kda_priced *k = ctx;
    const kda_params *p = k->p;
    double x = has_sequence(p) && s > 0.0 ? batch * s : batch;
    double width = (double)p->num_v_heads * p->head_v_dim, taps = p->d_conv + 1.0;
    double state = (double)p->num_v_heads * p->head_k_dim * p->head_v_dim * 4.0, all_states = state * batch;
    double conv = x * 3.0 * width * taps * 2.0 + x * 3.0 * width * 2.0;
    double in = x * 4.0 * width * 2.0, out = x * width * 2.0;
    double chunks = floor(s / 64.0) * state * batch; /* states kept once per 64 tokens */
    switch (k->kernel) {
    case CONV_QKV:
    case CONV_UPDATE:
        return conv;
    case CHUNK:
        return (in + all_states + chunks) + (out + all_states + chunks);
    case PACKED_DECODE:
        return (in + all_states) + (out + all_states);
    case SIGMOID_UPDATE: /* keeps the state behind every token */
        return (in + all_states) + (out + state * x);
    case FUSED_VERIFY:
        return conv + (in + all_states) + (out + state * x);
    case FUSED_DECODE:
        return conv + (in + all_states) + (out + all_states);
    case OTHER:
    case KERNELS:
        break;
    }
    return x * p->d_model * 2.0 + x * p->d_model * 2.0;
}

/* ---- tables: decode rows depend on the batch, all others on batch and sequence ------------------------- */

enum { NUM_V_HEADS = SSM_D_MODEL + 4 };

static bool row_has_phase(const pdb_view *view, const pdb_row *row, kda_phase phase) {
    return strcmp(pdb_text(view, row->cat[SSM_PHASE]), phases[phase]) == 0;
}

static bool sequence_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return row_has_phase(view, row, CONTEXT) || row_has_phase(view, row, VERIFY);
}

static bool generation_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return row_has_phase(view, row, GENERATION);
}

static const pdb_schema sequence_schema = {.table = "kda_perf",
                                           SSM_DELTA_RULE_CATS,
                                           .axes = {{.column = "batch_size"}, {.column = "seq_len"}},
                                           .n_axes = 2,
                                           .admit = sequence_admit};
static const pdb_schema generation_schema = {.table = "kda_perf",
                                             SSM_DELTA_RULE_CATS,
                                             .axes = {{.column = "batch_size"}},
                                             .n_axes = 1,
                                             .admit = generation_admit};

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct kda_state {
    ssm_kernel kernel;
    kda_priced priced;
} kda_state;

static op_key key_of(const op_bound *b, const char *kernel) {
    const kda_params *p = b->op->params;
    op_key key = ssm_key(b->view, kernel, p->phase);
    const uint32_t shape[] = {p->d_model,    p->d_conv,      p->num_k_heads,
                              p->head_k_dim, p->num_v_heads, p->head_v_dim};
    for (size_t i = 0; i < OP_COUNT(shape); i++)
        op_key_int(&key, shape[i]);
    return key;
}

static bool has_shape(const op_bound *b, const pdb_table *t, const char *kernel) {
    op_key key = key_of(b, kernel);
    return pdb_slice_find(t, key.value) != NULL;
}

static bool has_any(const op_bound *b, const pdb_table *t, const char *kernel) {
    op_key key = key_of(b, kernel);
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        if (s->cat[SSM_KERNEL] == key.value[SSM_KERNEL] && s->cat[SSM_PHASE] == key.value[SSM_PHASE])
            return true;
    }
    return false;
}

/* The fused kernel that does the work of the one asked for, when only it was measured; else OTHER. */
static kda_kernel fused_instead(const op_bound *b, const pdb_table *t) {
    const kda_params *p = b->op->params;
    bool conv = strcmp(p->kernel_source, names[CONV_UPDATE]) == 0;
    if (p->at == VERIFY && (conv || strcmp(p->kernel_source, names[SIGMOID_UPDATE]) == 0) &&
        !has_any(b, t, p->kernel_source) && has_any(b, t, names[FUSED_VERIFY]))
        return FUSED_VERIFY;
    if (p->at == GENERATION && (conv || strcmp(p->kernel_source, names[PACKED_DECODE]) == 0) &&
        !has_shape(b, t, p->kernel_source) && has_shape(b, t, names[FUSED_DECODE]))
        return FUSED_DECODE;
    return OTHER;
}

static void bind_table(const op_bound *b, const pdb_table *t, kda_state *st) {
    const kda_params *p = b->op->params;
    const char *kernel = p->kernel_source;
    kda_kernel fused = fused_instead(b, t);
    if (fused != OTHER) { /* the fused kernel is priced once, at the recurrence; the convolution is inside */
        st->kernel.part = strcmp(kernel, names[CONV_UPDATE]) == 0;
        st->priced.kernel = fused;
        kernel = names[fused];
    }
    op_key key = key_of(b, kernel);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        s = ssm_like(t, &key, NUM_V_HEADS);
    st->kernel.grid = s ? pdb_slice_grid(s) : NULL;
}

static void kda_bind(op_binder *binder, op_bound *b) {
    const kda_params *p = b->op->params;
    kda_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    st->priced = (kda_priced){p, kernel_of(p->kernel_source)};
    st->kernel = ssm_by_bytes(b, kda_bytes, &st->priced);
    b->state = st;
    if (p->at == UNKNOWN_PHASE)
        return;
    const pdb_table *t =
        pdb_table_get(b->view, has_sequence(p) ? &sequence_schema : &generation_schema, NULL);
    if (t)
        bind_table(b, t, st);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* A verify step sees batch / draft requests of draft tokens each. */
static op_class kda_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    (void)mode;
    (void)why;
    const kda_params *p = b->op->params;
    const kda_state *st = b->state;
    double batch = shape->batch, s = p->at == CONTEXT ? shape->s : 0.0;
    if (p->at == VERIFY && p->draft_tokens > 0) {
        double requests = rint(batch / (double)p->draft_tokens); /* ties to even */
        batch = requests < 1.0 ? 1.0 : requests;
        s = (double)(p->draft_tokens < UINT32_MAX ? p->draft_tokens : UINT32_MAX);
    }
    *out = ssm_answer(&st->kernel, batch, s);
    return OP_OK;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field kda_fields[] = {
    OP_TEXT(kda_params, kernel_source), OP_TEXT(kda_params, phase),      OP_U32(kda_params, d_model),
    OP_U32(kda_params, d_conv),         OP_U32(kda_params, num_k_heads), OP_U32(kda_params, head_k_dim),
    OP_U32(kda_params, num_v_heads),    OP_U32(kda_params, head_v_dim),  OP_I64(kda_params, draft_tokens),
};

static const pdb_schema *const kda_schemas[] = {&sequence_schema, &generation_schema, NULL};

const op_desc op_desc_kda = {.kind = "Kda",
                             .summary = "kernel of Kimi delta attention",
                             .params_size = sizeof(kda_params),
                             .fields = kda_fields,
                             .n_fields = OP_COUNT(kda_fields),
                             .every_mode = true,
                             .reads = OP_READS_BATCH | OP_READS_S,
                             .schemas = kda_schemas,
                             .check = kda_check,
                             .bind = kda_bind,
                             .query = kda_query};
