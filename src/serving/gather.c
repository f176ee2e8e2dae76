/* Sums and rows of many points, gathered from the tables of their shapes. Every sum is taken in the order of
 * the plain path. */
#include "serving/gather.h"
#include <string.h>

/* ---- sums -------------------------------------------------------------------------------------- */

static void gather_prefill(srv_points *points, const srv_pieces *p, size_t n) {
    const srv_sums *restrict sums = p->prefill;
    const uint32_t *restrict of = p->prefill_of;
    double *restrict ttft = SRV_VARIES(points, ttft), *restrict context = SRV_VARIES(points, context_latency);
    for (size_t k = 0; k < n; k++) {
        const srv_sums *s = &sums[of[k]];
        context[k] = s->context_latency;
        ttft[k] = s->encoder_latency + s->context_latency;
    }
    if (p->encoder.n_rows == 0) {
        SRV_SAME(points, encoder_latency, 0.0);
        return;
    }
    double *restrict encoder = SRV_VARIES(points, encoder_latency);
    for (size_t k = 0; k < n; k++)
        encoder[k] = sums[of[k]].encoder_latency;
}

enum { ABREAST = 16 }; /* most points whose sums are taken side by side, so that none waits for another */

/* Frames by row: what a row adds to the latency of many points stands together. Rows before the first moving
 * one are added up, in their order, in `head`. */
typedef struct turned {
    size_t n_rows, first; /* rows of the phase; first moving one */
    size_t n;             /* frames, and room for a read of ABREAST from any of them on */
    double *head;         /* n */
    double *rows;         /* row-major from `first` on, n each; moving ones undefined */
} turned;

static turned turn_frames(const srv_part *moving, srv_block *b, const srv_pieces *p) {
    const size_t rows = p->frames.n_rows, first = moving->n_rows ? moving->rows[0] : rows;
    const size_t n = aic_add(p->n_frames, ABREAST);
    turned t = {.n_rows = rows,
                .first = first,
                .n = n,
                .head = srv_take(b, n, sizeof *t.head),
                .rows = srv_take(b, aic_mul(rows - first, n), sizeof *t.rows)};
    for (size_t f = 0; f < p->n_frames; f++) {
        const double *frame = p->frames.latency + f * rows;
        double sum = 0;
        for (size_t r = 0; r < first; r++)
            sum += frame[r];
        t.head[f] = sum;
        for (size_t r = first; r < rows; r++)
            t.rows[(r - first) * n + f] = frame[r];
    }
    return t;
}

/* How many points from the first on have frames one behind another, as the innermost axis of a grid has it.
 */
static size_t neighbours(const uint32_t *frame_of, size_t n) {
    const size_t most = n < ABREAST ? n : ABREAST;
    size_t few = 1;
    while (few < most && frame_of[few] == frame_of[0] + few)
        few++;
    return few;
}

enum { FOURS = ABREAST / 4 };

/* Latencies of generation, all rows in their order. values: of the moving rows, walk by walk. */
AIC_WIDE static void gather_latency(const turned *t, const srv_part *moving, double scale,
                                    const double *values, const uint32_t *frame_of, const uint32_t *walk_of,
                                    size_t n, double *out) {
    double some[ABREAST] = {0}; /* those beyond `few` come to nothing */
    for (size_t k = 0, few; k < n; k += few, frame_of += few, walk_of += few) {
        few = neighbours(frame_of, n - k);
        const double *row = t->rows + frame_of[0];
        aic_four sum[FOURS], add[FOURS];
        memcpy(sum, t->head + frame_of[0], sizeof sum);
        for (size_t r = t->first, m = 0; r < t->n_rows; r++, row += t->n) {
            const double *from = row;
            if (m < moving->n_rows && moving->rows[m] == r) {
                for (size_t j = 0; j < few; j++)
                    some[j] = values[walk_of[j] * moving->n_rows + m] * scale;
                from = some;
                m++;
            }
            AIC_UNROLL for (size_t i = 0; i < FOURS; i++) {
                memcpy(&add[i], from + 4 * i, sizeof *add);
                sum[i] += add[i];
            }
        }
        memcpy(out + k, sum, few * sizeof *out);
    }
}

