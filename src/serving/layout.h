/* What follows from the loads of a block alone: which points share a prefill, a walk, a step. The deployments
 * of a sweep mostly price one grid, so a block keeps what it found out for the grids it met last. Private to
 * serving. */
#ifndef AICFG_SERVING_LAYOUT_H
#define AICFG_SERVING_LAYOUT_H

#include "serving/steps.h"

/* Arrays are by live point unless it says otherwise. Parts are made when they are first asked for. */
typedef struct srv_layout {
    srv_scratch *memory; /* NULL: the block's, for one evaluation */
    uint64_t used;       /* when, by the block's clock; 0 = never */
    uint64_t number;     /* of the loads, 0 = none (srv_block_recall) */
    size_t n;
    uint32_t stride;
    uint32_t *loads; /* batch, isl, osl, prefix, n each: what it was made from */
    uint64_t same;   /* SRV_LOAD_BITS of the columns */
    srv_workload least, most;
    uint32_t *at, *line; /* of srv_live */
    size_t n_lines;

    /* Context: distinct shapes, by a load as walked that has it. */
    size_t n_shapes;
    uint32_t *shape_of; /* NULL: not made yet */
    srv_workload *shapes;

    /* Still walks, one for each (batch << 32, osl), ascending. */
    size_t n_still;
    uint32_t *still_of; /* NULL: not made yet */
    srv_key *still;

    /* Distinct isl + osl, tokens. */
    size_t n_lengths;
    uint32_t *length_of; /* NULL: not made yet */
    uint32_t *lengths;

    /* The steps of moving walks. */
    bool laid, fits; /* made; they stand in columns */
    srv_steps steps;
    uint32_t *walk_of;
} srv_layout;

typedef struct srv_layouts srv_layouts;
void srv_layouts_free(srv_layouts *l); /* NULL is allowed */
/* The layout of a block without images all of whose points are live, from before or a new one. */
srv_layout *srv_layout_find(srv_block *b, uint32_t stride);
/* Of whatever points are live, for one evaluation. */
srv_layout *srv_layout_once(srv_block *b, srv_live *l, uint32_t stride);

void srv_layout_context(srv_block *b, const srv_live *l);
void srv_layout_still(srv_block *b, const srv_live *l);
void srv_layout_steps(const srv_deployment *d, srv_block *b, const srv_live *l);
void srv_layout_lengths(srv_block *b, const srv_live *l);
/* Moving walks by (batch << 32 | isl, osl), sorted, for one evaluation. */
srv_key *srv_layout_walks(srv_block *b, const srv_live *l);

#endif
