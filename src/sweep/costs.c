/* Measuring where the time of a sweep goes: tables, compiling, queries by op kind, assembling points. */
#include "sweep/internal.h"
#include <stdlib.h>

typedef struct sampler {
    const swp_sweep *s;
    const srv_env *env;
    unsigned repeat;
    swp_costs *out;
    srv_block block;
    srv_workload *loads;
} sampler;

static size_t nth(const sampler *m, size_t i) {
    return (size_t)((uint64_t)i * m->s->n_deps / m->out->deployments);
}

/* Compiles all of the sample once: the first time with the tables. */
static bool compile_all(const sampler *m, double *seconds, aic_error *err) {
    double start = aic_now();
    for (size_t i = 0; i < m->out->deployments; i++) {
        srv_deployment *d = swp_compile(m->s, m->env, nth(m, i), err);
        if (!d)
            return false;
        srv_free(d);
    }
    *seconds = aic_now() - start;
    return true;
}

/* A grid's points of one deployment stand together, in blocks as workers take them. */
static void price_grid(sampler *m, size_t dep, const srv_deployment *d) {
    uint64_t first = m->s->deps[dep].first, end = first + swp_points_of(m->s, dep);
    while (first < end) {
        size_t n = swp_block_size(m->s, first, SWP_BLOCK_POINTS);
        swp_loads(m->s, first, n, m->loads);
        srv_costs_add(d, m->loads, n, m->repeat, &m->block, &m->out->points);
        first += n;
    }
}

/* Those of a list are gathered from all over it. */
static void price_list(sampler *m, size_t dep, const srv_deployment *d) {
    size_t n = 0;
    for (uint64_t i = 0; i < m->s->points; i++) {
        if (m->s->rows[i].dep == dep)
            m->loads[n++] = m->s->rows[i].load;
        if (n == SWP_BLOCK_POINTS || (n > 0 && i + 1 == m->s->points)) {
            srv_costs_add(d, m->loads, n, m->repeat, &m->block, &m->out->points);
            n = 0;
        }
    }
}

static bool price_all(sampler *m, aic_error *err) {
    for (size_t i = 0; i < m->out->deployments; i++) {
        size_t dep = nth(m, i);
        srv_deployment *d = swp_compile(m->s, m->env, dep, err);
        if (!d)
            return false;
        if (d->refused != SRV_ST_ok)
            m->out->refused++;
        else if (m->s->listed)
            price_list(m, dep, d);
        else
            price_grid(m, dep, d);
        srv_free(d);
        if (aic_interrupted())
            return aic_fail(err, (aic_code)aic_interrupted(), "interrupted");
    }
    return true;
}

bool swp_costs_measure(const swp_sweep *s, const srv_env *env, size_t most, unsigned repeat, swp_costs *out,
                       aic_error *err) {
    *out = (swp_costs){.deployments = s->n_deps < most ? s->n_deps : most};
    sampler m = {.s = s, .env = env, .repeat = repeat, .out = out};
    pdb_loaded before = pdb_loaded_so_far(env->db);
    m.loads = aic_alloc(SWP_BLOCK_POINTS, sizeof *m.loads);
    bool ok = compile_all(&m, &out->first_s, err) && compile_all(&m, &out->again_s, err);
    out->tables = pdb_loaded_so_far(env->db);
    out->tables.tables -= before.tables;
    out->tables.rows -= before.rows;
    out->tables.seconds -= before.seconds;
    ok = ok && price_all(&m, err);
    srv_block_free(&m.block);
    free(m.loads);
    return ok;
}
