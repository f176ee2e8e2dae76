/* Views: resolving a requested version and keeping what is computed once per (system, backend, version,
 * shared). */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

/* ---- versions a user may name ---------------------------------------------------------------- */

static const char *const aliases[] = {"current", "previous", "next"};

static const char *slot_of(const pdb_slots *s, const char *alias) {
    const char *const versions[] = {s->current, s->previous, s->next};
    for (int i = 0; i < 3; i++)
        if (strcmp(alias, aliases[i]) == 0)
            return versions[i];
    return NULL;
}

static bool is_alias(const char *text) {
    return strcmp(text, aliases[0]) == 0 || strcmp(text, aliases[1]) == 0 || strcmp(text, aliases[2]) == 0;
}

static void list_slots(const pdb_slots *s, aic_buf *out) {
    for (int i = 0; i < 3; i++)
        if (slot_of(s, aliases[i]))
            aic_buf_printf(out, "%s%s = %s", out->len ? ", " : "", aliases[i], slot_of(s, aliases[i]));
}

static bool has_version(const aic_node *list, const char *version) {
    for (size_t i = 0; list && i < list->count; i++)
        if (strcmp(list->items[i]->text, version) == 0)
            return true;
    return false;
}

static void list_versions(const aic_node *list, aic_buf *out) {
    for (size_t i = 0; list && i < list->count; i++)
        aic_buf_printf(out, "%s%s", out->len ? ", " : "", list->items[i]->text);
}

/* A request: what was asked for and where. */
typedef struct request {
    pdb *db;
    const pdb_release *release;    /* NULL: the system has no data */
    const char *system, *measured; /* measured: whose tables stand for the system's */
    const char *backend, *version;
    bool allow_unlisted;
} request;

static pdb_file *file_of(const request *q, aic_error *err) {
    pthread_mutex_lock(&q->db->lock);
    pdb_file *file = pdb_file_of(q->db, q->release, q->measured, err);
    pthread_mutex_unlock(&q->db->lock);
    return file;
}

/* Does the file hold any table of this version? */
static bool has_tables(pdb_file *f, const char *backend, const char *version) {
    const char **tables;
    size_t n;
    aic_arena *a = aic_arena_new();
    bool found = false;
    if (!pdb_file_list(f, "/", a, &tables, &n, NULL))
        n = 0;
    for (size_t i = 0; i < n && !found; i++)
        found = pdb_file_has(f, aic_arena_printf(a, "/%s/%s/%s", tables[i], backend, version));
    aic_arena_free(a);
    return found;
}

/* The newest version with tables of its own: a listed one may live on the rows of others. */
static const char *newest(const request *q, const aic_node *measured) {
    aic_error damaged = {0}; /* reported when the view opens the file */
    pdb_file *f = file_of(q, &damaged);
    const char *best = NULL;
    for (size_t i = 0; i < measured->count; i++) {
        const char *v = measured->items[i]->text;
        int order = best ? pdb_sort_key_compare(v, best) : 1;
        if ((order > 0 || (order == 0 && strcmp(v, best) > 0)) && (!f || has_tables(f, q->backend, v)))
            best = v;
    }
    return best;
}

static bool refuse_with_slots(const request *q, const pdb_slots *slots, const char *what, aic_error *err) {
    aic_buf list = {0};
    list_slots(slots, &list);
    aic_fail(err, AIC_BAD_INPUT, "%s %s on %s: %s; its versions are %s", q->backend, q->version, q->system,
             what, list.data);
    aic_buf_free(&list);
    return false;
}

static bool resolve_slot(const request *q, const pdb_slots *slots, const char **out, aic_error *err) {
    *out = slot_of(slots, *q->version ? q->version : "current");
    if (*out)
        return true;
    if (is_alias(q->version))
        return refuse_with_slots(q, slots, "there is no such version", err);
    *out = q->version;
    for (int i = 0; i < 3; i++) {
        const char *v = slot_of(slots, aliases[i]);
        if (v && strcmp(v, q->version) == 0)
            return true;
    }
    return q->allow_unlisted ||
           refuse_with_slots(q, slots,
                             "not a version offered for queries (measured, perhaps, but "
                             "not kept complete); allow unlisted versions to use it all the same",
                             err);
}

/* Versions without slots: any measured one, the newest by default. */
static bool resolve_plain(const request *q, const aic_node *measured, const char **out, aic_error *err) {
    *out = *q->version ? q->version : newest(q, measured);
    if (*out && !is_alias(*out))
        return true;
    return aic_fail(err, AIC_BAD_INPUT,
                    "%s on %s has no version slots, so '%s' names nothing; give a version", q->backend,
                    q->system, *q->version ? q->version : "latest");
}

