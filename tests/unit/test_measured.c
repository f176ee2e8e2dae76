/* links: ops. Kinds declared in data: built-in kinds once more with the same answers, files that are wrong,
 * keys and axes of every sort. */
#include "ops_cases.h"
#include "perfdb_maker.h"

/* ---- the same answers ---------------------------------------------------------------------------------- */

typedef struct twins {
    ops_fixture *f;
    const op_kinds *kinds;
    const pdb_view *views[OP_MODE_COUNT];
    size_t answers, refusals;
} twins;

static op *declared_op(twins *t, const char *kind, const char *json) {
    aic_error err = {0};
    const aic_node *n = aic_doc_json_text(t->f->arena, "test", json, strlen(json), &err);
    const op_desc *d = op_kinds_find(t->kinds, kind);
    assert_non_null(d);
    op *o = op_make(t->f->arena, d);
    for (size_t i = 0; n && i < n->count; i++) {
        const aic_node *v = n->items[i];
        aic_value value = v->kind == AIC_K_INT    ? aic_int(v->i)
                          : v->kind == AIC_K_REAL ? aic_real(v->r)
                          : v->kind == AIC_K_BOOL ? aic_bool(v->b)
                                                  : aic_str(v->text);
        if (!op_set(t->f->arena, o, n->keys[i]->text, &value, &err))
            fail_msg("%s", err.text);
    }
    if (!n || !op_finish(o, &err))
        fail_msg("%s", err.text);
    return o;
}

static void assert_same(const op_result *a, const op_result *b) {
    assert_true(a->latency == b->latency && a->energy == b->energy);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->tier, b->tier);
    assert_int_equal(a->has_sol, b->has_sol);
    assert_true(a->sol_math == b->sol_math && a->sol_mem == b->sol_mem);
    assert_memory_equal(a->cover, b->cover, sizeof a->cover);
}

/* Asks two kinds with the same fields at the same shapes in all modes. Fields that the declared kind leaves
 * out are given by `more`. */
static void compare(twins *t, const char *built_in, const char *declared, const char *fields,
                    const char *more, const op_shape *shapes, size_t n) {
    char plain[512], whole[1024];
    snprintf(plain, sizeof plain, "{\"name\": \"o\", \"scale_factor\": 3.5, %s}", fields);
    snprintf(whole, sizeof whole, "{\"name\": \"o\", \"scale_factor\": 3.5, %s%s}", fields, more);
    const op *a = declared_op(t, built_in, whole), *b = declared_op(t, declared, plain);
    assert_true(op_weight_bytes(a) == op_weight_bytes(b));
    for (int m = 0; m < OP_MODE_COUNT; m++) {
        op_binder binder = {t->f->arena, t->views[m], (op_mode)m, OP_POLICY_ALL};
        op_bound x, y;
        op_bind(&binder, a, &x);
        op_bind(&binder, b, &y);
        assert_int_equal(x.reads | y.reads, x.reads);
        for (size_t i = 0; i < n; i++) {
            op_result p, q;
            op_refusal why = {0};
            op_class first = op_query(&x, (op_mode)m, &shapes[i], &p, NULL),
                     second = op_query(&y, (op_mode)m, &shapes[i], &q, &why);
            if (first != second)
                fail_msg("%s in %s: %s, declared: %s %s", built_in, op_mode_name((op_mode)m),
                         op_class_name(first), op_class_name(second), why.text);
            if (first == OP_OK)
                assert_same(&p, &q);
            *(first == OP_OK ? &t->answers : &t->refusals) += 1;
        }
    }
}

/* Shapes on, between and far beyond what is measured. */
static size_t make_shapes(op_shape *out) {
    static const uint32_t batches[] = {1, 3, 8, 100, 5000}, lengths[] = {1, 7, 100, 1024, 5000, 300000};
    size_t n = 0;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++)
            out[n++] = (op_shape){batches[i], lengths[j], 0, batches[i] * lengths[j] / 7, 1.0};
    return n;
}

static void use_view(twins *t, const char *backend, const char *version) {
    aic_error err = {0};
    for (int m = 0; m < OP_MODE_COUNT; m++) {
        t->views[m] =
            pdb_view_get(t->f->db, "h200_sxm", backend, version, op_mode_shares((op_mode)m), true, &err);
        assert_non_null(t->views[m]);
    }
}

