/* Reference answers about slots, opened versions, source lists and whole tables, checked against a database.
 * Used by test_source.c and test_table.c on the embedded system and by parity/parity_perfdb.c on all of them.
 */
#ifndef AICFG_TESTS_PERFDB_CASES_H
#define AICFG_TESTS_PERFDB_CASES_H

#include "json_lines.h"
#include "perfdb/internal.h"
#include "table_schemas.h"
#include <assert.h>

typedef struct tally {
    size_t asked, wrong;
} tally;

typedef struct perfdb_cases {
    pdb *db;
    aic_arena *arena;
    tally slots, get, sources, tables, absent, rows;
    struct {
        const char *why;
        size_t n;
    } skips[8];         /* what was not compared, by reason; unused ones have none */
    const merged *more; /* further tables, n_more of them, that `load` gives */
    size_t n_more;
    const pdb_table *(*load)(const pdb_view *view, const pdb_schema *schema, const char **why);
} perfdb_cases;

static void skip(perfdb_cases *t, const char *why) {
    size_t i = 0;
    while (t->skips[i].why && strcmp(t->skips[i].why, why) != 0)
        i++;
    assert(i < sizeof t->skips / sizeof *t->skips);
    t->skips[i].why = why;
    t->skips[i].n++;
}

static void mark(tally *t, bool right, const aic_node *line, const char *what) {
    t->asked++;
    if (right || t->wrong++ >= 20)
        return;
    fprintf(stderr, "%s %s %s %s: %s\n", json_text(line, "kind"), json_text(line, "system"),
            json_text(line, "backend"), json_text(line, "version"), what);
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ---- slots, opened versions ------------------------------------------------------------------ */

static void case_slots(perfdb_cases *t, const aic_node *line) {
    const char *system = json_text(line, "system"), *backend = json_text(line, "backend");
    const aic_node *want = aic_map_get(line, "slots");
    pdb_slots s = {0};
    bool any = pdb_release_slots(t->db->releases[0], system, backend, &s);
    bool right = any == (want->kind == AIC_K_MAP);
    if (any && right)
        right = same_text(s.current, json_text(want, "current")) &&
                same_text(s.previous, json_text(want, "previous")) &&
                same_text(s.next, json_text(want, "next"));
    mark(&t->slots, right, line, "slots");
    aic_error err;
    const pdb_view *v = pdb_system_has_data(t->db, system)
                            ? pdb_view_get(t->db, system, backend, NULL, true, false, &err)
                            : NULL;
    if (pdb_system_has_data(t->db, system))
        mark(&t->slots, same_text(v ? v->version : NULL, json_text(line, "latest")), line, "latest");
}

static void case_get(perfdb_cases *t, const aic_node *line) {
    const aic_node *args = aic_map_get(line, "args"), *opts = aic_map_get(line, "opts"),
                   *ok = aic_map_get(line, "ok");
    const char *mode = json_text(opts, "database_mode"), *system = args->items[0]->text,
               *version = args->items[2]->text;
    bool shared = !mode || strcmp(mode, "SILICON") == 0 || strcmp(mode, "HYBRID") == 0;
    if (aic_map_get(opts, "shared_layer"))
        shared = json_bool(opts, "shared_layer");
    bool unlisted = json_bool(opts, "allow_unlisted_version") || json_bool(opts, "allow_missing_data");
    /* An empty version is the latest here; systems of other files are not at hand. */
    bool present = pdb_system_has_data(t->db, system) || !ok || ok->kind == AIC_K_NULL || unlisted;
    if (!*version || !present) {
        skip(t,
             *version ? "opening a system that is not at hand" : "opening an empty version: the latest here");
        return;
    }
    aic_error err = {0};
    const pdb_view *v = pdb_view_get(t->db, system, args->items[1]->text, version, shared, unlisted, &err);
    bool wanted = ok && ok->kind == AIC_K_MAP, right = wanted == (v != NULL);
    if (v && wanted)
        right = same_text(v->version, json_text(ok, "version")) && v->shared == json_bool(ok, "shared_layer");
    if (!v)
        right &= err.code == AIC_BAD_INPUT && *err.text;
    mark(&t->get, right, line, v ? v->version : err.text);
}

/* ---- source lists ---------------------------------------------------------------------------- */

static char *stem(aic_arena *a, const char *file) {
    const char *dot = strrchr(file, '.');
    return aic_arena_strndup(a, file, dot ? (size_t)(dot - file) : strlen(file));
}

static bool same_source(const pdb_source *s, const aic_node *record) {
    aic_node *const *part = record->items;
    const aic_node *kernels = part[4];
    char path[300], tail[300];
    snprintf(path, sizeof path, "%s", part[1]->text);
    snprintf(tail, sizeof tail, "/%s/%s/", s->backend, s->version);
    bool same = strcmp(s->version, part[0]->text) == 0 &&
                strcmp(pdb_channel_name(s->channel), part[2]->text) == 0 && s->exists == part[3]->b &&
                strstr(path, tail) != NULL;
    if (kernels->kind == AIC_K_NULL)
        return same && !s->n_kernels;
    same = same && s->n_kernels == kernels->count;
    for (size_t i = 0; same && i < kernels->count; i++)
        same = strcmp(s->kernels[i], kernels->items[i]->text) == 0;
    return same;
}

static const pdb_view *view_of(perfdb_cases *t, const aic_node *line, bool shared) {
    aic_error err;
    const char *system = json_text(line, "system");
    if (!pdb_system_has_data(t->db, system)) {
        skip(t, "a system that is not at hand");
        return NULL;
    }
    return pdb_view_get(t->db, system, json_text(line, "backend"), json_text(line, "version"), shared, true,
                        &err);
}

static void case_sources(perfdb_cases *t, const aic_node *line) {
    const pdb_view *v = view_of(t, line, json_bool(line, "shared"));
    if (!v)
        return;
    const aic_node *want = aic_map_get(line, "records");
    const pdb_source *list;
    const char *table = stem(t->arena, json_text(line, "op_file"));
    size_t n = pdb_sources(v, table, &list);
    bool right = n == want->count;
    for (size_t i = 0; right && i < n; i++)
        right = same_source(&list[i], want->items[i]);
    mark(&t->sources, right, line, table);
}

/* ---- whole tables ---------------------------------------------------------------------------- */

/* Sum rounded once, by keeping the error terms (Shewchuk). */
typedef struct exact_sum {
    double part[64];
    int n;
} exact_sum;

static void exact_add(exact_sum *s, double x) {
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        double y = s->part[i];
        if (fabs(x) < fabs(y)) {
            double swap = x;
            x = y;
            y = swap;
        }
        double hi = x + y, lo = y - (hi - x);
        if (lo != 0)
            s->part[kept++] = lo;
        x = hi;
    }
    s->part[kept++] = x;
    s->n = kept;
}

