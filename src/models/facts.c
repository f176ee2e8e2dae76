/* Facts of a config: what every family needs to know (docs/model/facts.md). */
#include "models/internal.h"
#include <string.h>

enum { MAX_LAYERS = 100000 };

/* An integer fact. Absent or null gives `absent`; anything but an integer from min up is an error. */
static bool read_int(const aic_node *n, const char *key, int64_t min, int64_t absent, int64_t *out,
                     aic_error *err) {
    *out = absent;
    if (!n || n->kind == AIC_K_NULL)
        return true;
    return aic_node_i64(n, key, min, MDL_MAX_SIZE, out, err);
}

static bool read_required(const aic_node *map, const char *key, int64_t *out, aic_error *err) {
    const aic_node *n = aic_map_get(map, key);
    if (!n || n->kind == AIC_K_NULL)
        return aic_node_fail(err, map, "the config has no \"%s\"", key);
    return read_int(n, key, 1, 0, out, err);
}

static bool read_layers(const aic_node *map, int64_t *out, aic_error *err) {
    const aic_node *n = aic_map_get(map, "num_hidden_layers");
    if (n && n->kind != AIC_K_NULL)
        return aic_node_i64(n, "num_hidden_layers", 1, MAX_LAYERS, out, err);
    const aic_node *types = aic_map_get(map, "layers_block_type");
    const aic_node *pattern = aic_map_get(map, "hybrid_override_pattern");
    *out = 0;
    if (types && types->kind == AIC_K_LIST)
        *out = (int64_t)types->count;
    else if (pattern && pattern->kind == AIC_K_TEXT)
        *out = (int64_t)strlen(pattern->text);
    if (*out > 0 && *out <= MAX_LAYERS)
        return true;
    return aic_node_fail(err, map, "the config gives neither \"num_hidden_layers\" nor a layer pattern");
}

/* First key that is not null decides, even with 0. */
static bool read_topk(const aic_node *map, int64_t *out, aic_error *err) {
    static const char *const keys[] = {"num_experts_per_tok", "top_k_experts", "moe_top_k"};
    *out = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const aic_node *n = aic_map_get(map, keys[i]);
        if (n && n->kind != AIC_K_NULL)
            return read_int(n, keys[i], 0, 0, out, err);
    }
    return true;
}

/* The first truthy of several keys; when none is, the last one decides between 0 (absent) and null. */
static bool read_chain(const aic_node *map, const char *const *keys, size_t n, int64_t *out, bool *null,
                       aic_error *err) {
    const aic_node *found = mdl_first(map, keys, n);
    const aic_node *last = aic_map_get(map, keys[n - 1]);
    *null = !found && last && last->kind == AIC_K_NULL;
    return read_int(found, keys[0], 0, 0, out, err);
}

