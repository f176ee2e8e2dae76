/* links: models. The shipped graphs: op lists, weights and KV caches as in the reference, for every family;
 * and every shipped model builds. */
#include "models_fixture.h"
#include "parity/golden_models.h"

static void agrees(const char *file, size_t least, bool with_data) {
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *systems[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    golden_models g = {.catalogue = shipped()};
    g.db = with_data ? pdb_open(dirs, 1, NULL, systems, 1, &err) : NULL;
    assert_true(g.db || !with_data);
    char path[256];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA_DIR, file);
    golden_agrees(&g, path, least);
    pdb_close(g.db);
    mdl_close(g.catalogue);
}

static void test_plain_families(void **state) {
    (void)state;
    agrees("models_ops.jsonl.gz", 110, false);
}

static void test_latent_hybrid_and_vision_families(void **state) {
    (void)state;
    agrees("models_ops_b.jsonl.gz", 140, false);
}

/* Which exchange carries tokens across nodes, by what the shipped database has measured. */
static void test_exchanges(void **state) {
    (void)state;
    agrees("models_exchange.jsonl.gz", 40, true);
}

static void test_images(void **state) {
    (void)state;
    agrees("models_images.jsonl.gz", 40, false);
}

/* Sides go to the nearest whole token, halves to the even one; a token is 32 pixels here. */
static void test_image_sizes(void **state) {
    (void)state;
    static const struct {
        mdl_images images;
        uint64_t inside, behind;
    } cases[] = {
        {{1, 48, 32, 0}, 8, 2}, {{1, 80, 32, 0}, 8, 2},  {{1, 112, 32, 0}, 16, 4},
        {{1, 1, 1, 0}, 4, 1},   {{1, 0, 999, 7}, 28, 7}, {{1, 1024, 2048, 5}, 8192, 2048},
        {{1, 0, 0, 0}, 0, 0},
    };
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *vl = mdl_get(c, "Qwen/Qwen3-VL-8B-Instruct", &err),
                    *text = mdl_get(c, "Qwen/Qwen3-8B", &err);
    assert_int_equal(vl->vision.patch * vl->vision.merge, 32);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_image_tokens t = mdl_tokens_of_image(vl, &cases[i].images);
        assert_int_equal(t.inside, cases[i].inside);
        assert_int_equal(t.behind, cases[i].behind);
        assert_int_equal(mdl_tokens_of_image(text, &cases[i].images).behind, 0);
    }
    mdl_close(c);
}

static void build_all(mdl_catalogue *c, const char *id, const char *backend) {
    aic_error err = {0};
    op_refusal why = {0};
    aic_arena *a = aic_arena_new();
    mdl_deployment d;
    const mdl_model *m = mdl_get(c, id, &err);
    if (!m)
        fail_msg("%s: %s", id, err.text);
    mdl_request req = {.backend = backend, .par = {1, 1, 1, 1, 1, 1}, .context_role = true};
    if (!mdl_build(m, &req, a, &d, &why, &err))
        fail_msg("%s on %s: %s%s", id, backend, why.text, err.text);
    assert_true(d.context.count > 5 && d.generation.count > 5 && d.weight_bytes > 1e8);
    double kv = mdl_kv_bytes(&d, 1000.0);
    assert_true(kv >= mdl_kv_bytes(&d, 999.0) && mdl_kv_max_tokens(&d, 1e9) >= 0.0);
    aic_arena_free(a);
}

static void test_every_model_builds(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    static const char *const backends[] = {"trtllm", "sglang", "vllm"};
    for (size_t i = 0; i < mdl_count(c); i++)
        for (size_t k = 0; k < 3; k++)
            build_all(c, mdl_id_at(c, i), backends[k]);
    mdl_close(c);
}

/* GPT has no architecture of its own; an entry in a folder of one's own gives it one. */
static void test_gpt(void **state) {
    (void)state;
    files f = files_new();
    const char *dirs[] = {f.dir, AICFG_DATA_DIR "/models"};
    aic_error err = {0};
    files_put(&f, "architectures.yaml",
              "format: aicfg-architectures\nversion: 1\n"
              "architectures: {GPTJForCausalLM: {family: GPT}}\n");
    files_put(&f, "catalogue.json",
              "{\"format\":\"aicfg-model-catalogue\",\"version\":1,\"models\":{\"gpt\":{"
              "\"architectures\":[\"GPTJForCausalLM\"],\"num_hidden_layers\":12,\"hidden_size\":768,"
              "\"num_attention_heads\":12,\"num_key_value_heads\":12,\"intermediate_size\":3072,"
              "\"vocab_size\":50400,\"max_position_embeddings\":2048}}}");
    mdl_catalogue *c = mdl_open(dirs, 2, &err);
    assert_non_null(c);
    const mdl_model *m = mdl_get(c, "gpt", &err);
    aic_arena *a = aic_arena_new();
    mdl_deployment d;
    op_refusal why = {0};
    mdl_request req = {.backend = "trtllm", .par = {2, 2, 1, 0, 0, 1}};
    assert_true(mdl_build(m, &req, a, &d, &why, &err));
    assert_int_equal(d.context.count, 13);
    assert_int_equal(d.generation.count, 13);
    /* embedding whole, attention and FFN halved, in 16 bits */
    double layer = 768.0 * (6 * 64 * 3 + 384) + 768.0 * 1536 * 2;
    assert_true(d.weight_bytes == 2.0 * (50400.0 * 768 + 12 * layer + 25200.0 * 768));
    assert_true(mdl_kv_bytes(&d, 10.0) == 10.0 * 6 * 64 * 12 * 2 * 2);
    req.nextn = 1;
    assert_false(mdl_build(m, &req, a, &d, &why, &err));
    assert_non_null(strstr(why.text, "GPT does not model multi-token prediction"));
    aic_arena_free(a);
    mdl_close(c);
    files_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_families),
        cmocka_unit_test(test_latent_hybrid_and_vision_families),
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_image_sizes),
        cmocka_unit_test(test_every_model_builds),
        cmocka_unit_test(test_gpt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
