/* Speed of light of a model's ops at real coordinates, for tables of whole passes (docs/model/fpm.md).
 *
 * Not the SOL of the ops themselves: token counts are reals, bandwidth is raw, and FLOPS go by a mode's
 * compute factor. Figures are read by wire name once; a term is then one function of the coordinates.
 */
#include "ops/fpm_sol.h"

#include <math.h>
#include <string.h>

typedef struct terms {
    size_t count;
    fpm_term *items;
} terms;

struct fpm_roofline {
    terms all;
    const char *gap;
};

/* ---- reading figures ----------------------------------------------------------------------------------- */

static const void *member(const op *o, const char *name, op_ftype *type) {
    for (size_t i = 0; i < o->desc->n_fields; i++)
        if (strcmp(o->desc->fields[i].name, name) == 0) {
            *type = o->desc->fields[i].type;
            return op_member(o, &o->desc->fields[i]);
        }
    return NULL;
}

double fpm_number(const fpm_maker *m, const char *name) {
    op_ftype type;
    const void *at = member(m->o, name, &type);
    if (at && type == OP_F_U32)
        return *(const uint32_t *)at;
    if (at && type == OP_F_F64)
        return *(const double *)at;
    if (at && type == OP_F_BOOL)
        return *(const bool *)at;
    return NAN;
}

const char *fpm_text(const fpm_maker *m, const char *name) {
    for (size_t i = 0; i < m->o->desc->n_fields; i++) {
        const op_field *f = &m->o->desc->fields[i];
        const void *at = op_member(m->o, f);
        if (strcmp(f->name, name) == 0)
            return f->type == OP_F_CHOICE ? f->choices[*(const int *)at] : *(const char *const *)at;
    }
    return "";
}

pdb_quant fpm_mode(const fpm_maker *m, const char *name) {
    op_ftype type;
    const void *at = member(m->o, name, &type);
    return at && type == OP_F_QUANT ? *(const pdb_quant *)at : PDB_Q_bfloat16;
}

/* FLOP/s by compute factor; a sheet without the entry gives that of bfloat16 times the factor. */
static double lenient_flops(const pdb_system *sys, int factor) {
    double own = factor == 2   ? sys->tc_flops[PDB_FP8]
                 : factor == 4 ? sys->tc_flops[PDB_FP4]
                               : sys->tc_flops[PDB_BFLOAT16];
    return own > 0.0 ? own : sys->tc_flops[PDB_BFLOAT16] * factor;
}

void *fpm_figures(fpm_maker *m, size_t size, fpm_price price) {
    void *f = aic_arena_alloc(m->arena, 1, size);
    m->t->figures = f;
    m->t->price = price;
    return f;
}

/* ---- Gemm, Embedding, Elementwise ---------------------------------------------------------------------- */

typedef struct gemm_figures {
    double n, k, scale, split, bytes, flops;
} gemm_figures;

static double gemm_price(const fpm_term *t, const fpm_coordinates *at) {
    const gemm_figures *g = t->figures;
    double m = ceil(floor(at->x / g->scale) / g->split);
    double math = 2.0 * m * g->n * g->k / g->flops,
           mem = g->bytes * (m * g->n + m * g->k + g->n * g->k) / t->sys->mem_bw;
    return op_max(math, mem) * 1000.0;
}

static void make_gemm(fpm_maker *m) {
    gemm_figures *g = fpm_figures(m, sizeof *g, gemm_price);
    const pdb_quant_info *q = pdb_quant_get(fpm_mode(m, "quant_mode"));
    *g = (gemm_figures){fpm_number(m, "n"),
                        fpm_number(m, "k"),
                        fpm_at_least_1(fpm_number(m, "scale_num_tokens")),
                        fpm_at_least_1(fpm_number(m, "seq_split")),
                        q->bytes,
                        lenient_flops(m->sys, q->compute)};
}

/* Bytes per token of a share of the tokens. */
typedef struct bytes_figures {
    double per_token, scale, split, bw;
} bytes_figures;

