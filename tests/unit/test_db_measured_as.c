/* links: perfdb. A system whose sheet says that it is measured as another one. */
#include "db_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const pdb_schema own = {.table = "own_perf", .axes = {{.column = "size"}}, .n_axes = 1};
static const pdb_schema nccl = {.table = "nccl_perf", .axes = {{.column = "size"}}, .n_axes = 1};

static const char faster[] = "gpu: {mem_bw: 2.0e+12, mem_capacity: 5.0e+11, sm_version: 100}\n"
                             "node: {num_gpus_per_node: 4, intra_node_bw: 8.0e+11, inter_node_bw: 5.0e+10}\n"
                             "misc: {nccl_version: 2.27}\n";

/* box with tables of two versions, its older ones declared as donors nowhere; a sheet `wish` that says
 * `more`. */
static pdb *set_up(maker *m, const char *more, aic_error *err) {
    pdb_import_summary sum;
    char sheet[600];
    maker_start(m);
    db_write(m->dir, "tree/vllm/1.0/own_perf.txt", "size,latency\n1,1.0\n2,2.0\n");
    db_write(m->dir, "tree/vllm/0.9/own_perf.txt", "size,latency\n3,3.0\n");
    db_write(m->dir, "tree/nccl/2.27/nccl_perf.txt", "size,latency\n1,1.0\n");
    if (!db_import(maker_path(m->dir, "tree"), maker_path(m->release, "box.h5"), &sum, err))
        fail_msg("%s", err->text);
    snprintf(sheet, sizeof sheet, "%s%s", faster, more);
    maker_text(m->sheets, "wish.yaml", sheet);
    return maker_open(m, err);
}

static void test_tables_of_another_system(void **state) {
    (void)state;
    maker m;
    aic_error err;
    pdb *db = set_up(&m, "measured_as: box\n", &err);
    assert_true(pdb_system_has_data(db, "wish"));
    const pdb_system *s = pdb_system_get(db, "wish", &err);
    assert_string_equal(s->measured_as, "box");
    assert_true(s->mem_bw == 2e12);
    const pdb_view *v = pdb_view_get(db, "wish", "vllm", NULL, true, false, &err),
                   *w = pdb_view_get(db, "box", "vllm", NULL, true, false, &err);
    assert_non_null(v);
    assert_ptr_not_equal(v, w);
    assert_string_equal(v->system->name, "wish"); /* its own figures, the other's tables */
    assert_string_equal(v->measured, "box");
    assert_string_equal(w->measured, "box");
    assert_string_equal(v->version, "1.0");
    assert_string_equal(v->digest, w->digest);
    const pdb_source *list;
    assert_int_equal(pdb_sources(v, "own_perf", &list), 2);
    assert_int_equal(list[1].channel, PDB_FALLBACK);
    assert_int_equal(pdb_table_rows(pdb_table_get(v, &own, NULL)), 3);
    assert_int_equal(pdb_table_rows(pdb_table_get(v, &nccl, NULL)), 1);
    assert_null(pdb_view_get(db, "wish", "trtllm", NULL, true, false, &err));
    assert_non_null(strstr(err.text, "trtllm is not measured on wish (release r1); backends: vllm"));
    pdb_close(db);
    maker_end(&m);
}

/* A lower bound at load follows the sheet that asks, so views of both systems keep tables of their own. */
static bool bound(const pdb_view *view, const uint64_t *cat, size_t n, const uint64_t *axis, double *least) {
    (void)cat;
    (void)axis;
    for (size_t i = 0; i < n; i++)
        least[i] = 1.5e12 / view->system->mem_bw;
    return true;
}

static void test_bounds_follow_the_sheet(void **state) {
    (void)state;
    static const pdb_schema bounded = {
        .table = "own_perf", .axes = {{.column = "size"}}, .n_axes = 1, .primary_only = true, .floor = bound};
    maker m;
    aic_error err;
    pdb *db = set_up(&m, "measured_as: box\n", &err);
    const pdb_table *slow = pdb_table_get(pdb_view_get(db, "box", "vllm", NULL, true, false, &err), &bounded,
                                          NULL),
                    *fast = pdb_table_get(pdb_view_get(db, "wish", "vllm", NULL, true, false, &err), &bounded,
                                          NULL);
    assert_true(pdb_slice_grid(pdb_slice_at(slow, 0))->latency[0] == 1.5);
    assert_true(pdb_slice_grid(pdb_slice_at(fast, 0))->latency[0] == 1.0);
    pdb_close(db);
    maker_end(&m);
}

static void test_without_the_key(void **state) {
    (void)state;
    maker m;
    aic_error err;
    pdb *db = set_up(&m, "", &err);
    assert_false(pdb_system_has_data(db, "wish"));
    assert_null(pdb_view_get(db, "wish", "vllm", NULL, true, false, &err));
    assert_non_null(strstr(err.text, "wish has no measured tables: no perfdb folder holds wish.h5"));
    const pdb_view *v = pdb_view_get(db, "wish", "vllm", "1.0", false, true, &err); /* speed of light only */
    assert_non_null(v);
    assert_null(pdb_table_get(v, &own, NULL));
    pdb_close(db);
    maker_end(&m);
}

static void test_wrong_keys(void **state) {
    (void)state;
    static const struct {
        const char *more, *message;
    } all[] = {
        {"measured_as: wish\n", "wish.yaml:4:14: expected measured_as to name another system, found 'wish'"},
        {"measured_as: ../r1/box\n", "expected measured_as to name another system"},
        {"measured_as: ''\n", "expected measured_as to name another system"},
        {"measured_as: [box]\n", "measured_as"},
        {"measured_as: ball\n", "wish has no measured tables: no perfdb folder holds ball.h5"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        maker m;
        aic_error err;
        pdb *db = set_up(&m, all[i].more, &err);
        assert_null(pdb_view_get(db, "wish", "vllm", NULL, true, false, &err));
        if (!strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].message, err.text);
        assert_int_equal(err.code, AIC_BAD_INPUT);
        assert_false(pdb_system_has_data(db, "wish"));
        pdb_close(db);
        maker_end(&m);
    }
}

static void test_listing(void **state) {
    (void)state;
    maker m;
    aic_error err;
    pdb *db = set_up(&m, "measured_as: box\n", &err);
    FILE *f = fopen(maker_path(m.dir, "out"), "w");
    assert_true(pdb_info(db, NULL, f, &err) && pdb_verify(db, NULL, f, &err) &&
                pdb_verify(db, "wish", f, &err));
    fclose(f);
    char *text = db_read(m.dir, "out");
    assert_non_null(strstr(text, "wish: spec sheet, measured as box\n"));
    const char *first = strstr(text, "ok   "), *second = first ? strstr(first + 1, "ok   ") : NULL;
    assert_non_null(second); /* box's file once, and once more when asked for by the other name */
    assert_null(strstr(second + 1, "ok   "));
    free(text);
    pdb_close(db);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_of_another_system),
        cmocka_unit_test(test_bounds_follow_the_sheet),
        cmocka_unit_test(test_without_the_key),
        cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
