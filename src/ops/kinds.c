/* All kinds of a program: the built-in ones and those that data declares (docs/formats/measured_op.md). */
#include "ops/measured_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct op_kinds {
    aic_arena *arena;
    const measured_kind **declared; /* in the order read */
    size_t n, cap;
};

/* ---- looking up ---------------------------------------------------------------------------------------- */

static const op_desc *find_declared(const op_kinds *k, const char *kind, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(k->declared[i]->desc.kind, kind) == 0)
            return &k->declared[i]->desc;
    return NULL;
}

const op_desc *op_kinds_find(const op_kinds *k, const char *kind) {
    const op_desc *d = op_desc_find(kind);
    return d || !k ? d : find_declared(k, kind, k->n);
}

size_t op_kinds_count(const op_kinds *k) {
    return op_desc_count() + (k ? k->n : 0);
}

const op_desc *op_kinds_at(const op_kinds *k, size_t i) {
    return i < op_desc_count() ? op_desc_at(i) : &k->declared[i - op_desc_count()]->desc;
}

static const char *kind_at(const void *ctx, size_t i) {
    return op_kinds_at(ctx, i)->kind;
}

const char *op_kinds_nearest(const op_kinds *k, const char *kind) {
    return aic_nearest(kind, op_kinds_count(k), kind_at, k);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* before: kinds of earlier folders, which hide those of the same name. */
static bool read_kinds(op_kinds *k, const aic_node *map, const char *definition, size_t before,
                       aic_error *err) {
    if (!map || map->kind != AIC_K_MAP)
        return aic_node_fail(err, map, "kinds: expected a mapping of kind to declaration");
    for (size_t i = 0; i < map->count; i++) {
        const aic_node *name = map->keys[i];
        const measured_kind *made = measured_read(k->arena, name, map->items[i], definition, err);
        if (!made)
            return false;
        if (op_desc_find(name->text))
            return aic_node_fail(err, name, "%s is a built-in kind and cannot be declared", name->text);
        if (find_declared(k, name->text, before))
            continue;
        if (find_declared(k, name->text, k->n))
            return aic_node_fail(err, name, "%s is declared twice in this folder", name->text);
        AIC_GROW(k->declared, k->n, k->cap);
        k->declared[k->n++] = made;
    }
    return true;
}

static bool read_file(op_kinds *k, const char *path, size_t before, aic_error *err) {
    static const char *const keys[] = {"format", "version", "kinds"};
    const char *format;
    uint32_t version;
    char definition[65];
    const aic_node *doc = aic_doc_yaml_file_digest(k->arena, path, definition, err);
    return doc && aic_map_check_keys(doc, "a file of op kinds", keys, OP_COUNT(keys), err) &&
           aic_node_text(aic_map_get(doc, "format"), "format", &format, err) &&
           (strcmp(format, "aicfg-ops") == 0 ||
            aic_node_fail(err, doc, "format is \"%s\", not aicfg-ops", format)) &&
           aic_node_u32(aic_map_get(doc, "version"), "version", 1, 1, &version, err) &&
           read_kinds(k, aic_map_get(doc, "kinds"), aic_arena_strdup(k->arena, definition), before, err);
}

static bool is_yaml(const char *name) {
    size_t n = strlen(name);
    return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".yaml") == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Paths of the folder's .yaml files, sorted bytewise. */
static bool list_files(aic_arena *a, const char *dir, const char ***out, size_t *n, aic_error *err) {
    DIR *d = opendir(dir);
    if (!d)
        return aic_fail(err, AIC_IO, "%s: %s", dir, strerror(errno));
    const char **list = NULL;
    size_t cap = 0;
    *n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        if (is_yaml(e->d_name)) {
            AIC_GROW(list, *n, cap);
            list[(*n)++] = aic_arena_printf(a, "%s/%s", dir, e->d_name);
        }
    closedir(d);
    if (*n)
        qsort(list, *n, sizeof *list, by_name);
    *out = list;
    return true;
}

static bool read_folder(op_kinds *k, const char *dir, aic_error *err) {
    const char **files = NULL;
    size_t n = 0, before = k->n;
    if (!list_files(k->arena, dir, &files, &n, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = read_file(k, files[i], before, err);
    free(files);
    return ok;
}

op_kinds *op_kinds_open(const char *const *dirs, size_t n, aic_error *err) {
    op_kinds *k = AIC_NEW(op_kinds);
    k->arena = aic_arena_new();
    for (size_t i = 0; i < n; i++)
        if (!read_folder(k, dirs[i], err)) {
            op_kinds_close(k);
            return NULL;
        }
    return k;
}

void op_kinds_close(op_kinds *k) {
    if (!k)
        return;
    free(k->declared);
    aic_arena_free(k->arena);
    free(k);
}
