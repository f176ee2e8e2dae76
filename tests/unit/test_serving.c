/* Compiling and evaluating: the factored path against the plain one, refusals, explanations, golden points.
 * links: serving */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parity/golden_serving.h"
#include "unit/serving_fixture.h"
#include <stdio.h>
#include <stdlib.h>

static uint32_t seed = 20261122;
static uint32_t draw(uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static srv_point point(const srv_block *b, size_t i) {
    return srv_points_get(&b->points, i);
}

static void assert_same_images(const srv_block *a, const srv_block *b, size_t n_encoder) {
    assert_true(same_blocks(a, b, n_encoder));
}

static void assert_same_points(const srv_block *a, const srv_block *b) {
    assert_same_images(a, b, 0);
}

/* What the ops of a deployment are drawn with. */
typedef struct world {
    uint32_t refusals; /* of 100 ops */
    bool energy;       /* some op measures it */
    bool basis;        /* some answer is estimated, or from other versions */
} world;

static void random_ops(srv_deployment *d, op_list *list, const world *w) {
    static const char *const names[] = {"embedding", "qkv",    "attention", "proj", "ffn",
                                        "logits",    "ar",     "norm",      "gate", "act",
                                        "dispatch",  "router", "conv",      "p2p",  "mtp"};
    uint32_t refusals = draw(2) ? w->refusals : 0;
    size_t n = 1 + draw(draw(2) ? 30 : 8);
    for (size_t i = 0; i < n; i++) {
        fake_params p = {.base = 0.001 * draw(1000), .slope = 0.01 * draw(100)};
        p.energy = w->energy && draw(3) ? draw(500) : 0;
        p.tier = w->basis && draw(4) == 0 ? (op_tier)draw(OP_TIER_COUNT) : OP_TIER_none;
        p.from = w->basis && draw(4) == 0 ? PDB_OTHER_VERSION : 0;
        if (draw(100) < refusals) {
            p.refuse_from = 1 + draw(3000);
            p.refusal = draw(4) ? OP_MISSING : OP_INVALID;
        }
        const char *name = names[draw(sizeof names / sizeof *names)];
        fake_add(d->arena, list, fake_op(d->arena, name, draw(16), draw(4) ? draw(70) : 64.0 / 61.0, p));
    }
}

/* Ops inside and behind the encoder, in any order. */
static void random_encoder(srv_deployment *d, const world *w) {
    static const char *const names[] = {"encoder_qkv", "encoder_attention", "encoder_projector",
                                        "all_gather"};
    op_list *list = &d->built.encoder;
    d->built.model = &FAKE_SEEING;
    d->built.encoder_ranks = 1 + draw(4);
    d->built.encoder_weight_bytes = 1e8 * draw(10);
    random_ops(d, list, w);
    for (size_t i = 0; i < list->count; i++)
        list->items[i]->name = names[draw(4)];
}

static mdl_images random_images(void) {
    static const uint32_t sides[] = {0, 1, 16, 47, 48, 80, 333, 333, 1024};
    if (draw(3) == 0)
        return (mdl_images){.count = draw(3), .tokens = draw(3) * 50};
    return (mdl_images){.count = draw(4), .height = sides[draw(9)], .width = sides[draw(9)]};
}

static size_t random_loads(srv_workload *w, size_t most) {
    static const uint32_t isls[] = {1, 2, 31, 32, 33, 64, 100, 512, 1000, 2048};
    size_t n = 1 + draw((uint32_t)most);
    for (size_t i = 0; i < n; i++) {
        w[i] =
            (srv_workload){.batch = draw(5), .isl = draw(8) ? isls[draw(10)] : draw(300), .osl = draw(400)};
        w[i].prefix = draw(3) ? 0 : draw(w[i].isl + 2);
        if (draw(2))
            w[i].images = random_images();
    }
    return n;
}

/* Rows made late, in pieces of any size, are those of `all`, as far as those are all there. */
static void assert_late_rows(const srv_deployment *d, const srv_workload *loads, size_t n,
                             const srv_block *all) {
    srv_block b = {.wanted = SRV_LATE_ROWS};
    srv_evaluate(d, loads, n, &b);
    for (size_t i = 0; b.late && i < n; i++)
        assert_true(b.all_rows && b.priced[i] && all->priced[i]);
    for (size_t first = 0, rows; b.late && first < n * b.n_rows; first += rows) {
        double latency[99], energy[99] = {0};
        uint8_t source[99];
        srv_basis basis[99] = {0};
        const srv_rows to = {latency, b.no_energy ? NULL : energy, source, b.no_basis ? NULL : basis};
        rows = 1 + draw(99);
        rows = rows < n * b.n_rows - first ? rows : n * b.n_rows - first;
        srv_block_rows(&b, first, rows, &to);
        for (size_t r = 0; r < rows; r++)
            assert_true(same_bits(latency[r], all->latency[first + r]) &&
                        same_bits(energy[r], all->energy[first + r]) && source[r] == all->source[first + r] &&
                        basis[r] == all->basis[first + r]);
    }
    srv_block_free(&b);
}

/* The same figures, with the rows that were asked for. */
static void assert_any_rows(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *all) {
    srv_block few = {.wanted = SRV_ROWS_BUT_ZEROS},
              none[2] = {{.wanted = SRV_NO_ROWS}, {.wanted = SRV_NO_ROWS}};
    srv_evaluate(d, loads, n, &few);
    if (few.no_energy)
        memset(few.energy, 0, n * few.n_rows * sizeof *few.energy);
    if (few.no_basis)
        memset(few.basis, 0, n * few.n_rows * sizeof *few.basis);
    assert_same_images(all, &few, d->n_encoder_rows);
    srv_evaluate(d, loads, n, &none[0]);
    srv_evaluate_plain(d, loads, n, &none[1]);
    assert_true(none[0].cap_rows == 0 && none[1].cap_rows == d->n_rows);
    assert_late_rows(d, loads, n, all);
    memset(all->priced, 0, n * sizeof *all->priced);
    for (int i = 0; i < 2; i++) {
        assert_same_images(all, &none[i], d->n_encoder_rows);
        srv_block_free(&none[i]);
    }
    srv_block_free(&few);
}

static void factored_equals_plain(void **state) {
    (void)state;
    enum { ROUNDS = 300, MOST = 60 };
    srv_block fast = {0}, plain = {0};
    srv_workload loads[MOST + 1];
    for (int round = 0; round < ROUNDS; round++) {
        srv_deployment d = fake_deployment((srv_mode)draw(SRV_MODE_COUNT));
        static const uint32_t strides[] = {1, 7, 32, 32, 64, 1000};
        d.tuning.stride = strides[draw(6)];
        d.tuning.beam = 1 + draw(3);
        d.tuning.latency_scale = draw(2) ? 1.0 : 1.08;
        d.built.nextn = draw(3) ? 0 : draw(4);
        d.request.nextn_accepted = d.built.nextn ? 0.5 : NAN;
        const world w = {.refusals = draw(3) ? 10 : 0, .energy = draw(2), .basis = draw(2)};
        if (draw(2))
            random_encoder(&d, &w);
        random_ops(&d, &d.built.context, &w);
        random_ops(&d, &d.built.generation, &w);
        fake_plan(&d);
        assert_int_equal(d.refused, SRV_ST_ok);
        size_t n = random_loads(loads, MOST);
        srv_evaluate(&d, loads, n, &fast);
        srv_evaluate_plain(&d, loads, n, &plain);
        assert_same_images(&fast, &plain, d.n_encoder_rows);
        assert_any_rows(&d, loads, n, &plain);
        aic_arena_free(d.arena);
    }
    srv_block_free(&fast);
    srv_block_free(&plain);
}

/* What becomes of a point does not depend on those beside it: lines of a grid and strays, in one block and
 * one by one. All statuses occur. */
static void blocks_equal_single_points(void **state) {
    (void)state;
    enum { ROUNDS = 150, MOST = 300 };
    static srv_workload loads[MOST];
    size_t by_status[SRV_STATUS_COUNT] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        srv_deployment d = fake_deployment((srv_mode)draw(SRV_MODE_COUNT));
        d.built.weight_bytes = (60 + draw(18)) * SRV_GIB;
        d.built.par = (mdl_parallel){.tp = 1u << draw(4), .pp = 1 + draw(3), .dp = 1 + draw(3), .cp = 1};
        d.built.nextn = draw(3) ? 0 : draw(4);
        d.request.nextn_accepted = d.built.nextn ? draw(2) * 0.7 : NAN;
        const world w = {.refusals = draw(3) ? 10 : 0, .energy = draw(2), .basis = draw(2)};
        if (draw(3) == 0)
            random_encoder(&d, &w);
        random_ops(&d, &d.built.context, &w);
        random_ops(&d, &d.built.generation, &w);
        if (draw(8) == 0)
            fake_add(d.arena, draw(2) ? &d.built.context : &d.built.generation,
                     fake_op(d.arena, "odd", OP_READS_BATCH, 1, (fake_params){.base = INFINITY}));
        fake_plan(&d);
        size_t n = random_loads(loads, MOST);
        for (size_t i = 1; i < n; i++)
            if (draw(4)) { /* the next of a line */
                const uint32_t osl = draw(5) ? loads[i - 1].osl + 8 : loads[i].osl;
                loads[i] = loads[i - 1];
                loads[i].osl = osl;
            } else if (draw(2)) {
                loads[i].batch *= 200;
            }
        srv_block block = {0}, one = {0};
        srv_evaluate(&d, loads, n, &block);
        for (size_t i = 0; i < n; i++) {
            srv_evaluate_plain(&d, &loads[i], 1, &one);
            const srv_point p = point(&block, i), q = point(&one, 0);
            const size_t from = offsetof(srv_point, ttft);
            assert_true(p.status == q.status && p.kv_oom == q.kv_oom && p.encodes == q.encodes &&
                        p.carried == q.carried && p.tier == q.tier && p.visual_tokens == q.visual_tokens);
            assert_memory_equal(&p.load, &q.load, sizeof p.load);
            assert_true((p.reason == NULL) == (q.reason == NULL) &&
                        (!p.reason || strcmp(p.reason, q.reason) == 0));
            for (size_t f = 0; f < (sizeof p - from) / sizeof(double); f++)
                assert_true(same_bits((&p.ttft)[f], (&q.ttft)[f]));
            by_status[p.status]++;
        }
        srv_block_free(&block);
        srv_block_free(&one);
        aic_arena_free(d.arena);
    }
    for (int s = 0; s < SRV_STATUS_COUNT; s++)
        assert_true(by_status[s] > 50);
}

