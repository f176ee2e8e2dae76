/* libcrypto's own SHA-256: asking for it by name (EVP) sets up all of the library first, and looks the name
 * up for each digest, ten times the cost of a short one. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"
#include "base/digest_internal.h"
#include "base/io.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>

struct aic_sha256 {
    SHA256_CTX ctx;
};

/* out: 2 * n digits and a zero. */
static void hex_of(const unsigned char *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

aic_sha256 *aic_sha256_new(void) {
    aic_sha256 *h = AIC_NEW(aic_sha256);
    SHA256_Init(&h->ctx);
    return h;
}

void aic_sha256_add(aic_sha256 *h, const void *data, size_t len) {
    SHA256_Update(&h->ctx, data, len);
}

void aic_sha256_hex(aic_sha256 *h, char out[65]) {
    unsigned char bytes[SHA256_DIGEST_LENGTH];
    SHA256_Final(bytes, &h->ctx);
    free(h);
    hex_of(bytes, sizeof bytes, out);
}

void aic_sha256_text(const void *data, size_t len, char out[65]) {
    aic_sha256 *h = aic_sha256_new();
    aic_sha256_add(h, data, len);
    aic_sha256_hex(h, out);
}

void aic_xxh128_text(const void *data, size_t len, char out[AIC_XXH128_HEX]) {
    XXH128_canonical_t canonical;
    if (aic_xxh128_wide_works())
        aic_xxh128_wide(data, len, canonical.digest);
    else
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
    hex_of(canonical.digest, sizeof canonical.digest, out);
}

uint64_t aic_hash64(const void *data, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(data, len, seed);
}

void aic_hash128(const void *data, size_t len, uint64_t out[2]) {
    XXH128_hash_t h = XXH3_128bits(data, len);
    out[0] = h.high64;
    out[1] = h.low64;
}

bool aic_sha256_file(const char *path, char out[65], aic_error *err) {
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
    aic_sha256_hex(h, out);
    free(piece);
    aic_io_close(fd);
    return n == 0;
}

uint32_t aic_crc32(const void *data, size_t len) {
    return len ? (uint32_t)crc32_z(0, data, len)
               : 0; /* zlib takes a null pointer for a request of the start value */
}
