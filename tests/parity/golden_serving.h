/* Reference answers of serving points, evaluated here and compared.
 *
 * Records understood (others are skipped): configurations with their op lists ("cfg" and "context_ops";
 * needed by the static records that name them), static points and their refusals, refused builds, estimates
 * of static modes, and phase drivers over ad-hoc op lists ("run_static"). Both evaluation paths answer each
 * point.
 */
#ifndef AICFG_TESTS_GOLDEN_SERVING_H
#define AICFG_TESTS_GOLDEN_SERVING_H

#include "parity/golden.h"
#include "serving/serving.h"
#include <stdio.h>

#define GOLDEN_SERVING_TOLERANCE 1e-9 /* relative; equal answers differ by nothing at all */

/* Figures of one check of one model family. */
typedef struct golden_serving_row {
    char check[24], family[16];
    size_t compared; /* records whose every value agrees */
    size_t refused;  /* records refused here as there */
    size_t different;
    size_t skipped;
    const char *skipped_why;
    double worst; /* relative error of any value */
} golden_serving_row;

typedef struct golden_serving_report {
    golden_serving_row rows[96];
    size_t n_rows, different, compared;
    char first[24][512]; /* the first differences */
    size_t n_first;
} golden_serving_report;

/* Evaluates all files together. Returns false when one cannot be read (its name in *bad). */
bool golden_serving_run(const char *const *paths, size_t n, const srv_env *env, golden_serving_report *report,
                        const char **bad);
void golden_serving_print(const golden_serving_report *report, FILE *out);

#endif
