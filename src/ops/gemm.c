/* Gemm: matrix multiplications over scattered measured shapes, fp8_static by subtraction
 * (docs/model/gemm.md). */
#include "ops/internal.h"

#include <stdio.h>

#define PAGE "gemm"

typedef struct gemm_params {
    uint32_t n, k;
    pdb_quant quant_mode;
    uint32_t scale_num_tokens;
    bool low_precision_input;
    uint32_t seq_split;
    bool below_grid_sol;
} gemm_params;

/* ---- speed of light ------------------------------------------------------------------------------------ */

typedef struct gemm_sol {
    double flops, bytes, mem_bw; /* FLOP/s, bytes per element, byte/s */
} gemm_sol;

static gemm_sol sol_of(const pdb_system *sys, pdb_quant q) {
    return (gemm_sol){pdb_flops(sys, q), pdb_quant_get(q)->bytes, sys->mem_bw};
}

static double sol_math(const gemm_sol *s, double m, double n, double k) {
    return 2.0 * m * n * k / s->flops * 1000.0;
}

static double sol_mem(const gemm_sol *s, double m, double n, double k) {
    return s->bytes * (m * n + m * k + n * k) / s->mem_bw * 1000.0;
}

/* c = (m, n, k) */
static double table_sol(const void *ctx, const double *c) {
    return op_max(sol_math(ctx, c[0], c[1], c[2]), sol_mem(ctx, c[0], c[1], c[2]));
}

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Rows never beat the speed of light; a mode without FLOPS entry stays as measured. */
static double table_floor(const pdb_view *view, const uint64_t *cat, const uint64_t *axis) {
    pdb_quant q = pdb_quant_parse(pdb_text(view, cat[0]), PDB_GEMM);
    if (q == PDB_Q_UNSET || !(pdb_flops(view->system, q) > 0.0))
        return 0.0;
    gemm_sol s = sol_of(view->system, q);
    return table_sol(&s, (double[]){(double)axis[0], (double)axis[1], (double)axis[2]});
}

static const pdb_schema gemm_schema = {.table = "gemm_perf",
                                       .cats = {{.column = "gemm_dtype", .text = true}},
                                       .n_cats = 1,
                                       .axes = {{.column = "m"}, {.column = "n"}, {.column = "k"}},
                                       .n_axes = 3,
                                       .sites = true,
                                       .floor = table_floor};

#define SCALE_SCHEMA(name)                                                                                   \
    {                                                                                                        \
        .table = (name), .cats = {{.column = "quant_dtype", .text = true}}, .n_cats = 1,                     \
        .axes = {{.column = "m"}, {.column = "k"}}, .n_axes = 2                                              \
    }
static const pdb_schema compute_schema = SCALE_SCHEMA("computescale_perf");
static const pdb_schema matrix_schema = SCALE_SCHEMA("scale_matrix_perf");

/* A table of the quantisation kernels that fp8_static does without. */
typedef struct scale_table {
    const pdb_schema *schema;
    const pdb_grid *grid;   /* NULL: not subtracted */
    double low[2], high[2]; /* measured range of m and k */
    double passes, mem_bw;  /* bytes moved per element; byte/s */
} scale_table;

typedef struct gemm_state {
    gemm_sol sol;
    const pdb_site_aim *aim;     /* at (n, k) */
    scale_table compute, matrix; /* fp8_static only */
} gemm_state;

/* c = (m, k) */
static double scale_sol(const void *ctx, const double *c) {
    const scale_table *t = ctx;
    return t->passes * c[0] * c[1] / t->mem_bw * 1000.0;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static const pdb_slice *find_slice(op_binder *binder, op_bound *b, const pdb_schema *schema,
                                   const char *mode) {
    const pdb_table *t = op_bind_table(binder, b, schema, PAGE);
    if (!t)
        return NULL;
    op_key key = {0};
    op_key_text(&key, b->view, mode);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s) {
        op_refusal why;
        op_refuse_key(&why, b, schema, t, &key, 0, PAGE);
        op_bind_refuse(binder, b, &why);
    }
    return s;
}

