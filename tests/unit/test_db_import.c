/* links: perfdb. Import of collectors' trees: cells, columns, names, faults with their lines, release.yaml.
 */
#include "db_place.h"
#include "perfdb/rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- cells ------------------------------------------------------------------------------------ */

static void test_cells(void **state) {
    place *p = *state;
    db_write(p->tree, "trtllm/1.0/gemm_perf.txt",
             DB_GEMM "T,1.0,H,gemm,a,fp8,1,2,70000,0.1\r\n"
                     "T,1.0,H,gemm,\"b,c\",bfloat16,300,2,5,1e-300\r\n");
    db_write(p->tree, "trtllm/1.0/own_perf.txt",
             "size,delta,note,ratio,flag,speed_us,code\n1,-5,x,1,True,3,\"7\"\n2,6,\"\",2.5,False,4,\"8\"\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_int_equal(sum.tables, 2);
    assert_int_equal(sum.rows, 4);
    assert_string_equal(sum.system, "box");
    assert_string_equal(sum.release, "r1");
    aic_error err = {0};
    pdb_file *f = pdb_file_open(p->file, &err);
    pdb_rows r;
    assert_true(pdb_rows_read(f, "/gemm_perf/trtllm/1.0", &r, &err));
    const pdb_cells *m = pdb_rows_find(&r, "m"), *n = pdb_rows_find(&r, "n"), *k = pdb_rows_find(&r, "k"),
                    *kernel = pdb_rows_find(&r, "kernel_source"), *latency = pdb_rows_find(&r, "latency"),
                    *version = pdb_rows_find(&r, "version");
    assert_true(m->width == 2 && n->width == 1 && k->width == 4); /* the narrowest that holds the column */
    assert_int_equal(pdb_cell_bits(m, 1), 300);
    assert_string_equal(kernel->members[pdb_cell_bits(kernel, 1)], "b,c");
    assert_true(pdb_cell_number(latency, 0) == 0.1 && pdb_cell_number(latency, 1) == 1e-300);
    assert_int_equal(version->kind, PDB_CELL_TEXT); /* though it looks like a number */
    pdb_rows_free(&r);
    assert_true(pdb_rows_read(f, "/own_perf/trtllm/1.0", &r, &err));
    const pdb_cells *delta = pdb_rows_find(&r, "delta"), *note = pdb_rows_find(&r, "note"),
                    *ratio = pdb_rows_find(&r, "ratio"), *flag = pdb_rows_find(&r, "flag"),
                    *speed = pdb_rows_find(&r, "speed_us"), *code = pdb_rows_find(&r, "code");
    assert_true(delta->is_signed && (int64_t)pdb_cell_bits(delta, 0) == -5);
    assert_string_equal(note->members[pdb_cell_bits(note, 1)], "");
    assert_true(ratio->kind == PDB_CELL_REAL && pdb_cell_number(ratio, 0) == 1);
    assert_true(flag->boolean && pdb_cell_bits(flag, 0) == 1);
    assert_int_equal(speed->kind, PDB_CELL_REAL); /* its name says that it was measured */
    assert_int_equal(code->kind, PDB_CELL_TEXT);  /* quotes keep numbers text */
    pdb_rows_free(&r);
    pdb_file_close(f);
}

static void test_renamed_modes(void **state) {
    place *p = *state;
    db_write(p->tree, "vllm/1.0/gemm_perf.txt",
             "gemm_dtype,m,n,k,latency\nfloat16,1,1,1,1.0\nfp8,1,1,1,1.0\nbfloat16,2,1,1,1.0\nfloat16,3,1,1,"
             "1.0\n");
    db_write(p->tree, "nccl/2.26/nccl_perf.txt",
             "nccl_dtype,num_gpus,message_size,op_name,latency\nfloat16,2,1,all_gather,1.0\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_int_equal(sum.renamed, 2);
    aic_error err;
    char *csv = db_export(p->file, "gemm_perf/vllm/1.0", &err);
    assert_string_equal(csv,
                        "gemm_dtype,m,n,k,latency\nbfloat16,1,1,1,1.0\nfp8,1,1,1,1.0\nbfloat16,2,1,1,1.0\n"
                        "bfloat16,3,1,1,1.0\n");
    free(csv);
    csv = db_export(p->file, "nccl_perf/nccl/2.26", &err);
    assert_non_null(strstr(csv, "float16,2,1")); /* the collectives have names of their own */
    free(csv);
}

static void test_same_tree_same_bytes(void **state) {
    place *p = *state;
    db_write(p->tree, "vllm/1.0/gemm_perf.txt", "gemm_dtype,m,n,k,latency\nfp8,1,1,1,1.0\n");
    db_write(p->tree, "attention/vllm/1.0/empty_perf.txt", "name,latency\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    char first[65], second[65];
    for (int i = 0; i < 2; i++) {
        aic_buf bytes = {0};
        char why[200];
        assert_true(aic_read_file(p->file, 1 << 20, &bytes, why, sizeof why));
        aic_sha256_text(bytes.data, bytes.len, i ? second : first);
        aic_buf_free(&bytes);
        if (i == 0) {
            unlink(p->file);
            import_ok(p, &sum);
        }
    }
    assert_string_equal(first, second);
    aic_error err;
    pdb *db = maker_open(&p->m, &err);
    assert_non_null(db);
    FILE *sink = fopen("/dev/null", "w");
    assert_true(pdb_verify(db, "box", sink, &err));
    fclose(sink);
    pdb_close(db);
}

/* ---- faults ----------------------------------------------------------------------------------- */

static void test_faults(void **state) {
    place *p = *state;
    static const struct {
        const char *text, *message;
    } all[] = {
        {"", "gemm_perf.txt: the file is empty"},
        {"fp8,1,2,3,0.5\n", ":1: expected a line that names the columns, found a row of numbers"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ":1: a git-lfs pointer"},
        {"gemm_dtype,m,m,latency\n", ":1: two columns are named 'm'"},
        {"gemm_dtype,,k,latency\n", ":1: column 2: '' is not a usable column name"},
        {"gemm/dtype,m,k,latency\n", ":1: column 1: 'gemm/dtype' is not a usable column name"},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,0.1\n", ":2: 9 fields, the header names 10"},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,3,0.1,\n", ":2: 11 fields, the header names 10"},
        {DB_GEMM "\n\nT,1,H,g,a,fp8,x,2,3,0.1\n", ":4: column m: expected a whole number, found \"x\""},
        {DB_GEMM "T,1,H,g,a,fp8,1.0,2,3,0.1\n", "column m: expected a whole number, found \"1.0\""},
        {DB_GEMM "T,1,H,g,a,fp8,-1,2,3,0.1\n", "column m: expected a whole number from 0 up, found \"-1\""},
        {DB_GEMM "T,1,H,g,a,fp8,99999999999999999999,2,3,0.1\n", "column m: expected a whole number"},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,3,nan\n", ":2: column latency: expected a finite number, found \"nan\""},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,3,1e999\n", "column latency: expected a finite number"},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,3,\n", "column latency: expected a finite number, found \"\""},
        {DB_GEMM "T,1,H,g,,fp8,1,2,3,0.1\n", "column kernel_source: expected a text"},
        {DB_GEMM "T,1,H,g,<empty>,fp8,1,2,3,0.1\n",
         "column kernel_source: expected a text that can be stored"},
        {DB_GEMM "T,1,H,g,a,fp8,1,2,3,0.1\rT,1,H,g,a,fp8,1,2,3,0.1\n", ":2: a carriage return inside a line"},
        {DB_GEMM "T,1,H,g,\xff,fp8,1,2,3,0.1\n", ":2: the text is not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        db_write(p->tree, "trtllm/1.0/gemm_perf.txt", all[i].text);
        aic_error err;
        pdb_import_summary sum;
        assert_false(db_import(p->tree, p->file, &sum, &err));
        if (!strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].message, err.text);
        assert_int_equal(err.code, AIC_BAD_INPUT);
        assert_false(db_exists(p->m.release, "box.h5"));
        assert_false(db_exists(p->m.release, ".box.h5.tmp"));
        assert_false(db_exists(p->m.release, "release.yaml"));
    }
}

