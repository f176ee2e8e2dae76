/* Rows of a shard as they are in the whole: decoded a piece at a time, checked, and renumbered where merging
 * changes them. A piece is a few chunks of every dataset of the group, decoded side by side.
 */
#include "results/merge.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_ROWS = 1 << 18 }; /* at most, of the narrow columns of /breakdown */

struct res_shift {
    res_file *f;
    res_group_id g;
    const res_group *group;
    const res_joined *joined;
    uint64_t first_row; /* rows of /breakdown in the shards before */
    res_codec **codecs;
    unsigned n_codecs;
    uint64_t rows, piece_first; /* of the group; first row of the piece at hand */
    size_t piece_rows, piece_chunks;
    uint8_t *data[RES_MAX_FIELDS]; /* piece_chunks x chunk values */
    uint32_t *deployment;          /* of /points: as the shard numbers them */
};

res_shift *res_shift_new(res_file *f, res_group_id g, const res_joined *j, uint64_t first_row,
                         res_codec **codecs, unsigned n_codecs) {
    res_shift *s = AIC_NEW(res_shift);
    *s = (res_shift){.f = f,
                     .g = g,
                     .group = res_group_in(g, f->precision),
                     .joined = j,
                     .first_row = first_row,
                     .codecs = codecs,
                     .n_codecs = n_codecs,
                     .rows = g == RES_G_POINTS ? f->points : f->rows};
    s->piece_chunks = g == RES_G_POINTS ? 1 : PIECE_ROWS / s->group->chunk;
    size_t cap = aic_mul(s->piece_chunks, s->group->chunk);
    for (size_t i = 0; i < s->group->n_fields; i++)
        s->data[i] = aic_alloc(cap, f->sets[g][i].width);
    if (g == RES_G_POINTS)
        s->deployment = aic_alloc(cap, sizeof *s->deployment);
    return s;
}

void res_shift_free(res_shift *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->group->n_fields; i++)
        free(s->data[i]);
    free(s->deployment);
    free(s);
}

const uint8_t *res_shift_field(const res_shift *s, size_t field) {
    return s->data[field];
}

/* ---- what merging changes ---------------------------------------------------------------------------- */

/* A text column of /points is a row of /reasons. */
static bool is_reason(res_group_id g, size_t field) {
    return g == RES_G_POINTS && field >= RES_P_COLUMNS && field < RES_P_FIRST &&
           res_column_at(field - RES_P_COLUMNS + RES_C_batch)->type == RES_TEXT;
}

bool res_shift_changes(res_group_id g, size_t field) {
    return is_reason(g, field) || (g == RES_G_POINTS && (field == RES_P_DEPLOYMENT || field == RES_P_FIRST));
}

static bool renumber(uint8_t *values, size_t n, const uint32_t *map, size_t n_map) {
    for (size_t i = 0; i < n; i++) {
        uint32_t v;
        memcpy(&v, values + i * sizeof v, sizeof v);
        if (v >= n_map)
            return false;
        memcpy(values + i * sizeof v, &map[v], sizeof v);
    }
    return true;
}

static bool below(const uint8_t *values, size_t n, size_t limit) {
    for (size_t i = 0; i < n; i++)
        if (values[i] >= limit)
            return false;
    return true;
}

/* Points are numbered one after another, as the shard says. */
static bool in_order(const res_shift *s) {
    for (size_t i = 0; i < s->piece_rows; i++) {
        uint64_t v;
        memcpy(&v, s->data[RES_P_POINT] + i * sizeof v, sizeof v);
        if (v != s->f->first_point + s->piece_first + i)
            return false;
    }
    return true;
}

static void add_to(uint8_t *values, size_t n, uint64_t add) {
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        memcpy(&v, values + i * sizeof v, sizeof v);
        v += add;
        memcpy(values + i * sizeof v, &v, sizeof v);
    }
}

