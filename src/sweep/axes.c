/* One axis of a sweep: a scalar, a range, or a list of both (docs/formats/spec.md). */
#include "sweep/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number axis while it is read. */
typedef struct reading {
    const char *what;
    uint32_t min, max;
    uint32_t *v;
    size_t n, cap;
} reading;

static bool add(reading *r, const aic_node *at, double value, aic_error *err) {
    if (value < r->min || value > r->max)
        return aic_node_fail(err, at, "%s: %.0f is not from %u to %u", r->what, value, r->min, r->max);
    if (r->n == SWP_MAX_AXIS)
        return aic_node_fail(err, at, "%s: more than %d values", r->what, SWP_MAX_AXIS);
    AIC_GROW(r->v, r->n, r->cap);
    r->v[r->n++] = (uint32_t)value;
    return true;
}

/* {from, to, step}: from, from + step, ... up to `to`. {from, to, factor}: from, from x factor, ... each
 * rounded to the nearest integer (halves up); values that round to the one before are left out. */
static bool read_range(reading *r, const aic_node *n, aic_error *err) {
    uint32_t from, to, step;
    double factor;
    const aic_node *step_at = aic_map_get(n, "step"), *factor_at = aic_map_get(n, "factor");
    if (!swp_check_keys(n, &swp_range_keys, err))
        return false;
    const aic_node *from_at = aic_map_get(n, "from"), *to_at = aic_map_get(n, "to");
    if (!from_at || !to_at || !step_at == !factor_at)
        return aic_node_fail(
            err, n, "%s: a range is {from: A, to: B, step: S} or {from: A, to: B, factor: F}", r->what);
    if (!aic_node_u32(from_at, "from", r->min, r->max, &from, err) ||
        !aic_node_u32(to_at, "to", r->min, r->max, &to, err))
        return false;
    if (to < from)
        return aic_node_fail(err, to_at, "%s: the range ends at %u, below its start %u", r->what, to, from);
    if (step_at) {
        if (!aic_node_u32(step_at, "step", 1, UINT32_MAX, &step, err))
            return false;
        for (uint64_t v = from; v <= to; v += step)
            if (!add(r, n, (double)v, err))
                return false;
        return true;
    }
    if (!aic_node_f64(factor_at, "factor", 1.0, 1e9, &factor, err))
        return false;
    if (factor == 1.0 || from == 0)
        return aic_node_fail(err, n, "%s: a range with a factor starts above 0 and has a factor above 1",
                             r->what);
    double last = -1;
    for (double v = from; floor(v + 0.5) <= to; v *= factor) {
        if (floor(v + 0.5) != last && !add(r, n, floor(v + 0.5), err))
            return false;
        last = floor(v + 0.5);
    }
    return true;
}

static bool read_number(reading *r, const aic_node *n, aic_error *err) {
    uint32_t value;
    if (n->kind == AIC_K_MAP)
        return read_range(r, n, err);
    return aic_node_u32(n, r->what, r->min, r->max, &value, err) && add(r, n, value, err);
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool all_different(const reading *r, const aic_node *at, aic_error *err) {
    uint32_t *sorted = aic_alloc(r->n, sizeof *sorted);
    memcpy(sorted, r->v, r->n * sizeof *sorted);
    qsort(sorted, r->n, sizeof *sorted, by_value);
    size_t i = 1;
    while (i < r->n && sorted[i] != sorted[i - 1])
        i++;
    uint32_t twice = i < r->n ? sorted[i] : 0;
    free(sorted);
    return i >= r->n || aic_node_fail(err, at, "%s: %u is listed twice", r->what, twice);
}

bool swp_axis_u32(aic_arena *a, const aic_node *n, const char *what, uint32_t min, uint32_t max,
                  swp_u32s *out, aic_error *err) {
    reading r = {.what = what, .min = min, .max = max};
    bool ok = true;
    if (n->kind == AIC_K_LIST)
        for (size_t i = 0; ok && i < n->count; i++)
            ok = read_number(&r, n->items[i], err);
    else
        ok = read_number(&r, n, err);
    if (ok && r.n == 0)
        ok = aic_node_fail(err, n, "%s: expected at least one value", what);
    ok = ok && all_different(&r, n, err);
    if (ok) {
        out->n = r.n;
        out->v = aic_arena_alloc(a, r.n, sizeof *out->v);
        memcpy(out->v, r.v, r.n * sizeof *out->v);
    }
    free(r.v);
    return ok;
}

/* The items of a list, or the scalar itself. */
static size_t item_count(const aic_node *n) {
    return n->kind == AIC_K_LIST ? n->count : 1;
}

static const aic_node *item_at(const aic_node *n, size_t i) {
    return n->kind == AIC_K_LIST ? n->items[i] : n;
}

static bool countable(const aic_node *n, const char *what, aic_error *err) {
    if (item_count(n) == 0)
        return aic_node_fail(err, n, "%s: expected at least one value", what);
    if (item_count(n) > SWP_MAX_AXIS)
        return aic_node_fail(err, n, "%s: more than %d values", what, SWP_MAX_AXIS);
    return true;
}

bool swp_axis_f64(aic_arena *a, const aic_node *n, const char *what, double min, double max, swp_f64s *out,
                  aic_error *err) {
    if (!countable(n, what, err))
        return false;
    out->n = item_count(n);
    out->v = aic_arena_alloc(a, out->n, sizeof *out->v);
    for (size_t i = 0; i < out->n; i++) {
        if (!aic_node_f64(item_at(n, i), what, min, max, &out->v[i], err))
            return false;
        for (size_t j = 0; j < i; j++)
            if (out->v[j] == out->v[i])
                return aic_node_fail(err, item_at(n, i), "%s: %g is listed twice", what, out->v[i]);
    }
    return true;
}

bool swp_axis_text(aic_arena *a, const aic_node *n, const char *what, swp_texts *out, aic_error *err) {
    if (!countable(n, what, err))
        return false;
    aic_intern *seen = aic_intern_new();
    bool ok = true;
    out->n = item_count(n);
    out->v = aic_arena_alloc(a, out->n, sizeof *out->v);
    out->at = aic_arena_alloc(a, out->n, sizeof *out->at);
    for (size_t i = 0; ok && i < out->n; i++) {
        out->at[i] = item_at(n, i);
        ok = aic_node_text(out->at[i], what, &out->v[i], err);
        bool found = false;
        if (ok)
            aic_intern_find(seen, out->v[i], strlen(out->v[i]), &found);
        if (found)
            ok = aic_node_fail(err, out->at[i], "%s: \"%s\" is listed twice", what, out->v[i]);
        else if (ok)
            aic_intern_add(seen, out->v[i], strlen(out->v[i]));
    }
    aic_intern_free(seen);
    return ok;
}
