/* Fault campaigns over the writer and over whole sweeps; faults.h says how.
 *
 *   faults [--long] [--folder DIR] [--data DIR]
 *
 * The short form strikes at a sample of places and is part of the test suite, the long form at every one of
 * them. One line per campaign: faults injected, points lost, wrong points, runs that ended in a way they
 * should not have.
 */
#include "faults/faults.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct tally {
    uint64_t faults;   /* that happened */
    uint64_t survived; /* of them: the run went on to the end all the same */
    uint64_t lost;     /* points that were promised and not there afterwards */
    uint64_t wrong;    /* points of results that differ */
    uint64_t bad;      /* no message, a wrong exit code, a result that should not be, no way on */
} tally;

static bool all_good = true;

static void print(const char *what, const tally *t) {
    printf("%-58s %6llu faults, %6llu survived, points lost %llu, wrong points %llu, bad ends %llu\n", what,
           (unsigned long long)t->faults, (unsigned long long)t->survived, (unsigned long long)t->lost,
           (unsigned long long)t->wrong, (unsigned long long)t->bad);
    fflush(stdout);
    all_good = all_good && t->lost == 0 && t->wrong == 0 && t->bad == 0 && t->faults > 0;
}

/* told: of the run that was struck. */
static void complain(tally *t, const char *what, const flt_plan *p, const flt_told *told) {
    t->bad++;
    printf("    %s: action %d at %llu (%s %s), code %d: %s\n", what, (int)p->action,
           (unsigned long long)p->at, aic_io_kind_name(told->kind), told->path, told->code, told->text);
}

/* ---- one fault --------------------------------------------------------------------------------------- */

/* How a run may end that was struck: as killed, or with a message and exit code 3. */
static void check_end(tally *t, const flt_world *w, const flt_plan *p, const flt_told *told) {
    bool dies = p->action == FLT_KILL || p->action == FLT_KILL_HALF || p->action >= FLT_LOSE;
    if (p->action == FLT_NO_MEMORY)
        dies = false;
    if (dies ? told->code != -9 : told->code != AIC_IO || !told->text[0])
        complain(t, "unexpected end", p, told);
    if (flt_output_exists(w) && !flt_is_whole_file(w))
        complain(t, "a result that is not whole has its final name", p, told);
}

/* Goes on until done, without faults. */
static void recover(tally *t, flt_world *w, const flt_plan *p, uint64_t promised) {
    flt_told told;
    if (!flt_run(w, &(flt_plan){0}, &told)) {
        complain(t, "cannot go on", p, &told);
        return;
    }
    if (told.resumed < promised) {
        t->lost += promised - told.resumed;
        complain(t, "points lost", p, &told);
    }
    if (!flt_is_whole(w)) {
        t->wrong += flt_world_points(w);
        complain(t, "another result", p, &told);
    }
}

/* False when the run has no such call: the campaign is through. */
static bool try(tally *t, flt_world *w, const flt_plan *p) {
    flt_told told;
    bool done = flt_run(w, p, &told);
    if (told.struck) {
        t->faults++;
        t->survived += done;
        if (!done)
            check_end(t, w, p, &told);
        recover(t, w, p, told.promised);
    } else if (!done) {
        complain(t, "failed without a fault", p, &told);
    }
    flt_clear(w);
    return told.struck;
}

/* Two faults: the run that goes on is struck, too. */
static void try_twice(tally *t, flt_world *w, const flt_plan *first, const flt_plan *second) {
    flt_told a, b;
    if (!flt_run(w, first, &a) && a.struck) {
        t->faults++;
        flt_run(w, second, &b);
        t->faults += b.struck;
        recover(t, w, second, a.promised > b.promised ? a.promised : b.promised);
    }
    flt_clear(w);
}

/* ---- campaigns --------------------------------------------------------------------------------------- */

typedef struct campaign {
    flt_world *w;
    const char *name;
    uint64_t step; /* every step-th place */
} campaign;

static uint64_t count_calls(flt_world *w, const flt_plan *p) {
    flt_told told;
    flt_run(w, &(flt_plan){0}, &told);
    flt_clear(w);
    return p->action == FLT_NO_MEMORY ? told.allocations : p->all_calls ? told.calls : told.changes;
}

static void sweep_over(const campaign *c, const char *what, flt_plan p, uint64_t step) {
    tally t = {0};
    char title[128];
    uint64_t n = count_calls(c->w, &p);
    uint64_t first = p.seed % step;
    for (uint64_t at = 1 + first; at <= n; at += step) {
        p.at = at;
        p.seed = p.seed * 31 + at;
        try(&t, c->w, &p);
    }
    snprintf(title, sizeof title, "%s: %s", c->name, what);
    print(title, &t);
}

