/* A point and its deployment against a reference record. */
#include "parity/golden_serving_internal.h"

#include <math.h>
#include <string.h>

double golden_real(const aic_node *map, const char *key, double otherwise) {
    return golden_number(aic_map_get(map, key), otherwise);
}

uint32_t golden_size(const aic_node *map, const char *key, uint32_t otherwise) {
    const aic_node *n = aic_map_get(map, key);
    return n && n->kind == AIC_K_INT ? (uint32_t)n->i : otherwise;
}

srv_workload golden_load(const aic_node *map, srv_workload otherwise) {
    return (srv_workload){
        .batch = golden_size(map, "batch_size", otherwise.batch),
        .isl = golden_size(map, "isl", otherwise.isl),
        .osl = golden_size(map, "osl", otherwise.osl),
        .prefix = golden_size(map, "prefix", otherwise.prefix),
        .images = {.count = golden_size(map, "num_images_per_request", golden_size(map, "num_images", 1)),
                   .height = golden_size(map, "image_height", 0),
                   .width = golden_size(map, "image_width", 0),
                   .tokens = golden_size(map, "num_image_tokens", 0)}};
}

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void expect_paths_agree(golden_record *r, const srv_deployment *d) {
    size_t n_rows = d->n_rows;
    const srv_block *a = &r->c->fast, *b = &r->c->plain;
    for (size_t i = 0; i < a->n; i++) {
        const srv_point of_a = srv_points_get(&a->points, i), of_b = srv_points_get(&b->points, i);
        const srv_point *p = &of_a, *q = &of_b;
        bool same = p->status == q->status && p->kv_oom == q->kv_oom && a->priced[i] == b->priced[i] &&
                    p->carried == q->carried && p->tier == q->tier &&
                    (p->reason == q->reason || (p->reason && q->reason && strcmp(p->reason, q->reason) == 0));
        const double *x = &p->ttft, *y = &q->ttft; /* from here on a point is doubles alone */
        for (size_t f = 0; f < (sizeof *p - offsetof(srv_point, ttft)) / sizeof(double); f++)
            same = same && same_bits(x[f], y[f]);
        same = same && p->encodes == q->encodes && p->visual_tokens == q->visual_tokens;
        for (size_t at = i * n_rows + srv_first_row(d, p->encodes); a->priced[i] && at < (i + 1) * n_rows;
             at++)
            same = same && same_bits(a->latency[at], b->latency[at]) &&
                   same_bits(a->energy[at], b->energy[at]) && a->source[at] == b->source[at] &&
                   a->basis[at] == b->basis[at];
        if (!same)
            golden_differ(r,
                          "the two evaluation paths differ at batch %u, isl %u, osl %u, prefix %u, %u images",
                          p->load.batch, p->load.isl, p->load.osl, p->load.prefix, p->load.images.count);
    }
}

const srv_point *golden_evaluate(golden_record *r, const srv_deployment *d, const srv_workload *w) {
    srv_evaluate(d, w, 1, &r->c->fast);
    srv_evaluate_plain(d, w, 1, &r->c->plain);
    expect_paths_agree(r, d);
    r->c->point = srv_points_get(&r->c->fast.points, 0);
    return &r->c->point;
}

/* The point's images, one more, or none. */
static mdl_images images_of(const srv_workload *w, uint32_t i) {
    mdl_images images = w->images;
    images.count = i % 3 == 2 ? 0 : images.count + i % 3;
    return images;
}

/* A block around the point: shapes shared in every way a grid can share them. */
void golden_check_grid(golden_record *r, const srv_deployment *d, const srv_workload *w) {
    srv_workload loads[64];
    size_t n = 0;
    for (uint32_t batch = 0; batch < 2; batch++)
        for (uint32_t isl = 0; isl < 4; isl++)
            for (uint32_t osl = 0; osl < 3; osl++)
                for (uint32_t prefix = 0; prefix < 2; prefix++)
                    loads[n++] = (srv_workload){.batch = w->batch + batch * 3,
                                                .isl = w->isl + isl * 16,
                                                .osl = w->osl / (osl + 1),
                                                .prefix = prefix ? w->prefix : w->isl / 2,
                                                .images = images_of(w, isl + osl)};
    srv_evaluate(d, loads, n, &r->c->fast);
    srv_evaluate_plain(d, loads, n, &r->c->plain);
    expect_paths_agree(r, d);
}

