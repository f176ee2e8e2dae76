/* rank: what a ranking asks for and what has been chosen so far. */
#ifndef AICFG_RESULTS_RANK_H
#define AICFG_RESULTS_RANK_H

#include "results/internal.h"

/* A column as a number, larger = better. Texts are numbered in alphabetical order. */
typedef struct rank_figure {
    int column;
    bool higher;
    double *order; /* texts: number of each id */
} rank_figure;

typedef struct rank_job {
    res_file *f;
    const res_rank_options *opt;
    res_format format;
    int threads; /* at least 1 */
    bool pareto;
    rank_figure key, x, y;
    res_columns groups, shown, needed; /* needed: those that decide */
    bool shown_default;
    res_selection selection;
    uint64_t not_ok, filtered, absent; /* points that were no candidates, by reason */
} rank_job;

/* Fills the selection and the counts: window by window, by all threads. The same for any number of them; of
 * several windows that fail, the first one's error is reported. */
bool rank_choose(rank_job *r, aic_error *err);

#endif
