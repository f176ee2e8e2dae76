/* aicfg-sweep model: its subcommands. Private to cli. */
#ifndef AICFG_CLI_MODEL_H
#define AICFG_CLI_MODEL_H

#include "cli/cli.h"

/* Each gets the command's operands after the subcommand's name at operands.v[1]; row holds the point options.
 */
aic_code model_diff(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err);
aic_code model_check(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err);

#endif
