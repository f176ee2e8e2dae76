/* Backend constants: data/backends/<backend>.yaml read once and checked (docs/model/memory.md,
 * docs/formats/backends.md). */
#include "serving/internal.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct srv_backends {
    aic_arena *arena;
    size_t n;
    srv_backend *items; /* sorted by name */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A number of a map: its key, where it goes, what it may be. */
typedef struct number {
    const char *key;
    size_t offset;
    double min, max;
} number;

static const aic_node *need(const aic_node *map, const char *key, aic_kind kind, aic_error *err) {
    const aic_node *n = aic_map_get(map, key);
    if (!n)
        aic_node_fail(err, map, "%s is missing", key);
    else if (n->kind != kind)
        aic_node_fail(err, n, "%s: expected %s, found %s", key, aic_kind_name(kind), aic_kind_name(n->kind));
    return n && n->kind == kind ? n : NULL;
}

static bool need_number(const aic_node *map, const char *key, double min, double max, double *out,
                        aic_error *err) {
    const aic_node *n = aic_map_get(map, key);
    if (!n)
        return aic_node_fail(err, map, "%s is missing", key);
    return aic_node_f64(n, key, min, max, out, err);
}

static bool read_numbers(const aic_node *map, const number *numbers, size_t n, void *into, aic_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!need_number(map, numbers[i].key, numbers[i].min, numbers[i].max,
                         (double *)(void *)((char *)into + numbers[i].offset), err))
            return false;
    return true;
}

/* A list of exactly n numbers from min up. */
static bool read_row(const aic_node *list, const char *what, size_t n, double min, double *out,
                     aic_error *err) {
    if (list->kind != AIC_K_LIST || list->count != n)
        return aic_node_fail(err, list, "%s: expected a list of %zu numbers", what, n);
    for (size_t i = 0; i < n; i++)
        if (!aic_node_f64(list->items[i], what, min, 1e9, &out[i], err))
            return false;
    return true;
}

static bool read_names(aic_arena *a, const aic_node *map, const char *key, size_t *n, const char *const **out,
                       aic_error *err) {
    const aic_node *list = need(map, key, AIC_K_LIST, err);
    if (!list)
        return false;
    const char **names = aic_arena_alloc(a, list->count, sizeof *names);
    for (size_t i = 0; i < list->count; i++)
        if (!aic_node_text(list->items[i], key, &names[i], err))
            return false;
    *n = list->count;
    *out = names;
    return true;
}

static bool read_coefficients(aic_arena *a, const aic_node *map, srv_backend *b, aic_error *err) {
    const aic_node *fallback = need(map, "default", AIC_K_LIST, err);
    if (!fallback || !read_row(fallback, "coefficients", SRV_TP_STEPS, 0, b->coefficient, err))
        return false;
    srv_coefficients *rows = aic_arena_alloc(a, map->count, sizeof *rows);
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, "default") == 0)
            continue;
        srv_coefficients *row = &rows[b->n_families++];
        row->family = map->keys[i]->text;
        if (!read_row(map->items[i], "coefficients", SRV_TP_STEPS, 0, row->at, err))
            return false;
    }
    b->families = rows;
    return true;
}

static bool read_activations(aic_arena *a, const aic_node *top, srv_backend *b, aic_error *err) {
    static const char *const known[] = {"floor_mib", "factor", "coefficients"};
    double floor_mib;
    const aic_node *map = need(top, "activations", AIC_K_MAP, err);
    if (!map || !aic_map_check_keys(map, "activations", known, COUNT(known), err) ||
        !need_number(map, "floor_mib", 0, 1e9, &floor_mib, err) ||
        !need_number(map, "factor", 0, 1e3, &b->activation_factor, err))
        return false;
    b->activation_floor = floor_mib * SRV_MIB;
    const aic_node *coefficients = need(map, "coefficients", AIC_K_MAP, err);
    return coefficients && read_coefficients(a, coefficients, b, err);
}

static bool read_workspace(aic_arena *a, const aic_node *top, srv_backend *b, aic_error *err) {
    static const char *const known[] = {"families", "hidden_width"};
    const aic_node *map = need(top, "moe_workspace", AIC_K_MAP, err);
    return map && aic_map_check_keys(map, "moe_workspace", known, COUNT(known), err) &&
           read_names(a, map, "families", &b->n_workspace, &b->workspace, err) &&
           read_names(a, map, "hidden_width", &b->n_hidden, &b->hidden, err);
}

