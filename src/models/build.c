/* Evaluates a compiled graph for a deployment: op lists, weights, KV cache (docs/formats/graph.md,
 * docs/model/parallel.md). */
#include "models/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPS = 65536 }; /* ops of a list: bounds loops over lists that come from a config */

typedef struct builder {
    aic_arena *arena; /* of the lists; what evaluation leaves behind goes to the frame's */
    mdl_frame frame;
    op_refusal *why;
    aic_error *err;
    size_t n_ops;
} builder;

/* Ops while their number is not known. */
typedef struct op_vec {
    op **items;
    size_t count, cap;
} op_vec;

static bool build_items(builder *b, const mdl_items *items, op_vec *out);

/* An op that the figures of this deployment cannot make (a width of zero, say) is a refusal, not a broken
 * graph. */
static bool refuse_op(builder *b, const op *o) {
    op_refuse(b->why, OP_INVALID, "%s: %s", o->name, b->err->text);
    b->err->code = AIC_OK;
    return false;
}

static bool eval_text(builder *b, const aic_template *t, const char **out) {
    aic_env env = mdl_env(&b->frame);
    return aic_template_eval(t, &env, out, b->err);
}

static bool eval_name(builder *b, const aic_template *t, const char **out) {
    const char *text;
    if (!eval_text(b, t, &text))
        return false;
    *out = aic_arena_strdup(b->arena, text);
    return true;
}

static bool eval_repeat(builder *b, const mdl_item *it, double *out) {
    aic_value v;
    if (!mdl_eval(it->repeat, &b->frame, &v, b->err))
        return false;
    if (aic_as_real(&v, out) && *out >= 0.0 && isfinite(*out))
        return true;
    return aic_node_fail(b->err, it->at, "the repeat gave %s, not a number from 0 up",
                         aic_vtype_name(v.type));
}

/* float16 names a mode that no attention kernel was measured with. */
static bool check_fmha(builder *b, const op *o, const mdl_field *f, const aic_value *v) {
    if (v->type != AIC_V_STR || strcmp(v->u.s, "float16") != 0 || strcmp(f->name, "fmha_quant_mode") != 0)
        return true;
    op_refuse(b->why, OP_INVALID,
              "%s: attention math in float16 is not modelled; ask for bfloat16, fp8 or fp8_block", o->name);
    return false;
}

static bool set_fields(builder *b, const mdl_item *it, op *o) {
    for (size_t i = 0; i < it->n_fields; i++) {
        const mdl_field *f = &it->fields[i];
        aic_value v;
        if (!mdl_eval(f->value, &b->frame, &v, b->err) || !check_fmha(b, o, f, &v))
            return false;
        if (!op_set(b->arena, o, f->name, &v, b->err))
            return refuse_op(b, o);
    }
    return true;
}

static bool add_op(builder *b, op_vec *out, op *o) {
    if (!op_finish(o, b->err))
        return refuse_op(b, o);
    AIC_GROW(out->items, out->count, out->cap);
    out->items[out->count++] = o;
    return true;
}

static bool build_row(builder *b, const mdl_item *it, op_vec *out) {
    op *o = op_make(b->arena, it->desc);
    if (!eval_name(b, it->name, &o->name) || !eval_repeat(b, it, &o->repeat) || !set_fields(b, it, o))
        return false;
    if (++b->n_ops > MAX_OPS)
        return aic_node_fail(b->err, it->at, "more than %d ops", MAX_OPS);
    return add_op(b, out, o);
}

static op_list take(builder *b, op_vec *v) {
    op_list l = {v->count, aic_arena_alloc(b->arena, v->count, sizeof *l.items)};
    if (v->count)
        memcpy(l.items, v->items, v->count * sizeof *l.items);
    free(v->items);
    *v = (op_vec){0};
    return l;
}

static bool build_members(builder *b, const mdl_items *items, op *o, const char *field) {
    op_vec members = {0};
    bool ok = build_items(b, items, &members);
    op_list list = take(b, &members);
    if (!ok)
        return false;
    return op_set_members(o, field, &list, b->err) || refuse_op(b, o);
}

