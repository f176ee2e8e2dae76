/* TRT-LLM's NVLink all-to-all kernel over measured token counts (docs/model/moe.md). */
#include "ops/alltoall_internal.h"

#define PAGE "moe"

struct alltoall {
    alltoall_params params;
    double bw;             /* byte/s to the other ranks */
    const pdb_grid *curve; /* NULL: reason says why there is none */
    const pdb_util *util;  /* of the curve, where estimates are allowed */
    const char *reason;
};

/* Files without the node count come from trays of four GPUs. */
static bool admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)view;
    (void)schema;
    if (row->cat[ALLTOALL_NODES] == 0)
        row->cat[ALLTOALL_NODES] = row->cat[ALLTOALL_EP] < 4 ? 1 : row->cat[ALLTOALL_EP] / 4;
    return true;
}

const pdb_schema alltoall_schema = {.table = "trtllm_alltoall_perf",
                                    .cats = {{.column = "kernel_source", .text = true, .optional = true},
                                             {.column = "op_name", .text = true},
                                             {.column = "moe_dtype", .text = true},
                                             {.column = "num_nodes", .optional = true},
                                             {.column = "hidden_size"},
                                             {.column = "topk"},
                                             {.column = "num_experts"},
                                             {.column = "moe_ep_size"}},
                                    .n_cats = 8,
                                    .axes = {{.column = "num_tokens"}},
                                    .n_axes = 1,
                                    .admit = admit};

static uint32_t nodes_of(const alltoall_params *p) {
    return p->ep < 4 ? 1 : p->ep / 4;
}

/* Bytes to the experts of other ranks over the fabric. */
static double price(const void *alltoall, const double *tokens) {
    const struct alltoall *a = alltoall;
    const alltoall_params *p = &a->params;
    uint32_t others = p->ep ? p->ep - 1 : 0, ranks = p->topk < p->experts ? p->topk : p->experts;
    ranks = ranks < others ? ranks : others;
    double bytes = tokens[0] * ranks * p->hidden * (p->dispatch ? pdb_quant_get(p->quant)->bytes : 2.0);
    return bytes / a->bw * 1000.0;
}

static const pdb_slice *find_slice(const op_bound *b, const alltoall_params *params, op_refusal *why) {
    const pdb_table *t = op_table(b, &alltoall_schema, PAGE, why);
    if (!t)
        return NULL;
    pdb_quant read_as = params->quant == PDB_Q_fp8_block ? PDB_Q_fp8 : params->quant;
    op_key key = {0};
    op_key_text(&key, b->view, "NVLinkOneSided");
    op_key_text(&key, b->view, params->dispatch ? "alltoall_dispatch" : "alltoall_combine");
    op_key_text(&key, b->view, pdb_quant_get(read_as)->name);
    op_key_int(&key, nodes_of(params));
    op_key_int(&key, params->hidden);
    op_key_int(&key, params->topk);
    op_key_int(&key, params->experts);
    op_key_int(&key, params->ep);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        op_refuse_key(why, b, &alltoall_schema, t, &key, 0, PAGE);
    return s;
}

alltoall *alltoall_bind(op_binder *binder, op_bound *b, const alltoall_params *params) {
    alltoall *a = aic_arena_alloc(binder->arena, 1, sizeof *a);
    const pdb_system *sys = b->system;
    a->params = *params;
    a->bw = nodes_of(params) > 1 ? sys->inter_node_bw : sys->intra_node_bw;
    if (binder->mode == OP_SOL)
        return a;
    op_refusal why;
    const pdb_slice *s = find_slice(b, params, &why);
    if (s) {
        a->curve = pdb_slice_grid(s);
        a->util = binder->mode == OP_SILICON ? NULL : op_util_of_grid(binder, pdb_slice_grid(s), price, a);
        return a;
    }
    a->reason = aic_arena_strdup(binder->arena, why.text);
    if (binder->mode != OP_EMPIRICAL)
        op_bind_refuse(binder, b, &why);
    return a;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double tokens_sol(const void *unused, const double *tokens) {
    (void)unused;
    return tokens[0];
}

static op_class measure(const alltoall *a, const op_bound *b, double tokens, op_result *out,
                        op_refusal *why) {
    if (!a->curve)
        return op_refuse(why, OP_MISSING, "%s", a->reason);
    pdb_value v;
    pdb_miss miss = pdb_grid_query(a->curve, &tokens, -1, tokens_sol, NULL, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, &alltoall_schema, miss, "token count", PAGE);
    *out = op_measured(&v);
    return OP_OK;
}

op_class alltoall_query(const alltoall *a, const op_bound *b, op_mode mode, const op_shape *shape,
                        op_result *out, op_refusal *why) {
    double tokens = shape->x;
    if (mode == OP_SOL) {
        *out = op_formula(price(a, &tokens), OP_SRC_sol);
        return OP_OK;
    }
    op_class cls = mode == OP_EMPIRICAL ? OP_MISSING : measure(a, b, tokens, out, why);
    if (cls != OP_MISSING || mode == OP_SILICON)
        return cls;
    if (!a->util)
        return op_refuse(why, OP_NO_EMPIRICAL, "%s", a->reason);
    return op_estimate(b, a->util, &tokens, price(a, &tokens), 1.0, OP_TIER_empirical, out, why);
}
