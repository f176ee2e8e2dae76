/* Taking points in order: rows to columns, full stripes to the open file, a chunk file every so often. */
#include "results/writer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILE "open.tmp"

enum { TILE = 64 /* points whose members stay in the nearest cache while they go to their columns */ };

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
    res_encoders_free(&w->encoders);
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
        res_encoders_init(&w->encoders, opt->deflate, origin->threads);
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

static uint32_t deployment_of(const res_points *p, size_t i) {
    return p->deployment ? p->deployment[i] : p->one_deployment;
}

/* A caller's mistake would be a file that readers refuse. */
static bool check_points(const res_writer *w, const res_points *p, aic_error *err) {
    size_t sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t d = deployment_of(p, i);
        if (d >= w->deployments.table.rows)
            return aic_fail(err, AIC_IO, "point %zu of a block names deployment %u, which was not announced",
                            i, d);
        if (!res_rows_fit(&w->deployments.table, &w->deployments.ops, d, p->rows[i]))
            return aic_fail(err, AIC_IO,
                            "point %zu of a block has %u breakdown rows, not those of its deployment", i,
                            p->rows[i]);
        sum += p->rows[i];
    }
    return sum == p->n_rows ||
           aic_fail(err, AIC_IO, "a block of points has %zu breakdown rows, not %zu", p->n_rows, sum);
}

static bool flush(res_writer *w, res_group_id g, aic_error *err) {
    char code = (char)g;
    res_stream *s = &w->streams[g];
    if (!res_stream_flush(s, &w->out, &w->encoders, err))
        return false;
    aic_buf_addn(&w->stripes.order, &code, 1);
    for (size_t f = 0; f < s->group->n_fields; f++)
        aic_buf_addn(&w->stripes.digests, s->hex[f], RES_DIGEST);
    return true;
}

/* Splits what rows rest on into its two columns; nearly always nothing but zeros. */
static void split_basis(const srv_basis *basis, size_t n, uint8_t *tier, uint8_t *carried) {
    if (res_all_zero(basis, n)) {
        memset(tier, 0, n);
        memset(carried, 0, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        tier[i] = (uint8_t)srv_basis_tier(basis[i]);
        carried[i] = (uint8_t)srv_basis_carried(basis[i]);
    }
}

/* Real numbers behind those of the stripe, rounded to nearest where the column is narrower. */
static void add_reals(res_table *t, size_t field, const double *from, size_t n) {
    uint8_t *to = t->data[field] + t->rows * t->width[field];
    if (t->width[field] == sizeof *from) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float v = (float)from[i];
        memcpy(to + i * sizeof v, &v, sizeof v);
    }
}

static bool add_rows(res_writer *w, const res_points *p, size_t first, size_t n, aic_error *err) {
    res_stream *s = &w->streams[RES_G_BREAKDOWN];
    res_table *t = &s->rows;
    while (n > 0) {
        size_t room = t->cap - t->rows, take = n < room ? n : room;
        add_reals(t, RES_B_LATENCY, p->latency + first, take);
        add_reals(t, RES_B_ENERGY, p->energy + first, take);
        memcpy(t->data[RES_B_SOURCE] + t->rows, p->source + first, take);
        split_basis(p->basis + first, take, t->data[RES_B_TIER] + t->rows, t->data[RES_B_CARRIED] + t->rows);
        t->rows += take;
        first += take;
        n -= take;
        if (t->rows == t->cap && !flush(w, RES_G_BREAKDOWN, err))
            return false;
    }
    return true;
}

/* Copies one member of many points into a column. */
static void gather(uint8_t *out, const srv_point *points, size_t n, size_t offset, res_type type) {
    const char *at = (const char *)points + offset;
    if (type == RES_F64)
        for (size_t i = 0; i < n; i++)
            memcpy(out + i * sizeof(double), at + i * sizeof *points, sizeof(double));
    else
        for (size_t i = 0; i < n; i++)
            memcpy(out + i * sizeof(uint32_t), at + i * sizeof *points, sizeof(uint32_t));
}

static void add_column(res_writer *w, size_t column, const srv_point *points, size_t n) {
    const res_column *c = res_column_at(column);
    res_table *t = &w->streams[RES_G_POINTS].rows;
    size_t f = res_point_field(column);
    if (res_is_enum(c->type))
        for (size_t i = 0; i < n; i++) {
            unsigned value; /* every enumeration's type */
            memcpy(&value, (const char *)&points[i] + c->offset, sizeof value);
            res_table_u8(t, f, t->rows + i, (uint8_t)value);
        }
    else if (c->type == RES_TEXT)
        for (size_t i = 0; i < n; i++) {
            const char *text = points[i].reason;
            res_table_u32(t, f, t->rows + i,
                          text ? res_reasons_add(&w->reasons, points[i].status, text,
                                                 w->origin.first_point + w->points + i)
                               : 0);
        }
    else
        gather(t->data[f] + t->rows * t->width[f], points, n, c->offset, c->type);
}

