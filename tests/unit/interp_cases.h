/* Synthetic tables and queries (tests/data/interp_synth_cases.jsonl.gz), answered with the primitives alone.
 *
 * Families: gemm (gemm_dtype, m, n, k) with computescale and scale_matrix (m, k) below fp8_static; grid1
 * (batch), grid2 (batch, seq), grid3sqrt (heads, seq, batch; square roots on seq). The ops' own arithmetic
 * stands here in the shortest form that uses the primitives as the ops do.
 */
#ifndef AICFG_TESTS_INTERP_CASES_H
#define AICFG_TESTS_INTERP_CASES_H

#include "json_lines.h"
#include "perfdb/perfdb.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MEM_BW 7.7e12
static const double tc_flops[] = {2.25e15, 4.5e15, 4.5e15, 9e15};

typedef struct cases {
    aic_arena *arena;
    const char *family, *mode;     /* queries looked at; mode NULL = all */
    const aic_node *tables[3][64]; /* by role and id: the family's own, computescale, scale_matrix */
    size_t asked, wrong, missed;   /* missed: queries refused as they should be */
} cases;

/* ---- SOL ------------------------------------------------------------------------------------- */

static double sol_stream(const void *ctx, const double *c) { /* grid1, grid2 */
    double x = c[0] * (*(const int *)ctx == 2 ? c[1] : 1), cc = 8192;
    return (x * cc * 5 * 2 + x * cc * 2) / MEM_BW * 1000;
}

static double sol_attention(const void *ctx, const double *c) { /* grid3sqrt */
    (void)ctx;
    double n = c[0], s = c[1], b = c[2], h = 128;
    double math = 2 * b * s * s * n * h * 2 / tc_flops[PDB_BFLOAT16] * 1000;
    double mem = 2 * b * (3 * n * s * h + n * s * h) / MEM_BW * 1000;
    return math > mem ? math : mem;
}

static double sol_gemm(const void *ctx, const double *c) { /* ctx: pdb_quant_info; c: m, n, k */
    const pdb_quant_info *q = ctx;
    double m = c[0], n = c[1], k = c[2];
    double math = 2 * m * n * k / tc_flops[q->dtype] * 1000;
    double mem = q->bytes * (m * n + m * k + n * k) / MEM_BW * 1000;
    return math > mem ? math : mem;
}

static double sol_scale(const void *ctx, const double *c) { /* ctx: bytes per cell; c: m, k */
    return *(const double *)ctx * c[0] * c[1] / MEM_BW * 1000;
}

/* ---- tables ---------------------------------------------------------------------------------- */

typedef struct rows {
    size_t n;
    uint64_t *coords;
    pdb_leaf *leaves;
} rows;

/* Rows of a table with `axes` keys after an optional leading name; quant NULL = no such column. */
static rows rows_of(aic_arena *a, const aic_node *table, int axes, const char *quant) {
    rows r = {0};
    const aic_node *list = table ? aic_map_get(table, "rows") : NULL;
    size_t n = list ? list->count : 0, skip = quant ? 1 : 0;
    r.coords = aic_arena_alloc(a, n * (size_t)axes, sizeof *r.coords);
    r.leaves = aic_arena_alloc(a, n, sizeof *r.leaves);
    for (size_t i = 0; i < n; i++) {
        aic_node *const *cell = list->items[i]->items;
        if (quant && strcmp(cell[0]->text, quant) != 0)
            continue;
        for (int k = 0; k < axes; k++)
            r.coords[r.n * (size_t)axes + (size_t)k] = (uint64_t)cell[skip + (size_t)k]->i;
        double latency = cell[skip + (size_t)axes]->r, power = cell[skip + (size_t)axes + 1]->r;
        r.leaves[r.n++] = (pdb_leaf){latency, power, power * latency};
    }
    return r;
}

static void raise_to_sol(rows *r, const pdb_quant_info *q) {
    for (size_t i = 0; i < r->n; i++) {
        double c[3] = {(double)r->coords[3 * i], (double)r->coords[3 * i + 1], (double)r->coords[3 * i + 2]};
        double least = sol_gemm(q, c);
        if (least > r->leaves[i].latency)
            r->leaves[i].latency = least;
    }
}

