/* ops: the physics of one operator.
 *
 * Every op kind is one descriptor (op_desc): name, parameter table, bind, query, weights. Families live in
 * one file each; all descriptors stand in one table (src/ops/catalogue.c). An op is bound once per
 * deployment, which resolves every discrete key to a grid, and then queried often: a query is a pure function
 * of (bound op, mode, shape), without locks, allocation or string comparison.
 */
#ifndef AICFG_OPS_OPS_H
#define AICFG_OPS_OPS_H

#include "base/base.h"
#include "perfdb/perfdb.h"

/* ---- modes, sources, coverage -------------------------------------------------------------------------- */

/* Database modes (docs/model/modes.md). SILICON: measured tables, a miss is a refusal. HYBRID: the same, and
 * a miss is estimated. EMPIRICAL: everything is estimated. SOL: speed of light. */
#define OP_MODES(X) X(SILICON) X(HYBRID) X(EMPIRICAL) X(SOL)
typedef enum op_mode {
#define OP_MODE_ENUM(name) OP_##name,
    OP_MODES(OP_MODE_ENUM)
#undef OP_MODE_ENUM
        OP_MODE_COUNT
} op_mode;
const char *op_mode_name(op_mode m);
bool op_mode_parse(const char *text, op_mode *out); /* case-insensitive */
bool op_mode_shares(op_mode m); /* do its tables inherit rows from other versions? (SILICON, HYBRID) */

/* Where a number came from; stored with every breakdown row. */
#define OP_SOURCES(X) X(silicon) X(empirical) X(sol) X(estimated) X(mixed)
typedef enum op_source {
#define OP_SOURCE_ENUM(name) OP_SRC_##name,
    OP_SOURCES(OP_SOURCE_ENUM)
#undef OP_SOURCE_ENUM
        OP_SOURCE_COUNT
} op_source;
const char *op_source_name(op_source s);

/* How well a latency is covered by measurements; the parts of op_result.cover. */
typedef enum op_cover { OP_MEASURED, OP_INTERPOLATED, OP_EXTRAPOLATED, OP_FORMULA, OP_COVERS } op_cover;

/* What an estimate was calibrated from, best first; an answer's tier is the worst that went into it. A
 * refused answer of a composite has the tier of the estimates made before the refusal, and no other figure.
 */
#define OP_TIERS(X) X(none) X(empirical) X(xshape) X(xquant) X(xprofile) X(xop)
typedef enum op_tier {
#define OP_TIER_ENUM(name) OP_TIER_##name,
    OP_TIERS(OP_TIER_ENUM)
#undef OP_TIER_ENUM
        OP_TIER_COUNT
} op_tier;
const char *op_tier_name(op_tier t);

/* Transfer policy: which tiers beyond `empirical` an estimate may use, as bits 1u << tier. */
enum {
    OP_POLICY_NONE = 0,
    OP_POLICY_ALL = 1u << OP_TIER_xshape | 1u << OP_TIER_xquant | 1u << OP_TIER_xprofile | 1u << OP_TIER_xop
};
/* Presets and kinds, alone or as a union with commas. NULL = all. False: not a policy. */
#define OP_POLICY_NAMES "off, conservative, balanced, aggressive, xshape, xquant, xprofile, xop"
bool op_policy_parse(const char *text, unsigned *out);

/* ---- refusals ------------------------------------------------------------------------------------------ */

typedef enum op_class {
    OP_OK = 0,
    OP_MISSING,      /* missing perf data: table, key or anchor; a Fallback op catches it */
    OP_NO_FLOPS,     /* the spec sheet lacks <dtype>_tc_flops */
    OP_NO_EMPIRICAL, /* nothing to calibrate an estimate from */
    OP_NO_SOL,       /* the op has no SOL decomposition */
    OP_INVALID       /* invalid configuration */
} op_class;
const char *op_class_name(op_class c); /* "missing data", "missing FLOPS", ... */

