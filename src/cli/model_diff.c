/* aicfg-sweep model diff: two models or deployments side by side, op by op, in static mode. */
#include "cli/layers.h"
#include "cli/model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One evaluated deployment. */
typedef struct side {
    char name; /* 'A' or 'B' */
    swp_row row;
    srv_deployment *d;
    srv_block block;
    cli_layers layers;
} side;

/* ---- evaluating -----------------------------------------------------------------------------------------
 */

/* "tp=8": a field that differs in the second deployment. text is modified. */
static bool set_field(swp_row *row, char *text, aic_error *err) {
    char *value = strchr(text, '=');
    if (!value || value == text)
        return aic_fail(err, AIC_BAD_INPUT, "model diff: --b %s: expected NAME=VALUE, tp=8 for example",
                        text);
    *value++ = '\0';
    for (char *p = text; *p; p++)
        *p = *p == '-' ? '_' : *p;
    int field = swp_field_find(text);
    if (field < 0)
        return aic_fail(err, AIC_BAD_INPUT,
                        "model diff: --b %s: no such option of a point ('help point' lists them)", text);
    return swp_row_set(row, (size_t)field, value, err);
}

static bool set_fields(const cli_args *args, aic_arena *a, swp_row *row, aic_error *err) {
    for (size_t i = 0; i < args->for_b.n; i++) {
        const char *at = args->for_b.v[i];
        while (*at) {
            size_t len = strcspn(at, ",");
            if (len && !set_field(row, aic_arena_strndup(a, at, len), err))
                return false;
            at += len + (at[len] == ',');
        }
    }
    return !*row->refused || aic_fail(err, AIC_BAD_INPUT, "%s", row->refused);
}

static bool evaluate(side *s, const srv_env *env, aic_error *err) {
    s->d = srv_compile(env, &s->row.request, NULL, err);
    if (!s->d)
        return false;
    srv_evaluate(s->d, &s->row.load, 1, &s->block);
    if (s->d->model)
        s->layers = cli_layers_of(s->d->model, s->row.load.osl);
    for (size_t i = 0; i < s->d->n_rows; i++)
        cli_layers_see(&s->layers, s->d->rows[i].phase, s->d->rows[i].repeat);
    return true;
}

static bool priced(const side *s) {
    return s->block.n == 1 && s->block.priced[0];
}

/* ---- printing -------------------------------------------------------------------------------------------
 */

static void print_side(const side *s) {
    const mdl_parallel *p = &s->d->built.par;
    const srv_workload *w = &s->row.load;
    printf("%c  %s", s->name, s->row.request.model);
    if (s->d->view)
        printf("  %s %s %s", s->d->view->system->name, s->d->view->backend, s->d->view->version);
    printf("  tp %u pp %u dp %u moe_tp %u moe_ep %u  batch %u isl %u osl %u", p->tp, p->pp, p->dp, p->moe_tp,
           p->moe_ep, w->batch, w->isl, w->osl);
    if (s->layers.layers > 0)
        printf("  %g layers", s->layers.layers);
    printf("\n");
    if (s->block.n && !priced(s)) {
        const srv_point point = srv_points_get(&s->block.points, 0);
        printf("   %s: %s\n", srv_status_name(point.status), point.reason ? point.reason : "");
    }
}

static void print_number(double v, int width, int decimals) {
    if (isnan(v))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, decimals, v);
}

/* A pair of figures and their ratio. */
static void print_pair(double a, double b) {
    print_number(a, 11, 4);
    print_number(b, 11, 4);
    print_number(a > 0 && b > 0 ? b / a : NAN, 7, 3);
}

static const srv_row *row_at(const side *s, size_t i) {
    return i < s->d->n_rows ? &s->d->rows[i] : NULL;
}

static size_t first_row(const side *s) {
    return srv_first_row(s->d, srv_points_encode(&s->block.points, 0));
}

static size_t find_row(const side *s, const srv_row *like) {
    size_t i = first_row(s);
    while (i < s->d->n_rows &&
           (s->d->rows[i].phase != like->phase || strcmp(s->d->rows[i].name, like->name) != 0))
        i++;
    return i;
}

