/* Compiled deployments of a running sweep: made on first use, shared by all threads, freed after their last
 * point. */
#include "sweep/internal.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    SHARED_BYTES = 96 << 20,
    AHEAD = 64,   /* deployments that wait for their turn, compiled before it */
    WINDOW = 1024 /* how far ahead they may stand */
};

typedef enum state { NEW, COMPILING, READY } state;

typedef struct entry {
    srv_deployment *d; /* READY: NULL when compiling failed */
    uint64_t left;     /* points not yet accounted for */
    uint8_t state;
    bool ahead; /* compiled before its turn, which has not come yet */
} entry;

struct swp_compiled {
    const swp_sweep *s;
    srv_env env;          /* with what its deployments share */
    pthread_mutex_t lock; /* guards entries, failure and seconds; never held while compiling */
    pthread_cond_t ready;
    entry *entries;
    size_t end;        /* no deployment from here on is compiled before its turn */
    size_t n_ahead;    /* of entries */
    aic_error failure; /* first broken file */
    double seconds;
};

swp_compiled *swp_compiled_new(const swp_sweep *s, const srv_env *env, uint64_t end) {
    swp_compiled *c = AIC_NEW(swp_compiled);
    c->s = s;
    /* Points of a list name their deployments in any order: there is nothing ahead. */
    c->end = s->listed || end == 0 ? 0 : swp_dep_of(s, end - 1) + 1;
    c->env = *env;
    c->env.answers = srv_answers_new(SRV_ANSWERS_BYTES);
    c->env.shared = srv_shared_new(SHARED_BYTES, s->n_deps);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->ready, NULL);
    c->entries = AIC_NEW_ARRAY(entry, s->n_deps);
    for (size_t i = 0; i < s->n_deps; i++)
        c->entries[i].left = swp_points_of(s, i);
    return c;
}

void swp_compiled_free(swp_compiled *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->s->n_deps; i++)
        srv_free(c->entries[i].d);
    srv_shared_free(c->env.shared);
    free(c->entries);
    srv_answers_free(c->env.answers);
    pthread_cond_destroy(&c->ready);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

srv_deployment *swp_compile(const swp_sweep *s, const srv_env *env, size_t dep, aic_error *err) {
    srv_request request;
    const char *refused = swp_refused_at(s, dep);
    swp_request_at(s, dep, &request);
    if (!refused) {
        srv_tuning tuning;
        srv_tuning_init(&tuning);
        tuning.to_first_gap = true;
        return srv_compile(env, &request, &tuning, err);
    }
    /* A row with an impossible value: the deployment exists to carry the reason. */
    aic_arena *arena = aic_arena_new();
    srv_deployment *d = aic_arena_alloc(arena, 1, sizeof *d);
    d->arena = arena;
    d->request = request;
    srv_tuning_init(&d->tuning);
    d->refused = SRV_ST_invalid;
    op_refuse(&d->why, OP_INVALID, "%s", refused);
    return d;
}

/* Compiles a deployment that is NEW. The lock is held, and released meanwhile. */
static void compile(swp_compiled *c, size_t dep) {
    entry *e = &c->entries[dep];
    aic_error why = {0};
    srv_request request;
    swp_request_at(c->s, dep, &request);
    const pdb_view *expected = srv_expect(&c->env, &request); /* threads begin with tables of their own */
    e->state = COMPILING;
    pthread_mutex_unlock(&c->lock);
    double start = aic_now();
    srv_deployment *d = swp_compile(c->s, &c->env, dep, &why);
    pdb_view_expect_end(expected);
    pthread_mutex_lock(&c->lock);
    c->seconds += aic_now() - start;
    e->d = d;
    e->state = READY;
    if (!d && c->failure.code == AIC_OK)
        c->failure = why;
    pthread_cond_broadcast(&c->ready);
}

static bool same_data(const srv_request *a, const srv_request *b) {
    return a->system == b->system && a->backend == b->backend && a->version == b->version;
}

/* The next deployment behind dep that can be compiled without waiting for tables; 0 when there is none near.
 * The lock is held. */
static size_t find_ahead(const swp_compiled *c, size_t dep) {
    srv_request last, r;
    swp_request_at(c->s, dep, &last);
    bool waits = true; /* whatever reads the tables of `last` */
    for (size_t i = dep + 1; i < c->end && i - dep < WINDOW; i++) {
        swp_request_at(c->s, i, &r);
        if (!same_data(&r, &last)) {
            waits = srv_would_wait(&c->env, &r);
            last = r;
        }
        if (!waits && c->entries[i].state == NEW)
            return i;
    }
    return 0;
}

/* In place of waiting for a deployment, or for tables that another thread reads for it: compiles one that
 * needs others, which will be wanted soon. The lock is held, and released meanwhile. False: there is none. */
static bool work_ahead(swp_compiled *c, size_t dep) {
    size_t other = c->n_ahead < AHEAD ? find_ahead(c, dep) : 0;
    if (!other)
        return false;
    c->entries[other].ahead = true;
    c->n_ahead++;
    compile(c, other);
    return true;
}

static bool must_wait(const swp_compiled *c, size_t dep) {
    srv_request r;
    if (c->entries[dep].state == NEW && dep < c->end) {
        swp_request_at(c->s, dep, &r);
        return srv_would_wait(&c->env, &r);
    }
    return c->entries[dep].state == COMPILING;
}

const srv_deployment *swp_compiled_get(swp_compiled *c, size_t dep, aic_error *err) {
    entry *e = &c->entries[dep];
    pthread_mutex_lock(&c->lock);
    while (e->state != READY) {
        if (must_wait(c, dep) && work_ahead(c, dep))
            continue;
        if (e->state == NEW)
            compile(c, dep);
        else
            pthread_cond_wait(&c->ready, &c->lock);
    }
    c->n_ahead -= e->ahead;
    e->ahead = false;
    if (!e->d && err)
        *err = c->failure;
    pthread_mutex_unlock(&c->lock);
    return e->d;
}

void swp_compiled_done(swp_compiled *c, size_t dep, uint64_t points) {
    entry *e = &c->entries[dep];
    srv_deployment *last = NULL;
    pthread_mutex_lock(&c->lock);
    e->left -= points;
    if (e->left == 0) {
        last = e->d;
        e->d = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    srv_free(last);
}

srv_answers_counts swp_compiled_answers(const swp_compiled *c) {
    return srv_answers_count(c->env.answers);
}

double swp_compiled_seconds(const swp_compiled *c) {
    return c->seconds;
}
