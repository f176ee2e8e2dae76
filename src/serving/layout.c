#include "serving/layout.h"
#include <stdlib.h>
#include <string.h>

/* As many blocks as a deployment of a few tens of thousands of points has. */
enum { KEPT = 8, LOADS = 4 };

struct srv_layouts {
    uint64_t clock;
    srv_layout of[KEPT];
};

void srv_layouts_free(srv_layouts *l) {
    for (size_t i = 0; l && i < KEPT; i++)
        srv_scratch_free(l->of[i].memory);
    free(l);
}

/* For as long as the layout is there. */
static void *take(srv_block *b, const srv_layout *y, size_t count, size_t size) {
    return y->memory ? srv_scratch_take(y->memory, count, size) : srv_take(b, count, size);
}

/* ---- loads --------------------------------------------------------------------------------------------- */

static void columns_of(const srv_block *b, uint32_t *columns[LOADS]) {
    columns[0] = b->points.of.load.batch;
    columns[1] = b->points.of.load.isl;
    columns[2] = b->points.of.load.osl;
    columns[3] = b->points.of.load.prefix;
}

static bool is_of(const srv_layout *y, const srv_block *b, uint32_t stride) {
    uint32_t *columns[LOADS];
    columns_of(b, columns);
    bool same = y->used && y->n == b->n && y->stride == stride;
    if (same && b->number && y->number == b->number)
        return true;
    for (size_t c = 0; same && c < LOADS; c++)
        same = memcmp(y->loads + c * y->n, columns[c], y->n * sizeof *y->loads) == 0;
    return same;
}

static void span_of(const uint32_t *v, size_t n, uint32_t *least, uint32_t *most) {
    uint32_t low = UINT32_MAX, high = 0;
#pragma omp simd reduction(min : low) reduction(max : high)
    for (size_t i = 0; i < n; i++) {
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    *least = low;
    *most = high;
}

/* line has room for n + 1. */
static size_t find_lines(const uint32_t *batch, const uint32_t *isl, const uint32_t *prefix, size_t n,
                         uint32_t *line) {
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        line[count] = (uint32_t)k;
        count += k == 0 || ((batch[k] ^ batch[k - 1]) | (isl[k] ^ isl[k - 1]) | (prefix[k] ^ prefix[k - 1]));
    }
    line[count] = (uint32_t)n;
    return count;
}

static void start(srv_block *b, srv_layout *y, uint32_t stride) {
    const size_t n = b->n;
    uint32_t *from[LOADS];
    columns_of(b, from);
    y->number = b->number;
    y->same = b->points.same & SRV_LOAD_BITS;
    y->n = n;
    y->stride = stride;
    y->loads = take(b, y, aic_mul(n, LOADS), sizeof *y->loads);
    for (size_t c = 0; c < LOADS; c++)
        memcpy(y->loads + c * n, from[c], n * sizeof *y->loads);
    span_of(from[0], n, &y->least.batch, &y->most.batch);
    span_of(from[1], n, &y->least.isl, &y->most.isl);
    span_of(from[2], n, &y->least.osl, &y->most.osl);
    span_of(from[3], n, &y->least.prefix, &y->most.prefix);
    y->at = take(b, y, n, sizeof *y->at);
    for (size_t i = 0; i < n; i++)
        y->at[i] = (uint32_t)i;
    uint32_t *line = srv_take(b, n + 1, sizeof *line);
    y->n_lines = find_lines(from[0], from[1], from[3], n, line);
    y->line = take(b, y, y->n_lines + 1, sizeof *line);
    memcpy(y->line, line, (y->n_lines + 1) * sizeof *line);
}