/* What fake ops answer that read tokens, or the length, with slope 1. */
static double of_tokens(uint32_t x) {
    return sqrt(1.0 + 0.3 * 0 + 0.7 * 0 + 0.11 * 0 + 0.013 * x);
}

static double of_length(uint32_t s) {
    return sqrt(1.0 + 0.3 * 0 + 0.7 * s + 0.11 * 0 + 0.013 * 0);
}

/* Two images of 2 x 3 tokens on three ranks; the encoder's rows, its memory and its place in the figures. */
static void images_are_encoded(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    fake_params p = {.slope = 1};
    d.built.model = &FAKE_SEEING;
    d.built.encoder_ranks = 3;
    d.built.encoder_weight_bytes = 3 * SRV_GIB;
    fake_add(d.arena, &d.built.encoder, fake_op(d.arena, "encoder_qkv", OP_READS_X, 1, p));
    fake_add(d.arena, &d.built.encoder, fake_op(d.arena, "encoder_projector_fc", OP_READS_X, 1, p));
    fake_add(d.arena, &d.built.encoder, fake_op(d.arena, "encoder_attention", OP_READS_S, 1, p));
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "c", OP_READS_S, 1, p));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "g", OP_READS_S, 1, p));
    fake_plan(&d);
    assert_int_equal(d.n_encoder_rows, 3);
    assert_string_equal(d.rows[2].name,
                        "encoder_projector_fc"); /* behind the encoder: after what is inside */
    const mdl_images images = {.count = 2, .height = 60, .width = 100};
    srv_workload loads[] = {{.batch = 2, .isl = 10, .osl = 2, .images = images},
                            {.batch = 2, .isl = 10, .osl = 2},
                            {.batch = 2, .isl = 10, .osl = 2, .images = {.count = 1}},
                            {.batch = 2, .isl = 10, .osl = 2, .prefix = 21, .images = images},
                            {.batch = 2, .isl = 10, .osl = 2, .prefix = 22, .images = images}};
    srv_block b = {0};
    srv_evaluate(&d, loads, 5, &b);
    const srv_point of_0 = point(&b, 0), of_1 = point(&b, 1), *p0 = &of_0, *p1 = &of_1;
    assert_true(p0->encodes && p0->visual_tokens == 12 && srv_first_row(&d, p0->encodes) == 0);
    double inside = of_tokens(2 * 24), behind = of_tokens(2 * 6); /* two of four images on a rank */
    assert_true(b.latency[0] == inside && b.latency[1] == of_length(24) && b.latency[2] == behind);
    assert_true(p0->encoder_latency == inside + of_length(24) + behind);
    assert_true(p0->context_latency == of_length(22) && p0->generation_latency == of_length(23));
    assert_true(p0->ttft == p0->encoder_latency + p0->context_latency);
    assert_true(p0->encoder_memory == 3 + 32.0 / 1024);
    assert_true(p0->memory - p1->memory > p0->encoder_memory); /* and the KV cache of the images */
    assert_true(!p1->encodes && p1->encoder_latency == 0 && p1->ttft == of_length(10) &&
                srv_first_row(&d, p1->encodes) == 3);
    assert_int_equal(point(&b, 2).load.images.count, 0); /* no size, no image */
    assert_true(point(&b, 2).ttft == p1->ttft && point(&b, 2).memory == p1->memory);
    assert_true(point(&b, 3).context_latency == of_length(1));
    assert_int_equal(point(&b, 4).status, SRV_ST_invalid);
    srv_block_free(&b);
    aic_arena_free(d.arena);
}