/* Backends measured on a system, the collective libraries left out. */
static void list_backends(const request *q, aic_buf *out) {
    const aic_node *all = q->release ? aic_map_get(q->release->directories, q->measured) : NULL;
    for (size_t i = 0; all && all->kind == AIC_K_MAP && i < all->count; i++) {
        const char *name = all->keys[i]->text;
        if (!pdb_is_library(name))
            aic_buf_printf(out, "%s%s", out->len ? ", " : "", name);
    }
}

static bool refuse_backend(const request *q, aic_error *err) {
    aic_buf list = {0};
    list_backends(q, &list);
    if (!q->release)
        aic_fail(err, AIC_BAD_INPUT,
                 "%s has no measured tables: no perfdb folder holds %s.h5. From its spec sheet alone only "
                 "database "
                 "mode SOL can price it, with no version named (docs/formats/systems.md)",
                 q->system, q->measured);
    else
        aic_fail(err, AIC_BAD_INPUT, "%s is not measured on %s (release %s); backends: %s", q->backend,
                 q->system, q->release->name, list.len ? list.data : "none");
    aic_buf_free(&list);
    return false;
}

static bool resolve(const request *q, const char **out, aic_error *err) {
    const aic_node *measured = q->release && !pdb_is_library(q->backend)
                                   ? pdb_release_versions(q->release, q->measured, q->backend)
                                   : NULL;
    bool estimate = strcmp(q->version, PDB_ESTIMATE) == 0;
    if (!measured && (!q->release || estimate) && q->allow_unlisted && *q->version && !is_alias(q->version)) {
        *out = q->version; /* estimates on a system or for a backend nobody measured */
        return true;
    }
    if (!measured)
        return refuse_backend(q, err);
    pdb_slots slots;
    bool gated = pdb_release_slots(q->release, q->measured, q->backend, &slots);
    if (!(gated ? resolve_slot(q, &slots, out, err) : resolve_plain(q, measured, out, err)))
        return false;
    /* `next` may lie ahead of a system's own measurements: older versions answer for it. */
    if (has_version(measured, *out) || (gated && slots.next && strcmp(slots.next, *out) == 0))
        return true;
    aic_buf list = {0};
    list_versions(measured, &list);
    aic_fail(err, AIC_BAD_INPUT, "%s %s is not measured on %s; measured versions: %s", q->backend, *out,
             q->system, list.data);
    aic_buf_free(&list);
    return false;
}

/* ---- views ----------------------------------------------------------------------------------- */

static pdb_view_impl *find_view(const pdb *db, const pdb_system *system, const char *backend,
                                const char *version, bool shared) {
    for (size_t i = 0; i < db->n_views; i++) {
        const pdb_view *v = &db->views[i]->pub;
        if (v->system == system && v->shared == shared && strcmp(v->version, version) == 0 &&
            strcmp(v->backend, backend) == 0)
            return db->views[i];
    }
    return NULL;
}

static pdb_view_impl *new_view(pdb *db, const pdb_system *system, const request *q, bool shared,
                               pdb_file *file) {
    pdb_view_impl *v = AIC_NEW(pdb_view_impl);
    v->arena = aic_arena_new();
    v->release = q->release;
    v->file = file;
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->built, NULL);
    v->pub = (pdb_view){
        .db = db,
        .system = system,
        .measured = aic_arena_strdup(db->arena, q->measured),
        .backend = aic_arena_strdup(db->arena, q->backend),
        .version = aic_arena_strdup(db->arena, q->version),
        .shared = shared,
        .release = q->release ? q->release->name : "",
        .digest = file ? pdb_file_head(file)->digest : "",
    };
    AIC_GROW(db->views, db->n_views, db->cap_views);
    db->views[db->n_views++] = v;
    return v;
}

/* Resolves a request and finds or opens its view. */
static pdb_view_impl *grant(pdb *db, const pdb_system *sheet, const pdb_granted *asked, aic_error *err) {
    const char *measured = sheet->measured_as ? sheet->measured_as : sheet->name;
    request q = {.db = db,
                 .release = pdb_release_of(db, measured),
                 .system = sheet->name,
                 .measured = measured,
                 .backend = asked->backend,
                 .version = asked->version,
                 .allow_unlisted = asked->allow_unlisted};
    const char *resolved; /* apart from q.version, which resolve still reads */
    if (!resolve(&q, &resolved, err))
        return NULL;
    q.version = resolved;
    bool shared = asked->shared && (!q.release || q.release->shared_rows);
    pthread_mutex_lock(&db->lock);
    pdb_view_impl *v = find_view(db, sheet, q.backend, q.version, shared);
    if (!v) {
        pdb_file *file = q.release ? pdb_file_of(db, q.release, measured, err) : NULL;
        if (file || !q.release)
            v = new_view(db, sheet, &q, shared, file);
    }
    if (v) {
        AIC_GROW(db->granted, db->n_granted, db->cap_granted);
        db->granted[db->n_granted++] = (pdb_granted){.system = sheet,
                                                     .backend = aic_arena_strdup(db->arena, asked->backend),
                                                     .version = aic_arena_strdup(db->arena, asked->version),
                                                     .shared = asked->shared,
                                                     .allow_unlisted = asked->allow_unlisted,
                                                     .view = v};
    }
    pthread_mutex_unlock(&db->lock);
    return v;
}

