/* From a collector's tree to a perfdb file and its line in release.yaml. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "perfdb/rows.h"
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct importer {
    const pdb_import_options *o;
    pdb_import_summary *sum;
    aic_arena *arena;
    pdb_import_facts *facts;
    pdb_tree tree;
    pdb_writer *writer;
    size_t faults;
    aic_error first; /* the first fault */
} importer;

/* ---- what a known table must have ------------------------------------------------------------- */

static const char *name_at(const void *ctx, size_t i) {
    return ((const pdb_rows *)ctx)->names[i];
}

static bool need(const pdb_tree_file *f, const pdb_rows *r, const char *column, aic_error *err) {
    if (pdb_rows_find(r, column))
        return true;
    const char *near = aic_nearest(column, r->n, name_at, r);
    return aic_fail_at(err, f->path, 1, 0, "table %s lacks the column %s%s%s%s", f->table, column,
                       near ? "; did you mean '" : "", near ? near : "", near ? "' to be it?" : "");
}

static bool check_schema(const pdb_tree_file *f, const pdb_rows *r, const pdb_schema *s, aic_error *err) {
    for (int i = 0; i < s->n_cats; i++)
        if (!s->cats[i].optional && !need(f, r, s->cats[i].column, err))
            return false;
    for (int i = 0; i < s->n_axes; i++)
        if (!s->axes[i].optional &&
            (!need(f, r, s->axes[i].column, err) || (s->axes[i].plus && !need(f, r, s->axes[i].plus, err))))
            return false;
    if (!s->value[0])
        return need(f, r, "latency", err);
    for (int i = 0; i < PDB_MAX_VALUES && s->value[i]; i++)
        if (!need(f, r, s->value[i], err))
            return false;
    return true;
}

static bool check_columns(const importer *in, const pdb_tree_file *f, const pdb_rows *r, aic_error *err) {
    for (size_t i = 0; i < in->o->n_schemas; i++)
        if (strcmp(in->o->schemas[i]->table, f->table) == 0 && !check_schema(f, r, in->o->schemas[i], err))
            return false;
    return true;
}

/* ---- what is odd ------------------------------------------------------------------------------ */

static size_t count_repeats(const pdb_tree_file *f, const pdb_rows *r) {
    size_t *columns = AIC_NEW_ARRAY(size_t, r->n), n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (pdb_column_role(r->names[i], r->cells[i].kind) == PDB_ROLE_KEY)
            columns[n++] = i;
    aic_intern *texts = aic_intern_new();
    pdb_keys *k = pdb_keys_new(r, columns, n, texts);
    size_t repeats = pdb_keys_repeats(k);
    if (repeats)
        aic_warn(
            "%s: %zu of %zu rows repeat the key of an earlier row; the first row of a key is the one read",
            f->path, repeats, r->rows);
    pdb_keys_free(k);
    aic_intern_free(texts);
    free(columns);
    return repeats;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the positive cells, 0 when there is none; negative ones are counted. */
static double median_of(const pdb_cells *c, size_t *negative) {
    double *values = aic_alloc(c->rows, sizeof *values), median = 0;
    size_t n = 0;
    *negative = 0;
    for (size_t i = 0; i < c->rows; i++) {
        double v = pdb_cell_number(c, i);
        *negative += v < 0;
        if (v > 0)
            values[n++] = v;
    }
    if (n) {
        qsort(values, n, sizeof *values, by_value);
        median = values[n / 2];
    }
    free(values);
    return median;
}

/* No kernel ends sooner than it can be launched, and medians of released tables stay below 50 ms and 300 us:
 * what lies outside was most likely written in another unit. */
static const struct {
    pdb_unit unit;
    double low, high;
    const char *name;
} usual[] = {{PDB_UNIT_MS, 1e-3, 1e2, "milliseconds"}, {PDB_UNIT_US, 1, 1e5, "microseconds"}};

static void check_magnitude(const pdb_tree_file *f, const char *column, const pdb_cells *c) {
    pdb_unit unit = pdb_column_unit(f->table, column);
    if (unit == PDB_UNIT_NONE || c->kind != PDB_CELL_REAL)
        return;
    size_t negative;
    double median = median_of(c, &negative);
    if (negative)
        aic_warn("%s: column %s is negative in %zu rows", f->path, column, negative);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].unit == unit && median > 0 &&
            ((median < usual[i].low && !pdb_table_is_difference(f->table)) || median > usual[i].high))
            aic_warn("%s: the median of column %s is %g: is it in %s?", f->path, column, median,
                     usual[i].name);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static bool read_table(importer *in, const pdb_tree_file *f, pdb_rows *rows, aic_error *err) {
    if (!pdb_csv_rows(f->path, pdb_import_header(in->facts, f->table), rows, err) ||
        !pdb_import_translate(in->facts, f->table, f->path, rows, in->sum, err))
        return false;
    pdb_rows_sort_columns(rows);
    return check_columns(in, f, rows, err);
}

static void fault(importer *in, const aic_error *err) {
    if (!in->faults++)
        in->first = *err;
    if (in->o->faults)
        fprintf(in->o->faults, "%s\n", err->text);
}

/* After the first fault tables are only looked at: every fault is told, nothing is written. */
static bool add_table(importer *in, const pdb_tree_file *f, aic_error *err) {
    pdb_rows rows = {0};
    aic_error why = {0};
    bool ok = true;
    if (!read_table(in, f, &rows, &why)) {
        fault(in, &why);
    } else {
        in->sum->repeats += count_repeats(f, &rows);
        for (size_t i = 0; i < rows.n; i++)
            check_magnitude(f, rows.names[i], &rows.cells[i]);
        in->sum->tables++;
        in->sum->rows += rows.rows;
        ok = in->faults || pdb_writer_add(in->writer, f->group, f->family, f->source, &rows, err);
    }
    pdb_rows_free(&rows);
    return ok;
}

