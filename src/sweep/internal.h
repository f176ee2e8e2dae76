/* What a loaded sweep is made of; private to src/sweep (and its unit tests).
 *
 * A spec gives blocks. A block is a grid: deployment axes in a fixed order, last fastest, crossed with
 * workloads. Deployments are numbered over all blocks after filtering and point at their first point;
 * everything else is decoded from indices when it is needed, so that a sweep of millions of points costs a
 * few bytes per deployment. A point list keeps one small record per row instead.
 */
#ifndef AICFG_SWEEP_INTERNAL_H
#define AICFG_SWEEP_INTERNAL_H

#include "sweep/sweep.h"

enum {
    SWP_MAX_PARALLEL = 1024, /* of one size: products of six stay within 64 bits */
    SWP_MAX_NEXTN = 1024,
    SWP_MAX_LAYERS = 100000,
    SWP_MAX_AXIS = 1 << 20,        /* values of one axis, layouts, workload tuples */
    SWP_MAX_DEPLOYMENTS = 1 << 24, /* of one sweep */
    SWP_MAX_FILTERED =
        1 << 26 /* points of one block that a filter over deployment and workload may look at */
};
#define SWP_MAX_POINTS     (UINT64_C(1) << 40)
#define SWP_MAX_SPEC_BYTES (16u << 20)
#define SWP_BLOCK_POINTS   4096 /* points a worker takes at once */

/* ---- keys of a spec (keys.c): reader, messages and docs/spec.schema.json agree by test
 * --------------------------- */

typedef struct swp_key {
    const char *name;
    const char *alias; /* the singular of a list key, or NULL */
} swp_key;
typedef struct swp_keys {
    const char *where; /* "the spec", "a sweep block" */
    const swp_key *keys;
    size_t n;
} swp_keys;
extern const swp_keys swp_spec_keys, swp_block_keys, swp_rank_keys, swp_layout_keys, swp_quant_keys,
    swp_option_keys, swp_load_keys, swp_range_keys;
/* Refuses unknown keys and a key given together with its alias. */
bool swp_check_keys(const aic_node *map, const swp_keys *keys, aic_error *err);
/* The value of a key or of its alias, NULL when absent. */
const aic_node *swp_get(const aic_node *map, const swp_keys *keys, const char *name);

/* Comma-separated names for messages. */
const char *swp_mode_names(char *out, size_t size);
const char *swp_database_mode_names(char *out, size_t size);

/* ---- axes (axes.c)
 * ------------------------------------------------------------------------------------------------------ */

typedef struct swp_u32s {
    size_t n;
    uint32_t *v;
} swp_u32s;
typedef struct swp_texts {
    size_t n;
    const char **v;
    const aic_node **at; /* where each stands in the spec */
} swp_texts;
typedef struct swp_f64s {
    size_t n;
    double *v;
} swp_f64s;

/* A scalar, a range {from, to, step | factor}, or a list of both. Values stay in the order written; one
 * listed twice is refused. */
bool swp_axis_u32(aic_arena *a, const aic_node *n, const char *what, uint32_t min, uint32_t max,
                  swp_u32s *out, aic_error *err);
bool swp_axis_f64(aic_arena *a, const aic_node *n, const char *what, double min, double max, swp_f64s *out,
                  aic_error *err);
bool swp_axis_text(aic_arena *a, const aic_node *n, const char *what, swp_texts *out, aic_error *err);

/* ---- blocks (block.c reads them, grid.c enumerates)
 * -------------------------------------------------------------------- */

typedef enum swp_axis {
    SWP_MODE,
    SWP_MODEL,
    SWP_SYSTEM,
    SWP_BACKEND,
    SWP_VERSION,
    SWP_DATABASE_MODE,
    SWP_POLICY,
    SWP_LAYOUT,
    SWP_QUANT,
    SWP_DRAFT,
    SWP_OPTION,
    SWP_AXES
} swp_axis;

/* In the order of swp_load_keys and of the members of a workload. */
typedef enum swp_load_column {
    SWP_BATCH,
    SWP_ISL,
    SWP_OSL,
    SWP_PREFIX,
    SWP_IMAGES,
    SWP_IMAGE_HEIGHT,
    SWP_IMAGE_WIDTH,
    SWP_IMAGE_TOKENS,
    SWP_LOAD_COLUMNS
} swp_load_column;
uint32_t *swp_load_column_of(srv_workload *w, size_t column);

typedef struct swp_draft { /* speculative decoding */
    uint32_t nextn;
    double accepted; /* NaN when nextn is 0 */
} swp_draft;

enum { SWP_READS_DEPLOYMENT = 1, SWP_READS_LOAD = 2 };
typedef struct swp_filter {
    const aic_expr *expr;
    const aic_node *at;
    unsigned reads; /* SWP_READS_* bits */
} swp_filter;

