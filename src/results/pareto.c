/* The non-dominated points of a stream. One dominates another when it is no worse in both figures and better
 * in one; points equal in both stay together. */
#include "results/internal.h"
#include <stdlib.h>

/* Best x first, among equals best y, then point order. */
static int by_x(const void *a, const void *b) {
    const res_pick *p = a, *q = b;
    if (p->x != q->x)
        return p->x > q->x ? -1 : 1;
    if (p->y != q->y)
        return p->y > q->y ? -1 : 1;
    return res_pick_point(a, b);
}

void res_front_settle(res_front *f) {
    if (f->n)
        qsort(f->items, f->n, sizeof *f->items, by_x);
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        const res_pick *p = &f->items[i], *last = kept ? &f->items[kept - 1] : NULL;
        bool equal = last && p->x == last->x && p->y == last->y;
        if (!last || equal ||
            p->y >
                last->y) /* whatever is better in x stands before, and the last kept has the best y of it */
            f->items[kept++] = *p;
    }
    f->n = f->settled = kept;
}

static bool is_dominated(const res_front *f, const res_pick *p) {
    size_t low = 0, high = f->settled; /* first settled one with a worse x */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->items[mid].x >= p->x)
            low = mid + 1;
        else
            high = mid;
    }
    const res_pick *best = low ? &f->items[low - 1] : NULL; /* of those no worse in x, the one best in y */
    return best && (best->y > p->y || (best->y == p->y && best->x > p->x));
}

void res_front_add(res_front *f, const res_pick *p) {
    enum { BULK = 65536 };
    if (is_dominated(f, p))
        return;
    AIC_GROW(f->items, f->n, f->cap);
    f->items[f->n++] = *p;
    if (f->n - f->settled > BULK && f->n > f->settled * 2)
        res_front_settle(f);
}
