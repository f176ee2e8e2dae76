/* One HDF5 chunk to and from its stored bytes: byte shuffle for columns that say so, then deflate, as HDF5's
 * own filters would read and write them; a chunk may skip the shuffle (HDF5 keeps a mask).
 *
 * In some columns whole values recur (one prefill, many output lengths): a shuffle would hide that, and they
 * are deflated as they are. Others are shuffled, so that like bytes stand together: most planes are either
 * noise or nearly nothing. A sample of the chunk tells what costs less. At level 1, which is what runs use,
 * numbers go through a deflate of our own (deflate.h), texts and other levels through libdeflate.
 */
#include "results/deflate.h"
#include "results/internal.h"
#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    OWN_LEVEL = 1,
    WIDEST = 8,    /* bytes of a number */
    SAMPLE = 1024, /* rows that tell the sort of a column, in so many parts */
    PARTS = 4,
    CANNED = 32
};

/* A chunk of one value over and over as it was encoded before: most columns are that most of the time. */
typedef struct canned {
    size_t chunk, width;
    bool shuffled;
    uint64_t value;
    res_coded coded;
    aic_buf bytes; /* its bytes */
    char digest[AIC_XXH128_HEX];
} canned;

struct res_codec {
    int level;
    struct libdeflate_compressor *compressor;
    struct libdeflate_decompressor *decompressor;
    res_deflate *own;
    uint8_t *padded, *planes, *coded;
    size_t padded_cap, planes_cap, coded_cap;
    canned canned[CANNED]; /* chunk 0 = nothing yet */
    const canned *last;    /* a whole chunk of one value that was encoded last, or NULL */
};

res_codec *res_codec_new(int level) {
    res_codec *c = AIC_NEW(res_codec);
    c->level = level;
    c->compressor = libdeflate_alloc_compressor(level);
    c->decompressor = libdeflate_alloc_decompressor();
    c->own = res_deflate_new();
    if (!c->compressor || !c->decompressor)
        (void)aic_mul(SIZE_MAX, 2); /* only memory can lack: ends the process as other allocations do */
    return c;
}

void res_codec_free(res_codec *c) {
    if (!c)
        return;
    libdeflate_free_compressor(c->compressor);
    libdeflate_free_decompressor(c->decompressor);
    res_deflate_free(c->own);
    for (size_t i = 0; i < CANNED; i++)
        aic_buf_free(&c->canned[i].bytes);
    free(c->padded);
    free(c->planes);
    free(c->coded);
    free(c);
}

void res_make_room(uint8_t **buffer, size_t *cap, size_t bytes) {
    if (bytes <= *cap)
        return;
    free(*buffer);
    *buffer = aic_alloc(bytes, 1);
    *cap = bytes;
}

/* ---- encoding ---------------------------------------------------------------------------------------- */

/* Does p repeat its first `width` bytes all along? */
static bool is_constant(const uint8_t *p, size_t n, size_t width) {
    return n <= width || memcmp(p, p + width, n - width) == 0;
}

static void deflate_whole(res_codec *c, const uint8_t *in, size_t bytes, res_coded *out) {
    res_make_room(&c->coded, &c->coded_cap, libdeflate_zlib_compress_bound(c->compressor, bytes));
    out->bytes = c->coded;
    out->size = libdeflate_zlib_compress(c->compressor, in, bytes, c->coded, c->coded_cap);
    assert(out->size > 0); /* there is room for the worst case */
}

static void deflate_words(res_codec *c, const uint8_t *in, size_t bytes, unsigned word, res_coded *out) {
    res_make_room(&c->coded, &c->coded_cap, res_deflate_bound(bytes, 1));
    out->bytes = c->coded;
    out->size = res_deflate_words(c->own, in, bytes / word, word, c->coded);
}

static void deflate_piece(res_codec *c, const uint8_t *in, size_t bytes, res_sort sort, res_coded *out) {
    res_make_room(&c->coded, &c->coded_cap, res_deflate_bound(bytes, 1));
    out->bytes = c->coded;
    out->size = res_deflate_pieces(c->own, in, 1, bytes, &sort, c->coded);
}

static void deflate_planes(res_codec *c, const uint8_t *in, size_t width, size_t chunk, const res_sort *sorts,
                           res_coded *out) {
    res_make_room(&c->coded, &c->coded_cap, res_deflate_bound(aic_mul(chunk, width), width));
    out->bytes = c->coded;
    out->size = res_deflate_planes(c->own, in, chunk, width, sorts, c->planes, c->coded);
}

/* Are these numbers for our own deflate? */
static bool is_own(const res_codec *c, size_t width) {
    return c->level == OWN_LEVEL && width <= WIDEST;
}

