/* Writing HDF5: a file whose bytes depend on what is written and on nothing else.
 *
 * Object times are off and the library's version bounds are pinned. The pinned format (HDF5 1.10) also puts a
 * checksum on all metadata, so that with deflate's own checksum on all data, damage anywhere in a file shows.
 */
#include "results/h5.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------------------ */

/* The innermost entry of HDF5's error stack knows the cause: the system's message where a file call failed.
 */
static herr_t innermost(unsigned depth, const H5E_error2_t *entry, void *out) {
    if (depth == 0 && entry->desc)
        snprintf(out, 200, "%s", entry->desc);
    return 0;
}

bool res_h5_fail(aic_error *err, const char *path, const char *what) {
    char cause[200] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, cause);
    H5Eclear2(H5E_DEFAULT);
    return aic_fail(err, AIC_IO, "%s: %s%s%s", path, what, *cause ? ": " : "", cause);
}

/* ---- types ------------------------------------------------------------------------------------------- */

static hid_t enum_type(res_dtype t) {
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (size_t i = 0; i < res_enum_count(t); i++) {
        uint8_t value = (uint8_t)i;
        H5Tenum_insert(type, res_enum_name(t, i), &value);
    }
    return type;
}

static hid_t text_type(size_t width) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width ? width : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

hid_t res_h5_type(res_dtype t, size_t width) {
    switch (t) {
    case RES_D_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case RES_D_U16:
        return H5Tcopy(H5T_STD_U16LE);
    case RES_D_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case RES_D_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case RES_D_F64:
    case RES_D_F64_RUNS:
        return H5Tcopy(H5T_IEEE_F64LE);
    case RES_D_F32_RUNS:
        return H5Tcopy(H5T_IEEE_F32LE);
    case RES_D_TEXT:
        return text_type(width);
    default:
        return enum_type(t);
    }
}

/* ---- files ------------------------------------------------------------------------------------------- */

