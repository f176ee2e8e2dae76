/* Quantisation kernels that static fp8 GEMMs do without (docs/model/gemm.md). */
#ifndef AICFG_OPS_GEMM_INTERNAL_H
#define AICFG_OPS_GEMM_INTERNAL_H

#include "ops/internal.h"

#define GEMM_PAGE "gemm"

/* One kernel: its table over (m, k), and what is known of it. */
typedef struct gemm_kernel gemm_kernel;
extern const gemm_kernel gemm_compute_scale, gemm_scale_matrix;
extern const pdb_schema gemm_compute_schema, gemm_matrix_schema;

/* A kernel's time at a shape, to be taken off the GEMM's. */
typedef struct gemm_part {
    double latency, energy; /* ms, W*ms */
    op_cover cover;
    op_tier tier;
    pdb_origins from;
} gemm_part;

/* A kernel bound for one path: table answers, or calibration. A table without the rows is kept as a reason.
 */
typedef struct gemm_scale gemm_scale;
gemm_scale *gemm_scale_bind(op_binder *binder, const op_bound *b, const gemm_kernel *kernel, bool estimate);
/* Why it cannot answer any shape; NULL when it can. */
const char *gemm_scale_missing(const gemm_scale *s);

/* Answers by mode (never SOL). measured: NULL in EMPIRICAL mode; calibrated: NULL in SILICON mode. */
op_class gemm_scale_query(const op_bound *b, op_mode mode, const gemm_scale *measured,
                          const gemm_scale *calibrated, double m, double k, gemm_part *out, op_refusal *why);

/* The slice of a mode, or NULL and why not. */
const pdb_slice *gemm_slice(const op_bound *b, const pdb_schema *schema, const char *mode, op_refusal *why);

#endif
