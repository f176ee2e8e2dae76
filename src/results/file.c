/* Opening a result file: what is loaded whole is checked here, once; points are checked as they are read
 * (window.c). */
#include "results/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- root -------------------------------------------------------------------------------------------- */

static const char *const text_attributes[] = {"format",    "program",       "spec_name", "spec_sha256",
                                              "overrides", "options",       "build",     "databases",
                                              "data",      "content_sha256"};

static bool read_version(res_file *f, aic_error *err) {
    const char *format;
    uint64_t version;
    aic_error unused = {0};
    if (!res_in_text(&f->in, "/", "format", f->arena, &format, &unused) && unused.code == AIC_IO) {
        if (err)
            *err = unused;
        return false;
    }
    if (unused.code == AIC_OK && strcmp(format, RES_VIEW_FORMAT) == 0)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s is a view of shards, for other HDF5 readers; give a shard, or merge them without "
                        "--virtual",
                        f->in.path);
    if (unused.code != AIC_OK || strcmp(format, RES_FORMAT) != 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s is not a result file of this program", f->in.path);
    if (!res_in_u64(&f->in, "/", "format_version", &version, err))
        return false;
    if (version != RES_FORMAT_VERSION)
        return aic_fail(err, AIC_BAD_INPUT, "%s has result format %llu; this program reads format %d",
                        f->in.path, (unsigned long long)version, RES_FORMAT_VERSION);
    if (res_in_has(&f->in, "/chunk"))
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s is a piece of an unfinished sweep; open its .partial.h5 instead", f->in.path);
    return true;
}

/* A file that is no shard lacks the attributes. */
static bool read_shard(res_file *f, aic_error *err) {
    aic_error absent = {0};
    if (!res_in_u64(&f->in, "/", "shard", &f->shard, &absent)) {
        if (absent.code == AIC_IO && err)
            *err = absent;
        return absent.code != AIC_IO;
    }
    if (!res_in_u64(&f->in, "/", "shards", &f->shards, err) ||
        !res_in_u64(&f->in, "/", "first_point", &f->first_point, err))
        return false;
    return (f->shard >= 1 && f->shard <= f->shards && f->first_point <= f->total &&
            f->points <= f->total - f->first_point) ||
           res_damaged(err, f->in.path, "/", "its shard lies outside the sweep");
}

static bool read_root(res_file *f, aic_error *err) {
    uint64_t complete;
    if (!res_in_u64(&f->in, "/", "complete", &complete, err) ||
        !res_in_u64(&f->in, "/", "points", &f->points, err) ||
        !res_in_u64(&f->in, "/", "breakdown_rows", &f->rows, err) ||
        !res_in_u64(&f->in, "/", "total_points", &f->total, err) || !read_shard(f, err) ||
        !res_in_precision(&f->in, &f->precision, err))
        return false;
    f->complete = complete == 1;
    for (size_t i = 0; i < sizeof text_attributes / sizeof *text_attributes; i++) {
        f->attributes[i].name = text_attributes[i];
        if (!res_in_text(&f->in, "/", text_attributes[i], f->arena, &f->attributes[i].value, err))
            return false;
        f->n_attributes++;
    }
    f->top = res_options_top(res_attribute(f, "options"));
    if (f->precision != RES_PRECISION_f64) {
        f->attributes[f->n_attributes].name = "breakdown_precision";
        f->attributes[f->n_attributes++].value = res_precision_name(f->precision);
    }
    return true;
}

static bool read_spec(res_file *f, aic_error *err) {
    res_dataset d;
    if (!res_in_dataset(&f->in, "/spec", RES_D_U8, RES_SPEC_CHUNK, false, &d, err))
        return false;
    bool ok = true;
    size_t cap = 0;
    f->spec = aic_calloc(1, 1);
    for (uint64_t i = 0; ok && i * RES_SPEC_CHUNK < d.rows; i++) {
        if ((i + 1) * RES_SPEC_CHUNK > cap) {
            cap = cap ? aic_mul(cap, 2) : RES_SPEC_CHUNK;
            f->spec = aic_realloc(f->spec, aic_add(cap, 1), 1);
        }
        ok = res_in_chunk(&f->in, &d, "/spec", i, f->codec, f->spec + i * RES_SPEC_CHUNK, err);
    }
    if (ok)
        f->spec[d.rows] = '\0';
    res_dataset_close(&d);
    return ok;
}

/* ---- axes and reasons -------------------------------------------------------------------------------- */

/* Texts are printed: bytes that are not UTF-8 and control characters other than those of running text become
 * '?'. */
static const char *clean(aic_arena *a, const uint8_t *bytes, size_t width) {
    const uint8_t *end = memchr(bytes, 0, width);
    char *text = aic_arena_strndup(a, (const char *)bytes, end ? (size_t)(end - bytes) : width);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return text;
}

