/* Tables of sparse-attention modules: two kernels and two kinds of layer in one file (docs/model/dsa.md). */
#include "ops/dsa_internal.h"

#include <string.h>

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* Kernels that read a bfloat16 cache, and the dense one for short prompts, are the same in both buckets. */
static bool in_bucket(const char *kv, const char *kernel, dsa_bucket bucket) {
    if (strcmp(kv, "bfloat16") == 0 || strcmp(kernel, "sglang_dsa_dense_mha_trtllm_ragged") == 0)
        return true;
    return bucket == (strstr(kernel, "trtllm") ? DSA_TRTLLM : DSA_FLASHMLA);
}

static bool admit(const pdb_view *view, pdb_row *row, dsa_bucket bucket) {
    if (!in_bucket(pdb_text(view, row->cat[DSA_KV]), pdb_text(view, row->cat[DSA_KERNEL]), bucket))
        return false;
    row->cat[DSA_SKIP] = strstr(pdb_text(view, row->cat[DSA_OP_NAME]), "skip_indexer") != NULL;
    return true;
}

bool dsa_admit_trtllm(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return admit(view, row, DSA_TRTLLM);
}

bool dsa_admit_flashmla(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return admit(view, row, DSA_FLASHMLA);
}

const dsa_file dsa_context_file =
    DSA_FILE("dsa_context_module_perf", dsa_admit_trtllm, dsa_admit_flashmla, 4, DSA_PREFILL_AXES);
const dsa_file dsa_generation_file =
    DSA_FILE("dsa_generation_module_perf", dsa_admit_trtllm, dsa_admit_flashmla, 3, DSA_DECODE_AXES);

/* ---- slices -------------------------------------------------------------------------------------------- */

op_key dsa_key(const pdb_view *view, const dsa_rows *rows) {
    op_key key = {0};
    op_key_int(&key, rows->skip);
    op_key_text(&key, view, rows->architecture);
    op_key_text(&key, view, rows->mla == PDB_Q_UNSET ? "" : pdb_quant_get(rows->mla)->name);
    op_key_text(&key, view, pdb_quant_get(rows->kv)->name);
    op_key_text(&key, view, pdb_quant_get(rows->gemm)->name);
    return key;
}

const pdb_slice *dsa_slice(const op_bound *b, const dsa_file *file, dsa_bucket wanted, const dsa_rows *rows,
                           const char *page, op_refusal *why) {
    const dsa_bucket order[DSA_BUCKETS] = {wanted, wanted == DSA_TRTLLM ? DSA_FLASHMLA : DSA_TRTLLM};
    const char *no_table = NULL;
    bool explained = false;
    for (int i = 0; i < DSA_BUCKETS; i++) {
        const pdb_schema *schema = &file->bucket[order[i]];
        const char *reason = NULL;
        const pdb_table *t = pdb_table_get(b->view, schema, &reason);
        if (!t) {
            no_table = no_table ? no_table : reason;
            continue;
        }
        op_key key = dsa_key(b->view, rows);
        const pdb_slice *s = pdb_slice_find(t, key.value);
        if (s)
            return s;
        if (!explained)
            op_refuse_key(why, b, schema, t, &key, 0, page);
        explained = true;
    }
    if (!explained)
        op_refuse_op(why, b->op, OP_MISSING, "%s/%s/%s: %s (docs/model/%s.md)", b->system->name,
                     b->view->backend, b->view->version, no_table, page);
    return NULL;
}

bool dsa_skips(const pdb_view *view, const dsa_file *file) {
    for (int i = 0; i < DSA_BUCKETS; i++) {
        const pdb_table *t = pdb_table_get(view, &file->bucket[i], NULL);
        for (size_t s = 0; t && s < pdb_slice_count(t); s++)
            if (pdb_slice_at(t, s)->cat[DSA_SKIP])
                return true;
    }
    return false;
}