/* Checks a decoded column and changes it to what it is in the whole. NULL: fine. */
static const char *change(res_shift *s, size_t field) {
    static const char *const beyond = "a value beyond the list it points into";
    uint8_t *values = s->data[field];
    size_t n = s->piece_rows, members = res_enum_count(s->group->fields[field].type);
    if (members && !below(values, n, members))
        return beyond;
    if (is_reason(s->g, field))
        return renumber(values, n, s->joined->reason, s->joined->n_reasons) ? NULL : beyond;
    if (s->g != RES_G_POINTS)
        return NULL;
    switch (field) {
    case RES_P_POINT:
        return in_order(s) ? NULL : "points out of order";
    case RES_P_DEPLOYMENT:
        memcpy(s->deployment, values, n * sizeof *s->deployment);
        return renumber(values, n, s->joined->deployment, s->joined->n_deployments) ? NULL : beyond;
    case RES_P_FIRST:
        add_to(values, n, s->first_row);
        return NULL;
    default:
        return NULL;
    }
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

static void field_path(const res_shift *s, size_t field, char out[96]) {
    snprintf(out, 96, "/%s/%s", s->group->name, s->group->fields[field].name);
}

/* Decodes every chunk of the piece: task = chunk x field. */
static bool decode(res_shift *s, aic_error *err) {
    size_t fields = s->group->n_fields, chunk = s->group->chunk;
    int tasks = (int)(((s->piece_rows + chunk - 1) / chunk) * fields);
    bool ok = true;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)s->n_codecs)
    for (int t = 0; t < tasks; t++) {
        size_t field = (size_t)t % fields, c = (size_t)t / fields;
        const res_dataset *d = &s->f->sets[s->g][field];
        char path[96];
        aic_error why = {0};
        field_path(s, field, path);
        if (!res_in_chunk(&s->f->in, d, path, s->piece_first / chunk + c, s->codecs[omp_get_thread_num()],
                          s->data[field] + c * chunk * d->width, &why)) {
#pragma omp critical(shift_failure)
            {
                ok = false;
                if (err)
                    *err = why;
            }
        }
    }
    return ok;
}

/* Rows of the points follow one another, and are rows of their deployments. */
static bool check_rows(const res_shift *s, aic_error *err) {
    uint64_t next = 0;
    for (size_t i = 0; i < s->piece_rows; i++) {
        uint64_t first;
        uint16_t n;
        memcpy(&first, s->data[RES_P_FIRST] + i * sizeof first, sizeof first);
        memcpy(&n, s->data[RES_P_ROWS] + i * sizeof n, sizeof n);
        first -= s->first_row;
        if ((i > 0 && first != next) || first > s->f->rows || n > s->f->rows - first ||
            !res_rows_fit(&s->f->deployments, &s->f->ops, s->deployment[i], n))
            return res_damaged(err, s->f->in.path, "/points/breakdown_first",
                               "rows that are not the point's");
        next = first + n;
    }
    return true;
}

static bool load(res_shift *s, uint64_t row, aic_error *err) {
    size_t cap = s->piece_chunks * s->group->chunk;
    s->piece_first = row / cap * cap;
    uint64_t left = s->rows - s->piece_first;
    s->piece_rows = left < cap ? (size_t)left : cap;
    if (!decode(s, err))
        return s->piece_rows = 0, false;
    for (size_t f = 0; f < s->group->n_fields; f++) {
        const char *wrong = change(s, f);
        if (wrong) {
            char path[96];
            field_path(s, f, path);
            s->piece_rows = 0;
            return res_damaged(err, s->f->in.path, path, wrong);
        }
    }
    return s->g != RES_G_POINTS || check_rows(s, err);
}

bool res_shift_at(res_shift *s, uint64_t row, size_t *at, size_t *n, aic_error *err) {
    bool here = row >= s->piece_first && row - s->piece_first < s->piece_rows;
    if (!here && !load(s, row, err))
        return false;
    *at = (size_t)(row - s->piece_first);
    *n = s->piece_rows - *at;
    return true;
}
