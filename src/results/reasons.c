/* Distinct reasons of points that are not ok, with their counts and first point. */
#include "results/internal.h"
#include <stdlib.h>
#include <string.h>

void res_reasons_init(res_reason_list *r) {
    *r = (res_reason_list){.keys = aic_intern_new()};
}

void res_reasons_free(res_reason_list *r) {
    aic_intern_free(r->keys);
    free(r->count);
    free(r->example);
    *r = (res_reason_list){0};
}

uint32_t res_reasons_merge(res_reason_list *r, srv_status status, const char *text, size_t len,
                           uint64_t count, uint64_t example) {
    char key[1024];
    if (len > sizeof key - 1)
        len = sizeof key - 1;
    key[0] = (char)('0' + (int)status);
    memcpy(key + 1, text, len);
    uint32_t id = aic_intern_add(r->keys, key, len + 1);
    if (id > r->n) {
        if (r->n == r->cap) {
            r->cap = r->cap ? aic_mul(r->cap, 2) : 16;
            r->count = aic_realloc(r->count, r->cap, sizeof *r->count);
            r->example = aic_realloc(r->example, r->cap, sizeof *r->example);
        }
        r->count[r->n] = 0;
        r->example[r->n++] = example;
        if (len > r->longest)
            r->longest = len;
    }
    r->count[id - 1] += count;
    return id;
}

uint32_t res_reasons_add(res_reason_list *r, srv_status status, const char *text, uint64_t point) {
    return res_reasons_merge(r, status, text, strlen(text), 1, point);
}

void res_reasons_table(const res_reason_list *r, res_table *out) {
    size_t width = r->longest ? r->longest : 1;
    res_table_init(out, res_group_get(RES_G_REASONS), r->n, width);
    for (size_t i = 0; i < r->n; i++) {
        const char *key = aic_intern_text(r->keys, (uint32_t)i + 1);
        size_t row = res_table_add(out);
        res_table_u8(out, RES_R_STATUS, row, (uint8_t)(key[0] - '0'));
        memcpy(out->data[RES_R_TEXT] + row * width, key + 1, strlen(key + 1));
        res_table_u64(out, RES_R_COUNT, row, r->count[i]);
        res_table_u64(out, RES_R_EXAMPLE, row, r->example[i]);
    }
}
