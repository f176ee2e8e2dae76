/* Fans: measured decode steps of one op for many batches at the same KV lengths, as columns.
 *
 * A batch between two measured ones blends their curves, and the samples of each length are averaged, in one
 * loop over all lengths. Lengths of which some sample is measured verbatim, carried or held are odd: they are
 * answered sample by sample. The bits are those of op_query either way.
 */
#include "ops/internal.h"
#include <string.h>

static bool source_of(const op_bound *b, op_mode mode, op_fan_source *out) {
    return b->op->desc->fan && op_mode_measures(mode) && b->refused == OP_OK && b->op->desc->fan(b, out);
}

static size_t samples_of(const op_fan_source *s) {
    return s->spread ? OP_SAMPLES : 1;
}

/* ---- opening ----------------------------------------------------------------------------------------- */

enum { DOUBLES = 2 + OP_COVERS, BYTES = 2 }; /* per length, besides the samples' places */

bool op_has_fan(const op_bound *b, op_mode mode) {
    op_fan_source s;
    return source_of(b, mode, &s);
}

size_t op_fan_bytes(const op_bound *b, op_mode mode, size_t n) {
    op_fan_source s;
    if (!source_of(b, mode, &s))
        return 0;
    size_t each = (DOUBLES + samples_of(&s)) * sizeof(double) + sizeof(pdb_origins) + BYTES;
    return aic_add(pdb_fan_bytes(s.grid, aic_mul(samples_of(&s), n)), aic_mul(each, n));
}

static void place(op_fan *f) {
    const uint32_t *lengths = f->lengths;
    f->placed = true;
    for (size_t i = 0; i < f->n && !f->source.spread; i++)
        f->places[i] = lengths[i];
    for (int k = 0; f->source.spread && k < OP_SAMPLES; k++)
        for (size_t i = 0; i < f->n; i++)
            f->places[(size_t)k * f->n + i] = op_sample_length(lengths[i], k);
}

bool op_fan_open(op_fan *f, const op_bound *b, op_mode mode, const uint32_t *lengths, size_t n,
                 void *memory) {
    char *at = memory; /* wide columns first: each is aligned then */
    *f = (op_fan){.n = n, .lengths = lengths};
    if (!source_of(b, mode, &f->source))
        return false;
    f->op = (f->source.op ? f->source.op : b)->op;
    const size_t places = samples_of(&f->source) * n;
    const op_fan_source *s = &f->source;
    f->places = aic_carve(&at, places, sizeof(double));
    f->latency = aic_carve(&at, n, sizeof(double));
    f->energy = s->grid->power ? aic_carve(&at, n, sizeof(double)) : NULL;
    for (int c = 0; c < OP_COVERS; c++)
        f->parts[c] = aic_carve(&at, n, sizeof(double));
    void *curves = aic_carve(&at, pdb_fan_bytes(s->grid, places), 1);
    f->from = s->grid->from ? aic_carve(&at, n, sizeof(pdb_origins)) : NULL;
    f->cover = aic_carve(&at, n, 1);
    f->odd = aic_carve(&at, n, 1);
    return pdb_fan_open(&f->grid, s->grid, s->coords, f->places, places, s->sol, s->ctx, curves);
}

/* ---- whole columns ----------------------------------------------------------------------------------- */

/* What a value between two curves is blended from; samples x n, from the length asked first. */
typedef struct sides {
    const double *left, *right; /* right NULL: left alone */
    double w;
    size_t n; /* from one sample to the next */
} sides;

#define ALONE(k)   left[(k)*n + i]
#define BETWEEN(k) (left[(k)*n + i] + (right[(k)*n + i] - left[(k)*n + i]) * w)
/* In the order of the samples, from 0 on. */
#define MEAN(of) ((0.0 + of(0) + of(1) + of(2) + of(3) + of(4)) / OP_SAMPLES)
_Static_assert(OP_SAMPLES == 5, "as many as MEAN adds up");
#define FILL(value)                                                                                          \
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                                 \
        out[i] = value;                                                                                      \
    }

