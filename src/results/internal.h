/* Private parts of results: the stored layout, tables in memory, the codec of HDF5 chunks
 * (docs/formats/results.md). */
#ifndef AICFG_RESULTS_INTERNAL_H
#define AICFG_RESULTS_INTERNAL_H

#include "results/results.h"

#define RES_FORMAT      "aicfg-results"
#define RES_VIEW_FORMAT "aicfg-results-view" /* shards seen as one file; not for our readers */
enum {
    RES_FORMAT_VERSION = 2,
    RES_PATH_MAX = 4000,       /* bytes of a path, what is appended to it included */
    RES_ROWS_MAX = UINT16_MAX, /* breakdown rows of one point */
    RES_ATTR_TEXT_MAX = 60000  /* bytes of a text attribute: HDF5 keeps object headers below 64 KiB */
};

/* ---- columns (columns.c) ----------------------------------------------------------------------------- */

/* The axes: lists of distinct texts that deployments and ops point into. X(name, meaning). */
#define RES_AXES(X)                                                                                          \
    X(mode, "serving modes")                                                                                 \
    X(model, "models")                                                                                       \
    X(system, "GPU systems")                                                                                 \
    X(backend, "serving frameworks")                                                                         \
    X(version, "releases of the frameworks")                                                                 \
    X(database_mode, "how ops are priced")                                                                   \
    X(transfer_policy, "what estimates may be calibrated from")                                              \
    X(quant, "quantisation modes")                                                                           \
    X(attention_backend, "attention kernel choices")                                                         \
    X(moe_backend, "expert kernel choices")                                                                  \
    X(distribution, "loads of the experts")                                                                  \
    X(op, "names of breakdown rows")                                                                         \
    X(kind, "op kinds")                                                                                      \
    X(refusal, "why deployments are refused")
typedef enum res_axis {
#define RES_AXIS_ENUM(name, meaning) RES_AXIS_##name,
    RES_AXES(RES_AXIS_ENUM)
#undef RES_AXIS_ENUM
        RES_AXIS_COUNT
} res_axis;

/* Deployment columns in order: TEXT(name, axis, meaning), U32 and F64(name, unit, meaning). */
#define RES_DEPLOYMENT_COLUMNS(TEXT, U32, F64)                                                               \
    TEXT(mode, mode, "serving mode: static, static_ctx or static_gen")                                       \
    TEXT(model, model, "model of the catalogue, or a folder with its config")                                \
    TEXT(system, system, "GPU system")                                                                       \
    TEXT(backend, backend, "serving framework")                                                              \
    TEXT(version, version, "release of the framework whose kernels were measured, aliases resolved")         \
    TEXT(database_mode, database_mode, "how ops are priced: SILICON, HYBRID, EMPIRICAL or SOL")              \
    TEXT(transfer_policy, transfer_policy,                                                                   \
         "what estimates may be calibrated from, as asked for; empty = all kinds of transfer")               \
    U32(tp, "", "tensor parallel size")                                                                      \
    U32(pp, "", "pipeline parallel size")                                                                    \
    U32(dp, "", "attention data parallel size")                                                              \
    U32(moe_tp, "", "tensor parallel size of the experts; 0 = none")                                         \
    U32(moe_ep, "", "expert parallel size; 0 = none")                                                        \
    U32(cp, "", "context parallel size")                                                                     \
    U32(num_gpus, "GPU", "GPUs of one worker: tp x pp x dp x cp")                                            \
    U32(nextn, "token", "draft tokens of multi-token prediction")                                            \
    F64(nextn_accepted, "token", "draft tokens accepted per step; NaN = not given")                          \
    U32(ctx_tokens, "token", "context tokens of a mixed step; 0 = the mode has none")                        \
    TEXT(gemm_quant, quant, "quantisation of GEMMs in effect")                                               \
    TEXT(moe_quant, quant, "quantisation of experts in effect")                                              \
    TEXT(kvcache_quant, quant, "type of the KV cache in effect")                                             \
    TEXT(fmha_quant, quant, "type of attention arithmetic in effect")                                        \
    TEXT(comm_quant, quant, "type of communicated activations in effect")                                    \
    F64(free_gpu_memory_fraction, "", "share of memory for the KV cache as asked for; NaN = not given")      \
    U32(max_seq_len, "token", "longest sequence as asked for; 0 = not given")                                \
    TEXT(attention_backend, attention_backend, "attention kernel choice; empty = the framework's default")   \
    TEXT(moe_backend, moe_backend, "expert kernel choice; empty = the framework's default")                  \
    TEXT(distribution, distribution, "load of the experts")                                                  \
    U32(eplb, "", "1: experts across nodes are balanced over the ranks; 0: not")                             \
    U32(slots, "", "expert slots across nodes, redundant ones included; 0 = one per expert")                 \
    U32(sms, "SM", "SMs that exchanges across nodes may use")                                                \
    U32(override_layers, "layer", "layers in place of the config's; 0 = as the config says")                 \
    U32(encoder_tp, "", "1: tp splits the vision encoder; 0: each rank encodes its share of the images")

