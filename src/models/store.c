/* Op lists that deployments share.
 *
 * A graph is a pure function of the model and of the names that it looks up. So lists stand under the values
 * of exactly those names (their trace, noted while they were made): whoever has the same values would make
 * the same lists, or meet the same refusal. Traces belong to the model; most have one or two. What is fixed
 * before that - widths, exchanges, modes - is fixed for each deployment. */
#include "models/internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct made {
    struct made *next; /* of the store */
    aic_arena *arena;  /* owns all of it */
    mdl_lists lists;
    op_refusal why; /* cls OP_OK, or why there are no lists */
    const void *derived;
} made;

enum { EXPECTED = 1 << 12 };

struct mdl_store {
    aic_shelf *shelf;
    _Atomic(made *) all;
    atomic_size_t bytes;
    mdl_derive *derive;
};

mdl_store *mdl_store_new(mdl_derive *derive) {
    mdl_store *s = AIC_NEW(mdl_store);
    s->shelf = aic_shelf_new(EXPECTED);
    s->derive = derive;
    return s;
}

void mdl_store_free(mdl_store *s) {
    if (!s)
        return;
    for (made *m = atomic_load(&s->all), *next; m; m = next) {
        next = m->next;
        aic_arena_free(m->arena); /* m itself lives in it */
    }
    aic_shelf_free(s->shelf);
    free(s);
}

size_t mdl_store_bytes(mdl_store *s) {
    return atomic_load(&s->bytes);
}

/* ---- keys --------------------------------------------------------------------------------------- */

static void make_key(const mdl_frame *f, mdl_trace trace, aic_buf *key) {
    const struct {
        const mdl_traces *model; /* its records share them, whatever their layers */
        mdl_trace trace;
        uint64_t layers, language_only;
    } head = {f->model->traces, trace, f->request->layers, f->request->language_only};
    aic_buf_clear(key);
    aic_buf_addn(key, (const char *)&head, sizeof head);
    mdl_trace_values(f, trace, key);
}

static void note_trace(mdl_traces *t, mdl_trace trace) {
    for (size_t i = 0; i < MDL_MAX_TRACES; i++) {
        mdl_trace met = 0;
        if (atomic_compare_exchange_strong(&t->met[i], &met, trace) || met == trace)
            return;
    }
}

/* ---- making ------------------------------------------------------------------------------------- */

/* The lists of a deployment, or why there are none; NULL with an error for a broken file, which nobody keeps.
 */
static made *make(mdl_store *s, const mdl_settled *settled, const mdl_deployment *d, aic_arena *scratch,
                  mdl_trace *trace, aic_error *err) {
    aic_arena *a = aic_arena_new();
    made *m = aic_arena_alloc(a, 1, sizeof *m);
    m->arena = a;
    if (mdl_make_lists(settled, a, scratch, &m->lists, trace, &m->why, err)) {
        mdl_deployment lists = *d;
        mdl_put_lists(&lists, &m->lists);
        m->derived = s->derive(&lists, a);
    } else if (m->why.cls == OP_OK) {
        aic_arena_free(a);
        return NULL;
    }
    return m;
}

/* What the store has from now on: m, unless another thread was faster. */
static const made *keep(mdl_store *s, made *m, const aic_buf *key) {
    const made *stands = aic_shelf_put(s->shelf, m->arena, key->data, key->len, m);
    if (stands != m) {
        aic_arena_free(m->arena);
        return stands;
    }
    atomic_fetch_add(&s->bytes, aic_arena_bytes(m->arena));
    m->next = atomic_load(&s->all);
    while (!atomic_compare_exchange_weak(&s->all, &m->next, m))
        ;
    return m;
}

static const made *find_or_make(mdl_store *s, const mdl_settled *settled, const mdl_deployment *d,
                                aic_arena *scratch, aic_buf *key, aic_error *err) {
    const mdl_frame f = {.model = settled->model,
                         .request = &settled->request,
                         .par = &settled->par,
                         .quant = &settled->quant};
    mdl_traces *traces = settled->model->traces;
    mdl_trace trace;
    for (size_t i = 0; i < MDL_MAX_TRACES && (trace = atomic_load(&traces->met[i])) != 0; i++) {
        make_key(&f, trace, key);
        const made *m = aic_shelf_find(s->shelf, key->data, key->len);
        if (m)
            return m;
    }
    made *m = make(s, settled, d, scratch, &trace, err);
    if (!m)
        return NULL;
    note_trace(traces, trace);
    make_key(&f, trace, key);
    return keep(s, m, key);
}

/* The lists of a store, as far as they are made. */
static bool put_shared(mdl_store *s, const mdl_settled *settled, aic_arena *scratch, mdl_deployment *out,
                       mdl_shared_lists *shared, op_refusal *why, aic_error *err) {
    aic_buf key = {0};
    const made *found = find_or_make(s, settled, out, scratch, &key, err);
    aic_buf_free(&key);
    if (!found)
        return false;
    mdl_put_lists(out, &found->lists);
    *shared = (mdl_shared_lists){found->derived, found->lists.choose_lanes};
    if (found->why.cls != OP_OK)
        *why = found->why;
    return found->why.cls == OP_OK;
}

static bool put_own(const mdl_settled *settled, aic_arena *a, mdl_deployment *out, mdl_shared_lists *shared,
                    op_refusal *why, aic_error *err) {
    mdl_lists lists;
    mdl_trace trace;
    bool built = mdl_make_lists(settled, a, a, &lists, &trace, why, err);
    mdl_put_lists(out, &lists);
    *shared = (mdl_shared_lists){.choose_lanes = lists.choose_lanes};
    return built;
}

bool mdl_build_shared(mdl_store *s, const mdl_model *m, const mdl_request *req, aic_arena *a,
                      mdl_deployment *out, mdl_shared_lists *shared, op_refusal *why, aic_error *err) {
    aic_error local = {0};
    err = err ? err : &local;
    mdl_settled settled;
    bool ok = mdl_settle(m, req, a, &settled, why, err);
    *out = mdl_deployment_of(m, &settled);
    return ok && (s ? put_shared(s, &settled, a, out, shared, why, err)
                    : put_own(&settled, a, out, shared, why, err));
}
