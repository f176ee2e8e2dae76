/* Situations as text: a model, its combinations, their gaps, the matrix of all models. */
#include "cli/support.h"
#include <string.h>

/* ---- a model --------------------------------------------------------------------------------------------
 */

static void print_texts(const char *title, const op_texts *texts, const char *after, FILE *out) {
    enum { WIDTH = 100 };
    int column = fprintf(out, "%-16s", title);
    for (size_t i = 0; i < texts->count; i++) {
        if (column + (int)strlen(texts->items[i]) > WIDTH)
            column = fprintf(out, "\n%-16s", "") - 1;
        column += fprintf(out, "%s%s", texts->items[i], i + 1 < texts->count ? ", " : "");
    }
    fprintf(out, "%s\n", after);
}

static void print_nearest(const mdl_inspection *look, FILE *out) {
    for (size_t i = 0; i < look->n_near; i++)
        fprintf(out, "%-16s%s: %.0f %% of the config keys in common with %s\n", i ? "" : "nearest family",
                look->near[i].family, 100 * look->near[i].share, look->near[i].model);
    if (look->n_near && look->architecture)
        fprintf(
            out,
            "%-16sarchitectures: {%s: {family: %s}} in an architectures.yaml of your own (--models DIR)\n",
            "if it fits", look->architecture, look->near[0].family);
}

void sup_print_model(const mdl_inspection *look, const char *id, FILE *out) {
    fprintf(out, "%-16s%s\n%-16s%s\n", "model", id, "architecture",
            look->architecture ? look->architecture : "the config names none");
    if (look->family)
        fprintf(out, "%-16s%s%s\n", "family", look->family, look->has_graph ? "" : ": it has no graph file");
    else
        fprintf(out, "%-16snone runs this architecture\n", "family");
    if (look->unknown_kinds.count)
        print_texts("unknown ops", &look->unknown_kinds,
                    "  (op kinds of the graph that the program does not have)", out);
    if (look->unexplained.count)
        print_texts("unexplained", &look->unexplained, "  (config keys that no family reads)", out);
    if (!look->family)
        print_nearest(look, out);
}

/* ---- combinations ---------------------------------------------------------------------------------------
 */

/* "93.1" or "-": how much of the latency lies within what was measured. */
static void within_text(const swp_cell *c, char text[16]) {
    double within = c->cover[OP_MEASURED] + c->cover[OP_INTERPOLATED];
    if (c->n_covered)
        snprintf(text, 16, "%.1f", 100 * within);
    else
        snprintf(text, 16, "-");
}

void sup_print_cells(const swp_support *s, FILE *out) {
    fprintf(out, "\n%-20s %-8s %-12s %-9s %-8s %10s  %s\n", "system", "backend", "version", "situation",
            "layouts", "measured %", "why");
    for (size_t i = 0; i < s->n; i++) {
        const swp_cell *c = &s->cells[i];
        char layouts[32] = "-", within[16];
        within_text(c, within);
        if (c->n_layouts)
            snprintf(layouts, sizeof layouts, "%zu of %zu", c->n_covered, c->n_layouts);
        fprintf(out, "%-20s %-8s %-12s %-9s %-8s %10s  %s\n", c->system, c->backend, c->version,
                swp_situation_name(c->situation), layouts, within, c->reason ? c->reason : "");
    }
}

/* ---- ops ------------------------------------------------------------------------------------------------
 */

void sup_print_ops(const swp_cell *cell, FILE *out) {
    if (cell->n_ops == 0)
        return;
    fprintf(out, "\n%-10s %-36s %-22s %-9s", "phase", "op", "kind", "layouts");
    for (int c = 0; c < OP_COVERS; c++)
        fprintf(out, " %13s", sup_evidence[c]);
    fprintf(out, "\n");
    for (size_t i = 0; i < cell->n_ops; i++) {
        const swp_op *o = &cell->ops[i];
        char layouts[32];
        snprintf(layouts, sizeof layouts, "%zu of %zu", o->layouts - o->lacking, o->layouts);
        fprintf(out, "%-10s %-36s %-22s %-9s", srv_phase_name(o->phase), o->name, o->kind, layouts);
        for (int c = 0; c < OP_COVERS && o->latency > 0; c++)
            fprintf(out, " %11.1f %%", 100 * o->cover[c] / o->latency);
        fprintf(out, "\n");
    }
}

/* ---- gaps -----------------------------------------------------------------------------------------------
 */

static void print_list(const char *title, const char *const *texts, size_t n, const char *separator,
                       FILE *out) {
    enum { MOST = 8 };
    fprintf(out, "    %-12s", title);
    for (size_t i = 0; i < n && i < MOST; i++)
        fprintf(out, "%s%s", i ? separator : "", texts[i]);
    if (n > MOST)
        fprintf(out, "%sand %zu more", separator, n - MOST);
    fprintf(out, "\n");
}

