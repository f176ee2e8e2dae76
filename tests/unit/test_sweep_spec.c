/* links: sweep. Specs: what the reader accepts, where it says what is wrong, overrides, and its keys against
 * the JSON Schema. */
#include "sweep_fixture.h"

static void refused(const char *text, const char *expected) {
    swp_sweep *s = load_with(text, NULL, 0, NULL);
    if (s)
        fail_msg("accepted: %s", text);
    assert_string_equal(message(), expected);
    assert_int_equal(err.code, AIC_BAD_INPUT);
}

static void test_top_level(void **state) {
    (void)state;
    swp_sweep *s =
        load("format: aicfg-sweep-spec\nversion: 1\nname: n\noutput: x/y.h5\nsweep: {model: m, system: s}\n");
    assert_string_equal(swp_name(s), "n");
    assert_string_equal(swp_output(s), "x/y.h5");
    assert_non_null(strstr(swp_text(s), "aicfg-sweep-spec"));
    swp_free(s);
    s = load("sweep: {model: m, system: s}\n");
    assert_string_equal(swp_name(s), "t");
    assert_null(swp_output(s));
    swp_free(s);
    refused("", "t.yaml:1:1: a spec: expected a mapping with the key sweep, found null");
    refused("[1]", "t.yaml:1:1: a spec: expected a mapping with the key sweep, found a list");
    refused("name: x\n", "t.yaml:1:1: a spec has either sweep (blocks) or points (a CSV file)");
    refused("sweep: {model: m, system: s}\npoints: p.csv\n",
            "t.yaml:2:9: a spec has either sweep (blocks) or points (a CSV file), not both");
    refused("sweeps: {}\n", "t.yaml:1:1: the spec: unknown key \"sweeps\"; did you mean \"sweep\"?");
    refused("version: 2\nsweep: {}\n",
            "t.yaml:1:10: version: this program reads version 1 of the format, not 2");
    refused("format: x\nsweep: {}\n", "t.yaml:1:9: format: expected aicfg-sweep-spec, found \"x\"");
    refused("sweep: []\n", "t.yaml:1:8: sweep: expected at least one block");
    refused("sweep: [1]\n", "t.yaml:1:9: a sweep block: expected a mapping, found an integer");
    refused("sweep: {model: m, system: s}\nsweep: {}\n",
            "t.yaml:2:1: the key \"sweep\" stands here again; it was first given on line 1");
}

static void test_names(void **state) {
    (void)state;
    refused("sweep: {system: s}\n", "t.yaml:1:8: models is missing: name at least one model");
    refused("sweep: {model: m}\n", "t.yaml:1:8: systems is missing: name at least one system");
    refused("sweep:\n  modles: m\n",
            "t.yaml:2:3: a sweep block: unknown key \"modles\"; did you mean \"modes\"?");
    refused("sweep: {model: m, models: n, system: s}\n",
            "t.yaml:1:16: models and model are the same key: give one of them");
    refused("sweep: {model: true, system: s}\n",
            "t.yaml:1:16: model: expected text, found true; put it in quotes if text is meant");
    refused("sweep: {model: m, system: s, mode: statik}\n",
            "t.yaml:1:36: mode \"statik\" is not one of static, static_ctx, static_gen; did you mean "
            "\"static\"?");
    refused("sweep: {model: m, system: s, mode: agg}\n",
            "t.yaml:1:36: mode \"agg\" is not one of static, static_ctx, static_gen");
    refused("sweep: {model: m, system: s, database_mode: SILCON}\n",
            "t.yaml:1:45: database mode \"SILCON\" is not one of SILICON, HYBRID, EMPIRICAL, SOL; did you "
            "mean \"SILICON\"?");
    refused("sweep: {model: m, system: s, transfer_policies: [xop, bold]}\n",
            "t.yaml:1:55: transfer policy \"bold\" is not one of off, conservative, balanced, aggressive, "
            "xshape, xquant, xprofile, xop");
}

