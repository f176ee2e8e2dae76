/* Comparing two result files: what the files compare*.c share (docs/compare.md).
 *
 * compare_keys.c    gives what both files name the same id: deployments, ops, reasons, labels
 * compare_match.c   finds the partner of each point
 * compare_points.c  classifies the points of a unit and counts
 * compare_tally.c   counts, and adds up those of the units
 * compare_report.c  turns counts into tables of values
 * compare_measured.c  looks up what changed in the measured tables
 * compare_print.c   prints tables as text, Markdown or JSON
 *
 * A unit is a range of points of the first file. Units are taken by several threads; their counts are added
 * in the order of the units, so that sums do not depend on the threads.
 */
#ifndef AICFG_RESULTS_COMPARE_H
#define AICFG_RESULTS_COMPARE_H

#include "results/file.h"

enum {
    CMP_A,
    CMP_B,
    CMP_SIDES,
    CMP_UNIT = 16384, /* points of a unit */
    CMP_GROUPINGS_MAX = 16
};
#define CMP_NONE UINT32_MAX

/* ---- ids common to both files (compare_keys.c) ------------------------------------------------------- */

/* One file, its rows numbered with ids that mean the same in the other file. */
typedef struct cmp_side {
    res_file *f;
    uint32_t *key;                      /* per deployment: what was asked for */
    uint32_t *site;                     /* per deployment: system, backend, version */
    uint32_t *label[CMP_GROUPINGS_MAX]; /* per grouping and deployment: row of that grouping's table */
    uint32_t *op;                       /* per row of /ops */
    uint32_t *reason;                   /* per reason text, versions and releases blanked out */
    uint32_t *cause;                    /* the same with systems and backends blanked out, too */
} cmp_side;

typedef struct cmp_op {
    srv_phase phase;
    const char *name, *kind;
} cmp_op;

typedef struct cmp_site {
    const char *system, *backend, *version;
} cmp_site;

/* A table of counts by the values of one or more deployment columns. */
typedef struct cmp_grouping {
    res_columns columns;
    aic_intern *labels; /* ids 1 .. */
} cmp_grouping;

typedef struct cmp_ids {
    cmp_side side[CMP_SIDES];
    aic_intern *keys, *site_keys, *op_keys, *reasons, *causes;
    size_t n_ops, cap_ops, n_sites, cap_sites;
    cmp_op *ops;
    cmp_site *sites;
    size_t n_groupings;
    cmp_grouping groupings[CMP_GROUPINGS_MAX];
} cmp_ids;
bool cmp_ids_init(cmp_ids *ids, res_file *a, res_file *b, const res_compare_options *opt, aic_error *err);
void cmp_ids_free(cmp_ids *ids);

/* Columns of the workload: those that a point was asked with. */
void cmp_workload_columns(res_columns *out);

/* ---- partners (compare_match.c) ---------------------------------------------------------------------- */

typedef struct cmp_match {
    res_columns workload;
    bool in_step;      /* point i of one file is point i of the other: what follows is not there */
    uint32_t *partner; /* per point of A: the point of B, or CMP_NONE */
    uint8_t *taken;    /* per point of B: has it a partner? */
} cmp_match;
bool cmp_match_init(cmp_match *m, const cmp_ids *ids, unsigned threads, aic_error *err);
void cmp_match_free(cmp_match *m);

/* ---- counts (compare_tally.c) ------------------------------------------------------------------------ */

/* A row of a grouping's table. The change is that of the first figure, over points ok in both files. */
typedef struct cmp_group_row {
    uint64_t points[RES_DIFFERENCE_COUNT], compared;
    double logs;            /* sum of ln(b / a) */
    double lowest, highest; /* of ln(b / a); 0 is always within */
} cmp_group_row;

/* What one op did to the points of one pair of sites, over points that drifted. Effects are relative to the
 * point's total: (b - a) / max(total a, total b). */
typedef struct cmp_move {
    uint32_t op, site[CMP_SIDES];
    uint64_t points;             /* in which it moved */
    uint64_t sources;            /* of them, with a number that rests on other evidence */
    double ms[CMP_SIDES];        /* its latency in all of them */
    double effect, moved;        /* sums of the effects and of their sizes */
    double largest;              /* largest size of an effect, */
    uint64_t example[CMP_SIDES]; /* met in these points */
} cmp_move;

/* Points that went from one status and cause to another. */
typedef struct cmp_turn {
    res_difference difference;
    uint8_t status[CMP_SIDES];
    uint32_t reason[CMP_SIDES]; /* reason texts of the files, of the example */
    uint64_t points, example[CMP_SIDES];
} cmp_turn;

/* A point that drifted: size is the largest |b - a| / max(|a|, |b|) of its figures, infinite where one of
 * them is absent or infinite; column is the figure that has it. */
typedef struct cmp_drift {
    uint64_t point[CMP_SIDES];
    double size;
    int column;
    double value[CMP_SIDES];
    uint32_t op; /* with the largest effect, CMP_NONE = no breakdown */
    double op_ms[CMP_SIDES];
} cmp_drift;

/* A line of CSV, where it belongs. */
typedef struct cmp_line {
    uint64_t point; /* of A; of B for added points */
    size_t at, len;
} cmp_line;

