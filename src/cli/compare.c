/* aicfg-sweep compare: two result files, or two databases under one spec. */
#include "cli/compare.h"
#include <stdio.h>
#include <string.h>

enum { TOP = 10 };

static bool check(const cli_args *args, aic_error *err) {
    if (args->perfdb.n)
        return aic_fail(err, AIC_BAD_INPUT,
                        "compare: give the folders of measured tables with --db, A's first");
    if (args->dbs.n != 0 && args->dbs.n != CLI_SIDES)
        return aic_fail(err, AIC_BAD_INPUT, "compare: --db is given twice or not at all, A's first");
    if (args->spec) {
        if (args->operands.n)
            return aic_fail(err, AIC_BAD_INPUT, "compare: give two result files or --spec, not both");
        if (!args->dbs.n)
            return aic_fail(err, AIC_BAD_INPUT, "compare: --spec needs the two databases: --db A --db B");
        return args->threads <= 1024 || aic_fail(err, AIC_BAD_INPUT, "compare: --threads goes up to 1024");
    }
    if (args->output || args->sets.n || args->force)
        return aic_fail(err, AIC_BAD_INPUT, "compare: --output, --set and --force belong to --spec");
    return args->operands.n == CLI_SIDES ||
           aic_fail(err, AIC_BAD_INPUT, "compare: expected A.h5 B.h5, or --spec SPEC.yaml --db A --db B");
}

static bool set_options(const cli_args *args, res_compare_options *opt, aic_error *err) {
    *opt = (res_compare_options){.by = args->by,
                                 .tolerance = RES_COMPARE_TOLERANCE,
                                 .match_version = args->match_version,
                                 .group = args->group,
                                 .top = args->top_given ? (size_t)args->top : TOP,
                                 .format = args->format ? args->format : "text",
                                 .threads = (unsigned)args->threads};
    for (size_t i = 0; i < args->dbs.n; i++)
        opt->perfdb[i] = args->dbs.v[i];
    return !args->tolerance || aic_parse_f64(args->tolerance, &opt->tolerance) ||
           aic_fail(err, AIC_BAD_INPUT, "--tolerance: expected a number, found \"%s\"", args->tolerance);
}

static void compare(const cli_args *args, const char *const path[CLI_SIDES], res_compare_options *opt,
                    res_compare_summary *sum, aic_error *err) {
    res_file *a = res_open(path[0], err), *b = a ? res_open(path[1], err) : NULL;
    for (int i = 0; i < CLI_SIDES && !(args->spec && !args->output); i++)
        opt->path[i] = path[i];
    if (b)
        res_compare(a, b, opt, stdout, sum, err);
    res_close(a);
    res_close(b);
}

/* The same with the databases open, where they were given. */
static void compare_with_tables(const cli_args *args, const char *const path[CLI_SIDES],
                                res_compare_options *opt, res_compare_summary *sum, aic_error *err) {
    cli_data data[CLI_SIDES] = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < args->dbs.n; i++) {
        cli_args own = *args;
        own.perfdb = (cli_texts){.v = &args->dbs.v[i], .n = 1};
        ok = cli_data_open(&own, &data[i], err);
        opt->db[i] = data[i].env.db;
    }
    if (ok)
        compare(args, path, opt, sum, err);
    for (int i = 0; i < CLI_SIDES; i++)
        cli_data_close(&data[i]);
}

static aic_code run(const cli_args *args, aic_error *err) {
    res_compare_options opt;
    res_compare_summary sum = {0};
    if (!check(args, err) || !set_options(args, &opt, err))
        return err->code;
    if (args->spec) {
        cli_sides sides;
        aic_interrupt_install();
        if (cli_sides_run(args, &sides, err))
            compare_with_tables(args, (const char *const[]){sides.path[0], sides.path[1]}, &opt, &sum, err);
        cli_sides_free(&sides);
    } else {
        compare_with_tables(args, (const char *const[]){args->operands.v[0], args->operands.v[1]}, &opt, &sum,
                            err);
    }
    if (err->code != AIC_OK)
        return err->code;
    bool found = sum.points[RES_DIFF_regression] || (args->fail_drift && sum.points[RES_DIFF_drift]);
    return found ? AIC_FINDING : AIC_OK;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"by", 0, CLI_TEXT, "A,B,...", AT(by),
     "figures that count, or all; tables show the first; default: "
     "request_latency_ms,ttft_ms,tpot_ms,memory_gib"},
    {"tolerance", 0, CLI_TEXT, "R", AT(tolerance),
     "a figure drifts when it moves by more than R times the larger one; default: 1e-9"},
    {"match-version", 0, CLI_FLAG, NULL, AT(match_version),
     "versions of frameworks must be equal, too; default: a new version takes the place of the old one"},
    {"fail-drift", 0, CLI_FLAG, NULL, AT(fail_drift), "exit code 1 on drift, too"},
    {"group", 0, CLI_TEXT, "A,B+C,...", AT(group),
     "tables of counts by these columns of deployments; default: model,system,backend"},
    {"top", 'n', CLI_TOP, "N", AT(top), "rows of each table, 0 = all; default: 10"},
    {"format", 0, CLI_TEXT, "text|markdown|json|csv", AT(format),
     "tables (text, or markdown for a pull request), everything (json), a line per point that differs (csv)"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "worker threads; default: OMP_NUM_THREADS or all cores"},
    {"db", 0, CLI_TEXTS, "DIR", AT(dbs),
     "folder of measured tables, once for A, once for B: what --spec runs on, or, with files, what they were "
     "made of"},
    {"spec", 0, CLI_TEXT, "SPEC.yaml", AT(spec), "evaluate this spec on both databases, then compare"},
    {"output", 'o', CLI_TEXT, "DIR", AT(output),
     "with --spec: keep the result files as DIR/a.h5 and DIR/b.h5"},
    {"set", 0, CLI_TEXTS, "PATH=VALUE", AT(sets), "with --spec: override a key of the spec"},
    {"force", 'f', CLI_FLAG, NULL, AT(force), "with --spec and --output: replace existing files"},
    {"quiet", 'q', CLI_FLAG, NULL, AT(quiet), "no progress, no warnings"},
};

const cli_command cli_compare = {
    .name = "compare",
    .operands = "A.h5 B.h5",
    .min_operands = 0,
    .max_operands = CLI_SIDES,
    .sleeps = true,
    .summary = "say how the points of two sweeps differ, and which ops and measured tables moved them",
    .details = "Points are matched by what was asked for: deployment and workload, whatever the version.\n"
               "Exit code 1 when a point that was ok is not ok any more (a regression). docs/compare.md "
               "explains the\n"
               "classes, the tables and a comparison of two data releases.",
    .examples =
        "compare output/old.h5 output/new.h5\n"
        "compare old.h5 new.h5 --tolerance 0.01 --fail-drift --format markdown > comment.md\n"
        "compare old.h5 new.h5 --format csv > points.csv\n"
        "compare --spec sweeps/gate.yaml --db /data/perfdb/0.10.0 --db /data/perfdb/0.12.0 -o output/gate",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
