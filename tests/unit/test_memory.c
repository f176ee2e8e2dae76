/* Memory model, verdicts, default fractions and the backend files. links: serving */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/serving_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static srv_memory plan_for(srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                           const pdb_system *sys) {
    srv_memory m;
    op_refusal why;
    assert_true(srv_memory_plan(d, b, facts, sys, &m, &why));
    m.kv_bytes = fake_kv_bytes;
    m.kv_ctx = &FAKE_KV;
    return m;
}

static void parts_by_hand(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    d.built.par.pp = 2;
    srv_memory m = plan_for(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM);
    srv_workload w = {.batch = 4, .isl = 5000, .osl = 200, .prefix = 1000};
    srv_footprint f;
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    double act = 2.0 * (4000.0 * 4.0) * 4096.0 * 11.0, kv = 4.0 * (131072.0 * 5200.0);
    assert_true(f.weights == 8e9 / 2.0 / SRV_GIB);
    assert_true(f.activations == act / SRV_GIB);
    assert_true(f.kvcache == kv / SRV_GIB);
    assert_true(f.nccl == 0 && f.others == 3.5);
    assert_true(f.total == (4e9 + act + kv + 0.0 + 3758096384.0) / SRV_GIB);
    assert_false(f.oom || f.kv_oom);
    srv_memory_at(&m, SRV_static_ctx, 1, &w, NULL, &f);
    assert_true(f.kvcache == 4.0 * (131072.0 * 5001.0) / SRV_GIB);
    srv_memory_at(&m, SRV_static_gen, 3, &w, NULL, &f);
    assert_true(f.kvcache == 4.0 * (131072.0 * 5600.0) / SRV_GIB);
    assert_true(f.activations == 70.0 / 1024.0); /* 12 decode tokens: the floor */
    aic_arena_free(d.arena);
}

static void drafts_widen_decode_only(void **state) {
    (void)state;
    bool inexact = false;
    srv_deployment d = fake_deployment(SRV_static);
    d.built.nextn = 3;
    srv_memory m = plan_for(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM);
    srv_workload w = {.batch = 1, .isl = 100, .osl = 10};
    srv_footprint f;
    srv_memory_at(&m, SRV_static_gen, 1, &w, NULL, &f);
    assert_true(f.activations == 4.0 * 70.0 / 1024.0);
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    assert_true(f.activations == 70.0 / 1024.0);
    m.floor = 1e8 / 3; /* times and over the tokens of a prefill, which do not always cancel */
    w.isl = 5;
    for (uint32_t batch = 1; batch < 40; batch++) {
        double tokens = 5.0 * batch;
        w.batch = batch;
        srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
        assert_true(f.activations == m.floor * tokens / tokens / SRV_GIB);
        inexact = inexact || m.floor * tokens / tokens != m.floor;
    }
    assert_true(inexact);
    aic_arena_free(d.arena);
}

static void expert_workspace(void **state) {
    (void)state;
    static const char *const families[] = {"GEMMA4MIX", "DEEPSEEK"}, *const wide[] = {"GEMMA4MIX"};
    srv_backend b = *fake_backend();
    b.n_workspace = 2;
    b.workspace = families;
    b.n_hidden = 1;
    b.hidden = wide;
    srv_deployment d = fake_deployment(SRV_static_ctx);
    d.built.par.dp = 2;
    d.built.par.moe_ep = 4;
    srv_facts facts = {
        .family = "DEEPSEEK", .heads = 8, .head_dim = 64, .hidden = 7168, .experts = 256, .topk = 8};
    srv_workload w = {.batch = 1, .isl = 32768, .osl = 1};
    for (int hidden = 0; hidden < 2; hidden++) {
        facts.family = hidden ? "GEMMA4MIX" : "DEEPSEEK";
        srv_memory m = plan_for(&d, &b, &facts, &FAKE_SYSTEM);
        srv_footprint f;
        srv_memory_at(&m, SRV_static_ctx, 1, &w, NULL, &f);
        double width = hidden ? 7168.0 : 512.0;
        double act = 2.0 * 32768.0 * 512.0 * 11.0 + 32768.0 * width * 2.0 * 256.0 * 8.0 / 4.0 / 128.0 * 4.0;
        assert_true(f.activations == act / SRV_GIB);
    }
    aic_arena_free(d.arena);
}

