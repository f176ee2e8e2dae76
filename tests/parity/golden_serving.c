/* Reference files of serving points: reading, choosing checks, reporting (golden_serving.h). */
#include "parity/golden_serving_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- report -------------------------------------------------------------------------------------------- */

golden_serving_row *golden_row_of(golden_serving_report *report, const char *check, const char *family) {
    for (size_t i = 0; i < report->n_rows; i++)
        if (strcmp(report->rows[i].check, check) == 0 && strcmp(report->rows[i].family, family) == 0)
            return &report->rows[i];
    size_t last = sizeof report->rows / sizeof report->rows[0] - 1;
    golden_serving_row *row = &report->rows[report->n_rows < last ? report->n_rows++ : last];
    snprintf(row->check, sizeof row->check, "%s", check);
    snprintf(row->family, sizeof row->family, "%s", family);
    return row;
}

void golden_differ(golden_record *r, const char *fmt, ...) AIC_PRINTF(2, 3);
void golden_differ(golden_record *r, const char *fmt, ...) {
    golden_serving_report *report = r->c->report;
    size_t most = sizeof report->first / sizeof report->first[0];
    if (r->failed || report->n_first == most) { /* one text per golden_record */
        r->failed = true;
        return;
    }
    r->failed = true;
    char *text = report->first[report->n_first++];
    const char *cfg = golden_text(aic_map_get(r->node, "cfg")),
               *mode = golden_text(aic_map_get(r->node, "mode"));
    int n = snprintf(text, sizeof report->first[0], "line %zu, %s %s %s %s: ", r->line, r->row->check,
                     r->row->family, cfg ? cfg : "", mode ? mode : "");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof report->first[0] - (size_t)n, fmt, ap);
    va_end(ap);
}

void golden_skip(golden_record *r, const char *why) {
    r->row->skipped++;
    r->row->skipped_why = why;
}

void golden_finish(golden_record *r, bool refused) {
    *(r->failed ? &r->row->different : refused ? &r->row->refused : &r->row->compared) += 1;
    r->c->report->compared += !r->failed;
    r->c->report->different += r->failed;
}

/* null stands for NaN. */
void golden_expect_number(golden_record *r, const char *what, double got, const aic_node *want) {
    if (!want || want->kind == AIC_K_NULL) {
        if (!isnan(got))
            golden_differ(r, "%s: %.17g, expected none", what, got);
        return;
    }
    double error = got == want->r ? 0.0 : fabs(got - want->r) / fmax(fabs(want->r), 1e-300);
    if (!(error <= r->row->worst))
        r->row->worst = error;
    if (!(error <= GOLDEN_SERVING_TOLERANCE))
        golden_differ(r, "%s: %.17g, expected %.17g", what, got, want->r);
}

void golden_expect_text(golden_record *r, const char *what, const char *got, const aic_node *want) {
    const char *text = golden_text(want);
    if (text && strcmp(got, text) != 0)
        golden_differ(r, "%s: %s, expected %s", what, got, text);
}

static const golden_spec *find_spec(const golden_context *c, const char *cfg) {
    for (size_t i = 0; cfg && i < c->n_specs; i++)
        if (strcmp(c->specs[i].cfg, cfg) == 0)
            return &c->specs[i];
    return NULL;
}

/* ---- choosing checks ----------------------------------------------------------------------------------- */

typedef void (*check_fn)(golden_record *r, const golden_spec *s);

static void run_check(golden_context *c, const aic_node *node, size_t line, const char *check,
                      const char *family, check_fn fn, const golden_spec *s) {
    golden_record r = {.c = c,
                       .node = node,
                       .line = line,
                       .arena = aic_arena_new(),
                       .row = golden_row_of(c->report, check, family)};
    fn(&r, s);
    aic_arena_free(r.arena);
}

static const char *family_of(const golden_spec *s) {
    return golden_text(aic_map_get(aic_map_get(s->node, "facts"), "family"));
}

/* Aggregated and split serving, the search's capacity checks: nothing here answers them yet. */
static void not_here(golden_record *r, const golden_spec *s) {
    (void)s;
    golden_skip(r, "serving modes this program does not have");
}

static void check_static(golden_context *c, const aic_node *n, size_t line) {
    const golden_spec *s = find_spec(c, golden_text(aic_map_get(n, "cfg")));
    if (!s) {
        run_check(c, n, line, "static", "", not_here, NULL);
        return;
    }
    run_check(c, n, line, "static, op lists", family_of(s), golden_check_static_lists, s);
    run_check(c, n, line, "static, model", family_of(s), golden_check_static_model, s);
}

