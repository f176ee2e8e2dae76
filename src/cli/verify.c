/* aicfg-sweep verify: is a file what was written? */
#include "cli/cli.h"
#include <stdio.h>

/* Every file is looked at; the first failure is reported, damage before anything else. */
static aic_code run(const cli_args *args, aic_error *err) {
    if (args->threads > 1024) {
        aic_fail(err, AIC_BAD_INPUT, "verify: --threads goes up to 1024");
        return err->code;
    }
    for (size_t i = 0; i < args->operands.n; i++) {
        aic_error one = {0};
        if (res_verify(args->operands.v[i], (unsigned)args->threads, stdout, &one))
            continue;
        bool first = err->code == AIC_OK, worse = one.code == AIC_FINDING && err->code != AIC_FINDING;
        if (!first)
            fprintf(stderr, "aicfg-sweep: %s\n", worse ? err->text : one.text);
        if (first || worse)
            *err = one;
    }
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"threads", 'j', CLI_COUNT, "N", AT(threads),
     "threads that decode; default: OMP_NUM_THREADS or all cores"},
};

const cli_command cli_verify = {
    .name = "verify",
    .operands = "FILE.h5 ...",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .sleeps = true,
    .summary = "read every byte of result files (or perfdb files) and say what is damaged",
    .details =
        "Prints a line per file and, below a bad one, each fault: dataset and chunk where they can be told.\n"
        "Exit code 1 when a file is damaged. docs/formats/results.md says what protects which bytes.",
    .examples = "verify output/h200.h5\nverify output/*.h5 data/perfdb/0.12.0/h200_sxm.h5",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .run = run,
};
