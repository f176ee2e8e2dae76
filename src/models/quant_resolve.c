/* From inferred to effective modes (docs/model/quantisation_inference.md).
 *
 * Without a database only the base rule applies. With one the steps of a single-point estimate come first, in
 * this order: attention math by what is measured, expert kernels by system, 4-bit floats as storage only
 * where the hardware has no math for them. */
#include "models/internal.h"

enum { BLACKWELL = 100 }; /* first SM version with FP4 tensor cores */

/* Modes while they are resolved: `set` holds what was given or fixed so far. */
typedef struct resolver {
    const mdl_entry *model;
    const mdl_request *request;
    mdl_quants set;
    op_refusal *why;
    aic_error *err;
    aic_arena *scratch;
} resolver;

static pdb_quant first_set(pdb_quant a, pdb_quant b, pdb_quant c) {
    return a != PDB_Q_UNSET ? a : b != PDB_Q_UNSET ? b : c;
}

/* What is set, else inferred, else the unquantised mode. */
static mdl_quants filled(const resolver *r) {
    const mdl_quants *i = &r->model->pub.inferred, *s = &r->set;
    return (mdl_quants){.gemm = first_set(s->gemm, i->gemm, PDB_Q_bfloat16),
                        .moe = first_set(s->moe, i->moe, PDB_Q_bfloat16),
                        .kvcache = first_set(s->kvcache, i->kvcache, PDB_Q_bfloat16),
                        .fmha = first_set(s->fmha, i->fmha, PDB_Q_bfloat16),
                        .comm = first_set(s->comm, i->comm, PDB_Q_half)};
}

/* A mode by its kind; kinds without corrections have none. */
static pdb_quant *mode_of(mdl_quants *q, unsigned kind) {
    return kind == PDB_MOE ? &q->moe : kind == PDB_KV ? &q->kvcache : &q->fmha;
}

static bool holds(const resolver *r, const aic_expr *when, const mdl_quants *modes, bool *yes) {
    mdl_resolved quant = {.modes = *modes};
    mdl_parallel par = r->request->par;
    mdl_frame f = {
        .model = r->model, .request = r->request, .par = &par, .quant = &quant, .arena = r->scratch};
    return mdl_eval_true(when, &f, yes, r->err);
}

/* Applies on_build to modes of the kinds (bits) that arrived unset, each seeing what those before it did. */
static bool correct(const resolver *r, unsigned kinds, mdl_quants *modes) {
    const mdl_corrections *all = &r->model->archs->on_build;
    mdl_quants set = r->set;
    for (size_t i = 0; i < all->count; i++) {
        const mdl_correction *c = &all->items[i];
        bool yes;
        if (!(c->kind & kinds) || *mode_of(&set, c->kind) != PDB_Q_UNSET)
            continue;
        if (!holds(r, c->when, modes, &yes))
            return false;
        if (yes)
            *mode_of(modes, c->kind) = c->to;
    }
    return true;
}

/* FP8 attention math needs measured FP8 prefill attention; inferred FP8 gives way, a given one is refused. */
static bool fit_fmha_to_data(resolver *r) {
    pdb_quant inferred = r->model->pub.inferred.fmha;
    if (!r->request->context_role || first_set(r->set.fmha, inferred, PDB_Q_UNSET) != PDB_Q_fp8)
        return true;
    pdb_quant kv = first_set(r->set.kvcache, r->model->pub.inferred.kvcache, PDB_Q_UNSET);
    uint64_t have = mdl_fmha_modes(r->model, r->request->view, kv);
    if (have == 0 || have & (UINT64_C(1) << PDB_Q_fp8))
        return true;
    if (r->set.fmha == PDB_Q_fp8) {
        op_refuse(r->why, OP_MISSING,
                  "no prefill attention with fp8 math was measured on %s, %s %s; ask for fmha bfloat16, or "
                  "leave fmha out",
                  r->request->view->system->name, r->request->view->backend, r->request->view->version);
        return false;
    }
    if (have & (UINT64_C(1) << PDB_Q_bfloat16))
        r->set.fmha = PDB_Q_bfloat16;
    return true;
}

/* Fixes modes that nobody gave; the first correction of a mode that applies. */
static bool fix(resolver *r, const mdl_corrections *all) {
    mdl_quants modes = filled(r);
    for (size_t i = 0; i < all->count; i++) {
        const mdl_correction *c = &all->items[i];
        pdb_quant *set = mode_of(&r->set, c->kind);
        bool yes;
        if (*set != PDB_Q_UNSET)
            continue;
        if (!holds(r, c->when, &modes, &yes))
            return false;
        if (yes)
            *set = c->to;
    }
    return true;
}

