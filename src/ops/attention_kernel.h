/* Kernels that one slice of one table answers: encoder and latent attention (docs/model/attention.md,
 * docs/model/mla.md).
 *
 * A kernel is static data, the `family` of its op kind: table, price, and how an op finds its slice. The
 * functions below are then the kind's bind, bind_estimate and query.
 */
#ifndef AICFG_OPS_ATTENTION_KERNEL_H
#define AICFG_OPS_ATTENTION_KERNEL_H

#include "ops/attention_internal.h"

/* What a price depends on besides the shape. What a kernel has no use for is 0. */
typedef struct kernel_cost {
    double heads;      /* of the op, on this rank */
    double head_size;  /* elements */
    double flops;      /* FLOP/s of the attention */
    double gemm_flops; /* FLOP/s of the projections in the same kernel */
    double kv_bytes;   /* per element of the KV cache */
    double gemm_bytes; /* per element of the projections */
    double mem_bw;     /* byte/s */
} kernel_cost;

/* s: new tokens behind `prefix` cached ones; a decode step: the KV length, prefix 0. */
typedef attention_times (*kernel_price)(const kernel_cost *c, double heads, double s, double prefix,
                                        double batch);

typedef struct attention_kernel attention_kernel;
struct attention_kernel {
    const pdb_schema *schema;
    const char *page;
    bool decode; /* axes (heads, batch, length); else (heads, length, batch), the length in root space */
    kernel_price price;
    /* Fills the cost, or refuses a mode without FLOPS. Needs no table. */
    op_class (*cost)(const op_bound *b, kernel_cost *out, op_refusal *why);
    op_key (*key)(const op_bound *b); /* of the slice that answers */
    /* Finds the slice, or refuses the key as missing; NULL = the slice with this key and no other. */
    op_class (*slice)(const op_bound *b, const pdb_table *t, op_key *key, const pdb_slice **out,
                      op_refusal *why);
    /* Heads that a table coordinate is priced with, in table answers and in calibration; NULL = as it is. */
    double (*row_heads)(double heads), (*sample_heads)(double heads);
};

#define KERNEL_PREFILL_AXES                                                                                  \
    .axes = {{.column = "num_heads"}, {.column = "isl"}, {.column = "batch_size"}}, .n_axes = 3
#define KERNEL_DECODE_AXES                                                                                   \
    .axes = {{.column = "num_heads"}, {.column = "batch_size"}, {.column = "isl", .plus = "step"}},          \
    .n_axes = 3

/* The kernel of an op. */
const attention_kernel *kernel_of(const op_bound *b);
/* FLOP/s of a mode, or a refusal. */
op_class kernel_flops(const op_bound *b, pdb_quant mode, double *out, op_refusal *why);

void kernel_bind(op_binder *binder, op_bound *b);
void kernel_bind_estimate(op_binder *binder, op_bound *b);

/* Paths of op_by_mode. */
op_class kernel_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why);
op_class kernel_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why);
op_class kernel_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why);
extern const op_paths kernel_paths; /* the three of them */
/* Decode steps of such a kind. */
bool kernel_fan(const op_bound *b, op_fan_source *out);
/* The query of a kind that is its kernel and nothing else. */
op_class kernel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                      op_refusal *why);

#endif
