/* links: ops. What perfdb knows of columns by their names agrees with what ops read. */
#include "ops/ops.h"
#include "perfdb/rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const pdb_schema *s, const char *column, pdb_cell_kind kind, pdb_role role) {
    const pdb_column_fact *f = pdb_column_fact_find(column);
    if (f && (f->kind != kind || f->role != role))
        fail_msg("table %s, column %s: facts.c says otherwise", s->table, column);
}

static void check_schema(const pdb_schema *s) {
    for (int i = 0; i < s->n_cats; i++)
        expect(s, s->cats[i].column, s->cats[i].text ? PDB_CELL_TEXT : PDB_CELL_INT, PDB_ROLE_KEY);
    for (int i = 0; i < s->n_axes; i++) {
        expect(s, s->axes[i].column, PDB_CELL_INT, PDB_ROLE_KEY);
        if (s->axes[i].plus)
            expect(s, s->axes[i].plus, PDB_CELL_INT, PDB_ROLE_KEY);
    }
    for (int i = 0; i < PDB_MAX_VALUES && s->value[i]; i++) {
        const pdb_column_fact *f = pdb_column_fact_find(s->value[i]);
        if (!f || f->kind != PDB_CELL_REAL || f->role != PDB_ROLE_VALUE)
            fail_msg("table %s, column %s: measured, and facts.c does not know", s->table, s->value[i]);
    }
}

static void test_columns_of_ops(void **state) {
    (void)state;
    size_t schemas = 0;
    for (size_t i = 0; i < op_desc_count(); i++)
        for (const pdb_schema *const *s = op_desc_at(i)->schemas; s && *s; s++) {
            check_schema(*s);
            schemas++;
        }
    assert_true(schemas > 10);
}

/* Every column of the embedded release has the kind that its name says, and every table its family. */
static void test_embedded_release(void **state) {
    (void)state;
    static const char path[] = AICFG_DATA_DIR "/perfdb/0.12.0/h200_sxm.h5";
    aic_error err = {0};
    pdb_file *f = pdb_file_open(path, &err);
    if (!f)
        skip();
    pdb_import_facts *facts = pdb_import_facts_load(AICFG_DATA_DIR "/import.yaml", &err);
    assert_non_null(facts);
    aic_arena *a = aic_arena_new();
    const char **groups, **columns;
    size_t n_groups, n_columns;
    assert_true(pdb_file_groups(f, a, &groups, &n_groups, &err));
    for (size_t i = 0; i < n_groups; i++) {
        pdb_group *g = pdb_group_open(f, groups[i], &err);
        char family[64];
        const char *table = aic_arena_strndup(a, groups[i] + 1, strcspn(groups[i] + 1, "/"));
        assert_true(pdb_group_attr(g, "family", family, sizeof family, &err));
        assert_string_equal(pdb_import_family(facts, table), family);
        assert_true(pdb_file_list(f, groups[i], a, &columns, &n_columns, &err));
        for (size_t k = 0; k < n_columns; k++) {
            pdb_cells c;
            const pdb_column_fact *fact = pdb_column_fact_find(columns[k]);
            if (!fact)
                fail_msg("%s: nothing is known of column %s", groups[i], columns[k]);
            if (strcmp(columns[k], "latency") != 0) /* the largest: its kind is checked by every load */
                continue;
            assert_true(pdb_group_read(g, columns[k], NULL, &c, &err));
            assert_int_equal(c.kind, fact->kind);
            pdb_cells_free(&c);
        }
        pdb_group_close(g);
    }
    pdb_import_facts_free(facts);
    aic_arena_free(a);
    pdb_file_close(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns_of_ops),
                                       cmocka_unit_test(test_embedded_release)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
