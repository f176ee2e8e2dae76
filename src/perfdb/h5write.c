/* Writing perfdb files: same tables in, same bytes out (docs/formats/perfdb.md). */
#include "perfdb/h5.h"
#include "perfdb/rows.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_ROWS = 1 << 17, DEFLATE = 6, PATH_SIZE = 4096 };

struct pdb_writer {
    char path[PATH_SIZE], temporary[PATH_SIZE];
    char system[64], release[64];
    char *origin, *licence;
    hid_t file;
    aic_sha256 *digest; /* of the groups so far */
    int64_t rows, tables;
};

/* ---- files that appear under their name only when whole ---------------------------------------- */

/* dir/.name.tmp for dir/name. */
static bool temporary_name(const char *path, char out[PATH_SIZE], aic_error *err) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int n = snprintf(out, PATH_SIZE, "%.*s.%s.tmp", (int)(name - path), path, name);
    return (n > 0 && n < PATH_SIZE) || aic_fail(err, AIC_BAD_INPUT, "%s: the path is too long", path);
}

/* Forces the temporary file to disk and gives it its name, the folder's entry included. */
static bool publish(const char *temporary, const char *path, aic_error *err) {
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    if (aic_io_sync_path(temporary) && aic_io_rename(temporary, path) && aic_io_sync_path(folder))
        return true;
    aic_fail(err, AIC_IO, "cannot write %s: %s", path, strerror(errno));
    aic_io_unlink(temporary);
    return false;
}

bool pdb_publish_text(const char *path, const char *text, aic_error *err) {
    char temporary[PATH_SIZE];
    if (!temporary_name(path, temporary, err))
        return false;
    int fd = aic_io_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    bool ok = fd >= 0 && aic_io_write(fd, text, strlen(text));
    if (fd >= 0 && !aic_io_close(fd))
        ok = false;
    if (ok)
        return publish(temporary, path, err);
    aic_fail(err, AIC_IO, "cannot write %s: %s", temporary, strerror(errno));
    aic_io_unlink(temporary);
    return false;
}

/* ---- attributes: in the order of the calls, without time stamps -------------------------------- */

static bool put_text(hid_t object, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    size_t len = strlen(text);
    H5Tset_size(type, len ? len : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, type, text) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

static bool put_int(hid_t object, const char *name, hid_t type, int64_t value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, H5T_NATIVE_INT64, &value) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    return ok;
}

/* ---- columns ---------------------------------------------------------------------------------- */

static hid_t plain_type(const pdb_cells *c) {
    if (c->kind == PDB_CELL_REAL)
        return H5T_IEEE_F64LE;
    switch (c->width) {
    case 1:
        return H5T_STD_U8LE;
    case 2:
        return H5T_STD_U16LE;
    case 4:
        return H5T_STD_U32LE;
    default:
        return c->is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
    }
}

/* A type to be closed. An enumeration has a member even where the column has no cell. */
static hid_t cell_type(const pdb_cells *c) {
    if (c->kind != PDB_CELL_TEXT)
        return H5Tcopy(plain_type(c));
    hid_t type = H5Tenum_create(plain_type(c));
    bool ok = type >= 0;
    for (uint32_t i = 0; ok && i < c->n_members && (i == 0 || c->members[i]); i++) {
        const char *name = c->members[i] && *c->members[i] ? c->members[i] : "<empty>";
        uint16_t wide = (uint16_t)i;
        uint8_t narrow = (uint8_t)i;
        ok = H5Tenum_insert(type, name, c->width == 1 ? (void *)&narrow : (void *)&wide) >= 0;
    }
    if (ok)
        return type;
    if (type >= 0)
        H5Tclose(type);
    return -1;
}

static hid_t column_settings(size_t rows) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    H5Pset_obj_track_times(list, 0);
    if (!rows)
        return list; /* contiguous: there is nothing to pack */
    H5Pset_chunk(list, 1, &chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, DEFLATE);
    H5Pset_fletcher32(list);
    return list;
}

static bool put_column(hid_t group, const char *name, const pdb_cells *c) {
    hid_t type = cell_type(c);
    if (type < 0)
        return false;
    hsize_t rows = c->rows;
    hid_t space = H5Screate_simple(1, &rows, NULL), list = column_settings(c->rows);
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    bool ok = dataset >= 0 && (!c->boolean || put_int(dataset, "boolean", H5T_STD_U8LE, 1)) &&
              (!rows || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) >= 0);
    if (dataset >= 0 && H5Dclose(dataset) < 0)
        ok = false;
    H5Pclose(list);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

/* ---- groups ----------------------------------------------------------------------------------- */

/* The group at the path, made with everything above it where it is not there yet; negative on failure. */
static hid_t make_group(hid_t file, const char *path) {
    char part[512];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return -1;
    memcpy(part, path, len + 1);
    hid_t create = H5Pcreate(H5P_GROUP_CREATE), group = -1;
    H5Pset_obj_track_times(create, 0);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char cut = part[i];
        part[i] = '\0';
        if (group >= 0)
            H5Gclose(group);
        group = H5Lexists(file, part, H5P_DEFAULT) > 0
                    ? H5Gopen2(file, part, H5P_DEFAULT)
                    : H5Gcreate2(file, part, H5P_DEFAULT, create, H5P_DEFAULT);
        part[i] = cut;
        if (group < 0)
            break;
    }
    H5Pclose(create);
    return group;
}

