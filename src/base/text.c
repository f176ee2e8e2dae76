#include "base/text.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 256 };

static void make_room(aic_buf *b, size_t more) {
    size_t need = aic_add(aic_add(b->len, more), 1);
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? aic_mul(b->cap, 2) : FIRST_CAP;
    b->cap = cap < need ? need : cap;
    b->data = aic_realloc(b->data, b->cap, 1);
}

void aic_buf_addn(aic_buf *b, const char *s, size_t n) {
    make_room(b, n);
    if (n)
        memcpy(b->data + b->len, s, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void aic_buf_add(aic_buf *b, const char *s) {
    aic_buf_addn(b, s, strlen(s));
}

void aic_buf_printf(aic_buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len >= 0) {
        make_room(b, (size_t)len);
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void aic_buf_clear(aic_buf *b) {
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void aic_buf_free(aic_buf *b) {
    free(b->data);
    *b = (aic_buf){0};
}

/* One character of a JSON string: the output is valid UTF-8 whatever comes in. */
static size_t add_json_char(aic_buf *b, const char *s, size_t rest) {
    unsigned char c = (unsigned char)*s;
    size_t n = aic_utf8_length(s, rest);
    if (n == 0) {
        aic_buf_add(b, "\\ufffd");
        return 1;
    }
    if (c == '"' || c == '\\')
        aic_buf_printf(b, "\\%c", c);
    else if (c == '\n')
        aic_buf_add(b, "\\n");
    else if (c == '\t')
        aic_buf_add(b, "\\t");
    else if (c < 0x20 || c == 0x7f)
        aic_buf_printf(b, "\\u%04x", (unsigned)c);
    else
        aic_buf_addn(b, s, n);
    return n;
}

void aic_buf_json_string(aic_buf *b, const char *s) {
    aic_buf_add(b, "\"");
    for (size_t i = 0, len = strlen(s); i < len;)
        i += add_json_char(b, s + i, len - i);
    aic_buf_add(b, "\"");
}

void aic_buf_json_number(aic_buf *b, double v) {
    char text[32];
    if (!isfinite(v)) {
        aic_buf_add(b, "null");
        return;
    }
    aic_shortest(v, text);
    aic_buf_add(b, text);
}

void aic_shortest(double v, char out[32]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

size_t aic_utf8_length(const char *s, size_t rest) {
    const unsigned char *u = (const unsigned char *)s;
    if (rest == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    size_t n = u[0] >= 0xc2 && u[0] <= 0xdf   ? 2
               : (u[0] & 0xf0) == 0xe0        ? 3
               : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
                                              : 0;
    if (n == 0 || n > rest)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool surrogate = u[0] == 0xed && u[1] > 0x9f;
    bool beyond = u[0] == 0xf4 && u[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

size_t aic_utf8_bad(const char *s, size_t len) {
    size_t i = 0;
    while (i < len) {
        size_t n = aic_utf8_length(s + i, len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

const char *aic_shown(const char *s, char out[AIC_SHOWN]) {
    size_t used = 0, len = strlen(s);
    for (size_t i = 0; i < len;) {
        size_t n = aic_utf8_length(s + i, len - i);
        unsigned char c = (unsigned char)s[i];
        if (used > 60) {
            memcpy(out + used, "...", 4);
            return out;
        }
        if (n == 0 || c < 0x20 || c == 0x7f) {
            used += (size_t)snprintf(out + used, AIC_SHOWN - used, "\\x%02X", (unsigned)c);
            i++;
        } else {
            memcpy(out + used, s + i, n);
            used += n;
            i += n;
        }
    }
    out[used] = '\0';
    return out;
}

static const char *skip_digits(const char *s) {
    while (*s >= '0' && *s <= '9')
        s++;
    return s;
}

aic_number_shape aic_shape_of_number(const char *s) {
    if (*s == '+' || *s == '-')
        s++;
    const char *whole = s;
    s = skip_digits(s);
    size_t n_whole = (size_t)(s - whole), n_part = 0;
    if (n_whole > 1 && whole[0] == '0')
        return AIC_NOT_A_NUMBER;
    bool real = false;
    if (*s == '.') {
        const char *part = ++s;
        s = skip_digits(s);
        n_part = (size_t)(s - part);
        real = true;
    }
    if (n_whole + n_part == 0)
        return AIC_NOT_A_NUMBER;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-')
            s++;
        const char *digits = s;
        s = skip_digits(s);
        if (s == digits)
            return AIC_NOT_A_NUMBER;
        real = true;
    }
    if (*s)
        return AIC_NOT_A_NUMBER;
    return real ? AIC_REAL_SHAPE : AIC_INTEGER_SHAPE;
}

bool aic_parse_i64(const char *s, int64_t *out) {
    if (aic_shape_of_number(s) != AIC_INTEGER_SHAPE)
        return false;
    errno = 0;
    long long v = strtoll(s, NULL, 10);
    if (errno == ERANGE)
        return false;
    *out = v;
    return true;
}

bool aic_parse_u32(const char *s, uint32_t *out) {
    int64_t v;
    if (*s < '0' || *s > '9' || !aic_parse_i64(s, &v) || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

bool aic_parse_f64(const char *s, double *out) {
    if (aic_shape_of_number(s) == AIC_NOT_A_NUMBER)
        return false;
    double v = strtod(s, NULL);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

bool aic_read_file(const char *path, size_t max_bytes, aic_buf *out, char *why, size_t why_len) {
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0) {
        snprintf(why, why_len, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    char piece[16384];
    ssize_t n;
    bool ok = true;
    aic_buf_addn(out, "", 0);
    while (ok && (n = aic_io_read(fd, piece, sizeof piece)) > 0) {
        ok = (size_t)n <= max_bytes && out->len <= max_bytes - (size_t)n;
        if (ok)
            aic_buf_addn(out, piece, (size_t)n);
        else
            snprintf(why, why_len, "%s is larger than %zu bytes", path, max_bytes);
    }
    if (ok && n < 0) {
        snprintf(why, why_len, "cannot read %s: %s", path, strerror(errno));
        ok = false;
    }
    aic_io_close(fd);
    return ok;
}

void aic_group_digits(uint64_t v, char out[32]) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v), at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}
