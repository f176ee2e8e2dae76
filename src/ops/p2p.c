/* P2P: activations handed to the next pipeline stage, priced by their bytes (docs/model/communication.md). */
#include "ops/internal.h"

typedef struct p2p_params {
    uint32_t pp_size, hidden_size, seq_split;
} p2p_params;

static op_class p2p_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    (void)why;
    const p2p_params *p = b->op->params;
    if (p->pp_size <= 1) {
        *out = op_zero(OP_SRC_silicon);
        return OP_OK;
    }
    double bytes = (double)op_ceildiv(shape->x, p->seq_split) * (double)p->hidden_size * 2.0;
    double seconds = bytes / op_max(b->system->inter_node_bw, 1.0);
    *out = mode == OP_SOL ? op_sol_pair(0.0, seconds * 1000.0)
                          : op_formula((seconds + b->system->p2p_latency_s) * 1000.0, OP_SRC_empirical);
    return OP_OK;
}

static const op_field p2p_fields[] = {
    OP_U32(p2p_params, pp_size),
    OP_U32(p2p_params, hidden_size),
    OP_U32_OR(p2p_params, seq_split, 1),
};

const op_desc op_desc_p2p = {.kind = "P2P",
                             .summary = "activations sent to the next pipeline stage",
                             .params_size = sizeof(p2p_params),
                             .fields = p2p_fields,
                             .n_fields = OP_COUNT(p2p_fields),
                             .reads = OP_READS_X,
                             .query = p2p_query};
