/* What is inside: the table that `db info` prints. */
#include "perfdb/internal.h"
#include <inttypes.h>
#include <string.h>

/* One line per table and backend: versions with their rows. */
static bool print_versions(pdb_file *f, aic_arena *a, const char *table, const char *backend, FILE *out,
                           aic_error *err) {
    const char **versions;
    size_t n;
    const char *path = aic_arena_printf(a, "/%s/%s", table, backend);
    if (!pdb_file_list(f, path, a, &versions, &n, err))
        return false;
    fprintf(out, "  %-34s %-7s", table, backend);
    for (size_t i = 0; i < n; i++) {
        pdb_group *g = pdb_group_open(f, aic_arena_printf(a, "%s/%s", path, versions[i]), err);
        if (!g)
            return false;
        fprintf(out, "  %s (%zu)", versions[i], pdb_group_rows(g));
        pdb_group_close(g);
    }
    fprintf(out, "\n");
    return true;
}

static bool print_tables(pdb_file *f, FILE *out, aic_error *err) {
    aic_arena *a = aic_arena_new();
    const char **tables, **backends;
    size_t n_tables, n_backends;
    bool ok = pdb_file_list(f, "/", a, &tables, &n_tables, err);
    for (size_t i = 0; ok && i < n_tables; i++) {
        ok = pdb_file_list(f, aic_arena_printf(a, "/%s", tables[i]), a, &backends, &n_backends, err);
        for (size_t k = 0; ok && k < n_backends; k++)
            ok = print_versions(f, a, tables[i], backends[k], out, err);
    }
    aic_arena_free(a);
    return ok;
}

static void print_backend(const pdb_release *r, const char *system, const char *backend,
                          const aic_node *versions, FILE *out) {
    pdb_slots s;
    fprintf(out, "  %-8s", backend);
    for (size_t i = 0; i < versions->count; i++)
        fprintf(out, " %s", versions->items[i]->text);
    if (pdb_release_slots(r, system, backend, &s))
        fprintf(out, "  (current %s%s%s%s%s)", s.current, s.previous ? ", previous " : "",
                s.previous ? s.previous : "", s.next ? ", next " : "", s.next ? s.next : "");
    fprintf(out, "\n");
}

static void print_backends(const pdb_release *r, const char *system, FILE *out) {
    const aic_node *all = aic_map_get(r->directories, system);
    for (size_t i = 0; all && all->kind == AIC_K_MAP && i < all->count; i++)
        if (all->items[i]->kind == AIC_K_LIST)
            print_backend(r, system, all->keys[i]->text, all->items[i], out);
}

static bool print_system(pdb *db, const char *system, bool tables, FILE *out, aic_error *err) {
    const char *measured = pdb_measured_as(db, system);
    const pdb_release *r = pdb_release_of(db, measured);
    if (measured != system) {
        fprintf(out, "%s: spec sheet, measured as %s%s\n", system, measured,
                r ? "" : ", of which there are no tables");
        return true;
    }
    if (!r) {
        fprintf(out, "%s: spec sheet only, nothing measured\n", system);
        return true;
    }
    pthread_mutex_lock(&db->lock);
    pdb_file *f = pdb_file_of(db, r, system, err);
    pthread_mutex_unlock(&db->lock);
    if (!f)
        return false;
    const pdb_head *h = pdb_file_head(f);
    fprintf(out, "%s: release %s, %" PRId64 " tables, %" PRId64 " rows, digest %.16s\n", system, h->release,
            h->tables, h->rows, h->digest);
    print_backends(r, system, out);
    return !tables || print_tables(f, out, err);
}

bool pdb_info(pdb *db, const char *system, FILE *out, aic_error *err) {
    if (system)
        return pdb_system_get(db, system, err) && print_system(db, system, true, out, err);
    for (size_t i = 0; i < db->n_releases; i++)
        fprintf(out, "release %s in %s\n", db->releases[i]->name, db->releases[i]->dir);
    for (size_t i = 0; i < pdb_system_count(db); i++)
        if (!print_system(db, pdb_system_name(db, i), false, out, err))
            return false;
    return true;
}
