/* Columns in memory: what several tables or views are made from is read, decoded and digested once.
 *
 * A column is held while something is made from it. Nobody's columns stay as long as there is room for them;
 * then those that were let go first make way, those first from which nothing is left to be made, and are read
 * again should anyone want them.
 *
 * Locks, in the order in which they are taken: a column's own while it is read, the shelf's for its lists or
 * the room's, HDF5's.
 */
#include "perfdb/internal.h"
#include <errno.h>
#include <stdlib.h>

typedef struct pdb_shelf_column {
    pdb_stored stored; /* first: what tables remember a column by */
    struct pdb_shelf_column *next;
    pdb_shelf_group *group;
    char *name;
    pdb_room *room;       /* set when it is first read */
    pthread_mutex_t lock; /* while it is read */
    bool known;           /* it was read before: everything but the cells is there; guarded by lock */
    /* The room's lock guards what follows, and cells.data where nobody holds them. */
    bool there; /* the cells are */
    size_t holders;
    pdb_use use;                            /* when it was let go */
    struct pdb_shelf_column *older, *newer; /* among nobody's */
} pdb_shelf_column;

struct pdb_shelf_group {
    pdb_shelf_group *next;
    pdb_shelf *shelf;
    char *path;
    uint64_t hash; /* of path: there are hundreds */
    pdb_group *group;
    pdb_shelf_column *columns;
};

struct pdb_shelf {
    pdb_file *file;
    pthread_mutex_t lock; /* guards the lists */
    pdb_shelf_group *groups;
};

