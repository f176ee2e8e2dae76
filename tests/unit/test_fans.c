/* links: serving. Fans of ops: the bits of op_query, and walks that are summed from them those of the plain
 * path, on ragged grids with energies, marks and holes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/internal.h"
#include "serving/steps.h"
#include "unit/fan_cases.h"
#include "unit/serving_fixture.h"
#include <stdlib.h>

static uint32_t seed = 20251126;
static uint32_t draw(uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

/* ---- a kind that is one grid -------------------------------------------------------------------------- */

typedef struct grid_params {
    uint32_t number; /* tells grids apart */
    const pdb_grid *grid;
    bool spread;
    double poison; /* lengths from here on have no speed of light, and no answer beyond the grid */
} grid_params;

static double sol_of(const void *params, const double *c) {
    const grid_params *p = params;
    return c[2] < p->poison ? 1.0 + c[0] * c[1] + 0.01 * c[2] : NAN;
}

static void grid_bind(op_binder *binder, op_bound *b) {
    (void)binder;
    b->state = b->op->params;
}

static op_class grid_query(const op_bound *b, op_mode mode, const op_shape *s, op_result *out,
                           op_refusal *why) {
    const grid_params *p = b->op->params;
    const int samples = p->spread ? OP_SAMPLES : 1;
    double c[3] = {2, s->batch};
    (void)mode;
    *out = (op_result){.source = OP_SRC_silicon};
    for (int k = 0; k < samples; k++) {
        pdb_value v;
        c[2] = p->spread ? op_sample_length(s->s, k) : s->s;
        if (pdb_grid_query(p->grid, c, -1, sol_of, p, &v) != PDB_HIT)
            return op_refuse(why, OP_MISSING, "%s: nothing measured up there", b->op->name);
        out->latency += v.latency;
        out->energy += v.energy;
        out->cover[op_cover_of(v.how)] += v.latency;
        out->from |= v.from;
    }
    double all = samples;
    out->latency /= all;
    out->energy /= all;
    for (int k = 0; k < OP_COVERS; k++)
        out->cover[k] /= all;
    if (s->imbalance != 1.0)
        op_scale(out, s->imbalance);
    return OP_OK;
}

static bool grid_fan(const op_bound *b, op_fan_source *out) {
    const grid_params *p = b->op->params;
    *out = (op_fan_source){
        .grid = p->grid, .coords = {2}, .sol = sol_of, .ctx = p, .spread = p->spread, .imbalance = true};
    return true;
}

static const op_field grid_fields[] = {OP_U32(grid_params, number)};

static const op_desc grid_desc = {.kind = "Grid",
                                  .fields = grid_fields,
                                  .n_fields = OP_COUNT(grid_fields),
                                  .params_size = sizeof(grid_params),
                                  .reads = OP_READS_BATCH | OP_READS_S,
                                  .bind = grid_bind,
                                  .query = grid_query,
                                  .fan = grid_fan};

/* Batches and lengths as tables have them: powers of two and more, long batches measured less far. */
static const pdb_grid *random_grid(aic_arena *a, bool marks) {
    enum { HEADS = 3, BATCHES = 7, LENGTHS = 10 };
    uint64_t coords[HEADS * BATCHES * LENGTHS][3];
    pdb_leaf leaves[HEADS * BATCHES * LENGTHS];
    pdb_origins from[HEADS * BATCHES * LENGTHS];
    bool powered = draw(2);
    size_t n = 0;
    for (uint64_t heads = 1; heads <= HEADS; heads++)
        for (int b = 0; b < BATCHES; b++)
            for (int s = 0; s < LENGTHS - (int)draw(5); s++, n++) {
                coords[n][0] = heads;
                coords[n][1] = UINT64_C(1) << b;
                coords[n][2] = UINT64_C(8) << s;
                leaves[n] = (pdb_leaf){.latency = draw(12) ? 0.001 * (1 + draw(1000)) : 0.0,
                                       .power = powered ? draw(3) : 0.0};
                leaves[n].energy = leaves[n].latency * leaves[n].power;
                from[n] = draw(9) ? 0 : PDB_OTHER_VERSION;
            }
    return pdb_grid_build(a, 3, n, &coords[0][0], leaves, marks ? from : NULL, NULL);
}

