/* links: perfdb. Comparing perfdb files: rows by key, changes of measured columns, columns, order, files,
 * folders. */
#include "db_maker.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct seen {
    pdb_table_diff d[8];
    char text[8][3][200]; /* columns_added, columns_removed, worst_at */
    size_t n;
} seen;

static void visit(void *ctx, const pdb_table_diff *d) {
    seen *s = ctx;
    assert_true(s->n < 8);
    snprintf(s->text[s->n][0], 200, "%s", d->columns_added);
    snprintf(s->text[s->n][1], 200, "%s", d->columns_removed);
    snprintf(s->text[s->n][2], 200, "%s", d->worst_at);
    s->d[s->n++] = *d;
}

/* Makes dir/<side>/box.h5 of tables given as path, text, path, text, ..., NULL. */
static void side(maker *m, const char *name, const char *system, const char *const *tables) {
    char tree[128], file[160], folder[128];
    snprintf(tree, sizeof tree, "%s/tree-%s", m->dir, name);
    snprintf(folder, sizeof folder, "%s/%s", m->dir, name);
    snprintf(file, sizeof file, "%s/%s.h5", folder, system);
    mkdir(folder, 0700);
    for (; *tables; tables += 2)
        db_write(tree, tables[0], tables[1]);
    pdb_import_summary sum;
    aic_error err;
    if (!db_import(tree, file, &sum, &err))
        fail_msg("%s", err.text);
    maker_remove(tree);
}

static seen compare_one(const char *a, const char *b) {
    maker m;
    seen s = {0};
    aic_error err = {0};
    aic_quiet(true);
    maker_start(&m);
    side(&m, "a", "box", (const char *const[]){"vllm/1.0/own_perf.txt", a, NULL});
    side(&m, "b", "box", (const char *const[]){"vllm/1.0/own_perf.txt", b, NULL});
    if (!pdb_diff(maker_path(m.dir, "a"), maker_path(m.dir, "b"), NULL, visit, &s, &err))
        fail_msg("%s", err.text);
    assert_int_equal(s.n, 1);
    maker_end(&m);
    return s;
}

static void test_same(void **state) {
    (void)state;
    seen s = compare_one("size,latency\n1,1.0\n", "latency,size\n1.0,1\n");
    assert_int_equal(s.d[0].change, PDB_SAME);
}

static void test_rows(void **state) {
    (void)state;
    seen s = compare_one("size,name,latency\n1,x,1.0\n2,x,2.0\n3,x,3.0\n4,x,4.0\n",
                         "size,name,latency\n1,x,1.5\n2,x,2.0\n3,x,2.4\n4,y,4.0\n5,y,1.0\n");
    const pdb_table_diff *d = &s.d[0];
    assert_int_equal(d->change, PDB_CHANGED);
    assert_true(d->rows_a == 4 && d->rows_b == 5 && d->added == 2 && d->removed == 1 && d->changed == 2);
    assert_true(d->worst == 0.5 && fabs(d->median - 0.5) < 1e-15); /* the upper one of two */
    assert_string_equal(s.text[0][2], "name=x, size=1: latency 1 -> 1.5");
    assert_false(d->reordered);
}

static void test_median_and_worst(void **state) {
    (void)state;
    seen s = compare_one("size,latency,wait_us\n1,1.0,10\n2,1.0,10\n3,0.0,10\n",
                         "size,latency,wait_us\n1,1.1,5\n2,1.0,9\n3,0.0,10\n");
    assert_int_equal(s.d[0].changed, 2);
    assert_true(s.d[0].worst == -0.5 && s.d[0].median == -0.1);
    assert_non_null(strstr(s.text[0][2], "size=1: wait_us 10 -> 5"));
    s = compare_one("size,latency\n1,0.0\n", "size,latency\n1,2.0\n");
    assert_true(isinf(s.d[0].worst));
}

/* Rows of one key are matched in their order. */
static void test_repeated_keys(void **state) {
    (void)state;
    seen s = compare_one("size,latency\n1,1.0\n1,2.0\n1,3.0\n", "size,latency\n1,1.0\n1,2.5\n");
    assert_true(s.d[0].added == 0 && s.d[0].removed == 1 && s.d[0].changed == 1);
    assert_true(s.d[0].worst == 0.25);
}

static void test_order_and_provenance(void **state) {
    (void)state;
    seen s = compare_one("size,latency\n1,1.0\n2,2.0\n", "size,latency\n2,2.0\n1,1.0\n");
    assert_true(s.d[0].change == PDB_CHANGED && s.d[0].reordered);
    assert_true(s.d[0].added + s.d[0].removed + s.d[0].changed == 0);
    s = compare_one("size,device,latency\n1,H100,1.0\n", "size,device,latency\n1,H200,1.0\n");
    assert_true(s.d[0].change == PDB_CHANGED && !s.d[0].reordered);
    assert_true(s.d[0].added + s.d[0].removed + s.d[0].changed == 0);
}

