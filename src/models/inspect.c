/* What can be said of a config that no family may run: keys nobody reads, the families it looks like
 * (docs/adding-a-model.md). */
#include "models/internal.h"
#include <stdlib.h>
#include <string.h>

/* A set of key names: sorted, each once. */
typedef struct keys {
    const char **items;
    size_t count, cap;
} keys;

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_key(const keys *k, const char *name) {
    return k->count && bsearch(&name, k->items, k->count, sizeof *k->items, by_text);
}

static void add_key(keys *k, const char *name) {
    AIC_GROW(k->items, k->count, k->cap);
    k->items[k->count++] = name;
}

static void settle(keys *k) {
    size_t n = 0;
    if (k->count)
        qsort(k->items, k->count, sizeof *k->items, by_text);
    for (size_t i = 0; i < k->count; i++)
        if (n == 0 || strcmp(k->items[n - 1], k->items[i]) != 0)
            k->items[n++] = k->items[i];
    k->count = n;
}

static size_t common(const keys *a, const keys *b) {
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        n += has_key(b, a->items[i]);
    return n;
}

/* ---- keys of a config ---- */

/* Parts that every family reads by the same rules, whatever is in them. */
static bool has_own_rules(const char *key) {
    static const char *const names[] = {"quantization_config", "hf_quant_config", "vision_config",
                                        "_reduced"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

/* The map that describes the language model: the config itself, or the nested one with its sizes. */
static const aic_node *language_map(const aic_node *config) {
    if (aic_map_get(config, "hidden_size"))
        return config;
    for (size_t i = 0; i < config->count; i++)
        if (aic_map_get(config->items[i], "hidden_size") && aic_map_get(config->items[i], "vocab_size"))
            return config->items[i];
    return config;
}

/* Keys of a map that may have a cost, those of the maps in it as "outer.inner"; `skip` is described by its
 * own keys. */
static void collect_map(aic_arena *a, const aic_node *map, const aic_node *skip, const keys *ignored,
                        keys *out) {
    for (size_t i = 0; i < map->count; i++) {
        const aic_node *value = map->items[i];
        const char *key = map->keys[i]->text;
        if (value == skip || has_own_rules(key) || has_key(ignored, key))
            continue;
        if (value->kind != AIC_K_MAP)
            add_key(out, key);
        for (size_t k = 0; value->kind == AIC_K_MAP && k < value->count; k++)
            if (!has_key(ignored, value->keys[k]->text))
                add_key(out, aic_arena_printf(a, "%s.%s", key, value->keys[k]->text));
    }
}

static keys config_keys(aic_arena *a, const aic_node *config, const keys *ignored) {
    keys out = {0};
    const aic_node *text = language_map(config);
    collect_map(a, config, text, ignored, &out);
    if (text != config)
        collect_map(a, text, NULL, ignored, &out);
    settle(&out);
    return out;
}

/* ---- keys without cost (data/models/config_keys.yaml) ---- */

static bool read_row(const aic_node *row, keys *out, aic_error *err) {
    const char *text;
    if (row->kind != AIC_K_LIST)
        return aic_node_fail(err, row, "without_cost: expected lists of keys");
    for (size_t i = 0; i < row->count; i++) {
        if (!aic_node_text(row->items[i], "key", &text, err))
            return false;
        add_key(out, text);
    }
    return true;
}

static bool read_without_cost(aic_arena *a, const char *path, keys *out, aic_error *err) {
    static const char *const known[] = {"format", "version", "without_cost"};
    const aic_node *doc = aic_doc_yaml_file(a, path, err);
    const char *format;
    int64_t version;
    if (!doc || !aic_map_check_keys(doc, "file of config keys", known, 3, err) ||
        !aic_node_text(aic_map_get(doc, "format"), "format", &format, err) ||
        !aic_node_i64(aic_map_get(doc, "version"), "version", 1, 1, &version, err))
        return false;
    const aic_node *rows = aic_map_get(doc, "without_cost");
    if (strcmp(format, "aicfg-config-keys") != 0 || !rows || rows->kind != AIC_K_LIST)
        return aic_node_fail(err, doc, "expected format aicfg-config-keys with a list without_cost");
    for (size_t i = 0; i < rows->count; i++)
        if (!read_row(rows->items[i], out, err))
            return false;
    return true;
}

/* Of all folders together. */
static bool without_cost(aic_arena *a, const mdl_dirs *dirs, keys *out, aic_error *err) {
    for (size_t i = 0; i < dirs->count; i++) {
        mdl_dirs one = {&dirs->items[i], 1, dirs->kinds};
        const char *path = mdl_find_file(a, &one, "config_keys.yaml");
        if (path && !read_without_cost(a, path, out, err))
            return false;
    }
    settle(out);
    return true;
}

/* ---- comparing with the catalogue ---- */

/* Keeps the best model of each family; best first, equal ones in the order met. */
static void note_likeness(mdl_inspection *out, mdl_likeness l) {
    size_t at = 0;
    for (size_t i = 0; i < out->n_near; i++) {
        if (strcmp(out->near[i].family, l.family) != 0)
            continue;
        if (out->near[i].share >= l.share)
            return;
        memmove(&out->near[i], &out->near[i + 1], (out->n_near - i - 1) * sizeof *out->near);
        out->n_near--;
        break;
    }
    while (at < out->n_near && out->near[at].share >= l.share)
        at++;
    if (at == MDL_LIKENESSES)
        return;
    size_t last = out->n_near < MDL_LIKENESSES ? out->n_near++ : MDL_LIKENESSES - 1;
    memmove(&out->near[at + 1], &out->near[at], (last - at) * sizeof *out->near);
    out->near[at] = l;
}

static const char *family_of(const mdl_catalogue *c, const aic_node *config) {
    const char *name;
    const mdl_arch *arch = mdl_arch_of(c, config, &name);
    return arch ? arch->family->name : NULL;
}

/* A model of the catalogue that the one in question may be like. */
typedef struct other {
    const char *family; /* NULL: of an architecture nobody knows */
    keys keys;
} other;

static bool read_others(const mdl_catalogue *c, aic_arena *a, const keys *ignored, other *others,
                        aic_error *err) {
    for (size_t i = 0; i < mdl_count(c); i++) {
        const aic_node *config = mdl_config_at(c, i, a, err);
        if (!config)
            return aic_fail_in(err, "model %s", mdl_id_at(c, i));
        others[i].family = family_of(c, config);
        if (others[i].family)
            others[i].keys = config_keys(a, config, ignored);
    }
    return true;
}

/* Keys that models of known architectures have: entries of the catalogue hold what some rule reads. */
static bool compare(mdl_catalogue *c, const char *id, aic_arena *a, const keys *own, const keys *ignored,
                    keys *read, mdl_inspection *out, aic_error *err) {
    size_t n = mdl_count(c);
    other *others = aic_arena_alloc(a, n, sizeof *others);
    bool ok = read_others(c, a, ignored, others, err);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < others[i].keys.count; k++)
            add_key(read, others[i].keys.items[k]);
    settle(read);
    size_t mine = common(own, read);
    for (size_t i = 0; i < n; i++) {
        const keys *of = &others[i].keys;
        size_t both = common(own, of), either = mine + of->count - both;
        if (both && strcmp(mdl_id_at(c, i), id) != 0)
            note_likeness(out,
                          (mdl_likeness){others[i].family, mdl_id_at(c, i), (double)both / (double)either});
        free(of->items);
    }
    return ok;
}

static void list_unexplained(aic_arena *a, const keys *own, const keys *read, mdl_inspection *out) {
    const char **items = aic_arena_alloc(a, own->count, sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < own->count; i++)
        if (!has_key(read, own->items[i]))
            items[n++] = aic_arena_strdup(a, own->items[i]);
    out->unexplained = (op_texts){n, items};
}

bool mdl_inspect(mdl_catalogue *c, const char *id, aic_arena *a, mdl_inspection *out, aic_error *err) {
    keys ignored = {0}, read = {0};
    *out = (mdl_inspection){0};
    const aic_node *config = mdl_raw_config(c, id, a, err);
    if (!config)
        return aic_fail_in(err, "model %s", id);
    const mdl_arch *arch = mdl_arch_of(c, config, &out->architecture);
    out->family = arch ? arch->family->name : NULL;
    bool ok =
        !arch || mdl_find_kinds(a, mdl_dirs_of(c), out->family, &out->has_graph, &out->unknown_kinds, err);
    ok = ok && without_cost(a, mdl_dirs_of(c), &ignored, err);
    if (ok) {
        keys own = config_keys(a, config, &ignored);
        ok = compare(c, id, a, &own, &ignored, &read, out, err);
        list_unexplained(a, &own, &read, out);
        free(own.items);
    }
    free(ignored.items);
    free(read.items);
    return ok;
}
