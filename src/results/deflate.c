/* Columns are unlike what general compressors are made for: where they recur at all they do so word by word
 * or for long stretches, and the rest is noise. So a match starts at a word where there are words; a search
 * that finds nothing takes ever longer steps; and whatever does not pay is left as it is. A stream is one
 * block of words, or a block for each run of pieces of one sort: stored, Huffman codes alone, or matches.
 */
#include "results/deflate.h"
#include "base/base.h"
#include "results/huffman.h"
#include "results/matches.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_MIN = 3,
    LENGTH_MAX = 258,
    LITERALS = 286, /* symbols for bytes, the end and lengths */
    DISTANCES = 30,
    FIXED = HUF_SYMBOLS, /* of the fixed code, two of them never used */
    END = 256,
    FULL = 285,       /* the symbol of LENGTH_MAX */
    ZEROS_SHORT = 17, /* code lengths: 3 to 10 zeros, 11 to 138 zeros */
    ZEROS_LONG = 18,
    LENGTH_SYMBOLS = 19,
    STORED_MAX = 65535, /* bytes of a stored block */
    COPIED = 1024       /* bytes of a step */
};

/* Codes of a block, and what a length is sent as by them: code and extra bits in one, their number above bit
 * 24. */
typedef struct codes {
    huf_code literals, distances;
    uint32_t lengths[LENGTH_MAX + 1];
} codes;

struct res_deflate {
    match_memory memory;
    match_sequence *sequences;
    size_t cap;
    codes fixed, own; /* deflate's fixed codes, those of the block at hand */
};

/* ---- output ------------------------------------------------------------------------------------------ */

typedef struct bits {
    uint8_t *out;
    uint64_t held; /* the bits that are not out yet */
    unsigned n;    /* of them; below 8 after a drain */
} bits;

/* Adds to what is held: 56 bits between drains. */
static inline void put(bits *b, uint64_t value, unsigned n) {
    b->held |= value << b->n;
    b->n += n;
}

/* Writes whole bytes; up to seven behind them are written, too, and lost again. */
static inline void drain(bits *b) {
    memcpy(b->out, &b->held, sizeof b->held);
    b->out += b->n >> 3;
    b->held >>= b->n & ~7u;
    b->n &= 7;
}

static void align(bits *b) {
    b->n = (b->n + 7) & ~7u;
    drain(b);
}

/* ---- symbols ----------------------------------------------------------------------------------------- */

typedef struct symbol {
    uint32_t symbol, extra_bits, extra;
} symbol;

/* Lengths from 3 to 257 in groups of four per power of two; 258 has a symbol to itself. */
static inline symbol length_symbol(uint32_t length) {
    if (length == LENGTH_MAX)
        return (symbol){FULL, 0, 0};
    uint32_t x = length - 3;
    if (x < 8)
        return (symbol){257 + x, 0, 0};
    uint32_t top = 31 - (uint32_t)__builtin_clz(x), bits = top - 2;
    return (symbol){257 + 4 * bits + (x >> bits), bits, x & ((1u << bits) - 1)};
}

/* Distances in groups of two per power of two. */
static inline symbol distance_symbol(uint32_t distance) {
    uint32_t x = distance - 1;
    if (x < 2)
        return (symbol){x, 0, 0};
    uint32_t top = 31 - (uint32_t)__builtin_clz(x), bits = top - 1;
    return (symbol){2 * bits + (x >> bits), bits, x & ((1u << bits) - 1)};
}

/* A match as it is coded: `full` pieces of the greatest length, then one or two more; 0 = none. A piece is
 * three bytes at least, so what is left over by one or two takes them from a piece before. */
typedef struct split {
    uint32_t full, last[2];
} split;

static inline split split_of(uint32_t bytes) {
    if (bytes < LENGTH_MAX)
        return (split){0, {bytes, 0}};
    uint32_t full = bytes / LENGTH_MAX, rest = bytes % LENGTH_MAX;
    if (rest >= 3 || rest == 0)
        return (split){full, {rest, 0}};
    return (split){full - 1, {LENGTH_MAX - 3, rest + 3}};
}

/* ---- sequences --------------------------------------------------------------------------------------- */

/* How often what is sent; lengths apart from the symbols they share. */
typedef struct counts {
    uint32_t literals[LITERALS], distances[DISTANCES], lengths[LENGTH_MAX + 1];
} counts;

/* Four histograms side by side: equal bytes follow each other, and the same counter would be waited for. */
static inline void count_bytes(uint32_t lanes[4][256], const uint8_t *in, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        lanes[0][in[i]]++;
        lanes[1][in[i + 1]]++;
        lanes[2][in[i + 2]]++;
        lanes[3][in[i + 3]]++;
    }
    for (; i < n; i++)
        lanes[0][in[i]]++;
}

