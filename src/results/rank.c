/* rank: one pass over the columns that decide (rank_choose.c), one over the rows that won. */
#include "results/rank.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const char default_by[] = "tokens_per_s_per_gpu";
static const char default_columns[] =
    "point,model,system,backend,version,tp,pp,dp,moe_tp,moe_ep,gemm_quant,kvcache_quant,batch,isl,osl,"
    "prefix,ttft_ms,tpot_ms,tokens_per_s_per_gpu,tokens_per_s_per_user,memory_gib";

/* ---- options ----------------------------------------------------------------------------------------- */

typedef struct numbered {
    const char *text;
    size_t id;
} numbered;

static int by_text(const void *a, const void *b) {
    return strcmp(((const numbered *)a)->text, ((const numbered *)b)->text);
}

static double *text_order(const res_file *f, int column) {
    size_t n = res_text_count(f, column);
    numbered *list = aic_calloc(n, sizeof *list);
    double *order = aic_calloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        list[i] = (numbered){res_text_at(f, column, i), i};
    qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        order[list[i].id] =
            i > 0 && strcmp(list[i].text, list[i - 1].text) == 0 ? order[list[i - 1].id] : (double)i;
    free(list);
    return order;
}

static void set_figure(rank_job *r, rank_figure *g, int column, int descending) {
    g->column = column;
    g->higher = descending < 0 ? res_column_at((size_t)column)->higher_is_better : descending != 0;
    if (res_column_at((size_t)column)->type == RES_TEXT)
        g->order = text_order(r->f, column);
    res_columns_add(&r->needed, column);
}

static bool set_key(rank_job *r, aic_error *err) {
    res_columns by;
    if (r->pareto && !r->opt->by)
        return true; /* the front is in order of x */
    if (!res_columns_parse(r->opt->by ? r->opt->by : default_by, "--by", &by, err))
        return false;
    bool ok = by.n == 1 || aic_fail(err, AIC_BAD_INPUT, "--by takes one column");
    if (ok)
        set_figure(r, &r->key, by.items[0], r->opt->descending);
    res_columns_free(&by);
    return ok;
}

static bool set_front(rank_job *r, aic_error *err) {
    res_columns xy;
    if (!r->pareto)
        return true;
    if (!res_columns_parse(r->opt->pareto, "--pareto", &xy, err))
        return false;
    bool ok = xy.n == 2 || aic_fail(err, AIC_BAD_INPUT, "--pareto takes two columns: x,y");
    if (ok) {
        set_figure(r, &r->x, xy.items[0], -1);
        set_figure(r, &r->y, xy.items[1], -1);
        if (!r->opt->by)
            set_figure(r, &r->key, xy.items[0], -1);
    }
    res_columns_free(&xy);
    return ok;
}

static bool set_shown(rank_job *r, aic_error *err) {
    r->shown_default = !r->opt->columns;
    if (!res_columns_parse(r->opt->columns ? r->opt->columns : default_columns, "--columns", &r->shown, err))
        return false;
    if (!r->shown_default)
        return true;
    for (size_t i = 0; i < r->groups.n; i++)
        res_columns_add(&r->shown, r->groups.items[i]);
    for (size_t i = 0; i < r->needed.n; i++)
        res_columns_add(&r->shown, r->needed.items[i]);
    if (r->opt->all_status)
        res_columns_add(&r->shown, RES_C_status);
    return true;
}

static bool need_filter(rank_job *r, aic_error *err) {
    res_filter f;
    if (!res_filter_init(&f, r->opt->where, err))
        return false;
    for (size_t i = 0; i < f.columns.n; i++)
        res_columns_add(&r->needed, f.columns.items[i]);
    res_filter_free(&f);
    return true;
}

static bool set_up(rank_job *r, aic_error *err) {
    const res_rank_options *o = r->opt;
    r->pareto = o->pareto && *o->pareto;
    if (!res_format_parse(o->format ? o->format : "table", true, &r->format, err) || !set_key(r, err) ||
        !set_front(r, err) || !need_filter(r, err))
        return false;
    if (o->group && *o->group && !res_columns_parse(o->group, "--group", &r->groups, err))
        return false;
    if (!set_shown(r, err))
        return false;
    res_columns_add(&r->needed, RES_C_status);
    for (size_t i = 0; i < r->groups.n; i++)
        res_columns_add(&r->needed, r->groups.items[i]);
    res_selection_init(&r->selection, r->pareto, o->top);
    r->threads = o->threads ? (int)o->threads : omp_get_max_threads();
    return true;
}

static void clean_up(rank_job *r) {
    res_columns_free(&r->groups);
    res_columns_free(&r->shown);
    res_columns_free(&r->needed);
    if (r->selection.keys)
        res_selection_free(&r->selection);
    free(r->key.order);
    free(r->x.order);
    free(r->y.order);
}

