/* SITES: scattered shapes with one curve each (docs/model/interpolation.md). */
#include "perfdb/internal.h"

enum { NEIGHBOURS = PDB_SITE_PLACES, TAIL = 3 };
static const double GATE = 2.0; /* distance, in doublings, within which a shape may stand in for another */
static const double GATE_SQUARE = 4.0 * (1 + 1e-15); /* a few ulps beyond its square: no need for a root */

/* ---- querying -------------------------------------------------------------------------------- */

typedef struct query {
    const pdb_sites *s;
    const double *c; /* (curve, site0, site1) */
    pdb_sol sol;
    const void *ctx;
} query;

/* What a curve, or several, answer. */
typedef struct curve_value {
    double latency, power;
    pdb_how how;
    pdb_origins from;
} curve_value;

static double power_of(const pdb_sites *s, uint32_t i) {
    const pdb_leaf leaf = pdb_leaf_of(s->latency, s->watts, i);
    return pdb_blend_power(&leaf);
}

static pdb_origins leaf_from(const pdb_sites *s, uint32_t i) {
    return s->from ? s->from[i] : 0;
}

static void put(const curve_value *v, pdb_value *out) {
    *out = (pdb_value){v->latency, v->power, v->power * v->latency, v->how, v->from};
}

/* SOL at a site's own shape, at position x of its curve. */
static double sol_at(const query *q, uint32_t site, double x) {
    double at[3] = {x, (double)q->s->site[2 * site], (double)q->s->site[2 * site + 1]};
    return q->sol(q->ctx, at);
}

static bool covers(const pdb_sites *s, uint32_t site, double x) {
    return s->range[2 * site] <= x && x <= s->range[2 * site + 1];
}

/* Index of the site with exactly these coordinates, or -1. */
static int64_t own_site(const pdb_sites *s, const double *c) {
    uint64_t want[2];
    if (!pdb_whole_key(c[1], &want[0]) || !pdb_whole_key(c[2], &want[1]))
        return -1;
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const uint64_t *at = s->site + 2 * (size_t)s->by_site[mid];
        if (at[0] < want[0] || (at[0] == want[0] && at[1] < want[1]))
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == s->n || memcmp(s->site + 2 * (size_t)s->by_site[lo], want, sizeof want) != 0)
        return -1;
    return s->by_site[lo];
}

