/* links: sweep. Point lists: rows, deployments shared between rows, impossible rows, malformed files. */
#include "sweep_fixture.h"

static void refused(const char *text, const char *expected) {
    if (load_list(text))
        fail_msg("accepted: %s", text);
    assert_string_equal(message(), expected);
    assert_int_equal(err.code, AIC_BAD_INPUT);
}

static void test_rows(void **state) {
    (void)state;
    swp_sweep *s = load_list("model,system,backend,tp,batch,isl,osl,gemm_quant,nextn,nextn_accepted\n"
                             "a,s,trtllm,2,8,100,10,fp8,,\n"
                             "b,s,trtllm,,,,,,1,0.5\n"
                             "\n"
                             "a,s,trtllm,2,9,100,10,fp8,,\n");
    srv_request r;
    srv_workload w[3];
    assert_non_null(s);
    assert_int_equal(swp_points(s), 3);
    assert_int_equal(swp_deployments(s), 2);
    assert_int_equal(swp_dep_of(s, 0), 0);
    assert_int_equal(swp_dep_of(s, 1), 1);
    assert_int_equal(swp_dep_of(s, 2), 0);
    assert_int_equal(swp_points_of(s, 0), 2);
    swp_loads(s, 0, 3, w);
    assert_int_equal(w[0].batch, 8);
    assert_int_equal(w[1].batch, 128);
    assert_int_equal(w[1].isl, 1024);
    assert_int_equal(w[2].batch, 9);
    swp_request_at(s, 0, &r);
    assert_string_equal(r.model, "a");
    assert_int_equal(r.par.tp, 2);
    assert_int_equal(r.quants.gemm, PDB_Q_fp8);
    swp_request_at(s, 1, &r);
    assert_int_equal(r.nextn, 1);
    assert_true(r.nextn_accepted == 0.5);
    assert_string_equal(
        swp_text(s), "model,system,backend,tp,batch,isl,osl,gemm_quant,nextn,nextn_accepted\n"
                     "a,s,trtllm,2,8,100,10,fp8,,\nb,s,trtllm,,,,,,1,0.5\n\na,s,trtllm,2,9,100,10,fp8,,\n");
    swp_free(s);
}

static void test_options(void **state) {
    (void)state;
    swp_sweep *s = load_list("model,system,backend,cp,eplb,slots,sms,distribution,moe_backend,"
                             "attention_backend,override_layers\n"
                             "a,s,sglang,,,,,,,,\n"
                             "a,s,sglang,4,1,288,24,uniform,megamoe,fa3,6\n"
                             "a,s,sglang,4,true,288,24,uniform,megamoe,fa3,6\n"
                             "a,s,sglang,1,0,,20,power_law,,,\n"
                             "a,s,sglang,,2,,,,,,\n"
                             "a,s,sglang,,,,,pareto,,,\n"
                             "a,s,sglang,,,,,,deepep,,\n");
    srv_request r;
    assert_int_equal(swp_points(s), 7);
    assert_int_equal(swp_deployments(s), 5); /* rows that say the same in other words are one deployment */
    swp_request_at(s, 1, &r);
    assert_int_equal(r.par.cp, 4);
    assert_int_equal(r.options.eplb, 1);
    assert_int_equal(r.options.slots, 288);
    assert_int_equal(r.options.sms, 24);
    assert_int_equal(r.options.layers, 6);
    assert_string_equal(r.options.distribution, "uniform");
    assert_string_equal(r.options.moe_backend, "megamoe");
    assert_string_equal(r.options.attention_backend, "fa3");
    static const char *const expected[] = {
        "eplb is \"2\": expected 0 or 1",
        "distribution is \"pareto\": expected power_law, power_law_EXPONENT, uniform, balanced",
        "moe_backend is \"deepep\": expected megamoe, deepep_moe",
    };
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(swp_refused_at(s, i + 2), expected[i]);
    swp_free(s);
}

