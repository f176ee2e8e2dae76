/* links: models. The graph language: what a file can say, and where its errors are reported. */
#include "graph_world.h"

/* ---- what a graph can say ---- */

static void test_rows_and_phases(void **state) {
    (void)state;
    expect(HEAD KV "ops:\n"
                   "  - Elementwise | {p}_norm | layers * sf | bytes_per_token = 2 * hidden\n"
                   "  - Elementwise | decode_only | sf | bytes_per_token = 1 | p == 'generation'\n"
                   "  - Elementwise | {{never}} | 1 | bytes_per_token = 1 | tp > 1\n",
           CONFIG(""), (mdl_request){.nextn = 3}, "context_norm 6", "generation_norm 9, decode_only 1.5");
    expect(HEAD KV "context:\n  - Elementwise | c | 1 | bytes_per_token = 1\n"
                   "generation:\n  - Elementwise | g{layers} | 2 | bytes_per_token = 1\n",
           CONFIG(""), (mdl_request){0}, "c 1", "g6 2");
}

static void test_lets_and_config(void **state) {
    (void)state;
    expect(
        HEAD KV "let:\n"
                "  pattern: config('pattern', [])\n"
                "  full: count(pattern, 'full')\n"
                "  deep: config('a.b') ?? 7\n"
                "  absent: config('zero', 5) # an explicit null stays null\n"
                "  local: hidden // tp\n"
                "ops:\n"
                "  - Elementwise | full | full | bytes_per_token = local\n"
                "  - Elementwise | deep | deep | bytes_per_token = bytes(gemm_quant)\n"
                "  - Elementwise | null | 1 | bytes_per_token = 1 | absent == null\n"
                "  - Elementwise | listed | len(listed(top_config('list'))) | bytes_per_token = 1\n"
                "  - Elementwise | letters | count('MEM*', 'M', '*') | bytes_per_token = 1\n",
        CONFIG(
            ",\"pattern\":[\"full\",\"slide\",\"full\"],\"a\":{\"b\":3},\"zero\":null,\"list\":\"1, 2,3\""),
        (mdl_request){0}, "full 2, deep 3, null 1, listed 3, letters 3",
        "full 2, deep 3, null 1, listed 3, letters 3");
}

/* A block sees its parameters and the graph's names, not its caller's; parameters may hide lets. */
static void test_blocks(void **state) {
    (void)state;
    expect(HEAD KV "let: {width: 5}\n"
                   "blocks:\n"
                   "  pair:\n"
                   "    params: [prefix, width]\n"
                   "    ops:\n"
                   "      - Elementwise | {prefix}_in | width | bytes_per_token = 1\n"
                   "      - {use: single, with: {name: prefix + '_out'}, when: width > 1}\n"
                   "  single:\n"
                   "    params: [name]\n"
                   "    ops: [\"Elementwise | {name} | width | bytes_per_token = 1\"]\n"
                   "ops:\n"
                   "  - {use: pair, with: {prefix: p, width: 2}}\n"
                   "  - {use: pair, with: {prefix: \"'b'\", width: 1}}\n"
                   "  - {seq: [\"Elementwise | s | 1 | bytes_per_token = 1\"], when: p == 'generation'}\n",
           CONFIG(""), (mdl_request){0}, "context_in 2, context_out 5, b_in 1",
           "generation_in 2, generation_out 5, b_in 1, s 1");
}

static void test_loops_and_groups(void **state) {
    (void)state;
    expect(HEAD KV "ops:\n"
                   "  - for: [ratio, n]\n"
                   "    in: \"[[4, 2], [128, layers - 2]]\"\n"
                   "    do: [\"Elementwise | a{ratio} | n | bytes_per_token = 1\"]\n"
                   "  - for: i\n"
                   "    in: config('ids')\n"
                   "    do: [\"Elementwise | fc{i} | 1 | bytes_per_token = 1 | i != 2\"]\n"
                   "  - overlap: '{p}_both'\n"
                   "    a: [\"Elementwise | x | 1 | bytes_per_token = 1\", \"Elementwise | y | 1 | "
                   "bytes_per_token = 1\"]\n"
                   "    b: [\"Elementwise | z | 1 | bytes_per_token = 1\"]\n"
                   "    when: p == 'generation'\n"
                   "  - fallback: f\n"
                   "    primary: Elementwise | first | 1 | bytes_per_token = 1\n"
                   "    else: [\"Elementwise | then | 2 | bytes_per_token = 1\"]\n",
           CONFIG(",\"ids\":[1,2,3]"), (mdl_request){0}, "a4 2, a128 4, fc1 1, fc3 1, f [first 1 | then 2]",
           "a4 2, a128 4, fc1 1, fc3 1, generation_both [x 1, y 1 | z 1], f [first 1 | then 2]");
}

