/* Groups that are written while points arrive. Nothing here grows with their number: one stripe of each group
 * is in memory. */
#include "results/h5.h"
#include <omp.h>
#include <stdio.h>
#include <string.h>

static const char *const meanings[RES_STREAMS] = {
    [RES_G_POINTS] = "one row per point, in point order",
    [RES_G_BREAKDOWN] =
        "one row per op of a point; names are in /ops, from first_op of the point's deployment on",
};

void res_stream_init(res_stream *s, res_group_id g, res_precision breakdown) {
    *s = (res_stream){.group = res_group_in(g, breakdown)};
    res_table_init(&s->rows, s->group, s->group->chunk, 0);
    for (size_t f = 0; f < s->group->n_fields; f++) {
        s->ids[f] = -1;
        s->digests[f] = aic_sha256_new();
    }
}

void res_stream_free(res_stream *s) {
    char unused[65];
    for (size_t f = 0; s->group && f < s->group->n_fields; f++)
        if (s->digests[f])
            aic_sha256_hex(s->digests[f], unused);
    res_table_free(&s->rows);
    *s = (res_stream){0};
}

uint64_t res_stream_rows(const res_stream *s) {
    return s->stripes * s->group->chunk + s->rows.rows;
}

static void field_path(const res_stream *s, size_t f, char out[96]) {
    snprintf(out, 96, "/%s/%s", s->group->name, s->group->fields[f].name);
}

bool res_stream_begin(res_stream *s, res_out *o, aic_error *err) {
    const res_group *g = s->group;
    char path[96];
    snprintf(path, sizeof path, "/%s", g->name);
    bool ok = res_out_group(o, path,
                            meanings[g == res_group_get(RES_G_POINTS) ? RES_G_POINTS : RES_G_BREAKDOWN], err);
    for (size_t f = 0; ok && f < g->n_fields; f++) {
        const res_field *field = &g->fields[f];
        field_path(s, f, path);
        ok = res_out_dataset(o, path, field->type, s->rows.width[f], g->chunk, field->unit, field->meaning,
                             &s->ids[f], err);
    }
    return ok && (!g->scale || res_out_scale(o, g->fields[0].name, s->ids[0], s->ids, g->n_fields, err));
}

void res_stream_end(res_stream *s) {
    for (size_t f = 0; f < s->group->n_fields; f++) {
        res_out_done(s->ids[f]);
        s->ids[f] = -1;
    }
}

void res_encoders_init(res_encoders *e, int level, unsigned threads) {
    *e = (res_encoders){.n = threads < 1 ? 1 : threads < RES_ENCODERS_MAX ? threads : RES_ENCODERS_MAX};
    for (unsigned i = 0; i < e->n; i++)
        e->codec[i] = res_codec_new(level);
}

void res_encoders_free(res_encoders *e) {
    for (unsigned i = 0; i < e->n; i++)
        res_codec_free(e->codec[i]);
    for (size_t f = 0; f < RES_MAX_FIELDS; f++)
        aic_buf_free(&e->coded[f].bytes);
    *e = (res_encoders){0};
}

static void encode_field(const res_stream *s, res_codec *c, size_t f, res_kept *out) {
    const res_group *g = s->group;
    const res_table *t = &s->rows;
    res_encode_kept(c, t->data[f], t->rows, t->width[f], g->chunk, res_shuffled(g->fields[f].type), g->sparse,
                    out);
}

/* Chunks of zeros are many where nothing measured power: their digest is computed once. */
static void digest_field(res_stream *s, size_t f) {
    const uint8_t *data = s->rows.data[f];
    size_t bytes = s->rows.rows * s->rows.width[f];
    if (!s->group->sparse || !res_all_zero(data, bytes)) {
        aic_xxh128_text(data, bytes, s->hex[f]);
    } else {
        if (s->zero[f].bytes != bytes) {
            aic_xxh128_text(data, bytes, s->zero[f].hex);
            s->zero[f].bytes = bytes;
        }
        memcpy(s->hex[f], s->zero[f].hex, sizeof s->hex[f]);
    }
    aic_sha256_add(s->digests[f], s->hex[f], RES_DIGEST);
}

/* Stores the rows at hand as the stripe after the last full one; a full one is digested, too. */
static bool store(res_stream *s, res_out *o, res_encoders *e, bool full, aic_error *err) {
    const res_group *g = s->group;
    uint64_t index = s->stripes - s->base;
    bool ok = true;
    int fields = (int)g->n_fields;
#pragma omp parallel for schedule(dynamic) num_threads((int)e->n)
    for (int f = 0; f < fields; f++) {
        encode_field(s, e->codec[omp_get_thread_num()], (size_t)f, &e->coded[f]);
        if (full)
            digest_field(s, (size_t)f);
    }
    for (size_t f = 0; ok && f < g->n_fields; f++)
        ok = res_out_chunk(o, s->ids[f], index, g->chunk, index * g->chunk + s->rows.rows, &e->coded[f].coded,
                           err);
    return ok;
}

bool res_stream_flush(res_stream *s, res_out *o, res_encoders *e, aic_error *err) {
    if (!store(s, o, e, true, err))
        return false;
    s->stripes++;
    s->rows.rows = 0;
    return true;
}

bool res_stream_tail(res_stream *s, res_out *o, res_encoders *e, aic_error *err) {
    return s->rows.rows == 0 || store(s, o, e, false, err);
}

bool res_stream_seal(res_stream *s, res_out *o, aic_buf *content, aic_error *err) {
    char path[96], sha256[65];
    bool ok = true;
    for (size_t f = 0; f < s->group->n_fields; f++) {
        if (s->rows.rows > 0)
            digest_field(s, f);
        aic_sha256_hex(s->digests[f], sha256);
        s->digests[f] = NULL;
        field_path(s, f, path);
        res_content_line(content, path, res_stream_rows(s), sha256);
        ok = ok && res_out_text(o, path, "sha256", sha256, 64, err);
    }
    return ok;
}
