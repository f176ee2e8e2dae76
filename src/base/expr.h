/* The expression language of model graphs, sweep filters and ranking filters (docs/expressions.md).
 *
 * Values: null, booleans, 64-bit integers, reals, strings, lists. Integers and reals stay apart; booleans are
 * no numbers.
 *   + - *        two integers give an integer (overflow is an error), otherwise a real; + joins strings
 *   /            real division always
 *   // %         floor division and remainder (sign of the divisor) of integers
 *   == != < <= > >=   numbers compare by value, strings bytewise; null equals only null; values of different
 *                kinds are unequal, and to order them is an error; a < b <= c chains as in Python
 *   and or not   short-circuit on truthiness (null, false, 0, 0.0, "", [] are false); `a or b` gives a or b
 * as in "a unless it is falsy", so defaults read naturally a if c else b;  a ?? b (b when a is null);  x in
 * [..], x not in [..], text in text;  list[i], text[i];  [e for a, b in list if c] (list comprehension)
 * name, name.field, "text", 'text', 12, 1.5, true, false, null calls: the scope's functions, then the
 * built-in min max abs ceildiv floor ceil trunc round int real str len contains startswith endswith lower
 * range any Precedence as in Python, loosest first: if-else, ??, or, and, not, comparisons and in, +
 * -, * / // %, sign. Binary operators are left-associative and evaluated left to right with the parentheses
 * shown. Division by zero is an error. Limits: 64 KiB of text, 64 levels of nesting, 4 KiB of a string made
 * while evaluating, 131072 items run through in one evaluation.
 */
#ifndef AICFG_BASE_EXPR_H
#define AICFG_BASE_EXPR_H

#include "base/doc.h"
#include "base/error.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum aic_vtype { AIC_V_NULL, AIC_V_BOOL, AIC_V_INT, AIC_V_REAL, AIC_V_STR, AIC_V_LIST } aic_vtype;

typedef struct aic_value {
    aic_vtype type;
    union {
        bool b;
        int64_t i;
        double r;
        const char *s; /* NUL-terminated; owned by whoever made the value (arena, document, literal) */
        const struct aic_list *list;
    } u;
} aic_value;

typedef struct aic_list {
    size_t count;
    const aic_value *items;
} aic_list;

#define AIC_NULL_VALUE ((aic_value){.type = AIC_V_NULL, .u = {.i = 0}})
static inline aic_value aic_int(int64_t i) {
    return (aic_value){.type = AIC_V_INT, .u = {.i = i}};
}
static inline aic_value aic_real(double r) {
    return (aic_value){.type = AIC_V_REAL, .u = {.r = r}};
}
static inline aic_value aic_bool(bool b) {
    return (aic_value){.type = AIC_V_BOOL, .u = {.b = b}};
}
static inline aic_value aic_str(const char *s) {
    return (aic_value){.type = AIC_V_STR, .u = {.s = s}};
}

bool aic_truthy(const aic_value *v);
bool aic_as_real(const aic_value *v, double *out); /* int or real */
const char *aic_vtype_name(aic_vtype t);

/* The value of a scalar node; false for a list or mapping. A text is the document's. */
bool aic_node_scalar(const aic_node *n, aic_value *out);

/* A function of a scope. args are evaluated; a is for results that need memory. */
typedef struct aic_fn {
    const char *name;
    int min_args, max_args;
    bool (*call)(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out, aic_error *err);
} aic_fn;

/* Names known at compile time. find returns a slot (>= 0) or -1; name_at lists names for suggestions, NULL
 * after the last. */
typedef struct aic_scope {
    int (*find)(const void *ctx, const char *name); /* dotted names arrive whole: "x.window" */
    const char *(*name_at)(const void *ctx, size_t i);
    const void *ctx;
    const aic_fn *fns;
    size_t n_fns;
} aic_scope;

/* Where an expression's values come from at evaluation time. */
typedef struct aic_env {
    bool (*get)(void *ctx, int slot, aic_value *out, aic_error *err);
    void *ctx;        /* handed to get */
    void *fn_ctx;     /* handed to the scope's functions */
    aic_arena *arena; /* for strings and lists made while evaluating; may be NULL when none can be made */
} aic_env;

typedef struct aic_expr aic_expr;
/* Compiles; nodes live in the arena; immutable afterwards and safe to evaluate from many threads. The
 * position is of the text's first character; errors point into it. NULL on error. */
aic_expr *aic_expr_compile(aic_arena *a, const char *text, const char *file, int line, int column,
                           const aic_scope *scope, aic_error *err);
/* The same from a scalar of a document, at its position: text is an expression, a number, boolean or null
 * stands for itself. Lists and mappings are errors. */
aic_expr *aic_expr_compile_node(aic_arena *a, const aic_node *n, const aic_scope *scope, aic_error *err);
bool aic_expr_eval(const aic_expr *e, const aic_env *env, aic_value *out, aic_error *err);
const char *aic_expr_text(const aic_expr *e);
/* Calls visit(ctx, slot) for each name used (repeats possible). */
void aic_expr_slots(const aic_expr *e, void (*visit)(void *ctx, int slot), void *ctx);

/* Name templates: "{p}_qkv_gemm", text with {expression} parts; literal braces doubled. */
typedef struct aic_template aic_template;
aic_template *aic_template_compile(aic_arena *a, const char *text, const char *file, int line, int column,
                                   const aic_scope *scope, aic_error *err);
/* The name, in env->arena or the template itself. */
bool aic_template_eval(const aic_template *t, const aic_env *env, const char **out, aic_error *err);

#endif
