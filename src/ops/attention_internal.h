/* Tables, lanes and speed of light shared by context and generation attention, and what all prefills share
 * (docs/model/attention.md). */
#ifndef AICFG_OPS_ATTENTION_INTERNAL_H
#define AICFG_OPS_ATTENTION_INTERNAL_H

#include "ops/internal.h"

#define ATTENTION_PAGE "attention"

/* Axes: (heads, sequence, batch) and (heads, batch, sequence). Key: lane, [FMHA mode,] KV mode, KV heads,
 * head size, window. */
extern const pdb_schema attention_context_schema, attention_generation_schema;

/* The lane is the first category of both schemas; 0 = the lane "default". */
enum { ATTENTION_LANE = 0, ATTENTION_CONTEXT_FMHA = 1, ATTENTION_CONTEXT_KV = 2 };

/* What the speed of light of a slice or an op depends on besides the shape. */
typedef struct attention_sol {
    double kv_key; /* table slices: KV heads, 0 = as many as heads */
    double head_size, window, kv_bytes;
    double flops, mem_bw;
} attention_sol;

typedef struct attention_times {
    double math, mem; /* ms */
} attention_times;

/* Prefill of s new tokens behind `prefix` cached ones. */
attention_times attention_context_sol(const attention_sol *a, double heads, double kv_heads, double s,
                                      double prefix, double batch);
/* One decode step at KV length s, the new token included. */
attention_times attention_generation_sol(const attention_sol *a, double heads, double kv_heads, double batch,
                                         double s);
/* The same as pdb_sol over table coordinates, without prefix. */
double attention_context_table_sol(const void *sol, const double *coords);
double attention_generation_table_sol(const void *sol, const double *coords);

/* The mode whose FLOPS a decode step runs at: fp8 for an fp8 cache from SM 89 on, else bfloat16. */
pdb_quant attention_decode_mode(const pdb_system *sys, pdb_quant kv);

/* KV-head key of the tables: 0 when every head has its own KV head. */
uint32_t attention_kv_key(uint32_t heads, uint32_t kv_heads);

/* The slice of a key whose lane is looked for: by lane order, then by the table's own lanes in the order met.
 * NULL = no lane has the key. */
const pdb_slice *attention_find_slice(const pdb_view *view, const pdb_table *t, const op_texts *lane_order,
                                      op_key *key);
/* The slice that answers: by lane order, then by the table's own lanes in the order met; b remembers a
 * refusal. key is filled but for the lane. */
const pdb_slice *attention_slice(op_binder *binder, op_bound *b, const pdb_schema *schema, const pdb_table *t,
                                 const op_texts *lane_order, op_key *key);

/* ---- prefills ------------------------------------------------------------------------------------------ */

/* Share of a full prefill's work that is left when its first `prefix` tokens are cached. */
double attention_prefix_correction(double full, double prefix);

/* Context parallelism: the sum of the first and the last of 2 x cp_size chunks of the causal square, which a
 * rank holds. cp_size up to 1: the whole prefill. Each chunk is answered by mode on its own. */
op_class attention_split(const op_paths *paths, const op_bound *b, op_mode mode, uint32_t cp_size,
                         const op_shape *shape, op_result *out, op_refusal *why);

/* ---- estimates (attention_estimate.c) ------------------------------------------------------------------ */

/* What an op of either phase asks its table for. */
typedef struct attention_wanted {
    const pdb_schema *schema;
    const pdb_table *table; /* NULL: there is none */
    const op_texts *lane_order;
    op_key key;        /* made once the table is loaded; the lane any; ends with head size and window */
    attention_sol sol; /* of the op */
    pdb_sol table_sol; /* prices coordinates under an attention_sol */
    bool head_levels;  /* head sizes run differently well */
} attention_wanted;

/* What an estimate is calibrated from. */
typedef struct attention_basis {
    const pdb_util *util;
    double scale;
    op_tier tier;
} attention_basis;

/* Finds the basis, or refuses. */
op_class attention_calibrate(op_binder *binder, const op_bound *b, const attention_wanted *w,
                             attention_basis *out, op_refusal *why);

#endif
