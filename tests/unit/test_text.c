/* links: base. Buffers, numbers, interning, nearest names, files. */
#include "base/base.h"
#include "base/text_internal.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_buffer(void **state) {
    (void)state;
    aic_buf b = {0};
    aic_buf_clear(&b);
    aic_buf_add(&b, "tp");
    aic_buf_addn(&b, "=8,", 2);
    aic_buf_printf(&b, " %s", "dp=2");
    assert_string_equal(b.data, "tp=8 dp=2");
    assert_int_equal(b.len, 9);
    aic_buf_printf(&b, "%*d", 5000, 1);
    assert_int_equal(b.len, 5009);
    aic_buf_clear(&b);
    assert_string_equal(b.data, "");
    aic_buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    aic_buf_free(&b);
    assert_null(b.data);
    aic_buf_printf(&b, "%s", ""); /* nothing, yet NUL-terminated */
    assert_string_equal(b.data, "");
    aic_buf_free(&b);
}

static void test_json_text(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"", "\"\""},
                 {"tp", "\"tp\""},
                 {"a\"b\\c", "\"a\\\"b\\\\c\""},
                 {"a\nb\tc\x01\x7f", "\"a\\nb\\tc\\u0001\\u007f\""},
                 {"\xc3\xa9", "\"\xc3\xa9\""},
                 {"\xc3", "\"\\ufffd\""},
                 {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_buf b = {0};
        aic_buf_json_string(&b, cases[i].in);
        assert_string_equal(b.data, cases[i].out);
        aic_buf_free(&b);
    }
    aic_buf b = {0};
    aic_buf_json_number(&b, NAN);
    aic_buf_add(&b, " ");
    aic_buf_json_number(&b, -INFINITY);
    aic_buf_add(&b, " ");
    aic_buf_json_number(&b, 0.1);
    assert_string_equal(b.data, "null null 0.1");
    aic_buf_free(&b);
}

static void test_shortest(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1.0, "1"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.0 / 3.0, "0.3333333333333333"},
                 {-0.0, "-0"},
                 {5e-324, "4.94065645841247e-324"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {123456789012345678.0, "1.2345678901234568e+17"}};
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_shortest(cases[i].v, text);
        assert_string_equal(text, cases[i].text);
    }
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        double v;
        memcpy(&v, &bits, sizeof v);
        aic_shortest(v, text);
        if (!isnan(v))
            assert_true(strtod(text, NULL) == v);
    }
}

static void test_parse_integers(void **state) {
    (void)state;
    static const char *const bad[] = {"",    " 1",  "1 ",         "+",  "-",  "0x10", "010", "1_0", "1.0",
                                      "1e3", "--1", "4294967296", "-1", "+1", "\n1",  "1\n", "٣"};
    uint32_t u = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(aic_parse_u32(bad[i], &u));
    assert_int_equal(u, 7);
    assert_true(aic_parse_u32("0", &u) && u == 0);
    assert_true(aic_parse_u32("4294967295", &u) && u == UINT32_MAX);
    int64_t v = 7;
    assert_true(aic_parse_i64("-9223372036854775808", &v) && v == INT64_MIN);
    assert_true(aic_parse_i64("+9223372036854775807", &v) && v == INT64_MAX);
    assert_true(aic_parse_i64("-0", &v) && v == 0);
    static const char *const bad64[] = {
        "9223372036854775808", "-9223372036854775809", "00", "-01", "1.", "0b1", "1L"};
    for (size_t i = 0; i < sizeof bad64 / sizeof *bad64; i++)
        assert_false(aic_parse_i64(bad64[i], &v));
}

static void test_parse_reals(void **state) {
    (void)state;
    double v;
    assert_true(aic_parse_f64("0.1", &v) && v == 0.1);
    assert_true(aic_parse_f64("-1e-3", &v) && v == -0.001);
    assert_true(aic_parse_f64(".5", &v) && v == 0.5);
    assert_true(aic_parse_f64("5.", &v) && v == 5.0);
    assert_true(aic_parse_f64("+12", &v) && v == 12.0);
    assert_true(aic_parse_f64("1e-400", &v) && v == 0.0);
    static const char *const bad[] = {"",      ".",     "nan", "inf", "-inf", "1e400",
                                      "0x1p3", "1e",    "1e+", "1 ",  " 1",   "1,5",
                                      "00.5",  "1.2.3", "1d3", "e5",  "NaN",  "infinity"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(aic_parse_f64(bad[i], &v));
}

static void test_intern(void **state) {
    (void)state;
    aic_intern *t = aic_intern_new();
    bool found = false;
    assert_int_equal(aic_intern_add(t, "", 0), 0);
    assert_int_equal(aic_intern_add(t, "fp8", 3), 1);
    assert_int_equal(aic_intern_add(t, "fp8_block", 3), 1);
    assert_int_equal(aic_intern_add(t, "f\0x", 3), 2);
    assert_int_equal(aic_intern_find(t, "fp8", 3, &found), 1);
    assert_true(found);
    assert_int_equal(aic_intern_find(t, "bf16", 4, &found), 0);
    assert_false(found);
    assert_int_equal(aic_intern_find(t, "", 0, &found), 0);
    assert_true(found);
    char name[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "name%d", i);
        assert_int_equal(aic_intern_add(t, name, strlen(name)), 3 + i);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "name%d", i);
        assert_int_equal(aic_intern_find(t, name, strlen(name), NULL), 3 + i);
        assert_string_equal(aic_intern_text(t, (uint32_t)(3 + i)), name);
    }
    assert_int_equal(aic_intern_count(t), 5003);
    assert_string_equal(aic_intern_text(t, UINT32_MAX), "");
    aic_intern_free(t);
    aic_intern_free(NULL);
}