AIC_WIDE static void op_fan_means(const sides *s, size_t count, double *restrict out) {
    const double *restrict left = s->left, *restrict right = s->right;
    const double w = s->w;
    const size_t n = s->n;
    if (right)
        FILL(MEAN(BETWEEN))
    else
        FILL(MEAN(ALONE))
}

AIC_WIDE static void op_fan_values(const sides *s, size_t count, double *restrict out) {
    const double *restrict left = s->left, *restrict right = s->right;
    const double w = s->w;
    const size_t n = s->n;
    if (right)
        FILL(BETWEEN(0))
    else
        FILL(ALONE(0))
}

static void fill_latencies(op_fan *f, size_t from, size_t to) {
    const pdb_fan *g = &f->grid;
    const sides s = {g->left->latency + from, g->right ? g->right->latency + from : NULL, g->w, f->n};
    if (f->source.spread)
        op_fan_means(&s, to - from, f->latency + from);
    else
        op_fan_values(&s, to - from, f->latency + from);
}

/* Of each sample its power x its latency. */
static void fill_energies(op_fan *f, size_t from, size_t to) {
    const pdb_fan *g = &f->grid;
    const double *left = g->left->latency, *left_power = g->left->power, w = g->w;
    const double *right = g->right ? g->right->latency : NULL, *right_power = right ? g->right->power : NULL;
    for (size_t i = from; i < to; i++) {
        double sum = 0.0;
        for (size_t at = i, k = samples_of(&f->source); k > 0; k--, at += f->n) {
            double power = left_power[at], latency = left[at];
            power = right ? power + (right_power[at] - power) * w : power;
            latency = right ? latency + (right[at] - latency) * w : latency;
            sum += power * latency;
        }
        f->energy[i] = f->source.spread ? sum / OP_SAMPLES : sum;
    }
}

static void fill_marks(op_fan *f, size_t from, size_t to) {
    const pdb_fan *g = &f->grid;
    for (size_t i = from; i < to; i++) {
        f->from[i] = 0;
        for (size_t at = i, k = samples_of(&f->source); k > 0; k--, at += f->n)
            f->from[i] |= g->left->from[at] | (g->right ? g->right->from[at] : 0);
    }
}

/* Marks lengths that the columns above do not answer with 1, others with 0. */
AIC_WIDE static void op_fan_mark_odd(const uint8_t *restrict left, const uint8_t *restrict right, size_t n,
                                     size_t samples, size_t count, uint8_t *restrict odd) {
    const uint8_t mask = right ? PDB_FAN_OUTSIDE : PDB_FAN_OUTSIDE | PDB_FAN_ON_KEY;
    memset(odd, 0, count);
    for (size_t k = 0; k < samples; k++) {
        const uint8_t *restrict l = left + k * n, *restrict r = (right ? right : left) + k * n;
#pragma omp simd
        for (size_t i = 0; i < count; i++)
            odd[i] |= ((l[i] | r[i]) & mask) != 0;
    }
}

/* ---- odd lengths ------------------------------------------------------------------------------------- */

/* What the samples of some lengths say, those of one sample side by side. */
enum { SOME = 64 };
typedef struct samples {
    double latency[OP_SAMPLES * SOME], energy[OP_SAMPLES * SOME];
    uint8_t how[OP_SAMPLES * SOME];
    pdb_origins from[OP_SAMPLES * SOME];
} samples;

/* As op_query_once leaves it. */
static double finished(const op_fan *f, double imbalance, double v) {
    v *= imbalance;
    return f->op->desc->unclamped || v > 0.0 ? v : 0.0; /* op_max(v, 0) */
}

