/* Tables from CSV as collectors write them: typed columns, errors with file and line. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 200, COLUMNS_MAX = 1000, MEMBERS_MAX = 65536 };
static const size_t ROWS_MAX = INT32_MAX;
static const size_t MEMBER_BYTES_MAX = 60000; /* an HDF5 type with its names must fit in 64 KiB */

/* What a column holds: known by its name, or what all its cells can be read as. */
typedef enum content { WHOLE, REAL, BOOLEAN, TEXT } content;

typedef struct column {
    const char *name;
    content content;
    const pdb_column_fact *fact; /* NULL: unknown, content was inferred */
    int64_t *ints;               /* WHOLE, BOOLEAN */
    double *reals;               /* REAL */
    uint32_t *cells;             /* TEXT: indices into members */
    aic_intern *texts;           /* TEXT */
    uint32_t *member_of;         /* text id -> member + 1, 0 = none yet */
    size_t cap_member_of;
    const char **members; /* in order of first appearance; the texts live in `texts` */
    size_t n_members, cap_members, member_bytes;
    uint32_t last; /* text id of the cell before */
} column;

typedef struct reader {
    const char *path;
    const aic_node *header; /* names for a file without them, or NULL */
    bool headless;          /* that is the case */
    aic_arena *arena;       /* names */
    aic_csv *csv;
    char **fields;
    size_t n_fields;
    column *columns;
    size_t n, rows, cap;
    aic_error *err;
} reader;

static bool fail_line(const reader *r, const char *what) {
    return aic_fail_at(r->err, r->path, aic_csv_line(r->csv), 0, "%s", what);
}

/* ---- records ---------------------------------------------------------------------------------- */

/* 1 = a record in r->fields, 0 = the end, -1 = failed. */
static int next_record(reader *r) {
    return aic_csv_next(r->csv, &r->fields, &r->n_fields, r->err);
}

static bool start(reader *r) {
    aic_csv_close(r->csv);
    r->csv = aic_csv_open(r->path, r->err);
    return r->csv != NULL;
}

/* To the first row. */
static bool start_rows(reader *r) {
    return start(r) && (r->headless || next_record(r) == 1);
}

/* ---- header ----------------------------------------------------------------------------------- */

static bool usable_name(const char *name) {
    if (!*name || strcmp(name, ".") == 0 || strlen(name) > NAME_MAX_BYTES)
        return false;
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == '/' || *p == 0x7f)
            return false;
    return true;
}

static bool take_header(reader *r, const char *const *names, size_t n) {
    if (n > COLUMNS_MAX)
        return fail_line(r, "more than 1000 columns");
    r->columns = AIC_NEW_ARRAY(column, n);
    for (size_t i = 0; i < n; i++) {
        if (!usable_name(names[i]))
            return aic_fail_at(r->err, r->path, aic_csv_line(r->csv), 0,
                               "column %zu: '%.40s' is not a usable column name", i + 1, names[i]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(names[k], names[i]) == 0)
                return aic_fail_at(r->err, r->path, aic_csv_line(r->csv), 0, "two columns are named '%s'",
                                   names[i]);
        column *c = &r->columns[r->n++];
        c->name = aic_arena_strdup(r->arena, names[i]);
        c->fact = pdb_column_fact_find(c->name);
    }
    return true;
}

static bool is_number(const char *text) {
    double v;
    return aic_parse_f64(text, &v);
}

static bool take_missing_header(reader *r) {
    const char *names[COLUMNS_MAX];
    if (!r->header || r->header->count != r->n_fields || r->n_fields > COLUMNS_MAX)
        return fail_line(r, "expected a line that names the columns, found a row of numbers");
    for (size_t i = 0; i < r->n_fields; i++)
        names[i] = r->header->items[i]->text;
    r->headless = true;
    return take_header(r, names, r->n_fields);
}

static bool read_header(reader *r) {
    int got = next_record(r);
    if (got < 0)
        return false;
    if (got == 0)
        return aic_fail_at(r->err, r->path, 0, 0,
                           "the file is empty; expected a line that names the columns");
    if (strncmp(r->fields[0], "version https://git-lfs", 23) == 0)
        return fail_line(r, "a git-lfs pointer, not the table itself");
    for (size_t i = 0; i < r->n_fields; i++)
        if (is_number(r->fields[i]))
            return take_missing_header(r);
    return take_header(r, (const char *const *)r->fields, r->n_fields);
}

