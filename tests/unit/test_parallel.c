/* links: models. Widths a request must satisfy, in the order they are checked. */
#include "models_fixture.h"

typedef struct width_case {
    mdl_parallel par;
    const char *message; /* NULL = accepted */
    uint32_t moe_tp, moe_ep;
} width_case;

static void check_width(const mdl_model *m, const width_case *x) {
    mdl_parallel par = x->par;
    op_refusal why = {0};
    bool ok = mdl_check_width(m, &par, &why);
    if (ok != !x->message || (!ok && !strstr(why.text, x->message)))
        fail_msg("tp %u dp %u cp %u moe_tp %u moe_ep %u: %s", par.tp, par.dp, par.cp, x->par.moe_tp,
                 x->par.moe_ep, ok ? "accepted" : why.text);
    if (ok) {
        assert_int_equal(par.moe_tp, x->moe_tp);
        assert_int_equal(par.moe_ep, x->moe_ep);
    } else {
        assert_int_equal(why.cls, OP_INVALID);
    }
}

static void test_width_of_moe(void **state) {
    (void)state;
    static const width_case cases[] = {
        {{8, 1, 1, 8, 1, 1}, NULL, 8, 1},
        {{8, 1, 1, 0, 4, 1}, NULL, 2, 4},
        {{2, 1, 4, 4, 0, 1}, NULL, 4, 2},
        {{1, 1, 1, 1, 8, 8}, NULL, 1, 8},
        {{8, 1, 1, 0, 0, 1}, "needs moe_tp or moe_ep", 0, 0},
        {{8, 1, 1, 0, 3, 1}, "moe_tp cannot be inferred", 0, 0},
        {{8, 1, 1, 3, 0, 1}, "moe_ep cannot be inferred", 0, 0},
        {{8, 1, 1, 2, 2, 1}, "widths differ", 0, 0},
        {{0, 1, 1, 1, 1, 1}, "tp must be from 1", 0, 0},
        {{1, 0, 1, 1, 1, 1}, "pp must be from 1", 0, 0},
        {{1, 1, 0, 1, 1, 1}, "dp must be from 1", 0, 0},
        {{1, 1, 1, 1, 1, 0}, "cp must be from 1", 0, 0},
        {{4294967295u, 1, 1, 1, 1, 1}, "tp must be from 1 to", 0, 0},
        {{1 << 20, 1, 1 << 20, 1, 1, 1 << 20}, "more GPUs than any system", 0, 0},
    };
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "Qwen/Qwen3-235B-A22B", &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_width(m, &cases[i]);
    mdl_close(c);
}

static void test_dense_models_ignore_expert_sizes(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = mdl_get(c, "Qwen/Qwen3-8B", &err);
    check_width(m, &(width_case){{8, 1, 1, 0, 0, 1}, NULL, 0, 0});
    check_width(m, &(width_case){{8, 1, 2, 3, 5, 1}, NULL, 3, 5});
    mdl_close(c);
}

static void refused(const mdl_model *m, mdl_request req, op_class cls, const char *message) {
    aic_arena *a = aic_arena_new();
    aic_error err = {0};
    op_refusal why = {0};
    mdl_deployment d;
    assert_false(mdl_build(m, &req, a, &d, &why, &err));
    if (why.cls != cls || !strstr(why.text, message))
        fail_msg("\"%s\" (%s %s) should contain \"%s\"", why.text, op_class_name(why.cls), err.text, message);
    aic_arena_free(a);
}

static void test_refusals_of_a_build(void **state) {
    (void)state;
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *dense = mdl_get(c, "Qwen/Qwen3-8B", &err),
                    *moe = mdl_get(c, "Qwen/Qwen3-30B-A3B-FP8", &err);
    refused(dense, (mdl_request){.backend = "trtllm", .par = {3, 1, 1, 0, 0, 1}}, OP_INVALID,
            "tp 3 does not divide the 32");
    refused(dense, (mdl_request){.backend = "vllm", .par = {1, 1, 1, 0, 0, 2}}, OP_INVALID,
            "context parallelism (cp 2) is not modelled for family LLAMA on vllm");
    refused(dense, (mdl_request){.backend = "sglang", .par = {2, 1, 1, 0, 0, 2}}, OP_INVALID,
            "needs tp 1 and dp 1");
    refused(dense,
            (mdl_request){.backend = "trtllm", .par = {1, 1, 1, 0, 0, 1}, .given = {.fmha = PDB_Q_float16}},
            OP_INVALID, "context_attention: attention math in float16");
    refused(dense, (mdl_request){.backend = "trtllm", .par = {1, 1, 1, 0, 0, 1}, .attention_backend = "fa3"},
            OP_INVALID, "\"fa3\" can only be chosen with a database");
    refused(moe, (mdl_request){.backend = "trtllm", .par = {4, 1, 1, 4, 1, 1}}, OP_INVALID,
            "moe_tp 4 cuts the expert FFN of 768");
    refused(moe, (mdl_request){.backend = "trtllm", .par = {1, 1, 256, 1, 256, 1}}, OP_INVALID,
            "moe_ep 256 is larger than the number of experts, 128");
    mdl_close(c);
}

/* A family without a graph file is refused by name. */
static void test_without_graph(void **state) {
    (void)state;
    files f = files_new();
    const char *dirs[] = {f.dir};
    aic_error err = {0};
    files_put(&f, "architectures.yaml",
              "format: aicfg-architectures\nversion: 1\nfamilies: {NEW: false}\n"
              "architectures: {NewForCausalLM: {family: NEW}}\n");
    files_put(&f, "catalogue.json",
              "{\"format\":\"aicfg-model-catalogue\",\"version\":1,\"models\":{\"new\":{"
              "\"architectures\":[\"NewForCausalLM\"],\"num_hidden_layers\":1,\"hidden_size\":8,"
              "\"num_attention_heads\":1,\"vocab_size\":9,\"max_position_embeddings\":9}}}");
    mdl_catalogue *c = mdl_open(dirs, 1, &err);
    assert_non_null(c);
    refused(mdl_get(c, "new", &err), (mdl_request){.backend = "trtllm", .par = {1, 1, 1, 0, 0, 1}},
            OP_INVALID, "its graph file (graphs/new.yaml) does not exist");
    mdl_close(c);
    files_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width_of_moe),
        cmocka_unit_test(test_dense_models_ignore_expert_sizes),
        cmocka_unit_test(test_refusals_of_a_build),
        cmocka_unit_test(test_without_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
