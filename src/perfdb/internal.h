/* Private parts of perfdb, shared between its files and with nobody else. */
#ifndef AICFG_PERFDB_INTERNAL_H
#define AICFG_PERFDB_INTERNAL_H

#include "perfdb/perfdb.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* ---- versions (version.c; docs/model/sources.md) --------------------------------------------------------
 */

/* A version as PEP 440 reads it. Parts that are absent compare as the standard says, not as zero. */
enum { PEP_RELEASE_MAX = 16 };
typedef struct pdb_pep440 {
    bool ok; /* false: the text is not a PEP 440 version */
    uint64_t epoch;
    uint64_t release[PEP_RELEASE_MAX]; /* without trailing zeros */
    int n_release;
    int pre; /* rank: dev-only < a < b < rc < none */
    uint64_t pre_number;
    bool has_post, has_dev;
    uint64_t post, dev;
    const char *local; /* into the text it was read from; "" = none */
} pdb_pep440;

pdb_pep440 pdb_pep440_read(const char *text);
int pdb_pep440_compare(const pdb_pep440 *a, const pdb_pep440 *b); /* both ok */
/* Order of slots and of "latest": (major, minor, patch, final?, rc number, last number). */
void pdb_sort_key(const char *text, uint64_t key[6]);
int pdb_sort_key_compare(const char *a, const char *b);
/* Order of lane entries: dotted whole numbers, the first other part by its leading digits. */
int pdb_lane_version_compare(const char *a, const char *b);

/* ---- releases (release.c; docs/formats/perfdb.md) -------------------------------------------- */

typedef struct pdb_release {
    aic_arena *arena;
    const char *dir;  /* folder of the release */
    const char *name; /* "0.12.0" */
    bool shared_rows; /* false: every version stands alone, whatever a view asks for */
    const aic_node *slots, *lanes, *directories, *reuse,
        *cross; /* checked parts of release.yaml; NULL = absent */
} pdb_release;

typedef struct pdb_slots {
    const char *current, *previous, *next; /* NULL = no such slot; current is always set */
} pdb_slots;

static inline bool
pdb_is_library(const char *backend) { /* collective libraries have folders beside the backends */
    return strcmp(backend, "nccl") == 0 || strcmp(backend, "oneccl") == 0;
}
bool pdb_release_present(const char *dir); /* does it hold a release.yaml? */
pdb_release *pdb_release_load(const char *dir, aic_error *err);
void pdb_release_free(pdb_release *r);
/* Version folders of a backend on a system: a LIST node, or NULL when there is none. */
const aic_node *pdb_release_versions(const pdb_release *r, const char *system, const char *backend);
/* Declared donors of a version: a LIST of {table, from}, or NULL. */
const aic_node *pdb_release_donors(const pdb_release *r, const char *system, const char *backend,
                                   const char *version);
bool pdb_release_slots(const pdb_release *r, const char *system, const char *backend, pdb_slots *out);
const char *pdb_release_lane(const pdb_release *r, const char *backend, const char *version, int sm);

/* ---- room for columns (shelf.c) ---------------------------------------------------------------- */

/* What a column is held for. Those that tell slices apart are wanted again, if at all, for another table soon
 * after; values and axes whenever a slice is asked for, until all of a table are built: then they are spent,
 * unless another table is made from them. */
typedef enum pdb_use { PDB_IS_SPENT, PDB_TELLS_APART, PDB_IS_TAKEN, PDB_USES } pdb_use;

/* Room for columns that nobody holds, by what they were held for last. A column to be read gets the memory of
 * one that is spent, or, where the room is full, of one that makes way: memory never touched before costs
 * more than what is read into it, and from the heap it would seldom find the place of another. */
