/* links: ops. Estimates: HYBRID and EMPIRICAL answers, transfer policies, what an answer was calibrated from.
 */
#include "ops/internal.h"
#include "ops_cases.h"
#include "parity/golden_ops.h"

static void reference_samples(void **state) {
    check_samples(state, "ops_modes.jsonl.gz", 560, 100);
}

/* ---- policies ------------------------------------------------------------------------------------------ */

#define BIT(tier) (1u << OP_TIER_##tier)

static void policies(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned bits;
    } good[] = {
        {NULL, OP_POLICY_ALL},
        {"off", OP_POLICY_NONE},
        {"conservative", BIT(xshape)},
        {" Balanced ", BIT(xshape) | BIT(xquant)},
        {"AGGRESSIVE", OP_POLICY_ALL},
        {"xop", BIT(xop)},
        {"xprofile , off", BIT(xprofile)},
        {"conservative,xprofile", BIT(xshape) | BIT(xprofile)},
    };
    static const char *const bad[] = {"", "none", "empirical", "xshape,", "x shape", "xshapes"};
    unsigned bits = 77;
    for (size_t i = 0; i < OP_COUNT(good); i++) {
        assert_true(op_policy_parse(good[i].text, &bits));
        assert_int_equal(bits, good[i].bits);
    }
    for (size_t i = 0; i < OP_COUNT(bad); i++)
        assert_false(op_policy_parse(bad[i], &bits));
}

static void profiles(void **state) {
    (void)state;
    const pdb_quant seen[] = {PDB_Q_nvfp4, PDB_Q_fp8_block, PDB_Q_bfloat16, PDB_Q_fp8, PDB_Q_int4_wo};
    pdb_quant out[OP_COUNT(seen)];
    assert_true(op_same_profile(PDB_Q_fp8, PDB_Q_sq));
    assert_false(op_same_profile(PDB_Q_nvfp4, PDB_Q_nvfp4_wo));
    /* compute factor first, then bytes: int4_wo is half a byte away, bfloat16 a whole one */
    assert_int_equal(op_other_profiles(PDB_Q_fp8, 1024.0, seen, OP_COUNT(seen), out), 3);
    assert_int_equal(out[0], PDB_Q_int4_wo);
    assert_int_equal(out[1], PDB_Q_bfloat16);
    assert_int_equal(out[2], PDB_Q_nvfp4);
    /* by the sum of both; ties as given */
    assert_int_equal(op_other_profiles(PDB_Q_int8_wo, 1.0, seen, OP_COUNT(seen), out), 5);
    assert_int_equal(out[0], PDB_Q_int4_wo);   /* 0.5 */
    assert_int_equal(out[1], PDB_Q_fp8_block); /* 1.0 */
    assert_int_equal(out[2], PDB_Q_bfloat16);  /* 1.0 */
    assert_int_equal(out[3], PDB_Q_fp8);       /* 1.0 */
    assert_int_equal(out[4], PDB_Q_nvfp4);     /* 3.4375 */
    assert_true(op_profile_ratio(PDB_Q_int8_wo, PDB_Q_bfloat16, PDB_GEMM) == 0.55 / 0.70);
    assert_true(op_profile_ratio(PDB_Q_nvfp4, PDB_Q_fp8, PDB_MOE) == 0.23 / 0.40);
}

/* ---- one op, every mode -------------------------------------------------------------------------------- */

#define GEMM(quant, more)                                                                                    \
    "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 1, \"n\": 4095, \"k\": 4096, \"quant_mode\": \"" quant   \
    "\"" more "}}"

static op_bound bind_under(ops_fixture *f, op_mode mode, const char *policy, const char *json) {
    aic_error err = {0};
    const pdb_view *view = pdb_view_get(f->db, f->view->system->name, f->view->backend, f->view->version,
                                        op_mode_shares(mode), true, &err);
    op_binder binder = {.arena = f->arena, .view = view, .mode = mode};
    assert_true(op_policy_parse(policy, &binder.policy));
    op_bound b;
    op_bind(&binder, parse_op(f, json, &err), &b);
    return b;
}