/* Quant columns whose origin is kept beside them in /deployments: X(member of mdl_quants). */
#define RES_QUANTS(X) X(gemm) X(moe) X(kvcache) X(fmha) X(comm)

/* Where a quantisation mode came from. */
#define RES_ORIGINS(X) X(inferred) X(explicit)
typedef enum res_origin_kind { RES_INFERRED, RES_EXPLICIT, RES_ORIGIN_COUNT } res_origin_kind;

/* Point columns in order: X(name, type, unit, higher is better, member of srv_point, meaning). */
#define RES_POINT_COLUMNS(X)                                                                                 \
    X(batch, U32, "request", true, load.batch, "requests per attention data parallel rank")                  \
    X(isl, U32, "token", false, load.isl, "input tokens per request, prefix included")                       \
    X(osl, U32, "token", false, load.osl, "output tokens per request")                                       \
    X(prefix, U32, "token", false, load.prefix, "input tokens already in the KV cache")                      \
    X(images, U32, "image", true, load.images.count, "images per request; 0 = none")                         \
    X(image_height, U32, "pixel", false, load.images.height, "height of an image; 0 = given in tokens")      \
    X(image_width, U32, "pixel", false, load.images.width, "width of an image; 0 = given in tokens")         \
    X(image_tokens, U32, "token", false, load.images.tokens, "tokens of an image that has no sides")         \
    X(visual_tokens, U32, "token", false, visual_tokens, "tokens that a request's images add to isl")        \
    X(status, STATUS, "", false, status, "what became of the point")                                         \
    X(reason, TEXT, "", false, reason, "why the point is not ok; empty when it is")                          \
    X(ttft_ms, F64, "ms", false, ttft, "time to first token: images and prefill of the whole batch")         \
    X(tpot_ms, F64, "ms", false, tpot, "time per output token after the first")                              \
    X(request_latency_ms, F64, "ms", false, request_latency, "time from arrival to last token")              \
    X(encoder_latency_ms, F64, "ms", false, encoder_latency, "sum of the vision encoder's ops; 0 = none")    \
    X(context_latency_ms, F64, "ms", false, context_latency, "sum of the context phase's ops")               \
    X(generation_latency_ms, F64, "ms", false, generation_latency, "sum of the generation phase's ops")      \
    X(tokens_per_s, F64, "token/s", true, tokens_per_s, "output tokens per second of the worker")            \
    X(tokens_per_s_per_gpu, F64, "token/s", true, tokens_per_s_per_gpu, "tokens_per_s / tp / pp / dp")       \
    X(tokens_per_s_per_user, F64, "token/s", true, tokens_per_s_per_user,                                    \
      "output tokens per second that one request sees")                                                      \
    X(seq_per_s, F64, "request/s", true, seq_per_s, "requests finished per second by the worker")            \
    X(concurrency, F64, "request", true, concurrency, "requests in flight on the worker")                    \
    X(memory_gib, F64, "GiB", false, memory, "memory of one GPU, all parts")                                 \
    X(weights_gib, F64, "GiB", false, weights, "weights on one GPU")                                         \
    X(activations_gib, F64, "GiB", false, activations, "activations on one GPU")                             \
    X(kvcache_gib, F64, "GiB", false, kvcache, "KV cache of the batch on one GPU")                           \
    X(nccl_gib, F64, "GiB", false, nccl, "communication buffers on one GPU")                                 \
    X(others_gib, F64, "GiB", false, others, "runtime and framework on one GPU")                             \
    X(encoder_gib, F64, "GiB", false, encoder_memory,                                                        \
      "the vision encoder's share of weights and activations on one GPU; 0 where it does not run")           \
    X(power_w, F64, "W", false, power,                                                                       \
      "mean power of one GPU; NaN unless measured power covers 90 % of the latency")                         \
    X(measured, F64, "", true, cover[OP_MEASURED],                                                           \
      "share of the latency that was measured at this very shape")                                           \
    X(interpolated, F64, "", true, cover[OP_INTERPOLATED], "share interpolated inside the measured range")   \
    X(extrapolated, F64, "", false, cover[OP_EXTRAPOLATED], "share extrapolated beyond the measured range")  \
    X(empirical, F64, "", false, cover[OP_FORMULA], "share from formulas without a measurement")             \
    X(tier, TIER, "", false, tier,                                                                           \
      "weakest calibration of its estimates: none (nothing was estimated), empirical, xshape, xquant, "      \
      "xprofile, xop")                                                                                       \
    X(carried, CARRIED, "", false, carried,                                                                  \
      "whose rows went in besides those of the version asked for: own (no others), other_version, "          \
      "other_backend, both")

