/* Columns in memory: what several tables or views are made from is read, decoded and digested once.
 *
 * Locks, in the order in which they are taken: a column's own while it is read, the shelf's for its lists,
 * HDF5's. A column that failed is asked for again by the next who wants it.
 */
#include "perfdb/internal.h"
#include <stdlib.h>

struct pdb_shelf_column {
    pdb_shelf_column *next; /* of its group */
    char *name;
    pthread_mutex_t lock; /* guards what follows */
    size_t holders;
    bool there; /* stored is filled */
    pdb_stored stored;
};

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

static char *copy_of(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(aic_alloc(size, 1), text, size);
}

pdb_shelf *pdb_shelf_new(pdb_file *f) {
    pdb_shelf *s = AIC_NEW(pdb_shelf);
    s->file = f;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void empty(pdb_shelf_column *c) {
    pdb_cells_free(&c->stored.cells);
    free(c->stored.ids);
    c->stored.ids = NULL;
    c->there = false;
}

static void free_group(pdb_shelf_group *g) {
    for (pdb_shelf_column *c = g->columns, *next; c; c = next) {
        next = c->next;
        empty(c);
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
            .next = s->groups, .shelf = s, .path = copy_of(path), .hash = hash, .group = opened};
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
        c->name = copy_of(name);
        pthread_mutex_init(&c->lock, NULL);
        c->next = g->columns;
        g->columns = c;
    }
    pthread_mutex_unlock(&g->shelf->lock);
    return c;
}

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

static bool fill(pdb_shelf_group *g, pdb_shelf_column *c, pdb *db, bool *absent, aic_error *err) {
    pdb_stored *s = &c->stored;
    *absent = !pdb_group_has(g->group, c->name);
    if (*absent || !pdb_group_read(g->group, c->name, &s->cells, err))
        return false;
    s->ids = ids_of(db, &s->cells);
    aic_xxh128_text(s->cells.data, s->cells.rows * (size_t)s->cells.width, s->content);
    return true;
}

pdb_shelf_column *pdb_shelf_hold(pdb_shelf_group *g, const char *column, pdb *db, bool *absent,
                                 aic_error *err) {
    pdb_shelf_column *c = place_of(g, column);
    *absent = false;
    pthread_mutex_lock(&c->lock);
    c->there = c->there || fill(g, c, db, absent, err);
    bool there = c->there;
    c->holders += there;
    pthread_mutex_unlock(&c->lock);
    return there ? c : NULL;
}

const pdb_stored *pdb_shelf_stored(const pdb_shelf_column *c) {
    return &c->stored;
}

void pdb_shelf_drop(pdb_shelf_column *c) {
    pthread_mutex_lock(&c->lock);
    if (--c->holders == 0)
        empty(c);
    pthread_mutex_unlock(&c->lock);
}
