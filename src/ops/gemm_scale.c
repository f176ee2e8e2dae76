/* Quantisation kernels that static fp8 GEMMs do without, measured or estimated (docs/model/gemm.md). */
#include "ops/gemm_internal.h"

#include <stdio.h>

struct gemm_kernel {
    const pdb_schema *schema;
    double passes; /* bytes moved per element */
    bool stretch;  /* beyond the measured range: by bytes; else flat */
    bool delta;    /* estimated as a difference: 0 is a measurement */
};

#define SCALE_SCHEMA(name)                                                                                   \
    {                                                                                                        \
        .table = (name), .cats = {{.column = "quant_dtype", .text = true}}, .n_cats = 1,                     \
        .axes = {{.column = "m"}, {.column = "k"}}, .n_axes = 2                                              \
    }
const pdb_schema gemm_compute_schema = SCALE_SCHEMA("computescale_perf");
const pdb_schema gemm_matrix_schema = SCALE_SCHEMA("scale_matrix_perf");

const gemm_kernel gemm_compute_scale = {.schema = &gemm_compute_schema, .passes = 2.0, .delta = true};
const gemm_kernel gemm_scale_matrix = {.schema = &gemm_matrix_schema, .passes = 3.0, .stretch = true};

typedef struct scale_price {
    double passes, mem_bw; /* bytes per element; byte/s */
} scale_price;

struct gemm_scale {
    const gemm_kernel *kernel;
    scale_price price;
    const pdb_grid *grid;   /* table answers; NULL: reason says why there is none */
    double low[2], high[2]; /* measured range of m and k */
    const pdb_delta *delta; /* calibration, of one kind or the other */
    const pdb_util *util;
    const char *reason;
};

/* c = (m, k) */
static double scale_sol(const void *price, const double *c) {
    const scale_price *p = price;
    return p->passes * c[0] * c[1] / p->mem_bw * 1000.0;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static void set_range(gemm_scale *s) {
    const pdb_grid *g = s->grid;
    s->low[0] = (double)g->keys[0][0];
    s->high[0] = (double)g->keys[0][g->n[0] - 1];
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < g->n[0]; i++) { /* keys ascend within each m */
        uint64_t first = g->keys[1][g->first[0][i]], last = g->keys[1][g->first[0][i + 1] - 1];
        low = first < low ? first : low;
        high = last > high ? last : high;
    }
    s->low[1] = (double)low;
    s->high[1] = (double)high;
}

gemm_scale *gemm_scale_bind(op_binder *binder, const op_bound *b, const gemm_kernel *kernel, bool estimate) {
    gemm_scale *s = aic_arena_alloc(binder->arena, 1, sizeof *s);
    *s = (gemm_scale){.kernel = kernel, .price = {kernel->passes, b->system->mem_bw}};
    op_refusal why;
    const pdb_slice *slice = gemm_slice(b, kernel->schema, "fp8", &why);
    if (!slice) {
        s->reason = aic_arena_strdup(binder->arena, why.text);
    } else if (!estimate) {
        s->grid = pdb_slice_grid(slice);
        set_range(s);
    } else if (kernel->delta) {
        s->delta = op_delta_of_view(binder, pdb_slice_grid(slice));
    } else {
        s->util = op_util_of_view(binder, pdb_slice_grid(slice), scale_sol, &s->price, sizeof s->price);
    }
    return s;
}

const char *gemm_scale_missing(const gemm_scale *s) {
    return s->reason;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static op_class measure(const op_bound *b, const gemm_scale *s, double m, double k, gemm_part *out,
                        op_refusal *why) {
    if (!s->grid)
        return op_refuse(why, OP_MISSING, "%s", s->reason);
    double want[2] = {m, k}, at[2];
    for (int i = 0; i < 2; i++)
        at[i] = want[i] < s->low[i] ? s->low[i] : want[i] > s->high[i] ? s->high[i] : want[i];
    pdb_value v;
    pdb_miss miss = pdb_grid_query(s->grid, at, -1, scale_sol, &s->price, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "k=%.0f", k);
        return op_refuse_miss(why, b, s->kernel->schema, miss, about, GEMM_PAGE);
    }
    *out = (gemm_part){.latency = v.latency, .energy = v.energy, .cover = op_cover_of(v.how), .from = v.from};
    if (at[0] == m && at[1] == k)
        return OP_OK;
    out->cover = OP_EXTRAPOLATED;
    double wanted = scale_sol(&s->price, want), held = scale_sol(&s->price, at);
    if (s->kernel->stretch && wanted > 0.0 && held > 0.0) {
        out->latency *= wanted / held;
        out->energy *= wanted / held;
    }
    return OP_OK;
}

static op_class estimate(const op_bound *b, const gemm_scale *s, double m, double k, gemm_part *out,
                         op_refusal *why) {
    double at[2] = {m, k};
    op_result r = {0};
    if (s->reason)
        return op_refuse(why, OP_NO_EMPIRICAL, "%s", s->reason);
    if (s->delta) {
        if (!pdb_delta_at(s->delta, at, scale_sol, &s->price, &r.latency, &r.from))
            return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                                "%s has no row to scale an estimate from (docs/model/" GEMM_PAGE ".md)",
                                s->kernel->schema->table);
    } else {
        op_class cls = op_estimate(b, s->util, at, scale_sol(&s->price, at), 1.0, OP_TIER_empirical, &r, why);
        if (cls != OP_OK)
            return cls;
    }
    *out = (gemm_part){.latency = r.latency, .cover = OP_FORMULA, .tier = OP_TIER_empirical, .from = r.from};
    return OP_OK;
}

op_class gemm_scale_query(const op_bound *b, op_mode mode, const gemm_scale *measured,
                          const gemm_scale *calibrated, double m, double k, gemm_part *out, op_refusal *why) {
    if (mode == OP_EMPIRICAL)
        return estimate(b, calibrated, m, k, out, why);
    op_class cls = measure(b, measured, m, k, out, why);
    return cls == OP_MISSING && mode == OP_HYBRID ? estimate(b, calibrated, m, k, out, why) : cls;
}
