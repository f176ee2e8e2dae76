/* links: results */
/* Damage: every bit that flips and every length a file is cut to is found by verify, and readers answer what
 * they answered before or say what is wrong. Each trial runs in a process of its own, so that a crash or a
 * hang is counted, too. AICFG_DAMAGE=long: 10 000 flips and 1 000 lengths instead of a few hundred. */
#include "unit/db_maker.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { TRIAL_SECONDS = 60, DETECTED = 1, REFUSED = 2, WRONG = 4, BROKEN = 64 };

static maker world;
static char bad[300]; /* the damaged copy */

typedef struct subject {
    const char *what;
    aic_buf good;   /* bytes of the undamaged file */
    char *expected; /* what readers say of it */
    bool (*verify)(aic_error *err);
    /* All that readers say of the damaged copy, or NULL with an error. */
    char *(*read)(aic_error *err);
} subject;

static size_t count_of(size_t few, size_t many) {
    const char *mode = getenv("AICFG_DAMAGE");
    return mode && strcmp(mode, "long") == 0 ? many : few;
}

static FILE *nowhere(void) {
    static FILE *f;
    if (!f)
        f = fopen("/dev/null", "w");
    return f;
}

/* ---- subjects ---------------------------------------------------------------------------------------- */

static bool verify_copy(aic_error *err) {
    return res_verify(bad, 1, nowhere(), err);
}

static char *close_text(FILE *out, char **text, bool ok) {
    fclose(out);
    if (ok)
        return *text;
    free(*text);
    return NULL;
}

/* report, rank, export and the requests that show goes by. */
static bool say_result(res_file *f, FILE *out, aic_error *err) {
    res_export_options rows = {.format = "jsonl", .breakdown = true}, figures = {.format = "csv"};
    res_rank_options best = {.descending = -1, .format = "csv", .top = 20, .group = "model"};
    if (!res_report(f, out, err) || !res_export(f, &rows, out, err) || !res_export(f, &figures, out, err) ||
        !res_rank(f, &best, out, err))
        return false;
    for (uint64_t i = 0; i < res_count(f); i += 7) {
        srv_request r;
        srv_workload load;
        if (!res_point_request(f, i, &r, &load, err))
            return false;
        fprintf(out, "%s %u %u\n", r.model, r.par.tp, load.batch);
    }
    return true;
}

static char *read_result(aic_error *err) {
    char *text = NULL;
    size_t len;
    res_file *f = res_open(bad, err);
    if (!f)
        return NULL;
    FILE *out = open_memstream(&text, &len);
    bool ok = say_result(f, out, err);
    res_close(f);
    return close_text(out, &text, ok);
}

static const char *const tables[] = {
    "mhc_module_perf/trtllm/1.3.0rc20",
    "mla_bmm_perf/trtllm/1.3.0rc20",
    "custom_allreduce_perf/trtllm/1.2.0rc5",
    "custom_allreduce_perf/trtllm/1.3.0rc20",
    "gdn_perf/trtllm/1.3.0rc20",
    "mamba2_perf/trtllm/1.3.0rc20",
};
enum { TABLES = sizeof tables / sizeof *tables };

static char *read_perfdb(aic_error *err) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool ok = true;
    for (size_t i = 0; ok && i < TABLES; i++)
        ok = pdb_export(bad, tables[i], out, err);
    return close_text(out, &text, ok);
}

static void make_result(const char *path) {
    aic_error err = {0};
    res_summary sum;
    fix_sweep *s = fix_new(19);
    res_writer_options opt = fix_options(path);
    res_origin origin = fix_origin(s);
    origin.threads = 1; /* no thread pool to be forked */
    res_writer *w = res_writer_open(&opt, &origin, &err);
    for (size_t i = 0; w && i < s->n_deployments; i++)
        assert_true(res_writer_deployment(w, i, &s->deployments[i], &err));
    for (uint64_t i = 0; w && i < s->n_deployments; i++)
        assert_true(fix_write(s, w, i * FIX_WORKLOADS, 20, &err));
    if (!w || !res_writer_finish(w, true, &sum, &err))
        fail_msg("%s", err.text);
    fix_free(s);
}

/* A small perfdb file with tables of the release that comes with the program. */
static void make_perfdb(const char *path) {
    aic_error err = {0};
    pdb_import_summary sum;
    char tree[200], name[200];
    snprintf(tree, sizeof tree, "%s/tree", world.dir);
    for (size_t i = 0; i < TABLES; i++) {
        size_t table = strcspn(tables[i], "/");
        char *csv = db_export(AICFG_DATA_DIR "/perfdb/0.12.0/h200_sxm.h5", tables[i], &err);
        assert_non_null(csv);
        snprintf(name, sizeof name, "%s/%.*s.txt", tables[i] + table + 1, (int)table, tables[i]);
        db_write(tree, name, csv);
        free(csv);
    }
    aic_quiet(true);
    if (!db_import(tree, path, &sum, &err))
        fail_msg("%s", err.text);
}

