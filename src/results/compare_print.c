/* Tables of a comparison as text, as Markdown of bounded length, or as JSON with every row. */
#include "results/compare.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_MAX = 320 /* bytes of a text that people see */ };

/* ---- cells ------------------------------------------------------------------------------------------- */

/* Texts are cut between characters. */
static void add_text(aic_buf *b, const char *text, bool markdown) {
    size_t len = strlen(text), used = len;
    if (len > CELL_MAX)
        for (used = CELL_MAX - 3; used > 0 && ((unsigned char)text[used] & 0xc0) == 0x80;)
            used--;
    for (size_t i = 0; i < used; i++) {
        if (markdown && strchr("|<>*`\\", text[i]))
            aic_buf_add(b, "\\");
        aic_buf_addn(b, text + i, 1);
    }
    aic_buf_add(b, used < len ? "..." : "");
}

static void add_real(aic_buf *b, double v, cmp_kind kind) {
    if (isinf(v))
        aic_buf_add(b, v > 0 ? "inf" : "-inf");
    else if (kind == CMP_PERCENT)
        aic_buf_printf(b, "%.1f", 100 * v);
    else if (kind == CMP_CHANGE && v == 0)
        aic_buf_add(b, "0");
    else if (kind == CMP_CHANGE)
        aic_buf_printf(b, fabs(v) < 0.00995 ? "%+.2g" : fabs(v) < 10 ? "%+.1f" : "%+.0f", 100 * v);
    else
        aic_buf_printf(b, fabs(v) >= 1e5 && fabs(v) < 1e15 ? "%.0f" : "%.5g", v);
}

static void add_cell(aic_buf *b, const aic_value *v, cmp_kind kind, bool markdown) {
    char digits[32];
    if (v->type == AIC_V_STR) {
        add_text(b, v->u.s, markdown);
    } else if (v->type == AIC_V_INT) {
        aic_group_digits((uint64_t)v->u.i, digits);
        aic_buf_add(b, digits);
    } else if (v->type == AIC_V_REAL && !isnan(v->u.r)) {
        add_real(b, v->u.r, kind);
    } else {
        aic_buf_add(b, "-");
    }
}

/* Rows that people see. */
static size_t shown_rows(const cmp_table *t, size_t top) {
    return t->whole || top == 0 || t->rows < top ? t->rows : top;
}

/* ---- text -------------------------------------------------------------------------------------------- */

static size_t width_of(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_padded(aic_buf *b, const char *text, size_t width, bool left, bool last) {
    size_t fill = width - width_of(text);
    for (size_t i = 0; !left && i < fill; i++)
        aic_buf_add(b, " ");
    aic_buf_add(b, text);
    for (size_t i = 0; left && !last && i < fill; i++)
        aic_buf_add(b, " ");
    aic_buf_add(b, last ? "" : "  ");
}

static void text_table(aic_buf *out, const cmp_table *t, size_t top) {
    size_t rows = shown_rows(t, top), last = 0;
    size_t *width = aic_calloc(t->n_columns, sizeof *width);
    aic_buf cell = {0};
    for (size_t c = 0; c < t->n_columns; c++) {
        if (!t->columns[c].heading)
            continue;
        last = c;
        width[c] = width_of(t->columns[c].heading);
        for (size_t r = 0; r < rows; r++) {
            aic_buf_clear(&cell);
            add_cell(&cell, &t->values[r * t->n_columns + c], t->columns[c].kind, false);
            width[c] = width_of(cell.data) > width[c] ? width_of(cell.data) : width[c];
        }
    }
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            if (!t->columns[c].heading)
                continue;
            aic_buf_clear(&cell);
            if (r == 0)
                aic_buf_add(&cell, t->columns[c].heading);
            else
                add_cell(&cell, &t->values[(r - 1) * t->n_columns + c], t->columns[c].kind, false);
            add_padded(out, cell.data, width[c], t->columns[c].kind == CMP_TEXT, c == last);
        }
        aic_buf_add(out, "\n");
    }
    aic_buf_free(&cell);
    free(width);
}

/* ---- Markdown ---------------------------------------------------------------------------------------- */

static void markdown_table(aic_buf *out, const cmp_table *t, size_t top) {
    size_t rows = shown_rows(t, top);
    for (size_t r = 0; r < rows + 2; r++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            const cmp_column *column = &t->columns[c];
            if (!column->heading)
                continue;
            aic_buf_add(out, "| ");
            if (r == 0)
                aic_buf_add(out, column->heading);
            else if (r == 1)
                aic_buf_add(out, column->kind == CMP_TEXT ? "---" : "---:");
            else
                add_cell(out, &t->values[(r - 2) * t->n_columns + c], column->kind, true);
            aic_buf_add(out, " ");
        }
        aic_buf_add(out, "|\n");
    }
}

/* ---- people ------------------------------------------------------------------------------------------ */

