/* links: sweep. Enumeration: order of deployments and points, prefix sums, filters, block sizes, limits. */
#include "sweep_fixture.h"
#include <math.h>

static void request_of(const swp_sweep *s, uint64_t point, srv_request *r, srv_workload *w) {
    swp_request_at(s, swp_dep_of(s, point), r);
    swp_loads(s, point, 1, w);
}

static void test_order(void **state) {
    (void)state;
    swp_sweep *s = load("sweep:\n"
                        "  models: [m1, m2]\n"
                        "  systems: s\n"
                        "  backends: [trtllm, vllm]\n"
                        "  tp: [1, 2]\n"
                        "  batch: [1, 8]\n"
                        "  isl: [128, 256, 512]\n"
                        "  osl: 64\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 2 * 2 * 2 * 6);
    assert_int_equal(swp_deployments(s), 8);
    for (uint64_t i = 0; i < swp_points(s); i++) {
        request_of(s, i, &r, &w);
        uint64_t dep = i / 6, load_index = i % 6;
        assert_string_equal(r.model, dep / 4 ? "m2" : "m1");
        assert_string_equal(r.backend, dep / 2 % 2 ? "vllm" : "trtllm");
        assert_int_equal(r.par.tp, dep % 2 ? 2 : 1);
        assert_int_equal(w.batch, load_index / 3 ? 8 : 1);
        assert_int_equal(w.isl, 128u << load_index % 3);
        assert_int_equal(w.osl, 64);
        assert_int_equal(w.prefix, 0);
    }
    swp_free(s);
}

/* A policy varies inside the database mode; none given is none in the request. */
static void test_policies(void **state) {
    (void)state;
    swp_sweep *s = load("sweep: {model: m, system: s, database_modes: [HYBRID, EMPIRICAL],\n"
                        "        transfer_policies: [\"off\", \"xshape, xquant\"]}\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 4);
    for (uint64_t i = 0; i < 4; i++) {
        request_of(s, i, &r, &w);
        assert_int_equal(r.database_mode, i / 2 ? OP_EMPIRICAL : OP_HYBRID);
        assert_string_equal(r.transfer_policy, i % 2 ? "xshape, xquant" : "off");
    }
    swp_free(s);
}

/* Options vary fastest; each item starts from the defaults. cp is a size of the layout. */
static void test_options(void **state) {
    (void)state;
    swp_sweep *s = load("sweep:\n"
                        "  model: m\n"
                        "  system: s\n"
                        "  layouts: [{tp: 2}, {cp: 4}]\n"
                        "  options:\n"
                        "  - {}\n"
                        "  - {eplb: true, slots: 288, sms: 24, moe_backend: megamoe}\n"
                        "  - {distribution: uniform, attention_backend: fa3, override_layers: 4}\n"
                        "  where: eplb == 0 or slots > 256\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 6);
    for (uint64_t i = 0; i < 6; i++) {
        request_of(s, i, &r, &w);
        const srv_options *o = &r.options;
        assert_int_equal(r.par.cp, i / 3 ? 4 : 1);
        assert_int_equal(o->eplb, i % 3 == 1);
        assert_int_equal(o->slots, i % 3 == 1 ? 288 : 0);
        assert_int_equal(o->sms, i % 3 == 1 ? 24 : 20);
        assert_int_equal(o->layers, i % 3 == 2 ? 4 : 0);
        assert_string_equal(o->distribution, i % 3 == 2 ? "uniform" : "power_law");
        assert_true(i % 3 == 1 ? strcmp(o->moe_backend, "megamoe") == 0 : !o->moe_backend);
        assert_true(i % 3 == 2 ? strcmp(o->attention_backend, "fa3") == 0 : !o->attention_backend);
    }
    swp_free(s);
}

static void test_defaults(void **state) {
    (void)state;
    swp_sweep *s = load("sweep: {model: m, system: s}\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 1);
    request_of(s, 0, &r, &w);
    assert_int_equal(r.mode, SRV_static);
    assert_string_equal(r.backend, "trtllm");
    assert_string_equal(r.version, "");
    assert_int_equal(r.database_mode, OP_SILICON);
    assert_null(r.transfer_policy);
    assert_int_equal(r.par.tp * r.par.pp * r.par.dp * r.par.cp, 1);
    assert_int_equal(r.par.moe_tp + r.par.moe_ep, 0);
    assert_int_equal(w.batch, 128);
    assert_int_equal(w.isl, 1024);
    assert_int_equal(w.osl, 1024);
    assert_true(isnan(r.nextn_accepted));
    assert_string_equal(r.options.distribution, "power_law");
    assert_int_equal(r.options.sms, 20);
    assert_int_equal(r.options.eplb + r.options.slots + r.options.layers, 0);
    assert_true(!r.options.attention_backend && !r.options.moe_backend);
    swp_free(s);
}

static void test_blocks_and_default_keys(void **state) {
    (void)state;
    swp_sweep *s = load("defaults: {model: m, system: s, tp: [1, 2], batch: [1, 2, 3], isl: 100}\n"
                        "sweep:\n"
                        "- {}\n"
                        "- {layouts: {tp: 4, moe_ep: 4}, isl: 200}\n"
                        "- {workloads: [{batch: 7, isl: 300}, {batch: 9, isl: 900}], osl: [1, 2]}\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 6 + 3 + 8);
    request_of(s, 6, &r, &w);
    assert_int_equal(r.par.tp, 4);
    assert_int_equal(r.par.moe_ep, 4);
    assert_int_equal(w.isl, 200);
    static const uint32_t expected[][3] = {{7, 300, 1}, {7, 300, 2}, {9, 900, 1}, {9, 900, 2}};
    for (uint64_t i = 0; i < 8; i++) {
        request_of(s, 9 + i, &r, &w);
        assert_int_equal(r.par.tp, i < 4 ? 1 : 2);
        assert_int_equal(w.batch, expected[i % 4][0]);
        assert_int_equal(w.isl, expected[i % 4][1]);
        assert_int_equal(w.osl, expected[i % 4][2]);
    }
    swp_free(s);
}

static void test_filters(void **state) {
    (void)state;
    /* deployment only, workload only, both: each alone and together; empty deployments disappear */
    swp_sweep *s = load("sweep:\n"
                        "  models: [m1, m2]\n"
                        "  systems: s\n"
                        "  tp: [1, 2, 4]\n"
                        "  pp: [1, 2]\n"
                        "  batch: [1, 2, 4]\n"
                        "  isl: [100, 200]\n"
                        "  where: [gpus <= 4, \"isl == 100 or batch > 1\", \"tp >= batch\", \"not (model == "
                        "'m2' and tp < 4)\"]\n");
    uint64_t point = 0;
    size_t deps = 0;
    for (int m = 1; m <= 2; m++)
        for (uint32_t tp = 1; tp <= 4; tp *= 2)
            for (uint32_t pp = 1; pp <= 2; pp++) {
                bool any = false;
                for (uint32_t batch = 1; batch <= 4; batch *= 2)
                    for (uint32_t isl = 100; isl <= 200; isl += 100) {
                        if (tp * pp > 4 || !(isl == 100 || batch > 1) || tp < batch || (m == 2 && tp < 4))
                            continue;
                        srv_request r;
                        srv_workload w;
                        request_of(s, point++, &r, &w);
                        assert_string_equal(r.model, m == 1 ? "m1" : "m2");
                        assert_int_equal(r.par.tp, tp);
                        assert_int_equal(r.par.pp, pp);
                        assert_int_equal(w.batch, batch);
                        assert_int_equal(w.isl, isl);
                        any = true;
                    }
                deps += any;
            }
    assert_int_equal(swp_points(s), point);
    assert_int_equal(swp_deployments(s), deps);
    swp_free(s);
}

static void test_drafts_and_quants(void **state) {
    (void)state;
    swp_sweep *s = load("sweep:\n"
                        "  {model: m, system: s, nextn: [0, 2], nextn_accepted: [0.5, 1], quants: [auto, "
                        "{gemm: fp8, comm: half}]}\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 2 * 3);
    request_of(s, 0, &r, &w);
    assert_int_equal(r.nextn, 0);
    assert_int_equal(r.quants.gemm, PDB_Q_UNSET);
    request_of(s, 5, &r, &w);
    assert_int_equal(r.nextn, 2);
    assert_true(r.nextn_accepted == 1);
    assert_int_equal(r.quants.gemm, PDB_Q_fp8);
    assert_int_equal(r.quants.comm, PDB_Q_half);
    assert_int_equal(r.quants.moe, PDB_Q_UNSET);
    swp_free(s);
}

static void test_blocks_of_work(void **state) {
    (void)state;
    swp_sweep *s = load("sweep: {model: m, system: s, tp: [1, 2], batch: {from: 1, to: 10, step: 1}}\n");
    assert_int_equal(swp_block_size(s, 0, 4), 4);
    assert_int_equal(swp_block_size(s, 8, 4), 2); /* ends with its deployment */
    assert_int_equal(swp_block_size(s, 10, 100), 10);
    assert_int_equal(swp_points_of(s, 1), 10);
    swp_free(s);
}

static void test_a_large_sweep_is_lazy(void **state) {
    (void)state;
    swp_sweep *s =
        load("sweep: {model: m, system: s, tp: [1, 2, 4, 8], batch: {from: 1, to: 1000, step: 1},\n"
             "  isl: {from: 1, to: 2000, step: 1}, osl: {from: 1, to: 1000, step: 1}}\n");
    srv_request r;
    srv_workload w;
    assert_int_equal(swp_points(s), 8000000000);
    request_of(s, 7999999999, &r, &w);
    assert_int_equal(r.par.tp, 8);
    assert_int_equal(w.batch, 1000);
    assert_int_equal(w.isl, 2000);
    assert_int_equal(w.osl, 1000);
    swp_free(s);
    assert_null(load_with("sweep: {model: m, system: s, tp: {from: 1, to: 1000, step: 1}, batch: {from: 1, "
                          "to: 1000, step: 1},\n"
                          "  isl: {from: 1, to: 2000, step: 1}, osl: {from: 1, to: 1000, step: 1}}\n",
                          NULL, 0, NULL));
    assert_string_equal(message(), "t.yaml:1:8: the sweep has more than 2^40 points: split it");
    assert_null(load_with("sweep: {model: m, system: s, batch: {from: 1, to: 10000, step: 1},\n"
                          "  isl: {from: 1, to: 20000, step: 1}, osl: {from: 1, to: 10000, step: 1}}\n",
                          NULL, 0, NULL));
    assert_string_equal(message(), "t.yaml:2:44: the block has more than 2^32 workloads per deployment");
}

/* Workloads of many points at once are those of each alone, whichever column is the fastest. */
static void test_many_loads(void **state) {
    (void)state;
    static const char *const blocks[] = {
        "batch: [1, 2, 3], isl: [100, 200], osl: [1, 2, 4, 8]",
        "batch: [1, 2, 3], isl: [100, 200], osl: [1, 2, 4, 8], where: batch * osl != 4 and isl + osl != 201",
        "batch: [1, 2, 3], isl: [100, 200], prefix: [0, 50]",
        "batch: [1, 2, 3], isl: 100, images: [0, 1, 2], image_tokens: [0, 30]",
        "workloads: [{batch: 7, isl: 300}, {batch: 9, isl: 900}], osl: [1, 2, 3]",
        "workloads: [{osl: 7, isl: 300}, {osl: 9, isl: 900}], batch: [1, 2, 3]",
        "workloads: [{batch: 7, isl: 300}, {batch: 9, isl: 900}]",
        "batch: 1",
    };
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) {
        srv_workload many[24], one;
        srv_block columns = {0};
        aic_buf text = {0};
        aic_buf_printf(&text, "sweep: {model: m, system: s, %s}\n", blocks[k]);
        swp_sweep *s = load(text.data);
        for (uint64_t first = 0; first < swp_points(s); first++) {
            size_t n = (size_t)(swp_points(s) - first);
            assert_in_range(n, 1, 24);
            swp_loads(s, first, n, many);
            swp_load_block(s, first, n, &columns);
            for (size_t i = 0; i < n; i++) {
                swp_loads(s, first + i, 1, &one);
                assert_memory_equal(&many[i], &one, sizeof one);
                one = srv_points_load(&columns.points, i);
                assert_memory_equal(&many[i], &one, sizeof one);
            }
        }
        srv_block_free(&columns);
        swp_free(s);
        aic_buf_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_blocks_and_default_keys),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_drafts_and_quants),
        cmocka_unit_test(test_blocks_of_work),
        cmocka_unit_test(test_many_loads),
        cmocka_unit_test(test_a_large_sweep_is_lazy),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
