/* Gemm: matrix multiplications over scattered measured shapes, fp8_static by subtraction
 * (docs/model/gemm.md). */
#include "ops/gemm_internal.h"

#include <stdio.h>
#include <string.h>

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

enum { FLOORS = 256 }; /* rows priced at a time: loops of known length become vector instructions */

AIC_WIDE static void gemm_floors(const gemm_sol *s, const double *restrict m, const double *restrict n,
                                 const double *restrict k, double *restrict least) {
    const gemm_sol sol = *s;
    for (size_t i = 0; i < FLOORS; i++)
        least[i] = op_max(sol_math(&sol, m[i], n[i], k[i]), sol_mem(&sol, m[i], n[i], k[i]));
}

/* Rows never beat the speed of light; a mode without FLOPS entry stays as measured. */
static bool table_floor(const pdb_view *view, const uint64_t *cat, size_t n, const uint64_t *axis,
                        double *least) {
    pdb_quant q = pdb_quant_parse(pdb_text(view, cat[0]), PDB_GEMM);
    if (q == PDB_Q_UNSET || !(pdb_flops(view->system, q) > 0.0))
        return false;
    const gemm_sol s = sol_of(view->system, q);
    double at[3][FLOORS] = {{0}}, block[FLOORS];
    for (size_t from = 0; from < n; from += FLOORS) {
        const size_t rows = n - from < FLOORS ? n - from : FLOORS;
        for (size_t i = 0; i < rows; i++)
            for (size_t k = 0; k < 3; k++, axis++)
                at[k][i] = (double)*axis;
        gemm_floors(&s, at[0], at[1], at[2], block);
        memcpy(least + from, block, rows * sizeof *least);
    }
    return true;
}

static const pdb_schema gemm_schema = {.table = "gemm_perf",
                                       .cats = {{.column = "gemm_dtype", .text = true}},
                                       .n_cats = 1,
                                       .axes = {{.column = "m"}, {.column = "n"}, {.column = "k"}},
                                       .n_axes = 3,
                                       .sites = true,
                                       .floor = table_floor};

typedef struct gemm_state {
    gemm_sol sol;
    const pdb_site_aim *aim;      /* at (n, k) */
    gemm_scale *compute, *matrix; /* fp8_static only; matrix NULL = not subtracted */
} gemm_state;

typedef struct gemm_estimate {
    gemm_sol sol;         /* of the op */
    const pdb_util *util; /* over (m, n, k); NULL when refused */
    double scale;
    op_tier tier;
    gemm_scale *compute, *matrix; /* as in gemm_state */
} gemm_estimate;

/* ---- binding ------------------------------------------------------------------------------------------- */

const pdb_slice *gemm_slice(const op_bound *b, const pdb_schema *schema, const char *mode, op_refusal *why) {
    const pdb_table *t = op_table(b, schema, GEMM_PAGE, why);
    if (!t)
        return NULL;
    op_key key = {0};
    op_key_text(&key, b->view, mode);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        op_refuse_key(why, b, schema, t, &key, 0, GEMM_PAGE);
    return s;
}

/* Static fp8 is measured as dynamic fp8. */
static pdb_quant stored_as(pdb_quant q) {
    return q == PDB_Q_fp8_static ? PDB_Q_fp8 : q;
}

static void bind_scales(op_binder *binder, const op_bound *b, bool estimate, gemm_scale **compute,
                        gemm_scale **matrix) {
    const gemm_params *p = b->op->params;
    if (p->quant_mode != PDB_Q_fp8_static)
        return;
    *compute = gemm_scale_bind(binder, b, &gemm_compute_scale, estimate);
    if (p->low_precision_input)
        *matrix = gemm_scale_bind(binder, b, &gemm_scale_matrix, estimate);
}

/* Without estimates, a kernel that is not measured refuses every shape. */
static void refuse_without(op_binder *binder, op_bound *b, const gemm_scale *s) {
    if (!s || !gemm_scale_missing(s) || b->refused != OP_OK || binder->mode != OP_SILICON)
        return;
    b->refused = OP_MISSING;
    b->reason = gemm_scale_missing(s);
}

/* A weight shape among the measured ones: the same for every model, layout and phase that has it. */
typedef struct aim_key {
    const pdb_sites *sites;
    uint64_t n, k;
} aim_key;

static const void *build_aim(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const aim_key *k = identity;
    (void)view;
    (void)why;
    return pdb_sites_aim(a, k->sites, (double)k->n, (double)k->k);
}

static const pdb_site_aim *aim_at(const pdb_view *view, const pdb_sites *sites, uint32_t n, uint32_t k) {
    static const char identity;
    const aim_key key = {sites, n, k};
    return pdb_derived_keyed(view, &identity, &key, sizeof key, build_aim, NULL);
}

