/* Reading the rows of a table in source order, and only the columns asked for. */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

/* A column of the current source. */
typedef struct column {
    bool present;
    pdb_cells cells;
    uint64_t *ids; /* text: interned id by cell value */
} column;

/* Everything read from one source; slots follow the schema. */
typedef struct source_rows {
    size_t rows;
    column cat[PDB_MAX_CATS], axis[PDB_MAX_AXES], plus[PDB_MAX_AXES], value[PDB_MAX_VALUES], power, kernel;
    bool *allowed; /* kernel filter by cell value of `kernel`; NULL = all rows pass */
} source_rows;

typedef struct scan {
    const pdb_view *view;
    const pdb_schema *schema;
    const pdb_source *source;
    pdb_origins from; /* of the source's rows */
    pdb_group *group;
    const pdb_sink *sink;
    bool stopped;
    aic_sha256 *content; /* of all columns read; NULL = this table was read before */
    aic_error err;
} scan;

/* ---- reading columns ------------------------------------------------------------------------- */

static void free_column(column *c) {
    pdb_cells_free(&c->cells);
    free(c->ids);
}

static void free_rows(source_rows *r) {
    for (int i = 0; i < PDB_MAX_CATS; i++)
        free_column(&r->cat[i]);
    for (int i = 0; i < PDB_MAX_AXES; i++) {
        free_column(&r->axis[i]);
        free_column(&r->plus[i]);
    }
    for (int i = 0; i < PDB_MAX_VALUES; i++)
        free_column(&r->value[i]);
    free_column(&r->power);
    free_column(&r->kernel);
    free(r->allowed);
}

static bool fail_at(scan *s, const char *column, const char *what) {
    return aic_fail(&s->err, AIC_BAD_INPUT, "table %s: %s of %s %s", s->schema->table, column,
                    s->source->group, what);
}

static bool missing_column(scan *s, const char *name) {
    aic_arena *a = aic_arena_new();
    aic_buf have = {0};
    const char **names;
    size_t n;
    if (pdb_file_list(pdb_impl(s->view)->file, s->source->group, a, &names, &n, NULL))
        for (size_t i = 0; i < n; i++)
            aic_buf_printf(&have, "%s%s", i ? ", " : "", names[i]);
    aic_fail(&s->err, AIC_BAD_INPUT, "table %s: column %s missing in %s (columns: %s)", s->schema->table,
             name, s->source->group, have.len ? have.data : "none");
    aic_buf_free(&have);
    aic_arena_free(a);
    return false;
}

/* Cells as stored: quick, and equal storage is equal content. */
static void digest_column(aic_sha256 *h, const char *name, const pdb_cells *c) {
    char cells[AIC_XXH128_HEX];
    uint64_t shape[] = {(uint64_t)c->kind, (uint64_t)c->width, c->is_signed, c->rows, c->n_members};
    aic_sha256_add(h, name, strlen(name) + 1);
    aic_sha256_add(h, shape, sizeof shape);
    for (size_t i = 0; i < c->n_members; i++)
        aic_sha256_add(h, c->members[i] ? c->members[i] : "", c->members[i] ? strlen(c->members[i]) + 1 : 0);
    aic_xxh128_text(c->data, c->rows * (size_t)c->width, cells);
    aic_sha256_add(h, cells, sizeof cells);
}

static bool read_column(scan *s, const char *name, pdb_cell_kind kind, bool optional, column *c) {
    static const char *const kinds[] = {"does not hold integers", "does not hold doubles",
                                        "does not hold text"};
    if (!pdb_group_has(s->group, name))
        return optional || missing_column(s, name);
    if (!pdb_group_read(s->group, name, &c->cells, &s->err))
        return false;
    if (c->cells.kind != kind)
        return fail_at(s, name, kinds[kind]);
    c->present = true;
    if (s->content)
        digest_column(s->content, name, &c->cells);
    return true;
}

static void intern_members(scan *s, column *c) {
    c->ids = AIC_NEW_ARRAY(uint64_t, c->cells.n_members);
    for (size_t i = 0; i < c->cells.n_members; i++)
        if (c->cells.members[i])
            c->ids[i] = pdb_text_add(s->view, c->cells.members[i]);
}

static bool read_category(scan *s, const pdb_column *want, column *c) {
    if (!read_column(s, want->column, want->text ? PDB_CELL_TEXT : PDB_CELL_INT, want->optional, c))
        return false;
    if (want->text && c->present)
        intern_members(s, c);
    return true;
}

/* The kernels a cross-backend source may contribute. A file that does not name its kernels contributes
 * nothing. */
static bool read_filter(scan *s, source_rows *r) {
    if (!s->source->n_kernels)
        return true;
    if (!read_column(s, "kernel_source", PDB_CELL_TEXT, true, &r->kernel))
        return false;
    if (!r->kernel.present) {
        r->rows = 0;
        return true;
    }
    r->allowed = AIC_NEW_ARRAY(bool, r->kernel.cells.n_members);
    for (size_t i = 0; i < r->kernel.cells.n_members; i++)
        for (size_t k = 0; k < s->source->n_kernels && r->kernel.cells.members[i]; k++)
            r->allowed[i] |= strcmp(r->kernel.cells.members[i], s->source->kernels[k]) == 0;
    return true;
}

