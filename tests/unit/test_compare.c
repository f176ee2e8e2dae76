/* links: results */
/* Comparing result files: made-up sweeps with known differences, in one order and in another. */
#include "results/internal.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DEPLOYMENTS = 36 }; /* as many as the fixture has keys */
static char folder[256];
static fix_sweep *sweep;
static uint64_t count;

/* ---- files with known differences ---------------------------------------------------------------------- */

/* A file to write: which points, in which order, and what became of them. */
typedef struct recipe {
    const char *name;
    const char *version;                                       /* of the framework; NULL = the fixture's */
    uint64_t n;                                                /* points; 0 = all */
    uint64_t (*at)(uint64_t i);                                /* i-th point of the file; NULL = i */
    void (*change)(uint64_t k, srv_point *p, double *latency); /* NULL = as they are */
} recipe;

static const char *path_of(const char *name) {
    static char paths[8][512];
    static unsigned next;
    char *p = paths[next++ % 8];
    snprintf(p, 512, "%s/%s", folder, name);
    return p;
}

static void set_version(const char *version) {
    for (size_t i = 0; i < sweep->n_deployments; i++)
        sweep->deployments[i].request.version = version ? version : "1.3.0rc20";
}

static bool write_points(const recipe *r, res_writer *w, aic_error *err) {
    uint64_t n = r->n ? r->n : count;
    for (uint64_t i = 0; i < n; i++) {
        srv_point p;
        double latency[FIX_ROWS], energy[FIX_ROWS];
        uint8_t source[FIX_ROWS];
        srv_basis basis[FIX_ROWS];
        uint64_t k = r->at ? r->at(i) : i;
        uint32_t rows = fix_point(sweep, k, &p, latency, energy, source);
        for (size_t row = 0; row < FIX_ROWS; row++)
            basis[row] = fix_basis(k, row);
        if (r->change)
            r->change(k, &p, latency);
        if (p.status == SRV_ST_missing)
            rows = 0;
        srv_points points = {0};
        srv_points_reserve(&points, 1);
        srv_points_put(&points, 0, &p);
        res_points block = {.n = 1,
                            .one_deployment = (uint32_t)(k / FIX_WORKLOADS),
                            .points = &points,
                            .rows = &rows,
                            .n_rows = rows,
                            .latency = latency,
                            .energy = energy,
                            .source = source,
                            .basis = basis};
        bool ok = res_writer_points(w, &block, err);
        srv_points_free(&points);
        if (!ok)
            return false;
    }
    return true;
}

static const char *make(const recipe *r) {
    const char *path = path_of(r->name);
    aic_error err = {0};
    res_summary out;
    res_writer_options opt = fix_options(path);
    res_origin origin = fix_origin(sweep);
    opt.force = true;
    set_version(r->version);
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    for (size_t i = 0; i < sweep->n_deployments; i++)
        assert_true(res_writer_deployment(w, i, &sweep->deployments[i], &err));
    assert_true(write_points(r, w, &err));
    if (!res_writer_finish(w, true, &out, &err))
        fail_msg("%s", err.text);
    set_version(NULL);
    return path;
}

static char *compare(const char *a, const char *b, const res_compare_options *given,
                     res_compare_summary *sum) {
    aic_error err = {0};
    char *text = NULL;
    size_t len;
    res_compare_options opt = *given;
    res_file *f = res_open(a, &err), *g = res_open(b, &err);
    assert_true(f && g);
    opt.path[0] = "A.h5";
    opt.path[1] = "B.h5";
    FILE *out = open_memstream(&text, &len);
    if (!res_compare(f, g, &opt, out, sum, &err))
        fail_msg("%s", err.text);
    fclose(out);
    res_close(f);
    res_close(g);
    return text;
}

static const res_compare_options csv = {.tolerance = 1e-9, .top = 10, .format = "csv", .threads = 2},
                                 json = {.tolerance = 1e-9, .top = 10, .format = "json", .threads = 2};

static res_compare_summary counts(const char *a, const char *b, const res_compare_options *opt) {
    res_compare_summary sum;
    free(compare(a, b, opt, &sum));
    return sum;
}

