/* aicfg-sweep support: can a model be swept, and if not, what is missing? */
#include "cli/support.h"
#include <stdio.h>
#include <string.h>

/* ---- what was asked -------------------------------------------------------------------------------------
 */

/* Fields of a point that a support question leaves open. */
static bool check_fields(const cli_args *args, aic_error *err) {
    static const char *const open[] = {"model", "mode", "batch", "isl", "osl", "prefix", "ctx_tokens"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        int field = swp_field_find(open[i]);
        if (field >= 0 && args->fields[field])
            return aic_fail(err, AIC_BAD_INPUT,
                            "support: --%s has no meaning here: support MODEL asks for shapes of its own",
                            open[i]);
    }
    return true;
}

static bool given(const cli_args *args, const char *field) {
    return args->fields[swp_field_find(field)] != NULL;
}

static swp_support_ask ask_of(const cli_args *args, const swp_row *row) {
    return (swp_support_ask){.models = (const char *const *)args->operands.v,
                             .n_models = args->operands.n,
                             .system = row->request.system,
                             .backend = given(args, "backend") ? row->request.backend : NULL,
                             .version = given(args, "version") ? row->request.version : NULL,
                             .all_versions = args->matrix,
                             .layout_given = given(args, "tp") || given(args, "pp") || given(args, "dp") ||
                                             given(args, "moe_tp") || given(args, "moe_ep") ||
                                             given(args, "cp"),
                             .needs = args->shapes != NULL || !args->matrix,
                             .request = row->request,
                             .threads = (unsigned)(args->threads < 1024 ? args->threads : 1024)};
}

static bool whole_catalogue(const srv_env *env, aic_arena *a, swp_support_ask *ask) {
    const char **ids = aic_arena_alloc(a, mdl_count(env->models), sizeof *ids);
    for (size_t i = 0; i < mdl_count(env->models); i++)
        ids[i] = mdl_id_at(env->models, i);
    ask->models = ids;
    ask->n_models = mdl_count(env->models);
    return true;
}

/* ---- answers --------------------------------------------------------------------------------------------
 */

/* The best situation of all cells: there is something to sweep, or what stands in the way of it. */
static swp_situation best_of(const swp_support *s) {
    swp_situation best = SWP_absent;
    for (size_t i = 0; i < s->n; i++)
        best = s->cells[i].situation < best ? s->cells[i].situation : best;
    return best;
}

enum { MOST_DETAILED = 6 }; /* cells whose gaps are printed in full without being asked for one by one */

static void print_text(const swp_support *s) {
    size_t lacking = 0;
    for (size_t i = 0; i < s->n; i++)
        lacking += s->cells[i].situation == SWP_S2;
    sup_print_cells(s, stdout);
    if (s->n == 1)
        sup_print_ops(&s->cells[0], stdout);
    for (size_t i = 0; i < s->n && lacking <= MOST_DETAILED; i++)
        if (s->cells[i].situation == SWP_S2)
            sup_print_gaps(&s->cells[i], stdout);
    if (lacking > MOST_DETAILED)
        printf("\n--system S --backend B shows what is missing there, --shapes FILE.csv writes all of it "
               "down\n");
    printf("\n");
    sup_print_counts(s, stdout);
}

static aic_code print(const cli_args *args, const swp_support *s, aic_error *err) {
    const char *format = args->format ? args->format : "text";
    if (strcmp(format, "csv") == 0)
        sup_export_csv(s, stdout);
    else if (strcmp(format, "jsonl") == 0)
        sup_export_jsonl(s, stdout);
    else if (args->matrix)
        sup_print_matrix(s, stdout);
    else
        print_text(s);
    if (args->shapes && !sup_write_shapes(s, args->shapes, err))
        return err->code;
    return (aic_code)(args->matrix ? AIC_OK : swp_situation_code(best_of(s)));
}

static bool is_text(const cli_args *args) {
    return !args->format || strcmp(args->format, "text") == 0;
}

