/* links: ops. Latent attention: reference samples in every mode, chunks, head shares, refusals. */
#include "fan_cases.h"
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define FIELDS(rest) "{\"name\": \"attn\", \"scale_factor\": 1, " rest "}}"
#define CONTEXT(rest)                                                                                        \
    "{\"ContextMla\": " FIELDS("\"num_heads\": 16, \"fmha_quant_mode\": \"bfloat16\", " rest)
#define DECODE(rest)     "{\"GenerationMla\": " FIELDS("\"num_heads\": 16, " rest)
#define BMM(heads, rest) "{\"MlaBmm\": " FIELDS("\"num_heads\": " heads ", \"is_pre\": false, " rest)
#define MODULE(kind, rest)                                                                                   \
    "{\"" kind "\": " FIELDS("\"num_heads\": 16, \"kv_cache_dtype\": \"fp8\", "                              \
                             "\"fmha_quant_mode\": \"bfloat16\", " rest)
#define WIDEEP(kind, rest)                                                                                   \
    "{\"" kind "\": " FIELDS("\"num_heads\": 32, \"kv_cache_dtype\": \"fp8\", "                              \
                             "\"fmha_quant_mode\": \"fp8_block\", " rest)
#define FP8_CACHE "\"kv_cache_dtype\": \"fp8\""

static op_shape prefill(uint32_t batch, uint32_t s, uint32_t prefix) {
    return (op_shape){.batch = batch, .s = s, .prefix = prefix, .x = batch * s, .imbalance = 1.0};
}

static op_shape decode(uint32_t batch, uint32_t s) {
    return (op_shape){.batch = batch, .s = s, .x = batch, .imbalance = 1.0};
}

static void on(ops_fixture *f, const char *backend, const char *version, bool shared) {
    aic_error err = {0};
    f->view = pdb_view_get(f->db, "h200_sxm", backend, version, shared, true, &err);
    assert_non_null(f->view);
}

static int back_on_trtllm(void **state) {
    on(*state, "trtllm", "1.3.0rc20", true);
    return 0;
}

static void test_samples(void **state) {
    check_samples(state, "ops_mla.jsonl.gz", 288, 102);
}

/* A cached prefix takes its share off; chunks of context parallelism add up. */
static void test_prefill(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, CONTEXT(FP8_CACHE)),
             split = bind_op(f, OP_SILICON, CONTEXT(FP8_CACHE ", \"cp_size\": 4"));
    assert_int_equal(b.reads, OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX);
    op_result full = answer(&b, OP_SILICON, prefill(2, 4096, 0));
    assert_int_equal(full.source, OP_SRC_silicon);
    assert_true(answer(&b, OP_SILICON, prefill(2, 2048, 2048)).latency == full.latency * 0.75);
    assert_true(answer(&b, OP_SILICON, prefill(2, 0, 4096)).latency == 0.0);
    double first = answer(&b, OP_SILICON, prefill(1, 1024, 0)).latency,
           last = answer(&b, OP_SILICON, prefill(1, 1024, 7168)).latency;
    assert_true(answer(&split, OP_SILICON, prefill(1, 8192, 0)).latency == first + last);
    refusal(&split, OP_SILICON, prefill(1, 0, 0), OP_INVALID);
}

static void test_imbalance_is_ignored(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, DECODE(FP8_CACHE));
    op_shape even = decode(24, 5000), odd = even;
    odd.imbalance = 2.0;
    assert_true(answer(&b, OP_SILICON, even).latency == answer(&b, OP_SILICON, odd).latency);
}

static void test_fans(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, DECODE(FP8_CACHE)),
             prefills = bind_op(f, OP_SILICON, CONTEXT(FP8_CACHE));
    assert_true(fan_steps_agree(&b, OP_SILICON) > 1000);
    assert_false(op_has_fan(&prefills, OP_SILICON));
}

static void test_decode_grows(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_op(f, OP_SILICON, DECODE(FP8_CACHE));
    double before = 0;
    for (uint32_t s = 1024; s < 1000000; s *= 2) {
        op_result r = answer(&b, OP_SILICON, decode(64, s));
        assert_true(r.latency > before && fabs(cover_sum(&r) - r.latency) < 1e-12 * r.latency);
        before = r.latency;
    }
    assert_true(answer(&b, OP_SILICON, decode(64, 1000000)).cover[OP_EXTRAPOLATED] > 0);
}

