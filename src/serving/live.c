/* The points of a block that are priced together: which they are, and what follows from the sums of their
 * walks, column by column (docs/model/serving.md, "factoring").
 *
 * What figures.c and memory.c say of one point is said here of all of them. Loops are plain and without
 * calls, so that compilers turn them into vectors; each operation stands in the order of the page it comes
 * from, so that the bits are those of a single point. What few blocks have - images, power, projections - is
 * done point by point with those very functions. */
#include "serving/layout.h"
#include <math.h>

/* ---- who they are ---------------------------------------------------------------------------- */

/* What a point says that is ok and has no figures, or that the deployment is refused. */
static void blank(const srv_deployment *d, srv_points *p) {
    for (size_t c = SRV_FIRST_FIGURE; c < SRV_COLUMN_COUNT; c++)
        *(double *)srv_points_column(p, c) = NAN;
    p->same |= ~(SRV_BIT(ttft) - 1);
    SRV_SAME(p, status, (uint8_t)d->refused);
    SRV_SAME(p, reason, d->refused != SRV_ST_ok ? d->why.text : NULL);
    SRV_SAME(p, kv_oom, false);
    SRV_SAME(p, encodes, false);
    SRV_SAME(p, carried, SRV_CARRIED_own);
    SRV_SAME(p, tier, OP_TIER_none);
    SRV_SAME(p, visual_tokens, 0);
}

/* Lanes are the points that no rule refuses. */
static void start_singly(const srv_deployment *d, srv_block *b, srv_live *l) {
    srv_points *p = &b->points;
    uint32_t *loads = srv_take(b, aic_mul(b->n, 4), sizeof *loads);
    uint32_t *batch = loads, *isl = batch + b->n, *osl = isl + b->n, *prefix = osl + b->n;
    uint32_t *at = srv_take(b, b->n, sizeof *at);
    srv_points_open_columns(
        p, SRV_IMAGE_BITS | SRV_BIT(status) | SRV_BIT(reason) | SRV_BIT(encodes) | SRV_BIT(visual_tokens),
        b->n);
    l->n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const srv_workload load = srv_points_load(p, i);
        srv_point point;
        srv_point_start(d, &load, &point);
        p->of.status[i] = (uint8_t)point.status;
        p->of.reason[i] = point.reason;
        p->of.encodes[i] = point.encodes;
        p->of.visual_tokens[i] = point.visual_tokens;
        batch[l->n] = load.batch;
        isl[l->n] = load.isl + point.visual_tokens;
        osl[l->n] = load.osl;
        prefix[l->n] = load.prefix;
        at[l->n] = (uint32_t)i;
        l->n += point.status == SRV_ST_ok;
    }
    l->at = at;
    l->batch = batch;
    l->isl = isl;
    l->osl = osl;
    l->prefix = prefix;
}

/* All points: no load of theirs breaks a rule. */
static void start_together(srv_block *b, srv_live *l) {
    const srv_layout *y = l->layout;
    *l = (srv_live){.n = b->n,
                    .at = y->at,
                    .batch = b->points.of.load.batch,
                    .isl = b->points.of.load.isl,
                    .osl = b->points.of.load.osl,
                    .prefix = b->points.of.load.prefix,
                    .n_lines = y->n_lines,
                    .line = y->line,
                    .layout = l->layout};
}

bool srv_live_start(const srv_deployment *d, srv_block *b, srv_live *l) {
    const uint32_t stride = d->tuning.stride;
    srv_block_rewind(b, d->n_rows);
    blank(d, &b->points);
    *l = (srv_live){.n = 0};
    if (d->refused != SRV_ST_ok)
        return false;
    if (!srv_points_have_images(&b->points))
        l->layout = srv_layout_find(b, stride);
    if (l->layout && srv_loads_within_rules(d, &l->layout->least, &l->layout->most)) {
        start_together(b, l);
    } else { /* they are looked at one by one; it may be that none breaks a rule */
        start_singly(d, b, l);
        l->layout = srv_layout_once(b, l, stride);
    }
    return true;
}

void srv_live_refuse(srv_block *b, const srv_live *l, size_t k, op_class cls, const char *text) {
    srv_point p;
    srv_points_open_columns(&b->points, SRV_BIT(status) | SRV_BIT(reason), b->n);
    srv_point_refuse(&p, cls, text);
    b->points.of.status[l->at[k]] = (uint8_t)p.status;
    b->points.of.reason[l->at[k]] = p.reason;
}

