/* links: perfdb. Version slots, opened views, ordered source lists; release.yaml. */
#include "parity/golden.h"
#include "perfdb_cases.h"
#include "perfdb_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_reference_answers(void **state) {
    (void)state;
    const char *dirs[] = {AICFG_DATA_DIR "/perfdb"}, *sheets[] = {AICFG_DATA_DIR "/systems"};
    aic_error err = {0};
    perfdb_cases t = {.arena = aic_arena_new()};
    t.db = pdb_open(dirs, 1, "0.12.0", sheets, 1, &err);
    assert_non_null(t.db);
    assert_true(json_lines(t.arena, TEST_DATA_DIR "/sources_h200_sxm.jsonl.gz", perfdb_case, &t) > 0);
    assert_int_equal(t.slots.wrong + t.get.wrong + t.sources.wrong, 0);
    assert_true(t.slots.asked >= 45 && t.get.asked >= 20);
    assert_int_equal(t.sources.asked, 155);
    pdb_close(t.db);
    aic_arena_free(t.arena);
}

/* ---- a release of our own -------------------------------------------------------------------- */

#define HEAD "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"

static const char facts[] = HEAD
    "slots:\n"
    "  defaults:\n"
    "    vllm: {current: 0.5.0, next: 0.9.0}\n"
    "    sglang: {previous: 0.1.0}\n"
    "  overrides:\n"
    "    box: {trtllm: {current: 1.0, previous: 0.9}}\n"
    "lanes:\n"
    "  vllm: {0.4.0: {90: a}, 0.5.0: {90: b, 100: default}, 0.6.0: {90: c}}\n"
    "  trtllm: {0.9: {90: default}}\n"
    "directories:\n"
    "  box:\n"
    "    nccl: [2.27]\n"
    "    vllm: [0.1.dev5, 0.4.0, 0.5.0, 0.6.0, nightly]\n"
    "    trtllm: [0.9, 1.0]\n"
    "    sglang: [0.1.0, 0.2.0]\n"
    "reuse:\n"
    "  box:\n"
    "    vllm:\n"
    "      0.5.0:\n"
    "        - {table: moe_perf, from: 0.6.0}\n"
    "        - {table: moe_perf, from: 0.6.0}\n"
    "        - {table: gemm_perf, from: 0.4.0}\n"
    "        - {table: custom_allreduce_perf, from: 0.6.0}\n"
    "cross_backend:\n"
    "  - {table: moe_perf, kernel_source: k2, tier: shared, frameworks: [sglang, vllm]}\n"
    "  - {table: moe_perf, kernel_source: k1, tier: shared_fallback, frameworks: [vllm, sglang, trtllm]}\n"
    "  - {table: moe_perf, kernel_source: k0, tier: absence_load_bearing, frameworks: [vllm, sglang]}\n"
    "  - {table: custom_allreduce_perf, kernel_source: k1, tier: shared, frameworks: [vllm, sglang]}\n";

