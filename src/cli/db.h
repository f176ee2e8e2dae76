/* The verbs of `aicfg-sweep db`. */
#ifndef AICFG_CLI_DB_H
#define AICFG_CLI_DB_H

#include "cli/cli.h"

/* Each returns an exit code; a failure leaves its message in err. args->operands starts with the verb. */
aic_code cli_db_import(const cli_args *args, aic_error *err);
aic_code cli_db_diff(const cli_args *args, aic_error *err);
aic_code cli_db_coverage(const cli_args *args, aic_error *err);

/* Schemas of every table that some op kind reads, each once, in the order of the kinds. The list is the
 * caller's to free. kinds may be NULL: the built-in ones. */
const pdb_schema **cli_db_schemas(const op_kinds *kinds, size_t *n);

#endif
