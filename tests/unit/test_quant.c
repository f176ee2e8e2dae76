/* links: perfdb. Quantisation modes: names, kinds, compute dtypes. */
#include "perfdb/perfdb.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_every_mode(void **state) {
    (void)state;
    for (int q = PDB_Q_UNSET + 1; q < PDB_QUANT_COUNT; q++) {
        const pdb_quant_info *info = pdb_quant_get((pdb_quant)q);
        assert_true(info->kinds != 0 && info->bytes > 0);
        for (unsigned kind = PDB_GEMM; kind <= PDB_COMM; kind <<= 1) {
            pdb_quant found = pdb_quant_parse(info->name, kind);
            if (info->kinds & kind)
                assert_int_equal(found, q);
            else
                assert_int_not_equal(found, q);
        }
        bool computes = (info->kinds & (PDB_GEMM | PDB_MOE | PDB_FMHA)) != 0;
        assert_int_equal(info->dtype != PDB_DTYPE_NONE, computes);
        assert_int_equal(info->compute > 0, computes);
    }
}

static void test_names(void **state) {
    (void)state;
    assert_int_equal(pdb_quant_parse("fp8", PDB_GEMM), PDB_Q_fp8);
    assert_int_equal(pdb_quant_parse("FP8", PDB_GEMM), PDB_Q_UNSET);
    assert_int_equal(pdb_quant_parse("", PDB_GEMM), PDB_Q_UNSET);
    assert_int_equal(pdb_quant_parse("w4afp8", PDB_GEMM), PDB_Q_UNSET);
    assert_int_equal(pdb_quant_parse("half", PDB_COMM), PDB_Q_half);
    assert_string_equal(pdb_quant_names(PDB_KV), "bfloat16, int8, fp8");
    assert_string_equal(pdb_quant_names(PDB_COMM), "half, int8, fp8");
    assert_non_null(strstr(pdb_quant_names(PDB_MOE), "w4a8_mxfp4_mxfp8_trtllm"));
    assert_string_equal(pdb_quant_kind_name(PDB_FMHA), "FMHA");
    assert_string_equal(pdb_quant_kind_name(PDB_COMM), "communication");
    assert_string_equal(pdb_dtype_key(PDB_FP4), "fp4_tc_flops");
    assert_string_equal(pdb_dtype_key(PDB_BFLOAT16), "bfloat16_tc_flops");
}

/* A few rows of the reference's table. */
static void test_figures(void **state) {
    (void)state;
    static const struct {
        pdb_quant q;
        double bytes;
        int compute;
        pdb_dtype dtype;
    } rows[] = {
        {PDB_Q_bfloat16, 2, 1, PDB_BFLOAT16},      {PDB_Q_sq, 1, 2, PDB_INT8},
        {PDB_Q_nvfp4, 9.0 / 16, 4, PDB_FP4},       {PDB_Q_nvfp4_wo, 9.0 / 16, 1, PDB_BFLOAT16},
        {PDB_Q_w4a16_mxfp4, 0.5, 1, PDB_BFLOAT16}, {PDB_Q_w4a8_mxfp4_mxfp8, 0.5, 2, PDB_FP8},
        {PDB_Q_fp8_block, 1, 2, PDB_FP8},          {PDB_Q_half, 2, 0, PDB_DTYPE_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const pdb_quant_info *info = pdb_quant_get(rows[i].q);
        assert_true(info->bytes == rows[i].bytes && info->compute == rows[i].compute &&
                    info->dtype == rows[i].dtype);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mode), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_figures)};
    return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