static void make_box(maker *m, const char *release) {
    maker_start(m);
    maker_text(m->release, "release.yaml", release);
    maker_file(m, "box");
    maker_head(m, "aicfg-perfdb", 1, "box", "r1");
    static const char *const groups[][2] = {
        {"/moe_perf/vllm/0.1.dev5", "moe"},
        {"/moe_perf/vllm/0.4.0", "moe"},
        {"/moe_perf/vllm/0.5.0", "moe"},
        {"/moe_perf/vllm/0.6.0", "moe"},
        {"/moe_perf/vllm/nightly", "moe"},
        {"/moe_perf/sglang/0.1.0", "moe"},
        {"/moe_perf/sglang/0.2.0", "moe"},
        {"/moe_perf/trtllm/0.9", "moe"},
        {"/nccl_perf/nccl/2.27", "comm"},
        {"/custom_allreduce_perf/vllm/0.4.0", "comm"},
        {"/custom_allreduce_perf/vllm/0.6.0", "comm"},
        {"/custom_allreduce_perf/sglang/0.1.0", "comm"},
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        H5Gclose(maker_group(m, groups[i][0], groups[i][1], 0));
    maker_close(m);
}

/* "channel version[!]" of each source, ! = absent; kernels in brackets. */
static void expect_sources(pdb *db, const char *backend, const char *version, bool shared, const char *table,
                           const char *expected) {
    aic_error err = {0};
    const pdb_view *v = pdb_view_get(db, "box", backend, version, shared, true, &err);
    if (!v)
        fail_msg("%s", err.text);
    const pdb_source *list;
    size_t n = pdb_sources(v, table, &list);
    aic_buf text = {0};
    for (size_t i = 0; i < n; i++) {
        aic_buf_printf(&text, "%s%s %s %s%s", i ? ", " : "", pdb_channel_name(list[i].channel),
                       list[i].backend, list[i].version, list[i].exists ? "" : "!");
        for (size_t k = 0; k < list[i].n_kernels; k++)
            aic_buf_printf(&text, " [%s]", list[i].kernels[k]);
    }
    assert_string_equal(text.len ? text.data : "", expected);
    aic_buf_free(&text);
}

static void test_source_rules(void **state) {
    (void)state;
    maker m;
    make_box(&m, facts);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    assert_non_null(db);
    /* Primary, declared donor once though listed twice and newer, own older versions, other backends newest
     * first. */
    expect_sources(
        db, "vllm", "0.5.0", true, "moe_perf",
        "primary vllm 0.5.0, declared_reuse vllm 0.6.0, fallback vllm 0.4.0, fallback vllm 0.1.dev5, "
        "cross_backend sglang 0.2.0 [k1] [k2], cross_backend sglang 0.1.0 [k1] [k2], "
        "cross_backend trtllm 0.9 [k1]");
    expect_sources(db, "vllm", "0.5.0", false, "moe_perf", "primary vllm 0.5.0");
    /* A version PEP 440 does not know has no older ones. It comes last for others. */
    expect_sources(
        db, "vllm", "nightly", true, "moe_perf",
        "primary vllm nightly, cross_backend sglang 0.2.0 [k1] [k2], cross_backend sglang 0.1.0 [k1] [k2], "
        "cross_backend trtllm 0.9 [k1]");
    expect_sources(
        db, "trtllm", "1.0", true, "moe_perf",
        "primary trtllm 1.0!, fallback trtllm 0.9, cross_backend sglang 0.2.0 [k1], "
        "cross_backend sglang 0.1.0 [k1], cross_backend vllm 0.6.0 [k1], cross_backend vllm 0.5.0 [k1], "
        "cross_backend vllm 0.4.0 [k1], cross_backend vllm 0.1.dev5 [k1], cross_backend vllm nightly [k1]");
    /* `next` without a folder of its own lives on older versions. */
    expect_sources(db, "vllm", "next", true, "gemm_perf", "primary vllm 0.9.0!");
    expect_sources(db, "vllm", "next", true, "custom_allreduce_perf",
                   "primary vllm 0.9.0!, fallback vllm 0.6.0, fallback vllm 0.4.0");
    /* Communication: neither declared reuse nor other backends. */
    expect_sources(db, "vllm", "0.5.0", true, "custom_allreduce_perf",
                   "primary vllm 0.5.0!, fallback vllm 0.4.0");
    /* Collective libraries: the sheet's version, whoever asks. */
    expect_sources(db, "vllm", "0.5.0", true, "nccl_perf", "primary nccl 2.27");
    expect_sources(db, "trtllm", "0.9", false, "oneccl_perf", "");
    pdb_close(db);
    maker_end(&m);
}

static void expect_refusal(pdb *db, const char *system, const char *backend, const char *version,
                           bool unlisted, const char *message) {
    aic_error err = {0};
    assert_null(pdb_view_get(db, system, backend, version, true, unlisted, &err));
    if (!strstr(err.text, message))
        fail_msg("%s", err.text);
    assert_int_equal(err.code, AIC_BAD_INPUT);
}

static void test_views(void **state) {
    (void)state;
    maker m;
    make_box(&m, facts);
    maker_text(m.sheets, "bare.yaml", MAKER_SHEET);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    const pdb_view *v = pdb_view_get(db, "box", "trtllm", "previous", true, false, &err);
    assert_string_equal(v->version, "0.9");
    assert_string_equal(v->release, "r1");
    assert_ptr_equal(v, pdb_view_get(db, "box", "trtllm", "0.9", true, false, &err));
    assert_ptr_not_equal(v, pdb_view_get(db, "box", "trtllm", "0.9", false, false, &err));
    assert_string_equal(pdb_view_get(db, "box", "trtllm", NULL, true, false, &err)->version, "1.0");
    /* sglang has no current slot, hence no slots at all: every measured version may be named, the newest is
     * latest. */
    assert_string_equal(pdb_view_get(db, "box", "sglang", "", true, false, &err)->version, "0.2.0");
    assert_string_equal(pdb_view_get(db, "box", "sglang", "0.1.0", true, false, &err)->version, "0.1.0");
    expect_refusal(db, "box", "sglang", "current", false, "no version slots");
    expect_refusal(db, "box", "sglang", "0.3.0", false, "measured versions: 0.1.0, 0.2.0");
    expect_refusal(db, "box", "vllm", "0.4.0", false, "its versions are current = 0.5.0, next = 0.9.0");
    assert_non_null(pdb_view_get(db, "box", "vllm", "0.4.0", true, true, &err));
    expect_refusal(db, "box", "vllm", "0.4.1", true,
                   "measured versions: 0.1.dev5, 0.4.0, 0.5.0, 0.6.0, nightly");
    expect_refusal(db, "box", "vllm", "previous", true, "there is no such version");
    expect_refusal(db, "box", "tgi", "1.0", true, "backends: vllm, trtllm, sglang");
    expect_refusal(db, "box", "nccl", "2.27", true, "backends: vllm, trtllm, sglang");
    expect_refusal(db, "bare", "vllm", "0.5.0", false, "bare has no measured tables");
    expect_refusal(db, "bx", "vllm", "0.5.0", false, "there is no system 'bx'");
    /* Estimates only: a view without data, on request. */
    v = pdb_view_get(db, "bare", "vllm", "0.5.0", true, true, &err);
    assert_non_null(v);
    assert_string_equal(v->digest, "");
    const pdb_source *list;
    assert_int_equal(pdb_sources(v, "moe_perf", &list), 1);
    assert_false(list[0].exists);
    assert_null(pdb_lane_default(v));
    expect_refusal(db, "bare", "vllm", "current", true, "bare has no measured tables");
    pdb_close(db);
    maker_end(&m);
}

/* A release without slots, as the oldest are. 0.9.0 is listed and holds nothing of its own. */
#define NO_SLOTS "directories: {box: {vllm: [0.4.0, 0.5.0, 0.9.0], sglang: [0.9.0]}}\n"

static void test_versions_without_slots(void **state) {
    (void)state;
    maker m;
    make_box(&m, HEAD NO_SLOTS);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    assert_string_equal(pdb_view_get(db, "box", "vllm", "", true, false, &err)->version, "0.5.0");
    expect_sources(db, "vllm", "0.9.0", true, "moe_perf",
                   "primary vllm 0.9.0!, fallback vllm 0.5.0, fallback vllm 0.4.0");
    expect_refusal(db, "box", "sglang", "", true, "'latest' names nothing");
    pdb_close(db);
    maker_end(&m);
}

static void test_versions_that_stand_alone(void **state) {
    (void)state;
    maker m;
    make_box(&m, HEAD "shared_rows: false\n" NO_SLOTS);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    const pdb_view *v = pdb_view_get(db, "box", "vllm", NULL, true, false, &err);
    assert_false(v->shared);
    assert_ptr_equal(v, pdb_view_get(db, "box", "vllm", "0.5.0", false, false, &err));
    expect_sources(db, "vllm", "0.5.0", true, "moe_perf", "primary vllm 0.5.0");
    expect_sources(db, "vllm", "0.5.0", true, "custom_allreduce_perf", "primary vllm 0.5.0!");
    expect_sources(db, "vllm", "0.5.0", true, "nccl_perf", "primary nccl 2.27");
    pdb_close(db);
    maker_end(&m);
}

static const char *lane(pdb *db, const char *backend, const char *version) {
    aic_error err;
    return pdb_lane_default(pdb_view_get(db, "box", backend, version, true, true, &err));
}

static void test_lanes(void **state) {
    (void)state;
    maker m;
    make_box(&m, facts);
    aic_error err;
    pdb *db = maker_open(&m, &err);
    assert_string_equal(lane(db, "vllm", "0.5.0"), "b");
    assert_string_equal(lane(db, "vllm", "0.4.0"), "a");
    assert_string_equal(lane(db, "vllm", "next"), "c"); /* the newest entry not above it */
    assert_null(lane(db, "vllm", "0.1.dev5"));          /* older than every entry */
    assert_null(lane(db, "vllm", "nightly"));
    assert_string_equal(lane(db, "trtllm", "1.0"), "");
    assert_null(lane(db, "sglang", "0.2.0"));
    pdb_close(db);
    maker_end(&m);
}

static void test_bad_releases(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } all[] = {
        {"", "expected the facts of a release"},
        {"format: x\nversion: 1\nrelease: r1\n", "expected 'format: aicfg-perfdb-release'"},
        {"format: aicfg-perfdb-release\nversion: 2\nrelease: r1\n",
         "release.yaml:2:10: expected 'version: 1'"},
        {"format: aicfg-perfdb-release\nversion: 1\n", "expected 'release: <name>'"},
        {HEAD "slot: {}\n", "slot"},
        {HEAD "shared_rows: 0\n", "shared_rows"},
        {HEAD "slots: [1]\n", "expected slots to be a mapping"},
        {HEAD "slots: {defaults: {vllm: {latest: 1.0}}}\n", "latest"},
        {HEAD "lanes: {vllm: {1.0: fa3}}\n", "expected a mapping in lanes"},
        {HEAD "directories: {box: {vllm: 0.5.0}}\n", "expected directories to be a list"},
        {HEAD "directories: {box: {vllm: [[0.5.0]]}}\n", "directories"},
        {HEAD "reuse: {box: {vllm: {1.0: [{table: [a], from: 1.1}]}}}\n", "table"},
        {HEAD "reuse: {box: {vllm: {1.0: [{table: a}]}}}\n", "lacks 'from'"},
        {HEAD "cross_backend: {a: 1}\n", "expected cross_backend to be a list"},
        {HEAD "cross_backend: [{table: a, kernel_source: b, tier: c, frameworks: vllm}]\n", "frameworks"},
        {HEAD "cross_backend: [5]\n", "expected an entry of cross_backend to be a mapping"},
    };
    maker m;
    maker_start(&m);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        maker_text(m.release, "release.yaml", all[i].text);
        aic_error err;
        assert_null(maker_open(&m, &err));
        if (!strstr(err.text, all[i].message))
            fail_msg("%s: %s", all[i].text, err.text);
        assert_int_equal(err.code, AIC_BAD_INPUT);
    }
    /* The least there may be. */
    maker_text(m.release, "release.yaml", HEAD "slots: null\nlanes:\ncross_backend: null\n");
    aic_error err;
    pdb *db = maker_open(&m, &err);
    assert_non_null(db);
    expect_refusal(db, "box", "vllm", "1.0", false, "box has no measured tables");
    pdb_close(db);
    maker_end(&m);
}