/* Steps of more positions than there are slots to keep them. */
static void long_walks(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static_gen);
    d.tuning.stride = 1;
    fake_params p = {.base = 0.25, .slope = 0.125, .energy = 2};
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "attention", OP_READS_BATCH | OP_READS_S, 2, p));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "ffn", OP_READS_X, 3, p));
    fake_plan(&d);
    srv_workload loads[] = {{.batch = 1, .isl = 10, .osl = 100000},
                            {.batch = 1, .isl = 11, .osl = 99999},
                            {.batch = 1, .isl = 70000, .osl = 3},
                            {.batch = 2, .isl = 10, .osl = 5}};
    srv_block fast = {0}, plain = {0};
    srv_evaluate(&d, loads, 4, &fast);
    srv_evaluate_plain(&d, loads, 4, &plain);
    assert_same_points(&fast, &plain);
    srv_block_free(&fast);
    srv_block_free(&plain);
    aic_arena_free(d.arena);
}

static void rows_fold_by_name(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    fake_params p = {.base = 1}, measured = {.base = 2, .slope = 0};
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "a", OP_READS_X, 1, p));
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "b", OP_READS_X, 10, p));
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "a", OP_READS_S, 3, measured));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "a", OP_READS_X, 1, p));
    fake_plan(&d);
    assert_int_equal(d.n_rows, 3);
    assert_int_equal(d.n_context_rows, 2);
    assert_string_equal(d.rows[1].name, "b");
    assert_true(d.rows[0].repeat == 4 && d.rows[0].phase == SRV_PH_context &&
                d.rows[2].phase == SRV_PH_generation);
    srv_block b = {0};
    srv_workload loads[] = {{.batch = 1, .isl = 5, .osl = 3}, {.batch = 1, .isl = 4, .osl = 1}};
    srv_evaluate(&d, loads, 2, &b);
    assert_true(b.latency[0] == 7 && b.latency[1] == 10 && b.latency[2] == 2);
    assert_int_equal(b.source[0], OP_SRC_mixed); /* s = 5 answers empirical */
    assert_int_equal(b.source[3], OP_SRC_silicon);
    assert_true(b.latency[5] == 0); /* osl 1: no step */
    srv_block_free(&b);
    aic_arena_free(d.arena);
}

