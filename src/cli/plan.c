/* aicfg-sweep plan: what a sweep would do. */
#include "cli/cli.h"

/* "N": all of them; else as `run` takes it. */
static bool shards_of(const char *text, cli_shards *out, aic_error *err) {
    int64_t n;
    if (!text || !aic_parse_i64(text, &n) || n < 1 || n > SWP_MAX_SHARDS)
        return cli_shards_parse(text, out, err);
    *out = (cli_shards){1, (uint64_t)n, (uint64_t)n};
    return true;
}

static aic_code plan(const cli_args *args, aic_error *err) {
    cli_data data;
    cli_shards shards;
    swp_options opt = {.threads = (unsigned)(args->threads < 1024 ? args->threads : 1024)};
    if (!shards_of(args->shard, &shards, err) || !cli_breakdown(args, &opt.out, err))
        return err->code;
    aic_interrupt_install();
    if (!cli_data_open(args, &data, err))
        return err->code;
    swp_sweep *s = args->points ? swp_load_points(args->points, err)
                                : swp_load(args->operands.n ? args->operands.v[0] : "", args->sets.v,
                                           args->sets.n, &data.env, err);
    if (s && swp_plan(s, &data.env, &opt, stdout, err) && shards.count)
        swp_plan_shards(s, shards.from, shards.to, shards.count, stdout);
    swp_free(s);
    cli_data_close(&data);
    return err->code;
}

static aic_code run(const cli_args *args, aic_error *err) {
    if ((args->points != NULL) == (args->operands.n == 1))
        aic_fail(err, AIC_BAD_INPUT, "plan: give a spec or --points FILE.csv; see 'aicfg-sweep help plan'");
    else
        plan(args, err);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"points", 0, CLI_TEXT, "FILE.csv", AT(points), "plan a list of points instead of a spec"},
    {"set", 0, CLI_TEXTS, "PATH=VALUE", AT(sets), "override a key of the spec"},
    {"shard", 0, CLI_TEXT, "N", AT(shard),
     "print the ranges of points of N shards too; I/N: of one, slurm or slurm/N: of those this task runs"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads),
     "threads to plan with and for; default: OMP_NUM_THREADS or all cores"},
    CLI_BREAKDOWN_OPTIONS,
};

const cli_command cli_plan = {
    .name = "plan",
    .operands = "SPEC.yaml",
    .max_operands = 1,
    .summary = "validate a sweep; print axes, counts, refusals, coverage, time and bytes",
    .details =
        "Deployments are compiled and a few points of each are priced for the estimates; nothing is written.",
    .examples =
        "plan sweeps/h200.yaml\nplan sweeps/h200.yaml --set sweep.isl=4096\nplan sweeps/h200.yaml --shard 8",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
