/* links: perfdb. Queries that share work (aimed sites, fans) answer what plain ones do, to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "perfdb/fan.h"
#include "perfdb/perfdb.h"
#include <math.h>
#include <string.h>

enum { RUN = 150 }; /* places of a fan at most */

/* A small linear congruential generator: the same cases everywhere. */
static uint32_t next(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static double volume(const void *ctx, const double *c) {
    (void)ctx;
    return c[0] * c[1] * c[2];
}

/* Shapes on powers of two and beside them, so that distances tie; curves of different lengths, some with
 * unusable points. */
static const pdb_sites *random_sites(aic_arena *a, uint32_t *seed, size_t rows) {
    uint64_t *coords = aic_arena_alloc(a, rows * 3, sizeof *coords);
    pdb_leaf *leaves = aic_arena_alloc(a, rows, sizeof *leaves);
    pdb_origins *from = aic_arena_alloc(a, rows, sizeof *from);
    for (size_t i = 0; i < rows; i++) {
        from[i] = 1u << next(seed) % 32;
        coords[3 * i] = 1u << (next(seed) % 12);
        coords[3 * i + 1] = (64u << (next(seed) % 5)) + next(seed) % 2;
        coords[3 * i + 2] = 64u << (next(seed) % 5);
        leaves[i].latency = next(seed) % 20 ? (double)(1 + next(seed) % 1000) : 0.0;
        leaves[i].power = (double)(next(seed) % 3);
    }
    return pdb_sites_build(a, rows, coords, leaves, from);
}

static void test_aimed_sites(void **state) {
    (void)state;
    uint32_t seed = 20261122;
    size_t answered = 0, missed = 0;
    for (int round = 0; round < 60; round++) {
        aic_arena *a = aic_arena_new();
        const pdb_sites *s = random_sites(a, &seed, 1 + next(&seed) % 120);
        for (int i = 0; i < 60; i++) {
            double shape[2] = {(double)(16u << (next(&seed) % 12)), (double)(16u << (next(&seed) % 9))};
            const pdb_site_aim *aim = pdb_sites_aim(a, s, shape[0], shape[1]);
            pdb_site_run run = pdb_site_run_of(aim, volume, NULL);
            bool ascending = next(&seed) % 2;
            for (int j = 0; j < 12; j++) {
                double c[3] = {(double)(ascending ? 3u << j : next(&seed) % 5000), shape[0], shape[1]};
                pdb_value plain = {0}, aimed = {0}, in_run = {0};
                pdb_miss miss = pdb_sites_query(s, c, false, volume, NULL, &plain);
                assert_int_equal(pdb_sites_query_aimed(aim, c[0], volume, NULL, &aimed), miss);
                assert_int_equal(pdb_site_run_at(&run, c[0], &in_run), miss);
                answered += miss == PDB_HIT;
                missed += miss != PDB_HIT;
                assert_true(plain.latency == aimed.latency && plain.power == aimed.power &&
                            plain.energy == aimed.energy && plain.how == aimed.how &&
                            plain.from == aimed.from);
                assert_true(plain.latency == in_run.latency && plain.power == in_run.power &&
                            plain.energy == in_run.energy && plain.how == in_run.how &&
                            plain.from == in_run.from);
            }
        }
        aic_arena_free(a);
    }
    assert_true(answered > 10000 && missed > 1000);
}

static double uneven(const void *ctx, const double *c) {
    (void)ctx;
    return c[0] * (c[2] < 1e9 ? c[2] : 1.0) + c[1] * c[1]; /* NaN: 1 */
}

/* Ragged grids, so that branches end early and queries fall outside some of them. */
static const pdb_grid *random_grid(aic_arena *a, uint32_t *seed, int axes, size_t rows, bool powered) {
    uint64_t *coords = aic_arena_alloc(a, rows * 4, sizeof *coords);
    pdb_leaf *leaves = aic_arena_alloc(a, rows, sizeof *leaves);
    pdb_origins *from = aic_arena_alloc(a, rows, sizeof *from);
    for (size_t i = 0; i < rows * (size_t)axes; i++)
        coords[i] = 1 + next(seed) % 9;
    for (size_t i = 0; i < rows; i++) {
        leaves[i] =
            (pdb_leaf){(double)(1 + next(seed) % 1000), 0.0, powered ? (double)(next(seed) % 3) : 0.0};
        from[i] = 1u << next(seed) % 32;
    }
    return pdb_grid_build(a, axes, rows, coords, leaves, from, NULL);
}

/* In any order, or ascending from a place inside or beyond the grid in small steps, as decode walks have it.
 */
static void random_lengths(uint32_t *seed, double *last, size_t n) {
    if (next(seed) % 2) {
        for (size_t i = 0; i < n; i++)
            last[i] = (double)(next(seed) % 48) / 4.0 + 0.25;
        return;
    }
    double step = (double)(next(seed) % 4) / 16.0;
    last[0] = (double)(next(seed) % 56) / 4.0;
    for (size_t i = 1; i < n; i++)
        last[i] = next(seed) % 50 ? last[i - 1] + step : last[0];
    if (next(seed) % 10 == 0)
        last[next(seed) % n] = next(seed) % 2 ? NAN : 1e300;
}

/* The same, bit by bit. */
static bool same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Asks a fan for a stretch of places, and the grid for each of them. */
static void compare_stretch(pdb_fan *fan, double *c, size_t from, size_t to, size_t found[3]) {
    double latency[RUN], energy[RUN];
    uint8_t how[RUN];
    pdb_origins marks[RUN];
    pdb_values out = {latency, energy, how, marks};
    const int last = fan->g->axes - 1;
    pdb_miss miss = pdb_fan_query(fan, from, to, &out);
    for (size_t i = from; i < to; i++) {
        pdb_value plain = {0};
        c[last] = fan->places[i];
        pdb_miss alone = pdb_grid_query(fan->g, c, -1, uneven, NULL, &plain);
        if (alone != PDB_HIT) {
            assert_int_equal(miss, alone);
            return;
        }
        assert_true(same(plain.latency, latency[i - from]) && same(plain.energy, energy[i - from]) &&
                    plain.how == how[i - from] && plain.from == marks[i - from] && plain.from);
        found[plain.how]++;
    }
    assert_int_equal(miss, PDB_HIT);
}

static void test_fans(void **state) {
    (void)state;
    uint32_t seed = 7;
    size_t found[3] = {0}, refused = 0;
    for (int round = 0; round < 3000; round++) {
        aic_arena *a = aic_arena_new();
        int axes = 3 + (int)(next(&seed) % 2);
        const pdb_grid *g =
            random_grid(a, &seed, axes, 1 + next(&seed) % (round % 2 ? 200 : 6000), next(&seed) % 2);
        double c[4], places[RUN];
        size_t n = 1 + next(&seed) % RUN;
        pdb_fan fan;
        for (int i = 0; i < 4; i++)
            c[i] = next(&seed) % 8 ? 1.0 + next(&seed) % 9 : (double)(next(&seed) % 40) / 4.0;
        random_lengths(&seed, places, n);
        void *memory = aic_arena_alloc(a, pdb_fan_bytes(g, n), 1);
        if (!pdb_fan_open(&fan, g, c, places, n, uneven, NULL, memory)) {
            refused++;
            aic_arena_free(a);
            continue;
        }
        bool ascending = next(&seed) % 2;
        for (int turn = 0; turn < 12; turn++) {
            c[axes - 2] = ascending ? turn : (double)(next(&seed) % 48) / 4.0;
            if (next(&seed) % 100 == 0)
                c[axes - 2] = next(&seed) % 2 ? -1.0 : 1e300;
            size_t from = next(&seed) % n;
            pdb_fan_turn(&fan, c[axes - 2]);
            compare_stretch(&fan, c, from, from + 1 + next(&seed) % (n - from), found);
        }
        aic_arena_free(a);
    }
    assert_true(found[PDB_EXACT] > 1000 && found[PDB_INSIDE] > 10000 && found[PDB_BEYOND] > 10000);
    assert_true(refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_aimed_sites), cmocka_unit_test(test_fans)};
    return cmocka_run_group_tests_name("query_plans", tests, NULL, NULL);
}
