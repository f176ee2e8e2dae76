/* Decode walks of a block as lanes over one list of KV positions. Private to serving. */
#ifndef AICFG_SERVING_STEPS_H
#define AICFG_SERVING_STEPS_H

#include "serving/folded.h"

/* Walks of one (batch, isl): the longest takes positions at .. at + steps - 1, the others fewer of them. */
typedef struct srv_lane {
    uint32_t batch;              /* its place in batches */
    uint32_t first, end;         /* walks */
    uint32_t at, steps, strides; /* strides: the steps that stand for a whole one */
} srv_lane;

/* A walk: so many whole strides, then a step that stands for `left` tokens, 0 = none. */
typedef struct srv_stretch {
    uint32_t strides, left;
} srv_stretch;

/* Positions from .. to - 1. */
typedef struct srv_range {
    uint32_t from, to;
} srv_range;

/* What the lanes of one batch come to. */
typedef struct srv_batch {
    uint32_t batch;
    uint32_t first, end; /* lanes */
    size_t n_ranges;
    srv_range *ranges; /* exactly the positions of its lanes, each once; none leaves its stretch */
} srv_batch;

typedef struct srv_steps {
    size_t n_positions, n_lanes, n_walks, n_batches;
    uint32_t *positions; /* ascending stretches, a stride apart within; a place between two is nobody's */
    srv_lane *lanes;     /* by (batch, isl) */
    srv_stretch *walks;  /* lane by lane, by output length */
    srv_batch *batches;  /* ascending */
} srv_steps;

/* keys: n walks by (batch << 32 | isl, osl), sorted; walk_of[item] is the walk of each. False: too many
 * positions to stand in columns. */
bool srv_lay_steps(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n, srv_steps *out,
                   uint32_t *walk_of);
/* A fan of the positions; false: the op has none. */
bool srv_open_fan(const srv_deployment *d, srv_block *b, const srv_steps *s, const op_bound *op, op_fan *out);
/* Asks it for all positions of a batch, repeat included; who: what its answers are shared by, before the
 * repeat, NULL = they are not. False: some step has no measured answer. */
bool srv_ask_fan(const srv_deployment *d, srv_block *b, const srv_steps *s, const srv_batch *batch,
                 const srv_identity *who, op_fan *fan);

#endif
