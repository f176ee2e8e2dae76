/* models: what its files share with one another.
 *
 * Reading order: architectures.c (which family an architecture runs), config.c, facts.c and quant_infer.c
 * (what a checkpoint's files say), quant_resolve.c and parallel.c (what a request makes of it), graph*.c
 * (graph files), symbols.c and functions.c (what an expression sees), build.c (graph -> op lists), kv.c,
 * catalogue.c (owner of everything).
 */
#ifndef AICFG_MODELS_INTERNAL_H
#define AICFG_MODELS_INTERNAL_H

#include "models/models.h"
#include <stdatomic.h>

#define MDL_MAX_SIZE INT64_C(0x7fffffff) /* largest integer fact: fits every unsigned 32-bit op field */

/* ---- names an expression sees (docs/formats/graph.md) ---- */

/* When a name gets its value: with the model, with a deployment, or with a phase of a deployment. A let or an
 * expression is as late as the latest name it uses. */
typedef enum mdl_level { MDL_OF_MODEL, MDL_OF_DEPLOYMENT, MDL_OF_PHASE } mdl_level;

/* X(name, level, value, meaning). The value is an expression over m (the model), r (the request) and f (the
 * frame), which symbols.c alone expands. */
#define MDL_SYMBOLS(X)                                                                                       \
    X(model_id, MDL_OF_MODEL, aic_str(m->id), "catalogue id or folder")                                      \
    X(architecture, MDL_OF_MODEL, aic_str(m->architecture), "HF class name, e.g. 'Qwen3ForCausalLM'")        \
    X(family, MDL_OF_MODEL, aic_str(m->family), "e.g. 'LLAMA'")                                              \
    X(is_moe, MDL_OF_MODEL, aic_bool(m->is_moe), "the MoE width rule applies")                               \
    X(layers, MDL_OF_MODEL, aic_int(m->layers), "decoder layers")                                            \
    X(hidden, MDL_OF_MODEL, aic_int(m->hidden), "hidden size")                                               \
    X(heads, MDL_OF_MODEL, aic_int(m->heads), "query heads")                                                 \
    X(kv_heads, MDL_OF_MODEL, aic_int(m->kv_heads), "KV heads, 0 when the config has none")                  \
    X(head_dim, MDL_OF_MODEL, aic_int(m->head_dim), "elements per head")                                     \
    X(ffn, MDL_OF_MODEL, aic_int(m->ffn), "dense FFN size, 0 when the config has none")                      \
    X(vocab, MDL_OF_MODEL, aic_int(m->vocab), "vocabulary size")                                             \
    X(context_length, MDL_OF_MODEL, aic_int(m->context), "longest sequence, tokens")                         \
    X(topk, MDL_OF_MODEL, aic_int(m->topk), "routed experts per token")                                      \
    X(experts, MDL_OF_MODEL, int_or_null(m->experts, m->experts_null), "routed experts; may be null")        \
    X(expert_ffn, MDL_OF_MODEL, int_or_null(m->expert_ffn, m->expert_ffn_null),                              \
      "FFN size of one expert; may be null")                                                                 \
    X(shared_experts, MDL_OF_MODEL, aic_int(m->shared_experts), "shared experts")                            \
    X(moe_layers, MDL_OF_MODEL, aic_int(m->moe_layers), "layers with routed experts")                        \
    X(weight_block, MDL_OF_MODEL, aic_int(m->weight_block), "edge of an FP8 weight block")                   \
    X(routed_algos, MDL_OF_MODEL, texts_value(&f->model->routed_algos, f->arena),                            \
      "list: algorithms the checkpoint names for routed experts")                                            \
    X(excluded, MDL_OF_MODEL, f->model->excluded,                                                            \
      "list: patterns of modules the checkpoint leaves unquantised")                                         \
    X(quantized_layers, MDL_OF_MODEL, f->model->quantized_layers,                                            \
      "list of [module, algorithm], in lower case")                                                          \
    X(backend, MDL_OF_DEPLOYMENT, aic_str(r->backend), "'trtllm', 'sglang' or 'vllm'")                       \
    X(system, MDL_OF_DEPLOYMENT, text_or_null(mdl_system_of(r)), "system name, null without a database")     \
    X(sm, MDL_OF_DEPLOYMENT, aic_int(r->view ? r->view->system->sm_version : -1),                            \
      "SM version, -1 when unknown")                                                                         \
    X(tp, MDL_OF_DEPLOYMENT, aic_int(f->par->tp), "tensor parallel size")                                    \
    X(pp, MDL_OF_DEPLOYMENT, aic_int(f->par->pp), "pipeline parallel size")                                  \
    X(dp, MDL_OF_DEPLOYMENT, aic_int(f->par->dp), "attention data parallel size")                            \
    X(moe_tp, MDL_OF_DEPLOYMENT, aic_int(f->par->moe_tp), "expert tensor parallel size")                     \
    X(moe_ep, MDL_OF_DEPLOYMENT, aic_int(f->par->moe_ep), "expert parallel size")                            \
    X(cp, MDL_OF_DEPLOYMENT, aic_int(f->par->cp), "context parallel size")                                   \
    X(nextn, MDL_OF_DEPLOYMENT, aic_int(r->nextn), "draft tokens of multi-token prediction")                 \
    X(gemm_quant, MDL_OF_DEPLOYMENT, quant_text(f->quant->modes.gemm), "GEMM mode, text")                    \
    X(moe_quant, MDL_OF_DEPLOYMENT, quant_text(f->quant->modes.moe), "expert mode, text")                    \
    X(kv_quant, MDL_OF_DEPLOYMENT, quant_text(f->quant->modes.kvcache), "KV-cache mode, text")               \
    X(fmha_quant, MDL_OF_DEPLOYMENT, quant_text(f->quant->modes.fmha), "attention math mode, text")          \
    X(comm_quant, MDL_OF_DEPLOYMENT, quant_text(f->quant->modes.comm), "communication mode, text")           \
    X(gemm_given, MDL_OF_DEPLOYMENT, aic_bool(f->quant->gemm_given),                                         \
      "the GEMM mode was given, not inferred")                                                               \
    X(distribution, MDL_OF_DEPLOYMENT, aic_str(r->distribution ? r->distribution : "power_law"),             \
      "expert load, 'power_law' unless asked otherwise")                                                     \
    X(attention_backend, MDL_OF_DEPLOYMENT, text_or_null(r->attention_backend),                              \
      "attention kernel asked for, or null")                                                                 \
    X(moe_backend, MDL_OF_DEPLOYMENT, text_or_null(r->moe_backend), "expert kernel asked for, or null")      \
    X(large_ep, MDL_OF_DEPLOYMENT, aic_bool(r->a2a_context || r->a2a_generation), "experts span nodes")      \
    X(gpus_per_node, MDL_OF_DEPLOYMENT, aic_int(mdl_node_size(r)), "GPUs of a node, 0 when unknown")         \
    X(eplb, MDL_OF_DEPLOYMENT, aic_bool(r->eplb), "experts are balanced over the ranks")                     \
    X(slots, MDL_OF_DEPLOYMENT, aic_int(r->slots), "expert slots across nodes, 0 = one per expert")          \
    X(sms, MDL_OF_DEPLOYMENT, aic_int(r->sms ? r->sms : 20), "SMs that exchanges may use")                   \
    X(encoder_tp, MDL_OF_DEPLOYMENT, aic_bool(r->encoder_tp), "the vision encoder is split over tp")         \
    X(kv_token_bytes, MDL_OF_PHASE, aic_real(f->kv_token_bytes),                                             \
      "KV-cache bytes of a one-token sequence, real")                                                        \
    X(p, MDL_OF_PHASE, aic_str(mdl_phase_name(f->phase)), "'context', 'generation' or 'encoder'")            \
    X(a2a, MDL_OF_PHASE, text_or_null(phase_a2a(f)), "all-to-all backend of experts across nodes, or null")  \
    X(sf, MDL_OF_PHASE, aic_real(draft_factor(f)), "real: (nextn + layers) / layers in generation, else 1.0")

