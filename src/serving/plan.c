/* The compiled plan: ops bound to tables, rows they fold into, classes of ops that share shapes. */
#include "serving/internal.h"
#include <string.h>

/* The reference's engine reads repeats back from text, at times one ulp off (docs/model/serving.md,
 * "repeats"). */
static void reread_repeats(op_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        op *o = list->items[i];
        o->repeat = mdl_engine_repeat(o->repeat);
        for (size_t f = 0; f < o->desc->n_fields; f++) {
            const op_field *field = &o->desc->fields[f];
            void *at = (char *)o->params + field->offset;
            if (field->type == OP_F_OPS)
                reread_repeats(at);
            else if (field->type == OP_F_OP && *(op **)at)
                reread_repeats(&(op_list){.count = 1, .items = at});
        }
    }
}

static size_t row_named(const srv_row *rows, size_t n, const char *name) {
    size_t i = 0;
    while (i < n && strcmp(rows[i].name, name) != 0)
        i++;
    return i;
}

static bool sees_behind(const op *o) {
    return mdl_tokens_of_op(o, &(mdl_image_tokens){.inside = 0, .behind = 1}) == 1;
}

/* Binds the next op of a walk, unless one before it ends every evaluation. */
static void bind_next(op_binder *binder, const srv_tuning *t, const op *o, srv_walk *walk, srv_op *s) {
    const op_bound *last = walk->n_bound ? &walk->ops[walk->n_bound - 1].bound : NULL;
    bool behind_gap =
        walk->n_bound < (size_t)(s - walk->ops) || (last && op_never_answers(last, binder->mode));
    if (t->to_first_gap && behind_gap) {
        s->bound = (op_bound){.op = o, .reads = o->desc->reads};
        return;
    }
    op_bind(binder, o, &s->bound);
    walk->n_bound++;
}

/* Binds a list and folds equal names into rows, in order of first encounter; rows has room for one per op. */
static void build_walk(srv_deployment *d, const op_list *list, srv_phase phase, srv_walk *walk,
                       srv_row *rows) {
    op_binder binder = {
        .arena = d->arena, .view = d->view, .mode = d->request.database_mode, .policy = d->policy};
    walk->n_ops = list->count;
    walk->ops = aic_arena_alloc(d->arena, list->count, sizeof *walk->ops);
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        srv_op *s = &walk->ops[i];
        bind_next(&binder, &d->tuning, o, walk, s);
        s->row = (uint32_t)row_named(rows, walk->n_rows, o->name);
        s->opens = s->row == walk->n_rows;
        s->logits = phase == SRV_PH_context && op_is_logits(o);
        s->behind = phase == SRV_PH_encoder && sees_behind(o);
        if (s->opens)
            rows[walk->n_rows++] = (srv_row){.phase = phase, .name = o->name, .kind = o->desc->kind};
        rows[s->row].repeat += o->repeat;
    }
}

/* Ops that see as many tokens stand together, the first op's kind first (docs/model/serving.md, "encoder").
 */
static op_list in_encoder_order(srv_deployment *d) {
    const op_list *list = &d->built.encoder;
    op_list out = {.items = aic_arena_alloc(d->arena, list->count, sizeof *out.items)};
    bool alike = d->built.model && d->built.model->vision.merge == 1; /* as many behind as inside */
    for (size_t i = 0; i < list->count; i++)
        if (alike || sees_behind(list->items[i]) == sees_behind(list->items[0]))
            out.items[out.count++] = list->items[i];
    for (size_t i = 0; out.count < list->count; i++)
        if (sees_behind(list->items[i]) != sees_behind(list->items[0]))
            out.items[out.count++] = list->items[i];
    return out;
}

/* Fields that tell two context shapes apart for an op: x follows from batch and s where both are read. */
static unsigned context_key(const srv_op *o) {
    const unsigned both = OP_READS_BATCH | OP_READS_S;
    return (o->bound.reads & both) == both ? o->bound.reads & ~(unsigned)OP_READS_X : o->bound.reads;
}

static void build_keys(srv_deployment *d, srv_plan *plan) {
    srv_walk *walk = &plan->context;
    plan->keys = aic_arena_alloc(d->arena, walk->n_bound, sizeof *plan->keys);
    for (size_t i = 0; i < walk->n_bound; i++) {
        srv_op *o = &walk->ops[i];
        srv_key_class key = {.reads = context_key(o), .logits = o->logits};
        size_t k = 0;
        while (k < plan->n_keys && (plan->keys[k].reads != key.reads || plan->keys[k].logits != key.logits))
            k++;
        if (k == plan->n_keys)
            plan->keys[plan->n_keys++] = key;
        o->key = (uint8_t)k; /* at most 16 sets of fields, with and without logits */
    }
}