/* Index of each column: the point's own index, deployment columns, point columns. */
typedef enum res_column_id {
    RES_C_point,
#define RES_COLUMN_ENUM(name, ...) RES_C_##name,
    RES_DEPLOYMENT_COLUMNS(RES_COLUMN_ENUM, RES_COLUMN_ENUM, RES_COLUMN_ENUM)
        RES_POINT_COLUMNS(RES_COLUMN_ENUM)
#undef RES_COLUMN_ENUM
            RES_COLUMN_COUNT
} res_column_id;
int res_column_axis(size_t column); /* res_axis of a deployment text column, else -1 */

/* ---- stored layout (layout.c) ------------------------------------------------------------------------ */

typedef enum res_dtype {
    RES_D_U8,
    RES_D_U16,
    RES_D_U32,
    RES_D_U64,
    RES_D_F64,
    RES_D_F64_RUNS, /* the same, where whole values recur: stored as they are, since a shuffle hides that */
    RES_D_F32_RUNS,
    RES_D_STATUS,
    RES_D_SOURCE,
    RES_D_PHASE,
    RES_D_ORIGIN,
    RES_D_TIER,
    RES_D_CARRIED, /* HDF5 enumerations of one byte */
    RES_D_TEXT     /* fixed-length UTF-8; the width is the dataset's */
} res_dtype;
size_t res_width(res_dtype t);         /* bytes per value; 0 for RES_D_TEXT */
size_t res_enum_count(res_dtype t);    /* 0 for types that are not enumerations */
res_dtype res_enum_stored(res_type t); /* of an enumeration */
const char *res_enum_name(res_dtype t, size_t i);

typedef struct res_field {
    const char *name;
    res_dtype type;
    const char *unit, *meaning;
} res_field;

/* A group of datasets with equal row counts. */
typedef struct res_group {
    const char *name;
    size_t chunk; /* rows per HDF5 chunk */
    bool sparse;  /* chunks of zero bytes only are left out of the file */
    bool scale;   /* the first field is the group's dimension scale */
    size_t n_fields;
    const res_field *fields;
} res_group;

typedef enum res_group_id {
    RES_G_POINTS,
    RES_G_BREAKDOWN,
    RES_G_DEPLOYMENTS,
    RES_G_OPS,
    RES_G_REASONS,
    RES_GROUPS
} res_group_id;
enum { RES_STREAMS = 2 }; /* the first two groups are written while points arrive */
/* The group in a file whose breakdown has that precision: types of fields may differ, nothing else. */
const res_group *res_group_in(res_group_id g, res_precision breakdown);
const res_group *res_group_get(res_group_id g); /* the same at f64 */

enum { RES_SPEC_CHUNK = 65536, RES_AXIS_CHUNK = 1024, RES_MAX_FIELDS = 64 };

/* Fields of /points: the columns stand between the deployment and the breakdown. */
enum {
    RES_P_POINT,
    RES_P_DEPLOYMENT,
    RES_P_COLUMNS,
    RES_P_FIRST = RES_P_COLUMNS + RES_COLUMN_COUNT - RES_C_batch,
    RES_P_ROWS
};
static inline size_t res_point_field(size_t column) {
    return column - RES_C_batch + RES_P_COLUMNS;
}

