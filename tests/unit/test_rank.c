/* links: results */
/* Ranking against a naive check over all points. */
#include "results/internal.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DEPLOYMENTS = 240 }; /* points of more than one window */
static char folder[256];
static fix_sweep *sweep;
static res_file *file;
static srv_point *points;
static uint64_t count;

static char *rank_text(const res_rank_options *opt) {
    aic_error err = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!res_rank(file, opt, out, &err))
        fail_msg("%s", err.text);
    fclose(out);
    return text;
}

static void assert_refused(const res_rank_options *opt, const char *what) {
    aic_error err = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_false(res_rank(file, opt, out, &err));
    fclose(out);
    assert_int_equal(err.code, AIC_BAD_INPUT);
    if (!strstr(err.text, what))
        fail_msg("expected '%s' in: %s", what, err.text);
    free(text);
}

/* The points of an answer in CSV whose first column is the point. */
static size_t answer(const res_rank_options *opt, uint64_t *out, size_t max) {
    char *text = rank_text(opt);
    size_t n = 0;
    for (char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        assert_true(n < max);
        out[n++] = strtoull(line + 1, NULL, 10);
    }
    free(text);
    return n;
}

static uint32_t tp_of(uint64_t k) {
    return sweep->deployments[k / FIX_WORKLOADS].request.par.tp;
}

static const char *model_of(uint64_t k) {
    return sweep->deployments[k / FIX_WORKLOADS].request.model;
}

/* ---- rankings ------------------------------------------------------------------------------------------ */

static bool rank_filter(uint64_t k) {
    return points[k].status == SRV_ST_ok && points[k].ttft < 400 && tp_of(k) >= 2;
}

/* The best by figure (sign: 1 = larger is better), ties in point order, by repeated search. */
static size_t naive_rank(size_t offset, double sign, bool (*pass)(uint64_t), size_t top, uint64_t *out) {
    char *taken = aic_calloc((size_t)count, 1);
    size_t n = 0;
    for (; n < top; n++) {
        uint64_t best = UINT64_MAX;
        double best_value = 0;
        for (uint64_t k = 0; k < count; k++) {
            double v;
            memcpy(&v, (const char *)&points[k] + offset, sizeof v);
            if (taken[k] || !pass(k) || isnan(v))
                continue;
            if (best == UINT64_MAX || sign * v > best_value) {
                best = k;
                best_value = sign * v;
            }
        }
        if (best == UINT64_MAX)
            break;
        taken[best] = 1;
        out[n] = best;
    }
    free(taken);
    return n;
}

