/* Synthetic deployments: ops whose answers are plain arithmetic on the fields they claim to read, so that the
 * two evaluation paths can be compared without a database. */
#ifndef AICFG_TESTS_SERVING_FIXTURE_H
#define AICFG_TESTS_SERVING_FIXTURE_H

#include "serving/internal.h"
#include <math.h>
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
 * logits. */
static inline const op_desc *fake_desc(unsigned reads) {
    static op_desc all[16];
    op_desc *d = &all[reads & 15u];
    *d = (op_desc){
        .kind = "Fake", .params_size = sizeof(fake_params), .reads = reads & 15u, .query = fake_query};
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

#endif
