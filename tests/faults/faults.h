/* Fault campaigns: a run is made to fail in one place after another, continued with --resume, and what comes
 * out is compared with the file of a run nobody disturbed.
 *
 * Every run is a process of its own, forked from a parent that never starts a thread, so that it can be
 * killed anywhere. A fault is a plan that the process carries out on itself through the watchers of base/io
 * and base/mem.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "results/h5.h"
#include "sweep/sweep.h"

/* ---- what goes wrong (plan.c) ------------------------------------------------------------------------ */

typedef enum flt_action {
    FLT_NOTHING,
    FLT_KILL,      /* SIGKILL before the call */
    FLT_KILL_HALF, /* SIGKILL after half of the bytes of a write */
    FLT_FAIL,      /* the call fails with `why` */
    FLT_FAIL_ON,   /* and so do all calls after it that could need space */
    FLT_SHORT,     /* a write stops half way, once */
    FLT_LOSE,      /* power loss before the call: nothing unsynced reached the disk */
    FLT_LOSE_SOME, /* any of it may have, names in the order they changed */
    FLT_GARBLE,    /* names did, bytes are rubbish */
    FLT_NO_MEMORY  /* the n-th allocation fails */
} flt_action;

typedef struct flt_plan {
    flt_action action;
    uint64_t at;    /* number of the call it strikes, from 1; 0 = none */
    bool all_calls; /* count reads and locks, too */
    int why;        /* errno of FLT_FAIL and FLT_FAIL_ON */
    uint64_t seed;  /* of FLT_LOSE_SOME and FLT_GARBLE */
} flt_plan;

/* What a run tells its parent, in memory they share. */
typedef struct flt_told {
    uint64_t calls, changes, allocations; /* seen so far */
    uint64_t promised;                    /* points the journal has, synced */
    uint64_t resumed, points;
    bool struck;      /* the fault happened */
    aic_io_kind kind; /* of the call it struck */
    char path[256];   /* of that call, "" where it has none */
    int code;
    char text[AIC_ERROR_TEXT];
} flt_told;

/* Watches this process; the journal of the output is read after each sync of it. */
void flt_install(const flt_plan *plan, const char *journal, const char *stash, flt_told *told);

/* ---- power loss (loss.c): remembers what is not synced ----------------------------------------------- */

void flt_loss_start(const char *stash); /* a folder beside the output's for names to come back from */
void flt_loss_before(const aic_io_call *c);
void flt_loss_after(const aic_io_call *c, int64_t result);
void flt_loss_strike(flt_action how, uint64_t seed);

/* ---- runs (world.c) ---------------------------------------------------------------------------------- */

typedef struct flt_world flt_world;
/* A sweep made by hand for the writer alone, or a small real one with threads; data: the program's data
 * folder. */
flt_world *flt_world_new(const char *folder, bool real, const char *data);
void flt_world_free(flt_world *w);
uint64_t flt_world_points(const flt_world *w);
const char *flt_world_part(const flt_world *w); /* NAME.part */
/* One run with --resume; true when it ended by itself with exit code 0. */
bool flt_run(flt_world *w, const flt_plan *plan, flt_told *told);
/* Is the output there, equal to the undisturbed run's, and nothing else? Says what is not. */
bool flt_is_whole(const flt_world *w);
bool flt_is_whole_file(const flt_world *w); /* the output alone */
bool flt_output_exists(const flt_world *w);
void flt_clear(const flt_world *w); /* removes the output and all that belongs to it */

#endif
