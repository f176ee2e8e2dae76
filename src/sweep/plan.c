/* What a sweep would do: axes, counts, refusals, coverage by measured data, time and bytes. Deployments are
 * compiled (all of them, or an even sample of many) and a few points of each are priced; nothing is written.
 */
#include "sweep/internal.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COMPILED = 4096, POINTS_EACH = 16, TIMED = 24 };

/* Bytes in a result file: measured on the shipped specs (docs/formats/results.md); deflate sees long runs of
 * equal values. */
static const double BYTES_PER_POINT = 76.0, BYTES_PER_FILE = 110e3;
static const double BYTES_PER_ROW[RES_PRECISION_COUNT] = {
    [RES_PRECISION_f64] = 1.8, [RES_PRECISION_f32] = 1.0};

/* What was found in one compiled deployment. */
typedef struct probe {
    size_t dep;
    srv_status refused;
    char *reason; /* of a refused deployment */
    size_t n_rows;
    double compile_s, evaluate_s; /* of a timed deployment: seconds for `timed` points */
    size_t timed;
    size_t by_status[SRV_STATUS_COUNT], sampled;
    double cover[OP_COVERS]; /* summed over priced points */
} probe;

typedef struct plan {
    const swp_sweep *s;
    const srv_env *env;
    size_t n;
    probe *probes;
    aic_error failure;
} plan;

/* ---- probing
 * -------------------------------------------------------------------------------------------------------------
 */

static void sample_points(const plan *p, probe *out, const srv_deployment *d, srv_block *block) {
    uint64_t points = swp_points_of(p->s, out->dep), first = p->s->listed ? 0 : p->s->deps[out->dep].first;
    srv_workload loads[POINTS_EACH];
    size_t n = points < POINTS_EACH ? (size_t)points : POINTS_EACH;
    for (size_t i = 0; i < n; i++)
        swp_loads(p->s, first + points * (2 * i + 1) / (2 * n), 1, &loads[i]);
    srv_evaluate(d, loads, n, block);
    for (size_t i = 0; i < n; i++) {
        const srv_point point = srv_points_get(&block->points, i);
        out->by_status[point.status]++;
        for (int c = 0; c < OP_COVERS && block->priced[i]; c++)
            out->cover[c] += point.cover[c];
    }
    out->sampled = n;
}

static void time_block(const plan *p, probe *out, const srv_deployment *d, srv_block *block) {
    uint64_t first = p->s->deps[out->dep].first;
    size_t n = swp_block_size(p->s, first, SWP_BLOCK_POINTS);
    swp_load_block(p->s, first, n, block);
    double start = aic_now();
    srv_price(d, block);
    out->evaluate_s = aic_now() - start;
    out->timed = n;
}

static void probe_one(plan *p, size_t i) {
    probe *out = &p->probes[i];
    aic_error why = {0};
    srv_block block = {0};
    double start = aic_now();
    srv_deployment *d = swp_compile(p->s, p->env, out->dep, &why);
    out->compile_s = aic_now() - start;
    if (!d) {
#pragma omp critical(plan_failure)
        p->failure = why;
        return;
    }
    out->refused = d->refused;
    out->n_rows = d->n_rows;
    if (d->refused != SRV_ST_ok) {
        out->reason = aic_alloc(strlen(d->why.text) + 1, 1);
        strcpy(out->reason, d->why.text);
    } else if (!p->s->listed) { /* the points of one deployment lie together in a grid only */
        sample_points(p, out, d, &block);
        if (i % (p->n / TIMED + 1) == 0)
            time_block(p, out, d, &block);
    }
    srv_block_free(&block);
    srv_free(d);
}

static bool probe_all(plan *p, unsigned threads, aic_error *err) {
    p->n = p->s->n_deps < MAX_COMPILED ? p->s->n_deps : MAX_COMPILED;
    p->probes = AIC_NEW_ARRAY(probe, p->n);
    for (size_t i = 0; i < p->n; i++)
        p->probes[i].dep = (size_t)((uint64_t)i * p->s->n_deps / p->n);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < p->n; i++)
        if (!aic_interrupted())
            probe_one(p, i);
    if (aic_interrupted())
        return aic_fail(err, (aic_code)aic_interrupted(), "interrupted");
    if (p->failure.code != AIC_OK && err)
        *err = p->failure;
    return p->failure.code == AIC_OK;
}

