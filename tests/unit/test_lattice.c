/* links: perfdb. Rows by their place in the box of their axes' values: against sorting, and sites against the
 * nested maps that define their order. */
#include "perfdb/internal.h"
#include "perfdb/lattice.h"
#include "perfdb/scratch.h"
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

/* Rows on so many values of each axis, near one another or anywhere. */
static uint64_t *random_rows(size_t n, int width) {
    uint64_t *keys = aic_alloc(n * (size_t)width, sizeof *keys), values[4], far = next() % 3 ? 0 : next();
    for (int k = 0; k < width; k++)
        values[k] = 1 + next() % (next() % 3 ? 12 : 400);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < width; k++)
            keys[i * (size_t)width + (size_t)k] = next() % values[k] * (far | 1);
    return keys;
}

static void test_distinct_rows(void **unused) {
    (void)unused;
    static const size_t sizes[] = {0, 1, 30, 200, 3000};
    for (int round = 0; round < 400; round++) {
        size_t n = sizes[next() % 5], kept = 0;
        int width = 1 + (int)(next() % 4);
        uint64_t *keys = random_rows(n, width);
        uint32_t *sorted = aic_alloc(n, sizeof *sorted), *order = aic_alloc(n, sizeof *order);
        pdb_sort_rows(n, width, keys, sorted);
        for (size_t i = 0; i < n; i++)
            if (!i || memcmp(keys + sorted[i] * (size_t)width, keys + sorted[i - 1] * (size_t)width,
                             (size_t)width * sizeof *keys) != 0)
                sorted[kept++] = sorted[i];
        assert_int_equal(pdb_distinct_rows(n, width, keys, order), kept);
        for (size_t i = 0; i < kept; i++)
            assert_int_equal(order[i], sorted[i]);
        free(keys);
        free(sorted);
        free(order);
    }
}

static void test_axis(void **unused) {
    (void)unused;
    const uint64_t rows[] = {30, 1, 10, 1, UINT64_MAX, 1, 10, 1, 0, 1};
    pdb_scratch s = pdb_scratch_begin();
    pdb_axis a = pdb_axis_of(5, rows, 2);
    const uint32_t numbers[] = {0, 1, 2, 1, 3}, ranks[] = {2, 1, 3, 0};
    const uint64_t values[] = {30, 10, UINT64_MAX, 0};
    assert_int_equal(a.n, 4);
    assert_memory_equal(a.number, numbers, sizeof numbers);
    assert_memory_equal(a.rank, ranks, sizeof ranks);
    assert_memory_equal(a.value, values, sizeof values);
    pdb_scratch_end(&s);
}

/* The walk of nested maps, literally: positions, below each site0, below each site1, in the order first seen.
 */
static size_t walk(size_t n, const uint64_t *rows, uint64_t *sites) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool position_seen = false;
        for (size_t k = 0; k < i; k++)
            position_seen |= rows[3 * k] == rows[3 * i];
        for (size_t j = i; j < n && !position_seen; j++) {
            bool branch_seen = rows[3 * j] != rows[3 * i];
            for (size_t k = i; k < j; k++)
                branch_seen |= rows[3 * k] == rows[3 * i] && rows[3 * k + 1] == rows[3 * j + 1];
            for (size_t l = j; l < n && !branch_seen; l++) {
                bool known = rows[3 * l] != rows[3 * i] || rows[3 * l + 1] != rows[3 * j + 1];
                for (size_t k = 0; k < count; k++)
                    known |= sites[2 * k] == rows[3 * l + 1] && sites[2 * k + 1] == rows[3 * l + 2];
                if (!known) {
                    sites[2 * count] = rows[3 * l + 1];
                    sites[2 * count++ + 1] = rows[3 * l + 2];
                }
            }
        }
    }
    return count;
}

static void check_curve(const pdb_sites *s, uint32_t site, size_t n, const uint64_t *rows) {
    for (uint32_t i = s->first[site]; i < s->first[site + 1]; i++) {
        size_t row = 0; /* the first with this site and position is the one kept */
        while (row < n &&
               (rows[3 * row] != s->key[i] || memcmp(rows + 3 * row + 1, s->site + 2 * site, 16) != 0))
            row++;
        assert_true(row < n && s->latency[i] == (double)(row + 1));
        assert_true(i == s->first[site] || s->key[i - 1] < s->key[i]);
    }
    assert_true(s->range[2 * site] == (double)s->key[s->first[site]]);
    assert_true(s->range[2 * site + 1] == (double)s->key[s->first[site + 1] - 1]);
}

static void test_sites(void **unused) {
    (void)unused;
    static const size_t sizes[] = {0, 1, 20, 150};
    for (int round = 0; round < 200; round++) {
        aic_arena *a = aic_arena_new();
        size_t n = sizes[next() % 4], points = 0;
        uint64_t *rows = random_rows(n, 3), *expected = aic_alloc(2 * n, sizeof *expected);
        pdb_leaf *leaves = aic_alloc(n, sizeof *leaves);
        for (size_t i = 0; i < n; i++)
            leaves[i] = (pdb_leaf){.latency = (double)(i + 1)};
        const pdb_sites *met = pdb_sites_build(a, n, rows, leaves, NULL),
                        *ascending = pdb_sites_build_ascending(a, n, rows, leaves, NULL);
        size_t sites = walk(n, rows, expected);
        assert_int_equal(met->n, sites);
        assert_int_equal(ascending->n, sites);
        assert_null(met->watts);
        for (uint32_t i = 0; i < sites; i++) {
            assert_memory_equal(met->site + 2 * i, expected + 2 * i, 16);
            check_curve(met, i, n, rows);
            check_curve(ascending, i, n, rows);
            points += met->first[i + 1] - met->first[i];
            const uint64_t *at = ascending->site + 2 * i;
            assert_true(i == 0 || at[-2] < at[0] || (at[-2] == at[0] && at[-1] < at[1]));
        }
        uint32_t *order = aic_alloc(n, sizeof *order);
        assert_int_equal(points, pdb_distinct_rows(n, 3, rows, order));
        free(order);
        free(leaves);
        free(expected);
        free(rows);
        aic_arena_free(a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_distinct_rows), cmocka_unit_test(test_axis),
                                       cmocka_unit_test(test_sites)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
