/* links: models. Modes that a checkpoint's files imply. */
#include "models_fixture.h"

#define CORE(arch)                                                                                           \
    "{\"architectures\":[\"" arch "\"],\"num_hidden_layers\":4,\"hidden_size\":64,"                          \
    "\"num_attention_heads\":8,\"vocab_size\":100,\"max_position_embeddings\":512"

typedef struct expectation {
    const char *config;
    pdb_quant gemm, moe, kvcache, fmha;
} expectation;

static void expect(const expectation *x) {
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    const mdl_model *m = from_config(&f, c, x->config, NULL, &err);
    if (!m)
        fail_msg("%s", err.text);
    if (m->inferred.gemm != x->gemm || m->inferred.moe != x->moe || m->inferred.kvcache != x->kvcache ||
        m->inferred.fmha != x->fmha)
        fail_msg("%s gave %d %d %d %d", x->config, m->inferred.gemm, m->inferred.moe, m->inferred.kvcache,
                 m->inferred.fmha);
    mdl_close(c);
    files_free(&f);
}

#define NONE     PDB_Q_UNSET
#define QC(body) CORE("LlamaForCausalLM") ",\"quantization_config\":{" body "}}"
#define HS(body) CORE("LlamaForCausalLM") ",\"hf_quant_config\":{\"quantization\":{" body "}}}"

