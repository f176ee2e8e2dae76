/* Dsv4Context, Dsv4Generation: a compressed-attention block of one layer (docs/model/dsv4.md). */
#include "ops/dsv4_internal.h"

static bool is_decode(const op *o) {
    return o->desc == &op_desc_dsv4_generation;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static void refuse_module(op_binder *binder, dsv4_module *m, const op_refusal *why) {
    op_bind_refuse(binder, &m->b, why);
    sparse_bind_refuse_estimate(binder, &m->b, why);
}

/* Calibrations are made for EMPIRICAL alone: a slice that HYBRID has answers itself, or has no usable row. */
static void bind_samples(op_binder *binder, dsv4_module *m) {
    const sparse_sampling from = {
        .grid = m->grid, .sol = dsv4_table_sol, .sol_ctx = &m->sol, .sol_size = sizeof m->sol};
    if (is_decode(m->b.op))
        m->steps = sparse_decode_samples(binder, &from);
    else
        m->prefill = sparse_prefill_samples(binder, &from);
}

static void bind_module(op_binder *binder, const op_bound *b, dsv4_module *m) {
    const dsv4_params *p = b->op->params;
    op_refusal why;
    m->b = *b;
    m->b.state = m->b.estimate = m;
    const pdb_slice *s = NULL;
    op_class cls = dsv4_sol_of(b, &m->sol, &why);
    if (cls == OP_OK && binder->mode == OP_SOL)
        op_refuse_op(&why, b->op, OP_INVALID, "bound for the SOL mode only");
    else if (cls == OP_OK)
        s = dsv4_slice(b, &why);
    if (!s) {
        refuse_module(binder, m, &why);
        return;
    }
    m->grid = s->grid;
    if (p->attn_kind == DSV4_Csa)
        m->correction = dsv4_correction(b->view, p->native_heads, is_decode(b->op));
    if (binder->mode == OP_EMPIRICAL)
        bind_samples(binder, m);
}

static void dsv4_bind(op_binder *binder, op_bound *b) {
    const dsv4_params *p = b->op->params;
    dsv4_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    bind_module(binder, b, &st->module);
    if (!is_decode(b->op) && p->cp_size > 1)
        st->parallel = dsv4_bind_parallel(binder, b);
    if (st->module.b.refused != OP_OK) {
        b->refused = st->module.b.refused;
        b->reason = st->module.b.reason;
    }
    b->state = st;
}

/* ---- answers of a module ------------------------------------------------------------------------------- */

/* Modules were measured with a slower selection than serving runs. */
static void correct(const dsv4_module *m, const op_shape *shape, pdb_how how, op_result *r) {
    double past = is_decode(m->b.op) ? (shape->s > 1 ? shape->s - 1.0 : 0.0) : shape->prefix,
           tokens = is_decode(m->b.op) ? 1.0 : shape->s;
    double rest =
        op_max(r->latency - dsv4_correction_at(m->correction, past, tokens, shape->batch, &r->from), 0.0);
    if (r->latency > 0.0 && r->energy != 0.0)
        r->energy *= rest / r->latency;
    r->latency = rest;
    op_cover_all(r, op_cover_of(how));
}

static op_class module_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const dsv4_params *p = b->op->params;
    const dsv4_module *m = b->state;
    const double prefill[3] = {shape->prefix, shape->s, shape->batch}, step[2] = {shape->batch, shape->s};
    pdb_value v;
    pdb_miss miss =
        pdb_grid_query(m->grid, is_decode(b->op) ? step : prefill, -1, dsv4_table_sol, &m->sol, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, dsv4_schema((dsv4_kind)p->attn_kind, is_decode(b->op)), miss,
                              "this head count", DSV4_PAGE);
    *out = op_measured(&v);
    if (m->correction)
        correct(m, shape, v.how, out);
    return OP_OK;
}

