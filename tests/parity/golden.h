/* Reference answers: gzip JSON lines, read one at a time. Shared by parity programs and unit tests. */
#ifndef AICFG_TESTS_GOLDEN_H
#define AICFG_TESTS_GOLDEN_H

#include "base/base.h"

typedef struct golden_lines golden_lines;
golden_lines *golden_open(const char *path); /* NULL: not readable */
char *golden_next(golden_lines *l);          /* NULL at the end; valid until the next call */
size_t golden_line(const golden_lines *l);   /* number of the line just read, from 1 */
void golden_close(golden_lines *l);

/* The value under the first of the names that the mapping has, or NULL. */
const aic_node *golden_any(const aic_node *n, const char *a, const char *b);
const char *golden_text(const aic_node *n); /* NULL when n is no text */
double golden_number(const aic_node *n, double otherwise);
uint32_t golden_u32(const aic_node *n); /* 0 when n is no integer */

#endif
