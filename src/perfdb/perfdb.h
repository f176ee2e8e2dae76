/* perfdb: measured tables and system spec sheets.
 *
 * One HDF5 file per system and data release holds the rows as collected (docs/formats/perfdb.md); a spec
 * sheet (data/systems/<system>.yaml) holds the hardware's figures. A *view* is one (system, backend, version,
 * shared rows) identity; its tables are merged from an ordered list of source files (docs/model/sources.md),
 * built on first use and immutable afterwards. All functions may be called from many threads; loading takes a
 * lock, queries take none.
 */
#ifndef AICFG_PERFDB_PERFDB_H
#define AICFG_PERFDB_PERFDB_H

#include "base/base.h"
#include "perfdb/fan.h"
#include "perfdb/interp.h"
#include "perfdb/quant.h"
#include <stdio.h>

/* ---- system spec sheets ---------------------------------------------------------------------- */

typedef struct pdb_system {
    const char *name;
    double mem_bw;                    /* byte/s */
    double mem_bw_factor;             /* gpu.mem_bw_empirical_scaling_factor, 1.0 when absent */
    double mem_latency_s;             /* gpu.mem_empirical_constant_latency, s, 0 when absent */
    double mem_capacity;              /* byte; 0 = absent */
    double tc_flops[PDB_DTYPE_COUNT]; /* FLOP/s by pdb_dtype; 0 = absent, never derived from another dtype */
    double power_w;                   /* TDP, 0 = absent */
    int sm_version;                   /* -1 = absent (an XPU) */
    uint32_t gpus_per_node;
    uint32_t gpus_per_rack; /* 0 = no rack limit */
    double intra_node_bw, inter_node_bw,
        inter_rack_bw;    /* byte/s per GPU, one direction; inter_rack = inter_node when absent */
    double p2p_latency_s; /* 0 when absent */
    double nccl_mem[4];   /* byte for 1, 2, 4, 8 GPUs; -1 = absent */
    double other_mem;     /* byte; -1 = absent */
    const char *nccl_version, *oneccl_version; /* NULL = absent */
    const char *measured_as; /* system whose measured tables stand for its own; NULL = it has its own */
    const char *file;        /* path of the sheet */
    char sha256[65];         /* of its bytes */
} pdb_system;

double pdb_p2p_bw(const pdb_system *s,
                  uint32_t gpus); /* byte/s between n GPUs (docs/model/communication.md) */
/* FLOP/s of a mode's compute dtype; 0 when the sheet lacks it (a named refusal, never a guess). */
double pdb_flops(const pdb_system *s, pdb_quant q);

/* ---- databases ------------------------------------------------------------------------------- */

typedef struct pdb pdb;

/* Opens database folders. dirs: folders holding <release>/<system>.h5 + <release>/release.yaml, or one such
 * release folder itself (with several releases inside, the newest is taken unless `release` names one). The
 * first folder that has a system provides it. systems_dirs: folders of spec sheets, first match wins. Files
 * are opened when first needed. */
pdb *pdb_open(const char *const *dirs, size_t n_dirs, const char *release, const char *const *systems_dirs,
              size_t n_systems_dirs, aic_error *err);
void pdb_close(pdb *db);

size_t pdb_system_count(const pdb *db); /* systems that have a spec sheet */
const char *pdb_system_name(const pdb *db, size_t i);
bool pdb_system_has_data(pdb *db,
                         const char *system); /* tables of its own or of the system it is measured as */
/* Spec sheet; unknown system: error with the nearest name. Immutable, lives as long as db. */
const pdb_system *pdb_system_get(pdb *db, const char *system, aic_error *err);

/* ---- views ----------------------------------------------------------------------------------- */

typedef struct pdb_view {
    pdb *db;
    const pdb_system *system;
    const char
        *measured; /* system whose tables it reads: its own name, or what its sheet says it is measured as */
    const char *backend; /* "trtllm", "sglang", "vllm" */
    const char *version; /* resolved: never an alias */
    bool shared;         /* tables inherit rows from other versions and backends; never where the release says
                            that every version stands alone */
    const char *release; /* data release of the file it reads */
    const char *digest;  /* the file's digest */
} pdb_view;

/* Backends with tables of the system, in byte order, the collective libraries left out; in the arena. */
size_t pdb_backends(pdb *db, const char *system, aic_arena *a, const char ***names);
/* Versions of a backend that have tables of the system, oldest first, in the arena. */
size_t pdb_versions(pdb *db, const char *system, const char *backend, aic_arena *a, const char ***names);

