/* links: results */
/* Chunks to stored bytes and back: by our own decoder and by HDF5's filters, for every kind of column, level
 * and size, whatever a codec coded before. */
#include "results/h5.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CHUNK = 16384, TEXT = 33 };

/* What lies behind `used` is zero, as the codec pads. */
#define KINDS(X)                                                                                             \
    X(zero, "nothing")                                                                                       \
    X(constant, "one value")                                                                                 \
    X(two, "one value, then another")                                                                        \
    X(recurring, "few values in turn")                                                                       \
    X(noise, "every byte anew")                                                                              \
    X(recurring_noise, "as figures of one prefill and many output lengths")                                  \
    X(mantissas, "real numbers of one size: noise below, little above")                                      \
    X(progression, "first rows of points")                                                                   \
    X(rounded, "numbers of few bits, with zeros below")                                                      \
    X(sometimes, "shares of latency: 1 now and then")
typedef enum kind {
#define KIND_ENUM(name, meaning) name,
    KINDS(KIND_ENUM)
#undef KIND_ENUM
        KIND_COUNT
} kind;

static double real_of(kind k, size_t row) {
    switch (k) {
    case mantissas:
        return 8 + 16 * fix_random(row);
    case rounded:
        return (double)((row % 16 + 1) * (row / 16 % 23 + 3) * 4096) / 1048576;
    default:
        return fix_random(row + 99) < 0.2 ? 1 : fix_random(row);
    }
}

static uint8_t byte_of(kind k, size_t i, size_t width) {
    size_t row = i / width, at = i % width;
    uint64_t v = 26 * row + (row > CHUNK / 3 ? 5 * row : 0);
    double real = real_of(k, row);
    switch (k) {
    case constant:
    case two:
        return (uint8_t)(fix_random(at + 7 + (k == two && row > CHUNK / 3) * width) * 256);
    case recurring:
        return (uint8_t)(row % 7);
    case noise:
        return (uint8_t)(fix_random(i) * 256);
    case recurring_noise:
        return (uint8_t)(fix_random(row / 16 * width + at) * 256);
    case progression:
        return (uint8_t)(at < 8 ? v >> (8 * at) : 0);
    case mantissas:
    case rounded:
    case sometimes:
        memcpy(&v, &real, sizeof v);
        return (uint8_t)(at < 8 ? v >> (8 * at) : 0);
    default:
        return 0;
    }
}

static void fill(uint8_t *data, size_t used, size_t width, kind k) {
    memset(data, 0, (size_t)CHUNK * TEXT);
    for (size_t i = 0; i < used; i++)
        data[i] = byte_of(k, i, width);
}

/* What only a damaged or foreign file holds. */
static void check_refusals(res_codec *c, const res_coded *coded, size_t width, bool shuffled, uint8_t *back) {
    res_coded bad = *coded;
    bad.size--;
    assert_false(res_decode(c, &bad, width, CHUNK, shuffled, back));
    assert_false(res_decode(c, coded, width, CHUNK + 8, shuffled, back));
    assert_false(res_decode(c, coded, width, CHUNK - 8, shuffled, back));
    bad = *coded;
    bad.skipped |= 4;
    assert_false(res_decode(c, &bad, width, CHUNK, shuffled, back));
    bad.skipped = RES_SKIP_DEFLATE; /* shuffled, not deflated: no writer does that */
    assert_false(res_decode(c, &bad, width, CHUNK, shuffled, back));
    bad.skipped = RES_SKIP_SHUFFLE;
    assert_true(shuffled || !res_decode(c, &bad, width, CHUNK, shuffled, back));
}

