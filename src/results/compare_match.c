/* Partners: the k-th point of a key in one file is the k-th point of that key in the other.
 *
 * Two runs of one sweep list the same points in the same order; reading the keys of both side by side shows
 * it, and nothing is kept. Otherwise the keys of B are held in memory with an index of their hashes.
 */
#include "results/compare.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* ---- in step ----------------------------------------------------------------------------------------- */

static bool load_keys(res_window *w, const res_columns *workload, uint64_t first, size_t n, aic_error *err) {
    static const int deployment = RES_C_model; /* any deployment column brings the deployment */
    return res_window_load(w, first, n, workload->items, workload->n, false, err) &&
           res_window_load(w, first, n, &deployment, 1, false, err);
}

/* Do n points of both windows have the same keys? */
static bool equal_keys(const cmp_ids *ids, const res_columns *workload, res_window *const w[CMP_SIDES],
                       size_t n) {
    for (size_t c = 0; c < workload->n; c++) {
        size_t field = res_point_field((size_t)workload->items[c]);
        if (memcmp(res_window_field(w[CMP_A], field), res_window_field(w[CMP_B], field),
                   n * sizeof(uint32_t)) != 0)
            return false;
    }
    const uint32_t *a = res_window_field(w[CMP_A], RES_P_DEPLOYMENT),
                   *b = res_window_field(w[CMP_B], RES_P_DEPLOYMENT);
    for (size_t i = 0; i < n; i++)
        if (ids->side[CMP_A].key[a[i]] != ids->side[CMP_B].key[b[i]])
            return false;
    return true;
}

/* Walks both files; *differ is set at the first point whose keys differ. */
static bool walk(const cmp_ids *ids, const res_columns *workload, unsigned threads, bool *differ,
                 aic_error *err) {
    uint64_t count = res_count(ids->side[CMP_A].f);
    int64_t units = (int64_t)((count + CMP_UNIT - 1) / CMP_UNIT);
    bool ok = true, other = false;
#pragma omp parallel num_threads(threads)
    {
        res_window *w[CMP_SIDES] = {res_window_new(ids->side[CMP_A].f), res_window_new(ids->side[CMP_B].f)};
        aic_error why = {0};
#pragma omp for schedule(dynamic)
        for (int64_t u = 0; u < units; u++) {
            uint64_t first = (uint64_t)u * CMP_UNIT;
            size_t n = count - first < CMP_UNIT ? (size_t)(count - first) : CMP_UNIT;
            bool stop;
#pragma omp atomic read
            stop = other;
            if (stop || why.code != AIC_OK)
                continue;
            if (!load_keys(w[CMP_A], workload, first, n, &why) ||
                !load_keys(w[CMP_B], workload, first, n, &why) || !equal_keys(ids, workload, w, n)) {
#pragma omp atomic write
                other = true;
            }
        }
        if (why.code != AIC_OK) {
#pragma omp critical(cmp_walk)
            {
                ok = false;
                *err = why;
            }
        }
        res_window_free(w[CMP_A]);
        res_window_free(w[CMP_B]);
    }
    *differ = other;
    return ok;
}

/* ---- index ------------------------------------------------------------------------------------------- */

/* Keys of B. A slot stands for one key: `first` is a point that has it, `next` the first of its points
 * without a partner. */
typedef struct slot {
    uint32_t first, next;
} slot;

typedef struct key_index {
    size_t words;   /* of a key: the deployment's id, then the workload */
    uint32_t *keys; /* per point of B */
    uint32_t *rest; /* per point of B: the next one of its key, or CMP_NONE */
    slot *slots;    /* first = CMP_NONE: free; a power of two, at most half full */
    size_t mask;
} key_index;

static uint64_t hash_of(const uint32_t *key, size_t words) {
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < words; i++) {
        h = (h ^ key[i]) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    return h;
}

static slot *find(const key_index *x, const uint32_t *key) {
    for (size_t at = (size_t)hash_of(key, x->words) & x->mask;; at = (at + 1) & x->mask) {
        slot *s = &x->slots[at];
        if (s->first == CMP_NONE || memcmp(x->keys + s->first * x->words, key, x->words * sizeof *key) == 0)
            return s;
    }
}