static void test_choice_of_release(void **state) {
    (void)state;
    maker m;
    maker_start(&m);
    aic_error err;
    assert_null(maker_open(&m, &err));
    assert_non_null(strstr(err.text, "holds no perfdb release"));
    char newer[128];
    snprintf(newer, sizeof newer, "%s/0.12.0", m.dir);
    assert_int_equal(mkdir(newer, 0700), 0);
    maker_text(newer, "release.yaml", "format: aicfg-perfdb-release\nversion: 1\nrelease: 0.12.0\n");
    maker_text(m.release, "release.yaml", "format: aicfg-perfdb-release\nversion: 1\nrelease: 0.9.0\n");
    pdb *db = maker_open(&m, &err);
    assert_string_equal(db->releases[0]->name, "0.12.0");
    pdb_close(db);
    const char *dirs[] = {m.dir, newer}, *sheets[] = {m.sheets};
    db = pdb_open(dirs, 2, "0.9.0", sheets, 1, &err);
    assert_int_equal(db->n_releases, 1);
    assert_string_equal(db->releases[0]->name, "0.9.0");
    pdb_close(db);
    assert_null(pdb_open(dirs, 2, "0.10.0", sheets, 1, &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "there is no perfdb release 0.10.0"));
    maker_end(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_answers),
        cmocka_unit_test(test_source_rules),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_versions_without_slots),
        cmocka_unit_test(test_versions_that_stand_alone),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_bad_releases),
        cmocka_unit_test(test_choice_of_release),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
