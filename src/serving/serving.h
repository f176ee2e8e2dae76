/* serving: op lists + workload -> the figures of one point (docs/model/serving.md, docs/model/memory.md).
 *
 * A deployment fixes the op lists; it is compiled (model built, ops bound) once and shared read-only by all
 * threads. Points of a deployment are evaluated in batches: each distinct (op, shape) once, then points are
 * assembled by gather and sum, in an order that gives the same bits as evaluating each point alone
 * (srv_evaluate_plain, the checked reference path).
 */
#ifndef AICFG_SERVING_SERVING_H
#define AICFG_SERVING_SERVING_H

#include "base/base.h"
#include "models/models.h"
#include "ops/ops.h"
#include "perfdb/perfdb.h"
#include <stddef.h>
#include <string.h>

/* X(name): serving modes. static = prefill then decode on one worker; static_ctx, static_gen = one phase. */
#define SRV_MODES(X) X(static) X(static_ctx) X(static_gen)
typedef enum srv_mode {
#define SRV_MODE_ENUM(name) SRV_##name,
    SRV_MODES(SRV_MODE_ENUM)
#undef SRV_MODE_ENUM
        SRV_MODE_COUNT
} srv_mode;
const char *srv_mode_name(srv_mode m);
bool srv_mode_parse(const char *text, srv_mode *out);

/* X(name, meaning): what became of a point. */
#define SRV_STATUSES(X)                                                                                      \
    X(ok, "priced, fits")                                                                                    \
    X(missing, "an op lacks measured data; op, table and key are in the reason")                             \
    X(invalid, "the configuration breaks a rule; the rule is in the reason")                                 \
    X(oom, "priced, but weights, activations or KV cache exceed the GPU's memory")                           \
    X(nonfinite, "a figure is NaN or infinite: a bug worth reporting")
typedef enum srv_status {
#define SRV_STATUS_ENUM(name, meaning) SRV_ST_##name,
    SRV_STATUSES(SRV_STATUS_ENUM)
#undef SRV_STATUS_ENUM
        SRV_STATUS_COUNT
} srv_status;
const char *srv_status_name(srv_status s);
bool srv_status_parse(const char *text, srv_status *out);

/* X(name, meaning): whose rows a value was computed from (docs/model/sources.md). Numbered as the kinds of
 * pdb_origins. */
#define SRV_CARRIED(X)                                                                                       \
    X(own, "rows of the version asked for, or none at all")                                                  \
    X(other_version, "rows of another version of the framework went in")                                     \
    X(other_backend, "rows of another framework went in")                                                    \
    X(both, "rows of another version and of another framework went in")
typedef enum srv_carried {
#define SRV_CARRIED_ENUM(name, meaning) SRV_CARRIED_##name,
    SRV_CARRIED(SRV_CARRIED_ENUM)
#undef SRV_CARRIED_ENUM
        SRV_CARRIED_COUNT
} srv_carried;
const char *srv_carried_name(srv_carried c);

/* What a value rests on, in one byte, so that values add up by |: its srv_carried, then one bit for each tier
 * up to the weakest that went in. */
typedef uint8_t srv_basis;
static inline srv_basis srv_basis_of(op_tier tier, pdb_origins from) {
    return (srv_basis)((from & PDB_CARRIED) | ((1u << tier) - 1) << PDB_ORIGIN_BITS);
}
static inline srv_carried srv_basis_carried(srv_basis b) {
    return (srv_carried)(b & PDB_CARRIED);
}
static inline op_tier srv_basis_tier(srv_basis b) {
    int tier = 0;
    for (unsigned bits = (unsigned)b >> PDB_ORIGIN_BITS; bits; bits >>= 1)
        tier++;
    return (op_tier)tier;
}

/* ---- deployments ----------------------------------------------------------------------------- */

/* Choices of a deployment besides its sizes and modes. What a model or framework does not have a use for has
 * no effect (eplb within a node), what it cannot run is refused (docs/model/parallel.md, "Options"). */
