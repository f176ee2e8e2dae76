/* links: serving. FpmForward: reference samples in every mode, faulty tables, cells, refusals. */
#include "ops_cases.h"
#include "parity/golden_fpm.h"
#include "perfdb_maker.h"

static void check_mode(const char *mode) {
    golden_report *report = AIC_NEW(golden_report);
    assert_true(golden_fpm_run(TEST_DATA_DIR "/ops_fpm.jsonl.gz", AICFG_DATA_DIR "/systems", mode, report));
    if (report->different)
        golden_ops_print(report, stderr);
    assert_int_equal(report->different, 0);
    assert_true(report->compared >= 280 && report->refused >= 200);
    free(report);
}

static void test_samples(void **state) {
    (void)state;
    check_mode("SILICON");
}

static void test_modes_change_nothing(void **state) {
    (void)state;
    check_mode("SOL");
    check_mode("HYBRID");
    check_mode("EMPIRICAL");
}

/* ---- tables of our own --------------------------------------------------------------------------------- */

/* The columns of a table whose rows agree in all but these. */
typedef struct row {
    uint8_t kind; /* 0 prefill, 1 decode, 2 neither */
    uint32_t batch, prefill, kv;
    double ms;
    uint32_t tp;
} row;

typedef struct fpm_table_spec {
    const row *rows;
    size_t n;
    const char *policy, *moe_backend;
    uint32_t wideep;
} fpm_table_spec;

enum { MOST = 16 };

static void write_uints(hid_t g, const char *column, const fpm_table_spec *t, size_t offset) {
    uint32_t cells[MOST];
    for (size_t i = 0; i < t->n; i++)
        memcpy(&cells[i], (const char *)&t->rows[i] + offset, sizeof cells[i]);
    maker_ints(g, column, t->n, cells);
}

static void write_table(hid_t g, const fpm_table_spec *t) {
    static const char *const kinds[] = {"prefill", "decode", "encode", NULL};
    static const char *const ones[] = {"pp", "dp", "moe_tp", "moe_ep", "cp"};
    const char *const texts[][2] = {{"gemm_quant_mode", "bfloat16"},
                                    {"moe_quant_mode", "bfloat16"},
                                    {"fmha_quant_mode", "bfloat16"},
                                    {"comm_quant_mode", "half"},
                                    {"kv_cache_dtype", "bfloat16"},
                                    {"moe_backend", t->moe_backend},
                                    {"attention_backend", "auto"},
                                    {"model_path", "org/m"},
                                    {"partition_policy", t->policy},
                                    {"system", "box"},
                                    {"backend", "vllm"},
                                    {"backend_version", "1.0"},
                                    {"cell_id", "c"},
                                    {"weight_quantization", ""}};
    const uint8_t zeros[MOST] = {0};
    uint32_t one[MOST], wideep[MOST], eplb[MOST] = {0};
    uint8_t kind[MOST];
    double ms[MOST];
    for (size_t i = 0; i < t->n; i++) {
        one[i] = 1;
        wideep[i] = t->wideep;
        kind[i] = t->rows[i].kind;
        ms[i] = t->rows[i].ms;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        maker_texts(g, texts[i][0], (const char *const[]){texts[i][1], NULL}, t->n, zeros);
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++)
        maker_ints(g, ones[i], t->n, one);
    maker_ints(g, "enable_wideep", t->n, wideep);
    maker_ints(g, "enable_eplb", t->n, eplb);
    maker_texts(g, "workload_kind", kinds, t->n, kind);
    maker_reals(g, "latency_ms", t->n, ms);
    write_uints(g, "tp", t, offsetof(row, tp));
    write_uints(g, "batch_size", t, offsetof(row, batch));
    write_uints(g, "total_prefill_tokens", t, offsetof(row, prefill));
    write_uints(g, "total_kv_read_tokens", t, offsetof(row, kv));
}