pdb_shelf *pdb_shelf_new(pdb_file *f) {
    pdb_shelf *s = AIC_NEW(pdb_shelf);
    s->file = f;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

/* ---- the room ----------------------------------------------------------------------------------- */

static size_t bytes_of(const pdb_shelf_column *c) {
    return c->stored.cells.capacity;
}

static void unlist(pdb_room *r, pdb_shelf_column *c) {
    struct pdb_waiting *w = &r->of[c->use];
    *(c->older ? &c->older->newer : &w->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &w->newest) = c->older;
    c->older = c->newer = NULL;
    w->bytes -= bytes_of(c);
}

/* Takes away the memory of a column that nobody holds. */
static void *give_way(pdb_room *r, pdb_shelf_column *c) {
    void *data = c->stored.cells.data;
    unlist(r, c);
    c->stored.cells.data = NULL;
    c->there = false;
    return data;
}

static void list(pdb_room *r, pdb_shelf_column *c, pdb_use use) {
    struct pdb_waiting *w = &r->of[use];
    c->use = use;
    c->older = w->newest;
    *(w->newest ? &w->newest->newer : &w->oldest) = c;
    w->newest = c;
    w->bytes += bytes_of(c);
    while (w->bytes > w->most)
        free(give_way(r, w->oldest));
}

/* A column of about that size among those that make way next: spent ones whenever somebody wants to read,
 * others where room is short. */
static pdb_shelf_column *to_make_way(const pdb_room *r, pdb_use use, size_t bytes) {
    enum { LOOK = 64 };
    const struct pdb_waiting *w = &r->of[use];
    const bool due = use == PDB_IS_SPENT || w->bytes > w->most || bytes > w->most - w->bytes;
    pdb_shelf_column *c = due ? w->oldest : NULL;
    for (int i = 0; c && i < LOOK; i++, c = c->newer)
        if (bytes_of(c) >= bytes && bytes_of(c) - bytes <= bytes / 2)
            return c;
    return NULL;
}

void *pdb_room_memory(pdb_room *r, size_t bytes, size_t *capacity) {
    void *data = NULL;
    *capacity = bytes;
    pthread_mutex_lock(&r->lock);
    for (pdb_use use = 0; use < PDB_USES && !data; use++) {
        pdb_shelf_column *c = to_make_way(r, use, bytes);
        if (c) {
            *capacity = bytes_of(c);
            data = give_way(r, c);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return data ? data : aic_alloc(bytes, 1);
}

/* Takes hold of a column that is there; the room's lock is held. */
static bool take(pdb_room *r, pdb_shelf_column *c) {
    if (c->there && c->holders++ == 0)
        unlist(r, c);
    return c->there;
}

static bool take_locked(pdb_room *r, pdb_shelf_column *c) {
    pthread_mutex_lock(&r->lock);
    bool there = take(r, c);
    pthread_mutex_unlock(&r->lock);
    return there;
}

/* The first holder of a column that was just read. */
static void enter(pdb_room *r, pdb_shelf_column *c) {
    pthread_mutex_lock(&r->lock);
    c->there = true;
    c->holders = 1;
    pthread_mutex_unlock(&r->lock);
}

/* ---- lists --------------------------------------------------------------------------------------- */

static void free_group(pdb_shelf_group *g) {
    for (pdb_shelf_column *c = g->columns, *next; c; c = next) {
        next = c->next;
        pdb_cells_free(&c->stored.cells);
        free(c->stored.ids);
        pthread_mutex_destroy(&c->lock);
        free(c->name);
        free(c);
    }
    pdb_group_close(g->group);
    free(g->path);
    free(g);
}

void pdb_shelf_free(pdb_shelf *s) {
    if (!s)
        return;
    for (pdb_shelf_group *g = s->groups, *next; g; g = next) {
        next = g->next;
        free_group(g);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

pdb_shelf_group *pdb_shelf_open(pdb_shelf *s, const char *path, aic_error *err) {
    uint64_t hash = aic_hash64(path, strlen(path), 0);
    pthread_mutex_lock(&s->lock);
    pdb_shelf_group *g = s->groups;
    while (g && (g->hash != hash || strcmp(g->path, path) != 0))
        g = g->next;
    pdb_group *opened = g ? NULL : pdb_group_open(s->file, path, err);
    if (opened) {
        g = AIC_NEW(pdb_shelf_group);
        *g = (pdb_shelf_group){
            .next = s->groups, .shelf = s, .path = aic_strdup(path), .hash = hash, .group = opened};
        s->groups = g;
    }
    pthread_mutex_unlock(&s->lock);
    return g;
}

size_t pdb_shelf_rows(const pdb_shelf_group *g) {
    return pdb_group_rows(g->group);
}

/* The place of a column, which may be empty. */
static pdb_shelf_column *place_of(pdb_shelf_group *g, const char *name) {
    pthread_mutex_lock(&g->shelf->lock);
    pdb_shelf_column *c = g->columns;
    while (c && strcmp(c->name, name) != 0)
        c = c->next;
    if (!c) {
        c = AIC_NEW(pdb_shelf_column);
        c->group = g;
        c->name = aic_strdup(name);
        pthread_mutex_init(&c->lock, NULL);
        c->next = g->columns;
        g->columns = c;
    }
    pthread_mutex_unlock(&g->shelf->lock);
    return c;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static uint32_t *ids_of(pdb *db, const pdb_cells *c) {
    if (c->kind != PDB_CELL_TEXT)
        return NULL;
    uint32_t *ids = AIC_NEW_ARRAY(uint32_t, c->n_members);
    pthread_mutex_lock(&db->text_lock);
    for (size_t i = 0; i < c->n_members; i++)
        if (c->members[i])
            ids[i] = aic_intern_add(db->texts, c->members[i], strlen(c->members[i]));
    pthread_mutex_unlock(&db->text_lock);
    return ids;
}

static void digest_cells(const pdb_cells *c, char out[AIC_XXH128_HEX]) {
    aic_xxh128_text(c->data, c->rows * (size_t)c->width, out);
}

/* Reads what was read before. A file that is no longer what it was has no answer: whoever keeps results asks
 * for read errors. */
static void refill(pdb_shelf_column *c) {
    pdb_cells *old = &c->stored.cells, now;
    char content[AIC_XXH128_HEX] = "";
    bool ok = pdb_group_read(c->group->group, c->name, c->room, &now, NULL);
    if (ok)
        digest_cells(&now, content);
    if (!ok || now.rows != old->rows || now.width != old->width || strcmp(content, c->stored.content) != 0) {
        pdb_hdf5_note_read_error(ESTALE);
        old->capacity = old->rows * (size_t)old->width;
        old->data = aic_calloc(old->capacity, 1);
    } else {
        old->capacity = now.capacity;
        old->data = now.data;
        now.data = NULL;
    }
    if (ok)
        pdb_cells_free(&now);
}

static bool fill(pdb_shelf_column *c, pdb *db, bool *absent, aic_error *err) {
    pdb_stored *s = &c->stored;
    *absent = !pdb_group_has(c->group->group, c->name);
    if (*absent || !pdb_group_read(c->group->group, c->name, &db->room, &s->cells, err))
        return false;
    s->ids = ids_of(db, &s->cells);
    digest_cells(&s->cells, s->content);
    c->room = &db->room;
    c->known = true;
    return true;
}

const pdb_stored *pdb_shelf_hold(pdb_shelf_group *g, const char *column, pdb *db, bool *absent,
                                 aic_error *err) {
    pdb_shelf_column *c = place_of(g, column);
    *absent = false;
    if (take_locked(&db->room, c))
        return &c->stored;
    pthread_mutex_lock(&c->lock);
    bool held = take_locked(&db->room, c);
    if (!held && c->known) {
        refill(c);
    } else if (!held && !fill(c, db, absent, err)) {
        pthread_mutex_unlock(&c->lock);
        return NULL;
    }
    if (!held)
        enter(&db->room, c);
    pthread_mutex_unlock(&c->lock);
    return &c->stored;
}

static pdb_shelf_column *column_of(const pdb_stored *s) {
    return (pdb_shelf_column *)(uintptr_t)s;
}

static void hold_again(pdb_shelf_column *c) {
    pthread_mutex_lock(&c->lock);
    if (!take_locked(c->room, c)) {
        refill(c);
        enter(c->room, c);
    }
    pthread_mutex_unlock(&c->lock);
}

void pdb_shelf_hold_again(const pdb_stored *const *columns, size_t n) {
    size_t gone = 0;
    bool here[PDB_SHELF_MOST];
    if (n == 0)
        return;
    pdb_room *r = column_of(columns[0])->room;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        gone += !(here[i] = take(r, column_of(columns[i])));
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; gone && i < n; i++)
        if (!here[i])
            hold_again(column_of(columns[i]));
}

void pdb_shelf_drop(const pdb_stored *const *columns, size_t n, pdb_use use) {
    if (n == 0)
        return;
    pdb_room *r = column_of(columns[0])->room;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        if (--column_of(columns[i])->holders == 0)
            list(r, column_of(columns[i]), use);
    pthread_mutex_unlock(&r->lock);
}
