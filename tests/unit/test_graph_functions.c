/* links: models. The graph language: functions of expressions, refusals inside lists, checks of included
 * files, a third list for the encoder, another number of layers. */
#include "graph_world.h"

/* One row whose repeat is the value of an expression over the config. */
static void gives(const char *expression, const char *config, double wanted) {
    char graph[1024], catalogue[2048];
    snprintf(graph, sizeof graph, HEAD KV "ops:\n  - \"Elementwise | a | %s | bytes_per_token = 1\"\n",
             expression);
    snprintf(catalogue, sizeof catalogue, CONFIG("%s"), config);
    world w = make(graph, catalogue);
    if (!build(&w, (mdl_request){0}))
        fail_msg("%s: %s%s", expression, w.why.text, w.err.text);
    if (w.built.context.items[0]->repeat != wanted)
        fail_msg("%s gives %g, not %g", expression, w.built.context.items[0]->repeat, wanted);
    end(&w);
}

static void test_functions(void **state) {
    (void)state;
    gives("len(listed(null)) + len(listed('  ')) + len(listed(' 3, 5 ,7'))", "", 3);
    gives("listed('3, 5')[1] + listed([8])[0]", "", 13);
    gives("len(per_layer(4)) * per_layer(4)[5] + per_layer([1])[0]", "", 25);
    gives("count([[1, 0], [1, 1], [1, 0]], [1, 0])", "", 2);
    gives("count([true, false, null, 'a', 1], true, null)", "", 2);
    gives("len(table('blocks', 'a.b', 'c'))", ",\"blocks\":[{\"a\":{\"b\":3}},{\"c\":[1]}]", 2);
    gives("table('blocks', 'a.b')[0][0]", ",\"blocks\":[{\"a\":{\"b\":3}},{\"c\":[1]}]", 3);
    gives("int(table('blocks', 'a.b')[1][0] == null)", ",\"blocks\":[{\"a\":{\"b\":3}},{\"c\":[1]}]", 1);
    gives("len(table('gone', 'a'))", "", 0);
    gives("len(runs([[1, null], [1, null], [2, null], [1, null]]))", "", 3);
    gives("runs([[1, null], [1, null], [2, null]])[0][2]", "", 2);
    gives("int(a2a_format('deepep_ht', 'fp8_block', p, 'dispatch', system) == 'default')", "", 1);
    gives("int(a2a_format('trtllm_deepep_ht', 'fp8', p, 'dispatch', null) == 'bfloat16')", "", 1);
    gives("int(a2a_format('trtllm_deepep_ll', 'nvfp4', p, 'combine', 'h200_sxm') == null)", "", 1);
    gives("int(a2a_format('trtllm_deepep_ll', 'nvfp4', p, 'combine', 'gb200') == 'fp4')", "", 1);
    gives("int(a2a_format('nvlink_one_sided', 'nvfp4', 'context', 'combine', null) == 'nvfp4')", "", 1);
    gives("int(a2a_format('pigeons', 'fp8', p, 'combine', null) == null)", "", 1);
    gives("len(excluded) + len(quantized_layers)",
          ",\"quantization_config\":{\"quant_method\":\"mixed_precision\",\"ignore\":[\"lm_head\",7],"
          "\"exclude_modules\":[\"x\"],\"quantized_layers\":{\"A\":\"FP8\",\"b\":{\"quant_algo\":\"X\"}}}",
          4);
    gives("int(quantized_layers[0] == ['a', 'fp8']) + int(excluded == ['x', 'lm_head'])",
          ",\"quantization_config\":{\"quant_method\":\"mixed_precision\",\"ignore\":[\"lm_head\"],"
          "\"exclude_modules\":[\"x\"],\"quantized_layers\":{\"A\":\" FP8 \"}}",
          2);
}