static double exact_value(const exact_sum *s) {
    double total = 0;
    for (int i = 0; i < s->n; i++) /* smallest first; terms do not overlap */
        total += s->part[i];
    return total;
}

typedef struct content {
    char **keys;
    size_t n, cap;
    exact_sum latency, energy;
    double least, most;
} content;

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_category(const pdb_view *v, const pdb_schema *s, const pdb_slice *slice, int i,
                         aic_buf *key) {
    if (s->cats[i].text)
        aic_buf_printf(key, "%s\x1f", pdb_text(v, slice->cat[i]));
    else
        aic_buf_printf(key, "%llu\x1f", (unsigned long long)slice->cat[i]);
}

static void add_leaves(content *c, aic_arena *a, const pdb_grid *g, const char *prefix, int level,
                       uint32_t lo, uint32_t hi) {
    for (uint32_t j = lo; j < hi; j++) {
        char *key = aic_arena_printf(a, "%s%s%llu", prefix, level ? "\x1f" : "",
                                     (unsigned long long)g->keys[level][j]);
        if (level < g->axes - 1) {
            add_leaves(c, a, g, key, level + 1, g->first[level][j], g->first[level][j + 1]);
            continue;
        }
        AIC_GROW(c->keys, c->n, c->cap);
        c->keys[c->n++] = key;
        const pdb_leaf leaf = pdb_grid_leaf(g, j);
        exact_add(&c->latency, leaf.latency);
        exact_add(&c->energy, leaf.energy);
        c->least = c->n == 1 || leaf.latency < c->least ? leaf.latency : c->least;
        c->most = c->n == 1 || leaf.latency > c->most ? leaf.latency : c->most;
    }
}

/* A table by its reference name; *further: it is one that `load` gives. */
static const merged *merged_of(const perfdb_cases *t, const char *attr, bool *further) {
    *further = false;
    for (size_t i = 0; i < sizeof merged_tables / sizeof *merged_tables; i++)
        if (strcmp(merged_tables[i].attr, attr) == 0)
            return &merged_tables[i];
    *further = true;
    for (size_t i = 0; i < t->n_more; i++)
        if (strcmp(t->more[i].attr, attr) == 0)
            return &t->more[i];
    return NULL;
}

static const pdb_table *table_of(const perfdb_cases *t, bool further, const pdb_view *v,
                                 const pdb_schema *s) {
    const char *why;
    return further ? t->load(v, s, &why) : pdb_table_get(v, s, &why);
}

static void add_table(content *c, aic_arena *a, const pdb_view *v, const pdb_schema *s, const pdb_table *t) {
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const pdb_slice *slice = pdb_slice_at(t, i);
        aic_buf key = {0};
        for (int k = 0; k < s->n_cats - s->n_extra; k++)
            add_category(v, s, slice, k, &key);
        add_leaves(c, a, pdb_slice_grid(slice), key.data, 0, 0, pdb_slice_grid(slice)->n[0]);
        aic_buf_free(&key);
    }
}

static void key_hash(content *c, char hex[65]) {
    if (c->n)
        qsort(c->keys, c->n, sizeof *c->keys, by_text);
    aic_sha256 *h = aic_sha256_new();
    for (size_t i = 0; i < c->n; i++) {
        if (i)
            aic_sha256_add(h, "\n", 1);
        aic_sha256_add(h, c->keys[i], strlen(c->keys[i]));
    }
    aic_sha256_hex(h, hex);
}

