/* The table of expert computation (docs/model/moe.md). */
#ifndef AICFG_OPS_MOE_TABLE_H
#define AICFG_OPS_MOE_TABLE_H

#include "ops/moe_internal.h"

/* The two tables in one file: values of the first category. */
enum { MOE_STANDARD, MOE_LOW_LATENCY };
/* Categories; six from MOE_CAT_SHAPE on: experts per token, experts, hidden, inter, tensor and expert
 * parallelism. The axis is the token count. */
enum { MOE_CAT_TABLE, MOE_CAT_QUANT, MOE_CAT_DISTRIBUTION, MOE_CAT_SHAPE, MOE_CAT_KERNEL = 9 };
extern const pdb_schema moe_schema;

/* What a curve is looked up by. */
typedef struct moe_wanted {
    pdb_quant quant;
    const char *distribution;
    moe_shape shape;
} moe_wanted;

/* Does a slice begin with the key's values? */
bool moe_slice_matches(const pdb_slice *s, const op_key *key);
/* The distribution under which a mode is looked up in one of the two tables: the wanted one or, when the mode
 * was never measured with it, "uniform". key: table, mode, distribution. False (key: the wanted one): the
 * mode has neither. */
bool moe_find_distribution(const op_bound *b, const pdb_table *t, uint64_t table, pdb_quant q,
                           const char *wanted, op_key *key);
/* The curve in one of the two tables, or NULL. key ends up as looked for. */
const pdb_grid *moe_find_curve(const op_bound *b, const pdb_table *t, uint64_t table, const moe_wanted *w,
                               op_key *key);

#endif
