/* What storing a finished file takes at the least: its chunks, as stored, written to another HDF5 file by
 * nothing but HDF5, and, with a clock of their own, encoded and digested once more. */
#include "results/h5.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One dataset in memory. */
typedef struct column {
    res_dataset set;
    size_t n;          /* chunks */
    res_coded *stored; /* size 0: left out of the file */
    uint8_t *bytes;    /* where they point */
} column;

typedef struct meter {
    res_in in;
    hid_t raw;
    const char *path; /* of raw */
    res_codec *codec;
    uint8_t *plain;
    size_t plain_cap;
    res_roofline *out;
} meter;

/* ---- reading, off the clock -------------------------------------------------------------------------- */

static bool load(const meter *m, const char *path, column *c, aic_error *err) {
    uint8_t *one = NULL;
    size_t cap = 0, used = 0, room = 0;
    bool ok = true;
    c->n = (size_t)(c->set.rows / c->set.chunk + (c->set.rows % c->set.chunk != 0));
    c->stored = aic_calloc(c->n, sizeof *c->stored);
    for (size_t i = 0; ok && i < c->n; i++) {
        ok = res_in_stored(&m->in, &c->set, path, i, &one, &cap, &c->stored[i], err);
        if (!ok || c->stored[i].size == 0)
            continue;
        if (used + c->stored[i].size > room) {
            room = 2 * (used + c->stored[i].size);
            c->bytes = aic_realloc(c->bytes, room, 1);
        }
        memcpy(c->bytes + used, one, c->stored[i].size);
        used += c->stored[i].size;
    }
    for (size_t i = 0, at = 0; ok && i < c->n; at += c->stored[i++].size)
        c->stored[i].bytes = c->bytes + at;
    free(one);
    return ok;
}

/* ---- writing it as it is ----------------------------------------------------------------------------- */

static hid_t create_dataset(hid_t file, const char *name, hsize_t extent, hsize_t chunk) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &extent, NULL);
    H5Pset_chunk(p, 1, &chunk);
    H5Pset_deflate(p, 1); /* chunks may be shorter than their rows only where there is a filter */
    hid_t id = H5Dcreate2(file, name, H5T_NATIVE_UINT8, space, H5P_DEFAULT, p, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(p);
    return id;
}

static bool put_chunks(hid_t file, const char *name, const column *c) {
    size_t chunk = c->set.chunk * c->set.width;
    hid_t id = create_dataset(file, name, c->n * chunk, chunk);
    bool ok = id >= 0;
    for (size_t i = 0; ok && i < c->n; i++) {
        hsize_t offset = i * chunk;
        if (c->stored[i].size)
            ok = H5Dwrite_chunk(id, H5P_DEFAULT, 0, &offset, c->stored[i].size, c->stored[i].bytes) >= 0;
    }
    return id >= 0 && H5Dclose(id) >= 0 && ok;
}

static bool write_raw(meter *m, const char *name, const column *c, aic_error *err) {
    pdb_hdf5_lock();
    double start = aic_now();
    bool ok = put_chunks(m->raw, name, c) || res_h5_fail(err, m->path, "cannot write");
    m->out->raw_s += aic_now() - start;
    pdb_hdf5_unlock();
    for (size_t i = 0; i < c->n; i++) {
        m->out->bytes += c->stored[i].size;
        m->out->chunks += c->stored[i].size > 0;
    }
    return ok;
}

/* ---- encoding and digesting again -------------------------------------------------------------------- */

static bool encode_again(meter *m, const char *path, const column *c, aic_error *err) {
    const res_dataset *d = &c->set;
    bool shuffle = res_shuffled(d->type);
    for (size_t i = 0; i < c->n; i++) {
        uint64_t left = d->rows - i * d->chunk;
        size_t rows = left < d->chunk ? (size_t)left : d->chunk;
        res_chunk_digest hex;
        res_coded coded;
        if (c->stored[i].size == 0)
            memset(m->plain, 0, d->chunk * d->width);
        else if (!res_decode(m->codec, &c->stored[i], d->width, d->chunk, shuffle, m->plain))
            return res_damaged(err, m->in.path, path, "a chunk is damaged");
        double start = aic_now();
        res_encode(m->codec, m->plain, rows, d->width, d->chunk, shuffle, d->sparse, &coded);
        double encoded = aic_now();
        res_digest_rows(m->plain, rows * d->width, hex);
        m->out->digest_s += aic_now() - encoded;
        m->out->encode_s += encoded - start;
        m->out->plain += rows * d->width;
    }
    return true;
}

/* ---- a file ------------------------------------------------------------------------------------------ */

static bool measure_field(meter *m, const res_group *g, size_t f, aic_error *err) {
    char path[96], name[96];
    column c = {0};
    snprintf(path, sizeof path, "/%s/%s", g->name, g->fields[f].name);
    snprintf(name, sizeof name, "%s.%s", g->name, g->fields[f].name);
    if (!res_in_dataset(&m->in, path, g->fields[f].type, g->chunk, g->sparse, &c.set, err))
        return false;
    res_make_room(&m->plain, &m->plain_cap, g->chunk * c.set.width);
    bool ok = load(m, path, &c, err) && write_raw(m, name, &c, err) && encode_again(m, path, &c, err);
    free(c.stored);
    free(c.bytes);
    res_dataset_close(&c.set);
    return ok;
}

static bool start_raw(meter *m, aic_error *err) {
    pdb_hdf5_lock();
    double start = aic_now();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    m->raw = H5Fcreate(m->path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    bool ok = m->raw >= 0 || res_h5_fail(err, m->path, "cannot create it");
    H5Pclose(access);
    m->out->raw_s += aic_now() - start;
    pdb_hdf5_unlock();
    return ok;
}

static bool end_raw(meter *m, aic_error *err) {
    pdb_hdf5_lock();
    double start = aic_now();
    bool ok = H5Fclose(m->raw) >= 0 || res_h5_fail(err, m->path, "cannot close it");
    pdb_hdf5_unlock();
    ok = ok && res_fsync(m->path, err);
    m->out->raw_s += aic_now() - start;
    return ok;
}

static bool measure_groups(meter *m, aic_error *err) {
    res_precision breakdown;
    if (!res_in_precision(&m->in, &breakdown, err))
        return false;
    for (int g = 0; g < RES_GROUPS; g++) {
        const res_group *group = res_group_in((res_group_id)g, breakdown);
        for (size_t f = 0; f < group->n_fields; f++)
            if (!measure_field(m, group, f, err))
                return false;
    }
    return true;
}

bool res_roofline_measure(const char *path, const char *scratch, res_roofline *out, aic_error *err) {
    meter m = {.path = scratch, .out = out, .raw = -1};
    *out = (res_roofline){0};
    if (!res_in_open(&m.in, path, err))
        return false;
    m.codec = res_codec_new(1);
    bool ok = start_raw(&m, err);
    if (ok) {
        ok = measure_groups(&m, err);
        ok = end_raw(&m, ok ? err : NULL) && ok;
    }
    aic_io_unlink(scratch);
    res_codec_free(m.codec);
    res_in_close(&m.in);
    free(m.plain);
    return ok;
}
