/* Terms of the speed of light of whole passes, shared by fpm_sol.c and fpm_sol_comm.c (docs/model/fpm.md).
 *
 * An op becomes a term: its figures, read by wire name once, and a function of the coordinates.
 */
#ifndef AICFG_OPS_FPM_SOL_H
#define AICFG_OPS_FPM_SOL_H

#include "ops/fpm_internal.h"

typedef struct fpm_coordinates {
    double x, batch, s, prefix; /* tokens, requests, new tokens per request, cached ones */
} fpm_coordinates;

typedef struct fpm_term fpm_term;
typedef double (*fpm_price)(const fpm_term *t, const fpm_coordinates *at); /* ms before repeat */

struct fpm_term {
    fpm_price price;
    double repeat;
    bool logits; /* sees one token per request */
    const pdb_system *sys;
    const void *figures; /* the kind's own */
};

typedef struct fpm_maker {
    aic_arena *arena;
    const pdb_system *sys;
    const op *o;     /* being read */
    fpm_term *t;     /* being made */
    const char *gap; /* name of the first op without a price, or NULL */
} fpm_maker;

/* A number or boolean of the op by its wire name; NaN for a name its kind does not have. */
double fpm_number(const fpm_maker *m, const char *name);
/* A text or the name of a choice; "" likewise. */
const char *fpm_text(const fpm_maker *m, const char *name);
pdb_quant fpm_mode(const fpm_maker *m, const char *name); /* bfloat16 likewise */
/* Gives the term its price and zeroed figures to fill. */
void *fpm_figures(fpm_maker *m, size_t size, fpm_price price);

static inline double fpm_at_least_1(double v) {
    return v > 1.0 ? v : 1.0;
}

/* Makers of terms; one that leaves the price unset says that there is none. */
void fpm_make_allreduce(fpm_maker *m);
void fpm_make_nccl(fpm_maker *m);
void fpm_make_p2p(fpm_maker *m);
void fpm_make_dispatch(fpm_maker *m);

#endif
