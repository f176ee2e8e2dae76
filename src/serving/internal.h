/* Private parts of serving: backend constants, the compiled plan, the steps both paths share. */
#ifndef AICFG_SERVING_INTERNAL_H
#define AICFG_SERVING_INTERNAL_H

#include "serving/serving.h"

#define SRV_GIB 1073741824.0
#define SRV_MIB 1048576.0

/* Longest sequence (input + output tokens) a point may have: bounds the steps of a walk and keeps positions
 * in 32 bits. */
#define SRV_MAX_SEQUENCE   16777216
#define SRV_TEXT_OF(macro) SRV_QUOTE(macro)
#define SRV_QUOTE(text)    #text

/* ---- backend constants (data/backends/<name>.yaml, backends.c) ------------------------------- */

enum { SRV_TP_STEPS = 4 }; /* constants given for 1, 2, 4 and 8-or-more-way tensor parallelism */

typedef struct srv_coefficients {
    const char *family;
    double at[SRV_TP_STEPS];
} srv_coefficients;

/* One capacity tier of a backend that derives its memory fraction from what it reserves. */
typedef struct srv_tier {
    double below_mib; /* tier applies below this capacity; HUGE_VAL in the last one */
    double chunk;     /* tokens of a chunked prefill */
    double graph[2];  /* requests captured in graphs: tp below 4, tp from 4 */
} srv_tier;

typedef struct srv_reserve {
    double base_mib, mib_per_chunk_token, mib_per_8_gpus, mib_per_graph_request, mib_per_graph_request_dp;
    double large_graph, mib_per_large_graph_request_dp;
    double large_gpu_mib, large_gpu_reserve_mib;
    size_t n_tiers;
    const srv_tier *tiers;
} srv_reserve;

typedef struct srv_version_fraction {
    const char *prefix; /* of the version string; the first that matches counts */
    double fraction;
} srv_version_fraction;

typedef struct srv_backend {
    const char *name;
    double activation_floor; /* byte */
    double activation_factor;
    double coefficient[SRV_TP_STEPS]; /* families without their own row */
    size_t n_families;
    const srv_coefficients *families;
    size_t n_workspace; /* families that need an expert-dispatch workspace */
    const char *const *workspace;
    size_t n_hidden; /* of those, the ones whose workspace is as wide as the residual stream */
    const char *const *hidden;
    double others_factor;
    bool of_total; /* memory fraction is of the whole memory, else of what weights and buffers leave */
    double reserved, tolerance;
    double fraction; /* NaN when derived from `reserve` */
    size_t n_versions;
    const srv_version_fraction *versions;
    srv_reserve reserve;
} srv_backend;

const srv_backend *srv_backend_find(const srv_backends *b, const char *name); /* NULL when unknown */

/* ---- memory (memory.c, docs/model/memory.md) ------------------------------------------------- */

/* What the memory model needs to know of a model. */
typedef struct srv_facts {
    const char *family;
    double heads, head_dim, hidden;
    double experts, topk; /* 0 = dense */
} srv_facts;

typedef struct srv_memory {
    double weights; /* byte per GPU */
    double width;   /* heads x head size */
    double coefficient, floor, factor;
    double workspace; /* elements per token of the expert workspace, 0 = none */
    double dp, experts, topk, moe_ep;
    double nextn;
    double nccl, others;   /* byte */
    double max_seq_len;    /* 0 = input + output tokens */
    double capacity;       /* GiB */
    double fraction, keep; /* of the memory, and what reserve and tolerance leave of that */
    bool of_total;
    double (*kv_bytes)(const void *ctx, double tokens); /* of one sequence */
    const void *kv_ctx;
} srv_memory;

/* Parts in GiB. */
typedef struct srv_footprint {
    double total, weights, activations, kvcache, nccl, others;
    double encoder; /* its share of weights and activations */
    bool oom, kv_oom;
} srv_footprint;

/* Resolves everything that does not depend on the workload; false and *why when a rule or the system's sheet
 * stands against it. */
bool srv_memory_plan(const srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                     const pdb_system *sys, srv_memory *out, op_refusal *why);
/* What an encoder beside the model adds, bytes. */
typedef struct srv_guest {
    double weights, activations;
} srv_guest;
/* w: tokens of images within isl; encoder: NULL = none. */
void srv_memory_at(const srv_memory *m, srv_mode mode, uint32_t beam, const srv_workload *w,
                   const srv_guest *encoder, srv_footprint *out);
double srv_default_fraction(const srv_backend *b, const char *version, const pdb_system *sys,
                            const mdl_parallel *par);

