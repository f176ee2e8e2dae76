/* Moe: expert computation after routing (docs/model/moe.md). */
#include "ops/moe_estimate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct moe_params {
    uint32_t hidden_size, inter_size, topk, num_experts, moe_tp_size, moe_ep_size;
    pdb_quant quant_mode;
    const char *workload_distribution;
    bool is_gated;
    uint32_t attention_dp_size;
    const char *moe_backend;
    bool enable_eplb, is_context;
} moe_params;

/* ---- speed of light ------------------------------------------------------------------------------------ */

/* a * b, or false when it leaves 64 bits. */
static bool times(uint64_t *a, uint64_t b) {
    return !__builtin_mul_overflow(*a, b, a);
}

moe_times moe_sol_times(const moe_sol *s, uint64_t tokens) {
    uint64_t routed = tokens, ops, in, mid, matrix = s->hidden;
    bool fits = times(&routed, s->topk);
    uint64_t local = routed / s->ep, active = s->experts / s->ep;
    active = active < local ? active : local;
    ops = routed;
    fits = fits && times(&ops, s->hidden) && times(&ops, s->inter) && times(&ops, s->gates) && times(&ops, 2);
    in = mid = local;
    fits = fits && times(&in, s->hidden) && times(&in, 2);
    fits = fits && times(&mid, s->inter) && times(&mid, s->gates);
    fits = fits && times(&matrix, s->inter) && times(&matrix, s->gates);
    matrix /= s->tp;
    fits = fits && times(&matrix, active);
    uint64_t elements = in, more = mid / s->tp;
    fits = fits && !__builtin_add_overflow(elements, more, &elements) &&
           !__builtin_add_overflow(elements, matrix, &elements);
    if (!fits)
        return (moe_times){NAN, NAN};
    return (moe_times){(double)(ops / s->ep / s->tp) / s->flops * 1000.0,
                       (double)elements * s->bytes / s->mem_bw * 1000.0};
}

double moe_table_sol(const void *sol, const double *tokens) {
    moe_times t = moe_sol_times(sol, (uint64_t)llround(tokens[0]));
    return op_max(t.math, t.mem);
}

uint64_t moe_pool(uint32_t tokens, uint32_t attention_dp) {
    uint64_t pool = (uint64_t)tokens * op_at_least_1(attention_dp);
    return pool < UINT32_MAX ? pool : UINT32_MAX;
}

static moe_sol sol_of(const op_bound *b) {
    const moe_params *p = b->op->params;
    return (moe_sol){.hidden = p->hidden_size,
                     .inter = p->inter_size,
                     .topk = p->topk,
                     .experts = p->num_experts,
                     .tp = op_at_least_1(p->moe_tp_size),
                     .ep = op_at_least_1(p->moe_ep_size),
                     .gates = p->is_gated ? 3 : 2,
                     .bytes = pdb_quant_get(p->quant_mode)->bytes,
                     .flops = pdb_flops(b->system, p->quant_mode),
                     .mem_bw = b->system->mem_bw};
}

static moe_wanted wanted_of(const op_bound *b) {
    const moe_params *p = b->op->params;
    return (moe_wanted){
        p->quant_mode,
        p->workload_distribution,
        {p->topk, p->num_experts, p->hidden_size, p->inter_size, p->moe_tp_size, p->moe_ep_size}};
}

/* ---- binding ------------------------------------------------------------------------------------------- */

enum { LOW_LATENCY_TOKENS = 128 }; /* up to here the low-latency kernel runs */

typedef struct moe_state {
    moe_sol sol;
    const pdb_grid *low;      /* up to LOW_LATENCY_TOKENS tokens; NULL = no such kernel */
    const pdb_grid *standard; /* NULL: reason says what is missing */
    const char *reason;
    bool balanced; /* expert load balancing takes a fifth of the tokens off */
} moe_state;

/* Is there a kernel of its own for few tokens? */
static bool has_low_latency(const moe_params *p) {
    return p->quant_mode == PDB_Q_nvfp4 && p->is_gated;
}

