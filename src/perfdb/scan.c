/* Reading the rows of a table: the columns of all its sources, and only those asked for. */
#include "perfdb/internal.h"
#include <stdlib.h>

typedef struct scan {
    const pdb_schema *schema;
    pdb_parts *parts;
    pdb_part *part; /* of the current source */
    pdb_shelf_group *group;
} scan;

/* ---- reading columns ------------------------------------------------------------------------- */

static bool fail_at(scan *s, const char *column, const char *what) {
    return aic_fail(&s->parts->err, AIC_BAD_INPUT, "table %s: %s of %s %s", s->schema->table, column,
                    s->part->source->group, what);
}

static bool missing_column(scan *s, const char *name) {
    const char *group = s->part->source->group;
    aic_arena *a = aic_arena_new();
    aic_buf have = {0};
    const char **names;
    size_t n;
    if (pdb_file_list(pdb_impl(s->parts->view)->file, group, a, &names, &n, NULL))
        for (size_t i = 0; i < n; i++)
            aic_buf_printf(&have, "%s%s", i ? ", " : "", names[i]);
    aic_fail(&s->parts->err, AIC_BAD_INPUT, "table %s: column %s missing in %s (columns: %s)",
             s->schema->table, name, group, have.len ? have.data : "none");
    aic_buf_free(&have);
    aic_arena_free(a);
    return false;
}

/* Cells as stored: quick, and equal storage is equal content. */
static void digest_column(aic_sha256 *h, const char *name, const pdb_stored *column) {
    const pdb_cells *c = &column->cells;
    uint64_t shape[] = {(uint64_t)c->kind, (uint64_t)c->width, c->is_signed, c->rows, c->n_members};
    aic_sha256_add(h, name, strlen(name) + 1);
    aic_sha256_add(h, shape, sizeof shape);
    for (size_t i = 0; i < c->n_members; i++)
        aic_sha256_add(h, c->members[i] ? c->members[i] : "", c->members[i] ? strlen(c->members[i]) + 1 : 0);
    aic_sha256_add(h, column->content, sizeof column->content);
}

static bool read_column(scan *s, const char *name, pdb_cell_kind kind, bool optional, pdb_use use,
                        const pdb_stored **out) {
    static const char *const kinds[] = {"does not hold integers", "does not hold doubles",
                                        "does not hold text"};
    pdb_parts *p = s->parts;
    bool absent;
    const pdb_stored *stored = pdb_shelf_hold(s->group, name, s->parts->view->db, &absent, &s->parts->err);
    if (!stored)
        return absent && (optional || missing_column(s, name));
    AIC_GROW(p->held[use].list, p->held[use].n, p->held[use].cap);
    p->held[use].list[p->held[use].n++] = stored;
    if (stored->cells.kind != kind)
        return fail_at(s, name, kinds[kind]);
    *out = stored;
    if (s->parts->content)
        digest_column(s->parts->content, name, stored);
    return true;
}

/* The kernels a cross-backend source may contribute. A file that does not name its kernels contributes
 * nothing. */
static bool read_filter(scan *s) {
    pdb_part *p = s->part;
    if (!p->source->n_kernels)
        return true;
    if (!read_column(s, "kernel_source", PDB_CELL_TEXT, true, PDB_TELLS_APART, &p->kernel))
        return false;
    if (!p->kernel) {
        p->rows = 0;
        return true;
    }
    const pdb_cells *c = &p->kernel->cells;
    p->allowed = AIC_NEW_ARRAY(bool, c->n_members);
    for (size_t i = 0; i < c->n_members; i++)
        for (size_t k = 0; k < p->source->n_kernels && c->members[i]; k++)
            p->allowed[i] |= strcmp(c->members[i], p->source->kernels[k]) == 0;
    return true;
}

static bool read_values(scan *s) {
    const char *const *names = s->schema->value;
    if (!names[0])
        return read_column(s, "latency", PDB_CELL_REAL, false, PDB_IS_TAKEN, &s->part->value[0]);
    for (int i = 0; i < PDB_MAX_VALUES && names[i]; i++)
        if (!read_column(s, names[i], PDB_CELL_REAL, false, PDB_IS_TAKEN, &s->part->value[i]))
            return false;
    return true;
}