/* Keys of the n points of a window, one after another. */
static void gather(const cmp_side *s, const res_columns *workload, const res_window *w, size_t n,
                   uint32_t *keys) {
    size_t words = workload->n + 1;
    const uint32_t *deployment = res_window_field(w, RES_P_DEPLOYMENT);
    for (size_t i = 0; i < n; i++)
        keys[i * words] = s->key[deployment[i]];
    for (size_t c = 0; c < workload->n; c++) {
        const uint32_t *values = res_window_field(w, res_point_field((size_t)workload->items[c]));
        for (size_t i = 0; i < n; i++)
            keys[i * words + c + 1] = values[i];
    }
}

static bool build(key_index *x, const cmp_side *b, const res_columns *workload, aic_error *err) {
    uint64_t count = res_count(b->f);
    size_t n_slots = 16;
    while (n_slots < count * 2)
        n_slots *= 2;
    x->words = workload->n + 1;
    x->keys = aic_alloc(aic_mul((size_t)count, x->words), sizeof *x->keys);
    x->rest = aic_alloc((size_t)count, sizeof *x->rest);
    x->slots = aic_alloc(n_slots, sizeof *x->slots);
    x->mask = n_slots - 1;
    memset(x->slots, 0xff, n_slots * sizeof *x->slots);
    res_window *w = res_window_new(b->f);
    bool ok = true;
    for (uint64_t first = 0; ok && first < count; first += CMP_UNIT) {
        size_t n = count - first < CMP_UNIT ? (size_t)(count - first) : CMP_UNIT;
        ok = load_keys(w, workload, first, n, err);
        if (ok)
            gather(b, workload, w, n, x->keys + first * x->words);
    }
    res_window_free(w);
    for (uint64_t i = count; ok && i-- > 0;) { /* backwards, so that each list is in point order */
        slot *s = find(x, x->keys + i * x->words);
        x->rest[i] = s->first == CMP_NONE ? CMP_NONE : s->next;
        s->next = (uint32_t)i;
        if (s->first == CMP_NONE)
            s->first = (uint32_t)i;
    }
    return ok;
}

static bool look_up(cmp_match *m, key_index *x, const cmp_side *a, aic_error *err) {
    uint64_t count = res_count(a->f);
    uint32_t *keys = aic_alloc(aic_mul(CMP_UNIT, x->words), sizeof *keys);
    res_window *w = res_window_new(a->f);
    bool ok = true;
    for (uint64_t first = 0; ok && first < count; first += CMP_UNIT) {
        size_t n = count - first < CMP_UNIT ? (size_t)(count - first) : CMP_UNIT;
        ok = load_keys(w, &m->workload, first, n, err);
        if (!ok)
            break;
        gather(a, &m->workload, w, n, keys);
        for (size_t i = 0; i < n; i++) {
            slot *s = find(x, keys + i * x->words);
            uint32_t b = s->first == CMP_NONE ? CMP_NONE : s->next;
            m->partner[first + i] = b;
            if (b == CMP_NONE)
                continue;
            s->next = x->rest[b];
            m->taken[b] = 1;
        }
    }
    res_window_free(w);
    free(keys);
    return ok;
}

static bool index_points(cmp_match *m, const cmp_ids *ids, aic_error *err) {
    uint64_t a = res_count(ids->side[CMP_A].f), b = res_count(ids->side[CMP_B].f);
    if (a >= CMP_NONE || b >= CMP_NONE)
        return aic_fail(err, AIC_BAD_INPUT,
                        "files that list points in another order are compared up to %u points each",
                        CMP_NONE - 1);
    key_index x = {0};
    m->partner = aic_alloc((size_t)a, sizeof *m->partner);
    m->taken = aic_calloc((size_t)b, 1);
    bool ok = build(&x, &ids->side[CMP_B], &m->workload, err) && look_up(m, &x, &ids->side[CMP_A], err);
    free(x.keys);
    free(x.rest);
    free(x.slots);
    return ok;
}

/* ---- both -------------------------------------------------------------------------------------------- */

bool cmp_match_init(cmp_match *m, const cmp_ids *ids, unsigned threads, aic_error *err) {
    bool differ = true;
    *m = (cmp_match){0};
    cmp_workload_columns(&m->workload);
    if (res_count(ids->side[CMP_A].f) == res_count(ids->side[CMP_B].f) &&
        !walk(ids, &m->workload, threads, &differ, err))
        return false;
    m->in_step = !differ;
    return m->in_step || index_points(m, ids, err);
}

void cmp_match_free(cmp_match *m) {
    res_columns_free(&m->workload);
    free(m->partner);
    free(m->taken);
    *m = (cmp_match){0};
}
