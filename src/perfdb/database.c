/* Databases: which folders there are and which of them provides a system. */
#include "perfdb/internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Visible names in a folder. */
static bool list_folder(aic_arena *a, const char *dir, const char ***names, size_t *n, aic_error *err) {
    DIR *d = opendir(dir);
    if (!d)
        return aic_fail(err, AIC_IO, "cannot read the folder %s: %s", dir, strerror(errno));
    const char **found = NULL;
    size_t cap = 0;
    *n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        AIC_GROW(found, *n, cap);
        found[(*n)++] = aic_arena_strdup(a, e->d_name);
    }
    closedir(d);
    *names = aic_arena_alloc(a, *n, sizeof **names);
    if (*n)
        memcpy(*names, found, *n * sizeof *found);
    free(found);
    return true;
}

/* ---- releases -------------------------------------------------------------------------------- */

/* Folders of releases inside `dir`, or `dir` itself when it is one. */
static bool find_releases(aic_arena *a, const char *dir, const char ***dirs, size_t *n, aic_error *err) {
    *dirs = aic_arena_alloc(a, 1, sizeof **dirs);
    (*dirs)[0] = dir;
    *n = 1;
    if (pdb_release_present(dir))
        return true;
    if (!list_folder(a, dir, dirs, n, err))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        const char *path = aic_arena_printf(a, "%s/%s", dir, (*dirs)[i]);
        if (pdb_release_present(path))
            (*dirs)[kept++] = path;
    }
    *n = kept;
    return kept > 0 || aic_fail(err, AIC_BAD_INPUT,
                                "%s holds no perfdb release: expected %s/<release>/release.yaml "
                                "or %s/release.yaml",
                                dir, dir, dir);
}

/* The release of a folder that was asked for, or the newest. *out = NULL when the one asked for is not there;
 * its neighbours' names go to `seen`. */
static bool choose_release(aic_arena *a, const char *dir, const char *wanted, pdb_release **out,
                           aic_buf *seen, aic_error *err) {
    const char **dirs;
    size_t n;
    *out = NULL;
    if (!find_releases(a, dir, &dirs, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        pdb_release *r = pdb_release_load(dirs[i], err);
        if (!r) {
            pdb_release_free(*out);
            *out = NULL;
            return false;
        }
        aic_buf_printf(seen, "%s%s", seen->len ? ", " : "", r->name);
        bool better =
            wanted ? strcmp(r->name, wanted) == 0 : !*out || pdb_version_compare(r->name, (*out)->name) > 0;
        pdb_release *worse = better ? *out : r;
        *out = better ? r : *out;
        pdb_release_free(worse);
    }
    return true;
}

static bool open_releases(pdb *db, const char *const *dirs, size_t n, const char *wanted, aic_error *err) {
    aic_buf seen = {0};
    db->releases = AIC_NEW_ARRAY(pdb_release *, n);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        pdb_release *r;
        ok = choose_release(db->arena, aic_arena_strdup(db->arena, dirs[i]), wanted, &r, &seen, err);
        if (ok && r)
            db->releases[db->n_releases++] = r;
    }
    if (ok && wanted && n && !db->n_releases)
        ok = aic_fail(err, AIC_BAD_INPUT, "there is no perfdb release %s; found: %s", wanted,
                      seen.len ? seen.data : "none");
    aic_buf_free(&seen);
    return ok;
}

/* ---- spec sheets ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const pdb_sheet *)a)->name, ((const pdb_sheet *)b)->name);
}

static pdb_sheet *find_sheet(const pdb *db, const char *name) {
    pdb_sheet key = {.name = name};
    return db->n_sheets ? bsearch(&key, db->sheets, db->n_sheets, sizeof key, by_name) : NULL;
}

static bool find_sheets(pdb *db, const char *dir, aic_error *err) {
    const char **names;
    size_t n, known = db->n_sheets, cap = known;
    if (!list_folder(db->arena, dir, &names, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (len <= 5 || strcmp(names[i] + len - 5, ".yaml") != 0)
            continue;
        char *name = aic_arena_strndup(db->arena, names[i], len - 5);
        size_t all = db->n_sheets;
        db->n_sheets = known; /* only the sorted part: folders before this one */
        bool seen = find_sheet(db, name) != NULL;
        db->n_sheets = all;
        if (seen)
            continue;
        AIC_GROW(db->sheets, db->n_sheets, cap);
        db->sheets[db->n_sheets++] =
            (pdb_sheet){name, aic_arena_printf(db->arena, "%s/%s", dir, names[i]), NULL};
    }
    if (db->n_sheets)
        qsort(db->sheets, db->n_sheets, sizeof *db->sheets, by_name);
    return true;
}