typedef struct fake_group {
    op *one;
    op_list many;
} fake_group;

/* Repeats are read back as the reference's engine does, also inside groups, and once. */
static void repeats_are_reread(void **state) {
    (void)state;
    static const op_field fields[] = {
        {.name = "one", .type = OP_F_OP, .offset = offsetof(fake_group, one)},
        {.name = "many", .type = OP_F_OPS, .offset = offsetof(fake_group, many)}};
    op_desc group = *fake_desc(OP_READS_X);
    group.fields = fields;
    group.n_fields = 2;
    double given = 64.0 / 61.0, read = 1.0491803278688523;
    assert_true(given == 1.0491803278688525 && given != read);
    srv_deployment d = fake_deployment(SRV_static_gen);
    op *inner[3], *outer = fake_op(d.arena, "outer", OP_READS_X, given, (fake_params){0});
    for (int i = 0; i < 3; i++)
        inner[i] = fake_op(d.arena, "inner", OP_READS_X, given, (fake_params){0});
    fake_group *g = aic_arena_alloc(d.arena, 1, sizeof(fake_group) + sizeof(fake_params));
    g->one = inner[0];
    g->many = (op_list){.count = 2, .items = &inner[1]};
    outer->desc = &group;
    outer->params = g;
    fake_add(d.arena, &d.built.generation, outer);
    fake_plan(&d);
    assert_true(outer->repeat == read && d.rows[0].repeat == read);
    for (int i = 0; i < 3; i++)
        assert_true(inner[i]->repeat == read);
    aic_arena_free(d.arena);
}