static subject subject_of(const char *what, const char *path, bool (*verify)(aic_error *err),
                          char *(*read)(aic_error *err)) {
    subject s = {.what = what, .verify = verify, .read = read};
    aic_error err = {0};
    char why[256];
    assert_true(aic_read_file(path, SIZE_MAX / 2, &s.good, why, sizeof why));
    assert_int_equal(rename(path, bad), 0); /* what readers say names the file */
    if (!verify(&err) || !(s.expected = read(&err)))
        fail_msg("%s", err.text);
    return s;
}

static void free_subject(subject *s) {
    aic_buf_free(&s->good);
    free(s->expected);
}

/* ---- trials ------------------------------------------------------------------------------------------ */

/* An error has a class and a text that names the file. */
static bool is_named(const aic_error *err) {
    return err->code != AIC_OK && strstr(err->text, "bad.h5") != NULL;
}

static int examine(const subject *s) {
    aic_error found = {0}, refused = {0};
    int outcome = s->verify(&found) ? 0 : DETECTED;
    if (outcome && !is_named(&found))
        outcome |= WRONG;
    char *text = s->read(&refused);
    if (!text)
        outcome |= is_named(&refused) ? REFUSED : WRONG;
    else if (strcmp(text, s->expected) != 0)
        outcome |= WRONG;
    free(text);
    return outcome;
}

static int examine_apart(const subject *s, const char *bytes, size_t n) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(TRIAL_SECONDS);
        FILE *f = fopen(bad, "wb");
        bool written = f && fwrite(bytes, 1, n, f) == n;
        if (!written || fclose(f) != 0)
            _exit(BROKEN);
        _exit(examine(s));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
}

typedef struct tally {
    size_t injected, detected, refused, irrelevant, wrong, broken;
} tally;

static void count(tally *t, int outcome) {
    t->injected++;
    t->detected += (outcome & DETECTED) != 0;
    t->refused += (outcome & REFUSED) != 0;
    t->irrelevant += outcome == 0;
    t->wrong += (outcome & WRONG) != 0 || outcome == REFUSED; /* refused, yet good for verify */
    t->broken += outcome == BROKEN;
}

static void print_tally(const subject *s, const char *attack, const tally *t) {
    print_message(
        "damage: %s, %s: %zu injected, %zu detected, %zu refused by readers, %zu irrelevant, %zu wrong, "
        "%zu crashes or hangs\n",
        s->what, attack, t->injected, t->detected, t->refused, t->irrelevant, t->wrong, t->broken);
    assert_int_equal(t->wrong, 0);
    assert_int_equal(t->broken, 0);
}

static tally flip(subject *s, size_t n) {
    tally t = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(fix_random(i + 1) * (double)s->good.len);
        char old = s->good.data[at];
        s->good.data[at] = (char)(old ^ 1 << (size_t)(fix_random(i + 77777777) * 8));
        count(&t, examine_apart(s, s->good.data, s->good.len));
        s->good.data[at] = old;
    }
    return t;
}

static tally cut(const subject *s, size_t n) {
    tally t = {0};
    for (size_t i = 0; i < n; i++) /* the last 100 lengths one by one, the others spread */
        count(&t, examine_apart(s, s->good.data,
                                i < 100 ? s->good.len - 1 - i
                                        : s->good.len * (i - 100) / (n > 100 ? n - 100 : 1)));
    return t;
}

static void test_result_file(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/good.h5", world.dir);
    make_result(path);
    subject s = subject_of("result file", path, verify_copy, read_result);
    tally flips = flip(&s, count_of(200, 10000)), cuts = cut(&s, count_of(120, 1000));
    print_tally(&s, "bits flipped", &flips);
    print_tally(&s, "cut off", &cuts);
    assert_int_equal(flips.detected, flips.injected);
    assert_int_equal(cuts.detected, cuts.injected);
    assert_int_equal(cuts.refused, cuts.injected);
    free_subject(&s);
}

static void test_perfdb_file(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/box.h5", world.release);
    make_perfdb(path);
    subject s = subject_of("perfdb file", path, verify_copy, read_perfdb);
    tally flips = flip(&s, count_of(200, 10000)), cuts = cut(&s, count_of(120, 1000));
    print_tally(&s, "bits flipped", &flips);
    print_tally(&s, "cut off", &cuts);
    assert_int_equal(flips.detected + flips.irrelevant, flips.injected);
    assert_int_equal(cuts.detected, cuts.injected);
    free_subject(&s);
}

static int set_up(void **state) {
    (void)state;
    maker_start(&world);
    snprintf(bad, sizeof bad, "%s/bad.h5", world.dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    maker_end(&world);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_result_file), TEST(test_perfdb_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