/* HDF5 itself, as any reader of the file uses it. */
static void check_hdf5(const res_coded *coded, const uint8_t *data, size_t width, bool shuffled) {
    uint8_t *back = aic_alloc(CHUNK, width);
    hsize_t extent = CHUNK, offset = 0, unlimited = H5S_UNLIMITED;
    pdb_hdf5_lock();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0);
    assert_true(H5Pset_fapl_core(access, 1 << 20, 0) >= 0 && H5Pset_chunk(create, 1, &extent) >= 0);
    assert_true(!shuffled || H5Pset_shuffle(create) >= 0);
    assert_true(H5Pset_deflate(create, 1) >= 0);
    hid_t file = H5Fcreate("codec.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hid_t space = H5Screate_simple(1, &extent, &unlimited), type = H5Tcreate(H5T_OPAQUE, width);
    hid_t set = H5Dcreate2(file, "x", type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    assert_true(H5Dwrite_chunk(set, H5P_DEFAULT, coded->skipped, &offset, coded->size, coded->bytes) >= 0);
    assert_true(H5Dclose(set) >=
                0); /* HDF5 1.10 takes filter masks from its cache, where a write leaves none */
    set = H5Dopen2(file, "x", H5P_DEFAULT);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    assert_true(H5Dclose(set) >= 0 && H5Sclose(space) >= 0 && H5Tclose(type) >= 0 && H5Fclose(file) >= 0 &&
                H5Pclose(create) >= 0 && H5Pclose(access) >= 0);
    pdb_hdf5_unlock();
    assert_memory_equal(data, back, CHUNK * width);
    free(back);
}

/* What the codec says of the rows it encoded last. */
static void check_digest(const res_codec *c, const uint8_t *data, size_t width, bool known) {
    res_chunk_digest digest;
    assert_true((res_codec_digest(c) != NULL) == known);
    if (known) {
        res_digest_rows(data, CHUNK * width, digest);
        assert_string_equal(res_codec_digest(c), digest);
    }
}

static res_coded copy_of(const res_coded *coded) {
    res_coded copy = *coded;
    uint8_t *bytes = aic_alloc(coded->size, 1);
    copy.bytes = memcpy(bytes, coded->bytes, coded->size);
    return copy;
}

static bool one_value(const uint8_t *data, size_t width) {
    for (size_t i = width; i < CHUNK * width; i++)
        if (data[i] != data[i - width])
            return false;
    return width <= 8;
}

/* c has coded other chunks before, fresh has not: the bytes must be the same. */
static unsigned check_codec(res_codec *c, int level, size_t width, bool shuffled, size_t rows, kind k) {
    uint8_t *data = aic_calloc(CHUNK, TEXT), *back = aic_calloc(CHUNK + 8, TEXT);
    res_codec *fresh = res_codec_new(level);
    res_coded coded, again, unused;
    fill(data, rows * width, width, k);
    assert_true(res_encode(fresh, data, rows, width, CHUNK, shuffled, false, &coded));
    coded = copy_of(&coded);
    for (int i = 0; i < 2; i++) {
        assert_true(res_encode(i ? fresh : c, data, rows, width, CHUNK, shuffled, false, &again));
        assert_int_equal(again.size, coded.size);
        assert_int_equal(again.skipped, coded.skipped);
        assert_memory_equal(again.bytes, coded.bytes, coded.size);
        check_digest(i ? fresh : c, data, width, rows == CHUNK && one_value(data, width));
    }
    assert_true(res_decode(c, &coded, width, CHUNK, shuffled, back));
    assert_memory_equal(data, back, CHUNK * width);
    check_refusals(c, &coded, width, shuffled, back);
    check_hdf5(&coded, data, width, shuffled);
    bool some = false;
    for (size_t i = 0; i < rows * width; i++)
        some |= data[i] != 0;
    assert_true(res_encode(c, data, rows, width, CHUNK, shuffled, true, &unused) == some);
    res_codec_free(fresh);
    free((void *)(uintptr_t)coded.bytes);
    free(data);
    free(back);
    return coded.skipped;
}

static void test_round_trip(void **state) {
    (void)state;
    static const size_t widths[] = {1, 2, 4, 8, TEXT};
    for (int level = 0; level <= 9; level = level < 2 ? level + 1 : level + 7) {
        res_codec *c = res_codec_new(level);
        for (kind k = zero; k < KIND_COUNT; k++)
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
                bool number = widths[w] > 1 && widths[w] <= 8;
                for (int shuffled = 0; shuffled <= number; shuffled++) {
                    check_codec(c, level, widths[w], shuffled, CHUNK, k);
                    check_codec(c, level, widths[w], shuffled, 777, k);
                }
            }
        res_codec_free(c);
    }
}

/* Chunks skip the filters that do not pay. */
static void test_skips_what_does_not_pay(void **state) {
    (void)state;
    const unsigned skips[KIND_COUNT] = {[zero] = RES_SKIP_SHUFFLE,
                                        [constant] = RES_SKIP_SHUFFLE,
                                        [two] = RES_SKIP_SHUFFLE,
                                        [recurring] = RES_SKIP_SHUFFLE,
                                        [recurring_noise] = RES_SKIP_SHUFFLE};
    for (int level = 0; level <= 2; level++) {
        res_codec *c = res_codec_new(level);
        for (kind k = zero; k < KIND_COUNT; k++) {
            assert_int_equal(check_codec(c, level, 8, true, CHUNK, k), level ? skips[k] : 0);
            assert_int_equal(check_codec(c, level, 8, true, CHUNK - 1, k), level ? skips[k] : 0);
        }
        res_codec_free(c);
    }
}

/* Chunks that pass neither filter: no longer written, but files of the format may hold them. */
static void test_reads_chunks_as_they_are(void **state) {
    (void)state;
    uint8_t *data = aic_calloc(CHUNK, TEXT), *back = aic_calloc(CHUNK, 8);
    res_codec *c = res_codec_new(1);
    fill(data, CHUNK * 8, 8, noise);
    res_coded coded = {data, CHUNK * 8, RES_SKIP_SHUFFLE | RES_SKIP_DEFLATE};
    assert_true(res_decode(c, &coded, 8, CHUNK, true, back));
    assert_memory_equal(data, back, CHUNK * 8);
    assert_false(res_decode(c, &coded, 8, CHUNK, false, back));
    coded.size--;
    assert_false(res_decode(c, &coded, 8, CHUNK, true, back));
    res_codec_free(c);
    free(data);
    free(back);
}

int main(void) {
    pdb_hdf5_lock(); /* quiet, and safe at exit, before the first call made here */
    pdb_hdf5_unlock();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_skips_what_does_not_pay),
        cmocka_unit_test(test_reads_chunks_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
