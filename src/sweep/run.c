/* Running a sweep: sets up what the threads (crew.c) need, and ends the file. */
#include "sweep/internal.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    const swp_sweep *s;
    const swp_options *opt;
    swp_pricing pricing;
    swp_job job;
    res_origin origin; /* its texts: in the arena, in data, the sweep's */
    aic_arena *arena;
    aic_buf data;
} run;

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

static void free_origin(run *r) {
    aic_buf_free(&r->data);
    aic_arena_free(r->arena);
}

static void make_origin(run *r, const srv_env *env) {
    const swp_sweep *s = r->s;
    const swp_options *opt = r->opt;
    const char **databases;
    r->arena = aic_arena_new();
    size_t n = database_lines(s, env, r->arena, &databases);
    swp_data_lines(s, env, opt->data, &r->data);
    r->origin = (res_origin){.spec_text = s->text,
                             .spec_name = s->name,
                             .overrides = opt->overrides ? opt->overrides : "",
                             .command_line = opt->command_line ? opt->command_line : "",
                             .databases = databases,
                             .n_databases = n,
                             .total_points = s->points,
                             .shard = opt->shard.index,
                             .shards = opt->shard.count,
                             .first_point = r->job.range.first,
                             .threads = r->job.threads,
                             .program = opt->program,
                             .build = srv_figures_digest(),
                             .data = r->data.data,
                             .unlisted = env->allow_unlisted};
}

/* Opens the output unless it is there already, made from the same inputs. Where there is nothing to go on
 * with, the threads do that beside their first blocks. */
static bool open_writer(run *r, const srv_env *env, bool *same, res_summary *out, aic_error *err) {
    const res_writer_options *opt = &r->opt->out;
    make_origin(r, env);
    if (!res_rerun_check(opt, &r->origin, same, out, err))
        return false;
    if (*same)
        return true;
    if (opt->resume)
        return (r->job.writer = res_writer_open(opt, &r->origin, err)) != NULL;
    r->job.out = opt;
    r->job.origin = &r->origin;
    return true;
}

/* Goes on where an earlier run stopped. */
static void start_point(run *r) {
    size_t deployments;
    uint64_t by_status[SRV_STATUS_COUNT];
    r->job.resumed = res_writer_resumed(r->job.writer, &deployments, by_status);
    r->job.next_point += r->job.resumed;
    if (r->job.resumed && !r->opt->quiet)
        fprintf(stderr, "%llu of %llu points are there from an earlier run\n",
                (unsigned long long)r->job.resumed,
                (unsigned long long)(r->job.range.end - r->job.range.first));
}

/* Ends the file: whole, partial after a signal, or not at all after a failure. */
static bool finish(run *r, res_summary *out, aic_error *err) {
    int signal = aic_interrupted();
    bool complete = r->job.failure.code == AIC_OK && r->job.next_point == r->job.range.end;
    double start = aic_now();
    if (r->job.failure.code != AIC_OK) {
        if (r->job.writer)
            res_writer_abandon(r->job.writer);
        if (err)
            *err = r->job.failure;
        return false;
    }
    if (r->job.writer && !res_writer_finish(r->job.writer, complete, out, err))
        return false;
    r->job.write_s += aic_now() - start;
    return complete || aic_fail(err, (aic_code)signal, "interrupted after %llu of %llu points",
                                (unsigned long long)(r->job.next_point - r->job.range.first),
                                (unsigned long long)(r->job.range.end - r->job.range.first));
}

/* Opens the earlier result that points may be taken from. */
static bool open_pricing(run *r, aic_error *err) {
    r->pricing = (swp_pricing){.s = r->s,
                               .compiled = r->job.compiled,
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

bool swp_run(swp_sweep *s, const srv_env *env, const swp_options *opt, res_summary *out, aic_error *err) {
    double start = aic_now();
    run r = {.s = s, .opt = opt};
    swp_range range = swp_shard_range(s, opt->shard);
    r.job = (swp_job){.s = s,
                      .pricing = &r.pricing,
                      .compiled = swp_compiled_new(s, env, range.end),
                      .range = range,
                      .block_points = opt->block_points ? opt->block_points : SWP_BLOCK_POINTS,
                      .threads = thread_count(opt->threads)};
    bool same = false, ok = opt->discard || open_writer(&r, env, &same, out, err);
    if (opt->up_to_date)
        *opt->up_to_date = same;
    if (ok && !same) {
        r.job.next_point = r.job.range.first;
        if (r.job.writer)
            start_point(&r);
        r.job.progress = aic_progress_start("points", r.job.range.end - r.job.range.first, opt->quiet);
        if (open_pricing(&r, &r.job.failure))
            swp_job_run(&r.job);
        aic_progress_end(r.job.progress);
        ok = finish(&r, out, err);
    }
    double compile_s = swp_compiled_seconds(r.job.compiled);
    if (opt->timing)
        *opt->timing = (swp_timing){aic_now() - start,
                                    compile_s,
                                    r.job.evaluate_s - compile_s,
                                    r.job.write_s,
                                    r.job.writer && out ? out->store_s : 0,
                                    swp_compiled_answers(r.job.compiled)};
    close_pricing(&r, opt->reused);
    free_origin(&r);
    if (!opt->leave_memory)
        swp_compiled_free(r.job.compiled);
    return ok;
}