static op *grid_op(aic_arena *a, const char *name, double repeat, bool holes) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    grid_params *p = aic_arena_alloc(a, 1, sizeof *p);
    static uint32_t number;
    *p = (grid_params){.number = number++,
                       .grid = random_grid(a, draw(2)),
                       .spread = draw(4) > 0,
                       .poison = holes ? 100.0 + draw(4000) : HUGE_VAL};
    *o = (op){.desc = &grid_desc, .name = name, .repeat = repeat, .params = p};
    return o;
}

/* ---- one op ---------------------------------------------------------------------------------------------
 */

static void fan_equals_query(void **state) {
    (void)state;
    enum { LENGTHS = 200 };
    size_t asked = 0, refused = 0;
    for (int round = 0; round < 200; round++) {
        aic_arena *a = aic_arena_new();
        op_binder binder = {.arena = a, .view = &(pdb_view){.system = &FAKE_SYSTEM}, .mode = OP_SILICON};
        op_bound b;
        op_fan f;
        uint32_t lengths[LENGTHS], step = 1 + draw(60);
        op_bind(&binder, grid_op(a, "attention", draw(2) ? 1.0 : 36.5, draw(2)), &b);
        lengths[0] = draw(3000);
        for (size_t i = 1; i < LENGTHS; i++)
            lengths[i] = draw(90) ? lengths[i - 1] + step : draw(3000);
        assert_true(op_has_fan(&b, OP_SILICON) && !op_has_fan(&b, OP_SOL));
        assert_true(op_fan_open(&f, &b, OP_SILICON, lengths, LENGTHS,
                                aic_arena_alloc(a, op_fan_bytes(&b, OP_SILICON, LENGTHS), 1)));
        for (uint32_t batch = 0; batch < 80; batch += 1 + draw(9)) {
            size_t from = draw(LENGTHS), to = from + draw((uint32_t)(LENGTHS - from) + 1);
            op_shape shape = {.batch = batch, .x = batch, .imbalance = draw(2) ? 1.0 : 1.25};
            f.kinds = 0;
            if (op_fan_ask(&f, &shape, from, to)) {
                op_fan_repeat(&f, from, to);
                for (size_t i = from; i < to; i++)
                    assert_true(fan_agrees(&b, OP_SILICON, &f, shape, i, lengths[i]));
                asked++;
            } else {
                refused++;
            }
        }
        aic_arena_free(a);
    }
    assert_true(asked > 1000 && refused > 100);
}

/* ---- walks ----------------------------------------------------------------------------------------------
 */

/* Grids of batches and lengths, and whatever else, in any order. */
static size_t random_loads(srv_workload *loads, size_t most) {
    size_t n = 0;
    bool wild = draw(3) == 0;
    uint32_t batches = 1 + draw(6), inputs = 1 + draw(5), apart = draw(2) ? 128 : 1 + draw(40);
    for (uint32_t b = 0; b < batches; b++)
        for (uint32_t i = 0; i < inputs; i++)
            for (uint32_t o = 0; o < 4 && n < most; o++)
                if (draw(12))
                    loads[n++] = (srv_workload){.batch = wild ? 1 + draw(90) : 1 + 3 * b,
                                                .isl = wild ? 1 + draw(4000) : apart * (i + 1),
                                                .osl = draw(9) ? 1 + (wild ? draw(600) : 64 * o) : draw(2)};
    for (size_t i = 0; wild && i + 1 < n; i++) {
        size_t k = i + draw((uint32_t)(n - i));
        srv_workload swap = loads[i];
        loads[i] = loads[k];
        loads[k] = swap;
    }
    return n;
}

