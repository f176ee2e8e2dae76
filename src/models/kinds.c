/* Op kinds that a graph file names and the program does not have: all of them, where loading the graph stops
 * at the first. */
#include "models/internal.h"
#include <string.h>

typedef struct finder {
    aic_arena *arena;
    const mdl_dirs *dirs;
    const aic_node *docs[32]; /* the graph and its includes */
    size_t n_docs;
    const char *names[64];
    size_t n_names;
} finder;

static bool is_alias(const finder *f, const char *name) {
    for (size_t i = 0; i < f->n_docs; i++)
        if (aic_map_get(aic_map_get(f->docs[i], "kinds"), name))
            return true;
    return false;
}

static void note_kind(finder *f, const char *name) {
    if (op_kinds_find(f->dirs->kinds, name) || is_alias(f, name) ||
        f->n_names == sizeof f->names / sizeof *f->names)
        return;
    for (size_t i = 0; i < f->n_names; i++)
        if (strcmp(f->names[i], name) == 0)
            return;
    f->names[f->n_names++] = name;
}

/* The first cell of a row. */
static void note_row(finder *f, const char *row) {
    size_t len = strcspn(row, "|");
    if (!row[len])
        return;
    while (len > 0 && (row[len - 1] == ' ' || row[len - 1] == '\t'))
        len--;
    note_kind(f, aic_arena_strndup(f->arena, row, len));
}

/* Rows of a list and of the groups in it. The depth of a document is bounded by its reader. */
static void walk_items(finder *f, const aic_node *n) {
    static const char *const keys[] = {"seq", "do", "a", "b", "primary", "else"};
    if (!n)
        return;
    if (n->kind == AIC_K_TEXT)
        note_row(f, n->text);
    for (size_t i = 0; n->kind == AIC_K_LIST && i < n->count; i++)
        walk_items(f, n->items[i]);
    for (size_t i = 0; n->kind == AIC_K_MAP && i < sizeof keys / sizeof *keys; i++)
        walk_items(f, aic_map_get(n, keys[i]));
}

static void walk_aliases(finder *f, const aic_node *kinds) {
    for (size_t i = 0; mdl_map(kinds) && i < kinds->count; i++) {
        const aic_node *alias = kinds->items[i];
        for (size_t p = 0; mdl_map(alias) && p < alias->count; p++)
            if (alias->items[p]->kind == AIC_K_TEXT)
                note_kind(f, alias->items[p]->text);
    }
}

static void walk_doc(finder *f, const aic_node *doc) {
    walk_items(f, aic_map_get(doc, "ops"));
    for (int p = 0; p < MDL_PHASES; p++)
        walk_items(f, aic_map_get(doc, mdl_phase_name((mdl_phase)p)));
    const aic_node *blocks = aic_map_get(doc, "blocks"), *defaults = aic_map_get(doc, "defaults");
    for (size_t i = 0; mdl_map(blocks) && i < blocks->count; i++)
        walk_items(f, aic_map_get(blocks->items[i], "ops"));
    for (size_t i = 0; mdl_map(defaults) && i < defaults->count; i++)
        note_kind(f, defaults->keys[i]->text);
    walk_aliases(f, aic_map_get(doc, "kinds"));
}

static bool read_doc(finder *f, const char *path, aic_error *err) {
    const aic_node *doc = aic_doc_yaml_file(f->arena, path, err);
    if (!doc)
        return false;
    if (f->n_docs < sizeof f->docs / sizeof *f->docs)
        f->docs[f->n_docs++] = doc;
    return true;
}

/* A missing include is the graph loader's to report. */
static bool read_includes(finder *f, const aic_node *list, aic_error *err) {
    for (size_t i = 0; list && list->kind == AIC_K_LIST && i < list->count; i++) {
        const char *name = list->items[i]->text;
        const char *path =
            name ? mdl_find_file(f->arena, f->dirs, aic_arena_printf(f->arena, "graphs/%s", name)) : NULL;
        if (path && !read_doc(f, path, err))
            return false;
    }
    return true;
}

bool mdl_find_kinds(aic_arena *a, const mdl_dirs *dirs, const char *family, bool *has_graph,
                    op_texts *unknown, aic_error *err) {
    finder f = {.arena = a, .dirs = dirs};
    char name[64];
    mdl_graph_file(family, name, sizeof name);
    const char *path = mdl_find_file(a, dirs, name);
    *has_graph = path != NULL;
    *unknown = (op_texts){0};
    if (!path)
        return true;
    if (!read_doc(&f, path, err) || !read_includes(&f, aic_map_get(f.docs[0], "include"), err))
        return false;
    for (size_t i = 0; i < f.n_docs; i++)
        walk_doc(&f, f.docs[i]);
    const char **names = aic_arena_alloc(a, f.n_names, sizeof *names);
    if (f.n_names)
        memcpy(names, f.names, f.n_names * sizeof *names);
    *unknown = (op_texts){f.n_names, names};
    return true;
}
