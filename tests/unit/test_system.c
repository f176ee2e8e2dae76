/* links: perfdb. Spec sheets: the figures of the shipped ones, and what a sheet may not say. */
#include "perfdb_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static pdb *shipped(void) {
    static const char *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    pdb *db = pdb_open(NULL, 0, NULL, sheets, 1, &err);
    assert_non_null(db);
    return db;
}

static void test_shipped_sheets(void **state) {
    (void)state;
    pdb *db = shipped();
    aic_error err = {0};
    assert_int_equal(pdb_system_count(db), 14);
    for (size_t i = 0; i < pdb_system_count(db); i++) {
        const pdb_system *s = pdb_system_get(db, pdb_system_name(db, i), &err);
        assert_non_null(s);
        assert_string_equal(s->name, pdb_system_name(db, i));
        assert_true(s->mem_bw > 1e11 && s->mem_capacity > 1e10 && s->mem_latency_s == 3e-6 &&
                    s->other_mem > 0);
        assert_true(s->nccl_mem[0] == 0 && s->nccl_mem[1] == 358612992 && s->nccl_mem[3] == 411041792);
        assert_true(s->mem_bw_factor == (strcmp(s->name, "b60") == 0 ? 0.5 : 0.8));
        assert_false(pdb_system_has_data(db, s->name)); /* no database folder was given */
    }
    pdb_close(db);
}

static void test_figures(void **state) {
    (void)state;
    pdb *db = shipped();
    aic_error err = {0};
    const pdb_system *h200 = pdb_system_get(db, "h200_sxm", &err), *b60 = pdb_system_get(db, "b60", &err),
                     *gb200 = pdb_system_get(db, "gb200", &err);
    assert_true(h200->mem_bw == 4.8e12 && h200->mem_capacity == 151397597184.0 && h200->sm_version == 90);
    assert_string_equal(h200->nccl_version, "2.26.2");
    assert_null(h200->oneccl_version);
    assert_true(pdb_flops(h200, PDB_Q_fp8) == 1978e12 && pdb_flops(h200, PDB_Q_bfloat16) == 989e12);
    assert_true(pdb_flops(h200, PDB_Q_nvfp4) == 0);    /* absent on the sheet */
    assert_true(pdb_flops(h200, PDB_Q_half) == 0);     /* computes nothing */
    assert_true(pdb_flops(h200, PDB_Q_sq) == 1978e12); /* int8 */
    assert_int_equal(b60->sm_version, -1);
    assert_string_equal(b60->nccl_version, "2.23");
    assert_string_equal(b60->oneccl_version, "2021.15.9");
    /* Bandwidth by reach: node, rack, beyond. */
    assert_true(pdb_p2p_bw(gb200, 4) == 900e9 && pdb_p2p_bw(gb200, 72) == 900e9 &&
                pdb_p2p_bw(gb200, 73) == 100e9);
    assert_true(pdb_p2p_bw(h200, 8) == 450e9 && pdb_p2p_bw(h200, 9) == 50e9 &&
                pdb_p2p_bw(h200, 9999) == 50e9);
    assert_true(h200->inter_rack_bw == h200->inter_node_bw && h200->gpus_per_rack == 0);
    pdb_close(db);
}

static void test_unknown_system(void **state) {
    (void)state;
    pdb *db = shipped();
    aic_error err = {0};
    assert_null(pdb_system_get(db, "h200-sxm", &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "did you mean 'h200_sxm'"));
    assert_null(pdb_system_get(db, "../systems/h200_sxm", &err));
    pdb_close(db);
}

