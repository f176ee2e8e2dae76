/* What deployments share: op lists by what made them, bound ops by what they say and where.
 *
 * Nothing of it depends on who asked first, so that sharing shows in no result. Memory is bounded by renewal:
 * once an epoch is full, compilations begin another one, and the old one goes with the last deployment that
 * uses it. */
#include "serving/shared.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Values on shelves of an epoch, about; shelves of ops go by how many deployments are to come. */
enum {
    VERDICTS = 64,
    LANES = 64,
    LANED_EACH = 1,
    BOUNDS_EACH = 16,
    LANED_MOST = 1 << 13,
    BOUNDS_MOST = 1 << 18
};

struct srv_epoch {
    atomic_uint holders; /* srv_shared and deployments */
    atomic_size_t bytes; /* handed out by arenas so far */
    mdl_store *lists;
    aic_shelf *verdicts, *lanes, *orders, *laned, *bounds;
    aic_arena **idle; /* memory of the shelves' values, while no compilation works with it */
    size_t n_idle, cap_idle;
};

struct srv_shared {
    pthread_mutex_t lock; /* guards now and what idles in it */
    srv_epoch *now;
    size_t most;        /* bytes of an epoch */
    size_t deployments; /* expected */
};

static const void *derive_outline(const mdl_deployment *lists, aic_arena *a) {
    return srv_outline_make(lists, a);
}

/* A shelf for so many values of each deployment: large ones are cleared by the page. */
static aic_shelf *op_shelf(size_t deployments, size_t each, size_t most) {
    return aic_shelf_new(deployments < most / each ? deployments * each : most);
}

static srv_epoch *new_epoch(size_t deployments) {
    srv_epoch *e = AIC_NEW(srv_epoch);
    atomic_init(&e->holders, 1);
    e->lists = mdl_store_new(derive_outline);
    e->verdicts = aic_shelf_new(VERDICTS);
    e->lanes = aic_shelf_new(LANES);
    e->orders = aic_shelf_new(LANES);
    e->laned = op_shelf(deployments, LANED_EACH, LANED_MOST);
    e->bounds = op_shelf(deployments, BOUNDS_EACH, BOUNDS_MOST);
    return e;
}

void srv_epoch_release(srv_epoch *e) {
    if (!e || atomic_fetch_sub(&e->holders, 1) > 1)
        return;
    mdl_store_free(e->lists);
    aic_shelf_free(e->verdicts);
    aic_shelf_free(e->lanes);
    aic_shelf_free(e->orders);
    aic_shelf_free(e->laned);
    aic_shelf_free(e->bounds);
    for (size_t i = 0; i < e->n_idle; i++)
        aic_arena_free(e->idle[i]);
    free(e->idle);
    free(e);
}

srv_shared *srv_shared_new(size_t bytes, size_t deployments) {
    srv_shared *s = AIC_NEW(srv_shared);
    pthread_mutex_init(&s->lock, NULL);
    s->now = new_epoch(deployments);
    s->most = bytes;
    s->deployments = deployments;
    return s;
}

