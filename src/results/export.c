/* export: points in point order as CSV or JSON lines, window by window. */
#include "results/internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct exporter {
    res_file *f;
    const res_export_options *opt;
    res_format format;
    res_filter filter;
    res_columns columns, needed;
    res_numbers *numbers;
    aic_buf line;
} exporter;

size_t res_window_points(const res_file *f, uint64_t first, uint64_t end, bool breakdown) {
    size_t n = RES_WINDOW, most = res_most_rows(f);
    if (breakdown && most > RES_WINDOW_ROWS / RES_WINDOW)
        n = RES_WINDOW_ROWS / most;
    return end - first < n ? (size_t)(end - first) : n;
}

static bool set_up(exporter *e, aic_error *err) {
    const res_export_options *o = e->opt;
    if (!res_format_parse(o->format, false, &e->format, err) || !res_filter_init(&e->filter, o->where, err))
        return false;
    if (o->columns && *o->columns) {
        if (!res_columns_parse(o->columns, "--columns", &e->columns, err))
            return false;
    } else {
        for (int c = 0; c < (int)RES_COLUMN_COUNT; c++)
            res_columns_add(&e->columns, c);
    }
    for (size_t i = 0; i < e->columns.n; i++)
        res_columns_add(&e->needed, e->columns.items[i]);
    for (size_t i = 0; i < e->filter.columns.n; i++)
        res_columns_add(&e->needed, e->filter.columns.items[i]);
    e->numbers = res_numbers_new();
    return true;
}

static void add_header(exporter *e) {
    for (size_t c = 0; c < e->columns.n; c++)
        aic_buf_printf(&e->line, "%s%s", c ? "," : "", res_column_at((size_t)e->columns.items[c])->name);
    aic_buf_add(&e->line, e->opt->breakdown
                              ? ",phase,op,kind,repeat,latency_ms,energy_wms,source,tier,carried\n"
                              : "\n");
}

static void add_csv_columns(exporter *e, const res_window *w, size_t i) {
    for (size_t c = 0; c < e->columns.n; c++) {
        aic_value v = res_window_value(w, i, e->columns.items[c]);
        aic_buf_add(&e->line, c ? "," : "");
        res_csv_value(e->numbers, &e->line, &v);
    }
}

/* One line per op; a point without ops has one line that names none. */
static void add_csv(exporter *e, const res_window *w, size_t i) {
    if (!e->opt->breakdown) {
        add_csv_columns(e, w, i);
        aic_buf_add(&e->line, "\n");
        return;
    }
    const res_op_row *rows;
    size_t n = res_window_rows(w, i, &rows);
    for (size_t r = 0; r < n || r == 0; r++) {
        add_csv_columns(e, w, i);
        if (n == 0) {
            aic_buf_add(&e->line, ",,,,,,,,,\n");
            return;
        }
        aic_buf_printf(&e->line, ",%s,", srv_phase_name(rows[r].phase));
        aic_csv_quote(&e->line, rows[r].name);
        aic_buf_add(&e->line, ",");
        aic_csv_quote(&e->line, rows[r].kind);
        const double numbers[] = {rows[r].repeat, rows[r].latency, rows[r].energy};
        for (size_t k = 0; k < 3; k++) {
            aic_buf_add(&e->line, ",");
            res_number_add(e->numbers, &e->line, numbers[k]);
        }
        aic_buf_printf(&e->line, ",%s,%s,%s\n", op_source_name(rows[r].source), op_tier_name(rows[r].tier),
                       srv_carried_name(rows[r].carried));
    }
}

static void add_json_number(exporter *e, double v) {
    aic_value real = aic_real(v);
    res_json_value(e->numbers, &e->line, &real);
}

static void add_json_phase(exporter *e, const res_op_row *rows, size_t n, srv_phase phase) {
    bool first = true;
    aic_buf_printf(&e->line, ",\"%s\":[", srv_phase_name(phase));
    for (size_t r = 0; r < n; r++) {
        if (rows[r].phase != phase)
            continue;
        aic_buf_add(&e->line, first ? "[" : ",[");
        first = false;
        aic_buf_json_string(&e->line, rows[r].name);
        aic_buf_add(&e->line, ",");
        add_json_number(e, rows[r].latency);
        aic_buf_add(&e->line, ",");
        add_json_number(e, rows[r].energy);
        aic_buf_printf(&e->line, ",\"%s\",\"%s\",\"%s\"]", op_source_name(rows[r].source),
                       op_tier_name(rows[r].tier), srv_carried_name(rows[r].carried));
    }
    aic_buf_add(&e->line, "]");
}

static void add_jsonl(exporter *e, const res_window *w, size_t i) {
    for (size_t c = 0; c < e->columns.n; c++) {
        aic_value v = res_window_value(w, i, e->columns.items[c]);
        aic_buf_add(&e->line, c ? ",\"" : "{\"");
        aic_buf_add(&e->line, res_column_at((size_t)e->columns.items[c])->name);
        aic_buf_add(&e->line, "\":");
        res_json_value(e->numbers, &e->line, &v);
    }
    if (e->opt->breakdown) {
        const res_op_row *rows;
        size_t n = res_window_rows(w, i, &rows);
        if (n > 0 && rows[0].phase == SRV_PH_encoder)
            add_json_phase(e, rows, n, SRV_PH_encoder);
        add_json_phase(e, rows, n, SRV_PH_context);
        add_json_phase(e, rows, n, SRV_PH_generation);
    }
    aic_buf_add(&e->line, "}\n");
}

static bool export_window(exporter *e, const res_window *w, size_t n, FILE *out, aic_error *err) {
    for (size_t i = 0; i < n; i++) {
        bool pass;
        if (!res_filter_pass(&e->filter, w, i, &pass, err))
            return false;
        if (!pass)
            continue;
        if (e->format == RES_CSV)
            add_csv(e, w, i);
        else
            add_jsonl(e, w, i);
        if (!res_flush(&e->line, false, out, err))
            return false;
    }
    return true;
}

static bool export_points(exporter *e, res_window *w, FILE *out, aic_error *err) {
    uint64_t count = res_count(e->f), base = res_first_point(e->f), first = e->opt->first;
    if (first == 0) /* not given */
        first = base;
    if (first < base || first - base > count)
        return aic_fail(err, AIC_BAD_INPUT, "there are %llu points, numbered from %llu",
                        (unsigned long long)count, (unsigned long long)base);
    first -= base;
    uint64_t end = e->opt->count > 0 && e->opt->count < count - first ? first + e->opt->count : count;
    if (e->format == RES_CSV)
        add_header(e);
    for (uint64_t n; first < end; first += n) {
        n = res_window_points(e->f, first, end, e->opt->breakdown);
        if (!res_window_load(w, first, (size_t)n, e->needed.items, e->needed.n, e->opt->breakdown, err) ||
            !export_window(e, w, (size_t)n, out, err))
            return false;
    }
    return res_flush(&e->line, true, out, err);
}

bool res_export(res_file *f, const res_export_options *opt, FILE *out, aic_error *err) {
    exporter e = {.f = f, .opt = opt};
    res_window *w = res_window_new(f);
    bool ok = set_up(&e, err) && export_points(&e, w, out, err);
    res_window_free(w);
    res_filter_free(&e.filter);
    res_columns_free(&e.columns);
    res_columns_free(&e.needed);
    res_numbers_free(e.numbers);
    aic_buf_free(&e.line);
    return ok;
}
