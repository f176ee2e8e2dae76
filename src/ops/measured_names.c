/* Names that expressions of a declared kind may use, and their values (docs/formats/measured_op.md). */
#include "ops/measured_internal.h"

#include <math.h>
#include <string.h>

/* X(name, reads, value): what a query gives. */
#define INPUTS(X)                                                                                            \
    X(x, OP_READS_X, f->shape->x)                                                                            \
    X(batch, OP_READS_BATCH, f->shape->batch)                                                                \
    X(s, OP_READS_S, f->shape->s)                                                                            \
    X(prefix, OP_READS_PREFIX, f->shape->prefix)

/* X(name, value): what is known of system and database. */
#define FIGURES(X)                                                                                           \
    X(mem_bw, aic_real(f->view->system->mem_bw))                                                             \
    X(intra_node_bw, aic_real(f->view->system->intra_node_bw))                                               \
    X(inter_node_bw, aic_real(f->view->system->inter_node_bw))                                               \
    X(gpus_per_node, aic_int(f->view->system->gpus_per_node))                                                \
    X(sm, aic_int(f->view->system->sm_version))                                                              \
    X(system, aic_str(f->view->system->name))                                                                \
    X(backend, aic_str(f->view->backend))                                                                    \
    X(version, aic_str(f->view->version))

#define INPUT_ENUM(name, reads, value) INPUT_##name,
#define FIGURE_ENUM(name, value)       FIGURE_##name,
#define NAME_OF(name, ...)             #name,
enum { INPUTS(INPUT_ENUM) N_INPUTS };
enum { FIGURES(FIGURE_ENUM) N_FIGURES };
static const char *const input_names[] = {INPUTS(NAME_OF)};
static const char *const figure_names[] = {FIGURES(NAME_OF)};

/* Slots: parameters, lets, inputs, axes, figures. */
static size_t first_let(const measured_kind *k) {
    return k->desc.n_fields;
}

static size_t first_input(const measured_kind *k) {
    return first_let(k) + MEASURED_MAX_LETS;
}

static size_t first_axis(const measured_kind *k) {
    return first_input(k) + N_INPUTS;
}

static size_t first_figure(const measured_kind *k) {
    return first_axis(k) + PDB_MAX_AXES;
}

/* ---- names --------------------------------------------------------------------------------------------- */

typedef struct names {
    const measured_kind *kind;
    unsigned sees;
} names;

static const char *let_name(const measured_kind *k, size_t i) {
    return i < k->n_lets ? k->lets[i].name : NULL;
}

static const char *axis_name(const measured_kind *k, size_t i) {
    return i < (size_t)k->schema.n_axes ? k->axis[i] : NULL;
}

/* Name of a slot, or NULL where there is none that this place may use. */
static const char *name_of(const names *n, size_t slot) {
    const measured_kind *k = n->kind;
    if (slot < first_let(k))
        return k->desc.fields[slot].name;
    if (slot < first_input(k))
        return n->sees & MEASURED_SEES_LETS ? let_name(k, slot - first_let(k)) : NULL;
    if (slot < first_axis(k))
        return n->sees & MEASURED_SEES_INPUTS ? input_names[slot - first_input(k)] : NULL;
    if (slot < first_figure(k))
        return n->sees & MEASURED_SEES_AXES ? axis_name(k, slot - first_axis(k)) : NULL;
    return n->sees & MEASURED_SEES_SYSTEM ? figure_names[slot - first_figure(k)] : NULL;
}

static int find_name(const void *ctx, const char *name) {
    const names *n = ctx;
    for (size_t slot = 0; slot < first_figure(n->kind) + N_FIGURES; slot++) {
        const char *known = name_of(n, slot);
        if (known && strcmp(known, name) == 0)
            return (int)slot;
    }
    return -1;
}

/* The i-th name that may be used. */
static const char *name_at(const void *ctx, size_t i) {
    const names *n = ctx;
    for (size_t slot = 0; slot < first_figure(n->kind) + N_FIGURES; slot++) {
        const char *known = name_of(n, slot);
        if (known && i-- == 0)
            return known;
    }
    return NULL;
}

static bool listed(const char *name, const char *const *all, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, all[i]) == 0)
            return true;
    return false;
}

bool measured_reserved(const char *name) {
    static const char *const of_every_op[] = {"name", "scale_factor"};
    return listed(name, input_names, OP_COUNT(input_names)) ||
           listed(name, figure_names, OP_COUNT(figure_names)) ||
           listed(name, of_every_op, OP_COUNT(of_every_op));
}

/* ---- functions ----------------------------------------------------------------------------------------- */

static bool mode_of(const aic_value *v, pdb_quant *out, aic_error *err) {
    const unsigned any = PDB_GEMM | PDB_MOE | PDB_FMHA | PDB_KV | PDB_COMM;
    *out = v->type == AIC_V_STR ? pdb_quant_parse(v->u.s, any) : PDB_Q_UNSET;
    return *out != PDB_Q_UNSET ||
           aic_fail(err, AIC_BAD_INPUT, "expected the name of a mode, found %s%s%s", aic_vtype_name(v->type),
                    v->type == AIC_V_STR ? " " : "", v->type == AIC_V_STR ? v->u.s : "");
}

