/* links: perfdb. Merged tables: whole tables against the reference, merge rules, hooks, scans, threads. */
#include "parity/golden.h"
#include "perfdb_cases.h"
#include "perfdb_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_reference_tables(void **state) {
    (void)state;
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb/0.12.0"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    perfdb_cases t = {.arena = aic_arena_new()};
    t.db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    assert_non_null(t.db);
    assert_true(json_lines(t.arena, TEST_DATA_DIR "/sources_h200_sxm.jsonl.gz", perfdb_case, &t) > 0);
    assert_int_equal(t.tables.asked, 84);
    assert_int_equal(t.rows.asked, 592);
    assert_int_equal(t.tables.wrong + t.rows.wrong, 0);
    pdb_close(t.db);
    aic_arena_free(t.arena);
}

/* ---- a small table in three sources ---------------------------------------------------------- */

static const char facts[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                            "directories: {box: {vllm: [1.0, 1.1], trtllm: [2.0]}}\n"
                            "cross_backend:\n"
                            "  - {table: t, kernel_source: open, tier: shared, frameworks: [vllm, trtllm]}\n";

static const char *const modes[] = {"fp8", "bf16", "", NULL}, *const kernels[] = {"open", "closed", NULL};

static void add_rows(maker *m, const char *path, size_t n, const uint8_t *mode, const uint32_t *x,
                     const uint32_t *y, const double *latency, const double *power, const uint8_t *kernel) {
    hid_t g = maker_group(m, path, "gemm", (long long)n);
    maker_texts(g, "mode", modes, n, mode);
    maker_ints(g, "x", n, x);
    maker_ints(g, "y", n, y);
    maker_reals(g, "latency", n, latency);
    if (power)
        maker_reals(g, "power", n, power);
    if (kernel)
        maker_texts(g, "kernel_source", kernels, n, kernel);
    H5Gclose(g);
}

static pdb *make_box(maker *m) {
    maker_start(m);
    maker_text(m->release, "release.yaml", facts);
    maker_file(m, "box");
    maker_head(m, "aicfg-perfdb", 1, "box", "r1");
    add_rows(m, "/t/vllm/1.1", 5, (const uint8_t[]){1, 0, 1, 1, 2}, (const uint32_t[]){4, 4, 2, 4, 7},
             (const uint32_t[]){1, 1, 1, 1, 1}, (const double[]){10, 20, 30, 40, NAN},
             (const double[]){1, 2, 3, 4, 5}, NULL);
    add_rows(m, "/t/vllm/1.0", 3, (const uint8_t[]){1, 1, 0}, (const uint32_t[]){4, 8, 8},
             (const uint32_t[]){1, 2, 3}, (const double[]){50, 60, 70}, NULL, NULL);
    add_rows(m, "/t/trtllm/2.0", 4, (const uint8_t[]){1, 1, 0, 0}, (const uint32_t[]){16, 16, 4, 16},
             (const uint32_t[]){1, 1, 1, 1}, (const double[]){80, 90, 100, 110}, NULL,
             (const uint8_t[]){1, 0, 0, 0});
    maker_close(m);
    aic_error err;
    pdb *db = maker_open(m, &err);
    assert_non_null(db);
    return db;
}

#define T_CATS .n_cats = 1, .cats = {TEXT("mode")}
#define T_AXES .n_axes = 2, .axes = {INT("x"), INT("y")}

static const pdb_view *view(pdb *db, bool shared) {
    aic_error err = {0};
    const pdb_view *v = pdb_view_get(db, "box", "vllm", "1.1", shared, false, &err);
    assert_non_null(v);
    return v;
}

static double leaf_at(const pdb_view *v, const pdb_table *t, const char *mode, double x, double y,
                      double *energy) {
    uint64_t cat[PDB_MAX_CATS] = {pdb_text_id(v, mode)};
    const pdb_slice *s = pdb_slice_find(t, cat);
    const double c[] = {x, y};
    pdb_value got = {0};
    if (!s || pdb_grid_query(pdb_slice_grid(s), c, -1, no_sol, NULL, &got) != PDB_HIT || got.how != PDB_EXACT)
        return -1;
    if (energy)
        *energy = got.energy;
    return got.latency;
}

static void test_merge(void **state) {
    (void)state;
    static const pdb_schema schema = {.table = "t", T_CATS, T_AXES};
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    const char *why = "?";
    double energy;
    const pdb_table *t = pdb_table_get(v, &schema, &why);
    assert_non_null(t);
    assert_null(why);
    assert_ptr_equal(t, pdb_table_get(v, &schema, &why));
    /* The first row in source order wins; slices come in the order their first rows were met. */
    assert_int_equal(pdb_slice_count(t), 3);
    assert_string_equal(pdb_text(v, pdb_slice_at(t, 0)->cat[0]), "bf16");
    assert_string_equal(pdb_text(v, pdb_slice_at(t, 1)->cat[0]), "fp8");
    assert_int_equal(pdb_slice_at(t, 2)->cat[0], 0); /* the empty text */
    assert_true(leaf_at(v, t, "bf16", 4, 1, &energy) == 10 && energy == 10);
    assert_true(leaf_at(v, t, "bf16", 2, 1, &energy) == 30 && energy == 90);
    assert_true(leaf_at(v, t, "bf16", 8, 2, &energy) == 60 && energy == 0);
    /* Of another backend's rows only those of shared kernels pass. */
    assert_true(leaf_at(v, t, "bf16", 16, 1, NULL) == 90);
    assert_true(leaf_at(v, t, "fp8", 4, 1, NULL) == 20 && leaf_at(v, t, "fp8", 16, 1, NULL) == 110);
    assert_int_equal(pdb_table_rows(t), 4 + 3 + 1);
    assert_int_equal(pdb_text_id(v, "nobody"), 0);
    uint64_t none[PDB_MAX_CATS] = {999};
    assert_null(pdb_slice_find(t, none));
    assert_null(pdb_slice_sites(pdb_slice_at(t, 0)));
    /* Alone, the version has its own rows only; the NaN row is kept as data. */
    t = pdb_table_get(view(db, false), &schema, &why);
    assert_int_equal(pdb_table_rows(t), 4);
    pdb_close(db);
    maker_end(&m);
}

/* The answer of bf16 rows at (x, y): its marks. */
static pdb_origins marks_at(const pdb_view *v, const pdb_table *t, double x, double y) {
    const double c[] = {x, y};
    uint64_t cat[PDB_MAX_CATS] = {pdb_text_id(v, "bf16")};
    pdb_value got;
    assert_int_equal(pdb_grid_query(pdb_slice_grid(pdb_slice_find(t, cat)), c, -1, no_sol, NULL, &got),
                     PDB_HIT);
    return got.from;
}

static void assert_from(const pdb_view *v, pdb_origins from, pdb_origins kinds, size_t n, const char *backend,
                        const char *version) {
    pdb_origin list[PDB_ORIGIN_MAX];
    assert_int_equal(from & PDB_CARRIED, kinds);
    assert_int_equal(pdb_origin_names(v, from, list), n);
    if (n) {
        assert_string_equal(list[0].backend, backend);
        assert_string_equal(list[0].version, version);
    }
}

/* bf16 has (2, 1) and (4, 1) of its own, (8, 2) of an older version and (16, 1) of another backend. */
static void test_marks(void **state) {
    (void)state;
    static const pdb_schema schema = {.table = "t", T_CATS, T_AXES};
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    const pdb_table *t = pdb_table_get(v, &schema, NULL);
    assert_from(v, marks_at(v, t, 4, 1), 0, 0, NULL, NULL);
    assert_from(v, marks_at(v, t, 3, 1), 0, 0, NULL, NULL);
    assert_from(v, marks_at(v, t, 8, 2), PDB_OTHER_VERSION, 1, "vllm", "1.0");
    assert_from(v, marks_at(v, t, 16, 1), PDB_OTHER_BACKEND, 1, "trtllm", "2.0");
    /* A branch that does not reach the query leaves no mark: only the other one answers. */
    assert_from(v, marks_at(v, t, 6, 1), 0, 0, NULL, NULL);
    assert_from(v, marks_at(v, t, 6, 2), PDB_OTHER_VERSION, 1, "vllm", "1.0");
    assert_from(v, marks_at(v, t, 12, 1), PDB_OTHER_BACKEND, 1, "trtllm", "2.0");
    assert_from(v, marks_at(v, t, 8, 2) | marks_at(v, t, 16, 1), PDB_CARRIED, 2, "vllm", "1.0");
    /* A version alone has no rows to mark. */
    const pdb_view *alone = view(db, false);
    t = pdb_table_get(alone, &schema, NULL);
    assert_null(pdb_slice_grid(pdb_slice_at(t, 0))->from);
    assert_from(alone, marks_at(alone, t, 3, 1), 0, 0, NULL, NULL);
    pdb_close(db);
    maker_end(&m);
}

static bool least_latency(const pdb_view *v, const uint64_t *cat, size_t n, const uint64_t *axis,
                          double *least) {
    for (size_t i = 0; i < n; i++)
        least[i] = axis[2 * i] == 2 ? NAN : 3.0 * (double)axis[2 * i]; /* NaN: no bound known */
    return strcmp(pdb_text(v, cat[0]), "fp8") != 0;
}

static bool admit_some(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)s;
    assert_non_null(r->source);
    assert_true(r->fault == NULL);
    if (r->cat[0] == 0)
        r->cat[0] = pdb_text_add(v, "renamed");
    return r->axis[0] != 2;
}