typedef struct pdb_room {
    pthread_mutex_t lock;
    struct pdb_waiting {
        struct pdb_shelf_column *oldest, *newest; /* in the order in which they were let go */
        size_t bytes, most;                       /* of their cells */
    } of[PDB_USES];
} pdb_room;
#define PDB_ROOM_SPENT ((size_t)16 << 20)
#define PDB_ROOM_APART ((size_t)2 << 20)
#define PDB_ROOM_TAKEN ((size_t)90 << 20)
void *pdb_room_memory(pdb_room *r, size_t bytes, size_t *capacity);

/* ---- perfdb files (h5file.c, h5read.c) ------------------------------------------------------- */

typedef struct pdb_file pdb_file;
typedef struct pdb_group pdb_group;

typedef enum pdb_cell_kind { PDB_CELL_INT, PDB_CELL_REAL, PDB_CELL_TEXT } pdb_cell_kind;

/* A column as stored: nothing is converted, so that reading costs no more than unpacking. */
typedef struct pdb_cells {
    pdb_cell_kind kind;
    int width;      /* bytes per cell: 1, 2, 4, 8 */
    bool is_signed; /* PDB_CELL_INT of 8 bytes that may be negative */
    bool boolean;   /* PDB_CELL_INT that says true or false; left false by pdb_group_read */
    size_t rows;
    void *data;
    size_t capacity;  /* bytes that data has */
    size_t n_members; /* PDB_CELL_TEXT: cells are indices below this */
    char **members;   /* texts; NULL where the enumeration skips a value (no cell holds it) */
} pdb_cells;

/* A cell as 64 bits: integers widened, the bits of a double, the index of a text. */
static inline uint64_t pdb_cell_bits(const pdb_cells *c, size_t row) {
    switch (c->width) {
    case 1:
        return ((const uint8_t *)c->data)[row];
    case 2:
        return ((const uint16_t *)c->data)[row];
    case 4:
        return ((const uint32_t *)c->data)[row];
    default:
        return ((const uint64_t *)c->data)[row];
    }
}

pdb_file *pdb_file_open(const char *path, aic_error *err);
void pdb_file_close(pdb_file *f);
const char *pdb_file_path(const pdb_file *f);
/* Root attributes. */
typedef struct pdb_head {
    char system[64], release[64], digest[65];
    int64_t rows, tables;
} pdb_head;
const pdb_head *pdb_file_head(const pdb_file *f);
bool pdb_file_has(pdb_file *f, const char *group); /* reachable through hard links; listed once */
bool pdb_file_measures(pdb_file *f, const char *table, const char *family); /* its groups say so */
/* Names of the members of a group, sorted bytewise, in the arena; false when it cannot be listed. */
bool pdb_file_list(pdb_file *f, const char *group, aic_arena *a, const char ***names, size_t *n,
                   aic_error *err);
/* Paths of all tables (the groups three levels below the root) in byte order, in the arena; false when a part
 * of the file cannot be listed, with those found so far. */
bool pdb_file_groups(pdb_file *f, aic_arena *a, const char ***paths, size_t *n, aic_error *err);

pdb_group *pdb_group_open(pdb_file *f, const char *path, aic_error *err);
void pdb_group_close(pdb_group *g);
size_t pdb_group_rows(const pdb_group *g);
bool pdb_group_attr(pdb_group *g, const char *name, char *out, size_t size,
                    aic_error *err); /* a text attribute */
bool pdb_group_has(pdb_group *g, const char *column);
bool pdb_group_is_boolean(pdb_group *g, const char *column);
/* room: where memory for the cells comes from; NULL = the heap. */
bool pdb_group_read(pdb_group *g, const char *column, pdb_room *room, pdb_cells *out, aic_error *err);
void pdb_cells_free(pdb_cells *c);

/* Something read before could not be read again, or differs: errno for pdb_hdf5_read_error. */
void pdb_hdf5_note_read_error(int why);

/* ---- columns in memory (shelf.c) --------------------------------------------------------------- */

/* A column, read once and shared by all tables of all views that are made from it. */
typedef struct pdb_stored {
    pdb_cells cells;
    uint32_t *ids;                /* texts: interned id by cell value; else NULL */
    char content[AIC_XXH128_HEX]; /* digest of the cells as stored */
} pdb_stored;

