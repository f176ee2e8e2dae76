/* Lexer of the expression language. */
#include "base/expr_internal.h"
#include "base/text.h"
#include "base/text_internal.h"
#include <string.h>

#define X(name, spelling, level) spelling,
static const char *const op_texts[] = {AIC_EXPR_OPS(X)};
#undef X
#define X(name, spelling, level) AIC_L_##level,
static const aic_level op_levels[] = {AIC_EXPR_OPS(X)};
#undef X

const char *aic_expr_op_text(aic_xop op) {
    return op_texts[op];
}

aic_level aic_expr_op_level(aic_xop op) {
    return op_levels[op];
}

/* No locale: names are ASCII everywhere. */
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c) {
    return is_name_start(c) || is_digit(c);
}

static size_t skip_space(const char *s, size_t pos) {
    return pos + strspn(s + pos, " \t\r\n");
}

static size_t word_end(const char *s, size_t pos) {
    while (is_name_char(s[pos]))
        pos++;
    return pos;
}

static bool is_word(const char *s, size_t pos, size_t end, const char *word) {
    return end - pos == strlen(word) && memcmp(s + pos, word, end - pos) == 0;
}

static void lex_op(aic_etoken *t, aic_xop op, size_t end) {
    t->type = AIC_T_OP;
    t->op = op;
    t->end = end;
}

static void lex_value(aic_etoken *t, aic_value v, size_t end) {
    t->type = AIC_T_VALUE;
    t->value = v;
    t->end = end;
}

/* `not`, or `not in` as one operator. */
static void lex_not(const char *s, aic_etoken *t, size_t end) {
    size_t next = skip_space(s, end), next_end = word_end(s, next);
    if (is_word(s, next, next_end, "in")) {
        lex_op(t, AIC_XOP_NOT_IN, next_end);
        return;
    }
    t->type = AIC_T_NOT;
    t->end = end;
}

/* True when the word is a keyword. */
static bool lex_keyword(const char *s, aic_etoken *t, size_t end) {
    static const struct {
        const char *word;
        aic_etoken_type type;
        aic_xop op;
        aic_value value;
    } keywords[] = {
        {"and", AIC_T_OP, AIC_XOP_AND, {0}},
        {"or", AIC_T_OP, AIC_XOP_OR, {0}},
        {"in", AIC_T_OP, AIC_XOP_IN, {0}},
        {"if", AIC_T_IF, AIC_XOPS, {0}},
        {"else", AIC_T_ELSE, AIC_XOPS, {0}},
        {"null", AIC_T_VALUE, AIC_XOPS, {AIC_V_NULL, {.i = 0}}},
        {"true", AIC_T_VALUE, AIC_XOPS, {AIC_V_BOOL, {.b = true}}},
        {"false", AIC_T_VALUE, AIC_XOPS, {AIC_V_BOOL, {.b = false}}},
    };
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (is_word(s, t->pos, end, keywords[i].word)) {
            t->type = keywords[i].type;
            t->op = keywords[i].op;
            t->value = keywords[i].value;
            t->end = end;
            return true;
        }
    return false;
}

static void lex_word(const char *s, aic_arena *a, aic_etoken *t) {
    size_t end = word_end(s, t->pos);
    if (is_word(s, t->pos, end, "not")) {
        lex_not(s, t, end);
        return;
    }
    if (lex_keyword(s, t, end))
        return;
    while (s[end] == '.' && is_name_start(s[end + 1]))
        end = word_end(s, end + 1);
    t->type = AIC_T_NAME;
    t->name = aic_arena_strndup(a, s + t->pos, end - t->pos);
    t->end = end;
}

