/* Byte shuffle, as HDF5's filter of that name does it: byte j of every value, then byte j + 1 of every value.
 */
#ifndef AICFG_BASE_SHUFFLE_H
#define AICFG_BASE_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/* n values of `width` bytes; in and out do not overlap. */
void aic_shuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width);
void aic_unshuffle(const uint8_t *in, uint8_t *out, size_t n, size_t width);
enum { AIC_SHUFFLE_MOST = 8 };
/* The same for a width of AIC_SHUFFLE_MOST at most, to planes of n bytes each that lie where planes[j] says.
 */
void aic_shuffle_planes(const uint8_t *in, uint8_t *const *planes, size_t n, size_t width);

#endif
