/* From rows to slices: which slice each row belongs to, and the rows of each slice together.
 *
 * A table has thousands of times more rows than combinations of categories. What a row says of its slice is
 * packed into a word, or as many as it takes; each distinct one is taken apart, shown to the hook and looked
 * up among the slices once.
 */
#include "perfdb/internal.h"
#include "perfdb/scratch.h"
#include <stdlib.h>

enum {
    DROPPED = -1,
    BLOCK = 512,     /* rows packed at a time */
    RECENT_BITS = 10 /* of the number of combinations that are found without a call */
};

/* Slices while they are found. */
typedef struct growing {
    pdb_numbers keys;
    const char *fault; /* of the first row whose hook found one */
    const pdb_part *fault_at;
} growing;

uint32_t pdb_slices_find(const pdb_slicing *s, const uint64_t *key) {
    return pdb_number_find(&s->keys, key);
}

/* Copies n items to the arena and frees them. */
static void *keep(aic_arena *a, void *items, size_t n, size_t size) {
    void *copy = aic_arena_take(a, n, size);
    if (n)
        memcpy(copy, items, n * size);
    free(items);
    return copy;
}

static pdb_slicing slices_of(aic_arena *a, const growing *g) {
    pdb_slicing s = {.keys = g->keys, .n_slices = g->keys.n, .fault = g->fault, .fault_at = g->fault_at};
    s.keys.keys = keep(a, s.keys.keys, aic_mul(s.n_slices, (size_t)s.keys.words), sizeof *s.keys.keys);
    s.keys.index = keep(a, s.keys.index, s.keys.n_index, sizeof *s.keys.index);
    s.slices = aic_arena_alloc(a, s.n_slices, sizeof *s.slices);
    for (size_t i = 0; i < s.n_slices; i++)
        s.slices[i].cat = s.keys.keys + i * (size_t)s.keys.words;
    return s;
}

/* ---- combinations ------------------------------------------------------------------------------ */

/* A column of a packed key: the bits of its cells from the lowest to the highest in which rows differ. */
typedef struct field {
    const pdb_cells *cells;
    uint64_t mask;
    int low; /* how far the mask lies above bit 0 */
    int word, shift;
} field;

typedef struct packing {
    int n, words;
    field fields[PDB_MAX_CATS + PDB_MAX_AXES * 2 + 1];
} packing;

/* Whole blocks apart: loops of known length are what compilers turn into vector instructions. */
#define DIFFERING(type)                                                                                      \
    do {                                                                                                     \
        const type *x = c->data;                                                                             \
        type bits = 0;                                                                                       \
        size_t done = 0;                                                                                     \
        for (; c->rows - done >= BLOCK; done += BLOCK)                                                       \
            for (size_t i = 0; i < BLOCK; i++)                                                               \
                bits |= (type)(x[done + i] ^ x[0]);                                                          \
        for (; done < c->rows; done++)                                                                       \
            bits |= (type)(x[done] ^ x[0]);                                                                  \
        differ = bits;                                                                                       \
    } while (0)

/* The bits in which the cells of a column differ. */
static uint64_t differing(const pdb_cells *c) {
    uint64_t differ;
    switch (c->width) {
    case 1:
        DIFFERING(uint8_t);
        break;
    case 2:
        DIFFERING(uint16_t);
        break;
    case 4:
        DIFFERING(uint32_t);
        break;
    default:
        DIFFERING(uint64_t);
    }
    return differ;
}

static void add_field(packing *p, const pdb_stored *column, int *used) {
    uint64_t differ = column ? differing(&column->cells) : 0;
    if (!differ)
        return;
    int low = 0, bits = 0;
    for (; !(differ >> low & 1);)
        low++;
    for (uint64_t rest = differ >> low; rest; rest >>= 1)
        bits++;
    if (p->words == 0 || *used + bits > 64) {
        p->words++;
        *used = 0;
    }
    uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    p->fields[p->n++] = (field){&column->cells, mask, low, p->words - 1, *used};
    *used += bits;
}

