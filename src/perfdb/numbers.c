/* Numbers for keys, in the order in which they are first seen. */
#include "perfdb/internal.h"
#include <stdlib.h>

enum { FIRST = 128 }; /* keys there is room for at first */

/* Place of a key in the index: its own, or the free one where it belongs. */
static uint32_t *place_of(const pdb_numbers *t, const uint64_t *key) {
    size_t mask = t->n_index - 1, at = pdb_hash_key(key, t->words) & mask;
    while (t->index[at] && !pdb_same_key(t->keys + (t->index[at] - 1) * (size_t)t->words, key, t->words))
        at = (at + 1) & mask;
    return &t->index[at];
}

/* The same for keys of one word, as most are. */
static uint32_t *place_of_word(const pdb_numbers *t, uint64_t key) {
    size_t mask = t->n_index - 1, at = pdb_hash_key(&key, 1) & mask;
    while (t->index[at] && t->keys[t->index[at] - 1] != key)
        at = (at + 1) & mask;
    return &t->index[at];
}

static void grow(pdb_numbers *t) {
    size_t words = (size_t)t->words;
    t->cap = t->cap ? aic_mul(t->cap, 2) : FIRST;
    t->n_index = aic_mul(t->cap, 2);
    t->keys = aic_realloc(t->keys, aic_mul(t->cap, words), sizeof *t->keys);
    free(t->index);
    t->index = AIC_NEW_ARRAY(uint32_t, t->n_index);
    for (size_t i = 0; i < t->n; i++)
        *place_of(t, t->keys + i * words) = (uint32_t)i + 1;
}

uint32_t pdb_number(pdb_numbers *t, const uint64_t *key) {
    if (t->n == t->cap)
        grow(t);
    uint32_t *place = t->words == 1 ? place_of_word(t, *key) : place_of(t, key);
    if (!*place) {
        memcpy(t->keys + t->n * (size_t)t->words, key, (size_t)t->words * sizeof *key);
        *place = (uint32_t)++t->n;
    }
    return *place - 1;
}

uint32_t pdb_number_find(const pdb_numbers *t, const uint64_t *key) {
    return t->n ? *place_of(t, key) - 1 : UINT32_MAX;
}

void pdb_numbers_free(pdb_numbers *t) {
    free(t->keys);
    free(t->index);
}
