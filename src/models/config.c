/* Access to a checkpoint's config, and its normalisation (docs/model/facts.md). */
#include "models/internal.h"
#include <ctype.h>
#include <string.h>

bool mdl_truthy(const aic_node *n) {
    if (!n)
        return false;
    switch (n->kind) {
    case AIC_K_NULL:
        return false;
    case AIC_K_BOOL:
        return n->b;
    case AIC_K_INT:
        return n->i != 0;
    case AIC_K_REAL:
        return n->r != 0.0;
    case AIC_K_TEXT:
        return n->text[0] != '\0';
    case AIC_K_LIST:
    case AIC_K_MAP:
        return n->count > 0;
    }
    return false;
}

const aic_node *mdl_first(const aic_node *map, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const aic_node *found = aic_map_get(map, keys[i]);
        if (mdl_truthy(found))
            return found;
    }
    return NULL;
}

const aic_node *mdl_map(const aic_node *n) {
    return n && n->kind == AIC_K_MAP ? n : NULL;
}

const aic_node *mdl_path(const aic_node *map, const char *path) {
    char key[128];
    for (;;) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = '\0';
        map = aic_map_get(map, key);
        if (!map || !path[len])
            return map;
        path += len + 1;
    }
}

const char *mdl_lower(aic_arena *a, const aic_node *n) {
    if (!n || !n->text || n->kind == AIC_K_NULL)
        return "";
    const char *begin = n->text;
    while (isspace((unsigned char)*begin))
        begin++;
    size_t len = strlen(begin);
    while (len > 0 && isspace((unsigned char)begin[len - 1]))
        len--;
    char *out = aic_arena_strndup(a, begin, len);
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
    return out;
}

bool mdl_architecture(const aic_node *config, const char **out, aic_error *err) {
    const aic_node *list = aic_map_get(config, "architectures");
    if (!list || list->kind != AIC_K_LIST || list->count == 0 || list->items[0]->kind != AIC_K_TEXT)
        return aic_node_fail(err, config,
                             "the config names no class: \"architectures\" must be a list of names");
    *out = list->items[0]->text;
    return true;
}

static aic_node *text_node(aic_arena *a, const char *file, const char *text) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = (aic_node){.kind = AIC_K_TEXT, .file = file, .text = text, .quoted = true};
    return n;
}

aic_node *mdl_with(aic_arena *a, const aic_node *map, const char *key, aic_node *value) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = *map;
    n->items = aic_arena_alloc(a, aic_add(map->count, 1), sizeof *n->items);
    n->keys = aic_arena_alloc(a, aic_add(map->count, 1), sizeof *n->keys);
    n->count = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key) == 0)
            continue;
        n->keys[n->count] = map->keys[i];
        n->items[n->count++] = map->items[i];
    }
    n->keys[n->count] = text_node(a, map->file, key);
    n->items[n->count++] = value;
    return n;
}

/* quantization_config as hf_quant_config.json implies it, or NULL. */
static aic_node *implied_quantization(aic_arena *a, const aic_node *config) {
    const aic_node *q = mdl_map(mdl_path(config, "hf_quant_config.quantization"));
    const char *algo = mdl_lower(a, MDL_FIRST(q, "quant_algo", "quantization_algo"));
    const char *kv = mdl_lower(a, MDL_FIRST(q, "kv_cache_quant_algo"));
    if (!*algo && !*kv)
        return NULL;
    aic_node *map = aic_arena_alloc(a, 1, sizeof *map);
    *map = (aic_node){.kind = AIC_K_MAP, .file = config->file};
    if (*algo)
        map = mdl_with(a, map, "quant_method", text_node(a, config->file, algo));
    if (*kv)
        map = mdl_with(a, map, "kv_cache_quant_method", text_node(a, config->file, kv));
    return map;
}

const aic_node *mdl_normalise(aic_arena *a, const aic_node *config, const mdl_arch *arch, bool quant_file) {
    if (aic_map_get(config, "quantization_config"))
        return config;
    aic_node *found = quant_file ? implied_quantization(a, config) : NULL;
    if (!found && arch->text_key)
        found = aic_map_get(mdl_map(aic_map_get(config, arch->text_key)), "quantization_config");
    return found ? mdl_with(a, config, "quantization_config", found) : config;
}

bool mdl_text_map(const aic_node *config, const mdl_arch *arch, const aic_node **out, aic_error *err) {
    const aic_node *nested = arch->text_key ? aic_map_get(config, arch->text_key) : NULL;
    *out = nested ? nested : config;
    if ((*out)->kind == AIC_K_MAP)
        return true;
    return aic_node_fail(err, nested, "\"%s\" must be a mapping for architecture %s, found %s",
                         arch->text_key, arch->name, aic_kind_name(nested->kind));
}
