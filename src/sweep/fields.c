/* The fields of a point: name, type, limits and place of each, and how a text sets one. */
#include "sweep/internal.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef enum field_type {
    F_MODE,
    F_TEXT,
    F_DATABASE_MODE,
    F_U32,
    F_F64,
    F_FLAG,
    F_QUANT,
    F_CHOICE,
    F_DISTRIBUTION,
    F_UNUSED
} field_type;

typedef struct field {
    swp_field shown;
    field_type type;
    size_t offset;   /* into swp_row; unused by F_UNUSED */
    double min, max; /* F_U32, F_F64, F_UNUSED: what can exist */
    unsigned kind;   /* F_QUANT: PDB_GEMM ...; F_CHOICE: of choices */
} field;

/* Texts of which one is chosen. */
enum { ATTENTION_BACKENDS, MOE_BACKENDS };
static const char *const choices[][7] = {
    [ATTENTION_BACKENDS] = {"default", "fa3", "triton", "trtllm_mha", "flashinfer", "fla", NULL},
    [MOE_BACKENDS] = {"megamoe", "deepep_moe", NULL},
};

#define AT(member) offsetof(swp_row, member)
#define U32_MAX    4294967295.0

static const field fields[] = {
    {{"mode", "MODE", "static", "serving mode: static, static_ctx or static_gen"},
     F_MODE,
     AT(request.mode),
     0,
     0,
     0},
    {{"model", "ID", NULL, "model of the catalogue, or a folder with a config.json"},
     F_TEXT,
     AT(request.model),
     0,
     0,
     0},
    {{"system", "NAME", NULL, "GPU system, h200_sxm for example"}, F_TEXT, AT(request.system), 0, 0, 0},
    {{"backend", "NAME", "trtllm", "serving framework: trtllm, sglang or vllm"},
     F_TEXT,
     AT(request.backend),
     0,
     0,
     0},
    {{"version", "NAME", "", "release of the framework, or current, previous, next; latest when empty"},
     F_TEXT,
     AT(request.version),
     0,
     0,
     0},
    {{"database_mode", "MODE", "SILICON",
      "how ops are priced: SILICON (measured), HYBRID (estimated where nothing is measured), EMPIRICAL "
      "(estimated) or SOL (speed of light)"},
     F_DATABASE_MODE,
     AT(request.database_mode),
     0,
     0,
     0},
    {{"transfer_policy", "NAME", "",
      "what estimates may be calibrated from besides the op's own rows: " OP_POLICY_NAMES
      ", several joined by commas; all when empty"},
     F_TEXT,
     AT(request.transfer_policy),
     0,
     0,
     0},
    {{"tp", "N", "1", "tensor parallel size"}, F_U32, AT(request.par.tp), 1, SWP_MAX_PARALLEL, 0},
    {{"pp", "N", "1", "pipeline parallel size"}, F_U32, AT(request.par.pp), 1, SWP_MAX_PARALLEL, 0},
    {{"dp", "N", "1", "attention data parallel size"}, F_U32, AT(request.par.dp), 1, SWP_MAX_PARALLEL, 0},
    {{"moe_tp", "N", "", "tensor parallel size of the experts"},
     F_U32,
     AT(request.par.moe_tp),
     1,
     SWP_MAX_PARALLEL,
     0},
    {{"moe_ep", "N", "", "expert parallel size"}, F_U32, AT(request.par.moe_ep), 1, SWP_MAX_PARALLEL, 0},
    {{"cp", "N", "1", "context parallel size: ranks that share a prefill"},
     F_U32,
     AT(request.par.cp),
     1,
     SWP_MAX_PARALLEL,
     0},
    {{"batch", "N", "128", "requests per attention data parallel rank"},
     F_U32,
     AT(load.batch),
     1,
     U32_MAX,
     0},
    {{"isl", "N", "1024", "input tokens per request, prefix included"}, F_U32, AT(load.isl), 1, U32_MAX, 0},
    {{"osl", "N", "1024", "output tokens per request"}, F_U32, AT(load.osl), 0, U32_MAX, 0},
    {{"prefix", "N", "0", "input tokens already in the KV cache"}, F_U32, AT(load.prefix), 0, U32_MAX, 0},
    {{"images", "N", "1",
      "images per request of a multimodal model, once image_height and image_width or image_tokens "
      "give their size"},
     F_U32,
     AT(load.images.count),
     0,
     U32_MAX,
     0},
    {{"image_height", "N", "0", "height of an image, pixels"},
     F_U32,
     AT(load.images.height),
     0,
     SRV_MAX_SIDE - 1,
     0},
    {{"image_width", "N", "0", "width of an image, pixels"},
     F_U32,
     AT(load.images.width),
     0,
     SRV_MAX_SIDE - 1,
     0},
    {{"image_tokens", "N", "0", "tokens of an image, in place of its height and width"},
     F_U32,
     AT(load.images.tokens),
     0,
     U32_MAX,
     0},
    {{"nextn", "N", "0", "draft tokens of multi-token prediction"},
     F_U32,
     AT(request.nextn),
     0,
     SWP_MAX_NEXTN,
     0},
    {{"nextn_accepted", "X", "", "draft tokens accepted per step; needed when nextn > 0"},
     F_F64,
     AT(request.nextn_accepted),
     0,
     SWP_MAX_NEXTN,
     0},
    {{"ctx_tokens", "N", "", "context tokens of a mixed step; static modes do not use it"},
     F_UNUSED,
     0,
     1,
     U32_MAX,
     0},
    {{"gemm_quant", "MODE", "auto", "quantisation of GEMMs"},
     F_QUANT,
     AT(request.quants.gemm),
     0,
     0,
     PDB_GEMM},
    {{"moe_quant", "MODE", "auto", "quantisation of experts"},
     F_QUANT,
     AT(request.quants.moe),
     0,
     0,
     PDB_MOE},
    {{"kvcache_quant", "MODE", "auto", "type of the KV cache"},
     F_QUANT,
     AT(request.quants.kvcache),
     0,
     0,
     PDB_KV},
    {{"fmha_quant", "MODE", "auto", "type of attention arithmetic"},
     F_QUANT,
     AT(request.quants.fmha),
     0,
     0,
     PDB_FMHA},
    {{"comm_quant", "MODE", "auto", "type of communicated activations"},
     F_QUANT,
     AT(request.quants.comm),
     0,
     0,
     PDB_COMM},
    {{"free_gpu_memory_fraction", "X", "",
      "share of memory for the KV cache; recorded, static modes use the backend's own"},
     F_F64,
     AT(request.free_gpu_memory_fraction),
     0,
     1,
     0},
    {{"max_seq_len", "N", "", "longest sequence the server admits; recorded, static modes use isl + osl"},
     F_U32,
     AT(request.max_seq_len),
     1,
     U32_MAX,
     0},
    {{"attention_backend", "NAME", "", "attention kernels; the framework's default when empty"},
     F_CHOICE,
     AT(request.options.attention_backend),
     0,
     0,
     ATTENTION_BACKENDS},
    {{"moe_backend", "NAME", "", "expert kernels; the framework's default when empty"},
     F_CHOICE,
     AT(request.options.moe_backend),
     0,
     0,
     MOE_BACKENDS},
    {{"distribution", "NAME", "power_law",
      "load of the experts: power_law (with each model's exponent), power_law_1.2 and the like, uniform or "
      "balanced"},
     F_DISTRIBUTION,
     AT(request.options.distribution),
     0,
     0,
     0},
    {{"eplb", "0|1", "0", "experts across nodes are balanced over the ranks"},
     F_FLAG,
     AT(request.options.eplb),
     0,
     0,
     0},
    {{"slots", "N", "", "expert slots across nodes, redundant ones included; one per expert when empty"},
     F_U32,
     AT(request.options.slots),
     1,
     U32_MAX,
     0},
    {{"sms", "N", "20", "SMs that exchanges across nodes may use"},
     F_U32,
     AT(request.options.sms),
     1,
     SWP_MAX_PARALLEL,
     0},
    {{"override_layers", "N", "", "layers in place of the config's"},
     F_U32,
     AT(request.options.layers),
     1,
     SWP_MAX_LAYERS,
     0},
    {{"encoder_tp", "0|1", "0",
      "tp splits the vision encoder instead of each rank encoding its share of the images"},
     F_FLAG,
     AT(request.options.encoder_tp),
     0,
     0,
     0},
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

size_t swp_field_count(void) {
    return N_FIELDS;
}

const swp_field *swp_field_at(size_t i) {
    return &fields[i].shown;
}

int swp_field_find(const char *name) {
    for (int i = 0; i < N_FIELDS; i++)
        if (strcmp(fields[i].shown.name, name) == 0)
            return i;
    return -1;
}

static swp_row defaults;
static pthread_once_t defaults_once = PTHREAD_ONCE_INIT;

static void read_defaults(void) {
    srv_request_init(&defaults.request);
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].shown.def && *fields[i].shown.def && fields[i].type != F_QUANT)
            swp_row_set(&defaults, i, fields[i].shown.def, NULL);
}

