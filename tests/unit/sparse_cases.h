/* Sparse-attention modules in unit tests: made-up module tables of one backend. */
#ifndef AICFG_TESTS_SPARSE_CASES_H
#define AICFG_TESTS_SPARSE_CASES_H

#include "ops_cases.h"
#include "perfdb_maker.h"

enum { MOST_ROWS = 8 };

/* One row of any table of the family. Texts left out are empty, architecture and dtypes have defaults. */
typedef struct module_row {
    const char *op_name, *kernel, *kv, *model, *mode;
    uint32_t heads, ranks, batch, isl, step;
    double ms, watts;
} module_row;

typedef struct module_table {
    const char *name, *architecture;
    size_t n;
    module_row rows[MOST_ROWS];
} module_table;

static inline void write_text(hid_t g, const char *column, const module_table *t, size_t offset,
                              const char *otherwise) {
    const char *members[MOST_ROWS + 1] = {0};
    uint8_t cells[MOST_ROWS];
    for (size_t i = 0; i < t->n; i++) {
        const char *text = otherwise;
        if (offset != SIZE_MAX)
            memcpy(&text, (const char *)&t->rows[i] + offset, sizeof text);
        text = text ? text : otherwise;
        uint8_t at = 0;
        while (members[at] && strcmp(members[at], text) != 0)
            at++;
        members[at] = text;
        cells[i] = at;
    }
    maker_texts(g, column, members, t->n, cells);
}

static inline void write_int(hid_t g, const char *column, const module_table *t, size_t offset) {
    uint32_t cells[MOST_ROWS];
    for (size_t i = 0; i < t->n; i++)
        memcpy(&cells[i], (const char *)&t->rows[i] + offset, sizeof cells[i]);
    maker_ints(g, column, t->n, cells);
}

static inline void write_module(maker *m, const module_table *t) {
    char path[128];
    double ms[MOST_ROWS], watts[MOST_ROWS];
    snprintf(path, sizeof path, "/%s/sglang/1.0", t->name);
    for (size_t i = 0; i < t->n; i++) {
        ms[i] = t->rows[i].ms;
        watts[i] = t->rows[i].watts;
    }
    hid_t g = maker_group(m, path, "sparse_attention", (long long)t->n);
    write_text(g, "architecture", t, SIZE_MAX, t->architecture ? t->architecture : "x");
    write_text(g, "mla_dtype", t, SIZE_MAX, "bfloat16");
    write_text(g, "gemm_type", t, SIZE_MAX, "bfloat16");
    write_text(g, "kv_cache_dtype", t, offsetof(module_row, kv), "fp8");
    write_text(g, "op_name", t, offsetof(module_row, op_name), "");
    write_text(g, "kernel_source", t, offsetof(module_row, kernel), "");
    write_text(g, "model", t, offsetof(module_row, model), "");
    write_text(g, "score_mode", t, offsetof(module_row, mode), "");
    write_int(g, "num_heads", t, offsetof(module_row, heads));
    write_int(g, "tp_size", t, offsetof(module_row, ranks));
    write_int(g, "batch_size", t, offsetof(module_row, batch));
    write_int(g, "isl", t, offsetof(module_row, isl));
    write_int(g, "step", t, offsetof(module_row, step));
    maker_reals(g, "latency", t->n, ms);
    maker_reals(g, "power", t->n, watts);
    H5Gclose(g);
}

typedef struct sparse_box {
    maker m;
    ops_fixture f; /* sglang 1.0 on a Hopper-like box */
} sparse_box;

static inline void open_box(sparse_box *x, const module_table *tables, size_t n) {
    aic_error err = {0};
    maker_start(&x->m);
    maker_text(x->m.sheets, "box.yaml",
               "gpu: {mem_bw: 1.0e+12, bfloat16_tc_flops: 1.0e+14, fp8_tc_flops: 2.0e+14, sm_version: 90}\n"
               "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n"
               "misc: {nccl_version: 2.27, nccl_mem: {1: 0, 8: 5}}\n");
    maker_text(x->m.release, "release.yaml",
               "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
               "directories: {box: {sglang: [1.0]}}\ncross_backend: []\n");
    maker_file(&x->m, "box");
    maker_head(&x->m, "aicfg-perfdb", 1, "box", "r1");
    for (size_t i = 0; i < n; i++)
        write_module(&x->m, &tables[i]);
    maker_close(&x->m);
    x->f = (ops_fixture){.db = maker_open(&x->m, &err), .arena = aic_arena_new()};
    assert_non_null(x->f.db);
    x->f.view = pdb_view_get(x->f.db, "box", "sglang", "1.0", false, false, &err);
    assert_non_null(x->f.view);
}

static inline void close_box(sparse_box *x) {
    pdb_close(x->f.db);
    aic_arena_free(x->f.arena);
    maker_end(&x->m);
}

/* The fixture's database under another backend or version. */
static inline ops_fixture view_of(const ops_fixture *f, const char *backend, const char *version) {
    aic_error err = {0};
    ops_fixture other = *f;
    other.view = pdb_view_get(f->db, "h200_sxm", backend, version, true, true, &err);
    assert_non_null(other.view);
    return other;
}

static inline op_shape request(uint32_t batch, uint32_t s, uint32_t prefix) {
    return (op_shape){.batch = batch, .s = s, .prefix = prefix, .x = batch * s, .imbalance = 1.0};
}

/* Time of an all-gather over `gpus` of `elements` in half precision. */
static inline double all_gather(ops_fixture *f, op_mode mode, int gpus, double elements) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"Nccl\": {\"name\": \"n\", \"scale_factor\": 1, \"hidden_size\": %.1f, \"num_gpus\": %d, "
             "\"dtype\": \"half\", \"operation\": \"all_gather\"}}",
             elements, gpus);
    op_bound b = bind_op(f, mode, json);
    return answer(&b, mode, tokens(1)).latency;
}

#endif
