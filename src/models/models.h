/* models: from a checkpoint's config to op lists.
 *
 * A model is data: the catalogue (data/models/catalogue.json) or a local folder (config.json,
 * hf_quant_config.json) gives facts and quantisation; a graph file (data/models/graphs/<family>.yaml,
 * docs/formats/graph.md) turns facts, parallelism and modes into ordered op lists. C knows config parsing,
 * quantisation inference, refusals and KV-cache functions, and no family.
 */
#ifndef AICFG_MODELS_MODELS_H
#define AICFG_MODELS_MODELS_H

#include "base/base.h"
#include "ops/ops.h"
#include "perfdb/perfdb.h"

/* ---- catalogue and facts ---- */

typedef struct mdl_catalogue mdl_catalogue;

/* dirs: folders holding catalogue.json and/or graphs/ and architectures.yaml; the first that has an entry
 * wins. */
mdl_catalogue *mdl_open(const char *const *dirs, size_t n, aic_error *err);
/* The same with op kinds that graphs may name besides the built-in ones; kinds must outlive the catalogue. */
mdl_catalogue *mdl_open_with(const char *const *dirs, size_t n, const op_kinds *kinds, aic_error *err);
void mdl_close(mdl_catalogue *c);
size_t mdl_count(const mdl_catalogue *c);
const char *mdl_id_at(const mdl_catalogue *c, size_t i); /* sorted */

typedef struct mdl_quants {
    pdb_quant gemm, moe, kvcache, fmha, comm; /* PDB_Q_UNSET = not given */
} mdl_quants;

/* What a vision encoder makes of images (docs/model/images.md); all 0: the model sees none. */
typedef struct mdl_vision {
    int64_t patch; /* pixels of a patch's edge */
    int64_t merge; /* patches along the edge of a token */
    int64_t width; /* elements of a patch inside the encoder */
    int64_t out;   /* elements that projectors make of a token */
} mdl_vision;

/* A model's facts. Reals and integers as in docs/model/facts.md. Immutable after loading. */
typedef struct mdl_model {
    const char *id; /* name or folder as asked for */
    const char *architecture;
    const char *family; /* "LLAMA" */
    bool is_moe;
    int64_t layers, heads, kv_heads, head_dim, hidden, ffn, vocab, context, topk, experts, expert_ffn;
    bool experts_null, expert_ffn_null; /* the config says null: kept apart from 0 */
    int64_t shared_experts, moe_layers;
    int64_t nextn_auto;               /* the checkpoint's own draft depth */
    const char *quant_algo, *kv_algo; /* NULL = none */
    int quant_dynamic;                /* 1, 0, -1 unknown */
    mdl_quants inferred;              /* what the config files imply; comm unset */
    int64_t weight_block;             /* quantization_config.weight_block_size[0], 128 when absent */
    mdl_vision vision;
    const aic_node *config; /* normalised config, for extra facts */
    const aic_node *text;   /* the map facts are read from (nested text config or config itself) */
    const void *graph;      /* private: compiled graph of the family, NULL when no graph file exists */
    mdl_catalogue *catalogue;
} mdl_model;

/* Loads and caches a model by catalogue id or folder; thread-safe. NULL: unknown model (nearest id),
 * unreadable or invalid config. */
const mdl_model *mdl_get(mdl_catalogue *c, const char *id, aic_error *err);

/* ---- deployments of a model ---- */

typedef struct mdl_parallel {
    uint32_t tp, pp, dp;     /* >= 1 */
    uint32_t moe_tp, moe_ep; /* 0 = not given */
    uint32_t cp;             /* context parallel, 1 = none */
} mdl_parallel;

/* GPUs of one worker: tp x pp x dp x cp; UINT32_MAX when that is more. */
uint32_t mdl_gpus(const mdl_parallel *p);

enum { MDL_A2A_CONTEXT = 1, MDL_A2A_GENERATION = 2 };