/* ---- printing
 * ----------------------------------------------------------------------------------------------------------------
 */

static void print_block(const swp_block *b, size_t number, FILE *out) {
    fprintf(out, "block %-4zu", number);
    for (int x = 0; x < SWP_AXES; x++)
        if (b->n[x] > 1 || x == SWP_MODEL)
            fprintf(out, "%s%zu %s", x > SWP_MODEL || b->n[SWP_MODE] > 1 ? " x " : " ", b->n[x],
                    swp_axis_name((swp_axis)x));
    fprintf(out, "\n           %llu workloads:", (unsigned long long)b->n_loads);
    if (b->tuples)
        fprintf(out, " %zu tuples", b->n_tuples);
    for (int j = 0; j < SWP_LOAD_COLUMNS; j++)
        if (!b->in_tuple[j] && (j < SWP_IMAGES || b->load[j].n > 1))
            fprintf(out, "%s%zu %s", j || b->tuples ? " x " : " ", b->load[j].n, swp_load_keys.keys[j].name);
    fprintf(out, "%s\n", b->n_filters ? ", filtered" : "");
}

typedef struct reason {
    const char *text;
    srv_status status;
    size_t deployments;
    uint64_t points;
} reason;

static int by_points(const void *a, const void *b) {
    const reason *x = a, *y = b;
    return (x->points < y->points) - (x->points > y->points);
}

static void print_refused(const plan *p, FILE *out) {
    reason *reasons = AIC_NEW_ARRAY(reason, p->n + 1);
    size_t n = 0, deployments = 0;
    uint64_t points = 0;
    for (size_t i = 0; i < p->n; i++) {
        const probe *q = &p->probes[i];
        size_t j = 0;
        if (!q->reason)
            continue;
        while (j < n && strcmp(reasons[j].text, q->reason) != 0)
            j++;
        n += j == n;
        reasons[j].text = q->reason;
        reasons[j].status = q->refused;
        reasons[j].deployments++;
        reasons[j].points += swp_points_of(p->s, q->dep);
        deployments++;
        points += swp_points_of(p->s, q->dep);
    }
    fprintf(out, "refused    %zu of %zu deployments%s, %llu points\n", deployments, p->n,
            p->n < p->s->n_deps ? " (an even sample)" : "", (unsigned long long)points);
    qsort(reasons, n, sizeof *reasons, by_points);
    for (size_t j = 0; j < n && j < 20; j++)
        fprintf(out, "           %-8s %4zu deployments, %8llu points: %s\n",
                srv_status_name(reasons[j].status), reasons[j].deployments,
                (unsigned long long)reasons[j].points, reasons[j].text);
    if (n > 20)
        fprintf(out, "           and %zu more reasons\n", n - 20);
    free(reasons);
}

static void print_sample(const plan *p, FILE *out) {
    static const char *const covers[OP_COVERS] = {"measured", "interpolated", "extrapolated", "by formula"};
    double cover[OP_COVERS] = {0}, total = 0;
    size_t by_status[SRV_STATUS_COUNT] = {0}, sampled = 0;
    for (size_t i = 0; i < p->n; i++) {
        sampled += p->probes[i].sampled;
        for (int k = 0; k < SRV_STATUS_COUNT; k++)
            by_status[k] += p->probes[i].by_status[k];
        for (int c = 0; c < OP_COVERS; c++)
            cover[c] += p->probes[i].cover[c];
    }
    if (sampled == 0)
        return;
    fprintf(out, "sample     %zu points of the other deployments:", sampled);
    for (int k = 0; k < SRV_STATUS_COUNT; k++)
        if (by_status[k])
            fprintf(out, " %.1f %% %s", 100.0 * (double)by_status[k] / (double)sampled,
                    srv_status_name((srv_status)k));
    for (int c = 0; c < OP_COVERS; c++)
        total += cover[c];
    fprintf(out, "\ncoverage  ");
    for (int c = 0; c < OP_COVERS && total > 0; c++)
        fprintf(out, " %.1f %% %s%s", 100.0 * cover[c] / total, covers[c], c + 1 < OP_COVERS ? "," : "");
    fprintf(out, "%s\n", total > 0 ? " (share of latency)" : " nothing was priced");
}

