/* links: models. KV-cache bytes and their inverse, and repeats as the reference's engine reads them. */
#include "models_fixture.h"
#include <math.h>

static double brute_max(const mdl_kv *kv, double budget, double limit) {
    double n = 0.0;
    while (n < limit && mdl_kv_sequence(kv, n + 1.0) <= budget)
        n += 1.0;
    return n;
}

static void test_plain(void **state) {
    (void)state;
    mdl_kv kv = {.per_token = 8192.0};
    assert_true(mdl_kv_sequence(&kv, 3.0) == 24576.0);
    assert_true(mdl_kv_longest(&kv, 24575.0) == 2.0);
    assert_true(mdl_kv_longest(&kv, 24576.0) == 3.0);
    assert_true(mdl_kv_longest(&kv, 0.0) == 0.0);
    assert_true(mdl_kv_longest(&kv, -5.0) == 0.0);
    assert_true(mdl_kv_longest(&kv, NAN) == 0.0);
    kv.per_token = 0.0; /* a family without KV heads */
    assert_true(mdl_kv_sequence(&kv, 1e6) == 0.0);
    assert_true(mdl_kv_longest(&kv, 1e9) == 0.0);
}

/* A state that a sequence of any length has. */
static void test_state(void **state) {
    (void)state;
    mdl_kv kv = {.state = 1000.0, .per_token = 8.0};
    assert_true(mdl_kv_sequence(&kv, 0.0) == 1000.0);
    assert_true(mdl_kv_longest(&kv, 1000.0) == 0.0);
    assert_true(mdl_kv_longest(&kv, 1007.0) == 0.0);
    assert_true(mdl_kv_longest(&kv, 1016.0) == 2.0);
}

static void test_windows(void **state) {
    (void)state;
    mdl_kv_part capped = {.bytes = 3.0, .window = 16.0, .every = 1.0};
    mdl_kv kv = {.per_token = 2.0, .n_thinned = 1, .thinned = &capped, .context_length = 4096.0};
    assert_true(mdl_kv_sequence(&kv, 16.0) == 80.0);
    assert_true(mdl_kv_sequence(&kv, 17.0) == 82.0);
    for (double budget = 0.0; budget < 300.0; budget += 1.0)
        assert_true(mdl_kv_longest(&kv, budget) == brute_max(&kv, budget, 1000.0));
    kv.per_token = 0.0; /* every layer capped: any length fits */
    assert_true(mdl_kv_longest(&kv, 48.0) == 4096.0);
    assert_true(mdl_kv_longest(&kv, 47.0) == 15.0);
    kv.context_length = 0.0;
    assert_true(mdl_kv_longest(&kv, 48.0) == 32.0);
    assert_true(mdl_kv_longest(&kv, INFINITY) == 32.0);
}

/* One entry for every few tokens. */
static void test_compressed(void **state) {
    (void)state;
    mdl_kv_part parts[] = {{.bytes = 10.0, .every = 4.0}, {.bytes = 7.0, .window = 5.0, .every = 2.0}};
    mdl_kv kv = {.state = 3.0, .n_thinned = 2, .thinned = parts};
    assert_true(mdl_kv_sequence(&kv, 3.0) == 3.0 + 7.0);
    assert_true(mdl_kv_sequence(&kv, 9.0) == 3.0 + 20.0 + 14.0);
    for (double budget = 0.0; budget < 300.0; budget += 1.0)
        assert_true(mdl_kv_longest(&kv, budget) >= (budget >= 3.0 ? brute_max(&kv, budget, 200.0) : 0.0));
}

/* The floor of the real quotient, also where dividing rounds up to an integer. */
static void test_floordiv(void **state) {
    (void)state;
    assert_true(mdl_floordiv(7.0, 2.0) == 3.0);
    assert_true(mdl_floordiv(6.0, 2.0) == 3.0);
    assert_true(mdl_floordiv(1.0, 0.1) == 9.0);
    assert_true(mdl_floordiv(0.6, 0.2) == 2.0);
}

static void test_negative_length(void **state) {
    (void)state;
    mdl_kv kv = {.per_token = 20.0};
    mdl_deployment d = {.kv = &kv};
    assert_true(mdl_kv_bytes(&d, -3.0) == 0.0);
    assert_true(mdl_kv_bytes(&d, 3.0) == 60.0);
    assert_true(mdl_kv_max_tokens(&d, 60.0) == 3.0);
}

static void test_engine_repeat(void **state) {
    (void)state;
    assert_true(mdl_engine_repeat(54.0 / 52.0) == 1.0384615384615383);
    assert_true(54.0 / 52.0 == 1.0384615384615385);
    assert_true(mdl_engine_repeat(64.0 / 61.0) == 1.0491803278688523);
    const double same[] = {0.0, 1.0, 61.0, 94.5, 0.25, 1e300};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(mdl_engine_repeat(same[i]) == same[i]);
    for (int layers = 1; layers < 130; layers++) {
        double repeat = (double)(layers + 1) / layers, read = mdl_engine_repeat(repeat);
        assert_true(read == repeat || read == nextafter(repeat, 0.0) || read == nextafter(repeat, 10.0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_state),
        cmocka_unit_test(test_windows),       cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_floordiv),      cmocka_unit_test(test_negative_length),
        cmocka_unit_test(test_engine_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