void srv_shared_free(srv_shared *s) {
    if (!s)
        return;
    srv_epoch_release(s->now);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- leases ------------------------------------------------------------------------------------- */

static bool is_full(srv_epoch *e, size_t most) {
    size_t lists = mdl_store_bytes(e->lists), others = atomic_load(&e->bytes);
    return lists > most || others > most - lists;
}

srv_lease srv_lease_take(srv_shared *s) {
    srv_lease l = {.shared = s};
    if (!s)
        return l;
    pthread_mutex_lock(&s->lock);
    if (is_full(s->now, s->most)) {
        srv_epoch_release(s->now);
        s->now = new_epoch(s->deployments);
    }
    l.epoch = s->now;
    atomic_fetch_add(&l.epoch->holders, 1);
    if (l.epoch->n_idle)
        l.arena = l.epoch->idle[--l.epoch->n_idle];
    pthread_mutex_unlock(&s->lock);
    if (!l.arena)
        l.arena = aic_arena_new();
    l.had = aic_arena_bytes(l.arena);
    return l;
}

void srv_lease_end(srv_lease *l) {
    if (!l->shared)
        return;
    srv_epoch *e = l->epoch;
    atomic_fetch_add(&e->bytes, aic_arena_bytes(l->arena) - l->had);
    pthread_mutex_lock(&l->shared->lock);
    AIC_GROW(e->idle, e->n_idle, e->cap_idle);
    e->idle[e->n_idle++] = l->arena;
    pthread_mutex_unlock(&l->shared->lock);
    *l = (srv_lease){0};
}

/* ---- op lists ----------------------------------------------------------------------------------- */

static srv_lanes *make_lanes(const op_texts orders[2], aic_arena *a) {
    aic_buf b = {0};
    srv_lanes *lanes = aic_arena_alloc(a, 1, sizeof *lanes);
    for (int phase = 0; phase < 2; phase++) {
        lanes->orders[phase] = orders[phase];
        for (size_t i = 0; i < orders[phase].count; i++)
            aic_buf_addn(&b, orders[phase].items[i], strlen(orders[phase].items[i]) + 1);
        aic_buf_addn(&b, "", 1);
    }
    aic_hash128(b.data, b.len, lanes->hash);
    aic_buf_free(&b);
    return lanes;
}

/* Orders are found by view and override; equal ones stand once. */
static bool find_lanes(const srv_lease *l, const mdl_request *ask, srv_deployment *d, const srv_lanes **out,
                       aic_error *err) {
    const char *override = ask->attention_backend ? ask->attention_backend : "";
    aic_buf key = {0};
    aic_buf_addn(&key, (const char *)&d->view, sizeof d->view);
    aic_buf_add(&key, override);
    *out = l->epoch ? aic_shelf_find(l->epoch->lanes, key.data, key.len) : NULL;
    op_texts orders[2];
    if (!*out && mdl_lane_orders(ask, orders, &d->why, err)) {
        const srv_lanes *made = make_lanes(orders, l->epoch ? l->arena : d->arena);
        if (l->epoch) {
            made = aic_shelf_put(l->epoch->orders, l->arena, made->hash, sizeof made->hash, made);
            aic_shelf_put(l->epoch->lanes, l->arena, key.data, key.len, made);
        }
        *out = made;
    }
    aic_buf_free(&key);
    return *out != NULL;
}

static void set_lanes(const op_list *list, const srv_lanes *lanes) {
    for (size_t i = 0; i < list->count; i++)
        op_set_lanes(list->items[i], lanes->orders);
}

bool srv_shared_build(const srv_lease *l, const mdl_request *ask, srv_deployment *d, srv_lists *out,
                      aic_error *err) {
    mdl_shared_lists shared;
    *out = (srv_lists){0};
    if (!mdl_build_shared(l->epoch ? l->epoch->lists : NULL, d->model, ask, d->arena, &d->built, &shared,
                          &d->why, err))
        return false;
    if (shared.choose_lanes && !find_lanes(l, ask, d, &out->lanes, err)) {
        d->built.weight_bytes = 0; /* of a deployment that does not stand */
        return false;
    }
    out->outline = shared.derived ? shared.derived : srv_outline_make(&d->built, d->arena);
    if (!l->epoch && out->lanes) { /* the lists are its own: whoever looks at them sees the lanes */
        set_lanes(&d->built.context, out->lanes);
        set_lanes(&d->built.generation, out->lanes);
    }
    return true;
}

typedef struct laned_op {
    const op *op;
    op_identity identity;
} laned_op;

static op_identity with_lanes(const op_identity *id, const srv_lanes *lanes) {
    const uint64_t both[] = {id->bits[0], id->bits[1], lanes->hash[0], lanes->hash[1]};
    op_identity out;
    aic_hash128(both, sizeof both, out.bits);
    return out;
}

void srv_shared_put_lanes(const srv_lease *l, const srv_lanes *lanes, srv_op *o) {
    const struct {
        const op *op;
        const srv_lanes *lanes;
    } key = {o->bound.op, lanes};
    if (!l->epoch) {
        o->identity = with_lanes(&o->identity, lanes);
        return;
    }
    const laned_op *found = aic_shelf_find(l->epoch->laned, &key, sizeof key);
    if (!found) {
        laned_op *made = aic_arena_alloc(l->arena, 1, sizeof *made);
        *made =
            (laned_op){op_with_lanes(o->bound.op, lanes->orders, l->arena), with_lanes(&o->identity, lanes)};
        found = aic_shelf_put(l->epoch->laned, l->arena, &key, sizeof key, made);
    }
    o->bound.op = found->op;
    o->identity = found->identity;
}

/* ---- bound ops ---------------------------------------------------------------------------------- */

typedef struct kept_bound {
    op_bound bound;
    pdb_reads reads; /* while it was bound */
} kept_bound;

void srv_shared_bind(const srv_lease *l, op_binder *binder, srv_op *o) {
    const op *op = o->bound.op;
    if (!l->epoch) {
        op_bind(binder, op, &o->bound);
        return;
    }
    const struct {
        const pdb_view *view;
        uint32_t mode, policy;
        op_identity identity;
    } key = {binder->view, binder->mode, binder->policy, o->identity};
    const kept_bound *kept = aic_shelf_find(l->epoch->bounds, &key, sizeof key);
    if (kept) {
        pdb_reads_add(&kept->reads);
    } else {
        kept_bound *made = aic_arena_alloc(l->arena, 1, sizeof *made);
        op_binder lasting = *binder;
        lasting.arena = l->arena;
        pdb_reads_begin(&made->reads, binder->view);
        op_bind(&lasting, op, &made->bound);
        pdb_reads_end(&made->reads, NULL);
        kept = aic_shelf_put(l->epoch->bounds, l->arena, &key, sizeof key, made);
    }
    o->bound = kept->bound;
    o->bound.op = op;
}

/* ---- texts -------------------------------------------------------------------------------------- */

static const srv_verdicts *make_verdicts(const srv_memory *m, const pdb_system *system, aic_arena *a) {
    srv_verdicts *v = aic_arena_alloc(a, 1, sizeof *v);
    v->oom = aic_arena_printf(
        a, "weights, activations, KV cache and buffers exceed the memory of a GPU (%s, %.4g GiB)",
        system->name, m->capacity);
    v->kv_oom = aic_arena_printf(
        a, "the KV cache exceeds its budget, fraction %g of the %s memory of a GPU (%s, %.4g GiB)",
        m->fraction, m->of_total ? "whole" : "remaining", system->name, m->capacity);
    return v;
}

const srv_verdicts *srv_shared_verdicts(const srv_lease *l, const srv_memory *m, const pdb_system *system,
                                        aic_arena *a) {
    if (!l->epoch)
        return make_verdicts(m, system, a);
    const struct {
        const pdb_system *system;
        double capacity, fraction;
        uint64_t of_total;
    } key = {system, m->capacity, m->fraction, m->of_total};
    const srv_verdicts *v = aic_shelf_find(l->epoch->verdicts, &key, sizeof key);
    return v ? v
             : aic_shelf_put(l->epoch->verdicts, l->arena, &key, sizeof key,
                             make_verdicts(m, system, l->arena));
}
