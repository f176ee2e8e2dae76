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
