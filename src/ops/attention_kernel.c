/* Kernels that one slice of one table answers: binding, table answer, estimate, speed of light. */
#include "ops/attention_kernel.h"

#include <stdio.h>

/* How table coordinates are priced. */
typedef struct pricing {
    const attention_kernel *kernel;
    kernel_cost cost;
} pricing;

/* What an op is bound to: measurements (grid), or utilisation samples of the same slice (util). */
typedef struct kernel_state {
    pricing by;
    const pdb_grid *grid;
    const pdb_util *util;
} kernel_state;

const attention_kernel *kernel_of(const op_bound *b) {
    return b->op->desc->family;
}

/* ---- prices of table coordinates ----------------------------------------------------------------------- */

static double price_at(const pricing *by, double (*heads_of)(double), const double *c) {
    const attention_kernel *k = by->kernel;
    double heads = heads_of ? heads_of(c[0]) : c[0];
    attention_times t =
        k->decode ? k->price(&by->cost, heads, c[2], 0.0, c[1]) : k->price(&by->cost, heads, c[1], 0.0, c[2]);
    return op_max(t.math, t.mem);
}

static double row_sol(const void *by, const double *coords) {
    return price_at(by, ((const pricing *)by)->kernel->row_heads, coords);
}

static double sample_sol(const void *by, const double *coords) {
    return price_at(by, ((const pricing *)by)->kernel->sample_heads, coords);
}

/* ---- binding ------------------------------------------------------------------------------------------- */

op_class kernel_flops(const op_bound *b, pdb_quant mode, double *out, op_refusal *why) {
    *out = pdb_flops(b->system, mode);
    return *out > 0.0 ? OP_OK : op_refuse_flops(why, b->op, b->system, mode);
}

static op_class find_slice(const op_bound *b, const pdb_table *t, const pdb_slice **out, op_refusal *why) {
    const attention_kernel *k = kernel_of(b);
    op_key key = k->key(b);
    if (k->slice)
        return k->slice(b, t, &key, out, why);
    *out = pdb_slice_find(t, key.value);
    return *out ? OP_OK : op_refuse_key(why, b, k->schema, t, &key, 0, k->page);
}

/* The price and the slice of an op, for a table answer and its calibration alike. */
static op_class resolve(const op_bound *b, pricing *by, const pdb_slice **s, op_refusal *why) {
    const attention_kernel *k = by->kernel = kernel_of(b);
    op_class cls = k->cost(b, &by->cost, why);
    if (cls != OP_OK)
        return cls;
    const pdb_table *t = op_table(b, k->schema, k->page, why);
    return t ? find_slice(b, t, s, why) : OP_MISSING;
}

void kernel_bind(op_binder *binder, op_bound *b) {
    kernel_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const pdb_slice *s = NULL;
    op_refusal why;
    if (resolve(b, &st->by, &s, &why) == OP_OK) {
        st->grid = pdb_slice_grid(s);
        b->state = st;
    } else {
        op_bind_refuse(binder, b, &why);
    }
}

void kernel_bind_estimate(op_binder *binder, op_bound *b) {
    kernel_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    const pdb_slice *s = NULL;
    op_refusal why;
    op_class cls = resolve(b, &st->by, &s, &why);
    if (cls == OP_OK) {
        pricing samples = st->by;
        samples.cost.heads = 0.0; /* all head counts share one calibration */
        st->util = op_util_of_view(binder, pdb_slice_grid(s), sample_sol, &samples, sizeof samples);
        b->estimate = st;
        return;
    }
    if (cls == OP_MISSING)
        why.cls = OP_NO_EMPIRICAL;
    op_bind_refuse_estimate(binder, b, &why);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static double full_length(const op_shape *shape) {
    return (double)((uint64_t)shape->s + shape->prefix);
}

static void coords_of(const kernel_state *st, const op_shape *shape, double c[3]) {
    bool decode = st->by.kernel->decode;
    c[0] = st->by.cost.heads;
    c[1] = decode ? (double)shape->batch : full_length(shape);
    c[2] = decode ? (double)shape->s : (double)shape->batch;
}

static attention_times price_of(const attention_kernel *k, const kernel_cost *c, const op_shape *shape) {
    return k->price(c, c->heads, shape->s, k->decode ? 0.0 : shape->prefix, shape->batch);
}

op_class kernel_silicon(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const kernel_state *st = b->state;
    const attention_kernel *k = st->by.kernel;
    double c[3];
    coords_of(st, shape, c);
    pdb_value v;
    pdb_miss miss = pdb_grid_query(st->grid, c, k->decode ? -1 : 1, row_sol, &st->by, &v);
    if (miss != PDB_HIT) {
        char about[32];
        snprintf(about, sizeof about, "%.0f heads", st->by.cost.heads);
        return op_refuse_miss(why, b, k->schema, miss, about, k->page);
    }
    *out = op_measured(&v);
    if (!k->decode)
        op_scale(out, attention_prefix_correction(full_length(shape), shape->prefix));
    return OP_OK;
}

op_class kernel_empirical(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const kernel_state *st = b->estimate;
    double c[3];
    coords_of(st, shape, c);
    attention_times t = price_of(st->by.kernel, &st->by.cost, shape);
    return op_estimate(b, st->util, c, op_max(t.math, t.mem), 1.0, OP_TIER_empirical, out, why);
}

op_class kernel_sol(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why) {
    const attention_kernel *k = kernel_of(b);
    kernel_cost c;
    op_class cls = k->cost(b, &c, why);
    if (cls != OP_OK)
        return cls;
    attention_times t = price_of(k, &c, shape);
    *out = op_sol_pair(t.math, t.mem);
    return OP_OK;
}

const op_paths kernel_paths = {kernel_silicon, kernel_empirical, kernel_sol};

op_class kernel_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                      op_refusal *why) {
    return op_by_mode(&kernel_paths, b, mode, shape, out, why);
}

bool kernel_fan(const op_bound *b, op_fan_source *out) {
    const kernel_state *st = b->state;
    *out = (op_fan_source){.grid = st->grid, .coords = {st->by.cost.heads}, .sol = row_sol, .ctx = &st->by};
    return st->by.kernel->decode;
}
