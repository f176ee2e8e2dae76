/* Tables, lanes and speed of light shared by context and generation attention (docs/model/attention.md). */
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

/* The slice that answers: by lane order, then by the table's own lanes in the order met; b remembers a
 * refusal. key is filled but for the lane. */
const pdb_slice *attention_slice(op_binder *binder, op_bound *b, const pdb_schema *schema, const pdb_table *t,
                                 const op_texts *lane_order, op_key *key);

#endif
