/* links: ops. Dsv4Context, Dsv4Generation: counts, heads, correction, retired files, ranks. Samples:
 * test_dsa.
 */
#include "sparse_cases.h"

#define DSV4(kind, attn, heads, native, gemm, rest)                                                          \
    "{\"" kind "\": {\"name\": \"a\", \"scale_factor\": 1, \"attn_kind\": \"" attn                           \
    "\", \"num_heads\": " #heads ", \"native_heads\": " #native                                              \
    ", \"tp_size\": 1, \"kv_cache_dtype\": \"fp8\", \"fmha_quant_mode\": \"bfloat16\", "                     \
    "\"gemm_quant_mode\": \"" gemm "\", \"architecture\": \"DeepseekV4ForCausalLM\"" rest "}}"

/* ---- price --------------------------------------------------------------------------------------------- */

/* Attention alone: everything that depends on the widths left out is zero. */
#define BARE                                                                                                 \
    ", \"hidden_size\": 0, \"q_lora_rank\": 0, \"o_lora_rank\": 0, \"head_dim\": 2, \"rope_head_dim\": 0, "  \
    "\"index_n_heads\": 0, \"index_head_dim\": 0"

static double least(double a, double b) {
    return a < b ? a : b;
}

/* Pairs counted one new token at a time. */
static double pairs(uint32_t s, uint32_t prefix, uint32_t window, uint32_t ratio, uint32_t limit) {
    double sum = 0;
    for (uint32_t at = prefix + 1; at <= prefix + s; at++)
        sum += least(at, window) + least(at / ratio, limit);
    return sum;
}

static void test_counts(void **state) {
    ops_fixture *f = *state;
    static const uint32_t tokens[] = {0, 1, 3, 8, 13, 500, 1030}, prefixes[] = {0, 1, 7, 12, 40, 129, 900};
    op_bound csa = bind_op(
                 f, OP_SOL,
                 DSV4("Dsv4Context", "Csa", 3, 3, "fp8", BARE ", \"window_size\": 9, \"index_topk\": 5")),
             hca = bind_op(f, OP_SOL, DSV4("Dsv4Context", "Hca", 3, 3, "fp8", BARE));
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        for (size_t j = 0; j < sizeof prefixes / sizeof *prefixes; j++) {
            uint32_t s = tokens[i], p = prefixes[j];
            op_shape at = request(2, s, p);
            double few = 2 * pairs(s, p, 9, 4, 5), many = 2 * pairs(s, p, 128, 128, UINT32_MAX);
            double compression = 2.0 * 2 * s * 2 * 2 / 1978e12, /* one term is free of the hidden size */
                other = 2.0 * 2 * s * 2 / 1978e12;
            assert_true(fabs(answer(&csa, OP_SOL, at).sol_math -
                             (compression + 4.0 * 3 * 2 * few / 989e12) * 1000) < 1e-18);
            assert_true(fabs(answer(&hca, OP_SOL, at).sol_math -
                             (other + 4.0 * 3 * 2 * many / 989e12) * 1000) < 1e-18);
        }
}

static void test_weights(void **state) {
    ops_fixture *f = *state;
    aic_error err = {0};
    const op *csa = parse_op(f, DSV4("Dsv4Context", "Csa", 16, 128, "fp8_block", ""), &err),
             *hca =
                 parse_op(f, DSV4("Dsv4Generation", "Hca", 16, 128, "fp8_block", ", \"o_groups\": 0"), &err);
    double common = 7168 * 1536 + 1536.0 * 16 * 512 + 7168 * 512;
    assert_true(op_weight_bytes(csa) == common + 2 * 1024 * 7168 + 2.0 * 7168 * 2 * 512 + 1536 * 64 * 128 +
                                            2 * 7168 * 2 * 128 + (16 * 512.0 * 1024 + 7168 * 64) * 2 +
                                            (16 + 4 * 2 * 512 + 4 * 2 * 128) * 4);
    assert_true(op_weight_bytes(hca) ==
                common + 1024 * 7168 + 2.0 * 7168 * 512 + 16 * 512.0 * 1024 * 2 + (16 + 128 * 512) * 4);
}

/* ---- heads
 * ------------------------------------------------------------------------------------------------- */

