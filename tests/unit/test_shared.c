/* links: serving
 * Deployments that share op lists and bound ops are those that stand alone: the same refusals, inputs, rows
 * and figures, whoever was compiled before, from any thread, and when what is shared is renewed all the time.
 */
#include "env_fixture.h"
#include "serving/internal.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    bool experts; /* layouts name them */
} models[] = {{"Qwen/Qwen3-32B-FP8", false},        {"Qwen/Qwen3-30B-A3B", true},
              {"deepseek-ai/DeepSeek-V3", true},    {"meta-llama/Meta-Llama-3.1-8B", false},
              {"deepseek-ai/DeepSeek-V3.2", true},  {"nvidia/Nemotron-H-56B-Base-8K", true},
              {"Qwen/Qwen3-VL-8B-Instruct", false}, {"openai/gpt-oss-120b", true}};
static const char *const backends[] = {"trtllm", "sglang", "vllm"};
/* What is asked for beside model, backend and mode; one of them at a time. */
enum { PLAIN, SPECULATIVE, FP8, LAYERS, WIDE, LANE, NO_LANE, EMPIRICAL, SOL, ASKS };
enum {
    MODELS = sizeof models / sizeof *models,
    BACKENDS = 3,
    ALL = MODELS * BACKENDS * SRV_MODE_COUNT * ASKS
};

static srv_request request_of(size_t i) {
    srv_request r;
    srv_request_init(&r);
    size_t model = i % MODELS, ask = i / MODELS / BACKENDS / SRV_MODE_COUNT;
    r.model = models[model].name;
    r.backend = backends[i / MODELS % BACKENDS];
    r.mode = (srv_mode)(i / MODELS / BACKENDS % SRV_MODE_COUNT);
    r.system = "h200_sxm";
    r.par = (mdl_parallel){.tp = ask == WIDE ? 8 : 4, .pp = 1, .dp = 1, .cp = 1};
    r.par.moe_ep = models[model].experts ? r.par.tp : 0;
    r.nextn = ask == SPECULATIVE ? 2 : 0;
    r.nextn_accepted = ask == SPECULATIVE ? 0.5 : r.nextn_accepted;
    r.quants.gemm = ask == FP8 ? PDB_Q_fp8 : PDB_Q_UNSET;
    r.options.layers = ask == LAYERS ? 4 : 0;
    r.options.attention_backend = ask == LANE ? "flashinfer" : ask == NO_LANE ? "no_such_kernel" : NULL;
    r.database_mode = ask == EMPIRICAL ? OP_EMPIRICAL : ask == SOL ? OP_SOL : OP_SILICON;
    return r;
}

static srv_deployment *compile(const srv_env *env, size_t i) {
    srv_request r = request_of(i);
    srv_tuning tuning;
    aic_error err = {0};
    srv_tuning_init(&tuning);
    tuning.to_first_gap = i % 2 == 0;
    srv_deployment *d = srv_compile(env, &r, &tuning, &err);
    if (!d)
        fail_msg("%s", err.text);
    return d;
}

