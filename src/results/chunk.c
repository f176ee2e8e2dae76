/* Chunk files: finished points of a sweep that is still running, immutable once renamed.
 *
 * A chunk file has the stripes that filled since the one before it, and the stripes still being filled as
 * they stood, so that it can be read, and continued, by itself. The next chunk file holds those again,
 * fuller: assembly takes full stripes only.
 */
#include "results/h5.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void res_chunk_name(uint64_t index, char out[32]) {
    snprintf(out, 32, "chunk-%06llu.h5", (unsigned long long)index);
}

bool res_chunk_describe(res_out *o, res_codec *c, const res_stream *streams, const aic_buf *order,
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
                            order->data, order->len, &unused, err);
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

static void set_path(const res_group *g, size_t f, char out[96]) {
    snprintf(out, 96, "/%s/%s", g->name, g->fields[f].name);
}

static bool open_sets(source *s, aic_error *err) {
    char path[96];
    for (int g = 0; g < RES_STREAMS; g++) {
        const res_group *group = res_group_get((res_group_id)g);
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

static bool copy_stripes(source *s, res_stream *streams, uint64_t *next, res_out *o, aic_error *err) {
    const char *path = "/chunk/order";
    res_dataset order = {.id = -1};
    res_codec *codec = res_codec_new(0);
    uint8_t groups[RES_AXIS_CHUNK];
    bool ok = res_in_dataset(&s->in, path, RES_D_U8, RES_AXIS_CHUNK, false, &order, err);
    for (uint64_t i = 0; ok && i < order.rows; i++) {
        if (i % RES_AXIS_CHUNK == 0 &&
            !(ok = res_in_chunk(&s->in, &order, path, i / RES_AXIS_CHUNK, codec, groups, err)))
            break;
        int g = groups[i % RES_AXIS_CHUNK];
        ok = g < RES_STREAMS || res_damaged(err, s->in.path, path, "names a group that does not exist");
        ok = ok && copy_stripe(s, g, &streams[g], next[g]++, o, err);
    }
    res_dataset_close(&order);
    res_codec_free(codec);
    return ok;
}

bool res_chunk_copy(const char *path, res_stream *streams, uint64_t *next, res_out *o, aic_error *err) {
    source *s = AIC_NEW(source);
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t f = 0; f < RES_MAX_FIELDS; f++)
            s->sets[g][f].id = -1;
    bool ok = res_in_open(&s->in, path, err) && open_sets(s, err) && copy_stripes(s, streams, next, o, err);
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t f = 0; f < RES_MAX_FIELDS; f++)
            res_dataset_close(&s->sets[g][f]);
    res_in_close(&s->in);
    free(s->bytes);
    free(s);
    return ok;
}
