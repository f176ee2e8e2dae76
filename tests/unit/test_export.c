/* links: results */
/* Exports: JSON lines and CSV hold what was written, bit for bit. */
#include "results/internal.h"
#include "unit/results_fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char folder[256], path[300];
static fix_sweep *sweep;
static res_file *file;

static char *export_text(const res_export_options *opt) {
    aic_error err = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!res_export(file, opt, out, &err))
        fail_msg("%s", err.text);
    fclose(out);
    return text;
}

static void check_number(const aic_node *n, double v) {
    assert_non_null(n);
    if (isnan(v))
        assert_int_equal(n->kind, AIC_K_NULL);
    else
        assert_true((n->kind == AIC_K_REAL || n->kind == AIC_K_INT) && n->r == v);
}

static void check_phase(const aic_node *list, const srv_deployment *d, srv_phase phase, size_t n, uint64_t k,
                        const double *latency, const double *energy, const uint8_t *source) {
    size_t at = 0;
    assert_int_equal(list->kind, AIC_K_LIST);
    for (size_t r = 0; r < n; r++) {
        if (d->rows[r].phase != phase)
            continue;
        const aic_node *op = list->items[at++];
        assert_int_equal(op->count, 6);
        assert_string_equal(op->items[0]->text, d->rows[r].name);
        check_number(op->items[1], latency[r]);
        check_number(op->items[2], energy[r]);
        assert_string_equal(op->items[3]->text, op_source_name((op_source)source[r]));
        assert_string_equal(op->items[4]->text, op_tier_name(srv_basis_tier(fix_basis(k, r))));
        assert_string_equal(op->items[5]->text, srv_carried_name(srv_basis_carried(fix_basis(k, r))));
    }
    assert_int_equal(list->count, at);
}

static void check_json_line(const aic_node *n, uint64_t k) {
    srv_point p;
    double latency[FIX_ROWS], energy[FIX_ROWS];
    uint8_t source[FIX_ROWS];
    const srv_deployment *d = &sweep->deployments[k / FIX_WORKLOADS];
    uint32_t rows = fix_point(sweep, k, &p, latency, energy, source);
    assert_int_equal(aic_map_get(n, "point")->i, k);
    assert_string_equal(aic_map_get(n, "model")->text, d->request.model);
    assert_string_equal(aic_map_get(n, "status")->text, srv_status_name(p.status));
    const aic_node *reason = aic_map_get(n, "reason");
    if (p.reason)
        assert_string_equal(reason->text, p.reason);
    else
        assert_int_equal(reason->kind, AIC_K_NULL);
    check_number(aic_map_get(n, "free_gpu_memory_fraction"), d->request.free_gpu_memory_fraction);
    for (size_t c = 0; c < res_column_count(); c++) {
        const res_column *column = res_column_at(c);
        assert_non_null(aic_map_get(n, column->name));
        if (column->of_deployment || column->type != RES_F64)
            continue;
        double v;
        memcpy(&v, (const char *)&p + column->offset, sizeof v);
        check_number(aic_map_get(n, column->name), v);
    }
    check_phase(aic_map_get(n, "context"), d, SRV_PH_context, rows, k, latency, energy, source);
    check_phase(aic_map_get(n, "generation"), d, SRV_PH_generation, rows, k, latency, energy, source);
}

static void test_json_lines_round_trip(void **state) {
    (void)state;
    char *text = export_text(&(res_export_options){.format = "jsonl", .breakdown = true});
    uint64_t k = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, k++) {
        aic_arena *a = aic_arena_new();
        aic_error err = {0};
        aic_node *n = aic_doc_json_text(a, "line", line, (size_t)(end - line), &err);
        if (!n)
            fail_msg("%s", err.text);
        check_json_line(n, k);
        aic_arena_free(a);
    }
    assert_int_equal(k, fix_count(sweep));
    free(text);
}

static void test_csv_round_trip(void **state) {
    (void)state;
    char name[300], **fields;
    aic_error err = {0};
    snprintf(name, sizeof name, "%s/a.csv", folder);
    FILE *out = fopen(name, "wb");
    assert_true(res_export(file, &(res_export_options){.format = "csv"}, out, &err));
    fclose(out);
    aic_csv *csv = aic_csv_open(name, &err);
    size_t n;
    assert_int_equal(aic_csv_next(csv, &fields, &n, &err), 1);
    assert_int_equal(n, res_column_count());
    for (size_t c = 0; c < n; c++)
        assert_string_equal(fields[c], res_column_at(c)->name);
    for (uint64_t k = 0; k < fix_count(sweep); k++) {
        srv_point p;
        double latency[FIX_ROWS], energy[FIX_ROWS];
        uint8_t source[FIX_ROWS];
        fix_point(sweep, k, &p, latency, energy, source);
        assert_int_equal(aic_csv_next(csv, &fields, &n, &err), 1);
        assert_int_equal(n, res_column_count());
        assert_int_equal(strtoull(fields[0], NULL, 10), k);
        assert_string_equal(fields[RES_C_reason], p.reason ? p.reason : "");
        assert_int_equal(strtoull(fields[RES_C_isl], NULL, 10), p.load.isl);
        if (isnan(p.tpot))
            assert_string_equal(fields[RES_C_tpot_ms], "");
        else
            assert_true(strtod(fields[RES_C_tpot_ms], NULL) == p.tpot);
    }
    assert_int_equal(aic_csv_next(csv, &fields, &n, &err), 0);
    aic_csv_close(csv);
}

