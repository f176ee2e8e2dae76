/* links: ops. Mhc: price, parts, estimates, refusals. Samples: test_dsa. */
#include "ops_cases.h"

#define MHC(part, mult, rest)                                                                                \
    "{\"Mhc\": {\"name\": \"m\", \"scale_factor\": 1, \"op\": \"" part "\", \"hc_mult\": " #mult             \
    ", \"hidden_size\": 4096, \"architecture\": \"DeepseekV4ForCausalLM\"" rest "}}"

static void test_speed_of_light(void **state) {
    ops_fixture *f = *state;
    op_bound pre = bind_op(f, OP_SOL, MHC("pre", 4, "")), post = bind_op(f, OP_SOL, MHC("post", 4, "")),
             both = bind_op(f, OP_SOL, MHC("both", 4, ""));
    const double t = 100, wide = 4 * 4096, mixes = 24, weights = 2 * (mixes * wide + mixes + 3) * 2;
    double ops = 2 * (2 * t * wide * mixes + t * wide * 3 + t * 24 * 20 + 2 * t * 4 * 4096);
    op_result x = answer(&pre, OP_SOL, tokens(100)), y = answer(&post, OP_SOL, tokens(100)),
              z = answer(&both, OP_SOL, tokens(100));
    assert_true(x.sol_math == ops / 989e12 * 1000);
    assert_true(x.sol_mem == (weights + 2 * t * wide * 2 * 2 + 2 * t * 24 * 4) / 4.8e12 * 1000);
    assert_true(y.sol_mem == (weights + 2 * t * wide * 2 * 2) / 4.8e12 * 1000);
    assert_true(fabs(z.sol_math - x.sol_math - y.sol_math) < 1e-15);
    assert_true(z.sol_mem < x.sol_mem + y.sol_mem); /* fused: the streams in between stay put */
    op_bound few = bind_op(f, OP_SOL, MHC("pre", 4, ", \"sinkhorn_iters\": 1, \"seq_split\": 3"));
    assert_true(answer(&few, OP_SOL, tokens(300)).sol_mem == x.sol_mem);
    assert_true(answer(&few, OP_SOL, tokens(298)).sol_math < x.sol_math);
}

static void test_parts(void **state) {
    ops_fixture *f = *state;
    op_bound pre = bind_op(f, OP_SILICON, MHC("pre", 4, "")),
             post = bind_op(f, OP_SILICON, MHC("post", 4, "")),
             both = bind_op(f, OP_SILICON, MHC("both", 4, "")),
             split = bind_op(f, OP_SILICON, MHC("both", 4, ", \"seq_split\": 8"));
    op_result z = answer(&both, OP_SILICON, tokens(777));
    assert_true(z.latency == answer(&pre, OP_SILICON, tokens(777)).latency +
                                 answer(&post, OP_SILICON, tokens(777)).latency);
    assert_true(z.source == OP_SRC_silicon && fabs(cover_sum(&z) - z.latency) < 1e-15);
    assert_true(answer(&split, OP_SILICON, tokens(8 * 777 - 3)).latency == z.latency);
}

static void test_estimates(void **state) {
    ops_fixture *f = *state;
    op_bound measured = bind_op(f, OP_SILICON, MHC("both", 4, "")),
             guess = bind_op(f, OP_EMPIRICAL, MHC("both", 4, ""));
    op_result r = answer(&guess, OP_EMPIRICAL, tokens(1024)), m = answer(&measured, OP_SILICON, tokens(1024));
    assert_true(m.cover[OP_MEASURED] == m.latency && fabs(r.latency - m.latency) < 1e-12);
    assert_true(r.source == OP_SRC_empirical && r.tier == OP_TIER_empirical);
    op_bound none = bind_op(f, OP_EMPIRICAL, MHC("both", 3, "")),
             hybrid = bind_op(f, OP_HYBRID, MHC("pre", 3, ""));
    refusal(&none, OP_EMPIRICAL, tokens(10), OP_NO_EMPIRICAL);
    refusal(&hybrid, OP_HYBRID, tokens(10), OP_NO_EMPIRICAL);
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    op_bound b = bind_op(f, OP_SILICON, MHC("pre", 3, ""));
    HAS(refusal(&b, OP_SILICON, tokens(10), OP_MISSING).text,
        "no rows with hc_mult 3 at op_name=pre; measured: 4");
    op_bound fp4 = bind_op(f, OP_SILICON, MHC("pre", 4, ", \"quant_mode\": \"nvfp4\""));
    refusal(&fp4, OP_SILICON, tokens(10), OP_NO_FLOPS);
    refusal(&fp4, OP_SOL, tokens(10), OP_NO_FLOPS);
    assert_null(parse_op(f, MHC("middle", 4, ""), &err));
    HAS(err.text, "one of pre, post, both");
}

static void test_weights(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    assert_true(op_weight_bytes(parse_op(f, MHC("post", 4, ""), &err)) == 2 * (24 * 16384 + 24 + 3) * 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speed_of_light), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_estimates),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests_name("mhc", tests, ops_setup, ops_teardown);
}
