/* What recurs in a column's bytes; private to results. */
#ifndef AICFG_RESULTS_MATCHES_H
#define AICFG_RESULTS_MATCHES_H

#include <stddef.h>
#include <stdint.h>

enum {
    MATCH_REACH = 32768, /* bytes a match may lie back */
    MATCH_LEAST = 4,     /* bytes of the shortest match */
    MATCH_HASH_BITS = 12
};

/* Bytes as they are, then a match. */
typedef struct match_sequence {
    uint32_t literals, match, distance; /* in bytes; match 0 = the end */
} match_sequence;

/* Where text was seen last, by hash. Places are counted on from array to array, so that those of arrays
 * before are out of reach. Zero before the first. */
typedef struct match_memory {
    uint32_t base, end; /* of the array at hand */
    uint32_t last[1 << MATCH_HASH_BITS];
} match_memory;
/* Before a new array. */
void match_forget(match_memory *m);

/* Sequences of in[from .. end), which may refer to what stands before: below 2^31 bytes in all. step: matches
 * start at multiples of it and are as long as one at least: 8 or 4 for words of so many bytes, 1 for bytes.
 * likely: a distance to try first, 0 = none; it must not reach beyond in.
 * out has room for match_most of end - from. Returns how many there are; the last one ends there. */
size_t match_find(match_memory *m, const uint8_t *in, size_t from, size_t end, unsigned step, size_t likely,
                  match_sequence *out);
static inline size_t match_most(size_t bytes) {
    return bytes / MATCH_LEAST + 1;
}

#endif