/* Fields of /deployments: its index, its columns (a field's number is its column's), then these. */
enum {
    RES_DEP_BEFORE = RES_C_batch - 1,
#define RES_DEP_ENUM(kind) RES_DEP_##kind##_origin,
    RES_QUANTS(RES_DEP_ENUM)
#undef RES_DEP_ENUM
        RES_DEP_weight_bytes,
    RES_DEP_first_op,
    RES_DEP_op_count,
    RES_DEP_refusal,
    RES_DEP_inputs,
    RES_DEP_FIELDS
};

/* Fields of the smaller groups. */
enum { RES_B_LATENCY, RES_B_ENERGY, RES_B_SOURCE, RES_B_TIER, RES_B_CARRIED };
enum { RES_OP_PHASE, RES_OP_NAME, RES_OP_KIND, RES_OP_REPEAT };
enum { RES_R_STATUS, RES_R_TEXT, RES_R_COUNT, RES_R_EXAMPLE };

/* The axis that values of a field are rows of; -1: they are values. */
int res_field_axis(res_group_id g, size_t field);
const res_group *res_axis_group(res_axis a); /* the one dataset of an axis, as a group of one field */
const char *res_axis_name(res_axis a);
const char *res_axis_meaning(res_axis a);

/* ---- tables in memory (table.c) ---------------------------------------------------------------------- */

/* Rows of a group as columns. */
typedef struct res_table {
    const res_group *group;
    size_t rows, cap;
    uint8_t *data[RES_MAX_FIELDS]; /* per field, cap x width bytes */
    size_t width[RES_MAX_FIELDS];
} res_table;
void res_table_init(res_table *t, const res_group *g, size_t cap, size_t text_width); /* of zeros */
void res_table_take(res_table *t, const res_group *g, size_t cap); /* undefined; of a group without texts */
void res_table_free(res_table *t);
size_t res_table_add(res_table *t); /* makes room for a row and counts it; returns its index */
void res_table_u32(res_table *t, size_t field, size_t row, uint32_t v);
void res_table_u64(res_table *t, size_t field, size_t row, uint64_t v);
void res_table_f64(res_table *t, size_t field, size_t row, double v);
void res_table_u8(res_table *t, size_t field, size_t row, uint8_t v);
uint32_t res_table_get_u32(const res_table *t, size_t field, size_t row);
uint64_t res_table_get_u64(const res_table *t, size_t field, size_t row);
double res_table_get_f64(const res_table *t, size_t field, size_t row);
uint8_t res_table_get_u8(const res_table *t, size_t field, size_t row);

/* ---- codec of one HDF5 chunk (codec.c) --------------------------------------------------------------- */

typedef struct res_codec res_codec;
res_codec *res_codec_new(int level); /* deflate level 0..9; readers give any */
void res_codec_free(res_codec *c);
/* Gives *buffer, of *cap bytes, room for `bytes`; what it held is lost. */
void res_make_room(uint8_t **buffer, size_t *cap, size_t bytes);
/* A chunk as it is stored. */
typedef struct res_coded {
    const uint8_t *bytes;
    size_t size;
    unsigned
        skipped; /* filters that it did not pass, as HDF5's filter mask: RES_SKIP_* of shuffled columns */
} res_coded;
enum { RES_SKIP_SHUFFLE = 1, RES_SKIP_DEFLATE = 2 };
/* Encodes `rows` values, padded with zero bytes to `chunk` rows: shuffled when shuffle, then deflated, as far
 * as that pays. out->bytes are valid until the next call and no longer than data. False when all bytes are
 * zero and sparse: nothing is to be stored. */
bool res_encode(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffle,
                bool sparse, res_coded *out);
/* The digest of the rows that res_encode encoded last where the codec knows it, those of a full chunk of one
 * value; else NULL. Valid until the next call. */
const char *res_codec_digest(const res_codec *c);
/* An encoded chunk that outlives the call: it lies in bytes, a chunk that is stored as it is stays where its
 * data is. size 0 = zeros of a sparse group. Zero-initialise; free bytes. */
typedef struct res_kept {
    res_coded coded;
    uint8_t *bytes;
    size_t cap;
} res_kept;
bool res_encode_kept(res_codec *c, const void *data, size_t rows, size_t width, size_t chunk, bool shuffle,
                     bool sparse, bool zeros,
                     res_kept *out);                 /* as res_encode; zeros: it is known that all are */
void res_keep(const res_coded *from, res_kept *out); /* a copy */
/* Decodes a whole chunk into out (chunk x width bytes). False when the stream is damaged or of another
 * length. */
