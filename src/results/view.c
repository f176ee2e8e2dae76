/* merge --virtual: one HDF5 file in which the columns of /points and /breakdown are virtual datasets over the
 * shards'. Columns that merging changes (rows of lists that are joined) are stored, and so is everything but
 * points; the values read from it are those of the merged file, no chunk of figures is copied.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "results/merge.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct viewer {
    const res_merge_options *opt;
    const res_shard_file *list;
    size_t n;
    char (*names)[RES_PATH_MAX]; /* of the shards, as the view calls them */
    res_part part;
    res_out out;
    res_codec *codec;
    aic_buf content;         /* unused: a view has no content digest */
    res_precision precision; /* of the shards' breakdowns */
    uint64_t points, rows;
    res_table stored; /* the columns of /points that merging changes, a chunk at a time */
    hid_t ids[RES_MAX_FIELDS];
    res_deployments deployments;
    res_reason_list reasons;
} viewer;

/* ---- names ------------------------------------------------------------------------------------------- */

/* The folder of a path, resolved. */
static bool real_folder(const char *path, char out[PATH_MAX], aic_error *err) {
    char folder[RES_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    return realpath(folder, out) || aic_fail(err, AIC_IO, "cannot find the folder %s", folder);
}

/* HDF5 looks for a relative name in the folder of the view: "../b/x.h5" from folder /a for /b/x.h5. */
static bool relative(const char *folder, const char *path, char out[RES_PATH_MAX], aic_error *err) {
    char target[PATH_MAX];
    if (!real_folder(path, target, err))
        return false;
    size_t same = 0, i = 0; /* bytes of the common folders, the slash behind them not counted */
    for (;; i++) {
        bool a_end = !folder[i] || folder[i] == '/', b_end = !target[i] || target[i] == '/';
        if (a_end && b_end)
            same = i;
        if (folder[i] != target[i] || !folder[i])
            break;
    }
    aic_buf b = {0};
    for (const char *c = folder + same; *c; c++)
        if (*c == '/' && c[1])
            aic_buf_add(&b, "../");
    const char *rest = target + same + (target[same] == '/');
    const char *slash = strrchr(path, '/');
    aic_buf_printf(&b, "%s%s%s", rest, *rest ? "/" : "", slash ? slash + 1 : path);
    bool ok = b.len < RES_PATH_MAX || aic_fail(err, AIC_BAD_INPUT, "the path to %s is too long", path);
    snprintf(out, RES_PATH_MAX, "%s", b.data);
    aic_buf_free(&b);
    return ok;
}

static bool name_shards(viewer *v, aic_error *err) {
    char folder[PATH_MAX];
    if (!real_folder(v->opt->path, folder, err))
        return false;
    v->names = aic_calloc(v->n, sizeof *v->names);
    for (size_t i = 0; i < v->n; i++)
        if (!relative(folder, v->list[i].path, v->names[i], err))
            return false;
    return true;
}

/* ---- virtual datasets -------------------------------------------------------------------------------- */

static uint64_t group_rows(const res_shard_file *s, res_group_id g) {
    return g == RES_G_POINTS ? s->points : s->rows;
}

/* Sources that are gone read as bytes of 0xff: NaN, and numbers no list has. */
static bool set_fill(hid_t properties, hid_t type) {
    uint8_t fill[16];
    memset(fill, 0xff, sizeof fill);
    return H5Tget_size(type) <= sizeof fill && H5Pset_fill_value(properties, type, fill) >= 0;
}

static bool map_shards(const viewer *v, res_group_id g, const char *path, uint64_t rows, hid_t space,
                       hid_t properties) {
    hsize_t at = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < v->n; i++) {
        hsize_t n = group_rows(&v->list[i], g);
        if (n == 0)
            continue;
        hid_t source = H5Screate_simple(1, &n, NULL);
        ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &n, NULL) >= 0 &&
             H5Pset_virtual(properties, space, v->names[i], path, source) >= 0;
        H5Sclose(source);
        at += n;
    }
    return ok && at == rows && H5Sselect_all(space) >= 0;
}