/* Twelve heads are twelve sixteenths of sixteen; only the batch counts. */
static void test_bmm(void **state) {
    ops_fixture *f = *state;
    op_bound own = bind_op(f, OP_SILICON, BMM("16", "\"quant_mode\": \"fp8_block\"")),
             part = bind_op(f, OP_SILICON, BMM("12", "\"quant_mode\": \"fp8_block\""));
    assert_int_equal(own.reads, OP_READS_BATCH);
    double whole = answer(&own, OP_SILICON, decode(24, 1)).latency;
    assert_true(answer(&part, OP_SILICON, decode(24, 1)).latency == whole * 0.75);
    op_shape more = decode(24, 999);
    more.x = 7;
    assert_true(answer(&own, OP_SILICON, more).latency == whole);
    /* An estimate has the same share, but speed of light its own heads. */
    op_bound e16 = bind_op(f, OP_EMPIRICAL, BMM("16", "\"quant_mode\": \"bfloat16\"")),
             e12 = bind_op(f, OP_EMPIRICAL, BMM("12", "\"quant_mode\": \"bfloat16\""));
    op_result estimate = answer(&e12, OP_EMPIRICAL, decode(24, 1));
    assert_true(estimate.latency == answer(&e16, OP_EMPIRICAL, decode(24, 1)).latency * 0.75);
    assert_int_equal(estimate.tier, OP_TIER_empirical);
    assert_int_equal(estimate.source, OP_SRC_empirical);
}

/* A measured prefill is calibrated by itself: the estimate at a measured point is the measurement. */
static void test_estimate_of_a_measured_point(void **state) {
    ops_fixture *f = *state;
    op_bound measured = bind_op(f, OP_SILICON, CONTEXT(FP8_CACHE)),
             estimated = bind_op(f, OP_EMPIRICAL, CONTEXT(FP8_CACHE));
    op_result m = answer(&measured, OP_SILICON, prefill(1, 4096, 0)),
              e = answer(&estimated, OP_EMPIRICAL, prefill(1, 4096, 0));
    assert_true(m.cover[OP_MEASURED] == m.latency && e.cover[OP_FORMULA] == e.latency);
    assert_true(fabs(e.latency - m.latency) < 1e-12 * m.latency);
    op_bound hybrid = bind_op(f, OP_HYBRID, CONTEXT(FP8_CACHE));
    assert_int_equal(answer(&hybrid, OP_HYBRID, prefill(1, 4096, 0)).source, OP_SRC_silicon);
    assert_int_equal(answer(&hybrid, OP_HYBRID, prefill(0, 4096, 0)).source, OP_SRC_empirical);
}

static void test_native_heads_field(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    static const char *const values[] = {"null", "0", "128"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char json[512], written[64];
        snprintf(json, sizeof json,
                 MODULE("MlaModuleContext", "\"gemm_quant_mode\": \"fp8_block\", \"native_num_heads\": %s"),
                 values[i]);
        op *o = parse_op(f, json, &err);
        assert_non_null(o);
        aic_buf out = {0};
        op_to_json(o, &out);
        snprintf(written, sizeof written, "\"native_num_heads\": %s}}", values[i]);
        HAS(out.data, written);
        aic_buf_free(&out);
    }
    assert_null(parse_op(
        f, MODULE("MlaModuleContext", "\"gemm_quant_mode\": \"fp8\", \"native_num_heads\": -1"), &err));
    HAS(err.text, "from 0 to 4294967295");
}

static void test_module(void **state) {
    ops_fixture *f = *state;
    on(f, "vllm", "0.24.0", true);
    op_bound b = bind_op(f, OP_SILICON, MODULE("MlaModuleGeneration", "\"gemm_quant_mode\": \"fp8_block\""));
    assert_true(fabs(answer(&b, OP_SILICON, decode(24, 5000)).latency - 0.1490166748046875) < 1e-12);
    assert_true(fan_steps_agree(&b, OP_SILICON) > 1000);
    op_bound sol = bind_op(f, OP_SOL, MODULE("MlaModuleGeneration", "\"gemm_quant_mode\": \"nvfp4\""));
    HAS(refusal(&sol, OP_SOL, decode(1, 10), OP_NO_FLOPS).text, "fp4_tc_flops");
    op_bound key = bind_op(f, OP_SILICON, MODULE("MlaModuleContext", "\"gemm_quant_mode\": \"int4_wo\""));
    HAS(refusal(&key, OP_SILICON, prefill(1, 100, 0), OP_MISSING).text, "no rows with gemm_type int4_wo");
}

