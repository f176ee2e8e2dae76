#include "results/matches.h"
#include <string.h>

/* `width` bytes, 8 or 4, a constant where it is called. */
static inline uint64_t load(const uint8_t *p, size_t width) {
    uint64_t v = 0;
    memcpy(&v, p, width);
    return v;
}

static inline uint32_t *slot_of(match_memory *m, uint64_t v) {
    return &m->last[(v * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - MATCH_HASH_BITS)];
}

static inline uint64_t unlike(const uint8_t *in, size_t i, size_t distance) {
    return load(in + i, 8) ^ load(in + i - distance, 8);
}

/* The first place at or after i where the text differs from that `distance` before, or end. */
static inline size_t match_end(const uint8_t *in, size_t i, size_t distance, size_t end) {
    for (; i + 32 <= end; i += 32)
        if (unlike(in, i, distance) | unlike(in, i + 8, distance) | unlike(in, i + 16, distance) |
            unlike(in, i + 24, distance))
            break;
    for (; i + 8 <= end; i += 8) {
        uint64_t bits = unlike(in, i, distance);
        if (bits)
            return i + ((unsigned)__builtin_ctzll(bits) >> 3);
    }
    while (i < end && in[i] == in[i - distance])
        i++;
    return i;
}

/* Two distances before are tried before the hash: rows of points alternate between the point before and the
 * one with the same prefill. */
__attribute__((always_inline)) static inline size_t find(match_memory *m, const uint8_t *in, size_t from,
                                                         size_t end, size_t step, size_t width, size_t likely,
                                                         match_sequence *out) {
    size_t count = 0, literal = from, back = likely, older = 0;
    for (size_t i = from; i + width <= end;) {
        uint64_t v = load(in + i, width);
        uint32_t *slot = slot_of(m, v);
        const uint32_t place = m->base + (uint32_t)i, last = place - *slot;
        size_t distance = 0;
        if (last <= MATCH_REACH && load(in + i - last, width) == v)
            distance = last;
        if (older && load(in + i - older, width) == v)
            distance = older;
        if (back && load(in + i - back, width) == v)
            distance = back;
        *slot = place;
        if (!distance) {
            i += step == 1 ? 1 + ((i - literal) >> 5) : step;
            continue;
        }
        size_t stop = match_end(in, i + width, distance, end), start = i;
        while (step == 1 && start > literal && start > distance && in[start - 1] == in[start - 1 - distance])
            start--;
        if (step > 1)
            stop = i + (stop - i) / step * step;
        out[count++] =
            (match_sequence){(uint32_t)(start - literal), (uint32_t)(stop - start), (uint32_t)distance};
        literal = i = stop;
        if (distance != back) {
            older = back;
            back = distance;
        }
    }
    out[count++] = (match_sequence){(uint32_t)(end - literal), 0, 0};
    return count;
}

void match_forget(match_memory *m) {
    if (m->end > UINT32_MAX / 2 - 2 * MATCH_REACH)
        *m = (match_memory){.end = 0};
    m->base = m->end += MATCH_REACH + 1;
}

size_t match_find(match_memory *m, const uint8_t *in, size_t from, size_t end, unsigned step, size_t likely,
                  match_sequence *out) {
    likely = likely <= MATCH_REACH ? likely : 0;
    const uint32_t behind = m->base + (uint32_t)end;
    m->end = behind > m->end ? behind : m->end;
    return step == 8   ? find(m, in, from, end, 8, 8, likely, out)
           : step == 4 ? find(m, in, from, end, 4, 4, likely, out)
                       : find(m, in, from, end, 1, 4, likely, out);
}
