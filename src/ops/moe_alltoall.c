/* MoeAllToAll: one phase of the exchange around the experts under large expert parallelism
 * (docs/model/moe_large_ep.md). */
#include "ops/large_ep_internal.h"

#include <string.h>

typedef struct a2a_params {
    int phase, comm_backend; /* of the tables below */
    uint32_t hidden_size, topk, num_experts, moe_ep_size, node_num;
    const char *comm_dtype;
    uint32_t sms, attention_tp_size;
} a2a_params;

enum { PREPARE, DISPATCH, COMBINE };
static const char *const phases[] = {"prepare", "dispatch", "combine", NULL};

/* X(name, has a prepare phase, one node may stand in for several) */
#define BACKENDS(X)                                                                                          \
    X(deepep_ht, false, true)                                                                                \
    X(deepep_ll, false, true)                                                                                \
    X(deepep_v2_context, false, false)                                                                       \
    X(deepep_v2_generation, false, false)                                                                    \
    X(trtllm_deepep_ht, false, true)                                                                         \
    X(trtllm_deepep_ll, false, true)                                                                         \
    X(nvlink_two_sided, true, false)                                                                         \
    X(nvlink_one_sided, false, false)
enum {
#define BACKEND_ENUM(name, prepares, stands_in) A2A_##name,
    BACKENDS(BACKEND_ENUM)
#undef BACKEND_ENUM
};
static const char *const backends[] = {
#define BACKEND_NAME(name, prepares, stands_in) #name,
    BACKENDS(BACKEND_NAME)
#undef BACKEND_NAME
        NULL};
static const struct {
    bool prepares, stands_in;
} backend_traits[] = {
#define BACKEND_TRAITS(name, prepares, stands_in) {prepares, stands_in},
    BACKENDS(BACKEND_TRAITS)
#undef BACKEND_TRAITS
};

static bool a2a_check(const op *o, aic_error *err) {
    const a2a_params *p = o->params;
    if (p->phase == PREPARE && !backend_traits[p->comm_backend].prepares)
        return aic_fail(err, AIC_BAD_INPUT, "%s \"%s\": comm_backend %s has no phase prepare", o->desc->kind,
                        o->name, backends[p->comm_backend]);
    return true;
}

/* ---- where the table is asked -------------------------------------------------------------------------- */

static uint64_t id_of(const pdb_view *view, const char *text) {
    uint64_t id = pdb_text_id(view, text);
    return id ? id : UINT64_MAX;
}

/* The name under which rows of the phase carry the wanted type; NULL: under none. "default" is a type of all
 * messages where it is the only one. */
static const char *resolve_dtype(const op_bound *b, const pdb_table *t, int phase) {
    const a2a_params *p = b->op->params;
    const char *wanted = p->comm_dtype;
    uint64_t backend_id = id_of(b->view, backends[p->comm_backend]), phase_id = id_of(b->view, phases[phase]),
             own = id_of(b->view, wanted), fp8 = id_of(b->view, "fp8"), any = id_of(b->view, "default");
    bool has_own = false, has_fp8 = false, has_default = false, has_other = false;
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[A2A_BACKEND] != backend_id || cat[A2A_PHASE] != phase_id)
            continue;
        has_own |= cat[A2A_DTYPE] == own;
        has_fp8 |= cat[A2A_DTYPE] == fp8;
        has_default |= cat[A2A_DTYPE] == any;
        has_other |= cat[A2A_DTYPE] != any;
    }
    if (has_own)
        return wanted;
    if (has_fp8 && strcmp(wanted, "fp8_block") == 0)
        return "fp8";
    return has_default && !has_other ? "default" : NULL;
}

typedef struct topology {
    uint32_t ep, nodes;
} topology;

/* The topology of one node that stands in for several. */
static topology one_node(const pdb_view *view) {
    return (topology){strcmp(view->backend, "sglang") == 0 ? 8 : view->system->gpus_per_node, 1};
}