static double bytes_price(const fpm_term *t, const fpm_coordinates *at) {
    const bytes_figures *f = t->figures;
    return f->per_token * ceil(floor(at->x / f->scale) / f->split) / f->bw * 1000.0;
}

static double hidden_price(const fpm_term *t, const fpm_coordinates *at) {
    const bytes_figures *f = t->figures;
    return ceil(at->x / f->split) * f->per_token * 2.0 / f->bw * 1000.0;
}

static void make_embedding(fpm_maker *m) {
    bytes_figures *f = fpm_figures(m, sizeof *f, hidden_price);
    *f = (bytes_figures){fpm_number(m, "hidden_size"), 1.0, fpm_at_least_1(fpm_number(m, "seq_split")),
                         m->sys->mem_bw};
}

static void make_elementwise(fpm_maker *m) {
    bytes_figures *f = fpm_figures(m, sizeof *f, bytes_price);
    *f = (bytes_figures){fpm_number(m, "bytes_per_token"), fpm_at_least_1(fpm_number(m, "scale_num_tokens")),
                         fpm_at_least_1(fpm_number(m, "seq_split")), m->sys->mem_bw};
}

/* ---- attention ----------------------------------------------------------------------------------------- */

typedef struct attention_figures {
    double heads, kv_heads, size, window, kv_bytes, fmha_bytes;
    double speed; /* times the FLOPS of bfloat16 */
    double cp;
    bool qk_norm;
} attention_figures;

static double chunk_price(const fpm_term *t, double batch, double s, double prefix) {
    const attention_figures *a = t->figures;
    double full = s + prefix, ops;
    if (a->window > 0.0 && full > a->window)
        ops = 2.0 * batch * s * a->window * a->heads * a->size * 2.0;
    else
        ops = 2.0 * batch * (full * full - prefix * prefix) * a->heads * a->size * 2.0 / 2.0;
    double bytes = 2.0 * batch * (2.0 * a->heads * s * a->size) +
                   a->kv_bytes * batch * 2.0 * a->kv_heads * full * a->size;
    return op_max(ops / t->sys->tc_flops[PDB_BFLOAT16] * 1000.0 / a->speed, bytes / t->sys->mem_bw * 1000.0);
}

/* The kernels around attention, by the bytes of one token. */
static double extras_price(const fpm_term *t) {
    const attention_figures *a = t->figures;
    double q = a->heads * a->size, k = a->kv_heads * a->size, bw = t->sys->mem_bw, sum = 0.0;
    if (a->qk_norm)
        sum += 2.0 * (2.0 * (2.0 * q / bw * 1000.0) + 2.0 * (2.0 * k / bw * 1000.0));
    sum += 2.0 * ((2.0 * q + 2.0 * k) / bw * 1000.0);
    return sum + 2.0 * (k * a->fmha_bytes / bw * 1000.0);
}

static double context_price(const fpm_term *t, const fpm_coordinates *at) {
    const attention_figures *a = t->figures;
    double ms;
    if (a->cp > 1.0) { /* the first and the last of 2 x cp chunks */
        double chunk = fpm_at_least_1(ceil(at->s / (2.0 * a->cp)));
        ms = chunk_price(t, at->batch, chunk, at->prefix) +
             chunk_price(t, at->batch, chunk, at->prefix + at->s - chunk);
    } else {
        ms = chunk_price(t, at->batch, at->s, at->prefix);
    }
    return ms + 1.1 * extras_price(t);
}

static double decode_price(const fpm_term *t, const fpm_coordinates *at) {
    const attention_figures *a = t->figures;
    double len = at->s - 1.0;
    if (a->window > 0.0 && a->window < len)
        len = a->window;
    double ops = 2.0 * at->batch * a->heads * a->size * 2.0 * len;
    double bytes = at->batch * (4.0 * a->heads * a->size + 2.0 * a->kv_heads * len * a->size * a->kv_bytes);
    return op_max(ops / t->sys->tc_flops[PDB_BFLOAT16] * 1000.0 / a->speed, bytes / t->sys->mem_bw * 1000.0);
}

