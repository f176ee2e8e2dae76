/* aicfg-sweep db coverage: which keys and ranges the merged tables of a backend version answer for. */
#include "cli/db.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_SHOWN = 8 };

/* What is being printed, and where. */
typedef struct report {
    const cli_args *args;
    pdb *db;
    const op_kinds *kinds;
    const pdb_schema **schemas;
    size_t n_schemas;
    const pdb_view *view;
    size_t found; /* tables that answer something */
    bool first;   /* of the JSON list */
} report;

/* One merged table of a view. */
typedef struct merged {
    const pdb_schema *schema;
    const pdb_table *table;
    int n_cats; /* of a slice's key */
} merged;

/* ---- parts of a line -------------------------------------------------------------------------- */

/* A category's value; absent text is "". */
static void value_text(const report *r, const pdb_schema *s, int cat, uint64_t value, char out[128]) {
    if (s->cats[cat].text)
        snprintf(out, 128, "%s", pdb_text(r->view, value));
    else
        snprintf(out, 128, "%" PRIu64, value);
}

static void axis_name(const pdb_column *axis, char out[128]) {
    snprintf(out, 128, "%s%s%s", axis->column, axis->plus ? "+" : "", axis->plus ? axis->plus : "");
}

/* "gemm_dtype=fp8, topk=8" */
static void slice_key(const report *r, const merged *m, const pdb_slice *slice, aic_buf *out) {
    char value[128];
    aic_buf_clear(out);
    aic_buf_add(out, "");
    for (int i = 0; i < m->n_cats; i++) {
        value_text(r, m->schema, i, slice->cat[i], value);
        aic_buf_printf(out, "%s%s=%s", i ? ", " : "", m->schema->cats[i].column, value);
    }
}

/* Kinds of ops that read the table: "ContextAttention, GenerationAttention". */
static void kinds_of(const report *r, const pdb_schema *schema, aic_buf *out) {
    aic_buf_add(out, "");
    for (size_t i = 0; i < op_kinds_count(r->kinds); i++) {
        const op_desc *d = op_kinds_at(r->kinds, i);
        for (const pdb_schema *const *s = d->schemas; s && *s; s++)
            if (*s == schema) {
                aic_buf_printf(out, "%s%s", out->len ? ", " : "", d->kind);
                break;
            }
    }
}

/* ---- text ------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_category(const report *r, const merged *m, int cat) {
    aic_arena *a = aic_arena_new();
    const uint64_t *values;
    size_t n = pdb_coverage_values(m->table, cat, a, &values);
    const char **texts = aic_arena_alloc(a, n, sizeof *texts);
    char text[128];
    for (size_t i = 0; i < n; i++) {
        value_text(r, m->schema, cat, values[i], text);
        texts[i] = aic_arena_strdup(a, *text ? text : "\"\"");
    }
    if (m->schema->cats[cat].text && n)
        qsort(texts, n, sizeof *texts, by_text);
    printf("    %-22s", m->schema->cats[cat].column);
    for (size_t i = 0; i < n && (i < VALUES_SHOWN || r->args->table); i++)
        printf("%s%s", i ? ", " : "", texts[i]);
    if (n > VALUES_SHOWN && !r->args->table)
        printf(", ... (%zu)", n);
    printf("\n");
    aic_arena_free(a);
}

static void print_axes(const merged *m, const pdb_slice *slice, const char *before, const char *between) {
    char name[128];
    for (int k = 0; k < m->schema->n_axes; k++) {
        pdb_range range = pdb_coverage_axis(m->table, slice, k);
        axis_name(&m->schema->axes[k], name);
        printf("%s%-*s %" PRIu64 "..%" PRIu64 " (%zu)", k ? between : before, slice ? 1 : 21, name, range.low,
               range.high, range.points);
    }
    printf("\n");
}

static void print_sources(const report *r, const merged *m) {
    const pdb_source *list;
    size_t n = pdb_sources(r->view, m->schema->table, &list), shown = 0;
    printf("    %-22s", "from");
    for (size_t i = 0; i < n; i++) {
        bool own = strcmp(list[i].backend, r->view->backend) == 0;
        if (list[i].exists)
            printf("%s%s%s%s (%s)", shown++ ? ", " : "", own ? "" : list[i].backend, own ? "" : " ",
                   list[i].version, pdb_channel_name(list[i].channel));
    }
    printf("%s\n", shown ? "" : "tables of other names");
}

static void print_text(report *r, const merged *m) {
    aic_buf kinds = {0}, key = {0};
    char points[32];
    kinds_of(r, m->schema, &kinds);
    aic_group_digits(pdb_table_rows(m->table), points);
    printf("  %s: %s points in %zu slice%s (%s)\n", m->schema->table, points, pdb_slice_count(m->table),
           pdb_slice_count(m->table) == 1 ? "" : "s", kinds.data);
    print_sources(r, m);
    for (int i = 0; i < m->n_cats; i++)
        print_category(r, m, i);
    print_axes(m, NULL, "    ", "\n    ");
    for (size_t i = 0; r->args->table && i < pdb_slice_count(m->table); i++) {
        const pdb_slice *s = pdb_slice_at(m->table, i);
        slice_key(r, m, s, &key);
        printf("    %s", key.data);
        print_axes(m, s, m->n_cats ? ": " : "", ", ");
    }
    aic_buf_free(&kinds);
    aic_buf_free(&key);
}

/* ---- CSV -------------------------------------------------------------------------------------- */