/* A sweep asks for a row per deployment, so the texts of the defaults are read once. */
void swp_row_init(swp_row *row) {
    pthread_once(&defaults_once, read_defaults);
    *row = defaults;
}

static void refuse(swp_row *row, const field *f, const char *text, const char *expected) {
    if (!*row->refused)
        snprintf(row->refused, sizeof row->refused, "%s is \"%.40s\": expected %s", f->shown.name, text,
                 expected);
}

static void refuse_number(swp_row *row, const field *f, const char *text, bool integer) {
    char expected[96];
    snprintf(expected, sizeof expected, "%s from %.0f to %.0f", integer ? "an integer" : "a number", f->min,
             f->max);
    refuse(row, f, text, expected);
}

static bool number(swp_row *row, const field *f, const char *text, aic_error *err) {
    double value;
    int64_t whole;
    bool integer = f->type != F_F64;
    if (!aic_parse_f64(text, &value))
        return aic_fail(err, AIC_BAD_INPUT, "%s: expected a number, found \"%.60s\"", f->shown.name, text);
    if (!(value >= f->min && value <= f->max) || (integer && !aic_parse_i64(text, &whole)))
        refuse_number(row, f, text, integer);
    else if (f->type == F_U32)
        *(uint32_t *)((char *)row + f->offset) = (uint32_t)value;
    else if (f->type == F_F64)
        *(double *)((char *)row + f->offset) = value;
    return true;
}

