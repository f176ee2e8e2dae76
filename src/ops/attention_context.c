/* ContextAttention: prefill attention with the small kernels around it (docs/model/attention.md). */
#include "ops/attention_internal.h"

#include <stdio.h>

typedef struct context_params {
    uint32_t n, n_kv, head_size, window_size;
    pdb_quant kv_cache_dtype, fmha_quant_mode;
    bool use_qk_norm;
    uint32_t cp_size;
    op_texts lane_order;
} context_params;

typedef struct context_state {
    const pdb_grid *grid;
    attention_sol sol; /* of the slice */
    op_result extras;  /* the kernels around it: the same for every shape */
} context_state;

static attention_sol op_geometry(const op_bound *b) {
    const context_params *p = b->op->params;
    return (attention_sol){.kv_key = attention_kv_key(p->n, p->n_kv),
                           .head_size = p->head_size,
                           .window = p->window_size,
                           .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                           .flops = pdb_flops(b->system, p->fmha_quant_mode),
                           .mem_bw = b->system->mem_bw};
}

/* Rotary embedding, quantisation and, where the model has them, the norms of Q and K: one row's bytes,
 * whatever the shape. */
static op_result fused_extras(const op_bound *b, op_mode mode) {
    const context_params *p = b->op->params;
    double q = (double)((uint64_t)p->n * p->head_size), k = (double)((uint64_t)p->n_kv * p->head_size);
    op_result sum = op_seed();
    if (p->use_qk_norm) {
        op_result norm_q = op_mem(b->system, mode, 2.0 * q), norm_k = op_mem(b->system, mode, 2.0 * k);
        op_scale(&norm_q, 2.0);
        op_scale(&norm_k, 2.0);
        op_result norms = op_plus(&norm_q, &norm_k);
        op_scale(&norms, 2.0);
        sum = op_plus(&sum, &norms);
    }
    double cached = k * pdb_quant_get(p->fmha_quant_mode)->bytes;
    op_result rope = op_mem(b->system, mode, 2.0 * q + 2.0 * k), store = op_mem(b->system, mode, cached);
    op_scale(&rope, 2.0);
    op_result stores = op_plus(&store, &store);
    op_result rest = op_plus(&rope, &stores);
    sum = op_plus(&sum, &rest);
    op_scale(&sum, 1.1);
    return sum;
}

/* Less the lane; the table is loaded, so that its texts are known. */
static op_key key_of(const op_bound *b) {
    const context_params *p = b->op->params;
    op_key key = {0};
    op_key_int(&key, 0);
    op_key_text(&key, b->view, pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    op_key_int(&key, attention_kv_key(p->n, p->n_kv));
    op_key_int(&key, p->head_size);
    op_key_int(&key, p->window_size);
    return key;
}

static void context_bind(op_binder *binder, op_bound *b) {
    const context_params *p = b->op->params;
    context_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    st->sol = op_geometry(b);
    if (!(st->sol.flops > 0.0)) {
        op_refusal why;
        op_refuse_flops(&why, b->op, b->system, p->fmha_quant_mode);
        op_bind_refuse(binder, b, &why);
        return;
    }
    const pdb_table *t = op_bind_table(binder, b, &attention_context_schema, ATTENTION_PAGE);
    if (!t)
        return;
    op_key key = key_of(b);
    const pdb_slice *s = attention_slice(binder, b, &attention_context_schema, t, &p->lane_order, &key);
    if (!s)
        return;
    st->grid = pdb_slice_grid(s);
    st->extras = fused_extras(b, OP_SILICON);
    b->state = st;
}

typedef struct context_estimate {
    attention_sol sol; /* of the op */
    attention_basis basis;
} context_estimate;

static void context_bind_estimate(op_binder *binder, op_bound *b) {
    const context_params *p = b->op->params;
    context_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    op_refusal why;
    e->sol = op_geometry(b);
    op_class cls = OP_OK;
    if (!(e->sol.flops > 0.0)) {
        cls = op_refuse_flops(&why, b->op, b->system, p->fmha_quant_mode);
    } else {
        const pdb_table *t = pdb_table_get(b->view, &attention_context_schema, NULL);
        attention_wanted w = {.schema = &attention_context_schema,
                              .table = t,
                              .lane_order = &p->lane_order,
                              .key = key_of(b),
                              .sol = e->sol,
                              .table_sol = attention_context_table_sol,
                              .head_levels = true};
        cls = attention_calibrate(binder, b, &w, &e->basis, &why);
    }
    if (cls != OP_OK)
        op_bind_refuse_estimate(binder, b, &why);
    b->estimate = e;
}

/* ---- one chunk: shape->s new tokens behind shape->prefix ----------------------------------------------- */

static op_class chunk_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const context_params *p = b->op->params;
    const context_state *st = b->state;
    double full = (double)((uint64_t)shape->s + shape->prefix);
    double c[3] = {p->n, full, shape->batch};
    pdb_value v;
    pdb_miss miss = pdb_grid_query(st->grid, c, 1, attention_context_table_sol, &st->sol, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "%lu heads", (unsigned long)p->n);
        return op_refuse_miss(why, b, &attention_context_schema, miss, about, ATTENTION_PAGE);
    }
    *out = op_measured(&v);
    op_scale(out, attention_prefix_correction(full, shape->prefix));
    return OP_OK;
}