/* Why something cannot be answered. The text names op, table, key, system, backend and version and what to
 * do, and is free of workload figures, so that equal causes have equal texts (they are counted by text). */
typedef struct op_refusal {
    op_class cls;
    char text[480];
} op_refusal;
op_class op_refuse(op_refusal *why, op_class cls, const char *fmt, ...)
    AIC_PRINTF(3, 4); /* why may be NULL */

/* ---- shapes and results -------------------------------------------------------------------------------- */

typedef struct op_shape {
    uint32_t batch;   /* requests (generation: batch x (nextn + 1)) */
    uint32_t s;       /* context: new tokens per request; generation: KV length including the new token */
    uint32_t prefix;  /* context: tokens already cached; generation: 0 */
    uint32_t x;       /* tokens that token-major ops see */
    double imbalance; /* multiplies attention ops; 1.0 = none */
} op_shape;

enum {
    OP_READS_X = 1,
    OP_READS_BATCH = 2,
    OP_READS_S = 4,
    OP_READS_PREFIX = 8
}; /* which inputs an op depends on */

typedef struct op_result {
    double latency; /* ms, repeat included */
    double energy;  /* W*ms */
    op_source source;
    bool has_sol;             /* sol_math and sol_mem are given (SOL answers of single ops) */
    double sol_math, sol_mem; /* ms */
    op_tier tier;             /* worst calibration that went in; none for measured, formula and SOL answers */
    pdb_origins from; /* rows of other versions and backends that went in, by themselves or as calibration */
    double cover[OP_COVERS]; /* ms of the latency by evidence; sums to latency up to rounding */
} op_result;

/* Algebra (docs/model/results.md): used by families and by serving. */
op_result op_zero(op_source s);        /* latency 0, energy 0 */
op_result op_seed(void);               /* start of a sum: zero, source empirical, no SOL pair */
void op_scale(op_result *r, double f); /* latency, energy, SOL pair, cover x f */
op_result op_plus(const op_result *a, const op_result *b);
void op_clamp(op_result *r); /* each max(., 0); NaN becomes 0 */
/* Memory-bound formula MEM-OP(bytes) of a system. */
op_result op_mem(const pdb_system *sys, op_mode mode, double bytes);

/* ---- ops ----------------------------------------------------------------------------------------------- */

typedef struct op op;
typedef struct op_list {
    size_t count;
    op **items;
} op_list;

typedef enum op_ftype {
    OP_F_U32,
    OP_F_U32_OR_NULL, /* lies in an int64_t, -1 = null; null is the default */
    OP_F_I64,         /* signed */
    OP_F_F64,
    OP_F_BOOL,
    OP_F_TEXT,
    OP_F_TEXTS,
    OP_F_QUANT,
    OP_F_QUANTS_OR_NULL, /* a record of modes: one pdb_quant per name in choices; all PDB_Q_UNSET = null, the
                            default */
    OP_F_CHOICE,
    OP_F_OP,
    OP_F_OPS
} op_ftype;

typedef struct op_texts {
    size_t count;
    const char *const *items;
} op_texts;

/* One parameter of a kind: its wire name, type, default, and where it lies in the params struct. */
typedef struct op_field {
    const char *name;
    op_ftype type;
    size_t offset; /* into params, of the type that goes with `type` (OP_F_CHOICE: int) */
    bool required;
    double def;           /* default of numbers, bools and choices */
    const char *def_text; /* default of texts (NULL: null is allowed), element of texts, or name of a mode */
    unsigned quant_kind;  /* OP_F_QUANT, OP_F_QUANTS_OR_NULL: PDB_GEMM ... */
    const char *const *choices; /* NULL-terminated names: OP_F_CHOICE of the values, OP_F_QUANTS_OR_NULL of
                                   the members */
} op_field;

typedef struct op_bound op_bound;
typedef struct op_binder op_binder;
typedef struct op_fan_source op_fan_source;

