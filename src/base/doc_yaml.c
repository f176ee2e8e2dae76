/* YAML documents of doc.h, read from libyaml's events.
 *
 * Recursion follows the nesting of the document, which is at most AIC_DOC_MAX_DEPTH levels. Every node read
 * and every node an alias repeats counts against AIC_DOC_MAX_NODES, so that a document is never larger,
 * walked as a tree, than its reader was ready for.
 */
#include "base/digest.h"
#include "base/doc_internal.h"
#include "base/text_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_ANCHORS = 1000 /* they are looked up one by one */, MAX_TAG_DIRECTIVES = 16 };

typedef struct anchor {
    const char *name;
    const aic_node *node; /* NULL while it is being read: an alias to it would be a cycle */
    size_t nodes;         /* its size as a tree */
    int height;           /* levels below and including it */
} anchor;

typedef struct reader {
    aic_arena *arena;
    aic_error *err;
    const char *file, *source; /* source: the text, to find the position of an encoding error */
    yaml_parser_t parser;
    size_t nodes;    /* as a tree, aliases counted in full */
    anchor *anchors; /* the latest of a name is the one meant */
    size_t n_anchors, cap_anchors;
} reader;

/* One node as the recursion hands it up. */
typedef struct found {
    aic_node *node;
    int height;
} found;

static bool fail_mark(const reader *rd, yaml_mark_t mark, const char *what) {
    return aic_fail_at(rd->err, rd->file, (int)mark.line + 1, (int)mark.column + 1, "%s", what);
}

/* Encoding errors carry a byte offset only. */
static bool fail_offset(const reader *rd, size_t offset, const char *what) {
    int line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        unsigned char c = (unsigned char)rd->source[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) {
            column++;
        }
    }
    return aic_fail_at(rd->err, rd->file, line, column, "%s", what);
}

/* libyaml's wording, where it does not say what to do about it. */
static const char *plainer(const char *problem) {
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return "a tab, @, ` or % where a value begins; indent with spaces, put such text in quotes";
    if (strcmp(problem, "mapping values are not allowed in this context") == 0)
        return "a \": \" that belongs to no key here; check the indentation, or put the text in quotes";
    return problem;
}

static bool fail_parser(const reader *rd) {
    const yaml_parser_t *p = &rd->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return aic_fail(rd->err, AIC_IO, "%s: out of memory", rd->file);
    const char *problem = plainer(p->problem ? p->problem : "not valid YAML");
    if (p->error == YAML_READER_ERROR)
        return fail_offset(rd, p->problem_offset, problem);
    if (!p->context || p->context_mark.line == p->problem_mark.line)
        return fail_mark(rd, p->problem_mark, problem);
    return aic_fail_at(rd->err, rd->file, (int)p->problem_mark.line + 1, (int)p->problem_mark.column + 1,
                       "%s (%s that begins on line %d)", problem, p->context, (int)p->context_mark.line + 1);
}

static bool next(reader *rd, yaml_event_t *event) {
    return yaml_parser_parse(&rd->parser, event) ? true : fail_parser(rd);
}

static bool count_nodes(reader *rd, size_t n, yaml_mark_t mark) {
    rd->nodes += n; /* no overflow: both stay near the limit */
    return rd->nodes <= AIC_DOC_MAX_NODES ||
           aic_fail_at(rd->err, rd->file, (int)mark.line + 1, (int)mark.column + 1,
                       "more than %d values, aliases counted in full", AIC_DOC_MAX_NODES);
}

static aic_node *new_node(const reader *rd, aic_kind kind, yaml_mark_t mark) {
    aic_node *n = aic_arena_alloc(rd->arena, 1, sizeof *n);
    n->kind = kind;
    n->file = rd->file;
    n->line = (int)mark.line + 1;
    n->column = (int)mark.column + 1;
    return n;
}

static bool one_of(const char *s, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}
#define ONE_OF(s, words) one_of(s, words, sizeof(words) / sizeof *(words))

