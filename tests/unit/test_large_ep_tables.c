/* links: ops. Tables of large expert parallelism merged from made-up files: precedence, shares, what makes a
 * table useless (docs/model/moe_large_ep.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/large_ep_internal.h"
#include "perfdb_maker.h"

#define HAS(text, part) assert_non_null(strstr((text), (part)))

static const char facts[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                            "directories: {box: {sglang: [\"1.0\", \"1.1\", \"1.2\"], trtllm: [\"1.0\"]}}\n";
static const char sheet[] = "gpu: {mem_bw: 1.0e+12, bfloat16_tc_flops: 1.0e+14, fp8_tc_flops: 2.0e+14, "
                            "sm_version: 100}\n"
                            "node: {num_gpus_per_node: 4, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n";

typedef struct box {
    maker m;
    pdb *db;
    aic_arena *arena;
} box;

static void start(box *b) {
    maker_start(&b->m);
    maker_text(b->m.release, "release.yaml", facts);
    maker_text(b->m.sheets, "box.yaml", sheet);
    maker_file(&b->m, "box");
    maker_head(&b->m, "aicfg-perfdb", 1, "box", "r1");
    b->arena = aic_arena_new();
}

static const pdb_view *open_view(box *b, const char *backend, const char *version) {
    aic_error err = {0};
    if (!b->db) {
        maker_close(&b->m);
        b->db = maker_open(&b->m, &err);
        assert_non_null(b->db);
    }
    const pdb_view *v = pdb_view_get(b->db, "box", backend, version, true, true, &err);
    assert_non_null(v);
    return v;
}

static void end(box *b) {
    pdb_close(b->db);
    aic_arena_free(b->arena);
    maker_end(&b->m);
}

/* The same cell in n rows. */
static void same_int(hid_t g, const char *name, size_t n, uint32_t v) {
    uint32_t cells[16];
    for (size_t i = 0; i < n; i++)
        cells[i] = v;
    maker_ints(g, name, n, cells);
}

static void same_text(hid_t g, const char *name, size_t n, const char *text) {
    const char *const members[] = {text, NULL};
    const uint8_t cells[16] = {0};
    maker_texts(g, name, members, n, cells);
}

static op_bound bind(box *b, const pdb_view *v, const char *json) {
    aic_error err = {0};
    const aic_node *n = aic_doc_json_text(b->arena, "test", json, strlen(json), &err);
    const op *o = n ? op_from_json(b->arena, n, &err) : NULL;
    if (!o)
        fail_msg("%s", err.text);
    op_binder binder = {b->arena, v, OP_SILICON, OP_POLICY_ALL};
    op_bound bound;
    op_bind(&binder, o, &bound);
    return bound;
}

/* Latency, or -1 for missing data. */
static double ask(const op_bound *b, uint32_t x) {
    op_shape shape = {.batch = 1, .s = 1, .x = x, .imbalance = 1.0};
    op_result r;
    op_refusal why = {0};
    op_class cls = op_query(b, OP_SILICON, &shape, &r, &why);
    assert_true(cls == OP_OK || cls == OP_MISSING);
    return cls == OP_OK ? r.latency : -1;
}

/* ---- exchanges ----------------------------------------------------------------------------------------- */

#define A2A(phase, backend, dtype, ep, nodes, sms)                                                           \
    "{\"MoeAllToAll\": {\"name\": \"a\", \"scale_factor\": 1, \"phase\": \"" phase                           \
    "\", \"comm_backend\": \"" backend "\", \"comm_dtype\": \"" dtype                                        \
    "\", \"hidden_size\": 64, \"topk\": 2, \"num_experts\": 16, \"moe_ep_size\": " #ep                       \
    ", \"node_num\": " #nodes ", \"sms\": " #sms "}}"

