/* One HDF5 chunk to and from its stored bytes: byte shuffle for columns that say so, then deflate, as HDF5's
 * own filters would read and write them; a chunk may skip filters that would not pay (HDF5 keeps a mask).
 *
 * Figures come in three sorts, told apart by samples of a chunk:
 * - whole values recur (one prefill, many output lengths): deflate finds them best unshuffled;
 * - five of eight byte planes or more are noise: deflate would save little, the chunk is stored as it is;
 * - anything else is shuffled, so that like bytes stand together. Deflate spends most of its time failing to
 *   find anything in noise: a plane that looks like it becomes stored blocks of the same stream.
 */
#include "results/internal.h"
#include "results/words.h"
#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    SAMPLE = 1024, /* rows of a sample, and bytes of one of its planes */
    HASHES = 1024,
    NOISY_PLANES = 5, /* of eight: from here on compression does not pay */
    BLANKS = 8
};

/* A chunk of zero bytes as it was encoded the first time: columns that nobody uses are nothing else. */
typedef struct blank {
    size_t chunk, width;
    bool shuffled;
    uint8_t *bytes;
    res_coded coded;
} blank;

struct res_codec {
    z_stream deflate;                    /* for chunks of byte planes */
    int level, current;                  /* asked for; in effect inside the stream */
    struct libdeflate_compressor *whole; /* for chunks of one piece: faster, but one level for all of it */
    res_words *words;                    /* for chunks in which words recur: faster still */
    struct libdeflate_decompressor *inflate;
    uint8_t *plain, *coded;
    size_t plain_cap, coded_cap;
    blank blanks[BLANKS];
    size_t n_blanks;
};

res_codec *res_codec_new(int level) {
    res_codec *c = AIC_NEW(res_codec);
    c->level = c->current = level;
    c->whole = libdeflate_alloc_compressor(level);
    c->words = res_words_new();
    c->inflate = libdeflate_alloc_decompressor();
    bool ok = c->whole && c->inflate &&
              deflateInit2(&c->deflate, level, Z_DEFLATED, 15, 9, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!ok)
        (void)aic_mul(SIZE_MAX, 2); /* only memory can lack: ends the process as other allocations do */
    return c;
}

