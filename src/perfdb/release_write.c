/* Writing release.yaml: the facts of a release in a form made to be read and compared. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

/* ---- YAML ------------------------------------------------------------------------------------- */

static bool is_word(const char *text) {
    static const char *const meaning[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    char first = text[0];
    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z')))
        return false;
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
        return false;
    for (size_t i = 0; i < sizeof meaning / sizeof *meaning; i++) {
        size_t k = 0;
        while (text[k] && meaning[i][k] == (text[k] >= 'A' && text[k] <= 'Z' ? text[k] + 32 : text[k]))
            k++;
        if (!text[k] && !meaning[i][k])
            return false;
    }
    return true;
}

/* Plain words stand bare; what starts like a number is quoted, so that versions stay text. */
static void put_text(aic_buf *out, const char *text) {
    if (is_word(text)) {
        aic_buf_add(out, text);
        return;
    }
    aic_buf_add(out, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            aic_buf_add(out, "\\");
        aic_buf_addn(out, p, 1);
    }
    aic_buf_add(out, "\"");
}

static void put_scalar(aic_buf *out, const aic_node *n) {
    bool number = n->kind == AIC_K_INT || n->kind == AIC_K_REAL || n->kind == AIC_K_BOOL;
    if (n->kind == AIC_K_NULL)
        aic_buf_add(out, "null");
    else if (number)
        aic_buf_add(out, n->text);
    else
        put_text(out, n->text);
}

static void put_flow(aic_buf *out, const aic_node *n) {
    bool map = n->kind == AIC_K_MAP;
    if (!map && n->kind != AIC_K_LIST) {
        put_scalar(out, n);
        return;
    }
    aic_buf_add(out, map ? "{" : "[");
    for (size_t i = 0; i < n->count; i++) {
        aic_buf_add(out, i ? ", " : "");
        if (map) {
            put_scalar(out, n->keys[i]);
            aic_buf_add(out, ": ");
        }
        put_flow(out, n->items[i]);
    }
    aic_buf_add(out, map ? "}" : "]");
}

/* Nested mappings and lists of mappings take lines of their own; the rest fits one. */
static bool is_block(const aic_node *n) {
    for (size_t i = 0; i < n->count && (n->kind == AIC_K_MAP || n->kind == AIC_K_LIST); i++)
        if (n->items[i]->kind == AIC_K_MAP || (n->kind == AIC_K_MAP && n->items[i]->kind == AIC_K_LIST))
            return true;
    return false;
}

static void put_pad(aic_buf *out, int depth) {
    for (int i = 0; i < depth; i++)
        aic_buf_add(out, "  ");
}

static void put_entry(aic_buf *out, const aic_node *key, const aic_node *value, int depth) {
    put_pad(out, depth);
    put_scalar(out, key);
    aic_buf_add(out, ":");
    if (!is_block(value)) {
        aic_buf_add(out, " ");
        put_flow(out, value);
        aic_buf_add(out, "\n");
        return;
    }
    aic_buf_add(out, "\n");
    for (size_t i = 0; i < value->count; i++) {
        if (value->kind == AIC_K_MAP) {
            put_entry(out, value->keys[i], value->items[i], depth + 1);
            continue;
        }
        put_pad(out, depth + 1);
        aic_buf_add(out, "- ");
        put_flow(out, value->items[i]);
        aic_buf_add(out, "\n");
    }
}

/* ---- making nodes ----------------------------------------------------------------------------- */

static aic_node *text_node(aic_arena *a, const char *text) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = (aic_node){.kind = AIC_K_TEXT, .text = text};
    return n;
}

static aic_node *empty_node(aic_arena *a, aic_kind kind) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    n->kind = kind;
    return n;
}

/* Puts an entry in the place of one of the same key, or where its key belongs in byte order. */
static void set_entry(aic_arena *a, aic_node *map, const char *key, aic_node *value) {
    size_t at = 0;
    while (at < map->count && strcmp(map->keys[at]->text, key) < 0)
        at++;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0) {
            map->items[i] = value;
            return;
        }
    aic_node **keys = aic_arena_alloc(a, map->count + 1, sizeof *keys),
             **items = aic_arena_alloc(a, map->count + 1, sizeof *items);
    for (size_t i = 0; i < map->count; i++) {
        keys[i + (i >= at)] = map->keys[i];
        items[i + (i >= at)] = map->items[i];
    }
    keys[at] = text_node(a, key);
    items[at] = value;
    map->keys = keys;
    map->items = items;
    map->count++;
}

/* The mapping below `key`, made where it is absent or null. */
static aic_node *map_below(aic_arena *a, aic_node *map, const char *key) {
    aic_node *found = aic_map_get(map, key);
    if (found && found->kind == AIC_K_MAP)
        return found;
    found = empty_node(a, AIC_K_MAP);
    set_entry(a, map, key, found);
    return found;
}

