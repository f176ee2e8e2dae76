/* A deflate of our own (RFC 1951 in a zlib stream, RFC 1950) for columns of numbers; private to results. */
#ifndef AICFG_RESULTS_DEFLATE_H
#define AICFG_RESULTS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct res_deflate res_deflate; /* memory for matches, reused */
res_deflate *res_deflate_new(void);
void res_deflate_free(res_deflate *d);
/* What res_deflate_words (one piece), res_deflate_pieces or res_deflate_planes (a piece each) makes of so
 * many bytes at most. */
size_t res_deflate_bound(size_t bytes, size_t pieces);

/* All compress below 2^31 bytes to a zlib stream in out, which has room for the bound, and return its
 * length. The stream depends on what is given here alone. */
/* n words of `word` bytes, 8 or 4, that recur as a whole if at all. */
size_t res_deflate_words(res_deflate *d, const uint8_t *in, size_t n, unsigned word, uint8_t *out);
/* What pays for a piece of bytes, such as a byte plane: nothing, a code for its bytes, matches. */
typedef enum res_sort { RES_NOISE, RES_CODED, RES_MATCHED } res_sort;
/* n pieces of `piece` bytes, each as its sort says. */
size_t res_deflate_pieces(res_deflate *d, const uint8_t *in, size_t n, size_t piece, const res_sort *sorts,
                          uint8_t *out);
/* The byte planes of n > 0 values of `width` bytes, at most AIC_SHUFFLE_MOST, each as its sort says. Planes
 * of noise before the first other one go where they belong at once; room: n * width bytes for the others. */
size_t res_deflate_planes(res_deflate *d, const uint8_t *in, size_t n, size_t width, const res_sort *sorts,
                          uint8_t *room, uint8_t *out);

/* What they would take, in time and in bytes, judged by samples of a thousand words and of pieces that long:
 * comparable numbers for equal bytes. Finds the sorts of pieces. */
uint64_t res_deflate_words_cost(res_deflate *d, const uint8_t *in, size_t n, unsigned word);
uint64_t res_deflate_pieces_cost(res_deflate *d, const uint8_t *in, size_t n, size_t piece, res_sort *sorts);

#endif
