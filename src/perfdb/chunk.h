/* Chunks of a dataset as the file stores them. Private to perfdb. */
#ifndef AICFG_PERFDB_CHUNK_H
#define AICFG_PERFDB_CHUNK_H

#include "base/base.h"

/* The filters of the format, in the order in which they were applied. */
enum { PDB_SHUFFLE, PDB_DEFLATE, PDB_FLETCHER32, PDB_FILTERS };
typedef struct pdb_filters {
    bool used[PDB_FILTERS];
} pdb_filters;

/* Decodes a chunk of `cells` cells of `width` bytes into out (cells x width bytes). skipped: bit i set = the
 * i-th filter in use was left out for this chunk. False: damaged. */
bool pdb_chunk_decode(const pdb_filters *filters, uint32_t skipped, const uint8_t *stored, size_t size,
                      size_t cells, size_t width, uint8_t *out);

#endif
