/* The best points of each group, or its non-dominated ones, from streams of candidates. */
#include "results/internal.h"
#include <stdlib.h>
#include <string.h>

int res_pick_point(const void *a, const void *b) {
    const res_pick *p = a, *q = b;
    return p->point < q->point ? -1 : p->point > q->point;
}

int res_pick_order(const void *a, const void *b) {
    const res_pick *p = a, *q = b;
    if (p->key != q->key)
        return p->key > q->key ? -1 : 1;
    return res_pick_point(a, b);
}

static bool worse(const res_pick *a, const res_pick *b) {
    return res_pick_order(a, b) > 0;
}

/* ---- heap of the best, the worst of them on top ------------------------------------------------------ */

static void sift_down(res_pick *items, size_t n, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1, top = at;
        for (size_t c = child; c < child + 2 && c < n; c++)
            if (worse(&items[c], &items[top]))
                top = c;
        if (top == at)
            return;
        res_pick swap = items[at];
        items[at] = items[top];
        items[top] = swap;
        at = top;
    }
}

static void add_best(res_front *g, size_t top, const res_pick *p) {
    if (top > 0 && g->n == top) {
        if (!worse(&g->items[0], p))
            return;
        g->items[0] = *p;
        sift_down(g->items, g->n, 0);
        return;
    }
    AIC_GROW(g->items, g->n, g->cap);
    g->items[g->n++] = *p;
    if (top > 0 && g->n == top)
        for (size_t i = top / 2; i-- > 0;)
            sift_down(g->items, g->n, i);
}

/* ---- groups ------------------------------------------------------------------------------------------ */

void res_selection_init(res_selection *s, bool pareto, size_t top) {
    *s = (res_selection){.pareto = pareto, .top = top, .keys = aic_intern_new()};
}

void res_selection_free(res_selection *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->groups[i].items);
    free(s->groups);
    aic_intern_free(s->keys);
    *s = (res_selection){0};
}

uint32_t res_selection_group(res_selection *s, const void *key, size_t bytes) {
    uint32_t id =
        aic_intern_add(s->keys, key, bytes); /* 0 is the empty key: the one group there is without any */
    while (s->n <= id) {
        AIC_GROW(s->groups, s->n, s->cap);
        s->groups[s->n++] = (res_front){.first = UINT64_MAX};
    }
    return id;
}

void res_selection_add(res_selection *s, uint32_t group, const res_pick *p) {
    res_front *g = &s->groups[group];
    g->first = p->point < g->first ? p->point : g->first;
    if (s->pareto)
        res_front_add(g, p);
    else
        add_best(g, s->top, p);
}

void res_selection_merge(res_selection *into, const res_selection *from, size_t key_bytes) {
    for (size_t i = 0; i < from->n; i++) {
        const res_front *g = &from->groups[i];
        if (g->n == 0)
            continue;
        uint32_t id = res_selection_group(into, aic_intern_text(from->keys, (uint32_t)i), i ? key_bytes : 0);
        for (size_t k = 0; k < g->n; k++)
            res_selection_add(into, id, &g->items[k]);
        res_front *to = &into->groups[id];
        to->first = g->first < to->first ? g->first : to->first;
    }
}

static int by_first(const void *a, const void *b) {
    const res_front *p = a, *q = b;
    return p->first < q->first ? -1 : p->first > q->first;
}

void res_selection_finish(res_selection *s) {
    if (s->n)
        qsort(s->groups, s->n, sizeof *s->groups, by_first);
    for (size_t i = 0; i < s->n; i++) {
        res_front *g = &s->groups[i];
        if (s->pareto)
            res_front_settle(g);
        if (g->n)
            qsort(g->items, g->n, sizeof *g->items, res_pick_order);
        if (s->top > 0 && g->n > s->top)
            g->n = s->top;
    }
}
