/* Sums over decode steps of rows that do not read the KV position: one step for each batch, added up as often
 * as walks are long. */
#include "serving/folded.h"
#include <string.h>

enum { ABREAST = 16 }; /* sums side by side, so that none waits for the one before */

typedef struct still {
    const srv_deployment *d;
    srv_block *b;
    const srv_part *part;
    srv_folded step; /* one table */
    bool energy;     /* some row of the step has any */
    /* Latencies of the rows, energies if there are any, covers; padded with 0 to whole groups. */
    size_t n;
    double *value, *whole, *sum; /* whole: after full strides; sum: of the walk at hand */
    srv_folded walks;
    size_t n_walks;
} still;

/* Adds the values, times repeats, to the sums as often as said. */
AIC_WIDE static void srv_still_add(const double *restrict value, double *restrict sum, size_t n,
                                   double repeats, uint32_t times) {
    for (size_t g = 0; g < n; g += ABREAST) {
        double s[ABREAST], v[ABREAST];
        for (size_t i = 0; i < ABREAST; i++) {
            s[i] = sum[g + i];
            v[i] = value[g + i] * repeats;
        }
        for (uint32_t k = 0; k < times; k++) {
#pragma omp simd
            for (size_t i = 0; i < ABREAST; i++)
                s[i] += v[i];
        }
        for (size_t i = 0; i < ABREAST; i++)
            sum[g + i] = s[i];
    }
}

/* Folds the step of a batch, or leaves a gap. */
static void ask_step(still *s, uint32_t batch) {
    const srv_plan *plan = srv_plan_of(s->d);
    const op_shape shape = srv_decode_shape(s->d, batch, 1);
    srv_folded_clear(&s->step, 0);
    for (size_t i = 0; i < s->part->n_ops && s->step.gap->cls == OP_OK; i++) {
        const uint32_t op = s->part->ops[i];
        srv_folded_ask(&s->step, 0, s->part->slots[i], &plan->generation.ops[op], op, plan->mode, &shape,
                       s->b);
    }
}

static void lay_values(still *s) {
    const size_t rows = s->part->n_rows;
    double *to = s->value;
    s->energy = false;
    for (size_t r = 0; r < rows; r++)
        s->energy = s->energy || s->step.energy[r] != 0;
    memcpy(to, s->step.latency, rows * sizeof *to);
    to += rows;
    if (s->energy)
        memcpy(to, s->step.energy, rows * sizeof *to);
    to += s->energy ? rows : 0;
    memcpy(to, s->step.cover[0], sizeof *s->step.cover);
    to += OP_COVERS;
    s->n = (size_t)(to - s->value);
    for (; s->n % ABREAST; s->n++)
        *to++ = 0;
}

/* The next walk ends with these sums. */
static void put_walk(still *s, const double *from, bool moves) {
    const size_t rows = s->part->n_rows, id = s->n_walks++, at = id * rows;
    srv_folded *w = &s->walks;
    srv_folded_clear(w, id);
    if (!moves)
        return;
    if (s->step.gap->cls != OP_OK) {
        w->gap[id] = *s->step.gap;
        return;
    }
    memcpy(w->latency + at, from, rows * sizeof *from);
    from += rows;
    if (s->energy)
        memcpy(w->energy + at, from, rows * sizeof *from);
    from += s->energy ? rows : 0;
    memcpy(w->cover[id], from, sizeof *w->cover);
    memcpy(w->source + at, s->step.source, rows);
    memcpy(w->basis + at, s->step.basis, rows * sizeof *w->basis);
    w->any[id] = *s->step.any;
}

/* keys[from .. to) share a batch and ascend in osl. */
static void walk_batch(still *s, const srv_key *keys, size_t from, size_t to, uint32_t *walk_of) {
    const uint32_t stride = s->d->tuning.stride;
    uint32_t done = 0;
    bool asked = false;
    for (size_t i = from; i < to; i++) {
        uint32_t upper = keys[i].lo > 1 ? (uint32_t)keys[i].lo - 1 : 0, left = upper % stride;
        if (i == from || keys[i].lo != keys[i - 1].lo) {
            if (upper > 0 && !asked) {
                ask_step(s, (uint32_t)(keys[i].hi >> 32));
                lay_values(s);
                memset(s->whole, 0, s->n * sizeof *s->whole);
                asked = true;
            }
            srv_still_add(s->value, s->whole, s->n, stride, upper / stride - done);
            done = upper / stride;
            if (left) {
                memcpy(s->sum, s->whole, s->n * sizeof *s->sum);
                srv_still_add(s->value, s->sum, s->n, left, 1);
            }
            put_walk(s, left ? s->sum : s->whole, upper > 0);
        }
        walk_of[keys[i].item] = (uint32_t)(s->n_walks - 1);
    }
}

srv_folded srv_still_sums(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n,
                          uint32_t *walk_of) {
    const srv_part *part = &srv_plan_of(d)->parts[SRV_STILL];
    const size_t values = 2 * part->n_rows + OP_COVERS + ABREAST;
    still s = {.d = d,
               .b = b,
               .part = part,
               .step = srv_folded_take(b, 1, part->n_rows),
               .value = srv_take(b, values, sizeof(double)),
               .whole = srv_take(b, values, sizeof(double)),
               .sum = srv_take(b, values, sizeof(double)),
               .walks = srv_folded_take(b, n, part->n_rows)};
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && keys[to].hi == keys[from].hi; to++)
            ;
        walk_batch(&s, keys, from, to, walk_of);
    }
    return s.walks;
}