static bool read_axis(res_file *f, res_axis a, aic_error *err) {
    res_table t;
    if (!res_in_group(&f->in, res_axis_group(a), f->codec, &t, err))
        return false;
    res_texts *axis = &f->axes[a];
    axis->n = t.rows;
    axis->items = aic_arena_alloc(f->arena, t.rows, sizeof *axis->items);
    for (size_t i = 0; i < t.rows; i++)
        axis->items[i] = clean(f->arena, t.data[0] + i * t.width[0], t.width[0]);
    res_table_free(&t);
    return axis->n > 0 || res_damaged(err, f->in.path, "/axes", "an axis is empty");
}

static bool read_reasons(res_file *f, aic_error *err) {
    res_table t;
    if (!res_in_group(&f->in, res_group_get(RES_G_REASONS), f->codec, &t, err))
        return false;
    bool ok = true;
    f->n_reasons = t.rows;
    f->reasons = aic_arena_alloc(f->arena, t.rows, sizeof *f->reasons);
    f->reason_texts.n = t.rows + 1;
    f->reason_texts.items = aic_arena_alloc(f->arena, t.rows + 1, sizeof(char *));
    f->reason_texts.items[0] = "";
    for (size_t i = 0; ok && i < t.rows; i++) {
        res_reason *r = &f->reasons[i];
        uint8_t status = res_table_get_u8(&t, RES_R_STATUS, i);
        r->text = clean(f->arena, t.data[RES_R_TEXT] + i * t.width[RES_R_TEXT], t.width[RES_R_TEXT]);
        r->count = res_table_get_u64(&t, RES_R_COUNT, i);
        r->example = res_table_get_u64(&t, RES_R_EXAMPLE, i);
        r->status = (srv_status)status;
        f->reason_texts.items[i + 1] = r->text;
        if (status >= SRV_STATUS_COUNT || r->example < f->first_point ||
            r->example - f->first_point >= f->points || r->count > f->points)
            ok = res_damaged(err, f->in.path, "/reasons", "a status, count or example that cannot be");
    }
    res_table_free(&t);
    return ok;
}

/* ---- deployments and ops ----------------------------------------------------------------------------- */

static bool below(const res_table *t, size_t field, uint64_t limit) {
    size_t width = t->width[field];
    for (size_t i = 0; i < t->rows; i++)
        if ((width == 1 ? res_table_get_u8(t, field, i) : res_table_get_u32(t, field, i)) >= limit)
            return false;
    return true;
}

static bool check_field(const res_file *f, const res_table *t, size_t field, uint64_t limit, aic_error *err) {
    char path[96];
    snprintf(path, sizeof path, "/%s/%s", t->group->name, t->group->fields[field].name);
    return below(t, field, limit) ||
           res_damaged(err, f->in.path, path, "a value beyond the list it points into");
}

static bool check_enums(const res_file *f, const res_table *t, aic_error *err) {
    for (size_t i = 0; i < t->group->n_fields; i++) {
        size_t members = res_enum_count(t->group->fields[i].type);
        if (members && !check_field(f, t, i, members, err))
            return false;
    }
    return true;
}

static bool check_op_runs(res_file *f, aic_error *err) {
    const res_table *t = &f->deployments;
    for (size_t i = 0; i < t->rows; i++) {
        uint64_t first = res_table_get_u64(t, RES_DEP_first_op, i),
                 n = res_table_get_u32(t, RES_DEP_op_count, i);
        if (n > RES_ROWS_MAX || first > f->ops.rows || n > f->ops.rows - first)
            return res_damaged(err, f->in.path, "/deployments/first_op", "rows beyond the end of /ops");
        if (n > f->most_rows)
            f->most_rows = (size_t)n;
    }
    return true;
}

static bool read_deployments(res_file *f, aic_error *err) {
    if (!res_in_group(&f->in, res_group_get(RES_G_DEPLOYMENTS), f->codec, &f->deployments, err) ||
        !res_in_group(&f->in, res_group_get(RES_G_OPS), f->codec, &f->ops, err) ||
        !check_enums(f, &f->deployments, err) || !check_enums(f, &f->ops, err) || !check_op_runs(f, err) ||
        !check_field(f, &f->deployments, RES_DEP_refusal, f->axes[RES_AXIS_refusal].n, err) ||
        !check_field(f, &f->ops, RES_OP_NAME, f->axes[RES_AXIS_op].n, err) ||
        !check_field(f, &f->ops, RES_OP_KIND, f->axes[RES_AXIS_kind].n, err))
        return false;
    for (size_t c = 0; c < RES_COLUMN_COUNT; c++) {
        int axis = res_column_axis(c);
        if (axis >= 0 && !check_field(f, &f->deployments, c, f->axes[axis].n, err))
            return false;
    }
    return true;
}

/* ---- points ------------------------------------------------------------------------------------------ */

