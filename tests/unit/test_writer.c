/* links: results */
/* Writing result files: the same bytes however points arrive, checkpoints, interruptions, failures. */
#include "results/h5.h"
#include "unit/results_fixture.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

static char folder[256];
enum { DEPLOYMENTS = 120 }; /* 38 400 points: three stripes of points, 30 of breakdown */

static const char *path_of(const char *name) {
    static char paths[32][512];
    static unsigned next;
    char *p = paths[next++ % 32];
    snprintf(p, 512, "%s/%s", folder, name);
    return p;
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

static size_t entries(const char *path) {
    DIR *d = opendir(path);
    size_t n = 0;
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void write_file(const fix_sweep *s, const char *path, size_t block, double checkpoint_s, int deflate,
                       res_summary *out) {
    aic_error err = {0};
    res_writer_options opt = fix_options(path);
    opt.checkpoint_s = checkpoint_s;
    opt.deflate = deflate;
    opt.force = true;
    if (!fix_file(s, &opt, block, fix_count(s), true, out, &err))
        fail_msg("%s", err.text);
}

static uint64_t run_address(const char *path) {
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    H5O_info_t info;
    assert_true(f >= 0 && H5Oget_info_by_name(f, "/run", &info, H5P_DEFAULT) >= 0);
    H5Fclose(f);
    return info.addr;
}

static void assert_same_file(const char *a, const char *b) {
    uint64_t run = run_address(a);
    assert_int_equal(run, run_address(b));
    assert_true(fix_same_but_run(a, b, run));
}

static void test_splits_do_not_matter(void **state) {
    (void)state;
    static const size_t blocks[] = {38400, 1, 999, 16384, 20000};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary first, other;
    write_file(s, path_of("a.h5"), 4096, 1e9, 1, &first);
    assert_int_equal(first.points, fix_count(s));
    assert_int_equal(first.points,
                     first.by_status[0] + first.by_status[1] + first.by_status[2] + first.by_status[3]);
    assert_string_equal(first.path, path_of("a.h5"));
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        write_file(s, path_of("b.h5"), blocks[i], 1e9, 1, &other);
        assert_string_equal(first.digest, other.digest);
        assert_int_equal(first.file_bytes, other.file_bytes);
        assert_same_file(path_of("a.h5"), path_of("b.h5"));
    }
    assert_int_equal(entries(folder), 2); /* no NAME.part is left */
    fix_free(s);
}

static void test_checkpoints_do_not_matter(void **state) {
    (void)state;
    static const size_t blocks[] = {1500, 16384, 33333};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary first, other;
    write_file(s, path_of("a.h5"), 4096, 1e9, 1, &first);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        write_file(s, path_of("b.h5"), blocks[i], 0, 1, &other); /* a chunk file after every call */
        assert_string_equal(first.digest, other.digest);
        assert_same_file(path_of("a.h5"), path_of("b.h5"));
    }
    assert_int_equal(entries(folder), 2);
    fix_free(s);
}

/* Blocks placed in order and filled in any, by whichever thread; all stripes on their way at once. */
static void test_threads_do_not_matter(void **state) {
    (void)state;
    enum { BLOCK = 700, BLOCKS = 55 };
    aic_error err = {0};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary first, other;
    fix_block *blocks = aic_calloc(BLOCKS, sizeof *blocks);
    write_file(s, path_of("a.h5"), 4096, 1e9, 1, &first);
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(path_of("b.h5"));
    res_writer *w = res_writer_open(&opt, &origin, &err);
    for (size_t i = 0; i < DEPLOYMENTS; i++)
        assert_true(res_writer_deployment(w, i, &s->deployments[i], &err));
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t left = (size_t)fix_count(s) - i * BLOCK;
        fix_block_make(s, i * BLOCK, left < BLOCK ? left : BLOCK, &blocks[i]);
        assert_true(res_writer_place(w, &blocks[i].points, &blocks[i].at, &err));
    }
    assert_false(res_writer_is_idle(w));
    int failures = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(4) reduction(+ : failures)
    for (int i = 0; i < BLOCKS; i++) {
        aic_error why;
        bool did = true;
        fix_block *b = &blocks[(size_t)i * 21 % BLOCKS];
        res_writer_fill(w, &b->points, &b->at);
        for (int k = 0; did && k < i; k++)
            failures += !res_writer_work(w, &did, &why);
    }
    for (bool did = true; did;)
        failures += !res_writer_work(w, &did, &err);
    assert_int_equal(failures, 0);
    assert_true(res_writer_is_idle(w));
    assert_true(res_writer_finish(w, true, &other, &err));
    assert_string_equal(first.digest, other.digest);
    assert_same_file(path_of("a.h5"), path_of("b.h5"));
    for (size_t i = 0; i < BLOCKS; i++)
        fix_block_free(&blocks[i]);
    free(blocks);
    fix_free(s);
}