/* ---- opening and closing --------------------------------------------------------------------- */

pdb *pdb_open(const char *const *dirs, size_t n_dirs, const char *release, const char *const *systems_dirs,
              size_t n_systems_dirs, aic_error *err) {
    pdb *db = AIC_NEW(pdb);
    pthread_mutex_init(&db->lock, NULL);
    pthread_mutex_init(&db->room.lock, NULL);
    db->room.of[PDB_IS_SPENT].most = PDB_ROOM_SPENT;
    db->room.of[PDB_TELLS_APART].most = PDB_ROOM_APART;
    db->room.of[PDB_IS_TAKEN].most = PDB_ROOM_TAKEN;
    pthread_mutex_init(&db->text_lock, NULL);
    db->arena = aic_arena_new();
    db->texts = aic_intern_new();
    bool ok = open_releases(db, dirs, n_dirs, release && *release ? release : NULL, err);
    for (size_t i = 0; ok && i < n_systems_dirs; i++)
        ok = find_sheets(db, systems_dirs[i], err);
    if (ok)
        return db;
    pdb_close(db);
    return NULL;
}

void pdb_close(pdb *db) {
    if (!db)
        return;
    for (size_t i = 0; i < db->n_views; i++)
        pdb_view_free(db->views[i]);
    for (size_t i = 0; i < db->n_files; i++)
        pdb_file_close(db->files[i].file);
    for (size_t i = 0; i < db->n_releases; i++)
        pdb_release_free(db->releases[i]);
    free(db->views);
    free(db->granted);
    free(db->files);
    free(db->releases);
    free(db->sheets);
    aic_intern_free(db->texts);
    aic_arena_free(db->arena);
    pthread_mutex_destroy(&db->lock);
    pthread_mutex_destroy(&db->room.lock);
    pthread_mutex_destroy(&db->text_lock);
    free(db);
}

/* ---- systems --------------------------------------------------------------------------------- */

size_t pdb_system_count(const pdb *db) {
    return db->n_sheets;
}

const char *pdb_system_name(const pdb *db, size_t i) {
    return db->sheets[i].name;
}

static const char *sheet_name(const void *db, size_t i) {
    return ((const pdb *)db)->sheets[i].name;
}

