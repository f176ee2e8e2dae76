/* Do these files hold every point of one sweep once? */
#include "results/merge.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

/* ---- one sweep --------------------------------------------------------------------------------------- */

/* Texts of the root group that differ between shards. */
static bool may_differ(const char *attribute) {
    return strcmp(attribute, "content_sha256") == 0;
}

/* The first text attribute in which two files differ, NULL when none does. */
static const char *difference(const res_file *a, const res_file *b) {
    for (size_t i = 0; i < a->n_attributes; i++) {
        const char *name = a->attributes[i].name, *other = res_attribute(b, name);
        if (!may_differ(name) && (!other || strcmp(a->attributes[i].value, other) != 0))
            return name;
    }
    return NULL;
}

static bool same_sweep(const res_file *first, const res_file *f, aic_error *err) {
    const char *name = difference(first, f);
    if (name)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s and %s are not shards of one sweep: their %s differ (\"%.200s\" and \"%.200s\")",
                        first->in.path, f->in.path, name, res_attribute(first, name), res_attribute(f, name));
    return f->total == first->total ||
           aic_fail(err, AIC_BAD_INPUT,
                    "%s and %s are not shards of one sweep: it has %llu points in one, %llu in "
                    "the other",
                    first->in.path, f->in.path, (ull)first->total, (ull)f->total);
}

static bool read_one(const res_file *f, const char *path, res_shard_file *out, aic_error *err) {
    if (f->shard == 0)
        return aic_fail(err, AIC_BAD_INPUT, "%s is no shard: it was run without --shard", path);
    if (!f->complete)
        return aic_fail(err, AIC_BAD_INPUT, "%s (shard %llu of %llu) is not complete: run that shard again",
                        path, (ull)f->shard, (ull)f->shards);
    *out = (res_shard_file){.path = path,
                            .shard = f->shard,
                            .shards = f->shards,
                            .first = f->first_point,
                            .points = f->points,
                            .rows = f->rows};
    snprintf(out->content, sizeof out->content, "%s", res_attribute(f, "content_sha256"));
    return true;
}

bool res_shards_read(const char *const *paths, size_t n, res_shard_file *list, uint64_t *total,
                     aic_error *err) {
    res_file *first = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        res_file *f = res_open_root(paths[i], err);
        ok = f && read_one(f, paths[i], &list[i], err) && (!first || same_sweep(first, f, err));
        if (first) {
            res_close(f);
        } else {
            first = f;
        }
    }
    if (ok)
        *total = first->total;
    res_close(first);
    return ok;
}

/* ---- every point once -------------------------------------------------------------------------------- */

enum { NAMED_MAX = 12 }; /* faults a message lists; the rest is counted */

typedef struct faults {
    aic_buf text;
    size_t n;
} faults;

/* Room for one more fault in the message? */
static bool name_it(faults *f) {
    if (f->n++ >= NAMED_MAX)
        return false;
    aic_buf_add(&f->text, "\n  ");
    return true;
}

static void add_points(aic_buf *b, uint64_t first, uint64_t end) {
    if (end - first == 1)
        aic_buf_printf(b, "point %llu", (ull)first);
    else
        aic_buf_printf(b, "points %llu to %llu", (ull)first, (ull)(end - 1));
}

/* Points nobody holds, between two neighbours (NULL: an end of the sweep). Where both are cut alike, the
 * shards' numbers follow. */
static void add_hole(faults *f, const res_shard_file *before, const res_shard_file *after, uint64_t first,
                     uint64_t end) {
    const res_shard_file *any = before ? before : after;
    if (!name_it(f))
        return;
    aic_buf_add(&f->text, "missing: ");
    if (any && (!before || !after || before->shards == after->shards)) {
        uint64_t from = before ? before->shard + 1 : 1, to = after ? after->shard - 1 : any->shards;
        if (from == to)
            aic_buf_printf(&f->text, "shard %llu of %llu, ", (ull)from, (ull)any->shards);
        else if (from < to)
            aic_buf_printf(&f->text, "shards %llu to %llu of %llu, ", (ull)from, (ull)to, (ull)any->shards);
    }
    add_points(&f->text, first, end);
}

static void add_file(aic_buf *b, const res_shard_file *s) {
    aic_buf_printf(b, "shard %llu of %llu (%.300s)", (ull)s->shard, (ull)s->shards, s->path);
}

static bool same_range(const res_shard_file *a, const res_shard_file *b) {
    return a->first == b->first && a->points == b->points;
}

static void add_overlap(faults *f, const res_shard_file *a, const res_shard_file *b, bool allow_duplicates) {
    uint64_t a_end = a->first + a->points, b_end = b->first + b->points;
    bool equal = same_range(a, b) && strcmp(a->content, b->content) == 0;
    if (!name_it(f))
        return;
    aic_buf_add(&f->text, "twice: ");
    add_points(&f->text, b->first, a_end < b_end ? a_end : b_end);
    aic_buf_add(&f->text, ", in ");
    add_file(&f->text, a);
    aic_buf_add(&f->text, " and ");
    add_file(&f->text, b);
    if (equal)
        aic_buf_add(&f->text, ", with equal contents: --allow-duplicates takes one");
    else if (allow_duplicates || same_range(a, b))
        aic_buf_add(&f->text, same_range(a, b) ? ", with different contents" : ", differently cut");
}

static int by_first(const void *a, const void *b) {
    const res_shard_file *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->points != y->points)
        return x->points < y->points ? -1 : 1;
    return strcmp(x->path, y->path);
}

static size_t drop_empty(res_shard_file *list, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].points > 0)
            list[kept++] = list[i];
    return kept;
}

bool res_shards_partition(res_shard_file *list, size_t *n, uint64_t total, bool allow_duplicates,
                          aic_error *err) {
    faults f = {0};
    size_t count = drop_empty(list, *n), kept = 0;
    uint64_t next = 0; /* points before it are accounted for */
    qsort(list, count, sizeof *list, by_first);
    for (size_t i = 0; i < count; i++) {
        const res_shard_file *s = &list[i], *last = kept ? &list[kept - 1] : NULL;
        if (last && allow_duplicates && same_range(last, s) && strcmp(last->content, s->content) == 0)
            continue;
        if (s->first > next)
            add_hole(&f, last, s, next, s->first);
        else if (s->first < next)
            add_overlap(&f, last, s, allow_duplicates);
        if (s->first + s->points <= next)
            continue; /* the one before reaches further: later ones are compared with it */
        next = s->first + s->points;
        list[kept++] = *s;
    }
    if (next < total)
        add_hole(&f, kept ? &list[kept - 1] : NULL, NULL, next, total);
    if (f.n > NAMED_MAX)
        aic_buf_printf(&f.text, "\n  and %zu more", f.n - NAMED_MAX);
    bool ok = f.n == 0 || aic_fail(err, AIC_BAD_INPUT,
                                   "the shards do not hold every point of the sweep once:%s", f.text.data);
    aic_buf_free(&f.text);
    *n = kept;
    return ok;
}