static bool chosen(unsigned kind, const char *text) {
    size_t i = 0;
    while (choices[kind][i] && strcmp(choices[kind][i], text) != 0)
        i++;
    return choices[kind][i] != NULL;
}

static const char *choice_names(unsigned kind, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; choices[kind][i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", choices[kind][i]);
    return out;
}

/* A name no table has would be answered by the rows of another load. */
static bool is_distribution(const char *text) {
    static const char law[] = "power_law";
    size_t n = sizeof law - 1;
    if (strncmp(text, law, n) == 0)
        return text[n] == '\0' || (text[n] == '_' && text[n + 1]);
    return strcmp(text, "uniform") == 0 || strcmp(text, "balanced") == 0;
}

/* 1, 0, or -1 when the text is no such value. */
static int flag_of(const char *text) {
    if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
        return 1;
    return strcmp(text, "0") == 0 || strcmp(text, "false") == 0 ? 0 : -1;
}

bool swp_row_set(swp_row *row, size_t i, const char *text, aic_error *err) {
    const field *f = &fields[i];
    void *at = (char *)row + f->offset;
    char names[160];
    if (!*text)
        return true;
    switch (f->type) {
    case F_TEXT:
        *(const char **)at = text;
        return true;
    case F_MODE:
        if (!srv_mode_parse(text, at))
            refuse(row, f, text, swp_mode_names(names, sizeof names));
        return true;
    case F_DATABASE_MODE:
        if (!op_mode_parse(text, at))
            refuse(row, f, text, swp_database_mode_names(names, sizeof names));
        return true;
    case F_CHOICE:
        if (chosen(f->kind, text))
            *(const char **)at = text;
        else
            refuse(row, f, text, choice_names(f->kind, names, sizeof names));
        return true;
    case F_DISTRIBUTION:
        if (is_distribution(text))
            *(const char **)at = text;
        else
            refuse(row, f, text, "power_law, power_law_EXPONENT, uniform, balanced");
        return true;
    case F_FLAG:
        if (flag_of(text) >= 0)
            *(uint32_t *)at = (uint32_t)flag_of(text);
        else
            refuse(row, f, text, "0 or 1");
        return true;
    case F_QUANT: {
        pdb_quant q = strcmp(text, "auto") == 0 ? PDB_Q_UNSET : pdb_quant_parse(text, f->kind);
        if (q == PDB_Q_UNSET && strcmp(text, "auto") != 0)
            refuse(row, f, text, pdb_quant_names(f->kind));
        else
            *(pdb_quant *)at = q;
        return true;
    }
    default:
        return number(row, f, text, err);
    }
}

bool swp_row_set_node(swp_row *row, size_t i, const aic_node *value, aic_error *err) {
    const field *f = &fields[i];
    void *at = (char *)row + f->offset;
    const char *text;
    bool on;
    if (f->type == F_U32)
        return aic_node_u32(value, f->shown.name, (uint32_t)f->min, (uint32_t)f->max, at, err);
    if (f->type == F_FLAG) {
        bool ok = aic_node_bool(value, f->shown.name, &on, err);
        *(uint32_t *)at = ok && on;
        return ok;
    }
    if (!aic_node_text(value, f->shown.name, &text, err) || !swp_row_set(row, i, text, err))
        return false;
    return !*row->refused || aic_node_fail(err, value, "%s", row->refused);
}

static const char *quant_text(pdb_quant q) {
    return q == PDB_Q_UNSET ? "auto" : pdb_quant_get(q)->name;
}

aic_value swp_row_value(const swp_row *row, size_t i) {
    const field *f = &fields[i];
    const void *at = (const char *)row + f->offset;
    switch (f->type) {
    case F_TEXT:
    case F_CHOICE:
    case F_DISTRIBUTION:
        return aic_str(*(const char *const *)at ? *(const char *const *)at : "");
    case F_MODE:
        return aic_str(srv_mode_name(*(const srv_mode *)at));
    case F_DATABASE_MODE:
        return aic_str(op_mode_name(*(const op_mode *)at));
    case F_QUANT:
        return aic_str(quant_text(*(const pdb_quant *)at));
    case F_U32:
    case F_FLAG:
        return aic_int(*(const uint32_t *)at);
    case F_F64:
        return isnan(*(const double *)at) ? AIC_NULL_VALUE : aic_real(*(const double *)at);
    case F_UNUSED:
        break;
    }
    return AIC_NULL_VALUE;
}

static const char *list_names(char *out, size_t size, const char *(*name)(int), int n) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", name(i));
    return out;
}

static const char *mode_at(int i) {
    return srv_mode_name((srv_mode)i);
}

static const char *database_mode_at(int i) {
    return op_mode_name((op_mode)i);
}

const char *swp_mode_names(char *out, size_t size) {
    return list_names(out, size, mode_at, SRV_MODE_COUNT);
}

const char *swp_database_mode_names(char *out, size_t size) {
    return list_names(out, size, database_mode_at, OP_MODE_COUNT);
}
