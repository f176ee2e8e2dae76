/* What can be swept: one model on one version of a backend, over its layouts (docs/adding-a-model.md). */
#include "sweep/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
    int code;
} situations[] = {
#define SITUATION(name, code, meaning) {#name, meaning, code},
    SWP_SITUATIONS(SITUATION)
#undef SITUATION
};

const char *swp_situation_name(swp_situation s) {
    return situations[s].name;
}

const char *swp_situation_meaning(swp_situation s) {
    return situations[s].meaning;
}

int swp_situation_code(swp_situation s) {
    return situations[s].code;
}

/* ---- layouts --------------------------------------------------------------------------------------------
 */

/* Usual layouts, as far as they fit a node. Experts of MoE models lie along moe_ep; where a model refuses
 * that, along moe_tp. */
static const mdl_parallel usual_dense[] = {{.tp = 1, .pp = 1, .dp = 1, .cp = 1},
                                           {.tp = 2, .pp = 1, .dp = 1, .cp = 1},
                                           {.tp = 4, .pp = 1, .dp = 1, .cp = 1},
                                           {.tp = 8, .pp = 1, .dp = 1, .cp = 1}};
static const mdl_parallel usual_moe[] = {{.tp = 1, .pp = 1, .dp = 1, .moe_ep = 1, .cp = 1},
                                         {.tp = 4, .pp = 1, .dp = 1, .moe_ep = 4, .cp = 1},
                                         {.tp = 8, .pp = 1, .dp = 1, .moe_ep = 8, .cp = 1},
                                         {.tp = 1, .pp = 1, .dp = 4, .moe_ep = 4, .cp = 1},
                                         {.tp = 1, .pp = 1, .dp = 8, .moe_ep = 8, .cp = 1}};

static const char *layout_text(aic_arena *a, const mdl_parallel *p) {
    const struct {
        const char *name;
        uint32_t size;
        bool always;
    } sizes[] = {{"tp", p->tp, p->dp == 1}, {"pp", p->pp, false},         {"dp", p->dp, false},
                 {"cp", p->cp, false},      {"moe_tp", p->moe_tp, false}, {"moe_ep", p->moe_ep, false}};
    char text[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].always || sizes[i].size > 1)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %u", used ? ", " : "",
                                     sizes[i].name, sizes[i].size);
    return aic_arena_strdup(a, text);
}

/* ---- gaps -----------------------------------------------------------------------------------------------
 */

/* Adds a text to a list unless it is there. */
static void add_text(const char ***texts, size_t *n, size_t *cap, const char *text) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp((*texts)[i], text) == 0)
            return;
    AIC_GROW(*texts, *n, *cap);
    (*texts)[(*n)++] = text;
}

/* The gap of this cause; equal causes of several ops have equal texts behind the op's name. */
static swp_gap *gap_of(swp_cell *cell, const char *kind, const char *table, const char *reason,
                       bool alternative) {
    for (size_t i = 0; i < cell->n_gaps; i++) {
        swp_gap *g = &cell->gaps[i];
        if (strcmp(g->reason, reason) == 0 && strcmp(g->kind, kind) == 0 && g->alternative == alternative)
            return g;
    }
    AIC_GROW(cell->gaps, cell->n_gaps, cell->cap_gaps);
    swp_gap *g = &cell->gaps[cell->n_gaps++];
    *g = (swp_gap){.kind = kind,
                   .table = aic_arena_strdup(cell->arena, table),
                   .reason = aic_arena_strdup(cell->arena, reason),
                   .alternative = alternative};
    return g;
}

/* What a refusal says behind "NAME (Kind): ". */
static const char *without_name(const char *reason, const op *o) {
    size_t n = strlen(o->name);
    const char *end = strncmp(reason, o->name, n) == 0 ? strstr(reason + n, "): ") : NULL;
    return end ? end + 3 : reason;
}

/* The op's parameters in wire form: its name and repeat are no part of what is measured. */
static const char *parameters(aic_arena *a, const op *o) {
    op nameless = *o;
    aic_buf text = {0};
    nameless.name = "";
    nameless.repeat = 1;
    op_to_json(&nameless, &text);
    const char *kept = aic_arena_strdup(a, text.data);
    aic_buf_free(&text);
    return kept;
}

