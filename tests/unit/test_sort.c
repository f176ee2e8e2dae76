/* links: perfdb. Sorting key tuples: against insertion, whatever bits differ. */
#include "perfdb/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t state = 1;

static uint64_t next(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33 | state << 31;
}

static int compare(const uint64_t *a, const uint64_t *b, int width) {
    for (int i = 0; i < width; i++)
        if (a[i] != b[i])
            return a[i] > b[i] ? 1 : -1;
    return 0;
}

/* Ascending, equals in their order, every row once. */
static void check(size_t n, int width, const uint64_t *keys) {
    uint32_t *order = aic_alloc(n, sizeof *order);
    bool *seen = aic_calloc(n, sizeof *seen);
    pdb_sort_rows(n, width, keys, order);
    for (size_t i = 0; i < n; i++) {
        assert_true(order[i] < n && !seen[order[i]]);
        seen[order[i]] = true;
        if (!i)
            continue;
        int c = compare(keys + order[i - 1] * (size_t)width, keys + order[i] * (size_t)width, width);
        assert_true(c < 0 || (c == 0 && order[i - 1] < order[i]));
    }
    free(order);
    free(seen);
}

/* Axes of any number of differing bits at any place, together fewer or more than one word has. */
static void test_any_bits(void **unused) {
    (void)unused;
    static const size_t sizes[] = {0, 1, 2, 48, 49, 300, 5000};
    for (int round = 0; round < 400; round++) {
        size_t n = sizes[next() % 7];
        int width = 1 + (int)(next() % 4);
        uint64_t *keys = aic_alloc(n * (size_t)width, sizeof *keys), mask[4], same[4];
        for (int k = 0; k < width; k++) {
            mask[k] = next() % 3 ? next() >> next() % 64 << next() % 64 : next() % 2 ? 0 : UINT64_MAX;
            same[k] = next();
        }
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < width; k++)
                keys[i * (size_t)width + (size_t)k] =
                    (next() & mask[k] & (round % 2 ? 0x5555555555555555u : UINT64_MAX)) |
                    (same[k] & ~mask[k]);
        check(n, width, keys);
        free(keys);
    }
}

/* An axis of which all bits differ, behind one that is the same in all rows: together one word. */
static void test_whole_word(void **unused) {
    (void)unused;
    enum { N = 100, WIDTH = 2 };
    static uint64_t keys[N * WIDTH];
    for (size_t i = 0; i < N; i++)
        keys[i * WIDTH + 1] = i % 2 ? next() : ~next();
    keys[1] = 0;
    keys[3] = UINT64_MAX;
    check(N, WIDTH, keys);
}

/* Coordinates of estimates are the bits of doubles. */
static void test_doubles(void **unused) {
    (void)unused;
    enum { N = 1000, WIDTH = 3 };
    static uint64_t keys[N * WIDTH];
    for (size_t i = 0; i < N * WIDTH; i++) {
        double x = (double)(next() % 7) / 3;
        memcpy(&keys[i], &x, sizeof x);
    }
    check(N, WIDTH, keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_bits), cmocka_unit_test(test_whole_word),
                                       cmocka_unit_test(test_doubles)};
    return cmocka_run_group_tests_name("sort", tests, NULL, NULL);
}
