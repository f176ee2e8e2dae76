/* Expert computation of large expert parallelism: one table merged from four files
 * (docs/model/moe_large_ep.md). */
#include "ops/large_ep_internal.h"

/* ---- the table and its files --------------------------------------------------------------------------- */

/* The older files lack some columns: no phase, SGLang's no slots either, of which each expert has one. */
#define EXPERTS(name, slots, lacks)                                                                          \
    {                                                                                                        \
        .table = (name),                                                                                     \
        .cats = {{.column = "kernel_source", .text = true, .optional = (lacks)},                             \
                 {.column = "moe_dtype", .text = true},                                                      \
                 {.column = "distribution", .text = true},                                                   \
                 {.column = "inference_phase", .text = true, .optional = (lacks)},                           \
                 {.column = "topk"},                                                                         \
                 {.column = "num_experts"},                                                                  \
                 {.column = (slots)},                                                                        \
                 {.column = "hidden_size"},                                                                  \
                 {.column = "inter_size", .optional = (lacks)},                                              \
                 {.column = "moe_tp_size", .optional = (lacks)},                                             \
                 {.column = "moe_ep_size"}},                                                                 \
        .n_cats = 11, .axes = {{.column = "num_tokens"}}, .n_axes = 1                                        \
    }

const pdb_schema expert_schema = EXPERTS("the merged expert table", "num_slots", false);
static const pdb_schema sglang_context = EXPERTS("wideep_context_moe_perf", "num_experts", true);
static const pdb_schema sglang_generation = EXPERTS("wideep_generation_moe_perf", "num_experts", true);
static const pdb_schema trtllm_file = EXPERTS("wideep_moe_perf", "num_slots", true);
static const pdb_schema own_file = EXPERTS("moe_expert_compute_perf", "num_slots", false);

/* ---- merging ------------------------------------------------------------------------------------------- */

/* A file while it is read into the table. */
typedef struct feed {
    const pdb_view *view;
    pdb_gather *to;
    const pdb_schema *file;
} feed;

/* The file that carries the table's own columns overrides the older ones, whatever their versions. */
static void add(const feed *f, pdb_row *row) {
    row->power = 0.0; /* expert computation has no energy here */
    if (!row->cat[EXPERT_TP])
        row->cat[EXPERT_TP] = 1;
    pdb_gather_add(f->to, row, f->file == &own_file ? 0 : 1);
}

static bool add_own(void *feed_, pdb_row *row) {
    add(feed_, row);
    return true;
}

static bool add_sglang(void *feed_, pdb_row *row) {
    const feed *f = feed_;
    row->cat[EXPERT_KERNEL] = pdb_text_add(f->view, "deepep_moe");
    row->cat[EXPERT_PHASE] = pdb_text_add(f->view, f->file == &sglang_context ? "context" : "generation");
    add(f, row);
    return true;
}

static bool add_trtllm(void *feed_, pdb_row *row) {
    const feed *f = feed_;
    if (!row->cat[EXPERT_KERNEL])
        row->cat[EXPERT_KERNEL] = pdb_text_add(f->view, "moe_torch_flow");
    row->cat[EXPERT_PHASE] = pdb_text_add(f->view, "context");
    add(f, row);
    row->cat[EXPERT_PHASE] = pdb_text_add(f->view, "generation");
    add(f, row);
    return true;
}

/* In this order the distributions of a kernel and mode count as seen. */
#define FILES(X)                                                                                             \
    X(sglang_context, add_sglang)                                                                            \
    X(sglang_generation, add_sglang)                                                                         \
    X(trtllm_file, add_trtllm)                                                                               \
    X(own_file, add_own)

const pdb_schema *const expert_files[] = {
#define FILE_SCHEMA(schema, reader) &schema,
    FILES(FILE_SCHEMA)
#undef FILE_SCHEMA
        NULL};

static bool (*const readers[])(void *feed, pdb_row *row) = {
#define FILE_READER(schema, reader) reader,
    FILES(FILE_READER)
#undef FILE_READER
};

static const void *merge(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    feed f = {.view = view, .to = pdb_gather_new(view, identity)};
    bool ok = true;
    for (int i = 0; ok && expert_files[i]; i++) {
        f.file = expert_files[i];
        ok = pdb_scan(view, f.file, readers[i], &f, why);
    }
    const pdb_table *t = pdb_gather_finish(f.to, ok ? a : NULL);
    if (ok && !t)
        *why = aic_arena_printf(a, "no measured experts: none of %s, %s, %s and %s has rows for %s %s on %s",
                                own_file.table, sglang_context.table, sglang_generation.table,
                                trtllm_file.table, view->backend, view->version, view->system->name);
    return t;
}

const pdb_table *expert_table(const pdb_view *view, const char **why) {
    return pdb_derived(view, &expert_schema, merge, why);
}