static void test_columns(void **state) {
    (void)state;
    seen s = compare_one("size,old,latency\n1,7,1.0\n2,8,1.0\n",
                         "size,fresh,latency,power\n1,7,1.0,5.0\n2,8,2.0,5.0\n");
    assert_true(s.d[0].changed == 1 && s.d[0].added == 0 && s.d[0].worst == 1);
    assert_string_equal(s.text[0][0], "fresh, power");
    assert_string_equal(s.text[0][1], "old");
    s = compare_one("size,note,latency\n1,7,1.0\n", "size,note,latency\n1,seven,1.0\n"); /* another type */
    assert_true(s.d[0].change == PDB_CHANGED && s.d[0].added == 0);
    assert_string_equal(s.text[0][0], "note");
    assert_string_equal(s.text[0][1], "note");
}

static void test_tables_and_systems(void **state) {
    (void)state;
    const char *table = "size,latency\n1,1.0\n";
    maker m;
    seen s = {0};
    aic_error err = {0};
    maker_start(&m);
    side(&m, "a", "box",
         (const char *const[]){"vllm/1.0/a_perf.txt", table, "vllm/1.0/b_perf.txt", table, NULL});
    side(&m, "a", "old", (const char *const[]){"vllm/1.0/a_perf.txt", table, NULL});
    side(&m, "b", "box",
         (const char *const[]){"vllm/1.0/b_perf.txt", table, "vllm/2.0/b_perf.txt", table, NULL});
    side(&m, "b", "new", (const char *const[]){"vllm/1.0/a_perf.txt", table, NULL});
    const char *a = maker_path(m.dir, "a"), *b = maker_path(m.dir, "b");
    assert_true(pdb_diff(a, b, NULL, visit, &s, &err));
    static const struct {
        const char *group;
        pdb_change change;
    } wanted[] = {{"/a_perf/vllm/1.0", PDB_REMOVED},
                  {"/b_perf/vllm/1.0", PDB_SAME},
                  {"/b_perf/vllm/2.0", PDB_ADDED},
                  {"/a_perf/vllm/1.0", PDB_ADDED},
                  {"/a_perf/vllm/1.0", PDB_REMOVED}};
    assert_int_equal(s.n, 5); /* box, new, old */
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.d[i].change, wanted[i].change);
    s.n = 0;
    assert_true(pdb_diff(a, b, "new", visit, &s, &err));
    assert_int_equal(s.n, 1);
    assert_false(pdb_diff(a, b, "none", visit, &s, &err));
    assert_non_null(strstr(err.text, "neither side holds system none"));
    /* Two files are compared whatever systems they hold. */
    s.n = 0;
    err = (aic_error){0};
    assert_true(
        pdb_diff(maker_path(m.dir, "a/old.h5"), maker_path(m.dir, "b/new.h5"), NULL, visit, &s, &err));
    assert_true(s.n == 1 && s.d[0].change == PDB_SAME);
    assert_false(pdb_diff(a, maker_path(m.dir, "none"), NULL, visit, &s, &err));
    assert_int_equal(err.code, AIC_IO);
    maker_end(&m);
}

static void test_two_versions(void **state) {
    (void)state;
    maker m;
    seen s = {0};
    aic_error err = {0};
    maker_start(&m);
    side(&m, "a", "box",
         (const char *const[]){"vllm/1.0/own_perf.txt", "size,kernel_source,latency\n1,x,1.0\n2,x,2.0\n",
                               "vllm/1.1/own_perf.txt", "size,kernel_source,latency\n1,x,1.0\n2,y,2.0\n",
                               NULL});
    side(&m, "b", "box",
         (const char *const[]){"vllm/2.0/own_perf.txt", "size,kernel_source,latency\n1,y,3.0\n3,y,1.0\n",
                               NULL});
    const char *a = maker_path(m.dir, "a"), *b = maker_path(m.dir, "b");
    assert_true(pdb_diff_tables(a, b, "box", "own_perf/vllm/1.0", "/own_perf/vllm/2.0", visit, &s, &err));
    assert_true(s.n == 1 && s.d[0].change == PDB_CHANGED &&
                s.d[0].kernels); /* other kernels: matched all the same */
    assert_true(s.d[0].changed == 1 && s.d[0].added == 1 && s.d[0].removed == 1 && s.d[0].worst == 2);
    assert_string_equal(s.text[0][2], "size=1: latency 1 -> 3");
    s.n = 0;
    assert_true(pdb_diff_tables(a, b, NULL, "own_perf/vllm/1.0", "own_perf/vllm/2.0", visit, &s, &err));
    assert_true(s.n == 1 && s.d[0].changed == 1);
    s.n = 0;
    assert_true(pdb_diff_tables(a, a, "box", "own_perf/vllm/1.0", "own_perf/vllm/1.1", visit, &s, &err));
    assert_false(s.d[0].kernels); /* one kernel is in both, so that kernels tell rows apart */
    assert_true(s.d[0].changed == 0 && s.d[0].added == 1 && s.d[0].removed == 1);
    assert_false(pdb_diff_tables(a, b, "box", "own_perf/vllm/1.0", "own_perf/vllm/1.0", visit, &s, &err));
    assert_non_null(strstr(err.text, "own_perf/vllm/1.0"));
    assert_false(pdb_diff_tables(a, b, "none", "own_perf/vllm/1.0", "own_perf/vllm/2.0", visit, &s, &err));
    assert_non_null(strstr(err.text, "holds no system none"));
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_median_and_worst),
        cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_order_and_provenance),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_tables_and_systems),
        cmocka_unit_test(test_two_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
