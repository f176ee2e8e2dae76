/* links: results. Merging shards: what partitions the points and what does not, and the bytes of the whole.
 */
#include "results/merge.h"
#include "results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static aic_error err;
static char folder[256];

static int make_folder(void **state) {
    (void)state;
    fix_folder(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- partitions -------------------------------------------------------------------------------------- */

enum { PARTS = 12, TOTAL = 1000 };

/* TOTAL points in PARTS shards of any size, 0 included, in any order. */
static size_t random_parts(res_shard_file *list, uint64_t seed) {
    uint64_t cuts[PARTS + 1] = {0};
    for (int i = 1; i < PARTS; i++)
        cuts[i] = (uint64_t)(fix_random(seed * 100 + (uint64_t)i) * (TOTAL + 1));
    cuts[PARTS] = TOTAL;
    for (int i = 1; i <= PARTS; i++) /* sorted */
        for (int j = i; j > 1 && cuts[j] < cuts[j - 1]; j--) {
            uint64_t v = cuts[j];
            cuts[j] = cuts[j - 1];
            cuts[j - 1] = v;
        }
    for (uint64_t i = 0; i < PARTS; i++) {
        list[i] = (res_shard_file){.path = "x.h5",
                                   .shard = i + 1,
                                   .shards = PARTS,
                                   .first = cuts[i],
                                   .points = cuts[i + 1] - cuts[i]};
        snprintf(list[i].content, sizeof list[i].content, "%llu", (unsigned long long)i);
    }
    for (size_t i = PARTS - 1; i > 0; i--) {
        size_t j = (size_t)(fix_random(seed * 7 + i) * (double)(i + 1));
        res_shard_file s = list[i];
        list[i] = list[j];
        list[j] = s;
    }
    return PARTS;
}

static bool partition(res_shard_file *list, size_t *n, bool allow) {
    err = (aic_error){0};
    return res_shards_partition(list, n, TOTAL, allow, &err);
}

static void test_partitions(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        res_shard_file list[PARTS + 1], copy[PARTS + 1];
        size_t n = random_parts(list, seed), some = seed % PARTS;
        uint64_t next = 0;
        while (list[some].points == 0)
            some = (some + 1) % PARTS;
        memcpy(copy, list, sizeof copy);
        assert_true(partition(copy, &n, false));
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(copy[i].first, next);
            assert_true(copy[i].points > 0);
            next += copy[i].points;
        }
        assert_int_equal(next, TOTAL);
        memcpy(copy, list, sizeof copy); /* without one */
        copy[some] = copy[PARTS - 1];
        n = PARTS - 1;
        assert_false(partition(copy, &n, true));
        assert_non_null(strstr(err.text, "missing: shard"));
        memcpy(copy, list, sizeof copy); /* one twice */
        copy[PARTS] = copy[some];
        n = PARTS + 1;
        assert_false(partition(copy, &n, false));
        assert_non_null(strstr(err.text, "--allow-duplicates"));
        memcpy(copy, list, sizeof copy);
        copy[PARTS] = copy[some];
        n = PARTS + 1;
        assert_true(partition(copy, &n, true));
        memcpy(copy, list, sizeof copy); /* one twice, with other contents */
        copy[PARTS] = copy[some];
        copy[PARTS].content[0] = 'x';
        n = PARTS + 1;
        assert_false(partition(copy, &n, true));
        assert_non_null(strstr(err.text, "different contents"));
    }
}

static res_shard_file part(uint64_t shard, uint64_t shards, uint64_t first, uint64_t end) {
    return (res_shard_file){
        .path = "x.h5", .shard = shard, .shards = shards, .first = first, .points = end - first};
}

static void check_refusal(res_shard_file *list, size_t n, const char *expected) {
    assert_false(partition(list, &n, false));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    if (!strstr(err.text, expected))
        fail_msg("%s\nlacks: %s", err.text, expected);
}