static bool add_tables(importer *in, aic_error *err) {
    for (size_t i = 0; i < in->tree.n; i++)
        if (!add_table(in, &in->tree.files[i], err))
            return false;
    if (!in->faults)
        return true;
    if (in->faults == 1 && !in->o->faults)
        return aic_fail(err, in->first.code, "%s", in->first.text);
    return aic_fail(err, in->first.code, "%zu of %zu tables cannot be read; nothing was written", in->faults,
                    in->tree.n);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* Names stand in attributes of the file, in release.yaml and in specs. */
static bool check_name(const char *what, const char *name, aic_error *err) {
    size_t len = strlen(name), plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                    "0123456789._+-");
    if (len > 0 && len < 64 && plain == len && name[0] != '.')
        return true;
    return aic_fail(err, AIC_BAD_INPUT, "%s '%.80s': expected at most 63 letters, digits and ._+-", what,
                    name);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *folder_of(aic_arena *a, const char *path) {
    const char *name = base_name(path);
    if (name == path)
        return ".";
    return name - path == 1 ? "/" : aic_arena_strndup(a, path, (size_t)(name - path) - 1);
}

static bool name_system(const importer *in, const char **system, aic_error *err) {
    const char *name = base_name(in->o->file);
    size_t len = strlen(name);
    if (len <= 3 || strcmp(name + len - 3, ".h5") != 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s: a perfdb file is named <system>.h5", in->o->file);
    *system = aic_arena_strndup(in->arena, name, len - 3);
    const char *today = pdb_import_system(in->facts, *system);
    if (strcmp(today, *system) != 0)
        aic_warn("%s: the system is called %s today, and so is its spec sheet", *system, today);
    if (!in->o->system || strcmp(in->o->system, *system) == 0)
        return check_name("system", *system, err);
    return aic_fail(err, AIC_BAD_INPUT, "%s: the file of system %s must be named %s.h5 to be found",
                    in->o->file, in->o->system, in->o->system);
}

/* The release beside the file; a new one takes the name asked for, or its folder's. */
static bool name_release(const importer *in, const char *dir, const char **release, aic_error *err) {
    const char *asked = in->o->release;
    if (pdb_release_present(dir)) {
        pdb_release *r = pdb_release_load(dir, err);
        if (!r)
            return false;
        *release = aic_arena_strdup(in->arena, r->name);
        pdb_release_free(r);
        return !asked || strcmp(asked, *release) == 0 ||
               aic_fail(err, AIC_BAD_INPUT, "%s holds release %s, not %s", dir, *release, asked);
    }
    char *real = realpath(dir, NULL);
    if (real && !asked)
        asked = aic_arena_strdup(in->arena, base_name(real));
    free(real);
    *release = asked;
    return asked ? check_name("release", asked, err)
                 : aic_fail(err, AIC_BAD_INPUT, "%s: no such folder", dir);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static bool put_release(const importer *in, const char *dir, aic_error *err) {
    const pdb_tree *t = &in->tree;
    pdb_measured *measured = aic_arena_alloc(in->arena, t->n, sizeof *measured);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t k = 0;
        while (k < n && (strcmp(measured[k].backend, t->files[i].backend) != 0 ||
                         strcmp(measured[k].version, t->files[i].version) != 0))
            k++;
        if (k == n)
            measured[n++] = (pdb_measured){t->files[i].backend, t->files[i].version};
    }
    return pdb_release_put(dir, in->sum->release, in->sum->system, measured, n, err);
}

static bool import(importer *in, aic_error *err) {
    const char *system = NULL, *release = NULL, *dir = folder_of(in->arena, in->o->file);
    in->facts = pdb_import_facts_load(in->o->facts, err);
    if (!in->facts || !name_system(in, &system, err) || !name_release(in, dir, &release, err))
        return false;
    if (!in->o->replace && access(in->o->file, F_OK) == 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s exists; --force replaces it", in->o->file);
    if (!pdb_tree_find(in->arena, in->o->dir, in->facts, &in->tree, err))
        return false;
    const char *origin = aic_arena_printf(in->arena, "aicfg-sweep db import of %zu CSV files", in->tree.n);
    in->writer = pdb_writer_open(in->o->file, system, release, origin, "unknown", err);
    if (!in->writer || !add_tables(in, err))
        return false;
    snprintf(in->sum->system, sizeof in->sum->system, "%s", system);
    snprintf(in->sum->release, sizeof in->sum->release, "%s", release);
    pdb_writer *w = in->writer;
    in->writer = NULL;
    return pdb_writer_publish(w, err) && put_release(in, dir, err);
}

bool pdb_import(const pdb_import_options *o, pdb_import_summary *out, aic_error *err) {
    importer in = {.o = o, .sum = out, .arena = aic_arena_new()};
    *out = (pdb_import_summary){0};
    bool ok = import(&in, err);
    out->ignored = in.tree.ignored;
    out->vetoed = in.tree.vetoed;
    out->renamed_tables = in.tree.renamed;
    pdb_writer_abandon(in.writer);
    free(in.tree.files);
    pdb_import_facts_free(in.facts);
    aic_arena_free(in.arena);
    return ok;
}
