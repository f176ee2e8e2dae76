/* Reference answers about models, evaluated here and compared: facts, effective modes, op lists. */
#ifndef AICFG_TESTS_GOLDEN_MODELS_H
#define AICFG_TESTS_GOLDEN_MODELS_H

#include "models/models.h"
#include "parity/golden.h"
#include <stdio.h>

/* Figures of one kind of record (and family, for op lists). */
typedef struct golden_count {
    char what[48];
    size_t same;    /* answers that agree in everything */
    size_t refused; /* refusals of the same condition */
    size_t different, skipped;
    const char *skipped_why;
    size_t ops;     /* ops compared */
    double seconds; /* spent in mdl_build */
} golden_count;

typedef struct golden_models {
    mdl_catalogue *catalogue;
    pdb *db; /* NULL: modes of single-point estimates are skipped */
    golden_count counts[64];
    size_t n_counts, different;
    char first[24][400]; /* the first differences */
    size_t n_first;
} golden_models;

/* Evaluates a file. False when it cannot be read. */
bool golden_models_run(const char *path, golden_models *g);
void golden_models_print(const golden_models *g, FILE *out);

#endif
