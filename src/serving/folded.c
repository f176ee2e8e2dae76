/* Folding into arrays of tables, in the order in which the plain path folds one. */
#include "serving/folded.h"
#include <string.h>

srv_folded srv_folded_take(srv_block *b, size_t count, size_t n_rows) {
    size_t cells = aic_mul(count, n_rows);
    return (srv_folded){.n_rows = n_rows,
                        .latency = srv_take(b, cells, sizeof(double)),
                        .energy = srv_take(b, cells, sizeof(double)),
                        .source = srv_take(b, cells, sizeof(uint8_t)),
                        .basis = srv_take(b, cells, sizeof(srv_basis)),
                        .any = srv_take(b, count, sizeof(srv_basis)),
                        .cover = srv_take(b, count, sizeof(double[OP_COVERS])),
                        .gap = srv_take(b, count, sizeof(srv_gap))};
}

void srv_folded_clear(srv_folded *f, size_t i) {
    for (size_t r = i * f->n_rows; r < (i + 1) * f->n_rows; r++) {
        f->latency[r] = f->energy[r] = 0;
        f->source[r] = OP_SRC_empirical;
        f->basis[r] = 0;
    }
    for (int c = 0; c < OP_COVERS; c++)
        f->cover[i][c] = 0;
    f->any[i] = 0;
    f->gap[i] = (srv_gap){.cls = OP_OK};
}

void srv_folded_clear_all(srv_folded *f, size_t count) {
    const size_t cells = count * f->n_rows;
    memset(f->latency, 0, cells * sizeof *f->latency);
    memset(f->source, OP_SRC_empirical, cells);
    memset(f->cover, 0, count * sizeof *f->cover);
    f->blank = SRV_RARE;
}

void srv_folded_open(srv_folded *f, size_t count, unsigned column) {
    const size_t cells = count * f->n_rows;
    if (f->blank & column & SRV_ENERGY)
        memset(f->energy, 0, cells * sizeof *f->energy);
    if (f->blank & column & SRV_BASIS) {
        memset(f->basis, 0, cells * sizeof *f->basis);
        memset(f->any, 0, count * sizeof *f->any);
    }
    if (f->blank & column & SRV_GAPS)
        memset(f->gap, 0, count * sizeof *f->gap); /* OP_OK */
    f->blank &= ~column;
}

void srv_folded_op(srv_folded *f, size_t i, uint32_t row, bool opens, const op_result *r) {
    size_t at = i * f->n_rows + row;
    bool same = opens || f->source[at] == (uint8_t)r->source;
    f->latency[at] += r->latency;
    f->energy[at] += r->energy;
    f->source[at] = same ? (uint8_t)r->source : OP_SRC_mixed;
    f->basis[at] |= srv_basis_of(r->tier, r->from);
    f->any[i] |= f->basis[at];
    for (int c = 0; c < OP_COVERS; c++)
        f->cover[i][c] += r->cover[c];
}

void srv_folded_ask(srv_folded *f, size_t i, uint32_t row, const srv_op *o, uint32_t index, op_mode mode,
                    const op_shape *shape, srv_block *b) {
    op_result r;
    op_refusal why;
    op_class cls = op_query(&o->bound, mode, shape, &r, &why);
    if (cls == OP_OK)
        srv_folded_op(f, i, row, o->opens, &r);
    else
        f->gap[i] = (srv_gap){.cls = cls, .op = index, .text = srv_block_text(b, why.text)};
}

/* Tables that have none missing, from replies that have none missing. */
static bool no_gap(const srv_folded *f, size_t t, const srv_replies *r, uint32_t i) {
    return !srv_folded_gap(f, t) && (!r->any_gap || r->gap[i].cls == OP_OK);
}

void srv_folded_replies(srv_folded *f, size_t count, const uint32_t *of, uint32_t row, bool opens,
                        const srv_replies *r) {
    srv_folded_open(f, count,
                    (r->any_energy ? SRV_ENERGY : 0u) | (r->any_basis ? SRV_BASIS : 0u) |
                        (r->any_gap ? SRV_GAPS : 0u));
    for (size_t t = 0, at = row; t < count; t++, at += f->n_rows) {
        const uint32_t i = of[t];
        if (!no_gap(f, t, r, i))
            continue;
        const uint8_t source = r->source[i];
        f->latency[at] += r->latency[i];
        f->source[at] = opens || f->source[at] == source ? source : OP_SRC_mixed;
        if (r->kind[i] < OP_COVERS)
            f->cover[t][r->kind[i]] += r->latency[i];
        else
            for (int c = 0; c < OP_COVERS; c++)
                f->cover[t][c] += r->parts[i][c];
    }
    for (size_t t = 0, at = row; r->any_energy && t < count; t++, at += f->n_rows)
        if (no_gap(f, t, r, of[t]))
            f->energy[at] += r->energy[of[t]];
    for (size_t t = 0, at = row; r->any_basis && t < count; t++, at += f->n_rows)
        if (no_gap(f, t, r, of[t])) {
            f->basis[at] |= r->basis[of[t]];
            f->any[t] |= f->basis[at];
        }
    for (size_t t = 0; r->any_gap && t < count; t++)
        if (f->gap[t].cls == OP_OK)
            f->gap[t] = r->gap[of[t]];
}