/* The groups and columns of a file that were asked for. Groups stay open; of a column everything stays but
 * its cells, which are there while it is held. For any thread; threads that want different columns do not
 * wait for one another, but where HDF5 makes them. */
typedef struct pdb_shelf pdb_shelf;
typedef struct pdb_shelf_group pdb_shelf_group;

pdb_shelf *pdb_shelf_new(pdb_file *f);
void pdb_shelf_free(pdb_shelf *s); /* NULL is allowed */
pdb_shelf *pdb_file_shelf(const pdb_file *f);
pdb_shelf_group *pdb_shelf_open(pdb_shelf *s, const char *path, aic_error *err); /* NULL = failed */
size_t pdb_shelf_rows(const pdb_shelf_group *g);
/* Takes hold of a column; texts get ids of db. NULL: there is none (*absent), or it cannot be read. */
const pdb_stored *pdb_shelf_hold(pdb_shelf_group *g, const char *column, pdb *db, bool *absent,
                                 aic_error *err);
enum { PDB_SHELF_MOST = 2 * PDB_MAX_AXES + PDB_MAX_VALUES + 1 };
/* Takes hold of n columns (at most PDB_SHELF_MOST) that were held before. One that cannot be read any more
 * counts as zeros, and as a read error. */
void pdb_shelf_hold_again(const pdb_stored *const *columns, size_t n);
void pdb_shelf_drop(const pdb_stored *const *columns, size_t n, pdb_use use); /* of one database */

/* ---- databases and views (database.c, view.c) ------------------------------------------------ */

typedef struct pdb_sheet {
    const char *name, *path;
    const pdb_system *system; /* NULL until first asked for */
} pdb_sheet;

/* A request for a view that was granted: sweeps ask for each of a few views thousands of times. */
typedef struct pdb_granted {
    const pdb_system *system;
    const char *backend, *version; /* as asked for */
    bool shared, allow_unlisted;
    struct pdb_view_impl *view;
} pdb_granted;

typedef struct pdb_opened {
    const pdb_release *release;
    const char *system;
    pdb_file *file;
} pdb_opened;

struct pdb {
    pthread_mutex_t lock; /* guards arena, sheets, files, views, granted */
    aic_arena *arena;
    pdb_release **releases; /* in the order of the folders given */
    size_t n_releases;
    pdb_sheet *sheets; /* sorted by name */
    size_t n_sheets;
    pdb_opened *files;
    size_t n_files, cap_files;
    struct pdb_view_impl **views;
    size_t n_views, cap_views;
    pdb_granted *granted;
    size_t n_granted, cap_granted;
    pdb_room room;
    pthread_mutex_t text_lock; /* guards texts; taken last, held briefly */
    aic_intern *texts;         /* category texts of all tables */
};

typedef struct pdb_made { /* what pdb_derived keeps */
    bool ready;           /* false: some thread is building it */
    const void *identity, *object;
    const void *key; /* NULL: the identity says it all */
    size_t key_size;
    const char *why;
    pdb_reads reads; /* while it was built */
} pdb_made;

typedef struct pdb_made_place {
    uint32_t number; /* of an object, + 1; 0 = free */
    uint32_t tag;    /* half of its hash */
} pdb_made_place;

typedef struct pdb_resolved { /* what pdb_sources keeps */
    const char *table;
    const pdb_source *list;
    size_t n;
} pdb_resolved;

/* What was read of a table, and its content (reads.c). */
typedef struct pdb_read {
    const void *identity; /* a schema, or the name of a table in a pdb_resolved */
    char sha256[65];
} pdb_read;
typedef struct pdb_read_set {
    uint64_t set[PDB_READ_WORDS];
    char sha256[65];
} pdb_read_set;

