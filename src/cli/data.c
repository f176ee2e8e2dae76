/* Where a command finds its data: folders given by options first, the program's own last. */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *cli_data_folder(void) {
    const char *given = getenv("AICFG_DATA");
    if (given && *given)
        return given;
    return is_folder(AICFG_SOURCE_DATA) ? AICFG_SOURCE_DATA : AICFG_INSTALL_DATA;
}

/* The folders given, then DATA/part when it exists. */
static const char **folders(aic_arena *a, const cli_texts *given, const char *part, size_t *n) {
    const char **list = aic_arena_alloc(a, given->n + 1, sizeof *list);
    for (*n = 0; *n < given->n; ++*n)
        list[*n] = given->v[*n];
    const char *own = aic_arena_printf(a, "%s/%s", cli_data_folder(), part);
    if (is_folder(own))
        list[(*n)++] = own;
    return list;
}

/* Folders of an environment variable, separated by colons, behind those given by options. */
static cli_texts with_variable(aic_arena *a, const cli_texts *given, const char *variable) {
    const char *list = getenv(variable);
    size_t most = given->n;
    for (const char *p = list ? list : ""; *p; p++)
        most += *p == ':';
    cli_texts all = {.v = aic_arena_alloc(a, aic_add(most, 1), sizeof *all.v)};
    for (size_t i = 0; i < given->n; i++)
        all.v[all.n++] = given->v[i];
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, ":");
        if (len)
            all.v[all.n++] = aic_arena_strndup(a, p, len);
        p += len + (p[len] == ':');
    }
    return all;
}

static bool check_folders(const cli_texts *given, const char *option, aic_error *err) {
    for (size_t i = 0; i < given->n; i++)
        if (!is_folder(given->v[i]))
            return aic_fail(err, AIC_BAD_INPUT, "--%s %s: no such folder", option, given->v[i]);
    return true;
}

static bool open_in(aic_arena *a, const cli_args *args, cli_data *out, aic_error *err) {
    size_t n_perfdb, n_systems, n_models, n_ops;
    cli_texts own_models = with_variable(a, &args->models, "AICFG_MODELS");
    if (!check_folders(&args->perfdb, "perfdb", err) || !check_folders(&args->systems, "systems", err) ||
        !check_folders(&own_models, "models", err) || !check_folders(&args->ops, "ops", err))
        return false;
    if (!is_folder(cli_data_folder()))
        return aic_fail(err, AIC_IO, "the program's data folder %s does not exist: set AICFG_DATA to it",
                        cli_data_folder());
    const char **perfdb = folders(a, &args->perfdb, "perfdb", &n_perfdb);
    const char **systems = folders(a, &args->systems, "systems", &n_systems);
    const char **models = folders(a, &own_models, "models", &n_models);
    const char **ops = folders(a, &args->ops, "ops", &n_ops);
    out->env.allow_unlisted = args->unlisted;
    out->env.db = pdb_open(perfdb, n_perfdb, args->release, systems, n_systems, err);
    if (!out->env.db)
        return false;
    out->kinds = op_kinds_open(ops, n_ops, err);
    if (!out->kinds)
        return false;
    out->env.models = mdl_open_with(models, n_models, out->kinds, err);
    if (!out->env.models)
        return false;
    out->backends = srv_backends_open(aic_arena_printf(a, "%s/backends", cli_data_folder()), err);
    out->env.backends = out->backends;
    return out->backends != NULL;
}

bool cli_data_open(const cli_args *args, cli_data *out, aic_error *err) {
    aic_arena *a = aic_arena_new();
    *out = (cli_data){0};
    bool ok = open_in(a, args, out, err);
    aic_arena_free(a);
    if (!ok)
        cli_data_close(out);
    return ok;
}

static bool add_digests(const char *part, const char *const *dirs, size_t n, aic_buf *out, aic_error *err) {
    char sha256[65];
    for (size_t i = 0; i < n; i++) {
        if (!aic_sha256_tree(dirs[i], sha256, err))
            return false;
        aic_buf_printf(out, "%s%s %s", out->len ? "\n" : "", part, sha256);
    }
    return true;
}

bool cli_data_digests(const cli_args *args, aic_buf *out, aic_error *err) {
    aic_arena *a = aic_arena_new();
    size_t n_models, n_ops;
    cli_texts own_models = with_variable(a, &args->models, "AICFG_MODELS");
    const char **models = folders(a, &own_models, "models", &n_models);
    const char **ops = folders(a, &args->ops, "ops", &n_ops);
    const char *backends = aic_arena_printf(a, "%s/backends", cli_data_folder());
    bool ok = add_digests("models", models, n_models, out, err) && add_digests("ops", ops, n_ops, out, err) &&
              add_digests("backends", &backends, 1, out, err);
    aic_arena_free(a);
    return ok;
}

#ifdef AICFG_FREE_AT_END
const bool cli_frees_all = true;
#else
const bool cli_frees_all = false;
#endif

void cli_data_close(cli_data *d) {
    if (!cli_frees_all)
        return;
    if (d->backends)
        srv_backends_close(d->backends);
    if (d->env.models)
        mdl_close(d->env.models);
    if (d->env.db)
        pdb_close(d->env.db);
    op_kinds_close(d->kinds);
    *d = (cli_data){0};
}

bool cli_row(const cli_args *args, swp_row *row, aic_error *err) {
    swp_row_init(row);
    for (size_t i = 0; i < swp_field_count(); i++)
        if (args->fields[i] && !swp_row_set(row, i, args->fields[i], err))
            return false;
    return !*row->refused || aic_fail(err, AIC_BAD_INPUT, "%s", row->refused);
}