static void first_refusal_counts(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    fake_params fine = {.base = 1};
    fake_params late = {.base = 1, .refuse_from = 100, .refusal = OP_MISSING};
    fake_params wrong = {.base = 1, .refuse_from = 3, .refusal = OP_INVALID};
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "context", OP_READS_X, 1, fine));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "moving", OP_READS_S, 1, late));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "still", OP_READS_BATCH, 1, wrong));
    fake_plan(&d);
    static const struct {
        srv_workload w;
        srv_status want;
        const char *op;
    } rows[] = {
        {{.batch = 1, .isl = 10, .osl = 10}, SRV_ST_ok, NULL},
        {{.batch = 3, .isl = 10, .osl = 10}, SRV_ST_invalid, "still"},   /* step 0, second op */
        {{.batch = 3, .isl = 200, .osl = 10}, SRV_ST_missing, "moving"}, /* step 0, first op */
        {{.batch = 1, .isl = 60, .osl = 40}, SRV_ST_ok, NULL},           /* positions 61 and 93 */
        {{.batch = 1, .isl = 60, .osl = 66}, SRV_ST_missing, "moving"},  /* position 125 */
        {{.batch = 3, .isl = 60, .osl = 66}, SRV_ST_invalid, "still"}, /* step 0 comes before position 125 */
        {{.batch = 3, .isl = 60, .osl = 1}, SRV_ST_ok, NULL},          /* nothing decoded */
    };
    enum { N = sizeof rows / sizeof *rows };
    srv_workload loads[N];
    for (size_t i = 0; i < N; i++)
        loads[i] = rows[i].w;
    srv_block fast = {0}, plain = {0};
    srv_evaluate(&d, loads, N, &fast);
    srv_evaluate_plain(&d, loads, N, &plain);
    assert_same_points(&fast, &plain);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(point(&fast, i).status, rows[i].want);
        if (rows[i].op)
            assert_memory_equal(point(&fast, i).reason, rows[i].op, strlen(rows[i].op));
        assert_true(fast.priced[i] == (rows[i].want == SRV_ST_ok));
    }
    srv_block_free(&fast);
    srv_block_free(&plain);
    aic_arena_free(d.arena);
}

static void verdicts_reach_the_point(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static_ctx);
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "a", OP_READS_X, 1, (fake_params){.base = 1}));
    fake_plan(&d);
    srv_workload loads[] = {{.batch = 1, .isl = 100, .osl = 1},
                            {.batch = 1, .isl = 700000, .osl = 1},
                            {.batch = 64, .isl = 8500, .osl = 1, .prefix = 8490}};
    srv_block b = {0};
    srv_evaluate(&d, loads, 3, &b);
    assert_int_equal(point(&b, 0).status, SRV_ST_ok);
    assert_null(point(&b, 0).reason);
    assert_int_equal(point(&b, 1).status, SRV_ST_oom);
    assert_false(point(&b, 1).kv_oom);
    assert_int_equal(point(&b, 2).status, SRV_ST_oom);
    assert_true(point(&b, 2).kv_oom && b.priced[2] && point(&b, 2).memory > 60);
    assert_string_not_equal(point(&b, 1).reason, point(&b, 2).reason);
    aic_arena_free(d.arena);

    d = fake_deployment(SRV_static_ctx);
    fake_add(d.arena, &d.built.context,
             fake_op(d.arena, "a", OP_READS_X, 1, (fake_params){.base = INFINITY, .slope = 0}));
    fake_plan(&d);
    srv_evaluate(&d, loads, 1, &b);
    assert_int_equal(point(&b, 0).status, SRV_ST_nonfinite);
    assert_true(b.priced[0]);
    aic_arena_free(d.arena);
    srv_block_free(&b);
}

