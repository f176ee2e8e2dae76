/* What estimates of expert computation are calibrated from (docs/model/moe.md). */
#ifndef AICFG_OPS_MOE_ESTIMATE_H
#define AICFG_OPS_MOE_ESTIMATE_H

#include "ops/moe_table.h"

/* A curve to calibrate from; refused: there is none, and why. */
typedef struct moe_basis {
    const pdb_util *util;
    double scale;
    op_tier tier;
    op_class refused;
    const char *reason;
} moe_basis;

typedef struct moe_estimate {
    moe_sol sol; /* of the op */
    bool has_low;
    moe_basis low, standard; /* by the table that would answer; low only when has_low */
} moe_estimate;

/* Fills the bases from e->sol; low_latency: the op may run the low-latency kernel. */
void moe_calibrate(op_binder *binder, const op_bound *b, const moe_wanted *w, bool low_latency,
                   moe_estimate *e);

#endif
