/* Deflate (RFC 1951, in a zlib stream) for arrays in which whole words of 8 or 4 bytes recur: breakdown rows
 * that many points share, figures of one prefill and many output lengths, columns of one value.
 *
 * General compressors look at every byte; here a match can only start at a word, which finds what there is to
 * find in an eighth or a quarter of the steps. A match is a run of words seen up to 32 KiB before, as long as
 * it goes; it is split into pieces of at most 258 bytes when it is coded. One block per array, with codes of
 * its own.
 */
#include "results/words.h"
#include <libdeflate.h>
#include <string.h>

enum {
    REACH = 32768, /* bytes a match may lie back */
    HASH_BITS = 13,
    LENGTH_MAX = 258,
    LITERALS = 286, /* symbols for bytes, the end and lengths */
    DISTANCES = 30,
    CODE_MAX = 15, /* bits */
    END = 256,
    FULL = 285,       /* the symbol of LENGTH_MAX */
    ZEROS_SHORT = 17, /* code lengths: 3 to 10 zeros, 11 to 138 zeros */
    ZEROS_LONG = 18,
    LENGTH_SYMBOLS = 19
};

/* Words as they are, then a match. */
typedef struct sequence {
    uint32_t words, match, distance; /* in words; match 0 = the array ends */
} sequence;

typedef struct code {
    uint16_t bits[LITERALS];  /* reversed, as they are sent */
    uint8_t length[LITERALS]; /* 0 = unused */
} code;

struct res_words {
    uint32_t last[1 << HASH_BITS]; /* 1 + latest word with this hash */
    sequence *sequences;
    size_t cap;
};

/* ---- matches ----------------------------------------------------------------------------------------- */

/* word: bytes, 8 or 4, a constant where it is called. */
static inline uint64_t word_at(const uint8_t *in, size_t i, size_t word) {
    uint64_t v = 0;
    memcpy(&v, in + i * word, word);
    return v;
}

static uint32_t hash_of(uint64_t v) {
    return (uint32_t)((v * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - HASH_BITS));
}

static inline size_t find_sequences(res_words *w, const uint8_t *in, size_t n, size_t word) {
    size_t count = 0, from = 0, back = 0; /* back: distance of the last match, most likely to go on */
    memset(w->last, 0, sizeof w->last);
    for (size_t i = 0; i < n;) {
        uint64_t v = word_at(in, i, word);
        uint32_t *slot = &w->last[hash_of(v)];
        size_t distance = back;
        if (!back || back > i || word_at(in, i - back, word) != v) {
            distance = *slot ? i - (*slot - 1) : 0;
            if (distance > REACH / word || (distance && word_at(in, i - distance, word) != v))
                distance = 0;
        }
        *slot = (uint32_t)i + 1;
        if (!distance) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < n && word_at(in, end, word) == word_at(in, end - distance, word))
            end++;
        w->sequences[count++] = (sequence){(uint32_t)(i - from), (uint32_t)(end - i), (uint32_t)distance};
        from = i = end;
        back = distance;
    }
    w->sequences[count++] = (sequence){(uint32_t)(n - from), 0, 0};
    return count;
}

/* ---- symbols ----------------------------------------------------------------------------------------- */

typedef struct symbol {
    uint32_t symbol, extra_bits, extra;
} symbol;

/* Lengths from 3 to 257 in groups of four per power of two; 258 has a symbol to itself. */
static symbol length_symbol(uint32_t length) {
    if (length == LENGTH_MAX)
        return (symbol){FULL, 0, 0};
    uint32_t x = length - 3;
    if (x < 8)
        return (symbol){257 + x, 0, 0};
    uint32_t top = 31 - (uint32_t)__builtin_clz(x), bits = top - 2;
    return (symbol){257 + 4 * bits + (x >> bits), bits, x & ((1u << bits) - 1)};
}

/* Distances in groups of two per power of two; those of whole words are 4 bytes and more. */
static symbol distance_symbol(uint32_t bytes) {
    uint32_t x = bytes - 1, top = 31 - (uint32_t)__builtin_clz(x), bits = top - 1;
    return (symbol){2 * bits + (x >> bits), bits, x & ((1u << bits) - 1)};
}

/* A match as it is coded: `full` pieces of the greatest length, then one or two more; 0 = none. A piece is
 * three bytes at least, so what is left over by one or two takes them from a piece before. */
typedef struct pieces {
    uint32_t full, last[2];
} pieces;

static pieces pieces_of(uint32_t bytes) {
    uint32_t full = bytes / LENGTH_MAX, rest = bytes % LENGTH_MAX;
    if (rest >= 3 || rest == 0)
        return (pieces){full, {rest, 0}};
    return (pieces){full - 1, {LENGTH_MAX - 3, rest + 3}}; /* full >= 1: a match is four bytes at least */
}

