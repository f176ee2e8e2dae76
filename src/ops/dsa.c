/* DsaContext, DsaGeneration: a DeepSeek-sparse-attention block of one layer (docs/model/dsa.md). */
#include "ops/dsa_internal.h"

#include <stdio.h>

static bool is_decode(const op *o) {
    return o->desc == &op_desc_dsa_generation;
}

static const dsa_file *file_of(const op *o) {
    return is_decode(o) ? &dsa_generation_file : &dsa_context_file;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

/* Calibrations are made for EMPIRICAL alone: a slice that HYBRID has answers itself, or has no usable row. */
static void bind_samples(op_binder *binder, dsa_half *h) {
    const dsa_params *p = h->b.op->params;
    const sparse_sampling from = {.grid = h->grid,
                                  .has_heads = true,
                                  .heads = p->num_heads,
                                  .sol = dsa_table_sol,
                                  .sol_ctx = &h->sol,
                                  .sol_size = sizeof h->sol};
    if (is_decode(h->b.op))
        h->steps = sparse_decode_samples(binder, &from);
    else
        h->prefill = sparse_prefill_samples(binder, &from);
}

static void refuse_half(op_binder *binder, dsa_half *h, const op_refusal *why) {
    op_bind_refuse(binder, &h->b, why);
    sparse_bind_refuse_estimate(binder, &h->b, why);
}

static void bind_half(op_binder *binder, const op_bound *b, bool skip, dsa_half *h) {
    const dsa_params *p = b->op->params;
    op_refusal why;
    h->b = *b;
    h->b.state = h->b.estimate = h;
    if (dsa_sol_of(b, skip, &h->sol, &why) != OP_OK) {
        refuse_half(binder, h, &why);
        return;
    }
    if (binder->mode == OP_SOL) {
        op_refuse_op(&why, b->op, OP_INVALID, "bound for the SOL mode only");
        op_bind_refuse(binder, &h->b, &why);
        return;
    }
    const dsa_rows rows = {.architecture = p->architecture,
                           .mla = p->fmha_quant_mode,
                           .kv = p->kv_cache_dtype,
                           .gemm = p->gemm_quant_mode,
                           .skip = skip};
    bool parallel = !is_decode(b->op) && p->cp_size > 1;
    const pdb_slice *s =
        dsa_slice(b, file_of(b->op), parallel ? DSA_FLASHMLA : DSA_TRTLLM, &rows, DSA_PAGE, &why);
    if (!s) {
        refuse_half(binder, h, &why);
        return;
    }
    h->grid = pdb_slice_grid(s);
    if (binder->mode == OP_EMPIRICAL)
        bind_samples(binder, h);
}

static void inherit_refusal(op_bound *b, const op_bound *half) {
    if (b->refused == OP_OK) {
        b->refused = half->refused;
        b->reason = half->reason;
    }
}

/* A file without any row that skips the indexer prices every layer in full. */
static double share_of(const op_binder *binder, const op_bound *b) {
    const dsa_params *p = b->op->params;
    bool apart = p->full_frac < 1.0 && (binder->mode == OP_SOL || dsa_skips(b->view, file_of(b->op)));
    return apart ? p->full_frac : 1.0;
}

static void dsa_bind(op_binder *binder, op_bound *b) {
    const dsa_params *p = b->op->params;
    dsa_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const op_bound plain = *b;
    st->share = share_of(binder, b);
    if (!is_decode(b->op) && p->cp_size > 1)
        st->parallel = dsa_bind_parallel(binder, b);
    bind_half(binder, &plain, false, &st->full);
    inherit_refusal(b, &st->full.b);
    if (st->share < 1.0) {
        bind_half(binder, &plain, true, &st->skip);
        inherit_refusal(b, &st->skip.b);
    }
    b->state = st;
}

/* ---- answers of a half --------------------------------------------------------------------------------- */

static op_class half_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const dsa_params *p = b->op->params;
    const dsa_half *h = b->state;
    const double prefill[4] = {p->num_heads, shape->prefix, shape->s, shape->batch},
                 step[3] = {p->num_heads, shape->batch, shape->s};
    pdb_value v;
    pdb_miss miss =
        pdb_grid_query(h->grid, is_decode(b->op) ? step : prefill, -1, dsa_table_sol, &h->sol, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "%lu heads", (unsigned long)p->num_heads);
        return op_refuse_miss(why, b, &file_of(b->op)->bucket[DSA_TRTLLM], miss, about, DSA_PAGE);
    }
    *out = op_measured(&v);
    return OP_OK;
}

static sparse_times half_times(const dsa_sol *s, const op_bound *b, const op_shape *shape) {
    const dsa_params *p = b->op->params;
    return dsa_sol_at(s, p->num_heads, shape->prefix, shape->s, shape->batch);
}

static op_class half_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const dsa_params *p = b->op->params;
    const dsa_half *h = b->estimate;
    double sol = sparse_slower(half_times(&h->sol, b, shape));
    return is_decode(b->op)
               ? sparse_decode_estimate(b, h->steps, p->num_heads, shape, sol, out, why)
               : sparse_prefill_estimate(b, h->prefill, true, p->num_heads, shape, sol, out, why);
}

