/* links: sweep. Axes of a sweep: scalars, lists, ranges, and what they refuse. */
#include "sweep_fixture.h"

static aic_arena *arena;

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

static const aic_node *node(const char *text) {
    aic_node *n = aic_doc_yaml_text(arena, "t", text, strlen(text), &err);
    assert_non_null(n);
    return n;
}

static void expect_values(const char *text, size_t n, const uint32_t *values) {
    swp_u32s got;
    if (!swp_axis_u32(arena, node(text), "batch", 1, UINT32_MAX, &got, &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got.v[i], values[i]);
}
#define VALUES(text, ...)                                                                                    \
    expect_values(text, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__})

static void expect_refused(const char *text, const char *message_text) {
    swp_u32s got;
    assert_false(swp_axis_u32(arena, node(text), "batch", 1, 4096, &got, &err));
    assert_string_equal(err.text, message_text);
}

static void test_numbers(void **state) {
    (void)state;
    VALUES("7", 7);
    VALUES("[3, 1, 2]", 3, 1, 2);
    VALUES("{from: 1, to: 10, step: 4}", 1, 5, 9);
    VALUES("{from: 5, to: 5, step: 1}", 5);
    VALUES("{from: 1, to: 256, factor: 2}", 1, 2, 4, 8, 16, 32, 64, 128, 256);
    VALUES("{from: 1, to: 8, factor: 1.5}", 1, 2, 3, 5,
           8); /* 1 1.5 2.25 3.375 5.06 7.59, equal neighbours once */
    VALUES("[1, {from: 4, to: 16, factor: 2}, 100]", 1, 4, 8, 16, 100);
    VALUES("{from: 4294967294, to: 4294967295, step: 1}", 4294967294u, 4294967295u);
}

static void test_refused_numbers(void **state) {
    (void)state;
    expect_refused("0", "t:1:1: batch: expected an integer from 1 to 4096, found 0");
    expect_refused("[1, two]", "t:1:5: batch: expected an integer from 1 to 4096, found the text \"two\"");
    expect_refused("[1, 2, 1]", "t:1:1: batch: 1 is listed twice");
    expect_refused("[]", "t:1:1: batch: expected at least one value");
    expect_refused("{from: 1, to: 8}",
                   "t:1:1: batch: a range is {from: A, to: B, step: S} or {from: A, to: B, factor: F}");
    expect_refused("{from: 8, to: 1, step: 1}", "t:1:15: batch: the range ends at 1, below its start 8");
    expect_refused("{from: 1, to: 8, step: 0}",
                   "t:1:24: step: expected an integer from 1 to 4294967295, found 0");
    expect_refused("{from: 1, to: 8, factor: 1}",
                   "t:1:1: batch: a range with a factor starts above 0 and has a factor above 1");
    expect_refused("{from: 1, to: 8, setp: 1}",
                   "t:1:18: a range: unknown key \"setp\"; did you mean \"step\"?");
}

static void test_texts_and_reals(void **state) {
    (void)state;
    swp_texts t;
    swp_f64s r;
    assert_true(swp_axis_text(arena, node("0.24.0"), "version", &t, &err));
    assert_int_equal(t.n, 1);
    assert_string_equal(t.v[0], "0.24.0");
    assert_true(swp_axis_text(arena, node("[1.10, current]"), "version", &t, &err));
    assert_string_equal(t.v[0], "1.10");
    assert_false(swp_axis_text(arena, node("[a, b, a]"), "model", &t, &err));
    assert_string_equal(err.text, "t:1:8: model: \"a\" is listed twice");
    assert_true(swp_axis_f64(arena, node("[0, 0.5]"), "x", 0, 1, &r, &err));
    assert_true(r.v[1] == 0.5);
    assert_false(swp_axis_f64(arena, node("[0.5, 0.5]"), "x", 0, 1, &r, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts_and_reals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
