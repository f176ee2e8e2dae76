/* links: ops. Overlap and Fallback: reference samples, weights, what is known before any shape. */
#include "fan_cases.h"
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define GOOD                                                                                                 \
    "{\"Gemm\": {\"name\": \"good\", \"scale_factor\": 2, \"n\": 4096, \"k\": 4096, \"quant_mode\": "        \
    "\"fp8\"}}"
#define BAD                                                                                                  \
    "{\"Gemm\": {\"name\": \"bad\", \"scale_factor\": 3, \"n\": 64, \"k\": 64, \"quant_mode\": "             \
    "\"int8_wo\"}}"
#define FLOPS                                                                                                \
    "{\"Gemm\": {\"name\": \"fp4\", \"scale_factor\": 1, \"n\": 64, \"k\": 64, \"quant_mode\": \"nvfp4\"}}"
#define FAR                                                                                                  \
    "{\"Gemm\": {\"name\": \"far\", \"scale_factor\": 1, \"n\": 1, \"k\": 2048, \"quant_mode\": "            \
    "\"bfloat16\"}}"
#define WORD    "{\"Elementwise\": {\"name\": \"w\", \"scale_factor\": 1, \"bytes_per_token\": 16384}}"
#define ATTN    ATTENTION("1")
#define ATTN_36 ATTENTION("36.5")
#define ATTENTION(repeat)                                                                                    \
    "{\"GenerationAttention\": {\"name\": \"a\", \"scale_factor\": " repeat ", \"n\": 32, \"n_kv\": 8, "     \
    "\"head_size\": 128, "                                                                                   \
    "\"window_size\": 0, \"kv_cache_dtype\": \"fp8\"}}"
/* Misses in every mode: h200 has no passes of whole models. */
#define PASS                                                                                                 \
    "{\"FpmForward\": {\"name\": \"p\", \"phase\": \"decode\", \"model_path\": \"m\", \"match_identity\": "  \
    "[\"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\"], "           \
    "\"sol_ops\": []}}"
#define OVERLAP(a, b)  "{\"Overlap\": {\"name\": \"o\", \"group_a\": [" a "], \"group_b\": [" b "]}}"
#define FALLBACK(p, c) "{\"Fallback\": {\"name\": \"f\", \"primary\": " p ", \"fallback\": [" c "]}}"

static void test_samples(void **state) {
    check_samples(state, "ops_composite.jsonl.gz", 230, 75);
}

static void test_overlap(void **state) {
    ops_fixture *f = *state;
    op_bound o = bind_op(f, OP_SILICON, OVERLAP(GOOD, WORD)), good = bind_op(f, OP_SILICON, GOOD);
    op_result r = answer(&o, OP_SILICON, tokens(10)), alone = answer(&good, OP_SILICON, tokens(10));
    assert_true(r.latency == alone.latency && r.source == OP_SRC_mixed && !r.has_sol);
    assert_true(fabs(cover_sum(&r) - r.latency) < 1e-15);
    op_bound empty = bind_op(f, OP_SILICON, OVERLAP("", ""));
    op_result none = answer(&empty, OP_SILICON, tokens(10));
    assert_true(none.latency == 0 && none.source == OP_SRC_empirical);
    op_bound both = bind_op(f, OP_SILICON, OVERLAP(GOOD, ATTN));
    assert_int_equal(both.reads, OP_READS_X | OP_READS_BATCH | OP_READS_S);
    assert_false(answer(&o, OP_SOL, tokens(10)).has_sol);
}

static void test_fallback(void **state) {
    ops_fixture *f = *state;
    op_bound good = bind_op(f, OP_SILICON, GOOD), kept = bind_op(f, OP_SILICON, FALLBACK(GOOD, BAD));
    op_bound turned = bind_op(f, OP_SILICON, FALLBACK(BAD, GOOD)),
             shape = bind_op(f, OP_SILICON, FALLBACK(FAR, GOOD));
    double alone = answer(&good, OP_SILICON, tokens(10)).latency;
    assert_true(answer(&kept, OP_SILICON, tokens(10)).latency == alone);
    assert_true(answer(&turned, OP_SILICON, tokens(10)).latency == alone);
    assert_true(answer(&shape, OP_SILICON, tokens(10)).latency == alone);
    assert_true(answer(&turned, OP_SOL, tokens(10)).has_sol); /* the primary's: SOL needs no table */
}