/* A kind that changes with the phase loses the fields that the other phase's kind lacks; rows go before
 * defaults. */
static void test_kinds_and_defaults(void **state) {
    (void)state;
    world w =
        make(HEAD KV "kinds: {Attention: {context: ContextAttention, generation: GenerationAttention}}\n"
                     "defaults:\n"
                     "  ContextAttention: {window_size: 0, head_size: 9, kv_cache_dtype: kv_quant,\n"
                     "    fmha_quant_mode: fmha_quant, cp_size: \"cp if p == 'context' else 1\"}\n"
                     "  GenerationAttention: {window_size: 0, head_size: 9, kv_cache_dtype: kv_quant}\n"
                     "ops:\n"
                     "  - Attention | {p}_attention | 1 | n = heads; n_kv = kv_heads; head_size = head_dim; "
                     "use_qk_norm = true\n",
             CONFIG(""));
    assert_true(build(&w, (mdl_request){.given = {.kvcache = PDB_Q_fp8}}));
    aic_buf text = {0};
    op_to_json(w.built.context.items[0], &text);
    op_to_json(w.built.generation.items[0], &text);
    assert_non_null(strstr(text.data, "\"use_qk_norm\": true"));
    assert_non_null(strstr(text.data, "{\"GenerationAttention\": {\"name\": \"generation_attention\""));
    assert_null(strstr(text.data, "\"head_size\": 9"));
    assert_int_equal(w.built.quants.kvcache, PDB_Q_fp8);
    aic_buf_free(&text);
    end(&w);
}

static void test_includes(void **state) {
    (void)state;
    world w = make(HEAD "include: [shared.yaml]\n" KV "ops:\n  - {use: shared_row}\n", CONFIG(""));
    files_put(
        &w.files, "graphs/shared.yaml",
        "format: aicfg-graph\nversion: 1\nlet: {many: 3}\ndefaults: {Elementwise: {bytes_per_token: 8}}\n"
        "blocks: {shared_row: {ops: [Elementwise | shared | many]}}\n");
    assert_true(build(&w, (mdl_request){0}));
    expect_lists(&w, "shared 3", "shared 3");
    end(&w);
}

static void test_checks_and_kv(void **state) {
    (void)state;
    world w = make(HEAD "checks:\n"
                        "  - {when: tp > 4, refuse: 'tp {tp} is more than {2 + 2}'}\n"
                        "  - {when: tp > 2, refuse: second}\n"
                        "kv:\n"
                        "  - {per_token: 2, window: 4, when: tp == 2}\n"
                        "  - {per_token: 4, when: tp == 2}\n"
                        "  - {per_token: 20, when: tp == 1}\n"
                        "ops:\n"
                        "  - Elementwise | a | 1 | bytes_per_token = kv_token_bytes\n",
                   CONFIG(""));
    assert_true(build(&w, (mdl_request){0}));
    assert_true(mdl_kv_bytes(&w.built, 3.0) == 60.0);
    assert_true(build(&w, (mdl_request){.par = {2, 1, 1, 0, 0, 1}}));
    assert_true(mdl_kv_bytes(&w.built, 10.0) == 2.0 * 4.0 + 4.0 * 10.0);
    assert_false(build(&w, (mdl_request){.par = {8, 1, 1, 0, 0, 1}}));
    assert_int_equal(w.why.cls, OP_INVALID);
    assert_string_equal(w.why.text, "tp 8 is more than 4");
    assert_false(build(&w, (mdl_request){.par = {4, 1, 1, 0, 0, 1}}));
    assert_string_equal(w.why.text, "second");
    end(&w);
}

/* ---- errors ---- */

typedef struct broken {
    const char *graph, *message;
} broken;