static void compare_all(twins *t) {
    static const char *const kv[] = {"bfloat16", "fp8", "int8"}, *const fmha[] = {"bfloat16", "fp8_block"},
                             *const quants[] = {"bfloat16", "fp8", "nvfp4"};
    static const int heads[] = {1, 5, 16, 128, 200}, sizes[] = {64, 72, 128}, hidden[] = {4096, 7168, 5000};
    op_shape shapes[64];
    size_t n = make_shapes(shapes);
    char fields[256];
    for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
        for (size_t k = 0; k < 3; k++) {
            snprintf(fields, sizeof fields, "\"num_heads\": %d, \"kv_cache_dtype\": \"%s\"", heads[h], kv[k]);
            compare(t, "GenerationMla", "LatentDecode", fields, "", shapes, n);
        }
        for (size_t k = 0; k < 6; k++) {
            snprintf(fields, sizeof fields, "\"n\": %d, \"head_size\": %d, \"fmha_quant_mode\": \"%s\"",
                     heads[h], sizes[k / 2], fmha[k % 2]);
            compare(t, "EncoderAttention", "PatchAttention", fields, "", shapes, n);
        }
    }
    for (size_t k = 0; k < 9; k++) {
        snprintf(fields, sizeof fields,
                 "\"hc_mult\": 4, \"hidden_size\": %d, \"seq_split\": %zu, \"quant_mode\": \"%s\"",
                 hidden[k / 3], k % 2 + 1, quants[k % 3]);
        compare(t, "Mhc", "MixBefore", fields, ", \"op\": \"pre\", \"architecture\": \"\"", shapes, n);
    }
}

static void test_same_answers(void **state) {
    const char *dir = TEST_DATA_DIR "/kinds";
    aic_error err = {0};
    op_kinds *kinds = op_kinds_open(&dir, 1, &err);
    if (!kinds)
        fail_msg("%s", err.text);
    twins t = {.f = *state, .kinds = kinds};
    use_view(&t, "trtllm", "1.3.0rc20");
    compare_all(&t);
    use_view(&t, "vllm", "0.24.0");
    compare_all(&t);
    assert_true(t.answers > 5000 && t.refusals > 2000);
    const op_desc *mix = op_kinds_find(kinds, "MixBefore"), *decode = op_kinds_find(kinds, "LatentDecode");
    assert_int_equal(mix->reads, OP_READS_X);
    assert_int_equal(decode->reads, OP_READS_BATCH | OP_READS_S);
    pdb_close(t.f->db); /* before the kinds: its views know their tables */
    t.f->db = NULL;
    op_kinds_close(kinds);
}

/* ---- small tables of our own --------------------------------------------------------------------------- */

#define HEAD "format: aicfg-ops\nversion: 1\nkinds:\n"

typedef struct small {
    maker m;
    char dir[96];
    op_kinds *kinds;
    ops_fixture f;
} small;

static void write_rows(hid_t g) {
    static const char *const kernels[] = {"plain", "fast", NULL};
    const uint8_t kernel[] = {0, 0, 1, 0};
    const uint32_t width[] = {8, 8, 8, 16}, n[] = {10, 20, 10, 10}, extra[] = {0, 0, 0, 5};
    const double launch[] = {0.5, 0.5, 0.25, 0.5}, run[] = {1.5, 3.5, 0.75, 4.5};
    maker_texts(g, "kernel_source", kernels, 4, kernel);
    maker_ints(g, "width", 4, width);
    maker_ints(g, "n", 4, n);
    maker_ints(g, "more", 4, extra);
    maker_reals(g, "launch", 4, launch);
    maker_reals(g, "latency", 4, run);
}

static void small_start(small *s) {
    maker_start(&s->m);
    snprintf(s->dir, sizeof s->dir, "%s/kinds", s->m.dir);
    if (mkdir(s->dir, 0700))
        abort();
    maker_text(
        s->m.release, "release.yaml",
        "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ndirectories: {box: {vllm: [\"1.0\"]}}\n");
    maker_file(&s->m, "box");
    maker_head(&s->m, "aicfg-perfdb", 1, "box", "r1");
    hid_t g = maker_group(&s->m, "/conv_perf/vllm/1.0", "conv", 4);
    write_rows(g);
    H5Gclose(g);
    maker_close(&s->m);
}

static void small_open(small *s, const char *text) {
    aic_error err = {0};
    const char *dir = s->dir;
    maker_text(s->dir, "a.yaml", text);
    s->f = (ops_fixture){.db = maker_open(&s->m, &err), .arena = aic_arena_new()};
    s->f.view = pdb_view_get(s->f.db, "box", "vllm", "1.0", true, true, &err);
    s->kinds = op_kinds_open(&dir, 1, &err);
    if (!s->kinds || !s->f.view)
        fail_msg("%s", err.text);
}

