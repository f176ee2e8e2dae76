/* aicfg-sweep db: what the measured tables hold, and whether they are whole. */
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    const char *what = args->operands.v[0], *system = args->operands.n > 1 ? args->operands.v[1] : NULL;
    bool info = strcmp(what, "info") == 0;
    if (!info && strcmp(what, "verify") != 0)
        aic_fail(err, AIC_BAD_INPUT, "db: expected info or verify, found \"%s\"", what);
    if (err->code != AIC_OK || !cli_data_open(args, &data, err))
        return err->code;
    if (info)
        pdb_info(data.env.db, system, stdout, err);
    else
        pdb_verify(data.env.db, system, stdout, err);
    cli_data_close(&data);
    return err->code;
}

const cli_command cli_db = {
    .name = "db",
    .operands = "info|verify [SYSTEM]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "print what the measured tables hold, or check their digests",
    .details = "verify ends with exit code 1 when a digest differs or a table is malformed.",
    .examples = "db info\ndb info h200_sxm\ndb verify --perfdb /data/perfdb",
    .data = true,
    .run = run,
};
