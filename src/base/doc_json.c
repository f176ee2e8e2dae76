/* JSON documents of doc.h (RFC 8259), read straight into the arena: a catalogue of models is read at every
 * start.
 */
#include "base/doc_internal.h"
#include "base/text_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    aic_arena *arena;
    const char *file; /* in the arena, as nodes have it */
    const char *text, *at, *end;
    bool nan_is_null;
    size_t values;       /* so far */
    aic_node_list stack; /* members of the containers that are open, keys and values in turn */
    aic_error *err;
} reader;

/* ---- errors ---- */

/* Fails where the reader stands; returns NULL. */
static aic_node *fail(reader *rd, const char *what) {
    int line = 1, column = 1;
    for (const char *s = rd->text; s < rd->at; s++) {
        column = *s == '\n' ? 1 : column + 1;
        line += *s == '\n';
    }
    aic_fail_at(rd->err, rd->file, line, column, "%s", what);
    return NULL;
}

/* ---- tokens ---- */

static void skip_space(reader *rd) {
    while (rd->at < rd->end && (*rd->at == ' ' || *rd->at == '\n' || *rd->at == '\t' || *rd->at == '\r'))
        rd->at++;
}

/* The character that comes next, spaces skipped; NUL, which is never part of a document, at the end. */
static char peek(reader *rd) {
    skip_space(rd);
    return rd->at < rd->end ? *rd->at : '\0';
}

static bool take(reader *rd, char c) {
    bool there = peek(rd) == c && rd->at < rd->end;
    rd->at += there;
    return there;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/* Takes a bare word and nothing longer. */
static bool take_word(reader *rd, const char *word) {
    size_t n = strlen(word), rest = (size_t)(rd->end - rd->at);
    if (n > rest || memcmp(rd->at, word, n) != 0 || (n < rest && is_word_char(rd->at[n])))
        return false;
    rd->at += n;
    return true;
}

static aic_node *new_node(const reader *rd, aic_kind kind, const char *text) {
    aic_node *n = aic_arena_alloc(rd->arena, 1, sizeof *n);
    n->kind = kind;
    n->file = rd->file;
    n->text = text;
    return n;
}

/* ---- strings ---- */

/* Four hexadecimal digits; UINT32_MAX = they are not. */
static uint32_t hex4(const char *s, const char *end) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, s++) {
        if (s >= end)
            return UINT32_MAX;
        char c = *s;
        uint32_t digit = is_digit(c)              ? (uint32_t)(c - '0')
                         : (c >= 'a' && c <= 'f') ? (uint32_t)(c - 'a') + 10
                         : (c >= 'A' && c <= 'F') ? (uint32_t)(c - 'A') + 10
                                                  : 16;
        if (digit == 16)
            return UINT32_MAX;
        value = value << 4 | digit;
    }
    return value;
}

/* \uXXXX at the reader, or a pair of them; 0 = none that stands for a character. */
static uint32_t take_code(reader *rd) {
    uint32_t code = hex4(rd->at + 2, rd->end);
    if (code == UINT32_MAX || (code >= 0xDC00 && code < 0xE000))
        return 0;
    rd->at += 6;
    if (code < 0xD800 || code >= 0xE000)
        return code;
    bool pair = rd->end - rd->at >= 6 && rd->at[0] == '\\' && rd->at[1] == 'u';
    uint32_t low = pair ? hex4(rd->at + 2, rd->end) : UINT32_MAX;
    if (low < 0xDC00 || low >= 0xE000)
        return 0;
    rd->at += 6;
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(heads[more] | code >> (6 * more));
    while (more--)
        *to++ = (char)(0x80 | (code >> (6 * more) & 0x3F));
    return to;
}

/* Appends what an escape at the reader stands for; NULL = it is none. */
static char *take_escape(reader *rd, char *to) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char name = rd->end - rd->at >= 2 ? rd->at[1] : '\0';
    if (name == 'u') {
        uint32_t code = take_code(rd);
        return code ? put_utf8(to, code) : NULL;
    }
    const char *found = name ? strchr(names, name) : NULL;
    if (!found)
        return NULL;
    *to++ = values[found - names];
    rd->at += 2;
    return to;
}