static void count_symbols(const sequence *s, size_t n, const uint8_t *in, uint32_t word, uint32_t *literals,
                          uint32_t *distances) {
    for (size_t i = 0; i < n; i++) {
        for (const uint8_t *end = in + (size_t)s[i].words * word; in < end; in++)
            literals[*in]++;
        if (!s[i].match)
            break;
        pieces p = pieces_of(s[i].match * word);
        uint32_t n_pieces = p.full;
        literals[FULL] += p.full;
        for (int k = 0; k < 2 && p.last[k]; k++, n_pieces++)
            literals[length_symbol(p.last[k]).symbol]++;
        distances[distance_symbol(s[i].distance * word).symbol] += n_pieces;
        in += (size_t)s[i].match * word;
    }
    literals[END]++;
}

/* ---- codes ------------------------------------------------------------------------------------------- */

/* Depths of a Huffman tree over n >= 2 leaves whose weights ascend (Moffat and Katajainen, in place): a[i]
 * goes from weight to depth. */
static void tree_depths(uint32_t *a, int n) {
    int leaf = 2, root = 0;
    a[0] += a[1];
    for (int next = 1; next < n - 1; next++) {
        uint32_t sum = 0;
        for (int half = 0; half < 2; half++) {
            if (leaf >= n || (root < next && a[root] < a[leaf])) {
                sum += a[root];
                a[root++] = (uint32_t)next; /* its parent */
            } else {
                sum += a[leaf++];
            }
        }
        a[next] = sum;
    }
    a[n - 2] = 0;
    for (int next = n - 3; next >= 0; next--)
        a[next] = a[a[next]] + 1;
    int available = 1, used = 0, next = n - 1;
    uint32_t depth = 0;
    root = n - 2;
    while (available > 0) {
        while (root >= 0 && a[root] == depth) {
            used++;
            root--;
        }
        while (available > used) {
            a[next--] = depth;
            available--;
        }
        available = 2 * used;
        depth++;
        used = 0;
    }
}

/* Code lengths for weights; weights are halved until no code is too long. */
static void code_lengths(const uint32_t *weights, int n, uint8_t *length) {
    uint32_t symbols[LITERALS], a[LITERALS];
    int used = 0;
    memset(length, 0, (size_t)n);
    for (int i = 0; i < n; i++) { /* sorted by insertion: most arrays use few symbols, noise all of them */
        if (!weights[i])
            continue;
        int at = used++;
        for (; at > 0 && weights[symbols[at - 1]] > weights[i]; at--)
            symbols[at] = symbols[at - 1];
        symbols[at] = (uint32_t)i;
    }
    if (used < 2) { /* a code has two symbols at least: an inflate may insist on it */
        length[0] = length[1] = 1;
        if (used == 1 && symbols[0] > 1)
            length[1] = 0, length[symbols[0]] = 1;
        return;
    }
    for (int shift = 0;; shift++) {
        for (int i = 0; i < used; i++) {
            uint32_t weight = weights[symbols[i]] >> shift;
            a[i] = weight ? weight : 1;
        }
        tree_depths(a, used);
        if (a[0] <= CODE_MAX)
            break;
    }
    for (int i = 0; i < used; i++)
        length[symbols[i]] = (uint8_t)a[i];
}

/* Canonical codes of given lengths. */
static void assign_codes(code *c, int n) {
    uint16_t next[CODE_MAX + 2] = {0};
    uint16_t count[CODE_MAX + 1] = {0};
    for (int i = 0; i < n; i++)
        count[c->length[i]]++;
    count[0] = 0;
    for (int bits = 1; bits <= CODE_MAX; bits++)
        next[bits + 1] = (uint16_t)((next[bits] + count[bits]) << 1);
    for (int i = 0; i < n; i++) {
        uint16_t v = c->length[i] ? next[c->length[i]]++ : 0, reversed = 0;
        for (int bit = 0; bit < c->length[i]; bit++)
            reversed = (uint16_t)(reversed | (v >> bit & 1) << (c->length[i] - 1 - bit));
        c->bits[i] = reversed;
    }
}

/* ---- output ------------------------------------------------------------------------------------------ */

typedef struct bits {
    uint8_t *out;
    uint64_t held;
    unsigned n;
} bits;

/* At most 32 bits at a time. */
static void put(bits *b, uint32_t value, unsigned n) {
    b->held |= (uint64_t)value << b->n;
    b->n += n;
    if (b->n >= 32) {
        for (int i = 0; i < 4; i++)
            *b->out++ = (uint8_t)(b->held >> (8 * i));
        b->held >>= 32;
        b->n -= 32;
    }
}

