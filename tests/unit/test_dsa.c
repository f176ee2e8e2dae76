/* links: ops. DsaContext, DsaGeneration, MsaContext, MsaGeneration: samples, price, rows, layers, ranks. */
#include "parity/golden_ops.h"
#include "sparse_cases.h"

#define GLM "GlmMoeDsaForCausalLM"
#define V32 "DeepseekV32ForCausalLM"
#define DSA(kind, heads, kv, architecture, rest)                                                             \
    "{\"" kind "\": {\"name\": \"a\", \"scale_factor\": 1, \"num_heads\": " #heads                           \
    ", \"kv_cache_dtype\": \"" kv "\", \"fmha_quant_mode\": \"bfloat16\", \"gemm_quant_mode\": "             \
    "\"bfloat16\", \"architecture\": \"" architecture "\", \"index_topk\": 2048" rest "}}"
#define MSA(kind, rest)                                                                                      \
    "{\"" kind "\": {\"name\": \"a\", \"scale_factor\": 1, \"num_heads\": 16, \"num_kv_heads\": 1, "         \
    "\"hidden_size\": 6144, \"head_dim\": 128, \"v_head_dim\": 128, \"index_n_heads\": 4, "                  \
    "\"index_head_dim\": 128, \"index_topk\": 2048, \"block_size\": 128, \"kv_cache_dtype\": \"bfloat16\", " \
    "\"fmha_quant_mode\": \"bfloat16\", \"gemm_quant_mode\": \"bfloat16\", \"dsa_architecture\": \"" GLM     \
    "\", \"dsa_scale_k\": 1.25" rest "}}"

/* Also those of Dsv4Context, Dsv4Generation and Mhc. */
static void test_samples(void **state) {
    check_samples(state, "ops_sparse.jsonl.gz", 1000, 250);
}

/* ---- price --------------------------------------------------------------------------------------------- */

static void test_speed_of_light(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SOL, DSA("DsaGeneration", 16, "fp8", V32, ""));
    op_result r = answer(&b, OP_SOL, request(4, 5000, 0));
    double latents = 1536 + 512 + 64 + 128;
    double gemm = 2.0 * 4 *
                  (7168 * latents + 1536 * (16 * 192.0) + 1536 * (64 * 128.0) + 7168 * 64.0 +
                   16 * 128.0 * 7168 + 16 * 128.0 * 512 + 16 * 512.0 * 128);
    double index = 2.0 * 4 * 64 * 128 * 5000, attention = 2.0 * 4 * 16 * (576 + 512) * 2048.0;
    double weights =
        2 * (7168 * latents + 1536 * 16 * 192.0 + 1536 * 64 * 128.0 + 7168 * 64.0 + 16 * 128.0 * 7168);
    assert_true(r.sol_math == (gemm / 989e12 + index / 1978e12 + attention / 989e12) * 1000);
    assert_true(r.sol_mem == (weights + 4 * 5000 * 132.0 + 4 * 2048 * 576.0) / 4.8e12 * 1000);
    assert_true(r.source == OP_SRC_sol && r.has_sol);
    op_bound unknown = bind_op(f, OP_SOL, DSA("DsaGeneration", 16, "fp8", "Somebody", ""));
    assert_true(answer(&unknown, OP_SOL, request(4, 5000, 0)).latency == r.latency);
}

/* Prompts no longer than the selection need no index; beyond it every token sees the selection only. */
static void test_prefill_price(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SOL, DSA("DsaContext", 16, "fp8", V32, "")),
             skip = bind_op(f, OP_SOL, DSA("DsaContext", 16, "fp8", V32, ", \"full_frac\": 0"));
    assert_true(answer(&b, OP_SOL, request(2, 1024, 1024)).sol_math ==
                answer(&skip, OP_SOL, request(2, 1024, 1024)).sol_math);
    double with = answer(&b, OP_SOL, request(2, 1024, 1025)).sol_math,
           without = answer(&skip, OP_SOL, request(2, 1024, 1025)).sol_math;
    assert_true(fabs(with - without - 2.0 * 2048 * 64 * 128 * 2049 / 1978e12 * 1000) < 1e-12);
    op_result near = answer(&skip, OP_SOL, request(1, 100, 4000)),
              far = answer(&skip, OP_SOL, request(1, 100, 400000));
    assert_true(near.sol_math == far.sol_math && near.sol_mem == far.sol_mem);
}