/* Every fault is told, not only the first. */
static void test_all_faults_are_told(void **state) {
    place *p = *state;
    db_write(p->tree, "trtllm/1.0/a_perf.txt", "size,latency\n1,x\n");
    db_write(p->tree, "trtllm/1.0/b_perf.txt", "size,latency\n1,1.0\n");
    db_write(p->tree, "trtllm/1.0/c_perf.txt", "size,latency\n1,1.0\n2\n");
    FILE *faults = fopen(maker_path(p->m.dir, "faults"), "w");
    pdb_import_options o = {.facts = DB_FACTS, .dir = p->tree, .file = p->file, .faults = faults};
    pdb_import_summary sum;
    aic_error err = {0};
    assert_false(pdb_import(&o, &sum, &err));
    fclose(faults);
    char *told = db_read(p->m.dir, "faults");
    assert_non_null(strstr(told, "a_perf.txt:2: column latency"));
    assert_non_null(strstr(told, "c_perf.txt:3: 1 field, the header names 2"));
    assert_null(strstr(told, "b_perf"));
    assert_string_equal(err.text, "2 of 3 tables cannot be read; nothing was written");
    free(told);
}

static void test_columns_ops_need(void **state) {
    place *p = *state;
    static const pdb_schema gemm = {
        .table = "gemm_perf",
        .cats = {{.column = "gemm_dtype", .text = true}, {.column = "lane", .text = true, .optional = true}},
        .n_cats = 2,
        .axes = {{.column = "m", .plus = "k"}},
        .n_axes = 1};
    static const pdb_schema link = {.table = "link_perf", .value = {"send_us", "wait_us"}};
    const pdb_schema *const schemas[] = {&gemm, &link};
    static const struct {
        const char *file, *text, *message;
    } all[] = {
        {"gemm_perf", "gemm_dtype,m,latency\n", "gemm_perf.txt:1: table gemm_perf lacks the column k"},
        {"gemm_perf", "gemm_dtype,m,k,latency_ms\n",
         "lacks the column latency; did you mean 'latency_ms' to be it?"},
        {"gemm_perf", "m,k,latency\n", "lacks the column gemm_dtype"},
        {"gemm_perf", "gemm_dtype,m,k,latency\n", NULL},
        {"link_perf", "send_us\n", "lacks the column wait_us"},
        {"link_perf", "send_us,wait_us\n", NULL},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char path[64];
        snprintf(path, sizeof path, "trtllm/1.0/%s.txt", all[i].file);
        db_write(p->tree, path, all[i].text);
        pdb_import_options o = {.facts = DB_FACTS,
                                .dir = p->tree,
                                .file = p->file,
                                .replace = true,
                                .schemas = schemas,
                                .n_schemas = 2};
        pdb_import_summary sum;
        aic_error err = {0};
        assert_true(pdb_import(&o, &sum, &err) == (all[i].message == NULL));
        if (all[i].message && !strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].message, err.text);
    }
}