static void small_close(small *s) {
    pdb_close(s->f.db);
    op_kinds_close(s->kinds);
    aic_arena_free(s->f.arena);
}

static op_bound small_bind(small *s, op_mode mode, const char *kind, const char *fields) {
    twins t = {.f = &s->f, .kinds = s->kinds};
    op_binder binder = {s->f.arena, s->f.view, mode, OP_POLICY_ALL};
    op_bound b;
    op_bind(&binder, declared_op(&t, kind, fields), &b);
    return b;
}

#define CONV                                                                                                 \
    HEAD "  Conv:\n"                                                                                         \
         "    summary: a convolution\n"                                                                      \
         "    params: {width: integer, fast: {type: boolean, default: false}, scale: {type: real, default: " \
         "2.0}}\n"                                                                                           \
         "    table: conv_perf\n"                                                                            \
         "    key:\n"                                                                                        \
         "    - {column: kernel_source, text: \"'fast' if fast else 'plain'\"}\n"                            \
         "    - {column: width, integer: width}\n"                                                           \
         "    axes: [{column: n, plus: more, at: s + prefix}]\n"                                             \
         "    latency: [launch, latency]\n"                                                                  \
         "    sol: {mem: n * scale / mem_bw * 1000.0}\n"                                                     \
         "    weights: width * 10\n"

static op_shape length(uint32_t s, uint32_t prefix) {
    return (op_shape){.batch = 1, .s = s, .prefix = prefix, .x = s, .imbalance = 1.0};
}

static void test_one_lookup(void **state) {
    (void)state;
    small s;
    small_start(&s);
    small_open(&s, CONV);
    const char *plain = "{\"name\": \"c\", \"width\": 8}";
    op_bound b = small_bind(&s, OP_SILICON, "Conv", plain);
    assert_true(answer(&b, OP_SILICON, length(10, 0)).latency == 2.0); /* launch + latency */
    assert_true(answer(&b, OP_SILICON, length(10, 5)).latency == 3.0);
    assert_true(answer(&b, OP_SILICON, length(40, 0)).latency == 8.0); /* carried on by the roofline */
    assert_true(op_weight_bytes(b.op) == 80.0);
    assert_int_equal(b.reads, OP_READS_S | OP_READS_PREFIX);
    op_bound fast = small_bind(&s, OP_SILICON, "Conv", "{\"name\": \"c\", \"width\": 8, \"fast\": true}");
    assert_true(answer(&fast, OP_SILICON, length(10, 0)).latency == 1.0);
    op_bound wide = small_bind(&s, OP_SILICON, "Conv", "{\"name\": \"c\", \"width\": 16}"); /* n + more */
    assert_true(answer(&wide, OP_SILICON, length(15, 0)).cover[OP_MEASURED] == 5.0);
    op_bound none = small_bind(&s, OP_SILICON, "Conv", "{\"name\": \"c\", \"width\": 9}");
    HAS(refusal(&none, OP_SILICON, length(10, 0), OP_MISSING).text,
        "c (Conv): conv_perf of box/vllm/1.0 has no rows with width 9 at kernel_source=plain");
    op_bound sol = small_bind(&s, OP_SOL, "Conv", plain);
    op_result r = answer(&sol, OP_SOL, length(10, 0));
    assert_true(r.sol_mem == 10 * 2.0 / 1e12 * 1000.0 && r.sol_math == 0.0 && r.source == OP_SRC_sol);
    op_bound hybrid = small_bind(&s, OP_HYBRID, "Conv", "{\"name\": \"c\", \"width\": 9}");
    refusal(&hybrid, OP_HYBRID, length(10, 0), OP_NO_EMPIRICAL);
    op_bound empirical = small_bind(&s, OP_EMPIRICAL, "Conv", plain);
    r = answer(&empirical, OP_EMPIRICAL, length(10, 0));
    assert_true(fabs(r.latency - 2.0) < 1e-12 && r.tier == OP_TIER_empirical);
    small_close(&s);
    maker_end(&s.m);
}

