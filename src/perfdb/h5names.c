/* What groups hold, listed once: tables are looked for under every version and backend that might have them,
 * columns by every schema. */
#include "perfdb/h5.h"
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 100000 };

/* ---- names in a group -------------------------------------------------------------------------- */

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *out) {
    (void)group;
    pdb_names *l = out;
    if (l->n == NAMES_MAX)
        return -1;
    if (info->type != H5L_TYPE_HARD)
        return 0;
    AIC_GROW(l->names, l->n, l->cap);
    l->names[l->n++] = aic_strdup(name);
    return 0;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void pdb_names_read(pdb_names *l, hid_t group) {
    l->listed = true;
    l->whole = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, take_name, l) >= 0;
    if (!l->whole)
        H5Eclear2(H5E_DEFAULT);
    if (l->n)
        qsort(l->names, l->n, sizeof *l->names, by_bytes);
}

bool pdb_names_have(const pdb_names *l, const char *name) {
    return l->n && bsearch(&name, l->names, l->n, sizeof *l->names, by_bytes);
}

void pdb_names_free(pdb_names *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
}

/* ---- groups of a file -------------------------------------------------------------------------- */

struct pdb_folder {
    struct pdb_folder *next;
    pdb_names names;
    size_t len;
    char path[]; /* "" = root; not terminated */
};

static bool has(pdb_file *f, const char *path, size_t len);

/* The folder of a path, without its last slash, be it a group or not. f->folders_lock is held. */
static const pdb_names *names_in(pdb_file *f, const char *path, size_t len) {
    pdb_folder *d = f->folders;
    while (d && (d->len != len || memcmp(d->path, path, len) != 0))
        d = d->next;
    if (d)
        return &d->names;
    d = aic_calloc(1, aic_add(sizeof *d, aic_add(len, 1)));
    memcpy(d->path, path, d->len = len);
    d->next = f->folders;
    f->folders = d;
    d->names.whole = true; /* what is no group holds nothing */
    if (len > 0 && !has(f, path, len))
        return &d->names;
    pdb_hdf5_lock();
    hid_t id = H5Gopen2(f->id, len ? d->path : "/", H5P_DEFAULT);
    if (id >= 0) {
        pdb_names_read(&d->names, id);
        H5Gclose(id);
    }
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return &d->names;
}

static bool ask(pdb_file *f, const char *path) {
    pdb_hdf5_lock();
    bool there = pdb_h5_has(f->id, path);
    pdb_hdf5_unlock();
    return there;
}

static bool has(pdb_file *f, const char *path, size_t len) {
    char part[PDB_H5_PATH];
    if (len == 0 || len >= sizeof part)
        return false;
    memcpy(part, path, len);
    part[len] = '\0';
    const char *name = strrchr(part, '/');
    if (!name)
        return ask(f, part);
    const pdb_names *l = names_in(f, part, (size_t)(name - part));
    return l->whole ? pdb_names_have(l, name + 1) : ask(f, part);
}

bool pdb_file_has(pdb_file *f, const char *group) {
    pthread_mutex_lock(&f->folders_lock);
    bool there = has(f, group, strlen(group));
    pthread_mutex_unlock(&f->folders_lock);
    return there;
}

void pdb_folders_free(pdb_file *f) {
    for (pdb_folder *d = f->folders, *next; d; d = next) {
        next = d->next;
        pdb_names_free(&d->names);
        free(d);
    }
    for (size_t i = 0; i < f->n_families; i++)
        free(f->families[i].table);
    free(f->families);
}

/* ---- what a table measures --------------------------------------------------------------------- */

/* The family of the first group that a table has; "" where it has none or does not say. */
static void read_family(pdb_file *f, const char *table, char *family, size_t size) {
    const char **backends, **versions;
    size_t n_backends, n_versions;
    aic_arena *a = aic_arena_new();
    const char *path = aic_arena_printf(a, "/%s", table);
    family[0] = '\0';
    if (pdb_file_has(f, path) && pdb_file_list(f, path, a, &backends, &n_backends, NULL) && n_backends) {
        path = aic_arena_printf(a, "%s/%s", path, backends[0]);
        if (pdb_file_list(f, path, a, &versions, &n_versions, NULL) && n_versions) {
            pdb_group *g = pdb_group_open(f, aic_arena_printf(a, "%s/%s", path, versions[0]), NULL);
            if (g && !pdb_group_attr(g, "family", family, size, NULL))
                family[0] = '\0';
            pdb_group_close(g);
        }
    }
    aic_arena_free(a);
}

bool pdb_file_measures(pdb_file *f, const char *table, const char *family) {
    char found[64];
    bool known = false, same = false;
    pthread_mutex_lock(&f->folders_lock);
    for (size_t i = 0; i < f->n_families && !known; i++) {
        known = strcmp(f->families[i].table, table) == 0;
        same = known && strcmp(f->families[i].family, family) == 0;
    }
    pthread_mutex_unlock(&f->folders_lock);
    if (known)
        return same;
    read_family(f, table, found, sizeof found);
    pthread_mutex_lock(&f->folders_lock);
    AIC_GROW(f->families, f->n_families, f->cap_families);
    pdb_table_family *t = &f->families[f->n_families++];
    t->table = aic_strdup(table);
    strcpy(t->family, found);
    pthread_mutex_unlock(&f->folders_lock);
    return strcmp(found, family) == 0;
}