/* What tells the rows of a part apart as far as their slices are concerned. */
static packing packing_of(const pdb_part *part, const pdb_schema *schema) {
    packing p = {0};
    int used = 0;
    for (int i = 0; i < schema->n_cats; i++)
        add_field(&p, part->cat[i], &used);
    for (int i = 0; i < schema->n_admit_axes; i++) {
        add_field(&p, part->axis[i], &used);
        add_field(&p, part->plus[i], &used);
    }
    if (part->allowed)
        add_field(&p, part->kernel, &used);
    if (!p.words)
        p.words = 1;
    return p;
}

/* A block of cells into keys of one word. */
#define PACK(name, type)                                                                                     \
    AIC_WIDE static void name(const type *restrict x, uint64_t mask, int low, int shift,                     \
                              uint64_t *restrict out) {                                                      \
        for (size_t i = 0; i < BLOCK; i++)                                                                   \
            out[i] |= ((uint64_t)x[i] >> low & mask) << shift;                                               \
    }
PACK(pdb_pack_8, uint8_t)
PACK(pdb_pack_16, uint16_t)
PACK(pdb_pack_32, uint32_t)
PACK(pdb_pack_64, uint64_t)

static void pack_block(const field *f, size_t from, uint64_t *out) {
    const void *data = f->cells->data;
    switch (f->cells->width) {
    case 1:
        pdb_pack_8((const uint8_t *)data + from, f->mask, f->low, f->shift, out);
        break;
    case 2:
        pdb_pack_16((const uint16_t *)data + from, f->mask, f->low, f->shift, out);
        break;
    case 4:
        pdb_pack_32((const uint32_t *)data + from, f->mask, f->low, f->shift, out);
        break;
    default:
        pdb_pack_64((const uint64_t *)data + from, f->mask, f->low, f->shift, out);
    }
}

/* Rows from..from+n, n at most BLOCK, as so many words for each. */
static void pack(const packing *p, size_t from, size_t n, uint64_t *out) {
    size_t words = (size_t)p->words;
    memset(out, 0, n * words * sizeof *out);
    for (const field *f = p->fields; f < p->fields + p->n; f++) {
        if (n == BLOCK && words == 1) {
            pack_block(f, from, out);
            continue;
        }
        uint64_t *to = out + f->word;
        for (size_t i = 0; i < n; i++, to += words)
            *to |= (pdb_cell_bits(f->cells, from + i) >> f->low & f->mask) << f->shift;
    }
}

/* ---- rows of a part ---------------------------------------------------------------------------- */

/* A combination of one word met lately, at the place that its hash says: rows of a few combinations most
 * often take turns. */
typedef struct recent {
    uint64_t key;
    uint32_t slice;
} recent;

typedef struct assigning {
    growing *to;
    const pdb_view *view;
    const pdb_schema *schema;
    const pdb_part *part;
    pdb_numbers combinations;
    uint32_t *slice; /* of each; DROPPED */
    size_t n, cap;
    recent *recent; /* 1 << RECENT_BITS of them */
} assigning;

/* The slice of a row that is the first of its combination. */
static uint32_t admit(assigning *a, size_t row) {
    const pdb_part *p = a->part;
    if (p->allowed && !p->allowed[pdb_cell_bits(&p->kernel->cells, row)])
        return (uint32_t)DROPPED;
    pdb_row r = {0};
    pdb_part_keys(p, a->schema, a->schema->n_admit_axes, row, &r);
    bool admitted = !a->schema->admit || a->schema->admit(a->view, a->schema, &r);
    if (r.fault && !a->to->fault) {
        a->to->fault = r.fault;
        a->to->fault_at = p;
    }
    return admitted ? pdb_number(&a->to->keys, r.cat) : (uint32_t)DROPPED;
}

