/* Error helpers for the readers and the expression language. */
#ifndef AICFG_BASE_ERROR_INTERNAL_H
#define AICFG_BASE_ERROR_INTERNAL_H

#include "base/error.h"

/* aic_fail_at for wrappers. */
bool aic_vfail_at(aic_error *err, const char *file, int line, int column, const char *fmt, va_list ap)
    AIC_PRINTF(5, 0);

/* Puts "file:line:column: " in front of the message already in *err, parts that are unknown left out. Returns
 * false. */
bool aic_locate(const char *file, int line, int column, aic_error *err);

#endif
