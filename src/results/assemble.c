/* Making files: the one that stripes go to, chunk files of it, and the result.
 *
 * A result has the same bytes whether its stripes went to it directly or were copied from chunk files: both
 * ways create the same objects in the same order and end with the same steps.
 */
#include "results/file.h"
#include "results/writer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_BYTES = 128, TIME_BYTES = 32, COMMAND_BYTES = 4096 };

/* ---- the beginning of a file ------------------------------------------------------------------------- */

/* A file without it is f64. */
static bool put_precision(const res_writer_options *opt, res_out *o, aic_error *err) {
    return opt->precision == RES_PRECISION_f64 ||
           res_out_text(o, "/", "breakdown_precision", res_precision_name(opt->precision), 0, err);
}

/* A file of the whole sweep has none of these. */
static bool put_shard(const res_origin *origin, res_out *o, aic_error *err) {
    return origin->shard == 0 || (res_out_u64(o, "/", "shard", origin->shard, err) &&
                                  res_out_u64(o, "/", "shards", origin->shards, err) &&
                                  res_out_u64(o, "/", "first_point", origin->first_point, err));
}

static bool put_origin(res_writer *w, res_out *o, aic_error *err) {
    char options[RES_OPTIONS_TEXT];
    res_options_text(&w->opt, &w->origin, options);
    return res_out_text(o, "/", "format", RES_FORMAT, 0, err) &&
           res_out_u64(o, "/", "format_version", RES_FORMAT_VERSION, err) &&
           res_out_u64(o, "/", "complete", 0, err) &&
           res_out_text(o, "/", "program", w->origin.program, 0, err) &&
           res_out_text(o, "/", "spec_name", w->origin.spec_name, 0, err) &&
           res_out_text(o, "/", "spec_sha256", w->spec_sha256, 0, err) &&
           res_out_text(o, "/", "overrides", w->origin.overrides, 0, err) &&
           res_out_text(o, "/", "options", options, 0, err) && put_precision(&w->opt, o, err) &&
           res_out_text(o, "/", "build", w->origin.build, 0, err) &&
           res_out_text(o, "/", "databases", w->databases, 0, err) &&
           res_out_text(o, "/", "data", w->origin.data, 0, err) &&
           res_out_u64(o, "/", "total_points", w->origin.total_points, err) && put_shard(&w->origin, o, err);
}

static bool put_spec(res_writer *w, res_out *o, aic_error *err) {
    return res_out_array(o, w->codec, "/spec", RES_D_U8, 1, RES_SPEC_CHUNK, "",
                         "the sweep spec or point list as read, UTF-8 bytes", w->origin.spec_text,
                         strlen(w->origin.spec_text), &w->content, err);
}

bool res_writer_begin_file(res_writer *w, const char *name, bool with_spec, aic_error *err) {
    char path[RES_PATH_MAX];
    res_part_path(&w->part, name, path);
    aic_buf_clear(&w->content);
    bool ok = res_out_create(&w->out, path, w->opt.deflate, err) && put_origin(w, &w->out, err) &&
              (!with_spec || put_spec(w, &w->out, err));
    for (int g = 0; ok && g < RES_STREAMS; g++)
        ok = res_stream_begin(&w->streams[g], &w->out, err);
    return ok;
}

/* ---- tables: deployments, ops, axes, reasons ------------------------------------------------------- */

static bool put_reasons(res_writer *w, aic_error *err) {
    res_table reasons;
    res_reasons_table(&w->reasons, &reasons);
    bool ok = res_out_table(&w->out, w->codec, &reasons, "distinct reasons of points that are not ok",
                            &w->content, err);
    res_table_free(&reasons);
    return ok;
}

static bool put_deployments(res_writer *w, aic_error *err) {
    res_out *o = &w->out;
    bool ok = res_out_table(o, w->codec, &w->deployments.table,
                            "one row per deployment: all that fixes the op list", &w->content, err) &&
              res_out_table(o, w->codec, &w->deployments.ops, "breakdown rows of the deployments",
                            &w->content, err) &&
              res_out_group(o, "/axes", "distinct texts that deployments and ops point into", err);
    for (int a = 0; ok && a < RES_AXIS_COUNT; a++)
        ok = res_out_axis(o, w->codec, (res_axis)a, w->deployments.axes.of[a], &w->content, err);
    return ok && put_reasons(w, err);
}

/* ---- chunk files ------------------------------------------------------------------------------------- */

