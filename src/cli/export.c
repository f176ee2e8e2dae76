/* aicfg-sweep export: points of a result file as CSV or JSON lines on standard output. */
#include "cli/cli.h"

static aic_code run(const cli_args *args, aic_error *err) {
    res_export_options opt = {.format = args->format ? args->format : "csv",
                              .breakdown = args->breakdown,
                              .columns = args->columns,
                              .where = args->where,
                              .first = args->first,
                              .count = args->count};
    res_file *f = res_open(args->operands.v[0], err);
    if (f)
        res_export(f, &opt, stdout, err);
    res_close(f);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"format", 0, CLI_TEXT, "csv|jsonl", AT(format),
     "comma-separated values (default) or one JSON object per line"},
    {"breakdown", 0, CLI_FLAG, NULL, AT(breakdown),
     "every op of every point: csv one line per op, jsonl lists of [op, ms, W*ms, source, tier, carried]"},
    {"columns", 0, CLI_TEXT, "A,B,...", AT(columns),
     "columns to print; default: all ('help columns' lists them)"},
    {"where", 0, CLI_TEXT, "EXPR", AT(where),
     "only points for which the expression holds, \"status == 'ok'\" for example"},
    {"first", 0, CLI_COUNT, "N", AT(first), "start at point N"},
    {"count", 0, CLI_COUNT, "N", AT(count), "look at N points; default: all"},
};

const cli_command cli_export = {
    .name = "export",
    .operands = "OUT.h5",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "print points in point order as CSV or JSON lines",
    .details = "",
    .examples =
        "export output/h200.h5 --format csv > points.csv\n"
        "export output/h200.h5 --format jsonl --breakdown --where \"model == 'Qwen/Qwen3-32B' and tp == 4\"",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .run = run,
};
