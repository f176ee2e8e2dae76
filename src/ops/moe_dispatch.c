/* MoeDispatch: tokens exchanged around the experts, as collectives or an all-to-all kernel
 * (docs/model/moe.md). */
#include "ops/alltoall_internal.h"
#include "ops/comm_internal.h"

typedef enum dispatch_backend { TRTLLM, SGLANG, VLLM } dispatch_backend;
static const char *const backends[] = {"trtllm", "sglang", "vllm", NULL};

typedef enum dispatch_flavor { FLAVOR_ALLREDUCE, FLAVOR_ALLTOALL, FLAVOR_RETIRED } dispatch_flavor;
static const char *const flavors[] = {"CustomAllReduce", "TrtllmAlltoall", "RetiredDeepEp", NULL};

typedef struct dispatch_params {
    uint32_t hidden_size, topk, num_experts, moe_tp_size, moe_ep_size, attention_dp_size;
    bool pre_dispatch;
    int backend, flavor; /* dispatch_backend, dispatch_flavor */
    pdb_quant comm_quant, moe_quant;
    bool attn_ar_modeled;
    uint32_t attn_cp_size;
    bool is_context;
    uint32_t sms, scale_num_tokens; /* carried, not read */
} dispatch_params;

/* ---- which exchanges a layer runs ---------------------------------------------------------------------- */

/* One collective: x times `factor` tokens. */
typedef struct step {
    op_bound op;
    uint64_t factor;
} step;

typedef struct dispatch_state {
    int n;
    step steps[2];
    alltoall *exchange; /* instead of steps, or NULL */
} dispatch_state;

typedef struct groups {
    uint32_t n, dp, tp; /* GPUs of the expert group, attention-DP ranks, GPUs per rank */
} groups;