static bool unknown_system(const pdb *db, const char *system, aic_error *err) {
    const char *near = aic_nearest(system, db->n_sheets, sheet_name, db);
    aic_buf all = {0};
    for (size_t i = 0; i < db->n_sheets; i++)
        aic_buf_printf(&all, "%s%s", i ? ", " : "", db->sheets[i].name);
    aic_fail(err, AIC_BAD_INPUT, "there is no system '%s'%s%s%s; systems: %s", system,
             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", all.len ? all.data : "none");
    aic_buf_free(&all);
    return false;
}

const pdb_system *pdb_system_get(pdb *db, const char *system, aic_error *err) {
    pdb_sheet *sheet = find_sheet(db, system);
    if (!sheet) {
        unknown_system(db, system, err);
        return NULL;
    }
    pthread_mutex_lock(&db->lock);
    if (!sheet->system)
        sheet->system = pdb_sheet_read(db->arena, sheet->name, sheet->path, err);
    const pdb_system *s = sheet->system;
    pthread_mutex_unlock(&db->lock);
    return s;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool pdb_release_files(aic_arena *a, const char *dir, const char ***systems, const char ***paths, size_t *n,
                       aic_error *err) {
    size_t kept = 0;
    if (!list_folder(a, dir, systems, n, err))
        return false;
    for (size_t i = 0; i < *n; i++) {
        size_t len = strlen((*systems)[i]);
        if (len > 3 && strcmp((*systems)[i] + len - 3, ".h5") == 0)
            (*systems)[kept++] = aic_arena_strndup(a, (*systems)[i], len - 3);
    }
    *n = kept;
    *paths = aic_arena_alloc(a, kept, sizeof **paths);
    if (kept)
        qsort(*systems, kept, sizeof **systems, by_bytes);
    for (size_t i = 0; i < kept; i++)
        (*paths)[i] = aic_arena_printf(a, "%s/%s.h5", dir, (*systems)[i]);
    return true;
}

static char *file_path(aic_arena *a, const pdb_release *r, const char *system) {
    return aic_arena_printf(a, "%s/%s.h5", r->dir, system);
}

const char *pdb_measured_as(pdb *db, const char *system) {
    const pdb_system *s = find_sheet(db, system) ? pdb_system_get(db, system, NULL) : NULL;
    return s && s->measured_as ? s->measured_as : system;
}

const pdb_release *pdb_release_of(const pdb *db, const char *measured) {
    const pdb_release *found = NULL;
    aic_arena *a = aic_arena_new();
    for (size_t i = 0; i < db->n_releases && !found; i++)
        if (access(file_path(a, db->releases[i], measured), F_OK) == 0)
            found = db->releases[i];
    aic_arena_free(a);
    return found;
}

bool pdb_system_has_data(pdb *db, const char *system) {
    return pdb_release_of(db, pdb_measured_as(db, system)) != NULL;
}

size_t pdb_versions(pdb *db, const char *system, const char *backend, aic_arena *a, const char ***names) {
    const char *measured = pdb_measured_as(db, system);
    const pdb_release *r = pdb_release_of(db, measured);
    const aic_node *list = r ? pdb_release_versions(r, measured, backend) : NULL;
    size_t n = list ? list->count : 0;
    *names = aic_arena_alloc(a, n, sizeof **names);
    for (size_t i = 0; i < n; i++)
        (*names)[i] = list->items[i]->text;
    return n;
}

size_t pdb_backends(pdb *db, const char *system, aic_arena *a, const char ***names) {
    const char *measured = pdb_measured_as(db, system);
    const pdb_release *r = pdb_release_of(db, measured);
    const aic_node *all = r ? aic_map_get(r->directories, measured) : NULL;
    size_t count = all && all->kind == AIC_K_MAP ? all->count : 0, n = 0;
    *names = aic_arena_alloc(a, count, sizeof **names);
    for (size_t i = 0; i < count; i++)
        if (!pdb_is_library(all->keys[i]->text))
            (*names)[n++] = all->keys[i]->text;
    if (n)
        qsort(*names, n, sizeof **names, by_bytes);
    return n;
}

/* A file must say it is what its place says. */
static bool in_place(const pdb_file *f, const pdb_release *r, const char *system, aic_error *err) {
    const pdb_head *h = pdb_file_head(f);
    if (strcmp(h->system, system) == 0 && strcmp(h->release, r->name) == 0)
        return true;
    return aic_fail(err, AIC_BAD_INPUT, "perfdb %s holds system %s of release %s; its place says %s of %s",
                    pdb_file_path(f), h->system, h->release, system, r->name);
}

pdb_file *pdb_file_of(pdb *db, const pdb_release *r, const char *system, aic_error *err) {
    for (size_t i = 0; i < db->n_files; i++)
        if (db->files[i].release == r && strcmp(db->files[i].system, system) == 0)
            return db->files[i].file;
    pdb_file *f = pdb_file_open(file_path(db->arena, r, system), err);
    if (!f || !in_place(f, r, system, err)) {
        pdb_file_close(f);
        return NULL;
    }
    AIC_GROW(db->files, db->n_files, db->cap_files);
    db->files[db->n_files++] = (pdb_opened){r, aic_arena_strdup(db->arena, system), f};
    return f;
}
