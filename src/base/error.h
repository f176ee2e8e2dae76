/* Errors: one value that carries an exit code and a message for the user.
 *
 * Functions that can fail return bool (or a pointer, NULL = failed) and fill an aic_error the caller owns.
 * A message says what was expected and what to do; a position (file:line:column), if any, comes first.
 */
#ifndef AICFG_BASE_ERROR_H
#define AICFG_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/* Exit codes of the program; also the class of an error. */
typedef enum aic_code {
    AIC_OK = 0,            /* done */
    AIC_FINDING = 1,       /* done, and something was found (a regression, an unsupported model) */
    AIC_BAD_INPUT = 2,     /* usage or bad input */
    AIC_IO = 3,            /* the file system, HDF5 or memory failed */
    AIC_SIGNALS = 128,     /* plus the number of the signal that ended a run; finished blocks are kept */
    AIC_HUNG_UP = 129,     /* SIGHUP */
    AIC_INTERRUPTED = 130, /* SIGINT */
    AIC_TERMINATED = 143   /* SIGTERM */
} aic_code;

#define AIC_ERROR_TEXT 2048

typedef struct aic_error {
    aic_code code;             /* AIC_OK while nothing has failed */
    char text[AIC_ERROR_TEXT]; /* message, no trailing newline; truncated with "..." if longer */
} aic_error;

#if defined(__GNUC__)
#define AIC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AIC_PRINTF(fmt, args)
#endif

/* Fills *err (which may be NULL) and returns false, so that `return aic_fail(err, ...)` reads well. */
bool aic_fail(aic_error *err, aic_code code, const char *fmt, ...) AIC_PRINTF(3, 4);

/* The same with the position in front: "file:line:column: message". line or column 0 = left out. */
bool aic_fail_at(aic_error *err, const char *file, int line, int column, const char *fmt, ...)
    AIC_PRINTF(5, 6);

/* Puts "context: " in front of the message already in *err; returns false. */
bool aic_fail_in(aic_error *err, const char *fmt, ...) AIC_PRINTF(2, 3);

/* "warning: ..." on standard error, unless aic_quiet(true) was called. Thread-safe. */
void aic_warn(const char *fmt, ...) AIC_PRINTF(1, 2);
void aic_quiet(bool quiet);

#endif
