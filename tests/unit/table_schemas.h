/* Schemas of measured tables as collected (nothing clamped, no lanes), for comparing whole tables with the
 * reference. `attr` is the reference's name of the merged table; its key parts are the categories, then the
 * axes. */
#ifndef AICFG_TESTS_TABLE_SCHEMAS_H
#define AICFG_TESTS_TABLE_SCHEMAS_H

#include "perfdb/perfdb.h"
#include <string.h>

#define TEXT(name)                                                                                           \
    { .column = name, .text = true }
#define MAYBE(name)                                                                                          \
    { .column = name, .text = true, .optional = true }
#define INT(name)                                                                                            \
    { .column = name }
#define MAYBE_INT(name)                                                                                      \
    { .column = name, .optional = true }
#define SUM(name, other)                                                                                     \
    { .column = name, .plus = other }

static bool has(const pdb_view *v, uint64_t id, const char *part) {
    return strstr(pdb_text(v, id), part) != NULL;
}

static bool is(const pdb_view *v, uint64_t id, const char *text) {
    return strcmp(pdb_text(v, id), text) == 0;
}

/* Attention: grouped heads are a category, 0 when every head has its own. */
static bool admit_context(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)v;
    (void)s;
    if (r->cat[2] == r->axis[0])
        r->cat[2] = 0;
    return true;
}

static bool admit_generation(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)v;
    (void)s;
    if (r->cat[1] == r->axis[0])
        r->cat[1] = 0;
    return true;
}

static const pdb_schema gemm = {.table = "gemm_perf",
                                .n_cats = 1,
                                .cats = {TEXT("gemm_dtype")},
                                .n_axes = 3,
                                .axes = {INT("m"), INT("n"), INT("k")},
                                .sites = true};
static const pdb_schema compute_scale = {.table = "computescale_perf",
                                         .n_cats = 1,
                                         .cats = {TEXT("quant_dtype")},
                                         .n_axes = 2,
                                         .axes = {INT("m"), INT("k")}};
static const pdb_schema scale_matrix = {.table = "scale_matrix_perf",
                                        .n_cats = 1,
                                        .cats = {TEXT("quant_dtype")},
                                        .n_axes = 2,
                                        .axes = {INT("m"), INT("k")}};
static const pdb_schema context_attention = {.table = "context_attention_perf",
                                             .n_cats = 5,
                                             .cats = {TEXT("attn_dtype"), TEXT("kv_cache_dtype"),
                                                      INT("num_key_value_heads"), INT("head_dim"),
                                                      MAYBE_INT("window_size")},
                                             .n_axes = 3,
                                             .axes = {INT("num_heads"), INT("isl"), INT("batch_size")},
                                             .admit = admit_context,
                                             .n_admit_axes = 1};
static const pdb_schema generation_attention = {
    .table = "generation_attention_perf",
    .n_cats = 4,
    .cats = {TEXT("kv_cache_dtype"), INT("num_key_value_heads"), INT("head_dim"), MAYBE_INT("window_size")},
    .n_axes = 3,
    .axes = {INT("num_heads"), INT("batch_size"), SUM("isl", "step")},
    .admit = admit_generation,
    .n_admit_axes = 1};
static const pdb_schema encoder_attention = {.table = "encoder_attention_perf",
                                             .n_cats = 2,
                                             .cats = {TEXT("attn_dtype"), INT("head_dim")},
                                             .n_axes = 3,
                                             .axes = {INT("num_heads"), INT("isl"), INT("batch_size")}};
static const pdb_schema context_mla = {.table = "context_mla_perf",
                                       .n_cats = 2,
                                       .cats = {TEXT("mla_dtype"), TEXT("kv_cache_dtype")},
                                       .n_axes = 3,
                                       .axes = {INT("num_heads"), INT("isl"), INT("batch_size")}};
static const pdb_schema generation_mla = {.table = "generation_mla_perf",
                                          .n_cats = 1,
                                          .cats = {TEXT("kv_cache_dtype")},
                                          .n_axes = 3,
                                          .axes = {INT("num_heads"), INT("batch_size"), SUM("isl", "step")}};
static const pdb_schema mla_bmm = {.table = "mla_bmm_perf",
                                   .n_cats = 3,
                                   .cats = {TEXT("bmm_dtype"), TEXT("op_name"), INT("num_heads")},
                                   .n_axes = 1,
                                   .axes = {INT("num_tokens")}};