static void gemm_bind(op_binder *binder, op_bound *b) {
    const gemm_params *p = b->op->params;
    gemm_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why;
    b->state = st;
    st->sol = sol_of(b->system, p->quant_mode);
    if (!(st->sol.flops > 0.0)) {
        op_refuse_flops(&why, b->op, b->system, p->quant_mode);
        op_bind_refuse(binder, b, &why);
        return;
    }
    const pdb_slice *s = gemm_slice(b, &gemm_schema, pdb_quant_get(stored_as(p->quant_mode))->name, &why);
    if (s)
        st->aim = aim_at(b->view, pdb_slice_sites(s), p->n, p->k);
    else
        op_bind_refuse(binder, b, &why);
    bind_scales(binder, b, false, &st->compute, &st->matrix);
    refuse_without(binder, b, st->compute);
    refuse_without(binder, b, st->matrix);
}

/* ---- what an estimate is calibrated from --------------------------------------------------------------- */

/* Samples of a mode's rows under a speed of light; NULL when it has none. */
static const pdb_util *samples(op_binder *binder, const op_bound *b, const pdb_table *t, pdb_quant q,
                               const gemm_sol *sol) {
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(q)->name);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    const pdb_util *u = s ? op_util_of_view(binder, pdb_slice_grid(s), table_sol, sol, sizeof *sol) : NULL;
    return u && pdb_util_count(u) ? u : NULL;
}

/* The first other mode with q's bytes and compute factor: it runs like q, and is priced as q. */
static const pdb_util *same_profile(op_binder *binder, const op_bound *b, const pdb_table *t, pdb_quant q,
                                    const gemm_sol *sol, const pdb_quant *modes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (modes[i] != q && op_same_profile(modes[i], q))
            return samples(binder, b, t, modes[i], sol);
    return NULL;
}

/* The nearest mode of another profile that has samples, under its own price, by what is usual for both. */
static op_class other_profile(op_binder *binder, const op_bound *b, const pdb_table *t, pdb_quant q,
                              const pdb_quant *modes, size_t n, gemm_estimate *e, op_refusal *why) {
    enum { COMPUTE_FIRST = 1024 }; /* bytes only decide between equal compute factors */
    pdb_quant others[PDB_QUANT_COUNT];
    n = op_other_profiles(q, COMPUTE_FIRST, modes, n, others);
    for (size_t i = 0; i < n && !e->util; i++) {
        gemm_sol sol = sol_of(b->system, others[i]);
        if (!(sol.flops > 0.0))
            return op_refuse_flops(why, b->op, b->system, others[i]);
        e->util = samples(binder, b, t, others[i], &sol);
        e->scale = op_profile_ratio(q, others[i], PDB_GEMM);
        e->tier = OP_TIER_xprofile;
    }
    return OP_OK;
}

static op_class calibrate(op_binder *binder, const op_bound *b, gemm_estimate *e, op_refusal *why) {
    const gemm_params *p = b->op->params;
    pdb_quant q = stored_as(p->quant_mode), modes[PDB_QUANT_COUNT];
    const pdb_table *t = pdb_table_get(b->view, &gemm_schema, NULL);
    size_t n = t ? op_modes_of(b, t, 0, NULL, PDB_GEMM, modes) : 0;
    op_class cls = OP_OK;
    e->scale = 1.0;
    e->tier = OP_TIER_empirical;
    if (t)
        e->util = samples(binder, b, t, q, &e->sol);
    if (!e->util && op_policy_allows(binder, OP_TIER_xquant)) {
        e->util = same_profile(binder, b, t, q, &e->sol, modes, n);
        e->tier = OP_TIER_xquant;
    }
    if (!e->util && op_policy_allows(binder, OP_TIER_xprofile))
        cls = other_profile(binder, b, t, q, modes, n, e, why);
    if (cls != OP_OK || e->util)
        return cls;
    char about[40];
    snprintf(about, sizeof about, "mode %s", pdb_quant_get(q)->name);
    return op_refuse_basis(why, b, &gemm_schema, about);
}

