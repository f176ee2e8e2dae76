/* State-space kernels: one kernel's measured curve, or its price by bytes (docs/model/ssm.md). */
#ifndef AICFG_OPS_SSM_INTERNAL_H
#define AICFG_OPS_SSM_INTERNAL_H

#include "ops/internal.h"

/* Bytes a kernel moves for `batch` requests of `s` tokens. */
typedef double (*ssm_bytes)(const void *ctx, double batch, double s);

/* A kernel resolved to what answers for it: the state of Mamba2, Gdn and Kda. */
typedef struct ssm_kernel {
    const pdb_grid *grid; /* over batch, or batch x sequence; NULL: priced by bytes */
    bool part;            /* part of a measured fused kernel: costs nothing of its own */
    ssm_bytes bytes;
    const void *ctx; /* of bytes */
    double mem_bw;   /* byte/s */
} ssm_kernel;

/* Categories every table of this family starts with; the shape follows, d_model first. */
enum { SSM_KERNEL, SSM_PHASE, SSM_D_MODEL };

/* Categories of the delta-rule tables (gdn_perf, kda_perf): kernel, phase, then the shape. */
#define SSM_DELTA_RULE_CATS                                                                                  \
    .cats = {{.column = "kernel_source", .text = true},                                                      \
             {.column = "phase", .text = true},                                                              \
             {.column = "d_model"},                                                                          \
             {.column = "d_conv"},                                                                           \
             {.column = "num_k_heads"},                                                                      \
             {.column = "head_k_dim"},                                                                       \
             {.column = "num_v_heads"},                                                                      \
             {.column = "head_v_dim"}},                                                                      \
    .n_cats = 8

/* bytes over memory bandwidth; grid and part unset. */
ssm_kernel ssm_by_bytes(const op_bound *b, ssm_bytes bytes, const void *ctx);

/* Begins a key: kernel and phase. */
op_key ssm_key(const pdb_view *view, const char *kernel, const char *phase);

/* Among the slices with the key's kernel, phase and d_model the one nearest in category `closest` (-1: none
 * counts as nearer), ties to the smaller shape. NULL when there is none. */
const pdb_slice *ssm_like(const pdb_table *t, const op_key *key, int closest);

/* The answer at (batch, s); s = 0 has no measurement in a grid of two axes. What no measurement answers is
 * priced by bytes, so this never refuses. */
op_result ssm_answer(const ssm_kernel *k, double batch, double s);

#endif
