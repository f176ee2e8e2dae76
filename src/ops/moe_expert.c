/* MoeExpertCompute: the experts of one rank under large expert parallelism (docs/model/moe_large_ep.md). */
#include "ops/large_ep_internal.h"
#include "ops/moe_internal.h"

#include <math.h>
#include <string.h>

typedef struct expert_params {
    uint32_t hidden_size, inter_size, topk, num_experts, moe_ep_size;
    pdb_quant quant_mode;
    const char *workload_distribution;
    uint32_t attention_dp_size;
    int inference_phase; /* of the table below */
    int64_t num_slots;   /* -1: one per expert */
    const char *kernel_source;
    bool is_gated, enable_eplb;
} expert_params;

enum { CONTEXT, GENERATION };
static const char *const phases[] = {"context", "generation", NULL};

/* ---- where the table is asked -------------------------------------------------------------------------- */

static const char *preferred_kernel(const op_bound *b) {
    const expert_params *p = b->op->params;
    if (strcmp(b->view->backend, "trtllm") != 0)
        return "deepep_moe";
    return b->system->sm_version >= 100 && p->quant_mode == PDB_Q_fp8_block ? "deepgemm" : "moe_torch_flow";
}

/* The op's kernel, or else the preferred one; TRT-LLM takes the first measured one by name where that is not
 * measured. t may be NULL. */
static const char *kernel_of(const op_bound *b, const pdb_table *t) {
    const expert_params *p = b->op->params;
    const char *preferred = preferred_kernel(b), *first = NULL;
    if (p->kernel_source)
        return p->kernel_source;
    if (!t || strcmp(b->view->backend, "trtllm") != 0)
        return preferred;
    uint64_t wanted = pdb_text_id(b->view, preferred), seen = UINT64_MAX;
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        uint64_t kernel = pdb_slice_at(t, i)->cat[EXPERT_KERNEL];
        if (kernel == wanted && wanted)
            return preferred;
        if (kernel == seen)
            continue;
        seen = kernel;
        const char *name = pdb_text(b->view, kernel);
        if (!first || strcmp(name, first) < 0)
            first = name;
    }
    return first;
}

static bool same_cats(const pdb_slice *s, const op_key *key, int n) {
    for (int c = 0; c < n; c++)
        if (s->cat[c] != key->value[c])
            return false;
    return true;
}

/* Has the kernel and mode of the key any rows of this distribution in the key's phase? */
static bool has_distribution(const pdb_table *t, const op_key *key, uint64_t distribution) {
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        if (same_cats(s, key, EXPERT_DISTRIBUTION) && s->cat[EXPERT_DISTRIBUTION] == distribution &&
            s->cat[EXPERT_PHASE] == key->value[EXPERT_PHASE])
            return true;
    }
    return false;
}

static void set_distribution(const op_bound *b, op_key *key, uint64_t id) {
    key->value[EXPERT_DISTRIBUTION] = id;
    key->text[EXPERT_DISTRIBUTION] = pdb_text(b->view, id);
}

/* The wanted distribution, else "uniform", else the one seen first; stays as it is when there is none. */
static void choose_distribution(const op_bound *b, const pdb_table *t, op_key *key) {
    uint64_t uniform = pdb_text_id(b->view, "uniform");
    if (has_distribution(t, key, key->value[EXPERT_DISTRIBUTION]))
        return;
    if (uniform && has_distribution(t, key, uniform)) {
        set_distribution(b, key, uniform);
        return;
    }
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const pdb_slice *s = pdb_slice_at(t, i);
        uint64_t seen = s->cat[EXPERT_DISTRIBUTION];
        if (same_cats(s, key, EXPERT_DISTRIBUTION) && has_distribution(t, key, seen)) {
            set_distribution(b, key, seen);
            return;
        }
    }
}

static uint32_t slots_of(const expert_params *p) {
    return p->num_slots < 0 ? p->num_experts : (uint32_t)p->num_slots;
}

