/* Op lists that count work twice (docs/adding-a-model.md). */
#include "models/internal.h"
#include <string.h>

/* X(module, contained kind, what an op of that kind is called): the measured time of a module includes such
 * ops;
 * "" = whatever it is called. docs/model/mla.md, dsa.md, dsv4.md, msa.md, moe_large_ep.md, fpm.md. */
#define CONTENTS(X)                                                                                          \
    X("MlaModuleContext", "ContextMla", "")                                                                  \
    X("MlaModuleContext", "ContextAttention", "")                                                            \
    X("MlaModuleContext", "Gemm", "q_b")                                                                     \
    X("MlaModuleContext", "Gemm", "kv_b")                                                                    \
    X("MlaModuleContext", "Gemm", "_o_gemm")                                                                 \
    X("MlaModuleContext", "Gemm", "_proj_gemm")                                                              \
    X("MlaModuleGeneration", "GenerationMla", "")                                                            \
    X("MlaModuleGeneration", "GenerationAttention", "")                                                      \
    X("MlaModuleGeneration", "MlaBmm", "")                                                                   \
    X("MlaModuleGeneration", "Gemm", "q_b")                                                                  \
    X("MlaModuleGeneration", "Gemm", "_o_gemm")                                                              \
    X("MlaModuleGeneration", "Gemm", "_proj_gemm")                                                           \
    X("WideEpContextMla", "ContextMla", "")                                                                  \
    X("WideEpContextMla", "Gemm", "q_b")                                                                     \
    X("WideEpContextMla", "Gemm", "kv_b")                                                                    \
    X("WideEpContextMla", "Gemm", "_proj_gemm")                                                              \
    X("WideEpGenerationMla", "GenerationMla", "")                                                            \
    X("WideEpGenerationMla", "MlaBmm", "")                                                                   \
    X("WideEpGenerationMla", "Gemm", "q_b")                                                                  \
    X("WideEpGenerationMla", "Gemm", "_proj_gemm")                                                           \
    X("DsaContext", "ContextMla", "")                                                                        \
    X("DsaContext", "MlaModuleContext", "")                                                                  \
    X("DsaContext", "Gemm", "downscale")                                                                     \
    X("DsaContext", "Gemm", "q_b")                                                                           \
    X("DsaContext", "Gemm", "kv_b")                                                                          \
    X("DsaContext", "Gemm", "_proj_gemm")                                                                    \
    X("DsaGeneration", "GenerationMla", "")                                                                  \
    X("DsaGeneration", "MlaModuleGeneration", "")                                                            \
    X("DsaGeneration", "MlaBmm", "")                                                                         \
    X("DsaGeneration", "Gemm", "downscale")                                                                  \
    X("DsaGeneration", "Gemm", "q_b")                                                                        \
    X("DsaGeneration", "Gemm", "_proj_gemm")                                                                 \
    X("Dsv4Context", "ContextMla", "")                                                                       \
    X("Dsv4Context", "Gemm", "downscale")                                                                    \
    X("Dsv4Context", "Gemm", "q_b")                                                                          \
    X("Dsv4Context", "Gemm", "_proj_gemm")                                                                   \
    X("Dsv4Generation", "GenerationMla", "")                                                                 \
    X("Dsv4Generation", "Gemm", "downscale")                                                                 \
    X("Dsv4Generation", "Gemm", "q_b")                                                                       \
    X("Dsv4Generation", "Gemm", "_proj_gemm")                                                                \
    X("MsaContext", "ContextAttention", "")                                                                  \
    X("MsaContext", "Gemm", "qkv")                                                                           \
    X("MsaContext", "Gemm", "_proj_gemm")                                                                    \
    X("MsaGeneration", "GenerationAttention", "")                                                            \
    X("MsaGeneration", "Gemm", "qkv")                                                                        \
    X("MsaGeneration", "Gemm", "_proj_gemm")                                                                 \
    X("Dsv4MegaMoe", "Moe", "")                                                                              \
    X("Dsv4MegaMoe", "MoeDispatch", "")                                                                      \
    X("Dsv4MegaMoe", "MoeAllToAll", "")                                                                      \
    X("Dsv4MegaMoe", "MoeExpertCompute", "")                                                                 \
    X("MoeExpertCompute", "Moe", "")                                                                         \
    X("MoeAllToAll", "MoeDispatch", "")                                                                      \
    X("FpmForward", "Gemm", "")                                                                              \
    X("FpmForward", "ContextAttention", "")                                                                  \
    X("FpmForward", "GenerationAttention", "")                                                               \
    X("FpmForward", "Moe", "")

typedef struct contents {
    const char *module, *kind, *name;
} contents;
static const contents table[] = {
#define CONTENTS_ROW(module, kind, name) {module, kind, name},
    CONTENTS(CONTENTS_ROW)
#undef CONTENTS_ROW
};
enum { N_CONTENTS = sizeof table / sizeof *table, MOST_WARNINGS = 64 };

typedef struct checker {
    aic_arena *arena;
    const char *phase;
    double layers;
    const op **ops; /* of the phase, groups resolved: one branch of every Fallback */
    size_t n_ops;
    const char *warnings[MOST_WARNINGS];
    size_t n_warnings;
} checker;

