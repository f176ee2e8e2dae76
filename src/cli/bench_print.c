/* What `bench` found, as text and as one JSON object. */
#include "cli/bench.h"
#include <stdlib.h>
#include <string.h>

static double ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* Seconds for compiling alone, and what reading tables added to the first time. */
static double compile_s(const swp_costs *c) {
    return c->again_s;
}
static double tables_s(const swp_costs *c) {
    return c->first_s > c->again_s ? c->first_s - c->again_s : 0;
}

static double query_s(const srv_costs *c) {
    double sum = 0;
    for (size_t i = 0; i < c->n; i++)
        sum += c->v[i].seconds;
    return sum;
}

static double assembly_s(const srv_costs *c) {
    double left = c->evaluate_s - query_s(c);
    return left > 0 ? left : 0;
}

static double points_per_s(const bench_result *r, const bench_stage *s) {
    return ratio((double)r->points, s->best.wall_s);
}

/* Stored bytes per second: of what no second thread can share, and of HDF5 alone. */
static double write_rate(const bench_result *r) {
    return ratio((double)r->store.bytes, r->write.best.store_s);
}
static double raw_rate(const bench_result *r) {
    return ratio((double)r->store.bytes, r->store.raw_s);
}

static int by_seconds(const void *a, const void *b) {
    const srv_cost *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static srv_cost *sorted(const srv_costs *c) {
    srv_cost *list = aic_alloc(c->n, sizeof *list);
    if (c->n) {
        memcpy(list, c->v, c->n * sizeof *list);
        qsort(list, c->n, sizeof *list, by_seconds);
    }
    return list;
}

/* ---- text -------------------------------------------------------------------------------------------- */

static void print_stage(const bench_result *r, const char *name, const bench_stage *s, FILE *out) {
    const swp_timing *t = &s->best;
    char per_second[32];
    aic_group_digits((uint64_t)points_per_s(r, s), per_second);
    fprintf(out,
            "%-12s%12s points/s  %8.3f s: compile %.3f, evaluate %.3f, write %.3f, of it one at a "
            "time %.3f (threads added up)\n",
            name, per_second, t->wall_s, t->compile_s, t->evaluate_s, t->write_s, t->store_s);
}

static void print_kinds(const srv_costs *c, FILE *out) {
    srv_cost *list = sorted(c);
    double whole = query_s(c);
    fprintf(out, "\n%-10s %-11s %-28s %12s %9s %9s %7s %10s\n", "mode", "phase", "op kind", "queries",
            "refused", "ns each", "% time", "per point");
    for (size_t i = 0; i < c->n; i++) {
        const srv_cost *k = &list[i];
        char asked[32];
        aic_group_digits(k->asked, asked);
        fprintf(out, "%-10s %-11s %-28s %12s %9llu %9.1f %7.2f %10.3f\n", op_mode_name(k->mode),
                srv_phase_name(k->phase), k->kind, asked, (unsigned long long)k->refused,
                1e9 * ratio(k->seconds, (double)k->asked), 100 * ratio(k->seconds, whole),
                ratio((double)k->asked, (double)c->points));
    }
    free(list);
}

static void print_costs(const swp_costs *c, FILE *out) {
    const srv_costs *p = &c->points;
    char rows[32], points[32];
    uint64_t asked = 0;
    for (size_t i = 0; i < p->n; i++)
        asked += p->v[i].asked;
    aic_group_digits(c->tables.rows, rows);
    aic_group_digits(p->points, points);
    fprintf(out, "\nsample of %zu deployments (%zu refused), %s points, one thread\n", c->deployments,
            c->refused, points);
    fprintf(
        out,
        "tables      %.3f s: %zu tables of %s rows (reading %.3f, the rest is what ops derive from them)\n",
        tables_s(c), c->tables.tables, rows, c->tables.seconds);
    fprintf(out, "compile     %.3f s: %.1f us per deployment, tables there\n", compile_s(c),
            1e6 * ratio(compile_s(c), (double)c->deployments));
    fprintf(out, "queries     %.3f s: %.1f ns each, %.3f distinct ones per point\n", query_s(p),
            1e9 * ratio(query_s(p), (double)asked), ratio((double)asked, (double)p->points));
    fprintf(out, "assembly    %.3f s: %.1f ns per point (evaluating, queries taken off)\n", assembly_s(p),
            1e9 * ratio(assembly_s(p), (double)p->points));
    print_kinds(p, out);
}

/* Of all answers that walks and context tables are made of. What the kinds below are asked for is counted
 * without sharing. */
static void print_answers(const srv_answers_counts *a, FILE *out) {
    char all[32], held[32];
    aic_group_digits(a->queries_saved + a->queries_asked, all);
    cli_bytes((double)a->bytes, held);
    fprintf(
        out,
        "answers     %.1f %% of %s in walks and tables were there from another deployment (%llu kept, %llu "
        "dropped, %s held)\n",
        100 * ratio((double)a->queries_saved, (double)(a->queries_saved + a->queries_asked)), all,
        (unsigned long long)a->kept, (unsigned long long)a->dropped, held);
}

static void print_store(const bench_result *r, FILE *out) {
    const res_roofline *s = &r->store;
    char stored[32], plain[32], write[32], raw[32];
    cli_bytes((double)s->bytes, stored);
    cli_bytes((double)s->plain, plain);
    cli_bytes(write_rate(r), write);
    cli_bytes(raw_rate(r), raw);
    fprintf(out,
            "\nstore       %s of rows in %s, %llu chunks: encoding %.3f s, digests %.3f s on one thread\n",
            plain, stored, (unsigned long long)s->chunks, s->encode_s, s->digest_s);
    fprintf(out,
            "roofline    %s/s stored by the one thread at a time that stores, %s/s by HDF5 alone (%.3f s): "
            "%.1f %%\n",
            write, raw, s->raw_s, 100 * ratio(write_rate(r), raw_rate(r)));
}

void bench_print_text(const bench_result *r, FILE *out) {
    char points[32], bytes[32];
    aic_group_digits(r->points, points);
    cli_bytes((double)r->write.bytes, bytes);
    fprintf(out, "%s points, %zu deployments, %u threads, best of %llu\n", points, r->deployments, r->threads,
            (unsigned long long)r->repeat);
    fprintf(out, "load        %.4f s opening data, %.4f s spec\n", r->data_s, r->spec_s);
    print_stage(r, "evaluate", &r->evaluate, out);
    print_stage(r, "with file", &r->write, out);
    fprintf(out, "per point   %.0f ns evaluating, %.0f ns writing, %.1f bytes (file %s)\n",
            1e9 * r->evaluate.best.evaluate_s / (double)r->points,
            1e9 * r->write.best.write_s / (double)r->points, (double)r->write.bytes / (double)r->points,
            bytes);
    print_answers(&r->evaluate.best.answers, out);
    print_store(r, out);
    print_costs(&r->costs, out);
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static void json_stage(const bench_result *r, const char *name, const bench_stage *s, FILE *out) {
    const swp_timing *t = &s->best;
    fprintf(out,
            ", \"%s\": {\"points_per_s\": %.1f, \"wall_s\": %.6f, \"compile_s\": %.6f, \"evaluate_s\": %.6f, "
            "\"write_s\": %.6f, \"store_s\": %.6f}",
            name, points_per_s(r, s), t->wall_s, t->compile_s, t->evaluate_s, t->write_s, t->store_s);
}

static void json_kinds(const srv_costs *c, FILE *out) {
    srv_cost *list = sorted(c);
    double whole = query_s(c);
    aic_buf kind = {0};
    for (size_t i = 0; i < c->n; i++) {
        const srv_cost *k = &list[i];
        aic_value name = aic_str(k->kind);
        aic_buf_clear(&kind);
        cli_json_value(&kind, &name);
        fprintf(out,
                "%s{\"mode\": \"%s\", \"phase\": \"%s\", \"kind\": %s, \"queries\": %llu, \"refused\": %llu, "
                "\"ns_each\": %.2f, \"share\": %.5f}",
                i ? ", " : "", op_mode_name(k->mode), srv_phase_name(k->phase), kind.data,
                (unsigned long long)k->asked, (unsigned long long)k->refused,
                1e9 * ratio(k->seconds, (double)k->asked), ratio(k->seconds, whole));
    }
    aic_buf_free(&kind);
    free(list);
}

static void json_costs(const swp_costs *c, FILE *out) {
    fprintf(out,
            ", \"sample\": {\"deployments\": %zu, \"refused\": %zu, \"points\": %llu, \"tables\": %zu, "
            "\"table_rows\": %llu, \"tables_s\": %.9f, \"table_reading_s\": %.9f, \"compile_s\": %.9f, "
            "\"evaluate_s\": %.9f, \"query_s\": %.9f, \"assembly_s\": %.9f, \"kinds\": [",
            c->deployments, c->refused, (unsigned long long)c->points.points, c->tables.tables,
            (unsigned long long)c->tables.rows, tables_s(c), c->tables.seconds, compile_s(c),
            c->points.evaluate_s, query_s(&c->points), assembly_s(&c->points));
    json_kinds(&c->points, out);
    fputs("]}", out);
}

void bench_print_json(const bench_result *r, FILE *out) {
    fprintf(out,
            "{\"points\": %llu, \"deployments\": %zu, \"threads\": %u, \"repeat\": %llu, \"data_s\": %.6f, "
            "\"spec_s\": %.6f, \"file_bytes\": %llu",
            (unsigned long long)r->points, r->deployments, r->threads, (unsigned long long)r->repeat,
            r->data_s, r->spec_s, (unsigned long long)r->write.bytes);
    json_stage(r, "evaluate", &r->evaluate, out);
    json_stage(r, "with_file", &r->write, out);
    const srv_answers_counts *a = &r->evaluate.best.answers;
    fprintf(out,
            ", \"answers\": {\"saved\": %llu, \"asked\": %llu, \"kept\": %llu, \"dropped\": %llu, "
            "\"bytes\": %zu}",
            (unsigned long long)a->queries_saved, (unsigned long long)a->queries_asked,
            (unsigned long long)a->kept, (unsigned long long)a->dropped, a->bytes);
    const res_roofline *s = &r->store;
    fprintf(out,
            ", \"store\": {\"chunks\": %llu, \"bytes\": %llu, \"plain_bytes\": %llu, \"encode_s\": %.6f, "
            "\"digest_s\": %.6f, \"raw_s\": %.6f, \"write_bytes_per_s\": %.1f, \"raw_bytes_per_s\": %.1f, "
            "\"share\": %.5f}",
            (unsigned long long)s->chunks, (unsigned long long)s->bytes, (unsigned long long)s->plain,
            s->encode_s, s->digest_s, s->raw_s, write_rate(r), raw_rate(r),
            ratio(write_rate(r), raw_rate(r)));
    json_costs(&r->costs, out);
    fputs("}\n", out);
}
