/* Taking points in order: rows to columns, full stripes to the open file, a chunk file every so often. */
#include "results/writer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILE "open.tmp"

/* ---- opening ----------------------------------------------------------------------------------------- */

static const char *copy(res_writer *w, const char *text) {
    return aic_arena_strdup(w->arena, text ? text : "");
}

static void copy_origin(res_writer *w, const res_origin *o) {
    aic_buf lines = {0};
    w->origin = *o;
    w->origin.spec_text = o->spec_text ? o->spec_text : "";
    w->origin.spec_name = copy(w, o->spec_name);
    w->origin.overrides = copy(w, o->overrides);
    w->origin.command_line = copy(w, o->command_line);
    w->origin.program = copy(w, o->program);
    w->origin.build = copy(w, o->build);
    w->origin.data = copy(w, o->data);
    res_databases_text(o, &lines);
    w->databases = copy(w, lines.data);
    w->origin.databases = NULL;
    aic_buf_free(&lines);
    aic_sha256_text(w->origin.spec_text, strlen(w->origin.spec_text), w->spec_sha256);
}

static bool check_options(const res_writer_options *opt, aic_error *err) {
    if (!(opt->checkpoint_s >= 0))
        return aic_fail(err, AIC_BAD_INPUT, "the checkpoint interval must not be negative");
    if (opt->top > RES_TOP_MAX || (opt->top && !opt->breakdown))
        return aic_fail(err, AIC_BAD_INPUT, "at most %d ops of a point can be chosen, of a breakdown",
                        RES_TOP_MAX);
    if (!opt->breakdown && opt->precision != RES_PRECISION_f64)
        return aic_fail(err, AIC_BAD_INPUT,
                        "a precision of breakdowns was given, and no breakdown is stored");
    if (opt->deflate < 0 || opt->deflate > 9)
        return aic_fail(err, AIC_BAD_INPUT, "the deflate level must be from 0 to 9, found %d", opt->deflate);
    return true;
}

/* Chunk files that an interrupted run left are work done: they go only when told so. */
static bool clear_leftovers(const res_writer *w, aic_error *err) {
    char path[RES_PATH_MAX];
    res_journal_head head;
    res_journal_chunk *chunks;
    size_t n, lost;
    res_part_path(&w->part, "journal", path);
    res_journal_read(path, &head, &chunks, &n, &lost);
    uint64_t end = n ? chunks[n - 1].first_point + chunks[n - 1].points : 0;
    free(chunks);
    if (end > 0 && !w->opt.force)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s holds %llu points of an interrupted run; give --resume to go on with it, --force "
                        "to start over, or choose another output",
                        w->part.dir, (unsigned long long)end);
    res_part_clear(&w->part, 0);
    return true;
}

/* What there is already: nothing, part of the sweep, or all of it. */
static bool take_stock(res_writer *w, aic_error *err) {
    if (!w->opt.resume)
        return clear_leftovers(w, err);
    if (!w->opt.force && access(w->part.final, F_OK) == 0)
        return res_writer_is_done(w, err);
    return res_writer_restore(w, err);
}

static void free_writer(res_writer *w) {
    res_codec_free(w->codec);
    res_press_free(w->press);
    for (int g = 0; g < RES_STREAMS; g++)
        res_stream_free(&w->streams[g]);
    res_deployments_free(&w->deployments);
    res_reasons_free(&w->reasons);
    aic_buf_free(&w->stripes.order);
    aic_buf_free(&w->stripes.digests);
    aic_buf_free(&w->content);
    aic_arena_free(w->arena);
    free(w);
}

res_writer *res_writer_open(const res_writer_options *opt, const res_origin *origin, aic_error *err) {
    res_writer *w = AIC_NEW(res_writer);
    w->opt = *opt;
    w->opt.path = NULL; /* part.final has it */
    w->out.file = -1;
    w->part.lock = -1;
    w->arena = aic_arena_new();
    copy_origin(w, origin);
    w->started = time(NULL);
    w->started_s = w->checkpoint_s = aic_now();
    res_deployments_init(&w->deployments);
    res_reasons_init(&w->reasons);
    for (int g = 0; g < RES_STREAMS; g++)
        res_stream_init(&w->streams[g], (res_group_id)g, opt->precision);
    bool ok = check_options(opt, err) && res_part_open(&w->part, opt->path, opt->force || opt->resume, err);
    if (ok) {
        w->codec = res_codec_new(opt->deflate);
        w->press = res_press_new(opt->deflate, origin->threads, w->streams, &w->out, &w->stripes);
        ok = take_stock(w, err);
        if (ok && (w->already || res_writer_begin_file(w, OPEN_FILE, w->n_chunks == 0, err)))
            return w;
        res_out_discard(&w->out);
        res_part_close(&w->part, ok && w->n_chunks == 0);
    }
    free_writer(w);
    return NULL;
}

