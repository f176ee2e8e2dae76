/* links: models. From inferred modes to the effective ones, with and without a database. */
#include "models_fixture.h"
#include "parity/golden_models.h"

static pdb *shipped_db(void) {
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *systems[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    pdb *db = pdb_open(dirs, 1, NULL, systems, 1, &err);
    if (!db)
        fail_msg("%s", err.text);
    return db;
}

static void test_reference_answers(void **state) {
    (void)state;
    golden_models g = {.catalogue = shipped(), .db = shipped_db()};
    golden_agrees(&g, TEST_DATA_DIR "/models_modes.jsonl.gz", 300);
    mdl_close(g.catalogue);
    pdb_close(g.db);
}

/* The base rule: given, else inferred, else unquantised; corrections touch only what nobody gave. */
static void test_base_rule(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "Qwen/Qwen3-32B-FP8", &err);
    mdl_request req = {.backend = "trtllm", .par = {1, 1, 1, 0, 0, 1}, .context_role = true};
    mdl_quants q;
    op_refusal why;
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.gemm, PDB_Q_fp8_block);
    assert_int_equal(q.fmha, PDB_Q_fp8);
    assert_int_equal(q.comm, PDB_Q_half);
    req.backend = "vllm";
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.fmha, PDB_Q_bfloat16);
    req.given.fmha = PDB_Q_fp8;
    req.given.gemm = PDB_Q_int4_wo;
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.fmha, PDB_Q_fp8);
    assert_int_equal(q.gemm, PDB_Q_int4_wo);
    mdl_close(c);
}

/* With a database: nvfp4 becomes storage on Hopper, also when given; without one it stays. */
static void test_nvfp4_on_hopper(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    pdb *db = shipped_db();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "nvidia/Qwen3-235B-A22B-NVFP4", &err);
    mdl_request req = {.backend = "trtllm", .par = {1, 1, 1, 0, 0, 1}};
    mdl_quants q;
    op_refusal why;
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.gemm, PDB_Q_nvfp4);
    req.view = pdb_view_get(db, "h200_sxm", "trtllm", NULL, true, false, &err);
    assert_non_null(req.view);
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.gemm, PDB_Q_nvfp4_wo);
    assert_int_equal(q.moe, PDB_Q_nvfp4_wo);
    req.given.gemm = PDB_Q_nvfp4;
    req.given.moe = PDB_Q_fp8;
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.gemm, PDB_Q_nvfp4_wo);
    assert_int_equal(q.moe, PDB_Q_fp8);
    mdl_close(c);
    pdb_close(db);
}

/* FP8 attention math without measured FP8 attention: an inferred one gives way, a given one is refused, and a
 * worker that never runs prefill does not care. */
static void test_fmha_needs_data(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    pdb *db = shipped_db();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "deepseek-ai/DeepSeek-V3", &err);
    mdl_request req = {.backend = "sglang", .par = {1, 1, 1, 0, 0, 1}, .context_role = true};
    mdl_quants q;
    op_refusal why;
    req.view = pdb_view_get(db, "h200_sxm", "sglang", NULL, true, false, &err);
    assert_non_null(req.view);
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.fmha, PDB_Q_bfloat16);
    req.given.fmha = PDB_Q_fp8;
    assert_false(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(why.cls, OP_MISSING);
    assert_non_null(strstr(why.text, "fp8 math was measured on h200_sxm, sglang"));
    req.context_role = false;
    assert_true(mdl_resolve_quants(m, &req, &q, &why));
    assert_int_equal(q.fmha, PDB_Q_fp8);
    mdl_close(c);
    pdb_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_answers),
        cmocka_unit_test(test_base_rule),
        cmocka_unit_test(test_nvfp4_on_hopper),
        cmocka_unit_test(test_fmha_needs_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
