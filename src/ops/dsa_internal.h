/* DeepSeek sparse attention: dimensions, speed of light, tables, the two halves of a module
 * (docs/model/dsa.md). */
#ifndef AICFG_OPS_DSA_INTERNAL_H
#define AICFG_OPS_DSA_INTERNAL_H

#include "ops/sparse_internal.h"

#define DSA_PAGE "dsa"

/* ---- structure ----------------------------------------------------------------------------------------- */

typedef struct dsa_dims {
    double hidden, q_lora, kv_lora; /* model width; ranks of the query and the latent KV projection */
    double nope, rope, v;           /* per head: query without and with rotation, value */
    double topk;                    /* tokens the indexer leaves */
    double index_dim, index_heads;
} dsa_dims;

/* Unknown architectures have the dimensions of DeepSeek-V3.2. */
const dsa_dims *dsa_dims_of(const char *architecture);

/* X(name): projections that may have a mode of their own. */
#define DSA_PROJECTIONS(X) X(q) X(kv) X(o) X(indexer)
enum {
#define DSA_PROJECTION_ENUM(name) DSA_##name,
    DSA_PROJECTIONS(DSA_PROJECTION_ENUM)
#undef DSA_PROJECTION_ENUM
        DSA_PROJECTION_COUNT
};

typedef struct dsa_params {
    uint32_t num_heads; /* of this rank */
    pdb_quant kv_cache_dtype, fmha_quant_mode, gemm_quant_mode;
    const char *architecture;
    uint32_t index_topk; /* prefill only; decode has the architecture's */
    uint32_t cp_size;    /* prefill only */
    double full_frac;    /* share of the layers that compute their own index */
    pdb_quant attn_projection_quant_modes[DSA_PROJECTION_COUNT]; /* all unset: gemm_quant_mode */
} dsa_params;

/* An op of one layer with the architecture's dimensions, for a family that is calibrated from this one. */
op *dsa_make(aic_arena *a, bool decode, const char *name, uint32_t heads, pdb_quant kv, pdb_quant fmha,
             pdb_quant gemm, const char *architecture);
double dsa_weights(const op *o);

/* ---- speed of light ------------------------------------------------------------------------------------ */

/* What it depends on besides the shape. Without padding. */
typedef struct dsa_sol {
    const dsa_dims *dims;
    double topk;
    double gemm_bytes, kv_bytes, fmha_bytes; /* per element */
    double gemm_flops, fp8_flops, attn_flops, mem_bw;
    uint32_t decode, skip; /* skip: the index comes from a neighbouring layer */
} dsa_sol;

/* Refuses modes without FLOPS. Needs no table. */
op_class dsa_sol_of(const op_bound *b, bool skip, dsa_sol *out, op_refusal *why);
/* tokens: new ones of a request; a decode step: the length, the new token included, and prefix 0. */
sparse_times dsa_sol_at(const dsa_sol *s, double heads, double prefix, double tokens, double batch);
/* The same over table coordinates: heads, prefix, tokens, batch; decode: heads, batch, length. */
double dsa_table_sol(const void *sol, const double *coords);

/* ---- module tables ------------------------------------------------------------------------------------- */

/* A row is measured with one of two kernels, or counts for both. */
typedef enum dsa_bucket { DSA_TRTLLM, DSA_FLASHMLA, DSA_BUCKETS } dsa_bucket;

/* Categories of a module file; op_name and kernel_source follow and inform the hook only. */
enum { DSA_SKIP, DSA_ARCHITECTURE, DSA_MLA, DSA_KV, DSA_GEMM, DSA_KEY, DSA_OP_NAME = DSA_KEY, DSA_KERNEL };

typedef struct dsa_file {
    pdb_schema bucket[DSA_BUCKETS]; /* one file read for either kernel */
} dsa_file;

extern const dsa_file dsa_context_file, dsa_generation_file;
/* Kernels that context parallelism prices apart: the indexer's logits and selection, per model. */
extern const pdb_schema dsa_v32_logits, dsa_v32_topk, dsa_glm_logits, dsa_glm_topk;

/* Hooks: keep the rows of the bucket and tell those that skip the indexer from the others. */
bool dsa_admit_trtllm(const pdb_view *view, const pdb_schema *schema, pdb_row *row);
bool dsa_admit_flashmla(const pdb_view *view, const pdb_schema *schema, pdb_row *row);

#define DSA_SCHEMA(file, hook, count, ...)                                                                   \
    {                                                                                                        \
        .table = (file),                                                                                     \
        .cats = {{.column = "skip_indexer", .optional = true}, /* made by the hook */                        \
                 {.column = "architecture", .text = true},                                                   \
                 {.column = "mla_dtype", .text = true},                                                      \
                 {.column = "kv_cache_dtype", .text = true},                                                 \
                 {.column = "gemm_type", .text = true},                                                      \
                 {.column = "op_name", .text = true, .optional = true},                                      \
                 {.column = "kernel_source", .text = true, .optional = true}},                               \
        .n_cats = DSA_KERNEL + 1, .n_extra = 2, .axes = {__VA_ARGS__}, .n_axes = (count),                    \
        .last_in_source = true, .admit = (hook)                                                              \
    }
#define DSA_FILE(file, trtllm, flashmla, count, ...)                                                         \
    {                                                                                                        \
        .bucket = {                                                                                          \
            [DSA_TRTLLM] = DSA_SCHEMA(file, trtllm, count, __VA_ARGS__),                                     \
            [DSA_FLASHMLA] = DSA_SCHEMA(file, flashmla, count, __VA_ARGS__)                                  \
        }                                                                                                    \
    }
#define DSA_PREFILL_AXES                                                                                     \
    {.column = "num_heads"}, {.column = "step"}, {.column = "isl"}, {                                        \
        .column = "batch_size"                                                                               \
    }
#define DSA_DECODE_AXES                                                                                      \
    {.column = "num_heads"}, {.column = "batch_size"}, {                                                     \
        .column = "isl", .plus = "step"                                                                      \
    }

/* Key of the rows of an op. */
typedef struct dsa_rows {
    const char *architecture;
    pdb_quant mla, kv, gemm; /* mla unset: rows that do not tell */
    bool skip;
} dsa_rows;

op_key dsa_key(const pdb_view *view, const dsa_rows *rows);
/* The slice in the wanted bucket, or in the other one when the key has no such rows; NULL with a refusal. */
const pdb_slice *dsa_slice(const op_bound *b, const dsa_file *file, dsa_bucket wanted, const dsa_rows *rows,
                           const char *page, op_refusal *why);
/* Does the file have rows without indexer, whatever their key? */
bool dsa_skips(const pdb_view *view, const dsa_file *file);

/* ---- a module with or without its indexer -------------------------------------------------------------- */

typedef struct dsa_half {
    op_bound b; /* the op bound to these rows alone; its state and estimate are this half */
    dsa_sol sol;
    const pdb_grid *grid;
    const sparse_prefill *prefill; /* EMPIRICAL only, and one of the two */
    const sparse_decode *steps;
} dsa_half;

typedef struct dsa_parallel dsa_parallel;

typedef struct dsa_state {
    double share; /* of the layers that have an indexer; 1 when all count as such */
    dsa_half full, skip;
    const dsa_parallel *parallel; /* NULL: one rank sees all tokens */
} dsa_state;

extern const op_paths dsa_paths; /* of a half */

/* What context parallelism adds; a refusal is remembered in b and final in every mode. */
const dsa_parallel *dsa_bind_parallel(op_binder *binder, op_bound *b);
op_class dsa_parallel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                            op_refusal *why);

#endif
