/* FpmForward: measured forward passes of whole models (docs/model/fpm.md). */
#ifndef AICFG_OPS_FPM_INTERNAL_H
#define AICFG_OPS_FPM_INTERNAL_H

#include "ops/internal.h"

#define FPM_PAGE "fpm"

typedef enum fpm_phase { FPM_PREFILL, FPM_DECODE, FPM_PHASES } fpm_phase;
extern const char *const fpm_phase_names[]; /* NULL after the last */

/* Coordinates of a pass; of a point and of a query. total_prefill is 0 in decode. */
typedef enum fpm_axis { FPM_BATCH, FPM_TOTAL_PREFILL, FPM_TOTAL_KV, FPM_AXES } fpm_axis;
extern const char *const fpm_axis_names[FPM_AXES]; /* their columns */

/* ---- measurements (fpm_table.c) ------------------------------------------------------------------------ */

/* X(name): what tells the cells of a model apart, in the order of match_identity. */
#define FPM_IDENTITY(X)                                                                                      \
    X(gemm_quant_mode)                                                                                       \
    X(moe_quant_mode)                                                                                        \
    X(fmha_quant_mode)                                                                                       \
    X(comm_quant_mode)                                                                                       \
    X(kv_cache_dtype)                                                                                        \
    X(tp)                                                                                                    \
    X(pp)                                                                                                    \
    X(dp)                                                                                                    \
    X(moe_tp)                                                                                                \
    X(moe_ep)                                                                                                \
    X(cp)                                                                                                    \
    X(moe_backend)                                                                                           \
    X(attention_backend)                                                                                     \
    X(enable_wideep)                                                                                         \
    X(enable_eplb)
enum {
#define FPM_IDENTITY_ENUM(name) FPM_ID_##name,
    FPM_IDENTITY(FPM_IDENTITY_ENUM)
#undef FPM_IDENTITY_ENUM
        FPM_IDS
};
extern const char *const fpm_identity_names[FPM_IDS];

/* The measured passes of one phase of a cell. */
typedef struct fpm_points {
    size_t count;
    uint64_t low[FPM_AXES], high[FPM_AXES]; /* measured range of every axis */
    /* prefill: shapes (batch, total_kv) with curves over total_prefill; decode: shapes (batch, 0) with curves
     * over total_kv. Ascending. */
    const pdb_sites *sites;
} fpm_points;

typedef struct fpm_cell {
    const char *model;
    const char *identity[FPM_IDS]; /* as texts: decimal numbers, True and False */
    fpm_points points[FPM_PHASES];
    uint64_t flat_from; /* batch above which prefill no longer depends on the batch; 0 = not known to be so */
} fpm_cell;

typedef struct fpm_table {
    size_t count;
    const fpm_cell *cells;
} fpm_table;

extern const pdb_schema fpm_schema;
/* The table of a view, read on first use. NULL: *why says what is wrong with it, or that there is none. */
const fpm_table *fpm_table_get(const pdb_view *view, const char **why);

/* ---- speed of light of the model's ops (fpm_sol.c) ----------------------------------------------------- */

typedef struct fpm_roofline fpm_roofline;
/* Reads the figures of sol_ops. Never NULL; what it cannot price is remembered. */
const fpm_roofline *fpm_roofline_make(aic_arena *a, const pdb_system *sys, const op_list *sol_ops);
/* Name of the first op that has no price, or NULL: then fpm_roofline_ms is NaN. */
const char *fpm_roofline_gap(const fpm_roofline *r);
/* ms of one pass at real coordinates. */
double fpm_roofline_ms(const fpm_roofline *r, fpm_phase phase, const double at[FPM_AXES]);

#endif
