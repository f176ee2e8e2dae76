/* Reading the columns of one table: as stored, checked before anything is allocated (docs/formats/perfdb.md).
 */
#include "perfdb/chunk.h"
#include "perfdb/h5.h"
#include "perfdb/scratch.h"
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "cells are used as the file stores them, little-endian");

static const hsize_t CHUNK_CELLS_MAX = 1 << 25;
static const int64_t ROWS_MAX = INT32_MAX;
static const uint64_t DEFLATE_RATIO_MAX = 1100; /* deflate cannot pack tighter than 1032 to 1 */

struct pdb_group {
    pdb_file *file;
    char *path;
    hid_t id;
    size_t rows;
    pdb_names columns; /* listed when first asked for; the HDF5 lock guards it */
};

/* "perfdb FILE: group G: column C: what" with the library's cause; returns false. */
static bool fail_column(aic_error *err, const pdb_group *g, const char *column, const char *what) {
    char text[256];
    snprintf(text, sizeof text, "column %s: %s", column, what);
    return pdb_h5_fail(err, g->file->path, g->path, text);
}

pdb_group *pdb_group_open(pdb_file *f, const char *path, aic_error *err) {
    pdb_group *g = AIC_NEW(pdb_group);
    g->file = f;
    g->path = aic_alloc(strlen(path) + 1, 1);
    strcpy(g->path, path);
    pdb_hdf5_lock();
    int64_t rows = -1;
    g->id = pdb_h5_has(f->id, path) ? H5Gopen2(f->id, path, H5P_DEFAULT) : -1;
    bool ok = g->id >= 0;
    if (!ok)
        pdb_h5_fail(err, f->path, path, "is absent or not a group");
    else if (!pdb_h5_int(g->id, "rows", &rows) || rows < 0 || rows > ROWS_MAX)
        ok = pdb_h5_fail(err, f->path, path, "has no attribute rows from 0 to 2^31 - 1");
    pdb_hdf5_unlock();
    g->rows = (size_t)rows;
    if (ok)
        return g;
    pdb_group_close(g);
    return NULL;
}

void pdb_group_close(pdb_group *g) {
    if (!g)
        return;
    pdb_hdf5_lock();
    if (g->id >= 0)
        H5Gclose(g->id);
    pdb_hdf5_unlock();
    pdb_names_free(&g->columns);
    free(g->path);
    free(g);
}

size_t pdb_group_rows(const pdb_group *g) {
    return g->rows;
}

bool pdb_group_attr(pdb_group *g, const char *name, char *out, size_t size, aic_error *err) {
    pdb_hdf5_lock();
    bool ok = pdb_h5_text(g->id, name, out, size);
    if (!ok) {
        char text[128];
        snprintf(text, sizeof text, "text attribute %s is missing, too long or of another type", name);
        pdb_h5_fail(err, g->file->path, g->path, text);
    }
    pdb_hdf5_unlock();
    return ok;
}

/* The HDF5 lock is held. */
static bool has_column(pdb_group *g, const char *column) {
    if (!g->columns.listed)
        pdb_names_read(&g->columns, g->id);
    return g->columns.whole ? pdb_names_have(&g->columns, column)
                            : !strchr(column, '/') && pdb_h5_has(g->id, column);
}

bool pdb_group_has(pdb_group *g, const char *column) {
    pdb_hdf5_lock();
    bool has = has_column(g, column);
    pdb_hdf5_unlock();
    return has;
}

bool pdb_group_is_boolean(pdb_group *g, const char *column) {
    pdb_hdf5_lock();
    int64_t flag = 0;
    hid_t dataset = pdb_h5_has(g->id, column) ? H5Dopen2(g->id, column, H5P_DEFAULT) : -1;
    bool is = dataset >= 0 && H5Aexists(dataset, "boolean") > 0 && pdb_h5_int(dataset, "boolean", &flag);
    if (dataset >= 0)
        H5Dclose(dataset);
    H5Eclear2(H5E_DEFAULT);
    pdb_hdf5_unlock();
    return is && flag == 1;
}

/* ---- checking what is about to be read ------------------------------------------------------- */

