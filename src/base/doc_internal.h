/* Shared by the YAML and the JSON reader. */
#ifndef AICFG_BASE_DOC_INTERNAL_H
#define AICFG_BASE_DOC_INTERNAL_H

#include "base/doc.h"
#include "base/text.h"

enum { AIC_DOC_MAX_BYTES = 16 << 20 };

/* The whole file into text (which the caller frees), within AIC_DOC_MAX_BYTES. */
bool aic_doc_read_file(const char *path, aic_buf *text, aic_error *err);

/* A growing list of node pointers while a list or mapping is read; moves to the arena when it is whole. */
typedef struct aic_node_list {
    aic_node **nodes;
    size_t count, cap;
} aic_node_list;
void aic_node_list_add(aic_node_list *l, aic_node *n);
aic_node **aic_node_list_take(aic_node_list *l, aic_arena *a); /* frees the growing memory */

#endif
