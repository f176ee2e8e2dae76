/* Two perfdb files or folders, table by table. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *pdb_change_name(pdb_change c) {
    static const char *const names[] = {"same", "added", "removed", "changed"};
    return names[c];
}

typedef struct differ {
    pdb_file *a, *b; /* NULL: the system is on one side only */
    const char *system;
    aic_arena *arena;
    void (*visit)(void *ctx, const pdb_table_diff *d);
    void *ctx;
} differ;

/* ---- rows ------------------------------------------------------------------------------------- */

/* A column that both tables have. */
typedef struct pair {
    size_t a, b;
    pdb_role role;
} pair;

typedef struct comparison {
    const pdb_rows *a, *b;
    pair *pairs;
    size_t n_pairs;
    size_t *keys_a, *keys_b, n_keys;
    double *moves; /* of the changed rows */
    pdb_table_diff *d;
} comparison;

static size_t column_of(const pdb_rows *r, const char *name) {
    size_t i = 0;
    while (i < r->n && strcmp(r->names[i], name) != 0)
        i++;
    return i;
}

/* Text against numbers cannot be compared; integers against doubles can, where they were measured. */
static bool comparable(const pdb_cells *a, const pdb_cells *b, pdb_role role) {
    bool texts = a->kind == PDB_CELL_TEXT || b->kind == PDB_CELL_TEXT;
    return a->kind == b->kind || (role == PDB_ROLE_VALUE && !texts);
}

static const char *only_in(aic_arena *arena, const pdb_rows *r, const pdb_rows *other) {
    aic_buf list = {0};
    for (size_t i = 0; i < r->n; i++) {
        size_t at = column_of(other, r->names[i]);
        pdb_role role = pdb_column_role(r->names[i], r->cells[i].kind);
        if (at == other->n || !comparable(&r->cells[i], &other->cells[at], role))
            aic_buf_printf(&list, "%s%s", list.len ? ", " : "", r->names[i]);
    }
    const char *text = aic_arena_strdup(arena, list.len ? list.data : "");
    aic_buf_free(&list);
    return text;
}

static void clear_columns(comparison *c) {
    free(c->pairs);
    free(c->keys_a);
    free(c->keys_b);
}

/* kernels: is the kernel of a row part of its key? */
static void pair_columns(comparison *c, bool kernels) {
    c->n_pairs = c->n_keys = 0;
    clear_columns(c);
    c->pairs = AIC_NEW_ARRAY(pair, c->a->n);
    c->keys_a = AIC_NEW_ARRAY(size_t, c->a->n);
    c->keys_b = AIC_NEW_ARRAY(size_t, c->a->n);
    for (size_t i = 0; i < c->a->n; i++) {
        size_t at = column_of(c->b, c->a->names[i]);
        pdb_role role = pdb_column_role(c->a->names[i], c->a->cells[i].kind);
        if (at == c->b->n || !comparable(&c->a->cells[i], &c->b->cells[at], role))
            continue;
        c->pairs[c->n_pairs++] = (pair){i, at, role};
        if (role == PDB_ROLE_KEY && (kernels || strcmp(c->a->names[i], "kernel_source") != 0)) {
            c->keys_a[c->n_keys] = i;
            c->keys_b[c->n_keys++] = at;
        }
    }
}

static double move_of(double a, double b) {
    return a == b ? 0 : a == 0 ? (b > 0 ? INFINITY : -INFINITY) : (b - a) / a;
}

/* The key of a row and what moved, for a reader. */
static const char *describe(const comparison *c, aic_arena *arena, size_t row_a, size_t row_b,
                            const pair *worst) {
    aic_buf text = {0};
    for (size_t i = 0; i < c->n_keys; i++) {
        const pdb_cells *cells = &c->a->cells[c->keys_a[i]];
        const char *name = c->a->names[c->keys_a[i]];
        uint64_t bits = pdb_cell_bits(cells, row_a);
        aic_buf_printf(&text, "%s%s=", i ? ", " : "", name);
        if (cells->kind == PDB_CELL_TEXT)
            aic_buf_add(&text, cells->members[bits]);
        else
            aic_buf_printf(&text, "%.15g", pdb_cell_number(cells, row_a));
    }
    aic_buf_printf(&text, "%s%s %.6g -> %.6g", text.len ? ": " : "", c->a->names[worst->a],
                   pdb_cell_number(&c->a->cells[worst->a], row_a),
                   pdb_cell_number(&c->b->cells[worst->b], row_b));
    const char *kept = aic_arena_strdup(arena, text.data);
    aic_buf_free(&text);
    return kept;
}

/* Two rows of one key: how far their measured columns lie apart. NaN counts as unequal to everything but NaN.
 */
