/* release.yaml: the facts of a data release that no single table holds (docs/formats/perfdb.md). */
#include "perfdb/internal.h"
#include <string.h>
#include <unistd.h>

#define FORMAT "aicfg-perfdb-release"
enum { FORMAT_VERSION = 1 };

/* ---- checking -------------------------------------------------------------------------------- */

typedef bool (*node_check)(const aic_node *n, const char *what, aic_error *err);

static bool is_null(const aic_node *n) {
    return !n || n->kind == AIC_K_NULL;
}

static bool check_text(const aic_node *n, const char *what, aic_error *err) {
    const char *text;
    return aic_node_text(n, what, &text, err);
}

static bool check_text_map(const aic_node *n, const char *what, aic_error *err) {
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(err, n, "expected %s to be a mapping, found %s", what, aic_kind_name(n->kind));
    for (size_t i = 0; i < n->count; i++)
        if (!is_null(n->items[i]) && !check_text(n->items[i], what, err))
            return false;
    return true;
}

static bool check_slot(const aic_node *n, const char *what, aic_error *err) {
    static const char *const known[] = {"current", "previous", "next"};
    return check_text_map(n, what, err) && aic_map_check_keys(n, what, known, 3, err);
}

static bool check_list(const aic_node *n, const char *what, node_check item, aic_error *err) {
    if (n->kind != AIC_K_LIST)
        return aic_node_fail(err, n, "expected %s to be a list, found %s", what, aic_kind_name(n->kind));
    for (size_t i = 0; i < n->count; i++)
        if (!item(n->items[i], what, err))
            return false;
    return true;
}

static bool check_texts(const aic_node *n, const char *what, aic_error *err) {
    return check_list(n, what, check_text, err);
}