srv_layout *srv_layout_find(srv_block *b, uint32_t stride) {
    if (!b->layouts)
        b->layouts = AIC_NEW(srv_layouts);
    srv_layouts *l = b->layouts;
    srv_layout *oldest = l->of;
    for (srv_layout *y = l->of; y < l->of + KEPT; y++) {
        if (is_of(y, b, stride)) {
            y->used = ++l->clock;
            y->number = b->number;
            return y;
        }
        oldest = y->used < oldest->used ? y : oldest;
    }
    srv_scratch *memory = oldest->memory ? oldest->memory : srv_scratch_new();
    srv_scratch_rewind(memory);
    *oldest = (srv_layout){.memory = memory, .used = ++l->clock};
    start(b, oldest, stride);
    return oldest;
}

bool srv_block_recall(srv_block *b, uint64_t number) {
    uint32_t *to[LOADS];
    columns_of(b, to);
    b->number = number;
    for (size_t i = 0; b->layouts && i < KEPT; i++) {
        const srv_layout *y = &b->layouts->of[i];
        if (!y->used || y->number != number || y->n != b->n)
            continue;
        for (size_t c = 0; c < LOADS; c++)
            memcpy(to[c], y->loads + c * y->n, y->n * sizeof **to);
        b->points.same = (b->points.same & ~SRV_LOAD_BITS) | y->same;
        return true;
    }
    return false;
}

srv_layout *srv_layout_once(srv_block *b, srv_live *l, uint32_t stride) {
    srv_layout *y = srv_take(b, 1, sizeof *y);
    uint32_t *line = srv_take(b, l->n + 1, sizeof *line);
    *y = (srv_layout){.n = l->n, .stride = stride};
    l->n_lines = find_lines(l->batch, l->isl, l->prefix, l->n, line);
    l->line = line;
    return y;
}

/* ---- context ---------------------------------------------------------------------------------------------
 */

/* The points of a line share their shape. */
void srv_layout_context(srv_block *b, const srv_live *l) {
    srv_layout *y = l->layout;
    if (y->shape_of)
        return;
    srv_key *keys = srv_take(b, l->n_lines, sizeof *keys);
    uint32_t *ids = srv_take(b, l->n_lines, sizeof *ids), *firsts = srv_take(b, l->n_lines, sizeof *firsts);
    for (size_t i = 0; i < l->n_lines; i++) {
        const size_t k = l->line[i];
        keys[i] =
            (srv_key){.hi = (uint64_t)l->batch[k] << 32 | (l->isl[k] - l->prefix[k]), .lo = l->prefix[k]};
    }
    y->n_shapes = srv_number_keys(b, keys, l->n_lines, ids, firsts);
    y->shape_of = take(b, y, l->n, sizeof *y->shape_of);
    y->shapes = take(b, y, y->n_shapes, sizeof *y->shapes);
    for (size_t i = 0; i < l->n_lines; i++)
        for (size_t k = l->line[i]; k < l->line[i + 1]; k++)
            y->shape_of[k] = ids[i];
    for (size_t t = 0; t < y->n_shapes; t++)
        y->shapes[t] = srv_walked_at(b, l->at[l->line[firsts[t]]]);
}

/* ---- lengths ---------------------------------------------------------------------------------------------
 */

void srv_layout_lengths(srv_block *b, const srv_live *l) {
    srv_layout *y = l->layout;
    if (y->length_of)
        return;
    srv_key *keys = srv_take(b, l->n, sizeof *keys);
    uint32_t *firsts = srv_take(b, l->n, sizeof *firsts);
    for (size_t k = 0; k < l->n; k++)
        keys[k] = (srv_key){.lo = (uint64_t)l->isl[k] + l->osl[k]};
    y->length_of = take(b, y, l->n, sizeof *y->length_of);
    y->n_lengths = srv_number_keys(b, keys, l->n, y->length_of, firsts);
    y->lengths = take(b, y, y->n_lengths, sizeof *y->lengths);
    for (size_t i = 0; i < y->n_lengths; i++)
        y->lengths[i] = (uint32_t)keys[firsts[i]].lo; /* rules keep it below SRV_MAX_SEQUENCE */
}

/* ---- walks -----------------------------------------------------------------------------------------------
 */

/* Numbers the distinct (batch, osl) of the live points: of[k] for point k; keys: room for n. A line that
 * starts as the one before it does is numbered as that one is, as far as it is the same. */