static bool read_tiers(aic_arena *a, const aic_node *map, srv_reserve *r, aic_error *err) {
    static const char *const known[] = {"below_mib", "chunk", "graph"};
    const aic_node *list = need(map, "tiers", AIC_K_LIST, err);
    if (!list || list->count == 0)
        return list && aic_node_fail(err, list, "tiers: expected at least one");
    srv_tier *tiers = aic_arena_alloc(a, list->count, sizeof *tiers);
    for (size_t i = 0; i < list->count; i++) {
        const aic_node *t = list->items[i];
        bool last = i + 1 == list->count;
        double above = i ? tiers[i - 1].below_mib : 0;
        tiers[i].below_mib = HUGE_VAL;
        if (!aic_map_check_keys(t, "a tier", known + last, COUNT(known) - last, err) ||
            (!last && !need_number(t, "below_mib", above, 1e12, &tiers[i].below_mib, err)) ||
            !need_number(t, "chunk", 0, 1e9, &tiers[i].chunk, err))
            return false;
        const aic_node *graph = need(t, "graph", AIC_K_LIST, err);
        if (!graph || !read_row(graph, "graph", 2, 0, tiers[i].graph, err))
            return false;
    }
    r->n_tiers = list->count;
    r->tiers = tiers;
    return true;
}

static bool read_reserve(aic_arena *a, const aic_node *map, srv_reserve *r, aic_error *err) {
#define NUMBER(field)                                                                                        \
    { #field, offsetof(srv_reserve, field), 0, 1e9 }
    static const number numbers[] = {
        NUMBER(base_mib),      NUMBER(mib_per_chunk_token),   NUMBER(mib_per_8_gpus),
        NUMBER(large_graph),   NUMBER(mib_per_graph_request), NUMBER(mib_per_graph_request_dp),
        NUMBER(large_gpu_mib), NUMBER(large_gpu_reserve_mib), NUMBER(mib_per_large_graph_request_dp),
    };
#undef NUMBER
    const char *known[COUNT(numbers) + 1] = {"tiers"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        known[i + 1] = numbers[i].key;
    return aic_map_check_keys(map, "fraction_from_reserve", known, COUNT(known), err) &&
           read_numbers(map, numbers, COUNT(numbers), r, err) && read_tiers(a, map, r, err);
}

static bool read_versions(aic_arena *a, const aic_node *map, srv_backend *b, aic_error *err) {
    if (map->kind != AIC_K_MAP)
        return aic_node_fail(err, map, "fraction_by_version: expected a mapping of versions to fractions");
    srv_version_fraction *rows = aic_arena_alloc(a, map->count, sizeof *rows);
    for (size_t i = 0; i < map->count; i++) {
        rows[i].prefix = map->keys[i]->text;
        if (!aic_node_f64(map->items[i], "fraction_by_version", 0, 1, &rows[i].fraction, err))
            return false;
    }
    b->n_versions = map->count;
    b->versions = rows;
    return true;
}

static bool read_fraction(aic_arena *a, const aic_node *map, srv_backend *b, aic_error *err) {
    const aic_node *reserve = aic_map_get(map, "fraction_from_reserve");
    const aic_node *versions = aic_map_get(map, "fraction_by_version");
    if (reserve && aic_map_get(map, "fraction"))
        return aic_node_fail(err, reserve, "give fraction or fraction_from_reserve, not both");
    b->fraction = NAN;
    if (versions && !read_versions(a, versions, b, err))
        return false;
    if (!reserve)
        return need_number(map, "fraction", 0, 1, &b->fraction, err);
    if (reserve->kind != AIC_K_MAP)
        return aic_node_fail(err, reserve, "fraction_from_reserve: expected a mapping");
    return read_reserve(a, reserve, &b->reserve, err);
}

static bool read_budget(aic_arena *a, const aic_node *top, srv_backend *b, aic_error *err) {
    static const char *const known[] = {
        "fraction_of", "reserved", "tolerance", "fraction", "fraction_by_version", "fraction_from_reserve"};
    static const number numbers[] = {
        {"reserved", offsetof(srv_backend, reserved), 0, 1},
        {"tolerance", offsetof(srv_backend, tolerance), 0, 1},
    };
    const aic_node *map = need(top, "kv_budget", AIC_K_MAP, err);
    if (!map || !aic_map_check_keys(map, "kv_budget", known, COUNT(known), err) ||
        !read_numbers(map, numbers, COUNT(numbers), b, err))
        return false;
    const aic_node *of = need(map, "fraction_of", AIC_K_TEXT, err);
    if (!of)
        return false;
    b->of_total = strcmp(of->text, "total") == 0;
    if (!b->of_total && strcmp(of->text, "free") != 0)
        return aic_node_fail(err, of, "fraction_of: expected free or total");
    return read_fraction(a, map, b, err);
}

static bool check_format(const aic_node *top, aic_error *err) {
    const aic_node *format = need(top, "format", AIC_K_TEXT, err);
    const aic_node *version = format ? need(top, "version", AIC_K_INT, err) : NULL;
    if (!version)
        return false;
    if (strcmp(format->text, "aicfg-backend") != 0)
        return aic_node_fail(err, format, "expected format aicfg-backend, found %s", format->text);
    if (version->i != 1)
        return aic_node_fail(err, version, "version %s is not known to this program: expected 1",
                             version->text);
    return true;
}

static bool read_backend(aic_arena *a, const char *path, srv_backend *b, aic_error *err) {
    static const char *const known[] = {"format",        "version",       "backend",  "activations",
                                        "moe_workspace", "others_factor", "kv_budget"};
    const aic_node *top = aic_doc_yaml_file(a, path, err);
    if (!top)
        return false;
    if (top->kind != AIC_K_MAP)
        return aic_node_fail(err, top, "expected a mapping");
    if (!check_format(top, err) || !aic_map_check_keys(top, "a backend file", known, COUNT(known), err))
        return false;
    const aic_node *name = need(top, "backend", AIC_K_TEXT, err);
    if (!name)
        return false;
    b->name = name->text;
    return need_number(top, "others_factor", 0, 1e3, &b->others_factor, err) &&
           read_activations(a, top, b, err) && read_workspace(a, top, b, err) && read_budget(a, top, b, err);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const srv_backend *)a)->name, ((const srv_backend *)b)->name);
}

