/* The shelf: the first value under a key stands, for all threads; what was put stays. */
#include "base/base.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 500, THREADS = 4 };

static void test_the_first_value_stands(void **state) {
    (void)state;
    aic_shelf *s = aic_shelf_new(0); /* one list for all keys */
    aic_arena *a = aic_arena_new();
    static const char values[3];
    assert_null(aic_shelf_find(s, "x", 1));
    assert_ptr_equal(aic_shelf_put(s, a, "x", 1, &values[0]), &values[0]);
    assert_ptr_equal(aic_shelf_put(s, a, "x", 1, &values[1]), &values[0]);
    assert_ptr_equal(aic_shelf_put(s, a, "xy", 2, &values[1]), &values[1]);
    assert_ptr_equal(aic_shelf_put(s, a, "", 0, &values[2]), &values[2]);
    assert_ptr_equal(aic_shelf_find(s, "x", 1), &values[0]);
    assert_ptr_equal(aic_shelf_find(s, "xy", 2), &values[1]);
    assert_ptr_equal(aic_shelf_find(s, "", 0), &values[2]);
    assert_null(aic_shelf_find(s, "y", 1));
    aic_shelf_free(s);
    aic_arena_free(a);
}

typedef struct racer {
    aic_shelf *shelf;
    aic_arena *arena;
    int own[KEYS];
    const void *stands[KEYS];
} racer;

static void *race(void *arg) {
    racer *r = arg;
    for (int k = 0; k < KEYS; k++)
        r->stands[k] = aic_shelf_put(r->shelf, r->arena, &k, sizeof k, &r->own[k]);
    return NULL;
}

static void test_threads_agree(void **state) {
    (void)state;
    static racer racers[THREADS];
    pthread_t threads[THREADS];
    aic_shelf *s = aic_shelf_new(16);
    for (int t = 0; t < THREADS; t++) {
        racers[t] = (racer){.shelf = s, .arena = aic_arena_new()};
        assert_int_equal(pthread_create(&threads[t], NULL, race, &racers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int k = 0; k < KEYS; k++) {
        assert_non_null(racers[0].stands[k]);
        assert_ptr_equal(aic_shelf_find(s, &k, sizeof k), racers[0].stands[k]);
        for (int t = 1; t < THREADS; t++)
            assert_ptr_equal(racers[t].stands[k], racers[0].stands[k]);
    }
    for (int t = 0; t < THREADS; t++)
        aic_arena_free(racers[t].arena);
    aic_shelf_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_value_stands),
        cmocka_unit_test(test_threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
