/* Chunk files: finished points of a sweep that is still running, immutable once renamed.
 *
 * A chunk file has the stripes that filled since the one before it, and the stripes still being filled as
 * they stood, so that it can be read, and continued, by itself. The next chunk file holds those again,
 * fuller: assembly takes full stripes only.
 */
#include "results/press.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void res_chunk_name(uint64_t index, char out[32]) {
    snprintf(out, 32, "chunk-%06llu.h5", (unsigned long long)index);
}

bool res_chunk_describe(res_out *o, res_codec *c, const res_stream *streams, const res_stripes *stripes,
                        const res_journal_chunk *j, aic_error *err) {
    aic_buf unused = {0};
    bool ok = res_out_group(o, "/chunk", "what this part of a running sweep holds", err) &&
              res_out_u64(o, "/chunk", "first_point", j->first_point, err) &&
              res_out_u64(o, "/chunk", "points", j->points, err) &&
              res_out_u64(o, "/chunk", "first_row", j->first_row, err) &&
              res_out_u64(o, "/chunk", "rows", j->rows, err) &&
              res_out_u64(o, "/chunk", "points_stripe", streams[RES_G_POINTS].base, err) &&
              res_out_u64(o, "/chunk", "breakdown_stripe", streams[RES_G_BREAKDOWN].base, err) &&
              res_out_array(o, c, "/chunk/order", RES_D_U8, 1, RES_AXIS_CHUNK, "",
                            "full stripes in the order they filled: "
                            "0 = of /points, 1 = of /breakdown",
                            stripes->order.data, stripes->order.len, &unused, err) &&
              res_out_array(o, c, "/chunk/digests", RES_D_U8, 1, RES_SPEC_CHUNK, "",
                            "XXH3-128 of the columns of each full stripe, 32 hex digits each",
                            stripes->digests.data, stripes->digests.len, &unused, err);
    aic_buf_free(&unused);
    return ok;
}

/* ---- copying ----------------------------------------------------------------------------------------- */

typedef struct source {
    res_in in;
    res_dataset sets[RES_STREAMS][RES_MAX_FIELDS];
    uint64_t taken[RES_STREAMS];
    uint8_t *bytes;
    size_t cap;
} source;

static void close_source(source *s) {
    if (!s)
        return;
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t f = 0; f < RES_MAX_FIELDS; f++)
            res_dataset_close(&s->sets[g][f]);
    res_in_close(&s->in);
    free(s->bytes);
    free(s);
}

static void set_path(const res_group *g, size_t f, char out[96]) {
    snprintf(out, 96, "/%s/%s", g->name, g->fields[f].name);
}

static bool open_sets(source *s, const res_stream *streams, aic_error *err) {
    char path[96];
    for (int g = 0; g < RES_STREAMS; g++) {
        const res_group *group = streams[g].group;
        for (size_t f = 0; f < group->n_fields; f++) {
            set_path(group, f, path);
            if (!res_in_dataset(&s->in, path, group->fields[f].type, group->chunk, group->sparse,
                                &s->sets[g][f], err))
                return false;
        }
    }
    return true;
}

static bool copy_stripe(source *s, int g, res_stream *to, uint64_t index, res_out *o, aic_error *err) {
    const res_group *group = to->group;
    char path[96];
    uint64_t from = s->taken[g]++;
    for (size_t f = 0; f < group->n_fields; f++) {
        res_coded coded;
        const res_dataset *d = &s->sets[g][f];
        set_path(group, f, path);
        if (from >= d->rows / group->chunk)
            return res_damaged(err, s->in.path, path, "fewer rows than /chunk/order says");
        if (!res_in_stored(&s->in, d, path, from, &s->bytes, &s->cap, &coded, err) ||
            !res_out_chunk(o, to->ids[f], index, group->chunk, (index + 1) * group->chunk, &coded, err))
            return false;
    }
    return true;
}

/* A whole dataset of bytes. */
static bool read_bytes(const res_in *in, const char *path, size_t chunk, aic_buf *out, aic_error *err) {
    res_dataset d;
    if (!res_in_dataset(in, path, RES_D_U8, chunk, false, &d, err))
        return false;
    res_codec *codec = res_codec_new(0);
    char *piece = aic_alloc(chunk, 1);
    bool ok = true;
    for (uint64_t i = 0; ok && i * chunk < d.rows; i++) {
        ok = res_in_chunk(in, &d, path, i, codec, piece, err);
        if (ok)
            aic_buf_addn(out, piece, d.rows - i * chunk < chunk ? (size_t)(d.rows - i * chunk) : chunk);
    }
    free(piece);
    res_codec_free(codec);
    res_dataset_close(&d);
    return ok;
}

