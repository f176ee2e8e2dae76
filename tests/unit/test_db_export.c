/* links: perfdb. Tables printed as CSV: order, quoting, the last bit, and the way back. */
#include "db_maker.h"
#include "perfdb/rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *import_and_export(const char *csv, aic_error *err) {
    maker m;
    char tree[128], file[128];
    pdb_import_summary sum;
    aic_quiet(true);
    maker_start(&m);
    snprintf(tree, sizeof tree, "%s/tree", m.dir);
    snprintf(file, sizeof file, "%s/box.h5", m.release);
    db_write(tree, "vllm/1.0/own_perf.txt", csv);
    char *out = db_import(tree, file, &sum, err) ? db_export(file, "own_perf/vllm/1.0", err) : NULL;
    maker_end(&m);
    return out;
}

static void expect(const char *csv, const char *wanted) {
    aic_error err;
    char *out = import_and_export(csv, &err);
    if (!out)
        fail_msg("%s", err.text);
    assert_string_equal(out, wanted);
    char *twice = import_and_export(out, &err);
    assert_non_null(twice);
    assert_string_equal(twice, out); /* the way back changes nothing */
    free(out);
    free(twice);
}

static void test_columns_in_their_order(void **state) {
    (void)state;
    expect("latency,k,zeta,m,alpha,version,wait_us,n,op_name\n1.5,1,2,3,4,5.0,7,6,g\n",
           "version,op_name,m,n,k,alpha,zeta,wait_us,latency\n5.0,g,3,6,1,4,2,7.0,1.5\n");
}

static void test_texts(void **state) {
    (void)state;
    expect("kernel_source,own,latency\n2.27,\"2.27\",1.0\nTrue,\"True\",1.0\n\"a,b\",\"say "
           "\"\"x\"\"\",1.0\n\"\",\"\",1.0\n"
           "\"two\nlines\",plain,1.0\n",
           "kernel_source,own,latency\n2.27,\"2.27\",1.0\nTrue,\"True\",1.0\n\"a,b\",\"say "
           "\"\"x\"\"\",1.0\n\"\",\"\",1.0\n"
           "\"two\nlines\",plain,1.0\n");
}

static void test_numbers(void **state) {
    (void)state;
    expect("size,delta,share,used_cuda_graph,flag,latency\n9223372036854775807,-1,0.25,True,False,0.1\n"
           "0,5,3,False,True,0.30000000000000004\n1,0,1e300,True,True,4.9406564584124654e-324\n"
           "2,0,-0.0,True,True,1e22\n",
           "used_cuda_graph,delta,flag,share,size,latency\nTrue,-1,False,0.25,9223372036854775807,0.1\n"
           "False,5,True,3.0,0,0.30000000000000004\nTrue,0,True,1e+300,1,4.94065645841247e-324\n"
           "True,0,True,-0.0,2,1e+22\n");
}

static void test_rows_in_their_order(void **state) {
    (void)state;
    expect("size,latency\n3,1.0\n1,1.0\n3,2.0\n2,1.0\n", "size,latency\n3,1.0\n1,1.0\n3,2.0\n2,1.0\n");
    expect("size,latency\n", "size,latency\n");
}

static void test_unknown_tables(void **state) {
    (void)state;
    maker m;
    aic_error err;
    maker_start(&m);
    maker_file(&m, "box");
    maker_head(&m, "aicfg-perfdb", 1, "box", "r1");
    H5Gclose(maker_group(&m, "/gemm_perf/trtllm/1.0", "gemm", 0));
    maker_close(&m);
    const char *file = maker_path(m.release, "box.h5");
    assert_null(db_export(file, "gemm_perf/trtllm/1.1", &err));
    assert_non_null(
        strstr(err.text, "holds no table gemm_perf/trtllm/1.1; did you mean gemm_perf/trtllm/1.0?"));
    assert_null(db_export(file, "gemm_perf", &err)); /* a group, not a table */
    assert_null(db_export("/tmp/no such file.h5", "gemm_perf/trtllm/1.1", &err));
    assert_int_equal(err.code, AIC_IO);
    maker_end(&m);
}

/* Some tables of the embedded release: same digest after the way out and back. */
static void test_embedded_tables(void **state) {
    (void)state;
    static const char file[] = AICFG_DATA_DIR "/perfdb/0.12.0/h200_sxm.h5";
    static const char *const groups[] = {"computescale_perf/vllm/0.24.0",
                                         "custom_allreduce_perf/sglang/0.5.14", "nccl_perf/nccl/2.26.2",
                                         "mla_bmm_perf/trtllm/1.3.0rc20", "gdn_perf/trtllm/1.3.0rc20"};
    if (access(file, R_OK) != 0)
        skip();
    maker m;
    maker_start(&m);
    char tree[128], copy[128], path[200];
    snprintf(tree, sizeof tree, "%s/tree", m.dir);
    snprintf(copy, sizeof copy, "%s/h200_sxm.h5", m.release);
    aic_error err;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        char table[64];
        char *csv = db_export(file, groups[i], &err);
        assert_non_null(csv);
        snprintf(table, sizeof table, "%.*s", (int)strcspn(groups[i], "/"), groups[i]);
        snprintf(path, sizeof path, "%s/%s.txt", groups[i] + strlen(table) + 1, table);
        db_write(tree, path, csv);
        free(csv);
    }
    pdb_import_summary sum;
    if (!db_import(tree, copy, &sum, &err))
        fail_msg("%s", err.text);
    pdb_file *a = pdb_file_open(file, &err), *b = pdb_file_open(copy, &err);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        char wanted[65], got[65];
        snprintf(path, sizeof path, "/%s", groups[i]);
        pdb_group *x = pdb_group_open(a, path, &err), *y = pdb_group_open(b, path, &err);
        assert_true(pdb_group_attr(x, "digest", wanted, sizeof wanted, &err));
        assert_true(pdb_group_attr(y, "digest", got, sizeof got, &err));
        assert_string_equal(got, wanted);
        pdb_group_close(x);
        pdb_group_close(y);
    }
    pdb_file_close(a);
    pdb_file_close(b);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_in_their_order),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_rows_in_their_order),
        cmocka_unit_test(test_unknown_tables),
        cmocka_unit_test(test_embedded_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
