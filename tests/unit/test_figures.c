/* Figures of a point and the projection of draft tokens. links: serving */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/serving_fixture.h"

static srv_point point_of(const srv_deployment *d, const srv_sums *s, srv_workload w) {
    srv_point p;
    srv_point_start(d, &w, &p);
    assert_int_equal(p.status, SRV_ST_ok);
    srv_figures(d, s, &p);
    return p;
}

static void static_by_hand(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    d.built.par = (mdl_parallel){.tp = 4, .pp = 2, .dp = 3, .cp = 1};
    srv_sums s = {.context_latency = 50, .generation_latency = 990, .cover = {1, 2, 3, 1034}};
    srv_point p = point_of(&d, &s, (srv_workload){.batch = 8, .isl = 100, .osl = 100});
    assert_true(p.ttft == 50 && p.tpot == 10 && p.request_latency == 1040);
    assert_true(p.concurrency == 24);
    assert_true(p.seq_per_s == 24.0 / 1040.0 * 1000.0 * 2.0);
    assert_true(p.seq_per_s_per_gpu == p.seq_per_s / 4 / 2 / 3);
    assert_true(p.tokens_per_s == p.seq_per_s * 100 && p.tokens_per_s_per_gpu == p.tokens_per_s / 4 / 2 / 3);
    assert_true(p.tokens_per_s_per_user == 100);
    assert_true(p.cover[OP_FORMULA] == 1034.0 / 1040.0);
    assert_true(isnan(p.power));
    aic_arena_free(d.arena);
}

static void one_phase_modes(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static_ctx);
    srv_sums s = {.context_latency = 200};
    srv_point p = point_of(&d, &s, (srv_workload){.batch = 2, .isl = 100, .osl = 50});
    assert_true(p.ttft == 200 && p.tpot == 0 && p.request_latency == 200 && p.tokens_per_s_per_user == 0);
    assert_true(p.tokens_per_s == p.seq_per_s && p.seq_per_s == 10);
    aic_arena_free(d.arena);
    d = fake_deployment(SRV_static_gen);
    s = (srv_sums){.generation_latency = 100};
    p = point_of(&d, &s, (srv_workload){.batch = 1, .isl = 100, .osl = 11, .prefix = 500});
    assert_true(p.ttft == 0 && p.tpot == 10 && p.request_latency == 100 && p.tokens_per_s == 100);
    for (uint32_t osl = 0; osl < 2; osl++) { /* nothing to decode */
        s = (srv_sums){0};
        p = point_of(&d, &s, (srv_workload){.batch = 1, .isl = 100, .osl = osl});
        assert_true(p.request_latency == 0 && p.seq_per_s == 0 && p.tokens_per_s == 0 &&
                    !signbit(p.tokens_per_s));
        assert_true(p.cover[OP_MEASURED] == 0);
    }
    aic_arena_free(d.arena);
}

static void power_needs_coverage(void **state) {
    (void)state;
    srv_deployment d = fake_deployment(SRV_static);
    srv_sums s = {.context_latency = 10,
                  .context_energy = 6000,
                  .generation_latency = 90,
                  .generation_energy = 40000,
                  .powered = 90};
    srv_workload w = {.batch = 1, .isl = 10, .osl = 10};
    assert_true(point_of(&d, &s, w).power == 460);
    s.powered = 89.99;
    assert_true(isnan(point_of(&d, &s, w).power));
    assert_true(srv_power_of(&s).watts == 460 && srv_power_of(&s).coverage == 89.99 / 100);
    assert_true(srv_power_of(&(srv_sums){0}).watts == 0);
    aic_arena_free(d.arena);
}

static void projection(void **state) {
    (void)state;
    srv_plan plan = {.accepted = 0.5};
    srv_deployment d = fake_deployment(SRV_static);
    d.plan = &plan;
    srv_sums s = {.context_latency = 50.00049, .generation_latency = 990.0004};
    srv_workload w = {.batch = 8, .isl = 100, .osl = 100};
    srv_point p = point_of(&d, &s, w), raw = p;
    p.memory = 12.34567;
    srv_project(&d, &p);
    assert_true(p.ttft == 50.0 && p.tpot == 6.667 && p.generation_latency == 660.0);
    assert_true(p.request_latency == srv_round3(50.0 + 10.0 / 1.5 * 99.0));
    double ratio = srv_round3(raw.request_latency) / (50.0 + 10.0 / 1.5 * 99.0);
    assert_true(p.seq_per_s == srv_round3(srv_round3(raw.seq_per_s) * ratio));
    assert_true(p.tokens_per_s_per_user == 150.0 && p.memory == 12.346);
    d.request.mode = SRV_static_gen; /* rates grow by the progress itself */
    s.context_latency = 0;
    p = raw = point_of(&d, &s, w);
    srv_project(&d, &p);
    assert_true(p.seq_per_s == srv_round3(srv_round3(raw.seq_per_s) * 1.5));
    d.request.mode = SRV_static_ctx; /* never projected */
    p = raw;
    srv_project(&d, &p);
    assert_memory_equal(&p, &raw, sizeof p);
    d.request.mode = SRV_static;
    plan.accepted = 0;
    srv_project(&d, &p);
    assert_memory_equal(&p, &raw, sizeof p);
    aic_arena_free(d.arena);
}

static void rounding(void **state) {
    (void)state;
    assert_true(srv_round3(0.0005) == 0 && srv_round3(0.0015) == 0.002 && srv_round3(0.0025) == 0.002);
    assert_true(srv_round3(-1.23456) == -1.235 && srv_round3(7) == 7);
    assert_true(isnan(srv_round3(NAN)));
}