/* ---- second pass ------------------------------------------------------------------------------------- */

typedef struct wanted {
    uint64_t point;
    size_t row;
} wanted;

static int by_point(const void *a, const void *b) {
    const wanted *p = a, *q = b;
    return p->point < q->point ? -1 : p->point > q->point;
}

/* Fetches the shown columns in point order, so that each chunk of the file is decoded once. */
static bool fetch(rank_job *r, res_window *w, const wanted *sorted, size_t n, aic_value *values,
                  aic_error *err) {
    uint64_t stripe = res_group_get(RES_G_POINTS)->chunk, first = 0, end = 0, count = res_count(r->f);
    for (size_t k = 0; k < n; k++) {
        if (sorted[k].point >= end) {
            first = sorted[k].point / stripe * stripe;
            end = first + stripe < count ? first + stripe : count;
            if (!res_window_load(w, first, (size_t)(end - first), r->shown.items, r->shown.n, false, err))
                return false;
        }
        for (size_t c = 0; c < r->shown.n; c++)
            values[sorted[k].row * r->shown.n + c] =
                res_window_value(w, (size_t)(sorted[k].point - first), r->shown.items[c]);
    }
    return true;
}

static bool print_rows(rank_job *r, const aic_value *values, size_t rows, FILE *out, aic_error *err) {
    res_numbers *numbers = res_numbers_new();
    aic_buf b = {0};
    bool ok = true;
    if (r->format == RES_CSV)
        for (size_t c = 0; c < r->shown.n; c++)
            aic_buf_printf(&b, "%s%s", res_column_at((size_t)r->shown.items[c])->name,
                           c + 1 < r->shown.n ? "," : "\n");
    for (size_t i = 0; ok && i < rows; i++) {
        for (size_t c = 0; c < r->shown.n; c++) {
            const aic_value *v = &values[i * r->shown.n + c];
            if (r->format == RES_CSV) {
                aic_buf_add(&b, c ? "," : "");
                res_csv_value(numbers, &b, v);
            } else {
                aic_buf_printf(&b, "%s\"%s\":", c ? "," : "{",
                               res_column_at((size_t)r->shown.items[c])->name);
                res_json_value(numbers, &b, v);
            }
        }
        aic_buf_add(&b, r->format == RES_CSV ? "\n" : "}\n");
        ok = res_flush(&b, false, out, err);
    }
    ok = ok && res_flush(&b, true, out, err);
    aic_buf_free(&b);
    res_numbers_free(numbers);
    return ok;
}

static bool print_table(rank_job *r, const aic_value *values, size_t rows, FILE *out, aic_error *err) {
    aic_buf b = {0};
    if (rows > 0)
        res_print_table(&b, &r->shown, values, rows, r->shown_default);
    aic_buf_printf(&b, "%zu of %llu points", rows, (unsigned long long)res_count(r->f));
    if (r->not_ok)
        aic_buf_printf(&b, ", %llu not ok", (unsigned long long)r->not_ok);
    if (r->filtered)
        aic_buf_printf(&b, ", %llu filtered out", (unsigned long long)r->filtered);
    if (r->absent)
        aic_buf_printf(&b, ", %llu without a value to compare", (unsigned long long)r->absent);
    aic_buf_add(&b, res_complete(r->f) ? "\n" : " (of an unfinished sweep)\n");
    bool ok = res_flush(&b, true, out, err);
    aic_buf_free(&b);
    return ok;
}

static bool show(rank_job *r, FILE *out, aic_error *err) {
    res_window *w = res_window_new(r->f);
    size_t rows = 0, at = 0;
    for (size_t g = 0; g < r->selection.n; g++)
        rows += r->selection.groups[g].n;
    wanted *sorted = aic_calloc(rows, sizeof *sorted);
    aic_value *values = aic_calloc(aic_mul(rows, r->shown.n), sizeof *values);
    for (size_t g = 0; g < r->selection.n; g++)
        for (size_t i = 0; i < r->selection.groups[g].n; i++, at++)
            sorted[at] = (wanted){r->selection.groups[g].items[i].point, at};
    qsort(sorted, rows, sizeof *sorted, by_point);
    bool ok = fetch(r, w, sorted, rows, values, err);
    if (ok)
        ok = r->format == RES_TABLE ? print_table(r, values, rows, out, err)
                                    : print_rows(r, values, rows, out, err);
    free(sorted);
    free(values);
    res_window_free(w);
    return ok;
}

bool res_rank(res_file *f, const res_rank_options *opt, FILE *out, aic_error *err) {
    rank_job r = {.f = f, .opt = opt};
    bool ok = set_up(&r, err) && rank_choose(&r, err) && show(&r, out, err);
    clean_up(&r);
    return ok;
}