static bool same_need(const swp_need *a, const swp_need *b) {
    return a->phase == b->phase && a->shape.batch == b->shape.batch && a->shape.s == b->shape.s &&
           a->shape.prefix == b->shape.prefix && a->shape.x == b->shape.x && strcmp(a->op, b->op) == 0;
}

static void add_needs(swp_gap *g, aic_arena *a, const srv_lack *l) {
    const char *text = parameters(a, l->op);
    for (size_t i = 0; i < l->n_shapes; i++) {
        swp_need need = {l->phase, text, l->reads, l->shapes[i]};
        bool known = false;
        for (size_t k = 0; k < g->n_needs && !known; k++)
            known = same_need(&g->needs[k], &need);
        if (known)
            continue;
        AIC_GROW(g->needs, g->n_needs, g->cap_needs);
        g->needs[g->n_needs++] = need;
    }
}

/* ---- one layout -----------------------------------------------------------------------------------------
 */

static bool compile(const swp_support_ask *ask, const srv_env *env, const swp_cell *cell, mdl_parallel par,
                    srv_deployment **out, aic_error *err) {
    srv_request r = ask->request;
    srv_tuning tuning;
    srv_tuning_init(&tuning);
    tuning.project = false; /* nothing is projected, so no acceptance of draft tokens is needed */
    r.mode = SRV_static;
    r.model = cell->model;
    r.system = cell->system;
    r.backend = cell->backend;
    r.version = cell->version;
    r.par = par;
    *out = srv_compile(env, &r, &tuning, err);
    return *out != NULL;
}

static bool along_tp(mdl_parallel *par) {
    if (par->moe_ep <= 1)
        return false;
    par->moe_tp = par->moe_ep;
    par->moe_ep = 0;
    return true;
}

static void refuse_layout(swp_cell *cell, swp_layout *l, const char *why) {
    l->situation = SWP_refused;
    l->why = aic_arena_strdup(cell->arena, why);
}

/* Weights alone must fit; a layout that was asked for is looked at all the same. */
static bool fits(const swp_support_ask *ask, swp_cell *cell, const srv_deployment *d, swp_layout *l) {
    const double gib = 1073741824.0, capacity = d->view->system->mem_capacity;
    double weights = (d->built.weight_bytes + d->built.encoder_weight_bytes) / d->built.par.pp;
    if (ask->layout_given || !(capacity > 0) || weights < capacity)
        return true;
    char text[96];
    snprintf(text, sizeof text, "weights of %.4g GiB per GPU do not fit its %.4g GiB", weights / gib,
             capacity / gib);
    refuse_layout(cell, l, text);
    return false;
}

static swp_op *summary_of(swp_cell *cell, const srv_probed *p) {
    for (size_t i = 0; i < cell->n_ops; i++)
        if (cell->ops[i].phase == p->phase && strcmp(cell->ops[i].name, p->op->name) == 0 &&
            strcmp(cell->ops[i].kind, p->op->desc->kind) == 0)
            return &cell->ops[i];
    AIC_GROW(cell->ops, cell->n_ops, cell->cap_ops);
    swp_op *o = &cell->ops[cell->n_ops++];
    *o = (swp_op){
        .phase = p->phase, .name = aic_arena_strdup(cell->arena, p->op->name), .kind = p->op->desc->kind};
    return o;
}

static void summarise(swp_cell *cell, const srv_probe *probe) {
    for (size_t i = 0; i < probe->n_ops; i++) {
        swp_op *o = summary_of(cell, &probe->ops[i]);
        o->layouts++;
        o->lacking += probe->ops[i].lacks;
        o->latency += probe->ops[i].latency;
        for (int c = 0; c < OP_COVERS; c++)
            o->cover[c] += probe->ops[i].cover[c];
    }
}

/* Ops that measurements would not help refuse the layout; the others are gaps. */
static void take_lacks(const swp_support_ask *ask, swp_cell *cell, const srv_probe *p, swp_layout *l) {
    for (size_t i = 0; i < p->n_lacks && l->situation != SWP_refused; i++)
        if (p->lacks[i].cls != OP_MISSING)
            refuse_layout(cell, l, p->lacks[i].reason);
    for (size_t i = 0; i < p->n_lacks && l->situation != SWP_refused; i++) {
        const srv_lack *lack = &p->lacks[i];
        swp_gap *g = gap_of(cell, lack->op->desc->kind, lack->table, without_name(lack->reason, lack->op),
                            lack->alternative);
        l->situation = SWP_S2;
        add_text(&g->ops, &g->n_ops, &g->cap_ops, aic_arena_strdup(cell->arena, lack->op->name));
        add_text(&g->layouts, &g->n_layouts, &g->cap_layouts, l->text);
        if (ask->needs)
            add_needs(g, cell->arena, lack);
    }
}

