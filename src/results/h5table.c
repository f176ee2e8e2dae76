/* Datasets that are written whole from memory when everything is known: deployments, ops, axes, reasons, the
 * spec. */
#include "results/h5.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stores the rows chunk by chunk and gives their digest. */
static bool write_rows(res_out *o, res_codec *c, hid_t id, res_dtype type, size_t width, size_t chunk,
                       const uint8_t *data, uint64_t rows, char sha256[65], aic_error *err) {
    aic_sha256 *digest = aic_sha256_new();
    bool ok = true;
    for (uint64_t first = 0; ok && first < rows; first += chunk) {
        size_t n = rows - first < chunk ? (size_t)(rows - first) : chunk;
        const uint8_t *from = data + first * width;
        res_coded coded;
        res_digest_chunk(digest, from, n * width);
        res_encode(c, from, n, width, chunk, res_shuffled(type), false, &coded);
        ok = res_out_chunk(o, id, first / chunk, chunk, first + n, &coded, err);
    }
    aic_sha256_hex(digest, sha256);
    return ok;
}

/* Leaves the dataset open. */
static bool write_array(res_out *o, res_codec *c, const char *path, res_dtype type, size_t width,
                        size_t chunk, const char *unit, const char *meaning, const void *data, uint64_t rows,
                        aic_buf *content, hid_t *id, aic_error *err) {
    char sha256[65];
    if (!res_out_dataset(o, path, type, width, chunk, unit, meaning, id, err) ||
        !write_rows(o, c, *id, type, width, chunk, data, rows, sha256, err))
        return false;
    res_content_line(content, path, rows, sha256);
    return res_out_note(o, *id, "sha256", sha256, err);
}

bool res_out_array(res_out *o, res_codec *c, const char *path, res_dtype type, size_t width, size_t chunk,
                   const char *unit, const char *meaning, const void *data, uint64_t rows, aic_buf *content,
                   aic_error *err) {
    hid_t id = -1;
    bool ok = write_array(o, c, path, type, width, chunk, unit, meaning, data, rows, content, &id, err);
    res_out_done(id);
    return ok;
}

bool res_out_table(res_out *o, res_codec *c, const res_table *t, const char *meaning, aic_buf *content,
                   aic_error *err) {
    const res_group *g = t->group;
    hid_t ids[RES_MAX_FIELDS];
    char path[96];
    snprintf(path, sizeof path, "/%s", g->name);
    bool ok = res_out_group(o, path, meaning, err);
    size_t n = 0;
    for (; ok && n < g->n_fields; n++) {
        const res_field *f = &g->fields[n];
        snprintf(path, sizeof path, "/%s/%s", g->name, f->name);
        ids[n] = -1;
        ok = write_array(o, c, path, f->type, t->width[n], g->chunk, f->unit, f->meaning, t->data[n], t->rows,
                         content, &ids[n], err);
    }
    ok = ok && (!g->scale || res_out_scale(o, g->fields[0].name, ids[0], ids, n, err));
    for (size_t i = 0; i < n; i++)
        res_out_done(ids[i]);
    return ok;
}

bool res_out_axis(res_out *o, res_codec *c, res_axis a, const aic_intern *texts, aic_buf *content,
                  aic_error *err) {
    char path[96];
    size_t n = aic_intern_count(texts), width = 1;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(aic_intern_text(texts, (uint32_t)i));
        width = len > width ? len : width;
    }
    char *data = aic_calloc(n, width);
    for (size_t i = 0; i < n; i++) {
        const char *text = aic_intern_text(texts, (uint32_t)i);
        memcpy(data + i * width, text, strlen(text));
    }
    snprintf(path, sizeof path, "/axes/%s", res_axis_name(a));
    bool ok = res_out_array(o, c, path, RES_D_TEXT, width, RES_AXIS_CHUNK, "", res_axis_meaning(a), data, n,
                            content, err);
    free(data);
    return ok;
}