static bool open_stream(res_file *f, res_group_id g, uint64_t rows, aic_error *err) {
    const res_group *group = res_group_in(g, f->precision);
    char path[96];
    for (size_t i = 0; i < group->n_fields; i++) {
        snprintf(path, sizeof path, "/%s/%s", group->name, group->fields[i].name);
        res_dataset *d = &f->sets[g][i];
        if (!res_in_dataset(&f->in, path, group->fields[i].type, group->chunk, group->sparse, d, err))
            return false;
        if (d->rows != rows)
            return res_damaged(err, f->in.path, path, "not as many rows as the file says");
    }
    return true;
}

/* The last point must end where the breakdown ends: with it, no point can claim more rows than there are. */
static bool check_end(res_file *f, aic_error *err) {
    uint64_t first = 0;
    uint16_t rows = 0;
    if (f->points > 0 &&
        (!res_file_rows(f, f->codec, RES_G_POINTS, RES_P_FIRST, f->points - 1, 1, &first, err) ||
         !res_file_rows(f, f->codec, RES_G_POINTS, RES_P_ROWS, f->points - 1, 1, &rows, err)))
        return false;
    return (first <= f->rows && f->rows - first == rows) ||
           res_damaged(err, f->in.path, "/points/breakdown_rows",
                       "the last point does not end where /breakdown ends");
}

static bool load(res_file *f, aic_error *err) {
    if (!open_stream(f, RES_G_POINTS, f->points, err) || !open_stream(f, RES_G_BREAKDOWN, f->rows, err) ||
        !read_spec(f, err))
        return false;
    for (int a = 0; a < RES_AXIS_COUNT; a++)
        if (!read_axis(f, (res_axis)a, err))
            return false;
    return read_deployments(f, err) && read_reasons(f, err) && check_end(f, err);
}

static res_file *open_root(const char *path, bool sealed, aic_error *err) {
    if (strlen(path) >= RES_PATH_MAX) {
        aic_fail(err, AIC_BAD_INPUT, "the result file's path is too long");
        return NULL;
    }
    res_file *f = AIC_NEW(res_file);
    f->in.file = -1;
    f->arena = aic_arena_new();
    f->codec = res_codec_new(0);
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t i = 0; i < RES_MAX_FIELDS; i++)
            f->sets[g][i].id = -1;
    res_seal seal;
    if (res_in_open(&f->in, path, err) && read_version(f, err) &&
        (!sealed || res_seal_read(path, &seal, err)) && read_root(f, err))
        return f;
    res_close(f);
    return NULL;
}

static res_file *open_whole(const char *path, bool sealed, aic_error *err) {
    res_file *f = open_root(path, sealed, err);
    if (!f || load(f, err))
        return f;
    res_close(f);
    return NULL;
}

res_file *res_open_root(const char *path, aic_error *err) {
    return open_root(path, true, err);
}

res_file *res_open(const char *path, aic_error *err) {
    return open_whole(path, true, err);
}

res_file *res_open_unsealed(const char *path, aic_error *err) {
    return open_whole(path, false, err);
}

void res_close(res_file *f) {
    if (!f)
        return;
    for (int g = 0; g < RES_STREAMS; g++)
        for (size_t i = 0; i < RES_MAX_FIELDS; i++)
            res_dataset_close(&f->sets[g][i]);
    res_in_close(&f->in);
    res_table_free(&f->deployments);
    res_table_free(&f->ops);
    res_codec_free(f->codec);
    aic_arena_free(f->arena);
    free(f->spec);
    free(f);
}

/* ---- what a file says of itself ---------------------------------------------------------------------- */

uint64_t res_count(const res_file *f) {
    return f->points;
}

uint64_t res_first_point(const res_file *f) {
    return f->first_point;
}

bool res_complete(const res_file *f) {
    return f->complete;
}

const char *res_spec_text(const res_file *f) {
    return f->spec;
}

const char *res_attribute(const res_file *f, const char *name) {
    for (size_t i = 0; i < f->n_attributes; i++)
        if (strcmp(f->attributes[i].name, name) == 0)
            return f->attributes[i].value;
    return NULL;
}

size_t res_reasons(const res_file *f, const res_reason **list) {
    *list = f->reasons;
    return f->n_reasons;
}

size_t res_most_rows(const res_file *f) {
    return f->most_rows;
}

bool res_file_summary(const res_file *f, res_summary *out, aic_error *err) {
    char name[64];
    *out =
        (res_summary){.points = f->points, .resumed = f->points, .rows = f->rows, .file_bytes = f->in.bytes};
    snprintf(out->path, sizeof out->path, "%s", f->in.path);
    snprintf(out->digest, sizeof out->digest, "%s", res_attribute(f, "content_sha256"));
    for (int s = 0; s < SRV_STATUS_COUNT; s++) {
        snprintf(name, sizeof name, "points_%s", res_enum_name(RES_D_STATUS, (size_t)s));
        if (!res_in_u64(&f->in, "/", name, &out->by_status[s], err))
            return false;
    }
    return true;
}
