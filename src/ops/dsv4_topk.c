/* The selection kernel of compressed sparse attention: side tables, and the correction of measured modules
 * (docs/model/dsv4.md, "Correction of the selection"). */
#include "ops/dsv4_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Rows that do not tell their heads are of no use. */
static bool admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)view;
    (void)schema;
    return row->cat[0] != 0;
}

const pdb_schema dsv4_calibration_schema = {
    .table = "dsv4_csa_topk_calib_perf",
    .cats = {{.column = "num_heads", .optional = true}, {.column = "score_mode", .text = true}},
    .n_cats = 2,
    .axes = {{.column = "batch_size"}, {.column = "isl"}, {.column = "step"}},
    .n_axes = 3,
    .admit = admit};

const pdb_schema dsv4_paged_schema = {
    .table = "dsv4_paged_mqa_logits_module_perf",
    .cats = {{.column = "num_heads"}, {.column = "tp_size"}},
    .n_cats = 2,
    .axes = {{.column = "step"}, {.column = "isl"}, {.column = "batch_size"}},
    .n_axes = 3};

const pdb_grid *dsv4_calibration(const pdb_view *view, uint32_t native_heads, const char *score_mode) {
    const pdb_table *t = pdb_table_get(view, &dsv4_calibration_schema, NULL);
    if (!t)
        return NULL;
    op_key key = {0};
    op_key_int(&key, native_heads);
    op_key_text(&key, view, score_mode);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    return s ? pdb_slice_grid(s) : NULL;
}

/* ---- differences --------------------------------------------------------------------------------------- */

static int compare(const double *a, const double *b) {
    for (int i = 0; i < 3; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* Where both ways are measured: how much slower the flat one is, 0 when it is not. */
static const pdb_grid *difference(aic_arena *a, const pdb_grid *flat, const pdb_grid *last) {
    uint32_t n = flat->n[2], m = last->n[2];
    double *x = aic_alloc(n, 3 * sizeof *x), *y = aic_alloc(m, 3 * sizeof *y);
    uint64_t *coords = aic_alloc(n, 3 * sizeof *coords);
    pdb_leaf *leaves = aic_calloc(n, sizeof *leaves);
    pdb_origins *from = aic_calloc(n, sizeof *from);
    size_t kept = 0;
    op_leaf_coords(flat, x);
    op_leaf_coords(last, y);
    for (uint32_t i = 0, j = 0; i < n; i++) {
        while (j < m && compare(y + 3 * j, x + 3 * i) < 0)
            j++;
        if (j == m || compare(y + 3 * j, x + 3 * i) != 0)
            continue;
        for (int k = 0; k < 3; k++)
            coords[3 * kept + (size_t)k] = (uint64_t)x[3 * i + (uint32_t)k];
        from[kept] = pdb_leaf_from(flat, i) | pdb_leaf_from(last, j);
        leaves[kept++].latency = op_max(0.0, flat->latency[i] - last->latency[j]);
    }
    const pdb_grid *g = kept ? pdb_grid_build(a, 3, kept, coords, leaves, from, NULL) : NULL;
    free(x);
    free(y);
    free(coords);
    free(leaves);
    free(from);
    return g;
}

typedef struct correction_key {
    uint64_t native_heads, decode;
} correction_key;

static const void *build(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    static const char *const modes[2][2] = {{"v1_flat", "v1_top_last"}, {"v2_flat", "v2_top_last"}};
    const correction_key *key = identity;
    const pdb_grid *flat = dsv4_calibration(view, (uint32_t)key->native_heads, modes[key->decode][0]),
                   *last = dsv4_calibration(view, (uint32_t)key->native_heads, modes[key->decode][1]);
    *why = "not measured";
    return flat && last ? difference(a, flat, last) : NULL;
}

const pdb_grid *dsv4_correction(const pdb_view *view, uint32_t native_heads, bool decode) {
    static const char identity;
    const correction_key key = {native_heads, decode};
    return pdb_derived_keyed(view, &identity, &key, sizeof key, build, NULL);
}

/* ---- between the points -------------------------------------------------------------------------------- */

static double blend(const pdb_grid *g, int level, uint32_t lo, uint32_t hi, const double *c,
                    pdb_origins *used);

static double value_at(const pdb_grid *g, int level, uint32_t at, const double *c, pdb_origins *used) {
    if (level < g->axes - 1)
        return blend(g, level + 1, g->first[level][at], g->first[level][at + 1], c, used);
    *used |= pdb_leaf_from(g, at);
    return g->latency[at];
}

/* Level by level; an end of the keys stands for what lies beyond it. */
static double blend(const pdb_grid *g, int level, uint32_t lo, uint32_t hi, const double *c,
                    pdb_origins *used) {
    const uint64_t *keys = g->keys[level];
    double x = c[level];
    uint32_t after = sparse_key_from(keys, lo, hi, x);
    if (after == hi)
        return value_at(g, level, hi - 1, c, used);
    if (after == lo || (double)keys[after] == x)
        return value_at(g, level, after, c, used);
    double from = (double)keys[after - 1], t = (x - from) / ((double)keys[after] - from);
    return value_at(g, level, after - 1, c, used) * (1.0 - t) + value_at(g, level, after, c, used) * t;
}

double dsv4_correction_at(const pdb_grid *g, double prefix, double tokens, double batch, pdb_origins *from) {
    const double c[3] = {batch, tokens, prefix};
    return op_max(blend(g, 0, 0, g->n[0], c, from), 0.0);
}
