/* Digests: SHA-256 (libcrypto) for files and specs, XXH3-128 (xxHash) for bulk data, CRC-32 (zlib) for
 * journal lines. XXH3 finds accidents, at the speed of memory; it does not withstand forgery. */
#ifndef AICFG_BASE_DIGEST_H
#define AICFG_BASE_DIGEST_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef struct aic_sha256 aic_sha256;
aic_sha256 *aic_sha256_new(void);
void aic_sha256_add(aic_sha256 *h, const void *data, size_t len);
void aic_sha256_hex(aic_sha256 *h, char out[65]); /* finishes and frees */
void aic_sha256_text(const void *data, size_t len, char out[65]);
enum { AIC_XXH128_HEX = 33 };
void aic_xxh128_text(const void *data, size_t len, char out[AIC_XXH128_HEX]); /* canonical form */
/* A hash for tables in memory: the same on every machine of one byte order. */
uint64_t aic_hash64(const void *data, size_t len, uint64_t seed);
void aic_hash128(const void *data, size_t len, uint64_t out[2]); /* where a hash stands for the data itself */
bool aic_sha256_file(const char *path, char out[65], aic_error *err); /* of its bytes; AIC_IO */
/* Over names and contents of the .yaml and .json files below a folder, but those whose name or folder begins
 * with a dot. */
bool aic_sha256_tree(const char *folder, char out[65], aic_error *err);
uint32_t aic_crc32(const void *data, size_t len);

#endif
