/* results: result files. Knows how points are stored, read, ranked and exported; nothing of how they were
 * computed.
 *
 * A result file is HDF5 (docs/formats/results.md). It is written by one thread: blocks of points arrive in
 * point order, finished blocks become immutable chunk files with one journal line each, and the file under
 * its final name appears only when whole (assembled from chunks, published by rename). A sweep shorter than
 * the checkpoint interval writes its one file under a temporary name. Everything but the group /run is
 * byte-identical for any number of threads.
 */
#ifndef AICFG_RESULTS_RESULTS_H
#define AICFG_RESULTS_RESULTS_H

#include "base/base.h"
#include "serving/serving.h"
#include <stdio.h>

/* ---- columns: one table for storing, exporting, ranking, filtering, help and docs
 * ------------------------------------ */

typedef enum res_type {
    RES_POINT, /* the point's own index: computed, an integer */
    RES_TEXT,
    RES_U32,
    RES_F64,
    /* Enumerations; their names as texts: */
    RES_STATUS,  /* srv_status */
    RES_CARRIED, /* srv_carried */
    RES_TIER     /* op_tier */
} res_type;
static inline bool res_is_enum(res_type t) {
    return t >= RES_STATUS;
}
const char *res_enum_text(res_type t, size_t value); /* name of a value of an enumeration */
typedef struct res_column {
    const char *name; /* "ttft_ms": in files, exports, filters and rankings */
    res_type type;
    const char *unit;      /* "ms", "GiB", "" */
    const char *meaning;   /* one sentence: definition of the metric */
    bool of_deployment;    /* stored once per deployment, not per point */
    bool higher_is_better; /* direction of `rank` when none is given */
    size_t
        offset; /* into srv_point; SIZE_MAX for the point's index and deployment columns (filled by name) */
    size_t column; /* of srv_points; SIZE_MAX likewise */
} res_column;
size_t res_column_count(void);
const res_column *res_column_at(size_t i);
int res_column_find(const char *name);            /* -1 when unknown */
const char *res_column_nearest(const char *name); /* for suggestions, or NULL */

/* ---- writing
 * -----------------------------------------------------------------------------------------------------------
 */

/* Who made the file and from what. Texts are copied, but for spec_text, which may be large: it must live
 * until the writer ends. */
typedef struct res_origin {
    const char *spec_text, *spec_name; /* the spec or points file as read; digest is computed */
    const char *overrides;             /* --set values, one per line, or "" */
    const char *command_line;          /* stored in /run */
    const char *const *databases;      /* "h200_sxm 0.12.0 <digest>" lines, n_databases */
    size_t n_databases;
    uint64_t total_points;  /* of the whole sweep */
    uint64_t shard, shards; /* the file holds shard 1 .. shards of the sweep; 0: the whole sweep */
    uint64_t first_point;   /* number of the file's first point */
    unsigned threads;       /* stored in /run */
    const char *program;    /* name and version of the program, "aicfg-sweep 0.1.0"; NULL = unknown */
    const char *build;      /* digest of the code that computes figures, or NULL */
    const char *data;       /* other data the figures depend on: "part digest" lines, or NULL */
    bool unlisted;          /* versions that are no slots were allowed */
} res_origin;

/* How latencies and energies of the breakdown are stored: as computed, or rounded to float32 (relative error
 * at most 2^-24, see docs/formats/results.md). X(name). */
#define RES_PRECISIONS(X) X(f64) X(f32)
typedef enum res_precision {
#define RES_PRECISION_ENUM(name) RES_PRECISION_##name,
    RES_PRECISIONS(RES_PRECISION_ENUM)
#undef RES_PRECISION_ENUM
        RES_PRECISION_COUNT
} res_precision;
const char *res_precision_name(res_precision p);
bool res_precision_find(const char *name, res_precision *out); /* false when unknown */

enum { RES_TOP_MAX = 1000 };
typedef struct res_writer_options {
    const char *path;        /* final name; its folder must exist */
    bool breakdown;          /* store ops of points: */
    unsigned top;            /* of each point the slowest, so many, 0 = all; at most RES_TOP_MAX */
    res_precision precision; /* of the breakdown; f64 without one */
    int deflate;             /* 0..9 */
    double checkpoint_s;     /* a chunk is closed and journalled this often, 30; 0: after every call */
    bool force;              /* replace an existing file, drop what an interrupted run left */
    bool resume;             /* continue what an interrupted run of the same sweep left; nothing = start */
} res_writer_options;

/* Consecutive points in point order. Rows of priced points lie one after another; a point without rows has
 * rows[i] = 0. */