static bool build_group(builder *b, const mdl_item *it, op_vec *out) {
    bool overlap = it->type == MDL_OVERLAP;
    op *o = op_new(b->arena, overlap ? "Overlap" : "Fallback", b->err);
    if (!o || !eval_name(b, it->name, &o->name))
        return false;
    o->repeat = 1.0;
    return build_members(b, &it->a, o, overlap ? "group_a" : "primary") &&
           build_members(b, &it->b, o, overlap ? "group_b" : "fallback") && add_op(b, out, o);
}

static aic_value *variable(builder *b, int slot) {
    return &b->frame.vars[slot - MDL_SYMBOL_COUNT];
}

static bool build_seq(builder *b, const mdl_item *it, op_vec *out) {
    for (size_t i = 0; i < it->n_slots; i++)
        if (!mdl_eval(it->values[i], &b->frame, variable(b, it->first_slot + (int)i), b->err))
            return false;
    return build_items(b, &it->a, out);
}

/* One turn of a loop: a tuple for several variables, the item itself for one. */
static bool bind_turn(builder *b, const mdl_item *it, const aic_value *item) {
    if (it->n_slots == 1) {
        *variable(b, it->first_slot) = *item;
        return true;
    }
    if (item->type != AIC_V_LIST || item->u.list->count != it->n_slots)
        return aic_node_fail(b->err, it->at,
                             "the loop binds %zu names, but an item of its list has another size",
                             it->n_slots);
    for (size_t i = 0; i < it->n_slots; i++)
        *variable(b, it->first_slot + (int)i) = item->u.list->items[i];
    return true;
}

static bool build_for(builder *b, const mdl_item *it, op_vec *out) {
    aic_value all;
    if (!mdl_eval(it->values[0], &b->frame, &all, b->err))
        return false;
    if (all.type != AIC_V_LIST)
        return aic_node_fail(b->err, it->at, "the loop runs over %s, not a list", aic_vtype_name(all.type));
    for (size_t i = 0; i < all.u.list->count; i++)
        if (!bind_turn(b, it, &all.u.list->items[i]) || !build_items(b, &it->a, out))
            return false;
    return true;
}

/* The deployment cannot run for a reason that the list itself knows. */
static bool refuse_build(builder *b, const mdl_item *it) {
    const char *text;
    if (eval_text(b, it->name, &text))
        op_refuse(b->why, OP_INVALID, "%s", text);
    return false;
}

static bool build_item(builder *b, const mdl_item *it, op_vec *out) {
    bool yes;
    if (!mdl_eval_true(it->when, &b->frame, &yes, b->err))
        return false;
    if (!yes)
        return true;
    switch (it->type) {
    case MDL_ROW:
        return build_row(b, it, out);
    case MDL_SEQ:
        return build_seq(b, it, out);
    case MDL_FOR:
        return build_for(b, it, out);
    case MDL_OVERLAP:
    case MDL_FALLBACK:
        return build_group(b, it, out);
    case MDL_REFUSE:
        return refuse_build(b, it);
    }
    return false;
}

static bool build_items(builder *b, const mdl_items *items, op_vec *out) {
    for (size_t i = 0; i < items->count; i++)
        if (!build_item(b, &items->items[i], out))
            return false;
    return true;
}

/* ---- a deployment ---- */

static bool run_checks(builder *b, const mdl_graph *g) {
    for (size_t i = 0; i < g->n_checks; i++) {
        bool broken;
        const char *text;
        if (!mdl_eval_true(g->checks[i].when, &b->frame, &broken, b->err))
            return false;
        if (!broken)
            continue;
        if (eval_text(b, g->checks[i].refuse, &text))
            op_refuse(b->why, OP_INVALID, "%s", text);
        return false;
    }
    return true;
}

