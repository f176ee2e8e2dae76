/* Stable sorting of key tuples, the one ordering step of every grid. */
#include "perfdb/internal.h"
#include <stdlib.h>
#include <string.h>

enum { SMALL = 48 }; /* below this insertion beats counting */

static bool row_after(const uint64_t *a, const uint64_t *b, int width) {
    for (int i = 0; i < width; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return false;
}

static void insertion(size_t n, int width, const uint64_t *keys, uint32_t *order) {
    for (size_t i = 1; i < n; i++) {
        uint32_t row = order[i];
        const uint64_t *key = keys + (size_t)row * (size_t)width;
        size_t j = i;
        for (; j > 0 && row_after(keys + (size_t)order[j - 1] * (size_t)width, key, width); j--)
            order[j] = order[j - 1];
        order[j] = row;
    }
}

/* One counting pass on one byte of one column; stable, so passes from the least significant byte up sort the
 * tuples. */
static void counting_pass(size_t n, int width, const uint64_t *column, int shift, const uint32_t *from,
                          uint32_t *to) {
    uint32_t start[257] = {0};
    for (size_t i = 0; i < n; i++)
        start[((column[i * (size_t)width] >> shift) & 255) + 1]++;
    for (int b = 0; b < 256; b++)
        start[b + 1] += start[b];
    for (size_t i = 0; i < n; i++) {
        uint64_t key = column[(size_t)from[i] * (size_t)width];
        to[start[(key >> shift) & 255]++] = from[i];
    }
}

void pdb_sort_rows(size_t n, int width, const uint64_t *keys, uint32_t *order) {
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    if (n <= SMALL) {
        insertion(n, width, keys, order);
        return;
    }
    uint32_t *spare = aic_alloc(n, sizeof *spare), *from = order, *to = spare;
    for (int axis = width - 1; axis >= 0; axis--) {
        const uint64_t *column = keys + axis;
        uint64_t differs = 0; /* bits that are not the same in all rows: the other bytes need no pass */
        for (size_t i = 1; i < n; i++)
            differs |= column[i * (size_t)width] ^ column[0];
        for (int shift = 0; shift < 64; shift += 8) {
            if (!((differs >> shift) & 255))
                continue;
            counting_pass(n, width, column, shift, from, to);
            uint32_t *swap = from;
            from = to;
            to = swap;
        }
    }
    if (from != order)
        memcpy(order, from, n * sizeof *order);
    free(spare);
}
