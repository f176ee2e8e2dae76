/* aicfg-sweep bench: how fast a sweep is evaluated and written, stage by stage. */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct stage {
    swp_timing best; /* of the fastest repetition */
    uint64_t bytes;
} stage;

typedef struct result {
    uint64_t points;
    size_t deployments;
    unsigned threads;
    uint64_t repeat;
    double load_s; /* opening data, reading and checking the spec */
    stage evaluate, write;
} result;

static bool measure(swp_sweep *s, const srv_env *env, const swp_options *options, uint64_t repeat, stage *out,
                    aic_error *err) {
    swp_timing t;
    res_summary sum = {0};
    swp_options opt = *options;
    opt.timing = &t;
    for (uint64_t i = 0; i < repeat; i++) {
        if (!swp_run(s, env, &opt, &sum, err))
            return false;
        if (i == 0 || t.wall_s < out->best.wall_s)
            out->best = t;
        out->bytes = sum.file_bytes;
    }
    return true;
}

static double rate(const result *r, const stage *s) {
    return s->best.wall_s > 0 ? (double)r->points / s->best.wall_s : 0;
}

static void print_stage(const result *r, const char *name, const stage *s) {
    const swp_timing *t = &s->best;
    char per_second[32];
    aic_group_digits((uint64_t)rate(r, s), per_second);
    printf("%-12s%12s points/s  %8.3f s: compile %.3f, evaluate %.3f, write %.3f (threads added up)\n", name,
           per_second, t->wall_s, t->compile_s, t->evaluate_s, t->write_s);
}

static void print_text(const result *r) {
    char points[32], bytes[32];
    aic_group_digits(r->points, points);
    cli_bytes((double)r->write.bytes, bytes);
    printf("%s points, %zu deployments, %u threads, best of %llu\n", points, r->deployments, r->threads,
           (unsigned long long)r->repeat);
    printf("load        %.3f s\n", r->load_s);
    print_stage(r, "evaluate", &r->evaluate);
    print_stage(r, "with file", &r->write);
    printf("per point   %.0f ns evaluating, %.0f ns writing, %.1f bytes (file %s)\n",
           1e9 * r->evaluate.best.evaluate_s / (double)r->points,
           1e9 * r->write.best.write_s / (double)r->points, (double)r->write.bytes / (double)r->points,
           bytes);
}

static void json_stage(const result *r, const char *name, const stage *s) {
    const swp_timing *t = &s->best;
    printf(", \"%s\": {\"points_per_s\": %.1f, \"wall_s\": %.6f, \"compile_s\": %.6f, \"evaluate_s\": %.6f, "
           "\"write_s\": %.6f}",
           name, rate(r, s), t->wall_s, t->compile_s, t->evaluate_s, t->write_s);
}

static void print_json(const result *r) {
    printf("{\"points\": %llu, \"deployments\": %zu, \"threads\": %u, \"repeat\": %llu, \"load_s\": %.6f, "
           "\"file_bytes\": %llu",
           (unsigned long long)r->points, r->deployments, r->threads, (unsigned long long)r->repeat,
           r->load_s, (unsigned long long)r->write.bytes);
    json_stage(r, "evaluate", &r->evaluate);
    json_stage(r, "with_file", &r->write);
    printf("}\n");
}

static void bench(const cli_args *args, swp_sweep *s, const srv_env *env, double load_s, aic_error *err) {
    char path[] = "/tmp/aicfg-bench-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        aic_fail(err, AIC_IO, "bench: cannot make a file in /tmp");
        return;
    }
    close(fd);
    result r = {.points = swp_points(s),
                .deployments = swp_deployments(s),
                .load_s = load_s,
                .threads = args->threads ? (unsigned)args->threads : 2,
                .repeat = args->repeat ? args->repeat : 3};
    swp_options opt = {.threads = r.threads,
                       .quiet = true,
                       .plain = args->plain,
                       .block_points = (size_t)args->block,
                       .discard = true,
                       .program = "aicfg-sweep " AICFG_VERSION,
                       .command_line = args->command_line,
                       .out = {.path = path, .deflate = CLI_DEFLATE, .checkpoint_s = 30, .force = true}};
    bool ok = cli_breakdown(args, &opt.out, err) && measure(s, env, &opt, r.repeat, &r.evaluate, err);
    opt.discard = false;
    ok = ok && measure(s, env, &opt, r.repeat, &r.write, err);
    aic_io_unlink(path);
    if (ok && args->json)
        print_json(&r);
    else if (ok)
        print_text(&r);
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    double start = aic_now();
    aic_interrupt_install();
    if (args->threads > 1024 || args->block > 1u << 20) {
        aic_fail(err, AIC_BAD_INPUT, "bench: --threads goes up to 1024, --block up to 1048576");
        return err->code;
    }
    if (!cli_data_open(args, &data, err))
        return err->code;
    const char *spec = args->operands.n ? args->operands.v[0] : "sweeps/h200.yaml";
    swp_sweep *s = swp_load(spec, args->sets.v, args->sets.n, &data.env, err);
    if (s)
        bench(args, s, &data.env, aic_now() - start, err);
    swp_free(s);
    cli_data_close(&data);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "worker threads; default: 2"},
    {"repeat", 0, CLI_COUNT, "N", AT(repeat), "repetitions, the fastest counts; default: 3"},
    {"set", 0, CLI_TEXTS, "PATH=VALUE", AT(sets), "override a key of the spec"},
    {"block", 0, CLI_COUNT, "N", AT(block), "points a worker takes at once"},
    CLI_BREAKDOWN_OPTIONS,
    {"plain", 0, CLI_FLAG, NULL, AT(plain), "evaluate on the reference path"},
    {"json", 0, CLI_FLAG, NULL, AT(json), "print one JSON object"},
};

const cli_command cli_bench = {
    .name = "bench",
    .operands = "[SPEC.yaml]",
    .max_operands = 1,
    .summary = "measure how fast a sweep is evaluated, with and without its file",
    .details =
        "Without a spec: sweeps/h200.yaml of the current folder. The file is written to /tmp and removed.",
    .examples = "bench\nbench sweeps/h200.yaml --threads 1 --json",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