/* Leaves of a grid as flat coordinates and latencies, in lexicographic order. */
static size_t flatten(aic_arena *a, const pdb_grid *g, double **coords, double **latency) {
    size_t n = g->n[g->axes - 1], axes = (size_t)g->axes;
    *coords = aic_arena_alloc(a, n * axes, sizeof **coords);
    *latency = aic_arena_alloc(a, n, sizeof **latency);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = i;
        for (size_t k = axes; k-- > 0;) {
            if (k < axes - 1) { /* parent: the last node whose children start at or before */
                uint32_t parent = 0;
                while (parent + 1 < g->n[k] && g->first[k][parent + 1] <= node)
                    parent++;
                node = parent;
            }
            (*coords)[i * axes + k] = (double)g->keys[k][node];
        }
        (*latency)[i] = g->latency[i];
    }
    return n;
}

/* ---- answers --------------------------------------------------------------------------------- */

typedef struct reply {
    bool hit;
    double latency, energy;
} reply;

static void check(cases *t, const aic_node *query, reply r) {
    const aic_node *want = aic_map_get(query, "result");
    t->asked++;
    if (!want) {
        t->wrong += r.hit;
        t->missed++;
        return;
    }
    double latency = want->items[0]->r, energy = want->items[1]->r;
    if (r.hit && memcmp(&latency, &r.latency, sizeof latency) == 0 &&
        memcmp(&energy, &r.energy, sizeof energy) == 0)
        return;
    if (t->wrong++ < 10)
        print_error("%s table %.0f: %s %.17g %.17g, expected %.17g %.17g\n", t->family,
                    json_real(query, "id"), r.hit ? "got" : "missed", r.latency, r.energy, latency, energy);
}

static reply ask_grid(cases *t, const aic_node *query) {
    static const int one = 1, two = 2;
    int axes = t->family[4] - '0';
    rows r = rows_of(t->arena, t->tables[0][aic_map_get(query, "id")->i], axes, NULL);
    const pdb_grid *g = pdb_grid_build(t->arena, axes, r.n, r.coords, r.leaves, NULL, NULL);
    const aic_node *at = aic_map_get(query, "coords");
    double c[3] = {0};
    for (size_t i = 0; i < at->count; i++)
        c[i] = at->items[i]->r;
    pdb_sol sol = axes == 3 ? sol_attention : sol_stream;
    const void *ctx = axes == 1 ? &one : &two;
    pdb_value v;
    if (pdb_grid_query(g, c, axes == 3 ? 1 : -1, sol, ctx, &v) == PDB_HIT)
        return (reply){true, v.latency, v.energy};
    return (reply){axes < 3, sol(ctx, c), 0}; /* the op behind grid1 and grid2 answers a miss by SOL */
}

/* ---- gemm ------------------------------------------------------------------------------------ */

static const char *stored_name(const char *quant) {
    return strcmp(quant, "fp8_static") == 0 ? "fp8" : quant;
}

static const pdb_quant_info *gemm_quant(const char *name) {
    pdb_quant q = pdb_quant_parse(name, PDB_GEMM);
    return q == PDB_Q_UNSET ? NULL : pdb_quant_get(q);
}

static reply gemm_silicon(cases *t, int64_t id, const pdb_quant_info *q, const double *c) {
    rows r = rows_of(t->arena, t->tables[0][id], 3, stored_name(q->name));
    raise_to_sol(&r, q);
    const pdb_sites *s = pdb_sites_build(t->arena, r.n, r.coords, r.leaves, NULL);
    pdb_value v = {0}, aimed = {0};
    pdb_miss miss = pdb_sites_query(s, c, false, sol_gemm, q, &v);
    const pdb_site_aim *aim =
        pdb_sites_aim(t->arena, s, c[1], c[2]); /* the prepared form of the same query */
    assert_int_equal(pdb_sites_query_aimed(aim, c[0], sol_gemm, q, &aimed), miss);
    assert_memory_equal(&v, &aimed, offsetof(pdb_value, how));
    assert_int_equal(v.how, aimed.how);
    return (reply){miss == PDB_HIT, v.latency, v.energy};
}