/* All links and attributes of an object lie in its header, in the order they were made. */
static hid_t group_properties(hid_t class) {
    hid_t p = H5Pcreate(class);
    H5Pset_obj_track_times(p, false);
    H5Pset_link_creation_order(p, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_link_phase_change(p, 128, 120);
    H5Pset_attr_phase_change(p, 128, 120);
    return p;
}

bool res_out_create(res_out *o, const char *path, int level, aic_error *err) {
    *o = (res_out){.file = -1, .group = -1, .level = level};
    snprintf(o->path, sizeof o->path, "%s", path);
    pdb_hdf5_lock();
    hid_t create = group_properties(H5P_FILE_CREATE), access = pdb_hdf5_access();
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    o->file = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    bool ok = o->file >= 0 || res_h5_fail(err, path, "cannot create");
    H5Pclose(create);
    H5Pclose(access);
    pdb_hdf5_unlock();
    return ok;
}

bool res_fsync(const char *path, aic_error *err) {
    return aic_io_sync_path(path) ||
           aic_fail(err, AIC_IO, "%s: cannot be synced to disk: %s", path, strerror(errno));
}

static bool close_group(res_out *o) {
    hid_t id = o->group;
    o->group = -1;
    return id < 0 || H5Gclose(id) >= 0;
}

/* An id that fails to close (its file cannot be flushed) would be tried again when the process ends: nothing
 * can be done for it. */
static bool close_file(res_out *o) {
    for (size_t i = 0; i < o->n_kinds; i++)
        H5Pclose(o->kinds[i].id);
    o->n_kinds = 0;
    close_group(o);
    bool ok = H5Fclose(o->file) >= 0;
    o->file = -1;
    return ok;
}

size_t res_out_raw(const res_out *o, res_seal_range **list) {
    const pdb_hdf5_range *raw;
    size_t n = 0, cap = 0;
    *list = NULL;
    pdb_hdf5_lock();
    size_t n_raw = pdb_hdf5_raw(o->file, &raw);
    for (size_t i = 0; i < n_raw; i++)
        n = res_seal_pieces(list, n, &cap, raw[i].first, raw[i].end);
    pdb_hdf5_unlock();
    return n;
}

bool res_out_close(res_out *o, aic_error *err) {
    const pdb_hdf5_range *unused;
    pdb_hdf5_lock();
    bool ok = H5Fflush(o->file, H5F_SCOPE_LOCAL) >= 0 || res_h5_fail(err, o->path, "cannot be written");
    o->raw_final = pdb_hdf5_raw(o->file, &unused) > 0;
    if (!close_file(o) && ok)
        ok = res_h5_fail(err, o->path, "cannot be closed");
    pdb_hdf5_unlock();
    return ok;
}

void res_out_discard(res_out *o) {
    if (o->file < 0)
        return;
    pdb_hdf5_lock();
    close_file(o);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    aic_io_unlink(o->path);
}

/* ---- attributes -------------------------------------------------------------------------------------- */

/* Of an object that lies at `path` from where `at` is; "." = `at` itself. */
static bool write_attribute(hid_t at, const char *path, const char *name, hid_t type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate_by_name(at, path, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, type, value) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    return ok;
}

static bool put_attribute(res_out *o, const char *object, const char *name, hid_t type, const void *value,
                          aic_error *err) {
    pdb_hdf5_lock();
    bool ok = write_attribute(o->file, object, name, type, value) ||
              res_h5_fail(err, o->path, "cannot write an attribute");
    pdb_hdf5_unlock();
    return ok;
}

bool res_out_text(res_out *o, const char *object, const char *name, const char *text, size_t width,
                  aic_error *err) {
    size_t len = strlen(text);
    if (width == 0)
        width = len ? len : 1;
    if (width > RES_ATTR_TEXT_MAX)
        return aic_fail(err, AIC_BAD_INPUT, "%s: %s is %zu bytes long; at most %d can be stored", o->path,
                        name, width, RES_ATTR_TEXT_MAX);
    char *value = aic_calloc(width, 1);
    memcpy(value, text, len < width ? len : width);
    if (len > width && width > 3)
        memcpy(value + width - 3, "...", 3);
    pdb_hdf5_lock();
    hid_t type = text_type(width);
    bool ok = write_attribute(o->file, object, name, type, value) ||
              res_h5_fail(err, o->path, "cannot write an attribute");
    H5Tclose(type);
    pdb_hdf5_unlock();
    free(value);
    return ok;
}

bool res_out_u64(res_out *o, const char *object, const char *name, uint64_t v, aic_error *err) {
    return put_attribute(o, object, name, H5T_STD_U64LE, &v, err);
}

bool res_out_f64(res_out *o, const char *object, const char *name, double v, aic_error *err) {
    return put_attribute(o, object, name, H5T_IEEE_F64LE, &v, err);
}

bool res_out_set_u64(res_out *o, const char *object, const char *name, uint64_t v, aic_error *err) {
    pdb_hdf5_lock();
    hid_t attr = H5Aopen_by_name(o->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, H5T_STD_U64LE, &v) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    if (!ok)
        res_h5_fail(err, o->path, "cannot write an attribute");
    pdb_hdf5_unlock();
    return ok;
}

/* ---- groups and datasets ----------------------------------------------------------------------------- */

/* An attribute of an object at hand: finding it by its path takes as long as making it. */
static bool describe(hid_t object, const char *name, const char *text) {
    hid_t type = text_type(strlen(text));
    bool ok = write_attribute(object, ".", name, type, text);
    H5Tclose(type);
    return ok;
}

bool res_out_group(res_out *o, const char *path, const char *meaning, aic_error *err) {
    pdb_hdf5_lock();
    hid_t properties = group_properties(H5P_GROUP_CREATE);
    bool ok = close_group(o);
    o->group = H5Gcreate2(o->file, path, H5P_DEFAULT, properties, H5P_DEFAULT);
    snprintf(o->group_path, sizeof o->group_path, "%s/", path);
    ok = o->group >= 0 && describe(o->group, "long_name", meaning) && ok;
    if (!ok)
        res_h5_fail(err, o->path, "cannot create a group");
    H5Pclose(properties);
    pdb_hdf5_unlock();
    return ok;
}

bool res_out_note(res_out *o, hid_t id, const char *name, const char *text, aic_error *err) {
    pdb_hdf5_lock();
    bool ok = describe(id, name, text) || res_h5_fail(err, o->path, "cannot write an attribute");
    pdb_hdf5_unlock();
    return ok;
}

static hid_t dataset_properties(const res_out *o, bool shuffled, size_t chunk) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t rows = chunk;
    H5Pset_obj_track_times(p, false);
    H5Pset_attr_phase_change(p, 128, 120);
    H5Pset_chunk(p, 1, &rows);
    if (shuffled)
        H5Pset_shuffle(p);
    H5Pset_deflate(p, (unsigned)o->level);
    return p;
}

/* The file's own, or, beyond so many of them, the last one's place. */
static hid_t kind_of(res_out *o, bool shuffled, size_t chunk) {
    for (size_t i = 0; i < o->n_kinds; i++)
        if (o->kinds[i].chunk == chunk && o->kinds[i].shuffled == shuffled)
            return o->kinds[i].id;
    if (o->n_kinds == RES_KINDS)
        H5Pclose(o->kinds[--o->n_kinds].id);
    struct res_kind *k = &o->kinds[o->n_kinds++];
    *k = (struct res_kind){dataset_properties(o, shuffled, chunk), chunk, shuffled};
    return k->id;
}

