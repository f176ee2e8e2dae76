/* Compiler of the expression language: recursive descent over the levels of AIC_EXPR_OPS. */
#include "base/error_internal.h"
#include "base/expr_internal.h"
#include "base/text.h"
#include "base/text_internal.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct parser {
    aic_arena *arena;
    const aic_expr *e;
    const aic_scope *scope;
    aic_error *err;
    aic_etoken token; /* the next one */
    int depth;
    const char *locals[AIC_EXPR_MAX_LOCALS]; /* variables of comprehensions around, outermost first */
    size_t n_locals;
} parser;

/* Arguments of a node while they are read. */
typedef struct arg_list {
    aic_earg *args;
    size_t n, cap;
} arg_list;

static aic_enode *parse_expression(parser *p);
static aic_enode *parse_level(parser *p, aic_level level);

void aic_expr_position(const char *text, size_t pos, int *line, int *column) {
    for (size_t i = 0; i < pos; i++) {
        if (text[i] == '\n') {
            *line += *line > 0;
            *column = *column > 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            *column += *column > 0;
        }
    }
}

bool aic_expr_fail(const aic_expr *e, size_t pos, aic_error *err, const char *fmt, ...) {
    int line = e->line, column = e->column;
    aic_expr_position(e->text, pos, &line, &column);
    va_list ap;
    va_start(ap, fmt);
    aic_vfail_at(err, e->file, line, column, fmt, ap);
    va_end(ap);
    return false;
}

static bool advance(parser *p) {
    return aic_expr_lex(p->e, p->arena, p->token.end, &p->token, p->err);
}

static aic_enode *new_node(parser *p, aic_enode_type type, size_t pos) {
    aic_enode *n = aic_arena_alloc(p->arena, 1, sizeof *n);
    n->type = type;
    n->pos = pos;
    return n;
}

static void add_arg(arg_list *l, aic_enode *node, aic_xop op, size_t pos) {
    AIC_GROW(l->args, l->n, l->cap);
    l->args[l->n++] = (aic_earg){node, op, pos};
}

/* Moves the arguments to the node and frees the growing memory. */
static void take_args(parser *p, arg_list *l, aic_enode *n) {
    n->n = l->n;
    n->args = aic_arena_alloc(p->arena, l->n, sizeof *n->args);
    if (l->n)
        memcpy(n->args, l->args, l->n * sizeof *n->args);
    free(l->args);
}

static aic_enode *with_args(parser *p, aic_enode_type type, size_t pos, size_t n, aic_enode *const *nodes) {
    aic_enode *parent = new_node(p, type, pos);
    parent->n = n;
    parent->args = aic_arena_alloc(p->arena, n, sizeof *parent->args);
    for (size_t i = 0; i < n; i++)
        parent->args[i].node = nodes[i];
    return parent;
}

static bool is_punct(const parser *p, char c) {
    return p->token.type == AIC_T_PUNCT && p->token.punct == c;
}

/* Names the token found where something else had to stand. */
static aic_enode *fail_token(parser *p, const char *wanted) {
    char text[AIC_SHOWN], shown[AIC_SHOWN];
    if (p->token.type == AIC_T_END) {
        aic_expr_fail(p->e, p->token.pos, p->err, "expected %s, found the end of the expression", wanted);
        return NULL;
    }
    size_t len = p->token.end - p->token.pos;
    if (len >= sizeof text)
        len = sizeof text - 1;
    memcpy(text, p->e->text + p->token.pos, len);
    text[len] = '\0';
    aic_expr_fail(p->e, p->token.pos, p->err, "expected %s, found \"%s\"", wanted, aic_shown(text, shown));
    return NULL;
}

static bool enter(parser *p) {
    if (++p->depth <= AIC_EXPR_MAX_DEPTH)
        return true;
    return aic_expr_fail(p->e, p->token.pos, p->err, "nested deeper than %d levels", AIC_EXPR_MAX_DEPTH);
}

