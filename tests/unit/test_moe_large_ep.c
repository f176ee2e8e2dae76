/* links: ops. Large expert parallelism: MoeAllToAll, MoeExpertCompute, Dsv4MegaMoe and the merged tables
 * (docs/model/moe_large_ep.md). */
#include "merged_cases.h"
#include "ops_cases.h"
#include "parity/golden_ops.h"

/* An exchange of 7168 wide tokens, 8 of 256 experts. */
#define A2A(phase, backend, dtype, ep, nodes, sms, tp)                                                       \
    "{\"MoeAllToAll\": {\"name\": \"a\", \"scale_factor\": 2, \"phase\": \"" phase                           \
    "\", \"comm_backend\": \"" backend "\", \"comm_dtype\": \"" dtype                                        \
    "\", \"hidden_size\": 7168, \"topk\": 8, \"num_experts\": 256, \"moe_ep_size\": " #ep                    \
    ", \"node_num\": " #nodes ", \"sms\": " #sms ", \"attention_tp_size\": " #tp "}}"
#define EXPERTS(quant, distribution, phase, ep, more)                                                        \
    "{\"MoeExpertCompute\": {\"name\": \"e\", \"scale_factor\": 1, \"hidden_size\": 7168, "                  \
    "\"inter_size\": 2048, \"topk\": 8, \"num_experts\": 256, \"moe_ep_size\": " #ep                         \
    ", \"quant_mode\": \"" quant "\", \"workload_distribution\": \"" distribution                            \
    "\", \"attention_dp_size\": 2, \"inference_phase\": \"" phase "\"" more "}}"
#define MEGAMOE                                                                                              \
    "{\"Dsv4MegaMoe\": {\"name\": \"m\", \"scale_factor\": 3, \"hidden_size\": 7168, \"inter_size\": 3072, " \
    "\"topk\": 6, \"num_experts\": 384, \"moe_tp_size\": 1, \"moe_ep_size\": 8, "                            \
    "\"quant_mode\": \"w4a8_mxfp4_mxfp8\", \"workload_distribution\": \"uniform\", \"is_context\": true, "   \
    "\"source_policy\": \"random\", \"pre_dispatch\": \"sglang_jit\", \"num_fused_shared_experts\": 0, "     \
    "\"kernel_source\": \"deepgemm_megamoe\", \"kernel_dtype\": \"fp8_fp4\"}}"

static ops_fixture on(const ops_fixture *f, const char *backend, const char *version) {
    ops_fixture other = *f;
    aic_error err = {0};
    other.view = pdb_view_get(f->db, "h200_sxm", backend, version, true, true, &err);
    assert_non_null(other.view);
    return other;
}

static void test_samples(void **state) {
    check_samples(state, "ops_moe_ep.jsonl.gz", 360, 330);
}

static void test_reference_tables(void **state) {
    ops_fixture *f = *state;
    perfdb_cases t = {.arena = f->arena,
                      .db = f->db,
                      .more = op_tables,
                      .n_more = OP_COUNT(op_tables),
                      .load = load_op_table};
    assert_true(json_lines(f->arena, TEST_DATA_DIR "/ops_moe_ep.jsonl.gz", perfdb_case, &t) > 0);
    assert_true(t.tables.asked >= 5 && t.rows.asked >= 40);
    assert_int_equal(t.tables.wrong + t.rows.wrong, 0);
}

static void test_validation(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    assert_null(parse_op(f, A2A("prepare", "deepep_ll", "default", 8, 1, 0, 1), &err));
    HAS(err.text, "deepep_ll has no phase prepare");
    assert_null(parse_op(f, A2A("dispatch", "carrier_pigeon", "default", 8, 1, 0, 1), &err));
    HAS(err.text, "deepep_ht, deepep_ll");
    assert_null(parse_op(f, A2A("digest", "deepep_ll", "default", 8, 1, 0, 1), &err));
    HAS(err.text, "prepare, dispatch, combine");
    assert_null(parse_op(f, EXPERTS("fp8", "uniform", "encode", 8, ""), &err));
    HAS(err.text, "context, generation");
    op *o = parse_op(f, EXPERTS("fp8", "uniform", "context", 8, ""), &err);
    aic_buf out = {0};
    op_to_json(o, &out);
    HAS(out.data, "\"num_slots\": null");
    HAS(out.data, "\"is_gated\": true");
    aic_buf_free(&out);
}

