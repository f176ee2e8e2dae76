/* Tables of a writer that continues: deployments, ops, axes and reasons as an earlier run left them in its
 * last chunk file. Texts get the ids they had, rows the places they had. */
#include "results/h5.h"
#include <stdio.h>
#include <string.h>

/* Stored texts are padded with NUL. */
static size_t text_length(const uint8_t *bytes, size_t width) {
    const uint8_t *end = memchr(bytes, 0, width);
    return end ? (size_t)(end - bytes) : width;
}

static bool restore_axis(aic_intern *axis, res_axis a, const res_in *in, res_codec *c, aic_error *err) {
    char path[96];
    const res_field field = {res_axis_name(a), RES_D_TEXT, "", ""};
    const res_group g = {"axes", RES_AXIS_CHUNK, false, false, 1, &field};
    res_table t;
    snprintf(path, sizeof path, "/axes/%s", field.name);
    if (!res_in_group(in, &g, c, &t, err))
        return false;
    bool ok = t.rows > 0;
    for (size_t i = 0; ok && i < t.rows; i++) {
        const uint8_t *text = t.data[0] + i * t.width[0];
        ok = aic_intern_add(axis, (const char *)text, text_length(text, t.width[0])) == i;
    }
    res_table_free(&t);
    return ok || res_damaged(err, in->path, path, "not a list of distinct texts");
}

/* A table that rows can be added to. */
static bool take_table(const res_in *in, res_codec *c, res_table *t, aic_error *err) {
    res_table stored;
    if (!res_in_group(in, t->group, c, &stored, err))
        return false;
    stored.cap = stored.rows;
    res_table_free(t);
    *t = stored;
    return true;
}

/* Op runs are numbered in the order deployments first use them, which is the order of their rows. */
static bool restore_runs(res_deployments *d, const res_in *in, aic_error *err) {
    size_t known = 0; /* rows of /ops that belong to runs found so far */
    for (size_t i = 0; i < d->table.rows; i++) {
        uint64_t first = res_table_get_u64(&d->table, RES_DEP_first_op, i);
        size_t n = res_table_get_u32(&d->table, RES_DEP_op_count, i);
        if (first > known || n > d->ops.rows - (size_t)first)
            return res_damaged(err, in->path, "/deployments/first_op", "rows beyond the end of /ops");
        if (n > 0 && first == known) {
            res_deployments_run(d, known, n);
            known += n;
        }
    }
    return known == d->ops.rows || res_damaged(err, in->path, "/ops", "rows that no deployment has");
}

bool res_deployments_restore(res_deployments *d, const res_in *in, res_codec *c, aic_error *err) {
    for (int a = 0; a < RES_AXIS_COUNT; a++)
        if (!restore_axis(d->axes.of[a], (res_axis)a, in, c, err))
            return false;
    return take_table(in, c, &d->table, err) && take_table(in, c, &d->ops, err) && restore_runs(d, in, err);
}

bool res_reasons_restore(res_reason_list *r, const res_in *in, res_codec *c, aic_error *err) {
    res_table t;
    if (!res_in_group(in, res_group_get(RES_G_REASONS), c, &t, err))
        return false;
    bool ok = true;
    aic_buf text = {0};
    size_t width = t.width[RES_R_TEXT];
    for (size_t i = 0; ok && i < t.rows; i++) {
        const uint8_t *bytes = t.data[RES_R_TEXT] + i * width;
        aic_buf_clear(&text);
        aic_buf_addn(&text, (const char *)bytes, text_length(bytes, width));
        uint8_t status = res_table_get_u8(&t, RES_R_STATUS, i);
        ok = status < SRV_STATUS_COUNT &&
             res_reasons_add(r, (srv_status)status, text.data ? text.data : "", 0) == i + 1;
        if (ok) {
            r->count[i] = res_table_get_u64(&t, RES_R_COUNT, i);
            r->example[i] = res_table_get_u64(&t, RES_R_EXAMPLE, i);
        }
    }
    aic_buf_free(&text);
    res_table_free(&t);
    return ok || res_damaged(err, in->path, "/reasons", "not a list of distinct reasons");
}
