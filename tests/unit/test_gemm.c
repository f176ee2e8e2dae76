/* links: ops. Gemm, Embedding, Elementwise: reference samples, fp8_static, evidence, refusals. */
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define GEMM(n, k, quant, rest)                                                                              \
    "{\"Gemm\": {\"name\": \"qkv\", \"scale_factor\": 1, \"n\": " #n ", \"k\": " #k                          \
    ", \"quant_mode\": \"" quant "\"" rest "}}"

static void test_samples(void **state) {
    check_samples(state, "ops_gemm.jsonl.gz", 500, 130);
}

static void test_evidence(void **state) {
    ops_fixture *f = *state;
    op_bound own = bind_op(f, OP_SILICON, GEMM(4096, 4096, "bfloat16", ""));
    op_result exact = answer(&own, OP_SILICON, tokens(2048)), inside = answer(&own, OP_SILICON, tokens(3000));
    op_result beyond = answer(&own, OP_SILICON, tokens(4000000));
    assert_true(exact.latency == 0.08635733524958293 && exact.cover[OP_MEASURED] == exact.latency);
    assert_true(inside.cover[OP_INTERPOLATED] == inside.latency);
    assert_true(beyond.cover[OP_EXTRAPOLATED] == beyond.latency);
    op_bound other = bind_op(f, OP_SILICON, GEMM(4095, 4096, "fp8", ""));
    op_result carried = answer(&other, OP_SILICON, tokens(2052));
    assert_true(carried.latency == 0.07800460258172098 && carried.cover[OP_EXTRAPOLATED] == carried.latency);
    assert_int_equal(carried.source, OP_SRC_silicon);
}

static void test_static_stays_above_the_floor(void **state) {
    ops_fixture *f = *state;
    op_bound fp8 = bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8", ""));
    op_bound st = bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8_static", ", \"low_precision_input\": true"));
    for (uint32_t m = 1; m < 20000; m = m * 3 + 1) {
        op_result dynamic = answer(&fp8, OP_SILICON, tokens(m)), quiet = answer(&st, OP_SILICON, tokens(m));
        op_result sol = answer(&st, OP_SOL, tokens(m));
        assert_true(quiet.latency <= dynamic.latency && quiet.latency >= sol.latency);
        assert_int_equal(quiet.source, OP_SRC_estimated);
        assert_int_equal(sol.source, OP_SRC_estimated);
        assert_true(fabs(cover_sum(&quiet) - quiet.latency) <= 1e-12 * quiet.latency);
    }
}

/* Many shapes in one go, those without an answer alone. */
static size_t compare_many(const op_bound *b) {
    static const uint32_t x[] = {1, 7, 7, 64, 4000000, 2048, 3000, 0, 5000, 1u << 31};
    enum { N = sizeof x / sizeof *x };
    op_shape shapes[N];
    op_result many[N], alone;
    size_t answered = 0, n;
    for (int i = 0; i < N; i++)
        shapes[i] = tokens(x[i]);
    for (size_t i = 0; i < N; i += n + (i + n < N)) {
        n = op_query_many(b, OP_SILICON, shapes + i, N - i, many);
        answered += n;
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(op_query_once(b, OP_SILICON, &shapes[i + k], &alone, NULL), OP_OK);
            assert_true(alone.latency == many[k].latency && alone.energy == many[k].energy &&
                        alone.source == many[k].source && alone.tier == many[k].tier &&
                        alone.from == many[k].from && alone.has_sol == many[k].has_sol);
            assert_memory_equal(alone.cover, many[k].cover, sizeof alone.cover);
        }
        if (i + n < N)
            assert_int_not_equal(op_query_once(b, OP_SILICON, &shapes[i + n], &alone, NULL), OP_OK);
    }
    return answered;
}

