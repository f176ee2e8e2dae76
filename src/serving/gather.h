/* What the live points of a block are gathered from, once its tables are priced. Private to serving. */
#ifndef AICFG_SERVING_GATHER_H
#define AICFG_SERVING_GATHER_H

#include "serving/folded.h"

/* The tables' columns are scaled in place before gathering. */
typedef struct srv_pieces {
    srv_folded encoder, context, decode[SRV_PARTS];
    const uint32_t *images_of;                     /* per live point that encodes */
    const uint32_t *shape_of, *walk_of[SRV_PARTS]; /* per live point */
    srv_sums *prefill;          /* sums of encoder and context: one for each that prefill_of names */
    const uint32_t *prefill_of; /* per live point */
    size_t n_frames;
    srv_folded frames;  /* per table of the still part: all rows of the phase, moving ones to be filled in */
    bool energy, basis; /* some table has one that is not 0; else the block's rows are left alone */
    bool cover[OP_COVERS]; /* likewise */
    bool gaps;             /* some table is refused */
} srv_pieces;

/* The sums of the live points, into their columns. Returns the ms with measured energy of each, NULL where no
 * op of the block has any. */
double *srv_gather_sums(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l);
/* Their rows, unless none are wanted. */
void srv_gather_rows(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l);

#endif
