/* links: perfdb. Columns make way when memory is short, and are read again. */
#include "perfdb/internal.h"
#include "perfdb_maker.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 6000, GROUPS = 40 };

static const char facts[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                            "directories: {box: {vllm: [1.0, 1.1]}}\n";

static const pdb_schema by_group = {.table = "t",
                                    .cats = {{.column = "group"}},
                                    .n_cats = 1,
                                    .axes = {{.column = "x"}, {.column = "y", .plus = "z"}},
                                    .n_axes = 2,
                                    .value = {"a", "b"}};

static void add_rows(maker *m, const char *path, uint32_t first) {
    static uint32_t group[ROWS], x[ROWS], y[ROWS], z[ROWS];
    static double a[ROWS], b[ROWS], power[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        group[i] = i * 7 % GROUPS;
        x[i] = first + i;
        y[i] = i % 11;
        z[i] = i % 3;
        a[i] = first + i + 0.25;
        b[i] = 1000.0 * i;
        power[i] = i % 5;
    }
    hid_t g = maker_group(m, path, "gemm", ROWS);
    maker_ints(g, "group", ROWS, group);
    maker_ints(g, "x", ROWS, x);
    maker_ints(g, "y", ROWS, y);
    maker_ints(g, "z", ROWS, z);
    maker_reals(g, "a", ROWS, a);
    maker_reals(g, "b", ROWS, b);
    maker_reals(g, "power", ROWS, power);
    H5Gclose(g);
}

static pdb *make_box(maker *m) {
    aic_error err;
    maker_start(m);
    maker_text(m->release, "release.yaml", facts);
    maker_file(m, "box");
    maker_head(m, "aicfg-perfdb", 1, "box", "r1");
    add_rows(m, "/t/vllm/1.0", ROWS / 2); /* the other version's rows come first where both have them */
    add_rows(m, "/t/vllm/1.1", 0);
    maker_close(m);
    return maker_open(m, &err);
}

static const pdb_view *view(pdb *db) {
    aic_error err;
    return pdb_view_get(db, "box", "vllm", "1.1", true, false, &err);
}

/* Threads other than the test's own must not assert. */
static bool is_right(const pdb_slice *s) {
    const pdb_grid *g = pdb_slice_grid(s);
    bool ok = pdb_slice_leaves(s) == g->n[1];
    for (uint32_t i = 0; i < g->n[0]; i++) {
        for (uint32_t j = g->first[0][i]; j < g->first[0][i + 1]; j++) {
            const pdb_leaf leaf = pdb_grid_leaf(g, j);
            uint64_t x = g->keys[0][i], row = x;
            if (x >= ROWS || g->keys[1][j] != row % 11 + row % 3)
                row = x - ROWS / 2; /* the older version's, at another y */
            ok = ok && g->keys[1][j] == row % 11 + row % 3 && leaf.power == (double)(row % 5) &&
                 leaf.latency == (double)x + 0.25 + 1000.0 * (double)row;
        }
    }
    return ok;
}

static void *check_all(void *db) {
    static bool right;
    const pdb_table *t = pdb_table_get(view(db), &by_group, NULL);
    for (size_t i = 0; i < GROUPS; i++)
        if (!is_right(pdb_slice_at(t, i)))
            return NULL;
    return &right;
}

static void test_no_room(void **state) {
    (void)state;
    static const size_t rooms[] = {0, ROWS * 9, SIZE_MAX};
    for (size_t i = 0; i < 3; i++) {
        maker m;
        pthread_t thread[3];
        pdb *db = make_box(&m);
        db->room.of[PDB_IS_SPENT].most = rooms[i] / 3;
        db->room.of[PDB_TELLS_APART].most = rooms[i] / 2;
        db->room.of[PDB_IS_TAKEN].most = rooms[i];
        for (int k = 0; k < 3; k++)
            pthread_create(&thread[k], NULL, check_all, db);
        for (int k = 0; k < 3; k++) {
            void *right;
            pthread_join(thread[k], &right);
            assert_non_null(right);
        }
        for (int use = 0; use < PDB_USES; use++)
            assert_true(db->room.of[use].bytes <= db->room.of[use].most);
        assert_int_equal(pdb_hdf5_read_error(), 0);
        pdb_close(db);
        maker_end(&m);
    }
}

/* Columns of a table of which everything is built give their memory to those that are read next, however much
 * room there is; another table made from them has them read again. */
static void test_spent(void **state) {
    (void)state;
    aic_error err;
    maker m;
    pdb *db = make_box(&m);
    const struct pdb_waiting *spent = &db->room.of[PDB_IS_SPENT], *taken = &db->room.of[PDB_IS_TAKEN];
    const pdb_view *own = pdb_view_get(db, "box", "vllm", "1.1", false, false, &err);
    const pdb_table *t = pdb_table_get(own, &by_group, NULL);
    for (size_t i = 0; i < GROUPS; i++) {
        assert_true(spent->bytes == 0 && taken->bytes > 0);
        assert_non_null(pdb_slice_grid(pdb_slice_at(t, i)));
    }
    const size_t bytes = spent->bytes;
    assert_true(bytes > 0 && taken->bytes == 0);
    assert_non_null(
        pdb_table_get(pdb_view_get(db, "box", "vllm", "1.0", false, true, &err), &by_group, NULL));
    assert_true(spent->bytes < bytes);
    assert_non_null(check_all(db)); /* of the rows of both versions */
    assert_int_equal(pdb_hdf5_read_error(), 0);
    pdb_close(db);
    maker_end(&m);
}

/* Whoever keeps results must learn that a file is not what it was. */
static void test_file_changes(void **state) {
    (void)state;
    maker m;
    pdb *db = make_box(&m);
    db->room.of[PDB_IS_TAKEN].most = 0;
    const pdb_table *t = pdb_table_get(view(db), &by_group, NULL);
    assert_true(is_right(pdb_slice_at(t, 0)));
    assert_int_equal(pdb_hdf5_read_error(), 0);
    assert_int_equal(truncate(maker_path(m.release, "box.h5"), 0), 0);
    assert_non_null(pdb_slice_grid(pdb_slice_at(t, 1)));
    assert_int_not_equal(pdb_hdf5_read_error(), 0);
    pdb_close(db);
    maker_end(&m);
}

static const pdb_table *read_own(pdb *db, bool shared_first, char digest[65]) {
    aic_error err;
    pdb_reads reads;
    const pdb_view *own = pdb_view_get(db, "box", "vllm", "1.0", false, true, &err);
    if (shared_first)
        assert_non_null(
            pdb_table_get(pdb_view_get(db, "box", "vllm", "1.0", true, true, &err), &by_group, NULL));
    pdb_reads_begin(&reads, own);
    const pdb_table *t = pdb_table_get(own, &by_group, NULL);
    pdb_reads_end(&reads, digest);
    return t;
}

/* The oldest version inherits nothing: its view without shared rows takes over the table of the one with. */
static void test_twins(void **state) {
    (void)state;
    maker m;
    char own[65], taken_over[65];
    pdb *db = make_box(&m);
    assert_non_null(read_own(db, false, own));
    pdb_close(db);
    maker_end(&m);
    db = make_box(&m);
    const pdb_table *t = read_own(db, true, taken_over);
    assert_int_equal(pdb_loaded_so_far(db).tables, 1);
    assert_string_equal(own, taken_over);
    assert_int_equal(strlen(own), 64);
    aic_error err;
    const pdb_view *shared = pdb_view_get(db, "box", "vllm", "1.0", true, true, &err);
    const pdb_table *first = pdb_table_get(shared, &by_group, NULL);
    assert_ptr_not_equal(t, first);
    for (size_t i = 0; i < GROUPS; i++) {
        const pdb_grid *a = pdb_slice_grid(pdb_slice_at(t, i)), *b = pdb_slice_grid(pdb_slice_at(first, i));
        assert_ptr_equal(pdb_slice_at(t, i)->table, t);
        assert_int_equal(a->n[1], b->n[1]);
        assert_memory_equal(a->latency, b->latency, a->n[1] * sizeof *a->latency);
    }
    pdb_view_unload(shared); /* both, since one stands on the other */
    assert_int_equal(pdb_slice_count(read_own(db, false, own)), GROUPS);
    assert_string_equal(own, taken_over);
    pdb_close(db);
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_room), cmocka_unit_test(test_spent),
                                       cmocka_unit_test(test_twins), cmocka_unit_test(test_file_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
