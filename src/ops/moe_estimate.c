/* What estimates of expert computation are calibrated from: the own curve, other shapes of the mode, other
 * modes (docs/model/moe.md, "estimates"). */
#include "ops/moe_estimate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 4, TP = MOE_CAT_SHAPE + 4, EP = MOE_CAT_SHAPE + 5 }; /* what shapes are told apart by */

/* Measured shapes with the op's parallelism. */
typedef struct candidates {
    size_t n;
    const pdb_slice **slices; /* heap, as many as the table has slices */
} candidates;

typedef struct search {
    op_binder *binder;
    const op_bound *b;
    const pdb_table *t;
    uint64_t table;
    const moe_wanted *w;
    const moe_sol *sol; /* of the op */
} search;

/* ---- reference shapes ---------------------------------------------------------------------------------- */

static int by_shape(const void *x, const void *y) {
    const uint64_t *a = (*(const pdb_slice *const *)x)->cat + MOE_CAT_SHAPE,
                   *b = (*(const pdb_slice *const *)y)->cat + MOE_CAT_SHAPE;
    for (int i = 0; i < FEATURES; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* Appends a mode's shapes, ascending. */
static void add_shapes(const search *q, pdb_quant mode, candidates *c) {
    op_key key;
    if (!moe_find_distribution(q->b, q->t, q->table, mode, q->w->distribution, &key))
        return;
    size_t from = c->n;
    for (size_t i = 0; i < pdb_slice_count(q->t); i++) {
        const pdb_slice *s = pdb_slice_at(q->t, i);
        if (moe_slice_matches(s, &key) && s->cat[TP] == q->w->shape.tp && s->cat[EP] == q->w->shape.ep)
            c->slices[c->n++] = s;
    }
    qsort(c->slices + from, c->n - from, sizeof *c->slices, by_shape);
}

/* Samples of a curve under a price; NULL when it has none. */
static const pdb_util *samples(const search *q, const pdb_grid *curve, const moe_sol *sol) {
    const pdb_util *u = op_util_of_grid(q->binder, curve, moe_table_sol, sol);
    return pdb_util_count(u) ? u : NULL;
}

/* Samples of the nearest candidate, priced as its shape in the mode of `sol`. */
static const pdb_util *nearest_shape(const search *q, const candidates *c, moe_sol sol) {
    const moe_shape *s = &q->w->shape;
    const double wanted[FEATURES] = {s->topk, s->experts, s->hidden, s->inter};
    double *features = aic_alloc(c->n, sizeof wanted);
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < FEATURES; k++)
            features[i * FEATURES + k] = (double)c->slices[i]->cat[MOE_CAT_SHAPE + k];
    int at = pdb_nearest_ref(FEATURES, wanted, c->n, features);
    free(features);
    if (at < 0)
        return NULL;
    const uint64_t *shape = c->slices[at]->cat + MOE_CAT_SHAPE;
    sol.topk = shape[0];
    sol.experts = shape[1];
    sol.hidden = shape[2];
    sol.inter = shape[3];
    return samples(q, pdb_slice_grid(c->slices[at]), &sol);
}

/* ---- the ladder ---------------------------------------------------------------------------------------- */

/* Other shapes of the mode or, when there are none, shapes of the modes that run like it. */
static void same_profile(const search *q, const pdb_quant *modes, size_t n, candidates *c, moe_basis *out) {
    c->n = 0;
    out->tier = OP_TIER_xshape;
    if (op_policy_allows(q->binder, OP_TIER_xshape))
        add_shapes(q, q->w->quant, c);
    if (c->n == 0 && op_policy_allows(q->binder, OP_TIER_xquant)) {
        out->tier = OP_TIER_xquant;
        for (size_t i = 0; i < n; i++)
            if (modes[i] != q->w->quant && op_same_profile(modes[i], q->w->quant))
                add_shapes(q, modes[i], c);
    }
    if (c->n)
        out->util = nearest_shape(q, c, *q->sol);
}

/* The nearest mode of another profile that has samples, under its own price, by what is usual for both. */
static op_class other_profile(const search *q, const pdb_quant *modes, size_t n, candidates *c,
                              moe_basis *out, op_refusal *why) {
    pdb_quant others[PDB_QUANT_COUNT];
    n = op_other_profiles(q->w->quant, 1.0, modes, n, others);
    for (size_t i = 0; i < n && !out->util; i++) {
        c->n = 0;
        add_shapes(q, others[i], c);
        if (c->n == 0)
            continue;
        moe_sol sol = *q->sol;
        sol.bytes = pdb_quant_get(others[i])->bytes;
        sol.flops = pdb_flops(q->b->system, others[i]);
        if (!(sol.flops > 0.0))
            return op_refuse_flops(why, q->b->op, q->b->system, others[i]);
        out->util = nearest_shape(q, c, sol);
        out->scale = op_profile_ratio(q->w->quant, others[i], PDB_MOE);
        out->tier = OP_TIER_xprofile;
    }
    return OP_OK;
}

static op_class transfer(const search *q, moe_basis *out, op_refusal *why) {
    pdb_quant modes[PDB_QUANT_COUNT];
    size_t n = op_modes_of(q->b, q->t, MOE_CAT_QUANT, &q->table, PDB_MOE, modes);
    candidates c = {.slices = aic_alloc(pdb_slice_count(q->t), sizeof *c.slices)};
    op_class cls = OP_OK;
    same_profile(q, modes, n, &c, out);
    if (!out->util && op_policy_allows(q->binder, OP_TIER_xprofile))
        cls = other_profile(q, modes, n, &c, out, why);
    free(c.slices);
    if (cls != OP_OK || out->util)
        return cls;
    char about[64];
    snprintf(about, sizeof about, "mode %s", pdb_quant_get(q->w->quant)->name);
    return op_refuse_basis(why, q->b, &moe_schema, about);
}

static void refuse(op_binder *binder, moe_basis *out, const op_refusal *why) {
    out->refused = why->cls;
    out->reason = aic_arena_strdup(binder->arena, why->text);
}

static moe_basis find_basis(const search *q, const pdb_grid *own) {
    moe_basis out = {.util = own ? samples(q, own, q->sol) : NULL, .scale = 1.0, .tier = OP_TIER_empirical};
    op_refusal why;
    if (!out.util && transfer(q, &out, &why) != OP_OK)
        refuse(q->binder, &out, &why);
    return out;
}

/* Without a table, whoever would look into it for a stand-in meets the missing table itself. */
static void no_table(op_binder *binder, bool low_latency, op_refusal *why, moe_estimate *e) {
    const bool stands_in =
        op_policy_allows(binder, OP_TIER_xquant) || op_policy_allows(binder, OP_TIER_xprofile);
    e->has_low = low_latency;
    refuse(binder, &e->low, why);
    why->cls = stands_in ? OP_MISSING : OP_NO_EMPIRICAL;
    refuse(binder, &e->standard, why);
}

void moe_calibrate(op_binder *binder, const op_bound *b, const moe_wanted *w, bool low_latency,
                   moe_estimate *e) {
    op_refusal why;
    op_key key;
    const pdb_table *t = op_table(b, &moe_schema, MOE_PAGE, &why);
    if (!t) {
        no_table(binder, low_latency, &why, e);
        return;
    }
    search q = {binder, b, t, MOE_LOW_LATENCY, w, &e->sol};
    const pdb_grid *low = low_latency ? moe_find_curve(b, t, MOE_LOW_LATENCY, w, &key) : NULL;
    e->has_low = low != NULL;
    if (low)
        e->low = find_basis(&q, low);
    q.table = MOE_STANDARD;
    e->standard = find_basis(&q, moe_find_curve(b, t, MOE_STANDARD, w, &key));
}