static uint32_t *without(srv_block *b, const uint32_t *column, const bool *gone, size_t n) {
    uint32_t *kept = srv_take(b, n, sizeof *kept);
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        kept[count] = column[k];
        count += !gone[k];
    }
    return kept;
}

void srv_live_drop(srv_block *b, srv_live *l, const bool *gone, const uint32_t **columns, size_t n_columns) {
    size_t n = l->n;
    l->at = without(b, l->at, gone, n);
    l->batch = without(b, l->batch, gone, n);
    l->isl = without(b, l->isl, gone, n);
    l->osl = without(b, l->osl, gone, n);
    l->prefix = without(b, l->prefix, gone, n);
    for (size_t c = 0; c < n_columns; c++)
        if (columns[c])
            columns[c] = without(b, columns[c], gone, n);
    for (size_t k = 0; k < n; k++)
        l->n -= gone[k];
    l->layout = NULL;
    l->line = NULL;
    l->n_lines = 0;
}

/* Moves a column's figures to their places and makes the others NaN. A figure never moves down. */
static void spread(double *v, bool same, const srv_live *l, size_t n) {
    const double first = v[0];
    for (size_t i = n, k = l->n; i-- > 0;) {
        bool has = k > 0 && l->at[k - 1] == i;
        k -= has;
        v[i] = !has ? (double)NAN : same ? first : v[k];
    }
}

void srv_live_spread(srv_block *b, const srv_live *l) {
    srv_points *p = &b->points;
    if (l->n == b->n)
        return;
    for (size_t c = SRV_FIRST_FIGURE; c < SRV_COLUMN_COUNT; c++)
        spread(srv_points_column(p, c), p->same >> c & 1, l, b->n);
    p->same &= SRV_BIT(ttft) - 1;
}

/* ---- figures --------------------------------------------------------------------------------- */

/* Rules keep lengths below SRV_MAX_SEQUENCE, so that a signed
 * conversion, which is a vector instruction, does. */
static inline double real(uint32_t length) {
    return (double)(int32_t)length;
}

AIC_WIDE static void live_times(srv_points *p, const srv_live *l) {
    const double *restrict ttft = p->of.ttft, *restrict generation = p->of.generation_latency;
    double *restrict tpots = SRV_VARIES(p, tpot), *restrict latencies = SRV_VARIES(p, request_latency);
    const uint32_t *restrict osl = l->osl;
    const size_t n = l->n;
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        double more = real(osl[k]) - 1.0, steps = more > 0 ? more : 0, each = generation[k] / steps;
        double tpot = steps > 0 ? each : 0, latency = ttft[k] + tpot * steps;
        double total = ttft[k] + generation[k];
        tpots[k] = tpot;
        latencies[k] = latency == 0 ? total : latency;
    }
}

AIC_WIDE static void live_shares(srv_points *p, const srv_live *l) {
    const double *restrict ttft = p->of.ttft, *restrict generation = p->of.generation_latency;
    const size_t n = l->n;
    for (int c = 0; c < OP_COVERS; c++) {
        double *restrict cover = p->of.cover[c];
        if (p->same & SRV_BIT(cover[0]) << c)
            continue; /* 0 */
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            double total = ttft[k] + generation[k], share = cover[k] / total;
            cover[k] = total > 0 ? share : 0;
        }
    }
}

/* to = from / by, which may be one array. */
AIC_WIDE static void live_divide(double *to, const double *from, size_t n, double by) {
    int exponent;
    if (frexp(by, &exponent) == 0.5) { /* a power of two: times its inverse is the same, to the bit */
        const double inverse = 1.0 / by;
#pragma omp simd
        for (size_t k = 0; k < n; k++)
            to[k] = from[k] * inverse;
    } else {
#pragma omp simd
        for (size_t k = 0; k < n; k++)
            to[k] = from[k] / by;
    }
}

static void per_gpu(const srv_deployment *d, const double *all, double *v, size_t n) {
    const mdl_parallel *par = &d->built.par;
    live_divide(v, all, n, (double)par->tp);
    if (par->pp > 1)
        live_divide(v, v, n, (double)par->pp);
    if (par->dp > 1)
        live_divide(v, v, n, (double)par->dp);
}

/* Requests and tokens per second; less: output tokens that do not count, all but the one of a prefill worker
 * where `one`. */
