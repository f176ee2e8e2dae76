/* Points on their way to their stripes: placing, in point order, and filling, in any order. */
#include "results/writer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t deployment_of(const res_points *p, size_t i) {
    return p->deployment ? p->deployment[i] : p->one_deployment;
}

/* ---- placing ----------------------------------------------------------------------------------------- */

/* A caller's mistake would be a file that readers refuse. */
static bool check_point(const res_writer *w, const res_points *p, size_t i, aic_error *err) {
    uint32_t d = deployment_of(p, i), rows = res_rows_of(p, i);
    if (d >= w->deployments.table.rows)
        return aic_fail(err, AIC_IO, "point %zu of a block names deployment %u, which was not announced", i,
                        d);
    return res_rows_fit(&w->deployments.table, &w->deployments.ops, d, rows) ||
           aic_fail(err, AIC_IO, "point %zu of a block has %u breakdown rows, not those of its deployment", i,
                    rows);
}

static bool check_points(const res_writer *w, const res_points *p, aic_error *err) {
    const bool alike = !p->deployment && !p->rows;
    size_t sum = alike ? aic_mul(p->n, p->rows_each) : 0;
    for (size_t i = 0; i < p->n && (i == 0 || !alike); i++) {
        sum += alike ? 0 : res_rows_of(p, i);
        if (i > 0 && deployment_of(p, i) == deployment_of(p, i - 1) &&
            res_rows_of(p, i) == res_rows_of(p, i - 1))
            continue; /* as the point before */
        if (!check_point(w, p, i, err))
            return false;
    }
    return sum == p->n_rows ||
           aic_fail(err, AIC_IO, "a block of points has %zu breakdown rows, not %zu", p->n_rows, sum);
}

/* Enters the reasons of the points. Those of neighbours are mostly one text, kept once. */
static void place_reasons(res_writer *w, const res_points *p, res_placement *at) {
    const char *const *reason = p->points->of.reason;
    const uint8_t *status = p->points->of.status;
    at->any_reason = !(p->points->same & SRV_BIT(reason)) || reason[0];
    if (!at->any_reason)
        return;
    const size_t step = p->points->same & SRV_BIT(reason) ? 0 : 1;
    const size_t step_status = p->points->same & SRV_BIT(status) ? 0 : 1;
    if (p->n > at->cap_reasons) {
        free(at->reasons);
        at->cap_reasons = p->n;
        at->reasons = aic_alloc(p->n, sizeof *at->reasons);
    }
    for (size_t i = 0, end; i < p->n; i = end) {
        const char *text = reason[i * step];
        const uint8_t s = status[i * step_status];
        for (end = i + 1; end < p->n && reason[end * step] == text && status[end * step_status] == s; end++)
            ;
        uint32_t id = text ? res_reasons_merge(&w->reasons, (srv_status)s, text, strlen(text), end - i,
                                               w->origin.first_point + w->points + i)
                           : 0;
        for (size_t j = i; j < end; j++)
            at->reasons[j] = id;
    }
}

