/* aicfg-sweep report: what a result file holds. */
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

/* A text attribute, each of its lines after the label or below the line before. */
static void print_attribute(const res_file *f, const char *name, const char *shown) {
    const char *text = res_attribute(f, name);
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        printf("%12s  %.*s\n", shown, (int)len, text);
        text += len + (text[len] == '\n');
        shown = "";
    }
}

static aic_code run(const cli_args *args, aic_error *err) {
    res_file *f = res_open(args->operands.v[0], err);
    if (f && res_report(f, stdout, err)) {
        print_attribute(f, "spec_name", "sweep");
        print_attribute(f, "program", "program");
        print_attribute(f, "build", "build");
        print_attribute(f, "overrides", "overrides");
        print_attribute(f, "options", "options");
        print_attribute(f, "databases", "databases");
        print_attribute(f, "data", "data");
    }
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