/* What no table can mend: a mode without FLOPS, a kernel without table. */
static op_class check_op(const op_bound *b, const moe_sol *sol, op_refusal *why) {
    const moe_params *p = b->op->params;
    if (!(sol->flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, p->quant_mode);
    if (p->moe_backend && strcmp(p->moe_backend, "deepep_moe") == 0 &&
        strcmp(b->view->backend, "sglang") == 0)
        return op_refuse_op(why, b->op, OP_MISSING,
                            "sglang's deepep_moe kernel is retired and has no table; large expert "
                            "parallelism is priced by MoeExpertCompute (docs/model/" MOE_PAGE ".md)");
    return OP_OK;
}

static void moe_bind(op_binder *binder, op_bound *b) {
    const moe_params *p = b->op->params;
    moe_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const moe_wanted w = wanted_of(b);
    op_refusal why;
    st->sol = sol_of(b);
    st->balanced = p->enable_eplb && p->is_context && strcmp(b->view->backend, "sglang") == 0;
    if (check_op(b, &st->sol, &why) != OP_OK) {
        op_bind_refuse(binder, b, &why);
        return;
    }
    const pdb_table *t = op_bind_table(binder, b, &moe_schema, MOE_PAGE);
    if (!t)
        return;
    op_key key;
    if (has_low_latency(p))
        st->low = moe_find_curve(b, t, MOE_LOW_LATENCY, &w, &key);
    st->standard = moe_find_curve(b, t, MOE_STANDARD, &w, &key);
    b->state = st;
    if (st->standard)
        return;
    op_refuse_key(&why, b, &moe_schema, t, &key, MOE_CAT_QUANT, MOE_PAGE);
    if (st->low)
        st->reason = aic_arena_strdup(binder->arena, why.text);
    else
        op_bind_refuse(binder, b, &why);
}

static void moe_bind_estimate(op_binder *binder, op_bound *b) {
    const moe_params *p = b->op->params;
    const moe_wanted w = wanted_of(b);
    moe_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    op_refusal why;
    e->sol = sol_of(b);
    b->estimate = e;
    if (check_op(b, &e->sol, &why) != OP_OK)
        op_bind_refuse_estimate(binder, b, &why);
    else
        moe_calibrate(binder, b, &w, has_low_latency(p), e);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static op_class moe_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const moe_params *p = b->op->params;
    const moe_state *st = b->state;
    double t = (double)moe_pool(shape->x, p->attention_dp_size);
    if (st->balanced)
        t = (double)(uint64_t)(t * 0.8);
    const pdb_grid *curve = st->low && t <= LOW_LATENCY_TOKENS ? st->low : st->standard;
    if (!curve)
        return op_refuse(why, OP_MISSING, "%s", st->reason);
    if (curve->n[0] == 1 && t < (double)curve->keys[0][0])
        return op_refuse_op(why, b->op, OP_MISSING,
                            "%s has a single point for this key, above the token count (docs/model/" MOE_PAGE
                            ".md)",
                            moe_schema.table);
    pdb_value v;
    pdb_miss miss = pdb_grid_query(curve, &t, -1, moe_table_sol, &st->sol, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, &moe_schema, miss, "token count", MOE_PAGE);
    *out = op_measured(&v);
    return OP_OK;
}

/* Balancing is not in the estimate: all tokens count. */
static op_class moe_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const moe_params *p = b->op->params;
    const moe_estimate *e = b->estimate;
    uint64_t pool = moe_pool(shape->x, p->attention_dp_size);
    const moe_basis *basis = e->has_low && pool <= LOW_LATENCY_TOKENS ? &e->low : &e->standard;
    if (basis->refused != OP_OK)
        return op_refuse(why, basis->refused, "%s", basis->reason);
    moe_times t = moe_sol_times(&e->sol, pool);
    if (isnan(t.math))
        return op_refuse_op(why, b->op, OP_INVALID, "tokens x experts x sizes exceed 64 bits");
    double tokens = (double)pool;
    return op_estimate(b, basis->util, &tokens, op_max(t.math, t.mem), basis->scale, basis->tier, out, why);
}

static op_class moe_sol_answer(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const moe_params *p = b->op->params;
    moe_sol s = sol_of(b);
    if (!(s.flops > 0.0))
        return op_refuse_flops(why, b->op, b->system, p->quant_mode);
    moe_times t = moe_sol_times(&s, moe_pool(shape->x, p->attention_dp_size));
    if (isnan(t.math))
        return op_refuse_op(why, b->op, OP_INVALID, "tokens x experts x sizes exceed 64 bits");
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

static op_class moe_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    static const op_paths paths = {.silicon = moe_silicon, .empirical = moe_empirical, .sol = moe_sol_answer};
    return op_by_mode(&paths, b, mode, shape, out, why);
}

static double moe_weights(const op *o) {
    const moe_params *p = o->params;
    double bytes = (double)p->hidden_size * (double)p->inter_size * (double)p->num_experts *
                   pdb_quant_get(p->quant_mode)->bytes * (p->is_gated ? 3.0 : 2.0);
    return floor(floor(bytes / (double)op_at_least_1(p->moe_ep_size)) /
                 (double)op_at_least_1(p->moe_tp_size));
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field moe_fields[] = {
    OP_U32(moe_params, hidden_size),
    OP_U32(moe_params, inter_size),
    OP_U32(moe_params, topk),
    OP_U32(moe_params, num_experts),
    OP_U32(moe_params, moe_tp_size),
    OP_U32(moe_params, moe_ep_size),
    OP_QUANT(moe_params, quant_mode, PDB_MOE),
    OP_TEXT(moe_params, workload_distribution),
    OP_BOOL(moe_params, is_gated),
    OP_U32_OR(moe_params, attention_dp_size, 0),
    OP_TEXT_OR_NULL(moe_params, moe_backend),
    OP_BOOL_OR(moe_params, enable_eplb, false),
    OP_BOOL_OR(moe_params, is_context, false),
};

static const pdb_schema *const moe_schemas[] = {&moe_schema, NULL};

const op_desc op_desc_moe = {.kind = "Moe",
                             .summary = "expert computation of a mixture-of-experts layer",
                             .params_size = sizeof(moe_params),
                             .fields = moe_fields,
                             .n_fields = OP_COUNT(moe_fields),
                             .reads = OP_READS_X,
                             .schemas = moe_schemas,
                             .bind = moe_bind,
                             .bind_estimate = moe_bind_estimate,
                             .query = moe_query,
                             .weight_bytes = moe_weights};
