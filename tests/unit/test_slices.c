/* links: perfdb. Rows find their slices: many combinations in every order, packed into one word or several,
 * against a row by row look. */
#include "perfdb_maker.h"
#include "table_schemas.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 4999, COLUMNS = 3 };

static const char facts[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                            "directories: {box: {vllm: [1.0]}}\n";

typedef struct rows {
    uint32_t cat[COLUMNS][ROWS], x[ROWS];
    double latency[ROWS];
} rows;

static uint32_t next(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 40);
}

/* spread: how far the values of the categories lie apart, which is how many bits they take. */
static void fill(rows *r, uint32_t values, uint32_t spread) {
    uint64_t state = 7;
    for (size_t i = 0; i < ROWS; i++) {
        for (int k = 0; k < COLUMNS; k++) /* runs, rows that take turns, and neither */
            r->cat[k][i] = (i % 3000 < 1000   ? (uint32_t)i / 100 % values
                            : i % 3000 < 2000 ? (uint32_t)(i + (size_t)k) % 3
                                              : next(&state) % values) *
                           spread;
        r->x[i] = next(&state) % 50;
        r->latency[i] = (double)i + 1;
    }
}

static bool same_slice(const rows *r, size_t a, size_t b) {
    for (int k = 0; k < COLUMNS; k++)
        if (r->cat[k][a] != r->cat[k][b])
            return false;
    return true;
}

/* Is it the first of its coordinate, or the last? */
static bool counts(const rows *r, size_t row, bool last) {
    for (size_t i = last ? row + 1 : 0, end = last ? ROWS : row; i < end; i++)
        if (r->x[i] == r->x[row] && same_slice(r, i, row))
            return false;
    return true;
}

/* Every row that counts is a leaf of its slice, and there are no others. */
static void check(pdb *db, const pdb_schema *schema, const rows *r) {
    aic_error err = {0};
    const pdb_view *v = pdb_view_get(db, "box", "vllm", "1.0", false, false, &err);
    const pdb_table *t = pdb_table_get(v, schema, NULL);
    assert_non_null(t);
    size_t leaves = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const uint64_t cat[PDB_MAX_CATS] = {r->cat[0][i], r->cat[1][i], r->cat[2][i]};
        const pdb_slice *s = pdb_slice_find(t, cat);
        assert_non_null(s);
        if (!counts(r, i, schema->last_in_source))
            continue;
        const double x = r->x[i];
        pdb_value got;
        assert_int_equal(pdb_grid_query(pdb_slice_grid(s), &x, -1, NULL, NULL, &got), PDB_HIT);
        assert_true(got.how == PDB_EXACT && got.latency == r->latency[i]);
        leaves++;
    }
    assert_int_equal(pdb_table_rows(t), leaves);
}

static void test(uint32_t values, uint32_t spread) {
    static const pdb_schema schema = {.table = "t",
                                      .cats = {INT("a"), INT("b"), INT("c")},
                                      .n_cats = 3,
                                      .axes = {INT("x")},
                                      .n_axes = 1},
                            last = {.table = "t",
                                    .cats = {INT("a"), INT("b"), INT("c")},
                                    .n_cats = 3,
                                    .axes = {INT("x")},
                                    .n_axes = 1,
                                    .last_in_source = true};
    static rows r;
    fill(&r, values, spread);
    maker m;
    maker_box(&m, facts);
    hid_t g = maker_group(&m, "/t/vllm/1.0", "gemm", ROWS);
    maker_ints(g, "a", ROWS, r.cat[0]);
    maker_ints(g, "b", ROWS, r.cat[1]);
    maker_ints(g, "c", ROWS, r.cat[2]);
    maker_ints(g, "x", ROWS, r.x);
    maker_reals(g, "latency", ROWS, r.latency);
    H5Gclose(g);
    maker_close(&m);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    assert_non_null(db);
    check(db, &schema, &r);
    check(db, &last, &r);
    pdb_close(db);
    maker_end(&m);
}

static void test_one_word(void **state) {
    (void)state;
    test(16, 1);  /* up to 4096 combinations, more than are remembered */
    test(2, 512); /* few */
}

static void test_several_words(void **state) {
    (void)state;
    test(16, 0x0FFFFFFF);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_word), cmocka_unit_test(test_several_words)};
    return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