static void test_rank_is_what_a_naive_search_finds(void **state) {
    (void)state;
    enum { TOP = 40 };
    static const struct {
        const char *by;
        size_t offset;
        double sign;
        int descending;
    } cases[] = {
        {NULL, offsetof(srv_point, tokens_per_s_per_gpu), 1, -1},
        {"ttft_ms", offsetof(srv_point, ttft), -1, -1},
        {"ttft_ms", offsetof(srv_point, ttft), 1, 1},
        {"weights_gib", offsetof(srv_point, weights), -1, -1}, /* many ties */
        {"power_w", offsetof(srv_point, power), -1, 0},        /* many without a value */
        {"tokens_per_s", offsetof(srv_point, tokens_per_s), -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t got[TOP + 1], expected[TOP];
        res_rank_options opt = {.by = cases[i].by,
                                .descending = cases[i].descending,
                                .top = TOP,
                                .format = "csv",
                                .where = "ttft_ms < 400 and tp >= 2",
                                .columns = "point,model,ttft_ms"};
        size_t n = naive_rank(cases[i].offset, cases[i].sign, rank_filter, TOP, expected);
        assert_int_equal(answer(&opt, got, TOP + 1), n);
        assert_int_equal(n, TOP);
        assert_memory_equal(got, expected, n * sizeof *got);
    }
}

static void test_all_rows_in_order(void **state) {
    (void)state;
    uint64_t *got = aic_calloc((size_t)count, sizeof *got);
    res_rank_options opt = {
        .by = "request_latency_ms", .descending = -1, .format = "csv", .columns = "point"};
    size_t n = answer(&opt, got, (size_t)count), ok = 0;
    for (uint64_t k = 0; k < count; k++)
        ok += points[k].status == SRV_ST_ok;
    assert_int_equal(n, ok);
    for (size_t i = 1; i < n; i++) {
        double a = points[got[i - 1]].request_latency, b = points[got[i]].request_latency;
        assert_true(a < b || (a == b && got[i - 1] < got[i]));
    }
    free(got);
}

static void test_top_of_each_group(void **state) {
    (void)state;
    uint64_t got[200];
    res_rank_options opt = {.by = "tokens_per_s",
                            .descending = -1,
                            .top = 3,
                            .group = "model,tp",
                            .format = "csv",
                            .columns = "point"};
    size_t n = answer(&opt, got, 200);
    assert_int_equal(n, 3 * 3 * 4);
    for (size_t g = 0; g < n; g += 3)
        for (size_t i = g; i < g + 3; i++) {
            assert_string_equal(model_of(got[i]), model_of(got[g]));
            assert_int_equal(tp_of(got[i]), tp_of(got[g]));
            uint64_t better = 0;
            for (uint64_t k = 0; k < count; k++)
                better += points[k].status == SRV_ST_ok && tp_of(k) == tp_of(got[i]) &&
                          strcmp(model_of(k), model_of(got[i])) == 0 &&
                          points[k].tokens_per_s > points[got[i]].tokens_per_s;
            assert_int_equal(better, i - g);
        }
}

static void test_rank_by_text_and_with_all_statuses(void **state) {
    (void)state;
    uint64_t got[5];
    res_rank_options opt = {.by = "model",
                            .descending = -1,
                            .top = 5,
                            .format = "csv",
                            .columns = "point",
                            .all_status = true,
                            .where = "status != \"ok\""};
    assert_int_equal(answer(&opt, got, 5), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(model_of(got[i]), "Qwen/Qwen3-30B-A3B"); /* first in alphabetical order */
        assert_true(points[got[i]].status != SRV_ST_ok);
        assert_true(i == 0 || got[i - 1] < got[i]);
    }
    opt.by = "point";
    opt.where = "status == \"missing\" and contains(reason, \"w4afp8\")";
    assert_int_equal(answer(&opt, got, 5), 5);
    assert_int_equal((int)got[0], 16 * FIX_WORKLOADS);
    opt.where = "power_w > 1 and reason == \"\"";
    opt.all_status = false;
    answer(&opt, got, 5);
    assert_true(points[got[0]].power > 1);
}

/* ---- Pareto ----------------------------------------------------------------------------------------------
 */

static bool dominated(uint64_t k) {
    for (uint64_t j = 0; j < count; j++) {
        if (points[j].status != SRV_ST_ok)
            continue;
        double dx = points[j].tokens_per_s_per_gpu - points[k].tokens_per_s_per_gpu,
               dy = points[k].ttft - points[j].ttft;
        if (dx >= 0 && dy >= 0 && (dx > 0 || dy > 0))
            return true;
    }
    return false;
}

static void test_pareto_front(void **state) {
    (void)state;
    enum { MAX = 4096 };
    uint64_t *got = aic_calloc(MAX, sizeof *got);
    char *in_front = aic_calloc((size_t)count, 1);
    res_rank_options opt = {
        .pareto = "tokens_per_s_per_gpu,ttft_ms", .descending = -1, .format = "csv", .columns = "point"};
    size_t n = answer(&opt, got, MAX);
    assert_true(n > 3);
    for (size_t i = 0; i < n; i++) {
        in_front[got[i]] = 1;
        assert_true(i == 0 || points[got[i]].tokens_per_s_per_gpu <= points[got[i - 1]].tokens_per_s_per_gpu);
    }
    for (uint64_t k = 0; k < count; k++)
        if (in_front[k] || k % 5 == 0)
            assert_true((points[k].status == SRV_ST_ok && !dominated(k)) == (in_front[k] != 0));
    opt.by = "ttft_ms";
    opt.top = 3;
    assert_int_equal(answer(&opt, got, MAX), 3);
    assert_true(points[got[0]].ttft <= points[got[1]].ttft && points[got[1]].ttft <= points[got[2]].ttft);
    free(in_front);
    free(got);
}

/* Candidates in bulk, with ties in one figure and in both. */
static void test_front_against_all_pairs(void **state) {
    (void)state;
    enum { N = 3000 };
    for (int round = 0; round < 6; round++) {
        int grid = round % 2 ? 20 : 100000;
        res_pick *all = aic_calloc(N, sizeof *all);
        res_front f = {0};
        for (size_t i = 0; i < N; i++) {
            double x = floor(fix_random(i + (size_t)round * N) * grid),
                   y = floor(fix_random(~i + (size_t)round) * grid);
            all[i] = (res_pick){.point = i, .x = x, .y = round > 3 ? grid - x : y};
            res_front_add(&f, &all[i]);
            if (i % 700 == 699)
                res_front_settle(&f);
        }
        res_front_settle(&f);
        size_t expected = 0;
        for (size_t i = 0; i < N; i++) {
            bool beaten = false;
            for (size_t j = 0; j < N && !beaten; j++)
                beaten = all[j].x >= all[i].x && all[j].y >= all[i].y &&
                         (all[j].x > all[i].x || all[j].y > all[i].y);
            expected += !beaten;
            bool found = false;
            for (size_t j = 0; j < f.n; j++)
                found = found || f.items[j].point == i;
            assert_true(found == !beaten);
        }
        assert_int_equal(f.n, expected);
        free(f.items);
        free(all);
    }
}

/* ---- threads ------------------------------------------------------------------------------------------- */

static void test_threads_do_not_show(void **state) {
    (void)state;
    static const res_rank_options asked[] = {
        {.descending = -1, .top = 20},
        {.descending = -1, .group = "model,tp", .top = 2, .where = "ttft_ms < 400"},
        {.descending = -1, .group = "isl,status,model", .top = 1, .all_status = true, .by = "point"},
        {.descending = -1, .pareto = "tokens_per_s_per_gpu,ttft_ms", .group = "backend", .format = "csv"},
        {.descending = 1, .by = "reason", .all_status = true, .format = "jsonl"},
    };
    assert_true(count > RES_WINDOW);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        res_rank_options opt = asked[i];
        opt.threads = 1;
        char *alone = rank_text(&opt);
        opt.threads = 7;
        char *together = rank_text(&opt);
        assert_string_equal(alone, together);
        free(alone);
        free(together);
    }
    assert_refused(&(res_rank_options){.where = "1 / (point - 70000) > 0", .descending = -1, .threads = 3},
                   "division by zero");
}

