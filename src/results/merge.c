/* merge: the points of shards, in order, through a writer: the stripes, and with them the bytes, are those of
 * a run of the whole sweep. Nothing here knows a column: fields are copied as the layout lists them.
 */
#include "results/merge.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct merger {
    const res_merge_options *opt;
    res_shard_file *list; /* in point order */
    size_t n;
    uint64_t total;
    unsigned threads;
    res_codec **codecs; /* one per thread */
    res_writer *writer;
    aic_progress *progress;
} merger;

/* ---- proving ----------------------------------------------------------------------------------------- */

static bool is_output(const char *path, const char *output) {
    struct stat a, b;
    return stat(path, &a) == 0 && stat(output, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool interrupted(aic_error *err) {
    int signal = aic_interrupted();
    return signal && !aic_fail(err, (aic_code)signal, "interrupted; nothing was written");
}

/* Seal and digests of one file. What is wrong with it goes into the message, however much it is. */
static bool prove_one(const char *path, unsigned threads, aic_error *err) {
    char *text = NULL;
    size_t len = 0;
    aic_error why = {0};
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return aic_fail(err, AIC_IO, "no memory for a message");
    bool ok = res_verify(path, threads, out, &why);
    fclose(out);
    if (!ok) {
        const char *faults = strchr(text, '\n'); /* behind the line that names the file */
        aic_fail(err, why.code == AIC_FINDING ? AIC_BAD_INPUT : why.code, "%s%s%.*s", why.text,
                 faults ? ":" : "", faults ? (int)strlen(faults) - 1 : 0, faults ? faults : "");
    }
    free(text);
    return ok;
}

/* Many shards: each by one thread. Few: one after another, their datasets side by side. */
static bool prove(merger *m, aic_error *err) {
    bool ok = true;
    uint64_t done = 0;
    int n = (int)m->n;
    m->progress = aic_progress_start("points checked", m->total, m->opt->quiet);
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)m->threads) if (m->n >= m->threads)
    for (int i = 0; i < n; i++) {
        aic_error why = {0};
        const res_shard_file *s = &m->list[i];
        bool good = !aic_interrupted() && prove_one(s->path, m->threads, &why);
#pragma omp critical(merge_proof)
        {
            done += s->points;
            aic_progress_update(m->progress, done, 0);
            if (!good && why.code != AIC_OK && ok && err)
                *err = why;
            ok = ok && good;
        }
    }
    aic_progress_end(m->progress);
    return !interrupted(err) && ok;
}

/* ---- points ------------------------------------------------------------------------------------------ */

/* Copies rows of what was decoded to their places. */
static void put(const res_piece *to, const res_shift *from, size_t at) {
    const res_table *t = &to->stripe->rows;
    for (size_t f = 0; f < t->group->n_fields; f++)
        memcpy(t->data[f] + to->at * t->width[f], res_shift_field(from, f) + at * t->width[f],
               to->n * t->width[f]);
    res_press_filled(to, RES_ALL_FIELDS);
}

/* Encodes and stores, with all threads, once there is enough to do. */
static bool work(const merger *m, aic_error *err) {
    return res_press_has_room(m->writer->press) || res_press_drain(m->writer->press, err);
}

static bool copy_rows(merger *m, res_shift *from, uint64_t row, uint64_t n, aic_error *err) {
    for (size_t at, take; n > 0; row += take, n -= take) {
        if (!res_shift_at(from, row, &at, &take, err))
            return false;
        res_piece to = res_press_place(m->writer->press, RES_G_BREAKDOWN, take < n ? take : (size_t)n);
        take = to.n;
        put(&to, from, at);
        if (!work(m, err))
            return false;
    }
    return true;
}

static uint64_t rows_of(const res_shift *points, size_t at, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t rows;
        memcpy(&rows, res_shift_field(points, RES_P_ROWS) + (at + i) * sizeof rows, sizeof rows);
        sum += rows;
    }
    return sum;
}

/* The rows of the point start where those of the point before end. */
static bool starts_at(const res_shift *points, size_t at, uint64_t row) {
    uint64_t first;
    memcpy(&first, res_shift_field(points, RES_P_FIRST) + at * sizeof first, sizeof first);
    return first == row;
}

static void count(res_writer *w, const res_shift *points, size_t at, size_t n) {
    const uint8_t *status = res_shift_field(points, res_point_field(RES_C_status)) + at;
    for (size_t i = 0; i < n; i++)
        w->by_status[status[i]]++;
}

/* As res_writer_place: all rows of the points of a stripe go before it. */
static bool copy_points(merger *m, const res_file *f, res_shift *points, res_shift *rows, aic_error *err) {
    res_writer *w = m->writer;
    const res_stream *to = &w->streams[RES_G_POINTS];
    uint64_t row = 0, at_row = 0;
    while (row < f->points) {
        size_t at, n;
        if (interrupted(err) || !res_shift_at(points, row, &at, &n, err))
            return false;
        size_t room = to->open->rows.cap - to->open->rows.rows;
        n = n < room ? n : room;
        uint64_t n_rows = rows_of(points, at, n);
        if (n_rows > f->rows - at_row || !starts_at(points, at, w->rows))
            return res_damaged(err, f->in.path, "/points/breakdown_first", "rows that are not the point's");
        if (!copy_rows(m, rows, at_row, n_rows, err))
            return false;
        const res_piece piece = res_press_place(w->press, RES_G_POINTS, n);
        put(&piece, points, at);
        count(w, points, at, n);
        row += n;
        at_row += n_rows;
        w->points += n;
        w->rows += n_rows;
        if (!work(m, err))
            return false;
        aic_progress_update(m->progress, w->points, w->points - w->by_status[SRV_ST_ok]);
    }
    return at_row == f->rows ||
           res_damaged(err, f->in.path, "/points/breakdown_rows", "fewer rows than the file has");
}

