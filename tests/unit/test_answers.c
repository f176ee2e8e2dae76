/* links: serving. Answers shared between deployments: the same bits as without, by any number of threads,
 * with room for many answers, for few and for none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving/answers.h"
#include "unit/serving_fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static uint32_t seed = 20251125;
static uint32_t draw(uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

/* ---- random sweeps -------------------------------------------------------------------------------- */

enum { OPS = 8, DEPLOYMENTS = 12, GRIDS = 5, LOADS = 80, THREADS = 4 };

typedef struct kind_of_op {
    unsigned reads;
    fake_params params;
} kind_of_op;

typedef struct sweep {
    kind_of_op ops[OPS]; /* that deployments are made of, so that they share some */
    srv_deployment deployments[DEPLOYMENTS];
    srv_workload loads[GRIDS][LOADS];
    srv_block plain[DEPLOYMENTS][GRIDS];
    atomic_uint wrong;
} sweep;

static void add_ops(sweep *s, srv_deployment *d, op_list *list) {
    static const char *const names[] = {"qkv", "attention", "ffn", "logits"};
    static const double repeats[] = {1, 36, 36, 64.0 / 61.0};
    size_t n = 1 + draw(6);
    for (size_t i = 0; i < n; i++) {
        uint32_t k = draw(OPS);
        fake_add(d->arena, list,
                 fake_op(d->arena, names[k % 4], s->ops[k].reads, repeats[draw(4)], s->ops[k].params));
    }
}

/* Deployments that differ in little: often in the repeats, the mode or a few ops alone. */
static void make_sweep(sweep *s) {
    bool refusals = draw(2);
    for (int i = 0; i < OPS; i++) {
        fake_params p = {
            .base = 0.001 * draw(1000), .slope = 0.01 * draw(100), .energy = draw(2) * draw(500)};
        p.tier = draw(4) == 0 ? OP_TIER_xshape : OP_TIER_none;
        p.from = draw(4) == 0 ? PDB_OTHER_BACKEND : 0;
        if (refusals && draw(4) == 0) {
            p.refuse_from = 200 + draw(1000);
            p.refusal = draw(2) ? OP_MISSING : OP_INVALID;
        }
        s->ops[i] = (kind_of_op){draw(16), p};
    }
    for (int i = 0; i < DEPLOYMENTS; i++) {
        srv_deployment *d = &s->deployments[i];
        *d = fake_deployment((srv_mode)draw(SRV_MODE_COUNT));
        d->tuning.stride = draw(4) ? 32 : 7;
        d->tuning.imbalance_gen = draw(4) ? 1.0 : 1.5;
        d->built.nextn = draw(4) ? 0 : 1;
        d->request.nextn_accepted = d->built.nextn ? 0.5 : NAN;
        d->request.database_mode = draw(4) ? OP_SILICON : OP_SOL;
        add_ops(s, d, &d->built.context);
        add_ops(s, d, &d->built.generation);
        fake_plan(d);
    }
    for (int g = 0; g < GRIDS; g++)
        for (int i = 0; i < LOADS; i++)
            s->loads[g][i] = (srv_workload){.batch = 1 + draw(3),
                                            .isl = 64 + 64 * draw(4),
                                            .osl = draw(5) ? 64 * draw(4) : draw(200),
                                            .prefix = draw(4) ? 0 : draw(64)};
    for (int i = 0; i < DEPLOYMENTS; i++)
        for (int g = 0; g < GRIDS; g++)
            srv_evaluate_plain(&s->deployments[i], s->loads[g], LOADS, &s->plain[i][g]);
}

static void free_sweep(sweep *s) {
    for (int i = 0; i < DEPLOYMENTS; i++) {
        for (int g = 0; g < GRIDS; g++)
            srv_block_free(&s->plain[i][g]);
        aic_arena_free(s->deployments[i].arena);
    }
    free(s);
}

/* Every deployment on every grid twice, each thread in an order of its own. */
static void evaluate_all(sweep *s, unsigned thread) {
    enum { WHOLE = 2 * DEPLOYMENTS * GRIDS, STEP = 7 };
    srv_block b = {0};
    for (unsigned k = 0; k < WHOLE; k++) {
        unsigned at = (k * STEP + thread * 5) % (DEPLOYMENTS * GRIDS), i = at / GRIDS, g = at % GRIDS;
        srv_evaluate(&s->deployments[i], s->loads[g], LOADS, &b);
        s->wrong += !same_blocks(&b, &s->plain[i][g], 0);
    }
    srv_block_free(&b);
}

