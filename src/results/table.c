/* Rows of a group as columns in memory. */
#include "results/internal.h"
#include <stdlib.h>
#include <string.h>

/* take: where memory comes from. */
static void make(res_table *t, const res_group *g, size_t cap, size_t text_width,
                 void *(*take)(size_t count, size_t size)) {
    *t = (res_table){.group = g, .cap = cap};
    for (size_t f = 0; f < g->n_fields; f++) {
        size_t width = res_width(g->fields[f].type);
        t->width[f] = width ? width : text_width;
        t->data[f] = take(cap, t->width[f]);
    }
}

void res_table_init(res_table *t, const res_group *g, size_t cap, size_t text_width) {
    make(t, g, cap, text_width, aic_calloc);
}

void res_table_take(res_table *t, const res_group *g, size_t cap) {
    make(t, g, cap, 0, aic_alloc);
}

void res_table_free(res_table *t) {
    for (size_t f = 0; t->group && f < t->group->n_fields; f++)
        free(t->data[f]);
    *t = (res_table){0};
}

size_t res_table_add(res_table *t) {
    if (t->rows == t->cap) {
        t->cap = t->cap ? aic_mul(t->cap, 2) : 64;
        for (size_t f = 0; f < t->group->n_fields; f++)
            t->data[f] = aic_realloc(t->data[f], t->cap, t->width[f]);
    }
    return t->rows++;
}

#define ACCESSORS(name, type)                                                                                \
    void res_table_##name(res_table *t, size_t field, size_t row, type v) {                                  \
        memcpy(t->data[field] + row * sizeof v, &v, sizeof v);                                               \
    }                                                                                                        \
    type res_table_get_##name(const res_table *t, size_t field, size_t row) {                                \
        type v;                                                                                              \
        memcpy(&v, t->data[field] + row * sizeof v, sizeof v);                                               \
        return v;                                                                                            \
    }
ACCESSORS(u8, uint8_t)
ACCESSORS(u32, uint32_t)
ACCESSORS(u64, uint64_t)
ACCESSORS(f64, double)
