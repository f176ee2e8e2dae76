/* links: ops. Lane orders, their place in op lists, FMHA modes with data. */
#include "ops_cases.h"
#include "parity/golden_ops.h"

static void test_samples(void **state) {
    check_samples(state, "ops_lanes.jsonl.gz", 30, 50);
}

static void test_override_errors(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    op_texts order;
    assert_false(op_lane_order(f->view, true, "fa3", &order, &err));
    HAS(err.text, "not supported on backend trtllm; supported: default");
    const pdb_view *sglang = pdb_view_get(f->db, "h200_sxm", "sglang", "0.5.14", true, true, &err);
    assert_non_null(sglang);
    assert_false(op_lane_order(sglang, true, "trtllm", &order, &err));
    HAS(err.text, "supported: default, fa3, fla, flashinfer, triton, trtllm_mha");
    assert_false(op_lane_order(sglang, true, "trtllm_mha", &order, &err));
    HAS(err.text, "has no context attention measurements on h200_sxm/sglang/0.5.14");
}

/* An op of the list chooses among kernels; the members of a composite keep what they have. */
static void test_set_in_list(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    const pdb_view *sglang = pdb_view_get(f->db, "h200_sxm", "sglang", "0.5.14", true, true, &err);
    op *o = parse_op(
        f,
        "{\"Fallback\": {\"name\": \"f\", \"primary\": {\"GenerationAttention\": {\"name\": \"a\", "
        "\"scale_factor\": 1,"
        " \"n\": 8, \"n_kv\": 8, \"head_size\": 128, \"window_size\": 0, \"kv_cache_dtype\": \"fp8\"}},"
        " \"fallback\": [{\"Overlap\": {\"name\": \"o\", \"group_a\": [{\"ContextAttention\": {\"name\": "
        "\"c\","
        " \"scale_factor\": 1, \"n\": 8, \"n_kv\": 8, \"head_size\": 128, \"window_size\": 0, "
        "\"kv_cache_dtype\": \"fp8\","
        " \"fmha_quant_mode\": \"fp8\", \"use_qk_norm\": true}}], \"group_b\": []}}]}}",
        &err);
    op *direct =
        parse_op(f,
                 "{\"GenerationAttention\": {\"name\": \"a\", \"scale_factor\": 1, \"n\": 8, \"n_kv\": 8, "
                 "\"head_size\": 128, \"window_size\": 0, \"kv_cache_dtype\": \"fp8\"}}",
                 &err);
    assert_true(o && direct);
    op_texts orders[2];
    assert_true(op_lane_orders(sglang, NULL, orders, &err));
    op_set_lanes(o, orders);
    direct = op_with_lanes(direct, orders, f->arena);
    aic_buf out = {0};
    op_to_json(o, &out);
    const char *first = strstr(out.data, "\"lane_order\": [\"default\"]");
    assert_non_null(first);
    HAS(first + 1, "\"lane_order\": [\"default\"]");
    aic_buf_clear(&out);
    op_to_json(direct, &out);
    HAS(out.data, "\"lane_order\": [\"fa3\", \"triton\"");
    aic_buf_free(&out);
}

static void test_fmha_modes(void **state) {
    ops_fixture *f = *state;
    uint64_t any = op_context_fmha_modes(f->view, PDB_Q_UNSET),
             fp8 = op_context_fmha_modes(f->view, PDB_Q_fp8);
    assert_true(any >> PDB_Q_bfloat16 & 1);
    assert_true((fp8 & ~any) == 0 && fp8 != 0);
    assert_int_equal(op_context_fmha_modes(f->view, PDB_Q_int8), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_override_errors),
        cmocka_unit_test(test_set_in_list),
        cmocka_unit_test(test_fmha_modes),
    };
    return cmocka_run_group_tests_name("lanes", tests, ops_setup, ops_teardown);
}
