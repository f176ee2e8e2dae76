/* Synthetic deployments: ops whose answers are plain arithmetic on the fields they claim to read, so that the
 * two evaluation paths can be compared without a database. */
#ifndef AICFG_TESTS_SERVING_FIXTURE_H
#define AICFG_TESTS_SERVING_FIXTURE_H

#include "serving/internal.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct fake_params {
    double base, slope;
    double energy;        /* per ms */
    uint32_t refuse_from; /* 0 = never: refuses when its largest visible field reaches this */
    op_class refusal;
    bool poisonous; /* answers NaN energy at every shape */
    op_tier tier;   /* of every answer */
    pdb_origins from;
} fake_params;

static inline op_class fake_query(const op_bound *b, op_mode mode, const op_shape *s, op_result *out,
                                  op_refusal *why) {
    const fake_params *p = b->op->params;
    unsigned reads = b->reads;
    uint32_t batch = reads & OP_READS_BATCH ? s->batch : 0, length = reads & OP_READS_S ? s->s : 0;
    uint32_t prefix = reads & OP_READS_PREFIX ? s->prefix : 0, x = reads & OP_READS_X ? s->x : 0;
    uint32_t largest = batch > length ? batch : length;
    largest = largest > prefix ? largest : prefix;
    largest = largest > x ? largest : x;
    if (p->refuse_from && largest >= p->refuse_from)
        return op_refuse(why, p->refusal, "%s: nothing measured up there", b->op->name);
    double load = 1.0 + 0.3 * batch + 0.7 * length + 0.11 * prefix + 0.013 * x;
    *out = op_zero(length % 3 == 2 ? OP_SRC_empirical : OP_SRC_silicon);
    out->latency = (p->base + p->slope * sqrt(load)) * (mode == OP_SOL ? 0.5 : 1.0);
    out->energy = p->poisonous ? NAN : p->energy * out->latency;
    out->cover[length % 2 ? OP_MEASURED : OP_INTERPOLATED] = out->latency;
    out->tier = p->tier;
    out->from = p->from;
    out->has_sol = mode == OP_SOL;
    out->sol_math = out->latency;
    out->sol_mem = out->latency / 2;
    return OP_OK;
}

/* A Gemm-like name matters for logits only through op_is_logits, which wants the real kind; fakes are never
 * logits. What an op reads is in its kind's name, and its params are fields, so that signatures tell ops
 * apart.
 */
static inline const op_desc *fake_desc(unsigned reads) {
    static op_desc all[16];
    static char names[16][8];
    static const pdb_schema *const tables[] = {NULL};
    static const op_field fields[] = {
        {.name = "base", .type = OP_F_F64, .offset = offsetof(fake_params, base)},
        {.name = "slope", .type = OP_F_F64, .offset = offsetof(fake_params, slope)},
        {.name = "energy", .type = OP_F_F64, .offset = offsetof(fake_params, energy)},
        {.name = "refuse_from", .type = OP_F_U32, .offset = offsetof(fake_params, refuse_from)},
        {.name = "refusal", .type = OP_F_U32, .offset = offsetof(fake_params, refusal)},
        {.name = "poisonous", .type = OP_F_BOOL, .offset = offsetof(fake_params, poisonous)},
        {.name = "tier", .type = OP_F_U32, .offset = offsetof(fake_params, tier)},
        {.name = "from", .type = OP_F_U32, .offset = offsetof(fake_params, from)}};
    op_desc *d = &all[reads & 15u];
    snprintf(names[reads & 15u], sizeof names[0], "Fake%u", reads & 15u);
    *d = (op_desc){.kind = names[reads & 15u],
                   .params_size = sizeof(fake_params),
                   .fields = fields,
                   .n_fields = sizeof fields / sizeof *fields,
                   .schemas = tables,
                   .reads = reads & 15u,
                   .query = fake_query};
    return d;
}

static inline op *fake_op(aic_arena *a, const char *name, unsigned reads, double repeat, fake_params params) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    fake_params *p = aic_arena_alloc(a, 1, sizeof *p);
    *p = params;
    *o = (op){.desc = fake_desc(reads), .name = name, .repeat = repeat, .params = p};
    return o;
}

