/* links: perfdb. GRID: building, exact hits, interiors, ragged tables, the hold beyond the range. */
#include "interp_cases.h"
#include "parity/golden.h"
#include "perfdb/internal.h"

static double sol_first(const void *ctx, const double *c) {
    (void)ctx;
    return c[0];
}

static double sol_none(const void *ctx, const double *c) {
    (void)ctx;
    (void)c;
    return 0;
}

static double sol_product(const void *ctx, const double *c) {
    (void)ctx;
    return c[0] * c[1];
}

static void test_synthetic(void **state) {
    (void)state;
    static const struct {
        const char *family;
        size_t queries;
    } all[] = {{"grid1", 648}, {"grid2", 648}, {"grid3sqrt", 648}};
    for (size_t i = 0; i < 3; i++) {
        cases t;
        run_cases(&t, all[i].family, NULL);
        assert_int_equal(t.asked, all[i].queries);
        assert_int_equal(t.wrong, 0);
    }
}

static void test_first_row_wins(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t coords[] = {4, 1, 2, 9, 4, 1, 2, 1, 2, 9};
    const pdb_leaf leaves[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}, {5, 0, 0}};
    bool keep[5];
    const pdb_grid *g = pdb_grid_build(a, 2, 5, coords, leaves, NULL, keep);
    assert_int_equal(g->n[0], 2);
    assert_int_equal(g->n[1], 3);
    assert_int_equal(g->keys[0][0], 2);
    assert_int_equal(g->first[0][1], 2);
    assert_int_equal(g->first[0][2], 3);
    assert_true(g->latency[0] == 4 && g->latency[1] == 2 && g->latency[2] == 1);
    const bool expected[] = {true, true, false, true, false};
    assert_memory_equal(keep, expected, sizeof keep);
    aic_arena_free(a);
}

static void test_empty(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const pdb_grid *g = pdb_grid_build(a, 3, 0, NULL, NULL, NULL, NULL);
    pdb_value v;
    const double c[] = {1, 2, 3};
    assert_int_equal(pdb_grid_query(g, c, -1, sol_first, NULL, &v), PDB_MISS_EMPTY);
    aic_arena_free(a);
}

static void test_curve(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t keys[] = {10, 20};
    const pdb_leaf leaves[] = {{1, 5, 50},
                               {3, 7, 21}}; /* energy of the first is not power x latency: verbatim only */
    const pdb_grid *g = pdb_grid_build(a, 1, 2, keys, leaves, NULL, NULL);
    pdb_value v;
    double c = 10;
    assert_int_equal(pdb_grid_query(g, &c, -1, sol_first, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_EXACT && v.latency == 1 && v.power == 5 && v.energy == 50);
    c = 12.5;
    assert_int_equal(pdb_grid_query(g, &c, -1, sol_first, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_INSIDE && v.latency == 1.5 && v.power == 50 + (7.0 - 50) * 0.25);
    c = 40;
    assert_int_equal(pdb_grid_query(g, &c, -1, sol_first, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_BEYOND && v.latency == 40 / (20.0 / 3) && v.energy == v.power * v.latency);
    c = 0;
    assert_int_equal(pdb_grid_query(g, &c, -1, sol_first, NULL, &v), PDB_MISS_QUERY_SOL);
    assert_int_equal(pdb_grid_query(g, &c, -1, sol_none, NULL, &v), PDB_MISS_NO_ANCHOR);
    aic_arena_free(a);
}

/* Coordinates that are no keys at all must neither match nor crash. */
static void test_odd_coordinates(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t keys[] = {0, 1, 0, 5, 7, 1};
    const pdb_leaf leaves[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}};
    const pdb_grid *g = pdb_grid_build(a, 2, 3, keys, leaves, NULL, NULL);
    const double odd[] = {-1, NAN, INFINITY, -INFINITY, 1e300, 18446744073709551616.0, 0.5};
    pdb_value v;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (size_t k = 0; k < 2; k++) {
            double c[2] = {1, 1};
            c[k] = odd[i];
            pdb_grid_query(g, c, -1, sol_product, NULL, &v);
            c[1 - k] = 0;
            pdb_grid_query(g, c, (int)k, sol_product, NULL, &v);
        }
    const double below[2] = {-1, 1};
    assert_int_equal(pdb_grid_query(g, below, -1, sol_none, NULL, &v), PDB_MISS_NO_ANCHOR);
    aic_arena_free(a);
}

/* One branch too short for the query: the other one answers, carried along SOL. */
static void test_ragged(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t keys[] = {1, 1, 1, 8, 3, 1, 3, 2};
    const pdb_leaf leaves[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}};
    const pdb_grid *g = pdb_grid_build(a, 2, 4, keys, leaves, NULL, NULL);
    pdb_value v;
    const double c[] = {2, 8};
    assert_int_equal(pdb_grid_query(g, c, -1, sol_product, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_BEYOND && v.latency == 2 * (16.0 / 8.0));
    assert_int_equal(pdb_grid_query(g, c, -1, sol_none, NULL, &v), PDB_HIT);
    assert_true(v.latency == 2);
    aic_arena_free(a);
}

static void test_nan_latency(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t keys[] = {1, 1, 1, 3, 3, 1, 3, 3};
    const pdb_leaf leaves[] = {{NAN, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}};
    const pdb_grid *g = pdb_grid_build(a, 2, 4, keys, leaves, NULL, NULL);
    pdb_value v;
    const double inside[] = {2, 2}, beyond[] = {9, 9};
    assert_int_equal(pdb_grid_query(g, inside, -1, sol_product, NULL, &v), PDB_HIT);
    assert_true(v.latency != v.latency);
    assert_int_equal(pdb_grid_query(g, beyond, -1, sol_product, NULL, &v), PDB_HIT);
    assert_true(v.latency > 0); /* a NaN leaf is never an anchor */
    aic_arena_free(a);
}

/* ---- the search for anchors, against a plain scan -------------------------------------------- */

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static bool odd_leaf(const void *ctx, const uint32_t *path, double *value) {
    const pdb_grid *g = ctx;
    *value = (double)path[g->axes - 1];
    return path[g->axes - 1] % 3 != 0;
}

typedef struct scanned {
    double distance;
    uint32_t leaf;
} scanned;

static int by_distance(const void *a, const void *b) {
    const scanned *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->leaf > y->leaf) - (x->leaf < y->leaf);
}

static void compare_with_scan(aic_arena *a, const pdb_grid *g, const double *target) {
    double *coords, *latency;
    size_t n = flatten(a, g, &coords, &latency), kept = 0;
    scanned *all = aic_arena_alloc(a, n, sizeof *all);
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < g->axes; k++) {
            double d = pdb_log2_floor(coords[i * (size_t)g->axes + (size_t)k]) - target[k];
            sum += d * d;
        }
        if (i % 3 != 0)
            all[kept++] = (scanned){sqrt(sum), i};
    }
    qsort(all, kept, sizeof *all, by_distance);
    pdb_near_tree tree = {.axes = g->axes, .roots = g->n[0]};
    for (int i = 0; i < g->axes; i++) {
        tree.pos[i] = g->log2_key[i];
        tree.first[i] = g->first[i];
    }
    pdb_near_hit hit[PDB_NEAR_MAX];
    int found = pdb_near(&tree, target, PDB_NEAR_MAX, odd_leaf, g, hit);
    assert_int_equal(found, kept < PDB_NEAR_MAX ? kept : PDB_NEAR_MAX);
    for (int i = 0; i < found; i++) {
        assert_int_equal(hit[i].leaf, all[i].leaf);
        assert_true(hit[i].distance == all[i].distance && hit[i].value == (double)all[i].leaf);
    }
}