static void test_csv_with_breakdown(void **state) {
    (void)state;
    char *text = export_text(&(res_export_options){
        .format = "csv", .breakdown = true, .columns = "point,status", .first = 95, .count = 2});
    size_t lines = 0;
    for (char *c = text; (c = strchr(c, '\n')); c++)
        lines++;
    assert_int_equal(lines, 1 + FIX_ROWS + 1); /* point 96 is invalid: one line without an op */
    const char *head = "point,status,phase,op,kind,repeat,latency_ms,energy_wms,source,tier,carried\n"
                       "95,ok,context,context_op_0,ContextAttention,1,";
    assert_true(strncmp(text, head, strlen(head)) == 0);
    assert_non_null(strstr(text, "\n96,invalid,,,,,,,,,\n"));
    free(text);
}

static void test_ranges_and_filters(void **state) {
    (void)state;
    char *text =
        export_text(&(res_export_options){.format = "csv", .columns = "point", .first = 100, .count = 3});
    assert_string_equal(text, "point\n100\n101\n102\n");
    free(text);
    text = export_text(&(res_export_options){
        .format = "jsonl", .columns = "batch,point", .where = "point >= 1270 and osl == 64", .count = 0});
    assert_string_equal(text, "{\"batch\":512,\"point\":1273}\n{\"batch\":512,\"point\":1277}\n");
    free(text);
    text = export_text(&(res_export_options){.format = "csv", .columns = "point", .first = fix_count(sweep)});
    assert_string_equal(text, "point\n");
    free(text);
}

static void test_mistakes(void **state) {
    (void)state;
    aic_error err = {0};
    assert_false(res_export(file, &(res_export_options){.format = "table"}, stderr, &err));
    assert_non_null(strstr(err.text, "expected csv or jsonl"));
    assert_false(res_export(file, &(res_export_options){.format = "csv", .columns = "nope"}, stderr, &err));
    assert_false(res_export(file, &(res_export_options){.format = "csv", .where = "nope"}, stderr, &err));
    assert_false(res_export(file, &(res_export_options){.format = "csv", .first = 5000}, stderr, &err));
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        setvbuf(full, NULL, _IONBF, 0);
        assert_false(res_export(file, &(res_export_options){.format = "csv"}, full, &err));
        assert_int_equal(err.code, AIC_IO);
        fclose(full);
    }
}

static void test_numbers(void **state) {
    (void)state;
    res_numbers *n = res_numbers_new();
    aic_buf b = {0};
    for (uint64_t i = 0; i < 60000; i++) {
        double v = (fix_random(i % 30000) - 0.5) * pow(10, (double)(i % 40) - 20);
        aic_buf_clear(&b);
        res_number_add(n, &b, v);
        assert_true(strtod(b.data, NULL) == v);
    }
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0, "0"},      {-0.0, "-0"}, {0.1, "0.1"}, {1e300, "1e+300"}, {5e-324, "4.94065645841247e-324"},
        {1024, "1024"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_buf_clear(&b);
        res_number_add(n, &b, cases[i].v);
        assert_string_equal(b.data, cases[i].text);
    }
    aic_buf_clear(&b);
    aic_value values[] = {aic_real(NAN), aic_real(INFINITY), AIC_NULL_VALUE, aic_int(INT64_MIN),
                          aic_str("a\"b\n")};
    for (size_t i = 0; i < 5; i++) {
        res_json_value(n, &b, &values[i]);
        aic_buf_add(&b, " ");
    }
    assert_string_equal(b.data, "null null null -9223372036854775808 \"a\\\"b\\n\" ");
    aic_buf_free(&b);
    res_numbers_free(n);
}

static int set_up(void **state) {
    (void)state;
    aic_error err = {0};
    res_summary out;
    fix_folder(folder);
    snprintf(path, sizeof path, "%s/a.h5", folder);
    sweep = fix_new(4);
    res_writer_options opt = fix_options(path);
    if (!fix_file(sweep, &opt, 500, fix_count(sweep), true, &out, &err) || !(file = res_open(path, &err)))
        fprintf(stderr, "%s\n", err.text);
    return file ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    char command[300];
    res_close(file);
    fix_free(sweep);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_lines_round_trip),
        cmocka_unit_test(test_csv_round_trip),
        cmocka_unit_test(test_csv_with_breakdown),
        cmocka_unit_test(test_ranges_and_filters),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
