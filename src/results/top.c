/* The slowest ops of each point: what a breakdown keeps where it does not keep all. */
#include "results/writer.h"
#include <string.h>

/* Rows by falling latency, as many as are kept; what has no latency (it was left out before) comes last. */
typedef struct best {
    size_t n;
    uint32_t row[RES_TOP_MAX];
} best;

static bool slower(const double *latency, uint32_t a, uint32_t b) {
    return latency[a] > latency[b] || (latency[a] == latency[a] && latency[b] != latency[b]);
}

static void offer(best *b, const double *latency, uint32_t row, size_t top) {
    size_t at = b->n;
    if (at == top && !slower(latency, row, b->row[top - 1]))
        return; /* most rows, once the first of them are in */
    while (at > 0 && slower(latency, row, b->row[at - 1]))
        at--;
    b->n += b->n < top;
    memmove(b->row + at + 1, b->row + at, (b->n - at - 1) * sizeof *b->row);
    b->row[at] = row;
}

void res_top_rows(const res_points *p, unsigned top, bool *keep) {
    best b;
    const double *latency = p->latency;
    memset(keep, 0, p->n_rows);
    for (size_t i = 0; i < p->n; i++) {
        b.n = 0;
        const uint32_t rows = res_rows_of(p, i);
        for (uint32_t r = 0; r < rows; r++)
            offer(&b, latency, r, top);
        for (size_t k = 0; k < b.n; k++)
            keep[b.row[k]] = true;
        latency += rows;
        keep += rows;
    }
}