typedef struct op_desc {
    const char *kind;    /* wire name: "Gemm" */
    const char *summary; /* one line for help and docs */
    size_t params_size;
    const op_field *fields;
    size_t n_fields;
    bool composite;  /* Overlap, Fallback: has no scale_factor */
    bool holds_ops;  /* its state holds other bound ops: bound in every mode, SOL too */
    bool every_mode; /* its tables answer in every mode, so it is bound in every mode, SOL too */
    bool unclamped;  /* query does what clamping there is: a composition may end below zero */
    unsigned reads;  /* OP_READS_* bits; composites: op_reads adds those of their members */
    const pdb_schema *const *schemas; /* tables it may read, NULL-terminated; NULL = none */
    /* Parameters make sense together; may fill members of params that no field names. NULL = no check. */
    bool (*check)(const op *o, aic_error *err);
    /* Resolves keys; fills b->state (arena) or b->refused/reason. Called in SOL and EMPIRICAL mode only when
     * holds_ops or every_mode. NULL = nothing to bind. */
    void (*bind)(op_binder *binder, op_bound *b);
    /* The same for the empirical path, in HYBRID and EMPIRICAL mode: fills b->estimate or
     * b->estimate_refused/_reason. NULL = nothing to bind. */
    void (*bind_estimate)(op_binder *binder, op_bound *b);
    /* One answer, not yet clamped and without repeat. In SOL mode state may be NULL unless holds_ops or
     * every_mode. */
    op_class (*query)(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                      op_refusal *why);
    /* Measured answers to many shapes, as query has them: fills out for the first of n, up to one that has
     * none, and returns how many those are. NULL = one by one is as good. */
    size_t (*many)(const op_bound *b, op_mode mode, const op_shape *shapes, size_t n, op_result *out);
    /* Says what makes the measured answers of decode steps a fan; false: nothing does. NULL = they never are.
     */
    bool (*fan)(const op_bound *b, op_fan_source *out);
    double (*weight_bytes)(const op *o); /* without repeat; NULL = 0 */
    const char *definition;              /* SHA-256 of the file that declares the kind; NULL = built in */
    const void *family;                  /* what tells the kinds of a family apart: static data, or NULL */
} op_desc;

struct op {
    const op_desc *desc;
    const char *name;
    double repeat;  /* scale_factor: layers, fractions of layers; 1 for composites */
    void *params;   /* desc->params_size bytes, laid out by the family */
    uint64_t given; /* bit i: field i was set */
};

const op_desc *op_desc_find(const char *kind); /* NULL when unknown */
size_t op_desc_count(void);
const op_desc *op_desc_at(size_t i);

/* ---- kinds declared in data (docs/formats/measured_op.md) ---- */

/* The kinds a program knows: the built-in ones above, then those that files declare. Immutable once open,
 * safe for many threads. Views keep tables by the address of a kind's schema, so close it after the database.
 */
typedef struct op_kinds op_kinds;
/* Reads every .yaml file of the folders; a kind of an earlier folder hides one of the same name in a later
 * one. NULL on error: AIC_IO when a folder cannot be read, AIC_BAD_INPUT at a position otherwise. */
op_kinds *op_kinds_open(const char *const *dirs, size_t n, aic_error *err);
void op_kinds_close(op_kinds *k); /* NULL is allowed */
/* k may be NULL: the built-in kinds alone. */
const op_desc *op_kinds_find(const op_kinds *k, const char *kind); /* NULL when unknown */
size_t op_kinds_count(const op_kinds *k);
const op_desc *op_kinds_at(const op_kinds *k, size_t i);
const char *op_kinds_nearest(const op_kinds *k, const char *kind); /* for messages; NULL = none is near */

/* An op of a kind, with defaults. */
op *op_make(aic_arena *a, const op_desc *d);

/* Makes an op of a built-in kind with defaults; then op_set fields by wire name ("name", "scale_factor" too);
 * then op_finish. A record of modes is set by the list of its modes in member order. */
