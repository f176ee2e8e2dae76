/* The seal: one line of fixed length behind HDF5's last byte, with the length and the CRC-32 of all bytes
 * before it.
 *
 * HDF5's metadata and deflate's streams carry checksums of their own, but the space between objects, the
 * global heap and a chunk's unused tail do not, and nothing in HDF5 says how long a file was meant to be. A
 * line at the end costs one reading of pages that were just written, readers of HDF5 pass over it, and a
 * program that edits the file cuts it off when it closes it, so that a seal never outlives the bytes it
 * speaks of. CRC-32 finds every error that spans less than 33 bits; what is spread wider meets the datasets'
 * SHA-256, too.
 */
#include "results/h5.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define SEAL_FORM "aicfg-end 1 length=%016" PRIx64 " crc32=%08" PRIx32
enum { PIECE = 1 << 18, SEAL_TEXT = RES_SEAL_BYTES + 1 };

static void write_line(char out[SEAL_TEXT], const res_seal *s) {
    int n = snprintf(out, SEAL_TEXT, SEAL_FORM, s->length, s->crc);
    snprintf(out + n, SEAL_TEXT - (size_t)n, " crc=%08" PRIx32 "\n", aic_crc32(out, (size_t)n));
}

static bool io_fail(const char *path, const char *what, aic_error *err) {
    return aic_fail(err, AIC_IO, "%s: cannot be %s: %s", path, what, strerror(errno));
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* Ranges of one file that a team reads. */
typedef struct reading {
    int fd;
    res_seal_range *list;
    size_t n, cap;
    atomic_size_t left;              /* ranges nobody has read yet */
    atomic_int failed;               /* errno of a call that failed, 0 = none */
    void (*last)(struct reading *r); /* called when all are read, by whoever read the last; NULL = nothing */
} reading;

static bool read_range(int fd, uint8_t *piece, res_seal_range *r) {
    r->crc = 0;
    for (uint64_t at = r->first; at < r->end;) {
        const uint64_t left = r->end - at;
        ssize_t got = aic_io_read_at(fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)at);
        if (got <= 0)
            return false;
        r->crc = libdeflate_crc32(r->crc, piece, (size_t)got);
        at += (uint64_t)got;
    }
    return true;
}

static void read_ranges(reading *r) {
    uint8_t *piece = aic_alloc(PIECE, 1);
#pragma omp for schedule(dynamic, 1) nowait
    for (size_t i = 0; i < r->n; i++) {
        if (r->list[i].read)
            continue;
        errno = 0;
        r->list[i].read = read_range(r->fd, piece, &r->list[i]);
        if (!r->list[i].read)
            atomic_store(&r->failed, errno ? errno : EIO);
        if (atomic_fetch_sub(&r->left, 1) == 1 && r->last)
            r->last(r);
    }
    free(piece);
}

/* Reads what is not read yet. beside NULL: of a file that is not being written. */
static void read_all(reading *r, unsigned threads, const res_beside *beside) {
    size_t left = 0;
    for (size_t i = 0; i < r->n; i++)
        left += !r->list[i].read;
    atomic_init(&r->left, left);
    const off_t from = r->n ? (off_t)r->list[0].first : 0, end = r->n ? (off_t)r->list[r->n - 1].end : 0;
    if (left == 0 && r->last)
        r->last(r);
#pragma omp parallel num_threads((int)threads) if (threads > 1 && (beside || left > 1))
    {
#pragma omp single nowait
        if (beside && beside->call)
            beside->call(beside->context);
#pragma omp single nowait
        if (beside) /* the disk works while the bytes are read */
            aic_io_start_sync(r->fd, from, end - from);
        read_ranges(r);
    }
}

size_t res_seal_pieces(res_seal_range **list, size_t n, size_t *cap, uint64_t first, uint64_t end) {
    for (uint64_t at = first; at < end; at += RES_SEAL_PIECE) {
        AIC_GROW(*list, n, *cap);
        (*list)[n++] =
            (res_seal_range){.first = at, .end = end - at < RES_SEAL_PIECE ? end : at + RES_SEAL_PIECE};
    }
    return n;
}

static void add_pieces(reading *r, uint64_t first, uint64_t end) {
    r->n = res_seal_pieces(&r->list, r->n, &r->cap, first, end);
}

static void add(reading *r, res_seal_range range) {
    AIC_GROW(r->list, r->n, r->cap);
    r->list[r->n++] = range;
}

/* CRC of all ranges, one behind the other. */
static uint32_t crc_of(const reading *r) {
    uint32_t crc = 0;
    for (size_t i = 0; i < r->n; i++)
        crc = (uint32_t)crc32_combine(crc, r->list[i].crc, (z_off_t)(r->list[i].end - r->list[i].first));
    return crc;
}

