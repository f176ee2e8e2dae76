/* aicfg-sweep model check: op lists that count work twice, or ops that never count. */
#include "cli/model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Layouts that between them make every exchange of a model cost something. */
static const mdl_parallel layouts[] = {{.tp = 1, .pp = 1, .dp = 1, .moe_ep = 1, .cp = 1},
                                       {.tp = 4, .pp = 1, .dp = 1, .moe_ep = 4, .cp = 1},
                                       {.tp = 4, .pp = 1, .dp = 1, .moe_tp = 4, .cp = 1},
                                       {.tp = 1, .pp = 1, .dp = 4, .moe_ep = 4, .cp = 1},
                                       {.tp = 2, .pp = 2, .dp = 1, .moe_tp = 2, .cp = 1}};
enum { N_LAYOUTS = sizeof layouts / sizeof *layouts, MOST = 256 };

/* An op over all layouts. */
typedef struct tally {
    const char *name, *kind;
    srv_phase phase;
    bool answered, counts; /* it has answers; one of them is above zero */
} tally;

typedef struct checks {
    aic_arena *arena;
    const char *warnings[MOST];
    size_t n_warnings, n_built;
    tally *ops;
    size_t n_ops, cap_ops;
    op_refusal why; /* of the last layout that could not be built */
} checks;

static void warn(checks *c, const char *text) {
    for (size_t i = 0; i < c->n_warnings; i++)
        if (strcmp(c->warnings[i], text) == 0)
            return;
    if (c->n_warnings < MOST)
        c->warnings[c->n_warnings++] = aic_arena_strdup(c->arena, text);
}

static tally *tally_of(checks *c, const srv_probed *p) {
    for (size_t i = 0; i < c->n_ops; i++)
        if (c->ops[i].phase == p->phase && strcmp(c->ops[i].name, p->op->name) == 0)
            return &c->ops[i];
    AIC_GROW(c->ops, c->n_ops, c->cap_ops);
    tally *t = &c->ops[c->n_ops++];
    *t = (tally){aic_arena_strdup(c->arena, p->op->name), p->op->desc->kind, p->phase, false, false};
    return t;
}

/* What the ops cost, where they have data. */
static void count_costs(checks *c, const srv_deployment *d) {
    srv_probe probe;
    srv_probe_ops(d, d->arena, &probe);
    for (size_t i = 0; i < probe.n_ops; i++) {
        tally *t = tally_of(c, &probe.ops[i]);
        t->answered = t->answered || !probe.ops[i].lacks;
        t->counts = t->counts || probe.ops[i].latency > 0;
    }
}

static bool check_layout(checks *c, const srv_env *env, const swp_row *row, const mdl_parallel *par,
                         aic_error *err) {
    srv_request r = row->request;
    r.mode = SRV_static;
    r.nextn = 0; /* draft tokens would repeat ops by fractions of a layer */
    r.par = *par;
    srv_deployment *d = srv_compile(env, &r, NULL, err);
    if (!d)
        return false;
    if (d->built.context.count + d->built.generation.count > 0) {
        op_texts found = mdl_check(&d->built, d->arena);
        c->n_built++;
        for (size_t i = 0; i < found.count; i++)
            warn(c, found.items[i]);
    }
    if (d->refused == SRV_ST_ok)
        count_costs(c, d);
    else
        c->why = d->why;
    srv_free(d);
    return true;
}

static void note_idle(checks *c) {
    for (size_t i = 0; i < c->n_ops; i++) {
        const tally *t = &c->ops[i];
        if (t->answered && !t->counts)
            warn(c, aic_arena_printf(c->arena, "%s: %s (%s) costs nothing in any layout: nothing asks for it",
                                     srv_phase_name(t->phase), t->name, t->kind));
    }
}

static aic_code report(const checks *c, const char *model) {
    for (size_t i = 0; i < c->n_warnings; i++)
        printf("%s: %s\n", model, c->warnings[i]);
    if (c->n_warnings == 0)
        printf("%s: nothing found in %zu layouts\n", model, c->n_built);
    return c->n_warnings ? AIC_FINDING : AIC_OK;
}

/* Without --system: the first with data of the backend; what is found hardly depends on it. */
static const char *first_system(pdb *db, const char *backend) {
    const char *found = NULL;
    aic_arena *a = aic_arena_new();
    for (size_t i = 0; !found && i < pdb_system_count(db); i++) {
        const char **backends, *name = pdb_system_name(db, i);
        size_t n = pdb_system_has_data(db, name) ? pdb_backends(db, name, a, &backends) : 0;
        for (size_t j = 0; !found && j < n; j++)
            if (strcmp(backends[j], backend) == 0)
                found = name;
    }
    aic_arena_free(a);
    return found;
}

aic_code model_check(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    checks c = {.arena = aic_arena_new()};
    aic_code code = AIC_OK;
    swp_row asked = *row;
    (void)args;
    if (!asked.request.system && (asked.request.system = first_system(env->db, asked.request.backend)))
        printf("on %s (choose with --system)\n", asked.request.system);
    if (!asked.request.system)
        aic_fail(err, AIC_BAD_INPUT, "model check: no system has data of %s: name one with --system",
                 asked.request.backend);
    for (size_t i = 0; err->code == AIC_OK && i < N_LAYOUTS; i++)
        check_layout(&c, env, &asked, &layouts[i], err);
    if (err->code == AIC_OK && c.n_built == 0)
        aic_fail(err, AIC_BAD_INPUT, "model check: no layout of %s can be built: %s", row->request.model,
                 c.why.text);
    if (err->code == AIC_OK) {
        note_idle(&c);
        code = report(&c, row->request.model);
    }
    free(c.ops);
    aic_arena_free(c.arena);
    return err->code != AIC_OK ? err->code : code;
}
