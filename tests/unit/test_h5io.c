/* links: perfdb. What the file driver does beside what HDF5 asks of it: raw data written together, and known.
 */
#include "perfdb/perfdb.h"
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/aicfg-h5io-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    aic_io_set_watch(NULL);
    return unlink(path);
}

static bool file_holds(off_t at, const void *data, size_t n) {
    char *found = calloc(n, 1);
    int fd = open(path, O_RDONLY);
    bool same = pread(fd, found, n, at) == (ssize_t)n && memcmp(found, data, n) == 0;
    close(fd);
    free(found);
    return same;
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

enum { PIECES = 150, PIECE = 100 };
static uint8_t bytes[PIECES * PIECE];
static aic_io_piece pieces[PIECES];
static unsigned calls, fail_at;

static int halve(void *ctx, aic_io_call *call) {
    (void)ctx;
    if (call->kind != AIC_IO_write)
        return 0;
    call->size = call->size > 1 ? call->size / 2 : 1;
    return ++calls == fail_at ? ENOSPC : 0;
}

static void look(void *ctx, const aic_io_call *call, int64_t result) {
    (void)ctx;
    assert_true(call->kind != AIC_IO_write || result == (int64_t)call->size);
}

/* Pieces of 0 to 100 bytes; returns how many bytes. */
static size_t cut(void) {
    size_t at = 0;
    for (size_t i = 0; i < PIECES; at += pieces[i++].size)
        pieces[i] = (aic_io_piece){bytes + at, i % (PIECE + 1)};
    for (size_t i = 0; i < at; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    return at;
}

static void test_pieces(void **state) {
    (void)state;
    const aic_io_watch watch = {halve, look, NULL};
    int fd = open(path, O_RDWR);
    size_t n = cut();
    assert_true(aic_io_write_pieces(fd, pieces, PIECES, 5));
    assert_true(file_holds(5, bytes, n));
    assert_int_equal(ftruncate(fd, 0), 0);
    cut();
    aic_io_set_watch(&watch); /* writes that stop short are continued where they stopped */
    calls = fail_at = 0;
    assert_true(aic_io_write_pieces(fd, pieces, PIECES, 5));
    assert_true(calls > 3);
    assert_true(file_holds(5, bytes, n));
    cut();
    calls = 0;
    fail_at = 3;
    assert_false(aic_io_write_pieces(fd, pieces, PIECES, 5));
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

/* ---- chunks ------------------------------------------------------------------------------------------ */

enum { CHUNK = 8192 };

static hid_t make_file(void) {
    hid_t access = (hid_t)pdb_hdf5_access(), file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    assert_true(file >= 0);
    return file;
}

static hid_t make_set(hid_t file, const char *name) {
    hsize_t rows = CHUNK * 4, chunk = CHUNK;
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &rows, NULL);
    H5Pset_chunk(properties, 1, &chunk);
    hid_t set = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(properties);
    assert_true(set >= 0);
    return set;
}

static void put_chunk(hid_t set, hsize_t index, const uint8_t *data) {
    hsize_t offset = index * CHUNK;
    assert_true(H5Dwrite_chunk(set, H5P_DEFAULT, 0, &offset, CHUNK, data) >= 0);
}

static off_t place_of(hid_t set, hsize_t index) {
    haddr_t address = 0;
    hsize_t offset = index * CHUNK, size;
    unsigned skipped;
    assert_true(H5Dget_chunk_info_by_coord(set, &offset, &skipped, &address, &size) >= 0);
    return (off_t)address;
}

static bool is_raw(hid_t file, off_t at) {
    const pdb_hdf5_range *list;
    size_t n = pdb_hdf5_raw(file, &list);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        assert_true(list[i].first < list[i].end && (i == 0 || list[i - 1].end < list[i].first));
        found = found || ((uint64_t)at >= list[i].first && (uint64_t)at + CHUNK <= list[i].end);
    }
    return found;
}

static void test_gathering(void **state) {
    (void)state;
    static uint8_t first[CHUNK], second[CHUNK];
    memset(first, 1, sizeof first);
    memset(second, 2, sizeof second);
    pdb_hdf5_lock();
    hid_t file = make_file(), set = make_set(file, "a");
    pdb_hdf5_gather(file);
    put_chunk(set, 0, first);
    put_chunk(set, 1, second);
    off_t at = place_of(set, 0), behind = place_of(set, 1);
    assert_int_equal(behind, at + CHUNK);
    assert_false(file_holds(at, first, CHUNK));
    assert_true(pdb_hdf5_gathered(file));
    assert_true(file_holds(at, first, CHUNK) && file_holds(behind, second, CHUNK));
    assert_true(is_raw(file, at) && is_raw(file, behind));
    pdb_hdf5_gather(file); /* whoever reads what is held finds it */
    put_chunk(set, 2, second);
    uint8_t found[CHUNK];
    uint32_t filters;
    hsize_t offset = 2 * CHUNK;
    assert_true(H5Dread_chunk(set, H5P_DEFAULT, &offset, &filters, found) >= 0);
    assert_memory_equal(found, second, CHUNK);
    assert_true(pdb_hdf5_gathered(file));
    H5Dclose(set);
    H5Fclose(file);
    pdb_hdf5_unlock();
}

/* Data that is written again was not final: then nothing is. */
static void test_rewriting(void **state) {
    (void)state;
    static uint8_t data[CHUNK];
    pdb_hdf5_lock();
    hid_t file = make_file(), set = make_set(file, "a"), other = make_set(file, "b");
    put_chunk(set, 0, data);
    put_chunk(other, 0, data);
    put_chunk(set, 1, data);
    assert_true(is_raw(file, place_of(set, 0)) && is_raw(file, place_of(other, 0)));
    put_chunk(other, 0, data);
    const pdb_hdf5_range *list;
    assert_int_equal(pdb_hdf5_raw(file, &list), 0);
    H5Dclose(set);
    H5Dclose(other);
    H5Fclose(file);
    pdb_hdf5_unlock();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gathering, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rewriting, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
