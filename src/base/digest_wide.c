/* XXH3 compiled once more, with vectors of 32 bytes: libxxhash has the 16 that every x86-64 machine has, and
 * takes two to three times as long. Other compilers and architectures have what libxxhash has. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2")
#define WIDE 1
#include <immintrin.h>
#endif
#define XXH_INLINE_ALL
#include "base/digest_internal.h"
#include <xxhash.h>

bool aic_xxh128_wide_works(void) {
#ifdef WIDE
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}

void aic_xxh128_wide(const void *data, size_t len, unsigned char out[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
    for (size_t i = 0; i < sizeof canonical.digest; i++)
        out[i] = canonical.digest[i];
#ifdef WIDE
    _mm256_zeroupper(); /* gcc 12 leaves it out, and all vectors of 16 bytes are slow from then on */
#endif
}
