/* Mhc: the kernels around a layer of hyper-connections (docs/model/mhc.md). */
#include "ops/sparse_internal.h"

#include <stdio.h>

#define PAGE "mhc"

/* X(name): the mixing before a block, the one after it, and the two together. */
#define MHC_PARTS(X) X(pre) X(post) X(both)
typedef enum mhc_part {
#define MHC_ENUM(name) MHC_##name,
    MHC_PARTS(MHC_ENUM)
#undef MHC_ENUM
        MHC_PART_COUNT
} mhc_part;

static const char *const part_names[] = {
#define MHC_NAME(name) #name,
    MHC_PARTS(MHC_NAME)
#undef MHC_NAME
        NULL};

typedef struct mhc_params {
    int op; /* mhc_part */
    uint32_t hc_mult, hidden_size;
    const char *architecture; /* part of the wire format; prices nothing */
    uint32_t sinkhorn_iters;
    pdb_quant quant_mode;
    uint32_t seq_split;
} mhc_params;

/* ---- speed of light ------------------------------------------------------------------------------------ */

typedef struct mhc_sol {
    const mhc_params *p;
    mhc_part part;
    double bytes, flops, mem_bw;
} mhc_sol;

/* Elements of the mixing weights. */
static double weight_elements(const mhc_params *p) {
    double c = p->hc_mult, wide = c * p->hidden_size, mixes = (2.0 + c) * c;
    return 2.0 * (mixes * wide + mixes + 3.0);
}

static sparse_times sol_at(const mhc_sol *s, double t) {
    const mhc_params *p = s->p;
    double c = p->hc_mult, h = p->hidden_size, k = p->sinkhorn_iters, wide = c * h, mixes = (2.0 + c) * c;
    double pre =
               2.0 * (2.0 * t * wide * mixes + t * wide * 3.0 + t * (c * c + 2.0 * c) * k + 2.0 * t * c * h),
           post = 2.0 * (2.0 * t * c * c * h + 2.0 * t * c * h);
    double ops = s->part == MHC_pre ? pre : s->part == MHC_post ? post : pre + post;
    double moved = 2.0 * t * wide * s->bytes * (s->part == MHC_both ? 3.0 : 2.0);
    if (s->part != MHC_post)
        moved += 2.0 * t * (2.0 * c + c * c) * 4.0;
    return (sparse_times){ops / s->flops * 1000.0,
                          (weight_elements(p) * s->bytes + moved) / s->mem_bw * 1000.0};
}

static double table_sol(const void *sol, const double *tokens) {
    return sparse_slower(sol_at(sol, tokens[0]));
}

