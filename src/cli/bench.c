/* aicfg-sweep bench: how fast a sweep is evaluated and written, stage by stage. */
#include "cli/bench.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SAMPLE = 64 }; /* deployments whose queries are counted unless --deployments says otherwise */

static bool measure(swp_sweep *s, const srv_env *env, const swp_options *options, uint64_t repeat,
                    bench_stage *out, aic_error *err) {
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

/* The fastest of the repetitions, part by part. */
static bool measure_store(const char *path, const char *scratch, uint64_t repeat, res_roofline *out,
                          aic_error *err) {
    for (uint64_t i = 0; i < repeat; i++) {
        res_roofline r;
        if (!res_roofline_measure(path, scratch, &r, err))
            return false;
        if (i > 0) {
            r.raw_s = fmin(r.raw_s, out->raw_s);
            r.encode_s = fmin(r.encode_s, out->encode_s);
            r.digest_s = fmin(r.digest_s, out->digest_s);
        }
        *out = r;
    }
    return true;
}

/* A file in the folder of --output, or in /tmp; the second name is for the roofline. */
static bool make_names(const cli_args *args, aic_buf *path, aic_buf *scratch, aic_error *err) {
    aic_buf_printf(path, "%s/aicfg-bench-XXXXXX", args->output ? args->output : "/tmp");
    int fd = mkstemp(path->data);
    if (fd < 0)
        return aic_fail(err, AIC_IO, "bench: cannot make a file in %s", args->output ? args->output : "/tmp");
    close(fd);
    aic_buf_printf(scratch, "%s.raw", path->data);
    return true;
}

static void bench(const cli_args *args, swp_sweep *s, const srv_env *env, bench_result *r, aic_error *err) {
    aic_buf path = {0}, scratch = {0};
    swp_options opt = {.threads = r->threads,
                       .quiet = true,
                       .plain = args->plain,
                       .block_points = (size_t)args->block,
                       .discard = true,
                       .program = "aicfg-sweep " AICFG_VERSION,
                       .command_line = args->command_line,
                       .out = {.deflate = CLI_DEFLATE, .checkpoint_s = 30, .force = true}};
    size_t most = args->count ? (size_t)args->count : SAMPLE;
    bool ok = cli_breakdown(args, &opt.out, err) &&
              swp_costs_measure(s, env, most, (unsigned)r->repeat, &r->costs, err) &&
              measure(s, env, &opt, r->repeat, &r->evaluate, err) && make_names(args, &path, &scratch, err);
    if (ok) {
        opt.out.path = path.data;
        opt.discard = false;
        ok = measure(s, env, &opt, r->repeat, &r->write, err) &&
             measure_store(path.data, scratch.data, r->repeat, &r->store, err);
        aic_io_unlink(path.data);
    }
    if (ok && args->json)
        bench_print_json(r, stdout);
    else if (ok)
        bench_print_text(r, stdout);
    srv_costs_free(&r->costs.points);
    aic_buf_free(&path);
    aic_buf_free(&scratch);
}

/* Overrides change specs only, and points are listed somewhere else than in one. */
static bool check(const cli_args *args, aic_error *err) {
    if (args->threads > 1024 || args->block > 1u << 20 || args->repeat > 1000)
        return aic_fail(err, AIC_BAD_INPUT,
                        "bench: --threads goes up to 1024, --block up to 1048576, --repeat up to 1000");
    return !args->points || (!args->operands.n && !args->sets.n && !args->mode) ||
           aic_fail(err, AIC_BAD_INPUT, "bench: --points goes without a spec, --set and --database-mode");
}

/* --database-mode is an override like any other: it counts for every block. */
static swp_sweep *load(const cli_args *args, const srv_env *env, aic_error *err) {
    const char *spec = args->operands.n ? args->operands.v[0] : "sweeps/h200.yaml";
    const char **sets = aic_alloc(args->sets.n + 1, sizeof *sets);
    size_t n = 0;
    aic_buf mode = {0};
    for (; n < args->sets.n; n++)
        sets[n] = args->sets.v[n];
    if (args->mode) {
        aic_buf_printf(&mode, "sweep.database_modes=%s", args->mode);
        sets[n++] = mode.data;
    }
    swp_sweep *s = swp_load(spec, sets, n, env, err);
    aic_buf_free(&mode);
    free(sets);
    return s;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    double start = aic_now();
    bench_result r = {.threads = args->threads ? (unsigned)args->threads : 2,
                      .repeat = args->repeat ? args->repeat : 3};
    aic_interrupt_install();
    if (!check(args, err))
        return err->code;
    if (!cli_data_open(args, &data, err))
        return err->code;
    r.data_s = aic_now() - start;
    swp_sweep *s = args->points ? swp_load_points(args->points, err) : load(args, &data.env, err);
    if (s) {
        r.spec_s = aic_now() - start - r.data_s;
        r.points = swp_points(s);
        r.deployments = swp_deployments(s);
        bench(args, s, &data.env, &r, err);
    }
    swp_free(s);
    cli_data_close(&data);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "worker threads; default: 2"},
    {"repeat", 0, CLI_COUNT, "N", AT(repeat), "repetitions, the fastest counts; default: 3"},
    {"points", 0, CLI_TEXT, "FILE", AT(points), "CSV list of points instead of a spec"},
    {"deployments", 0, CLI_COUNT, "N", AT(count),
     "deployments whose queries are counted, evenly spaced; default: 64"},
    {"database-mode", 0, CLI_TEXT, "MODE", AT(mode),
     "SILICON, HYBRID, EMPIRICAL or SOL, whatever the spec says"},
    {"output", 'o', CLI_TEXT, "DIR", AT(output), "folder for the file, removed afterwards; default: /tmp"},
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
    .summary = "measure how fast a sweep is evaluated and written, and where the time goes",
    .details =
        "Stages: opening data, reading the spec, tables, compiling, queries by op kind, assembling points,\n"
        "encoding, digests, writing; the last against HDF5 writing the same bytes and nothing else\n"
        "(docs/performance.md). Without a spec: sweeps/h200.yaml of the current folder.",
    .examples =
        "bench\nbench sweeps/h200.yaml --threads 1 --json\nbench sweeps/h200.yaml --database-mode SOL",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