/* ---- what unknown columns hold ---------------------------------------------------------------- */

static bool is_boolean(const char *text) {
    return strcmp(text, "True") == 0 || strcmp(text, "False") == 0;
}

static content widest(content before, const char *text, bool quoted, bool first) {
    int64_t whole;
    content now = quoted                        ? TEXT
                  : is_boolean(text)            ? BOOLEAN
                  : aic_parse_i64(text, &whole) ? WHOLE
                  : is_number(text)             ? REAL
                                                : TEXT;
    if (first || now == before)
        return now;
    bool numbers = (now == WHOLE || now == REAL) && (before == WHOLE || before == REAL);
    return numbers ? REAL : TEXT;
}

static content content_of(const pdb_column_fact *f) {
    switch (f->kind) {
    case PDB_CELL_REAL:
        return REAL;
    case PDB_CELL_TEXT:
        return TEXT;
    case PDB_CELL_INT:
        break;
    }
    return f->boolean ? BOOLEAN : WHOLE;
}

static bool check_width(const reader *r) {
    return r->n_fields == r->n ||
           aic_fail_at(r->err, r->path, aic_csv_line(r->csv), 0, "%zu field%s, the header names %zu",
                       r->n_fields, r->n_fields == 1 ? "" : "s", r->n);
}

/* Looks through the file once where a column's name does not say what it holds. */
static bool infer(reader *r) {
    bool unknown = false, first = true;
    for (size_t i = 0; i < r->n; i++) {
        unknown |= !r->columns[i].fact;
        r->columns[i].content = r->columns[i].fact ? content_of(r->columns[i].fact) : TEXT;
    }
    if (!unknown)
        return true;
    if (!start_rows(r))
        return false;
    int got;
    while ((got = next_record(r)) == 1) {
        if (!check_width(r))
            return false;
        for (size_t i = 0; i < r->n; i++) {
            column *c = &r->columns[i];
            if (!c->fact && (first || c->content != TEXT))
                c->content = widest(c->content, r->fields[i], aic_csv_quoted(r->csv, i), first);
        }
        first = false;
    }
    return got == 0;
}

/* ---- cells ------------------------------------------------------------------------------------ */

static bool fail_cell(const reader *r, const column *c, const char *expected, const char *text) {
    return aic_fail_at(r->err, r->path, aic_csv_line(r->csv), 0, "column %s: expected %s, found \"%.60s\"",
                       c->name, expected, text);
}

static bool new_member(const reader *r, column *c, uint32_t id) {
    const char *text = aic_intern_text(c->texts, id);
    if (strcmp(text, "<empty>") == 0)
        return fail_cell(r, c, "a text that can be stored", text);
    c->member_bytes += strlen(text) + 3; /* its end and its value */
    if (c->n_members == MEMBERS_MAX || c->member_bytes > MEMBER_BYTES_MAX)
        return aic_fail_at(
            r->err, r->path, aic_csv_line(r->csv), 0,
            "column %s: too many different texts (%zu so far); the names of an HDF5 enumeration "
            "must fit in 64 KiB",
            c->name, c->n_members);
    AIC_GROW(c->members, c->n_members, c->cap_members);
    c->members[c->n_members++] = text;
    c->member_of[id] = (uint32_t)c->n_members;
    return true;
}

static bool take_text(const reader *r, column *c, const char *text, bool quoted) {
    if (!*text && !quoted)
        return fail_cell(r, c, "a text (an empty one in quotes)", text);
    uint32_t id = c->last;
    if (!c->n_members || strcmp(aic_intern_text(c->texts, id), text) != 0)
        id = aic_intern_add(c->texts, text, strlen(text));
    if (id >= c->cap_member_of) {
        size_t cap = aic_add(aic_mul(id, 2), 16);
        c->member_of = aic_realloc(c->member_of, cap, sizeof *c->member_of);
        memset(c->member_of + c->cap_member_of, 0, (cap - c->cap_member_of) * sizeof *c->member_of);
        c->cap_member_of = cap;
    }
    if (!c->member_of[id] && !new_member(r, c, id))
        return false;
    c->cells[r->rows] = c->member_of[id] - 1;
    c->last = id;
    return true;
}

