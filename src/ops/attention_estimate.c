/* What attention estimates are calibrated from: the op's own slice, or another head size of its kind
 * (docs/model/attention.md, "estimates"). */
#include "ops/attention_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- head sizes ---------------------------------------------------------------------------------------- */

enum { LEVELS = 5, USUAL_HEAD = 128 };
static const double level_sizes[LEVELS] = {64, 128, 192, 256, 512};

/* How well prefill kernels run at a head size, relative to 128. */
static const struct {
    const char *backend;
    double at[LEVELS];
} head_levels[] = {
    {"trtllm", {0.58, 1.00, 1.10, 1.17, 1.20}},
    {"sglang", {0.60, 1.00, 1.18, 1.32, 1.38}},
    {"vllm", {0.60, 1.00, 1.27, 1.51, 1.60}},
};

static double head_level(const char *backend, double head_size) {
    const double *at = NULL;
    for (size_t i = 0; i < OP_COUNT(head_levels); i++)
        if (strcmp(head_levels[i].backend, backend) == 0)
            at = head_levels[i].at;
    if (!at)
        return 1.0;
    if (head_size <= level_sizes[0])
        return at[0];
    for (int i = 1; i < LEVELS; i++)
        if (head_size <= level_sizes[i]) {
            double from = log2(level_sizes[i - 1]), to = log2(level_sizes[i]);
            return at[i - 1] + (log2(head_size) - from) / (to - from) * (at[i] - at[i - 1]);
        }
    return at[LEVELS - 1];
}

/* ---- samples ------------------------------------------------------------------------------------------- */

static int head_of(const op_key *key) {
    return key->n - 2;
}

/* Samples of a slice under the op's price at that slice's head size and window; NULL when it has none. */
static const pdb_util *samples(op_binder *binder, const attention_wanted *w, const pdb_slice *s) {
    if (!s)
        return NULL;
    attention_sol sol = w->sol;
    sol.head_size = (double)s->cat[head_of(&w->key)];
    sol.window = (double)s->cat[head_of(&w->key) + 1];
    const pdb_util *u = op_util_of_view(binder, pdb_slice_grid(s), w->table_sol, &sol, sizeof sol);
    return pdb_util_count(u) ? u : NULL;
}

/* ---- lanes of a transfer ------------------------------------------------------------------------------- */

typedef struct lane {
    uint64_t id;
    const char *name;
} lane;

static int by_name(const void *x, const void *y) {
    return strcmp(((const lane *)x)->name, ((const lane *)y)->name);
}

static bool has_lane(const lane *lanes, size_t n, uint64_t id) {
    for (size_t i = 0; i < n; i++)
        if (lanes[i].id == id)
            return true;
    return false;
}

static uint64_t lane_id(const pdb_view *view, const char *name) {
    return strcmp(name, "default") == 0 ? 0 : pdb_text_id(view, name);
}

/* The lanes of the lane order that the table has, then its others by name. out: heap, as many as slices. */
static size_t list_lanes(const pdb_view *view, const pdb_table *t, const op_texts *order, lane *out) {
    size_t slices = pdb_slice_count(t), n = 0, named;
    lane *all = aic_alloc(slices, sizeof *all);
    for (size_t i = 0; i < slices; i++) {
        uint64_t id = pdb_slice_at(t, i)->cat[ATTENTION_LANE];
        if (!has_lane(all, n, id))
            all[n++] = (lane){id, id ? pdb_text(view, id) : "default"};
    }
    qsort(all, n, sizeof *all, by_name);
    size_t count = 0;
    for (size_t i = 0; i < order->count; i++) {
        lane l = {lane_id(view, order->items[i]), order->items[i]};
        if (has_lane(all, n, l.id) && !has_lane(out, count, l.id))
            out[count++] = l;
    }
    named = count;
    for (size_t i = 0; i < n; i++)
        if (!has_lane(out, named, all[i].id))
            out[count++] = all[i];
    free(all);
    return count;
}

/* ---- another head size --------------------------------------------------------------------------------- */

static int ascending(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Distinct head sizes of a lane's slices that agree with the key before the head size, ascending. */
static size_t list_heads(const pdb_table *t, const op_key *key, double *out) {
    size_t n = 0;
    int head = head_of(key);
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[head] == 0 || memcmp(cat, key->value, (size_t)head * sizeof *cat) != 0)
            continue;
        size_t k = 0;
        while (k < n && out[k] != (double)cat[head])
            k++;
        if (k == n)
            out[n++] = (double)cat[head];
    }
    qsort(out, n, sizeof *out, ascending);
    return n;
}

/* 128 where it is measured, else the nearest. */
static double pick_head(const double *heads, size_t n, double wanted) {
    for (size_t i = 0; i < n; i++)
        if (heads[i] == USUAL_HEAD)
            return USUAL_HEAD;
    return heads[pdb_nearest_ref(1, &wanted, n, heads)];
}

/* The first lane's slice of a stand-in head size; the key says which in the end. */
static const pdb_slice *other_head(const op_bound *b, const pdb_table *t, const attention_wanted *w,
                                   op_key *key) {
    size_t slices = pdb_slice_count(t);
    lane *lanes = aic_alloc(slices, sizeof *lanes);
    double *heads = aic_alloc(slices, sizeof *heads);
    size_t n = list_lanes(b->view, t, w->lane_order, lanes);
    const pdb_slice *s = NULL;
    for (size_t i = 0; i < n && !s; i++) {
        key->value[ATTENTION_LANE] = lanes[i].id;
        size_t m = list_heads(t, key, heads);
        if (m == 0)
            continue;
        key->value[head_of(key)] = (uint64_t)pick_head(heads, m, w->sol.head_size);
        s = pdb_slice_find(t, key->value);
    }
    free(lanes);
    free(heads);
    return s;
}

/* ---- the ladder ---------------------------------------------------------------------------------------- */

/* Looks among the slices of one window. */
static bool at_window(op_binder *binder, const op_bound *b, const pdb_table *t, const attention_wanted *w,
                      uint64_t window, attention_basis *out) {
    op_key key = w->key;
    key.value[key.n - 1] = window;
    const pdb_slice *own = attention_find_slice(b->view, t, w->lane_order, &key);
    *out = (attention_basis){samples(binder, w, own), 1.0, OP_TIER_empirical};
    if (out->util || !op_policy_allows(binder, OP_TIER_xshape))
        return out->util != NULL;
    const pdb_slice *other = other_head(b, t, w, &key);
    if (!other)
        return false;
    *out = (attention_basis){samples(binder, w, other), 1.0, OP_TIER_xshape};
    if (w->head_levels)
        out->scale = head_level(b->view->backend, w->sol.head_size) /
                     head_level(b->view->backend, (double)other->cat[head_of(&key)]);
    return out->util != NULL;
}

op_class attention_calibrate(op_binder *binder, const op_bound *b, const attention_wanted *w,
                             attention_basis *out, op_refusal *why) {
    const pdb_table *t = w->table;
    uint64_t window = w->key.value[w->key.n - 1];
    if (t && (at_window(binder, b, t, w, window, out) || (window && at_window(binder, b, t, w, 0, out))))
        return OP_OK;
    char about[96];
    snprintf(about, sizeof about, "KV head key %.0f, head size %.0f, window %.0f", w->sol.kv_key,
             w->sol.head_size, w->sol.window);
    return op_refuse_basis(why, b, w->schema, about);
}
