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

#define SEAL_FORM "aicfg-end 1 length=%016" PRIx64 " crc32=%08" PRIx32
enum { PIECE = 1 << 18, SEAL_TEXT = RES_SEAL_BYTES + 1 };

static void write_line(char out[SEAL_TEXT], const res_seal *s) {
    int n = snprintf(out, SEAL_TEXT, SEAL_FORM, s->length, s->crc);
    snprintf(out + n, SEAL_TEXT - (size_t)n, " crc=%08" PRIx32 "\n", aic_crc32(out, (size_t)n));
}

static bool io_fail(const char *path, const char *what, aic_error *err) {
    return aic_fail(err, AIC_IO, "%s: cannot be %s: %s", path, what, strerror(errno));
}

/* CRC-32 of the first n bytes. */
static bool crc_of(int fd, const char *path, uint64_t n, uint32_t *crc, aic_error *err) {
    uint8_t *piece = aic_alloc(PIECE, 1);
    uint64_t at = 0;
    *crc = 0;
    while (at < n) {
        size_t want = n - at < PIECE ? (size_t)(n - at) : PIECE;
        ssize_t got = aic_io_read_at(fd, piece, want, (off_t)at);
        if (got <= 0)
            break;
        *crc = libdeflate_crc32(*crc, piece, (size_t)got);
        at += (uint64_t)got;
    }
    free(piece);
    return at == n || io_fail(path, "read", err);
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

bool res_seal_put(const char *path, aic_error *err) {
    int fd = aic_io_open(path, O_RDWR, 0);
    if (fd < 0)
        return io_fail(path, "opened", err);
    res_seal s;
    bool ok = size_of(fd, path, &s.length, err) && crc_of(fd, path, s.length, &s.crc, err) &&
              append(fd, path, &s, err);
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
        read_seal(fd, path, &s, err) && crc_of(fd, path, s.length, &crc, err) &&
        (crc == s.crc || aic_fail(err, AIC_BAD_INPUT, "%s: its bytes are not those that were sealed", path));
    aic_io_close(fd);
    return ok;
}
