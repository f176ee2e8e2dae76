/* links: perfdb. Memory for as long as a function works: levels, growth, threads. */
#include "perfdb/scratch.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Levels within levels, each piece with a pattern that must stand until its level ends. */
static void nest(int depth, size_t size) {
    pdb_scratch s = pdb_scratch_begin();
    unsigned char *piece[4];
    for (size_t i = 0; i < 4; i++) {
        piece[i] = pdb_scratch_take(size + i, 3);
        assert_true((uintptr_t)piece[i] % _Alignof(max_align_t) == 0);
        memset(piece[i], depth * 4 + (int)i, 3 * (size + i));
        if (depth > 0)
            nest(depth - 1, size * 2);
    }
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 3 * (size + i); k++)
            assert_int_equal(piece[i][k], depth * 4 + (int)i);
    pdb_scratch_end(&s);
}

static void test_levels(void **state) {
    (void)state;
    nest(3, 0);
    nest(3, 17);
    nest(3, 30000); /* several blocks */
    nest(3, 30000); /* in one, from here on */
}

static void test_memory_stays(void **state) {
    (void)state;
    pdb_scratch s = pdb_scratch_begin();
    pdb_scratch_take(1 << 20, 1);
    pdb_scratch_take(1 << 20, 1);
    pdb_scratch_end(&s);
    s = pdb_scratch_begin();
    char *first = pdb_scratch_take(1 << 20, 1), *second = pdb_scratch_take(1 << 20, 1);
    pdb_scratch_end(&s);
#ifndef __SANITIZE_ADDRESS__
    assert_true(second == first + (1 << 20));
    s = pdb_scratch_begin();
    assert_true(pdb_scratch_take(1 << 21, 1) == first);
    pdb_scratch_end(&s);
#else
    (void)first, (void)second;
#endif
}

/* A level that takes nothing around one that needs a larger block than there is. */
static void test_empty_level(void **state) {
    (void)state;
    for (size_t size = 1 << 16; size < 1 << 23; size *= 4) {
        pdb_scratch outer = pdb_scratch_begin(), inner = pdb_scratch_begin();
        memset(pdb_scratch_take(size, 1), 1, size);
        pdb_scratch_end(&inner);
        inner = pdb_scratch_begin();
        memset(pdb_scratch_take(2 * size, 1), 2, 2 * size);
        pdb_scratch_end(&inner);
        pdb_scratch_end(&outer);
    }
}

static void *in_thread(void *unused) {
    (void)unused;
    nest(2, 50000); /* what it leaves goes with the thread: a leak checker looks */
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, in_thread, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_memory_stays),
                                       cmocka_unit_test(test_empty_level), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