static bool admit_none(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)v;
    (void)s;
    (void)r;
    return false;
}

static bool admit_fault(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)v;
    (void)s;
    r->fault = r->axis[0] == 8 ? "eight is not allowed" : NULL;
    return true;
}

static void test_rules(void **state) {
    (void)state;
    static const pdb_schema floor = {
        .table = "t", T_CATS, T_AXES, .floor = least_latency, .primary_only = true};
    static const pdb_schema last = {.table = "t", T_CATS, T_AXES, .last_in_source = true};
    static const pdb_schema some = {.table = "t", T_CATS, T_AXES, .admit = admit_some, .n_admit_axes = 1};
    static const pdb_schema none = {.table = "t", T_CATS, T_AXES, .admit = admit_none};
    static const pdb_schema fault = {.table = "t", T_CATS, T_AXES, .admit = admit_fault, .n_admit_axes = 1};
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    const char *why;
    double energy;
    /* A bound raises latency and leaves energy: power over the time that was measured. */
    const pdb_table *t = pdb_table_get(v, &floor, &why);
    assert_true(leaf_at(v, t, "bf16", 4, 1, &energy) == 12 && energy == 10);
    assert_true(leaf_at(v, t, "bf16", 2, 1, NULL) == 30 && leaf_at(v, t, "fp8", 4, 1, NULL) == 20);
    assert_int_equal(pdb_table_rows(t), 4); /* primary only */
    /* The last row of the first source. */
    t = pdb_table_get(v, &last, &why);
    assert_true(leaf_at(v, t, "bf16", 4, 1, NULL) == 40 && leaf_at(v, t, "bf16", 8, 2, NULL) == 60);
    assert_string_equal(pdb_text(v, pdb_slice_at(t, 0)->cat[0]), "bf16");
    t = pdb_table_get(v, &some, &why);
    assert_true(leaf_at(v, t, "bf16", 2, 1, NULL) == -1 && leaf_at(v, t, "bf16", 4, 1, NULL) == 10);
    assert_string_equal(pdb_text(v, pdb_slice_at(t, 2)->cat[0]), "renamed");
    assert_null(pdb_table_get(v, &none, &why));
    assert_string_equal(why,
                        "table t: no rows for vllm 1.1 on box (3 sources, 3 present, first: /t/vllm/1.1)");
    assert_null(pdb_table_get(v, &fault, &why));
    assert_string_equal(why, "table t: /t/vllm/1.0: eight is not allowed");
    pdb_close(db);
    maker_end(&m);
}

