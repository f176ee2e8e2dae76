/* aicfg-sweep report: what a result file holds. */
#include "cli/cli.h"
#include <stdio.h>

static void print_attribute(const res_file *f, const char *name, const char *shown) {
    const char *text = res_attribute(f, name);
    if (text && *text)
        printf("%-10s %s\n", shown, text);
}

static aic_code run(const cli_args *args, aic_error *err) {
    char points[32];
    res_file *f = res_open(args->operands.v[0], err);
    if (!f)
        return err->code;
    cli_group_digits(res_count(f), points);
    printf("%s: %s points%s\n", args->operands.v[0], points, res_complete(f) ? "" : ", incomplete");
    print_attribute(f, "spec_name", "sweep");
    print_attribute(f, "program", "program");
    print_attribute(f, "overrides", "overrides");
    print_attribute(f, "databases", "databases");
    res_report(f, stdout, err);
    res_close(f);
    return err->code;
}

const cli_command cli_report = {
    .name = "report",
    .operands = "OUT.h5",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "print what a result file holds: origin, counts by status, reasons",
    .details = "",
    .examples = "report output/h200.h5",
    .run = run,
};
