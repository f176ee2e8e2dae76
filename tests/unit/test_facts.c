/* links: models. From a config to facts: every shipped model, local folders, and what is refused. */
#include "models_fixture.h"
#include "parity/golden_models.h"

#define LLAMA_CORE                                                                                           \
    "\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":4,\"hidden_size\":64,"                   \
    "\"num_attention_heads\":8,\"vocab_size\":100,\"max_position_embeddings\":512"

/* Text-only models of these families have their facts checked against the reference in one go. */
static void test_shipped_models(void **state) {
    (void)state;
    golden_models g = {.catalogue = shipped()};
    golden_agrees(&g, TEST_DATA_DIR "/models_facts.jsonl.gz", 89);
    assert_int_equal(mdl_count(g.catalogue), 89);
    for (size_t i = 1; i < 89; i++)
        assert_true(strcmp(mdl_id_at(g.catalogue, i - 1), mdl_id_at(g.catalogue, i)) < 0);
    mdl_close(g.catalogue);
}

static void test_cached(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "Qwen/Qwen3-32B", &err);
    assert_non_null(m);
    assert_ptr_equal(m, mdl_get(c, "Qwen/Qwen3-32B", &err));
    assert_ptr_not_equal(m, mdl_get(c, "Qwen/Qwen3-8B", &err));
    mdl_close(c);
}

static void test_defaults(void **state) {
    (void)state;
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = from_config(&f, c, "{" LLAMA_CORE ", \"rope\": NaN, \"max\": Infinity}", NULL, &err);
    assert_non_null(m);
    assert_string_equal(m->family, "LLAMA");
    assert_int_equal(m->head_dim, 8);
    assert_int_equal(m->kv_heads, 0);
    assert_int_equal(m->ffn, 0);
    assert_int_equal(m->experts, 0);
    assert_false(m->experts_null);
    assert_false(m->is_moe);
    assert_int_equal(m->weight_block, 128);
    assert_int_equal(m->quant_dynamic, -1);
    assert_null(m->quant_algo);
    assert_int_equal(m->inferred.gemm, PDB_Q_UNSET);
    mdl_close(c);
    files_free(&f);
}

/* An explicit null is no zero, and an explicit zero stops the search for another spelling. */
static void test_null_and_zero(void **state) {
    (void)state;
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = from_config(
        &f, c,
        "{" LLAMA_CORE ", \"num_experts\": null, \"moe_intermediate_size\": 0, \"intermediate_size\": null,"
        "\"num_experts_per_tok\": 0, \"moe_top_k\": 8}",
        NULL, &err);
    assert_non_null(m);
    assert_true(m->experts_null && m->expert_ffn_null);
    assert_int_equal(m->topk, 0);
    mdl_close(c);
    files_free(&f);
}

static void test_shared_experts_and_moe_layers(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int64_t shared, layers;
    } cases[] = {
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_intermediate_size\":16", 0, 4},
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_intermediate_size\":16,\"n_shared_experts\":3", 3,
         4},
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_intermediate_size\":16,"
         "\"shared_expert_intermediate_size\":40,\"first_k_dense_replace\":1",
         2, 3},
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_intermediate_size\":16,"
         "\"moe_shared_expert_intermediate_size\":8,\"moe_layer_freq\":2",
         1, 2},
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_layer_freq\":[0,1,true,1]", 0, 3},
        {"\"num_experts\":8,\"num_experts_per_tok\":2,\"first_k_dense_replace\":9", 0, 0},
        {"\"num_experts\":8", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files f = files_new();
        mdl_catalogue *c = shipped();
        aic_error err = {0};
        char config[1024];
        snprintf(config, sizeof config, "{" LLAMA_CORE ",%s}", cases[i].config);
        const mdl_model *m = from_config(&f, c, config, NULL, &err);
        assert_non_null(m);
        assert_int_equal(m->shared_experts, cases[i].shared);
        assert_int_equal(m->moe_layers, cases[i].layers);
        mdl_close(c);
        files_free(&f);
    }
}