/* The version under which an unmeasured backend opens (with allow_unlisted): all its tables are missing. */
#define PDB_ESTIMATE "estimate"

/* Opens (or finds) the view. version: NULL or "" = latest, "current"/"previous"/"next", or a literal, which
 * must be one of the slots unless allow_unlisted. AIC_BAD_INPUT when the system, backend or version does not
 * exist: the message lists what does. */
const pdb_view *pdb_view_get(pdb *db, const char *system, const char *backend, const char *version,
                             bool shared, bool allow_unlisted, aic_error *err);

/* Is a thread making a table of the view, or something derived from one? Who compiles against it now would
 * mostly wait for that very thing. */
bool pdb_view_is_building(const pdb_view *view);
/* Counts as making something of the view until pdb_view_expect_end: for whoever is about to. False, and
 * nothing to end: something was made of it before, so that others would find most of what they need. */
bool pdb_view_expect(const pdb_view *view);
void pdb_view_expect_end(const pdb_view *view); /* NULL is allowed */
/* Frees the tables and whatever else was computed for the view, and for that of the same version with or
 * without shared rows; the views themselves stay and read them again when they are asked for. Nobody may use
 * anything that was got from them before: tables, grids, bound ops. */
void pdb_view_unload(const pdb_view *view);

/* What was read from files for all views so far: tables (one of several sources counts once), the rows of
 * their sources, and the seconds it took. */
typedef struct pdb_loaded {
    size_t tables;
    uint64_t rows;
    double seconds;
} pdb_loaded;
pdb_loaded pdb_loaded_so_far(pdb *db);

/* ---- tables: declared by the op family that reads them --------------------------------------------------
 */

#define PDB_MAX_CATS   24
#define PDB_MAX_AXES   4
#define PDB_MAX_VALUES 4

/* One category or axis of a table. */
typedef struct pdb_column {
    const char *column; /* name in the file */
    const char *plus;   /* axes: a second column added to it (isl + step), or NULL */
    bool text;          /* categories: a string column (else an unsigned integer) */
    bool optional;      /* the column may be absent: text is "" then, an integer is 0 */
} pdb_column;

/* A row while it is being admitted, or visited. */
typedef struct pdb_row {
    uint64_t cat[PDB_MAX_CATS]; /* text categories: interned id (0 = empty or absent), else the integer */
    uint64_t axis[PDB_MAX_AXES];
    double latency, power;           /* ms, W (0 when the table has no power column) */
    const struct pdb_source *source; /* the source file it comes from */
    pdb_origins from;                /* the same as marks; they go with the row wherever it is put */
    const char *fault; /* a hook that sets it makes the whole table unusable for that reason; static text or
                          text that lives as long as the view */
} pdb_row;

/* Rows of a table with one key. */
typedef struct pdb_slice {
    const uint64_t *cat; /* n_cats - n_extra values */
    const struct pdb_table *table;
} pdb_slice;

/* How to read one measured table. Static data of an op family; its address is the table's identity in a view.
 */
typedef struct pdb_schema {
    const char *table; /* "gemm_perf" */
    pdb_column cats[PDB_MAX_CATS];
    int n_cats;  /* categories, matched exactly; the last n_extra ones only inform the hook */
    int n_extra; /* trailing categories (kernel_source, say) not part of the slice key after the hook ran */
    pdb_column axes[PDB_MAX_AXES];
    int n_axes;
    bool
        wide_axis; /* the last axis may exceed 32 bits (message sizes); otherwise larger keys fail the load */
    bool sites;    /* also build pdb_sites, site axes = axes 1.., curve axis = axis 0 */
    const char
        *value[PDB_MAX_VALUES]; /* the latency is the sum of these columns, left to right; none = "latency" */
    bool last_in_source; /* inside one source the last row of a coordinate wins; across sources the first as
                            ever */
    bool primary_only;   /* read the version's own file and nothing else */
    bool no_power;       /* the power column counts as zeros */
    /* Drops a row (returns false) or rewrites its categories; NULL = keep all. view gives system and backend.
     * Asked once for rows that have everything it may look at in common: source, categories and the first
     * n_admit_axes axes. */
    bool (*admit)(const pdb_view *view, const struct pdb_schema *schema, pdb_row *row);
    int n_admit_axes;
    /* Lower bounds of the latencies of n leaves of a slice (SOL clamp at load), or NULL. axis: n_axes values
     * per leaf. Not a positive number = leave the leaf alone; false = leave all alone. */
    bool (*floor)(const pdb_view *view, const uint64_t *cat, size_t n, const uint64_t *axis, double *least);
} pdb_schema;

