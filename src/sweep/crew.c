/* The threads of a run. All do the same: whatever lies nearest to the file and nobody has taken on.
 *
 *   open the file                           once, beside the first blocks
 *   store or encode a stripe of rows        res_writer_work
 *   close a chunk file                      when it is time, with nothing on its way
 *   place the next block and fill its rows  one thread at a time, in point order
 *   claim the next block and evaluate it
 *
 * Invariants. A block has a number; block k lives in slot k mod ring size from the time it is claimed until
 * it is placed. Blocks are claimed and placed in order and evaluated and filled in any, so the file is the
 * same for any number of threads. The ring and the points under way bound memory. A thread without anything
 * to take on waits for news: whatever gives another thread something to do is news.
 */
#include "sweep/internal.h"
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCKS_EACH = 256, /* of the ring, per thread: blocks are small where deployments are */
    POINTS_EACH = 4,   /* blocks of full size whose points may be under way, per thread */
    /* Of the memory that the first thread needs, and each other one, so much is asked for in large pages.
     * More would gain little, and lose where a host gives them in small pieces: in a virtual machine that
     * gives free memory back, `estimate` took 12 ms with and 16 without run after run, but 30 to 48 and 16
     * seconds after the last program. So short commands do without. */
    FIRST_BYTES = 48 << 20,
    THREAD_BYTES = 28 << 20
};

typedef struct slot {
    swp_work *work;
    bool ready; /* evaluated */
} slot;

typedef struct crew {
    swp_job *job;
    size_t n_slots;
    uint64_t most_points;
    slot *slots;
    uint32_t *row; /* by deployment: its row in the file, NO_ROW until it is stored; the placing thread's */
    uint32_t n_rows;

    pthread_mutex_t lock; /* guards everything below, and what of the job changes */
    pthread_cond_t news;
    uint64_t told; /* news so far */
    unsigned waiting;
    bool opening, open; /* a thread opens the file, has opened it; before, nothing but blocks is taken on */
    uint64_t claimed, placed; /* blocks */
    uint64_t under_way;       /* points claimed and not filled */
    uint64_t filling;         /* blocks placed and not filled */
    bool stop;                /* a failure or a signal: claim no more */
    bool placing;             /* a thread places, or closes a chunk file */
    bool due;                 /* a chunk file is to be closed before more is placed */
    uint64_t done, refused;   /* points filled; of them not ok */
    swp_work **spare;         /* work that nobody uses */
    size_t n_spare, cap_spare;
} crew;
static const uint32_t NO_ROW = UINT32_MAX;

/* Seconds of one thread. */
typedef struct watch {
    double evaluate, write;
} watch;

static void tell(crew *c) { /* with the lock held */
    c->told++;
    if (c->waiting)
        pthread_cond_broadcast(&c->news);
}

