/* Carries out a plan: counts calls and allocations and strikes at one of them. */
#include "faults/faults.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static flt_plan plan;
static flt_told *told;
static const char *journal;
static bool loses;
/* Calls of several threads are watched one at a time; the watcher's own calls are not watched. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside;
static bool kill_next; /* the write at hand is the last one */
static atomic_uint_fast64_t allocations;

static bool needs_space(const aic_io_call *c) {
    return c->kind == AIC_IO_write || c->kind == AIC_IO_mkdir || c->kind == AIC_IO_sync ||
           (c->kind == AIC_IO_open && (c->flags & O_CREAT));
}

static _Noreturn void die(void) {
    for (;;)
        kill(getpid(), SIGKILL);
}

static int strike(aic_io_call *c) {
    told->struck = true;
    told->kind = c->kind;
    snprintf(told->path, sizeof told->path, "%s", c->path ? c->path : "");
    switch (plan.action) {
    case FLT_KILL:
        die();
    case FLT_KILL_HALF:
        kill_next = true;
        c->size = c->size > 1 ? c->size / 2 : c->size;
        return 0;
    case FLT_FAIL:
    case FLT_FAIL_ON:
        return plan.why;
    case FLT_SHORT:
        c->size = c->kind == AIC_IO_write && c->size > 1 ? c->size / 2 : c->size;
        return 0;
    case FLT_LOSE:
    case FLT_LOSE_SOME:
    case FLT_GARBLE:
        flt_loss_strike(plan.action, plan.seed);
        die();
    default:
        return 0;
    }
}

static int decide(aic_io_call *c) {
    uint64_t n = ++told->calls;
    if (aic_io_kind_changes(c->kind))
        told->changes++;
    if (!plan.all_calls) {
        if (!aic_io_kind_changes(c->kind))
            return 0;
        n = told->changes;
    }
    if (plan.action == FLT_FAIL_ON)
        return n >= plan.at && needs_space(c) ? strike(c) : 0;
    return n == plan.at ? strike(c) : 0;
}

static int before(void *ctx, aic_io_call *c) {
    (void)ctx;
    if (inside)
        return 0;
    pthread_mutex_lock(&lock);
    inside = true;
    int why = decide(c);
    if (loses && why == 0)
        flt_loss_before(c);
    inside = false;
    pthread_mutex_unlock(&lock);
    return why;
}

/* Points whose journal line is on the disk. */
static void note_promise(int fd) {
    struct stat a, b;
    res_journal_head head;
    res_journal_chunk *chunks;
    size_t n, lost;
    if (fstat(fd, &a) != 0 || stat(journal, &b) != 0 || a.st_ino != b.st_ino)
        return;
    res_journal_read(journal, &head, &chunks, &n, &lost);
    told->promised = n ? chunks[n - 1].first_point + chunks[n - 1].points : 0;
    free(chunks);
}

static void after(void *ctx, const aic_io_call *c, int64_t result) {
    (void)ctx;
    if (inside)
        return;
    pthread_mutex_lock(&lock);
    inside = true;
    if (kill_next)
        die();
    if (loses)
        flt_loss_after(c, result);
    if (c->kind == AIC_IO_sync && result == 0)
        note_promise(c->fd);
    inside = false;
    pthread_mutex_unlock(&lock);
}

static bool may_allocate(size_t bytes) {
    (void)bytes;
    if (inside)
        return true;
    uint64_t n = atomic_fetch_add(&allocations, 1) + 1;
    told->allocations = n;
    if (plan.action != FLT_NO_MEMORY || n != plan.at)
        return true;
    told->struck = true;
    return false;
}

void flt_install(const flt_plan *p, const char *journal_path, const char *stash, flt_told *t) {
    static const aic_io_watch watch = {before, after, NULL};
    plan = *p;
    told = t;
    journal = journal_path;
    loses = p->action == FLT_LOSE || p->action == FLT_LOSE_SOME || p->action == FLT_GARBLE;
    if (loses)
        flt_loss_start(stash);
    aic_io_set_watch(&watch);
    aic_mem_set_watch(may_allocate);
}