static void test_refused_flops(void **state) {
    ops_fixture *f = *state;
    static const char *const op =
        "{\"DsaContext\": {\"name\": \"a\", \"scale_factor\": 1, \"num_heads\": 16, "
        "\"kv_cache_dtype\": \"fp8\", \"fmha_quant_mode\": \"bfloat16\", "
        "\"gemm_quant_mode\": \"nvfp4\", \"architecture\": \"" V32 "\", \"index_topk\": 2048}}";
    for (op_mode m = 0; m < OP_MODE_COUNT; m++) {
        op_bound b = bind_op(f, m, op);
        HAS(refusal(&b, m, request(1, 100, 0), OP_NO_FLOPS).text, "fp4_tc_flops");
    }
}

/* ---- layers with and without an index ------------------------------------------------------------------ */

static void test_shared_index(void **state) {
    ops_fixture sglang = view_of(*state, "sglang", "0.5.14");
    op_bound full = bind_op(&sglang, OP_SILICON, DSA("DsaContext", 64, "bfloat16", GLM, "")),
             part = bind_op(&sglang, OP_SILICON,
                            DSA("DsaContext", 64, "bfloat16", GLM, ", \"full_frac\": 0.25")),
             none =
                 bind_op(&sglang, OP_SILICON, DSA("DsaContext", 64, "bfloat16", GLM, ", \"full_frac\": 0"));
    op_shape at = request(2, 700, 9000);
    op_result r = answer(&part, OP_SILICON, at);
    assert_true(r.latency ==
                0.25 * answer(&full, OP_SILICON, at).latency + 0.75 * answer(&none, OP_SILICON, at).latency);
    assert_true(r.source == OP_SRC_silicon && fabs(cover_sum(&r) - r.latency) < 1e-12 * r.latency);
    ops_fixture *f = *state; /* TRT-LLM's file has no rows without index: all layers count in full */
    op_bound all = bind_op(f, OP_SILICON, DSA("DsaContext", 64, "bfloat16", V32, "")),
             same = bind_op(f, OP_SILICON, DSA("DsaContext", 64, "bfloat16", V32, ", \"full_frac\": 0.25"));
    assert_true(answer(&all, OP_SILICON, at).latency == answer(&same, OP_SILICON, at).latency);
    op_bound v32 = bind_op(&sglang, OP_SILICON,
                           "{\"DsaContext\": {\"name\": \"a\", \"scale_factor\": 1, \"num_heads\": 64, "
                           "\"kv_cache_dtype\": \"fp8\", \"fmha_quant_mode\": \"bfloat16\", "
                           "\"gemm_quant_mode\": \"fp8_block\", \"architecture\": \"" V32
                           "\", \"index_topk\": 2048, \"full_frac\": 0.5}}");
    HAS(refusal(&v32, OP_SILICON, at, OP_MISSING).text, "at skip_indexer=1; measured: " GLM);
}

/* Which kernel's rows an op reads, and which of two rows of one coordinate. */
static void test_rows(void **state) {
    (void)state;
    static const module_table t = {
        .name = "dsa_context_module_perf",
        .architecture = V32,
        .n = 6,
        .rows = {
            {.kernel = "sglang_dsa_indexer_trtllm", .heads = 8, .batch = 1, .isl = 10, .ms = 7, .watts = 9},
            {.kernel = "sglang_dsa_indexer_flashmla_sparse", .heads = 8, .batch = 1, .isl = 10, .ms = 2},
            {.kernel = "sglang_dsa_dense_mha_trtllm_ragged", .heads = 8, .batch = 1, .isl = 5, .ms = 3},
            {.kernel = "sglang_dsa_indexer_trtllm", .heads = 8, .batch = 1, .isl = 10, .ms = 1, .watts = 100},
            {.op_name = "dsa_skip_indexer_context",
             .kernel = "sglang_dsa_skip_indexer_trtllm",
             .heads = 8,
             .batch = 1,
             .isl = 10,
             .ms = 0.5,
             .watts = 10},
            {.kv = "bfloat16", .kernel = "other", .heads = 8, .batch = 1, .isl = 10, .ms = 4}}};
    sparse_box x;
    open_box(&x, &t, 1);
    op_bound fp8 = bind_op(&x.f, OP_SILICON, DSA("DsaContext", 8, "fp8", V32, "")),
             bf16 = bind_op(&x.f, OP_SILICON, DSA("DsaContext", 8, "bfloat16", V32, "")),
             part = bind_op(&x.f, OP_SILICON, DSA("DsaContext", 8, "fp8", V32, ", \"full_frac\": 0.5"));
    op_shape at = request(1, 10, 0);
    assert_true(answer(&fp8, OP_SILICON, at).latency == 1 && answer(&fp8, OP_SILICON, at).energy == 100);
    assert_true(answer(&fp8, OP_SILICON, request(1, 5, 0)).latency == 3);
    assert_true(answer(&bf16, OP_SILICON, at).latency == 4);
    op_result r = answer(&part, OP_SILICON, at);
    assert_true(r.latency == 0.75 && r.energy == 52.5 && r.cover[OP_MEASURED] == 0.75);
    op_bound guess = bind_op(&x.f, OP_EMPIRICAL, DSA("DsaContext", 8, "fp8", V32, ""));
    r = answer(&guess, OP_EMPIRICAL, at);
    assert_true(fabs(r.latency - 1) < 1e-12 && r.tier == OP_TIER_empirical &&
                r.cover[OP_FORMULA] == r.latency);
    close_box(&x);
}

