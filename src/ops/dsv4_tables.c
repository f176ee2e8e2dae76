/* Module tables of DeepSeek-V4 attention (docs/model/dsv4.md). */
#include "ops/dsv4_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* Key, then how many ranks a row's heads are one share of. */
enum { MLA, KV, GEMM, NATIVE, LOCAL, KEY, RANKS = KEY };

static void rename_fp8(const pdb_view *view, uint64_t *text) {
    if (strcmp(pdb_text(view, *text), "fp8_e4m3") == 0)
        *text = pdb_text_add(view, "fp8");
}

static bool admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    rename_fp8(view, &row->cat[MLA]);
    rename_fp8(view, &row->cat[KV]);
    row->cat[NATIVE] = row->cat[LOCAL] * (row->cat[RANKS] ? row->cat[RANKS] : 1);
    return true;
}

/* Decode steps are not told apart by the mode of their attention. */
static bool admit_step(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    row->cat[MLA] = 0;
    return admit(view, schema, row);
}

/* A module file, read in up to three ways. */
typedef struct module_file {
    pdb_schema rows;  /* over (prefix, new tokens, batch), decode too */
    pdb_schema heads; /* head counts and ranks of every row */
    pdb_schema steps; /* decode: over (batch, length), made from rows */
} module_file;

#define MODULE_CATS                                                                                          \
    .cats = {{.column = "mla_dtype", .text = true, .optional = true},                                        \
             {.column = "kv_cache_dtype", .text = true},                                                     \
             {.column = "gemm_type", .text = true},                                                          \
             {.column = "native_heads", .optional = true}, /* made by the hook */                            \
             {.column = "num_heads"},                                                                        \
             {.column = "tp_size"}},                                                                         \
    .n_cats = KEY + 1, .n_extra = 1
#define MODULE_FILE(file, hook)                                                                              \
    {                                                                                                        \
        .rows = {.table = (file),                                                                            \
                 MODULE_CATS,                                                                                \
                 .axes = {{.column = "step"}, {.column = "isl"}, {.column = "batch_size"}},                  \
                 .n_axes = 3,                                                                                \
                 .admit = (hook)},                                                                           \
        .heads = {.table = (file),                                                                           \
                  .cats = {{.column = "model", .text = true, .optional = true},                              \
                           {.column = "version", .text = true, .optional = true},                            \
                           {.column = "num_heads"},                                                          \
                           {.column = "tp_size"}},                                                           \
                  .n_cats = 4},                                                                              \
        .steps = {                                                                                           \
            .table = (file),                                                                                 \
            MODULE_CATS,                                                                                     \
            .axes = {{.column = "batch_size"}, {.column = "isl", .plus = "step"}},                           \
            .n_axes = 2                                                                                      \
        }                                                                                                    \
    }

static const module_file files[DSV4_KIND_COUNT][2] = {
    [DSV4_Csa] = {MODULE_FILE("dsv4_csa_context_module_perf", admit),
                  MODULE_FILE("dsv4_csa_generation_module_perf", admit_step)},
    [DSV4_Hca] = {MODULE_FILE("dsv4_hca_context_module_perf", admit),
                  MODULE_FILE("dsv4_hca_generation_module_perf", admit_step)},
};

const pdb_schema *const dsv4_context_schemas[] = {&files[DSV4_Csa][0].rows, &files[DSV4_Hca][0].rows,
                                                  &dsv4_calibration_schema, &dsv4_paged_schema, NULL};
const pdb_schema *const dsv4_generation_schemas[] = {&files[DSV4_Csa][1].rows, &files[DSV4_Hca][1].rows,
                                                     &dsv4_calibration_schema, NULL};

const pdb_schema *dsv4_schema(dsv4_kind kind, bool decode) {
    return &files[kind][decode].rows;
}

/* ---- retired files ------------------------------------------------------------------------------------- */

/* Once num_heads was the model's whatever the ranks: such files show one head count over several ranks. */
typedef struct head_group {
    uint64_t model, version, heads, ranks;
    bool other_heads, other_ranks, other_products;
} head_group;

typedef struct head_groups {
    head_group *items;
    size_t count, cap;
} head_groups;

static bool note_heads(void *ctx, pdb_row *row) {
    head_groups *all = ctx;
    uint64_t heads = row->cat[2], ranks = row->cat[3] ? row->cat[3] : 1;
    size_t i = 0;
    while (i < all->count && (all->items[i].model != row->cat[0] || all->items[i].version != row->cat[1]))
        i++;
    if (i == all->count) {
        AIC_GROW(all->items, all->count, all->cap);
        all->items[all->count++] =
            (head_group){.model = row->cat[0], .version = row->cat[1], .heads = heads, .ranks = ranks};
    }
    head_group *g = &all->items[i];
    g->other_heads |= g->heads != heads;
    g->other_ranks |= g->ranks != ranks;
    g->other_products |= g->heads * g->ranks != heads * ranks;
    return true;
}

