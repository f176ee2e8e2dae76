/* Windows of points: the columns asked for, decoded and checked; and the breakdown rows of their points. */
#include "results/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enumerations of /breakdown. */
static const size_t byte_fields[] = {RES_B_SOURCE, RES_B_TIER, RES_B_CARRIED};
enum { BYTE_FIELDS = sizeof byte_fields / sizeof *byte_fields };

struct res_window {
    res_file *f;
    res_codec *codec; /* its own: windows of one file may be loaded by several threads */
    uint64_t first;
    size_t n;
    uint8_t *data[RES_MAX_FIELDS]; /* fields of /points, n values each; NULL = never loaded */
    size_t cap[RES_MAX_FIELDS];    /* bytes */
    bool breakdown;                /* the following are loaded */
    uint64_t first_row;
    size_t n_rows, rows_cap;
    double *latency, *energy;
    uint8_t *bytes[3]; /* the fields of one byte: byte_fields */
    res_op_row *rows;  /* of one point */
};

res_window *res_window_new(res_file *f) {
    res_window *w = AIC_NEW(res_window);
    w->f = f;
    w->codec = res_codec_new(0);
    w->rows = AIC_NEW_ARRAY(res_op_row, f->most_rows);
    return w;
}

void res_window_free(res_window *w) {
    if (!w)
        return;
    for (size_t i = 0; i < RES_MAX_FIELDS; i++)
        free(w->data[i]);
    free(w->latency);
    free(w->energy);
    for (size_t k = 0; k < BYTE_FIELDS; k++)
        free(w->bytes[k]);
    free(w->rows);
    res_codec_free(w->codec);
    free(w);
}

/* ---- loading ----------------------------------------------------------------------------------------- */

bool res_file_rows(const res_file *f, res_codec *codec, res_group_id g, size_t field, uint64_t first,
                   size_t n, void *out, aic_error *err) {
    const res_dataset *d = &f->sets[g][field];
    const res_group *group = res_group_get(g);
    char path[96];
    uint8_t *to = out, *scratch = NULL;
    bool ok = true;
    snprintf(path, sizeof path, "/%s/%s", group->name, group->fields[field].name);
    for (uint64_t at = first; ok && at < first + n;) {
        uint64_t index = at / d->chunk;
        size_t skip = (size_t)(at % d->chunk), rest = (size_t)(first + n - at), take = d->chunk - skip;
        take = take < rest ? take : rest;
        if (take == d->chunk) {
            ok = res_in_chunk(&f->in, d, path, index, codec, to, err);
        } else {
            if (!scratch)
                scratch = aic_alloc(d->chunk, d->width);
            ok = res_in_chunk(&f->in, d, path, index, codec, scratch, err);
            if (ok)
                memcpy(to, scratch + skip * d->width, take * d->width);
        }
        to += take * d->width;
        at += take;
    }
    free(scratch);
    return ok;
}

static uint32_t u32_at(const res_window *w, size_t field, size_t i) {
    uint32_t v;
    memcpy(&v, w->data[field] + i * sizeof v, sizeof v);
    return v;
}

static uint64_t u64_at(const res_window *w, size_t field, size_t i) {
    uint64_t v;
    memcpy(&v, w->data[field] + i * sizeof v, sizeof v);
    return v;
}

static double f64_at(const res_window *w, size_t field, size_t i) {
    double v;
    memcpy(&v, w->data[field] + i * sizeof v, sizeof v);
    return v;
}

static uint16_t u16_at(const res_window *w, size_t field, size_t i) {
    uint16_t v;
    memcpy(&v, w->data[field] + i * sizeof v, sizeof v);
    return v;
}

static bool load_field(res_window *w, size_t field, aic_error *err) {
    size_t bytes = aic_mul(w->n, w->f->sets[RES_G_POINTS][field].width);
    if (bytes > w->cap[field]) {
        free(w->data[field]);
        w->data[field] = aic_alloc(bytes, 1);
        w->cap[field] = bytes;
    }
    return res_file_rows(w->f, w->codec, RES_G_POINTS, field, w->first, w->n, w->data[field], err);
}

static bool in_points(const res_window *w, size_t field, const char *what, aic_error *err) {
    char path[96];
    snprintf(path, sizeof path, "/points/%s", res_group_get(RES_G_POINTS)->fields[field].name);
    return res_damaged(err, w->f->in.path, path, what);
}

/* What a column points into must be there. */
static bool check_field(const res_window *w, size_t field, uint64_t limit, aic_error *err) {
    bool byte = w->f->sets[RES_G_POINTS][field].width == 1;
    for (size_t i = 0; i < w->n; i++)
        if ((byte ? w->data[field][i] : u32_at(w, field, i)) >= limit)
            return in_points(w, field, "a value beyond the list it points into", err);
    return true;
}