static void test_nearest_equals_scan(void **state) {
    (void)state;
    uint32_t seed = 20261122;
    for (int round = 0; round < 400; round++) {
        aic_arena *a = aic_arena_new();
        int axes = 1 + round % 4;
        size_t n = 1 + next_random(&seed) % 300;
        uint64_t *coords = aic_arena_alloc(a, n * 4, sizeof *coords);
        pdb_leaf *leaves = aic_arena_alloc(a, n, sizeof *leaves);
        bool powers = round % 2; /* powers of two make exact ties */
        for (size_t i = 0; i < n * (size_t)axes; i++)
            coords[i] = powers ? (uint64_t)1 << next_random(&seed) % 12 : next_random(&seed) % 40;
        const pdb_grid *g = pdb_grid_build(a, axes, n, coords, leaves, NULL, NULL);
        for (int q = 0; q < 20; q++) {
            double target[4];
            for (int k = 0; k < 4; k++)
                target[k] =
                    q % 2 ? (double)(next_random(&seed) % 14) - 1 : pdb_log2_floor(next_random(&seed) % 5000);
            compare_with_scan(a, g, target);
        }
        aic_arena_free(a);
    }
}

static void test_sort_is_stable(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (size_t n = 0; n < 3000; n = n * 2 + 1) {
        uint64_t *keys = aic_alloc(n * 2, sizeof *keys);
        uint32_t *order = aic_alloc(n, sizeof *order);
        for (size_t i = 0; i < 2 * n; i++)
            keys[i] = (uint64_t)(next_random(&seed) % 5) << (i % 2 ? 40 : 3);
        pdb_sort_rows(n, 2, keys, order);
        for (size_t i = 1; i < n; i++) {
            const uint64_t *x = keys + 2 * (size_t)order[i - 1], *y = keys + 2 * (size_t)order[i];
            bool less = x[0] < y[0] || (x[0] == y[0] && x[1] < y[1]);
            assert_true(less || (memcmp(x, y, 16) == 0 && order[i - 1] < order[i]));
        }
        free(keys);
        free(order);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic),       cmocka_unit_test(test_first_row_wins),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_curve),
        cmocka_unit_test(test_odd_coordinates), cmocka_unit_test(test_ragged),
        cmocka_unit_test(test_nan_latency),     cmocka_unit_test(test_nearest_equals_scan),
        cmocka_unit_test(test_sort_is_stable),
    };
    return cmocka_run_group_tests_name("grid", tests, NULL, NULL);
}