static void test_nested_text(void **state) {
    (void)state;
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m =
        from_config(&f, c,
                    "{\"architectures\":[\"Gemma4ForConditionalGeneration\"],\"hidden_size\":1,"
                    "\"text_config\":{\"num_hidden_layers\":3,\"hidden_size\":64,\"num_attention_heads\":4,"
                    "\"vocab_size\":10,"
                    "\"max_position_embeddings\":99,\"num_nextn_predict_layers\":2,"
                    "\"quantization_config\":{\"quant_method\":\"fp8\"}}}",
                    NULL, &err);
    assert_non_null(m);
    assert_int_equal(m->hidden, 64);
    assert_int_equal(m->nextn_auto, 2);
    assert_string_equal(m->quant_algo, "fp8");
    assert_true(m->is_moe);
    mdl_close(c);
    files_free(&f);
}

/* hf_quant_config.json stands in for a quantization_config. */
static void test_quant_file(void **state) {
    (void)state;
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m =
        from_config(&f, c, "{" LLAMA_CORE "}",
                    "{\"quantization\":{\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":\"FP8\"}}", &err);
    assert_non_null(m);
    assert_string_equal(m->quant_algo, "nvfp4");
    assert_string_equal(m->kv_algo, "fp8");
    const aic_node *method = mdl_path(m->config, "quantization_config.quant_method");
    assert_non_null(method);
    assert_string_equal(method->text, "nvfp4");
    mdl_close(c);
    files_free(&f);
}

static void test_refused_configs(void **state) {
    (void)state;
    static const struct {
        const char *config, *message;
    } cases[] = {
        {"[1]", "expected a mapping"},
        {"{\"a\":", "config.json"},
        {"{}", "\"architectures\""},
        {"{\"architectures\":[]}", "\"architectures\""},
        {"{\"architectures\":[\"MistralForCausalLM\"]}",
         "architecture \"MistralForCausalLM\" is not supported"},
        {"{\"architectures\":[\"LlamaForCausalLM\"]}", "\"num_hidden_layers\""},
        {"{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":4}", "no \"hidden_size\""},
        {"{" LLAMA_CORE ",\"head_dim\":\"big\"}", "head_dim: expected an integer"},
        {"{" LLAMA_CORE ",\"intermediate_size\":[1,2]}", "intermediate_size: expected an integer"},
        {"{" LLAMA_CORE ",\"intermediate_size\":4294967296}", "intermediate_size: expected an integer"},
        {"{" LLAMA_CORE ",\"num_experts\":-1}", "expected an integer"},
        {"{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":2000000000}", "num_hidden_layers"},
        {"{\"architectures\":[\"KimiK3ForConditionalGeneration\"],\"text_config\":7}", "must be a mapping"},
        {"{" LLAMA_CORE ",\"quantization_config\":{\"quant_method\":\"gptq\"}}", "\"gptq\" is not supported"},
        {"{" LLAMA_CORE ",\"quantization_config\":{\"kv_cache_dtype\":\"auto\"}}",
         "\"auto\" is not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files f = files_new();
        mdl_catalogue *c = shipped();
        aic_error err = {0};
        assert_null(from_config(&f, c, cases[i].config, NULL, &err));
        if (!strstr(err.text, cases[i].message))
            fail_msg("\"%s\" should contain \"%s\"", err.text, cases[i].message);
        assert_int_equal(err.code, AIC_BAD_INPUT);
        mdl_close(c);
        files_free(&f);
    }
}

static void test_unknown_model(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    assert_null(mdl_get(c, "Qwen/Qwen3-32b", &err));
    assert_non_null(strstr(err.text, "did you mean \"Qwen/Qwen3-32B\"?"));
    assert_null(mdl_get(c, "", &err));
    assert_null(mdl_get(c, "/tmp", &err));
    assert_non_null(strstr(err.text, "no config.json"));
    mdl_close(c);
}

