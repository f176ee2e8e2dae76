/* FpmForward: one measured forward pass of the whole model in place of an op list (docs/model/fpm.md). */
#include "ops/fpm_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct fpm_params {
    int phase; /* fpm_phase */
    const char *model_path;
    op_texts match_identity;
    op_list sol_ops;
    double weight_bytes;
} fpm_params;

static bool fpm_check(const op *o, aic_error *err) {
    const fpm_params *p = o->params;
    if (p->match_identity.count == FPM_IDS)
        return true;
    return aic_fail(err, AIC_BAD_INPUT, "FpmForward \"%s\": match_identity has %zu texts, expected %d",
                    o->name, p->match_identity.count, FPM_IDS);
}

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct fpm_state {
    const fpm_cell *cell;
    const fpm_points *points; /* of the op's phase */
    const fpm_roofline *roofline;
} fpm_state;

static int differences(const fpm_cell *c, const op_texts *identity) {
    int n = 0;
    for (int i = 0; i < FPM_IDS; i++)
        n += strcmp(c->identity[i], identity->items[i]) != 0;
    return n;
}

/* The cell of the model that differs in the fewest points of identity; NULL when the model has none. */
static const fpm_cell *nearest_cell(const fpm_table *t, const fpm_params *p) {
    const fpm_cell *best = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const fpm_cell *c = &t->cells[i];
        if (strcmp(c->model, p->model_path) == 0 &&
            (!best || differences(c, &p->match_identity) < differences(best, &p->match_identity)))
            best = c;
    }
    return best;
}

static op_class refuse_cell(op_refusal *why, const op_bound *b, const fpm_table *t, const fpm_cell *near) {
    const fpm_params *p = b->op->params;
    aic_buf text = {0};
    if (near)
        aic_buf_printf(&text, "no cell of %s is collected with this configuration; the nearest has",
                       p->model_path);
    else
        aic_buf_printf(&text, "no cell of %s is collected; there is %s", p->model_path, t->cells[0].model);
    for (int i = 0, n = 0; near && i < FPM_IDS; i++)
        if (strcmp(near->identity[i], p->match_identity.items[i]) != 0)
            aic_buf_printf(&text, "%s %s %s instead of %s", n++ ? "," : "", fpm_identity_names[i],
                           near->identity[i], p->match_identity.items[i]);
    op_class cls =
        op_refuse_op(why, b->op, OP_MISSING, "%s of %s/%s/%s: %s (docs/model/" FPM_PAGE ".md)",
                     fpm_schema.table, b->system->name, b->view->backend, b->view->version, text.data);
    aic_buf_free(&text);
    return cls;
}

static void fpm_bind(op_binder *binder, op_bound *b) {
    const fpm_params *p = b->op->params;
    const char *fault;
    op_refusal why = {0};
    const fpm_table *t = fpm_table_get(b->view, &fault);
    const fpm_cell *cell = t ? nearest_cell(t, p) : NULL;
    if (!t)
        op_refuse_op(&why, b->op, OP_MISSING, "%s/%s/%s: %s (docs/model/" FPM_PAGE ".md)", b->system->name,
                     b->view->backend, b->view->version, fault);
    else if (!cell || differences(cell, &p->match_identity))
        refuse_cell(&why, b, t, cell);
    else if (!cell->points[p->phase].count)
        op_refuse_op(&why, b->op, OP_MISSING,
                     "%s of %s/%s/%s: the cell has no %s rows (docs/model/" FPM_PAGE ".md)", fpm_schema.table,
                     b->system->name, b->view->backend, b->view->version, fpm_phase_names[p->phase]);
    if (why.cls != OP_OK) {
        op_bind_refuse(binder, b, &why);
        return;
    }
    fpm_state *st = aic_arena_alloc(binder->arena, 1, sizeof *st);
    *st =
        (fpm_state){cell, &cell->points[p->phase], fpm_roofline_make(binder->arena, b->system, &p->sol_ops)};
    b->state = st;
}

/* ---- one pass ------------------------------------------------------------------------------------------ */

/* A pass in the making: where it is asked for, and by what its answer is multiplied. */
typedef struct pass {
    const op_bound *b;
    fpm_phase phase;
    double at[FPM_AXES];
    double factor;
} pass;

/* c = (total_prefill, batch, total_kv) or (total_kv, batch, 0) */
static double pass_sol(const void *ctx, const double *c) {
    const pass *q = ctx;
    const fpm_state *st = q->b->state;
    const double prefill[] = {c[1], c[0], c[2]}, decode[] = {c[1], 0.0, c[0]};
    return fpm_roofline_ms(st->roofline, q->phase, q->phase == FPM_PREFILL ? prefill : decode);
}