/* moe_a2a_perf: one backend, type, ep and node count; microseconds. */
static void own_rows(box *b, const char *path, const char *backend, const char *dtype, uint32_t nodes,
                     size_t n, const uint32_t *tokens, const double *latency) {
    hid_t g = maker_group(&b->m, path, "comm", (long long)n);
    same_text(g, "comm_backend", n, backend);
    same_text(g, "phase", n, "dispatch");
    same_text(g, "comm_dtype", n, dtype);
    same_int(g, "ep_size", n, 8 * nodes);
    same_int(g, "node_num", n, nodes);
    same_int(g, "hidden_size", n, 64);
    same_int(g, "topk", n, 2);
    same_int(g, "num_experts", n, 16);
    maker_ints(g, "num_tokens", n, tokens);
    maker_reals(g, "latency", n, latency);
    H5Gclose(g);
}

static void deepep_shape(hid_t g, uint32_t nodes, size_t n, const uint32_t *tokens) {
    same_int(g, "node_num", n, nodes);
    same_int(g, "hidden_size", n, 64);
    same_int(g, "num_topk", n, 2);
    same_int(g, "num_experts", n, 16);
    maker_ints(g, "num_token", n, tokens);
}

static void low_latency_rows(box *b, const char *path, size_t n, const uint32_t *tokens,
                             const double *dispatch) {
    hid_t g = maker_group(&b->m, path, "comm", (long long)n);
    deepep_shape(g, 1, n, tokens);
    maker_reals(g, "dispatch_avg_t_us", n, dispatch);
    maker_reals(g, "combine_avg_t_us", n, dispatch);
    H5Gclose(g);
}

/* The version asked for before older ones, in it the table's own file first; rows of any file fill gaps. */
static void test_precedence(void **state) {
    (void)state;
    box b = {0};
    start(&b);
    own_rows(&b, "/moe_a2a_perf/sglang/1.1", "deepep_ll", "default", 1, 4, (const uint32_t[]){1, 2, 2, 4},
             (const double[]){1100, 1200, 1250, 1400});
    own_rows(&b, "/moe_a2a_perf/sglang/1.0", "deepep_ll", "default", 1, 2, (const uint32_t[]){8, 16},
             (const double[]){2800, 3600});
    low_latency_rows(&b, "/wideep_deepep_ll_perf/sglang/1.2", 2, (const uint32_t[]){1, 1},
                     (const double[]){100, 150});
    low_latency_rows(&b, "/wideep_deepep_ll_perf/sglang/1.1", 3, (const uint32_t[]){2, 8, 32},
                     (const double[]){220, 280, 320});
    const pdb_view *v = open_view(&b, "sglang", "1.2");
    op_bound dispatch = bind(&b, v, A2A("dispatch", "deepep_ll", "default", 8, 1, 0));
    assert_true(ask(&dispatch, 1) == 0.1);   /* 1.2, an older file, before 1.1's own; its first row */
    assert_true(ask(&dispatch, 2) == 1.2);   /* 1.1: its own file before the older one; its first row */
    assert_true(ask(&dispatch, 4) == 1.4);   /* 1.1 */
    assert_true(ask(&dispatch, 8) == 0.28);  /* 1.1's older file before 1.0's own */
    assert_true(ask(&dispatch, 16) == 3.6);  /* 1.0 */
    assert_true(ask(&dispatch, 32) == 0.32); /* 1.1 */
    op_bound combine = bind(&b, v, A2A("combine", "deepep_ll", "default", 8, 1, 0));
    assert_true(ask(&combine, 4) == 0.22 + (0.28 - 0.22) * ((4.0 - 2.0) / (8.0 - 2.0)));
    /* An older version sees no newer rows. */
    dispatch = bind(&b, open_view(&b, "sglang", "1.1"), A2A("dispatch", "deepep_ll", "default", 8, 1, 0));
    assert_true(ask(&dispatch, 1) == 1.1);
    op_bound none = bind(&b, open_view(&b, "trtllm", "1.0"), A2A("dispatch", "deepep_ll", "d", 8, 1, 0));
    HAS(none.reason, "none of moe_a2a_perf, wideep_deepep_normal_perf");
    end(&b);
}

