/* What queries cost, op kind by op kind: the distinct shapes of a block are gathered first, as the factored
 * path finds them, then each op is asked for all of its own with one look at the clock before and after. */
#include "serving/steps.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the ops of a class are asked for: shapes one by one, or, by fans, all positions of walks. */
typedef struct questions {
    size_t n_shapes;
    op_shape *shapes;
    const srv_steps *steps; /* the same shapes; NULL: no fans */
} questions;

typedef struct clerk {
    const srv_deployment *d;
    srv_block *b;
    const uint32_t *live;
    size_t n;
    srv_key *keys, *tmp;
    unsigned repeat;
    srv_costs *out;
} clerk;

/* ---- asking ---------------------------------------------------------------------------------- */

static srv_cost *cost_of(srv_costs *c, op_mode mode, srv_phase phase, const char *kind) {
    size_t i = 0;
    while (i < c->n && (c->v[i].mode != mode || c->v[i].phase != phase || strcmp(c->v[i].kind, kind) != 0))
        i++;
    if (i == c->n) {
        AIC_GROW(c->v, c->n, c->cap);
        c->v[c->n++] = (srv_cost){.mode = mode, .phase = phase, .kind = kind};
    }
    return &c->v[i];
}

/* All at once, as the walks do; false: the op has no fan or not every answer. */
static bool ask_fan(const clerk *c, const op_bound *b, const srv_steps *s) {
    op_fan fan;
    if (!s || !op_has_fan(b, srv_plan_of(c->d)->mode) || !srv_open_fan(c->d, c->b, s, b, &fan))
        return false;
    for (size_t i = 0; i < s->n_batches; i++)
        if (!srv_ask_fan(c->d, c->b, s, &s->batches[i], NULL, &fan))
            return false;
    return true;
}

/* One round of questions to one op. */
static size_t ask_all(const clerk *c, const op_bound *b, const questions *q) {
    enum { SOME = 64 };
    const op_mode mode = srv_plan_of(c->d)->mode;
    size_t refused = 0;
    op_result results[SOME];
    op_refusal why;
    if (ask_fan(c, b, q->steps))
        return 0;
    for (size_t i = 0; i < q->n_shapes;) {
        size_t n = q->n_shapes - i < SOME ? q->n_shapes - i : SOME;
        n = op_query_many(b, mode, &q->shapes[i], n, results);
        i += n;
        if (n == 0)
            refused += op_query(b, mode, &q->shapes[i++], results, &why) != OP_OK;
    }
    return refused;
}

static void ask(clerk *c, srv_phase phase, const srv_op *o, const questions *q) {
    op_mode mode = srv_plan_of(c->d)->mode;
    srv_cost *cost = cost_of(c->out, mode, phase, o->bound.op->desc->kind);
    double best = HUGE_VAL;
    size_t refused = 0;
    for (unsigned i = 0; i < c->repeat; i++) {
        double start = aic_now();
        refused = ask_all(c, &o->bound, q);
        double took = aic_now() - start;
        best = took < best ? took : best;
    }
    cost->ops++;
    cost->asked += q->n_shapes;
    cost->refused += refused;
    cost->seconds += best;
}

/* ---- encoder and context --------------------------------------------------------------------- */

static void ask_encoder(clerk *c) {
    const srv_walk *walk = &srv_plan_of(c->d)->encoder;
    uint32_t *ids = srv_take(c->b, c->n, sizeof *ids), *firsts = srv_take(c->b, c->n, sizeof *firsts);
    questions q[2] = {{0}};
    size_t n = srv_number_images(c->d, c->b, c->live, c->n, ids, firsts);
    for (int behind = 0; behind < 2; behind++) {
        q[behind] = (questions){.n_shapes = n, .shapes = srv_take(c->b, n, sizeof(op_shape))};
        for (size_t i = 0; i < n; i++) {
            const srv_workload load = srv_points_load(&c->b->points, c->live[firsts[i]]);
            srv_images images = srv_images_of(c->d, &load);
            q[behind].shapes[i] = srv_encoder_shape(&images, behind);
        }
    }
    for (size_t i = 0; n && i < walk->n_bound; i++)
        ask(c, SRV_PH_encoder, &walk->ops[i], &q[walk->ops[i].behind]);
}

static void ask_context(clerk *c) {
    const srv_plan *plan = srv_plan_of(c->d);
    srv_workload *loads = srv_take(c->b, c->n, sizeof *loads);
    for (size_t k = 0; k < c->n; k++)
        loads[k] = srv_walked_at(c->b, c->live[k]);
    for (size_t k = 0; k < plan->n_keys; k++) {
        srv_shapes s = srv_distinct_shapes(c->d, c->b, &plan->keys[k], loads, c->n, c->keys);
        questions q = {.n_shapes = s.count, .shapes = s.shapes};
        for (size_t i = 0; i < plan->context.n_bound; i++)
            if (plan->context.ops[i].key == k)
                ask(c, SRV_PH_context, &plan->context.ops[i], &q);
    }
}