/* Measured or not answered; a miss is final in HYBRID. */
static void test_modes(void **state) {
    ops_fixture sglang = on(*state, "sglang", "0.5.14");
    const char *missing = A2A("dispatch", "deepep_ll", "fp4", 8, 1, 0, 1),
               *elsewhere = A2A("dispatch", "deepep_v2_context", "default", 8, 1, 0, 1),
               *experts = EXPERTS("nvfp4", "uniform", "context", 8, "");
    op_bound b = bind_op(&sglang, OP_SILICON, missing);
    answer(&b, OP_SILICON, tokens(16)); /* "default" serves where it is the only type */
    b = bind_op(&sglang, OP_SILICON, elsewhere);
    HAS(refusal(&b, OP_SILICON, tokens(16), OP_MISSING).text, "no rows of comm_backend deepep_v2_context");
    b = bind_op(&sglang, OP_HYBRID, elsewhere);
    refusal(&b, OP_HYBRID, tokens(16), OP_NO_EMPIRICAL);
    b = bind_op(&sglang, OP_EMPIRICAL, missing);
    refusal(&b, OP_EMPIRICAL, tokens(16), OP_NO_EMPIRICAL);
    b = bind_op(&sglang, OP_SOL, missing);
    HAS(refusal(&b, OP_SOL, tokens(16), OP_NO_EMPIRICAL).text, "mode SOL");
    b = bind_op(&sglang, OP_SILICON, experts);
    HAS(refusal(&b, OP_SILICON, tokens(16), OP_MISSING).text, "no rows with moe_dtype nvfp4");
    b = bind_op(&sglang, OP_HYBRID, experts);
    refusal(&b, OP_HYBRID, tokens(16), OP_NO_EMPIRICAL);
    b = bind_op(&sglang, OP_SOL, experts);
    refusal(&b, OP_SOL, tokens(16), OP_NO_EMPIRICAL);
    b = bind_op(&sglang, OP_SILICON, MEGAMOE);
    HAS(refusal(&b, OP_SILICON, tokens(16), OP_INVALID).text, "Blackwell");
    refusal(&b, OP_SOL, tokens(16), OP_INVALID);
}

/* Tokens are divided over the attention's ranks, rounded down; none is nothing to price. */
static void test_tokens(void **state) {
    ops_fixture vllm = on(*state, "vllm", "0.24.0");
    op_bound one = bind_op(&vllm, OP_SILICON, A2A("dispatch", "deepep_ll", "default", 8, 1, 0, 1)),
             four = bind_op(&vllm, OP_SILICON, A2A("dispatch", "deepep_ll", "default", 8, 1, 0, 4)),
             any = bind_op(&vllm, OP_SILICON, A2A("dispatch", "deepep_ll", "default", 8, 1, 0, 0));
    assert_true(answer(&one, OP_SILICON, tokens(16)).latency ==
                answer(&four, OP_SILICON, tokens(67)).latency);
    assert_true(answer(&one, OP_SILICON, tokens(5)).latency == answer(&any, OP_SILICON, tokens(5)).latency);
    HAS(refusal(&four, OP_SILICON, tokens(3), OP_MISSING).text, "token count");
    op_result far = answer(&one, OP_SILICON, tokens(1u << 20));
    assert_true(far.cover[OP_EXTRAPOLATED] == far.latency && far.energy == 0);
}

static void test_substitution(void **state) {
    ops_fixture sglang = on(*state, "sglang", "0.5.14"), vllm = on(*state, "vllm", "0.24.0");
    op_bound own = bind_op(&sglang, OP_SILICON, A2A("combine", "deepep_ll", "default", 16, 2, 0, 1)),
             one = bind_op(&sglang, OP_SILICON, A2A("combine", "deepep_ll", "default", 8, 1, 0, 1)),
             far = bind_op(&sglang, OP_SILICON, A2A("combine", "deepep_ll", "default", 24, 3, 0, 1));
    assert_null(own.substitutions);
    assert_null(one.substitutions);
    const op_substitution *s = far.substitutions;
    assert_non_null(s);
    assert_string_equal(s->comm_backend, "deepep_ll");
    assert_true(s->ep == 24 && s->nodes == 3 && s->measured_ep == 8 && s->measured_nodes == 1 && !s->next);
    op_result r = answer(&far, OP_SILICON, tokens(64)), near = answer(&one, OP_SILICON, tokens(64));
    assert_true(r.latency == near.latency && near.source == OP_SRC_silicon);
    assert_true(r.source == OP_SRC_estimated && r.cover[OP_EXTRAPOLATED] == r.latency);
    /* What is not answered has no record. */
    op_bound none = bind_op(&vllm, OP_SILICON, A2A("combine", "deepep_v2_context", "default", 24, 3, 0, 1));
    assert_null(none.substitutions);
    refusal(&none, OP_SILICON, tokens(64), OP_MISSING);
    /* An overlap carries the records of its members. */
    op_bound overlap = bind_op(
        &sglang, OP_SILICON,
        "{\"Overlap\": {\"name\": \"o\", \"group_a\": [" A2A(
            "dispatch", "deepep_ll", "default", 24, 3, 0,
            1) ", " A2A("combine", "deepep_ll", "default", 8, 1, 0,
                        1) "], \"group_b\": [" A2A("combine", "deepep_ht", "default", 32, 5, 20, 1) "]}}");
    s = overlap.substitutions;
    assert_true(s && s->next && !s->next->next);
    assert_true(s->ep == 32 && s->next->ep == 24);
    op_bound fallback =
        bind_op(&sglang, OP_SILICON,
                "{\"Fallback\": {\"name\": \"f\", \"primary\": " A2A(
                    "combine", "deepep_ll", "default", 8, 1, 0,
                    1) ", \"fallback\": [" A2A("dispatch", "deepep_ll", "default", 24, 3, 0, 1) "]}}");
    assert_null(fallback.substitutions);
}