typedef struct swp_block {
    const aic_node *at;
    size_t n[SWP_AXES]; /* values per deployment axis */
    srv_mode *modes;
    const mdl_model **facts; /* of each model; NULL when read without a catalogue */
    swp_texts models, systems, backends, versions;
    op_mode *database_modes;
    swp_texts policies; /* transfer policies; "" = all */
    mdl_parallel *layouts;
    mdl_quants *quants;
    swp_draft *drafts;
    srv_options *options;
    /* workloads: tuples outermost, then the columns no tuple gives, last fastest */
    size_t n_tuples; /* 1 when there are none */
    const srv_workload *tuples;
    bool in_tuple[SWP_LOAD_COLUMNS];
    swp_u32s load[SWP_LOAD_COLUMNS]; /* of columns outside the tuples */
    uint64_t n_loads;                /* before filters */
    swp_filter *filters;
    size_t n_filters;
    uint32_t *kept; /* workload indices that passed the filters, or NULL = all; freed by swp_free */
} swp_block;

/* Reads one block; values missing there come from defaults (may be NULL), then from the table of fields. */
bool swp_block_read(swp_sweep *s, const aic_node *block, const aic_node *defaults, const srv_env *env,
                    swp_block *out, aic_error *err);
/* Compiles `where:` (one expression or a list that must all hold). */
bool swp_filters_read(aic_arena *a, const aic_node *n, swp_block *b, aic_error *err);
/* Do the filters hold that read exactly these columns? which: SWP_READS_* bits or 0 (constant filters). model
 * may be NULL. */
bool swp_filters_pass(const swp_block *b, unsigned which, const swp_row *row, const mdl_model *model,
                      bool *pass, aic_error *err);
bool swp_filters_any(const swp_block *b, unsigned which);

/* Deployment `code` of a block (mixed radix over the axes). */
void swp_block_request(const swp_block *b, uint64_t code, srv_request *out);
const char *swp_axis_name(swp_axis x);

/* ---- sweeps
 * -------------------------------------------------------------------------------------------------------------
 */

typedef struct swp_dep {
    uint64_t first;   /* its first point */
    uint64_t code;    /* of its block */
    uint64_t kept_at; /* of block->kept */
    uint32_t block;
} swp_dep;

typedef struct swp_list_dep { /* of a point list */
    srv_request request;
    const char *refused; /* NULL, or why no point of it can exist */
    uint64_t points;
} swp_list_dep;

typedef struct swp_list_row {
    srv_workload load;
    uint32_t dep;
} swp_list_row;

struct swp_sweep {
    aic_arena *arena;
    const char *name, *text, *output;
    uint64_t points;
    size_t n_deps;
    /* grid */
    swp_block *blocks;
    size_t n_blocks;
    swp_dep *deps; /* n_deps + 1: the last one marks the end */
    /* point list */
    bool listed;
    swp_list_dep *list_deps;
    swp_list_row *rows; /* points */
};

/* Numbers the deployments of all blocks and counts points. */
bool swp_grid_build(swp_sweep *s, aic_error *err);
/* Reads a CSV list into s. */
bool swp_list_read(swp_sweep *s, const char *path, aic_error *err);

void swp_request_at(const swp_sweep *s, size_t dep, srv_request *out);
const char *swp_refused_at(const swp_sweep *s, size_t dep); /* NULL, or why the sweep itself refuses it */
uint64_t swp_points_of(const swp_sweep *s, size_t dep);
size_t swp_dep_of(const swp_sweep *s, uint64_t point);
/* Workloads of n consecutive points; in a grid they must belong to one deployment. */
void swp_loads(const swp_sweep *s, uint64_t first, size_t n, srv_workload *out);
/* The same into a block that is to be evaluated. */
void swp_load_block(const swp_sweep *s, uint64_t first, size_t n, srv_block *out);
/* The largest n <= max such that points first .. first+n-1 may form one block of work. */
size_t swp_block_size(const swp_sweep *s, uint64_t first, size_t max);

/* ---- compiled deployments (compiled.c)
 * ------------------------------------------------------------------------------------ */

/* Deployments compiled on first use by whichever thread needs them, or a little before by one that would wait
 * otherwise; freed when all their points are accounted for. */
typedef struct swp_compiled swp_compiled;
/* For points below `end`. */
swp_compiled *swp_compiled_new(const swp_sweep *s, const srv_env *env, uint64_t end);
void swp_compiled_free(swp_compiled *c);
/* Any thread; valid until as many points are done as the deployment has. NULL: a broken file (err). */
const srv_deployment *swp_compiled_get(swp_compiled *c, size_t dep, aic_error *err);
void swp_compiled_done(swp_compiled *c, size_t dep, uint64_t points);
srv_answers_counts swp_compiled_answers(const swp_compiled *c); /* what deployments shared so far */
double swp_compiled_seconds(const swp_compiled *c); /* spent compiling so far, all threads together */

