/* links: ops. All reference answers about measured data: slots, opened versions, source lists, whole tables,
 * single rows; tables that ops merge from several files too.
 *
 *   parity_perfdb --data DIR --perfdb DIR FILE.jsonl.gz...    DIR of --data holds systems/
 */
#include "unit/merged_cases.h"

static int usage(const char *program) {
    fprintf(stderr, "usage: %s --data DIR --perfdb DIR FILE.jsonl.gz...\n", program);
    return AIC_BAD_INPUT;
}

static int report(const perfdb_cases *t) {
    const struct {
        const char *name;
        tally count;
    } all[] = {{"slots", t->slots},   {"get", t->get},       {"sources", t->sources},
               {"tables", t->tables}, {"absent", t->absent}, {"rows", t->rows}};
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        printf("%-8s %6zu compared, %zu differ\n", all[i].name, all[i].count.asked, all[i].count.wrong);
        wrong += all[i].count.wrong;
    }
    for (size_t i = 0; i < sizeof t->skips / sizeof *t->skips && t->skips[i].why; i++)
        printf("skipped  %6zu: %s\n", t->skips[i].n, t->skips[i].why);
    return wrong ? AIC_FINDING : AIC_OK;
}

int main(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[1], "--data") != 0 || strcmp(argv[3], "--perfdb") != 0)
        return usage(argv[0]);
    aic_error err = {0};
    perfdb_cases t = {
        .arena = aic_arena_new(), .more = op_tables, .n_more = OP_COUNT(op_tables), .load = load_op_table};
    const char *dirs[] = {argv[4]}, *sheets[] = {aic_arena_printf(t.arena, "%s/systems", argv[2])};
    t.db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    int code = t.db ? AIC_OK : AIC_IO;
    for (int i = 5; t.db && i < argc; i++)
        if (!json_lines(t.arena, argv[i], perfdb_case, &t)) {
            aic_fail(&err, AIC_IO, "%s: not readable as JSON lines", argv[i]);
            code = AIC_IO;
        }
    if (code != AIC_OK)
        fprintf(stderr, "%s\n", err.text);
    else
        code = report(&t);
    pdb_close(t.db);
    aic_arena_free(t.arena);
    return code;
}
