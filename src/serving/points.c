/* Points as columns: memory of the arrays, single points in and out. */
#include "serving/internal.h"
#include <stdlib.h>

_Static_assert(sizeof(srv_arrays) == SRV_COLUMN_COUNT * sizeof(void *) &&
                   sizeof(uint32_t *) == sizeof(void *) && sizeof(uint8_t *) == sizeof(void *) &&
                   sizeof(double *) == sizeof(void *) && sizeof(const char **) == sizeof(void *),
               "arrays are pointers alone, all of one size");
_Static_assert(SRV_COLUMN_COUNT < 64, "a column has a bit");

#define LOADS(X)                                                                                             \
    X(load.batch)                                                                                            \
    X(load.isl)                                                                                              \
    X(load.osl)                                                                                              \
    X(load.prefix)                                                                                           \
    X(load.images.count)                                                                                     \
    X(load.images.height)                                                                                    \
    X(load.images.width)                                                                                     \
    X(load.images.tokens)
#define REST(X) X(status) X(reason) X(kv_oom) X(encodes) X(carried) X(tier) X(visual_tokens)
#define COVER(X)                                                                                             \
    X(cover[OP_MEASURED]) X(cover[OP_INTERPOLATED]) X(cover[OP_EXTRAPOLATED]) X(cover[OP_FORMULA])

/* Where a column's value stands in a point, its bytes there and in the column. */
static const struct member {
    size_t at, size, width;
} members[] = {
#define MEMBER(member)                                                                                       \
    [SRV_COLUMN(member)] = {offsetof(srv_point, member), sizeof(((srv_point *)0)->member),                   \
                            sizeof *((srv_arrays *)0)->member},
    LOADS(MEMBER) REST(MEMBER) SRV_FIGURES(MEMBER) COVER(MEMBER)
#undef MEMBER
};
#define ONE(member) +1
_Static_assert((LOADS(ONE) REST(ONE) SRV_FIGURES(ONE) COVER(ONE)) == SRV_COLUMN_COUNT,
               "every column is a member");
#undef ONE

size_t srv_points_width(size_t column) {
    return members[column].width;
}

/* ---- memory ------------------------------------------------------------------------------------ */

/* Columns are walked side by side: they start some cache lines apart from each other's places in a page, or
 * they would push each other out of the cache. */
enum { LINE = 64, APART = 3 * LINE };

static size_t column_bytes(size_t column, size_t n) {
    return aic_add(aic_mul(aic_mul(n, members[column].width) / LINE + 1, LINE), APART);
}

void srv_points_reserve(srv_points *p, size_t n) {
    if (n <= p->cap && p->memory)
        return;
    size_t bytes = LINE;
    for (size_t c = 0; c < SRV_COLUMN_COUNT; c++)
        bytes = aic_add(bytes, column_bytes(c, n));
    free(p->memory);
    p->memory = aic_alloc(bytes, 1);
    p->same = 0;
    p->cap = n;
    char *at = p->memory;
    at += LINE - (uintptr_t)at % LINE;
    for (size_t c = 0; c < SRV_COLUMN_COUNT; c++) {
        void *array = at;
        memcpy((char *)&p->of + c * sizeof array, &array, sizeof array);
        at += column_bytes(c, n);
    }
}

void srv_points_free(srv_points *p) {
    free(p->memory);
    *p = (srv_points){0};
}

/* ---- whole columns ----------------------------------------------------------------------------- */

void srv_points_open_columns(srv_points *p, uint64_t columns, size_t n) {
    for (size_t c = 0; (p->same & columns) && c < SRV_COLUMN_COUNT; c++) {
        char *array = srv_points_column(p, c);
        const size_t bytes = n * members[c].width;
        if (!(p->same & columns & UINT64_C(1) << c))
            continue;
        for (size_t have = members[c].width; have < bytes; have *= 2) /* what is there once more */
            memcpy(array + have, array, have < bytes - have ? have : bytes - have);
    }
    p->same &= ~columns;
}

void srv_points_open(srv_points *p, size_t n) {
    srv_points_open_columns(p, UINT64_MAX, n);
}

/* How many of n < 256 bytes are v: counted in bytes, so that all of the loop is vectors. */
AIC_WIDE static uint8_t srv_count_few(const uint8_t *bytes, size_t n, uint8_t v) {
    uint8_t count = 0;
#pragma omp simd reduction(+ : count)
    for (size_t i = 0; i < n; i++)
        count = (uint8_t)(count + (bytes[i] == v));
    return count;
}

size_t srv_points_count(const srv_points *p, size_t n, srv_status s) {
    const uint8_t *status = p->of.status;
    if (p->same & SRV_BIT(status))
        return status[0] == s ? n : 0;
    enum { FEW = 128 };
    size_t count = 0;
    for (size_t i = 0; i < n; i += FEW)
        count += srv_count_few(status + i, n - i < FEW ? n - i : FEW, (uint8_t)s);
    return count;
}

/* ---- single points ----------------------------------------------------------------------------- */

static void get(const srv_points *p, size_t first, size_t end, size_t i, srv_point *out) {
    for (size_t c = first; c < end; c++) {
        const struct member *m = &members[c];
        const char *from = srv_points_column(p, c);
        char *to = (char *)out + m->at;
        from += p->same >> c & 1 ? 0 : i * m->width;
        if (m->width == m->size) {
            memcpy(to, from, m->size);
        } else { /* an enumeration */
            unsigned value = *(const uint8_t *)from;
            memcpy(to, &value, sizeof value);
        }
    }
}

static void put(srv_points *p, size_t first, size_t end, size_t i, const srv_point *point) {
    for (size_t c = first; c < end; c++) {
        const struct member *m = &members[c];
        const char *from = (const char *)point + m->at;
        char *to = srv_points_column(p, c);
        to += i * m->width;
        if (m->width == m->size) {
            memcpy(to, from, m->size);
        } else {
            unsigned value;
            memcpy(&value, from, sizeof value);
            *(uint8_t *)to = (uint8_t)value;
        }
    }
}

srv_point srv_points_get(const srv_points *p, size_t i) {
    srv_point out;
    get(p, 0, SRV_COLUMN_COUNT, i, &out);
    return out;
}

void srv_points_put(srv_points *p, size_t i, const srv_point *from) {
    put(p, 0, SRV_COLUMN_COUNT, i, from);
}

void srv_figures_get(const srv_points *p, size_t i, srv_point *out) {
    get(p, SRV_FIRST_FIGURE, SRV_COLUMN_COUNT, i, out);
}

void srv_figures_put(srv_points *p, size_t i, const srv_point *from) {
    put(p, SRV_FIRST_FIGURE, SRV_COLUMN_COUNT, i, from);
}