/* A sweep of which most deployments have neither energy nor marks: said so, or shown as zeros. */
static void write_sparse(const fix_sweep *s, const char *path, bool said, double checkpoint_s,
                         res_summary *out) {
    aic_error err = {0};
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(path);
    opt.checkpoint_s = checkpoint_s;
    opt.force = true;
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    for (size_t d = 0; d < DEPLOYMENTS; d++) {
        fix_block b;
        fix_block_make(s, d * FIX_WORKLOADS, FIX_WORKLOADS, &b);
        for (size_t r = 0; r < b.points.n_rows; r++) {
            b.energy[r] = d / 11 % 3 == 0 ? b.latency[r] * 700 : 0;
            b.basis[r] = d / 7 % 4 == 1 ? b.basis[r] : 0;
        }
        if (said && d / 11 % 3 != 0)
            b.points.energy = NULL;
        if (said && d / 7 % 4 != 1)
            b.points.basis = NULL;
        assert_true(res_writer_deployment(w, d, &s->deployments[d], &err));
        assert_true(res_writer_points(w, &b.points, &err));
        fix_block_free(&b);
    }
    assert_true(res_writer_finish(w, true, out, &err));
}

/* Says of every column that has one value that it is `same`, and spoils what nobody may read then. */
static void say_same(fix_block *b) {
    const size_t n = b->points.n;
    for (size_t c = 0; c < SRV_COLUMN_COUNT; c++) {
        const size_t width = srv_points_width(c);
        char *column = srv_points_column(&b->of, c);
        if (memcmp(column, column + width, (n - 1) * width) != 0)
            continue;
        b->of.same |= UINT64_C(1) << c;
        memset(column + width, 0x5a, (n - 1) * width);
    }
    b->points.one_deployment = b->deployment[0];
    b->points.deployment = NULL;
    if (b->points.n_rows == n * b->rows[0]) {
        b->points.rows_each = b->rows[0];
        b->points.rows = NULL;
    }
}

/* Columns of one value make the same file as those that are written out. */
static void test_columns_of_one_value(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary whole, said;
    for (int breakdown = 0; breakdown < 2; breakdown++) {
        for (int say = 0; say < 2; say++) {
            res_origin origin = fix_origin(s);
            res_writer_options opt = fix_options(path_of(say ? "b.h5" : "a.h5"));
            opt.breakdown = breakdown;
            opt.force = true;
            res_writer *w = res_writer_open(&opt, &origin, &err);
            for (size_t d = 0; d < DEPLOYMENTS; d++) {
                fix_block b;
                fix_block_make(s, d * FIX_WORKLOADS, FIX_WORKLOADS, &b);
                if (say)
                    say_same(&b);
                assert_true(res_writer_deployment(w, d, &s->deployments[d], &err));
                assert_true(res_writer_points(w, &b.points, &err));
                fix_block_free(&b);
            }
            assert_true(res_writer_finish(w, true, say ? &said : &whole, &err));
        }
        assert_string_equal(whole.digest, said.digest);
        assert_same_file(path_of("a.h5"), path_of("b.h5"));
    }
    fix_free(s);
}

/* Stripes serve many times over, by turns with values, with zeros and with both. */
static void test_zeros_may_be_left_out(void **state) {
    (void)state;
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary shown, said;
    write_sparse(s, path_of("a.h5"), false, 1e9, &shown);
    for (int chunked = 0; chunked < 2; chunked++) {
        write_sparse(s, path_of("b.h5"), true, chunked ? 0 : 1e9, &said);
        assert_string_equal(shown.digest, said.digest);
        assert_same_file(path_of("a.h5"), path_of("b.h5"));
    }
    fix_free(s);
}

/* What is on its way is bounded for whoever asks, and all of it can be thrown away. */
static void test_room(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(path_of("c.h5"));
    res_writer *w = res_writer_open(&opt, &origin, &err);
    uint64_t at = 0;
    size_t known = 0, placed = 0;
    for (; res_writer_has_room(w); at += 320, placed++) {
        fix_block b;
        assert_in_range(at, 0, fix_count(s) - 320);
        assert_true(res_writer_deployment(w, known, &s->deployments[known], &err));
        known++;
        fix_block_make(s, at, 320, &b);
        assert_true(res_writer_place(w, &b.points, &b.at, &err));
        res_writer_fill(w, &b.points, &b.at);
        fix_block_free(&b);
    }
    assert_true(placed > 10);
    for (bool did = true; did;)
        assert_true(res_writer_work(w, &did, &err));
    assert_true(res_writer_has_room(w));
    res_writer_abandon(w);
    assert_int_equal(entries(folder), 0);
    fix_free(s);
}