/* Runs check over a database that holds just this table (none when rows is NULL). */
static void with_table(const fpm_table_spec *t, void (*check)(ops_fixture *f)) {
    maker m;
    aic_error err = {0};
    maker_box(
        &m, "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ndirectories: {box: {vllm: [\"1.0\"]}}\n");
    if (t->rows) {
        hid_t g = maker_group(&m, "/fpm_forward_perf/vllm/1.0", "fpm", (long long)t->n);
        write_table(g, t);
        H5Gclose(g);
    }
    maker_close(&m);
    ops_fixture f = {.db = maker_open(&m, &err), .arena = aic_arena_new()};
    assert_non_null(f.db);
    f.view = pdb_view_get(f.db, "box", "vllm", "1.0", false, true, &err);
    assert_non_null(f.view);
    check(&f);
    pdb_close(f.db);
    aic_arena_free(f.arena);
    maker_end(&m);
}

#define PASS(phase, model, tp, ops)                                                                          \
    "{\"FpmForward\": {\"name\": \"p\", \"phase\": \"" phase "\", \"model_path\": \"" model                  \
    "\", \"match_identity\": [\"bfloat16\", \"bfloat16\", \"bfloat16\", \"half\", \"bfloat16\", \"" tp       \
    "\", \"1\", \"1\", \"1\", \"1\", \"1\", \"auto\", \"auto\", \"False\", \"False\"], \"sol_ops\": [" ops   \
    "], \"weight_bytes\": 7.5}}"
#define GEMM                                                                                                 \
    "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 2, \"n\": 1024, \"k\": 1024, \"quant_mode\": "           \
    "\"bfloat16\"}}"
#define GDN                                                                                                  \
    "{\"Gdn\": {\"name\": \"net\", \"scale_factor\": 1, \"kernel_source\": \"k\", \"phase\": \"context\", "  \
    "\"d_model\": 1, \"d_conv\": 1, \"num_k_heads\": 1, \"head_k_dim\": 1, \"num_v_heads\": 1, "             \
    "\"head_v_dim\": 1}}"

static const row decode[] = {{1, 4, 0, 400, 4.0, 2},
                             {1, 4, 0, 800, 6.0, 2},
                             {1, 16, 0, 400, 8.0, 2},
                             {0, 1, 64, 0, 1.0, 2},
                             {0, 1, 128, 0, 2.0, 2}};
#define GOOD(list)                                                                                           \
    { list, sizeof list / sizeof list[0], "balanced_v1", "auto", 0 }

static op_shape steps(uint32_t batch, uint32_t s) {
    return (op_shape){.batch = batch, .s = s, .imbalance = 1.0};
}

/* What refuses the bound op, in a mode that could estimate. */
static const char *reason(ops_fixture *f, const char *json) {
    op_bound b = bind_op(f, OP_HYBRID, json);
    static op_refusal why;
    why = refusal(&b, OP_HYBRID, steps(4, 100), OP_MISSING);
    return why.text;
}

static void check_answers(ops_fixture *f) {
    op_bound b = bind_op(f, OP_SILICON, PASS("decode", "org/m", "2", GEMM));
    op_result at = answer(&b, OP_SILICON, steps(4, 100)), between = answer(&b, OP_SILICON, steps(4, 150));
    assert_true(at.latency == 4.0 && at.cover[OP_MEASURED] == 4.0 && at.source == OP_SRC_silicon);
    assert_true(between.latency == 5.0 && between.cover[OP_INTERPOLATED] == 5.0);
    assert_true(op_weight_bytes(b.op) == 7.5);
    op_result moved = answer(&b, OP_SILICON, steps(8, 50)); /* a batch nobody measured */
    assert_true(moved.latency > 0.0 && moved.cover[OP_EXTRAPOLATED] == moved.latency);
    assert_true(answer(&b, OP_SOL, steps(4, 100)).source == OP_SRC_silicon);
    HAS(refusal(&b, OP_SILICON, steps(32, 100), OP_MISSING).text,
        "batch_size of this decode pass is outside the collected range 4 to 16");
    refusal(&b, OP_SILICON, steps(0, 100), OP_INVALID);
    refusal(&b, OP_SILICON, steps(4, 0), OP_INVALID);
    HAS(reason(f, PASS("decode", "org/m", "4", "")), "the nearest has tp 2 instead of 4");
    HAS(reason(f, PASS("decode", "org/n", "2", "")), "no cell of org/n is collected; there is org/m");
    op_bound gap = bind_op(f, OP_SILICON, PASS("decode", "org/m", "2", GEMM ", " GDN));
    assert_true(answer(&gap, OP_SILICON, steps(4, 150)).latency == 5.0);
    HAS(refusal(&gap, OP_SILICON, steps(8, 50), OP_MISSING).text, "no speed of light to carry it over: net");
}

