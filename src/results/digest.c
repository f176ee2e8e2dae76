/* Digests of what a file holds, whatever the compression (docs/formats/results.md). */
#include "results/h5.h"
#include <string.h>

void res_digest_chunk(aic_sha256 *column, const void *data, size_t bytes) {
    char hex[AIC_XXH128_HEX];
    aic_xxh128_text(data, bytes, hex);
    aic_sha256_add(column, hex, AIC_XXH128_HEX - 1);
}

void res_content_line(aic_buf *content, const char *path, uint64_t rows, const char *sha256) {
    aic_buf_printf(content, "%s %llu %s\n", path, (unsigned long long)rows, sha256);
}