static bool create_virtual(viewer *v, res_group_id g, size_t field, const char *path, uint64_t rows,
                           aic_error *err) {
    const res_field *f = &res_group_in(g, v->precision)->fields[field];
    hsize_t extent = rows;
    pdb_hdf5_lock();
    hid_t type = res_h5_type(f->type, 0), space = H5Screate_simple(1, &extent, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    H5Pset_attr_phase_change(properties, 128, 120);
    bool ok = set_fill(properties, type) && map_shards(v, g, path, rows, space, properties);
    if (ok) {
        v->ids[field] = H5Dcreate2(v->out.file, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        ok = v->ids[field] >= 0;
    }
    if (!ok)
        res_h5_fail(err, v->out.path, "cannot create a virtual dataset");
    H5Pclose(properties);
    H5Sclose(space);
    H5Tclose(type);
    pdb_hdf5_unlock();
    return ok && (!*f->unit || res_out_text(&v->out, path, "units", f->unit, 0, err)) &&
           res_out_text(&v->out, path, "long_name", f->meaning, 0, err);
}

static bool create_group(viewer *v, res_group_id g, uint64_t rows, aic_error *err) {
    const res_group *group = res_group_in(g, v->precision);
    char path[96];
    snprintf(path, sizeof path, "/%s", group->name);
    bool ok =
        res_out_group(&v->out, path, "shards one after another: virtual datasets but for rows of lists", err);
    for (size_t f = 0; ok && f < group->n_fields; f++) {
        const res_field *field = &group->fields[f];
        snprintf(path, sizeof path, "/%s/%s", group->name, field->name);
        ok = rows > 0 && !res_shift_changes(g, f)
                 ? create_virtual(v, g, f, path, rows, err)
                 : res_out_dataset(&v->out, path, field->type, res_width(field->type), group->chunk,
                                   field->unit, field->meaning, &v->ids[f], err);
    }
    return ok && (!group->scale ||
                  res_out_scale(&v->out, group->fields[0].name, v->ids[0], v->ids, group->n_fields, err));
}

static void end_group(viewer *v) {
    for (size_t f = 0; f < RES_MAX_FIELDS; f++) {
        res_out_done(v->ids[f]);
        v->ids[f] = -1;
    }
}

/* ---- stored columns ---------------------------------------------------------------------------------- */

static bool flush(viewer *v, aic_error *err) {
    const res_table *t = &v->stored;
    size_t chunk = t->group->chunk;
    uint64_t index = (v->points - t->rows) / chunk;
    bool ok = true;
    for (size_t f = 0; ok && t->rows > 0 && f < t->group->n_fields; f++) {
        res_coded coded;
        if (!res_shift_changes(RES_G_POINTS, f))
            continue;
        res_encode(v->codec, t->data[f], t->rows, t->width[f], chunk, res_shuffled(t->group->fields[f].type),
                   false, &coded);
        ok = res_out_chunk(&v->out, v->ids[f], index, chunk, v->points, &coded, err);
    }
    v->stored.rows = 0;
    return ok;
}

static bool store_points(viewer *v, const res_file *f, res_shift *points, aic_error *err) {
    res_table *t = &v->stored;
    for (uint64_t row = 0; row < f->points;) {
        size_t at, n;
        if (!res_shift_at(points, row, &at, &n, err))
            return false;
        n = n < t->cap - t->rows ? n : t->cap - t->rows;
        for (size_t i = 0; i < t->group->n_fields; i++)
            if (res_shift_changes(RES_G_POINTS, i))
                memcpy(t->data[i] + t->rows * t->width[i], res_shift_field(points, i) + at * t->width[i],
                       n * t->width[i]);
        t->rows += n;
        row += n;
        v->points += n;
        if (t->rows == t->cap && !flush(v, err))
            return false;
    }
    return true;
}

static bool join_shard(viewer *v, const res_shard_file *s, aic_error *err) {
    res_joined j = {0};
    res_file *f = res_open(s->path, err);
    bool ok = f && res_join(f, &v->deployments, &v->reasons, &j, err);
    if (ok) {
        res_codec *codec = res_codec_new(0);
        res_shift *points = res_shift_new(f, RES_G_POINTS, &j, v->rows, &codec, 1);
        ok = store_points(v, f, points, err);
        res_shift_free(points);
        res_codec_free(codec);
        v->rows += f->rows;
    }
    res_joined_free(&j);
    res_close(f);
    return ok;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static bool put_root(viewer *v, const res_file *first, uint64_t rows, aic_error *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < first->n_attributes; i++) {
        const char *name = first->attributes[i].name;
        bool format = strcmp(name, "format") == 0;
        if (strcmp(name, "content_sha256") != 0)
            ok = res_out_text(&v->out, "/", name, format ? RES_VIEW_FORMAT : first->attributes[i].value, 0,
                              err);
    }
    return ok && res_out_u64(&v->out, "/", "format_version", RES_FORMAT_VERSION, err) &&
           res_out_u64(&v->out, "/", "complete", 1, err) &&
           res_out_u64(&v->out, "/", "total_points", first->total, err) &&
           res_out_u64(&v->out, "/", "points", first->total, err) &&
           res_out_u64(&v->out, "/", "breakdown_rows", rows, err) &&
           res_out_array(&v->out, v->codec, "/spec", RES_D_U8, 1, RES_SPEC_CHUNK, "",
                         "the sweep spec or point list as read, UTF-8 bytes", first->spec,
                         strlen(first->spec), &v->content, err);
}

static bool put_tables(viewer *v, aic_error *err) {
    res_table reasons;
    bool ok =
        res_out_table(&v->out, v->codec, &v->deployments.table, "one row per deployment", &v->content, err) &&
        res_out_table(&v->out, v->codec, &v->deployments.ops, "breakdown rows of the deployments",
                      &v->content, err) &&
        res_out_group(&v->out, "/axes", "distinct texts that deployments and ops point into", err);
    for (int a = 0; ok && a < RES_AXIS_COUNT; a++)
        ok = res_out_axis(&v->out, v->codec, (res_axis)a, v->deployments.axes.of[a], &v->content, err);
    res_reasons_table(&v->reasons, &reasons);
    ok = ok && res_out_table(&v->out, v->codec, &reasons, "distinct reasons of points that are not ok",
                             &v->content, err);
    res_table_free(&reasons);
    return ok;
}

static bool fill(viewer *v, aic_error *err) {
    uint64_t points = 0, rows = 0;
    for (size_t i = 0; i < v->n; i++) {
        points += v->list[i].points;
        rows += v->list[i].rows;
    }
    res_file *first = res_open(v->list[0].path, err);
    v->precision = first ? first->precision : RES_PRECISION_f64;
    bool ok = first && put_root(v, first, rows, err) && create_group(v, RES_G_BREAKDOWN, rows, err);
    end_group(v);
    ok = ok && create_group(v, RES_G_POINTS, points, err);
    for (size_t i = 0; ok && i < v->n; i++)
        ok = join_shard(v, &v->list[i], err);
    ok = ok && flush(v, err);
    end_group(v);
    res_close(first);
    return ok && put_tables(v, err);
}

static bool write_file(viewer *v, res_summary *out, aic_error *err) {
    char path[RES_PATH_MAX];
    struct stat st;
    res_part_path(&v->part, "open.tmp", path);
    if (!res_out_create(&v->out, path, v->opt->deflate, err))
        return false;
    if (!fill(v, err) || !res_out_close(&v->out, err) || !res_fsync(path, err)) {
        res_out_discard(&v->out);
        return false;
    }
    if (!res_publish(path, v->part.final, v->part.folder, err))
        return false;
    snprintf(out->path, sizeof out->path, "%s", v->part.final);
    out->points = v->points;
    out->rows = v->rows;
    out->file_bytes = stat(v->part.final, &st) == 0 ? (uint64_t)st.st_size : 0;
    return true;
}

bool res_view_write(const res_merge_options *opt, const res_shard_file *list, size_t n, res_summary *out,
                    aic_error *err) {
    viewer *v = AIC_NEW(viewer);
    *v =
        (viewer){.opt = opt, .list = list, .n = n, .out = {.file = -1}, .codec = res_codec_new(opt->deflate)};
    for (size_t f = 0; f < RES_MAX_FIELDS; f++)
        v->ids[f] = -1;
    res_deployments_init(&v->deployments);
    res_reasons_init(&v->reasons);
    const res_group *points = res_group_get(RES_G_POINTS);
    res_table_init(&v->stored, points, points->chunk, 0);
    bool ok = name_shards(v, err) && res_part_open(&v->part, opt->path, opt->force, err);
    if (ok) {
        ok = write_file(v, out, err);
        res_part_close(&v->part, true);
    }
    res_table_free(&v->stored);
    res_deployments_free(&v->deployments);
    res_reasons_free(&v->reasons);
    res_codec_free(v->codec);
    aic_buf_free(&v->content);
    free(v->names);
    free(v);
    return ok;
}
