/* What deployments of one run share. Private to serving. */
#ifndef AICFG_SERVING_SHARED_H
#define AICFG_SERVING_SHARED_H

#include "serving/internal.h"

/* What was made between two renewals; it stays while a deployment holds it. */
typedef struct srv_epoch srv_epoch;
void srv_epoch_release(srv_epoch *e); /* NULL is allowed */

/* What one compilation shares in: an epoch, which its deployment holds, and memory of it. Zeros: nothing. */
typedef struct srv_lease {
    srv_shared *shared;
    srv_epoch *epoch;
    aic_arena *arena;
    size_t had; /* bytes of the arena at first */
} srv_lease;
srv_lease srv_lease_take(srv_shared *s); /* s may be NULL */
void srv_lease_end(srv_lease *l);        /* the epoch stays held */

/* Op lists of d->model into d->built, outlined; false: refused in d->why, or with err a broken file. */
bool srv_shared_build(const srv_lease *l, const mdl_request *ask, srv_deployment *d, srv_lists *out,
                      aic_error *err);
/* Gives an attention op its lanes. */
void srv_shared_put_lanes(const srv_lease *l, const srv_lanes *lanes, srv_op *o);
/* op_bind of an outlined op. */
void srv_shared_bind(const srv_lease *l, op_binder *binder, srv_op *o);
const srv_verdicts *srv_shared_verdicts(const srv_lease *l, const srv_memory *m, const pdb_system *system,
                                        aic_arena *a);

#endif
