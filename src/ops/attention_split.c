/* What prefills share: the share a cached prefix leaves, and the chunks of context parallelism
 * (docs/model/attention.md). */
#include "ops/attention_internal.h"

double attention_prefix_correction(double full, double prefix) {
    return full == 0.0 ? 0.0 : (full * full - prefix * prefix) / (full * full);
}

op_class attention_split(const op_paths *paths, const op_bound *b, op_mode mode, uint32_t cp_size,
                         const op_shape *shape, op_result *out, op_refusal *why) {
    if (cp_size <= 1)
        return op_by_mode(paths, b, mode, shape, out, why);
    if (shape->s == 0 && shape->prefix == 0)
        return op_refuse_op(why, b->op, OP_INVALID, "context parallelism needs at least one new token");
    uint64_t chunks = 2 * (uint64_t)cp_size;
    op_shape first = *shape, last = *shape;
    first.s = last.s = op_at_least_1((uint32_t)((shape->s + chunks - 1) / chunks));
    uint64_t behind = (uint64_t)shape->prefix + shape->s - first.s;
    if (behind > UINT32_MAX)
        return op_refuse_op(why, b->op, OP_INVALID, "more than 4294967295 tokens in one sequence");
    last.prefix = (uint32_t)behind;
    op_result x, y;
    op_class cls = op_by_mode(paths, b, mode, &first, &x, why);
    if (cls == OP_OK)
        cls = op_by_mode(paths, b, mode, &last, &y, why);
    if (cls == OP_OK)
        *out = op_plus(&x, &y);
    return cls;
}