static void explanation_adds_up(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        srv_deployment d = fake_deployment((srv_mode)draw(SRV_MODE_COUNT));
        const world all = {.energy = true, .basis = true};
        random_ops(&d, &d.built.context, &all);
        random_ops(&d, &d.built.generation, &all);
        fake_plan(&d);
        srv_workload w = {.batch = 1 + draw(4), .isl = 1 + draw(500), .osl = draw(200)};
        srv_block b = {0};
        srv_evaluate(&d, &w, 1, &b);
        srv_detail *details;
        size_t n = srv_explain(&d, &w, d.arena, &details);
        double *rows = aic_arena_alloc(d.arena, d.n_rows, sizeof *rows);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(details[i].cls, OP_OK);
            assert_string_equal(d.rows[details[i].row].name, details[i].op->name);
            rows[details[i].row] += details[i].result.latency;
            double half = 0.5 * details[i].result.latency;
            assert_true(fabs(details[i].sol_ms - half) <= 1e-12 * half);
            assert_true(details[i].sol_math == details[i].sol_ms);
        }
        for (size_t r = 0; r < d.n_rows; r++)
            assert_true(fabs(rows[r] - b.latency[r]) <= 1e-12 * fabs(rows[r]));
        srv_block_free(&b);
        aic_arena_free(d.arena);
    }
}

static void explanation_of_a_refusal(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static_ctx);
    fake_params late = {.base = 1, .refuse_from = 10, .refusal = OP_MISSING};
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "a", OP_READS_X, 1, late));
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "b", OP_READS_X, 1, (fake_params){.base = 1}));
    fake_plan(&d);
    srv_detail *details;
    assert_int_equal(srv_explain(&d, &(srv_workload){.batch = 1, .isl = 100, .osl = 1}, d.arena, &details),
                     2);
    assert_int_equal(details[0].cls, OP_MISSING);
    assert_non_null(strstr(details[0].why.text, "nothing measured"));
    assert_int_equal(details[1].cls, OP_OK);
    assert_int_equal(
        srv_explain(&d, &(srv_workload){.batch = 1, .isl = 100, .osl = 1, .prefix = 100}, d.arena, &details),
        0);
    aic_arena_free(d.arena);
}

static void refused_deployments(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    d.built.par.tp = 6;
    fake_plan(&d);
    assert_int_equal(d.refused, SRV_ST_invalid);
    srv_block b = {0};
    srv_workload w[2] = {{.batch = 1, .isl = 10, .osl = 10}, {.batch = 0, .isl = 0, .osl = 0}};
    srv_evaluate(&d, w, 2, &b);
    assert_int_equal(point(&b, 0).status, SRV_ST_invalid);
    assert_non_null(strstr(point(&b, 1).reason, "parallelism 6"));
    assert_false(b.priced[0]);
    assert_int_equal(b.n_rows, 0);
    srv_detail *details;
    assert_int_equal(srv_explain(&d, w, d.arena, &details), 0);
    srv_evaluate(&d, w, 0, &b);
    assert_int_equal(b.n, 0);
    srv_block_free(&b);
    aic_arena_free(d.arena);
}

static void sorting_keys(void **state) {
    (void)state;
    enum { MOST = 200 };
    srv_key keys[MOST], tmp[MOST];
    for (int round = 0; round < 200; round++) {
        size_t n = draw(MOST);
        for (uint32_t i = 0; i < n; i++)
            keys[i] = (srv_key){.hi = (uint64_t)draw(5) << 32 | draw(3), .lo = draw(4), .item = i};
        srv_sort_keys(keys, tmp, n);
        for (size_t i = 1; i < n; i++) {
            const srv_key *a = &keys[i - 1], *b = &keys[i];
            assert_true(a->hi < b->hi ||
                        (a->hi == b->hi && (a->lo < b->lo || (a->lo == b->lo && a->item < b->item))));
        }
    }
}

