/* Reading HDF5 files that may be anything: every type, extent and size is checked before it is used.
 *
 * Chunks are read as they are stored and decoded here, so that no length in the file decides how much HDF5
 * copies where.
 */
#include "results/h5.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TEXT_WIDTH_MAX = 65536, STORED_MIN = 8 /* bytes: no deflated chunk is shorter */ };

bool res_damaged(aic_error *err, const char *path, const char *object, const char *what) {
    int why = pdb_hdf5_file_error();
    if (why)
        return aic_fail(err, AIC_IO, "%s: %s: cannot be read: %s", path, object, strerror(why));
    return aic_fail(err, AIC_BAD_INPUT, "%s: %s: %s", path, object, what);
}

/* ---- files ------------------------------------------------------------------------------------------- */

static bool is_hdf5(const char *path, uint64_t *bytes, aic_error *err) {
    struct stat st;
    char head[8] = "";
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) != 0) {
        aic_fail(err, AIC_IO, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0)
            aic_io_close(fd);
        return false;
    }
    ssize_t n = S_ISREG(st.st_mode) ? aic_io_read(fd, head, sizeof head) : 0;
    int why = errno;
    aic_io_close(fd);
    if (n < 0)
        return aic_fail(err, AIC_IO, "cannot read %s: %s", path, strerror(why));
    *bytes = (uint64_t)st.st_size;
    return (n == sizeof head && memcmp(head, "\x89HDF\r\n\x1a\n", sizeof head) == 0) ||
           aic_fail(err, AIC_BAD_INPUT, "%s is not a result file (it is not HDF5)", path);
}

bool res_in_open(res_in *in, const char *path, aic_error *err) {
    in->file = -1;
    snprintf(in->path, sizeof in->path, "%s", path);
    if (!is_hdf5(path, &in->bytes, err))
        return false;
    pdb_hdf5_lock();
    pdb_hdf5_file_error();    /* of another file */
    H5PLset_loading_state(0); /* a file's filters must never make the process load code */
    hid_t access = pdb_hdf5_access();
    in->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (in->file < 0) {
        int why = pdb_hdf5_file_error();
        res_h5_fail(err, path, why ? "cannot be read" : "damaged, cut off or still being written");
        err->code = why ? AIC_IO : AIC_BAD_INPUT;
    }
    pdb_hdf5_unlock();
    return in->file >= 0;
}

void res_in_close(res_in *in) {
    if (in->file < 0)
        return;
    pdb_hdf5_lock();
    H5Fclose(in->file);
    pdb_hdf5_unlock();
    in->file = -1;
}

/* Is the object there, reached through hard links only? A soft or external link could lead into another file.
 */
