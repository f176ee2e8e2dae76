/* Value semantics of the expression language: truth, equality, order, arithmetic, text. */
#include "base/expr_internal.h"
#include "base/text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *aic_vtype_name(aic_vtype t) {
    static const char *const names[] = {"null", "a boolean", "an integer", "a real number", "text", "a list"};
    return names[t];
}

bool aic_truthy(const aic_value *v) {
    switch (v->type) {
    case AIC_V_NULL:
        return false;
    case AIC_V_BOOL:
        return v->u.b;
    case AIC_V_INT:
        return v->u.i != 0;
    case AIC_V_REAL:
        return v->u.r != 0.0;
    case AIC_V_STR:
        return v->u.s[0] != '\0';
    case AIC_V_LIST:
        return v->u.list->count != 0;
    }
    return false;
}

bool aic_as_real(const aic_value *v, double *out) {
    if (v->type == AIC_V_INT)
        *out = (double)v->u.i;
    else if (v->type == AIC_V_REAL)
        *out = v->u.r;
    return v->type == AIC_V_INT || v->type == AIC_V_REAL;
}

static bool is_number(const aic_value *v) {
    return v->type == AIC_V_INT || v->type == AIC_V_REAL;
}

/* Exact also where the integer has more than 53 bits. r is not NaN. */
static int compare_int_real(int64_t i, double r) {
    if (r >= 0x1p63)
        return -1;
    if (r < -0x1p63)
        return 1;
    int64_t whole = (int64_t)r; /* towards zero */
    if (i != whole)
        return i < whole ? -1 : 1;
    double part = r - (double)whole;
    return (part < 0) - (part > 0);
}

static int compare_numbers(const aic_value *a, const aic_value *b, bool *ordered) {
    *ordered = !(a->type == AIC_V_REAL && isnan(a->u.r)) && !(b->type == AIC_V_REAL && isnan(b->u.r));
    if (!*ordered)
        return 0;
    if (a->type == AIC_V_INT && b->type == AIC_V_INT)
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    if (a->type == AIC_V_INT)
        return compare_int_real(a->u.i, b->u.r);
    if (b->type == AIC_V_INT)
        return -compare_int_real(b->u.i, a->u.r);
    return (a->u.r > b->u.r) - (a->u.r < b->u.r);
}

static bool lists_equal(const aic_list *a, const aic_list *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!aic_value_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

bool aic_value_equal(const aic_value *a, const aic_value *b) {
    bool ordered;
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b, &ordered) == 0 && ordered;
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case AIC_V_BOOL:
        return a->u.b == b->u.b;
    case AIC_V_STR:
        return strcmp(a->u.s, b->u.s) == 0;
    case AIC_V_LIST:
        return lists_equal(a->u.list, b->u.list);
    default:
        return true; /* null */
    }
}

bool aic_value_compare(const aic_value *a, const aic_value *b, int *out, bool *ordered, aic_error *err) {
    *ordered = true;
    if (is_number(a) && is_number(b)) {
        *out = compare_numbers(a, b, ordered);
        return true;
    }
    if (a->type == AIC_V_STR && b->type == AIC_V_STR) {
        *out = strcmp(a->u.s, b->u.s);
        return true;
    }
    return aic_fail(err, AIC_BAD_INPUT, "%s and %s have no order", aic_vtype_name(a->type),
                    aic_vtype_name(b->type));
}

bool aic_value_in(const aic_value *item, const aic_value *all, bool *out, aic_error *err) {
    if (all->type == AIC_V_STR && item->type == AIC_V_STR) {
        *out = strstr(all->u.s, item->u.s) != NULL;
        return true;
    }
    if (all->type != AIC_V_LIST)
        return aic_fail(err, AIC_BAD_INPUT, "cannot look for %s in %s", aic_vtype_name(item->type),
                        aic_vtype_name(all->type));
    *out = false;
    for (size_t i = 0; i < all->u.list->count && !*out; i++)
        *out = aic_value_equal(item, &all->u.list->items[i]);
    return true;
}

