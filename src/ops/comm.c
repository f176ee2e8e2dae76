/* CustomAllReduce and Nccl: collectives over measured message sizes (docs/model/communication.md). */
#include "ops/comm_curve.h"

#include <string.h>

#define PAGE COMM_PAGE

/* ---- CustomAllReduce ----------------------------------------------------------------------------------- */

typedef struct allreduce_params {
    uint32_t hidden_size, tp_size;
    pdb_quant quant;
    uint32_t seq_split;
} allreduce_params;

typedef struct allreduce_state {
    const op_bound *nccl; /* answers instead, or NULL */
    comm_curve curve;
} allreduce_state;

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Eager-mode rows are no serving kernels, except on the one system that has measured nothing else. */
static bool allreduce_admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    (void)schema;
    return strcmp(view->measured, "b60") == 0 || !(ends_with(pdb_text(view, row->cat[1]), "_eager") ||
                                                   ends_with(pdb_text(view, row->cat[2]), "_eager"));
}

const pdb_schema comm_allreduce_schema = {
    .table = "custom_allreduce_perf",
    .cats = {{.column = "num_gpus"},
             {.column = "kernel_source", .text = true, .optional = true},
             {.column = "backend", .text = true, .optional = true}},
    .n_cats = 3,
    .n_extra = 2,
    .axes = {{.column = "message_size"}},
    .n_axes = 1,
    .wide_axis = true,
    .admit = allreduce_admit};

/* Racks of 72 GPUs in one node run large all-reduces over NCCL. */
static bool over_nccl(const op_bound *b, const allreduce_params *p) {
    return b->system->gpus_per_node == 72 && p->tp_size > 4;
}

static void bind_over_nccl(op_binder *binder, op_bound *b, allreduce_state *st);

/* The slice of the group or, for larger groups than any measured, of the largest; NULL and why. */
static const pdb_slice *allreduce_slice(const op_bound *b, uint32_t *measured, op_refusal *why) {
    const allreduce_params *p = b->op->params;
    const pdb_table *t = op_table(b, &comm_allreduce_schema, PAGE, why);
    if (!t)
        return NULL;
    if (p->quant != PDB_Q_half) {
        op_refuse_op(why, b->op, OP_MISSING,
                     "%s of %s/%s/%s is measured in half only, not %s (docs/model/" PAGE ".md)",
                     comm_allreduce_schema.table, b->system->name, b->view->backend, b->view->version,
                     pdb_quant_get(p->quant)->name);
        return NULL;
    }
    uint64_t most = 0;
    for (size_t i = 0; i < pdb_slice_count(t); i++)
        most = pdb_slice_at(t, i)->cat[0] > most ? pdb_slice_at(t, i)->cat[0] : most;
    *measured = p->tp_size < most ? p->tp_size : (uint32_t)most;
    op_key key = {0};
    op_key_int(&key, *measured);
    const pdb_slice *s = pdb_slice_find(t, key.value);
    if (!s)
        op_refuse_key(why, b, &comm_allreduce_schema, t, &key, 0, PAGE);
    return s;
}

static void allreduce_bind(op_binder *binder, op_bound *b) {
    const allreduce_params *p = b->op->params;
    allreduce_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    uint32_t measured;
    op_refusal why;
    b->state = st;
    if (p->tp_size <= 1)
        return;
    if (over_nccl(b, p)) {
        bind_over_nccl(binder, b, st);
        return;
    }
    const pdb_slice *s = allreduce_slice(b, &measured, &why);
    if (s)
        st->curve = comm_curve_of(b->system, &comm_allreduce_schema, s, measured, p->tp_size);
    else
        op_bind_refuse(binder, b, &why);
}

/* Two passes of half-precision elements around the ring. */
static double allreduce_price(const void *price, const double *size) {
    const comm_price *c = price;
    return 2.0 * size[0] * 2.0 / c->gpus * (c->gpus - 1.0) / c->bw * 1000.0;
}

static void allreduce_bind_estimate(op_binder *binder, op_bound *b) {
    const allreduce_params *p = b->op->params;
    bool elsewhere = p->tp_size <= 1 || (binder->mode == OP_HYBRID && over_nccl(b, p));
    uint32_t measured = 0;
    op_refusal why;
    const pdb_slice *s = elsewhere ? NULL : allreduce_slice(b, &measured, &why);
    if (!elsewhere)
        b->estimate = comm_calibrate(binder, b, s, measured, p->tp_size, 1.0, allreduce_price, &why);
}

