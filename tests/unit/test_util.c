/* links: perfdb. Calibrated estimation: utilisation grids, nearest reference, nearest difference. */
#include "interp_cases.h"
#include "parity/golden.h"

static double sol_first(const void *ctx, const double *c) {
    (void)ctx;
    return c[0];
}

static void test_synthetic(void **state) {
    (void)state;
    cases t;
    run_cases(&t, "gemm", "EMPIRICAL");
    assert_int_equal(t.asked, 540);
    assert_int_equal(t.missed, 7);
    assert_int_equal(t.wrong, 0);
    run_cases(&t, "gemm", "HYBRID");
    assert_int_equal(t.asked, 720);
    assert_int_equal(t.wrong, 0);
}

static void test_samples(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const double coords[] = {1, 2, 4, 8, 16}, latency[] = {0, 4, NAN, 16, -1};
    const pdb_util *u = pdb_util_build(a, 1, 5, coords, latency, NULL, sol_first, NULL);
    const pdb_origins marks[] = {1, 2, 4, 8, 16};
    pdb_origins from;
    double util, at = 2;
    assert_true(pdb_util_at(u, &at, &util, &from));
    assert_true(util == 0.5 && from == 0);
    u = pdb_util_build(a, 1, 5, coords, latency, marks, sol_first, NULL);
    assert_true(pdb_util_at(u, &at, &util, &from));
    assert_true(util == 0.5 && from == 2);
    at = 1; /* below the first usable sample: frozen */
    assert_true(pdb_util_at(u, &at, &util, &from));
    assert_true(util == 0.5);
    at = 4; /* half way in log space: equal weights */
    assert_true(pdb_util_at(u, &at, &util, &from));
    assert_true(fabs(util - 0.5) < 1e-15 && from == (2 | 8));
    const pdb_util *none = pdb_util_build(a, 1, 1, coords, latency, NULL, sol_first, NULL);
    assert_false(pdb_util_at(none, &at, &util, &from));
    aic_arena_free(a);
}

/* Equal distances keep the order samples were given in, whatever the order of their coordinates. */
static void test_sample_ties(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const double coords[] = {4, 1, 1, 1, 4, 4}, latency[] = {1, 2, 4}; /* (4,1) (1,1) (4,4) */
    const pdb_util *u = pdb_util_build(a, 2, 3, coords, latency, NULL, sol_first, NULL);
    pdb_origins from;
    double util;
    const double at[] = {1, 4}; /* distance 1 to (1,1) and (4,4) */
    assert_true(pdb_util_at(u, at, &util, &from));
    assert_true(util == (0.5 * 1.0 + 1.0 * 1.0) / 2.0);
    const double dup[] = {2, 2, 2, 2}, two[] = {1, 2}; /* the same place twice: the first sample speaks */
    u = pdb_util_build(a, 2, 2, dup, two, NULL, sol_first, NULL);
    assert_true(pdb_util_at(u, dup, &util, &from) && util == 2);
    aic_arena_free(a);
}

static void test_nearest_ref(void **state) {
    (void)state;
    const double c[] = {1, 16, 16, 1, 4, 4}, q[] = {4, 5}, tie[] = {4, 64};
    assert_int_equal(pdb_nearest_ref(2, q, 3, c), 2);
    assert_int_equal(pdb_nearest_ref(2, q, 0, NULL), -1);
    assert_int_equal(pdb_nearest_ref(2, tie, 1, c), 0);
    const double twins[] = {8, 8, 2, 2, 8, 8}, at8[] = {8, 8};
    assert_int_equal(pdb_nearest_ref(2, at8, 3, twins), 0);
}

static bool delta(aic_arena *a, size_t n, const double *points, const double *latency, double q,
                  double *out) {
    pdb_origins from;
    const pdb_delta *d = pdb_delta_build(a, 1, n, points, latency, NULL);
    return pdb_delta_at(d, &q, sol_first, NULL, out, &from);
}

static void test_delta(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const double points[] = {1, 4, 16, 64}, latency[] = {-1, 0, 2, NAN};
    double out;
    assert_true(delta(a, 4, points, latency, 3, &out) && out == 0);
    assert_true(delta(a, 4, points, latency, 12, &out) && out == 12 / (16 / 2.0));
    /* the NaN point is left out: 16 is the nearest */
    assert_true(delta(a, 4, points, latency, 64, &out) && out == 64 / (16 / 2.0));
    assert_true(delta(a, 4, points, latency, 0, &out)); /* the zero is nearest */
    assert_false(delta(a, 1, points, latency, 0, &out));
    assert_false(delta(a, 1, points + 2, latency + 2, 0, &out)); /* SOL(query) = 0 */
    const double twins[] = {4, 4}, unlike[] = {1, 2};            /* the same place twice: the first speaks */
    assert_true(delta(a, 2, twins, unlike, 8, &out) && out == 8 / (4 / 1.0));
    aic_arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic),   cmocka_unit_test(test_samples),
        cmocka_unit_test(test_sample_ties), cmocka_unit_test(test_nearest_ref),
        cmocka_unit_test(test_delta),
    };
    return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