typedef struct pdb_table pdb_table;

/* The merged table of a view; loaded on first use. NULL when it cannot answer anything: *why is then a text
 * that lives as long as the view ("table gemm_perf: no rows from 2 sources (first: ...)", "column m missing
 * in ..."). A file that exists but is damaged is a miss of this table only. */
const pdb_table *pdb_table_get(const pdb_view *view, const pdb_schema *schema, const char **why);

size_t pdb_slice_count(const pdb_table *t);
const pdb_slice *pdb_slice_at(const pdb_table *t, size_t i); /* in first-encounter order */
/* Is there a slice whose categories from..to-1 are `cat` (of n_key values)? t is a table of the view. */
bool pdb_slice_any(const pdb_view *view, const pdb_table *t, const uint64_t *cat, int from, int to);
/* How many different categories from..to-1 the slices have; *values: to - from values of each, in
 * first-encounter order. */
size_t pdb_slice_parts(const pdb_view *view, const pdb_table *t, int from, int to, const uint64_t **values);
const pdb_slice *pdb_slice_find(const pdb_table *t,
                                const uint64_t *cat); /* n_cats - n_extra values; NULL = no such slice */
size_t pdb_table_rows(const pdb_table *t);            /* leaves kept of all slices: builds every grid */
/* Leaves of a slice over the schema's axes; built when first asked for, kept as long as the view. */
const pdb_grid *pdb_slice_grid(const pdb_slice *s);
const pdb_sites *pdb_slice_sites(const pdb_slice *s); /* the same by shape; NULL when the schema wants none */
size_t pdb_slice_leaves(const pdb_slice *s);          /* how many */

/* Interned id of a category text; 0 for "" and for texts no table has shown so far (call after the table is
 * loaded). */
uint64_t pdb_text_id(const pdb_view *view, const char *text);
uint64_t pdb_text_add(const pdb_view *view,
                      const char *text); /* the same, giving a new text an id: for hooks that rename */
const char *pdb_text(const pdb_view *view, uint64_t id);

/* Visits every admitted row in source order, duplicates included and nothing clamped, for tables that need
 * more than one grid per slice or rules across rows. visit returns false to stop early. False when
 * pdb_table_get would give NULL (*why as there, also set from row->fault by visit). Views stay locked
 * meanwhile. */
bool pdb_scan(const pdb_view *view, const pdb_schema *schema, bool (*visit)(void *ctx, pdb_row *row),
              void *ctx, const char **why);

/* An object computed once per view, on first use, and kept as long as the view: identity is the address of
 * something static (a schema's address stands for its table), build may call every function here and
 * allocates from a. A NULL result is kept too, with its *why (in a, or static). */
typedef const void *(*pdb_builder)(const pdb_view *view, const void *identity, aic_arena *a,
                                   const char **why);
const void *pdb_derived(const pdb_view *view, const void *identity, pdb_builder build, const char **why);
/* The same for objects of one identity that a key of `size` bytes tells apart (compared byte by byte, so
 * without padding of any value). build gets the view's copy of the key in place of the identity. */
const void *pdb_derived_keyed(const pdb_view *view, const void *identity, const void *key, size_t size,
                              pdb_builder build, const char **why);

/* A table put together from several files by rules of its own; for a pdb_builder. schema names the categories
 * and axes of the result; no file of its name is read. */
typedef struct pdb_gather pdb_gather;
pdb_gather *pdb_gather_new(const pdb_view *view, const pdb_schema *schema);
/* Takes cat, axis, latency, power and from. Of one coordinate the row of the lowest rank stays, the one added
 * first among equals. Slices stand in the order in which they were first added, whatever the rank. */
void pdb_gather_add(pdb_gather *g, const pdb_row *row, uint32_t rank);
/* Builds the table in a and frees g. NULL when no row was added, or when a is NULL (gives up). */
const pdb_table *pdb_gather_finish(pdb_gather *g, aic_arena *a);

/* What a thread reads through a view from begin to end, objects that others built before included: which
 * columns of which sources, in which order. Brackets may nest; each counts for the outer ones, too. */
