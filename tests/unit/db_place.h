/* A folder with a tree of CSV files to import and the perfdb file they go to, for tests of the import. */
#ifndef TESTS_DB_PLACE_H
#define TESTS_DB_PLACE_H

#include "db_maker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct place {
    maker m;
    char tree[128], file[128];
} place;

static inline int set_up(void **state) {
    place *p = AIC_NEW(place);
    maker_start(&p->m);
    snprintf(p->tree, sizeof p->tree, "%s/tree", p->m.dir);
    snprintf(p->file, sizeof p->file, "%s/box.h5", p->m.release);
    mkdir(p->tree, 0700);
    aic_quiet(true);
    *state = p;
    return 0;
}

static inline int tear_down(void **state) {
    place *p = *state;
    maker_end(&p->m);
    free(p);
    return 0;
}

static inline void import_ok(place *p, pdb_import_summary *sum) {
    aic_error err;
    if (!db_import(p->tree, p->file, sum, &err))
        fail_msg("%s", err.text);
}

#endif