op *op_new(aic_arena *a, const char *kind, aic_error *err);
bool op_set(aic_arena *a, op *o, const char *field, const aic_value *v, aic_error *err);
bool op_set_members(op *o, const char *field, const op_list *members,
                    aic_error *err);   /* group_a, group_b, fallback; primary takes one */
bool op_finish(op *o, aic_error *err); /* required fields given, ranges, check */

/* Wire JSON {"Gemm": {...}}: reading refuses what it does not understand; writing gives every field in table
 * order. */
op *op_from_json(aic_arena *a, const aic_node *n, aic_error *err);
bool op_list_from_json(aic_arena *a, const aic_node *n, op_list *out, aic_error *err);
void op_to_json(const op *o, aic_buf *out);
/* 128 bits of a hash of all that an op says but its repeat: ops with equal identities bind to the same and
 * answer the same, but for the repeat. */
typedef struct op_identity {
    uint64_t bits[2];
} op_identity;
/* Appends bytes that are equal for two ops exactly when they say the same: kind, name, repeat and every
 * field, members included; for kinds declared in data the declaration, too. */
op_identity op_signature(const op *o, aic_buf *out);

double op_weight_bytes(const op *o); /* byte, repeat included */
unsigned op_reads(const op *o);      /* OP_READS_* bits, those of members included: op_bound.reads */
bool op_is_logits(const op *o);      /* a Gemm whose name contains "logits_gemm": sees x = batch in context */

/* ---- lanes --------------------------------------------------------------------------------------------- */

/* Kernel lane order of the attention ops of a view (docs/model/attention.md). override: attention_backend or
 * NULL. */
bool op_lane_order(const pdb_view *view, bool context, const char *override, op_texts *out, aic_error *err);
/* Both orders: of generation, then of context. They live as long as what the view has loaded. */
bool op_lane_orders(const pdb_view *view, const char *override, op_texts orders[2], aic_error *err);
/* An attention op, which tries kernels in an order. Members of composites keep theirs ("default"): only an op
 * of a phase's list itself chooses. */
bool op_chooses_lane(const op *o);
void op_set_lanes(op *o, const op_texts orders[2]); /* borrows the texts; does nothing to other ops */
/* A copy with these lanes, which shares all else with o. */
op *op_with_lanes(const op *o, const op_texts orders[2], aic_arena *a);
/* FMHA modes that have at least one context-attention row with this KV mode (PDB_Q_UNSET = any), over all
 * lanes. Bit q of the result = mode q. 0 = no information. */
uint64_t op_context_fmha_modes(const pdb_view *view, pdb_quant kv);

/* ---- binding and querying ------------------------------------------------------------------------------ */

/* An exchange priced from another topology than the deployment's (docs/model/moe_large_ep.md). */
typedef struct op_substitution {
    const char *comm_backend;
    uint32_t ep, nodes;                   /* asked for */
    uint32_t measured_ep, measured_nodes; /* answered from */
    const struct op_substitution *next;   /* further records of the same bound op, or NULL */
} op_substitution;

struct op_bound {
    const op *op;
    const pdb_view *view;
    const pdb_system *system;
    unsigned reads;            /* OP_READS_* bits */
    op_class refused;          /* OP_OK, or the class of every table answer of this op */
    const char *reason;        /* text when refused */
    const void *state;         /* family's own: grids, constants; NULL when refused */
    op_class estimate_refused; /* the same for the empirical path */
    const char *estimate_reason;
    const void *estimate;                 /* family's own: utilisation samples, scale, tier */
    const op_substitution *substitutions; /* of every table answer of this op and its members; NULL = none */
};

struct op_binder {
    aic_arena *arena; /* lives as long as the bound ops */
    const pdb_view *view;
    op_mode mode;
    unsigned policy; /* transfer policy of estimates, OP_POLICY_* */
};

