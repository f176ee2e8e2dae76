/* Reads a graph file and compiles it once; the result is immutable and shared by all threads
 * (docs/formats/graph.md). */
#include "models/internal.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *mdl_find_file(aic_arena *a, const mdl_dirs *dirs, const char *name) {
    for (size_t i = 0; i < dirs->count; i++) {
        char *path = aic_arena_printf(a, "%s/%s", dirs->items[i], name);
        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

static bool fail_kind(const mdl_loader *l, const aic_node *n, const char *key, const char *wanted) {
    return aic_node_fail(l->err, n, "%s: expected %s, found %s", key, wanted, aic_kind_name(n->kind));
}

/* ---- sections that included files may have, too ---- */

static bool read_kind(mdl_loader *l, const aic_node *name, const aic_node *map) {
    mdl_alias alias = {.name = name->text};
    const char *keys[MDL_TEXT_PHASES];
    for (int p = 0; p < MDL_TEXT_PHASES; p++)
        keys[p] = mdl_phase_name((mdl_phase)p);
    if (!aic_map_check_keys(map, "kinds", keys, MDL_TEXT_PHASES, l->err))
        return false;
    for (int p = 0; p < MDL_TEXT_PHASES; p++) {
        const aic_node *n = aic_map_get(map, keys[p]);
        const char *kind;
        if (!n)
            return aic_node_fail(l->err, map, "kinds: %s names no kind for the %s phase", alias.name,
                                 keys[p]);
        if (!aic_node_text(n, keys[p], &kind, l->err))
            return false;
        alias.desc[p] = mdl_find_kind(l, kind, n, n->column);
        if (!alias.desc[p])
            return false;
    }
    AIC_GROW(l->aliases, l->n_aliases, l->cap_aliases);
    l->aliases[l->n_aliases++] = alias;
    return true;
}

static bool read_let(mdl_loader *l, const aic_node *name, const aic_node *value) {
    mdl_graph *g = l->graph;
    if (mdl_name_taken(name->text, g))
        return aic_node_fail(l->err, name, "let: \"%s\" already means something here; choose another name",
                             name->text);
    mdl_names names = {MDL_OF_PHASE, g, NULL};
    const aic_expr *e = mdl_node_expr(l->arena, value, name->text, &names, l->err);
    if (!e)
        return false;
    AIC_GROW(g->lets, g->n_lets, l->cap_lets);
    g->lets[g->n_lets++] = (mdl_let){name->text, e, mdl_expr_level(e, g)};
    return true;
}

static bool read_block(mdl_loader *l, const aic_node *name, const aic_node *map) {
    static const char *const keys[] = {"params", "ops"};
    if (!aic_map_check_keys(map, "block", keys, 2, l->err))
        return false;
    for (size_t i = 0; i < l->n_blocks; i++)
        if (strcmp(l->blocks[i].name, name->text) == 0)
            return aic_node_fail(l->err, name, "block \"%s\" is already defined", name->text);
    mdl_block block = {name->text, aic_map_get(map, "params"), aic_map_get(map, "ops")};
    if (block.params && block.params->kind != AIC_K_LIST)
        return fail_kind(l, block.params, "params", "a list of names");
    for (size_t i = 0; block.params && i < block.params->count; i++)
        if (!block.params->items[i]->text)
            return fail_kind(l, block.params->items[i], "params", "a name");
    AIC_GROW(l->blocks, l->n_blocks, l->cap_blocks);
    l->blocks[l->n_blocks++] = block;
    return true;
}

static bool read_section(mdl_loader *l, const aic_node *doc, const char *key,
                         bool (*read)(mdl_loader *l, const aic_node *name, const aic_node *value)) {
    const aic_node *map = aic_map_get(doc, key);
    if (!map)
        return true;
    if (map->kind != AIC_K_MAP)
        return fail_kind(l, map, key, "a mapping");
    for (size_t i = 0; i < map->count; i++)
        if (!read(l, map->keys[i], map->items[i]))
            return false;
    return true;
}

/* An expression that holds for both phases. */
static const aic_expr *steady_expr(mdl_loader *l, const aic_node *n, const char *what) {
    mdl_names names = {MDL_OF_DEPLOYMENT, l->graph, NULL};
    const aic_expr *e = mdl_node_expr(l->arena, n, what, &names, l->err);
    if (!e || mdl_expr_level(e, l->graph) < MDL_OF_PHASE)
        return e;
    aic_node_fail(l->err, n, "%s: this depends on the phase, which is not known here", what);
    return NULL;
}

static bool read_check(mdl_loader *l, const aic_node *map, mdl_refusal_rule *out) {
    static const char *const keys[] = {"when", "refuse"};
    const char *text;
    const aic_node *refuse = aic_map_get(map, "refuse");
    if (!aic_map_check_keys(map, "checks", keys, 2, l->err) ||
        !(out->when = steady_expr(l, aic_map_get(map, "when"), "when")) ||
        !aic_node_text(refuse, "refuse", &text, l->err))
        return false;
    mdl_names names = {MDL_OF_DEPLOYMENT, l->graph, NULL};
    out->refuse = mdl_template(l->arena, text, refuse->file, refuse->line,
                               refuse->column + (refuse->quoted ? 1 : 0), &names, l->err);
    return out->refuse != NULL;
}

static bool read_checks(mdl_loader *l, const aic_node *list) {
    if (!list)
        return true;
    if (list->kind != AIC_K_LIST)
        return fail_kind(l, list, "checks", "a list");
    mdl_graph *g = l->graph;
    for (size_t i = 0; i < list->count; i++) {
        AIC_GROW(g->checks, g->n_checks, l->cap_checks);
        if (!read_check(l, list->items[i], &g->checks[g->n_checks++]))
            return false;
    }
    return true;
}

/* Figures of a vision encoder; they depend on the model alone. */
static bool read_images(mdl_loader *l, const aic_node *map) {
    static const char *const keys[] = {"patch", "merge", "width", "out", "when"};
    mdl_images_rule *rule = aic_arena_alloc(l->arena, 1, sizeof *rule);
    const aic_expr **exprs[] = {&rule->patch, &rule->merge, &rule->width, &rule->out, &rule->when};
    if (!map)
        return true;
    if (!aic_map_check_keys(map, "images", keys, 5, l->err))
        return false;
    for (size_t i = 0; i < 5; i++) {
        const aic_node *n = aic_map_get(map, keys[i]);
        mdl_names names = {MDL_OF_MODEL, l->graph, NULL};
        if (i == 4 && !n)
            break;
        *exprs[i] = mdl_node_expr(l->arena, n, keys[i], &names, l->err);
        if (!*exprs[i])
            return false;
        if (mdl_expr_level(*exprs[i], l->graph) != MDL_OF_MODEL)
            return aic_node_fail(l->err, n, "images: this depends on more than the model");
    }
    l->graph->images = rule;
    return true;
}

static bool read_shared_sections(mdl_loader *l, const aic_node *doc) {
    return read_section(l, doc, "kinds", read_kind) && read_section(l, doc, "let", read_let) &&
           read_section(l, doc, "defaults", mdl_compile_defaults) &&
           read_section(l, doc, "blocks", read_block) && read_checks(l, aic_map_get(doc, "checks")) &&
           read_images(l, aic_map_get(doc, "images"));
}

#define SHARED_KEYS "format", "version", "kinds", "let", "defaults", "blocks", "checks", "images"

static bool check_format(mdl_loader *l, const aic_node *doc, const char *const *keys, size_t n) {
    const char *format;
    int64_t version;
    if (!aic_map_check_keys(doc, "graph file", keys, n, l->err) ||
        !aic_node_text(aic_map_get(doc, "format"), "format", &format, l->err))
        return false;
    if (strcmp(format, "aicfg-graph") != 0)
        return aic_node_fail(l->err, doc, "format: expected aicfg-graph, found \"%s\"", format);
    return aic_node_i64(aic_map_get(doc, "version"), "version", 1, 1, &version, l->err);
}

static bool read_include(mdl_loader *l, const aic_node *name) {
    static const char *const keys[] = {SHARED_KEYS};
    const char *text;
    if (!aic_node_text(name, "include", &text, l->err))
        return false;
    if (strchr(text, '/'))
        return aic_node_fail(l->err, name, "include: \"%s\": give the file's name only; graphs/ is searched",
                             text);
    const char *path = mdl_find_file(l->arena, l->dirs, aic_arena_printf(l->arena, "graphs/%s", text));
    if (!path)
        return aic_node_fail(l->err, name, "include: no folder of graphs has \"%s\"", text);
    const aic_node *doc = aic_doc_yaml_file(l->arena, path, l->err);
    return doc && check_format(l, doc, keys, sizeof keys / sizeof *keys) && read_shared_sections(l, doc);
}

/* ---- sections of the family's own file ---- */

static bool read_includes(mdl_loader *l, const aic_node *list) {
    if (!list)
        return true;
    if (list->kind != AIC_K_LIST)
        return fail_kind(l, list, "include", "a list of file names");
    for (size_t i = 0; i < list->count; i++)
        if (!read_include(l, list->items[i]))
            return false;
    return true;
}

/* A list of backends; none when it is left out. */
static bool read_backends(mdl_loader *l, const aic_node *doc, const char *key, op_texts *out) {
    const aic_node *list = aic_map_get(doc, key);
    if (!list)
        return true;
    if (list->kind != AIC_K_LIST)
        return fail_kind(l, list, key, "a list of backends");
    const char **items = aic_arena_alloc(l->arena, list->count, sizeof *items);
    for (size_t i = 0; i < list->count; i++)
        if (!aic_node_text(list->items[i], key, &items[i], l->err))
            return false;
    *out = (op_texts){list->count, items};
    return true;
}

static bool read_kv_rule(mdl_loader *l, const aic_node *map, mdl_kv_rule *out) {
    static const char *const keys[] = {"per_token", "per_sequence", "window", "every", "when"};
    const aic_expr **exprs[] = {&out->per_token, &out->per_sequence, &out->window, &out->every, &out->when};
    out->at = map;
    if (!aic_map_check_keys(map, "kv", keys, 5, l->err))
        return false;
    for (size_t i = 0; i < 5; i++) {
        const aic_node *n = aic_map_get(map, keys[i]);
        if (n && !(*exprs[i] = steady_expr(l, n, keys[i])))
            return false;
    }
    if (!out->per_token == !out->per_sequence)
        return aic_node_fail(l->err, map, "kv: a part has either per_token or per_sequence");
    if (out->per_sequence && (out->window || out->every))
        return aic_node_fail(l->err, map, "kv: window and every belong to per_token");
    return true;
}

static bool read_kv(mdl_loader *l, const aic_node *doc) {
    const aic_node *list = aic_map_get(doc, "kv");
    if (!list || list->kind != AIC_K_LIST || list->count == 0)
        return aic_node_fail(l->err, list ? list : doc, "kv: expected a list of the parts of the KV cache");
    l->graph->kv = aic_arena_alloc(l->arena, list->count, sizeof *l->graph->kv);
    for (size_t i = 0; i < list->count; i++)
        if (!read_kv_rule(l, list->items[i], &l->graph->kv[l->graph->n_kv++]))
            return false;
    return true;
}

/* ops: serves both phases of the language model; or each has its own list. An encoder has one when it wants.
 */
static bool read_lists(mdl_loader *l, const aic_node *doc) {
    const aic_node *both = aic_map_get(doc, "ops");
    l->graph->n_vars = l->graph->n_lets;
    for (int p = 0; p < MDL_TEXT_PHASES; p++) {
        const aic_node *own = aic_map_get(doc, mdl_phase_name((mdl_phase)p));
        if (both && own)
            return aic_node_fail(l->err, own, "a graph has either ops: or one list per phase, not both");
        if (!both && !own)
            return aic_node_fail(l->err, doc, "a graph needs ops:, or context: and generation:");
        l->phase = (mdl_phase)p;
        if (!mdl_compile_items(l, both ? both : own, NULL, &l->graph->list[p]))
            return false;
    }
    const aic_node *encoder = aic_map_get(doc, mdl_phase_name(MDL_ENCODER));
    l->phase = MDL_ENCODER;
    return !encoder || mdl_compile_items(l, encoder, NULL, &l->graph->list[MDL_ENCODER]);
}

static bool read_graph(mdl_loader *l, const aic_node *doc) {
    static const char *const keys[] = {SHARED_KEYS, "family", "include", "context_parallel", "across_nodes",
                                       "kv",        "ops",    "context", "generation",       "encoder"};
    const char *family;
    if (!check_format(l, doc, keys, sizeof keys / sizeof *keys) ||
        !aic_node_text(aic_map_get(doc, "family"), "family", &family, l->err))
        return false;
    if (strcmp(family, l->graph->family) != 0)
        return aic_node_fail(l->err, aic_map_get(doc, "family"),
                             "this file must describe family %s, not \"%s\"", l->graph->family, family);
    return read_includes(l, aic_map_get(doc, "include")) && read_shared_sections(l, doc) &&
           read_backends(l, doc, "context_parallel", &l->graph->context_parallel) &&
           read_backends(l, doc, "across_nodes", &l->graph->across_nodes) && read_kv(l, doc) &&
           read_lists(l, doc);
}

/* Moves an array that has grown into the arena. */
static void *moved(aic_arena *a, void *items, size_t n, size_t size) {
    void *copy = aic_arena_alloc(a, n, size);
    if (n)
        memcpy(copy, items, n * size);
    free(items);
    return copy;
}

const mdl_graph *mdl_graph_load(aic_arena *a, const mdl_dirs *dirs, const char *path, const char *family,
                                aic_error *err) {
    const aic_node *doc = aic_doc_yaml_file(a, path, err);
    if (!doc)
        return NULL;
    mdl_graph *g = aic_arena_alloc(a, 1, sizeof *g);
    *g = (mdl_graph){.file = path, .family = family};
    mdl_loader l = {.arena = a, .dirs = dirs, .graph = g, .err = err};
    bool ok = read_graph(&l, doc);
    g->lets = moved(a, g->lets, g->n_lets, sizeof *g->lets);
    g->checks = moved(a, g->checks, g->n_checks, sizeof *g->checks);
    free(l.aliases);
    free(l.defaults);
    free(l.blocks);
    return ok ? g : NULL;
}

static bool model_lets(mdl_frame *f, aic_error *err) {
    const mdl_graph *g = f->graph;
    for (size_t i = 0; i < g->n_lets; i++) {
        if (g->lets[i].level != MDL_OF_MODEL)
            continue;
        if (!mdl_eval(g->lets[i].value, f, &f->vars[i], err))
            return false;
        f->known[i] = true;
    }
    return true;
}

static bool model_images(mdl_frame *f, mdl_vision *out, aic_error *err) {
    const mdl_images_rule *rule = f->graph->images;
    bool yes = false;
    if (!rule || !mdl_eval_true(rule->when, f, &yes, err) || !yes)
        return !rule || err->code == AIC_OK;
    enum { MAX_EDGE = 4096 }; /* of patches and merging: products of both with any image stay below 2^63 */
    const struct {
        const aic_expr *value;
        int64_t *out, most;
    } figures[] = {{rule->patch, &out->patch, MAX_EDGE},
                   {rule->merge, &out->merge, MAX_EDGE},
                   {rule->width, &out->width, MDL_MAX_SIZE},
                   {rule->out, &out->out, MDL_MAX_SIZE}};
    for (size_t i = 0; i < 4; i++) {
        aic_value v;
        if (!mdl_eval(figures[i].value, f, &v, err))
            return false;
        if (v.type != AIC_V_INT || v.u.i < 1 || v.u.i > figures[i].most)
            return aic_fail(err, AIC_BAD_INPUT, "%s: images: %s is no integer from 1 to %lld", f->graph->file,
                            aic_expr_text(figures[i].value), (long long)figures[i].most);
        *figures[i].out = v.u.i;
    }
    return true;
}

void mdl_graph_model_lets(aic_arena *a, mdl_entry *m) {
    const mdl_graph *g = m->pub.graph;
    aic_error err = {0};
    mdl_frame f = {.model = m, .graph = g, .arena = a};
    f.vars = aic_arena_alloc(a, g->n_lets, sizeof *f.vars);
    f.known = aic_arena_alloc(a, g->n_lets, sizeof *f.known);
    m->lets = f.vars;
    if (!model_lets(&f, &err) || !model_images(&f, &m->pub.vision, &err))
        m->lets_failed = aic_arena_strdup(a, err.text);
}