static bool build_phase(builder *b, mdl_phase phase, op_list *out) {
    const mdl_graph *g = b->frame.graph;
    b->frame.phase = phase;
    for (size_t i = 0; i < g->n_lets; i++)
        b->frame.known[i] = b->frame.known[i] && g->lets[i].level != MDL_OF_PHASE;
    op_vec ops = {0};
    b->n_ops = 0;
    bool ok = build_items(b, &g->list[phase], &ops);
    *out = take(b, &ops);
    return ok;
}

static bool choose_lanes(const op_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (op_chooses_lane(list->items[i]))
            return true;
    return false;
}

/* Kernel lanes need a database; a lane asked for by name cannot be found without one. */
bool mdl_lane_orders(const mdl_request *req, op_texts orders[2], op_refusal *why, aic_error *err) {
    const char *lane = req->attention_backend;
    if (req->view && op_lane_orders(req->view, lane, orders, err))
        return true;
    if (!req->view)
        op_refuse(why, OP_INVALID, "attention backend \"%s\" can only be chosen with a database", lane);
    else if (err->code != AIC_IO)
        op_refuse(why, OP_INVALID, "%s", err->text);
    return false;
}

static bool set_lanes(const mdl_request *req, const mdl_lists *lists, op_refusal *why, aic_error *err) {
    op_texts orders[2];
    const char *lane = req->attention_backend;
    if (!lists->choose_lanes || (!req->view && (!lane || strcmp(lane, "default") == 0)))
        return true;
    if (!mdl_lane_orders(req, orders, why, err))
        return false;
    for (size_t i = 0; i < lists->context.count; i++)
        op_set_lanes(lists->context.items[i], orders);
    for (size_t i = 0; i < lists->generation.count; i++)
        op_set_lanes(lists->generation.items[i], orders);
    return true;
}

static double weights_of(const op_list *list) {
    double bytes = 0.0;
    for (size_t i = 0; i < list->count; i++)
        bytes += op_weight_bytes(list->items[i]);
    return bytes;
}

static bool build_lists(builder *b, mdl_lists *out) {
    const mdl_graph *g = b->frame.graph;
    mdl_kv *kv = aic_arena_alloc(b->arena, 1, sizeof *kv);
    if (!run_checks(b, g) || !mdl_kv_make(g, &b->frame, b->arena, kv, b->err))
        return false;
    b->frame.kv_token_bytes = mdl_kv_sequence(kv, 1.0);
    out->kv = kv;
    if (!build_phase(b, MDL_CONTEXT, &out->context) || !build_phase(b, MDL_GENERATION, &out->generation) ||
        (!b->frame.request->language_only && !build_phase(b, MDL_ENCODER, &out->encoder)))
        return false;
    out->choose_lanes = choose_lanes(&out->context) || choose_lanes(&out->generation);
    out->weight_bytes = weights_of(&out->context);
    out->encoder_weight_bytes = weights_of(&out->encoder);
    return true;
}

static mdl_frame start_frame(const mdl_settled *s, aic_arena *scratch) {
    const mdl_entry *m = s->model;
    const mdl_graph *g = m->pub.graph;
    mdl_frame f = {
        .model = m, .request = &s->request, .par = &s->par, .quant = &s->quant, .graph = g, .arena = scratch};
    f.vars = aic_arena_alloc(scratch, g->n_vars, sizeof *f.vars);
    f.known = aic_arena_alloc(scratch, g->n_lets, sizeof *f.known);
    for (size_t i = 0; i < g->n_lets; i++) {
        f.vars[i] = m->lets[i];
        f.known[i] = g->lets[i].level == MDL_OF_MODEL;
    }
    return f;
}

bool mdl_make_lists(const mdl_settled *s, aic_arena *a, aic_arena *scratch, mdl_lists *out, mdl_trace *trace,
                    op_refusal *why, aic_error *err) {
    builder b = {.arena = a, .frame = start_frame(s, scratch), .why = why, .err = err};
    *out = (mdl_lists){0};
    bool ok = build_lists(&b, out);
    *trace = b.frame.trace | MDL_TRACED;
    return ok;
}

