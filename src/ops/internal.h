/* Shared by the op families; private to src/ops.
 *
 * A family is one file: a params struct, its field table (OP_* macros below), bind, query and one op_desc.
 * Answers by database mode go through op_by_mode, so that a family writes one function per kind of evidence.
 */
#ifndef AICFG_OPS_INTERNAL_H
#define AICFG_OPS_INTERNAL_H

#include "ops/ops.h"
#include <stddef.h>

/* ---- kinds: one line each, in the order of the wire catalogue ------------------------------------------ */

#define OP_KINDS(X)                                                                                          \
    X(gemm)                                                                                                  \
    X(embedding)                                                                                             \
    X(elementwise)                                                                                           \
    X(context_attention)                                                                                     \
    X(generation_attention)                                                                                  \
    X(encoder_attention)                                                                                     \
    X(context_mla)                                                                                           \
    X(generation_mla)                                                                                        \
    X(mla_module_context)                                                                                    \
    X(mla_module_generation)                                                                                 \
    X(mla_bmm)                                                                                               \
    X(moe)                                                                                                   \
    X(moe_dispatch)                                                                                          \
    X(custom_allreduce)                                                                                      \
    X(nccl)                                                                                                  \
    X(p2p)                                                                                                   \
    X(dsa_context)                                                                                           \
    X(dsa_generation)                                                                                        \
    X(msa_context)                                                                                           \
    X(msa_generation)                                                                                        \
    X(dsv4_context)                                                                                          \
    X(dsv4_generation)                                                                                       \
    X(mhc)                                                                                                   \
    X(mamba2)                                                                                                \
    X(gdn)                                                                                                   \
    X(wideep_context_mla)                                                                                    \
    X(wideep_generation_mla)                                                                                 \
    X(overlap)                                                                                               \
    X(fallback)                                                                                              \
    X(dsv4_mega_moe)                                                                                         \
    X(kda)                                                                                                   \
    X(fpm_forward)                                                                                           \
    X(moe_all_to_all)                                                                                        \
    X(moe_expert_compute)
#define OP_KIND_EXTERN(name) extern const op_desc op_desc_##name;
OP_KINDS(OP_KIND_EXTERN)
#undef OP_KIND_EXTERN

/* ---- field tables: wire name = member name ------------------------------------------------------------- */

