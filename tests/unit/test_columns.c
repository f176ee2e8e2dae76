/* links: results */
/* The table of columns, and lists and filters that name them. */
#include "results/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_every_promised_column_exists(void **state) {
    (void)state;
    static const char *const deployment[] = {"mode",
                                             "model",
                                             "system",
                                             "backend",
                                             "version",
                                             "database_mode",
                                             "transfer_policy",
                                             "tp",
                                             "pp",
                                             "dp",
                                             "moe_tp",
                                             "moe_ep",
                                             "nextn",
                                             "nextn_accepted",
                                             "ctx_tokens",
                                             "gemm_quant",
                                             "moe_quant",
                                             "fmha_quant",
                                             "kvcache_quant",
                                             "comm_quant",
                                             "free_gpu_memory_fraction",
                                             "max_seq_len",
                                             "num_gpus"};
    static const char *const point[] = {"batch",
                                        "isl",
                                        "osl",
                                        "prefix",
                                        "status",
                                        "reason",
                                        "ttft_ms",
                                        "tpot_ms",
                                        "memory_gib",
                                        "weights_gib",
                                        "kvcache_gib",
                                        "nccl_gib",
                                        "others_gib",
                                        "activations_gib",
                                        "seq_per_s",
                                        "concurrency",
                                        "tokens_per_s",
                                        "power_w",
                                        "measured",
                                        "interpolated",
                                        "extrapolated",
                                        "empirical",
                                        "request_latency_ms",
                                        "context_latency_ms",
                                        "generation_latency_ms",
                                        "tokens_per_s_per_gpu",
                                        "tokens_per_s_per_user"};
    for (size_t i = 0; i < sizeof deployment / sizeof *deployment; i++) {
        int c = res_column_find(deployment[i]);
        assert_true(c >= 0);
        assert_true(res_column_at((size_t)c)->of_deployment);
    }
    for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
        int c = res_column_find(point[i]);
        assert_true(c >= 0);
        assert_false(res_column_at((size_t)c)->of_deployment);
    }
}

static void test_columns_describe_themselves(void **state) {
    (void)state;
    for (size_t i = 0; i < res_column_count(); i++) {
        const res_column *c = res_column_at(i);
        assert_int_equal(res_column_find(c->name), i);
        assert_true(strlen(c->meaning) > 5);
        assert_non_null(c->unit);
        if (!c->of_deployment && c->type != RES_POINT)
            assert_true(c->offset < sizeof(srv_point));
        assert_true((c->of_deployment && c->type == RES_TEXT) == (res_column_axis(i) >= 0));
    }
    assert_int_equal(res_column_at(0)->type, RES_POINT);
    assert_int_equal(res_column_at(RES_C_ttft_ms)->offset, offsetof(srv_point, ttft));
    assert_int_equal(res_column_at(RES_C_empirical)->offset,
                     offsetof(srv_point, cover) + OP_FORMULA * sizeof(double));
}

static void test_directions(void **state) {
    (void)state;
    assert_true(res_column_at(RES_C_tokens_per_s_per_gpu)->higher_is_better);
    assert_true(res_column_at(RES_C_measured)->higher_is_better);
    assert_false(res_column_at(RES_C_ttft_ms)->higher_is_better);
    assert_false(res_column_at(RES_C_memory_gib)->higher_is_better);
    assert_false(res_column_at(RES_C_model)->higher_is_better);
}

static void test_unknown_names_get_a_suggestion(void **state) {
    (void)state;
    aic_error err = {0};
    res_columns c;
    assert_int_equal(res_column_find("ttft"), -1);
    assert_string_equal(res_column_nearest("tttf_ms"), "ttft_ms");
    assert_false(res_columns_parse("batch,tpot_sm", "--columns", &c, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "--columns: unknown column 'tpot_sm'"));
    assert_non_null(strstr(err.text, "tpot_ms"));
    assert_false(res_columns_parse("batch,,isl", "--columns", &c, &err));
    assert_false(res_columns_parse("", "--columns", &c, &err));
}

static void test_lists_of_columns(void **state) {
    (void)state;
    aic_error err = {0};
    res_columns c;
    assert_true(res_columns_parse(" isl ,\tbatch,isl", "--columns", &c, &err));
    assert_int_equal(c.n, 2);
    assert_int_equal(c.items[0], RES_C_isl);
    assert_int_equal(c.items[1], RES_C_batch);
    res_columns_free(&c);
}

static void test_filters_are_compiled_against_columns(void **state) {
    (void)state;
    aic_error err = {0};
    res_filter f;
    assert_true(res_filter_init(&f, NULL, &err));
    assert_null(f.expr);
    res_filter_free(&f);
    assert_true(res_filter_init(&f, "ttft_ms < 100 and model == \"m\" or ttft_ms > 3", &err));
    assert_int_equal(f.columns.n, 2);
    res_filter_free(&f);
    assert_false(res_filter_init(&f, "tttf_ms < 100", &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "where:1:1"));
    assert_false(res_filter_init(&f, "ttft_ms <", &err));
}

static void test_fields_match_their_enumeration(void **state) {
    (void)state;
    const res_group *points = res_group_get(RES_G_POINTS), *deployments = res_group_get(RES_G_DEPLOYMENTS);
    assert_string_equal(points->fields[RES_P_POINT].name, "point");
    assert_string_equal(points->fields[RES_P_DEPLOYMENT].name, "deployment");
    assert_string_equal(points->fields[RES_P_FIRST].name, "breakdown_first");
    assert_string_equal(points->fields[RES_P_ROWS].name, "breakdown_rows");
    for (size_t c = RES_C_batch; c < RES_COLUMN_COUNT; c++)
        assert_string_equal(points->fields[res_point_field(c)].name, res_column_at(c)->name);
    for (size_t c = RES_C_point + 1; c < RES_C_batch; c++)
        assert_string_equal(deployments->fields[c].name, res_column_at(c)->name);
    assert_string_equal(deployments->fields[RES_DEP_gemm_origin].name, "gemm_quant_origin");
    assert_string_equal(deployments->fields[RES_DEP_op_count].name, "op_count");
    assert_string_equal(deployments->fields[RES_DEP_refusal].name, "refusal");
}

static void test_every_column_is_documented(void **state) {
    (void)state;
    aic_buf page = {0};
    char why[256], quoted[80];
    assert_true(aic_read_file(AICFG_DATA_DIR "/../docs/formats/results.md", 1 << 20, &page, why, sizeof why));
    for (int g = 0; g < RES_GROUPS; g++) {
        const res_group *group = res_group_get((res_group_id)g);
        for (size_t f = 0; f < group->n_fields; f++) {
            snprintf(quoted, sizeof quoted, "`%s`", group->fields[f].name);
            if (!strstr(page.data, quoted))
                fail_msg("%s is not documented", quoted);
        }
    }
    aic_buf_free(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_promised_column_exists),
        cmocka_unit_test(test_columns_describe_themselves),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_unknown_names_get_a_suggestion),
        cmocka_unit_test(test_lists_of_columns),
        cmocka_unit_test(test_filters_are_compiled_against_columns),
        cmocka_unit_test(test_fields_match_their_enumeration),
        cmocka_unit_test(test_every_column_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
