/* The one table of columns: storing, exporting, ranking, filtering, help and docs all read it. */
#include "results/internal.h"
#include <stdlib.h>
#include <string.h>

#define NOT_STORED SIZE_MAX

static const res_column columns[] = {
    {"point", RES_POINT, "", "index of the point in this file, from 0", false, false, NOT_STORED, NOT_STORED},
#define COLUMN_TEXT(name, axis, meaning) {#name, RES_TEXT, "", meaning, true, false, NOT_STORED, NOT_STORED},
#define COLUMN_U32(name, unit, meaning)  {#name, RES_U32, unit, meaning, true, false, NOT_STORED, NOT_STORED},
#define COLUMN_F64(name, unit, meaning)  {#name, RES_F64, unit, meaning, true, false, NOT_STORED, NOT_STORED},
    RES_DEPLOYMENT_COLUMNS(COLUMN_TEXT, COLUMN_U32, COLUMN_F64)
#undef COLUMN_TEXT
#undef COLUMN_U32
#undef COLUMN_F64
#define COLUMN(name, type, unit, higher, member, meaning)                                                    \
    {#name, RES_##type, unit, meaning, false, higher, offsetof(srv_point, member), SRV_COLUMN(member)},
        RES_POINT_COLUMNS(COLUMN)
#undef COLUMN
};

static const int8_t axes[] = {-1, /* point */
#define AXIS_TEXT(name, axis, meaning) RES_AXIS_##axis,
#define AXIS_NONE(name, unit, meaning) -1,
                              RES_DEPLOYMENT_COLUMNS(AXIS_TEXT, AXIS_NONE, AXIS_NONE)
#undef AXIS_TEXT
#undef AXIS_NONE
};

_Static_assert(sizeof columns / sizeof *columns == RES_COLUMN_COUNT, "the enumeration numbers the columns");

size_t res_column_count(void) {
    return RES_COLUMN_COUNT;
}

const res_column *res_column_at(size_t i) {
    return &columns[i];
}

int res_column_axis(size_t column) {
    return column < sizeof axes / sizeof *axes ? axes[column] : -1;
}

int res_column_find(const char *name) {
    for (size_t i = 0; i < RES_COLUMN_COUNT; i++)
        if (strcmp(columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const char *name_at(const void *ctx, size_t i) {
    (void)ctx;
    return i < RES_COLUMN_COUNT ? columns[i].name : NULL;
}

const char *res_column_nearest(const char *name) {
    return aic_nearest(name, res_column_count(), name_at, NULL);
}

static int find(const void *ctx, const char *name) {
    (void)ctx;
    return res_column_find(name);
}

const aic_scope *res_column_scope(void) {
    static const aic_scope scope = {.find = find, .name_at = name_at};
    return &scope;
}

/* ---- lists of columns -------------------------------------------------------------------------------- */

void res_columns_add(res_columns *c, int column) {
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i] == column)
            return;
    c->items = aic_realloc(c->items, aic_add(c->n, 1), sizeof *c->items);
    c->items[c->n++] = column;
}

void res_columns_free(res_columns *c) {
    free(c->items);
    *c = (res_columns){0};
}

static bool parse_name(const char *name, const char *what, res_columns *out, aic_error *err) {
    int column = res_column_find(name);
    if (column >= 0) {
        res_columns_add(out, column);
        return true;
    }
    const char *near = res_column_nearest(name);
    return aic_fail(err, AIC_BAD_INPUT, "%s: unknown column '%.60s'%s%s%s", what, name,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool res_columns_parse(const char *text, const char *what, res_columns *out, aic_error *err) {
    *out = (res_columns){0};
    bool ok = true;
    for (const char *at = text; ok; at++) {
        const char *end = at + strcspn(at, ",");
        const char *first = at + strspn(at, " \t"), *last = end;
        while (last > first && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        char name[64];
        size_t len = last > first ? (size_t)(last - first) : 0;
        if (len >= sizeof name)
            len = sizeof name - 1;
        memcpy(name, first, len);
        name[len] = '\0';
        ok = parse_name(name, what, out, err);
        at = end;
        if (!*at)
            break;
    }
    if (!ok)
        res_columns_free(out);
    return ok;
}