typedef enum mdl_symbol {
#define MDL_SYMBOL_ENUM(name, level, value, meaning) MDL_S_##name,
    MDL_SYMBOLS(MDL_SYMBOL_ENUM)
#undef MDL_SYMBOL_ENUM
        MDL_SYMBOL_COUNT
} mdl_symbol;

typedef enum mdl_phase { MDL_CONTEXT, MDL_GENERATION, MDL_ENCODER, MDL_PHASES } mdl_phase;
enum { MDL_TEXT_PHASES = 2 };            /* of the language model: context and generation */
const char *mdl_phase_name(mdl_phase p); /* "context", ...: also the keys of a graph file */

/* A name bound inside a graph file: block parameter or loop variable. Innermost first. */
typedef struct mdl_local {
    const char *name;
    int slot;
    const struct mdl_local *next;
} mdl_local;

/* What an expression may use while it is compiled: symbols up to a level, then lets, then locals. */
typedef struct mdl_names {
    mdl_level latest;
    const struct mdl_graph *graph; /* its lets; NULL = none */
    const mdl_local *locals;
} mdl_names;
/* Compiles against the names. The scope handed to base lives only during the call. */
aic_expr *mdl_expr(aic_arena *a, const char *text, const char *file, int line, int column,
                   const mdl_names *names, aic_error *err);
