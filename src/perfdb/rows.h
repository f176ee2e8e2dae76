/* Whole tables in memory: read from a perfdb file or from CSV, written, compared. Private to perfdb. */
#ifndef AICFG_PERFDB_ROWS_H
#define AICFG_PERFDB_ROWS_H

#include "perfdb/internal.h"

/* ---- what is known of columns and tables by name (facts.c; docs/formats/perfdb.md) ------------ */

typedef enum pdb_role {
    PDB_ROLE_KEY,       /* tells rows of a table apart */
    PDB_ROLE_VALUE,     /* was measured */
    PDB_ROLE_PROVENANCE /* says who measured: neither */
} pdb_role;

typedef enum pdb_unit { PDB_UNIT_NONE, PDB_UNIT_MS, PDB_UNIT_US } pdb_unit;

typedef struct pdb_column_fact {
    const char *name;
    pdb_cell_kind kind;
    bool boolean; /* PDB_CELL_INT that says true or false */
    pdb_role role;
} pdb_column_fact;

const pdb_column_fact *pdb_column_fact_find(const char *name); /* NULL = a column nobody knows */
int pdb_column_place(const char *name); /* where collectors put it: keys, keys nobody knows, measurements */
pdb_role pdb_column_role(const char *name,
                         pdb_cell_kind kind); /* unknown: doubles are values, the rest keys */
pdb_unit pdb_column_unit(const char *table, const char *name);
bool pdb_table_is_difference(const char *table); /* measured against another kernel: may be close to 0 */

/* ---- cells (cells.c) -------------------------------------------------------------------------- */

double pdb_cell_number(const pdb_cells *c, size_t row); /* integers and doubles */
/* A column of integers in the narrowest type that holds them; values are copied. */
pdb_cells pdb_cells_of_ints(const int64_t *values, size_t rows);
/* A column of texts: cells index members[0..n), n at most 65536; both are copied. */
pdb_cells pdb_cells_of_texts(const uint32_t *cells, size_t rows, const char *const *members, size_t n);
/* Gives a text another name, in all its cells; how many. Two texts of one name become one. */
size_t pdb_cells_rename(pdb_cells *c, const char *old, const char *now);
/* Adds a column's part to the digest of its group. */
void pdb_cells_digest(aic_sha256 *h, const char *name, const pdb_cells *c);

/* ---- tables ----------------------------------------------------------------------------------- */

/* The columns of one table in any order. Zero-initialise, free with pdb_rows_free. */
typedef struct pdb_rows {
    size_t rows;
    size_t n, cap; /* columns */
    char **names;
    pdb_cells *cells;
} pdb_rows;

void pdb_rows_free(pdb_rows *r);
void pdb_rows_add(pdb_rows *r, const char *name, pdb_cells cells);   /* takes the cells */
const pdb_cells *pdb_rows_find(const pdb_rows *r, const char *name); /* NULL = no such column */
void pdb_rows_sort_columns(pdb_rows *r);                             /* by the bytes of their names */
void pdb_rows_keep(pdb_rows *r, const size_t *kept, size_t n);       /* these rows and no others, in order */
void pdb_rows_remove(pdb_rows *r, const char *name);                 /* a column, if there is one */
bool pdb_rows_read(pdb_file *f, const char *group, pdb_rows *out, aic_error *err);

/* ---- rows by key (keys.c) --------------------------------------------------------------------- */

/* Rows of one table, found by the cells of its key columns. Rows of one key stay in their order. */
typedef struct pdb_keys pdb_keys;
/* columns: indices into r's columns. Texts compare by content across tables that share `texts`. */
pdb_keys *pdb_keys_new(const pdb_rows *r, const size_t *columns, size_t n, aic_intern *texts);
void pdb_keys_free(pdb_keys *k);
size_t pdb_keys_repeats(const pdb_keys *k); /* rows whose key an earlier row has */
/* The first row of k not taken yet that has the key of `row` of `other` (columns side by side), and takes it;
 * SIZE_MAX = none is left. */
