/* The byte shuffle by machines with AVX2 (shuffle_wide.c). Private to base. */
#ifndef AICFG_BASE_SHUFFLE_INTERNAL_H
#define AICFG_BASE_SHUFFLE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool aic_shuffle_wide_works(void);
/* Both return how many of the values they took, from the first on. */
size_t aic_shuffle_wide(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width);
size_t aic_unshuffle_wide(const uint8_t *in, uint8_t *out, size_t n, size_t width);

#endif