/* Utilisation of the rows of `stored` with the SOL of `priced`. */
static bool gemm_util(cases *t, int64_t id, const pdb_quant_info *stored, const pdb_quant_info *priced,
                      const double *c, double *util) {
    rows r = rows_of(t->arena, t->tables[0][id], 3, stored_name(stored->name));
    if (!r.n)
        return false;
    raise_to_sol(&r, stored);
    double *coords, *latency;
    pdb_origins from;
    size_t n = flatten(t->arena, pdb_grid_build(t->arena, 3, r.n, r.coords, r.leaves, NULL, NULL), &coords,
                       &latency);
    return pdb_util_at(pdb_util_build(t->arena, 3, n, coords, latency, NULL, sol_gemm, priced), c, util,
                       &from);
}

/* Quants of a table in order of first appearance, those of a known name. */
static size_t quants_seen(const aic_node *table, const pdb_quant_info **out) {
    const aic_node *list = table ? aic_map_get(table, "rows") : NULL;
    size_t n = 0;
    for (size_t i = 0; list && i < list->count; i++) {
        const pdb_quant_info *q = gemm_quant(list->items[i]->items[0]->text);
        size_t k = 0;
        while (k < n && out[k] != q)
            k++;
        if (q && k == n)
            out[n++] = q;
    }
    return n;
}

static double level(const pdb_quant_info *q) {
    static const struct {
        double bytes;
        int compute;
        double level;
    } levels[] = {{2, 1, 0.70},   {1, 1, 0.55}, {0.5625, 1, 0.45}, {0.5, 1, 0.45},   {1, 2, 0.45},
                  {0.5, 2, 0.35}, {1, 4, 0.30}, {0.5, 4, 0.30},    {0.5625, 4, 0.30}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (levels[i].bytes == q->bytes && levels[i].compute == q->compute)
            return levels[i].level;
    return 0.45;
}

/* Estimation ladder: own rows, one quant of the same profile, quants of other profiles by nearness. */
static reply gemm_empirical(cases *t, int64_t id, const pdb_quant_info *q, const double *c) {
    const pdb_quant_info *seen[32], *own = gemm_quant(stored_name(q->name));
    size_t n = quants_seen(t->tables[0][id], seen);
    double util, scale = 1.0;
    bool found = gemm_util(t, id, own, own, c, &util);
    for (size_t i = 0; !found && i < n; i++) {
        if (seen[i] == own || seen[i]->bytes != own->bytes || seen[i]->compute != own->compute)
            continue;
        found = gemm_util(t, id, seen[i], own, c, &util);
        break;
    }
    bool tried[32] = {false};
    for (size_t round = 0; !found && round < n; round++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++) {
            bool same = seen[i]->bytes == own->bytes && seen[i]->compute == own->compute;
            if (tried[i] || same)
                continue;
            int dc = abs(seen[i]->compute - own->compute),
                bc = best < n ? abs(seen[best]->compute - own->compute) : 0;
            double dm = fabs(seen[i]->bytes - own->bytes),
                   bm = best < n ? fabs(seen[best]->bytes - own->bytes) : 0;
            if (best == n || dc < bc || (dc == bc && dm < bm))
                best = i;
        }
        if (best == n)
            break;
        tried[best] = true;
        found = gemm_util(t, id, seen[best], seen[best], c, &util);
        scale = level(own) / level(seen[best]);
    }
    if (!found || !(util > 0))
        return (reply){0};
    return (reply){true, sol_gemm(own, c) / (util * scale), 0};
}