/* ---- context parallelism
 * ----------------------------------------------------------------------------------- */

static void test_parallel(void **state) {
    ops_fixture sglang = view_of(*state, "sglang", "0.5.14");
    op_bound two = bind_op(&sglang, OP_SILICON, DSA("DsaContext", 64, "bfloat16", GLM, ", \"cp_size\": 2")),
             part = bind_op(&sglang, OP_SILICON,
                            DSA("DsaContext", 64, "bfloat16", GLM, ", \"cp_size\": 2, \"full_frac\": 0")),
             skip =
                 bind_op(&sglang, OP_SILICON, DSA("DsaContext", 64, "bfloat16", GLM, ", \"full_frac\": 0"));
    op_result r = answer(&two, OP_SILICON, request(1, 8000, 0));
    assert_true(r.latency > 0 && r.source == OP_SRC_estimated && r.energy == 0 && !r.has_sol);
    assert_true(cover_sum(&r) == r.latency);
    /* Without an index: the module on half of the tokens, and the latent cache handed around. */
    double base = answer(&skip, OP_SILICON, request(1, 4000, 0)).latency;
    assert_true(answer(&part, OP_SILICON, request(1, 8000, 0)).latency ==
                base + all_gather(&sglang, OP_SILICON, 2, 8000.0 * 576));
    for (op_mode m = 0; m < OP_MODE_COUNT; m++) {
        op_bound v32 = bind_op(&sglang, m, DSA("DsaContext", 64, "bfloat16", V32, ", \"cp_size\": 2")),
                 few = bind_op(&sglang, m, DSA("DsaContext", 32, "bfloat16", GLM, ", \"cp_size\": 2")),
                 long_prompt =
                     bind_op(&sglang, m, DSA("DsaContext", 64, "bfloat16", GLM, ", \"cp_size\": 2"));
        HAS(refusal(&v32, m, request(1, 100, 0), OP_MISSING).text, "dsv32_mqa_logits_module_perf");
        HAS(refusal(&few, m, request(1, 100, 0), OP_MISSING).text, "num_heads 32");
        HAS(refusal(&long_prompt, m, request(1, 100000, 0), OP_MISSING).text, "new tokens");
    }
}

/* ---- modes of the projections
 * --------------------------------------------------------------------------------- */

static void refused(ops_fixture *f, const char *json, const char *part) {
    aic_error err = {0};
    assert_null(parse_op(f, json, &err));
    HAS(err.text, part);
}