static bool read_columns(scan *s) {
    const pdb_schema *schema = s->schema;
    pdb_part *p = s->part;
    if (!read_filter(s))
        return false;
    for (int i = 0; i < schema->n_cats; i++) {
        const pdb_column *c = &schema->cats[i];
        if (!read_column(s, c->column, c->text ? PDB_CELL_TEXT : PDB_CELL_INT, c->optional, PDB_TELLS_APART,
                         &p->cat[i]))
            return false;
    }
    for (int i = 0; i < schema->n_axes; i++) {
        const pdb_column *a = &schema->axes[i];
        if (!read_column(s, a->column, PDB_CELL_INT, a->optional, PDB_IS_TAKEN, &p->axis[i]) ||
            (a->plus && !read_column(s, a->plus, PDB_CELL_INT, a->optional, PDB_IS_TAKEN, &p->plus[i])))
            return false;
    }
    return read_values(s) && read_column(s, "power", PDB_CELL_REAL, true, PDB_IS_TAKEN, &p->power);
}

/* ---- checking keys ---------------------------------------------------------------------------- */

static bool too_large(scan *s, const char *name, uint64_t limit) {
    return fail_at(s, name,
                   limit == UINT32_MAX ? "holds a key that does not fit in 32 bits"
                                       : "holds a key that does not fit in 64 bits");
}

/* Integer keys are 32-bit in the data's own rules; only the last axis of a message-size table is wider. */
static bool fits(scan *s, const char *name, const pdb_stored *c, uint64_t limit) {
    if (!c || c->cells.width < 8)
        return true;
    const uint64_t *keys = c->cells.data;
    uint64_t sign = c->cells.is_signed ? UINT64_C(1) << 63 : 0;
    bool ok = true;
    for (size_t i = 0; i < c->cells.rows; i++)
        ok &= keys[i] <= limit && !(keys[i] & sign);
    return ok || too_large(s, name, limit);
}

static bool axis_fits(scan *s, int axis) {
    const pdb_column *a = &s->schema->axes[axis];
    const pdb_stored *base = s->part->axis[axis], *plus = s->part->plus[axis];
    uint64_t limit = s->schema->wide_axis && axis == s->schema->n_axes - 1 ? UINT64_MAX - 1 : UINT32_MAX;
    if (!fits(s, a->column, base, limit) || !fits(s, a->plus, plus, UINT32_MAX))
        return false;
    if (!plus || !base || (base->cells.width < 4 && plus->cells.width < 4))
        return true;
    bool ok = true;
    for (size_t i = 0; i < s->part->rows; i++)
        ok &= pdb_cell_bits(&plus->cells, i) <= limit - pdb_cell_bits(&base->cells, i);
    return ok || too_large(s, a->column, limit);
}

static bool keys_fit(scan *s) {
    bool ok = true;
    for (int i = 0; ok && i < s->schema->n_cats; i++)
        ok = fits(s, s->schema->cats[i].column, s->part->cat[i], UINT32_MAX);
    for (int i = 0; ok && i < s->schema->n_axes; i++)
        ok = axis_fits(s, i);
    return ok;
}

/* ---- sources --------------------------------------------------------------------------------- */

/* Reads the columns of one source. Nothing of a group can be trusted before: not even its number of rows. */
static bool read_source(scan *s) {
    s->group = pdb_shelf_open(pdb_file_shelf(pdb_impl(s->parts->view)->file), s->part->source->group,
                              &s->parts->err);
    if (!s->group)
        return false;
    s->part->rows = pdb_shelf_rows(s->group);
    return read_columns(s) && (s->part->rows == 0 || keys_fit(s));
}

static bool read_sources(scan *s, const pdb_source *list) {
    pdb_parts *p = s->parts;
    uint64_t rows = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < p->n; i++) {
        s->part = &p->part[i];
        s->part->source = &list[i];
        if (p->content)
            aic_sha256_add(p->content, list[i].group, strlen(list[i].group) + 1);
        ok = !list[i].exists || read_source(s);
        rows += s->part->rows;
    }
    p->rows = (uint32_t)rows;
    return ok && (rows <= UINT32_MAX ||
                  aic_fail(&p->err, AIC_BAD_INPUT, "table %s: more than 2^32 rows", s->schema->table));
}

