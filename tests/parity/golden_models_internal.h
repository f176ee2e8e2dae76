/* Shared by the files that compare models with reference answers. */
#ifndef AICFG_TESTS_GOLDEN_MODELS_INTERNAL_H
#define AICFG_TESTS_GOLDEN_MODELS_INTERNAL_H

#include "models/internal.h"
#include "parity/golden_models.h"

/* A record while it is compared. */
typedef struct record {
    golden_models *g;
    const aic_node *n;
    size_t line;
    golden_count *count;
    bool failed;
    aic_arena *arena;
} record;

/* ---- golden_models.c ---- */

golden_count *count_of(golden_models *g, const char *what, const char *family);
void differs(record *r, const char *fmt, ...) AIC_PRINTF(2, 3); /* only the first of a record counts */
void skip(record *r, const char *why);
const mdl_model *get_model(record *r, const char *id);
/* Modes under the usual names; kv is the key of the KV mode. */
mdl_quants read_modes(const aic_node *n, const char *kv);
void compare_modes(record *r, const char *what, const mdl_quants *want, const mdl_quants *have);
/* The same condition was refused as in the reference's text (NULL = it did not refuse). */
void compare_refusal(record *r, const char *text, const op_refusal *why);

/* ---- golden_models_ops.c ---- */

void compare_ops(record *r);  /* {"type": "ops"}: one deployment without a database */
void compare_case(record *r); /* {"t": "ops" | "error"}: the same, other families, with an encoder */
void compare_spec(record *r); /* {"cfg": ...}: one deployment with a database */

/* ---- golden_models_images.c ---- */

void compare_images(record *r); /* {"t": "encoder"}: tokens, shares and memory of images */

/* ---- golden_models_nodes.c ---- */

void compare_choice(record *r); /* {"t": "comm_select"}: the exchange of a layout, by what is measured */

#endif