static bool lex_number(const aic_expr *e, aic_etoken *t, aic_error *err) {
    const char *s = e->text + t->pos;
    char digits[64], shown[AIC_SHOWN];
    size_t len = 0;
    while (is_name_char(s[len]) || s[len] == '.' ||
           ((s[len] == '+' || s[len] == '-') && strchr("eE", s[len - 1])))
        len++;
    if (len >= sizeof digits)
        return aic_expr_fail(e, t->pos, err, "a number of more than 63 characters");
    memcpy(digits, s, len);
    digits[len] = '\0';
    int64_t i;
    double r;
    if (aic_parse_i64(digits, &i))
        lex_value(t, aic_int(i), t->pos + len);
    else if (aic_shape_of_number(digits) == AIC_REAL_SHAPE && aic_parse_f64(digits, &r))
        lex_value(t, aic_real(r), t->pos + len);
    else if (aic_shape_of_number(digits) != AIC_NOT_A_NUMBER)
        return aic_expr_fail(e, t->pos, err, "the number %s does not fit 64 bits", aic_shown(digits, shown));
    else
        return aic_expr_fail(e, t->pos, err, "\"%s\" is not a number (plain decimal, no leading zeros)",
                             aic_shown(digits, shown));
    return true;
}

/* The character an escape stands for, or NUL. */
static char escaped(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '\\':
    case '"':
    case '\'':
        return c;
    default:
        return '\0';
    }
}

static bool lex_string(const aic_expr *e, aic_arena *a, aic_etoken *t, aic_error *err) {
    const char *s = e->text;
    char quote = s[t->pos];
    size_t end = t->pos + 1, len = 0;
    while (s[end] && s[end] != quote)
        end += s[end] == '\\' && s[end + 1] ? 2 : 1;
    if (!s[end])
        return aic_expr_fail(e, t->pos, err, "this %c is never closed", quote);
    char *text = aic_arena_alloc(a, end - t->pos, 1);
    for (size_t i = t->pos + 1; i < end; i++) {
        char c = s[i];
        if (c == '\\' && (c = escaped(s[++i])) == '\0')
            return aic_expr_fail(e, i - 1, err, "unknown escape; known are \\n \\t \\\\ \\\" \\'");
        text[len++] = c;
    }
    lex_value(t, aic_str(text), end + 1);
    return true;
}

static bool lex_symbol(const aic_expr *e, aic_etoken *t, aic_error *err) {
    const char *s = e->text + t->pos;
    if (strchr("()[],", *s)) {
        t->type = AIC_T_PUNCT;
        t->punct = *s;
        t->end = t->pos + 1;
        return true;
    }
    for (aic_xop op = 0; op < AIC_XOPS; op++) {
        size_t len = strlen(op_texts[op]);
        if (!is_name_start(op_texts[op][0]) && strncmp(s, op_texts[op], len) == 0) {
            lex_op(t, op, t->pos + len);
            return true;
        }
    }
    static const struct {
        const char *text, *instead;
    } foreign[] = {{"&&", "and"}, {"||", "or"}, {"!", "not"}, {"=", "=="}, {"&", "and"}, {"|", "or"}};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strncmp(s, foreign[i].text, strlen(foreign[i].text)) == 0)
            return aic_expr_fail(e, t->pos, err, "\"%s\" is no operator here; write \"%s\"", foreign[i].text,
                                 foreign[i].instead);
    char one[5] = {0}, shown[AIC_SHOWN];
    size_t len = aic_utf8_length(s, strlen(s));
    memcpy(one, s, len ? len : 1);
    return aic_expr_fail(e, t->pos, err, "unexpected \"%s\"", aic_shown(one, shown));
}

bool aic_expr_lex(const aic_expr *e, aic_arena *a, size_t pos, aic_etoken *out, aic_error *err) {
    const char *s = e->text;
    pos = skip_space(s, pos);
    *out = (aic_etoken){.type = AIC_T_END, .pos = pos, .end = pos};
    if (!s[pos])
        return true;
    if (is_name_start(s[pos])) {
        lex_word(s, a, out);
        return true;
    }
    if (is_digit(s[pos]) || (s[pos] == '.' && is_digit(s[pos + 1])))
        return lex_number(e, out, err);
    if (s[pos] == '"' || s[pos] == '\'')
        return lex_string(e, a, out, err);
    return lex_symbol(e, out, err);
}
