/* The digest of everything a deployment's figures depend on, so that another run can tell that they would
 * come out the same (docs/formats/results.md, "Reuse").
 *
 * It is taken of what the compiled plan holds, not of the files it came from: a catalogue entry or a graph
 * that changes without changing op lists leaves the digest alone. Lists go in by their own digests, which
 * deployments that share lists share (outline.c).
 */
#include "serving/figures.h"
#include "serving/internal.h"
#include <string.h>

const char *srv_figures_digest(void) {
    return AICFG_FIGURES;
}

static void add(aic_buf *b, const void *data, size_t size) {
    aic_buf_addn(b, data, size);
}

static void add_text(aic_buf *b, const char *text) {
    aic_buf_addn(b, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_view(aic_buf *b, const pdb_view *v) {
    add_text(b, v->system->name); /* refusals of points name it */
    add_text(b, v->system->sha256);
    add_text(b, v->measured);
    add_text(b, v->backend);
    add_text(b, v->version);
    add_text(b, v->shared ? "shared" : "own");
    add_text(b, pdb_lane_default(v));
}

static void add_request(aic_buf *b, const srv_deployment *d) {
    const srv_request *r = &d->request;
    const srv_tuning *t = &d->tuning;
    const mdl_parallel *p = &d->built.par;
    const uint32_t counts[] = {(uint32_t)r->mode,
                               (uint32_t)r->database_mode,
                               d->policy,
                               p->tp,
                               p->pp,
                               p->dp,
                               p->moe_tp,
                               p->moe_ep,
                               p->cp,
                               r->nextn,
                               d->built.nextn,
                               r->max_seq_len,
                               t->beam,
                               t->stride,
                               t->honour_memory_args,
                               t->project};
    const double reals[] = {r->nextn_accepted, r->free_gpu_memory_fraction,
                            t->imbalance_ctx,  t->imbalance_gen,
                            t->latency_scale,  d->built.weight_bytes};
    add(b, counts, sizeof counts);
    add(b, reals, sizeof reals);
}

static void add_memory(aic_buf *b, const srv_deployment *d) {
    const srv_memory *m = &srv_plan_of(d)->memory;
    const double reals[] = {m->weights,   m->width, m->coefficient,     m->floor,       m->factor,
                            m->workspace, m->dp,    m->experts,         m->topk,        m->moe_ep,
                            m->nextn,     m->nccl,  m->others,          m->max_seq_len, m->capacity,
                            m->fraction,  m->keep,  (double)m->of_total};
    add(b, reals, sizeof reals);
    mdl_kv_signature(&d->built, b);
}

/* What images cost beside the encoder's ops. */
static void add_encoder(aic_buf *b, const srv_deployment *d) {
    const mdl_vision *v = &d->built.model->vision;
    const int64_t counts[] = {v->patch, v->merge, v->width, v->out, d->built.encoder_ranks};
    add(b, counts, sizeof counts);
    add(b, &d->built.encoder_weight_bytes, sizeof d->built.encoder_weight_bytes);
}

/* Lists by their digests, then the order of kernels that ops of them have. */
static void add_lists(aic_buf *b, const srv_deployment *d, const srv_lists *lists) {
    add_text(b, lists->outline->digests[SRV_PH_encoder]);
    if (srv_has_context(d->request.mode))
        add_text(b, lists->outline->digests[SRV_PH_context]);
    if (srv_has_generation(d->request.mode))
        add_text(b, lists->outline->digests[SRV_PH_generation]);
    for (int phase = 0; lists->lanes && phase < 2; phase++) {
        const op_texts *order = &lists->lanes->orders[phase];
        add(b, &order->count, sizeof order->count);
        for (size_t i = 0; i < order->count; i++)
            add_text(b, order->items[i]);
    }
}

void srv_inputs_digest(srv_deployment *d, const srv_lists *lists, const char *tables) {
    d->inputs[0] = '\0';
    if (d->refused != SRV_ST_ok || !*tables)
        return;
    aic_buf b = {0};
    add_text(&b, AICFG_FIGURES);
    add_text(&b, tables);
    add_view(&b, d->view);
    add_request(&b, d);
    add_memory(&b, d);
    add_encoder(&b, d);
    add_lists(&b, d, lists);
    aic_xxh128_text(b.data, b.len, d->inputs);
    aic_buf_free(&b);
}
