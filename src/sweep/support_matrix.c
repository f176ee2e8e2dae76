/* Models x systems x backends x versions, assessed side by side (docs/adding-a-model.md). */
#include "sweep/internal.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* A column of the matrix. */
typedef struct column {
    const char *system, *backend,
        *version;    /* version "" when there is no data; lives as long as the database */
    const char *why; /* then: why not */
    const pdb_system *sheet;
    const pdb_view *view; /* NULL when there is no data */
    size_t left;          /* models still to be assessed */
} column;

typedef struct matrix {
    const swp_support_ask *ask;
    const srv_env *env;
    aic_arena *arena; /* of the columns' texts, while the matrix is made */
    column *columns;
    size_t n, cap;
} matrix;

/* ---- columns --------------------------------------------------------------------------------------------
 */

/* Adds the version unless the last columns, of the same backend, have it. */
static void add_version(matrix *m, const pdb_system *sheet, const pdb_view *v) {
    for (size_t i = m->n; i > 0 && m->columns[i - 1].system == sheet->name; i--)
        if (strcmp(m->columns[i - 1].backend, v->backend) == 0 &&
            strcmp(m->columns[i - 1].version, v->version) == 0)
            return;
    AIC_GROW(m->columns, m->n, m->cap);
    m->columns[m->n++] = (column){sheet->name, v->backend, v->version, NULL, sheet, v, m->ask->n_models};
}

static void add_versions(matrix *m, const pdb_system *sheet, const char *backend) {
    static const char *const slots[] = {"current", "previous", "next"};
    const swp_support_ask *ask = m->ask;
    const char *one[] = {ask->version ? ask->version : ""};
    bool all = ask->all_versions && !ask->version;
    size_t before = m->n;
    aic_error why = {0};
    for (size_t i = 0; i < (all ? sizeof slots / sizeof *slots : 1); i++) {
        const pdb_view *v =
            pdb_view_get(m->env->db, sheet->name, backend, all ? slots[i] : one[0],
                         op_mode_shares(ask->request.database_mode), m->env->allow_unlisted, &why);
        if (v)
            add_version(m, sheet, v);
    }
    if (m->n > before)
        return;
    AIC_GROW(m->columns, m->n, m->cap);
    const char *text = aic_arena_strdup(m->arena, why.text);
    m->columns[m->n++] = (column){sheet->name, backend, "", text, sheet, NULL, m->ask->n_models};
}

static const char *backend_at(const void *ctx, size_t i) {
    return srv_backend_name(ctx, i);
}

static bool check_backend(const matrix *m, aic_error *err) {
    const srv_backends *all = m->env->backends;
    const char *name = m->ask->backend;
    for (size_t i = 0; i < srv_backend_count(all); i++)
        if (!name || strcmp(srv_backend_name(all, i), name) == 0)
            return true;
    const char *near = aic_nearest(name ? name : "", srv_backend_count(all), backend_at, all);
    return aic_fail(err, AIC_BAD_INPUT, "backend \"%s\" is not known%s%s%s", name ? name : "",
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void add_system(matrix *m, const pdb_system *sheet) {
    for (size_t b = 0; b < srv_backend_count(m->env->backends); b++) {
        const char *backend = srv_backend_name(m->env->backends, b);
        if (!m->ask->backend || strcmp(m->ask->backend, backend) == 0)
            add_versions(m, sheet, backend);
    }
}

static bool add_columns(matrix *m, aic_error *err) {
    pdb *db = m->env->db;
    if (!check_backend(m, err))
        return false;
    for (size_t i = 0; !m->ask->system && i < pdb_system_count(db); i++) {
        const char *name = pdb_system_name(db, i);
        const pdb_system *sheet = pdb_system_has_data(db, name) ? pdb_system_get(db, name, err) : NULL;
        if (sheet)
            add_system(m, sheet);
    }
    if (m->ask->system) {
        const pdb_system *sheet = pdb_system_get(db, m->ask->system, err);
        if (!sheet)
            return false;
        add_system(m, sheet);
    }
    if (err->code != AIC_OK)
        return false;
    return m->n > 0 ||
           aic_fail(err, AIC_BAD_INPUT, "no system has measured data; give its folder with --perfdb");
}

/* ---- cells ----------------------------------------------------------------------------------------------
 */

static void start_cell(swp_cell *cell, const char *model, const column *c) {
    aic_arena *a = aic_arena_new();
    *cell = (swp_cell){.model = aic_arena_strdup(a, model),
                       .system = aic_arena_strdup(a, c->system),
                       .backend = aic_arena_strdup(a, c->backend),
                       .version = aic_arena_strdup(a, c->version),
                       .arena = a};
}

static void assess(const matrix *m, const char *model, const column *c, swp_cell *cell) {
    aic_error err = {0};
    start_cell(cell, model, c);
    const mdl_model *found = mdl_get(m->env->models, model, &err);
    if (!found) {
        swp_assess_unknown(cell, err.text);
    } else if (!found->graph) {
        swp_assess_unknown(cell, aic_arena_printf(cell->arena, "family %s has no graph file", found->family));
    } else if (c->why) {
        cell->situation = SWP_absent;
        cell->reason = aic_arena_strdup(cell->arena, c->why);
    } else {
        swp_assess(m->ask, m->env, found, c->sheet, cell);
    }
}

/* Counts a cell as done. The last one of a column lets go of its tables: columns come one after another, so
 * that only a few are in memory at any time. */
static void finish(column *c) {
    size_t left;
#pragma omp atomic capture seq_cst
    left = --c->left;
    if (left == 0 && c->view)
        pdb_view_unload(c->view);
}

/* Columns outside, models inside: a view's tables are loaded by whoever comes first. */
static void assess_all(const matrix *m, swp_support *out) {
    size_t n_models = m->ask->n_models, n = out->n;
    int threads = m->ask->threads ? (int)m->ask->threads : omp_get_max_threads();
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
    for (size_t i = 0; i < n; i++) {
        size_t model = i % n_models, col = i / n_models;
        if (!aic_interrupted())
            assess(m, m->ask->models[model], &m->columns[col], &out->cells[model * m->n + col]);
        finish(&m->columns[col]);
    }
}

bool swp_support_run(const swp_support_ask *ask, const srv_env *env, swp_support *out, aic_error *err) {
    matrix m = {.ask = ask, .env = env, .arena = aic_arena_new()};
    *out = (swp_support){0};
    bool ok = add_columns(&m, err);
    if (ok) {
        out->n_versions = m.n;
        out->n = aic_mul(m.n, ask->n_models);
        out->cells = AIC_NEW_ARRAY(swp_cell, out->n);
        assess_all(&m, out);
        if (aic_interrupted())
            ok = aic_fail(err, (aic_code)aic_interrupted(), "interrupted");
    }
    free(m.columns);
    aic_arena_free(m.arena);
    return ok;
}

void swp_support_free(swp_support *s) {
    for (size_t i = 0; i < s->n; i++) {
        swp_cell *cell = &s->cells[i];
        for (size_t g = 0; g < cell->n_gaps; g++) {
            free(cell->gaps[g].ops);
            free(cell->gaps[g].layouts);
            free(cell->gaps[g].needs);
        }
        free(cell->gaps);
        free(cell->ops);
        aic_arena_free(cell->arena);
    }
    free(s->cells);
    *s = (swp_support){0};
}