/* A few grids that the deployments of a sweep are made of. */
enum { GRIDS = 6 };
typedef struct grids {
    aic_arena *arena;
    op *ops[GRIDS];
} grids;

static void make_grids(grids *g) {
    bool holes = draw(2);
    g->arena = aic_arena_new();
    for (int i = 0; i < GRIDS; i++)
        g->ops[i] = grid_op(g->arena, i % 2 ? "attention" : "window", 1, holes);
}

/* One of them under a repeat of its own. */
static op *use_grid(const grids *g, aic_arena *a) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    *o = *g->ops[draw(GRIDS)];
    o->repeat = 1 + draw(80);
    return o;
}

static void sums_equal_plain(void **state) {
    (void)state;
    enum { ROUNDS = 300, EACH = 10, MOST = 100 };
    srv_answers *answers = srv_answers_new(SRV_ANSWERS_BYTES);
    srv_block fast = {0}, plain = {0};
    srv_workload loads[MOST];
    size_t refused = 0, ok = 0;
    size_t n = 0;
    uint32_t stride = 0;
    grids pool = {0};
    for (int round = 0; round < ROUNDS; round++) {
        if (round % EACH == 0) { /* a sweep: the same loads, and what they share */
            aic_arena_free(pool.arena);
            make_grids(&pool);
            n = random_loads(loads, MOST);
            stride = draw(3) ? 32 : 1 + draw(40);
        }
        srv_deployment d = fake_deployment(draw(2) ? SRV_static : SRV_static_gen);
        d.tuning.stride = stride;
        d.tuning.imbalance_gen = draw(4) ? 1.0 : 1.5;
        d.tuning.beam = 1 + draw(2);
        bool mixed = draw(5) == 0;
        for (uint32_t i = 0, ops = 1 + draw(3); i < ops; i++)
            fake_add(d.arena, &d.built.generation, use_grid(&pool, d.arena));
        const fake_params p = {.base = 0.25, .slope = 0.125, .energy = draw(2)};
        unsigned reads = mixed ? OP_READS_S : OP_READS_X; /* an op without a fan among the moving ones */
        fake_add(d.arena, &d.built.generation, fake_op(d.arena, draw(2) ? "window" : "ffn", reads, 3, p));
        fake_plan(&d);
        if (draw(4))
            srv_share_answers(&d, answers);
        srv_evaluate(&d, loads, n, &fast);
        srv_evaluate_plain(&d, loads, n, &plain);
        assert_true(same_blocks(&fast, &plain, 0));
        for (size_t i = 0; i < n; i++) {
            ok += srv_points_get(&plain.points, i).status == SRV_ST_ok;
            refused += srv_points_get(&plain.points, i).status == SRV_ST_missing;
        }
        aic_arena_free(d.arena);
    }
    assert_true(ok > 5000 && refused > 50);
    assert_true(srv_answers_count(answers).found > 100);
    aic_arena_free(pool.arena);
    srv_answers_free(answers);
    srv_block_free(&fast);
    srv_block_free(&plain);
}

/* ---- positions ------------------------------------------------------------------------------------------
 */