static bool load_column(res_window *w, int column, bool *deployment, aic_error *err) {
    const res_column *c = res_column_at((size_t)column);
    size_t field = res_point_field((size_t)column);
    if (c->type == RES_POINT)
        return true;
    if (c->of_deployment)
        return *deployment = true;
    if (!load_field(w, field, err))
        return false;
    if (res_is_enum(c->type))
        return check_field(w, field, res_enum_count(res_enum_stored(c->type)), err);
    return c->type != RES_TEXT || check_field(w, field, w->f->reason_texts.n, err);
}

static size_t op_count(const res_window *w, size_t i) {
    return res_table_get_u32(&w->f->deployments, RES_DEP_op_count, u32_at(w, RES_P_DEPLOYMENT, i));
}

static size_t first_op(const res_window *w, size_t i) {
    return (size_t)res_table_get_u64(&w->f->deployments, RES_DEP_first_op, u32_at(w, RES_P_DEPLOYMENT, i));
}

/* Rows of the points follow one another. */
static bool check_rows(res_window *w, aic_error *err) {
    w->first_row = w->n ? u64_at(w, RES_P_FIRST, 0) : 0;
    uint64_t next = w->first_row;
    for (size_t i = 0; i < w->n; i++) {
        uint16_t n = u16_at(w, RES_P_ROWS, i);
        if (u64_at(w, RES_P_FIRST, i) != next || next > w->f->rows || n > w->f->rows - next ||
            !res_rows_fit(&w->f->deployments, &w->f->ops, u32_at(w, RES_P_DEPLOYMENT, i), n))
            return in_points(w, RES_P_FIRST, "rows that are not the point's", err);
        next += n;
    }
    if (next - w->first_row > RES_WINDOW_ROWS)
        return in_points(w, RES_P_ROWS, "more rows than a window of points holds", err);
    w->n_rows = (size_t)(next - w->first_row);
    return true;
}

static bool load_bytes(res_window *w, size_t k, aic_error *err) {
    const res_field *field = &res_group_get(RES_G_BREAKDOWN)->fields[byte_fields[k]];
    char path[96];
    if (!res_file_rows(w->f, w->codec, RES_G_BREAKDOWN, byte_fields[k], w->first_row, w->n_rows, w->bytes[k],
                       err))
        return false;
    snprintf(path, sizeof path, "/breakdown/%s", field->name);
    for (size_t i = 0; i < w->n_rows; i++)
        if (w->bytes[k][i] >= res_enum_count(field->type))
            return res_damaged(err, w->f->in.path, path, "a value that does not exist");
    return true;
}

/* Values of four bytes are read into the upper half of the room and widened from its start: value i is read
 * before anything is written at or behind it. */
static bool load_reals(res_window *w, size_t field, double *out, aic_error *err) {
    size_t width = w->f->sets[RES_G_BREAKDOWN][field].width, n = w->n_rows;
    uint8_t *stored = (uint8_t *)out + n * (sizeof *out - width);
    if (!res_file_rows(w->f, w->codec, RES_G_BREAKDOWN, field, w->first_row, n, stored, err))
        return false;
    for (size_t i = 0; width == sizeof(float) && i < n; i++) {
        float v;
        memcpy(&v, stored + i * sizeof v, sizeof v);
        out[i] = v;
    }
    return true;
}

static bool load_breakdown(res_window *w, aic_error *err) {
    if (!load_field(w, RES_P_FIRST, err) || !load_field(w, RES_P_ROWS, err) || !check_rows(w, err))
        return false;
    if (w->n_rows > w->rows_cap) {
        w->rows_cap = w->n_rows;
        w->latency = aic_realloc(w->latency, w->rows_cap, sizeof *w->latency);
        w->energy = aic_realloc(w->energy, w->rows_cap, sizeof *w->energy);
        for (size_t k = 0; k < BYTE_FIELDS; k++)
            w->bytes[k] = aic_realloc(w->bytes[k], w->rows_cap, 1);
    }
    if (!load_reals(w, RES_B_LATENCY, w->latency, err) || !load_reals(w, RES_B_ENERGY, w->energy, err))
        return false;
    for (size_t k = 0; k < BYTE_FIELDS; k++)
        if (!load_bytes(w, k, err))
            return false;
    return w->breakdown = true;
}

bool res_window_load(res_window *w, uint64_t first, size_t n, const int *columns, size_t n_columns,
                     bool breakdown, aic_error *err) {
    if (first > w->f->points || n > w->f->points - first)
        return aic_fail(err, AIC_BAD_INPUT, "%s has %llu points, numbered from 0", w->f->in.path,
                        (unsigned long long)w->f->points);
    bool deployment = breakdown;
    w->first = first;
    w->n = n;
    w->breakdown = false;
    for (size_t i = 0; i < n_columns; i++)
        if (!load_column(w, columns[i], &deployment, err))
            return false;
    if (deployment && (!load_field(w, RES_P_DEPLOYMENT, err) ||
                       !check_field(w, RES_P_DEPLOYMENT, w->f->deployments.rows, err)))
        return false;
    return !breakdown || load_breakdown(w, err);
}

/* ---- values ------------------------------------------------------------------------------------------ */

