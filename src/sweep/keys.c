/* The keys of a sweep spec (docs/formats/spec.md, docs/spec.schema.json). */
#include "sweep/internal.h"
#include <string.h>

#define KEYS(id, what, ...)                                                                                  \
    static const swp_key id##_list[] = {__VA_ARGS__};                                                        \
    const swp_keys id = {what, id##_list, sizeof id##_list / sizeof *id##_list}

KEYS(swp_spec_keys, "the spec", {"format", NULL}, {"version", NULL}, {"name", NULL}, {"output", NULL},
     {"defaults", NULL}, {"sweep", NULL}, {"points", NULL}, {"rank", NULL});
KEYS(swp_block_keys, "a sweep block", {"modes", "mode"}, {"models", "model"}, {"systems", "system"},
     {"backends", "backend"}, {"versions", "version"}, {"database_modes", "database_mode"},
     {"transfer_policies", "transfer_policy"}, {"layouts", "layout"}, {"tp", NULL}, {"pp", NULL},
     {"dp", NULL}, {"moe_tp", NULL}, {"moe_ep", NULL}, {"cp", NULL}, {"quants", "quant"}, {"nextn", NULL},
     {"nextn_accepted", NULL}, {"options", "option"}, {"workloads", NULL}, {"batch", NULL}, {"isl", NULL},
     {"osl", NULL}, {"prefix", NULL}, {"images", NULL}, {"image_height", NULL}, {"image_width", NULL},
     {"image_tokens", NULL}, {"where", NULL});
KEYS(swp_rank_keys, "rank", {"by", NULL}, {"order", NULL}, {"where", NULL}, {"group", NULL}, {"pareto", NULL},
     {"columns", NULL}, {"top", NULL});
KEYS(swp_layout_keys, "a layout", {"tp", NULL}, {"pp", NULL}, {"dp", NULL}, {"moe_tp", NULL},
     {"moe_ep", NULL}, {"cp", NULL});
KEYS(swp_quant_keys, "quantisation modes", {"gemm", NULL}, {"moe", NULL}, {"kvcache", NULL}, {"fmha", NULL},
     {"comm", NULL});
KEYS(swp_option_keys, "options", {"attention_backend", NULL}, {"moe_backend", NULL}, {"distribution", NULL},
     {"eplb", NULL}, {"slots", NULL}, {"sms", NULL}, {"override_layers", NULL}, {"encoder_tp", NULL});
KEYS(swp_load_keys, "a workload", {"batch", NULL}, {"isl", NULL}, {"osl", NULL}, {"prefix", NULL},
     {"images", NULL}, {"image_height", NULL}, {"image_width", NULL}, {"image_tokens", NULL});
KEYS(swp_range_keys, "a range", {"from", NULL}, {"to", NULL}, {"step", NULL}, {"factor", NULL});

bool swp_check_keys(const aic_node *map, const swp_keys *keys, aic_error *err) {
    const char *known[64];
    size_t n = 0;
    for (size_t i = 0; i < keys->n; i++) {
        known[n++] = keys->keys[i].name;
        if (keys->keys[i].alias)
            known[n++] = keys->keys[i].alias;
    }
    if (!aic_map_check_keys(map, keys->where, known, n, err))
        return false;
    for (size_t i = 0; i < keys->n; i++) {
        const swp_key *k = &keys->keys[i];
        const aic_node *second = k->alias ? aic_map_get(map, k->alias) : NULL;
        if (second && aic_map_get(map, k->name))
            return aic_node_fail(err, second, "%s and %s are the same key: give one of them", k->name,
                                 k->alias);
    }
    return true;
}

const aic_node *swp_get(const aic_node *map, const swp_keys *keys, const char *name) {
    const aic_node *found = aic_map_get(map, name);
    for (size_t i = 0; !found && i < keys->n; i++)
        if (keys->keys[i].alias && strcmp(keys->keys[i].name, name) == 0)
            found = aic_map_get(map, keys->keys[i].alias);
    return found;
}
