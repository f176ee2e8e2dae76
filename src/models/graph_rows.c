/* Rows of a graph file: "Kind | name | repeat | field = expr; field = expr | when" (docs/formats/graph.md).
 */
#include "models/internal.h"
#include <string.h>

enum { CELLS = 5, ROW_FIELDS = 32 };

/* A trimmed piece of a row. */
typedef struct piece {
    char *text;
    int column;
} piece;

static piece trimmed(mdl_loader *l, const char *begin, const char *end, int column) {
    while (begin < end && (*begin == ' ' || *begin == '\t')) {
        begin++;
        column++;
    }
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (piece){aic_arena_strndup(l->arena, begin, (size_t)(end - begin)), column};
}

/* Where the separator next stands outside quotes, or the end of the text. */
static const char *next_separator(const char *s, char separator) {
    char quote = '\0';
    for (; *s; s++) {
        if (quote)
            quote = *s == quote ? '\0' : quote;
        else if (*s == '\'' || *s == '"')
            quote = *s;
        else if (*s == separator)
            break;
    }
    return s;
}

/* Pieces of a text between separators; more than max are an error that names what they are. */
static bool split(mdl_loader *l, const aic_node *at, piece whole, char separator, size_t max,
                  const char *what, piece *out, size_t *n) {
    const char *s = whole.text;
    for (*n = 0;; s++) {
        const char *end = next_separator(s, separator);
        piece next = trimmed(l, s, end, whole.column + (int)(s - whole.text));
        if (*n == max)
            return aic_fail_at(l->err, at->file, at->line, next.column, "more than %zu %s", max, what);
        out[(*n)++] = next;
        s = end;
        if (!*s)
            return true;
    }
}

static aic_expr *compile_piece(mdl_loader *l, const aic_node *at, piece p, const mdl_local *locals) {
    mdl_names names = {MDL_OF_PHASE, l->graph, locals};
    return mdl_expr(l->arena, p.text, at->file, at->line, p.column, &names, l->err);
}

/* ---- kinds and fields ---- */

