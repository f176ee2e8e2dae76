/* Deployments, ops, axes and reasons of one file joined to those of the files before it.
 *
 * A file of the whole sweep numbers texts, op runs and reasons by their first use, in point order. So does a
 * shard, and shards are joined in point order: using what a shard uses, in its order, gives the numbers of
 * the whole. Columns are told apart by the layout alone: rows of an axis are renumbered, anything else is
 * copied.
 */
#include "results/merge.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A shard's texts, and their numbers in the whole as far as they have been used. */
typedef struct axis_map {
    res_table texts;
    uint32_t *id; /* NOT_USED until then */
} axis_map;
static const uint32_t NOT_USED = UINT32_MAX;

typedef struct joiner {
    const res_file *f;
    res_deployments *to;
    axis_map axes[RES_AXIS_COUNT];
    aic_buf key; /* an op run in the whole's numbers */
} joiner;

/* ---- axes -------------------------------------------------------------------------------------------- */

static bool read_axes(joiner *j, aic_error *err) {
    const res_file *f = j->f;
    for (int a = 0; a < RES_AXIS_COUNT; a++) {
        axis_map *m = &j->axes[a];
        if (!res_in_group(&f->in, res_axis_group((res_axis)a), f->codec, &m->texts, err))
            return false;
        m->id = aic_alloc(m->texts.rows, sizeof *m->id);
        for (size_t i = 0; i < m->texts.rows; i++)
            m->id[i] = NOT_USED;
    }
    return true;
}

/* Opening a file has checked that rows of axes are there. */
static uint32_t use(joiner *j, int axis, uint32_t row) {
    axis_map *m = &j->axes[axis];
    if (m->id[row] == NOT_USED) {
        const char *text = (const char *)m->texts.data[0] + row * m->texts.width[0];
        m->id[row] = aic_intern_add(j->to->axes.of[axis], text, strnlen(text, m->texts.width[0]));
    }
    return m->id[row];
}

/* A value as it is in the whole, `width` bytes of it. */
static void convert(joiner *j, res_group_id g, const res_table *t, size_t field, size_t row, size_t width,
                    uint8_t *out) {
    int axis = res_field_axis(g, field);
    if (axis >= 0) {
        uint32_t v = use(j, axis, res_table_get_u32(t, field, row));
        memcpy(out, &v, sizeof v);
    } else {
        size_t stored = t->width[field]; /* of a text no more than width: check_widths */
        memcpy(out, t->data[field] + row * stored, stored);
        memset(out + stored, 0, width - stored);
    }
}

/* Numbers have one width, texts that of the file. */
static bool check_widths(const joiner *j, const res_table *from, const res_table *to, aic_error *err) {
    for (size_t f = 0; f < from->group->n_fields; f++)
        if (from->width[f] > to->width[f]) {
            char path[96];
            snprintf(path, sizeof path, "/%s/%s", from->group->name, from->group->fields[f].name);
            return res_damaged(err, j->f->in.path, path, "longer texts than this program writes");
        }
    return true;
}

/* ---- ops --------------------------------------------------------------------------------------------- */

static size_t row_bytes(const res_table *t) {
    size_t bytes = 0;
    for (size_t f = 0; f < t->group->n_fields; f++)
        bytes += t->width[f];
    return bytes;
}

static void add_op(res_table *ops, const uint8_t *bytes) {
    size_t row = res_table_add(ops);
    for (size_t f = 0; f < ops->group->n_fields; f++) {
        memcpy(ops->data[f] + row * ops->width[f], bytes, ops->width[f]);
        bytes += ops->width[f];
    }
}

/* First row in the whole's /ops of a deployment's rows: those of an earlier deployment where they are equal.
 */
static uint64_t op_run(joiner *j, uint64_t first, uint32_t n) {
    res_deployments *to = j->to;
    const res_table *ops = &j->f->ops;
    size_t bytes = row_bytes(&to->ops);
    uint8_t *row = aic_alloc(bytes, 1);
    aic_buf_clear(&j->key);
    for (uint64_t r = first; r < first + n; r++) {
        size_t at = 0;
        for (size_t f = 0; f < ops->group->n_fields; at += to->ops.width[f++])
            convert(j, RES_G_OPS, ops, f, (size_t)r, to->ops.width[f], row + at);
        aic_buf_addn(&j->key, (const char *)row, bytes);
    }
    free(row);
    uint32_t run = aic_intern_add(to->runs, j->key.data ? j->key.data : "", n * bytes);
    if (run == to->n_runs) {
        AIC_GROW(to->run_first, to->n_runs, to->cap_runs);
        to->run_first[to->n_runs++] = to->ops.rows;
        for (uint32_t r = 0; r < n; r++)
            add_op(&to->ops, (const uint8_t *)j->key.data + r * bytes);
    }
    return to->run_first[run];
}

