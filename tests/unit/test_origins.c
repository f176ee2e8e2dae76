/* links: perfdb. Marks of rows from elsewhere: an answer bears exactly those of the leaves that went into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "perfdb/perfdb.h"

enum { LEAVES = 24 }; /* one bit each */

static uint32_t next(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static double product(const void *axes, const double *c) {
    double ms = 1;
    for (int i = 0; i < *(const int *)axes; i++)
        ms *= c[i] + 1;
    return ms;
}

/* Measurements of one grid or set of sites; leaf i bears bit i. */
typedef struct sample {
    int axes;
    uint64_t coords[LEAVES * 4];
    pdb_leaf leaves[LEAVES];
    pdb_origins from[LEAVES];
} sample;

static sample draw(uint32_t *seed, int axes) {
    sample s = {.axes = axes};
    for (int i = 0; i < LEAVES * axes; i++)
        s.coords[i] = 1 + next(seed) % (axes == 1 ? 64 : 6);
    for (int i = 0; i < LEAVES; i++) {
        s.leaves[i].latency = 1 + next(seed) % 1000;
        s.from[i] = 1u << i;
    }
    return s;
}

static bool ask_grid(const sample *s, bool marked, const double *c, pdb_value *out) {
    aic_arena *a = aic_arena_new();
    const pdb_grid *g =
        pdb_grid_build(a, s->axes, LEAVES, s->coords, s->leaves, marked ? s->from : NULL, NULL);
    assert_true((g->from != NULL) == marked);
    bool hit = pdb_grid_query(g, c, -1, product, &s->axes, out) == PDB_HIT;
    aic_arena_free(a);
    return hit;
}

static bool ask_sites(const sample *s, bool marked, const double *c, pdb_value *out) {
    aic_arena *a = aic_arena_new();
    const pdb_sites *sites = pdb_sites_build(a, LEAVES, s->coords, s->leaves, marked ? s->from : NULL);
    assert_true((sites->from != NULL) == marked);
    bool hit = pdb_sites_query(sites, c, false, product, &s->axes, out) == PDB_HIT;
    aic_arena_free(a);
    return hit;
}

typedef bool (*asking)(const sample *s, bool marked, const double *c, pdb_value *out);

/* A leaf that moves the answer is marked in it. `exactly`: no other one is. Without marks the answer is the
 * same and bears none. */
static void check(asking ask, sample *s, const double *c, bool exactly) {
    pdb_value v = {0}, plain = {0}, moved = {0};
    bool hit = ask(s, true, c, &v);
    assert_int_equal(ask(s, false, c, &plain), hit);
    assert_true(plain.latency == v.latency && plain.how == v.how && plain.from == 0);
    for (int i = 0; hit && i < LEAVES; i++) {
        double kept = s->leaves[i].latency;
        s->leaves[i].latency *= 4;
        assert_true(ask(s, true, c, &moved));
        s->leaves[i].latency = kept;
        bool marked = v.from >> i & 1;
        assert_true(moved.latency == v.latency ? !exactly || !marked : marked);
    }
}

static void test_marks_of_grids(void **state) {
    (void)state;
    uint32_t seed = 20261125;
    for (int round = 0; round < 200; round++) {
        sample s = draw(&seed, 1 + round % 4);
        double c[4];
        for (int i = 0; i < 4; i++)
            c[i] = (double)(next(&seed) % (s.axes == 1 ? 300 : 30)) / 4;
        check(ask_grid, &s, c, true);
    }
}

/* The median of three points off the end of a curve need not move with each of them. */
static void test_marks_of_sites(void **state) {
    (void)state;
    uint32_t seed = 11;
    for (int round = 0; round < 200; round++) {
        sample s = draw(&seed, 3);
        double c[3];
        for (int i = 0; i < 3; i++)
            c[i] = (double)(1 + next(&seed) % 8);
        check(ask_sites, &s, c, false);
    }
}

/* Own rows among foreign ones: a grid keeps marks only when some kept leaf has one. */
static void test_own_rows_have_none(void **state) {
    (void)state;
    aic_arena *a = aic_arena_new();
    const uint64_t keys[] = {1, 2, 2};
    const pdb_leaf leaves[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}};
    const pdb_origins hidden[] = {0, 0, PDB_OTHER_VERSION}, seen[] = {0, PDB_OTHER_BACKEND, 0};
    assert_null(pdb_grid_build(a, 1, 3, keys, leaves, hidden, NULL)->from);
    const pdb_grid *g = pdb_grid_build(a, 1, 3, keys, leaves, seen, NULL);
    assert_int_equal(pdb_leaf_from(g, 0), 0);
    assert_int_equal(pdb_leaf_from(g, 1), PDB_OTHER_BACKEND);
    aic_arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_marks_of_grids),
                                       cmocka_unit_test(test_marks_of_sites),
                                       cmocka_unit_test(test_own_rows_have_none)};
    return cmocka_run_group_tests_name("origins", tests, NULL, NULL);
}