static void test_layouts_and_modes(void **state) {
    (void)state;
    refused("sweep: {model: m, system: s, tp: 0}\n",
            "t.yaml:1:34: tp: expected an integer from 1 to 1024, found 0");
    refused("sweep: {model: m, system: s, tp: 010}\n",
            "t.yaml:1:34: tp: expected an integer from 1 to 1024, found the text \"010\"; numbers are "
            "written in plain "
            "decimal, without leading zeros, underscores or prefixes, and within 64 bits");
    refused(
        "sweep: {model: m, system: s, layouts: {tp: 2}, pp: 2}\n",
        "t.yaml:1:39: layouts and tp, pp, dp, moe_tp, moe_ep, cp exclude each other: give one or the other");
    refused("sweep: {model: m, system: s, layouts: [{tp: 2}, {tp: 4}, {tp: 2}]}\n",
            "t.yaml:1:58: layouts: the same one stands in the list before");
    refused("sweep: {model: m, system: s, layouts: [{tp: 2, ep: 1}]}\n",
            "t.yaml:1:48: a layout: unknown key \"ep\"; did you mean \"tp\"?");
    refused("sweep: {model: m, system: s, quants: fp8}\n",
            "t.yaml:1:38: quants: expected auto or a mapping such as {gemm: fp8, kvcache: fp8}, found text");
    refused("sweep: {model: m, system: s, quants: {kvcache: nvfp4}}\n",
            "t.yaml:1:48: kvcache: \"nvfp4\" is no KV-cache mode; expected auto, bfloat16, int8, fp8");
    refused("sweep: {model: m, system: s, nextn: 2}\n",
            "t.yaml:1:37: nextn: 2 needs nextn_accepted, the draft tokens accepted per step");
    refused("sweep: {model: m, system: s, nextn: 2, nextn_accepted: 3}\n",
            "t.yaml:1:56: nextn_accepted: 3 is more than nextn, 2");
}

static void test_options(void **state) {
    (void)state;
    refused("sweep: {model: m, system: s, options: fp8}\n",
            "t.yaml:1:39: options: expected a mapping, found text");
    refused("sweep: {model: m, system: s, options: {epbl: true}}\n",
            "t.yaml:1:40: options: unknown key \"epbl\"; did you mean \"eplb\"?");
    refused("sweep: {model: m, system: s, options: {slots: 0}}\n",
            "t.yaml:1:47: slots: expected an integer from 1 to 4294967295, found 0");
    refused("sweep: {model: m, system: s, options: {eplb: yes}}\n",
            "t.yaml:1:46: eplb: expected true or false, found the text \"yes\"; booleans are written true or "
            "false");
    refused(
        "sweep: {model: m, system: s, options: [{}, {attention_backend: fa4}]}\n",
        "t.yaml:1:64: attention_backend is \"fa4\": expected default, fa3, triton, trtllm_mha, flashinfer, "
        "fla");
    refused("sweep: {model: m, system: s, options: {distribution: unifrom}}\n",
            "t.yaml:1:54: distribution is \"unifrom\": expected power_law, power_law_EXPONENT, uniform, "
            "balanced");
    refused("sweep: {model: m, system: s, options: [{}, {sms: 20}]}\n",
            "t.yaml:1:44: options: the same ones stand in the list before");
}

static void test_workloads(void **state) {
    (void)state;
    refused("sweep: {model: m, system: s, batch: 0}\n",
            "t.yaml:1:37: batch: expected an integer from 1 to 4294967295, found 0");
    refused("sweep: {model: m, system: s, isl: yes}\n",
            "t.yaml:1:35: isl: expected an integer from 1 to 4294967295, found the text \"yes\"; numbers are "
            "written in "
            "plain decimal, without leading zeros, underscores or prefixes, and within 64 bits");
    refused("sweep: {model: m, system: s, workloads: [{batch: 1}, {isl: 2}]}\n",
            "t.yaml:1:54: workloads vary together: all of them give batch or none");
    refused("sweep: {model: m, system: s, batch: 2, workloads: [{batch: 1}]}\n",
            "t.yaml:1:37: batch is given by the workloads: leave it out here");
    refused("sweep: {model: m, system: s, workloads: [{}]}\n",
            "t.yaml:1:42: a workload gives at least one of its columns, batch or isl for example");
}

static void test_where(void **state) {
    (void)state;
    refused("sweep: {model: m, system: s, where: 1}\n",
            "t.yaml:1:37: where: expected an expression such as \"isl + osl <= 8192\", found an integer");
    refused("sweep:\n  model: m\n  system: s\n  where: islx > 1\n",
            "t.yaml:4:10: unknown name \"islx\"; did you mean \"isl\"?");
    refused("sweep: {model: m, system: s, where: isl < 0}\n",
            "t.yaml:1:8: the sweep has no points: its filters leave none");
}

