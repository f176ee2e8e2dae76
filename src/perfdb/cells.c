/* Cells of a column: access, narrowing, digest (docs/formats/perfdb.md), and tables of columns. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

double pdb_cell_number(const pdb_cells *c, size_t row) {
    uint64_t bits = pdb_cell_bits(c, row);
    double real;
    if (c->kind == PDB_CELL_INT)
        return c->is_signed ? (double)(int64_t)bits : (double)bits;
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* ---- making columns --------------------------------------------------------------------------- */

static int width_for(uint64_t highest) {
    return highest <= UINT8_MAX ? 1 : highest <= UINT16_MAX ? 2 : highest <= UINT32_MAX ? 4 : 8;
}

static void put(pdb_cells *c, size_t row, uint64_t bits) {
    switch (c->width) {
    case 1:
        ((uint8_t *)c->data)[row] = (uint8_t)bits;
        return;
    case 2:
        ((uint16_t *)c->data)[row] = (uint16_t)bits;
        return;
    case 4:
        ((uint32_t *)c->data)[row] = (uint32_t)bits;
        return;
    default:
        ((uint64_t *)c->data)[row] = bits;
    }
}

pdb_cells pdb_cells_of_ints(const int64_t *values, size_t rows) {
    int64_t low = 0, high = 0;
    for (size_t i = 0; i < rows; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    pdb_cells c = {.kind = PDB_CELL_INT, .width = width_for((uint64_t)high), .rows = rows};
    if (low < 0) {
        c.width = 8;
        c.is_signed = true;
    }
    c.data = aic_alloc(rows, (size_t)c.width);
    for (size_t i = 0; i < rows; i++)
        put(&c, i, (uint64_t)values[i]);
    return c;
}

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(aic_alloc(size, 1), text, size);
}

pdb_cells pdb_cells_of_texts(const uint32_t *cells, size_t rows, const char *const *members, size_t n) {
    pdb_cells c = {.kind = PDB_CELL_TEXT, .width = n <= 256 ? 1 : 2, .rows = rows};
    c.n_members = (size_t)1 << (8 * c.width);
    c.members = AIC_NEW_ARRAY(char *, c.n_members);
    for (size_t i = 0; i < n; i++)
        c.members[i] = copy_text(members[i]);
    c.data = aic_alloc(rows, (size_t)c.width);
    for (size_t i = 0; i < rows; i++)
        put(&c, i, cells[i]);
    return c;
}

/* Cell i becomes the text names[cell rows[i]], or that of cell i. Equal names become one member; members
 * stand by first appearance, as in a column just read. */
static pdb_cells cells_named(const pdb_cells *c, const char *const *names, const size_t *rows, size_t n) {
    uint32_t *member = AIC_NEW_ARRAY(uint32_t, c->n_members), *cells = aic_alloc(n, sizeof *cells);
    const char **members = AIC_NEW_ARRAY(const char *, c->n_members);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t cell = pdb_cell_bits(c, rows ? rows[i] : i);
        if (!member[cell]) {
            size_t k = 0;
            while (k < used && strcmp(members[k], names[cell]) != 0)
                k++;
            if (k == used)
                members[used++] = names[cell];
            member[cell] = (uint32_t)k + 1;
        }
        cells[i] = member[cell] - 1;
    }
    pdb_cells made = pdb_cells_of_texts(cells, n, members, used);
    free(members);
    free(cells);
    free(member);
    return made;
}

static void replace(pdb_cells *c, pdb_cells made) {
    pdb_cells_free(c);
    *c = made;
}

size_t pdb_cells_rename(pdb_cells *c, const char *old, const char *now) {
    size_t which = 0, renamed = 0;
    while (which < c->n_members && !(c->members[which] && strcmp(c->members[which], old) == 0))
        which++;
    if (which == c->n_members)
        return 0;
    for (size_t i = 0; i < c->rows; i++)
        renamed += pdb_cell_bits(c, i) == which;
    const char **names = AIC_NEW_ARRAY(const char *, c->n_members);
    for (size_t i = 0; i < c->n_members; i++)
        names[i] = i == which ? now : c->members[i];
    replace(c, cells_named(c, names, NULL, c->rows));
    free(names);
    return renamed;
}

static pdb_cells cells_kept(const pdb_cells *c, const size_t *kept, size_t n) {
    if (c->kind == PDB_CELL_TEXT)
        return cells_named(c, (const char *const *)c->members, kept, n);
    int64_t *values = aic_alloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = (int64_t)pdb_cell_bits(c, kept[i]);
    if (c->kind == PDB_CELL_REAL) /* 64 bits are 64 bits */
        return (pdb_cells){.kind = PDB_CELL_REAL, .width = 8, .is_signed = true, .rows = n, .data = values};
    pdb_cells made = pdb_cells_of_ints(values, n);
    made.boolean = c->boolean;
    free(values);
    return made;
}

