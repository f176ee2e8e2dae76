/* Text helpers: growing buffer, interning, nearest name, number formatting. */
#ifndef AICFG_BASE_TEXT_H
#define AICFG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Growing byte buffer; always NUL-terminated once something was appended. Zero-initialise, free with
 * aic_buf_free. */
typedef struct aic_buf {
    char *data;
    size_t len, cap;
} aic_buf;
void aic_buf_add(aic_buf *b, const char *s);
void aic_buf_addn(aic_buf *b, const char *s, size_t n);
void aic_buf_printf(aic_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void aic_buf_json_string(aic_buf *b, const char *s); /* quoted and escaped */
void aic_buf_json_number(aic_buf *b, double v); /* shortest text that reads back to v; null if not finite */
void aic_buf_clear(aic_buf *b);                 /* keeps the memory */
void aic_buf_free(aic_buf *b);

/* Shortest decimal text that strtod reads back to exactly v (17 digits at most). out: at least 32 bytes. */
void aic_shortest(double v, char out[32]);

/* "1234567" as "1,234,567". */
void aic_group_digits(uint64_t v, char out[32]);

/* String table: equal strings get equal ids, 0 = the empty string. Reading is safe from many threads only
 * while nobody adds; owners lock around aic_intern_add. */
typedef struct aic_intern aic_intern;
aic_intern *aic_intern_new(void);
void aic_intern_free(aic_intern *t);
uint32_t aic_intern_add(aic_intern *t, const char *s, size_t len);
uint32_t aic_intern_find(const aic_intern *t, const char *s, size_t len, bool *found);
const char *aic_intern_text(const aic_intern *t, uint32_t id);
size_t aic_intern_count(const aic_intern *t);

/* The candidate closest to `name` (edit distance, case ignored) if it is close enough to suggest, else NULL.
 * get(ctx, i) returns the i-th candidate. */
const char *aic_nearest(const char *name, size_t n, const char *(*get)(const void *ctx, size_t i),
                        const void *ctx);

/* Strict whole-string parsers: false on empty text, rest, overflow; no octal, no hex, no spaces. */
bool aic_parse_u32(const char *s, uint32_t *out);
bool aic_parse_i64(const char *s, int64_t *out);
bool aic_parse_f64(const char *s, double *out); /* finite decimal numbers only */

/* Appends the whole file to out; false with the reason in why (path included) when it cannot be read or is
 * larger. */
bool aic_read_file(const char *path, size_t max_bytes, aic_buf *out, char *why, size_t why_len);

#endif
