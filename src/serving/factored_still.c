/* Sums over decode steps of rows that do not read the KV position: one step for each batch, added up as often
 * as walks are long. */
#include "serving/folded.h"
#include <string.h>

enum { GROUP = 8, ABREAST = 4 * GROUP }; /* sums side by side, so that none waits for the one before */

typedef struct still {
    const srv_deployment *d;
    srv_block *b;
    const srv_part *part;
    srv_folded steps; /* a table for each batch */
    size_t step;      /* that of the batch at hand */
    bool energy;      /* some row of it has any */
    /* Latencies of the rows, energies if there are any, covers; padded with 0 to whole groups. */
    size_t n;
    double *value, *whole, *sum; /* whole: after full strides; sum: of the walk at hand */
    srv_folded walks;
    size_t n_walks;
} still;

/* So many fours of them, a constant where this is called: their sums stay in registers. */
__attribute__((always_inline)) static inline void add_some(const double *restrict value, double *restrict sum,
                                                           size_t fours, double repeats, uint32_t times) {
    aic_four s[ABREAST / 4], v[ABREAST / 4];
    AIC_UNROLL for (size_t i = 0; i < fours; i++) {
        memcpy(&s[i], sum + 4 * i, sizeof *s);
        memcpy(&v[i], value + 4 * i, sizeof *v);
        v[i] *= repeats;
    }
    for (uint32_t k = 0; k < times; k++) {
        AIC_UNROLL for (size_t i = 0; i < fours; i++) s[i] += v[i];
    }
    AIC_UNROLL for (size_t i = 0; i < fours; i++) memcpy(sum + 4 * i, &s[i], sizeof *s);
}

/* Adds n values, a multiple of GROUP, times repeats, to the sums as often as said. */
AIC_WIDE static void srv_still_add(const double *restrict value, double *restrict sum, size_t n,
                                   double repeats, uint32_t times) {
    for (size_t g = 0; g < n; g += ABREAST) {
        const size_t left = n - g;
        if (left == GROUP)
            add_some(value + g, sum + g, GROUP / 4, repeats, times);
        else if (left == 2 * GROUP)
            add_some(value + g, sum + g, 2 * GROUP / 4, repeats, times);
        else if (left == 3 * GROUP)
            add_some(value + g, sum + g, 3 * GROUP / 4, repeats, times);
        else
            add_some(value + g, sum + g, ABREAST / 4, repeats, times);
    }
}

/* What tells the steps of batches apart, and the steps of n walks sorted by batch: of[k] is that of keys[k].
 */
static srv_shapes steps_of(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n) {
    srv_shapes s = {.of = srv_take(b, n, sizeof *s.of),
                    .shapes = srv_take(b, n, sizeof *s.shapes),
                    .fields = srv_take(b, n, sizeof *s.fields)};
    for (size_t k = 0; k < n; k++) {
        if (k == 0 || keys[k].hi != keys[k - 1].hi) {
            const op_shape shape = srv_decode_shape(d, (uint32_t)(keys[k].hi >> 32), 1);
            s.shapes[s.count] = shape;
            s.fields[s.count][0] = (uint64_t)shape.batch << 32 | shape.s;
            s.fields[s.count++][1] = shape.x;
        }
        s.of[k] = (uint32_t)s.count - 1;
    }
    return s;
}

/* Folds the steps of all batches, op by op. */
static void ask_steps(still *s, const srv_shapes *steps) {
    const srv_walk *walk = &srv_plan_of(s->d)->generation;
    uint32_t *each = srv_take(s->b, steps->count, sizeof *each);
    srv_replies replies = srv_replies_take(s->b, steps->count);
    for (size_t t = 0; t < steps->count; t++)
        each[t] = (uint32_t)t;
    s->steps = srv_folded_take(s->b, steps->count, s->part->n_rows);
    srv_folded_clear_all(&s->steps, steps->count);
    for (size_t i = 0; i < s->part->n_ops; i++) {
        const uint32_t op = s->part->ops[i];
        const srv_op *o = &walk->ops[op];
        srv_ask_shapes(s->d, s->b, o, op, steps, &replies);
        srv_folded_replies(&s->steps, steps->count, each, s->part->slots[i], o->opens, &replies);
    }
}

