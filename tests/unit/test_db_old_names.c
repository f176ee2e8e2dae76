/* links: perfdb. What old releases called otherwise, and the file that says so (data/import.yaml). */
#include "db_place.h"
#include "perfdb/rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_table(const place *p, const char *group, const char *csv) {
    aic_error err;
    char *found = db_export(p->file, group, &err);
    if (!found)
        fail_msg("%s", err.text);
    assert_string_equal(found, csv);
    free(found);
}

/* docs/formats/perfdb.md, "Old names". */
static void test_old_tables(void **state) {
    place *p = *state;
    db_write(p->tree, "vllm/0.11.0/gemm_perf.txt",
             "gemm_dtype,kernel_source,m,n,k,latency\nawq,x,1,1,1,1.0\nfloat16,b,300,1,1,2.0\n"
             "gptq,x,3,1,1,3.0\nfp8,b,4,1,1,4.0\nbfloat16,a,5,1,1,5.0\n");
    db_write(p->tree, "trtllm/0.20.0/context_mla_perf.txt",
             "op_name,mla_dtype,batch_size,isl,tp_size,latency\nc,float16,1,2,1,1.0\nc,fp8,1,2,8,1.0\n");
    db_write(p->tree, "trtllm/0.20.0/custom_allreduce_perf.txt",
             "float16,8,1024,NCCL,x,2.5\nfloat16,8,1024,AUTO,x,1.5\nfloat16,8,2048,AUTO,x,3.5\n");
    db_write(p->tree, "sglang/0.5.0/generation_mla_perf.txt", "op_name,num_heads,latency\ng,16,1.0\n");
    db_write(p->tree, "sglang/0.5.1/generation_mla_perf.txt", "op_name,num_heads,latency\ng,16,1.0\n");
    db_write(p->tree, "sglang/0.5.0/deepep_ll_perf.txt", "node_num,combine_avg_t_us\n2,41\n");
    db_write(p->tree, "trtllm/1.2/wideep_alltoall_perf.txt", "kernel_source,latency\nMnnvlMoe,1.0\n");
    db_write(p->tree, "trtllm/1.3/wideep_alltoall_perf.txt", "kernel_source,latency\nMnnvlMoe,1.0\n");
    db_write(p->tree, "trtllm/1.3/trtllm_alltoall_perf.txt", "kernel_source,latency\nNVLinkOneSided,1.0\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_true(sum.dropped == 3 && sum.renamed_tables == 3 && sum.renamed == 5);
    expect_table(p, "gemm_perf/vllm/0.11.0",
                 "kernel_source,gemm_dtype,m,n,k,latency\nb,bfloat16,300,1,1,2.0\nb,fp8,4,1,1,4.0\n"
                 "a,bfloat16,5,1,1,5.0\n");
    expect_table(p, "context_mla_perf/trtllm/0.20.0",
                 "op_name,mla_dtype,batch_size,isl,num_heads,tp_size,latency\nc,bfloat16,1,2,128,1,1.0\n"
                 "c,fp8,1,2,16,8,1.0\n");
    expect_table(p, "custom_allreduce_perf/trtllm/0.20.0",
                 "allreduce_dtype,num_gpus,message_size,latency\nbfloat16,8,1024,1.5\nbfloat16,8,2048,3.5\n");
    expect_table(p, "wideep_generation_mla_perf/sglang/0.5.0", "op_name,num_heads,latency\ng,16,1.0\n");
    expect_table(p, "generation_mla_perf/sglang/0.5.1", "op_name,num_heads,latency\ng,16,1.0\n");
    expect_table(p, "wideep_deepep_ll_perf/sglang/0.5.0", "node_num,combine_avg_t_us\n2,41.0\n");
    expect_table(p, "trtllm_alltoall_perf/trtllm/1.2", "kernel_source,latency\nNVLinkTwoSided,1.0\n");
    expect_table(p, "trtllm_alltoall_perf/trtllm/1.3", "kernel_source,latency\nNVLinkOneSided,1.0\n");
    expect_table(p, "wideep_alltoall_perf/trtllm/1.3", "kernel_source,latency\nMnnvlMoe,1.0\n");
}

/* Folders of families are of later releases: their tables are what their names say. */
static void test_names_with_family_stay(void **state) {
    place *p = *state;
    db_write(p->tree, "mla/sglang/0.5.0/generation_mla_perf.txt", "op_name,num_heads,latency\ng,16,1.0\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_int_equal(sum.renamed_tables, 0);
    expect_table(p, "generation_mla_perf/sglang/0.5.0", "op_name,num_heads,latency\ng,16,1.0\n");
}

static void test_import_facts_are_checked(void **state) {
    place *p = *state;
    static const struct {
        const char *old, *new, *says;
    } faults[] = {
        {"format: aicfg-perfdb-import", "format: other", "expected 'format: aicfg-perfdb-import'"},
        {"version: 1\n", "version: 2\n", "expected 'version: 1'"},
        {"families:", "familys:", "familys"},
        {"gemm: [gemm]", "gemm: gemm", "expected a list"},
        {"{old: context_moe, now", "{old: context_moe, nov", "nov"},
        {"total: 128", "total: 0", "total"},
        {"old: float16, now: bfloat16", "old: float16", "a rule of cells lacks 'now'"},
    };
    char *text = db_read(AICFG_DATA_DIR, "import.yaml"), path[256];
    snprintf(path, sizeof path, "%s/import.yaml", p->m.dir);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        aic_buf changed = {0};
        aic_error err = {0};
        char *at = strstr(text, faults[i].old);
        assert_non_null(at);
        aic_buf_printf(&changed, "%.*s%s%s", (int)(at - text), text, faults[i].new,
                       at + strlen(faults[i].old));
        db_write(p->m.dir, "import.yaml", changed.data);
        assert_null(pdb_import_facts_load(path, &err));
        if (!strstr(err.text, faults[i].says))
            fail_msg("expected '%s' in: %s", faults[i].says, err.text);
        aic_buf_free(&changed);
    }
    free(text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_old_tables),
        TEST(test_names_with_family_stay),
        TEST(test_import_facts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