static void check_record(golden_context *c, const aic_node *n, size_t line) {
    const char *kind = golden_text(aic_map_get(n, "kind"));
    const char *mode = golden_text(aic_map_get(aic_map_get(n, "args"), "mode"));
    const golden_spec *s =
        aic_map_get(n, "context_ops") ? find_spec(c, golden_text(aic_map_get(n, "cfg"))) : NULL;
    if (s)
        run_check(c, n, line, "op lists", family_of(s), golden_check_lists, s);
    else if (aic_map_get(n, "run_static"))
        run_check(c, n, line, "phase drivers", golden_text(aic_map_get(n, "mode")), golden_check_phase, NULL);
    else if (kind && strcmp(kind, "static") == 0)
        check_static(c, n, line);
    else if (kind && strcmp(kind, "build_error") == 0)
        run_check(c, n, line, "refused builds", "", golden_check_build_error, NULL);
    else if (kind && strcmp(kind, "encoder_static") == 0)
        run_check(c, n, line, "encoders", "", golden_check_encoder, NULL);
    else if (kind && strcmp(kind, "estimate") == 0 && mode && strncmp(mode, "static", 6) == 0)
        run_check(c, n, line, "estimates", "", golden_check_estimate, NULL);
    else
        run_check(c, n, line, kind ? kind : "other", mode ? mode : "", not_here, NULL);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void keep_spec(golden_context *c, const aic_node *n) {
    const char *cfg = golden_text(aic_map_get(n, "cfg"));
    if (!cfg || !aic_map_get(n, "context_ops"))
        return;
    AIC_GROW(c->specs, c->n_specs, c->cap_specs);
    c->specs[c->n_specs++] = (golden_spec){.cfg = cfg, .node = n};
}

/* First pass (keep): configurations; second pass: everything. */
static bool run_file(golden_context *c, const char *path, bool keep) {
    golden_lines *lines = golden_open(path);
    if (!lines)
        return false;
    bool ok = true;
    for (const char *line; ok && (line = golden_next(lines));) {
        bool configuration = strstr(line, "\"context_ops\"") && strstr(line, "\"cfg\"");
        if (keep && !configuration)
            continue;
        if (strstr(line, ": NaN")) { /* JSON has no NaN: records of attention/FFN splits hold it */
            golden_serving_row *row = golden_row_of(c->report, "afd", "");
            row->skipped += !keep;
            row->skipped_why = "serving modes this program does not have";
            continue;
        }
        aic_arena *a = keep ? c->kept : aic_arena_new();
        aic_error err = {0};
        const aic_node *n = aic_doc_json_text(a, path, line, strlen(line), &err);
        ok = n != NULL;
        if (ok && keep)
            keep_spec(c, n);
        else if (ok && !aic_map_get(n, "header"))
            check_record(c, n, golden_line(lines));
        if (!keep)
            aic_arena_free(a);
    }
    golden_close(lines);
    return ok;
}

bool golden_serving_run(const char *const *paths, size_t n, const srv_env *env, golden_serving_report *report,
                        const char **bad) {
    golden_context c = {.env = env, .report = report, .kept = aic_arena_new()};
    bool ok = true;
    for (int pass = 0; ok && pass < 2; pass++)
        for (size_t i = 0; ok && i < n; i++) {
            ok = run_file(&c, paths[i], pass == 0);
            if (!ok)
                *bad = paths[i];
        }
    srv_block_free(&c.fast);
    srv_block_free(&c.plain);
    free(c.specs);
    aic_arena_free(c.kept);
    return ok;
}

void golden_serving_print(const golden_serving_report *report, FILE *out) {
    fprintf(out, "%-20s %-12s %8s %8s %9s %8s  %s\n", "check", "family", "compared", "refused", "different",
            "skipped", "worst error");
    for (size_t i = 0; i < report->n_rows; i++) {
        const golden_serving_row *r = &report->rows[i];
        fprintf(out, "%-20s %-12s %8zu %8zu %9zu %8zu  %g%s%s\n", r->check, r->family, r->compared,
                r->refused, r->different, r->skipped, r->worst, r->skipped_why ? "; skipped: " : "",
                r->skipped_why ? r->skipped_why : "");
    }
    for (size_t i = 0; i < report->n_first; i++)
        fprintf(out, "%s\n", report->first[i]);
}