/* Folders are searched in order: an own catalogue adds to the shipped one and hides its entries. */
static void test_search_path(void **state) {
    (void)state;
    files f = files_new();
    files_put(&f, "catalogue.json",
              "{\"format\":\"aicfg-model-catalogue\",\"version\":1,\"models\":{\"me/tiny\":{" LLAMA_CORE "},"
              "\"Qwen/Qwen3-8B\":{" LLAMA_CORE "}}}");
    const char *dirs[] = {f.dir, AICFG_DATA_DIR "/models"};
    aic_error err = {0};
    mdl_catalogue *c = mdl_open(dirs, 2, &err);
    assert_non_null(c);
    assert_int_equal(mdl_count(c), 90);
    assert_int_equal(mdl_get(c, "Qwen/Qwen3-8B", &err)->layers, 4);
    assert_non_null(mdl_get(c, "me/tiny", &err)->graph);
    mdl_close(c);
    files_free(&f);
}

static void test_broken_folders(void **state) {
    (void)state;
    files f = files_new();
    const char *dirs[] = {f.dir};
    aic_error err = {0};
    assert_null(mdl_open(dirs, 1, &err));
    assert_non_null(strstr(err.text, "architectures.yaml"));
    assert_null(mdl_open(dirs, 0, &err));
    files_put(&f, "catalogue.json", "{\"format\":\"something else\",\"version\":1,\"models\":{}}");
    assert_null(mdl_open(dirs, 1, &err));
    assert_non_null(strstr(err.text, "not a model catalogue"));
    files_put(&f, "catalogue.json", "{\"format\":\"aicfg-model-catalogue\",\"version\":2,\"models\":{}}");
    assert_null(mdl_open(dirs, 1, &err));
    files_free(&f);
}

static void test_architectures_file(void **state) {
    (void)state;
#define HEAD "format: aicfg-architectures\nversion: 1\n"
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"format: x\nversion: 1\n", "expected aicfg-architectures"},
        {HEAD "families: {A: hidde > 1}\narchitectures: {}\n", ":3:15: unknown name \"hidde\""},
        {HEAD "families: {A: tp > 1}\narchitectures: {}\n", ":3:15: unknown name \"tp\""},
        {HEAD "families: {A: true}\narchitectures: {X: {family: B}}\n",
         ":4:29: family \"B\" is not among families:"},
        {HEAD "families: {A: true}\narchitectures: {X: {famly: A}}\n", "did you mean \"family\"?"},
        {HEAD "families: {A: true}\narchitectures: {X: {family: A, kvcache: fp4}}\n", "not a KV-cache mode"},
        {HEAD "families: {}\narchitectures: {}\non_build: [{mode: gemm, to: fp8, when: true}]\n",
         "expected moe, fmha or kvcache"},
        {HEAD "families: {}\narchitectures: {}\nfmha_tables: [{families: [A], tables: [gemm_perf]}]\n",
         "\"gemm_perf\" is not a table"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files f = files_new();
        const char *dirs[] = {f.dir};
        aic_error err = {0};
        files_put(&f, "architectures.yaml", cases[i].text);
        assert_null(mdl_open(dirs, 1, &err));
        if (!strstr(err.text, cases[i].message))
            fail_msg("\"%s\" should contain \"%s\"", err.text, cases[i].message);
        files_free(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_models),
        cmocka_unit_test(test_cached),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_null_and_zero),
        cmocka_unit_test(test_shared_experts_and_moe_layers),
        cmocka_unit_test(test_nested_text),
        cmocka_unit_test(test_quant_file),
        cmocka_unit_test(test_refused_configs),
        cmocka_unit_test(test_unknown_model),
        cmocka_unit_test(test_search_path),
        cmocka_unit_test(test_broken_folders),
        cmocka_unit_test(test_architectures_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
