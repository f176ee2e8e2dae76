/* One HDF5 chunk to and from its stored bytes: byte shuffle for columns that say so, then deflate, as HDF5's
 * own filters would read and write them.
 *
 * Byte planes of shuffled figures either repeat or are noise. Deflate spends most of its time failing to find
 * anything in noise, so a plane that looks like it is put into the same stream as stored blocks: three times
 * as fast, the same size, and every inflate reads it. Breakdowns recur as whole values; they stay unshuffled
 * and go through libdeflate.
 */
#include "results/internal.h"
#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SAMPLE = 4096, HASHES = 1024, BLANKS = 8 };

/* A chunk of zero bytes as it was encoded the first time: columns that nobody uses are nothing else. */
typedef struct blank {
    size_t chunk, width, size;
    bool shuffled;
    uint8_t *coded;
} blank;

struct res_codec {
    z_stream deflate;                    /* for chunks of byte planes */
    int level, current;                  /* asked for; in effect inside the stream */
    struct libdeflate_compressor *whole; /* for chunks of one piece: faster, but one level for all of it */
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
    deflateEnd(&c->deflate);
    libdeflate_free_decompressor(c->inflate);
    for (size_t i = 0; i < c->n_blanks; i++)
        free(c->blanks[i].coded);
    free(c->plain);
    free(c->coded);
    free(c);
}

static void make_room(uint8_t **buffer, size_t *cap, size_t bytes) {
    if (bytes <= *cap)
        return;
    free(*buffer);
    *buffer = aic_alloc(bytes, 1);
    *cap = bytes;
}

/* ---- shuffle ----------------------------------------------------------------------------------------- */

/* Transposes 8 x 8 bytes held in eight little-endian words. */
static void transpose8(uint64_t a[8]) {
    static const uint64_t masks[] = {UINT64_C(0x00000000FFFFFFFF), UINT64_C(0x0000FFFF0000FFFF),
                                     UINT64_C(0x00FF00FF00FF00FF)};
    for (int step = 4, m = 0; step; step >>= 1, m++)
        for (int k = 0; k < 8; k++) {
            if (k & step)
                continue;
            uint64_t x = a[k], y = a[k + step];
            a[k] = (x & masks[m]) | (y & masks[m]) << (8 * step);
            a[k + step] = (x >> (8 * step) & masks[m]) | (y & ~masks[m]);
        }
}

/* Chunks have a multiple of eight rows. */
static void shuffle8(const uint8_t *in, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t a[8];
        memcpy(a, in + i * 8, sizeof a);
        transpose8(a);
        for (size_t j = 0; j < 8; j++)
            memcpy(out + j * n + i, &a[j], 8);
    }
}

static void unshuffle8(const uint8_t *in, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t a[8];
        for (size_t j = 0; j < 8; j++)
            memcpy(&a[j], in + j * n + i, 8);
        transpose8(a);
        memcpy(out + i * 8, a, sizeof a);
    }
}

static void shuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    if (width == 8) {
        shuffle8(in, out, n);
        return;
    }
    for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < n; i++)
            out[j * n + i] = in[i * width + j];
}

static void unshuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    if (width == 8) {
        unshuffle8(in, out, n);
        return;
    }
    for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < n; i++)
            out[i * width + j] = in[j * n + i];
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

static void set_level(res_codec *c, int level) {
    if (c->current == level)
        return;
    int code = deflateParams(&c->deflate, level, Z_DEFAULT_STRATEGY);
    assert(code == Z_OK); /* the output has room for twice the input */
    (void)code;
    c->current = level;
}

static size_t deflate_planes(res_codec *c, const uint8_t *in, size_t planes, size_t plane) {
    make_room(&c->coded, &c->coded_cap, aic_add(aic_mul(aic_mul(planes, plane), 2), 1024));
    z_stream *z = &c->deflate;
    deflateReset(z);
    z->next_out = c->coded;
    z->avail_out = (uInt)c->coded_cap;
    int code = Z_OK;
    for (size_t i = 0; i < planes; i++) {
        bool noise = plane >= SAMPLE && is_noise(in + i * plane);
        set_level(c, noise ? 0 : c->level);
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
    make_room(&c->coded, &c->coded_cap, bound);
    size_t n = libdeflate_zlib_compress(c->whole, in, bytes, c->coded, c->coded_cap);
    assert(n > 0); /* there is room for the worst case */
    return n;
}

bool res_all_zero(const uint8_t *p, size_t n) {
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static const blank *find_blank(const res_codec *c, size_t chunk, size_t width, bool shuffled) {
    for (size_t i = 0; i < c->n_blanks; i++) {
        const blank *b = &c->blanks[i];
        if (b->chunk == chunk && b->width == width && b->shuffled == shuffled)
            return b;
    }
    return NULL;
}

static void keep_blank(res_codec *c, size_t chunk, size_t width, bool shuffled, size_t size) {
    if (c->n_blanks == BLANKS)
        return;
    blank *b = &c->blanks[c->n_blanks++];
    *b = (blank){chunk, width, size, shuffled, aic_alloc(size, 1)};
    memcpy(b->coded, c->coded, size);
}

bool res_encode(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffled,
                bool sparse, const uint8_t **out, size_t *size) {
    size_t bytes = aic_mul(chunk, width), used = rows * width;
    bool zero = res_all_zero(data, used);
    const blank *known = zero ? find_blank(c, chunk, width, shuffled) : NULL;
    if (sparse && zero)
        return false;
    if (known) {
        *out = known->coded;
        *size = known->size;
        return true;
    }
    make_room(&c->plain, &c->plain_cap, aic_mul(bytes, 2));
    uint8_t *whole = c->plain, *planes = c->plain + bytes;
    const uint8_t *from = data;
    if (rows < chunk) {
        memcpy(whole, data, used);
        memset(whole + used, 0, bytes - used);
        from = whole;
    }
    if (shuffled)
        shuffle(from, planes, chunk, width);
    *size = shuffled ? deflate_planes(c, planes, width, chunk) : deflate_whole(c, from, bytes);
    *out = c->coded;
    if (zero)
        keep_blank(c, chunk, width, shuffled, *size);
    return true;
}

bool res_decode(res_codec *c, const uint8_t *in, size_t size, size_t width, size_t chunk, bool shuffled,
                void *out) {
    size_t bytes = aic_mul(chunk, width);
    if (shuffled)
        make_room(&c->plain, &c->plain_cap, bytes);
    size_t taken, made;
    void *to = shuffled ? c->plain : out;
    if (libdeflate_zlib_decompress_ex(c->inflate, in, size, to, bytes, &taken, &made) != LIBDEFLATE_SUCCESS ||
        taken != size || made != bytes)
        return false;
    if (shuffled)
        unshuffle(c->plain, out, chunk, width);
    return true;
}