static void test_one_algorithm(void **state) {
    (void)state;
    static const expectation cases[] = {
        {QC("\"bits\":8"), NONE, NONE, NONE, NONE},
        {QC("\"quant_method\":\"fp8\""), PDB_Q_fp8_static, PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8},
        {QC("\"quant_method\":\" FP8 \",\"activation_scheme\":\"Dynamic\""), PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8,
         PDB_Q_fp8},
        {QC("\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]"), PDB_Q_fp8_block, PDB_Q_fp8_block,
         PDB_Q_fp8, PDB_Q_fp8},
        {QC("\"quant_method\":\"fp8\",\"weight_block_size\":[]"), PDB_Q_fp8_static, PDB_Q_fp8, PDB_Q_fp8,
         PDB_Q_fp8},
        {QC("\"quant_algo\":\"NVFP4\",\"quant_method\":\"fp8\""), PDB_Q_nvfp4, PDB_Q_nvfp4, PDB_Q_fp8,
         PDB_Q_fp8},
        {QC("\"quant_method\":\"mxfp4\""), PDB_Q_bfloat16, PDB_Q_w4a16_mxfp4, NONE, NONE},
        {QC("\"quant_method\":\"w4a16_mxfp4\",\"kv_cache_dtype\":\"e4m3\""), PDB_Q_bfloat16,
         PDB_Q_w4a16_mxfp4, PDB_Q_fp8, PDB_Q_fp8},
        {HS("\"quant_algo\":\"FP8\",\"kv_cache_quant_algo\":\"BF16\""), PDB_Q_fp8_static, PDB_Q_fp8,
         PDB_Q_fp8, PDB_Q_fp8},
        {HS("\"kv_cache_quant_algo\":\"FP8\""), NONE, NONE, PDB_Q_fp8, NONE},
        {QC("\"kv_cache_scheme\":{\"type\":\"float\",\"num_bits\":8}"), NONE, NONE, PDB_Q_fp8, NONE},
        {QC("\"kv_cache_scheme\":{\"type\":\"float\",\"num_bits\":16}"), NONE, NONE, PDB_Q_bfloat16, NONE},
        {QC("\"kv_cache_scheme\":{\"type\":\"float\",\"num_bits\":12}"), NONE, NONE, NONE, NONE},
        {QC("\"kv_cache_scheme\":{\"type\":\"fp8_e4m3\"}"), NONE, NONE, PDB_Q_fp8, NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
}

/* Scales made while running are told by any group that says so. */
static void test_dynamic_scales(void **state) {
    (void)state;
    static const expectation cases[] = {
        {QC("\"quant_method\":\"fp8\",\"config_groups\":{\"a\":{\"weights\":{\"dynamic\":false}},"
            "\"b\":{\"input_activations\":{\"dynamic\":true}}}"),
         PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8},
        {QC("\"quant_method\":\"fp8\",\"config_groups\":{\"a\":{\"weights\":{\"dynamic\":false}}}"),
         PDB_Q_fp8_static, PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8},
        {QC("\"quant_method\":\"fp8\",\"activation_scheme\":\"static\","
            "\"config_groups\":{\"a\":{\"weights\":{\"dynamic\":true}}}"),
         PDB_Q_fp8_static, PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8},
        {CORE("LlamaForCausalLM") ",\"quant_dynamic\":true,\"quant_algo\":\"fp8\"}", PDB_Q_fp8, PDB_Q_fp8,
         PDB_Q_fp8, PDB_Q_fp8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
}

#define LAYERS(body) QC("\"quant_method\":\"mixed_precision\",\"quantized_layers\":{" body "}")

static void test_mixed_precision(void **state) {
    (void)state;
    static const expectation cases[] = {
        {LAYERS(""), NONE, NONE, NONE, NONE},
        {LAYERS("\"l.0.mlp\":{\"quant_algo\":\"FP8\"},\"l.0.mlp.experts.3\":{\"quant_algo\":\"NVFP4\"}"),
         PDB_Q_fp8_static, PDB_Q_nvfp4, NONE, NONE},
        {LAYERS("\"l.0.mlp.experts\":\"w4a16_nvfp4\",\"l.1.mlp.experts\":\"nvfp4\""), NONE, PDB_Q_w4a16_nvfp4,
         NONE, NONE},
        {LAYERS("\"l.0.shared_experts.experts.up\":{\"quantization_algo\":\"mxfp8\"}"), PDB_Q_fp8_block, NONE,
         NONE, NONE},
        {LAYERS("\"q\":\"e5m2\",\"x.routing_expert\":\"mxfp8\""), PDB_Q_fp8_static, PDB_Q_fp8_block, NONE,
         NONE},
        {LAYERS("\"q\":\"fp4\",\"x.experts.1\":\"fp8\""), PDB_Q_nvfp4, PDB_Q_fp8, NONE, NONE},
        {LAYERS("\"q\":\"w4a16_nvfp4\",\"r\":\"int4\""), PDB_Q_w4a16_nvfp4, NONE, NONE, NONE},
        {CORE("LlamaForCausalLM") ",\"hf_quant_config\":{\"quantization\":{\"quant_algo\":\"MIXED_"
                                  "PRECISION\"}},"
                                  "\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":["
                                  "64,64]}}",
         PDB_Q_fp8_block, NONE, NONE, NONE},
        {QC("\"quant_algo\":\"mixed-precision\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],"
            "\"weights\":{\"num_bits\":8,\"type\":\"float\",\"group_size\":32}},"
            "\"b\":{\"targets\":[\"m.experts.0\",7],\"weights\":{\"num_bits\":4,\"type\":\"float\"}},"
            "\"c\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"int\"}}}"),
         PDB_Q_fp8_block, PDB_Q_nvfp4, NONE, NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
}

#define GROUPS_OF(weights, ignore)                                                                           \
    QC("\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"weights\":{" weights "}}},"      \
       "\"ignore\":[" ignore "]")

static void test_compressed_tensors(void **state) {
    (void)state;
    static const expectation cases[] = {
        {GROUPS_OF("", ""), NONE, NONE, NONE, NONE},
        {GROUPS_OF("\"num_bits\":4,\"type\":\"int\"", ""), PDB_Q_int4_wo, PDB_Q_int4_wo, NONE, NONE},
        {GROUPS_OF("\"num_bits\":4,\"type\":\"int\"", "\"re:.*self_attn.*\""), NONE, PDB_Q_int4_wo, NONE,
         NONE},
        {GROUPS_OF("\"num_bits\":8,\"type\":\"int\"", "\"re:.*experts.*\""), PDB_Q_int8_wo, NONE, NONE, NONE},
        {GROUPS_OF("\"num_bits\":8,\"type\":\"float\"", "\"re:.*shared_expert.*\""), PDB_Q_fp8, PDB_Q_fp8,
         NONE, NONE},
        {GROUPS_OF("\"num_bits\":8,\"type\":\"float\",\"strategy\":\"block\"", ""), PDB_Q_fp8_block,
         PDB_Q_fp8_block, NONE, NONE},
        {GROUPS_OF("\"num_bits\":4,\"type\":\"float\"", "\"q_proj\""), NONE, PDB_Q_w4a16_mxfp4, NONE, NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
    files f = files_new();
    mdl_catalogue *c = shipped();
    aic_error err = {0};
    assert_null(from_config(&f, c, GROUPS_OF("\"num_bits\":8,\"type\":\"int\"", ""), NULL, &err));
    assert_non_null(strstr(err.text, "int8_wo, which is not a MoE mode"));
    mdl_close(c);
    files_free(&f);
}

static void test_rules_of_an_architecture(void **state) {
    (void)state;
    static const expectation cases[] = {
        {CORE("DeepseekV4ForCausalLM") "}", NONE, NONE, PDB_Q_fp8, NONE},
        {CORE("DeepseekV4ForCausalLM") ",\"expert_dtype\":\"FP4\",\"quantization_config\":{\"quant_method\":"
                                       "\"fp8\"}}",
         PDB_Q_fp8_static, PDB_Q_w4a8_mxfp4_mxfp8, PDB_Q_fp8, PDB_Q_fp8},
        {CORE("DeepseekV4ForCausalLM") ",\"expert_dtype\":\"fp4\",\"quantization_config\":{\"quant_algo\":"
                                       "\"nvfp4\"}}",
         PDB_Q_nvfp4, PDB_Q_nvfp4, PDB_Q_fp8, PDB_Q_fp8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_algorithm),
        cmocka_unit_test(test_dynamic_scales),
        cmocka_unit_test(test_mixed_precision),
        cmocka_unit_test(test_compressed_tensors),
        cmocka_unit_test(test_rules_of_an_architecture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