/* ---- the compiled plan (plan.c) -------------------------------------------------------------- */

typedef struct srv_identity srv_identity; /* answers.h */

typedef struct srv_op {
    op_bound bound;
    op_identity identity;    /* lanes included */
    const srv_identity *who; /* of its answers before the repeat; NULL = not shared */
    uint32_t row;            /* of its phase */
    bool opens;              /* first op of its row: sets what later ones add to */
    bool logits;             /* context: sees one token per request */
    bool behind;             /* encoder: sees the tokens behind it */
    uint8_t key;             /* context: index of its key class */
    uint8_t part;            /* generation: index of its part */
} srv_op;

/* The ops of one phase. */
typedef struct srv_walk {
    size_t n_ops, n_rows;
    size_t n_bound; /* leading ops that are bound: all, or up to one that never answers (to_first_gap) */
    srv_op *ops;
} srv_walk;

/* A set of shape fields that context ops read; ops of one class share their distinct shapes. */
typedef struct srv_key_class {
    unsigned reads;
    bool logits;
} srv_key_class;

/* Generation rows of one behaviour. A row moves when any of its ops reads the KV position; the others repeat
 * one value. */
enum { SRV_STILL, SRV_MOVING, SRV_PARTS };
typedef struct srv_part {
    size_t n_rows, n_ops;
    uint32_t *rows;          /* rows of the phase, ascending */
    uint32_t *ops;           /* indices into the phase's ops, ascending */
    uint32_t *slots;         /* per op: index of its row within `rows` */
    const srv_identity *who; /* of its sums, walk by walk; NULL = not shared */
} srv_part;

/* X(name, text): workload rules, checked in this order. Texts carry no figures of the workload: they are
 * counted. */
#define SRV_RULES(X)                                                                                         \
    X(batch, "batch must be at least 1")                                                                     \
    X(isl, "isl must be at least 1")                                                                         \
    X(image_sides, "the sides of an image go together and stay below " SRV_TEXT_OF(SRV_MAX_SIDE) " pixels")  \
    X(image_tokens, "the images of a request must not exceed " SRV_TEXT_OF(SRV_MAX_SEQUENCE) " tokens")      \
    X(encoder_tokens, "the images that one rank encodes must stay below 4294967296 patches")                 \
    X(prefix, "prefix must be shorter than isl: no token is left to prefill")                                \
    X(sequence, "isl + beam x osl must not exceed " SRV_TEXT_OF(SRV_MAX_SEQUENCE) " tokens")                 \
    X(context_tokens, "batch x (isl - prefix) must stay below 4294967296 tokens")                            \
    X(decode_tokens, "batch x (nextn + 1) x beam must stay below 4294967296 tokens")

/* Orders in which attention tries kernels, as the view and the deployment have it. */
typedef struct srv_lanes {
    op_texts orders[2]; /* of generation, of context */
    uint64_t hash[2];   /* of the texts */
} srv_lanes;

/* An op before it is bound. */
typedef struct srv_line {
    const op *op;
    op_identity identity; /* of the op without lanes */
    uint32_t row;
    uint8_t reads, key, part; /* as in op_bound and srv_op */
    bool opens, logits, behind;
} srv_line;

typedef struct srv_lines {
    size_t n_ops, n_rows;
    srv_line *ops;
} srv_lines;

/* What op lists say before anything is bound (outline.c); shared by all deployments with the same lists. */
typedef struct srv_outline {
    srv_lines encoder, context, generation;
    const srv_row *rows;                   /* of the three, one after the other */
    uint64_t rows_hash[SRV_MODE_COUNT][2]; /* of those that a mode has */
    size_t n_keys;
    srv_key_class *keys;
    srv_part parts[SRV_PARTS];
    char digests[SRV_PHASE_COUNT][AIC_XXH128_HEX]; /* of the list of each phase, lanes apart */
} srv_outline;
/* Rewrites repeats of the lists' ops, once and for all. No lanes are chosen yet. */
const srv_outline *srv_outline_make(const mdl_deployment *lists, aic_arena *a);

/* Texts of the two verdicts on memory. */
typedef struct srv_verdicts {
    const char *oom, *kv_oom;
} srv_verdicts;

typedef struct srv_plan {
    op_mode mode;
    srv_answers *answers;                  /* NULL = none are shared */
    srv_walk encoder, context, generation; /* empty when the mode has no such phase */
    size_t n_keys;
    const srv_key_class *keys;
    srv_part parts[SRV_PARTS];
    srv_memory memory;
    const srv_verdicts *verdicts;
    double accepted; /* draft tokens accepted per step; 0 = nothing to project */
} srv_plan;

