/* links: perfdb. The reader of perfdb files: opening, listing, loading, verifying, printing. Input that
 * begins like an HDF5 file is taken for one: mutants test the checksums. Any other input is a recipe for a
 * well-formed HDF5 file that says wrong things: mutants test our own checks. Seeds in seeds/perfdb. */
#include "perfdb/rows.h"
#include <hdf5.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The HDF5 library does not free everything it held when a file turns out to be damaged. */
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static char folder[48];
static char path[80], sheet[80], facts[80];

static void clean_up(void) {
    remove(path);
    remove(sheet);
    remove(facts);
    remove(folder);
}

static void write_file(const char *name, const void *data, size_t size) {
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void make_folder(void) {
    static const char figures[] =
        "gpu: {mem_bw: 1.0e+12}\n"
        "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n";
    static const char release[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                                  "directories: {box: {vllm: ['0.9', '1.0'], trtllm: ['1.0']}}\n"
                                  "cross_backend: [{table: own_perf, kernel_source: a, tier: shared, "
                                  "frameworks: [trtllm, vllm]}]\n";
    bool memory = access("/dev/shm", W_OK) == 0; /* a disk would be the slowest part of a run */
    snprintf(folder, sizeof folder, "%s/aicfg-fuzz-perfdb-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/box.h5", folder);
    snprintf(sheet, sizeof sheet, "%s/box.yaml", folder);
    snprintf(facts, sizeof facts, "%s/release.yaml", folder);
    write_file(sheet, figures, sizeof figures - 1);
    write_file(facts, release, sizeof release - 1);
    atexit(clean_up);
    aic_quiet(true);
}

/* ---- files from recipes ----------------------------------------------------------------------- */

typedef struct recipe {
    const uint8_t *at;
    size_t left;
} recipe;

static unsigned take(recipe *r, unsigned choices) {
    if (!r->left)
        return 0;
    r->left--;
    return *r->at++ % choices;
}

static void put_attr(hid_t object, const char *name, recipe *r) {
    static const char *const texts[] = {"aicfg-perfdb", "box", "r1", "gemm", "comm", ""};
    char text[80];
    snprintf(text, sizeof text, "%s", texts[take(r, 6)]);
    bool number = take(r, 2);
    hsize_t two = 2;
    hid_t space = take(r, 16) == 1 ? H5Screate_simple(1, &two, NULL) : H5Screate(H5S_SCALAR);
    hid_t type = number ? H5Tcopy(H5T_STD_I64LE) : H5Tcopy(H5T_C_S1);
    if (!number)
        H5Tset_size(type, take(r, 16) == 1 ? H5T_VARIABLE : strlen(text) + 1);
    int64_t values[2] = {take(r, 4) ? take(r, 5) : INT64_MIN, 1};
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const char *pointers[2] = {text, text};
    char twice[2][80] = {{0}};
    snprintf(twice[0], sizeof twice[0], "%s", text);
    if (attr >= 0)
        H5Awrite(attr, type,
                 number                         ? (void *)values
                 : H5Tis_variable_str(type) > 0 ? (void *)pointers
                                                : (void *)twice);
    H5Aclose(attr);
    H5Tclose(type);
    H5Sclose(space);
}

static hid_t take_type(recipe *r) {
    hid_t plain[] = {H5T_STD_U8LE,   H5T_STD_U16LE, H5T_STD_U32LE, H5T_STD_U64LE,  H5T_STD_I64LE,
                     H5T_IEEE_F64LE, H5T_STD_I8LE,  H5T_STD_U32BE, H5T_IEEE_F32LE, H5T_C_S1};
    unsigned which = take(r, 13);
    if (which < 10)
        return H5Tcopy(plain[which]);
    hid_t type = H5Tenum_create(plain[which - 10]);
    for (unsigned n = take(r, 5) + 1; n; n--) {
        char name[8];
        uint32_t value = take(r, 256);
        snprintf(name, sizeof name, "m%u", value);
        H5Tenum_insert(type, take(r, 4) ? name : "<empty>", &value);
    }
    return type;
}

/* A filter that the format does not have and that changes nothing. */
enum { FOREIGN = 300 };
static size_t pass_on(unsigned flags, size_t n, const unsigned *values, size_t bytes, size_t *size,
                      void **data) {
    (void)flags;
    (void)n;
    (void)values;
    (void)size;
    (void)data;
    return bytes;
}

static hid_t take_settings(recipe *r, hsize_t rows) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    unsigned layout = take(r, 8);
    if (layout == 1)
        H5Pset_layout(list, H5D_COMPACT);
    if (layout < 2 || !rows)
        return list;
    hsize_t chunk = take(r, 3) ? rows : 1 + take(r, 9);
    chunk = chunk > rows ? rows : chunk;
    H5Pset_chunk(list, 1, &chunk);
    for (unsigned n = take(r, 5); n; n--)
        switch (take(r, 4)) {
        case 0:
            H5Pset_shuffle(list);
            break;
        case 1:
            H5Pset_deflate(list, 1);
            break;
        case 2:
            H5Pset_fletcher32(list);
            break;
        case 3:
            H5Pset_filter(list, FOREIGN, H5Z_FLAG_OPTIONAL, 0, NULL);
        }
    return list;
}

static void put_column(hid_t group, recipe *r, hsize_t rows) {
    static const char *const names[] = {
        "mode",         "m",       "n",      "k", "step", "latency", "heads", "kernel_source", "power",
        "message_size", "send_us", "wait_us"};
    const char *name = names[take(r, 12)];
    if (take(r, 32) == 1) {
        H5Lcreate_soft("/elsewhere", group, name, H5P_DEFAULT, H5P_DEFAULT);
        return;
    }
    hsize_t dims[2] = {take(r, 12) == 1 ? take(r, 70) : rows, 2};
    hid_t type = take_type(r), space = H5Screate_simple(take(r, 24) == 1 ? 2 : 1, dims, NULL);
    hid_t list = take_settings(r, dims[0]);
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    uint8_t cells[4096] = {0};
    for (size_t i = 0; i < sizeof cells && r->left; i++)
        cells[i] = i < 64 ? (uint8_t)take(r, 256) : cells[i - 64];
    hsize_t start[2] = {0};
    unsigned how = take(r, 4);
    if (dataset >= 0 && how == 1) /* bytes no filter ever made */
        H5Dwrite_chunk(dataset, H5P_DEFAULT, take(r, 8), start, take(r, 200), cells);
    else if (dataset >= 0 && how != 2)
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells);
    H5Dclose(dataset);
    H5Pclose(list);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_group(hid_t file, recipe *r) {
    static const char *const paths[] = {
        "/own_perf/vllm/1.0", "/own_perf/vllm/0.9", "/own_perf/trtllm/1.0",  "/wide_perf/vllm/1.0",
        "/wide_perf/vllm",    "/own_perf",          "/wide_perf/vllm/1.0/m", "/other"};
    hid_t create = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(create, 1);
    hid_t group = H5Gcreate2(file, paths[take(r, 8)], create, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(create);
    if (group < 0)
        return;
    int64_t rows = take(r, 16) == 1 ? INT64_MAX : take(r, 64);
    hid_t space = H5Screate(H5S_SCALAR),
          attr = H5Acreate2(group, "rows", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attr, H5T_NATIVE_INT64, &rows);
    H5Aclose(attr);
    H5Sclose(space);
    put_attr(group, "family", r);
    put_attr(group, "digest", r);
    for (unsigned n = take(r, 9); n; n--)
        put_column(group, r, rows < 64 ? (hsize_t)rows : 8);
    H5Gclose(group);
}

/* Attributes as they must be, unless the recipe has one of its own. */
static void put_head(hid_t file, recipe *r) {
    static const uint8_t right[] = {0, 0, 0, 0, 0, 0,  /* format: "aicfg-perfdb" */
                                    0, 1, 0, 1, 1, 0,  /* format_version: 1 */
                                    1, 0, 0, 0, 0, 0,  /* system: "box" */
                                    2, 0, 0, 0, 0, 0,  /* release: "r1" */
                                    2, 0, 0, 0, 0, 0,  /* digest */
                                    0, 1, 0, 1, 1, 0,  /* rows */
                                    0, 1, 0, 1, 1, 0}; /* tables */
    static const char *const names[] = {"format", "format_version", "system", "release",
                                        "digest", "rows",           "tables"};
    for (size_t i = 0; i < 7; i++) {
        recipe plain = {right + i * 6, 6};
        put_attr(file, names[i], take(r, 16) == 1 ? r : &plain);
    }
}

static void make_file(recipe r) {
    static const H5Z_class2_t foreign = {H5Z_CLASS_T_VERS, FOREIGN, 1, 1, "foreign", NULL, NULL, pass_on};
    pdb_hdf5_lock();
    H5Zregister(&foreign);
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, list);
    H5Pclose(list);
    if (file < 0)
        abort();
    put_head(file, &r);
    for (unsigned n = 1 + take(&r, 4); n; n--)
        put_group(file, &r);
    H5Fclose(file);
    pdb_hdf5_unlock();
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* The tables of the seeds, as an op family would read them. */
static const pdb_schema own = {
    .table = "own_perf",
    .cats = {{.column = "mode", .text = true},
             {.column = "heads", .optional = true},
             {.column = "kernel_source", .text = true, .optional = true}},
    .n_cats = 3,
    .n_extra = 1,
    .axes = {{.column = "m"}, {.column = "n"}, {.column = "k", .plus = "step", .optional = true}},
    .n_axes = 3,
    .sites = true};
static const pdb_schema wide = {.table = "wide_perf",
                                .axes = {{.column = "message_size"}},
                                .n_axes = 1,
                                .wide_axis = true,
                                .value = {"send_us", "wait_us"},
                                .last_in_source = true};

static void load(pdb *db, const char *backend) {
    const pdb_view *v = pdb_view_get(db, "box", backend, "1.0", true, true, NULL);
    const pdb_schema *const schemas[] = {&own, &wide};
    for (size_t i = 0; v && i < 2; i++) {
        const char *why = NULL;
        const pdb_table *t = pdb_table_get(v, schemas[i], &why);
        if (!t && (!why || !*why))
            abort(); /* a table that cannot answer says why */
        for (size_t k = 0; t && k < pdb_slice_count(t); k++) {
            const pdb_slice *s = pdb_slice_at(t, k);
            if (pdb_slice_find(t, s->cat) != s)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*path)
        make_folder();
    if (size && data[0] == 0x89)
        write_file(path, data, size);
    else
        make_file((recipe){data, size});
    const char *const dirs[] = {folder};
    static FILE *sink;
    if (!sink)
        sink = fopen("/dev/null", "w");
    aic_error err = {0};
    pdb *db = pdb_open(dirs, 1, NULL, dirs, 1, &err);
    if (!db)
        abort();
    load(db, "vllm");
    load(db, "trtllm");
    pdb_info(db, "box", sink, NULL);
    if (!pdb_verify(db, "box", sink, &err) && err.code == AIC_OK)
        abort();
    pdb_close(db);
    pdb_export(path, "own_perf/vllm/1.0", sink, NULL);
    return 0;
}