static void test_many(void **state) {
    ops_fixture *f = *state;
    op_bound own = bind_op(f, OP_SILICON, GEMM(4096, 4096, "bfloat16", "")),
             other = bind_op(f, OP_SILICON, GEMM(4095, 4096, "fp8", "")),
             quiet =
                 bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8_static", ", \"low_precision_input\": true")),
             none = bind_op(f, OP_SILICON, GEMM(4096, 4096, "int8_wo", ""));
    assert_true(compare_many(&own) >= 9 && compare_many(&other) >= 9 && compare_many(&quiet) >= 9);
    assert_int_equal(op_query_many(&none, OP_SILICON, &(op_shape){.x = 1}, 1, NULL), 0);
}

static void test_token_arithmetic(void **state) {
    ops_fixture *f = *state;
    op_bound b =
        bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8", ", \"scale_num_tokens\": 3, \"seq_split\": 4"));
    op_bound plain = bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8", ""));
    assert_true(answer(&b, OP_SILICON, tokens(1000)).latency ==
                answer(&plain, OP_SILICON, tokens(84)).latency);
    op_bound zero =
        bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8", ", \"scale_num_tokens\": 0, \"seq_split\": 0"));
    assert_true(answer(&zero, OP_SILICON, tokens(77)).latency ==
                answer(&plain, OP_SILICON, tokens(77)).latency);
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound wo = bind_op(f, OP_SILICON, GEMM(4096, 4096, "int8_wo", ""));
    op_refusal why = refusal(&wo, OP_SILICON, tokens(1), OP_MISSING);
    assert_string_equal(
        why.text, "qkv (Gemm): gemm_perf of h200_sxm/trtllm/1.3.0rc20 has no rows with gemm_dtype int8_wo; "
                  "measured: bfloat16, fp8, fp8_block (docs/model/gemm.md)");
    op_bound fp4 = bind_op(f, OP_SILICON, GEMM(4096, 4096, "nvfp4", ""));
    HAS(refusal(&fp4, OP_SILICON, tokens(1), OP_NO_FLOPS).text, "fp4_tc_flops");
    HAS(refusal(&fp4, OP_SOL, tokens(1), OP_NO_FLOPS).text, "fp4_tc_flops");
    op_bound far = bind_op(f, OP_SILICON, GEMM(1, 2048, "bfloat16", ""));
    op_refusal at_8 = refusal(&far, OP_SILICON, tokens(8), OP_MISSING),
               at_10 = refusal(&far, OP_SILICON, tokens(10), OP_MISSING);
    HAS(at_8.text, "n=1, k=2048");
    assert_string_equal(at_8.text, at_10.text); /* free of workload figures */
    op_bound floor = bind_op(f, OP_SILICON, GEMM(1, 2048, "bfloat16", ", \"below_grid_sol\": true"));
    op_result sol = answer(&floor, OP_SILICON, tokens(10));
    assert_true(sol.latency == 9.390833333333333e-06 && sol.source == OP_SRC_sol &&
                sol.cover[OP_FORMULA] == sol.latency);
}

/* Bound for SOL only: tables are out of reach. Bound for tables: SOL is always there. */
static void test_modes(void **state) {
    ops_fixture *f = *state;
    op_bound sol_only = bind_op(f, OP_SOL, GEMM(4096, 4096, "fp8", ""));
    HAS(refusal(&sol_only, OP_SILICON, tokens(1), OP_INVALID).text, "SOL");
    op_bound refused = bind_op(f, OP_SILICON, GEMM(4096, 4096, "int4_wo", ""));
    assert_true(answer(&refused, OP_SOL, tokens(64)).has_sol);
    op_bound b = bind_op(f, OP_SILICON, GEMM(4096, 4096, "fp8", ""));
    HAS(refusal(&b, OP_EMPIRICAL, tokens(64), OP_INVALID).text, "without estimates");
    op_bound estimated = bind_op(f, OP_EMPIRICAL, GEMM(4096, 4096, "fp8", ""));
    HAS(refusal(&estimated, OP_SILICON, tokens(64), OP_INVALID).text, "EMPIRICAL");
    assert_true(answer(&estimated, OP_SOL, tokens(64)).has_sol);
    assert_int_equal(b.reads, OP_READS_X);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_static_stays_above_the_floor),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_token_arithmetic),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_modes),
    };
    return cmocka_run_group_tests_name("gemm", tests, ops_setup, ops_teardown);
}
