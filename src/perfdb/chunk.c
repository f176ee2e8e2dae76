/* From the stored bytes of a chunk to its cells. HDF5's own filters trust what they find: a damaged stream
 * may end early and leave the library reading past its buffer. Here every length is checked. */
#include "perfdb/chunk.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

/* ---- fletcher32 ------------------------------------------------------------------------------- */

/* HDF5's variant: sums over big-endian words of 16 bits, an odd last byte counts as a high one. */
static uint32_t fletcher32(const uint8_t *p, size_t n) {
    uint32_t low = 0, high = 0;
    size_t words = n / 2;
    while (words) {
        size_t run = words < 360 ? words : 360; /* as many as cannot overflow */
        words -= run;
        for (; run; run--, p += 2) {
            low += (uint32_t)p[0] << 8 | p[1];
            high += low;
        }
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    if (n % 2) {
        low += (uint32_t)*p << 8;
        high += low;
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    low = (low & 0xffff) + (low >> 16);
    high = (high & 0xffff) + (high >> 16);
    return high << 16 | low;
}

static bool checksum_holds(const uint8_t *stored, size_t n) {
    const uint8_t *at = stored + n;
    uint32_t sum = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return sum == fletcher32(stored, n);
}

/* ---- deflate ---------------------------------------------------------------------------------- */

static bool inflate_exactly(const uint8_t *from, size_t size, uint8_t *to, size_t bytes) {
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    size_t made = 0, taken = 0;
    bool ok =
        d && libdeflate_zlib_decompress_ex(d, from, size, to, bytes, &taken, &made) == LIBDEFLATE_SUCCESS;
    libdeflate_free_decompressor(d);
    return ok && made == bytes && taken == size;
}

/* ---- chunks ----------------------------------------------------------------------------------- */

bool pdb_chunk_decode(const pdb_filters *filters, uint32_t skipped, const uint8_t *stored, size_t size,
                      size_t cells, size_t width, uint8_t *out) {
    bool has[PDB_FILTERS];
    size_t bytes = aic_mul(cells, width);
    for (int i = 0, at = 0; i < PDB_FILTERS; i++) {
        has[i] = filters->used[i] && !(skipped >> at & 1);
        at += filters->used[i];
    }
    if (has[PDB_FLETCHER32]) {
        if (size < 4 || !checksum_holds(stored, size - 4))
            return false;
        size -= 4;
    }
    if (!has[PDB_DEFLATE] && size != bytes)
        return false;
    bool planes = has[PDB_SHUFFLE] && width > 1;
    uint8_t *inflated = has[PDB_DEFLATE] && planes ? aic_alloc(bytes, 1) : NULL;
    bool ok = !has[PDB_DEFLATE] || inflate_exactly(stored, size, inflated ? inflated : out, bytes);
    const uint8_t *plain = inflated ? inflated : has[PDB_DEFLATE] ? out : stored;
    if (ok && planes)
        aic_unshuffle(plain, out, cells, width);
    else if (ok && plain != out)
        memcpy(out, plain, bytes);
    free(inflated);
    return ok;
}
