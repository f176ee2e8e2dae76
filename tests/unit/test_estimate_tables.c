/* links: ops. Gemm in every mode over the synthetic tables: holes, zeros, duplicates, one-point curves,
 * power, missing scale tables. Each set of tables is a version of one made-up system. */
#include "json_lines.h"
#include "ops/internal.h"
#include "ops_cases.h"
#include "parity/golden.h"
#include "perfdb_maker.h"

enum { SETS = 64, MODES = 32 };

typedef struct synth {
    aic_arena *arena;
    maker made;
    pdb *db;
    const aic_node *tables[SETS][3]; /* gemm, computescale, scale_matrix */
    int sets;
    size_t asked[OP_MODE_COUNT], refused[OP_MODE_COUNT], wrong;
} synth;

static const char *const families[] = {"gemm", "computescale", "scale_matrix"};
static const char *const groups[] = {"gemm_perf", "computescale_perf", "scale_matrix_perf"};

/* ---- making -------------------------------------------------------------------------------------------- */

static void take_table(void *ctx, const aic_node *line) {
    synth *t = ctx;
    const char *kind = json_text(line, "kind"), *family = json_text(line, "family");
    for (int i = 0; i < 3 && family && strcmp(kind, "table") == 0; i++) {
        if (strcmp(family, families[i]) != 0)
            continue;
        int id = (int)aic_map_get(line, "id")->i;
        assert_true(id < SETS);
        t->tables[id][i] = line;
        t->sets = id + 1 > t->sets ? id + 1 : t->sets;
    }
}

/* Index of a mode's name among those met so far. */
static uint8_t mode_index(const char **modes, const char *name) {
    uint8_t i = 0;
    while (modes[i] && strcmp(modes[i], name) != 0)
        i++;
    assert_true(i < MODES - 1);
    modes[i] = name;
    return i;
}

/* Rows as they stand: mode, coordinates, latency, power. */
static void add_table(synth *t, int id, int which) {
    static const char *const coords[2][3] = {{"m", "n", "k"}, {"m", "k", NULL}};
    const aic_node *rows = aic_map_get(t->tables[id][which], "rows");
    const char *modes[MODES] = {0},
               *path = aic_arena_printf(t->arena, "/%s/trtllm/0.0.%d", groups[which], id);
    const char *const *axes = coords[which > 0];
    size_t n = rows->count, width = which > 0 ? 2 : 3;
    uint8_t *mode = aic_arena_alloc(t->arena, n, sizeof *mode);
    uint32_t *keys = aic_arena_alloc(t->arena, n * width, sizeof *keys);
    double *latency = aic_arena_alloc(t->arena, n, sizeof *latency),
           *power = aic_arena_alloc(t->arena, n, sizeof *power);
    for (size_t i = 0; i < n; i++) {
        aic_node *const *cell = rows->items[i]->items;
        mode[i] = mode_index(modes, cell[0]->text);
        for (size_t k = 0; k < width; k++)
            keys[k * n + i] = (uint32_t)cell[k + 1]->i;
        latency[i] = cell[width + 1]->r;
        power[i] = cell[width + 2]->r;
    }
    hid_t g = maker_group(&t->made, path, "gemm", (long long)n);
    maker_texts(g, which ? "quant_dtype" : "gemm_dtype", modes, n, mode);
    for (size_t k = 0; k < width; k++)
        maker_ints(g, axes[k], n, keys + k * n);
    maker_reals(g, "latency", n, latency);
    maker_reals(g, "power", n, power);
    H5Gclose(g);
}