static void assess_built(const swp_support_ask *ask, swp_cell *cell, const srv_deployment *d, swp_layout *l) {
    srv_probe probe;
    if (!fits(ask, cell, d, l))
        return;
    srv_probe_ops(d, d->arena, &probe);
    take_lacks(ask, cell, &probe, l);
    if (ask->needs && l->situation != SWP_refused)
        summarise(cell, &probe);
    for (int c = 0; l->situation == SWP_S1 && c < OP_COVERS; c++)
        cell->cover[c] += probe.cover[c];
}

/* A deployment that was refused whole: missing data is a gap without an op. */
static void assess_refused(swp_cell *cell, const srv_deployment *d, swp_layout *l) {
    if (d->refused != SRV_ST_missing || d->why.cls != OP_MISSING) {
        refuse_layout(cell, l, d->why.text);
        return;
    }
    swp_gap *g = gap_of(cell, "", "", d->why.text, false);
    l->situation = SWP_S2;
    add_text(&g->layouts, &g->n_layouts, &g->cap_layouts, l->text);
}

static bool assess_layout(const swp_support_ask *ask, const srv_env *env, swp_cell *cell, mdl_parallel par,
                          aic_error *err) {
    srv_deployment *d;
    swp_layout *l = &cell->layouts[cell->n_layouts];
    if (!compile(ask, env, cell, par, &d, err))
        return false;
    mdl_parallel other = par;
    if (d->refused == SRV_ST_invalid && !ask->layout_given && along_tp(&other)) {
        srv_free(d);
        if (!compile(ask, env, cell, other, &d, err))
            return false;
    }
    const mdl_parallel *effective = d->built.par.tp ? &d->built.par : &par;
    *l = (swp_layout){.par = *effective, .situation = SWP_S1, .text = layout_text(cell->arena, effective)};
    cell->n_layouts++;
    if (d->refused == SRV_ST_ok)
        assess_built(ask, cell, d, l);
    else
        assess_refused(cell, d, l);
    srv_free(d);
    return true;
}

/* ---- one cell -------------------------------------------------------------------------------------------
 */

/* The cell's situation from its layouts'. */
static void conclude(swp_cell *cell) {
    for (size_t i = 0; i < cell->n_layouts; i++) {
        cell->n_covered += cell->layouts[i].situation == SWP_S1;
        cell->n_admitted += cell->layouts[i].situation != SWP_refused;
    }
    for (int c = 0; cell->n_covered && c < OP_COVERS; c++)
        cell->cover[c] /= (double)cell->n_covered;
    if (cell->n_admitted == 0) {
        cell->situation = SWP_refused;
        cell->reason =
            cell->n_layouts ? cell->layouts[cell->n_layouts - 1].why : "no usual layout fits a node";
    } else if (cell->n_gaps) {
        cell->situation = SWP_S2;
        cell->reason = cell->gaps[0].reason;
    }
}

void swp_assess_unknown(swp_cell *cell, const char *reason) {
    cell->situation = SWP_S3;
    cell->reason = aic_arena_strdup(cell->arena, reason);
}

void swp_assess(const swp_support_ask *ask, const srv_env *env, const mdl_model *m, const pdb_system *sys,
                swp_cell *cell) {
    const mdl_parallel *list = m->is_moe ? usual_moe : usual_dense;
    size_t n = m->is_moe ? sizeof usual_moe / sizeof *usual_moe : sizeof usual_dense / sizeof *usual_dense;
    aic_error err = {0};
    if (ask->layout_given) {
        list = &ask->request.par;
        n = 1;
    }
    cell->layouts = aic_arena_alloc(cell->arena, n, sizeof *cell->layouts);
    for (size_t i = 0; i < n; i++) {
        if (!ask->layout_given && list[i].tp * list[i].dp > sys->gpus_per_node)
            continue;
        if (!assess_layout(ask, env, cell, list[i], &err)) {
            swp_assess_unknown(cell, err.text);
            return;
        }
    }
    conclude(cell);
}
