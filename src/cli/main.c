/* The program: finds the subcommand, parses its options, runs it, reports its error. */
#include "cli/cli.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_command *const commands[] = {
    &cli_run,    &cli_plan,     &cli_merge, &cli_rank,    &cli_show, &cli_export, &cli_report, &cli_compare,
    &cli_verify, &cli_estimate, &cli_model, &cli_support, &cli_db,   &cli_bench,  &cli_help};

size_t cli_command_count(void) {
    return sizeof commands / sizeof *commands;
}

const cli_command *cli_command_at(size_t i) {
    return commands[i];
}

const cli_command *cli_command_find(const char *name) {
    for (size_t i = 0; i < cli_command_count(); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static const char *command_name(const void *ctx, size_t i) {
    (void)ctx;
    return commands[i]->name;
}

const char *cli_command_nearest(const char *name) {
    return aic_nearest(name, cli_command_count(), command_name, NULL);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* argv[1] when it names a command; a spec or a leading option of `run` stands for run itself. */
static const cli_command *find_command(char **argv, int *first) {
    const char *word = argv[1];
    *first = 2;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return &cli_help;
    const cli_command *c = cli_command_find(word);
    if (c)
        return c;
    *first = 1;
    return ends_with(word, ".yaml") || ends_with(word, ".yml") || strcmp(word, "--points") == 0 ? &cli_run
                                                                                                : NULL;
}

static void keep_command_line(int argc, char **argv, cli_args *args) {
    size_t used = 0, size = sizeof args->command_line;
    for (int i = 0; i < argc && used < size; i++)
        used += (size_t)snprintf(args->command_line + used, size - used, "%s%s", i ? " " : "", argv[i]);
}

static aic_code report(const aic_error *err) {
    fprintf(stderr, "aicfg-sweep: %s\n", err->text);
    return err->code;
}

static aic_code run_command(const cli_command *c, int argc, char **argv, int first) {
    cli_args args = {0};
    aic_error err = {0};
    aic_code code;
    keep_command_line(argc, argv, &args);
    if (!cli_parse(c, argc - first, argv + first, &args, &err)) {
        code = report(&err);
    } else if (args.help) {
        cli_help_command(c, stdout);
        code = AIC_OK;
    } else {
        if (args.quiet)
            aic_quiet(true);
        code = c->run(&args, &err);
        /* A table that could not be read looks absent, or empty: whatever was printed may rest on it. */
        if (code == AIC_OK)
            pdb_data_was_read(&err);
        if (err.code != AIC_OK)
            code = report(&err);
    }
    cli_args_free(&args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("aicfg-sweep: cannot write to standard output\n", stderr);
        return AIC_IO;
    }
    return code;
}

/* Columns of tables and blocks of points come and go by the megabyte: memory that went back to the system
 * each time would have to be cleared by it each time. */
static void keep_memory(void) {
#ifdef __GLIBC__
    enum { LARGE = 1 << 30, STEP = 1 << 22 };
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, LARGE);
    mallopt(M_TOP_PAD, STEP);
#endif
}

/* How threads wait: GNU's OpenMP runtime reads it from the environment before main and offers no call to
 * change it. So the program starts once more, as the same process; where that fails, or the user has chosen,
 * it goes on as it is. */
static void sleep_when_waiting(char **argv) {
    static const char *const chosen[] = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"};
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        if (getenv(chosen[i]))
            return;
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0 || (size_t)n >= sizeof path)
        return;
    path[n] = '\0';
    if (setenv(chosen[0], "passive", 1) == 0)
        execv(path, argv);
}

int main(int argc, char **argv) {
    int first;
    keep_memory();
    if (argc < 2) {
        cli_help_overview(stderr);
        return AIC_BAD_INPUT;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("aicfg-sweep " AICFG_VERSION);
        return AIC_OK;
    }
    const cli_command *c = find_command(argv, &first);
    if (c && c->sleeps)
        sleep_when_waiting(argv);
    if (c)
        return (int)run_command(c, argc, argv, first);
    const char *near = cli_command_nearest(argv[1]);
    fprintf(stderr, "aicfg-sweep: unknown command \"%s\"%s%s%s\n", argv[1],
            near ? "; did you mean \"" : "; see 'aicfg-sweep help", near ? near : "", near ? "\"?" : "'");
    return AIC_BAD_INPUT;
}