/* MLA modules: the model's own head count is a category; a model nobody pinned spoils the table. */
static bool admit_native(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    int native = s->n_cats - 2, model = s->n_cats - 1;
    bool kimi = is(v, r->cat[model], "moonshotai/Kimi-K3");
    if (!kimi && !has(v, r->cat[model], "deepseek-ai/DeepSeek-V3") &&
        !has(v, r->cat[model], "deepseek-ai/DeepSeek-R1") &&
        !is(v, r->cat[model], "nvidia/DeepSeek-V3.1-NVFP4"))
        r->fault = "a model of unknown head count";
    r->cat[native] = kimi ? 96 : 128;
    return true;
}

static const pdb_schema mla_context_module = {.table = "mla_context_module_perf",
                                              .n_cats = 5,
                                              .n_extra = 1,
                                              .cats = {TEXT("mla_dtype"), TEXT("kv_cache_dtype"),
                                                       TEXT("gemm_type"), MAYBE_INT("native"), TEXT("model")},
                                              .n_axes = 3,
                                              .axes = {INT("num_heads"), INT("isl"), INT("batch_size")},
                                              .admit = admit_native};
static const pdb_schema mla_generation_module = {
    .table = "mla_generation_module_perf",
    .n_cats = 4,
    .n_extra = 1,
    .cats = {TEXT("kv_cache_dtype"), TEXT("gemm_type"), MAYBE_INT("native"), TEXT("model")},
    .n_axes = 3,
    .axes = {INT("num_heads"), INT("batch_size"), SUM("isl", "step")},
    .admit = admit_native};

static const pdb_schema wideep_context_mla = {
    .table = "wideep_context_mla_perf",
    .n_cats = 3,
    .cats = {MAYBE("kernel_source"), TEXT("mla_dtype"), TEXT("kv_cache_dtype")},
    .n_axes = 3,
    .axes = {INT("num_heads"), INT("isl"), INT("batch_size")}};
static const pdb_schema wideep_generation_mla = {
    .table = "wideep_generation_mla_perf",
    .n_cats = 2,
    .cats = {MAYBE("kernel_source"), TEXT("kv_cache_dtype")},
    .n_axes = 3,
    .axes = {INT("num_heads"), INT("batch_size"), SUM("isl", "step")}};

/* MoE: kernels of one backend split into a default and a low-latency table; two dtypes are told apart by
 * kernel. */
static const pdb_schema moe_low_latency;

static bool admit_moe(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    uint64_t kernel = r->cat[8];
    if (is(v, kernel, "sglang_mxfp4_flashinfer_trtllm_moe") && is(v, r->cat[0], "w4a8_mxfp4_mxfp8"))
        r->cat[0] = pdb_text_add(v, "w4a8_mxfp4_mxfp8_trtllm");
    if (is(v, kernel, "sglang_flashinfer_cutlass_moe") && is(v, r->cat[0], "w4a16_mxfp4"))
        r->cat[0] = pdb_text_add(v, "w4a16_mxfp4_cutlass");
    return is(v, kernel, "moe_torch_flow_min_latency") == (s == &moe_low_latency);
}

#define MOE_CATS                                                                                             \
    TEXT("moe_dtype"), TEXT("distribution"), INT("topk"), INT("num_experts"), INT("hidden_size"),            \
        INT("inter_size"), INT("moe_tp_size"), INT("moe_ep_size")
static const pdb_schema moe = {.table = "moe_perf",
                               .n_cats = 9,
                               .n_extra = 1,
                               .cats = {MOE_CATS, MAYBE("kernel_source")},
                               .n_axes = 1,
                               .axes = {INT("num_tokens")},
                               .admit = admit_moe};
static const pdb_schema moe_low_latency = {.table = "moe_perf",
                                           .n_cats = 9,
                                           .n_extra = 1,
                                           .cats = {MOE_CATS, MAYBE("kernel_source")},
                                           .n_axes = 1,
                                           .axes = {INT("num_tokens")},
                                           .admit = admit_moe};
static const pdb_schema wideep_context_moe = {.table = "wideep_context_moe_perf",
                                              .n_cats = 8,
                                              .cats = {MOE_CATS},
                                              .n_axes = 1,
                                              .axes = {INT("num_tokens")}};
static const pdb_schema wideep_generation_moe = {.table = "wideep_generation_moe_perf",
                                                 .n_cats = 8,
                                                 .cats = {MOE_CATS},
                                                 .n_axes = 1,
                                                 .axes = {INT("num_tokens")}};
static const pdb_schema wideep_moe = {
    .table = "wideep_moe_perf",
    .n_cats = 10,
    .cats = {MAYBE("kernel_source"), TEXT("moe_dtype"), TEXT("distribution"), INT("topk"), INT("num_experts"),
             INT("hidden_size"), INT("inter_size"), INT("num_slots"), INT("moe_tp_size"), INT("moe_ep_size")},
    .n_axes = 1,
    .axes = {INT("num_tokens")}};

