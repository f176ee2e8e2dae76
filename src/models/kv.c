/* KV-cache bytes of one sequence on one GPU, and the longest sequence that fits a budget
 * (docs/model/memory.md).
 *
 * A graph lists parts that are added. Every product and sum is a multiple of 1/2 below 2^52, hence exact in
 * double whatever the order. */
#include "models/internal.h"
#include <math.h>

double mdl_floordiv(double a, double b) {
    double rest = fmod(a, b);
    double q = (a - rest) / b;
    double floored = floor(q);
    return q - floored > 0.5 ? floored + 1.0 : floored;
}

static double part_bytes(const mdl_kv_part *p, double n) {
    double kept = p->window > 0.0 && p->window < n ? p->window : n;
    return p->bytes * (p->every > 1.0 ? floor(kept / p->every) : kept);
}

double mdl_kv_sequence(const mdl_kv *kv, double n) {
    double bytes = kv->state + kv->per_token * n;
    for (size_t i = 0; i < kv->n_thinned; i++)
        bytes += part_bytes(&kv->thinned[i], n);
    return bytes;
}

/* Doubles until the budget is passed, then bisects. A cache that stops growing holds any length. */
static double search(const mdl_kv *kv, double budget) {
    if (!(budget > 0.0) || !(mdl_kv_sequence(kv, 1.0) > 0.0))
        return 0.0;
    double high = 1.0;
    while (mdl_kv_sequence(kv, high) <= budget) {
        double next = 2.0 * high;
        if (mdl_kv_sequence(kv, next) == mdl_kv_sequence(kv, high))
            return kv->context_length > 0.0 ? kv->context_length : next;
        high = next;
    }
    double low = floor(high / 2.0);
    while (low + 1.0 < high) {
        double middle = floor((low + high) / 2.0);
        if (mdl_kv_sequence(kv, middle) <= budget)
            low = middle;
        else
            high = middle;
    }
    return low;
}

double mdl_kv_longest(const mdl_kv *kv, double budget) {
    if (kv->n_thinned)
        return search(kv, budget);
    double left = budget - kv->state;
    if (!(left > 0.0) || !(kv->per_token > 0.0))
        return 0.0;
    return mdl_floordiv(left, kv->per_token);
}

/* The value of a part's expression; NULL gives `absent`. */
static bool figure(const mdl_kv_rule *rule, const aic_expr *e, mdl_frame *f, const char *what, double absent,
                   double *out, aic_error *err) {
    aic_value v;
    *out = absent;
    if (!e)
        return true;
    if (!mdl_eval(e, f, &v, err))
        return false;
    if (v.type == AIC_V_NULL)
        return true;
    if (aic_as_real(&v, out) && *out >= 0.0 && isfinite(*out))
        return true;
    return aic_node_fail(err, rule->at, "kv: %s gave %s, not a number from 0 up", what,
                         aic_vtype_name(v.type));
}

static bool add_part(const mdl_kv_rule *rule, mdl_frame *f, mdl_kv *out, aic_error *err) {
    double state;
    mdl_kv_part part;
    if (!figure(rule, rule->per_sequence, f, "per_sequence", 0.0, &state, err) ||
        !figure(rule, rule->per_token, f, "per_token", 0.0, &part.bytes, err) ||
        !figure(rule, rule->window, f, "window", 0.0, &part.window, err) ||
        !figure(rule, rule->every, f, "every", 1.0, &part.every, err))
        return false;
    out->state += state;
    if (part.window > 0.0 || part.every > 1.0)
        out->thinned[out->n_thinned++] = part;
    else
        out->per_token += part.bytes;
    return true;
}

bool mdl_kv_make(const mdl_graph *g, mdl_frame *f, aic_arena *a, mdl_kv *out, aic_error *err) {
    *out = (mdl_kv){.context_length = (double)f->model->pub.context,
                    .thinned = aic_arena_alloc(a, g->n_kv, sizeof *out->thinned)};
    for (size_t i = 0; i < g->n_kv; i++) {
        bool yes;
        if (!mdl_eval_true(g->kv[i].when, f, &yes, err) || (yes && !add_part(&g->kv[i], f, out, err)))
            return false;
    }
    return true;
}

double mdl_kv_bytes(const mdl_deployment *d, double n) {
    return mdl_kv_sequence(d->kv, n > 0.0 ? n : 0.0);
}

double mdl_kv_max_tokens(const mdl_deployment *d, double budget) {
    return mdl_kv_longest(d->kv, budget);
}

void mdl_kv_signature(const mdl_deployment *d, aic_buf *out) {
    const mdl_kv *kv = d->kv;
    const double figures[] = {kv->state, kv->per_token, kv->context_length, (double)kv->n_thinned};
    aic_buf_addn(out, (const char *)figures, sizeof figures);
    for (size_t i = 0; i < kv->n_thinned; i++) {
        const double part[] = {kv->thinned[i].bytes, kv->thinned[i].window, kv->thinned[i].every};
        aic_buf_addn(out, (const char *)part, sizeof part);
    }
}