res_journal_head res_writer_head(const res_writer *w) {
    res_journal_head head = {.total_points = w->origin.total_points,
                             .first_point = w->origin.first_point,
                             .deflate = w->opt.deflate,
                             .breakdown = w->opt.breakdown};
    memcpy(head.spec, w->spec_sha256, sizeof head.spec);
    return head;
}

static bool journal(res_writer *w, const res_journal_chunk *c, aic_error *err) {
    char path[RES_PATH_MAX];
    res_part_path(&w->part, "journal", path);
    if (w->n_chunks == 0) {
        res_journal_head head = res_writer_head(w);
        if (!res_sync_folder(w->part.folder, err) || !res_journal_write(&w->part, &head, NULL, 0, err))
            return false;
    }
    return res_journal_append(path, w->n_chunks, c, err);
}

bool res_writer_close_chunk(res_writer *w, aic_error *err) {
    char open_path[RES_PATH_MAX], path[RES_PATH_MAX], name[32];
    res_journal_chunk c = w->ahead;
    c.points = w->points - c.first_point;
    c.rows = w->rows - c.first_row;
    bool ok = true;
    for (int g = 0; g < RES_STREAMS; g++) {
        ok = ok && res_press_tail(w->press, (res_group_id)g, err);
        res_stream_end(&w->streams[g]);
    }
    snprintf(open_path, sizeof open_path, "%s", w->out.path);
    res_chunk_name(w->n_chunks, name);
    res_part_path(&w->part, name, path);
    if (!ok || !put_deployments(w, err) ||
        !res_chunk_describe(&w->out, w->codec, w->streams, &w->stripes, &c, err) ||
        !res_out_close(&w->out, err) || !res_fsync(open_path, err) ||
        !aic_sha256_file(open_path, c.sha256, err) || !res_publish(open_path, path, w->part.dir, err) ||
        !journal(w, &c, err))
        return false;
    w->n_chunks++;
    w->ahead = (res_journal_chunk){.first_point = w->points, .first_row = w->rows};
    aic_buf_clear(&w->stripes.order);
    aic_buf_clear(&w->stripes.digests);
    for (int g = 0; g < RES_STREAMS; g++)
        w->streams[g].base = w->streams[g].stripes;
    return true;
}

/* ---- the result -------------------------------------------------------------------------------------- */

static bool put_run(res_writer *w, aic_error *err) {
    char host[HOST_BYTES] = "", started[TIME_BYTES] = "", finished[TIME_BYTES] = "";
    time_t now = time(NULL);
    struct tm tm;
    gethostname(host, sizeof host - 1);
    if (gmtime_r(&w->started, &tm))
        strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (gmtime_r(&now, &tm))
        strftime(finished, sizeof finished, "%Y-%m-%dT%H:%M:%SZ", &tm);
    res_out *o = &w->out;
    return res_out_group(o, "/run", "who made the file and when: all that differs between equal sweeps",
                         err) &&
           res_out_text(o, "/run", "host", host, HOST_BYTES, err) &&
           res_out_text(o, "/run", "started", started, TIME_BYTES, err) &&
           res_out_text(o, "/run", "finished", finished, TIME_BYTES, err) &&
           res_out_f64(o, "/run", "seconds", aic_now() - w->started_s, err) &&
           res_out_u64(o, "/run", "threads", w->origin.threads, err) &&
           res_out_u64(o, "/run", "chunk_files", w->n_chunks, err) &&
           res_out_text(o, "/run", "command_line", w->origin.command_line, COMMAND_BYTES, err);
}

static bool put_counts(res_writer *w, aic_error *err) {
    bool ok = res_out_u64(&w->out, "/", "points", w->points, err) &&
              res_out_u64(&w->out, "/", "breakdown_rows", w->rows, err);
    for (int s = 0; ok && s < SRV_STATUS_COUNT; s++) {
        char name[64];
        snprintf(name, sizeof name, "points_%s", res_enum_name(RES_D_STATUS, (size_t)s));
        ok = res_out_u64(&w->out, "/", name, w->by_status[s], err);
    }
    return ok;
}

typedef struct read_back {
    const char *path;
    bool complete, ok;
    const res_summary *sum;
    aic_error why;
} read_back;

