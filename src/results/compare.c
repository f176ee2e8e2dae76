/* compare: two result files, unit by unit, by several threads. */
#include "results/compare.h"
#include <math.h>
#include <omp.h>
#include <string.h>

static const char default_by[] = "request_latency_ms,ttft_ms,tpot_ms,memory_gib";

static const struct {
    const char *name, *meaning;
} differences[] = {
#define DIFFERENCE(name, meaning) {#name, meaning},
    RES_DIFFERENCES(DIFFERENCE)
#undef DIFFERENCE
};

const char *res_difference_name(res_difference d) {
    return differences[d].name;
}

const char *res_difference_meaning(res_difference d) {
    return differences[d].meaning;
}

/* ---- options ----------------------------------------------------------------------------------------- */

static bool parse_format(const char *text, cmp_format *out, aic_error *err) {
    static const char *const names[] = {"text", "markdown", "json", "csv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!text || strcmp(text, names[i]) == 0) {
            *out = (cmp_format)i;
            return true;
        }
    return aic_fail(err, AIC_BAD_INPUT, "unknown format '%.40s'; expected text, markdown, json or csv", text);
}

/* The figures: real numbers of a point. */
static bool set_figures(cmp_job *job, aic_error *err) {
    const char *by = job->opt->by ? job->opt->by : default_by;
    if (strcmp(by, "all") == 0) {
        for (size_t c = RES_C_batch; c < RES_COLUMN_COUNT; c++)
            if (res_column_at(c)->type == RES_F64)
                res_columns_add(&job->by, (int)c);
        return true;
    }
    if (!res_columns_parse(by, "--by", &job->by, err))
        return false;
    for (size_t i = 0; i < job->by.n; i++) {
        const res_column *c = res_column_at((size_t)job->by.items[i]);
        if (c->of_deployment || c->type != RES_F64)
            return aic_fail(err, AIC_BAD_INPUT, "--by: %s is no figure of a point", c->name);
    }
    return true;
}

static void set_columns(cmp_job *job) {
    for (size_t c = 0; c < RES_C_batch; c++)
        if (res_column_at(c)->of_deployment && c != RES_C_version)
            res_columns_add(&job->keys, (int)c);
    for (size_t i = 0; i < job->match.workload.n; i++) {
        res_columns_add(&job->keys, job->match.workload.items[i]);
        res_columns_add(&job->loaded, job->match.workload.items[i]);
    }
    for (size_t i = 0; i < job->by.n; i++)
        res_columns_add(&job->loaded, job->by.items[i]);
    res_columns_add(&job->loaded, RES_C_status);
    res_columns_add(&job->loaded, RES_C_reason);
    res_columns_add(&job->loaded, RES_C_model); /* brings the deployment */
}

/* One breakdown may be rounded, the other not: by 2^-24 of the larger value at most. */
static double op_tolerance(const cmp_job *job, const res_file *a, const res_file *b) {
    return cmp_rounded(a, b) ? fmax(job->opt->tolerance, 0x1p-24) : job->opt->tolerance;
}

static bool set_up(cmp_job *job, res_file *a, res_file *b, aic_error *err) {
    const res_compare_options *o = job->opt;
    size_t most = res_most_rows(a) > res_most_rows(b) ? res_most_rows(a) : res_most_rows(b);
    int threads = o->threads ? (int)o->threads : omp_get_max_threads();
    job->threads = threads < 1 ? 1 : (unsigned)threads;
    job->op_tolerance = op_tolerance(job, a, b);
    job->unit = most > RES_WINDOW_ROWS / CMP_UNIT ? RES_WINDOW_ROWS / most : CMP_UNIT;
    if (!(o->tolerance >= 0 && isfinite(o->tolerance)))
        return aic_fail(err, AIC_BAD_INPUT, "--tolerance: expected a number that is not negative");
    if (!set_figures(job, err) || !cmp_ids_init(&job->ids, a, b, o, err) ||
        !cmp_match_init(&job->match, &job->ids, job->threads, err))
        return false;
    set_columns(job);
    return true;
}

static void clean_up(cmp_job *job) {
    cmp_ids_free(&job->ids);
    cmp_match_free(&job->match);
    res_columns_free(&job->by);
    res_columns_free(&job->loaded);
    res_columns_free(&job->keys);
}