const op_desc *mdl_find_kind(mdl_loader *l, const char *name, const aic_node *at, int column) {
    const op_desc *d = op_kinds_find(l->dirs->kinds, name);
    if (d)
        return d;
    const char *near = op_kinds_nearest(l->dirs->kinds, name);
    aic_fail_at(l->err, at->file, at->line, column, "unknown op kind \"%s\"%s%s%s", name,
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

bool mdl_field_known(const op_desc *d, const char *name) {
    for (size_t i = 0; d && i < d->n_fields; i++)
        if (strcmp(d->fields[i].name, name) == 0)
            return true;
    return false;
}

static const char *field_at(const void *ctx, size_t i) {
    return ((const op_desc *)ctx)->fields[i].name;
}

static bool fail_field(mdl_loader *l, const op_desc *d, const char *name, const aic_node *at, int column) {
    const char *near = aic_nearest(name, d->n_fields, field_at, d);
    return aic_fail_at(l->err, at->file, at->line, column, "%s has no field \"%s\"%s%s%s", d->kind, name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Adds a field or replaces the one of that name; room is the caller's. */
static void put_field(mdl_field *fields, size_t *n, mdl_field f) {
    size_t i = 0;
    while (i < *n && strcmp(fields[i].name, f.name) != 0)
        i++;
    fields[i] = f;
    *n += i == *n;
}

/* ---- defaults ---- */

static mdl_defaults *defaults_of(mdl_loader *l, const op_desc *d) {
    for (size_t i = 0; i < l->n_defaults; i++)
        if (l->defaults[i].desc == d)
            return &l->defaults[i];
    return NULL;
}

bool mdl_compile_defaults(mdl_loader *l, const aic_node *kind, const aic_node *fields) {
    const op_desc *d = mdl_find_kind(l, kind->text, kind, kind->column);
    if (!d)
        return false;
    if (fields->kind != AIC_K_MAP)
        return aic_node_fail(l->err, fields, "defaults of %s: expected a mapping of field to expression",
                             d->kind);
    mdl_defaults *def = defaults_of(l, d);
    if (!def) {
        AIC_GROW(l->defaults, l->n_defaults, l->cap_defaults);
        def = &l->defaults[l->n_defaults++];
        *def =
            (mdl_defaults){.desc = d, .fields = aic_arena_alloc(l->arena, d->n_fields, sizeof *def->fields)};
    }
    mdl_names names = {MDL_OF_PHASE, l->graph, NULL};
    for (size_t i = 0; i < fields->count; i++) {
        const aic_node *key = fields->keys[i];
        if (!mdl_field_known(d, key->text))
            return fail_field(l, d, key->text, key, key->column);
        aic_expr *e = mdl_node_expr(l->arena, fields->items[i], key->text, &names, l->err);
        if (!e)
            return false;
        put_field(def->fields, &def->count, (mdl_field){key->text, e, key});
    }
    return true;
}

/* ---- rows ---- */

typedef struct row {
    mdl_loader *l;
    const aic_node *at;
    const mdl_local *locals;
    const op_desc *desc,
        *other; /* of this phase, and of the other one where the kind changes with the phase */
    mdl_item *out;
} row;

static bool find_desc(row *r, piece kind) {
    const mdl_loader *l = r->l;
    for (size_t i = 0; i < l->n_aliases; i++) {
        if (strcmp(l->aliases[i].name, kind.text) != 0)
            continue;
        mdl_phase own = l->phase == MDL_GENERATION ? MDL_GENERATION : MDL_CONTEXT;
        r->desc = l->aliases[i].desc[own];
        r->other = l->aliases[i].desc[own == MDL_CONTEXT ? MDL_GENERATION : MDL_CONTEXT];
        return true;
    }
    r->desc = r->other = mdl_find_kind(r->l, kind.text, r->at, kind.column);
    if (r->desc && r->desc->composite)
        return aic_fail_at(r->l->err, r->at->file, r->at->line, kind.column,
                           "%s holds other ops; write it as overlap: or fallback:", kind.text);
    return r->desc != NULL;
}

/* One "field = expr". A field that only the other phase's kind has is left out. */
static bool add_field(row *r, piece text) {
    char *equals = strchr(text.text, '=');
    if (!equals || equals[1] == '=')
        return aic_fail_at(r->l->err, r->at->file, r->at->line, text.column,
                           "expected field = expression, found \"%s\"", text.text);
    piece name = trimmed(r->l, text.text, equals, text.column);
    piece value =
        trimmed(r->l, equals + 1, text.text + strlen(text.text), text.column + (int)(equals + 1 - text.text));
    bool mine = mdl_field_known(r->desc, name.text);
    if (!mine && !mdl_field_known(r->other, name.text))
        return fail_field(r->l, r->desc, name.text, r->at, name.column);
    for (size_t i = 0; i < r->out->n_fields; i++)
        if (r->out->fields[i].row == r->at && strcmp(r->out->fields[i].name, name.text) == 0)
            return aic_fail_at(r->l->err, r->at->file, r->at->line, name.column,
                               "field \"%s\" is given twice", name.text);
    const aic_expr *e = compile_piece(r->l, r->at, value, r->locals);
    if (e && mine)
        put_field(r->out->fields, &r->out->n_fields, (mdl_field){name.text, e, r->at});
    return e != NULL;
}

static bool add_fields(row *r, piece cell) {
    piece fields[ROW_FIELDS];
    size_t n = 0;
    if (cell.text[0] && !split(r->l, r->at, cell, ';', ROW_FIELDS, "fields", fields, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add_field(r, fields[i]))
            return false;
    return true;
}

/* The kind's defaults, then the row's own fields over them; every required field must have come. */
static bool compile_fields(row *r, piece cell) {
    const mdl_defaults *def = defaults_of(r->l, r->desc);
    r->out->fields = aic_arena_alloc(r->l->arena, r->desc->n_fields, sizeof *r->out->fields);
    for (size_t i = 0; def && i < def->count; i++)
        put_field(r->out->fields, &r->out->n_fields, def->fields[i]);
    if (!add_fields(r, cell))
        return false;
    for (size_t i = 0; i < r->desc->n_fields; i++) {
        bool given = !r->desc->fields[i].required;
        for (size_t k = 0; k < r->out->n_fields && !given; k++)
            given = strcmp(r->out->fields[k].name, r->desc->fields[i].name) == 0;
        if (!given)
            return aic_node_fail(r->l->err, r->at, "%s lacks its field \"%s\"", r->desc->kind,
                                 r->desc->fields[i].name);
    }
    return true;
}

bool mdl_compile_row(mdl_loader *l, const aic_node *at, const mdl_local *locals, mdl_item *out) {
    piece cells[CELLS] = {
        {(char[]){""}, 0}, {(char[]){""}, 0}, {(char[]){""}, 0}, {(char[]){""}, 0}, {(char[]){""}, 0}};
    piece whole = {aic_arena_strdup(l->arena, at->text), at->column + (at->quoted ? 1 : 0)};
    size_t n;
    if (!split(l, at, whole, '|', CELLS, "cells", cells, &n))
        return false;
    if (n < 3)
        return aic_node_fail(l->err, at, "a row reads: Kind | name | repeat | field = expr; ... | when");
    row r = {l, at, locals, NULL, NULL, out};
    mdl_names names = {MDL_OF_PHASE, l->graph, locals};
    *out = (mdl_item){.type = MDL_ROW, .at = at};
    if (!find_desc(&r, cells[0]))
        return false;
    out->desc = r.desc;
    out->name = mdl_template(l->arena, cells[1].text, at->file, at->line, cells[1].column, &names, l->err);
    out->repeat = out->name ? compile_piece(l, at, cells[2], locals) : NULL;
    if (!out->repeat || !compile_fields(&r, cells[3]))
        return false;
    if (cells[4].text[0])
        out->when = compile_piece(l, at, cells[4], locals);
    return out->when || !cells[4].text[0];
}
