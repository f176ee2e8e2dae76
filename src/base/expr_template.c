/* Name templates: text with {expression} parts. */
#include "base/error_internal.h"
#include "base/expr_internal.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

typedef struct part {
    const char *text; /* NULL: the expression */
    const aic_expr *e;
} part;

struct aic_template {
    const char *file; /* where its text begins */
    int line, column;
    size_t n;
    part *parts;
};

typedef struct reader {
    aic_arena *arena;
    const char *text, *file;
    int line, column;
    const aic_scope *scope;
    aic_error *err;
    part *parts;
    size_t n, cap;
} reader;

static void add_part(reader *rd, const char *text, const aic_expr *e) {
    AIC_GROW(rd->parts, rd->n, rd->cap);
    rd->parts[rd->n++] = (part){text, e};
}

static bool fail(const reader *rd, size_t pos, const char *what) {
    int line = rd->line, column = rd->column;
    aic_expr_position(rd->text, pos, &line, &column);
    return aic_fail_at(rd->err, rd->file, line, column, "%s", what);
}

/* Literal text from *pos to the next single brace or the end; doubled braces count as one. */
static bool read_literal(reader *rd, size_t *pos) {
    aic_buf literal = {0};
    const char *s = rd->text;
    bool ok = true;
    while (ok && s[*pos] && !(s[*pos] == '{' && s[*pos + 1] != '{')) {
        bool brace = s[*pos] == '{' || s[*pos] == '}';
        if (s[*pos] == '}' && s[*pos + 1] != '}')
            ok = fail(rd, *pos, "\"}\" without \"{\"; write \"}}\" for a literal brace");
        aic_buf_addn(&literal, s + *pos, 1);
        *pos += brace ? 2 : 1;
    }
    if (ok)
        add_part(rd, aic_arena_strndup(rd->arena, literal.data, literal.len), NULL);
    aic_buf_free(&literal);
    return ok;
}

/* Offset of the brace that closes the expression beginning at pos, strings passed over; or of the end. */
static size_t closing_brace(const char *s, size_t pos) {
    char quote = '\0';
    for (; s[pos] && (quote || s[pos] != '}'); pos++) {
        if (quote && s[pos] == '\\' && s[pos + 1])
            pos++;
        else if (quote)
            quote = s[pos] == quote ? '\0' : quote;
        else if (s[pos] == '"' || s[pos] == '\'')
            quote = s[pos];
    }
    return pos;
}

static bool read_expression(reader *rd, size_t *pos) {
    size_t start = *pos + 1, end = closing_brace(rd->text, start);
    if (!rd->text[end])
        return fail(rd, *pos, "this \"{\" is never closed; write \"{{\" for a literal brace");
    int line = rd->line, column = rd->column;
    aic_expr_position(rd->text, start, &line, &column);
    const char *text = aic_arena_strndup(rd->arena, rd->text + start, end - start);
    aic_expr *e = aic_expr_compile(rd->arena, text, rd->file, line, column, rd->scope, rd->err);
    if (e)
        add_part(rd, NULL, e);
    *pos = end + 1;
    return e != NULL;
}

aic_template *aic_template_compile(aic_arena *a, const char *text, const char *file, int line, int column,
                                   const aic_scope *scope, aic_error *err) {
    reader rd = {a, text, file, line, column, scope, err, NULL, 0, 0};
    bool ok = strlen(text) <= AIC_EXPR_MAX_TEXT || fail(&rd, 0, "a template of more than 64 KiB");
    for (size_t pos = 0; ok && text[pos];) {
        bool expression = text[pos] == '{' && text[pos + 1] != '{';
        ok = expression ? read_expression(&rd, &pos) : read_literal(&rd, &pos);
    }
    aic_template *t = aic_arena_alloc(a, 1, sizeof *t);
    t->file = file ? aic_arena_strdup(a, file) : NULL;
    t->line = line;
    t->column = column;
    t->n = rd.n;
    t->parts = aic_arena_alloc(a, rd.n, sizeof *t->parts);
    if (rd.n)
        memcpy(t->parts, rd.parts, rd.n * sizeof *t->parts);
    free(rd.parts);
    return ok ? t : NULL;
}

/* The text of one part; null has none, as a name with a hole in it is a mistake in the template. */
static bool part_text(const part *p, const aic_env *env, const char **out, aic_error *err) {
    aic_value v;
    if (p->text) {
        *out = p->text;
        return true;
    }
    if (!aic_expr_eval(p->e, env, &v, err))
        return false;
    if (v.type == AIC_V_NULL)
        return aic_expr_fail(p->e, 0, err, "this part of the name is null");
    return aic_value_text(&v, env ? env->arena : NULL, out, err) || aic_expr_locate(p->e, 0, err);
}

bool aic_template_eval(const aic_template *t, const aic_env *env, const char **out, aic_error *err) {
    aic_buf text = {0};
    bool ok = true;
    if (t->n <= 1) {
        *out = "";
        return t->n == 0 || part_text(&t->parts[0], env, out, err);
    }
    for (size_t i = 0; ok && i < t->n; i++) {
        const char *part = "";
        ok = part_text(&t->parts[i], env, &part, err);
        if (ok)
            aic_buf_add(&text, part);
    }
    char *copy = ok ? aic_value_room(env ? env->arena : NULL, text.len, err) : NULL;
    if (copy)
        memcpy(copy, text.data, text.len);
    else if (ok)
        aic_locate(t->file, t->line, t->column, err);
    *out = copy;
    aic_buf_free(&text);
    return copy != NULL;
}