/* ---- units ------------------------------------------------------------------------------------------- */

typedef struct pass {
    const cmp_job *job;
    int side;         /* whose points are the units': A, or those that only B has */
    cmp_tally *total; /* the rest belongs to the thread whose turn it is */
    FILE *out;
    aic_buf text;
    aic_error failure;
} pass;

static bool emit(pass *p, const cmp_tally *t, aic_error *err) {
    for (size_t i = 0; i < t->n_lines; i++)
        aic_buf_addn(&p->text, t->text.data + t->lines[i].at, t->lines[i].len);
    return res_flush(&p->text, false, p->out, err);
}

static bool take_unit(const pass *p, cmp_worker *w, uint64_t count, uint64_t first, cmp_tally *t,
                      aic_error *err) {
    size_t unit = p->job->unit, n = count - first < unit ? (size_t)(count - first) : unit;
    cmp_tally_clear(t, &p->job->ids);
    return p->side == CMP_A ? cmp_unit(w, first, n, t, err) : cmp_added(w, first, n, t, err);
}

/* Every unit of one file; counts and lines are added in the order of the units. */
static bool take_units(pass *p, aic_error *err) {
    const cmp_job *job = p->job;
    uint64_t count = res_count(job->ids.side[p->side].f);
    int64_t units = (int64_t)((count + job->unit - 1) / job->unit);
    bool failed = false;
#pragma omp parallel num_threads(job->threads)
    {
        cmp_worker *w = cmp_worker_new(job);
        cmp_tally t;
        cmp_tally_init(&t, &job->ids, job->opt->top);
#pragma omp for ordered schedule(dynamic, 1)
        for (int64_t u = 0; u < units; u++) {
            aic_error why = {0};
            bool stop, ok;
#pragma omp atomic read
            stop = failed;
            ok = !stop && take_unit(p, w, count, (uint64_t)u * job->unit, &t, &why);
#pragma omp ordered
            {
                if (ok && p->failure.code == AIC_OK) {
                    cmp_tally_merge(p->total, &t, &job->ids);
                    ok = emit(p, &t, &why);
                }
                if (!ok && p->failure.code == AIC_OK)
                    p->failure = why;
                if (!ok) {
#pragma omp atomic write
                    failed = true;
                }
            }
        }
        cmp_tally_free(&t, &job->ids);
        cmp_worker_free(w);
    }
    bool ok = p->failure.code == AIC_OK && res_flush(&p->text, true, p->out, &p->failure);
    aic_buf_free(&p->text);
    if (!ok)
        *err = p->failure;
    return ok;
}

static bool count(const cmp_job *job, cmp_tally *total, FILE *out, aic_error *err) {
    pass p = {.job = job, .side = CMP_A, .total = total, .out = out};
    if (job->csv)
        cmp_csv_header(job, &p.text);
    if (!take_units(&p, err))
        return false;
    if (job->match.in_step)
        return true;
    p = (pass){.job = job, .side = CMP_B, .total = total, .out = out};
    return take_units(&p, err);
}

static bool print(const cmp_job *job, const cmp_tally *total, cmp_format format, FILE *out, aic_error *err) {
    cmp_report report;
    aic_buf text = {0};
    bool ok = cmp_report_make(&report, job, total, err);
    if (ok) {
        cmp_print(&report, job, total, format, &text);
        ok = res_flush(&text, true, out, err);
    }
    cmp_report_free(&report);
    aic_buf_free(&text);
    return ok;
}

bool res_compare(res_file *a, res_file *b, const res_compare_options *opt, FILE *out,
                 res_compare_summary *sum, aic_error *err) {
    cmp_job job = {.opt = opt};
    cmp_format format = CMP_FORMAT_text;
    cmp_tally total = {0};
    bool ok = parse_format(opt->format, &format, err);
    job.csv = ok && format == CMP_FORMAT_csv;
    ok = ok && set_up(&job, a, b, err);
    if (ok) {
        cmp_tally_init(&total, &job.ids, opt->top);
        ok = count(&job, &total, out, err) && (job.csv || print(&job, &total, format, out, err));
        memcpy(sum->points, total.points, sizeof sum->points);
        cmp_tally_free(&total, &job.ids);
    }
    clean_up(&job);
    return ok;
}
