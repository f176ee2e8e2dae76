/* Stable sorting of key tuples, the one ordering step of every grid.
 *
 * Of the keys only bits that differ between rows matter, and there are few: tuples are packed into words,
 * most often one, and words sorted digit by digit from the least significant up.
 */
#include "perfdb/internal.h"
#include "perfdb/scratch.h"

enum { SMALL = 48 };                                /* below this insertion beats counting */
enum { DIGIT = 8, LARGE_DIGIT = 11, LARGE = 4096 }; /* bits per pass; from so many rows on larger ones pay */

static bool row_after(const uint64_t *a, const uint64_t *b, int width) {
    for (int i = 0; i < width; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return false;
}

bool pdb_rows_ascend(size_t n, int width, const uint64_t *keys) {
    for (size_t i = 1; i < n; i++, keys += width)
        if (row_after(keys, keys + width, width))
            return false;
    return true;
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

typedef struct item {
    uint64_t word;
    uint32_t row;
} item;

/* Where an axis lies in a word: its keys' bits low..low+bits, those below and above being the same in all
 * rows. */
typedef struct field {
    int axis, low, bits;
} field;

static field field_of(size_t n, int width, const uint64_t *keys, int axis) {
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++)
        differ |= keys[i * (size_t)width + (size_t)axis] ^ keys[axis];
    field f = {.axis = axis};
    for (; differ && !(differ & 1); differ >>= 1)
        f.low++;
    for (; differ; differ >>= 1)
        f.bits++;
    return f;
}

/* Puts the bits of a field into all words, below those of the fields before it. */
static void pack(size_t n, int width, const uint64_t *keys, const field *f, bool first, item *items) {
    uint64_t mask = f->bits < 64 ? (UINT64_C(1) << f->bits) - 1 : UINT64_MAX;
    bool alone = first || f->bits == 64; /* then the fields before it have no bits */
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = keys[(size_t)items[i].row * (size_t)width + (size_t)f->axis] >> f->low & mask;
        items[i].word = alone ? bits : items[i].word << f->bits | bits;
    }
}

/* One counting pass on one digit; stable. */
static void counting_pass(size_t n, int shift, int digit, const item *from, item *to) {
    uint32_t start[(1 << LARGE_DIGIT) + 1];
    uint64_t mask = (UINT64_C(1) << digit) - 1;
    memset(start, 0, ((size_t)mask + 2) * sizeof *start);
    for (size_t i = 0; i < n; i++)
        start[(from[i].word >> shift & mask) + 1]++;
    for (size_t b = 0; b < mask; b++)
        start[b + 1] += start[b];
    for (size_t i = 0; i < n; i++)
        to[start[from[i].word >> shift & mask]++] = from[i];
}

/* Sorts by words of so many bits; the result is in *items, what was there in *spare. */
static void sort_words(size_t n, int bits, item **items, item **spare) {
    int digit = n < LARGE ? DIGIT : LARGE_DIGIT;
    for (int shift = 0; shift < bits; shift += digit) {
        counting_pass(n, shift, digit, *items, *spare);
        item *swap = *items;
        *items = *spare;
        *spare = swap;
    }
}

void pdb_sort_rows(size_t n, int width, const uint64_t *keys, uint32_t *order) {
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    if (pdb_rows_ascend(n, width, keys))
        return;
    if (n <= SMALL) {
        insertion(n, width, keys, order);
        return;
    }
    pdb_scratch scratch = pdb_scratch_begin();
    item *items = pdb_scratch_take(n, sizeof *items), *spare = pdb_scratch_take(n, sizeof *spare);
    for (size_t i = 0; i < n; i++)
        items[i] = (item){0, (uint32_t)i};
    field *fields = pdb_scratch_take((size_t)width, sizeof *fields);
    for (int axis = 0; axis < width; axis++)
        fields[axis] = field_of(n, width, keys, axis);
    for (int end = width; end > 0;) { /* the least significant word first: as many axes as it holds */
        int first = end - 1, bits = fields[first].bits;
        while (first > 0 && bits + fields[first - 1].bits <= 64)
            bits += fields[--first].bits;
        for (int axis = first; axis < end; axis++)
            pack(n, width, keys, &fields[axis], axis == first, items);
        sort_words(n, bits, &items, &spare);
        end = first;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = items[i].row;
    pdb_scratch_end(&scratch);
}