aic_value aic_value_list(aic_arena *arena, const aic_value *items, size_t n) {
    aic_list *list = aic_arena_alloc(arena, 1, sizeof *list);
    *list = (aic_list){n, items};
    return (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
}

/* Is the byte the first of a character? */
static bool begins_character(char c) {
    return ((unsigned char)c & 0xc0) != 0x80;
}

size_t aic_value_characters(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += begins_character(*text);
    return n;
}

/* The character of that number, which exists. */
static bool character_at(const char *text, size_t at, aic_arena *arena, aic_value *out, aic_error *err) {
    const char *s = text;
    for (; at > 0 || !begins_character(*s); s++)
        at -= begins_character(s[1]);
    size_t len = 1;
    while (s[len] && !begins_character(s[len]))
        len++;
    char *copy = aic_value_room(arena, len, err);
    if (!copy)
        return false;
    memcpy(copy, s, len);
    *out = aic_str(copy);
    return true;
}

bool aic_value_at(const aic_value *all, const aic_value *at, aic_arena *arena, aic_value *out,
                  aic_error *err) {
    size_t n = 0;
    if (all->type == AIC_V_LIST)
        n = all->u.list->count;
    else if (all->type == AIC_V_STR)
        n = aic_value_characters(all->u.s);
    else
        return aic_fail(err, AIC_BAD_INPUT, "%s has no items to pick one from", aic_vtype_name(all->type));
    if (at->type != AIC_V_INT)
        return aic_fail(err, AIC_BAD_INPUT, "the number of an item must be an integer, not %s",
                        aic_vtype_name(at->type));
    int64_t i = at->u.i < 0 ? at->u.i + (int64_t)n : at->u.i;
    if (i < 0 || (size_t)i >= n)
        return aic_fail(err, AIC_BAD_INPUT, "no item %" PRId64 " among %zu", at->u.i, n);
    if (all->type == AIC_V_STR)
        return character_at(all->u.s, (size_t)i, arena, out, err);
    *out = all->u.list->items[i];
    return true;
}

char *aic_value_room(aic_arena *arena, size_t bytes, aic_error *err) {
    if (arena && bytes <= AIC_EXPR_MAX_STRING)
        return aic_arena_alloc(arena, bytes + 1, 1);
    if (arena)
        aic_fail(err, AIC_BAD_INPUT, "text of more than %d bytes", AIC_EXPR_MAX_STRING);
    else
        aic_fail(err, AIC_BAD_INPUT, "text cannot be made here");
    return NULL;
}

static bool join(const char *a, const char *b, aic_arena *arena, aic_value *out, aic_error *err) {
    size_t n_a = strlen(a), n_b = strlen(b);
    char *text = aic_value_room(arena, n_a + n_b, err);
    if (!text)
        return false;
    memcpy(text, a, n_a);
    memcpy(text + n_a, b, n_b);
    *out = aic_str(text);
    return true;
}

/* Rounds towards minus infinity; the remainder has the sign of the divisor. b is not 0. */
static bool floor_divide(aic_xop op, int64_t a, int64_t b, int64_t *out) {
    if (b == -1) {
        *out = 0;
        return op == AIC_XOP_MOD || !__builtin_sub_overflow(0, a, out);
    }
    int64_t quotient = a / b, rest = a % b;
    bool down = rest != 0 && (rest < 0) != (b < 0);
    *out = op == AIC_XOP_MOD ? rest + (down ? b : 0) : quotient - (down ? 1 : 0);
    return true;
}

static bool integers(aic_xop op, int64_t a, int64_t b, aic_value *out, aic_error *err) {
    int64_t v = 0;
    bool fits = true;
    switch (op) {
    case AIC_XOP_ADD:
        fits = !__builtin_add_overflow(a, b, &v);
        break;
    case AIC_XOP_SUB:
        fits = !__builtin_sub_overflow(a, b, &v);
        break;
    case AIC_XOP_MUL:
        fits = !__builtin_mul_overflow(a, b, &v);
        break;
    default: /* // and % */
        if (b == 0)
            return aic_fail(err, AIC_BAD_INPUT, "division by zero");
        fits = floor_divide(op, a, b, &v);
    }
    if (!fits)
        return aic_fail(err, AIC_BAD_INPUT, "%" PRId64 " %s %" PRId64 " does not fit 64 bits", a,
                        aic_expr_op_text(op), b);
    *out = aic_int(v);
    return true;
}

static bool reals(aic_xop op, double a, double b, aic_value *out, aic_error *err) {
    switch (op) {
    case AIC_XOP_ADD:
        *out = aic_real(a + b);
        return true;
    case AIC_XOP_SUB:
        *out = aic_real(a - b);
        return true;
    case AIC_XOP_MUL:
        *out = aic_real(a * b);
        return true;
    case AIC_XOP_DIV:
        if (b == 0.0)
            return aic_fail(err, AIC_BAD_INPUT, "division by zero");
        *out = aic_real(a / b);
        return true;
    default:
        return aic_fail(err, AIC_BAD_INPUT, "%s works on integers only", aic_expr_op_text(op));
    }
}

bool aic_value_arith(aic_xop op, const aic_value *a, const aic_value *b, aic_arena *arena, aic_value *out,
                     aic_error *err) {
    double x, y;
    if (a->type == AIC_V_INT && b->type == AIC_V_INT && op != AIC_XOP_DIV)
        return integers(op, a->u.i, b->u.i, out, err);
    if (aic_as_real(a, &x) && aic_as_real(b, &y))
        return reals(op, x, y, out, err);
    if (op == AIC_XOP_ADD && a->type == AIC_V_STR && b->type == AIC_V_STR)
        return join(a->u.s, b->u.s, arena, out, err);
    return aic_fail(err, AIC_BAD_INPUT, "%s does not apply to %s and %s", aic_expr_op_text(op),
                    aic_vtype_name(a->type), aic_vtype_name(b->type));
}

bool aic_value_text(const aic_value *v, aic_arena *arena, const char **out, aic_error *err) {
    char text[40];
    switch (v->type) {
    case AIC_V_STR:
        *out = v->u.s;
        return true;
    case AIC_V_NULL:
        *out = "null";
        return true;
    case AIC_V_BOOL:
        *out = v->u.b ? "true" : "false";
        return true;
    case AIC_V_LIST:
        return aic_fail(err, AIC_BAD_INPUT, "a list has no text form");
    case AIC_V_INT:
        snprintf(text, sizeof text, "%" PRId64, v->u.i);
        break;
    case AIC_V_REAL:
        aic_shortest(v->u.r, text);
        if (isfinite(v->u.r) && !text[strcspn(text, ".e")])
            memcpy(text + strlen(text), ".0", 3); /* reals show that they are reals, as in Python */
        break;
    }
    size_t len = strlen(text);
    char *copy = aic_value_room(arena, len, err);
    if (copy)
        memcpy(copy, text, len);
    *out = copy;
    return copy != NULL;
}

bool aic_node_scalar(const aic_node *n, aic_value *out) {
    switch (n->kind) {
    case AIC_K_NULL:
        *out = AIC_NULL_VALUE;
        return true;
    case AIC_K_BOOL:
        *out = aic_bool(n->b);
        return true;
    case AIC_K_INT:
        *out = aic_int(n->i);
        return true;
    case AIC_K_REAL:
        *out = aic_real(n->r);
        return true;
    case AIC_K_TEXT:
        *out = aic_str(n->text);
        return true;
    case AIC_K_LIST:
    case AIC_K_MAP:
        break;
    }
    return false;
}
