/* What a deployment lacks: ops asked for shapes apart from any point.
 * links: serving */
#include "unit/serving_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { BATCH_AND_LENGTH = OP_READS_BATCH | OP_READS_S };

static void probe(srv_deployment *d, srv_probe *out) {
    fake_plan(d);
    srv_probe_ops(d, d->arena, out);
}

/* A deployment with one op per phase. */
static srv_deployment with_ops(fake_params context, fake_params generation) {
    srv_deployment d = fake_deployment(SRV_static);
    fake_add(d.arena, &d.built.context, fake_op(d.arena, "c", OP_READS_X, 2, context));
    fake_add(d.arena, &d.built.generation, fake_op(d.arena, "g", BATCH_AND_LENGTH, 2, generation));
    return d;
}

static void test_covered(void **state) {
    (void)state;
    srv_deployment d = with_ops((fake_params){.base = 1}, (fake_params){.base = 1});
    srv_probe p;
    probe(&d, &p);
    assert_int_equal(p.n_lacks, 0);
    assert_int_equal(p.n_ops, 2);
    assert_string_equal(p.ops[0].op->name, "c");
    assert_int_equal(p.ops[1].phase, SRV_PH_generation);
    assert_true(p.ops[0].latency == 5 * 2.0); /* five shapes, repeat 2 */
    double sum = 0;
    for (int c = 0; c < OP_COVERS; c++)
        sum += p.cover[c];
    assert_true(fabs(sum - 1.0) < 1e-12);
    aic_arena_free(d.arena);
}

static void test_lacks_name_the_shapes(void **state) {
    (void)state;
    srv_deployment d = with_ops((fake_params){.base = 1, .refuse_from = 8192, .refusal = OP_MISSING},
                                (fake_params){.base = 1, .refuse_from = 32768, .refusal = OP_INVALID});
    srv_probe p;
    probe(&d, &p);
    assert_int_equal(p.n_lacks, 2);
    const srv_lack *c = &p.lacks[0], *g = &p.lacks[1];
    assert_string_equal(c->op->name, "c");
    assert_int_equal(c->cls, OP_MISSING);
    assert_int_equal(c->asked, 5);
    assert_int_equal(c->n_shapes, 3); /* 4 x 4096, 8192, 32768 tokens */
    assert_int_equal(c->shapes[0].x, 16384);
    assert_int_equal(c->shapes[0].batch, 0); /* not read */
    assert_string_equal(c->table, "");
    assert_int_equal(g->phase, SRV_PH_generation);
    assert_int_equal(g->cls, OP_INVALID);
    assert_int_equal(g->n_shapes, 1);
    assert_int_equal(g->shapes[0].batch, 8);
    assert_int_equal(g->shapes[0].s, 32768);
    assert_true(p.ops[0].lacks && p.ops[1].lacks);
    aic_arena_free(d.arena);
}

/* Shares come from the shapes that the whole list answers. */
static void test_shares_without_refused_shapes(void **state) {
    (void)state;
    srv_deployment d =
        with_ops((fake_params){.base = 1, .refuse_from = 1, .refusal = OP_MISSING}, (fake_params){.base = 1});
    srv_probe p;
    probe(&d, &p);
    assert_int_equal(p.lacks[0].n_shapes, 5);
    assert_true(p.ops[0].latency == 0.0);
    assert_true(p.cover[OP_MEASURED] + p.cover[OP_INTERPOLATED] == 1.0);
    aic_arena_free(d.arena);
}

static op *group(aic_arena *a, const char *kind, const char *first, op_list *one, const char *second,
                 op_list *two) {
    aic_error err = {0};
    op *o = op_new(a, kind, &err);
    o->name = "group";
    o->repeat = 1;
    assert_true(op_set_members(o, first, one, &err) && op_set_members(o, second, two, &err));
    assert_true(op_finish(o, &err));
    return o;
}

/* Of a Fallback whose branches both lack data, each lacking member is named as an alternative. */
static void test_members_stand_for_their_group(void **state) {
    (void)state;
    const fake_params fine = {.base = 1}, broken = {.base = 1, .refuse_from = 1, .refusal = OP_MISSING};
    srv_deployment d = fake_deployment(SRV_static_ctx);
    op_list primary = {0}, chain = {0};
    fake_add(d.arena, &primary, fake_op(d.arena, "module", OP_READS_X, 1, broken));
    fake_add(d.arena, &chain, fake_op(d.arena, "fine", OP_READS_X, 1, fine));
    fake_add(d.arena, &chain, fake_op(d.arena, "part", OP_READS_X, 1, broken));
    fake_add(d.arena, &d.built.context, group(d.arena, "Fallback", "primary", &primary, "fallback", &chain));
    srv_probe p;
    probe(&d, &p);
    assert_int_equal(p.n_lacks, 2);
    assert_string_equal(p.lacks[0].op->name, "module");
    assert_string_equal(p.lacks[1].op->name, "part");
    assert_true(p.lacks[0].alternative && p.lacks[1].alternative);
    aic_arena_free(d.arena);
}

static void test_a_group_with_an_answer_lacks_nothing(void **state) {
    (void)state;
    const fake_params fine = {.base = 1}, broken = {.base = 1, .refuse_from = 1, .refusal = OP_MISSING};
    srv_deployment d = fake_deployment(SRV_static_ctx);
    op_list primary = {0}, chain = {0}, a = {0}, b = {0};
    fake_add(d.arena, &primary, fake_op(d.arena, "module", OP_READS_X, 1, broken));
    fake_add(d.arena, &chain, fake_op(d.arena, "part", OP_READS_X, 1, fine));
    fake_add(d.arena, &d.built.context, group(d.arena, "Fallback", "primary", &primary, "fallback", &chain));
    fake_add(d.arena, &a, fake_op(d.arena, "left", OP_READS_X, 1, fine));
    fake_add(d.arena, &b, fake_op(d.arena, "right", OP_READS_X, 1, broken));
    fake_add(d.arena, &d.built.context, group(d.arena, "Overlap", "group_a", &a, "group_b", &b));
    srv_probe p;
    probe(&d, &p);
    assert_int_equal(p.n_lacks, 1);
    assert_string_equal(p.lacks[0].op->name, "right");
    assert_false(p.lacks[0].alternative);
    aic_arena_free(d.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covered),
        cmocka_unit_test(test_lacks_name_the_shapes),
        cmocka_unit_test(test_shares_without_refused_shapes),
        cmocka_unit_test(test_members_stand_for_their_group),
        cmocka_unit_test(test_a_group_with_an_answer_lacks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
