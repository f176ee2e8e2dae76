/* SITES: which shapes there are, in which order, and the curve of each (docs/model/interpolation.md). */
#include "perfdb/internal.h"
#include "perfdb/lattice.h"
#include "perfdb/scratch.h"

enum { ROOM = 8 }; /* places for each row from which on pairs are found by hash */

static uint32_t number_hashed(size_t rows, const pdb_axis *first, const pdb_axis *second, uint32_t *number) {
    pdb_numbers known = {.words = 1};
    for (size_t i = 0; i < rows; i++) {
        const uint64_t key = (uint64_t)first->number[i] << 32 | second->number[i];
        number[i] = pdb_number(&known, &key);
    }
    const uint32_t n = (uint32_t)known.n;
    pdb_numbers_free(&known);
    return n;
}

/* Numbers the pairs of numbers that rows have along two axes, in the order in which they are first seen;
 * returns how many there are. */
static uint32_t number_pairs(size_t rows, const pdb_axis *first, const pdb_axis *second, uint32_t *number) {
    if ((uint64_t)first->n * second->n > ROOM * rows)
        return number_hashed(rows, first, second, number);
    const size_t places = (size_t)first->n * second->n;
    uint32_t *place = pdb_scratch_take(places, sizeof *place), n = 0; /* number + 1 of each pair */
    memset(place, 0, places * sizeof *place);
    for (size_t i = 0; i < rows; i++) {
        uint32_t *at = &place[(size_t)first->number[i] * second->n + second->number[i]];
        if (!*at)
            *at = ++n;
        number[i] = *at - 1;
    }
    return n;
}

/* Rows by shape and by position on its curve. */
typedef struct shapes {
    pdb_axis site; /* without values; by rank, sites stand in their order */
    pdb_axis position;
    uint32_t *row; /* by number of a site: a row of it */
} shapes;

static void rank_ascending(const uint64_t *coords, shapes *s) {
    uint64_t *keys = pdb_scratch_take(aic_mul(s->site.n, 2), sizeof *keys);
    for (size_t i = 0; i < s->site.n; i++)
        memcpy(keys + 2 * i, coords + 3 * (size_t)s->row[i] + 1, 2 * sizeof *keys);
    s->site.rank = pdb_ranks_of(s->site.n, 2, keys);
}

/* In the order in which a walk of nested maps curve -> site0 -> site1 meets them, each level in order of
 * first appearance: by the first position that a site has, then by the branch (position, site0), then by the
 * row. */
static void rank_as_met(size_t n, shapes *s, const pdb_axis *site0) {
    uint32_t *position = pdb_scratch_take(s->site.n, sizeof *position); /* the first of each site */
    for (uint32_t i = 0; i < s->site.n; i++)
        position[i] = UINT32_MAX;
    uint32_t *branch = pdb_scratch_take(n, sizeof *branch);
    number_pairs(n, &s->position, site0, branch);
    for (size_t i = 0; i < n; i++) {
        uint32_t site = s->site.number[i], at = s->position.number[i];
        if (at < position[site]) {
            position[site] = at;
            s->row[site] = (uint32_t)i;
        }
    }
    uint64_t *keys = pdb_scratch_take(aic_mul(s->site.n, 3), sizeof *keys);
    for (size_t i = 0; i < s->site.n; i++) {
        keys[3 * i] = position[i];
        keys[3 * i + 1] = branch[s->row[i]];
        keys[3 * i + 2] = s->row[i];
    }
    s->site.rank = pdb_ranks_of(s->site.n, 3, keys);
}

static shapes shapes_of(size_t n, const uint64_t *coords, bool ascending) {
    const pdb_axis site0 = pdb_axis_of(n, coords + 1, 3), site1 = pdb_axis_of(n, coords + 2, 3);
    shapes s = {.position = pdb_axis_of(n, coords, 3)};
    s.site.number = pdb_scratch_take(n, sizeof *s.site.number);
    s.site.n = number_pairs(n, &site0, &site1, s.site.number);
    s.row = pdb_scratch_take(s.site.n, sizeof *s.row);
    for (size_t i = 0; i < n; i++)
        s.row[s.site.number[i]] = (uint32_t)i;
    if (ascending)
        rank_ascending(coords, &s);
    else
        rank_as_met(n, &s, &site0);
    return s;
}