static void lay_values(still *s) {
    const size_t rows = s->part->n_rows, at = s->step * rows;
    double *to = s->value;
    s->energy = srv_folded_has(&s->steps, SRV_ENERGY) &&
                !aic_all_zero(s->steps.energy + at, rows * sizeof *s->steps.energy);
    memcpy(to, s->steps.latency + at, rows * sizeof *to);
    to += rows;
    if (s->energy)
        memcpy(to, s->steps.energy + at, rows * sizeof *to);
    to += s->energy ? rows : 0;
    memcpy(to, s->steps.cover[s->step], sizeof *s->steps.cover);
    to += OP_COVERS;
    s->n = (size_t)(to - s->value);
    for (; s->n % GROUP; s->n++)
        *to++ = 0;
}

/* The next walk ends with these sums. */
static void put_walk(still *s, const double *from, bool moves) {
    const size_t rows = s->part->n_rows, id = s->n_walks++, at = id * rows, step = s->step * rows;
    const srv_gap *gap = srv_folded_gap(&s->steps, s->step);
    srv_folded *w = &s->walks;
    if (!moves || gap) {
        srv_folded_clear(w, id);
        if (moves)
            w->gap[id] = *gap;
        return;
    }
    memcpy(w->latency + at, from, rows * sizeof *from);
    from += rows;
    if (s->energy)
        memcpy(w->energy + at, from, rows * sizeof *from);
    else if (srv_folded_has(w, SRV_ENERGY))
        memset(w->energy + at, 0, rows * sizeof *from);
    from += s->energy ? rows : 0;
    memcpy(w->cover[id], from, sizeof *w->cover);
    memcpy(w->source + at, s->steps.source + step, rows);
    if (srv_folded_has(w, SRV_BASIS)) {
        memcpy(w->basis + at, s->steps.basis + step, rows * sizeof *w->basis);
        w->any[id] = s->steps.any[s->step];
    }
    if (srv_folded_has(w, SRV_GAPS))
        w->gap[id] = (srv_gap){.cls = OP_OK};
}

/* keys[from .. to) share a batch and ascend in osl. */
static void walk_batch(still *s, const srv_key *keys, size_t from, size_t to) {
    const uint32_t stride = s->d->tuning.stride;
    uint32_t done = 0;
    lay_values(s);
    memset(s->whole, 0, s->n * sizeof *s->whole);
    for (size_t i = from; i < to; i++) {
        uint32_t upper = keys[i].lo > 1 ? (uint32_t)keys[i].lo - 1 : 0, left = upper % stride;
        srv_still_add(s->value, s->whole, s->n, stride, upper / stride - done);
        done = upper / stride;
        if (left) {
            memcpy(s->sum, s->whole, s->n * sizeof *s->sum);
            srv_still_add(s->value, s->sum, s->n, left, 1);
        }
        put_walk(s, left ? s->sum : s->whole, upper > 0);
    }
}

srv_folded srv_still_sums(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n) {
    const srv_part *part = &srv_plan_of(d)->parts[SRV_STILL];
    const size_t values = 2 * part->n_rows + OP_COVERS + ABREAST;
    still s = {.d = d,
               .b = b,
               .part = part,
               .value = srv_take(b, values, sizeof(double)),
               .whole = srv_take(b, values, sizeof(double)),
               .sum = srv_take(b, values, sizeof(double)),
               .walks = srv_folded_take(b, n, part->n_rows)};
    const srv_shapes steps = steps_of(d, b, keys, n);
    ask_steps(&s, &steps);
    s.walks.blank = s.steps.blank;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && keys[to].hi == keys[from].hi; to++)
            ;
        s.step = steps.of[from];
        walk_batch(&s, keys, from, to);
    }
    return s.walks;
}
