/* Experts spread over nodes: the exchanges that carry tokens to them, which of them serves a layout, and the
 * formats of what they carry (docs/model/parallel.md). */
#include "models/internal.h"
#include <inttypes.h>
#include <string.h>

enum {
    FEW_EXPERTS = 8, /* most routed experts per token that exchanges serve */
    BLACKWELL = 100  /* first SM version with NVLink exchanges */
};

/* X(name, frameworks, phases, least SM version): exchanges by priority. */
#define EXCHANGES(X)                                                                                         \
    X("deepep_ht", "sglang vllm", MDL_A2A_CONTEXT, 0)                                                        \
    X("deepep_ll", "sglang vllm", MDL_A2A_GENERATION, 0)                                                     \
    X("deepep_v2_context", "vllm", MDL_A2A_CONTEXT, 0)                                                       \
    X("deepep_v2_generation", "vllm", MDL_A2A_GENERATION, 0)                                                 \
    X("trtllm_deepep_ht", "trtllm", MDL_A2A_CONTEXT, 0)                                                      \
    X("trtllm_deepep_ll", "trtllm", MDL_A2A_GENERATION, 0)                                                   \
    X("nvlink_two_sided", "trtllm", MDL_A2A_CONTEXT | MDL_A2A_GENERATION, BLACKWELL)                         \
    X("nvlink_one_sided", "trtllm", MDL_A2A_CONTEXT | MDL_A2A_GENERATION, BLACKWELL)

typedef struct exchange {
    const char *name, *frameworks;
    unsigned phases;
    int least_sm;
} exchange;

static const exchange exchanges[] = {
#define EXCHANGE_ROW(name, frameworks, phases, sm) {name, frameworks, phases, sm},
    EXCHANGES(EXCHANGE_ROW)
#undef EXCHANGE_ROW
};

/* ---- formats ---- */

static bool one_of(pdb_quant q, pdb_quant a, pdb_quant b) {
    return q == a || q == b;
}

static const char *trtllm_low_latency(pdb_quant moe, bool combine, const char *system) {
    bool hopper = system && (strcmp(system, "h100_sxm") == 0 || strcmp(system, "h200_sxm") == 0);
    if (one_of(moe, PDB_Q_bfloat16, PDB_Q_fp8))
        return pdb_quant_get(moe)->name;
    if (moe != PDB_Q_nvfp4 || hopper)
        return NULL;
    return combine ? "fp4" : "nvfp4";
}

const char *mdl_a2a_format(const char *backend, pdb_quant moe, bool context, bool combine,
                           const char *system) {
    if (moe == PDB_Q_fp8_block)
        moe = PDB_Q_fp8;
    if (strncmp(backend, "deepep", 6) == 0)
        return "default";
    if (strcmp(backend, "trtllm_deepep_ht") == 0)
        return moe == PDB_Q_nvfp4 ? "nvfp4" : one_of(moe, PDB_Q_bfloat16, PDB_Q_fp8) ? "bfloat16" : NULL;
    if (strcmp(backend, "trtllm_deepep_ll") == 0)
        return trtllm_low_latency(moe, combine, system);
    if (strcmp(backend, "nvlink_two_sided") == 0 || strcmp(backend, "nvlink_one_sided") == 0)
        return moe == PDB_Q_nvfp4 && combine && !context ? "fp4" : pdb_quant_get(moe)->name;
    return NULL;
}

/* ---- choice ---- */

/* A layout whose experts span nodes. */
typedef struct layout {
    const mdl_model *model;
    const mdl_parallel *par;
    const mdl_request *request;
    uint32_t node; /* GPUs */
    pdb_quant moe;
} layout;

/* Kernels serve few experts per token, spread evenly; TensorRT-LLM only with data-parallel attention. */
static bool feasible(const layout *l) {
    const mdl_model *m = l->model;
    return m->topk <= FEW_EXPERTS && l->par->moe_ep <= m->experts && m->experts % l->par->moe_ep == 0 &&
           (strcmp(l->request->backend, "trtllm") != 0 || l->par->dp > 1);
}