static void gather_generation(const srv_part *moving, double scale, srv_block *b, const srv_pieces *p,
                              size_t n) {
    const turned t = turn_frames(moving, b, p);
    gather_latency(&t, moving, scale, p->decode[SRV_MOVING].latency, p->walk_of[SRV_STILL],
                   p->walk_of[SRV_MOVING], n, SRV_VARIES(&b->points, generation_latency));
}

/* Covers in ms: encoder and context, then the two parts of generation. All of a point's stand together, so
 * they are added side by side. */
AIC_WIDE static void gather_covers(const srv_pieces *p, bool prefills, bool decodes, double scale, size_t n,
                                   double *const out[OP_COVERS]) {
    static const double none[OP_COVERS];
    const srv_folded *still = &p->decode[SRV_STILL], *moving = &p->decode[SRV_MOVING];
    const uint32_t *still_of = p->walk_of[SRV_STILL], *moving_of = p->walk_of[SRV_MOVING];
    _Static_assert(OP_COVERS == 4, "stores are written out");
    double *out0 = out[0], *out1 = out[1], *out2 = out[2], *out3 = out[3];
    for (size_t k = 0; k < n; k++) {
        const double *first = prefills ? p->prefill[p->prefill_of[k]].cover : none;
        const double *then = decodes ? still->cover[still_of[k]] : none;
        const double *last = decodes ? moving->cover[moving_of[k]] : none;
        double sum[OP_COVERS];
#pragma omp simd
        for (int c = 0; c < OP_COVERS; c++)
            sum[c] =
                (first[c] + then[c] + last[c]) * scale; /* covers are no less than 0: adding 0 is nothing */
        out0[k] = sum[0];
        out1[k] = sum[1];
        out2[k] = sum[2];
        out3[k] = sum[3];
    }
}

static void gather_cover(const srv_deployment *d, srv_block *b, const srv_pieces *p, size_t n) {
    double *out[OP_COVERS], *unused = srv_take(b, n, sizeof *unused);
    for (int c = 0; c < OP_COVERS; c++) {
        SRV_SAME(&b->points, cover[c], 0.0);
        out[c] = p->cover[c] ? SRV_VARIES(&b->points, cover[c]) : unused;
    }
    gather_covers(p, srv_has_context(d->request.mode), srv_has_generation(d->request.mode),
                  d->tuning.latency_scale, n, out);
}

/* Energy of a point's generation rows, and to *powered the latency of those that have some, in row order. */
static double sum_energy(const srv_part *moving, double scale, const srv_pieces *p, size_t k,
                         double *powered) {
    const srv_folded *walks = &p->decode[SRV_MOVING], *frames = &p->frames;
    const size_t n = frames->n_rows, frame = p->walk_of[SRV_STILL][k] * n;
    const size_t walk = p->walk_of[SRV_MOVING][k] * moving->n_rows;
    double sum = 0;
    for (size_t r = 0, m = 0; r < n; r++) {
        bool moves = m < moving->n_rows && moving->rows[m] == r;
        double latency = moves ? walks->latency[walk + m] * scale : frames->latency[frame + r];
        double energy = moves ? (srv_folded_has(walks, SRV_ENERGY) ? walks->energy[walk + m] * scale : 0)
                              : (srv_folded_has(frames, SRV_ENERGY) ? frames->energy[frame + r] : 0);
        m += moves;
        sum += energy;
        *powered += energy > 0 ? latency : 0;
    }
    return sum;
}

/* Returns the ms with measured energy, by live point; NULL: no op of the block has any. */
static double *gather_energy(const srv_deployment *d, srv_block *b, const srv_pieces *p, size_t n) {
    const srv_part *moving = &srv_plan_of(d)->parts[SRV_MOVING];
    const bool prefills = srv_has_context(d->request.mode), decodes = srv_has_generation(d->request.mode);
    srv_points *points = &b->points;
    SRV_SAME(points, encoder_energy, 0.0);
    SRV_SAME(points, context_energy, 0.0);
    SRV_SAME(points, generation_energy, 0.0);
    if (!p->energy)
        return NULL;
    double *encoder = SRV_VARIES(points, encoder_energy), *context = SRV_VARIES(points, context_energy);
    double *generation = SRV_VARIES(points, generation_energy), *powered = srv_take(b, n, sizeof *powered);
    for (size_t k = 0; k < n; k++) {
        const srv_sums none = {0}, *s = prefills ? &p->prefill[p->prefill_of[k]] : &none;
        encoder[k] = s->encoder_energy;
        context[k] = s->context_energy;
        powered[k] = s->powered;
        generation[k] = decodes ? sum_energy(moving, d->tuning.latency_scale, p, k, &powered[k]) : 0;
    }
    return powered;
}