static const char *const candidates[] = {
    "batch", "isl", "osl", "prefix", "moe_tp", "moe_ep", "Qwen/Qwen3-32B-FP8", NULL};

static const char *candidate(const void *ctx, size_t i) {
    (void)ctx;
    return candidates[i];
}

static void test_nearest(void **state) {
    (void)state;
    static const struct {
        const char *name, *nearest;
    } cases[] = {{"bacth", "batch"},
                 {"BATCH", "batch"},
                 {"prefiks", "prefix"},
                 {"moe_pt", "moe_tp"},
                 {"qwen/qwen3-32b-fp", "Qwen/Qwen3-32B-FP8"},
                 {"zzz", NULL},
                 {"x", NULL},
                 {"", NULL},
                 {"batchbatchbatch", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = aic_nearest(cases[i].name, 8, candidate, NULL);
        if (cases[i].nearest) {
            assert_non_null(got);
            assert_string_equal(got, cases[i].nearest);
        } else {
            assert_null(got);
        }
    }
    static char endless[100000];
    memset(endless, 'b', sizeof endless - 1);
    assert_null(aic_nearest(endless, 8, candidate, NULL));
    assert_null(aic_nearest("batch", 0, candidate, NULL));
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *s;
        size_t length;
    } cases[] = {{"a", 1},
                 {"\xc2\x80", 2},
                 {"\xc1\x80", 0},
                 {"\xe0\xa0\x80", 3},
                 {"\xe0\x9f\x80", 0},
                 {"\xed\x9f\xbf", 3},
                 {"\xed\xa0\x80", 0},
                 {"\xf0\x90\x80\x80", 4},
                 {"\xf0\x8f\x80\x80", 0},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xf5\x80\x80\x80", 0},
                 {"\x80", 0},
                 {"\xc2", 0},
                 {"\xe2\x82", 0},
                 {"", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(aic_utf8_length(cases[i].s, strlen(cases[i].s)), cases[i].length);
    assert_int_equal(aic_utf8_bad("ab\xffz", 4), 2);
    assert_int_equal(aic_utf8_bad("abc", 3), 3);
    char shown[AIC_SHOWN], text[5 * AIC_SHOWN];
    assert_string_equal(aic_shown("a\x1b[2J\n\xff\xc3\xa9", shown), "a\\x1B[2J\\x0A\\xFF\xc3\xa9");
    for (size_t n = 0; n < sizeof text; n++) { /* cut at every length, also inside wide characters */
        for (size_t i = 0; i < n; i++)
            text[i] = "\xf0\x9f\x98\x80"[(i + n) % 4];
        text[n] = '\0';
        assert_true(strlen(aic_shown(text, shown)) < AIC_SHOWN);
        assert_int_equal(aic_utf8_bad(shown, strlen(shown)), strlen(shown));
    }
}

static void test_read_file(void **state) {
    (void)state;
    char path[] = "/tmp/aicfg-text-XXXXXX", why[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "tp\0x", 4), 4);
    close(fd);
    aic_buf b = {0};
    assert_true(aic_read_file(path, 4, &b, why, sizeof why));
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "tp\0x", 5);
    aic_buf_clear(&b);
    assert_false(aic_read_file(path, 3, &b, why, sizeof why));
    assert_non_null(strstr(why, "larger than 3 bytes"));
    unlink(path);
    assert_false(aic_read_file(path, 3, &b, why, sizeof why));
    assert_non_null(strstr(why, "No such file"));
    aic_buf_clear(&b);
    assert_false(aic_read_file("/tmp", 1000, &b, why, sizeof why));
    assert_non_null(strstr(why, "directory"));
    aic_buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer),      cmocka_unit_test(test_json_text),
        cmocka_unit_test(test_shortest),    cmocka_unit_test(test_parse_integers),
        cmocka_unit_test(test_parse_reals), cmocka_unit_test(test_intern),
        cmocka_unit_test(test_nearest),     cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_read_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