static void compare_row(comparison *c, aic_arena *arena, size_t row_a, size_t row_b) {
    const pair *worst = NULL;
    double move = 0;
    for (size_t i = 0; i < c->n_pairs; i++) {
        const pair *p = &c->pairs[i];
        if (p->role != PDB_ROLE_VALUE || c->a->cells[p->a].kind == PDB_CELL_TEXT)
            continue;
        double x = pdb_cell_number(&c->a->cells[p->a], row_a), y = pdb_cell_number(&c->b->cells[p->b], row_b);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        double m = isnan(x) || isnan(y) ? INFINITY : move_of(x, y);
        if (!worst || fabs(m) > fabs(move)) {
            worst = p;
            move = m;
        }
    }
    if (!worst)
        return;
    if (!c->d->changed || fabs(move) > fabs(c->d->worst)) {
        c->d->worst = move;
        c->d->worst_at = describe(c, arena, row_a, row_b, worst);
    }
    c->moves[c->d->changed++] = move;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void match_rows(comparison *c, aic_arena *arena) {
    aic_intern *texts = aic_intern_new();
    pdb_keys *a = pdb_keys_new(c->a, c->keys_a, c->n_keys, texts),
             *b = pdb_keys_new(c->b, c->keys_b, c->n_keys, texts);
    size_t matched = 0, last = 0;
    c->d->added = c->d->changed = 0;
    free(c->moves);
    c->moves = AIC_NEW_ARRAY(double, c->b->rows);
    for (size_t row = 0; row < c->b->rows; row++) {
        size_t at = pdb_keys_take(a, b, row);
        if (at == SIZE_MAX) {
            c->d->added++;
            continue;
        }
        c->d->reordered |= matched && at < last;
        last = at;
        matched++;
        compare_row(c, arena, at, row);
    }
    c->d->removed = c->a->rows - matched;
    if (c->d->changed) {
        qsort(c->moves, c->d->changed, sizeof *c->moves, by_value);
        c->d->median = c->moves[c->d->changed / 2];
    }
    pdb_keys_free(a);
    pdb_keys_free(b);
    aic_intern_free(texts);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static bool compare_rows(differ *f, pdb_table_diff *d, aic_error *err) {
    pdb_rows a = {0}, b = {0};
    bool ok = pdb_rows_read(f->a, d->group, &a, err) && pdb_rows_read(f->b, d->group_b, &b, err);
    if (ok) {
        comparison c = {.a = &a, .b = &b, .d = d};
        d->columns_removed = only_in(f->arena, &a, &b);
        d->columns_added = only_in(f->arena, &b, &a);
        pair_columns(&c, true);
        match_rows(&c, f->arena);
        if (d->removed == a.rows &&
            strcmp(d->group, d->group_b) != 0) { /* a version that names its kernels anew */
            pair_columns(&c, false);
            match_rows(&c, f->arena);
            d->kernels = true;
        }
        clear_columns(&c);
        free(c.moves);
    }
    pdb_rows_free(&a);
    pdb_rows_free(&b);
    return ok;
}

/* The rows of a group and its digest, "" where the file has none. */
static bool look(pdb_file *file, const char *group, size_t *rows, char digest[65], aic_error *err) {
    pdb_group *g = pdb_group_open(file, group, err);
    bool ok = g && pdb_group_attr(g, "digest", digest, 65, err);
    *rows = g ? pdb_group_rows(g) : 0;
    pdb_group_close(g);
    return ok;
}

/* A table of one name, or of two; NULL: a side that lacks it. */
static bool diff_group(differ *f, const char *in_a, const char *in_b, aic_error *err) {
    char digest_a[65] = "", digest_b[65] = "";
    pdb_table_diff d = {.system = f->system,
                        .group = in_a ? in_a : in_b,
                        .group_b = in_b ? in_b : in_a,
                        .change = !in_b ? PDB_REMOVED : PDB_ADDED,
                        .columns_added = "",
                        .columns_removed = "",
                        .worst_at = ""};
    if ((in_a && !look(f->a, in_a, &d.rows_a, digest_a, err)) ||
        (in_b && !look(f->b, in_b, &d.rows_b, digest_b, err)))
        return false;
    if (in_a && in_b)
        d.change = strcmp(digest_a, digest_b) == 0 ? PDB_SAME : PDB_CHANGED;
    d.added = in_a ? 0 : d.rows_b;
    d.removed = in_b ? 0 : d.rows_a;
    if (d.change == PDB_CHANGED && !compare_rows(f, &d, err))
        return false;
    f->visit(f->ctx, &d);
    return true;
}

static bool list_groups(pdb_file *f, aic_arena *a, const char ***groups, size_t *n, aic_error *err) {
    *n = 0;
    return !f || pdb_file_groups(f, a, groups, n, err);
}

static bool diff_files(differ *f, aic_error *err) {
    const char **a = NULL, **b = NULL;
    size_t n_a, n_b, i = 0, k = 0;
    bool ok = list_groups(f->a, f->arena, &a, &n_a, err) && list_groups(f->b, f->arena, &b, &n_b, err);
    while (ok && (i < n_a || k < n_b)) {
        int order = i == n_a ? 1 : k == n_b ? -1 : strcmp(a[i], b[k]);
        ok = diff_group(f, order <= 0 ? a[i] : NULL, order >= 0 ? b[k] : NULL, err);
        i += order <= 0;
        k += order >= 0;
    }
    return ok;
}

/* ---- sides ------------------------------------------------------------------------------------ */

/* One side: a file, or the files of a release by system. */
typedef struct side {
    const char **systems, **paths;
    size_t n;
} side;

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool open_side(aic_arena *a, const char *path, side *out, aic_error *err) {
    if (is_folder(path)) {
        pdb *db = pdb_open(&path, 1, NULL, NULL, 0, err); /* it knows which release of a folder is meant */
        bool ok = db && pdb_release_files(a, db->releases[0]->dir, &out->systems, &out->paths, &out->n, err);
        pdb_close(db);
        return ok;
    }
    pdb_file *f = pdb_file_open(path, err);
    if (!f)
        return false;
    out->systems = aic_arena_alloc(a, 1, sizeof *out->systems);
    out->paths = aic_arena_alloc(a, 1, sizeof *out->paths);
    out->systems[0] = aic_arena_strdup(a, pdb_file_head(f)->system);
    out->paths[0] = path;
    out->n = 1;
    pdb_file_close(f);
    return true;
}

static bool diff_system(differ *f, const char *system, const char *a, const char *b, aic_error *err) {
    f->system = system;
    bool ok = (!a || (f->a = pdb_file_open(a, err))) && (!b || (f->b = pdb_file_open(b, err))) &&
              diff_files(f, err);
    pdb_file_close(f->a);
    pdb_file_close(f->b);
    f->a = f->b = NULL;
    return ok;
}

static bool diff_sides(differ *f, const side *a, const side *b, const char *system, aic_error *err) {
    size_t i = 0, k = 0, seen = 0;
    bool ok = true;
    while (ok && (i < a->n || k < b->n)) {
        int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->systems[i], b->systems[k]);
        const char *name = order <= 0 ? a->systems[i] : b->systems[k];
        if (!system || strcmp(system, name) == 0) {
            ok = diff_system(f, name, order <= 0 ? a->paths[i] : NULL, order >= 0 ? b->paths[k] : NULL, err);
            seen++;
        }
        i += order <= 0;
        k += order >= 0;
    }
    return ok &&
           (seen || aic_fail(err, AIC_BAD_INPUT, "neither side holds system %s", system ? system : "(any)"));
}

bool pdb_diff(const char *a, const char *b, const char *system,
              void (*visit)(void *ctx, const pdb_table_diff *d), void *ctx, aic_error *err) {
    side left = {0}, right = {0};
    differ f = {.arena = aic_arena_new(), .visit = visit, .ctx = ctx};
    bool ok = open_side(f.arena, a, &left, err) && open_side(f.arena, b, &right, err);
    if (ok && !is_folder(a) && !is_folder(b))
        right.systems = left.systems; /* two files are compared whatever systems they hold */
    ok = ok && diff_sides(&f, &left, &right, system, err);
    aic_arena_free(f.arena);
    return ok;
}

/* ---- one table of each side ------------------------------------------------------------------- */

/* The file of the system, or the one there is. */
static const char *file_of(const side *s, const char *system) {
    for (size_t i = 0; i < s->n; i++)
        if (!system || strcmp(s->systems[i], system) == 0)
            return s->paths[i];
    return NULL;
}

static const char *with_slash(aic_arena *a, const char *group) {
    return *group == '/' ? group : aic_arena_printf(a, "/%s", group);
}

static bool diff_tables(differ *f, const char *path_a, const char *path_b, const char *group_a,
                        const char *group_b, aic_error *err) {
    bool ok = (f->a = pdb_file_open(path_a, err)) && (f->b = pdb_file_open(path_b, err)) &&
              diff_group(f, with_slash(f->arena, group_a), with_slash(f->arena, group_b), err);
    pdb_file_close(f->a);
    pdb_file_close(f->b);
    return ok;
}

bool pdb_diff_tables(const char *a, const char *b, const char *system, const char *group_a,
                     const char *group_b, void (*visit)(void *ctx, const pdb_table_diff *d), void *ctx,
                     aic_error *err) {
    side left = {0}, right = {0};
    differ f = {.arena = aic_arena_new(), .visit = visit, .ctx = ctx};
    bool ok = open_side(f.arena, a, &left, err) && open_side(f.arena, b, &right, err);
    if (ok && !system && (left.n > 1 || right.n > 1))
        ok = aic_fail(err, AIC_BAD_INPUT, "a folder holds several systems: name one");
    const char *path_a = file_of(&left, is_folder(a) ? system : NULL),
               *path_b = file_of(&right, is_folder(b) ? system : NULL);
    if (ok && !(path_a && path_b))
        ok = aic_fail(err, AIC_BAD_INPUT, "%s holds no system %s", path_a ? b : a, system ? system : "(any)");
    if (ok) {
        f.system = left.n == 1 && !system ? left.systems[0] : system;
        ok = diff_tables(&f, path_a, path_b, group_a, group_b, err);
    }
    aic_arena_free(f.arena);
    return ok;
}