static void print_csv(report *r, const merged *m) {
    aic_buf key = {0}, line = {0};
    char name[128];
    for (size_t i = 0; i < pdb_slice_count(m->table); i++) {
        const pdb_slice *s = pdb_slice_at(m->table, i);
        slice_key(r, m, s, &key);
        for (int k = 0; k < m->schema->n_axes; k++) {
            pdb_range range = pdb_coverage_axis(m->table, s, k);
            axis_name(&m->schema->axes[k], name);
            aic_buf_clear(&line);
            aic_buf_printf(&line, "%s,%s,%s,%s,", r->view->system->name, r->view->backend, r->view->version,
                           m->schema->table);
            aic_csv_quote(&line, key.data);
            aic_buf_printf(&line, ",%zu,%s,%" PRIu64 ",%" PRIu64 ",%zu\n", pdb_slice_leaves(s), name,
                           range.low, range.high, range.points);
            fputs(line.data, stdout);
        }
    }
    aic_buf_free(&key);
    aic_buf_free(&line);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void put_slice(const report *r, const merged *m, const pdb_slice *s, aic_buf *out) {
    char text[128];
    aic_buf_add(out, "{\"key\": {");
    for (int i = 0; i < m->n_cats; i++) {
        value_text(r, m->schema, i, s->cat[i], text);
        aic_buf_printf(out, "%s\"%s\": ", i ? ", " : "", m->schema->cats[i].column);
        if (m->schema->cats[i].text)
            aic_buf_json_string(out, text);
        else
            aic_buf_add(out, text);
    }
    aic_buf_printf(out, "}, \"points\": %zu, \"axes\": {", pdb_slice_leaves(s));
    for (int k = 0; k < m->schema->n_axes; k++) {
        pdb_range range = pdb_coverage_axis(m->table, s, k);
        axis_name(&m->schema->axes[k], text);
        aic_buf_printf(out, "%s\"%s\": {\"low\": %" PRIu64 ", \"high\": %" PRIu64 ", \"points\": %zu}",
                       k ? ", " : "", text, range.low, range.high, range.points);
    }
    aic_buf_add(out, "}}");
}

static void put_sources(const report *r, const merged *m, aic_buf *out) {
    const pdb_source *list;
    size_t n = pdb_sources(r->view, m->schema->table, &list), shown = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].exists)
            aic_buf_printf(out, "%s{\"backend\": \"%s\", \"version\": \"%s\", \"channel\": \"%s\"}",
                           shown++ ? ", " : "", list[i].backend, list[i].version,
                           pdb_channel_name(list[i].channel));
}

static void print_json(report *r, const merged *m) {
    const pdb_view *v = r->view;
    aic_buf out = {0}, kinds = {0};
    kinds_of(r, m->schema, &kinds);
    aic_buf_printf(
        &out,
        "%s{\"system\": \"%s\", \"measured_as\": \"%s\", \"release\": \"%s\", \"backend\": \"%s\", "
        "\"version\": \"%s\", \"table\": \"%s\", \"kinds\": \"%s\", \"points\": %zu, \"sources\": [",
        r->first ? "[" : ",\n", v->system->name, v->measured, v->release, v->backend, v->version,
        m->schema->table, kinds.data, pdb_table_rows(m->table));
    put_sources(r, m, &out);
    aic_buf_add(&out, "], \"slices\": [");
    for (size_t i = 0; i < pdb_slice_count(m->table); i++) {
        aic_buf_add(&out, i ? ",\n  " : "\n  ");
        put_slice(r, m, pdb_slice_at(m->table, i), &out);
    }
    aic_buf_add(&out, "]}");
    fputs(out.data, stdout);
    r->first = false;
    aic_buf_free(&out);
    aic_buf_free(&kinds);
}

