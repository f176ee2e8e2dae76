/* Digests of what a file holds, whatever the compression (docs/formats/results.md). */
#include "results/h5.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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

bool res_file_digest(const char *path, char sha256[65], aic_error *err) {
    enum { PIECE = 1 << 18 };
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return aic_fail(err, AIC_IO, "cannot open %s: %s", path, strerror(errno));
    aic_sha256 *h = aic_sha256_new();
    uint8_t *piece = aic_alloc(PIECE, 1);
    ssize_t n;
    while ((n = aic_io_read(fd, piece, PIECE)) > 0)
        aic_sha256_add(h, piece, (size_t)n);
    if (n < 0)
        aic_fail(err, AIC_IO, "cannot read %s: %s", path, strerror(errno));
    aic_sha256_hex(h, sha256);
    free(piece);
    aic_io_close(fd);
    return n == 0;
}