/* A file that this program cannot read again, or that says something else, is not published. */
static void reads_back(void *context) {
    read_back *r = context;
    res_file *f = res_open_unsealed(r->path, &r->why);
    if (!f)
        return;
    const char *digest = res_attribute(f, "content_sha256");
    r->ok = res_count(f) == r->sum->points && res_complete(f) == r->complete && digest &&
            strcmp(digest, r->sum->digest) == 0;
    res_close(f);
    if (!r->ok)
        aic_fail(&r->why, AIC_IO, "it says something else");
}

/* What is written behind the points. */
typedef struct ending {
    res_writer *w;
    bool complete, ok;
    res_summary *sum;
    aic_error why;
} ending;

static void put_tables(void *context) {
    ending *e = context;
    res_writer *w = e->w;
    aic_error *err = &e->why;
    bool ok = true;
    for (int g = 0; g < RES_STREAMS; g++) {
        ok = ok && res_stream_seal(&w->streams[g], &w->out, &w->content, err);
        res_stream_end(&w->streams[g]);
    }
    ok = ok && put_deployments(w, err) && put_counts(w, err);
    aic_sha256_text(w->content.data, w->content.len, e->sum->digest);
    ok = ok && res_out_text(&w->out, "/", "content_sha256", e->sum->digest, 0, err) && put_run(w, err);
    e->ok = ok && (!e->complete || res_out_set_u64(&w->out, "/", "complete", 1, err)) &&
            res_out_close(&w->out, err);
}

static bool pass(bool ok, const aic_error *why, aic_error *err) {
    if (!ok && err)
        *err = *why;
    return ok;
}

/* Most of a file are points. They are read while its tables are written; the rest by one thread, which then
 * waits for the disk, while another one opens the file. */
static bool end_and_seal(res_writer *w, bool complete, res_summary *out, aic_error *err) {
    const unsigned threads = w->origin.threads ? w->origin.threads : 1;
    ending end = {.w = w, .complete = complete, .sum = out};
    read_back back = {.path = w->out.path, .complete = complete, .sum = out};
    const res_beside tables = {put_tables, &end}, reader = {reads_back, &back};
    aic_error why = {0};
    res_seal_range *points;
    size_t n = res_out_raw(&w->out, &points);
    bool ok = pass(res_seal_begin(w->out.path, points, n, threads, &tables, &why), &why, err) &&
              pass(end.ok, &end.why, err) &&
              res_seal_put(w->out.path, points, w->out.raw_final ? n : 0, threads, &reader, err);
    free(points);
    return ok && (back.ok || aic_fail(err, AIC_IO, "%s: what was written does not read back: %s", w->out.path,
                                      back.why.text));
}

static bool put_end(res_writer *w, bool complete, res_summary *out, aic_error *err) {
    bool ok = true;
    for (int g = 0; g < RES_STREAMS; g++)
        ok = ok && res_press_tail(w->press, (res_group_id)g, err);
    return ok && end_and_seal(w, complete, out, err);
}

/* Full stripes of all chunk files into a new file that stands as if they had gone there first. */
static bool assemble(res_writer *w, aic_error *err) {
    uint64_t next[RES_STREAMS] = {0};
    char name[32], path[RES_PATH_MAX];
    for (int g = 0; g < RES_STREAMS; g++)
        w->streams[g].base = 0;
    if (!res_writer_begin_file(w, "result.tmp", true, err))
        return false;
    for (uint64_t i = 0; i < w->n_chunks; i++) {
        res_chunk_name(i, name);
        res_part_path(&w->part, name, path);
        if (!res_chunk_copy(path, w->streams, next, &w->out, err))
            return false;
    }
    for (int g = 0; g < RES_STREAMS; g++)
        if (next[g] != w->streams[g].stripes)
            return aic_fail(err, AIC_IO, "%s: chunk files do not hold all points", w->part.dir);
    return true;
}

bool res_writer_make_result(res_writer *w, bool complete, char temporary[RES_PATH_MAX], res_summary *out,
                            aic_error *err) {
    bool chunked = w->n_chunks > 0 || (!complete && w->points > 0);
    if (!res_press_drain(w->press, err))
        return false;
    if (chunked && w->points > w->ahead.first_point && !res_writer_close_chunk(w, err))
        return false;
    if (chunked) {
        for (int g = 0; g < RES_STREAMS; g++)
            res_stream_end(&w->streams[g]);
        res_out_discard(&w->out);
        if (!assemble(w, err))
            return false;
    }
    snprintf(temporary, RES_PATH_MAX, "%s", w->out.path);
    return put_end(w, complete, out, err);
}