typedef struct pdb_view_impl {
    pdb_view pub;               /* first, so that a pdb_view * is a pdb_view_impl * */
    const pdb_release *release; /* NULL: the system has no data */
    pdb_file *file;             /* NULL likewise */
    atomic_uint builders;       /* arenas that are not idle, and who expects to need one */
    pthread_mutex_t lock;       /* guards everything below; never held while something is built */
    pthread_cond_t built;       /* an object, a grid or sites became ready */
    aic_arena *arena;           /* of what is no object */
    aic_arena **arenas;         /* of objects: each belongs to one builder at a time */
    size_t n_arenas, cap_arenas;
    aic_arena **idle; /* those of no builder */
    size_t n_idle, cap_idle;
    pdb_made *made;
    size_t n_made, cap_made;
    pdb_made_place *made_index; /* by hash of identity and key; at most half full */
    size_t n_made_index;        /* a power of two */
    pdb_resolved *resolved;
    size_t n_resolved, cap_resolved;
    pdb_origin origins[PDB_ORIGIN_MAX]; /* sources of rows taken from elsewhere, in the order met */
    size_t n_origins;
    pdb_read *reads; /* in the order of first reading, which differs from run to run */
    size_t n_reads, cap_reads;
    pdb_read_set *read_sets; /* digests of sets asked for so far */
    size_t n_read_sets, cap_read_sets;
    pdb_loaded loaded; /* since the view was opened */
} pdb_view_impl;

/* ---- numbers for keys (numbers.c) -------------------------------------------------------------- */