static void same_texts(const char *a, const char *b) {
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static void same_walks(const srv_walk *a, const srv_walk *b) {
    aic_buf x = {0}, y = {0};
    assert_int_equal(a->n_ops, b->n_ops);
    assert_int_equal(a->n_bound, b->n_bound);
    for (size_t i = 0; i < a->n_bound; i++) {
        op_to_json(a->ops[i].bound.op, &x);
        op_to_json(b->ops[i].bound.op, &y);
        assert_memory_equal(&a->ops[i].identity, &b->ops[i].identity, sizeof a->ops[i].identity);
        assert_int_equal(a->ops[i].bound.reads, b->ops[i].bound.reads);
        same_texts(a->ops[i].bound.reason, b->ops[i].bound.reason);
    }
    if (a->n_bound)
        assert_string_equal(x.data, y.data);
    aic_buf_free(&x);
    aic_buf_free(&y);
}

static void same_figures(const srv_deployment *a, const srv_deployment *b) {
    static const srv_workload loads[] = {{.batch = 1, .isl = 128, .osl = 2},
                                         {.batch = 64, .isl = 4096, .osl = 500, .prefix = 1024},
                                         {.batch = 3, .isl = 1000, .osl = 33, .images = {2, 1024, 768, 0}}};
    enum { N = sizeof loads / sizeof *loads };
    srv_block x = {0}, y = {0};
    srv_evaluate(a, loads, N, &x);
    srv_evaluate_plain(b, loads, N, &y);
    for (size_t i = 0; i < N; i++) {
        const size_t from = offsetof(srv_point, ttft);
        const srv_point p = srv_points_get(&x.points, i), q = srv_points_get(&y.points, i);
        assert_int_equal(p.status, q.status);
        same_texts(p.reason, q.reason);
        assert_memory_equal((const char *)&p + from, (const char *)&q + from, sizeof p - from);
        if (!x.priced[i])
            continue;
        size_t first = i * x.n_rows + srv_first_row(a, p.encodes), n = (i + 1) * x.n_rows - first;
        assert_memory_equal(x.latency + first, y.latency + first, n * sizeof *x.latency);
        assert_memory_equal(x.energy + first, y.energy + first, n * sizeof *x.energy);
    }
    srv_block_free(&x);
    srv_block_free(&y);
}

static void same(const srv_deployment *a, const srv_deployment *b) {
    assert_int_equal(a->refused, b->refused);
    assert_string_equal(a->why.text, b->why.text);
    assert_string_equal(a->inputs, b->inputs);
    assert_memory_equal(&a->built.weight_bytes, &b->built.weight_bytes, sizeof a->built.weight_bytes);
    assert_int_equal(a->n_rows, b->n_rows);
    assert_memory_equal(a->rows_hash, b->rows_hash, sizeof a->rows_hash);
    for (size_t i = 0; i < a->n_rows; i++) {
        assert_string_equal(a->rows[i].name, b->rows[i].name);
        assert_memory_equal(&a->rows[i].repeat, &b->rows[i].repeat, sizeof a->rows[i].repeat);
    }
    if (a->refused != SRV_ST_ok)
        return;
    same_walks(&srv_plan_of(a)->encoder, &srv_plan_of(b)->encoder);
    same_walks(&srv_plan_of(a)->context, &srv_plan_of(b)->context);
    same_walks(&srv_plan_of(a)->generation, &srv_plan_of(b)->generation);
    same_figures(a, b);
}

/* bytes 0: an epoch ends with every deployment. Half of the deployments outlive the store they came from. */
static void check_shared(size_t bytes) {
    srv_env alone = env_open(), together = alone;
    srv_deployment *kept[ALL];
    size_t ok = 0;
    together.shared = srv_shared_new(bytes, 0);
    for (size_t k = 0; k < ALL; k++) {
        size_t i = bytes ? k : ALL - 1 - k;
        kept[i] = compile(&together, i);
        if (i % 2) {
            srv_free(kept[i]);
            kept[i] = compile(&together, i);
        }
    }
    srv_shared_free(together.shared);
    for (size_t i = 0; i < ALL; i++) {
        srv_deployment *d = compile(&alone, i);
        same(kept[i], d);
        ok += d->refused == SRV_ST_ok;
        srv_free(d);
        srv_free(kept[i]);
    }
    assert_true(ok > ALL / 2 && ok < ALL);
    env_close(&alone);
}

static void test_sharing_changes_nothing(void **state) {
    (void)state;
    check_shared(SIZE_MAX);
}

static void test_renewal_changes_nothing(void **state) {
    (void)state;
    check_shared(0);
}

enum { THREADS = 4 };
typedef struct worker {
    const srv_env *env;
    size_t from;
    char inputs[ALL][SRV_INPUTS_DIGITS + 1];
} worker;

static void *compile_all(void *arg) {
    worker *w = arg;
    for (size_t k = 0; k < ALL; k++) {
        size_t i = (k + w->from) % ALL;
        srv_deployment *d = compile(w->env, i);
        memcpy(w->inputs[i], d->inputs, sizeof d->inputs);
        srv_free(d);
    }
    return NULL;
}

static void test_any_thread(void **state) {
    (void)state;
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    srv_env alone = env_open(), together = alone;
    together.shared = srv_shared_new((size_t)1 << 20, 1000); /* renewed a few times */
    for (size_t t = 0; t < THREADS; t++) {
        workers[t] = (worker){.env = &together, .from = t % 2 * ALL / 2};
        assert_int_equal(pthread_create(&threads[t], NULL, compile_all, &workers[t]), 0);
    }
    for (size_t t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    srv_shared_free(together.shared);
    for (size_t i = 0; i < ALL; i++) {
        srv_deployment *d = compile(&alone, i);
        for (size_t t = 0; t < THREADS; t++)
            assert_string_equal(workers[t].inputs[i], d->inputs);
        srv_free(d);
    }
    env_close(&alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_changes_nothing),
        cmocka_unit_test(test_renewal_changes_nothing),
        cmocka_unit_test(test_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