/* Without a roofline nothing is carried beyond the measurements. */
static void test_no_roofline(void **state) {
    (void)state;
    small s;
    small_start(&s);
    small_open(&s,
               HEAD "  Bare:\n"
                    "    table: conv_perf\n"
                    "    key: [{column: kernel_source, text: \"'plain'\"}, {column: width, integer: 4 + 4}]\n"
                    "    axes: [{column: n, name: tokens, at: x}]\n");
    op_bound b = small_bind(&s, OP_SILICON, "Bare", "{\"name\": \"c\"}");
    assert_true(answer(&b, OP_SILICON, length(15, 0)).latency == 2.5);
    refusal(&b, OP_SILICON, length(40, 0), OP_MISSING);
    op_bound sol = small_bind(&s, OP_SOL, "Bare", "{\"name\": \"c\"}");
    HAS(refusal(&sol, OP_SOL, length(15, 0), OP_NO_SOL).text, "declares no sol:");
    op_bound empirical = small_bind(&s, OP_EMPIRICAL, "Bare", "{\"name\": \"c\"}");
    refusal(&empirical, OP_EMPIRICAL, length(15, 0), OP_NO_EMPIRICAL);
    assert_true(op_weight_bytes(b.op) == 0.0);
    small_close(&s);
    maker_end(&s.m);
}

/* What cannot be computed for an op refuses it, in the class that fits. */
static void test_values_that_fail(void **state) {
    (void)state;
    small s;
    small_start(&s);
    small_open(&s, HEAD "  Bad:\n"
                        "    params: {mode: gemm_mode, divisor: integer, key: integer}\n"
                        "    let: {rate: flops(mode)}\n"
                        "    table: conv_perf\n"
                        "    key: [{column: width, integer: key - 1}]\n"
                        "    axes: [{column: n, at: s // divisor}]\n"
                        "    sol: {math: n / rate / (divisor - 2)}\n");
    op_bound fp4 = small_bind(&s, OP_SILICON, "Bad",
                              "{\"name\": \"c\", \"mode\": \"nvfp4\", \"divisor\": 1, \"key\": 9}");
    HAS(refusal(&fp4, OP_SILICON, length(1, 0), OP_NO_FLOPS).text, "needs gpu.fp4_tc_flops");
    refusal(&fp4, OP_SOL, length(1, 0), OP_NO_FLOPS);
    op_bound zero = small_bind(&s, OP_SILICON, "Bad",
                               "{\"name\": \"c\", \"mode\": \"bfloat16\", \"divisor\": 0, \"key\": 9}");
    HAS(refusal(&zero, OP_SILICON, length(1, 0), OP_INVALID).text, "division by zero");
    op_bound sign = small_bind(&s, OP_SILICON, "Bad",
                               "{\"name\": \"c\", \"mode\": \"bfloat16\", \"divisor\": 1, \"key\": 0}");
    HAS(refusal(&sign, OP_SILICON, length(1, 0), OP_INVALID).text, "found a negative number");
    op_bound price = small_bind(&s, OP_HYBRID, "Bad",
                                "{\"name\": \"c\", \"mode\": \"bfloat16\", \"divisor\": 2, \"key\": 9}");
    HAS(refusal(&price, OP_HYBRID, length(900, 0), OP_INVALID).text, "division by zero");
    assert_true(answer(&price, OP_HYBRID, length(20, 0)).latency == 1.5); /* measured: no price needed */
    small_close(&s);
    maker_end(&s.m);
}

/* ---- files --------------------------------------------------------------------------------------------- */

#define KIND(rest) HEAD "  K:\n" rest
#define TABLE      "    table: t\n    axes: [{column: n, at: x}]\n"