bool res_decode(res_codec *c, const res_coded *in, size_t width, size_t chunk, bool shuffle, void *out);
bool res_shuffled(res_dtype t); /* is a dataset of this type stored through the shuffle filter? */

/* ---- what a file says of its making (rerun.c) -------------------------------------------------------- */

void res_databases_text(const res_origin *o, aic_buf *out); /* joined by newlines */
enum { RES_OPTIONS_TEXT = 64 };
void res_options_text(const res_writer_options *opt, const res_origin *o, char out[RES_OPTIONS_TEXT]);
/* How many ops of a point a file keeps, as its options say: 0 = all, or none. */
unsigned res_options_top(const char *text);

/* ---- what a writer collects besides points ----------------------------------------------------------- */

/* Texts of the axes in order of first use; id 0 is the empty text. */
typedef struct res_axes {
    aic_intern *of[RES_AXIS_COUNT];
} res_axes;

/* Deployments and their op rows (deployments.c). Deployments whose rows are equal share one run of /ops. */
typedef struct res_deployments {
    res_axes axes;
    res_table table, ops;
    aic_intern *runs;    /* op runs seen, as bytes */
    uint64_t *run_first; /* by run id: first row in ops */
    size_t n_runs, cap_runs;
    aic_intern *hashes;   /* rows_hash of deployments */
    uint64_t *hash_first; /* by its id: first row in ops */
    size_t n_hashes, cap_hashes;
} res_deployments;
void res_deployments_init(res_deployments *d);
void res_deployments_free(res_deployments *d);
void res_deployments_add(res_deployments *d, size_t index, const srv_deployment *dep);
/* Can a point of deployment d have n breakdown rows? None, all of its deployment's in /ops, or, where the
 * encoder does not run, the last ones: those behind the encoder's. */
bool res_rows_fit(const res_table *deployments, const res_table *ops, size_t d, size_t n);
/* Enters n rows of /ops that are there already as a run. */
void res_deployments_run(res_deployments *d, size_t first, size_t n);

/* Distinct (status, text) with counts and first point (reasons.c). */
typedef struct res_reason_list {
    aic_intern *keys; /* status digit, then the text; id = 1 + index */
    size_t n, cap, longest;
    uint64_t *count, *example;
} res_reason_list;
void res_reasons_init(res_reason_list *r);
void res_reasons_free(res_reason_list *r);
/* Counts one point of this reason; returns 1 + its index. */
uint32_t res_reasons_add(res_reason_list *r, srv_status status, const char *text, uint64_t point);
/* Counts `count` points of one reason, the first of them `example`, as another file's list has them. */
uint32_t res_reasons_merge(res_reason_list *r, srv_status status, const char *text, size_t len,
                           uint64_t count, uint64_t example);
void res_reasons_table(const res_reason_list *r, res_table *out); /* caller frees */

/* ---- reading, private -------------------------------------------------------------------------------- */

/* The columns an expression or option names. */
typedef struct res_columns {
    size_t n;
    int *items;
} res_columns;
/* "a, b, c" -> column indices, or an error with the nearest name. what names the option. */
bool res_columns_parse(const char *text, const char *what, res_columns *out, aic_error *err);
void res_columns_add(res_columns *c, int column); /* unless it is there */
void res_columns_free(res_columns *c);

/* A filter over points: compiled where-expression and the columns it reads. */
typedef struct res_filter {
    aic_arena *arena;
    aic_arena *scratch; /* texts made while evaluating; replaced when large */
    aic_expr *expr;     /* NULL = everything passes */
    res_columns columns;
} res_filter;
bool res_filter_init(res_filter *f, const char *where, aic_error *err);
void res_filter_free(res_filter *f);
/* Does point i of the window pass? False with err->code set when the expression fails. An absent number is
 * NaN to a filter, an absent text empty, so that comparisons with it are false instead of errors. */
bool res_filter_pass(res_filter *f, const res_window *w, size_t i, bool *pass, aic_error *err);

/* Numbers and texts of a window without aic_value: absent numbers are NaN, absent texts NULL. */
double res_window_number(const res_window *w, size_t i, int column);
const char *res_window_text(const res_window *w, size_t i, int column);
uint32_t res_window_deployment(const res_window *w, size_t i); /* a column of deployments must be loaded */
srv_status res_window_status(const res_window *w, size_t i);   /* the status column must be loaded */
size_t res_text_count(const res_file *f, int column);          /* distinct texts of a text column */
const char *res_text_at(const res_file *f, int column, size_t id);
uint32_t res_window_text_id(const res_window *w, size_t i, int column);
/* A loaded field of /points as stored, one value per point of the window. */
const void *res_window_field(const res_window *w, size_t field);
/* Latencies of the breakdown rows of point i, which must be loaded, and the place of the first of them in the
 * window; returns their number. */