static void rules(void **state) {
    (void)state;
    static const struct {
        srv_mode mode;
        uint32_t nextn, beam;
        uint32_t w[4];    /* batch, isl, osl, prefix */
        const char *word; /* NULL = acceptable */
    } rows[] = {
        {SRV_static, 0, 1, {1, 1, 0, 0}, NULL},
        {SRV_static, 0, 1, {0, 100, 10, 0}, "batch"},
        {SRV_static, 0, 1, {1, 0, 10, 0}, "isl"},
        {SRV_static, 0, 1, {1, 100, 10, 100}, "prefix"},
        {SRV_static_ctx, 0, 1, {1, 100, 10, 101}, "prefix"},
        {SRV_static_gen, 0, 1, {1, 100, 10, 101}, NULL},
        {SRV_static, 0, 1, {1, 16777215, 1, 0}, NULL},
        {SRV_static, 0, 1, {1, 16777215, 2, 0}, "16777216"},
        {SRV_static, 0, 1, {1, 1, UINT32_MAX, 0}, "16777216"},
        {SRV_static, 0, 4, {1, 1000, 4194303, 0}, "16777216"},
        {SRV_static_ctx, 0, 1, {65536, 65536, 10, 0}, "isl - prefix"},
        {SRV_static_ctx, 0, 1, {65536, 65536, 10, 1}, NULL},
        {SRV_static_gen, 0, 1, {65536, 65536, 10, 0}, NULL},
        {SRV_static_gen, 1, 1, {1u << 31, 10, 10, 0}, "nextn + 1"},
        {SRV_static_gen, 0, 2, {1u << 31, 10, 10, 0}, "nextn + 1"},
        {SRV_static_gen, UINT32_MAX, 1, {UINT32_MAX, 10, 10, 0}, "nextn + 1"},
        {SRV_static_gen, 0, 1, {UINT32_MAX, 10, 10, 0}, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        srv_deployment d = fake_deployment(rows[i].mode);
        d.built.nextn = rows[i].nextn;
        d.tuning.beam = rows[i].beam;
        srv_point p;
        const uint32_t *w = rows[i].w;
        srv_point_start(&d, &(srv_workload){.batch = w[0], .isl = w[1], .osl = w[2], .prefix = w[3]}, &p);
        assert_int_equal(p.status, rows[i].word ? SRV_ST_invalid : SRV_ST_ok);
        if (rows[i].word)
            assert_non_null(strstr(p.reason, rows[i].word));
        if (rows[i].word)
            assert_true(isnan(p.ttft) && isnan(p.memory) && isnan(p.power) && isnan(p.cover[0]));
        aic_arena_free(d.arena);
    }
}

static void names(void **state) {
    (void)state;
    srv_mode m;
    srv_status s;
    assert_true(srv_mode_parse("static_gen", &m) && m == SRV_static_gen);
    assert_string_equal(srv_mode_name(SRV_static), "static");
    assert_false(srv_mode_parse("agg", &m) || srv_mode_parse("", &m) || srv_mode_parse(NULL, &m));
    assert_true(srv_status_parse("oom", &s) && s == SRV_ST_oom);
    assert_string_equal(srv_status_name(SRV_ST_nonfinite), "nonfinite");
    assert_false(srv_status_parse("fine", &s));
}

static void image_rules(void **state) {
    (void)state;
    static const struct {
        uint32_t isl;
        mdl_images images;
        const char *word; /* NULL = acceptable */
    } rows[] = {
        {100, {.count = 1, .height = 16777215, .width = 1}, NULL},
        {100, {.count = 1, .height = 16777216, .width = 1}, "sides"},
        {100, {.count = 1, .height = 100}, "sides"},
        {100, {.count = 0, .height = 100}, NULL},
        {100, {.count = 1, .width = 100, .tokens = 5}, "sides"},
        {100, {.count = 16777216, .tokens = 1}, "16777216"}, /* and isl */
        {100, {.count = 16777217, .tokens = 1}, "images of a request"},
        {100, {.count = 1, .height = 16777215, .width = 16777215}, "images of a request"},
        {100, {.count = UINT32_MAX, .height = 16777215, .width = 16777215}, "images of a request"},
        {UINT32_MAX, {.count = 1, .tokens = 1}, "images of a request"},
        {100, {.count = 1, .tokens = 16000000}, NULL},
        {100, {.count = 70, .tokens = 200000}, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        srv_deployment d = fake_deployment(SRV_static);
        srv_workload w = {.batch = 1, .isl = rows[i].isl, .osl = 1, .images = rows[i].images};
        srv_point p;
        d.built.model = &FAKE_SEEING;
        d.built.encoder_ranks = 1;
        fake_add(d.arena, &d.built.encoder, fake_op(d.arena, "e", OP_READS_X, 1, (fake_params){.base = 1}));
        srv_point_start(&d, &w, &p);
        assert_int_equal(p.status, rows[i].word ? SRV_ST_invalid : SRV_ST_ok);
        if (rows[i].word)
            assert_non_null(strstr(p.reason, rows[i].word));
        w.batch = 400; /* enough for too many patches on a rank */
        srv_point_start(&d, &w, &p);
        if (i == 10)
            assert_non_null(strstr(p.reason, "patches"));
        aic_arena_free(d.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_by_hand),
        cmocka_unit_test(one_phase_modes),
        cmocka_unit_test(power_needs_coverage),
        cmocka_unit_test(projection),
        cmocka_unit_test(rounding),
        cmocka_unit_test(rules),
        cmocka_unit_test(image_rules),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
