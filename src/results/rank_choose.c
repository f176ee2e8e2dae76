/* The first pass of a ranking: every point, window by window, by all threads. Each keeps the best of what it
 * saw; points are in a total order (key, then number), so the best of these are the best of all. */
#include "results/rank.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

typedef struct chooser {
    const rank_job *r;
    res_window *w;
    res_filter filter;
    res_selection selection;
    uint64_t not_ok, filtered, absent;
    uint64_t *key;      /* of a group, one word per column */
    bool by_deployment; /* all columns of a group are the deployment's, and points of one follow each other */
    uint32_t deployment; /* the last one; UINT32_MAX = none */
    uint32_t group;      /* its group */
} chooser;

/* NaN when the point has no such figure. */
static double value_of(const rank_figure *g, const res_window *w, size_t i) {
    double v = g->order ? g->order[res_window_text_id(w, i, g->column)] : res_window_number(w, i, g->column);
    return g->higher ? v : -v;
}

static uint32_t group_of(chooser *c, size_t i) {
    const rank_job *r = c->r;
    uint32_t deployment = c->by_deployment ? res_window_deployment(c->w, i) : UINT32_MAX;
    if (c->by_deployment && deployment == c->deployment)
        return c->group;
    for (size_t k = 0; k < r->groups.n; k++) {
        int column = r->groups.items[k];
        double v = res_column_at((size_t)column)->type == RES_TEXT
                       ? (double)res_window_text_id(c->w, i, column)
                       : res_window_number(c->w, i, column);
        v = isnan(v) ? (double)NAN : v + 0.0; /* one NaN, one zero */
        memcpy(&c->key[k], &v, sizeof v);
    }
    c->deployment = deployment;
    c->group = res_selection_group(&c->selection, c->key, r->groups.n * sizeof *c->key);
    return c->group;
}

static bool consider(chooser *c, uint64_t point, size_t i, aic_error *err) {
    const rank_job *r = c->r;
    bool pass;
    if (!r->opt->all_status && res_window_status(c->w, i) != SRV_ST_ok) {
        c->not_ok++;
        return true;
    }
    if (!res_filter_pass(&c->filter, c->w, i, &pass, err))
        return false;
    if (!pass) {
        c->filtered++;
        return true;
    }
    res_pick p = {.point = point, .key = value_of(&r->key, c->w, i)};
    if (r->pareto) {
        p.x = value_of(&r->x, c->w, i);
        p.y = value_of(&r->y, c->w, i);
    }
    if (isnan(p.key) || isnan(p.x) || isnan(p.y))
        c->absent++;
    else
        res_selection_add(&c->selection, group_of(c, i), &p);
    return true;
}

static bool take_window(chooser *c, uint64_t first, aic_error *err) {
    const rank_job *r = c->r;
    size_t n = res_window_points(r->f, first, res_count(r->f), false);
    bool ok = res_window_load(c->w, first, n, r->needed.items, r->needed.n, false, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = consider(c, first + i, i, err);
    return ok;
}

static bool chooser_init(chooser *c, const rank_job *r, aic_error *err) {
    *c = (chooser){.r = r, .w = res_window_new(r->f), .deployment = UINT32_MAX, .by_deployment = true};
    c->key = aic_calloc(r->groups.n, sizeof *c->key);
    for (size_t k = 0; k < r->groups.n; k++)
        c->by_deployment &= res_column_at((size_t)r->groups.items[k])->of_deployment;
    c->by_deployment &= r->groups.n > 0;
    res_selection_init(&c->selection, r->pareto, r->opt->top);
    return res_filter_init(&c->filter, r->opt->where, err);
}

static void chooser_free(chooser *c) {
    res_filter_free(&c->filter);
    res_selection_free(&c->selection);
    res_window_free(c->w);
    free(c->key);
}

static void add_up(rank_job *r, const chooser *c) {
    r->not_ok += c->not_ok;
    r->filtered += c->filtered;
    r->absent += c->absent;
    res_selection_merge(&r->selection, &c->selection, r->groups.n * sizeof *c->key);
}

bool rank_choose(rank_job *r, aic_error *err) {
    int64_t windows = (int64_t)((res_count(r->f) + RES_WINDOW - 1) / RES_WINDOW), failed = windows;
    aic_error failure = {0};
    int team = windows < r->threads ? (int)windows : r->threads;
#pragma omp parallel num_threads(team) if (team > 1)
    {
        chooser c;
        aic_error why = {0};
        bool ok = chooser_init(&c, r, &why);
        /* Windows are taken in order: when one fails, all before it are done or under way. */
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < windows; k++) {
            int64_t stop;
#pragma omp atomic read
            stop = failed;
            if (k > stop || (ok && take_window(&c, (uint64_t)k * RES_WINDOW, &why)))
                continue;
            ok = false;
#pragma omp critical(rank_choose)
            if (k < failed) {
                failure = why;
#pragma omp atomic write
                failed = k;
            }
        }
#pragma omp critical(rank_choose)
        add_up(r, &c);
        chooser_free(&c);
    }
    res_selection_finish(&r->selection);
    if (failed < windows)
        *err = failure;
    return failed == windows;
}