void srv_folded_step(srv_folded *f, size_t i, const srv_folded *from, size_t step, double repeats,
                     bool first) {
    size_t n = f->n_rows;
    double *restrict latency = f->latency + i * n, *restrict energy = f->energy + i * n;
    const double *step_latency = from->latency + step * n, *step_energy = from->energy + step * n;
    uint8_t *restrict source = f->source + i * n;
    const uint8_t *step_source = from->source + step * n;
    for (size_t r = 0; r < n; r++) {
        latency[r] += step_latency[r] * repeats;
        energy[r] += step_energy[r] * repeats;
    }
    for (size_t r = 0; r < n; r++)
        source[r] = first || source[r] == step_source[r] ? step_source[r] : OP_SRC_mixed;
    f->any[i] |= from->any[step];
    for (size_t r = 0; from->any[step] && r < n; r++)
        f->basis[i * n + r] |= from->basis[step * n + r];
    for (int c = 0; c < OP_COVERS; c++)
        f->cover[i][c] += from->cover[step][c] * repeats;
}

/* Row by row, the sum of each taken over all steps: many rows and many steps come to the same. */
void srv_folded_steps(srv_folded *f, size_t i, const srv_folded *from, size_t step, size_t n,
                      double repeats) {
    const size_t rows = f->n_rows;
    srv_basis any = 0;
    for (size_t k = 0; k < n; k++)
        any |= from->any[step + k];
    f->any[i] |= any;
    for (size_t r = 0; r < rows; r++) {
        const size_t at = i * rows + r, first = step * rows + r;
        double latency = f->latency[at], energy = f->energy[at];
        uint8_t source = f->source[at];
        for (size_t k = 0; k < n; k++) {
            latency += from->latency[first + k * rows] * repeats;
            energy += from->energy[first + k * rows] * repeats;
            source = source == from->source[first + k * rows] ? source : OP_SRC_mixed;
        }
        f->latency[at] = latency;
        f->energy[at] = energy;
        f->source[at] = source;
        for (size_t k = 0; any && k < n; k++)
            f->basis[at] |= from->basis[first + k * rows];
    }
    double cover[OP_COVERS];
    memcpy(cover, f->cover[i], sizeof cover);
    for (size_t k = 0; k < n; k++)
        for (int c = 0; c < OP_COVERS; c++)
            cover[c] += from->cover[step + k][c] * repeats;
    memcpy(f->cover[i], cover, sizeof cover);
}

void srv_folded_copy(srv_folded *to, size_t i, const srv_folded *from, size_t j) {
    size_t n = to->n_rows;
    memcpy(to->latency + i * n, from->latency + j * n, n * sizeof(double));
    memcpy(to->energy + i * n, from->energy + j * n, n * sizeof(double));
    memcpy(to->source + i * n, from->source + j * n, n);
    memcpy(to->basis + i * n, from->basis + j * n, n);
    memcpy(to->cover[i], from->cover[j], sizeof to->cover[i]);
    to->any[i] = from->any[j];
    to->gap[i] = from->gap[j];
}

/* ---- tables as bytes --------------------------------------------------------------------------- */

/* Whether there are gaps; the columns of n tables one behind another, doubles first; then a record for each
 * table, and the reasons. */
typedef struct gap_record {
    uint32_t cls, step, op;
} gap_record;

static bool any_gap(const srv_folded *f, size_t i, size_t n) {
    for (size_t k = i; k < i + n; k++)
        if (f->gap[k].cls != OP_OK)
            return true;
    return false;
}

static uint32_t place_of(uint32_t op, const uint32_t *ops, size_t n_ops) {
    uint32_t at = 0;
    while (at + 1 < n_ops && ops[at] != op)
        at++;
    return at;
}

static void carry_gap(srv_cargo *to, srv_gap *g, const uint32_t *ops, size_t n_ops, srv_block *b) {
    gap_record r = {0};
    if (to->way != SRV_UNPACK && g->cls != OP_OK)
        r = (gap_record){.cls = g->cls, .step = g->step, .op = place_of(g->op, ops, n_ops)};
    srv_carry(to, &r, sizeof r);
    if (to->way == SRV_UNPACK)
        *g = (srv_gap){.cls = (op_class)r.cls, .step = r.step, .op = r.cls != OP_OK ? ops[r.op] : 0};
    if (r.cls != OP_OK)
        srv_carry_text(to, &g->text, b);
}

void srv_folded_carry(srv_cargo *to, srv_folded *f, size_t i, size_t n, const uint32_t *ops, size_t n_ops,
                      srv_block *b) {
    const size_t rows = f->n_rows, cells = n * rows;
    uint64_t gaps = to->way != SRV_UNPACK && any_gap(f, i, n);
    srv_carry(to, &gaps, sizeof gaps);
    srv_carry(to, f->latency + i * rows, cells * sizeof *f->latency);
    srv_carry(to, f->energy + i * rows, cells * sizeof *f->energy);
    srv_carry(to, f->cover + i, n * sizeof *f->cover);
    srv_carry(to, f->source + i * rows, cells);
    srv_carry(to, f->basis + i * rows, cells * sizeof *f->basis);
    srv_carry(to, f->any + i, n * sizeof *f->any);
    for (size_t k = i; k < i + n; k++)
        if (gaps)
            carry_gap(to, &f->gap[k], ops, n_ops, b);
        else
            f->gap[k] = (srv_gap){.cls = OP_OK};
}
