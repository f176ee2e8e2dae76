/* links: ops. Latent attention over made-up tables: native head counts, faults, kernels that stand in. */
#include "ops_cases.h"
#include "perfdb_maker.h"

static const char facts[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                            "directories: {box: {vllm: [1.0], sglang: [1.0]}}\n"
                            "cross_backend: []\n";

enum { ROWS = 3 };
typedef struct module_row {
    uint8_t model;
    uint32_t heads, tp;
} module_row;

static const char *const models[] = {"deepseek-ai/DeepSeek-R1", "moonshotai/Kimi-K3", "someone/Else", "",
                                     NULL};
enum { R1, K3, ELSE, NONE };

/* Module tables whose rows take 1 ms for the first model and 2 ms for the second. */
static void add_module(maker *m, const char *path, const module_row rows[ROWS], bool with_tp) {
    static const char *const fp8[] = {"fp8", "bfloat16", NULL};
    uint8_t model[ROWS];
    uint32_t heads[ROWS], tp[ROWS];
    double latency[ROWS];
    for (int i = 0; i < ROWS; i++) {
        model[i] = rows[i].model;
        heads[i] = rows[i].heads;
        tp[i] = rows[i].tp;
        latency[i] = 1.0 + rows[i].model;
    }
    hid_t g = maker_group(m, path, "mla", ROWS);
    maker_texts(g, "mla_dtype", fp8, ROWS, (const uint8_t[ROWS]){1, 1, 1});
    maker_texts(g, "kv_cache_dtype", fp8, ROWS, (const uint8_t[ROWS]){0});
    maker_texts(g, "gemm_type", fp8, ROWS, (const uint8_t[ROWS]){1, 1, 1});
    maker_texts(g, "model", models, ROWS, model);
    maker_ints(g, "num_heads", ROWS, heads);
    if (with_tp)
        maker_ints(g, "tp_size", ROWS, tp);
    maker_ints(g, "isl", ROWS, (const uint32_t[ROWS]){1, 1, 1});
    maker_ints(g, "step", ROWS, (const uint32_t[ROWS]){99, 99, 99});
    maker_ints(g, "batch_size", ROWS, (const uint32_t[ROWS]){4, 4, 4});
    maker_reals(g, "latency", ROWS, latency);
    H5Gclose(g);
}

static void add_wideep(maker *m) {
    static const char *const kernels[] = {"trtllm_mla", "other", NULL}, *const fp8[] = {"fp8", NULL};
    hid_t g = maker_group(m, "/wideep_generation_mla_perf/sglang/1.0", "mla", 2);
    maker_texts(g, "kernel_source", kernels, 2, (const uint8_t[]){0, 1});
    maker_texts(g, "kv_cache_dtype", fp8, 2, (const uint8_t[]){0, 0});
    maker_ints(g, "num_heads", 2, (const uint32_t[]){16, 16});
    maker_ints(g, "isl", 2, (const uint32_t[]){1, 1});
    maker_ints(g, "step", 2, (const uint32_t[]){99, 99});
    maker_ints(g, "batch_size", 2, (const uint32_t[]){4, 4});
    maker_reals(g, "latency", 2, (const double[]){3, 5});
    maker_reals(g, "power", 2, (const double[]){100, 100});
    H5Gclose(g);
}

static const char sheet[] =
    "gpu: {mem_bw: 1.0e+12, bfloat16_tc_flops: 1.0e+14, fp8_tc_flops: 2.0e+14, sm_version: 90}\n"
    "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n"
    "misc: {nccl_version: 2.27, nccl_mem: {1: 0, 8: 5}}\n";

typedef struct box {
    maker m;
    ops_fixture f;
} box;

static void open_box(box *x, const char *spec_sheet, const module_row rows[ROWS], bool with_tp) {
    aic_error err = {0};
    maker_start(&x->m);
    maker_text(x->m.sheets, "box.yaml", spec_sheet);
    maker_text(x->m.release, "release.yaml", facts);
    maker_file(&x->m, "box");
    maker_head(&x->m, "aicfg-perfdb", 1, "box", "r1");
    add_module(&x->m, "/mla_generation_module_perf/vllm/1.0", rows, with_tp);
    add_wideep(&x->m);
    maker_close(&x->m);
    x->f = (ops_fixture){.db = maker_open(&x->m, &err), .arena = aic_arena_new()};
    assert_non_null(x->f.db);
    x->f.view = pdb_view_get(x->f.db, "box", "vllm", "1.0", false, false, &err);
    assert_non_null(x->f.view);
}

static void close_box(box *x) {
    pdb_close(x->f.db);
    aic_arena_free(x->f.arena);
    maker_end(&x->m);
}

static op_bound module(box *x, op_mode mode, const char *native) {
    char json[400];
    snprintf(json, sizeof json,
             "{\"MlaModuleGeneration\": {\"name\": \"m\", \"scale_factor\": 1, \"num_heads\": 8, "
             "\"kv_cache_dtype\": \"fp8\", \"fmha_quant_mode\": \"bfloat16\", \"gemm_quant_mode\": "
             "\"bfloat16\", \"native_num_heads\": %s}}",
             native);
    return bind_op(&x->f, mode, json);
}

static const op_shape step = {.batch = 4, .s = 100, .x = 4, .imbalance = 1.0};

/* The op's own native head count, else the next lower one, else the lowest. */
static void test_native_heads(void **state) {
    (void)state;
    static const struct {
        const char *native;
        double latency;
    } cases[] = {{"128", 1}, {"96", 2}, {"200", 1}, {"127", 2}, {"64", 2}, {"0", 2}};
    box x;
    open_box(&x, sheet, (const module_row[ROWS]){{R1, 8, 16}, {K3, 8, 12}, {K3, 8, 0}}, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        op_bound b = module(&x, OP_SILICON, cases[i].native), e = module(&x, OP_EMPIRICAL, cases[i].native);
        assert_true(answer(&b, OP_SILICON, step).latency == cases[i].latency);
        assert_true(fabs(answer(&e, OP_EMPIRICAL, step).latency - cases[i].latency) < 1e-12);
    }
    op_bound none = module(&x, OP_SILICON, "null"), guess = module(&x, OP_EMPIRICAL, "null");
    HAS(refusal(&none, OP_SILICON, step, OP_MISSING).text, "native_num_heads must say which");
    refusal(&guess, OP_EMPIRICAL, step, OP_NO_EMPIRICAL);
    close_box(&x);
}

static void test_single_native_count(void **state) {
    (void)state;
    static const char *const natives[] = {"null", "0", "96", "4294967295"};
    box x;
    open_box(&x, sheet, (const module_row[ROWS]){{R1, 8, 0}, {R1, 16, 0}, {R1, 32, 0}}, false);
    for (size_t i = 0; i < sizeof natives / sizeof natives[0]; i++) {
        op_bound b = module(&x, OP_SILICON, natives[i]);
        assert_true(answer(&b, OP_SILICON, step).latency == 1.0);
    }
    close_box(&x);
}

/* One bad row makes the whole table unusable. */
static void test_faults(void **state) {
    (void)state;
    static const struct {
        module_row row;
        const char *text;
    } cases[] = {{{ELSE, 8, 1}, "model whose head count is not known"},
                 {{NONE, 8, 1}, "names no model"},
                 {{R1, 8, 2}, "num_heads x tp_size"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        box x;
        open_box(&x, sheet, (const module_row[ROWS]){{R1, 8, 1}, {R1, 16, 8}, cases[i].row}, true);
        op_bound b = module(&x, OP_SILICON, "null");
        HAS(refusal(&b, OP_SILICON, step, OP_MISSING).text, cases[i].text);
        close_box(&x);
    }
}

static op_bound wideep(box *x, op_mode mode, const char *backend, const char *kv) {
    char json[400];
    snprintf(json, sizeof json,
             "{\"WideEpGenerationMla\": {\"name\": \"w\", \"scale_factor\": 1, \"num_heads\": 16, "
             "\"kv_cache_dtype\": \"%s\", \"fmha_quant_mode\": \"bfloat16\", \"attn_backend\": \"%s\"}}",
             kv, backend);
    return bind_op(&x->f, mode, json);
}

static void on_sglang(box *x, const char *spec_sheet) {
    aic_error err = {0};
    open_box(x, spec_sheet, (const module_row[ROWS]){{R1, 8, 0}, {R1, 16, 0}, {R1, 32, 0}}, false);
    x->f.view = pdb_view_get(x->f.db, "box", "sglang", "1.0", false, false, &err);
    assert_non_null(x->f.view);
}

/* trtllm_mla stands in for both backends and no other kernel does; an estimate goes by any kernel's name. */
static void test_wideep_kernels(void **state) {
    (void)state;
    box x;
    on_sglang(&x, sheet);
    static const char *const backends[] = {"flashinfer", "fa3"};
    for (int i = 0; i < 2; i++) {
        op_bound b = wideep(&x, OP_SILICON, backends[i], "fp8"),
                 kv = wideep(&x, OP_SILICON, backends[i], "bfloat16");
        op_result r = answer(&b, OP_SILICON, step);
        assert_true(r.latency == 3.0 && r.energy == 0.0); /* power is not read */
        HAS(refusal(&kv, OP_SILICON, step, OP_MISSING).text, "no rows with kernel_source");
    }
    op_bound own = wideep(&x, OP_SILICON, "trtllm_mla", "fp8"),
             other = wideep(&x, OP_EMPIRICAL, "other", "fp8"),
             unknown = wideep(&x, OP_EMPIRICAL, "third", "fp8");
    refusal(&own, OP_SILICON, step, OP_INVALID);
    assert_true(fabs(answer(&other, OP_EMPIRICAL, step).latency - 5.0) < 1e-12);
    refusal(&unknown, OP_EMPIRICAL, step, OP_INVALID);
    close_box(&x);
}

/* A missing table comes first, then a wrong backend, then missing FLOPS. */
static void test_wideep_order_of_refusals(void **state) {
    (void)state;
    aic_error err = {0};
    box x;
    on_sglang(&x, MAKER_SHEET); /* no fp8 unit */
    op_bound plain = wideep(&x, OP_SILICON, "fa3", "fp8"), wrong = wideep(&x, OP_SILICON, "other", "fp8");
    refusal(&plain, OP_SILICON, step, OP_NO_FLOPS);
    refusal(&wrong, OP_SILICON, step, OP_INVALID);
    x.f.view = pdb_view_get(x.f.db, "box", "vllm", "1.0", false, false, &err);
    assert_non_null(x.f.view);
    op_bound none = wideep(&x, OP_SILICON, "other", "fp8"), hybrid = wideep(&x, OP_HYBRID, "fa3", "fp8");
    refusal(&none, OP_SILICON, step, OP_MISSING);
    refusal(&hybrid, OP_HYBRID, step, OP_NO_FLOPS);
    close_box(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_heads),
        cmocka_unit_test(test_single_native_count),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_wideep_kernels),
        cmocka_unit_test(test_wideep_order_of_refusals),
    };
    return cmocka_run_group_tests_name("mla_tables", tests, NULL, NULL);
}