static inline bool pdb_same_key(const uint64_t *a, const uint64_t *b, int words) {
    for (int i = 0; i < words; i++)
        if (a[i] != b[i])
            return false;
    return true;
}
static inline size_t pdb_hash_key(const uint64_t *key, int words) {
    uint64_t h = 0;
    for (int i = 0; i < words; i++) {
        h = (h ^ key[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return (size_t)(h ^ h >> 15);
}

/* Keys of `words` words each, numbered from 0 in the order in which they are first seen. Set words, the rest
 * zero; pdb_numbers_free. Fewer than 2^31 keys. */
typedef struct pdb_numbers {
    int words;
    uint64_t *keys;
    size_t n, cap;
    uint32_t *index; /* number + 1 by hash, 0 = free; a power of two, at most half full */
    size_t n_index;
} pdb_numbers;
uint32_t pdb_number(pdb_numbers *t, const uint64_t *key);
uint32_t pdb_number_find(const pdb_numbers *t, const uint64_t *key); /* UINT32_MAX = not seen */
void pdb_numbers_free(pdb_numbers *t);

/* ---- rows of a table (scan.c, slices.c) -------------------------------------------------------------------
 */

/* Rows of one source, column by column as stored. Slots follow the schema; NULL = an absent optional column,
 * which counts as zeros. Cells are there while somebody holds them. */
typedef struct pdb_part {
    size_t rows;              /* 0: the source contributes nothing */
    const pdb_source *source; /* NULL: rows put together in memory, on no shelf */
    pdb_origins from;         /* of all rows */
    const pdb_origins *marks; /* in place of it where rows differ; NULL = they do not */
    const pdb_stored *cat[PDB_MAX_CATS], *axis[PDB_MAX_AXES], *plus[PDB_MAX_AXES], *value[PDB_MAX_VALUES];
    const pdb_stored *power, *kernel;
    bool *allowed; /* by cell value of kernel: rows that count; NULL = all do */
} pdb_part;

/* A reading of all sources of a table. */
typedef struct pdb_parts {
    const pdb_view *view;
    const pdb_schema *schema;
    pdb_part *part;
    size_t n;
    uint32_t rows; /* of all parts */
    struct {
        const pdb_stored **list;
        size_t n, cap;
    } held[PDB_USES];    /* the columns */
    aic_sha256 *content; /* of all that was read; NULL = this table was read before */
    double start;
    aic_error err; /* why the table cannot be used */
} pdb_parts;
/* Reads the columns and checks their keys. False: failed, in p->err; pdb_parts_end in any case. */
bool pdb_parts_read(const pdb_view *view, const pdb_schema *schema, pdb_parts *p);
bool pdb_parts_fault(pdb_parts *p, const pdb_part *at, const char *fault); /* a hook's; returns false */
/* Notes what was read and lets go of it. What went wrong, in a text of the view, or NULL. */
const char *pdb_parts_end(pdb_parts *p);

/* What a row of a part says of itself before the hook: categories, and as many axes. */
void pdb_part_keys(const pdb_part *p, const pdb_schema *schema, int axes, size_t row, pdb_row *out);

/* Rows grouped by slice. All arrays are the arena's. */
typedef struct pdb_slicing {
    pdb_slice *slices; /* first-encounter order; table is left NULL */
    size_t n_slices;
    pdb_numbers keys;  /* of the slices */
    uint32_t *start;   /* n_slices + 1: where each slice begins in order */
    uint32_t *order;   /* rows, numbered through all parts, grouped by slice, in order of precedence within */
    const char *fault; /* of the first row whose hook found one; the rest is void then */
    const pdb_part *fault_at;
} pdb_slicing;
pdb_slicing pdb_slices_of(aic_arena *a, const pdb_parts *p);
uint32_t pdb_slices_find(const pdb_slicing *s, const uint64_t *key); /* UINT32_MAX = no such slice */

/* The same for rows that come one by one, numbered from 0. finish: in which sequence they take precedence;
 * frees g. */
typedef struct pdb_grouping pdb_grouping;
pdb_grouping *pdb_grouping_new(int n_key);
void pdb_grouping_add(pdb_grouping *g, const uint64_t *cat);
pdb_slicing pdb_grouping_finish(pdb_grouping *g, aic_arena *a, const uint32_t *sequence);
void pdb_grouping_free(pdb_grouping *g);

static inline pdb_view_impl *pdb_impl(const pdb_view *v) {
    return (pdb_view_impl *)(uintptr_t)v;
}

/* The marks of rows that come from a source of the view. v->lock held. */
pdb_origins pdb_origin_of(pdb_view_impl *v, const pdb_source *s);

/* ---- what is read (reads.c); the view's lock held ---- */

/* Has the identity been read before? A new one needs a digest. */
bool pdb_read_known(const pdb_view_impl *v, const void *identity);
/* Notes a reading in the thread's record; sha256 is used when the identity is new. */
void pdb_read_note(pdb_view_impl *v, const void *identity, const char *sha256);
/* The digest of one that is known. */
const char *pdb_read_digest(const pdb_view_impl *v, const void *identity);

/* Name of the system whose tables stand for those of `system`: itself unless its sheet says otherwise. */
const char *pdb_measured_as(pdb *db, const char *system);
const pdb_release *pdb_release_of(const pdb *db,
                                  const char *measured); /* the first that has its file; NULL = none */
/* Perfdb files in a release's folder: systems in byte order and the paths of their files, in the arena. */
bool pdb_release_files(aic_arena *a, const char *dir, const char ***systems, const char ***paths, size_t *n,
                       aic_error *err);
/* Opens (or finds) a system's file. db->lock held. */
pdb_file *pdb_file_of(pdb *db, const pdb_release *r, const char *system, aic_error *err);
void pdb_view_free(pdb_view_impl *v);
/* The view of the same version that shares rows where this one does not, and the other way round; NULL =
 * nobody asked for it. */
pdb_view_impl *pdb_view_twin(const pdb_view *view);
/* An object without key that is made already; else NULL. v->lock held. */
const void *pdb_made_already(const pdb_view_impl *v, const void *identity);
/* An arena of the view for one builder, and back. v->lock held. */
aic_arena *pdb_arena_take(pdb_view_impl *v);
void pdb_arena_give(pdb_view_impl *v, aic_arena *a);
const pdb_system *pdb_sheet_read(aic_arena *a, const char *name, const char *path,
                                 aic_error *err); /* system.c */

/* ---- building blocks of interpolation -------------------------------------------------------- */

/* Stable ascending order of n rows of `width` keys each (most significant first). order: n entries, filled
 * here. */
void pdb_sort_rows(size_t n, int width, const uint64_t *keys, uint32_t *order);
bool pdb_rows_ascend(size_t n, int width, const uint64_t *keys); /* they stand in that order already */

/* The largest unsigned 64-bit key not above c; false when there is none. */
static inline bool pdb_floor_key(double c, uint64_t *key) {
    if (!(c >= 0 && c < 18446744073709551616.0))
        return false;
    *key = c < 9223372036854775808.0 ? (uint64_t)(int64_t)c : (uint64_t)c; /* signed: one instruction */
    return true;
}

/* Is c exactly such a key? */
static inline bool pdb_whole_key(double c, uint64_t *key) {
    return pdb_floor_key(c, key) && (double)*key == c;
}

static inline bool pdb_valid(double x) { /* finite and positive */
    return x > 0 && x <= 1.7976931348623157e308;
}

static inline double pdb_log2_floor(double x) { /* log2 of a coordinate, zero kept finite */
    return log2(x > 1e-12 ? x : 1e-12);
}

static inline double pdb_blend_power(const pdb_leaf *l) {
    return l->energy > 0 && l->latency > 0 ? l->energy / l->latency : l->power;
}

/* A key as a real: the same value either way, in one instruction where the sign allows it. */
static inline double pdb_key_real(uint64_t key) {
    return key >> 63 ? (double)key : (double)(int64_t)key;
}

/* First key of lo..hi above `key`; keys ascend there. */
#define PDB_AFTER(name, type)                                                                                \
    static inline uint32_t name(const type *keys, uint32_t lo, uint32_t hi, type key) {                      \
        while (lo < hi) {                                                                                    \
            uint32_t mid = lo + (hi - lo) / 2;                                                               \
            if (keys[mid] <= key)                                                                            \
                lo = mid + 1;                                                                                \
            else                                                                                             \
                hi = mid;                                                                                    \
        }                                                                                                    \
        return lo;                                                                                           \
    }
PDB_AFTER(pdb_after, uint64_t)
PDB_AFTER(pdb_after_real, double)

/* What is kept of leaves beside their latencies, in the arena: entry i is that of row order[i]. NULL when
 * there is nothing to tell. */
static inline const pdb_origins *pdb_keep_origins(aic_arena *a, const pdb_origins *from, size_t kept,
                                                  const uint32_t *order) {
    pdb_origins any = 0;
    for (size_t i = 0; from && i < kept; i++)
        any |= from[order[i]];
    if (!any)
        return NULL;
    pdb_origins *out = aic_arena_alloc(a, kept, sizeof *out);
    for (size_t i = 0; i < kept; i++)
        out[i] = from[order[i]];
    return out;
}

static inline bool pdb_is_zero(double x) { /* 0 itself: energies may be -0 or NaN where powers are 0 */
    return x == 0 && !signbit(x);
}

static inline const pdb_watts *pdb_keep_watts(aic_arena *a, const pdb_leaf *leaves, size_t kept,
                                              const uint32_t *order) {
    size_t i = 0;
    while (i < kept && pdb_is_zero(leaves[order[i]].power) && pdb_is_zero(leaves[order[i]].energy))
        i++;
    if (i == kept)
        return NULL;
    pdb_watts *out = aic_arena_alloc(a, kept, sizeof *out);
    for (i = 0; i < kept; i++)
        out[i] = (pdb_watts){leaves[order[i]].power, leaves[order[i]].energy};
    return out;
}

/* Between two latencies, on raw values or in square-root space. */
static inline double pdb_blend(double from, double to, double w, bool in_roots) {
    if (!in_roots)
        return from + (to - from) * w;
    double a = from <= 0 ? 0.0 : sqrt(from), b = to <= 0 ? 0.0 : sqrt(to), r = a + (b - a) * w;
    return r * r;
}

/* The latency at c, of which axis `level` alone stands elsewhere than at `at`, where it was measured: carried
 * over along SOL. */
static inline double pdb_carried(int axes, pdb_sol sol, const void *ctx, const double *c, int level,
                                 double at, double latency) {
    double shifted[PDB_MAX_AXES];
    for (int i = 0; i < axes; i++)
        shifted[i] = i == level ? at : c[i];
    double here = sol(ctx, c), there = sol(ctx, shifted);
    return pdb_valid(here) && pdb_valid(there) ? latency * (here / there) : latency;
}

/* Nearest leaves of a nested tree (near.c). */
typedef struct pdb_near_tree {
    int axes;
    uint32_t roots;                      /* nodes of level 0 */
    const double *pos[PDB_MAX_AXES];     /* position of every node of a level, ascending within a parent */
    const uint32_t *first[PDB_MAX_AXES]; /* children of node j of level i: first[i][j] .. first[i][j+1];
                                            levels 0..axes-2 */
    const uint32_t *rank;                /* order of equally distant leaves; NULL = leaf order */
} pdb_near_tree;

enum { PDB_NEAR_MAX = 5 };
typedef struct pdb_near_hit {
    double distance; /* Euclidean, rounded after the square root */
    uint32_t leaf;
    double value; /* what accept left */
} pdb_near_hit;

/* Fills hit with the `want` nearest leaves that accept lets pass (NULL = all), nearest first, ties by rank;
 * returns how many. path: node of each level down to the leaf. */
typedef bool (*pdb_near_accept)(const void *ctx, const uint32_t *path, double *value);
int pdb_near(const pdb_near_tree *t, const double *target, int want, pdb_near_accept accept, const void *ctx,
             pdb_near_hit *hit);

/* Leaves that can be near any of several targets that differ in their last coordinate. */
enum { PDB_NEAR_LIST = 64 };
typedef struct pdb_near_list {
    int n;
    double partial[PDB_NEAR_LIST]; /* squared distances of the axes before the last, added up */
    double pos[PDB_NEAR_LIST];     /* along the last */
    double value[PDB_NEAR_LIST];   /* what accept left */
    uint32_t leaf[PDB_NEAR_LIST];
} pdb_near_list;
/* Lists every leaf that pdb_near could find for some target whose last coordinate lies in low .. high, the
 * others being target's. tree->rank must be NULL. False: more than a list holds. */
bool pdb_near_gather(const pdb_near_tree *t, const double *target, double low, double high, int want,
                     pdb_near_accept accept, const void *ctx, pdb_near_list *list);
/* What pdb_near finds for the target with this last coordinate. */
int pdb_near_pick(const pdb_near_list *list, double last, int want, pdb_near_hit *hit);

/* ---- GRID beyond its range (grid_hold.c) ---- */

pdb_miss pdb_grid_hold(const pdb_grid *g, const double *coords, pdb_sol sol, const void *ctx, double *latency,
                       double *power, pdb_origins *from);
/* Lists for queries that share all coordinates but the last, by stretches of that. */
enum { PDB_HOLD_LISTS = 16 };
typedef struct pdb_hold_lists {
    int stretch[PDB_HOLD_LISTS];
    bool usable[PDB_HOLD_LISTS];
    pdb_near_list list[PDB_HOLD_LISTS];
} pdb_hold_lists;
/* Before the first query, and whenever another coordinate than the last changes. */
void pdb_hold_forget(pdb_hold_lists *lists);
/* pdb_grid_hold, faster where there are many. */
pdb_miss pdb_grid_hold_listed(const pdb_grid *g, pdb_hold_lists *lists, const double *coords, pdb_sol sol,
                              const void *ctx, double *latency, double *power, pdb_origins *from);

#endif