static inline const srv_plan *srv_plan_of(const srv_deployment *d) {
    return d->plan;
}
static inline bool srv_has_context(srv_mode m) {
    return m != SRV_static_gen;
}
static inline bool srv_has_generation(srv_mode m) {
    return m != SRV_static_ctx;
}

/* What the lists of a deployment come with. */
typedef struct srv_lists {
    const srv_outline *outline;
    const srv_lanes *lanes; /* NULL: nothing chooses */
} srv_lists;
struct srv_lease;

/* Binds the ops of d->built, as outlined, on d->view; fills rows and plan, or d->refused and d->why. */
void srv_plan_build(const struct srv_lease *lease, srv_deployment *d, const srv_lists *lists,
                    const srv_backend *b, const srv_facts *facts,
                    double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx);
/* The same for lists that nobody shares: outlines them itself. */
void srv_plan_alone(srv_deployment *d, const srv_backend *b, const srv_facts *facts,
                    double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx);

/* Fills d->inputs of a compiled deployment; tables: digest of what its ops read (inputs.c). */
void srv_inputs_digest(srv_deployment *d, const srv_lists *lists, const char *tables);

/* Lets a deployment with a plan share its answers; s may be NULL (answers.c). */
void srv_share_answers(srv_deployment *d, srv_answers *s);

/* Compiles ready-made op lists in place of a model's: par, nextn, lists and weight_bytes of `built` are used.
 * The lists' ops are taken over (their repeats are rewritten); ctx of kv_bytes must outlive the deployment.
 * For the parity tools and tests. */
srv_deployment *srv_compile_ops(const srv_env *env, const srv_request *req, const srv_tuning *tuning,
                                const mdl_deployment *built, const srv_facts *facts,
                                double (*kv_bytes)(const void *ctx, double tokens), const void *kv_ctx,
                                aic_error *err);

/* ---- one point, shared by both paths (figures.c) --------------------------------------------- */

/* Sums of one point's walks; scaled, in row order. */
typedef struct srv_sums {
    double cover[OP_COVERS];                /* ms; first, so that copies and sums of it move the same words */
    double encoder_latency, encoder_energy; /* 0 where the encoder does not run */
    double context_latency, context_energy, generation_latency, generation_energy;
    double powered;  /* ms of rows with measured energy, in row order */
    srv_basis basis; /* of all rows */
} srv_sums;

typedef struct srv_power {
    double watts;    /* whole point, 0 when nothing was priced */
    double coverage; /* share of the latency with measured energy */
} srv_power;

/* A new point: its load, and ok, its figures still to be set, or refused with the rule it breaks. */
void srv_point_start(const srv_deployment *d, const srv_workload *load, srv_point *p);
/* A status without figures: they become NaN. */
void srv_point_refuse(srv_point *p, op_class cls, const char *text);
/* Memory, figures, projection, verdict. */
void srv_point_finish(const srv_deployment *d, const srv_sums *sums, srv_point *p);
srv_power srv_power_of(const srv_sums *s);
double srv_covered_watts(const srv_sums *s); /* NaN unless measured power covers enough of the latency */
void srv_figures(const srv_deployment *d, const srv_sums *s, srv_point *p);
bool srv_projects(const srv_deployment *d);
void srv_project(const srv_deployment *d, srv_point *p); /* if srv_projects; reads osl and the figures */
bool srv_figures_finite(const srv_point *p);
#define SRV_NONFINITE "a figure is NaN or infinite"
/* Memory of a workload as walked. */
void srv_footprint_of(const srv_deployment *d, const srv_workload *w, bool encodes, srv_footprint *out);
/* Do all loads without images keep the rules whose members lie between those of least and most? False: some
 * may break one. */
bool srv_loads_within_rules(const srv_deployment *d, const srv_workload *least, const srv_workload *most);

/* The workload that context and generation walk and memory holds: isl with the tokens of images. */
static inline srv_workload srv_walked(const srv_point *p) {
    srv_workload w = p->load;
    w.isl += p->visual_tokens;
    return w;
}
static inline srv_workload srv_walked_at(const srv_block *b, size_t i) {
    srv_workload w = srv_points_load(&b->points, i);
    if (srv_points_have_images(&b->points))
        w.isl += b->points.of.visual_tokens[i];
    return w;
}

/* What one rank encodes for a point that does. */
typedef struct srv_images {
    uint32_t count;
    uint32_t inside, behind; /* tokens of one image */
} srv_images;
srv_images srv_images_of(const srv_deployment *d, const srv_workload *w);

