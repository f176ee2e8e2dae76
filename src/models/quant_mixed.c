/* Checkpoints that quantise their parts differently (docs/model/quantisation_inference.md): per-target
 * algorithms of mixed_precision, and groups with an ignore list of compressed-tensors. */
#include "models/internal.h"
#include <string.h>

bool mdl_texts_have(const op_texts *t, const char *text) {
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->items[i], text) == 0)
            return true;
    return false;
}

/* Adds to a set by copying it: sets stay tiny. */
static void add_text(aic_arena *a, op_texts *set, const char *text) {
    if (mdl_texts_have(set, text))
        return;
    const char **items = aic_arena_alloc(a, aic_add(set->count, 1), sizeof *items);
    if (set->count)
        memcpy(items, set->items, set->count * sizeof *items);
    items[set->count] = text;
    *set = (op_texts){set->count + 1, items};
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_routed_target(const char *target) {
    if (strstr(target, "shared_expert"))
        return false;
    return strstr(target, ".experts.") || ends_with(target, ".experts") || strstr(target, "routing_expert");
}

static void add_algo(aic_arena *a, mdl_algos *out, const aic_node *target, const char *algo) {
    static const char *const same[][2] = {{"e4m3", "fp8"}, {"e5m2", "fp8"}, {"fp4", "nvfp4"}};
    if (!*algo)
        return;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(algo, same[i][0]) == 0)
            algo = same[i][1];
    add_text(a, is_routed_target(mdl_lower(a, target)) ? &out->routed : &out->gemm, algo);
}

static void add_layers(aic_arena *a, mdl_algos *out, const aic_node *layers) {
    for (size_t i = 0; layers && i < layers->count; i++)
        add_algo(a, out, layers->keys[i], mdl_layer_algo(a, layers->items[i]));
}

static bool is_int(const aic_node *map, const char *key, int64_t value) {
    const aic_node *n = aic_map_get(map, key);
    return n && n->kind == AIC_K_INT && n->i == value;
}

/* A group's algorithm, by name or by the shape of its weights; "" = none. */
static const char *group_algo(aic_arena *a, const aic_node *weights) {
    const aic_node *named = MDL_FIRST(weights, "quant_algo", "quantization_algo", "quant_method");
    if (named)
        return mdl_lower(a, named);
    bool is_float = strstr(mdl_lower(a, aic_map_get(weights, "type")), "float") != NULL;
    if (is_float && is_int(weights, "num_bits", 8))
        return is_int(weights, "group_size", 32) ? "mxfp8" : "fp8";
    return is_float && is_int(weights, "num_bits", 4) ? "nvfp4" : "";
}

static void add_groups(aic_arena *a, mdl_algos *out, const aic_node *groups) {
    for (size_t i = 0; groups && i < groups->count; i++) {
        const aic_node *group = mdl_map(groups->items[i]);
        const aic_node *weights = mdl_map(aic_map_get(group, "weights"));
        const aic_node *targets = aic_map_get(group, "targets");
        if (!weights || !targets || targets->kind != AIC_K_LIST)
            continue;
        const char *algo = group_algo(a, weights);
        for (size_t k = 0; k < targets->count; k++)
            if (targets->items[k]->kind == AIC_K_TEXT)
                add_algo(a, out, targets->items[k], algo);
    }
}

mdl_algos mdl_collect_algos(aic_arena *a, const mdl_quant_fields *f) {
    mdl_algos out = {0};
    add_layers(a, &out, mdl_map(aic_map_get(f->hs, "quantized_layers")));
    add_layers(a, &out, mdl_map(aic_map_get(f->qc, "quantized_layers")));
    add_groups(a, &out, mdl_map(aic_map_get(f->qc, "config_groups")));
    return out;
}

