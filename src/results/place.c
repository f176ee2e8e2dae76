/* Points on their way to their stripes: placing, in point order, and filling, in any order. */
#include "results/writer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILE = 1024, /* points that go to a column in one go: long runs of stores, from points that are near */
    ABREAST = 4  /* columns that are filled side by side: members share lines of the cache */
};

static uint32_t deployment_of(const res_points *p, size_t i) {
    return p->deployment ? p->deployment[i] : p->one_deployment;
}

/* ---- placing ----------------------------------------------------------------------------------------- */

/* A caller's mistake would be a file that readers refuse. */
static bool check_points(const res_writer *w, const res_points *p, aic_error *err) {
    size_t sum = 0;
    uint32_t known = UINT32_MAX, known_rows = 0; /* the last deployment and rows that were found to fit */
    for (size_t i = 0; i < p->n; i++) {
        uint32_t d = deployment_of(p, i);
        sum += p->rows[i];
        if (d == known && p->rows[i] == known_rows)
            continue;
        if (d >= w->deployments.table.rows)
            return aic_fail(err, AIC_IO, "point %zu of a block names deployment %u, which was not announced",
                            i, d);
        if (!res_rows_fit(&w->deployments.table, &w->deployments.ops, d, p->rows[i]))
            return aic_fail(err, AIC_IO,
                            "point %zu of a block has %u breakdown rows, not those of its deployment", i,
                            p->rows[i]);
        known = d;
        known_rows = p->rows[i];
    }
    return sum == p->n_rows ||
           aic_fail(err, AIC_IO, "a block of points has %zu breakdown rows, not %zu", p->n_rows, sum);
}

/* Enters the reasons of the points. Those of neighbours are mostly one text, kept once. */
static void place_reasons(res_writer *w, const res_points *p, res_placement *at) {
    const srv_point *v = p->points;
    if (p->n > at->cap_reasons) {
        free(at->reasons);
        at->cap_reasons = p->n;
        at->reasons = aic_alloc(p->n, sizeof *at->reasons);
    }
    for (size_t i = 0, end; i < p->n; i = end) {
        const char *text = v[i].reason;
        for (end = i + 1; end < p->n && v[end].reason == text && v[end].status == v[i].status; end++)
            ;
        uint32_t id = text ? res_reasons_merge(&w->reasons, v[i].status, text, strlen(text), end - i,
                                               w->origin.first_point + w->points + i)
                           : 0;
        for (size_t j = i; j < end; j++)
            at->reasons[j] = id;
    }
}

static void count_points(res_writer *w, const res_points *p) {
    for (size_t i = 0; i < p->n; i++) {
        w->by_status[p->points[i].status]++;
        w->ahead.by_status[p->points[i].status]++;
    }
    w->points += p->n;
    w->rows += w->opt.breakdown ? p->n_rows : 0;
}

static void place_rows(res_writer *w, res_placement *at, res_group_id g, size_t n) {
    while (n > 0) {
        AIC_GROW(at->pieces, at->n, at->cap);
        at->pieces[at->n] = res_press_place(w->press, g, n);
        n -= at->pieces[at->n++].n;
    }
}

/* The order in which stripes fill must not depend on how points were split into calls: all rows of the points
 * of a stripe of /points go before that stripe. */
bool res_writer_place(res_writer *w, const res_points *p, res_placement *at, aic_error *err) {
    if (!check_points(w, p, err))
        return false;
    at->n = 0;
    at->first_point = w->points;
    at->first_row = w->rows;
    place_reasons(w, p, at);
    const res_stream *points = &w->streams[RES_G_POINTS];
    for (size_t i = 0, n; i < p->n; i += n) {
        size_t room = points->open->rows.cap - points->open->rows.rows, rows = 0;
        n = p->n - i < room ? p->n - i : room;
        for (size_t j = 0; w->opt.breakdown && j < n; j++)
            rows += p->rows[i + j];
        place_rows(w, at, RES_G_BREAKDOWN, rows);
        place_rows(w, at, RES_G_POINTS, n);
    }
    count_points(w, p);
    return true;
}

void res_placement_free(res_placement *at) {
    free(at->pieces);
    free(at->reasons);
    *at = (res_placement){0};
}