static bool fn_bytes(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out, aic_error *err) {
    (void)ctx;
    (void)a;
    (void)n;
    pdb_quant q;
    if (!mode_of(&args[0], &q, err))
        return false;
    *out = aic_real(pdb_quant_get(q)->bytes);
    return true;
}

static bool fn_flops(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out, aic_error *err) {
    (void)a;
    (void)n;
    measured_frame *f = ctx;
    pdb_quant q;
    if (!f->view)
        return aic_fail(err, AIC_BAD_INPUT, "flops() is not known here");
    if (!mode_of(&args[0], &q, err))
        return false;
    double flops = pdb_flops(f->view->system, q);
    if (!(flops > 0.0)) {
        f->no_flops = q;
        return aic_fail(err, AIC_BAD_INPUT, "the spec sheet has no FLOPS of mode %s", pdb_quant_get(q)->name);
    }
    *out = aic_real(flops);
    return true;
}

static const aic_fn functions[] = {{"bytes", 1, 1, fn_bytes}, {"flops", 1, 1, fn_flops}};

const aic_expr *measured_compile(const measured_kind *k, aic_arena *a, const aic_node *n, unsigned sees,
                                 aic_error *err) {
    const names seen = {k, sees};
    const aic_scope scope = {find_name, name_at, &seen, functions, OP_COUNT(functions)};
    return aic_expr_compile_node(a, n, &scope, err);
}

typedef struct input_reads {
    const measured_kind *kind;
    unsigned reads;
} input_reads;

static void add_reads(void *ctx, int slot) {
    static const unsigned reads[] = {
#define INPUT_READS(name, reads, value) [INPUT_##name] = (reads),
        INPUTS(INPUT_READS)
#undef INPUT_READS
    };
    input_reads *r = ctx;
    size_t i = (size_t)slot, first = first_input(r->kind);
    if (i >= first && i < first + N_INPUTS)
        r->reads |= reads[i - first];
}

unsigned measured_reads(const measured_kind *k, const aic_expr *e) {
    input_reads r = {k, 0};
    aic_expr_slots(e, add_reads, &r);
    return r.reads;
}

/* ---- values -------------------------------------------------------------------------------------------- */

void measured_params(const op *o, aic_value *out) {
    for (size_t i = 0; i < o->desc->n_fields; i++) {
        const op_field *f = &o->desc->fields[i];
        const void *at = op_member(o, f);
        const char *text = f->type == OP_F_TEXT    ? *(const char *const *)at
                           : f->type == OP_F_QUANT ? pdb_quant_get(*(const pdb_quant *)at)->name
                                                   : NULL;
        if (f->type == OP_F_U32)
            out[i] = aic_int(*(const uint32_t *)at);
        else if (f->type == OP_F_F64)
            out[i] = aic_real(*(const double *)at);
        else if (f->type == OP_F_BOOL)
            out[i] = aic_bool(*(const bool *)at);
        else
            out[i] = aic_str(text);
    }
}

static aic_value input_value(const measured_frame *f, size_t i) {
    switch (i) {
#define INPUT_CASE(name, reads, value)                                                                       \
    case INPUT_##name:                                                                                       \
        return aic_int(value);
        INPUTS(INPUT_CASE)
#undef INPUT_CASE
    default:
        return AIC_NULL_VALUE;
    }
}

static aic_value figure_value(const measured_frame *f, size_t i) {
    switch (i) {
#define FIGURE_CASE(name, value)                                                                             \
    case FIGURE_##name:                                                                                      \
        return value;
        FIGURES(FIGURE_CASE)
#undef FIGURE_CASE
    default:
        return AIC_NULL_VALUE;
    }
}

static bool get_value(void *ctx, int slot, aic_value *out, aic_error *err) {
    (void)err;
    const measured_frame *f = ctx;
    const measured_kind *k = f->kind;
    size_t i = (size_t)slot;
    if (i < first_let(k))
        *out = f->params[i];
    else if (i < first_input(k))
        *out = f->lets[i - first_let(k)];
    else if (i < first_axis(k))
        *out = input_value(f, i - first_input(k));
    else if (i < first_figure(k))
        *out = aic_real(f->axes[i - first_axis(k)]);
    else
        *out = figure_value(f, i - first_figure(k));
    return true;
}

bool measured_eval(const aic_expr *e, measured_frame *f, aic_value *out, aic_error *err) {
    const aic_env env = {get_value, f, f, f->arena};
    return aic_expr_eval(e, &env, out, err);
}

bool measured_number(const aic_expr *e, measured_frame *f, double *out, aic_error *err) {
    aic_value v;
    if (!measured_eval(e, f, &v, err))
        return false;
    if (aic_as_real(&v, out) && isfinite(*out))
        return true;
    return aic_fail(err, AIC_BAD_INPUT, "%s: expected a number, found %s", aic_expr_text(e),
                    v.type == AIC_V_REAL ? "infinity or NaN" : aic_vtype_name(v.type));
}