/* The digest of a group goes over its columns in byte order of their names, whatever order they have here. */
static void digest_rows(const pdb_rows *rows, char digest[65]) {
    aic_sha256 *h = aic_sha256_new();
    const char *last = NULL;
    for (size_t done = 0; done < rows->n; done++) {
        size_t next = rows->n;
        for (size_t i = 0; i < rows->n; i++)
            if ((!last || strcmp(rows->names[i], last) > 0) &&
                (next == rows->n || strcmp(rows->names[i], rows->names[next]) < 0))
                next = i;
        last = rows->names[next];
        pdb_cells_digest(h, last, &rows->cells[next]);
    }
    aic_sha256_hex(h, digest);
}

bool pdb_writer_add(pdb_writer *w, const char *group, const char *family, const char *source,
                    const pdb_rows *rows, aic_error *err) {
    char digest[65];
    digest_rows(rows, digest);
    pdb_hdf5_lock();
    hid_t id = make_group(w->file, group);
    bool ok = id >= 0 && put_text(id, "family", family) && put_text(id, "source", source) &&
              put_int(id, "rows", H5T_STD_I64LE, (int64_t)rows->rows) && put_text(id, "digest", digest);
    size_t i = 0;
    while (ok && i < rows->n && (ok = put_column(id, rows->names[i], &rows->cells[i])))
        i++;
    if (!ok) {
        char text[256];
        snprintf(text, sizeof text, "%s %s cannot be written", id >= 0 && i < rows->n ? "column" : "group",
                 id >= 0 && i < rows->n ? rows->names[i] : "itself");
        pdb_h5_fail(err, w->temporary, group, text);
    }
    if (id >= 0)
        H5Gclose(id);
    pdb_hdf5_unlock();
    aic_sha256_add(w->digest, group, strlen(group) + 1);
    aic_sha256_add(w->digest, digest, sizeof digest);
    w->rows += (int64_t)rows->rows;
    w->tables++;
    return ok;
}

/* ---- the file --------------------------------------------------------------------------------- */

static hid_t create_file(const char *path) {
    hid_t create = H5Pcreate(H5P_FILE_CREATE), access_list = pdb_hdf5_access();
    H5Pset_obj_track_times(create, 0);
    H5Pset_attr_phase_change(create, 16, 8); /* the root's attributes stay in its header */
    H5Pset_libver_bounds(access_list, H5F_LIBVER_V110, H5F_LIBVER_V110);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, create, access_list);
    H5Pclose(access_list);
    H5Pclose(create);
    return file;
}

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(aic_alloc(size, 1), text, size);
}

pdb_writer *pdb_writer_open(const char *path, const char *system, const char *release, const char *origin,
                            const char *licence, aic_error *err) {
    pdb_writer *w = AIC_NEW(pdb_writer);
    w->file = -1;
    w->origin = copy_text(origin);
    w->licence = copy_text(licence);
    w->digest = aic_sha256_new();
    int n = snprintf(w->path, sizeof w->path, "%s", path);
    bool ok = n < PATH_SIZE ? temporary_name(path, w->temporary, err)
                            : aic_fail(err, AIC_BAD_INPUT, "%s: the path is too long", path);
    if (ok && (snprintf(w->system, sizeof w->system, "%s", system) >= (int)sizeof w->system ||
               snprintf(w->release, sizeof w->release, "%s", release) >= (int)sizeof w->release))
        ok = aic_fail(err, AIC_BAD_INPUT, "names of systems and releases are at most 63 bytes long");
    if (ok) {
        pdb_hdf5_lock();
        w->file = create_file(w->temporary);
        ok = w->file >= 0 || pdb_h5_fail(err, w->temporary, NULL, "cannot be created");
        pdb_hdf5_unlock();
    }
    if (ok)
        return w;
    pdb_writer_abandon(w);
    return NULL;
}

static void free_writer(pdb_writer *w) {
    char unused[65];
    if (w->digest)
        aic_sha256_hex(w->digest, unused);
    free(w->origin);
    free(w->licence);
    free(w);
}

static bool close_file(pdb_writer *w) {
    if (w->file < 0)
        return true;
    pdb_hdf5_lock();
    bool ok = H5Fclose(w->file) >= 0;
    pdb_hdf5_unlock();
    w->file = -1;
    return ok;
}

void pdb_writer_abandon(pdb_writer *w) {
    if (!w)
        return;
    bool created = w->file >= 0;
    close_file(w);
    if (created)
        aic_io_unlink(w->temporary);
    free_writer(w);
}

static bool put_head(pdb_writer *w) {
    char digest[65];
    aic_sha256_hex(w->digest, digest);
    w->digest = NULL;
    hid_t root = H5Gopen2(w->file, "/", H5P_DEFAULT);
    bool ok = root >= 0 && put_text(root, "format", PDB_FORMAT) &&
              put_int(root, "format_version", H5T_STD_I32LE, PDB_FORMAT_VERSION) &&
              put_text(root, "system", w->system) && put_text(root, "release", w->release) &&
              put_text(root, "origin", w->origin) && put_text(root, "licence", w->licence) &&
              put_int(root, "rows", H5T_STD_I64LE, w->rows) &&
              put_int(root, "tables", H5T_STD_I64LE, w->tables) && put_text(root, "digest", digest);
    if (root >= 0)
        H5Gclose(root);
    return ok;
}

bool pdb_writer_publish(pdb_writer *w, aic_error *err) {
    pdb_hdf5_lock();
    bool ok = put_head(w) || pdb_h5_fail(err, w->temporary, NULL, "its attributes cannot be written");
    pdb_hdf5_unlock();
    if (ok && !close_file(w)) {
        aic_fail(err, AIC_IO, "cannot write %s", w->temporary);
        aic_io_unlink(w->temporary);
        ok = false;
    }
    if (!ok) {
        pdb_writer_abandon(w);
        return false;
    }
    ok = publish(w->temporary, w->path, err);
    free_writer(w);
    return ok;
}