static void verdicts(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    srv_memory m = plan_for(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM);
    srv_workload w = {.batch = 1, .isl = 1000, .osl = 0};
    srv_footprint f;
    w.isl = 600000; /* 73 GiB of KV cache and an activation of 50 GiB: beyond the capacity */
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    assert_true(f.oom && !f.kv_oom);
    w = (srv_workload){.batch = 64, .isl = 9000, .osl = 0, .prefix = 8990}; /* 70.3 GiB of KV, little else */
    m.weights = 0;
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    assert_true(!f.oom && f.kv_oom);
    double rest = f.total - f.kvcache;
    assert_true(f.kvcache > (80.0 - rest) * 0.9 * ((1 - 0.015) * (1 - 0.02)));
    w.isl = 8300;
    w.prefix = 8290;
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    assert_true(!f.oom && !f.kv_oom);
    m.of_total = true; /* of 80 GiB less what is no KV cache, instead of what that leaves */
    m.fraction = 0.85;
    srv_memory_at(&m, SRV_static, 1, &w, NULL, &f);
    assert_true(f.kv_oom);
    aic_arena_free(d.arena);
}

static void arguments_count_only_when_honoured(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    d.request.free_gpu_memory_fraction = 0.25;
    d.request.max_seq_len = 100000;
    srv_memory m = plan_for(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM);
    assert_true(m.fraction == 0.9 && m.max_seq_len == 0);
    d.tuning.honour_memory_args = true;
    m = plan_for(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM);
    srv_footprint f;
    srv_memory_at(&m, SRV_static, 1, &(srv_workload){.batch = 2, .isl = 10, .osl = 10}, NULL, &f);
    assert_true(m.fraction == 0.25 && f.kvcache == 2.0 * 131072.0 * 100000.0 / SRV_GIB);
    aic_arena_free(d.arena);
}

static void refusals(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    srv_memory m;
    op_refusal why;
    d.built.par.tp = 3;
    assert_false(srv_memory_plan(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM, &m, &why));
    assert_int_equal(why.cls, OP_INVALID);
    d.built.par.tp = 16; /* as 8 */
    assert_true(srv_memory_plan(&d, fake_backend(), &FAKE_FACTS, &FAKE_SYSTEM, &m, &why));
    assert_true(m.coefficient == 5 && m.nccl == 411041792);
    pdb_system bare = FAKE_SYSTEM;
    bare.nccl_mem[3] = -1;
    assert_false(srv_memory_plan(&d, fake_backend(), &FAKE_FACTS, &bare, &m, &why));
    assert_int_equal(why.cls, OP_MISSING);
    assert_non_null(strstr(why.text, "nccl_mem"));
    bare = FAKE_SYSTEM;
    bare.mem_capacity = 0;
    assert_false(srv_memory_plan(&d, fake_backend(), &FAKE_FACTS, &bare, &m, &why));
    bare = FAKE_SYSTEM;
    bare.other_mem = -1;
    assert_false(srv_memory_plan(&d, fake_backend(), &FAKE_FACTS, &bare, &m, &why));
    aic_arena_free(d.arena);
}

static srv_backends *shipped(void) {
    aic_error err = {0};
    srv_backends *b = srv_backends_open(AICFG_DATA_DIR "/backends", &err);
    assert_string_equal(err.text, "");
    assert_non_null(b);
    return b;
}

static void default_fractions(void **state) {
    (void)state;
    srv_backends *all = shipped();
    pdb_system sys = FAKE_SYSTEM;
    mdl_parallel par = {.tp = 1, .pp = 1, .dp = 1, .cp = 1};
    assert_int_equal(srv_backend_count(all), 3);
    assert_string_equal(srv_backend_name(all, 0), "sglang");
    assert_true(srv_default_fraction(srv_backend_find(all, "trtllm"), "1.0", &sys, &par) == 0.9);
    const srv_backend *vllm = srv_backend_find(all, "vllm");
    assert_true(srv_default_fraction(vllm, "0.14.0", &sys, &par) == 0.9);
    assert_true(srv_default_fraction(vllm, "0.19.1", &sys, &par) == 0.9);
    assert_true(srv_default_fraction(vllm, "0.20.0", &sys, &par) == 0.92);
    const srv_backend *sglang = srv_backend_find(all, "sglang");
    /* 81920 MiB: chunk 8192, 256 graphs below tp 4; reserve 512 + 12288 + 128 + 512 = 13440 */
    assert_true(srv_default_fraction(sglang, "0.5", &sys, &par) == 0.836);
    par = (mdl_parallel){.tp = 4, .pp = 2, .dp = 2, .cp = 1};
    /* 512 graphs: 512 + 12288 + 1024 + 1024 + 3072 + 1536 = 19456 */
    assert_true(srv_default_fraction(sglang, "0.5", &sys, &par) == 0.762);
    sys.mem_capacity = 24 * SRV_GIB;
    par = (mdl_parallel){.tp = 1, .pp = 1, .dp = 1, .cp = 1};
    /* 24576 MiB: chunk 2048, 24 graphs: 512 + 3072 + 128 + 48 = 3760 */
    assert_true(srv_default_fraction(sglang, "0.5", &sys, &par) == 0.847);
    assert_null(srv_backend_find(all, "tgi"));
    srv_backends_close(all);
}