static void test_content_digest_is_free_of_compression(void **state) {
    (void)state;
    fix_sweep *s = fix_new(6);
    res_summary a, b, c;
    write_file(s, path_of("a.h5"), 100, 1e9, 1, &a);
    write_file(s, path_of("b.h5"), 100, 1e9, 9, &b);
    write_file(s, path_of("b.h5"), 100, 1e9, 0, &c);
    assert_string_equal(a.digest, b.digest);
    assert_string_equal(a.digest, c.digest);
    s->deployments[3].request.par.tp = s->deployments[3].built.par.tp = 16;
    write_file(s, path_of("b.h5"), 100, 1e9, 1, &b);
    assert_string_not_equal(a.digest, b.digest);
    fix_free(s);
}

/* Points handed over in any number, checkpoints or not: the same rounded file, and another than unrounded. */
static void test_rounded_breakdowns(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_summary exact, first, other;
    write_file(s, path_of("exact.h5"), 4096, 1e9, 1, &exact);
    for (int i = 0; i < 3; i++) {
        res_writer_options opt = fix_options(path_of(i ? "b.h5" : "a.h5"));
        opt.precision = RES_PRECISION_f32;
        opt.force = true;
        opt.checkpoint_s = i == 2 ? 0 : 1e9;
        assert_true(fix_file(s, &opt, i ? 1500 : 4096, fix_count(s), true, i ? &other : &first, &err));
        if (i)
            assert_same_file(path_of("a.h5"), path_of("b.h5"));
    }
    assert_string_equal(first.digest, other.digest);
    assert_string_not_equal(first.digest, exact.digest);
    assert_true(first.file_bytes < exact.file_bytes);
    res_writer_options opt = fix_options(path_of("c.h5"));
    opt.breakdown = false;
    opt.precision = RES_PRECISION_f32;
    assert_false(fix_file(s, &opt, 4096, fix_count(s), true, &other, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    fix_free(s);
}

static void test_no_points_and_no_breakdown(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(2);
    res_writer_options opt = fix_options(path_of("none.h5"));
    res_summary out;
    opt.breakdown = false;
    assert_true(fix_file(s, &opt, 100, 0, true, &out, &err));
    assert_int_equal(out.points, 0);
    res_file *f = res_open(out.path, &err);
    assert_non_null(f);
    assert_int_equal(res_count(f), 0);
    res_close(f);
    opt.force = true;
    assert_true(fix_file(s, &opt, 100, 640, true, &out, &err));
    assert_int_equal(out.points, 640);
    assert_int_equal(out.rows, 0);
    f = res_open(out.path, &err);
    assert_non_null(f);
    res_close(f);
    fix_free(s);
}

/* ---- interruptions ------------------------------------------------------------------------------------ */

static void test_interruption_keeps_everything(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(DEPLOYMENTS);
    res_writer_options opt = fix_options(path_of("int.h5"));
    res_summary out;
    res_journal_head head;
    res_journal_chunk *chunks;
    size_t n, lost;
    opt.checkpoint_s = 0;
    assert_true(fix_file(s, &opt, 7000, 30000, false, &out, &err));
    assert_string_equal(out.path, path_of("int.h5.partial.h5"));
    assert_false(exists(path_of("int.h5")));
    assert_true(res_journal_read(path_of("int.h5.part/journal"), &head, &chunks, &n, &lost));
    assert_int_equal(n, 5);
    assert_int_equal(lost, 0);
    assert_int_equal(head.total_points, fix_count(s));
    assert_int_equal(chunks[4].first_point + chunks[4].points, 30000);
    assert_int_equal(chunks[4].first_row + chunks[4].rows, out.rows);
    free(chunks);

    res_file *f = res_open(out.path, &err);
    assert_non_null(f);
    assert_false(res_complete(f));
    assert_int_equal(res_count(f), 30000);
    res_close(f);
    assert_null(res_open(path_of("int.h5.part/chunk-000001.h5"), &err));
    assert_non_null(strstr(err.text, ".partial.h5"));

    res_origin origin = fix_origin(s);
    assert_null(res_writer_open(&opt, &origin, &err)); /* work done is not thrown away */
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "30000 points"));
    opt.force = true;
    assert_true(fix_file(s, &opt, 7000, fix_count(s), true, &out, &err));
    assert_true(exists(path_of("int.h5")));
    assert_false(exists(path_of("int.h5.part")));
    assert_false(exists(path_of("int.h5.partial.h5")));
    fix_free(s);
}

