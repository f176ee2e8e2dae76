/* Compressed attention of DeepSeek-V4: dimensions, speed of light, tables (docs/model/dsv4.md). */
#ifndef AICFG_OPS_DSV4_INTERNAL_H
#define AICFG_OPS_DSV4_INTERNAL_H

#include "ops/sparse_internal.h"

#define DSV4_PAGE "dsv4"

/* X(name, ratio): kinds of layer and how many tokens they compress into one. */
#define DSV4_KINDS(X) X(Csa, 4) X(Hca, 128)
typedef enum dsv4_kind {
#define DSV4_ENUM(name, ratio) DSV4_##name,
    DSV4_KINDS(DSV4_ENUM)
#undef DSV4_ENUM
        DSV4_KIND_COUNT
} dsv4_kind;

typedef struct dsv4_params {
    int attn_kind;                             /* dsv4_kind */
    uint32_t num_heads, native_heads, tp_size; /* heads of this rank and of the model */
    pdb_quant kv_cache_dtype, fmha_quant_mode, gemm_quant_mode;
    const char *architecture;
    uint32_t cp_size;    /* prefill only */
    int64_t window_size; /* -1 = null */
    uint32_t hidden_size, q_lora_rank, o_lora_rank, head_dim, rope_head_dim, index_n_heads, index_head_dim,
        index_topk;
    int64_t o_groups; /* -1 = null: by the head count */
} dsv4_params;

uint32_t dsv4_ratio(const dsv4_params *p);
double dsv4_weights(const op *o);

/* ---- speed of light ------------------------------------------------------------------------------------ */

/* What it depends on besides the shape. Without padding. */
typedef struct dsv4_sol {
    double ratio, heads, hidden, q_lora, o_lora, head, rope, index_heads, index_dim, topk, window, groups;
    double gemm_bytes, kv_bytes, attn_bytes; /* per element */
    double gemm_flops, bf16_flops, fp8_flops, attn_flops, mem_bw;
    uint64_t decode;
} dsv4_sol;

/* Refuses modes without FLOPS. Needs no table. */
op_class dsv4_sol_of(const op_bound *b, dsv4_sol *out, op_refusal *why);
/* tokens: new ones of a request; a decode step: the length, the new token included, and prefix 0. */
sparse_times dsv4_sol_at(const dsv4_sol *s, double prefix, double tokens, double batch);
/* The same over table coordinates: prefix, tokens, batch; decode: batch, length. */
double dsv4_table_sol(const void *sol, const double *coords);

/* ---- tables -------------------------------------------------------------------------------------------- */

extern const pdb_schema dsv4_calibration_schema, dsv4_paged_schema;
/* Every table of the two op kinds. */
extern const pdb_schema *const dsv4_context_schemas[], *const dsv4_generation_schemas[];
/* Module tables of a kind of layer. */
const pdb_schema *dsv4_schema(dsv4_kind kind, bool decode);
/* The rows that stand for the op's heads: of the nearest model size at hand. NULL with a refusal. */
const pdb_slice *dsv4_slice(const op_bound *b, op_refusal *why);

/* Time of the selection kernel's slower and faster way over (batch, new tokens, prefix) of a model's heads,
 * one of v1_flat, v1_top_last, v2_flat, v2_top_last; NULL = not measured. */
const pdb_grid *dsv4_calibration(const pdb_view *view, uint32_t native_heads, const char *score_mode);
/* By how much the measured modules overstate the selection: over (batch, new tokens, prefix), for prefill or
 * decode; NULL = nothing to correct. */
const pdb_grid *dsv4_correction(const pdb_view *view, uint32_t native_heads, bool decode);
/* At a shape: blended inside the measured range, its nearest end beyond it; never negative. The marks of the
 * rows used join *from. */
double dsv4_correction_at(const pdb_grid *g, double prefix, double tokens, double batch, pdb_origins *from);

/* ---- a module ------------------------------------------------------------------------------------------ */

typedef struct dsv4_module {
    op_bound b; /* the op on one rank; its state and estimate are this module */
    dsv4_sol sol;
    const pdb_grid *grid;
    const pdb_grid *correction;    /* NULL = none */
    const sparse_prefill *prefill; /* EMPIRICAL only, and one of the two */
    const sparse_decode *steps;
} dsv4_module;

typedef struct dsv4_parallel dsv4_parallel;

typedef struct dsv4_state {
    dsv4_module module;
    const dsv4_parallel *parallel; /* NULL: one rank sees all tokens */
} dsv4_state;

extern const op_paths dsv4_paths; /* of a module */

/* What context parallelism adds; what it lacks is remembered in b. */
const dsv4_parallel *dsv4_bind_parallel(op_binder *binder, op_bound *b);
op_class dsv4_parallel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                             op_refusal *why);

#endif