enum { PARTS = 5, CANDIDATES = 20000, GROUPS = 37 };

static void assert_same_choice(const res_selection *a, const res_selection *b) {
    assert_int_equal(a->n, b->n);
    for (size_t g = 0; g < a->n; g++) {
        assert_int_equal(a->groups[g].first, b->groups[g].first);
        assert_int_equal(a->groups[g].n, b->groups[g].n);
        for (size_t k = 0; k < a->groups[g].n; k++)
            assert_int_equal(a->groups[g].items[k].point, b->groups[g].items[k].point);
    }
}

/* Candidates dealt to several selections, in any order, and these merged: the choice of one that saw them in
 * point order. */
static void test_merged_selections(void **state) {
    (void)state;
    for (int round = 0; round < 6; round++) {
        res_selection whole, merged, part[PARTS];
        bool pareto = round % 2 != 0;
        size_t top = round < 2 ? 0 : 3, key_bytes = round < 4 ? sizeof(uint32_t) : 0;
        res_selection_init(&whole, pareto, top);
        res_selection_init(&merged, pareto, top);
        for (size_t p = 0; p < PARTS; p++)
            res_selection_init(&part[p], pareto, top);
        for (uint64_t i = 0; i < CANDIDATES; i++) {
            uint64_t seed = i + (uint64_t)round * CANDIDATES;
            uint32_t group = (uint32_t)(fix_random(seed) * GROUPS);
            res_pick pick = {.point = i,
                             .key = floor(fix_random(~seed) * 500),
                             .x = floor(fix_random(seed * 3) * 50),
                             .y = floor(fix_random(seed * 5) * 50)};
            res_selection_add(&whole, res_selection_group(&whole, &group, key_bytes), &pick);
            res_selection *to = &part[(size_t)(fix_random(seed * 7) * PARTS)];
            res_selection_add(to, res_selection_group(to, &group, key_bytes), &pick);
        }
        for (size_t p = PARTS; p-- > 0;) {
            res_selection_merge(&merged, &part[p], key_bytes);
            res_selection_free(&part[p]);
        }
        res_selection_finish(&whole);
        res_selection_finish(&merged);
        assert_same_choice(&whole, &merged);
        res_selection_free(&whole);
        res_selection_free(&merged);
    }
}

