/* A folder of models with one family, TINY, whose graph a test writes. */
#ifndef AICFG_TESTS_GRAPH_WORLD_H
#define AICFG_TESTS_GRAPH_WORLD_H

#include "models_fixture.h"

#define ARCHS                                                                                                \
    "format: aicfg-architectures\nversion: 1\nfamilies: {TINY: experts > 0}\n"                               \
    "architectures: {TinyForCausalLM: {family: TINY}}\n"

#define CONFIG(extra)                                                                                        \
    "{\"format\":\"aicfg-model-catalogue\",\"version\":1,\"models\":{\"tiny\":{"                             \
    "\"architectures\":[\"TinyForCausalLM\"],\"num_hidden_layers\":6,\"hidden_size\":64,"                    \
    "\"num_attention_heads\":8,\"num_key_value_heads\":2,\"vocab_size\":100,"                                \
    "\"max_position_embeddings\":512" extra "}}}"

#define HEAD "format: aicfg-graph\nversion: 1\nfamily: TINY\n"
#define KV   "kv: [{per_token: kv_heads * head_dim * 2 * layers}]\n"

typedef struct world {
    files files;
    mdl_catalogue *catalogue;
    const mdl_model *model;
    aic_arena *arena;
    mdl_deployment built;
    op_refusal why;
    aic_error err;
} world;

static inline world make(const char *graph, const char *catalogue) {
    world w = {.files = files_new(), .arena = aic_arena_new()};
    const char *dirs[] = {w.files.dir};
    files_put(&w.files, "architectures.yaml", ARCHS);
    files_put(&w.files, "catalogue.json", catalogue);
    files_put(&w.files, "graphs/tiny.yaml", graph);
    w.catalogue = mdl_open(dirs, 1, &w.err);
    if (!w.catalogue)
        fail_msg("%s", w.err.text);
    return w;
}

static inline void end(world *w) {
    mdl_close(w->catalogue);
    aic_arena_free(w->arena);
    files_free(&w->files);
}

static inline bool build(world *w, mdl_request req) {
    w->model = mdl_get(w->catalogue, "tiny", &w->err);
    if (!req.backend)
        req.backend = "trtllm";
    if (req.par.tp == 0)
        req.par = (mdl_parallel){1, 1, 1, 1, 1, 1};
    return w->model && mdl_build(w->model, &req, w->arena, &w->built, &w->why, &w->err);
}

/* Names and repeats of a list: "a 6, b 3 [c 6 | d 6]". */
static inline void describe(const op_list *list, aic_buf *out) {
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        aic_buf_printf(out, "%s%s", i ? ", " : "", o->name);
        if (!o->desc->composite) {
            aic_buf_printf(out, " %g", o->repeat);
            continue;
        }
        for (size_t k = 0; k < o->desc->n_fields; k++) {
            const op_field *f = &o->desc->fields[k];
            const void *at = (const char *)o->params + f->offset;
            aic_buf_add(out, k ? " | " : " [");
            if (f->type == OP_F_OPS)
                describe(at, out);
            else if (f->type == OP_F_OP)
                describe(&(op_list){1, (op **)(uintptr_t)at}, out);
        }
        aic_buf_add(out, "]");
    }
}

static inline void expect_lists(world *w, const char *context, const char *generation) {
    const op_list *lists[] = {&w->built.context, &w->built.generation};
    const char *wanted[] = {context, generation};
    for (size_t i = 0; i < 2; i++) {
        aic_buf text = {0};
        describe(lists[i], &text);
        assert_string_equal(text.data ? text.data : "", wanted[i]);
        aic_buf_free(&text);
    }
}

static inline void expect(const char *graph, const char *catalogue, mdl_request req, const char *context,
                          const char *generation) {
    world w = make(graph, catalogue);
    if (!build(&w, req))
        fail_msg("%s%s", w.why.text, w.err.text);
    expect_lists(&w, context, generation);
    end(&w);
}

#endif