static bool is_price(double ms) {
    return ms > 0.0 && isfinite(ms);
}

/* Where the batch was found not to matter, larger batches are asked for at the largest measured one with the
 * same totals; over a long KV cache only by as much as the speed of light allows. */
static void hold_batch(pass *q) {
    const fpm_state *st = q->b->state;
    double flat = (double)st->cell->flat_from;
    if (q->phase != FPM_PREFILL || flat == 0.0 || q->at[FPM_BATCH] <= flat)
        return;
    const double held[] = {flat, q->at[FPM_TOTAL_PREFILL], q->at[FPM_TOTAL_KV]};
    if (!(q->at[FPM_TOTAL_KV] < 2.0 * q->at[FPM_TOTAL_PREFILL])) {
        double asked = fpm_roofline_ms(st->roofline, q->phase, q->at),
               there = fpm_roofline_ms(st->roofline, q->phase, held);
        if (!is_price(asked) || !is_price(there))
            return;
        q->factor = asked / there < 1.0 ? asked / there : 1.0;
    }
    q->at[FPM_BATCH] = flat;
}

static op_class refuse_outside(op_refusal *why, const pass *q, int axis) {
    const fpm_points *p = ((const fpm_state *)q->b->state)->points;
    return op_refuse_op(why, q->b->op, OP_MISSING,
                        "%s of %s/%s/%s: %s of this %s pass is outside the collected range %llu to %llu "
                        "(docs/model/" FPM_PAGE ".md)",
                        fpm_schema.table, q->b->system->name, q->b->view->backend, q->b->view->version,
                        fpm_axis_names[axis], fpm_phase_names[q->phase], (unsigned long long)p->low[axis],
                        (unsigned long long)p->high[axis]);
}

static op_class inside(const pass *q, op_refusal *why) {
    const fpm_points *p = ((const fpm_state *)q->b->state)->points;
    for (int axis = 0; axis < FPM_AXES; axis++)
        if (q->at[axis] < (double)p->low[axis] || q->at[axis] > (double)p->high[axis])
            return refuse_outside(why, q, axis);
    return OP_OK;
}

static op_class refuse_pass(op_refusal *why, const pass *q, const char *what) {
    const fpm_state *st = q->b->state;
    const char *gap = fpm_roofline_gap(st->roofline);
    return op_refuse_op(why, q->b->op, OP_MISSING, "%s of %s/%s/%s cannot answer this %s pass: %s%s%s%s",
                        fpm_schema.table, q->b->system->name, q->b->view->backend, q->b->view->version,
                        fpm_phase_names[q->phase], what,
                        gap ? "; there is no speed of light to carry it over: " : "", gap ? gap : "",
                        gap ? " has none (docs/model/" FPM_PAGE ".md)" : " (docs/model/" FPM_PAGE ".md)");
}

/* The answer of the measured shapes for a batch, at the pass's totals. */
static op_class from_shapes(const pass *q, double batch, pdb_value *out, op_refusal *why) {
    const fpm_state *st = q->b->state;
    const double prefill[] = {q->at[FPM_TOTAL_PREFILL], batch, q->at[FPM_TOTAL_KV]},
                 decode[] = {q->at[FPM_TOTAL_KV], batch, 0.0};
    pdb_miss miss = pdb_sites_query(st->points->sites, q->phase == FPM_PREFILL ? prefill : decode, true,
                                    pass_sol, q, out);
    return miss == PDB_HIT ? OP_OK : refuse_pass(why, q, pdb_miss_text(miss));
}

/* ---- decode steps between measured batches ------------------------------------------------------------- */

/* Batches run padded to a rung of captured graphs: a rung B is known by B + 1 being measured too. A batch
 * between rungs lies between the row just above the rung below and the rung above (or the last row). */
typedef struct bracket {
    bool applies;
    uint32_t lower, upper; /* sites */
} bracket;

static uint64_t batch_of(const pdb_sites *s, uint32_t i) {
    return s->site[2 * (size_t)i];
}

static bool is_rung(const pdb_sites *s, uint32_t i) {
    return i + 1 < s->n && batch_of(s, i + 1) == batch_of(s, i) + 1;
}