static size_t number_still(srv_block *b, const srv_live *l, uint32_t *of, srv_key *keys) {
    uint32_t *ids = srv_take(b, l->n, sizeof *ids), *firsts = srv_take(b, l->n, sizeof *firsts);
    size_t n = 0;
    for (size_t i = 0; i < l->n_lines; i++) {
        const size_t end = l->line[i + 1];
        size_t k = l->line[i], before = i > 0 ? l->line[i - 1] : k, stop = l->line[i];
        const bool alike = i > 0 && l->batch[k] == l->batch[before];
        for (; alike && k < end && before < stop && l->osl[k] == l->osl[before]; k++)
            of[k] = of[before++];
        for (; k < end; k++) {
            keys[n] = (srv_key){.hi = (uint64_t)l->batch[k] << 32, .lo = l->osl[k]};
            of[k] = (uint32_t)n++; /* its key, so far */
        }
    }
    size_t count = srv_number_keys(b, keys, n, ids, firsts);
    for (size_t i = 0; i < count; i++) { /* firsts[i] >= i */
        keys[i] = keys[firsts[i]];
        keys[i].item = (uint32_t)i;
    }
    for (size_t k = 0; k < l->n; k++)
        of[k] = ids[of[k]];
    return count;
}

void srv_layout_still(srv_block *b, const srv_live *l) {
    srv_layout *y = l->layout;
    if (y->still_of)
        return;
    srv_key *keys = srv_take(b, l->n, sizeof *keys), *tmp = srv_take(b, l->n, sizeof *tmp);
    uint32_t *of = take(b, y, l->n, sizeof *of), *rank = srv_take(b, l->n, sizeof *rank);
    y->n_still = number_still(b, l, of, keys);
    srv_sort_keys(keys, tmp, y->n_still);
    for (size_t i = 0; i < y->n_still; i++)
        rank[keys[i].item] = (uint32_t)i;
    for (size_t k = 0; k < l->n; k++)
        of[k] = rank[of[k]];
    y->still = take(b, y, y->n_still, sizeof *y->still);
    memcpy(y->still, keys, y->n_still * sizeof *keys);
    y->still_of = of;
}

srv_key *srv_layout_walks(srv_block *b, const srv_live *l) {
    srv_key *keys = srv_take(b, l->n, sizeof *keys), *tmp = srv_take(b, l->n, sizeof *tmp);
    for (size_t k = 0; k < l->n; k++)
        keys[k] =
            (srv_key){.hi = (uint64_t)l->batch[k] << 32 | l->isl[k], .lo = l->osl[k], .item = (uint32_t)k};
    srv_sort_keys(keys, tmp, l->n);
    return keys;
}

static void *keep(srv_block *b, const srv_layout *y, const void *from, size_t count, size_t size) {
    void *to = take(b, y, count, size);
    if (count > 0)
        memcpy(to, from, count * size);
    return to;
}

void srv_layout_steps(const srv_deployment *d, srv_block *b, const srv_live *l) {
    srv_layout *y = l->layout;
    srv_steps s;
    if (y->laid)
        return;
    y->laid = true;
    y->walk_of = take(b, y, y->n, sizeof *y->walk_of);
    y->fits = srv_lay_steps(d, b, srv_layout_walks(b, l), y->n, &s, y->walk_of);
    if (!y->fits)
        return;
    y->steps = s;
    y->steps.positions = keep(b, y, s.positions, s.n_positions, sizeof *s.positions);
    y->steps.lanes = keep(b, y, s.lanes, s.n_lanes, sizeof *s.lanes);
    y->steps.walks = keep(b, y, s.walks, s.n_walks, sizeof *s.walks);
    y->steps.batches = keep(b, y, s.batches, s.n_batches, sizeof *s.batches);
    for (size_t i = 0; i < s.n_batches; i++)
        y->steps.batches[i].ranges =
            keep(b, y, s.batches[i].ranges, s.batches[i].n_ranges, sizeof *s.batches[i].ranges);
}