static void worked_examples(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_under(f, OP_HYBRID, NULL, GEMM("int8_wo", ""));
    op_result r = answer(&b, OP_HYBRID, tokens(2052));
    assert_true(r.latency == 0.11434188110526236);
    assert_int_equal(r.tier, OP_TIER_xprofile);
    assert_int_equal(r.source, OP_SRC_empirical);
    assert_true(r.cover[OP_FORMULA] == r.latency && r.energy == 0.0 && !r.has_sol);
    b = bind_under(f, OP_HYBRID, NULL, GEMM("sq", ""));
    r = answer(&b, OP_HYBRID, tokens(2052));
    assert_true(r.latency == 0.0774448994425642);
    assert_int_equal(r.tier, OP_TIER_xquant);
    b = bind_under(f, OP_EMPIRICAL, NULL, GEMM("fp8_static", ""));
    r = answer(&b, OP_EMPIRICAL, tokens(2052));
    assert_true(r.latency == 0.06445951407943083);
    assert_int_equal(r.source, OP_SRC_estimated);
    assert_int_equal(r.tier, OP_TIER_empirical);
    b = bind_under(f, OP_HYBRID, NULL, GEMM("fp8", ""));
    r = answer(&b, OP_HYBRID, tokens(2052));
    assert_true(r.latency == 0.07800460258172098);
    assert_int_equal(r.source, OP_SRC_silicon);
    assert_int_equal(r.tier, OP_TIER_none);
}

static void refused_estimates(void **state) {
    ops_fixture *f = *state;
    op_bound b = bind_under(f, OP_HYBRID, "off", GEMM("int8_wo", ""));
    HAS(refusal(&b, OP_HYBRID, tokens(7), OP_NO_EMPIRICAL).text, "mode int8_wo");
    b = bind_under(f, OP_EMPIRICAL, "xquant", GEMM("int8_wo", ""));
    HAS(refusal(&b, OP_EMPIRICAL, tokens(7), OP_NO_EMPIRICAL).text, "transfer policy");
    b = bind_under(f, OP_EMPIRICAL, NULL, GEMM("nvfp4", "")); /* no fp4 unit: nothing stands in */
    HAS(refusal(&b, OP_EMPIRICAL, tokens(7), OP_NO_FLOPS).text, "fp4_tc_flops");
    b = bind_under(f, OP_HYBRID, NULL, GEMM("nvfp4", ""));
    refusal(&b, OP_HYBRID, tokens(7), OP_NO_FLOPS);
    /* a floor instead of a miss is for measured answers only */
    const char *tiny = "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 1, \"n\": 1, \"k\": 2048, "
                       "\"quant_mode\": \"bfloat16\", \"below_grid_sol\": true}}";
    b = bind_under(f, OP_SILICON, NULL, tiny);
    assert_int_equal(answer(&b, OP_SILICON, tokens(10)).source, OP_SRC_sol);
    b = bind_under(f, OP_HYBRID, NULL, tiny);
    assert_int_equal(answer(&b, OP_HYBRID, tokens(10)).source, OP_SRC_empirical);
}

/* A Fallback's primary is asked for measurements, so a miss turns to the chain before any estimate. */
static void fallback_in_hybrid(void **state) {
    ops_fixture *f = *state;
    const char *json = "{\"Fallback\": {\"name\": \"f\", \"primary\": " GEMM(
        "int8_wo", "") ", \"fallback\": [" GEMM("fp8", "") "]}}";
    op_bound hybrid = bind_under(f, OP_HYBRID, NULL, json),
             empirical = bind_under(f, OP_EMPIRICAL, NULL, json);
    op_result r = answer(&hybrid, OP_HYBRID, tokens(2052));
    assert_int_equal(r.source, OP_SRC_silicon);
    assert_true(r.latency == 0.07800460258172098);
    r = answer(&empirical, OP_EMPIRICAL, tokens(2052));
    assert_int_equal(r.tier, OP_TIER_xprofile);
}

/* Samples of a whole table are made once, however many ops are bound to it. */
static void samples_are_shared(void **state) {
    ops_fixture *f = *state;
    bind_under(f, OP_EMPIRICAL, NULL, GEMM("fp8", ""));
    size_t before = aic_arena_bytes(f->arena);
    for (int i = 0; i < 100; i++)
        bind_under(f, OP_EMPIRICAL, NULL, GEMM("fp8", ""));
    assert_true(aic_arena_bytes(f->arena) - before < 100 * 4096);
}

/* ---- collectives and experts --------------------------------------------------------------------------- */

#define ALLREDUCE(gpus)                                                                                      \
    "{\"CustomAllReduce\": {\"name\": \"ar\", \"scale_factor\": 1, \"hidden_size\": 4096, "                  \
    "\"tp_size\": " gpus ", \"quant\": \"half\"}}"

