/* Latent attention: columns and prices that several kinds share (docs/model/mla.md). */
#ifndef AICFG_OPS_MLA_INTERNAL_H
#define AICFG_OPS_MLA_INTERNAL_H

#include "ops/attention_kernel.h"

#define MLA_PAGE "mla"

#define MLA_DTYPE                                                                                            \
    { .column = "mla_dtype", .text = true }
#define MLA_KV_DTYPE                                                                                         \
    { .column = "kv_cache_dtype", .text = true }

/* Prices of the attention of one prefill and one decode step, projections aside. */
attention_times mla_context_price(const kernel_cost *c, double heads, double s, double prefix, double batch);
attention_times mla_generation_price(const kernel_cost *c, double heads, double s, double prefix,
                                     double batch);
/* Price of one of the two batched products that lead into and out of the latent space; reads gemm_* only. */
attention_times mla_bmm_price(const kernel_cost *c, double heads, double tokens);

#endif
