/* Compiling a deployment: rules, view, model, op lists. What stands in the way of running it is kept as a
 * refusal. */
#include "serving/shared.h"
#include <math.h>
#include <string.h>

static void refuse(srv_deployment *d, op_class cls) {
    d->why.cls = cls;
    d->refused = cls == OP_INVALID ? SRV_ST_invalid : SRV_ST_missing;
}

/* An error that is the request's fault becomes a refusal; a broken file (false) stays an error. */
static bool refuse_input(srv_deployment *d, const aic_error *err) {
    if (err->code != AIC_BAD_INPUT)
        return false;
    op_refuse(&d->why, OP_INVALID, "%s", err->text);
    refuse(d, OP_INVALID);
    return true;
}

/* Draft tokens need an acceptance; without any, a given acceptance means nothing. */
static bool check_drafts(srv_deployment *d) {
    double a = d->request.nextn_accepted, n = (double)d->request.nextn;
    if (d->request.nextn == 0 || !d->tuning.project || (a >= 0 && a <= n))
        return true;
    if (isnan(a))
        op_refuse(&d->why, OP_INVALID,
                  "nextn %u needs nextn_accepted, the draft tokens accepted per step (0 to %u)",
                  d->request.nextn, d->request.nextn);
    else
        op_refuse(&d->why, OP_INVALID, "nextn_accepted %g must lie between 0 and nextn %u", a,
                  d->request.nextn);
    refuse(d, OP_INVALID);
    return false;
}

static const srv_backend *check_request(srv_deployment *d, const srv_env *env) {
    const srv_request *r = &d->request;
    const srv_backend *b = r->backend ? srv_backend_find(env->backends, r->backend) : NULL;
    if (!op_policy_parse(r->transfer_policy, &d->policy))
        op_refuse(&d->why, OP_INVALID,
                  "transfer policy \"%s\" is not known: give " OP_POLICY_NAMES
                  " or several kinds with commas",
                  r->transfer_policy);
    else if (!b)
        op_refuse(&d->why, OP_INVALID,
                  "backend %s has no serving constants: its file under data/backends is missing",
                  r->backend ? r->backend : "(none)");
    else if (check_drafts(d))
        return b;
    refuse(d, OP_INVALID);
    return NULL;
}

/* Speed of light needs no tables: what nobody measured goes under the version "estimate". */
static bool find_view(srv_deployment *d, const srv_env *env, aic_error *err) {
    const srv_request *r = &d->request;
    bool shares = op_mode_shares(r->database_mode);
    d->view = pdb_view_get(env->db, r->system, r->backend, r->version, shares, env->allow_unlisted, err);
    if (!d->view && r->database_mode == OP_SOL && (!r->version || !*r->version)) {
        aic_error none = {0};
        d->view = pdb_view_get(env->db, r->system, r->backend, PDB_ESTIMATE, shares, true, &none);
    }
    return d->view != NULL;
}

static srv_role role_of(const srv_deployment *d) {
    srv_mode mode = d->request.mode;
    if (d->tuning.role)
        return *d->tuning.role;
    return (srv_role){.prefills = srv_has_context(mode),
                      .exchanges =
                          MDL_A2A_CONTEXT | (srv_has_generation(mode) ? (unsigned)MDL_A2A_GENERATION : 0u)};
}

static bool build_model(const srv_lease *lease, srv_deployment *d, const srv_env *env, srv_lists *lists,
                        aic_error *err) {
    const srv_request *r = &d->request;
    const srv_options *o = &r->options;
    srv_role role = role_of(d);
    d->model = mdl_get(env->models, r->model, err);
    if (!d->model)
        return false;
    mdl_request ask = {.backend = r->backend,
                       .view = d->view,
                       .par = r->par,
                       .nextn = r->nextn,
                       .given = r->quants,
                       .context_role = role.prefills,
                       .a2a_phases = role.exchanges,
                       .distribution = o->distribution,
                       .attention_backend = o->attention_backend,
                       .moe_backend = o->moe_backend,
                       .eplb = o->eplb != 0,
                       .slots = o->slots,
                       .sms = o->sms,
                       .encoder_tp = o->encoder_tp != 0,
                       .layers = o->layers};
    if (srv_shared_build(lease, &ask, d, lists, err))
        return true;
    if (d->why.cls == OP_OK)
        return false;
    refuse(d, d->why.cls);
    return true;
}

