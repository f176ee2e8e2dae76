#include "perfdb/lattice.h"
#include "perfdb/internal.h"
#include "perfdb/scratch.h"

enum {
    FIRST_SLOTS = 256, /* of the index of an axis; most have fewer values than half of that */
    SPARSE = 8,        /* cells for each row from which on sorting is as good */
    SMALL = 48         /* rows: below this sorting is quicker than looking at axes */
};

/* ---- axes -------------------------------------------------------------------------------------- */

/* The numbers of values by hash. Values stand in the index itself, which pdb_numbers, for keys of any width,
 * does not have: every row of every table comes by here, and all of the gate takes a twentieth less for it.
 */
typedef struct slot {
    uint64_t value;
    uint32_t number; /* + 1; 0 = free */
} slot;

typedef struct values {
    slot *slots; /* at most half full */
    int bits;    /* of their number */
} values;

static slot *place_of(const values *v, uint64_t value) {
    size_t mask = ((size_t)1 << v->bits) - 1;
    size_t at = (size_t)(value * 0x9E3779B97F4A7C15u >> (64 - v->bits));
    while (v->slots[at].number && v->slots[at].value != value)
        at = (at + 1) & mask;
    return &v->slots[at];
}

static values with_slots(int bits) {
    values v = {pdb_scratch_take((size_t)1 << bits, sizeof *v.slots), bits};
    memset(v.slots, 0, sizeof *v.slots << bits);
    return v;
}

static values twice(const values *old) {
    values v = with_slots(old->bits + 1);
    for (size_t i = 0; i < (size_t)1 << old->bits; i++)
        if (old->slots[i].number)
            *place_of(&v, old->slots[i].value) = old->slots[i];
    return v;
}

uint32_t *pdb_ranks_of(size_t n, int width, const uint64_t *keys) {
    uint32_t *order = pdb_scratch_take(n, sizeof *order), *rank = pdb_scratch_take(n, sizeof *rank);
    pdb_sort_rows(n, width, keys, order);
    for (size_t i = 0; i < n; i++)
        rank[order[i]] = (uint32_t)i;
    return rank;
}

/* The number of a value, a new one if need be. */
static uint32_t number_of(pdb_axis *axis, values *known, uint64_t value) {
    slot *s = place_of(known, value);
    if (s->number)
        return s->number - 1;
    axis->value[axis->n] = value;
    *s = (slot){value, ++axis->n};
    if (2 * (size_t)axis->n > (size_t)1 << known->bits)
        *known = twice(known);
    return axis->n - 1;
}

pdb_axis pdb_axis_of(size_t n, const uint64_t *value, size_t step) {
    int bits = 0;
    while (1 << bits < FIRST_SLOTS)
        bits++;
    values known = with_slots(bits);
    pdb_axis axis = {.number = pdb_scratch_take(n, sizeof *axis.number),
                     .value = pdb_scratch_take(n, sizeof *axis.value)};
    uint64_t last = n ? ~*value : 0;
    uint32_t number = 0;
    for (size_t i = 0; i < n; i++, value += step) {
        if (*value != last) /* outer axes stay for many rows */
            number = number_of(&axis, &known, last = *value);
        axis.number[i] = number;
    }
    axis.rank = pdb_ranks_of(axis.n, 1, axis.value);
    return axis;
}

/* ---- boxes ------------------------------------------------------------------------------------- */

/* Cells of the box; 0 = more than it may have, or than 32 bits count. */
static size_t cells_of(size_t n, int axes, const pdb_axis *axis) {
    size_t cells = n <= UINT32_MAX / SPARSE ? 1 : 0;
    for (int k = 0; cells && k < axes; k++) {
        if (cells > SPARSE * n / axis[k].n)
            return 0;
        cells *= axis[k].n;
    }
    return cells;
}

bool pdb_lattice_order(size_t n, int axes, const pdb_axis *axis, uint32_t *order, size_t *kept) {
    *kept = 0;
    if (n == 0)
        return true;
    const size_t cells = cells_of(n, axes, axis);
    if (!cells)
        return false;
    uint32_t *cell = pdb_scratch_take(n, sizeof *cell), *first = pdb_scratch_take(cells, sizeof *first);
    size_t stride = cells;
    for (int k = 0; k < axes; k++) {
        const uint32_t *number = axis[k].number;
        uint32_t *at = pdb_scratch_take(axis[k].n, sizeof *at);
        stride /= axis[k].n;
        for (uint32_t j = 0; j < axis[k].n; j++)
            at[j] = axis[k].rank[j] * (uint32_t)stride;
        for (size_t i = 0; i < n; i++)
            cell[i] = (k ? cell[i] : 0) + at[number[i]];
    }
    memset(first, 0xff, cells * sizeof *first);
    for (size_t i = n; i-- > 0;) /* the first row of a cell comes last, and stays */
        first[cell[i]] = (uint32_t)i;
    for (size_t c = 0; c < cells; c++)
        if (first[c] != UINT32_MAX)
            order[(*kept)++] = first[c];
    return true;
}

/* ---- any rows ---------------------------------------------------------------------------------- */

static size_t drop_repeats(size_t n, int width, const uint64_t *keys, uint32_t *order) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!kept || !pdb_same_key(keys + (size_t)order[i] * (size_t)width,
                                   keys + (size_t)order[kept - 1] * (size_t)width, width))
            order[kept++] = order[i];
    return kept;
}

size_t pdb_distinct_rows(size_t n, int width, const uint64_t *keys, uint32_t *order) {
    size_t kept;
    bool done = false;
    pdb_scratch scratch = pdb_scratch_begin();
    if (width > 1 && n > SMALL && !pdb_rows_ascend(n, width, keys)) {
        pdb_axis *axis = pdb_scratch_take((size_t)width, sizeof *axis);
        for (int k = 0; k < width; k++)
            axis[k] = pdb_axis_of(n, keys + k, (size_t)width);
        done = pdb_lattice_order(n, width, axis, order, &kept);
    }
    if (!done) {
        pdb_sort_rows(n, width, keys, order);
        kept = drop_repeats(n, width, keys, order);
    }
    pdb_scratch_end(&scratch);
    return kept;
}
