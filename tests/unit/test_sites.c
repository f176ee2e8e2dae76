/* links: perfdb. SITES: enumeration order, own curves, transfer between shapes, the frontier waiver. */
#include "interp_cases.h"
#include "parity/golden.h"

static double sol_volume(const void *ctx, const double *c) {
    (void)ctx;
    return c[0] * c[1] * c[2];
}

static void test_synthetic(void **state) {
    (void)state;
    cases t;
    run_cases(&t, "gemm", "SILICON");
    assert_int_equal(t.asked, 900);
    assert_int_equal(t.missed, 513);
    assert_int_equal(t.wrong, 0);
}

/* m in order of first appearance, below it n, below that k: not the order of the rows. */
static void test_enumeration(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t rows[] = {8, 1, 1, 4, 2, 2, 8, 3, 3, 4, 1, 1, 8, 1, 9, 4, 7, 7};
    const pdb_leaf leaves[6] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}, {5, 0, 0}, {6, 0, 0}};
    const pdb_sites *s = pdb_sites_build(a, 6, rows, leaves, NULL);
    const uint64_t expected[] = {1, 1, 1, 9, 3, 3, 2, 2, 7, 7};
    assert_int_equal(s->n, 5);
    assert_memory_equal(s->site, expected, sizeof expected);
    assert_int_equal(s->first[0], 0);
    assert_int_equal(s->first[1], 2); /* the site (1, 1) has m = 4 and m = 8 */
    assert_int_equal(s->key[0], 4);
    assert_true(s->latency[0] == 4 && s->latency[1] == 1);
    assert_true(s->range[0] == 4 && s->range[1] == 8);
    aic_arena_free(a);
}

/* Two neighbours at exactly one distance: the one met first is kept when only four may be. */
static void test_ties_keep_enumeration_order(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t rows[] = {1, 8, 16, 1, 16, 8, 1, 32, 16, 1, 16, 32, 1, 8, 8};
    pdb_leaf leaves[5];
    for (size_t i = 0; i < 5; i++)
        leaves[i] = (pdb_leaf){(double)(i + 1), 0, 0};
    const pdb_sites *s = pdb_sites_build(a, 5, rows, leaves, NULL);
    const double c[] = {1, 16, 16}; /* distance 1 to the first four sites, sqrt 2 to the fifth */
    pdb_value v;
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_HIT);
    double w = 1 / (1.0 + 1e-12), weights = 0, u = 0;
    const double sol[] = {128, 128, 512, 512};
    for (int i = 0; i < 4; i++) {
        weights += w;
        u += w * (sol[i] / (i + 1));
    }
    assert_true(v.latency == 256 / (u / weights) && v.how == PDB_BEYOND);
    aic_arena_free(a);
}

static const pdb_sites *one_site(aic_arena *a, size_t points) {
    static const uint64_t rows[] = {10, 4, 4, 20, 4, 4, 30, 4, 4, 40, 4, 4};
    static const pdb_leaf leaves[] = {{1, 2, 3}, {2, 2, 4}, {4, 2, 0}, {8, 2, 0}};
    return pdb_sites_build(a, points, rows, leaves, NULL);
}

static void test_own_curve(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const pdb_sites *s = one_site(a, 4);
    double c[] = {10, 4, 4};
    pdb_value v;
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_EXACT && v.latency == 1 && v.power == 3 &&
                v.energy == 3); /* blended power, not stored */
    c[0] = 15;
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_INSIDE && v.latency == 1.5 && v.power == 2.5);
    c[0] = 80; /* the last three: u = 160, 120, 80, median 120 */
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_HIT);
    assert_true(v.how == PDB_BEYOND && v.latency == 80 * 16 / 120.0);
    c[0] = 0;
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_MISS_QUERY_SOL);
    aic_arena_free(a);
}

static void test_one_point(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const pdb_sites *s = one_site(a, 1);
    double c[] = {5, 4, 4};
    pdb_value v;
    assert_int_equal(pdb_sites_query(s, c, false, sol_volume, NULL, &v), PDB_HIT);
    assert_true(v.latency == 80 / 160.0);
    /* With own_fallback an uncovered own site steps aside, and there is nobody else. */
    assert_int_equal(pdb_sites_query(s, c, true, sol_volume, NULL, &v), PDB_MISS_NO_SITE);
    c[0] = 10;
    assert_int_equal(pdb_sites_query(s, c, true, sol_volume, NULL, &v), PDB_HIT);
    const pdb_sites *none = pdb_sites_build(a, 0, NULL, NULL, NULL);
    assert_int_equal(pdb_sites_query(none, c, false, sol_volume, NULL, &v), PDB_MISS_EMPTY);
    aic_arena_free(a);
}

static void test_frontier(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const pdb_sites *s = one_site(a, 4);
    pdb_value v;
    const double beyond_one[] = {10, 1000, 4}, beyond_both[] = {10, 1000, 1000}, below[] = {10, 1000, 1},
                 far_other[] = {10, 1000, 0.5};
    assert_int_equal(pdb_sites_query(s, beyond_one, false, sol_volume, NULL, &v), PDB_HIT);
    assert_int_equal(pdb_sites_query(s, beyond_both, false, sol_volume, NULL, &v), PDB_MISS_NO_SITE);
    assert_int_equal(pdb_sites_query(s, below, false, sol_volume, NULL, &v), PDB_MISS_NO_SITE);
    assert_int_equal(pdb_sites_query(s, far_other, false, sol_volume, NULL, &v), PDB_MISS_NO_SITE);
    aic_arena_free(a);
}

static void test_unusable_neighbours(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t rows[] = {10, 4, 4, 20, 4, 4};
    const pdb_leaf leaves[] = {{0, 0, 0}, {NAN, 0, 0}};
    const pdb_sites *s = pdb_sites_build(a, 2, rows, leaves, NULL);
    const double near[] = {10, 4, 5}, tail[] = {40, 4, 4};
    pdb_value v;
    assert_int_equal(pdb_sites_query(s, near, false, sol_volume, NULL, &v), PDB_MISS_NO_NEIGHBOUR);
    assert_int_equal(pdb_sites_query(s, tail, false, sol_volume, NULL, &v), PDB_MISS_NO_ANCHOR);
    for (int m = PDB_HIT; m <= PDB_MISS_HOLE; m++)
        assert_true(strlen(pdb_miss_text((pdb_miss)m)) > 0);
    aic_arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_enumeration),
        cmocka_unit_test(test_ties_keep_enumeration_order),
        cmocka_unit_test(test_own_curve),
        cmocka_unit_test(test_one_point),
        cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_unusable_neighbours),
    };
    return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