static void twice_over(const campaign *c, uint64_t rounds) {
    tally t = {0};
    char title[128];
    flt_plan a = {.action = FLT_KILL}, b = {.action = FLT_KILL};
    uint64_t n = count_calls(c->w, &a), state = 12345;
    for (uint64_t i = 0; i < rounds; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        a.at = 1 + (state >> 33) % n;
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        b.at = 1 + (state >> 33) % 60;
        b.action = i % 2 ? FLT_LOSE_SOME : FLT_KILL;
        b.seed = state;
        try_twice(&t, c->w, &a, &b);
    }
    snprintf(title, sizeof title, "%s: killed, then the resumed run struck", c->name);
    print(title, &t);
}

/* The journal of a run that died, cut at every length. */
static void cut_journal(const campaign *c, uint64_t step) {
    tally t = {0};
    char path[512], title[128];
    flt_plan p = {.action = FLT_KILL};
    flt_told told;
    p.at = count_calls(c->w, &p) * 3 / 4;
    snprintf(path, sizeof path, "%s/journal", flt_world_part(c->w));
    for (off_t length = 0;; length += (off_t)step) {
        struct stat st;
        flt_run(c->w, &p, &told);
        if (stat(path, &st) != 0 || length > st.st_size) {
            flt_clear(c->w);
            break;
        }
        if (truncate(path, length) != 0)
            abort();
        t.faults++;
        recover(&t, c->w, &p, length == st.st_size ? told.promised : 0);
        flt_clear(c->w);
    }
    snprintf(title, sizeof title, "%s: journal cut at a length", c->name);
    print(title, &t);
}

static void all_campaigns(const campaign *c) {
    uint64_t s = c->step;
    sweep_over(c, "killed before a call", (flt_plan){.action = FLT_KILL}, s);
    sweep_over(c, "killed half way through a write", (flt_plan){.action = FLT_KILL_HALF, .seed = 1}, s);
    sweep_over(c, "power loss, nothing unsynced kept", (flt_plan){.action = FLT_LOSE, .seed = 2}, s);
    sweep_over(c, "power loss, some of it kept", (flt_plan){.action = FLT_LOSE_SOME, .seed = 3}, s);
    sweep_over(c, "power loss, unsynced bytes garbled", (flt_plan){.action = FLT_GARBLE, .seed = 4}, s);
    sweep_over(c, "disk full from a call on", (flt_plan){.action = FLT_FAIL_ON, .why = ENOSPC, .seed = 5}, s);
    sweep_over(c, "input/output error of one call",
               (flt_plan){.action = FLT_FAIL, .why = EIO, .all_calls = true, .seed = 6}, s * 3);
    sweep_over(c, "read-only from a call on", (flt_plan){.action = FLT_FAIL_ON, .why = EROFS, .seed = 7}, s);
    sweep_over(c, "a write stops short", (flt_plan){.action = FLT_SHORT, .seed = 8}, s);
    cut_journal(c, s * 3);
}

static void make_folder(const char *base, char out[256]) {
    snprintf(out, 256, "%.200s/aicfg-faults-XXXXXX", base);
    if (!mkdtemp(out)) {
        perror(out);
        exit(1);
    }
}

/* every: places that are passed over between two faults, plus one; 1 = none. */
static void test_writer(const char *base, const char *data, uint64_t every) {
    char folder[256];
    make_folder(base, folder);
    campaign c = {flt_world_new(folder, false, data), "writer", every};
    all_campaigns(&c);
    sweep_over(&c, "an allocation fails", (flt_plan){.action = FLT_NO_MEMORY}, every);
    twice_over(&c, 300 / every + 1);
    flt_world_free(c.w);
}

/* Whole runs read spec, catalogue and database, with threads: slower, so fewer places. */
static void test_sweep(const char *base, const char *data, uint64_t every) {
    char folder[256];
    make_folder(base, folder);
    campaign c = {flt_world_new(folder, true, data), "sweep", every};
    sweep_over(&c, "killed before a call", (flt_plan){.action = FLT_KILL}, every * 5);
    sweep_over(&c, "power loss, some of it kept", (flt_plan){.action = FLT_LOSE_SOME, .seed = 3}, every * 10);
    sweep_over(&c, "disk full from a call on", (flt_plan){.action = FLT_FAIL_ON, .why = ENOSPC, .seed = 5},
               every * 10);
    sweep_over(&c, "input/output error of one call",
               (flt_plan){.action = FLT_FAIL, .why = EIO, .all_calls = true, .seed = 6}, every * 5);
    sweep_over(&c, "an allocation fails", (flt_plan){.action = FLT_NO_MEMORY}, every * 1000);
    flt_world_free(c.w);
}

int main(int argc, char **argv) {
    uint64_t every = 97;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", *data = AICFG_DATA_DIR;
    for (int i = 1; i < argc; i++)
        if (i + 1 < argc && strcmp(argv[i], "--every") == 0)
            every = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--folder") == 0)
            base = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--data") == 0)
            data = argv[++i];
        else
            every = 0;
    if (every == 0) {
        fprintf(stderr, "usage: faults [--every N] [--folder DIR] [--data DIR]\n");
        return 2;
    }
    test_writer(base, data, every);
    test_sweep(base, data, every);
    printf("%s\n", all_good ? "every fault was survived or named, and nothing was lost" : "FAILED");
    return all_good ? 0 : 1;
}
