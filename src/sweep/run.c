/* Running a sweep: workers claim blocks in order and evaluate them into slots of a ring, the writer takes the
 * slots in order.
 *
 * Invariants. A block has a number; block k lives in slot k mod ring size. A slot is written to by the worker
 * that claimed its block until it is marked full, and by nobody else until the writer has emptied it; so the
 * ring bounds memory, and the file is the same for any number of threads. The writer alone talks to results.
 */
#include "sweep/internal.h"
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_PER_THREAD = 4 };

typedef struct slot {
    swp_work work;
    bool full;
} slot;

typedef struct run {
    const swp_sweep *s;
    const swp_options *opt;
    swp_compiled *compiled;
    swp_pricing pricing;
    res_writer *writer; /* NULL: nothing is written */
    aic_progress *progress;
    swp_range range;  /* of points: the whole sweep or a shard */
    uint64_t resumed; /* points of an earlier run, which nobody evaluates */
    size_t block_points, n_slots;
    slot *slots;

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t filled, emptied;
    uint64_t next_point;     /* first point nobody has claimed */
    uint64_t claimed, taken; /* blocks claimed by workers, blocks the writer is done with */
    bool stop;               /* a failure or a signal: claim no more */
    unsigned working;        /* workers that may still claim */
    double evaluate_s, write_s;
    aic_error failure;
} run;

/* ---- workers
 * -------------------------------------------------------------------------------------------------------------
 */

static void fail(run *r, const aic_error *why) {
    pthread_mutex_lock(&r->lock);
    if (r->failure.code == AIC_OK)
        r->failure = *why;
    r->stop = true;
    pthread_cond_broadcast(&r->emptied);
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

/* Takes the next block: false when there is none left for this worker. */
static bool claim(run *r, uint64_t *number, uint64_t *first, size_t *n) {
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->next_point < r->range.end && r->claimed - r->taken == r->n_slots)
        pthread_cond_wait(&r->emptied, &r->lock);
    if (aic_interrupted())
        r->stop = true;
    bool got = !r->stop && r->next_point < r->range.end;
    if (got) {
        *number = r->claimed++;
        *first = r->next_point;
        uint64_t left = r->range.end - *first;
        *n = swp_block_size(r->s, *first, left < r->block_points ? (size_t)left : r->block_points);
        r->next_point += *n;
    }
    pthread_mutex_unlock(&r->lock);
    return got;
}