aic_template *mdl_template(aic_arena *a, const char *text, const char *file, int line, int column,
                           const mdl_names *names, aic_error *err);
/* Compiles the text of a scalar node (numbers and booleans too). `what` names it in errors. */
aic_expr *mdl_node_expr(aic_arena *a, const aic_node *n, const char *what, const mdl_names *names,
                        aic_error *err);
/* Latest level of the names an expression uses. */
mdl_level mdl_expr_level(const aic_expr *e, const struct mdl_graph *graph);
/* Is the name taken by a symbol or a let? */
bool mdl_name_taken(const char *name, const struct mdl_graph *graph);

/* ---- architectures.yaml (docs/model/facts.md, docs/model/quantisation_inference.md) ---- */

enum { MDL_FMHA_TABLES = 4 };

/* Tables that show which attention modes a family has data for; n = 0: the context-attention table. */
typedef struct mdl_fmha_rule {
    op_texts families, backends; /* backends: none = all */
    const pdb_schema *tables[MDL_FMHA_TABLES];
    size_t n_tables;
} mdl_fmha_rule;

typedef struct mdl_family {
    const char *name;
    const aic_expr *is_moe;
} mdl_family;

typedef struct mdl_arch {
    const char *name;
    const mdl_family *family;
    const char *text_key;       /* nested text config, NULL = none */
    const aic_expr *moe_layers; /* NULL = the general rule */
    pdb_quant kvcache;          /* KV mode whatever the files say, or PDB_Q_UNSET */
    pdb_quant fp4_experts;      /* expert mode when expert_dtype is fp4, or PDB_Q_UNSET */
} mdl_arch;

/* One conditional replacement of a mode nobody gave. */
typedef struct mdl_correction {
    unsigned kind; /* PDB_GEMM ... */
    pdb_quant to;
    const aic_expr *when;
} mdl_correction;

typedef struct mdl_corrections {
    size_t count;
    mdl_correction *items;
} mdl_corrections;

/* A model that is refused on a condition. */
typedef struct mdl_ban {
    const aic_expr *when;
    const char *text;
} mdl_ban;

typedef struct mdl_archs {
    mdl_family *families;
    size_t n_families;
    mdl_arch *archs;
    size_t n_archs;
    mdl_fmha_rule *fmha;
    size_t n_fmha;
    mdl_corrections on_nodes, on_system, on_build; /* experts across nodes; with a database bound; always */
    mdl_corrections on_search;                     /* configuration search, before on_system */
    mdl_ban *banned_from_search;
    size_t n_banned;
} mdl_archs;

/* paths: the folders' files, the first one's word counting. */
bool mdl_archs_load(aic_arena *a, const char *const *paths, size_t n, mdl_archs *out, aic_error *err);
const mdl_arch *mdl_arch_find(const mdl_archs *archs, const char *name);
const mdl_fmha_rule *mdl_fmha_rule_find(const mdl_archs *archs, const char *family, const char *backend);

/* ---- a loaded model ---- */

/* What op lists were made from: bit s for each mdl_symbol that was looked up, and MDL_TRACED. */
typedef uint64_t mdl_trace;
#define MDL_TRACED (UINT64_C(1) << 63)
_Static_assert(MDL_SYMBOL_COUNT < 63, "a trace has a bit for every symbol and one more");