/* Where a path leads on from what is open. */
static hid_t parent_of(const res_out *o, const char **path) {
    size_t len = strlen(o->group_path);
    if (o->group < 0 || strncmp(*path, o->group_path, len) != 0)
        return o->file;
    *path += len;
    return o->group;
}

bool res_out_dataset(res_out *o, const char *path, res_dtype type, size_t width, size_t chunk,
                     const char *unit, const char *meaning, hid_t *id, aic_error *err) {
    hsize_t none = 0, unlimited = H5S_UNLIMITED;
    pdb_hdf5_lock();
    hid_t stored = res_h5_type(type, width), space = H5Screate_simple(1, &none, &unlimited);
    hid_t at = parent_of(o, &path);
    *id =
        H5Dcreate2(at, path, stored, space, H5P_DEFAULT, kind_of(o, res_shuffled(type), chunk), H5P_DEFAULT);
    bool ok = *id >= 0 && (!*unit || describe(*id, "units", unit)) && describe(*id, "long_name", meaning);
    if (!ok)
        res_h5_fail(err, o->path, "cannot create a dataset");
    H5Sclose(space);
    H5Tclose(stored);
    pdb_hdf5_unlock();
    return ok;
}

void res_out_done(hid_t id) {
    if (id < 0)
        return;
    pdb_hdf5_lock();
    H5Dclose(id);
    pdb_hdf5_unlock();
}

void res_out_gather(res_out *o) {
    pdb_hdf5_lock();
    pdb_hdf5_gather(o->file);
    pdb_hdf5_unlock();
}

bool res_out_gathered(res_out *o, aic_error *err) {
    pdb_hdf5_lock();
    bool ok = pdb_hdf5_gathered(o->file) || res_h5_fail(err, o->path, "cannot write");
    pdb_hdf5_unlock();
    return ok;
}

bool res_out_chunk(res_out *o, hid_t id, uint64_t index, size_t chunk, uint64_t rows, const res_coded *coded,
                   aic_error *err) {
    hsize_t extent = rows, offset = index * chunk;
    pdb_hdf5_lock();
    bool ok = H5Dset_extent(id, &extent) >= 0 &&
              (coded->size == 0 ||
               H5Dwrite_chunk(id, H5P_DEFAULT, coded->skipped, &offset, coded->size, coded->bytes) >= 0);
    if (!ok)
        res_h5_fail(err, o->path, "cannot write");
    pdb_hdf5_unlock();
    return ok;
}

/* ---- dimension scales (HDF5's Dimension Scale Specification) ----------------------------------------- */

typedef struct back_reference {
    hobj_ref_t dataset;
    int32_t dimension;
} back_reference;

static bool attach(hid_t id, hid_t list, hobj_ref_t *scale) {
    hvl_t value = {1, scale};
    hsize_t one = 1;
    hid_t space = H5Screate_simple(1, &one, NULL);
    hid_t attr = H5Acreate2(id, "DIMENSION_LIST", list, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, list, &value) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    return ok;
}

static bool put_back_references(hid_t scale, const back_reference *refs, size_t n) {
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof *refs);
    H5Tinsert(type, "dataset", offsetof(back_reference, dataset), H5T_STD_REF_OBJ);
    H5Tinsert(type, "dimension", offsetof(back_reference, dimension), H5T_NATIVE_INT32);
    hsize_t count = n;
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t attr = H5Acreate2(scale, "REFERENCE_LIST", type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, type, refs) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

/* The specification's own attributes are C strings; readers insist. */
static bool put_c_string(hid_t id, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    bool ok = write_attribute(id, ".", name, type, text);
    H5Tclose(type);
    return ok;
}

static bool refer_to(hid_t id, hobj_ref_t *out) {
    return H5Rcreate(out, id, ".", H5R_OBJECT, -1) >= 0;
}

static bool make_scale(const char *name, hid_t scale, const hid_t *ids, size_t n) {
    hobj_ref_t ref;
    bool ok = put_c_string(scale, "CLASS", "DIMENSION_SCALE") && put_c_string(scale, "NAME", name) &&
              refer_to(scale, &ref);
    back_reference *refs = aic_calloc(n, sizeof *refs);
    size_t attached = 0;
    hid_t list = H5Tvlen_create(H5T_STD_REF_OBJ);
    for (size_t i = 0; ok && i < n; i++)
        if (ids[i] != scale)
            ok = attach(ids[i], list, &ref) && refer_to(ids[i], &refs[attached++].dataset);
    ok = ok && put_back_references(scale, refs, attached);
    H5Tclose(list);
    free(refs);
    return ok;
}

bool res_out_scale(res_out *o, const char *name, hid_t scale, const hid_t *ids, size_t n, aic_error *err) {
    pdb_hdf5_lock();
    bool ok = make_scale(name, scale, ids, n) || res_h5_fail(err, o->path, "cannot attach a dimension scale");
    pdb_hdf5_unlock();
    return ok;
}
