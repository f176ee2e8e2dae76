/* aicfg-sweep db import: a collector's tree becomes a perfdb file. */
#include "cli/db.h"
#include <stdio.h>
#include <stdlib.h>

/* Tables are only half of a system. */
static void check_sheet(const cli_args *args, const char *system) {
    cli_args plain = *args; /* where spec sheets are looked for; no measured tables are needed */
    cli_data data;
    aic_error err = {0};
    plain.perfdb = (cli_texts){0};
    plain.release = NULL;
    if (!cli_data_open(&plain, &data, &err))
        return;
    if (!pdb_system_get(data.env.db, system, &err))
        aic_warn("%s has no spec sheet yet: write %s.yaml (docs/formats/systems.md) and give its folder by "
                 "--systems",
                 system, system);
    cli_data_close(&data);
}

aic_code cli_db_import(const cli_args *args, aic_error *err) {
    pdb_import_summary s;
    pdb_import_options o = {.dir = args->operands.v[1],
                            .file = args->output,
                            .system = args->system,
                            .release = args->release,
                            .replace = args->force,
                            .faults = stderr};
    if (!o.file) {
        aic_fail(err, AIC_BAD_INPUT, "db import: give the file to write, -o SYSTEM.h5");
        return err->code;
    }
    const pdb_schema **schemas = cli_db_schemas(NULL, &o.n_schemas);
    o.schemas = schemas;
    aic_arena *arena = aic_arena_new();
    o.facts = aic_arena_printf(arena, "%s/import.yaml", cli_data_folder());
    double start = aic_now();
    bool ok = pdb_import(&o, &s, err);
    aic_arena_free(arena);
    free(schemas);
    if (!ok)
        return err->code;
    char rows[32];
    aic_group_digits(s.rows, rows);
    printf("%s: system %s of release %s, %zu table%s, %s rows, %.2f s\n", o.file, s.system, s.release,
           s.tables, s.tables == 1 ? "" : "s", rows, aic_now() - start);
    if (s.repeats)
        printf("%zu rows repeat the key of an earlier row of their table and are never read\n", s.repeats);
    if (s.renamed_tables || s.renamed)
        printf("%zu tables and %zu cells had the names of old releases and were given today's\n",
               s.renamed_tables, s.renamed);
    if (s.dropped)
        printf("%zu rows were left out, of formats or strategies that no later release has\n", s.dropped);
    if (s.ignored)
        printf("%zu other files were left out\n", s.ignored);
    check_sheet(args, s.system);
    return AIC_OK;
}
