/* Mamba2: a kernel of a Mamba-2 mixer (docs/model/ssm.md). */
#include "ops/ssm_internal.h"

#include <string.h>

typedef struct mamba2_params {
    const char *kernel_source, *phase;
    uint32_t d_model, d_state, d_conv, nheads, head_dim, n_groups, chunk_size;
    bool is_context, is_conv; /* made by mamba2_check */
} mamba2_params;

static bool mamba2_check(const op *o, aic_error *err) {
    mamba2_params *p = o->params;
    (void)err;
    p->is_context = strcmp(p->phase, "context") == 0;
    p->is_conv = strcmp(p->kernel_source, "causal_conv1d_fn") == 0 ||
                 strcmp(p->kernel_source, "causal_conv1d_update") == 0;
    return true;
}

static double mamba2_bytes(const void *ctx, double batch, double s) {
    const mamba2_params *p = ctx;
    double x = p->is_context && s > 0.0 ? batch * s : batch, inner = (double)p->nheads * p->head_dim,
           state = (double)p->n_groups * p->d_state, channels = inner + 2.0 * state;
    if (p->is_conv)
        return x * channels * (p->d_conv + 1.0) * 2.0 + x * channels * 2.0;
    return x * (inner + state * 2.0 + p->nheads) * 2.0 + x * inner * 2.0;
}

/* Decode rows are never read: they depend on more than the batch. */
static bool mamba2_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return strcmp(pdb_text(view, row->cat[SSM_PHASE]), "generation") != 0;
}

static const pdb_schema mamba2_schema = {.table = "mamba2_perf",
                                         .cats = {{.column = "kernel_source", .text = true},
                                                  {.column = "phase", .text = true},
                                                  {.column = "d_model"},
                                                  {.column = "d_state"},
                                                  {.column = "d_conv"},
                                                  {.column = "nheads"},
                                                  {.column = "head_dim"},
                                                  {.column = "n_groups"},
                                                  {.column = "chunk_size"}},
                                         .n_cats = 9,
                                         .axes = {{.column = "batch_size"}, {.column = "seq_len"}},
                                         .n_axes = 2,
                                         .admit = mamba2_admit};

static void mamba2_bind(op_binder *binder, op_bound *b) {
    const mamba2_params *p = b->op->params;
    ssm_kernel *k = aic_arena_alloc(binder->arena, 1, sizeof *k);
    *k = ssm_by_bytes(b, mamba2_bytes, p);
    b->state = k;
    const pdb_table *t = pdb_table_get(b->view, &mamba2_schema, NULL);
    if (!t)
        return;
    op_key key = ssm_key(b->view, p->kernel_source, p->phase);
    const uint32_t shape[] = {p->d_model,  p->d_state,  p->d_conv,    p->nheads,
                              p->head_dim, p->n_groups, p->chunk_size};
    for (size_t i = 0; i < OP_COUNT(shape); i++)
        op_key_int(&key, shape[i]);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        s = ssm_like(t, &key, -1);
    k->grid = s ? pdb_slice_grid(s) : NULL;
}

static op_class mamba2_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                             op_refusal *why) {
    (void)mode;
    (void)why;
    *out = ssm_answer(b->state, shape->batch, shape->s);
    return OP_OK;
}

static const op_field mamba2_fields[] = {
    OP_TEXT(mamba2_params, kernel_source), OP_TEXT(mamba2_params, phase),   OP_U32(mamba2_params, d_model),
    OP_U32(mamba2_params, d_state),        OP_U32(mamba2_params, d_conv),   OP_U32(mamba2_params, nheads),
    OP_U32(mamba2_params, head_dim),       OP_U32(mamba2_params, n_groups), OP_U32(mamba2_params, chunk_size),
};

static const pdb_schema *const mamba2_schemas[] = {&mamba2_schema, NULL};

const op_desc op_desc_mamba2 = {.kind = "Mamba2",
                                .summary = "kernel of a Mamba-2 mixer",
                                .params_size = sizeof(mamba2_params),
                                .fields = mamba2_fields,
                                .n_fields = OP_COUNT(mamba2_fields),
                                .every_mode = true,
                                .reads = OP_READS_BATCH | OP_READS_S,
                                .schemas = mamba2_schemas,
                                .check = mamba2_check,
                                .bind = mamba2_bind,
                                .query = mamba2_query};