static bool measured(const layout *l, const exchange *x, bool context) {
    const pdb_view *view = l->request->view;
    const mdl_model *m = l->model;
    op_a2a_need a2a = {.comm_backend = x->name,
                       .dispatch_dtype = mdl_a2a_format(x->name, l->moe, context, false, view->system->name),
                       .combine_dtype = mdl_a2a_format(x->name, l->moe, context, true, view->system->name),
                       .hidden = (uint32_t)m->hidden,
                       .topk = (uint32_t)m->topk,
                       .experts = (uint32_t)m->experts,
                       .ep = l->par->moe_ep,
                       .nodes = (l->par->moe_ep + l->node - 1) / l->node};
    op_expert_need experts = {.quant = l->moe,
                              .context = context,
                              .hidden = a2a.hidden,
                              .inter = (uint32_t)m->expert_ffn,
                              .topk = a2a.topk,
                              .experts = a2a.experts,
                              .ep = a2a.ep};
    return a2a.dispatch_dtype && a2a.combine_dtype && op_a2a_covers(view, &a2a) &&
           op_expert_covers(view, &experts);
}

/* The first exchange that serves the phase; NULL when none does. */
static const char *choose(const layout *l, unsigned phase) {
    int sm = l->request->view->system->sm_version;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        const exchange *x = &exchanges[i];
        if ((x->phases & phase) && strstr(x->frameworks, l->request->backend) &&
            (sm < 0 || sm >= x->least_sm) && measured(l, x, phase == MDL_A2A_CONTEXT))
            return x->name;
    }
    return NULL;
}

/* Exchanges of all phases asked for; false when one has none. */
static bool choose_all(const layout *l, unsigned phases, mdl_request *out) {
    if (phases & MDL_A2A_CONTEXT && !(out->a2a_context = choose(l, MDL_A2A_CONTEXT)))
        return false;
    return !(phases & MDL_A2A_GENERATION) || (out->a2a_generation = choose(l, MDL_A2A_GENERATION));
}

/* Do the experts span nodes? Layouts that no exchange can serve are refused. */
static bool check_span(const mdl_entry *m, const mdl_parallel *par, const mdl_request *req, bool *spans,
                       op_refusal *why) {
    *spans = false;
    if (!req->view || !req->a2a_phases || !m->pub.is_moe || par->moe_ep <= 1)
        return true;
    uint32_t node = mdl_node_size(req);
    if (node == 0) {
        op_refuse(why, OP_INVALID,
                  "the spec sheet of %s does not say how many GPUs a node has (gpus_per_node)",
                  req->view->system->name);
        return false;
    }
    *spans = par->moe_ep > node;
    if (!*spans || par->moe_tp == 1)
        return true;
    op_refuse(why, OP_INVALID,
              "expert parallelism across nodes (moe_ep %" PRIu32 ", %" PRIu32
              " GPUs a node) needs moe_tp 1, not %" PRIu32,
              par->moe_ep, node, par->moe_tp);
    return false;
}

static bool refuse_unmeasured(const layout *l, op_refusal *why) {
    const pdb_view *view = l->request->view;
    op_refuse(why, OP_MISSING,
              "expert parallelism across nodes (moe_ep %" PRIu32 ", %" PRIu32
              " GPUs a node) needs an all-to-all exchange and expert kernels; none is measured on %s, %s %s "
              "for this model and layout; use moe_ep <= %" PRIu32,
              l->par->moe_ep, l->node, view->system->name, view->backend, view->version, l->node);
    return false;
}

bool mdl_choose_exchange(const mdl_entry *m, const mdl_parallel *par, mdl_request *req, aic_arena *scratch,
                         op_refusal *why, aic_error *err) {
    bool spans;
    mdl_quants modes, given = req->given;
    if (!check_span(m, par, req, &spans, why))
        return false;
    if (!spans)
        return true;
    if (!mdl_resolve_plain(m, req, scratch, &modes, err))
        return false;
    const mdl_graph *g = m->pub.graph;
    layout l = {&m->pub, par, req, mdl_node_size(req), modes.moe};
    if (!g || !mdl_texts_have(&g->across_nodes, req->backend) || !feasible(&l) ||
        !choose_all(&l, req->a2a_phases, req))
        return refuse_unmeasured(&l, why);
    if (!mdl_fix_modes(m, req, &m->archs->on_nodes, &given, scratch, err))
        return false;
    req->given = given;
    if (!mdl_resolve_plain(m, req, scratch, &modes, err))
        return false;
    req->given = modes;
    return true;
}
