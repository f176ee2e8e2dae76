/* Large expert parallelism: exchanges and expert computation measured as kernels of their own
 * (docs/model/moe_large_ep.md). */
#ifndef AICFG_OPS_LARGE_EP_INTERNAL_H
#define AICFG_OPS_LARGE_EP_INTERNAL_H

#include "ops/internal.h"

#define LARGE_EP_PAGE "moe_large_ep"

/* ---- exchanges (a2a_table.c) --------------------------------------------------------------------------- */

/* Categories of the merged table; its axes are the SM budget and the token count. */
enum { A2A_BACKEND, A2A_PHASE, A2A_DTYPE, A2A_EP, A2A_NODES, A2A_HIDDEN, A2A_TOPK, A2A_EXPERTS };
extern const pdb_schema a2a_schema;
extern const pdb_schema *const a2a_files[]; /* what it is merged from, NULL-terminated */
const pdb_table *a2a_table(const pdb_view *view, const char **why);

/* ---- expert computation (expert_table.c) --------------------------------------------------------------- */

/* Categories of the merged table; its axis is the token count. Slices stand in the order in which the files
 * show them. */
enum {
    EXPERT_KERNEL,
    EXPERT_QUANT,
    EXPERT_DISTRIBUTION,
    EXPERT_PHASE,
    EXPERT_TOPK,
    EXPERT_EXPERTS,
    EXPERT_SLOTS,
    EXPERT_HIDDEN,
    EXPERT_INTER,
    EXPERT_TP,
    EXPERT_EP
};
extern const pdb_schema expert_schema;
extern const pdb_schema *const expert_files[]; /* what it is merged from, NULL-terminated */
const pdb_table *expert_table(const pdb_view *view, const char **why);

/* ---- DeepSeek-V4's fused module (megamoe.c) ------------------------------------------------------------ */

extern const pdb_schema megamoe_schema;
const pdb_table *megamoe_table(const pdb_view *view, const char **why);

/* ---- all ---------------------------------------------------------------------------------------------- */

/* These kinds are measured or not answered: what HYBRID would estimate has no estimate. */
static inline op_class measured_only(op_mode mode, op_class cls, op_refusal *why) {
    if (mode == OP_HYBRID && cls == OP_MISSING)
        cls = OP_NO_EMPIRICAL;
    if (why)
        why->cls = cls;
    return cls;
}

#endif
