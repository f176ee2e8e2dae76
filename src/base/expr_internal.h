/* The parts of the expression language: lexer, parser, evaluator, built-in functions, value semantics. */
#ifndef AICFG_BASE_EXPR_INTERNAL_H
#define AICFG_BASE_EXPR_INTERNAL_H

#include "base/expr.h"

enum {
    AIC_EXPR_MAX_TEXT = 64 << 10, /* bytes of an expression or template */
    AIC_EXPR_MAX_DEPTH = 64, /* parentheses, calls, lists, else branches, signs and nots inside one another */
    AIC_EXPR_MAX_STRING = 4096,  /* bytes of a string made while evaluating */
    AIC_EXPR_MAX_LOCALS = 16,    /* variables of list comprehensions inside one another */
    AIC_EXPR_MAX_STEPS = 1 << 17 /* items that one evaluation may run through, range() included */
};

/* Binding strength, loosest first. Between OR and COMPARE stands `not`, a prefix. */
typedef enum aic_level {
    AIC_L_COALESCE,
    AIC_L_OR,
    AIC_L_AND,
    AIC_L_COMPARE,
    AIC_L_SUM,
    AIC_L_TERM,
    AIC_LEVELS
} aic_level;

/* Binary operators: name, spelling, level. */
#define AIC_EXPR_OPS(X)                                                                                      \
    X(COALESCE, "??", COALESCE)                                                                              \
    X(OR, "or", OR)                                                                                          \
    X(AND, "and", AND)                                                                                       \
    X(EQ, "==", COMPARE)                                                                                     \
    X(NE, "!=", COMPARE)                                                                                     \
    X(LE, "<=", COMPARE)                                                                                     \
    X(LT, "<", COMPARE)                                                                                      \
    X(GE, ">=", COMPARE)                                                                                     \
    X(GT, ">", COMPARE)                                                                                      \
    X(IN, "in", COMPARE)                                                                                     \
    X(NOT_IN, "not in", COMPARE)                                                                             \
    X(ADD, "+", SUM)                                                                                         \
    X(SUB, "-", SUM)                                                                                         \
    X(MUL, "*", TERM)                                                                                        \
    X(FLOORDIV, "//", TERM)                                                                                  \
    X(DIV, "/", TERM)                                                                                        \
    X(MOD, "%", TERM)

typedef enum aic_xop {
#define X(name, spelling, level) AIC_XOP_##name,
    AIC_EXPR_OPS(X)
#undef X
        AIC_XOPS
} aic_xop;

const char *aic_expr_op_text(aic_xop op);
aic_level aic_expr_op_level(aic_xop op);

typedef enum aic_enode_type {
    AIC_N_CONST,   /* value */
    AIC_N_SLOT,    /* slot */
    AIC_N_CALL,    /* fn(args) */
    AIC_N_BUILTIN, /* the same with a built-in: evaluated without the scope's context */
    AIC_N_LIST,    /* [args] */
    AIC_N_INDEX,   /* args[0][args[1]] */
    AIC_N_EACH,    /* [args[1] for variables in args[0] if args[2]]; the condition may be missing */
    AIC_N_LOCAL,   /* slot: variable of a comprehension around it */
    AIC_N_COND,    /* args: condition, then, else */
    AIC_N_NOT,     /* args[0] */
    AIC_N_NEG,     /* args[0] */
    AIC_N_CHAIN    /* args[0] op[1] args[1] op[2] args[2] ..., operators of one level, left to right */
} aic_enode_type;

struct aic_enode;

typedef struct aic_earg {
    struct aic_enode *node;
    aic_xop op; /* AIC_N_CHAIN: what joins it to those before */
    size_t pos; /* byte offset of that operator */
} aic_earg;

/* A chain keeps a long sum flat, so that evaluation recurses only as deep as the text is nested. */
typedef struct aic_enode {
    aic_enode_type type;
    size_t pos; /* byte offset in the text */
    aic_value value;
    int slot;       /* AIC_N_EACH: its first variable */
    size_t n_names; /* AIC_N_EACH: its variables */
    const aic_fn *fn;
    size_t n;
    aic_earg *args;
} aic_enode;

struct aic_expr {
    const char *text, *file;
    int line, column; /* of the text's first character */
    const aic_enode *root;
};

/* Lexer: one token at a time. */
typedef enum aic_etoken_type {
    AIC_T_END,
    AIC_T_VALUE, /* number, string, true, false, null */
    AIC_T_NAME,  /* possibly dotted */
    AIC_T_OP,    /* op */
    AIC_T_NOT,
    AIC_T_IF,
    AIC_T_ELSE,
    AIC_T_PUNCT /* one of ( ) [ ] , */
} aic_etoken_type;

typedef struct aic_etoken {
    aic_etoken_type type;
    size_t pos, end; /* byte offsets */
    aic_xop op;
    char punct;
    const char *name; /* in the arena */
    aic_value value;  /* strings in the arena */
} aic_etoken;

/* Reads the token at offset pos. False with an error. */
bool aic_expr_lex(const aic_expr *e, aic_arena *a, size_t pos, aic_etoken *out, aic_error *err);

/* Fails at a byte offset of the expression's text. */
bool aic_expr_fail(const aic_expr *e, size_t pos, aic_error *err, const char *fmt, ...) AIC_PRINTF(4, 5);

/* The line and column of a byte offset in a text that begins at *line, *column. */
void aic_expr_position(const char *text, size_t pos, int *line, int *column);

/* Built-in functions, and value semantics. Their context is the evaluation's count of steps (size_t). */
extern const aic_fn aic_builtins[];
extern const size_t aic_n_builtins;
bool aic_value_equal(const aic_value *a, const aic_value *b);
/* *out < 0, 0, > 0; *ordered false for NaN. False with an error for types that have no order. */
bool aic_value_compare(const aic_value *a, const aic_value *b, int *out, bool *ordered, aic_error *err);
bool aic_value_arith(aic_xop op, const aic_value *a, const aic_value *b, aic_arena *arena, aic_value *out,
                     aic_error *err);
bool aic_value_in(const aic_value *item, const aic_value *all, bool *out, aic_error *err);
/* A list of items that live in the arena, too. */
aic_value aic_value_list(aic_arena *arena, const aic_value *items, size_t n);
size_t aic_value_characters(const char *text); /* UTF-8 */
/* all[at]: an item of a list or a character of a text, counted from 0, from the end when negative. */
bool aic_value_at(const aic_value *all, const aic_value *at, aic_arena *arena, aic_value *out,
                  aic_error *err);
/* The value as text, as str() gives it. */
bool aic_value_text(const aic_value *v, aic_arena *arena, const char **out, aic_error *err);
/* Zeroed room for a string of that many bytes and its NUL; NULL with an error when arena is NULL or it is too
 * long. */
char *aic_value_room(aic_arena *arena, size_t bytes, aic_error *err);
/* Puts the position of a byte offset in front of the message in *err; returns false. */
bool aic_expr_locate(const aic_expr *e, size_t pos, aic_error *err);

#endif
