/* links: results */
/* Reading result files: what was written comes back, and no other file gets through. */
#include "results/h5.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char folder[256];

static const char *path_of(const char *name) {
    static char paths[8][512];
    static unsigned next;
    char *p = paths[next++ % 8];
    snprintf(p, 512, "%s/%s", folder, name);
    return p;
}

static void write_rounded(const fix_sweep *s, const char *path, uint64_t count, res_precision precision) {
    aic_error err = {0};
    res_summary out;
    res_writer_options opt = fix_options(path);
    opt.force = true;
    opt.precision = precision;
    if (!fix_file(s, &opt, 5000, count, true, &out, &err))
        fail_msg("%s", err.text);
}

static void write_file(const fix_sweep *s, const char *path, uint64_t count) {
    write_rounded(s, path, count, RES_PRECISION_f64);
}

static res_file *open_file(const char *path) {
    aic_error err = {0};
    res_file *f = res_open(path, &err);
    if (!f)
        fail_msg("%s", err.text);
    return f;
}

/* ---- round trip -------------------------------------------------------------------------------------- */

static bool same_real(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void check_point(const res_window *w, size_t i, const srv_point *p) {
    for (size_t c = 0; c < res_column_count(); c++) {
        const res_column *column = res_column_at(c);
        if (column->of_deployment || column->type == RES_POINT)
            continue;
        aic_value v = res_window_value(w, i, (int)c);
        const char *at = (const char *)p + column->offset;
        double real;
        uint32_t integer;
        memcpy(&real, at, sizeof real);
        memcpy(&integer, at, sizeof integer);
        if (column->type == RES_F64)
            assert_true(v.type == AIC_V_NULL ? isnan(real) : same_real(v.u.r, real));
        else if (column->type == RES_U32)
            assert_int_equal(v.u.i, integer);
        else if (res_is_enum(column->type))
            assert_string_equal(v.u.s, res_enum_text(column->type, integer));
        else if (p->reason)
            assert_string_equal(v.u.s, p->reason);
        else
            assert_int_equal(v.type, AIC_V_NULL);
    }
}

static bool stored_as(double stored, double v, bool rounded) {
    return stored == (rounded ? (double)(float)v : v) && fabs(stored - v) <= 0x1p-24 * fabs(v);
}

static void check_rows(const res_window *w, bool rounded, uint64_t point, size_t i, const srv_deployment *d,
                       size_t n, const double *latency, const double *energy, const uint8_t *source) {
    const res_op_row *rows;
    assert_int_equal(res_window_rows(w, i, &rows), n);
    for (size_t r = 0; r < n; r++) {
        assert_string_equal(rows[r].name, d->rows[r].name);
        assert_string_equal(rows[r].kind, d->rows[r].kind);
        assert_true(rows[r].phase == d->rows[r].phase);
        assert_true(rows[r].repeat == d->rows[r].repeat);
        assert_true(stored_as(rows[r].latency, latency[r], rounded));
        assert_true(stored_as(rows[r].energy, energy[r], rounded));
        assert_int_equal(rows[r].source, source[r]);
        assert_int_equal(rows[r].tier, srv_basis_tier(fix_basis(point, r)));
        assert_int_equal(rows[r].carried, srv_basis_carried(fix_basis(point, r)));
    }
}

static void check_all(const fix_sweep *s, res_file *f, size_t step) {
    bool rounded = res_attribute(f, "breakdown_precision") != NULL;
    aic_error err = {0};
    int columns[128];
    size_t n_columns = res_column_count();
    for (size_t c = 0; c < n_columns; c++)
        columns[c] = (int)c;
    res_window *w = res_window_new(f);
    for (uint64_t first = 0, n; first < res_count(f); first += n) {
        n = res_count(f) - first < step ? res_count(f) - first : step;
        assert_true(res_window_load(w, first, (size_t)n, columns, n_columns, true, &err));
        for (size_t i = 0; i < n; i++) {
            srv_point p;
            double latency[FIX_ROWS], energy[FIX_ROWS];
            uint8_t source[FIX_ROWS];
            const srv_deployment *d = &s->deployments[(first + i) / FIX_WORKLOADS];
            uint32_t rows = fix_point(s, first + i, &p, latency, energy, source);
            assert_int_equal(res_window_value(w, i, res_column_find("point")).u.i, first + i);
            assert_string_equal(res_window_value(w, i, res_column_find("model")).u.s, d->request.model);
            assert_int_equal(res_window_value(w, i, res_column_find("tp")).u.i, d->request.par.tp);
            check_point(w, i, &p);
            check_rows(w, rounded, first + i, i, d, rows, latency, energy, source);
        }
    }
    res_window_free(w);
}

static void test_what_was_written_comes_back(void **state) {
    (void)state;
    fix_sweep *s = fix_new(60);
    write_file(s, path_of("a.h5"), fix_count(s));
    res_file *f = open_file(path_of("a.h5"));
    assert_int_equal(res_count(f), fix_count(s));
    assert_true(res_complete(f));
    assert_string_equal(res_spec_text(f), "models: [a, b]\n");
    assert_string_equal(res_attribute(f, "spec_name"), "sweeps/test.yaml");
    assert_string_equal(res_attribute(f, "databases"), "h200_sxm 0.12.0 0123456789abcdef");
    assert_int_equal(strlen(res_attribute(f, "content_sha256")), 64);
    assert_null(res_attribute(f, "nonsense"));
    check_all(s, f, 16384);
    check_all(s, f, 777);
    res_close(f);
    fix_free(s);
}

static void test_rounded_rows_come_back(void **state) {
    (void)state;
    fix_sweep *s = fix_new(60);
    write_rounded(s, path_of("r.h5"), fix_count(s), RES_PRECISION_f32);
    res_file *f = open_file(path_of("r.h5"));
    assert_string_equal(res_attribute(f, "breakdown_precision"), "f32");
    assert_string_equal(res_attribute(f, "options"), "breakdown f32");
    check_all(s, f, 16384);
    check_all(s, f, 777);
    res_close(f);
    fix_free(s);
}

static void test_reasons(void **state) {
    (void)state;
    fix_sweep *s = fix_new(40);
    write_file(s, path_of("a.h5"), fix_count(s));
    res_file *f = open_file(path_of("a.h5"));
    const res_reason *list;
    uint64_t counted = 0, refused = 0;
    size_t n = res_reasons(f, &list);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        counted += list[i].count;
    for (uint64_t k = 0; k < fix_count(s); k++) {
        srv_point p;
        double latency[FIX_ROWS], energy[FIX_ROWS];
        uint8_t source[FIX_ROWS];
        fix_point(s, k, &p, latency, energy, source);
        refused += p.status != SRV_ST_ok;
        for (size_t i = 0; i < n && p.reason; i++)
            if (list[i].status == p.status && strcmp(list[i].text, p.reason) == 0) {
                assert_true(list[i].example <= k);
                break;
            }
    }
    assert_int_equal(counted, refused);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    aic_error err = {0};
    assert_true(res_report(f, out, &err));
    fclose(out);
    assert_non_null(strstr(text, "12800 points, 40 deployments"));
    assert_non_null(strstr(
        text,
        "missing: op moe: table moe_perf has no rows for \"w4afp8\" (deployment 16) (first: point 5120)"));
    free(text);
    res_close(f);
    fix_free(s);
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_requests_come_back(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(20);
    s->deployments[2].request.options = (srv_options){.attention_backend = "flashinfer",
                                                      .moe_backend = "megamoe",
                                                      .distribution = "power_law_1.2",
                                                      .eplb = 1,
                                                      .slots = 288,
                                                      .sms = 24,
                                                      .layers = 3};
    s->deployments[2].request.transfer_policy = "xshape,xquant";
    s->deployments[2].request.nextn = 2;
    s->deployments[2].request.nextn_accepted = 0.7;
    s->deployments[2].request.max_seq_len = 4096;
    write_file(s, path_of("a.h5"), fix_count(s));
    res_file *f = open_file(path_of("a.h5"));
    for (size_t d = 0; d < 20; d++) {
        srv_request r;
        const srv_request *asked = &s->deployments[d].request;
        srv_workload load, expected = fix_workload(d * 7);
        assert_true(res_point_request(f, d * FIX_WORKLOADS + d * 7, &r, &load, &err));
        assert_memory_equal(&load, &expected, sizeof load);
        assert_string_equal(r.model, asked->model);
        assert_string_equal(r.version, asked->version);
        assert_int_equal(r.mode, asked->mode);
        assert_int_equal(r.database_mode, asked->database_mode);
        assert_memory_equal(&r.par, &asked->par, sizeof r.par);
        assert_memory_equal(&r.quants, &asked->quants, sizeof r.quants); /* inferred ones are not fixed */
        assert_int_equal(r.nextn, asked->nextn);
        assert_true(same_real(r.nextn_accepted, asked->nextn_accepted));
        assert_true(same_real(r.free_gpu_memory_fraction, asked->free_gpu_memory_fraction));
        assert_int_equal(r.max_seq_len, asked->max_seq_len);
        assert_true(asked->transfer_policy ? strcmp(r.transfer_policy, "xshape,xquant") == 0
                                           : !r.transfer_policy);
        const srv_options *o = &asked->options;
        assert_true(same_text(r.options.attention_backend, o->attention_backend));
        assert_true(same_text(r.options.moe_backend, o->moe_backend));
        assert_true(same_text(r.options.distribution, o->distribution));
        assert_int_equal(r.options.eplb, o->eplb);
        assert_int_equal(r.options.slots, o->slots);
        assert_int_equal(r.options.sms, o->sms);
        assert_int_equal(r.options.layers, o->layers);
    }
    srv_request r;
    srv_workload load;
    assert_false(res_point_request(f, fix_count(s), &r, &load, &err));
    assert_non_null(strstr(err.text, "6400 points"));
    res_close(f);
    fix_free(s);
}

static void test_long_spec(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(1);
    size_t len = 300000;
    char *text = aic_alloc(len + 1, 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i * i % 23);
    text[len] = '\0';
    res_origin origin = fix_origin(s);
    origin.spec_text = text;
    res_writer_options opt = fix_options(path_of("a.h5"));
    opt.checkpoint_s = 0; /* the spec goes to the assembled file, too */
    res_writer *w = res_writer_open(&opt, &origin, &err);
    res_summary out;
    assert_non_null(w);
    assert_true(res_writer_deployment(w, 0, &s->deployments[0], &err) && fix_write(s, w, 0, 100, &err));
    assert_true(res_writer_finish(w, true, &out, &err));
    res_file *f = open_file(path_of("a.h5"));
    assert_string_equal(res_spec_text(f), text);
    res_close(f);
    free(text);
    fix_free(s);
}

/* ---- damaged files
 * ------------------------------------------------------------------------------------------ */

/* Everything a file says, or NULL when it is refused. */
static char *everything(const char *path) {
    aic_error err = {0};
    res_file *f = res_open(path, &err);
    char *text = NULL;
    size_t len;
    if (f) {
        FILE *out = open_memstream(&text, &len);
        res_export_options opt = {.format = "jsonl", .breakdown = true};
        bool ok = res_report(f, out, &err) && res_export(f, &opt, out, &err);
        fclose(out);
        res_close(f);
        if (ok)
            return text;
        free(text);
    }
    assert_true(err.code == AIC_BAD_INPUT || err.code == AIC_IO);
    assert_true(strstr(err.text, path) != NULL);
    return NULL;
}

static void put_file(const char *path, const char *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void test_edited_files_are_refused(void **state) {
    (void)state;
    aic_error err = {0};
    fix_sweep *s = fix_new(2);
    write_file(s, path_of("a.h5"), 400);
    hid_t f = H5Fopen(path_of("a.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(f >= 0 && H5Adelete(f, "overrides") >= 0 && H5Fclose(f) >= 0);
    assert_null(res_open(path_of("a.h5"), &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "the seal at its end is missing"));
    fix_free(s);
}

static void test_truncation_and_bit_flips(void **state) {
    (void)state;
    fix_sweep *s = fix_new(2);
    aic_buf good = {0};
    char why[256];
    const char *path = path_of("bad.h5");
    char name[300];
    snprintf(name, sizeof name, "%s", path);
    write_file(s, name, 400);
    char *expected = everything(name);
    assert_non_null(expected);
    assert_true(aic_read_file(name, SIZE_MAX / 2, &good, why, sizeof why));
    for (size_t i = 0; i < 300; i++) {
        size_t cut = i < 100 ? i * 11 : good.len * (i - 100) / 200;
        put_file(name, good.data, cut);
        assert_null(everything(name));
    }
    size_t refused = 0;
    for (size_t i = 0; i < 1200; i++) {
        size_t at = (size_t)(fix_random(i) * (double)good.len);
        char old = good.data[at];
        good.data[at] = (char)(old ^ (1 << (i % 8)));
        put_file(name, good.data, good.len);
        char *text = everything(name);
        if (text)
            assert_string_equal(text, expected); /* the bit says nothing that is read */
        refused += text == NULL;
        free(text);
        good.data[at] = old;
    }
    assert_true(refused > 400);
    free(expected);
    aic_buf_free(&good);
    fix_free(s);
}

static void test_foreign_files(void **state) {
    (void)state;
    aic_error err = {0};
    assert_null(res_open(path_of("none.h5"), &err));
    assert_int_equal(err.code, AIC_IO);
    put_file(path_of("text.h5"), "hello", 5);
    assert_null(res_open(path_of("text.h5"), &err));
    assert_int_equal(err.code, AIC_BAD_INPUT);
    assert_non_null(strstr(err.text, "not a result file"));
    assert_null(res_open(folder, &err));
    hid_t f = H5Fcreate(path_of("other.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(f);
    assert_null(res_open(path_of("other.h5"), &err));
    assert_non_null(strstr(err.text, "not a result file of this program"));
}

/* ---- files that are valid HDF5 and wrong ------------------------------------------------------------------
 */

static hid_t edit(const fix_sweep *s) {
    write_file(s, path_of("edit.h5"), 400);
    hid_t f = H5Fopen(path_of("edit.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(f >= 0);
    return f;
}

static void assert_refused(hid_t f, const char *what) {
    aic_error err = {0};
    assert_true(H5Fclose(f) >= 0); /* cuts the seal off */
    assert_null(res_open(path_of("edit.h5"), &err));
    const res_beside nothing = {NULL, NULL};
    assert_true(
        res_seal_put(path_of("edit.h5"), NULL, 0, 1, &nothing, &err)); /* as somebody would who means harm */
    err = (aic_error){0};
    res_file *file = res_open(path_of("edit.h5"), &err);
    if (file) { /* what points say is checked when they are read */
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        res_export_options opt = {.format = "csv", .breakdown = true};
        assert_false(res_export(file, &opt, out, &err));
        fclose(out);
        free(text);
        res_close(file);
    }
    assert_int_equal(err.code, AIC_BAD_INPUT);
    if (!strstr(err.text, what))
        fail_msg("expected '%s' in: %s", what, err.text);
}

static void set_attribute(hid_t f, const char *name, uint64_t v) {
    hid_t a = H5Aopen(f, name, H5P_DEFAULT);
    assert_true(H5Awrite(a, H5T_NATIVE_UINT64, &v) >= 0);
    H5Aclose(a);
}

/* Sets one value of a dataset, converting from an integer (H5Dwrite does not convert to enumerations). */
static void set_value(hid_t f, const char *path, hsize_t row, uint64_t v) {
    hid_t d = H5Dopen2(f, path, H5P_DEFAULT), space = H5Dget_space(d), type = H5Dget_type(d);
    hsize_t one = 1;
    hid_t memory = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &row, NULL, &one, NULL);
    assert_true(H5Dwrite(d, type, memory, space, H5P_DEFAULT, &v) >=
                0); /* little-endian: the low bytes count */
    H5Tclose(type);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(d);
}

static void test_wrong_values(void **state) {
    (void)state;
    static const struct {
        const char *path;
        hsize_t row;
        uint64_t value;
        const char *what;
    } cases[] = {
        {"/points/status", 5, 200, "/points/status: a value beyond"},
        {"/points/reason", 5, 77, "/points/reason: a value beyond"},
        {"/points/deployment", 399, 2, "/points/deployment: a value beyond"},
        {"/points/breakdown_first", 7, 1, "/points/breakdown_first: rows that are not the point's"},
        {"/points/breakdown_first", 399, UINT64_MAX, "last point"},
        {"/points/breakdown_rows", 7, 65535, "/points/breakdown_first: rows that are not the point's"},
        {"/points/breakdown_rows", 399, 7, "last point"},
        {"/breakdown/source", 100, 9, "/breakdown/source"},
        {"/breakdown/tier", 1000, OP_TIER_COUNT, "/breakdown/tier"},
        {"/breakdown/carried", 1000, SRV_CARRIED_COUNT, "/breakdown/carried"},
        {"/deployments/model", 1, 9, "/deployments/model: a value beyond"},
        {"/deployments/gemm_quant_origin", 1, 2, "/deployments/gemm_quant_origin"},
        {"/deployments/first_op", 1, UINT64_MAX - 3, "/deployments/first_op"},
        {"/deployments/op_count", 0, 70000, "/deployments/first_op"},
        {"/deployments/refusal", 0, 1, "/deployments/refusal"},
        {"/ops/name", 0, 1000, "/ops/name"},
        {"/ops/kind", 0, 1000, "/ops/kind"},
        {"/ops/phase", 0, 3, "/ops/phase"},
        {"/reasons/status", 0, 9, "/reasons"},
        {"/reasons/example", 0, 400, "/reasons"},
        {"/reasons/count", 0, 401, "/reasons"},
    };
    fix_sweep *s = fix_new(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hid_t f = edit(s);
        set_value(f, cases[i].path, cases[i].row, cases[i].value);
        assert_refused(f, cases[i].what);
    }
    fix_free(s);
}

static void replace_dataset(hid_t f, const char *path, hid_t type, hsize_t rows, hsize_t chunk,
                            bool deflate) {
    assert_true(H5Ldelete(f, path, H5P_DEFAULT) >= 0);
    hsize_t unlimited = H5S_UNLIMITED;
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &rows, chunk ? &unlimited : NULL);
    if (chunk)
        H5Pset_chunk(p, 1, &chunk);
    if (deflate) {
        H5Pset_shuffle(p);
        H5Pset_deflate(p, 1);
    }
    hid_t d = H5Dcreate2(f, path, type, space, H5P_DEFAULT, p, H5P_DEFAULT);
    assert_true(d >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(p);
}

static void put_text(hid_t f, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t a = H5Acreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(a >= 0 && H5Awrite(a, type, text) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

static void test_wrong_layouts(void **state) {
    (void)state;
    fix_sweep *s = fix_new(2);
    hid_t f = edit(s);
    set_attribute(f, "format_version", RES_FORMAT_VERSION + 1);
    assert_refused(f, "result format 3; this program reads format 2");
    f = edit(s);
    set_attribute(f, "points", UINT64_C(1) << 60);
    assert_refused(f, "not as many rows as the file says");
    f = edit(s);
    set_attribute(f, "breakdown_rows", 1);
    assert_refused(f, "not as many rows as the file says");
    f = edit(s);
    put_text(f, "breakdown_precision", "f32");
    assert_refused(f, "/breakdown/latency_ms: not of the type");
    f = edit(s);
    put_text(f, "breakdown_precision", "f16");
    assert_refused(f, "attribute breakdown_precision is missing or damaged");
    f = edit(s);
    H5Adelete(f, "spec_sha256");
    assert_refused(f, "attribute spec_sha256 is missing");
    f = edit(s);
    H5Ldelete(f, "/points/ttft_ms", H5P_DEFAULT);
    assert_refused(f, "/points/ttft_ms: missing");
    f = edit(s);
    H5Ldelete(f, "/points/ttft_ms", H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/", f, "/points/ttft_ms", H5P_DEFAULT, H5P_DEFAULT);
    assert_refused(f, "/points/ttft_ms: missing");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F32LE, 400, 16384, true);
    assert_refused(f, "/points/ttft_ms: not of the type");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F64LE, 400, 0, false);
    assert_refused(f, "/points/ttft_ms: not stored as");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F64LE, 400, 4096, true);
    assert_refused(f, "/points/ttft_ms: not stored as");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F64LE, 399, 16384, true);
    assert_refused(f, "/points/ttft_ms: not as many rows");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F64LE, (hsize_t)1 << 40, 16384, true);
    assert_refused(f, "/points/ttft_ms: more rows than the file can hold");
    f = edit(s);
    replace_dataset(f, "/points/ttft_ms", H5T_IEEE_F64LE, 400, 16384, true);
    assert_refused(f, "/points/ttft_ms: chunk 0 is missing");
    fix_free(s);
}

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
        TEST(test_what_was_written_comes_back),
        TEST(test_rounded_rows_come_back),
        TEST(test_reasons),
        TEST(test_requests_come_back),
        TEST(test_long_spec),
        TEST(test_foreign_files),
        TEST(test_edited_files_are_refused),
        TEST(test_truncation_and_bit_flips),
        TEST(test_wrong_values),
        TEST(test_wrong_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
