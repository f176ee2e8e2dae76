/* links: base. YAML and JSON documents: typing, positions, readers, and what is refused. */
#include "base/base.h"
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static aic_arena *arena;
static aic_error err;

static int set_up(void **state) {
    (void)state;
    arena = aic_arena_new();
    err = (aic_error){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    aic_arena_free(arena);
    return 0;
}

static aic_node *yaml(const char *text) {
    return aic_doc_yaml_text(arena, "t.yaml", text, strlen(text), &err);
}

static aic_node *json(const char *text) {
    return aic_doc_json_text(arena, "t.json", text, strlen(text), &err);
}

static aic_node *value(const char *text) {
    static char doc[4096];
    snprintf(doc, sizeof doc, "v: %s", text);
    aic_node *n = yaml(doc);
    if (!n)
        fail_msg("%s: %s", text, err.text);
    return aic_map_get(n, "v");
}

static void expect_error(const aic_node *n, const char *text) {
    assert_null(n);
    assert_string_equal(err.text, text);
}

static void test_plain_scalars(void **state) {
    (void)state;
    static const struct {
        const char *text;
        aic_kind kind;
        bool lookalike;
    } cases[] = {
        {"", AIC_K_NULL, false},
        {"~", AIC_K_NULL, false},
        {"null", AIC_K_NULL, false},
        {"Null", AIC_K_TEXT, true},
        {"true", AIC_K_BOOL, false},
        {"false", AIC_K_BOOL, false},
        {"True", AIC_K_TEXT, true},
        {"yes", AIC_K_TEXT, true},
        {"off", AIC_K_TEXT, true},
        {"NO", AIC_K_TEXT, true},
        {"y", AIC_K_TEXT, true},
        {"0", AIC_K_INT, false},
        {"-7", AIC_K_INT, false},
        {"+7", AIC_K_INT, false},
        {"010", AIC_K_TEXT, true},
        {"-010", AIC_K_TEXT, true},
        {"00", AIC_K_TEXT, true},
        {"0x1F", AIC_K_TEXT, true},
        {"0o17", AIC_K_TEXT, true},
        {"0b11", AIC_K_TEXT, true},
        {"1_000", AIC_K_TEXT, true},
        {"1_000.5", AIC_K_TEXT, true},
        {"1:30", AIC_K_TEXT, true},
        {"190:20:30", AIC_K_TEXT, true},
        {"1.5", AIC_K_REAL, false},
        {".5", AIC_K_REAL, false},
        {"5.", AIC_K_REAL, false},
        {"1e3", AIC_K_REAL, false},
        {"-1.5E-3", AIC_K_REAL, false},
        {"01.5", AIC_K_TEXT, true},
        {".inf", AIC_K_TEXT, true},
        {"-.inf", AIC_K_TEXT, true},
        {".nan", AIC_K_TEXT, true},
        {"1e400", AIC_K_TEXT, true},
        {"9223372036854775807", AIC_K_INT, false},
        {"9223372036854775808", AIC_K_TEXT, true},
        {"123456789012345678901234567890123456789012345678901234567890123456789012345", AIC_K_TEXT, true},
        {"1.10.0", AIC_K_TEXT, false},
        {"1.0.0rc1", AIC_K_TEXT, false},
        {"2025-01-31", AIC_K_TEXT, false},
        {"0xZZ", AIC_K_TEXT, false},
        {"trtllm", AIC_K_TEXT, false},
        {"nan", AIC_K_TEXT, false},
        {"8x", AIC_K_TEXT, false},
        {"._", AIC_K_TEXT, false},
        {"'yes'", AIC_K_TEXT, false},
        {"\"010\"", AIC_K_TEXT, false},
        {"'12'", AIC_K_TEXT, false},
        {"|\n  12", AIC_K_TEXT, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_node *n = value(cases[i].text);
        if (n->kind != cases[i].kind || n->lookalike != cases[i].lookalike)
            fail_msg("%s: %s, lookalike %d", cases[i].text, aic_kind_name(n->kind), n->lookalike);
    }
}

static void test_values(void **state) {
    (void)state;
    assert_int_equal(value("-9223372036854775808")->i, INT64_MIN);
    assert_true(value("12")->r == 12.0);
    assert_true(value("0.1")->r == 0.1);
    assert_true(value("true")->b);
    assert_string_equal(value("1.10")->text, "1.10");
    assert_string_equal(value("~")->text, "~");
    assert_string_equal(value("\"a\\tb\"")->text, "a\tb");
    assert_true(value("\"a\"")->quoted);
    assert_false(value("a")->quoted);
}

static void test_tree_and_positions(void **state) {
    (void)state;
    aic_node *n = yaml("\n# a sweep\nmodels: [a, {b: 1}]\n\xc3\xa9: 7\nx:\n  - 1\n  - two\n");
    assert_non_null(n);
    assert_int_equal(n->kind, AIC_K_MAP);
    assert_int_equal(n->count, 3);
    assert_string_equal(n->file, "t.yaml");
    assert_string_equal(n->keys[1]->text, "\xc3\xa9");
    aic_node *models = aic_map_get(n, "models");
    assert_int_equal(models->line, 3);
    assert_int_equal(models->column, 9);
    assert_int_equal(models->items[1]->kind, AIC_K_MAP);
    assert_int_equal(models->items[1]->column, 13);
    assert_int_equal(n->items[1]->column, 4); /* characters, not bytes */
    aic_node *two = aic_map_get(n, "x")->items[1];
    assert_int_equal(two->line, 7);
    assert_int_equal(two->column, 5);
    assert_null(aic_map_get(n, "y"));
    assert_null(aic_map_get(models, "b"));
    assert_null(aic_map_get(NULL, "b"));
    aic_node_fail(&err, two, "no %d", 2);
    assert_string_equal(err.text, "t.yaml:7:5: no 2");
}

static void test_empty_documents(void **state) {
    (void)state;
    static const char *const texts[] = {"", "\n\n", "# nothing\n", "---\n", "---\n...\n", "\xef\xbb\xbf",
                                        "~"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        aic_node *n = yaml(texts[i]);
        assert_non_null(n);
        assert_int_equal(n->kind, AIC_K_NULL);
    }
    assert_int_equal(yaml("\xef\xbb\xbf"
                          "a: 1")
                         ->kind,
                     AIC_K_MAP);
    assert_int_equal(yaml("[]")->count, 0);
    assert_int_equal(yaml("{}")->count, 0);
}

static void test_yaml_refusals(void **state) {
    (void)state;
    expect_error(yaml("a: 1\nb: 2\na: 3\n"),
                 "t.yaml:3:1: the key \"a\" stands here again; it was first given on line 1");
    expect_error(yaml("{a: 1, 'a': 2}"),
                 "t.yaml:1:8: the key \"a\" stands here again; it was first given on line 1");
    expect_error(yaml("a: 1\n---\nb: 2\n"), "t.yaml:2:1: a second document; only one is read");
    expect_error(yaml("a: !!str 1"), "t.yaml:1:4: tags (!name) are not read; leave it out");
    expect_error(yaml("a: ! 1"), "t.yaml:1:4: tags (!name) are not read; leave it out");
    expect_error(yaml("!!map {a: 1}"), "t.yaml:1:1: tags (!name) are not read; leave it out");
    expect_error(yaml("!x [a]"), "t.yaml:1:1: tags (!name) are not read; leave it out");
    expect_error(yaml("b: &b {x: 1}\na:\n  <<: *b\n"),
                 "t.yaml:3:3: merge keys (<<) are not read; write the entries out");
    expect_error(yaml("a: *b"), "t.yaml:1:4: an alias to an anchor that was not set before");
    expect_error(yaml("a: &a [*a]"), "t.yaml:1:8: an alias inside its own anchor");
    expect_error(yaml("? [1, 2]\n: x"), "t.yaml:1:3: a key must be a single word or text, not a list");
    expect_error(yaml("? {a: 1}\n: x"), "t.yaml:1:3: a key must be a single word or text, not a mapping");
    expect_error(yaml("a: \"x\\0y\""), "t.yaml:1:4: a NUL character inside text");
    expect_error(yaml("a: [1, 2"),
                 "t.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence that "
                 "begins on line 1)");
    expect_error(yaml("a: 'x"), "t.yaml:1:6: found unexpected end of stream");
    expect_error(yaml("a: b: c"),
                 "t.yaml:1:5: a \": \" that belongs to no key here; check the indentation, or put the "
                 "text in quotes");
    expect_error(yaml("a:\n\t- 1"),
                 "t.yaml:2:1: a tab, @, ` or % where a value begins; indent with spaces, put such "
                 "text in quotes");
    assert_null(yaml("}"));
    assert_null(yaml("%YAML 3.0\n---\na"));
    assert_non_null(yaml("\"<<\": 1"));
}

static void test_encoding(void **state) {
    (void)state;
    assert_null(yaml("a: 1\nb: \xff\n"));
    assert_int_equal(strncmp(err.text, "t.yaml:2:4: ", 12), 0);
    assert_null(yaml("a: \xed\xa0\x80"));
    assert_null(yaml("a: \x01"));
    assert_null(aic_doc_yaml_text(arena, "t.yaml", "a: \0 1", 6, &err));
    assert_null(aic_doc_yaml_text(arena, "t.yaml",
                                  "\xff\xfe"
                                  "a\0",
                                  4, &err)); /* UTF-16 is not read */
    assert_null(aic_doc_json_text(arena, "t.json", "{\"a\": \"\xff\"}", 10, &err));
    assert_null(aic_doc_json_text(arena, "t.json", "{\"a\": \"\\u0000\"}", 15, &err));
    assert_null(aic_doc_json_text(arena, "t.json", "[1]\0", 4, &err));
}

static char *repeated(const char *piece, size_t n, const char *end) {
    size_t len = strlen(piece);
    char *text = malloc(n * len + strlen(end) + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, piece, len);
    strcpy(text + n * len, end);
    return text;
}

static void test_depth(void **state) {
    (void)state;
    static const char *const pieces[] = {"[", "{a: ", "- "};
    for (size_t i = 0; i < 3; i++) {
        char *text = repeated(pieces[i], 100000, "");
        assert_null(yaml(text));
        assert_non_null(strstr(err.text, "nested deeper than 64 levels"));
        free(text);
    }
    char *open = repeated("[", 64, ""), *close = repeated("]", 64, "");
    char text[200];
    snprintf(text, sizeof text, "%s%s", open, close);
    assert_non_null(yaml(text));
    assert_non_null(json(text));
    snprintf(text, sizeof text, "[%s%s]", open, close);
    assert_null(yaml(text));
    expect_error(json(text), "t.json: nested deeper than 64 levels");
    free(open);
    free(close);
    char *deep = repeated("[", 3000, "");
    assert_null(json(deep)); /* jansson's own limit */
    free(deep);
}

static void test_aliases(void **state) {
    (void)state;
    aic_node *n = yaml("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n*x : 4\n");
    assert_non_null(n);
    assert_ptr_equal(aic_map_get(n, "a"), aic_map_get(n, "b"));
    assert_int_equal(aic_map_get(n, "d")->i, 3);
    assert_int_equal(aic_map_get(n, "3")->i, 4);
    aic_buf b = {0}; /* ten to the ninth */
    aic_buf_add(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        aic_buf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            aic_buf_printf(&b, "%s*a%d", j ? "," : "", i - 1);
        aic_buf_add(&b, "]\n");
    }
    assert_null(yaml(b.data));
    assert_non_null(strstr(err.text, "more than 2000000 values, aliases counted in full"));
    aic_buf_clear(&b);
    aic_buf_add(&b, "a0: &a0 [x]\n"); /* too deep through aliases */
    for (int i = 1; i < 80; i++)
        aic_buf_printf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    assert_null(yaml(b.data));
    assert_non_null(strstr(err.text, "an alias nests the document too deeply"));
    aic_buf_clear(&b);
    for (int i = 0; i < 5000; i++)
        aic_buf_printf(&b, "- &a%d x\n", i);
    assert_null(yaml(b.data));
    assert_string_equal(err.text, "t.yaml:1001:3: too many anchors");
    aic_buf_free(&b);
}

static void test_many_directives(void **state) {
    (void)state;
    aic_buf b = {0};
    for (int i = 0; i < 1000000; i++)
        aic_buf_printf(&b, "%%TAG !a%d! b\r", i);
    assert_null(yaml(b.data));
    assert_non_null(strstr(err.text, "too many %TAG directives"));
    aic_buf_free(&b);
    assert_non_null(yaml("%YAML 1.2\n%TAG !a! b\n---\na: 1\n"));
}

static void test_many_values(void **state) {
    (void)state;
    char *text = repeated("- 1\n", AIC_DOC_MAX_NODES, "");
    assert_null(yaml(text)); /* the list counts too */
    assert_non_null(strstr(err.text, "more than 2000000 values"));
    free(text);
    text = repeated("1,", AIC_DOC_MAX_NODES + 1, "1]");
    text[0] = '[';
    assert_null(json(text));
    assert_non_null(strstr(err.text, "more than 2000000 values"));
    free(text);
    aic_buf b = {0}; /* many keys: no quadratic search for duplicates */
    for (int i = 0; i < 100000; i++)
        aic_buf_printf(&b, "k%d: %d\n", i, i);
    aic_buf_add(&b, "k5: 0\n");
    assert_null(yaml(b.data));
    assert_string_equal(err.text,
                        "t.yaml:100001:1: the key \"k5\" stands here again; it was first given on line 6");
    aic_buf_free(&b);
}

static void test_json(void **state) {
    (void)state;
    aic_node *n = json("{\"z\": 1, \"a\": [true, false, null, 1.5, \"s\", -3], \"m\": {}}");
    assert_non_null(n);
    assert_int_equal(n->count, 3);
    assert_string_equal(n->keys[0]->text, "z"); /* file order */
    assert_int_equal(n->line, 0);
    aic_node *a = aic_map_get(n, "a");
    assert_int_equal(a->count, 6);
    assert_true(a->items[0]->b && a->items[0]->kind == AIC_K_BOOL);
    assert_int_equal(a->items[2]->kind, AIC_K_NULL);
    assert_true(a->items[3]->r == 1.5);
    assert_string_equal(a->items[3]->text, "1.5");
    assert_true(a->items[4]->quoted);
    assert_int_equal(a->items[5]->i, -3);
    assert_string_equal(a->items[5]->text, "-3");
    assert_int_equal(json("7")->i, 7);
    static const char *const bad[] = {"",
                                      "{\"a\": 1, \"a\": 2}",
                                      "[1,]",
                                      "{a: 1}",
                                      "[1] x",
                                      "[01]",
                                      "[1e400]",
                                      "[9223372036854775808]",
                                      "[NaN]",
                                      "'a'",
                                      "[+1]",
                                      "[\"\x01\"]",
                                      "\"\\ud800\"",
                                      "{\"a\\u0000b\": 1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (aic_error){0};
        if (json(bad[i]))
            fail_msg("%s was read", bad[i]);
        assert_int_equal(err.code, AIC_BAD_INPUT);
        assert_int_equal(strncmp(err.text, "t.json:", 7), 0);
    }
    assert_null(json("[1,\n2,\n}"));
    assert_int_equal(strncmp(err.text, "t.json:3:", 9), 0);
}

static char *temporary(const char *text) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/aicfg-doc-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void test_files(void **state) {
    (void)state;
    char *path = temporary("{\"a\": NaN, \"NaN\": [-Infinity, Infinity,NaN], \"b\": \"NaN \\\" NaN\"}");
    assert_null(aic_doc_json_file(arena, path, false, &err));
    aic_node *n = aic_doc_json_file(arena, path, true, &err);
    assert_non_null(n);
    assert_int_equal(aic_map_get(n, "a")->kind, AIC_K_NULL);
    assert_int_equal(aic_map_get(n, "NaN")->count, 3);
    assert_int_equal(aic_map_get(n, "NaN")->items[2]->kind, AIC_K_NULL);
    assert_string_equal(aic_map_get(n, "b")->text, "NaN \" NaN");
    n = aic_doc_yaml_file(arena, path, &err);
    assert_non_null(n);
    assert_string_equal(aic_map_get(n, "a")->text, "NaN");
    assert_string_equal(n->file, path);
    unlink(path);
    static const char *const bad[] = {"[NaNs]", "[xNaN]", "[_NaN]", "[--Infinity]", "[\"NaN]", "[\"\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        path = temporary(bad[i]);
        assert_null(aic_doc_json_file(arena, path, true, &err));
        unlink(path);
    }
    assert_null(aic_doc_yaml_file(arena, "/nonexistent/a.yaml", &err));
    assert_int_equal(err.code, AIC_IO);
    assert_string_equal(err.text, "cannot open /nonexistent/a.yaml: No such file or directory");
    assert_null(aic_doc_json_file(arena, "/tmp", true, &err));
    assert_int_equal(err.code, AIC_IO);
}

static aic_node *outline(const char *text, int depth) {
    err = (aic_error){0};
    return aic_doc_json_outline_text(arena, "t.json", text, strlen(text), depth, &err);
}

static void test_outline(void **state) {
    (void)state;
    const char *text = "{\"v\": 1, \"m\": {\n"
                       "\"a\": {\"x\": [{}, \"}]\\\"{\"],\n \"y\": NaN},\n"
                       "\"b\": 7, \"c\": \"{}\", \"d\": [{}],\n"
                       "\"e\": {\n\n!}}, \"w\": {\"part\": 5}}";
    aic_node *n = outline(text, 2);
    assert_non_null(n);
    const aic_node *m = aic_map_get(n, "m"), *a = aic_map_get(m, "a");
    assert_int_equal(m->count, 5);
    assert_true(aic_doc_is_part(a));
    assert_int_equal(a->line, 2);
    assert_string_equal(a->text, "{\"x\": [{}, \"}]\\\"{\"],\n \"y\": NaN}");
    assert_int_equal(aic_map_get(m, "b")->i, 7);
    assert_false(aic_doc_is_part(aic_map_get(m, "c")));
    assert_false(aic_doc_is_part(aic_map_get(m, "d")));               /* three brackets deep */
    assert_int_equal(aic_map_get(aic_map_get(n, "w"), "part")->i, 5); /* one deep, as it stands */
    expect_error(aic_doc_json_part(arena, a, false, &err), "t.json:3:9: invalid token near 'NaN'");
    const aic_node *read = aic_doc_json_part(arena, a, true, &err);
    assert_non_null(read);
    assert_string_equal(aic_map_get(read, "x")->items[1]->text, "}]\"{");
    assert_int_equal(aic_map_get(read, "y")->kind, AIC_K_NULL);
    assert_string_equal(read->file, "t.json");
    expect_error(aic_doc_json_part(arena, aic_map_get(m, "e"), true, &err),
                 "t.json:7:1: string or '}' expected near '!'");
    assert_true(aic_doc_is_part(outline("{}", 0)));
}

/* What is wrong around parts shows at once, on its line; what is wrong in one, when it is read. */
static void test_outline_refusals(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "{\"m\": {}",
                                      "{\"m\": {}}}",
                                      "{\"m\": {} x}",
                                      "{\"m\": {\"}}",
                                      "{\"m\": {\"\\",
                                      "[{}",
                                      "{\"m\": 1, \"m\": {}}",
                                      "]{}",
                                      "{{}: 1}",
                                      "{\"m\" {}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (outline(bad[i], 1))
            fail_msg("%s was read", bad[i]);
        assert_int_equal(err.code, AIC_BAD_INPUT);
    }
    const aic_node *n = outline("{\"m\": {]}", 1);
    assert_non_null(n);
    assert_null(aic_doc_json_part(arena, n->items[0], false, &err));
    assert_null(outline("{\"m\": {\n\n\"x\": 1\n},\n\"n\" 2}", 1));
    assert_int_equal(strncmp(err.text, "t.json:5:", 9), 0);
}

static void test_integer_readers(void **state) {
    (void)state;
    uint32_t u = 0;
    int64_t i = 0;
    assert_true(aic_node_u32(value("8"), "tp", 1, 8, &u, &err) && u == 8);
    assert_true(aic_node_u32(value("4294967295"), "tp", 0, UINT32_MAX, &u, &err) && u == UINT32_MAX);
    assert_true(aic_node_i64(value("-3"), "x", INT64_MIN, INT64_MAX, &i, &err) && i == -3);
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"9", "t.yaml:1:4: tp: expected an integer from 1 to 8, found 9"},
        {"0", "t.yaml:1:4: tp: expected an integer from 1 to 8, found 0"},
        {"-1", "t.yaml:1:4: tp: expected an integer from 1 to 8, found -1"},
        {"1.5", "t.yaml:1:4: tp: expected an integer from 1 to 8, found 1.5"},
        {"true", "t.yaml:1:4: tp: expected an integer from 1 to 8, found true"},
        {"", "t.yaml:1:3: tp: expected an integer from 1 to 8, found null"},
        {"[1]", "t.yaml:1:4: tp: expected an integer from 1 to 8, found a list"},
        {"{a: 1}", "t.yaml:1:4: tp: expected an integer from 1 to 8, found a mapping"},
        {"eight", "t.yaml:1:4: tp: expected an integer from 1 to 8, found the text \"eight\""},
        {"\"\\e[2J\"", "t.yaml:1:4: tp: expected an integer from 1 to 8, found the text \"\\x1B[2J\""},
        {"'8'",
         "t.yaml:1:4: tp: expected an integer from 1 to 8, found the text \"8\"; leave the quotes out"},
        {"010", "t.yaml:1:4: tp: expected an integer from 1 to 8, found the text \"010\"; numbers are "
                "written in plain "
                "decimal, without leading zeros, underscores or prefixes, and within 64 bits"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        assert_false(aic_node_u32(value(cases[c].text), "tp", 1, 8, &u, &err));
        assert_string_equal(err.text, cases[c].error);
        assert_int_equal(err.code, AIC_BAD_INPUT);
    }
    assert_false(aic_node_i64(value("x"), "n", INT64_MIN, INT64_MAX, &i, &err));
    assert_non_null(strstr(err.text, "expected an integer, found"));
    assert_false(aic_node_i64(value("x"), "n", 1, INT64_MAX, &i, &err));
    assert_non_null(strstr(err.text, "expected an integer of at least 1, found"));
    assert_false(aic_node_i64(value("x"), "n", INT64_MIN, 5, &i, &err));
    assert_non_null(strstr(err.text, "expected an integer of at most 5, found"));
    assert_false(aic_node_i64(NULL, "n", 1, 5, &i, &err));
    assert_string_equal(err.text, "n: expected an integer from 1 to 5, found nothing");
    assert_false(aic_node_i64(NULL, "n", 1, 5, &i, NULL));
}

