/* Digests of what a file holds, whatever the compression (docs/formats/results.md). */
#include "results/h5.h"

void res_digest_rows(const void *data, size_t bytes, res_chunk_digest out) {
    aic_xxh128_text(data, bytes, out);
}

void res_digest_add(aic_sha256 *column, const res_chunk_digest digest) {
    aic_sha256_add(column, digest, sizeof(res_chunk_digest) - 1);
}

void res_digest_chunk(aic_sha256 *column, const void *data, size_t bytes) {
    res_chunk_digest digest;
    res_digest_rows(data, bytes, digest);
    res_digest_add(column, digest);
}

void res_content_line(aic_buf *content, const char *path, uint64_t rows, const char *sha256) {
    aic_buf_printf(content, "%s %llu %s\n", path, (unsigned long long)rows, sha256);
}