static void count_symbols(const match_sequence *s, size_t n, const uint8_t *in, counts *out) {
    uint32_t lanes[4][256] = {{0}}, *lengths = out->lengths;
    memset(out, 0, sizeof *out);
    for (const match_sequence *end = s + n; s < end; s++) {
        count_bytes(lanes, in, s->literals);
        in += s->literals + s->match;
        if (s->match == 0)
            continue;
        uint32_t pieces = 1;
        if (s->match < LENGTH_MAX) {
            lengths[s->match]++;
        } else {
            split p = split_of(s->match);
            lengths[LENGTH_MAX] += pieces = p.full;
            for (int k = 0; k < 2 && p.last[k]; k++, pieces++)
                lengths[p.last[k]]++;
        }
        out->distances[distance_symbol(s->distance).symbol] += pieces;
    }
    for (size_t i = 0; i < 256; i++)
        out->literals[i] = lanes[0][i] + lanes[1][i] + lanes[2][i] + lanes[3][i];
    for (uint32_t i = LENGTH_MIN; i <= LENGTH_MAX; i++)
        if (lengths[i])
            out->literals[length_symbol(i).symbol] += lengths[i];
    out->literals[END] = 1;
}

static inline void put_code(bits *b, uint32_t code) {
    put(b, huf_bits(code), huf_length(code));
}

static inline void put_literals(bits *b, const uint32_t *code, const uint8_t *in, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        put_code(b, code[in[i]]);
        put_code(b, code[in[i + 1]]);
        put_code(b, code[in[i + 2]]);
        put_code(b, code[in[i + 3]]);
        drain(b);
    }
    for (; i < n; i++) {
        put_code(b, code[in[i]]);
        drain(b);
    }
}

static inline void put_length(bits *b, uint32_t length) {
    put(b, length & 0xFFFFFF, length >> 24);
}

static void put_long(bits *b, uint32_t match, const codes *c, uint32_t back, unsigned back_bits) {
    split p = split_of(match);
    for (uint32_t k = 0; k < p.full + 2; k++) {
        uint32_t length = k < p.full ? LENGTH_MAX : p.last[k - p.full];
        if (length == 0)
            break;
        put_length(b, c->lengths[length]);
        put(b, back, back_bits);
        drain(b);
    }
}

static void put_sequences(bits *to, const match_sequence *s, size_t n, const uint8_t *in, const codes *c) {
    bits b = *to; /* in registers: as far as a compiler sees, the bytes written could be those of *to */
    for (const match_sequence *end = s + n; s < end; s++) {
        put_literals(&b, c->literals.of, in, s->literals);
        in += s->literals + s->match;
        if (s->match == 0)
            continue;
        symbol distance = distance_symbol(s->distance);
        uint32_t code = c->distances.of[distance.symbol];
        uint32_t back = huf_bits(code) | distance.extra << huf_length(code);
        unsigned back_bits = huf_length(code) + distance.extra_bits;
        if (s->match < LENGTH_MAX) {
            put_length(&b, c->lengths[s->match]);
            put(&b, back, back_bits);
            drain(&b);
        } else {
            put_long(&b, s->match, c, back, back_bits);
        }
    }
    put_code(&b, c->literals.of[END]);
    drain(&b);
    *to = b;
}

/* ---- codes ------------------------------------------------------------------------------------------- */

/* Of the lengths that are in use; NULL: of all. */
static void prepare_lengths(codes *c, const uint32_t *used) {
    for (uint32_t i = LENGTH_MIN; i <= LENGTH_MAX; i++) {
        if (used && !used[i])
            continue;
        symbol s = length_symbol(i);
        uint32_t code = c->literals.of[s.symbol];
        c->lengths[i] =
            huf_bits(code) | s.extra << huf_length(code) | (huf_length(code) + s.extra_bits) << 24;
    }
}

