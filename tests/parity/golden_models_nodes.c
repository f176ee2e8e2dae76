/* Exchanges that carry tokens to experts on other nodes: which one a layout gets. */
#include "parity/golden_models_internal.h"
#include <string.h>

static void compare_name(record *r, const char *phase, const aic_node *want, const char *have) {
    const char *name = golden_text(want);
    if ((name == NULL) != (have == NULL) || (name && strcmp(name, have) != 0))
        differs(r, "%s exchange is %s, not %s", phase, have ? have : "none", name ? name : "none");
}

/* The modes fixed together with an exchange; before what the system changes in expert modes. */
static void compare_fixed(record *r, const mdl_deployment *d) {
    const char *fmha = golden_text(aic_map_get(r->n, "fmha")), *kv = golden_text(aic_map_get(r->n, "kv"));
    mdl_quants want = {.gemm = d->quants.gemm,
                       .moe = d->quants.moe,
                       .comm = d->quants.comm,
                       .fmha = pdb_quant_parse(fmha ? fmha : "", PDB_FMHA),
                       .kvcache = pdb_quant_parse(kv ? kv : "", PDB_KV)};
    compare_modes(r, "fixed", &want, &d->quants);
}

void compare_choice(record *r) {
    r->count = count_of(r->g, "exchange", NULL);
    const char *system = golden_text(aic_map_get(r->n, "system"));
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    if (!m)
        return;
    if (!r->g->db || !pdb_system_has_data(r->g->db, system)) {
        skip(r, "no measured tables of the system");
        return;
    }
    aic_error err = {0};
    mdl_request req = {.backend = golden_text(aic_map_get(r->n, "backend")),
                       .par = {golden_u32(aic_map_get(r->n, "tp_size")), 1,
                               golden_u32(aic_map_get(r->n, "attention_dp_size")),
                               golden_u32(aic_map_get(r->n, "moe_tp_size")),
                               golden_u32(aic_map_get(r->n, "moe_ep_size")), 1},
                       .context_role = true,
                       .a2a_phases = MDL_A2A_CONTEXT | MDL_A2A_GENERATION};
    req.view = pdb_view_get(r->g->db, system, req.backend, golden_text(aic_map_get(r->n, "version")), true,
                            false, &err);
    mdl_deployment d;
    op_refusal why = {0};
    const char *error = golden_text(aic_map_get(r->n, "message"));
    const aic_node *selected = aic_map_get(r->n, "selected");
    if (!req.view) {
        differs(r, "%s", err.text);
    } else if (error) {
        if (mdl_build(m, &req, r->arena, &d, &why, &err))
            differs(r, "not refused; reference: %s", error);
        else
            compare_refusal(r, error, &why);
    } else if (!mdl_build(m, &req, r->arena, &d, &why, &err)) {
        /* the reference only chose here; what the graph refuses comes later */
        skip(r, "refused after the choice");
    } else {
        compare_name(r, "context", aic_map_get(selected, "context"), d.a2a_context);
        compare_name(r, "generation", aic_map_get(selected, "generation"), d.a2a_generation);
        if (d.a2a_context)
            compare_fixed(r, &d);
        r->count->same += !r->failed;
    }
}
