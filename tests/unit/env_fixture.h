/* What a deployment is compiled from: the embedded data, opened and closed. */
#ifndef ENV_FIXTURE_H
#define ENV_FIXTURE_H

#include "serving/serving.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static srv_env env_open(void) {
    static const char *const perfdb[] = {AICFG_DATA_DIR "/perfdb"},
                             *const systems[] = {AICFG_DATA_DIR "/systems"},
                             *const catalogues[] = {AICFG_DATA_DIR "/models"};
    aic_error why = {0};
    srv_env env = {.db = pdb_open(perfdb, 1, NULL, systems, 1, &why),
                   .models = mdl_open(catalogues, 1, &why),
                   .backends = srv_backends_open(AICFG_DATA_DIR "/backends", &why)};
    if (!env.db || !env.models || !env.backends)
        fail_msg("%s", why.text);
    return env;
}

static void env_close(srv_env *env) {
    srv_backends_close((srv_backends *)(uintptr_t)env->backends);
    mdl_close(env->models);
    pdb_close(env->db);
}

#endif
