/* What `show` knows of a stored point besides what is stored: the point evaluated again. Private to cli. */
#ifndef AICFG_CLI_SHOW_H
#define AICFG_CLI_SHOW_H

#include "cli/cli.h"

typedef struct show_again {
    srv_deployment *d; /* NULL where the data are not at hand */
    aic_arena *arena;
    srv_detail *ops; /* unfolded */
    size_t n_ops;    /* 0 = no figures: the measured tables are not at hand */
} show_again;
void show_evaluate(show_again *g, const srv_env *env, const srv_request *req, const srv_workload *load);
void show_free(show_again *g);

/* Of a stored row: sums over the ops folded into it. */
typedef struct show_more {
    double sol, sol_math, sol_mem; /* ms; NaN when an op has none, or the row is unknown */
    size_t n_origins;              /* sources besides the version asked for */
    pdb_origin origins[PDB_ORIGIN_MAX];
} show_more;
void show_row(const show_again *g, const res_op_row *row, show_more *out);

/* Every column of point 0 of the window, its ops, and the ops without an answer, as one JSON object. */
void show_json(const res_window *w, const show_again *g, aic_buf *out);

#endif