static void work(run *r) {
    uint64_t number, first;
    size_t n;
    double busy = 0;
    while (claim(r, &number, &first, &n)) {
        slot *slot = &r->slots[number % r->n_slots];
        aic_error why = {0};
        double start = aic_now();
        if (!swp_work_evaluate(&slot->work, &r->pricing, first, n, &why)) {
            fail(r, &why);
            break;
        }
        busy += aic_now() - start;
        pthread_mutex_lock(&r->lock);
        slot->full = true;
        pthread_cond_signal(&r->filled);
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_lock(&r->lock);
    r->evaluate_s += busy;
    r->working--;
    pthread_cond_broadcast(&r->filled);
    pthread_cond_broadcast(&r->emptied);
    pthread_mutex_unlock(&r->lock);
}

/* ---- the writer
 * --------------------------------------------------------------------------------------------------------------
 */

/* Rows that deployments got in the file, in the order of their first points there. In a file of the whole
 * sweep that is the order of their indices. */
typedef struct stored {
    uint32_t *row; /* by deployment; NO_ROW until it is stored */
    uint32_t n;
    uint32_t *of_points; /* of the block at hand */
    size_t cap;
} stored;
static const uint32_t NO_ROW = UINT32_MAX;

static stored stored_new(size_t n_deps) {
    stored d = {.row = aic_alloc(n_deps, sizeof *d.row)};
    for (size_t i = 0; i < n_deps; i++)
        d.row[i] = NO_ROW;
    return d;
}

/* Those of n points from `first` on, which an earlier run stored. */
static void stored_before(stored *d, const swp_sweep *s, uint64_t first, uint64_t n) {
    for (uint64_t p = first; p < first + n;) {
        size_t dep = swp_dep_of(s, p);
        if (d->row[dep] == NO_ROW)
            d->row[dep] = d->n++;
        p = s->listed ? p + 1 : s->deps[dep + 1].first;
    }
}

static void stored_free(stored *d) {
    free(d->row);
    free(d->of_points);
}

static bool store_deployments(run *r, const swp_work *w, stored *known, aic_error *err) {
    if (w->n > known->cap) {
        known->cap = w->n;
        known->of_points = aic_realloc(known->of_points, known->cap, sizeof *known->of_points);
    }
    for (size_t i = 0; i < w->n; i++) {
        uint32_t dep = w->deps[i];
        if (known->row[dep] == NO_ROW) {
            const srv_deployment *d = swp_compiled_get(r->compiled, dep, err);
            if (!d || !res_writer_deployment(r->writer, dep, d, err))
                return false;
            known->row[dep] = known->n++;
        }
        known->of_points[i] = known->row[dep];
    }
    return true;
}

/* A table that could not be read refuses the points that need it, as one that is absent does. Those are no
 * results: nothing is kept of a block that ended behind such a failure. */
static bool data_was_read(aic_error *err) {
    int why = pdb_hdf5_read_error();
    return why == 0 || aic_fail(err, AIC_IO, "measured data cannot be read: %s", strerror(why));
}

static bool write_block(run *r, const swp_work *w, stored *known, aic_error *err) {
    if (!r->writer)
        return true;
    if (!data_was_read(err))
        return false;
    if (!store_deployments(r, w, known, err))
        return false;
    res_points p = {.n = w->n,
                    .deployment = known->of_points,
                    .points = w->points,
                    .rows = w->rows,
                    .n_rows = w->n_rows,
                    .latency = w->latency,
                    .energy = w->energy,
                    .source = w->source,
                    .basis = w->basis};
    return res_writer_points(r->writer, &p, err);
}

/* The next block in order once it is full; NULL when none will come. */
static slot *next_full(run *r) {
    pthread_mutex_lock(&r->lock);
    slot *slot = &r->slots[r->taken % r->n_slots];
    while (!slot->full && r->working > 0)
        pthread_cond_wait(&r->filled, &r->lock);
    bool full = slot->full && r->failure.code == AIC_OK;
    pthread_mutex_unlock(&r->lock);
    return full ? slot : NULL;
}

static void *write_blocks(void *arg) {
    run *r = arg;
    stored known = stored_new(r->s->n_deps);
    uint64_t done = r->resumed, refused = 0, by_status[SRV_STATUS_COUNT];
    slot *slot;
    if (r->resumed) {
        size_t rows;
        res_writer_resumed(r->writer, &rows, by_status);
        stored_before(&known, r->s, r->range.first, r->resumed);
        if (known.n != rows && r->range.first + r->resumed < r->range.end) {
            aic_error why;
            aic_fail(&why, AIC_IO, "what the earlier run left holds %zu deployments, its points use %u", rows,
                     known.n);
            fail(r, &why);
        }
        refused = done - by_status[SRV_ST_ok];
        aic_progress_update(r->progress, done, refused);
    }
    while ((slot = next_full(r))) {
        aic_error why = {0};
        double start = aic_now();
        if (!write_block(r, &slot->work, &known, &why)) {
            fail(r, &why);
            break;
        }
        r->write_s += aic_now() - start; /* read only after this thread has ended */
        for (size_t i = 0; i < slot->work.n; i++)
            refused += slot->work.points[i].status != SRV_ST_ok;
        done += slot->work.n;
        swp_work_done(&slot->work, r->compiled);
        aic_progress_update(r->progress, done, refused);
        pthread_mutex_lock(&r->lock);
        slot->full = false;
        r->taken++;
        pthread_cond_broadcast(&r->emptied);
        pthread_mutex_unlock(&r->lock);
    }
    stored_free(&known);
    return NULL;
}

/* ---- setting up
 * ------------------------------------------------------------------------------------------------------------------
 */

static unsigned thread_count(unsigned asked) {
    int n = asked ? (int)asked : omp_get_max_threads();
    return n < 1 ? 1 : (unsigned)n;
}

/* "h200_sxm 0.12.0 <digest>" for every system of the sweep that has measured tables, in order of first use;
 * then " measured as <system>" where they are another system's. */
static size_t database_lines(const swp_sweep *s, const srv_env *env, aic_arena *a, const char ***lines) {
    aic_intern *pairs = aic_intern_new(), *found = aic_intern_new();
    aic_buf text = {0};
    for (size_t i = 0; i < s->n_deps; i++) {
        srv_request q;
        swp_request_at(s, i, &q);
        size_t before = aic_intern_count(pairs);
        aic_buf_clear(&text);
        aic_buf_printf(&text, "%s %s %s", q.system, q.backend, q.version ? q.version : "");
        aic_intern_add(pairs, text.data, text.len);
        if (aic_intern_count(pairs) == before)
            continue;
        const pdb_view *v =
            pdb_view_get(env->db, q.system, q.backend, q.version, true, env->allow_unlisted, NULL);
        if (!v || !v->digest)
            continue;
        aic_buf_clear(&text);
        aic_buf_printf(&text, "%s %s %s", v->system->name, v->release ? v->release : "?", v->digest);
        if (strcmp(v->measured, v->system->name) != 0)
            aic_buf_printf(&text, " measured as %s", v->measured);
        aic_intern_add(found, text.data, text.len);
    }
    size_t n = aic_intern_count(found) - 1; /* id 0 is the empty string */
    *lines = aic_arena_alloc(a, n, sizeof **lines);
    for (size_t j = 0; j < n; j++)
        (*lines)[j] = aic_arena_strdup(a, aic_intern_text(found, (uint32_t)j + 1));
    aic_buf_free(&text);
    aic_intern_free(pairs);
    aic_intern_free(found);
    return n;
}

/* Opens the output unless it is there already, made from the same inputs. */
static bool open_writer(run *r, const srv_env *env, unsigned threads, bool *same, res_summary *out,
                        aic_error *err) {
    const swp_sweep *s = r->s;
    const swp_options *opt = r->opt;
    aic_arena *a = aic_arena_new();
    aic_buf data = {0};
    const char **databases;
    size_t n = database_lines(s, env, a, &databases);
    swp_data_lines(s, env, opt->data, &data);
    res_origin origin = {.spec_text = s->text,
                         .spec_name = s->name,
                         .overrides = opt->overrides ? opt->overrides : "",
                         .command_line = opt->command_line ? opt->command_line : "",
                         .databases = databases,
                         .n_databases = n,
                         .total_points = s->points,
                         .shard = opt->shard.index,
                         .shards = opt->shard.count,
                         .first_point = r->range.first,
                         .threads = threads,
                         .program = opt->program,
                         .build = srv_figures_digest(),
                         .data = data.data,
                         .unlisted = env->allow_unlisted};
    bool ok = res_rerun_check(&opt->out, &origin, same, out, err) &&
              (*same || (r->writer = res_writer_open(&opt->out, &origin, err)));
    aic_buf_free(&data);
    aic_arena_free(a);
    return ok;
}

/* Goes on where an earlier run stopped. */
static void start_point(run *r) {
    size_t deployments;
    uint64_t by_status[SRV_STATUS_COUNT];
    r->resumed = res_writer_resumed(r->writer, &deployments, by_status);
    r->next_point += r->resumed;
    if (r->resumed && !r->opt->quiet)
        fprintf(stderr, "%llu of %llu points are there from an earlier run\n", (unsigned long long)r->resumed,
                (unsigned long long)(r->range.end - r->range.first));
}

static void run_threads(run *r, unsigned threads) {
    pthread_t writer;
    r->working = threads;
    if (pthread_create(&writer, NULL, write_blocks, r) != 0) {
        aic_fail(&r->failure, AIC_IO, "cannot start the writer thread");
        return;
    }
    /* The team may be smaller than asked for: every share of the work runs exactly once all the same. */
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (unsigned i = 0; i < threads; i++)
        work(r);
    pthread_join(writer, NULL);
}

/* Ends the file: whole, partial after a signal, or not at all after a failure. */
static bool finish(run *r, res_summary *out, aic_error *err) {
    int signal = aic_interrupted();
    bool complete = r->failure.code == AIC_OK && r->next_point == r->range.end;
    double start = aic_now();
    if (r->failure.code != AIC_OK) {
        if (r->writer)
            res_writer_abandon(r->writer);
        if (err)
            *err = r->failure;
        return false;
    }
    if (r->writer && !res_writer_finish(r->writer, complete, out, err))
        return false;
    r->write_s += aic_now() - start;
    return complete || aic_fail(err, (aic_code)signal, "interrupted after %llu of %llu points",
                                (unsigned long long)(r->next_point - r->range.first),
                                (unsigned long long)(r->range.end - r->range.first));
}

/* Opens the earlier result that points may be taken from. */
static bool open_pricing(run *r, aic_error *err) {
    r->pricing = (swp_pricing){.s = r->s,
                               .compiled = r->compiled,
                               .plain = r->opt->plain,
                               .breakdown = r->opt->discard || r->opt->out.breakdown};
    if (!r->opt->reuse)
        return true;
    r->pricing.old = res_reuse_open(r->opt->reuse, &r->opt->out, err);
    r->pricing.origin = aic_calloc(r->s->n_deps, sizeof *r->pricing.origin);
    return r->pricing.old != NULL;
}

static void close_pricing(run *r, swp_reused *out) {
    if (out) {
        *out = (swp_reused){.points = r->pricing.reused};
        for (size_t i = 0; r->pricing.origin && i < r->s->n_deps; i++) {
            out->deployments += r->pricing.origin[i] == SWP_REUSED;
            out->partly += r->pricing.origin[i] == (SWP_REUSED | SWP_EVALUATED);
        }
    }
    res_reuse_close(r->pricing.old);
    free(r->pricing.origin);
}

static void free_run(run *r) {
    for (size_t i = 0; i < r->n_slots; i++)
        swp_work_free(&r->slots[i].work);
    free(r->slots);
    swp_compiled_free(r->compiled);
}

bool swp_run(swp_sweep *s, const srv_env *env, const swp_options *opt, res_summary *out, aic_error *err) {
    unsigned threads = thread_count(opt->threads);
    double start = aic_now();
    run r = {.s = s,
             .opt = opt,
             .range = swp_shard_range(s, opt->shard),
             .block_points = opt->block_points ? opt->block_points : SWP_BLOCK_POINTS,
             .n_slots = (size_t)threads * SLOTS_PER_THREAD,
             .lock = PTHREAD_MUTEX_INITIALIZER,
             .filled = PTHREAD_COND_INITIALIZER,
             .emptied = PTHREAD_COND_INITIALIZER};
    r.slots = AIC_NEW_ARRAY(slot, r.n_slots);
    r.compiled = swp_compiled_new(s, env);
    bool same = false, ok = opt->discard || open_writer(&r, env, threads, &same, out, err);
    if (opt->up_to_date)
        *opt->up_to_date = same;
    if (ok && !same) {
        r.next_point = r.range.first;
        if (r.writer)
            start_point(&r);
        r.progress = aic_progress_start("points", r.range.end - r.range.first, opt->quiet);
        if (open_pricing(&r, &r.failure))
            run_threads(&r, threads);
        aic_progress_end(r.progress);
        ok = finish(&r, out, err);
    }
    double compile_s = swp_compiled_seconds(r.compiled);
    if (opt->timing)
        *opt->timing = (swp_timing){aic_now() - start, compile_s, r.evaluate_s - compile_s, r.write_s};
    close_pricing(&r, opt->reused);
    free_run(&r);
    return ok;
}