static void coefficients_by_family(void **state) {
    (void)state;
    srv_backends *all = shipped();
    srv_deployment d = fake_deployment(SRV_static);
    srv_facts facts = FAKE_FACTS;
    static const struct {
        const char *backend, *family;
        uint32_t tp;
        double want;
    } rows[] = {{"trtllm", "LLAMA", 2, 6.5},    {"vllm", "MOE", 1, 22},      {"sglang", "MOE", 8, 13},
                {"sglang", "LLAMA", 4, 6.5},    {"trtllm", "QWEN35", 1, 10}, {"sglang", "KIMIK3", 2, 17},
                {"sglang", "NEMOTRONH", 1, 13}, {"vllm", "KIMIK3", 4, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        facts.family = rows[i].family;
        d.built.par.tp = rows[i].tp;
        srv_memory m = plan_for(&d, srv_backend_find(all, rows[i].backend), &facts, &FAKE_SYSTEM);
        assert_true(m.coefficient == rows[i].want);
        assert_true(m.floor == (strcmp(rows[i].backend, "sglang") == 0 ? 90 : 70) * SRV_MIB);
    }
    srv_backends_close(all);
    aic_arena_free(d.arena);
}

/* Reads a folder holding one file with the given text. */
static bool reads(const char *text, aic_error *err) {
    char dir[] = "/tmp/aicfg-backends-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    srv_backends *b = srv_backends_open(dir, err);
    bool ok = b != NULL;
    srv_backends_close(b);
    unlink(path);
    rmdir(dir);
    return ok;
}

#define FORMAT "format: aicfg-backend\nversion: 1\n"
#define HEAD                                                                                                 \
    FORMAT "backend: x\nactivations: {floor_mib: 1, factor: 1, coefficients: {default: [1, 2, 3, 4]}}\n"     \
           "moe_workspace: {families: [], hidden_width: []}\nothers_factor: 1\n"

static void malformed_files(void **state) {
    (void)state;
    aic_error err = {0};
    assert_true(
        reads(HEAD "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0, fraction: 0.5}\n", &err));
    static const char *const bad[] = {
        "",
        "[]",
        "backend: x\n",
        FORMAT "backend: x\n",
        "format: aicfg-backend\nversion: 2\n",
        "format: other\nversion: 1\n",
        HEAD,
        HEAD "kv_budget: 3\n",
        HEAD "kv_budget: {}\n",
        HEAD "extra: 1\n",
        HEAD "kv_budget: {fraction_of: half, reserved: 0, tolerance: 0, fraction: 0.5}\n",
        HEAD "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0, fraction: 1.5}\n",
        HEAD "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0}\n",
        HEAD "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0, fraction: 0.5, fraction_by_version: "
             "[1]}\n",
        HEAD "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0, fraction_from_reserve: 1}\n",
        HEAD
        "kv_budget: {fraction_of: free, reserved: 0, tolerance: 0, fraction_from_reserve: {tiers: []}}\n",
        FORMAT "backend: x\nactivations: {floor_mib: 1, factor: 1, coefficients: {default: [1, 2, 3]}}\n",
        FORMAT "backend: x\nactivations: {floor_mib: 1, factor: 1, coefficients: {}}\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (aic_error){0};
        assert_false(reads(bad[i], &err));
        assert_int_equal(err.code, AIC_BAD_INPUT);
        assert_non_null(strstr(err.text, "x.yaml"));
    }
    assert_null(srv_backends_open("/nonexistent/folder", &err));
    assert_int_equal(err.code, AIC_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_by_hand),
        cmocka_unit_test(drafts_widen_decode_only),
        cmocka_unit_test(expert_workspace),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(arguments_count_only_when_honoured),
        cmocka_unit_test(refusals),
        cmocka_unit_test(default_fractions),
        cmocka_unit_test(coefficients_by_family),
        cmocka_unit_test(malformed_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
