/* From the stored bytes of a chunk to its cells. HDF5's own filters trust what they find: a damaged stream
 * may end early and leave the library reading past its buffer. Here every length is checked. */
#include "perfdb/chunk.h"
#include "perfdb/scratch.h"
#include <libdeflate.h>
#include <pthread.h>
#include <string.h>

/* ---- fletcher32 ------------------------------------------------------------------------------- */

/* HDF5's variant: sums over big-endian words of 16 bits, an odd last byte counts as a high one. It folds its
 * sums of zero to 0 and other multiples of 65535 to 65535. */
static uint32_t fold(uint64_t sum) {
    return sum ? (uint32_t)((sum - 1) % 65535 + 1) : 0;
}

enum { LANES = 8, STEPS = 256 }; /* as many steps as the second sum of a lane can take */
typedef uint32_t pairs __attribute__((vector_size(2 * LANES))); /* two lanes in each value */

/* Both sums over STEPS * LANES words: each lane sums every LANES-th word and its own sums, `high` counts a
 * word once for itself and once for each word behind it. Words are taken in the machine's order: swapping two
 * bytes is a multiplication by 256 modulo 65535, made up for in the end. */
static void sum_run(const uint8_t *p, uint64_t *low, uint64_t *high) {
    pairs a[2] = {{0}, {0}}, b[2] = {{0}, {0}};
    for (int i = 0; i < STEPS; i++, p += sizeof(pairs)) {
        pairs w;
        memcpy(&w, p, sizeof w);
        a[0] += w & 0xffff;
        a[1] += w >> 16;
        b[0] += a[0];
        b[1] += a[1];
    }
    uint64_t sum = 0, later = 0;
    for (uint64_t k = 0; k < LANES; k++) {
        sum += a[k % 2][k / 2];
        later += LANES * (uint64_t)b[k % 2][k / 2] - k * a[k % 2][k / 2];
    }
    *high = fold(*high + (uint64_t)STEPS * LANES * *low + later * 256);
    *low = fold(*low + sum * 256);
}

static uint32_t fletcher32(const uint8_t *p, size_t n) {
    const size_t run = 2 * LANES * STEPS;
    uint64_t low = 0, high = 0;
    for (; n >= run; n -= run, p += run)
        sum_run(p, &low, &high);
    for (; n; n -= n < 2 ? n : 2, p += 2) { /* fewer than a run: no sum can overflow */
        low += (uint32_t)p[0] << 8 | (n > 1 ? p[1] : 0);
        high += low;
    }
    return fold(high) << 16 | fold(low);
}

static bool checksum_holds(const uint8_t *stored, size_t n) {
    const uint8_t *at = stored + n;
    uint32_t sum = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return sum == fletcher32(stored, n);
}

/* ---- deflate ---------------------------------------------------------------------------------- */

/* One for each thread: its tables take longer to set up than a small column to inflate. */
static _Thread_local struct libdeflate_decompressor *inflater;
static pthread_key_t at_exit; /* set where a thread has one */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_inflater(void *d) {
    libdeflate_free_decompressor(d);
}

static void make_key(void) {
    pthread_key_create(&at_exit, free_inflater);
}

static bool inflate_exactly(const uint8_t *from, size_t size, uint8_t *to, size_t bytes) {
    size_t made = 0, taken = 0;
    if (!inflater) {
        pthread_once(&once, make_key);
        inflater = libdeflate_alloc_decompressor();
        pthread_setspecific(at_exit, inflater);
    }
    bool ok = inflater && libdeflate_zlib_decompress_ex(inflater, from, size, to, bytes, &taken, &made) ==
                              LIBDEFLATE_SUCCESS;
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
    pdb_scratch scratch = pdb_scratch_begin();
    uint8_t *inflated = has[PDB_DEFLATE] && planes ? pdb_scratch_take(bytes, 1) : NULL;
    bool ok = !has[PDB_DEFLATE] || inflate_exactly(stored, size, inflated ? inflated : out, bytes);
    const uint8_t *plain = inflated ? inflated : has[PDB_DEFLATE] ? out : stored;
    if (ok && planes)
        aic_unshuffle(plain, out, cells, width);
    else if (ok && plain != out)
        memcpy(out, plain, bytes);
    pdb_scratch_end(&scratch);
    return ok;
}