/* "tokens 128 to 32768" over one member of the shapes that is read. */
static void print_range(const swp_gap *g, srv_phase phase, unsigned bit, size_t offset, const char *name,
                        FILE *out) {
    uint32_t low = UINT32_MAX, high = 0;
    for (size_t i = 0; i < g->n_needs; i++) {
        uint32_t v;
        if (g->needs[i].phase != phase || !(g->needs[i].reads & bit))
            continue;
        memcpy(&v, (const char *)&g->needs[i].shape + offset, sizeof v);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    if (low < high)
        fprintf(out, ", %s %u to %u", name, low, high);
    else if (low == high)
        fprintf(out, ", %s %u", name, low);
}

static const char *const work_of[SRV_PHASE_COUNT] = {
    [SRV_PH_context] = "prefill", [SRV_PH_generation] = "decode", [SRV_PH_encoder] = "images"};

static void print_ranges(const swp_gap *g, srv_phase phase, FILE *out) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_needs; i++)
        n += g->needs[i].phase == phase;
    if (n == 0)
        return;
    fprintf(out, "    %-12s%zu shapes", work_of[phase], n);
    print_range(g, phase, OP_READS_BATCH, offsetof(op_shape, batch), "batch", out);
    print_range(g, phase, OP_READS_S, offsetof(op_shape, s), "length", out);
    print_range(g, phase, OP_READS_X, offsetof(op_shape, x), "tokens", out);
    fprintf(out, "\n");
}

enum { MOST_GAPS = 12 }; /* printed of one cell */

void sup_print_gaps(const swp_cell *cell, FILE *out) {
    fprintf(out, "\n%s %s %s: %s, %zu of %zu layouts covered\n", cell->system, cell->backend, cell->version,
            swp_situation_name(cell->situation), cell->n_covered, cell->n_layouts);
    for (size_t i = 0; i < cell->n_gaps && i < MOST_GAPS; i++) {
        const swp_gap *g = &cell->gaps[i];
        fprintf(out, "  %s%s%s%s\n", g->kind, *g->kind ? ": " : "", g->reason,
                g->alternative ? " (or the other branch of its group)" : "");
        if (g->n_ops)
            print_list("ops", g->ops, g->n_ops, ", ", out);
        print_list("layouts", g->layouts, g->n_layouts, "; ", out);
        for (int p = 0; p < SRV_PHASE_COUNT; p++)
            print_ranges(g, srv_phases[p], out);
    }
    if (cell->n_gaps > MOST_GAPS)
        fprintf(out, "  and %zu more gaps: --format jsonl and --shapes FILE.csv name all\n",
                cell->n_gaps - MOST_GAPS);
    for (size_t i = 0; i < cell->n_layouts; i++)
        if (cell->layouts[i].situation == SWP_refused)
            fprintf(out, "  %s cannot run: %s\n", cell->layouts[i].text, cell->layouts[i].why);
}

void sup_print_counts(const swp_support *s, FILE *out) {
    for (int k = 0; k < SWP_SITUATION_COUNT; k++) {
        size_t n = 0;
        for (size_t i = 0; i < s->n; i++)
            n += s->cells[i].situation == (swp_situation)k;
        if (n)
            fprintf(out, "%-9s %5zu of %zu: %s\n", swp_situation_name((swp_situation)k), n, s->n,
                    swp_situation_meaning((swp_situation)k));
    }
}

/* ---- the matrix -----------------------------------------------------------------------------------------
 */

/* One character per situation; a plus where measurements are missing for some layouts only. */
static char symbol(const swp_cell *c) {
    if (c->situation == SWP_S2 && c->n_covered)
        return '+';
    return "123x."[c->situation];
}

static bool new_system(const swp_support *s, size_t column) {
    return column > 0 && strcmp(s->cells[column].system, s->cells[column - 1].system) != 0;
}

static void print_columns(const swp_support *s, FILE *out) {
    size_t number = 1;
    fprintf(out, "%-52s", "");
    for (size_t c = 0; c < s->n_versions;) {
        size_t end = c + 1;
        while (end < s->n_versions && !new_system(s, end))
            end++;
        char label[16];
        snprintf(label, sizeof label, "%zu", number++);
        fprintf(out, "%-*s ", (int)(end - c), label);
        c = end;
    }
    fprintf(out, "\n");
}

static void print_legend(const swp_support *s, FILE *out) {
    size_t number = 1;
    for (size_t c = 0; c < s->n_versions; c++) {
        const swp_cell *cell = &s->cells[c];
        if (c == 0 || new_system(s, c))
            fprintf(out, "%s%4zu  %-20s", c ? "\n" : "", number++, cell->system);
        fprintf(out, "%s%s %s", c && !new_system(s, c) ? ", " : " ", cell->backend,
                *cell->version ? cell->version : "(no data)");
    }
    fprintf(out, "\n");
}

void sup_print_matrix(const swp_support *s, FILE *out) {
    if (s->n == 0)
        return;
    print_columns(s, out);
    for (size_t i = 0; i < s->n; i += s->n_versions) {
        fprintf(out, "%-52s", s->cells[i].model);
        for (size_t c = 0; c < s->n_versions; c++)
            fprintf(out, "%s%c", new_system(s, c) ? " " : "", symbol(&s->cells[i + c]));
        fprintf(out, "\n");
    }
    fprintf(out, "\n1 S1   + S2, some layouts covered   2 S2   3 S3   x refused   . absent\n\n");
    print_legend(s, out);
    fprintf(out, "\n");
    sup_print_counts(s, out);
}