/* Binds one op. Always succeeds: what is missing is remembered in b->refused and answered at each query. */
void op_bind(op_binder *binder, const op *o, op_bound *b);
/* Evaluates: result with repeat included and clamped, or a refusal (why may be NULL). */
op_class op_query(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out, op_refusal *why);
/* The same before the repeat: what ops that differ in nothing else have in common. op_scale by the repeat
 * makes it the answer of op_query, but for composites, which have none. */
op_class op_query_once(const op_bound *b, op_mode mode, const op_shape *shape, op_result *out,
                       op_refusal *why);
/* The same for the first of n shapes, faster: returns how many were answered. Ask the next one alone. */
size_t op_query_many(const op_bound *b, op_mode mode, const op_shape *shapes, size_t n, op_result *out);
/* Does the op refuse every shape in this mode? Known at bind. */
bool op_never_answers(const op_bound *b, op_mode mode);

/* ---- fans: an op at the same KV lengths for many batches (fan.c) -----------------------------------------
 */

/* A kind's decode step as queries of a grid whose last two axes are batch and KV length. */
struct op_fan_source {
    const pdb_grid *grid;
    double coords[2]; /* of the axes before those */
    pdb_sol sol;
    const void *ctx;
    bool spread;        /* the mean over op_sample_length of each length */
    bool imbalance;     /* times the shape's */
    const op_bound *op; /* whose clamping and repeat count; NULL: the op's own */
};

/* Columns hold one value per length, of the batch asked for last: what op_query would answer, repeat
 * included, source silicon, tier none. */
typedef struct op_fan {
    const op *op; /* whose clamping and repeat count */
    op_fan_source source;
    size_t n;
    double *latency;
    double *energy;           /* NULL: none has any */
    uint8_t *cover;           /* op_cover where that is all of the latency, OP_COVERS: in parts */
    double *parts[OP_COVERS]; /* of those */
    pdb_origins *from;        /* NULL: all rows are the view's own */
    unsigned kinds;           /* bits 1u << op_cover: evidence of lengths asked for; the caller's to clear */
    /* private */
    const uint32_t *lengths;
    bool placed; /* places are filled in */
    pdb_fan grid;
    double *places; /* samples x n */
    uint8_t *odd;
} op_fan;
/* Has the op fans in this mode? Else ask it one shape at a time. */
bool op_has_fan(const op_bound *b, op_mode mode);
/* Memory of one of n lengths, bytes, aligned for doubles. */
size_t op_fan_bytes(const op_bound *b, op_mode mode, size_t n);
/* lengths must outlive it. False: the grid has no such answers. */
bool op_fan_open(op_fan *f, const op_bound *b, op_mode mode, const uint32_t *lengths, size_t n, void *memory);
/* Fills lengths from .. to - 1, as op_query_once has them; shape's batch and imbalance count. Best with
 * batches ascending. False: one of them has no measured answer. */
bool op_fan_ask(op_fan *f, const op_shape *shape, size_t from, size_t to);
/* Makes them those of op_query. */
void op_fan_repeat(op_fan *f, size_t from, size_t to);

/* ---- what is measured for large expert parallelism (docs/model/moe_large_ep.md) -------------------------
 */

typedef struct op_a2a_need {
    const char *comm_backend, *dispatch_dtype, *combine_dtype;
    uint32_t hidden, topk, experts, ep, nodes;
} op_a2a_need;
/* Are dispatch and combine measured on this topology or, where the backend allows it, on the one node that
 * stands in for several? Any SM budget counts; message types are taken by their exact name. */
bool op_a2a_covers(const pdb_view *view, const op_a2a_need *need);

typedef struct op_expert_need {
    pdb_quant quant;
    bool context; /* else generation */
    uint32_t hidden, inter, topk, experts, ep;
} op_expert_need;
/* Are the experts measured without tensor parallelism, in the merged table or, except for sglang, in
 * moe_perf? Any kernel, distribution and number of slots counts. */
bool op_expert_covers(const pdb_view *view, const op_expert_need *need);

#endif