static op_key key_of(const op_bound *b, int phase, const char *dtype, topology at) {
    const a2a_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, backends[p->comm_backend]);
    op_key_text(&key, b->view, phases[phase]);
    op_key_text(&key, b->view, dtype);
    op_key_int(&key, at.ep);
    op_key_int(&key, at.nodes);
    op_key_int(&key, p->hidden_size);
    op_key_int(&key, p->topk);
    op_key_int(&key, p->num_experts);
    return key;
}

static const pdb_grid *grid_of(const op_bound *b, const pdb_table *t, int phase, const char *dtype,
                               topology at) {
    op_key key = key_of(b, phase, dtype, at);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    return s ? pdb_slice_grid(s) : NULL;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct a2a_state {
    bool unloadable;             /* there is no table: missing data, in HYBRID too */
    const pdb_grid *curve;       /* over tokens; NULL: */
    const pdb_grid *grid;        /* over (SMs, tokens) */
    const pdb_grid *other, *sum; /* of the opposite phase and of both; NULL: nothing to share out */
} a2a_state;

enum {
    LONE_SMS = 20
}; /* the one budget at which a phase of DeepEP's high-throughput kernels stands alone, on one node */

/* The curve of one SM budget, or NULL. */
static const pdb_grid *curve_at(aic_arena *a, const pdb_grid *g, uint32_t sms) {
    for (uint32_t i = 0; i < g->n[0]; i++)
        if (g->keys[0][i] == sms) {
            uint32_t from = g->first[0][i], n = g->first[0][i + 1] - from;
            pdb_leaf *leaves = aic_arena_alloc(a, n, sizeof *leaves);
            for (uint32_t j = 0; j < n; j++)
                leaves[j] = pdb_grid_leaf(g, from + j);
            return pdb_grid_build(a, 1, n, g->keys[1] + from, leaves, g->from ? g->from + from : NULL, NULL);
        }
    return NULL;
}

/* Leaf of (SMs, tokens), or the number of leaves. */
static uint32_t leaf_at(const pdb_grid *g, uint64_t sms, uint64_t tokens) {
    for (uint32_t i = 0; i < g->n[0]; i++)
        for (uint32_t j = g->first[0][i]; g->keys[0][i] == sms && j < g->first[0][i + 1]; j++)
            if (g->keys[1][j] == tokens)
                return j;
    return g->n[1];
}

/* What both phases take together, where both are measured. */
static const pdb_grid *sum_of(aic_arena *a, const pdb_grid *x, const pdb_grid *y) {
    size_t n = 0;
    uint64_t *coords = aic_arena_alloc(a, aic_mul(x->n[1], 2), sizeof *coords);
    pdb_leaf *leaves = aic_arena_alloc(a, x->n[1], sizeof *leaves);
    pdb_origins *from = aic_arena_alloc(a, x->n[1], sizeof *from);
    for (uint32_t i = 0; i < x->n[0]; i++)
        for (uint32_t j = x->first[0][i]; j < x->first[0][i + 1]; j++) {
            uint32_t other = leaf_at(y, x->keys[0][i], x->keys[1][j]);
            if (other == y->n[1])
                continue;
            coords[2 * n] = x->keys[0][i];
            coords[2 * n + 1] = x->keys[1][j];
            from[n] = pdb_leaf_from(x, j) | pdb_leaf_from(y, other);
            leaves[n++] = (pdb_leaf){.latency = x->latency[j] + y->latency[other]};
        }
    return n ? pdb_grid_build(a, 2, n, coords, leaves, from, NULL) : NULL;
}

static op_class refuse_dtype(const op_bound *b, int phase, op_refusal *why) {
    const a2a_params *p = b->op->params;
    return op_refuse_op(why, b->op, OP_MISSING,
                        "%s of %s/%s/%s has no rows of comm_backend %s, phase %s, comm_dtype %s or a type "
                        "that serves for it (docs/model/" LARGE_EP_PAGE ".md)",
                        a2a_schema.table, b->system->name, b->view->backend, b->view->version,
                        backends[p->comm_backend], phases[phase], p->comm_dtype);
}

/* DeepEP's high-throughput kernels otherwise: the share of the phase in what both phases take. */
static op_class bind_share(op_binder *binder, op_bound *b, const pdb_table *t, topology at, a2a_state *st,
                           op_refusal *why) {
    const a2a_params *p = b->op->params;
    int phase = p->phase == DISPATCH ? COMBINE : DISPATCH;
    const char *dtype = resolve_dtype(b, t, phase);
    if (!dtype)
        return refuse_dtype(b, phase, why);
    const pdb_grid *other = grid_of(b, t, phase, dtype, at);
    st->sum = other ? sum_of(binder->arena, st->grid, other) : NULL;
    st->other = st->sum ? other : NULL;
    return OP_OK;
}

/* Is anything measured on the topology of the deployment itself? Else one node stands in, for backends that
 * allow it. */
static topology find_topology(op_binder *binder, op_bound *b, const pdb_table *t, const char *dtype) {
    const a2a_params *p = b->op->params;
    topology own = {p->moe_ep_size, p->node_num}, other = one_node(b->view);
    if (p->node_num <= 1 || !backend_traits[p->comm_backend].stands_in || grid_of(b, t, p->phase, dtype, own))
        return own;
    op_substitution *s = aic_arena_alloc(binder->arena, 1, sizeof *s);
    *s = (op_substitution){backends[p->comm_backend], own.ep, own.nodes, other.ep, other.nodes, NULL};
    b->substitutions = s;
    return other;
}

static op_class bind_slice(op_binder *binder, op_bound *b, const pdb_table *t, a2a_state *st,
                           op_refusal *why) {
    const a2a_params *p = b->op->params;
    const char *dtype = resolve_dtype(b, t, p->phase);
    if (!dtype)
        return refuse_dtype(b, p->phase, why);
    topology at = find_topology(binder, b, t, dtype);
    st->grid = grid_of(b, t, p->phase, dtype, at);
    if (!st->grid) {
        op_key key = key_of(b, p->phase, dtype, at);
        return op_refuse_key(why, b, &a2a_schema, t, &key, 0, LARGE_EP_PAGE);
    }
    bool shared = p->comm_backend == A2A_deepep_ht;
    if (!shared || (at.nodes == 1 && p->sms == LONE_SMS))
        st->curve = curve_at(binder->arena, st->grid, p->sms);
    return shared && !st->curve ? bind_share(binder, b, t, at, st, why) : OP_OK;
}

static void a2a_bind(op_binder *binder, op_bound *b) {
    a2a_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const char *reason = NULL;
    const pdb_table *t = a2a_table(b->view, &reason);
    op_refusal why = {0};
    b->state = st;
    st->unloadable = !t;
    if (!t)
        op_refuse_op(&why, b->op, OP_MISSING, "%s (docs/model/" LARGE_EP_PAGE ".md)", reason);
    else
        bind_slice(binder, b, t, st, &why);
    if (why.cls == OP_OK)
        return;
    b->substitutions = NULL;
    op_bind_refuse(binder, b, &why);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Priced in proportion to the tokens, whatever the budget. */
static double curve_sol(const void *unused, const double *tokens) {
    (void)unused;
    return tokens[0];
}

static double grid_sol(const void *unused, const double *sms_tokens) {
    (void)unused;
    return sms_tokens[1];
}

static pdb_miss grid_at(const pdb_grid *g, double sms, double tokens, pdb_value *out) {
    const double at[] = {sms, tokens};
    return pdb_grid_query(g, at, -1, grid_sol, NULL, out);
}

static pdb_miss value_at(const a2a_state *st, double sms, double tokens, pdb_value *out) {
    if (st->curve)
        return pdb_grid_query(st->curve, &tokens, -1, curve_sol, NULL, out);
    pdb_value other, sum;
    pdb_miss miss = grid_at(st->grid, sms, tokens, out);
    if (miss != PDB_HIT || !st->sum)
        return miss;
    miss = grid_at(st->other, sms, tokens, &other);
    if (miss == PDB_HIT)
        miss = grid_at(st->sum, sms, tokens, &sum);
    if (miss != PDB_HIT || !(out->latency + other.latency > 0.0))
        return miss;
    out->latency = out->latency * sum.latency / (out->latency + other.latency);
    out->how = out->how > other.how ? out->how : other.how;
    out->how = out->how > sum.how ? out->how : sum.how;
    out->from |= other.from | sum.from;
    return miss;
}

static op_class a2a_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    const a2a_params *p = b->op->params;
    const a2a_state *st = b->state;
    if (!op_mode_measures(mode))
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "exchanges of large expert parallelism are measured or not answered; mode %s "
                            "does not measure (docs/model/" LARGE_EP_PAGE ".md)",
                            op_mode_name(mode));
    if (b->refused != OP_OK) {
        op_refuse(why, b->refused, "%s", b->reason);
        return st->unloadable ? b->refused : measured_only(mode, b->refused, why);
    }
    pdb_value v;
    pdb_miss miss = value_at(st, p->sms, shape->x / op_at_least_1(p->attention_tp_size), &v);
    if (miss != PDB_HIT)
        return measured_only(mode, op_refuse_miss(why, b, &a2a_schema, miss, "token count", LARGE_EP_PAGE),
                             why);
    *out = op_measured(&v);
    if (b->substitutions) {
        out->source = OP_SRC_estimated;
        op_cover_all(out, OP_EXTRAPOLATED);
    }
    return OP_OK;
}