static op_key key_of(const op_bound *b, const char *kernel) {
    const expert_params *p = b->op->params;
    const uint32_t shape[] = {p->topk, p->num_experts, slots_of(p), p->hidden_size, p->inter_size,
                              1,       p->moe_ep_size};
    op_key key = {0};
    op_key_text(&key, b->view, kernel);
    op_key_text(&key, b->view, pdb_quant_get(p->quant_mode)->name);
    op_key_text(&key, b->view, p->workload_distribution);
    op_key_text(&key, b->view, phases[p->inference_phase]);
    for (size_t i = 0; i < OP_COUNT(shape); i++)
        op_key_int(&key, shape[i]);
    return key;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct expert_state {
    moe_sol sol;
    const pdb_grid *curve;   /* NULL: not measured under large expert parallelism */
    const op_bound *general; /* Moe, which answers where the curve does not; NULL on SGLang */
    bool balanced;           /* expert load balancing takes a fifth of the tokens off */
} expert_state;

/* Math at the bfloat16 rate times the mode's factor; slots, not experts, hold weights. */
static moe_sol sol_of(const op_bound *b) {
    const expert_params *p = b->op->params;
    const pdb_quant_info *q = pdb_quant_get(p->quant_mode);
    return (moe_sol){.hidden = p->hidden_size,
                     .inter = p->inter_size,
                     .topk = p->topk,
                     .experts = slots_of(p),
                     .tp = 1,
                     .ep = op_at_least_1(p->moe_ep_size),
                     .gates = p->is_gated ? 3 : 2,
                     .bytes = q->bytes,
                     .flops = pdb_flops(b->system, PDB_Q_bfloat16) * q->compute,
                     .mem_bw = b->system->mem_bw};
}

/* The same experts as a Moe of one attention rank, whose tokens this op counts itself. */
static const op_bound *bind_general(op_binder *binder, const op_bound *b) {
    const expert_params *p = b->op->params;
    const struct {
        const char *field;
        aic_value value;
    } fields[] = {{"name", aic_str(b->op->name)},
                  {"hidden_size", aic_int(p->hidden_size)},
                  {"inter_size", aic_int(p->inter_size)},
                  {"topk", aic_int(p->topk)},
                  {"num_experts", aic_int(p->num_experts)},
                  {"moe_tp_size", aic_int(1)},
                  {"moe_ep_size", aic_int(p->moe_ep_size)},
                  {"quant_mode", aic_str(pdb_quant_get(p->quant_mode)->name)},
                  {"workload_distribution", aic_str(p->workload_distribution)},
                  {"is_gated", aic_bool(p->is_gated)}};
    op *moe = op_new(binder->arena, op_desc_moe.kind, NULL);
    for (size_t i = 0; i < OP_COUNT(fields); i++)
        op_set(binder->arena, moe, fields[i].field, &fields[i].value, NULL);
    op_finish(moe, NULL);
    op_binder measured = *binder;
    measured.mode = OP_SILICON;
    op_bound *bound = aic_arena_alloc(binder->arena, 1, sizeof *bound);
    op_bind(&measured, moe, bound);
    return bound;
}

static void bind_curve(op_bound *b, expert_state *st, const char *kernel, const pdb_table *t,
                       op_refusal *why) {
    op_key key = key_of(b, kernel);
    choose_distribution(b, t, &key);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (s)
        st->curve = pdb_slice_grid(s);
    else
        op_refuse_key(why, b, &expert_schema, t, &key, 0, LARGE_EP_PAGE);
}

static void expert_bind(op_binder *binder, op_bound *b) {
    const expert_params *p = b->op->params;
    expert_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    op_refusal why = {0};
    b->state = st;
    st->sol = sol_of(b);
    if (!(st->sol.flops > 0.0)) {
        op_refuse_flops(&why, b->op, b->system, PDB_Q_bfloat16);
        op_bind_refuse(binder, b, &why);
        return;
    }
    const char *reason = NULL;
    const pdb_table *t = expert_table(b->view, &reason);
    const char *kernel = kernel_of(b, t);
    st->balanced = p->enable_eplb && p->inference_phase == CONTEXT && strcmp(kernel, "deepep_moe") == 0;
    if (t)
        bind_curve(b, st, kernel, t, &why);
    else
        op_refuse_op(&why, b->op, OP_MISSING, "%s (docs/model/" LARGE_EP_PAGE ".md)", reason);
    if (strcmp(b->view->backend, "sglang") != 0)
        st->general = bind_general(binder, b);
    if (st->curve)
        return;
    if (!st->general) {
        op_bind_refuse(binder, b, &why);
    } else if (st->general->refused != OP_OK) {
        b->refused = st->general->refused;
        b->reason = st->general->reason;
    }
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static op_class curve_at(const op_bound *b, double tokens, op_result *out, op_refusal *why) {
    const expert_state *st = b->state;
    const pdb_grid *curve = st->curve;
    if (curve->n[0] == 1 && tokens < (double)curve->keys[0][0])
        return op_refuse_op(why, b->op, OP_MISSING,
                            "%s has a single point for this key, above the token count "
                            "(docs/model/" LARGE_EP_PAGE ".md)",
                            expert_schema.table);
    pdb_value v;
    pdb_miss miss = pdb_grid_query(curve, &tokens, -1, moe_table_sol, &st->sol, &v);
    if (miss != PDB_HIT)
        return op_refuse_miss(why, b, &expert_schema, miss, "token count", LARGE_EP_PAGE);
    *out = op_measured(&v);
    return OP_OK;
}

static op_class expert_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                             op_refusal *why) {
    const expert_params *p = b->op->params;
    const expert_state *st = b->state;
    if (!op_mode_measures(mode))
        return op_refuse_op(why, b->op, OP_NO_EMPIRICAL,
                            "experts of large expert parallelism are measured or not answered; mode %s does "
                            "not measure (docs/model/" LARGE_EP_PAGE ".md)",
                            op_mode_name(mode));
    if (b->refused != OP_OK) {
        op_refuse(why, b->refused, "%s", b->reason);
        return st->general ? b->refused : measured_only(mode, b->refused, why);
    }
    uint64_t tokens = moe_pool(shape->x, p->attention_dp_size);
    if (st->balanced)
        tokens = (uint64_t)((double)tokens * 0.8);
    op_class cls = OP_MISSING;
    if (st->curve)
        cls = curve_at(b, (double)tokens, out, st->general ? NULL : why);
    if (cls == OP_OK)
        return cls;
    if (!st->general)
        return measured_only(mode, cls, why);
    op_shape pool = *shape;
    pool.x = (uint32_t)tokens;
    return op_query(st->general, OP_SILICON, &pool, out, why);
}

static double expert_weights(const op *o) {
    const expert_params *p = o->params;
    double bytes = (double)p->hidden_size * (double)p->inter_size * (double)p->num_experts *
                   pdb_quant_get(p->quant_mode)->bytes * (p->is_gated ? 3.0 : 2.0);
    return floor(bytes / (double)op_at_least_1(p->moe_ep_size));
}

/* ---- coverage ------------------------------------------------------------------------------------------ */

static bool in_merged_table(const pdb_view *view, const op_expert_need *need) {
    const pdb_table *t = expert_table(view, NULL);
    uint64_t quant = pdb_text_id(view, pdb_quant_get(need->quant)->name),
             phase = pdb_text_id(view, phases[need->context ? CONTEXT : GENERATION]);
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[EXPERT_QUANT] == quant && cat[EXPERT_PHASE] == phase && cat[EXPERT_TOPK] == need->topk &&
            cat[EXPERT_EXPERTS] == need->experts && cat[EXPERT_HIDDEN] == need->hidden &&
            cat[EXPERT_INTER] == need->inter && cat[EXPERT_TP] == 1 && cat[EXPERT_EP] == need->ep)
            return true;
    }
    return false;
}