static void test_wrong_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"format: aicfg-graph\nversion: 1\nkinds: {}\n", "format is \"aicfg-graph\", not aicfg-ops"},
        {"format: aicfg-ops\nversion: 2\nkinds: {}\n",
         "a.yaml:2:10: version: expected an integer from 1 to 1"},
        {"format: aicfg-ops\nversion: 1\n", "kinds: expected a mapping"},
        {HEAD "  Gemm:\n" TABLE, "a.yaml:4:3: Gemm is a built-in kind"},
        {HEAD "  a-b:\n" TABLE, "\"a-b\" is no name of a kind"},
        {KIND("    axes: [{column: n, at: x}]\n"), "table: expected"},
        {KIND("    table: t\n"), "axes: expected a list, found nothing"},
        {KIND(TABLE "    colour: red\n"), "colour"},
        {KIND("    params: {x: integer}\n" TABLE), "the name \"x\" already means something here"},
        {KIND("    params: {a: integer}\n    let: {a: 1}\n" TABLE), "the name \"a\" already means"},
        {KIND("    params: {n: integer}\n" TABLE), "the name \"n\" already means something here"},
        {KIND("    params: {a: number}\n" TABLE), "\"number\" is no type; types are integer, real"},
        {KIND("    params: {a: {type: gemm_mode, default: fp7}}\n" TABLE), "\"fp7\" is no GEMM mode"},
        {KIND("    params: {a: {type: integer, default: -1}}\n" TABLE), "default: expected an integer"},
        {KIND("    let: {b: c, c: 1}\n" TABLE), "a.yaml:5:14: unknown name \"c\""},
        {KIND("    let: {b: batch}\n" TABLE), "unknown name \"batch\""},
        {KIND(TABLE "    weights: mem_bw\n"), "unknown name \"mem_bw\""},
        {KIND(TABLE "    sol: {mem: batch}\n"), "unknown name \"batch\""},
        {KIND(TABLE "    sol: {time: 1}\n"), "time"},
        {KIND("    table: t\n    axes: [{column: n}]\n"), "axis n: at: is missing"},
        {KIND("    table: t\n    axes: [{column: n, at: x, blend: cubic}]\n"), "blend: expected sqrt"},
        {KIND("    table: t\n    axes: [{column: n, at: x, blend: sqrt}, {column: m, at: x, blend: sqrt}]\n"),
         "only one axis may be blended"},
        {KIND("    table: t\n    axes: [{column: n, at: x}, {column: n, at: s}]\n"),
         "the name \"n\" already"},
        {KIND("    key: [{column: a}]\n" TABLE), "key a: expected either text: or integer:"},
        {KIND("    key: [{column: a, text: \"'b'\", integer: 1}]\n" TABLE),
         "expected either text: or integer:"},
        {KIND("    table: t\n    axes: [{column: a, at: x}, {column: b, at: x}, {column: c, at: x}, "
              "{column: d, at: x}, {column: e, at: x}]\n"),
         "axes: more than 4 entries"},
    };
    maker m;
    maker_start(&m);
    const char *dir = m.release;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        aic_error err = {0};
        maker_text(dir, "a.yaml", cases[i].text);
        assert_null(op_kinds_open(&dir, 1, &err));
        if (!strstr(err.text, cases[i].error))
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(err.code, AIC_BAD_INPUT);
    }
    aic_error err = {0};
    dir = "/nonexistent";
    assert_null(op_kinds_open(&dir, 1, &err));
    assert_int_equal(err.code, AIC_IO);
    maker_end(&m);
}

static void test_folders(void **state) {
    (void)state;
    maker m;
    aic_error err = {0};
    maker_start(&m);
    const char *dirs[] = {m.release, m.sheets};
    unlink(maker_path(m.sheets, "box.yaml"));
    maker_text(m.release, "a.yaml", KIND("    summary: first\n" TABLE));
    maker_text(m.release, ".hidden.yaml", "not read");
    maker_text(m.sheets, "b.yaml", KIND("    summary: second\n" TABLE) "  L:\n" TABLE);
    op_kinds *k = op_kinds_open(dirs, 2, &err);
    assert_non_null(k);
    assert_int_equal(op_kinds_count(k), op_desc_count() + 2);
    assert_string_equal(op_kinds_find(k, "K")->summary, "first");
    assert_ptr_equal(op_kinds_at(k, op_desc_count() + 1), op_kinds_find(k, "L"));
    assert_ptr_equal(op_kinds_find(k, "Gemm"), op_desc_find("Gemm"));
    assert_string_equal(op_kinds_nearest(k, "gemm"), "Gemm");
    op_kinds_close(k);
    maker_text(m.release, "c.yaml", KIND(TABLE));
    assert_null(op_kinds_open(dirs, 1, &err));
    HAS(err.text, "c.yaml:4:3: K is declared twice in this folder");
    assert_null(op_kinds_find(NULL, "K"));
    assert_int_equal(op_kinds_count(NULL), op_desc_count());
    op_kinds_close(NULL);
    maker_end(&m);
}

static int stop(void **state) {
    ops_fixture *f = *state;
    if (f->db)
        pdb_close(f->db);
    aic_arena_free(f->arena);
    free(f);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_lookup),       cmocka_unit_test(test_no_roofline),
        cmocka_unit_test(test_values_that_fail), cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_folders),          cmocka_unit_test(test_same_answers),
    };
    return cmocka_run_group_tests_name("measured", tests, ops_setup, stop);
}
