/* Overlap and Fallback: ops that hold ops (docs/model/results.md). */
#include "ops/internal.h"

/* Bound members of a list. */
typedef struct group {
    size_t count;
    op_bound *items;
} group;

/* Adds the records of a member to those of b. */
static void add_substitutions(op_binder *binder, op_bound *b, const op_bound *member) {
    for (const op_substitution *s = member->substitutions; s; s = s->next) {
        op_substitution *copy = aic_arena_alloc(binder->arena, 1, sizeof *copy);
        *copy = *s;
        copy->next = b->substitutions;
        b->substitutions = copy;
    }
}

/* Binds a list into `to`. */
static group bind_group(op_binder *binder, op_bound *b, const op_list *list, op_bound *to) {
    group g = {list->count, to};
    for (size_t i = 0; i < g.count; i++) {
        op_bind(binder, list->items[i], &g.items[i]);
        add_substitutions(binder, b, &g.items[i]);
    }
    return g;
}

/* What of a list is known before any shape: its first refusal, if there is no earlier member, or earlier
 * members can only miss for their shape, and so in the same class. */
static void inherit_refusal(op_bound *b, const op_bound *members, size_t n) {
    size_t i = 0;
    while (i < n && members[i].refused == OP_OK && !members[i].op->desc->composite)
        i++;
    if (i < n && (i == 0 || members[i].refused == OP_MISSING)) {
        b->refused = members[i].refused;
        b->reason = members[i].reason;
    }
}

static op_tier worse(op_tier a, op_tier b) {
    return a > b ? a : b;
}

/* Members one after the other. Refused, the sum still has the tier of what was estimated before. */
static op_class sum_group(const group *g, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    *out = op_seed();
    for (size_t i = 0; i < g->count; i++) {
        op_result r = op_seed();
        op_class cls = op_query(&g->items[i], mode, shape, &r, why);
        if (cls != OP_OK) {
            out->tier = worse(out->tier, r.tier);
            return cls;
        }
        *out = op_plus(out, &r);
    }
    return OP_OK;
}

static double list_weights(const op_list *list) {
    double sum = 0.0;
    for (size_t i = 0; i < list->count; i++)
        sum += op_weight_bytes(list->items[i]);
    return sum;
}

/* ---- Overlap: two groups on parallel streams ----------------------------------------------------------- */

typedef struct overlap_params {
    op_list group_a, group_b;
} overlap_params;

typedef struct overlap_state {
    group a, b;
} overlap_state;

static void overlap_bind(op_binder *binder, op_bound *b) {
    const overlap_params *p = b->op->params;
    overlap_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    size_t n = aic_add(p->group_a.count, p->group_b.count);
    op_bound *members = aic_arena_alloc(binder->arena, n, sizeof *members);
    st->a = bind_group(binder, b, &p->group_a, members);
    st->b = bind_group(binder, b, &p->group_b, members + st->a.count);
    b->state = st;
    inherit_refusal(b, members, n);
}

static op_class overlap_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                              op_refusal *why) {
    const overlap_state *st = b->state;
    op_result x, y = op_seed();
    op_class cls = sum_group(&st->a, mode, shape, &x, why);
    if (cls == OP_OK)
        cls = sum_group(&st->b, mode, shape, &y, why);
    if (cls != OP_OK) {
        out->tier = worse(x.tier, y.tier);
        return cls;
    }
    op_result both = op_plus(&x, &y);
    *out = x.latency >= y.latency ? x : y;
    out->energy = both.energy;
    out->source = both.source;
    out->tier = both.tier;
    out->from = both.from;
    out->has_sol = false;
    out->sol_math = out->sol_mem = 0.0;
    op_clamp(out);
    return OP_OK;
}

static double overlap_weights(const op *o) {
    const overlap_params *p = o->params;
    return list_weights(&p->group_a) + list_weights(&p->group_b);
}

