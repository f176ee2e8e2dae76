/* links: serving. Mamba2, Gdn, Kda: reference samples; rules of choosing rows on made-up tables. */
#include "ops_cases.h"
#include "parity/golden_ops.h"
#include "perfdb_maker.h"

static void test_samples(void **state) {
    check_samples(state, "ops_ssm.jsonl.gz", 480, 0);
}

/* ---- made-up tables ------------------------------------------------------------------------------------ */

enum { MOST = 16 };

/* shape: the table's five or six integers after d_model; those left out are 1. */
typedef struct row {
    const char *kernel, *phase;
    uint32_t batch, seq, d_model, shape[6];
    double ms;
} row;

typedef struct ssm_table {
    const char *name, *backend, *version;
    int sm;
    const row *rows;
    size_t n;
} ssm_table;

static const char *const mamba2_shape[] = {"d_state",  "d_conv",   "nheads",
                                           "head_dim", "n_groups", "chunk_size"};
static const char *const delta_shape[] = {"d_conv", "num_k_heads", "head_k_dim", "num_v_heads", "head_v_dim"};

static void write_texts(hid_t g, const char *column, const ssm_table *t, size_t offset) {
    const char *members[MOST + 1] = {0};
    uint8_t cells[MOST];
    for (size_t i = 0; i < t->n; i++) {
        const char *text;
        memcpy(&text, (const char *)&t->rows[i] + offset, sizeof text);
        uint8_t at = 0;
        while (members[at] && strcmp(members[at], text) != 0)
            at++;
        members[at] = text;
        cells[i] = at;
    }
    maker_texts(g, column, members, t->n, cells);
}

static void write_ints(hid_t g, const char *column, const ssm_table *t, size_t offset) {
    uint32_t cells[MOST];
    for (size_t i = 0; i < t->n; i++) {
        memcpy(&cells[i], (const char *)&t->rows[i] + offset, sizeof cells[i]);
        if (offset >= offsetof(row, shape) && cells[i] == 0)
            cells[i] = 1;
    }
    maker_ints(g, column, t->n, cells);
}

static void write_table(hid_t g, const ssm_table *t) {
    bool mamba = strcmp(t->name, "mamba2_perf") == 0;
    double ms[MOST];
    for (size_t i = 0; i < t->n; i++)
        ms[i] = t->rows[i].ms;
    write_texts(g, "kernel_source", t, offsetof(row, kernel));
    write_texts(g, "phase", t, offsetof(row, phase));
    write_ints(g, "batch_size", t, offsetof(row, batch));
    write_ints(g, "seq_len", t, offsetof(row, seq));
    write_ints(g, "d_model", t, offsetof(row, d_model));
    for (size_t i = 0; i < (mamba ? 6 : 5); i++)
        write_ints(g, mamba ? mamba2_shape[i] : delta_shape[i], t,
                   offsetof(row, shape) + i * sizeof(uint32_t));
    maker_reals(g, "latency", t->n, ms);
}

static void with_table(const ssm_table *t, void (*check)(ops_fixture *f)) {
    maker m;
    aic_error err = {0};
    char text[512];
    maker_start(&m);
    snprintf(text, sizeof text,
             "gpu: {mem_bw: 1.0e+12, bfloat16_tc_flops: 1.0e+14, sm_version: %d}\n"
             "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n",
             t->sm);
    maker_text(m.sheets, "box.yaml", text);
    snprintf(text, sizeof text,
             "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ndirectories: {box: {%s: [\"%s\"]}}\n",
             t->backend, t->version);
    maker_text(m.release, "release.yaml", text);
    maker_file(&m, "box");
    maker_head(&m, "aicfg-perfdb", 1, "box", "r1");
    snprintf(text, sizeof text, "/%s/%s/%s", t->name, t->backend, t->version);
    hid_t g = maker_group(&m, text, "ssm", (long long)t->n);
    write_table(g, t);
    H5Gclose(g);
    maker_close(&m);
    ops_fixture f = {.db = maker_open(&m, &err), .arena = aic_arena_new()};
    assert_non_null(f.db);
    f.view = pdb_view_get(f.db, "box", t->backend, t->version, false, true, &err);
    assert_non_null(f.view);
    check(&f);
    pdb_close(f.db);
    aic_arena_free(f.arena);
    maker_end(&m);
}

/* The answer of a kernel at (batch, s), the same in all four modes. rest: further fields. */
static op_result kernel_at(ops_fixture *f, const char *kind, const char *kernel, const char *phase,
                           const char *rest, uint32_t batch, uint32_t s) {
    char json[512];
    op_result r = {0};
    snprintf(
        json, sizeof json,
        "{\"%s\": {\"name\": \"k\", \"scale_factor\": 1, \"kernel_source\": \"%s\", \"phase\": \"%s\", %s}}",
        kind, kernel, phase, rest);
    for (int mode = 0; mode < OP_MODE_COUNT; mode++) {
        op_bound b = bind_op(f, (op_mode)mode, json);
        op_result one = answer(&b, (op_mode)mode, (op_shape){.batch = batch, .s = s, .imbalance = 1.0});
        assert_true(mode == 0 || (one.latency == r.latency && one.source == r.source));
        assert_true(cover_sum(&one) == one.latency);
        r = one;
    }
    return r;
}