static attention_figures *attention(fpm_maker *m, fpm_price price) {
    attention_figures *a = fpm_figures(m, sizeof *a, price);
    pdb_quant kv = fpm_mode(m, "kv_cache_dtype");
    *a = (attention_figures){.heads = fpm_number(m, "n"),
                             .kv_heads = fpm_number(m, "n_kv"),
                             .size = fpm_number(m, "head_size"),
                             .window = fpm_number(m, "window_size"),
                             .kv_bytes = pdb_quant_get(kv)->bytes,
                             .speed = kv == PDB_Q_fp8 ? 2.0 : 1.0};
    return a;
}

static void make_context(fpm_maker *m) {
    attention_figures *a = attention(m, context_price);
    const pdb_quant_info *fmha = pdb_quant_get(fpm_mode(m, "fmha_quant_mode"));
    a->fmha_bytes = fmha->bytes;
    a->speed = fmha->compute;
    a->cp = fpm_number(m, "cp_size");
    a->qk_norm = fpm_number(m, "use_qk_norm") != 0.0;
}

static void make_decode(fpm_maker *m) {
    attention(m, decode_price);
}

/* ---- Moe ----------------------------------------------------------------------------------------------- */

typedef struct moe_figures {
    double hidden, inter, topk, experts, tp, ep, gates, pool, bytes, flops;
} moe_figures;

static double moe_price(const fpm_term *t, const fpm_coordinates *at) {
    const moe_figures *f = t->figures;
    double routed = at->x * f->pool * f->topk, local = floor(routed / f->ep),
           active = floor(f->experts / f->ep);
    active = active < local ? active : local;
    double ops = floor(floor(routed * f->hidden * f->inter * f->gates * 2.0 / f->ep) / f->tp);
    double bytes = f->bytes * (local * f->hidden * 2.0 + floor(local * f->inter * f->gates / f->tp) +
                               floor(f->hidden * f->inter * f->gates / f->tp) * active);
    return op_max(ops / f->flops, bytes / t->sys->mem_bw) * 1000.0;
}

static void make_moe(fpm_maker *m) {
    moe_figures *f = fpm_figures(m, sizeof *f, moe_price);
    const pdb_quant_info *q = pdb_quant_get(fpm_mode(m, "quant_mode"));
    *f = (moe_figures){.hidden = fpm_number(m, "hidden_size"),
                       .inter = fpm_number(m, "inter_size"),
                       .topk = fpm_number(m, "topk"),
                       .experts = fpm_number(m, "num_experts"),
                       .tp = fpm_at_least_1(fpm_number(m, "moe_tp_size")),
                       .ep = fpm_at_least_1(fpm_number(m, "moe_ep_size")),
                       .gates = fpm_number(m, "is_gated") != 0.0 ? 3.0 : 2.0,
                       .pool = fpm_at_least_1(fpm_number(m, "attention_dp_size")),
                       .bytes = q->bytes,
                       .flops = m->sys->tc_flops[PDB_BFLOAT16] * q->compute};
}

/* ---- Overlap, Fallback --------------------------------------------------------------------------------- */

static terms make_terms(fpm_maker *m, const op_list *list);

static double sum(const terms *all, const fpm_coordinates *at) {
    double ms = 0.0;
    for (size_t i = 0; i < all->count; i++)
        ms += all->items[i].repeat * all->items[i].price(&all->items[i], at);
    return ms;
}

typedef struct two_groups {
    terms a, b;
} two_groups;

static double overlap_price(const fpm_term *t, const fpm_coordinates *at) {
    const two_groups *g = t->figures;
    return op_max(sum(&g->a, at), sum(&g->b, at));
}

static double first_price(const fpm_term *t, const fpm_coordinates *at) {
    const two_groups *g = t->figures;
    return sum(&g->a, at);
}