static void build_part(srv_deployment *d, srv_walk *walk, const bool *moving, int which, srv_part *part) {
    part->rows = aic_arena_alloc(d->arena, walk->n_rows, sizeof *part->rows);
    part->ops = aic_arena_alloc(d->arena, walk->n_ops, sizeof *part->ops);
    part->slots = aic_arena_alloc(d->arena, walk->n_ops, sizeof *part->slots);
    for (size_t i = 0; i < walk->n_ops; i++) {
        srv_op *o = &walk->ops[i];
        if (moving[o->row] != (which == SRV_MOVING))
            continue;
        size_t slot = 0;
        while (slot < part->n_rows && part->rows[slot] != o->row)
            slot++;
        if (slot == part->n_rows)
            part->rows[part->n_rows++] = o->row; /* rows are numbered by first op, so these ascend too */
        o->part = (uint8_t)which;
        if (i >= walk->n_bound)
            continue; /* its row is there all the same */
        part->ops[part->n_ops] = (uint32_t)i;
        part->slots[part->n_ops++] = (uint32_t)slot;
    }
}

static void build_parts(srv_deployment *d, srv_plan *plan) {
    srv_walk *walk = &plan->generation;
    bool *moving = aic_arena_alloc(d->arena, walk->n_rows, sizeof *moving);
    for (size_t i = 0; i < walk->n_ops; i++)
        if (walk->ops[i].bound.reads & OP_READS_S)
            moving[walk->ops[i].row] = true;
    for (int which = 0; which < SRV_PARTS; which++)
        build_part(d, walk, moving, which, &plan->parts[which]);
}

static void build_walks(srv_deployment *d, srv_plan *plan) {
    mdl_deployment *m = &d->built;
    size_t most = aic_add(m->encoder.count, aic_add(m->context.count, m->generation.count));
    srv_row *rows = aic_arena_alloc(d->arena, most, sizeof *rows), *next = rows;
    if (srv_has_context(d->request.mode)) {
        op_list encoder = in_encoder_order(d);
        reread_repeats(&encoder);
        build_walk(d, &encoder, SRV_PH_encoder, &plan->encoder, next);
        reread_repeats(&m->context);
        build_walk(d, &m->context, SRV_PH_context, &plan->context, next += plan->encoder.n_rows);
        build_keys(d, plan);
    }
    if (srv_has_generation(d->request.mode)) {
        reread_repeats(&m->generation);
        build_walk(d, &m->generation, SRV_PH_generation, &plan->generation, next += plan->context.n_rows);
        build_parts(d, plan);
    }
    d->n_encoder_rows = plan->encoder.n_rows;
    d->n_context_rows = plan->context.n_rows;
    d->n_rows = plan->encoder.n_rows + plan->context.n_rows + plan->generation.n_rows;
    d->rows = rows;
}

static void build_texts(srv_deployment *d, srv_plan *plan) {
    const char *system = d->view->system->name;
    const srv_memory *m = &plan->memory;
    plan->oom_text = aic_arena_printf(
        d->arena, "weights, activations, KV cache and buffers exceed the memory of a GPU (%s, %.4g GiB)",
        system, m->capacity);
    plan->kv_oom_text = aic_arena_printf(
        d->arena, "the KV cache exceeds its budget, fraction %g of the %s memory of a GPU (%s, %.4g GiB)",
        m->fraction, m->of_total ? "whole" : "remaining", system, m->capacity);
}

void srv_plan_build(srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                    double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx) {
    srv_plan *plan = aic_arena_alloc(d->arena, 1, sizeof *plan);
    if (!srv_memory_plan(d, b, facts, d->view->system, &plan->memory, &d->why)) {
        d->refused = d->why.cls == OP_INVALID ? SRV_ST_invalid : SRV_ST_missing;
        return;
    }
    plan->mode = d->request.database_mode;
    plan->memory.kv_bytes = kv_bytes;
    plan->memory.kv_ctx = kv_ctx;
    plan->accepted = d->tuning.project && d->built.nextn > 0 ? d->request.nextn_accepted : 0;
    build_texts(d, plan);
    build_walks(d, plan);
    d->plan = plan;
}
