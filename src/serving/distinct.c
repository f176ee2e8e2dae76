/* Distinct shapes: points sorted by key, equal keys numbered. */
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

size_t srv_number_keys(const srv_key *keys, size_t n, uint32_t *ids, uint32_t *firsts) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || before(&keys[i - 1], &keys[i]))
            firsts[count++] = keys[i].item;
        ids[keys[i].item] = (uint32_t)(count - 1);
    }
    return count;
}
