/* The catalogue: where models come from, and the one owner of everything loaded (docs/model/facts.md).
 *
 * Everything lives in one arena until mdl_close; one mutex guards loading. What was returned is immutable. */
#include "models/internal.h"
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A model of a catalogue file. Few of many will be asked for: its config is read then. */
typedef struct listed {
    const char *id;
    const aic_node *config; /* a part of its file's outline */
} listed;

/* A family's graph, loaded when its first model is. */
typedef struct family_graph {
    const char *family;
    const mdl_graph *graph; /* NULL = no file */
} family_graph;

struct mdl_catalogue {
    pthread_mutex_t lock;
    aic_arena *arena;
    mdl_dirs dirs;
    mdl_archs archs;
    listed *models; /* sorted by id */
    size_t n_models, cap_models;
    aic_intern *ids; /* of loaded models; id i+1 belongs to entries[i] */
    mdl_entry **entries;
    size_t n_entries, cap_entries;
    family_graph *graphs;
    size_t n_graphs, cap_graphs;
};

/* ---- opening ---- */

static bool check_format(const aic_node *doc, const char *path, aic_error *err) {
    static const char *const keys[] = {"format", "version", "models"};
    const char *format;
    int64_t version;
    if (!aic_map_check_keys(doc, "model catalogue", keys, 3, err) ||
        !aic_node_text(aic_map_get(doc, "format"), "format", &format, err) ||
        !aic_node_i64(aic_map_get(doc, "version"), "version", 1, 1, &version, err))
        return false;
    if (strcmp(format, "aicfg-model-catalogue") != 0 || !mdl_map(aic_map_get(doc, "models")))
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s: not a model catalogue (format aicfg-model-catalogue with models)", path);
    return true;
}

static bool has_model(const mdl_catalogue *c, size_t n, const char *id) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(c->models[i].id, id) == 0)
            return true;
    return false;
}

enum { CONFIG_DEPTH = 2 }; /* brackets around one: of the file and of its models */

static bool read_catalogue(mdl_catalogue *c, const char *dir, aic_error *err) {
    const char *path = aic_arena_printf(c->arena, "%s/catalogue.json", dir);
    if (access(path, F_OK) != 0)
        return true;
    const aic_node *doc = aic_doc_json_outline(c->arena, path, CONFIG_DEPTH, err);
    if (!doc || !check_format(doc, path, err))
        return false;
    const aic_node *models = aic_map_get(doc, "models");
    size_t before = c->n_models;
    for (size_t i = 0; i < models->count; i++) {
        if (has_model(c, before, models->keys[i]->text))
            continue;
        if (!aic_doc_is_part(models->items[i]))
            return aic_fail(err, AIC_BAD_INPUT, "%s: model \"%s\" is not a mapping", path,
                            models->keys[i]->text);
        AIC_GROW(c->models, c->n_models, c->cap_models);
        c->models[c->n_models++] = (listed){models->keys[i]->text, models->items[i]};
    }
    return true;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const listed *)a)->id, ((const listed *)b)->id);
}

static bool open_archs(mdl_catalogue *c, aic_error *err) {
    const mdl_dirs *dirs = &c->dirs;
    const char **paths = aic_arena_alloc(c->arena, dirs->count, sizeof *paths);
    size_t n = 0;
    for (size_t i = 0; i < dirs->count; i++) {
        const char *path = aic_arena_printf(c->arena, "%s/architectures.yaml", dirs->items[i]);
        if (access(path, F_OK) == 0)
            paths[n++] = path;
    }
    if (n == 0)
        return aic_fail(err, AIC_BAD_INPUT, "no folder of models has architectures.yaml (looked in %s%s)",
                        dirs->count ? dirs->items[0] : "no folder", dirs->count > 1 ? " and others" : "");
    return mdl_archs_load(c->arena, paths, n, &c->archs, err);
}