static bool read_values(scan *s, source_rows *r) {
    const char *const *names = s->schema->value;
    if (!names[0])
        return read_column(s, "latency", PDB_CELL_REAL, false, &r->value[0]);
    for (int i = 0; i < PDB_MAX_VALUES && names[i]; i++)
        if (!read_column(s, names[i], PDB_CELL_REAL, false, &r->value[i]))
            return false;
    return true;
}

static bool read_rows(scan *s, source_rows *r) {
    const pdb_schema *schema = s->schema;
    r->rows = pdb_group_rows(s->group);
    if (!read_filter(s, r))
        return false;
    for (int i = 0; i < schema->n_cats; i++)
        if (!read_category(s, &schema->cats[i], &r->cat[i]))
            return false;
    for (int i = 0; i < schema->n_axes; i++) {
        const pdb_column *a = &schema->axes[i];
        if (!read_column(s, a->column, PDB_CELL_INT, a->optional, &r->axis[i]) ||
            (a->plus && !read_column(s, a->plus, PDB_CELL_INT, a->optional, &r->plus[i])))
            return false;
    }
    return read_values(s, r) && read_column(s, "power", PDB_CELL_REAL, true, &r->power);
}

/* ---- from columns to rows -------------------------------------------------------------------- */

/* Cells from..from+n of an integer or text column. A negative cell becomes UINT64_MAX, which no limit admits.
 */
static void widen(const column *c, size_t from, size_t n, uint64_t *out) {
    const void *data = c->cells.data;
    switch (c->cells.width) {
    case 1:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint8_t *)data)[from + i];
        break;
    case 2:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint16_t *)data)[from + i];
        break;
    case 4:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint32_t *)data)[from + i];
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            uint64_t v = ((const uint64_t *)data)[from + i];
            out[i] = c->cells.is_signed && v >> 63 ? UINT64_MAX : v;
        }
    }
    if (c->ids)
        for (size_t i = 0; i < n; i++)
            out[i] = c->ids[out[i]];
}

/* Integer keys are 32-bit in the data's own rules; only the last axis of a message-size table is wider. */
static bool fits(scan *s, const char *name, const uint64_t *keys, size_t n, uint64_t limit) {
    for (size_t i = 0; i < n; i++)
        if (keys[i] > limit)
            return fail_at(s, name,
                           limit == UINT32_MAX ? "holds a key that does not fit in 32 bits"
                                               : "holds a key that does not fit in 64 bits");
    return true;
}

static bool fill_axis(scan *s, const source_rows *r, int axis, size_t from, size_t n, uint64_t *out) {
    const pdb_column *a = &s->schema->axes[axis];
    bool wide = s->schema->wide_axis && axis == s->schema->n_axes - 1;
    uint64_t limit = wide ? UINT64_MAX - 1 : UINT32_MAX, added[PDB_BLOCK];
    if (r->axis[axis].present)
        widen(&r->axis[axis], from, n, out);
    if (!fits(s, a->column, out, n, limit))
        return false;
    if (!r->plus[axis].present)
        return true;
    widen(&r->plus[axis], from, n, added);
    if (!fits(s, a->plus, added, n, UINT32_MAX))
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = limit - out[i] < added[i] ? UINT64_MAX : out[i] + added[i];
    return fits(s, a->column, out, n, limit);
}

static bool fill_block(scan *s, const source_rows *r, size_t from, size_t n, pdb_block *b) {
    for (int i = 0; i < s->schema->n_cats; i++) {
        if (!r->cat[i].present)
            continue;
        widen(&r->cat[i], from, n, b->cat[i]);
        if (!fits(s, s->schema->cats[i].column, b->cat[i], n, UINT32_MAX))
            return false;
    }
    for (int i = 0; i < s->schema->n_axes; i++)
        if (!fill_axis(s, r, i, from, n, b->axis[i]))
            return false;
    memcpy(b->latency, (const double *)r->value[0].cells.data + from, n * sizeof(double));
    for (int v = 1; v < PDB_MAX_VALUES && r->value[v].present; v++)
        for (size_t i = 0; i < n; i++)
            b->latency[i] += ((const double *)r->value[v].cells.data)[from + i];
    if (r->power.present)
        memcpy(b->power, (const double *)r->power.cells.data + from, n * sizeof(double));
    return true;
}

static void take_row(const scan *s, const pdb_block *b, size_t i, pdb_row *row) {
    for (int k = 0; k < s->schema->n_cats; k++)
        row->cat[k] = b->cat[k][i];
    for (int k = 0; k < s->schema->n_axes; k++)
        row->axis[k] = b->axis[k][i];
    row->latency = b->latency[i];
    row->power = b->power[i];
    row->source = s->source;
    row->from = s->from;
    row->fault = NULL;
}

