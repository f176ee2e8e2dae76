/* GRID queries at many places of the last axis for many values of the one before
 * (docs/model/interpolation.md).
 *
 * Places are taken by the span: those between the same two keys of a curve are plain arithmetic on columns.
 * The answers are those of pdb_grid_query to the bit: the same blends in the same order, and beyond the
 * curves the same anchors.
 */
#include "perfdb/fan.h"
#include "perfdb/internal.h"
#include <string.h>

size_t pdb_fan_bytes(const pdb_grid *g, size_t n) {
    size_t each = sizeof(double) + (g->power ? sizeof(double) : 0) + (g->from ? sizeof(pdb_origins) : 0) + 1;
    size_t bytes = aic_mul(2, aic_mul(each, n)), word = sizeof(double);
    return aic_add(aic_add(bytes, word - 1) / word * word, sizeof(pdb_hold_lists));
}

static void lay_curves(pdb_fan *f, void *memory) {
    char *at = memory; /* wide columns first: each is aligned then */
    f->lists = aic_carve(&at, 1, sizeof *f->lists);
    pdb_hold_forget(f->lists);
    for (int i = 0; i < 2; i++)
        f->curves[i] = (pdb_fan_curve){.latency = aic_carve(&at, f->n, sizeof(double)),
                                       .power = f->g->power ? aic_carve(&at, f->n, sizeof(double)) : NULL};
    for (int i = 0; f->g->from && i < 2; i++)
        f->curves[i].from = aic_carve(&at, f->n, sizeof(pdb_origins));
    for (int i = 0; i < 2; i++)
        f->curves[i].meets = aic_carve(&at, f->n, 1);
}

bool pdb_fan_open(pdb_fan *f, const pdb_grid *g, const double *coords, const double *places, size_t n,
                  pdb_sol sol, const void *ctx, void *memory) {
    if (g->axes < 2 || g->n[0] == 0 || !g->real)
        return false;
    *f = (pdb_fan){.g = g, .sol = sol, .ctx = ctx, .hi = g->n[0], .n = n, .places = places};
    for (int level = 0; level < g->axes - 2; level++) {
        uint64_t key;
        uint32_t up;
        if (!pdb_whole_key(coords[level], &key))
            return false;
        up = pdb_after(g->keys[level], f->lo, f->hi, key);
        if (up == f->lo || g->keys[level][up - 1] != key)
            return false;
        f->at[level] = coords[level];
        f->lo = g->first[level][up - 1];
        f->hi = g->first[level][up];
    }
    lay_curves(f, memory);
    return true;
}

/* ---- curves ------------------------------------------------------------------------------------------ */

/* Places mostly ascend: looks a little further than the key above the last one before it searches. */
static uint32_t advance(const double *keys, uint32_t lo, uint32_t hi, uint32_t up, double c) {
    if (up > lo && !(keys[up - 1] <= c))
        return pdb_after_real(keys, lo, up, c);
    if (up < hi && keys[up] <= c && (++up == hi || keys[up] <= c))
        return pdb_after_real(keys, up, hi, c);
    return up;
}

/* One column at n places between two keys, whose leaves say `from` and `to`. */
AIC_WIDE static void pdb_fan_rise(const double *restrict c, size_t n, double low, double high, double from,
                                  double to, double *restrict out) {
    const double width = high - low, rise = to - from;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = from + rise * ((c[i] - low) / width);
}

/* Places i .. end - 1 lie between keys up - 1 and up, or i alone on the lower one. */
static void fill_span(const pdb_fan *f, pdb_fan_curve *to, size_t i, size_t end, uint32_t up, bool on_key) {
    const pdb_grid *g = f->g;
    const uint32_t at = up - 1;
    memset(to->meets + i, on_key ? PDB_FAN_ON_KEY : PDB_FAN_BETWEEN, end - i);
    for (size_t k = i; to->from && k < end; k++)
        to->from[k] = on_key ? g->from[at] : g->from[at] | g->from[up];
    if (on_key) {
        to->latency[i] = g->latency[at];
        if (to->power)
            to->power[i] = g->power[at];
        return;
    }
    const double *c = f->places + i, low = g->real[at], high = g->real[up];
    pdb_fan_rise(c, end - i, low, high, g->latency[at], g->latency[up], to->latency + i);
    if (to->power)
        pdb_fan_rise(c, end - i, low, high, g->power[at], g->power[up], to->power + i);
}

static void fill_outside(pdb_fan_curve *to, size_t i, size_t end) {
    memset(to->meets + i, PDB_FAN_OUTSIDE, end - i);
    memset(to->latency + i, 0, (end - i) * sizeof *to->latency);
    if (to->power)
        memset(to->power + i, 0, (end - i) * sizeof *to->power);
    if (to->from)
        memset(to->from + i, 0, (end - i) * sizeof *to->from);
}

