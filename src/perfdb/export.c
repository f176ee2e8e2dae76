/* A table of a perfdb file as CSV, the way collectors write it. */
#include "perfdb/rows.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A text that another reader would take for a number or a boolean stands in quotes, unless the column is
 * known to hold text. */
static bool needs_quotes(const pdb_column_fact *fact, const char *text) {
    double v;
    if (!*text)
        return true;
    if (fact && fact->kind == PDB_CELL_TEXT)
        return false;
    return aic_parse_f64(text, &v) || strcmp(text, "True") == 0 || strcmp(text, "False") == 0;
}

/* The bytes of every member of a text column, ready to print; the caller frees all n_members of them. */
static aic_buf *member_texts(const char *name, const pdb_cells *c) {
    const pdb_column_fact *fact = pdb_column_fact_find(name);
    aic_buf *texts = AIC_NEW_ARRAY(aic_buf, c->n_members);
    for (size_t i = 0; i < c->n_members; i++) {
        if (!c->members[i])
            continue;
        bool quoted = needs_quotes(fact, c->members[i]);
        aic_buf_add(&texts[i], quoted ? "\"" : "");
        if (quoted)
            aic_buf_add(&texts[i], c->members[i]);
        else
            aic_csv_quote(&texts[i], c->members[i]);
        aic_buf_add(&texts[i], quoted ? "\"" : "");
    }
    return texts;
}

/* The shortest text that reads back to the same double, and never to an integer. */
static void put_real(aic_buf *line, double v) {
    char text[32];
    aic_shortest(v, text);
    aic_buf_add(line, text);
    if (!text[strcspn(text, ".en")]) /* 1.5, 1e+20, inf, nan */
        aic_buf_add(line, ".0");
}

static void put_cell(aic_buf *line, const pdb_cells *c, const aic_buf *texts, size_t row) {
    uint64_t bits = pdb_cell_bits(c, row);
    if (c->kind == PDB_CELL_TEXT)
        aic_buf_addn(line, texts[bits].data, texts[bits].len);
    else if (c->kind == PDB_CELL_REAL)
        put_real(line, pdb_cell_number(c, row));
    else if (c->boolean)
        aic_buf_add(line, bits ? "True" : "False");
    else if (c->is_signed)
        aic_buf_printf(line, "%" PRId64, (int64_t)bits);
    else
        aic_buf_printf(line, "%" PRIu64, bits);
}

/* Columns as collectors order them, unknown ones by name. */
static size_t *column_order(const pdb_rows *r) {
    size_t *order = AIC_NEW_ARRAY(size_t, r->n);
    for (size_t i = 0; i < r->n; i++) {
        size_t at = i;
        for (; at; at--) {
            const char *before = r->names[order[at - 1]];
            int places = pdb_column_place(before) - pdb_column_place(r->names[i]);
            if (places < 0 || (places == 0 && strcmp(before, r->names[i]) <= 0))
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return order;
}

static bool put_rows(const pdb_rows *r, FILE *out) {
    size_t *order = column_order(r);
    aic_buf **texts = AIC_NEW_ARRAY(aic_buf *, r->n);
    aic_buf line = {0};
    for (size_t i = 0; i < r->n; i++) {
        if (r->cells[i].kind == PDB_CELL_TEXT)
            texts[i] = member_texts(r->names[i], &r->cells[i]);
        aic_buf_add(&line, i ? "," : "");
        aic_csv_quote(&line, r->names[order[i]]);
    }
    aic_buf_add(&line, "\n");
    bool ok = fwrite(line.data, 1, line.len, out) == line.len;
    for (size_t row = 0; ok && row < r->rows; row++) {
        aic_buf_clear(&line);
        for (size_t i = 0; i < r->n; i++) {
            aic_buf_add(&line, i ? "," : "");
            put_cell(&line, &r->cells[order[i]], texts[order[i]], row);
        }
        aic_buf_add(&line, "\n");
        ok = fwrite(line.data, 1, line.len, out) == line.len;
    }
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; texts[i] && k < r->cells[i].n_members; k++)
            aic_buf_free(&texts[i][k]);
        free(texts[i]);
    }
    free(texts);
    free(order);
    aic_buf_free(&line);
    return ok;
}

static const char *group_at(const void *ctx, size_t i) {
    return ((const char *const *)ctx)[i];
}

/* A group that is not there: what is. */
static bool refuse_group(pdb_file *f, const char *group, aic_arena *a, aic_error *err) {
    const char **groups;
    size_t n;
    if (!pdb_file_groups(f, a, &groups, &n, err))
        return false;
    const char *near = aic_nearest(group, n, group_at, groups);
    return aic_fail(
        err, AIC_BAD_INPUT,
        "%s holds no table %s%s%s%s; 'aicfg-sweep db info' lists tables with backends and versions",
        pdb_file_path(f), group + 1, near ? "; did you mean " : "", near ? near + 1 : "", near ? "?" : "");
}

bool pdb_export(const char *file, const char *group, FILE *out, aic_error *err) {
    pdb_file *f = pdb_file_open(file, err);
    if (!f)
        return false;
    aic_arena *a = aic_arena_new();
    const char *path = aic_arena_printf(a, "%s%s", *group == '/' ? "" : "/", group);
    pdb_rows rows = {0};
    bool ok = pdb_file_has(f, path) ? pdb_rows_read(f, path, &rows, err) : refuse_group(f, path, a, err);
    if (ok && !put_rows(&rows, out))
        ok = aic_fail(err, AIC_IO, "cannot write the table");
    pdb_rows_free(&rows);
    aic_arena_free(a);
    pdb_file_close(f);
    return ok;
}
