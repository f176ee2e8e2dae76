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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define SEAL_FORM "aicfg-end 1 length=%016" PRIx64 " crc32=%08" PRIx32
enum { PIECE = 1 << 18, RANGE_LEAST = 4 << 20, RANGES_MOST = 256, SEAL_TEXT = RES_SEAL_BYTES + 1 };

static void write_line(char out[SEAL_TEXT], const res_seal *s) {
    int n = snprintf(out, SEAL_TEXT, SEAL_FORM, s->length, s->crc);
    snprintf(out + n, SEAL_TEXT - (size_t)n, " crc=%08" PRIx32 "\n", aic_crc32(out, (size_t)n));
}

static bool io_fail(const char *path, const char *what, aic_error *err) {
    return aic_fail(err, AIC_IO, "%s: cannot be %s: %s", path, what, strerror(errno));
}

/* CRC-32 of n bytes from `at` on. */
static bool crc_of_range(int fd, uint8_t *piece, uint64_t at, uint64_t n, uint32_t *crc) {
    *crc = 0;
    while (n > 0) {
        ssize_t got = aic_io_read_at(fd, piece, n < PIECE ? (size_t)n : PIECE, (off_t)at);
        if (got <= 0)
            return false;
        *crc = libdeflate_crc32(*crc, piece, (size_t)got);
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return true;
}

/* CRC-32 of the first n bytes: ranges side by side, beside(context) before them. */
static bool crc_of(int fd, const char *path, uint64_t n, void (*beside)(void *), void *context, uint32_t *crc,
                   aic_error *err) {
    uint64_t each = n / RANGES_MOST + 1 > RANGE_LEAST ? n / RANGES_MOST + 1 : RANGE_LEAST;
    int ranges = (int)((n + each - 1) / each), failed = 0;
    uint32_t part[RANGES_MOST];
#pragma omp parallel for schedule(dynamic, 1) reduction(max : failed) if (ranges > 1)
    for (int i = beside ? -1 : 0; i < ranges; i++) {
        if (i < 0) {
            beside(context);
            continue;
        }
        uint8_t *piece = aic_alloc(PIECE, 1);
        uint64_t at = each * (uint64_t)i;
        if (!crc_of_range(fd, piece, at, n - at < each ? n - at : each, &part[i]))
            failed = errno ? errno : EIO;
        free(piece);
    }
    *crc = 0;
    for (int i = 0; i < ranges; i++)
        *crc =
            (uint32_t)crc32_combine(*crc, part[i], (z_off_t)(i + 1 < ranges ? each : n - each * (uint64_t)i));
    errno = failed;
    return !failed || io_fail(path, "read", err);
}

static bool size_of(int fd, const char *path, uint64_t *bytes, aic_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return io_fail(path, "read", err);
    *bytes = (uint64_t)st.st_size;
    return true;
}

static bool append(int fd, const char *path, const res_seal *s, aic_error *err) {
    char line[SEAL_TEXT];
    write_line(line, s);
    if (!aic_io_write_at(fd, line, RES_SEAL_BYTES, (off_t)s->length))
        return io_fail(path, "written", err);
    return aic_io_sync(fd) || io_fail(path, "synced to disk", err);
}

bool res_seal_put(const char *path, void (*beside)(void *), void *context, aic_error *err) {
    int fd = aic_io_open(path, O_RDWR, 0);
    if (fd < 0)
        return io_fail(path, "opened", err);
    res_seal s;
    bool ok = size_of(fd, path, &s.length, err);
    if (ok)
        aic_io_start_sync(fd, 0, (off_t)s.length); /* the disk works while the bytes are read */
    ok = ok && crc_of(fd, path, s.length, beside, context, &s.crc, err) && append(fd, path, &s, err);
    return (aic_io_close(fd) || (ok && io_fail(path, "closed", err))) && ok;
}

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
    uint32_t crc;
    bool ok =
        read_seal(fd, path, &s, err) && crc_of(fd, path, s.length, NULL, NULL, &crc, err) &&
        (crc == s.crc || aic_fail(err, AIC_BAD_INPUT, "%s: its bytes are not those that were sealed", path));
    aic_io_close(fd);
    return ok;
}
