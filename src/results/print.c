/* Values as text: shortest round-trip numbers for machines, rounded and aligned ones for people. */
#include "results/internal.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------------------------------------- */

enum { CACHE = 16384, CACHE_BITS = 14 };

struct res_numbers {
    struct {
        uint64_t bits;
        uint8_t len;
        char text[31];
    } entries[CACHE];
};

res_numbers *res_numbers_new(void) {
    return AIC_NEW(res_numbers);
}

void res_numbers_free(res_numbers *n) {
    free(n);
}

void res_number_add(res_numbers *n, aic_buf *b, double v) {
    if (!isfinite(v))
        return;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    size_t slot = (size_t)((bits * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - CACHE_BITS));
    if (n->entries[slot].len == 0 || n->entries[slot].bits != bits) {
        char text[32];
        aic_shortest(v, text);
        size_t len = strlen(text);
        if (len > sizeof n->entries[slot].text) /* cannot be: 24 characters at most */
            len = sizeof n->entries[slot].text;
        memcpy(n->entries[slot].text, text, len);
        n->entries[slot].len = (uint8_t)len;
        n->entries[slot].bits = bits;
    }
    aic_buf_addn(b, n->entries[slot].text, n->entries[slot].len);
}

static void add_int(aic_buf *b, int64_t v) {
    char text[24], *at = text + sizeof text;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        *--at = '-';
    aic_buf_addn(b, at, (size_t)(text + sizeof text - at));
}

/* ---- machines ---------------------------------------------------------------------------------------- */

void res_json_value(res_numbers *n, aic_buf *b, const aic_value *v) {
    if (v->type == AIC_V_STR)
        aic_buf_json_string(b, v->u.s);
    else if (v->type == AIC_V_INT)
        add_int(b, v->u.i);
    else if (v->type == AIC_V_REAL && isfinite(v->u.r))
        res_number_add(n, b, v->u.r);
    else
        aic_buf_add(b, "null");
}

void res_csv_value(res_numbers *n, aic_buf *b, const aic_value *v) {
    if (v->type == AIC_V_STR)
        aic_csv_quote(b, v->u.s);
    else if (v->type == AIC_V_INT)
        add_int(b, v->u.i);
    else if (v->type == AIC_V_REAL)
        res_number_add(n, b, v->u.r);
}

bool res_flush(aic_buf *b, bool all, FILE *out, aic_error *err) {
    enum { LARGE = 1 << 16 };
    if (b->len == 0 || (!all && b->len < LARGE))
        return true;
    bool ok = fwrite(b->data, 1, b->len, out) == b->len;
    aic_buf_clear(b);
    return ok || aic_fail(err, AIC_IO, "cannot write the output: %s", strerror(errno));
}

bool res_format_parse(const char *text, bool table_allowed, res_format *out, aic_error *err) {
    static const char *const names[] = {"table", "csv", "jsonl"};
    for (int i = table_allowed ? 0 : 1; i < 3; i++)
        if (text && strcmp(text, names[i]) == 0) {
            *out = (res_format)i;
            return true;
        }
    return aic_fail(err, AIC_BAD_INPUT, "unknown format '%.40s'; expected %scsv or jsonl", text ? text : "",
                    table_allowed ? "table, " : "");
}

/* ---- people ------------------------------------------------------------------------------------------ */

/* At most six significant digits, without an exponent where that stays short. */
static void shown(const aic_value *v, aic_buf *b) {
    aic_buf_clear(b);
    if (v->type == AIC_V_STR)
        aic_buf_add(b, v->u.s);
    else if (v->type == AIC_V_INT)
        add_int(b, v->u.i);
    else if (v->type == AIC_V_REAL && fabs(v->u.r) >= 1e5 && fabs(v->u.r) < 1e15)
        aic_buf_printf(b, "%.0f", v->u.r);
    else if (v->type == AIC_V_REAL)
        aic_buf_printf(b, "%.6g", v->u.r);
    else
        aic_buf_add(b, "-");
}

/* Columns of a terminal that a UTF-8 text takes, one per character. */
static int width_of(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void pad(aic_buf *b, int n) {
    while (n-- > 0)
        aic_buf_addn(b, " ", 1);
}

static void add_cell(aic_buf *b, const char *text, int width, bool left, bool last) {
    int fill = width - width_of(text);
    if (!left)
        pad(b, fill);
    aic_buf_add(b, text);
    if (left && !last)
        pad(b, fill);
    aic_buf_add(b, last ? "\n" : "  ");
}

static bool is_constant(const aic_value *values, size_t rows, size_t n, size_t column, aic_buf *a,
                        aic_buf *b) {
    shown(&values[column], a);
    for (size_t r = 1; r < rows; r++) {
        shown(&values[r * n + column], b);
        if (strcmp(a->data, b->data) != 0)
            return false;
    }
    return rows > 1;
}

void res_print_table(aic_buf *out, const res_columns *columns, const aic_value *values, size_t rows,
                     bool constant) {
    size_t n = columns->n, last = 0;
    int *width = aic_calloc(n, sizeof *width); /* 0 = left out of the table */
    aic_buf cell = {0}, other = {0};
    bool any = false;
    for (size_t c = 0; c < n; c++) {
        const char *name = res_column_at((size_t)columns->items[c])->name;
        if (constant && is_constant(values, rows, n, c, &cell, &other)) {
            aic_buf_printf(out, "%s%s %s", any ? ", " : "all rows: ", name, cell.data);
            any = true;
            continue;
        }
        width[c] = width_of(name);
        last = c;
        for (size_t r = 0; r < rows; r++) {
            shown(&values[r * n + c], &cell);
            int w = width_of(cell.data);
            width[c] = w > width[c] ? w : width[c];
        }
    }
    if (any)
        aic_buf_add(out, "\n");
    for (size_t r = 0; r <= rows; r++)
        for (size_t c = 0; c < n; c++) {
            if (!width[c])
                continue;
            const res_column *column = res_column_at((size_t)columns->items[c]);
            bool left = column->type == RES_TEXT || res_is_enum(column->type);
            if (r > 0)
                shown(&values[(r - 1) * n + c], &cell);
            add_cell(out, r > 0 ? cell.data : column->name, width[c], left, c == last);
        }
    aic_buf_free(&cell);
    aic_buf_free(&other);
    free(width);
}
