/* Overrides: --set path=value changes a spec's document before it is read, so that every check sees the
 * result. */
#include "sweep/internal.h"
#include <string.h>

/* One step of a path: a key, or an index into a list. */
typedef struct step {
    const char *key; /* NULL: an index */
    size_t index;
} step;

enum { MAX_STEPS = 16 };

static bool bad_path(aic_error *err, const char *set, const char *why) {
    return aic_fail(err, AIC_BAD_INPUT, "--set %s: %s (write it as key.key=value or key[0].key=value)", set,
                    why);
}

/* Splits "sweep[0].batch" in place into steps. */
static bool parse_path(char *path, step *steps, size_t *n, const char *set, aic_error *err) {
    char *p = path;
    *n = 0;
    while (*p) {
        if (*n == MAX_STEPS)
            return bad_path(err, set, "the path is too deep");
        step *s = &steps[(*n)++];
        if (*p == '[') {
            char *end = strchr(p, ']');
            uint32_t index;
            if (!end)
                return bad_path(err, set, "a '[' is not closed");
            *end = '\0';
            if (!aic_parse_u32(p + 1, &index))
                return bad_path(err, set, "an index is not a number");
            *s = (step){NULL, index};
            p = end + 1;
            if (*p && *p != '.' && *p != '[')
                return bad_path(err, set, "a '.' is missing after an index");
        } else {
            size_t len = strcspn(p, ".[");
            if (len == 0)
                return bad_path(err, set, "a key is empty");
            *s = (step){p, 0};
            p += len;
        }
        /* Terminating a key overwrites what follows it, so look first. */
        char after = *p;
        if (after == '[' && s->key) {
            memmove(p + 1, p, strlen(p) + 1);
            *p++ = '\0';
        } else if (after == '.') {
            *p++ = '\0';
            if (!*p)
                return bad_path(err, set, "the path ends with a dot");
        }
    }
    return *n > 0 || bad_path(err, set, "the path is empty");
}

/* A copy of a node with its own list of children: aliases may share nodes, and an override changes one place
 * only. */
static aic_node *own(aic_arena *a, aic_node **slot) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = **slot;
    if (n->kind == AIC_K_LIST || n->kind == AIC_K_MAP) {
        n->items = aic_arena_alloc(a, n->count + 1, sizeof *n->items); /* room for one more key */
        n->keys = aic_arena_alloc(a, n->count + 1, sizeof *n->keys);
        for (size_t i = 0; i < n->count; i++) {
            n->items[i] = (*slot)->items[i];
            n->keys[i] = n->kind == AIC_K_MAP ? (*slot)->keys[i] : NULL;
        }
    }
    return *slot = n;
}

static aic_node *new_node(aic_arena *a, aic_kind kind, const char *text, const aic_node *at) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = (aic_node){.kind = kind, .file = at->file, .line = at->line, .column = at->column, .text = text};
    return n;
}

/* The place of a key's value in an owned mapping, added when absent. */
static aic_node **key_slot(aic_arena *a, aic_node *map, const char *key, const aic_node *at) {
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return &map->items[i];
    map->keys[map->count] = new_node(a, AIC_K_TEXT, key, at);
    map->items[map->count] = new_node(a, AIC_K_NULL, "", at);
    return &map->items[map->count++];
}

static bool apply(aic_arena *a, aic_node **slot, const step *steps, size_t left, aic_node *value,
                  const char *set, aic_error *err) {
    if (left == 0) {
        *slot = value;
        return true;
    }
    if ((*slot)->kind == AIC_K_NULL && steps->key)
        *slot = new_node(a, AIC_K_MAP, NULL, value);
    aic_node *n = own(a, slot);
    if (n->kind == AIC_K_LIST && steps->key) { /* a key of every item */
        for (size_t i = 0; i < n->count; i++)
            if (!apply(a, &n->items[i], steps, left, value, set, err))
                return false;
        return n->count > 0 || bad_path(err, set, "the list is empty");
    }
    if (!steps->key && (n->kind != AIC_K_LIST || steps->index >= n->count))
        return bad_path(err, set,
                        n->kind == AIC_K_LIST ? "the list is shorter" : "there is no list at the index");
    if (steps->key && n->kind != AIC_K_MAP)
        return bad_path(err, set, "a key is wanted of something that is no mapping");
    aic_node **child = steps->key ? key_slot(a, n, steps->key, value) : &n->items[steps->index];
    return apply(a, child, steps + 1, left - 1, value, set, err);
}

bool swp_set_apply(aic_arena *a, aic_node **root, const char *set, aic_error *err) {
    const char *equals = strchr(set, '=');
    step steps[MAX_STEPS];
    size_t n;
    if (!equals)
        return bad_path(err, set, "the '=' is missing");
    /* Room for the terminators parse_path inserts, one per step. */
    size_t len = (size_t)(equals - set);
    char *path = aic_arena_alloc(a, len + MAX_STEPS + 2, 1);
    memcpy(path, set, len);
    if (!parse_path(path, steps, &n, set, err))
        return false;
    const char *name = aic_arena_printf(a, "--set %.*s", (int)(len > 200 ? 200 : len), set);
    aic_node *value = aic_doc_yaml_text(a, name, equals + 1, strlen(equals + 1), err);
    return value && apply(a, root, steps, n, value, set, err);
}
