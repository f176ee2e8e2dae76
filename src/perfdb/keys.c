/* Rows of a table by the cells of its key columns. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

enum { NONE = 0 }; /* rows are kept as number + 1 */

struct pdb_keys {
    const pdb_rows *r;
    size_t n;
    const size_t *columns;
    uint32_t **ids; /* text columns: id in the shared texts by cell value; NULL for others */
    /* By slot, rows as number + 1: the first row of a key, and the first one not taken yet. */
    uint32_t *first, *left;
    size_t n_slots; /* a power of two, at most half are used */
    uint32_t *next; /* by row: the next row of its key, number + 1 */
    size_t repeats;
};

/* ---- comparing -------------------------------------------------------------------------------- */

static uint64_t part(const pdb_keys *k, size_t i, size_t row) {
    uint64_t bits = pdb_cell_bits(&k->r->cells[k->columns[i]], row);
    return k->ids[i] ? k->ids[i][bits] : bits;
}

static uint64_t hash_row(const pdb_keys *k, size_t row) {
    uint64_t h = 0;
    for (size_t i = 0; i < k->n; i++) {
        h = (h ^ part(k, i, row)) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return h;
}

static bool same_row(const pdb_keys *a, size_t row_a, const pdb_keys *b, size_t row_b) {
    for (size_t i = 0; i < a->n; i++)
        if (part(a, i, row_a) != part(b, i, row_b))
            return false;
    return true;
}

/* The slot of the key of `row` of `other`, or the free one where it belongs. */
static size_t slot_of(const pdb_keys *k, const pdb_keys *other, size_t row) {
    size_t at = (size_t)hash_row(other, row) & (k->n_slots - 1);
    while (k->first[at] != NONE && !same_row(k, k->first[at] - 1, other, row))
        at = (at + 1) & (k->n_slots - 1);
    return at;
}

/* ---- building --------------------------------------------------------------------------------- */

static uint32_t *text_ids(const pdb_cells *c, aic_intern *texts) {
    if (c->kind != PDB_CELL_TEXT)
        return NULL;
    uint32_t *ids = AIC_NEW_ARRAY(uint32_t, c->n_members);
    for (size_t i = 0; i < c->n_members; i++)
        if (c->members[i])
            ids[i] = aic_intern_add(texts, c->members[i], strlen(c->members[i]));
    return ids;
}

static void index_rows(pdb_keys *k) {
    uint32_t *last = k->left; /* lent, until it is filled */
    for (size_t row = 0; row < k->r->rows; row++) {
        size_t at = slot_of(k, k, row);
        uint32_t number = (uint32_t)row + 1;
        if (k->first[at] == NONE) {
            k->first[at] = number;
        } else {
            k->next[last[at] - 1] = number;
            k->repeats++;
        }
        last[at] = number;
    }
    memcpy(k->left, k->first, k->n_slots * sizeof *k->left);
}

pdb_keys *pdb_keys_new(const pdb_rows *r, const size_t *columns, size_t n, aic_intern *texts) {
    pdb_keys *k = AIC_NEW(pdb_keys);
    k->r = r;
    k->n = n;
    k->columns = columns;
    k->ids = AIC_NEW_ARRAY(uint32_t *, n);
    for (size_t i = 0; i < n; i++)
        k->ids[i] = text_ids(&r->cells[columns[i]], texts);
    k->n_slots = 64;
    while (k->n_slots / 2 < r->rows)
        k->n_slots = aic_mul(k->n_slots, 2);
    k->first = AIC_NEW_ARRAY(uint32_t, k->n_slots);
    k->left = AIC_NEW_ARRAY(uint32_t, k->n_slots);
    k->next = AIC_NEW_ARRAY(uint32_t, r->rows);
    index_rows(k);
    return k;
}

void pdb_keys_free(pdb_keys *k) {
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        free(k->ids[i]);
    free(k->ids);
    free(k->first);
    free(k->left);
    free(k->next);
    free(k);
}

size_t pdb_keys_repeats(const pdb_keys *k) {
    return k->repeats;
}

size_t pdb_keys_take(pdb_keys *k, const pdb_keys *other, size_t row) {
    uint32_t *left = &k->left[slot_of(k, other, row)];
    if (*left == NONE)
        return SIZE_MAX;
    uint32_t number = *left;
    *left = k->next[number - 1];
    return number - 1;
}