/* Candidates for "did you mean": the scope's names, or function names with the built-ins first. */
static const char *scope_name(const void *ctx, size_t i) {
    const aic_scope *scope = ctx;
    return scope->name_at(scope->ctx, i);
}

static const char *function_name(const void *ctx, size_t i) {
    const aic_scope *scope = ctx;
    return i < aic_n_builtins ? aic_builtins[i].name : scope->fns[i - aic_n_builtins].name;
}

static aic_enode *fail_name(parser *p, const aic_etoken *t, bool function) {
    const aic_scope *scope = p->scope;
    size_t n = 0;
    if (function)
        n = aic_n_builtins + (scope ? scope->n_fns : 0);
    else if (scope && scope->name_at)
        while (scope->name_at(scope->ctx, n))
            n++;
    char shown[AIC_SHOWN];
    const char *nearest = aic_nearest(t->name, n, function ? function_name : scope_name, scope);
    aic_expr_fail(p->e, t->pos, p->err, "unknown %s \"%s\"%s%s%s", function ? "function" : "name",
                  aic_shown(t->name, shown), nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                  nearest ? "\"?" : "");
    return NULL;
}

static const aic_fn *find_function(const parser *p, const char *name, bool *builtin) {
    *builtin = false;
    for (size_t i = 0; p->scope && i < p->scope->n_fns; i++)
        if (strcmp(p->scope->fns[i].name, name) == 0)
            return &p->scope->fns[i];
    *builtin = true;
    for (size_t i = 0; i < aic_n_builtins; i++)
        if (strcmp(aic_builtins[i].name, name) == 0)
            return &aic_builtins[i];
    return NULL;
}

/* Items up to the closing character, which is taken; a comma may follow the last. */
static bool parse_items(parser *p, char closing, arg_list *items) {
    while (!is_punct(p, closing)) {
        aic_enode *item = parse_expression(p);
        if (!item)
            return false;
        add_arg(items, item, AIC_XOPS, item->pos);
        if (is_punct(p, ',')) {
            if (!advance(p))
                return false;
        } else if (!is_punct(p, closing)) {
            return fail_token(p, closing == ')' ? "\",\" or \")\"" : "\",\" or \"]\"") != NULL;
        }
    }
    return advance(p);
}

static aic_enode *parse_call(parser *p, const aic_etoken *name) {
    bool builtin;
    const aic_fn *fn = find_function(p, name->name, &builtin);
    if (!fn)
        return fail_name(p, name, true);
    aic_enode *n = new_node(p, builtin ? AIC_N_BUILTIN : AIC_N_CALL, name->pos);
    arg_list args = {0};
    n->fn = fn;
    bool ok = advance(p) && parse_items(p, ')', &args);
    take_args(p, &args, n);
    if (!ok)
        return NULL;
    if (n->n >= (size_t)fn->min_args && n->n <= (size_t)fn->max_args)
        return n;
    if (fn->min_args == fn->max_args)
        aic_expr_fail(p->e, name->pos, p->err, "%s takes %d argument%s, not %zu", fn->name, fn->min_args,
                      fn->min_args == 1 ? "" : "s", n->n);
    else if (fn->max_args == INT_MAX)
        aic_expr_fail(p->e, name->pos, p->err, "%s takes at least %d argument%s, not %zu", fn->name,
                      fn->min_args, fn->min_args == 1 ? "" : "s", n->n);
    else
        aic_expr_fail(p->e, name->pos, p->err, "%s takes %d to %d arguments, not %zu", fn->name, fn->min_args,
                      fn->max_args, n->n);
    return NULL;
}