static bool has(const res_in *in, const char *path) {
    char part[128];
    size_t len = strlen(path);
    for (size_t i = 1; i <= len && i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        H5L_info_t info;
        if (H5Lget_info(in->file, part, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
            return false;
    }
    return len < sizeof part;
}

bool res_in_has(const res_in *in, const char *path) {
    pdb_hdf5_lock();
    bool found = has(in, path);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return found;
}

/* ---- attributes -------------------------------------------------------------------------------------- */

/* Opens a scalar attribute of the class; -1 when it is absent or something else. */
static hid_t open_scalar(const res_in *in, const char *object, const char *name, H5T_class_t class,
                         size_t *size) {
    hid_t attr = H5Aopen_by_name(in->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
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

static bool attribute_error(const res_in *in, const char *object, const char *name, aic_error *err) {
    char what[200];
    snprintf(what, sizeof what, "attribute %s is missing or damaged", name);
    return res_damaged(err, in->path, object, what);
}

bool res_in_text(const res_in *in, const char *object, const char *name, aic_arena *a, const char **out,
                 aic_error *err) {
    size_t size = 0;
    pdb_hdf5_lock();
    hid_t attr = open_scalar(in, object, name, H5T_STRING, &size);
    bool ok = attr >= 0 && size > 0 && size <= TEXT_WIDTH_MAX;
    if (ok) {
        char *bytes = aic_calloc(size, 1);
        hid_t type = res_h5_type(RES_D_TEXT, size);
        ok = H5Aread(attr, type, bytes) >= 0;
        H5Tclose(type);
        *out = ok ? aic_arena_strndup(a, bytes, strnlen(bytes, size)) : NULL;
        free(bytes);
    }
    if (attr >= 0)
        H5Aclose(attr);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return ok || attribute_error(in, object, name, err);
}

bool res_in_u64(const res_in *in, const char *object, const char *name, uint64_t *out, aic_error *err) {
    size_t size = 0;
    pdb_hdf5_lock();
    hid_t attr = open_scalar(in, object, name, H5T_INTEGER, &size);
    bool ok = attr >= 0 && size == sizeof *out && H5Aread(attr, H5T_STD_U64LE, out) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return ok || attribute_error(in, object, name, err);
}

bool res_in_precision(const res_in *in, res_precision *out, aic_error *err) {
    static const char name[] = "breakdown_precision";
    const char *text;
    aic_error absent = {0};
    aic_arena *a = aic_arena_new();
    *out = RES_PRECISION_f64;
    bool ok;
    if (res_in_text(in, "/", name, a, &text, &absent))
        ok = res_precision_find(text, out) || attribute_error(in, "/", name, err);
    else
        ok = absent.code != AIC_IO || aic_fail(err, AIC_IO, "%s", absent.text);
    aic_arena_free(a);
    return ok;
}

/* ---- datasets ---------------------------------------------------------------------------------------- */

static bool right_type(hid_t id, res_dtype type, size_t *width) {
    hid_t stored = H5Dget_type(id);
    if (stored < 0)
        return false;
    *width = res_width(type);
    bool ok = true;
    if (type == RES_D_TEXT) {
        *width = H5Tget_size(stored);
        ok = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0 && *width > 0 &&
             *width <= TEXT_WIDTH_MAX;
    }
    if (ok) {
        hid_t expected = res_h5_type(type, *width);
        ok = H5Tequal(stored, expected) > 0;
        H5Tclose(expected);
    }
    H5Tclose(stored);
    return ok;
}

static bool right_extent(hid_t id, uint64_t *rows) {
    hid_t space = H5Dget_space(id);
    hsize_t extent = 0;
    bool ok = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
              H5Sget_simple_extent_dims(space, &extent, NULL) == 1;
    if (space >= 0)
        H5Sclose(space);
    *rows = extent;
    return ok;
}

static bool right_filter(hid_t properties, unsigned i, H5Z_filter_t expected) {
    unsigned flags, values[8];
    size_t n = 8;
    char name[8];
    return H5Pget_filter2(properties, i, &flags, &n, values, sizeof name, name, NULL) == expected;
}

static bool right_storage(hid_t id, res_dtype type, size_t chunk) {
    hid_t p = H5Dget_create_plist(id);
    if (p < 0)
        return false;
    hsize_t rows = 0;
    unsigned n = res_shuffled(type) ? 2 : 1;
    bool ok = H5Pget_layout(p) == H5D_CHUNKED && H5Pget_chunk(p, 1, &rows) == 1 && rows == chunk &&
              H5Pget_external_count(p) == 0 && H5Pget_nfilters(p) == (int)n &&
              right_filter(p, n - 1, H5Z_FILTER_DEFLATE) &&
              (n == 1 || right_filter(p, 0, H5Z_FILTER_SHUFFLE));
    H5Pclose(p);
    return ok;
}

static const char *open_dataset(const res_in *in, const char *path, res_dataset *d) {
    if (!has(in, path))
        return "missing";
    d->id = H5Dopen2(in->file, path, H5P_DEFAULT);
    if (d->id < 0)
        return "damaged";
    if (!right_type(d->id, d->type, &d->width))
        return "not of the type that this version of the format gives it";
    if (!right_extent(d->id, &d->rows))
        return "not a list";
    if (!right_storage(d->id, d->type, d->chunk))
        return "not stored as this version of the format says (was the file repacked?)";
    if (!d->sparse && d->rows / d->chunk > in->bytes / STORED_MIN)
        return "more rows than the file can hold";
    return NULL;
}

bool res_in_dataset(const res_in *in, const char *path, res_dtype type, size_t chunk, bool sparse,
                    res_dataset *out, aic_error *err) {
    *out = (res_dataset){.id = -1, .type = type, .chunk = chunk, .sparse = sparse};
    pdb_hdf5_lock();
    const char *wrong = open_dataset(in, path, out);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    if (!wrong)
        return true;
    res_dataset_close(out);
    return res_damaged(err, in->path, path, wrong);
}

void res_dataset_close(res_dataset *d) {
    if (d->id < 0)
        return;
    pdb_hdf5_lock();
    H5Dclose(d->id);
    pdb_hdf5_unlock();
    d->id = -1;
}

/* ---- chunks ------------------------------------------------------------------------------------------ */

/* Does the index say that there is no such chunk (rather than being damaged itself)? */
static bool is_absent(const res_dataset *d, hsize_t offset) {
    unsigned skipped;
    haddr_t address = 0;
    hsize_t size;
    return H5Dget_chunk_info_by_coord(d->id, &offset, &skipped, &address, &size) >= 0 &&
           address == HADDR_UNDEF;
}

static const char *read_stored(const res_in *in, const res_dataset *d, hsize_t offset, uint8_t **buffer,
                               size_t *cap, res_coded *out) {
    hsize_t stored = 0;
    uint32_t skipped = 0;
    *out = (res_coded){0};
    if (H5Dget_chunk_storage_size(d->id, &offset, &stored) < 0 || stored == 0)
        return is_absent(d, offset) ? (d->sparse ? NULL : "missing") : "damaged";
    if (stored > in->bytes || stored > d->chunk * d->width * 2 + 1024)
        return "larger than it can be";
    res_make_room(buffer, cap, (size_t)stored);
    if (H5Dread_chunk(d->id, H5P_DEFAULT, &offset, &skipped, *buffer) < 0)
        return "damaged";
    *out = (res_coded){*buffer, (size_t)stored, skipped};
    return NULL;
}

static bool chunk_error(const res_in *in, const char *path, uint64_t index, const char *wrong,
                        aic_error *err) {
    char what[128];
    snprintf(what, sizeof what, "chunk %llu is %s", (unsigned long long)index, wrong);
    return res_damaged(err, in->path, path, what);
}

bool res_in_stored(const res_in *in, const res_dataset *d, const char *path, uint64_t index, uint8_t **buffer,
                   size_t *cap, res_coded *out, aic_error *err) {
    pdb_hdf5_lock();
    const char *wrong = read_stored(in, d, index * d->chunk, buffer, cap, out);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return !wrong || chunk_error(in, path, index, wrong, err);
}

bool res_in_chunk(const res_in *in, const res_dataset *d, const char *path, uint64_t index, res_codec *c,
                  void *out, aic_error *err) {
    uint8_t *buffer = NULL;
    size_t cap = 0;
    res_coded coded;
    bool ok = res_in_stored(in, d, path, index, &buffer, &cap, &coded, err);
    if (ok && coded.size == 0)
        memset(out, 0, d->chunk * d->width);
    else if (ok && !res_decode(c, &coded, d->width, d->chunk, res_shuffled(d->type), out))
        ok = chunk_error(in, path, index, "damaged", err);
    free(buffer);
    return ok;
}

/* ---- whole groups ------------------------------------------------------------------------------------ */

/* Memory grows with the chunks that are really there. */
static bool read_field(const res_in *in, const res_group *g, size_t f, res_codec *c, res_table *out,
                       aic_error *err) {
    char path[96];
    res_dataset d;
    snprintf(path, sizeof path, "/%s/%s", g->name, g->fields[f].name);
    if (!res_in_dataset(in, path, g->fields[f].type, g->chunk, false, &d, err))
        return false;
    if (f == 0)
        out->rows = (size_t)d.rows;
    bool ok = d.rows == out->rows || res_damaged(err, in->path, path, "not as many rows as its group has");
    out->width[f] = d.width;
    size_t cap = 0;
    for (uint64_t i = 0; ok && i * g->chunk < d.rows; i++) {
        if (i * g->chunk == cap) {
            cap = cap ? aic_mul(cap, 2) : g->chunk;
            out->data[f] = aic_realloc(out->data[f], cap, d.width);
        }
        ok = res_in_chunk(in, &d, path, i, c, out->data[f] + i * g->chunk * d.width, err);
    }
    res_dataset_close(&d);
    return ok;
}

bool res_in_group(const res_in *in, const res_group *g, res_codec *c, res_table *out, aic_error *err) {
    *out = (res_table){.group = g};
    for (size_t f = 0; f < g->n_fields; f++)
        if (!read_field(in, g, f, c, out, err)) {
            res_table_free(out);
            return false;
        }
    return true;
}
