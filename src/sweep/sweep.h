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

/* Where the time of a run went. */
typedef struct swp_timing {
    double wall_s;
    double compile_s;  /* building and binding deployments, all workers together */
    double evaluate_s; /* pricing points, all workers together, compiling excluded */
    double write_s;    /* the writer's own work, finishing the file included */
} swp_timing;

typedef struct swp_options {
    unsigned threads;    /* 0 = OMP_NUM_THREADS or all cores */
    bool quiet;          /* no progress */
    bool plain;          /* evaluate every point by the reference path (srv_evaluate_plain) */
    bool discard;        /* evaluate only: nothing is written, out is not used */
    size_t block_points; /* points per block, 0 = default */
    res_writer_options out;
    const char *command_line;
    const char *overrides; /* --set values, one per line, or "" */
    const char *program;   /* name and version, stored with the results */
    swp_timing *timing;    /* filled when not NULL */
} swp_options;

/* Runs: workers evaluate blocks in OpenMP threads, one writer thread takes them in order. Returns false with
 * AIC_INTERRUPTED or AIC_TERMINATED after a signal (finished blocks are kept, out says where), AIC_IO when
 * writing fails. */
bool swp_run(swp_sweep *s, const srv_env *env, const swp_options *opt, res_summary *out, aic_error *err);

/* Prints axes, counts (points, deployments, refused and why), coverage by measured data, estimated time and
 * bytes; evaluates nothing but a small sample for the estimate. */
bool swp_plan(swp_sweep *s, const srv_env *env, const swp_options *opt, FILE *out, aic_error *err);

#endif
