#include "base/shuffle_internal.h"
#define BOTH 0
#include "base/shuffle_body.h"

/* What is left over, and other widths, goes byte by byte. */
void aic_shuffle_planes(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width) {
    size_t done = aic_shuffle_wide_works() ? aic_shuffle_wide(in, planes, n, width)
                                           : shuffle_whole(in, planes, n, width);
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            planes[j][i] = in[i * width + j];
}

void aic_shuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    uint8_t *planes[AIC_SHUFFLE_MOST];
    for (size_t j = 0; j < width && j < AIC_SHUFFLE_MOST; j++)
        planes[j] = out + j * n;
    if (width <= AIC_SHUFFLE_MOST) {
        aic_shuffle_planes(in, planes, n, width);
        return;
    }
    for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < n; i++)
            out[j * n + i] = in[i * width + j];
}

void aic_unshuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    size_t done =
        aic_shuffle_wide_works() ? aic_unshuffle_wide(in, out, n, width) : unshuffle_whole(in, out, n, width);
    for (size_t j = 0; j < width; j++)
        for (size_t i = done; i < n; i++)
            out[i * width + j] = in[j * n + i];
}