/* A model that no graph can build needs no tables: S3, or a config that is broken. */
static bool look_at_model(const cli_args *args, const srv_env *env, aic_arena *a, bool *unknown,
                          aic_error *err) {
    mdl_inspection look;
    const char *id = args->operands.v[0];
    if (!mdl_inspect(env->models, id, a, &look, err))
        return false;
    *unknown = !look.family || !look.has_graph || look.unknown_kinds.count > 0;
    if (!*unknown && !mdl_get(env->models, id, err))
        return false;
    if (is_text(args))
        sup_print_model(&look, id, stdout);
    return true;
}

static aic_code support(const cli_args *args, const srv_env *env, swp_support_ask *ask, aic_error *err) {
    aic_arena *a = aic_arena_new();
    swp_support s = {0};
    bool unknown = false;
    bool ok = args->operands.n ? look_at_model(args, env, a, &unknown, err) : whole_catalogue(env, a, ask);
    aic_code code = AIC_OK;
    if (ok && unknown && is_text(args) && !args->matrix) {
        printf("situation       S3: %s\n", swp_situation_meaning(SWP_S3));
        code = (aic_code)swp_situation_code(SWP_S3);
    } else if (ok && swp_support_run(ask, env, &s, err)) {
        code = print(args, &s, err);
    }
    swp_support_free(&s);
    aic_arena_free(a);
    return err->code != AIC_OK ? err->code : code;
}

static bool check_format(const cli_args *args, aic_error *err) {
    static const char *const formats[] = {"text", "csv", "jsonl"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (!args->format || strcmp(args->format, formats[i]) == 0)
            return true;
    return aic_fail(err, AIC_BAD_INPUT, "support: --format %s: expected text, csv or jsonl", args->format);
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    swp_row row;
    if (!check_fields(args, err) || !check_format(args, err) || !cli_row(args, &row, err))
        return err->code;
    if (!args->matrix && args->operands.n == 0) {
        aic_fail(err, AIC_BAD_INPUT, "support: expected a model, or --matrix for the whole catalogue");
        return err->code;
    }
    aic_interrupt_install();
    if (!cli_data_open(args, &data, err))
        return err->code;
    swp_support_ask ask = ask_of(args, &row);
    aic_code code = support(args, &data.env, &ask, err);
    cli_data_close(&data);
    return code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"matrix", 0, CLI_FLAG, NULL, AT(matrix),
     "the whole catalogue (or MODEL) on every system, backend and current, previous and next version"},
    {"format", 0, CLI_TEXT, "text|csv|jsonl", AT(format),
     "text (default), or one record per combination; jsonl with all gaps"},
    {"shapes", 0, CLI_TEXT, "FILE.csv|FILE.yaml", AT(shapes),
     "write the list of shapes that lack measurements"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "worker threads; default: OMP_NUM_THREADS or all cores"},
};

const cli_command cli_support = {
    .name = "support",
    .operands = "[MODEL]",
    .max_operands = 1,
    .summary = "say whether a model can be swept, and what is missing where it cannot",
    .details =
        "S1: every op of every layout has measured data. S2: the op lists are known and measurements are\n"
        "missing; each op, table, key and range is named. S3: no family runs the architecture, or its graph\n"
        "names an op kind that does not exist; unexplained config keys and the nearest families are named.\n"
        "Without --system every system with data is looked at, without --backend all three, without a "
        "layout\n"
        "the usual ones of a node: tp 1, 2, 4, 8, for experts tp 1, 4, 8 and dp 4, 8 with as much moe_ep.\n"
        "Exit codes: 0 S1 somewhere, 10 S2 at best, 11 S3, 1 refused by a rule or the hardware everywhere;\n"
        "0 for --matrix. docs/adding-a-model.md walks through all of it.",
    .examples =
        "support Qwen/Qwen3-32B-FP8\nsupport ./my-checkpoint --system h200_sxm --backend trtllm --shapes "
        "shapes.yaml\nsupport --matrix --format csv > matrix.csv",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .fields = true,
    .data = true,
    .run = run,
};