static void print_bytes(double bytes, FILE *out) {
    if (bytes < 1e6)
        fprintf(out, "%.0f kB", bytes / 1e3);
    else if (bytes < 1e9)
        fprintf(out, "%.0f MB", bytes / 1e6);
    else
        fprintf(out, "%.1f GB", bytes / 1e9);
}

static void print_estimate(const plan *p, unsigned threads, const res_writer_options *opt, FILE *out) {
    double compile_s = 0, evaluate_s = 0, timed = 0, rows = 0, priced = 0, all = 0;
    for (size_t i = 0; i < p->n; i++) {
        const probe *q = &p->probes[i];
        double points = (double)swp_points_of(p->s, q->dep);
        compile_s += q->compile_s;
        evaluate_s += q->evaluate_s;
        timed += (double)q->timed;
        all += points;
        priced += q->reason ? 0 : points;
        size_t n_rows = opt->top && opt->top < q->n_rows ? opt->top : q->n_rows;
        rows += q->reason ? 0 : points * (double)n_rows;
    }
    double scale = all > 0 ? (double)p->s->points / all : 1;
    double work = compile_s * (double)p->s->n_deps / (double)p->n;
    if (timed > 0)
        work += evaluate_s / timed * priced * scale;
    if (timed > 0 || p->s->listed)
        fprintf(out, "time       about %.2g s with %u thread%s%s\n", work / threads, threads,
                threads == 1 ? "" : "s", p->s->listed ? ", pricing not counted" : ", writing not counted");
    double per_row = opt->breakdown ? BYTES_PER_ROW[opt->precision] : 0;
    fprintf(out, "file       about ");
    print_bytes(BYTES_PER_FILE + scale * (BYTES_PER_POINT * all + per_row * rows), out);
    fputc('\n', out);
}

bool swp_plan(swp_sweep *s, const srv_env *env, const swp_options *opt, FILE *out, aic_error *err) {
    unsigned threads = opt->threads ? opt->threads : (unsigned)omp_get_max_threads();
    plan p = {.s = s, .env = env};
    bool ok = probe_all(&p, threads, err);
    if (ok) {
        fprintf(out, "sweep      %s\n", s->name);
        for (size_t i = 0; i < s->n_blocks; i++)
            print_block(&s->blocks[i], i + 1, out);
        fprintf(out, "points     %llu in %zu deployments\n", (unsigned long long)s->points, s->n_deps);
        print_refused(&p, out);
        print_sample(&p, out);
        print_estimate(&p, threads, &opt->out, out);
    }
    for (size_t i = 0; i < p.n; i++)
        free(p.probes[i].reason);
    free(p.probes);
    return ok;
}

void swp_plan_shards(const swp_sweep *s, uint64_t from, uint64_t to, uint64_t count, FILE *out) {
    typedef unsigned long long ull;
    uint64_t *cuts = aic_alloc(count + 1, sizeof *cuts);
    swp_shard_cuts(s, count, cuts);
    fprintf(out, "shards     %llu of about equal cost, estimated\n", (ull)count);
    for (uint64_t i = from; i <= to; i++) {
        uint64_t n = cuts[i] - cuts[i - 1];
        fprintf(out, "           %llu/%llu: ", (ull)i, (ull)count);
        if (n == 0)
            fprintf(out, "no points\n");
        else
            fprintf(out, "points %llu to %llu: %llu\n", (ull)cuts[i - 1], (ull)(cuts[i] - 1), (ull)n);
    }
    free(cuts);
}
