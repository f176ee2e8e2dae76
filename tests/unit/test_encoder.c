/* links: ops. Encoder attention: no prefix, the rotary embedding beside the table, exact head sizes. */
#include "ops_cases.h"

#define ENCODER(rest)                                                                                        \
    "{\"EncoderAttention\": {\"name\": \"encoder_attention\", \"scale_factor\": 1, \"n\": 16, "              \
    "\"fmha_quant_mode\": \"bfloat16\", " rest "}}"

static op_shape images(uint32_t count, uint32_t patches) {
    return (op_shape){.batch = count, .s = patches, .x = count * patches, .imbalance = 1.0};
}

static void test_rotary(void **state) {
    ops_fixture *f = *state;
    op_bound plain = bind_op(f, OP_SILICON, ENCODER("\"head_size\": 72")),
             rotary = bind_op(f, OP_SILICON, ENCODER("\"head_size\": 72, \"partial_rotary_factor\": 0.5"));
    op_result p = answer(&plain, OP_SILICON, images(3, 1000)),
              r = answer(&rotary, OP_SILICON, images(3, 1000)),
              bytes = op_mem(f->view->system, OP_SILICON, 2.0 * 16 * 72 * 2 * 3 * 1000);
    assert_int_equal(p.source, OP_SRC_silicon);
    assert_int_equal(r.source, OP_SRC_mixed);
    assert_true(r.latency == p.latency + bytes.latency * (0.5 * 2.0) * 1.1);
    assert_true(fabs(r.latency - 0.07601338756748963) < 1e-15);
    assert_true(fabs(cover_sum(&r) - r.latency) < 1e-12 * r.latency && r.cover[OP_FORMULA] > 0.0);
}

static void test_prefix_and_imbalance_are_ignored(void **state) {
    ops_fixture *f = *state;
    static const op_mode modes[] = {OP_SILICON, OP_HYBRID, OP_EMPIRICAL, OP_SOL};
    op_shape odd = images(2, 777);
    odd.prefix = 500;
    odd.imbalance = 2.0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        op_bound b = bind_op(f, modes[i], ENCODER("\"head_size\": 80, \"partial_rotary_factor\": 1"));
        assert_int_equal(b.reads, OP_READS_BATCH | OP_READS_S);
        assert_true(answer(&b, modes[i], odd).latency == answer(&b, modes[i], images(2, 777)).latency);
    }
}

static void test_sol(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SOL, ENCODER("\"head_size\": 64, \"partial_rotary_factor\": 0.5"));
    op_result r = answer(&b, OP_SOL, images(4, 2048)),
              extra = op_mem(f->view->system, OP_SOL, 2.0 * 16 * 64 * 2 * 4 * 2048);
    assert_int_equal(r.source, OP_SRC_sol);
    double math = 2.0 * 4 * 2048 * 2048 * 16 * 64 * 2 / f->view->system->tc_flops[PDB_BFLOAT16] * 1000.0;
    assert_true(r.has_sol && r.sol_math == math && r.latency == math + extra.latency * 1.1);
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound size = bind_op(f, OP_SILICON, ENCODER("\"head_size\": 96")),
             estimate = bind_op(f, OP_EMPIRICAL, ENCODER("\"head_size\": 96"));
    HAS(refusal(&size, OP_SILICON, images(1, 100), OP_MISSING).text, "no rows with head_dim 96");
    HAS(refusal(&estimate, OP_EMPIRICAL, images(1, 100), OP_NO_EMPIRICAL).text, "no rows with head_dim 96");
    op_bound b = bind_op(f, OP_SILICON, ENCODER("\"head_size\": 72"));
    HAS(refusal(&b, OP_SILICON, images(0, 100), OP_MISSING).text, "16 heads");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_prefix_and_imbalance_are_ignored),
        cmocka_unit_test(test_sol),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("encoder", tests, ops_setup, ops_teardown);
}
