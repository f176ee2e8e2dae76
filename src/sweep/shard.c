/* Cutting a sweep into shards of about equal cost.
 *
 * The cost is an estimate that every machine makes alike: integers, from the loaded sweep alone, no clock and
 * no measured table. It need not be right, only proportional: what a deployment costs before its first point
 * (building its op list, binding it to tables) and what each of its points costs. The figures are nanoseconds
 * of one core of 2024, taken with `bench` from sweeps/h200.yaml; docs/formats/results.md shows how even the
 * shards come out. Refused deployments are cheaper than the estimate says: nobody knows them before
 * compiling.
 */
#include "sweep/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPILE_NS = 200000,   /* a deployment */
    PHASE_NS = 900,        /* a point's ops of one phase */
    WRITE_NS = 1800,       /* storing a point, half of it for its breakdown */
    STEP_NS = 300,         /* one of the decode steps at which generation ops are priced */
    STEP = 32,             /* output tokens between them (docs/model/serving.md) */
    POINT_MAX_NS = 1 << 20 /* bounds a point: the sum over 2^40 of them stays below 2^61 */
};

/* Consecutive points of one deployment. */
typedef struct piece {
    uint64_t points, start, each; /* cost of the first beside its own, cost of every one */
} piece;

static uint64_t steps(uint32_t osl) {
    return osl / STEP + (osl % STEP != 0);
}

static uint64_t point_ns(srv_mode mode, uint64_t decode_ns) {
    uint64_t phases = mode == SRV_static ? 2 : 1;
    uint64_t ns = phases * PHASE_NS + WRITE_NS + (mode == SRV_static_ctx ? 0 : decode_ns);
    return ns < POINT_MAX_NS ? ns : POINT_MAX_NS;
}

/* Decoding, for a mean point of a block. Output lengths that are an axis share the steps of the longest. */
static uint64_t block_decode_ns(const swp_block *b) {
    const swp_u32s *osl = &b->load[SWP_OSL];
    uint64_t sum = 0, most = 0;
    if (b->in_tuple[SWP_OSL]) {
        for (size_t i = 0; i < b->n_tuples; i++)
            sum += steps(b->tuples[i].osl);
        return sum * STEP_NS / b->n_tuples;
    }
    for (size_t i = 0; i < osl->n; i++)
        most = steps(osl->v[i]) > most ? steps(osl->v[i]) : most;
    return most * STEP_NS / osl->n;
}

/* Walks a sweep piece by piece. */
typedef struct walk {
    const swp_sweep *s;
    uint64_t next;         /* deployment of a grid, row of a list */
    uint32_t block, known; /* of a grid: the block whose decode_ns is at hand; of a list: deployments met */
    uint64_t decode_ns;
} walk;

static walk walk_start(const swp_sweep *s) {
    return (walk){.s = s, .block = UINT32_MAX};
}

static bool next_of_grid(walk *w, piece *out) {
    const swp_sweep *s = w->s;
    if (w->next == s->n_deps)
        return false;
    size_t dep = (size_t)w->next++;
    srv_request request;
    swp_request_at(s, dep, &request);
    if (w->block != s->deps[dep].block) {
        w->block = s->deps[dep].block;
        w->decode_ns = block_decode_ns(&s->blocks[w->block]);
    }
    *out = (piece){swp_points_of(s, dep), COMPILE_NS, point_ns(request.mode, w->decode_ns)};
    return true;
}

/* Deployments of a list are numbered in the order of their first rows. */
static bool next_of_list(walk *w, piece *out) {
    const swp_sweep *s = w->s;
    if (w->next == s->points)
        return false;
    const swp_list_row *row = &s->rows[w->next++];
    bool first = row->dep == w->known;
    w->known += first;
    *out = (piece){1, first ? COMPILE_NS : 0,
                   point_ns(s->list_deps[row->dep].request.mode, steps(row->load.osl) * STEP_NS)};
    return true;
}

static bool next_piece(walk *w, piece *out) {
    return w->s->listed ? next_of_list(w, out) : next_of_grid(w, out);
}

/* How many points of the piece cost about t? */
static uint64_t points_for(const piece *p, uint64_t t) {
    uint64_t k = t > p->start ? (t - p->start + p->each / 2) / p->each : 0;
    if (k == 0)
        k = 2 * t >= p->start + p->each;
    return k < p->points ? k : p->points;
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high) {
    return v < low ? low : v > high ? high : v;
}

void swp_shard_cuts(const swp_sweep *s, uint64_t count, uint64_t *cuts) {
    uint64_t total = 0, done = 0, at = 0, i = 1;
    piece p;
    for (walk w = walk_start(s); next_piece(&w, &p);)
        total += p.start + p.points * p.each;
    uint64_t least = count <= s->points; /* of each shard */
    cuts[0] = 0;
    for (walk w = walk_start(s); next_piece(&w, &p);) {
        uint64_t cost = p.start + p.points * p.each;
        for (; i < count; i++) {
            uint64_t target = total / count * i + total % count * i / count;
            if (target > done + cost)
                break;
            cuts[i] = clamp(at + points_for(&p, target - done), cuts[i - 1] + least,
                            s->points - least * (count - i));
        }
        done += cost;
        at += p.points;
    }
    cuts[count] = s->points;
}

void swp_shard_path(const char *output, swp_shard shard, aic_buf *out) {
    size_t len = strlen(output);
    int digits = snprintf(NULL, 0, "%llu", (unsigned long long)shard.count);
    if (len > 3 && strcmp(output + len - 3, ".h5") == 0)
        len -= 3;
    aic_buf_addn(out, output, len);
    aic_buf_printf(out, ".shard-%0*llu-of-%llu.h5", digits, (unsigned long long)shard.index,
                   (unsigned long long)shard.count);
}

swp_range swp_shard_range(const swp_sweep *s, swp_shard shard) {
    if (shard.index == 0)
        return (swp_range){0, s->points};
    uint64_t *cuts = aic_alloc(shard.count + 1, sizeof *cuts);
    swp_shard_cuts(s, shard.count, cuts);
    swp_range r = {cuts[shard.index - 1], cuts[shard.index]};
    free(cuts);
    return r;
}
