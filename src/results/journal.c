/* The journal of a sweep with chunk files: text, append-only, one line per finished chunk file, each with a
 * CRC-32.
 *
 *   aicfg-journal 1 spec=<sha256> total=<n> first=<n> deflate=<n> breakdown=<0|1> crc=<8 hex digits>
 *   chunk <k> points=<first>+<n> rows=<first>+<n> ok=<n> missing=<n> ... sha256=<of the file> crc=<8 hex
 * digits>
 *
 * A line counts when it is whole, its CRC fits and it continues where the line before ended; whatever follows
 * the first one that does not was lost in a crash.
 */
#include "results/h5.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

/* ---- writing ----------------------------------------------------------------------------------------- */

static void seal(aic_buf *line) {
    aic_buf_printf(line, " crc=%08x\n", (unsigned)aic_crc32(line->data, line->len));
}

static bool write_text(const char *path, int flags, const aic_buf *text, aic_error *err) {
    int fd = aic_io_open(path, O_WRONLY | flags, 0666);
    bool ok = fd >= 0 && aic_io_write(fd, text->data, text->len) && aic_io_sync(fd);
    if (!ok)
        aic_fail(err, AIC_IO, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0 && !aic_io_close(fd) && ok)
        ok = aic_fail(err, AIC_IO, "cannot close %s: %s", path, strerror(errno));
    return ok;
}

static void head_text(const res_journal_head *h, aic_buf *line) {
    aic_buf_printf(line, "aicfg-journal 1 spec=%s total=%llu first=%llu deflate=%d breakdown=%d", h->spec,
                   (ull)h->total_points, (ull)h->first_point, h->deflate, (int)h->breakdown);
    seal(line);
}

static void chunk_text(uint64_t index, const res_journal_chunk *c, aic_buf *line) {
    aic_buf_printf(line, "chunk %llu points=%llu+%llu rows=%llu+%llu", (ull)index, (ull)c->first_point,
                   (ull)c->points, (ull)c->first_row, (ull)c->rows);
    for (int s = 0; s < SRV_STATUS_COUNT; s++)
        aic_buf_printf(line, " %s=%llu", res_enum_name(RES_D_STATUS, (size_t)s), (ull)c->by_status[s]);
    aic_buf_printf(line, " sha256=%s", c->sha256);
    seal(line);
}

bool res_journal_write(const res_part *p, const res_journal_head *h, const res_journal_chunk *chunks,
                       size_t n, aic_error *err) {
    char path[RES_PATH_MAX], temporary[RES_PATH_MAX];
    aic_buf text = {0}, line = {0};
    res_part_path(p, "journal", path);
    res_part_path(p, "journal.tmp", temporary);
    head_text(h, &text);
    for (size_t i = 0; i < n; i++) {
        aic_buf_clear(&line);
        chunk_text(i, &chunks[i], &line);
        aic_buf_addn(&text, line.data, line.len);
    }
    bool ok =
        write_text(temporary, O_CREAT | O_TRUNC, &text, err) && res_publish(temporary, path, p->dir, err);
    aic_buf_free(&line);
    aic_buf_free(&text);
    return ok;
}

bool res_journal_append(const char *path, uint64_t index, const res_journal_chunk *c, aic_error *err) {
    aic_buf line = {0};
    chunk_text(index, c, &line);
    bool ok = write_text(path, O_APPEND, &line, err);
    aic_buf_free(&line);
    return ok;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* Takes the values out of a line and writes the line again: one that differs in any byte does not count. */
static const char *after(const char *line, const char *key) {
    const char *at = strstr(line, key);
    return at ? at + strlen(key) : "";
}

static uint64_t number_after(const char *line, const char *key) {
    return strtoull(after(line, key), NULL, 10);
}

static void digest_after(const char *line, const char *key, char out[65]) {
    snprintf(out, 65, "%.64s", after(line, key));
}

static bool same(const char *line, size_t len, aic_buf *again) {
    bool equal = again->len == len && memcmp(again->data, line, len) == 0;
    aic_buf_free(again);
    return equal;
}

static bool read_head(const char *line, size_t len, res_journal_head *h) {
    aic_buf again = {0};
    digest_after(line, " spec=", h->spec);
    h->total_points = number_after(line, " total=");
    h->first_point = number_after(line, " first=");
    h->deflate = (int)(number_after(line, " deflate=") & 0xff);
    h->breakdown = number_after(line, " breakdown=") == 1;
    head_text(h, &again);
    return same(line, len, &again);
}

static bool read_chunk(const char *line, size_t len, uint64_t index, res_journal_chunk *c) {
    aic_buf again = {0};
    char key[64];
    c->first_point = number_after(line, " points=");
    c->points = number_after(after(line, " points="), "+");
    c->first_row = number_after(line, " rows=");
    c->rows = number_after(after(line, " rows="), "+");
    for (int s = 0; s < SRV_STATUS_COUNT; s++) {
        snprintf(key, sizeof key, " %s=", res_enum_name(RES_D_STATUS, (size_t)s));
        c->by_status[s] = number_after(line, key);
    }
    digest_after(line, " sha256=", c->sha256);
    chunk_text(index, c, &again);
    return same(line, len, &again);
}

static bool follows(const res_journal_chunk *c, const res_journal_chunk *before) {
    uint64_t point = before ? before->first_point + before->points : 0,
             row = before ? before->first_row + before->rows : 0;
    uint64_t counted = 0;
    for (int s = 0; s < SRV_STATUS_COUNT; s++)
        counted += c->by_status[s];
    return c->first_point == point && c->first_row == row && counted == c->points;
}

/* A line is handed over NUL-terminated, its newline included in len. */
static bool take_line(char *line, size_t len, res_journal_head *h, bool *has_head, res_journal_chunk **chunks,
                      size_t *n, size_t *cap) {
    if (!*has_head)
        return *has_head = read_head(line, len, h);
    AIC_GROW(*chunks, *n, *cap);
    res_journal_chunk *c = &(*chunks)[*n];
    if (!read_chunk(line, len, *n, c) || !follows(c, *n ? c - 1 : NULL))
        return false;
    ++*n;
    return true;
}

bool res_journal_read(const char *path, res_journal_head *h, res_journal_chunk **chunks, size_t *n,
                      size_t *lost) {
    aic_buf text = {0};
    char why[256];
    bool has_head = false;
    size_t cap = 0, kept = 0;
    *h = (res_journal_head){0};
    *chunks = NULL;
    *n = 0;
    /* A power loss can leave zeros where a line should be: they end the text, and what precedes them counts.
     */
    if (aic_read_file(path, RES_JOURNAL_MAX, &text, why, sizeof why))
        for (char *at = text.data, *end; at && (end = strchr(at, '\n')); at = end + 1) {
            size_t len = (size_t)(end - at) + 1;
            char *line = aic_alloc(len + 1, 1);
            memcpy(line, at, len);
            line[len] = '\0';
            bool ok = take_line(line, len, h, &has_head, chunks, n, &cap);
            free(line);
            if (!ok)
                break;
            kept += len;
        }
    *lost = text.len - kept;
    aic_buf_free(&text);
    if (!has_head) {
        free(*chunks);
        *chunks = NULL;
        *n = 0;
    }
    return has_head;
}