typedef struct srv_options {
    const char *attention_backend; /* attention kernels; NULL = the framework's default */
    const char *moe_backend;       /* expert kernels; NULL = the framework's default */
    const char *distribution;      /* load of the experts; NULL = "power_law" */
    uint32_t eplb;                 /* 1: experts across nodes are balanced over the ranks, 0: not */
    uint32_t slots;      /* expert slots across nodes, redundant ones included; 0 = one per expert */
    uint32_t sms;        /* SMs that exchanges across nodes may use; 0 = 20 */
    uint32_t layers;     /* layers in place of the config's; 0 = as the config says */
    uint32_t encoder_tp; /* 1: tp splits the vision encoder; 0: each rank encodes its share of images */
} srv_options;

/* Everything that fixes the op lists. Strings are borrowed; they must outlive the compiled deployment. */
typedef struct srv_request {
    srv_mode mode;
    const char *model; /* catalogue id or folder */
    const char *system;
    const char *backend;
    const char *version; /* NULL or "" = latest; alias or literal */
    op_mode database_mode;
    const char *transfer_policy; /* what estimates may be calibrated from (HYBRID, EMPIRICAL); NULL = all */
    mdl_parallel par;
    mdl_quants quants; /* PDB_Q_UNSET = inferred ("auto") */
    uint32_t nextn;
    double nextn_accepted; /* accepted draft tokens per step, NaN = not given (required when nextn > 0) */
    double free_gpu_memory_fraction; /* NaN = not given; static modes record but do not use it */
    uint32_t max_seq_len;            /* 0 = not given; static modes record but do not use it */
    srv_options options;
} srv_request;
/* Defaults: static, trtllm, SILICON, sizes 1, power_law, 20 SMs, everything else not given. */
void srv_request_init(srv_request *r);

/* What a worker is built for, where that is not what it runs. */
typedef struct srv_role {
    bool prefills;      /* attention is resolved as a prefill worker's */
    unsigned exchanges; /* MDL_A2A_* bits: phases in which experts across nodes choose an exchange */
} srv_role;

/* Knobs of a static walk that the estimate path leaves at their defaults. */
typedef struct srv_tuning {
    uint32_t beam;                       /* 1 */
    uint32_t stride;                     /* decode positions priced every `stride` steps, 32 */
    double imbalance_ctx, imbalance_gen; /* 1.0 */
    double latency_scale;                /* 1.0, on latency and energy */
    bool honour_memory_args;             /* use free_gpu_memory_fraction and max_seq_len: false */
    bool project;                        /* apply nextn_accepted (and insist on it when nextn > 0): true */
    const srv_role *role;                /* NULL: the mode's own */
    bool to_first_gap; /* leave unbound what stands behind an op that never has an answer, since evaluation
                          stops there: for srv_evaluate alone, not for looking at every op; false */
} srv_tuning;
void srv_tuning_init(srv_tuning *t);

/* X(name): phases of a point, numbered as result files store them. They run in the order encoder (images
 * alone, docs/model/images.md), context, generation. */
#define SRV_PHASES(X) X(context) X(generation) X(encoder)
typedef enum srv_phase {
#define SRV_PHASE_ENUM(name) SRV_PH_##name,
    SRV_PHASES(SRV_PHASE_ENUM)
#undef SRV_PHASE_ENUM
        SRV_PHASE_COUNT
} srv_phase;
const char *srv_phase_name(srv_phase p);
extern const srv_phase srv_phases[SRV_PHASE_COUNT]; /* in the order in which they run */

/* One row of the breakdown: ops of a phase folded by name, in first-encounter order. */
typedef struct srv_row {
    srv_phase phase;
    const char *name;
    const char *kind; /* kind of the first op with that name */
    double repeat;    /* sum of the folded ops' repeats */
} srv_row;

enum { SRV_INPUTS_DIGITS = AIC_XXH128_HEX - 1 };
typedef struct srv_deployment {
    srv_request request; /* as asked */
    srv_tuning tuning;
    unsigned policy;        /* transfer policy as OP_POLICY_* bits */
    srv_status refused;     /* SRV_ST_ok, or the status of every point of this deployment */
    op_refusal why;         /* when refused */
    const pdb_view *view;   /* NULL when refused before it was found */
    const mdl_model *model; /* NULL likewise */
    mdl_deployment built;   /* effective parallelism and modes, op lists, weights */
    /* Breakdown rows in the order of the phases; only those of the mode. Points without images have the rows
     * behind the encoder's alone (srv_first_row). */
    size_t n_rows, n_encoder_rows, n_context_rows;
    const srv_row *rows;
    uint64_t rows_hash[2]; /* 128 bits: equal rows have equal ones; zeros where there are none */
    const void *plan;      /* private: bound ops and fold maps */
    /* XXH3-128 over all that the figures of its points depend on, workloads apart: the code that
     * computes them, request and op lists as resolved, memory constants, the system's sheet, the content of
     * every table its ops read. "" when refused or when it cannot be told. */
    char inputs[SRV_INPUTS_DIGITS + 1];
    struct srv_epoch *epoch; /* private: what it shares with others; NULL = nothing */
    aic_arena *arena;        /* owns all else */
} srv_deployment;

