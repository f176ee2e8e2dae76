/* links: ops. Context and generation attention: reference samples, context parallelism, evidence, refusals.
 */
#include "fan_cases.h"
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define CONTEXT(rest)                                                                                        \
    "{\"ContextAttention\": {\"name\": \"context_attention\", \"scale_factor\": 1, \"n\": 32, "              \
    "\"window_size\": 0, "                                                                                   \
    "\"fmha_quant_mode\": \"bfloat16\", \"use_qk_norm\": false, " rest "}}"
#define DECODE(rest)                                                                                         \
    "{\"GenerationAttention\": {\"name\": \"generation_attention\", \"scale_factor\": 1, \"n\": 32, "        \
    "\"window_size\": 0, " rest "}}"
#define GQA "\"n_kv\": 8, \"head_size\": 128, \"kv_cache_dtype\": \"fp8\""

static op_shape prefill(uint32_t batch, uint32_t s, uint32_t prefix) {
    return (op_shape){.batch = batch, .s = s, .prefix = prefix, .x = batch * s, .imbalance = 1.0};
}

static op_shape decode(uint32_t batch, uint32_t s) {
    return (op_shape){.batch = batch, .s = s, .x = batch, .imbalance = 1.0};
}

static void test_samples(void **state) {
    check_samples(state, "ops_attention.jsonl.gz", 500, 120);
}

/* A prefill behind a prefix costs its share of the full one, the small kernels aside. */
static void test_prefix(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, CONTEXT(GQA));
    double extras = answer(&b, OP_SILICON, prefill(1, 0, 4096)).latency;
    double full = answer(&b, OP_SILICON, prefill(1, 4096, 0)).latency,
           half = answer(&b, OP_SILICON, prefill(1, 2048, 2048)).latency;
    assert_true(extras > 0.0 && extras < 0.05);
    assert_true(fabs((half - extras) / (full - extras) - 0.75) < 1e-9);
    op_result r = answer(&b, OP_SILICON, prefill(1, 4096, 0));
    assert_int_equal(r.source, OP_SRC_mixed);
    assert_true(fabs(r.cover[OP_FORMULA] - extras) < 1e-12 &&
                fabs(cover_sum(&r) - r.latency) < 1e-12 * r.latency);
}

static void test_context_parallel(void **state) {
    ops_fixture *f = *state;
    op_bound whole = bind_op(f, OP_SILICON, CONTEXT(GQA)),
             split = bind_op(f, OP_SILICON, CONTEXT(GQA ", \"cp_size\": 4"));
    double extras = answer(&whole, OP_SILICON, prefill(1, 0, 8192)).latency;
    double first = answer(&whole, OP_SILICON, prefill(1, 1024, 0)).latency - extras;
    double last = answer(&whole, OP_SILICON, prefill(1, 1024, 7168)).latency - extras;
    assert_true(fabs(answer(&split, OP_SILICON, prefill(1, 8192, 0)).latency - (first + last + extras)) <
                1e-9);
    HAS(refusal(&split, OP_SILICON, prefill(1, 0, 0), OP_INVALID).text, "at least one new token");
    HAS(refusal(&split, OP_SILICON, prefill(1, UINT32_MAX, UINT32_MAX), OP_INVALID).text,
        "4294967295 tokens");
}

static void test_imbalance(void **state) {
    ops_fixture *f = *state;
    op_bound c = bind_op(f, OP_SILICON, CONTEXT(GQA)), g = bind_op(f, OP_SILICON, DECODE(GQA));
    op_shape even = prefill(2, 1000, 0), odd = even, step = decode(8, 3000), odd_step = step;
    odd.imbalance = odd_step.imbalance = 1.5;
    assert_true(answer(&c, OP_SILICON, odd).latency == answer(&c, OP_SILICON, even).latency * 1.5);
    assert_true(answer(&g, OP_SILICON, odd_step).latency == answer(&g, OP_SILICON, step).latency * 1.5);
}

static void test_decode(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, DECODE(GQA));
    assert_int_equal(b.reads, OP_READS_BATCH | OP_READS_S);
    double before = 0;
    for (uint32_t s = 256; s < 200000; s *= 2) {
        op_result r = answer(&b, OP_SILICON, decode(16, s));
        assert_true(r.latency > before && r.latency >= answer(&b, OP_SOL, decode(16, s / 2)).latency);
        assert_true(fabs(cover_sum(&r) - r.latency) < 1e-12 * r.latency);
        before = r.latency;
    }
    assert_true(answer(&b, OP_SILICON, decode(16, 10000000)).cover[OP_EXTRAPOLATED] > 0);
    answer(&b, OP_SILICON, decode(1, 1));
    op_result none = answer(&b, OP_SOL, decode(1, 0));
    assert_true(none.latency >= 0 && none.sol_mem >= 0);
}

static void test_fan(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, DECODE(GQA)), hybrid = bind_op(f, OP_HYBRID, DECODE(GQA));
    assert_true(fan_steps_agree(&b, OP_SILICON) > 1000 && fan_steps_agree(&hybrid, OP_HYBRID) > 1000);
    op_bound context = bind_op(f, OP_SILICON, CONTEXT(GQA)), sol = bind_op(f, OP_SOL, DECODE(GQA));
    assert_false(op_has_fan(&context, OP_SILICON) || op_has_fan(&sol, OP_SOL));
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound head =
        bind_op(f, OP_SILICON, CONTEXT("\"n_kv\": 8, \"head_size\": 96, \"kv_cache_dtype\": \"fp8\""));
    HAS(refusal(&head, OP_SILICON, prefill(1, 100, 0), OP_MISSING).text,
        "context_attention_perf of h200_sxm/trtllm/1.3.0rc20 has no rows with head_dim 96 at "
        "attn_dtype=bfloat16, "
        "kv_cache_dtype=fp8, num_key_value_heads=8; measured: ");
    op_bound kv =
        bind_op(f, OP_SILICON, DECODE("\"n_kv\": 8, \"head_size\": 128, \"kv_cache_dtype\": \"int8\""));
    HAS(refusal(&kv, OP_SILICON, decode(1, 100), OP_MISSING).text,
        "no rows with kv_cache_dtype int8; measured: ");
    op_bound b = bind_op(f, OP_SILICON, CONTEXT(GQA));
    HAS(refusal(&b, OP_SILICON, prefill(1, 0, 0), OP_MISSING).text, "32 heads");
}

/* A lane list that names nothing the table has falls through to the table's own lanes. */
static void test_unknown_lanes(void **state) {
    ops_fixture *f = *state;
    op_bound plain = bind_op(f, OP_SILICON, DECODE(GQA)),
             odd = bind_op(f, OP_SILICON, DECODE(GQA ", \"lane_order\": [\"x\"]"));
    assert_true(answer(&plain, OP_SILICON, decode(3, 777)).latency ==
                answer(&odd, OP_SILICON, decode(3, 777)).latency);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),          cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_context_parallel), cmocka_unit_test(test_imbalance),
        cmocka_unit_test(test_decode),           cmocka_unit_test(test_fan),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_unknown_lanes),
    };
    return cmocka_run_group_tests_name("attention", tests, ops_setup, ops_teardown);
}
