/* links: perfdb. Orders of versions: PEP 440, slot keys, lane keys. */
#include "perfdb/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int pep(const char *a, const char *b) {
    pdb_pep440 x = pdb_pep440_read(a), y = pdb_pep440_read(b);
    assert_true(x.ok && y.ok);
    int order = pdb_pep440_compare(&x, &y);
    assert_int_equal((pdb_pep440_compare(&y, &x) > 0) - (pdb_pep440_compare(&y, &x) < 0),
                     (order < 0) - (order > 0));
    return order;
}

static void test_pep440_ascends(void **state) {
    (void)state;
    static const char *const ascending[] = {
        "0.0.9",    "0.1.dev19262", "0.1",   "0.5.6",    "0.5.6.post2",    "0.5.10",
        "0.9.dev3", "0.9a1.dev1",   "0.9a1", "0.9b1",    "0.9rc1",         "0.9",
        "0.9+abc",  "0.9+abc.5",    "0.9+5", "0.9+5.1",  "0.9.post1.dev2", "0.9.post1",
        "1.0.0rc1", "1.0.0rc10",    "1.0",   "1.3.0rc9", "1.3.0rc20",      "1.3.0rc23",
        "1.3.0",    "2.0",          "1!0.1",
    };
    size_t n = sizeof ascending / sizeof *ascending;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            int order = pep(ascending[i], ascending[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

static void test_pep440_equal(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"1.0", "1.0.0"},         {"v1.0", "1.0"},        {"1.0alpha2", "1.0a2"},
        {"1.0-beta.2", "1.0b2"},  {"1.0c1", "1.0rc1"},    {"1.0preview1", "1.0rc1"},
        {"1.0-1", "1.0.post1"},   {"1.0r1", "1.0.post1"}, {"1.0.rev1", "1.0.post1"},
        {"1.0RC1", "1.0rc1"},     {"1.0a", "1.0a0"},      {"0!1.0", "1.0"},
        {"1.0+AB-1", "1.0+ab.1"}, {"01.0", "1.0"},        {"1.0.DEV3", "1.0.dev3"},
        {"1.0_pre_2", "1.0rc2"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(pep(same[i][0], same[i][1]), 0);
}

static void test_not_pep440(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "abc",
                                      "latest",
                                      "1.0.x",
                                      "1..0",
                                      "1.0rc1x",
                                      "1.0+",
                                      "1.0+a..b",
                                      "1.0 ",
                                      "1.0+a.",
                                      "1.0+!",
                                      "v",
                                      "1.0-",
                                      "!1.0",
                                      "1.0.",
                                      "1.0ab1",
                                      "1!",
                                      "99999999999999999999.0",
                                      "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pdb_pep440_read(bad[i]).ok);
    assert_true(pdb_version_compare("nightly", "0.0.1") < 0);
    assert_true(pdb_version_compare("nightly", "other") < 0);
    assert_true(pdb_version_compare("1.0", "1.0.0") != 0); /* a total order: equal versions by their text */
    assert_int_equal(pdb_version_compare("1.0", "1.0"), 0);
}

static void expect_key(const char *text, const uint64_t expected[6]) {
    uint64_t key[6];
    pdb_sort_key(text, key);
    assert_memory_equal(key, expected, sizeof key);
}

static void test_sort_keys(void **state) {
    (void)state;
    expect_key("1.3.0rc20", (uint64_t[]){1, 3, 0, 0, 20, 20});
    expect_key("1.3.0", (uint64_t[]){1, 3, 0, 1, 0, 0});
    expect_key("0.5.6.post2", (uint64_t[]){0, 5, 6, 1, 0, 2});
    expect_key("0.1.dev19262", (uint64_t[]){0, 1, 0, 1, 0, 19262});
    expect_key("1.2.0RC", (uint64_t[]){1, 2, 0, 0, 0, 0});
    expect_key("v2.27-x9y8", (uint64_t[]){2, 27, 0, 1, 0, 8});
    expect_key("latest", (uint64_t[]){0, 0, 0, 0, 0, 0});
    expect_key("7", (uint64_t[]){0, 0, 0, 0, 0, 0});
    expect_key("rc1.2", (uint64_t[]){1, 2, 0, 0, 1, 0});
    assert_true(pdb_sort_key_compare("1.3.0rc23", "1.3.0rc20") > 0);
    assert_true(pdb_sort_key_compare("1.3.0", "1.3.0rc23") > 0);
    assert_true(pdb_sort_key_compare("0.5.10", "0.5.9") > 0);
}

static void test_lane_versions(void **state) {
    (void)state;
    assert_int_equal(pdb_lane_version_compare("0.5.14", "0.5.14"), 0);
    assert_true(pdb_lane_version_compare("0.5.9", "0.5.14") < 0);
    assert_true(pdb_lane_version_compare("0.5.14.post1", "0.5.14") == 0); /* "post1" has no leading digits */
    assert_true(pdb_lane_version_compare("0.5.14.1", "0.5.14") > 0);
    assert_true(pdb_lane_version_compare("1.3.0rc20", "1.3.0") == 0);
    assert_true(pdb_lane_version_compare("1.3.0rc20", "1.3.0.1") < 0);
    assert_true(pdb_lane_version_compare("", "0") == 0);
    assert_true(pdb_lane_version_compare("main", "0.0.1") < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pep440_ascends),
                                       cmocka_unit_test(test_pep440_equal), cmocka_unit_test(test_not_pep440),
                                       cmocka_unit_test(test_sort_keys),
                                       cmocka_unit_test(test_lane_versions)};
    return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
