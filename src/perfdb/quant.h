/* Quantisation modes: one table for every use (docs/model/quantisation.md).
 *
 * X(name, bytes per element, compute factor, tensor-core dtype, kinds that accept it).
 * The name is the data's, the command line's and the graph files' spelling. Memory-only modes have dtype
 * NONE.
 */
#ifndef AICFG_PERFDB_QUANT_H
#define AICFG_PERFDB_QUANT_H

#include <stdbool.h>

typedef enum pdb_dtype { PDB_BFLOAT16, PDB_INT8, PDB_FP8, PDB_FP4, PDB_DTYPE_NONE } pdb_dtype;
#define PDB_DTYPE_COUNT 4

enum { PDB_GEMM = 1, PDB_MOE = 2, PDB_FMHA = 4, PDB_KV = 8, PDB_COMM = 16 }; /* kinds of mode, as bits */

#define PDB_QUANTS(X)                                                                                        \
    X(bfloat16, 2.0, 1, PDB_BFLOAT16, PDB_GEMM | PDB_MOE | PDB_FMHA | PDB_KV)                                \
    X(float16, 2.0, 1, PDB_BFLOAT16, PDB_FMHA)                                                               \
    X(half, 2.0, 0, PDB_DTYPE_NONE, PDB_COMM)                                                                \
    X(int8, 1.0, 0, PDB_DTYPE_NONE, PDB_KV | PDB_COMM)                                                       \
    X(int8_wo, 1.0, 1, PDB_BFLOAT16, PDB_GEMM)                                                               \
    X(int4_wo, 0.5, 1, PDB_BFLOAT16, PDB_GEMM | PDB_MOE)                                                     \
    X(fp8, 1.0, 2, PDB_FP8, PDB_GEMM | PDB_MOE | PDB_FMHA | PDB_KV | PDB_COMM)                               \
    X(fp8_static, 1.0, 2, PDB_FP8, PDB_GEMM)                                                                 \
    X(sq, 1.0, 2, PDB_INT8, PDB_GEMM)                                                                        \
    X(fp8_block, 1.0, 2, PDB_FP8, PDB_GEMM | PDB_MOE | PDB_FMHA)                                             \
    X(fp8_ootb, 1.0, 2, PDB_FP8, PDB_GEMM)                                                                   \
    X(nvfp4, 0.5625, 4, PDB_FP4, PDB_GEMM | PDB_MOE)                                                         \
    X(nvfp4_wo, 0.5625, 1, PDB_BFLOAT16, PDB_GEMM | PDB_MOE)                                                 \
    X(w4a16_nvfp4, 0.5625, 1, PDB_BFLOAT16, PDB_GEMM | PDB_MOE)                                              \
    X(w4afp8, 0.5, 2, PDB_FP8, PDB_MOE)                                                                      \
    X(w4a16_mxfp4, 0.5, 1, PDB_BFLOAT16, PDB_MOE)                                                            \
    X(w4a16_mxfp4_cutlass, 0.5, 1, PDB_BFLOAT16, PDB_MOE)                                                    \
    X(w4a8_mxfp4_mxfp8, 0.5, 2, PDB_FP8, PDB_MOE)                                                            \
    X(w4a8_mxfp4_mxfp8_trtllm, 0.5, 2, PDB_FP8, PDB_MOE)

typedef enum pdb_quant {
    PDB_Q_UNSET = 0, /* not given; resolved before use */
#define PDB_QUANT_ENUM(name, bytes, compute, dtype, kinds) PDB_Q_##name,
    PDB_QUANTS(PDB_QUANT_ENUM)
#undef PDB_QUANT_ENUM
        PDB_QUANT_COUNT
} pdb_quant;

typedef struct pdb_quant_info {
    const char *name;
    double bytes;    /* per element, with its share of scales */
    int compute;     /* relative compute factor; half of the transfer profile, never used for FLOPS */
    pdb_dtype dtype; /* which <dtype>_tc_flops entry prices its math */
    unsigned kinds;  /* PDB_GEMM | ... that accept the mode */
} pdb_quant_info;

const pdb_quant_info *pdb_quant_get(pdb_quant q); /* q must be a real mode, not UNSET */
pdb_quant pdb_quant_parse(const char *name,
                          unsigned kind);       /* PDB_Q_UNSET when no mode of that kind has the name */
const char *pdb_quant_kind_name(unsigned kind); /* "GEMM", "MoE", "FMHA", "KV-cache", "communication" */
const char *pdb_quant_names(unsigned kind);     /* "bfloat16, int8, fp8": for messages; static text */
const char *pdb_dtype_key(pdb_dtype d);         /* "fp8_tc_flops": key of the spec sheet */

#endif
