/* Counts of a comparison as tables of values, each in order of weight. */
#include "results/compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------------------------------------ */

cmp_table *cmp_table_new(cmp_report *r, const char *name, const char *title, const cmp_column *columns,
                         size_t n) {
    AIC_GROW(r->tables, r->n, r->cap);
    cmp_table *t = &r->tables[r->n++];
    *t = (cmp_table){.name = name, .title = title, .n_columns = n};
    memcpy(t->columns, columns, n * sizeof *columns);
    return t;
}
#define NEW_TABLE(r, name, title, columns)                                                                   \
    cmp_table_new(r, name, title, columns, sizeof columns / sizeof *columns)

aic_value *cmp_row_new(cmp_table *t) {
    if (t->rows == t->cap) {
        t->cap = t->cap ? aic_mul(t->cap, 2) : 16;
        t->values = aic_realloc(t->values, aic_mul(t->cap, t->n_columns), sizeof *t->values);
    }
    aic_value *row = t->values + t->rows++ * t->n_columns;
    for (size_t c = 0; c < t->n_columns; c++)
        row[c] = AIC_NULL_VALUE;
    return row;
}

static aic_value count_of(uint64_t n) {
    return aic_int((int64_t)n);
}

static aic_value share_of(double part, double whole) {
    return whole > 0 ? aic_real(part / whole) : AIC_NULL_VALUE;
}

/* ---- files and totals -------------------------------------------------------------------------------- */

/* Distinct releases of "system release digest" lines: "0.12.0, 0.12.1". */
static const char *releases(cmp_report *r, const res_file *f) {
    const char *lines = res_attribute(f, "databases");
    aic_intern *names = aic_intern_new();
    aic_buf b = {0};
    aic_buf_add(&b, "");
    for (const char *at = lines ? lines : ""; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *name = at + strcspn(at, " \n");
        name += *name == ' ';
        size_t len = strcspn(name, " \n"), before = aic_intern_count(names);
        aic_intern_add(names, name, len);
        if (aic_intern_count(names) == before)
            continue;
        aic_buf_add(&b, b.len ? ", " : "");
        aic_buf_addn(&b, name, len);
    }
    const char *text = aic_arena_strdup(r->arena, b.data);
    aic_intern_free(names);
    aic_buf_free(&b);
    return text;
}

static void add_files(cmp_report *r, const cmp_job *job) {
    static const cmp_column columns[] = {
        {"side", "", CMP_TEXT},        {"file", "file", CMP_TEXT},    {"points", "points", CMP_COUNT},
        {"complete", NULL, CMP_TEXT},  {"spec", "spec", CMP_TEXT},    {"spec_sha256", NULL, CMP_TEXT},
        {"release", "data", CMP_TEXT}, {"databases", NULL, CMP_TEXT}, {"content_sha256", NULL, CMP_TEXT}};
    cmp_table *t = NEW_TABLE(r, "files", NULL, columns);
    t->whole = true;
    for (int s = 0; s < CMP_SIDES; s++) {
        const res_file *f = job->ids.side[s].f;
        const char *const texts[] = {res_attribute(f, "spec_name"), res_attribute(f, "spec_sha256"),
                                     releases(r, f), res_attribute(f, "databases"),
                                     res_attribute(f, "content_sha256")};
        aic_value *row = cmp_row_new(t);
        row[0] = aic_str(s == CMP_A ? "A" : "B");
        row[1] = job->opt->path[s] ? aic_str(job->opt->path[s]) : AIC_NULL_VALUE;
        row[2] = count_of(res_count(f));
        row[3] = aic_str(res_complete(f) ? "yes" : "no");
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            row[4 + i] = aic_str(texts[i] ? texts[i] : "");
        if (!res_complete(f))
            t->note =
                "An unfinished sweep is compared as far as it got: what it lacks counts as added or removed.";
    }
}

static void add_differences(cmp_report *r, const cmp_tally *total) {
    static const cmp_column columns[] = {{"difference", "difference", CMP_TEXT},
                                         {"points", "points", CMP_COUNT},
                                         {"share", "%", CMP_PERCENT},
                                         {NULL, "", CMP_TEXT}};
    cmp_table *t = NEW_TABLE(r, "differences", NULL, columns);
    uint64_t all = 0;
    t->whole = true;
    for (int d = 0; d < RES_DIFFERENCE_COUNT; d++)
        all += total->points[d];
    for (int d = 0; d < RES_DIFFERENCE_COUNT; d++) {
        aic_value *row = cmp_row_new(t);
        row[0] = aic_str(res_difference_name((res_difference)d));
        row[1] = count_of(total->points[d]);
        row[2] = share_of((double)total->points[d], (double)all);
        row[3] = aic_str(res_difference_meaning((res_difference)d));
    }
}