static void test_messages(void **state) {
    (void)state;
    check_refusal(
        (res_shard_file[]){part(5, 5, 800, 1000), part(2, 5, 200, 400)}, 2,
        "\n  missing: shard 1 of 5, points 0 to 199\n  missing: shards 3 to 4 of 5, points 400 to 799");
    check_refusal((res_shard_file[]){part(1, 2, 0, 999)}, 1, "\n  missing: shard 2 of 2, point 999");
    check_refusal((res_shard_file[]){part(1, 2, 0, 500), part(3, 3, 700, 1000)}, 2,
                  "\n  missing: points 500 to 699");
    check_refusal((res_shard_file[]){part(1, 2, 0, 500), part(2, 3, 300, 700), part(3, 3, 700, 1000)}, 3,
                  "\n  twice: points 300 to 499, in shard 1 of 2 (x.h5) and shard 2 of 3 (x.h5)");
    check_refusal((res_shard_file[]){part(1, 1, 0, 1000), part(2, 3, 300, 301), part(3, 3, 700, 1000)}, 3,
                  "\n  twice: point 300, in shard 1 of 1 (x.h5) and shard 2 of 3 (x.h5)");
    check_refusal((res_shard_file[]){part(1, 1, 0, 0)}, 1, "missing: points 0 to 999");
    res_shard_file many[40];
    for (uint64_t i = 0; i < 40; i++)
        many[i] = part(2 * i + 1, 80, 20 * i, 20 * i + 10);
    check_refusal(many, 40, "and 28 more");
}

/* ---- files ------------------------------------------------------------------------------------------- */

/* Points first .. end-1 of the sweep as shard `shard` of `shards`. */
static void write_shard(fix_sweep *s, const char *path, uint64_t shard, uint64_t shards, uint64_t first,
                        uint64_t end) {
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(path);
    origin.shard = shard;
    origin.shards = shards;
    origin.first_point = first;
    s->base = (size_t)(first / FIX_WORKLOADS);
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    for (size_t d = s->base; d * FIX_WORKLOADS < end; d++)
        assert_true(res_writer_deployment(w, d, &s->deployments[d], &err));
    for (uint64_t at = first; at < end; at += 777)
        assert_true(fix_write(s, w, at, end - at < 777 ? (size_t)(end - at) : 777, &err));
    assert_true(res_writer_finish(w, true, NULL, &err));
    s->base = 0;
}

/* The content digest of a file, and whether its bytes equal another's outside /run. */
static void content_of(const char *path, char out[65]) {
    res_file *f = res_open(path, &err);
    assert_non_null(f);
    snprintf(out, 65, "%s", res_attribute(f, "content_sha256"));
    res_close(f);
}

typedef struct files {
    char path[8][300];
    const char *list[8];
    char whole[300], out[300];
} files;

/* The sweep in `n` shards whose cuts are no deployment's ends, and in one file. */
static void write_files(fix_sweep *s, files *f, uint64_t n) {
    res_writer_options opt = fix_options(f->whole);
    snprintf(f->whole, sizeof f->whole, "%s/whole.h5", folder);
    snprintf(f->out, sizeof f->out, "%s/out.h5", folder);
    opt.force = true;
    assert_true(fix_file(s, &opt, 5000, fix_count(s), true, NULL, &err));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t first = i ? fix_count(s) * i / n + 13 : 0,
                 end = i + 1 < n ? fix_count(s) * (i + 1) / n + 13 : fix_count(s);
        snprintf(f->path[i], sizeof f->path[i], "%s/%llu.h5", folder, (unsigned long long)i);
        f->list[i] = f->path[i];
        unlink(f->path[i]);
        write_shard(s, f->path[i], i + 1, n, first, end);
    }
    unlink(f->out);
}