static bool copy_shard(merger *m, const res_shard_file *s, aic_error *err) {
    res_file *f = res_open(s->path, err);
    if (!f)
        return false;
    if (f->points != s->points || f->first_point != s->first) {
        res_close(f);
        return aic_fail(err, AIC_IO, "%s changed while it was merged", s->path);
    }
    res_joined j;
    bool ok = res_join(f, &m->writer->deployments, &m->writer->reasons, &j, err);
    if (ok) {
        res_shift *points = res_shift_new(f, RES_G_POINTS, &j, m->writer->rows, m->codecs, m->threads),
                  *rows = res_shift_new(f, RES_G_BREAKDOWN, &j, 0, m->codecs, m->threads);
        ok = copy_points(m, f, points, rows, err);
        res_shift_free(points);
        res_shift_free(rows);
        res_joined_free(&j);
    }
    res_close(f);
    return ok;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

/* A writer for the whole sweep, from what the first shard says of it. */
static res_writer *open_writer(const merger *m, res_file **first, aic_error *err) {
    *first = res_open(m->list[0].path, err);
    if (!*first)
        return NULL;
    const char *databases = res_attribute(*first, "databases"), *options = res_attribute(*first, "options");
    res_origin origin = {.spec_text = res_spec_text(*first),
                         .spec_name = res_attribute(*first, "spec_name"),
                         .overrides = res_attribute(*first, "overrides"),
                         .command_line = m->opt->command_line,
                         .databases = &databases,
                         .n_databases = 1,
                         .total_points = m->total,
                         .threads = m->threads,
                         .program = res_attribute(*first, "program"),
                         .build = res_attribute(*first, "build"),
                         .data = res_attribute(*first, "data"),
                         .unlisted = strstr(options, "unlisted") != NULL};
    res_writer_options opt = {.path = m->opt->path,
                              .breakdown = strstr(options, "breakdown") != NULL,
                              .top = (*first)->top,
                              .precision = (*first)->precision,
                              .deflate = m->opt->deflate,
                              .checkpoint_s = 1e300,
                              .force = m->opt->force};
    return res_writer_open(&opt, &origin, err);
}

static bool write_whole(merger *m, res_summary *out, aic_error *err) {
    res_file *first; /* lends the spec's text */
    m->writer = open_writer(m, &first, err);
    bool ok = m->writer;
    m->progress = aic_progress_start("points", m->total, m->opt->quiet);
    for (size_t i = 0; ok && i < m->n; i++)
        ok = copy_shard(m, &m->list[i], err);
    ok = ok && res_press_drain(m->writer->press, err);
    aic_progress_end(m->progress);
    if (ok)
        ok = res_writer_finish(m->writer, true, out, err);
    else if (m->writer)
        res_writer_abandon(m->writer);
    res_close(first);
    return ok;
}

/* All that a file would hold but the points: what shards say of the deployments they share must agree. */
static bool join_only(const merger *m, aic_error *err) {
    res_deployments deployments;
    res_reason_list reasons;
    bool ok = true;
    res_deployments_init(&deployments);
    res_reasons_init(&reasons);
    for (size_t i = 0; ok && i < m->n; i++) {
        res_joined j = {0};
        res_file *f = res_open(m->list[i].path, err);
        ok = f && res_join(f, &deployments, &reasons, &j, err);
        res_joined_free(&j);
        res_close(f);
    }
    res_deployments_free(&deployments);
    res_reasons_free(&reasons);
    return ok;
}

/* Refused before shards are read, which may take long. */
static bool check_output(const res_merge_options *opt, aic_error *err) {
    struct stat st;
    for (size_t i = 0; i < opt->n_shards; i++)
        if (is_output(opt->shards[i], opt->path))
            return aic_fail(err, AIC_BAD_INPUT, "%s is the output and a shard", opt->shards[i]);
    return opt->force || stat(opt->path, &st) != 0 ||
           aic_fail(err, AIC_BAD_INPUT, "%s exists; give --force to replace it, or choose another output",
                    opt->path);
}

static bool merge(merger *m, res_summary *out, aic_error *err) {
    const res_merge_options *opt = m->opt;
    if (!opt->check && !check_output(opt, err))
        return false;
    if (!res_shards_read(opt->shards, m->n, m->list, &m->total, err) ||
        !res_shards_partition(m->list, &m->n, m->total, opt->allow_duplicates, err) || !prove(m, err))
        return false;
    *out = (res_summary){.points = m->total};
    if (opt->check)
        return join_only(m, err);
    return opt->view ? res_view_write(opt, m->list, m->n, out, err) : write_whole(m, out, err);
}

bool res_merge(const res_merge_options *opt, res_summary *out, aic_error *err) {
    if (opt->n_shards == 0 || opt->n_shards > INT32_MAX)
        return aic_fail(err, AIC_BAD_INPUT, "no shards to merge");
    merger m = {.opt = opt, .n = opt->n_shards};
    m.threads = opt->threads ? opt->threads : (unsigned)omp_get_max_threads();
    m.list = aic_calloc(m.n, sizeof *m.list);
    m.codecs = aic_calloc(m.threads, sizeof *m.codecs);
    for (unsigned i = 0; i < m.threads; i++)
        m.codecs[i] = res_codec_new(0);
    bool ok = merge(&m, out, err);
    for (unsigned i = 0; i < m.threads; i++)
        res_codec_free(m.codecs[i]);
    free(m.codecs);
    free(m.list);
    return ok;
}
