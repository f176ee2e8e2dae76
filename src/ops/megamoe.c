/* Dsv4MegaMoe: DeepSeek-V4's fused routed module, measured whole (docs/model/moe_large_ep.md). */
#include "ops/large_ep_internal.h"

#include <math.h>
#include <string.h>

typedef struct megamoe_params {
    uint32_t hidden_size, inter_size, topk, num_experts, moe_tp_size, moe_ep_size;
    pdb_quant quant_mode;
    const char *workload_distribution;
    bool is_context;
    const char *source_policy, *pre_dispatch;
    uint32_t num_fused_shared_experts;
    const char *kernel_source, *kernel_dtype;
} megamoe_params;

/* ---- table --------------------------------------------------------------------------------------------- */

enum { CAT_PHASE, CAT_KERNEL, CAT_QUANT = 3, CAT_TP = 12, CAT_GRAPH = 14, CAT_GATE, CAT_SCALE };

/* What every row says of itself; a table with other rows measures something else. */
static bool megamoe_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    const char *phase = pdb_text(view, row->cat[CAT_PHASE]);
    if (!row->cat[CAT_GRAPH] || row->cat[CAT_GATE] || !row->cat[CAT_SCALE])
        row->fault = "a row without CUDA graph or routed scale, or with the gate's top-k in it";
    else if (strcmp(phase, "context") != 0 && strcmp(phase, "generation") != 0)
        row->fault = "a row of a phase other than context and generation";
    else if (pdb_quant_parse(pdb_text(view, row->cat[CAT_QUANT]), PDB_MOE) == PDB_Q_UNSET)
        row->fault = "a row of an unknown moe_dtype";
    if (!row->cat[CAT_KERNEL])
        row->cat[CAT_KERNEL] = pdb_text_add(view, "deepgemm_megamoe");
    if (!row->cat[CAT_TP])
        row->cat[CAT_TP] = 1;
    return true;
}

const pdb_schema megamoe_schema = {.table = "dsv4_megamoe_module_perf",
                                   .cats = {{.column = "phase", .text = true},
                                            {.column = "kernel_source", .text = true, .optional = true},
                                            {.column = "kernel_dtype", .text = true},
                                            {.column = "moe_dtype", .text = true},
                                            {.column = "pre_dispatch", .text = true},
                                            {.column = "source_policy", .text = true},
                                            {.column = "distribution", .text = true},
                                            {.column = "topk"},
                                            {.column = "num_experts"},
                                            {.column = "num_fused_shared_experts", .optional = true},
                                            {.column = "hidden_size"},
                                            {.column = "inter_size"},
                                            {.column = "moe_tp_size", .optional = true},
                                            {.column = "moe_ep_size"},
                                            {.column = "used_cuda_graph"},
                                            {.column = "includes_gate_topk"},
                                            {.column = "includes_routed_scale"}},
                                   .n_cats = 17,
                                   .n_extra = 3,
                                   .axes = {{.column = "num_tokens"}},
                                   .n_axes = 1,
                                   .primary_only = true,
                                   .admit = megamoe_admit};

typedef struct feed {
    pdb_gather *to;
    size_t rows;
} feed;

static bool add(void *feed_, pdb_row *row) {
    feed *f = feed_;
    f->rows++;
    pdb_gather_add(f->to, row, 0);
    return true;
}

/* A key measured twice makes the whole table doubtful. */
static const void *load(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    (void)identity;
    const pdb_schema *schema = &megamoe_schema;
    feed f = {.to = pdb_gather_new(view, schema)};
    bool ok = pdb_scan(view, schema, add, &f, why);
    const pdb_table *t = pdb_gather_finish(f.to, ok ? a : NULL);
    if (ok && !t)
        *why = aic_arena_printf(a, "table %s: no rows of %s %s itself on %s", schema->table, view->backend,
                                view->version, view->system->name);
    if (!t || pdb_table_rows(t) == f.rows)
        return t;
    *why = aic_arena_printf(a, "table %s: %s %s on %s has rows of equal keys", schema->table, view->backend,
                            view->version, view->system->name);
    return NULL;
}