static groups groups_of(const dispatch_params *p) {
    uint64_t n = (uint64_t)p->moe_tp_size * p->moe_ep_size;
    groups g = {.dp = op_at_least_1(p->attention_dp_size)};
    g.n = op_at_least_1(n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
    g.tp = op_at_least_1((uint32_t)((n < UINT32_MAX ? n : UINT32_MAX) / g.dp));
    return g;
}

static void add_step(op_binder *binder, op_bound *b, dispatch_state *st, op *collective, uint64_t factor) {
    step *s = &st->steps[st->n++];
    op_bind(binder, collective, &s->op);
    s->factor = factor;
    if (b->refused == OP_OK) {
        b->refused = s->op.refused;
        b->reason = s->op.reason;
    }
}

static void add_allreduce(op_binder *binder, op_bound *b, dispatch_state *st, uint32_t gpus) {
    const dispatch_params *p = b->op->params;
    add_step(binder, b, st, comm_make_allreduce(binder->arena, b->op->name, gpus, p->hidden_size), 1);
}

static void add_nccl(op_binder *binder, op_bound *b, dispatch_state *st, uint32_t gpus,
                     comm_operation operation, uint32_t factor) {
    const dispatch_params *p = b->op->params;
    add_step(binder, b, st, comm_make_nccl(binder->arena, b->op->name, gpus, operation, p->hidden_size),
             factor);
}

/* Gathers tokens before the experts, scatters the sums after them. */
static comm_operation around(const dispatch_params *p) {
    return p->pre_dispatch ? COMM_all_gather : COMM_reduce_scatter;
}

static void plan_vllm(op_binder *binder, op_bound *b, dispatch_state *st, groups g) {
    const dispatch_params *p = b->op->params;
    if (g.tp > 1 && !(p->pre_dispatch && p->attn_ar_modeled))
        add_allreduce(binder, b, st, g.n);
    if (g.dp > 1)
        add_nccl(binder, b, st, g.n, around(p), g.dp);
}

static void plan_sglang(op_binder *binder, op_bound *b, dispatch_state *st, groups g) {
    const dispatch_params *p = b->op->params;
    if (g.tp > 1 && g.dp > 1 && p->pre_dispatch) {
        add_nccl(binder, b, st, g.tp, COMM_reduce_scatter, 1);
        add_nccl(binder, b, st, g.n, COMM_all_gather, g.dp);
    } else if (g.tp > 1 && g.dp > 1) {
        add_nccl(binder, b, st, g.n, COMM_reduce_scatter, g.dp);
        add_nccl(binder, b, st, g.tp, COMM_all_gather, 1);
    } else if (p->attn_cp_size > 1 && p->is_context) {
        add_nccl(binder, b, st, g.n, around(p), 1);
    } else if (p->attn_cp_size > 1) {
        if (!p->pre_dispatch)
            add_allreduce(binder, b, st, g.n);
    } else if (g.tp > 1) {
        add_allreduce(binder, b, st, g.n);
    } else if (g.dp > 1) {
        add_nccl(binder, b, st, g.n, around(p), g.dp);
    }
}

/* Share of a half-precision element that a quantised token and its scales take on the wire. */
static double wire_share(pdb_quant q) {
    if (q == PDB_Q_nvfp4)
        return 0.25 + 0.03125;
    return q == PDB_Q_fp8 || q == PDB_Q_fp8_block ? 0.5 : 1.0;
}

static void plan_trtllm(op_binder *binder, op_bound *b, dispatch_state *st, groups g) {
    const dispatch_params *p = b->op->params;
    bool data_parallel = p->attention_dp_size > 1;
    bool sm100 = b->system->sm_version == 100;
    if (sm100 && data_parallel && p->moe_tp_size == 1 && b->system->gpus_per_node >= 72) {
        const alltoall_params a = {p->pre_dispatch, p->hidden_size, p->topk,
                                   p->num_experts,  p->moe_ep_size, p->moe_quant};
        st->exchange = alltoall_bind(binder, b, &a);
    } else if (sm100 && data_parallel && p->pre_dispatch) {
        op *gather = comm_make_nccl(binder->arena, b->op->name, g.n, COMM_all_gather,
                                    p->hidden_size * wire_share(p->moe_quant));
        add_step(binder, b, st, gather, p->attention_dp_size);
    } else if (sm100 && data_parallel) {
        add_nccl(binder, b, st, g.n, COMM_reduce_scatter, p->attention_dp_size);
    } else if (g.tp > 1) {
        add_allreduce(binder, b, st, g.n);
    } else if (data_parallel) {
        add_nccl(binder, b, st, g.n, around(p), p->attention_dp_size);
    }
}

static op_class refuse_retired(op_refusal *why, const op *o) {
    return op_refuse_op(
        why, o, OP_INVALID,
        "the deepep_moe dispatch is retired; large expert parallelism is priced by MoeAllToAll "
        "(docs/model/moe.md)");
}

static void dispatch_bind(op_binder *binder, op_bound *b) {
    const dispatch_params *p = b->op->params;
    dispatch_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    groups g = groups_of(p);
    b->state = st;
    if (p->flavor == FLAVOR_RETIRED) {
        op_refusal why;
        refuse_retired(&why, b->op);
        op_bind_refuse(binder, b, &why);
    } else if (p->flavor == FLAVOR_ALLTOALL) {
        plan_trtllm(binder, b, st, g);
    } else if (p->backend == VLLM) {
        plan_vllm(binder, b, st, g);
    } else if (p->backend == SGLANG) {
        plan_sglang(binder, b, st, g);
    } else {
        add_allreduce(binder, b, st, g.tp);
    }
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Whatever prices the steps, the sum counts as silicon and carries no energy. */
static op_class dispatch_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                               op_refusal *why) {
    const dispatch_params *p = b->op->params;
    const dispatch_state *st = b->state;
    if (p->flavor == FLAVOR_RETIRED)
        return refuse_retired(why, b->op);
    op_result sum = op_zero(OP_SRC_silicon);
    for (int i = 0; i < st->n; i++) {
        const step *s = &st->steps[i];
        uint64_t tokens = shape->x * s->factor;
        if (tokens > UINT32_MAX)
            return op_refuse_op(why, b->op, OP_INVALID, "tokens x attention DP ranks exceed 4294967295");
        op_shape sub = *shape;
        sub.x = (uint32_t)tokens;
        op_result r;
        op_class cls = op_query(&s->op, mode, &sub, &r, why);
        if (cls != OP_OK)
            return cls;
        sum = op_plus(&sum, &r);
    }
    if (st->exchange) {
        op_class cls = alltoall_query(st->exchange, b, mode, shape, &sum, why);
        if (cls != OP_OK)
            return cls;
    }
    sum.energy = 0.0;
    sum.source = OP_SRC_silicon;
    sum.has_sol = false;
    sum.sol_math = sum.sol_mem = 0.0;
    *out = sum;
    return OP_OK;
}

static const op_field dispatch_fields[] = {
    OP_U32(dispatch_params, hidden_size),          OP_U32(dispatch_params, topk),
    OP_U32(dispatch_params, num_experts),          OP_U32(dispatch_params, moe_tp_size),
    OP_U32(dispatch_params, moe_ep_size),          OP_U32(dispatch_params, attention_dp_size),
    OP_BOOL(dispatch_params, pre_dispatch),        OP_CHOICE(dispatch_params, backend, backends),
    OP_CHOICE(dispatch_params, flavor, flavors),   OP_QUANT(dispatch_params, comm_quant, PDB_COMM),
    OP_QUANT(dispatch_params, moe_quant, PDB_MOE), OP_BOOL_OR(dispatch_params, attn_ar_modeled, false),
    OP_U32_OR(dispatch_params, attn_cp_size, 1),   OP_BOOL_OR(dispatch_params, is_context, false),
    OP_U32_OR(dispatch_params, sms, 12),           OP_U32_OR(dispatch_params, scale_num_tokens, 1),
};

static const pdb_schema *const dispatch_schemas[] = {&comm_allreduce_schema, &comm_nccl_schema,
                                                     &comm_oneccl_schema, &alltoall_schema, NULL};

const op_desc op_desc_moe_dispatch = {.kind = "MoeDispatch",
                                      .summary = "token exchange before or after the experts",
                                      .params_size = sizeof(dispatch_params),
                                      .fields = dispatch_fields,
                                      .n_fields = OP_COUNT(dispatch_fields),
                                      .holds_ops = true,
                                      .reads = OP_READS_X,
                                      .schemas = dispatch_schemas,
                                      .bind = dispatch_bind,
                                      .query = dispatch_query};