/* The groups that the full stripes of a chunk file belong to. */
static bool read_order(const res_in *in, aic_buf *order, aic_error *err) {
    const char *path = "/chunk/order";
    if (!read_bytes(in, path, RES_AXIS_CHUNK, order, err))
        return false;
    for (size_t i = 0; i < order->len; i++)
        if ((unsigned char)order->data[i] >= RES_STREAMS)
            return res_damaged(err, in->path, path, "names a group that does not exist");
    return true;
}

static bool copy_stripes(source *s, res_stream *streams, uint64_t *next, res_out *o, aic_error *err) {
    aic_buf order = {0};
    bool ok = read_order(&s->in, &order, err);
    for (size_t i = 0; ok && i < order.len; i++) {
        int g = order.data[i];
        ok = copy_stripe(s, g, &streams[g], next[g]++, o, err);
    }
    aic_buf_free(&order);
    return ok;
}

/* A file of groups as the streams have them. */
static source *open_source(const char *path, const res_stream *streams, aic_error *err) {
    source *s = AIC_NEW(source);
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t f = 0; f < RES_MAX_FIELDS; f++)
            s->sets[g][f].id = -1;
    if (res_in_open(&s->in, path, err) && open_sets(s, streams, err))
        return s;
    close_source(s);
    return NULL;
}

bool res_chunk_copy(const char *path, res_stream *streams, uint64_t *next, res_out *o, aic_error *err) {
    source *s = open_source(path, streams, err);
    bool ok = s && copy_stripes(s, streams, next, o, err);
    close_source(s);
    return ok;
}

/* ---- continuing -------------------------------------------------------------------------------------- */

static bool count_stripes(const res_in *in, res_stream *streams, const aic_buf *order, const aic_buf *digests,
                          aic_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < order->len; i++) {
        res_stream *s = &streams[(int)order->data[i]];
        size_t bytes = s->group->n_fields * RES_DIGEST;
        if (digests->len - at < bytes)
            return res_damaged(err, in->path, "/chunk/digests", "not as many as there are stripes");
        for (size_t f = 0; f < s->group->n_fields; f++)
            aic_sha256_add(s->digests[f], digests->data + at + f * RES_DIGEST, RES_DIGEST);
        at += bytes;
        s->stripes++;
    }
    return at == digests->len ||
           res_damaged(err, in->path, "/chunk/digests", "not as many as there are stripes");
}

bool res_chunk_count(const char *path, res_stream *streams, aic_error *err) {
    aic_buf order = {0}, digests = {0};
    res_in in;
    bool ok = res_in_open(&in, path, err) && read_order(&in, &order, err) &&
              read_bytes(&in, "/chunk/digests", RES_SPEC_CHUNK, &digests, err) &&
              count_stripes(&in, streams, &order, &digests, err);
    res_in_close(&in);
    aic_buf_free(&order);
    aic_buf_free(&digests);
    return ok;
}

/* Rows that do not fill a stripe stand in the last stripe of the file. */
static bool take_tail(source *s, int g, res_stream *to, uint64_t rows, res_codec *codec, aic_error *err) {
    const res_group *group = to->group;
    char path[96];
    uint64_t partial = rows % group->chunk;
    for (size_t f = 0; f < group->n_fields; f++) {
        const res_dataset *d = &s->sets[g][f];
        set_path(group, f, path);
        if (rows / group->chunk != to->stripes || d->rows % group->chunk != partial)
            return res_damaged(err, s->in.path, path, "not as many rows as the journal says");
        if (partial &&
            !res_in_chunk(&s->in, d, path, d->rows / group->chunk, codec, to->open->rows.data[f], err))
            return false;
    }
    to->open->rows.rows = (size_t)partial;
    atomic_init(&to->open->filled, (size_t)partial);
    atomic_init(&to->open->touched, RES_ALL_FIELDS);
    to->open->stale = RES_ALL_FIELDS;
    return true;
}

bool res_chunk_tail(const char *path, res_stream *streams, const uint64_t *rows, aic_error *err) {
    source *s = open_source(path, streams, err);
    res_codec *codec = res_codec_new(0);
    bool ok = s != NULL;
    for (int g = 0; ok && g < RES_STREAMS; g++)
        ok = take_tail(s, g, &streams[g], rows[g], codec, err);
    res_codec_free(codec);
    close_source(s);
    return ok;
}
