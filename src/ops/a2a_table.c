/* Exchanges of large expert parallelism: one table merged from four files (docs/model/moe_large_ep.md). */
#include "ops/alltoall_internal.h"
#include "ops/large_ep_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table and its files --------------------------------------------------------------------------- */

#define COLUMNS                                                                                              \
    .cats = {{.column = "comm_backend", .text = true},                                                       \
             {.column = "phase", .text = true},                                                              \
             {.column = "comm_dtype", .text = true},                                                         \
             {.column = "ep_size"},                                                                          \
             {.column = "node_num"},                                                                         \
             {.column = "hidden_size"},                                                                      \
             {.column = "topk"},                                                                             \
             {.column = "num_experts"}},                                                                     \
    .n_cats = 8, .axes = {{.column = "sms", .optional = true}, {.column = "num_tokens"}}, .n_axes = 2

const pdb_schema a2a_schema = {.table = "the merged all-to-all table", COLUMNS};
static const pdb_schema own_file = {.table = "moe_a2a_perf", COLUMNS}; /* microseconds */

/* DeepEP's own benchmarks, microseconds; the low-latency kernels have no SM budget. */
enum { DEEPEP_NODES, DEEPEP_HIDDEN, DEEPEP_TOPK, DEEPEP_EXPERTS };
#define DEEPEP(name, sms, ...)                                                                               \
    {                                                                                                        \
        .table = (name),                                                                                     \
        .cats = {{.column = "node_num"},                                                                     \
                 {.column = "hidden_size"},                                                                  \
                 {.column = "num_topk"},                                                                     \
                 {.column = "num_experts"}},                                                                 \
        .n_cats = 4, .axes = {sms, {.column = "num_token"}}, .n_axes = 2, .value = {                         \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define BUDGET                                                                                               \
    { .column = "dispatch_sms" }
#define NO_BUDGET                                                                                            \
    { .column = "sms", .optional = true }
static const pdb_schema normal_dispatch =
    DEEPEP("wideep_deepep_normal_perf", BUDGET, "dispatch_transmit_us", "dispatch_notify_us");
static const pdb_schema normal_combine =
    DEEPEP("wideep_deepep_normal_perf", BUDGET, "combine_transmit_us", "combine_notify_us");
static const pdb_schema low_latency_dispatch =
    DEEPEP("wideep_deepep_ll_perf", NO_BUDGET, "dispatch_avg_t_us");
static const pdb_schema low_latency_combine = DEEPEP("wideep_deepep_ll_perf", NO_BUDGET, "combine_avg_t_us");

/* ---- merging ------------------------------------------------------------------------------------------- */

/* A file while it is read into the table. */
typedef struct feed {
    const pdb_view *view;
    pdb_gather *to;
    const char **versions; /* of the sources of all files, repeated */
    size_t n_versions, cap_versions;
    const pdb_schema *file;
    const pdb_source *source; /* of the row before */
    uint32_t rank;            /* of its rows */
} feed;

/* The version asked for comes first, then older ones, newest first; within a version the file that carries
 * the table's own columns. */
static uint32_t rank_of(const feed *f, const pdb_source *s) {
    uint32_t tier = 0;
    if (s->channel != PDB_PRIMARY) {
        tier = 1;
        for (size_t i = 0; i < f->n_versions; i++)
            tier += pdb_version_compare(f->versions[i], s->version) > 0;
    }
    return 2 * tier + (f->file == &own_file ? 0 : 1);
}

static bool add(feed *f, const pdb_row *from, pdb_row *row) {
    if (from->source != f->source) {
        f->source = from->source;
        f->rank = rank_of(f, f->source);
    }
    row->power = 0.0; /* exchanges have no energy */
    pdb_gather_add(f->to, row, f->rank);
    return true;
}

static bool add_own(void *feed_, pdb_row *from) {
    pdb_row row = *from;
    row.latency /= 1000.0;
    return add(feed_, from, &row);
}

enum { DEEPEP_GPUS = 8 }; /* per node, on every system */

static bool add_deepep(void *feed_, pdb_row *from) {
    feed *f = feed_;
    bool normal = f->file == &normal_dispatch || f->file == &normal_combine;
    bool dispatch = f->file == &normal_dispatch || f->file == &low_latency_dispatch;
    pdb_row row = *from;
    row.cat[A2A_BACKEND] = pdb_text_add(f->view, normal ? "deepep_ht" : "deepep_ll");
    row.cat[A2A_PHASE] = pdb_text_add(f->view, dispatch ? "dispatch" : "combine");
    row.cat[A2A_DTYPE] = pdb_text_add(f->view, "default");
    row.cat[A2A_EP] = from->cat[DEEPEP_NODES] * DEEPEP_GPUS;
    row.cat[A2A_NODES] = from->cat[DEEPEP_NODES];
    row.cat[A2A_HIDDEN] = from->cat[DEEPEP_HIDDEN];
    row.cat[A2A_TOPK] = from->cat[DEEPEP_TOPK];
    row.cat[A2A_EXPERTS] = from->cat[DEEPEP_EXPERTS];
    row.latency /= 1000.0;
    return add(f, from, &row);
}

/* TRT-LLM's NVLink kernels: milliseconds. */
static const struct {
    const char *kernel, *backend;
} nvlink_kernels[] = {
    {"NVLinkTwoSided", "nvlink_two_sided"}, {"NVLinkOneSided", "nvlink_one_sided"}, {"", "nvlink_two_sided"}};
static const struct {
    const char *operation, *phase, *dtype; /* dtype NULL: the row's own */
} nvlink_operations[] = {{"alltoall_prepare", "prepare", NULL},
                         {"alltoall_dispatch", "dispatch", NULL},
                         {"alltoall_combine", "combine", NULL},
                         {"alltoall_combine_low_precision", "combine", "fp4"}};

static bool add_nvlink(void *feed_, pdb_row *from) {
    feed *f = feed_;
    const char *kernel = pdb_text(f->view, from->cat[ALLTOALL_KERNEL]),
               *operation = pdb_text(f->view, from->cat[ALLTOALL_OPERATION]);
    size_t k = 0, o = 0;
    while (k < OP_COUNT(nvlink_kernels) && strcmp(nvlink_kernels[k].kernel, kernel) != 0)
        k++;
    while (o < OP_COUNT(nvlink_operations) && strcmp(nvlink_operations[o].operation, operation) != 0)
        o++;
    if (k == OP_COUNT(nvlink_kernels) || o == OP_COUNT(nvlink_operations))
        return true;
    const char *dtype = nvlink_operations[o].dtype;
    pdb_row row = {.latency = from->latency, .from = from->from, .axis = {0, from->axis[0]}};
    row.cat[A2A_BACKEND] = pdb_text_add(f->view, nvlink_kernels[k].backend);
    row.cat[A2A_PHASE] = pdb_text_add(f->view, nvlink_operations[o].phase);
    row.cat[A2A_DTYPE] = dtype ? pdb_text_add(f->view, dtype) : from->cat[ALLTOALL_DTYPE];
    row.cat[A2A_EP] = from->cat[ALLTOALL_EP];
    row.cat[A2A_NODES] = from->cat[ALLTOALL_NODES];
    row.cat[A2A_HIDDEN] = from->cat[ALLTOALL_HIDDEN];
    row.cat[A2A_TOPK] = from->cat[ALLTOALL_TOPK];
    row.cat[A2A_EXPERTS] = from->cat[ALLTOALL_EXPERTS];
    return add(f, from, &row);
}

/* ---- the files ----------------------------------------------------------------------------------------- */

#define FILES(X)                                                                                             \
    X(normal_dispatch, add_deepep)                                                                           \
    X(normal_combine, add_deepep)                                                                            \
    X(low_latency_dispatch, add_deepep)                                                                      \
    X(low_latency_combine, add_deepep)                                                                       \
    X(alltoall_schema, add_nvlink)                                                                           \
    X(own_file, add_own)

const pdb_schema *const a2a_files[] = {
#define FILE_SCHEMA(schema, reader) &schema,
    FILES(FILE_SCHEMA)
#undef FILE_SCHEMA
        NULL};

static bool (*const readers[])(void *feed, pdb_row *row) = {
#define FILE_READER(schema, reader) reader,
    FILES(FILE_READER)
#undef FILE_READER
};

static void list_versions(feed *f, const pdb_schema *file) {
    const pdb_source *list;
    size_t n = pdb_sources(f->view, file->table, &list);
    for (size_t i = 0; i < n; i++) {
        AIC_GROW(f->versions, f->n_versions, f->cap_versions);
        f->versions[f->n_versions++] = list[i].version;
    }
}

static const void *merge(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    feed f = {.view = view, .to = pdb_gather_new(view, identity)};
    bool ok = true;
    for (int i = 0; a2a_files[i]; i++)
        list_versions(&f, a2a_files[i]);
    for (int i = 0; ok && a2a_files[i]; i++) {
        f.file = a2a_files[i];
        f.source = NULL;
        ok = pdb_scan(view, f.file, readers[i], &f, why);
    }
    free(f.versions);
    const pdb_table *t = pdb_gather_finish(f.to, ok ? a : NULL);
    if (ok && !t)
        *why =
            aic_arena_printf(a, "no measured all-to-all: none of %s, %s, %s and %s has rows for %s %s on %s",
                             own_file.table, normal_dispatch.table, low_latency_dispatch.table,
                             alltoall_schema.table, view->backend, view->version, view->system->name);
    return t;
}

const pdb_table *a2a_table(const pdb_view *view, const char **why) {
    return pdb_derived(view, &a2a_schema, merge, why);
}