/* Digits that only lack the shape of a number by underscores or leading zeros, or do not fit 64 bits. */
static bool is_odd_decimal(const char *s) {
    char bare[64];
    size_t len = 0;
    if (aic_shape_of_number(s) != AIC_NOT_A_NUMBER)
        return true;
    if (*s == '+' || *s == '-')
        s++;
    if (*s < '0' || *s > '9')
        return false;
    while (*s == '0' || *s == '_')
        s++;
    for (; *s; s++) {
        if (*s == '_')
            continue;
        if (len == sizeof bare - 1)
            return false;
        bare[len++] = *s;
    }
    bare[len] = '\0';
    return len == 0 || aic_shape_of_number(bare) != AIC_NOT_A_NUMBER;
}

/* 0x1F, 0o17, 0b101 */
static bool is_prefixed_number(const char *s) {
    s += *s == '+' || *s == '-';
    if (s[0] != '0' || !s[1] || !strchr("xXoObB", s[1]) || !s[2])
        return false;
    return s[2 + strspn(s + 2, "0123456789abcdefABCDEF_")] == '\0';
}

/* 1:30 and 190:20:30 are numbers to base 60 under YAML 1.1. */
static bool is_sexagesimal(const char *s) {
    s += *s == '+' || *s == '-';
    size_t digits = strspn(s, "0123456789");
    return digits > 0 && s[digits] == ':' && s[strspn(s, "0123456789:.")] == '\0';
}

/* Plain text that YAML 1.1, YAML 1.2 beyond our rules, or a programmer's eye would read as a boolean or
 * number. */
static bool is_lookalike(const char *s) {
    static const char *const words[] = {
        "yes",  "Yes",  "YES",  "no",   "No",    "NO",    "on",    "On",    "ON",    "off",  "Off",  "OFF",
        "y",    "Y",    "n",    "N",    "True",  "TRUE",  "False", "FALSE", "Null",  "NULL", ".nan", ".NaN",
        ".NAN", ".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf", "+.INF"};
    return ONE_OF(s, words) || is_odd_decimal(s) || is_prefixed_number(s) || is_sexagesimal(s);
}

static void type_plain(aic_node *n) {
    static const char *const nulls[] = {"", "~", "null"};
    if (ONE_OF(n->text, nulls)) {
        n->kind = AIC_K_NULL;
    } else if (!strcmp(n->text, "true") || !strcmp(n->text, "false")) {
        n->kind = AIC_K_BOOL;
        n->b = n->text[0] == 't';
    } else if (aic_parse_i64(n->text, &n->i)) {
        n->kind = AIC_K_INT;
        n->r = (double)n->i;
    } else if (aic_shape_of_number(n->text) == AIC_REAL_SHAPE && aic_parse_f64(n->text, &n->r)) {
        n->kind = AIC_K_REAL;
    } else {
        n->lookalike = is_lookalike(n->text);
    }
}

static bool refuse_tag(const reader *rd, const unsigned char *tag, yaml_mark_t mark) {
    if (!tag)
        return true;
    return fail_mark(rd, mark, "tags (!name) are not read; leave it out");
}

static bool read_scalar(reader *rd, const yaml_event_t *event, aic_node **out) {
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (!refuse_tag(rd, event->data.scalar.tag, event->start_mark))
        return false;
    if (memchr(text, '\0', len))
        return fail_mark(rd, event->start_mark, "a NUL character inside text");
    aic_node *n = new_node(rd, AIC_K_TEXT, event->start_mark);
    n->text = aic_arena_strndup(rd->arena, text, len);
    n->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!n->quoted)
        type_plain(n);
    *out = n;
    return true;
}

/* Opens the anchor of an event, if it has one: *opened is its index + 1, or 0. */
static bool open_anchor(reader *rd, const unsigned char *name, yaml_mark_t mark, size_t *opened) {
    *opened = 0;
    if (!name)
        return true;
    if (rd->n_anchors == MAX_ANCHORS)
        return fail_mark(rd, mark, "too many anchors");
    AIC_GROW(rd->anchors, rd->n_anchors, rd->cap_anchors);
    rd->anchors[rd->n_anchors++] = (anchor){.name = aic_arena_strdup(rd->arena, (const char *)name)};
    *opened = rd->n_anchors;
    return true;
}