/* Communication. */
static bool admit_allreduce(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)s;
    r->cat[0] = pdb_text_add(v, "half");
    r->cat[2] = pdb_text_add(v, "AUTO");
    for (int i = 3; i < 5 && strcmp(v->system->name, "b60") != 0; i++) {
        const char *text = pdb_text(v, r->cat[i]);
        size_t len = strlen(text);
        if (len >= 6 && strcmp(text + len - 6, "_eager") == 0)
            return false;
    }
    return true;
}

static const pdb_schema custom_allreduce = {.table = "custom_allreduce_perf",
                                            .n_cats = 5,
                                            .n_extra = 2,
                                            .cats = {MAYBE("stored as"), INT("num_gpus"), MAYBE("strategy"),
                                                     MAYBE("kernel_source"), MAYBE("backend")},
                                            .n_axes = 1,
                                            .axes = {INT("message_size")},
                                            .wide_axis = true,
                                            .admit = admit_allreduce};
static const pdb_schema nccl = {.table = "nccl_perf",
                                .n_cats = 3,
                                .cats = {TEXT("nccl_dtype"), TEXT("op_name"), INT("num_gpus")},
                                .n_axes = 1,
                                .axes = {INT("message_size")},
                                .wide_axis = true};
static const pdb_schema oneccl = {.table = "oneccl_perf",
                                  .n_cats = 3,
                                  .cats = {TEXT("nccl_dtype"), TEXT("op_name"), INT("num_gpus")},
                                  .n_axes = 1,
                                  .axes = {INT("message_size")},
                                  .wide_axis = true};
static const pdb_schema deepep_ll = {
    .table = "wideep_deepep_ll_perf",
    .n_cats = 4,
    .cats = {INT("node_num"), INT("hidden_size"), INT("num_topk"), INT("num_experts")},
    .n_axes = 1,
    .axes = {INT("num_token")},
    .value = {"combine_avg_t_us", "dispatch_avg_t_us"}};
static const pdb_schema deepep_normal = {
    .table = "wideep_deepep_normal_perf",
    .n_cats = 5,
    .cats = {INT("node_num"), INT("hidden_size"), INT("num_topk"), INT("num_experts"), INT("dispatch_sms")},
    .n_axes = 1,
    .axes = {INT("num_token")},
    .value = {"dispatch_transmit_us", "dispatch_notify_us", "combine_transmit_us", "combine_notify_us"}};

static bool admit_alltoall(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    (void)s;
    if (!r->cat[0])
        r->cat[0] = pdb_text_add(v, "NVLinkTwoSided");
    if (!r->cat[3])
        r->cat[3] = r->cat[7] / 4 > 1 ? r->cat[7] / 4 : 1;
    return true;
}

static const pdb_schema alltoall = {.table = "trtllm_alltoall_perf",
                                    .n_cats = 8,
                                    .cats = {MAYBE("kernel_source"), TEXT("op_name"), TEXT("moe_dtype"),
                                             MAYBE_INT("num_nodes"), INT("hidden_size"), INT("topk"),
                                             INT("num_experts"), INT("moe_ep_size")},
                                    .n_axes = 1,
                                    .axes = {INT("num_tokens")},
                                    .admit = admit_alltoall};

/* Sparse attention modules: some rows belong to both buckets, so that each bucket is a table of its own. */
static const pdb_schema dsa[8];

static bool trtllm_bucket(const pdb_view *v, uint64_t kernel) {
    static const char *const flashmla[] = {"sglang_dsa_indexer_flashmla_sparse",
                                           "sglang_dsa_skip_indexer_flashmla_sparse"};
    return !is(v, kernel, flashmla[0]) && !is(v, kernel, flashmla[1]) && has(v, kernel, "trtllm");
}

static bool admit_dsa(const pdb_view *v, const pdb_schema *s, pdb_row *r) {
    size_t which = (size_t)(s - dsa); /* bit 0: bucket flashmla_kv, bit 1: skip table, bit 2: generation */
    int bucket = s->n_cats - 3, op_name = s->n_cats - 2, kernel = s->n_cats - 1, kv = which & 4 ? 0 : 1;
    bool flashmla = which & 1;
    if (has(v, r->cat[op_name], "skip_indexer") != ((which & 2) != 0))
        return false;
    bool both = is(v, r->cat[kv], "bfloat16") || is(v, r->cat[kernel], "sglang_dsa_dense_mha_trtllm_ragged");
    r->cat[bucket] = pdb_text_add(v, flashmla ? "flashmla_kv" : "trtllm");
    return both || trtllm_bucket(v, r->cat[kernel]) != flashmla;
}