/* Rows from all over a column, or all of it where it is short. Returns how many. */
static size_t take_sample(const uint8_t *in, size_t width, size_t chunk, uint8_t *out) {
    if (chunk <= SAMPLE) {
        memcpy(out, in, chunk * width);
        return chunk;
    }
    for (size_t i = 0; i < PARTS; i++) {
        size_t part = SAMPLE / PARTS, first = (2 * i + 1) * (chunk - part) / (2 * PARTS);
        memcpy(out + i * part * width, in + first * width, part * width);
    }
    return SAMPLE;
}

/* Every other part of a whole sample. */
static size_t take_half(const uint8_t *sample, size_t width, uint8_t *out) {
    const size_t part = SAMPLE / PARTS;
    for (size_t i = 0; i < PARTS / 2; i++)
        memcpy(out + i * part * width, sample + 2 * i * part * width, part * width);
    return SAMPLE / 2;
}

static uint64_t word_at(const uint8_t *in, size_t i) {
    uint64_t v;
    memcpy(&v, in + i * sizeof v, sizeof v);
    return v;
}

/* Do words of eight bytes rise by one step throughout, as numbers of points and of rows do? Judged by a few.
 */
static bool is_rising(const uint8_t *in, size_t n) {
    if (n < 4)
        return false;
    const uint64_t first = word_at(in, 0), step = word_at(in, 1) - first;
    return step != 0 && word_at(in, n / 2) - first == n / 2 * step &&
           word_at(in, n - 1) - first == (n - 1) * step;
}

/* Do words of eight bytes recur so that the shuffle does not pay? Judged by a sample, as is the sort of the
 * column's byte planes, of which half the sample tells enough in a chunk that is full of rows, unless the
 * answer is plain. */
static bool words_pay(res_codec *c, const uint8_t *in, size_t width, size_t chunk, bool full,
                      res_sort *sorts) {
    enum { PLAIN = 1 }; /* cost of a byte below which words recur, whatever else may be said */
    uint8_t sample[SAMPLE * WIDEST], half[SAMPLE / 2 * WIDEST], planes[SAMPLE * WIDEST];
    if (width == sizeof(uint64_t) && is_rising(in, chunk)) {
        for (size_t i = 0; i < width; i++)
            sorts[i] = RES_MATCHED;
        return false;
    }
    size_t rows = take_sample(in, width, chunk, sample), bytes = rows * width;
    uint64_t words = bytes % 8 == 0 && chunk * width % 8 == 0
                         ? res_deflate_words_cost(c->own, sample, bytes / 8, 8)
                         : UINT64_MAX;
    if (words <= bytes * PLAIN)
        return true;
    const bool halved = full && rows == SAMPLE;
    if (halved)
        rows = take_half(sample, width, half);
    aic_shuffle(halved ? half : sample, planes, rows, width);
    uint64_t cost = res_deflate_pieces_cost(c->own, planes, width, rows, sorts);
    return words < (halved ? 2 * cost : cost);
}

static void encode_shuffled(res_codec *c, const uint8_t *in, size_t width, size_t chunk, bool full,
                            res_coded *out) {
    res_sort sorts[WIDEST];
    size_t bytes = width * chunk;
    bool own = is_own(c, width);
    if (c->level > 0 && width <= WIDEST && words_pay(c, in, width, chunk, full, sorts)) {
        out->skipped = RES_SKIP_SHUFFLE;
        if (own)
            deflate_words(c, in, bytes, 8, out);
        else
            deflate_whole(c, in, bytes, out);
        return;
    }
    res_make_room(&c->planes, &c->planes_cap, bytes);
    if (own) {
        deflate_planes(c, in, width, chunk, sorts, out);
        return;
    }
    aic_shuffle(in, c->planes, chunk, width);
    deflate_whole(c, c->planes, bytes, out);
}

static void encode_plain(res_codec *c, const uint8_t *in, size_t width, size_t chunk, res_coded *out) {
    if (!is_own(c, width)) {
        deflate_whole(c, in, width * chunk, out);
    } else if (width == 8 || width == 4) {
        deflate_words(c, in, width * chunk, (unsigned)width, out);
    } else {
        res_sort sort;
        uint8_t sample[SAMPLE];
        size_t bytes = width * chunk, taken = take_sample(in, 1, bytes, sample);
        res_deflate_pieces_cost(c->own, sample, 1, taken, &sort);
        deflate_piece(c, in, bytes, sort, out);
    }
}

/* A chunk, full of rows or with zeros behind them. */
static void encode(res_codec *c, const uint8_t *in, size_t width, size_t chunk, bool full, bool shuffled,
                   res_coded *out) {
    *out = (res_coded){0};
    if (shuffled)
        encode_shuffled(c, in, width, chunk, full, out);
    else
        encode_plain(c, in, width, chunk, out);
}

