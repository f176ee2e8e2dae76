/* Embedding and Elementwise: bytes through memory, no table of their own (docs/model/gemm.md). */
#include "ops/internal.h"

/* ---- Embedding ----------------------------------------------------------------------------------------- */

typedef struct embedding_params {
    uint32_t vocab_size, hidden_size;
    pdb_quant quant_mode;
    uint32_t seq_split;
} embedding_params;

static op_class embedding_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                                op_refusal *why) {
    (void)why;
    const embedding_params *p = b->op->params;
    double tokens = (double)op_ceildiv(shape->x, p->seq_split);
    *out = op_mem(b->system, mode, tokens * (double)p->hidden_size * pdb_quant_get(p->quant_mode)->bytes);
    return OP_OK;
}

static double embedding_weights(const op *o) {
    const embedding_params *p = o->params;
    return (double)p->vocab_size * (double)p->hidden_size * pdb_quant_get(p->quant_mode)->bytes;
}

static const op_field embedding_fields[] = {
    OP_U32(embedding_params, vocab_size),
    OP_U32(embedding_params, hidden_size),
    OP_QUANT(embedding_params, quant_mode, PDB_GEMM),
    OP_U32_OR(embedding_params, seq_split, 1),
};

const op_desc op_desc_embedding = {.kind = "Embedding",
                                   .summary = "token embedding lookup, priced by the bytes it moves",
                                   .params_size = sizeof(embedding_params),
                                   .fields = embedding_fields,
                                   .n_fields = OP_COUNT(embedding_fields),
                                   .reads = OP_READS_X,
                                   .query = embedding_query,
                                   .weight_bytes = embedding_weights};

/* ---- Elementwise --------------------------------------------------------------------------------------- */

typedef struct elementwise_params {
    double bytes_per_token;
    uint32_t scale_num_tokens, seq_split;
} elementwise_params;

static op_class elementwise_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                                  op_refusal *why) {
    (void)why;
    const elementwise_params *p = b->op->params;
    double tokens = (double)op_ceildiv(shape->x / op_at_least_1(p->scale_num_tokens), p->seq_split);
    *out = op_mem(b->system, mode, p->bytes_per_token * tokens);
    return OP_OK;
}

static const op_field elementwise_fields[] = {
    OP_F64(elementwise_params, bytes_per_token),
    OP_U32_OR(elementwise_params, scale_num_tokens, 1),
    OP_U32_OR(elementwise_params, seq_split, 1),
};

const op_desc op_desc_elementwise = {.kind = "Elementwise",
                                     .summary =
                                         "norms, activations, residuals: bytes read and written per token",
                                     .params_size = sizeof(elementwise_params),
                                     .fields = elementwise_fields,
                                     .n_fields = OP_COUNT(elementwise_fields),
                                     .reads = OP_READS_X,
                                     .query = elementwise_query};
