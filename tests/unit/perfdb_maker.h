/* Makes small databases in a temporary folder: spec sheets, release.yaml and perfdb files, right or wrong on
 * purpose. */
#ifndef AICFG_TESTS_PERFDB_MAKER_H
#define AICFG_TESTS_PERFDB_MAKER_H

#include "perfdb/internal.h"
#include <dirent.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct maker {
    char dir[64];     /* temporary folder */
    char release[96]; /* its release folder, dir/r1 */
    char sheets[96];  /* its spec sheets, dir/systems */
    hid_t file;
} maker;

static inline const char *maker_path(const char *dir, const char *name) {
    static char path[4][400];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static inline void maker_text(const char *dir, const char *name, const char *text) {
    FILE *f = fopen(maker_path(dir, name), "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

#define MAKER_SHEET                                                                                          \
    "gpu: {mem_bw: 1.0e+12, bfloat16_tc_flops: 1.0e+14, sm_version: 90}\n"                                   \
    "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n"                         \
    "misc: {nccl_version: 2.27, nccl_mem: {1: 0, 8: 5}}\n"

static inline void maker_start(maker *m) {
    strcpy(m->dir, "/tmp/aicfg-perfdb-XXXXXX");
    if (!mkdtemp(m->dir))
        abort();
    snprintf(m->release, sizeof m->release, "%s/r1", m->dir);
    snprintf(m->sheets, sizeof m->sheets, "%s/systems", m->dir);
    if (mkdir(m->release, 0700) || mkdir(m->sheets, 0700))
        abort();
    maker_text(m->sheets, "box.yaml", MAKER_SHEET);
    m->file = -1;
}

static inline void maker_remove(const char *path) {
    DIR *d = opendir(path);
    if (!d) {
        unlink(path);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        aic_buf inner = {0};
        aic_buf_printf(&inner, "%s/%s", path, e->d_name);
        maker_remove(inner.data);
        aic_buf_free(&inner);
    }
    closedir(d);
    rmdir(path);
}

static inline void maker_end(maker *m) {
    maker_remove(m->dir);
}

/* ---- HDF5 ------------------------------------------------------------------------------------ */

static inline void maker_attr_text(hid_t object, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) ? strlen(text) : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, type, text) < 0)
        abort();
    H5Aclose(attr);
    H5Sclose(space);
    H5Tclose(type);
}

static inline void maker_attr_int(hid_t object, const char *name, long long value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, H5T_NATIVE_LLONG, &value) < 0)
        abort();
    H5Aclose(attr);
    H5Sclose(space);
}

/* Opens release/<system>.h5 for writing, in the form the importer uses: metadata carry checksums. */
static inline void maker_file(maker *m, const char *system) {
    char name[96];
    snprintf(name, sizeof name, "%s.h5", system);
    pdb_hdf5_lock();
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110);
    m->file = H5Fcreate(maker_path(m->release, name), H5F_ACC_TRUNC, H5P_DEFAULT, list);
    H5Pclose(list);
    pdb_hdf5_unlock();
    if (m->file < 0)
        abort();
}

static inline void maker_head(maker *m, const char *format, long long version, const char *system,
                              const char *release) {
    maker_attr_text(m->file, "format", format);
    maker_attr_int(m->file, "format_version", version);
    maker_attr_text(m->file, "system", system);
    maker_attr_text(m->file, "release", release);
    maker_attr_text(m->file, "digest", "0");
    maker_attr_int(m->file, "rows", 0);
    maker_attr_int(m->file, "tables", 0);
}

/* Starts release r1 with these facts and its only file, box.h5. */
static inline void maker_box(maker *m, const char *facts) {
    maker_start(m);
    maker_text(m->release, "release.yaml", facts);
    maker_file(m, "box");
    maker_head(m, "aicfg-perfdb", 1, "box", "r1");
}

static inline void maker_close(maker *m) {
    H5Fclose(m->file);
    m->file = -1;
}

/* Creates /table/backend/version with its attributes. */
static inline hid_t maker_group(maker *m, const char *path, const char *family, long long rows) {
    hid_t create = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(create, 1);
    hid_t g = H5Gcreate2(m->file, path, create, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(create);
    if (g < 0)
        abort();
    maker_attr_text(g, "family", family);
    maker_attr_text(g, "source", "test");
    maker_attr_int(g, "rows", rows);
    maker_attr_text(g, "digest", "0");
    return g;
}

static inline void maker_cells(hid_t g, const char *name, hid_t file_type, hid_t type, size_t n,
                               const void *cells) {
    hsize_t dims = n;
    hid_t space = H5Screate_simple(1, &dims, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    if (n) {
        H5Pset_chunk(list, 1, &dims);
        H5Pset_shuffle(list);
        H5Pset_deflate(list, 6);
        H5Pset_fletcher32(list);
    }
    hid_t d = H5Dcreate2(g, name, file_type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (d < 0 || (n && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0))
        abort();
    H5Dclose(d);
    H5Pclose(list);
    H5Sclose(space);
}

static inline void maker_ints(hid_t g, const char *name, size_t n, const uint32_t *cells) {
    maker_cells(g, name, H5T_STD_U32LE, H5T_NATIVE_UINT32, n, cells);
}

static inline void maker_reals(hid_t g, const char *name, size_t n, const double *cells) {
    maker_cells(g, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, n, cells);
}

/* members: NULL-terminated; cells index them. */
static inline void maker_texts(hid_t g, const char *name, const char *const *members, size_t n,
                               const uint8_t *cells) {
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (uint8_t i = 0; members[i]; i++)
        H5Tenum_insert(type, *members[i] ? members[i] : "<empty>", &i);
    maker_cells(g, name, type, type, n, cells);
    H5Tclose(type);
}

static inline pdb *maker_open(maker *m, aic_error *err) {
    const char *dirs[] = {m->dir}, *sheets[] = {m->sheets};
    *err = (aic_error){0};
    return pdb_open(dirs, 1, NULL, sheets, 1, err);
}

#endif
