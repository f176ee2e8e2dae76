/* aicfg-sweep db diff: two perfdb files or folders, table by table, or one table of each. */
#include "cli/db.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct totals {
    bool json;
    const char *system;             /* whose tables are being listed; NULL = none so far */
    size_t tables[PDB_CHANGED + 1]; /* by pdb_change */
    size_t rows_added, rows_removed, rows_changed;
} totals;

/* ---- text ------------------------------------------------------------------------------------- */

static void print_move(const char *name, double move) {
    if (isinf(move))
        printf("%s %s from 0", name, move > 0 ? "up" : "down");
    else
        printf("%s %+.3g %%", name, 100 * move);
}

static void print_changed(const pdb_table_diff *d) {
    bool renamed = strcmp(d->group, d->group_b) != 0;
    printf("  changed  %s%s%s: rows %zu -> %zu", d->group + 1, renamed ? " -> " : "",
           renamed ? d->group_b + 1 : "", d->rows_a, d->rows_b);
    if (d->added + d->removed + d->changed)
        printf(", %zu added, %zu removed, %zu changed", d->added, d->removed, d->changed);
    else
        printf(d->reordered ? ", the same ones in another order" : ", measured values alike");
    if (d->kernels)
        printf(" (matched whatever their kernels, which are other ones)");
    if (d->changed) {
        print_move(" (median", d->median);
        print_move(", worst", d->worst);
        printf(")\n           worst: %s", d->worst_at);
    }
    if (*d->columns_added)
        printf("\n           columns added: %s", d->columns_added);
    if (*d->columns_removed)
        printf("\n           columns removed: %s", d->columns_removed);
    printf("\n");
}

static void print_table(totals *t, const pdb_table_diff *d) {
    if (d->change == PDB_SAME)
        return;
    if (!t->system || strcmp(t->system, d->system) != 0)
        printf("%s\n", d->system);
    t->system = d->system;
    if (d->change == PDB_CHANGED)
        print_changed(d);
    else
        printf("  %-8s %s: %zu rows\n", pdb_change_name(d->change), d->group + 1, d->rows_a + d->rows_b);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void put_text(aic_buf *out, const char *name, const char *text) {
    aic_buf_printf(out, "\"%s\": ", name);
    aic_buf_json_string(out, text);
    aic_buf_add(out, ", ");
}

static void print_json(const pdb_table_diff *d, bool first) {
    aic_buf out = {0};
    aic_buf_add(&out, first ? "\n  {" : ",\n  {");
    put_text(&out, "system", d->system);
    put_text(&out, "table", d->group + 1);
    put_text(&out, "table_b", d->group_b + 1);
    put_text(&out, "change", pdb_change_name(d->change));
    put_text(&out, "columns_added", d->columns_added);
    put_text(&out, "columns_removed", d->columns_removed);
    put_text(&out, "worst_at", d->worst_at);
    aic_buf_printf(&out,
                   "\"rows_a\": %zu, \"rows_b\": %zu, \"added\": %zu, \"removed\": %zu, \"changed\": %zu, "
                   "\"reordered\": %s, \"worst\": ",
                   d->rows_a, d->rows_b, d->added, d->removed, d->changed, d->reordered ? "true" : "false");
    aic_buf_json_number(&out, d->worst);
    aic_buf_add(&out, ", \"median\": ");
    aic_buf_json_number(&out, d->median);
    aic_buf_add(&out, "}");
    fputs(out.data, stdout);
    aic_buf_free(&out);
}

/* ---- both ------------------------------------------------------------------------------------- */

static void visit(void *ctx, const pdb_table_diff *d) {
    totals *t = ctx;
    bool first =
        t->tables[PDB_SAME] + t->tables[PDB_ADDED] + t->tables[PDB_REMOVED] + t->tables[PDB_CHANGED] == 0;
    if (t->json)
        print_json(d, first);
    else
        print_table(t, d);
    t->tables[d->change]++;
    t->rows_added += d->added;
    t->rows_removed += d->removed;
    t->rows_changed += d->changed;
}

aic_code cli_db_diff(const cli_args *args, aic_error *err) {
    totals t = {.json = args->json};
    if (t.json)
        printf("{\"tables\": [");
    const char *const *o = args->operands.v;
    bool ok = args->operands.n > 3
                  ? pdb_diff_tables(o[1], o[2], args->system, o[3], o[args->operands.n - 1], visit, &t, err)
                  : pdb_diff(o[1], o[2], args->system, visit, &t, err);
    if (!ok)
        return err->code;
    printf(
        t.json
            ? "\n],\n\"same\": %zu, \"added\": %zu, \"removed\": %zu, \"changed\": %zu, \"rows_added\": %zu, "
              "\"rows_removed\": %zu, \"rows_changed\": %zu}\n"
            : "tables: %zu same, %zu added, %zu removed, %zu changed; rows: %zu added, %zu removed, %zu "
              "changed\n",
        t.tables[PDB_SAME], t.tables[PDB_ADDED], t.tables[PDB_REMOVED], t.tables[PDB_CHANGED], t.rows_added,
        t.rows_removed, t.rows_changed);
    return t.tables[PDB_ADDED] + t.tables[PDB_REMOVED] + t.tables[PDB_CHANGED] ? AIC_FINDING : AIC_OK;
}