static res_merge_options options(const files *f, size_t n) {
    return (res_merge_options){.path = f->out,
                               .shards = f->list,
                               .n_shards = n,
                               .quiet = true,
                               .deflate = 1,
                               .threads = 2,
                               .command_line = "aicfg-sweep merge"};
}

/* Several stripes of both groups, cuts inside of deployments and stripes. */
static void test_content_of_the_whole(void **state) {
    (void)state;
    fix_sweep *s = fix_new(170);
    for (uint64_t n = 1; n <= 7; n += 3) {
        files f;
        char whole[65], merged[65];
        res_summary sum;
        write_files(s, &f, n);
        res_merge_options opt = options(&f, n);
        opt.check = true;
        assert_true(res_merge(&opt, &sum, &err));
        assert_int_not_equal(access(f.out, F_OK), 0);
        opt.check = false;
        for (unsigned threads = 1; threads <= 8; threads += 7) {
            opt.threads = threads;
            opt.force = threads > 1;
            if (!res_merge(&opt, &sum, &err))
                fail_msg("%s", err.text);
            assert_int_equal(sum.points, fix_count(s));
            content_of(f.whole, whole);
            content_of(f.out, merged);
            assert_string_equal(whole, merged);
            assert_string_equal(sum.digest, merged);
        }
    }
    fix_free(s);
}

static void check_merge_fails(const files *f, size_t n, const char *expected) {
    res_summary sum;
    res_merge_options opt = options(f, n);
    err = (aic_error){0};
    assert_false(res_merge(&opt, &sum, &err));
    if (!strstr(err.text, expected))
        fail_msg("%s\nlacks: %s", err.text, expected);
    assert_int_not_equal(access(f->out, F_OK), 0);
    opt.check = true;
    assert_false(res_merge(&opt, &sum, &err));
}

/* Files whose digests hold and that contradict each other all the same. */
static void test_contradictions(void **state) {
    (void)state;
    fix_sweep *s = fix_new(9);
    files f;
    write_files(s, &f, 3);
    double weights = s->deployments[3].built.weight_bytes;
    s->deployments[3].built.weight_bytes = 17; /* the one that shards 1 and 2 share */
    unlink(f.path[1]);
    write_shard(s, f.path[1], 2, 3, fix_count(s) / 3 + 13, fix_count(s) * 2 / 3 + 13);
    check_merge_fails(&f, 3, "a deployment differs");
    s->deployments[3].built.weight_bytes = weights;
    unlink(f.path[1]); /* numbered as if another deployment came first */
    s->base = 0;
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(f.path[1]);
    origin.shard = 2;
    origin.shards = 3;
    origin.first_point = fix_count(s) / 3 + 13;
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    s->base = 3;
    for (size_t d = 3; d < 7; d++)
        assert_true(res_writer_deployment(w, d + 2, &s->deployments[d], &err));
    assert_true(fix_write(s, w, origin.first_point, (size_t)fix_count(s) / 3, &err));
    assert_true(res_writer_finish(w, true, NULL, &err));
    s->base = 0;
    check_merge_fails(&f, 3, "do not follow");
    fix_free(s);
}

static void test_unfinished_shards(void **state) {
    (void)state;
    fix_sweep *s = fix_new(3);
    files f;
    write_files(s, &f, 1);
    res_origin origin = fix_origin(s);
    res_writer_options opt = fix_options(f.path[0]);
    opt.force = true;
    origin.shard = origin.shards = 1;
    res_writer *w = res_writer_open(&opt, &origin, &err);
    assert_non_null(w);
    assert_true(res_writer_deployment(w, 0, &s->deployments[0], &err) && fix_write(s, w, 0, 100, &err));
    res_summary sum;
    assert_true(res_writer_finish(w, false, &sum, &err));
    f.list[0] = sum.path;
    check_merge_fails(&f, 1, "is not complete");
    fix_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions),           cmocka_unit_test(test_messages),
        cmocka_unit_test(test_content_of_the_whole), cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_unfinished_shards),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