static void prepare_fixed(codes *c) {
    uint8_t lengths[FIXED];
    for (int i = 0; i < FIXED; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    huf_assign(lengths, FIXED, &c->literals);
    memset(lengths, 5, 32);
    huf_assign(lengths, 32, &c->distances);
    prepare_lengths(c, NULL);
}

/* The code lengths of both codes, runs of zeros shortened. Their own code is fixed: 4 bits for fourteen
 * symbols, 5 for the four others in use. */
static void put_codes(bits *b, const codes *c) {
    static const uint8_t order[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                  11, 4,  12, 3, 13, 2, 14, 1, 15};
    static const uint8_t own[LENGTH_SYMBOLS] = {4, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 0, 4, 4};
    huf_code code;
    uint8_t lengths[LITERALS + DISTANCES + 1];
    huf_assign(own, LENGTH_SYMBOLS, &code);
    put(b, (LITERALS - 257) | (DISTANCES - 1) << 5 | (LENGTH_SYMBOLS - 4) << 10, 14);
    drain(b);
    for (size_t i = 0; i < LENGTH_SYMBOLS; i++) {
        put(b, own[order[i]], 3);
        drain(b);
    }
    for (size_t i = 0; i < LITERALS; i++)
        lengths[i] = (uint8_t)huf_length(c->literals.of[i]);
    for (size_t i = 0; i < DISTANCES; i++)
        lengths[LITERALS + i] = (uint8_t)huf_length(c->distances.of[i]);
    lengths[LITERALS + DISTANCES] = 1; /* ends the last run of zeros */
    for (uint32_t i = 0, run; i < LITERALS + DISTANCES; i += run) {
        for (run = 0; !lengths[i + run] && run < 138;)
            run++;
        if (run >= 11) {
            put_code(b, code.of[ZEROS_LONG]);
            put(b, run - 11, 7);
        } else if (run >= 3) {
            put_code(b, code.of[ZEROS_SHORT]);
            put(b, run - 3, 3);
        } else {
            put_code(b, code.of[lengths[i]]);
            run = 1;
        }
        drain(b);
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------ */

/* Bits that the sequences take, without the header. */
static uint64_t coded_bits(const counts *n, const codes *c) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < LITERALS; i++) {
        uint32_t extra = i < 265 || i == FULL ? 0 : (i - 261) / 4;
        sum += (uint64_t)n->literals[i] * (huf_length(c->literals.of[i]) + extra);
    }
    for (uint32_t i = 0; i < DISTANCES; i++)
        sum += (uint64_t)n->distances[i] * (huf_length(c->distances.of[i]) + (i < 4 ? 0 : i / 2 - 1));
    return sum;
}

/* What comes before n bytes of a stored block. */
static void put_stored_head(bits *b, size_t n, bool last) {
    put(b, last, 3);
    align(b);
    put(b, n | (~(uint64_t)n & 0xFFFF) << 16, 32);
    drain(b);
}

/* Copied in steps for which memcpy takes registers: its string instructions for longer ones need twenty times
 * as long (AMD Zen) where the target stands a few bytes further into its page than the source, as blocks of a
 * buffer do here. */
static void put_stored(bits *b, const uint8_t *in, size_t n, bool last) {
    do {
        size_t take = n < STORED_MAX ? n : STORED_MAX;
        put_stored_head(b, take, last && take == n);
        n -= take;
        for (size_t piece; take > 0; take -= piece) {
            piece = take < COPIED ? take : COPIED;
            memcpy(b->out, in, piece);
            b->out += piece;
            in += piece;
        }
    } while (n > 0);
}

static match_sequence *room_for(res_deflate *d, size_t bytes) {
    size_t most = match_most(bytes);
    if (most > d->cap) {
        free(d->sequences);
        d->cap = most;
        d->sequences = aic_alloc(d->cap, sizeof *d->sequences);
    }
    return d->sequences;
}

/* Are sequences so few that codes of their own would take more than they save? */
static bool is_short(const match_sequence *s, size_t n) {
    enum { SYMBOLS = 192 };
    uint64_t sum = 0;
    for (size_t i = 0; i < n && sum <= SYMBOLS; i++)
        sum += s[i].literals + (s[i].match + LENGTH_MAX - 1) / LENGTH_MAX;
    return sum <= SYMBOLS;
}

/* The bytes of n sequences as a block: by the fixed codes where they are few, since codes of its own would
 * take more than they save; or as they are where that is shorter. */
static void put_coded(res_deflate *d, bits *b, const uint8_t *in, size_t bytes, size_t n, bool last) {
    counts counts;
    if (is_short(d->sequences, n)) {
        put(b, last | 1 << 1, 3);
        put_sequences(b, d->sequences, n, in, &d->fixed);
        return;
    }
    count_symbols(d->sequences, n, in, &counts);
    huf_build(counts.literals, LITERALS, &d->own.literals);
    huf_build(counts.distances, DISTANCES, &d->own.distances);
    if (coded_bits(&counts, &d->own) / 8 >= bytes) {
        put_stored(b, in, bytes, last);
        return;
    }
    prepare_lengths(&d->own, counts.lengths);
    put(b, last | 2 << 1, 3);
    put_codes(b, &d->own);
    put_sequences(b, d->sequences, n, in, &d->own);
}

/* ---- what pays --------------------------------------------------------------------------------------- */

/* Costs are in nanoseconds, of a core of 2023; a byte in the file counts as BYTE of them. Measured: among
 * words a byte in no match takes 1.4 ns and itself, a match 10 ns and 2.5 bytes; among bytes, where branches
 * are foreseen less often, 5 ns and 14 ns and 2 bytes; a code for bytes 1.3 ns each; shuffling, copying and
 * checksums 1.5 ns for eight. */
enum { BYTE = 4, CODE_PAYS = (16 * BYTE - 21) * 8 / BYTE + 2 /* sixteenths of a bit, less than that */ };

/* Counts of sequences and of bytes in no match. */
static size_t look_for(res_deflate *d, const uint8_t *in, size_t from, size_t n, unsigned step, size_t likely,
                       size_t *literals) {
    match_sequence *s = room_for(d, n);
    size_t matches = match_find(&d->memory, in, from, from + n, step, likely, s) - 1;
    *literals = 0;
    for (size_t i = 0; i <= matches; i++)
        *literals += s[i].literals;
    return matches;
}

uint64_t res_deflate_words_cost(res_deflate *d, const uint8_t *in, size_t n, unsigned word) {
    size_t literals;
    match_forget(&d->memory);
    size_t matches = look_for(d, in, 0, n * word, word, 0, &literals);
    return literals * (BYTE * 10 + 14) / 10 + matches * (BYTE * 25 + 100) / 10;
}

/* The logarithm to base 2 of v > 0 in sixteenths, linear between powers of two. */
static uint64_t log2_sixteenths(uint64_t v) {
    unsigned bits = 63 - (unsigned)__builtin_clzll(v);
    return bits * 16 + (v * 16 >> bits) - 16;
}

/* Bits a byte takes by a code of its own, in sixteenths: the entropy of n > 0 bytes. */
static uint64_t coded_sixteenths(const uint32_t count[256], size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < 256; i++)
        if (count[i] > 1)
            sum += count[i] * log2_sixteenths(count[i]);
    return log2_sixteenths(n) - sum / n;
}

