/* aicfg-sweep merge: shards of a sweep to one result file. */
#include "cli/cli.h"
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- which files ------------------------------------------------------------------------------------- */

typedef struct paths {
    char **v;
    size_t n, cap;
} paths;

static void add(paths *p, const char *folder, const char *name) {
    aic_buf b = {0};
    aic_buf_printf(&b, "%s%s%s", folder, *folder ? "/" : "", name);
    AIC_GROW(p->v, p->n, p->cap);
    p->v[p->n++] = b.data;
}

static void free_paths(paths *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i]);
    free(p->v);
}

/* "STEM.shard-3-of-8.h5"; any stem when stem is NULL. */
static bool is_shard(const char *name, const char *stem) {
    static const char middle[] = ".shard-", end[] = ".h5";
    size_t len = strlen(name);
    const char *at = stem ? name + strlen(stem) : strstr(name, middle);
    if (stem && strncmp(name, stem, strlen(stem)) != 0)
        return false;
    return at && strncmp(at, middle, sizeof middle - 1) == 0 && strstr(at, "-of-") &&
           strcmp(name + len - (sizeof end - 1), end) == 0;
}

static bool add_folder(paths *p, const char *folder, const char *stem, aic_error *err) {
    DIR *dir = opendir(*folder ? folder : ".");
    if (!dir)
        return aic_fail(err, AIC_IO, "cannot list %s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));)
        if (is_shard(e->d_name, stem))
            add(p, folder, e->d_name);
    closedir(dir);
    return true;
}

/* The files that `run -o OUT --shard` wrote. */
static bool add_siblings(paths *p, const char *out, aic_error *err) {
    const char *slash = strrchr(out, '/');
    aic_buf folder = {0}, stem = {0};
    aic_buf_addn(&folder, out, slash ? (size_t)(slash - out) : 0);
    if (slash == out)
        aic_buf_add(&folder, "/.");
    aic_buf_add(&stem, slash ? slash + 1 : out);
    if (stem.len > 3 && strcmp(stem.data + stem.len - 3, ".h5") == 0)
        stem.data[stem.len - 3] = '\0';
    bool ok = add_folder(p, folder.data, stem.data, err);
    if (ok && p->n == 0)
        ok = aic_fail(err, AIC_BAD_INPUT, "merge: no %s.shard-*.h5 beside %s; name the shards", stem.data,
                      out);
    aic_buf_free(&folder);
    aic_buf_free(&stem);
    return ok;
}

/* A file, a folder of shards, or a pattern that no shell has expanded. */
static bool add_operand(paths *p, const char *text, aic_error *err) {
    struct stat st;
    size_t before = p->n;
    if (stat(text, &st) != 0) {
        glob_t found = {0};
        if (glob(text, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++)
                add(p, "", found.gl_pathv[i]);
        globfree(&found);
    } else if (!S_ISDIR(st.st_mode)) {
        add(p, "", text);
    } else if (!add_folder(p, text, NULL, err)) {
        return false;
    }
    return p->n > before ||
           aic_fail(err, AIC_BAD_INPUT, "merge: %s: no such file, no folder with shards", text);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool find_shards(const cli_args *args, paths *p, aic_error *err) {
    bool ok = true;
    for (size_t i = 1; ok && i < args->operands.n; i++)
        ok = add_operand(p, args->operands.v[i], err);
    if (args->operands.n == 1)
        ok = add_siblings(p, args->operands.v[0], err);
    if (ok)
        qsort(p->v, p->n, sizeof *p->v, by_name);
    return ok;
}

/* ---- merging ----------------------------------------------------------------------------------------- */

static void print_done(const cli_args *args, const res_summary *sum, size_t n, double seconds) {
    char points[32], rate[32], bytes[32];
    aic_group_digits(sum->points, points);
    aic_group_digits((uint64_t)(seconds > 0 ? (double)sum->points / seconds : 0), rate);
    cli_bytes((double)sum->file_bytes, bytes);
    if (args->check) {
        printf("%zu files hold all %s points once, undamaged\n", n, points);
        return;
    }
    printf("%s: %s points of %zu files in %.2f s, %s points/s, %s\n", sum->path, points, n, seconds, rate,
           bytes);
    if (args->view)
        printf("a view for HDF5 readers: the shards must stay where they are from it\n");
    else
        printf("next: aicfg-sweep rank %s\n", sum->path);
}

static aic_code run(const cli_args *args, aic_error *err) {
    paths p = {0};
    res_summary sum = {0};
    if (args->threads > 1024) {
        aic_fail(err, AIC_BAD_INPUT, "merge: --threads goes up to 1024");
        return err->code;
    }
    aic_interrupt_install();
    if (find_shards(args, &p, err) && (args->check || cli_make_folders(args->operands.v[0], err))) {
        res_merge_options opt = {.path = args->operands.v[0],
                                 .shards = (const char *const *)p.v,
                                 .n_shards = p.n,
                                 .allow_duplicates = args->allow_duplicates,
                                 .check = args->check,
                                 .view = args->view,
                                 .force = args->force,
                                 .quiet = args->quiet,
                                 .deflate = CLI_DEFLATE,
                                 .threads = (unsigned)args->threads,
                                 .command_line = args->command_line};
        double start = aic_now();
        if (res_merge(&opt, &sum, err) && !args->quiet)
            print_done(args, &sum, p.n, aic_now() - start);
    }
    free_paths(&p);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"check", 0, CLI_FLAG, NULL, AT(check),
     "only prove that the shards can be merged; OUT.h5 is not written"},
    {"allow-duplicates", 0, CLI_FLAG, NULL, AT(allow_duplicates),
     "take one of several files that hold the same points, if their contents are equal"},
    {"virtual", 0, CLI_FLAG, NULL, AT(view),
     "write a small view of the shards, for h5py and other HDF5 readers, instead of a copy"},
    {"force", 'f', CLI_FLAG, NULL, AT(force), "replace an existing file"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "threads; default: OMP_NUM_THREADS or all cores"},
    {"quiet", 'q', CLI_FLAG, NULL, AT(quiet), "no progress, no summary"},
};

const cli_command cli_merge = {
    .name = "merge",
    .operands = "OUT.h5 [SHARD...]",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .sleeps = true,
    .summary = "put the shards of a sweep together",
    .details = "SHARD is a file that 'run --shard' wrote, a folder of them, or a pattern in quotes; without "
               "any, those\n"
               "beside OUT.h5 that have its name. Their numbers and counts are free as long as every point "
               "of the sweep is\n"
               "there once. Before anything is written all of them are read and proved: complete, of one "
               "spec, program and\n"
               "database, every digest as it should be. What is missing or there twice is named, and the "
               "exit code is 2.\n"
               "\n"
               "The file is the one that a run of the whole sweep writes, byte for byte but for its group "
               "/run. A view\n"
               "(--virtual) reads like it in other programs, and needs the shards; rank, export and the "
               "others refuse it.",
    .examples = "merge output/h200.h5\n"
                "merge output/h200.h5 output/h200.shard-*.h5\n"
                "merge --check all.h5 /scratch/shards\n"
                "merge --virtual view.h5 /scratch/shards",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .run = run,
};