/* The mean of length `to`, whose samples stand at v[at], n apart, and what it rests on. */
static void take_mean(op_fan *f, const samples *v, size_t at, size_t n, double imbalance, size_t to) {
    const size_t count = samples_of(&f->source);
    double latency = 0.0, energy = 0.0, parts[OP_COVERS] = {0};
    op_cover first = op_cover_of(v->how[at]);
    pdb_origins from = 0;
    bool alike = true;
    for (size_t k = 0; k < count; k++, at += n) {
        op_cover c = op_cover_of(v->how[at]);
        f->kinds |= 1u << c;
        latency += v->latency[at];
        energy += v->energy[at];
        parts[c] += v->latency[at];
        from |= v->from[at];
        alike = alike && c == first;
    }
    f->latency[to] = latency / (double)count;
    f->cover[to] = alike ? (uint8_t)first : OP_COVERS;
    for (int c = 0; !alike && c < OP_COVERS; c++)
        f->parts[c][to] = finished(f, imbalance, parts[c] / (double)count);
    if (f->energy)
        f->energy[to] = energy / (double)count;
    if (f->from)
        f->from[to] = from;
}

static bool answer_singly(op_fan *f, double imbalance, size_t from, size_t to) {
    samples v;
    for (size_t n; from < to; from += n) {
        n = to - from < SOME ? to - from : SOME;
        for (size_t k = 0; k < samples_of(&f->source); k++) {
            size_t first = k * f->n + from;
            pdb_values out = {v.latency + k * n, v.energy + k * n, v.how + k * n, v.from + k * n};
            if (pdb_fan_query(&f->grid, first, first + n, &out) != PDB_HIT)
                return false;
        }
        for (size_t i = 0; i < n; i++)
            take_mean(f, &v, i, n, imbalance, from + i);
    }
    return true;
}

static bool answer_odd(op_fan *f, double imbalance, size_t from, size_t to) {
    for (size_t end; from < to; from = end) {
        const uint8_t *first = memchr(f->odd + from, 1, to - from), *next;
        if (!first)
            break;
        next = memchr(first, 0, (size_t)(f->odd + to - first));
        end = next ? (size_t)(next - f->odd) : to;
        if (!answer_singly(f, imbalance, (size_t)(first - f->odd), end))
            return false;
    }
    return true;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

/* `finished`, down a column; x 1.0 leaves the bits alone. */
AIC_WIDE static void op_fan_finish(double *restrict v, size_t n, double imbalance, bool clamp) {
    if (clamp) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            double x = v[i] * imbalance;
            v[i] = x > 0.0 ? x : 0.0;
        }
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        v[i] *= imbalance;
}

AIC_WIDE static void op_fan_times(double *restrict v, size_t n, double repeat) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        v[i] *= repeat;
}

bool op_fan_ask(op_fan *f, const op_shape *shape, size_t from, size_t to) {
    pdb_fan *g = &f->grid;
    const double imbalance = f->source.imbalance ? shape->imbalance : 1.0;
    const bool clamp = !f->op->desc->unclamped;
    if (!f->placed)
        place(f);
    pdb_fan_turn(g, shape->batch);
    if (g->left) {
        fill_latencies(f, from, to);
        if (f->energy)
            fill_energies(f, from, to);
        if (f->from)
            fill_marks(f, from, to);
        memset(f->cover + from, OP_INTERPOLATED, to - from);
        f->kinds |= 1u << OP_INTERPOLATED;
        op_fan_mark_odd(g->left->meets + from, g->right ? g->right->meets + from : NULL, f->n,
                        samples_of(&f->source), to - from, f->odd + from);
    } else {
        memset(f->odd + from, 1, to - from);
    }
    if (!answer_odd(f, imbalance, from, to))
        return false;
    op_fan_finish(f->latency + from, to - from, imbalance, clamp);
    if (f->energy)
        op_fan_finish(f->energy + from, to - from, imbalance, clamp);
    return true;
}

void op_fan_repeat(op_fan *f, size_t from, size_t to) {
    const double repeat = f->op->repeat;
    op_fan_times(f->latency + from, to - from, repeat);
    if (f->energy)
        op_fan_times(f->energy + from, to - from, repeat);
    const uint8_t *parted = f->cover + from, *end = f->cover + to;
    for (; (parted = memchr(parted, OP_COVERS, (size_t)(end - parted))) != NULL; parted++)
        for (int c = 0; c < OP_COVERS; c++)
            f->parts[c][parted - f->cover] *= repeat;
}