static void test_columns(void **state) {
    (void)state;
    static const pdb_schema summed = {.table = "t",
                                      .n_cats = 2,
                                      .n_extra = 1,
                                      .cats = {MAYBE("zone"), TEXT("mode")},
                                      .n_axes = 1,
                                      .axes = {SUM("x", "y")},
                                      .value = {"latency", "latency", "power"},
                                      .primary_only = true};
    static const pdb_schema optional = {.table = "t",
                                        .n_cats = 2,
                                        .cats = {TEXT("mode"), MAYBE_INT("window")},
                                        .n_axes = 2,
                                        .axes = {INT("x"), MAYBE_INT("z")}};
    static const pdb_schema lacking = {.table = "t", T_CATS, .n_axes = 1, .axes = {INT("z")}};
    static const pdb_schema text_axis = {.table = "t", T_CATS, .n_axes = 1, .axes = {INT("mode")}};
    static const pdb_schema real_text = {.table = "t", .n_cats = 1, .cats = {TEXT("latency")}, T_AXES};
    static const pdb_schema int_value = {.table = "t", T_CATS, T_AXES, .value = {"x"}};
    static const pdb_schema absent = {.table = "u", T_CATS, T_AXES};
    static const pdb_schema library = {.table = "oneccl_perf", T_CATS, T_AXES};
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    const char *why;
    const pdb_table *t = pdb_table_get(v, &summed, &why);
    assert_non_null(t);
    assert_int_equal(pdb_slice_count(t), 1); /* the mode only informs; the zone is absent everywhere */
    const pdb_grid *g = pdb_slice_grid(pdb_slice_at(t, 0));
    assert_int_equal(g->n[0], 3);
    assert_int_equal(g->keys[0][0], 3);
    assert_true(g->latency[1] == 10 + 10 + 1.0 && g->watts[1].energy == 21);
    t = pdb_table_get(v, &optional, &why);
    assert_non_null(t);
    assert_int_equal(pdb_slice_at(t, 0)->cat[1], 0);
    assert_int_equal(pdb_slice_grid(pdb_slice_at(t, 0))->keys[1][0], 0);
    static const struct {
        const pdb_schema *schema;
        const char *why;
    } refused[] = {
        {&lacking, "table t: column z missing in /t/vllm/1.1 (columns: latency, mode, power, x, y)"},
        {&text_axis, "table t: mode of /t/vllm/1.1 does not hold integers"},
        {&real_text, "table t: latency of /t/vllm/1.1 does not hold text"},
        {&int_value, "table t: x of /t/vllm/1.1 does not hold doubles"},
        {&absent, "table u: no rows for vllm 1.1 on box (1 source, 0 present, first: /u/vllm/1.1)"},
        {&library, "table oneccl_perf: the spec sheet of box names no version of its library"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_null(pdb_table_get(v, refused[i].schema, &why));
        assert_string_equal(why, refused[i].why);
    }
    pdb_close(db);
    maker_end(&m);
}

/* ---- scans and derived objects --------------------------------------------------------------- */

typedef struct seen {
    size_t rows, stop_after;
    double sum;
    aic_buf sources;
} seen;

static bool see(void *ctx, pdb_row *row) {
    seen *s = ctx;
    s->rows++;
    if (row->latency == row->latency)
        s->sum += row->latency;
    aic_buf_printf(&s->sources, "%s ", row->source->version);
    if (row->axis[0] == 99)
        row->fault = "never";
    return s->rows != s->stop_after;
}

static bool complain(void *ctx, pdb_row *row) {
    (void)ctx;
    row->fault = "every row is wrong";
    return true;
}

static const void *count_rows(const pdb_view *v, const void *identity, aic_arena *a, const char **why) {
    const pdb_schema *const *schema = identity;
    size_t *rows = aic_arena_alloc(a, 1, sizeof *rows);
    *rows = pdb_table_rows(pdb_table_get(v, *schema, why)); /* builders may ask for tables */
    return rows;
}

static const void *build_nothing(const pdb_view *v, const void *identity, aic_arena *a, const char **why) {
    (void)v;
    (void)identity;
    (void)a;
    *why = "there is nothing";
    return NULL;
}

static void test_scan(void **state) {
    (void)state;
    static const pdb_schema schema = {.table = "t", T_CATS, T_AXES};
    static const pdb_schema lacking = {.table = "t", T_CATS, .n_axes = 1, .axes = {INT("z")}};
    static const pdb_schema *const counted = &schema;
    static const char identity = 0;
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    const char *why = NULL;
    seen s = {0};
    assert_true(pdb_scan(v, &schema, see, &s, &why));
    assert_true(s.rows == 11 && s.sum == 10 + 20 + 30 + 40 + 50 + 60 + 70 + 90 + 100 + 110.0);
    assert_string_equal(s.sources.data, "1.1 1.1 1.1 1.1 1.1 1.0 1.0 1.0 2.0 2.0 2.0 ");
    aic_buf_free(&s.sources);
    s = (seen){.stop_after = 6};
    assert_true(pdb_scan(v, &schema, see, &s, &why));
    assert_int_equal(s.rows, 6);
    aic_buf_free(&s.sources);
    assert_false(pdb_scan(v, &lacking, see, &s, &why));
    assert_non_null(strstr(why, "column z missing"));
    assert_false(pdb_scan(v, &schema, complain, NULL, &why));
    assert_non_null(strstr(why, "every row is wrong"));
    const size_t *rows = pdb_derived(v, &counted, count_rows, &why);
    assert_int_equal(*rows, 8);
    assert_null(pdb_derived(v, &identity, build_nothing, &why));
    assert_string_equal(why, "there is nothing");
    assert_null(pdb_derived(v, &identity, count_rows, &why)); /* kept: built once */
    assert_ptr_equal(rows, pdb_derived(v, &counted, count_rows, &why));
    pdb_close(db);
    maker_end(&m);
}

/* ---- tables of several files ------------------------------------------------------------------ */

static void test_gather(void **state) {
    (void)state;
    static const pdb_schema schema = {.table = "made up", T_CATS, T_AXES};
    maker m;
    pdb *db = make_box(&m);
    const pdb_view *v = view(db, true);
    aic_arena *a = aic_arena_new();
    const uint64_t late = pdb_text_add(v, "late"), early = pdb_text_add(v, "early");
    const struct {
        uint64_t mode, x;
        double latency, power;
        uint32_t rank;
    } rows[] = {{late, 1, 10, 2, 1},
                {early, 1, 20, 0, 0},
                {late, 1, 30, 3, 0},
                {late, 1, 40, 0, 0},
                {late, 2, 50, 0, 7}};
    pdb_gather *g = pdb_gather_new(v, &schema);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        pdb_gather_add(g,
                       &(pdb_row){.cat = {rows[i].mode},
                                  .axis = {rows[i].x, 1},
                                  .latency = rows[i].latency,
                                  .power = rows[i].power},
                       rows[i].rank);
    const pdb_table *t = pdb_gather_finish(g, a);
    double energy;
    assert_int_equal(pdb_table_rows(t), 3);
    assert_true(leaf_at(v, t, "late", 1, 1, &energy) == 30 &&
                energy == 90); /* the first of the lowest rank */
    assert_true(leaf_at(v, t, "early", 1, 1, NULL) == 20 && leaf_at(v, t, "late", 2, 1, NULL) == 50);
    assert_true(pdb_slice_at(t, 0)->cat[0] == late); /* slices as added, whatever the rank */
    assert_null(pdb_gather_finish(pdb_gather_new(v, &schema), a));
    g = pdb_gather_new(v, &schema);
    pdb_gather_add(g, &(pdb_row){.cat = {late}}, 0);
    assert_null(pdb_gather_finish(g, NULL)); /* given up */
    aic_arena_free(a);
    pdb_close(db);
    maker_end(&m);
}

/* ---- many categories ---------------------------------------------------------------------------- */

/* More bits of categories than go into one word, more rows than are packed at a time; every category takes
 * two far values, so that all combinations come again and again. */
enum { MANY = 2000, WIDE = 4 };
static const uint32_t far_values[WIDE][2] = {{0, UINT32_MAX}, {1, UINT32_MAX - 1}, {7, 1u << 31}, {5, 9}};

static bool admit_odd(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)v;
    (void)s;
    r->cat[3] = 0; /* one slice of two combinations */
    return r->axis[0] % 2 == 1;
}