static double allreduce_size(const allreduce_params *p, const op_shape *shape) {
    return (double)op_ceildiv(shape->x, p->seq_split) * (double)p->hidden_size;
}

static op_class allreduce_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const allreduce_state *st = b->state;
    return comm_curve_at(b, &st->curve, allreduce_size(b->op->params, shape), out, why);
}

static op_class allreduce_empirical(const op_bound *b, const op_shape *shape, op_result *out,
                                    op_refusal *why) {
    const allreduce_params *p = b->op->params;
    comm_price price = comm_price_of(b->system, p->tp_size, 1.0);
    return comm_estimate_at(b, b->estimate, allreduce_size(p, shape), allreduce_price, &price, out, why);
}

/* The pair is reported as (0, 0), as the reference does. */
static op_class allreduce_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    (void)why;
    const allreduce_params *p = b->op->params;
    comm_price price = comm_price_of(b->system, p->tp_size, 1.0);
    double size = allreduce_size(p, shape);
    *out = op_formula(allreduce_price(&price, &size), OP_SRC_sol);
    out->has_sol = true;
    return OP_OK;
}

static op_class allreduce_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                                op_refusal *why) {
    static const op_paths paths = {
        .silicon = allreduce_silicon, .empirical = allreduce_empirical, .sol = allreduce_sol};
    const allreduce_params *p = b->op->params;
    const allreduce_state *st = b->state;
    if (p->tp_size <= 1) {
        *out = op_zero(OP_SRC_empirical);
        return OP_OK;
    }
    if (st && st->nccl && op_mode_measures(mode))
        return op_query(st->nccl, mode, shape, out, why);
    return op_by_mode(&paths, b, mode, shape, out, why);
}

static const op_field allreduce_fields[] = {
    OP_U32(allreduce_params, hidden_size),
    OP_U32(allreduce_params, tp_size),
    OP_QUANT(allreduce_params, quant, PDB_COMM),
    OP_U32_OR(allreduce_params, seq_split, 1),
};

static const pdb_schema *const allreduce_schemas[] = {&comm_allreduce_schema, NULL};

const op_desc op_desc_custom_allreduce = {.kind = "CustomAllReduce",
                                          .summary =
                                              "the framework's own all-reduce over a tensor-parallel group",
                                          .params_size = sizeof(allreduce_params),
                                          .fields = allreduce_fields,
                                          .n_fields = OP_COUNT(allreduce_fields),
                                          .reads = OP_READS_X,
                                          .schemas = allreduce_schemas,
                                          .bind = allreduce_bind,
                                          .bind_estimate = allreduce_bind_estimate,
                                          .query = allreduce_query};

op *comm_make_allreduce(aic_arena *a, const char *name, uint32_t gpus, uint32_t elements) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    allreduce_params *p = aic_arena_alloc(a, 1, sizeof *p);
    *p = (allreduce_params){elements, gpus, PDB_Q_half, 1};
    *o = (op){.desc = &op_desc_custom_allreduce, .name = name, .repeat = 1.0, .params = p};
    return o;
}

/* ---- Nccl ---------------------------------------------------------------------------------------------- */

typedef struct nccl_params {
    double hidden_size; /* elements per token, may be fractional */
    uint32_t num_gpus;
    pdb_quant dtype;
    const char *operation;
    uint32_t seq_split;
    comm_operation kind; /* of operation */
} nccl_params;

static const struct {
    const char *name;
    double factor;
} operations[] = {
#define COMM_ROW(name, factor) {#name, factor},
    COMM_OPERATIONS(COMM_ROW)
#undef COMM_ROW
        {"", 0.0}, /* COMM_OTHER: nothing is known about it */
};

static bool nccl_check(const op *o, aic_error *err) {
    (void)err;
    nccl_params *p = o->params;
    int i = 0;
    while (i < COMM_OTHER && strcmp(operations[i].name, p->operation) != 0)
        i++;
    p->kind = (comm_operation)i;
    return true;
}