static void make_curve(const pdb_fan *f, uint32_t key, pdb_fan_curve *to) {
    const pdb_grid *g = f->g;
    const uint32_t *first = g->first[g->axes - 2];
    const uint32_t lo = first[key], hi = first[key + 1];
    const double *keys = g->real, *c = f->places, last = keys[hi - 1];
    uint32_t up = lo;
    to->made = key + 1;
    for (size_t i = 0, end; i < f->n; i = end) {
        end = i + 1;
        up = advance(keys, lo, hi, up, c[i]);
        bool before = up == lo, on_key = !before && keys[up - 1] == c[i];
        if (before || (!on_key && up == hi)) {
            while (!before && end < f->n && c[end] > last)
                end++;
            fill_outside(to, i, end);
            continue;
        }
        while (!on_key && end < f->n && c[end] > keys[up - 1] && c[end] < keys[up])
            end++;
        fill_span(f, to, i, end, up, on_key);
    }
}

/* The curve of a key; the one of `keep` stays. Else the lower of the two gives way. */
static const pdb_fan_curve *curve_of(pdb_fan *f, uint32_t key, uint32_t keep) {
    pdb_fan_curve *c = f->curves;
    for (int i = 0; i < 2; i++)
        if (c[i].made == key + 1)
            return &c[i];
    int which = c[0].made == keep + 1 || (c[1].made != keep + 1 && c[1].made < c[0].made);
    make_curve(f, key, &c[which]);
    return &c[which];
}

void pdb_fan_turn(pdb_fan *f, double value) {
    const int level = f->g->axes - 2;
    const uint64_t *keys = f->g->keys[level];
    uint64_t floor;
    f->at[level] = value;
    f->left = f->right = NULL;
    pdb_hold_forget(f->lists);
    if (!pdb_floor_key(value, &floor))
        return;
    uint32_t up = pdb_after(keys, f->lo, f->hi, floor);
    if (up > f->lo && keys[up - 1] == floor && (double)floor == value) {
        f->left = curve_of(f, up - 1, up - 1);
    } else if (up > f->lo && up < f->hi) {
        f->w = (value - (double)keys[up - 1]) / ((double)keys[up] - (double)keys[up - 1]);
        f->left = curve_of(f, up - 1, up);
        f->right = curve_of(f, up, up - 1);
    }
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static bool reaches(const pdb_fan_curve *c, size_t i) {
    return c && c->meets[i] != PDB_FAN_OUTSIDE;
}

/* On the key of the only curve. */
static void answer_alone(const pdb_fan *f, size_t i, const pdb_values *out, size_t to) {
    const pdb_fan_curve *l = f->left;
    out->latency[to] = l->latency[i];
    out->energy[to] = (l->power ? l->power[i] : 0.0) * l->latency[i];
    out->how[to] = PDB_INSIDE;
    out->from[to] = l->from ? l->from[i] : 0;
    if (l->meets[i] == PDB_FAN_ON_KEY) { /* one leaf, verbatim */
        const uint32_t *first = f->g->first[f->g->axes - 2] + (l->made - 1);
        uint32_t at = pdb_after_real(f->g->real, first[0], first[1], f->places[i]) - 1;
        out->energy[to] = pdb_grid_leaf(f->g, at).energy;
        out->how[to] = PDB_EXACT;
    }
}

static void answer_between(const pdb_fan *f, size_t i, const pdb_values *out, size_t to) {
    const pdb_fan_curve *l = f->left, *r = f->right;
    double power = l->power ? l->power[i] + (r->power[i] - l->power[i]) * f->w : 0.0;
    out->latency[to] = l->latency[i] + (r->latency[i] - l->latency[i]) * f->w;
    out->energy[to] = power * out->latency[to];
    out->how[to] = PDB_INSIDE;
    out->from[to] = l->from ? l->from[i] | r->from[i] : 0;
}

/* One of the two curves has ended: the other answers, carried over along SOL. */
static void answer_carried(pdb_fan *f, const pdb_fan_curve *c, size_t i, const pdb_values *out, size_t to) {
    const int level = f->g->axes - 2;
    f->at[level + 1] = f->places[i];
    out->latency[to] = pdb_carried(f->g->axes, f->sol, f->ctx, f->at, level,
                                   (double)f->g->keys[level][c->made - 1], c->latency[i]);
    out->energy[to] = (c->power ? c->power[i] : 0.0) * out->latency[to];
    out->how[to] = PDB_BEYOND;
    out->from[to] = c->from ? c->from[i] : 0;
}

/* No curve reaches the place. */
static pdb_miss answer_held(pdb_fan *f, size_t i, const pdb_values *out, size_t to) {
    double power;
    f->at[f->g->axes - 1] = f->places[i];
    out->how[to] = PDB_BEYOND;
    out->from[to] = 0;
    pdb_miss miss = pdb_grid_hold_listed(f->g, f->lists, f->at, f->sol, f->ctx, &out->latency[to], &power,
                                         &out->from[to]);
    if (miss == PDB_HIT)
        out->energy[to] = power * out->latency[to];
    return miss;
}

pdb_miss pdb_fan_query(pdb_fan *f, size_t from, size_t to, const pdb_values *out) {
    for (size_t i = from; i < to; i++) {
        bool left = reaches(f->left, i), right = reaches(f->right, i);
        pdb_miss miss = PDB_HIT;
        if (left && !f->right)
            answer_alone(f, i, out, i - from);
        else if (left && right)
            answer_between(f, i, out, i - from);
        else if (left || right)
            answer_carried(f, left ? f->left : f->right, i, out, i - from);
        else
            miss = answer_held(f, i, out, i - from);
        if (miss != PDB_HIT)
            return miss;
    }
    return PDB_HIT;
}