/* ---- filling: rows ----------------------------------------------------------------------------------- */

/* Where the rows of a piece lie in a column; columns are aligned as allocations are. */
static void *cells(const res_piece *piece, size_t field) {
    const res_table *t = &piece->stripe->rows;
    return t->data[field] + piece->at * t->width[field];
}

static void put_zeros(const res_piece *piece, size_t field) {
    if (piece->stripe->stale & RES_FIELD_BIT(field))
        memset(cells(piece, field), 0, piece->n * piece->stripe->rows.width[field]);
}

/* Splits what rows rest on into its two columns. */
static void split_basis(const srv_basis *basis, size_t n, uint8_t *tier, uint8_t *carried) {
    for (size_t i = 0; i < n; i++) {
        tier[i] = (uint8_t)srv_basis_tier(basis[i]);
        carried[i] = (uint8_t)srv_basis_carried(basis[i]);
    }
}

/* Real numbers to a column, rounded to nearest where it is narrower. */
static void put_reals(res_table *t, size_t field, size_t at, const double *from, size_t n) {
    uint8_t *to = t->data[field] + at * t->width[field];
    if (t->width[field] == sizeof *from) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float v = (float)from[i];
        memcpy(to + i * sizeof v, &v, sizeof v);
    }
}

/* Returns the fields touched. */
static uint64_t fill_rows(const res_points *p, size_t first, const res_piece *piece) {
    res_table *t = &piece->stripe->rows;
    const srv_basis *basis = p->basis ? p->basis + first : NULL; /* even then nearly always zeros */
    uint64_t touched = RES_FIELD_BIT(RES_B_LATENCY) | RES_FIELD_BIT(RES_B_SOURCE);
    put_reals(t, RES_B_LATENCY, piece->at, p->latency + first, piece->n);
    memcpy(cells(piece, RES_B_SOURCE), p->source + first, piece->n);
    if (p->energy) {
        touched |= RES_FIELD_BIT(RES_B_ENERGY);
        put_reals(t, RES_B_ENERGY, piece->at, p->energy + first, piece->n);
    } else {
        put_zeros(piece, RES_B_ENERGY);
    }
    if (basis && !res_all_zero(basis, piece->n)) {
        touched |= RES_FIELD_BIT(RES_B_TIER) | RES_FIELD_BIT(RES_B_CARRIED);
        split_basis(basis, piece->n, cells(piece, RES_B_TIER), cells(piece, RES_B_CARRIED));
    } else {
        put_zeros(piece, RES_B_TIER);
        put_zeros(piece, RES_B_CARRIED);
    }
    return touched;
}

/* Empties the rows that are not kept: to readers a latency of NaN is an op that was left out. Its energy is
 * zero, since columns of zeros take no room; what it rests on stays, since that recurs from point to point.
 */
static void leave_out(const bool *keep, const res_piece *piece, bool energy) {
    res_table *t = &piece->stripe->rows;
    const double none = (double)NAN, zero = 0;
    for (size_t i = 0; i < piece->n; i++)
        if (!keep[i]) {
            put_reals(t, RES_B_LATENCY, piece->at + i, &none, 1);
            if (energy)
                put_reals(t, RES_B_ENERGY, piece->at + i, &zero, 1);
        }
}

/* ---- filling: points --------------------------------------------------------------------------------- */

/* Members of one width on their way to their columns. */
typedef struct strands {
    size_t n, offset[ABREAST];
    uint8_t *out[ABREAST];
} strands;

/* Copies them for many points. Where there are fewer than ABREAST the last one is copied again. */
static inline void gather(strands *s, const srv_point *points, size_t n, size_t width) {
    if (s->n == 0)
        return;
    for (size_t k = s->n; k < ABREAST; k++) {
        s->offset[k] = s->offset[s->n - 1];
        s->out[k] = s->out[s->n - 1];
    }
    _Static_assert(ABREAST == 4, "the loop below is written out");
    const char *at = (const char *)points;
    const size_t from[ABREAST] = {s->offset[0], s->offset[1], s->offset[2], s->offset[3]};
    uint8_t *const to[ABREAST] = {s->out[0], s->out[1], s->out[2], s->out[3]};
    for (size_t i = 0; i < n; i++, at += sizeof *points) {
        memcpy(to[0] + i * width, at + from[0], width);
        memcpy(to[1] + i * width, at + from[1], width);
        memcpy(to[2] + i * width, at + from[2], width);
        memcpy(to[3] + i * width, at + from[3], width);
    }
    s->n = 0;
}