static void test_interruption_before_the_first_checkpoint(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(4);
    res_writer_options opt = fix_options(path_of("early.h5"));
    res_summary out;
    assert_true(fix_file(s, &opt, 100, 500, false, &out, &err));
    assert_true(exists(path_of("early.h5.part/chunk-000000.h5")));
    res_file *f = res_open(out.path, &err);
    assert_non_null(f);
    assert_int_equal(res_count(f), 500);
    assert_false(res_complete(f));
    res_close(f);
    fix_free(s);
}

static void test_journal_survives_any_cut(void **state) {
    (void)state;
    const char *path = path_of("journal");
    res_part part = {.lock = -1};
    snprintf(part.dir, sizeof part.dir, "%s", folder);
    aic_error err = {0};
    res_journal_head head = {.total_points = 1000, .deflate = 1, .breakdown = true}, back;
    aic_sha256 *h = aic_sha256_new();
    aic_sha256_hex(h, head.spec);
    assert_true(res_journal_write(&part, &head, NULL, 0, &err));
    for (uint64_t i = 0; i < 4; i++) {
        res_journal_chunk c = {.first_point = i * 10, .points = 10, .first_row = i * 320, .rows = 320};
        c.by_status[SRV_ST_ok] = 7;
        c.by_status[SRV_ST_oom] = 3;
        memcpy(c.sha256, head.spec, 65);
        assert_true(res_journal_append(path, i, &c, &err));
    }
    aic_buf text = {0};
    char why[256];
    assert_true(aic_read_file(path, 1 << 20, &text, why, sizeof why));
    size_t last = 0, n, lost;
    res_journal_chunk *chunks;
    for (size_t cut = 0; cut <= text.len; cut++) {
        FILE *f = fopen(path, "wb");
        fwrite(text.data, 1, cut, f);
        fclose(f);
        res_journal_read(path, &back, &chunks, &n, &lost);
        assert_true(n >= last && n <= 4 && lost <= cut &&
                    (lost > 0 || cut == 0 || text.data[cut - 1] == '\n'));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(chunks[i].first_point, i * 10);
        last = n;
        free(chunks);
    }
    assert_int_equal(last, 4);
    for (size_t i = 0; i < text.len; i++) { /* no damage brings chunks that were not written */
        text.data[i] ^= 1;
        FILE *f = fopen(path, "wb");
        fwrite(text.data, 1, text.len, f);
        fclose(f);
        res_journal_read(path, &back, &chunks, &n, &lost);
        assert_true(n < 4);
        free(chunks);
        text.data[i] ^= 1;
    }
    FILE *f = fopen(path, "wb");
    fwrite(text.data, 1, text.len, f);
    fwrite("\0\0\0\0", 1, 4, f);
    fclose(f);
    assert_true(res_journal_read(path, &back, &chunks, &n, &lost));
    assert_true(n == 4 && lost == 4);
    free(chunks);
    aic_buf_free(&text);
    unlink(path);
}

/* ---- refusals and failures ----------------------------------------------------------------------------- */

static void test_existing_output_is_refused(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(1);
    res_writer_options opt = fix_options(path_of("old.h5"));
    res_origin origin = fix_origin(s);
    FILE *f = fopen(opt.path, "wb");
    fputs("precious", f);
    fclose(f);
    assert_null(res_writer_open(&opt, &origin, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "--force"));
    opt.force = true;
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    res_writer_abandon(w); /* nothing was finished: the old file stands */
    aic_buf text = {0};
    char why[256];
    assert_true(aic_read_file(opt.path, 100, &text, why, sizeof why));
    assert_string_equal(text.data, "precious");
    aic_buf_free(&text);
    assert_false(exists(path_of("old.h5.part")));
    opt.path = folder;
    assert_null(res_writer_open(&opt, &origin, &err));
    assert_non_null(strstr(err.text, "not a file"));
    opt.path = path_of("no/such/folder.h5");
    assert_null(res_writer_open(&opt, &origin, &err));
    assert_int_equal(err.code, AIC_IO);
    assert_non_null(strstr(err.text, "No such file"));
    opt.path = path_of("level.h5");
    opt.deflate = 10;
    assert_null(res_writer_open(&opt, &origin, &err));
    assert_false(exists(path_of("level.h5.part")));
    fix_free(s);
}

static void test_second_writer_is_refused(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(1);
    res_writer_options opt = fix_options(path_of("lock.h5"));
    res_origin origin = fix_origin(s);
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    opt.force = true;
    assert_null(res_writer_open(&opt, &origin, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "another run is writing"));
    assert_non_null(strstr(err.text, "process"));
    res_writer_abandon(w);
    w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    res_writer_abandon(w);
    fix_free(s);
}

