/* links: base. Allocation, arenas, errors. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Exit status of a child that runs f, with its standard error thrown away. */
static int status_of(void (*f)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        f();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static volatile size_t huge = SIZE_MAX / 2 + 1; /* volatile: the compiler must not see the overflow coming */

static void overflow_product(void) {
    aic_alloc(huge, 2);
}

static void overflow_sum(void) {
    aic_add(huge, huge);
}

static void overflow_arena(void) {
    aic_arena *a = aic_arena_new();
    aic_arena_alloc(a, huge, 2);
}

static void overflow_arena_rounding(void) {
    aic_arena *a = aic_arena_new();
    aic_arena_alloc(a, SIZE_MAX - huge + huge, 1);
}

static void test_overflow_ends_the_process(void **state) {
    (void)state;
    assert_int_equal(status_of(overflow_product), AIC_IO);
    assert_int_equal(status_of(overflow_sum), AIC_IO);
    assert_int_equal(status_of(overflow_arena), AIC_IO);
    assert_int_equal(status_of(overflow_arena_rounding), AIC_IO);
}

static void test_sizes(void **state) {
    (void)state;
    assert_int_equal(aic_mul(0, SIZE_MAX), 0);
    assert_int_equal(aic_mul(SIZE_MAX, 1), SIZE_MAX);
    assert_int_equal(aic_add(SIZE_MAX, 0), SIZE_MAX);
    void *none = aic_alloc(0, 8), *zero = aic_calloc(8, 0);
    assert_non_null(none);
    assert_non_null(zero);
    none = aic_realloc(none, 0, 0);
    assert_non_null(none);
    free(none);
    free(zero);
}

static void test_grow(void **state) {
    (void)state;
    int *items = NULL;
    size_t count = 0, cap = 0;
    for (int i = 0; i < 1000; i++) {
        AIC_GROW(items, count, cap);
        items[count++] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    free(items);
}

static void test_arena(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    assert_int_equal(aic_arena_bytes(a), 0);
    unsigned char *blocks[400];
    for (size_t i = 0; i < 400; i++) { /* small ones, ones of their own, and everything between */
        size_t size = i * i;
        blocks[i] = aic_arena_alloc(a, size, 1);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)(i & 255), size);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t j = 0; j < i * i; j += 97)
            assert_int_equal(blocks[i][j], i & 255);
    assert_true(aic_arena_bytes(a) >= 400u * 399 * 799 / 6);
    aic_arena_free(a);
    aic_arena_free(NULL);
}

static void test_arena_text(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    assert_string_equal(aic_arena_strdup(a, "tp"), "tp");
    assert_string_equal(aic_arena_strndup(a, "tp=8", 2), "tp");
    assert_string_equal(aic_arena_strndup(a, NULL, 0), "");
    assert_string_equal(aic_arena_printf(a, "%s=%d", "tp", 8), "tp=8");
    char *large = aic_arena_printf(a, "%*d", 100000, 7);
    assert_int_equal(strlen(large), 100000);
    aic_arena_free(a);
}

static void test_errors(void **state) {
    (void)state;
    aic_error err = {0};
    assert_false(aic_fail(&err, AIC_IO, "disk %d", 7));
    assert_int_equal(err.code, AIC_IO);
    assert_string_equal(err.text, "disk 7");
    assert_false(aic_fail_in(&err, "block %d", 3));
    assert_int_equal(err.code, AIC_IO);
    assert_string_equal(err.text, "block 3: disk 7");
    assert_false(aic_fail_at(&err, "a.yaml", 2, 5, "bad %s", "tp"));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_string_equal(err.text, "a.yaml:2:5: bad tp");
    aic_fail_at(&err, "a.yaml", 2, 0, "bad");
    assert_string_equal(err.text, "a.yaml:2: bad");
    aic_fail_at(&err, "a.json", 0, 0, "bad");
    assert_string_equal(err.text, "a.json: bad");
    aic_fail_at(&err, NULL, 0, 0, "bad");
    assert_string_equal(err.text, "bad");
    assert_false(aic_fail(NULL, AIC_IO, "nobody listens"));
    assert_false(aic_fail_at(NULL, "a", 1, 1, "nobody listens"));
    assert_false(aic_fail_in(NULL, "nobody listens"));
}

static void test_long_errors_are_cut(void **state) {
    (void)state;
    static char text[3 * AIC_ERROR_TEXT];
    memset(text, 'x', sizeof text - 1);
    aic_error err = {0};
    aic_fail(&err, AIC_IO, "%s", text);
    assert_int_equal(strlen(err.text), AIC_ERROR_TEXT - 1);
    assert_string_equal(err.text + AIC_ERROR_TEXT - 4, "...");
    aic_fail_at(&err, text, 1, 1, "bad");
    assert_string_equal(err.text + AIC_ERROR_TEXT - 4, "...");
    aic_fail_at(&err, "a", 1, 1, "%s", text);
    assert_string_equal(err.text + AIC_ERROR_TEXT - 4, "...");
    aic_fail(&err, AIC_IO, "short");
    aic_fail_in(&err, "%s", text);
    assert_string_equal(err.text + AIC_ERROR_TEXT - 4, "...");
    text[AIC_ERROR_TEXT - 1] = '\0'; /* exactly as long as there is room: whole */
    aic_fail(&err, AIC_IO, "%s", text);
    assert_string_equal(err.text, text);
    aic_fail_in(&err, "block");
    assert_int_equal(strncmp(err.text, "block: xxx", 10), 0);
    assert_string_equal(err.text + AIC_ERROR_TEXT - 4, "...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_ends_the_process),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_text),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_errors_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
