/* MsaContext, MsaGeneration: block-sparse attention of MiniMax-M3 (docs/model/msa.md). */
#include "ops/dsa_internal.h"

#include <math.h>
#include <stdio.h>

#define PAGE "msa"

typedef struct msa_params {
    uint32_t num_heads, num_kv_heads; /* of this rank */
    uint32_t hidden_size, head_dim, v_head_dim, index_n_heads, index_head_dim, index_topk, block_size;
    pdb_quant kv_cache_dtype, fmha_quant_mode, gemm_quant_mode;
    const char *dsa_architecture; /* whose sparse attention an estimate is transferred from */
    double dsa_scale_k;           /* utilisation relative to that one */
} msa_params;

static bool is_decode(const op *o) {
    return o->desc == &op_desc_msa_generation;
}

/* ---- speed of light ------------------------------------------------------------------------------------ */

typedef struct msa_sol {
    const msa_params *p;
    bool decode;
    double gemm_bytes, kv_bytes, fmha_bytes; /* per element */
    double gemm_flops, fp8_flops, attn_flops, mem_bw;
} msa_sol;

static op_class sol_of(const op_bound *b, msa_sol *out, op_refusal *why) {
    const msa_params *p = b->op->params;
    *out = (msa_sol){.p = p,
                     .decode = is_decode(b->op),
                     .gemm_bytes = pdb_quant_get(p->gemm_quant_mode)->bytes,
                     .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                     .fmha_bytes = pdb_quant_get(p->fmha_quant_mode)->bytes,
                     .mem_bw = b->system->mem_bw};
    op_class cls = sparse_flops(b, p->gemm_quant_mode, &out->gemm_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, PDB_Q_fp8, &out->fp8_flops, why);
    if (cls == OP_OK)
        cls = sparse_flops(b, p->fmha_quant_mode, &out->attn_flops, why);
    return cls;
}

/* tokens: new ones of a request; a decode step: the length, the new token included, and prefix 0. */
static sparse_times sol_at(const msa_sol *s, double n, double prefix, double tokens, double batch) {
    const msa_params *p = s->p;
    double h = p->hidden_size, d = p->head_dim, v = p->v_head_dim, k = p->num_kv_heads, g = p->index_n_heads,
           e = p->index_head_dim, topk = p->index_topk;
    double t = s->decode ? batch : batch * tokens,
           cached = s->decode ? (tokens > 1.0 ? tokens - 1.0 : 0.0) : prefix + tokens,
           kept = cached < topk ? cached : topk;
    double pairs = s->decode ? t * kept : sparse_pairs(batch, tokens, prefix, topk);
    double blocks = cached > topk ? ceil(cached / p->block_size) : 0.0;
    double gemm =
        2.0 * t * h * (n * d) + 2.0 * t * h * (2.0 * k * d) + 2.0 * t * (n * v) * h + 2.0 * t * h * (g * e);
    double attention = 2.0 * n * (d + v) * pairs, indexer = 2.0 * t * g * e * blocks;
    double weights = (h * n * d + h * 2.0 * k * d + n * v * h + h * g * e) * s->gemm_bytes;
    double bytes = weights + batch * k * kept * (d + v) * s->kv_bytes + batch * blocks * g * e +
                   t * n * d * s->fmha_bytes * 2.0;
    return (sparse_times){(gemm / s->gemm_flops + indexer / s->fp8_flops + attention / s->attn_flops) *
                              1000.0,
                          bytes / s->mem_bw * 1000.0};
}

static double table_sol(const void *sol, const double *c) {
    const msa_sol *s = sol;
    return sparse_slower(s->decode ? sol_at(s, c[0], 0.0, c[2], c[1]) : sol_at(s, c[0], c[1], c[2], c[3]));
}

static sparse_times sol_of_shape(const msa_sol *s, const op_shape *shape) {
    return sol_at(s, s->p->num_heads, shape->prefix, shape->s, shape->batch);
}

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Decode steps are not told apart by the mode of their attention. */
static bool admit_step_trtllm(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    row->cat[DSA_MLA] = 0;
    return dsa_admit_trtllm(view, schema, row);
}

static bool admit_step_flashmla(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    row->cat[DSA_MLA] = 0;
    return dsa_admit_flashmla(view, schema, row);
}

static const dsa_file context_file =
    DSA_FILE("msa_context_module_perf", dsa_admit_trtllm, dsa_admit_flashmla, 4, DSA_PREFILL_AXES);
static const dsa_file generation_file =
    DSA_FILE("msa_generation_module_perf", admit_step_trtllm, admit_step_flashmla, 3, DSA_DECODE_AXES);

static const dsa_file *file_of(const op *o) {
    return is_decode(o) ? &generation_file : &context_file;
}

typedef struct msa_state {
    msa_sol sol;
    const pdb_grid *grid;
} msa_state;

static void msa_bind(op_binder *binder, op_bound *b) {
    const msa_params *p = b->op->params;
    msa_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why;
    const dsa_rows rows = {.architecture = "MiniMaxM3ForCausalLM",
                           .mla = is_decode(b->op) ? PDB_Q_UNSET : p->fmha_quant_mode,
                           .kv = p->kv_cache_dtype,
                           .gemm = p->gemm_quant_mode};
    const pdb_slice *s = NULL;
    if (sol_of(b, &st->sol, &why) == OP_OK)
        s = dsa_slice(b, file_of(b->op), DSA_TRTLLM, &rows, PAGE, &why);
    if (!s) {
        op_bind_refuse(binder, b, &why);
        return;
    }
    st->grid = pdb_slice_grid(s);
    b->state = st;
}