static double measured_at(ops_fixture *f, const char *kind, const char *kernel, const char *phase,
                          const char *rest, uint32_t batch, uint32_t s) {
    op_result r = kernel_at(f, kind, kernel, phase, rest, batch, s);
    assert_int_equal(r.source, OP_SRC_silicon);
    return r.latency;
}

static double priced_at(ops_fixture *f, const char *kind, const char *kernel, const char *phase,
                        const char *rest, uint32_t batch, uint32_t s) {
    op_result r = kernel_at(f, kind, kernel, phase, rest, batch, s);
    assert_int_equal(r.source, OP_SRC_sol);
    assert_true(r.sol_math == 0.0 && r.sol_mem == r.latency && r.cover[OP_FORMULA] == r.latency);
    return r.latency;
}

/* ---- Mamba2 -------------------------------------------------------------------------------------------- */

#define MAMBA(d_model, nheads)                                                                               \
    "\"d_model\": " #d_model ", \"d_state\": 16, \"d_conv\": 4, \"nheads\": " #nheads                        \
    ", \"head_dim\": 8, \"n_groups\": 1, \"chunk_size\": 64"

static void check_mamba2(ops_fixture *f) {
    assert_true(measured_at(f, "Mamba2", "causal_conv1d_fn", "context", MAMBA(64, 4), 2, 100) == 3.0);
    /* no such shape: the smallest of the model, not the nearest */
    assert_true(measured_at(f, "Mamba2", "causal_conv1d_fn", "context", MAMBA(64, 9), 2, 100) == 2.0);
    priced_at(f, "Mamba2", "causal_conv1d_fn", "context", MAMBA(65, 4), 2, 100);
    priced_at(f, "Mamba2", "causal_conv1d_fn", "context", MAMBA(64, 4), 2, 0);
    /* decode rows are not read: 4 x 8 + 2 x 16 channels, 4 taps and the new token, bfloat16 */
    assert_true(priced_at(f, "Mamba2", "causal_conv1d_update", "generation", MAMBA(64, 4), 2, 100) ==
                (2.0 * 64 * 5 * 2 + 2.0 * 64 * 2) / 1e12 * 1000.0);
    assert_true(priced_at(f, "Mamba2", "mamba_chunk_scan_combined", "context", MAMBA(64, 4), 2, 100) ==
                (200.0 * (32 + 32 + 4) * 2 + 200.0 * 32 * 2) / 1e12 * 1000.0);
}

static void test_mamba2(void **state) {
    (void)state;
    static const row rows[] = {{"causal_conv1d_fn", "context", 2, 100, 64, {16, 4, 8, 8, 1, 64}, 4.0},
                               {"causal_conv1d_fn", "context", 2, 100, 64, {16, 4, 4, 8, 1, 64}, 3.0},
                               {"causal_conv1d_fn", "context", 2, 100, 64, {8, 4, 8, 8, 1, 64}, 2.0},
                               {"causal_conv1d_update", "generation", 2, 100, 64, {16, 4, 4, 8, 1, 64}, 9.0}};
    with_table(&(ssm_table){"mamba2_perf", "trtllm", "1.0", 90, rows, 4}, check_mamba2);
}

/* ---- Gdn ----------------------------------------------------------------------------------------------- */

#define DELTA                                                                                                \
    "\"d_model\": 64, \"d_conv\": 1, \"num_k_heads\": 1, \"head_k_dim\": 1, \"num_v_heads\": 4, "            \
    "\"head_v_dim\": 1"
#define HALF_STATE ", \"mamba_ssm_dtype\": \"bfloat16\""
#define UPDATE     "fused_sigmoid_gating_delta_rule_update"
#define FLASHINFER "flashinfer_gated_delta_rule_decode"

static const row gdn_rows[] = {
    {"causal_conv1d_update", "generation", 2, 0, 64, {1, 1, 1, 4, 1}, 1.0},
    {"fused_recurrent_gated_delta_rule_packed_decode", "generation", 2, 0, 64, {1, 1, 1, 4, 1}, 2.0},
    {FLASHINFER, "generation", 2, 0, 64, {1, 1, 1, 4, 1}, 3.0},
    {"chunk_gated_delta_rule", "context", 2, 100, 64, {1, 1, 1, 4, 1}, 4.0},
    {"chunk_gated_delta_rule_triton", "context", 2, 100, 64, {1, 1, 1, 4, 1}, 5.0},
    {"chunk_gated_delta_rule_cutedsl", "context", 2, 100, 64, {1, 1, 1, 4, 1}, 6.0}};