/* A string whose opening quote comes next. What it says is never longer than what is written. */
static char *read_string(reader *rd) {
    const char *close = ++rd->at;
    while (close < rd->end && *close != '"')
        close += *close == '\\' && close + 1 < rd->end ? 2 : 1;
    if (close >= rd->end) {
        fail(rd, "a string without its closing quote");
        return NULL;
    }
    char *text = aic_arena_alloc(rd->arena, (size_t)(close - rd->at) + 1, 1), *to = text;
    while (rd->at < close) {
        if ((unsigned char)*rd->at < 0x20) {
            fail(rd, "a control character in a string");
            return NULL;
        }
        if (*rd->at != '\\') {
            *to++ = *rd->at++;
            continue;
        }
        to = take_escape(rd, to);
        if (!to) {
            fail(rd, "an escape that stands for no character");
            return NULL;
        }
    }
    rd->at++;
    return text;
}

static aic_node *read_text(reader *rd) {
    char *text = read_string(rd);
    aic_node *n = text ? new_node(rd, AIC_K_TEXT, text) : NULL;
    if (n)
        n->quoted = true;
    return n;
}

/* ---- numbers ---- */

static const char *digits(const reader *rd, const char *s) {
    while (s < rd->end && is_digit(*s))
        s++;
    return s;
}

/* Where a number at the reader ends; NULL = there is none. */
static const char *number_end(const reader *rd, bool *real) {
    const char *s = rd->at + (*rd->at == '-'), *whole = digits(rd, s);
    *real = false;
    if (whole == s || (*s == '0' && whole > s + 1))
        return NULL;
    s = whole;
    if (s < rd->end && *s == '.') {
        const char *fraction = digits(rd, s + 1);
        if (fraction == s + 1)
            return NULL;
        s = fraction;
        *real = true;
    }
    if (s < rd->end && (*s == 'e' || *s == 'E')) {
        s++;
        if (s < rd->end && (*s == '+' || *s == '-'))
            s++;
        const char *exponent = digits(rd, s);
        if (exponent == s)
            return NULL;
        s = exponent;
        *real = true;
    }
    return s;
}

static aic_node *read_number(reader *rd) {
    bool real;
    const char *end = number_end(rd, &real);
    if (!end || (end < rd->end && is_word_char(*end)))
        return fail(rd, "a value that is none of JSON's");
    char *text = aic_arena_strndup(rd->arena, rd->at, (size_t)(end - rd->at));
    aic_node *n = new_node(rd, real ? AIC_K_REAL : AIC_K_INT, text);
    errno = 0;
    if (real) {
        char shortest[32];
        n->r = strtod(text, NULL);
        if (n->r > 1.7976931348623157e308 || n->r < -1.7976931348623157e308)
            return fail(rd, "a number beyond the range of doubles");
        aic_shortest(n->r, shortest);
        n->text = aic_arena_strdup(rd->arena, shortest);
    } else {
        n->i = strtoll(text, NULL, 10);
        if (errno == ERANGE)
            return fail(rd, "an integer beyond 64 bits");
        n->r = (double)n->i;
        n->text = n->i ? text : "0"; /* never -0 */
    }
    rd->at = end;
    return n;
}

/* ---- containers ---- */

static aic_node *read_value(reader *rd, int depth);

/* Is the key of the last of n members, on the stack from `first` on, that of an earlier one? */
static bool repeats(const reader *rd, size_t first, const char *key) {
    for (size_t i = first; i < rd->stack.count; i += 2)
        if (strcmp(rd->stack.nodes[i]->text, key) == 0)
            return true;
    return false;
}

/* The same for the mappings that are too large to be searched: the keys so far as a set. */
enum { FEW_KEYS = 32 };
static bool key_repeats(const reader *rd, size_t first, const char *key, aic_intern **keys) {
    size_t members = (rd->stack.count - first) / 2;
    if (members < FEW_KEYS)
        return repeats(rd, first, key);
    if (!*keys) {
        *keys = aic_intern_new();
        for (size_t i = first; i < rd->stack.count; i += 2)
            aic_intern_add(*keys, rd->stack.nodes[i]->text, strlen(rd->stack.nodes[i]->text));
    }
    bool found; /* the empty text is there from the start */
    aic_intern_find(*keys, key, strlen(key), &found);
    if (found)
        return *key || repeats(rd, first, key);
    aic_intern_add(*keys, key, strlen(key));
    return false;
}

static bool read_member(reader *rd, size_t first, int depth, aic_intern **keys) {
    if (peek(rd) != '"')
        return fail(rd, "expected a key in quotes") != NULL;
    const char *start = rd->at;
    aic_node *key = read_text(rd);
    if (!key)
        return false;
    if (key_repeats(rd, first, key->text, keys)) {
        rd->at = start;
        return fail(rd, "a key that its mapping has already") != NULL;
    }
    if (!take(rd, ':'))
        return fail(rd, "expected ':' after a key") != NULL;
    aic_node *value = read_value(rd, depth + 1);
    if (!value)
        return false;
    aic_node_list_add(&rd->stack, key);
    aic_node_list_add(&rd->stack, value);
    return true;
}

