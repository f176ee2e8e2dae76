/* cli: one file per subcommand; options, help and the manual page come from one table per command (options.c,
 * help.c). */
#ifndef AICFG_CLI_CLI_H
#define AICFG_CLI_CLI_H

#include "base/base.h"
#include "results/results.h"
#include "serving/serving.h"
#include "sweep/sweep.h"

/* A repeatable option or the operands. */
typedef struct cli_texts {
    const char **v;
    size_t n, cap;
} cli_texts;

enum { CLI_MAX_FIELDS = 64, CLI_DEFLATE = 1 };

/* Values of every option of every command; a command's table says which ones it takes. */
typedef struct cli_args {
    bool help;
    cli_texts operands;
    /* data */
    cli_texts perfdb, systems, models, ops;
    const char *release;
    bool unlisted;
    /* running */
    const char *points, *output, *reuse, *shard;
    const char *mode; /* database mode in place of the spec's */
    cli_texts sets;
    uint64_t threads, block, deflate;
    bool quiet, no_breakdown, force, plain, resume;
    const char *ops_stored, *precision; /* --breakdown and --precision of what writes results */
    const char *checkpoint;             /* seconds */
    bool check, allow_duplicates, view; /* merging */
    /* looking at results */
    const char *by, *where, *group, *pareto, *columns, *format;
    bool ascending, descending, all, breakdown, json, matrix, per_layer;
    const char *shapes; /* file for shapes to measure */
    cli_texts for_b;    /* fields of the second deployment */
    bool top_given;
    uint64_t top, first, count, repeat;
    /* databases */
    const char *system, *backend, *version, *table;
    bool own, csv;
    /* comparing */
    const char *spec, *tolerance;
    cli_texts dbs; /* one folder of measured tables per side */
    bool match_version, fail_drift;
    /* help */
    bool man, markdown;
    /* one point: texts by field index, NULL = not given */
    const char *fields[CLI_MAX_FIELDS];
    char command_line[4096]; /* as typed, for the record */
} cli_args;

typedef enum cli_kind {
    CLI_FLAG,  /* bool */
    CLI_TEXT,  /* const char * */
    CLI_TEXTS, /* cli_texts: may be given several times */
    CLI_COUNT, /* uint64_t */
    CLI_TOP    /* uint64_t that also sets top_given */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without dashes */
    char letter;      /* short form, or 0 */
    cli_kind kind;
    const char *arg; /* what it takes, for help; NULL for flags */
    size_t offset;   /* into cli_args */
    const char *help;
} cli_option;

typedef struct cli_command {
    const char *name;
    const char *operands; /* "SPEC.yaml", "" */
    size_t min_operands, max_operands;
    const char *summary;  /* one line */
    const char *details;  /* paragraphs, each line as printed; "" = none */
    const char *examples; /* lines, arguments after the program's name */
    const cli_option *options;
    size_t n_options;
    bool fields; /* the fields of a point are options too */
    bool data;   /* the data options apply */
    bool sleeps; /* threads that wait for one of them, as they often do here, sleep instead of spinning */
    aic_code (*run)(const cli_args *args,
                    aic_error *err); /* exit code; a failure leaves its message in err */
} cli_command;

extern const cli_command cli_run, cli_plan, cli_merge, cli_rank, cli_show, cli_export, cli_report,
    cli_compare, cli_verify, cli_estimate, cli_model, cli_support, cli_db, cli_bench, cli_help;
size_t cli_command_count(void);
const cli_command *cli_command_at(size_t i);
const cli_command *cli_command_find(const char *name);
const char *cli_command_nearest(const char *name);

/* Options every command has, and those of commands that read data folders. */
extern const cli_option cli_common_options[], cli_data_options[];
extern const size_t cli_n_common_options, cli_n_data_options;

/* ---- options.c
 * -----------------------------------------------------------------------------------------------------------
 */

/* Parses argv[0..argc) (after the command's name). Unknown options name the nearest known one. */
bool cli_parse(const cli_command *c, int argc, char **argv, cli_args *args, aic_error *err);
void cli_args_free(cli_args *args);

/* ---- data.c: the folders a command reads
 * ------------------------------------------------------------------------------------ */

/* Folder of the program's own data: AICFG_DATA, else the source tree, else the installed one. */
const char *cli_data_folder(void);
typedef struct cli_data {
    srv_env env;
    srv_backends *backends;
    op_kinds *kinds; /* op kinds declared in data; closed after the database */
} cli_data;
bool cli_data_open(const cli_args *args, cli_data *out, aic_error *err);
/* A command's last act: memory is left to the system unless the program is built to be checked for leaks
 * (cli_frees_all). Taking it back block by block takes longer than a small sweep's tables. */
void cli_data_close(cli_data *d);
extern const bool cli_frees_all;
/* "part digest" lines of the folders models, ops and backends, in the order in which they are looked through.
 */
bool cli_data_digests(const cli_args *args, aic_buf *out, aic_error *err);
bool cli_row(const cli_args *args, swp_row *row, aic_error *err); /* the point given by field options */

/* ---- breakdown.c: what a result holds of the ops of its points ---- */

/* Sets breakdown, top and precision. */
bool cli_breakdown(const cli_args *args, res_writer_options *out, aic_error *err);
#define CLI_BREAKDOWN_OPTIONS                                                                                  \
    {"breakdown",                                                                                              \
     0,                                                                                                        \
     CLI_TEXT,                                                                                                 \
     "all|top:N|none",                                                                                         \
     offsetof(cli_args, ops_stored),                                                                           \
     "store every op of every point, the N slowest of each, or figures only; default: all"},                   \
        {"no-breakdown", 0, CLI_FLAG, NULL, offsetof(cli_args, no_breakdown), "the same as --breakdown none"}, \
    {                                                                                                          \
        "precision", 0, CLI_TEXT, "f64|f32", offsetof(cli_args, precision),                                    \
            "latencies and energies of ops: as computed, or rounded by at most 2^-24 of their size; "          \
            "default: f64"                                                                                     \
    }

/* Makes the folders a path lies in (run.c). */
bool cli_make_folders(const char *path, aic_error *err);

/* ---- shard.c: --shard ---- */

typedef struct cli_shards {
    uint64_t from, to, count; /* shards from .. to of count, none when from > to; count 0: the whole sweep */
} cli_shards;
/* "I/N", "slurm" or "slurm/N"; NULL: the whole sweep. */
bool cli_shards_parse(const char *text, cli_shards *out, aic_error *err);

/* ---- printing (print.c)
 * ---------------------------------------------------------------------------------------------------------
 */

void cli_bytes(double bytes, char out[32]); /* "83.1 MB" */
void cli_help_command(const cli_command *c, FILE *out);
void cli_help_overview(FILE *out);
void cli_json_value(aic_buf *out, const aic_value *v);
/* A point as its deployment made it: version and modes resolved, sizes filled in. */
void cli_effective(const srv_deployment *d, const srv_workload *load, swp_row *row);
/* The value of a result column of an evaluated point; null where a figure does not exist. */
aic_value cli_column(const res_column *c, const swp_row *row, const srv_point *p);
/* The first point of a block: {"model": ..., columns by name, "context": [[op, ms, W*ms, source, tier,
 * carried],
 * ...], "generation": [...]}. */
void cli_point_json(const srv_deployment *d, const srv_block *block, aic_buf *out);

#endif