enum { PDB_READ_WORDS = 4 };
typedef struct pdb_reads {
    const pdb_view *view;
    uint64_t set[PDB_READ_WORDS]; /* bit i: entry i of the view's list of what was ever read */
    bool incomplete;              /* more than the set can tell, or of another view */
    struct pdb_reads *outer;
} pdb_reads;
void pdb_reads_begin(pdb_reads *r, const pdb_view *view);
/* digest: 64 hex digits over the content of all that was read, whatever the order; "" when it cannot be told;
 * may be NULL. */
void pdb_reads_end(pdb_reads *r, char digest[65]);
/* Counts what r holds for the bracket in effect, as if it were read now. */
void pdb_reads_add(const pdb_reads *r);

/* ---- where rows come from --------------------------------------------------------------------------------
 */

typedef enum pdb_channel { PDB_PRIMARY, PDB_DECLARED, PDB_FALLBACK, PDB_CROSS } pdb_channel;
const char *pdb_channel_name(pdb_channel c); /* "primary", "declared_reuse", "fallback", "cross_backend" */

typedef struct pdb_source {
    const char *backend, *version; /* of the file */
    const char *group;             /* HDF5 group: "/gemm_perf/trtllm/1.3.0rc20" */
    pdb_channel channel;
    bool exists;
    const char *const
        *kernels; /* allowed kernel_source values, or NULL for all; n_kernels of them, byte-sorted */
    size_t n_kernels;
} pdb_source;

typedef struct pdb_origin {
    const char *backend, *version; /* the system is the view's `measured` */
} pdb_origin;
/* Names the sources in a set of marks, in the order in which the view met them; returns how many. */
size_t pdb_origin_names(const pdb_view *view, pdb_origins from, pdb_origin list[PDB_ORIGIN_MAX]);

/* PEP 440 order, a total one: equal versions go by their text, unreadable ones come first. */
int pdb_version_compare(const char *a, const char *b);

/* Ordered source list of a table for a view (first row wins across it). Owned by the view. */
size_t pdb_sources(const pdb_view *view, const char *table, const pdb_source **list);

/* ---- attention lanes: framework default kernel (release.yaml `lanes`) ------------------------ */

/* The default lane of (backend, version, sm), "" when the map has an entry that says "default", NULL when
 * nothing matches. */
const char *pdb_lane_default(const pdb_view *view);

/* ---- HDF5 ------------------------------------------------------------------------------------ */

/* The HDF5 library serves one caller at a time: every HDF5 call of the process stands between these two.
 * Taking the lock also silences the library's own error printing for the calling thread. Not recursive. */
void pdb_hdf5_lock(void);
void pdb_hdf5_unlock(void);
/* A file access property list (hid_t, to be closed) with which HDF5 reads and writes through base/io. With
 * the lock held. */
int64_t pdb_hdf5_access(void);
/* Raw data (chunks of datasets) of a file (hid_t) that is being written: ranges that will not be written
 * again, in order and apart; not all there are. Valid until the next write. With the lock held. */
typedef struct pdb_hdf5_range {
    uint64_t first, end;
} pdb_hdf5_range;
size_t pdb_hdf5_raw(int64_t file, const pdb_hdf5_range **list);
/* Between these two, chunks that are written stay where they are, and go to the file together. The second
 * says whether they did; it may stand behind a write that failed. With the lock held. */
void pdb_hdf5_gather(int64_t file);
bool pdb_hdf5_gathered(int64_t file);
/* errno of the last file call of HDF5 that failed in this thread since the last time it was asked for; 0 =
 * none. */
int pdb_hdf5_file_error(void);
/* errno of the first read of an HDF5 file that failed in this process, by any thread; 0 = none. Behind such a
 * failure a table may look absent that is there: what was looked up since is no answer. */
int pdb_hdf5_read_error(void);
bool pdb_data_was_read(aic_error *err); /* AIC_IO behind such a failure */

/* ---- inspection ------------------------------------------------------------------------------ */

/* Prints what is inside (releases, systems, backends, versions, tables, rows); system NULL = all. */
bool pdb_info(pdb *db, const char *system, FILE *out, aic_error *err);
/* Recomputes every digest of a system's file (NULL = all files) and checks structure; prints one line per
 * file and each fault. Returns false with AIC_FINDING when a digest differs or a group is malformed, AIC_IO
 * when a file cannot be read. */