static bool bind_scale(op_binder *binder, op_bound *b, const pdb_schema *schema, double passes,
                       scale_table *out) {
    const pdb_slice *s = find_slice(binder, b, schema, "fp8");
    if (!s)
        return false;
    const pdb_grid *g = s->grid;
    *out = (scale_table){.schema = schema, .grid = g, .passes = passes, .mem_bw = b->system->mem_bw};
    out->low[0] = (double)g->keys[0][0];
    out->high[0] = (double)g->keys[0][g->n[0] - 1];
    out->low[1] = out->high[1] = (double)g->keys[1][0];
    for (uint32_t i = 1; i < g->n[1]; i++) {
        double k = (double)g->keys[1][i];
        out->low[1] = k < out->low[1] ? k : out->low[1];
        out->high[1] = k > out->high[1] ? k : out->high[1];
    }
    return true;
}

static void gemm_bind(op_binder *binder, op_bound *b) {
    const gemm_params *p = b->op->params;
    bool is_static = p->quant_mode == PDB_Q_fp8_static;
    pdb_quant read_as = is_static ? PDB_Q_fp8 : p->quant_mode;
    gemm_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    st->sol = sol_of(b->system, read_as);
    if (!(st->sol.flops > 0.0)) {
        op_refusal why;
        op_refuse_flops(&why, b->op, b->system, p->quant_mode);
        op_bind_refuse(binder, b, &why);
        return;
    }
    const pdb_slice *s = find_slice(binder, b, &gemm_schema, pdb_quant_get(read_as)->name);
    if (!s)
        return;
    st->aim = pdb_sites_aim(binder->arena, s->sites, (double)p->n, (double)p->k);
    if (is_static && !bind_scale(binder, b, &compute_schema, 2.0, &st->compute))
        return;
    if (is_static && p->low_precision_input && !bind_scale(binder, b, &matrix_schema, 3.0, &st->matrix))
        return;
    b->state = st;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double rows(const gemm_params *p, const op_shape *shape) {
    return (double)op_ceildiv(shape->x / op_at_least_1(p->scale_num_tokens), p->seq_split);
}

/* Latency and energy of a quantisation kernel at (m, k): flat beyond its range, or by bytes (`stretch`). */
static pdb_miss scale_at(const scale_table *t, double m, double k, bool stretch, pdb_value *out) {
    double want[2] = {m, k}, at[2];
    for (int i = 0; i < 2; i++)
        at[i] = want[i] < t->low[i] ? t->low[i] : want[i] > t->high[i] ? t->high[i] : want[i];
    pdb_miss miss = pdb_grid_query(t->grid, at, -1, scale_sol, t, out);
    if (miss != PDB_HIT || (at[0] == m && at[1] == k))
        return miss;
    out->how = PDB_BEYOND;
    double wanted = scale_sol(t, want), held = scale_sol(t, at);
    if (stretch && wanted > 0.0 && held > 0.0) {
        out->latency *= wanted / held;
        out->energy *= wanted / held;
    }
    return miss;
}

static op_class subtract(const op_bound *b, const scale_table *t, double m, bool stretch, op_result *r,
                         pdb_how *worst, op_refusal *why) {
    const gemm_params *p = b->op->params;
    pdb_value v;
    pdb_miss miss = scale_at(t, m, (double)p->k, stretch, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "k=%lu", (unsigned long)p->k);
        return op_refuse_miss(why, b, t->schema, miss, about, PAGE);
    }
    r->latency -= v.latency;
    r->energy -= v.energy;
    *worst = v.how > *worst ? v.how : *worst;
    return OP_OK;
}