#define NCCL_SCHEMA(name)                                                                                    \
    {                                                                                                        \
        .table = (name),                                                                                     \
        .cats = {{.column = "nccl_dtype", .text = true},                                                     \
                 {.column = "op_name", .text = true},                                                        \
                 {.column = "num_gpus"}},                                                                    \
        .n_cats = 3, .axes = {{.column = "message_size"}}, .n_axes = 1, .wide_axis = true                    \
    }
const pdb_schema comm_nccl_schema = NCCL_SCHEMA("nccl_perf");
const pdb_schema comm_oneccl_schema = NCCL_SCHEMA("oneccl_perf");

typedef struct library {
    const pdb_schema *schema;
    const pdb_table *table; /* NULL: not loaded */
    op_key key;             /* (dtype, operation, GPUs) */
} library;

static library open_library(const op_bound *b, const pdb_schema *schema, const char **why) {
    const nccl_params *p = b->op->params;
    library l = {.schema = schema, .table = pdb_table_get(b->view, schema, why)};
    if (l.table) {
        op_key_text(&l.key, b->view, pdb_quant_get(p->dtype)->name);
        op_key_text(&l.key, b->view, p->operation);
        op_key_int(&l.key, p->num_gpus);
    }
    return l;
}

/* The largest group measured for the (dtype, operation) of l.key. */
static uint64_t most_gpus(const library *l) {
    uint64_t most = 0;
    for (size_t i = 0; l->table && i < pdb_slice_count(l->table); i++) {
        const uint64_t *cat = pdb_slice_at(l->table, i)->cat;
        if (cat[0] == l->key.value[0] && cat[1] == l->key.value[1] && cat[2] > most)
            most = cat[2];
    }
    return most;
}

static const pdb_slice *slice_for(library *l, uint32_t gpus) {
    l->key.value[2] = gpus;
    return l->table ? pdb_slice_find(l->table, l->key.value) : NULL;
}

static void refuse_library(const op_bound *b, const library *l, const char *reason, op_refusal *why) {
    if (l->table)
        op_refuse_key(why, b, l->schema, l->table, &l->key, 0, PAGE);
    else
        op_refuse_op(why, b->op, OP_MISSING, "%s: %s (docs/model/" PAGE ".md)", b->system->name, reason);
}

static void nccl_bind(op_binder *binder, op_bound *b) {
    const nccl_params *p = b->op->params;
    comm_curve *curve = aic_arena_alloc(binder->arena, 1, sizeof *curve);
    b->state = curve;
    if (p->num_gpus <= 1)
        return;
    const char *reason = NULL, *unused;
    library nccl = open_library(b, &comm_nccl_schema, &reason),
            oneccl = open_library(b, &comm_oneccl_schema, &unused);
    uint64_t most = most_gpus(&nccl), other = most_gpus(&oneccl);
    most = most > other ? most : other;
    uint32_t measured = most && most < p->num_gpus ? (uint32_t)most : p->num_gpus;
    library *l = &nccl;
    const pdb_slice *s = slice_for(l, measured);
    if (!s) {
        l = oneccl.table ? &oneccl : &nccl;
        s = slice_for(l, measured);
    }
    if (s) {
        *curve = comm_curve_of(b->system, l->schema, s, measured, p->num_gpus);
        return;
    }
    op_refusal why;
    refuse_library(b, l, reason, &why);
    op_bind_refuse(binder, b, &why);
}

static comm_price nccl_price_of(const op_bound *b, uint32_t gpus) {
    const nccl_params *p = b->op->params;
    return comm_price_of(b->system, gpus, operations[p->kind].factor * pdb_quant_get(p->dtype)->bytes);
}

static double nccl_price(const void *price, const double *size) {
    const comm_price *c = price;
    return c->weight * size[0] * (c->gpus - 1.0) / c->gpus / c->bw * 1000.0;
}

/* Calibrated from one library: NCCL where it has a table, whatever it holds. */
static void nccl_bind_estimate(op_binder *binder, op_bound *b) {
    const nccl_params *p = b->op->params;
    if (p->num_gpus <= 1)
        return;
    const char *reason = NULL, *unused;
    library l = open_library(b, &comm_nccl_schema, &reason);
    if (!l.table)
        l = open_library(b, &comm_oneccl_schema, &unused);
    uint64_t most = most_gpus(&l);
    uint32_t measured = most && most < p->num_gpus ? (uint32_t)most : p->num_gpus;
    const pdb_slice *s = slice_for(&l, measured);
    op_refusal why;
    if (!s)
        refuse_library(b, &l, reason, &why);
    b->estimate = comm_calibrate(binder, b, s, measured, p->num_gpus, nccl_price_of(b, measured).weight,
                                 nccl_price, &why);
}

