/* Answers of kinds declared in data: one lookup in one table (docs/model/measured.md). */
#include "ops/measured_internal.h"

#include <math.h>

static const measured_kind *kind_of(const op *o) {
    return o->desc->family;
}

/* ---- weights ------------------------------------------------------------------------------------------- */

bool measured_check(const op *o, aic_error *err) {
    const measured_kind *k = kind_of(o);
    aic_value params[MEASURED_MAX_PARAMS];
    measured_frame f = {.kind = k, .params = params};
    measured_params(o, params);
    double *weight = measured_weight(o);
    *weight = 0.0;
    if (!k->weights)
        return true;
    if (!measured_number(k->weights, &f, weight, err))
        return false;
    return *weight >= 0.0 ||
           aic_fail(err, AIC_BAD_INPUT, "%s \"%s\": negative weights", k->desc.kind, o->name);
}

double measured_weight_bytes(const op *o) {
    return *measured_weight(o);
}

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct measured_state {
    const aic_value *params, *lets;
    const pdb_grid *grid; /* NULL: not bound to a table */
} measured_state;

static measured_frame frame_of(const op_bound *b) {
    const measured_state *st = b->state;
    return (measured_frame){.kind = kind_of(b->op), .params = st->params, .lets = st->lets, .view = b->view};
}

/* An expression that cannot be computed for this op. */
static op_class refuse_value(op_refusal *why, const op_bound *b, const measured_frame *f,
                             const aic_error *err) {
    if (f->no_flops != PDB_Q_UNSET)
        return op_refuse_flops(why, b->op, b->system, f->no_flops);
    return op_refuse_op(why, b->op, OP_INVALID, "%s", err->text);
}

/* Computes what is the same for every shape. */
static op_class compute_lets(op_binder *binder, const op_bound *b, measured_state *st, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    aic_value *params = aic_arena_alloc(binder->arena, k->desc.n_fields, sizeof *params),
              *lets = aic_arena_alloc(binder->arena, k->n_lets, sizeof *lets);
    measured_frame f = {.kind = k, .params = params, .lets = lets, .view = b->view, .arena = binder->arena};
    aic_error err = {0};
    measured_params(b->op, params);
    st->params = params;
    st->lets = lets;
    for (size_t i = 0; i < k->n_lets; i++)
        if (!measured_eval(k->lets[i].value, &f, &lets[i], &err))
            return refuse_value(why, b, &f, &err);
    return OP_OK;
}

static op_class make_key(op_binder *binder, const op_bound *b, op_key *key, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    measured_frame f = frame_of(b);
    aic_error err = {0};
    f.arena = binder->arena;
    for (int i = 0; i < k->schema.n_cats; i++) {
        aic_value v;
        const pdb_column *c = &k->schema.cats[i];
        if (!measured_eval(k->key[i], &f, &v, &err))
            return refuse_value(why, b, &f, &err);
        if (v.type != (c->text ? AIC_V_STR : AIC_V_INT) || (!c->text && v.u.i < 0))
            return op_refuse_op(why, b->op, OP_INVALID, "key %s of %s: expected %s, found %s", c->column,
                                k->schema.table, c->text ? "a text" : "an integer from 0 up",
                                v.type == AIC_V_INT ? "a negative number" : aic_vtype_name(v.type));
        if (c->text)
            op_key_text(key, b->view, v.u.s);
        else
            op_key_int(key, (uint64_t)v.u.i);
    }
    return OP_OK;
}

static op_class find_grid(op_binder *binder, const op_bound *b, const pdb_grid **out, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    const pdb_table *t = op_table(b, &k->schema, MEASURED_PAGE, why);
    op_key key = {0};
    if (!t)
        return OP_MISSING;
    op_class cls = make_key(binder, b, &key, why);
    if (cls != OP_OK)
        return cls;
    const pdb_slice *s = k->schema.n_cats ? pdb_slice_find(t, key.value) : pdb_slice_at(t, 0);
    if (!s)
        return op_refuse_key(why, b, &k->schema, t, &key, 0, MEASURED_PAGE);
    *out = pdb_slice_grid(s);
    return OP_OK;
}

void measured_bind(op_binder *binder, op_bound *b) {
    measured_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why = {0};
    op_class cls = compute_lets(binder, b, st, &why);
    b->state = st;
    if (cls == OP_OK && op_mode_shares(binder->mode))
        cls = find_grid(binder, b, &st->grid, &why);
    if (cls != OP_OK)
        op_bind_refuse(binder, b, &why);
}

