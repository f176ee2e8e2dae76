/* Built-in functions of the expression language; one line each in the table at the end. */
#include "base/expr_internal.h"
#include "base/text.h"
#include "base/text_internal.h"
#include <limits.h>
#include <math.h>
#include <string.h>

#define FN(name)                                                                                             \
    static bool fn_##name(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out,             \
                          aic_error *err)
#define UNUSED(x) ((void)(x))

static bool fail_type(const char *fn, const char *wanted, const aic_value *v, aic_error *err) {
    return aic_fail(err, AIC_BAD_INPUT, "%s needs %s, not %s", fn, wanted, aic_vtype_name(v->type));
}

/* The least (sign -1) or greatest (sign 1): of equals the first, and the value itself, so integers stay
 * integers. One list stands for its items. */
static bool extreme(const char *fn, int sign, const aic_value *args, size_t n, aic_value *out,
                    aic_error *err) {
    if (n == 1 && args[0].type == AIC_V_LIST) {
        n = args[0].u.list->count;
        args = args[0].u.list->items;
    }
    if (n == 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s of an empty list", fn);
    const aic_value *best = &args[0];
    for (size_t i = 0; i < n; i++) { /* from 0, so that a single value is checked too */
        int order;
        bool ordered;
        if (!aic_value_compare(&args[i], best, &order, &ordered, err))
            return false;
        if (ordered && (sign < 0 ? order < 0 : order > 0))
            best = &args[i];
    }
    *out = *best;
    return true;
}

FN(min) {
    UNUSED(ctx), UNUSED(a);
    return extreme("min", -1, args, (size_t)n, out, err);
}

FN(max) {
    UNUSED(ctx), UNUSED(a);
    return extreme("max", 1, args, (size_t)n, out, err);
}

FN(abs) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    if (args[0].type == AIC_V_REAL) {
        *out = aic_real(fabs(args[0].u.r));
        return true;
    }
    if (args[0].type != AIC_V_INT)
        return fail_type("abs", "a number", &args[0], err);
    if (args[0].u.i == INT64_MIN)
        return aic_fail(err, AIC_BAD_INPUT, "abs does not fit 64 bits");
    *out = aic_int(args[0].u.i < 0 ? -args[0].u.i : args[0].u.i);
    return true;
}

/* a / b rounded up, for integers of any sign: -(-a // b) without its overflow. */
FN(ceildiv) {
    UNUSED(ctx), UNUSED(n);
    if (args[0].type != AIC_V_INT || args[1].type != AIC_V_INT)
        return fail_type("ceildiv", "two integers", args[0].type != AIC_V_INT ? &args[0] : &args[1], err);
    aic_value rest;
    if (!aic_value_arith(AIC_XOP_FLOORDIV, &args[0], &args[1], a, out, err) ||
        !aic_value_arith(AIC_XOP_MOD, &args[0], &args[1], a, &rest, err))
        return false;
    out->u.i += rest.u.i != 0; /* a rest means |b| > 1, so the quotient is far from the limits */
    return true;
}

/* The shared part of floor, ceil, round and trunc (also int): a real rounded by f as an integer. */
static bool rounded(const char *fn, double (*f)(double), const aic_value *v, aic_value *out, aic_error *err) {
    if (v->type == AIC_V_INT) {
        *out = *v;
        return true;
    }
    if (v->type != AIC_V_REAL)
        return fail_type(fn, "a number", v, err);
    double r = f(v->u.r);
    if (!(r >= -0x1p63 && r < 0x1p63))
        return aic_fail(err, AIC_BAD_INPUT, "%s: %g does not fit 64 bits", fn, v->u.r);
    *out = aic_int((int64_t)r);
    return true;
}

FN(floor) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    return rounded("floor", floor, &args[0], out, err);
}

FN(ceil) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    return rounded("ceil", ceil, &args[0], out, err);
}

FN(trunc) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    return rounded("trunc", trunc, &args[0], out, err);
}

FN(round) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    return rounded("round", nearbyint, &args[0], out,
                   err); /* halves to even: the rounding mode is never changed */
}

FN(int) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    char shown[AIC_SHOWN];
    int64_t i;
    if (args[0].type == AIC_V_BOOL) {
        *out = aic_int(args[0].u.b);
        return true;
    }
    if (args[0].type != AIC_V_STR)
        return rounded("int", trunc, &args[0], out, err);
    if (!aic_parse_i64(args[0].u.s, &i))
        return aic_fail(err, AIC_BAD_INPUT, "int: \"%s\" is not an integer", aic_shown(args[0].u.s, shown));
    *out = aic_int(i);
    return true;
}