AIC_WIDE static void live_rates(srv_points *p, const srv_live *l, double pp, double less, bool one) {
    const double *restrict latency = p->of.request_latency, *restrict tpot = p->of.tpot;
    const double *restrict concurrency = p->of.concurrency;
    double *restrict seq = p->of.seq_per_s, *restrict tokens = p->of.tokens_per_s;
    double *restrict user = p->of.tokens_per_s_per_user;
    const uint32_t *restrict osl = l->osl;
    const size_t n = l->n;
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        double rate = concurrency[k] / latency[k] * 1000.0 * pp, per_user = 1000.0 / tpot[k];
        seq[k] = latency[k] == 0 ? 0 : rate;
        user[k] = tpot[k] == 0 ? 0 : per_user;
    }
    if (one) {
        memcpy(tokens, seq, n * sizeof *tokens);
        return;
    }
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        double out = real(osl[k]) - less;
        tokens[k] = seq[k] * (out > 0 ? out : 0);
    }
}

static void rates(const srv_deployment *d, srv_points *p, const srv_live *l) {
    const srv_mode mode = d->request.mode;
    const double dp = (double)d->built.par.dp;
    double *concurrency = SRV_VARIES(p, concurrency);
    for (size_t k = 0; k < l->n; k++)
        concurrency[k] = (double)l->batch[k] * dp;
    p->same &= ~(SRV_BIT(seq_per_s) | SRV_BIT(tokens_per_s) | SRV_BIT(tokens_per_s_per_user));
    live_rates(p, l, (double)d->built.par.pp, mode == SRV_static_gen ? 1.0 : 0.0, mode == SRV_static_ctx);
    per_gpu(d, p->of.seq_per_s, SRV_VARIES(p, seq_per_s_per_gpu), l->n);
    per_gpu(d, p->of.tokens_per_s, SRV_VARIES(p, tokens_per_s_per_gpu), l->n);
}