static void test_types_and_topologies(void **state) {
    (void)state;
    box b = {0};
    start(&b);
    own_rows(&b, "/moe_a2a_perf/sglang/1.0", "deepep_ll", "default", 1, 1, (const uint32_t[]){1},
             (const double[]){1000});
    own_rows(&b, "/moe_a2a_perf/sglang/1.1", "trtllm_deepep_ht", "fp8", 1, 1, (const uint32_t[]){1},
             (const double[]){2000});
    own_rows(&b, "/moe_a2a_perf/sglang/1.2", "trtllm_deepep_ht", "fp8", 2, 1, (const uint32_t[]){1},
             (const double[]){3000});
    const pdb_view *v = open_view(&b, "sglang", "1.2");
    op_bound a = bind(&b, v, A2A("dispatch", "deepep_ll", "nvfp4", 8, 1, 0));
    assert_true(ask(&a, 1) == 1.0); /* the only type is "default" */
    a = bind(&b, v, A2A("dispatch", "trtllm_deepep_ht", "fp8_block", 8, 1, 0));
    assert_true(ask(&a, 1) == 2.0); /* fp8 serves for fp8_block */
    a = bind(&b, v, A2A("dispatch", "trtllm_deepep_ht", "bfloat16", 8, 1, 0));
    HAS(a.reason, "comm_dtype bfloat16"); /* a single other type does not */
    a = bind(&b, v, A2A("dispatch", "trtllm_deepep_ht", "fp8", 16, 2, 0));
    assert_true(ask(&a, 1) == 3.0 && !a.substitutions);
    a = bind(&b, v, A2A("dispatch", "trtllm_deepep_ht", "fp8", 32, 4, 0));
    assert_true(ask(&a, 1) == 2.0 &&
                a.substitutions->measured_ep == 8); /* SGLang: 8 ranks, on 4-GPU nodes too */
    a = bind(&b, v, A2A("dispatch", "trtllm_deepep_ht", "fp8", 4, 1, 0));
    HAS(a.reason, "no rows with ep_size 4"); /* one node stands in for several only */
    end(&b);
}

/* TRT-LLM: kernels and operations become backends, phases and types. */
static void test_nvlink_rows(void **state) {
    (void)state;
    static const char *const kernels[] = {"NVLinkTwoSided", "NVLinkOneSided", "DeepEP", NULL};
    static const char *const operations[] = {"alltoall_prepare", "alltoall_dispatch",
                                             "alltoall_combine_low_precision", "alltoall_other", NULL};
    enum { N = 6 };
    box b = {0};
    start(&b);
    hid_t g = maker_group(&b.m, "/trtllm_alltoall_perf/trtllm/1.0", "comm", N);
    maker_texts(g, "kernel_source", kernels, N, (const uint8_t[]){0, 0, 0, 1, 2, 0});
    maker_texts(g, "op_name", operations, N, (const uint8_t[]){0, 1, 2, 1, 1, 3});
    same_text(g, "moe_dtype", N, "nvfp4");
    same_int(g, "hidden_size", N, 64);
    same_int(g, "topk", N, 2);
    same_int(g, "num_experts", N, 16);
    same_int(g, "moe_ep_size", N, 8);
    same_int(g, "num_tokens", N, 1);
    maker_reals(g, "latency", N, (const double[]){1, 2, 3, 4, 5, 6});
    H5Gclose(g);
    const pdb_view *v = open_view(&b, "trtllm", "1.0");
    op_bound a = bind(&b, v, A2A("prepare", "nvlink_two_sided", "nvfp4", 8, 2, 0));
    assert_true(ask(&a, 1) == 1.0);
    a = bind(&b, v, A2A("dispatch", "nvlink_two_sided", "nvfp4", 8, 2, 0));
    assert_true(ask(&a, 1) == 2.0);
    a = bind(&b, v, A2A("combine", "nvlink_two_sided", "fp4", 8, 2, 0));
    assert_true(ask(&a, 1) == 3.0);
    a = bind(&b, v, A2A("dispatch", "nvlink_one_sided", "nvfp4", 8, 2, 0));
    assert_true(ask(&a, 1) == 4.0);
    a = bind(&b, v, A2A("dispatch", "nvlink_one_sided", "nvfp4", 16, 4, 0));
    HAS(a.reason, "ep_size 16"); /* nothing stands in */
    assert_int_equal(pdb_table_rows(a2a_table(v, NULL)), 4);
    end(&b);
}