/* What the caller fixes. With a view the single-point path is followed (docs/model/quantisation.md:
 * data-driven FMHA, SM corrections); without one (view = NULL) only the base rule. */
typedef struct mdl_request {
    const char *backend;
    const pdb_view *view; /* NULL: no database (library path); needed for corrections and lanes */
    mdl_parallel par;
    uint32_t nextn;                /* draft tokens of multi-token prediction */
    mdl_quants given;              /* explicit modes */
    bool context_role;             /* runs prefill: false only for static_gen */
    const char *distribution;      /* expert load, NULL = "power_law" */
    const char *attention_backend; /* lane override or NULL */
    /* Experts across nodes: the all-to-all backend of each phase; both NULL = experts within a node, unless
     * a2a_phases has bits. */
    const char *a2a_context, *a2a_generation;
    unsigned a2a_phases;    /* MDL_A2A_* bits: phases whose backend is chosen by what the view has measured */
    uint32_t gpus_per_node; /* 0 = the system's */
    const char *system;     /* its name, where there is no view; NULL = the view's */
    bool eplb;              /* experts balanced over the ranks; only across nodes */
    uint32_t slots;         /* of experts across nodes; 0 = one per expert */
    uint32_t sms;           /* SMs that exchanges may use; 0 = 20 */
    const char *moe_backend; /* "megamoe", "deepep_moe" or NULL */
    bool encoder_tp; /* the vision encoder is split over tp instead of working on its own share of images */
    bool language_only; /* no vision encoder on this worker */
    uint32_t layers;    /* 0 = as many as the config says */
} mdl_request;

/* Result of building; lives in the arena. */
typedef struct mdl_deployment {
    const mdl_model *model;
    mdl_parallel par; /* moe_tp, moe_ep filled in for MoE models; 0 for dense ones when not given */
    uint32_t nextn;
    const char *a2a_context, *a2a_generation; /* chosen or given; NULL = experts within a node */
    mdl_quants quants;                        /* effective modes */
    op_list context, generation;
    op_list encoder;     /* vision encoder; empty when the model or the worker has none */
    double weight_bytes; /* sum over the context list, before /pp */
    double encoder_weight_bytes;
    uint32_t encoder_ranks; /* that share the images: tp, or 1 where tp splits the encoder */
    const void *kv;         /* private: KV-cache function with its figures */
} mdl_deployment;

/* Steps of mdl_build, in the order checks fire: width rule, exchange across nodes, modes, family checks,
 * graph. A configuration the model cannot run is a refusal (OP_INVALID or OP_MISSING) in *why and false; err
 * is for broken graph files (AIC_BAD_INPUT), *why.cls is OP_OK then. */
bool mdl_build(const mdl_model *m, const mdl_request *req, aic_arena *a, mdl_deployment *out, op_refusal *why,
               aic_error *err);
/* ---- lists that deployments share (docs/model/serving.md, "compiling") ---- */

/* Lists that were built, found again by whatever a graph looked up when it made them: a deployment on another
 * system, or in another mode, mostly has the very same. Any thread. */
typedef struct mdl_store mdl_store;
/* What the user of a store makes once of lists before others see them, of these and the model alone; may
 * rewrite their ops. In the arena; not NULL. */
typedef const void *mdl_derive(const mdl_deployment *lists, aic_arena *a);
mdl_store *mdl_store_new(mdl_derive *derive);
void mdl_store_free(mdl_store *s); /* and all lists that came from it; NULL is allowed */
size_t mdl_store_bytes(mdl_store *s);
/* What comes with lists of a store. */
typedef struct mdl_shared_lists {
    const void *derived; /* NULL without a store */
    bool choose_lanes;   /* ops of the lists choose kernel lanes: mdl_lane_orders, op_with_lanes */
} mdl_shared_lists;
/* mdl_build with lists of the store, in which no lanes are chosen. Without a store (NULL) they lie in the
 * arena, which is scratch otherwise. */
