/* JSON documents of doc.h, read by jansson. */
#include "base/doc_internal.h"
#include "base/text_internal.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* An object that is left for later. */
typedef struct part {
    const char *text;
    int line;
} part;

typedef struct reader {
    aic_arena *arena;
    const char *file;
    aic_error *err;
    const part *parts; /* NULL: everything is read; else an object at part_depth is the number of one */
    int part_depth;
} reader;

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Bytes of a bare NaN, Infinity or -Infinity at s, or 0. */
static size_t word_to_null(const char *s, size_t rest) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (n <= rest && memcmp(s, words[i], n) == 0 && (n == rest || !is_word_char(s[n])))
            return n;
    }
    return 0;
}

static size_t string_end(const char *text, size_t len, size_t at) {
    for (at++; at < len && text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at < len ? at + 1 : len;
}

/* Copies text with the words above as null. */
static void replace_words(const char *text, size_t len, aic_buf *out) {
    size_t copied = 0;
    for (size_t i = 0; i < len;) {
        size_t word = i == 0 || !is_word_char(text[i - 1]) ? word_to_null(text + i, len - i) : 0;
        if (word) {
            aic_buf_addn(out, text + copied, i - copied);
            aic_buf_add(out, "null");
            copied = i + word;
            i = copied;
        } else {
            i = text[i] == '"' ? string_end(text, len, i) : i + 1;
        }
    }
    aic_buf_addn(out, text + copied, len - copied);
}

/* Upper bound of the values in a text. Checked first: jansson would need some fifty bytes for each before
 * anything else could count them. */
static size_t count_values(const char *text, size_t len) {
    size_t values = 1;
    for (size_t i = 0; i < len;) {
        values += text[i] == ',' || text[i] == '[' || text[i] == '{';
        i = text[i] == '"' ? string_end(text, len, i) : i + 1;
    }
    return values;
}

#define PART_KEY "part"

static aic_node *new_node(const reader *rd, aic_kind kind, const char *text) {
    aic_node *n = aic_arena_alloc(rd->arena, 1, sizeof *n);
    n->kind = kind;
    n->file = rd->file;
    n->text = text;
    return n;
}

static aic_node *text_node(const reader *rd, const char *text) {
    aic_node *n = new_node(rd, AIC_K_TEXT, aic_arena_strdup(rd->arena, text));
    n->quoted = true;
    return n;
}

static aic_node *number_node(const reader *rd, const json_t *j) {
    char text[32];
    aic_node *n = new_node(rd, json_is_integer(j) ? AIC_K_INT : AIC_K_REAL, NULL);
    if (n->kind == AIC_K_INT) {
        n->i = json_integer_value(j);
        n->r = (double)n->i;
        snprintf(text, sizeof text, "%" PRId64, n->i);
    } else {
        n->r = json_real_value(j);
        aic_shortest(n->r, text);
    }
    n->text = aic_arena_strdup(rd->arena, text);
    return n;
}

static aic_node *convert(const reader *rd, json_t *j, int depth);

static bool convert_members(const reader *rd, json_t *object, aic_node *n, int depth) {
    const char *key;
    json_t *value;
    size_t at = 0;
    json_object_foreach(object, key, value) {
        n->keys[at] = text_node(rd, key);
        n->items[at] = convert(rd, value, depth + 1);
        if (!n->items[at++])
            return false;
    }
    return true;
}

static bool convert_items(const reader *rd, json_t *array, aic_node *n, int depth) {
    for (size_t i = 0; i < n->count; i++) {
        n->items[i] = convert(rd, json_array_get(array, i), depth + 1);
        if (!n->items[i])
            return false;
    }
    return true;
}

static aic_node *part_node(const reader *rd, const json_t *number) {
    const part *p = &rd->parts[json_integer_value(json_object_get(number, PART_KEY))];
    aic_node *n = new_node(rd, AIC_K_TEXT, p->text);
    n->line = p->line;
    return n;
}

static aic_node *convert_container(const reader *rd, json_t *j, int depth) {
    if (rd->parts && depth == rd->part_depth && json_is_object(j))
        return part_node(rd, j);
    if (depth >= AIC_DOC_MAX_DEPTH) {
        aic_fail_at(rd->err, rd->file, 0, 0, "nested deeper than %d levels", AIC_DOC_MAX_DEPTH);
        return NULL;
    }
    bool object = json_is_object(j);
    aic_node *n = new_node(rd, object ? AIC_K_MAP : AIC_K_LIST, NULL);
    n->count = object ? json_object_size(j) : json_array_size(j);
    n->items = aic_arena_alloc(rd->arena, n->count, sizeof *n->items);
    if (object)
        n->keys = aic_arena_alloc(rd->arena, n->count, sizeof *n->keys);
    bool ok = object ? convert_members(rd, j, n, depth) : convert_items(rd, j, n, depth);
    return ok ? n : NULL;
}

static aic_node *convert(const reader *rd, json_t *j, int depth) {
    if (json_is_object(j) || json_is_array(j))
        return convert_container(rd, j, depth);
    if (json_is_string(j))
        return text_node(rd, json_string_value(j));
    if (json_is_number(j))
        return number_node(rd, j);
    if (json_is_null(j))
        return new_node(rd, AIC_K_NULL, "null");
    aic_node *n = new_node(rd, AIC_K_BOOL, json_is_true(j) ? "true" : "false");
    n->b = json_is_true(j);
    return n;
}

/* line: of the text's first. */
static json_t *parse(const char *file, int line, const char *text, size_t len, bool nan_is_null,
                     aic_error *err) {
    json_error_t why;
    aic_buf prepared = {0};
    if (count_values(text, len) > AIC_DOC_MAX_NODES) {
        aic_fail_at(err, file, 0, 0, "more than %d values", AIC_DOC_MAX_NODES);
        return NULL;
    }
    if (nan_is_null) {
        replace_words(text, len, &prepared);
        text = prepared.data;
        len = prepared.len;
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    aic_buf_free(&prepared);
    if (!root)
        aic_fail_at(err, file, line + why.line - 1, why.column, "%s", why.text);
    return root;
}

static aic_node *read_json(aic_arena *a, const char *name, const char *text, size_t len, bool nan_is_null,
                           aic_error *err) {
    json_t *root = parse(name, 1, text, len, nan_is_null, err);
    if (!root)
        return NULL;
    reader rd = {.arena = a, .file = aic_arena_strdup(a, name), .err = err};
    aic_node *n = convert(&rd, root, 0);
    json_decref(root);
    return n;
}

aic_node *aic_doc_json_text(aic_arena *a, const char *name, const char *text, size_t len, aic_error *err) {
    return read_json(a, name, text, len, false, err);
}

aic_node *aic_doc_json_file(aic_arena *a, const char *path, bool nan_is_null, aic_error *err) {
    aic_buf text = {0};
    aic_node *n = NULL;
    if (aic_doc_read_file(path, &text, err))
        n = read_json(a, path, text.data, text.len, nan_is_null, err);
    aic_buf_free(&text);
    return n;
}

/* ---- outlines ---------------------------------------------------------------------------------------- */

/* A text on its way to its outline. */
typedef struct outline {
    aic_arena *arena;
    aic_buf text; /* without what the parts hold */
    part *parts;
    size_t n, cap;
    int line; /* where the scan stands */
} outline;

/* Just behind the bracket that closes the object at text[at], or the end. */
static size_t object_end(const char *text, size_t len, size_t at, int *lines) {
    for (size_t depth = 0; at < len;) {
        const char c = text[at];
        if (c == '"') {
            at = string_end(text, len, at);
            continue;
        }
        at++;
        *lines += c == '\n';
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return at;
}

/* In place of the part's text stand its number and its line ends: errors behind it have the right line.
 * Returns where it ends. */
static size_t take_part(outline *o, const char *text, size_t len, size_t at) {
    int lines = 0;
    size_t end = object_end(text, len, at, &lines);
    AIC_GROW(o->parts, o->n, o->cap);
    o->parts[o->n] = (part){aic_arena_strndup(o->arena, text + at, end - at), o->line};
    aic_buf_printf(&o->text, "{\"" PART_KEY "\":%zu", o->n++);
    for (int i = 0; i < lines; i++)
        aic_buf_add(&o->text, "\n");
    aic_buf_add(&o->text, "}");
    o->line += lines;
    return end;
}

/* Brackets outside of strings are all that is looked at. Where they do not match, the outline or a part is no
 * JSON; where all of these are JSON, so is the text. */
static void take_parts(outline *o, const char *text, size_t len, int part_depth) {
    size_t copied = 0;
    for (size_t i = 0, depth = 0; i < len;) {
        const char c = text[i];
        if (c == '{' && depth == (size_t)part_depth) {
            aic_buf_addn(&o->text, text + copied, i - copied);
            i = copied = take_part(o, text, len, i);
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= (c == '}' || c == ']') && depth > 0;
        o->line += c == '\n';
        i = c == '"' ? string_end(text, len, i) : i + 1;
    }
    aic_buf_addn(&o->text, text + copied, len - copied);
}

aic_node *aic_doc_json_outline_text(aic_arena *a, const char *name, const char *text, size_t len,
                                    int part_depth, aic_error *err) {
    outline o = {.arena = a, .line = 1};
    aic_node *n = NULL;
    take_parts(&o, text, len, part_depth);
    json_t *root = parse(name, 1, o.text.data ? o.text.data : "", o.text.len, false, err);
    if (root) {
        reader rd = {a, aic_arena_strdup(a, name), err, o.parts, part_depth};
        n = convert(&rd, root, 0);
        json_decref(root);
    }
    free(o.parts);
    aic_buf_free(&o.text);
    return n;
}

aic_node *aic_doc_json_outline(aic_arena *a, const char *path, int part_depth, aic_error *err) {
    aic_buf text = {0};
    aic_node *n = NULL;
    if (aic_doc_read_file(path, &text, err))
        n = aic_doc_json_outline_text(a, path, text.data ? text.data : "", text.len, part_depth, err);
    aic_buf_free(&text);
    return n;
}

bool aic_doc_is_part(const aic_node *n) {
    return n->kind == AIC_K_TEXT && !n->quoted;
}

aic_node *aic_doc_json_part(aic_arena *a, const aic_node *part, bool nan_is_null, aic_error *err) {
    json_t *root = parse(part->file, part->line, part->text, strlen(part->text), nan_is_null, err);
    if (!root)
        return NULL;
    reader rd = {.arena = a, .file = part->file, .err = err};
    aic_node *n = convert(&rd, root, 0);
    json_decref(root);
    return n;
}