/* Off its tuned budget a high-throughput phase takes its share of what both phases take together. */
static void test_shares(void **state) {
    (void)state;
    enum { N = 4 };
    box b = {0};
    start(&b);
    hid_t g = maker_group(&b.m, "/wideep_deepep_normal_perf/sglang/1.2", "comm", N);
    deepep_shape(g, 1, N, (const uint32_t[]){1, 1, 1, 2});
    maker_ints(g, "dispatch_sms", N, (const uint32_t[]){12, 20, 24, 24});
    maker_reals(g, "dispatch_transmit_us", N, (const double[]){1000, 2000, 3000, 4000});
    maker_reals(g, "dispatch_notify_us", N, (const double[]){1000, 0, 0, 0});
    maker_reals(g, "combine_transmit_us", N, (const double[]){3000, 6000, 9000, 9000});
    maker_reals(g, "combine_notify_us", N, (const double[]){3000, 0, 0, 0});
    H5Gclose(g);
    own_rows(&b, "/moe_a2a_perf/sglang/1.2", "deepep_ht", "default", 2, 1, (const uint32_t[]){1},
             (const double[]){7000});
    const pdb_view *v = open_view(&b, "sglang", "1.2");
    op_bound tuned = bind(&b, v, A2A("dispatch", "deepep_ht", "default", 8, 1, 20)),
             other = bind(&b, v, A2A("dispatch", "deepep_ht", "default", 8, 1, 12)),
             between = bind(&b, v, A2A("dispatch", "deepep_ht", "default", 8, 1, 16)),
             alone = bind(&b, v, A2A("dispatch", "deepep_ht", "default", 16, 2, 20));
    assert_true(ask(&tuned, 1) == 2.0);
    assert_true(ask(&other, 1) == 2.0 * 8.0 / (2.0 + 6.0));
    assert_true(ask(&between, 1) == 2.0 * 8.0 / (2.0 + 6.0));
    assert_true(ask(&alone, 1) == 7.0); /* the other phase is not measured: the phase by itself */
    assert_true(ask(&tuned, 0) == -1 && ask(&other, 0) == -1);
    end(&b);
}

/* ---- experts ------------------------------------------------------------------------------------------- */

/* distribution: index per row of {"power", "uniform", "late"}. own: the table's own columns too. */
static void expert_rows(box *b, const char *path, bool own, size_t n, const uint8_t *distribution,
                        const uint32_t *tokens, const double *latency) {
    static const char *const distributions[] = {"power", "uniform", "late", NULL};
    hid_t g = maker_group(&b->m, path, "moe", (long long)n);
    same_text(g, "moe_dtype", n, "fp8");
    maker_texts(g, "distribution", distributions, n, distribution);
    same_int(g, "topk", n, 2);
    same_int(g, "num_experts", n, 16);
    same_int(g, "hidden_size", n, 64);
    same_int(g, "inter_size", n, 32);
    same_int(g, "moe_ep_size", n, 8);
    maker_ints(g, "num_tokens", n, tokens);
    maker_reals(g, "latency", n, latency);
    if (own) {
        same_text(g, "kernel_source", n, "deepep_moe");
        same_text(g, "inference_phase", n, "context");
        same_int(g, "num_slots", n, 16);
        same_int(g, "moe_tp_size", n, 1);
    }
    H5Gclose(g);
}

#define EXPERTS(distribution, phase, more)                                                                   \
    "{\"MoeExpertCompute\": {\"name\": \"e\", \"scale_factor\": 1, \"hidden_size\": 64, "                    \
    "\"inter_size\": 32, \"topk\": 2, \"num_experts\": 16, \"moe_ep_size\": 8, \"quant_mode\": \"fp8\", "    \
    "\"workload_distribution\": \"" distribution                                                             \
    "\", \"attention_dp_size\": 1, \"inference_phase\": \"" phase "\"" more "}}"

