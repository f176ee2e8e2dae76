/* links: base. SHA-256, XXH3-128 and CRC-32 against published answers. */
#include "base/base.h"
#include "base/digest_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

static void test_sha256(void **state) {
    (void)state;
    char hex[65];
    aic_sha256_text("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    aic_sha256_text(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    aic_sha256_text("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_sha256_in_pieces(void **state) {
    (void)state;
    static char text[1000];
    char whole[65], pieces[65];
    memset(text, 'a', sizeof text);
    aic_sha256 *h = aic_sha256_new();
    for (int i = 0; i < 1000; i++) /* a million letters a, FIPS 180's long example */
        aic_sha256_add(h, text, sizeof text);
    aic_sha256_hex(h, whole);
    assert_string_equal(whole, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    h = aic_sha256_new();
    aic_sha256_add(h, text, 1);
    aic_sha256_add(h, text, 0);
    aic_sha256_add(h, text, 999);
    aic_sha256_hex(h, pieces);
    aic_sha256_text(text, sizeof text, whole);
    assert_string_equal(pieces, whole);
}

static void test_crc32(void **state) {
    (void)state;
    assert_int_equal(aic_crc32("123456789", 9), 0xcbf43926u);
    assert_int_equal(aic_crc32("", 0), 0);
    assert_int_equal(aic_crc32(NULL, 0), 0);
}

static void test_xxh128(void **state) {
    (void)state;
    char hex[AIC_XXH128_HEX];
    aic_xxh128_text("", 0, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    aic_xxh128_text("abc", 3, hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
}

/* Wider vectors give what libxxhash gives, for every length and alignment. */
static void test_xxh128_wide(void **state) {
    (void)state;
    enum { MOST = 5000 };
    uint8_t *data = aic_alloc(MOST + 64, 1);
    for (size_t i = 0; i < MOST + 64; i++)
        data[i] = (uint8_t)(i * i >> 3);
    for (size_t n = 0; aic_xxh128_wide_works() && n <= MOST; n += n < 300 ? 1 : 61) {
        unsigned char wide[16];
        XXH128_canonical_t own;
        aic_xxh128_wide(data + n % 64, n, wide);
        XXH128_canonicalFromHash(&own, XXH3_128bits(data + n % 64, n));
        assert_memory_equal(wide, own.digest, sizeof wide);
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha256_in_pieces), cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_xxh128), cmocka_unit_test(test_xxh128_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