/* Rows that differ in one field of the deployment are two deployments, whichever field it is. */
static void test_every_field_counts(void **state) {
    (void)state;
    static const char *const values[] = {"8",          "1",   "fa3", "megamoe", "uniform",
                                         "static_gen", "SOL", "fp8", "x"};
    static const char *const loads[] = {"batch",  "isl",          "osl",         "prefix",      "ctx_tokens",
                                        "images", "image_height", "image_width", "image_tokens"};
    for (size_t i = 0; i < swp_field_count(); i++) {
        const char *name = swp_field_at(i)->name;
        bool load = strcmp(name, "model") == 0 || strcmp(name, "system") == 0 || strcmp(name, "backend") == 0;
        for (size_t k = 0; k < sizeof loads / sizeof *loads; k++)
            load = load || strcmp(name, loads[k]) == 0;
        size_t most = 0;
        for (size_t k = 0; !load && k < sizeof values / sizeof *values; k++) {
            char text[256];
            swp_row row;
            swp_row_init(&row);
            if (!swp_row_set(&row, i, values[k], NULL) || *row.refused)
                continue;
            snprintf(text, sizeof text, "model,system,backend,%s\na,s,b,\na,s,b,%s\n", name, values[k]);
            swp_sweep *s = load_list(text);
            most = swp_deployments(s) > most ? swp_deployments(s) : most;
            swp_free(s);
        }
        if (!load && most != 2)
            fail_msg("%s does not tell deployments apart", name);
    }
}

static void test_impossible_rows_are_points(void **state) {
    (void)state;
    swp_sweep *s = load_list("mode,model,system,backend,tp,batch,kvcache_quant\n"
                             "static,a,s,trtllm,1,1,\n"
                             "agg,a,s,trtllm,1,1,\n"
                             ",a,s,trtllm,0,1,\n"
                             ",a,s,trtllm,1,-4,\n"
                             ",a,s,trtllm,1,2.5,\n"
                             ",a,s,trtllm,1,1,fp4\n"
                             ",a,s,trtllm,1,1e300,\n");
    assert_non_null(s);
    assert_int_equal(swp_points(s), 7);
    assert_null(swp_refused_at(s, swp_dep_of(s, 0)));
    static const char *const expected[] = {
        "mode is \"agg\": expected static, static_ctx, static_gen",
        "tp is \"0\": expected an integer from 1 to 1024",
        "batch is \"-4\": expected an integer from 1 to 4294967295",
        "batch is \"2.5\": expected an integer from 1 to 4294967295",
        "kvcache_quant is \"fp4\": expected bfloat16, int8, fp8",
        "batch is \"1e300\": expected an integer from 1 to 4294967295",
    };
    for (uint64_t i = 1; i < 7; i++)
        assert_string_equal(swp_refused_at(s, swp_dep_of(s, i)), expected[i - 1]);
    swp_free(s);
}

static void test_malformed_files(void **state) {
    (void)state;
    refused("", "t.csv:1: the point list is empty: its first line names the columns");
    refused("model,system,backend\n", "t.csv:1: the point list has no rows");
    refused("model,system\na,s\n",
            "t.csv:1: column \"backend\" is missing (model, system and backend are required)");
    refused("model,system,backend,bach\na,s,b,1\n",
            "t.csv:1: unknown column \"bach\"; did you mean \"batch\"?");
    refused("model,system,backend,model\na,s,b,1\n", "t.csv:1: column \"model\" is there twice");
    refused("model,system,backend,batch\na,s,b,1\na,s,b\n",
            "t.csv:3: 3 fields, but the first line names 4 columns");
    refused("model,system,backend,batch\na,s,b,1\na,s,b,x\n",
            "t.csv:3: batch: expected a number, found \"x\"");
    refused("model,system,backend,batch\na,s,b,nan\n", "t.csv:2: batch: expected a number, found \"nan\"");
    refused("model,system,backend,batch\n,s,b,1\n", "t.csv:2: model is empty");
}

static void test_a_spec_may_name_a_list(void **state) {
    (void)state;
    write_file("rows.csv", "model,system,backend\na,s,trtllm\nb,s,trtllm\n");
    swp_sweep *s = load("name: listed\npoints: rows.csv\n");
    assert_int_equal(swp_points(s), 2);
    assert_string_equal(swp_name(s), "listed");
    assert_non_null(strstr(swp_text(s), "points: rows.csv\n\n# points: rows.csv, 43 bytes, SHA-256 "));
    swp_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_every_field_counts),
        cmocka_unit_test(test_impossible_rows_are_points),
        cmocka_unit_test(test_malformed_files),
        cmocka_unit_test(test_a_spec_may_name_a_list),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