static uint32_t slice_at(assigning *a, const uint64_t *key, size_t row) {
    uint32_t number = pdb_number(&a->combinations, key);
    if (number == a->n) {
        AIC_GROW(a->slice, a->n, a->cap);
        a->slice[a->n++] = admit(a, row);
    }
    return a->slice[number];
}

static size_t recent_place(uint64_t key) {
    return (size_t)(key * 0x9E3779B97F4A7C15u >> (64 - RECENT_BITS));
}

/* No key is at the place of another: key 0 belongs at place 0 alone, and there stands a key of elsewhere. */
static recent *nothing_recent(void) {
    recent *r = pdb_scratch_take((size_t)1 << RECENT_BITS, sizeof *r);
    memset(r, 0, sizeof *r << RECENT_BITS);
    r[0].key = 1;
    return r;
}

/* Rows from..from+n of their packed keys, of a word each. */
static void assign_words(assigning *a, const uint64_t *keys, size_t from, size_t n, uint32_t *slice_of) {
    recent *const known = a->recent;
    for (size_t i = 0; i < n; i++) {
        recent *r = &known[recent_place(keys[i])];
        if (r->key != keys[i]) {
            *r = (recent){keys[i], slice_at(a, keys + i, from + i)};
            if (a->to->fault)
                return;
        }
        slice_of[i] = r->slice;
    }
}

/* The same of several words. */
static void assign_block(assigning *a, const uint64_t *keys, size_t from, size_t n, uint32_t *slice_of) {
    int words = a->combinations.words;
    for (size_t i = 0; i < n && !a->to->fault; i++, keys += words) /* often of the row before's combination */
        slice_of[i] =
            i && pdb_same_key(keys, keys - words, words) ? slice_of[i - 1] : slice_at(a, keys, from + i);
}

static void assign(growing *to, const pdb_view *view, const pdb_schema *schema, const pdb_part *part,
                   uint32_t *slice_of) {
    packing p = packing_of(part, schema);
    assigning a = {
        .to = to, .view = view, .schema = schema, .part = part, .combinations = {.words = p.words}};
    pdb_scratch scratch = pdb_scratch_begin();
    uint64_t *keys = pdb_scratch_take(aic_mul((size_t)p.words, BLOCK), sizeof *keys);
    a.recent = nothing_recent();
    for (size_t from = 0; from < part->rows && !to->fault; from += BLOCK) {
        size_t n = part->rows - from < BLOCK ? part->rows - from : BLOCK;
        pack(&p, from, n, keys);
        (p.words == 1 ? assign_words : assign_block)(&a, keys, from, n, slice_of + from);
    }
    free(a.slice);
    pdb_numbers_free(&a.combinations);
    pdb_scratch_end(&scratch);
}

/* The rows of a table while those of each slice are brought together. Each half of them has counters of its
 * own: most rows are of the slice of the row before, and would wait for its counter. */
typedef struct sorting {
    const uint32_t *slice_of, *sequence;
    size_t rows, half;
    uint32_t *at[2]; /* by half and slice: how many rows, then where the next one goes */
} sorting;

/* The row at a place of the sequence, and its slice. */
static inline uint32_t row_at(const sorting *s, size_t place, uint32_t *slice) {
    uint32_t row = s->sequence ? s->sequence[place] : (uint32_t)place;
    *slice = s->slice_of[row];
    return row;
}

static inline void count_row(const sorting *s, int half, size_t place) {
    uint32_t slice;
    row_at(s, place, &slice);
    if (slice != (uint32_t)DROPPED)
        s->at[half][slice]++;
}

static inline void place_row(const sorting *s, int half, size_t place, uint32_t *order) {
    uint32_t slice, row = row_at(s, place, &slice);
    if (slice != (uint32_t)DROPPED)
        order[s->at[half][slice]++] = row;
}

