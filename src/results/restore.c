/* Continuing a sweep from what an earlier run left in NAME.part.
 *
 * The journal says which chunk files there are; each is read and compared with its digest before anything in
 * it counts. What does not verify, and what follows it, is cut off with a message and computed again. The
 * writer then stands as it stood when the last file that is left was closed: stripes and their digests from
 * all files, everything else from the last.
 */
#include "results/file.h"
#include "results/writer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct found {
    res_journal_head head;
    res_journal_chunk *chunks;
    size_t n;    /* chunk files that verify */
    size_t lost; /* bytes of the journal that do not count */
} found;

static void chunk_path(const res_writer *w, uint64_t index, char out[RES_PATH_MAX]) {
    char name[32];
    res_chunk_name(index, name);
    res_part_path(&w->part, name, out);
}

/* ---- what there is ----------------------------------------------------------------------------------- */

/* Reads the journal. One that cannot be read, or of another version of the format, is somebody's work all the
 * same: no reason to start anew. */
static bool read_journal(const char *path, found *f, aic_error *err) {
    static const char name[] = "aicfg-journal ";
    aic_buf text = {0};
    char why[AIC_ERROR_TEXT];
    bool ok = true;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    if (!aic_read_file(path, RES_JOURNAL_MAX, &text, why, sizeof why))
        ok = aic_fail(err, AIC_IO, "%s", why);
    else if (!res_journal_read(path, &f->head, &f->chunks, &f->n, &f->lost) && text.len > sizeof name &&
             memcmp(text.data, name, sizeof name - 1) == 0 &&
             memcmp(text.data + sizeof name - 1, "1 ", 2) != 0)
        ok = aic_fail(err, AIC_BAD_INPUT, "its journal is of another version");
    aic_buf_free(&text);
    return ok;
}

/* 1 the file is as it was journalled, 0 it is missing or damaged, -1 it cannot be read. */
static int verify(const char *path, const res_journal_chunk *c, aic_error *err) {
    char sha256[65];
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    if (!aic_sha256_file(path, sha256, err))
        return -1;
    return strcmp(sha256, c->sha256) == 0;
}

/* Cuts the list at the first chunk file that does not verify. */
static bool verify_all(const res_writer *w, found *f, aic_error *err) {
    char path[RES_PATH_MAX];
    size_t n = f->n;
    for (size_t i = 0; i < n; i++) {
        chunk_path(w, i, path);
        int state = verify(path, &f->chunks[i], err);
        if (state < 0)
            return false;
        if (state == 0) {
            aic_warn("%s is missing or damaged; points from %llu on are computed again", path,
                     (unsigned long long)f->chunks[i].first_point);
            f->n = i;
            return true;
        }
    }
    return true;
}

static bool refuse(const res_writer *w, aic_error *err) {
    return aic_fail_in(err, "%s cannot be continued (give --force without --resume to start over)",
                       w->part.dir);
}

static bool same_head(const res_writer *w, const res_journal_head *then, aic_error *err) {
    res_journal_head now = res_writer_head(w);
    if (then->deflate != now.deflate)
        return aic_fail(err, AIC_BAD_INPUT, "its deflate level is %d, now %d is asked for", then->deflate,
                        now.deflate);
    if (then->breakdown != now.breakdown)
        return aic_fail(err, AIC_BAD_INPUT, "it was made %s breakdowns, now they are %s",
                        then->breakdown ? "with" : "without", now.breakdown ? "asked for" : "left out");
    if (then->first_point != now.first_point)
        return aic_fail(err, AIC_BAD_INPUT, "it starts at point %llu, now %llu is asked for",
                        (unsigned long long)then->first_point, (unsigned long long)now.first_point);
    return true;
}

static bool same_sweep(const res_writer *w, const found *f, aic_error *err) {
    char path[RES_PATH_MAX];
    res_in in;
    chunk_path(w, 0, path);
    bool ok = res_in_open(&in, path, err) && res_writer_same_inputs(w, &in, err);
    res_in_close(&in);
    return ok && same_head(w, &f->head, err);
}

/* ---- state ------------------------------------------------------------------------------------------- */

