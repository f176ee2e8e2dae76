/* Dsv4Context over the ranks of a context-parallel group (docs/model/dsv4.md, "Context parallelism"). */
#include "ops/dsv4_internal.h"

#include <math.h>

enum { CHUNK = 8192 }; /* tokens that the indexer scores at a time */

struct dsv4_parallel {
    const pdb_grid *logits; /* Csa: the indexer's scores over (prefix, new tokens, batch) */
    const pdb_grid *select; /* Csa: the selection over (batch, new tokens, prefix) */
    const char *missing;    /* Csa: why the two cannot be had */
    const op_bound *gather;
};

/* Rows of the op's ranks, or of one. */
static const pdb_grid *logits_grid(const op_bound *b) {
    const dsv4_params *p = b->op->params;
    const pdb_table *t = pdb_table_get(b->view, &dsv4_paged_schema, NULL);
    const pdb_slice *s = t ? pdb_slice_find(t, (uint64_t[]){p->native_heads, p->tp_size}) : NULL;
    if (t && !s)
        s = pdb_slice_find(t, (uint64_t[]){p->native_heads, 1});
    return s ? pdb_slice_grid(s) : NULL;
}

static void refuse_kernels(op_binder *binder, op_bound *b, dsv4_parallel *cp) {
    const dsv4_params *p = b->op->params;
    op_refusal why;
    op_refuse_op(
        &why, b->op, OP_MISSING,
        "context parallelism needs %s and %s (v1_top_last) of %s/%s/%s at num_heads %lu, which are not "
        "measured (docs/model/" DSV4_PAGE ".md)",
        dsv4_paged_schema.table, dsv4_calibration_schema.table, b->system->name, b->view->backend,
        b->view->version, (unsigned long)p->native_heads);
    op_bind_refuse(binder, b, &why);
    cp->missing = b->reason;
}

const dsv4_parallel *dsv4_bind_parallel(op_binder *binder, op_bound *b) {
    const dsv4_params *p = b->op->params;
    dsv4_parallel *cp = aic_arena_alloc(binder->arena, 1, sizeof *cp);
    cp->gather = sparse_bind_gather(binder, b, p->cp_size);
    b->refused = cp->gather->refused;
    b->reason = cp->gather->reason;
    if (p->attn_kind != DSV4_Csa)
        return cp;
    cp->logits = logits_grid(b);
    cp->select = dsv4_calibration(b->view, p->native_heads, "v1_top_last");
    if (!cp->logits || !cp->select)
        refuse_kernels(binder, b, cp);
    return cp;
}

/* ---- the indexer's kernels ----------------------------------------------------------------------------- */

/* c = (prefix, new tokens, batch) */
static double logits_price(const void *unused, const double *c) {
    (void)unused;
    return c[2] * (c[0] * c[1] + c[1] * c[1] / 2.0);
}

/* Chunk after chunk, each behind those before it. */
static op_class logits_time(const op_bound *b, const pdb_grid *g, double tokens, const op_shape *shape,
                            double *ms, pdb_origins *from, op_refusal *why) {
    *ms = 0.0;
    for (double done = 0.0; done < tokens; done += CHUNK) {
        double left = tokens - done;
        const double c[3] = {shape->prefix + done, left < CHUNK ? left : CHUNK, shape->batch};
        pdb_value v;
        pdb_miss miss = pdb_grid_query(g, c, -1, logits_price, NULL, &v);
        if (miss != PDB_HIT)
            return op_refuse_miss(why, b, &dsv4_paged_schema, miss, "this head count", DSV4_PAGE);
        *ms += v.latency;
        *from |= v.from;
    }
    return OP_OK;
}

/* What a rank saves on the indexer and its selection compared with the even share of the module. */
static op_class uneven(const op_bound *b, const dsv4_parallel *cp, const op_shape *shape, double per,
                       double *ms, pdb_origins *from, op_refusal *why) {
    const dsv4_params *p = b->op->params;
    double score[2], select[2], ranks = p->cp_size;
    const double tokens[2] = {shape->s, per};
    for (int i = 0; i < 2; i++) {
        op_class cls = sparse_look(b, &dsv4_calibration_schema, cp->select, shape->batch, tokens[i],
                                   shape->prefix, DSV4_PAGE, &select[i], from, why);
        if (cls == OP_OK) /* after that the chunks are few */
            cls = logits_time(b, cp->logits, tokens[i], shape, &score[i], from, why);
        if (cls != OP_OK)
            return cls;
    }
    *ms = (score[0] / ranks - score[1]) + (select[0] / ranks - select[1]);
    return OP_OK;
}

/* ---- the sum ------------------------------------------------------------------------------------------- */

/* What the ranks hand around: the indexer's keys or the window, then the compressed tokens. */
static op_class hand_around(const dsv4_params *p, const dsv4_parallel *cp, op_mode mode,
                            const op_shape *shape, sparse_sum *sum, op_refusal *why) {
    bool windowed = p->window_size > 0 && p->window_size < (int64_t)shape->s;
    double batch = shape->batch, seen = windowed ? (double)p->window_size : shape->s;
    double first =
               p->attn_kind == DSV4_Csa ? batch * shape->s * p->index_head_dim : batch * seen * p->head_dim,
           second = batch * (shape->s / dsv4_ratio(p)) * p->head_dim, ms;
    op_class cls = sparse_gather(cp->gather, mode, first, sum, &ms, why);
    if (cls != OP_OK)
        return cls;
    sum->ms += ms;
    cls = sparse_gather(cp->gather, mode, second, sum, &ms, why);
    if (cls == OP_OK)
        sum->ms += ms;
    return cls;
}

op_class dsv4_parallel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                             op_refusal *why) {
    const dsv4_params *p = b->op->params;
    const dsv4_state *st = b->state;
    const dsv4_parallel *cp = st->parallel;
    op_shape rank = *shape;
    rank.s = sparse_per_rank(shape->s, p->cp_size);
    op_result base;
    double saved;
    op_class cls = op_by_mode(&dsv4_paths, &st->module.b, mode, &rank, &base, why);
    if (cls != OP_OK)
        return cls;
    sparse_sum sum = {.ms = base.latency, .worst = OP_INTERPOLATED};
    sparse_witness(&sum, &base);
    if (cp->missing)
        return op_refuse(why, OP_MISSING, "%s", cp->missing);
    if (p->attn_kind == DSV4_Csa) {
        cls = uneven(b, cp, shape, rank.s, &saved, &sum.from, why);
        if (cls != OP_OK)
            return cls;
        sum.ms += saved;
    }
    cls = hand_around(p, cp, mode, shape, &sum, why);
    if (cls == OP_OK)
        *out = sparse_sum_result(&sum);
    return cls;
}