/* A mapping that holds exactly these keys; the first `texts` of them are text. */
static bool check_entry(const aic_node *n, const char *what, const char *const *keys, size_t count,
                        size_t texts, aic_error *err) {
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(err, n, "expected an entry of %s to be a mapping, found %s", what,
                             aic_kind_name(n->kind));
    if (!aic_map_check_keys(n, what, keys, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const aic_node *value = aic_map_get(n, keys[i]);
        if (!value)
            return aic_node_fail(err, n, "an entry of %s lacks '%s'", what, keys[i]);
        if (i < texts && !check_text(value, keys[i], err))
            return false;
    }
    return true;
}

static bool check_donor(const aic_node *n, const char *what, aic_error *err) {
    static const char *const keys[] = {"table", "from"};
    return check_entry(n, what, keys, 2, 2, err);
}

static bool check_donors(const aic_node *n, const char *what, aic_error *err) {
    return check_list(n, what, check_donor, err);
}

static bool check_shared_kernel(const aic_node *n, const char *what, aic_error *err) {
    static const char *const keys[] = {"table", "kernel_source", "tier", "frameworks"};
    return check_entry(n, what, keys, 4, 3, err) &&
           check_texts(aic_map_get(n, "frameworks"), "frameworks", err);
}

/* `depth` nested mappings with `leaf` below; nulls stand for nothing. */
static bool check_nested(const aic_node *n, const char *what, int depth, node_check leaf, aic_error *err) {
    if (is_null(n))
        return true;
    if (depth == 0)
        return leaf(n, what, err);
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(err, n, "expected a mapping in %s, found %s", what, aic_kind_name(n->kind));
    for (size_t i = 0; i < n->count; i++)
        if (!check_nested(n->items[i], what, depth - 1, leaf, err))
            return false;
    return true;
}

static bool check_slots(const aic_node *n, aic_error *err) {
    static const char *const keys[] = {"defaults", "overrides"};
    if (is_null(n))
        return true;
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(err, n, "expected slots to be a mapping, found %s", aic_kind_name(n->kind));
    return aic_map_check_keys(n, "slots", keys, 2, err) &&
           check_nested(aic_map_get(n, "defaults"), "slots.defaults", 1, check_slot, err) &&
           check_nested(aic_map_get(n, "overrides"), "slots.overrides", 2, check_slot, err);
}

static bool check_cross(const aic_node *n, aic_error *err) {
    return is_null(n) || check_list(n, "cross_backend", check_shared_kernel, err);
}

static bool check_head(const aic_node *root, pdb_release *r, aic_error *err) {
    static const char *const keys[] = {"format", "version",     "release", "shared_rows",  "slots",
                                       "lanes",  "directories", "reuse",   "cross_backend"};
    if (root->kind != AIC_K_MAP)
        return aic_node_fail(err, root, "expected the facts of a release, found %s",
                             aic_kind_name(root->kind));
    const aic_node *format = aic_map_get(root, "format"), *version = aic_map_get(root, "version"),
                   *name = aic_map_get(root, "release");
    if (!format || !format->text || strcmp(format->text, FORMAT) != 0)
        return aic_node_fail(err, format ? format : root, "expected 'format: " FORMAT "'");
    if (!version || version->kind != AIC_K_INT || version->i != FORMAT_VERSION)
        return aic_node_fail(err, version ? version : root,
                             "expected 'version: %d', the one this program reads", FORMAT_VERSION);
    if (!name)
        return aic_node_fail(err, root, "expected 'release: <name>'");
    const aic_node *shared = aic_map_get(root, "shared_rows");
    r->shared_rows = true;
    return aic_node_text(name, "release", &r->name, err) &&
           (!shared || aic_node_bool(shared, "shared_rows", &r->shared_rows, err)) &&
           aic_map_check_keys(root, "a release", keys, sizeof keys / sizeof *keys, err);
}

/* ---- loading --------------------------------------------------------------------------------- */

static char *yaml_path(aic_arena *a, const char *dir) {
    return aic_arena_printf(a, "%s/release.yaml", dir);
}

bool pdb_release_present(const char *dir) {
    aic_arena *a = aic_arena_new();
    bool present = access(yaml_path(a, dir), F_OK) == 0;
    aic_arena_free(a);
    return present;
}

pdb_release *pdb_release_load(const char *dir, aic_error *err) {
    aic_arena *a = aic_arena_new();
    pdb_release *r = aic_arena_alloc(a, 1, sizeof *r);
    r->arena = a;
    r->dir = aic_arena_strdup(a, dir);
    const aic_node *root = aic_doc_yaml_file(a, yaml_path(a, dir), err);
    if (!root || !check_head(root, r, err)) {
        aic_arena_free(a);
        return NULL;
    }
    r->slots = aic_map_get(root, "slots");
    r->lanes = aic_map_get(root, "lanes");
    r->directories = aic_map_get(root, "directories");
    r->reuse = aic_map_get(root, "reuse");
    r->cross = aic_map_get(root, "cross_backend");
    if (!check_slots(r->slots, err) || !check_nested(r->lanes, "lanes", 3, check_text, err) ||
        !check_nested(r->directories, "directories", 2, check_texts, err) ||
        !check_nested(r->reuse, "reuse", 3, check_donors, err) || !check_cross(r->cross, err)) {
        aic_arena_free(a);
        return NULL;
    }
    return r;
}

void pdb_release_free(pdb_release *r) {
    if (r)
        aic_arena_free(r->arena);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The node below `key`, or NULL when anything on the way is absent or null. */
static const aic_node *below(const aic_node *n, const char *key) {
    const aic_node *found = is_null(n) ? NULL : aic_map_get(n, key);
    return is_null(found) ? NULL : found;
}

const aic_node *pdb_release_versions(const pdb_release *r, const char *system, const char *backend) {
    const aic_node *list = below(below(r->directories, system), backend);
    return list && list->count ? list : NULL;
}

const aic_node *pdb_release_donors(const pdb_release *r, const char *system, const char *backend,
                                   const char *version) {
    return below(below(below(r->reuse, system), backend), version);
}

static const char *slot(const aic_node *entry, const char *name) {
    const aic_node *n = below(entry, name);
    return n && n->text && *n->text ? n->text : NULL;
}

bool pdb_release_slots(const pdb_release *r, const char *system, const char *backend, pdb_slots *out) {
    if (!pdb_release_versions(r, system, backend))
        return false;
    const aic_node *entry = below(below(below(r->slots, "overrides"), system), backend);
    bool own = entry != NULL;
    if (!own)
        entry = below(below(r->slots, "defaults"), backend);
    /* `next` is fleet-wide: a system that overrides its slots has none. */
    *out = (pdb_slots){slot(entry, "current"), slot(entry, "previous"), own ? NULL : slot(entry, "next")};
    return out->current != NULL;
}

const char *pdb_release_lane(const pdb_release *r, const char *backend, const char *version, int sm) {
    const aic_node *versions = below(r->lanes, backend), *best = NULL;
    const char *best_version = NULL;
    for (size_t i = 0; versions && i < versions->count; i++) {
        const char *v = versions->keys[i]->text;
        if (pdb_lane_version_compare(v, version) <= 0 &&
            (!best_version || pdb_lane_version_compare(v, best_version) > 0)) {
            best_version = v;
            best = versions->items[i];
        }
    }
    char key[16];
    snprintf(key, sizeof key, "%d", sm);
    const aic_node *lane = below(best, key);
    if (!lane)
        return NULL;
    return strcmp(lane->text, "default") == 0 ? "" : lane->text;
}
