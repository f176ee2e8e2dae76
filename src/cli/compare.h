/* The parts of `compare`. */
#ifndef AICFG_CLI_COMPARE_H
#define AICFG_CLI_COMPARE_H

#include "cli/cli.h"

enum { CLI_SIDES = 2 };

/* compare_run.c: both sides of `compare --spec`, evaluated with one database folder each. */
typedef struct cli_sides {
    char folder[4096];          /* that the files are in */
    char path[CLI_SIDES][4160]; /* FOLDER/a.h5 and FOLDER/b.h5 */
    bool temporary;             /* the folder goes when the comparison is done */
} cli_sides;
bool cli_sides_run(const cli_args *args, cli_sides *out, aic_error *err);
void cli_sides_free(cli_sides *s);

#endif