/* ---- digest ----------------------------------------------------------------------------------- */

static void digest_integers(aic_sha256 *h, const pdb_cells *c) {
    unsigned char bytes[8192];
    size_t used = 0;
    for (size_t i = 0; i < c->rows; i++) {
        uint64_t v = pdb_cell_bits(c, i);
        for (int b = 0; b < 8; b++)
            bytes[used++] = (unsigned char)(v >> (8 * b));
        if (used == sizeof bytes || i + 1 == c->rows) {
            aic_sha256_add(h, bytes, used);
            used = 0;
        }
    }
}

static void digest_texts(aic_sha256 *h, const pdb_cells *c) {
    for (size_t i = 0; i < c->rows; i++) {
        const char *text = c->members[pdb_cell_bits(c, i)];
        aic_sha256_add(h, text, strlen(text) + 1);
    }
}

void pdb_cells_digest(aic_sha256 *h, const char *name, const pdb_cells *c) {
    static const char tags[] = {'i', 'f', 's'};
    const char tag[2] = {tags[c->kind], '\0'};
    aic_sha256_add(h, name, strlen(name) + 1);
    aic_sha256_add(h, tag, sizeof tag);
    if (c->kind == PDB_CELL_INT)
        digest_integers(h, c);
    else if (c->kind == PDB_CELL_REAL)
        aic_sha256_add(h, c->data, c->rows * sizeof(double));
    else
        digest_texts(h, c);
}

/* ---- tables ----------------------------------------------------------------------------------- */

void pdb_rows_free(pdb_rows *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->names[i]);
        pdb_cells_free(&r->cells[i]);
    }
    free(r->names);
    free(r->cells);
    *r = (pdb_rows){0};
}

void pdb_rows_add(pdb_rows *r, const char *name, pdb_cells cells) {
    if (r->n == r->cap) {
        r->cap = r->cap ? aic_mul(r->cap, 2) : 32;
        r->names = aic_realloc(r->names, r->cap, sizeof *r->names);
        r->cells = aic_realloc(r->cells, r->cap, sizeof *r->cells);
    }
    r->names[r->n] = copy_text(name);
    r->cells[r->n++] = cells;
}

const pdb_cells *pdb_rows_find(const pdb_rows *r, const char *name) {
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->names[i], name) == 0)
            return &r->cells[i];
    return NULL;
}

void pdb_rows_sort_columns(pdb_rows *r) {
    for (size_t i = 1; i < r->n; i++) { /* a few dozen columns: insertion */
        char *name = r->names[i];
        pdb_cells cells = r->cells[i];
        size_t at = i;
        for (; at && strcmp(r->names[at - 1], name) > 0; at--) {
            r->names[at] = r->names[at - 1];
            r->cells[at] = r->cells[at - 1];
        }
        r->names[at] = name;
        r->cells[at] = cells;
    }
}

void pdb_rows_keep(pdb_rows *r, const size_t *kept, size_t n) {
    for (size_t i = 0; i < r->n; i++)
        replace(&r->cells[i], cells_kept(&r->cells[i], kept, n));
    r->rows = n;
}

void pdb_rows_remove(pdb_rows *r, const char *name) {
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->names[i], name) == 0) {
            free(r->names[i]);
            pdb_cells_free(&r->cells[i]);
            r->n--;
            memmove(r->names + i, r->names + i + 1, (r->n - i) * sizeof *r->names);
            memmove(r->cells + i, r->cells + i + 1, (r->n - i) * sizeof *r->cells);
            return;
        }
}

bool pdb_rows_read(pdb_file *f, const char *group, pdb_rows *out, aic_error *err) {
    *out = (pdb_rows){0};
    aic_arena *a = aic_arena_new();
    pdb_group *g = pdb_group_open(f, group, err);
    const char **names;
    size_t n = 0;
    bool ok = g && pdb_file_list(f, group, a, &names, &n, err);
    for (size_t i = 0; ok && i < n; i++) {
        pdb_cells cells;
        ok = pdb_group_read(g, names[i], NULL, &cells, err);
        if (ok) {
            cells.boolean = cells.kind == PDB_CELL_INT && pdb_group_is_boolean(g, names[i]);
            pdb_rows_add(out, names[i], cells);
        }
    }
    out->rows = g ? pdb_group_rows(g) : 0;
    pdb_group_close(g);
    aic_arena_free(a);
    if (!ok)
        pdb_rows_free(out);
    return ok;
}
