/* A collective's curve over message sizes: measured answers and estimates (docs/model/communication.md). */
#ifndef AICFG_OPS_COMM_CURVE_H
#define AICFG_OPS_COMM_CURVE_H

#include "ops/comm_internal.h"

#define COMM_PAGE "communication"

/* ---- measured ------------------------------------------------------------------------------------------ */

typedef struct comm_curve {
    const pdb_schema *schema;
    const pdb_grid *grid;
    bool beyond; /* more GPUs than measured: times ring */
    double ring;
} comm_curve;

/* gpus: those of the op; measured: those of the slice. */
comm_curve comm_curve_of(const pdb_system *sys, const pdb_schema *schema, const pdb_slice *s,
                         uint32_t measured, uint32_t gpus);
op_class comm_curve_at(const op_bound *b, const comm_curve *curve, double size, op_result *out,
                       op_refusal *why);

/* ---- estimated ----------------------------------------------------------------------------------------- */

/* What a collective's speed of light depends on besides the message size. */
typedef struct comm_price {
    double gpus, bw; /* byte/s */
    double weight;   /* bytes per element x passes, where they vary */
} comm_price;

comm_price comm_price_of(const pdb_system *sys, uint32_t gpus, double weight);

typedef struct comm_estimate comm_estimate;
/* s: the slice of `measured` GPUs, or NULL and why there is none. sol prices sizes under a comm_price. */
const comm_estimate *comm_calibrate(op_binder *binder, const op_bound *b, const pdb_slice *s,
                                    uint32_t measured, uint32_t gpus, double weight, pdb_sol sol,
                                    const op_refusal *why);
op_class comm_estimate_at(const op_bound *b, const comm_estimate *e, double size, pdb_sol sol,
                          const comm_price *price, op_result *out, op_refusal *why);

#endif