static void gather_basis(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l) {
    if (!p->basis)
        return;
    srv_points_open_columns(&b->points, SRV_BIT(carried) | SRV_BIT(tier), b->n);
    for (size_t k = 0; k < l->n; k++) {
        srv_basis basis = srv_has_context(d->request.mode) ? p->prefill[p->prefill_of[k]].basis : 0;
        for (int part = 0; srv_has_generation(d->request.mode) && part < SRV_PARTS; part++)
            if (srv_folded_has(&p->decode[part], SRV_BASIS))
                basis |= p->decode[part].any[p->walk_of[part][k]];
        b->points.of.carried[l->at[k]] = (uint8_t)srv_basis_carried(basis);
        b->points.of.tier[l->at[k]] = (uint8_t)srv_basis_tier(basis);
    }
}

static void zeros(double *v, size_t n) {
    memset(v, 0, n * sizeof *v);
}

double *srv_gather_sums(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l) {
    srv_points *points = &b->points;
    if (srv_has_context(d->request.mode)) {
        gather_prefill(points, p, l->n);
    } else {
        SRV_SAME(points, encoder_latency, 0.0);
        SRV_SAME(points, context_latency, 0.0);
        zeros(SRV_VARIES(points, ttft), l->n);
    }
    if (srv_has_generation(d->request.mode))
        gather_generation(&srv_plan_of(d)->parts[SRV_MOVING], d->tuning.latency_scale, b, p, l->n);
    else
        zeros(SRV_VARIES(points, generation_latency), l->n);
    gather_cover(d, b, p, l->n);
    gather_basis(d, b, p, l);
    return gather_energy(d, b, p, l->n);
}

/* ---- rows -------------------------------------------------------------------------------------- */

/* A phase has a dozen rows or so: not worth a call. The last word may overlap the one before. */
static void copy_bytes(uint8_t *to, const uint8_t *from, size_t n) {
    enum { WORD = 8 };
    if (n < WORD) {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
        return;
    }
    for (size_t i = 0; i + WORD < n; i += WORD)
        memcpy(to + i, from + i, WORD);
    memcpy(to + n - WORD, from + n - WORD, WORD);
}

/* Copies rows of table t to those from `at` on. */
static inline void copy_rows(const srv_folded *f, size_t t, const srv_rows *to, size_t at) {
    const size_t n = f->n_rows, from = t * n;
    memcpy(to->latency + at, f->latency + from, n * sizeof(double));
    copy_bytes(to->source + at, f->source + from, n);
    if (to->energy && srv_folded_has(f, SRV_ENERGY))
        memcpy(to->energy + at, f->energy + from, n * sizeof(double));
    else if (to->energy)
        memset(to->energy + at, 0, n * sizeof(double));
    if (to->basis && srv_folded_has(f, SRV_BASIS))
        copy_bytes(to->basis + at, f->basis + from, n);
    else if (to->basis)
        memset(to->basis + at, 0, n);
}

/* Puts values of the moving rows among those of a frame. */
static inline void lay_reals(const srv_part *moving, const double *values, double scale, double *to) {
    for (size_t m = 0; m < moving->n_rows; m++)
        to[moving->rows[m]] = values[m] * scale;
}

static inline void lay_bytes(const srv_part *moving, const uint8_t *values, uint8_t *to) {
    for (size_t m = 0; m < moving->n_rows; m++)
        to[moving->rows[m]] = values[m];
}

static inline void lay_generation(const srv_part *moving, double scale, const srv_pieces *p, size_t k,
                                  const srv_rows *to, size_t at) {
    const srv_folded *walks = &p->decode[SRV_MOVING];
    const size_t from = p->walk_of[SRV_MOVING][k] * moving->n_rows;
    copy_rows(&p->frames, p->walk_of[SRV_STILL][k], to, at);
    lay_reals(moving, walks->latency + from, scale, to->latency + at);
    lay_bytes(moving, walks->source + from, to->source + at);
    for (size_t m = 0; to->energy && m < moving->n_rows; m++)
        to->energy[at + moving->rows[m]] =
            srv_folded_has(walks, SRV_ENERGY) ? walks->energy[from + m] * scale : 0;
    for (size_t m = 0; to->basis && m < moving->n_rows; m++)
        to->basis[at + moving->rows[m]] = srv_folded_has(walks, SRV_BASIS) ? walks->basis[from + m] : 0;
}