static void test_rank(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    res_rank_options r;
    const char *good =
        "sweep: {model: m, system: s}\n"
        "rank: {by: ttft_ms, order: ascending, group: [model, tp], top: 3, where: \"status == 'ok'\"}\n";
    swp_free(load(good));
    assert_true(swp_rank_defaults(a, good, "rank.top=7\nrank.pareto=ttft_ms,tpot_ms", &r, &err));
    assert_string_equal(r.by, "ttft_ms");
    assert_string_equal(r.group, "model,tp");
    assert_string_equal(r.pareto, "ttft_ms,tpot_ms");
    assert_int_equal(r.descending, 0);
    assert_int_equal(r.top, 7);
    assert_true(swp_rank_defaults(a, "model,system\n", NULL, &r, &err));
    assert_null(r.by);
    assert_int_equal(r.descending, -1);
    aic_arena_free(a);
    refused("sweep: {model: m, system: s}\nrank: {by: ttft}\n",
            "t.yaml:2:12: \"ttft\" is no column of a result");
    refused("sweep: {model: m, system: s}\nrank: {by: ttft_mss}\n",
            "t.yaml:2:12: \"ttft_mss\" is no column of a result; did you mean \"ttft_ms\"?");
    refused("sweep: {model: m, system: s}\nrank: {order: up}\n",
            "t.yaml:2:15: order: expected ascending or descending, found \"up\"");
    refused("sweep: {model: m, system: s}\nrank: {pareto: ttft_ms}\n",
            "t.yaml:2:16: pareto: expected two columns, x and y");
    refused("sweep: {model: m, system: s}\nrank: {where: ttft_ms >}\n",
            "t.yaml:2:24: expected a value, found the end of the expression");
}

static void test_overrides(void **state) {
    (void)state;
    const char *spec = "sweep:\n- {model: m, system: s, batch: [1, 2]}\n- &b {model: m, system: s, batch: "
                       "[1, 2, 3]}\n- *b\n";
    const char *one[] = {"sweep[0].batch=[1, 2, 3, 4]"}, *all[] = {"sweep.batch=7", "name=other"},
               *alias[] = {"sweep[2].batch=5"}, *added[] = {"defaults.isl=[10, 20]"};
    swp_sweep *s = load_with(spec, one, 1, NULL);
    assert_int_equal(swp_points(s), 4 + 3 + 3);
    swp_free(s);
    s = load_with(spec, all, 2, NULL);
    assert_int_equal(swp_points(s), 3);
    assert_string_equal(swp_name(s), "other");
    swp_free(s);
    s = load_with(spec, alias, 1, NULL); /* the other user of the anchor stays as it is */
    assert_int_equal(swp_points(s), 2 + 3 + 1);
    swp_free(s);
    s = load_with(spec, added, 1, NULL);
    assert_int_equal(swp_points(s), 2 * 8);
    swp_free(s);
}