static void test_many_categories(void **state) {
    (void)state;
    static const char *const names[WIDE] = {"a", "b", "c", "d"};
    static const pdb_schema plain = {.table = "t",
                                     .n_cats = WIDE,
                                     .cats = {INT("a"), INT("b"), INT("c"), INT("d")},
                                     .n_axes = 2,
                                     .axes = {INT("x"), INT("y")}};
    pdb_schema odd = plain;
    odd.admit = admit_odd;
    odd.n_admit_axes = 1;
    uint32_t cells[WIDE][MANY], x[MANY], y[MANY];
    double latency[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        for (uint32_t k = 0; k < WIDE; k++)
            cells[k][i] = far_values[k][(i / 3) >> k & 1];
        x[i] = i % 2;
        y[i] = i;
        latency[i] = i + 1;
    }
    maker m;
    maker_box(&m, facts);
    hid_t g = maker_group(&m, "/t/vllm/1.1", "gemm", MANY);
    for (size_t k = 0; k < WIDE; k++)
        maker_ints(g, names[k], MANY, cells[k]);
    maker_ints(g, "x", MANY, x);
    maker_ints(g, "y", MANY, y);
    maker_reals(g, "latency", MANY, latency);
    H5Gclose(g);
    maker_close(&m);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    const pdb_view *v = view(db, true);
    for (size_t pass = 0; pass < 2; pass++) {
        const pdb_table *t = pdb_table_get(v, &plain, NULL), *half = pdb_table_get(v, &odd, NULL);
        assert_int_equal(pdb_slice_count(t), 1 << WIDE);
        assert_int_equal(pdb_slice_count(half), 1 << (WIDE - 1));
        assert_int_equal(pdb_table_rows(t), MANY);
        assert_int_equal(pdb_table_rows(half), MANY / 2);
        for (uint32_t i = 0; i < MANY; i++) {
            const uint64_t cat[PDB_MAX_CATS] = {cells[0][i], cells[1][i], cells[2][i], cells[3][i]},
                           own[PDB_MAX_CATS] = {cells[0][i], cells[1][i], cells[2][i]};
            const double at[] = {x[i], y[i]};
            pdb_value got;
            const pdb_slice *s = pdb_slice_find(t, cat), *h = pdb_slice_find(half, own);
            assert_int_equal(pdb_grid_query(pdb_slice_grid(s), at, -1, no_sol, NULL, &got), PDB_HIT);
            assert_true(got.how == PDB_EXACT && got.latency == latency[i]);
            bool there = pdb_grid_query(pdb_slice_grid(h), at, -1, no_sol, NULL, &got) == PDB_HIT &&
                         got.how == PDB_EXACT;
            assert_true(there == (i % 2 == 1) && (!there || got.latency == latency[i]));
        }
        /* Counting leaves needs no grid and agrees with one. */
        for (size_t i = 0; i < pdb_slice_count(t); i++)
            assert_int_equal(pdb_slice_leaves(pdb_slice_at(t, i)), pdb_slice_grid(pdb_slice_at(t, i))->n[1]);
        pdb_view_unload(v); /* what is asked for again is read again */
    }
    pdb_close(db);
    maker_end(&m);
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct worker {
    pdb *db;
    const pdb_table *tables[64];
    const pdb_grid *grids[64]; /* of the last slice of each */
} worker;

static void *load_all(void *arg) {
    worker *w = arg;
    static const char *const backends[] = {"trtllm", "sglang", "vllm"};
    aic_error err;
    size_t n = 0;
    for (size_t b = 0; b < 3; b++) {
        const pdb_view *v = pdb_view_get(w->db, "h200_sxm", backends[b], NULL, true, false, &err);
        for (size_t i = 6; i < 16; i++) {
            const char *why;
            const pdb_table *t = w->tables[n] = pdb_table_get(v, merged_tables[i].parts[0], &why);
            for (size_t k = 0; t && k < pdb_slice_count(t); k++) {
                w->grids[n] = pdb_slice_grid(pdb_slice_at(t, k));
                pdb_slice_sites(pdb_slice_at(t, k));
            }
            n++;
        }
    }
    return NULL;
}

static void test_threads_share(void **state) {
    (void)state;
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    pdb *db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    worker workers[4] = {{.db = db}, {.db = db}, {.db = db}, {.db = db}};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, load_all, &workers[i]);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 1; i < 4; i++) {
        assert_memory_equal(workers[0].tables, workers[i].tables, sizeof workers[0].tables);
        assert_memory_equal(workers[0].grids, workers[i].grids, sizeof workers[0].grids);
    }
    assert_int_equal(db->n_views, 3);
    pdb_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_tables),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_threads_share),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_many_categories),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