void golden_expect_refusal(golden_record *r, srv_status got, const char *text, const char *error) {
    srv_status want =
        strcmp(error, "PerfDataNotAvailableError") == 0 || strcmp(error, "MissingSystemFlopsError") == 0
            ? SRV_ST_missing
            : SRV_ST_invalid;
    if (got != want)
        golden_differ(r, "%s (%s), expected %s", srv_status_name(got), text ? text : "-", error);
}

/* [[name, latency, energy, source], ...] against rows of the point. */
void golden_expect_rows(golden_record *r, const srv_deployment *d, const aic_node *list, size_t first,
                        size_t n) {
    const srv_block *b = &r->c->fast;
    if (!list || list->kind != AIC_K_LIST)
        return;
    if (list->count == 0) { /* the reference has no rows for a phase that did not run */
        for (size_t i = first; i < first + n; i++)
            if (b->latency[i] != 0)
                golden_differ(r, "row %s: expected nothing", d->rows[i].name);
        return;
    }
    if (list->count != n)
        golden_differ(r, "%zu rows, expected %zu", n, list->count);
    for (size_t i = 0; i < n && i < list->count; i++) {
        const aic_node *want = list->items[i];
        golden_expect_text(r, "row", d->rows[first + i].name, want->items[0]);
        golden_expect_number(r, d->rows[first + i].name, b->latency[first + i], want->items[1]);
        golden_expect_number(r, "energy", b->energy[first + i], want->items[2]);
        golden_expect_text(r, d->rows[first + i].name, op_source_name((op_source)b->source[first + i]),
                           want->items[3]);
    }
}

static void expect_size(golden_record *r, const aic_node *row, const char *what, uint32_t got) {
    const aic_node *n = aic_map_get(row, what);
    if (n && golden_u32(n) != got) /* null reads as 0 here */
        golden_differ(r, "%s: %u, expected %u", what, got, golden_u32(n));
}

static void expect_layout(golden_record *r, const srv_deployment *d, const aic_node *row) {
    const mdl_parallel *par = &d->built.par;
    expect_size(r, row, "tp", par->tp);
    expect_size(r, row, "pp", par->pp);
    expect_size(r, row, "dp", par->dp);
    expect_size(r, row, "cp", par->cp);
    expect_size(r, row, "moe_tp", par->moe_tp);
    expect_size(r, row, "moe_ep", par->moe_ep);
    expect_size(r, row, "num_total_gpus", par->tp * par->pp * par->dp * par->cp);
}

void golden_expect_figures(golden_record *r, const srv_deployment *d, const srv_point *p,
                           const aic_node *row) {
    static const struct {
        const char *name;
        size_t offset;
    } figures[] = {
        {"ttft", offsetof(srv_point, ttft)},
        {"tpot", offsetof(srv_point, tpot)},
        {"request_latency", offsetof(srv_point, request_latency)},
        {"encoder_latency", offsetof(srv_point, encoder_latency)},
        {"encoder_memory", offsetof(srv_point, encoder_memory)},
        {"context_latency", offsetof(srv_point, context_latency)},
        {"generation_latency", offsetof(srv_point, generation_latency)},
        {"seq/s", offsetof(srv_point, seq_per_s)},
        {"seq/s/gpu", offsetof(srv_point, seq_per_s_per_gpu)},
        {"tokens/s", offsetof(srv_point, tokens_per_s)},
        {"tokens/s/gpu", offsetof(srv_point, tokens_per_s_per_gpu)},
        {"tokens/s/user", offsetof(srv_point, tokens_per_s_per_user)},
        {"concurrency", offsetof(srv_point, concurrency)},
        {"global_bs", offsetof(srv_point, concurrency)},
        {"memory", offsetof(srv_point, memory)},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        double got;
        memcpy(&got, (const char *)p + figures[i].offset, sizeof got);
        golden_expect_number(r, figures[i].name, got, aic_map_get(row, figures[i].name));
    }
    golden_expect_text(r, "version", d->view->version, aic_map_get(row, "version"));
    expect_layout(r, d, row);
}

