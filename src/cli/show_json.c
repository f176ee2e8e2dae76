/* show --json: one point for machines. */
#include "cli/show.h"

static void add_columns(const res_window *w, aic_buf *out) {
    for (size_t i = 0; i < res_column_count(); i++) {
        aic_value v = res_window_value(w, 0, (int)i);
        aic_buf_printf(out, "%s\"%s\": ", i ? ", " : "", res_column_at(i)->name);
        cli_json_value(out, &v);
    }
}

static void add_number(aic_buf *out, const char *name, double v) {
    aic_buf_printf(out, ", \"%s\": ", name);
    aic_buf_json_number(out, v);
}

static void add_text(aic_buf *out, const char *name, const char *v) {
    aic_buf_printf(out, ", \"%s\": ", name);
    aic_buf_json_string(out, v);
}

static void add_origins(const show_again *g, const show_more *more, aic_buf *out) {
    aic_buf_add(out, ", \"from\": [");
    for (size_t i = 0; i < more->n_origins; i++) {
        aic_buf_add(out, i ? ", {\"system\": " : "{\"system\": ");
        aic_buf_json_string(out, g->d->view->measured);
        add_text(out, "backend", more->origins[i].backend);
        add_text(out, "version", more->origins[i].version);
        aic_buf_add(out, "}");
    }
    aic_buf_add(out, "]");
}

static void add_op(const show_again *g, const res_op_row *row, aic_buf *out) {
    show_more more;
    show_row(g, row, &more);
    aic_buf_printf(out, "{\"phase\": \"%s\"", srv_phase_name(row->phase));
    add_text(out, "op", row->name);
    add_text(out, "kind", row->kind);
    add_number(out, "repeat", row->repeat);
    add_number(out, "latency_ms", row->latency);
    add_number(out, "energy_wms", row->energy);
    add_number(out, "sol_ms", more.sol);
    add_number(out, "sol_math_ms", more.sol_math);
    add_number(out, "sol_mem_ms", more.sol_mem);
    add_text(out, "source", op_source_name(row->source));
    add_text(out, "tier", op_tier_name(row->tier));
    add_text(out, "carried", srv_carried_name(row->carried));
    add_origins(g, &more, out);
    aic_buf_add(out, "}");
}

static void add_refusals(const show_again *g, aic_buf *out) {
    const char *comma = "";
    for (size_t i = 0; i < g->n_ops; i++) {
        if (g->ops[i].cls == OP_OK)
            continue;
        aic_buf_printf(out, "%s{\"class\": \"%s\"", comma, op_class_name(g->ops[i].cls));
        add_text(out, "op", g->ops[i].op->name);
        add_text(out, "reason", g->ops[i].why.text);
        aic_buf_add(out, "}");
        comma = ", ";
    }
}

void show_json(const res_window *w, const show_again *g, aic_buf *out) {
    const res_op_row *rows;
    size_t n = res_window_rows(w, 0, &rows);
    aic_buf_add(out, "{");
    add_columns(w, out);
    aic_buf_add(out, ", \"ops\": [");
    for (size_t i = 0; i < n; i++) {
        aic_buf_add(out, i ? ", " : "");
        add_op(g, &rows[i], out);
    }
    aic_buf_add(out, "], \"refusals\": [");
    add_refusals(g, out);
    aic_buf_add(out, "]}\n");
}