/* ---- coverage ------------------------------------------------------------------------------------------ */

static bool measured_at(const pdb_view *view, const pdb_table *t, const op_a2a_need *need, int phase,
                        topology at) {
    op_key key = {0};
    op_key_text(&key, view, need->comm_backend);
    op_key_text(&key, view, phases[phase]);
    op_key_text(&key, view, phase == DISPATCH ? need->dispatch_dtype : need->combine_dtype);
    const uint32_t rest[] = {at.ep, at.nodes, need->hidden, need->topk, need->experts};
    for (size_t i = 0; i < OP_COUNT(rest); i++)
        op_key_int(&key, rest[i]);
    return pdb_slice_find(t, key.value) != NULL;
}

static bool exchange_at(const pdb_view *view, const pdb_table *t, const op_a2a_need *need, topology at) {
    return measured_at(view, t, need, DISPATCH, at) && measured_at(view, t, need, COMBINE, at);
}

bool op_a2a_covers(const pdb_view *view, const op_a2a_need *need) {
    const pdb_table *t = a2a_table(view, NULL);
    size_t i = 0;
    while (backends[i] && strcmp(backends[i], need->comm_backend) != 0)
        i++;
    if (!t || !backends[i])
        return false;
    return exchange_at(view, t, need, (topology){need->ep, need->nodes}) ||
           (need->nodes > 1 && backend_traits[i].stands_in && exchange_at(view, t, need, one_node(view)));
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field a2a_fields[] = {
    OP_CHOICE(a2a_params, phase, phases), OP_CHOICE(a2a_params, comm_backend, backends),
    OP_U32(a2a_params, hidden_size),      OP_U32(a2a_params, topk),
    OP_U32(a2a_params, num_experts),      OP_U32(a2a_params, moe_ep_size),
    OP_U32(a2a_params, node_num),         OP_TEXT_OR(a2a_params, comm_dtype, "default"),
    OP_U32_OR(a2a_params, sms, 0),        OP_U32_OR(a2a_params, attention_tp_size, 1),
};

const op_desc op_desc_moe_all_to_all = {.kind = "MoeAllToAll",
                                        .summary =
                                            "one phase of the token exchange of large expert parallelism",
                                        .params_size = sizeof(a2a_params),
                                        .fields = a2a_fields,
                                        .n_fields = OP_COUNT(a2a_fields),
                                        .reads = OP_READS_X,
                                        .schemas = a2a_files,
                                        .check = a2a_check,
                                        .bind = a2a_bind,
                                        .query = a2a_query};