/* Keys count things: no known one is ever negative. */
static bool take_whole(const reader *r, column *c, const char *text) {
    int64_t v;
    if (!aic_parse_i64(text, &v))
        return fail_cell(r, c, "a whole number", text);
    if (v < 0 && c->fact)
        return fail_cell(r, c, "a whole number from 0 up", text);
    c->ints[r->rows] = v;
    return true;
}

static bool take_cell(const reader *r, column *c, const char *text, bool quoted) {
    switch (c->content) {
    case WHOLE:
        return take_whole(r, c, text);
    case REAL:
        return aic_parse_f64(text, &c->reals[r->rows]) || fail_cell(r, c, "a finite number", text);
    case BOOLEAN:
        c->ints[r->rows] = strcmp(text, "True") == 0;
        return is_boolean(text) || fail_cell(r, c, "True or False", text);
    case TEXT:
        break;
    }
    return take_text(r, c, text, quoted);
}

static void reserve(reader *r) {
    if (r->rows < r->cap)
        return;
    r->cap = r->cap ? aic_mul(r->cap, 2) : 1024;
    for (size_t i = 0; i < r->n; i++) {
        column *c = &r->columns[i];
        if (c->content == REAL)
            c->reals = aic_realloc(c->reals, r->cap, sizeof *c->reals);
        else if (c->content == TEXT)
            c->cells = aic_realloc(c->cells, r->cap, sizeof *c->cells);
        else
            c->ints = aic_realloc(c->ints, r->cap, sizeof *c->ints);
    }
}

static bool read_cells(reader *r) {
    int got;
    for (size_t i = 0; i < r->n; i++)
        if (r->columns[i].content == TEXT)
            r->columns[i].texts = aic_intern_new();
    if (!start_rows(r))
        return false;
    while ((got = next_record(r)) == 1) {
        if (!check_width(r))
            return false;
        if (r->rows == ROWS_MAX)
            return fail_line(r, "more than 2^31 - 1 rows");
        reserve(r);
        for (size_t i = 0; i < r->n; i++)
            if (!take_cell(r, &r->columns[i], r->fields[i], aic_csv_quoted(r->csv, i)))
                return false;
        r->rows++;
    }
    return got == 0;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static pdb_cells cells_of(column *c, size_t rows) {
    pdb_cells cells;
    switch (c->content) {
    case REAL:
        cells = (pdb_cells){.kind = PDB_CELL_REAL, .width = 8, .is_signed = true, .rows = rows};
        cells.data = c->reals ? c->reals : aic_alloc(0, 1);
        c->reals = NULL;
        return cells;
    case TEXT:
        return pdb_cells_of_texts(c->cells, rows, c->members, c->n_members);
    case WHOLE:
    case BOOLEAN:
        break;
    }
    cells = pdb_cells_of_ints(c->ints, rows);
    cells.boolean = c->content == BOOLEAN;
    return cells;
}

static void free_column(column *c) {
    free(c->ints);
    free(c->reals);
    free(c->cells);
    free(c->member_of);
    free(c->members);
    if (c->texts)
        aic_intern_free(c->texts);
}

bool pdb_csv_rows(const char *path, const aic_node *header, pdb_rows *out, aic_error *err) {
    reader r = {.path = path, .header = header, .arena = aic_arena_new(), .err = err};
    *out = (pdb_rows){0};
    bool ok = start(&r) && read_header(&r) && infer(&r) && read_cells(&r);
    out->rows = r.rows;
    for (size_t i = 0; ok && i < r.n; i++)
        pdb_rows_add(out, r.columns[i].name, cells_of(&r.columns[i], r.rows));
    for (size_t i = 0; i < r.n; i++)
        free_column(&r.columns[i]);
    free(r.columns);
    aic_csv_close(r.csv);
    aic_arena_free(r.arena);
    return ok;
}