void golden_expect_modes(golden_record *r, const srv_deployment *d, const aic_node *row) {
    const mdl_quants *q = &d->built.quants;
    const struct {
        const char *name;
        pdb_quant q;
    } modes[] = {
        {"gemm", q->gemm}, {"moe", q->moe}, {"kvcache", q->kvcache}, {"fmha", q->fmha}, {"comm", q->comm}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        golden_expect_text(r, modes[i].name, pdb_quant_get(modes[i].q)->name,
                           aic_map_get(row, modes[i].name));
}

static void expect_memory(golden_record *r, const srv_deployment *d, const srv_point *p) {
    const aic_node *m = aic_map_get(r->node, "memory"), *kv = aic_map_get(r->node, "kv_per_seq");
    golden_expect_number(r, "memory total", p->memory, aic_map_get(m, "total"));
    golden_expect_number(r, "weights", p->weights, aic_map_get(m, "weights"));
    golden_expect_number(r, "activations", p->activations, aic_map_get(m, "activations"));
    golden_expect_number(r, "kvcache", p->kvcache, aic_map_get(m, "kvcache"));
    golden_expect_number(r, "nccl", p->nccl, aic_map_get(m, "nccl"));
    golden_expect_number(r, "others", p->others, aic_map_get(m, "others"));
    const srv_memory *plan = &srv_plan_of(d)->memory;
    if (kv)
        golden_expect_number(r, "KV bytes of a sequence", plan->kv_bytes(plan->kv_ctx, kv->items[1]->r),
                             kv->items[0]);
    bool oom = aic_map_get(r->node, "oom")->b, kv_oom = aic_map_get(r->node, "kv_oom")->b;
    srv_status want = oom || kv_oom ? SRV_ST_oom : SRV_ST_ok;
    if (p->status != want || p->kv_oom != kv_oom)
        golden_differ(r, "status %s%s, expected oom %d, KV oom %d", srv_status_name(p->status),
                      p->kv_oom ? " (KV)" : "", oom, kv_oom);
}

/* Every value of a static record against the point of a deployment. memory: its figures can be compared. */
void golden_compare_static(golden_record *r, const srv_deployment *d, bool modes, bool memory) {
    srv_workload w = golden_load(aic_map_get(r->node, "runtime"), (srv_workload){0});
    const aic_node *row = aic_map_get(r->node, "row");
    const char *error = golden_text(aic_map_get(r->node, "error"));
    if (d->refused != SRV_ST_ok) {
        if (error)
            golden_expect_refusal(r, d->refused, d->why.text, error);
        else
            golden_differ(r, "deployment refused: %s", d->why.text);
        golden_finish(r, true);
        return;
    }
    const srv_point *p = golden_evaluate(r, d, &w);
    if (error) {
        golden_expect_refusal(r, p->status, p->reason, error);
    } else if (p->status == SRV_ST_missing || p->status == SRV_ST_invalid) {
        golden_differ(r, "%s: %s", srv_status_name(p->status), p->reason);
    } else {
        size_t first = d->n_encoder_rows, n = d->n_context_rows;
        golden_expect_rows(r, d, aic_map_get(r->node, "encoder"), srv_first_row(d, p->encodes),
                           p->encodes ? first : 0);
        golden_expect_rows(r, d, aic_map_get(r->node, "context"), first, n);
        golden_expect_rows(r, d, aic_map_get(r->node, "generation"), first + n, d->n_rows - first - n);
        if (memory)
            expect_memory(r, d, p);
        srv_point point = *p;
        if (!memory)
            point.memory = golden_real(row, "memory", NAN);
        golden_expect_figures(r, d, &point, row);
        if (modes)
            golden_expect_modes(r, d, row);
        double latency = p->encoder_latency + p->context_latency + p->generation_latency;
        double energy = p->encoder_energy + p->context_energy + p->generation_energy;
        golden_expect_number(r, "power", latency > 0 ? energy / latency : 0, aic_map_get(row, "power_w"));
    }
    golden_check_grid(r, d, &w);
    golden_finish(r, error != NULL);
}