double res_window_number(const res_window *w, size_t i, int column) {
    const res_column *c = res_column_at((size_t)column);
    if (c->type == RES_POINT)
        return (double)(w->f->first_point + w->first + i);
    if (c->of_deployment) {
        size_t field = (size_t)column;
        uint32_t d = u32_at(w, RES_P_DEPLOYMENT, i);
        return c->type == RES_F64 ? res_table_get_f64(&w->f->deployments, field, d)
                                  : res_table_get_u32(&w->f->deployments, field, d);
    }
    size_t field = res_point_field((size_t)column);
    return c->type == RES_F64     ? f64_at(w, field, i)
           : res_is_enum(c->type) ? w->data[field][i]
                                  : u32_at(w, field, i);
}

size_t res_text_count(const res_file *f, int column) {
    int axis = res_column_axis((size_t)column);
    return axis >= 0 ? f->axes[axis].n : f->reason_texts.n;
}

const char *res_text_at(const res_file *f, int column, size_t id) {
    int axis = res_column_axis((size_t)column);
    return axis >= 0 ? f->axes[axis].items[id] : f->reason_texts.items[id];
}

uint32_t res_window_text_id(const res_window *w, size_t i, int column) {
    if (res_column_at((size_t)column)->of_deployment)
        return res_table_get_u32(&w->f->deployments, (size_t)column, u32_at(w, RES_P_DEPLOYMENT, i));
    return u32_at(w, res_point_field((size_t)column), i);
}

const char *res_window_text(const res_window *w, size_t i, int column) {
    const char *text = res_text_at(w->f, column, res_window_text_id(w, i, column));
    return *text ? text : NULL;
}

uint32_t res_window_deployment(const res_window *w, size_t i) {
    return u32_at(w, RES_P_DEPLOYMENT, i);
}

srv_status res_window_status(const res_window *w, size_t i) {
    return (srv_status)w->data[res_point_field(RES_C_status)][i];
}

aic_value res_window_value(const res_window *w, size_t i, int column) {
    res_type type = res_column_at((size_t)column)->type;
    switch (type) {
    case RES_POINT:
        return aic_int((int64_t)(w->f->first_point + w->first + i));
    case RES_U32:
        return aic_int((int64_t)res_window_number(w, i, column));
    case RES_F64: {
        double v = res_window_number(w, i, column);
        return isnan(v) ? AIC_NULL_VALUE : aic_real(v);
    }
    case RES_STATUS:
    case RES_CARRIED:
    case RES_TIER:
        return aic_str(res_enum_text(type, w->data[res_point_field((size_t)column)][i]));
    case RES_TEXT: {
        const char *text = res_window_text(w, i, column);
        return text ? aic_str(text) : AIC_NULL_VALUE;
    }
    }
    return AIC_NULL_VALUE;
}

size_t res_window_all_rows(const res_window *w, size_t i, const res_op_row **rows) {
    const res_file *f = w->f;
    *rows = w->rows;
    if (!w->breakdown)
        return 0;
    size_t n = u16_at(w, RES_P_ROWS, i), at = (size_t)(u64_at(w, RES_P_FIRST, i) - w->first_row);
    size_t op = first_op(w, i) + op_count(w, i) - n; /* the last ones: only the encoder's may be left out */
    for (size_t r = 0; r < n; r++)
        w->rows[r] = (res_op_row){
            .phase = (srv_phase)res_table_get_u8(&f->ops, RES_OP_PHASE, op + r),
            .name = f->axes[RES_AXIS_op].items[res_table_get_u32(&f->ops, RES_OP_NAME, op + r)],
            .kind = f->axes[RES_AXIS_kind].items[res_table_get_u32(&f->ops, RES_OP_KIND, op + r)],
            .repeat = res_table_get_f64(&f->ops, RES_OP_REPEAT, op + r),
            .latency = w->latency[at + r],
            .energy = w->energy[at + r],
            .source = (op_source)w->bytes[0][at + r],
            .tier = (op_tier)w->bytes[1][at + r],
            .carried = (srv_carried)w->bytes[2][at + r],
        };
    return n;
}

size_t res_window_rows(const res_window *w, size_t i, const res_op_row **rows) {
    size_t n = res_window_all_rows(w, i, rows), kept = 0;
    if (!w->f->top)
        return n;
    for (size_t r = 0; r < n; r++)
        if (!isnan(w->rows[r].latency))
            w->rows[kept++] = w->rows[r];
    return kept;
}

/* ---- raw columns ------------------------------------------------------------------------------------- */

const void *res_window_field(const res_window *w, size_t field) {
    return w->data[field];
}

size_t res_window_span(const res_window *w, size_t i, const double **latency, size_t *first) {
    *first = (size_t)(u64_at(w, RES_P_FIRST, i) - w->first_row);
    *latency = w->latency + *first;
    return u16_at(w, RES_P_ROWS, i);
}

bool res_windows_agree(const res_window *a, size_t row_a, const res_window *b, size_t row_b) {
    for (size_t k = 0; k < BYTE_FIELDS; k++)
        if (a->bytes[k][row_a] != b->bytes[k][row_b])
            return false;
    return true;
}
