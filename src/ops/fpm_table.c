/* Rows of whole-model passes: checked, healed and sorted into cells (docs/model/fpm.md). */
#include "ops/fpm_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const fpm_phase_names[] = {"prefill", "decode", NULL};
const char *const fpm_axis_names[FPM_AXES] = {"batch_size", "total_prefill_tokens", "total_kv_read_tokens"};
const char *const fpm_identity_names[FPM_IDS] = {
#define FPM_IDENTITY_NAME(name) #name,
    FPM_IDENTITY(FPM_IDENTITY_NAME)
#undef FPM_IDENTITY_NAME
};

/* ---- the table's columns ------------------------------------------------------------------------------- */

#define TEXT_COLUMN(name)                                                                                    \
    { .column = #name, .text = true }
#define NUMBER_COLUMN(name)                                                                                  \
    { .column = #name }

/* The identity in order, then the model and what every row must say. */
enum { MODEL = FPM_IDS, PHASE, POLICY, SYSTEM, BACKEND, VERSION, CELL_ID, WEIGHTS, REGIME, CATEGORIES };

const pdb_schema fpm_schema = {.table = "fpm_forward_perf",
                               .cats = {TEXT_COLUMN(gemm_quant_mode),
                                        TEXT_COLUMN(moe_quant_mode),
                                        TEXT_COLUMN(fmha_quant_mode),
                                        TEXT_COLUMN(comm_quant_mode),
                                        TEXT_COLUMN(kv_cache_dtype),
                                        NUMBER_COLUMN(tp),
                                        NUMBER_COLUMN(pp),
                                        NUMBER_COLUMN(dp),
                                        NUMBER_COLUMN(moe_tp),
                                        NUMBER_COLUMN(moe_ep),
                                        NUMBER_COLUMN(cp),
                                        TEXT_COLUMN(moe_backend),
                                        TEXT_COLUMN(attention_backend),
                                        NUMBER_COLUMN(enable_wideep),
                                        NUMBER_COLUMN(enable_eplb),
                                        TEXT_COLUMN(model_path),
                                        TEXT_COLUMN(workload_kind),
                                        TEXT_COLUMN(partition_policy),
                                        TEXT_COLUMN(system),
                                        TEXT_COLUMN(backend),
                                        TEXT_COLUMN(backend_version),
                                        TEXT_COLUMN(cell_id),
                                        TEXT_COLUMN(weight_quantization),
                                        {.column = "kv_seed_regime", .text = true, .optional = true}},
                               .n_cats = CATEGORIES,
                               .axes = {{.column = "batch_size"},
                                        {.column = "total_prefill_tokens"},
                                        {.column = "total_kv_read_tokens"}},
                               .n_axes = FPM_AXES,
                               .wide_axis = true,
                               .value = {"latency_ms"},
                               .primary_only = true};

/* ---- gathering rows ------------------------------------------------------------------------------------ */

typedef struct pass {
    uint64_t cell[FPM_IDS + 1]; /* identity and model, as stored */
    fpm_phase phase;
    uint64_t at[FPM_AXES];
    double latency; /* ms */
    enum { REAL_KV, FAKE_FALLBACK, OTHER_REGIME } regime;
    size_t row; /* in the file */
} pass;

typedef struct gathering {
    const pdb_view *view;
    aic_arena *arena;
    pass *passes;
    size_t n, cap;
} gathering;

/* What a row says wrongly, or NULL. */
static const char *fault_of(const pdb_view *v, const pdb_row *row, bool prefill, bool decode) {
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        {!prefill && !decode, "workload_kind must be prefill or decode"},
        {strcmp(pdb_text(v, row->cat[POLICY]), "balanced_v1") != 0, "partition_policy must be balanced_v1"},
        {strcmp(pdb_text(v, row->cat[VERSION]), v->version) != 0,
         "backend_version must be that of the database"},
        {strcmp(pdb_text(v, row->cat[SYSTEM]), v->measured) != 0, "system must be that of the database"},
        {strcmp(pdb_text(v, row->cat[BACKEND]), v->backend) != 0, "backend must be that of the database"},
        {!(row->latency > 0.0) || !isfinite(row->latency), "latency_ms must be finite and above 0"},
        {row->axis[FPM_BATCH] < 1, "batch_size must be at least 1"},
        {prefill && row->axis[FPM_TOTAL_PREFILL] < 1,
         "total_prefill_tokens of a prefill row must be at least 1"},
        {decode && row->axis[FPM_TOTAL_PREFILL] != 0, "total_prefill_tokens of a decode row must be 0"},
        {!*pdb_text(v, row->cat[FPM_ID_moe_backend]), "moe_backend must not be empty"},
        {!*pdb_text(v, row->cat[FPM_ID_attention_backend]), "attention_backend must not be empty"},
        {row->cat[FPM_ID_enable_wideep] > 1, "enable_wideep must be a boolean"},
        {row->cat[FPM_ID_enable_eplb] > 1, "enable_eplb must be a boolean"},
    };
    for (size_t i = 0; i < OP_COUNT(rules); i++)
        if (rules[i].wrong)
            return rules[i].text;
    return NULL;
}

static bool gather(void *ctx, pdb_row *row) {
    gathering *g = ctx;
    const char *phase = pdb_text(g->view, row->cat[PHASE]), *regime = pdb_text(g->view, row->cat[REGIME]);
    bool prefill = strcmp(phase, fpm_phase_names[FPM_PREFILL]) == 0,
         decode = strcmp(phase, fpm_phase_names[FPM_DECODE]) == 0;
    const char *fault = fault_of(g->view, row, prefill, decode);
    if (fault) {
        row->fault = aic_arena_printf(g->arena, "row %zu: %s", g->n, fault);
        return false;
    }
    AIC_GROW(g->passes, g->n, g->cap);
    pass *p = &g->passes[g->n];
    *p = (pass){.phase = prefill ? FPM_PREFILL : FPM_DECODE,
                .latency = row->latency,
                .regime = strcmp(regime, "real_kv") == 0         ? REAL_KV
                          : strcmp(regime, "fake_fallback") == 0 ? FAKE_FALLBACK
                                                                 : OTHER_REGIME,
                .row = g->n++};
    memcpy(p->cell, row->cat, sizeof p->cell);
    memcpy(p->at, row->axis, sizeof p->at);
    return true;
}

/* ---- passes in order ----------------------------------------------------------------------------------- */

static bool same_part(const pass *a, const pass *b) {
    return a->phase == b->phase && memcmp(a->cell, b->cell, sizeof a->cell) == 0;
}

/* Cells in any order, in each prefill before decode and shape before curve. */
static int place(const pass *a, const pass *b) {
    static const fpm_axis order[] = {FPM_BATCH, FPM_TOTAL_KV, FPM_TOTAL_PREFILL};
    int cells = memcmp(a->cell, b->cell, sizeof a->cell);
    if (cells || a->phase != b->phase)
        return cells ? cells : a->phase < b->phase ? -1 : 1;
    for (size_t i = 0; i < OP_COUNT(order); i++)
        if (a->at[order[i]] != b->at[order[i]])
            return a->at[order[i]] < b->at[order[i]] ? -1 : 1;
    return 0;
}

static int by_place(const void *x, const void *y) {
    const pass *a = x, *b = y;
    int order = place(a, b);
    return order ? order : a->row < b->row ? -1 : 1;
}

static const char *find_twins(const gathering *g) {
    for (size_t i = 1; i < g->n; i++)
        if (place(&g->passes[i - 1], &g->passes[i]) == 0)
            return aic_arena_printf(g->arena, "table %s: rows %zu and %zu measure the same pass",
                                    fpm_schema.table, g->passes[i - 1].row, g->passes[i].row);
    return NULL;
}

/* A decode pass over an invented KV cache lies on the line through the two longest real ones of its batch
 * below it. */
static void heal(pass *p, const pass *before, const pass *last) {
    double kv = (double)p->at[FPM_TOTAL_KV], k2 = (double)last->at[FPM_TOTAL_KV],
           k1 = (double)before->at[FPM_TOTAL_KV];
    double healed = last->latency + (kv - k2) * ((last->latency - before->latency) / (k2 - k1));
    if (isfinite(healed) && healed > 0.0)
        p->latency = healed;
}

static void heal_all(gathering *g) {
    const pass *before = NULL, *last = NULL;
    for (size_t i = 0; i < g->n; i++) {
        pass *p = &g->passes[i];
        if (i && (!same_part(p, p - 1) || p->at[FPM_BATCH] != p[-1].at[FPM_BATCH]))
            before = last = NULL;
        if (p->phase != FPM_DECODE)
            continue;
        if (p->regime == FAKE_FALLBACK && before)
            heal(p, before, last);
        if (p->regime == REAL_KV) {
            before = last;
            last = p;
        }
    }
}

/* ---- does prefill stop depending on the batch? --------------------------------------------------------- */

/* Relative differences between the curves of two shapes, where the second has points inside the first one's
 * range. Returns how many. */
static size_t compare_shapes(const pdb_sites *s, uint32_t lo, uint32_t hi, double *out) {
    size_t n = 0;
    uint32_t at = s->first[lo], end = s->first[lo + 1];
    for (uint32_t i = s->first[hi]; i < s->first[hi + 1]; i++) {
        while (at < end && s->key[at] < s->key[i])
            at++;
        if (at == end)
            break;
        double base = s->latency[at];
        if (s->key[at] != s->key[i]) {
            if (at == s->first[lo])
                continue;
            double from = (double)s->key[at - 1],
                   w = ((double)s->key[i] - from) / ((double)s->key[at] - from);
            base = s->latency[at - 1] + (base - s->latency[at - 1]) * w;
        }
        if (base > 0.0)
            out[n++] = fabs(s->latency[i] / base - 1.0);
    }
    return n;
}

static uint32_t end_of_batch(const pdb_sites *s, uint32_t from) {
    uint32_t i = from;
    while (i < s->n && s->site[2 * (size_t)i] == s->site[2 * (size_t)from])
        i++;
    return i;
}

/* Differences between every two neighbouring batches at equal KV totals. Sites ascend by batch, then KV
 * total. */
static size_t compare_batches(const pdb_sites *s, double *out) {
    size_t n = 0;
    for (uint32_t start = 0, end; start < s->n; start = end) {
        end = end_of_batch(s, start);
        uint32_t stop = end < s->n ? end_of_batch(s, end) : end;
        for (uint32_t lo = start, hi = end; lo < end && hi < stop;) {
            uint64_t a = s->site[2 * (size_t)lo + 1], b = s->site[2 * (size_t)hi + 1];
            if (a == b)
                n += compare_shapes(s, lo, hi, out + n);
            lo += a <= b;
            hi += b <= a;
        }
    }
    return n;
}

static int by_value(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static uint64_t flat_from(const fpm_points *p) {
    enum { LEAST = 3 };
    static const double MOST = 0.05;
    double *all = aic_alloc(p->count, sizeof *all);
    size_t n = compare_batches(p->sites, all);
    qsort(all, n, sizeof *all, by_value);
    double median = n < LEAST ? INFINITY : n % 2 ? all[n / 2] : (all[n / 2 - 1] + all[n / 2]) / 2.0;
    free(all);
    return median <= MOST ? p->high[FPM_BATCH] : 0;
}

/* ---- cells --------------------------------------------------------------------------------------------- */

/* The passes of one phase of a cell, in place. */
static fpm_points make_points(aic_arena *a, const pass *passes, size_t n) {
    fpm_points p = {.count = n};
    uint64_t *coords = aic_alloc(aic_mul(n, 3), sizeof *coords);
    pdb_leaf *leaves = aic_alloc(n, sizeof *leaves);
    memcpy(p.low, passes[0].at, sizeof p.low);
    memcpy(p.high, passes[0].at, sizeof p.high);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *at = passes[i].at;
        for (int k = 0; k < FPM_AXES; k++) {
            p.low[k] = at[k] < p.low[k] ? at[k] : p.low[k];
            p.high[k] = at[k] > p.high[k] ? at[k] : p.high[k];
        }
        bool prefill = passes[i].phase == FPM_PREFILL;
        coords[3 * i] = at[prefill ? FPM_TOTAL_PREFILL : FPM_TOTAL_KV];
        coords[3 * i + 1] = at[FPM_BATCH];
        coords[3 * i + 2] = prefill ? at[FPM_TOTAL_KV] : 0;
        leaves[i] = (pdb_leaf){.latency = passes[i].latency};
    }
    p.sites = pdb_sites_build_ascending(a, n, coords, leaves, NULL);
    free(coords);
    free(leaves);
    return p;
}

static const char *identity_text(const gathering *g, const pass *p, int i) {
    if (i == FPM_ID_enable_wideep || i == FPM_ID_enable_eplb)
        return p->cell[i] ? "True" : "False";
    if (fpm_schema.cats[i].text)
        return pdb_text(g->view, p->cell[i]);
    return aic_arena_printf(g->arena, "%llu", (unsigned long long)p->cell[i]);
}

static void name_cell(const gathering *g, const pass *p, fpm_cell *c) {
    c->model = pdb_text(g->view, p->cell[MODEL]);
    for (int i = 0; i < FPM_IDS; i++)
        c->identity[i] = identity_text(g, p, i);
}

static const fpm_table *make_table(const gathering *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        n += i == 0 || memcmp(g->passes[i].cell, g->passes[i - 1].cell, sizeof g->passes[i].cell) != 0;
    fpm_table *t = aic_arena_alloc(g->arena, 1, sizeof *t);
    fpm_cell *cells = aic_arena_alloc(g->arena, n, sizeof *cells), *c = cells;
    for (size_t i = 0, end; i < g->n; i = end) {
        const pass *p = &g->passes[i];
        end = i + 1;
        while (end < g->n && same_part(&g->passes[end], p))
            end++;
        if (i && memcmp(p->cell, p[-1].cell, sizeof p->cell) != 0)
            c++;
        name_cell(g, p, c);
        c->points[p->phase] = make_points(g->arena, p, end - i);
        if (p->phase == FPM_PREFILL)
            c->flat_from = flat_from(&c->points[FPM_PREFILL]);
    }
    *t = (fpm_table){n, cells};
    return t;
}

static const void *build(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    (void)identity;
    gathering g = {.view = view, .arena = a};
    const fpm_table *t = NULL;
    if (pdb_scan(view, &fpm_schema, gather, &g, why)) {
        if (g.n)
            qsort(g.passes, g.n, sizeof *g.passes, by_place);
        *why =
            g.n ? find_twins(&g)
                : aic_arena_printf(a, "table %s: no passes of whole models were collected", fpm_schema.table);
        if (!*why) {
            heal_all(&g);
            t = make_table(&g);
        }
    }
    free(g.passes);
    return t;
}

const fpm_table *fpm_table_get(const pdb_view *view, const char **why) {
    return pdb_derived(view, &fpm_schema, build, why);
}
