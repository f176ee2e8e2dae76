/* A sweep onto a file that exists: is it the very result this run would make, or that of other inputs? */
#include "results/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void res_databases_text(const res_origin *o, aic_buf *out) {
    for (size_t i = 0; i < o->n_databases; i++)
        aic_buf_printf(out, "%s%s", i ? "\n" : "", o->databases[i]);
}

const char *res_options_text(const res_writer_options *opt, const res_origin *o) {
    static const char *const texts[][2] = {
        {"", "unlisted"}, {"breakdown", "breakdown unlisted"}, {"breakdown f32", "breakdown f32 unlisted"}};
    int rows = !opt->breakdown ? 0 : opt->precision == RES_PRECISION_f32 ? 2 : 1;
    return texts[rows][o->unlisted];
}

/* The digest of a changed spec says little: its lines do, where they are not too many. */
static bool compare_all(const res_file *f, const res_origin *o, const res_writer_options *opt, aic_buf *diff,
                        aic_error *err) {
    aic_buf databases = {0};
    res_databases_text(o, &databases);
    bool ok = res_diff_inputs(&f->in, o, databases.data ? databases.data : "", opt, diff, err);
    if (ok)
        res_diff_texts(diff, "spec", f->spec, o->spec_text ? o->spec_text : "");
    aic_buf_free(&databases);
    return ok;
}

/* What a run left that was struck after it had published: nobody needs it any more. */
static void clear_leftovers(const char *path) {
    res_part part;
    aic_error held;
    char dir[RES_PATH_MAX];
    snprintf(dir, sizeof dir, "%.*s.part", RES_PATH_MAX - 8, path);
    if (access(dir, F_OK) == 0 && res_part_open(&part, path, true, &held))
        res_part_close(&part, true);
}

bool res_rerun_check(const res_writer_options *opt, const res_origin *o, bool *same, res_summary *out,
                     aic_error *err) {
    aic_error unreadable = {0};
    *same = false;
    res_file *f = opt->force || opt->resume ? NULL : res_open(opt->path, &unreadable);
    if (!f || !f->complete) {
        res_close(f);
        return true; /* the writer refuses whatever stands in its way */
    }
    aic_buf diff = {0};
    bool ok = compare_all(f, o, opt, &diff, err);
    if (ok && diff.len)
        ok = aic_fail(
            err, AIC_BAD_INPUT,
            "%s exists and was made from other inputs; give --force to replace it, or choose another output "
            "(- then, + now):%s",
            opt->path, diff.data);
    if (ok && !res_seal_check(opt->path, &unreadable))
        ok = aic_fail(err, AIC_BAD_INPUT, "%s; give --force to replace it", unreadable.text);
    if (ok) {
        *same = true;
        clear_leftovers(opt->path);
        *out = (res_summary){
            .points = f->points, .rows = f->rows, .file_bytes = f->in.bytes, .resumed = f->points};
        snprintf(out->path, sizeof out->path, "%s", opt->path);
        snprintf(out->digest, sizeof out->digest, "%s", res_attribute(f, "content_sha256"));
    }
    aic_buf_free(&diff);
    res_close(f);
    return ok;
}
