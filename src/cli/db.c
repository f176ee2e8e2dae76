/* aicfg-sweep db: what the measured tables hold, and their way into files and out of them. */
#include "cli/db.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const pdb_schema **cli_db_schemas(const op_kinds *kinds, size_t *n) {
    const pdb_schema **list = NULL;
    size_t cap = 0;
    *n = 0;
    for (size_t i = 0; i < op_kinds_count(kinds); i++) {
        const pdb_schema *const *s = op_kinds_at(kinds, i)->schemas;
        for (; s && *s; s++) {
            size_t k = 0;
            while (k < *n && list[k] != *s)
                k++;
            if (k < *n)
                continue;
            AIC_GROW(list, *n, cap);
            list[(*n)++] = *s;
        }
    }
    return list;
}

/* ---- small verbs ------------------------------------------------------------------------------ */

static const char *operand(const cli_args *args, size_t i) {
    return args->operands.n > i ? args->operands.v[i] : NULL;
}

static aic_code inspect(const cli_args *args,
                        bool (*look)(pdb *db, const char *system, FILE *out, aic_error *err),
                        aic_error *err) {
    cli_data data;
    if (!cli_data_open(args, &data, err))
        return err->code;
    look(data.env.db, operand(args, 1), stdout, err);
    cli_data_close(&data);
    return err->code;
}

static aic_code info(const cli_args *args, aic_error *err) {
    return inspect(args, pdb_info, err);
}

static aic_code verify(const cli_args *args, aic_error *err) {
    return inspect(args, pdb_verify, err);
}

static aic_code export(const cli_args *args, aic_error *err) {
    pdb_export(operand(args, 1), operand(args, 2), stdout, err);
    return err->code;
}

/* ---- the command ------------------------------------------------------------------------------ */

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, "SYSTEM.h5", AT(output), "import: the file to write"},
    {"force", 0, CLI_FLAG, NULL, AT(force), "import: replace the file if it exists"},
    {"system", 0, CLI_TEXT, "NAME", AT(system),
     "import: the system's name, which the file's must be; diff: only this one"},
    {"backend", 0, CLI_TEXT, "NAME", AT(backend), "coverage: only this backend"},
    {"version", 0, CLI_TEXT, "NAME", AT(version),
     "coverage: of this version, or of all; default: the current one"},
    {"table", 0, CLI_TEXT, "NAME", AT(table), "coverage: only this table, every slice of it"},
    {"own", 0, CLI_FLAG, NULL, AT(own), "coverage: leave out rows of other versions and backends"},
    {"csv", 0, CLI_FLAG, NULL, AT(csv), "coverage: a line for every axis of every slice"},
    {"json", 0, CLI_FLAG, NULL, AT(json), "diff, coverage: as JSON"},
    {"quiet", 'q', CLI_FLAG, NULL, AT(quiet), "import: no warnings"},
};

/* A verb, how many operands follow it, and the options that mean something to it. */
static const struct verb {
    const char *name, *operands;
    size_t min, max;
    aic_code (*run)(const cli_args *args, aic_error *err);
    bool folders;        /* it looks into data folders */
    const char *options; /* names between spaces */
} verbs[] = {
    {"info", "[SYSTEM]", 0, 1, info, true, ""},
    {"verify", "[SYSTEM]", 0, 1, verify, true, ""},
    {"coverage", "[SYSTEM]", 0, 1, cli_db_coverage, true, " backend version table own csv json "},
    {"import", "DIR -o SYSTEM.h5", 1, 1, cli_db_import, false, " output force system quiet "},
    {"export", "FILE.h5 TABLE/BACKEND/VERSION", 2, 2, export, false, ""},
    {"diff", "A B [TABLE [TABLE]]", 2, 4, cli_db_diff, false, " system json "},
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static const char *verb_name(const void *ctx, size_t i) {
    (void)ctx;
    return verbs[i].name;
}

static const struct verb *find_verb(const char *name, aic_error *err) {
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    const char *near = aic_nearest(name, N_VERBS, verb_name, NULL);
    aic_fail(err, AIC_BAD_INPUT, "db: unknown verb \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
             near ? near : "; see 'aicfg-sweep help db'", near ? "\"?" : "");
    return NULL;
}

static bool is_given(const cli_args *args, const cli_option *o) {
    const void *at = (const char *)args + o->offset;
    return o->kind == CLI_FLAG ? *(const bool *)at : *(const char *const *)at != NULL;
}

/* An option that would be ignored is a mistake. */
static bool check_options(const cli_args *args, const struct verb *v, aic_error *err) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char name[32];
        snprintf(name, sizeof name, " %s ", options[i].name);
        if (is_given(args, &options[i]) && !strstr(v->options, name))
            return aic_fail(err, AIC_BAD_INPUT, "db %s: --%s does not apply", v->name, options[i].name);
    }
    bool folders = args->perfdb.n || args->models.n || args->ops.n || args->unlisted;
    if (folders && !v->folders)
        return aic_fail(err, AIC_BAD_INPUT, "db %s reads the files it is given, no data folders", v->name);
    return true;
}

static aic_code run(const cli_args *args, aic_error *err) {
    const struct verb *v = find_verb(args->operands.v[0], err);
    if (!v || !check_options(args, v, err))
        return err->code;
    size_t n = args->operands.n - 1;
    if (n >= v->min && n <= v->max)
        return v->run(args, err);
    aic_fail(err, AIC_BAD_INPUT, "db %s: expected %s", v->name, v->operands);
    return err->code;
}

const cli_command cli_db = {
    .name = "db",
    .operands = "VERB ...",
    .min_operands = 1,
    .max_operands = 5,
    .summary = "look at measured tables, check them, compare them, import and export them",
    .details =
        "info [SYSTEM]       prints releases, systems, backends, versions and tables with their rows\n"
        "verify [SYSTEM]     recomputes every digest; exit code 1 when one differs or a table is malformed\n"
        "coverage [SYSTEM]   prints which keys and ranges the tables of a backend version answer for\n"
        "import DIR -o FILE  reads a collector's tree <backend>/<version>/<table>_perf.txt (or the same "
        "below\n"
        "                    folders of families) into a perfdb file and lists it in release.yaml beside it\n"
        "export FILE TABLE/BACKEND/VERSION\n"
        "                    prints a table as CSV, every row in its order\n"
        "diff A B [TABLE [TABLE]]\n"
        "                    compares two perfdb files or folders table by table, or one "
        "table/backend/version\n"
        "                    with another; exit code 1 when they differ\n"
        "docs/formats/perfdb.md describes the files.",
    .examples = "db info h200_sxm\ndb verify --perfdb /data/perfdb\n"
                "db coverage h200_sxm --backend trtllm --table gemm_perf\n"
                "db import collected/ -o mine/h200_sxm.h5\n"
                "db export mine/h200_sxm.h5 gemm_perf/trtllm/1.3.0rc20 > gemm_perf.txt\n"
                "db diff data/perfdb/0.12.0 mine --system h200_sxm\n"
                "db diff old/h200_sxm.h5 new/h200_sxm.h5 gemm_perf/vllm/0.19.0 gemm_perf/vllm/0.24.0",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
