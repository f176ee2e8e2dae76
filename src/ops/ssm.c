/* What Mamba2, Gdn and Kda share: a measured curve that bytes stand in for (docs/model/ssm.md). */
#include "ops/ssm_internal.h"

#include <stdlib.h>

ssm_kernel ssm_by_bytes(const op_bound *b, ssm_bytes bytes, const void *ctx) {
    return (ssm_kernel){.bytes = bytes, .ctx = ctx, .mem_bw = op_max(b->system->mem_bw, 1.0)};
}

/* ---- choosing the slice -------------------------------------------------------------------------------- */

op_key ssm_key(const pdb_view *view, const char *kernel, const char *phase) {
    op_key key = {0};
    op_key_text(&key, view, kernel);
    op_key_text(&key, view, phase);
    return key;
}

static bool same_model(const pdb_slice *s, const op_key *key) {
    for (int c = 0; c <= SSM_D_MODEL; c++)
        if (s->cat[c] != key->value[c])
            return false;
    return true;
}

static uint64_t apart(uint64_t a, uint64_t b) {
    return a > b ? a - b : b - a;
}

static bool nearer(const pdb_slice *a, const pdb_slice *b, const op_key *key, int closest) {
    if (closest >= 0) {
        uint64_t da = apart(a->cat[closest], key->value[closest]),
                 db = apart(b->cat[closest], key->value[closest]);
        if (da != db)
            return da < db;
    }
    int c = SSM_D_MODEL;
    while (c < key->n - 1 && a->cat[c] == b->cat[c])
        c++;
    return a->cat[c] < b->cat[c];
}

const pdb_slice *ssm_like(const pdb_table *t, const op_key *key, int closest) {
    const pdb_slice *best = NULL;
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        if (same_model(s, key) && (!best || nearer(s, best, key, closest)))
            best = s;
    }
    return best;
}

/* ---- answering ----------------------------------------------------------------------------------------- */

static double price(const ssm_kernel *k, double batch, double s) {
    return k->bytes(k->ctx, batch, s) / k->mem_bw * 1000.0;
}

typedef struct at_length {
    const ssm_kernel *kernel;
    double s;
} at_length;

/* c = (batch) */
static double batch_sol(const void *ctx, const double *c) {
    const at_length *at = ctx;
    return price(at->kernel, c[0], at->s);
}

/* c = (batch, sequence) */
static double shape_sol(const void *ctx, const double *c) {
    const at_length *at = ctx;
    return price(at->kernel, c[0], c[1]);
}

static bool measured(const ssm_kernel *k, double batch, double s, pdb_value *out) {
    if (!k->grid)
        return false;
    at_length at = {k, s};
    double c[2] = {batch, s};
    if (k->grid->axes == 1)
        return pdb_grid_query(k->grid, c, -1, batch_sol, &at, out) == PDB_HIT;
    return s > 0.0 && pdb_grid_query(k->grid, c, -1, shape_sol, &at, out) == PDB_HIT;
}

op_result ssm_answer(const ssm_kernel *k, double batch, double s) {
    pdb_value v;
    if (k->part)
        return op_zero(OP_SRC_silicon);
    if (measured(k, batch, s, &v))
        return op_measured(&v);
    return op_sol_pair(0.0, price(k, batch, s));
}