/* Per-framework constants (data/backends/<backend>.yaml, docs/model/memory.md). Immutable once read. */
typedef struct srv_backends srv_backends;
/* Reads every *.yaml of the folder. NULL: unreadable or malformed (position in err). */
srv_backends *srv_backends_open(const char *dir, aic_error *err);
void srv_backends_close(srv_backends *b);
size_t srv_backend_count(const srv_backends *b);
const char *srv_backend_name(const srv_backends *b, size_t i); /* bytewise sorted */

/* Answers that the deployments of a sweep share: those of ops that are the same in several of them, for
 * shapes that several ask for. Any thread; it changes no result (docs/model/serving.md, "factoring"). */
typedef struct srv_answers srv_answers;
#define SRV_ANSWERS_BYTES ((size_t)32 << 20)
/* Keeps up to so many bytes. The default holds what the last few dozen deployments asked for a thousand
 * workloads each: those that are alike mostly stand close together in a sweep. */
srv_answers *srv_answers_new(size_t bytes);
void srv_answers_free(srv_answers *s); /* after all deployments that use it; NULL is allowed */
typedef struct srv_answers_counts {
    uint64_t found, kept, dropped;         /* answers */
    uint64_t queries_saved, queries_asked; /* questions to ops that were looked for there */
    size_t bytes;                          /* held now */
} srv_answers_counts;
srv_answers_counts srv_answers_count(srv_answers *s); /* NULL: all 0 */

/* What deployments share that are compiled one after another or at once: op lists and bound ops.
 * It makes compiling faster and changes nothing. Any thread. */
typedef struct srv_shared srv_shared;
/* Holds about so many bytes at most: what is full is left to the deployments that use it, and a new one
 * begins. deployments: how many to make ready for. */
srv_shared *srv_shared_new(size_t bytes, size_t deployments);
void srv_shared_free(srv_shared *s); /* after its deployments and before the database; NULL is allowed */

typedef struct srv_env {
    pdb *db;
    mdl_catalogue *models;
    const srv_backends *backends;
    bool allow_unlisted;  /* accept versions that are not slots */
    srv_answers *answers; /* shared by the deployments compiled under it; NULL = each asks for itself */
    srv_shared *shared;   /* likewise; NULL = each is compiled for itself */
} srv_env;

/* Digest of the sources and the compiler that figures come from. */
const char *srv_figures_digest(void);

/* Compiles a deployment; thread-safe. What it cannot run is a refusal inside; NULL = broken files (err). */
srv_deployment *srv_compile(const srv_env *env, const srv_request *req, const srv_tuning *tuning,
                            aic_error *err);
void srv_free(srv_deployment *d);
/* Would compiling the request now mostly mean waiting for tables that another thread reads? */
bool srv_would_wait(const srv_env *env, const srv_request *req);
/* The request is about to be compiled: whoever asks before pdb_view_expect_end would wait. NULL: they would
 * not, since tables of its view are there. */
const pdb_view *srv_expect(const srv_env *env, const srv_request *req);

#define SRV_MAX_SIDE 16777216 /* pixels; sides of images are shorter */

/* ---- points ---------------------------------------------------------------------------------- */

typedef struct srv_workload {
    uint32_t batch;    /* requests per attention-DP rank, >= 1 */
    uint32_t isl;      /* input tokens, prefix included, >= 1 */
    uint32_t osl;      /* output tokens, >= 0 */
    uint32_t prefix;   /* of isl, already in the KV cache; < isl (ignored by static_gen) */
    mdl_images images; /* of each request; they add to isl. All 0 = none; of no use to a text model */
} srv_workload;
/* The workload with what stands for no images, none or images without a size, written in one way: all 0. */
static inline srv_workload srv_plain_images(srv_workload load) {
    const mdl_images *i = &load.images;
    if (i->count == 0 || (i->height == 0 && i->width == 0 && i->tokens == 0))
        load.images = (mdl_images){0};
    return load;
}

