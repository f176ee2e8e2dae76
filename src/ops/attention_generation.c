/* GenerationAttention: one decode step over the KV cache (docs/model/attention.md). */
#include "ops/attention_internal.h"

#include <stdio.h>

typedef struct generation_params {
    uint32_t n, n_kv, head_size, window_size;
    pdb_quant kv_cache_dtype;
    op_texts lane_order;
} generation_params;

typedef struct generation_state {
    const pdb_grid *grid;
    attention_sol sol; /* of the slice */
} generation_state;

static attention_sol op_geometry(const op_bound *b) {
    const generation_params *p = b->op->params;
    return (attention_sol){.kv_key = attention_kv_key(p->n, p->n_kv),
                           .head_size = p->head_size,
                           .window = p->window_size,
                           .kv_bytes = pdb_quant_get(p->kv_cache_dtype)->bytes,
                           .flops = pdb_flops(b->system, attention_decode_mode(b->system, p->kv_cache_dtype)),
                           .mem_bw = b->system->mem_bw};
}

/* Less the lane; the table is loaded, so that its texts are known. */
static op_key key_of(const op_bound *b) {
    const generation_params *p = b->op->params;
    op_key key = {0};
    op_key_int(&key, 0);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    op_key_int(&key, attention_kv_key(p->n, p->n_kv));
    op_key_int(&key, p->head_size);
    op_key_int(&key, p->window_size);
    return key;
}

static void generation_bind(op_binder *binder, op_bound *b) {
    const generation_params *p = b->op->params;
    generation_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    st->sol = op_geometry(b);
    if (!(st->sol.flops > 0.0)) {
        op_refusal why;
        op_refuse_flops(&why, b->op, b->system, attention_decode_mode(b->system, p->kv_cache_dtype));
        op_bind_refuse(binder, b, &why);
        return;
    }
    const pdb_table *t = op_bind_table(binder, b, &attention_generation_schema, ATTENTION_PAGE);
    if (!t)
        return;
    op_key key = key_of(b);
    const pdb_slice *s = attention_slice(binder, b, &attention_generation_schema, t, &p->lane_order, &key);
    if (!s)
        return;
    st->grid = pdb_slice_grid(s);
    b->state = st;
}

typedef struct generation_estimate {
    attention_sol sol; /* of the op */
    attention_basis basis;
} generation_estimate;

static void generation_bind_estimate(op_binder *binder, op_bound *b) {
    const generation_params *p = b->op->params;
    generation_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    op_refusal why;
    e->sol = op_geometry(b);
    op_class cls = OP_OK;
    if (!(e->sol.flops > 0.0)) {
        cls = op_refuse_flops(&why, b->op, b->system, attention_decode_mode(b->system, p->kv_cache_dtype));
    } else {
        const pdb_table *t = pdb_table_get(b->view, &attention_generation_schema, NULL);
        attention_wanted w = {.schema = &attention_generation_schema,
                              .table = t,
                              .lane_order = &p->lane_order,
                              .key = key_of(b),
                              .sol = e->sol,
                              .table_sol = attention_generation_table_sol,
                              .head_levels = false};
        cls = attention_calibrate(binder, b, &w, &e->basis, &why);
    }
    if (cls != OP_OK)
        op_bind_refuse_estimate(binder, b, &why);
    b->estimate = e;
}

/* The mean over the samples, added up in their order. */
static op_class generation_silicon(const op_bound *b, const op_shape *shape, op_result *out,
                                   op_refusal *why) {
    const generation_params *p = b->op->params;
    const generation_state *st = b->state;
    double c[3] = {p->n, shape->batch};
    *out = (op_result){.source = OP_SRC_silicon};
    for (int k = 0; k < OP_SAMPLES; k++) {
        pdb_value v;
        c[2] = op_sample_length(shape->s, k);
        pdb_miss miss = pdb_grid_query(st->grid, c, -1, attention_generation_table_sol, &st->sol, &v);
        if (miss != PDB_HIT) {
            char about[32];
            snprintf(about, sizeof about, "%lu heads", (unsigned long)p->n);
            return op_refuse_miss(why, b, &attention_generation_schema, miss, about, ATTENTION_PAGE);
        }
        out->latency += v.latency;
        out->energy += v.energy;
        out->cover[op_cover_of(v.how)] += v.latency;
        out->from |= v.from;
    }
    out->latency /= OP_SAMPLES;
    out->energy /= OP_SAMPLES;
    for (int c = 0; c < OP_COVERS; c++)
        out->cover[c] /= OP_SAMPLES;
    return OP_OK;
}

static bool generation_fan(const op_bound *b, op_fan_source *out) {
    const generation_params *p = b->op->params;
    const generation_state *st = b->state;
    *out = (op_fan_source){.grid = st->grid,
                           .coords = {p->n},
                           .sol = attention_generation_table_sol,
                           .ctx = &st->sol,
                           .spread = true,
                           .imbalance = true};
    return true;
}

static attention_times times_of(const generation_params *p, const attention_sol *a, const op_shape *shape) {
    return attention_generation_sol(a, p->n, p->n_kv ? p->n_kv : p->n, shape->batch, shape->s);
}

/* One length: the speed of light has no steps. */
static op_class generation_empirical(const op_bound *b, const op_shape *shape, op_result *out,
                                     op_refusal *why) {
    const generation_params *p = b->op->params;
    const generation_estimate *e = b->estimate;
    double c[3] = {p->n, shape->batch, shape->s};
    attention_times t = times_of(p, &e->sol, shape);
    return op_estimate(b, e->basis.util, c, op_max(t.math, t.mem), e->basis.scale, e->basis.tier, out, why);
}

static op_class generation_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const generation_params *p = b->op->params;
    attention_sol a = op_geometry(b);
    if (!(a.flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, attention_decode_mode(b->system, p->kv_cache_dtype));
    attention_times t = times_of(p, &a, shape);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

static op_class generation_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                                 op_refusal *why) {
    static const op_paths paths = {
        .silicon = generation_silicon, .empirical = generation_empirical, .sol = generation_sol};
    op_class cls = op_by_mode(&paths, b, mode, shape, out, why);
    if (cls == OP_OK && shape->imbalance != 1.0)
        op_scale(out, shape->imbalance);
    return cls;
}

static const op_field generation_fields[] = {
    OP_U32(generation_params, n),
    OP_U32(generation_params, n_kv),
    OP_U32(generation_params, head_size),
    OP_U32(generation_params, window_size),
    OP_QUANT(generation_params, kv_cache_dtype, PDB_KV),
    OP_TEXTS_OR(generation_params, lane_order, "default"),
};

static const pdb_schema *const generation_schemas[] = {&attention_generation_schema, NULL};

const op_desc op_desc_generation_attention = {.kind = "GenerationAttention",
                                              .summary = "attention of one decode step over the KV cache",
                                              .params_size = sizeof(generation_params),
                                              .fields = generation_fields,
                                              .n_fields = OP_COUNT(generation_fields),
                                              .reads = OP_READS_BATCH | OP_READS_S,
                                              .schemas = generation_schemas,
                                              .bind = generation_bind,
                                              .bind_estimate = generation_bind_estimate,
                                              .query = generation_query,
                                              .fan = generation_fan};
