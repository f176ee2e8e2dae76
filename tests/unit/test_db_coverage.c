/* links: perfdb. What a merged table holds: values of categories, ranges of axes, backends and versions. */
#include "db_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const pdb_schema own = {.table = "own_perf",
                               .cats = {{.column = "mode", .text = true}, {.column = "heads"}},
                               .n_cats = 2,
                               .axes = {{.column = "m"}, {.column = "k", .plus = "step"}},
                               .n_axes = 2};

static void expect_range(pdb_range r, uint64_t low, uint64_t high, size_t points) {
    assert_true(r.low == low && r.high == high && r.points == points);
}

static void test_ranges(void **state) {
    (void)state;
    maker m;
    aic_error err;
    pdb_import_summary sum;
    maker_start(&m);
    db_write(m.dir, "tree/vllm/1.0/own_perf.txt",
             "mode,heads,m,k,step,latency\nfp8,8,1,10,0,1.0\nfp8,8,4,10,5,1.0\nfp8,8,1,10,5,1.0\nfp4,2,2,99,"
             "1,1.0\n");
    db_write(m.dir, "tree/vllm/0.9/own_perf.txt", "mode,heads,m,k,step,latency\nfp8,8,900,10,0,1.0\n");
    db_write(m.dir, "tree/nccl/2.27/nccl_perf.txt", "size,latency\n1,1.0\n");
    assert_true(db_import(maker_path(m.dir, "tree"), maker_path(m.release, "box.h5"), &sum, &err));
    pdb *db = maker_open(&m, &err);
    aic_arena *a = aic_arena_new();
    const char **names;
    assert_int_equal(pdb_backends(db, "box", a, &names), 1);
    assert_string_equal(names[0], "vllm");
    assert_int_equal(pdb_versions(db, "box", "vllm", a, &names), 2);
    assert_string_equal(names[0], "0.9");
    assert_int_equal(pdb_versions(db, "box", "trtllm", a, &names), 0);
    assert_int_equal(pdb_backends(db, "ball", a, &names), 0);

    const pdb_view *v = pdb_view_get(db, "box", "vllm", "1.0", false, false, &err);
    const pdb_table *t = pdb_table_get(v, &own, NULL);
    assert_non_null(t);
    const uint64_t *values;
    assert_int_equal(pdb_coverage_values(t, 1, a, &values), 2);
    assert_true(values[0] == 2 && values[1] == 8);
    assert_int_equal(pdb_coverage_values(t, 0, a, &values), 2);
    expect_range(pdb_coverage_axis(t, NULL, 0), 1, 4, 3);
    expect_range(pdb_coverage_axis(t, NULL, 1), 10, 100, 3);
    uint64_t fp8[2] = {pdb_text_id(v, "fp8"), 8};
    const pdb_slice *s = pdb_slice_find(t, fp8);
    expect_range(pdb_coverage_axis(t, s, 0), 1, 4, 2);
    expect_range(pdb_coverage_axis(t, s, 1), 10, 15, 2);

    v = pdb_view_get(db, "box", "vllm", "1.0", true, false, &err); /* with the older version's rows */
    expect_range(pdb_coverage_axis(pdb_table_get(v, &own, NULL), NULL, 0), 1, 900, 4);
    pdb_close(db);
    aic_arena_free(a);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
