/* aicfg-sweep show: one point of a result file, op by op. Stored figures, and beside them the speed of light
 * of the same shapes where the measured tables are at hand. */
#include "cli/show.h"
#include "cli/layers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- head
 * ------------------------------------------------------------------------------------------------------------------
 */

static void print_value(const aic_value *v) {
    char text[32];
    switch (v->type) {
    case AIC_V_INT:
        printf("%lld", (long long)v->u.i);
        break;
    case AIC_V_REAL:
        snprintf(text, sizeof text, "%.6g", v->u.r);
        printf("%s", text);
        break;
    case AIC_V_STR:
        printf("%s", v->u.s);
        break;
    default:
        printf("-");
    }
}

static void print_columns(const res_window *w, bool of_deployment) {
    for (size_t i = 0; i < res_column_count(); i++) {
        const res_column *c = res_column_at(i);
        aic_value v = res_window_value(w, 0, (int)i);
        bool empty = v.type == AIC_V_NULL || (v.type == AIC_V_STR && !*v.u.s);
        if (c->of_deployment != of_deployment || empty)
            continue;
        printf("%-26s", c->name);
        print_value(&v);
        printf("%s%s\n", *c->unit ? " " : "", c->unit);
    }
}

/* ---- table
 * -------------------------------------------------------------------------------------------------------------------
 */

static void print_number(double v, int width, int decimals) {
    if (isnan(v))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, decimals, v);
}

/* Where the figures come from: source, tier of the estimates, and whose rows. */
static void print_basis(const show_again *g, const res_op_row *row, const show_more *more) {
    printf("  %-9s  %-9s  %s", op_source_name(row->source), op_tier_name(row->tier),
           srv_carried_name(row->carried));
    for (size_t i = 0; i < more->n_origins; i++)
        printf("%s %s/%s/%s", i ? "," : ":", g->d->view->measured, more->origins[i].backend,
               more->origins[i].version);
    printf("\n");
}

#define HEAD_LEFT  "\n%-10s %-32s %-20s %8s "
#define HEAD_RIGHT "  %-9s  %-9s  %s\n"

static void print_layer_row(const show_again *g, const res_op_row *row, double total, const cli_layers *l) {
    show_more more;
    show_row(g, row, &more);
    printf("%-10s %-32s %-20s %8.4f", srv_phase_name(row->phase), row->name, row->kind,
           cli_calls(l, row->phase, row->repeat));
    print_number(cli_per_call(l, row->phase, row->latency, row->repeat), 12, 4);
    print_number(cli_per_layer(l, row->phase, row->latency), 12, 4);
    print_number(total > 0 ? 100 * row->latency / total : 0.0, 6, 2);
    print_number(cli_per_call(l, row->phase, more.sol, row->repeat), 12, 4);
    print_number(cli_per_call(l, row->phase, more.sol_math, row->repeat), 12, 4);
    print_number(cli_per_call(l, row->phase, more.sol_mem, row->repeat), 12, 4);
    print_basis(g, row, &more);
}

static void print_row(const show_again *g, const res_op_row *row, double total) {
    show_more more;
    show_row(g, row, &more);
    printf("%-10s %-32s %-20s %8.4g %12.6f %6.2f", srv_phase_name(row->phase), row->name, row->kind,
           row->repeat, row->latency, total > 0 ? 100 * row->latency / total : 0.0);
    print_number(more.sol, 12, 6);
    print_number(row->latency > 0 ? 100 * more.sol / row->latency : more.sol * 0, 6, 1);
    print_number(more.sol_math, 12, 6);
    print_number(more.sol_mem, 12, 6);
    print_basis(g, row, &more);
}

/* Latency of all ops of the point, those included that the file leaves out, ms. */
static double whole_latency(const res_window *w) {
    static const char *const phases[] = {"encoder_latency_ms", "context_latency_ms", "generation_latency_ms"};
    double sum = 0;
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        aic_value v = res_window_value(w, 0, res_column_find(phases[i]));
        sum += v.type == AIC_V_REAL ? v.u.r : 0;
    }
    return sum;
}

