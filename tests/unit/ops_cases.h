/* Ops in unit tests: the embedded database, ops written as wire JSON, reference samples. */
#ifndef AICFG_TESTS_OPS_CASES_H
#define AICFG_TESTS_OPS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/ops.h"
#include "parity/golden_ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HAS(text, part) assert_non_null(strstr((text), (part)))

/* One database, one view and one arena for all tests of a program. */
typedef struct ops_fixture {
    pdb *db;
    const pdb_view *view; /* h200_sxm/trtllm, shared rows */
    aic_arena *arena;
} ops_fixture;

static inline int ops_setup(void **state) {
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    ops_fixture *f = AIC_NEW(ops_fixture);
    *state = f;
    f->arena = aic_arena_new();
    f->db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    f->view = f->db ? pdb_view_get(f->db, "h200_sxm", "trtllm", "1.3.0rc20", true, true, &err) : NULL;
    if (!f->view)
        fprintf(stderr, "%s\n", err.text);
    return f->view ? 0 : -1;
}

static inline int ops_teardown(void **state) {
    ops_fixture *f = *state;
    pdb_close(f->db);
    aic_arena_free(f->arena);
    free(f);
    return 0;
}

/* Compares with a file of reference samples: nothing differs, and at least `answers` and `refusals` were
 * compared. */
static inline void check_samples(void **state, const char *file, size_t answers, size_t refusals) {
    ops_fixture *f = *state;
    golden_report *report = AIC_NEW(golden_report);
    char path[1024];
    snprintf(path, sizeof path, TEST_DATA_DIR "/%s", file);
    assert_true(golden_ops_run(path, f->db, report));
    if (report->different)
        golden_ops_print(report, stderr);
    assert_int_equal(report->different, 0);
    assert_true(report->compared >= answers);
    assert_true(report->refused >= refusals);
    free(report);
}

static inline op *parse_op(ops_fixture *f, const char *json, aic_error *err) {
    const aic_node *n = aic_doc_json_text(f->arena, "test", json, strlen(json), err);
    return n ? op_from_json(f->arena, n, err) : NULL;
}

static inline op_bound bind_op(ops_fixture *f, op_mode mode, const char *json) {
    aic_error err = {0};
    op *o = parse_op(f, json, &err);
    if (!o)
        fail_msg("%s", err.text);
    op_binder binder = {f->arena, f->view, mode, OP_POLICY_ALL};
    op_bound b;
    op_bind(&binder, o, &b);
    return b;
}

static inline op_result answer(const op_bound *b, op_mode mode, op_shape shape) {
    op_result r;
    op_refusal why = {0};
    if (op_query(b, mode, &shape, &r, &why) != OP_OK)
        fail_msg("%s", why.text);
    return r;
}

static inline op_refusal refusal(const op_bound *b, op_mode mode, op_shape shape, op_class cls) {
    op_result r;
    op_refusal why = {0};
    assert_int_equal(op_query(b, mode, &shape, &r, &why), cls);
    assert_int_equal(why.cls, cls);
    return why;
}

static inline double cover_sum(const op_result *r) {
    double sum = 0;
    for (int i = 0; i < OP_COVERS; i++)
        sum += r->cover[i];
    return sum;
}

static inline op_shape tokens(uint32_t x) {
    return (op_shape){.batch = 1, .s = 1, .x = x, .imbalance = 1.0};
}

#endif