/* The rows of live point k, from `at` on. */
static inline void lay_point(const srv_deployment *d, const srv_pieces *p, size_t k, bool encodes,
                             const srv_rows *to, size_t at) {
    const srv_plan *plan = srv_plan_of(d);
    if (encodes)
        copy_rows(&p->encoder, p->images_of[k], to, at);
    at += plan->encoder.n_rows;
    if (srv_has_context(d->request.mode))
        copy_rows(&p->context, p->shape_of[k], to, at);
    at += plan->context.n_rows;
    if (srv_has_generation(d->request.mode))
        lay_generation(&plan->parts[SRV_MOVING], d->tuning.latency_scale, p, k, to, at);
}

static void lay_all(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l) {
    srv_block_reserve_rows(b);
    const srv_rows to = {b->latency, p->energy ? b->energy : NULL, b->source, p->basis ? b->basis : NULL};
    if (!p->energy && b->wanted == SRV_ALL_ROWS)
        memset(b->energy, 0, b->n * b->n_rows * sizeof *b->energy);
    if (!p->basis && b->wanted == SRV_ALL_ROWS)
        memset(b->basis, 0, b->n * b->n_rows);
    for (size_t k = 0; k < l->n; k++)
        lay_point(d, p, k, SRV_AT(&b->points, encodes, l->at[k]), &to, l->at[k] * b->n_rows);
}

/* ---- rows that are made where they are wanted -------------------------------------------------- */

/* What srv_block_rows needs to know, in the block's scratch memory. */
struct srv_late {
    const srv_deployment *d;
    srv_pieces pieces;
    srv_rows one; /* room for the rows of a point of which a part is wanted */
};

static const struct srv_late *be_late(const srv_deployment *d, srv_block *b, const srv_pieces *p) {
    struct srv_late *late = srv_take(b, 1, sizeof *late);
    *late = (struct srv_late){.d = d,
                              .pieces = *p,
                              .one = {.latency = srv_take(b, b->n_rows, sizeof(double)),
                                      .energy = srv_take(b, b->n_rows, sizeof(double)),
                                      .source = srv_take(b, b->n_rows, sizeof(uint8_t)),
                                      .basis = srv_take(b, b->n_rows, sizeof(srv_basis))}};
    return late;
}

/* A part of a point's rows. */
static void lay_part(const struct srv_late *late, size_t k, size_t skip, size_t n, const srv_rows *to,
                     size_t at) {
    lay_point(late->d, &late->pieces, k, false, &late->one, 0);
    memcpy(to->latency + at, late->one.latency + skip, n * sizeof *to->latency);
    memcpy(to->source + at, late->one.source + skip, n);
    if (to->energy)
        memcpy(to->energy + at, late->one.energy + skip, n * sizeof *to->energy);
    if (to->basis)
        memcpy(to->basis + at, late->one.basis + skip, n);
}

void srv_block_rows(const srv_block *b, size_t first, size_t n, const srv_rows *to) {
    const struct srv_late *late = b->late;
    const size_t rows = b->n_rows, skip = first % rows;
    size_t at = 0, k = first / rows;
    if (skip > 0) {
        at = n < rows - skip ? n : rows - skip;
        lay_part(late, k++, skip, at, to, 0);
    }
    for (; n - at >= rows; at += rows)
        lay_point(late->d, &late->pieces, k++, false, to, at);
    if (at < n)
        lay_part(late, k, 0, n - at, to, at);
}

void srv_gather_rows(const srv_deployment *d, srv_block *b, const srv_pieces *p, const srv_live *l) {
    b->no_energy = !p->energy;
    b->no_basis = !p->basis;
    b->all_rows = b->wanted != SRV_NO_ROWS && l->n == b->n && d->n_encoder_rows == 0;
    if (b->wanted == SRV_NO_ROWS)
        return;
    for (size_t k = 0; k < l->n; k++)
        b->priced[l->at[k]] = true;
    if (b->wanted == SRV_LATE_ROWS && b->all_rows && b->n_rows > 0)
        b->late = be_late(d, b, p);
    else
        lay_all(d, b, p, l);
}
