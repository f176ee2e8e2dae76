/* What importers know of tables by name: data/import.yaml (docs/formats/perfdb.md). */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <string.h>

#define FORMAT "aicfg-perfdb-import"
enum { FORMAT_VERSION = 1 };

struct pdb_import_facts {
    aic_arena *arena;
    const aic_node *root;
};

/* ---- the file ---------------------------------------------------------------------------------- */

/* What a rule of a section says. A key of the kind LIST holds texts; `must` counts those that no rule lacks.
 */
typedef struct section {
    const char *name;
    size_t must, n;
    struct {
        const char *name;
        aic_kind kind;
    } keys[6];
} section;

static const section sections[] = {
    {"tables",
     2,
     5,
     {{"old", AIC_K_TEXT},
      {"now", AIC_K_TEXT},
      {"backend", AIC_K_TEXT},
      {"version", AIC_K_TEXT},
      {"unless", AIC_K_TEXT}}},
    {"columns",
     4,
     4,
     {{"column", AIC_K_TEXT}, {"total", AIC_K_INT}, {"divided_by", AIC_K_TEXT}, {"tables", AIC_K_LIST}}},
    {"rows",
     2,
     5,
     {{"table", AIC_K_TEXT},
      {"column", AIC_K_TEXT},
      {"keep", AIC_K_LIST},
      {"drop", AIC_K_LIST},
      {"without", AIC_K_LIST}}},
    {"cells",
     3,
     4,
     {{"columns", AIC_K_LIST}, {"old", AIC_K_TEXT}, {"now", AIC_K_TEXT}, {"table", AIC_K_TEXT}}},
};

static bool check_texts(const aic_node *n, const char *what, aic_error *err) {
    const char *text;
    if (n->kind != AIC_K_LIST && n->kind != AIC_K_MAP)
        return aic_node_fail(err, n, "%s: expected texts, found %s", what, aic_kind_name(n->kind));
    for (size_t i = 0; i < n->count; i++)
        if (!aic_node_text(n->items[i], what, &text, err))
            return false;
    return true;
}

static bool check_value(const aic_node *n, const char *what, aic_kind kind, aic_error *err) {
    const char *text;
    int64_t whole;
    if (kind == AIC_K_INT)
        return aic_node_i64(n, what, 1, INT32_MAX, &whole, err);
    if (kind == AIC_K_TEXT)
        return aic_node_text(n, what, &text, err);
    return n->kind == AIC_K_LIST ? check_texts(n, what, err)
                                 : aic_node_fail(err, n, "%s: expected a list", what);
}

static bool check_rule(const aic_node *rule, const section *s, aic_error *err) {
    const char *names[6];
    for (size_t i = 0; i < s->n; i++)
        names[i] = s->keys[i].name;
    if (rule->kind != AIC_K_MAP)
        return aic_node_fail(err, rule, "expected a rule of %s, found %s", s->name,
                             aic_kind_name(rule->kind));
    if (!aic_map_check_keys(rule, s->name, names, s->n, err))
        return false;
    for (size_t i = 0; i < s->n; i++) {
        const aic_node *value = aic_map_get(rule, names[i]);
        if (!value && i < s->must)
            return aic_node_fail(err, rule, "a rule of %s lacks '%s'", s->name, names[i]);
        if (value && !check_value(value, names[i], s->keys[i].kind, err))
            return false;
    }
    return true;
}

static bool check_section(const aic_node *root, const section *s, aic_error *err) {
    const aic_node *rules = aic_map_get(root, s->name);
    if (!rules || rules->kind != AIC_K_LIST)
        return aic_node_fail(err, rules ? rules : root, "expected '%s' to be a list of rules", s->name);
    for (size_t i = 0; i < rules->count; i++)
        if (!check_rule(rules->items[i], s, err))
            return false;
    return true;
}

/* A mapping to texts (leaf TEXT) or to lists of texts. */
static bool check_map(const aic_node *root, const char *name, aic_kind leaf, aic_error *err) {
    const aic_node *map = aic_map_get(root, name);
    if (!map || map->kind != AIC_K_MAP)
        return aic_node_fail(err, map ? map : root, "expected '%s' to be a mapping", name);
    for (size_t i = 0; i < map->count; i++)
        if (!check_value(map->items[i], name, leaf, err))
            return false;
    return true;
}

