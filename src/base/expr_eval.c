/* Evaluator of the expression language. Recursion follows the nesting, at most AIC_EXPR_MAX_DEPTH levels of
 * it. */
#include "base/error_internal.h"
#include "base/expr_internal.h"
#include <stdlib.h>
#include <string.h>

enum { FEW_ARGS = 8 }; /* calls with no more arguments need no memory */

typedef struct run {
    const aic_expr *e;
    const aic_env *env;
    aic_arena *arena; /* may be NULL */
    aic_error *err;
    aic_value *locals; /* variables of comprehensions */
    size_t *steps;     /* items run through so far */
} run;

static bool eval(const run *r, const aic_enode *n, aic_value *out);

bool aic_expr_locate(const aic_expr *e, size_t pos, aic_error *err) {
    int line = e->line, column = e->column;
    aic_expr_position(e->text, pos, &line, &column);
    return aic_locate(e->file, line, column, err);
}

static bool eval_args(const run *r, const aic_enode *n, aic_value *values) {
    for (size_t i = 0; i < n->n; i++)
        if (!eval(r, n->args[i].node, &values[i]))
            return false;
    return true;
}

static bool eval_call(const run *r, const aic_enode *n, aic_value *out) {
    aic_value few[FEW_ARGS], *args = n->n <= FEW_ARGS ? few : aic_alloc(n->n, sizeof *args);
    void *ctx = n->type == AIC_N_BUILTIN ? r->steps : r->env ? r->env->fn_ctx : NULL;
    bool ok = eval_args(r, n, args);
    if (ok && !n->fn->call(ctx, r->arena, args, (int)n->n, out, r->err))
        ok = aic_expr_locate(r->e, n->pos, r->err);
    if (args != few)
        free(args);
    return ok;
}

static bool eval_list(const run *r, const aic_enode *n, aic_value *out) {
    if (!r->arena)
        return aic_expr_fail(r->e, n->pos, r->err, "a list with names in it cannot be made here");
    aic_value *items = aic_arena_alloc(r->arena, n->n, sizeof *items);
    if (!eval_args(r, n, items))
        return false;
    *out = aic_value_list(r->arena, items, n->n);
    return true;
}

/* One turn of a comprehension: several variables take a list apart. */
static bool bind_turn(const run *r, const aic_enode *n, const aic_value *item) {
    if (++*r->steps > AIC_EXPR_MAX_STEPS)
        return aic_expr_fail(r->e, n->pos, r->err, "more than %d items to run through", AIC_EXPR_MAX_STEPS);
    if (n->n_names == 1) {
        r->locals[n->slot] = *item;
        return true;
    }
    if (item->type != AIC_V_LIST || item->u.list->count != n->n_names)
        return aic_expr_fail(r->e, n->pos, r->err, "an item is no list of %zu to take apart", n->n_names);
    memcpy(r->locals + n->slot, item->u.list->items, n->n_names * sizeof *item);
    return true;
}

static bool eval_each(const run *r, const aic_enode *n, aic_value *out) {
    aic_value all, keep;
    if (!r->arena)
        return aic_expr_fail(r->e, n->pos, r->err, "a list with names in it cannot be made here");
    if (!eval(r, n->args[0].node, &all))
        return false;
    if (all.type != AIC_V_LIST)
        return aic_expr_fail(r->e, n->args[0].node->pos, r->err, "expected a list to run through, found %s",
                             aic_vtype_name(all.type));
    aic_value *items = aic_arena_alloc(r->arena, all.u.list->count, sizeof *items);
    size_t count = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < all.u.list->count; i++) {
        ok = bind_turn(r, n, &all.u.list->items[i]) && (n->n < 3 || eval(r, n->args[2].node, &keep));
        if (ok && (n->n < 3 || aic_truthy(&keep)))
            ok = eval(r, n->args[1].node, &items[count++]);
    }
    *out = aic_value_list(r->arena, items, count);
    return ok;
}

static bool eval_index(const run *r, const aic_enode *n, aic_value *out) {
    aic_value all, at;
    if (!eval(r, n->args[0].node, &all) || !eval(r, n->args[1].node, &at))
        return false;
    return aic_value_at(&all, &at, r->arena, out, r->err) || aic_expr_locate(r->e, n->pos, r->err);
}

static bool eval_negative(const run *r, const aic_enode *n, aic_value *out) {
    if (!eval(r, n->args[0].node, out))
        return false;
    if (out->type == AIC_V_REAL) {
        out->u.r = -out->u.r;
        return true;
    }
    if (out->type == AIC_V_INT && out->u.i != INT64_MIN) {
        out->u.i = -out->u.i;
        return true;
    }
    if (out->type == AIC_V_INT)
        return aic_expr_fail(r->e, n->pos, r->err, "the negative of the least integer does not fit 64 bits");
    return aic_expr_fail(r->e, n->pos, r->err, "- does not apply to %s", aic_vtype_name(out->type));
}