/* Measured answers are for two backends; an estimate also goes by a kernel's own name. */
static void test_wideep_backends(void **state) {
    ops_fixture *f = *state;
    on(f, "sglang", "0.5.14", true);
    op_bound b =
        bind_op(f, OP_SILICON, WIDEEP("WideEpContextMla", "\"attn_backend\": \"fa3\", \"cp_size\": 2"));
    op_result r = answer(&b, OP_SILICON, prefill(1, 6000, 500));
    assert_true(fabs(r.latency - 1.2502485420917138) < 1e-12 && r.energy == 0.0);
    op_bound wrong = bind_op(f, OP_HYBRID, WIDEEP("WideEpGenerationMla", "\"attn_backend\": \"triton\""));
    HAS(refusal(&wrong, OP_HYBRID, decode(7, 6000), OP_INVALID).text, "neither flashinfer nor fa3");
    on(f, "sglang", "0.5.10", false);
    op_bound odd = bind_op(f, OP_EMPIRICAL, WIDEEP("WideEpGenerationMla", "\"attn_backend\": \"triton\""));
    HAS(refusal(&odd, OP_EMPIRICAL, decode(7, 6000), OP_INVALID).text, "nor a kernel of");
    on(f, "trtllm", "1.3.0rc20", false);
    op_bound none = bind_op(f, OP_SILICON, WIDEEP("WideEpGenerationMla", "\"attn_backend\": \"triton\""));
    refusal(&none, OP_SILICON, decode(7, 6000), OP_MISSING);
}

static void test_wideep_has_no_decomposition(void **state) {
    ops_fixture *f = *state;
    op_bound wide = bind_op(f, OP_SOL, WIDEEP("WideEpGenerationMla", "\"attn_backend\": \"any\"")),
             plain = bind_op(f, OP_SOL, DECODE(FP8_CACHE));
    op_result w = answer(&wide, OP_SOL, decode(8, 1000)), p = answer(&plain, OP_SOL, decode(8, 1000));
    assert_true(w.latency > 0 && !w.has_sol && w.source == OP_SRC_sol);
    assert_true(p.has_sol && p.latency == fmax(p.sol_math, p.sol_mem));
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound kv = bind_op(f, OP_SILICON, DECODE("\"kv_cache_dtype\": \"int8\"")),
             estimate = bind_op(f, OP_EMPIRICAL, DECODE("\"kv_cache_dtype\": \"int8\"")),
             hybrid = bind_op(f, OP_HYBRID, DECODE("\"kv_cache_dtype\": \"int8\""));
    static const char part[] = "generation_mla_perf of h200_sxm/trtllm/1.3.0rc20 has no rows with "
                               "kv_cache_dtype int8; measured: ";
    HAS(refusal(&kv, OP_SILICON, decode(1, 100), OP_MISSING).text, part);
    HAS(refusal(&estimate, OP_EMPIRICAL, decode(1, 100), OP_NO_EMPIRICAL).text, part);
    HAS(refusal(&hybrid, OP_HYBRID, decode(1, 100), OP_NO_EMPIRICAL).text, part);
    op_bound b = bind_op(f, OP_SILICON, CONTEXT(FP8_CACHE));
    HAS(refusal(&b, OP_SILICON, prefill(0, 100, 0), OP_MISSING).text, "16 heads");
    on(f, "vllm", "0.24.0", true);
    op_bound none = bind_op(f, OP_SILICON, DECODE(FP8_CACHE));
    HAS(refusal(&none, OP_SILICON, decode(1, 100), OP_MISSING).text, "generation_mla_perf");
}

#define TEST(name) cmocka_unit_test_setup(name, back_on_trtllm)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_samples),
        TEST(test_prefill),
        TEST(test_imbalance_is_ignored),
        TEST(test_fans),
        TEST(test_decode_grows),
        TEST(test_bmm),
        TEST(test_estimate_of_a_measured_point),
        TEST(test_native_heads_field),
        TEST(test_module),
        TEST(test_wideep_backends),
        TEST(test_wideep_has_no_decomposition),
        TEST(test_refusals),
    };
    return cmocka_run_group_tests_name("mla", tests, ops_setup, ops_teardown);
}
