/* Ordered source lists: which files answer for a table, and in which order (docs/model/sources.md). */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

const char *pdb_channel_name(pdb_channel c) {
    static const char *const names[] = {"primary", "declared_reuse", "fallback", "cross_backend"};
    return names[c];
}

typedef struct builder {
    pdb_view_impl *v;
    const char *table;
    pdb_source *list;
    size_t n, cap;
} builder;

static pdb_source *add(builder *b, const char *backend, const char *version, pdb_channel channel) {
    AIC_GROW(b->list, b->n, b->cap);
    pdb_source *s = &b->list[b->n++];
    *s = (pdb_source){
        .backend = backend,
        .version = version,
        .group = aic_arena_printf(b->v->arena, "/%s/%s/%s", b->table, backend, version),
        .channel = channel,
    };
    s->exists = b->v->file && pdb_file_has(b->v->file, s->group);
    return s;
}

/* A source that is worth a place only if its file is there. */
static pdb_source *add_if_there(builder *b, const char *backend, const char *version, pdb_channel channel) {
    pdb_source *s = add(b, backend, version, channel);
    if (s->exists)
        return s;
    b->n--;
    return NULL;
}

static const aic_node *versions_of(const builder *b, const char *backend) {
    return pdb_release_versions(b->v->release, b->v->pub.measured, backend);
}

/* ---- collective libraries -------------------------------------------------------------------- */

/* Their tables belong to the library's version on the spec sheet, whatever backend asks. */
static bool add_library(builder *b) {
    const pdb_system *s = b->v->pub.system;
    bool nccl = strcmp(b->table, "nccl_perf") == 0;
    if (!nccl && strcmp(b->table, "oneccl_perf") != 0)
        return false;
    const char *version = nccl ? s->nccl_version : s->oneccl_version;
    if (version)
        add(b, nccl ? "nccl" : "oneccl", version, PDB_PRIMARY);
    return true;
}

/* ---- reuse and fallback ---------------------------------------------------------------------- */

/* Does the table measure communication? Such tables are filled from older versions only. */
static bool is_comm(const builder *b) {
    return pdb_file_measures(b->v->file, b->table, "comm");
}

static bool is_donor(const builder *b, const char *version) {
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].channel == PDB_DECLARED && strcmp(b->list[i].version, version) == 0)
            return true;
    return false;
}

static void add_declared(builder *b) {
    const pdb_view *view = &b->v->pub;
    const aic_node *donors = pdb_release_donors(b->v->release, view->measured, view->backend, view->version);
    for (size_t i = 0; donors && i < donors->count; i++) {
        const char *table = aic_map_get(donors->items[i], "table")->text;
        const char *from = aic_map_get(donors->items[i], "from")->text;
        if (strcmp(table, b->table) == 0 && !is_donor(b, from))
            add_if_there(b, view->backend, from, PDB_DECLARED);
    }
}

static int newest_first(const void *a, const void *b) {
    return pdb_version_compare(*(const char *const *)b, *(const char *const *)a);
}

/* Versions of a backend, newest first, those PEP 440 does not know last. */
static const char **sorted_versions(const builder *b, const char *backend, size_t *n) {
    const aic_node *list = versions_of(b, backend);
    *n = list ? list->count : 0;
    const char **versions = aic_arena_alloc(b->v->arena, *n, sizeof *versions);
    for (size_t i = 0; i < *n; i++)
        versions[i] = list->items[i]->text;
    if (*n)
        qsort(versions, *n, sizeof *versions, newest_first);
    return versions;
}

static void add_older(builder *b) {
    const pdb_view *view = &b->v->pub;
    pdb_pep440 own = pdb_pep440_read(view->version);
    if (!own.ok)
        return;
    size_t n;
    const char **versions = sorted_versions(b, view->backend, &n);
    for (size_t i = 0; i < n; i++) {
        pdb_pep440 v = pdb_pep440_read(versions[i]);
        if (v.ok && pdb_pep440_compare(&v, &own) < 0 && !is_donor(b, versions[i]))
            add_if_there(b, view->backend, versions[i], PDB_FALLBACK);
    }
}

/* ---- other backends -------------------------------------------------------------------------- */

static bool lists(const aic_node *frameworks, const char *backend) {
    for (size_t i = 0; i < frameworks->count; i++)
        if (strcmp(frameworks->items[i]->text, backend) == 0)
            return true;
    return false;
}

/* Does the entry let rows of this table pass from `other` to the view's backend? */
static bool passes(const builder *b, const aic_node *entry, const char *other) {
    const char *tier = aic_map_get(entry, "tier")->text;
    const aic_node *frameworks = aic_map_get(entry, "frameworks");
    return strcmp(aic_map_get(entry, "table")->text, b->table) == 0 &&
           *aic_map_get(entry, "kernel_source")->text &&
           (strcmp(tier, "shared") == 0 || strcmp(tier, "shared_fallback") == 0) &&
           lists(frameworks, b->v->pub.backend) && lists(frameworks, other);
}