static bool read_shared_experts(const mdl_model *m, int64_t *out, aic_error *err) {
    static const char *const counts[] = {"n_shared_experts", "num_shared_experts"};
    for (size_t i = 0; i < 2; i++) {
        const aic_node *n = aic_map_get(m->text, counts[i]);
        if (n && n->kind != AIC_K_NULL)
            return read_int(n, counts[i], 0, 0, out, err);
    }
    int64_t size = 0;
    const aic_node *n =
        MDL_FIRST(m->text, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size");
    if (!read_int(n, "shared_expert_intermediate_size", 0, 0, &size, err))
        return false;
    *out = 0;
    if (size > 0 && m->expert_ffn > 0)
        *out = size / m->expert_ffn > 1 ? size / m->expert_ffn : 1;
    return true;
}

/* Layers with routed experts where no rule of the architecture says otherwise. */
static bool general_moe_layers(const mdl_model *m, int64_t *out, aic_error *err) {
    int64_t dense = 0, every = 1;
    const aic_node *freq = aic_map_get(m->text, "moe_layer_freq");
    *out = 0;
    if (freq && freq->kind == AIC_K_LIST) {
        for (size_t i = 0; i < freq->count; i++)
            *out += mdl_truthy(freq->items[i]);
        return true;
    }
    if (!read_int(aic_map_get(m->text, "first_k_dense_replace"), "first_k_dense_replace", 0, 0, &dense,
                  err) ||
        !read_int(freq, "moe_layer_freq", 0, 1, &every, err))
        return false;
    if (every <= 1) {
        *out = m->layers > dense ? m->layers - dense : 0;
        return true;
    }
    for (int64_t i = dense; i < m->layers; i++)
        *out += i % every == 0;
    return true;
}

/* Facts by rule of architectures.yaml see the facts read so far. */
static bool by_rule(aic_arena *a, const mdl_entry *m, const aic_expr *rule, aic_value *out, aic_error *err) {
    mdl_frame f = {.model = m, .arena = a};
    if (mdl_eval(rule, &f, out, err))
        return true;
    return aic_fail_in(err, "%s", m->pub.id);
}

static bool read_moe_layers(aic_arena *a, mdl_entry *m, aic_error *err) {
    if (m->pub.experts == 0 || m->pub.topk == 0)
        return true;
    if (!m->arch->moe_layers)
        return general_moe_layers(&m->pub, &m->pub.moe_layers, err);
    aic_value v;
    if (!by_rule(a, m, m->arch->moe_layers, &v, err))
        return false;
    if (v.type != AIC_V_INT)
        return aic_fail(err, AIC_BAD_INPUT, "%s: moe_layers gave %s, not an integer", m->pub.id,
                        aic_vtype_name(v.type));
    m->pub.moe_layers = v.u.i;
    return true;
}

static bool read_is_moe(aic_arena *a, mdl_entry *m, aic_error *err) {
    aic_value v;
    if (!by_rule(a, m, m->arch->family->is_moe, &v, err))
        return false;
    m->pub.is_moe = aic_truthy(&v);
    return true;
}

static bool read_weight_block(mdl_model *m, aic_error *err) {
    const aic_node *size = mdl_path(m->config, "quantization_config.weight_block_size");
    m->weight_block = 128;
    if (!size || size->kind != AIC_K_LIST || size->count == 0)
        return true;
    return aic_node_i64(size->items[0], "weight_block_size", 1, MDL_MAX_SIZE, &m->weight_block, err);
}

bool mdl_read_facts(aic_arena *a, mdl_entry *e, aic_error *err) {
    mdl_model *m = &e->pub;
    static const char *const experts[] = {"num_local_experts", "n_routed_experts", "moe_num_experts",
                                          "num_experts"};
    static const char *const expert_ffn[] = {"moe_intermediate_size", "intermediate_size"};
    if (!read_layers(m->text, &m->layers, err) || !read_required(m->text, "hidden_size", &m->hidden, err) ||
        !read_required(m->text, "num_attention_heads", &m->heads, err) ||
        !read_required(m->text, "vocab_size", &m->vocab, err) ||
        !read_required(m->text, "max_position_embeddings", &m->context, err) ||
        !read_int(aic_map_get(m->text, "num_key_value_heads"), "num_key_value_heads", 0, 0, &m->kv_heads,
                  err) ||
        !read_int(aic_map_get(m->text, "intermediate_size"), "intermediate_size", 0, 0, &m->ffn, err) ||
        !read_int(MDL_FIRST(m->text, "head_dim", "attention_head_dim"), "head_dim", 1, m->hidden / m->heads,
                  &m->head_dim, err) ||
        !read_topk(m->text, &m->topk, err) ||
        !read_chain(m->text, experts, 4, &m->experts, &m->experts_null, err) ||
        !read_chain(m->text, expert_ffn, 2, &m->expert_ffn, &m->expert_ffn_null, err) ||
        !read_int(aic_map_get(m->text, "num_nextn_predict_layers"), "num_nextn_predict_layers", 0, 0,
                  &m->nextn_auto, err))
        return false;
    return read_shared_experts(m, &m->shared_experts, err) && read_weight_block(m, err) &&
           read_moe_layers(a, e, err) && read_is_moe(a, e, err);
}
