/* Memory for as long as one function works. Private to perfdb.
 *
 * Building a table takes megabytes for moments: columns on their way out of the file, keys while they are
 * sorted. From the heap, each would lie somewhere else, since smaller things settle where the last one was,
 * and touching memory for the first time costs more than what is done with it. So each thread has a stack of
 * its own, that stays. */
#ifndef AICFG_PERFDB_SCRATCH_H
#define AICFG_PERFDB_SCRATCH_H

#include "base/base.h"

/* A level of the thread's stack: from begin to end, by the same thread; levels nest. */
typedef struct pdb_scratch {
    struct pdb_scratch_block *block; /* the top when it began */
    size_t used;
} pdb_scratch;

pdb_scratch pdb_scratch_begin(void);
/* Uninitialised, aligned for any type, until the innermost level ends; may be of 0 bytes. */
void *pdb_scratch_take(size_t count, size_t size);
void pdb_scratch_end(const pdb_scratch *s);

#endif