/* ---- curves ------------------------------------------------------------------------------------ */

/* Rows by (site, position), the first of each pair alone. Returns how many. */
static size_t order_rows(size_t n, const uint64_t *coords, const shapes *s, uint32_t *order) {
    const pdb_axis axes[] = {s->site, s->position};
    size_t kept;
    if (pdb_lattice_order(n, 2, axes, order, &kept))
        return kept;
    uint64_t *keys = pdb_scratch_take(aic_mul(n, 2), sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        keys[2 * i] = s->site.rank[s->site.number[i]];
        keys[2 * i + 1] = coords[3 * i];
    }
    return pdb_distinct_rows(n, 2, keys, order);
}

typedef struct site_arrays {
    uint64_t *site, *key;
    double *log2_site, *range;
    uint32_t *first, *by_site;
    double *latency;
} site_arrays;

/* Curves of all sites, each ascending, from n rows in that order. */
static void fill_curves(site_arrays *to, size_t n, const uint64_t *coords, const pdb_leaf *leaves,
                        const shapes *s, const uint32_t *order) {
    uint32_t sites = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t *at = coords + 3 * (size_t)order[i];
        uint32_t site = s->site.rank[s->site.number[order[i]]];
        if (site == sites) {
            to->first[site] = (uint32_t)i;
            memcpy(to->site + 2 * (size_t)site, at + 1, 2 * sizeof *to->site);
            to->range[2 * (size_t)site] = (double)at[0];
            sites++;
        }
        to->range[2 * (size_t)site + 1] = (double)at[0];
        to->key[i] = at[0];
        to->latency[i] = leaves[order[i]].latency;
    }
    to->first[sites] = (uint32_t)n;
}

static const pdb_sites *build(aic_arena *a, size_t n, const uint64_t *coords, const pdb_leaf *leaves,
                              const pdb_origins *from, bool ascending) {
    pdb_scratch scratch = pdb_scratch_begin();
    const shapes s = shapes_of(n, coords, ascending);
    uint32_t *order = pdb_scratch_take(n, sizeof *order);
    const size_t kept = order_rows(n, coords, &s, order), sites = s.site.n;
    site_arrays to = {
        .site = aic_arena_alloc(a, aic_mul(sites, 2), sizeof *to.site),
        .key = aic_arena_take(a, kept, sizeof *to.key),
        .log2_site = aic_arena_alloc(a, aic_mul(sites, 2), sizeof *to.log2_site),
        .range = aic_arena_alloc(a, aic_mul(sites, 2), sizeof *to.range),
        .first = aic_arena_alloc(a, sites + 1, sizeof *to.first),
        .by_site = aic_arena_alloc(a, sites, sizeof *to.by_site),
        .latency = aic_arena_take(a, kept, sizeof *to.latency),
    };
    fill_curves(&to, kept, coords, leaves, &s, order);
    for (size_t i = 0; i < 2 * sites; i++)
        to.log2_site[i] = pdb_log2_floor((double)to.site[i]);
    pdb_sort_rows(sites, 2, to.site, to.by_site);
    pdb_sites *out = aic_arena_alloc(a, 1, sizeof *out);
    *out = (pdb_sites){.n = (uint32_t)sites,
                       .site = to.site,
                       .log2_site = to.log2_site,
                       .range = to.range,
                       .first = to.first,
                       .key = to.key,
                       .latency = to.latency,
                       .watts = pdb_keep_watts(a, leaves, kept, order),
                       .by_site = to.by_site,
                       .from = pdb_keep_origins(a, from, kept, order)};
    pdb_scratch_end(&scratch);
    return out;
}

const pdb_sites *pdb_sites_build(aic_arena *a, size_t n, const uint64_t *coords, const pdb_leaf *leaves,
                                 const pdb_origins *from) {
    return build(a, n, coords, leaves, from, false);
}

const pdb_sites *pdb_sites_build_ascending(aic_arena *a, size_t n, const uint64_t *coords,
                                           const pdb_leaf *leaves, const pdb_origins *from) {
    return build(a, n, coords, leaves, from, true);
}