static uint64_t in_all(const res_compare_summary *sum) {
    uint64_t n = 0;
    for (int d = 0; d < RES_DIFFERENCE_COUNT; d++)
        n += sum->points[d];
    return n;
}

/* ---- changes ------------------------------------------------------------------------------------------- */

enum { MOVED_ROW = 20, MOVED_EVERY = 101 };

static bool is_moved(uint64_t k) {
    return k % MOVED_EVERY == 7;
}

static bool is_lost(uint64_t k) {
    return k % 503 == 11;
}

/* One op of some points takes longer. */
static void move(uint64_t k, srv_point *p, double *latency) {
    if (!is_moved(k) || isnan(p->request_latency))
        return;
    double more = latency[MOVED_ROW] * 0.25;
    latency[MOVED_ROW] += more;
    p->generation_latency += more;
    p->request_latency += more;
    p->tpot = p->generation_latency / (double)(p->load.osl - 1);
}

static void lose(uint64_t k, srv_point *p, double *latency) {
    (void)latency;
    if (!is_lost(k) || p->status == SRV_ST_missing)
        return;
    p->status = SRV_ST_missing;
    p->reason = "op moe: table moe_perf of vllm/1.3.0rc20 has no rows (release 0.12.0)";
    double *figures = &p->ttft;
    for (size_t f = 0; f < 20 + OP_COVERS; f++)
        figures[f] = NAN;
}

static void move_and_lose(uint64_t k, srv_point *p, double *latency) {
    move(k, p, latency);
    lose(k, p, latency);
}

/* What the recipes above must come to. */
static res_compare_summary expected(void) {
    res_compare_summary sum = {0};
    for (uint64_t k = 0; k < count; k++) {
        srv_point a;
        double latency[FIX_ROWS], energy[FIX_ROWS];
        uint8_t source[FIX_ROWS];
        fix_point(sweep, k, &a, latency, energy, source);
        bool priced = !isnan(a.request_latency);
        res_difference d = RES_DIFF_same;
        if (is_lost(k) && a.status != SRV_ST_missing)
            d = a.status == SRV_ST_ok ? RES_DIFF_regression : RES_DIFF_status;
        else if (is_moved(k) && priced)
            d = RES_DIFF_drift;
        sum.points[d]++;
    }
    return sum;
}

/* ---- classes ------------------------------------------------------------------------------------------- */

static void test_self_is_empty(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5"});
    res_compare_summary sum;
    char *text = compare(a, a, &csv, &sum);
    assert_int_equal(sum.points[RES_DIFF_same], count);
    assert_int_equal(in_all(&sum), count);
    assert_true(text[strlen(text) - 1] == '\n' &&
                !strchr(strchr(text, '\n') + 1, '\n')); /* the header alone */
    free(text);
    text =
        compare(a, a, &(res_compare_options){.tolerance = 0, .top = 10, .format = "text", .by = "all"}, &sum);
    assert_int_equal(sum.points[RES_DIFF_same], count);
    assert_non_null(strstr(text, "no differences"));
    free(text);
}

static void test_classes(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5"}),
               *b = make(&(recipe){.name = "b.h5", .change = move_and_lose});
    res_compare_summary want = expected(), there = counts(a, b, &csv), back = counts(b, a, &csv);
    assert_true(want.points[RES_DIFF_drift] > 20 && want.points[RES_DIFF_regression] > 3);
    assert_memory_equal(&there, &want, sizeof want);
    want.points[RES_DIFF_gain] = want.points[RES_DIFF_regression];
    want.points[RES_DIFF_regression] = 0;
    assert_memory_equal(&back, &want, sizeof want);
}

static void test_tolerance(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5"}), *b = make(&(recipe){.name = "b.h5", .change = move});
    assert_int_equal(
        counts(a, b, &(res_compare_options){.tolerance = 1, .format = "csv"}).points[RES_DIFF_drift], 0);
    assert_int_equal(
        counts(a, b, &(res_compare_options){.tolerance = 0, .format = "csv"}).points[RES_DIFF_drift],
        counts(a, b, &csv).points[RES_DIFF_drift]);
    assert_int_equal(
        counts(a, b, &(res_compare_options){.tolerance = 0, .format = "csv", .by = "ttft_ms,memory_gib"})
            .points[RES_DIFF_drift],
        0);
}