/* Traces met so far, in any deployment of the model; only ever added to, by any thread. A trace that no
 * stored list has any more costs a look-up and does no harm. */
enum { MDL_MAX_TRACES = 16 };
typedef struct mdl_traces {
    _Atomic mdl_trace met[MDL_MAX_TRACES]; /* 0 = none */
} mdl_traces;

/* The catalogue's own record of a model; pub is its first member, so that the public pointer leads back to
 * it. */
typedef struct mdl_entry {
    mdl_model pub;
    mdl_traces *traces; /* shared by all copies of the record */
    const mdl_archs *archs;
    const mdl_arch *arch;
    op_texts routed_algos; /* algorithms named for routed experts (docs/model/quantisation_inference.md) */
    aic_value excluded, quantized_layers; /* lists, see MDL_SYMBOLS */
    const aic_value *lets;                /* values of the graph's model-level lets, NULL without a graph */
    const char *lets_failed;              /* why they could not be evaluated, or NULL */
} mdl_entry;
static inline const mdl_entry *mdl_entry_of(const mdl_model *m) {
    return (const mdl_entry *)(const void *)m;
}

/* ---- config.c ---- */

bool mdl_truthy(const aic_node *n); /* false: absent, null, 0, false, "", empty list or mapping */
/* First truthy value among keys of the map, NULL when none is. */
const aic_node *mdl_first(const aic_node *map, const char *const *keys, size_t n);
#define MDL_FIRST(map, ...)                                                                                  \
    mdl_first((map), (const char *const[]){__VA_ARGS__},                                                     \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
const aic_node *mdl_map(const aic_node *n); /* n if it is a mapping, else NULL */
const aic_node *mdl_path(const aic_node *map,
                         const char *path); /* dotted path of mapping keys; NULL when absent */
const char *
mdl_lower(aic_arena *a,
          const aic_node *n); /* scalar's text, stripped and in lower case; "" for anything else */
/* Class name of a config: first of `architectures`. */
bool mdl_architecture(const aic_node *config, const char **out, aic_error *err);
/* Config with quantization_config put where it is looked for. quant_file: hf_quant_config came from its own
 * file. */
const aic_node *mdl_normalise(aic_arena *a, const aic_node *config, const mdl_arch *arch, bool quant_file);
/* The map facts are read from: the nested text config where the architecture has one. */
bool mdl_text_map(const aic_node *config, const mdl_arch *arch, const aic_node **out, aic_error *err);
/* Copy of a mapping with one entry added or replaced. */
aic_node *mdl_with(aic_arena *a, const aic_node *map, const char *key, aic_node *value);

/* ---- facts.c, quant_infer.c, quant_mixed.c ---- */

/* Fills the facts of m from m->text; arch and architecture are set. */
bool mdl_read_facts(aic_arena *a, mdl_entry *m, aic_error *err);

/* Quantisation fields of a config, before they become modes. */
typedef struct mdl_quant_fields {
    const char *algo, *kv_algo; /* normalised, NULL = none */
    int dynamic;                /* 1, 0, -1 unknown */
    const aic_node *qc, *hs;    /* quantization_config; hf_quant_config.quantization; NULL unless mappings */
} mdl_quant_fields;
bool mdl_read_quant(aic_arena *a, mdl_entry *m, aic_error *err);

/* Distinct algorithms of two kinds of target. */
typedef struct mdl_algos {
    op_texts gemm, routed;
} mdl_algos;
mdl_algos mdl_collect_algos(aic_arena *a, const mdl_quant_fields *f);
void mdl_infer_mixed(aic_arena *a, const mdl_quant_fields *f, const mdl_algos *algos, mdl_quants *out);
bool mdl_infer_compressed(aic_arena *a, const mdl_quant_fields *f, mdl_quants *out, aic_error *err);
bool mdl_texts_have(const op_texts *t, const char *text);
/* quant_parts.c: lists of what the files say of single modules; the algorithm in one entry of
 * quantized_layers. */
const char *mdl_layer_algo(aic_arena *a, const aic_node *meta);
aic_value mdl_excluded(aic_arena *a, const mdl_quant_fields *f);
aic_value mdl_quantized_layers(aic_arena *a, const mdl_quant_fields *f);
aic_value mdl_list(aic_arena *a, const aic_value *items, size_t n); /* copies the items */

/* ---- deployments ---- */

typedef struct mdl_resolved {
    mdl_quants modes; /* none unset */
    bool gemm_given;  /* by the caller, or fixed by the system (docs/model/quantisation_inference.md) */
} mdl_resolved;

/* Values of names while a deployment is evaluated. */
typedef struct mdl_frame {
    const mdl_entry *model;
    const mdl_request *request;
    const mdl_parallel *par; /* moe sizes filled in */
    const mdl_resolved *quant;
    mdl_phase phase;
    double kv_token_bytes;
    const struct mdl_graph *graph; /* NULL: no lets */
    aic_value *vars;               /* lets, then locals */
    bool *known;                   /* per let: evaluated */
    mdl_trace trace;               /* symbols looked up so far */
    aic_arena *arena;
} mdl_frame;
aic_env mdl_env(mdl_frame *f);
/* Appends the values of a trace's symbols: bytes that are equal for two frames of a model exactly when all
 * those values are. */
void mdl_trace_values(const mdl_frame *f, mdl_trace trace, aic_buf *out);
bool mdl_eval(const aic_expr *e, mdl_frame *f, aic_value *out, aic_error *err);
bool mdl_eval_true(const aic_expr *e, mdl_frame *f, bool *out, aic_error *err); /* NULL expression = true */

/* Functions of expressions, beside the built-in ones (functions.c). */
extern const aic_fn mdl_functions[];
extern const size_t mdl_n_functions;

const char *mdl_system_of(const mdl_request *r); /* NULL = unknown */
uint32_t mdl_node_size(const mdl_request *r);    /* GPUs of a node, 0 = unknown */

/* Steps of the width rule (docs/model/parallel.md). par is the request's, then completed. */
bool mdl_check_width(const mdl_model *m, mdl_parallel *par, op_refusal *why);
bool mdl_check_context_parallel(const mdl_model *m, const mdl_parallel *par, const char *backend,
                                const op_texts *supported, op_refusal *why);
bool mdl_check_heads(const mdl_model *m, const mdl_parallel *par, op_refusal *why);

/* Fixes modes unset in *given by the first correction that applies to each. */
bool mdl_fix_modes(const mdl_entry *m, const mdl_request *req, const mdl_corrections *all, mdl_quants *given,
                   aic_arena *scratch, aic_error *err);
/* Without a database: what is given, else inferred, else unquantised, corrected by on_build. */
bool mdl_resolve_plain(const mdl_entry *m, const mdl_request *req, aic_arena *scratch, mdl_quants *out,
                       aic_error *err);
/* err: a rule of the data files could not be evaluated; why->cls is OP_OK then. */
bool mdl_resolve(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_resolved *out,
                 op_refusal *why, aic_error *err);

/* As the configuration search resolves them for one worker within a node, before it knows layouts: the view
 * is required. Unlike mdl_resolve it knows which modes a framework would choose itself (on_search), and
 * leaves the corrections of attention math to the data. */
bool mdl_resolve_search(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_quants *out,
                        op_refusal *why, aic_error *err);

/* FMHA modes with measured context attention for the family (docs/model/quantisation_inference.md); 0 = no
 * information. */
uint64_t mdl_fmha_modes(const mdl_entry *m, const pdb_view *view, pdb_quant kv);
const pdb_schema *mdl_fmha_table(const char *name); /* NULL = not a table this can read */

/* ---- large_ep.c ---- */

/* Chooses the exchanges of req's a2a_phases where the experts span nodes, and fixes the modes then; par is
 * complete. False: the layout needs exchanges that were not measured, or cannot have any. */
bool mdl_choose_exchange(const mdl_entry *m, const mdl_parallel *par, mdl_request *req, aic_arena *scratch,
                         op_refusal *why, aic_error *err);
/* What an exchange carries for an expert mode; NULL = nothing serves it. system may be NULL. */
const char *mdl_a2a_format(const char *backend, pdb_quant moe, bool context, bool combine,
                           const char *system);

/* ---- graphs ---- */

typedef struct mdl_let {
    const char *name;
    const aic_expr *value;
    mdl_level level;
} mdl_let;

typedef struct mdl_refusal_rule {
    const aic_expr *when;
    const aic_template *refuse;
} mdl_refusal_rule;

/* A part of the KV cache, as a graph gives it (docs/formats/graph.md). */
typedef struct mdl_kv_rule {
    const aic_node *at;
    const aic_expr *when;                     /* NULL = always */
    const aic_expr *per_token, *per_sequence; /* one of them: bytes */
    const aic_expr *window, *every;           /* of per_token; NULL = none */
} mdl_kv_rule;

/* Bytes of a sequence of n tokens: state + per_token n + the sum over thinned parts of
 * bytes floor(min(n, window) / every) (docs/model/memory.md). */
typedef struct mdl_kv_part {
    double bytes, window, every; /* window 0 = all tokens; every >= 1 */
} mdl_kv_part;
typedef struct mdl_kv {
    double state, per_token;
    size_t n_thinned;
    mdl_kv_part *thinned;
    double context_length;
} mdl_kv;

/* Figures of a vision encoder (mdl_vision), of the model alone. */
typedef struct mdl_images_rule {
    const aic_expr *when; /* NULL = always */
    const aic_expr *patch, *merge, *width, *out;
} mdl_images_rule;

typedef struct mdl_field {
    const char *name;
    const aic_expr *value;
    const aic_node *row; /* for the position of op errors */
} mdl_field;

typedef enum mdl_item_type { MDL_ROW, MDL_SEQ, MDL_FOR, MDL_OVERLAP, MDL_FALLBACK, MDL_REFUSE } mdl_item_type;

typedef struct mdl_items {
    size_t count;
    struct mdl_item *items;
} mdl_items;

/* One line or group of an op list, compiled for one phase. */
typedef struct mdl_item {
    mdl_item_type type;
    const aic_node *at;
    const aic_expr *when;     /* NULL = always */
    const aic_template *name; /* row, overlap, fallback; refuse: the reason */
    const op_desc *desc;      /* row */
    const aic_expr *repeat;   /* row */
    mdl_field *fields;        /* row: defaults and the row's own, each name once */
    size_t n_fields;
    const aic_expr **values; /* seq: values of its block's parameters; for: values[0] is the list */
    int first_slot;          /* seq, for: variables it binds */
    size_t n_slots;
    mdl_items a, b; /* seq and for: a; overlap: both groups; fallback: primary, else */
} mdl_item;

typedef struct mdl_graph {
    const char *file, *family;
    op_texts context_parallel, across_nodes; /* backends */
    mdl_let *lets;
    size_t n_lets;
    mdl_refusal_rule *checks;
    size_t n_checks;
    mdl_kv_rule *kv;
    size_t n_kv;
    mdl_images_rule *images; /* NULL = none */
    mdl_items list[MDL_PHASES];
    size_t n_vars; /* lets and locals */
} mdl_graph;

/* Finds a file under the folders models are looked for in. NULL when none has it. */
typedef struct mdl_dirs {
    const char *const *items;
    size_t count;
    const op_kinds *kinds; /* that graphs may name; NULL = the built-in ones */
} mdl_dirs;
const char *mdl_find_file(aic_arena *a, const mdl_dirs *dirs, const char *name);
void mdl_graph_file(const char *family, char *out, size_t size); /* "graphs/llama.yaml" */

const mdl_graph *mdl_graph_load(aic_arena *a, const mdl_dirs *dirs, const char *path, const char *family,
                                aic_error *err);
/* Evaluates the lets that depend on the model only, and images; failures are kept in m->lets_failed. */
void mdl_graph_model_lets(aic_arena *a, mdl_entry *m);

/* While a graph file and its includes are read. */
typedef struct mdl_defaults {
    const op_desc *desc;
    mdl_field *fields;
    size_t count;
} mdl_defaults;

typedef struct mdl_alias {
    const char *name;
    const op_desc *desc[MDL_TEXT_PHASES];
} mdl_alias;

typedef struct mdl_block {
    const char *name;
    const aic_node *params, *ops; /* params NULL = none */
} mdl_block;

typedef struct mdl_loader {
    aic_arena *arena;
    const mdl_dirs *dirs;
    mdl_graph *graph;
    mdl_alias *aliases;
    size_t n_aliases, cap_aliases;
    mdl_defaults *defaults;
    size_t n_defaults, cap_defaults;
    mdl_block *blocks;
    size_t n_blocks, cap_blocks;
    size_t cap_lets, cap_checks;
    mdl_phase phase; /* being compiled */
    int depth;       /* blocks and groups inside one another */
    size_t n_items;  /* compiled so far, both phases */
    aic_error *err;
} mdl_loader;

/* graph_items.c: compiles the list under a key of a mapping. */
bool mdl_compile_items(mdl_loader *l, const aic_node *list, const mdl_local *locals, mdl_items *out);
/* graph_rows.c: one row of text; "field = expr; field = expr" of a row or of defaults. */
bool mdl_compile_row(mdl_loader *l, const aic_node *row, const mdl_local *locals, mdl_item *out);
bool mdl_compile_defaults(mdl_loader *l, const aic_node *kind, const aic_node *fields);
bool mdl_field_known(const op_desc *d, const char *name);
/* The kind a node names; NULL with an error and the nearest name. */
const op_desc *mdl_find_kind(mdl_loader *l, const char *name, const aic_node *at, int column);

/* ---- catalogue.c and kinds.c, for inspect.c ---- */

/* A model's config as it stands in its file, read into the arena. NULL: unknown or unreadable. */
const aic_node *mdl_raw_config(const mdl_catalogue *c, const char *id, aic_arena *a, aic_error *err);
/* The same of the i-th model of the catalogue. */
const aic_node *mdl_config_at(const mdl_catalogue *c, size_t i, aic_arena *a, aic_error *err);
/* The architecture of a config, NULL when it is not known; *name = what the config says, or NULL. */
const mdl_arch *mdl_arch_of(const mdl_catalogue *c, const aic_node *config, const char **name);
const mdl_dirs *mdl_dirs_of(const mdl_catalogue *c);
/* Op kinds that a family's graph file and its includes name and the program does not have, each once. */
bool mdl_find_kinds(aic_arena *a, const mdl_dirs *dirs, const char *family, bool *has_graph,
                    op_texts *unknown, aic_error *err);

/* ---- kv.c, build.c ---- */

bool mdl_kv_make(const mdl_graph *g, mdl_frame *f, aic_arena *a, mdl_kv *out, aic_error *err);
double mdl_kv_sequence(const mdl_kv *kv, double n);     /* bytes of n tokens */
double mdl_kv_longest(const mdl_kv *kv, double budget); /* tokens within a budget */
double mdl_floordiv(double a, double b); /* floor of the real quotient, for finite a and b > 0 */

/* ---- build.c, store.c ---- */

/* A request with everything fixed that is fixed before op lists are made. */
typedef struct mdl_settled {
    const mdl_entry *model; /* with the layers asked for */
    mdl_request request;    /* exchanges chosen, modes as they are given then */
    mdl_parallel par;
    mdl_resolved quant;
    bool resolved; /* quant is filled in */
} mdl_settled;
/* False: refused, or with err a broken file; *s holds what was fixed until then. */
bool mdl_settle(const mdl_model *m, const mdl_request *req, aic_arena *scratch, mdl_settled *s,
                op_refusal *why, aic_error *err);

/* What a graph makes of it. */
typedef struct mdl_lists {
    op_list context, generation, encoder;
    double weight_bytes, encoder_weight_bytes;
    const mdl_kv *kv;
    bool choose_lanes; /* some op of a text phase does; none is chosen yet */
} mdl_lists;
/* Lists and all that they hold come from a and the model. trace: what was looked up on the way, so that equal
 * values of it make the same lists or the same refusal. */
bool mdl_make_lists(const mdl_settled *s, aic_arena *a, aic_arena *scratch, mdl_lists *out, mdl_trace *trace,
                    op_refusal *why, aic_error *err);
mdl_deployment mdl_deployment_of(const mdl_model *m, const mdl_settled *s); /* without lists */
void mdl_put_lists(mdl_deployment *d, const mdl_lists *l);

#endif