/* Brings the rows of each slice together, in the order of the sequence, or as they stand where it is NULL. */
static void group(aic_arena *a, pdb_slicing *s, const uint32_t *slice_of, size_t rows,
                  const uint32_t *sequence) {
    const size_t n = s->n_slices;
    sorting g = {.slice_of = slice_of, .sequence = sequence, .rows = rows, .half = (rows + 1) / 2};
    g.at[0] = pdb_scratch_take(aic_mul(n, 2), sizeof **g.at);
    g.at[1] = g.at[0] + n;
    memset(g.at[0], 0, 2 * n * sizeof **g.at);
    for (size_t i = 0; i < rows - g.half; i++) {
        count_row(&g, 0, i);
        count_row(&g, 1, g.half + i);
    }
    if (rows % 2)
        count_row(&g, 0, g.half - 1);
    uint32_t *start = s->start = aic_arena_take(a, n + 1, sizeof *start), sum = 0;
    for (size_t i = 0; i < n; i++) {
        start[i] = sum;
        sum += g.at[0][i];
        g.at[0][i] = start[i];
        uint32_t later = g.at[1][i];
        g.at[1][i] = sum;
        sum += later;
    }
    start[n] = sum;
    s->order = aic_arena_take(a, sum, sizeof *s->order);
    for (size_t i = 0; i < rows - g.half; i++) {
        place_row(&g, 0, i, s->order);
        place_row(&g, 1, g.half + i, s->order);
    }
    if (rows % 2)
        place_row(&g, 0, g.half - 1, s->order);
}

/* Where the last row of a source wins, its rows take precedence in reverse; NULL = they do as they stand. */
static uint32_t *sequence_of(const pdb_parts *parts) {
    if (!parts->schema->last_in_source)
        return NULL;
    uint32_t *sequence = pdb_scratch_take(parts->rows, sizeof *sequence);
    size_t first = 0;
    for (size_t k = 0; k < parts->n; first += parts->part[k++].rows)
        for (size_t i = 0, rows = parts->part[k].rows; i < rows; i++)
            sequence[first + i] = (uint32_t)(first + rows - 1 - i);
    return sequence;
}

pdb_slicing pdb_slices_of(aic_arena *a, const pdb_parts *parts) {
    const pdb_schema *schema = parts->schema;
    pdb_scratch scratch = pdb_scratch_begin();
    growing g = {.keys = {.words = schema->n_cats - schema->n_extra}};
    uint32_t *slice_of = pdb_scratch_take(parts->rows, sizeof *slice_of);
    size_t first = 0;
    for (size_t k = 0; k < parts->n && !g.fault; first += parts->part[k++].rows)
        if (parts->part[k].rows)
            assign(&g, parts->view, schema, &parts->part[k], slice_of + first);
    pdb_slicing s = slices_of(a, &g);
    if (!s.fault)
        group(a, &s, slice_of, parts->rows, sequence_of(parts));
    pdb_scratch_end(&scratch);
    return s;
}

/* ---- rows one by one ----------------------------------------------------------------------------- */

struct pdb_grouping {
    growing g;
    uint32_t *slice_of;
    size_t rows, cap;
};

pdb_grouping *pdb_grouping_new(int n_key) {
    pdb_grouping *g = AIC_NEW(pdb_grouping);
    g->g.keys.words = n_key;
    return g;
}

void pdb_grouping_add(pdb_grouping *g, const uint64_t *cat) {
    AIC_GROW(g->slice_of, g->rows, g->cap);
    g->slice_of[g->rows++] = pdb_number(&g->g.keys, cat);
}

pdb_slicing pdb_grouping_finish(pdb_grouping *g, aic_arena *a, const uint32_t *sequence) {
    pdb_scratch scratch = pdb_scratch_begin();
    pdb_slicing s = slices_of(a, &g->g);
    group(a, &s, g->slice_of, g->rows, sequence);
    g->g.keys = (pdb_numbers){0};
    pdb_scratch_end(&scratch);
    pdb_grouping_free(g);
    return s;
}

void pdb_grouping_free(pdb_grouping *g) {
    pdb_numbers_free(&g->g.keys);
    free(g->slice_of);
    free(g);
}
