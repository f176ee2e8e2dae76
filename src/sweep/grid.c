/* Enumeration: deployments of blocks in axis order, their points by prefix sums, any point from its index. */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

static const char *const axis_names[SWP_AXES] = {
    "modes",   "models", "systems", "backends", "versions", "database modes", "transfer policies",
    "layouts", "quants", "drafts",  "options"};

const char *swp_axis_name(swp_axis x) {
    return axis_names[x];
}

void swp_block_request(const swp_block *b, uint64_t code, srv_request *out) {
    size_t at[SWP_AXES];
    for (size_t x = SWP_AXES; x-- > 0;) {
        at[x] = (size_t)(code % b->n[x]);
        code /= b->n[x];
    }
    srv_request_init(out);
    out->mode = b->modes[at[SWP_MODE]];
    out->model = b->models.v[at[SWP_MODEL]];
    out->system = b->systems.v[at[SWP_SYSTEM]];
    out->backend = b->backends.v[at[SWP_BACKEND]];
    out->version = b->versions.v[at[SWP_VERSION]];
    out->database_mode = b->database_modes[at[SWP_DATABASE_MODE]];
    const char *policy = b->policies.v[at[SWP_POLICY]];
    out->transfer_policy = *policy ? policy : NULL;
    out->par = b->layouts[at[SWP_LAYOUT]];
    out->quants = b->quants[at[SWP_QUANT]];
    out->nextn = b->drafts[at[SWP_DRAFT]].nextn;
    out->nextn_accepted = b->drafts[at[SWP_DRAFT]].accepted;
    out->options = b->options[at[SWP_OPTION]];
}

static const mdl_model *block_model(const swp_block *b, uint64_t code) {
    for (size_t x = SWP_AXES - 1; x > SWP_MODEL; x--)
        code /= b->n[x];
    return b->facts[code % b->n[SWP_MODEL]];
}

uint32_t *swp_load_column_of(srv_workload *w, size_t column) {
    mdl_images *images = &w->images;
    uint32_t *const at[SWP_LOAD_COLUMNS] = {&w->batch,      &w->isl,         &w->osl,        &w->prefix,
                                            &images->count, &images->height, &images->width, &images->tokens};
    return at[column];
}

/* ---- workloads --------------------------------------------------------------------------------------- */

/* A workload of a block and where it stands: one digit per column outside the tuples, last fastest. */
typedef struct odometer {
    const swp_block *b;
    uint64_t at;
    uint64_t tuple;
    size_t digit[SWP_LOAD_COLUMNS];
    srv_workload load;
} odometer;

static void show(odometer *o, size_t column) {
    *swp_load_column_of(&o->load, column) = o->b->load[column].v[o->digit[column]];
}

/* The first workload. */
static odometer odometer_at_first(const swp_block *b) {
    odometer o = {.b = b};
    if (b->tuples)
        o.load = b->tuples[0];
    for (size_t j = 0; j < SWP_LOAD_COLUMNS; j++)
        if (!b->in_tuple[j])
            show(&o, j);
    return o;
}

/* Goes on to workload `to`, which does not lie before. Neighbours differ in one digit mostly. */
static void go_to(odometer *o, uint64_t to) {
    uint64_t by = to - o->at;
    o->at = to;
    for (size_t j = SWP_LOAD_COLUMNS; by > 0 && j-- > 0;) {
        size_t n = o->b->load[j].n;
        if (o->b->in_tuple[j] || n == 1)
            continue;
        uint64_t digit = o->digit[j] + by;
        by = digit < n ? 0 : digit / n;
        o->digit[j] = (size_t)(digit < n ? digit : digit % n);
        show(o, j);
    }
    if (by == 0 || !o->b->tuples)
        return;
    o->tuple += by;
    o->load = o->b->tuples[o->tuple];
    for (size_t j = 0; j < SWP_LOAD_COLUMNS; j++)
        if (!o->b->in_tuple[j])
            show(o, j);
}

/* ---- filters over workloads
 * ------------------------------------------------------------------------------------------- */

/* Growing list of kept workload indices of a block. */
typedef struct kept {
    uint32_t *v;
    size_t n, cap;
} kept;

/* Appends the workloads of one deployment (or of all, when only workload columns are read) that pass the
 * filters `which`; from = NULL means all workloads of the block are candidates. */
static bool keep_loads(const swp_block *b, unsigned which, swp_row *row, const mdl_model *model,
                       const kept *from, kept *out, aic_error *err) {
    uint64_t n = from ? from->n : b->n_loads;
    odometer o = odometer_at_first(b);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t load = from ? from->v[i] : (uint32_t)i;
        bool pass;
        go_to(&o, load);
        row->load = srv_plain_images(o.load);
        if (!swp_filters_pass(b, which, row, model, &pass, err))
            return false;
        if (!pass)
            continue;
        AIC_GROW(out->v, out->n, out->cap);
        out->v[out->n++] = load;
    }
    return true;
}

/* ---- deployments
 * -----------------------------------------------------------------------------------------------------------
 */

typedef struct builder {
    swp_sweep *s;
    aic_error *err;
    size_t cap;
} builder;

