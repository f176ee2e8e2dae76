/* TRT-LLM's NVLink all-to-all kernel, for MoeDispatch (docs/model/moe.md). */
#ifndef AICFG_OPS_ALLTOALL_INTERNAL_H
#define AICFG_OPS_ALLTOALL_INTERNAL_H

#include "ops/internal.h"

typedef struct alltoall_params {
    bool dispatch; /* tokens to the experts; false: combine */
    uint32_t hidden, topk, experts, ep;
    pdb_quant quant;
} alltoall_params;

typedef struct alltoall alltoall;

/* Categories of the table; its axis is the token count. */
enum {
    ALLTOALL_KERNEL,
    ALLTOALL_OPERATION,
    ALLTOALL_DTYPE,
    ALLTOALL_NODES,
    ALLTOALL_HIDDEN,
    ALLTOALL_TOPK,
    ALLTOALL_EXPERTS,
    ALLTOALL_EP
};
extern const pdb_schema alltoall_schema;

/* Resolves the measured curve (not in SOL mode); b remembers a refusal. */
alltoall *alltoall_bind(op_binder *binder, op_bound *b, const alltoall_params *params);
/* shape->x tokens per rank. */
op_class alltoall_query(const alltoall *a, const op_bound *b, op_mode mode, const op_shape *shape,
                        op_result *out, op_refusal *why);

#endif
