/* A deflate of its own for arrays in which whole words recur; private to results. */
#ifndef AICFG_RESULTS_WORDS_H
#define AICFG_RESULTS_WORDS_H

#include "base/base.h"
#include <stdlib.h>

typedef struct res_words res_words; /* memory for matches, reused */
res_words *res_words_new(void);
void res_words_free(res_words *w);
size_t res_words_bound(size_t bytes); /* what an array of so many bytes takes at most */
/* Compresses n words of `word` bytes, 8 or 4 (below 2^32 bytes) to a zlib stream in out, which has room for
 * the bound. Returns its length. The stream depends on the bytes alone. */
size_t res_words_deflate(res_words *w, const uint8_t *in, size_t n, unsigned word, uint8_t *out);

#endif