static void test_heads(void **state) {
    ops_fixture sglang = view_of(*state, "sglang", "0.5.14");
    op_shape at = request(4, 1024, 0);
    op_bound own = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 16, 64, "bfloat16", "")),
             above = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 24, 64, "bfloat16", "")),
             below = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 2, 64, "bfloat16", "")),
             least_heads = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 8, 64, "bfloat16", "")),
             other_model = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 16, 96, "bfloat16", ""));
    op_result r = answer(&own, OP_SILICON, at);
    assert_true(r.cover[OP_MEASURED] == r.latency);
    assert_true(answer(&above, OP_SILICON, at).latency == r.latency);
    assert_true(answer(&other_model, OP_SILICON, at).latency == r.latency);
    assert_true(answer(&below, OP_SILICON, at).latency == answer(&least_heads, OP_SILICON, at).latency);
    op_bound missing = bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Hca", 16, 64, "fp8", ""));
    HAS(refusal(&missing, OP_SILICON, at, OP_MISSING).text, "no rows with gemm_type fp8");
}

/* ---- made-up tables
 * ------------------------------------------------------------------------------------------ */

/* num_heads once meant the model's: one count over several ranks. */
static void test_retired(void **state) {
    (void)state;
    module_table t = {.name = "dsv4_hca_context_module_perf",
                      .n = 2,
                      .rows = {{.heads = 64, .ranks = 1, .batch = 1, .isl = 10, .ms = 1},
                               {.heads = 64, .ranks = 2, .batch = 1, .isl = 10, .ms = 2}}};
    sparse_box x;
    open_box(&x, &t, 1);
    op_bound b = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Hca", 64, 64, "bfloat16", ""));
    HAS(refusal(&b, OP_SILICON, request(1, 10, 0), OP_MISSING).text, "measure anew");
    close_box(&x);
    t.rows[1].heads = 32; /* the share of one of two ranks */
    open_box(&x, &t, 1);
    b = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Hca", 32, 64, "bfloat16", ""));
    assert_true(answer(&b, OP_SILICON, request(1, 10, 0)).latency == 2);
    close_box(&x);
    t.rows[1].heads = 64;
    t.rows[1].model = "another"; /* each model is a group of its own */
    open_box(&x, &t, 1);
    b = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Hca", 64, 64, "bfloat16", ""));
    assert_true(answer(&b, OP_SILICON, request(1, 10, 0)).latency == 1);
    close_box(&x);
}

/* Steps of one length: the one with the longest prefix stands; of one row measured twice the first. */
static void test_steps(void **state) {
    (void)state;
    static const module_table t = {
        .name = "dsv4_hca_generation_module_perf",
        .n = 4,
        .rows = {
            {.kv = "fp8_e4m3", .heads = 64, .ranks = 1, .batch = 1, .isl = 1, .step = 9, .ms = 3, .watts = 7},
            {.heads = 64, .ranks = 0, .batch = 1, .isl = 1, .step = 9, .ms = 4},
            {.heads = 64, .ranks = 1, .batch = 1, .isl = 2, .step = 8, .ms = 5},
            {.heads = 64, .ranks = 1, .batch = 1, .isl = 1, .step = 19, .ms = 6}}};
    sparse_box x;
    open_box(&x, &t, 1);
    op_bound b = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Generation", "Hca", 64, 64, "bfloat16", ""));
    op_result r = answer(&b, OP_SILICON, request(1, 10, 0));
    assert_true(r.latency == 3 && r.energy == 21);
    r = answer(&b, OP_SILICON, request(1, 15, 0));
    assert_true(r.latency == 4.5 && r.cover[OP_INTERPOLATED] == 4.5);
    close_box(&x);
}