/* The same, or less where a code does not pay anyway: no entropy is less than the logarithm of the chance
 * that two bytes are not alike, for which there is less to do. */
static uint64_t worth_sixteenths(const uint8_t *in, size_t n) {
    uint32_t lanes[4][256] = {{0}}, count[256];
    uint64_t pairs = 0;
    count_bytes(lanes, in, n);
    for (size_t i = 0; i < 256; i++) {
        count[i] = lanes[0][i] + lanes[1][i] + lanes[2][i] + lanes[3][i];
        pairs += (uint64_t)count[i] * count[i];
    }
    uint64_t least = log2_sixteenths(n) * 2 - log2_sixteenths(pairs);
    return least >= CODE_PAYS ? least : coded_sixteenths(count, n);
}

/* The least that piece i of n bytes may cost, and how. Neighbours may be alike: of numbers whose bits recur.
 */
static uint64_t cost_of(res_deflate *d, const uint8_t *in, size_t i, size_t n, res_sort *sort) {
    size_t literals;
    size_t matches = look_for(d, in, i * n, n, 1, i > 0 ? n : 0, &literals);
    uint64_t least = literals * (BYTE + 5) + matches * (2 * BYTE + 14);
    *sort = RES_MATCHED;
    if (least > n) { /* what is found fast goes fast: no need to count */
        uint64_t noise = n * BYTE, coded = n * (worth_sixteenths(in + i * n, n) * BYTE / 8 + 21) / 16;
        if (coded < least)
            least = coded, *sort = RES_CODED;
        if (noise <= least)
            least = noise, *sort = RES_NOISE;
    }
    return least;
}