/* The model with another number of layers; what its config lists layer by layer stays. */
static const mdl_entry *with_layers(const mdl_entry *m, uint32_t layers, aic_arena *a) {
    if (layers == 0)
        return m;
    mdl_entry *cut = aic_arena_alloc(a, 1, sizeof *cut);
    *cut = *m;
    cut->pub.layers = layers;
    if (m->pub.graph)
        mdl_graph_model_lets(a, cut);
    return cut;
}

/* A config that lacks what the graph needs refuses the model, not the graph. */
static bool find_graph(const mdl_entry *m, op_refusal *why) {
    if (!m->pub.graph) {
        char file[64];
        mdl_graph_file(m->pub.family, file, sizeof file);
        op_refuse(why, OP_INVALID, "family %s cannot be modelled yet: its graph file (%s) does not exist",
                  m->pub.family, file);
        return false;
    }
    if (m->lets_failed)
        op_refuse(why, OP_INVALID, "%s", m->lets_failed);
    return !m->lets_failed;
}

bool mdl_settle(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_settled *s,
                op_refusal *why, aic_error *err) {
    why->cls = OP_OK;
    why->text[0] = '\0';
    *s = (mdl_settled){
        .model = with_layers(mdl_entry_of(m), req->layers, scratch), .request = *req, .par = req->par};
    if (!mdl_check_width(m, &s->par, why) ||
        !mdl_choose_exchange(s->model, &s->par, &s->request, scratch, why, err) ||
        !mdl_resolve(m, &s->request, scratch, &s->quant, why, err) || !find_graph(s->model, why))
        return false;
    s->resolved = true;
    const mdl_graph *g = m->graph;
    return mdl_check_context_parallel(m, &s->par, req->backend, &g->context_parallel, why) &&
           mdl_check_heads(m, &s->par, why);
}

mdl_deployment mdl_deployment_of(const mdl_model *m, const mdl_settled *s) {
    mdl_deployment d = {.model = m, .par = s->par, .nextn = s->request.nextn};
    if (!s->resolved)
        return d;
    d.quants = s->quant.modes;
    d.a2a_context = s->request.a2a_context;
    d.a2a_generation = s->request.a2a_generation;
    d.encoder_ranks = s->request.encoder_tp ? 1 : s->par.tp;
    return d;
}

void mdl_put_lists(mdl_deployment *d, const mdl_lists *l) {
    d->context = l->context;
    d->generation = l->generation;
    d->encoder = l->encoder;
    d->weight_bytes = l->weight_bytes;
    d->encoder_weight_bytes = l->encoder_weight_bytes;
    d->kv = l->kv;
}

bool mdl_build(const mdl_model *m, const mdl_request *req, aic_arena *a, mdl_deployment *out, op_refusal *why,
               aic_error *err) {
    aic_error local = {0};
    err = err ? err : &local;
    mdl_settled s;
    mdl_trace trace;
    bool settled = mdl_settle(m, req, a, &s, why, err);
    *out = mdl_deployment_of(m, &s);
    mdl_lists lists = {0};
    bool built = settled && mdl_make_lists(&s, a, a, &lists, &trace, why, err) &&
                 set_lanes(&s.request, &lists, why, err);
    mdl_put_lists(out, &lists);
    return built;
}

/* ---- repeats ---- */

double mdl_engine_repeat(double repeat) {
    char text[32];
    aic_shortest(repeat, text);
    uint64_t digits = 0;
    int decimals = 0;
    bool fraction = false;
    for (const char *c = text; *c; c++) {
        if (*c == '.') {
            fraction = true;
        } else if (*c < '0' || *c > '9' || digits > UINT64_MAX / 10 - 1) {
            return repeat; /* an exponent or a sign: outside what any model repeats */
        } else {
            digits = digits * 10 + (uint64_t)(*c - '0');
            decimals += fraction;
        }
    }
    return (double)digits / pow(10.0, decimals);
}