static bool compare(const run *r, aic_xop op, const aic_value *a, const aic_value *b, bool *out) {
    int order = 0;
    bool ordered = true;
    switch (op) {
    case AIC_XOP_EQ:
        *out = aic_value_equal(a, b);
        return true;
    case AIC_XOP_NE:
        *out = !aic_value_equal(a, b);
        return true;
    case AIC_XOP_IN:
        return aic_value_in(a, b, out, r->err);
    case AIC_XOP_NOT_IN:
        if (!aic_value_in(a, b, out, r->err))
            return false;
        *out = !*out;
        return true;
    default:
        if (!aic_value_compare(a, b, &order, &ordered, r->err))
            return false;
    }
    bool holds = op == AIC_XOP_LT   ? order < 0
                 : op == AIC_XOP_LE ? order <= 0
                 : op == AIC_XOP_GT ? order > 0
                                    : order >= 0;
    *out = ordered && holds;
    return true;
}

/* a < b < c: each neighbouring pair, every operand evaluated once, ending at the first that fails. */
static bool eval_comparison(const run *r, const aic_enode *n, aic_value *out) {
    aic_value left, right;
    if (!eval(r, n->args[0].node, &left))
        return false;
    bool holds = true;
    for (size_t i = 1; holds && i < n->n; i++) {
        if (!eval(r, n->args[i].node, &right))
            return false;
        if (!compare(r, n->args[i].op, &left, &right, &holds))
            return aic_expr_locate(r->e, n->args[i].pos, r->err);
        left = right;
    }
    *out = aic_bool(holds);
    return true;
}

/* The value so far decides a short-circuit chain when `or` finds truth, `and` falsehood, `??` anything but
 * null. */
static bool decided(aic_xop op, const aic_value *v) {
    return op == AIC_XOP_OR ? aic_truthy(v) : op == AIC_XOP_AND ? !aic_truthy(v) : v->type != AIC_V_NULL;
}

static bool eval_short_circuit(const run *r, const aic_enode *n, aic_value *out) {
    if (!eval(r, n->args[0].node, out))
        return false;
    for (size_t i = 1; i < n->n && !decided(n->args[i].op, out); i++)
        if (!eval(r, n->args[i].node, out))
            return false;
    return true;
}

static bool eval_arithmetic(const run *r, const aic_enode *n, aic_value *out) {
    aic_value left, right;
    if (!eval(r, n->args[0].node, &left))
        return false;
    for (size_t i = 1; i < n->n; i++) {
        if (!eval(r, n->args[i].node, &right))
            return false;
        if (!aic_value_arith(n->args[i].op, &left, &right, r->arena, out, r->err))
            return aic_expr_locate(r->e, n->args[i].pos, r->err);
        left = *out;
    }
    return true;
}

static bool eval_chain(const run *r, const aic_enode *n, aic_value *out) {
    switch (aic_expr_op_level(n->args[1].op)) {
    case AIC_L_COMPARE:
        return eval_comparison(r, n, out);
    case AIC_L_SUM:
    case AIC_L_TERM:
        return eval_arithmetic(r, n, out);
    default:
        return eval_short_circuit(r, n, out);
    }
}

static bool eval_slot(const run *r, const aic_enode *n, aic_value *out) {
    if (!r->env || !r->env->get)
        return aic_expr_fail(r->e, n->pos, r->err, "names have no values here");
    return r->env->get(r->env->ctx, n->slot, out, r->err) || aic_expr_locate(r->e, n->pos, r->err);
}

static bool eval(const run *r, const aic_enode *n, aic_value *out) {
    switch (n->type) {
    case AIC_N_CONST:
        *out = n->value;
        return true;
    case AIC_N_SLOT:
        return eval_slot(r, n, out);
    case AIC_N_CALL:
    case AIC_N_BUILTIN:
        return eval_call(r, n, out);
    case AIC_N_LIST:
        return eval_list(r, n, out);
    case AIC_N_INDEX:
        return eval_index(r, n, out);
    case AIC_N_EACH:
        return eval_each(r, n, out);
    case AIC_N_LOCAL:
        *out = r->locals[n->slot];
        return true;
    case AIC_N_COND:
        return eval(r, n->args[0].node, out) && eval(r, n->args[aic_truthy(out) ? 1 : 2].node, out);
    case AIC_N_NOT:
        if (!eval(r, n->args[0].node, out))
            return false;
        *out = aic_bool(!aic_truthy(out));
        return true;
    case AIC_N_NEG:
        return eval_negative(r, n, out);
    case AIC_N_CHAIN:
        return eval_chain(r, n, out);
    }
    return false;
}

bool aic_expr_eval(const aic_expr *e, const aic_env *env, aic_value *out, aic_error *err) {
    aic_value locals[AIC_EXPR_MAX_LOCALS];
    size_t steps = 0;
    run r = {e, env, env ? env->arena : NULL, err, locals, &steps};
    return eval(&r, e->root, out);
}
