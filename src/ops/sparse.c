/* Counts, refusals and context parallelism of the sparse-attention modules (docs/model/dsa.md). */
#include "ops/comm_internal.h"
#include "ops/sparse_internal.h"

/* ---- counts and refusals ------------------------------------------------------------------------------- */

double sparse_pairs(double batch, double fresh, double prefix, double limit) {
    double full = fresh + prefix, before = prefix * (prefix + 1.0);
    if (full <= limit)
        return batch * (full * (full + 1.0) - before) / 2.0;
    if (prefix >= limit)
        return batch * fresh * limit;
    return batch * (limit * (limit + 1.0) - before) / 2.0 + batch * (full - limit) * limit;
}

op_class sparse_flops(const op_bound *b, pdb_quant mode, double *out, op_refusal *why) {
    *out = pdb_flops(b->system, mode);
    return *out > 0.0 ? OP_OK : op_refuse_flops(why, b->op, b->system, mode);
}

void sparse_bind_refuse_estimate(op_binder *binder, op_bound *b, const op_refusal *why) {
    op_refusal estimate = *why;
    if (estimate.cls == OP_MISSING)
        estimate.cls = OP_NO_EMPIRICAL;
    op_bind_refuse_estimate(binder, b, &estimate);
}

/* ---- context parallelism ------------------------------------------------------------------------------- */

uint32_t sparse_per_rank(uint32_t tokens, uint32_t cp) {
    return op_at_least_1((uint32_t)op_ceildiv(tokens, cp));
}

void sparse_witness(sparse_sum *sum, const op_result *part) {
    for (op_cover c = OP_MEASURED; c < OP_COVERS; c++)
        if (part->cover[c] > 0.0 && c > sum->worst)
            sum->worst = c;
    sum->tier = part->tier > sum->tier ? part->tier : sum->tier;
    sum->from |= part->from;
}

op_result sparse_sum_result(const sparse_sum *sum) {
    op_result r = {.latency = sum->ms, .source = OP_SRC_estimated, .tier = sum->tier, .from = sum->from};
    op_cover_all(&r, sum->worst);
    return r;
}

uint32_t sparse_key_from(const uint64_t *keys, uint32_t lo, uint32_t hi, double x) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((double)keys[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The key of lo..hi (not empty) nearest to x, ties to the smaller one. */
static uint32_t nearest(const uint64_t *keys, uint32_t lo, uint32_t hi, double x) {
    uint32_t after = sparse_key_from(keys, lo, hi, x);
    if (after == hi || (after > lo && x - (double)keys[after - 1] <= (double)keys[after] - x))
        return after - 1;
    return after;
}

op_class sparse_look(const op_bound *b, const pdb_schema *schema, const pdb_grid *g, double batch,
                     double tokens, double prefix, const char *page, double *ms, pdb_origins *from,
                     op_refusal *why) {
    uint32_t row = nearest(g->keys[0], 0, g->n[0], batch);
    uint32_t lo = g->first[0][row], hi = g->first[0][row + 1];
    if (tokens > (double)g->keys[1][hi - 1])
        return op_refuse_op(why, b->op, OP_MISSING,
                            "context parallelism: %s of %s/%s/%s ends at %lu new tokens (docs/model/%s.md)",
                            schema->table, b->system->name, b->view->backend, b->view->version,
                            (unsigned long)g->keys[1][hi - 1], page);
    row = nearest(g->keys[1], lo, hi, tokens);
    lo = g->first[1][row];
    hi = g->first[1][row + 1];
    const uint64_t *steps = g->keys[2];
    uint32_t above = sparse_key_from(steps, lo, hi, prefix), below = above;
    if (above == hi)
        above = below = hi - 1;
    else if (above > lo && (double)steps[above] > prefix)
        below = above - 1;
    double low = g->latency[below], high = g->latency[above];
    *from |= pdb_leaf_from(g, below) | pdb_leaf_from(g, above);
    *ms = below == above ? low
                         : low + (high - low) * (prefix - (double)steps[below]) /
                                     ((double)steps[above] - (double)steps[below]);
    return OP_OK;
}

const op_bound *sparse_bind_gather(op_binder *binder, const op_bound *b, uint32_t cp) {
    op_bound *gather = aic_arena_alloc(binder->arena, 1, sizeof *gather);
    op_bind(binder, comm_make_nccl(binder->arena, b->op->name, cp, COMM_all_gather, 1.0), gather);
    return gather;
}

op_class sparse_gather(const op_bound *gather, op_mode mode, double elements, sparse_sum *sum, double *ms,
                       op_refusal *why) {
    op_result r;
    op_class cls = comm_nccl_elements(gather, mode, elements, &r, why);
    if (cls != OP_OK)
        return cls;
    sparse_witness(sum, &r);
    *ms = r.latency;
    return OP_OK;
}
