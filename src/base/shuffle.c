#include "base/shuffle.h"
#include <string.h>

enum { AT_ONCE = 16 }; /* values that go through registers together */

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* Loops over registers must go for values to stay there: gcc wants to be told, clang does worse when it is.
 */
#ifdef __clang__
#define UNROLL
#define TAKE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define UNROLL          _Pragma("GCC unroll 8")
#define TAKE(a, b, ...) __builtin_shuffle(a, b, (bytes16){__VA_ARGS__})
#endif
/* Bytes of a and b in turn, from their lower and their upper halves. */
#define LOWER(a, b) TAKE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) TAKE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* A perfect shuffle of 16 x width bytes, `times` over: halves are dealt in turn, which rotates the bits of a
 * byte's place to the left by one. A place in 16 values has four bits of the value above log2(width) of the
 * byte: four times make planes of them, as many as that logarithm make values of planes. Width and times are
 * constants where this is called. */
__attribute__((always_inline)) static inline void deal(bytes16 *v, size_t width, int times) {
    UNROLL for (int t = 0; t < times; t++) {
        bytes16 dealt[8];
        UNROLL for (size_t i = 0; i < width / 2; i++) {
            dealt[2 * i] = LOWER(v[i], v[i + width / 2]);
            dealt[2 * i + 1] = UPPER(v[i], v[i + width / 2]);
        }
        memcpy(v, dealt, width * sizeof *v);
    }
}

__attribute__((always_inline)) static inline size_t shuffle_many(const uint8_t *in, uint8_t *out, size_t n,
                                                                 size_t width) {
    size_t i = 0;
    for (; i + AT_ONCE <= n; i += AT_ONCE) {
        bytes16 v[8];
        memcpy(v, in + i * width, width * sizeof *v);
        deal(v, width, 4);
        UNROLL for (size_t j = 0; j < width; j++) memcpy(out + j * n + i, &v[j], sizeof *v);
    }
    return i;
}

__attribute__((always_inline)) static inline size_t unshuffle_many(const uint8_t *in, uint8_t *out, size_t n,
                                                                   size_t width, int times) {
    size_t i = 0;
    for (; i + AT_ONCE <= n; i += AT_ONCE) {
        bytes16 v[8];
        UNROLL for (size_t j = 0; j < width; j++) memcpy(&v[j], in + j * n + i, sizeof *v);
        deal(v, width, times);
        memcpy(out + i * width, v, width * sizeof *v);
    }
    return i;
}

/* Both take values of 8, 4 and 2 bytes sixteen at a time; what is left over, and other widths, byte by byte.
 */
void aic_shuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    size_t done = width == 8   ? shuffle_many(in, out, n, 8)
                  : width == 4 ? shuffle_many(in, out, n, 4)
                  : width == 2 ? shuffle_many(in, out, n, 2)
                               : 0;
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            out[j * n + i] = in[i * width + j];
}

void aic_unshuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    size_t done = width == 8   ? unshuffle_many(in, out, n, 8, 3)
                  : width == 4 ? unshuffle_many(in, out, n, 4, 2)
                  : width == 2 ? unshuffle_many(in, out, n, 2, 1)
                               : 0;
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            out[i * width + j] = in[j * n + i];
}