typedef struct res_points {
    size_t n;
    const uint32_t *deployment; /* n: row of the deployment, or NULL: all are `one_deployment` */
    uint32_t one_deployment;
    const srv_points *points; /* n */
    const uint32_t *rows;     /* n: breakdown rows of the point, or NULL: each has `rows_each` */
    uint32_t rows_each;
    size_t n_rows;                  /* their sum */
    const double *latency, *energy; /* n_rows; energy NULL: all 0 */
    const uint8_t *source;          /* n_rows */
    const srv_basis *basis;         /* n_rows; NULL: all 0 */
    const srv_block *late; /* not NULL: makes the rows (srv_block_rows); the four above are undefined */
} res_points;
static inline uint32_t res_rows_of(const res_points *p, size_t i) {
    return p->rows ? p->rows[i] : p->rows_each;
}

typedef struct res_summary {
    uint64_t points, by_status[SRV_STATUS_COUNT], rows, file_bytes;
    uint64_t resumed; /* points that an earlier run computed */
    char path[4096];  /* where the points are: the final name, or the partial file */
    char digest[65];  /* of the content (everything but /run) */
    double store_s;   /* of work that no second thread can share: storing encoded stripes, ending the file */
} res_summary;

/* Looks at a complete result that stands where a run would write: *same when it was made from the same inputs
 * (out says what it holds), false and the differences in err when from others. True and not *same when there
 * is none, when it is not readable or incomplete, or with force or resume: the writer decides. */
bool res_rerun_check(const res_writer_options *opt, const res_origin *o, bool *same, res_summary *out,
                     aic_error *err);

typedef struct res_writer res_writer;
/* Locks the output (a second run on the same file is refused with a clear message) and starts, or continues:
 * see res_writer_resumed. Refuses to continue another sweep's work, with what differs. With resume set, a
 * result that is there and whole counts as all points done, and force is about that file only: it is replaced
 * by what the interrupted run left, continued. */
res_writer *res_writer_open(const res_writer_options *opt, const res_origin *origin, aic_error *err);
/* Points the writer has from an earlier run, by status too, and rows of /deployments it has from there: the
 * caller goes on with the point and the row after them. */
uint64_t res_writer_resumed(const res_writer *w, size_t *deployments, uint64_t by_status[SRV_STATUS_COUNT]);
/* Rows of /deployments in order; each before the first points that name it. index: its number in the sweep.
 */
bool res_writer_deployment(res_writer *w, size_t index, const srv_deployment *d, aic_error *err);
bool res_writer_points(res_writer *w, const res_points *p, aic_error *err);

/* The same for many threads. Blocks of points are placed in point order, by one thread at a time; the rest is
 * any thread's, at any time: putting the points of a placed block where they belong, and the work that full
 * stripes of rows give (encoding, storing). The file is the same whoever does what. */
typedef struct res_placement res_placement; /* zero-initialise */
struct res_placement {
    struct res_piece *pieces; /* places in stripes, in the order rows go there */
    size_t n, cap;
    uint64_t first_point, first_row; /* in the file */
    uint32_t *reasons;               /* per point: 1 + row of /reasons, 0 = none */
    size_t cap_reasons;
    bool any_reason; /* false: no point has one, reasons is undefined */
};
void res_placement_free(res_placement *at);
/* Counts the points and gives them their places. What a failure leaves is of no use. */
bool res_writer_place(res_writer *w, const res_points *p, res_placement *at, aic_error *err);
/* False while so much waits for res_writer_work that nothing more should be placed. */
bool res_writer_has_room(res_writer *w);
/* Copies the points to their places: once for every block placed. */
void res_writer_fill(const res_writer *w, const res_points *p, const res_placement *at);
/* Does a piece of the work there is; *did = false: none right now. */
bool res_writer_work(res_writer *w, bool *did, aic_error *err);
bool res_writer_is_idle(
    res_writer *w); /* all that was filled is in the file but for rows of unfinished stripes */
/* Is it time to close a chunk file? Then, with all placed blocks filled and the writer idle, do. */
bool res_writer_checkpoint_due(const res_writer *w);
bool res_writer_checkpoint(res_writer *w, aic_error *err);
/* Publishes under the final name (complete), or, after an interruption, as NAME.partial.h5 marked incomplete,
 * keeping chunks and journal in NAME.part/ for a later resume. They are removed only once the published file
 * was opened and says what it should. Frees w in any case. */
bool res_writer_finish(res_writer *w, bool complete, res_summary *out, aic_error *err);
/* Gives up: removes temporary files of this run (after a failure to write). */
void res_writer_abandon(res_writer *w);

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------
 */

