/* links: perfdb. Perfdb files as they should not be: foreign, old, truncated, damaged, lying; info and
 * verify. */
#include "perfdb_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char facts[] =
    "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ndirectories: {box: {vllm: [1.0]}}\n";
static const pdb_schema schema = {.table = "t",
                                  .n_cats = 1,
                                  .cats = {{.column = "mode", .text = true}},
                                  .n_axes = 1,
                                  .axes = {{.column = "x"}}};
static const pdb_schema wide = {.table = "t",
                                .n_cats = 1,
                                .cats = {{.column = "mode", .text = true}},
                                .n_axes = 1,
                                .axes = {{.column = "x"}},
                                .wide_axis = true};

static void start(maker *m) {
    maker_start(m);
    maker_text(m->release, "release.yaml", facts);
}

static const pdb_view *open_view(maker *m, pdb **db, aic_error *err) {
    *db = maker_open(m, err);
    assert_non_null(*db);
    return pdb_view_get(*db, "box", "vllm", "1.0", true, false, err);
}

static void expect_no_view(maker *m, aic_code code, const char *message) {
    aic_error err = {0};
    pdb *db;
    assert_null(open_view(m, &db, &err));
    if (!strstr(err.text, message))
        fail_msg("%s", err.text);
    assert_int_equal(err.code, code);
    FILE *sink = tmpfile();
    assert_false(pdb_verify(db, "box", sink, &err));
    assert_int_equal(err.code, code);
    assert_false(pdb_info(db, "box", sink, &err));
    fclose(sink);
    pdb_close(db);
}

