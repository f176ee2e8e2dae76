/* The compiled plan: an outline of op lists with ops bound to tables. */
#include "serving/shared.h"
#include <string.h>

/* What the ops of a deployment are bound with. */
typedef struct binding {
    const srv_lease *lease;
    const srv_lanes *lanes;
    op_binder binder;
    bool to_first_gap;
} binding;

/* Binds the next op of a walk, unless one before it ends every evaluation. */
static void bind_next(binding *b, srv_walk *walk, size_t i) {
    srv_op *o = &walk->ops[i];
    const op_bound *last = walk->n_bound ? &walk->ops[walk->n_bound - 1].bound : NULL;
    bool behind_gap = walk->n_bound < i || (last && op_never_answers(last, b->binder.mode));
    if (b->to_first_gap && behind_gap)
        return;
    if (b->lanes && op_chooses_lane(o->bound.op))
        srv_shared_put_lanes(b->lease, b->lanes, o);
    srv_shared_bind(b->lease, &b->binder, o);
    walk->n_bound++;
}

static srv_walk bind_walk(binding *b, const srv_lines *lines) {
    srv_walk walk = {.n_ops = lines->n_ops,
                     .n_rows = lines->n_rows,
                     .ops = aic_arena_alloc(b->binder.arena, lines->n_ops, sizeof *walk.ops)};
    for (size_t i = 0; i < walk.n_ops; i++) {
        const srv_line *l = &lines->ops[i];
        walk.ops[i] = (srv_op){.bound = {.op = l->op, .reads = l->reads},
                               .identity = l->identity,
                               .row = l->row,
                               .opens = l->opens,
                               .logits = l->logits,
                               .behind = l->behind,
                               .key = l->key,
                               .part = l->part};
        bind_next(b, &walk, i);
    }
    return walk;
}

/* Classes of the ops that are bound: the leading ones. */
static size_t count_keys(const srv_walk *walk) {
    size_t n = 0;
    for (size_t i = 0; i < walk->n_bound; i++)
        n = walk->ops[i].key >= n ? walk->ops[i].key + 1u : n;
    return n;
}

/* The part with ops that are bound; rows of others are there all the same. */
static srv_part bound_part(const srv_part *part, size_t n_bound) {
    srv_part out = *part;
    while (out.n_ops > 0 && out.ops[out.n_ops - 1] >= n_bound)
        out.n_ops--;
    return out;
}

static void bind_walks(binding *b, srv_deployment *d, const srv_outline *outline, srv_plan *plan) {
    d->rows = outline->rows;
    if (srv_has_context(d->request.mode)) {
        plan->encoder = bind_walk(b, &outline->encoder);
        plan->context = bind_walk(b, &outline->context);
        plan->keys = outline->keys;
        plan->n_keys = count_keys(&plan->context);
    } else {
        d->rows += outline->encoder.n_rows + outline->context.n_rows;
    }
    if (srv_has_generation(d->request.mode)) {
        plan->generation = bind_walk(b, &outline->generation);
        for (int which = 0; which < SRV_PARTS; which++)
            plan->parts[which] = bound_part(&outline->parts[which], plan->generation.n_bound);
    }
    memcpy(d->rows_hash, outline->rows_hash[d->request.mode], sizeof d->rows_hash);
    d->n_encoder_rows = plan->encoder.n_rows;
    d->n_context_rows = plan->context.n_rows;
    d->n_rows = plan->encoder.n_rows + plan->context.n_rows + plan->generation.n_rows;
}

void srv_plan_build(const srv_lease *lease, srv_deployment *d, const srv_lists *lists, const srv_backend *b,
                    const srv_facts *facts, double (*kv_bytes)(const void *ctx, double tokens),
                    const void *kv_ctx) {
    srv_plan *plan = aic_arena_alloc(d->arena, 1, sizeof *plan);
    if (!srv_memory_plan(d, b, facts, d->view->system, &plan->memory, &d->why)) {
        d->refused = d->why.cls == OP_INVALID ? SRV_ST_invalid : SRV_ST_missing;
        return;
    }
    plan->mode = d->request.database_mode;
    plan->memory.kv_bytes = kv_bytes;
    plan->memory.kv_ctx = kv_ctx;
    plan->accepted = d->tuning.project && d->built.nextn > 0 ? d->request.nextn_accepted : 0;
    plan->verdicts = srv_shared_verdicts(lease, &plan->memory, d->view->system, d->arena);
    binding with = {.lease = lease,
                    .lanes = lists->lanes,
                    .binder = {d->arena, d->view, d->request.database_mode, d->policy},
                    .to_first_gap = d->tuning.to_first_gap};
    bind_walks(&with, d, lists->outline, plan);
    d->plan = plan;
}

void srv_plan_alone(srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                    double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx) {
    const srv_lease none = {0};
    const srv_lists lists = {.outline = srv_outline_make(&d->built, d->arena)};
    srv_plan_build(&none, d, &lists, b, facts, kv_bytes, kv_ctx);
}