/* Figures of a point, X(member): times ms, memory GiB per GPU, energy W*ms. Shares of the latency (cover)
 * come on top of them. */
#define SRV_FIGURES(X)                                                                                       \
    X(ttft)                                                                                                  \
    X(tpot)                                                                                                  \
    X(request_latency)                                                                                       \
    X(encoder_latency)                                                                                       \
    X(context_latency)                                                                                       \
    X(generation_latency)                                                                                    \
    X(tokens_per_s)                                                                                          \
    X(tokens_per_s_per_gpu)                                                                                  \
    X(tokens_per_s_per_user)                                                                                 \
    X(seq_per_s)                                                                                             \
    X(seq_per_s_per_gpu)                                                                                     \
    X(concurrency)                                                                                           \
    X(memory)                                                                                                \
    X(weights)                                                                                               \
    X(activations)                                                                                           \
    X(kvcache)                                                                                               \
    X(nccl)                                                                                                  \
    X(others)                                                                                                \
    X(encoder_memory) /* of weights and activations, the encoder's part; 0 where it does not run */          \
    X(power)          /* W; NaN unless measured power covers 90 % of the latency */                          \
    X(encoder_energy)                                                                                        \
    X(context_energy)                                                                                        \
    X(generation_energy)

/* One point. Figures are all NaN when status is missing or invalid. */
typedef struct srv_point {
    srv_workload load;
    srv_status status;
    const char *reason;     /* NULL when ok; lives as long as the deployment or block */
    bool kv_oom;            /* oom because the KV cache exceeds its budget, not the whole memory */
    bool encodes;           /* the worker runs the encoder: it prefills, hosts one and has images */
    srv_carried carried;    /* over all rows; of points without figures: own */
    op_tier tier;           /* the weakest of all rows; of points without figures: none */
    uint32_t visual_tokens; /* that the images of a request add to isl */
    /* Doubles from here on. */
#define SRV_FIGURE(member) double member;
    SRV_FIGURES(SRV_FIGURE)
#undef SRV_FIGURE
    double cover[OP_COVERS]; /* shares of the latency (0..1), by op_cover */
} srv_point;

/* For every member of a point an array of it; enumerations take a byte each. Pointers alone, so that a column
 * has a number. */
typedef struct srv_arrays {
    struct {
        uint32_t *batch, *isl, *osl, *prefix;
        struct {
            uint32_t *count, *height, *width, *tokens;
        } images;
    } load;
    uint8_t *status;
    const char **reason;
    bool *kv_oom, *encodes;
    uint8_t *carried, *tier;
    uint32_t *visual_tokens;
#define SRV_FIGURE(member) double *member;
    SRV_FIGURES(SRV_FIGURE)
#undef SRV_FIGURE
    double *cover[OP_COVERS];
} srv_arrays;
enum { SRV_COLUMN_COUNT = sizeof(srv_arrays) / sizeof(void *) };
#define SRV_COLUMN(member) (offsetof(srv_arrays, member) / sizeof(void *))
#define SRV_BIT(member)    (UINT64_C(1) << SRV_COLUMN(member))

#define SRV_IMAGE_BITS                                                                                       \
    (SRV_BIT(load.images.count) | SRV_BIT(load.images.height) | SRV_BIT(load.images.width) |                 \
     SRV_BIT(load.images.tokens))
#define SRV_LOAD_BITS                                                                                        \
    (SRV_BIT(load.batch) | SRV_BIT(load.isl) | SRV_BIT(load.osl) | SRV_BIT(load.prefix) | SRV_IMAGE_BITS)

/* Many points as columns. In a column of which `same` has the bit the first value stands for all points, and
 * what lies behind it is undefined. Loads are written in full all the same; where no point has images, those
 * and visual_tokens are 0 and `same`. */
