/* Which measured rows changed: the tables behind the largest moves, of one release against the other. */
#include "results/compare.h"
#include <math.h>
#include <string.h>

typedef struct search {
    cmp_report *r;
    cmp_table *t;
    const cmp_job *job;
    const char *system;
} search;

static void visit(void *ctx, const pdb_table_diff *d) {
    search *s = ctx;
    if (d->change == PDB_SAME)
        return;
    const res_compare_options *o = s->job->opt;
    const char *a = aic_arena_strdup(s->r->arena, d->group + 1),
               *b = aic_arena_strdup(s->r->arena, d->group_b + 1);
    aic_value *row = cmp_row_new(s->t);
    row[0] = aic_str(s->system);
    row[1] = aic_str(a);
    row[2] = aic_str(b);
    row[3] = aic_int((int64_t)d->rows_a);
    row[4] = aic_int((int64_t)d->rows_b);
    row[5] = aic_int((int64_t)d->removed);
    row[6] = aic_int((int64_t)d->added);
    row[7] = aic_int((int64_t)d->changed);
    if (d->changed) {
        row[8] = aic_real(d->median);
        row[9] = aic_real(d->worst);
        row[10] = aic_str(aic_arena_strdup(s->r->arena, d->worst_at));
    }
    cmp_command(s->r, aic_arena_printf(s->r->arena, "aicfg-sweep db diff %s %s --system %s %s %s",
                                       o->perfdb[CMP_A], o->perfdb[CMP_B], s->system, a, b));
}

/* The file that answers first for the table on one side, and the system it is of; NULL = none, or the folder
 * does not hold the tables that the result file was made of. */
static const char *first_source(const search *s, int side, const cmp_site *site, const char *table,
                                const char **system) {
    const pdb_view *v =
        pdb_view_get(s->job->opt->db[side], site->system, site->backend, site->version, true, true, NULL);
    const char *databases = res_attribute(s->job->ids.side[side].f, "databases");
    const pdb_source *list;
    if (!v || !v->digest)
        return NULL;
    if (!databases || !strstr(databases, v->digest)) {
        s->t->note = "Tables of a database that a file was not made of are left out (--db).";
        return NULL;
    }
    size_t n = pdb_sources(v, table, &list);
    *system = v->measured;
    for (size_t i = 0; i < n; i++)
        if (list[i].exists)
            return list[i].group;
    return NULL;
}

static void compare_table(search *s, const cmp_site *a, const cmp_site *b, const char *table,
                          aic_intern *seen) {
    const char *system_a, *system_b, *const *folder = s->job->opt->perfdb;
    const char *group_a = first_source(s, CMP_A, a, table, &system_a),
               *group_b = first_source(s, CMP_B, b, table, &system_b);
    size_t before = aic_intern_count(seen);
    aic_error ignored = {0}; /* a table that cannot be read has no rows to tell of */
    char key[512];
    if (!group_a || !group_b || strcmp(system_a, system_b) != 0)
        return;
    int len = snprintf(key, sizeof key, "%s%s%s", system_a, group_a, group_b);
    aic_intern_add(seen, key, len < (int)sizeof key ? (size_t)len : sizeof key - 1);
    s->system = system_a;
    if (aic_intern_count(seen) > before)
        pdb_diff_tables(folder[CMP_A], folder[CMP_B], system_a, group_a, group_b, visit, s, &ignored);
}

static void compare_tables(search *s, const cmp_move *m, aic_intern *seen) {
    const cmp_ids *ids = &s->job->ids;
    const op_desc *d = op_desc_find(ids->ops[m->op].kind);
    for (size_t i = 0; d && d->schemas && d->schemas[i]; i++)
        compare_table(s, &ids->sites[m->site[CMP_A]], &ids->sites[m->site[CMP_B]], d->schemas[i]->table,
                      seen);
}

void cmp_add_measured(cmp_report *r, const cmp_job *job, const cmp_move *moves, size_t n) {
    enum { MOVES = 10 };
    static const cmp_column columns[] = {{"system", "system", CMP_TEXT},
                                         {"table_a", "table of A", CMP_TEXT},
                                         {"table_b", "table of B", CMP_TEXT},
                                         {"rows_a", "rows A", CMP_COUNT},
                                         {"rows_b", "rows B", CMP_COUNT},
                                         {"removed", "removed", CMP_COUNT},
                                         {"added", "added", CMP_COUNT},
                                         {"changed", "changed", CMP_COUNT},
                                         {"median_change", "median %", CMP_CHANGE},
                                         {"worst_change", "worst %", CMP_CHANGE},
                                         {"worst_at", "worst row", CMP_TEXT}};
    cmp_table *t =
        cmp_table_new(r, "measured", "Rows of those tables", columns, sizeof columns / sizeof *columns);
    search s = {.r = r, .t = t, .job = job};
    if (!job->opt->db[CMP_A] || !job->opt->db[CMP_B] || n == 0)
        return;
    aic_intern *seen = aic_intern_new();
    for (size_t i = 0; i < n && i < (job->opt->top ? job->opt->top : MOVES); i++)
        compare_tables(&s, &moves[i], seen);
    aic_intern_free(seen);
}
