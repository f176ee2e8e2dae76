/* A folder of models made for a test: a catalogue, an architectures file, graphs. Removed again by
 * files_free. */
#ifndef AICFG_TESTS_MODELS_FIXTURE_H
#define AICFG_TESTS_MODELS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "models/internal.h"
#include "parity/golden_models.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 16

typedef struct files {
    char dir[64];
    char *paths[FILES_MAX];
    size_t n;
} files;

static inline void files_put(files *f, const char *name, const char *text) {
    size_t len = strlen(f->dir) + strlen(name) + 2;
    char *path = aic_alloc(len, 1);
    snprintf(path, len, "%s/%s", f->dir, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->paths[i], path) == 0) {
            free(path);
            return;
        }
    }
    assert_true(f->n < FILES_MAX);
    f->paths[f->n++] = path;
}

static inline files files_new(void) {
    files f = {.dir = "/tmp/aicfg-models-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    char graphs[96];
    snprintf(graphs, sizeof graphs, "%s/graphs", f.dir);
    assert_int_equal(mkdir(graphs, 0700), 0);
    return f;
}

static inline void files_free(files *f) {
    char graphs[96];
    for (size_t i = 0; i < f->n; i++) {
        unlink(f->paths[i]);
        free(f->paths[i]);
    }
    snprintf(graphs, sizeof graphs, "%s/graphs", f->dir);
    rmdir(graphs);
    rmdir(f->dir);
}

/* The shipped catalogue. */
static inline mdl_catalogue *shipped(void) {
    const char *dirs[] = {AICFG_DATA_DIR "/models"};
    aic_error err = {0};
    mdl_catalogue *c = mdl_open(dirs, 1, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* A model from the folder of a config.json, under the shipped architectures. */
static inline const mdl_model *from_config(files *f, mdl_catalogue *c, const char *config, const char *quant,
                                           aic_error *err) {
    files_put(f, "config.json", config);
    if (quant)
        files_put(f, "hf_quant_config.json", quant);
    return mdl_get(c, f->dir, err);
}

/* Runs a file of reference answers; everything in it must agree, and at least `least` records must have been
 * compared. */
static inline void golden_agrees(golden_models *g, const char *path, size_t least) {
    size_t compared = 0;
    assert_true(golden_models_run(path, g));
    for (size_t i = 0; i < g->n_counts; i++)
        compared += g->counts[i].same + g->counts[i].refused;
    if (g->different)
        golden_models_print(g, stderr);
    assert_int_equal(g->different, 0);
    assert_true(compared >= least);
}

#endif
