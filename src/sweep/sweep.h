/* sweep: spec file -> axes -> deployments x workloads -> blocks of points -> threads -> results. Knows no op
 * physics.
 *
 * docs/formats/spec.md describes the YAML spec and the CSV point list. Point order: blocks as written,
 * deployments of a block in the order of its axes (last axis fastest), workloads of a deployment innermost.
 * Row i of a point list is point i.
 */
#ifndef AICFG_SWEEP_SWEEP_H
#define AICFG_SWEEP_SWEEP_H

#include "base/base.h"
#include "results/results.h"
#include "serving/serving.h"

/* ---- the fields of a point: one table for CSV columns, options of `estimate` and names in `where:`
 * ------------------ */

typedef struct swp_field {
    const char *name;    /* column name; the option is --name with dashes */
    const char *arg;     /* what kind of value, for help: "N", "MODE" */
    const char *def;     /* default as text, NULL = must be given */
    const char *meaning; /* one line for help and docs */
} swp_field;
size_t swp_field_count(void);
const swp_field *swp_field_at(size_t i);
int swp_field_find(const char *name); /* -1 when unknown */

/* One point from texts. */
typedef struct swp_row {
    srv_request request; /* strings are borrowed from the texts that were set */
    srv_workload load;
    char refused[256]; /* "" or why no such point can exist (the first impossible value) */
} swp_row;
void swp_row_init(swp_row *row); /* the defaults of every command: one resolver */
/* Sets field i from text; "" leaves the default. An impossible value fills row->refused; false with an error
 * (without position) when the text is no number where one is expected. */
bool swp_row_set(swp_row *row, size_t i, const char *text, aic_error *err);
/* The same from a node of a spec: what is wrong is an error at its position. */
bool swp_row_set_node(swp_row *row, size_t i, const aic_node *value, aic_error *err);
/* The row's value of field i: modes as their names ("auto" when inferred from the model), sizes not given as
 * 0, reals not given as null. Strings live as long as the row's. */
aic_value swp_row_value(const swp_row *row, size_t i);

/* ---- sweeps
 * -----------------------------------------------------------------------------------------------------------
 */

typedef struct swp_sweep swp_sweep;

/* Reads and validates a spec (YAML) or a point list (CSV). sets: "path=value" overrides, n_sets, recorded in
 * the result. Models, systems, backends and columns named in a spec must exist: unknown names are errors with
 * position and nearest name. In a point list an impossible row becomes an `invalid` point; a malformed file
 * (unknown column, bad number) is an error. */
swp_sweep *swp_load(const char *path, const char *const *sets, size_t n_sets, const srv_env *env,
                    aic_error *err);
swp_sweep *swp_load_points(const char *path, aic_error *err);
void swp_free(swp_sweep *s);

uint64_t swp_points(const swp_sweep *s); /* after `where:` filters */
size_t swp_deployments(const swp_sweep *s);
const char *swp_output(const swp_sweep *s); /* output: of the spec, or NULL */
const char *swp_text(const swp_sweep *s);   /* the file as read */
const char *swp_name(const swp_sweep *s);
/* Ranking defaults of a stored spec: its rank: key with the overrides (one per line, may be NULL) applied, or
 * plain defaults when it has none (a point list). Texts live in the arena. */
bool swp_rank_defaults(aic_arena *a, const char *spec_text, const char *overrides, res_rank_options *out,
                       aic_error *err);

/* ---- shards (shard.c; docs/formats/results.md) ---- */

enum { SWP_MAX_SHARDS = 1 << 20 };
/* Part `index` of `count`, from 1; index 0: the whole sweep. */
typedef struct swp_shard {
    uint64_t index, count;
} swp_shard;
typedef struct swp_range {
    uint64_t first, end; /* points first .. end-1 */
} swp_range;
/* Cuts the sweep into `count` (1 .. SWP_MAX_SHARDS) ranges of consecutive points and about equal cost: shard
 * i is points cuts[i-1] .. cuts[i]-1. cuts: count + 1 values. Depends on the loaded sweep alone. No shard is
 * empty unless there are more shards than points. */