/* Where the merged table has no answer, TRT-LLM and vLLM take Moe's, at the same tokens. */
static void test_general_experts(void **state) {
    ops_fixture vllm = on(*state, "vllm", "0.24.0"), sglang = on(*state, "sglang", "0.5.14");
    op_bound experts = bind_op(&vllm, OP_SILICON, EXPERTS("fp8_block", "power_law_1.2", "generation", 8, ""));
    op_bound moe = bind_op(
        &vllm, OP_SILICON,
        "{\"Moe\": {\"name\": \"e\", \"scale_factor\": 1, \"hidden_size\": 7168, \"inter_size\": 2048, "
        "\"topk\": 8, \"num_experts\": 256, \"moe_tp_size\": 1, \"moe_ep_size\": 8, \"quant_mode\": "
        "\"fp8_block\", \"workload_distribution\": \"power_law_1.2\", \"is_gated\": true, "
        "\"attention_dp_size\": 2}}");
    assert_true(answer(&experts, OP_SILICON, tokens(100)).latency ==
                answer(&moe, OP_SILICON, tokens(100)).latency);
    /* The balancing of deepep_moe applies there too. */
    op_bound balanced = bind_op(
        &vllm, OP_SILICON, EXPERTS("fp8_block", "power_law_1.2", "context", 8, ", \"enable_eplb\": true"));
    assert_true(answer(&balanced, OP_SILICON, tokens(100)).latency ==
                answer(&moe, OP_SILICON, tokens(80)).latency);
    experts = bind_op(&vllm, OP_HYBRID, EXPERTS("fp8_block", "power_law_1.2", "generation", 3, ""));
    HAS(refusal(&experts, OP_HYBRID, tokens(100), OP_MISSING).text, "(Moe)");
    experts = bind_op(&sglang, OP_HYBRID, EXPERTS("fp8_block", "power_law_1.2", "generation", 3, ""));
    HAS(refusal(&experts, OP_HYBRID, tokens(100), OP_NO_EMPIRICAL).text, "moe_ep_size 3");
    /* Slots are a key of the table, weights go by experts. */
    aic_error err = {0};
    op *o = parse_op(&sglang, EXPERTS("fp8_block", "uniform", "context", 8, ", \"num_slots\": 288"), &err);
    assert_true(op_weight_bytes(o) == 7168.0 * 2048 * 256 * 3 / 8);
}

static void test_coverage(void **state) {
    ops_fixture *trtllm = *state, sglang = on(trtllm, "sglang", "0.5.14"),
                vllm = on(trtllm, "vllm", "0.24.0");
    op_a2a_need need = {"deepep_ll", "default", "default", 7168, 8, 256, 16, 2};
    assert_true(op_a2a_covers(sglang.view, &need));
    need.ep = 24, need.nodes = 3;
    assert_true(op_a2a_covers(sglang.view, &need)); /* one node stands in */
    need.combine_dtype = "fp4";
    assert_false(op_a2a_covers(sglang.view, &need)); /* the exact type of both phases */
    need = (op_a2a_need){"deepep_ll", "default", "default", 7168, 8, 256, 4, 1};
    assert_false(op_a2a_covers(sglang.view, &need));
    need = (op_a2a_need){"trtllm_deepep_ll", "fp8", "fp8", 7168, 8, 256, 16, 2};
    assert_true(op_a2a_covers(trtllm->view, &need));
    need.comm_backend = "carrier_pigeon";
    assert_false(op_a2a_covers(trtllm->view, &need));
    op_expert_need experts = {PDB_Q_fp8_block, true, 7168, 2048, 8, 256, 16};
    assert_true(op_expert_covers(sglang.view, &experts));
    assert_true(op_expert_covers(vllm.view, &experts)); /* by moe_perf */
    experts.quant = PDB_Q_nvfp4;
    assert_false(op_expert_covers(sglang.view, &experts));
    experts.ep = 3;
    assert_false(op_expert_covers(trtllm->view, &experts));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),         cmocka_unit_test(test_reference_tables),
        cmocka_unit_test(test_validation),      cmocka_unit_test(test_modes),
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_substitution),
        cmocka_unit_test(test_general_experts), cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests_name("moe_large_ep", tests, ops_setup, ops_teardown);
}
