/* Recomputing the digests of perfdb files (docs/formats/perfdb.md). */
#include "perfdb/rows.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct verifier {
    pdb_file *file;
    FILE *out;
    aic_arena *arena;
    aic_sha256 *root;
    int64_t rows, tables;
    size_t faults;
    bool unreadable; /* a fault of the storage, not of the content */
} verifier;

static void fault(verifier *v, const char *group, const char *text) {
    fprintf(v->out, "  %s: %s\n", group, text);
    v->faults++;
}

static void fault_of(verifier *v, const char *group, const aic_error *err) {
    v->unreadable |= err->code == AIC_IO;
    fault(v, group, err->text);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static bool add_column(pdb_group *g, const char *name, aic_sha256 *h, aic_error *err) {
    pdb_cells c;
    if (!pdb_group_read(g, name, NULL, &c, err))
        return false;
    pdb_cells_digest(h, name, &c);
    pdb_cells_free(&c);
    return true;
}

static bool group_digest(verifier *v, pdb_group *g, const char *path, char digest[65], aic_error *err) {
    const char **columns;
    size_t n;
    aic_sha256 *h = aic_sha256_new();
    bool ok = pdb_file_list(v->file, path, v->arena, &columns, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = add_column(g, columns[i], h, err);
    aic_sha256_hex(h, digest);
    return ok;
}

static void verify_group(verifier *v, const char *path) {
    aic_error err = {0};
    char stored[65], family[64], computed[65];
    pdb_group *g = pdb_group_open(v->file, path, &err);
    bool ok = g && pdb_group_attr(g, "digest", stored, sizeof stored, &err) &&
              pdb_group_attr(g, "family", family, sizeof family, &err) &&
              group_digest(v, g, path, computed, &err);
    if (!ok) {
        fault_of(v, path, &err);
        pdb_group_close(g);
        return;
    }
    if (strcmp(stored, computed) != 0)
        fault(v, path, "the rows are not those its digest was made from");
    v->rows += (int64_t)pdb_group_rows(g);
    v->tables++;
    aic_sha256_add(v->root, path, strlen(path) + 1);
    aic_sha256_add(v->root, computed, 65);
    pdb_group_close(g);
}

static void verify_groups(verifier *v) {
    aic_error err = {0};
    const char **groups;
    size_t n;
    if (!pdb_file_groups(v->file, v->arena, &groups, &n, &err))
        fault_of(v, "/", &err);
    for (size_t i = 0; i < n; i++)
        verify_group(v, groups[i]);
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool verify_file(pdb_file *f, FILE *out, aic_error *err) {
    verifier v = {.file = f, .out = out, .arena = aic_arena_new(), .root = aic_sha256_new()};
    const pdb_head *h = pdb_file_head(f);
    char digest[65];
    verify_groups(&v);
    aic_sha256_hex(v.root, digest);
    if (!v.faults && strcmp(digest, h->digest) != 0)
        fault(&v, "/", "the groups are not those the file's digest was made from");
    if (v.rows != h->rows || v.tables != h->tables)
        fault(&v, "/", "the counts of rows and tables do not add up");
    if (v.faults)
        aic_fail(err, v.unreadable ? AIC_IO : AIC_FINDING, "%s: %zu fault%s", pdb_file_path(f), v.faults,
                 v.faults == 1 ? "" : "s");
    fprintf(out, "%s  %s  %" PRId64 " tables, %" PRId64 " rows, digest %.16s\n", v.faults ? "BAD" : "ok ",
            pdb_file_path(f), v.tables, v.rows, digest);
    aic_arena_free(v.arena);
    return v.faults == 0;
}

bool pdb_verify_file(const char *path, FILE *out, aic_error *err) {
    pdb_file *f = pdb_file_open(path, err);
    if (!f) {
        fprintf(out, "BAD  %s\n  %s\n", path, err ? err->text : "cannot be opened");
        return false;
    }
    bool ok = verify_file(f, out, err);
    pdb_file_close(f);
    return ok;
}

static bool verify_system(pdb *db, const char *system, FILE *out, aic_error *err) {
    const char *measured = pdb_measured_as(db, system);
    const pdb_release *r = pdb_release_of(db, measured);
    if (!r)
        return aic_fail(err, AIC_BAD_INPUT, "%s has no measured tables: no perfdb folder holds %s.h5", system,
                        measured);
    pthread_mutex_lock(&db->lock);
    pdb_file *f = pdb_file_of(db, r, measured, err);
    pthread_mutex_unlock(&db->lock);
    if (f)
        return verify_file(f, out, err);
    fprintf(out, "BAD  %s/%s.h5\n  %s\n", r->dir, measured, err ? err->text : "cannot be opened");
    return false;
}

bool pdb_verify(pdb *db, const char *system, FILE *out, aic_error *err) {
    if (system)
        return pdb_system_get(db, system, err) && verify_system(db, system, out, err);
    bool ok = true;
    for (size_t i = 0; i < pdb_system_count(db);
         i++) { /* every file is looked at; the first fault is reported */
        aic_error one = {0};
        const char *system = pdb_system_name(db, i);
        bool own = pdb_measured_as(db, system) == system; /* a file is looked at once */
        if (!own || !pdb_release_of(db, system) || verify_system(db, system, out, &one))
            continue;
        if (ok && err)
            *err = one;
        ok = false;
    }
    return ok;
}
