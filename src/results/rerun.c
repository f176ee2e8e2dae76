/* A sweep onto a file that exists: is it the very result this run would make, or that of other inputs? */
#include "results/file.h"
#include <stdlib.h>
#include <string.h>

enum { LINE_SHOWN = 120, LINES_SHOWN = 6 /* of each attribute and side */ };

void res_databases_text(const res_origin *o, aic_buf *out) {
    for (size_t i = 0; i < o->n_databases; i++)
        aic_buf_printf(out, "%s%s", i ? "\n" : "", o->databases[i]);
}

const char *res_options_text(const res_writer_options *opt, const res_origin *o) {
    static const char *const texts[] = {"", "breakdown", "unlisted", "breakdown unlisted"};
    return texts[(opt->breakdown ? 1 : 0) + (o->unlisted ? 2 : 0)];
}

static bool has_line(const char *text, const char *line, size_t len) {
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        if (n == len && memcmp(p, line, len) == 0)
            return true;
        p += n + (p[n] == '\n');
    }
    return false;
}

/* Lines of a that b lacks. */
static void add_lines(aic_buf *out, char sign, const char *a, const char *b) {
    size_t shown = 0;
    for (const char *p = a; *p && shown < LINES_SHOWN;) {
        size_t n = strcspn(p, "\n");
        if (n && !has_line(b, p, n)) {
            aic_buf_printf(out, "\n    %c %.*s", sign, n < LINE_SHOWN ? (int)n : LINE_SHOWN, p);
            shown++;
        }
        p += n + (p[n] == '\n');
    }
}

static void compare(aic_buf *diff, const char *what, const char *before, const char *now) {
    before = before ? before : "";
    if (strcmp(before, now) == 0)
        return;
    aic_buf_printf(diff, "\n  %s", what);
    add_lines(diff, '-', before, now);
    add_lines(diff, '+', now, before);
}

static void compare_all(const res_file *f, const res_origin *o, const res_writer_options *opt,
                        aic_buf *diff) {
    aic_buf databases = {0};
    res_databases_text(o, &databases);
    compare(diff, "spec", f->spec, o->spec_text ? o->spec_text : "");
    compare(diff, "overrides", res_attribute(f, "overrides"), o->overrides ? o->overrides : "");
    compare(diff, "options", res_attribute(f, "options"), res_options_text(opt, o));
    compare(diff, "program", res_attribute(f, "program"), o->program ? o->program : "");
    compare(diff, "build", res_attribute(f, "build"), o->build ? o->build : "");
    compare(diff, "databases", res_attribute(f, "databases"), databases.data ? databases.data : "");
    compare(diff, "data", res_attribute(f, "data"), o->data ? o->data : "");
    aic_buf_free(&databases);
}

bool res_rerun_check(const res_writer_options *opt, const res_origin *o, bool *same, res_summary *out,
                     aic_error *err) {
    aic_error unreadable = {0};
    *same = false;
    res_file *f = opt->force ? NULL : res_open(opt->path, &unreadable);
    if (!f || !f->complete) {
        res_close(f);
        return true; /* the writer refuses whatever stands in its way */
    }
    aic_buf diff = {0};
    compare_all(f, o, opt, &diff);
    bool ok =
        diff.len == 0 || aic_fail(err, AIC_BAD_INPUT,
                                  "%s exists and was made from other inputs; give --force to replace it, or "
                                  "choose another output. What differs (- made from, + now):%s",
                                  opt->path, diff.data);
    if (ok && !res_seal_check(opt->path, &unreadable))
        ok = aic_fail(err, AIC_BAD_INPUT, "%s; give --force to replace it", unreadable.text);
    if (ok) {
        *same = true;
        *out = (res_summary){.points = f->points, .rows = f->rows, .file_bytes = f->in.bytes};
        snprintf(out->path, sizeof out->path, "%s", opt->path);
        snprintf(out->digest, sizeof out->digest, "%s", res_attribute(f, "content_sha256"));
    }
    aic_buf_free(&diff);
    res_close(f);
    return ok;
}
