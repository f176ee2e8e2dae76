/* Opening perfdb files and finding one's way in them; the HDF5 lock (docs/formats/perfdb.md). */
#include "perfdb/h5.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 100000 };

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

void pdb_hdf5_lock(void) {
    static bool first = true;
    static _Thread_local bool silenced;
    pthread_mutex_lock(&hdf5_lock);
    if (first)
        H5dont_atexit(); /* its clean-up at exit crashes when a file could not be written (disk full); we
                            close what we open */
    first = false;
    if (!silenced) /* per thread, where the library knows threads */
        silenced = H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0;
}

void pdb_hdf5_unlock(void) {
    pthread_mutex_unlock(&hdf5_lock);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Innermost entry of the library's error stack: the cause, where the outer ones only say who gave up. */
static herr_t innermost(unsigned depth, const H5E_error2_t *entry, void *out) {
    const char **cause = out;
    if (depth == 0 && entry->desc)
        *cause = entry->desc;
    return 0;
}

bool pdb_h5_fail(aic_error *err, const char *path, const char *group, const char *what) {
    const char *cause = NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &cause);
    aic_fail(err, AIC_IO, "perfdb %s%s%s: %s%s%s%s", path, group ? ": group " : "", group ? group : "", what,
             cause ? " (HDF5: " : "", cause ? cause : "", cause ? ")" : "");
    H5Eclear2(H5E_DEFAULT);
    return false;
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* Opens a scalar attribute of the class; negative when it is absent or something else. */
static hid_t scalar_attr(hid_t object, const char *name, H5T_class_t class, size_t *size) {
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    if (attr < 0)
        return -1;
    hid_t space = H5Aget_space(attr), type = H5Aget_type(attr);
    bool ok = H5Sget_simple_extent_type(space) == H5S_SCALAR && H5Tget_class(type) == class &&
              (class != H5T_STRING || H5Tis_variable_str(type) == 0);
    *size = H5Tget_size(type);
    H5Tclose(type);
    H5Sclose(space);
    if (ok)
        return attr;
    H5Aclose(attr);
    return -1;
}

bool pdb_h5_text(hid_t object, const char *name, char *out, size_t size) {
    size_t stored;
    hid_t attr = scalar_attr(object, name, H5T_STRING, &stored);
    if (attr < 0)
        return false;
    bool ok = false;
    if (stored < size) {
        hid_t type = H5Aget_type(attr); /* as stored: fixed length, padded with NUL */
        ok = H5Aread(attr, type, out) >= 0;
        out[stored] = '\0';
        H5Tclose(type);
    }
    H5Aclose(attr);
    return ok;
}

bool pdb_h5_int(hid_t object, const char *name, int64_t *out) {
    size_t stored;
    hid_t attr = scalar_attr(object, name, H5T_INTEGER, &stored);
    if (attr < 0)
        return false;
    bool ok = H5Aread(attr, H5T_NATIVE_INT64, out) >= 0;
    H5Aclose(attr);
    return ok;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool read_head(pdb_file *f, aic_error *err) {
    char format[64];
    int64_t version;
    hid_t root = H5Gopen2(f->id, "/", H5P_DEFAULT);
    if (root < 0)
        return pdb_h5_fail(err, f->path, NULL, "has no root group");
    bool ok = pdb_h5_text(root, "format", format, sizeof format) && strcmp(format, PDB_FORMAT) == 0 &&
              pdb_h5_int(root, "format_version", &version);
    if (!ok)
        aic_fail(err, AIC_BAD_INPUT,
                 "%s is not a perfdb file: it lacks the attributes format = '" PDB_FORMAT "' and "
                 "format_version",
                 f->path);
    else if (version != PDB_FORMAT_VERSION)
        ok = aic_fail(err, AIC_BAD_INPUT, "perfdb %s: format version %lld, this program reads %d", f->path,
                      (long long)version, PDB_FORMAT_VERSION);
    else {
        pdb_head *h = &f->head;
        ok = pdb_h5_text(root, "system", h->system, sizeof h->system) &&
             pdb_h5_text(root, "release", h->release, sizeof h->release) &&
             pdb_h5_text(root, "digest", h->digest, sizeof h->digest) && pdb_h5_int(root, "rows", &h->rows) &&
             pdb_h5_int(root, "tables", &h->tables);
        if (!ok)
            aic_fail(err, AIC_BAD_INPUT,
                     "perfdb %s: a root attribute (system, release, digest, rows, tables) is "
                     "missing or of another type",
                     f->path);
    }
    H5Gclose(root);
    return ok;
}

static hid_t open_read_only(const char *path) {
    hid_t access_list = pdb_hdf5_access();
    hid_t id = H5Fopen(path, H5F_ACC_RDONLY, access_list);
    H5Pclose(access_list);
    return id;
}

/* Superblocks before version 2 and what hangs on them carry no checksums: the library would walk through
 * damage. */
static bool check_signature(const char *path, aic_error *err) {
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[sizeof signature + 1] = {0};
    int fd = aic_io_open(path, O_RDONLY, 0);
    ssize_t n = fd >= 0 ? aic_io_read(fd, head, sizeof head) : -1;
    if (fd >= 0)
        aic_io_close(fd);
    if (n < (ssize_t)sizeof head || memcmp(head, signature, sizeof signature) != 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s is not a perfdb file: it is not an HDF5 file", path);
    return head[8] == 2 || head[8] == 3 ||
           aic_fail(err, AIC_BAD_INPUT,
                    "%s is not a perfdb file: HDF5 superblock version %d, expected 2 or 3", path, head[8]);
}

pdb_file *pdb_file_open(const char *path, aic_error *err) {
    if (access(path, R_OK) != 0) {
        aic_fail(err, AIC_IO, "perfdb %s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    pdb_file *f = AIC_NEW(pdb_file);
    f->path = aic_alloc(strlen(path) + 1, 1);
    strcpy(f->path, path);
    f->shelf = pdb_shelf_new(f);
    pthread_mutex_init(&f->folders_lock, NULL);
    pdb_hdf5_lock();
    f->id = -1;
    bool ok = check_signature(path, err);
    if (ok) {
        H5PLset_loading_state(0); /* a file's filters must never make the process load code */
        f->id = open_read_only(path);
        ok = f->id >= 0 ? read_head(f, err) : pdb_h5_fail(err, path, NULL, "cannot be opened");
    }
    pdb_hdf5_unlock();
    if (ok)
        return f;
    pdb_file_close(f);
    return NULL;
}

void pdb_file_close(pdb_file *f) {
    if (!f)
        return;
    pdb_shelf_free(f->shelf);
    pdb_hdf5_lock();
    if (f->id >= 0)
        H5Fclose(f->id);
    pdb_hdf5_unlock();
    pdb_folders_free(f);
    pthread_mutex_destroy(&f->folders_lock);
    free(f->path);
    free(f);
}

const char *pdb_file_path(const pdb_file *f) {
    return f->path;
}

pdb_shelf *pdb_file_shelf(const pdb_file *f) {
    return f->shelf;
}

const pdb_head *pdb_file_head(const pdb_file *f) {
    return &f->head;
}

/* ---- finding groups -------------------------------------------------------------------------- */

bool pdb_h5_has(hid_t from, const char *path) {
    char part[PDB_H5_PATH];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return false;
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) { /* H5Lexists wants every step on the way to exist */
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char cut = part[i];
        part[i] = '\0';
        H5L_info_t link;
        /* Only hard links: a soft or external one could lead out of the file. */
        if (H5Lexists(from, part, H5P_DEFAULT) <= 0 || H5Lget_info(from, part, &link, H5P_DEFAULT) < 0 ||
            link.type != H5L_TYPE_HARD) {
            H5Eclear2(H5E_DEFAULT);
            return false;
        }
        part[i] = cut;
    }
    return true;
}

typedef struct listing {
    aic_arena *arena;
    const char **names;
    size_t count, cap;
} listing;

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *out) {
    (void)group;
    (void)info;
    listing *l = out;
    if (l->count == NAMES_MAX)
        return -1;
    AIC_GROW(l->names, l->count, l->cap);
    l->names[l->count++] = aic_arena_strdup(l->arena, name);
    return 0;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool pdb_file_list(pdb_file *f, const char *group, aic_arena *a, const char ***names, size_t *n,
                   aic_error *err) {
    listing l = {.arena = a};
    pdb_hdf5_lock();
    hid_t id = strcmp(group, "/") == 0 || pdb_h5_has(f->id, group) ? H5Gopen2(f->id, group, H5P_DEFAULT) : -1;
    bool ok = id >= 0 && H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, take_name, &l) >= 0;
    if (!ok)
        pdb_h5_fail(err, f->path, group, "cannot be listed");
    if (id >= 0)
        H5Gclose(id);
    pdb_hdf5_unlock();
    *names = aic_arena_alloc(a, l.count, sizeof **names);
    *n = l.count;
    if (l.count)
        memcpy(*names, l.names, l.count * sizeof *l.names);
    free(l.names);
    qsort(*names, *n, sizeof **names, by_bytes);
    return ok;
}

/* All groups at the given depth below `path`. */
static bool collect(pdb_file *f, const char *path, int depth, listing *to, aic_error *err) {
    const char **names;
    size_t n;
    if (depth == 0) {
        AIC_GROW(to->names, to->count, to->cap);
        to->names[to->count++] = path;
        return true;
    }
    if (!pdb_file_list(f, *path ? path : "/", to->arena, &names, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!collect(f, aic_arena_printf(to->arena, "%s/%s", path, names[i]), depth - 1, to, err))
            return false;
    return true;
}

bool pdb_file_groups(pdb_file *f, aic_arena *a, const char ***paths, size_t *n, aic_error *err) {
    listing l = {.arena = a};
    bool ok = collect(f, "", 3, &l, err);
    *paths = aic_arena_alloc(a, l.count, sizeof **paths);
    *n = l.count;
    if (l.count) {
        qsort(l.names, l.count, sizeof *l.names, by_bytes);
        memcpy(*paths, l.names, l.count * sizeof *l.names);
    }
    free(l.names);
    return ok;
}