static double clamped(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

/* compute_scale (which = 1) and scale_matrix (which = 2), measured or estimated. */
static reply scale_part(cases *t, int64_t id, int which, bool empirical, double m, double k) {
    double cell = which == 1 ? 2 : 3, c[2] = {m, k};
    rows r = rows_of(t->arena, t->tables[which][id], 2, "fp8");
    const pdb_grid *g = pdb_grid_build(t->arena, 2, r.n, r.coords, r.leaves, NULL, NULL);
    if (!r.n)
        return (reply){0};
    if (empirical) {
        double *coords, *latency, out, util;
        pdb_origins from;
        size_t n = flatten(t->arena, g, &coords, &latency);
        if (which == 1)
            return pdb_delta_at(pdb_delta_build(t->arena, 2, n, coords, latency, NULL), c, sol_scale, &cell,
                                &out, &from)
                       ? (reply){true, out, 0}
                       : (reply){0};
        const pdb_util *u = pdb_util_build(t->arena, 2, n, coords, latency, NULL, sol_scale, &cell);
        return pdb_util_at(u, c, &util, &from) && util > 0
                   ? (reply){true, sol_scale(&cell, c) / (util * 1.0), 0}
                   : (reply){0};
    }
    double k_lo = INFINITY, k_hi = 0;
    for (uint32_t i = 0; i < g->n[1]; i++) {
        k_lo = fmin(k_lo, (double)g->keys[1][i]);
        k_hi = fmax(k_hi, (double)g->keys[1][i]);
    }
    double at[2] = {clamped(m, (double)g->keys[0][0], (double)g->keys[0][g->n[0] - 1]),
                    clamped(k, k_lo, k_hi)};
    pdb_value v;
    if (pdb_grid_query(g, at, -1, sol_scale, &cell, &v) != PDB_HIT)
        return (reply){0};
    double here = sol_scale(&cell, c), there = sol_scale(&cell, at);
    double carry = which == 2 && (at[0] != m || at[1] != k) && here > 0 && there > 0 ? here / there : 1.0;
    return (reply){true, v.latency * carry, v.energy * carry};
}

static reply ask_gemm(cases *t, const aic_node *query) {
    const pdb_quant_info *q = gemm_quant(json_text(query, "quant"));
    const char *mode = json_text(query, "mode");
    double c[3] = {json_real(query, "m"), json_real(query, "n"), json_real(query, "k")};
    int64_t id = aic_map_get(query, "id")->i;
    bool hybrid = strcmp(mode, "HYBRID") == 0, empirical = strcmp(mode, "EMPIRICAL") == 0;
    reply r = empirical ? gemm_empirical(t, id, q, c) : gemm_silicon(t, id, q, c);
    if (!r.hit && hybrid)
        r = gemm_empirical(t, id, q, c);
    if (!r.hit || strcmp(q->name, "fp8_static") != 0)
        return r;
    for (int which = 1; which <= (json_bool(query, "low") ? 2 : 1); which++) {
        reply s = scale_part(t, id, which, empirical, c[0], c[2]);
        if (!s.hit && hybrid)
            s = scale_part(t, id, which, true, c[0], c[2]);
        if (!s.hit)
            return s;
        r.latency -= s.latency;
        r.energy -= s.energy;
    }
    r.latency = fmax(r.latency, sol_gemm(gemm_quant("fp8"), c));
    r.energy = fmax(r.energy, 0);
    return r;
}

/* ---- running --------------------------------------------------------------------------------- */

static void take_case(void *ctx, const aic_node *line) {
    static const char *const scales[] = {NULL, "computescale", "scale_matrix"};
    cases *t = ctx;
    const char *kind = json_text(line, "kind"), *family = json_text(line, "family");
    if (!family)
        return;
    bool own = strcmp(family, t->family) == 0;
    if (strcmp(kind, "table") == 0) {
        int64_t id = aic_map_get(line, "id")->i;
        for (int role = 0; role < 3; role++)
            if (role ? strcmp(family, scales[role]) == 0 : own)
                t->tables[role][id] = line;
        return;
    }
    if (own && (!t->mode || strcmp(json_text(line, "mode"), t->mode) == 0))
        check(t, line, strcmp(family, "gemm") == 0 ? ask_gemm(t, line) : ask_grid(t, line));
}

static void run_cases(cases *t, const char *family, const char *mode) {
    *t = (cases){.arena = aic_arena_new(), .family = family, .mode = mode};
    assert_true(json_lines(t->arena, TEST_DATA_DIR "/interp_synth_cases.jsonl.gz", take_case, t) > 0);
    aic_arena_free(t->arena);
}

#endif