static void count_points(res_writer *w, const res_points *p) {
    for (int s = 0; s < SRV_STATUS_COUNT; s++) {
        size_t n = srv_points_count(p->points, p->n, (srv_status)s);
        w->by_status[s] += n;
        w->ahead.by_status[s] += n;
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
        for (size_t j = 0; w->opt.breakdown && p->rows && j < n; j++)
            rows += p->rows[i + j];
        rows += w->opt.breakdown && !p->rows ? n * p->rows_each : 0;
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

/* Splits what rows rest on into its two columns; tier may be basis itself. */
static void split_basis(const srv_basis *basis, size_t n, uint8_t *tier, uint8_t *carried) {
    for (size_t i = 0; i < n; i++) {
        const srv_basis both = basis[i];
        tier[i] = (uint8_t)srv_basis_tier(both);
        carried[i] = (uint8_t)srv_basis_carried(both);
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
    if (basis && !aic_all_zero(basis, piece->n)) {
        touched |= RES_FIELD_BIT(RES_B_TIER) | RES_FIELD_BIT(RES_B_CARRIED);
        split_basis(basis, piece->n, cells(piece, RES_B_TIER), cells(piece, RES_B_CARRIED));
    } else {
        put_zeros(piece, RES_B_TIER);
        put_zeros(piece, RES_B_CARRIED);
    }
    return touched;
}

/* The same for rows that are made where they go. */
static uint64_t make_rows(const srv_block *late, size_t first, const res_piece *piece) {
    uint64_t touched = RES_FIELD_BIT(RES_B_LATENCY) | RES_FIELD_BIT(RES_B_SOURCE);
    srv_rows to = {.latency = cells(piece, RES_B_LATENCY), .source = cells(piece, RES_B_SOURCE)};
    if (!late->no_energy) {
        touched |= RES_FIELD_BIT(RES_B_ENERGY);
        to.energy = cells(piece, RES_B_ENERGY);
    } else {
        put_zeros(piece, RES_B_ENERGY);
    }
    if (!late->no_basis) {
        touched |= RES_FIELD_BIT(RES_B_TIER) | RES_FIELD_BIT(RES_B_CARRIED);
        to.basis = cells(piece, RES_B_TIER);
    } else {
        put_zeros(piece, RES_B_TIER);
        put_zeros(piece, RES_B_CARRIED);
    }
    srv_block_rows(late, first, piece->n, &to);
    if (to.basis)
        split_basis(to.basis, piece->n, to.basis, cells(piece, RES_B_CARRIED));
    return touched;
}

/* Rows that cannot be made where they go, since they are rounded or some are left out, are made here. Returns
 * the memory of *to, the points with their rows. */
static void *make_beside(const res_points *p, res_points *to) {
    const size_t n = p->n_rows;
    double *memory = aic_alloc(n, 2 * sizeof *memory + 2);
    srv_rows rows = {.latency = memory, .energy = memory + n, .source = (uint8_t *)(memory + 2 * n)};
    rows.basis = rows.source + n;
    if (p->late->no_energy)
        rows.energy = NULL;
    if (p->late->no_basis)
        rows.basis = NULL;
    srv_block_rows(p->late, 0, n, &rows);
    *to = *p;
    to->late = NULL;
    to->latency = rows.latency;
    to->energy = rows.energy;
    to->source = rows.source;
    to->basis = rows.basis;
    return memory;
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

/* One value for all points of a piece; zeros are mostly there already. Returns the field if it was touched.
 */
static uint64_t put_one(const res_piece *piece, size_t field, const void *value) {
    const size_t width = piece->stripe->rows.width[field], bytes = piece->n * width;
    char *to = cells(piece, field);
    uint64_t bits = 0;
    memcpy(&bits, value, width);
    if (bits == 0 || bytes == 0) {
        put_zeros(piece, field);
        return 0;
    }
    memcpy(to, value, width); /* then what is there, twice as much each time */
    for (size_t have = width, n; have < bytes; have += n) {
        n = have < bytes - have ? have : bytes - have;
        memcpy(to + have, to, n);
    }
    return RES_FIELD_BIT(field);
}

/* A column of points first .. first+n-1 of the block. Returns the field if it was touched. */
static uint64_t fill_column(const srv_points *points, size_t column, size_t first, const res_piece *piece,
                            size_t field) {
    const size_t width = piece->stripe->rows.width[field];
    const char *from = srv_points_column(points, column);
    if (points->same >> column & 1)
        return put_one(piece, field, from);
    memcpy(cells(piece, field), from + first * width, piece->n * width);
    return RES_FIELD_BIT(field);
}

static uint64_t fill_columns(const res_points *p, const res_placement *place, size_t first,
                             const res_piece *piece) {
    static const uint32_t none = 0;
    uint64_t touched = 0;
    for (size_t column = RES_C_batch; column < RES_COLUMN_COUNT; column++) {
        const res_column *c = res_column_at(column);
        const size_t field = res_point_field(column);
        if (c->type != RES_TEXT) {
            touched |= fill_column(p->points, c->column, first, piece, field);
        } else if (place->any_reason) {
            memcpy(cells(piece, field), place->reasons + first, piece->n * sizeof *place->reasons);
            touched |= RES_FIELD_BIT(field);
        } else {
            touched |= put_one(piece, field, &none);
        }
    }
    return touched;
}

/* Where the rows of points lie. row: of the first point, in /breakdown, that of the point after the last in
 * the end. */
static uint64_t fill_rows_of(const res_writer *w, const res_points *p, size_t first, uint64_t *row,
                             const res_piece *piece) {
    uint64_t *firsts = cells(piece, RES_P_FIRST);
    uint16_t *rows = cells(piece, RES_P_ROWS);
    const uint16_t each = (uint16_t)(w->opt.breakdown ? p->rows_each : 0);
    if (!w->opt.breakdown || (!p->rows && each == 0))
        return put_one(piece, RES_P_FIRST, row) | put_one(piece, RES_P_ROWS, &each);
    for (size_t i = 0; i < piece->n; i++) {
        firsts[i] = *row;
        rows[i] = (uint16_t)res_rows_of(p, first + i);
        *row += rows[i];
    }
    return RES_FIELD_BIT(RES_P_FIRST) | RES_FIELD_BIT(RES_P_ROWS);
}

/* Returns the fields touched. */
static uint64_t fill_points(const res_writer *w, const res_points *p, const res_placement *place,
                            size_t first, uint64_t *row, const res_piece *piece) {
    uint64_t id = w->origin.first_point + place->first_point + first, touched = RES_FIELD_BIT(RES_P_POINT);
    uint64_t *ids = cells(piece, RES_P_POINT);
    for (size_t i = 0; i < piece->n; i++)
        ids[i] = id + i;
    if (p->deployment) {
        memcpy(cells(piece, RES_P_DEPLOYMENT), p->deployment + first, piece->n * sizeof *p->deployment);
        touched |= RES_FIELD_BIT(RES_P_DEPLOYMENT);
    } else {
        touched |= put_one(piece, RES_P_DEPLOYMENT, &p->one_deployment);
    }
    return touched | fill_columns(p, place, first, piece) | fill_rows_of(w, p, first, row, piece);
}

void res_writer_fill(const res_writer *w, const res_points *p, const res_placement *at) {
    res_points made;
    void *memory = NULL;
    if (p->late && w->opt.breakdown && (w->opt.top || w->opt.precision != RES_PRECISION_f64)) {
        memory = make_beside(p, &made);
        p = &made;
    }
    size_t point = 0, rows = 0;
    uint64_t row = at->first_row;
    bool *keep = w->opt.top ? aic_alloc(p->n_rows, sizeof *keep) : NULL;
    if (keep)
        res_top_rows(p, w->opt.top, keep);
    for (size_t i = 0; i < at->n; i++) {
        const res_piece *piece = &at->pieces[i];
        uint64_t touched;
        if (piece->stripe->g == RES_G_BREAKDOWN) {
            touched = p->late ? make_rows(p->late, rows, piece) : fill_rows(p, rows, piece);
            if (keep)
                leave_out(keep + rows, piece, p->energy != NULL);
            rows += piece->n;
        } else {
            touched = fill_points(w, p, at, point, &row, piece);
            point += piece->n;
        }
        res_press_filled(piece, touched);
    }
    free(keep);
    free(memory);
}