static srv_facts facts_of(const mdl_model *m) {
    return (srv_facts){.family = m->family,
                       .heads = (double)m->heads,
                       .head_dim = (double)m->head_dim,
                       .hidden = (double)m->hidden,
                       .experts = m->experts_null ? 0 : (double)m->experts,
                       .topk = (double)m->topk};
}

static double model_kv_bytes(const void *ctx, double tokens) {
    return mdl_kv_bytes(ctx, tokens);
}

static srv_deployment *new_deployment(const srv_request *req, const srv_tuning *tuning) {
    aic_arena *arena = aic_arena_new();
    srv_deployment *d = aic_arena_alloc(arena, 1, sizeof *d);
    d->arena = arena;
    d->request = *req;
    if (tuning)
        d->tuning = *tuning;
    else
        srv_tuning_init(&d->tuning);
    d->tuning.beam = d->tuning.beam ? d->tuning.beam : 1;
    d->tuning.stride = d->tuning.stride ? d->tuning.stride : 1;
    return d;
}

/* False: a broken file. */
static bool compile(const srv_lease *lease, srv_deployment *d, const srv_backend *b, const srv_env *env,
                    aic_error *err) {
    srv_lists lists;
    if (!find_view(d, env, err) || !build_model(lease, d, env, &lists, err))
        /* A graph file that does not compile is broken whatever its class; an unknown name is the request's
         * fault. */
        return d->model == NULL && refuse_input(d, err);
    if (d->refused != SRV_ST_ok)
        return true;
    srv_facts facts = facts_of(d->model);
    pdb_reads reads;
    char tables[65];
    pdb_reads_begin(&reads, d->view);
    srv_plan_build(lease, d, &lists, b, &facts, model_kv_bytes, &d->built);
    pdb_reads_end(&reads, tables);
    srv_inputs_digest(d, &lists, tables);
    srv_share_answers(d, env->answers);
    return true;
}

srv_deployment *srv_compile(const srv_env *env, const srv_request *req, const srv_tuning *tuning,
                            aic_error *err) {
    srv_deployment *d = new_deployment(req, tuning);
    const srv_backend *b = check_request(d, env);
    if (!b)
        return d;
    aic_error why = {0};
    srv_lease lease = srv_lease_take(env->shared);
    d->epoch = lease.epoch;
    bool ok = compile(&lease, d, b, env, &why);
    srv_lease_end(&lease);
    if (ok)
        return d;
    if (err)
        *err = why;
    srv_free(d);
    return NULL;
}

srv_deployment *srv_compile_ops(const srv_env *env, const srv_request *req, const srv_tuning *tuning,
                                const mdl_deployment *built, const srv_facts *facts,
                                double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx,
                                aic_error *err) {
    srv_deployment *d = new_deployment(req, tuning);
    const srv_backend *b = check_request(d, env);
    if (!b)
        return d;
    if (!find_view(d, env, err)) {
        srv_free(d);
        return NULL;
    }
    d->built = *built;
    srv_plan_alone(d, b, facts, kv_bytes, kv_ctx);
    return d;
}

void srv_free(srv_deployment *d) {
    if (!d)
        return;
    srv_epoch_release(d->epoch);
    aic_arena_free(d->arena); /* d itself lives in it */
}

static const pdb_view *view_of(const srv_env *env, const srv_request *req) {
    return pdb_view_get(env->db, req->system, req->backend, req->version, op_mode_shares(req->database_mode),
                        env->allow_unlisted, NULL);
}

bool srv_would_wait(const srv_env *env, const srv_request *req) {
    const pdb_view *view = view_of(env, req);
    return view && pdb_view_is_building(view);
}

const pdb_view *srv_expect(const srv_env *env, const srv_request *req) {
    const pdb_view *view = view_of(env, req);
    return view && pdb_view_expect(view) ? view : NULL;
}