typedef struct worker {
    pthread_t id;
    sweep *s;
    unsigned number;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    evaluate_all(w->s, w->number);
    return NULL;
}

static void evaluate_in_threads(sweep *s) {
    worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){.s = s, .number = i};
        assert_int_equal(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].id, NULL);
}

static void sharing_changes_nothing(void **state) {
    (void)state;
    static const size_t rooms[] = {SRV_ANSWERS_BYTES, 320 << 10, 0};
    srv_answers_counts sum[3] = {{0}};
    for (int round = 0; round < 24; round++) {
        sweep *s = AIC_NEW(sweep);
        int room = round % 3;
        srv_answers *answers = srv_answers_new(rooms[room]);
        make_sweep(s);
        for (int i = 0; i < DEPLOYMENTS; i++)
            srv_share_answers(&s->deployments[i], answers);
        if (round % 2)
            evaluate_all(s, 0);
        else
            evaluate_in_threads(s);
        assert_int_equal(s->wrong, 0);
        srv_answers_counts c = srv_answers_count(answers);
        assert_true(c.bytes <= rooms[room]);
        sum[room].found += c.found;
        sum[room].kept += c.kept;
        sum[room].dropped += c.dropped;
        srv_answers_free(answers);
        free_sweep(s);
    }
    assert_true(sum[0].found > sum[0].kept && sum[0].dropped == 0);
    assert_true(sum[1].found > 0 && sum[1].dropped > 0);
    assert_true(sum[2].found == 0 && sum[2].kept == 0);
}

/* ---- the store alone ------------------------------------------------------------------------------ */

/* What stays and what goes: the least recently used answers of a shard, and never one that somebody holds. */
static void the_oldest_go(void **state) {
    (void)state;
    enum { N = 20000, SIZE = 100 };
    const srv_identity who = {.len = 3, .hash = 5, .bytes = "who"};
    srv_answers *s = srv_answers_new(1 << 20);
    srv_answer *held = NULL;
    for (uint64_t i = 0; i < N; i++) {
        srv_question q = {.who = &who, .bytes = &i, .len = sizeof i, .queries = 2};
        assert_null(srv_answers_find(s, &q));
        srv_answer *a = srv_answers_draft(s, &q, SIZE);
        memset(a->value, (int)(i & 0xff), SIZE);
        srv_answers_put(s, a);
        uint64_t first = 0;
        q.bytes = &first;
        a = srv_answers_find(s, &q); /* asked for all the time */
        assert_non_null(a);
        assert_int_equal(a->size, SIZE);
        if (!held)
            held = a;
        else
            srv_answers_release(a);
    }
    srv_answers_counts c = srv_answers_count(s);
    assert_int_equal(c.kept, N);
    assert_true(c.dropped > N / 2 && c.bytes <= 1 << 20 && c.bytes > 1 << 19);
    assert_true(c.queries_asked == 2 * N && c.queries_saved == 2 * N);
    srv_answers_free(s);
    assert_int_equal(*(unsigned char *)held->value, 0);
    srv_answers_release(held);
}

static void keys_are_compared_whole(void **state) {
    (void)state;
    const srv_identity one = {.len = 3, .hash = 5, .bytes = "one"},
                       two = {.len = 3, .hash = 5, .bytes = "two"};
    srv_answers *s = srv_answers_new(1 << 20);
    uint32_t shape = 7;
    srv_question q = {.who = &one, .bytes = &shape, .len = sizeof shape};
    srv_answers_put(s, srv_answers_draft(s, &q, 8));
    srv_answers_put(s, srv_answers_draft(s, &q, 8)); /* another was faster */
    q.who = &two;
    assert_null(srv_answers_find(s, &q));
    assert_int_equal(srv_answers_count(s).kept, 1);
    assert_null(srv_answers_draft(s, &q, 1 << 20)); /* too large */
    srv_answers_free(s);
    srv_answers_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sharing_changes_nothing),
                                       cmocka_unit_test(the_oldest_go),
                                       cmocka_unit_test(keys_are_compared_whole)};
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