static void test_errors_when_read(void **state) {
    (void)state;
    static const broken cases[] = {
        {"format: aicfg-graph\nversion: 2\n", ":2:10: version"},
        {"format: aicfg-graph\nversion: 1\nfamily: OTHER\n", ":3:9: this file must describe family TINY"},
        {HEAD "oops: []\n", ":4:1: graph file: unknown key \"oops\"; did you mean \"ops\"?"},
        {HEAD "ops: []\n", "kv: expected a list"},
        {HEAD KV, "a graph needs ops:, or context: and generation:"},
        {HEAD KV "ops: []\ncontext: []\n", ":6:10: a graph has either ops:"},
        {HEAD KV "ops:\n  - Elementwis | a | 1\n",
         ":6:5: unknown op kind \"Elementwis\"; did you mean \"Elementwise\"?"},
        {HEAD KV "ops:\n  - Elementwise | a\n", ":6:5: a row reads: Kind | name | repeat"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | byts = 1\n", ":6:27: Elementwise has no field \"byts\""},
        {HEAD KV "ops:\n  - Elementwise | a | 1\n", ":6:5: Elementwise lacks its field \"bytes_per_token\""},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token\n", ":6:27: expected field = expression"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = 1; bytes_per_token = 2\n",
         "is given twice"},
        {HEAD KV "ops:\n  - Elementwise | a | layer | bytes_per_token = 1\n",
         ":6:23: unknown name \"layer\"; did you mean \"layers\"?"},
        {HEAD KV "ops:\n  - Elementwise | {q}_a | 1 | bytes_per_token = 1\n", ":6:20: unknown name \"q\""},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = 1 | tp >\n", "end of the expression"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = 1 | tp | cp\n",
         ":6:54: more than 5 cells"},
        {HEAD KV "ops:\n  - \"Overlap | a | 1\"\n", ":6:6: Overlap holds other ops"},
        {HEAD KV "ops:\n  - {use: nothing}\n", ":6:11: no block is called \"nothing\""},
        {HEAD KV "ops:\n  - {what: nothing}\n", ":6:5: expected a row, or a group"},
        {HEAD KV "ops:\n  - 5\n", ":6:5: expected a row, or a group"},
        {HEAD KV "ops:\n  - {seq: 5}\n", "expected a list of rows"},
        {HEAD KV "ops:\n  - {seq: [], whn: tp}\n", "did you mean \"when\"?"},
        {HEAD KV "ops:\n  - {for: tp, in: \"[]\", do: []}\n", ":6:11: \"tp\" already means something"},
        {HEAD KV "ops:\n  - {for: [], in: \"[]\", do: []}\n", "expected a name or a list of names"},
        {HEAD KV "ops:\n  - {fallback: f, primary: [], else: []}\n", "primary: expected one row"},
        {HEAD KV "ops:\n  - {overlap: f, a: []}\n", "expected a list of rows"},
        {HEAD KV "blocks: {b: {params: [x], ops: []}}\nops:\n  - {use: b}\n",
         ":7:5: block b needs its parameter \"x\""},
        {HEAD KV "blocks: {b: {ops: []}}\nops:\n  - {use: b, with: {y: 1}}\n",
         "block b has no parameter \"y\""},
        {HEAD KV "blocks: {b: {ops: [{use: b}]}}\nops: [{use: b}]\n", "nested deeper than 16"},
        {HEAD KV "blocks: {b: {params: [x], ops: []}}\nops:\n  - {use: b, with: 3}\n",
         "with: expected a mapping"},
        {HEAD "let: {tp: 3}\n" KV "ops: []\n", ":4:7: let: \"tp\" already means something"},
        {HEAD "let: {a: b, b: 1}\n" KV "ops: []\n", ":4:10: unknown name \"b\""},
        {HEAD "let: {a: [1]}\n" KV "ops: []\n", "expected an expression, found a list"},
        {HEAD "kinds: {A: {context: ContextAttention}}\n" KV "ops: []\n",
         "A names no kind for the generation phase"},
        {HEAD "defaults: {Gem: {n: 1}}\n" KV "ops: []\n", ":4:12: unknown op kind \"Gem\""},
        {HEAD "defaults: {Gemm: {nn: 1}}\n" KV "ops: []\n", ":4:19: Gemm has no field \"nn\""},
        {HEAD "checks: [{when: p == 'context', refuse: no}]\n" KV "ops: []\n", ":4:17: unknown name \"p\""},
        {HEAD "let: {late: sf}\nchecks: [{when: late > 1, refuse: no}]\n" KV "ops: []\n",
         "depends on the phase"},
        {HEAD "ops: []\n", "kv: expected a list"},
        {HEAD "kv: [{per_word: 1}]\nops: []\n", ":4:7: kv: unknown key \"per_word\""},
        {HEAD "kv: [{when: true}]\nops: []\n", ":4:6: kv: a part has either per_token or per_sequence"},
        {HEAD "kv: [{per_token: 1, per_sequence: 1}]\nops: []\n", ":4:6: kv: a part has either"},
        {HEAD "kv: [{per_sequence: 1, window: 2}]\nops: []\n", "window and every belong to per_token"},
        {HEAD "kv: [{per_token: sf}]\nops: []\n", "unknown name \"sf\""},
        {HEAD KV "ops: []\nimages: {patch: 1, merge: 1, width: 1}\n", "out: expected an expression"},
        {HEAD KV "ops: []\nimages: {patch: tp, merge: 1, width: 1, out: 1}\n", "unknown name \"tp\""},
        {HEAD KV "let: {t: tp}\nops: []\nimages: {patch: t, merge: 1, width: 1, out: 1}\n",
         "images: this depends on more than the model"},
        {HEAD "include: [gone.yaml]\n" KV "ops: []\n",
         ":4:11: include: no folder of graphs has \"gone.yaml\""},
        {HEAD "include: [../x.yaml]\n" KV "ops: []\n", "give the file's name only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w = make(cases[i].graph, CONFIG(""));
        assert_null(mdl_get(w.catalogue, "tiny", &w.err));
        if (w.err.code != AIC_BAD_INPUT || !strstr(w.err.text, cases[i].message))
            fail_msg("case %zu: \"%s\" should contain \"%s\"", i, w.err.text, cases[i].message);
        end(&w);
    }
}