static void test_projection_modes(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    op *same =
        parse_op(f, DSA("DsaContext", 16, "fp8", GLM, ", \"attn_projection_quant_modes\": null"), &err);
    op *mixed = parse_op(f,
                         DSA("DsaContext", 16, "fp8", GLM,
                             ", \"attn_projection_quant_modes\": {\"o\": \"nvfp4\", \"q\": \"fp8\", \"kv\": "
                             "\"bfloat16\", \"indexer\": \"int4_wo\"}"),
                         &err);
    double q = 6144 * 2048 + 2048.0 * 16 * 256, kv = 6144 * 576 + 512.0 * 16 * 448, o = 16 * 256.0 * 6144,
           indexer = 2048 * 128 * 32 + 6144 * 32;
    assert_true(op_weight_bytes(same) == 2 * (q + kv + o + indexer));
    assert_true(op_weight_bytes(mixed) == q + 2 * kv + 0.5625 * o + 0.5 * indexer);
    aic_buf text = {0};
    op_to_json(mixed, &text);
    HAS(text.data,
        "\"attn_projection_quant_modes\": {\"q\": \"fp8\", \"kv\": \"bfloat16\", \"o\": \"nvfp4\", "
        "\"indexer\": \"int4_wo\"}");
    assert_true(op_weight_bytes(parse_op(f, text.data, &err)) == op_weight_bytes(mixed));
    text.len = 0;
    op_to_json(same, &text);
    HAS(text.data, "\"attn_projection_quant_modes\": null");
    aic_buf_free(&text);
    refused(f, "{\"DsaContext\": {\"attn_projection_quant_modes\": {\"q\": \"fp8\"}}}", "\"kv\" is missing");
    refused(f,
            "{\"DsaContext\": {\"attn_projection_quant_modes\": {\"q\": \"fp8\", \"kv\": \"fp8\", \"o\": "
            "\"fp8\", \"indexer\": \"fp8\", \"x\": \"fp8\"}}}",
            "expected 4 modes, found 5");
    refused(f, "{\"DsaContext\": {\"attn_projection_quant_modes\": [\"fp8\", \"fp8\"]}}",
            "expected 4 modes, found 2");
    refused(f, "{\"DsaContext\": {\"attn_projection_quant_modes\": [\"fp8\", \"fp8\", 1, \"fp8\"]}}",
            "expected the name of a mode");
    refused(f, "{\"DsaContext\": {\"attn_projection_quant_modes\": \"fp8\"}}", "a list of modes");
}

/* ---- MSA
 * ----------------------------------------------------------------------------------------------------------
 */

static void test_msa_transfer(void **state) {
    ops_fixture old = view_of(*state, "sglang", "0.5.14"), own = view_of(*state, "sglang", "0.5.16");
    op_bound silicon = bind_op(&old, OP_SILICON, MSA("MsaContext", "")),
             hybrid = bind_op(&old, OP_HYBRID, MSA("MsaContext", "")),
             measured = bind_op(&own, OP_HYBRID, MSA("MsaContext", ""));
    op_shape at = request(2, 500, 3000);
    refusal(&silicon, OP_SILICON, at, OP_MISSING);
    op_result r = answer(&hybrid, OP_HYBRID, at);
    assert_true(r.source == OP_SRC_empirical && r.tier == OP_TIER_xop && r.energy == 0);
    op_bound dsa = bind_op(&old, OP_SILICON, DSA("DsaContext", 16, "bfloat16", GLM, ""));
    double util = answer(&dsa, OP_SOL, at).latency / answer(&dsa, OP_SILICON, at).latency,
           sol = answer(&hybrid, OP_SOL, at).latency;
    assert_true(r.latency == sol / (util * 1.25));
    assert_true(answer(&measured, OP_HYBRID, at).source == OP_SRC_silicon);
    aic_error err = {0};
    op_binder cautious = {old.arena, old.view, OP_HYBRID, OP_POLICY_NONE};
    op_bound off;
    op_bind(&cautious, parse_op(&old, MSA("MsaContext", ""), &err), &off);
    HAS(refusal(&off, OP_HYBRID, at, OP_NO_EMPIRICAL).text, "xop");
    refused(&old, MSA("MsaGeneration", ", \"block_size\": 0"), "block_size");
}

static void test_msa_price(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SOL, MSA("MsaGeneration", ""));
    op_result r = answer(&b, OP_SOL, request(3, 4001, 0));
    double weights = 6144.0 * 16 * 128 + 6144 * 2 * 128.0 + 16 * 128.0 * 6144 + 6144 * 4 * 128.0;
    double math =
        (2 * 3 * weights) / 989e12 + 2.0 * 3 * 4 * 128 * 32 / 1978e12 + 2.0 * 16 * 256 * 3 * 2048 / 989e12;
    assert_true(fabs(r.sol_math - math * 1000) < 1e-15);
    assert_true(r.sol_mem ==
                (weights * 2 + 3 * 2048.0 * 256 * 2 + 3 * 32.0 * 4 * 128 + 3 * 16 * 128.0 * 2 * 2) / 4.8e12 *
                    1000);
    assert_true(answer(&b, OP_SOL, request(3, 0, 0)).latency > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),       cmocka_unit_test(test_speed_of_light),
        cmocka_unit_test(test_prefill_price), cmocka_unit_test(test_refused_flops),
        cmocka_unit_test(test_shared_index),  cmocka_unit_test(test_rows),
        cmocka_unit_test(test_parallel),      cmocka_unit_test(test_projection_modes),
        cmocka_unit_test(test_msa_transfer),  cmocka_unit_test(test_msa_price),
    };
    return cmocka_run_group_tests_name("dsa", tests, ops_setup, ops_teardown);
}