void swp_shard_cuts(const swp_sweep *s, uint64_t count, uint64_t *cuts);
swp_range swp_shard_range(const swp_sweep *s, swp_shard shard);
/* The shard's output beside the sweep's: "a/b.h5" -> "a/b.shard-003-of-128.h5". */
void swp_shard_path(const char *output, swp_shard shard, aic_buf *out);

/* Where the time of a run went. */
typedef struct swp_timing {
    double wall_s;
    double compile_s;  /* building and binding deployments, all workers together */
    double evaluate_s; /* pricing points, all workers together, compiling excluded */
    double
        write_s; /* all that points take on their way to the file, all threads together, ending it included */
    double store_s;             /* of it, what no second thread can share: HDF5, ending the file */
    srv_answers_counts answers; /* what deployments shared */
} swp_timing;

/* What was taken from an earlier result. */
typedef struct swp_reused {
    uint64_t deployments, partly; /* with all points taken; with some */
    uint64_t points;
} swp_reused;

typedef struct swp_options {
    unsigned threads;    /* 0 = OMP_NUM_THREADS or all cores */
    bool quiet;          /* no progress */
    bool plain;          /* evaluate every point by the reference path (srv_evaluate_plain) */
    bool discard;        /* evaluate only: nothing is written, out is not used */
    size_t block_points; /* points per block, 0 = default */
    swp_shard shard;     /* zeros: the whole sweep */
    res_writer_options out;
    const char *command_line;
    const char *overrides; /* --set values, one per line, or "" */
    const char *program;   /* name and version, stored with the results */
    const char *data;      /* digests of data folders, "part digest" lines, stored; NULL = none */
    swp_timing *timing;    /* filled when not NULL */
    const char *reuse;     /* result file whose points stand where their inputs did not change, or NULL */
    swp_reused *reused;    /* filled when not NULL */
    bool *up_to_date;      /* filled when not NULL */
    bool leave_memory;     /* the process ends soon: what only the run used is left to the system */
} swp_options;

/* Runs, unless the output is there and was made from the same inputs (*up_to_date; a file made from others is
 * refused with the differences): OpenMP threads evaluate blocks and write them in point order. Returns false
 * with AIC_SIGNALS + its number after a signal (finished blocks are kept, out says where), AIC_IO when
 * writing fails. */
bool swp_run(swp_sweep *s, const srv_env *env, const swp_options *opt, res_summary *out, aic_error *err);

/* Prints axes, counts (points, deployments, refused and why), coverage by measured data, estimated time and
 * bytes; evaluates nothing but a small sample for the estimate. */
bool swp_plan(swp_sweep *s, const srv_env *env, const swp_options *opt, FILE *out, aic_error *err);

/* Where the time of a sweep goes, measured on some of its deployments (docs/performance.md). */
typedef struct swp_costs {
    size_t deployments, refused; /* looked at; of those, refused when compiled */
    double first_s, again_s; /* compiling them with no table read, and once more: the difference is tables */
    pdb_loaded tables;       /* read meanwhile */
    srv_costs points;        /* free with srv_costs_free */
} swp_costs;
/* Looks at up to `most` deployments, evenly spaced, all points of each; one thread. Tables that other work of
 * env has read already are not read again: ask first. */
bool swp_costs_measure(const swp_sweep *s, const srv_env *env, size_t most, unsigned repeat, swp_costs *out,
                       aic_error *err);

/* Prints the ranges of shards from .. to of `count`. */
void swp_plan_shards(const swp_sweep *s, uint64_t from, uint64_t to, uint64_t count, FILE *out);

/* ---- support: what can be swept, and what is missing for it (docs/adding-a-model.md)
 * ------------------------------------------------------------------------------------- */

