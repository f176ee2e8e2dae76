/* The byte shuffle in vectors, included once for each width of them: BOTH is 0 for vectors of 16 bytes, 1 for
 * those of 32, whose halves take 16 values each. Private to base. */
#include "base/shuffle.h"
#include "base/wide.h"
#include <string.h>

#ifdef __clang__
#define TAKE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define TAKE(a, b, ...) __builtin_shuffle(a, b, (bytes){__VA_ARGS__})
#endif

#if BOTH
typedef uint8_t bytes __attribute__((vector_size(32)));
#define FROM(i) i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7
/* The lower halves of a and b, their upper halves. */
#define LOWS(a, b)  TAKE(a, b, FROM(0), FROM(8), FROM(32), FROM(40))
#define HIGHS(a, b) TAKE(a, b, FROM(16), FROM(24), FROM(48), FROM(56))
#define TURNS(i)                                                                                             \
    i, i + 32, i + 1, i + 33, i + 2, i + 34, i + 3, i + 35, i + 4, i + 36, i + 5, i + 37, i + 6, i + 38,     \
        i + 7, i + 39
/* Bytes of a and b in turn, from the lower and the upper eight of each half. */
#define LOWER(a, b) TAKE(a, b, TURNS(0), TURNS(16))
#define UPPER(a, b) TAKE(a, b, TURNS(8), TURNS(24))
#else
typedef uint8_t bytes __attribute__((vector_size(16)));
#define LOWER(a, b) TAKE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) TAKE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#endif

enum { AT_ONCE = sizeof(bytes) }; /* values that go through registers together */

/* A perfect shuffle of 16 x width bytes, `times` over: halves are dealt in turn, which rotates the bits of a
 * byte's place to the left by one. A place in 16 values has four bits of the value above log2(width) of the
 * byte: four times make planes of them, as many as that logarithm make values of planes. Width and times are
 * constants where this is called. */
__attribute__((always_inline)) static inline void deal(bytes *v, size_t width, int times) {
    AIC_UNROLL for (int t = 0; t < times; t++) {
        bytes dealt[8];
        AIC_UNROLL for (size_t i = 0; i < width / 2; i++) {
            dealt[2 * i] = LOWER(v[i], v[i + width / 2]);
            dealt[2 * i + 1] = UPPER(v[i], v[i + width / 2]);
        }
        AIC_UNROLL for (size_t i = 0; i < width; i++) v[i] = dealt[i];
    }
}

/* AT_ONCE values in a row to what `deal` takes, and back. */
__attribute__((always_inline)) static inline void load(const uint8_t *in, bytes *v, size_t width) {
    AIC_UNROLL for (size_t i = 0; i < width; i++) memcpy(&v[i], in + i * sizeof *v, sizeof *v);
#if BOTH
    bytes halves[8];
    AIC_UNROLL for (size_t i = 0; i < width / 2; i++) {
        halves[2 * i] = LOWS(v[i], v[i + width / 2]);
        halves[2 * i + 1] = HIGHS(v[i], v[i + width / 2]);
    }
    AIC_UNROLL for (size_t i = 0; i < width; i++) v[i] = halves[i];
#endif
}

__attribute__((always_inline)) static inline void store(uint8_t *out, bytes *v, size_t width) {
#if BOTH
    bytes whole[8];
    AIC_UNROLL for (size_t i = 0; i < width / 2; i++) {
        whole[i] = LOWS(v[2 * i], v[2 * i + 1]);
        whole[i + width / 2] = HIGHS(v[2 * i], v[2 * i + 1]);
    }
    AIC_UNROLL for (size_t i = 0; i < width; i++) v[i] = whole[i];
#endif
    AIC_UNROLL for (size_t i = 0; i < width; i++) memcpy(out + i * sizeof *v, &v[i], sizeof *v);
}

/* Planes mostly lie a power of two apart, where they push each other out of the first cache: some vectors of
 * each are made beside, then copied plane by plane. */
enum { TILE = 512 / AT_ONCE };

__attribute__((always_inline)) static inline void copy_tile(const bytes *from, uint8_t *to, size_t n) {
    for (size_t k = 0; k < n; k++)
        memcpy(to + k * AT_ONCE, &from[k], AT_ONCE);
}

__attribute__((always_inline)) static inline size_t shuffle_many(const uint8_t *in, uint8_t *const *planes,
                                                                 size_t n, size_t width) {
    const size_t vectors = n / AT_ONCE;
    for (size_t i = 0, some; i < vectors; i += some) {
        bytes tile[8][TILE];
        some = vectors - i < TILE ? vectors - i : TILE;
        for (size_t k = 0; k < some; k++) {
            bytes v[8];
            load(in + (i + k) * AT_ONCE * width, v, width);
            deal(v, width, 4);
            AIC_UNROLL for (size_t j = 0; j < width; j++) tile[j][k] = v[j];
        }
        for (size_t j = 0; j < width; j++)
            copy_tile(tile[j], planes[j] + i * AT_ONCE, some);
    }
    return vectors * AT_ONCE;
}

__attribute__((always_inline)) static inline size_t unshuffle_many(const uint8_t *in, uint8_t *out, size_t n,
                                                                   size_t width, int times) {
    size_t i = 0;
    for (; i + AT_ONCE <= n; i += AT_ONCE) {
        bytes v[8];
        AIC_UNROLL for (size_t j = 0; j < width; j++) memcpy(&v[j], in + j * n + i, sizeof *v);
        deal(v, width, times);
        store(out + i * width, v, width);
    }
    return i;
}

/* Return how many values were taken: as many as whole vectors have of 8, 4 or 2 bytes, none of other widths.
 */
static size_t shuffle_whole(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width) {
    return width == 8   ? shuffle_many(in, planes, n, 8)
           : width == 4 ? shuffle_many(in, planes, n, 4)
           : width == 2 ? shuffle_many(in, planes, n, 2)
                        : 0;
}

static size_t unshuffle_whole(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    return width == 8   ? unshuffle_many(in, out, n, 8, 3)
           : width == 4 ? unshuffle_many(in, out, n, 4, 2)
           : width == 2 ? unshuffle_many(in, out, n, 2, 1)
                        : 0;
}