/* The cached tokens are in the speed of light here. */
static op_class chunk_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const context_params *p = b->op->params;
    const context_estimate *e = b->estimate;
    double c[3] = {p->n, (double)((uint64_t)shape->s + shape->prefix), shape->batch};
    attention_times t = attention_context_sol(&e->sol, p->n, p->n_kv, shape->s, shape->prefix, shape->batch);
    return op_estimate(b, e->basis.util, c, op_max(t.math, t.mem), e->basis.scale, e->basis.tier, out, why);
}

static op_class chunk_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const context_params *p = b->op->params;
    attention_sol a = op_geometry(b);
    if (!(a.flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, p->fmha_quant_mode);
    attention_times t = attention_context_sol(&a, p->n, p->n_kv, shape->s, shape->prefix, shape->batch);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

/* ---- the whole op -------------------------------------------------------------------------------------- */

static op_class context_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                              op_refusal *why) {
    static const op_paths paths = {.silicon = chunk_silicon, .empirical = chunk_empirical, .sol = chunk_sol};
    const context_params *p = b->op->params;
    op_class cls = attention_split(&paths, b, mode, p->cp_size, shape, out, why);
    if (cls != OP_OK)
        return cls;
    const context_state *st = mode == OP_SOL ? NULL : b->state;
    op_result extras = st ? st->extras : fused_extras(b, mode);
    *out = op_plus(out, &extras);
    if (shape->imbalance != 1.0)
        op_scale(out, shape->imbalance);
    return OP_OK;
}

static const op_field context_fields[] = {
    OP_U32(context_params, n),
    OP_U32(context_params, n_kv),
    OP_U32(context_params, head_size),
    OP_U32(context_params, window_size),
    OP_QUANT(context_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(context_params, fmha_quant_mode, PDB_FMHA),
    OP_BOOL(context_params, use_qk_norm),
    OP_U32_OR(context_params, cp_size, 1),
    OP_TEXTS_OR(context_params, lane_order, "default"),
};

static const pdb_schema *const context_schemas[] = {&attention_context_schema, NULL};

const op_desc op_desc_context_attention = {.kind = "ContextAttention",
                                           .summary = "attention of a prefill over new and cached tokens",
                                           .params_size = sizeof(context_params),
                                           .fields = context_fields,
                                           .n_fields = OP_COUNT(context_fields),
                                           .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                           .schemas = context_schemas,
                                           .bind = context_bind,
                                           .bind_estimate = context_bind_estimate,
                                           .query = context_query};
