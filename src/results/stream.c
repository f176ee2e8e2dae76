/* Groups that are written while points arrive: their datasets and digests. */
#include "results/press.h"
#include <stdio.h>
#include <string.h>

static const char *const meanings[RES_STREAMS] = {
    [RES_G_POINTS] = "one row per point, in point order",
    [RES_G_BREAKDOWN] =
        "one row per op of a point; names are in /ops, from first_op of the point's deployment on",
};

void res_stream_init(res_stream *s, res_group_id g, res_precision breakdown) {
    *s = (res_stream){.group = res_group_in(g, breakdown)};
    s->open = res_stripe_new(g, s->group);
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
    res_stripe_free(s->open);
    *s = (res_stream){0};
}

uint64_t res_stream_rows(const res_stream *s) {
    return s->stripes * s->group->chunk + s->open->rows.rows;
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
        ok = res_out_dataset(o, path, field->type, s->open->rows.width[f], g->chunk, field->unit,
                             field->meaning, &s->ids[f], err);
    }
    return ok && (!g->scale || res_out_scale(o, g->fields[0].name, s->ids[0], s->ids, g->n_fields, err));
}

void res_stream_end(res_stream *s) {
    for (size_t f = 0; f < s->group->n_fields; f++) {
        res_out_done(s->ids[f]);
        s->ids[f] = -1;
    }
}

bool res_stream_seal(res_stream *s, res_out *o, aic_buf *content, aic_error *err) {
    char path[96], sha256[65];
    const res_table *t = &s->open->rows;
    bool ok = true;
    for (size_t f = 0; f < s->group->n_fields; f++) {
        if (t->rows > 0)
            res_digest_chunk(s->digests[f], t->data[f], t->rows * t->width[f]);
        aic_sha256_hex(s->digests[f], sha256);
        s->digests[f] = NULL;
        field_path(s, f, path);
        res_content_line(content, path, res_stream_rows(s), sha256);
        ok = ok && res_out_note(o, s->ids[f], "sha256", sha256, err);
    }
    return ok;
}