static bool add_dep(builder *g, uint32_t block, uint64_t code, uint64_t kept_at, uint64_t points) {
    swp_sweep *s = g->s;
    if (points == 0)
        return true;
    if (s->n_deps == SWP_MAX_DEPLOYMENTS)
        return aic_node_fail(g->err, s->blocks[block].at, "the sweep has more than %d deployments: split it",
                             SWP_MAX_DEPLOYMENTS);
    if (points > SWP_MAX_POINTS - s->points)
        return aic_node_fail(g->err, s->blocks[block].at, "the sweep has more than 2^40 points: split it");
    AIC_GROW(s->deps, s->n_deps, g->cap);
    s->deps[s->n_deps++] = (swp_dep){s->points, code, kept_at, block};
    s->points += points;
    return true;
}

static bool count_codes(const swp_block *b, uint64_t *codes, aic_error *err) {
    *codes = 1;
    for (size_t x = 0; x < SWP_AXES; x++) {
        if (*codes > UINT64_MAX / b->n[x])
            *codes = UINT64_MAX;
        else
            *codes *= b->n[x];
    }
    bool filtered = swp_filters_any(b, SWP_READS_DEPLOYMENT) || swp_filters_any(b, 0);
    uint64_t most = filtered ? SWP_MAX_FILTERED : SWP_MAX_DEPLOYMENTS;
    return *codes <= most || aic_node_fail(err, b->at, "the block has more than %llu deployments: split it",
                                           (unsigned long long)most);
}

/* Deployments of one block. loads: what the filters over workloads alone left, NULL = all; all: the list that
 * becomes block->kept. */
static bool add_deps(builder *g, uint32_t index, const kept *loads, kept *all) {
    swp_block *b = &g->s->blocks[index];
    enum { BOTH = SWP_READS_DEPLOYMENT | SWP_READS_LOAD };
    bool mixed = swp_filters_any(b, BOTH);
    uint64_t codes, looked_at = 0;
    if (!count_codes(b, &codes, g->err))
        return false;
    for (uint64_t code = 0; code < codes; code++) {
        swp_row row;
        bool pass;
        swp_row_init(&row);
        swp_block_request(b, code, &row.request);
        const mdl_model *model = block_model(b, code);
        if (!swp_filters_pass(b, 0, &row, model, &pass, g->err))
            return false;
        if (pass && !swp_filters_pass(b, SWP_READS_DEPLOYMENT, &row, model, &pass, g->err))
            return false;
        if (!pass)
            continue;
        size_t before = mixed ? all->n : 0;
        uint64_t points = loads ? loads->n : b->n_loads;
        if (mixed) {
            looked_at += points;
            if (looked_at > SWP_MAX_FILTERED)
                return aic_node_fail(g->err, b->at,
                                     "a filter over deployment and workload columns looks at more than %d "
                                     "points of this block: split the block or the filter",
                                     SWP_MAX_FILTERED);
            if (!keep_loads(b, BOTH, &row, model, loads, all, g->err))
                return false;
            points = all->n - before;
        }
        if (!add_dep(g, index, code, before, points))
            return false;
    }
    return true;
}

static bool build_block(builder *g, uint32_t index) {
    swp_block *b = &g->s->blocks[index];
    bool by_load = swp_filters_any(b, SWP_READS_LOAD);
    bool mixed = swp_filters_any(b, SWP_READS_DEPLOYMENT | SWP_READS_LOAD);
    kept loads = {0}, all = {0};
    swp_row row;
    swp_row_init(&row);
    if (by_load && b->n_loads > SWP_MAX_FILTERED)
        return aic_node_fail(g->err, b->at,
                             "the block has too many workloads per deployment to filter: split it");
    bool ok = !by_load || keep_loads(b, SWP_READS_LOAD, &row, NULL, NULL, &loads, g->err);
    ok = ok && add_deps(g, index, by_load ? &loads : NULL, &all);
    kept *unused = mixed ? &loads : &all;
    b->kept = mixed ? all.v : loads.v;
    free(unused->v);
    return ok;
}

bool swp_grid_build(swp_sweep *s, aic_error *err) {
    builder g = {s, err, 0};
    for (size_t i = 0; i < s->n_blocks; i++)
        if (!build_block(&g, (uint32_t)i))
            return false;
    AIC_GROW(s->deps, s->n_deps, g.cap);
    s->deps[s->n_deps] = (swp_dep){.first = s->points};
    if (s->points == 0)
        return aic_node_fail(err, s->n_blocks ? s->blocks[0].at : NULL,
                             "the sweep has no points: its filters leave none");
    return true;
}

/* ---- any point from its index
 * ------------------------------------------------------------------------------------------------ */

void swp_request_at(const swp_sweep *s, size_t dep, srv_request *out) {
    if (s->listed)
        *out = s->list_deps[dep].request;
    else
        swp_block_request(&s->blocks[s->deps[dep].block], s->deps[dep].code, out);
}

const char *swp_refused_at(const swp_sweep *s, size_t dep) {
    return s->listed ? s->list_deps[dep].refused : NULL;
}

