/* links: base. The CSV reader on good, odd and hostile files. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void write_file(const char *bytes, size_t len) {
    snprintf(path, sizeof path, "/tmp/aicfg-csv-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

/* Every record as "line:[a|b]" one after the other; "error: text" at a failure. */
static char *read_all(const char *bytes, size_t len) {
    write_file(bytes, len);
    aic_error err = {0};
    aic_csv *c = aic_csv_open(path, &err);
    assert_non_null(c);
    assert_string_equal(aic_csv_path(c), path);
    aic_buf b = {0};
    aic_buf_add(&b, "");
    char **fields;
    size_t n;
    int got;
    while ((got = aic_csv_next(c, &fields, &n, &err)) == 1) {
        aic_buf_printf(&b, "%d:[", aic_csv_line(c));
        for (size_t i = 0; i < n; i++)
            aic_buf_printf(&b, "%s%s", i ? "|" : "", fields[i]);
        aic_buf_add(&b, "]");
    }
    if (got < 0)
        aic_buf_printf(&b, "error%s", err.text + strlen(path));
    aic_csv_close(c);
    unlink(path);
    return b.data;
}

static void expect(const char *bytes, size_t len, const char *wanted) {
    char *got = read_all(bytes, len);
    assert_string_equal(got, wanted);
    free(got);
}

static void test_records(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"\n\r\n\n", ""},
        {"a", "1:[a]"},
        {"a,b\n1,2\n", "1:[a|b]2:[1|2]"},
        {"a,b\r\n1,2\r\n", "1:[a|b]2:[1|2]"},
        {"a\r", "1:[a]"},
        {"\n\na\n\nb", "3:[a]5:[b]"},
        {",\n", "1:[|]"},
        {"\"\"\n", "1:[]"},
        {"\"a,b\",c\n", "1:[a,b|c]"},
        {"\"say \"\"tp\"\"\"", "1:[say \"tp\"]"},
        {"\"two\nlines\",x\ny\n", "1:[two\nlines|x]3:[y]"},
        {"\"\"\"\"", "1:[\"]"},
        {" a , b ", "1:[ a | b ]"},
        {"\xef\xbb\xbf"
         "a,b",
         "1:[a|b]"},
        {"\xef\xbb\xbf"
         "\"a\"",
         "1:[a]"},
        {"\xc3\xa9,1", "1:[\xc3\xa9|1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].in, strlen(cases[i].in), cases[i].out);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\n\"b", "1:[a]error:2: a quote is opened in this record and never closed"},
        {"\"", "error:1: a quote is opened in this record and never closed"},
        {"a\"b\n", "error:1: a quote inside a field that does not begin with one"},
        {"\"a\"b\n", "error:1: text after a closing quote"},
        {"\"a\" ,b\n", "error:1: text after a closing quote"},
        {"a\rb\n", "error:1: a carriage return inside a line"},
        {"a\n\xff\n", "1:[a]error:2: the text is not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].in, strlen(cases[i].in), cases[i].out);
    expect("a\n1\0002\n", 6, "1:[a]error:2: a NUL byte; this is not a text file");
    expect("a\n\"1\0002\"\n", 8, "1:[a]error:2: a NUL byte; this is not a text file");
}

static void test_long_records(void **state) {
    (void)state;
    size_t len = (1 << 20) + 10;
    char *text = malloc(len);
    memset(text, 'x', len);
    char *got = read_all(text, len);
    assert_string_equal(got, "error:1: a record longer than 1 MiB; is a closing quote missing?");
    free(got);
    memset(text, ',', len);
    got = read_all(text, len);
    assert_string_equal(got, "error:1: a record longer than 1 MiB; is a closing quote missing?");
    free(got);
    for (size_t i = 0; i < len; i++) /* records that straddle the reader's buffer in every way */
        text[i] = i % 7 == 6 ? '\n' : i % 3 ? ',' : 'y';
    got = read_all(text, len);
    assert_null(strstr(got, "error"));
    free(got);
    free(text);
}

static void test_missing_file(void **state) {
    (void)state;
    aic_error err = {0};
    assert_null(aic_csv_open("/nonexistent/points.csv", &err));
    assert_int_equal(err.code, AIC_IO);
    assert_non_null(strstr(err.text, "/nonexistent/points.csv"));
    aic_csv *c = aic_csv_open("/tmp", &err); /* a folder opens and does not read */
    if (c) {
        char **fields;
        size_t n;
        assert_int_equal(aic_csv_next(c, &fields, &n, &err), -1);
        assert_int_equal(err.code, AIC_IO);
        aic_csv_close(c);
    }
    aic_csv_close(NULL);
}

static void test_quote(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"a", "a"},          {"", ""},           {"a b", "a b"},
                 {"a,b", "\"a,b\""},  {"\"", "\"\"\"\""}, {"a\nb", "\"a\nb\""},
                 {"a\rb", "\"a\rb\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_buf b = {0};
        aic_buf_add(&b, "");
        aic_csv_quote(&b, cases[i].in);
        assert_string_equal(b.data, cases[i].out);
        aic_buf_free(&b);
    }
}

static void test_quoted_fields(void **state) {
    (void)state;
    static const char text[] = "5,\"5\",\"\",,\"a\"\"b\"\n";
    write_file(text, sizeof text - 1);
    aic_error err = {0};
    aic_csv *c = aic_csv_open(path, &err);
    char **fields;
    size_t n;
    assert_int_equal(aic_csv_next(c, &fields, &n, &err), 1);
    static const bool quoted[] = {false, true, true, false, true};
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(aic_csv_quoted(c, i), quoted[i]);
    assert_string_equal(fields[0], fields[1]);
    aic_csv_close(c);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long_records), cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_quote),        cmocka_unit_test(test_quoted_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
