/* Private to base: bulk digests with wider vectors than every machine of the architecture has. */
#ifndef AICFG_BASE_DIGEST_INTERNAL_H
#define AICFG_BASE_DIGEST_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

bool aic_xxh128_wide_works(void); /* on this machine */
/* XXH3-128 in canonical form; only where that works. */
void aic_xxh128_wide(const void *data, size_t len, unsigned char out[16]);

#endif
