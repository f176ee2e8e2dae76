/* What a checkpoint's files say of single modules: patterns of those left unquantised, and the algorithm of
 * each quantised one (docs/model/quantisation_inference.md). Graphs make modes of them. */
#include "models/internal.h"
#include <string.h>

/* X(source, key): where patterns stand, in their order. */
#define PATTERN_LISTS(X)                                                                                     \
    X(qc, "modules_to_not_convert")                                                                          \
    X(qc, "exclude_modules")                                                                                 \
    X(qc, "ignore")                                                                                          \
    X(hs, "exclude_modules")                                                                                 \
    X(hs, "ignore")

aic_value mdl_excluded(aic_arena *a, const mdl_quant_fields *f) {
    const aic_node *lists[] = {
#define LIST_ROW(source, key) aic_map_get(f->source, key),
        PATTERN_LISTS(LIST_ROW)
#undef LIST_ROW
    };
    enum { LISTS = sizeof lists / sizeof *lists };
    size_t room = 0, n = 0;
    for (size_t i = 0; i < LISTS; i++)
        room = aic_add(room, lists[i] && lists[i]->kind == AIC_K_LIST ? lists[i]->count : 0);
    aic_value *items = aic_arena_alloc(a, room, sizeof *items);
    for (size_t i = 0; i < LISTS; i++)
        for (size_t k = 0; lists[i] && lists[i]->kind == AIC_K_LIST && k < lists[i]->count; k++)
            if (lists[i]->items[k]->kind == AIC_K_TEXT)
                items[n++] = aic_str(lists[i]->items[k]->text);
    return mdl_list(a, items, n);
}

const char *mdl_layer_algo(aic_arena *a, const aic_node *meta) {
    if (mdl_map(meta))
        meta = MDL_FIRST(meta, "quant_algo", "quantization_algo", "quant_method");
    return mdl_lower(a, meta);
}

aic_value mdl_quantized_layers(aic_arena *a, const mdl_quant_fields *f) {
    const aic_node *maps[] = {mdl_map(aic_map_get(f->hs, "quantized_layers")),
                              mdl_map(aic_map_get(f->qc, "quantized_layers"))};
    size_t room = aic_add(maps[0] ? maps[0]->count : 0, maps[1] ? maps[1]->count : 0), n = 0;
    aic_value *items = aic_arena_alloc(a, room, sizeof *items);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; maps[i] && k < maps[i]->count; k++) {
            const aic_value pair[] = {aic_str(mdl_lower(a, maps[i]->keys[k])),
                                      aic_str(mdl_layer_algo(a, maps[i]->items[k]))};
            items[n++] = mdl_list(a, pair, 2);
        }
    }
    return mdl_list(a, items, n);
}