/* X(name, exit code of `support`, meaning): situations, best first. */
#define SWP_SITUATIONS(X)                                                                                    \
    X(S1, 0, "every op of every layout that can run has data: sweep away")                                   \
    X(S2, 10, "the op lists are known, measurements are missing")                                            \
    X(S3, 11, "the architecture, its op graph or an op kind is not known")                                   \
    X(refused, 1,                                                                                            \
      "a rule, the hardware or the memory stands against every layout; measuring would not help")            \
    X(absent, 1, "the system has no data of this backend or version")
typedef enum swp_situation {
#define SWP_SITUATION_ENUM(name, code, meaning) SWP_##name,
    SWP_SITUATIONS(SWP_SITUATION_ENUM)
#undef SWP_SITUATION_ENUM
        SWP_SITUATION_COUNT
} swp_situation;
const char *swp_situation_name(swp_situation s);
const char *swp_situation_meaning(swp_situation s);
int swp_situation_code(swp_situation s);

typedef struct swp_layout {
    mdl_parallel par;        /* as it runs */
    swp_situation situation; /* S1, S2 or refused */
    const char *text;        /* "tp 4, moe_ep 4" */
    const char *why;         /* refused: the rule */
} swp_layout;

/* A shape that should be measured. */
typedef struct swp_need {
    srv_phase phase;
    const char *op; /* one op with the parameters, wire JSON */
    unsigned reads; /* OP_READS_* bits: members of the shape that count */
    op_shape shape;
} swp_need;

/* One cause of missing data, with all ops and layouts that meet it. */
typedef struct swp_gap {
    const char *kind;   /* of the ops, "" when no op list could be built */
    const char *table;  /* "" when the reason names none */
    const char *reason; /* names table and key, and what is measured */
    bool alternative;   /* measuring other members of the same group would do as well */
    size_t n_ops, cap_ops, n_layouts, cap_layouts, n_needs, cap_needs;
    const char **ops;     /* names */
    const char **layouts; /* texts */
    swp_need *needs;      /* only where asked for */
} swp_gap;

/* One op over all layouts that can run. */
typedef struct swp_op {
    srv_phase phase;
    const char *name, *kind;
    size_t layouts, lacking;          /* that have it; of those, that lack data for it */
    double latency, cover[OP_COVERS]; /* ms over all answers; the same by evidence */
} swp_op;

/* One model on one system with one version of one backend. */
typedef struct swp_cell {
    const char *model, *system, *backend, *version; /* version "" when absent */
    swp_situation situation;
    const char *reason;                      /* first gap, rule or error; NULL for S1 */
    size_t n_layouts, n_covered, n_admitted; /* tried; S1; S1 or S2 */
    swp_layout *layouts;
    double
        cover[OP_COVERS]; /* shares of the latency (0..1) by evidence, mean over covered layouts and probes */
    size_t n_gaps, cap_gaps, n_ops, cap_ops;
    swp_gap *gaps;
    swp_op *ops;      /* only where needs are asked for */
    aic_arena *arena; /* owns the texts */
} swp_cell;

typedef struct swp_support_ask {
    const char *const *models; /* catalogue ids or folders */
    size_t n_models;
    const char *system, *backend,
        *version;        /* NULL: every system with data; every backend; see all_versions */
    bool all_versions;   /* current, previous and next; else the latest */
    bool layout_given;   /* try request.par only; else the usual ones of the model */
    bool needs;          /* list ops and the shapes to measure */
    srv_request request; /* modes, nextn, attention_backend, database_mode, par */
    unsigned threads;    /* 0 = all */
} swp_support_ask;

typedef struct swp_support {
    size_t n;
    swp_cell *cells;   /* models as given, then systems, backends and versions in the database's order */
    size_t n_versions; /* cells of each model */
} swp_support;

/* Assesses every combination. An unknown system, backend or version is an error; what is wrong with a model
 * is its cells' situation. */
bool swp_support_run(const swp_support_ask *ask, const srv_env *env, swp_support *out, aic_error *err);
void swp_support_free(swp_support *s);

#endif
