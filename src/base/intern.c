/* String table of text.h: open addressing over ids, texts in an arena. */
#include "base/mem.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *text;
    size_t len;
    uint64_t hash;
} entry;

struct aic_intern {
    aic_arena *arena;
    entry *entries; /* by id; entry 0 is the empty string */
    size_t count, cap;
    uint32_t *slots; /* id + 1, 0 = free; a power of two, at most half full */
    size_t n_slots;
};

static uint64_t hash_of(const char *s, size_t len) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h ^ (h >> 29);
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t slot_of(const aic_intern *t, const char *s, size_t len, uint64_t hash) {
    size_t mask = t->n_slots - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        if (t->slots[i] == 0)
            return i;
        const entry *e = &t->entries[t->slots[i] - 1];
        if (e->hash == hash && e->len == len && memcmp(e->text, s, len) == 0)
            return i;
    }
}

static void grow_slots(aic_intern *t) {
    free(t->slots);
    t->n_slots = t->n_slots ? aic_mul(t->n_slots, 2) : 64;
    t->slots = AIC_NEW_ARRAY(uint32_t, t->n_slots);
    for (size_t id = 0; id < t->count; id++) {
        const entry *e = &t->entries[id];
        t->slots[slot_of(t, e->text, e->len, e->hash)] = (uint32_t)id + 1;
    }
}

aic_intern *aic_intern_new(void) {
    aic_intern *t = AIC_NEW(aic_intern);
    t->arena = aic_arena_new();
    grow_slots(t);
    aic_intern_add(t, "", 0);
    return t;
}

void aic_intern_free(aic_intern *t) {
    if (!t)
        return;
    aic_arena_free(t->arena);
    free(t->entries);
    free(t->slots);
    free(t);
}

uint32_t aic_intern_add(aic_intern *t, const char *s, size_t len) {
    uint64_t hash = hash_of(s, len);
    size_t slot = slot_of(t, s, len, hash);
    if (t->slots[slot] != 0)
        return t->slots[slot] - 1;
    if (t->count >= UINT32_MAX - 1)
        (void)aic_mul(SIZE_MAX, 2); /* ids are exhausted: ends the process as any size beyond reach does */
    AIC_GROW(t->entries, t->count, t->cap);
    uint32_t id = (uint32_t)t->count++;
    t->entries[id] = (entry){aic_arena_strndup(t->arena, s, len), len, hash};
    t->slots[slot] = id + 1;
    if (t->count * 2 > t->n_slots)
        grow_slots(t);
    return id;
}

uint32_t aic_intern_find(const aic_intern *t, const char *s, size_t len, bool *found) {
    uint32_t slot = t->slots[slot_of(t, s, len, hash_of(s, len))];
    if (found)
        *found = slot != 0;
    return slot ? slot - 1 : 0;
}

const char *aic_intern_text(const aic_intern *t, uint32_t id) {
    return id < t->count ? t->entries[id].text : "";
}

size_t aic_intern_count(const aic_intern *t) {
    return t->count;
}
