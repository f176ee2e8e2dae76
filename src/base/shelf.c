/* A fixed number of lists of immutable nodes. A node is published by making it the head of its list, with the
 * head it was compared against behind it: a race shows as a head that changed, and the newcomers are looked
 * at before trying again. */
#include "base/shelf.h"
#include "base/digest.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    const struct node *next;
    uint64_t hash;
    size_t len;
    const void *value;
    unsigned char key[];
} node;

struct aic_shelf {
    size_t mask;
    _Atomic(const node *) heads[];
};

aic_shelf *aic_shelf_new(size_t expected) {
    size_t n = 1;
    while (n < expected)
        n = aic_mul(n, 2);
    aic_shelf *s = aic_calloc(1, aic_add(sizeof *s, aic_mul(n, sizeof *s->heads)));
    s->mask = n - 1;
    return s;
}

void aic_shelf_free(aic_shelf *s) {
    free(s);
}

/* The node with the key among those from `from` to before `to`. */
static const node *look(const node *from, const node *to, uint64_t hash, const void *key, size_t len) {
    for (; from != to; from = from->next)
        if (from->hash == hash && from->len == len && memcmp(from->key, key, len) == 0)
            return from;
    return NULL;
}

const void *aic_shelf_find(aic_shelf *s, const void *key, size_t len) {
    uint64_t hash = aic_hash64(key, len, 0);
    const node *n =
        look(atomic_load_explicit(&s->heads[hash & s->mask], memory_order_acquire), NULL, hash, key, len);
    return n ? n->value : NULL;
}

const void *aic_shelf_put(aic_shelf *s, aic_arena *a, const void *key, size_t len, const void *value) {
    uint64_t hash = aic_hash64(key, len, 0);
    _Atomic(const node *) *head = &s->heads[hash & s->mask];
    node *n = aic_arena_alloc(a, 1, aic_add(sizeof *n, len));
    n->hash = hash;
    n->len = len;
    n->value = value;
    memcpy(n->key, key, len);
    const node *first = atomic_load_explicit(head, memory_order_acquire), *seen = NULL;
    do {
        const node *there = look(first, seen, hash, key, len);
        if (there)
            return there->value;
        n->next = seen = first;
    } while (
        !atomic_compare_exchange_weak_explicit(head, &first, n, memory_order_acq_rel, memory_order_acquire));
    return value;
}