static const void *check_heads(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const pdb_schema *schema = identity;
    head_groups all = {0};
    bool ok = pdb_scan(view, schema, note_heads, &all, why);
    for (size_t i = 0; ok && i < all.count; i++) {
        const head_group *g = &all.items[i];
        if (g->other_heads || !g->other_ranks || !g->other_products)
            continue;
        *why = aic_arena_printf(a,
                                "table %s: rows of model %s, version %s, have one num_heads for several "
                                "tp_size: measured when num_heads was the whole model's, measure anew",
                                schema->table, pdb_text(view, g->model), pdb_text(view, g->version));
        ok = false;
    }
    free(all.items);
    return ok ? schema : NULL;
}

/* ---- decode steps -------------------------------------------------------------------------------------- */

/* Rows of one length are one point: the last in order of (prefix, new tokens) stands. */
static const void *build_steps(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const module_file *file = (const module_file *)((const char *)identity - offsetof(module_file, steps));
    const pdb_table *t = pdb_table_get(view, &file->rows, why);
    if (!t)
        return NULL;
    pdb_gather *g = pdb_gather_new(view, &file->steps);
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        const pdb_grid *grid = pdb_slice_grid(s);
        uint32_t n = grid->n[2];
        double *c = aic_alloc(n, 3 * sizeof *c);
        op_leaf_coords(grid, c);
        pdb_row row = {0};
        memcpy(row.cat, s->cat, KEY * sizeof *s->cat);
        for (uint32_t leaf = 0; leaf < n; leaf++) {
            row.axis[0] = (uint64_t)c[3 * leaf + 2];
            row.axis[1] = (uint64_t)c[3 * leaf] + (uint64_t)c[3 * leaf + 1];
            row.latency = grid->latency[leaf];
            row.power = pdb_grid_leaf(grid, leaf).power;
            row.from = pdb_leaf_from(grid, leaf);
            pdb_gather_add(g, &row, n - leaf);
        }
        free(c);
    }
    return pdb_gather_finish(g, a);
}

static const pdb_table *table_of(const pdb_view *view, const module_file *file, bool decode,
                                 const char **why) {
    if (!pdb_derived(view, &file->heads, check_heads, why))
        return NULL;
    return decode ? pdb_derived(view, &file->steps, build_steps, why) : pdb_table_get(view, &file->rows, why);
}

/* ---- slices -------------------------------------------------------------------------------------------- */

static bool matches(const pdb_slice *s, const op_key *k, int n) {
    for (int c = 0; c < n; c++)
        if (s->cat[c] != k->value[c])
            return false;
    return true;
}

/* Adds to the key the category nearest to x among slices that match so far: x itself, else the largest below
 * it, else the smallest. */
static void pick(const pdb_table *t, op_key *k, uint64_t x) {
    bool any = false;
    uint64_t best = x;
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        uint64_t v = s->cat[k->n];
        if (!matches(s, k, k->n))
            continue;
        bool better = !any || (best > x ? v < best : v > best && v <= x);
        best = better ? v : best;
        any = true;
    }
    op_key_int(k, best);
}

const pdb_slice *dsv4_slice(const op_bound *b, op_refusal *why) {
    const dsv4_params *p = b->op->params;
    bool decode = b->op->desc == &op_desc_dsv4_generation;
    const module_file *file = &files[p->attn_kind][decode];
    const char *reason = NULL;
    const pdb_table *t = table_of(b->view, file, decode, &reason);
    if (!t) {
        op_refuse_op(why, b->op, OP_MISSING, "%s/%s/%s: %s (docs/model/" DSV4_PAGE ".md)", b->system->name,
                     b->view->backend, b->view->version, reason);
        return NULL;
    }
    op_key key = {0};
    op_key_text(&key, b->view, decode ? "" : pdb_quant_get(p->fmha_quant_mode)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->kv_cache_dtype)->name);
    op_key_text(&key, b->view, pdb_quant_get(p->gemm_quant_mode)->name);
    op_key wanted = key;
    pick(t, &key, p->native_heads);
    pick(t, &key, p->num_heads);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        op_refuse_key(why, b, &file->rows, t, &wanted, decode ? KV : MLA, DSV4_PAGE);
    return s;
}