static bracket find_bracket(const pdb_sites *s, double batch) {
    bracket k = {.upper = s->n - 1};
    for (uint32_t i = 0; i < s->n; i++) {
        double at = (double)batch_of(s, i);
        if (at == batch)
            return (bracket){0};
        if (is_rung(s, i) && at < batch) {
            k.applies = true;
            k.lower = i + 1;
        } else if (is_rung(s, i)) {
            k.upper = i;
            break;
        }
    }
    return k;
}

static bool covers(const pdb_sites *s, uint32_t i, double kv) {
    return s->range[2 * (size_t)i] <= kv && kv <= s->range[2 * (size_t)i + 1];
}

static op_class between_rungs(const pass *q, const bracket *k, pdb_value *out, op_refusal *why) {
    const pdb_sites *s = ((const fpm_state *)q->b->state)->points->sites;
    double kv = q->at[FPM_TOTAL_KV], lo = (double)batch_of(s, k->lower), hi = (double)batch_of(s, k->upper);
    bool low = covers(s, k->lower, kv), high = covers(s, k->upper, kv);
    if (!low && !high)
        return refuse_pass(why, q, "neither of the measured batches around it reaches its KV total");
    op_class cls = from_shapes(q, low ? lo : hi, out, why);
    if (cls != OP_OK || !(low && high) || lo == hi)
        return cls;
    pdb_value above;
    cls = from_shapes(q, hi, &above, why);
    out->latency += (above.latency - out->latency) * ((q->at[FPM_BATCH] - lo) / (hi - lo));
    out->how = PDB_INSIDE;
    return cls;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static op_class answer(const pass *q, pdb_value *out, op_refusal *why) {
    const pdb_sites *s = ((const fpm_state *)q->b->state)->points->sites;
    bracket k = {0};
    if (q->phase == FPM_DECODE)
        k = find_bracket(s, q->at[FPM_BATCH]);
    op_class cls = k.applies ? between_rungs(q, &k, out, why) : from_shapes(q, q->at[FPM_BATCH], out, why);
    if (cls != OP_OK)
        return cls;
    if (q->factor != 1.0)
        out->how = PDB_BEYOND;
    out->latency *= q->factor;
    return is_price(out->latency) ? OP_OK : refuse_pass(why, q, "its latency is not a positive number");
}

/* The same in every database mode: there is no estimate of a whole model, and its speed of light is that of
 * the op list it stands for. */
static op_class fpm_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                          op_refusal *why) {
    (void)mode;
    const fpm_params *p = b->op->params;
    if (b->refused != OP_OK)
        return op_refuse(why, b->refused, "%s", b->reason);
    if (shape->batch < 1 || shape->s < 1)
        return op_refuse_op(why, b->op, OP_INVALID, "a pass needs at least one request and one token");
    double batch = shape->batch, tokens = batch * shape->s;
    pass q = {.b = b, .phase = (fpm_phase)p->phase, .at = {batch, 0.0, tokens}, .factor = 1.0};
    if (q.phase == FPM_PREFILL) {
        q.at[FPM_TOTAL_PREFILL] = tokens;
        q.at[FPM_TOTAL_KV] = batch * shape->prefix;
    }
    hold_batch(&q);
    bool held = q.at[FPM_BATCH] != batch;
    pdb_value v;
    op_class cls = inside(&q, why);
    if (cls == OP_OK)
        cls = answer(&q, &v, why);
    if (cls != OP_OK)
        return cls;
    if (held)
        v.how = PDB_BEYOND;
    v.energy = 0.0;
    *out = op_measured(&v);
    return OP_OK;
}

static double fpm_weights(const op *o) {
    return ((const fpm_params *)o->params)->weight_bytes;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static const op_field fpm_fields[] = {
    OP_CHOICE(fpm_params, phase, fpm_phase_names), OP_TEXT(fpm_params, model_path),
    OP_TEXTS(fpm_params, match_identity),          OP_MEMBERS(fpm_params, sol_ops),
    OP_F64_OR(fpm_params, weight_bytes, 0.0),
};

static const pdb_schema *const fpm_schemas[] = {&fpm_schema, NULL};

const op_desc op_desc_fpm_forward = {.kind = "FpmForward",
                                     .summary = "measured forward pass of a whole model",
                                     .params_size = sizeof(fpm_params),
                                     .fields = fpm_fields,
                                     .n_fields = OP_COUNT(fpm_fields),
                                     .composite = true,
                                     .every_mode = true,
                                     .reads = OP_READS_BATCH | OP_READS_S | OP_READS_PREFIX,
                                     .schemas = fpm_schemas,
                                     .check = fpm_check,
                                     .bind = fpm_bind,
                                     .query = fpm_query,
                                     .weight_bytes = fpm_weights};