static void numbering_keys(void **state) {
    (void)state;
    enum { MOST = 200 };
    srv_key keys[MOST];
    uint32_t ids[MOST], firsts[MOST];
    srv_block b = {0};
    for (int round = 0; round < 200; round++) {
        uint32_t n = draw(MOST), values = 1 + draw(5), met = 0;
        srv_block_rewind(&b, 0);
        for (uint32_t i = 0; i < n; i++)
            keys[i] = (srv_key){.hi = (uint64_t)draw(values) << 32 | draw(3), .lo = draw(values)};
        size_t count = srv_number_keys(&b, keys, n, ids, firsts);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = 0;
            while (keys[first].hi != keys[i].hi || keys[first].lo != keys[i].lo)
                first++;
            assert_int_equal(ids[i], first == i ? met : ids[first]);
            assert_int_equal(firsts[ids[i]], first);
            met += first == i;
        }
        assert_int_equal(count, met);
    }
    srv_block_free(&b);
}

/* Opens what the program ships: sheets, models, backend constants and the embedded measurements. */
static srv_backends *open_shipped(srv_env *env) {
    aic_error err = {0};
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    const char *catalogues[] = {AICFG_DATA_DIR "/models"};
    env->db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    env->models = mdl_open(catalogues, 1, &err);
    srv_backends *b = srv_backends_open(AICFG_DATA_DIR "/backends", &err);
    env->backends = b;
    assert_string_equal(err.text, "");
    return b;
}

static void close_shipped(srv_env *env, srv_backends *b) {
    srv_backends_close(b);
    mdl_close(env->models);
    pdb_close(env->db);
}

static void golden_points(void **state) {
    (void)state;
    srv_env env = {0};
    srv_backends *b = open_shipped(&env);
    const char *paths[] = {TEST_DATA_DIR "/runtime_static.jsonl.gz",
                           TEST_DATA_DIR "/runtime_images.jsonl.gz"};
    const char *bad = NULL;
    golden_serving_report *report = AIC_NEW(golden_serving_report);
    assert_true(golden_serving_run(paths, 2, &env, report, &bad));
    if (report->different)
        golden_serving_print(report, stderr);
    assert_int_equal(report->different, 0);
    assert_true(report->compared > 300); /* the file was read and nothing was passed over in silence */
    free(report);
    close_shipped(&env, b);
}

static void compiled_refusals(void **state) {
    (void)state;
    srv_env env = {0};
    srv_backends *b = open_shipped(&env);
    srv_request base;
    srv_request_init(&base);
    assert_string_equal(base.backend, "trtllm");
    base.model = "Qwen/Qwen3-32B-FP8";
    base.system = "h200_sxm";
    enum { N = 9 };
    srv_request bad[N];
    for (size_t i = 0; i < N; i++)
        bad[i] = base;
    bad[0].backend = "tgi";
    bad[1].system = "h900";
    bad[2].model = "Qwen/Qwen3-33B";
    bad[3].version = "0.0.1";
    bad[4].nextn = 2;
    bad[5].nextn = 2;
    bad[5].nextn_accepted = 2.5;
    bad[6].par.tp = 3;
    bad[7].transfer_policy = "bold";
    bad[8].backend = NULL;
    static const char *const words[N] = {
        "tgi", "h900", "Qwen3-33B", "0.0.1", "nextn_accepted", "nextn_accepted", "3", "bold", "backend"};
    for (size_t i = 0; i < N; i++) {
        aic_error err = {0};
        srv_deployment *d = srv_compile(&env, &bad[i], NULL, &err);
        assert_non_null(d);
        assert_int_equal(d->refused, SRV_ST_invalid);
        assert_non_null(strstr(d->why.text, words[i]));
        srv_free(d);
    }
    srv_free(NULL);
    close_shipped(&env, b);
}