/* ---- ops ----------------------------------------------------------------------------------------------- */

/* The number after "key": in the object that starts at text. */
static double number_of(const char *text, const char *key) {
    char name[64];
    snprintf(name, sizeof name, "\"%s\": ", key);
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void test_op_is_named(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5"}), *b = make(&(recipe){.name = "b.h5", .change = move});
    res_compare_summary sum, back;
    char *there = compare(a, b, &json, &sum), *mirror = compare(b, a, &json, &back);
    const char *ops = strstr(there, "\"ops\""), *ops_back = strstr(mirror, "\"ops\"");
    double points = 0, ms = 0, ms_back = 0;
    for (const char *at = strstr(ops, "{\"phase\""), *end = strstr(ops, "\"tables\": ["); at && at < end;
         at = strstr(at + 1, "{\"phase\"")) {
        assert_non_null(strstr(at, "generation_op_20")); /* in both op lists, and none but it */
        assert_int_equal(strncmp(at, "{\"phase\": \"generation\", \"op\": \"generation_op_20", 47), 0);
        points += number_of(at, "points");
        ms += number_of(at, "ms_change");
    }
    for (const char *at = strstr(ops_back, "{\"phase\""), *end = strstr(ops_back, "\"tables\": [");
         at && at < end; at = strstr(at + 1, "{\"phase\""))
        ms_back += number_of(at, "ms_change");
    assert_true(points == (double)sum.points[RES_DIFF_drift] && ms > 0 && ms == -ms_back);
    assert_memory_equal(&sum, &back, sizeof sum);
    free(there);
    free(mirror);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    static const char *const formats[] = {"text", "markdown", "json", "csv"};
    const char *a = make(&(recipe){.name = "a.h5"}),
               *b = make(&(recipe){.name = "b.h5", .change = move_and_lose});
    for (size_t i = 0; i < 4; i++) {
        res_compare_summary sum;
        res_compare_options one = {.tolerance = 1e-9, .top = 5, .format = formats[i], .threads = 1},
                            more = one;
        more.threads = 5;
        char *x = compare(a, b, &one, &sum), *y = compare(a, b, &more, &sum);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
}

/* ---- matching ------------------------------------------------------------------------------------------ */

static uint64_t shuffled(uint64_t i) {
    return i * 7919 % count; /* a prime that does not divide the number of points */
}

/* Lines of CSV without the numbers of the points, in order of their text. */
static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t lines_of(char *text, char **lines, size_t max) {
    size_t n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *rest = strchr(strchr(strchr(line, ',') + 1, ',') + 1, ',');
        assert_true(n < max);
        memmove(strchr(line, ','), rest, strlen(rest) + 1);
        lines[n++] = line;
    }
    qsort(lines, n, sizeof *lines, by_text);
    return n;
}

static void test_order_does_not_matter(void **state) {
    (void)state;
    enum { MAX = 4096 };
    static char *x[MAX], *y[MAX];
    res_compare_summary straight, other;
    const char *a = make(&(recipe){.name = "a.h5"}),
               *b = make(&(recipe){.name = "b.h5", .change = move_and_lose}),
               *c = make(&(recipe){.name = "c.h5", .change = move_and_lose, .at = shuffled});
    char *in_order = compare(a, b, &csv, &straight), *in_another = compare(a, c, &csv, &other);
    assert_memory_equal(&straight, &other, sizeof other);
    size_t n = lines_of(in_order, x, MAX), m = lines_of(in_another, y, MAX);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(x[i], y[i]);
    free(in_order);
    free(in_another);
    assert_int_equal(counts(b, c, &csv).points[RES_DIFF_same], count);
    assert_int_equal(counts(c, b, &csv).points[RES_DIFF_same], count);
}

static uint64_t skipping(uint64_t i) { /* without every 100th point */
    return i + i / 99 + 1;
}

static void test_other_grids(void **state) {
    (void)state;
    uint64_t n = count * 99 / 100 - 1;
    const char *a = make(&(recipe){.name = "a.h5"}),
               *b = make(&(recipe){.name = "b.h5", .n = n, .at = skipping});
    res_compare_summary there = counts(a, b, &csv), back = counts(b, a, &csv);
    assert_int_equal(there.points[RES_DIFF_same], n);
    assert_int_equal(there.points[RES_DIFF_removed], count - n);
    assert_int_equal(back.points[RES_DIFF_added], count - n);
    assert_int_equal(in_all(&there), count);
    assert_int_equal(in_all(&back), count);
}

static uint64_t twice(uint64_t i) {
    return i / 2 % count;
}

static uint64_t thrice(uint64_t i) {
    return i / 3 % count;
}

static void test_doubled_keys(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5", .n = 2000, .at = twice}),
               *b = make(&(recipe){.name = "b.h5", .n = 3000, .at = thrice});
    res_compare_summary there = counts(a, b, &csv), back = counts(b, a, &csv);
    assert_int_equal(there.points[RES_DIFF_same], 2000);
    assert_int_equal(there.points[RES_DIFF_added], 1000);
    assert_int_equal(back.points[RES_DIFF_removed], 1000);
    assert_int_equal(counts(a, a, &csv).points[RES_DIFF_same], 2000);
}

static void lose_in_old(uint64_t k, srv_point *p, double *latency) {
    lose(k, p, latency);
    if (p->reason && strstr(p->reason, "moe_perf of"))
        p->reason = "op moe: table moe_perf of vllm/1.2.0 has no rows (release 0.12.0)";
}

static void test_versions(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5", .version = "1.2.0", .change = lose_in_old}),
               *b = make(&(recipe){.name = "b.h5", .change = lose});
    res_compare_summary any = counts(a, b, &csv);
    assert_int_equal(any.points[RES_DIFF_same], count); /* reasons differ in nothing but the version */
    res_compare_summary strict = counts(a, b, &(res_compare_options){.match_version = true, .format = "csv"});
    assert_int_equal(strict.points[RES_DIFF_removed], count);
    assert_int_equal(strict.points[RES_DIFF_added], count);
}

/* ---- options ------------------------------------------------------------------------------------------- */

static void assert_refused(const res_compare_options *opt, const char *what) {
    aic_error err = {0};
    res_compare_summary sum;
    res_file *f = res_open(path_of("a.h5"), &err);
    assert_non_null(f);
    assert_false(res_compare(f, f, opt, stdout, &sum, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    if (!strstr(err.text, what))
        fail_msg("expected '%s' in: %s", what, err.text);
    res_close(f);
}

static void test_bad_options(void **state) {
    (void)state;
    make(&(recipe){.name = "a.h5", .n = 100});
    assert_refused(&(res_compare_options){.format = "yaml"}, "expected text, markdown, json or csv");
    assert_refused(&(res_compare_options){.by = "ttft"}, "unknown column 'ttft'");
    assert_refused(&(res_compare_options){.by = "batch"}, "no figure");
    assert_refused(&(res_compare_options){.group = "model,batch"}, "differs from point to point");
    assert_refused(&(res_compare_options){.tolerance = -1}, "not negative");
    assert_refused(&(res_compare_options){.tolerance = NAN}, "not negative");
}

static void test_groups_and_length(void **state) {
    (void)state;
    const char *a = make(&(recipe){.name = "a.h5"}),
               *b = make(&(recipe){.name = "b.h5", .change = move_and_lose});
    res_compare_summary sum;
    char *text = compare(
        a, b, &(res_compare_options){.group = "model+backend,tp", .top = 3, .format = "markdown"}, &sum);
    assert_non_null(strstr(text, "| model + backend |"));
    assert_non_null(strstr(text, "\nand 6 more\n")); /* of nine pairs */
    assert_non_null(strstr(text, "### By tp "));
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_true(lines < 100);
    free(text);
}

static int group_setup(void **state) {
    (void)state;
    fix_folder(folder);
    sweep = fix_new(DEPLOYMENTS);
    count = fix_count(sweep);
    return 0;
}

static int group_teardown(void **state) {
    (void)state;
    fix_free(sweep);
    unlink(path_of("a.h5"));
    unlink(path_of("b.h5"));
    unlink(path_of("c.h5"));
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_is_empty),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_op_is_named),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_other_grids),
        cmocka_unit_test(test_doubled_keys),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_groups_and_length),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