static void test_other_readers(void **state) {
    (void)state;
    double r = 0;
    bool b = false;
    const char *s = NULL;
    assert_true(aic_node_f64(value("0.25"), "f", 0, 1, &r, &err) && r == 0.25);
    assert_true(aic_node_f64(value("1"), "f", 0, 1, &r, &err) && r == 1.0);
    assert_false(aic_node_f64(value("1.5"), "f", 0, 1, &r, &err));
    assert_string_equal(err.text, "t.yaml:1:4: f: expected a number from 0 to 1, found 1.5");
    assert_false(aic_node_f64(value(".inf"), "f", 0, DBL_MAX, &r, &err));
    assert_non_null(strstr(err.text, "expected a number of at least 0, found the text \".inf\"; numbers"));
    assert_false(aic_node_f64(value("x"), "f", -DBL_MAX, DBL_MAX, &r, &err));
    assert_non_null(strstr(err.text, "expected a number, found"));
    assert_false(aic_node_f64(value("x"), "f", -DBL_MAX, 3, &r, &err));
    assert_non_null(strstr(err.text, "expected a number of at most 3, found"));
    assert_true(aic_node_bool(value("true"), "b", &b, &err) && b);
    assert_false(aic_node_bool(value("yes"), "b", &b, &err));
    assert_string_equal(err.text,
                        "t.yaml:1:4: b: expected true or false, found the text \"yes\"; booleans are written "
                        "true or false");
    assert_false(aic_node_bool(value("'true'"), "b", &b, &err));
    assert_non_null(strstr(err.text, "leave the quotes out"));
    assert_false(aic_node_bool(value("1"), "b", &b, &err));
    assert_true(aic_node_text(value("1.10"), "version", &s, &err));
    assert_string_equal(s, "1.10");
    assert_true(aic_node_text(value("010"), "version", &s, &err));
    assert_string_equal(s, "010");
    assert_false(aic_node_text(value("true"), "name", &s, &err));
    assert_string_equal(err.text,
                        "t.yaml:1:4: name: expected text, found true; put it in quotes if text is meant");
    assert_false(aic_node_text(value("[a]"), "name", &s, &err));
    assert_false(aic_node_text(NULL, "name", &s, &err));
}