/* ---- formats and mistakes
 * ----------------------------------------------------------------------------------- */

static void test_formats(void **state) {
    (void)state;
    res_rank_options opt = {
        .by = "ttft_ms", .descending = -1, .top = 2, .columns = "point,model,batch,ttft_ms,power_w"};
    opt.format = "csv";
    char *text = rank_text(&opt);
    assert_true(strncmp(text, "point,model,batch,ttft_ms,power_w\n", 34) == 0);
    free(text);
    opt.format = "jsonl";
    opt.where = "backend == \"vllm\" and tp == 1";
    text = rank_text(&opt);
    aic_arena *a = aic_arena_new();
    aic_error err = {0};
    char *end = strchr(text, '\n');
    aic_node *n = aic_doc_json_text(a, "line", text, (size_t)(end - text), &err);
    assert_non_null(n);
    uint64_t k = (uint64_t)aic_map_get(n, "point")->i;
    assert_string_equal(aic_map_get(n, "model")->text, model_of(k));
    assert_true(aic_map_get(n, "ttft_ms")->r == points[k].ttft);
    aic_arena_free(a);
    free(text);
    opt = (res_rank_options){.descending = -1, .top = 4};
    text = rank_text(&opt);
    assert_non_null(strstr(text, "tokens_per_s_per_gpu"));
    assert_non_null(strstr(text, "all rows: system h200_sxm"));
    assert_non_null(strstr(text, "4 of 76800 points"));
    free(text);
    opt.where = "ttft_ms < 0";
    text = rank_text(&opt);
    assert_true(strncmp(text, "0 of 76800 points", 17) == 0);
    free(text);
}

static void test_mistakes(void **state) {
    (void)state;
    assert_refused(&(res_rank_options){.by = "ttft", .descending = -1}, "--by: unknown column 'ttft'");
    assert_refused(&(res_rank_options){.by = "ttft_ms,tpot_ms", .descending = -1}, "--by takes one column");
    assert_refused(&(res_rank_options){.pareto = "ttft_ms", .descending = -1}, "--pareto takes two columns");
    assert_refused(&(res_rank_options){.group = "modell", .descending = -1}, "did you mean 'model'?");
    assert_refused(&(res_rank_options){.columns = "x", .descending = -1}, "--columns: unknown column 'x'");
    assert_refused(&(res_rank_options){.format = "xml", .descending = -1}, "expected table, csv or jsonl");
    assert_refused(&(res_rank_options){.where = "ttft_ms <", .descending = -1}, "where:1:");
    assert_refused(&(res_rank_options){.where = "model < 3", .descending = -1}, "where:1:");
}

/* ---- running
 * ---------------------------------------------------------------------------------------------------- */

static int set_up(void **state) {
    (void)state;
    aic_error err = {0};
    char path[300];
    res_summary out;
    fix_folder(folder);
    snprintf(path, sizeof path, "%s/a.h5", folder);
    sweep = fix_new(DEPLOYMENTS);
    count = fix_count(sweep);
    points = aic_calloc((size_t)count, sizeof *points);
    for (uint64_t k = 0; k < count; k++) {
        double latency[FIX_ROWS], energy[FIX_ROWS];
        uint8_t source[FIX_ROWS];
        fix_point(sweep, k, &points[k], latency, energy, source);
    }
    res_writer_options opt = fix_options(path);
    if (!fix_file(sweep, &opt, 5000, count, true, &out, &err) || !(file = res_open(path, &err)))
        fprintf(stderr, "%s\n", err.text);
    return file ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    char command[300];
    res_close(file);
    free(points);
    fix_free(sweep);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank_is_what_a_naive_search_finds),
        cmocka_unit_test(test_all_rows_in_order),
        cmocka_unit_test(test_top_of_each_group),
        cmocka_unit_test(test_rank_by_text_and_with_all_statuses),
        cmocka_unit_test(test_pareto_front),
        cmocka_unit_test(test_front_against_all_pairs),
        cmocka_unit_test(test_threads_do_not_show),
        cmocka_unit_test(test_merged_selections),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
