/* Lays the decode walks of a block out over one list of positions: walks of different batches and input
 * lengths that meet at a position find it in the same place. */
#include "serving/steps.h"

/* Bounds the memory of a block whatever its lengths. */
enum { MAX_POSITIONS = 1 << 15 };

static srv_stretch stretch_of(uint64_t osl, uint32_t stride) {
    uint32_t decoded = osl > 1 ? (uint32_t)osl - 1 : 0;
    return (srv_stretch){decoded / stride, decoded % stride};
}

static void add_lane(srv_steps *s, uint64_t key) {
    uint32_t batch = (uint32_t)(key >> 32), lane = (uint32_t)s->n_lanes;
    if (s->n_batches == 0 || s->batches[s->n_batches - 1].batch != batch)
        s->batches[s->n_batches++] = (srv_batch){.batch = batch, .first = lane};
    s->batches[s->n_batches - 1].end = lane + 1;
    s->lanes[s->n_lanes++] = (srv_lane){.batch = (uint32_t)(s->n_batches - 1), .first = (uint32_t)s->n_walks};
}

/* Walks, lanes and batches; where they lie is left open. order: a key for each lane, by which those that
 * share positions come one after another: residue of the first position, then isl. */
static void count_lanes(const srv_key *keys, size_t n, uint32_t stride, srv_steps *s, srv_key *order,
                        uint32_t *walk_of) {
    for (size_t k = 0; k < n; k++) {
        bool opens = k == 0 || keys[k].hi != keys[k - 1].hi;
        if (opens) {
            uint64_t first = (uint32_t)keys[k].hi + UINT64_C(1);
            order[s->n_lanes] = (srv_key){.hi = first % stride, .lo = first, .item = (uint32_t)s->n_lanes};
            add_lane(s, keys[k].hi);
        }
        if (opens || keys[k].lo != keys[k - 1].lo)
            s->walks[s->n_walks++] = stretch_of(keys[k].lo, stride);
        walk_of[keys[k].item] = (uint32_t)(s->n_walks - 1);
        srv_lane *l = &s->lanes[s->n_lanes - 1];
        srv_stretch longest = s->walks[s->n_walks - 1];
        l->end = (uint32_t)s->n_walks;
        l->strides = longest.strides;
        l->steps = longest.strides + (longest.left > 0);
    }
}

/* Adds a lane's positions to those of its batch; they start no earlier than those before. */
static void add_range(srv_batch *b, uint32_t from, uint32_t to) {
    srv_range *last = &b->ranges[b->n_ranges - (b->n_ranges > 0)];
    if (b->n_ranges > 0 && from <= last->to)
        last->to = to > last->to ? to : last->to;
    else
        b->ranges[b->n_ranges++] = (srv_range){from, to};
}

/* Where each lane's positions lie; a lane either goes on within the stretch of the one before or opens a new
 * one. */
static bool place_lanes(const srv_key *order, uint32_t stride, srv_steps *s) {
    uint64_t start = 0, base = 0, end = 0; /* of the stretch: first position, its place, the place behind */
    for (size_t i = 0; i < s->n_lanes; i++) {
        srv_lane *l = &s->lanes[order[i].item];
        uint64_t first = order[i].lo;
        if (l->steps == 0)
            continue;
        bool goes_on = end > base && order[i].hi == start % stride && first <= start + (end - base) * stride;
        if (!goes_on) { /* one place is left out, so that no range goes on from stretch to stretch */
            s->positions[end] = (uint32_t)first;
            base = end = end ? end + 1 : 0;
            start = first;
        }
        uint64_t at = base + (first - start) / stride, behind = at + l->steps;
        if (behind > MAX_POSITIONS)
            return false;
        for (; end < behind; end++)
            s->positions[end] = (uint32_t)(start + (end - base) * stride);
        l->at = (uint32_t)at;
        add_range(&s->batches[l->batch], l->at, (uint32_t)behind);
    }
    s->n_positions = (size_t)end;
    return true;
}

bool srv_lay_steps(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n, srv_steps *out,
                   uint32_t *walk_of) {
    srv_key *order = srv_take(b, n, sizeof *order), *tmp = srv_take(b, n, sizeof *tmp);
    *out = (srv_steps){.positions = srv_take(b, MAX_POSITIONS + 1, sizeof *out->positions),
                       .lanes = srv_take(b, n, sizeof *out->lanes),
                       .walks = srv_take(b, n, sizeof *out->walks),
                       .batches = srv_take(b, n, sizeof *out->batches)};
    count_lanes(keys, n, d->tuning.stride, out, order, walk_of);
    srv_sort_keys(order, tmp, out->n_lanes);
    srv_range *ranges = srv_take(b, out->n_lanes, sizeof *ranges);
    for (size_t i = 0; i < out->n_batches; i++)
        out->batches[i].ranges = ranges + out->batches[i].first;
    return place_lanes(order, d->tuning.stride, out);
}

bool srv_open_fan(const srv_deployment *d, srv_block *b, const srv_steps *s, const op_bound *op,
                  op_fan *out) {
    op_mode mode = srv_plan_of(d)->mode;
    void *memory = srv_take(b, op_fan_bytes(op, mode, s->n_positions), 1);
    return op_fan_open(out, op, mode, s->positions, s->n_positions, memory);
}