/* ---- views ------------------------------------------------------------------------------------ */

static void report_table(report *r, const pdb_schema *schema) {
    const char *why;
    const pdb_table *t = pdb_table_get(r->view, schema, &why);
    if (!t || !pdb_slice_count(t))
        return;
    merged m = {schema, t, schema->n_cats - schema->n_extra};
    r->found++;
    if (r->args->json)
        print_json(r, &m);
    else if (r->args->csv)
        print_csv(r, &m);
    else
        print_text(r, &m);
}

static bool report_view(report *r, const char *system, const char *backend, const char *version,
                        aic_error *err) {
    bool unlisted = r->args->unlisted || (r->args->version && strcmp(r->args->version, "all") == 0);
    r->view = pdb_view_get(r->db, system, backend, version, !r->args->own, unlisted, err);
    if (!r->view)
        return false;
    const pdb_view *v = r->view;
    bool borrowed = strcmp(v->measured, v->system->name) != 0;
    if (!r->args->json && !r->args->csv)
        printf("%s %s %s, release %s%s%s%s\n", v->system->name, v->backend, v->version, v->release,
               v->shared ? "" : ", its own rows only", borrowed ? ", measured as " : "",
               borrowed ? v->measured : "");
    for (size_t i = 0; i < r->n_schemas; i++)
        if (!r->args->table || strcmp(r->args->table, r->schemas[i]->table) == 0)
            report_table(r, r->schemas[i]);
    return true;
}

static bool report_backend(report *r, const char *system, const char *backend, aic_error *err) {
    if (!r->args->version || strcmp(r->args->version, "all") != 0)
        return report_view(r, system, backend, r->args->version, err);
    aic_arena *a = aic_arena_new();
    const char **versions;
    size_t n = pdb_versions(r->db, system, backend, a, &versions);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = report_view(r, system, backend, versions[i], err);
    aic_arena_free(a);
    return ok;
}

/* A backend that was asked for must exist; of several systems those that have it are looked at. */
static bool report_system(report *r, const char *system, bool asked, aic_error *err) {
    aic_arena *a = aic_arena_new();
    const char **backends;
    size_t n = pdb_backends(r->db, system, a, &backends);
    const char *wanted = r->args->backend;
    bool ok = true, seen = false;
    for (size_t i = 0; ok && i < n; i++) {
        bool match = !wanted || strcmp(wanted, backends[i]) == 0;
        seen |= match;
        if (match)
            ok = report_backend(r, system, backends[i], err);
    }
    if (ok && asked && !seen) /* its refusal says what there is */
        ok = report_backend(r, system, wanted ? wanted : "trtllm", err);
    aic_arena_free(a);
    return ok;
}

static const char *table_at(const void *ctx, size_t i) {
    return ((const report *)ctx)->schemas[i]->table;
}

static bool check_table(const report *r, aic_error *err) {
    const char *table = r->args->table;
    for (size_t i = 0; i < r->n_schemas; i++)
        if (!table || strcmp(table, r->schemas[i]->table) == 0)
            return true;
    const char *near = aic_nearest(table, r->n_schemas, table_at, r);
    return aic_fail(err, AIC_BAD_INPUT, "no op reads a table %s%s%s%s", table, near ? "; did you mean " : "",
                    near ? near : "", near ? "?" : "");
}

static bool report_all(report *r, aic_error *err) {
    const char *system = r->args->operands.n > 1 ? r->args->operands.v[1] : NULL;
    if (!check_table(r, err))
        return false;
    if (r->args->csv)
        printf("system,backend,version,table,slice,slice_points,axis,low,high,points\n");
    if (system)
        return pdb_system_get(r->db, system, err) && report_system(r, system, true, err);
    for (size_t i = 0; i < pdb_system_count(r->db); i++)
        if (!report_system(r, pdb_system_name(r->db, i), false, err))
            return false;
    return true;
}

aic_code cli_db_coverage(const cli_args *args, aic_error *err) {
    cli_data data;
    if (args->json && args->csv)
        aic_fail(err, AIC_BAD_INPUT, "db coverage: give --json or --csv, not both");
    if (err->code != AIC_OK || !cli_data_open(args, &data, err))
        return err->code;
    report r = {.args = args, .db = data.env.db, .kinds = data.kinds, .first = true};
    r.schemas = cli_db_schemas(r.kinds, &r.n_schemas);
    bool ok = report_all(&r, err);
    if (ok && args->json)
        printf(r.first ? "[]\n" : "]\n");
    free(r.schemas);
    cli_data_close(&data);
    return ok ? AIC_OK : err->code;
}