/* The same of one value over and over, from what is kept if possible. */
static void encode_constant(res_codec *c, const uint8_t *in, size_t width, size_t chunk, bool shuffled,
                            res_coded *out) {
    uint64_t value = 0;
    memcpy(&value, in, width);
    canned *known = &c->canned[(value ^ (chunk * 2 + width)) * UINT64_C(0x9E3779B97F4A7C15) >> 59];
    if (known->chunk != chunk || known->width != width || known->shuffled != shuffled ||
        known->value != value) {
        encode(c, in, width, chunk, true, shuffled, &known->coded);
        known->chunk = chunk;
        known->width = width;
        known->shuffled = shuffled;
        known->value = value;
        aic_buf_clear(&known->bytes);
        aic_buf_addn(&known->bytes, (const char *)known->coded.bytes, known->coded.size);
        known->coded.bytes = (const uint8_t *)known->bytes.data;
        aic_xxh128_text(in, width * chunk, known->digest);
    }
    c->last = known;
    *out = known->coded;
}

/* res_encode; constant: the rows are of one value. */
static bool encode_rows(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk,
                        bool shuffled, bool sparse, bool constant, res_coded *out) {
    size_t bytes = aic_mul(chunk, width), used = rows * width;
    const uint8_t *in = data;
    c->last = NULL;
    if (sparse && constant && aic_all_zero(in, rows ? width : 0))
        return false;
    if (rows < chunk) {
        res_make_room(&c->padded, &c->padded_cap, bytes);
        memcpy(c->padded, data, used);
        memset(c->padded + used, 0, bytes - used);
        in = c->padded;
        constant = constant && aic_all_zero(in, width);
    }
    if (constant && width <= sizeof(uint64_t))
        encode_constant(c, in, width, chunk, shuffled, out);
    else
        encode(c, in, width, chunk, rows == chunk, shuffled, out);
    if (rows < chunk)
        c->last = NULL; /* what is known is the digest of the chunk */
    return true;
}

bool res_encode(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffled,
                bool sparse, res_coded *out) {
    const bool constant = is_constant(data, rows * width, width);
    return encode_rows(c, data, rows, width, chunk, shuffled, sparse, constant, out);
}

const char *res_codec_digest(const res_codec *c) {
    return c->last ? c->last->digest : NULL;
}

/* Lends the codec the chunk's own buffer to encode into, or takes it back. */
static void exchange(res_codec *c, res_kept *k) {
    uint8_t *bytes = c->coded;
    size_t cap = c->coded_cap;
    c->coded = k->bytes;
    c->coded_cap = k->cap;
    k->bytes = bytes;
    k->cap = cap;
}

void res_keep(const res_coded *from, res_kept *out) {
    res_make_room(&out->bytes, &out->cap, from->size);
    if (from->size > 0)
        memcpy(out->bytes, from->bytes, from->size);
    out->coded = *from;
    out->coded.bytes = out->bytes;
}

bool res_encode_kept(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffled,
                     bool sparse, bool zeros, res_kept *out) {
    const bool constant = zeros || is_constant(data, rows * width, width);
    exchange(c, out);
    bool stored = encode_rows(c, data, rows, width, chunk, shuffled, sparse, constant, &out->coded);
    exchange(c, out);
    if (!stored) {
        out->coded = (res_coded){0};
    } else if (out->coded.bytes != out->bytes &&
               out->coded.bytes != data) { /* of one value, encoded before */
        const res_coded known = out->coded;
        res_keep(&known, out);
    }
    return stored;
}

/* ---- decoding ---------------------------------------------------------------------------------------- */

static bool inflate_exactly(res_codec *c, const res_coded *in, uint8_t *to, size_t bytes) {
    size_t taken, made;
    return libdeflate_zlib_decompress_ex(c->decompressor, in->bytes, in->size, to, bytes, &taken, &made) ==
               LIBDEFLATE_SUCCESS &&
           taken == in->size && made == bytes;
}

bool res_decode(res_codec *c, const res_coded *in, size_t width, size_t chunk, bool shuffled, void *out) {
    size_t bytes = aic_mul(chunk, width);
    bool deflated = true;
    if (in->skipped) { /* what a writer may leave out, nothing else */
        if (!shuffled || (in->skipped | RES_SKIP_DEFLATE) != (RES_SKIP_SHUFFLE | RES_SKIP_DEFLATE))
            return false;
        deflated = !(in->skipped & RES_SKIP_DEFLATE);
        shuffled = false;
    }
    if (!deflated) {
        if (in->size != bytes)
            return false;
        memcpy(out, in->bytes, bytes);
        return true;
    }
    if (!shuffled)
        return inflate_exactly(c, in, out, bytes);
    res_make_room(&c->planes, &c->planes_cap, bytes);
    if (!inflate_exactly(c, in, c->planes, bytes))
        return false;
    aic_unshuffle(c->planes, out, chunk, width);
    return true;
}