void mdl_infer_mixed(aic_arena *a, const mdl_quant_fields *f, const mdl_algos *algos, mdl_quants *out) {
    const op_texts *g = &algos->gemm, *m = &algos->routed;
    bool fp8_method = strcmp(mdl_lower(a, aic_map_get(f->qc, "quant_method")), "fp8") == 0;
    pdb_quant fp8 = f->dynamic == 1 ? PDB_Q_fp8 : PDB_Q_fp8_static;
    if (fp8_method)
        out->gemm = mdl_truthy(aic_map_get(f->qc, "weight_block_size")) ? PDB_Q_fp8_block : fp8;
    else if (mdl_texts_have(g, "mxfp8"))
        out->gemm = PDB_Q_fp8_block;
    else if (mdl_texts_have(g, "fp8"))
        out->gemm = fp8;
    else if (mdl_texts_have(g, "w4a16_nvfp4"))
        out->gemm = PDB_Q_w4a16_nvfp4;
    else if (mdl_texts_have(g, "nvfp4"))
        out->gemm = PDB_Q_nvfp4;
    if (mdl_texts_have(m, "w4a16_nvfp4"))
        out->moe = PDB_Q_w4a16_nvfp4;
    else if (mdl_texts_have(m, "nvfp4"))
        out->moe = PDB_Q_nvfp4;
    else if (mdl_texts_have(m, "mxfp8"))
        out->moe = PDB_Q_fp8_block;
    else if (mdl_texts_have(m, "fp8"))
        out->moe = PDB_Q_fp8;
}

/* Mode a group's weights ask for, PDB_Q_UNSET when it has no name here. */
static pdb_quant compressed_mode(aic_arena *a, const aic_node *weights) {
    const char *type = mdl_lower(a, aic_map_get(weights, "type"));
    bool block = strcmp(mdl_lower(a, aic_map_get(weights, "strategy")), "block") == 0 ||
                 mdl_truthy(aic_map_get(weights, "block_structure"));
    bool four = is_int(weights, "num_bits", 4), eight = is_int(weights, "num_bits", 8);
    if (strcmp(type, "int") == 0)
        return four ? PDB_Q_int4_wo : eight ? PDB_Q_int8_wo : PDB_Q_UNSET;
    if (strcmp(type, "float") != 0)
        return PDB_Q_UNSET;
    if (eight)
        return block ? PDB_Q_fp8_block : PDB_Q_fp8;
    return four ? PDB_Q_w4a16_mxfp4 : PDB_Q_UNSET;
}

/* Which of attention and routed experts the ignore list leaves unquantised. */
static void ignored_parts(aic_arena *a, const aic_node *ignore, bool *attention, bool *routed) {
    static const char *const marks[] = {"self_attn", "q_proj", "k_proj", "v_proj", "o_proj"};
    *attention = *routed = false;
    for (size_t i = 0; ignore && ignore->kind == AIC_K_LIST && i < ignore->count; i++) {
        const char *pattern = mdl_lower(a, ignore->items[i]);
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
            *attention = *attention || strstr(pattern, marks[k]) != NULL;
        *routed = *routed || (!strstr(pattern, "shared_expert") && strstr(pattern, "expert"));
    }
}

static bool set_compressed(const mdl_quant_fields *f, pdb_quant mode, unsigned kind, pdb_quant *out,
                           aic_error *err) {
    if (!(pdb_quant_get(mode)->kinds & kind))
        return aic_node_fail(err, f->qc, "compressed-tensors asks for %s, which is not a %s mode",
                             pdb_quant_get(mode)->name, pdb_quant_kind_name(kind));
    *out = mode;
    return true;
}

bool mdl_infer_compressed(aic_arena *a, const mdl_quant_fields *f, mdl_quants *out, aic_error *err) {
    const aic_node *groups = mdl_map(aic_map_get(f->qc, "config_groups"));
    pdb_quant mode = PDB_Q_UNSET;
    for (size_t i = 0; groups && i < groups->count && mode == PDB_Q_UNSET; i++)
        mode = compressed_mode(a, mdl_map(aic_map_get(mdl_map(groups->items[i]), "weights")));
    if (mode == PDB_Q_UNSET)
        return true;
    bool attention, routed;
    ignored_parts(a, aic_map_get(f->qc, "ignore"), &attention, &routed);
    return (attention || set_compressed(f, mode, PDB_GEMM, &out->gemm, err)) &&
           (routed || set_compressed(f, mode, PDB_MOE, &out->moe, err));
}
