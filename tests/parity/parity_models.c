/* links: models
 *
 * Compares models with the reference's answers: facts, quantisation, op lists, weights, KV cache, refusals.
 *
 *   parity_models --data DIR [--perfdb DIR] FILE.jsonl.gz...
 *
 * DIR of --data holds models/ and systems/. Without --perfdb, and for systems it does not hold, the modes of
 * single-point estimates are skipped. Exit status 1 when anything differs.
 */
#include "models/internal.h"
#include "parity/golden_models.h"
#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *data, *perfdb;
    int first_file;
} options;

static bool read_options(int argc, char **argv, options *o) {
    *o = (options){.first_file = argc};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            o->data = argv[++i];
        } else if (strcmp(argv[i], "--perfdb") == 0 && i + 1 < argc) {
            o->perfdb = argv[++i];
        } else {
            o->first_file = i;
            break;
        }
    }
    return o->data && o->first_file < argc;
}

static bool open_all(const options *o, golden_models *g, aic_error *err) {
    char models[4096], systems[4096];
    snprintf(models, sizeof models, "%s/models", o->data);
    snprintf(systems, sizeof systems, "%s/systems", o->data);
    const char *model_dirs[] = {models}, *system_dirs[] = {systems}, *db_dirs[] = {o->perfdb};
    g->catalogue = mdl_open(model_dirs, 1, err);
    if (!g->catalogue)
        return false;
    g->db = o->perfdb ? pdb_open(db_dirs, 1, NULL, system_dirs, 1, err) : NULL;
    return !o->perfdb || g->db;
}

int main(int argc, char **argv) {
    options o;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: parity_models --data DIR [--perfdb DIR] FILE.jsonl.gz...\n");
        return 2;
    }
    golden_models g = {0};
    aic_error err = {0};
    bool ok = open_all(&o, &g, &err);
    for (int i = o.first_file; ok && i < argc; i++) {
        ok = golden_models_run(argv[i], &g);
        if (!ok)
            aic_fail(&err, AIC_IO, "cannot read %s", argv[i]);
    }
    if (!ok)
        fprintf(stderr, "parity_models: %s\n", err.text);
    golden_models_print(&g, stdout);
    mdl_close(g.catalogue);
    pdb_close(g.db);
    return !ok ? 2 : g.different ? 1 : 0;
}
