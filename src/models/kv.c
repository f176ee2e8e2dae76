/* KV-cache bytes of one sequence on one GPU, and the longest sequence that fits a budget
 * (docs/model/memory.md).
 *
 * Every product is integer-valued and below 2^53, hence exact in double whatever the order. */
#include "models/internal.h"
#include <math.h>
#include <string.h>

double mdl_floordiv(double a, double b) {
    double rest = fmod(a, b);
    double q = (a - rest) / b;
    double floored = floor(q);
    return q - floored > 0.5 ? floored + 1.0 : floored;
}

/* p[0] elements for every token. */
static double linear_bytes(const mdl_kv *kv, double n) {
    return kv->element * kv->p[0] * n;
}

static double linear_max(const mdl_kv *kv, double budget) {
    double token = linear_bytes(kv, 1.0);
    if (!(budget > 0.0) || !(token > 0.0))
        return 0.0;
    return mdl_floordiv(budget, token);
}

/* p[0] elements per token in layers that keep at most p[2] tokens (0 = no limit), p[1] in the others. */
static double windowed_bytes(const mdl_kv *kv, double n) {
    double kept = kv->p[2] > 0.0 && kv->p[2] < n ? kv->p[2] : n;
    return kv->element * (kv->p[0] * kept + kv->p[1] * n);
}

/* Doubles until the budget is passed, then bisects. A cache that stops growing holds any length. */
static double windowed_max(const mdl_kv *kv, double budget) {
    if (!(budget > 0.0) || !(windowed_bytes(kv, 1.0) > 0.0))
        return 0.0;
    double high = 1.0;
    while (windowed_bytes(kv, high) <= budget) {
        double next = 2.0 * high;
        if (windowed_bytes(kv, next) == windowed_bytes(kv, high))
            return kv->context_length > 0.0 ? kv->context_length : next;
        high = next;
    }
    double low = floor(high / 2.0);
    while (low + 1.0 < high) {
        double middle = floor((low + high) / 2.0);
        if (windowed_bytes(kv, middle) <= budget)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static const mdl_kv_fn functions[] = {
    {"linear", {"per_token"}, linear_bytes, linear_max},
    {"windowed", {"capped", "full", "window"}, windowed_bytes, windowed_max},
};

const mdl_kv_fn *mdl_kv_find(const char *name) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

const mdl_kv_fn *mdl_kv_at(size_t i) {
    return i < sizeof functions / sizeof *functions ? &functions[i] : NULL;
}

/* The first rule whose condition holds; NULL with an error when none does. */
static const mdl_kv_rule *pick_rule(const mdl_graph *g, mdl_frame *f, aic_error *err) {
    for (size_t i = 0; i < g->n_kv; i++) {
        bool yes;
        if (!mdl_eval_true(g->kv[i].when, f, &yes, err))
            return NULL;
        if (yes)
            return &g->kv[i];
    }
    aic_fail(err, AIC_BAD_INPUT, "%s: no rule under kv: fits this deployment", g->file);
    return NULL;
}

bool mdl_kv_make(const mdl_graph *g, mdl_frame *f, mdl_kv *out, aic_error *err) {
    const mdl_kv_rule *rule = pick_rule(g, f, err);
    if (!rule)
        return false;
    *out = (mdl_kv){.fn = rule->fn,
                    .element = pdb_quant_get(f->quant->modes.kvcache)->bytes,
                    .context_length = (double)f->model->pub.context};
    for (size_t i = 0; i < MDL_KV_PARAMS && rule->fn->params[i]; i++) {
        aic_value v;
        if (!mdl_eval(rule->p[i], f, &v, err))
            return false;
        if (!aic_as_real(&v, &out->p[i]) || !(out->p[i] >= 0.0))
            return aic_fail(err, AIC_BAD_INPUT, "%s: kv parameter %s gave %s, not a number from 0 up",
                            g->file, rule->fn->params[i], aic_vtype_name(v.type));
    }
    return true;
}

double mdl_kv_bytes(const mdl_deployment *d, double n) {
    const mdl_kv *kv = d->kv;
    return kv->fn->bytes(kv, n > 0.0 ? n : 0.0);
}

double mdl_kv_max_tokens(const mdl_deployment *d, double budget) {
    const mdl_kv *kv = d->kv;
    return kv->fn->max_tokens(kv, budget);
}