static int bytewise(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted distinct kernels that may pass from `other`; in the view's arena. */
static const char **kernels_from(const builder *b, const char *other, size_t *n) {
    const aic_node *cross = b->v->release->cross;
    const char **kernels = aic_arena_alloc(b->v->arena, cross->count, sizeof *kernels);
    size_t found = 0;
    for (size_t i = 0; i < cross->count; i++)
        if (passes(b, cross->items[i], other))
            kernels[found++] = aic_map_get(cross->items[i], "kernel_source")->text;
    if (found)
        qsort(kernels, found, sizeof *kernels, bytewise);
    *n = 0;
    for (size_t i = 0; i < found; i++)
        if (i == 0 || strcmp(kernels[i], kernels[*n - 1]) != 0)
            kernels[(*n)++] = kernels[i];
    return kernels;
}

/* Backends measured on the system, in byte order. */
static const char **backends_of(const builder *b, size_t *n) {
    const aic_node *all = aic_map_get(b->v->release->directories, b->v->pub.measured);
    *n = all && all->kind == AIC_K_MAP ? all->count : 0;
    const char **names = aic_arena_alloc(b->v->arena, *n, sizeof *names);
    for (size_t i = 0; i < *n; i++)
        names[i] = all->keys[i]->text;
    if (*n)
        qsort(names, *n, sizeof *names, bytewise);
    return names;
}

static void add_cross(builder *b) {
    if (!b->v->release->cross || b->v->release->cross->kind != AIC_K_LIST)
        return;
    size_t n_backends, n_kernels, n_versions;
    const char **backends = backends_of(b, &n_backends);
    for (size_t i = 0; i < n_backends; i++) {
        if (strcmp(backends[i], b->v->pub.backend) == 0)
            continue;
        const char **kernels = kernels_from(b, backends[i], &n_kernels);
        const char **versions = sorted_versions(b, backends[i], &n_versions);
        for (size_t k = 0; n_kernels && k < n_versions; k++) {
            pdb_source *s = add_if_there(b, backends[i], versions[k], PDB_CROSS);
            if (s) {
                s->kernels = kernels;
                s->n_kernels = n_kernels;
            }
        }
    }
}

/* ---- the list -------------------------------------------------------------------------------- */

static void build(builder *b) {
    const pdb_view *view = &b->v->pub;
    if (add_library(b))
        return;
    add(b, view->backend, view->version, PDB_PRIMARY); /* also when absent: it names the file expected */
    if (!view->shared || !b->v->file)
        return;
    bool comm = is_comm(b);
    if (!comm)
        add_declared(b);
    add_older(b);
    if (!comm)
        add_cross(b);
}

static const pdb_resolved *resolved(pdb_view_impl *v, const char *table) {
    for (size_t i = 0; i < v->n_resolved; i++)
        if (strcmp(v->resolved[i].table, table) == 0)
            return &v->resolved[i];
    builder b = {.v = v, .table = aic_arena_strdup(v->arena, table)};
    build(&b);
    pdb_source *list = aic_arena_alloc(v->arena, b.n, sizeof *list);
    if (b.n)
        memcpy(list, b.list, b.n * sizeof *list);
    free(b.list);
    AIC_GROW(v->resolved, v->n_resolved, v->cap_resolved);
    v->resolved[v->n_resolved] = (pdb_resolved){b.table, list, b.n};
    return &v->resolved[v->n_resolved++];
}

/* ---- marks ----------------------------------------------------------------------------------- */

pdb_origins pdb_origin_of(pdb_view_impl *v, const pdb_source *s) {
    if (s->channel == PDB_PRIMARY)
        return 0;
    pdb_origins kind = s->channel == PDB_CROSS ? PDB_OTHER_BACKEND : PDB_OTHER_VERSION;
    size_t i = 0;
    while (i < v->n_origins &&
           (strcmp(v->origins[i].backend, s->backend) != 0 || strcmp(v->origins[i].version, s->version) != 0))
        i++;
    if (i == PDB_ORIGIN_MAX)
        return kind;
    if (i == v->n_origins)
        v->origins[v->n_origins++] = (pdb_origin){s->backend, s->version};
    return kind | (pdb_origins)1 << (PDB_ORIGIN_BITS + i);
}

size_t pdb_origin_names(const pdb_view *view, pdb_origins from, pdb_origin list[PDB_ORIGIN_MAX]) {
    pdb_view_impl *v = pdb_impl(view);
    size_t n = 0;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->n_origins; i++)
        if (from >> (PDB_ORIGIN_BITS + i) & 1)
            list[n++] = v->origins[i];
    pthread_mutex_unlock(&v->lock);
    return n;
}

/* ---- lists by table -------------------------------------------------------------------------- */

/* Which sources there are is part of what is read. */
static void note_list(pdb_view_impl *v, const pdb_resolved *r) {
    char sha256[65] = "";
    if (!pdb_read_known(v, r->table)) {
        aic_buf text = {0};
        aic_buf_add(&text, r->table);
        for (size_t i = 0; i < r->n; i++) {
            const pdb_source *s = &r->list[i];
            aic_buf_printf(&text, "\n%s %s %s", s->group, pdb_channel_name(s->channel),
                           s->exists ? "there" : "absent");
            for (size_t k = 0; k < s->n_kernels; k++)
                aic_buf_printf(&text, " %s", s->kernels[k]);
        }
        aic_sha256_text(text.data, text.len, sha256);
        aic_buf_free(&text);
    }
    pdb_read_note(v, r->table, sha256);
}

size_t pdb_sources(const pdb_view *view, const char *table, const pdb_source **list) {
    pdb_view_impl *v = pdb_impl(view);
    pthread_mutex_lock(&v->lock);
    pdb_resolved found = *resolved(v, table);
    note_list(v, &found);
    pthread_mutex_unlock(&v->lock);
    *list = found.list;
    return found.n;
}