/* Adds a member; copies those that are there once they are enough. */
static inline void gather_with(strands *s, size_t offset, uint8_t *out, const srv_point *points, size_t n,
                               size_t width) {
    s->offset[s->n] = offset;
    s->out[s->n++] = out;
    if (s->n == ABREAST)
        gather(s, points, n, width);
}

static void gather_enums(uint8_t *out, const srv_point *points, size_t n, size_t offset) {
    for (size_t i = 0; i < n; i++) {
        unsigned value; /* every enumeration's type */
        memcpy(&value, (const char *)&points[i] + offset, sizeof value);
        out[i] = (uint8_t)value;
    }
}

/* Members of points first .. first+n-1 of the block to rows at .. at+n-1 of their columns. */
static void fill_columns(res_table *t, size_t at, const res_points *p, const res_placement *place,
                         size_t first, size_t n) {
    const srv_point *points = p->points + first;
    strands reals = {0}, wholes = {0};
    for (size_t column = RES_C_batch; column < RES_COLUMN_COUNT; column++) {
        const res_column *c = res_column_at(column);
        size_t f = res_point_field(column);
        uint8_t *out = t->data[f] + at * t->width[f];
        if (res_is_enum(c->type))
            gather_enums(out, points, n, c->offset);
        else if (c->type == RES_TEXT)
            memcpy(out, place->reasons + first, n * sizeof *place->reasons);
        else if (c->type == RES_F64)
            gather_with(&reals, c->offset, out, points, n, sizeof(double));
        else
            gather_with(&wholes, c->offset, out, points, n, sizeof(uint32_t));
    }
    gather(&reals, points, n, sizeof(double));
    gather(&wholes, points, n, sizeof(uint32_t));
}

/* row: of the first point, in /breakdown; returns that of the point after the last. */
static uint64_t fill_points(const res_writer *w, const res_points *p, const res_placement *place,
                            size_t first, uint64_t row, const res_piece *piece) {
    res_table *t = &piece->stripe->rows;
    uint64_t id = w->origin.first_point + place->first_point + first;
    uint64_t *ids = cells(piece, RES_P_POINT), *firsts = cells(piece, RES_P_FIRST);
    uint32_t *deployments = cells(piece, RES_P_DEPLOYMENT);
    uint16_t *rows = cells(piece, RES_P_ROWS);
    for (size_t i = 0; i < piece->n; i++) {
        ids[i] = id + i;
        deployments[i] = deployment_of(p, first + i);
        firsts[i] = row;
        rows[i] = w->opt.breakdown ? (uint16_t)p->rows[first + i] : 0;
        row += rows[i];
    }
    for (size_t i = 0, n; i < piece->n; i += n) {
        n = piece->n - i < TILE ? piece->n - i : TILE;
        fill_columns(t, piece->at + i, p, place, first + i, n);
    }
    return row;
}

void res_writer_fill(const res_writer *w, const res_points *p, const res_placement *at) {
    size_t point = 0, rows = 0;
    uint64_t row = at->first_row;
    bool *keep = w->opt.top ? aic_alloc(p->n_rows, sizeof *keep) : NULL;
    if (keep)
        res_top_rows(p, w->opt.top, keep);
    for (size_t i = 0; i < at->n; i++) {
        const res_piece *piece = &at->pieces[i];
        uint64_t touched = RES_ALL_FIELDS;
        if (piece->stripe->g == RES_G_BREAKDOWN) {
            touched = fill_rows(p, rows, piece);
            if (keep)
                leave_out(keep + rows, piece, p->energy != NULL);
            rows += piece->n;
        } else {
            row = fill_points(w, p, at, point, row, piece);
            point += piece->n;
        }
        res_press_filled(piece, touched);
    }
    free(keep);
}