typedef struct srv_points {
    uint64_t same;
    srv_arrays of;
    size_t cap;   /* points there is room for */
    void *memory; /* owns the arrays */
} srv_points;
void srv_points_reserve(srv_points *p, size_t n); /* room for n; what was there may be lost */
void srv_points_free(srv_points *p);
/* Writes the first n values of all columns out, so that single ones can be changed. */
void srv_points_open(srv_points *p, size_t n);
void srv_points_open_columns(srv_points *p, uint64_t columns, size_t n); /* those, by bit */
void srv_points_put(srv_points *p, size_t i, const srv_point *from);     /* into opened columns */
srv_point srv_points_get(const srv_points *p, size_t i);
/* An array by its column's number. */
static inline void *srv_points_column(const srv_points *p, size_t column) {
    void *array; /* all pointers to objects are alike here (points.c checks it) */
    memcpy(&array, (const char *)&p->of + column * sizeof array, sizeof array);
    return array;
}
size_t srv_points_width(size_t column);                               /* bytes of a value */
size_t srv_points_count(const srv_points *p, size_t n, srv_status s); /* how many of the first n have it */
static inline bool srv_points_have_images(const srv_points *p) {
    return !(p->same & SRV_BIT(load.images.count)) || p->of.load.images.count[0] > 0;
}
static inline srv_workload srv_points_load(const srv_points *p, size_t i) {
    srv_workload w = {.batch = p->of.load.batch[i],
                      .isl = p->of.load.isl[i],
                      .osl = p->of.load.osl[i],
                      .prefix = p->of.load.prefix[i]};
    if (srv_points_have_images(p))
        w.images = (mdl_images){p->of.load.images.count[i], p->of.load.images.height[i],
                                p->of.load.images.width[i], p->of.load.images.tokens[i]};
    return w;
}
static inline bool srv_points_encode(const srv_points *p, size_t i) {
    return p->of.encodes[p->same & SRV_BIT(encodes) ? 0 : i];
}

/* What of the breakdown rows a block is asked for; figures are the same. */
typedef enum srv_wanted {
    SRV_ALL_ROWS,
    SRV_ROWS_BUT_ZEROS, /* energy is undefined where no_energy, basis where no_basis */
    SRV_LATE_ROWS, /* likewise; where `late`, srv_block_rows alone makes them: the arrays are undefined */
    SRV_NO_ROWS    /* no point is priced; arrays of rows are undefined */
} srv_wanted;

/* Points of one deployment, evaluated together. Arrays are owned by the block and reused by srv_evaluate. */
typedef struct srv_block {
    srv_wanted wanted; /* set by the caller, before an evaluation */
    size_t n;          /* points */
    srv_points points;
    bool *priced;                /* n: the point has breakdown rows (status ok, oom or nonfinite) */
    bool all_rows;               /* known: each point has all n_rows */
    const struct srv_late *late; /* private; not NULL: rows are made by srv_block_rows */
    double *latency, *energy;    /* n x n_rows, row-major by point; undefined where not priced */
    uint8_t *source;             /* op_source */
    srv_basis *basis;
    bool no_energy, no_basis; /* known to be 0 in all rows */
    size_t n_rows;            /* of the deployment; the first of a point's own is srv_first_row */
    size_t cap_points, cap_rows;
    aic_arena *texts;            /* reasons of this block */
    void *scratch;               /* private, reused */
    uint64_t number;             /* private: of the loads, 0 = none */
    struct srv_layouts *layouts; /* private, kept from one evaluation to the next */
} srv_block;
void srv_block_free(srv_block *b);
/* Makes all figures of a point NaN. */
void srv_point_blank(srv_point *p);
/* Makes a block of n loads, which can then be evaluated. */
void srv_block_load(srv_block *b, const srv_workload *loads, size_t n);
/* The same for a caller that writes the columns of loads itself: room for n; batch, isl, osl and prefix are
 * not `same`, images are 0. */
void srv_block_reserve(srv_block *b, size_t n);
/* Behind srv_block_reserve: writes the columns of the loads that the block met under this number of the
 * caller's, not 0, before. False: it does not remember them; they are to be written, and it will. Loads of
 * one number are always the same. */
bool srv_block_recall(srv_block *b, uint64_t number);
/* Starts an evaluation of a block's loads one by one: opens its columns; points are ok, without figures, or
 * refused, and none is priced. Returns false when the deployment is refused (points say so). */
bool srv_block_start(const srv_deployment *d, srv_block *b);

/* Columns of breakdown rows; energy, basis: NULL where they are not wanted. */
typedef struct srv_rows {
    double *latency, *energy;
    uint8_t *source;
    srv_basis *basis;
} srv_rows;
/* Makes n rows of a block that is `late`, from row `first` of all of them on: any part of them, in any order,
 * as long as the block and its deployment are there, by one thread at a time. */