bool op_expert_covers(const pdb_view *view, const op_expert_need *need) {
    if (in_merged_table(view, need))
        return true;
    const moe_shape shape = {need->topk, need->experts, need->hidden, need->inter, 1, need->ep};
    return strcmp(view->backend, "sglang") != 0 && moe_covers(view, need->quant, &shape);
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field expert_fields[] = {
    OP_U32(expert_params, hidden_size),
    OP_U32(expert_params, inter_size),
    OP_U32(expert_params, topk),
    OP_U32(expert_params, num_experts),
    OP_U32(expert_params, moe_ep_size),
    OP_QUANT(expert_params, quant_mode, PDB_MOE),
    OP_TEXT(expert_params, workload_distribution),
    OP_U32(expert_params, attention_dp_size),
    OP_CHOICE(expert_params, inference_phase, phases),
    OP_U32_OR_NULL(expert_params, num_slots),
    OP_TEXT_OR_NULL(expert_params, kernel_source),
    OP_BOOL_OR(expert_params, is_gated, true),
    OP_BOOL_OR(expert_params, enable_eplb, false),
};

const op_desc op_desc_moe_expert_compute = {.kind = "MoeExpertCompute",
                                            .summary =
                                                "the experts of one rank under large expert parallelism",
                                            .params_size = sizeof(expert_params),
                                            .fields = expert_fields,
                                            .n_fields = OP_COUNT(expert_fields),
                                            .reads = OP_READS_X,
                                            .schemas = expert_files,
                                            .bind = expert_bind,
                                            .query = expert_query,
                                            .weight_bytes = expert_weights};