/* The dynamic fp8 time less the quantisation kernels, but never below the speed of light. */
static op_class make_static(const op_bound *b, double m, op_result *r, pdb_how worst, op_refusal *why) {
    const gemm_params *p = b->op->params;
    const gemm_state *st = b->state;
    op_class cls = subtract(b, &st->compute, m, false, r, &worst, why);
    if (cls == OP_OK && p->low_precision_input)
        cls = subtract(b, &st->matrix, m, true, r, &worst, why);
    if (cls != OP_OK)
        return cls;
    double floor = table_sol(&st->sol, (double[]){m, (double)p->n, (double)p->k});
    bool measured = r->latency >= floor && r->source == OP_SRC_silicon;
    r->latency = op_max(r->latency, floor);
    r->source = OP_SRC_estimated;
    op_cover_all(r, measured ? op_cover_of(worst) : OP_FORMULA);
    return OP_OK;
}

static op_class gemm_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const gemm_params *p = b->op->params;
    const gemm_state *st = b->state;
    double c[3] = {rows(p, shape), (double)p->n, (double)p->k};
    pdb_value v = {.how = PDB_EXACT};
    pdb_miss miss = pdb_sites_query_aimed(st->aim, c[0], table_sol, &st->sol, &v);
    if (miss == PDB_HIT) {
        *out = op_measured(&v);
    } else if (p->below_grid_sol) {
        *out = op_sol_pair(sol_math(&st->sol, c[0], c[1], c[2]), sol_mem(&st->sol, c[0], c[1], c[2]));
    } else {
        char about[64];
        snprintf(about, sizeof about, "n=%lu, k=%lu", (unsigned long)p->n, (unsigned long)p->k);
        return op_refuse_miss(why, b, &gemm_schema, miss, about, PAGE);
    }
    return p->quant_mode == PDB_Q_fp8_static ? make_static(b, c[0], out, v.how, why) : OP_OK;
}

/* fp8_static: subtracting from the floor gives the floor again. */
static op_class gemm_sol_answer(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const gemm_params *p = b->op->params;
    gemm_sol s = sol_of(b->system, p->quant_mode);
    if (!(s.flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, p->quant_mode);
    double m = rows(p, shape), n = p->n, k = p->k;
    *out = op_sol_pair(sol_math(&s, m, n, k), sol_mem(&s, m, n, k));
    if (p->quant_mode == PDB_Q_fp8_static)
        out->source = OP_SRC_estimated;
    return OP_OK;
}

static op_class gemm_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                           op_refusal *why) {
    static const op_paths paths = {.silicon = gemm_silicon, .sol = gemm_sol_answer};
    return op_by_mode(&paths, b, mode, shape, out, why);
}

static double gemm_weights(const op *o) {
    const gemm_params *p = o->params;
    return (double)p->n * (double)p->k * pdb_quant_get(p->quant_mode)->bytes;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field gemm_fields[] = {
    OP_U32(gemm_params, n),
    OP_U32(gemm_params, k),
    OP_QUANT(gemm_params, quant_mode, PDB_GEMM),
    OP_U32_OR(gemm_params, scale_num_tokens, 1),
    OP_BOOL_OR(gemm_params, low_precision_input, false),
    OP_U32_OR(gemm_params, seq_split, 1),
    OP_BOOL_OR(gemm_params, below_grid_sol, false),
};

static const pdb_schema *const gemm_schemas[] = {&gemm_schema, &compute_schema, &matrix_schema, NULL};

const op_desc op_desc_gemm = {.kind = "Gemm",
                              .summary = "matrix multiplication of m tokens by an n x k weight",
                              .params_size = sizeof(gemm_params),
                              .fields = gemm_fields,
                              .n_fields = OP_COUNT(gemm_fields),
                              .reads = OP_READS_X,
                              .schemas = gemm_schemas,
                              .bind = gemm_bind,
                              .query = gemm_query,
                              .weight_bytes = gemm_weights};