/* Decode steps in columns are the primary's, under its repeat. */
static void test_fallback_fan(void **state) {
    ops_fixture *f = *state;
    op_bound kept = bind_op(f, OP_SILICON, FALLBACK(ATTN_36, BAD)),
             hybrid = bind_op(f, OP_HYBRID, FALLBACK(FALLBACK(ATTN_36, BAD), BAD)),
             turned = bind_op(f, OP_SILICON, FALLBACK(BAD, ATTN_36));
    assert_true(fan_steps_agree(&kept, OP_SILICON) > 1000 && fan_steps_agree(&hybrid, OP_HYBRID) > 1000);
    assert_false(op_has_fan(&turned, OP_SILICON));
}

/* What a composite primary estimated before its gap counts among the tiers, its figures do not. */
static void test_fallback_keeps_tiers(void **state) {
    ops_fixture *f = *state;
    op_bound word = bind_op(f, OP_EMPIRICAL, WORD);
    op_bound gap = bind_op(f, OP_EMPIRICAL, FALLBACK(OVERLAP(GOOD "," PASS, ""), WORD)),
             second = bind_op(f, OP_EMPIRICAL, FALLBACK(OVERLAP(GOOD, PASS), WORD)),
             deep =
                 bind_op(f, OP_EMPIRICAL, FALLBACK(OVERLAP(FALLBACK(OVERLAP(GOOD, PASS), PASS), ""), WORD)),
             first = bind_op(f, OP_EMPIRICAL, FALLBACK(OVERLAP(PASS "," GOOD, ""), WORD));
    const op_bound *const raised[] = {&gap, &second, &deep};
    for (size_t i = 0; i < sizeof raised / sizeof *raised; i++) {
        op_result r = answer(raised[i], OP_EMPIRICAL, tokens(10));
        assert_int_equal(r.tier, OP_TIER_empirical);
        assert_true(r.latency == answer(&word, OP_EMPIRICAL, tokens(10)).latency && r.from == 0);
    }
    assert_int_equal(answer(&first, OP_EMPIRICAL, tokens(10)).tier, OP_TIER_none);
}

/* What cannot be answered is known at bind, where no shape could change it. */
static void test_refused_at_bind(void **state) {
    ops_fixture *f = *state;
    op_bound overlap = bind_op(f, OP_SILICON, OVERLAP(GOOD, BAD));
    assert_int_equal(overlap.refused, OP_MISSING);
    HAS(overlap.reason, "bad (Gemm)");
    op_bound fallback = bind_op(f, OP_SILICON, FALLBACK(BAD, BAD));
    assert_int_equal(fallback.refused, OP_MISSING);
    op_bound flops = bind_op(f, OP_SILICON, FALLBACK(FLOPS, GOOD));
    assert_int_equal(flops.refused, OP_NO_FLOPS);
    refusal(&flops, OP_SILICON, tokens(10), OP_NO_FLOPS);
    op_bound later = bind_op(f, OP_SILICON, OVERLAP(FAR "," FLOPS, ""));
    assert_int_equal(later.refused, OP_OK);
    refusal(&later, OP_SILICON, tokens(10), OP_MISSING); /* FAR's miss comes first */
    op_bound maybe = bind_op(f, OP_SILICON, FALLBACK(FAR, BAD));
    assert_int_equal(maybe.refused, OP_OK);
    HAS(refusal(&maybe, OP_SILICON, tokens(10), OP_MISSING).text, "bad (Gemm)");
}

static void test_weights(void **state) {
    ops_fixture *f = *state;
    const double good = 2.0 * 4096 * 4096, bad = 3.0 * 64 * 64;
    aic_error err = {0};
    assert_true(op_weight_bytes(parse_op(f, OVERLAP(GOOD, BAD "," WORD), &err)) == good + bad);
    assert_true(op_weight_bytes(parse_op(f, FALLBACK(GOOD, BAD), &err)) == good);
    assert_true(op_weight_bytes(parse_op(f, FALLBACK(WORD, BAD), &err)) == bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_fallback_fan),
        cmocka_unit_test(test_refused_at_bind),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_fallback_keeps_tiers),
    };
    return cmocka_run_group_tests_name("composite", tests, ops_setup, ops_teardown);
}