static void fail(crew *c, const aic_error *why) {
    pthread_mutex_lock(&c->lock);
    if (c->job->failure.code == AIC_OK)
        c->job->failure = *why;
    c->stop = true;
    tell(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static bool open_file(crew *c, watch *t) {
    swp_job *job = c->job;
    aic_error why = {0};
    pthread_mutex_lock(&c->lock);
    bool mine = !c->opening;
    c->opening = true;
    pthread_mutex_unlock(&c->lock);
    if (!mine)
        return false;
    double start = aic_now();
    res_writer *w = res_writer_open(job->out, job->origin, &why);
    t->write += aic_now() - start;
    if (!w)
        fail(c, &why);
    pthread_mutex_lock(&c->lock);
    job->writer = w;
    c->open = true;
    tell(c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- storing and encoding ---------------------------------------------------------------------------- */

static bool press(crew *c, watch *t) {
    bool did;
    aic_error why = {0};
    double start = aic_now();
    if (!c->job->writer)
        return false;
    if (!res_writer_work(c->job->writer, &did, &why))
        fail(c, &why);
    if (!did)
        return false;
    t->write += aic_now() - start;
    pthread_mutex_lock(&c->lock);
    tell(c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- chunk files ------------------------------------------------------------------------------------- */

/* With the lock held and nobody placing. Time is no news: were it looked at once more before a block is
 * placed, it could turn from "not yet" to "due" in between, and the last thread awake would wait for nobody.
 * So what it said here stands. */
static void look_at_clock(crew *c) {
    c->due = c->due || (c->job->writer && res_writer_checkpoint_due(c->job->writer));
}

static bool checkpoint(crew *c, watch *t) {
    res_writer *w = c->job->writer;
    aic_error why = {0};
    if (!w)
        return false;
    pthread_mutex_lock(&c->lock);
    if (!c->placing)
        look_at_clock(c);
    bool mine =
        !c->placing && c->due && c->filling == 0 && c->job->failure.code == AIC_OK && res_writer_is_idle(w);
    c->placing = c->placing || mine;
    pthread_mutex_unlock(&c->lock);
    if (!mine)
        return false;
    double start = aic_now();
    if (!res_writer_checkpoint(w, &why))
        fail(c, &why);
    t->write += aic_now() - start;
    pthread_mutex_lock(&c->lock);
    c->placing = c->due = false;
    tell(c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- placing and filling ----------------------------------------------------------------------------- */

/* Replaces the deployments of the points by their rows in the file, which they get in the order of their
 * first points there. */
static bool store_deployments(crew *c, swp_work *w, aic_error *err) {
    for (size_t i = 0; i < (w->one ? 1 : w->n); i++) {
        uint32_t dep = w->deps[i];
        if (i > 0 && dep == w->deps[i - 1]) {
            w->stored[i] = w->stored[i - 1];
            continue;
        }
        if (c->row[dep] == NO_ROW) {
            const srv_deployment *d = swp_compiled_get(c->job->compiled, dep, err);
            if (!d || !res_writer_deployment(c->job->writer, dep, d, err))
                return false;
            c->row[dep] = c->n_rows++;
        }
        w->stored[i] = c->row[dep];
    }
    return true;
}

/* Those of the points that an earlier run stored. */
static bool stored_before(crew *c, aic_error *err) {
    const swp_job *job = c->job;
    const swp_sweep *s = job->s;
    size_t rows;
    uint64_t by_status[SRV_STATUS_COUNT];
    for (uint64_t p = job->range.first; p < job->range.first + job->resumed;) {
        size_t dep = swp_dep_of(s, p);
        if (c->row[dep] == NO_ROW)
            c->row[dep] = c->n_rows++;
        p = s->listed ? p + 1 : s->deps[dep + 1].first;
    }
    res_writer_resumed(job->writer, &rows, by_status);
    c->done = job->resumed;
    c->refused = c->done - by_status[SRV_ST_ok];
    return c->n_rows == rows || job->range.first + job->resumed == job->range.end ||
           aic_fail(err, AIC_IO, "what the earlier run left holds %zu deployments, its points use %u", rows,
                    c->n_rows);
}

/* Gives the points of a block their places in the file. A table that could not be read refuses the points
 * that need it, as one that is absent does. Those are no results: nothing is kept of a block that ended
 * behind such a failure. */
static bool place(crew *c, swp_work *w) {
    aic_error why = {0};
    if (pdb_data_was_read(&why) && store_deployments(c, w, &why)) {
        w->points.deployment = w->one ? NULL : w->stored;
        w->points.one_deployment = w->stored[0];
        if (res_writer_place(c->job->writer, &w->points, &w->place, &why))
            return true;
    }
    fail(c, &why);
    return false;
}

/* The next block, if it is ready and it is for this thread to place it. */
static swp_work *take_ready(crew *c) {
    res_writer *w = c->job->writer;
    swp_work *work = NULL;
    pthread_mutex_lock(&c->lock);
    slot *next = &c->slots[c->placed % c->n_slots];
    if (!c->placing && next->ready && c->job->failure.code == AIC_OK && !c->due &&
        (!w || res_writer_has_room(w))) {
        work = next->work;
        *next = (slot){0};
        c->placing = true;
    }
    pthread_mutex_unlock(&c->lock);
    return work;
}

static bool deliver(crew *c, watch *t) {
    swp_job *job = c->job;
    swp_work *w = take_ready(c);
    if (!w)
        return false;
    double start = aic_now();
    bool placed = job->writer && place(c, w);
    pthread_mutex_lock(&c->lock);
    c->placing = false;
    c->placed++;
    c->filling++;
    look_at_clock(c);
    tell(c);
    pthread_mutex_unlock(&c->lock);
    if (placed)
        res_writer_fill(job->writer, &w->points, &w->place);
    const uint64_t refused = w->n - srv_points_count(w->points.points, w->n, SRV_ST_ok);
    swp_work_done(w, job->compiled);
    t->write += aic_now() - start;
    pthread_mutex_lock(&c->lock);
    c->filling--;
    c->under_way -= w->n;
    c->done += w->n;
    c->refused += refused;
    aic_progress_update(job->progress, c->done, c->refused);
    AIC_GROW(c->spare, c->n_spare, c->cap_spare);
    c->spare[c->n_spare++] = w;
    tell(c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- evaluating -------------------------------------------------------------------------------------- */

/* The next block, unless there is none or as many points are under way as may be. */
static slot *claim(crew *c, uint64_t *first, size_t *n) {
    swp_job *job = c->job;
    slot *got = NULL;
    pthread_mutex_lock(&c->lock);
    if (aic_interrupted())
        c->stop = true;
    uint64_t left = job->range.end - job->next_point;
    if (!c->stop && left > 0 && c->claimed - c->placed < c->n_slots && c->under_way < c->most_points) {
        got = &c->slots[c->claimed++ % c->n_slots];
        *first = job->next_point;
        *n = swp_block_size(job->s, *first, left < job->block_points ? (size_t)left : job->block_points);
        job->next_point += *n;
        c->under_way += *n;
        got->work = c->n_spare ? c->spare[--c->n_spare] : NULL;
    }
    pthread_mutex_unlock(&c->lock);
    return got;
}

static bool evaluate(crew *c, watch *t) {
    uint64_t first;
    size_t n;
    aic_error why = {0};
    double start = aic_now();
    slot *slot = claim(c, &first, &n);
    if (!slot)
        return false;
    if (!slot->work)
        slot->work = AIC_NEW(swp_work);
    bool ok = swp_work_evaluate(slot->work, c->job->pricing, first, n, &why);
    t->evaluate += aic_now() - start;
    if (!ok) {
        fail(c, &why);
        return true;
    }
    pthread_mutex_lock(&c->lock);
    slot->ready = true;
    tell(c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- threads ----------------------------------------------------------------------------------------- */

static bool is_over(const crew *c) { /* with the lock held */
    const swp_job *job = c->job;
    if (job->failure.code != AIC_OK)
        return true;
    return c->open && (c->stop || job->next_point == job->range.end) && c->under_way == 0 &&
           (!job->writer || res_writer_is_idle(job->writer));
}

/* Waits for more news than `known`. False: nothing is left to do. */
static bool wait_for_news(crew *c, uint64_t known) {
    pthread_mutex_lock(&c->lock);
    bool over;
    c->waiting++;
    while (!(over = is_over(c)) && c->told == known)
        pthread_cond_wait(&c->news, &c->lock);
    c->waiting--;
    pthread_mutex_unlock(&c->lock);
    return !over;
}

/* False: something failed. */
static bool news_so_far(crew *c, uint64_t *known, bool *open) {
    pthread_mutex_lock(&c->lock);
    *known = c->told;
    *open = c->open;
    bool good = c->job->failure.code == AIC_OK;
    pthread_mutex_unlock(&c->lock);
    return good;
}

static bool take_on(crew *c, watch *t, bool open) {
    if (open ? press(c, t) || checkpoint(c, t) || deliver(c, t) : open_file(c, t))
        return true;
    return evaluate(c, t);
}

static void serve(crew *c) {
    watch t = {0};
    uint64_t known;
    bool open;
    aic_mem_expect(omp_get_thread_num() > 0 ? THREAD_BYTES : FIRST_BYTES);
    while (news_so_far(c, &known, &open) && (take_on(c, &t, open) || wait_for_news(c, known)))
        ;
    pthread_mutex_lock(&c->lock);
    c->job->evaluate_s += t.evaluate;
    c->job->write_s += t.write;
    tell(c);
    pthread_mutex_unlock(&c->lock);
}

static void free_crew(crew *c) {
    for (size_t i = 0; i < c->n_slots; i++)
        if (c->slots[i].work)
            swp_work_free(c->slots[i].work);
    for (size_t i = 0; i < c->n_spare; i++)
        swp_work_free(c->spare[i]);
    free(c->spare);
    free(c->slots);
    free(c->row);
    pthread_cond_destroy(&c->news);
    pthread_mutex_destroy(&c->lock);
}

void swp_job_run(swp_job *job) {
    unsigned threads = job->threads;
    crew c = {.job = job,
              .n_slots = aic_mul(threads, BLOCKS_EACH),
              .most_points = (uint64_t)threads * POINTS_EACH * job->block_points,
              .row = aic_alloc(job->s->n_deps, sizeof *c.row),
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .news = PTHREAD_COND_INITIALIZER,
              .opening = !job->origin,
              .open = !job->origin};
    c.slots = AIC_NEW_ARRAY(slot, c.n_slots);
    for (size_t i = 0; i < job->s->n_deps; i++)
        c.row[i] = NO_ROW;
    if (!job->resumed || stored_before(&c, &job->failure)) {
        aic_progress_update(job->progress, c.done, c.refused);
        /* The team may be smaller than asked for: each of its threads does all there is to do. */
#pragma omp parallel num_threads((int)threads)
        serve(&c);
    }
    free_crew(&c);
}