static double nccl_size(const nccl_params *p, const op_shape *shape) {
    return (double)op_ceildiv(shape->x, p->seq_split) * p->hidden_size;
}

static op_class nccl_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    return comm_curve_at(b, b->state, nccl_size(b->op->params, shape), out, why);
}

static op_class nccl_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const nccl_params *p = b->op->params;
    comm_price price = nccl_price_of(b, p->num_gpus);
    return comm_estimate_at(b, b->estimate, nccl_size(p, shape), nccl_price, &price, out, why);
}

static op_class nccl_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    (void)why;
    const nccl_params *p = b->op->params;
    comm_price price = nccl_price_of(b, p->num_gpus);
    double size = nccl_size(p, shape);
    *out = op_sol_pair(0.0, nccl_price(&price, &size));
    return OP_OK;
}

static op_class nccl_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                           op_refusal *why) {
    static const op_paths paths = {.silicon = nccl_silicon, .empirical = nccl_empirical, .sol = nccl_sol};
    const nccl_params *p = b->op->params;
    if (p->num_gpus <= 1) {
        *out = op_zero(mode == OP_SOL ? OP_SRC_sol : OP_SRC_empirical);
        return OP_OK;
    }
    return op_by_mode(&paths, b, mode, shape, out, why);
}

static const op_field nccl_fields[] = {
    OP_F64(nccl_params, hidden_size),       OP_U32(nccl_params, num_gpus),
    OP_QUANT(nccl_params, dtype, PDB_COMM), OP_TEXT(nccl_params, operation),
    OP_U32_OR(nccl_params, seq_split, 1),
};

static const pdb_schema *const nccl_schemas[] = {&comm_nccl_schema, &comm_oneccl_schema, NULL};

const op_desc op_desc_nccl = {.kind = "Nccl",
                              .summary = "a collective of the vendor library (NCCL, oneCCL)",
                              .params_size = sizeof(nccl_params),
                              .fields = nccl_fields,
                              .n_fields = OP_COUNT(nccl_fields),
                              .reads = OP_READS_X,
                              .schemas = nccl_schemas,
                              .check = nccl_check,
                              .bind = nccl_bind,
                              .bind_estimate = nccl_bind_estimate,
                              .query = nccl_query};

static op *make_nccl(aic_arena *a, const char *name, nccl_params params) {
    op *o = aic_arena_alloc(a, 1, sizeof *o);
    nccl_params *p = aic_arena_alloc(a, 1, sizeof *p);
    *p = params;
    *o = (op){.desc = &op_desc_nccl, .name = name, .repeat = 1.0, .params = p};
    return o;
}

op *comm_make_nccl(aic_arena *a, const char *name, uint32_t gpus, comm_operation operation, double elements) {
    return make_nccl(a, name,
                     (nccl_params){elements, gpus, PDB_Q_half, operations[operation].name, 1, operation});
}

op_class comm_nccl_elements(const op_bound *nccl, op_mode mode, double elements, op_result *out,
                            op_refusal *why) {
    nccl_params params = *(const nccl_params *)nccl->op->params;
    op o = *nccl->op;
    op_bound b = *nccl; /* what is bound depends on neither tokens nor elements */
    params.hidden_size = elements;
    o.params = &params;
    b.op = &o;
    const op_shape one_token = {.batch = 1, .s = 1, .x = 1, .imbalance = 1.0};
    return op_query(&b, mode, &one_token, out, why);
}

static void bind_over_nccl(op_binder *binder, op_bound *b, allreduce_state *st) {
    const allreduce_params *p = b->op->params;
    op *inner = make_nccl(binder->arena, b->op->name,
                          (nccl_params){p->hidden_size, p->tp_size, p->quant,
                                        operations[COMM_all_reduce].name, p->seq_split, COMM_all_reduce});
    op_bound *nccl = aic_arena_alloc(binder->arena, 1, sizeof *nccl);
    op_bind(binder, inner, nccl);
    st->nccl = nccl;
    b->refused = nccl->refused;
    b->reason = nccl->reason;
}