static bool passes_filter(const source_rows *r, size_t row) {
    if (!r->allowed)
        return true;
    const pdb_cells *k = &r->kernel.cells;
    return r->allowed[k->width == 1 ? ((const uint8_t *)k->data)[row] : ((const uint16_t *)k->data)[row]];
}

static bool visit_block(scan *s, const source_rows *r, const pdb_block *b, size_t from, pdb_row *row) {
    bool ok = true;
    for (size_t i = 0; ok && !s->stopped && i < b->n; i++) {
        if (!passes_filter(r, from + i))
            continue;
        take_row(s, b, i, row);
        bool admitted = !s->schema->admit || s->schema->admit(s->view, s->schema, row);
        if (admitted && !row->fault)
            s->stopped = !s->sink->visit(s->sink->ctx, row);
        if (row->fault)
            ok = aic_fail(&s->err, AIC_BAD_INPUT, "table %s: %s: %s", s->schema->table, s->source->group,
                          row->fault);
    }
    return ok;
}

static bool visit_rows(scan *s, const source_rows *r) {
    pdb_block *b = AIC_NEW(pdb_block);
    pdb_row row = {0};
    bool ok = true, whole = s->sink->block && !s->schema->admit && !r->allowed;
    b->source = s->source;
    b->from = s->from;
    for (size_t from = 0; ok && !s->stopped && from < r->rows; from += PDB_BLOCK) {
        b->n = r->rows - from < PDB_BLOCK ? r->rows - from : PDB_BLOCK;
        ok = fill_block(s, r, from, b->n, b);
        if (ok && whole)
            s->sink->block(s->sink->ctx, b);
        else if (ok)
            ok = visit_block(s, r, b, from, &row);
    }
    free(b);
    return ok;
}

/* ---- sources --------------------------------------------------------------------------------- */

/* Reads the columns of one source. Nothing of a group can be trusted before: not even its number of rows. */
static bool read_source(scan *s, source_rows *out) {
    s->group = pdb_group_open(pdb_impl(s->view)->file, s->source->group, &s->err);
    bool ok = s->group && read_rows(s, out);
    pdb_group_close(s->group);
    return ok;
}

static void note_content(scan *s) {
    char sha256[65] = "";
    if (s->content) {
        aic_sha256_add(s->content, s->err.text, strlen(s->err.text) + 1);
        aic_sha256_hex(s->content, sha256);
    }
    pdb_read_note(pdb_impl(s->view), s->schema, sha256);
}

/* Columns of all sources first, so that the number of rows is known before the first of them is visited. */
static bool scan_sources(scan *s, const pdb_source *list, size_t n) {
    source_rows *sources = AIC_NEW_ARRAY(source_rows, n);
    size_t rows = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        s->source = &list[i];
        if (s->content)
            aic_sha256_add(s->content, list[i].group, strlen(list[i].group) + 1);
        ok = !list[i].exists || read_source(s, &sources[i]);
        rows += sources[i].rows;
    }
    pdb_impl(s->view)->loaded.rows += rows;
    ok = ok && (rows <= UINT32_MAX ||
                aic_fail(&s->err, AIC_BAD_INPUT, "table %s: more than 2^32 rows", s->schema->table));
    if (ok && s->sink->expect)
        s->sink->expect(s->sink->ctx, rows);
    for (size_t i = 0; i < n; i++) {
        s->source = &list[i];
        if (ok && !s->stopped && sources[i].rows) {
            s->from = pdb_origin_of(pdb_impl(s->view), s->source);
            ok = visit_rows(s, &sources[i]);
        }
        free_rows(&sources[i]);
    }
    free(sources);
    return ok;
}

bool pdb_scan_to(const pdb_view *view, const pdb_schema *schema, const pdb_sink *sink, const char **why) {
    pdb_view_impl *v = pdb_impl(view);
    scan s = {.view = view, .schema = schema, .sink = sink};
    pthread_mutex_lock(&v->lock);
    double start = aic_now();
    const pdb_source *list;
    size_t n = pdb_sources(view, schema->table, &list);
    if (schema->primary_only && n > 1)
        n = 1;
    if (!pdb_read_known(v, schema))
        s.content = aic_sha256_new();
    bool ok = scan_sources(&s, list, n);
    note_content(&s);
    if (!ok && why)
        *why = aic_arena_strdup(v->arena, s.err.text);
    v->loaded.tables++;
    v->loaded.seconds += aic_now() - start;
    pthread_mutex_unlock(&v->lock);
    return ok;
}

bool pdb_scan(const pdb_view *view, const pdb_schema *schema, bool (*visit)(void *ctx, pdb_row *row),
              void *ctx, const char **why) {
    return pdb_scan_to(view, schema, &(pdb_sink){.ctx = ctx, .visit = visit}, why);
}
