/* links: ops. Ops made, set and read from JSON; what is refused and how. */
#include "ops_cases.h"

static void refused(ops_fixture *f, const char *json, const char *part) {
    aic_error err = {0};
    assert_null(parse_op(f, json, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    HAS(err.text, part);
}

/* Written, read and written again: the same text, every field of the kind in it. */
static void test_round_trip(void **state) {
    ops_fixture *f = *state;
    static const char *const ops[] = {
        "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 0.1, \"n\": 4096, \"k\": 5120, \"quant_mode\": "
        "\"fp8_block\"}}",
        "{\"Nccl\": {\"name\": \"n\\\"q\", \"scale_factor\": 1, \"hidden_size\": 1152.5, \"num_gpus\": 8, "
        "\"dtype\": \"half\","
        " \"operation\": \"broadcast\"}}",
        "{\"Moe\": {\"name\": \"m\", \"scale_factor\": 61, \"hidden_size\": 1, \"inter_size\": 2, \"topk\": "
        "3, \"num_experts\": 4,"
        " \"moe_tp_size\": 5, \"moe_ep_size\": 6, \"quant_mode\": \"nvfp4\", \"workload_distribution\": "
        "\"balanced\","
        " \"is_gated\": true, \"moe_backend\": null}}",
        "{\"Fallback\": {\"name\": \"f\", \"primary\": {\"ContextAttention\": {\"name\": \"a\", "
        "\"scale_factor\": 2, \"n\": 8,"
        " \"n_kv\": 1, \"head_size\": 128, \"window_size\": 0, \"kv_cache_dtype\": \"fp8\", "
        "\"fmha_quant_mode\": \"bfloat16\","
        " \"use_qk_norm\": false, \"lane_order\": [\"fa3\", \"default\"]}}, \"fallback\": [{\"Overlap\": "
        "{\"name\": \"o\","
        " \"group_a\": [], \"group_b\": [{\"P2P\": {\"name\": \"p\", \"scale_factor\": 1, \"pp_size\": 2, "
        "\"hidden_size\": 64}}]}}]}}",
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        aic_error err = {0};
        const op *first = parse_op(f, ops[i], &err);
        assert_non_null(first);
        aic_buf once = {0}, twice = {0};
        op_to_json(first, &once);
        const op *second = parse_op(f, once.data, &err);
        assert_non_null(second);
        op_to_json(second, &twice);
        assert_string_equal(once.data, twice.data);
        for (size_t j = 0; j < first->desc->n_fields; j++)
            HAS(once.data, first->desc->fields[j].name);
        aic_buf_free(&once);
        aic_buf_free(&twice);
    }
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    refused(f, "{\"Gem\": {}}", "did you mean \"Gemm\"");
    refused(f, "{\"Gemm\": {}, \"P2P\": {}}", "expected an op");
    refused(f, "{\"Gemm\": []}", "expected an op");
    refused(f, "{\"Gemm\": {\"name\": \"g\", \"n\": 1, \"k\": 1, \"quant_mode\": \"fp8\"}}",
            "\"scale_factor\" is missing");
    refused(f, "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 1, \"n\": 1, \"quant_mode\": \"fp8\"}}",
            "\"k\" is missing");
    refused(f, "{\"Gemm\": {\"scale_factor\": 1, \"n\": 1, \"k\": 1, \"quant_mode\": \"fp8\"}}",
            "\"name\" is missing");
    refused(
        f, "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": -1, \"n\": 1, \"k\": 1, \"quant_mode\": \"fp8\"}}",
        "scale_factor");
    refused(f, "{\"Gemm\": {\"n\": -1}}", "from 0 to 4294967295");
    refused(f, "{\"Gemm\": {\"n\": 4294967296}}", "from 0 to 4294967295");
    refused(f, "{\"Gemm\": {\"n\": 1.5}}", "expected an integer");
    refused(f, "{\"Gemm\": {\"quant_mode\": \"fp9\"}}", "known: bfloat16");
    refused(f, "{\"Gemm\": {\"quant_mode\": \"w4afp8\"}}", "unknown GEMM mode");
    refused(f, "{\"Gemm\": {\"low_precision_input\": 1}}", "true or false");
    refused(f, "{\"Gemm\": {\"low_precision_inputs\": true}}", "did you mean \"low_precision_input\"");
    refused(f, "{\"Gemm\": {\"n\": {}}}", "mapping");
    refused(f, "{\"Nccl\": {\"operation\": null}}", "expected text");
    refused(f, "{\"MoeDispatch\": {\"backend\": \"tgi\"}}", "one of trtllm, sglang, vllm");
    refused(f, "{\"GenerationAttention\": {\"lane_order\": \"fa3\"}}", "list of texts");
    refused(f, "{\"GenerationAttention\": {\"lane_order\": [1]}}", "list of texts");
    refused(f, "{\"Overlap\": {\"name\": \"o\", \"scale_factor\": 2}}", "has no field");
    refused(f, "{\"Overlap\": {\"name\": \"o\", \"group_a\": {}}}", "list of ops");
    refused(f, "{\"Fallback\": {\"name\": \"f\", \"fallback\": []}}", "\"primary\" is missing");
}

static void test_set_members(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    op *o = op_new(f->arena, "Fallback", &err), *gemm = op_new(f->arena, "Gemm", &err);
    op *two[] = {gemm, gemm};
    assert_false(op_set_members(o, "primary", &(op_list){2, two}, &err));
    HAS(err.text, "exactly one op");
    assert_true(op_set_members(o, "primary", &(op_list){1, two}, &err));
    assert_false(op_set_members(gemm, "n", &(op_list){1, two}, &err));
    assert_null(op_new(f->arena, "Sandwich", &err));
    aic_value v = aic_int(7);
    assert_false(op_set(f->arena, o, "fallback", &v, &err));
    HAS(err.text, "expected ops");
}

/* Every kind: descriptor in order, found by name, defaults usable. */
static void test_catalogue(void **state) {
    ops_fixture *f = *state;
    assert_true(op_desc_count() >= 12);
    for (size_t i = 0; i < op_desc_count(); i++) {
        const op_desc *d = op_desc_at(i);
        assert_ptr_equal(op_desc_find(d->kind), d);
        assert_true(d->n_fields <= 64 && strlen(d->summary) > 0 && d->query);
        assert_non_null(op_new(f->arena, d->kind, NULL));
        for (size_t j = 0; d->schemas && d->schemas[j]; j++)
            assert_true(d->schemas[j]->n_cats <= PDB_MAX_CATS && d->schemas[j]->n_axes <= PDB_MAX_AXES);
    }
    assert_null(op_desc_find("gemm"));
}

static void test_logits(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    op *gemm = op_new(f->arena, "Gemm", &err), *p2p = op_new(f->arena, "P2P", &err);
    aic_value name = aic_str("context_logits_gemm");
    assert_true(op_set(f->arena, gemm, "name", &name, &err) && op_set(f->arena, p2p, "name", &name, &err));
    assert_true(op_is_logits(gemm));
    assert_false(op_is_logits(p2p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_set_members), cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_logits),
    };
    return cmocka_run_group_tests_name("op_wire", tests, ops_setup, ops_teardown);
}
