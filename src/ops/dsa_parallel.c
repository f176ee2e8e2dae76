/* DsaContext over the ranks of a context-parallel group (docs/model/dsa.md, "Context parallelism"). */
#include "ops/dsa_internal.h"

#include <string.h>

/* ---- kernels whose work does not divide evenly --------------------------------------------------------- */

static bool admit_topk(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    row->cat[1] = strcmp(pdb_text(view, row->cat[1]), "flat") == 0;
    return true;
}

#define KERNEL_AXES                                                                                          \
    .axes = {{.column = "batch_size"}, {.column = "isl"}, {.column = "step"}}, .n_axes = 3,                  \
    .last_in_source = true
#define HEADS                                                                                                \
    { .column = "num_heads", .optional = true }
#define LOGITS_SCHEMA(file)                                                                                  \
    { .table = (file), .cats = {HEADS}, .n_cats = 1, KERNEL_AXES }
#define TOPK_SCHEMA(file)                                                                                    \
    {                                                                                                        \
        .table = (file), .cats = {HEADS, {.column = "score_mode", .text = true, .optional = true}},          \
        .n_cats = 2, KERNEL_AXES, .admit = admit_topk                                                        \
    }

const pdb_schema dsa_v32_logits = LOGITS_SCHEMA("dsv32_mqa_logits_module_perf"),
                 dsa_v32_topk = TOPK_SCHEMA("dsv32_topk_module_perf"),
                 dsa_glm_logits = LOGITS_SCHEMA("glm5_mqa_logits_module_perf"),
                 dsa_glm_topk = TOPK_SCHEMA("glm5_topk_module_perf");

enum { TOPK_LAST, TOPK_FLAT }; /* second category: scores of the last tokens of a prompt, or of all */

struct dsa_parallel {
    const pdb_schema *logits, *topk;
    const pdb_grid *scores, *last, *flat;
    const char *missing; /* why context parallelism has no answer in any mode; NULL = it may have */
    const op_bound *gather;
};

/* Rows of the head count, or all rows of a file that does not tell. */
static const pdb_grid *kernel_grid(const op_bound *b, const pdb_schema *schema, uint64_t mode) {
    const dsa_params *p = b->op->params;
    const pdb_table *t = pdb_table_get(b->view, schema, NULL);
    const pdb_slice *s = t ? pdb_slice_find(t, (uint64_t[]){p->num_heads, mode}) : NULL;
    if (t && !s)
        s = pdb_slice_find(t, (uint64_t[]){0, mode});
    return s ? pdb_slice_grid(s) : NULL;
}

const dsa_parallel *dsa_bind_parallel(op_binder *binder, op_bound *b) {
    const dsa_params *p = b->op->params;
    dsa_parallel *cp = aic_arena_alloc(binder->arena, 1, sizeof *cp);
    bool v32 = strcmp(p->architecture, "DeepseekV32ForCausalLM") == 0;
    cp->logits = v32 ? &dsa_v32_logits : &dsa_glm_logits;
    cp->topk = v32 ? &dsa_v32_topk : &dsa_glm_topk;
    cp->scores = kernel_grid(b, cp->logits, 0);
    cp->last = kernel_grid(b, cp->topk, TOPK_LAST);
    cp->flat = kernel_grid(b, cp->topk, TOPK_FLAT);
    cp->gather = sparse_bind_gather(binder, b, p->cp_size);
    if (cp->scores && cp->last && cp->flat) {
        b->refused = cp->gather->refused;
        b->reason = cp->gather->reason;
        return cp;
    }
    op_refusal why;
    op_refuse_op(&why, b->op, OP_MISSING,
                 "context parallelism needs %s and %s of %s/%s/%s at num_heads %lu, which are not measured "
                 "(docs/model/" DSA_PAGE ".md)",
                 cp->logits->table, cp->topk->table, b->system->name, b->view->backend, b->view->version,
                 (unsigned long)p->num_heads);
    op_bind_refuse(binder, b, &why);
    cp->missing = b->reason;
    return cp;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* What a rank saves on the indexer and its selection compared with the even share of the module. */
static op_class uneven(const op_bound *b, const op_shape *shape, uint32_t per, double *ms, pdb_origins *from,
                       op_refusal *why) {
    const dsa_params *p = b->op->params;
    const dsa_parallel *cp = ((const dsa_state *)b->state)->parallel;
    const struct {
        const pdb_schema *schema;
        const pdb_grid *grid;
        uint32_t tokens;
    } looks[] = {{cp->logits, cp->scores, shape->s},
                 {cp->logits, cp->scores, per},
                 {cp->topk, cp->last, shape->s},
                 {cp->topk, cp->flat, per}};
    double t[OP_COUNT(looks)], ranks = p->cp_size;
    for (size_t i = 0; i < OP_COUNT(looks); i++) {
        op_class cls = sparse_look(b, looks[i].schema, looks[i].grid, shape->batch, looks[i].tokens,
                                   shape->prefix, DSA_PAGE, &t[i], from, why);
        if (cls != OP_OK)
            return cls;
    }
    *ms = (t[0] / ranks - t[1]) + (t[2] / ranks - t[3]);
    return OP_OK;
}

/* One kind of layer: the module on this rank's tokens, and what the ranks hand around. The indexer's keys
 * travel only where there is an indexer. */
static op_class compose(const op_bound *b, const dsa_half *half, op_mode mode, const op_shape *shape,
                        sparse_sum *sum, double *ms, op_refusal *why) {
    const dsa_params *p = b->op->params;
    const dsa_parallel *cp = ((const dsa_state *)b->state)->parallel;
    const dsa_dims *d = dsa_dims_of(p->architecture);
    op_shape rank = *shape;
    rank.s = sparse_per_rank(shape->s, p->cp_size);
    op_result base;
    double tokens = (double)shape->batch * shape->s, saved = 0.0, keys = 0.0, latents;
    op_class cls = op_by_mode(&dsa_paths, &half->b, mode, &rank, &base, why);
    if (cls == OP_OK && !half->sol.skip)
        cls = uneven(b, shape, rank.s, &saved, &sum->from, why);
    if (cls == OP_OK && !half->sol.skip)
        cls = sparse_gather(cp->gather, mode, tokens * d->index_dim, sum, &keys, why);
    if (cls == OP_OK)
        cls = sparse_gather(cp->gather, mode, tokens * (d->kv_lora + d->rope), sum, &latents, why);
    if (cls != OP_OK)
        return cls;
    sparse_witness(sum, &base);
    *ms = base.latency + saved + (keys + latents);
    return OP_OK;
}

op_class dsa_parallel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                            op_refusal *why) {
    const dsa_state *st = b->state;
    if (st->parallel->missing)
        return op_refuse(why, OP_MISSING, "%s", st->parallel->missing);
    sparse_sum sum = {.worst = OP_INTERPOLATED};
    double skip;
    op_class cls = compose(b, &st->full, mode, shape, &sum, &sum.ms, why);
    if (cls == OP_OK && st->share < 1.0) {
        cls = compose(b, &st->skip, mode, shape, &sum, &skip, why);
        if (cls == OP_OK)
            sum.ms = st->share * sum.ms + (1.0 - st->share) * skip;
    }
    if (cls == OP_OK)
        *out = sparse_sum_result(&sum);
    return cls;
}
