/* The byte shuffle compiled once more, with vectors of 32 bytes. */
#include "base/shuffle_internal.h"
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define BOTH 1
#include "base/shuffle_body.h"

bool aic_shuffle_wide_works(void) {
    return __builtin_cpu_supports("avx2");
}

size_t aic_shuffle_wide(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width) {
    return shuffle_whole(in, planes, n, width);
}

size_t aic_unshuffle_wide(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    return unshuffle_whole(in, out, n, width);
}
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
bool aic_shuffle_wide_works(void) {
    return false;
}

size_t aic_shuffle_wide(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width) {
    (void)in, (void)planes, (void)n, (void)width;
    return 0;
}

size_t aic_unshuffle_wide(const uint8_t *in, uint8_t *out, size_t n, size_t width) {
    (void)in, (void)out, (void)n, (void)width;
    return 0;
}
#endif
