/* Binding and querying: what is the same for every kind. */
#include "ops/internal.h"

static bool needs_tables(const op_desc *d) {
    return d->bind && !d->holds_ops;
}

void op_bind(op_binder *binder, const op *o, op_bound *b) {
    *b = (op_bound){.op = o, .view = binder->view, .system = binder->view->system, .reads = o->desc->reads};
    if (binder->mode == OP_SOL && needs_tables(o->desc)) {
        op_refusal why;
        op_refuse_op(&why, o, OP_INVALID, "bound for the SOL mode only");
        op_bind_refuse(binder, b, &why);
    } else if (o->desc->bind) {
        o->desc->bind(binder, b);
    }
}

void op_bind_refuse(op_binder *binder, op_bound *b, const op_refusal *why) {
    b->refused = why->cls;
    b->reason = aic_arena_strdup(binder->arena, why->text);
}

op_class op_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out, op_refusal *why) {
    const op_desc *d = b->op->desc;
    if (b->refused != OP_OK && mode != OP_SOL)
        return op_refuse(why, b->refused, "%s", b->reason);
    op_class cls = d->query(b, mode, shape, out, why);
    if (cls == OP_OK && !d->composite) {
        op_clamp(out);
        op_scale(out, b->op->repeat);
    }
    return cls;
}

static op_class empirical(const op_paths *paths, const op_bound *b, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    if (!paths->empirical)
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "this kind has no empirical estimate (docs/model/modes.md)");
    return paths->empirical(b, shape, out, why);
}

op_class op_by_mode(const op_paths *paths, const op_bound *b, op_mode mode, const op_shape *shape,
                    op_result *out, op_refusal *why) {
    if (mode == OP_SOL)
        return paths->sol(b, shape, out, why);
    if (mode == OP_EMPIRICAL)
        return empirical(paths, b, shape, out, why);
    op_class cls = paths->silicon(b, shape, out, why);
    return mode == OP_HYBRID && cls == OP_MISSING ? empirical(paths, b, shape, out, why) : cls;
}