/* What only shows when a deployment is evaluated: a graph that cannot be computed is an error, an op that
 * cannot be made of these figures is a refusal. */
static void test_errors_when_built(void **state) {
    (void)state;
    static const broken cases[] = {
        {HEAD KV "ops:\n  - Elementwise | a | 'x' | bytes_per_token = 1\n", ":6:5: the repeat gave"},
        {HEAD KV "ops:\n  - Elementwise | a | -1 | bytes_per_token = 1\n", ":6:5: the repeat gave"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = 1 / (tp - 1)\n", ":6:"},
        {HEAD KV "ops:\n  - {for: i, in: 3, do: []}\n", ":6:5: the loop runs over"},
        {HEAD KV "ops:\n  - {for: [i, j], in: \"[[1, 2], [1]]\", do: []}\n", "the loop binds 2 names"},
        {HEAD KV "let: {bad: 1 // (tp - 1)}\nops:\n  - Elementwise | a | bad | bytes_per_token = 1\n", ":5:"},
        {HEAD "kv: [{per_token: -1}]\nops: []\n", ":4:6: kv: per_token gave an integer, not a number"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = bytes('fp7')\n",
         "name of a quantisation mode"},
        {HEAD KV
         "let: {m: config('map') if tp else 0}\nops:\n  - Elementwise | a | m | bytes_per_token = 1\n",
         "holds a mapping"},
        {HEAD KV
         "ops:\n  - for: i\n    in: config('many')\n    do:\n      - for: j\n        in: config('many')\n    "
         "    do:\n"
         "          - {for: k, in: config('many'), do: [\"Elementwise | a | 1 | bytes_per_token = 1\"]}\n",
         "more than 65536 ops"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w = make(cases[i].graph, CONFIG(",\"map\":{},\"many\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                                              "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                                              "1,1,1,1,1,1,1,1,1]"));
        assert_false(build(&w, (mdl_request){0}));
        if (w.err.code != AIC_BAD_INPUT || w.why.cls != OP_OK || !strstr(w.err.text, cases[i].message))
            fail_msg("case %zu: \"%s\" (%s) should contain \"%s\"", i, w.err.text, w.why.text,
                     cases[i].message);
        end(&w);
    }
    world w = make(HEAD KV "ops:\n  - P2P | hop | 1 | pp_size = 0 - pp; hidden_size = hidden\n", CONFIG(""));
    assert_false(build(&w, (mdl_request){0}));
    assert_int_equal(w.why.cls, OP_INVALID);
    assert_non_null(strstr(w.why.text, "hop: P2P field \"pp_size\""));
    end(&w);
    w = make(HEAD KV "let: {kernel: required('conv.kernel')}\nops: []\n", CONFIG(",\"conv\":{}"));
    assert_false(build(&w, (mdl_request){0})); /* the config's fault, not the graph's */
    assert_int_equal(w.why.cls, OP_INVALID);
    assert_non_null(strstr(w.why.text, ":5:15: the config of tiny has no \"conv.kernel\""));
    end(&w);
}

/* ---- the page ---- */

/* Every name an expression may use stands in the format's page. */
static void test_documented(void **state) {
    (void)state;
    static const char *const names[] = {
#define NAME_ROW(name, level, value, meaning) "| `" #name "` | " meaning " |",
        MDL_SYMBOLS(NAME_ROW)
#undef NAME_ROW
    };
    aic_buf page = {0};
    char why[256];
    assert_true(aic_read_file(AICFG_DATA_DIR "/../docs/formats/graph.md", 1 << 20, &page, why, sizeof why));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strstr(page.data, names[i]))
            fail_msg("docs/formats/graph.md lacks the line %s", names[i]);
    for (size_t i = 0; i < mdl_n_functions; i++) {
        char row[64];
        snprintf(row, sizeof row, "| `%s(", mdl_functions[i].name);
        if (!strstr(page.data, row))
            fail_msg("docs/formats/graph.md lacks %s", mdl_functions[i].name);
    }
    aic_buf_free(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_phases),
        cmocka_unit_test(test_lets_and_config),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_loops_and_groups),
        cmocka_unit_test(test_kinds_and_defaults),
        cmocka_unit_test(test_includes),
        cmocka_unit_test(test_checks_and_kv),
        cmocka_unit_test(test_errors_when_read),
        cmocka_unit_test(test_errors_when_built),
        cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
