/* Which attention-math modes a family has measured prefill data for (docs/model/quantisation_inference.md).
 *
 * Only two columns of the module tables matter here, so they are read through schemas of their own that do
 * not depend on how the ops key them. */
#include "models/internal.h"
#include <string.h>

/* X(table): tables with columns mla_dtype and kv_cache_dtype. */
#define MODULE_TABLES(X)                                                                                     \
    X(context_mla_perf)                                                                                      \
    X(mla_context_module_perf)                                                                               \
    X(dsa_context_module_perf)                                                                               \
    X(dsv4_csa_context_module_perf)                                                                          \
    X(dsv4_hca_context_module_perf)

static const pdb_schema tables[] = {
#define MODULE_SCHEMA(name)                                                                                  \
    {                                                                                                        \
        .table = #name,                                                                                      \
        .cats = {{.column = "mla_dtype", .text = true}, {.column = "kv_cache_dtype", .text = true}},         \
        .n_cats = 2,                                                                                         \
        .axes = {{.column = "batch_size"}},                                                                  \
        .n_axes = 1,                                                                                         \
    },
    MODULE_TABLES(MODULE_SCHEMA)
#undef MODULE_SCHEMA
};

const pdb_schema *mdl_fmha_table(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i].table, name) == 0)
            return &tables[i];
    return NULL;
}

/* Sparse module tables spell fp8 as its bit layout. */
static pdb_quant mode_of(const pdb_view *view, uint64_t id, unsigned kind) {
    const char *text = pdb_text(view, id);
    return pdb_quant_parse(strcmp(text, "fp8_e4m3") == 0 ? "fp8" : text, kind);
}

static uint64_t table_modes(const pdb_view *view, const pdb_schema *schema, pdb_quant kv) {
    const char *why;
    const pdb_table *t = pdb_table_get(view, schema, &why);
    uint64_t modes = 0;
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        pdb_quant fmha = mode_of(view, s->cat[0], PDB_FMHA);
        if (fmha != PDB_Q_UNSET && (kv == PDB_Q_UNSET || mode_of(view, s->cat[1], PDB_KV) == kv))
            modes |= UINT64_C(1) << fmha;
    }
    return modes;
}

uint64_t mdl_fmha_modes(const mdl_entry *m, const pdb_view *view, pdb_quant kv) {
    const mdl_fmha_rule *rule = mdl_fmha_rule_find(m->archs, m->pub.family, view->backend);
    if (!rule)
        return op_context_fmha_modes(view, kv);
    uint64_t modes = 0;
    for (size_t i = 0; i < rule->n_tables; i++)
        modes |= table_modes(view, rule->tables[i], kv);
    return modes;
}