static bool read_alias(reader *rd, const yaml_event_t *event, int depth, found *out) {
    const char *name = (const char *)event->data.alias.anchor;
    const anchor *a = NULL;
    for (size_t i = rd->n_anchors; i-- > 0 && !a;)
        if (strcmp(rd->anchors[i].name, name) == 0)
            a = &rd->anchors[i];
    if (!a)
        return fail_mark(rd, event->start_mark, "an alias to an anchor that was not set before");
    if (!a->node)
        return fail_mark(rd, event->start_mark, "an alias inside its own anchor");
    if (depth + a->height > AIC_DOC_MAX_DEPTH)
        return fail_mark(rd, event->start_mark, "an alias nests the document too deeply");
    *out = (found){(aic_node *)a->node, a->height};
    return count_nodes(rd, a->nodes, event->start_mark);
}

static bool read_node(reader *rd, yaml_event_t *event, int depth, found *out);

/* The next event's node, or out->node = NULL at the end of the list or mapping. */
static bool read_child(reader *rd, int depth, yaml_event_type_t end, found *out) {
    yaml_event_t event;
    if (!next(rd, &event))
        return false;
    *out = (found){0};
    bool ok = event.type == end || read_node(rd, &event, depth, out);
    yaml_event_delete(&event);
    return ok;
}

static int higher(int a, int b) {
    return a > b ? a : b;
}

static bool read_list(reader *rd, aic_node *n, int depth, int *height) {
    aic_node_list items = {0};
    found child;
    bool ok;
    while ((ok = read_child(rd, depth + 1, YAML_SEQUENCE_END_EVENT, &child)) && child.node) {
        aic_node_list_add(&items, child.node);
        *height = higher(*height, child.height + 1);
    }
    n->count = items.count;
    n->items = aic_node_list_take(&items, rd->arena);
    return ok;
}

static bool check_key(const reader *rd, const aic_node *key) {
    if (key->kind == AIC_K_LIST || key->kind == AIC_K_MAP)
        return aic_node_fail(rd->err, key, "a key must be a single word or text, not %s",
                             aic_kind_name(key->kind));
    if (!key->quoted && strcmp(key->text, "<<") == 0)
        return aic_node_fail(rd->err, key, "merge keys (<<) are not read; write the entries out");
    return true;
}

static int by_text_then_order(const void *a, const void *b) {
    const aic_node *x = *(aic_node *const *)a, *y = *(aic_node *const *)b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : (x->column > y->column) - (x->column < y->column);
}

static bool refuse_duplicates(const reader *rd, const aic_node_list *keys) {
    if (keys->count < 2)
        return true;
    aic_node **sorted = aic_alloc(keys->count, sizeof *sorted);
    memcpy(sorted, keys->nodes, keys->count * sizeof *sorted);
    qsort(sorted, keys->count, sizeof *sorted, by_text_then_order);
    bool ok = true;
    char shown[AIC_SHOWN];
    for (size_t i = 1; ok && i < keys->count; i++)
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0)
            ok = aic_node_fail(rd->err, sorted[i],
                               "the key \"%s\" stands here again; it was first given on line %d",
                               aic_shown(sorted[i]->text, shown), sorted[i - 1]->line);
    free(sorted);
    return ok;
}

static bool read_entries(reader *rd, int depth, int *height, aic_node_list *keys, aic_node_list *values) {
    found key, value;
    for (;;) {
        if (!read_child(rd, depth + 1, YAML_MAPPING_END_EVENT, &key))
            return false;
        if (!key.node)
            return refuse_duplicates(rd, keys);
        if (!check_key(rd, key.node) || !read_child(rd, depth + 1, YAML_NO_EVENT, &value))
            return false;
        aic_node_list_add(keys, key.node);
        aic_node_list_add(values, value.node);
        *height = higher(*height, value.height + 1);
    }
}

static bool read_map(reader *rd, aic_node *n, int depth, int *height) {
    aic_node_list keys = {0}, values = {0};
    bool ok = read_entries(rd, depth, height, &keys, &values);
    n->count = values.count;
    n->keys = aic_node_list_take(&keys, rd->arena);
    n->items = aic_node_list_take(&values, rd->arena);
    return ok;
}