/* Compiles one deployment of the sweep, also one the sweep itself refuses; free with srv_free. */
srv_deployment *swp_compile(const swp_sweep *s, const srv_env *env, size_t dep, aic_error *err);

/* ---- one block of work (work.c)
 * -------------------------------------------------------------------------------------------- */

/* Points that come from several deployments or from an earlier result, gathered in point order. */
typedef struct swp_mixture {
    srv_workload *loads; /* n */
    srv_points points;   /* n, opened */
    uint32_t *rows;      /* n, breakdown rows of each point */
    double *latency, *energy;
    uint8_t *source;
    srv_basis *basis;
    bool no_energy, no_basis; /* 0 in all rows; the arrays are undefined */
    size_t n_rows, cap_points, cap_rows;
    size_t *order, *row_at; /* n: points grouped by deployment; where the rows of each point start */
    srv_workload *group;    /* loads of one deployment */
    aic_arena *texts;       /* reasons of points whose block is gone */
    bool *taken;            /* n: points of one deployment that an earlier result had */
    srv_block block, old;   /* answer of one deployment; what the earlier result had of it */
} swp_mixture;
void swp_mixture_free(swp_mixture *m); /* NULL is allowed */

/* Consecutive points, evaluated; memory is reused from block to block. */
typedef struct swp_work {
    uint64_t first;
    size_t n;
    bool one;            /* all points are of one deployment: deps and stored have one entry */
    uint32_t *deps;      /* n, deployment of each point */
    uint32_t *stored;    /* n, row of the deployment in the file; the thread that places the block fills it */
    uint32_t *rows;      /* n, breakdown rows of each point, where not all have as many */
    size_t cap;          /* of the three */
    res_placement place; /* where the file has them */
    srv_block block;     /* answer of one deployment */
    swp_mixture *mixed;  /* what mixes them, once anything did */
    res_points points; /* as the writer takes them, but for their deployments; borrowed from the two above */
} swp_work;
void swp_work_free(swp_work *w); /* and w itself */
/* Where points come from. */
typedef struct swp_pricing {
    const swp_sweep *s;
    swp_compiled *compiled;
    bool plain;              /* by the reference path */
    bool breakdown;          /* rows are wanted */
    res_reuse *old;          /* taken first where it has them; NULL = none */
    _Atomic uint8_t *origin; /* per deployment, SWP_REUSED | SWP_EVALUATED; NULL without old */
    _Atomic uint64_t reused; /* points taken from old */
} swp_pricing;
enum { SWP_REUSED = 1, SWP_EVALUATED = 2 };
/* Evaluates points first .. first+n-1 (one deployment in a grid, any in a list). */
bool swp_work_evaluate(swp_work *w, swp_pricing *p, uint64_t first, size_t n, aic_error *err);
/* The same of points that do not come from one deployment and from it alone; sets w->points. (mixture.c) */
bool swp_mixture_evaluate(swp_mixture *m, swp_work *w, swp_pricing *p, aic_error *err);
/* Tells the compiled deployments that the block's points are accounted for. */
void swp_work_done(const swp_work *w, swp_compiled *c);

/* ---- the threads of a run (crew.c) ------------------------------------------------------------------- */

typedef struct swp_job {
    const swp_sweep *s;
    swp_compiled *compiled;
    swp_pricing *pricing;
    res_writer *writer; /* NULL: nothing is written, or it is opened beside the first blocks: */
    const res_writer_options *out;
    const res_origin *origin; /* NULL: it is open, if there is one */
    aic_progress *progress;
    swp_range range;  /* of points: the whole sweep or a shard */
    uint64_t resumed; /* points of an earlier run, which nobody evaluates */
    size_t block_points;
    unsigned threads;
    uint64_t next_point; /* first point that nobody has claimed */
    /* results */
    double evaluate_s, write_s; /* all threads together */
    aic_error failure;          /* the first, if any */
} swp_job;
/* Evaluates and writes points from next_point on until all are in the file, a signal comes or something
 * fails. */
void swp_job_run(swp_job *job);

/* ---- origin.c ---- */

/* "part digest" lines: those of data folders as given, of the spec sheets in use, of models that are folders.
 */
void swp_data_lines(const swp_sweep *s, const srv_env *env, const char *folders, aic_buf *out);

/* ---- overrides (set.c)
 * ---------------------------------------------------------------------------------------------------- */

/* Applies "path=value" to the document: path is keys and [index], value is YAML. A path through a list
 * without an index means every item. */
bool swp_set_apply(aic_arena *a, aic_node **root, const char *set, aic_error *err);

/* ---- support.c --------------------------------------------------------------------------------------------
 */

/* Fills a started cell: layout by layout, or as an unknown model (S3). */
void swp_assess(const swp_support_ask *ask, const srv_env *env, const mdl_model *m, const pdb_system *sys,
                swp_cell *cell);
void swp_assess_unknown(swp_cell *cell, const char *reason);

#endif