static bool is_yaml(const char *name) {
    size_t n = strlen(name);
    return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".yaml") == 0;
}

static bool read_folder(srv_backends *all, DIR *folder, const char *dir, aic_error *err) {
    size_t cap = 0;
    for (struct dirent *e; (e = readdir(folder));) {
        if (!is_yaml(e->d_name))
            continue;
        AIC_GROW(all->items, all->n, cap);
        srv_backend *b = &all->items[all->n++];
        *b = (srv_backend){0};
        if (!read_backend(all->arena, aic_arena_printf(all->arena, "%s/%s", dir, e->d_name), b, err))
            return false;
    }
    if (all->n == 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s: no backend files (*.yaml)", dir);
    qsort(all->items, all->n, sizeof *all->items, by_name);
    for (size_t i = 1; i < all->n; i++)
        if (by_name(&all->items[i - 1], &all->items[i]) == 0)
            return aic_fail(err, AIC_BAD_INPUT, "%s: two files for backend %s", dir, all->items[i].name);
    return true;
}

srv_backends *srv_backends_open(const char *dir, aic_error *err) {
    DIR *folder = opendir(dir);
    if (!folder) {
        aic_fail(err, AIC_IO, "%s: cannot open the folder of backend constants: %s", dir, strerror(errno));
        return NULL;
    }
    srv_backends *all = AIC_NEW(srv_backends);
    all->arena = aic_arena_new();
    bool ok = read_folder(all, folder, dir, err);
    closedir(folder);
    if (ok)
        return all;
    srv_backends_close(all);
    return NULL;
}

void srv_backends_close(srv_backends *b) {
    if (!b)
        return;
    aic_arena_free(b->arena);
    free(b->items);
    free(b);
}

size_t srv_backend_count(const srv_backends *b) {
    return b->n;
}

const char *srv_backend_name(const srv_backends *b, size_t i) {
    return b->items[i].name;
}

const srv_backend *srv_backend_find(const srv_backends *b, const char *name) {
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->items[i].name, name) == 0)
            return &b->items[i];
    return NULL;
}