/* Each sheet is wrong in one place; the message names the place. */
static void test_bad_sheets(void **state) {
    (void)state;
    static const struct {
        const char *sheet, *message;
    } all[] = {
        {"", "expected a system's spec sheet"},
        {"[1, 2]", "expected a system's spec sheet"},
        {"gpu: 5\nnode: {}\n", "sheet.yaml:1:6: expected gpu to be a mapping"},
        {"node: {num_gpus_per_node: 8, intra_node_bw: 1e9, inter_node_bw: 1e9}\n", "gpu lacks 'mem_bw'"},
        {"gpu: {mem_bw: -4.8e12}\nnode: {}\n", "sheet.yaml:1:15: mem_bw"},
        {"gpu: {mem_bw: .nan}\nnode: {}\n", "sheet.yaml:1:15: "},
        {"gpu: {mem_bw: 1e12, power: fast}\nnode: {}\n", "power"},
        {"gpu: {mem_bw: 1e12, fp8_tc_flops: -1}\nnode: {}\n", "fp8_tc_flops"},
        {"gpu: {mem_bw: 1e12, sm_version: 9.0}\nnode: {}\n", "sm_version"},
        {"gpu: {mem_bw: 1e12}\nnode: {num_gpus_per_node: 0, intra_node_bw: 1e9, inter_node_bw: 1e9}\n",
         "num_gpus_per_node"},
        {"gpu: {mem_bw: 1e12}\nnode: {num_gpus_per_node: 8, intra_node_bw: 1e9}\n",
         "node lacks 'inter_node_bw'"},
        {"gpu: {mem_bw: 1e12}\nnode: {num_gpus_per_node: 8, intra_node_bw: 1e9, inter_node_bw: 1e9}\n"
         "misc: {nccl_mem: [0, 1]}\n",
         "expected nccl_mem to map GPUs to bytes"},
        {"gpu: {mem_bw: 1e12}\nnode: {num_gpus_per_node: 8, intra_node_bw: 1e9, inter_node_bw: 1e9}\n"
         "misc: {nccl_mem: {3: 0}}\n",
         "3"},
        {"gpu: {mem_bw: 1e12}\nnode: {num_gpus_per_node: 8, intra_node_bw: 1e9, inter_node_bw: 1e9}\n"
         "misc: {nccl_version: [2]}\n",
         "nccl_version"},
    };
    maker m;
    maker_start(&m);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        maker_text(m.sheets, "sheet.yaml", all[i].sheet);
        aic_error err = {0};
        const char *sheets[] = {m.sheets};
        pdb *db = pdb_open(NULL, 0, NULL, sheets, 1, &err);
        assert_non_null(db);
        assert_null(pdb_system_get(db, "sheet", &err));
        if (!strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].sheet, err.text);
        assert_int_equal(err.code, AIC_BAD_INPUT);
        pdb_close(db);
    }
    maker_end(&m);
}

static void test_lenient_sheet(void **state) {
    (void)state;
    maker m;
    maker_start(&m);
    maker_text(m.sheets, "box.yaml", MAKER_SHEET "note: ours\n");
    aic_quiet(true);
    aic_error err = {0};
    const char *sheets[] = {m.sheets, AICFG_DATA_DIR "/systems"};
    pdb *db = pdb_open(NULL, 0, NULL, sheets, 2, &err);
    const pdb_system *s = pdb_system_get(db, "box", &err);
    assert_non_null(s);
    assert_true(s->mem_bw_factor == 1.0 && s->mem_latency_s == 0 && s->mem_capacity == 0 &&
                s->other_mem == -1);
    assert_true(s->nccl_mem[0] == 0 && s->nccl_mem[1] == -1 && s->nccl_mem[3] == 5);
    assert_string_equal(s->nccl_version, "2.27"); /* text, though it looks like a number */
    assert_int_equal(pdb_system_count(db), 15);
    pdb_close(db);
    maker_text(m.sheets, "h200_sxm.yaml", MAKER_SHEET); /* the first folder wins */
    db = pdb_open(NULL, 0, NULL, sheets, 2, &err);
    assert_true(pdb_system_get(db, "h200_sxm", &err)->mem_bw == 1e12);
    pdb_close(db);
    const char *missing[] = {"/nowhere/at/all"};
    assert_null(pdb_open(NULL, 0, NULL, missing, 1, &err));
    assert_int_equal(err.code, AIC_IO);
    aic_quiet(false);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shipped_sheets), cmocka_unit_test(test_figures),
                                       cmocka_unit_test(test_unknown_system),
                                       cmocka_unit_test(test_bad_sheets),
                                       cmocka_unit_test(test_lenient_sheet)};
    return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