static const op_field overlap_fields[] = {
    OP_MEMBERS(overlap_params, group_a),
    OP_MEMBERS(overlap_params, group_b),
};

const op_desc op_desc_overlap = {.kind = "Overlap",
                                 .summary = "two groups of ops on parallel streams: the longer one counts",
                                 .params_size = sizeof(overlap_params),
                                 .fields = overlap_fields,
                                 .n_fields = OP_COUNT(overlap_fields),
                                 .composite = true,
                                 .holds_ops = true,
                                 .bind = overlap_bind,
                                 .query = overlap_query,
                                 .weight_bytes = overlap_weights};

/* ---- Fallback: a measured module, or the ops it is made of --------------------------------------------- */

typedef struct fallback_params {
    op *primary;
    op_list fallback;
} fallback_params;

typedef struct fallback_state {
    op_bound primary;
    group chain;
} fallback_state;

/* The primary is asked for measurements also where misses may be estimated. */
static op_mode primary_mode(op_mode mode) {
    return mode == OP_HYBRID ? OP_SILICON : mode;
}

static void fallback_bind(op_binder *binder, op_bound *b) {
    const fallback_params *p = b->op->params;
    fallback_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_binder measured = *binder;
    measured.mode = primary_mode(binder->mode);
    op_bind(&measured, p->primary, &st->primary);
    op_bound *chain = aic_arena_alloc(binder->arena, p->fallback.count, sizeof *chain);
    st->chain = bind_group(binder, b, &p->fallback, chain);
    b->state = st;
    if (st->primary.refused != OP_MISSING) { /* its own records are those of the answers then */
        b->substitutions = NULL;
        add_substitutions(binder, b, &st->primary);
    }
    if (st->primary.refused == OP_MISSING)
        inherit_refusal(b, chain, st->chain.count);
    else
        inherit_refusal(b, &st->primary, 1);
}

/* Only missing data turns to the chain. What a composite primary estimated before it met the gap counts among
 * the tiers of the answer. */
static op_class fallback_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                               op_refusal *why) {
    const fallback_state *st = b->state;
    *out = op_seed();
    op_class cls = op_query(&st->primary, primary_mode(mode), shape, out, NULL);
    if (cls == OP_OK)
        return cls;
    if (cls != OP_MISSING)
        return op_query(&st->primary, primary_mode(mode), shape, out, why); /* again, for its text */
    op_tier before = out->tier;
    cls = sum_group(&st->chain, mode, shape, out, why);
    out->tier = worse(before, out->tier);
    out->has_sol = false;
    out->sol_math = out->sol_mem = 0.0;
    op_clamp(out);
    return cls;
}

/* The primary's: the chain is for those that miss. */
static bool fallback_fan(const op_bound *b, op_fan_source *out) {
    const op_bound *primary = &((const fallback_state *)b->state)->primary;
    const op_desc *d = primary->op->desc;
    if (primary->refused != OP_OK || !d->fan || !d->fan(primary, out))
        return false;
    out->op = out->op ? out->op : primary;
    return true;
}

static double fallback_weights(const op *o) {
    const fallback_params *p = o->params;
    double primary = op_weight_bytes(p->primary);
    return primary > 0.0 ? primary : list_weights(&p->fallback);
}

static const op_field fallback_fields[] = {
    OP_MEMBER(fallback_params, primary),
    OP_MEMBERS(fallback_params, fallback),
};

const op_desc op_desc_fallback = {.kind = "Fallback",
                                  .summary =
                                      "a measured module, or the ops it is made of when it has no data",
                                  .params_size = sizeof(fallback_params),
                                  .fields = fallback_fields,
                                  .n_fields = OP_COUNT(fallback_fields),
                                  .composite = true,
                                  .holds_ops = true,
                                  .bind = fallback_bind,
                                  .query = fallback_query,
                                  .fan = fallback_fan,
                                  .weight_bytes = fallback_weights};
