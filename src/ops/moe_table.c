/* The table of expert computation: which rows count, and how a curve is found (docs/model/moe.md). */
#include "ops/moe_table.h"

#include <string.h>

/* Kernels that are a mode of their own. */
static const struct {
    const char *dtype, *kernel, *mode;
} renames[] = {
    {"w4a8_mxfp4_mxfp8", "sglang_mxfp4_flashinfer_trtllm_moe", "w4a8_mxfp4_mxfp8_trtllm"},
    {"w4a16_mxfp4", "sglang_flashinfer_cutlass_moe", "w4a16_mxfp4_cutlass"},
};

static bool moe_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    const char *kernel = pdb_text(view, row->cat[MOE_CAT_KERNEL]),
               *dtype = pdb_text(view, row->cat[MOE_CAT_QUANT]);
    row->cat[MOE_CAT_TABLE] =
        strcmp(kernel, "moe_torch_flow_min_latency") == 0 ? MOE_LOW_LATENCY : MOE_STANDARD;
    for (size_t i = 0; i < OP_COUNT(renames); i++)
        if (strcmp(kernel, renames[i].kernel) == 0 && strcmp(dtype, renames[i].dtype) == 0) {
            row->cat[MOE_CAT_QUANT] = pdb_text_add(view, renames[i].mode);
            break;
        }
    return true;
}

const pdb_schema moe_schema = {.table = "moe_perf",
                               .cats = {{.column = "low_latency", .optional = true}, /* made by moe_admit */
                                        {.column = "moe_dtype", .text = true},
                                        {.column = "distribution", .text = true},
                                        {.column = "topk"},
                                        {.column = "num_experts"},
                                        {.column = "hidden_size"},
                                        {.column = "inter_size"},
                                        {.column = "moe_tp_size"},
                                        {.column = "moe_ep_size"},
                                        {.column = "kernel_source", .text = true, .optional = true}},
                               .n_cats = 10,
                               .n_extra = 1,
                               .axes = {{.column = "num_tokens"}},
                               .n_axes = 1,
                               .admit = moe_admit};

static op_key key_of(const op_bound *b, uint64_t table, pdb_quant q, const char *distribution) {
    op_key key = {0};
    op_key_int(&key, table);
    op_key_text(&key, b->view, pdb_quant_get(q)->name);
    op_key_text(&key, b->view, distribution);
    return key;
}

bool moe_slice_matches(const pdb_slice *s, const op_key *key) {
    return memcmp(s->cat, key->value, (size_t)key->n * sizeof *s->cat) == 0;
}

bool moe_find_distribution(const op_bound *b, const pdb_table *t, uint64_t table, pdb_quant q,
                           const char *wanted, op_key *key) {
    *key = key_of(b, table, q, wanted);
    if (pdb_slice_any(b->view, t, key->value, 0, key->n))
        return true;
    op_key uniform = key_of(b, table, q, "uniform");
    if (!pdb_slice_any(b->view, t, uniform.value, 0, uniform.n))
        return false;
    *key = uniform;
    return true;
}

static void add_shape(op_key *key, const moe_shape *s) {
    const uint32_t values[] = {s->topk, s->experts, s->hidden, s->inter, s->tp, s->ep};
    for (size_t i = 0; i < OP_COUNT(values); i++)
        op_key_int(key, values[i]);
}

const pdb_grid *moe_find_curve(const op_bound *b, const pdb_table *t, uint64_t table, const moe_wanted *w,
                               op_key *key) {
    *key = key_of(b, table, w->quant, w->distribution);
    add_shape(key, &w->shape);
    const pdb_slice *s = pdb_slice_find(t, key->value);
    if (!s) {
        moe_find_distribution(b, t, table, w->quant, w->distribution, key);
        add_shape(key, &w->shape);
        s = pdb_slice_find(t, key->value);
    }
    return s ? pdb_slice_grid(s) : NULL;
}

bool moe_covers(const pdb_view *view, pdb_quant quant, const moe_shape *shape) {
    const pdb_table *t = pdb_table_get(view, &moe_schema, NULL);
    const uint64_t wanted[] = {shape->topk,  shape->experts, shape->hidden,
                               shape->inter, shape->tp,      shape->ep};
    uint64_t mode = pdb_text_id(view, pdb_quant_get(quant)->name);
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[MOE_CAT_TABLE] == MOE_STANDARD && cat[MOE_CAT_QUANT] == mode &&
            memcmp(cat + MOE_CAT_SHAPE, wanted, sizeof wanted) == 0)
            return true;
    }
    return false;
}
