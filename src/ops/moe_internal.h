/* Expert computation for the kinds that price it (docs/model/moe.md). */
#ifndef AICFG_OPS_MOE_INTERNAL_H
#define AICFG_OPS_MOE_INTERNAL_H

#include "ops/internal.h"

#define MOE_PAGE "moe"

/* Speed of light of the grouped matrix products. Token counts and sizes are integers, divided with floor. */
typedef struct moe_sol {
    uint64_t hidden, inter, topk, experts, tp, ep, gates; /* gates: 3 matrices per gated expert, else 2 */
    double bytes, flops, mem_bw;
} moe_sol;

typedef struct moe_times {
    double math, mem; /* ms; NaN when a product leaves 64 bits */
} moe_times;

moe_times moe_sol_times(const moe_sol *s, uint64_t tokens);
/* The same as pdb_sol over a curve of token counts. */
double moe_table_sol(const void *sol, const double *tokens);

/* Tokens that meet in the shared pool of experts: all attention-DP ranks', at most 2^32 - 1. */
uint64_t moe_pool(uint32_t tokens, uint32_t attention_dp);

/* Has the standard table rows of this shape, under any distribution? */
typedef struct moe_shape {
    uint32_t topk, experts, hidden, inter, tp, ep;
} moe_shape;
bool moe_covers(const pdb_view *view, pdb_quant quant, const moe_shape *shape);

#endif