static bool restore_tables(res_writer *w, const char *path, aic_error *err) {
    res_in in;
    bool ok = res_in_open(&in, path, err) && res_deployments_restore(&w->deployments, &in, w->codec, err) &&
              res_reasons_restore(&w->reasons, &in, w->codec, err);
    res_in_close(&in);
    return ok;
}

static bool restore_state(res_writer *w, const found *f, aic_error *err) {
    char path[RES_PATH_MAX];
    const res_journal_chunk *last = &f->chunks[f->n - 1];
    uint64_t rows[RES_STREAMS] = {0};
    for (size_t i = 0; i < f->n; i++) {
        chunk_path(w, i, path);
        if (!res_chunk_count(path, w->streams, err))
            return false;
        for (int s = 0; s < SRV_STATUS_COUNT; s++)
            w->by_status[s] += f->chunks[i].by_status[s];
        rows[RES_G_POINTS] += f->chunks[i].points;
        rows[RES_G_BREAKDOWN] += f->chunks[i].rows;
    }
    if (!res_chunk_tail(path, w->streams, rows, err) || !restore_tables(w, path, err))
        return false;
    w->points = last->first_point + last->points;
    w->rows = last->first_row + last->rows;
    w->resumed = rows[RES_G_POINTS];
    w->n_chunks = f->n;
    w->ahead = (res_journal_chunk){.first_point = w->points, .first_row = w->rows};
    for (int g = 0; g < RES_STREAMS; g++)
        w->streams[g].base = w->streams[g].stripes;
    return true;
}

/* ---- all together ------------------------------------------------------------------------------------ */

static bool start_anew(const res_writer *w, const char *journal, const found *f) {
    if (f->lost || access(journal, F_OK) == 0)
        aic_warn("%s holds nothing that could be continued; starting anew", w->part.dir);
    res_part_clear(&w->part, 0);
    return true;
}

/* What the journal and the folder hold beyond the last good chunk file goes. */
static bool cut(const res_writer *w, const found *f, size_t journalled, aic_error *err) {
    if (f->lost)
        aic_warn("%s/journal: %zu bytes at its end are not whole and were cut off", w->part.dir, f->lost);
    if ((f->lost || f->n < journalled) && !res_journal_write(&w->part, &f->head, f->chunks, f->n, err))
        return false;
    res_part_clear(&w->part, f->n);
    return true;
}

bool res_writer_restore(res_writer *w, aic_error *err) {
    char journal[RES_PATH_MAX];
    found f = {.n = 0};
    res_part_path(&w->part, "journal", journal);
    if (!read_journal(journal, &f, err))
        return refuse(w, err);
    size_t journalled = f.n;
    bool ok = verify_all(w, &f, err);
    if (ok && f.n == 0)
        ok = start_anew(w, journal, &f);
    else if (ok)
        ok = (same_sweep(w, &f, err) && restore_state(w, &f, err)) ? cut(w, &f, journalled, err)
                                                                   : refuse(w, err);
    free(f.chunks);
    return ok;
}

/* ---- a result that is there already ------------------------------------------------------------------ */

static bool is_done(res_writer *w, res_file *f, aic_error *err) {
    if (!f->complete)
        return aic_fail(err, AIC_BAD_INPUT, "it is not complete");
    if (!res_file_summary(f, &w->found, err) || !res_writer_same_inputs(w, &f->in, err))
        return false;
    bool with = w->found.rows > 0;
    return w->found.by_status[SRV_ST_ok] == 0 || with == w->opt.breakdown ||
           aic_fail(err, AIC_BAD_INPUT, "it was made %s breakdowns", with ? "with" : "without");
}

bool res_writer_is_done(res_writer *w, aic_error *err) {
    res_file *f = res_open(w->part.final, err);
    if (f && is_done(w, f, err)) {
        w->already = true;
        w->resumed = w->points = w->found.points;
        memcpy(w->by_status, w->found.by_status, sizeof w->by_status);
    } else {
        aic_fail_in(err,
                    "%s exists and is not the result of this run (give --force to replace it, or choose "
                    "another output)",
                    w->part.final);
    }
    res_close(f);
    return w->already;
}