#define DSA_CONTEXT                                                                                          \
    {                                                                                                        \
        .table = "dsa_context_module_perf", .n_cats = 7, .n_extra = 2, .n_axes = 4, .admit = admit_dsa,      \
        .last_in_source = true,                                                                              \
        .cats = {TEXT("mla_dtype"), TEXT("kv_cache_dtype"), TEXT("gemm_type"),    TEXT("architecture"),      \
                 MAYBE("bucket"),   TEXT("op_name"),        TEXT("kernel_source")},                          \
        .axes = {                                                                                            \
            INT("num_heads"),                                                                                \
            INT("step"),                                                                                     \
            INT("isl"),                                                                                      \
            INT("batch_size")                                                                                \
        }                                                                                                    \
    }
#define DSA_GENERATION                                                                                       \
    {                                                                                                        \
        .table = "dsa_generation_module_perf", .n_cats = 6, .n_extra = 2, .n_axes = 3, .admit = admit_dsa,   \
        .last_in_source = true, .cats = {TEXT("kv_cache_dtype"), TEXT("gemm_type"), TEXT("architecture"),    \
                                         MAYBE("bucket"),        TEXT("op_name"),   TEXT("kernel_source")},  \
        .axes = {                                                                                            \
            INT("num_heads"),                                                                                \
            INT("batch_size"),                                                                               \
            SUM("isl", "step")                                                                               \
        }                                                                                                    \
    }
static const pdb_schema dsa[8] = {DSA_CONTEXT,    DSA_CONTEXT,    DSA_CONTEXT,    DSA_CONTEXT,
                                  DSA_GENERATION, DSA_GENERATION, DSA_GENERATION, DSA_GENERATION};

static const pdb_schema mhc = {.table = "mhc_module_perf",
                               .n_cats = 3,
                               .cats = {TEXT("op_name"), INT("hc_mult"), INT("hidden_size")},
                               .n_axes = 1,
                               .axes = {INT("num_tokens")}};
static const pdb_schema paged_mqa = {.table = "dsv4_paged_mqa_logits_module_perf",
                                     .n_cats = 2,
                                     .cats = {INT("num_heads"), INT("tp_size")},
                                     .n_axes = 3,
                                     .axes = {INT("step"), INT("isl"), INT("batch_size")}};

typedef struct merged {
    const char *attr;
    const pdb_schema *parts[2];
} merged;

static const merged merged_tables[] = {
    {"_gemm_data", {&gemm}},
    {"_compute_scale_data", {&compute_scale}},
    {"_scale_matrix_data", {&scale_matrix}},
    {"_context_attention_data", {&context_attention}},
    {"_generation_attention_data", {&generation_attention}},
    {"_encoder_attention_data", {&encoder_attention}},
    {"_context_mla_data", {&context_mla}},
    {"_generation_mla_data", {&generation_mla}},
    {"_mla_bmm_data", {&mla_bmm}},
    {"_context_mla_module_data", {&mla_context_module}},
    {"_generation_mla_module_data", {&mla_generation_module}},
    {"_wideep_context_mla_data", {&wideep_context_mla}},
    {"_wideep_generation_mla_data", {&wideep_generation_mla}},
    {"_moe_data", {&moe}},
    {"_moe_low_latency_data", {&moe_low_latency}},
    {"_wideep_context_moe_data", {&wideep_context_moe}},
    {"_wideep_generation_moe_data", {&wideep_generation_moe}},
    {"_wideep_moe_compute_data", {&wideep_moe}},
    {"_custom_allreduce_data", {&custom_allreduce}},
    {"_nccl_data", {&nccl}},
    {"_oneccl_data", {&oneccl}},
    {"_wideep_deepep_ll_data", {&deepep_ll}},
    {"_wideep_deepep_normal_data", {&deepep_normal}},
    {"_trtllm_alltoall_data", {&alltoall}},
    {"_context_dsa_module_data", {&dsa[0], &dsa[1]}},
    {"_context_dsa_module_skip_data", {&dsa[2], &dsa[3]}},
    {"_generation_dsa_module_data", {&dsa[4], &dsa[5]}},
    {"_generation_dsa_module_skip_data", {&dsa[6], &dsa[7]}},
    {"_mhc_module_data", {&mhc}},
    {"_dsv4_sparse_kernel_data.paged_mqa_logits", {&paged_mqa}},
};

#endif