static void test_what_a_killed_run_leaves_is_cleared(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(1);
    res_writer_options opt = fix_options(path_of("killed.h5"));
    res_summary out;
    mkdir(path_of("killed.h5.part"), 0777);
    FILE *f = fopen(path_of("killed.h5.part/open.tmp"), "wb");
    fputs("half", f);
    fclose(f);
    f = fopen(path_of("killed.h5.part/chunk-000000.h5"), "wb"); /* closed, but never journalled */
    fclose(f);
    assert_true(fix_file(s, &opt, 100, 320, true, &out, &err));
    assert_false(exists(path_of("killed.h5.part")));
    fix_free(s);
}

/* A full disk, as a limit on the size of files: at any moment it must end in an error and leave nothing under
 * the name. */
static void test_write_errors(void **state) {
    (void)state;
    fix_sweep *s = fix_new(40);
    struct rlimit old, limit;
    res_summary out;
    unsigned failures = 0;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t bytes = 0; bytes < 3000000; bytes += bytes < 16384 ? 4096 : 300000)
        for (int chunked = 0; chunked < 2; chunked++) {
            aic_error err = {0};
            res_writer_options opt = fix_options(path_of("full.h5"));
            opt.checkpoint_s = chunked ? 0 : 1e9;
            opt.force = true;
            limit = (struct rlimit){bytes, old.rlim_max};
            setrlimit(RLIMIT_FSIZE, &limit);
            bool ok = fix_file(s, &opt, 4000, fix_count(s), true, &out, &err);
            setrlimit(RLIMIT_FSIZE, &old);
            assert_true(ok == exists(opt.path));
            if (!ok) {
                failures++;
                assert_int_equal(err.code, AIC_IO);
                assert_non_null(strstr(err.text, "full.h5.part/"));
                assert_non_null(strstr(err.text, "File too large"));
                assert_true(chunked || !exists(path_of("full.h5.part")));
            } else {
                unlink(opt.path);
            }
        }
    assert_true(failures > 8);
    fix_free(s);
}

static void test_mistakes_of_callers(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(2);
    res_writer_options opt = fix_options(path_of("mistake.h5"));
    res_origin origin = fix_origin(s);
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    assert_false(fix_write(s, w, 0, 1, &err)); /* deployment not announced */
    assert_true(res_writer_deployment(w, 0, &s->deployments[0], &err));
    assert_true(fix_write(s, w, 0, 1, &err));
    srv_point p = {.load = {1, 1, 1, 0, {0}}};
    srv_points points = {0};
    srv_points_reserve(&points, 1);
    srv_points_put(&points, 0, &p);
    uint32_t rows = 3;
    double numbers[3] = {0};
    uint8_t source[3] = {0};
    res_points block = {.n = 1,
                        .points = &points,
                        .rows = &rows,
                        .n_rows = 3,
                        .latency = numbers,
                        .energy = numbers,
                        .source = source,
                        .basis = source};
    assert_false(res_writer_points(w, &block, &err)); /* not the rows of its deployment */
    rows = 0;
    assert_false(res_writer_points(w, &block, &err)); /* n_rows is not their sum */
    block.n_rows = 0;
    assert_true(res_writer_points(w, &block, &err));
    srv_points_free(&points);
    res_writer_abandon(w);
    assert_false(exists(opt.path));
    fix_free(s);
}

/* ---- running
 * -------------------------------------------------------------------------------------------------- */

static int set_up(void **state) {
    (void)state;
    fix_folder(folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    pdb_hdf5_lock(); /* quiet, and safe at exit, before the first call made here */
    pdb_hdf5_unlock();
    const struct CMUnitTest tests[] = {
        TEST(test_splits_do_not_matter),
        TEST(test_checkpoints_do_not_matter),
        TEST(test_threads_do_not_matter),
        TEST(test_zeros_may_be_left_out),
        TEST(test_columns_of_one_value),
        TEST(test_room),
        TEST(test_content_digest_is_free_of_compression),
        TEST(test_rounded_breakdowns),
        TEST(test_no_points_and_no_breakdown),
        TEST(test_interruption_keeps_everything),
        TEST(test_interruption_before_the_first_checkpoint),
        TEST(test_journal_survives_any_cut),
        TEST(test_existing_output_is_refused),
        TEST(test_second_writer_is_refused),
        TEST(test_what_a_killed_run_leaves_is_cleared),
        TEST(test_write_errors),
        TEST(test_mistakes_of_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
