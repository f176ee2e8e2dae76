/* What is computed once per view: tables, and what callers derive from them.
 *
 * Nothing is built under the view's lock, so threads build different objects side by side and wait only for
 * those that another one has begun. They cannot wait in a circle: a builder waits for what its object needs,
 * and an object that needed itself could not be built by one thread either.
 */
#include "perfdb/internal.h"
#include <stdlib.h>

static bool is_made(const pdb_made *m, const void *identity, const void *key, size_t size) {
    return m->identity == identity && m->key_size == size && (size == 0 || memcmp(m->key, key, size) == 0);
}

static uint64_t hash_made(const void *identity, const void *key, size_t size) {
    return aic_hash64(key, size, (uint64_t)(uintptr_t)identity);
}

/* Place of an object in the index: its own, or the free one where it belongs. Objects themselves are looked
 * at where half of the hash agrees; its other half is their place. */
static pdb_made_place *place_of(const pdb_view_impl *v, uint64_t hash, const void *identity, const void *key,
                                size_t size) {
    size_t mask = v->n_made_index - 1, at = (size_t)hash & mask;
    const pdb_made_place *p;
    while ((p = &v->made_index[at])->number &&
           (p->tag != hash >> 32 || !is_made(&v->made[p->number - 1], identity, key, size)))
        at = (at + 1) & mask;
    return &v->made_index[at];
}

static void grow_index(pdb_view_impl *v) {
    if (2 * (v->n_made + 1) <= v->n_made_index)
        return;
    free(v->made_index);
    v->n_made_index = v->n_made_index ? aic_mul(v->n_made_index, 2) : 64;
    v->made_index = aic_calloc(v->n_made_index, sizeof *v->made_index);
    for (size_t i = 0; i < v->n_made; i++) {
        const pdb_made *m = &v->made[i];
        uint64_t hash = hash_made(m->identity, m->key, m->key_size);
        *place_of(v, hash, m->identity, m->key, m->key_size) =
            (pdb_made_place){(uint32_t)i + 1, (uint32_t)(hash >> 32)};
    }
}

aic_arena *pdb_arena_take(pdb_view_impl *v) {
    atomic_fetch_add(&v->builders, 1);
    if (v->n_idle)
        return v->idle[--v->n_idle];
    AIC_GROW(v->arenas, v->n_arenas, v->cap_arenas);
    return v->arenas[v->n_arenas++] = aic_arena_new();
}

void pdb_arena_give(pdb_view_impl *v, aic_arena *a) {
    atomic_fetch_sub(&v->builders, 1);
    AIC_GROW(v->idle, v->n_idle, v->cap_idle);
    v->idle[v->n_idle++] = a;
}

/* Announces an object and builds it with the lock released; others may move v->made meanwhile. */
static size_t make(pdb_view_impl *v, uint64_t hash, const void *identity, const void *key, size_t size,
                   pdb_builder build) {
    pdb_made m = {.identity = identity, .key_size = size};
    aic_arena *a = pdb_arena_take(v);
    if (size)
        m.key = memcpy(aic_arena_alloc(a, 1, size), key, size);
    grow_index(v);
    AIC_GROW(v->made, v->n_made, v->cap_made);
    size_t number = v->n_made++;
    v->made[number] = m;
    *place_of(v, hash, identity, key, size) = (pdb_made_place){(uint32_t)number + 1, (uint32_t)(hash >> 32)};
    pthread_mutex_unlock(&v->lock);
    pdb_reads_begin(&m.reads, &v->pub);
    m.object = build(&v->pub, size ? m.key : identity, a, &m.why);
    pdb_reads_end(&m.reads, NULL);
    m.ready = true;
    pthread_mutex_lock(&v->lock);
    v->made[number] = m;
    pdb_arena_give(v, a);
    pthread_cond_broadcast(&v->built);
    return number;
}

const void *pdb_derived_keyed(const pdb_view *view, const void *identity, const void *key, size_t size,
                              pdb_builder build, const char **why) {
    pdb_view_impl *v = pdb_impl(view);
    const uint64_t hash = hash_made(identity, key, size);
    pthread_mutex_lock(&v->lock);
    uint32_t at = v->n_made_index ? place_of(v, hash, identity, key, size)->number : 0;
    size_t number = at ? at - 1 : make(v, hash, identity, key, size, build);
    while (!v->made[number].ready)
        pthread_cond_wait(&v->built, &v->lock);
    pdb_made found = v->made[number];
    pthread_mutex_unlock(&v->lock);
    pdb_reads_add(&found.reads);
    if (why)
        *why = found.object ? NULL : found.why;
    return found.object;
}

const void *pdb_derived(const pdb_view *view, const void *identity, pdb_builder build, const char **why) {
    return pdb_derived_keyed(view, identity, NULL, 0, build, why);
}

const void *pdb_made_already(const pdb_view_impl *v, const void *identity) {
    uint32_t at = v->n_made_index ? place_of(v, hash_made(identity, NULL, 0), identity, NULL, 0)->number : 0;
    return at && v->made[at - 1].ready ? v->made[at - 1].object : NULL;
}

bool pdb_view_expect(const pdb_view *view) {
    pdb_view_impl *v = pdb_impl(view);
    pthread_mutex_lock(&v->lock);
    bool cold = v->n_made == 0;
    if (cold)
        atomic_fetch_add(&v->builders, 1);
    pthread_mutex_unlock(&v->lock);
    return cold;
}

void pdb_view_expect_end(const pdb_view *view) {
    if (view)
        atomic_fetch_sub(&pdb_impl(view)->builders, 1);
}

bool pdb_view_is_building(const pdb_view *view) {
    return atomic_load_explicit(&pdb_impl(view)->builders, memory_order_relaxed) > 0;
}