static double latency(const side *s, size_t i) {
    return row_at(s, i) ? s->block.latency[i] : NAN;
}

static double layer(const side *s, size_t i) {
    const srv_row *r = row_at(s, i);
    return r ? cli_per_layer(&s->layers, r->phase, s->block.latency[i]) : NAN;
}

static double calls(const side *s, size_t i) {
    const srv_row *r = row_at(s, i);
    return r ? cli_calls(&s->layers, r->phase, r->repeat) : NAN;
}

/* Row i of A beside row k of B; one past the end stands for no such row. */
static void print_row(const side *a, size_t i, const side *b, size_t k) {
    const srv_row *x = row_at(a, i), *y = row_at(b, k), *any = x ? x : y;
    printf("%-10s %-34s %-22s", srv_phase_name(any->phase), any->name, any->kind);
    print_pair(latency(a, i), latency(b, k));
    print_pair(layer(a, i), layer(b, k));
    print_number(calls(a, i), 7, 3);
    print_number(calls(b, k), 7, 3);
    printf("%s%s\n", x && y && strcmp(x->kind, y->kind) != 0 ? "  B: " : "",
           x && y && strcmp(x->kind, y->kind) != 0 ? y->kind : "");
}

static void print_total(const side *a, const side *b, srv_phase phase) {
    double sums[2] = {0, 0}, layers[2] = {0, 0};
    const side *sides[] = {a, b};
    for (int s = 0; s < 2; s++)
        for (size_t i = first_row(sides[s]); i < sides[s]->d->n_rows; i++)
            if (sides[s]->d->rows[i].phase == phase) {
                sums[s] += latency(sides[s], i);
                layers[s] += layer(sides[s], i);
            }
    printf("%-10s %-34s %-22s", srv_phase_name(phase), "total", "");
    print_pair(sums[0], sums[1]);
    print_pair(layers[0], layers[1]);
    printf("\n");
}

static bool has_phase(const side *s, srv_phase phase) {
    for (size_t i = first_row(s); i < s->d->n_rows; i++)
        if (s->d->rows[i].phase == phase)
            return true;
    return false;
}

static void print_phase(const side *a, const side *b, srv_phase phase) {
    if (!has_phase(a, phase) && !has_phase(b, phase))
        return;
    for (size_t i = first_row(a); i < a->d->n_rows; i++)
        if (a->d->rows[i].phase == phase)
            print_row(a, i, b, find_row(b, &a->d->rows[i]));
    for (size_t k = first_row(b); k < b->d->n_rows; k++)
        if (b->d->rows[k].phase == phase && find_row(a, &b->d->rows[k]) == a->d->n_rows)
            print_row(a, a->d->n_rows, b, k);
    print_total(a, b, phase);
}

static void print_table(const side *a, const side *b) {
    printf("\n%-10s %-34s %-22s %11s %11s %7s %11s %11s %7s %7s %7s\n", "phase", "op", "kind", "A ms", "B ms",
           "B/A", "A us/layer", "B us/layer", "B/A", "A calls", "B calls");
    for (int p = 0; p < SRV_PHASE_COUNT; p++)
        print_phase(a, b, srv_phases[p]);
    printf("us/layer: of one decode step in generation; calls: in one layer\n");
}

static void free_side(side *s) {
    srv_block_free(&s->block);
    srv_free(s->d);
}

aic_code model_diff(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    aic_arena *arena = aic_arena_new();
    side a = {.name = 'A', .row = *row}, b = {.name = 'B', .row = *row};
    aic_code code = AIC_OK;
    b.row.request.model = args->operands.v[2];
    if (!row->request.system)
        aic_fail(err, AIC_BAD_INPUT, "model diff: --system is missing");
    else if (set_fields(args, arena, &b.row, err) && evaluate(&a, env, err) && evaluate(&b, env, err)) {
        print_side(&a);
        print_side(&b);
        if (priced(&a) && priced(&b))
            print_table(&a, &b);
        else
            code = AIC_FINDING;
    }
    free_side(&a);
    free_side(&b);
    aic_arena_free(arena);
    return err->code != AIC_OK ? err->code : code;
}