static void put_symbol(bits *b, const code *c, symbol s) {
    put(b, c->bits[s.symbol], c->length[s.symbol]);
    put(b, s.extra, s.extra_bits);
}

static uint8_t *finish(bits *b) {
    for (; b->n > 0; b->n = b->n > 8 ? b->n - 8 : 0) {
        *b->out++ = (uint8_t)b->held;
        b->held >>= 8;
    }
    return b->out;
}

/* The code lengths of both codes, runs of zeros shortened. Their own code is fixed: 4 bits for fourteen
 * symbols, 5 for the four others in use. */
static void put_codes(bits *b, const code *literals, const code *distances) {
    static const uint8_t order[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                  11, 4,  12, 3, 13, 2, 14, 1, 15};
    code c = {.length = {[0] = 4, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 0, 4, 4}};
    uint8_t lengths[LITERALS + DISTANCES];
    assign_codes(&c, LENGTH_SYMBOLS);
    put(b, LITERALS - 257, 5);
    put(b, DISTANCES - 1, 5);
    put(b, LENGTH_SYMBOLS - 4, 4);
    for (int i = 0; i < LENGTH_SYMBOLS; i++)
        put(b, c.length[order[i]], 3);
    memcpy(lengths, literals->length, LITERALS);
    memcpy(lengths + LITERALS, distances->length, DISTANCES);
    for (uint32_t i = 0, run; i < sizeof lengths; i += run) {
        for (run = 1; !lengths[i] && run < 138 && i + run < sizeof lengths && !lengths[i + run];)
            run++;
        if (run >= 11)
            put_symbol(b, &c, (symbol){ZEROS_LONG, 7, run - 11});
        else if (run >= 3)
            put_symbol(b, &c, (symbol){ZEROS_SHORT, 3, run - 3});
        else
            run = 1, put(b, c.bits[lengths[i]], c.length[lengths[i]]);
    }
}

static void put_sequences(bits *b, const sequence *s, size_t n, const uint8_t *in, uint32_t word,
                          const code *literals, const code *distances) {
    for (size_t i = 0; i < n; i++) {
        for (const uint8_t *end = in + (size_t)s[i].words * word; in < end; in++)
            put(b, literals->bits[*in], literals->length[*in]);
        if (!s[i].match)
            break;
        symbol distance = distance_symbol(s[i].distance * word);
        pieces p = pieces_of(s[i].match * word);
        for (; p.full; p.full--) {
            put(b, literals->bits[FULL], literals->length[FULL]);
            put_symbol(b, distances, distance);
        }
        for (int k = 0; k < 2 && p.last[k]; k++) {
            put_symbol(b, literals, length_symbol(p.last[k]));
            put_symbol(b, distances, distance);
        }
        in += (size_t)s[i].match * word;
    }
    put(b, literals->bits[END], literals->length[END]);
}

/* ---- whole ------------------------------------------------------------------------------------------- */

res_words *res_words_new(void) {
    return AIC_NEW(res_words);
}

void res_words_free(res_words *w) {
    if (w)
        free(w->sequences);
    free(w);
}

size_t res_words_bound(size_t bytes) {
    return aic_add(aic_mul(bytes, 2), 1024);
}

size_t res_words_deflate(res_words *w, const uint8_t *in, size_t n, unsigned word, uint8_t *out) {
    uint32_t counts[2][LITERALS] = {{0}};
    code literals, distances;
    if (n >= w->cap) {
        free(w->sequences);
        w->cap = aic_add(n, 1);
        w->sequences = aic_alloc(w->cap, sizeof *w->sequences);
    }
    size_t count = word == 8 ? find_sequences(w, in, n, 8) : find_sequences(w, in, n, 4);
    count_symbols(w->sequences, count, in, word, counts[0], counts[1]);
    code_lengths(counts[0], LITERALS, literals.length);
    code_lengths(counts[1], DISTANCES, distances.length);
    assign_codes(&literals, LITERALS);
    assign_codes(&distances, DISTANCES);
    bits b = {.out = out};
    put(&b, 0x0178, 16);    /* zlib: deflate, 32 KiB, fastest */
    put(&b, 1 | 2 << 1, 3); /* the last block, with its own codes */
    put_codes(&b, &literals, &distances);
    put_sequences(&b, w->sequences, count, in, word, &literals, &distances);
    uint8_t *end = finish(&b);
    uint32_t adler = libdeflate_adler32(1, in, n * word);
    for (int i = 0; i < 4; i++)
        *end++ = (uint8_t)(adler >> (24 - 8 * i));
    return (size_t)(end - out);
}
