/* aicfg-sweep run: evaluates a sweep and writes its result file. */
#include "cli/cli.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_REASONS = 5, CHECKPOINT_SECONDS = 30 };

/* A new folder that a power loss takes away takes its files along. */
static bool sync_parent(const char *folder) {
    char parent[4096];
    const char *slash = strrchr(folder, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - folder) + 1 : 1, slash ? folder : ".");
    return aic_io_sync_path(parent);
}

bool cli_make_folders(const char *path, aic_error *err) {
    char part[4096];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return aic_fail(err, AIC_BAD_INPUT, "the output path is longer than %zu characters", sizeof part - 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        bool made = aic_io_mkdir(part);
        if (!made && errno != EEXIST)
            return aic_fail(err, AIC_IO, "cannot make the folder %s: %s", part, strerror(errno));
        if (made && !sync_parent(part))
            return aic_fail(err, AIC_IO, "the folder of %s cannot be synced to disk: %s", part,
                            strerror(errno));
    }
    return true;
}

static int by_count(const void *a, const void *b) {
    const res_reason *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

static void print_reasons(const res_file *f) {
    const res_reason *list;
    char count[32];
    size_t n = res_reasons(f, &list);
    res_reason *sorted = aic_calloc(n, sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = list[i];
    qsort(sorted, n, sizeof *sorted, by_count);
    for (size_t i = 0; i < n && i < TOP_REASONS; i++) {
        aic_group_digits(sorted[i].count, count);
        printf("%14s  %s: %s (point %llu for example)\n", count, srv_status_name(sorted[i].status),
               sorted[i].text, (unsigned long long)sorted[i].example);
    }
    if (n > TOP_REASONS)
        printf("%14s  and %zu more reasons\n", "", n - TOP_REASONS);
    free(sorted);
}

/* The ranking that the spec asks for, as `rank` would print it. */
static bool print_ranking(res_file *f, unsigned threads, aic_error *err) {
    aic_arena *a = aic_arena_new();
    res_rank_options opt;
    printf("\n");
    bool ok = swp_rank_defaults(a, res_spec_text(f), res_attribute(f, "overrides"), &opt, err);
    opt.threads = threads;
    ok = ok && res_rank(f, &opt, stdout, err);
    aic_arena_free(a);
    return ok;
}

static bool print_summary(const res_summary *sum, const swp_timing *t, bool rank, unsigned threads,
                          aic_error *err) {
    char points[32], rate[32], bytes[32], count[32];
    uint64_t computed = sum->points - sum->resumed;
    res_file *f = res_open(sum->path, err);
    if (!f)
        return false;
    aic_group_digits(sum->points, points);
    aic_group_digits((uint64_t)(t->wall_s > 0 ? (double)computed / t->wall_s : 0), rate);
    cli_bytes((double)sum->file_bytes, bytes);
    if (computed == 0 && sum->points > 0)
        printf("%s: %s points, all of them there already, %s\n", sum->path, points, bytes);
    else
        printf("%s: %s points in %.2f s, %s points/s, %s\n", sum->path, points, t->wall_s, rate, bytes);
    for (int i = 0; i < SRV_STATUS_COUNT; i++) {
        if (!sum->by_status[i])
            continue;
        aic_group_digits(sum->by_status[i], count);
        printf("%14s  %-9s  %5.1f %%\n", count, srv_status_name((srv_status)i),
               100.0 * (double)sum->by_status[i] / (double)sum->points);
    }
    print_reasons(f);
    bool ok = !rank || print_ranking(f, threads, err);
    printf("next: aicfg-sweep rank %s\n", sum->path);
    res_close(f);
    return ok;
}

static void print_up_to_date(const res_summary *sum) {
    char points[32];
    aic_group_digits(sum->points, points);
    printf("%s is up to date: its %s points were made from this spec by this program with this data; --force "
           "makes them "
           "again\n",
           sum->path, points);
}

static void print_reused(const char *path, const swp_reused *r, size_t deployments) {
    char points[32], whole[32], all[32];
    aic_group_digits(r->points, points);
    aic_group_digits(r->deployments, whole);
    aic_group_digits(deployments, all);
    printf("reused %s of %s deployments and %s points of %s", whole, all, points, path);
    if (r->partly)
        printf(" (%llu more deployments in part)", (unsigned long long)r->partly);
    printf("\n");
}

static swp_sweep *load(const cli_args *args, const srv_env *env, aic_error *err) {
    if (!args->points)
        return swp_load(args->operands.v[0], args->sets.v, args->sets.n, env, err);
    if (args->sets.n) {
        aic_fail(err, AIC_BAD_INPUT, "run: --set changes a spec; a point list has none");
        return NULL;
    }
    return swp_load_points(args->points, err);
}

static void output_path(const cli_args *args, const swp_sweep *s, swp_shard shard, aic_buf *out) {
    aic_buf whole = {0};
    if (args->output || swp_output(s))
        aic_buf_add(&whole, args->output ? args->output : swp_output(s));
    else
        aic_buf_printf(&whole, "output/%s.h5", swp_name(s));
    if (shard.index)
        swp_shard_path(whole.data, shard, out);
    else
        aic_buf_add(out, whole.data);
    aic_buf_free(&whole);
}

static aic_code run_sweep(const cli_args *args, swp_sweep *s, swp_shard shard, const srv_env *env,
                          aic_error *err) {
    aic_buf sets = {0}, path = {0}, digests = {0};
    swp_timing timing;
    swp_reused reused;
    bool up_to_date = false;
    res_summary sum = {0};
    double checkpoint = CHECKPOINT_SECONDS;
    if (args->checkpoint && (!aic_parse_f64(args->checkpoint, &checkpoint) || checkpoint < 0)) {
        aic_fail(err, AIC_BAD_INPUT, "run: --checkpoint: expected seconds, found \"%s\"", args->checkpoint);
        return err->code;
    }
    for (size_t i = 0; i < args->sets.n; i++)
        aic_buf_printf(&sets, "%s%s", i ? "\n" : "", args->sets.v[i]);
    output_path(args, s, shard, &path);
    res_writer_options ops = {0};
    bool ok = cli_breakdown(args, &ops, err) && cli_data_digests(args, &digests, err) &&
              cli_make_folders(path.data, err);
    swp_options opt = {.threads = (unsigned)args->threads,
                       .quiet = args->quiet,
                       .plain = args->plain,
                       .block_points = (size_t)args->block,
                       .shard = shard,
                       .command_line = args->command_line,
                       .overrides = sets.data ? sets.data : "",
                       .program = "aicfg-sweep " AICFG_VERSION,
                       .timing = &timing,
                       .reuse = args->reuse,
                       .reused = &reused,
                       .up_to_date = &up_to_date,
                       .leave_memory = !cli_frees_all && !shard.index,
                       .data = digests.data,
                       .out = {.path = path.data,
                               .breakdown = ops.breakdown,
                               .top = ops.top,
                               .precision = ops.precision,
                               .deflate = CLI_DEFLATE,
                               .checkpoint_s = checkpoint,
                               .force = args->force,
                               .resume = args->resume}};
    ok = ok && swp_run(s, env, &opt, &sum, err);
    if (!ok && err->code > AIC_SIGNALS && sum.points)
        aic_fail_in(err, "finished points are in %s; --resume goes on with them", sum.path);
    if (ok && up_to_date)
        print_up_to_date(&sum);
    if (ok && args->reuse && !up_to_date)
        print_reused(args->reuse, &reused, swp_deployments(s));
    if (ok && !args->quiet && !up_to_date)
        print_summary(&sum, &timing, !args->points && !shard.index, (unsigned)args->threads, err);
    aic_buf_free(&sets);
    aic_buf_free(&path);
    aic_buf_free(&digests);
    return err->code;
}

/* The whole sweep, or one shard after the other. */
static aic_code run_shards(const cli_args *args, swp_sweep *s, const cli_shards *shards, const srv_env *env,
                           aic_error *err) {
    if (shards->count == 0)
        return run_sweep(args, s, (swp_shard){0, 0}, env, err);
    if (shards->from > shards->to && !args->quiet)
        printf("no shard for this task: the array has more tasks than the sweep has shards (%llu)\n",
               (unsigned long long)shards->count);
    for (uint64_t i = shards->from; i <= shards->to && err->code == AIC_OK; i++)
        run_sweep(args, s, (swp_shard){i, shards->count}, env, err);
    return err->code;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    cli_shards shards;
    if ((args->points != NULL) == (args->operands.n == 1)) {
        aic_fail(err, AIC_BAD_INPUT, "run: give a spec or --points FILE.csv; see 'aicfg-sweep help run'");
        return AIC_BAD_INPUT;
    }
    if (args->threads > 1024 || args->block > 1u << 20) {
        aic_fail(err, AIC_BAD_INPUT, "run: --threads goes up to 1024, --block up to 1048576");
        return AIC_BAD_INPUT;
    }
    if (!cli_shards_parse(args->shard, &shards, err))
        return err->code;
    aic_interrupt_install();
    aic_ignore_closed_pipes();
    if (!cli_data_open(args, &data, err))
        return err->code;
    swp_sweep *s = load(args, &data.env, err);
    aic_code code = s ? run_shards(args, s, &shards, &data.env, err) : err->code;
    if (cli_frees_all)
        swp_free(s);
    cli_data_close(&data);
    return code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"points", 0, CLI_TEXT, "FILE.csv", AT(points),
     "evaluate a list of points instead of a spec; row i is point i"},
    {"output", 'o', CLI_TEXT, "OUT.h5", AT(output),
     "result file; default: output: of the spec, else output/SPEC.h5"},
    {"shard", 0, CLI_TEXT, "I/N", AT(shard),
     "run shard I of N only (1/N to N/N), into OUT.shard-I-of-N.h5; 'slurm' or 'slurm/N': see below"},
    {"force", 'f', CLI_FLAG, NULL, AT(force),
     "replace an existing result file, drop what an interrupted run left"},
    {"resume", 0, CLI_FLAG, NULL, AT(resume),
     "go on where an interrupted or killed run of the same sweep stopped; with nothing to go on with, start"},
    {"checkpoint", 0, CLI_TEXT, "SECONDS", AT(checkpoint),
     "save finished points for --resume this often; 0 after every block; default: 30"},
    {"reuse", 0, CLI_TEXT, "OLD.h5", AT(reuse),
     "take points from an earlier result where nothing they depend on has changed"},
    {"set", 0, CLI_TEXTS, "PATH=VALUE", AT(sets),
     "override a key of the spec, sweep.batch=[1,2] for example; recorded"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "worker threads; default: OMP_NUM_THREADS or all cores"},
    CLI_BREAKDOWN_OPTIONS,
    {"block", 0, CLI_COUNT, "N", AT(block), "points a worker takes at once (the file does not depend on it)"},
    {"plain", 0, CLI_FLAG, NULL, AT(plain),
     "evaluate point by point on the reference path: slow, same figures"},
    {"quiet", 'q', CLI_FLAG, NULL, AT(quiet), "no progress, no summary, no warnings"},
};

const cli_command cli_run = {
    .name = "run",
    .operands = "SPEC.yaml",
    .min_operands = 0,
    .max_operands = 1,
    .summary = "evaluate a sweep and write every point to one HDF5 file",
    .details =
        "The program's name may be left out: 'aicfg-sweep SPEC.yaml' is 'aicfg-sweep run SPEC.yaml'.\n"
        "The first Ctrl-C finishes the blocks in flight and keeps them; the second ends the program at "
        "once. --resume goes on after that, and after a kill, a power loss or a full disk\n"
        "(docs/reliability.md).\n"
        "A result made from the same spec, program and data stands: nothing is run. One made from others is\n"
        "refused, with what differs.\n"
        "\n"
        "--shard I/N runs the I-th of N ranges of consecutive points, cut so that they cost about the same; "
        "any\n"
        "process with the same spec and data cuts them alike. 'merge' makes one file of the shards. In a "
        "task of\n"
        "a Slurm array '--shard slurm' runs one shard: the first task the first one, whatever number the "
        "array\n"
        "starts with. '--shard slurm/N' spreads N shards over the tasks, several to a task where the array "
        "is\n"
        "smaller than N. Tasks submitted again by number need AICFG_ARRAY_MIN and AICFG_ARRAY_COUNT, the "
        "first\n"
        "number and the size of the whole array, in their environment (AICFG_ARRAY_ID: the task's own "
        "number).\n"
        "\n"
        "docs/formats/spec.md describes specs and point lists, docs/formats/results.md the result file.",
    .examples = "sweeps/h200.yaml\n"
                "run sweeps/h200.yaml -o /tmp/small.h5 --set sweep.batch=[1,64] --threads 2\n"
                "run sweeps/h200.yaml --resume --checkpoint 10\n"
                "run --points points.csv -o points.h5 --perfdb /data/perfdb\n"
                "run sweeps/h200.yaml --shard 3/128\n"
                "run sweeps/h200.yaml --shard slurm/4000",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
