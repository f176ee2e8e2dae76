/* Attention tables: schemas, speed of light, choice of the slice. */
#include "ops/attention_internal.h"

#include <string.h>

/* ---- speed of light ------------------------------------------------------------------------------------ */

attention_times attention_context_sol(const attention_sol *a, double heads, double kv_heads, double s,
                                      double prefix, double batch) {
    double full = s + prefix, fresh = full - prefix, h = a->head_size, w = a->window;
    double ops = w > 0.0 && full > w ? 2.0 * batch * fresh * w * heads * h * 2.0
                                     : 2.0 * batch * (full * full - prefix * prefix) * heads * h * 2.0 / 2.0;
    double bytes = 2.0 * batch * (heads * fresh * h + heads * fresh * h) +
                   a->kv_bytes * batch * (2.0 * kv_heads * full * h);
    return (attention_times){ops / a->flops * 1000.0, bytes / a->mem_bw * 1000.0};
}

attention_times attention_generation_sol(const attention_sol *a, double heads, double kv_heads, double batch,
                                         double s) {
    double h = a->head_size, len = s - 1.0;
    if (a->window > 0.0 && a->window < len)
        len = a->window;
    double ops = 2.0 * batch * heads * h * 2.0 * len;
    double bytes = batch * (heads * h * 2.0 + 2.0 * kv_heads * len * h * a->kv_bytes + heads * h * 2.0);
    return (attention_times){ops / a->flops * 1000.0, bytes / a->mem_bw * 1000.0};
}

static double kv_heads_of(const attention_sol *a, double heads) {
    return a->kv_key == 0.0 ? heads : a->kv_key;
}

double attention_context_table_sol(const void *sol, const double *c) {
    attention_times t = attention_context_sol(sol, c[0], kv_heads_of(sol, c[0]), c[1], 0.0, c[2]);
    return op_max(t.math, t.mem);
}

double attention_generation_table_sol(const void *sol, const double *c) {
    attention_times t = attention_generation_sol(sol, c[0], kv_heads_of(sol, c[0]), c[1], c[2]);
    return op_max(t.math, t.mem);
}

pdb_quant attention_decode_mode(const pdb_system *sys, pdb_quant kv) {
    return kv == PDB_Q_fp8 && sys->sm_version >= 89 ? PDB_Q_fp8 : PDB_Q_bfloat16;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

uint32_t attention_kv_key(uint32_t heads, uint32_t kv_heads) {
    return heads == kv_heads ? 0 : kv_heads;
}

/* An empty lane and the lane "default" are one; as many KV heads as heads is KV-head key 0. */
static bool admit(const pdb_view *view, const pdb_schema *schema, pdb_row *row) {
    const int kv_heads = schema->n_cats - 3;
    if (strcmp(pdb_text(view, row->cat[ATTENTION_LANE]), "default") == 0)
        row->cat[ATTENTION_LANE] = 0;
    if (row->cat[kv_heads] == row->axis[0])
        row->cat[kv_heads] = 0;
    return true;
}

enum { GEN_KV = 1, GEN_KV_HEADS, GEN_HEAD, GEN_WINDOW };

/* Decode rows never beat the speed of light. */
static bool generation_floor(const pdb_view *view, const uint64_t *cat, size_t n, const uint64_t *axis,
                             double *least) {
    const pdb_system *sys = view->system;
    pdb_quant kv = pdb_quant_parse(pdb_text(view, cat[GEN_KV]), PDB_KV);
    if (kv == PDB_Q_UNSET)
        return false;
    attention_sol a = {.kv_key = (double)cat[GEN_KV_HEADS],
                       .head_size = (double)cat[GEN_HEAD],
                       .window = (double)cat[GEN_WINDOW],
                       .kv_bytes = pdb_quant_get(kv)->bytes,
                       .flops = pdb_flops(sys, attention_decode_mode(sys, kv)),
                       .mem_bw = sys->mem_bw};
    for (size_t i = 0; a.flops > 0.0 && i < n; i++, axis += 3)
        least[i] =
            attention_generation_table_sol(&a, (double[]){(double)axis[0], (double)axis[1], (double)axis[2]});
    return a.flops > 0.0;
}

#define LANE                                                                                                 \
    { .column = "kernel_source", .text = true, .optional = true }
#define KV_DTYPE                                                                                             \
    { .column = "kv_cache_dtype", .text = true }
#define KV_HEADS                                                                                             \
    { .column = "num_key_value_heads" }
#define HEAD_DIM                                                                                             \
    { .column = "head_dim" }
#define WINDOW_SIZE                                                                                          \
    { .column = "window_size", .optional = true }

const pdb_schema attention_context_schema = {
    .table = "context_attention_perf",
    .cats = {LANE, {.column = "attn_dtype", .text = true}, KV_DTYPE, KV_HEADS, HEAD_DIM, WINDOW_SIZE},
    .n_cats = 6,
    .axes = {{.column = "num_heads"}, {.column = "isl"}, {.column = "batch_size"}},
    .n_axes = 3,
    .admit = admit,
    .n_admit_axes = 1};

const pdb_schema attention_generation_schema = {
    .table = "generation_attention_perf",
    .cats = {LANE, KV_DTYPE, KV_HEADS, HEAD_DIM, WINDOW_SIZE},
    .n_cats = 5,
    .axes = {{.column = "num_heads"}, {.column = "batch_size"}, {.column = "isl", .plus = "step"}},
    .n_axes = 3,
    .admit = admit,
    .n_admit_axes = 1,
    .floor = generation_floor};

/* ---- the slice that answers ---------------------------------------------------------------------------- */

static const pdb_slice *in_named_lanes(const pdb_table *t, const pdb_view *view, const op_texts *order,
                                       op_key *key) {
    for (size_t i = 0; i < order->count; i++) {
        bool is_default = strcmp(order->items[i], "default") == 0;
        uint64_t lane = is_default ? 0 : pdb_text_id(view, order->items[i]);
        if (lane == 0 && !is_default)
            continue; /* a lane no table has */
        key->value[ATTENTION_LANE] = lane;
        const pdb_slice *s = pdb_slice_find(t, key->value);
        if (s)
            return s;
    }
    return NULL;
}

/* Lanes in the order met: that of their first slices, not that of the slices with this key. */
static const pdb_slice *in_any_lane(const pdb_table *t, op_key *key) {
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        uint64_t lane = pdb_slice_at(t, i)->cat[ATTENTION_LANE];
        if (i && lane == key->value[ATTENTION_LANE])
            continue; /* just tried */
        key->value[ATTENTION_LANE] = lane;
        const pdb_slice *s = pdb_slice_find(t, key->value);
        if (s)
            return s;
    }
    return NULL;
}

const pdb_slice *attention_find_slice(const pdb_view *view, const pdb_table *t, const op_texts *lane_order,
                                      op_key *key) {
    const pdb_slice *s = in_named_lanes(t, view, lane_order, key);
    return s ? s : in_any_lane(t, key);
}

const pdb_slice *attention_slice(op_binder *binder, op_bound *b, const pdb_schema *schema, const pdb_table *t,
                                 const op_texts *lane_order, op_key *key) {
    const pdb_slice *s = attention_find_slice(b->view, t, lane_order, key);
    if (!s) {
        op_refusal why;
        op_refuse_key(&why, b, schema, t, key, ATTENTION_LANE + 1, ATTENTION_PAGE);
        op_bind_refuse(binder, b, &why);
    }
    return s;
}
