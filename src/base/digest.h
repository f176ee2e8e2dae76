/* Digests: SHA-256 (libcrypto) for files and specs, CRC-32 (zlib) for journal lines. */
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
bool aic_sha256_file(const char *path, char out[65], aic_error *err); /* of its bytes; AIC_IO */
/* Over names and contents of the .yaml and .json files below a folder, but those whose name or folder begins
 * with a dot. */
bool aic_sha256_tree(const char *folder, char out[65], aic_error *err);
uint32_t aic_crc32(const void *data, size_t len);

#endif
