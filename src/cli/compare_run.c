/* compare --spec: one spec, two folders of measured tables, two result files. */
#include "cli/compare.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool run_side(const cli_args *args, const char *db, const char *path, aic_error *err) {
    cli_args own = *args;
    cli_data data;
    res_summary sum = {0};
    aic_buf sets = {0};
    own.perfdb = (cli_texts){.v = &db, .n = 1};
    if (!cli_data_open(&own, &data, err))
        return false;
    for (size_t i = 0; i < args->sets.n; i++)
        aic_buf_printf(&sets, "%s%s", i ? "\n" : "", args->sets.v[i]);
    swp_options opt = {.threads = (unsigned)args->threads,
                       .quiet = args->quiet,
                       .command_line = args->command_line,
                       .overrides = sets.data ? sets.data : "",
                       .program = "aicfg-sweep " AICFG_VERSION,
                       .out = {.path = path,
                               .breakdown = true,
                               .deflate = CLI_DEFLATE,
                               .checkpoint_s = 30,
                               .force = args->force}};
    swp_sweep *s = swp_load(args->spec, args->sets.v, args->sets.n, &data.env, err);
    bool ok = s && swp_run(s, &data.env, &opt, &sum, err);
    swp_free(s);
    cli_data_close(&data);
    aic_buf_free(&sets);
    return ok || aic_fail_in(err, "--db %s", db);
}

static bool make_temporary(cli_sides *out, aic_error *err) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out->folder, sizeof out->folder, "%s/aicfg-compare-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(out->folder)) {
        out->folder[0] = '\0';
        return aic_fail(err, AIC_IO, "cannot make a temporary folder: %s", strerror(errno));
    }
    return out->temporary = true;
}

bool cli_sides_run(const cli_args *args, cli_sides *out, aic_error *err) {
    *out = (cli_sides){0};
    if (args->output)
        snprintf(out->folder, sizeof out->folder, "%s", args->output);
    else if (!make_temporary(out, err))
        return false;
    for (int i = 0; i < CLI_SIDES; i++) {
        snprintf(out->path[i], sizeof out->path[i], "%s/%c.h5", out->folder, 'a' + i);
        if (!cli_make_folders(out->path[i], err) || !run_side(args, args->dbs.v[i], out->path[i], err))
            return false;
    }
    return true;
}

/* Removes a folder with all it holds: result files, and what an interrupted run left beside them. */
static void remove_folder(const char *path, int depth) {
    DIR *dir = opendir(path);
    char inside[4400];
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof inside, "%.4100s/%.255s", path, e->d_name);
        if (unlink(inside) != 0 && depth > 0)
            remove_folder(inside, depth - 1);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

void cli_sides_free(cli_sides *s) {
    if (s->temporary)
        remove_folder(s->folder, 1);
}