static bool open_dirs(mdl_catalogue *c, const char *const *dirs, size_t n, const op_kinds *kinds,
                      aic_error *err) {
    const char **copy = aic_arena_alloc(c->arena, n, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = aic_arena_strdup(c->arena, dirs[i]);
    c->dirs = (mdl_dirs){copy, n, kinds};
    for (size_t i = 0; i < n; i++)
        if (!read_catalogue(c, copy[i], err))
            return false;
    if (c->n_models)
        qsort(c->models, c->n_models, sizeof *c->models, by_id);
    return open_archs(c, err);
}

mdl_catalogue *mdl_open(const char *const *dirs, size_t n, aic_error *err) {
    return mdl_open_with(dirs, n, NULL, err);
}

mdl_catalogue *mdl_open_with(const char *const *dirs, size_t n, const op_kinds *kinds, aic_error *err) {
    mdl_catalogue *c = AIC_NEW(mdl_catalogue);
    pthread_mutex_init(&c->lock, NULL);
    c->arena = aic_arena_new();
    c->ids = aic_intern_new();
    if (open_dirs(c, dirs, n, kinds, err))
        return c;
    mdl_close(c);
    return NULL;
}

void mdl_close(mdl_catalogue *c) {
    if (!c)
        return;
    free(c->models);
    free(c->entries);
    free(c->graphs);
    aic_intern_free(c->ids);
    aic_arena_free(c->arena);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

size_t mdl_count(const mdl_catalogue *c) {
    return c->n_models;
}

const char *mdl_id_at(const mdl_catalogue *c, size_t i) {
    return c->models[i].id;
}

/* ---- where a config comes from ---- */

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* config.json of a folder, with hf_quant_config.json beside it under the key the catalogue uses. */
static const aic_node *read_folder(aic_arena *a, const char *dir, bool *quant_file, aic_error *err) {
    const char *path = aic_arena_printf(a, "%s/config.json", dir);
    if (access(path, F_OK) != 0) {
        aic_fail(err, AIC_BAD_INPUT, "folder \"%s\" has no config.json", dir);
        return NULL;
    }
    const aic_node *config = aic_doc_json_file(a, path, true, err);
    if (config && config->kind != AIC_K_MAP) {
        aic_fail(err, AIC_BAD_INPUT, "%s: expected a mapping, found %s", path, aic_kind_name(config->kind));
        return NULL;
    }
    path = aic_arena_printf(a, "%s/hf_quant_config.json", dir);
    if (!config || access(path, F_OK) != 0)
        return config;
    aic_node *quant = aic_doc_json_file(a, path, true, err);
    if (!quant)
        return NULL;
    *quant_file = mdl_truthy(quant);
    return *quant_file ? mdl_with(a, config, "hf_quant_config", quant) : config;
}

static const char *id_at(const void *ctx, size_t i) {
    return mdl_id_at(ctx, i);
}

static const aic_node *find_config(const mdl_catalogue *c, const char *id, aic_arena *a, bool *quant_file,
                                   aic_error *err) {
    *quant_file = false;
    if (is_folder(id))
        return read_folder(a, id, quant_file, err);
    listed key = {id, NULL};
    const listed *found = c->n_models ? bsearch(&key, c->models, c->n_models, sizeof key, by_id) : NULL;
    if (found) {
        const aic_node *config = aic_doc_json_part(a, found->config, true, err);
        *quant_file = config && mdl_truthy(aic_map_get(config, "hf_quant_config"));
        return config;
    }
    const char *near = aic_nearest(id, c->n_models, id_at, c);
    aic_fail(err, AIC_BAD_INPUT,
             "model \"%s\" is neither in the catalogue nor a folder with a config.json%s%s%s", id,
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

const aic_node *mdl_raw_config(const mdl_catalogue *c, const char *id, aic_arena *a, aic_error *err) {
    bool quant_file;
    return find_config(c, id, a, &quant_file, err);
}

const aic_node *mdl_config_at(const mdl_catalogue *c, size_t i, aic_arena *a, aic_error *err) {
    return aic_doc_json_part(a, c->models[i].config, true, err);
}

const mdl_arch *mdl_arch_of(const mdl_catalogue *c, const aic_node *config, const char **name) {
    *name = NULL;
    return mdl_architecture(config, name, NULL) ? mdl_arch_find(&c->archs, *name) : NULL;
}

const mdl_dirs *mdl_dirs_of(const mdl_catalogue *c) {
    return &c->dirs;
}

/* ---- loading ---- */

void mdl_graph_file(const char *family, char *out, size_t size) {
    int n = snprintf(out, size, "graphs/%s.yaml", family);
    for (int i = 7; i < n && (size_t)i < size; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
}

/* False only for a file that exists and is broken. */
static bool find_graph(mdl_catalogue *c, const char *family, const mdl_graph **out, aic_error *err) {
    for (size_t i = 0; i < c->n_graphs; i++) {
        if (strcmp(c->graphs[i].family, family) == 0) {
            *out = c->graphs[i].graph;
            return true;
        }
    }
    char name[64];
    mdl_graph_file(family, name, sizeof name);
    const char *path = mdl_find_file(c->arena, &c->dirs, name);
    *out = path ? mdl_graph_load(c->arena, &c->dirs, path, family, err) : NULL;
    if (path && !*out)
        return false;
    AIC_GROW(c->graphs, c->n_graphs, c->cap_graphs);
    c->graphs[c->n_graphs++] = (family_graph){family, *out};
    return true;
}

static const char *arch_at(const void *ctx, size_t i) {
    return ((const mdl_archs *)ctx)->archs[i].name;
}

static const mdl_arch *find_arch(const mdl_catalogue *c, const aic_node *config, aic_error *err) {
    const char *name;
    if (!mdl_architecture(config, &name, err))
        return NULL;
    const mdl_arch *arch = mdl_arch_find(&c->archs, name);
    if (arch)
        return arch;
    const char *near = aic_nearest(name, c->archs.n_archs, arch_at, &c->archs);
    aic_node_fail(err, config,
                  "architecture \"%s\" is not supported (architectures.yaml lists those that are)%s%s%s",
                  name, near ? "; the nearest is \"" : "", near ? near : "", near ? "\"" : "");
    return NULL;
}

static bool fill(mdl_catalogue *c, mdl_entry *m, const aic_node *config, bool quant_file, aic_error *err) {
    m->archs = &c->archs;
    m->arch = find_arch(c, config, err);
    if (!m->arch)
        return false;
    m->pub.catalogue = c;
    m->pub.architecture = m->arch->name;
    m->pub.family = m->arch->family->name;
    m->pub.config = mdl_normalise(c->arena, config, m->arch, quant_file);
    const mdl_graph *graph = NULL;
    if (!mdl_text_map(m->pub.config, m->arch, &m->pub.text, err) || !mdl_read_facts(c->arena, m, err) ||
        !mdl_read_quant(c->arena, m, err) || !find_graph(c, m->pub.family, &graph, err))
        return false;
    m->pub.graph = graph;
    if (graph)
        mdl_graph_model_lets(c->arena, m);
    return true;
}

static mdl_entry *load(mdl_catalogue *c, const char *id, aic_error *err) {
    bool quant_file;
    const aic_node *config = find_config(c, id, c->arena, &quant_file, err);
    if (!config)
        return NULL;
    mdl_entry *m = aic_arena_alloc(c->arena, 1, sizeof *m);
    m->traces = aic_arena_alloc(c->arena, 1, sizeof *m->traces);
    m->pub.id = aic_arena_strdup(c->arena, id);
    if (fill(c, m, config, quant_file, err))
        return m;
    aic_fail_in(err, "model %s", id);
    return NULL;
}

const mdl_model *mdl_get(mdl_catalogue *c, const char *id, aic_error *err) {
    bool loaded;
    pthread_mutex_lock(&c->lock);
    uint32_t at = aic_intern_find(c->ids, id, strlen(id), &loaded);
    mdl_entry *m = loaded && at > 0 ? c->entries[at - 1] : NULL;
    if (!m && (m = load(c, id, err))) {
        aic_intern_add(c->ids, id, strlen(id));
        AIC_GROW(c->entries, c->n_entries, c->cap_entries);
        c->entries[c->n_entries++] = m;
    }
    pthread_mutex_unlock(&c->lock);
    return m ? &m->pub : NULL;
}
