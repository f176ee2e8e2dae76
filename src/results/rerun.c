/* A sweep onto a file that exists: is it the very result this run would make, or that of other inputs? */
#include "results/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP " top:" /* behind "breakdown" */

void res_databases_text(const res_origin *o, aic_buf *out) {
    for (size_t i = 0; i < o->n_databases; i++)
        aic_buf_printf(out, "%s%s", i ? "\n" : "", o->databases[i]);
}

void res_options_text(const res_writer_options *opt, const res_origin *o, char out[RES_OPTIONS_TEXT]) {
    char top[24] = "";
    if (!opt->breakdown) {
        snprintf(out, RES_OPTIONS_TEXT, "%s", o->unlisted ? "unlisted" : "");
        return;
    }
    if (opt->top)
        snprintf(top, sizeof top, TOP "%u", opt->top);
    snprintf(out, RES_OPTIONS_TEXT, "breakdown%s%s%s", top, opt->precision == RES_PRECISION_f32 ? " f32" : "",
             o->unlisted ? " unlisted" : "");
}

unsigned res_options_top(const char *text) {
    const char *at = strstr(text, TOP);
    unsigned long n = at ? strtoul(at + strlen(TOP), NULL, 10) : 0;
    return n <= RES_TOP_MAX ? (unsigned)n : 0;
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
    ok = ok && res_file_summary(f, out, err);
    if (ok) {
        *same = true;
        res_part_clear_beside(opt->path);
    }
    aic_buf_free(&diff);
    res_close(f);
    return ok;
}
