/* MlaBmm: the batched products into and out of the latent space (docs/model/mla.md). */
#include "ops/mla_internal.h"

#include <stdio.h>

typedef struct bmm_params {
    uint32_t num_heads;
    pdb_quant quant_mode;
    bool is_pre;
} bmm_params;

/* ---- speed of light ------------------------------------------------------------------------------------ */

attention_times mla_bmm_price(const kernel_cost *c, double heads, double tokens) {
    double ops = 2.0 * tokens * heads * 128.0 * 512.0;
    double bytes = heads * (tokens * 640.0 + 128.0 * 512.0) * c->gemm_bytes;
    return (attention_times){ops / c->gemm_flops * 1000.0, bytes / c->mem_bw * 1000.0};
}

static op_class cost_of(const op_bound *b, kernel_cost *out, op_refusal *why) {
    const bmm_params *p = b->op->params;
    *out = (kernel_cost){.heads = p->num_heads,
                         .gemm_bytes = pdb_quant_get(p->quant_mode)->bytes,
                         .mem_bw = b->system->mem_bw};
    return kernel_flops(b, p->quant_mode, &out->gemm_flops, why);
}

/* ---- table --------------------------------------------------------------------------------------------- */

static const pdb_schema bmm_schema = {.table = "mla_bmm_perf",
                                      .cats = {{.column = "bmm_dtype", .text = true},
                                               {.column = "op_name", .text = true},
                                               {.column = "num_heads"}},
                                      .n_cats = 3,
                                      .axes = {{.column = "num_tokens"}},
                                      .n_axes = 1};
enum { CAT_DTYPE, CAT_OP };

static op_key key_of(const op_bound *b, pdb_quant quant, uint64_t heads) {
    const bmm_params *p = b->op->params;
    op_key key = {0};
    op_key_text(&key, b->view, pdb_quant_get(quant)->name);
    op_key_text(&key, b->view, p->is_pre ? "mla_gen_pre" : "mla_gen_post");
    op_key_int(&key, heads);
    return key;
}

/* Has the table rows that agree with the key up to this category? */
static bool has_rows(const pdb_table *t, const op_key *key, int last) {
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[CAT_DTYPE] == key->value[CAT_DTYPE] &&
            (last == CAT_DTYPE || cat[CAT_OP] == key->value[CAT_OP]))
            return true;
    }
    return false;
}

/* The op's mode where the table knows it, else bfloat16. */
static pdb_quant known_mode(const op_bound *b, const pdb_table *t, int last) {
    const bmm_params *p = b->op->params;
    op_key key = key_of(b, p->quant_mode, 0);
    return has_rows(t, &key, last) ? p->quant_mode : PDB_Q_bfloat16;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

/* A curve over tokens that stands for the op: measured with `cost.heads` heads, of which the op has a share.
 */
typedef struct bmm_state {
    kernel_cost cost;
    double share;
    const pdb_grid *curve; /* measurements */
    const pdb_util *util;  /* utilisation samples of the same curve */
} bmm_state;

/* Head counts that are no power of two and were not measured are a share of the next one that is. */
static uint64_t measured_heads(const op_bound *b, const pdb_table *t) {
    const bmm_params *p = b->op->params;
    uint64_t power = 1;
    while (power < p->num_heads)
        power *= 2;
    op_key own = key_of(b, known_mode(b, t, CAT_DTYPE), p->num_heads);
    return pdb_slice_find(t, own.value) ? p->num_heads : power;
}

/* category: how far a mode must be known to the table. */
static op_class resolve(const op_bound *b, int category, bmm_state *st, const pdb_slice **s,
                        op_refusal *why) {
    op_class cls = cost_of(b, &st->cost, why);
    if (cls != OP_OK)
        return cls;
    const pdb_table *t = op_table(b, &bmm_schema, MLA_PAGE, why);
    if (!t)
        return OP_MISSING;
    uint64_t heads = measured_heads(b, t);
    op_key key = key_of(b, known_mode(b, t, category), heads);
    st->share = st->cost.heads / (double)heads;
    st->cost.heads = (double)heads;
    *s = pdb_slice_find(t, key.value);
    return *s ? OP_OK : op_refuse_key(why, b, &bmm_schema, t, &key, 0, MLA_PAGE);
}

static double curve_sol(const void *cost, const double *tokens) {
    const kernel_cost *c = cost;
    attention_times t = mla_bmm_price(c, c->heads, tokens[0]);
    return op_max(t.math, t.mem);
}

static void bmm_bind(op_binder *binder, op_bound *b) {
    bmm_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const pdb_slice *s = NULL;
    op_refusal why;
    if (resolve(b, CAT_OP, st, &s, &why) == OP_OK) {
        st->curve = pdb_slice_grid(s);
        b->state = st;
    } else {
        op_bind_refuse(binder, b, &why);
    }
}

static void bmm_bind_estimate(op_binder *binder, op_bound *b) {
    bmm_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const pdb_slice *s = NULL;
    op_refusal why;
    op_class cls = resolve(b, CAT_DTYPE, st, &s, &why);
    if (cls == OP_OK) {
        st->util = op_util_of_view(binder, pdb_slice_grid(s), curve_sol, &st->cost, sizeof st->cost);
        b->estimate = st;
        return;
    }
    if (cls == OP_MISSING)
        why.cls = OP_NO_EMPIRICAL;
    op_bind_refuse_estimate(binder, b, &why);
}

/* ---- answers: a token is a request --------------------------------------------------------------------- */

static op_class bmm_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const bmm_state *st = b->state;
    double tokens = shape->batch;
    pdb_value v;
    pdb_miss miss = pdb_grid_query(st->curve, &tokens, -1, curve_sol, &st->cost, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "%.0f heads", st->cost.heads);
        return op_refuse_miss(why, b, &bmm_schema, miss, about, MLA_PAGE);
    }
    *out = op_measured(&v);
    op_scale(out, st->share);
    return OP_OK;
}

static op_class bmm_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const bmm_state *st = b->estimate;
    double tokens = shape->batch;
    op_class cls =
        op_estimate(b, st->util, &tokens, curve_sol(&st->cost, &tokens), 1.0, OP_TIER_empirical, out, why);
    if (cls == OP_OK)
        op_scale(out, st->share);
    return cls;
}

static op_class bmm_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    kernel_cost c;
    op_class cls = cost_of(b, &c, why);
    if (cls != OP_OK)
        return cls;
    attention_times t = mla_bmm_price(&c, c.heads, shape->batch);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

static op_class bmm_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    static const op_paths paths = {.silicon = bmm_silicon, .empirical = bmm_empirical, .sol = bmm_sol};
    return op_by_mode(&paths, b, mode, shape, out, why);
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field bmm_fields[] = {
    OP_U32(bmm_params, num_heads),
    OP_QUANT(bmm_params, quant_mode, PDB_GEMM),
    OP_BOOL(bmm_params, is_pre),
};

static const pdb_schema *const bmm_schemas[] = {&bmm_schema, NULL};

const op_desc op_desc_mla_bmm = {.kind = "MlaBmm",
                                 .summary = "batched product into or out of the latent space",
                                 .params_size = sizeof(bmm_params),
                                 .fields = bmm_fields,
                                 .n_fields = OP_COUNT(bmm_fields),
                                 .reads = OP_READS_BATCH,
                                 .schemas = bmm_schemas,
                                 .bind = bmm_bind,
                                 .bind_estimate = bmm_bind_estimate,
                                 .query = bmm_query};
