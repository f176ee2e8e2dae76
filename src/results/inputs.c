/* What makes two runs the same sweep, and what to say when they are not.
 *
 * Every file names its inputs in its root attributes. A run that continues or reuses work must agree in all
 * of them; else the points would be another program's, another database's or another spec's.
 */
#include "results/writer.h"
#include <stdio.h>
#include <string.h>

/* ---- differences of texts ---------------------------------------------------------------------------- */

static bool has_line(const char *text, const char *line, size_t len) {
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        if (n == len && memcmp(at, line, len) == 0)
            return true;
        at += n + (at[n] == '\n');
    }
    return false;
}

/* Lines of a that b does not have, each behind the sign. */
static void only_in(aic_buf *out, const char *what, char sign, const char *a, const char *b) {
    for (const char *at = a; *at;) {
        size_t n = strcspn(at, "\n");
        if (!has_line(b, at, n))
            aic_buf_printf(out, "\n  %c %s: %.*s", sign, what, (int)n, at);
        at += n + (at[n] == '\n');
    }
}

void res_diff_texts(aic_buf *out, const char *what, const char *then, const char *now) {
    if (strcmp(then, now) == 0)
        return;
    size_t before = out->len;
    only_in(out, what, '-', then, now);
    only_in(out, what, '+', now, then);
    if (out->len == before)
        aic_buf_printf(out, "\n  %s: the same lines in another order", what);
}

static void compare_numbers(aic_buf *out, const char *what, uint64_t then, uint64_t now) {
    if (then != now)
        aic_buf_printf(out, "\n  - %s: %llu\n  + %s: %llu", what, (unsigned long long)then, what,
                       (unsigned long long)now);
}

/* ---- inputs ------------------------------------------------------------------------------------------ */

/* A number that only files of shards have, else 0. */
static bool shard_number(const res_in *in, const char *name, uint64_t *out, aic_error *err) {
    aic_error absent = {0};
    *out = 0;
    if (res_in_u64(in, "/", name, out, &absent) || absent.code != AIC_IO)
        return true;
    if (err)
        *err = absent;
    return false;
}

bool res_diff_inputs(const res_in *in, const res_origin *now, const char *databases,
                     const res_writer_options *opt, aic_buf *diff, aic_error *err) {
    char spec_sha256[65], options[RES_OPTIONS_TEXT];
    res_options_text(opt, now, options);
    aic_sha256_text(now->spec_text, now->spec_text ? strlen(now->spec_text) : 0, spec_sha256);
    const struct {
        const char *attribute, *what, *now;
    } texts[] = {
        {"program", "program", now->program},       {"build", "build", now->build},
        {"spec_name", "spec name", now->spec_name}, {"spec_sha256", "digest of the spec", spec_sha256},
        {"overrides", "override", now->overrides},  {"options", "options", options},
        {"databases", "database", databases},       {"data", "data", now->data},
    };
    aic_arena *a = aic_arena_new();
    uint64_t total = 0, shard = 0, shards = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof texts / sizeof *texts; i++) {
        const char *then;
        ok = res_in_text(in, "/", texts[i].attribute, a, &then, err);
        if (ok)
            res_diff_texts(diff, texts[i].what, then, texts[i].now ? texts[i].now : "");
    }
    ok = ok && res_in_u64(in, "/", "total_points", &total, err) && shard_number(in, "shard", &shard, err) &&
         shard_number(in, "shards", &shards, err);
    if (ok) {
        compare_numbers(diff, "points of the sweep", total, now->total_points);
        compare_numbers(diff, "number of the shard", shard, now->shard);
        compare_numbers(diff, "number of shards", shards, now->shards);
    }
    aic_arena_free(a);
    return ok;
}

bool res_writer_same_inputs(const res_writer *w, const res_in *in, aic_error *err) {
    aic_buf diff = {0};
    bool ok = res_diff_inputs(in, &w->origin, w->databases, &w->opt, &diff, err);
    if (ok && diff.len)
        ok = aic_fail(err, AIC_BAD_INPUT, "it was made from other inputs (- then, + now):%s", diff.data);
    aic_buf_free(&diff);
    return ok;
}