static void test_function_errors(void **state) {
    (void)state;
    static const struct {
        const char *expression, *message;
    } cases[] = {
        {"listed(3)", "listed takes a list or a text, not an integer"},
        {"listed('1,x')", "\"x\" is not an integer"},
        {"listed('1,')", "\"\" is not an integer"},
        {"count(3, 1)", "count takes a list or a text first"},
        {"table(3, 'a')", "table takes paths"},
        {"runs(3)", "runs takes a list of lists, not an integer"},
        {"runs([3])", "an item is an integer"},
        {"a2a_format(null, 'fp8', p, 'dispatch', null)", "a2a_format takes texts, not null"},
        {"a2a_format('deepep_ht', 'fp7', p, 'dispatch', null)", "\"fp7\" is no expert mode"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char graph[1024];
        snprintf(graph, sizeof graph, HEAD KV "ops:\n  - \"Elementwise | a | %s | bytes_per_token = 1\"\n",
                 cases[i].expression);
        world w = make(graph, CONFIG(""));
        assert_false(build(&w, (mdl_request){0}));
        if (!strstr(w.err.text, cases[i].message))
            fail_msg("%s: \"%s\" should contain \"%s\"", cases[i].expression, w.err.text, cases[i].message);
        end(&w);
    }
}

/* A refusal counts where the build comes to it, and not where its condition fails. */
static void test_refuse(void **state) {
    (void)state;
    world w = make(HEAD KV "ops:\n"
                           "  - {refuse: 'tp {tp} in {p}', when: tp > 1}\n"
                           "  - seq:\n"
                           "      - {refuse: never}\n"
                           "    when: tp > 1\n"
                           "  - Elementwise | a | 1 | bytes_per_token = 1\n",
                   CONFIG(""));
    assert_true(build(&w, (mdl_request){0}));
    expect_lists(&w, "a 1", "a 1");
    assert_false(build(&w, (mdl_request){.par = {2, 1, 1, 0, 0, 1}}));
    assert_int_equal(w.why.cls, OP_INVALID);
    assert_string_equal(w.why.text, "tp 2 in context");
    end(&w);
}

/* Checks of an included file come before the file's own. */
static void test_included_checks(void **state) {
    (void)state;
    world w = make(HEAD "include: [shared.yaml]\nchecks: [{when: tp > 1, refuse: own}]\n" KV "ops: []\n",
                   CONFIG(""));
    files_put(&w.files, "graphs/shared.yaml",
              "format: aicfg-graph\nversion: 1\nchecks: [{when: tp > 2, refuse: shared}]\n");
    assert_true(build(&w, (mdl_request){0}));
    assert_false(build(&w, (mdl_request){.par = {2, 1, 1, 0, 0, 1}}));
    assert_string_equal(w.why.text, "own");
    assert_false(build(&w, (mdl_request){.par = {4, 1, 1, 0, 0, 1}}));
    assert_string_equal(w.why.text, "shared");
    end(&w);
}

static void test_encoder(void **state) {
    (void)state;
    world w = make(HEAD KV
                   "ops: []\nencoder:\n"
                   "  - \"Gemm | {p}_a | sf | n = 8; k = 4 if encoder_tp else 2; quant_mode = 'bfloat16'\"\n",
                   CONFIG(""));
    assert_true(build(&w, (mdl_request){.nextn = 3}));
    assert_int_equal(w.built.encoder.count, 1);
    assert_string_equal(w.built.encoder.items[0]->name, "encoder_a");
    assert_true(w.built.encoder.items[0]->repeat == 1.0);
    assert_true(w.built.encoder_weight_bytes == 32.0 && w.built.weight_bytes == 0.0);
    assert_true(build(&w, (mdl_request){.encoder_tp = true}));
    assert_true(w.built.encoder_weight_bytes == 64.0);
    assert_true(build(&w, (mdl_request){.language_only = true}));
    assert_int_equal(w.built.encoder.count, 0);
    end(&w);
}

/* Figures of a vision encoder, and what is refused for want of them. */
static void test_images(void **state) {
    (void)state;
    world w = make(HEAD KV "ops: []\nimages: {patch: config('patch'), merge: 2, width: 8, out: hidden}\n",
                   CONFIG(",\"patch\":14"));
    assert_true(build(&w, (mdl_request){0}));
    assert_true(w.model->vision.patch == 14 && w.model->vision.merge == 2 && w.model->vision.out == 64);
    mdl_image_tokens t = mdl_tokens_of_image(w.model, &(mdl_images){1, 28, 57, 0});
    assert_true(t.inside == 8 && t.behind == 2);
    end(&w);
    w = make(HEAD KV "ops: []\nimages: {patch: config('patch'), merge: 2, width: 8, out: 8}\n", CONFIG(""));
    assert_false(build(&w, (mdl_request){0}));
    assert_int_equal(w.why.cls, OP_INVALID);
    assert_non_null(strstr(w.why.text, "images: config('patch') is no integer from 1 to 4096"));
    end(&w);
    w = make(HEAD KV
             "ops: []\nimages: {patch: 0, merge: 2, width: 8, out: 8, when: tokens}\nlet: {tokens: 0}\n",
             CONFIG(""));
    assert_true(build(&w, (mdl_request){0}));
    assert_int_equal(w.model->vision.merge, 0);
    end(&w);
}

/* What the config lists layer by layer stays when the number of layers is another. */
static void test_layers(void **state) {
    (void)state;
    world w = make(HEAD KV "let: {twice: 2 * layers, far: \"count(config('types'), 'far')\"}\nops:\n"
                           "  - Elementwise | a | layers * sf | bytes_per_token = twice\n"
                           "  - Elementwise | b | far | bytes_per_token = 1\n",
                   CONFIG(",\"types\":[\"far\",\"far\"]"));
    assert_true(build(&w, (mdl_request){.layers = 4, .nextn = 2}));
    expect_lists(&w, "a 4, b 2", "a 6, b 2");
    assert_true(build(&w, (mdl_request){0}));
    expect_lists(&w, "a 6, b 2", "a 6, b 2");
    end(&w);
}

/* Exchanges given by phase, and the GPUs of a node. */
static void test_across_nodes(void **state) {
    (void)state;
    world w = make(HEAD "across_nodes: [sglang]\n" KV "ops:\n"
                        "  - Elementwise | {a2a ?? 'near'} | 1 | bytes_per_token = gpus_per_node\n"
                        "  - Elementwise | far | 1 | bytes_per_token = sms | large_ep\n",
                   CONFIG(""));
    assert_true(build(&w, (mdl_request){0}));
    expect_lists(&w, "near 1", "near 1");
    assert_true(build(&w, (mdl_request){.a2a_generation = "deepep_ll", .gpus_per_node = 4}));
    expect_lists(&w, "near 1, far 1", "deepep_ll 1, far 1");
    assert_string_equal(w.built.a2a_generation, "deepep_ll");
    assert_null(w.built.a2a_context);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_function_errors),
        cmocka_unit_test(test_refuse),    cmocka_unit_test(test_included_checks),
        cmocka_unit_test(test_images),    cmocka_unit_test(test_encoder),
        cmocka_unit_test(test_layers),    cmocka_unit_test(test_across_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