bool pdb_verify(pdb *db, const char *system, FILE *out, aic_error *err);
/* The same for one file, wherever it lies. */
bool pdb_verify_file(const char *path, FILE *out, aic_error *err);

/* ---- making, comparing and taking apart perfdb files ----------------------------------------- */

typedef struct pdb_import_options {
    const char *dir;     /* tree of CSV files, as collectors write it (docs/formats/perfdb.md) */
    const char *file;    /* the perfdb file to write; its name is <system>.h5 */
    const char *system;  /* NULL = the name of the file */
    const char *release; /* NULL = that of release.yaml beside the file, or the folder's name */
    const char *facts;   /* DATA/import.yaml: what is known of tables by name */
    bool replace;        /* the file may exist */
    /* What ops read: a table of one of these names must have their columns. */
    const pdb_schema *const *schemas;
    size_t n_schemas;
    FILE *faults; /* one line for every table that cannot be read; NULL = only the first is reported */
} pdb_import_options;

typedef struct pdb_import_summary {
    size_t tables, rows;
    size_t repeats;         /* rows whose key an earlier row of their table has: kept, and never read */
    size_t renamed;         /* cells that said an old name (float16) and were given today's (bfloat16) */
    size_t renamed_tables;  /* tables likewise */
    size_t dropped;         /* rows of formats and strategies that no later release has */
    size_t ignored, vetoed; /* files passed over, folders marked as incomplete */
    char system[64], release[64];
} pdb_import_summary;

/* Reads a tree of CSV files into a new perfdb file and lists its versions in release.yaml beside it. Nothing
 * is written unless every table can be read. Oddities (repeated keys, magnitudes that suggest another unit)
 * are warnings. */
bool pdb_import(const pdb_import_options *o, pdb_import_summary *out, aic_error *err);

/* Prints a table as CSV: every column, rows in order, numbers to the last bit. group:
 * "table/backend/version". What it prints, imported again, gives a table of the same digest. */
bool pdb_export(const char *file, const char *group, FILE *out, aic_error *err);

typedef enum pdb_change { PDB_SAME, PDB_ADDED, PDB_REMOVED, PDB_CHANGED } pdb_change;
const char *pdb_change_name(pdb_change c); /* "same", "added", ... */

/* How table b differs from table a of the same name. Texts live until pdb_diff returns. */
typedef struct pdb_table_diff {
    const char *system, *group;
    const char *group_b; /* of b's table: the same, unless pdb_diff_tables was asked for another one */
    pdb_change change;
    size_t rows_a, rows_b;
    size_t added, removed, changed; /* rows by key; changed ones differ in a measured column */
    bool kernels;                   /* of two versions: rows matched whatever their kernel_source */
    bool reordered;                 /* rows of both tables stand in another order */
    const char *columns_added, *columns_removed; /* "step, window_size", "" */
    /* Of the changed rows, (b - a) / a, each row counted by the column that moved most: */
    double worst, median; /* infinite where a is 0; 0 when no row changed */
    const char *worst_at; /* "isl=4096, ...: latency 1.5 -> 2.0" */
} pdb_table_diff;

/* Compares two perfdb files, or two folders system by system, calling visit for every table that one of them
 * has, in order. system: NULL = all. */
bool pdb_diff(const char *a, const char *b, const char *system,
              void (*visit)(void *ctx, const pdb_table_diff *d), void *ctx, aic_error *err);

/* The same for one table of each side: groups as in pdb_export. system: whose files, where a and b are
 * folders; NULL = a and b are files. */
bool pdb_diff_tables(const char *a, const char *b, const char *system, const char *group_a,
                     const char *group_b, void (*visit)(void *ctx, const pdb_table_diff *d), void *ctx,
                     aic_error *err);

/* ---- what a merged table holds ---------------------------------------------------------------- */

typedef struct pdb_range {
    uint64_t low, high;
    size_t points; /* distinct coordinates */
} pdb_range;

/* The coordinates of a slice (or of all slices of a table, slice = NULL) along one axis of its schema. */
pdb_range pdb_coverage_axis(const pdb_table *t, const pdb_slice *slice, int axis);
/* The distinct values of a category over all slices, ascending; texts as interned ids. In the arena. */
size_t pdb_coverage_values(const pdb_table *t, int cat, aic_arena *a, const uint64_t **values);

#endif
