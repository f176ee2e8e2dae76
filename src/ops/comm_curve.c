/* A collective's curve over message sizes: measured answers and estimates (docs/model/communication.md). */
#include "ops/comm_curve.h"

/* ---- measured ------------------------------------------------------------------------------------------ */

double comm_size_sol(const void *unused, const double *size) {
    (void)unused;
    return size[0];
}

/* How much longer a ring over n GPUs takes than one over the measured e. */
static double ring(const pdb_system *sys, uint32_t e, uint32_t n) {
    double from = e, to = n, less = e > 1 ? from - 1.0 : 1.0;
    return (to - 1.0) / to * from / less * pdb_p2p_bw(sys, e) / pdb_p2p_bw(sys, n);
}

comm_curve comm_curve_of(const pdb_system *sys, const pdb_schema *schema, const pdb_slice *s,
                         uint32_t measured, uint32_t gpus) {
    bool beyond = gpus > measured;
    return (comm_curve){schema, pdb_slice_grid(s), beyond, beyond ? ring(sys, measured, gpus) : 1.0};
}

op_class comm_curve_at(const op_bound *b, const comm_curve *curve, double size, op_result *out,
                       op_refusal *why) {
    pdb_value v;
    pdb_miss miss = pdb_grid_query(curve->grid, &size, -1, comm_size_sol, NULL, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, curve->schema, miss, "message size", COMM_PAGE);
    if (curve->beyond) {
        v.latency *= curve->ring;
        v.energy *= curve->ring;
        v.how = PDB_BEYOND;
    }
    *out = op_measured(&v);
    return OP_OK;
}

/* ---- estimated ----------------------------------------------------------------------------------------- */

struct comm_estimate {
    const pdb_util *util; /* NULL: reason says why there is none */
    op_tier tier;
    const char *reason;
};

comm_price comm_price_of(const pdb_system *sys, uint32_t gpus, double weight) {
    return (comm_price){gpus, pdb_p2p_bw(sys, gpus), weight};
}

const comm_estimate *comm_calibrate(op_binder *binder, const op_bound *b, const pdb_slice *s,
                                    uint32_t measured, uint32_t gpus, double weight, pdb_sol sol,
                                    const op_refusal *why) {
    comm_estimate *e = aic_arena_alloc(binder->arena, 1, sizeof *e);
    comm_price price = comm_price_of(b->system, measured, weight);
    e->tier = measured == gpus ? OP_TIER_empirical : OP_TIER_xshape;
    if (s)
        e->util = op_util_of_grid(binder, pdb_slice_grid(s), sol, &price);
    else
        e->reason = aic_arena_strdup(binder->arena, why->text);
    return e;
}

/* Nothing to send needs no calibration. */
op_class comm_estimate_at(const op_bound *b, const comm_estimate *e, double size, pdb_sol sol,
                          const comm_price *price, op_result *out, op_refusal *why) {
    double ms = sol(price, &size);
    if (ms <= 0.0) {
        *out = op_formula(ms, OP_SRC_empirical);
        return OP_OK;
    }
    if (!e->util)
        return op_refuse(why, OP_NO_EMPIRICAL, "%s", e->reason);
    return op_estimate(b, e->util, &size, ms, 1.0, e->tier, out, why);
}