void res_codec_free(res_codec *c) {
    if (!c)
        return;
    libdeflate_free_compressor(c->whole);
    res_words_free(c->words);
    deflateEnd(&c->deflate);
    libdeflate_free_decompressor(c->inflate);
    for (size_t i = 0; i < c->n_blanks; i++)
        free(c->blanks[i].bytes);
    free(c->plain);
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

/* ---- deflate ----------------------------------------------------------------------------------------- */

/* Does four-byte text recur within the sample? */
static bool recurs(const uint8_t *p) {
    uint16_t seen[HASHES] = {0};
    unsigned again = 0;
    for (size_t i = 1; i + 4 <= SAMPLE; i++) {
        uint32_t word;
        memcpy(&word, p + i, 4);
        uint16_t *slot = &seen[(word * 2654435761u) >> 22];
        again += *slot && memcmp(p + *slot, p + i, 4) == 0;
        *slot = (uint16_t)i;
    }
    return again > SAMPLE / 32;
}

/* Noise: all byte values about equally often, and no text recurs. */
static bool is_noise(const uint8_t *p) {
    uint32_t counts[256] = {0};
    for (size_t i = 0; i < SAMPLE; i++)
        counts[p[i]]++;
    uint64_t squares = 0;
    for (size_t i = 0; i < 256; i++)
        squares += (uint64_t)counts[i] * counts[i];
    const uint64_t even =
        SAMPLE + (uint64_t)SAMPLE * (SAMPLE - 1) / 256; /* expected of uniformly random bytes */
    return squares * 5 < even * 6 && !recurs(p);
}

/* Does half of the words of a sample stand in it before? */
static bool words_recur(const uint8_t *words, size_t word) {
    uint64_t seen[HASHES] = {0};
    unsigned again = 0;
    for (size_t i = 0; i < SAMPLE; i++) {
        uint64_t v = 0;
        memcpy(&v, words + i * word, word);
        uint64_t *slot = &seen[(v * UINT64_C(0x9E3779B97F4A7C15)) >> 54];
        again += *slot == v;
        *slot = v;
    }
    return again >= SAMPLE / 2;
}

/* Are NOISY_PLANES of the byte planes of a sample noise? */
static bool is_noisy(const uint8_t *rows) {
    uint8_t planes[8 * SAMPLE];
    unsigned noisy = 0, plain = 0;
    aic_shuffle(rows, planes, SAMPLE, 8);
    for (size_t j = 8; j-- > 0 && noisy < NOISY_PLANES && plain <= 8 - NOISY_PLANES;) {
        bool noise = is_noise(planes + j * SAMPLE); /* the signs and exponents first: they rule most out */
        noisy += noise;
        plain += !noise;
    }
    return noisy >= NOISY_PLANES;
}

/* The ways to store a chunk. */
typedef enum way { SHUFFLED, WHOLE, WORDS, RAW } way;

/* Bytes of the words that may recur: a value of a column that is stored as it is, else eight. */
static unsigned word_of(size_t width, bool shuffled) {
    return width == 4 && !shuffled ? 4 : 8;
}

/* The way that pays, judged by two samples of a chunk of `bytes`. */
static way way_of(const uint8_t *data, size_t bytes, size_t width, bool shuffled) {
    enum { PIECE = SAMPLE * 8 };
    if (bytes < 4 * PIECE || bytes % 8 != 0)
        return shuffled ? SHUFFLED : WHOLE;
    const uint8_t *a = data + bytes / 64 * 8, *b = data + bytes / 64 * 40;
    unsigned word = word_of(width, shuffled);
    if (words_recur(a, word) && words_recur(b, word))
        return WORDS;
    if (!shuffled)
        return WHOLE;
    bool noise = width == 8 && is_noisy(a) && is_noisy(b);
    return noise ? RAW : SHUFFLED;
}

static void set_level(res_codec *c, int level) {
    if (c->current == level)
        return;
    int code = deflateParams(&c->deflate, level, Z_DEFAULT_STRATEGY);
    assert(code == Z_OK); /* the output has room for twice the input */
    (void)code;
    c->current = level;
}

/* Which planes are noise, as bits; judged by a sample from the middle of each. */
static unsigned noise_bits(const uint8_t *in, size_t planes, size_t plane) {
    unsigned bits = 0;
    for (size_t i = 0; i < planes && plane >= SAMPLE; i++)
        if (is_noise(in + i * plane + (plane - SAMPLE) / 2))
            bits |= 1u << i;
    return bits;
}

static size_t deflate_planes(res_codec *c, const uint8_t *in, size_t planes, size_t plane, unsigned noise) {
    res_make_room(&c->coded, &c->coded_cap, aic_add(aic_mul(aic_mul(planes, plane), 2), 1024));
    z_stream *z = &c->deflate;
    deflateReset(z);
    z->next_out = c->coded;
    z->avail_out = (uInt)c->coded_cap;
    int code = Z_OK;
    for (size_t i = 0; i < planes; i++) {
        set_level(c, noise >> i & 1 ? 0 : c->level);
        z->next_in = (Bytef *)(uintptr_t)(in + i * plane);
        z->avail_in = (uInt)plane;
        code = deflate(z, i + 1 == planes ? Z_FINISH : Z_NO_FLUSH);
    }
    assert(code == Z_STREAM_END);
    (void)code;
    return z->total_out;
}

static size_t deflate_whole(res_codec *c, const uint8_t *in, size_t bytes) {
    size_t bound = libdeflate_zlib_compress_bound(c->whole, bytes);
    res_make_room(&c->coded, &c->coded_cap, bound);
    size_t n = libdeflate_zlib_compress(c->whole, in, bytes, c->coded, c->coded_cap);
    assert(n > 0); /* there is room for the worst case */
    return n;
}

bool res_all_zero(const uint8_t *p, size_t n) {
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static size_t deflate_shuffled(res_codec *c, const uint8_t *in, size_t width, size_t chunk) {
    unsigned noise = noise_bits(in, width, chunk);
    return noise ? deflate_planes(c, in, width, chunk, noise) : deflate_whole(c, in, aic_mul(width, chunk));
}

static size_t deflate_words(res_codec *c, const uint8_t *in, size_t bytes, unsigned word) {
    res_make_room(&c->coded, &c->coded_cap, res_words_bound(bytes));
    return res_words_deflate(c->words, in, bytes / word, word, c->coded);
}

static const blank *find_blank(const res_codec *c, size_t chunk, size_t width, bool shuffled) {
    for (size_t i = 0; i < c->n_blanks; i++) {
        const blank *b = &c->blanks[i];
        if (b->chunk == chunk && b->width == width && b->shuffled == shuffled)
            return b;
    }
    return NULL;
}

static void keep_blank(res_codec *c, size_t chunk, size_t width, bool shuffled, const res_coded *coded) {
    if (c->n_blanks == BLANKS)
        return;
    blank *b = &c->blanks[c->n_blanks++];
    *b = (blank){chunk, width, shuffled, aic_alloc(coded->size, 1), *coded};
    b->coded.bytes = memcpy(b->bytes, coded->bytes, coded->size);
}

/* planes: the second half of c->plain. */
static void encode_as(res_codec *c, way way, const uint8_t *from, size_t width, size_t chunk, bool shuffled,
                      res_coded *out) {
    size_t bytes = width * chunk;
    uint8_t *planes = c->plain + bytes;
    *out = (res_coded){0};
    switch (way) {
    case RAW:
        *out = (res_coded){from, bytes, RES_SKIP_SHUFFLE | RES_SKIP_DEFLATE};
        return;
    case WORDS:
        out->size = deflate_words(c, from, bytes, word_of(width, shuffled));
        out->skipped = shuffled ? RES_SKIP_SHUFFLE : 0;
        break;
    case SHUFFLED:
        aic_shuffle(from, planes, chunk, width);
        out->size = deflate_shuffled(c, planes, width, chunk);
        break;
    case WHOLE:
        out->size = deflate_whole(c, from, bytes);
    }
    out->bytes = c->coded;
}

bool res_encode(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffled,
                bool sparse, res_coded *out) {
    size_t bytes = aic_mul(chunk, width), used = rows * width;
    bool zero = res_all_zero(data, used);
    const blank *known = zero ? find_blank(c, chunk, width, shuffled) : NULL;
    if (sparse && zero)
        return false;
    if (known) {
        *out = known->coded;
        return true;
    }
    const uint8_t *from = data;
    res_make_room(&c->plain, &c->plain_cap, aic_mul(bytes, 2));
    if (rows < chunk) {
        memcpy(c->plain, data, used);
        memset(c->plain + used, 0, bytes - used);
        from = c->plain;
    }
    encode_as(c,
              c->level > 0 ? way_of(from, bytes, width, shuffled)
              : shuffled   ? SHUFFLED
                           : WHOLE,
              from, width, chunk, shuffled, out);
    if (zero)
        keep_blank(c, chunk, width, shuffled, out);
    return true;
}

bool res_encode_kept(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffled,
                     bool sparse, res_kept *out) {
    aic_buf_clear(&out->bytes);
    if (!res_encode(c, data, rows, width, chunk, shuffled, sparse, &out->coded)) {
        out->coded = (res_coded){0};
        return false;
    }
    if (out->coded.bytes != data) {
        aic_buf_addn(&out->bytes, (const char *)out->coded.bytes, out->coded.size);
        out->coded.bytes = (const uint8_t *)out->bytes.data;
    }
    return true;
}

static bool inflate_exactly(res_codec *c, const res_coded *in, uint8_t *to, size_t bytes) {
    size_t taken, made;
    return libdeflate_zlib_decompress_ex(c->inflate, in->bytes, in->size, to, bytes, &taken, &made) ==
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
    res_make_room(&c->plain, &c->plain_cap, bytes);
    if (!inflate_exactly(c, in, c->plain, bytes))
        return false;
    aic_unshuffle(c->plain, out, chunk, width);
    return true;
}
