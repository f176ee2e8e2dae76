/* Reference answers of single ops, evaluated here and compared.
 *
 * One line is one record: an op query (system, backend, version, mode, op, shape, answer or error class), an
 * op's weight bytes, or the lane order of a database. The spellings of the reference files interp,
 * ops_attention, ops_attention_lanes, ops_moe and ops_sparse_ssm are understood; a line that describes its
 * file is skipped.
 */
#ifndef AICFG_TESTS_GOLDEN_OPS_H
#define AICFG_TESTS_GOLDEN_OPS_H

#include "ops/ops.h"
#include "parity/golden.h"
#include <stdio.h>

#define GOLDEN_TOLERANCE 1e-12 /* relative; equal answers differ by nothing at all */

/* Figures of one (kind, mode). */
typedef struct golden_row {
    char kind[32], mode[16];
    size_t compared; /* answers compared with answers */
    size_t refused;  /* refusals of the same class */
    size_t different;
    size_t skipped;
    const char *skipped_why;
    double worst; /* relative error */
} golden_row;

typedef struct golden_report {
    golden_row rows[128];
    size_t n_rows;
    size_t compared, refused, different; /* over all rows */
    bool shared;                         /* tables inherit rows in every mode: the file's header says so */
    char first[16][640];                 /* the first differences */
    size_t n_first;
} golden_report;

/* Evaluates a file against db. Returns false when the file cannot be read. */
bool golden_ops_run(const char *path, pdb *db, golden_report *report);
/* Evaluates one record; a keeps what the op is made of. */
void golden_ops_record(const aic_node *n, size_t line, aic_arena *a, pdb *db, golden_report *report);
void golden_ops_print(const golden_report *report, FILE *out);

#endif