const pdb_table *megamoe_table(const pdb_view *view, const char **why) {
    return pdb_derived(view, &op_desc_dsv4_mega_moe, load, why);
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static op_key key_of(const op_bound *b) {
    const megamoe_params *p = b->op->params;
    bool uniform = strcmp(p->workload_distribution, "uniform") == 0;
    const char *const texts[] = {p->is_context ? "context" : "generation",
                                 p->kernel_source,
                                 p->kernel_dtype,
                                 pdb_quant_get(p->quant_mode)->name,
                                 p->pre_dispatch,
                                 p->source_policy,
                                 uniform ? "balanced" : p->workload_distribution};
    const uint32_t sizes[] = {p->topk,        p->num_experts, p->num_fused_shared_experts,
                              p->hidden_size, p->inter_size,  p->moe_tp_size,
                              p->moe_ep_size};
    op_key key = {0};
    for (size_t i = 0; i < OP_COUNT(texts); i++)
        op_key_text(&key, b->view, texts[i]);
    for (size_t i = 0; i < OP_COUNT(sizes); i++)
        op_key_int(&key, sizes[i]);
    return key;
}

enum { BLACKWELL = 100 };

static bool runs_on(const op_bound *b, op_refusal *why) {
    if (b->system->sm_version >= BLACKWELL)
        return true;
    op_refuse_op(why, b->op, OP_INVALID,
                 "the fused module runs on Blackwell GPUs (SM 100 and later), not on %s", b->system->name);
    return false;
}

static void megamoe_bind(op_binder *binder, op_bound *b) {
    const char *reason = NULL;
    const pdb_table *t = NULL;
    op_refusal why = {0};
    if (runs_on(b, &why))
        t = megamoe_table(b->view, &reason);
    if (t) {
        op_key key = key_of(b);
        const pdb_slice *s = pdb_slice_find(t, key.value);
        if (s)
            b->state = pdb_slice_grid(s);
        else
            op_refuse_key(&why, b, &megamoe_schema, t, &key, 0, LARGE_EP_PAGE);
    } else if (reason) {
        op_refuse_op(&why, b->op, OP_MISSING, "%s (docs/model/" LARGE_EP_PAGE ".md)", reason);
    }
    if (why.cls != OP_OK)
        op_bind_refuse(binder, b, &why);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double tokens_sol(const void *unused, const double *tokens) {
    (void)unused;
    return tokens[0];
}

static op_class megamoe_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                              op_refusal *why) {
    if (!runs_on(b, why))
        return OP_INVALID;
    if (!op_mode_measures(mode))
        return op_refuse_op(why, b->op, OP_MISSING,
                            "the fused module is measured or not answered; mode %s does not measure "
                            "(docs/model/" LARGE_EP_PAGE ".md)",
                            op_mode_name(mode));
    if (b->refused != OP_OK)
        return op_refuse(why, b->refused, "%s", b->reason);
    double tokens = shape->x;
    pdb_value v;
    pdb_miss miss = pdb_grid_query(b->state, &tokens, -1, tokens_sol, NULL, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, &megamoe_schema, miss, "token count", LARGE_EP_PAGE);
    *out = op_measured(&v);
    return OP_OK;
}

static double megamoe_weights(const op *o) {
    const megamoe_params *p = o->params;
    double bytes = (double)p->hidden_size * (double)p->inter_size * (double)p->num_experts *
                   pdb_quant_get(p->quant_mode)->bytes * 3.0;
    return floor(floor(bytes / (double)op_at_least_1(p->moe_ep_size)) /
                 (double)op_at_least_1(p->moe_tp_size));
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field megamoe_fields[] = {
    OP_U32(megamoe_params, hidden_size),
    OP_U32(megamoe_params, inter_size),
    OP_U32(megamoe_params, topk),
    OP_U32(megamoe_params, num_experts),
    OP_U32(megamoe_params, moe_tp_size),
    OP_U32(megamoe_params, moe_ep_size),
    OP_QUANT(megamoe_params, quant_mode, PDB_MOE),
    OP_TEXT(megamoe_params, workload_distribution),
    OP_BOOL(megamoe_params, is_context),
    OP_TEXT(megamoe_params, source_policy),
    OP_TEXT(megamoe_params, pre_dispatch),
    OP_U32(megamoe_params, num_fused_shared_experts),
    OP_TEXT(megamoe_params, kernel_source),
    OP_TEXT(megamoe_params, kernel_dtype),
};

static const pdb_schema *const megamoe_schemas[] = {&megamoe_schema, NULL};

const op_desc op_desc_dsv4_mega_moe = {.kind = "Dsv4MegaMoe",
                                       .summary = "DeepSeek-V4's fused routed experts with their exchange",
                                       .params_size = sizeof(megamoe_params),
                                       .fields = megamoe_fields,
                                       .n_fields = OP_COUNT(megamoe_fields),
                                       .reads = OP_READS_X,
                                       .schemas = megamoe_schemas,
                                       .bind = megamoe_bind,
                                       .query = megamoe_query,
                                       .weight_bytes = megamoe_weights};