#define OP_U32(p, m)                                                                                         \
    { .name = #m, .type = OP_F_U32, .offset = offsetof(p, m), .required = true }
#define OP_U32_OR(p, m, d)                                                                                   \
    { .name = #m, .type = OP_F_U32, .offset = offsetof(p, m), .def = (d) }
#define OP_U32_OR_NULL(p, m)                                                                                 \
    { .name = #m, .type = OP_F_U32_OR_NULL, .offset = offsetof(p, m) }
#define OP_I64(p, m)                                                                                         \
    { .name = #m, .type = OP_F_I64, .offset = offsetof(p, m), .required = true }
#define OP_F64(p, m)                                                                                         \
    { .name = #m, .type = OP_F_F64, .offset = offsetof(p, m), .required = true }
#define OP_F64_OR(p, m, d)                                                                                   \
    { .name = #m, .type = OP_F_F64, .offset = offsetof(p, m), .def = (d) }
#define OP_BOOL(p, m)                                                                                        \
    { .name = #m, .type = OP_F_BOOL, .offset = offsetof(p, m), .required = true }
#define OP_BOOL_OR(p, m, d)                                                                                  \
    { .name = #m, .type = OP_F_BOOL, .offset = offsetof(p, m), .def = (d) }
#define OP_TEXT(p, m)                                                                                        \
    { .name = #m, .type = OP_F_TEXT, .offset = offsetof(p, m), .required = true }
#define OP_TEXT_OR(p, m, d)                                                                                  \
    { .name = #m, .type = OP_F_TEXT, .offset = offsetof(p, m), .def_text = (d) }
#define OP_TEXT_OR_NULL(p, m)                                                                                \
    { .name = #m, .type = OP_F_TEXT, .offset = offsetof(p, m) }
#define OP_TEXTS(p, m)                                                                                       \
    { .name = #m, .type = OP_F_TEXTS, .offset = offsetof(p, m), .required = true }
#define OP_TEXTS_OR(p, m, d)                                                                                 \
    { .name = #m, .type = OP_F_TEXTS, .offset = offsetof(p, m), .def_text = (d) }
#define OP_QUANT(p, m, kind)                                                                                 \
    { .name = #m, .type = OP_F_QUANT, .offset = offsetof(p, m), .required = true, .quant_kind = (kind) }
#define OP_QUANT_OR(p, m, kind, d)                                                                           \
    { .name = #m, .type = OP_F_QUANT, .offset = offsetof(p, m), .quant_kind = (kind), .def_text = (d) }
#define OP_QUANTS_OR_NULL(p, m, kind, names)                                                                 \
    {                                                                                                        \
        .name = #m, .type = OP_F_QUANTS_OR_NULL, .offset = offsetof(p, m), .quant_kind = (kind),             \
        .choices = (names)                                                                                   \
    }
#define OP_CHOICE(p, m, names)                                                                               \
    { .name = #m, .type = OP_F_CHOICE, .offset = offsetof(p, m), .required = true, .choices = (names) }
#define OP_MEMBER(p, m)                                                                                      \
    { .name = #m, .type = OP_F_OP, .offset = offsetof(p, m), .required = true }
#define OP_MEMBERS(p, m)                                                                                     \
    { .name = #m, .type = OP_F_OPS, .offset = offsetof(p, m), .required = true }
#define OP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Points into the params of an op. */
static inline void *op_member(const op *o, const op_field *f) {
    return (char *)o->params + f->offset;
}

/* ---- results ------------------------------------------------------------------------------------------- */

/* What a latency that was found so counts as. */
static inline op_cover op_cover_of(pdb_how how) {
    static const op_cover covers[] = {
        [PDB_EXACT] = OP_MEASURED, [PDB_INSIDE] = OP_INTERPOLATED, [PDB_BEYOND] = OP_EXTRAPOLATED};
    return covers[how];
}
/* A table answer: source silicon, cover by how it was found. In place and without an index: read back as a
 * whole right after it was written in part, it would be waited for. */
static inline op_result op_measured(const pdb_value *v) {
    const double ms = v->latency;
    const op_cover cover = op_cover_of(v->how);
    return (op_result){.latency = ms,
                       .energy = v->energy,
                       .source = OP_SRC_silicon,
                       .from = v->from,
                       .cover = {[OP_MEASURED] = cover == OP_MEASURED ? ms : 0.0,
                                 [OP_INTERPOLATED] = cover == OP_INTERPOLATED ? ms : 0.0,
                                 [OP_EXTRAPOLATED] = cover == OP_EXTRAPOLATED ? ms : 0.0}};
}
op_result op_sol_pair(double math, double mem);         /* a speed-of-light answer: the larger of the two */
op_result op_formula(double latency, op_source source); /* a formula without energy */
op_result op_estimated(double latency, op_tier tier);   /* an empirical answer: no energy, cover formula */
/* Puts the whole latency under one kind of evidence. */
void op_cover_all(op_result *r, op_cover cover);

/* Does the mode ask tables? */
static inline bool op_mode_measures(op_mode mode) {
    return mode == OP_SILICON || mode == OP_HYBRID;
}

/* KV lengths that stand for one, from 0.9 to 1.1 of it: measured decode times step with the length. */
enum { OP_SAMPLES = 5 };
static inline double op_sample_length(uint32_t s, int k) {
    int64_t from = (int64_t)((double)s * 0.9), to = (int64_t)((double)s * 1.1);
    from = from > 1 ? from : 1;
    to = to > from ? to : from;
    return (double)(from + (to - from) * k / (OP_SAMPLES - 1));
}

/* max() as the rule reads it: NaN gives way to the other side. */
static inline double op_max(double a, double b) {
    return (a > b || b != b) ? a : b;
}

/* ---- integer helpers of the token formulas ------------------------------------------------------------- */

static inline uint32_t op_at_least_1(uint32_t v) {
    return v ? v : 1;
}

static inline uint64_t op_ceildiv(uint64_t a, uint32_t b) {
    return (a + op_at_least_1(b) - 1) / op_at_least_1(b);
}

/* ---- answers by mode (docs/model/modes.md) ------------------------------------------------------------- */

typedef op_class (*op_path)(const op_bound *b, const op_shape *shape, op_result *out, op_refusal *why);

typedef struct op_paths {
    op_path silicon;   /* measured tables */
    op_path empirical; /* calibrated estimate; NULL = the family has none */
    op_path sol;       /* speed of light, from parameters and spec sheet alone */
} op_paths;

op_class op_by_mode(const op_paths *paths, const op_bound *b, op_mode mode, const op_shape *shape,
                    op_result *out, op_refusal *why);

/* ---- refusals: every text starts with "NAME (Kind): " -------------------------------------------------- */

op_class op_refuse_op(op_refusal *why, const op *o, op_class cls, const char *fmt, ...) AIC_PRINTF(4, 5);
/* The spec sheet lacks the mode's FLOPS entry. */
op_class op_refuse_flops(op_refusal *why, const op *o, const pdb_system *sys, pdb_quant q);
/* A table cannot answer a shape. `about` names the fixed coordinates ("n=4096, k=4096"), page the chapter. */
op_class op_refuse_miss(op_refusal *why, const op_bound *b, const pdb_schema *schema, pdb_miss miss,
                        const char *about, const char *page);
/* A table holds nothing to calibrate an estimate from. `about`: what was looked for ("mode int8_wo"). */
op_class op_refuse_basis(op_refusal *why, const op_bound *b, const pdb_schema *schema, const char *about);
/* Remembers a refusal as the answer to every table query of b. */
void op_bind_refuse(op_binder *binder, op_bound *b, const op_refusal *why);
/* The same for the empirical path. */
void op_bind_refuse_estimate(op_binder *binder, op_bound *b, const op_refusal *why);

/* ---- empirical estimates (docs/model/modes.md) -----------------------------------------------------------
 */

/* Coordinates of every leaf in key order: axes values each. */
void op_leaf_coords(const pdb_grid *g, double *out);
/* Utilisation samples of a grid's leaves, in key order: util = sol(coordinates) / latency. In the binder's
 * arena. */
const pdb_util *op_util_of_grid(op_binder *binder, const pdb_grid *g, pdb_sol sol, const void *ctx);
/* The same, made once per view for each grid of a table of the view and each ctx of `size` bytes (up to
 * OP_UTIL_CTX, without padding of any value): for grids of hundreds of leaves and more, that thousands of
 * deployments bind. */
enum { OP_UTIL_CTX = 96 };
const pdb_util *op_util_of_view(op_binder *binder, const pdb_grid *g, pdb_sol sol, const void *ctx,
                                size_t size);
/* Points of a grid of a table of the view, for DELTA-LOOKUP; made once per view. */
const pdb_delta *op_delta_of_view(op_binder *binder, const pdb_grid *g);
/* UTIL-ESTIMATE: sol_query / (util at coords x scale), source empirical, energy 0. No samples:
 * OP_NO_EMPIRICAL. u may be NULL. */
op_class op_estimate(const op_bound *b, const pdb_util *u, const double *coords, double sol_query,
                     double scale, op_tier tier, op_result *out, op_refusal *why);

/* ---- transfer between modes and shapes (docs/model/modes.md) --------------------------------------------
 */

bool op_policy_allows(const op_binder *binder, op_tier t);
/* The (bytes, compute) pair by which modes are alike. */
bool op_same_profile(pdb_quant a, pdb_quant b);
/* How well a mode's profile runs, relative to another's: scales an estimate from one to the other. kind:
 * PDB_GEMM or PDB_MOE. */
double op_profile_ratio(pdb_quant query, pdb_quant reference, unsigned kind);
/* Those of n modes that have another profile than q, nearest first: by |d compute| x weight + |d bytes|, ties
 * as given. Returns how many; out has room for n. */
size_t op_other_profiles(pdb_quant q, double weight, const pdb_quant *modes, size_t n, pdb_quant *out);
/* Distinct modes of a kind in category c of a table, in the order met, among slices whose categories before c
 * are `before`. out has room for PDB_QUANT_COUNT. */
size_t op_modes_of(const op_bound *b, const pdb_table *t, int c, const uint64_t *before, unsigned kind,
                   pdb_quant *out);

/* ---- slices by key ------------------------------------------------------------------------------------- */

/* A slice key in the making: values and, for text categories, what was asked for. A text that no table of the
 * view has shown has a value that no slice can match. */
typedef struct op_key {
    int n;
    uint64_t value[PDB_MAX_CATS];
    const char *text[PDB_MAX_CATS]; /* NULL for integers */
} op_key;

void op_key_text(op_key *k, const pdb_view *view, const char *text);
void op_key_int(op_key *k, uint64_t value);

/* Loads the table; NULL and why there is none (missing data). */
const pdb_table *op_table(const op_bound *b, const pdb_schema *schema, const char *page, op_refusal *why);
/* Loads the table; NULL after remembering in b why there is none. */
const pdb_table *op_bind_table(op_binder *binder, op_bound *b, const pdb_schema *schema, const char *page);
/* Refuses because no slice has the key: names the first category that has no match and the values measured
 * there. The first `skip` categories (lanes) are not compared. */
op_class op_refuse_key(op_refusal *why, const op_bound *b, const pdb_schema *schema, const pdb_table *t,
                       const op_key *k, int skip, const char *page);

#endif
