#include "base/shuffle.h"
#include <string.h>

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

/* Both ways take values of eight bytes eight at a time; what is left over, and other widths, byte by byte. */
void aic_shuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    size_t done = 0;
    for (; width == 8 && done + 8 <= n; done += 8) {
        uint64_t a[8];
        memcpy(a, in + done * 8, sizeof a);
        transpose8(a);
        for (size_t j = 0; j < 8; j++)
            memcpy(out + j * n + done, &a[j], 8);
    }
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            out[j * n + i] = in[i * width + j];
}

void aic_unshuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    size_t done = 0;
    for (; width == 8 && done + 8 <= n; done += 8) {
        uint64_t a[8];
        for (size_t j = 0; j < 8; j++)
            memcpy(&a[j], in + j * n + done, 8);
        transpose8(a);
        memcpy(out + done * 8, a, sizeof a);
    }
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            out[i * width + j] = in[j * n + i];
}
