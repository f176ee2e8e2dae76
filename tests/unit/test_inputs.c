/* links: serving
 * The inputs digest: the same in every run, different where anything that counts differs, and nothing is read
 * after it was taken. */
#include "env_fixture.h"
#include "serving/internal.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const models[] = {"Qwen/Qwen3-32B-FP8",        "Qwen/Qwen3-30B-A3B",
                                     "deepseek-ai/DeepSeek-V3",   "meta-llama/Meta-Llama-3.1-8B",
                                     "deepseek-ai/DeepSeek-V3.2", "moonshotai/Kimi-K2-Instruct"};
static const char *const backends[] = {"trtllm", "sglang", "vllm"};
enum { MODELS = sizeof models / sizeof *models, BACKENDS = 3, ALL = MODELS * BACKENDS * OP_MODE_COUNT };

static srv_request request_of(size_t i) {
    srv_request r;
    srv_request_init(&r);
    r.model = models[i % MODELS];
    r.backend = backends[i / MODELS % BACKENDS];
    r.database_mode = (op_mode)(i / MODELS / BACKENDS);
    r.system = "h200_sxm";
    r.par = (mdl_parallel){.tp = 8, .pp = 1, .dp = 1, .moe_tp = 1, .moe_ep = 8, .cp = 1};
    if (i % MODELS == 0 || i % MODELS == 3)
        r.par.moe_tp = r.par.moe_ep = 0;
    return r;
}

static srv_deployment *compile(const srv_env *env, const srv_request *r) {
    aic_error err = {0};
    srv_deployment *d = srv_compile(env, r, NULL, &err);
    if (!d)
        fail_msg("%s", err.text);
    return d;
}

static void evaluate_recorded(const srv_deployment *d) {
    static const srv_workload loads[] = {{.batch = 1, .isl = 128, .osl = 2},
                                         {.batch = 64, .isl = 4096, .osl = 500, .prefix = 1024},
                                         {.batch = 3, .isl = 1000, .osl = 33, .images = {2, 1024, 768, 0}}};
    srv_block block = {0};
    pdb_reads reads;
    pdb_reads_begin(&reads, d->view);
    srv_evaluate(d, loads, 3, &block);
    srv_evaluate_plain(d, loads, 3, &block);
    pdb_reads_end(&reads, NULL);
    for (int w = 0; w < PDB_READ_WORDS; w++)
        assert_int_equal(reads.set[w], 0);
    assert_false(reads.incomplete);
    srv_block_free(&block);
}

static void test_nothing_is_read_while_points_are_priced(void **state) {
    (void)state;
    srv_env env = env_open();
    size_t priced = 0;
    for (size_t i = 0; i < ALL; i++) {
        srv_request r = request_of(i);
        srv_deployment *d = compile(&env, &r);
        assert_int_equal(strlen(d->inputs), d->refused == SRV_ST_ok ? SRV_INPUTS_DIGITS : 0);
        if (d->refused == SRV_ST_ok) {
            evaluate_recorded(d);
            priced++;
        }
        srv_free(d);
    }
    assert_true(priced > ALL / 2);
    env_close(&env);
}

/* Tables are first read by another deployment, so that what was derived from them is found, not made. */
static void test_the_order_of_compiling_does_not_matter(void **state) {
    (void)state;
    char seen[ALL][SRV_INPUTS_DIGITS + 1];
    for (int pass = 0; pass < 2; pass++) {
        srv_env env = env_open();
        for (size_t k = 0; k < ALL; k++) {
            size_t i = pass ? ALL - 1 - k : k;
            srv_request r = request_of(i);
            srv_deployment *d = compile(&env, &r);
            if (pass)
                assert_string_equal(seen[i], d->inputs);
            strcpy(seen[i], d->inputs);
            srv_free(d);
        }
        env_close(&env);
    }
    for (size_t i = 0; i < ALL; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(!*seen[i] || strcmp(seen[i], seen[j]) != 0);
}

static void test_what_counts_changes_it(void **state) {
    (void)state;
    srv_env env = env_open();
    srv_request base = request_of(0);
    srv_deployment *first = compile(&env, &base), *again = compile(&env, &base);
    assert_string_equal(first->inputs, again->inputs);
    srv_free(again);
    for (int change = 0; change < 6; change++) {
        srv_request r = base;
        switch (change) {
        case 0:
            r.mode = SRV_static_ctx;
            break;
        case 1:
            r.par.tp = 4;
            break;
        case 2:
            r.quants.kvcache = PDB_Q_bfloat16;
            break;
        case 3:
            r.nextn = 1;
            r.nextn_accepted = 0.5;
            break;
        case 4:
            r.backend = "vllm";
            break;
        default:
            r.database_mode = OP_HYBRID;
        }
        srv_deployment *d = compile(&env, &r);
        assert_int_equal(strlen(d->inputs), SRV_INPUTS_DIGITS);
        assert_string_not_equal(d->inputs, first->inputs);
        srv_free(d);
    }
    srv_free(first);
    env_close(&env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_read_while_points_are_priced),
        cmocka_unit_test(test_the_order_of_compiling_does_not_matter),
        cmocka_unit_test(test_what_counts_changes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