/* ---- transfer from DeepSeek's sparse attention --------------------------------------------------------- */

typedef struct msa_estimate {
    msa_sol sol;
    op_bound dsa; /* asked for its measurements, in EMPIRICAL too */
} msa_estimate;

static void msa_bind_estimate(op_binder *binder, op_bound *b) {
    const msa_params *p = b->op->params;
    msa_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    op_refusal why;
    op_class cls = sol_of(b, &e->sol, &why);
    if (cls == OP_OK && !op_policy_allows(binder, OP_TIER_xop))
        cls = op_refuse_op(&why, b->op, OP_NO_EMPIRICAL,
                           "an estimate comes from %s's sparse attention, which the transfer policy forbids "
                           "(xop; docs/model/" PAGE ".md)",
                           p->dsa_architecture);
    if (cls != OP_OK) {
        op_bind_refuse_estimate(binder, b, &why);
        return;
    }
    op_binder measured = *binder;
    measured.mode = OP_SILICON;
    op_bind(&measured,
            dsa_make(binder->arena, is_decode(b->op), b->op->name, p->num_heads, p->kv_cache_dtype,
                     p->fmha_quant_mode, p->gemm_quant_mode, p->dsa_architecture),
            &e->dsa);
    b->estimate = e;
}

static op_class msa_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const msa_params *p = b->op->params;
    const msa_estimate *e = b->estimate;
    op_result sol, measured;
    bool known = op_query(&e->dsa, OP_SOL, shape, &sol, NULL) == OP_OK &&
                 op_query(&e->dsa, OP_SILICON, shape, &measured, NULL) == OP_OK;
    double util = known ? sol.latency / measured.latency * p->dsa_scale_k : 0.0;
    if (!(util > 0.0 && sol.latency > 0.0 && measured.latency > 0.0))
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "no measurement of %s's sparse attention to transfer from (docs/model/" PAGE
                            ".md)",
                            p->dsa_architecture);
    *out = op_estimated(sparse_slower(sol_of_shape(&e->sol, shape)) / util, OP_TIER_xop);
    out->from = measured.from;
    return OP_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Latency alone: the table's power is not that of this block. */
static op_class msa_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const msa_params *p = b->op->params;
    const msa_state *st = b->state;
    const double prefill[4] = {p->num_heads, shape->prefix, shape->s, shape->batch},
                 step[3] = {p->num_heads, shape->batch, shape->s};
    pdb_value v;
    pdb_miss miss = pdb_grid_query(st->grid, is_decode(b->op) ? step : prefill, -1, table_sol, &st->sol, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "%lu heads", (unsigned long)p->num_heads);
        return op_refuse_miss(why, b, &file_of(b->op)->bucket[DSA_TRTLLM], miss, about, PAGE);
    }
    *out = op_measured(&v);
    out->energy = 0.0;
    return OP_OK;
}

static op_class msa_sol_answer(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    msa_sol s;
    op_class cls = sol_of(b, &s, why);
    if (cls != OP_OK)
        return cls;
    sparse_times t = sol_of_shape(&s, shape);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

static op_class msa_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    static const op_paths paths = {.silicon = msa_silicon, .empirical = msa_empirical, .sol = msa_sol_answer};
    return op_by_mode(&paths, b, mode, shape, out, why);
}

/* ---- the kinds ----------------------------------------------------------------------------------------- */

static bool msa_check(const op *o, aic_error *err) {
    const msa_params *p = o->params;
    return p->block_size > 0 ||
           aic_fail(err, AIC_BAD_INPUT, "%s \"%s\": block_size must be positive", o->desc->kind, o->name);
}

static const op_field fields[] = {
    OP_U32(msa_params, num_heads),
    OP_U32(msa_params, num_kv_heads),
    OP_U32(msa_params, hidden_size),
    OP_U32(msa_params, head_dim),
    OP_U32(msa_params, v_head_dim),
    OP_U32(msa_params, index_n_heads),
    OP_U32(msa_params, index_head_dim),
    OP_U32(msa_params, index_topk),
    OP_U32(msa_params, block_size),
    OP_QUANT(msa_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(msa_params, fmha_quant_mode, PDB_FMHA),
    OP_QUANT(msa_params, gemm_quant_mode, PDB_GEMM),
    OP_TEXT(msa_params, dsa_architecture),
    OP_F64(msa_params, dsa_scale_k),
};

static const pdb_schema *const context_schemas[] = {&context_file.bucket[DSA_TRTLLM],
                                                    &context_file.bucket[DSA_FLASHMLA], NULL},
                               *const generation_schemas[] = {&generation_file.bucket[DSA_TRTLLM],
                                                              &generation_file.bucket[DSA_FLASHMLA], NULL};

const op_desc op_desc_msa_context = {.kind = "MsaContext",
                                     .summary = "prefill of a block-sparse attention block (MiniMax-M3)",
                                     .params_size = sizeof(msa_params),
                                     .fields = fields,
                                     .n_fields = OP_COUNT(fields),
                                     .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                     .schemas = context_schemas,
                                     .check = msa_check,
                                     .bind = msa_bind,
                                     .bind_estimate = msa_bind_estimate,
                                     .query = msa_query};

const op_desc op_desc_msa_generation = {.kind = "MsaGeneration",
                                        .summary = "decode step of a block-sparse attention block",
                                        .params_size = sizeof(msa_params),
                                        .fields = fields,
                                        .n_fields = OP_COUNT(fields),
                                        .reads = OP_READS_BATCH | OP_READS_S,
                                        .schemas = generation_schemas,
                                        .check = msa_check,
                                        .bind = msa_bind,
                                        .bind_estimate = msa_bind_estimate,
                                        .query = msa_query};
