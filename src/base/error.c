#include "base/error.h"
#include "base/error_internal.h"
#include "base/progress_internal.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_bool warnings_off;

/* Marks a message that did not fit, so that nobody takes the cut text for the whole. */
static void mark_cut(aic_error *err, int wanted) {
    if (wanted >= AIC_ERROR_TEXT)
        memcpy(err->text + AIC_ERROR_TEXT - 4, "...", 4);
}

bool aic_fail(aic_error *err, aic_code code, const char *fmt, ...) {
    if (!err)
        return false;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    mark_cut(err, vsnprintf(err->text, sizeof err->text, fmt, ap));
    va_end(ap);
    return false;
}

bool aic_vfail_at(aic_error *err, const char *file, int line, int column, const char *fmt, va_list ap) {
    if (!err)
        return false;
    err->code = AIC_BAD_INPUT;
    mark_cut(err, vsnprintf(err->text, sizeof err->text, fmt, ap));
    return aic_locate(file, line, column, err);
}

bool aic_fail_at(aic_error *err, const char *file, int line, int column, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    aic_vfail_at(err, file, line, column, fmt, ap);
    va_end(ap);
    return false;
}

bool aic_fail_in(aic_error *err, const char *fmt, ...) {
    if (!err)
        return false;
    char old[AIC_ERROR_TEXT];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (used < 0)
        used = 0;
    if (used >= AIC_ERROR_TEXT) {
        mark_cut(err, used);
        return false;
    }
    int wanted = snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", old);
    mark_cut(err, wanted < 0 ? wanted : wanted + used);
    return false;
}

bool aic_locate(const char *file, int line, int column, aic_error *err) {
    if (!file)
        return false;
    if (line > 0 && column > 0)
        return aic_fail_in(err, "%s:%d:%d", file, line, column);
    return line > 0 ? aic_fail_in(err, "%s:%d", file, line) : aic_fail_in(err, "%s", file);
}

void aic_warn(const char *fmt, ...) {
    if (atomic_load_explicit(&warnings_off, memory_order_relaxed))
        return;
    char text[AIC_ERROR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    aic_progress_clear_line();
    fprintf(stderr, "warning: %s\n", text); /* one call, so lines of several threads never mix */
}

void aic_quiet(bool quiet) {
    atomic_store_explicit(&warnings_off, quiet, memory_order_relaxed);
}