static op_class sol_of(const op_bound *b, mhc_part part, mhc_sol *out, op_refusal *why) {
    const mhc_params *p = b->op->params;
    *out = (mhc_sol){
        .p = p, .part = part, .bytes = pdb_quant_get(p->quant_mode)->bytes, .mem_bw = b->system->mem_bw};
    return sparse_flops(b, p->quant_mode, &out->flops, why);
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static const pdb_schema mhc_schema = {
    .table = "mhc_module_perf",
    .cats = {{.column = "op_name", .text = true}, {.column = "hc_mult"}, {.column = "hidden_size"}},
    .n_cats = 3,
    .axes = {{.column = "num_tokens"}},
    .n_axes = 1};

/* The parts of an op that have a curve of their own: the one, or pre and post. */
typedef struct mhc_curve {
    mhc_sol sol;
    const pdb_grid *grid;
    const pdb_util *util; /* of an estimate only */
} mhc_curve;

typedef struct mhc_state {
    int count;
    mhc_curve part[2];
} mhc_state;

static const pdb_slice *find_curve(const op_bound *b, mhc_part part, op_refusal *why) {
    const mhc_params *p = b->op->params;
    const char *reason;
    const pdb_table *t = pdb_table_get(b->view, &mhc_schema, &reason);
    if (!t) {
        op_refuse_op(why, b->op, OP_MISSING, "%s/%s/%s: %s (docs/model/" PAGE ".md)", b->system->name,
                     b->view->backend, b->view->version, reason);
        return NULL;
    }
    op_key key = {0};
    op_key_text(&key, b->view, part_names[part]);
    op_key_int(&key, p->hc_mult);
    op_key_int(&key, p->hidden_size);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        op_refuse_key(why, b, &mhc_schema, t, &key, 0, PAGE);
    return s;
}

static op_class bind_parts(const op_bound *b, mhc_state *st, op_refusal *why) {
    const mhc_params *p = b->op->params;
    const mhc_part both[] = {MHC_pre, MHC_post}, one = (mhc_part)p->op,
                   *parts = one == MHC_both ? both : &one;
    st->count = one == MHC_both ? 2 : 1;
    for (int i = 0; i < st->count; i++) {
        mhc_curve *c = &st->part[i];
        op_class cls = sol_of(b, parts[i], &c->sol, why);
        const pdb_slice *s = cls == OP_OK ? find_curve(b, parts[i], why) : NULL;
        if (!s)
            return why->cls;
        c->grid = pdb_slice_grid(s);
    }
    return OP_OK;
}

static void mhc_bind(op_binder *binder, op_bound *b) {
    mhc_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why;
    if (bind_parts(b, st, &why) == OP_OK)
        b->state = st;
    else
        op_bind_refuse(binder, b, &why);
}

static void mhc_bind_estimate(op_binder *binder, op_bound *b) {
    mhc_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why;
    if (bind_parts(b, st, &why) != OP_OK) {
        sparse_bind_refuse_estimate(binder, b, &why);
        return;
    }
    for (int i = 0; i < st->count; i++)
        st->part[i].util = op_util_of_grid(binder, st->part[i].grid, table_sol, &st->part[i].sol);
    b->estimate = st;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double rows(const op_bound *b, const op_shape *shape) {
    const mhc_params *p = b->op->params;
    return (double)op_ceildiv(shape->x, p->seq_split);
}

static op_class mhc_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const mhc_state *st = b->state;
    double tokens = rows(b, shape);
    for (int i = 0; i < st->count; i++) {
        pdb_value v;
        pdb_miss miss = pdb_grid_query(st->part[i].grid, &tokens, -1, table_sol, &st->part[i].sol, &v);
        if (miss != PDB_HIT)
            return op_refuse_miss(why, b, &mhc_schema, miss, "token count", PAGE);
        op_result part = op_measured(&v);
        *out = i ? op_plus(out, &part) : part;
    }
    return OP_OK;
}

static op_class mhc_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const mhc_state *st = b->estimate;
    double tokens = rows(b, shape);
    for (int i = 0; i < st->count; i++) {
        const mhc_curve *c = &st->part[i];
        op_result part;
        op_class cls =
            op_estimate(b, c->util, &tokens, table_sol(&c->sol, &tokens), 1.0, OP_TIER_empirical, &part, why);
        if (cls != OP_OK)
            return cls;
        *out = i ? op_plus(out, &part) : part;
    }
    return OP_OK;
}

/* pre and post in one kernel read and write less than the two of them. */
static op_class mhc_sol_answer(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const mhc_params *p = b->op->params;
    mhc_sol s;
    op_class cls = sol_of(b, (mhc_part)p->op, &s, why);
    if (cls != OP_OK)
        return cls;
    sparse_times t = sol_at(&s, rows(b, shape));
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

static op_class mhc_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    static const op_paths paths = {.silicon = mhc_silicon, .empirical = mhc_empirical, .sol = mhc_sol_answer};
    return op_by_mode(&paths, b, mode, shape, out, why);
}

static double mhc_weights(const op *o) {
    const mhc_params *p = o->params;
    return weight_elements(p) * pdb_quant_get(p->quant_mode)->bytes;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field mhc_fields[] = {
    OP_CHOICE(mhc_params, op, part_names),     OP_U32(mhc_params, hc_mult),
    OP_U32(mhc_params, hidden_size),           OP_TEXT(mhc_params, architecture),
    OP_U32_OR(mhc_params, sinkhorn_iters, 20), OP_QUANT_OR(mhc_params, quant_mode, PDB_GEMM, "bfloat16"),
    OP_U32_OR(mhc_params, seq_split, 1),
};

static const pdb_schema *const mhc_schemas[] = {&mhc_schema, NULL};

const op_desc op_desc_mhc = {.kind = "Mhc",
                             .summary = "mixing of residual streams (manifold-constrained hyper-connections)",
                             .params_size = sizeof(mhc_params),
                             .fields = mhc_fields,
                             .n_fields = OP_COUNT(mhc_fields),
                             .reads = OP_READS_X,
                             .schemas = mhc_schemas,
                             .bind = mhc_bind,
                             .bind_estimate = mhc_bind_estimate,
                             .query = mhc_query,
                             .weight_bytes = mhc_weights};