static void power(srv_points *p, const srv_live *l, const double *powered) {
    double *watts = SRV_VARIES(p, power);
    for (size_t k = 0; k < l->n; k++) {
        const srv_sums s = {.encoder_latency = SRV_AT(p, encoder_latency, k),
                            .context_latency = SRV_AT(p, context_latency, k),
                            .generation_latency = p->of.generation_latency[k],
                            .encoder_energy = SRV_AT(p, encoder_energy, k),
                            .context_energy = SRV_AT(p, context_energy, k),
                            .generation_energy = SRV_AT(p, generation_energy, k),
                            .powered = powered[k]};
        watts[k] = srv_covered_watts(&s);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Bytes of the caches of sequences of so many tokens, length by length. */
static void kv_of_each(const srv_memory *m, const double *length, size_t n, double *bytes) {
    for (size_t k = 0; k < n; k++)
        bytes[k] = k > 0 && length[k] == length[k - 1] ? bytes[k - 1] : m->kv_bytes(m->kv_ctx, length[k]);
}

/* The same of sequences as long as their inputs and outputs: lengths recur in a grid. */
static void kv_by_layout(srv_block *b, const srv_memory *m, const srv_live *l, double *bytes) {
    srv_layout_lengths(b, l);
    const srv_layout *y = l->layout;
    double *known = srv_take(b, y->n_lengths, sizeof *known);
    for (size_t i = 0; i < y->n_lengths; i++)
        known[i] = m->kv_bytes(m->kv_ctx, (double)y->lengths[i]);
    for (size_t k = 0; k < l->n; k++)
        bytes[k] = known[y->length_of[k]];
}

/* Bytes of activations (memory.c has the page's words) of walks over so many tokens, in place. */
AIC_WIDE static void live_activations(const srv_memory *m, const double *restrict tokens, bool prefills,
                                      double *restrict act, size_t n) {
    const double width = m->width, coefficient = m->coefficient, workspace = m->workspace, dp = m->dp;
    const double experts = m->experts, topk = m->topk, moe_ep = m->moe_ep, floor = m->floor;
    const double wider = m->nextn + 1.0, factor = m->factor;
#pragma omp simd
    for (size_t k = 0; k < n; k++)
        act[k] = 2.0 * tokens[k] * width * coefficient;
    if (workspace > 0) {
#pragma omp simd
        for (size_t k = 0; k < n; k++)
            act[k] += tokens[k] * workspace * dp * experts * topk / moe_ep / 128.0 * 4.0;
    }
#pragma omp simd
    for (size_t k = 0; k < n; k++)
        act[k] = act[k] > floor ? act[k] : floor;
    if (m->nextn > 0 && prefills) {
#pragma omp simd
        for (size_t k = 0; k < n; k++)
            act[k] = act[k] * tokens[k] / tokens[k];
    } else if (m->nextn > 0) {
#pragma omp simd
        for (size_t k = 0; k < n; k++)
            act[k] *= wider;
    }
#pragma omp simd
    for (size_t k = 0; k < n; k++)
        act[k] *= factor;
}

/* Tokens of the walk of each live point. */
static void count_tokens(const srv_deployment *d, const srv_live *l, double *restrict tokens) {
    const double beam = (double)d->tuning.beam;
    const uint32_t *restrict isl = l->isl, *restrict prefix = l->prefix;
    const bool prefills = srv_has_context(d->request.mode);
    for (size_t k = 0; k < l->n; k++) {
        double batch = (double)l->batch[k];
        tokens[k] = prefills ? real(isl[k] - prefix[k]) * batch : batch * beam;
    }
}

/* Bytes of the cache of one sequence of each live point. */
static void kv_bytes(const srv_deployment *d, srv_block *b, const srv_live *l, double *bytes) {
    const srv_memory *m = &srv_plan_of(d)->memory;
    const double beam = (double)d->tuning.beam, fixed = m->max_seq_len;
    const bool one = d->request.mode == SRV_static_ctx;
    if (l->layout && beam == 1.0 && !one && !(fixed > 0)) {
        kv_by_layout(b, m, l, bytes);
        return;
    }
    double *length = srv_take(b, l->n, sizeof *length);
    for (size_t k = 0; k < l->n; k++)
        length[k] = fixed > 0 ? fixed : real(l->isl[k]) + beam * (one ? 1.0 : real(l->osl[k]));
    kv_of_each(m, length, l->n, bytes);
}

/* Memory of points without images. */
static void memory(const srv_deployment *d, srv_block *b, const srv_live *l) {
    const srv_memory *m = &srv_plan_of(d)->memory;
    srv_points *p = &b->points;
    const size_t n = l->n;
    double *restrict tokens = srv_take(b, n, sizeof *tokens);
    double *restrict act = SRV_VARIES(p, activations), *restrict kv = SRV_VARIES(p, kvcache);
    double *restrict total = SRV_VARIES(p, memory);
    count_tokens(d, l, tokens);
    live_activations(m, tokens, srv_has_context(d->request.mode), act, n);
    kv_bytes(d, b, l, kv);
    const double weights = m->weights + 0.0, nccl = m->nccl, others = m->others;
    for (size_t k = 0; k < n; k++)
        tokens[k] = (double)l->batch[k]; /* tokens are spent */
    const double *restrict batch = tokens;
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        double cache = batch[k] * kv[k], active = act[k] + 0.0;
        total[k] = (weights + active + cache + nccl + others) / SRV_GIB;
        act[k] = active / SRV_GIB;
        kv[k] = cache / SRV_GIB;
    }
    SRV_SAME(p, weights, weights / SRV_GIB);
    SRV_SAME(p, nccl, nccl / SRV_GIB);
    SRV_SAME(p, others, others / SRV_GIB);
    SRV_SAME(p, encoder_memory, 0.0);
}

/* Memory of points of which some have images. */
static void memory_singly(const srv_deployment *d, srv_block *b, const srv_live *l) {
    srv_points *p = &b->points;
    srv_points_open_columns(p,
                            SRV_BIT(memory) | SRV_BIT(weights) | SRV_BIT(activations) | SRV_BIT(kvcache) |
                                SRV_BIT(nccl) | SRV_BIT(others) | SRV_BIT(encoder_memory),
                            b->n);
    for (size_t k = 0; k < l->n; k++) {
        const srv_workload w = srv_walked_at(b, l->at[k]);
        srv_footprint f;
        srv_footprint_of(d, &w, p->of.encodes[l->at[k]], &f);
        p->of.memory[k] = f.total;
        p->of.weights[k] = f.weights;
        p->of.activations[k] = f.activations;
        p->of.kvcache[k] = f.kvcache;
        p->of.nccl[k] = f.nccl;
        p->of.others[k] = f.others;
        p->of.encoder_memory[k] = f.encoder;
    }
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* What caches may take beside the rest of the memory. */
static inline double budget_of(const srv_memory *m, double total, double kv, const bool of_total) {
    double rest = total - kv;
    return of_total ? m->capacity * m->fraction * m->keep - rest
                    : (m->capacity - rest) * m->fraction * m->keep;
}

/* How many verdicts there are on memory. Counted in doubles, so that all of the loop is vectors of one width.
 */
static inline double verdicts(const srv_memory *memory, const srv_points *p, size_t n, const bool of_total) {
    const double *restrict total = p->of.memory, *restrict kv = p->of.kvcache;
    const srv_memory m = *memory;
    double count = 0;
#pragma omp simd reduction(+ : count)
    for (size_t k = 0; k < n; k++) {
        count += total[k] >= m.capacity ? 1.0 : 0.0;
        count += kv[k] > budget_of(&m, total[k], kv[k], of_total) ? 1.0 : 0.0;
    }
    return count;
}

/* Whole memory first: where that is exceeded, the caches' budget is not looked at. */
static void judge_memory(const srv_deployment *d, srv_block *b, const srv_live *l) {
    const srv_plan *plan = srv_plan_of(d);
    const srv_memory m = plan->memory;
    srv_points *p = &b->points;
    if ((m.of_total ? verdicts(&m, p, l->n, true) : verdicts(&m, p, l->n, false)) == 0)
        return;
    const char *const texts[] = {NULL, plan->verdicts->oom, plan->verdicts->kv_oom};
    srv_points_open_columns(p, SRV_BIT(status) | SRV_BIT(reason) | SRV_BIT(kv_oom), l->n < b->n ? b->n : 1);
    for (size_t k = 0; k < l->n; k++) {
        const double total = p->of.memory[k], kv = p->of.kvcache[k];
        const bool oom = total >= m.capacity, kv_oom = !oom & (kv > budget_of(&m, total, kv, m.of_total));
        const size_t i = l->at[k];
        p->of.status[i] = oom || kv_oom ? SRV_ST_oom : SRV_ST_ok;
        p->of.kv_oom[i] = kv_oom;
        p->of.reason[i] = texts[oom + 2 * kv_oom];
    }
}

static bool all_finite(const srv_points *p, size_t n) {
    const double *restrict latency = p->of.request_latency, *restrict generation = p->of.generation_latency;
    const double *restrict seq = p->of.seq_per_s, *restrict tokens = p->of.tokens_per_s;
    const double *restrict user = p->of.tokens_per_s_per_user, *restrict memory = p->of.memory;
    double bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t k = 0; k < n; k++) {
        double sum = (latency[k] - latency[k]) + (generation[k] - generation[k]) + (seq[k] - seq[k]) +
                     (tokens[k] - tokens[k]) + (user[k] - user[k]) + (memory[k] - memory[k]);
        bad += sum == 0 ? 0.0 : 1.0;
    }
    return bad == 0;
}

/* The same of what is 0 in most blocks. */
static bool rest_finite(const srv_points *p, size_t n) {
    const uint64_t rest = SRV_BIT(encoder_memory) | SRV_BIT(encoder_energy) | SRV_BIT(context_energy) |
                          SRV_BIT(generation_energy);
    bool good = true;
    for (size_t k = 0; (p->same & rest) != rest && k < n; k++) {
        double energy =
            SRV_AT(p, encoder_energy, k) + SRV_AT(p, context_energy, k) + SRV_AT(p, generation_energy, k);
        double guest = SRV_AT(p, encoder_memory, k);
        good = good && (energy - energy) + (guest - guest) == 0;
    }
    return good;
}

static void judge_figures(srv_block *b, const srv_live *l) {
    srv_points *p = &b->points;
    if (all_finite(p, l->n) && rest_finite(p, l->n))
        return;
    srv_points_open_columns(p, SRV_BIT(status) | SRV_BIT(reason) | SRV_BIT(kv_oom), b->n);
    for (size_t k = 0; k < l->n; k++) {
        srv_point point;
        srv_figures_get(p, k, &point);
        if (srv_figures_finite(&point))
            continue;
        p->of.status[l->at[k]] = SRV_ST_nonfinite;
        p->of.kv_oom[l->at[k]] = false;
        p->of.reason[l->at[k]] = SRV_NONFINITE;
    }
}

static void project(const srv_deployment *d, srv_points *p, const srv_live *l) {
    if (!srv_projects(d))
        return;
    srv_points_open_columns(p, ~(SRV_BIT(ttft) - 1), l->n);
    for (size_t k = 0; k < l->n; k++) {
        srv_point point;
        point.load.osl = l->osl[k];
        srv_figures_get(p, k, &point);
        srv_project(d, &point);
        srv_figures_put(p, k, &point);
    }
}

void srv_live_finish(const srv_deployment *d, srv_block *b, const srv_live *l, const double *powered) {
    srv_points *p = &b->points;
    if (l->n == 0)
        return;
    live_times(p, l);
    live_shares(p, l);
    rates(d, p, l);
    if (powered)
        power(p, l, powered);
    if (srv_points_have_images(p))
        memory_singly(d, b, l);
    else
        memory(d, b, l);
    judge_memory(d, b, l);
    project(d, p, l);
    judge_figures(b, l);
}
