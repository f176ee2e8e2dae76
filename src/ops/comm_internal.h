/* Collectives for ops that are made of them (docs/model/communication.md). */
#ifndef AICFG_OPS_COMM_INTERNAL_H
#define AICFG_OPS_COMM_INTERNAL_H

#include "ops/internal.h"

/* X(name, factor): NCCL collectives and how often an element crosses the ring. */
#define COMM_OPERATIONS(X)                                                                                   \
    X(all_gather, 1.0)                                                                                       \
    X(alltoall, 1.0)                                                                                         \
    X(reduce_scatter, 1.0)                                                                                   \
    X(all_reduce, 2.0)
typedef enum comm_operation {
#define COMM_ENUM(name, factor) COMM_##name,
    COMM_OPERATIONS(COMM_ENUM)
#undef COMM_ENUM
        COMM_OTHER
} comm_operation;

extern const pdb_schema comm_allreduce_schema, comm_nccl_schema, comm_oneccl_schema;

/* Ops of scale 1 in half precision under the name of the op they belong to. elements: per token. */
op *comm_make_allreduce(aic_arena *a, const char *name, uint32_t gpus, uint32_t elements);
op *comm_make_nccl(aic_arena *a, const char *name, uint32_t gpus, comm_operation operation, double elements);

/* Queries a bound Nccl op of scale 1 for another number of elements than its own. */
op_class comm_nccl_elements(const op_bound *nccl, op_mode mode, double elements, op_result *out,
                            op_refusal *why);

/* Price of a curve over message sizes: proportional. */
double comm_size_sol(const void *unused, const double *size);

#endif
