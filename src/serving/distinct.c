/* Distinct shapes: equal keys numbered, and keys sorted. */
#include "serving/internal.h"
#include <string.h>

static bool before(const srv_key *a, const srv_key *b) {
    return a->hi < b->hi || (a->hi == b->hi && a->lo < b->lo);
}

static size_t run_end(const srv_key *keys, size_t from, size_t n) {
    size_t i = from + 1;
    while (i < n && !before(&keys[i], &keys[i - 1]))
        i++;
    return i;
}

static void merge(const srv_key *from, size_t begin, size_t middle, size_t end, srv_key *to) {
    size_t a = begin, b = middle;
    for (size_t i = begin; i < end; i++)
        to[i] = b >= end || (a < middle && !before(&from[b], &from[a])) ? from[a++] : from[b++];
}

/* A natural merge sort: grids arrive as few ascending runs, which it takes as they are. */
void srv_sort_keys(srv_key *keys, srv_key *tmp, size_t n) {
    srv_key *from = keys, *to = tmp;
    while (n > 1) {
        if (run_end(from, 0, n) == n)
            break;
        for (size_t begin = 0; begin < n;) {
            size_t middle = run_end(from, begin, n);
            size_t end = middle < n ? run_end(from, middle, n) : n;
            merge(from, begin, middle, end, to);
            begin = end;
        }
        srv_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

static bool same(const srv_key *a, const srv_key *b) {
    return a->hi == b->hi && a->lo == b->lo;
}

static uint64_t hash_of(const srv_key *k) {
    uint64_t h = (k->hi ^ k->lo * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

size_t srv_number_keys(srv_block *b, const srv_key *keys, size_t n, uint32_t *ids, uint32_t *firsts) {
    size_t count = 0, slots = 2;
    while (slots < 2 * n)
        slots *= 2;
    uint32_t *table = srv_take(b, slots, sizeof *table); /* 1 + number of the key that lives there */
    memset(table, 0, slots * sizeof *table);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && same(&keys[i], &keys[i - 1])) { /* grids repeat what their inner axes do not change */
            ids[i] = ids[i - 1];
            continue;
        }
        size_t at = (size_t)hash_of(&keys[i]) & (slots - 1);
        while (table[at] && !same(&keys[firsts[table[at] - 1]], &keys[i]))
            at = (at + 1) & (slots - 1);
        if (!table[at]) {
            firsts[count++] = (uint32_t)i;
            table[at] = (uint32_t)count;
        }
        ids[i] = table[at] - 1;
    }
    return count;
}