static void collectives(void **state) {
    ops_fixture *f = *state;
    op_bound own = bind_under(f, OP_EMPIRICAL, NULL, ALLREDUCE("8")),
             beyond = bind_under(f, OP_EMPIRICAL, "off", ALLREDUCE("16")),
             never = bind_under(f, OP_EMPIRICAL, NULL, ALLREDUCE("3"));
    op_result r = answer(&own, OP_EMPIRICAL, tokens(100)), zero = answer(&own, OP_EMPIRICAL, tokens(0));
    assert_int_equal(r.tier, OP_TIER_empirical);
    assert_true(zero.latency == 0.0 && zero.source == OP_SRC_empirical);
    assert_int_equal(zero.tier, OP_TIER_none); /* nothing to send needs no estimate */
    assert_int_equal(answer(&beyond, OP_EMPIRICAL, tokens(100)).tier,
                     OP_TIER_xshape); /* whatever the policy */
    HAS(refusal(&never, OP_EMPIRICAL, tokens(100), OP_NO_EMPIRICAL).text, "no rows with num_gpus 3");
    answer(&never, OP_EMPIRICAL, tokens(0));
}

/* On a node of 72 GPUs large all-reduces run over NCCL and take its estimate; EMPIRICAL stays with its own.
 */
static void rack_node(void **state) {
    ops_fixture *f = *state;
    pdb_view *view = (pdb_view *)(uintptr_t)f->view; /* lend it another sheet */
    const pdb_system *own = view->system;
    pdb_system rack = *own;
    rack.gpus_per_node = 72;
    op_bound plain = bind_op(f, OP_EMPIRICAL, ALLREDUCE("8"));
    view->system = &rack;
    op_bound hybrid = bind_op(f, OP_HYBRID, ALLREDUCE("8")),
             empirical = bind_op(f, OP_EMPIRICAL, ALLREDUCE("8"));
    view->system = own;
    assert_int_equal(answer(&hybrid, OP_HYBRID, tokens(100)).source, OP_SRC_silicon);
    assert_int_equal(answer(&hybrid, OP_HYBRID, tokens(0)).source, OP_SRC_empirical);
    assert_true(answer(&empirical, OP_EMPIRICAL, tokens(100)).latency ==
                answer(&plain, OP_EMPIRICAL, tokens(100)).latency);
}

#define MOE(topk, quant, more)                                                                               \
    "{\"Moe\": {\"name\": \"m\", \"scale_factor\": 1, \"topk\": " topk ", \"num_experts\": 256, "            \
    "\"hidden_size\": 7168, \"inter_size\": 2048, \"moe_tp_size\": 1, \"moe_ep_size\": 8, "                  \
    "\"quant_mode\": \"" quant "\", \"workload_distribution\": \"power_law_1.2\", \"is_gated\": true" more   \
    "}}"

static op_tier moe_tier(ops_fixture *f, const char *policy, const char *json) {
    op_bound b = bind_under(f, OP_EMPIRICAL, policy, json);
    return answer(&b, OP_EMPIRICAL, tokens(300)).tier;
}

static void experts(void **state) {
    ops_fixture *f = *state;
    assert_int_equal(moe_tier(f, "off", MOE("8", "fp8_block", "")), OP_TIER_empirical);
    assert_int_equal(moe_tier(f, NULL, MOE("7", "fp8_block", "")), OP_TIER_xshape);
    assert_int_equal(moe_tier(f, "xquant,xprofile", MOE("7", "fp8_block", "")), OP_TIER_xquant);
    assert_int_equal(moe_tier(f, "xprofile", MOE("7", "fp8_block", "")), OP_TIER_xprofile);
    op_bound none = bind_under(f, OP_EMPIRICAL, "off", MOE("7", "fp8_block", ""));
    HAS(refusal(&none, OP_EMPIRICAL, tokens(300), OP_NO_EMPIRICAL).text, "own rows only");
    op_bound fp4 = bind_under(f, OP_EMPIRICAL, NULL, MOE("8", "nvfp4", ""));
    refusal(&fp4, OP_EMPIRICAL, tokens(300), OP_NO_FLOPS);
    aic_error err = {0};
    ops_fixture sglang = *f;
    sglang.view = pdb_view_get(f->db, "h200_sxm", "sglang", "0.5.14", false, true, &err);
    op_bound retired =
        bind_under(&sglang, OP_EMPIRICAL, NULL, MOE("8", "fp8_block", ", \"moe_backend\": \"deepep_moe\""));
    HAS(refusal(&retired, OP_EMPIRICAL, tokens(300), OP_MISSING).text, "retired");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_samples),  cmocka_unit_test(policies),
        cmocka_unit_test(profiles),           cmocka_unit_test(worked_examples),
        cmocka_unit_test(refused_estimates),  cmocka_unit_test(fallback_in_hybrid),
        cmocka_unit_test(samples_are_shared), cmocka_unit_test(collectives),
        cmocka_unit_test(rack_node),          cmocka_unit_test(experts),
    };
    return cmocka_run_group_tests_name("estimate", tests, ops_setup, ops_teardown);
}