/* Estimates: points of both modes, with and without what may stand in for unmeasured int8 weights. */
static void estimated_points(void **state) {
    (void)state;
    srv_env env = {0};
    srv_backends *b = open_shipped(&env);
    srv_request q;
    srv_request_init(&q);
    q.model = "Qwen/Qwen3-32B";
    q.system = "h200_sxm";
    q.quants.gemm = PDB_Q_int8_wo;
    srv_workload loads[] = {{.batch = 4, .isl = 1000, .osl = 100}, {.batch = 9, .isl = 333, .osl = 40}};
    srv_block fast = {0}, plain = {0};
    for (int i = 0; i < 4; i++) {
        q.database_mode = i % 2 ? OP_EMPIRICAL : OP_HYBRID;
        q.transfer_policy = i / 2 ? "conservative" : NULL;
        srv_deployment *d = srv_compile(&env, &q, NULL, NULL);
        assert_non_null(d);
        srv_evaluate(d, loads, 2, &fast);
        srv_evaluate_plain(d, loads, 2, &plain);
        for (int k = 0; k < 2; k++) {
            const srv_point of_fast = point(&fast, (size_t)k), *p = &of_fast;
            assert_int_equal(p->status, i / 2 ? SRV_ST_missing : SRV_ST_ok);
            assert_int_equal(point(&plain, (size_t)k).status, p->status);
            if (i / 2) {
                assert_non_null(strstr(p->reason, "mode int8_wo"));
                continue;
            }
            assert_true(p->request_latency == point(&plain, (size_t)k).request_latency);
            srv_detail *details;
            size_t n = srv_explain(d, &loads[k], d->arena, &details), transferred = 0;
            for (size_t j = 0; j < n; j++)
                transferred += details[j].result.tier == OP_TIER_xprofile;
            assert_int_equal(transferred, 8); /* four GEMMs of each phase: logits stay bfloat16 */
            assert_true(q.database_mode == OP_EMPIRICAL ? fabs(p->cover[OP_FORMULA] - 1) < 1e-12
                                                        : p->cover[OP_INTERPOLATED] > 0);
        }
        srv_free(d);
    }
    srv_block_free(&fast);
    srv_block_free(&plain);
    close_shipped(&env, b);
}

/* The speed-of-light mode needs no measured rows; its points are formula through and through. */
static void speed_of_light(void **state) {
    (void)state;
    srv_env env = {0};
    srv_backends *b = open_shipped(&env);
    srv_request q;
    srv_request_init(&q);
    q.model = "Qwen/Qwen3-32B-FP8";
    q.system = "h200_sxm";
    srv_workload w = {.batch = 4, .isl = 1000, .osl = 100};
    double latency[2];
    srv_block block = {0};
    for (int sol = 0; sol < 2; sol++) {
        q.database_mode = sol ? OP_SOL : OP_SILICON;
        srv_deployment *d = srv_compile(&env, &q, NULL, NULL);
        assert_non_null(d);
        srv_evaluate(d, &w, 1, &block);
        const srv_point of_block = point(&block, 0), *p = &of_block;
        assert_int_equal(p->status, SRV_ST_ok);
        latency[sol] = p->request_latency;
        double shares = p->cover[0] + p->cover[1] + p->cover[2] + p->cover[3];
        assert_true(fabs(shares - 1) < 1e-9);
        assert_true(sol ? p->cover[OP_FORMULA] == shares : p->cover[OP_FORMULA] < 0.5);
        srv_detail *details;
        size_t n = srv_explain(d, &w, d->arena, &details);
        double total = 0;
        for (size_t i = 0; i < n; i++)
            total += details[i].result.latency;
        assert_true(n >= d->n_rows && fabs(total - p->request_latency) < 1e-9 * total);
        srv_free(d);
    }
    assert_true(latency[1] < latency[0]);
    srv_block_free(&block);
    close_shipped(&env, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factored_equals_plain), cmocka_unit_test(blocks_equal_single_points),
        cmocka_unit_test(images_are_encoded),    cmocka_unit_test(long_walks),
        cmocka_unit_test(rows_fold_by_name),     cmocka_unit_test(first_refusal_counts),
        cmocka_unit_test(repeats_are_reread),    cmocka_unit_test(verdicts_reach_the_point),
        cmocka_unit_test(explanation_adds_up),   cmocka_unit_test(explanation_of_a_refusal),
        cmocka_unit_test(refused_deployments),   cmocka_unit_test(sorting_keys),
        cmocka_unit_test(numbering_keys),        cmocka_unit_test(golden_points),
        cmocka_unit_test(compiled_refusals),     cmocka_unit_test(speed_of_light),
        cmocka_unit_test(estimated_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