/* The cell types of the format; anything else is refused. */
static bool known_type(hid_t type, pdb_cells *out) {
    const struct {
        hid_t type;
        pdb_cell_kind kind;
        int width;
        bool is_signed;
    } types[] = {
        {H5T_STD_U8LE, PDB_CELL_INT, 1, false},  {H5T_STD_U16LE, PDB_CELL_INT, 2, false},
        {H5T_STD_U32LE, PDB_CELL_INT, 4, false}, {H5T_STD_U64LE, PDB_CELL_INT, 8, false},
        {H5T_STD_I64LE, PDB_CELL_INT, 8, true},  {H5T_IEEE_F64LE, PDB_CELL_REAL, 8, true},
    };
    hid_t plain = H5Tget_class(type) == H5T_ENUM ? H5Tget_super(type) : H5Tcopy(type);
    size_t n = sizeof types / sizeof *types, i = 0;
    while (i < n && H5Tequal(plain, types[i].type) <= 0)
        i++;
    H5Tclose(plain);
    if (i == n || H5Tget_size(type) != (size_t)types[i].width)
        return false;
    out->kind = types[i].kind;
    out->width = types[i].width;
    out->is_signed = types[i].is_signed;
    if (H5Tget_class(type) != H5T_ENUM)
        return true;
    out->kind = PDB_CELL_TEXT;
    return out->width <= 2 && !out->is_signed;
}

/* How the cells of a column lie in the file. */
typedef struct storage {
    hsize_t chunk; /* cells; 0 = one plain piece */
    pdb_filters filters;
} storage;

/* The filters of the format, each at most once and in their order. */
static bool known_filters(hid_t list, int width, pdb_filters *out) {
    static const H5Z_filter_t filters[PDB_FILTERS] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE,
                                                      H5Z_FILTER_FLETCHER32};
    int next = 0, n = H5Pget_nfilters(list);
    for (int i = 0; i < n; i++) {
        unsigned flags, config, value = 0;
        size_t values = 1;
        H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)i, &flags, &values, &value, 0, NULL, &config);
        while (next < PDB_FILTERS && filters[next] != filter)
            next++;
        if (next == PDB_FILTERS || (next == PDB_SHUFFLE && (values < 1 || value != (unsigned)width)))
            return false;
        out->used[next++] = true;
    }
    return n >= 0;
}

/* Storage that is plain or packed by the format's filters, in chunks no larger than the column. */
static bool known_layout(hid_t dataset, const pdb_cells *c, storage *out, const char **what) {
    hid_t list = H5Dget_create_plist(dataset);
    H5D_layout_t layout = H5Pget_layout(list);
    bool ok = layout == H5D_CONTIGUOUS && H5Pget_external_count(list) == 0 && H5Pget_nfilters(list) == 0;
    if (layout == H5D_CHUNKED)
        ok = H5Pget_chunk(list, 1, &out->chunk) == 1 && out->chunk > 0 && out->chunk <= CHUNK_CELLS_MAX &&
             out->chunk <= c->rows && known_filters(list, c->width, &out->filters);
    H5Pclose(list);
    *what =
        "is stored in a way this program does not read (plain, or chunks with shuffle, deflate, fletcher32)";
    return ok;
}

static bool check_column(const pdb_group *g, hid_t dataset, hid_t type, pdb_cells *out, storage *how,
                         const char **what) {
    hid_t space = H5Dget_space(dataset);
    hsize_t rows = 0;
    bool shaped =
        H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &rows, NULL) == 1;
    H5Sclose(space);
    *what = "is not a list of as many cells as its group has rows";
    if (!shaped || rows != g->rows)
        return false;
    out->rows = (size_t)rows;
    *what = "has a cell type that is not the format's";
    if (!known_type(type, out))
        return false;
    if (!known_layout(dataset, out, how, what))
        return false;
    *what = "claims more rows than its storage can hold";
    uint64_t bytes = (uint64_t)rows * (uint64_t)out->width, stored = H5Dget_storage_size(dataset);
    return rows == 0 || bytes / DEFLATE_RATIO_MAX <= stored;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_members(hid_t type, pdb_cells *c) {
    int n = H5Tget_nmembers(type);
    c->n_members = (size_t)1 << (8 * c->width);
    c->members = AIC_NEW_ARRAY(char *, c->n_members);
    for (int i = 0; i < n; i++) {
        uint16_t value = 0;
        char *name = H5Tget_member_name(type, (unsigned)i);
        if (!name || H5Tget_member_value(type, (unsigned)i, &value) < 0)
            return false;
        char **to = &c->members[value];
        const char *text = strcmp(name, "<empty>") == 0 ? "" : name;
        free(*to);
        *to = aic_alloc(strlen(text) + 1, 1);
        strcpy(*to, text);
        H5free_memory(name);
    }
    return true;
}