static void case_table(perfdb_cases *t, const aic_node *line) {
    bool further;
    const merged *m = merged_of(t, json_text(line, "attr"), &further);
    const pdb_view *v = m ? view_of(t, line, true) : NULL;
    if (!m)
        skip(t, "tables that ops read under other keys (their answers are compared as ops)");
    if (!v)
        return;
    aic_arena *a = aic_arena_new();
    content c = {0};
    for (int i = 0; i < 2 && m->parts[i]; i++)
        add_table(&c, a, v, m->parts[i], table_of(t, further, v, m->parts[i]));
    char hex[65], what[200];
    key_hash(&c, hex);
    double latency = exact_value(&c.latency), energy = exact_value(&c.energy);
    bool right = c.n == (size_t)json_real(line, "leaves") &&
                 strncmp(hex, json_text(line, "keyhash"), 16) == 0 &&
                 latency == json_real(line, "sum_latency") && energy == json_real(line, "sum_energy");
    if (c.n)
        right =
            right && c.least == json_real(line, "min_latency") && c.most == json_real(line, "max_latency");
    snprintf(what, sizeof what, "%s: %zu leaves, latency %.17g, keys %.16s", m->attr, c.n, latency, hex);
    mark(&t->tables, right, line, what);
    free(c.keys);
    aic_arena_free(a);
}

/* Tables the version does not have. */
static void case_absent(perfdb_cases *t, const aic_node *line) {
    const aic_node *attrs = aic_map_get(line, "attrs");
    const pdb_view *v = view_of(t, line, true);
    for (size_t k = 0; v && k < attrs->count; k++) {
        bool further, empty = true;
        const merged *m = merged_of(t, attrs->items[k]->text, &further);
        if (!m) {
            skip(t, "absent tables that ops read under other keys");
            continue;
        }
        for (int i = 0; i < 2 && m->parts[i]; i++) {
            const pdb_table *table = table_of(t, further, v, m->parts[i]);
            empty = empty && (!table || pdb_slice_count(table) == 0);
        }
        mark(&t->absent, empty, line, m->attr);
    }
}

static void case_lanes(perfdb_cases *t, const aic_node *line) {
    (void)line;
    skip(t, "rows per kernel lane (the order they give is compared as lanes)");
}

static void case_error(perfdb_cases *t, const aic_node *line) {
    (void)line;
    skip(t, "refusals of ops (compared as ops)");
}

/* ---- single rows ----------------------------------------------------------------------------- */

/* Reads the key parts of a row into categories and axes. */
static void read_key(const pdb_view *v, const pdb_schema *s, const aic_node *key, uint64_t *cat,
                     double *axis) {
    int n = s->n_cats - s->n_extra;
    for (int i = 0; i < n; i++)
        cat[i] =
            s->cats[i].text ? pdb_text_id(v, key->items[i]->text) : strtoull(key->items[i]->text, NULL, 10);
    for (int i = 0; i < s->n_axes; i++)
        axis[i] = strtod(key->items[n + i]->text, NULL);
}

static double no_sol(const void *ctx, const double *coords) {
    (void)ctx;
    (void)coords;
    return 0;
}

static void case_row(perfdb_cases *t, const aic_node *line) {
    bool further;
    const merged *m = merged_of(t, json_text(line, "attr"), &further);
    const pdb_view *v = m ? view_of(t, line, true) : NULL;
    if (!m)
        skip(t, "rows of such tables");
    if (!v)
        return;
    const aic_node *leaf = aic_map_get(line, "leaf");
    bool right = false;
    for (int i = 0; i < 2 && m->parts[i] && !right; i++) {
        uint64_t cat[PDB_MAX_CATS];
        double axis[PDB_MAX_AXES];
        const pdb_table *table = table_of(t, further, v, m->parts[i]);
        if (!table)
            continue;
        read_key(v, m->parts[i], aic_map_get(line, "key"), cat, axis);
        const pdb_slice *s = pdb_slice_find(table, cat);
        pdb_value got;
        right = s && pdb_grid_query(pdb_slice_grid(s), axis, -1, no_sol, NULL, &got) == PDB_HIT &&
                got.how == PDB_EXACT && got.latency == json_real(leaf, "latency") &&
                got.energy == json_real(leaf, "energy") && got.power == json_real(leaf, "power");
    }
    mark(&t->rows, right, line, m->attr);
}

static void perfdb_case(void *ctx, const aic_node *line) {
    static const struct {
        const char *kind;
        void (*run)(perfdb_cases *t, const aic_node *line);
    } kinds[] = {{"slots", case_slots}, {"get", case_get},          {"sources", case_sources},
                 {"table", case_table}, {"view_none", case_absent}, {"lanes", case_lanes},
                 {"error", case_error}, {"row", case_row}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (same_text(json_text(line, "kind"), kinds[i].kind))
            kinds[i].run(ctx, line);
}

#endif