uint64_t res_writer_resumed(const res_writer *w, size_t *deployments, uint64_t by_status[SRV_STATUS_COUNT]) {
    *deployments = w->deployments.table.rows;
    memcpy(by_status, w->by_status, sizeof w->by_status);
    return w->resumed;
}

/* ---- points ------------------------------------------------------------------------------------------ */

bool res_writer_deployment(res_writer *w, size_t index, const srv_deployment *d, aic_error *err) {
    if (d->n_rows > RES_ROWS_MAX)
        return aic_fail(err, AIC_BAD_INPUT,
                        "a deployment of %s has %zu breakdown rows; at most %d can be stored",
                        d->request.model, d->n_rows, RES_ROWS_MAX);
    if (w->deployments.table.rows >= UINT32_MAX - 1)
        return aic_fail(err, AIC_BAD_INPUT, "more than %u deployments cannot be stored", UINT32_MAX - 1);
    res_deployments_add(&w->deployments, index, d);
    return true;
}

bool res_writer_points(res_writer *w, const res_points *p, aic_error *err) {
    res_placement at = {0};
    bool ok = res_writer_place(w, p, &at, err);
    if (ok)
        res_writer_fill(w, p, &at);
    res_placement_free(&at);
    ok = ok && res_press_drain(w->press, err);
    return ok && (!res_writer_checkpoint_due(w) || res_writer_checkpoint(w, err));
}

bool res_writer_checkpoint_due(const res_writer *w) {
    return !w->already && w->points > w->ahead.first_point &&
           aic_now() - w->checkpoint_s >= w->opt.checkpoint_s;
}

bool res_writer_checkpoint(res_writer *w, aic_error *err) {
    bool ok = res_writer_close_chunk(w, err) && res_writer_begin_file(w, OPEN_FILE, false, err);
    w->checkpoint_s = aic_now();
    return ok;
}

bool res_writer_has_room(res_writer *w) {
    return res_press_has_room(w->press);
}

bool res_writer_work(res_writer *w, bool *did, aic_error *err) {
    return res_press_work(w->press, did, err);
}

bool res_writer_is_idle(res_writer *w) {
    return res_press_is_idle(w->press);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

/* The name leads to the very file that was read back before it was sealed. */
static bool is_published(const char *path, const struct stat *sealed, aic_error *err) {
    struct stat st;
    res_seal seal;
    if (!res_seal_read(path, &seal, err))
        return false;
    return (stat(path, &st) == 0 && st.st_dev == sealed->st_dev && st.st_ino == sealed->st_ino &&
            st.st_size == sealed->st_size) ||
           aic_fail(err, AIC_IO, "%s: is not the file that was written", path);
}

static bool publish(res_writer *w, bool complete, const char *temporary, res_summary *out, aic_error *err) {
    char partial[RES_PATH_MAX];
    struct stat st;
    snprintf(partial, sizeof partial, "%.*s.partial.h5", RES_PATH_MAX - 64, w->part.final);
    snprintf(out->path, sizeof out->path, "%s", complete ? w->part.final : partial);
    if (stat(temporary, &st) != 0)
        return aic_fail(err, AIC_IO, "%s: cannot be read: %s", temporary, strerror(errno));
    if (!res_publish(temporary, out->path, w->part.folder, err) || !is_published(out->path, &st, err))
        return false;
    out->file_bytes = (uint64_t)st.st_size;
    if (complete)
        aic_io_unlink(partial); /* of an interrupted run that this file supersedes */
    return true;
}

static bool make_and_publish(res_writer *w, bool complete, res_summary *out, aic_error *err) {
    char temporary[RES_PATH_MAX];
    double start = aic_now();
    *out = (res_summary){.points = w->points, .rows = w->rows, .resumed = w->resumed};
    memcpy(out->by_status, w->by_status, sizeof out->by_status);
    bool ok =
        res_writer_make_result(w, complete, temporary, out, err) && publish(w, complete, temporary, out, err);
    out->store_s = res_press_store_seconds(w->press) + aic_now() - start;
    return ok;
}

bool res_writer_finish(res_writer *w, bool complete, res_summary *out, aic_error *err) {
    res_summary unused;
    out = out ? out : &unused;
    if (w->already) {
        *out = w->found;
    } else if (!make_and_publish(w, complete, out, err)) {
        res_writer_abandon(w);
        return false;
    }
    res_part_close(&w->part, complete || w->n_chunks == 0);
    free_writer(w);
    return true;
}

void res_writer_abandon(res_writer *w) {
    char path[RES_PATH_MAX];
    for (int g = 0; g < RES_STREAMS; g++)
        res_stream_end(&w->streams[g]);
    res_out_discard(&w->out);
    res_part_path(&w->part, "result.tmp", path);
    aic_io_unlink(path);
    res_part_close(&w->part, w->n_chunks == 0);
    free_writer(w);
}