static inline void fake_add(aic_arena *a, op_list *list, op *o) {
    op **items = aic_arena_alloc(a, list->count + 1, sizeof *items);
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    items[list->count++] = o;
    list->items = items;
}

static inline double fake_kv_bytes(const void *ctx, double tokens) {
    return tokens * *(const double *)ctx;
}

static const pdb_system FAKE_SYSTEM = {
    .name = "fake",
    .mem_bw = 1e12,
    .mem_bw_factor = 1.0,
    .mem_capacity = 80.0 * SRV_GIB,
    .sm_version = 90,
    .nccl_mem = {0, 358612992, 411041792, 411041792},
    .other_mem = 3758096384,
    .file = "fake.yaml",
};

static const srv_facts FAKE_FACTS = {.family = "LLAMA", .heads = 32, .head_dim = 128, .hidden = 4096};
static const double FAKE_KV = 131072;

/* Eyes of 16 pixel patches, 2 x 2 of them to a token, for deployments with encoder ops. */
static const mdl_model FAKE_SEEING = {.vision = {.patch = 16, .merge = 2, .width = 100, .out = 1000}};

/* A deployment as srv_compile leaves it before the plan is built; ops go into built.context and
 * built.generation. */
static inline srv_deployment fake_deployment(srv_mode mode) {
    static const pdb_view view = {.system = &FAKE_SYSTEM, .backend = "trtllm", .version = "1.0"};
    srv_deployment d = {.arena = aic_arena_new(), .view = &view};
    srv_request_init(&d.request);
    srv_tuning_init(&d.tuning);
    d.request.mode = mode;
    d.built.par = (mdl_parallel){.tp = 1, .pp = 1, .dp = 1, .cp = 1};
    d.built.weight_bytes = 8e9;
    return d;
}

static inline const srv_backend *fake_backend(void) {
    static const srv_backend b = {.name = "trtllm",
                                  .activation_floor = 70 * SRV_MIB,
                                  .activation_factor = 1,
                                  .coefficient = {11, 6.5, 5, 5},
                                  .others_factor = 1,
                                  .reserved = 0.015,
                                  .tolerance = 0.02,
                                  .fraction = 0.9};
    return &b;
}

static inline void fake_plan(srv_deployment *d) {
    srv_plan_alone(d, fake_backend(), &FAKE_FACTS, fake_kv_bytes, &FAKE_KV);
}

/* Everything a point says, compared bit by bit; NaN equals NaN. */
static inline bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Are two answers to the same workloads the same, bit by bit? n_encoder: rows of the encoder. */
static inline bool same_blocks(const srv_block *a, const srv_block *b, size_t n_encoder) {
    bool same = a->n == b->n && a->n_rows == b->n_rows;
    for (size_t i = 0; same && i < a->n; i++) {
        const srv_point of_a = srv_points_get(&a->points, i), of_b = srv_points_get(&b->points, i);
        const srv_point *p = &of_a, *q = &of_b;
        same = p->status == q->status && p->kv_oom == q->kv_oom && a->priced[i] == b->priced[i] &&
               p->carried == q->carried && p->tier == q->tier && (p->reason == NULL) == (q->reason == NULL) &&
               (!p->reason || strcmp(p->reason, q->reason) == 0) && p->encodes == q->encodes &&
               p->visual_tokens == q->visual_tokens;
        /* From ttft to the covers a point is doubles alone. */
        const double *x = &p->ttft, *y = &q->ttft;
        for (size_t f = 0; f < (sizeof *p - offsetof(srv_point, ttft)) / sizeof(double); f++)
            same = same && same_bits(x[f], y[f]);
        size_t first = i * a->n_rows + n_encoder * !p->encodes;
        for (size_t r = first; a->priced[i] && r < (i + 1) * a->n_rows; r++)
            same = same && same_bits(a->latency[r], b->latency[r]) && same_bits(a->energy[r], b->energy[r]) &&
                   a->source[r] == b->source[r] && a->basis[r] == b->basis[r];
    }
    return same;
}

#endif
