/* links: ops. Algebra of results, memory formula, names of modes and sources. */
#include "ops_cases.h"

static op_result made(double latency, double energy, op_source source) {
    op_result r = op_zero(source);
    r.latency = latency;
    r.energy = energy;
    r.cover[OP_MEASURED] = latency;
    return r;
}

static void test_plus_sources(void **state) {
    (void)state;
    op_result a = made(1, 2, OP_SRC_silicon), b = made(3, 0, OP_SRC_empirical), zero = op_seed();
    op_result same = op_plus(&a, &a), mixed = op_plus(&a, &b), left = op_plus(&zero, &a),
              right = op_plus(&b, &zero);
    assert_int_equal(same.source, OP_SRC_silicon);
    assert_int_equal(mixed.source, OP_SRC_mixed);
    assert_int_equal(left.source, OP_SRC_silicon);
    assert_int_equal(right.source, OP_SRC_empirical);
    assert_true(mixed.latency == 4 && mixed.energy == 2 && cover_sum(&mixed) == 4);
    op_result empty = op_plus(&zero, &zero);
    assert_int_equal(empty.source, OP_SRC_empirical);
}

/* A zero side gives way, with its pair; otherwise the sum has a pair only when both sides have one. */
static void test_plus_sol_pairs(void **state) {
    (void)state;
    op_result a = made(2, 0, OP_SRC_sol), b = made(3, 0, OP_SRC_sol), plain = made(1, 0, OP_SRC_silicon),
              zero = op_seed();
    a.has_sol = b.has_sol = true;
    a.sol_math = 2;
    b.sol_mem = 3;
    op_result both = op_plus(&a, &b), one = op_plus(&a, &plain), kept = op_plus(&zero, &a);
    assert_true(both.has_sol && both.sol_math == 2 && both.sol_mem == 3);
    assert_false(one.has_sol);
    assert_true(kept.has_sol && kept.sol_math == 2);
}

static void test_scale_and_clamp(void **state) {
    (void)state;
    op_result r = made(2, 4, OP_SRC_silicon);
    r.has_sol = true;
    r.sol_math = 6;
    op_scale(&r, 0.5);
    assert_true(r.latency == 1 && r.energy == 2 && r.sol_math == 3 && r.cover[OP_MEASURED] == 1);
    r.latency = NAN;
    r.energy = -1;
    r.cover[OP_MEASURED] = NAN;
    op_clamp(&r);
    assert_true(r.latency == 0 && r.energy == 0 && r.cover[OP_MEASURED] == 0);
}

static void test_memory_formula(void **state) {
    (void)state;
    pdb_system sys = {.mem_bw = 4.8e12, .mem_bw_factor = 0.8, .mem_latency_s = 3e-6};
    op_result none = op_mem(&sys, OP_SILICON, 0), some = op_mem(&sys, OP_SILICON, 8192.0 * 1000.0);
    assert_true(none.latency == 3e-6 * 1000.0 && !none.has_sol);
    assert_true(some.latency == (8192000.0 / (4.8e12 * 0.8) + 3e-6) * 1000.0);
    assert_int_equal(some.source, OP_SRC_empirical);
    op_result sol = op_mem(&sys, OP_SOL, 8192000.0);
    assert_true(sol.latency == 8192000.0 / 4.8e12 * 1000.0 && sol.has_sol && sol.sol_math == 0);
    assert_true(sol.cover[OP_FORMULA] == sol.latency && sol.sol_mem == sol.latency);
}

static void test_names(void **state) {
    (void)state;
    op_mode m;
    assert_true(op_mode_parse("silicon", &m) && m == OP_SILICON);
    assert_true(op_mode_parse("SOL", &m) && m == OP_SOL);
    assert_false(op_mode_parse("SOL_FULL", &m));
    assert_true(op_mode_shares(OP_SILICON) && op_mode_shares(OP_HYBRID));
    assert_false(op_mode_shares(OP_EMPIRICAL) || op_mode_shares(OP_SOL));
    assert_string_equal(op_mode_name(OP_HYBRID), "HYBRID");
    assert_string_equal(op_source_name(OP_SRC_estimated), "estimated");
    for (int c = OP_OK; c <= OP_INVALID; c++)
        assert_true(strlen(op_class_name((op_class)c)) > 0);
}

static void test_refusal_text_is_bounded(void **state) {
    (void)state;
    char wide[2000];
    memset(wide, 'x', sizeof wide);
    wide[sizeof wide - 1] = '\0';
    op_refusal why;
    assert_int_equal(op_refuse(&why, OP_MISSING, "%s", wide), OP_MISSING);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    assert_int_equal(op_refuse(NULL, OP_NO_SOL, "unused"), OP_NO_SOL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plus_sources),    cmocka_unit_test(test_plus_sol_pairs),
        cmocka_unit_test(test_scale_and_clamp), cmocka_unit_test(test_memory_formula),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_refusal_text_is_bounded),
    };
    return cmocka_run_group_tests_name("op_result", tests, NULL, NULL);
}