/* ---- groups ------------------------------------------------------------------------------------------ */

typedef struct weighed {
    size_t index;
    double weight;
} weighed;

static int by_weight(const void *a, const void *b) {
    const weighed *p = a, *q = b;
    if (p->weight != q->weight)
        return p->weight > q->weight ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

static uint64_t different(const cmp_group_row *g) {
    uint64_t n = 0;
    for (int d = RES_DIFF_same + 1; d < RES_DIFFERENCE_COUNT; d++)
        n += g->points[d];
    return n;
}

static void add_group(cmp_report *r, const cmp_job *job, const cmp_tally *total, size_t g) {
    const cmp_grouping *grouping = &job->ids.groupings[g];
    const char *figure = res_column_at((size_t)job->by.items[0])->name;
    aic_buf name = {0};
    for (size_t c = 0; c < grouping->columns.n; c++)
        aic_buf_printf(&name, "%s%s", c ? " + " : "",
                       res_column_at((size_t)grouping->columns.items[c])->name);
    const char *title = aic_arena_strdup(r->arena, name.data);
    aic_buf_free(&name);
    cmp_column columns[1 + RES_DIFFERENCE_COUNT + 4] = {{"value", title, CMP_TEXT}};
    size_t n = 1;
    for (int d = 0; d < RES_DIFFERENCE_COUNT; d++, n++) {
        const char *difference = res_difference_name((res_difference)d);
        columns[n] = (cmp_column){difference, difference, CMP_COUNT};
    }
    columns[n++] = (cmp_column){"compared", NULL, CMP_COUNT};
    columns[n++] = (cmp_column){"mean_change", "mean %", CMP_CHANGE};
    columns[n++] = (cmp_column){"lowest_change", "lowest %", CMP_CHANGE};
    columns[n++] = (cmp_column){"highest_change", "highest %", CMP_CHANGE};
    cmp_table *t = cmp_table_new(
        r, title, aic_arena_printf(r->arena, "By %s (change of %s, geometric mean)", title, figure), columns,
        n);
    size_t rows = aic_intern_count(grouping->labels) - 1;
    weighed *order = aic_calloc(rows, sizeof *order);
    for (size_t i = 0; i < rows; i++)
        order[i] = (weighed){i, (double)different(&total->groups[g][i])};
    qsort(order, rows, sizeof *order, by_weight);
    for (size_t i = 0; i < rows && order[i].weight > 0; i++) {
        const cmp_group_row *from = &total->groups[g][order[i].index];
        aic_value *row = cmp_row_new(t);
        *row++ = aic_str(aic_intern_text(grouping->labels, (uint32_t)order[i].index + 1));
        for (int d = 0; d < RES_DIFFERENCE_COUNT; d++)
            *row++ = count_of(from->points[d]);
        *row++ = count_of(from->compared);
        if (from->compared == 0)
            continue;
        *row++ = aic_real(expm1(from->logs / (double)from->compared));
        *row++ = aic_real(expm1(from->lowest));
        *row++ = aic_real(expm1(from->highest));
    }
    free(order);
}

/* ---- ops and measured tables ------------------------------------------------------------------------- */

/* "gemm_perf moe_perf": the measured tables that an op of the kind may read; NULL = unknown or none. */
static const char *tables_of(cmp_report *r, const char *kind) {
    const op_desc *d = op_desc_find(kind);
    const char *text = NULL;
    for (size_t i = 0; d && d->schemas && d->schemas[i]; i++)
        text = aic_arena_printf(r->arena, "%s%s%s", text ? text : "", text ? " " : "", d->schemas[i]->table);
    return text;
}

/* Adds up moves that have one key, largest first. */
typedef struct sums {
    aic_intern *keys;
    size_t n, cap;
    cmp_move *rows;
    double moved;
} sums;

static void add_sum(sums *s, const void *key, size_t bytes, const cmp_move *m) {
    size_t at = aic_intern_add(s->keys, key, bytes) - 1;
    if (at == s->n) {
        AIC_GROW(s->rows, s->n, s->cap);
        s->rows[s->n++] = (cmp_move){.op = m->op, .site = {m->site[CMP_A], m->site[CMP_B]}};
    }
    cmp_move *to = &s->rows[at];
    to->points += m->points;
    to->sources += m->sources;
    to->effect += m->effect;
    to->moved += m->moved;
    s->moved += m->moved;
    for (int side = 0; side < CMP_SIDES; side++)
        to->ms[side] += m->ms[side];
    if (m->largest > to->largest) {
        to->largest = m->largest;
        memcpy(to->example, m->example, sizeof to->example);
    }
}

static int by_moved(const void *a, const void *b) {
    const cmp_move *p = a, *q = b;
    if (p->moved != q->moved)
        return p->moved > q->moved ? -1 : 1;
    return p->op < q->op ? -1 : p->op > q->op;
}

static void finish_sums(sums *s) {
    if (s->n)
        qsort(s->rows, s->n, sizeof *s->rows, by_moved);
}

static void free_sums(sums *s) {
    aic_intern_free(s->keys);
    free(s->rows);
}

static aic_value *put_move(aic_value *row, const cmp_move *m, double moved) {
    *row++ = count_of(m->points);
    *row++ = share_of(m->moved, moved);
    *row++ = aic_real(m->effect / (double)m->points);
    *row++ = aic_real(m->ms[CMP_A]);
    *row++ = aic_real(m->ms[CMP_B]);
    *row++ = aic_real(m->ms[CMP_B] - m->ms[CMP_A]);
    *row++ = count_of(m->sources);
    *row++ = count_of(m->example[CMP_A]);
    *row++ = count_of(m->example[CMP_B]);
    return row;
}
#define MOVE_COLUMNS                                                                                         \
    {"points", "points", CMP_COUNT}, {"moved_share", "of moves %", CMP_PERCENT},                             \
        {"mean_effect", "effect %", CMP_CHANGE}, {"ms_a", "ms A", CMP_NUMBER}, {"ms_b", "ms B", CMP_NUMBER}, \
        {"ms_change", NULL, CMP_NUMBER}, {"sources", "source", CMP_COUNT},                                   \
        {"example_a", "A's point", CMP_COUNT}, {                                                             \
        "example_b", "B's point", CMP_COUNT                                                                  \
    }

static void add_ops(cmp_report *r, const cmp_job *job, const cmp_tally *total) {
    static const cmp_column columns[] = {{"phase", "phase", CMP_TEXT},
                                         {"op", "op", CMP_TEXT},
                                         {"kind", "kind", CMP_TEXT},
                                         {"tables", NULL, CMP_TEXT},
                                         MOVE_COLUMNS};
    cmp_table *t = NEW_TABLE(r, "ops", "Ops that moved points that drifted", columns);
    sums s = {.keys = aic_intern_new()};
    for (size_t i = 0; i < total->n_moves; i++)
        if (total->moves[i].points)
            add_sum(&s, &total->moves[i].op, sizeof total->moves[i].op, &total->moves[i]);
    finish_sums(&s);
    for (size_t i = 0; i < s.n; i++) {
        const cmp_op *op = &job->ids.ops[s.rows[i].op];
        const char *tables = tables_of(r, op->kind);
        aic_value *row = cmp_row_new(t);
        row[0] = aic_str(srv_phase_name(op->phase));
        row[1] = aic_str(op->name);
        row[2] = aic_str(op->kind);
        row[3] = tables ? aic_str(tables) : AIC_NULL_VALUE;
        put_move(row + 4, &s.rows[i], s.moved);
    }
#define EFFECTS                                                                                              \
    "Effect: mean change of the point's latency by the op where it moved. Source: points whose number "      \
    "rests "                                                                                                 \
    "on other evidence."
    const res_file *a = job->ids.side[CMP_A].f, *b = job->ids.side[CMP_B].f;
    if (s.n && cmp_left_out(a, b))
        t->note = EFFECTS " The files keep different numbers of ops of a point: those in both are compared.";
    else if (s.n && cmp_rounded(a, b))
        t->note = EFFECTS " One file's breakdown is rounded to float32: ops move by more than 6e-8.";
    else if (s.n)
        t->note = EFFECTS;
#undef EFFECTS
    free_sums(&s);
}

void cmp_command(cmp_report *r, const char *text) {
    r->commands = aic_realloc(r->commands, aic_add(r->n_commands, 1), sizeof *r->commands);
    r->commands[r->n_commands++] = text;
}

/* The point in which the move was largest, on both sides. */
static void add_examples(cmp_report *r, const cmp_job *job, const cmp_move *m) {
    const res_compare_options *o = job->opt;
    for (int s = 0; s < CMP_SIDES; s++)
        if (o->path[s])
            cmp_command(r,
                        aic_arena_printf(r->arena, "aicfg-sweep show %s %llu%s%s", o->path[s],
                                         (unsigned long long)m->example[s], o->perfdb[s] ? " --perfdb " : "",
                                         o->perfdb[s] ? o->perfdb[s] : ""));
}

static void add_tables(cmp_report *r, const cmp_job *job, const cmp_tally *total) {
    enum { COMMANDS = 3 };
    static const cmp_column columns[] = {{"kind", "op kind", CMP_TEXT},
                                         {"tables", "tables", CMP_TEXT},
                                         {"system", "system", CMP_TEXT},
                                         {"backend", "backend", CMP_TEXT},
                                         {"version_a", "of A", CMP_TEXT},
                                         {"version_b", "of B", CMP_TEXT},
                                         MOVE_COLUMNS};
    cmp_table *t = NEW_TABLE(r, "tables", "Measured tables that moved them", columns);
    sums s = {.keys = aic_intern_new()};
    for (size_t i = 0; i < total->n_moves; i++) {
        const cmp_move *m = &total->moves[i];
        if (!m->points)
            continue;
        const char *kind = job->ids.ops[m->op].kind;
        char key[160] = {0};
        memcpy(key, m->site, sizeof m->site);
        size_t len = strlen(kind) < sizeof key - sizeof m->site ? strlen(kind) : sizeof key - sizeof m->site;
        memcpy(key + sizeof m->site, kind, len);
        add_sum(&s, key, sizeof m->site + len, m);
    }
    finish_sums(&s);
    for (size_t i = 0; i < s.n; i++) {
        const cmp_move *m = &s.rows[i];
        const char *kind = job->ids.ops[m->op].kind, *tables = tables_of(r, kind);
        const cmp_site *a = &job->ids.sites[m->site[CMP_A]], *b = &job->ids.sites[m->site[CMP_B]];
        aic_value *row = cmp_row_new(t);
        row[0] = aic_str(kind);
        row[1] = tables ? aic_str(tables) : AIC_NULL_VALUE;
        row[2] = aic_str(a->system);
        row[3] = aic_str(a->backend);
        row[4] = aic_str(a->version);
        row[5] = aic_str(b->version);
        put_move(row + 6, m, s.moved);
        if (i < COMMANDS)
            add_examples(r, job, m);
    }
    cmp_add_measured(r, job, s.rows, s.n);
    free_sums(&s);
}

/* ---- changes of status ------------------------------------------------------------------------------- */

static int by_points(const void *a, const void *b) {
    const cmp_turn *p = a, *q = b;
    if (p->points != q->points)
        return p->points > q->points ? -1 : 1;
    return p->example[CMP_A] < q->example[CMP_A] ? -1 : p->example[CMP_A] > q->example[CMP_A];
}

static void add_turns(cmp_report *r, const cmp_job *job, const cmp_tally *total, res_difference d,
                      const char *name, const char *title) {
    static const cmp_column columns[] = {
        {"status_a", "A", CMP_TEXT},           {"status_b", "B", CMP_TEXT},
        {"points", "points", CMP_COUNT},       {"reason_a", NULL, CMP_TEXT},
        {"reason_b", NULL, CMP_TEXT},          {"example_a", "A's point", CMP_COUNT},
        {"example_b", "B's point", CMP_COUNT}, {NULL, "reason", CMP_TEXT}};
    cmp_table *t = NEW_TABLE(r, name, title, columns);
    cmp_turn *sorted = aic_calloc(total->n_turns, sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; i < total->n_turns; i++)
        if (total->turns[i].difference == d)
            sorted[n++] = total->turns[i];
    qsort(sorted, n, sizeof *sorted, by_points);
    for (size_t i = 0; i < n; i++) {
        aic_value *row = cmp_row_new(t);
        for (int s = 0; s < CMP_SIDES; s++) {
            row[s] = aic_str(srv_status_name((srv_status)sorted[i].status[s]));
            row[3 + s] = aic_str(job->ids.side[s].f->reason_texts.items[sorted[i].reason[s]]);
            row[5 + s] = count_of(sorted[i].example[s]);
        }
        row[2] = count_of(sorted[i].points);
        row[7] = d == RES_DIFF_gain ? row[3] : row[4];
    }
    free(sorted);
}

/* ---- points ------------------------------------------------------------------------------------------ */

/* What identifies the point, without what is at its usual value. */
static const char *key_text(cmp_report *r, const cmp_job *job, const res_window *w) {
    aic_buf b = {0};
    aic_buf_add(&b, "");
    for (size_t c = 0; c < job->keys.n; c++) {
        const res_column *column = res_column_at((size_t)job->keys.items[c]);
        aic_value v = res_window_value(w, 0, job->keys.items[c]);
        if (v.type == AIC_V_STR)
            aic_buf_printf(&b, "%s%s", b.len ? " " : "", v.u.s);
        else if (v.type == AIC_V_INT && v.u.i > (column->of_deployment ? 1 : 0))
            aic_buf_printf(&b, " %s=%lld", column->name, (long long)v.u.i);
        else if (v.type == AIC_V_REAL)
            aic_buf_printf(&b, " %s=%.6g", column->name, v.u.r);
    }
    const char *text = aic_arena_strdup(r->arena, b.data);
    aic_buf_free(&b);
    return text;
}

static bool add_drifts(cmp_report *r, const cmp_job *job, const cmp_tally *total, aic_error *err) {
    static const cmp_column columns[] = {
        {"point_a", "A's point", CMP_COUNT}, {"point_b", "B's point", CMP_COUNT},
        {"figure", "figure", CMP_TEXT},      {"value_a", "A", CMP_NUMBER},
        {"value_b", "B", CMP_NUMBER},        {"change", "%", CMP_CHANGE},
        {"phase", NULL, CMP_TEXT},           {"op", "op that did most", CMP_TEXT},
        {"op_ms_a", "ms A", CMP_NUMBER},     {"op_ms_b", "ms B", CMP_NUMBER},
        {"key", "point", CMP_TEXT}};
    cmp_table *t = NEW_TABLE(r, "points", "Points that drifted most", columns);
    res_window *w = res_window_new(job->ids.side[CMP_A].f);
    bool ok = true;
    for (size_t i = 0; ok && i < total->n_drifts; i++) {
        const cmp_drift *d = &total->drifts[i];
        ok = res_window_load(w, d->point[CMP_A], 1, job->loaded.items, job->loaded.n, false, err);
        if (!ok)
            break;
        aic_value *row = cmp_row_new(t);
        row[0] = count_of(d->point[CMP_A]);
        row[1] = count_of(d->point[CMP_B]);
        row[2] = aic_str(res_column_at((size_t)d->column)->name);
        row[3] = aic_real(d->value[CMP_A]);
        row[4] = aic_real(d->value[CMP_B]);
        row[5] = aic_real((d->value[CMP_B] - d->value[CMP_A]) / d->value[CMP_A]);
        if (d->op != CMP_NONE) {
            row[6] = aic_str(srv_phase_name(job->ids.ops[d->op].phase));
            row[7] = aic_str(job->ids.ops[d->op].name);
            row[8] = aic_real(d->op_ms[CMP_A]);
            row[9] = aic_real(d->op_ms[CMP_B]);
        }
        row[10] = aic_str(key_text(r, job, w));
    }
    res_window_free(w);
    return ok;
}

/* ---- whole ------------------------------------------------------------------------------------------- */

bool cmp_report_make(cmp_report *r, const cmp_job *job, const cmp_tally *t, aic_error *err) {
    *r = (cmp_report){.arena = aic_arena_new()};
    add_files(r, job);
    add_differences(r, t);
    for (size_t g = 0; g < job->ids.n_groupings; g++)
        add_group(r, job, t, g);
    add_ops(r, job, t);
    add_tables(r, job, t);
    add_turns(r, job, t, RES_DIFF_regression, "regressions",
              "Regressions, by B's reason, systems taken together");
    add_turns(r, job, t, RES_DIFF_gain, "gains", "Gains, by A's reason, systems taken together");
    add_turns(r, job, t, RES_DIFF_status, "status_changes",
              "Other changes of status or reason, by B's reason, systems taken together");
    return add_drifts(r, job, t, err);
}

void cmp_report_free(cmp_report *r) {
    for (size_t i = 0; i < r->n; i++)
        free(r->tables[i].values);
    free(r->tables);
    free(r->commands);
    aic_arena_free(r->arena);
}