/* ---- roofline ------------------------------------------------------------------------------------------ */

typedef struct price {
    measured_frame frame;
    aic_error *err; /* set when something could not be computed */
} price;

/* math and mem at the frame's coordinates; NaN where they cannot be computed. */
static void price_parts(price *p, double *math, double *mem) {
    const measured_kind *k = p->frame.kind;
    *math = *mem = 0.0;
    if ((k->math && !measured_number(k->math, &p->frame, math, p->err)) ||
        (k->mem && !measured_number(k->mem, &p->frame, mem, p->err)))
        *math = *mem = NAN;
}

/* ctx: pointer to a price. A kind without a roofline has no price anywhere. */
static double table_sol(const void *ctx, const double *coords) {
    price *p = *(price *const *)ctx;
    double math, mem;
    p->frame.axes = coords;
    price_parts(p, &math, &mem);
    return op_max(math, mem);
}

static op_class no_roofline(op_refusal *why, const op_bound *b, op_class cls) {
    return op_refuse_op(why, b->op, cls, "the kind declares no sol: (docs/formats/measured_op.md)");
}

void measured_bind_estimate(op_binder *binder, op_bound *b) {
    const measured_kind *k = kind_of(b->op);
    const measured_state *st = b->state;
    op_refusal why = {0};
    const pdb_grid *grid = st->grid;
    if (b->refused != OP_OK && b->refused != OP_MISSING)
        op_refuse(&why, b->refused, "%s", b->reason);
    else if (!k->math && !k->mem)
        no_roofline(&why, b, OP_NO_EMPIRICAL);
    else if (!grid && find_grid(binder, b, &grid, &why) == OP_MISSING)
        why.cls = OP_NO_EMPIRICAL;
    if (why.cls != OP_OK) {
        op_bind_refuse_estimate(binder, b, &why);
        return;
    }
    aic_error err = {0};
    price p = {frame_of(b), &err}, *ctx = &p;
    b->estimate = op_util_of_grid(binder, grid, table_sol, &ctx);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static op_class place(const op_bound *b, const op_shape *shape, double *coords, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    measured_frame f = frame_of(b);
    aic_error err = {0};
    f.shape = shape;
    for (int i = 0; i < k->schema.n_axes; i++)
        if (!measured_number(k->place[i], &f, &coords[i], &err))
            return refuse_value(why, b, &f, &err);
    return OP_OK;
}

static op_class measured_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    const measured_state *st = b->state;
    double coords[PDB_MAX_AXES];
    op_class cls = place(b, shape, coords, why);
    if (cls != OP_OK)
        return cls;
    aic_error err = {0};
    price p = {frame_of(b), &err}, *ctx = &p;
    pdb_value v;
    pdb_miss miss = pdb_grid_query(st->grid, coords, k->sqrt_axis, table_sol, &ctx, &v);
    if (err.text[0])
        return refuse_value(why, b, &p.frame, &err);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, &k->schema, miss, "its key", MEASURED_PAGE);
    *out = op_measured(&v);
    return OP_OK;
}

static op_class measured_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const measured_kind *k = kind_of(b->op);
    double coords[PDB_MAX_AXES], math, mem;
    if (b->refused != OP_OK && b->refused != OP_MISSING)
        return op_refuse(why, b->refused, "%s", b->reason);
    if (!k->math && !k->mem)
        return no_roofline(why, b, OP_NO_SOL);
    op_class cls = place(b, shape, coords, why);
    if (cls != OP_OK)
        return cls;
    aic_error err = {0};
    price p = {frame_of(b), &err};
    p.frame.axes = coords;
    price_parts(&p, &math, &mem);
    if (err.text[0])
        return refuse_value(why, b, &p.frame, &err);
    *out = op_sol_pair(math, mem);
    return OP_OK;
}

static op_class measured_empirical(const op_bound *b, const op_shape *shape, op_result *out,
                                   op_refusal *why) {
    double coords[PDB_MAX_AXES];
    op_result sol;
    op_class cls = measured_sol(b, shape, &sol, why);
    if (cls == OP_OK)
        cls = place(b, shape, coords, why);
    if (cls != OP_OK)
        return cls;
    return op_estimate(b, b->estimate, coords, sol.latency, 1.0, OP_TIER_empirical, out, why);
}

op_class measured_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                        op_refusal *why) {
    static const op_paths paths = {measured_silicon, measured_empirical, measured_sol};
    return op_by_mode(&paths, b, mode, shape, out, why);
}
