/* Nearest name of text.h: "did you mean ...?" for every list of names in the program. */
#include "base/text.h"
#include <string.h>

enum { LONGEST_NAME = 128 }; /* no suggestions beyond it: bounds the work and the rows on the stack */

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (optimal string alignment), case ignored. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t rows[3][LONGEST_NAME + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        above[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[nb];
}

const char *aic_nearest(const char *name, size_t n, const char *(*get)(const void *ctx, size_t i),
                        const void *ctx) {
    size_t len = strlen(name), best_distance = len;
    const char *best = NULL;
    if (len > LONGEST_NAME)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *candidate = get(ctx, i);
        size_t other = candidate ? strlen(candidate) : SIZE_MAX;
        if (other > LONGEST_NAME)
            continue;
        size_t longest = len > other ? len : other;
        size_t allowed = longest < 6 ? 1 : longest / 3;
        size_t d = distance(name, len, candidate, other);
        if (d <= allowed && d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}
