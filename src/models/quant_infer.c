/* Which modes a checkpoint's files imply (docs/model/quantisation_inference.md). */
#include "models/internal.h"
#include <string.h>

/* X(algorithm, gemm mode, expert mode): algorithms that mean one mode each; fp8's GEMM depends on how scales
 * are made. */
#define SIMPLE_ALGOS(X)                                                                                      \
    X("fp8_block", PDB_Q_fp8_block, PDB_Q_fp8_block)                                                         \
    X("nvfp4", PDB_Q_nvfp4, PDB_Q_nvfp4)                                                                     \
    X("mxfp4", PDB_Q_bfloat16, PDB_Q_w4a16_mxfp4)                                                            \
    X("fp8", PDB_Q_fp8, PDB_Q_fp8)

typedef struct simple_algo {
    const char *name;
    pdb_quant gemm, moe;
} simple_algo;

static const simple_algo simple_algos[] = {
#define SIMPLE_ROW(name, gemm, moe) {name, gemm, moe},
    SIMPLE_ALGOS(SIMPLE_ROW)
#undef SIMPLE_ROW
};

static bool is_one_of(const char *text, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}
#define IS_ONE_OF(text, ...)                                                                                 \
    is_one_of((text), (const char *const[]){__VA_ARGS__},                                                    \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *weight_algo(aic_arena *a, const mdl_quant_fields *f) {
    const aic_node *n = MDL_FIRST(f->hs, "quant_algo");
    if (!n)
        n = MDL_FIRST(f->qc, "quant_algo", "quant_method", "quantization_method");
    const char *algo = mdl_lower(a, n);
    if (!*algo)
        return NULL;
    if (strcmp(algo, "w4a16_mxfp4") == 0)
        return "mxfp4";
    if (IS_ONE_OF(algo, "mixed-precision", "mixedprecision"))
        return "mixed_precision";
    if (strcmp(algo, "fp8") == 0 && mdl_truthy(aic_map_get(f->qc, "weight_block_size")))
        return "fp8_block";
    return algo;
}

/* A scheme gives type and bits instead of a name. */
static const char *kv_scheme(aic_arena *a, const aic_node *qc) {
    const aic_node *scheme = mdl_map(aic_map_get(qc, "kv_cache_scheme"));
    const char *type = mdl_lower(a, aic_map_get(scheme, "type"));
    const aic_node *bits = aic_map_get(scheme, "num_bits");
    if (strstr(type, "fp8"))
        return "fp8";
    if (strcmp(type, "float") != 0 || !bits || bits->kind != AIC_K_INT)
        return NULL;
    return bits->i <= 8 ? "fp8" : bits->i >= 16 ? "bfloat16" : NULL;
}

static const char *kv_algo(aic_arena *a, const mdl_quant_fields *f) {
    const aic_node *n = MDL_FIRST(f->hs, "kv_cache_quant_algo");
    if (!n)
        n = MDL_FIRST(f->qc, "kv_cache_quant_algo", "kv_cache_quant_method", "kv_cache_dtype");
    const char *algo = mdl_lower(a, n);
    if (IS_ONE_OF(algo, "fp8", "e4m3", "e5m2"))
        return "fp8";
    if (IS_ONE_OF(algo, "fp16", "float16", "bf16", "bfloat16"))
        return "bfloat16";
    return *algo ? algo : kv_scheme(a, f->qc);
}

/* Are activation scales made while running? Any group that says so decides. */
static int dynamic_scales(aic_arena *a, const aic_node *qc) {
    const char *scheme = mdl_lower(a, aic_map_get(qc, "activation_scheme"));
    if (IS_ONE_OF(scheme, "dynamic", "static"))
        return strcmp(scheme, "dynamic") == 0;
    const aic_node *groups = mdl_map(aic_map_get(qc, "config_groups"));
    int found = -1;
    for (size_t i = 0; groups && i < groups->count; i++) {
        static const char *const parts[] = {"input_activations", "weights"};
        for (size_t k = 0; k < 2; k++) {
            const aic_node *part = mdl_map(aic_map_get(mdl_map(groups->items[i]), parts[k]));
            const aic_node *flag = aic_map_get(part, "dynamic");
            if (flag)
                found = found == 1 || mdl_truthy(flag);
        }
    }
    return found;
}

/* A key of the same name at the top of the config stands before what is derived. */
static const char *stated(aic_arena *a, const aic_node *config, const char *key, const char *derived) {
    const aic_node *n = aic_map_get(config, key);
    if (!n)
        return derived;
    return mdl_truthy(n) && n->text ? aic_arena_strdup(a, n->text) : NULL;
}

static mdl_quant_fields read_fields(aic_arena *a, const aic_node *config) {
    mdl_quant_fields f = {.qc = mdl_map(aic_map_get(config, "quantization_config")),
                          .hs = mdl_map(mdl_path(config, "hf_quant_config.quantization"))};
    f.algo = stated(a, config, "quant_algo", weight_algo(a, &f));
    f.kv_algo = stated(a, config, "kv_cache_quant_algo", kv_algo(a, &f));
    const aic_node *dynamic = aic_map_get(config, "quant_dynamic");
    f.dynamic = dynamic_scales(a, f.qc);
    if (dynamic)
        f.dynamic = dynamic->kind == AIC_K_NULL ? -1 : mdl_truthy(dynamic);
    return f;
}

static bool infer_weights(aic_arena *a, const mdl_entry *m, const mdl_quant_fields *f, const mdl_algos *algos,
                          mdl_quants *out, aic_error *err) {
    if (!f->algo)
        return true;
    if (strcmp(f->algo, "mixed_precision") == 0) {
        mdl_infer_mixed(a, f, algos, out);
        return true;
    }
    if (strcmp(f->algo, "compressed-tensors") == 0)
        return mdl_infer_compressed(a, f, out, err);
    for (size_t i = 0; i < sizeof simple_algos / sizeof *simple_algos; i++) {
        if (strcmp(f->algo, simple_algos[i].name) != 0)
            continue;
        out->gemm = simple_algos[i].gemm;
        out->moe = simple_algos[i].moe;
        if (out->gemm == PDB_Q_fp8 && f->dynamic != 1)
            out->gemm = PDB_Q_fp8_static;
        return true;
    }
    return aic_node_fail(
        err, m->pub.config,
        "quantisation algorithm \"%s\" is not supported; known are fp8, fp8_block, nvfp4, mxfp4, "
        "mixed_precision and compressed-tensors",
        f->algo);
}

/* KV cache and attention math follow the weights unless the files name a KV algorithm. */
static bool infer_attention(const mdl_entry *m, const mdl_quant_fields *f, mdl_quants *out, aic_error *err) {
    bool kv_fp8 = f->kv_algo && strcmp(f->kv_algo, "fp8") == 0;
    if (f->kv_algo && !kv_fp8 && strcmp(f->kv_algo, "bfloat16") != 0)
        return aic_node_fail(err, m->pub.config,
                             "KV-cache algorithm \"%s\" is not supported; known are fp8 and bfloat16",
                             f->kv_algo);
    if (f->kv_algo)
        out->kvcache = kv_fp8 ? PDB_Q_fp8 : PDB_Q_bfloat16;
    if (m->arch->kvcache != PDB_Q_UNSET)
        out->kvcache = m->arch->kvcache;
    if (f->algo && (kv_fp8 || IS_ONE_OF(f->algo, "fp8", "fp8_block", "nvfp4"))) {
        out->fmha = PDB_Q_fp8;
        if (!kv_fp8)
            out->kvcache = PDB_Q_fp8;
    }
    return true;
}

bool mdl_read_quant(aic_arena *a, mdl_entry *m, aic_error *err) {
    mdl_quant_fields f = read_fields(a, m->pub.config);
    mdl_algos algos = mdl_collect_algos(a, &f);
    mdl_quants *out = &m->pub.inferred;
    *out = (mdl_quants){0};
    if (!infer_weights(a, m, &f, &algos, out, err))
        return false;
    const char *experts = mdl_lower(a, aic_map_get(m->pub.config, "expert_dtype"));
    if (m->arch->fp4_experts != PDB_Q_UNSET && strcmp(experts, "fp4") == 0 && out->moe != PDB_Q_nvfp4)
        out->moe = m->arch->fp4_experts;
    m->pub.quant_algo = f.algo;
    m->pub.kv_algo = f.kv_algo;
    m->pub.quant_dynamic = f.dynamic;
    m->routed_algos = algos.routed;
    m->excluded = mdl_excluded(a, &f);
    m->quantized_layers = mdl_quantized_layers(a, &f);
    return infer_attention(m, &f, out, err);
}