static bool read_container(reader *rd, const yaml_event_t *event, int depth, found *out) {
    bool map = event->type == YAML_MAPPING_START_EVENT;
    if (!refuse_tag(rd, map ? event->data.mapping_start.tag : event->data.sequence_start.tag,
                    event->start_mark))
        return false;
    if (depth >= AIC_DOC_MAX_DEPTH)
        return aic_fail_at(rd->err, rd->file, (int)event->start_mark.line + 1,
                           (int)event->start_mark.column + 1, "nested deeper than %d levels",
                           AIC_DOC_MAX_DEPTH);
    *out = (found){new_node(rd, map ? AIC_K_MAP : AIC_K_LIST, event->start_mark), 1};
    return map ? read_map(rd, out->node, depth, &out->height) : read_list(rd, out->node, depth, &out->height);
}

static const unsigned char *anchor_of(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

/* depth: levels around this node. */
static bool read_node(reader *rd, yaml_event_t *event, int depth, found *out) {
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(rd, event, depth, out);
    size_t before = rd->nodes, opened;
    if (!open_anchor(rd, anchor_of(event), event->start_mark, &opened) ||
        !count_nodes(rd, 1, event->start_mark))
        return false;
    bool scalar = event->type == YAML_SCALAR_EVENT;
    if (!(scalar ? read_scalar(rd, event, &out->node) : read_container(rd, event, depth, out)))
        return false;
    if (opened) {
        rd->anchors[opened - 1].node = out->node;
        rd->anchors[opened - 1].nodes = rd->nodes - before;
        rd->anchors[opened - 1].height = out->height;
    }
    return true;
}

/* Passes over one event of the given type. */
static bool expect(reader *rd, yaml_event_type_t type) {
    yaml_event_t event;
    if (!next(rd, &event))
        return false;
    bool ok = event.type == type || fail_mark(rd, event.start_mark, "a second document; only one is read");
    yaml_event_delete(&event);
    return ok;
}

static aic_node *read_document(reader *rd) {
    yaml_event_t event;
    found root = {0};
    if (!expect(rd, YAML_STREAM_START_EVENT) || !next(rd, &event))
        return NULL;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_mark_t mark = event.start_mark;
    yaml_event_delete(&event);
    if (empty) {
        aic_node *n = new_node(rd, AIC_K_NULL, mark);
        n->text = "";
        return n;
    }
    if (!read_child(rd, 0, YAML_NO_EVENT, &root) || !expect(rd, YAML_DOCUMENT_END_EVENT) ||
        !expect(rd, YAML_STREAM_END_EVENT))
        return NULL;
    return root.node;
}

/* libyaml compares each %TAG directive with all before it, all inside one call: a file of nothing else would
 * keep it busy for minutes. Tags are not read, so a handful is more than anyone needs. */
static bool refuse_tag_directives(const reader *rd, size_t len) {
    size_t found = 0;
    for (size_t i = 0; i + 4 <= len; i++) {
        found += rd->source[i] == '%' && memcmp(rd->source + i, "%TAG", 4) == 0;
        if (found > MAX_TAG_DIRECTIVES)
            return fail_offset(rd, i, "too many %TAG directives");
    }
    return true;
}

aic_node *aic_doc_yaml_text(aic_arena *a, const char *name, const char *text, size_t len, aic_error *err) {
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    reader rd = {.arena = a, .err = err, .file = aic_arena_strdup(a, name), .source = text};
    if (!refuse_tag_directives(&rd, len))
        return NULL;
    if (!yaml_parser_initialize(&rd.parser)) {
        aic_fail(err, AIC_IO, "%s: out of memory", name);
        return NULL;
    }
    yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, len);
    aic_node *root = read_document(&rd);
    yaml_parser_delete(&rd.parser);
    free(rd.anchors);
    return root;
}

aic_node *aic_doc_yaml_file_digest(aic_arena *a, const char *path, char sha256[65], aic_error *err) {
    aic_buf text = {0};
    aic_node *n = NULL;
    if (aic_doc_read_file(path, &text, err)) {
        if (sha256)
            aic_sha256_text(text.data, text.len, sha256);
        n = aic_doc_yaml_text(a, path, text.data, text.len, err);
    }
    aic_buf_free(&text);
    return n;
}

aic_node *aic_doc_yaml_file(aic_arena *a, const char *path, aic_error *err) {
    return aic_doc_yaml_file_digest(a, path, NULL, err);
}