uint64_t swp_points_of(const swp_sweep *s, size_t dep) {
    return s->listed ? s->list_deps[dep].points : s->deps[dep + 1].first - s->deps[dep].first;
}

size_t swp_dep_of(const swp_sweep *s, uint64_t point) {
    if (s->listed)
        return s->rows[point].dep;
    size_t low = 0, high = s->n_deps; /* deps[low].first <= point < deps[high].first */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->deps[middle].first <= point)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void swp_loads(const swp_sweep *s, uint64_t first, size_t n, srv_workload *out) {
    if (s->listed) {
        for (size_t i = 0; i < n; i++)
            out[i] = s->rows[first + i].load;
        return;
    }
    const swp_dep *d = &s->deps[swp_dep_of(s, first)];
    const swp_block *b = &s->blocks[d->block];
    uint64_t at = first - d->first;
    odometer o = odometer_at_first(b);
    for (size_t i = 0; i < n; i++) {
        go_to(&o, b->kept ? b->kept[d->kept_at + at + i] : at + i);
        out[i] = srv_plain_images(o.load);
    }
}

/* ---- workloads as columns ------------------------------------------------------------------------------ */

_Static_assert(SRV_COLUMN(load.batch) == SWP_BATCH && SRV_COLUMN(load.images.tokens) == SWP_IMAGE_TOKENS,
               "columns of workloads are numbered alike");

/* The fastest column outside the tuples that has several values; where there is none, or images change, the
 * last one, and runs are of one workload. */
static size_t inner_column(const swp_block *b, size_t *length) {
    size_t j = SWP_LOAD_COLUMNS;
    while (j > 0 && (b->in_tuple[j - 1] || b->load[j - 1].n == 1))
        j--;
    *length = j > 0 && j <= SWP_IMAGES ? b->load[j - 1].n : 1;
    return j > 0 ? j - 1 : 0;
}

/* Writes a run to rows i .. i+n-1: the workload o shows and those that differ from it in the inner column. */
static void put_run(const odometer *o, size_t inner, size_t i, size_t n, srv_points *p) {
    srv_workload load = srv_plain_images(o->load);
    if (load.images.count > 0)
        srv_points_open_columns(p, SRV_IMAGE_BITS, i);
    for (size_t j = 0; j < (srv_points_have_images(p) ? SWP_LOAD_COLUMNS : SWP_IMAGES); j++) {
        uint32_t *to = (uint32_t *)srv_points_column(p, j) + i;
        const uint32_t value = *swp_load_column_of(&load, j);
        if (j == inner && n > 1)
            memcpy(to, o->b->load[j].v + o->digit[j], n * sizeof *to);
        else
            for (size_t k = 0; k < n; k++)
                to[k] = value;
    }
}

/* Neighbours in a grid differ in the inner column alone: they are written run by run. */
static void load_grid(const swp_block *b, const uint32_t *kept, uint64_t at, size_t n, srv_points *p) {
    size_t most, inner = inner_column(b, &most);
    odometer o = odometer_at_first(b);
    for (size_t i = 0, run; i < n; i += run) {
        const uint64_t load = kept ? kept[i] : at + i;
        go_to(&o, load);
        const size_t left = most > 1 ? most - o.digit[inner] : 1;
        for (run = 1; run < left && i + run < n && (!kept || kept[i + run] == load + run); run++)
            ;
        put_run(&o, inner, i, run, p);
    }
    for (size_t j = 0; j < SWP_IMAGES; j++)
        p->same |= (uint64_t)(!b->in_tuple[j] && b->load[j].n == 1) << j;
}

/* Tells the loads of a block of points from all others, but for how many there are: where they stand in what
 * the deployments of a block of the spec share. 0: no number does. */
static uint64_t number_of(uint32_t block, uint64_t at) {
    enum { PLACES = 40 };
    return at >> PLACES || (uint64_t)block + 1 >= UINT64_C(1) << (64 - PLACES)
               ? 0
               : ((uint64_t)block + 1) << PLACES | at;
}

void swp_load_block(const swp_sweep *s, uint64_t first, size_t n, srv_block *out) {
    if (s->listed) {
        srv_workload *loads = aic_alloc(n, sizeof *loads);
        swp_loads(s, first, n, loads);
        srv_block_load(out, loads, n);
        free(loads);
        return;
    }
    const swp_dep *d = &s->deps[swp_dep_of(s, first)];
    const swp_block *b = &s->blocks[d->block];
    const uint64_t at = first - d->first;
    srv_block_reserve(out, n);
    const uint64_t number = number_of(d->block, (b->kept ? d->kept_at : 0) + at);
    if (!number || !srv_block_recall(out, number))
        load_grid(b, b->kept ? b->kept + d->kept_at + at : NULL, at, n, &out->points);
}

size_t swp_block_size(const swp_sweep *s, uint64_t first, size_t max) {
    uint64_t left = s->points - first;
    if (!s->listed)
        left = s->deps[swp_dep_of(s, first) + 1].first - first;
    return left < max ? (size_t)left : max;
}
