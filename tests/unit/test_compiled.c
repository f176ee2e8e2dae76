/* links: sweep. Deployments of a running sweep: compiled once, ahead of their turn in place of waiting for
 * tables, the same for all threads. */
#include "env_fixture.h"
#include "sweep_fixture.h"
#include <omp.h>

static srv_env env;

static int open_all(void **state) {
    env = env_open();
    return make_folder(state);
}

static int close_all(void **state) {
    env_close(&env);
    return remove_folder(state);
}

/* Deployments 0 and 1 need the tables of one framework, 2 and 3 those of another. */
static const char spec[] = "defaults: {systems: h200_sxm, batch: [1, 8], isl: 1024, osl: 64}\n"
                           "sweep: {models: Qwen/Qwen3-32B-FP8, backends: [trtllm, vllm], tp: [2, 4]}\n";

static const pdb_view *view_of(const swp_sweep *s, size_t dep) {
    srv_request r;
    swp_request_at(s, dep, &r);
    const pdb_view *v = pdb_view_get(env.db, r.system, r.backend, r.version, op_mode_shares(r.database_mode),
                                     env.allow_unlisted, &err);
    assert_non_null(v);
    return v;
}

typedef struct waiting {
    swp_compiled *compiled;
    const pdb_view *other;
    size_t tables; /* of all views, when deployment 0 was there */
} waiting;

/* Something of a view that is being built as long as this runs: whoever compiles for the view would wait. */
static const void *ask_meanwhile(const pdb_view *view, const void *key, aic_arena *a, const char **why) {
    waiting *w = *(waiting *const *)key;
    (void)a;
    (void)why;
    assert_true(pdb_view_is_building(view));
    assert_non_null(swp_compiled_get(w->compiled, 0, &err));
    w->tables = pdb_loaded_so_far(env.db).tables;
    return w;
}

typedef enum busy { NOBODY, BUILDING, EXPECTED } busy; /* what goes on with the tables of deployment 0 */

static size_t tables_with(uint64_t points_end, busy busy) {
    static const char identity;
    swp_sweep *s = load(spec);
    waiting w = {.compiled = swp_compiled_new(s, &env, points_end)}, *key = &w;
    assert_int_equal(swp_deployments(s), 4);
    const pdb_view *own = view_of(s, 0), *other = view_of(s, 2);
    assert_ptr_not_equal(own, other);
    size_t before = pdb_loaded_so_far(env.db).tables;
    if (busy == BUILDING) {
        assert_non_null(pdb_derived_keyed(own, &identity, &key, sizeof key, ask_meanwhile, NULL));
    } else {
        assert_true(busy != EXPECTED || pdb_view_expect(own));
        assert_non_null(swp_compiled_get(w.compiled, 0, &err));
        w.tables = pdb_loaded_so_far(env.db).tables;
        pdb_view_expect_end(busy == EXPECTED ? own : NULL);
        assert_false(pdb_view_expect(own) || pdb_view_is_building(own)); /* nothing left to expect */
    }
    /* Nothing is compiled twice, and all are what they would be alone. */
    for (size_t dep = 0; dep < 4; dep++) {
        const srv_deployment *d = swp_compiled_get(w.compiled, dep, &err);
        srv_deployment *alone = swp_compile(s, &env, dep, &err);
        assert_ptr_equal(d, swp_compiled_get(w.compiled, dep, &err));
        assert_string_equal(d->inputs, alone->inputs);
        srv_free(alone);
    }
    for (size_t dep = 0; dep < 4; dep++)
        swp_compiled_done(w.compiled, dep, swp_points_of(s, dep));
    swp_compiled_free(w.compiled);
    pdb_view_unload(own);
    pdb_view_unload(other);
    swp_free(s);
    return w.tables - before;
}

/* Those of other tables are compiled while the own ones are waited for; never those behind the end. */
static void test_ahead(void **state) {
    (void)state;
    size_t alone = tables_with(8, NOBODY), ahead = tables_with(8, BUILDING);
    assert_true(alone > 0 && ahead > alone);
    assert_int_equal(tables_with(8, EXPECTED), ahead);
    assert_int_equal(tables_with(4, BUILDING), alone); /* points of deployments 0 and 1 alone */
    assert_int_equal(tables_with(0, BUILDING), alone);
}

/* Threads that ask for everything in orders of their own see the same deployments. */
static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 4, DEPS = 4, ROUNDS = 5 };
    for (size_t round = 0; round < ROUNDS; round++) {
        swp_sweep *s = load(spec);
        swp_compiled *c = swp_compiled_new(s, &env, swp_points(s));
        const srv_deployment *got[THREADS][DEPS];
#pragma omp parallel num_threads(THREADS)
        for (size_t i = 0, t = (size_t)omp_get_thread_num(); i < DEPS; i++) {
            size_t dep = (i + t * round) % DEPS;
            got[t][dep] = swp_compiled_get(c, dep, NULL);
        }
        for (size_t dep = 0; dep < DEPS; dep++) {
            assert_non_null(got[0][dep]);
            for (size_t t = 1; t < THREADS; t++)
                assert_ptr_equal(got[t][dep], got[0][dep]);
        }
        swp_compiled_free(c);
        pdb_view_unload(view_of(s, 0));
        pdb_view_unload(view_of(s, 2));
        swp_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ahead), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests_name("compiled", tests, open_all, close_all);
}