/* Whole blocks apart: loops of known length are what compilers turn into vector instructions. */
#define LARGEST(name, type)                                                                                  \
    AIC_WIDE static size_t name(const type *x, size_t n) {                                                   \
        enum { BLOCK = 512 };                                                                                \
        type most = 0;                                                                                       \
        for (; n >= BLOCK; n -= BLOCK, x += BLOCK)                                                           \
            for (size_t i = 0; i < BLOCK; i++)                                                               \
                most = x[i] > most ? x[i] : most;                                                            \
        for (size_t i = 0; i < n; i++)                                                                       \
            most = x[i] > most ? x[i] : most;                                                                \
        return most;                                                                                         \
    }
LARGEST(pdb_largest_8, uint8_t)
LARGEST(pdb_largest_16, uint16_t)

static size_t largest_cell(const pdb_cells *c) {
    return c->width == 1 ? pdb_largest_8(c->data, c->rows) : pdb_largest_16(c->data, c->rows);
}

/* Members are most often those from 0 on: then no cell needs a look of its own. */
static bool cells_are_members(const pdb_cells *c) {
    size_t named = 0;
    while (named < c->n_members && c->members[named])
        named++;
    bool ok = true;
    size_t to_check = c->rows && largest_cell(c) >= named ? c->rows : 0;
    for (size_t i = 0; i < to_check; i++)
        ok &= c->members[pdb_cell_bits(c, i)] != NULL;
    return ok;
}

/* A packed column as it lies in the file, on its way out of HDF5; all of it scratch. */
typedef struct pieces {
    size_t n;          /* chunks */
    size_t *end;       /* of each in bytes */
    uint32_t *skipped; /* filters left out of each */
    uint8_t *bytes;    /* of all, one after the other */
} pieces;

/* No dataset stores more than its file has. */
static hsize_t file_bytes(hid_t dataset) {
    hsize_t bytes = 0;
    hid_t file = H5Iget_file_id(dataset);
    if (file < 0 || H5Fget_filesize(file, &bytes) < 0)
        bytes = 0;
    if (file >= 0)
        H5Fclose(file);
    return bytes;
}

/* The stored bytes of all chunks. */
static bool read_chunks(hid_t dataset, const storage *how, const pdb_cells *c, pieces *out) {
    size_t cells = (size_t)how->chunk, bytes = cells * (size_t)c->width, size = 0;
    hsize_t most = bytes + bytes / 8 + 1024; /* deflate and its checksum never add more */
    hsize_t all = file_bytes(dataset);
    out->n = c->rows / cells + (c->rows % cells != 0);
    if (out->n > all) /* each takes a byte at least */
        return false;
    out->end = pdb_scratch_take(out->n, sizeof *out->end);
    out->skipped = pdb_scratch_take(out->n, sizeof *out->skipped);
    bool ok = true;
    for (size_t i = 0; ok && i < out->n; i++) {
        hsize_t at = i * cells, stored = 0;
        ok = H5Dget_chunk_storage_size(dataset, &at, &stored) >= 0 && stored > 0 && stored <= most;
        ok = ok && stored <= all - size;
        out->end[i] = size += ok ? (size_t)stored : 0;
    }
    out->bytes = ok ? pdb_scratch_take(size, 1) : NULL;
    for (size_t i = 0; ok && i < out->n; i++) {
        hsize_t at = i * cells;
        ok = H5Dread_chunk(dataset, H5P_DEFAULT, &at, &out->skipped[i],
                           out->bytes + (i ? out->end[i - 1] : 0)) >= 0;
    }
    return ok;
}