size_t res_window_span(const res_window *w, size_t i, const double **latency, size_t *first);
/* Do two breakdown rows of loaded windows, by place, rest on the same evidence (source, tier, carried)? */
bool res_windows_agree(const res_window *a, size_t row_a, const res_window *b, size_t row_b);
/* As res_window_rows, with the rows that were left out (latency NaN): one for each op of the point. */
size_t res_window_all_rows(const res_window *w, size_t i, const res_op_row **rows);
size_t res_most_rows(const res_file *f); /* most breakdown rows a point of this file can have */

/* Points and breakdown rows that the commands hold at once. */
enum { RES_WINDOW = 65536, RES_WINDOW_ROWS = 1 << 22 };
/* Points of the next window: fewer when their breakdowns could be large. */
size_t res_window_points(const res_file *f, uint64_t first, uint64_t end, bool breakdown);

/* ---- printing values (print.c) ----------------------------------------------------------------------- */

/* Texts of numbers recur (one weight, many points): a small cache of the shortest forms. */
typedef struct res_numbers res_numbers;
res_numbers *res_numbers_new(void);
void res_numbers_free(res_numbers *n);
void res_number_add(res_numbers *n, aic_buf *b, double v); /* shortest round-trip; nothing when not finite */
void res_json_value(res_numbers *n, aic_buf *b, const aic_value *v);
void res_csv_value(res_numbers *n, aic_buf *b, const aic_value *v); /* null: nothing */
/* Writes and empties the buffer once it is large, or always when `all`. */
bool res_flush(aic_buf *b, bool all, FILE *out, aic_error *err);

/* What the figures of a file's points rest on: counts by `carried` and by `tier`, one line for each that
 * occurs.
 */
bool res_report_basis(res_file *f, aic_buf *out, aic_error *err);

typedef enum res_format { RES_TABLE, RES_CSV, RES_JSONL } res_format;
bool res_format_parse(const char *text, bool table_allowed, res_format *out, aic_error *err);

/* A matrix of values by row, for people: columns aligned, at most six significant digits. `constant`: columns
 * with one value in all rows stand in one line above the others. */
void res_print_table(aic_buf *b, const res_columns *columns, const aic_value *values, size_t rows,
                     bool constant);

/* ---- choosing points (select.c, pareto.c) ------------------------------------------------------------ */

/* A candidate: larger is better in all of key, x and y; among equals the earlier point. */
typedef struct res_pick {
    uint64_t point;
    double key, x, y;
} res_pick;
int res_pick_order(const void *a, const void *b); /* best key first, then point order */
int res_pick_point(const void *a, const void *b); /* point order */

/* The non-dominated candidates in (x, y). Candidates gather behind the settled front and are merged into it
 * in bulk. */
typedef struct res_front {
    res_pick *items; /* settled ones first: x falls, y rises */
    size_t n, cap, settled;
    uint64_t first; /* the first point that was a candidate */
} res_front;
void res_front_add(res_front *f, const res_pick *p);
void res_front_settle(res_front *f);

/* Candidates by group, in order of the groups' first points. A group of a Pareto selection is a front, one of
 * a ranking a heap with its worst on top (a plain list when top is 0). */
typedef struct res_selection {
    bool pareto;
    size_t top;       /* rows per group, 0 = all; a front is cut to it in the end */
    aic_intern *keys; /* group keys as bytes */
    res_front *groups;
    size_t n, cap;
} res_selection;
void res_selection_init(res_selection *s, bool pareto, size_t top);
void res_selection_free(res_selection *s);
/* The group of a key, for res_selection_add: keys of one selection are of one length, or empty. */
uint32_t res_selection_group(res_selection *s, const void *key, size_t bytes);
/* Candidates may come in any order, each once. */
void res_selection_add(res_selection *s, uint32_t group, const res_pick *p);
/* Adds what another selection has kept of candidates of its own. */
void res_selection_merge(res_selection *into, const res_selection *from, size_t key_bytes);
/* Groups in order of their first points, each in its final order, cut to top. */
void res_selection_finish(res_selection *s);

#endif