static void make_database(synth *t) {
    aic_buf facts = {0};
    aic_error err;
    maker_start(&t->made);
    aic_buf_add(&facts, "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ncross_backend: []\n"
                        "directories: {box: {trtllm: [");
    for (int id = 0; id < t->sets; id++)
        aic_buf_printf(&facts, "%s0.0.%d", id ? ", " : "", id);
    aic_buf_add(&facts, "]}}\n");
    maker_text(t->made.release, "release.yaml", facts.data);
    aic_buf_free(&facts);
    maker_text(t->made.sheets, "box.yaml",
               "gpu: {mem_bw: 7.7e+12, bfloat16_tc_flops: 2.25e+15, int8_tc_flops: 4.5e+15, "
               "fp8_tc_flops: 4.5e+15, fp4_tc_flops: 9.0e+15, sm_version: 100}\n"
               "node: {num_gpus_per_node: 8, intra_node_bw: 9.0e+11, inter_node_bw: 5.0e+10}\n");
    maker_file(&t->made, "box");
    maker_head(&t->made, "aicfg-perfdb", 1, "box", "r1");
    for (int id = 0; id < t->sets; id++)
        for (int which = 0; which < 3; which++)
            if (t->tables[id][which])
                add_table(t, id, which);
    maker_close(&t->made);
    t->db = maker_open(&t->made, &err);
    assert_non_null(t->db);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static const op *gemm_of(synth *t, const aic_node *query) {
    const char *json = aic_arena_printf(
        t->arena,
        "{\"Gemm\": {\"name\": \"g\", \"scale_factor\": 1, \"n\": %.0f, \"k\": %.0f, \"quant_mode\": \"%s\", "
        "\"low_precision_input\": %s}}",
        json_real(query, "n"), json_real(query, "k"), json_text(query, "quant"),
        json_bool(query, "low") ? "true" : "false");
    aic_error err = {0};
    const op *o = op_from_json(t->arena, aic_doc_json_text(t->arena, "gemm", json, strlen(json), &err), &err);
    assert_non_null(o);
    return o;
}

static bool agrees(op_class cls, const op_result *got, const aic_node *query) {
    const aic_node *result = aic_map_get(query, "result");
    if (!result) {
        bool missing = strcmp(json_text(query, "error"), "PerfDataNotAvailableError") == 0;
        return cls == (missing ? OP_MISSING : OP_NO_EMPIRICAL);
    }
    return cls == OP_OK && got->latency == result->items[0]->r && got->energy == result->items[1]->r &&
           strcmp(op_source_name(got->source), result->items[2]->text) == 0;
}

static void ask(void *ctx, const aic_node *line) {
    synth *t = ctx;
    const char *family = json_text(line, "family");
    if (!family || strcmp(family, "gemm") != 0 || strcmp(json_text(line, "kind"), "query") != 0)
        return;
    const char *version = aic_arena_printf(t->arena, "0.0.%d", (int)aic_map_get(line, "id")->i);
    aic_error err = {0};
    const pdb_view *view = pdb_view_get(t->db, "box", "trtllm", version, false, true, &err);
    assert_non_null(view);
    op_mode mode;
    assert_true(op_mode_parse(json_text(line, "mode"), &mode));
    op_binder binder = {t->arena, view, mode, OP_POLICY_ALL};
    op_bound b;
    op_result r;
    op_bind(&binder, gemm_of(t, line), &b);
    op_shape shape = tokens((uint32_t)json_real(line, "m"));
    op_class cls = op_query(&b, mode, &shape, &r, NULL);
    t->asked[mode]++;
    t->refused[mode] += cls != OP_OK;
    if (!agrees(cls, &r, line) && t->wrong++ < 8)
        fprintf(stderr, "set %s, %s %s m=%g n=%g k=%g: %s, %.17g ms, %.17g W*ms\n", version,
                json_text(line, "mode"), json_text(line, "quant"), json_real(line, "m"), json_real(line, "n"),
                json_real(line, "k"), op_class_name(cls), r.latency, r.energy);
}

static void gemm_of_every_mode(void **state) {
    (void)state;
    static const char file[] = TEST_DATA_DIR "/interp_synth_cases.jsonl.gz";
    synth t = {.arena = aic_arena_new()};
    assert_true(json_lines(t.arena, file, take_table, &t) > 0);
    make_database(&t);
    assert_true(json_lines(t.arena, file, ask, &t) > 0);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(t.asked[OP_SILICON], 900);
    assert_int_equal(t.asked[OP_HYBRID], 720);
    assert_int_equal(t.asked[OP_EMPIRICAL], 540);
    assert_true(t.refused[OP_SILICON] > t.refused[OP_HYBRID] && t.refused[OP_EMPIRICAL] == 7);
    pdb_close(t.db);
    maker_end(&t.made);
    aic_arena_free(t.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gemm_of_every_mode)};
    return cmocka_run_group_tests_name("estimate_tables", tests, NULL, NULL);
}
