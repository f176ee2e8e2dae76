/* One block of work: consecutive points, mostly of one deployment, evaluated where the writer takes them. */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

void swp_work_free(swp_work *w) {
    free(w->deps);
    free(w->stored);
    free(w->rows);
    res_placement_free(&w->place);
    srv_block_free(&w->block);
    swp_mixture_free(w->mixed);
    free(w);
}

static void reserve(swp_work *w, size_t n) {
    if (n <= w->cap)
        return;
    w->deps = aic_realloc(w->deps, n, sizeof *w->deps);
    w->stored = aic_realloc(w->stored, n, sizeof *w->stored);
    w->rows = aic_realloc(w->rows, n, sizeof *w->rows);
    w->cap = n;
}

/* In a block some of whose points do not have all rows: moves those there are together. */
static size_t pack_rows(swp_work *w, const srv_deployment *d) {
    srv_block *b = &w->block;
    size_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        const size_t first = srv_first_row(d, srv_points_encode(&b->points, i)),
                     n = b->priced[i] ? b->n_rows - first : 0;
        const size_t from = i * b->n_rows + first;
        memmove(b->latency + at, b->latency + from, n * sizeof *b->latency);
        memmove(b->source + at, b->source + from, n * sizeof *b->source);
        if (!b->no_energy)
            memmove(b->energy + at, b->energy + from, n * sizeof *b->energy);
        if (!b->no_basis)
            memmove(b->basis + at, b->basis + from, n * sizeof *b->basis);
        w->rows[i] = (uint32_t)n;
        at += n;
    }
    return at;
}

static void evaluate(swp_work *w, const swp_pricing *p, const srv_deployment *d) {
    srv_block *b = &w->block;
    b->wanted = p->breakdown ? SRV_LATE_ROWS : SRV_NO_ROWS;
    if (p->plain)
        srv_price_plain(d, b);
    else
        srv_price(d, b);
    const bool none = b->wanted == SRV_NO_ROWS || d->refused != SRV_ST_ok, packed = !none && !b->all_rows;
    const uint32_t each = none ? 0 : (uint32_t)b->n_rows;
    w->points = (res_points){.n = b->n,
                             .points = &b->points,
                             .rows = packed ? w->rows : NULL,
                             .rows_each = each,
                             .n_rows = packed ? pack_rows(w, d) : b->n * each,
                             .latency = b->latency,
                             .energy = b->no_energy ? NULL : b->energy,
                             .source = b->source,
                             .basis = b->no_basis ? NULL : b->basis,
                             .late = b->late ? b : NULL};
}

/* Who the points belong to. */
static void find_deployments(swp_work *w, const swp_sweep *s) {
    w->deps[0] = (uint32_t)swp_dep_of(s, w->first);
    w->one = true;
    for (size_t i = 1; s->listed && i < w->n; i++) {
        w->deps[i] = (uint32_t)swp_dep_of(s, w->first + i);
        w->one = w->one && w->deps[i] == w->deps[0];
    }
}

bool swp_work_evaluate(swp_work *w, swp_pricing *p, uint64_t first, size_t n, aic_error *err) {
    w->first = first;
    w->n = n;
    reserve(w, n);
    find_deployments(w, p->s);
    if (!w->one || p->old) {
        if (!w->mixed)
            w->mixed = AIC_NEW(swp_mixture);
        return swp_mixture_evaluate(w->mixed, w, p, err);
    }
    const srv_deployment *d = swp_compiled_get(p->compiled, w->deps[0], err);
    if (!d)
        return false;
    swp_load_block(p->s, first, n, &w->block);
    evaluate(w, p, d);
    return true;
}

void swp_work_done(const swp_work *w, swp_compiled *c) {
    for (size_t i = 1; i < w->n && !w->one; i++)
        swp_compiled_done(c, w->deps[i], 1);
    swp_compiled_done(c, w->deps[0], w->one ? w->n : 1);
}
