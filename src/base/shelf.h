/* Shelf: a table that many threads fill and search without locks, and that only ever grows.
 *
 * What is put there stays as it is and where it is until the shelf is freed, so that what was found may be
 * used without holding anything. The first value under a key stands; whoever comes second is told. */
#ifndef AICFG_BASE_SHELF_H
#define AICFG_BASE_SHELF_H

#include "base/mem.h"

typedef struct aic_shelf aic_shelf;
/* About as many values as are expected; more make it slower, not wrong. */
aic_shelf *aic_shelf_new(size_t expected);
void aic_shelf_free(aic_shelf *s); /* NULL is allowed; values are their owners' */
/* The value under the key, NULL when there is none yet. */
const void *aic_shelf_find(aic_shelf *s, const void *key, size_t len);
/* Puts a value (not NULL) under the key and returns the one that stands there: this one, or what another
 * thread put first. The shelf's copy of the key lies in the arena, which must live as long. */
const void *aic_shelf_put(aic_shelf *s, aic_arena *a, const void *key, size_t len, const void *value);

#endif