static void check_flash_lane(ops_fixture *f) {
    assert_true(measured_at(f, "Gdn", UPDATE, "generation", DELTA, 2, 7) == 2.0);
    assert_true(measured_at(f, "Gdn", UPDATE, "generation", DELTA HALF_STATE, 2, 7) == 3.0);
    assert_true(measured_at(f, "Gdn", FLASHINFER, "generation", DELTA HALF_STATE, 2, 7) == 3.0);
    priced_at(f, "Gdn", FLASHINFER, "generation", DELTA, 2, 7);
    assert_true(measured_at(f, "Gdn", "causal_conv1d_update", "generation", DELTA HALF_STATE, 2, 7) == 1.0);
    assert_true(measured_at(f, "Gdn", "chunk_gated_delta_rule", "context", DELTA, 2, 100) == 4.0);
    priced_at(f, "Gdn", "chunk_gated_delta_rule", "context", DELTA HALF_STATE, 2, 100);
}

static void check_other_lane(ops_fixture *f) {
    priced_at(f, "Gdn", UPDATE, "generation", DELTA HALF_STATE, 2, 7);
    assert_true(measured_at(f, "Gdn", UPDATE, "generation", DELTA, 2, 7) == 2.0);
}

static void check_one_chunk_kernel(ops_fixture *f) {
    assert_true(measured_at(f, "Gdn", "chunk_gated_delta_rule", "context", DELTA, 2, 100) == 5.0);
}

static void check_two_chunk_kernels(ops_fixture *f) {
    priced_at(f, "Gdn", "chunk_gated_delta_rule", "context", DELTA, 2, 100);
    assert_true(measured_at(f, "Gdn", "chunk_gated_delta_rule_triton", "context", DELTA, 2, 100) == 5.0);
}

static void test_gdn(void **state) {
    (void)state;
    with_table(&(ssm_table){"gdn_perf", "sglang", "1.0", 100, gdn_rows, 6}, check_flash_lane);
    with_table(&(ssm_table){"gdn_perf", "sglang", "1.0", 120, gdn_rows, 6}, check_other_lane);
    with_table(&(ssm_table){"gdn_perf", "vllm", "0.24.0", 90, gdn_rows, 5}, check_one_chunk_kernel);
    with_table(&(ssm_table){"gdn_perf", "vllm", "0.24.0", 90, gdn_rows, 6}, check_two_chunk_kernels);
}

/* ---- Kda ----------------------------------------------------------------------------------------------- */

#define KDA(num_v_heads, draft)                                                                              \
    "\"d_model\": 64, \"d_conv\": 1, \"num_k_heads\": 1, \"head_k_dim\": 1, \"num_v_heads\": " #num_v_heads  \
    ", \"head_v_dim\": 1, \"draft_tokens\": " #draft

static void check_fused(ops_fixture *f) {
    /* the verify step is one fused kernel, which holds the convolution */
    assert_true(measured_at(f, "Kda", UPDATE, "verify", KDA(4, 2), 8, 1) == 5.0);
    assert_true(measured_at(f, "Kda", "causal_conv1d_update", "verify", KDA(4, 2), 8, 1) == 0.0);
    /* 5 / 2 rounds to 2 requests, 7 / 2 to 4 */
    assert_true(measured_at(f, "Kda", UPDATE, "verify", KDA(4, 2), 5, 1) == 3.0);
    assert_true(measured_at(f, "Kda", UPDATE, "verify", KDA(4, 2), 7, 1) == 5.0);
    priced_at(f, "Kda", UPDATE, "verify", KDA(4, 0), 8, 1);
    /* decode: only shapes without rows of their own */
    assert_true(measured_at(f, "Kda", "fused_recurrent_kda_packed_decode", "generation", KDA(4, 0), 2, 1) ==
                7.0);
    assert_true(measured_at(f, "Kda", "causal_conv1d_update", "generation", KDA(4, 0), 2, 1) == 0.0);
    assert_true(measured_at(f, "Kda", "fused_recurrent_kda_packed_decode", "generation", KDA(8, 0), 2, 1) ==
                8.0);
    /* 6 heads lie between 4 and 8: the smaller shape of that kernel */
    assert_true(measured_at(f, "Kda", "kda_fused_decode", "generation", KDA(6, 0), 2, 1) == 7.0);
    priced_at(f, "Kda", "kda_fused_decode", "prefill", KDA(4, 0), 2, 1);
}

static void test_kda(void **state) {
    (void)state;
    static const row rows[] = {
        {"fused_kda_decode_mtp_dspark", "verify", 2, 2, 64, {1, 1, 1, 4, 1}, 3.0},
        {"fused_kda_decode_mtp_dspark", "verify", 4, 2, 64, {1, 1, 1, 4, 1}, 5.0},
        {"kda_fused_decode", "generation", 2, 0, 64, {1, 1, 1, 8, 1}, 6.0},
        {"kda_fused_decode", "generation", 2, 0, 64, {1, 1, 1, 4, 1}, 7.0},
        {"fused_recurrent_kda_packed_decode", "generation", 2, 0, 64, {1, 1, 1, 8, 1}, 8.0},
    };
    with_table(&(ssm_table){"kda_perf", "sglang", "1.0", 100, rows, 5}, check_fused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_mamba2),
        cmocka_unit_test(test_gdn),
        cmocka_unit_test(test_kda),
    };
    return cmocka_run_group_tests_name("ssm", tests, ops_setup, ops_teardown);
}