static void test_answers(void **state) {
    (void)state;
    with_table(&(fpm_table_spec)GOOD(decode), check_answers);
}

static void check_one_phase(ops_fixture *f) {
    HAS(reason(f, PASS("prefill", "org/m", "2", "")), "the cell has no prefill rows");
}

static void check_nothing(ops_fixture *f) {
    HAS(reason(f, PASS("decode", "org/m", "2", "")), "no passes of whole models were collected");
}

static void test_absent_rows(void **state) {
    (void)state;
    fpm_table_spec only_decode = {decode, 3, "balanced_v1", "auto", 0}, none = {0};
    with_table(&only_decode, check_one_phase);
    with_table(&none, check_nothing);
}

static const char *expected;

static void check_fault(ops_fixture *f) {
    HAS(reason(f, PASS("decode", "org/m", "2", "")), expected);
}

static void test_faulty_tables(void **state) {
    (void)state;
    static const row kind[] = {{2, 4, 0, 400, 4.0, 2}},
                     zero[] = {{1, 4, 0, 1, 1.0, 2}, {1, 4, 0, 400, 0.0, 2}},
                     batch[] = {{1, 0, 0, 400, 4.0, 2}}, empty[] = {{0, 1, 0, 0, 4.0, 2}},
                     both[] = {{1, 4, 9, 400, 4.0, 2}},
                     twins[] = {{1, 4, 0, 400, 4.0, 2}, {0, 1, 9, 0, 1.0, 2}, {1, 4, 0, 400, 5.0, 2}};
    const struct {
        fpm_table_spec table;
        const char *text;
    } cases[] = {
        {GOOD(kind), "row 0: workload_kind must be"},
        {GOOD(zero), "row 1: latency_ms must be"},
        {GOOD(batch), "row 0: batch_size must be"},
        {GOOD(empty), "row 0: total_prefill_tokens of a prefill row"},
        {GOOD(both), "row 0: total_prefill_tokens of a decode row"},
        {GOOD(twins), "rows 0 and 2 measure the same pass"},
        {{decode, 5, "even", "auto", 0}, "row 0: partition_policy must be"},
        {{decode, 5, "balanced_v1", "", 0}, "row 0: moe_backend must not be empty"},
        {{decode, 5, "balanced_v1", "auto", 2}, "row 0: enable_wideep must be a boolean"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expected = cases[i].text;
        with_table(&cases[i].table, check_fault);
    }
}

static void test_wire(void **state) {
    (void)state;
    ops_fixture f = {.arena = aic_arena_new()};
    aic_error err = {0};
    op *o = parse_op(&f, PASS("decode", "org/m", "2", GEMM), &err);
    assert_non_null(o);
    aic_buf text = {0};
    op_to_json(o, &text);
    HAS(text.data, "\"phase\": \"decode\"");
    HAS(text.data, "\"sol_ops\": [{\"Gemm\"");
    aic_buf_free(&text);
    assert_null(parse_op(&f,
                         "{\"FpmForward\": {\"name\": \"p\", \"phase\": \"decode\", \"model_path\": \"m\", "
                         "\"match_identity\": [\"a\"], \"sol_ops\": []}}",
                         &err));
    HAS(err.text, "match_identity has 1 texts, expected 15");
    aic_arena_free(f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),       cmocka_unit_test(test_modes_change_nothing),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_absent_rows),
        cmocka_unit_test(test_faulty_tables), cmocka_unit_test(test_wire),
    };
    return cmocka_run_group_tests_name("fpm", tests, NULL, NULL);
}