void srv_block_rows(const srv_block *b, size_t first, size_t n, const srv_rows *to);

/* The first row that a point has: rows before it belong to an encoder that does not run. */
static inline size_t srv_first_row(const srv_deployment *d, bool encodes) {
    return encodes ? 0 : d->n_encoder_rows;
}

/* Evaluates a block's loads. Bit-identical to srv_price_plain. */
void srv_price(const srv_deployment *d, srv_block *b);
void srv_price_plain(const srv_deployment *d, srv_block *b);
/* The same for n (below 2^32) workloads in any order; out is reused. */
void srv_evaluate(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *out);
void srv_evaluate_plain(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *out);

/* One op of one point in detail, for `show`: each unfolded op of the walk. */
typedef struct srv_detail {
    size_t row; /* folded row it belongs to */
    const op *op;
    op_result result; /* summed over decode steps */
    double sol_ms;    /* speed-of-light time of the same shapes, NaN when the op has none */
    double sol_math, sol_mem;
    op_class cls; /* OP_OK, or why it has no result */
    op_refusal why;
} srv_detail;
/* Fills *out (arena) with every op of the point, also of refused points. */
size_t srv_explain(const srv_deployment *d, const srv_workload *load, aic_arena *a, srv_detail **out);

/* ---- what a deployment lacks (docs/adding-a-model.md) ---------------------------------------- */

/* Something an op cannot answer. Members of Overlap and Fallback groups stand for themselves. */
typedef struct srv_lack {
    const op *op;
    srv_phase phase;
    bool alternative; /* of a Fallback: its primary or all of its other members would do */
    op_class cls;     /* OP_MISSING: a measurement would help; anything else: none would */
    const char *reason;
    const char *table;      /* the table that the reason names, "" when it names none */
    unsigned reads;         /* OP_READS_* bits: members of the shapes that count, the others are 0 */
    size_t asked, n_shapes; /* distinct shapes asked for; those of them without an answer */
    op_shape *shapes;
} srv_lack;

/* An op of the lists, over all shapes it was asked for. */
typedef struct srv_probed {
    const op *op;
    srv_phase phase;
    bool lacks;              /* some shape has no answer */
    double latency;          /* ms, summed over the shapes that it answers */
    double cover[OP_COVERS]; /* the same by evidence */
} srv_probed;

typedef struct srv_probe {
    size_t n_ops, n_lacks;
    srv_probed *ops;         /* in the order of the phases */
    srv_lack *lacks;         /* in the order of the lists */
    double cover[OP_COVERS]; /* shares of the latency (0..1), mean over the probe shapes that have one */
} srv_probe;

/* Asks every op of a compiled deployment (d->refused is SRV_ST_ok) for a few shapes of each phase, from one
 * short request to long prompts and large batches. Fills *out in the arena; d must outlive it. */
void srv_probe_ops(const srv_deployment *d, aic_arena *a, srv_probe *out);

/* ---- where the time goes (docs/performance.md) ------------------------------------------------ */

/* What the ops of one kind cost in one phase of one mode. */
typedef struct srv_cost {
    op_mode mode;
    srv_phase phase;
    const char *kind;
    uint64_t ops; /* asked, counted once per block */
    uint64_t asked,
        refused;    /* distinct shapes, summed over ops and blocks; those of them without an answer */
    double seconds; /* for asking each of them once */
} srv_cost;
/* Costs of many blocks; zero-initialise. */
typedef struct srv_costs {
    size_t n, cap;
    srv_cost *v;
    uint64_t points;   /* priced or refused by an op */
    double evaluate_s; /* srv_evaluate of the same blocks: queries and all that is around them */
} srv_costs;
/* Evaluates a block of a compiled deployment (d->refused is SRV_ST_ok) as srv_evaluate does, then asks each
 * op for the distinct shapes of the block with the clock around all of an op's queries; of `repeat` (at least
 * 1) rounds the fastest counts. The evaluation itself has no clock in it. */
void srv_costs_add(const srv_deployment *d, const srv_workload *loads, size_t n, unsigned repeat,
                   srv_block *block, srv_costs *out);
void srv_costs_free(srv_costs *c);

/* Rounding to 3 decimals, ties to even on the scaled value (rows of projected points). */
double srv_round3(double v);

#endif