uint64_t res_deflate_pieces_cost(res_deflate *d, const uint8_t *in, size_t n, size_t piece, res_sort *sorts) {
    uint64_t cost = 3 * n * piece / 16;
    match_forget(&d->memory);
    for (size_t i = 0; i < n; i++)
        cost += cost_of(d, in, i, piece, &sorts[i]);
    return cost;
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

/* Sequences of neighbours, of which each may be as the one before. */
static size_t find_in_pieces(res_deflate *d, const uint8_t *in, size_t first, size_t after, size_t piece) {
    match_sequence *s = room_for(d, (after - first) * (piece + MATCH_LEAST));
    size_t n = 0;
    for (size_t i = first; i < after; i++)
        n += match_find(&d->memory, in, i * piece, (i + 1) * piece, 1, i > 0 ? piece : 0, s + n);
    return n;
}

/* Neighbours become one block, but for their codes' sake. */
static void put_pieces(res_deflate *d, bits *b, const uint8_t *in, size_t n, size_t piece,
                       const res_sort *sorts) {
    match_forget(&d->memory);
    for (size_t i = 0, after; i < n; i = after) {
        const res_sort sort = sorts[i];
        for (after = i + 1; after < n && sorts[after] == sort && sort != RES_CODED;)
            after++;
        const size_t bytes = (after - i) * piece;
        size_t sequences = 1;
        if (sort == RES_NOISE) {
            put_stored(b, in + i * piece, bytes, after == n);
            continue;
        }
        if (sort == RES_MATCHED)
            sequences = find_in_pieces(d, in, i, after, piece);
        else
            *room_for(d, bytes) = (match_sequence){(uint32_t)bytes, 0, 0};
        put_coded(d, b, in + i * piece, bytes, sequences, after == n);
    }
}

/* ---- planes ------------------------------------------------------------------------------------------ */

/* The first planes as far as they are noise, as stored blocks whose bytes are yet to come, to planes[i] each.
 * Returns how many there are. */
static size_t put_noise(bits *b, size_t n, size_t width, const res_sort *sorts, uint8_t **planes) {
    const size_t at_once = STORED_MAX / n;
    size_t noise = 0;
    while (at_once > 0 && noise < width && sorts[noise] == RES_NOISE)
        noise++;
    for (size_t i = 0, some; i < noise; i += some) {
        some = noise - i < at_once ? noise - i : at_once;
        put_stored_head(b, some * n, i + some == width);
        for (size_t k = 0; k < some; k++, b->out += n)
            planes[i + k] = b->out;
    }
    return noise;
}

/* ---- whole ------------------------------------------------------------------------------------------- */

res_deflate *res_deflate_new(void) {
    res_deflate *d = AIC_NEW(res_deflate);
    prepare_fixed(&d->fixed);
    return d;
}

void res_deflate_free(res_deflate *d) {
    if (d)
        free(d->sequences);
    free(d);
}

size_t res_deflate_bound(size_t bytes, size_t pieces) {
    enum { HEADER = 256, STORED = 5, ENDS = 32 };
    size_t stored = aic_mul(aic_add(bytes / STORED_MAX, aic_add(pieces, 1)), STORED);
    return aic_add(aic_add(bytes, aic_mul(pieces, HEADER)), aic_add(stored, ENDS));
}

static bits start(uint8_t *out) {
    bits b = {.out = out};
    put(&b, 0x0178, 16); /* zlib: deflate, 32 KiB, fastest */
    drain(&b);
    return b;
}

static size_t finish(bits *b, const uint8_t *out, uint32_t adler) {
    align(b);
    adler = __builtin_bswap32(adler);
    memcpy(b->out, &adler, sizeof adler);
    b->out += sizeof adler;
    return (size_t)(b->out - out);
}

size_t res_deflate_words(res_deflate *d, const uint8_t *in, size_t n, unsigned word, uint8_t *out) {
    bits b = start(out);
    match_forget(&d->memory);
    size_t sequences = match_find(&d->memory, in, 0, n * word, word, 0, room_for(d, n * word));
    put_coded(d, &b, in, n * word, sequences, true);
    return finish(&b, out, libdeflate_adler32(1, in, n * word));
}

size_t res_deflate_pieces(res_deflate *d, const uint8_t *in, size_t n, size_t piece, const res_sort *sorts,
                          uint8_t *out) {
    bits b = start(out);
    put_pieces(d, &b, in, n, piece, sorts);
    return finish(&b, out, libdeflate_adler32(1, in, n * piece));
}

size_t res_deflate_planes(res_deflate *d, const uint8_t *in, size_t n, size_t width, const res_sort *sorts,
                          uint8_t *room, uint8_t *out) {
    uint8_t *planes[AIC_SHUFFLE_MOST];
    bits b = start(out);
    const size_t noise = put_noise(&b, n, width, sorts, planes), rest = width - noise;
    for (size_t i = noise; i < width; i++)
        planes[i] = room + (i - noise) * n;
    aic_shuffle_planes(in, planes, n, width);
    if (rest > 0)
        put_pieces(d, &b, room, rest, n, sorts + noise);
    uint32_t adler = 1;
    for (size_t i = 0; i < noise; i++)
        adler = libdeflate_adler32(adler, planes[i], n);
    return finish(&b, out, libdeflate_adler32(adler, room, rest * n));
}
