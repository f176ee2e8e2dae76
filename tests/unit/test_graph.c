/* links: models. The graph language: what a file can say, and where its errors are reported. */
#include "models_fixture.h"
#include "parity/golden_models.h"

/* ---- a world of one family ---- */

#define ARCHS                                                                                                \
    "format: aicfg-architectures\nversion: 1\nfamilies: {TINY: experts > 0}\n"                               \
    "architectures: {TinyForCausalLM: {family: TINY}}\n"

#define CONFIG(extra)                                                                                        \
    "{\"format\":\"aicfg-model-catalogue\",\"version\":1,\"models\":{\"tiny\":{"                             \
    "\"architectures\":[\"TinyForCausalLM\"],\"num_hidden_layers\":6,\"hidden_size\":64,"                    \
    "\"num_attention_heads\":8,\"num_key_value_heads\":2,\"vocab_size\":100,"                                \
    "\"max_position_embeddings\":512" extra "}}}"

#define HEAD "format: aicfg-graph\nversion: 1\nfamily: TINY\n"
#define KV   "kv: [{function: linear, per_token: kv_heads * head_dim * 2 * layers}]\n"

typedef struct world {
    files files;
    mdl_catalogue *catalogue;
    const mdl_model *model;
    aic_arena *arena;
    mdl_deployment built;
    op_refusal why;
    aic_error err;
} world;

static world make(const char *graph, const char *catalogue) {
    world w = {.files = files_new(), .arena = aic_arena_new()};
    const char *dirs[] = {w.files.dir};
    files_put(&w.files, "architectures.yaml", ARCHS);
    files_put(&w.files, "catalogue.json", catalogue);
    files_put(&w.files, "graphs/tiny.yaml", graph);
    w.catalogue = mdl_open(dirs, 1, &w.err);
    if (!w.catalogue)
        fail_msg("%s", w.err.text);
    return w;
}

static void end(world *w) {
    mdl_close(w->catalogue);
    aic_arena_free(w->arena);
    files_free(&w->files);
}

static bool build(world *w, mdl_request req) {
    w->model = mdl_get(w->catalogue, "tiny", &w->err);
    if (!req.backend)
        req.backend = "trtllm";
    if (req.par.tp == 0)
        req.par = (mdl_parallel){1, 1, 1, 1, 1, 1};
    return w->model && mdl_build(w->model, &req, w->arena, &w->built, &w->why, &w->err);
}

/* Names and repeats of a list: "a 6, b 3 [c 6 | d 6]". */
static void describe(const op_list *list, aic_buf *out) {
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        aic_buf_printf(out, "%s%s", i ? ", " : "", o->name);
        if (!o->desc->composite) {
            aic_buf_printf(out, " %g", o->repeat);
            continue;
        }
        for (size_t k = 0; k < o->desc->n_fields; k++) {
            const op_field *f = &o->desc->fields[k];
            const void *at = (const char *)o->params + f->offset;
            aic_buf_add(out, k ? " | " : " [");
            if (f->type == OP_F_OPS)
                describe(at, out);
            else if (f->type == OP_F_OP)
                describe(&(op_list){1, (op **)(uintptr_t)at}, out);
        }
        aic_buf_add(out, "]");
    }
}

static void expect_lists(world *w, const char *context, const char *generation) {
    const op_list *lists[] = {&w->built.context, &w->built.generation};
    const char *wanted[] = {context, generation};
    for (size_t i = 0; i < 2; i++) {
        aic_buf text = {0};
        describe(lists[i], &text);
        assert_string_equal(text.data ? text.data : "", wanted[i]);
        aic_buf_free(&text);
    }
}

static void expect(const char *graph, const char *catalogue, mdl_request req, const char *context,
                   const char *generation) {
    world w = make(graph, catalogue);
    if (!build(&w, req))
        fail_msg("%s%s", w.why.text, w.err.text);
    expect_lists(&w, context, generation);
    end(&w);
}

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
                "  - Elementwise | listed | listed(top_config('list')) | bytes_per_token = 1\n"
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
                        "  - {function: windowed, capped: 1, full: 2, window: 4, when: tp == 2}\n"
                        "  - {function: linear, per_token: 10, when: tp == 1}\n"
                        "ops:\n"
                        "  - Elementwise | a | 1 | bytes_per_token = kv_token_bytes\n",
                   CONFIG(""));
    assert_true(build(&w, (mdl_request){0}));
    assert_true(mdl_kv_bytes(&w.built, 3.0) == 60.0);
    assert_true(build(&w, (mdl_request){.par = {2, 1, 1, 0, 0, 1}}));
    assert_true(mdl_kv_bytes(&w.built, 10.0) == 2.0 * (4.0 + 20.0));
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
        {HEAD "kv: [{function: cubic}]\nops: []\n",
         "no KV-cache function is called \"cubic\"; there are: linear, windowed"},
        {HEAD "kv: [{function: linear}]\nops: []\n", "per_token: expected an expression"},
        {HEAD "kv: [{function: linear, per_token: 1, window: 2}]\nops: []\n", "unknown key \"window\""},
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
        {HEAD KV "let: {bad: 1 // (layers - 6)}\nops: []\n", ":5:"},
        {HEAD "kv: [{function: linear, per_token: 1, when: tp > 1}]\nops: []\n", "no rule under kv: fits"},
        {HEAD "kv: [{function: linear, per_token: -1}]\nops: []\n", "kv parameter per_token"},
        {HEAD KV "ops:\n  - Elementwise | a | 1 | bytes_per_token = bytes('fp7')\n",
         "name of a quantisation mode"},
        {HEAD KV "let: {m: config('map')}\nops:\n  - Elementwise | a | m | bytes_per_token = 1\n",
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
}

/* ---- the shipped graphs ---- */

static void test_reference_lists(void **state) {
    (void)state;
    golden_models g = {.catalogue = shipped()};
    golden_agrees(&g, TEST_DATA_DIR "/models_ops.jsonl.gz", 100);
    mdl_close(g.catalogue);
}

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
    for (size_t i = 0; mdl_kv_at(i); i++)
        assert_non_null(strstr(page.data, mdl_kv_at(i)->name));
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
        cmocka_unit_test(test_reference_lists),
        cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