static sparse_times module_times(const dsv4_module *m, const op_shape *shape) {
    return dsv4_sol_at(&m->sol, shape->prefix, shape->s, shape->batch);
}

static op_class module_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const dsv4_module *m = b->estimate;
    double sol = sparse_slower(module_times(m, shape));
    return is_decode(b->op) ? sparse_decode_estimate(b, m->steps, 0.0, shape, sol, out, why)
                            : sparse_prefill_estimate(b, m->prefill, false, 0.0, shape, sol, out, why);
}

static op_class module_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    if (b->refused == OP_NO_FLOPS)
        return op_refuse(why, b->refused, "%s", b->reason);
    sparse_times t = module_times(b->state, shape);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

const op_paths dsv4_paths = {.silicon = module_silicon, .empirical = module_empirical, .sol = module_sol};

static op_class dsv4_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                           op_refusal *why) {
    const dsv4_state *st = b->state;
    if (st->parallel)
        return dsv4_parallel_query(b, mode, shape, out, why);
    op_class cls = op_by_mode(&dsv4_paths, &st->module.b, mode, shape, out, why);
    if (cls == OP_OK)
        op_clamp(out);
    return cls;
}

/* ---- the kinds ----------------------------------------------------------------------------------------- */

static const char *const kinds[] = {
#define KIND_NAME(name, ratio) #name,
    DSV4_KINDS(KIND_NAME)
#undef KIND_NAME
        NULL};

static const op_field fields[] = {
    OP_CHOICE(dsv4_params, attn_kind, kinds),
    OP_U32(dsv4_params, num_heads),
    OP_U32(dsv4_params, native_heads),
    OP_U32(dsv4_params, tp_size),
    OP_QUANT(dsv4_params, kv_cache_dtype, PDB_KV),
    OP_QUANT(dsv4_params, fmha_quant_mode, PDB_FMHA),
    OP_QUANT(dsv4_params, gemm_quant_mode, PDB_GEMM),
    OP_TEXT(dsv4_params, architecture),
    OP_U32_OR(dsv4_params, cp_size, 1),
    OP_U32_OR_NULL(dsv4_params, window_size),
    OP_U32_OR(dsv4_params, hidden_size, 7168),
    OP_U32_OR(dsv4_params, q_lora_rank, 1536),
    OP_U32_OR(dsv4_params, o_lora_rank, 1024),
    OP_U32_OR(dsv4_params, head_dim, 512),
    OP_U32_OR(dsv4_params, rope_head_dim, 64),
    OP_U32_OR(dsv4_params, index_n_heads, 64),
    OP_U32_OR(dsv4_params, index_head_dim, 128),
    OP_U32_OR(dsv4_params, index_topk, 1024),
    OP_U32_OR_NULL(dsv4_params, o_groups),
};

const op_desc op_desc_dsv4_context = {.kind = "Dsv4Context",
                                      .summary = "prefill of a compressed-attention block (DeepSeek-V4)",
                                      .params_size = sizeof(dsv4_params),
                                      .fields = fields,
                                      .n_fields = OP_COUNT(fields),
                                      .holds_ops = true,
                                      .unclamped = true,
                                      .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                      .schemas = dsv4_context_schemas,
                                      .bind = dsv4_bind,
                                      .query = dsv4_query,
                                      .weight_bytes = dsv4_weights};

const op_desc op_desc_dsv4_generation = {.kind = "Dsv4Generation",
                                         .summary = "decode step of a compressed-attention block",
                                         .params_size = sizeof(dsv4_params),
                                         .fields = fields,
                                         .n_fields = OP_COUNT(fields),
                                         .holds_ops = true,
                                         .unclamped = true,
                                         .reads = OP_READS_BATCH | OP_READS_S,
                                         .schemas = dsv4_generation_schemas,
                                         .bind = dsv4_bind,
                                         .query = dsv4_query,
                                         .weight_bytes = dsv4_weights};