static void test_experts(void **state) {
    (void)state;
    box b = {0};
    start(&b);
    expert_rows(&b, "/wideep_context_moe_perf/sglang/1.2", false, 4, (const uint8_t[]){0, 0, 0, 1},
                (const uint32_t[]){8, 10, 16, 8}, (const double[]){8, 10, 16, 80});
    expert_rows(&b, "/wideep_generation_moe_perf/sglang/1.2", false, 3, (const uint8_t[]){2, 0, 0},
                (const uint32_t[]){8, 8, 16}, (const double[]){5, 6, 7});
    expert_rows(&b, "/moe_expert_compute_perf/sglang/1.0", true, 2, (const uint8_t[]){0, 0},
                (const uint32_t[]){16, 16}, (const double[]){160, 170});
    const pdb_view *v = open_view(&b, "sglang", "1.2");
    op_bound e = bind(&b, v, EXPERTS("power", "context", ""));
    assert_true(ask(&e, 8) == 8.0);
    assert_true(ask(&e, 16) == 160.0); /* an older version's own file overrides; its first row */
    e = bind(&b, v, EXPERTS("power", "context", ", \"enable_eplb\": true"));
    assert_true(ask(&e, 13) == 10.0); /* a fifth of the tokens off, rounded down */
    e = bind(&b, v, EXPERTS("power", "generation", ", \"enable_eplb\": true"));
    assert_true(ask(&e, 16) == 7.0);
    e = bind(&b, v, EXPERTS("unheard_of", "context", ""));
    assert_true(ask(&e, 8) == 80.0 && ask(&e, 4) == -1); /* uniform; a single point answers from there on */
    e = bind(&b, v, EXPERTS("uniform", "generation", ""));
    assert_true(ask(&e, 8) == 6.0); /* seen first over all phases, though another comes first in this one */
    e = bind(&b, v, EXPERTS("power", "context", ", \"num_slots\": 18"));
    HAS(e.reason, "num_slots 18");
    end(&b);
}

/* TRT-LLM takes the measured kernel whatever its name, in both phases. */
static void test_trtllm_experts(void **state) {
    (void)state;
    box b = {0};
    start(&b);
    hid_t g = maker_group(&b.m, "/wideep_moe_perf/trtllm/1.0", "moe", 2);
    same_text(g, "moe_dtype", 2, "fp8");
    maker_texts(g, "kernel_source", (const char *const[]){"zeta", "alpha", NULL}, 2, (const uint8_t[]){0, 1});
    same_text(g, "distribution", 2, "power");
    same_int(g, "topk", 2, 2);
    same_int(g, "num_experts", 2, 16);
    same_int(g, "num_slots", 2, 18);
    same_int(g, "hidden_size", 2, 64);
    same_int(g, "inter_size", 2, 32);
    same_int(g, "moe_tp_size", 2, 1);
    same_int(g, "moe_ep_size", 2, 8);
    same_int(g, "num_tokens", 2, 4);
    maker_reals(g, "latency", 2, (const double[]){1, 2});
    H5Gclose(g);
    const pdb_view *v = open_view(&b, "trtllm", "1.0");
    op_bound e = bind(&b, v, EXPERTS("power", "context", ", \"num_slots\": 18"));
    assert_true(ask(&e, 4) == 2.0);
    e = bind(&b, v, EXPERTS("power", "generation", ", \"num_slots\": 18, \"kernel_source\": \"zeta\""));
    assert_true(ask(&e, 4) == 1.0);
    e = bind(&b, v, EXPERTS("power", "generation", ""));
    HAS(e.reason, "(Moe)"); /* no such slots: Moe is asked, which has no table here */
    end(&b);
}

/* ---- the fused module ---------------------------------------------------------------------------------- */

typedef struct module_rows {
    uint32_t graph, gate, scale; /* flags of the second row */
    const char *phase, *dtype;   /* of both */
    uint32_t tokens[2];
} module_rows;