static void warn(checker *c, const char *text) {
    for (size_t i = 0; i < c->n_warnings; i++)
        if (strcmp(c->warnings[i], text) == 0)
            return;
    if (c->n_warnings < MOST_WARNINGS)
        c->warnings[c->n_warnings++] = text;
}

/* ---- groups ---- */

static size_t count_ops(const op_list *list) {
    size_t n = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        for (size_t f = 0; f < o->desc->n_fields; f++) {
            if (o->desc->fields[f].type == OP_F_OPS)
                n = aic_add(
                    n, count_ops((const op_list *)(void *)((char *)o->params + o->desc->fields[f].offset)));
            else if (o->desc->fields[f].type == OP_F_OP)
                n = aic_add(n, 1);
        }
    }
    return n;
}

/* Ops of the list without groups: of a Fallback its primary, or its other members. */
static void flatten(checker *c, const op_list *list, bool primaries) {
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        bool choice = false;
        if (!o->desc->composite) {
            c->ops[c->n_ops++] = o;
            continue;
        }
        for (size_t f = 0; f < o->desc->n_fields; f++)
            choice = choice || o->desc->fields[f].type == OP_F_OP;
        for (size_t f = 0; f < o->desc->n_fields; f++) {
            const op_field *field = &o->desc->fields[f];
            void *at = (char *)o->params + field->offset;
            if (field->type == OP_F_OPS && !(choice && primaries))
                flatten(c, at, primaries);
            else if (field->type == OP_F_OP && primaries && *(op **)at)
                flatten(c, &(op_list){.count = 1, .items = at}, primaries);
        }
    }
}

/* ---- checks ---- */

static bool too_often(const checker *c, double repeats) {
    return repeats > c->layers * (1.0 + 1e-9);
}

/* A module and an op it contains may both be there, in different layers: together they must fit. */
static void check_contents(checker *c, const op *module, const contents *row) {
    for (size_t i = 0; i < c->n_ops; i++) {
        const op *o = c->ops[i];
        if (strcmp(o->desc->kind, row->kind) != 0 || !strstr(o->name, row->name) ||
            !too_often(c, module->repeat + o->repeat))
            continue;
        warn(c, aic_arena_printf(c->arena,
                                 "%s: %s (%s, %g times) contains what %s (%s, %g times) counts again: more "
                                 "than %g layers together",
                                 c->phase, module->name, module->desc->kind, module->repeat, o->name,
                                 o->desc->kind, o->repeat, c->layers));
    }
}

/* The wire form without the repeat. */
static const char *identity(aic_arena *a, const op *o) {
    op copy = *o;
    aic_buf text = {0};
    copy.repeat = 1.0;
    op_to_json(&copy, &text);
    const char *kept = aic_arena_strdup(a, text.data);
    aic_buf_free(&text);
    return kept;
}

static void check_repeated(checker *c) {
    const char **ids = aic_arena_alloc(c->arena, c->n_ops, sizeof *ids);
    for (size_t i = 0; i < c->n_ops; i++)
        ids[i] = identity(c->arena, c->ops[i]);
    for (size_t i = 0; i < c->n_ops; i++) {
        double repeats = 0;
        size_t times = 0, first = i;
        for (size_t k = 0; k < c->n_ops; k++) {
            if (strcmp(ids[i], ids[k]) != 0)
                continue;
            repeats += c->ops[k]->repeat;
            times++;
            first = k < first ? k : first;
        }
        if (times > 1 && first == i && too_often(c, repeats))
            warn(c, aic_arena_printf(
                        c->arena, "%s: %s (%s) is listed %zu times alike, %g times over %g layers", c->phase,
                        c->ops[i]->name, c->ops[i]->desc->kind, times, repeats, c->layers));
    }
}

/* Breakdowns fold ops by name: one name for two kinds hides one of them. */
static void check_names(checker *c, const op_list *list) {
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++) {
            const op *a = list->items[k], *b = list->items[i];
            if (strcmp(a->name, b->name) == 0 && a->desc != b->desc)
                warn(c, aic_arena_printf(c->arena,
                                         "%s: %s is the name of a %s and of a %s; breakdowns add them up",
                                         c->phase, a->name, a->desc->kind, b->desc->kind));
        }
}

static void check_branch(checker *c, const op_list *list, bool primaries) {
    c->n_ops = 0;
    flatten(c, list, primaries);
    for (size_t i = 0; i < c->n_ops; i++) {
        for (size_t r = 0; r < N_CONTENTS; r++)
            if (strcmp(c->ops[i]->desc->kind, table[r].module) == 0)
                check_contents(c, c->ops[i], &table[r]);
    }
    check_repeated(c);
}

static void check_list(checker *c, const op_list *list, mdl_phase phase) {
    c->phase = mdl_phase_name(phase);
    c->ops = aic_arena_alloc(c->arena, count_ops(list), sizeof *c->ops);
    check_branch(c, list, true);
    check_branch(c, list, false);
    check_names(c, list);
}

op_texts mdl_check(const mdl_deployment *d, aic_arena *a) {
    checker c = {.arena = a, .layers = (double)d->model->layers};
    check_list(&c, &d->context, MDL_CONTEXT);
    check_list(&c, &d->generation, MDL_GENERATION);
    const char **texts = aic_arena_alloc(a, c.n_warnings, sizeof *texts);
    if (c.n_warnings)
        memcpy(texts, c.warnings, c.n_warnings * sizeof *texts);
    return (op_texts){c.n_warnings, texts};
}