typedef struct cmp_tally {
    uint64_t points[RES_DIFFERENCE_COUNT];
    cmp_group_row *groups[CMP_GROUPINGS_MAX]; /* by label */
    aic_intern *move_keys, *turn_keys;        /* ids 1 .. are rows 0 .. */
    size_t n_moves, cap_moves, n_turns, cap_turns, n_drifts, cap_drifts, top;
    cmp_move *moves;
    cmp_turn *turns;
    cmp_drift *drifts; /* largest first, `top` at most */
    aic_buf text;      /* CSV lines */
    size_t n_lines, cap_lines;
    cmp_line *lines;
} cmp_tally;
void cmp_tally_init(cmp_tally *t, const cmp_ids *ids, size_t top);
void cmp_tally_free(cmp_tally *t, const cmp_ids *ids);
void cmp_tally_clear(cmp_tally *t, const cmp_ids *ids);
/* Adds the counts of a unit; CSV lines stay with the unit. */
void cmp_tally_merge(cmp_tally *total, const cmp_tally *unit, const cmp_ids *ids);
/* Row of (op, sites) or of (statuses, causes), made when new. Rows move when others are made.
 */
size_t cmp_tally_move(cmp_tally *t, uint32_t op, uint32_t site_a, uint32_t site_b);
cmp_turn *cmp_tally_turn(cmp_tally *t, const cmp_turn *turn, const cmp_ids *ids);
void cmp_tally_drift(cmp_tally *t, const cmp_drift *d);

/* ---- one unit (compare_points.c) --------------------------------------------------------------------- */

typedef struct cmp_job {
    const res_compare_options *opt;
    cmp_ids ids;
    cmp_match match;
    res_columns by;     /* figures; the first is the one that tables show */
    res_columns loaded; /* figures, status, reason and workload */
    res_columns keys;   /* columns that identify a point, in CSV and lists */
    bool csv;
    unsigned threads;
    double op_tolerance; /* of latencies of ops: not below what rounding one of the files does */
    size_t unit;         /* points of a unit: CMP_UNIT, or fewer where breakdowns are long */
} cmp_job;

/* Is the breakdown of one file rounded and that of the other not? */
static inline bool cmp_rounded(const res_file *a, const res_file *b) {
    return a->rows && b->rows && a->precision != b->precision;
}

/* Does one file keep other ops of a point than the other? */
static inline bool cmp_left_out(const res_file *a, const res_file *b) {
    return a->rows && b->rows && a->top != b->top;
}

/* What a thread needs to take units. */
typedef struct cmp_worker cmp_worker;
cmp_worker *cmp_worker_new(const cmp_job *job);
void cmp_worker_free(cmp_worker *w);
/* Counts points first .. first + n - 1 of A with their partners into t. */
bool cmp_unit(cmp_worker *w, uint64_t first, size_t n, cmp_tally *t, aic_error *err);
/* The same for points of B that have no partner. */
bool cmp_added(cmp_worker *w, uint64_t first, size_t n, cmp_tally *t, aic_error *err);
void cmp_csv_header(const cmp_job *job, aic_buf *out);

/* ---- the report (compare_report.c, compare_print.c) -------------------------------------------------- */

typedef enum cmp_kind {
    CMP_TEXT,
    CMP_COUNT,
    CMP_NUMBER,
    CMP_PERCENT, /* a share; shown x 100 */
    CMP_CHANGE   /* the same with its sign */
} cmp_kind;

typedef struct cmp_column {
    const char *name;    /* key in JSON; NULL = not there */
    const char *heading; /* for people; NULL = not shown to them */
    cmp_kind kind;
} cmp_column;

typedef struct cmp_table {
    const char *name, *title; /* key in JSON; for people */
    const char *note;         /* a line below, or NULL */
    size_t n_columns, rows, cap;
    cmp_column columns[32];
    aic_value *values; /* rows x n_columns; null = none */
    bool whole;        /* people see every row, too */
} cmp_table;

typedef struct cmp_report {
    aic_arena *arena; /* texts */
    size_t n, cap;
    cmp_table *tables;
    size_t n_commands;
    const char **commands; /* to look further with */
} cmp_report;
cmp_table *cmp_table_new(cmp_report *r, const char *name, const char *title, const cmp_column *columns,
                         size_t n_columns);
/* A new row of nulls, to be filled before the next one. */
aic_value *cmp_row_new(cmp_table *t);
void cmp_command(cmp_report *r, const char *text); /* in the report's arena */
/* Adds the table of measured rows: what differs between the tables that moved most, where the databases are
 * at hand (compare_measured.c). moves: one per op kind and pair of sites, largest first. */
void cmp_add_measured(cmp_report *r, const cmp_job *job, const cmp_move *moves, size_t n);
bool cmp_report_make(cmp_report *r, const cmp_job *job, const cmp_tally *t, aic_error *err);
void cmp_report_free(cmp_report *r);
typedef enum cmp_format { CMP_FORMAT_text, CMP_FORMAT_markdown, CMP_FORMAT_json, CMP_FORMAT_csv } cmp_format;
void cmp_print(const cmp_report *r, const cmp_job *job, const cmp_tally *t, cmp_format format, aic_buf *out);

#endif
