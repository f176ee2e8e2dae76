/* A deflate of our own (RFC 1951 in a zlib stream, RFC 1950) for columns of numbers; private to results. */
#ifndef AICFG_RESULTS_DEFLATE_H
#define AICFG_RESULTS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct res_deflate res_deflate; /* memory for matches, reused */
res_deflate *res_deflate_new(void);
void res_deflate_free(res_deflate *d);
/* What res_deflate_words (one piece) or res_deflate_pieces makes of so many bytes at most. */
size_t res_deflate_bound(size_t bytes, size_t pieces);

/* res_deflate_words and res_deflate_pieces compress below 2^32 bytes to a zlib stream in out, which has room
 * for the bound, and return its length. The stream depends on the bytes alone. */
/* n words of `word` bytes, 8 or 4, that recur as a whole if at all. */
size_t res_deflate_words(res_deflate *d, const uint8_t *in, size_t n, unsigned word, uint8_t *out);
/* Do they, for so long at a time that res_deflate_words serves them well? Judged by a sample. */
bool res_deflate_recurs(res_deflate *d, const uint8_t *in, size_t n, unsigned word);
/* n pieces of `piece` bytes, such as byte planes, 8 at most: each is looked at for what is worth doing with
 * it. */
size_t res_deflate_pieces(res_deflate *d, const uint8_t *in, size_t n, size_t piece, uint8_t *out);

#endif
