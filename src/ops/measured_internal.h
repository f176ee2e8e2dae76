/* Kinds declared in data: one measured table, a key, axes, a roofline (docs/formats/measured_op.md).
 *
 * measured_read.c makes a measured_kind from a document, measured_names.c evaluates its expressions,
 * measured.c answers with it, kinds.c keeps all kinds of a program.
 */
#ifndef AICFG_OPS_MEASURED_INTERNAL_H
#define AICFG_OPS_MEASURED_INTERNAL_H

#include "ops/internal.h"

#define MEASURED_PAGE "measured"

enum { MEASURED_MAX_PARAMS = 48, MEASURED_MAX_LETS = 32 };

typedef struct measured_let {
    const char *name;
    const aic_expr *value;
} measured_let;

typedef struct measured_kind {
    op_desc desc;       /* family points back here */
    const aic_node *at; /* where it is declared */
    size_t n_lets;
    measured_let lets[MEASURED_MAX_LETS]; /* in order; each may use those before it */
    pdb_schema schema;
    const pdb_schema *schemas[2];
    const aic_expr *key[PDB_MAX_CATS]; /* what a category must be: a text or an integer as the schema says */
    const char *axis[PDB_MAX_AXES];    /* name in the roofline */
    const aic_expr *place[PDB_MAX_AXES]; /* coordinate of a query */
    int sqrt_axis;                       /* blended in square-root space, or -1 */
    const aic_expr *math, *mem;          /* ms at table coordinates; NULL = none */
    const aic_expr *weights;             /* byte; NULL = none */
} measured_kind;

/* An op's parameters are one slot of 8 bytes per field, then its weight bytes. */
enum { MEASURED_SLOT = 8 };
static inline double *measured_weight(const op *o) {
    return (double *)(void *)((char *)o->params + o->desc->n_fields * MEASURED_SLOT);
}

/* ---- names and values (measured_names.c) --------------------------------------------------------------- */

/* What an expression may use, as bits; every place sees the parameters. */
enum { MEASURED_SEES_LETS = 1, MEASURED_SEES_SYSTEM = 2, MEASURED_SEES_INPUTS = 4, MEASURED_SEES_AXES = 8 };

/* Is the name one that every kind has: an input, a figure of the system, or a field of every op? */
bool measured_reserved(const char *name);
const aic_expr *measured_compile(const measured_kind *k, aic_arena *a, const aic_node *n, unsigned sees,
                                 aic_error *err);
/* OP_READS_* bits of the inputs that an expression uses. */
unsigned measured_reads(const measured_kind *k, const aic_expr *e);

/* Values while an expression is evaluated; what it may not use may be NULL. */
typedef struct measured_frame {
    const measured_kind *kind;
    const aic_value *params, *lets;
    const pdb_view *view;
    const op_shape *shape;
    const double *axes;
    aic_arena *arena;   /* for texts that expressions make; NULL while querying */
    pdb_quant no_flops; /* set when flops() met a mode that the spec sheet lacks */
} measured_frame;

/* Parameters of an op as values; out has room for n_fields. */
void measured_params(const op *o, aic_value *out);
bool measured_eval(const aic_expr *e, measured_frame *f, aic_value *out, aic_error *err);
/* A number, finite. */
bool measured_number(const aic_expr *e, measured_frame *f, double *out, aic_error *err);

/* ---- reading (measured_read.c), answering (measured.c) ------------------------------------------------- */

/* The kind of one entry of `kinds:`; NULL with an error at its position. */
/* definition: digest of the file, kept. */
const measured_kind *measured_read(aic_arena *a, const aic_node *name, const aic_node *body,
                                   const char *definition, aic_error *err);

bool measured_check(const op *o, aic_error *err);
void measured_bind(op_binder *binder, op_bound *b);
void measured_bind_estimate(op_binder *binder, op_bound *b);
op_class measured_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                        op_refusal *why);
double measured_weight_bytes(const op *o);

#endif
