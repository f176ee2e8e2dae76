/* What the tests of sweeps share: specs from texts, through a file as the program reads them. */
#ifndef SWEEP_FIXTURE_H
#define SWEEP_FIXTURE_H

#include "sweep/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static aic_error err;
static char folder[] = "/tmp/aicfg-sweep-test-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Writes a file into the test's folder; the path lives until the next call. */
static const char *write_file(const char *name, const char *text) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static inline swp_sweep *load_with(const char *text, const char *const *sets, size_t n, const srv_env *env) {
    err = (aic_error){0};
    return swp_load(write_file("t.yaml", text), sets, n, env, &err);
}

static inline swp_sweep *load(const char *text) {
    swp_sweep *s = load_with(text, NULL, 0, NULL);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static inline swp_sweep *load_list(const char *text) {
    err = (aic_error){0};
    return swp_load_points(write_file("t.csv", text), &err);
}

/* The message without the folder in front of it. */
static inline const char *message(void) {
    size_t len = strlen(folder) + 1;
    return strncmp(err.text, folder, len - 1) == 0 ? err.text + len : err.text;
}

#endif