static void add_module(box *b, const char *path, const module_rows *r) {
    hid_t g = maker_group(&b->m, path, "moe", 2);
    same_text(g, "phase", 2, r->phase);
    same_text(g, "kernel_dtype", 2, "fp8_fp4");
    same_text(g, "moe_dtype", 2, r->dtype);
    same_text(g, "pre_dispatch", 2, "jit");
    same_text(g, "source_policy", 2, "random");
    same_text(g, "distribution", 2, "balanced");
    same_int(g, "topk", 2, 2);
    same_int(g, "num_experts", 2, 16);
    same_int(g, "hidden_size", 2, 64);
    same_int(g, "inter_size", 2, 32);
    same_int(g, "moe_ep_size", 2, 8);
    maker_ints(g, "num_tokens", 2, r->tokens);
    maker_ints(g, "used_cuda_graph", 2, (const uint32_t[]){1, r->graph});
    maker_ints(g, "includes_gate_topk", 2, (const uint32_t[]){0, r->gate});
    maker_ints(g, "includes_routed_scale", 2, (const uint32_t[]){1, r->scale});
    maker_reals(g, "latency", 2, (const double[]){1.0, 3.0});
    maker_reals(g, "power", 2, (const double[]){100.0, 200.0});
    H5Gclose(g);
}

#define MODULE                                                                                               \
    "{\"Dsv4MegaMoe\": {\"name\": \"m\", \"scale_factor\": 2, \"hidden_size\": 64, \"inter_size\": 32, "     \
    "\"topk\": 2, \"num_experts\": 16, \"moe_tp_size\": 1, \"moe_ep_size\": 8, \"quant_mode\": \"fp8\", "    \
    "\"workload_distribution\": \"uniform\", \"is_context\": true, \"source_policy\": \"random\", "          \
    "\"pre_dispatch\": \"jit\", \"num_fused_shared_experts\": 0, "                                           \
    "\"kernel_source\": \"deepgemm_megamoe\", \"kernel_dtype\": \"fp8_fp4\"}}"

static void test_module(void **state) {
    (void)state;
    box b = {0};
    start(&b);
    add_module(&b, "/dsv4_megamoe_module_perf/sglang/1.1", &(module_rows){1, 0, 1, "context", "fp8", {4, 8}});
    op_bound m = bind(&b, open_view(&b, "sglang", "1.1"), MODULE);
    assert_true(ask(&m, 4) == 2.0);
    op_shape shape = {.batch = 1, .s = 1, .x = 8, .imbalance = 1.0};
    op_result r;
    assert_int_equal(op_query(&m, OP_HYBRID, &shape, &r, NULL), OP_OK);
    assert_true(r.latency == 6.0 && r.energy == 1200.0 && r.source == OP_SRC_silicon);
    assert_int_equal(op_query(&m, OP_EMPIRICAL, &shape, &r, NULL), OP_MISSING);
    assert_true(op_weight_bytes(m.op) == 2.0 * 64 * 32 * 16 * 3 / 8);
    /* Nothing is inherited. */
    m = bind(&b, open_view(&b, "sglang", "1.2"), MODULE);
    HAS(m.reason, "no rows of sglang 1.2 itself");
    end(&b);
}

static void test_useless_modules(void **state) {
    (void)state;
    static const struct {
        module_rows rows;
        const char *why;
    } cases[] = {{{0, 0, 1, "context", "fp8", {4, 8}}, "without CUDA graph"},
                 {{1, 1, 1, "context", "fp8", {4, 8}}, "gate's top-k"},
                 {{1, 0, 0, "context", "fp8", {4, 8}}, "routed scale"},
                 {{1, 0, 1, "encoder", "fp8", {4, 8}}, "a phase other than"},
                 {{1, 0, 1, "context", "fp7", {4, 8}}, "unknown moe_dtype"},
                 {{1, 0, 1, "context", "fp8", {4, 4}}, "rows of equal keys"}};
    for (size_t i = 0; i < OP_COUNT(cases); i++) {
        box b = {0};
        start(&b);
        add_module(&b, "/dsv4_megamoe_module_perf/sglang/1.2", &cases[i].rows);
        op_bound m = bind(&b, open_view(&b, "sglang", "1.2"), MODULE);
        assert_int_equal(m.refused, OP_MISSING);
        HAS(m.reason, cases[i].why);
        end(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),  cmocka_unit_test(test_types_and_topologies),
        cmocka_unit_test(test_nvlink_rows), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_experts),     cmocka_unit_test(test_trtllm_experts),
        cmocka_unit_test(test_module),      cmocka_unit_test(test_useless_modules),
    };
    return cmocka_run_group_tests_name("large_ep_tables", tests, NULL, NULL);
}
