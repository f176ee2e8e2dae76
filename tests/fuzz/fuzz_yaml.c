/* links: base. The YAML reader and the typed readers on any bytes; seeds in seeds/yaml. */
#include "base/base.h"
#include <float.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks the tree as a reader would: every node, through aliases too, and within the promised bounds. */
static size_t walk(const aic_node *n, int depth, size_t budget) {
    aic_error err;
    uint32_t u;
    double r;
    bool b;
    const char *s;
    aic_node_u32(n, "value", 1, 8, &u, &err);
    aic_node_f64(n, "value", 0, DBL_MAX, &r, &err);
    aic_node_bool(n, "value", &b, &err);
    aic_node_text(n, "value", &s, &err);
    if (depth > AIC_DOC_MAX_DEPTH || budget == 0)
        abort();
    for (size_t i = 0; i < n->count; i++) {
        budget = walk(n->items[i], depth + 1, budget - 1);
        if (n->kind == AIC_K_MAP && !aic_map_get(n, n->keys[i]->text))
            abort();
    }
    return budget;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aic_arena *a = aic_arena_new();
    aic_error err = {0};
    aic_node *n = aic_doc_yaml_text(a, "fuzz.yaml", (const char *)data, size, &err);
    if ((n == NULL) != (err.code != AIC_OK))
        abort();
    static const char *const known[] = {"model", "tp"};
    if (n) {
        walk(n, 0, AIC_DOC_MAX_NODES);
        aic_map_check_keys(n, "fuzz", known, 2, &err);
    }
    aic_arena_free(a);
    return 0;
}
