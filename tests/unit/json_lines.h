/* Fixtures of JSON lines for unit tests, document by document. */
#ifndef AICFG_TESTS_JSON_LINES_H
#define AICFG_TESTS_JSON_LINES_H

#include "parity/golden.h"
#include <stdlib.h>
#include <string.h>

/* Gives every line's document to `visit`; the nodes live in `a`. Returns the number of lines, 0 when the file
 * cannot be read. */
static size_t json_lines(aic_arena *a, const char *path, void (*visit)(void *ctx, const aic_node *line),
                         void *ctx) {
    golden_lines *file = golden_open(path);
    size_t lines = 0;
    for (const char *text; file && (text = golden_next(file)); lines++) {
        aic_error err = {0};
        const aic_node *n = aic_doc_json_text(a, path, text, strlen(text), &err);
        if (!n) {
            fprintf(stderr, "%s\n", err.text);
            lines = 0;
            break;
        }
        visit(ctx, n);
    }
    golden_close(file);
    return lines;
}

static inline const char *json_text(const aic_node *n, const char *key) {
    return golden_text(aic_map_get(n, key));
}

static inline double json_real(const aic_node *n, const char *key) {
    return golden_number(aic_map_get(n, key), 0);
}

static inline bool json_bool(const aic_node *n, const char *key) {
    const aic_node *v = aic_map_get(n, key);
    return v && v->kind == AIC_K_BOOL && v->b;
}

#endif
