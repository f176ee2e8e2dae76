/* Binding and querying: what is the same for every kind. */
#include "ops/internal.h"

static bool binds_always(const op_desc *d) {
    return d->holds_ops || d->every_mode;
}

/* A path that the binder's mode has no use for answers nothing, should it be asked all the same. */
void op_bind(op_binder *binder, const op *o, op_bound *b) {
    const op_desc *d = o->desc;
    bool measures = op_mode_measures(binder->mode);
    bool estimates = binder->mode == OP_HYBRID || binder->mode == OP_EMPIRICAL;
    *b = (op_bound){.op = o,
                    .view = binder->view,
                    .system = binder->view->system,
                    .reads = d->composite ? op_reads(o) : d->reads};
    if (d->bind && (measures || binds_always(d))) {
        d->bind(binder, b);
    } else if (d->bind) {
        b->refused = OP_INVALID;
        b->reason = binder->mode == OP_SOL ? "this op was bound for the SOL mode only"
                                           : "this op was bound for the EMPIRICAL mode only";
    }
    if (d->bind_estimate && estimates) {
        d->bind_estimate(binder, b);
    } else if (d->bind_estimate) {
        b->estimate_refused = OP_INVALID;
        b->estimate_reason = "this op was bound for a mode without estimates";
    }
}

void op_bind_refuse(op_binder *binder, op_bound *b, const op_refusal *why) {
    b->refused = why->cls;
    b->reason = aic_arena_strdup(binder->arena, why->text);
}

void op_bind_refuse_estimate(op_binder *binder, op_bound *b, const op_refusal *why) {
    b->estimate_refused = why->cls;
    b->estimate_reason = aic_arena_strdup(binder->arena, why->text);
}

/* A refusal at bind that no other path of the mode can mend. */
bool op_never_answers(const op_bound *b, op_mode mode) {
    return b->refused != OP_OK && (mode == OP_SILICON || (mode == OP_HYBRID && b->refused != OP_MISSING));
}

op_class op_query_once(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                       op_refusal *why) {
    const op_desc *d = b->op->desc;
    if (op_never_answers(b, mode))
        return op_refuse(why, b->refused, "%s", b->reason);
    op_class cls = d->query(b, mode, shape, out, why);
    if (cls == OP_OK && !d->composite && !d->unclamped)
        op_clamp(out);
    return cls;
}

size_t op_query_many(const op_bound *b, op_mode mode, const op_shape *shapes, size_t n, op_result *out) {
    const op_desc *d = b->op->desc;
    if (!d->many || !op_mode_measures(mode) || b->refused != OP_OK)
        return 0;
    size_t answered = d->many(b, mode, shapes, n, out);
    for (size_t i = 0; i < answered && !d->composite && !d->unclamped; i++)
        op_clamp(&out[i]);
    return answered;
}

op_class op_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out, op_refusal *why) {
    op_class cls = op_query_once(b, mode, shape, out, why);
    if (cls == OP_OK && !b->op->desc->composite)
        op_scale(out, b->op->repeat);
    return cls;
}

static op_class empirical(const op_paths *paths, const op_bound *b, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    if (b->estimate_refused != OP_OK)
        return op_refuse(why, b->estimate_refused, "%s", b->estimate_reason);
    if (!paths->empirical)
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "this kind has no empirical estimate (docs/model/modes.md)");
    return paths->empirical(b, shape, out, why);
}

static op_class silicon(const op_paths *paths, const op_bound *b, const op_shape *shape, op_result *out,
                        op_refusal *why) {
    if (b->refused != OP_OK)
        return op_refuse(why, b->refused, "%s", b->reason);
    return paths->silicon(b, shape, out, why);
}

op_class op_by_mode(const op_paths *paths, const op_bound *b, op_mode mode, const op_shape *shape,
                    op_result *out, op_refusal *why) {
    if (mode == OP_SOL)
        return paths->sol(b, shape, out, why);
    if (mode == OP_EMPIRICAL)
        return empirical(paths, b, shape, out, why);
    if (mode == OP_SILICON)
        return silicon(paths, b, shape, out, why);
    op_class cls = silicon(paths, b, shape, out, NULL); /* a miss needs no text here */
    if (cls == OP_MISSING)
        return empirical(paths, b, shape, out, why);
    return cls == OP_OK ? cls : silicon(paths, b, shape, out, why);
}
