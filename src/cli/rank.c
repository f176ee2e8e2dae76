/* aicfg-sweep rank: the best points of a result file. */
#include "cli/cli.h"
#include <stdio.h>

static void apply_options(const cli_args *args, res_rank_options *opt) {
    if (args->by || args->pareto) { /* another question: the spec's answer to its own does not mix with it */
        opt->by = args->by;
        opt->pareto = args->pareto;
        opt->descending = -1;
    }
    opt->where = args->where ? args->where : opt->where;
    opt->group = args->group ? args->group : opt->group;
    opt->columns = args->columns ? args->columns : opt->columns;
    opt->format = args->format ? args->format : opt->format;
    opt->top = args->top_given ? (size_t)args->top : opt->top;
    opt->all_status = args->all;
    opt->threads = (unsigned)args->threads;
    if (args->ascending || args->descending)
        opt->descending = args->descending;
}

static aic_code run(const cli_args *args, aic_error *err) {
    aic_arena *a = aic_arena_new();
    res_rank_options opt;
    res_file *f = NULL;
    if (args->ascending && args->descending)
        aic_fail(err, AIC_BAD_INPUT, "rank: --ascending and --descending exclude each other");
    else if (args->threads > 1024)
        aic_fail(err, AIC_BAD_INPUT, "rank: --threads goes up to 1024");
    else
        f = res_open(args->operands.v[0], err);
    if (f && swp_rank_defaults(a, res_spec_text(f), res_attribute(f, "overrides"), &opt, err)) {
        apply_options(args, &opt);
        res_rank(f, &opt, stdout, err);
    }
    res_close(f);
    aic_arena_free(a);
    return err->code;
}

#define AT(member) offsetof(cli_args, member)
static const cli_option options[] = {
    {"by", 0, CLI_TEXT, "COLUMN", AT(by),
     "rank by this column; default: rank: of the spec, else tokens_per_s_per_gpu"},
    {"ascending", 0, CLI_FLAG, NULL, AT(ascending),
     "smallest first; default: the better direction of the column"},
    {"descending", 0, CLI_FLAG, NULL, AT(descending), "largest first"},
    {"where", 0, CLI_TEXT, "EXPR", AT(where), "only points for which the expression holds"},
    {"group", 0, CLI_TEXT, "A,B,...", AT(group), "the best of each group of equal values in these columns"},
    {"pareto", 0, CLI_TEXT, "X,Y", AT(pareto), "points that no other one beats in both columns"},
    {"top", 'n', CLI_TOP, "N", AT(top), "rows to print, per group; 0 = all; default: 20"},
    {"columns", 0, CLI_TEXT, "A,B,...", AT(columns), "columns to print ('help columns' lists them)"},
    {"all", 0, CLI_FLAG, NULL, AT(all), "also points that are not ok"},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), "threads that read; default: OMP_NUM_THREADS or all cores"},
    {"format", 0, CLI_TEXT, "table|csv|jsonl", AT(format), "how to print; default: table"},
};

const cli_command cli_rank = {
    .name = "rank",
    .operands = "OUT.h5",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "print the best points, of all or per group, or the Pareto front",
    .details =
        "Equal values keep the order of the points. Defaults come from rank: of the spec stored in the file.",
    .examples = "rank output/h200.h5 --where \"isl == 4096 and ttft_ms < 500\" --top 10\n"
                "rank output/h200.h5 --by tpot_ms --group model,backend --top 1\n"
                "rank output/h200.h5 --pareto tokens_per_s_per_gpu,tokens_per_s_per_user --where \"model == "
                "'Qwen/Qwen3-32B'\"",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .run = run,
};