static void add_verdict(aic_buf *out, const cmp_tally *total, bool markdown) {
    uint64_t different = 0;
    char digits[32];
    for (int d = RES_DIFF_same + 1; d < RES_DIFFERENCE_COUNT; d++)
        different += total->points[d];
    aic_buf_add(out, markdown ? "**" : "");
    if (total->points[RES_DIFF_regression]) {
        aic_group_digits(total->points[RES_DIFF_regression], digits);
        aic_buf_printf(out, "%s regressions", digits);
    } else {
        aic_buf_add(out, different ? "no regressions" : "no differences");
    }
    aic_buf_add(out, markdown ? "**\n" : "\n");
}

static void add_commands(const cmp_report *r, aic_buf *out, bool markdown) {
    if (!r->n_commands)
        return;
    aic_buf_add(out, markdown ? "\nTo look further:\n\n```\n" : "\nTo look further:\n");
    for (size_t i = 0; i < r->n_commands; i++)
        aic_buf_printf(out, "%s%s\n", markdown ? "" : "  ", r->commands[i]);
    aic_buf_add(out, markdown ? "```\n" : "");
}

static void print_for_people(const cmp_report *r, const cmp_job *job, const cmp_tally *total, bool markdown,
                             aic_buf *out) {
    size_t top = job->opt->top;
    if (markdown)
        aic_buf_add(out, "## Comparison of two sweeps\n\n");
    add_verdict(out, total, markdown);
    for (size_t i = 0; i < r->n; i++) {
        const cmp_table *t = &r->tables[i];
        if (t->rows == 0 && !t->note)
            continue;
        if (t->title)
            aic_buf_printf(out, markdown ? "\n### %s\n" : "\n%s\n", t->title);
        if (markdown)
            aic_buf_add(out, "\n");
        else if (!t->title)
            aic_buf_add(out, "\n");
        if (markdown && t->rows)
            markdown_table(out, t, top);
        else if (t->rows)
            text_table(out, t, top);
        if (shown_rows(t, top) < t->rows)
            aic_buf_printf(out, "%sand %zu more\n", markdown ? "\n" : "", t->rows - shown_rows(t, top));
        if (t->note)
            aic_buf_printf(out, "%s%s\n", markdown ? "\n" : "", t->note);
    }
    add_commands(r, out, markdown);
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static void json_table(aic_buf *out, const cmp_table *t, res_numbers *numbers) {
    aic_buf_add(out, "[");
    for (size_t r = 0; r < t->rows; r++) {
        const char *comma = "{";
        aic_buf_add(out, r ? ",\n  " : "\n  ");
        for (size_t c = 0; c < t->n_columns; c++) {
            if (!t->columns[c].name)
                continue;
            aic_buf_printf(out, "%s\"%s\": ", comma, t->columns[c].name);
            res_json_value(numbers, out, &t->values[r * t->n_columns + c]);
            comma = ", ";
        }
        aic_buf_add(out, "}");
    }
    aic_buf_add(out, t->rows ? "\n ]" : "]");
}

static void json_options(const cmp_job *job, res_numbers *numbers, aic_buf *out) {
    aic_buf_add(out, " \"tolerance\": ");
    res_number_add(numbers, out, job->opt->tolerance);
    aic_buf_printf(out, ",\n \"match_version\": %s,\n \"same_order\": %s,\n \"figures\": [",
                   job->opt->match_version ? "true" : "false", job->match.in_step ? "true" : "false");
    for (size_t i = 0; i < job->by.n; i++)
        aic_buf_printf(out, "%s\"%s\"", i ? ", " : "", res_column_at((size_t)job->by.items[i])->name);
    aic_buf_add(out, "],\n");
}

static void print_json(const cmp_report *r, const cmp_job *job, aic_buf *out) {
    res_numbers *numbers = res_numbers_new();
    aic_buf_add(out, "{\"format\": \"aicfg-compare\",\n \"version\": 1,\n");
    json_options(job, numbers, out);
    bool groups = false;
    for (size_t i = 0; i < r->n; i++) {
        const cmp_table *t = &r->tables[i];
        bool group = i >= 2 && i < 2 + job->ids.n_groupings; /* after the files and the totals */
        if (group && !groups)
            aic_buf_add(out, " \"groups\": {");
        else if (!group && groups)
            aic_buf_add(out, "},\n");
        aic_buf_printf(out, "%s\"%s\": ", group && groups ? ",\n " : group ? "" : " ", t->name);
        groups = group;
        json_table(out, t, numbers);
        if (!group)
            aic_buf_add(out, ",\n");
    }
    aic_buf_add(out, " \"commands\": [");
    for (size_t i = 0; i < r->n_commands; i++) {
        aic_buf_add(out, i ? ", " : "");
        aic_buf_json_string(out, r->commands[i]);
    }
    aic_buf_add(out, "]}\n");
    res_numbers_free(numbers);
}

void cmp_print(const cmp_report *r, const cmp_job *job, const cmp_tally *total, cmp_format format,
               aic_buf *out) {
    if (format == CMP_FORMAT_json)
        print_json(r, job, out);
    else
        print_for_people(r, job, total, format == CMP_FORMAT_markdown, out);
}