/* Shapes of the walks (docs/model/serving.md). */
op_shape srv_encoder_shape(const srv_images *images, bool behind);
op_shape srv_context_shape(const srv_deployment *d, const srv_workload *w, bool logits);
op_shape srv_decode_shape(const srv_deployment *d, uint32_t batch, uint32_t position);

/* ---- points as columns (points.c) ------------------------------------------------------------ */

/* A column of which all values are about to be written: its array. */
#define SRV_VARIES(points, member) ((points)->same &= ~SRV_BIT(member), (points)->of.member)
/* Gives all points one value. */
#define SRV_SAME(points, member, value) ((points)->of.member[0] = (value), (points)->same |= SRV_BIT(member))

/* The value of a point, in a column that may be `same`. */
#define SRV_AT(points, member, i) ((points)->of.member[(points)->same & SRV_BIT(member) ? 0 : (i)])

#define SRV_FIRST_FIGURE SRV_COLUMN(ttft) /* they and the covers are the last columns */
/* Figures and covers alone. */
void srv_figures_get(const srv_points *p, size_t i, srv_point *out);
void srv_figures_put(srv_points *p, size_t i, const srv_point *from);

/* ---- the live points of a block (live.c) ----------------------------------------------------- */

/* The points that nothing refuses so far. Their figures stand side by side at the start of the block's
 * columns until srv_live_spread puts them in their places. */
typedef struct srv_live {
    size_t n;
    const uint32_t *at;                         /* place of each in the block, ascending */
    const uint32_t *batch, *isl, *osl, *prefix; /* of each, as walked */
    size_t
        n_lines; /* longest runs of points that differ in osl alone, as the inner axis of a grid has them */
    const uint32_t *line;      /* n_lines + 1: where each starts */
    struct srv_layout *layout; /* of all of them (layout.h); NULL once some were dropped */
} srv_live;
/* Starts an evaluation: every point of the block is ok, live, and without figures, or refused. False: the
 * deployment is refused. */
bool srv_live_start(const srv_deployment *d, srv_block *b, srv_live *l);
/* Refuses live point k, which is then to be dropped. */
void srv_live_refuse(srv_block *b, const srv_live *l, size_t k, op_class cls, const char *text);
/* Drops each live point k of which gone[k], here and in n_columns columns (NULL: none) of a value for each.
 */
void srv_live_drop(srv_block *b, srv_live *l, const bool *gone, const uint32_t **columns, size_t n_columns);
/* All that follows from ttft, generation latency, covers (ms) and energies, which the columns have, and from
 * the loads: figures, memory, projection, verdicts. powered: ms with measured energy; NULL: no energy. */
void srv_live_finish(const srv_deployment *d, srv_block *b, const srv_live *l, const double *powered);
void srv_live_spread(srv_block *b, const srv_live *l);

/* ---- blocks and scratch memory (block.c) ----------------------------------------------------- */

/* Memory that is taken piece by piece and given back all at once, to be taken again. */
typedef struct srv_scratch srv_scratch;
srv_scratch *srv_scratch_new(void);
void srv_scratch_free(srv_scratch *s); /* NULL is allowed */
void srv_scratch_rewind(srv_scratch *s);
void *srv_scratch_take(srv_scratch *s, size_t count, size_t size); /* uninitialised, aligned for any type */
/* A block's own, for the length of one evaluation. */
void *srv_take(srv_block *b, size_t count, size_t size); /* uninitialised, aligned for any type */
void srv_block_rewind(srv_block *b, size_t n_rows);      /* forgets what the last evaluation took */
void srv_block_reserve_rows(srv_block *b);

/* Where the rows of point i start. Where none are wanted each point's lie over those of the one before: sums
 * are taken of them all the same. */
static inline size_t srv_rows_at(const srv_block *b, size_t i) {
    return b->wanted == SRV_NO_ROWS ? 0 : i * b->n_rows;
}

/* The block's copy of a reason; equal texts share one. */
const char *srv_block_text(srv_block *b, const char *text);

/* ---- distinct shapes (distinct.c) ------------------------------------------------------------ */

typedef struct srv_key {
    uint64_t hi, lo;
    uint32_t item;
} srv_key;
/* Sorts by (hi, lo), equal keys in item order as given; tmp has room for n. Linear on sorted input. */
void srv_sort_keys(srv_key *keys, srv_key *tmp, size_t n);
/* Numbers n (below 2^32) keys in the order in which they are first met, equal ones alike: ids per key, firsts
 * per number the first key that has it. Returns the count of numbers. */
size_t srv_number_keys(srv_block *b, const srv_key *keys, size_t n, uint32_t *ids, uint32_t *firsts);

#endif