static op_class half_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const dsa_half *h = b->state;
    if (b->refused == OP_NO_FLOPS)
        return op_refuse(why, b->refused, "%s", b->reason);
    sparse_times t = half_times(&h->sol, b, shape);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

const op_paths dsa_paths = {.silicon = half_silicon, .empirical = half_empirical, .sol = half_sol};

/* ---- the op -------------------------------------------------------------------------------------------- */

/* w of one answer and the rest of the other. */
static op_result blend(double w, op_result full, op_result skip) {
    op_source source = full.source == skip.source ? full.source : OP_SRC_mixed;
    op_tier tier = full.tier > skip.tier ? full.tier : skip.tier;
    op_scale(&full, w);
    op_scale(&skip, 1.0 - w);
    for (int i = 0; i < OP_COVERS; i++)
        full.cover[i] += skip.cover[i];
    full.latency += skip.latency;
    full.energy += skip.energy;
    full.sol_math += skip.sol_math;
    full.sol_mem += skip.sol_mem;
    full.has_sol = full.has_sol && skip.has_sol;
    full.source = source;
    full.tier = tier;
    full.from |= skip.from;
    return full;
}

static op_class dsa_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    const dsa_state *st = b->state;
    if (st->parallel)
        return dsa_parallel_query(b, mode, shape, out, why);
    op_class cls = op_by_mode(&dsa_paths, &st->full.b, mode, shape, out, why);
    if (cls == OP_OK && st->share < 1.0) {
        op_result skip;
        cls = op_by_mode(&dsa_paths, &st->skip.b, mode, shape, &skip, why);
        if (cls == OP_OK)
            *out = blend(st->share, *out, skip);
    }
    if (cls == OP_OK)
        op_clamp(out);
    return cls;
}

/* ---- the kinds ----------------------------------------------------------------------------------------- */

static const char *const projections[] = {
#define PROJECTION_NAME(name) #name,
    DSA_PROJECTIONS(PROJECTION_NAME)
#undef PROJECTION_NAME
        NULL};

static const op_field fields[] = {
    OP_U32(dsa_params, num_heads),
    OP_QUANT(dsa_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(dsa_params, fmha_quant_mode, PDB_FMHA),
    OP_QUANT(dsa_params, gemm_quant_mode, PDB_GEMM),
    OP_TEXT(dsa_params, architecture),
    OP_U32(dsa_params, index_topk),
    OP_U32_OR(dsa_params, cp_size, 1),
    OP_F64_OR(dsa_params, full_frac, 1.0),
    OP_QUANTS_OR_NULL(dsa_params, attn_projection_quant_modes, PDB_GEMM, projections),
};

static const pdb_schema *const context_schemas[] = {&dsa_context_file.bucket[DSA_TRTLLM],
                                                    &dsa_context_file.bucket[DSA_FLASHMLA],
                                                    &dsa_v32_logits,
                                                    &dsa_v32_topk,
                                                    &dsa_glm_logits,
                                                    &dsa_glm_topk,
                                                    NULL},
                               *const generation_schemas[] = {&dsa_generation_file.bucket[DSA_TRTLLM],
                                                              &dsa_generation_file.bucket[DSA_FLASHMLA],
                                                              NULL};

const op_desc op_desc_dsa_context = {.kind = "DsaContext",
                                     .summary = "prefill of a sparse-attention block (DeepSeek-V3.2, GLM-5)",
                                     .params_size = sizeof(dsa_params),
                                     .fields = fields,
                                     .n_fields = OP_COUNT(fields),
                                     .holds_ops = true,
                                     .unclamped = true,
                                     .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                     .schemas = context_schemas,
                                     .bind = dsa_bind,
                                     .query = dsa_query,
                                     .weight_bytes = dsa_weights};

const op_desc op_desc_dsa_generation = {.kind = "DsaGeneration",
                                        .summary = "decode step of a sparse-attention block",
                                        .params_size = sizeof(dsa_params),
                                        .fields = fields,
                                        .n_fields = OP_COUNT(fields),
                                        .holds_ops = true,
                                        .unclamped = true,
                                        .reads = OP_READS_BATCH | OP_READS_S,
                                        .schemas = generation_schemas,
                                        .bind = dsa_bind,
                                        .query = dsa_query,
                                        .weight_bytes = dsa_weights};

op *dsa_make(aic_arena *a, bool decode, const char *name, uint32_t heads, pdb_quant kv, pdb_quant fmha,
             pdb_quant gemm, const char *architecture) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    dsa_params *p = aic_arena_alloc(a, 1, sizeof *p);
    *p = (dsa_params){.num_heads = heads,
                      .kv_cache_dtype = kv,
                      .fmha_quant_mode = fmha,
                      .gemm_quant_mode = gemm,
                      .architecture = architecture,
                      .index_topk = (uint32_t)dsa_dims_of(architecture)->topk,
                      .cp_size = 1,
                      .full_frac = 1.0};
    *o = (op){.desc = decode ? &op_desc_dsa_generation : &op_desc_dsa_context,
              .name = name,
              .repeat = 1.0,
              .params = p};
    return o;
}