typedef struct res_file res_file;
/* Validates format, version, extents and cross references; a damaged or foreign file is refused with a clear
 * message. */
res_file *res_open(const char *path, aic_error *err);
void res_close(res_file *f);
uint64_t res_count(const res_file *f);
/* Number of the first point: 0 but in a shard. Point numbers that users see count from the sweep's first. */
uint64_t res_first_point(const res_file *f);
bool res_complete(const res_file *f); /* all points of the sweep, or of the shard, are there */
const char *res_spec_text(const res_file *f);
const char *res_attribute(const res_file *f,
                          const char *name); /* text attribute of the root group, NULL when absent */

typedef struct res_reason {
    srv_status status;
    const char *text;
    uint64_t count, example;
} res_reason;
size_t res_reasons(const res_file *f, const res_reason **list);

/* A window of points held in memory as columns; values by column index. */
typedef struct res_window res_window;
res_window *res_window_new(res_file *f);
void res_window_free(res_window *w);
/* first: row of /points, from 0. */
bool res_window_load(res_window *w, uint64_t first, size_t n, const int *columns, size_t n_columns,
                     bool breakdown, aic_error *err);
aic_value res_window_value(const res_window *w, size_t i, int column); /* TEXT -> string, NaN real -> null */
/* Breakdown rows of point i of the window but those that were left out (--breakdown top:N): returns count;
 * names, phases as stored. */
typedef struct res_op_row {
    srv_phase phase;
    const char *name, *kind;
    double repeat, latency, energy;
    op_source source;
    op_tier tier;
    srv_carried carried;
} res_op_row;
size_t res_window_rows(const res_window *w, size_t i,
                       const res_op_row **rows); /* valid until the next call */

/* The request that produced the point in a row of /points (to evaluate it again). Strings live as long as f.
 */
bool res_point_request(res_file *f, uint64_t row, srv_request *req, srv_workload *load, aic_error *err);

/* ---- taking over points of an earlier result ---- */

typedef struct res_reuse res_reuse;
/* Indexes the points of a result file, complete or not: about 16 bytes of memory a point. opt: of the run
 * that takes them; a file whose breakdown is rounded where the run's is not is refused. */
res_reuse *res_reuse_open(const char *path, const res_writer_options *opt, aic_error *err);
void res_reuse_close(res_reuse *r); /* NULL is allowed */
/* Where the file has a deployment of d's inputs digest with a workload asked for, its point as srv_evaluate
 * would give it: fills entry i of out and sets taken[i]; the other entries are undefined. breakdown: a point
 * whose rows the file lacks is not taken. Reasons live as long as r. Any thread may ask. False when the file
 * cannot be read. */
bool res_reuse_take(res_reuse *r, const srv_deployment *d, const srv_workload *loads, size_t n,
                    bool breakdown, srv_block *out, bool *taken, aic_error *err);

/* ---- commands
 * -------------------------------------------------------------------------------------------------------------
 */

typedef struct res_rank_options {
    const char *by;      /* column, or NULL = tokens_per_s_per_gpu */
    int descending;      /* 1, 0, or -1 = the column's own direction */
    const char *where;   /* filter expression over columns, or NULL */
    const char *group;   /* comma-separated columns: best `top` of each group; NULL = one group */
    const char *pareto;  /* "x,y": the non-dominated points, each in its column's direction; NULL = ranking */
    const char *columns; /* columns to print, NULL = a readable default */
    size_t top;          /* rows per group, 0 = all */
    bool all_status;     /* also points that are not ok */
    const char *format;  /* "table", "csv", "jsonl" */
    unsigned threads;    /* 0 = OMP_NUM_THREADS or all cores */
} res_rank_options;
/* Streams the file, by windows that threads take; memory grows with the answer, not the file. Ties keep point
 * order. */
bool res_rank(res_file *f, const res_rank_options *opt, FILE *out, aic_error *err);

typedef struct res_export_options {
    const char *format; /* "csv" or "jsonl" */
    bool breakdown; /* csv: one line per op; jsonl: lists of [op, ms, W*ms, source, tier, carried] per phase:
                     * "encoder" where a point has rows of it, "context" and "generation" */
    const char *columns; /* NULL = all */
    const char *where;
    uint64_t first, count; /* numbers in the sweep; 0, 0 = all */
} res_export_options;
bool res_export(res_file *f, const res_export_options *opt, FILE *out, aic_error *err); /* in point order */

/* Reads every byte of a result file (or recomputes the digests of a perfdb file) and prints one line, or what
 * is damaged and where. threads: 0 = all. AIC_FINDING when it is damaged, AIC_IO when it cannot be read,
 * AIC_BAD_INPUT when it is some other file. */