static bool check(const aic_node *root, aic_error *err) {
    static const char *const known[] = {"format",  "version", "families", "systems", "tables",
                                        "headers", "columns", "rows",     "cells"};
    if (root->kind != AIC_K_MAP)
        return aic_node_fail(err, root, "expected a mapping, found %s", aic_kind_name(root->kind));
    const aic_node *format = aic_map_get(root, "format"), *version = aic_map_get(root, "version");
    if (!format || !format->text || strcmp(format->text, FORMAT) != 0)
        return aic_node_fail(err, format ? format : root, "expected 'format: " FORMAT "'");
    if (!version || version->kind != AIC_K_INT || version->i != FORMAT_VERSION)
        return aic_node_fail(err, version ? version : root,
                             "expected 'version: %d', the one this program reads", FORMAT_VERSION);
    if (!aic_map_check_keys(root, "the file", known, sizeof known / sizeof *known, err) ||
        !check_map(root, "families", AIC_K_LIST, err) || !check_map(root, "systems", AIC_K_TEXT, err) ||
        !check_map(root, "headers", AIC_K_LIST, err))
        return false;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (!check_section(root, &sections[i], err))
            return false;
    return true;
}

pdb_import_facts *pdb_import_facts_load(const char *path, aic_error *err) {
    aic_arena *a = aic_arena_new();
    pdb_import_facts *f = aic_arena_alloc(a, 1, sizeof *f);
    f->arena = a;
    f->root = aic_doc_yaml_file(a, path, err);
    if (f->root && check(f->root, err))
        return f;
    aic_arena_free(a);
    return NULL;
}

void pdb_import_facts_free(pdb_import_facts *f) {
    if (f)
        aic_arena_free(f->arena);
}

/* ---- names ------------------------------------------------------------------------------------- */

static bool is(const aic_node *n, const char *text) {
    return strcmp(n->text, text) == 0;
}

static bool holds(const aic_node *list, const char *text) {
    for (size_t i = 0; list && i < list->count; i++)
        if (is(list->items[i], text))
            return true;
    return false;
}

/* The file writes tables without this. */
static const char ending[] = "_perf";

static bool is_table(const aic_node *n, const char *table) {
    size_t len = strlen(n->text);
    return strncmp(n->text, table, len) == 0 && strcmp(table + len, ending) == 0;
}

static bool holds_table(const aic_node *list, const char *table) {
    for (size_t i = 0; i < list->count; i++)
        if (is_table(list->items[i], table))
            return true;
    return false;
}

const char *pdb_import_family(const pdb_import_facts *f, const char *table) {
    const aic_node *families = aic_map_get(f->root, "families");
    for (size_t i = 0; i < families->count; i++)
        if (holds_table(families->items[i], table))
            return families->keys[i]->text;
    return NULL;
}

const char *pdb_import_system(const pdb_import_facts *f, const char *system) {
    const aic_node *now = aic_map_get(aic_map_get(f->root, "systems"), system);
    return now ? now->text : system;
}

/* Says one of the files that it holds the table? */
static bool lies_there(const aic_node *n, const char *const *files, size_t n_files) {
    char stem[128];
    for (size_t i = 0; i < n_files; i++) {
        size_t len = strcspn(files[i], ".");
        snprintf(stem, sizeof stem, "%.*s", (int)(len < sizeof stem ? len : 0), files[i]);
        if (strcmp(files[i] + len, ".txt") == 0 && is_table(n, stem))
            return true;
    }
    return false;
}

const char *pdb_import_table(const pdb_import_facts *f, const char *table, const char *backend,
                             const char *version, const char *const *files, size_t n) {
    const aic_node *rules = aic_map_get(f->root, "tables");
    for (size_t i = 0; i < rules->count; i++) {
        const aic_node *rule = rules->items[i], *only_backend = aic_map_get(rule, "backend"),
                       *only_version = aic_map_get(rule, "version"), *unless = aic_map_get(rule, "unless");
        if (is_table(aic_map_get(rule, "old"), table) && (!only_backend || is(only_backend, backend)) &&
            (!only_version || is(only_version, version)) && !(unless && lies_there(unless, files, n)))
            return aic_arena_printf(f->arena, "%s%s", aic_map_get(rule, "now")->text, ending);
    }
    return table;
}