/* Below Blackwell nvfp4 is a storage format: weights are widened before the math. */
static bool store_nvfp4(resolver *r) {
    if (r->request->view->system->sm_version >= BLACKWELL)
        return true;
    mdl_quants modes = filled(r);
    if (!correct(r, PDB_MOE, &modes))
        return false;
    if (modes.gemm == PDB_Q_nvfp4)
        r->set.gemm = PDB_Q_nvfp4_wo;
    if (modes.moe == PDB_Q_nvfp4)
        r->set.moe = PDB_Q_nvfp4_wo;
    return true;
}

bool mdl_fix_modes(const mdl_entry *m, const mdl_request *req, const mdl_corrections *all, mdl_quants *given,
                   aic_arena *scratch, aic_error *err) {
    resolver r = {m, req, *given, NULL, err, scratch};
    bool ok = fix(&r, all);
    *given = r.set;
    return ok;
}

bool mdl_resolve_plain(const mdl_entry *m, const mdl_request *req, aic_arena *scratch, mdl_quants *out,
                       aic_error *err) {
    resolver r = {m, req, req->given, NULL, err, scratch};
    *out = filled(&r);
    return correct(&r, PDB_MOE | PDB_FMHA | PDB_KV, out);
}

bool mdl_resolve(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_resolved *out,
                 op_refusal *why, aic_error *err) {
    why->cls = OP_OK;
    resolver r = {mdl_entry_of(m), req, req->given, why, err, scratch};
    bool across = req->a2a_context || req->a2a_generation; /* modes were fixed with the exchange */
    bool ok = !req->view ||
              ((across || fit_fmha_to_data(&r)) && fix(&r, &r.model->archs->on_system) && store_nvfp4(&r));
    out->gemm_given = r.set.gemm != PDB_Q_UNSET;
    out->modes = filled(&r);
    return ok && correct(&r, PDB_MOE | PDB_FMHA | PDB_KV, &out->modes);
}

/* Models that the search does not offer on the system. */
static bool check_bans(resolver *r) {
    const mdl_archs *archs = r->model->archs;
    mdl_quants modes = filled(r);
    for (size_t i = 0; i < archs->n_banned; i++) {
        bool yes;
        if (!holds(r, archs->banned_from_search[i].when, &modes, &yes))
            return false;
        if (yes) {
            op_refuse(r->why, OP_INVALID, "%s", archs->banned_from_search[i].text);
            return false;
        }
    }
    return true;
}

/* FP8 attention math that was not asked for gives way to bfloat16 where only that was measured. */
static void fit_searched_fmha(const resolver *r, mdl_quants *modes) {
    pdb_quant kv = first_set(r->request->given.kvcache, r->model->pub.inferred.kvcache, PDB_Q_UNSET);
    if (!r->request->context_role || r->request->given.fmha != PDB_Q_UNSET || modes->fmha != PDB_Q_fp8)
        return;
    uint64_t have = mdl_fmha_modes(r->model, r->request->view, kv);
    if (have & (UINT64_C(1) << PDB_Q_bfloat16) && !(have & (UINT64_C(1) << PDB_Q_fp8)))
        modes->fmha = PDB_Q_bfloat16;
}

bool mdl_resolve_search(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_quants *out,
                        op_refusal *why, aic_error *err) {
    why->cls = OP_OK;
    resolver r = {mdl_entry_of(m), req, req->given, why, err, scratch};
    const mdl_archs *archs = r.model->archs;
    if (!check_bans(&r) || !fix(&r, &archs->on_search) || !fix(&r, &archs->on_system) || !store_nvfp4(&r))
        return false;
    *out = filled(&r);
    if (!correct(&r, PDB_MOE, out))
        return false;
    fit_searched_fmha(&r, out);
    return true;
}

bool mdl_resolve_quants(const mdl_model *m, const mdl_request *req, mdl_quants *out, op_refusal *why) {
    aic_error err = {0};
    mdl_resolved r;
    aic_arena *scratch = aic_arena_new();
    bool ok = mdl_resolve(m, req, scratch, &r, why, &err);
    aic_arena_free(scratch);
    if (!ok && why->cls == OP_OK)
        op_refuse(why, OP_INVALID, "%s", err.text);
    *out = r.modes;
    return ok;
}
