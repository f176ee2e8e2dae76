/* What is known of columns and tables by their names: cell kinds, roles, units. */
#include "perfdb/rows.h"
#include <string.h>

/* ---- columns ---------------------------------------------------------------------------------- */

/* In the order in which collectors write them. A column that is not listed is taken for what its cells look
 * like; its name says whether it was measured (MEASURED_ENDS). */
#define PROVENANCE(X) X(framework) X(version) X(device)
#define TEXT_KEYS(X)                                                                                         \
    X(op_name)                                                                                               \
    X(kernel_source)                                                                                         \
    X(model)                                                                                                 \
    X(model_name)                                                                                            \
    X(architecture)                                                                                          \
    X(phase)                                                                                                 \
    X(allreduce_dtype)                                                                                       \
    X(attn_dtype)                                                                                            \
    X(bmm_dtype)                                                                                             \
    X(comm_dtype)                                                                                            \
    X(gemm_dtype)                                                                                            \
    X(gemm_type)                                                                                             \
    X(kernel_dtype)                                                                                          \
    X(kv_cache_dtype)                                                                                        \
    X(mla_dtype)                                                                                             \
    X(moe_dtype)                                                                                             \
    X(moe_kernel)                                                                                            \
    X(nccl_dtype)                                                                                            \
    X(quant_dtype)                                                                                           \
    X(quant_type)                                                                                            \
    X(backend)                                                                                               \
    X(comm_backend)                                                                                          \
    X(implementation)                                                                                        \
    X(buffer_policy)                                                                                         \
    X(distribution)                                                                                          \
    X(pre_dispatch)                                                                                          \
    X(score_mode)                                                                                            \
    X(simulation_mode)                                                                                       \
    X(source_policy)
#define INT_KEYS(X)                                                                                          \
    X(batch_size)                                                                                            \
    X(isl)                                                                                                   \
    X(seq_len)                                                                                               \
    X(step)                                                                                                  \
    X(num_token)                                                                                             \
    X(num_tokens)                                                                                            \
    X(global_num_tokens)                                                                                     \
    X(dp_num_tokens)                                                                                         \
    X(rank0_num_tokens)                                                                                      \
    X(num_max_tokens_per_rank)                                                                               \
    X(effective_num_max_tokens_per_rank)                                                                     \
    X(m)                                                                                                     \
    X(n)                                                                                                     \
    X(k)                                                                                                     \
    X(num_heads)                                                                                             \
    X(local_num_heads)                                                                                       \
    X(num_key_value_heads)                                                                                   \
    X(num_k_heads)                                                                                           \
    X(num_v_heads)                                                                                           \
    X(nheads)                                                                                                \
    X(head_dim)                                                                                              \
    X(head_k_dim)                                                                                            \
    X(head_v_dim)                                                                                            \
    X(window_size)                                                                                           \
    X(beam_width)                                                                                            \
    X(compress_ratio)                                                                                        \
    X(hidden_size)                                                                                           \
    X(inter_size)                                                                                            \
    X(intermediate_size)                                                                                     \
    X(d_conv)                                                                                                \
    X(d_model)                                                                                               \
    X(d_state)                                                                                               \
    X(n_groups)                                                                                              \
    X(chunk_size)                                                                                            \
    X(hc_mult)                                                                                               \
    X(num_sites)                                                                                             \
    X(sinkhorn_iters)                                                                                        \
    X(topk)                                                                                                  \
    X(num_topk)                                                                                              \
    X(num_experts)                                                                                           \
    X(num_fused_shared_experts)                                                                              \
    X(num_slots)                                                                                             \
    X(tp_size)                                                                                               \
    X(moe_tp_size)                                                                                           \
    X(moe_ep_size)                                                                                           \
    X(ep_size)                                                                                               \
    X(num_gpus)                                                                                              \
    X(node_num)                                                                                              \
    X(message_size)                                                                                          \
    X(sms)                                                                                                   \
    X(combine_sms)                                                                                           \
    X(dispatch_sms)
#define BOOL_KEYS(X) X(includes_buffer_init) X(includes_gate_topk) X(includes_routed_scale) X(used_cuda_graph)
#define REAL_KEYS(X) X(routed_scaling_factor)
#define VALUES(X)    X(latency) X(power) X(power_limit)

#define TEXT_FACT(n)       {#n, PDB_CELL_TEXT, false, PDB_ROLE_KEY},
#define PROVENANCE_FACT(n) {#n, PDB_CELL_TEXT, false, PDB_ROLE_PROVENANCE},
#define INT_FACT(n)        {#n, PDB_CELL_INT, false, PDB_ROLE_KEY},
#define BOOL_FACT(n)       {#n, PDB_CELL_INT, true, PDB_ROLE_KEY},
#define REAL_FACT(n)       {#n, PDB_CELL_REAL, false, PDB_ROLE_KEY},
#define VALUE_FACT(n)      {#n, PDB_CELL_REAL, false, PDB_ROLE_VALUE},

static const pdb_column_fact columns[] = {PROVENANCE(PROVENANCE_FACT) TEXT_KEYS(TEXT_FACT) INT_KEYS(INT_FACT)
                                              BOOL_KEYS(BOOL_FACT) REAL_KEYS(REAL_FACT) VALUES(VALUE_FACT)};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* Ends of the names of measured columns: such a column holds doubles, whatever its cells look like. */
static const struct {
    const char *end;
    pdb_unit unit;
} measured_ends[] = {{"_ms", PDB_UNIT_MS}, {"_us", PDB_UNIT_US}, {"_gbps", PDB_UNIT_NONE}};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int known(const char *name) {
    for (int i = 0; i < N_COLUMNS; i++)
        if (strcmp(columns[i].name, name) == 0)
            return i;
    return -1;
}

const pdb_column_fact *pdb_column_fact_find(const char *name) {
    static const pdb_column_fact measured = {"", PDB_CELL_REAL, false, PDB_ROLE_VALUE};
    int at = known(name);
    if (at >= 0)
        return &columns[at];
    for (size_t i = 0; i < sizeof measured_ends / sizeof *measured_ends; i++)
        if (ends_with(name, measured_ends[i].end))
            return &measured;
    return NULL;
}

int pdb_column_place(const char *name) {
    int at = known(name);
    if (at >= 0 && columns[at].role != PDB_ROLE_VALUE)
        return at;
    if (at >= 0)
        return N_COLUMNS + 2 + at;
    return pdb_column_fact_find(name) ? N_COLUMNS + 1 : N_COLUMNS;
}

pdb_role pdb_column_role(const char *name, pdb_cell_kind kind) {
    const pdb_column_fact *f = pdb_column_fact_find(name);
    if (f)
        return f->role;
    return kind == PDB_CELL_REAL ? PDB_ROLE_VALUE : PDB_ROLE_KEY;
}

pdb_unit pdb_column_unit(const char *table, const char *name) {
    if (strcmp(name, "latency") == 0) /* milliseconds, with one exception */
        return strcmp(table, "moe_a2a_perf") == 0 ? PDB_UNIT_US : PDB_UNIT_MS;
    for (size_t i = 0; i < sizeof measured_ends / sizeof *measured_ends; i++)
        if (ends_with(name, measured_ends[i].end))
            return measured_ends[i].unit;
    return PDB_UNIT_NONE;
}

/* ---- tables ----------------------------------------------------------------------------------- */

bool pdb_table_is_difference(const char *table) {
    return strcmp(table, "computescale_perf") == 0;
}