bool mdl_build_shared(mdl_store *s, const mdl_model *m, const mdl_request *req, aic_arena *a,
                      mdl_deployment *out, mdl_shared_lists *shared, op_refusal *why, aic_error *err);
/* Orders in which attention tries kernels, of generation and context; refused where there is none as asked
 * for. */
bool mdl_lane_orders(const mdl_request *req, op_texts orders[2], op_refusal *why, aic_error *err);

/* Only the quantisation step (for `model show` and tests). */
bool mdl_resolve_quants(const mdl_model *m, const mdl_request *req, mdl_quants *out, op_refusal *why);

/* KV-cache bytes of one sequence of n tokens on one GPU, and the longest sequence within a byte budget
 * (docs/model/memory.md). */
double mdl_kv_bytes(const mdl_deployment *d, double n);
double mdl_kv_max_tokens(const mdl_deployment *d, double budget);
/* Appends bytes that are equal for two deployments when both of the above are the same functions. */
void mdl_kv_signature(const mdl_deployment *d, aic_buf *out);

/* ---- looking closer (docs/adding-a-model.md) ---- */

/* How much a config looks like those a family runs. */
typedef struct mdl_likeness {
    const char *family, *model; /* the catalogue's model that is most like it */
    double share;               /* config keys in common, of those either has: 0..1 */
} mdl_likeness;

enum { MDL_LIKENESSES = 3 };

/* What can be said of a model before it can be modelled, or when it cannot. */
typedef struct mdl_inspection {
    const char *architecture; /* NULL: the config names no class */
    const char *family;       /* that runs it, NULL = none */
    bool has_graph;           /* the family has a graph file */
    op_texts unknown_kinds;   /* op kinds that its graph names and the program does not have */
    op_texts unexplained;     /* config keys that no family reads and that may have a cost; sorted */
    size_t n_near;
    mdl_likeness near[MDL_LIKENESSES]; /* best first */
} mdl_inspection;

/* Fills *out (texts in the arena) also for architectures and graphs that mdl_get refuses. False: unknown
 * model, unreadable config, malformed graph file. */
bool mdl_inspect(mdl_catalogue *c, const char *id, aic_arena *a, mdl_inspection *out, aic_error *err);

/* Warnings about the op lists of a deployment without draft tokens, as texts in the arena: work that is
 * counted twice (a module beside an op it contains, one op more often than there are layers), and one name
 * for several kinds. */
op_texts mdl_check(const mdl_deployment *d, aic_arena *a);

/* ---- images (docs/model/images.md) ---- */

/* Images of each request: their size in pixels (sides below 2^24), or the tokens of one when a side is 0. */
typedef struct mdl_images {
    uint32_t count, height, width, tokens;
} mdl_images;

/* Tokens of one image inside the encoder and behind it. */
typedef struct mdl_image_tokens {
    uint64_t inside, behind;
} mdl_image_tokens;
mdl_image_tokens mdl_tokens_of_image(const mdl_model *m, const mdl_images *images);
/* Images that one rank encodes for a batch of requests. */
uint64_t mdl_images_of_rank(const mdl_deployment *d, const mdl_images *images, uint32_t batch);
/* Tokens of one image that an op of the encoder list sees. */
uint64_t mdl_tokens_of_op(const op *o, const mdl_image_tokens *tokens);
/* Bytes of the encoder's activations on one GPU; 0 without an encoder or images. */
double mdl_encoder_activations(const mdl_deployment *d, const mdl_images *images, uint32_t batch);

/* The repeat as the reference's pricing engine reads it back from decimal text: digits as one integer,
 * divided by a power of ten (docs/model/facts.md, "Repeats"). Differs from the op's own repeat by at most one
 * unit in the last place, and only for repeats that are no short decimals (multi-token prediction). */
double mdl_engine_repeat(double repeat);

#endif