FN(real) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    char shown[AIC_SHOWN];
    double r = 0;
    if (args[0].type == AIC_V_BOOL)
        r = args[0].u.b;
    else if (args[0].type == AIC_V_STR && !aic_parse_f64(args[0].u.s, &r))
        return aic_fail(err, AIC_BAD_INPUT, "real: \"%s\" is not a number", aic_shown(args[0].u.s, shown));
    else if (args[0].type != AIC_V_STR && !aic_as_real(&args[0], &r))
        return fail_type("real", "a number, boolean or text", &args[0], err);
    *out = aic_real(r);
    return true;
}

FN(str) {
    UNUSED(ctx), UNUSED(n);
    const char *text;
    if (!aic_value_text(&args[0], a, &text, err))
        return false;
    *out = aic_str(text);
    return true;
}

FN(len) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    if (args[0].type == AIC_V_LIST) {
        *out = aic_int((int64_t)args[0].u.list->count);
        return true;
    }
    if (args[0].type != AIC_V_STR)
        return fail_type("len", "text or a list", &args[0], err);
    *out = aic_int((int64_t)aic_value_characters(args[0].u.s));
    return true;
}

/* range(n): 0, 1 ... n - 1. What it makes counts as items run through. */
FN(range) {
    UNUSED(n);
    size_t *steps = ctx;
    if (args[0].type != AIC_V_INT)
        return fail_type("range", "an integer", &args[0], err);
    size_t count = args[0].u.i > 0 ? (size_t)args[0].u.i : 0;
    if (!a)
        return aic_fail(err, AIC_BAD_INPUT, "a list cannot be made here");
    if (count > AIC_EXPR_MAX_STEPS - *steps)
        return aic_fail(err, AIC_BAD_INPUT, "more than %d items to run through", AIC_EXPR_MAX_STEPS);
    *steps += count;
    aic_value *items = aic_arena_alloc(a, count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = aic_int((int64_t)i);
    *out = aic_value_list(a, items, count);
    return true;
}

/* any(list): is one of the items truthy? */
FN(any) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    if (args[0].type != AIC_V_LIST)
        return fail_type("any", "a list", &args[0], err);
    bool found = false;
    for (size_t i = 0; i < args[0].u.list->count && !found; i++)
        found = aic_truthy(&args[0].u.list->items[i]);
    *out = aic_bool(found);
    return true;
}

FN(contains) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    bool found;
    if (!aic_value_in(&args[1], &args[0], &found, err))
        return false;
    *out = aic_bool(found);
    return true;
}

FN(startswith) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    for (int i = 0; i < 2; i++)
        if (args[i].type != AIC_V_STR)
            return fail_type("startswith", "text", &args[i], err);
    *out = aic_bool(strncmp(args[0].u.s, args[1].u.s, strlen(args[1].u.s)) == 0);
    return true;
}

FN(endswith) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    for (int i = 0; i < 2; i++)
        if (args[i].type != AIC_V_STR)
            return fail_type("endswith", "text", &args[i], err);
    size_t len = strlen(args[0].u.s), end = strlen(args[1].u.s);
    *out = aic_bool(len >= end && strcmp(args[0].u.s + len - end, args[1].u.s) == 0);
    return true;
}

FN(lower) {
    UNUSED(ctx), UNUSED(n);
    if (args[0].type != AIC_V_STR)
        return fail_type("lower", "text", &args[0], err);
    size_t len = strlen(args[0].u.s);
    char *text = aic_value_room(a, len, err);
    if (!text)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = args[0].u.s[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; /* ASCII only: no locale */
    }
    *out = aic_str(text);
    return true;
}

const aic_fn aic_builtins[] = {
    {"min", 1, INT_MAX, fn_min},     {"max", 1, INT_MAX, fn_max},
    {"abs", 1, 1, fn_abs},           {"ceildiv", 2, 2, fn_ceildiv},
    {"floor", 1, 1, fn_floor},       {"ceil", 1, 1, fn_ceil},
    {"trunc", 1, 1, fn_trunc},       {"round", 1, 1, fn_round},
    {"int", 1, 1, fn_int},           {"real", 1, 1, fn_real},
    {"str", 1, 1, fn_str},           {"len", 1, 1, fn_len},
    {"contains", 2, 2, fn_contains}, {"startswith", 2, 2, fn_startswith},
    {"lower", 1, 1, fn_lower},       {"endswith", 2, 2, fn_endswith},
    {"range", 1, 1, fn_range},       {"any", 1, 1, fn_any},
};
const size_t aic_n_builtins = sizeof aic_builtins / sizeof *aic_builtins;