static void *room_for(const pdb_cells *c, pdb_room *room, size_t *capacity) {
    size_t bytes = c->rows * (size_t)c->width;
    *capacity = bytes;
    return room ? pdb_room_memory(room, bytes, capacity) : aic_alloc(bytes, 1);
}

static bool read_plain(hid_t dataset, hid_t type, pdb_room *room, pdb_cells *c) {
    size_t bytes = c->rows * (size_t)c->width;
    c->data = room_for(c, room, &c->capacity);
    return bytes == 0 || (H5Dget_storage_size(dataset) == bytes &&
                          H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) >= 0);
}

/* Everything that HDF5 has to say of a column. */
static bool read_stored(pdb_group *g, const char *column, pdb_room *room, pdb_cells *c, storage *how,
                        pieces *out, const char **what) {
    hid_t dataset = has_column(g, column) ? H5Dopen2(g->id, column, H5P_DEFAULT) : -1;
    hid_t type = dataset >= 0 ? H5Dget_type(dataset) : -1;
    *what = "is missing or not a dataset";
    bool ok = type >= 0 && check_column(g, dataset, type, c, how, what);
    if (ok) {
        *what = "cannot be read";
        ok = how->chunk ? read_chunks(dataset, how, c, out) : read_plain(dataset, type, room, c);
    }
    if (ok && c->kind == PDB_CELL_TEXT) {
        *what = "has an unreadable enumeration";
        ok = read_members(type, c);
    }
    if (type >= 0)
        H5Tclose(type);
    if (dataset >= 0)
        H5Dclose(dataset);
    return ok;
}

/* Decodes chunk after chunk; the last one may reach beyond the rows. */
static bool decode_chunks(const storage *how, const pieces *p, pdb_cells *c) {
    size_t width = (size_t)c->width, cells = (size_t)how->chunk;
    uint8_t *whole = c->rows % cells ? pdb_scratch_take(cells, width) : NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < p->n; i++) {
        size_t at = i * cells, left = c->rows - at, from = i ? p->end[i - 1] : 0;
        uint8_t *to = (uint8_t *)c->data + at * width;
        ok = pdb_chunk_decode(&how->filters, p->skipped[i], p->bytes + from, p->end[i] - from, cells, width,
                              left < cells ? whole : to);
        if (ok && left < cells)
            memcpy(to, whole, left * width);
    }
    return ok;
}

static bool decode(const storage *how, const pieces *p, pdb_room *room, pdb_cells *c, const char **what) {
    *what = "cannot be read";
    if (how->chunk) {
        c->data = room_for(c, room, &c->capacity);
        if (!decode_chunks(how, p, c))
            return false;
    }
    *what = "holds a value its enumeration does not name";
    return c->kind != PDB_CELL_TEXT || cells_are_members(c);
}

/* Only what HDF5 does is done under its lock: decoding takes longer, and threads do it side by side. */
bool pdb_group_read(pdb_group *g, const char *column, pdb_room *room, pdb_cells *out, aic_error *err) {
    storage how = {0};
    pieces p = {0};
    const char *what;
    *out = (pdb_cells){0};
    pdb_scratch scratch = pdb_scratch_begin();
    pdb_hdf5_lock();
    bool ok = read_stored(g, column, room, out, &how, &p, &what);
    if (!ok)
        fail_column(err, g, column, what);
    pdb_hdf5_unlock();
    if (ok && !decode(&how, &p, room, out, &what)) {
        pdb_hdf5_lock();
        ok = fail_column(err, g, column, what);
        pdb_hdf5_unlock();
    }
    pdb_scratch_end(&scratch);
    if (!ok)
        pdb_cells_free(out);
    return ok;
}

void pdb_cells_free(pdb_cells *c) {
    for (size_t i = 0; i < c->n_members; i++)
        free(c->members[i]);
    free(c->members);
    free(c->data);
    *c = (pdb_cells){0};
}