const aic_node *pdb_import_header(const pdb_import_facts *f, const char *table) {
    const aic_node *headers = aic_map_get(f->root, "headers");
    for (size_t i = 0; i < headers->count; i++)
        if (is_table(headers->keys[i], table))
            return headers->items[i];
    return NULL;
}

/* ---- what tables say --------------------------------------------------------------------------- */

static bool add_share(pdb_rows *r, const aic_node *rule, const char *path, aic_error *err) {
    const char *column = aic_map_get(rule, "column")->text, *by = aic_map_get(rule, "divided_by")->text;
    int64_t total = aic_map_get(rule, "total")->i;
    const pdb_cells *c = pdb_rows_find(r, by);
    if (pdb_rows_find(r, column))
        return true;
    if (!c || c->kind != PDB_CELL_INT)
        return aic_fail(err, AIC_BAD_INPUT, "%s: neither a column %s nor whole numbers in a column %s", path,
                        column, by);
    int64_t *shares = aic_alloc(r->rows, sizeof *shares);
    bool ok = true;
    for (size_t i = 0; ok && i < r->rows; i++) {
        int64_t part = (int64_t)pdb_cell_bits(c, i);
        ok = part >= 1 && part <= total;
        shares[i] = ok ? total / part : 0;
    }
    if (ok)
        pdb_rows_add(r, column, pdb_cells_of_ints(shares, r->rows));
    free(shares);
    return ok || aic_fail(err, AIC_BAD_INPUT, "%s: column %s: expected 1 to %d", path, by, (int)total);
}

/* Leaves out the rows that the rule does not keep; how many. */
static size_t choose_rows(pdb_rows *r, const aic_node *rule) {
    const aic_node *without = aic_map_get(rule, "without"), *keep = aic_map_get(rule, "keep"),
                   *drop = aic_map_get(rule, "drop");
    for (size_t i = 0; without && i < without->count; i++)
        if (!pdb_rows_find(r, without->items[i]->text))
            return 0;
    const pdb_cells *c = pdb_rows_find(r, aic_map_get(rule, "column")->text);
    if (!c || c->kind != PDB_CELL_TEXT)
        return 0;
    size_t *kept = aic_alloc(r->rows, sizeof *kept), n = 0, before = r->rows;
    for (size_t i = 0; i < r->rows; i++) {
        const char *text = c->members[pdb_cell_bits(c, i)];
        if ((!keep || holds(keep, text)) && !holds(drop, text))
            kept[n++] = i;
    }
    if (n < before)
        pdb_rows_keep(r, kept, n);
    free(kept);
    for (size_t i = 0; without && i < without->count; i++)
        pdb_rows_remove(r, without->items[i]->text);
    return before - n;
}

static size_t rename_cells(pdb_rows *r, const aic_node *rule) {
    const aic_node *columns = aic_map_get(rule, "columns");
    const char *old = aic_map_get(rule, "old")->text, *now = aic_map_get(rule, "now")->text;
    size_t renamed = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->cells[i].kind == PDB_CELL_TEXT && holds(columns, r->names[i]))
            renamed += pdb_cells_rename(&r->cells[i], old, now);
    return renamed;
}

bool pdb_import_translate(const pdb_import_facts *f, const char *table, const char *path, pdb_rows *r,
                          pdb_import_summary *sum, aic_error *err) {
    const aic_node *columns = aic_map_get(f->root, "columns"), *rows = aic_map_get(f->root, "rows"),
                   *cells = aic_map_get(f->root, "cells");
    for (size_t i = 0; i < columns->count; i++)
        if (holds_table(aic_map_get(columns->items[i], "tables"), table) &&
            !add_share(r, columns->items[i], path, err))
            return false;
    for (size_t i = 0; i < rows->count; i++)
        if (is_table(aic_map_get(rows->items[i], "table"), table))
            sum->dropped += choose_rows(r, rows->items[i]);
    for (size_t i = 0; i < cells->count; i++) {
        const aic_node *only = aic_map_get(cells->items[i], "table");
        if (!only || is_table(only, table))
            sum->renamed += rename_cells(r, cells->items[i]);
    }
    return true;
}
