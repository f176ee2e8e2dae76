/* Lines of reference files (golden.h). */
#include "parity/golden.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct golden_lines {
    gzFile file;
    char *data;
    size_t cap, line;
};

golden_lines *golden_open(const char *path) {
    gzFile file = gzopen(path, "rb");
    if (!file)
        return NULL;
    golden_lines *l = AIC_NEW(golden_lines);
    l->file = file;
    l->cap = 1 << 16;
    l->data = aic_alloc(l->cap, 1);
    return l;
}

char *golden_next(golden_lines *l) {
    size_t len = 0;
    while (gzgets(l->file, l->data + len, (int)(l->cap - len))) {
        len += strlen(l->data + len);
        if (len && l->data[len - 1] == '\n')
            break;
        if (len + 1 == l->cap) {
            l->cap = aic_mul(l->cap, 2);
            l->data = aic_realloc(l->data, l->cap, 1);
        }
    }
    l->line += len > 0;
    return len ? l->data : NULL;
}

size_t golden_line(const golden_lines *l) {
    return l->line;
}

void golden_close(golden_lines *l) {
    if (l) {
        gzclose(l->file);
        free(l->data);
        free(l);
    }
}

const aic_node *golden_any(const aic_node *n, const char *a, const char *b) {
    const aic_node *v = aic_map_get(n, a);
    return v ? v : aic_map_get(n, b);
}

const char *golden_text(const aic_node *n) {
    return n && n->kind == AIC_K_TEXT ? n->text : NULL;
}

double golden_number(const aic_node *n, double otherwise) {
    return n && (n->kind == AIC_K_INT || n->kind == AIC_K_REAL) ? n->r : otherwise;
}

uint32_t golden_u32(const aic_node *n) {
    return n && n->kind == AIC_K_INT ? (uint32_t)n->i : 0;
}
