/* Comma-separated files (RFC 4180 quoting), read line by line in bounded memory, with positions. */
#ifndef AICFG_BASE_CSV_H
#define AICFG_BASE_CSV_H

#include "base/error.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct aic_csv aic_csv;
aic_csv *aic_csv_open(const char *path, aic_error *err);
void aic_csv_close(aic_csv *c);
/* Reads the next record. Returns 1 with *n fields (owned by c, valid until the next call), 0 at the end, -1
 * on error (unbalanced quote, quote or carriage return inside a plain field, NUL byte, invalid UTF-8, a
 * record over 1 MiB). Blank lines and a byte order mark are skipped; fields keep their spaces. */
int aic_csv_next(aic_csv *c, char ***fields, size_t *n, aic_error *err);
int aic_csv_line(const aic_csv *c);              /* first line of the record just read, from 1 */
bool aic_csv_quoted(const aic_csv *c, size_t i); /* did field i of the record just read stand in quotes? */
const char *aic_csv_path(const aic_csv *c);
void aic_csv_quote(aic_buf *b, const char *field); /* appends field, quoted when it must be */

#endif