static const op_list *list_of(const op *o, const char *name) {
    op_ftype type;
    return member(o, name, &type);
}

static void make_overlap(fpm_maker *m) {
    const op *o = m->o;
    two_groups *g = fpm_figures(m, sizeof *g, overlap_price);
    g->a = make_terms(m, list_of(o, "group_a"));
    g->b = make_terms(m, list_of(o, "group_b"));
}

/* The primary where it has a price, else what stands in for it. */
static void make_fallback(fpm_maker *m) {
    const op *o = m->o;
    const char *gap = m->gap;
    op_ftype type;
    op *const *primary = member(o, "primary", &type);
    two_groups *g = fpm_figures(m, sizeof *g, first_price);
    op_list one = {1, (op *[]){*primary}};
    g->a = make_terms(m, &one);
    if (m->gap != gap) {
        m->gap = gap;
        g->a = make_terms(m, list_of(o, "fallback"));
    }
}

/* ---- the whole list ------------------------------------------------------------------------------------ */

static const struct {
    const char *kind;
    void (*make)(fpm_maker *m); /* leaves the price unset when there is none */
} kinds[] = {
    {"Gemm", make_gemm},
    {"Embedding", make_embedding},
    {"Elementwise", make_elementwise},
    {"ContextAttention", make_context},
    {"GenerationAttention", make_decode},
    {"Moe", make_moe},
    {"MoeDispatch", fpm_make_dispatch},
    {"CustomAllReduce", fpm_make_allreduce},
    {"Nccl", fpm_make_nccl},
    {"P2P", fpm_make_p2p},
    {"Overlap", make_overlap},
    {"Fallback", make_fallback},
};

static double no_price(const fpm_term *t, const fpm_coordinates *at) {
    (void)t;
    (void)at;
    return NAN;
}

static void make_term(const fpm_maker *outer, const op *o, fpm_term *t, const char **gap) {
    fpm_maker m = {outer->arena, outer->sys, o, t, outer->gap};
    *t = (fpm_term){.repeat = o->repeat, .logits = op_is_logits(o), .sys = m.sys};
    for (size_t i = 0; i < OP_COUNT(kinds); i++)
        if (strcmp(kinds[i].kind, o->desc->kind) == 0)
            kinds[i].make(&m);
    if (!t->price) {
        t->price = no_price;
        m.gap = m.gap ? m.gap : o->name;
    }
    *gap = m.gap;
}

static terms make_terms(fpm_maker *m, const op_list *list) {
    terms all = {list->count, aic_arena_alloc(m->arena, list->count, sizeof *all.items)};
    for (size_t i = 0; i < list->count; i++)
        make_term(m, list->items[i], &all.items[i], &m->gap);
    return all;
}

const fpm_roofline *fpm_roofline_make(aic_arena *a, const pdb_system *sys, const op_list *sol_ops) {
    fpm_roofline *r = aic_arena_alloc(a, 1, sizeof *r);
    fpm_maker m = {.arena = a, .sys = sys};
    r->all = make_terms(&m, sol_ops);
    r->gap = m.gap;
    return r;
}

const char *fpm_roofline_gap(const fpm_roofline *r) {
    return r->gap;
}

double fpm_roofline_ms(const fpm_roofline *r, fpm_phase phase, const double at[FPM_AXES]) {
    double batch = at[FPM_BATCH], prefill = at[FPM_TOTAL_PREFILL], kv = at[FPM_TOTAL_KV], ms = 0.0;
    fpm_coordinates tokens = {batch, batch, fpm_at_least_1(kv / batch), 0.0}, logits;
    if (phase == FPM_PREFILL)
        tokens = (fpm_coordinates){prefill, batch, fpm_at_least_1(prefill / batch), kv / batch};
    logits = tokens;
    logits.x = batch;
    for (size_t i = 0; i < r->all.count; i++) {
        const fpm_term *t = &r->all.items[i];
        ms += t->repeat * t->price(t, t->logits ? &logits : &tokens);
    }
    return ms;
}