static srv_steps lay(srv_deployment *d, srv_block *b, const uint32_t (*walks)[3], size_t n, uint32_t *walk_of,
                     bool *fits) {
    srv_workload none = {.batch = 1, .isl = 1, .osl = 1};
    srv_steps s;
    srv_block_load(b, &none, 1);
    srv_block_start(d, b);
    srv_key *keys = srv_take(b, n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = (srv_key){
            .hi = (uint64_t)walks[i][0] << 32 | walks[i][1], .lo = walks[i][2], .item = (uint32_t)i};
    *fits = srv_lay_steps(d, b, keys, n, &s, walk_of);
    return s;
}

/* Walks of two batches: where they meet they find the same place; what they leave out is asked by none. */
static void lanes_share_positions(void **state) {
    (void)state;
    static const uint32_t walks[][3] = {{1, 128, 64}, {1, 128, 64}, {1, 128, 129}, {1, 192, 1},
                                        {1, 192, 33}, {4, 100, 2},  {4, 160, 65},  {4, 640, 2}};
    enum { N = sizeof walks / sizeof *walks };
    srv_deployment d = fake_deployment(SRV_static_gen);
    srv_block b = {0};
    uint32_t walk_of[N];
    bool fits;
    fake_plan(&d);
    srv_steps s = lay(&d, &b, walks, N, walk_of, &fits);
    assert_true(fits && s.n_lanes == 5 && s.n_walks == 7 && s.n_batches == 2);
    assert_true(walk_of[0] == 0 && walk_of[1] == 0 && walk_of[2] == 1 && walk_of[7] == 6);
    assert_true(s.walks[0].strides == 1 && s.walks[0].left == 31 && s.walks[1].strides == 4 &&
                !s.walks[1].left);
    assert_true(!s.walks[2].strides && !s.walks[2].left); /* nothing to decode */
    static const uint32_t firsts[] = {129, 193, 101, 161, 641};
    for (size_t l = 0; l < s.n_lanes; l++)
        for (uint32_t i = 0; i < s.lanes[l].steps; i++)
            assert_int_equal(s.positions[s.lanes[l].at + i], firsts[l] + 32 * i);
    assert_int_equal(s.n_positions, 4 + 1 + 1 + 1 + 1); /* 129, 161, 193, 225; 641; 101, and between them */
    assert_int_equal(s.batches[0].n_ranges, 1);
    assert_int_equal(s.batches[1].n_ranges, 3); /* 161, 193; 641; 101 */
    static const uint32_t endless[][3] = {{1, 1, 16000000}};
    lay(&d, &b, endless, 1, walk_of, &fits);
    assert_false(fits);
    srv_block_free(&b);
    aic_arena_free(d.arena);
}

/* Loads come back under the number they were met under, and only then. */
static void loads_are_recalled(void **state) {
    (void)state;
    enum { MOST = 100 };
    srv_block block = {0}, plain = {0};
    srv_workload loads[MOST];
    srv_deployment d = fake_deployment(SRV_static);
    const fake_params p = {.base = 0.25, .slope = 0.125};
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "ffn", OP_READS_X, 3, p));
    fake_plan(&d);
    for (uint64_t round = 0; round < 60; round++) {
        const uint64_t number = 1 + round % 3;
        const size_t n = 20 * number;
        for (size_t i = 0; i < n; i++)
            loads[i] = (srv_workload){
                .batch = (uint32_t)number, .isl = 100 + (uint32_t)i / 4, .osl = 1 + (uint32_t)i % 4 * 40};
        srv_block_reserve(&block, n);
        const bool known = srv_block_recall(&block, number);
        assert_true(known == (round >= 3));
        for (size_t i = 0; i < n; i++) {
            uint32_t *const to[] = {&block.points.of.load.batch[i], &block.points.of.load.isl[i],
                                    &block.points.of.load.osl[i], &block.points.of.load.prefix[i]};
            const uint32_t from[] = {loads[i].batch, loads[i].isl, loads[i].osl, loads[i].prefix};
            for (int c = 0; c < 4; c++) {
                assert_true(!known || *to[c] == from[c]);
                *to[c] = from[c];
            }
        }
        srv_price(&d, &block);
        srv_evaluate_plain(&d, loads, n, &plain);
        assert_true(same_blocks(&block, &plain, 0));
    }
    srv_block_free(&block);
    srv_block_free(&plain);
    aic_arena_free(d.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fan_equals_query), cmocka_unit_test(sums_equal_plain),
                                       cmocka_unit_test(lanes_share_positions),
                                       cmocka_unit_test(loads_are_recalled)};
    return cmocka_run_group_tests_name("fans", tests, NULL, NULL);
}