/* Appends points that fit into the stripe. */
static bool add_points(res_writer *w, const res_points *p, size_t first, size_t n, aic_error *err) {
    res_table *t = &w->streams[RES_G_POINTS].rows;
    for (size_t i = 0; i < n; i++) {
        uint32_t rows = w->opt.breakdown ? p->rows[first + i] : 0;
        uint16_t stored = (uint16_t)rows;
        res_table_u64(t, RES_P_POINT, t->rows + i, w->origin.first_point + w->points + i);
        res_table_u32(t, RES_P_DEPLOYMENT, t->rows + i, deployment_of(p, first + i));
        res_table_u64(t, RES_P_FIRST, t->rows + i, w->rows);
        memcpy(t->data[RES_P_ROWS] + (t->rows + i) * sizeof stored, &stored, sizeof stored);
        w->rows += rows;
    }
    for (size_t tile; n > 0; first += tile, n -= tile) {
        tile = n < TILE ? n : TILE;
        for (size_t c = RES_C_batch; c < RES_COLUMN_COUNT; c++)
            add_column(w, c, p->points + first, tile);
        for (size_t i = 0; i < tile; i++) {
            w->by_status[p->points[first + i].status]++;
            w->ahead.by_status[p->points[first + i].status]++;
        }
        t->rows += tile;
        w->points += tile;
    }
    return t->rows < t->cap || flush(w, RES_G_POINTS, err);
}

static bool checkpoint(res_writer *w, aic_error *err) {
    if (aic_now() - w->checkpoint_s < w->opt.checkpoint_s)
        return true;
    bool ok = res_writer_close_chunk(w, err) && res_writer_begin_file(w, OPEN_FILE, false, err);
    w->checkpoint_s = aic_now();
    return ok;
}

/* The order in which stripes fill must not depend on how points were split into calls: all rows of the points
 * of a stripe of /points go before that stripe. */
bool res_writer_points(res_writer *w, const res_points *p, aic_error *err) {
    if (!check_points(w, p, err))
        return false;
    const res_table *t = &w->streams[RES_G_POINTS].rows;
    size_t row = 0;
    for (size_t at = 0; at < p->n;) {
        size_t room = t->cap - t->rows, n = p->n - at < room ? p->n - at : room, rows = 0;
        for (size_t i = 0; i < n; i++)
            rows += p->rows[at + i];
        if (w->opt.breakdown && !add_rows(w, p, row, rows, err))
            return false;
        if (!add_points(w, p, at, n, err))
            return false;
        row += rows;
        at += n;
    }
    return p->n == 0 || checkpoint(w, err);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

/* A file that this program cannot read again, or that says something else, is not published. */
static bool reads_back(const char *path, bool complete, const res_summary *sum, aic_error *err) {
    aic_error why = {0};
    res_file *f = res_open(path, &why);
    if (!f)
        return aic_fail(err, AIC_IO, "what was written does not read back: %s", why.text);
    const char *digest = res_attribute(f, "content_sha256");
    bool ok = res_count(f) == sum->points && res_complete(f) == complete && digest &&
              strcmp(digest, sum->digest) == 0;
    res_close(f);
    return ok || aic_fail(err, AIC_IO, "%s: what was written does not read back as written", path);
}

static bool publish(res_writer *w, bool complete, const char *temporary, res_summary *out, aic_error *err) {
    char partial[RES_PATH_MAX];
    struct stat st;
    snprintf(partial, sizeof partial, "%.*s.partial.h5", RES_PATH_MAX - 64, w->part.final);
    snprintf(out->path, sizeof out->path, "%s", complete ? w->part.final : partial);
    if (!reads_back(temporary, complete, out, err) ||
        !res_publish(temporary, out->path, w->part.folder, err) || !reads_back(out->path, complete, out, err))
        return false;
    if (stat(out->path, &st) == 0)
        out->file_bytes = (uint64_t)st.st_size;
    if (complete)
        aic_io_unlink(partial); /* of an interrupted run that this file supersedes */
    return true;
}

static bool make_and_publish(res_writer *w, bool complete, res_summary *out, aic_error *err) {
    char temporary[RES_PATH_MAX];
    *out = (res_summary){.points = w->points, .rows = w->rows, .resumed = w->resumed};
    memcpy(out->by_status, w->by_status, sizeof out->by_status);
    return res_writer_make_result(w, complete, temporary, out, err) &&
           publish(w, complete, temporary, out, err);
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