/* ---- deployments ------------------------------------------------------------------------------------- */

static bool same_row(const res_table *t, size_t row, const uint8_t *bytes) {
    for (size_t f = 0; f < t->group->n_fields; f++) {
        if (memcmp(t->data[f] + row * t->width[f], bytes, t->width[f]) != 0)
            return false;
        bytes += t->width[f];
    }
    return true;
}

/* The row of a deployment in the whole, as bytes of its fields one after another. */
static void convert_row(joiner *j, size_t row, uint8_t *out) {
    const res_table *from = &j->f->deployments, *to = &j->to->table;
    for (size_t f = 0; f < from->group->n_fields; out += to->width[f++]) {
        if (f == RES_DEP_first_op) {
            uint64_t first =
                op_run(j, res_table_get_u64(from, f, row), res_table_get_u32(from, RES_DEP_op_count, row));
            memcpy(out, &first, sizeof first);
        } else {
            convert(j, RES_G_DEPLOYMENTS, from, f, row, to->width[f], out);
        }
    }
}

/* A deployment cut into two shards is a row of both, and must be the same there. */
static bool add_deployment(joiner *j, size_t row, uint8_t *bytes, uint32_t *index, aic_error *err) {
    res_table *to = &j->to->table;
    const char *path = j->f->in.path;
    *index = res_table_get_u32(&j->f->deployments, 0, row);
    if (*index > to->rows)
        return res_damaged(err, path, "/deployments/deployment",
                           "numbers that do not follow the shard before");
    convert_row(j, row, bytes);
    if (*index < to->rows)
        return same_row(to, *index, bytes) ||
               res_damaged(err, path, "/deployments",
                           "a deployment differs from the same one of an earlier shard");
    size_t added = res_table_add(to);
    for (size_t f = 0; f < to->group->n_fields; bytes += to->width[f++])
        memcpy(to->data[f] + added * to->width[f], bytes, to->width[f]);
    return true;
}

static bool join_deployments(joiner *j, res_joined *out, aic_error *err) {
    const res_table *from = &j->f->deployments;
    uint8_t *bytes = aic_alloc(row_bytes(&j->to->table), 1);
    bool ok = check_widths(j, from, &j->to->table, err) && check_widths(j, &j->f->ops, &j->to->ops, err);
    out->n_deployments = from->rows;
    out->deployment = aic_alloc(from->rows, sizeof *out->deployment);
    for (size_t row = 0; ok && row < from->rows; row++)
        ok = add_deployment(j, row, bytes, &out->deployment[row], err);
    free(bytes);
    return ok;
}

/* ---- reasons ----------------------------------------------------------------------------------------- */

static bool join_reasons(const res_file *f, res_reason_list *to, res_joined *out, aic_error *err) {
    res_table t;
    if (!res_in_group(&f->in, res_group_get(RES_G_REASONS), f->codec, &t, err))
        return false;
    out->n_reasons = t.rows + 1;
    out->reason = aic_calloc(out->n_reasons, sizeof *out->reason);
    for (size_t i = 0; i < t.rows; i++) {
        const char *text = (const char *)t.data[RES_R_TEXT] + i * t.width[RES_R_TEXT];
        out->reason[i + 1] = res_reasons_merge(
            to, (srv_status)res_table_get_u8(&t, RES_R_STATUS, i), text, strnlen(text, t.width[RES_R_TEXT]),
            res_table_get_u64(&t, RES_R_COUNT, i), res_table_get_u64(&t, RES_R_EXAMPLE, i));
    }
    res_table_free(&t);
    return true;
}

bool res_join(res_file *f, res_deployments *deployments, res_reason_list *reasons, res_joined *out,
              aic_error *err) {
    joiner j = {.f = f, .to = deployments};
    *out = (res_joined){0};
    bool ok = read_axes(&j, err) && join_deployments(&j, out, err) && join_reasons(f, reasons, out, err);
    for (int a = 0; a < RES_AXIS_COUNT; a++) {
        res_table_free(&j.axes[a].texts);
        free(j.axes[a].id);
    }
    aic_buf_free(&j.key);
    if (!ok)
        res_joined_free(out);
    return ok;
}

void res_joined_free(res_joined *j) {
    free(j->deployment);
    free(j->reason);
    *j = (res_joined){0};
}