size_t pdb_keys_take(pdb_keys *k, const pdb_keys *other, size_t row);

/* ---- what importers know by name (import_facts.c; data/import.yaml) --------------------- */

typedef struct pdb_import_facts pdb_import_facts;
pdb_import_facts *pdb_import_facts_load(const char *path, aic_error *err); /* NULL = failed */
void pdb_import_facts_free(pdb_import_facts *f);
const char *pdb_import_family(const pdb_import_facts *f, const char *table); /* "gemm"; NULL = nobody knows */
const char *pdb_import_system(const pdb_import_facts *f, const char *system); /* today's name */
/* Today's name of a table that lies in a folder with these files. */
const char *pdb_import_table(const pdb_import_facts *f, const char *table, const char *backend,
                             const char *version, const char *const *files, size_t n);
/* A LIST of the columns of a table whose first release did not name them, or NULL. */
const aic_node *pdb_import_header(const pdb_import_facts *f, const char *table);
/* Makes a table of text say what it would say today, and counts what it changed. */
bool pdb_import_translate(const pdb_import_facts *f, const char *table, const char *path, pdb_rows *r,
                          pdb_import_summary *sum, aic_error *err);

/* ---- reading CSV (csv_rows.c) ------------------------------------------------------------------ */

/* Reads a table as collectors write it. header: its columns should the file not begin with their names, a
 * LIST of texts, or NULL. Errors carry file and line. */
bool pdb_csv_rows(const char *path, const aic_node *header, pdb_rows *out, aic_error *err);

/* ---- trees of CSV files (import_tree.c) ------------------------------------------------------- */

typedef struct pdb_tree_file {
    const char *path, *source; /* where it is; the same from the tree's folder */
    const char *family, *backend, *version, *table;
    const char *group; /* "/table/backend/version" */
} pdb_tree_file;

typedef struct pdb_tree {
    pdb_tree_file *files; /* in byte order of their groups */
    size_t n, cap;
    size_t ignored; /* other files that were passed over */
    size_t renamed; /* tables that lie there under an old name */
    size_t vetoed;  /* version folders their collector marked as incomplete */
} pdb_tree;

/* Finds the tables below dir. Strings live in the arena and in the facts, the list is the caller's to free.
 */
bool pdb_tree_find(aic_arena *a, const char *dir, const pdb_import_facts *facts, pdb_tree *out,
                   aic_error *err);

/* ---- writing (h5write.c) ---------------------------------------------------------------------- */

typedef struct pdb_writer pdb_writer;
/* Starts FILE under a temporary name beside it. */
pdb_writer *pdb_writer_open(const char *path, const char *system, const char *release, const char *origin,
                            const char *licence, aic_error *err);
/* Adds one table; groups come in byte order of their paths. The columns are written as they are ordered. */
bool pdb_writer_add(pdb_writer *w, const char *group, const char *family, const char *source,
                    const pdb_rows *rows, aic_error *err);
/* Ends the file, forces it to disk and gives it its name. Frees w, also on failure. */
bool pdb_writer_publish(pdb_writer *w, aic_error *err);
void pdb_writer_abandon(pdb_writer *w); /* removes the temporary file, frees w; NULL is allowed */
/* Writes a text file in the same manner: temporary name, force to disk, rename. */
bool pdb_publish_text(const char *path, const char *text, aic_error *err);

/* ---- release.yaml (release_write.c) ----------------------------------------------------------- */

/* One version folder of a system. */
typedef struct pdb_measured {
    const char *backend, *version;
} pdb_measured;

/* Writes or extends dir/release.yaml so that it lists what was measured on the system, in place of what it
 * listed before. Where the slots offer none of these versions, the system gets slots of its own. */
bool pdb_release_put(const char *dir, const char *release, const char *system, const pdb_measured *measured,
                     size_t n, aic_error *err);

#endif
