/* links: ops. Moe and MoeDispatch: reference samples, speed of light, exchanges, refusals. */
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define MOE(quant, tp, ep, rest)                                                                             \
    "{\"Moe\": {\"name\": \"moe\", \"scale_factor\": 1, \"hidden_size\": 4096, \"inter_size\": 1536, "       \
    "\"topk\": 8, "                                                                                          \
    "\"num_experts\": 128, \"moe_tp_size\": " #tp ", \"moe_ep_size\": " #ep ", \"quant_mode\": \"" quant     \
    "\", "                                                                                                   \
    "\"workload_distribution\": \"power_law_1.2\", \"is_gated\": true" rest "}}"
#define DISPATCH(pre, tp, ep, dp, backend, flavor)                                                           \
    "{\"MoeDispatch\": {\"name\": \"d\", \"scale_factor\": 1, \"hidden_size\": 4096, \"topk\": 8, "          \
    "\"num_experts\": 128, "                                                                                 \
    "\"moe_tp_size\": " #tp ", \"moe_ep_size\": " #ep ", \"attention_dp_size\": " #dp                        \
    ", \"pre_dispatch\": " #pre ", "                                                                         \
    "\"backend\": \"" backend "\", \"flavor\": \"" flavor                                                    \
    "\", \"comm_quant\": \"half\", \"moe_quant\": \"fp8\"}}"

static void test_samples(void **state) {
    check_samples(state, "ops_moe.jsonl.gz", 400, 80);
}

/* All attention ranks' tokens meet in one pool. */
static void test_pool(void **state) {
    ops_fixture *f = *state;
    op_bound one = bind_op(f, OP_SILICON, MOE("fp8_block", 1, 8, "")),
             four = bind_op(f, OP_SILICON, MOE("fp8_block", 1, 8, ", \"attention_dp_size\": 4"));
    assert_true(answer(&one, OP_SILICON, tokens(400)).latency ==
                answer(&four, OP_SILICON, tokens(100)).latency);
    assert_true(answer(&one, OP_SOL, tokens(400)).latency == answer(&four, OP_SOL, tokens(100)).latency);
    answer(&four, OP_SOL, tokens(UINT32_MAX)); /* saturates */
}

/* Two of the three byte terms by hand: 128 experts over 8 ranks, 100 tokens x 8 experts, all 16 local experts
 * active. */
static void test_speed_of_light(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SOL, MOE("fp8_block", 1, 8, ""));
    op_result r = answer(&b, OP_SOL, tokens(100));
    double flops = 800.0 * 4096 * 1536 * 3 * 2 / 8,
           bytes = 100.0 * 4096 * 2 + 100.0 * 1536 * 3 + 4096.0 * 1536 * 3 * 16;
    assert_true(r.sol_math == flops / 1978e12 * 1000.0);
    assert_true(r.sol_mem == bytes / 4.8e12 * 1000.0);
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound tp = bind_op(f, OP_SILICON, MOE("fp8_block", 3, 8, ""));
    HAS(refusal(&tp, OP_SILICON, tokens(10), OP_MISSING).text,
        "no rows with moe_tp_size 3 at moe_dtype=fp8_block");
    op_bound fp4 = bind_op(f, OP_SILICON, MOE("nvfp4", 1, 8, ""));
    refusal(&fp4, OP_SILICON, tokens(10), OP_NO_FLOPS);
    op_bound b = bind_op(f, OP_SILICON, MOE("fp8_block", 1, 8, ""));
    refusal(&b, OP_SILICON, tokens(0), OP_MISSING);
    op_bound huge = bind_op(f, OP_SOL,
                            "{\"Moe\": {\"name\": \"moe\", \"scale_factor\": 1, \"hidden_size\": 4294967295, "
                            "\"inter_size\": 4294967295,"
                            " \"topk\": 4294967295, \"num_experts\": 128, \"moe_tp_size\": 1, "
                            "\"moe_ep_size\": 1, \"quant_mode\": \"fp8\","
                            " \"workload_distribution\": \"balanced\", \"is_gated\": true}}");
    HAS(refusal(&huge, OP_SOL, tokens(1000), OP_INVALID).text, "64 bits");
}

static void test_sglang_rules(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    ops_fixture sglang = *f;
    sglang.view = pdb_view_get(f->db, "h200_sxm", "sglang", "0.5.14", true, true, &err);
    op_bound retired =
        bind_op(&sglang, OP_SILICON, MOE("fp8_block", 1, 8, ", \"moe_backend\": \"deepep_moe\""));
    HAS(refusal(&retired, OP_SILICON, tokens(10), OP_MISSING).text, "retired");
    answer(&retired, OP_SOL, tokens(10));
    op_bound plain = bind_op(&sglang, OP_SILICON, MOE("fp8_block", 1, 8, ""));
    op_bound eplb =
        bind_op(&sglang, OP_SILICON, MOE("fp8_block", 1, 8, ", \"enable_eplb\": true, \"is_context\": true"));
    assert_true(answer(&eplb, OP_SILICON, tokens(1000)).latency ==
                answer(&plain, OP_SILICON, tokens(800)).latency);
}

static double nccl(ops_fixture *f, int gpus, const char *operation, uint32_t x) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"Nccl\": {\"name\": \"n\", \"scale_factor\": 1, \"hidden_size\": 4096, \"num_gpus\": %d, "
             "\"dtype\": \"half\", "
             "\"operation\": \"%s\"}}",
             gpus, operation);
    op_bound b = bind_op(f, OP_SILICON, json);
    return answer(&b, OP_SILICON, tokens(x)).latency;
}

static void test_exchanges(void **state) {
    ops_fixture *f = *state;
    op_bound before = bind_op(f, OP_SILICON, DISPATCH(true, 2, 4, 2, "sglang", "CustomAllReduce"));
    op_bound after = bind_op(f, OP_SILICON, DISPATCH(false, 2, 4, 2, "sglang", "CustomAllReduce"));
    assert_true(answer(&before, OP_SILICON, tokens(100)).latency ==
                nccl(f, 4, "reduce_scatter", 100) + nccl(f, 8, "all_gather", 200));
    assert_true(answer(&after, OP_SILICON, tokens(100)).latency ==
                nccl(f, 8, "reduce_scatter", 200) + nccl(f, 4, "all_gather", 100));
    op_result sol = answer(&before, OP_SOL, tokens(100));
    assert_true(sol.latency > 0 && !sol.has_sol && sol.source == OP_SRC_silicon);
    op_bound none = bind_op(f, OP_SILICON, DISPATCH(true, 1, 1, 1, "vllm", "CustomAllReduce"));
    assert_true(answer(&none, OP_SILICON, tokens(100)).latency == 0);
    op_bound retired = bind_op(f, OP_SILICON, DISPATCH(true, 1, 8, 8, "sglang", "RetiredDeepEp"));
    refusal(&retired, OP_SILICON, tokens(1), OP_INVALID);
    refusal(&retired, OP_SOL, tokens(1), OP_INVALID);
    HAS(refusal(&before, OP_SILICON, tokens(UINT32_MAX), OP_INVALID).text, "4294967295");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_speed_of_light), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sglang_rules),   cmocka_unit_test(test_exchanges),
    };
    return cmocka_run_group_tests_name("moe", tests, ops_setup, ops_teardown);
}