/* The slower selection is taken off, and the energy that goes with it. */
static void test_correction(void **state) {
    (void)state;
    static const module_table tables[] = {
        {.name = "dsv4_csa_context_module_perf",
         .n = 2,
         .rows = {{.heads = 64, .ranks = 1, .batch = 1, .isl = 10, .ms = 1, .watts = 50},
                  {.heads = 64, .ranks = 1, .batch = 1, .isl = 30, .ms = 0.25}}},
        {.name = "dsv4_csa_topk_calib_perf",
         .n = 8,
         .rows = {{.mode = "v1_flat", .heads = 64, .batch = 1, .isl = 10, .step = 0, .ms = 0.75},
                  {.mode = "v1_top_last", .heads = 64, .batch = 1, .isl = 10, .step = 0, .ms = 0.25},
                  {.mode = "v1_flat", .heads = 64, .batch = 1, .isl = 30, .step = 0, .ms = 2},
                  {.mode = "v1_top_last", .heads = 64, .batch = 1, .isl = 30, .step = 0, .ms = 1},
                  {.mode = "v1_flat", .heads = 64, .batch = 1, .isl = 20, .step = 0, .ms = 2},
                  {.mode = "v1_flat", .heads = 64, .batch = 1, .isl = 30, .step = 8, .ms = 1},
                  {.mode = "v1_top_last", .heads = 64, .batch = 1, .isl = 30, .step = 8, .ms = 5},
                  {.mode = "v2_flat", .heads = 64, .batch = 1, .isl = 10, .step = 0, .ms = 9}}}};
    sparse_box x;
    open_box(&x, tables, 2);
    op_bound b = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Csa", 64, 64, "bfloat16", "")),
             other = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Csa", 64, 128, "bfloat16", ""));
    op_result r = answer(&b, OP_SILICON, request(1, 10, 0));
    assert_true(r.latency == 0.5 && r.energy == 25 && r.cover[OP_MEASURED] == 0.5);
    assert_true(answer(&b, OP_SILICON, request(1, 30, 0)).latency == 0); /* never below zero */
    assert_true(answer(&b, OP_SILICON, request(1, 20, 0)).latency == 0); /* 0.625 less 0.75 */
    assert_true(answer(&other, OP_SILICON, request(1, 10, 0)).latency == 1);
    /* Beyond the steps and batches measured their ends stand: at step 8 nothing is slower. */
    op_bound plain = bind_op(&x.f, OP_SILICON, DSV4("Dsv4Context", "Csa", 64, 128, "bfloat16", ""));
    op_shape far = request(1, 30, 99);
    assert_true(answer(&b, OP_SILICON, far).latency == answer(&plain, OP_SILICON, far).latency);
    close_box(&x);
}

/* ---- context parallelism
 * ----------------------------------------------------------------------------------- */

static void test_parallel(void **state) {
    ops_fixture sglang = view_of(*state, "sglang", "0.5.14");
    static const op_mode modes[] = {OP_SILICON, OP_SOL};
    for (size_t i = 0; i < 2; i++) {
        op_mode m = modes[i];
        op_bound one = bind_op(&sglang, m, DSV4("Dsv4Context", "Hca", 64, 64, "bfloat16", "")),
                 four = bind_op(&sglang, m,
                                DSV4("Dsv4Context", "Hca", 64, 64, "bfloat16",
                                     ", \"cp_size\": 4, \"window_size\": 128"));
        op_result r = answer(&four, m, request(2, 4000, 100));
        double base = answer(&one, m, request(2, 1000, 100)).latency;
        assert_true(r.latency == base + all_gather(&sglang, m, 4, 2 * 128 * 512) +
                                     all_gather(&sglang, m, 4, 2 * 31 * 512));
        assert_true(r.source == OP_SRC_estimated && !r.has_sol && cover_sum(&r) == r.latency);
    }
    op_bound csa =
        bind_op(&sglang, OP_SILICON, DSV4("Dsv4Context", "Csa", 64, 64, "bfloat16", ", \"cp_size\": 4"));
    assert_true(answer(&csa, OP_SILICON, request(2, 4000, 100)).source == OP_SRC_estimated);
    HAS(refusal(&csa, OP_SILICON, request(2, 400000, 100), OP_MISSING).text, "new tokens");
    for (op_mode m = 0; m < OP_MODE_COUNT; m++) {
        op_bound pro =
            bind_op(&sglang, m, DSV4("Dsv4Context", "Csa", 64, 128, "bfloat16", ", \"cp_size\": 4"));
        HAS(refusal(&pro, m, request(1, 100, 0), OP_MISSING).text, "num_heads 128");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),   cmocka_unit_test(test_weights), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_retired),  cmocka_unit_test(test_steps),   cmocka_unit_test(test_correction),
        cmocka_unit_test(test_parallel),
    };
    return cmocka_run_group_tests_name("dsv4", tests, ops_setup, ops_teardown);
}