static void test_refused_overrides(void **state) {
    (void)state;
    static const struct {
        const char *set, *expected;
    } cases[] = {
        {"sweep", "--set sweep: the '=' is missing (write it as key.key=value or key[0].key=value)"},
        {"sweep[9].batch=1",
         "--set sweep[9].batch=1: the list is shorter (write it as key.key=value or key[0].key=value)"},
        {"sweep[0.batch=1",
         "--set sweep[0.batch=1: a '[' is not closed (write it as key.key=value or key[0].key=value)"},
        {"a..b=1", "--set a..b=1: a key is empty (write it as key.key=value or key[0].key=value)"},
        {"a.=1", "--set a.=1: the path ends with a dot (write it as key.key=value or key[0].key=value)"},
        {"=1", "--set =1: the path is empty (write it as key.key=value or key[0].key=value)"},
        {"sweep[0].bach=1",
         "--set sweep[0].bach:1:1: a sweep block: unknown key \"bach\"; did you mean \"batch\"?"},
        {"sweep[0].batch=x",
         "--set sweep[0].batch:1:1: batch: expected an integer from 1 to 4294967295, found the text \"x\""},
        {"name.x=1",
         "--set name.x=1: a key is wanted of something that is no mapping (write it as key.key=value or "
         "key[0].key=value)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(load_with("name: n\nsweep:\n- {model: m, system: s}\n", &cases[i].set, 1, NULL));
        assert_string_equal(err.text, cases[i].expected);
    }
}

/* ---- docs/spec.schema.json
 * ----------------------------------------------------------------------------------------------- */

static const aic_node *properties(const aic_node *schema, const char *def) {
    const aic_node *n = schema;
    if (def)
        n = aic_map_get(aic_map_get(schema, "$defs"), def);
    return aic_map_get(n, "properties");
}

static void same_keys(const aic_node *schema, const char *def, const swp_keys *keys) {
    const aic_node *p = properties(schema, def);
    size_t n = 0;
    for (size_t i = 0; i < keys->n; i++) {
        if (!aic_map_get(p, keys->keys[i].name))
            fail_msg("the schema lacks %s of %s", keys->keys[i].name, keys->where);
        if (keys->keys[i].alias && !aic_map_get(p, keys->keys[i].alias))
            fail_msg("the schema lacks %s of %s", keys->keys[i].alias, keys->where);
        n += keys->keys[i].alias ? 2 : 1;
    }
    assert_int_equal(p->count, n);
}

static void test_schema(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    aic_node *schema = aic_doc_json_file(a, AICFG_DATA_DIR "/../docs/spec.schema.json", false, &err);
    assert_non_null(schema);
    same_keys(schema, NULL, &swp_spec_keys);
    same_keys(schema, "block", &swp_block_keys);
    same_keys(schema, "rank", &swp_rank_keys);
    same_keys(schema, "layout", &swp_layout_keys);
    same_keys(schema, "quant", &swp_quant_keys);
    same_keys(schema, "options", &swp_option_keys);
    same_keys(schema, "workload", &swp_load_keys);
    same_keys(schema, "range", &swp_range_keys);
    aic_arena_free(a);
}

/* ---- names against the program's data
 * ----------------------------------------------------------------------------------------- */

static void test_known_names(void **state) {
    (void)state;
    const char *perfdb = AICFG_DATA_DIR "/perfdb", *systems = AICFG_DATA_DIR "/systems",
               *models = AICFG_DATA_DIR;
    srv_backends *backends = srv_backends_open(AICFG_DATA_DIR "/backends", &err);
    srv_env env = {.db = pdb_open(&perfdb, 1, NULL, &systems, 1, &err), .backends = backends};
    models = AICFG_DATA_DIR "/models";
    env.models = mdl_open(&models, 1, &err);
    if (!backends || !env.db || !env.models)
        fail_msg("%s", err.text);
    static const struct {
        const char *text, *position, *says;
    } cases[] = {
        {"sweep: {model: Qwen/Qwen3-32, system: h200_sxm}\n", "t.yaml:1:16: ", "Qwen/Qwen3-32B"},
        {"sweep: {model: Qwen/Qwen3-32B, system: h20_sxm}\n", "t.yaml:1:40: ", "h200_sxm"},
        {"sweep: {model: Qwen/Qwen3-32B, system: h200_sxm, backend: vlm}\n",
         "t.yaml:1:59: ", "did you mean \"vllm\"?"},
        {"sweep: {model: Qwen/Qwen3-32B, system: h200_sxm, version: 9.9}\n", "t.yaml:1:59: ", "9.9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(load_with(cases[i].text, NULL, 0, &env));
        assert_memory_equal(message(), cases[i].position, strlen(cases[i].position));
        if (!strstr(err.text, cases[i].says))
            fail_msg("\"%s\" does not name %s", err.text, cases[i].says);
        assert_int_equal(err.code, AIC_BAD_INPUT);
    }
    swp_sweep *s =
        load_with("sweep: {models: [Qwen/Qwen3-32B, Qwen/Qwen3-30B-A3B], system: h200_sxm, where: is_moe}\n",
                  NULL, 0, &env);
    assert_non_null(s);
    assert_int_equal(swp_points(s), 1);
    swp_free(s);
    mdl_close(env.models);
    pdb_close(env.db);
    srv_backends_close(backends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_level),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_layouts_and_modes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_workloads),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_refused_overrides),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_known_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