static pdb_view_impl *granted_before(pdb *db, const pdb_granted *asked) {
    pdb_view_impl *v = NULL;
    pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < db->n_granted && !v; i++) {
        const pdb_granted *g = &db->granted[i];
        if (g->system == asked->system && g->shared == asked->shared &&
            g->allow_unlisted == asked->allow_unlisted && strcmp(g->backend, asked->backend) == 0 &&
            strcmp(g->version, asked->version) == 0)
            v = g->view;
    }
    pthread_mutex_unlock(&db->lock);
    return v;
}

const pdb_view *pdb_view_get(pdb *db, const char *system, const char *backend, const char *version,
                             bool shared, bool allow_unlisted, aic_error *err) {
    const pdb_system *sheet = pdb_system_get(db, system, err);
    if (!sheet)
        return NULL;
    const pdb_granted asked = {.system = sheet,
                               .backend = backend,
                               .version = version ? version : "",
                               .shared = shared,
                               .allow_unlisted = allow_unlisted};
    pdb_view_impl *v = granted_before(db, &asked);
    if (!v)
        v = grant(db, sheet, &asked, err);
    return v ? &v->pub : NULL;
}

/* Frees what tables and objects are made of; nobody is building any. */
static void empty(pdb_view_impl *v) {
    aic_arena_free(v->arena);
    for (size_t i = 0; i < v->n_arenas; i++)
        aic_arena_free(v->arenas[i]);
    v->n_arenas = v->n_idle = 0;
}

pdb_view_impl *pdb_view_twin(const pdb_view *view) {
    pdb *db = view->db;
    pthread_mutex_lock(&db->lock);
    pdb_view_impl *twin = find_view(db, view->system, view->backend, view->version, !view->shared);
    pthread_mutex_unlock(&db->lock);
    return twin;
}

static void unload(pdb_view_impl *v) {
    pthread_mutex_lock(&v->lock);
    empty(v);
    v->arena = aic_arena_new();
    v->n_made = 0;
    if (v->n_made_index)
        memset(v->made_index, 0, v->n_made_index * sizeof *v->made_index);
    v->n_resolved = 0;
    v->n_origins = 0; /* named by sources in the arena */
    v->n_reads = 0;   /* they go by addresses in the arena */
    v->n_read_sets = 0;
    pthread_mutex_unlock(&v->lock);
}

void pdb_view_unload(const pdb_view *view) {
    pdb_view_impl *twin = pdb_view_twin(view); /* its tables may be the view's */
    unload(pdb_impl(view));
    if (twin)
        unload(twin);
}

pdb_loaded pdb_loaded_so_far(pdb *db) {
    pdb_loaded sum = {0};
    pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < db->n_views; i++) {
        pdb_view_impl *v = db->views[i];
        pthread_mutex_lock(&v->lock);
        sum.tables += v->loaded.tables;
        sum.rows += v->loaded.rows;
        sum.seconds += v->loaded.seconds;
        pthread_mutex_unlock(&v->lock);
    }
    pthread_mutex_unlock(&db->lock);
    return sum;
}

void pdb_view_free(pdb_view_impl *v) {
    empty(v);
    pthread_cond_destroy(&v->built);
    pthread_mutex_destroy(&v->lock);
    free(v->arenas);
    free(v->idle);
    free(v->made);
    free(v->made_index);
    free(v->resolved);
    free(v->reads);
    free(v->read_sets);
    free(v);
}

const char *pdb_lane_default(const pdb_view *view) {
    const pdb_view_impl *v = pdb_impl(view);
    return v->release ? pdb_release_lane(v->release, view->backend, view->version, view->system->sm_version)
                      : NULL;
}

/* ---- texts of categories --------------------------------------------------------------------- */

uint64_t pdb_text_id(const pdb_view *view, const char *text) {
    bool found;
    pthread_mutex_lock(&view->db->text_lock);
    uint64_t id = aic_intern_find(view->db->texts, text, strlen(text), &found);
    pthread_mutex_unlock(&view->db->text_lock);
    return found ? id : 0;
}

uint64_t pdb_text_add(const pdb_view *view, const char *text) {
    pthread_mutex_lock(&view->db->text_lock);
    uint64_t id = aic_intern_add(view->db->texts, text, strlen(text));
    pthread_mutex_unlock(&view->db->text_lock);
    return id;
}

const char *pdb_text(const pdb_view *view, uint64_t id) {
    pthread_mutex_lock(&view->db->text_lock);
    const char *text =
        id < aic_intern_count(view->db->texts) ? aic_intern_text(view->db->texts, (uint32_t)id) : "";
    pthread_mutex_unlock(&view->db->text_lock);
    return text;
}