static void append(aic_arena *a, aic_node *list, const char *text) {
    aic_node **items = aic_arena_alloc(a, list->count + 1, sizeof *items);
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    items[list->count++] = text_node(a, text);
    list->items = items;
}

/* ---- the release ------------------------------------------------------------------------------ */

static int oldest_first(const void *a, const void *b) {
    const pdb_measured *x = a, *y = b;
    int order = strcmp(x->backend, y->backend);
    order = order ? order : pdb_sort_key_compare(x->version, y->version);
    return order ? order : strcmp(x->version, y->version);
}

/* backend -> versions, oldest first. */
static aic_node *directories(aic_arena *a, const pdb_measured *m, size_t n) {
    aic_node *all = empty_node(a, AIC_K_MAP), *list = NULL;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(m[i].backend, m[i - 1].backend) != 0) {
            list = empty_node(a, AIC_K_LIST);
            set_entry(a, all, m[i].backend, list);
        }
        append(a, list, m[i].version);
    }
    return all;
}

static bool lists(const aic_node *versions, const aic_node *version) {
    for (size_t i = 0; i < versions->count && version; i++)
        if (strcmp(versions->items[i]->text, version->text) == 0)
            return true;
    return false;
}

/* Where the release gates versions of this backend and its current one is not among those measured here, the
 * system gets slots of its own: its newest version and the one before. */
static void gate(aic_arena *a, aic_node *slots, const char *system, const char *backend,
                 const aic_node *versions) {
    const aic_node *own = aic_map_get(aic_map_get(aic_map_get(slots, "overrides"), system), backend);
    const aic_node *entry =
        own && own->kind == AIC_K_MAP ? own : aic_map_get(aic_map_get(slots, "defaults"), backend);
    const aic_node *current = aic_map_get(entry, "current");
    if (!current || current->kind == AIC_K_NULL || lists(versions, current))
        return;
    aic_node *made = empty_node(a, AIC_K_MAP);
    set_entry(a, made, "current", versions->items[versions->count - 1]);
    if (versions->count > 1)
        set_entry(a, made, "previous", versions->items[versions->count - 2]);
    set_entry(a, map_below(a, map_below(a, slots, "overrides"), system), backend, made);
}

static const struct {
    const char *part, *note;
} parts[] = {
    {"shared_rows", "# Whether a version's gaps are filled from other versions and backends.\n"},
    {"slots", "# Versions a sweep may name per backend, with the aliases current, next and previous.\n"
              "# A system listed under overrides uses its own entry in place of the default one.\n"},
    {"lanes", "# The attention kernel a backend version runs by default on each SM version.\n"},
    {"directories", "# Versions measured, at least in part, on each system.\n"},
    {"reuse",
     "# Tables one version takes from another, as the people who measured them declared; order counts.\n"},
    {"cross_backend",
     "# Kernels that several backends share: a backend's gaps may be filled from the others' rows\n"
     "# of that kernel. shared_fallback marks rows whose kernel was not named.\n"},
};

static void put_release(aic_buf *out, const char *release, const aic_node *root) {
    aic_buf_add(out,
                "# Facts of a release of measured tables that no single table holds; docs/formats/perfdb.md "
                "explains each part.\n# Written by aicfg-sweep db import.\n"
                "format: aicfg-perfdb-release\nversion: 1\nrelease: ");
    put_text(out, release);
    aic_buf_add(out, "\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t k = 0; k < root->count; k++)
            if (strcmp(root->keys[k]->text, parts[i].part) == 0) {
                aic_buf_printf(out, "\n%s", parts[i].note);
                put_entry(out, root->keys[k], root->items[k], 0);
            }
}

bool pdb_release_put(const char *dir, const char *release, const char *system, const pdb_measured *measured,
                     size_t n, aic_error *err) {
    aic_arena *a = aic_arena_new();
    aic_buf path = {0}, text = {0};
    aic_buf_printf(&path, "%s/release.yaml", dir);
    aic_node *root =
        pdb_release_present(dir) ? aic_doc_yaml_file(a, path.data, err) : empty_node(a, AIC_K_MAP);
    bool ok = root != NULL;
    if (ok) { /* its form was checked when the release was loaded */
        pdb_measured *sorted = aic_arena_alloc(a, n, sizeof *sorted);
        memcpy(sorted, measured, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, oldest_first);
        aic_node *own = directories(a, sorted, n), *slots = aic_map_get(root, "slots");
        set_entry(a, map_below(a, root, "directories"), system, own);
        for (size_t i = 0; slots && slots->kind == AIC_K_MAP && i < own->count; i++)
            if (!pdb_is_library(own->keys[i]->text))
                gate(a, slots, system, own->keys[i]->text, own->items[i]);
        put_release(&text, release, root);
        ok = pdb_publish_text(path.data, text.data, err);
    }
    aic_buf_free(&path);
    aic_buf_free(&text);
    aic_arena_free(a);
    return ok;
}