bool res_verify(const char *path, unsigned threads, FILE *out, aic_error *err);

/* What storing the rows of a finished file takes at the least (docs/performance.md): all groups' chunks. */
typedef struct res_roofline {
    uint64_t chunks, bytes;    /* stored; a chunk of zeros that is left out is not counted */
    uint64_t plain;            /* bytes of the rows before encoding */
    double raw_s;              /* writing the stored bytes to one HDF5 file, synced: no encoding, no digest */
    double encode_s, digest_s; /* encoding and digesting all rows again, one thread */
} res_roofline;
/* scratch: a file to write, removed afterwards, in the same file system as path. */
bool res_roofline_measure(const char *path, const char *scratch, res_roofline *out, aic_error *err);
/* Shards of one sweep to one file (docs/formats/results.md). */
typedef struct res_merge_options {
    const char *path;          /* final name; its folder must exist */
    const char *const *shards; /* n_shards files, in any order */
    size_t n_shards;
    bool allow_duplicates;    /* a range of points in several files of equal content is taken once */
    bool check;               /* prove only, write nothing */
    bool view;                /* write a view: HDF5 virtual datasets over the shards, which must stay */
    bool force;               /* replace an existing file */
    bool quiet;               /* no progress */
    int deflate;              /* 0..9 */
    unsigned threads;         /* 0 = OMP_NUM_THREADS or all cores */
    const char *command_line; /* stored in /run */
} res_merge_options;
/* Proves that the shards are complete, undamaged and hold every point of one sweep once, then writes the file
 * that a run of the whole sweep would have written. AIC_BAD_INPUT when they are not, with what is missing or
 * there twice. */
bool res_merge(const res_merge_options *opt, res_summary *out, aic_error *err);

/* Counts by status and reasons, as printed after a run and by `report`. */
bool res_report(res_file *f, FILE *out, aic_error *err);
/* ---- comparing (docs/compare.md) ---- */

/* X(name, meaning): how a point of two result files differs. */
#define RES_DIFFERENCES(X)                                                                                   \
    X(same, "equal status and reason, and every figure within the tolerance")                                \
    X(regression, "was ok, is not")                                                                          \
    X(drift, "a figure moved by more than the tolerance")                                                    \
    X(gain, "was not ok, is ok")                                                                             \
    X(status, "not ok in both, for another status or reason")                                                \
    X(removed, "only in the first file")                                                                     \
    X(added, "only in the second file")
typedef enum res_difference {
#define RES_DIFFERENCE_ENUM(name, meaning) RES_DIFF_##name,
    RES_DIFFERENCES(RES_DIFFERENCE_ENUM)
#undef RES_DIFFERENCE_ENUM
        RES_DIFFERENCE_COUNT
} res_difference;
const char *res_difference_name(res_difference d);
const char *res_difference_meaning(res_difference d);

typedef struct res_compare_options {
    const char *by;        /* figures that count, comma-separated; tables show the first; NULL = a default */
    double tolerance;      /* |b - a| beyond tolerance x max(|a|, |b|) is drift */
    bool match_version;    /* points of different framework versions are different points */
    const char *group;     /* tables: columns, comma-separated, A+B for pairs of values; NULL = a default */
    size_t top;            /* rows of each list for people, and points listed; 0 = all rows, no points */
    const char *format;    /* "text", "markdown", "json" or "csv" (one line per point that is not same) */
    unsigned threads;      /* 0 = OMP_NUM_THREADS or all cores */
    const char *path[2];   /* the files, for the commands suggested; NULL = they will be gone */
    const char *perfdb[2]; /* folders of the tables that the files were made of; NULL = not at hand */
    pdb *db[2]; /* the same, open; with both, the rows of the tables that moved most are compared */
} res_compare_options;
/* Default relative tolerance of a figure: far above rounding, far below any measurement. */
#define RES_COMPARE_TOLERANCE 1e-9

/* Points by difference. */
typedef struct res_compare_summary {
    uint64_t points[RES_DIFFERENCE_COUNT];
} res_compare_summary;
/* Matches the points of two files by what was asked for (deployment and workload; equal keys in order of
 * appearance) and prints how they differ. Memory does not grow with the files when both list the same points
 * in the same order; otherwise by 60 to 80 bytes per point. */
bool res_compare(res_file *a, res_file *b, const res_compare_options *opt, FILE *out,
                 res_compare_summary *sum, aic_error *err);

/* Compiles an expression over column names (for --where); shared with the sweep's `where:` for point columns
 * known before evaluation. */
const aic_scope *res_column_scope(void);

#endif
