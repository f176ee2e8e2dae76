/* The one name of a mode that changed: what releases up to 0.8 measured as float16 is bfloat16 today. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

static const char old_name[] = "float16", new_name[] = "bfloat16";

/* Columns of modes; the collectives' own (nccl_dtype) have other names. */
static bool holds_modes(const char *column) {
    static const char *const names[] = {"allreduce_dtype", "attn_dtype",     "bmm_dtype", "gemm_dtype",
                                        "gemm_type",       "kv_cache_dtype", "mla_dtype", "moe_dtype"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], column) == 0)
            return true;
    return false;
}

static size_t member_of(const pdb_cells *c, const char *text) {
    for (size_t i = 0; i < c->n_members && c->members[i]; i++)
        if (strcmp(c->members[i], text) == 0)
            return i;
    return SIZE_MAX;
}

/* Where a column holds both names, their cells become one member. */
static size_t rename_cells(pdb_cells *c) {
    size_t old = member_of(c, old_name), now = member_of(c, new_name), n = 0, renamed = 0;
    if (old == SIZE_MAX)
        return 0;
    size_t first = now < old ? now : old;
    const char **members = AIC_NEW_ARRAY(const char *, c->n_members);
    uint32_t *rank = AIC_NEW_ARRAY(uint32_t, c->n_members), *cells = aic_alloc(c->rows, sizeof *cells);
    for (size_t i = 0; i < c->n_members && c->members[i]; i++) {
        bool mode = i == old || i == now;
        rank[i] = mode && i != first ? rank[first] : (uint32_t)n;
        if (!mode || i == first)
            members[n++] = mode ? new_name : c->members[i];
    }
    for (size_t i = 0; i < c->rows; i++) {
        uint64_t cell = pdb_cell_bits(c, i);
        renamed += cell == old;
        cells[i] = rank[cell];
    }
    pdb_cells made = pdb_cells_of_texts(cells, c->rows, members, n);
    free(members);
    free(rank);
    free(cells);
    pdb_cells_free(c);
    *c = made;
    return renamed;
}

size_t pdb_rows_rename_modes(pdb_rows *r) {
    size_t renamed = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->cells[i].kind == PDB_CELL_TEXT && holds_modes(r->names[i]))
            renamed += rename_cells(&r->cells[i]);
    return renamed;
}
