/* links: sweep. Shards partition the points of any sweep, cost about the same, and depend on the sweep alone.
 */
#include "sweep_fixture.h"

static const char grid[] =
    "sweep:\n"
    "- {models: [a, b], system: s, tp: [1, 2, 4], batch: [1, 2, 3, 4], isl: [100, 200], osl: [1, 900]}\n"
    "- {model: c, system: s, mode: static_ctx, batch: {from: 1, to: 400, step: 1}}\n"
    "- {model: d, system: s, mode: static_gen, workloads: [{batch: 1, osl: 5}, {batch: 2, osl: 90000}]}\n";

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Cuts rise from 0 to the last point; no shard is empty while there are points enough. */
static void check_cuts(const swp_sweep *s, uint64_t n) {
    uint64_t *cuts = aic_alloc(n + 1, sizeof *cuts);
    swp_shard_cuts(s, n, cuts);
    assert_int_equal(cuts[0], 0);
    assert_int_equal(cuts[n], swp_points(s));
    for (uint64_t i = 1; i <= n; i++) {
        assert_true(cuts[i] >= cuts[i - 1] + (n <= swp_points(s)));
        swp_range r = swp_shard_range(s, (swp_shard){i, n});
        assert_int_equal(r.first, cuts[i - 1]);
        assert_int_equal(r.end, cuts[i]);
    }
    free(cuts);
}

static void check_many(const swp_sweep *s) {
    uint64_t state = 1;
    for (uint64_t n = 1; n <= 70; n++)
        check_cuts(s, n);
    for (int i = 0; i < 40; i++)
        check_cuts(s, 1 + next_random(&state) % (2 * swp_points(s)));
    check_cuts(s, swp_points(s));
    check_cuts(s, swp_points(s) + 1);
}

static void test_partition_of_a_grid(void **state) {
    (void)state;
    swp_sweep *s = load(grid);
    assert_int_equal(swp_points(s), 2 * 3 * 16 + 400 + 2);
    check_many(s);
    swp_range whole = swp_shard_range(s, (swp_shard){0, 0});
    assert_int_equal(whole.first, 0);
    assert_int_equal(whole.end, swp_points(s));
    swp_free(s);
}

static void test_partition_of_a_list(void **state) {
    (void)state;
    aic_buf text = {0};
    aic_buf_add(&text, "model,system,backend,batch,osl\n");
    for (int i = 0; i < 300; i++)
        aic_buf_printf(&text, "m%d,s,trtllm,%d,%d\n", i * 7 % 11, i, 1 + i * 37 % 500);
    swp_sweep *s = load_list(text.data);
    check_many(s);
    swp_free(s);
    aic_buf_free(&text);
}

/* Equal deployments: shards differ by the cost of one at most. */
static void test_even(void **state) {
    (void)state;
    swp_sweep *s = load("sweep: {model: m, system: s, tp: {from: 1, to: 1000, step: 1}, batch: {from: 1, to: "
                        "1000, step: 1}}\n");
    for (uint64_t n = 2; n < 700; n = n * 3 + 1) {
        uint64_t *cuts = aic_alloc(n + 1, sizeof *cuts);
        swp_shard_cuts(s, n, cuts);
        for (uint64_t i = 1; i <= n; i++) {
            double share = (double)(cuts[i] - cuts[i - 1]) * (double)n / (double)swp_points(s);
            assert_true(share > 0.97 && share < 1.03);
        }
        free(cuts);
    }
    swp_free(s);
}

/* Points that decode long cost more than prefill alone; deployments of one point cost their compiling. */
static void test_weights(void **state) {
    (void)state;
    swp_sweep *s = load("defaults: {model: m, system: s, batch: {from: 1, to: 10000, step: 1}}\n"
                        "sweep: [{mode: static_ctx}, {mode: static_gen, osl: 4096}]\n");
    uint64_t cuts[3];
    swp_shard_cuts(s, 2, cuts);
    assert_true(cuts[1] > 13000 && cuts[1] < 17000);
    swp_free(s);
    s = load("sweep:\n"
             "- {model: m, system: s, osl: 32, tp: {from: 1, to: 500, step: 1}}\n"
             "- {model: m, system: s, osl: 32, batch: {from: 1, to: 500, step: 1}}\n");
    swp_shard_cuts(s, 2, cuts);
    assert_true(cuts[1] > 240 && cuts[1] < 260);
    swp_free(s);
}

/* The largest sums stay within their type. */
static void test_large(void **state) {
    (void)state;
    swp_sweep *s = load("sweep: {model: m, system: s, tp: {from: 1, to: 256, step: 1}, batch: {from: 1, to: "
                        "60000, step: 1},\n"
                        "        isl: {from: 1, to: 60000, step: 1}, osl: 2000000000}\n");
    uint64_t *cuts = aic_alloc(SWP_MAX_SHARDS + 1, sizeof *cuts);
    swp_shard_cuts(s, SWP_MAX_SHARDS, cuts);
    uint64_t even = swp_points(s) / SWP_MAX_SHARDS;
    for (uint64_t i = 1; i <= SWP_MAX_SHARDS; i++)
        assert_true(cuts[i] - cuts[i - 1] >= even - 2 && cuts[i] - cuts[i - 1] <= even + 2);
    free(cuts);
    swp_free(s);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *output;
        swp_shard shard;
        const char *expected;
    } cases[] = {
        {"a/b.h5", {3, 128}, "a/b.shard-003-of-128.h5"},
        {"b", {1, 1}, "b.shard-1-of-1.h5"},
        {".h5", {10, 10}, ".h5.shard-10-of-10.h5"},
        {"x.h5", {7, 1000000}, "x.shard-0000007-of-1000000.h5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_buf b = {0};
        swp_shard_path(cases[i].output, cases[i].shard, &b);
        assert_string_equal(b.data, cases[i].expected);
        aic_buf_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition_of_a_grid),
        cmocka_unit_test(test_partition_of_a_list),
        cmocka_unit_test(test_even),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