static bool read_item(reader *rd, int depth) {
    aic_node *value = read_value(rd, depth + 1);
    if (value)
        aic_node_list_add(&rd->stack, value);
    return value != NULL;
}

/* Moves the members from `first` on from the stack into the container. */
static void fill(reader *rd, aic_node *n, size_t first) {
    bool map = n->kind == AIC_K_MAP;
    size_t step = map ? 2 : 1;
    aic_node **from = rd->stack.nodes + first;
    n->count = (rd->stack.count - first) / step;
    n->items = aic_arena_alloc(rd->arena, n->count, sizeof *n->items);
    if (map)
        n->keys = aic_arena_alloc(rd->arena, n->count, sizeof *n->keys);
    for (size_t i = 0; i < n->count; i++) {
        n->items[i] = from[i * step + step - 1];
        if (map)
            n->keys[i] = from[i * step];
    }
    rd->stack.count = first;
}

static aic_node *read_container(reader *rd, bool map, int depth) {
    const char close = map ? '}' : ']';
    size_t first = rd->stack.count;
    aic_intern *keys = NULL;
    if (depth >= AIC_DOC_MAX_DEPTH) {
        aic_fail_at(rd->err, rd->file, 0, 0, "nested deeper than %d levels", AIC_DOC_MAX_DEPTH);
        return NULL;
    }
    rd->at++;
    bool ok = true, closed = take(rd, close);
    while (ok && !closed) {
        ok = map ? read_member(rd, first, depth, &keys) : read_item(rd, depth);
        closed = ok && take(rd, close);
        if (ok && !closed && !take(rd, ','))
            ok = fail(rd, map ? "expected ',' or '}'" : "expected ',' or ']'") != NULL;
    }
    aic_intern_free(keys);
    if (!ok)
        return NULL;
    aic_node *n = new_node(rd, map ? AIC_K_MAP : AIC_K_LIST, NULL);
    fill(rd, n, first);
    return n;
}

static aic_node *read_bool(reader *rd, bool value) {
    aic_node *n = new_node(rd, AIC_K_BOOL, value ? "true" : "false");
    n->b = value;
    return n;
}

static aic_node *read_value(reader *rd, int depth) {
    char c = peek(rd);
    if (++rd->values > AIC_DOC_MAX_NODES) {
        aic_fail_at(rd->err, rd->file, 0, 0, "more than %d values", AIC_DOC_MAX_NODES);
        return NULL;
    }
    if (c == '{' || c == '[')
        return read_container(rd, c == '{', depth);
    if (c == '"')
        return read_text(rd);
    if (take_word(rd, "true"))
        return read_bool(rd, true);
    if (take_word(rd, "false"))
        return read_bool(rd, false);
    if (take_word(rd, "null") || (rd->nan_is_null && (take_word(rd, "NaN") || take_word(rd, "Infinity") ||
                                                      take_word(rd, "-Infinity"))))
        return new_node(rd, AIC_K_NULL, "null");
    if (rd->at < rd->end && (c == '-' || is_digit(c)))
        return read_number(rd);
    return fail(rd, "expected a value");
}

/* ---- documents ---- */

static aic_node *read_document(reader *rd) {
    size_t len = (size_t)(rd->end - rd->text), bad = aic_utf8_bad(rd->text, len);
    if (bad < len) {
        rd->at += bad;
        return fail(rd, "the text is not valid UTF-8");
    }
    aic_node *n = read_value(rd, 0);
    skip_space(rd);
    return !n || rd->at == rd->end ? n : fail(rd, "expected the end of the document");
}

static aic_node *read_json(aic_arena *a, const char *name, const char *text, size_t len, bool nan_is_null,
                           aic_error *err) {
    reader rd = {.arena = a,
                 .file = aic_arena_strdup(a, name),
                 .text = text,
                 .at = text,
                 .end = text + len,
                 .nan_is_null = nan_is_null,
                 .err = err};
    aic_node *n = read_document(&rd);
    free(rd.stack.nodes);
    return n;
}

aic_node *aic_doc_json_text(aic_arena *a, const char *name, const char *text, size_t len, aic_error *err) {
    return read_json(a, name, text, len, false, err);
}

aic_node *aic_doc_json_file(aic_arena *a, const char *path, bool nan_is_null, aic_error *err) {
    aic_buf text = {0};
    aic_node *n = NULL;
    if (aic_doc_read_file(path, &text, err))
        n = read_json(a, path, text.len ? text.data : "", text.len, nan_is_null, err);
    aic_buf_free(&text);
    return n;
}
