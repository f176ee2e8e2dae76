/* links: serving
 * Compares serving points with the reference's answers: parity_serving --data DIR --perfdb DIR
 * FILE.jsonl.gz... DIR of --data holds systems/, models/ and backends/, DIR of --perfdb one or more releases.
 * Files are read together: static records find their configurations in any of them. Exit code 1 when anything
 * differs.
 */
#include "parity/golden_serving.h"

#include <stdlib.h>
#include <string.h>

static int usage(void) {
    fputs("usage: parity_serving --data DIR --perfdb DIR FILE.jsonl.gz...\n", stderr);
    return AIC_BAD_INPUT;
}

static bool open_env(const char *data, const char *perfdb, srv_env *env, srv_backends **backends,
                     aic_error *err) {
    char systems[4096], models[4096], constants[4096];
    snprintf(systems, sizeof systems, "%s/systems", data);
    snprintf(models, sizeof models, "%s/models", data);
    snprintf(constants, sizeof constants, "%s/backends", data);
    const char *dirs[] = {perfdb}, *sheets[] = {systems}, *catalogues[] = {models};
    env->db = pdb_open(dirs, 1, NULL, sheets, 1, err);
    env->models = env->db ? mdl_open(catalogues, 1, err) : NULL;
    *backends = env->models ? srv_backends_open(constants, err) : NULL;
    env->backends = *backends;
    env->allow_unlisted = true;
    return *backends != NULL;
}

int main(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[1], "--data") != 0 || strcmp(argv[3], "--perfdb") != 0)
        return usage();
    aic_error err = {0};
    srv_env env = {0};
    srv_backends *backends = NULL;
    if (!open_env(argv[2], argv[4], &env, &backends, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return AIC_IO;
    }
    const char *bad = NULL;
    golden_serving_report *report = AIC_NEW(golden_serving_report);
    bool readable =
        golden_serving_run((const char *const *)(argv + 5), (size_t)(argc - 5), &env, report, &bad);
    if (!readable)
        fprintf(stderr, "%s: cannot be read\n", bad);
    golden_serving_print(report, stdout);
    bool differs = report->different > 0;
    free(report);
    srv_backends_close(backends);
    mdl_close(env.models);
    pdb_close(env.db);
    return !readable ? AIC_IO : differs ? AIC_FINDING : AIC_OK;
}
