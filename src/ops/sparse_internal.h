/* What the sparse-attention modules share: DSA, MSA and DeepSeek-V4 (docs/model/dsa.md, docs/model/dsv4.md).
 *
 * A module is a whole attention block of one layer on one rank, measured in one piece over (tokens cached,
 * tokens new, batch) or, decoding, (batch, length). Counts of tokens and operations are doubles: exact up to
 * 2^53, and beyond it off by the last bits only.
 */
#ifndef AICFG_OPS_SPARSE_INTERNAL_H
#define AICFG_OPS_SPARSE_INTERNAL_H

#include "ops/internal.h"

typedef struct sparse_times {
    double math, mem; /* ms */
} sparse_times;

static inline double sparse_slower(sparse_times t) {
    return op_max(t.math, t.mem);
}

/* Pairs of a query token and one of the at most `limit` tokens it attends to, itself included, over `batch`
 * requests of `fresh` tokens behind `prefix` cached ones. */
double sparse_pairs(double batch, double fresh, double prefix, double limit);

/* The FLOPS of a mode into *out, or a refusal. */
op_class sparse_flops(const op_bound *b, pdb_quant mode, double *out, op_refusal *why);

/* Remembers why the empirical path is closed: missing data leaves it nothing to be calibrated from. */
void sparse_bind_refuse_estimate(op_binder *binder, op_bound *b, const op_refusal *why);

/* First of the ascending keys lo..hi that is not below x, or hi. */
uint32_t sparse_key_from(const uint64_t *keys, uint32_t lo, uint32_t hi, double x);

/* ---- calibration (docs/model/dsa.md, "Estimates") ------------------------------------------------------ */

/* Utilisation samples of a module measured over (heads,) prefix, new tokens, batch. */
typedef struct sparse_prefill {
    const pdb_util *all;   /* every row, over (heads,) prefix, tokens, batch */
    const pdb_util *fresh; /* rows without prefix, over (heads,) tokens, batch; NULL = none */
    bool by_heads;         /* the head count was not measured: heads are an axis of the samples */
    double low, high;      /* prefixes measured */
} sparse_prefill;

/* Where a calibration comes from. sol prices the grid's coordinates; sol_ctx, of sol_size bytes up to
 * SPARSE_SOL and without padding of any value, is what it depends on besides them. */
enum { SPARSE_SOL = 192 };
typedef struct sparse_sampling {
    const pdb_grid *grid; /* of a table of the view */
    bool has_heads;       /* its first axis counts heads */
    double heads;         /* of the op, when it does */
    pdb_sol sol;
    const void *sol_ctx;
    size_t sol_size;
} sparse_sampling;

/* Made once per view and sampling. */
const sparse_prefill *sparse_prefill_samples(op_binder *binder, const sparse_sampling *from);
/* Samples over (heads,) batch, length of a grid over (heads,) batch, length. by_heads as above. */
typedef struct sparse_decode {
    const pdb_util *all;
    bool by_heads;
} sparse_decode;
const sparse_decode *sparse_decode_samples(op_binder *binder, const sparse_sampling *from);

/* Estimates of a prefill whose speed of light is sol ms. Outside the measured prefixes all tokens count as
 * new; when no row is without prefix, `lenient` takes all rows instead of refusing. */
op_class sparse_prefill_estimate(const op_bound *b, const sparse_prefill *samples, bool lenient, double heads,
                                 const op_shape *shape, double sol, op_result *out, op_refusal *why);
op_class sparse_decode_estimate(const op_bound *b, const sparse_decode *samples, double heads,
                                const op_shape *shape, double sol, op_result *out, op_refusal *why);

/* ---- context parallelism (docs/model/dsa.md, "Context parallelism") ------------------------------------ */

/* New tokens of one rank. */
uint32_t sparse_per_rank(uint32_t tokens, uint32_t cp);

/* A sum of parts in the making: how good its worst evidence is, what estimates and whose rows went in. */
typedef struct sparse_sum {
    double ms;
    op_cover worst;
    op_tier tier;
    pdb_origins from;
} sparse_sum;

/* The evidence of an answer joins the sum; its time does not. */
void sparse_witness(sparse_sum *sum, const op_result *part);
/* The answer: source estimated, no energy. */
op_result sparse_sum_result(const sparse_sum *sum);

/* Time of a kernel measured over (batch, new tokens, prefix): rows of the nearest batch and of the nearest
 * token count, blended over the prefix. More tokens than measured at that batch are a miss. The marks of the
 * rows used join *from. */
op_class sparse_look(const op_bound *b, const pdb_schema *schema, const pdb_grid *g, double batch,
                     double tokens, double prefix, const char *page, double *ms, pdb_origins *from,
                     op_refusal *why);

/* The all-gather over cp ranks that hands `elements` of half precision around; the bound op is in the
 * binder's arena. */
const op_bound *sparse_bind_gather(op_binder *binder, const op_bound *b, uint32_t cp);
op_class sparse_gather(const op_bound *gather, op_mode mode, double elements, sparse_sum *sum, double *ms,
                       op_refusal *why);

#endif