/* layers NULL: totals; else per layer and per call. */
static void print_rows(const res_window *w, const show_again *g, cli_layers *layers) {
    const res_op_row *rows;
    double total = whole_latency(w), shown = 0;
    size_t n = res_window_rows(w, 0, &rows);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        shown += rows[i].latency;
        if (layers)
            cli_layers_see(layers, rows[i].phase, rows[i].repeat);
    }
    if (layers)
        printf(HEAD_LEFT "%12s %12s %6s %12s %12s %12s" HEAD_RIGHT, "phase", "op", "kind", "calls", "us/call",
               "us/layer", "%", "SOL us/call", "SOL math", "SOL memory", "source", "tier", "rows");
    else
        printf(HEAD_LEFT "%12s %6s %12s %6s %12s %12s" HEAD_RIGHT, "phase", "op", "kind", "repeat", "ms", "%",
               "SOL ms", "SOL %", "SOL math", "SOL memory", "source", "tier", "rows");
    for (size_t i = 0; i < n; i++)
        if (layers)
            print_layer_row(g, &rows[i], total, layers);
        else
            print_row(g, &rows[i], total);
    if (total - shown > 1e-6 * total)
        printf("(the file leaves out other ops of the point, %.6f ms together)\n", total - shown);
    if (layers && layers->encoder > 0)
        printf("calls: in one of %g layers, of %g in the encoder; generation: of one decode step\n",
               layers->layers, layers->encoder);
    else if (layers)
        printf("calls: in one of %g layers; generation: of one decode step\n", layers->layers);
    if (!g->n_ops)
        printf("(no speed of light and no names of sources: the measured tables of this system are not at "
               "hand; try --perfdb)\n");
}

/* Why a refused point has no figures: the ops in their way. */
static void print_refusals(const show_again *g) {
    bool any = false;
    for (size_t i = 0; i < g->n_ops; i++) {
        if (g->ops[i].cls == OP_OK)
            continue;
        if (!any)
            printf("\nops without an answer\n");
        any = true;
        printf("  %s: %s: %s\n", g->ops[i].op->name, op_class_name(g->ops[i].cls), g->ops[i].why.text);
    }
}

static void print_text(const res_window *w, const show_again *g, cli_layers *layers) {
    print_columns(w, true);
    print_columns(w, false);
    print_rows(w, g, layers);
    print_refusals(g);
}

static void print_json(const res_window *w, const show_again *g) {
    aic_buf text = {0};
    show_json(w, g, &text);
    fputs(text.data, stdout);
    aic_buf_free(&text);
}

/* The model's layers, which the result file does not hold. */
static bool find_layers(const srv_env *env, const srv_request *req, uint32_t osl, cli_layers *out,
                        aic_error *err) {
    const mdl_model *m = mdl_get(env->models, req->model, err);
    if (!m)
        return false;
    *out = cli_layers_of(m, osl);
    return true;
}

static bool show(const cli_args *args, res_file *f, uint64_t row, const srv_env *env, aic_error *err) {
    srv_request req;
    cli_layers layers;
    srv_workload load;
    show_again g = {0};
    int *columns = aic_alloc(res_column_count(), sizeof *columns);
    for (size_t i = 0; i < res_column_count(); i++)
        columns[i] = (int)i;
    res_window *w = res_window_new(f);
    bool ok = res_window_load(w, row, 1, columns, res_column_count(), true, err) &&
              res_point_request(f, row, &req, &load, err) &&
              (!args->per_layer || find_layers(env, &req, load.osl, &layers, err));
    if (ok) {
        show_evaluate(&g, env, &req, &load);
        if (args->json)
            print_json(w, &g);
        else
            print_text(w, &g, args->per_layer ? &layers : NULL);
    }
    show_free(&g);
    res_window_free(w);
    free(columns);
    return ok;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    int64_t point;
    if (!aic_parse_i64(args->operands.v[1], &point) || point < 0) {
        aic_fail(err, AIC_BAD_INPUT, "show: expected the number of a point, found \"%s\"",
                 args->operands.v[1]);
        return err->code;
    }
    res_file *f = res_open(args->operands.v[0], err);
    if (!f)
        return err->code;
    uint64_t first = res_first_point(f);
    if ((uint64_t)point < first || (uint64_t)point - first >= res_count(f)) {
        aic_fail(err, AIC_BAD_INPUT, "show: %s has %llu points, numbered from %llu", args->operands.v[0],
                 (unsigned long long)res_count(f), (unsigned long long)first);
    } else if (cli_data_open(args, &data, err)) {
        show(args, f, (uint64_t)point - first, &data.env, err);
        cli_data_close(&data);
    }
    res_close(f);
    return err->code;
}

static const cli_option options[] = {
    {"per-layer", 0, CLI_FLAG, NULL, offsetof(cli_args, per_layer),
     "ops per layer and per call instead of totals, to judge their granularity"},
    {"json", 0, CLI_FLAG, NULL, offsetof(cli_args, json),
     "one JSON object: columns, ops, ops without an answer"},
};

const cli_command cli_show = {
    .name = "show",
    .operands = "OUT.h5 POINT",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "print one point: its figures, every op with share and speed of light, or why it was refused",
    .details =
        "Speed of light is the larger of math and memory time, which stand beside it. Rows other than those\n"
        "of the version asked for are named as SYSTEM/BACKEND/VERSION.",
    .examples =
        "show output/h200.h5 12345\nshow output/h200.h5 12345 --per-layer\nshow output/h200.h5 12345 --json",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .data = true,
    .run = run,
};