static void test_not_a_perfdb_file(void **state) {
    (void)state;
    maker m;
    start(&m);
    maker_text(m.release, "box.h5", "version https://git-lfs.github.com/spec/v1\n");
    expect_no_view(&m, AIC_BAD_INPUT, "box.h5 is not a perfdb file: it is not an HDF5 file");
    maker_text(m.release, "box.h5", "");
    expect_no_view(&m, AIC_BAD_INPUT, "it is not an HDF5 file");
    H5Fclose(H5Fcreate(maker_path(m.release, "box.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    expect_no_view(&m, AIC_BAD_INPUT, "HDF5 superblock version 0, expected 2 or 3"); /* no checksums */
    maker_file(&m, "box");
    maker_close(&m);
    expect_no_view(&m, AIC_BAD_INPUT, "is not a perfdb file: it lacks the attributes");
    maker_file(&m, "box");
    maker_head(&m, "other", 1, "box", "r1");
    maker_close(&m);
    expect_no_view(&m, AIC_BAD_INPUT, "is not a perfdb file");
    maker_file(&m, "box");
    maker_head(&m, "aicfg-perfdb", 2, "box", "r1");
    maker_close(&m);
    expect_no_view(&m, AIC_BAD_INPUT, "format version 2, this program reads 1");
    maker_file(&m, "box");
    maker_head(&m, "aicfg-perfdb", 1, "bin", "r1");
    maker_close(&m);
    expect_no_view(&m, AIC_BAD_INPUT, "holds system bin of release r1; its place says box of r1");
    maker_file(&m, "box");
    maker_attr_text(m.file, "format", "aicfg-perfdb");
    maker_attr_int(m.file, "format_version", 1);
    maker_attr_int(m.file, "system", 7);
    maker_close(&m);
    expect_no_view(&m, AIC_BAD_INPUT, "a root attribute");
    maker_end(&m);
}

/* ---- one table, written well or badly -------------------------------------------------------- */

enum { ROWS = 4000 };

static uint32_t keys[ROWS];
static double latencies[ROWS];
static uint8_t chosen[ROWS];
static const char *const modes[] = {"fp8", NULL};

static hid_t begin(maker *m, long long rows) {
    for (uint32_t i = 0; i < ROWS; i++) {
        keys[i] = i;
        latencies[i] = 1.0 / (i + 1);
    }
    maker_file(m, "box");
    maker_head(m, "aicfg-perfdb", 1, "box", "r1");
    return maker_group(m, "/t/vllm/1.0", "gemm", rows);
}

static void write_good(maker *m) {
    hid_t g = begin(m, ROWS);
    maker_texts(g, "mode", modes, ROWS, chosen);
    maker_ints(g, "x", ROWS, keys);
    maker_reals(g, "latency", ROWS, latencies);
    H5Gclose(g);
    maker_close(m);
}

/* The view opens, the table does not, and its reason says so. */
static void expect_no_table(maker *m, const pdb_schema *s, const char *message) {
    aic_error err = {0};
    pdb *db;
    const pdb_view *v = open_view(m, &db, &err);
    assert_non_null(v);
    const char *why = NULL;
    assert_null(pdb_table_get(v, s, &why));
    if (!strstr(why, message))
        fail_msg("%s", why);
    FILE *sink = tmpfile();
    assert_false(pdb_verify(db, "box", sink, &err));
    fclose(sink);
    pdb_close(db);
}

static void test_truncated(void **state) {
    (void)state;
    maker m;
    start(&m);
    write_good(&m);
    const char *path = maker_path(m.release, "box.h5");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (off_t cut = 1; cut < st.st_size; cut = cut * 2 + 7) {
        write_good(&m);
        assert_int_equal(truncate(path, st.st_size - cut), 0);
        aic_error err = {0};
        pdb *db;
        assert_null(open_view(&m, &db, &err)); /* HDF5 knows how long the file must be */
        assert_true(strstr(err.text, "box.h5") && (err.code == AIC_IO || err.code == AIC_BAD_INPUT));
        pdb_close(db);
    }
    maker_end(&m);
}

/* HDF5 1.10 itself loses an object header it finds damaged; what this program opens is counted below. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static void expect_all_closed(void) {
    pdb_hdf5_lock();
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
    pdb_hdf5_unlock();
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* Any byte may be wrong: a miss, an error, or a table that is none the worse, never a crash or a leak. */
static void test_damaged(void **state) {
    (void)state;
    maker m;
    start(&m);
    write_good(&m);
    const char *path = maker_path(m.release, "box.h5");
    static uint8_t bytes[1 << 18];
    FILE *f = fopen(path, "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f), noticed = 0, tried = 0;
    fclose(f);
    for (size_t at = 0; at < n; at += 11) {
        bytes[at] ^= 0x5a;
        write_bytes(path, bytes, n);
        bytes[at] ^= 0x5a;
        aic_error err = {0};
        pdb *db;
        const pdb_view *v = open_view(&m, &db, &err);
        const char *why = NULL;
        tried++;
        if (!v || !pdb_table_get(v, &schema, &why))
            noticed++;
        assert_true(v || *err.text);
        pdb_close(db);
        expect_all_closed();
    }
    assert_true(noticed * 4 > tried * 3); /* the rest hit unused space, or parts this table does not need */
    maker_end(&m);
}

static void test_lies(void **state) {
    (void)state;
    maker m;
    start(&m);
    hid_t g = begin(&m, ROWS - 1);
    maker_texts(g, "mode", modes, ROWS, chosen);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "column mode: is not a list of as many cells as its group has rows");

    g = begin(&m, ROWS);
    maker_texts(g, "mode", modes, ROWS, chosen);
    maker_reals(g, "x", ROWS, latencies);
    maker_reals(g, "latency", ROWS, latencies);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "x of /t/vllm/1.0 does not hold integers");

    g = begin(&m, ROWS);
    chosen[ROWS / 2] = 3;
    maker_cells(g, "mode", H5T_STD_U8LE, H5T_NATIVE_UINT8, ROWS, chosen);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "mode of /t/vllm/1.0 does not hold text");

    g = begin(&m, ROWS);
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    H5Tenum_insert(type, "fp8", &(uint8_t){0});
    maker_cells(g, "mode", type, type, ROWS, chosen);
    H5Tclose(type);
    H5Gclose(g);
    maker_close(&m);
    chosen[ROWS / 2] = 0;
    expect_no_table(&m, &schema, "column mode: holds a value its enumeration does not name");

    g = begin(&m, 1LL << 40);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "has no attribute rows from 0 to 2^31 - 1");

    g = begin(&m, 2000000000);
    hsize_t dims = 2000000000, chunk = 1000;
    hid_t space = H5Screate_simple(1, &dims, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 1, &chunk);
    H5Dclose(H5Dcreate2(g, "mode", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
    H5Pclose(list);
    H5Sclose(space);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "column mode: claims more rows than its storage can hold");
    maker_end(&m);
}

static void test_keys_that_do_not_fit(void **state) {
    (void)state;
    maker m;
    start(&m);
    static int64_t big[ROWS];
    big[7] = -1;
    hid_t g = begin(&m, ROWS);
    maker_texts(g, "mode", modes, ROWS, chosen);
    maker_cells(g, "x", H5T_STD_I64LE, H5T_NATIVE_INT64, ROWS, big);
    maker_reals(g, "latency", ROWS, latencies);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "x of /t/vllm/1.0 holds a key that does not fit in 32 bits");
    expect_no_table(&m, &wide, "x of /t/vllm/1.0 holds a key that does not fit in 64 bits");

    big[7] = 1LL << 40;
    g = begin(&m, ROWS);
    maker_texts(g, "mode", modes, ROWS, chosen);
    maker_cells(g, "x", H5T_STD_U64LE, H5T_NATIVE_INT64, ROWS, big);
    maker_reals(g, "latency", ROWS, latencies);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "x of /t/vllm/1.0 holds a key that does not fit in 32 bits");
    aic_error err = {0};
    pdb *db;
    const pdb_view *v = open_view(&m, &db, &err);
    const char *why;
    const pdb_table *t = pdb_table_get(v, &wide, &why);
    assert_non_null(t);
    assert_int_equal(pdb_table_rows(t), 2);
    assert_true(pdb_slice_grid(pdb_slice_at(t, 0))->keys[0][1] == 1ULL << 40);
    pdb_close(db);
    maker_end(&m);
}

