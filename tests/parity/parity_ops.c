/* links: ops
 * Compares single ops with the reference's answers: parity_ops --data DIR --perfdb DIR FILE.jsonl.gz...
 * DIR of --data holds systems/, DIR of --perfdb one or more releases. Exit code 1 when anything differs.
 */
#include "parity/golden_fpm.h"
#include "parity/golden_ops.h"

#include <stdlib.h>
#include <string.h>

static int usage(void) {
    fputs("usage: parity_ops --data DIR --perfdb DIR FILE.jsonl.gz...\n", stderr);
    return AIC_BAD_INPUT;
}

int main(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[1], "--data") != 0 || strcmp(argv[3], "--perfdb") != 0)
        return usage();
    aic_error err = {0};
    char systems[4096];
    snprintf(systems, sizeof systems, "%s/systems", argv[2]);
    const char *dirs[] = {argv[4]}, *sheets[] = {systems};
    pdb *db = pdb_open(dirs, 1, NULL, sheets, 1, &err);
    if (!db) {
        fprintf(stderr, "%s\n", err.text);
        return AIC_IO;
    }
    bool differs = false, readable = true;
    golden_report *report = AIC_NEW(golden_report);
    for (int i = 5; i < argc && readable; i++) {
        memset(report, 0, sizeof *report);
        readable = golden_fpm_holds(argv[i]) ? golden_fpm_run(argv[i], systems, "SILICON", report)
                                             : golden_ops_run(argv[i], db, report);
        printf("%s%s\n", argv[i], readable ? "" : ": cannot be read");
        golden_ops_print(report, stdout);
        differs = differs || report->different;
    }
    free(report);
    pdb_close(db);
    return !readable ? AIC_IO : differs ? AIC_FINDING : AIC_OK;
}