static double median(double *v, int n) {
    for (int i = 1; i < n; i++) {
        double x = v[i];
        int j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What the nearest points of an end of a curve say of what lies off it: their median efficiency. */
static pdb_site_tail tail_of(const query *q, uint32_t site, bool below) {
    const pdb_sites *s = q->s;
    uint32_t lo = s->first[site], hi = s->first[site + 1];
    if (hi - lo > TAIL) {
        lo = below ? lo : hi - TAIL;
        hi = lo + TAIL;
    }
    pdb_site_tail tail = {.known = true};
    double u[TAIL], p[TAIL];
    int n = 0;
    for (uint32_t i = lo; i < hi; i++) {
        double sol = sol_at(q, site, (double)s->key[i]);
        if (s->latency[i] > 0 && sol > 0) {
            u[n] = sol / s->latency[i];
            p[n++] = power_of(s, i);
            tail.from |= leaf_from(s, i);
        }
    }
    tail.usable = n > 0;
    if (n) {
        tail.efficiency = median(u, n);
        tail.power = median(p, n);
    }
    return tail;
}

/* Off the end of a curve: SOL divided by the efficiency of that end. */
static pdb_miss off_curve(const query *q, uint32_t site, const pdb_site_tail *tail, curve_value *out) {
    if (!tail->usable)
        return PDB_MISS_NO_ANCHOR;
    double sol = sol_at(q, site, q->c[0]);
    if (!pdb_valid(sol))
        return PDB_MISS_QUERY_SOL;
    *out = (curve_value){sol / tail->efficiency, tail->power, PDB_BEYOND, tail->from};
    return PDB_HIT;
}

/* Does the curve position x lie before point `up` of lo .. hi, and not before the point below? */
static bool lies_at(const pdb_sites *s, uint32_t lo, uint32_t hi, uint32_t up, double x) {
    return (up == lo || (double)s->key[up - 1] <= x) && (up == hi || !((double)s->key[up] <= x));
}

/* SITE-CURVE: the answer of one site's curve at the query's position; up: its first point beyond that. */
static pdb_miss at_point(const query *q, uint32_t site, uint32_t up, pdb_site_tail tails[2],
                         curve_value *out) {
    const pdb_sites *s = q->s;
    const uint32_t lo = s->first[site], hi = s->first[site + 1];
    const double x = q->c[0];
    if (up > lo && (double)s->key[up - 1] == x) {
        *out = (curve_value){s->latency[up - 1], power_of(s, up - 1), PDB_EXACT, leaf_from(s, up - 1)};
        return PDB_HIT;
    }
    if (up == lo || up == hi) {
        pdb_site_tail *tail = &tails[up == lo];
        if (!tail->known)
            *tail = tail_of(q, site, up == lo);
        return off_curve(q, site, tail, out);
    }
    double from = (double)s->key[up - 1], to = (double)s->key[up], w = (x - from) / (to - from);
    double a = s->latency[up - 1], b = s->latency[up], pa = power_of(s, up - 1), pb = power_of(s, up);
    *out = (curve_value){a + (b - a) * w, pa + (pb - pa) * w, PDB_INSIDE,
                         leaf_from(s, up - 1) | leaf_from(s, up)};
    return PDB_HIT;
}

/* First point of a site's curve beyond x. */
static uint32_t point_after(const pdb_sites *s, uint32_t site, double x) {
    uint32_t up = s->first[site], end = s->first[site + 1];
    while (up < end) {
        uint32_t mid = up + (end - up) / 2;
        if ((double)s->key[mid] <= x)
            up = mid + 1;
        else
            end = mid;
    }
    return up;
}

/* The answer of a site's curve, from the place of an earlier query: looks there, and one point further,
 * before it searches. */
static pdb_miss from_place(const query *q, uint32_t site, pdb_site_place *p, curve_value *out) {
    const pdb_sites *s = q->s;
    const uint32_t lo = s->first[site], hi = s->first[site + 1];
    const double x = q->c[0];
    if (p->curve != site + 1) {
        *p = (pdb_site_place){.curve = site + 1, .up = point_after(s, site, x)};
    } else if (!lies_at(s, lo, hi, p->up, x)) {
        bool next = p->up < hi && lies_at(s, lo, hi, p->up + 1, x);
        p->up = next ? p->up + 1 : point_after(s, site, x);
    }
    return at_point(q, site, p->up, p->tails, out);
}

static pdb_miss on_curve(const query *q, uint32_t site, curve_value *out) {
    pdb_site_tail tails[2] = {{.known = false}};
    return at_point(q, site, point_after(q->s, site, q->c[0]), tails, out);
}

/* ---- transfer from neighbouring shapes ------------------------------------------------------- */

typedef struct neighbours {
    int n;
    uint32_t site[NEIGHBOURS];
    double distance[NEIGHBOURS]; /* ascending; ties in site order, as sites are offered in that order */
} neighbours;

static void offer(neighbours *near, uint32_t site, double distance) {
    if (near->n == NEIGHBOURS && !(distance < near->distance[NEIGHBOURS - 1]))
        return;
    int at = near->n < NEIGHBOURS ? near->n++ : NEIGHBOURS - 1;
    for (; at > 0 && distance < near->distance[at - 1]; at--) {
        near->distance[at] = near->distance[at - 1];
        near->site[at] = near->site[at - 1];
    }
    near->distance[at] = distance;
    near->site[at] = site;
}

/* Which sites may stand in: those whose curve covers the position, or all of them when none does; never
 * `without`. */
typedef struct candidates {
    const query *q;
    double log2_c[2];
    int64_t without;
    bool covering;
} candidates;

static bool is_candidate(const candidates *k, uint32_t site) {
    return site != k->without && (!k->covering || covers(k->q->s, site, k->q->c[0]));
}

static double square_to(const candidates *k, uint32_t site) {
    const double *at = k->q->s->log2_site + 2 * (size_t)site;
    double a = at[0] - k->log2_c[0], b = at[1] - k->log2_c[1];
    return a * a + b * b;
}

static double distance_to(const candidates *k, uint32_t site) {
    return sqrt(square_to(k, site));
}

/* Candidates within the gate; *any tells whether there were candidates at all. */
static neighbours within_gate(const candidates *k, bool *any) {
    neighbours near = {0};
    double bound = GATE_SQUARE;
    *any = false;
    for (uint32_t i = 0; i < k->q->s->n; i++) {
        if (!is_candidate(k, i))
            continue;
        *any = true;
        double square = square_to(k, i);
        if (square > bound)
            continue; /* beyond the worst distance that counts */
        double d = sqrt(square);
        if (d <= GATE)
            offer(&near, i, d);
        if (near.n == NEIGHBOURS)
            bound = near.distance[NEIGHBOURS - 1] * near.distance[NEIGHBOURS - 1] * (1 + 1e-15) + 1e-300;
    }
    return near;
}

/* FRONTIER-WAIVER: the query lies beyond the largest measured shape along one axis only, and near it along
 * the other. */
static neighbours beyond_frontier(const candidates *k) {
    const pdb_sites *s = k->q->s;
    const double *shape = k->q->c + 1;
    double lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY};
    for (uint32_t i = 0; i < s->n; i++) {
        if (!is_candidate(k, i))
            continue;
        for (int a = 0; a < 2; a++) {
            double x = (double)s->site[2 * (size_t)i + (size_t)a];
            lo[a] = x < lo[a] ? x : lo[a];
            hi[a] = x > hi[a] ? x : hi[a];
        }
    }
    neighbours near = {0};
    if (shape[0] < lo[0] || shape[1] < lo[1] || (shape[0] > hi[0]) == (shape[1] > hi[1]))
        return near;
    int other = shape[0] > hi[0] ? 1 : 0; /* the axis that does not overflow */
    for (uint32_t i = 0; i < s->n; i++) {
        double d = s->log2_site[2 * (size_t)i + (size_t)other] - k->log2_c[other];
        if (is_candidate(k, i) && sqrt(d * d) <= GATE)
            offer(&near, i, distance_to(k, i));
    }
    return near;
}

static neighbours find_neighbours(const query *q, int64_t without) {
    candidates k = {q, {pdb_log2_floor(q->c[1]), pdb_log2_floor(q->c[2])}, without, true};
    bool any;
    neighbours near = within_gate(&k, &any);
    if (!any) {
        k.covering = false;
        near = within_gate(&k, &any);
    }
    return near.n || !any ? near : beyond_frontier(&k);
}

/* places: of earlier queries, NULL = there were none. */
static pdb_miss transfer(const query *q, const neighbours *near, pdb_site_place *places, curve_value *out) {
    if (!near->n)
        return PDB_MISS_NO_SITE;
    double weights = 0, efficiency = 0, powers = 0;
    pdb_origins from = 0;
    for (int i = 0; i < near->n; i++) {
        curve_value v;
        pdb_miss miss =
            places ? from_place(q, near->site[i], &places[i], &v) : on_curve(q, near->site[i], &v);
        if (miss != PDB_HIT)
            continue;
        double sol = sol_at(q, near->site[i], q->c[0]);
        if (!pdb_valid(v.latency) || !pdb_valid(sol))
            continue;
        double w = 1 / (near->distance[i] * near->distance[i] + 1e-12);
        weights += w;
        efficiency += w * (sol / v.latency);
        powers += w * v.power;
        from |= v.from;
    }
    if (!(weights > 0))
        return PDB_MISS_NO_NEIGHBOUR;
    double sol = q->sol(q->ctx, q->c);
    if (!pdb_valid(sol))
        return PDB_MISS_QUERY_SOL;
    *out = (curve_value){sol / (efficiency / weights), powers / weights, PDB_BEYOND, from};
    return PDB_HIT;
}

pdb_miss pdb_sites_query(const pdb_sites *s, const double coords[3], bool own_fallback, pdb_sol sol,
                         const void *ctx, pdb_value *out) {
    if (s->n == 0)
        return PDB_MISS_EMPTY;
    query q = {s, coords, sol, ctx};
    curve_value v;
    int64_t own = own_site(s, coords);
    pdb_miss miss;
    if (own >= 0 && (!own_fallback || covers(s, (uint32_t)own, coords[0]))) {
        miss = on_curve(&q, (uint32_t)own, &v);
    } else {
        neighbours near = find_neighbours(&q, own);
        miss = transfer(&q, &near, NULL, &v);
    }
    if (miss == PDB_HIT)
        put(&v, out);
    return miss;
}

/* ---- queries of one shape -------------------------------------------------------------------- */

enum { RANKED = 32 }; /* sites that a shape keeps: the four nearest that cover a position are among few */

/* The nearest sites within the gate by (distance, site order). */
typedef struct ranking {
    uint32_t n;
    bool all; /* there are no more within the gate */
    uint32_t site[RANKED];
    double distance[RANKED];
    double low, high; /* ends of the curves of all sites together, whether within the gate or not */
} ranking;

struct pdb_site_aim {
    const pdb_sites *s;
    double shape[2];
    int64_t own;         /* the shape's own site, or -1 */
    const ranking *rank; /* without an own site */
};

/* Takes a site in; sites come in their order. */
static void rank_site(ranking *r, uint32_t site, double distance) {
    if (r->n == RANKED) {
        r->all = false;
        if (!(distance < r->distance[RANKED - 1]))
            return;
        r->n--;
    }
    uint32_t at = r->n++;
    for (; at > 0 && distance < r->distance[at - 1]; at--) {
        r->distance[at] = r->distance[at - 1];
        r->site[at] = r->site[at - 1];
    }
    r->distance[at] = distance;
    r->site[at] = site;
}

/* Squares a little beyond that of the last one are no use any more. */
static double square_bound(const ranking *r) {
    double last = r->distance[RANKED - 1];
    return r->n == RANKED ? last * last * (1 + 1e-15) + 1e-300 : GATE_SQUARE;
}

static const ranking *rank_sites(aic_arena *a, const candidates *k) {
    const pdb_sites *s = k->q->s;
    ranking *r = aic_arena_alloc(a, 1, sizeof *r);
    *r = (ranking){.all = true, .low = INFINITY, .high = -INFINITY};
    for (uint32_t i = 0; i < s->n; i++) {
        r->low = s->range[2 * (size_t)i] < r->low ? s->range[2 * (size_t)i] : r->low;
        r->high = s->range[2 * (size_t)i + 1] > r->high ? s->range[2 * (size_t)i + 1] : r->high;
        double square = square_to(k, i), d;
        if (square > GATE_SQUARE)
            continue;
        if (square > square_bound(r))
            r->all = false;
        else if ((d = sqrt(square)) <= GATE)
            rank_site(r, i, d);
    }
    return r;
}

const pdb_site_aim *pdb_sites_aim(aic_arena *a, const pdb_sites *s, double site0, double site1) {
    pdb_site_aim *aim = aic_arena_alloc(a, 1, sizeof *aim);
    const double c[3] = {0, site0, site1};
    *aim = (pdb_site_aim){.s = s, .shape = {site0, site1}, .own = own_site(s, c)};
    if (aim->own < 0) {
        const query q = {s, c, NULL, NULL};
        const candidates all = {&q, {pdb_log2_floor(site0), pdb_log2_floor(site1)}, -1, false};
        aim->rank = rank_sites(a, &all);
    }
    return aim;
}

/* The nearest candidates within the gate, in the order of the ranking: covering sites, or all where no curve
 * reaches. Where the ranking may be too short, or there are none, the slow search decides. */
static neighbours aimed_neighbours(const pdb_site_aim *aim, const query *q) {
    const ranking *r = aim->rank;
    neighbours near = {0};
    bool out_of_reach = q->c[0] < r->low || q->c[0] > r->high;
    for (uint32_t i = 0; i < r->n && near.n < NEIGHBOURS; i++)
        if (out_of_reach || covers(aim->s, r->site[i], q->c[0])) {
            near.site[near.n] = r->site[i];
            near.distance[near.n++] = r->distance[i];
        }
    return near.n == NEIGHBOURS || (near.n && r->all) ? near : find_neighbours(q, -1);
}

/* places as for transfer. */
static pdb_miss ask_aimed(const pdb_site_aim *aim, double curve, pdb_sol sol, const void *ctx,
                          pdb_site_place *places, pdb_value *out) {
    if (aim->s->n == 0)
        return PDB_MISS_EMPTY;
    const double c[3] = {curve, aim->shape[0], aim->shape[1]};
    query q = {aim->s, c, sol, ctx};
    curve_value v;
    pdb_miss miss;
    if (aim->own < 0) {
        neighbours near = aimed_neighbours(aim, &q);
        miss = transfer(&q, &near, places, &v);
    } else if (places) {
        miss = from_place(&q, (uint32_t)aim->own, places, &v);
    } else {
        miss = on_curve(&q, (uint32_t)aim->own, &v);
    }
    if (miss == PDB_HIT)
        put(&v, out);
    return miss;
}

pdb_miss pdb_sites_query_aimed(const pdb_site_aim *aim, double curve, pdb_sol sol, const void *ctx,
                               pdb_value *out) {
    return ask_aimed(aim, curve, sol, ctx, NULL, out);
}

pdb_site_run pdb_site_run_of(const pdb_site_aim *aim, pdb_sol sol, const void *ctx) {
    return (pdb_site_run){.aim = aim, .sol = sol, .ctx = ctx};
}

pdb_miss pdb_site_run_at(pdb_site_run *r, double curve, pdb_value *out) {
    return ask_aimed(r->aim, curve, r->sol, r->ctx, r->places, out);
}