static void test_repeats(void **state) {
    place *p = *state;
    db_write(p->tree, "vllm/1.0/gemm_perf.txt",
             "framework,gemm_dtype,m,n,k,latency\nA,fp8,1,1,1,1.0\nB,fp8,1,1,1,2.0\nA,fp8,2,1,1,1.0\n"
             "A,fp8_block,1,1,1,1.0\nA,fp8,1,1,1,1.0\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_int_equal(sum.rows, 5); /* they stay */
    assert_int_equal(sum.repeats, 2);
}

/* A column of all different texts is no category. */
static void test_too_many_texts(void **state) {
    place *p = *state;
    aic_buf text = {0};
    aic_buf_add(&text, "note,latency\n");
    for (int i = 0; i < 9000; i++)
        aic_buf_printf(&text, "remark_%06d,1.0\n", i);
    db_write(p->tree, "vllm/1.0/own_perf.txt", text.data);
    aic_buf_free(&text);
    aic_error err;
    pdb_import_summary sum;
    assert_false(db_import(p->tree, p->file, &sum, &err));
    assert_non_null(strstr(err.text, "column note: too many different texts"));
}

/* As many as fit can be stored and read. */
static void test_many_texts(void **state) {
    place *p = *state;
    aic_buf text = {0};
    aic_buf_add(&text, "note,latency\n");
    for (int i = 0; i < 7000; i++)
        aic_buf_printf(&text, "n%04d,1.0\n", i);
    db_write(p->tree, "vllm/1.0/own_perf.txt", text.data);
    aic_buf_free(&text);
    pdb_import_summary sum;
    import_ok(p, &sum);
    aic_error err;
    char *csv = db_export(p->file, "own_perf/vllm/1.0", &err);
    assert_non_null(strstr(csv, "\nn6999,1.0\n"));
    free(csv);
}

/* ---- trees ------------------------------------------------------------------------------------ */

static void test_trees(void **state) {
    place *p = *state;
    const char *table = "size,latency\n1,1.0\n";
    db_write(p->tree, "sglang/0.5/own_perf.txt", table);
    db_write(p->tree, "comm/sglang/0.5/custom_allreduce_perf.txt", table);
    db_write(p->tree, "sglang/0.5/notes.txt", "read me");
    db_write(p->tree, "sglang/0.6/own_perf.txt", table);
    db_write(p->tree, "sglang/0.6/INCOMPLETE.txt", "");
    db_write(p->tree, "sglang/0.7/own_perf.txt", table);
    db_write(p->tree, "sglang/0.7/INCOMPLETE.txt", "");
    db_write(p->tree, "sglang/0.7/collection_meta.yaml", "");
    db_write(p->tree, "sglang/_draft/own_perf.txt", table);
    db_write(p->tree, ".git/sglang/own_perf.txt", table);
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_int_equal(sum.tables, 3);
    assert_int_equal(sum.vetoed, 1);
    assert_int_equal(sum.ignored, 3); /* notes, marker, meta */
    aic_error err = {0};
    pdb_file *f = pdb_file_open(p->file, &err);
    pdb_group *g = pdb_group_open(f, "/custom_allreduce_perf/sglang/0.5", &err);
    char text[200];
    assert_true(pdb_group_attr(g, "family", text, sizeof text, &err));
    assert_string_equal(text, "comm");
    assert_true(pdb_group_attr(g, "source", text, sizeof text, &err));
    assert_string_equal(text, "comm/sglang/0.5/custom_allreduce_perf.txt");
    pdb_group_close(g);
    pdb_file_close(f);
}

static void test_bad_trees(void **state) {
    place *p = *state;
    static const struct {
        const char *first, *second, *message;
    } all[] = {
        {"readme_perf.txt", NULL, "holds no measured table"},
        {"gemm/trtllm/1.0/gemm_perf.txt", "trtllm/1.0/gemm_perf.txt", "are one table"},
        {"h200_sxm/trtllm/1.0/gemm_perf.txt", NULL, "belongs to family gemm, not 'h200_sxm'"},
        {"trtllm/vllm/1.0/own_perf.txt", NULL, "a backend where a family's folder is expected"},
        {"trtllm/1\t0/own_perf.txt", NULL, "printable ASCII"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        maker_remove(p->tree);
        db_write(p->tree, all[i].first, "size,latency\n");
        if (all[i].second)
            db_write(p->tree, all[i].second, "size,latency\n");
        aic_error err;
        pdb_import_summary sum;
        assert_false(db_import(p->tree, p->file, &sum, &err));
        if (!strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].message, err.text);
    }
    aic_error err;
    pdb_import_summary sum;
    assert_false(db_import("/tmp/no such folder", p->file, &sum, &err));
    assert_int_equal(err.code, AIC_IO);
}

static void test_names(void **state) {
    place *p = *state;
    db_write(p->tree, "vllm/1.0/own_perf.txt", "size,latency\n1,1.0\n");
    aic_error err = {0};
    pdb_import_summary sum;
    pdb_import_options o = {.facts = DB_FACTS, .dir = p->tree, .file = p->file, .system = "ball"};
    assert_false(pdb_import(&o, &sum, &err));
    assert_non_null(strstr(err.text, "must be named ball.h5"));
    o = (pdb_import_options){.facts = DB_FACTS, .dir = p->tree, .file = maker_path(p->m.release, "box")};
    assert_false(pdb_import(&o, &sum, &err));
    assert_non_null(strstr(err.text, "named <system>.h5"));
    o = (pdb_import_options){
        .facts = DB_FACTS, .dir = p->tree, .file = maker_path(p->m.release, "my box.h5")};
    assert_false(pdb_import(&o, &sum, &err));
    o = (pdb_import_options){.facts = DB_FACTS, .dir = p->tree, .file = p->file, .release = "a: b"};
    assert_false(pdb_import(&o, &sum, &err));
    o = (pdb_import_options){.facts = DB_FACTS, .dir = p->tree, .file = "/tmp/no such folder/box.h5"};
    assert_false(pdb_import(&o, &sum, &err));
    o = (pdb_import_options){.facts = DB_FACTS, .dir = p->tree, .file = p->file, .release = "2026.1"};
    assert_true(pdb_import(&o, &sum, &err));
    assert_string_equal(sum.release, "2026.1");
    err = (aic_error){0};
    assert_false(pdb_import(&o, &sum, &err)); /* it is there now */
    assert_non_null(strstr(err.text, "exists; --force replaces it"));
    o.replace = true;
    o.release = "2026.2";
    assert_false(pdb_import(&o, &sum, &err)); /* the folder holds another release */
    assert_non_null(strstr(err.text, "holds release 2026.1, not 2026.2"));
}

/* ---- release.yaml ----------------------------------------------------------------------------- */

static void test_usable_at_once(void **state) {
    place *p = *state;
    const char *table = "gemm_dtype,m,latency\nfp8,1,1.0\n";
    db_write(p->tree, "trtllm/1.10.0/gemm_perf.txt", table);
    db_write(p->tree, "trtllm/1.9.0/gemm_perf.txt", table);
    pdb_import_summary sum;
    import_ok(p, &sum);
    aic_error err;
    pdb *db = maker_open(&p->m, &err);
    const pdb_view *v = pdb_view_get(db, "box", "trtllm", NULL, true, false, &err);
    assert_non_null(v);
    assert_string_equal(v->version, "1.10.0"); /* the newest by number, not by text */
    assert_string_equal(v->release, "r1");
    pdb_close(db);
}

#define FACTS                                                                                                \
    "# a comment\nformat: aicfg-perfdb-release\nversion: 1\nrelease: \"0.12.0\"\nshared_rows: false\n"       \
    "slots:\n  defaults:\n    trtllm: {current: \"1.3.0\"}\n    vllm: {current: \"0.9\"}\n"                  \
    "lanes:\n  sglang:\n    \"0.5.14\": {90: fa3, 100: triton}\n"                                            \
    "directories:\n  h200_sxm:\n    trtllm: [\"1.3.0\"]\n"                                                   \
    "reuse:\n  h200_sxm:\n    trtllm:\n      \"1.3.0\":\n        - {table: moe_perf, from: \"1.2.0\"}\n"     \
    "cross_backend:\n  - {table: gdn_perf, kernel_source: x, tier: shared, frameworks: [sglang, vllm]}\n"

static void test_extended_release(void **state) {
    place *p = *state;
    const char *table = "size,latency\n1,1.0\n";
    maker_text(p->m.release, "release.yaml", FACTS);
    db_write(p->tree, "trtllm/1.1.0/own_perf.txt", table);
    db_write(p->tree, "trtllm/1.2.0rc1/own_perf.txt", table);
    db_write(p->tree, "vllm/0.9/own_perf.txt", table);
    db_write(p->tree, "nccl/2.27/nccl_perf.txt", "nccl_dtype,num_gpus,message_size,op_name,latency\n");
    pdb_import_summary sum;
    import_ok(p, &sum);
    assert_string_equal(sum.release, "0.12.0");
    aic_error err = {0};
    pdb_release *r = pdb_release_load(p->m.release, &err);
    assert_non_null(r);
    assert_false(r->shared_rows);
    pdb_slots slots;
    assert_true(pdb_release_slots(r, "h200_sxm", "trtllm", &slots)); /* as before */
    assert_string_equal(slots.current, "1.3.0");
    assert_true(pdb_release_slots(r, "box", "trtllm", &slots)); /* slots of its own */
    assert_string_equal(slots.current, "1.2.0rc1");
    assert_string_equal(slots.previous, "1.1.0");
    assert_true(pdb_release_slots(r, "box", "vllm", &slots)); /* the default one is measured */
    assert_string_equal(slots.current, "0.9");
    assert_null(aic_map_get(aic_map_get(aic_map_get(r->slots, "overrides"), "box"), "vllm"));
    assert_string_equal(pdb_release_lane(r, "sglang", "0.5.14", 90), "fa3");
    assert_int_equal(pdb_release_donors(r, "h200_sxm", "trtllm", "1.3.0")->count, 1);
    assert_int_equal(r->cross->count, 1);
    assert_string_equal(pdb_release_versions(r, "box", "nccl")->items[0]->text, "2.27");
    pdb_release_free(r);
    char *once = db_read(p->m.release, "release.yaml");
    unlink(p->file);
    import_ok(p, &sum); /* again: nothing more to say */
    char *twice = db_read(p->m.release, "release.yaml");
    assert_string_equal(once, twice);
    free(once);
    free(twice);
}

/* What is written is what the shipped file looks like. */
static void test_form_of_release(void **state) {
    place *p = *state;
    char *shipped = db_read(AICFG_DATA_DIR "/perfdb/0.12.0", "release.yaml");
    maker_text(p->m.release, "release.yaml", shipped);
    aic_arena *a = aic_arena_new();
    aic_error err = {0};
    const aic_node *root = aic_doc_yaml_text(a, "x", shipped, strlen(shipped), &err);
    const aic_node *own = aic_map_get(aic_map_get(root, "directories"), "h200_sxm");
    pdb_measured measured[64];
    size_t n = 0;
    for (size_t i = 0; i < own->count; i++)
        for (size_t k = 0; k < own->items[i]->count; k++)
            measured[n++] = (pdb_measured){own->keys[i]->text, own->items[i]->items[k]->text};
    assert_true(n > 3);
    assert_true(pdb_release_put(p->m.release, "0.12.0", "h200_sxm", measured, n, &err));
    char *written = db_read(p->m.release, "release.yaml");
    assert_string_equal(strstr(written, "\nformat: "), strstr(shipped, "\nformat: "));
    aic_arena_free(a);
    free(written);
    free(shipped);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_cells),          TEST(test_renamed_modes),       TEST(test_same_tree_same_bytes),
        TEST(test_faults),         TEST(test_all_faults_are_told), TEST(test_columns_ops_need),
        TEST(test_repeats),        TEST(test_too_many_texts),      TEST(test_many_texts),
        TEST(test_trees),          TEST(test_bad_trees),           TEST(test_names),
        TEST(test_usable_at_once), TEST(test_extended_release),    TEST(test_form_of_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