/* ---- generation ------------------------------------------------------------------------------ */

static uint32_t last_step(const srv_key *k, uint32_t stride) {
    uint32_t decoded = k->lo > 1 ? (uint32_t)k->lo - 1 : 0;
    return decoded ? (decoded - 1) / stride : UINT32_MAX;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Distinct (batch, position) of the walks in keys, which are sorted by (batch, isl) and output length:
 * ascending, batch in the upper half. Still ops see one position per batch. The list is the caller's to free.
 */
static size_t decode_steps(const clerk *c, bool moving, uint64_t **out) {
    uint32_t stride = c->d->tuning.stride;
    size_t n = 0, cap = 0;
    uint64_t *v = NULL;
    for (size_t k = 0; k < c->n; k++) {
        if (k + 1 < c->n && c->keys[k + 1].hi == c->keys[k].hi)
            continue; /* the longest walk of a group takes every step of the others */
        uint32_t last = last_step(&c->keys[k], stride), steps = last == UINT32_MAX ? 0 : last + 1;
        for (uint32_t i = 0; i < (moving ? steps : steps > 0); i++) {
            uint64_t position = moving ? (uint32_t)c->keys[k].hi + (uint64_t)i * stride + 1 : 1;
            AIC_GROW(v, n, cap);
            v[n++] = c->keys[k].hi >> 32 << 32 | position;
        }
    }
    if (n)
        qsort(v, n, sizeof *v, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1] != v[i])
            v[kept++] = v[i];
    *out = v;
    return kept;
}

static void ask_part(clerk *c, const srv_part *part, bool moving) {
    const srv_walk *walk = &srv_plan_of(c->d)->generation;
    uint64_t *steps;
    for (size_t k = 0; k < c->n; k++) {
        srv_workload l = srv_walked_at(c->b, c->live[k]);
        c->keys[k] =
            (srv_key){.hi = (uint64_t)l.batch << 32 | (moving ? l.isl : 0), .lo = l.osl, .item = (uint32_t)k};
    }
    srv_sort_keys(c->keys, c->tmp, c->n);
    size_t n = decode_steps(c, moving, &steps);
    questions q = {.n_shapes = n, .shapes = srv_take(c->b, n, sizeof *q.shapes)};
    for (size_t i = 0; i < n; i++)
        q.shapes[i] = srv_decode_shape(c->d, (uint32_t)(steps[i] >> 32), (uint32_t)steps[i]);
    free(steps);
    srv_steps laid;
    uint32_t *walk_of = srv_take(c->b, c->n, sizeof *walk_of);
    if (moving && srv_lay_steps(c->d, c->b, c->keys, c->n, &laid, walk_of))
        q.steps = &laid;
    for (size_t i = 0; n && i < part->n_ops; i++)
        ask(c, SRV_PH_generation, &walk->ops[part->ops[i]], &q);
}

/* ---- a block --------------------------------------------------------------------------------- */

static double evaluate(const srv_deployment *d, const srv_workload *loads, size_t n, unsigned repeat,
                       srv_block *block) {
    double best = HUGE_VAL;
    for (unsigned i = 0; i < repeat; i++) {
        double start = aic_now();
        srv_evaluate(d, loads, n, block);
        double took = aic_now() - start;
        best = took < best ? took : best;
    }
    return best;
}

void srv_costs_add(const srv_deployment *d, const srv_workload *loads, size_t n, unsigned repeat,
                   srv_block *block, srv_costs *out) {
    if (repeat < 1)
        repeat = 1;
    out->evaluate_s += evaluate(d, loads, n, repeat, block);
    srv_block_load(block, loads, n);
    if (!srv_block_start(d, block))
        return;
    uint32_t *live = srv_take(block, n, sizeof *live);
    clerk c = {.d = d, .b = block, .live = live, .repeat = repeat, .out = out};
    for (size_t i = 0; i < n; i++)
        if (block->points.of.status[i] == SRV_ST_ok)
            live[c.n++] = (uint32_t)i;
    out->points += c.n;
    if (c.n == 0)
        return;
    c.keys = srv_take(block, c.n, sizeof *c.keys);
    c.tmp = srv_take(block, c.n, sizeof *c.tmp);
    if (srv_plan_of(d)->encoder.n_ops > 0)
        ask_encoder(&c);
    if (srv_has_context(d->request.mode))
        ask_context(&c);
    for (int part = 0; srv_has_generation(d->request.mode) && part < SRV_PARTS; part++)
        ask_part(&c, &srv_plan_of(d)->parts[part], part == SRV_MOVING);
}

void srv_costs_free(srv_costs *c) {
    free(c->v);
    *c = (srv_costs){0};
}