/* Links that lead out of the file, strange storage and empty tables. */
static void test_strange_storage(void **state) {
    (void)state;
    maker m;
    start(&m);
    hid_t g = begin(&m, ROWS);
    H5Lcreate_soft("/t", g, "mode", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "column mode missing");

    g = begin(&m, ROWS);
    hsize_t dims = ROWS;
    hid_t space = H5Screate_simple(1, &dims, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 1, &dims);
    H5Pset_scaleoffset(list, H5Z_SO_INT, 0);
    hid_t d = H5Dcreate2(g, "mode", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    H5Dwrite(d, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, chosen);
    H5Dclose(d);
    H5Pclose(list);
    H5Sclose(space);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema, "column mode: is stored in a way this program does not read");

    g = begin(&m, 0);
    maker_texts(g, "mode", (const char *const[]){"", NULL}, 0, chosen);
    maker_ints(g, "x", 0, keys);
    maker_reals(g, "latency", 0, latencies);
    H5Gclose(g);
    maker_close(&m);
    expect_no_table(&m, &schema,
                    "table t: no rows for vllm 1.0 on box (1 source, 1 present, first: /t/vllm/1.0)");
    maker_end(&m);
}

/* ---- the embedded file ----------------------------------------------------------------------- */

static char *printed(FILE *f) {
    long size = ftell(f);
    char *text = aic_calloc((size_t)size + 1, 1);
    rewind(f);
    if (fread(text, 1, (size_t)size, f) != (size_t)size)
        abort();
    fclose(f);
    return text;
}

static void test_embedded(void **state) {
    (void)state;
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    pdb *db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    assert_non_null(db);
    FILE *f = tmpfile();
    if (!pdb_verify(db, NULL, f, &err))
        fail_msg("%s", err.text);
    char *text = printed(f);
    assert_int_equal(strncmp(text, "ok ", 3), 0);
    free(text);
    f = tmpfile();
    assert_true(pdb_info(db, NULL, f, &err));
    assert_true(pdb_info(db, "h200_sxm", f, &err));
    text = printed(f);
    assert_non_null(strstr(text, "h200_sxm: release 0.12.0"));
    assert_non_null(strstr(text, "l4: spec sheet only"));
    assert_non_null(strstr(text, "(current 1.3.0rc20, next 1.3.0rc23)"));
    assert_non_null(strstr(text, "1.3.0rc20 (100668)"));
    free(text);
    assert_false(pdb_verify(db, "l4", stderr, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_false(pdb_info(db, "nosuch", stderr, &err));
    pdb_close(db);
}

static void test_verify_notices(void **state) {
    (void)state;
    maker m;
    start(&m);
    write_good(&m); /* its digests are "0" */
    aic_error err = {0};
    pdb *db;
    assert_non_null(open_view(&m, &db, &err));
    FILE *f = tmpfile();
    assert_false(pdb_verify(db, NULL, f, &err));
    assert_int_equal(err.code, AIC_FINDING);
    char *text = printed(f);
    assert_non_null(strstr(text, "/t/vllm/1.0: the rows are not those its digest was made from"));
    assert_non_null(strstr(text, "/: the counts of rows and tables do not add up"));
    assert_non_null(strstr(text, "BAD"));
    free(text);
    pdb_close(db);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_a_perfdb_file),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_keys_that_do_not_fit),
        cmocka_unit_test(test_strange_storage),
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_verify_notices),
    };
    return cmocka_run_group_tests_name("perfdb_file", tests, NULL, NULL);
}
