/* links: results */
/* Continuing what an earlier run left: the same bytes whenever it ended, refusals, damage. */
#include "results/h5.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { DEPLOYMENTS = 60 }; /* 19 200 points: a stripe of points and more, 18 of breakdown */

static char folder[256];
static fix_sweep *sweep;
static uint64_t run_at; /* where /run starts in whole.h5, the result of a run nobody interrupted */

static const char *path_of(const char *name) {
    static char paths[32][512];
    static unsigned next;
    char *p = paths[next++ % 32];
    snprintf(p, 512, "%s/%s", folder, name);
    return p;
}

static bool exists(const char *name) {
    return access(path_of(name), F_OK) == 0;
}

static res_writer_options options(const char *name, size_t checkpoint_s) {
    res_writer_options opt = fix_options(path_of(name));
    opt.checkpoint_s = (double)checkpoint_s;
    opt.resume = true;
    return opt;
}

/* A run that dies after `count` points: no call of it ends, nothing is cleaned up. */
static void die_after(const char *name, size_t block, uint64_t count) {
    pid_t child = fork();
    if (child == 0) {
        aic_error err = {0};
        res_writer_options opt = options(name, 0);
        res_origin origin = fix_origin(sweep);
        origin.threads = 1; /* a forked process must not use the threads of its parent */
        res_writer *w = res_writer_open(&opt, &origin, &err);
        _exit(w && fix_continue(sweep, w, block, count, &err) ? 7 : 8);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static uint64_t resume(const char *name) {
    aic_error err = {0};
    res_summary out;
    res_writer_options opt = options(name, 1000);
    if (!fix_file(sweep, &opt, 1111, fix_count(sweep), true, &out, &err))
        fail_msg("%s", err.text);
    return out.resumed;
}

static void assert_whole(const char *name) {
    char part[64];
    assert_true(fix_same_but_run(path_of("whole.h5"), path_of(name), run_at));
    snprintf(part, sizeof part, "%s.part", name);
    assert_false(exists(part));
    unlink(path_of(name));
}

static void test_any_end_gives_the_same_file(void **state) {
    (void)state;
    static const struct {
        size_t block;
        uint64_t ends[4];
    } runs[] = {{1, {1, 2, 3, 0}},
                {320, {320, 16384 - 16384 % 320, 19200, 0}},
                {1000, {1000, 5000, 17000, 0}},
                {4096, {4096, 16384, 19200, 0}},
                {777, {1554, 1554, 7770, 0}},
                {20000, {19200, 0}}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        uint64_t last = 0;
        for (size_t k = 0; runs[i].ends[k]; k++)
            die_after("a.h5", runs[i].block, last = runs[i].ends[k]);
        assert_int_equal(resume("a.h5"), last);
        assert_whole("a.h5");
    }
}

static void test_nothing_to_go_on_with(void **state) {
    (void)state;
    assert_int_equal(resume("new.h5"), 0);
    assert_int_equal(resume("new.h5"), fix_count(sweep)); /* the result is there */
    assert_whole("new.h5");
    mkdir(path_of("new.h5.part"), 0777);
    FILE *f = fopen(path_of("new.h5.part/journal"), "w");
    fputs("what is this?\n", f);
    fclose(f);
    aic_quiet(true);
    assert_int_equal(resume("new.h5"), 0);
    aic_quiet(false);
    assert_whole("new.h5");
}

static void flip(const char *name, long at) {
    FILE *f = fopen(path_of(name), "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(byte ^ 4, f);
    fclose(f);
}

static void test_damage_is_cut_off(void **state) {
    (void)state;
    static const uint64_t left[] = {0, 3000, 6000, 9000};
    aic_quiet(true);
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        die_after("d.h5", 3000, 12000);
        snprintf(name, sizeof name, "d.h5.part/chunk-%06zu.h5", i);
        if (i % 2)
            unlink(path_of(name));
        else
            flip(name, 5000);
        assert_int_equal(resume("d.h5"), left[i]);
        assert_whole("d.h5");
    }
    aic_quiet(false);
}

static void refused(const res_writer_options *opt, const res_origin *origin, const char *why) {
    aic_error err = {0};
    assert_null(res_writer_open(opt, origin, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void test_other_inputs_are_refused(void **state) {
    (void)state;
    static const char *const databases[] = {"h200_sxm 0.12.0 fedcba9876543210"};
    die_after("o.h5", 3000, 6000);
    for (int finished = 0; finished < 2; finished++) {
        res_writer_options opt = options("o.h5", 30);
        res_origin o = fix_origin(sweep);
        o.spec_text = "models: [a, c]\n";
        refused(&opt, &o, "digest of the spec");
        o = fix_origin(sweep);
        o.overrides = "output=x\nname=y";
        refused(&opt, &o, "+ override: name=y");
        o = fix_origin(sweep);
        o.program = "aicfg-sweep 9";
        refused(&opt, &o, "- program: aicfg-sweep test");
        o = fix_origin(sweep);
        o.databases = databases;
        refused(&opt, &o, "+ database: h200_sxm 0.12.0 fedcba9876543210");
        o = fix_origin(sweep);
        o.total_points++;
        refused(&opt, &o, "- points of the sweep: 19200");
        o = fix_origin(sweep);
        opt.breakdown = false;
        refused(&opt, &o, "options: breakdown");
        opt.breakdown = true;
        opt.precision = RES_PRECISION_f32;
        refused(&opt, &o, "+ options: breakdown f32");
        if (!finished) {
            opt = options("o.h5", 30);
            opt.deflate = 2;
            refused(&opt, &o, "deflate level");
            opt.deflate = 1;
            opt.resume = false;
            refused(&opt, &o, "--resume");
            assert_int_equal(resume("o.h5"), 6000);
        }
    }
    assert_whole("o.h5");
}

static void test_a_forced_run_is_continued(void **state) {
    (void)state;
    aic_error err = {0};
    res_summary out;
    FILE *f = fopen(path_of("f.h5"), "w"); /* what the first run was told to replace */
    fputs("old", f);
    fclose(f);
    res_writer_options opt = options("f.h5", 0);
    opt.resume = false;
    opt.force = true;
    assert_true(fix_file(sweep, &opt, 3000, 6000, false, &out, &err));
    res_origin origin = fix_origin(sweep);
    opt = options("f.h5", 30);
    refused(&opt, &origin, "f.h5 exists");
    opt.force = true;
    assert_true(fix_file(sweep, &opt, 3000, fix_count(sweep), true, &out, &err));
    assert_int_equal(out.resumed, 6000);
    assert_false(exists("f.h5.partial.h5"));
    assert_whole("f.h5");
}

static int set_up(void **state) {
    (void)state;
    aic_error err = {0};
    res_summary out;
    fix_folder(folder);
    sweep = fix_new(DEPLOYMENTS);
    res_writer_options opt = fix_options(path_of("whole.h5"));
    if (!fix_file(sweep, &opt, 4096, fix_count(sweep), true, &out, &err))
        return -1;
    H5O_info_t info;
    hid_t f = H5Fopen(path_of("whole.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f < 0 || H5Oget_info_by_name(f, "/run", &info, H5P_DEFAULT) < 0)
        return -1;
    run_at = info.addr;
    H5Fclose(f);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fix_free(sweep);
    unlink(path_of("whole.h5"));
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_end_gives_the_same_file), cmocka_unit_test(test_nothing_to_go_on_with),
        cmocka_unit_test(test_damage_is_cut_off),           cmocka_unit_test(test_other_inputs_are_refused),
        cmocka_unit_test(test_a_forced_run_is_continued),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