static bool was_read(const reading *r, const char *path, aic_error *err) {
    errno = r->failed;
    return !errno || io_fail(path, "read", err);
}

/* ---- sealing ----------------------------------------------------------------------------------------- */

static bool size_of(int fd, const char *path, uint64_t *bytes, aic_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return io_fail(path, "read", err);
    *bytes = (uint64_t)st.st_size;
    return true;
}

bool res_seal_begin(const char *path, res_seal_range *list, size_t n, unsigned threads,
                    const res_beside *beside, aic_error *err) {
    reading r = {.fd = aic_io_open(path, O_RDONLY, 0), .list = list, .n = n};
    if (r.fd < 0)
        return io_fail(path, "opened", err);
    read_all(&r, threads, beside);
    aic_io_close(r.fd); /* read only: nothing can be lost */
    return was_read(&r, path, err);
}

/* A file on its way to its seal. */
typedef struct sealing {
    reading r; /* first: what its last() is given */
    res_seal seal;
    int failed; /* errno of a call that failed when all was read, 0 = none */
} sealing;

static void append(reading *r) {
    sealing *s = (sealing *)r;
    char line[SEAL_TEXT];
    if (r->failed)
        return;
    s->seal.crc = crc_of(r);
    write_line(line, &s->seal);
    if (!aic_io_write_at(r->fd, line, RES_SEAL_BYTES, (off_t)s->seal.length) || !aic_io_sync(r->fd))
        s->failed = errno;
}

bool res_seal_put(const char *path, const res_seal_range *list, size_t n, unsigned threads,
                  const res_beside *beside, aic_error *err) {
    int fd = aic_io_open(path, O_RDWR, 0);
    if (fd < 0)
        return io_fail(path, "opened", err);
    sealing s = {.r = {.fd = fd, .last = append}};
    bool ok = size_of(fd, path, &s.seal.length, err);
    if (ok) {
        uint64_t at = 0;
        for (size_t i = 0; i < n; at = list[i++].end) {
            add_pieces(&s.r, at, list[i].first);
            add(&s.r, list[i]);
        }
        add_pieces(&s.r, at, s.seal.length);
        read_all(&s.r, threads, beside);
        ok = was_read(&s.r, path, err);
        errno = s.failed;
        ok = ok && (!errno || io_fail(path, "sealed", err));
    }
    free(s.r.list);
    return (aic_io_close(fd) || (ok && io_fail(path, "closed", err))) && ok;
}

/* ---- looking at a seal ------------------------------------------------------------------------------- */

/* The line is what this program would write: of its numbers no other form passes. */
static bool parse(const char line[SEAL_TEXT], res_seal *out) {
    char again[SEAL_TEXT];
    if (sscanf(line, "aicfg-end 1 length=%16" SCNx64 " crc32=%8" SCNx32, &out->length, &out->crc) != 2)
        return false;
    write_line(again, out);
    return memcmp(again, line, RES_SEAL_BYTES) == 0;
}

static bool read_seal(int fd, const char *path, res_seal *out, aic_error *err) {
    uint64_t bytes = 0;
    char line[SEAL_TEXT] = "";
    if (!size_of(fd, path, &bytes, err))
        return false;
    bool whole = bytes > RES_SEAL_BYTES &&
                 aic_io_read_at(fd, line, RES_SEAL_BYTES, (off_t)(bytes - RES_SEAL_BYTES)) == RES_SEAL_BYTES;
    if (!whole || !parse(line, out))
        return aic_fail(
            err, AIC_BAD_INPUT,
            "%s: the seal at its end is missing or damaged: the file was cut off, damaged or changed "
            "by another program",
            path);
    return out->length == bytes - RES_SEAL_BYTES ||
           aic_fail(err, AIC_BAD_INPUT, "%s: sealed at %" PRIu64 " bytes, found %" PRIu64, path, out->length,
                    bytes - RES_SEAL_BYTES);
}

bool res_seal_read(const char *path, res_seal *out, aic_error *err) {
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return io_fail(path, "opened", err);
    bool ok = read_seal(fd, path, out, err);
    aic_io_close(fd);
    return ok;
}

bool res_seal_check(const char *path, aic_error *err) {
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return io_fail(path, "opened", err);
    res_seal s;
    reading r = {.fd = fd};
    bool ok = read_seal(fd, path, &s, err);
    if (ok) {
        add_pieces(&r, 0, s.length);
        read_all(&r, (unsigned)omp_get_max_threads(), NULL);
        ok = was_read(&r, path, err) &&
             (crc_of(&r) == s.crc ||
              aic_fail(err, AIC_BAD_INPUT, "%s: its bytes are not those that were sealed", path));
    }
    free(r.list);
    aic_io_close(fd);
    return ok;
}
