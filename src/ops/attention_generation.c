/* GenerationAttention: one decode step over the KV cache (docs/model/attention.md). */
#include "ops/attention_internal.h"

#include <stdio.h>
#include <string.h>

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

/* KV lengths that stand for one: measured decode times step with the length. */
enum { SAMPLES = 5 };

/* The lengths of n shapes from 0.9 s to 1.1 s, those of one sample side by side. All of them fit an int64_t,
 * which the processor converts faster than unsigned numbers. */
static void spread(const uint32_t *s, size_t n, double *restrict lengths) {
    for (size_t i = 0; i < n; i++) {
        int64_t from = (int64_t)((double)s[i] * 0.9), to = (int64_t)((double)s[i] * 1.1);
        from = from > 1 ? from : 1;
        to = to > from ? to : from;
        for (int64_t k = 0; k < SAMPLES; k++)
            lengths[(size_t)k * n + i] = (double)(from + (to - from) * k / (SAMPLES - 1));
    }
}

/* What the samples of n shapes say, those of one sample side by side. */
typedef struct samples {
    double latency[SAMPLES * OP_RUN_MAX], energy[SAMPLES * OP_RUN_MAX];
    uint8_t how[SAMPLES * OP_RUN_MAX];
    pdb_origins from[SAMPLES * OP_RUN_MAX];
} samples;

/* A column's means: samples added up in their order, from 0 on. */
static void mean(const double *v, size_t n, double *restrict out) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < SAMPLES; k++)
            sum += v[k * n + i];
        out[i] = sum / SAMPLES;
    }
}

/* Shares of the means by evidence. Mostly all samples were found alike, and then one share is the whole. */
static void shares(const samples *v, size_t n, op_columns *out) {
    memset(out->cover, 0, sizeof out->cover);
    bool alike = true;
    for (size_t i = 1; i < SAMPLES * n; i++)
        alike = alike && v->how[i] == v->how[0];
    if (alike) {
        memcpy(out->cover[op_cover_of(v->how[0])], out->latency, n * sizeof(double));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double sum[OP_COVERS] = {0};
        for (size_t k = 0; k < SAMPLES; k++)
            sum[op_cover_of(v->how[k * n + i])] += v->latency[k * n + i];
        for (int c = 0; c < OP_COVERS; c++)
            out->cover[c][i] = sum[c] / SAMPLES;
    }
}

/* Means over the samples of at most OP_RUN_MAX shapes. */
static pdb_miss means(const op_bound *b, uint32_t batch, const uint32_t *s, size_t n, op_columns *out) {
    const generation_params *p = b->op->params;
    const generation_state *st = b->state;
    double c[3] = {p->n, batch}, lengths[SAMPLES * OP_RUN_MAX];
    samples v;
    pdb_values columns = {v.latency, v.energy, v.how, v.from};
    if (n == 0 || n > OP_RUN_MAX)
        return PDB_MISS_EMPTY;
    spread(s, n, lengths);
    pdb_miss miss = pdb_grid_query_last(st->grid, c, lengths, SAMPLES * n, -1, attention_generation_table_sol,
                                        &st->sol, &columns);
    if (miss != PDB_HIT)
        return miss;
    mean(v.latency, n, out->latency);
    mean(v.energy, n, out->energy);
    shares(&v, n, out);
    memcpy(out->from, v.from, n * sizeof *v.from);
    for (size_t k = 1; k < SAMPLES; k++)
        for (size_t i = 0; i < n; i++)
            out->from[i] |= v.from[k * n + i];
    return PDB_HIT;
}

static op_class generation_silicon(const op_bound *b, const op_shape *shape, op_result *out,
                                   op_refusal *why) {
    const generation_params *p = b->op->params;
    op_columns one;
    pdb_miss miss = means(b, shape->batch, &shape->s, 1, &one);
    if (miss == PDB_HIT) {
        *out = (op_result){.latency = one.latency[0],
                           .energy = one.energy[0],
                           .source = OP_SRC_silicon,
                           .from = one.from[0]};
        for (int c = 0; c < OP_COVERS; c++)
            out->cover[c] = one.cover[c][0];
        return OP_OK;
    }
    char about[32];
    snprintf(about, sizeof about, "%lu heads", (unsigned long)p->n);
    return op_refuse_miss(why, b, &attention_generation_schema, miss, about, ATTENTION_PAGE);
}

static bool generation_run(const op_bound *b, const op_shape *shape, const uint32_t *s, size_t n,
                           op_columns *out) {
    if (means(b, shape->batch, s, n, out) != PDB_HIT)
        return false;
    for (size_t i = 0; i < n && shape->imbalance != 1.0; i++) {
        out->latency[i] *= shape->imbalance;
        out->energy[i] *= shape->imbalance;
        for (int c = 0; c < OP_COVERS; c++)
            out->cover[c][i] *= shape->imbalance;
    }
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
                                              .run = generation_run};