static void test_known_keys(void **state) {
    (void)state;
    static const char *const known[] = {"batch", "isl", "osl"};
    assert_true(aic_map_check_keys(yaml("{isl: 1, batch: 2}"), "sweep", known, 3, &err));
    assert_false(aic_map_check_keys(yaml("isl: 1\nbatchs: 2"), "sweep", known, 3, &err));
    assert_string_equal(err.text, "t.yaml:2:1: sweep: unknown key \"batchs\"; did you mean \"batch\"?");
    assert_false(aic_map_check_keys(yaml("colour: 1"), "sweep", known, 3, &err));
    assert_string_equal(err.text, "t.yaml:1:1: sweep: unknown key \"colour\"; the keys are: batch, isl, osl");
    assert_false(aic_map_check_keys(yaml("colour: 1"), "sweep", known, 0, &err));
    assert_string_equal(err.text, "t.yaml:1:1: sweep: unknown key \"colour\"; the keys are: none");
    assert_false(aic_map_check_keys(yaml("[a]"), "sweep", known, 3, &err));
    assert_string_equal(err.text, "t.yaml:1:1: sweep: expected a mapping, found a list");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_plain_scalars),
        TEST(test_values),
        TEST(test_tree_and_positions),
        TEST(test_empty_documents),
        TEST(test_yaml_refusals),
        TEST(test_encoding),
        TEST(test_depth),
        TEST(test_aliases),
        TEST(test_many_values),
        TEST(test_many_directives),
        TEST(test_json),
        TEST(test_files),
        TEST(test_integer_readers),
        TEST(test_other_readers),
        TEST(test_known_keys),
        TEST(test_outline),
        TEST(test_outline_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