static aic_enode *parse_name(parser *p) {
    aic_etoken name = p->token;
    if (!advance(p))
        return NULL;
    if (is_punct(p, '('))
        return parse_call(p, &name);
    for (size_t i = p->n_locals; i-- > 0;) {
        if (strcmp(p->locals[i], name.name) != 0)
            continue;
        aic_enode *n = new_node(p, AIC_N_LOCAL, name.pos);
        n->slot = (int)i;
        return n;
    }
    int slot = p->scope && p->scope->find ? p->scope->find(p->scope->ctx, name.name) : -1;
    if (slot < 0)
        return fail_name(p, &name, false);
    aic_enode *n = new_node(p, AIC_N_SLOT, name.pos);
    n->slot = slot;
    return n;
}

/* A list of constants becomes one constant, so that `x in [1, 2, 4]` allocates nothing when evaluated. */
static void fold_list(parser *p, aic_enode *n) {
    for (size_t i = 0; i < n->n; i++)
        if (n->args[i].node->type != AIC_N_CONST)
            return;
    aic_value *items = aic_arena_alloc(p->arena, n->n, sizeof *items);
    for (size_t i = 0; i < n->n; i++)
        items[i] = n->args[i].node->value;
    aic_list *list = aic_arena_alloc(p->arena, 1, sizeof *list);
    *list = (aic_list){n->n, items};
    n->type = AIC_N_CONST;
    n->value = (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
}

/* ---- [item for variables in list if condition] ---- */

static bool is_for(const aic_etoken *t) {
    return t->type == AIC_T_NAME && strcmp(t->name, "for") == 0;
}

/* Looks ahead for a `for` in the list that begins at the current token, before its end or a comma. */
static bool find_for(const parser *p, aic_etoken *out, bool *found) {
    int depth = 0;
    *out = p->token;
    for (*found = false; out->type != AIC_T_END;) {
        char c = out->type == AIC_T_PUNCT ? out->punct : '\0';
        depth += c == '(' || c == '[';
        depth -= c == ')' || c == ']';
        *found = depth == 0 && is_for(out);
        if (*found || depth < 0 || (depth == 0 && c == ','))
            return true;
        if (!aic_expr_lex(p->e, p->arena, out->end, out, p->err))
            return false;
    }
    return true;
}

typedef struct variables {
    const char *names[AIC_EXPR_MAX_LOCALS];
    size_t n;
} variables;

/* Names after `for`, up to `in`, which is taken. */
static bool parse_variables(parser *p, variables *v) {
    for (v->n = 0;;) {
        if (p->token.type != AIC_T_NAME || strchr(p->token.name, '.'))
            return fail_token(p, "the name of a variable") != NULL;
        if (p->n_locals + v->n == AIC_EXPR_MAX_LOCALS)
            return aic_expr_fail(p->e, p->token.pos, p->err, "more than %d variables", AIC_EXPR_MAX_LOCALS);
        v->names[v->n++] = p->token.name;
        if (!advance(p))
            return false;
        if (p->token.type == AIC_T_OP && p->token.op == AIC_XOP_IN)
            return advance(p);
        if (!is_punct(p, ','))
            return fail_token(p, "\",\" or \"in\"") != NULL;
        if (!advance(p))
            return false;
    }
}

/* The list is compiled before its variables have names, so that it cannot see them; then the condition; then
 * the item, which stands first. */
static bool parse_clauses(parser *p, variables *v, aic_enode **parts, aic_etoken item) {
    if (!parse_variables(p, v) || !(parts[0] = parse_level(p, 0)))
        return false;
    memcpy(p->locals + p->n_locals, v->names, v->n * sizeof *v->names);
    p->n_locals += v->n;
    if (p->token.type == AIC_T_IF && !(advance(p) && (parts[2] = parse_level(p, 0))))
        return false;
    if (!is_punct(p, ']'))
        return fail_token(p, parts[2] ? "\"]\"" : "\"if\" or \"]\"") != NULL;
    aic_etoken end = p->token;
    p->token = item;
    parts[1] = parse_expression(p);
    if (parts[1] && !is_for(&p->token))
        return fail_token(p, "\"for\"") != NULL;
    p->token = end;
    return parts[1] != NULL;
}

static aic_enode *parse_each(parser *p, size_t pos, aic_etoken item) {
    aic_enode *parts[3] = {NULL}; /* list, item, condition */
    variables v;
    size_t outside = p->n_locals;
    bool ok = enter(p) && advance(p) && parse_clauses(p, &v, parts, item);
    p->depth--;
    p->n_locals = outside;
    if (!ok || !advance(p))
        return NULL;
    aic_enode *n = with_args(p, AIC_N_EACH, pos, parts[2] ? 3 : 2, parts);
    n->slot = (int)outside;
    n->n_names = v.n;
    return n;
}

static aic_enode *parse_list(parser *p) {
    aic_etoken begin = p->token, first, each;
    bool found;
    if (!advance(p) || !find_for(p, &each, &found))
        return NULL;
    first = p->token;
    if (found) {
        p->token = each;
        return parse_each(p, begin.pos, first);
    }
    aic_enode *n = new_node(p, AIC_N_LIST, begin.pos);
    arg_list items = {0};
    bool ok = parse_items(p, ']', &items);
    take_args(p, &items, n);
    if (ok)
        fold_list(p, n);
    return ok ? n : NULL;
}

static aic_enode *parse_atom(parser *p) {
    if (p->token.type == AIC_T_VALUE) {
        aic_enode *n = new_node(p, AIC_N_CONST, p->token.pos);
        n->value = p->token.value;
        return advance(p) ? n : NULL;
    }
    if (p->token.type == AIC_T_NAME)
        return parse_name(p);
    if (is_punct(p, '['))
        return parse_list(p);
    if (!is_punct(p, '('))
        return fail_token(p, "a value");
    if (!advance(p))
        return NULL;
    aic_enode *n = parse_expression(p);
    if (!n)
        return NULL;
    if (!is_punct(p, ')'))
        return fail_token(p, "\")\"");
    return advance(p) ? n : NULL;
}

/* A value and the items picked from it. */
static aic_enode *parse_primary(parser *p) {
    aic_enode *n = parse_atom(p);
    while (n && is_punct(p, '[')) {
        aic_enode *parts[2] = {n, NULL};
        size_t pos = p->token.pos;
        parts[1] = advance(p) ? parse_expression(p) : NULL;
        if (!parts[1])
            return NULL;
        if (!is_punct(p, ']'))
            return fail_token(p, "\"]\"");
        n = advance(p) ? with_args(p, AIC_N_INDEX, pos, 2, parts) : NULL;
    }
    return n;
}

static aic_enode *parse_sign(parser *p) {
    if (p->token.type != AIC_T_OP || p->token.op != AIC_XOP_SUB)
        return parse_primary(p);
    size_t pos = p->token.pos;
    if (!enter(p) || !advance(p))
        return NULL;
    aic_enode *n = parse_sign(p);
    p->depth--;
    if (!n)
        return NULL;
    if (n->type == AIC_N_CONST && n->value.type == AIC_V_INT) {
        n->value.u.i = -n->value.u.i; /* literals are at least 0, so this cannot overflow */
        return n;
    }
    if (n->type == AIC_N_CONST && n->value.type == AIC_V_REAL) {
        n->value.u.r = -n->value.u.r;
        return n;
    }
    return with_args(p, AIC_N_NEG, pos, 1, &n);
}

static aic_enode *parse_not(parser *p) {
    if (p->token.type != AIC_T_NOT)
        return parse_level(p, AIC_L_COMPARE);
    size_t pos = p->token.pos;
    if (!enter(p) || !advance(p))
        return NULL;
    aic_enode *n = parse_not(p);
    p->depth--;
    return n ? with_args(p, AIC_N_NOT, pos, 1, &n) : NULL;
}

static aic_enode *parse_operand(parser *p, aic_level level) {
    if (level == AIC_L_AND)
        return parse_not(p);
    return level + 1 == AIC_LEVELS ? parse_sign(p) : parse_level(p, level + 1);
}

static bool at_level(const parser *p, aic_level level) {
    return p->token.type == AIC_T_OP && aic_expr_op_level(p->token.op) == level;
}

static aic_enode *parse_level(parser *p, aic_level level) {
    aic_enode *first = parse_operand(p, level);
    if (!first || !at_level(p, level))
        return first;
    aic_enode *chain = new_node(p, AIC_N_CHAIN, first->pos);
    arg_list args = {0};
    add_arg(&args, first, AIC_XOPS, first->pos);
    bool ok = true;
    while (ok && at_level(p, level)) {
        aic_etoken op = p->token;
        aic_enode *next = advance(p) ? parse_operand(p, level) : NULL;
        ok = next != NULL;
        if (ok)
            add_arg(&args, next, op.op, op.pos);
    }
    take_args(p, &args, chain);
    return ok ? chain : NULL;
}

static aic_enode *parse_conditional(parser *p) {
    aic_enode *parts[3]; /* condition, then, else */
    parts[1] = parse_level(p, 0);
    if (!parts[1] || p->token.type != AIC_T_IF)
        return parts[1];
    size_t pos = p->token.pos;
    parts[0] = advance(p) ? parse_level(p, 0) : NULL;
    if (!parts[0])
        return NULL;
    if (p->token.type != AIC_T_ELSE)
        return fail_token(p, "\"else\"");
    parts[2] = advance(p) ? parse_expression(p) : NULL;
    return parts[2] ? with_args(p, AIC_N_COND, pos, 3, parts) : NULL;
}

static aic_enode *parse_expression(parser *p) {
    if (!enter(p))
        return NULL;
    aic_enode *n = parse_conditional(p);
    p->depth--;
    return n;
}

aic_expr *aic_expr_compile(aic_arena *a, const char *text, const char *file, int line, int column,
                           const aic_scope *scope, aic_error *err) {
    size_t len = strlen(text);
    if (len > AIC_EXPR_MAX_TEXT) {
        aic_fail_at(err, file, line, column, "an expression of more than %d bytes", AIC_EXPR_MAX_TEXT);
        return NULL;
    }
    aic_expr *e = aic_arena_alloc(a, 1, sizeof *e);
    e->text = aic_arena_strndup(a, text, len);
    e->file = file ? aic_arena_strdup(a, file) : NULL;
    e->line = line;
    e->column = column;
    parser p = {.arena = a, .e = e, .scope = scope, .err = err};
    if (!advance(&p))
        return NULL;
    e->root = parse_expression(&p);
    if (!e->root)
        return NULL;
    if (p.token.type != AIC_T_END)
        return fail_token(&p, "an operator or the end of the expression"), NULL;
    return e;
}

aic_expr *aic_expr_compile_node(aic_arena *a, const aic_node *n, const aic_scope *scope, aic_error *err) {
    if (n->kind == AIC_K_LIST || n->kind == AIC_K_MAP) {
        aic_node_fail(err, n, "expected an expression, found %s", aic_kind_name(n->kind));
        return NULL;
    }
    const char *text = n->kind == AIC_K_NULL ? "null" : n->text;
    int column = n->column + (n->quoted && n->column > 0); /* the node begins at its quote */
    return aic_expr_compile(a, text, n->file, n->line, column, scope, err);
}

const char *aic_expr_text(const aic_expr *e) {
    return e->text;
}

static void visit_slots(const aic_enode *n, void (*visit)(void *ctx, int slot), void *ctx) {
    if (n->type == AIC_N_SLOT)
        visit(ctx, n->slot);
    for (size_t i = 0; i < n->n; i++)
        visit_slots(n->args[i].node, visit, ctx);
}

void aic_expr_slots(const aic_expr *e, void (*visit)(void *ctx, int slot), void *ctx) {
    visit_slots(e->root, visit, ctx);
}