static void gemm_bind_estimate(op_binder *binder, op_bound *b) {
    const gemm_params *p = b->op->params;
    gemm_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    op_refusal why;
    b->estimate = e;
    e->sol = sol_of(b->system, p->quant_mode);
    op_class cls = e->sol.flops > 0.0 ? calibrate(binder, b, e, &why)
                                      : op_refuse_flops(&why, b->op, b->system, p->quant_mode);
    if (cls != OP_OK)
        op_bind_refuse_estimate(binder, b, &why);
    bind_scales(binder, b, true, &e->compute, &e->matrix);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double rows(const gemm_params *p, const op_shape *shape) {
    return (double)op_ceildiv(shape->x / op_at_least_1(p->scale_num_tokens), p->seq_split);
}

/* Takes a quantisation kernel off; worst: the weakest evidence so far. */
static op_class subtract(const op_bound *b, op_mode mode, const gemm_scale *measured,
                         const gemm_scale *calibrated, double m, op_result *r, op_cover *worst,
                         op_refusal *why) {
    const gemm_params *p = b->op->params;
    gemm_part part;
    op_class cls = gemm_scale_query(b, mode, measured, calibrated, m, (double)p->k, &part, why);
    if (cls != OP_OK)
        return cls;
    r->latency -= part.latency;
    r->energy -= part.energy;
    r->tier = part.tier > r->tier ? part.tier : r->tier;
    r->from |= part.from;
    *worst = part.cover > *worst ? part.cover : *worst;
    return OP_OK;
}

/* The dynamic fp8 time less the quantisation kernels, but never below the speed of light. */
static op_class make_static(const op_bound *b, op_mode mode, double m, op_result *r, op_refusal *why) {
    static const gemm_state no_tables = {0};
    static const gemm_estimate no_estimates = {0};
    const gemm_params *p = b->op->params;
    const gemm_state *st = mode == OP_EMPIRICAL ? &no_tables : b->state;
    const gemm_estimate *e = mode == OP_SILICON ? &no_estimates : b->estimate;
    op_cover worst = OP_MEASURED;
    for (op_cover c = OP_MEASURED; c < OP_COVERS; c++)
        worst = r->cover[c] != 0.0 ? c : worst;
    op_class cls = subtract(b, mode, st->compute, e->compute, m, r, &worst, why);
    if (cls == OP_OK && p->low_precision_input)
        cls = subtract(b, mode, st->matrix, e->matrix, m, r, &worst, why);
    if (cls != OP_OK)
        return cls;
    gemm_sol sol = sol_of(b->system, p->quant_mode);
    double floor = table_sol(&sol, (double[]){m, (double)p->n, (double)p->k});
    worst = r->latency >= floor ? worst : OP_FORMULA;
    r->latency = op_max(r->latency, floor);
    r->source = OP_SRC_estimated;
    op_cover_all(r, worst);
    return OP_OK;
}

static op_class gemm_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const gemm_params *p = b->op->params;
    const gemm_state *st = b->state;
    pdb_value v;
    pdb_miss miss = pdb_sites_query_aimed(st->aim, rows(p, shape), table_sol, &st->sol, &v);
    if (miss != PDB_HIT) {
        char about[64];
        snprintf(about, sizeof about, "n=%lu, k=%lu", (unsigned long)p->n, (unsigned long)p->k);
        return op_refuse_miss(why, b, &gemm_schema, miss, about, GEMM_PAGE);
    }
    *out = op_measured(&v);
    return OP_OK;
}

static op_class gemm_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const gemm_params *p = b->op->params;
    const gemm_estimate *e = b->estimate;
    double c[3] = {rows(p, shape), (double)p->n, (double)p->k};
    return op_estimate(b, e->util, c, table_sol(&e->sol, c), e->scale, e->tier, out, why);
}

static op_class gemm_sol_answer(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const gemm_params *p = b->op->params;
    gemm_sol s = sol_of(b->system, p->quant_mode);
    if (!(s.flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, p->quant_mode);
    double m = rows(p, shape), n = p->n, k = p->k;
    *out = op_sol_pair(sol_math(&s, m, n, k), sol_mem(&s, m, n, k));
    return OP_OK;
}

static op_class gemm_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                           op_refusal *why) {
    static const op_paths paths = {
        .silicon = gemm_silicon, .empirical = gemm_empirical, .sol = gemm_sol_answer};
    const gemm_params *p = b->op->params;
    op_class cls = op_by_mode(&paths, b, mode, shape, out, why);
    if (cls == OP_MISSING && mode == OP_SILICON && p->below_grid_sol)
        cls = gemm_sol_answer(b, shape, out, why);
    if (cls != OP_OK || p->quant_mode != PDB_Q_fp8_static)
        return cls;
    if (mode != OP_SOL)
        return make_static(b, mode, rows(p, shape), out, why);
    out->source = OP_SRC_estimated; /* subtracting from the floor gives the floor again */
    return OP_OK;
}

static size_t gemm_many(const op_bound *b, op_mode mode, const op_shape *shapes, size_t n, op_result *out) {
    const gemm_params *p = b->op->params;
    const gemm_state *st = b->state;
    pdb_site_run run = pdb_site_run_of(st->aim, table_sol, &st->sol);
    for (size_t i = 0; i < n; i++) {
        double m = rows(p, &shapes[i]);
        pdb_value v;
        if (pdb_site_run_at(&run, m, &v) != PDB_HIT)
            return i;
        out[i] = op_measured(&v);
        if (p->quant_mode == PDB_Q_fp8_static && make_static(b, mode, m, &out[i], NULL) != OP_OK)
            return i;
    }
    return n;
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

static const pdb_schema *const gemm_schemas[] = {&gemm_schema, &gemm_compute_schema, &gemm_matrix_schema,
                                                 NULL};

const op_desc op_desc_gemm = {.kind = "Gemm",
                              .summary = "matrix multiplication of m tokens by an n x k weight",
                              .params_size = sizeof(gemm_params),
                              .fields = gemm_fields,
                              .n_fields = OP_COUNT(gemm_fields),
                              .reads = OP_READS_X,
                              .schemas = gemm_schemas,
                              .bind = gemm_bind,
                              .bind_estimate = gemm_bind_estimate,
                              .query = gemm_query,
                              .many = gemm_many,
                              .weight_bytes = gemm_weights};