bool pdb_parts_read(const pdb_view *view, const pdb_schema *schema, pdb_parts *p) {
    pdb_view_impl *v = pdb_impl(view);
    double start = aic_now();
    const pdb_source *list;
    size_t n = pdb_sources(view, schema->table, &list);
    if (schema->primary_only && n > 1)
        n = 1;
    *p = (pdb_parts){
        .view = view, .schema = schema, .part = AIC_NEW_ARRAY(pdb_part, n), .n = n, .start = start};
    scan s = {.schema = schema, .parts = p};
    pthread_mutex_lock(&v->lock);
    bool known = pdb_read_known(v, schema);
    pthread_mutex_unlock(&v->lock);
    p->content = known ? NULL : aic_sha256_new();
    if (!read_sources(&s, list))
        return false;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < n; i++)
        if (p->part[i].rows)
            p->part[i].from = pdb_origin_of(v, p->part[i].source);
    pthread_mutex_unlock(&v->lock);
    return true;
}

bool pdb_parts_fault(pdb_parts *p, const pdb_part *at, const char *fault) {
    return aic_fail(&p->err, AIC_BAD_INPUT, "table %s: %s: %s", p->schema->table, at->source->group, fault);
}

const char *pdb_parts_end(pdb_parts *p) {
    pdb_view_impl *v = pdb_impl(p->view);
    char sha256[65] = "";
    if (p->content) {
        aic_sha256_add(p->content, p->err.text, strlen(p->err.text) + 1);
        aic_sha256_hex(p->content, sha256);
    }
    pthread_mutex_lock(&v->lock);
    pdb_read_note(v, p->schema, sha256);
    v->loaded.tables++;
    v->loaded.rows += p->rows;
    v->loaded.seconds += aic_now() - p->start;
    const char *why = p->err.code ? aic_arena_strdup(v->arena, p->err.text) : NULL;
    pthread_mutex_unlock(&v->lock);
    for (size_t i = 0; i < p->n; i++)
        free(p->part[i].allowed);
    for (pdb_use use = 0; use < PDB_USES; use++) {
        pdb_shelf_drop(p->held[use].list, p->held[use].n, use);
        free(p->held[use].list);
    }
    free(p->part);
    return why;
}

/* ---- row by row ------------------------------------------------------------------------------- */

static uint64_t cell_of(const pdb_stored *c, size_t row) {
    if (!c)
        return 0;
    uint64_t cell = pdb_cell_bits(&c->cells, row);
    return c->ids ? c->ids[cell] : cell;
}

void pdb_part_keys(const pdb_part *p, const pdb_schema *schema, int axes, size_t row, pdb_row *out) {
    for (int k = 0; k < schema->n_cats; k++)
        out->cat[k] = cell_of(p->cat[k], row);
    for (int k = 0; k < axes; k++)
        out->axis[k] = cell_of(p->axis[k], row) + cell_of(p->plus[k], row);
    out->source = p->source;
    out->from = p->from;
    out->fault = NULL;
}

static void take_values(const pdb_part *p, size_t row, pdb_row *out) {
    out->latency = ((const double *)p->value[0]->cells.data)[row];
    for (int v = 1; v < PDB_MAX_VALUES && p->value[v]; v++)
        out->latency += ((const double *)p->value[v]->cells.data)[row];
    out->power = p->power ? ((const double *)p->power->cells.data)[row] : 0.0;
}

/* False: stopped, or a row has a fault. */
static bool visit_part(pdb_parts *all, const pdb_part *p, bool (*visit)(void *ctx, pdb_row *row), void *ctx) {
    const pdb_schema *schema = all->schema;
    pdb_row row = {0};
    bool more = true;
    for (size_t i = 0; more && i < p->rows; i++) {
        if (p->allowed && !p->allowed[pdb_cell_bits(&p->kernel->cells, i)])
            continue;
        pdb_part_keys(p, schema, schema->n_axes, i, &row);
        take_values(p, i, &row);
        bool admitted = !schema->admit || schema->admit(all->view, schema, &row);
        if (admitted && !row.fault)
            more = visit(ctx, &row);
        if (row.fault)
            more = pdb_parts_fault(all, p, row.fault);
    }
    return more;
}

bool pdb_scan(const pdb_view *view, const pdb_schema *schema, bool (*visit)(void *ctx, pdb_row *row),
              void *ctx, const char **why) {
    pdb_parts parts;
    bool more = pdb_parts_read(view, schema, &parts);
    for (size_t i = 0; more && i < parts.n; i++)
        more = visit_part(&parts, &parts.part[i], visit, ctx);
    const char *fault = pdb_parts_end(&parts);
    if (fault && why)
        *why = fault;
    return !fault;
}
