/* Lists of a graph file: rows, and the groups around them - seq, use, for, overlap, fallback, refuse
 * (docs/formats/graph.md).
 *
 * Blocks are expanded where they are used, so that a compiled list knows no names. Depth and size are
 * bounded: a block that uses itself runs into the first bound, one that doubles at every level into the
 * second. */
#include "models/internal.h"
#include <string.h>

enum { MAX_DEPTH = 16, MAX_ITEMS = 20000 };

static bool compile_item(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out);

bool mdl_compile_items(mdl_loader *l, const aic_node *list, const mdl_local *locals, mdl_items *out) {
    if (!list || list->kind != AIC_K_LIST)
        return aic_node_fail(l->err, list, "expected a list of rows, found %s",
                             list ? aic_kind_name(list->kind) : "nothing");
    if (l->depth == MAX_DEPTH)
        return aic_node_fail(
            l->err, list, "blocks and groups nested deeper than %d (a block that uses itself?)", MAX_DEPTH);
    l->depth++;
    out->items = aic_arena_alloc(l->arena, list->count, sizeof *out->items);
    bool ok = true;
    for (size_t i = 0; ok && i < list->count; i++) {
        if (++l->n_items > MAX_ITEMS)
            ok = aic_node_fail(l->err, list->items[i], "more than %d rows after expanding blocks", MAX_ITEMS);
        ok = ok && compile_item(l, list->items[i], locals, &out->items[out->count++]);
    }
    l->depth--;
    return ok;
}

static const aic_expr *compile_expr(mdl_loader *l, const aic_node *n, const char *what,
                                    const mdl_local *locals) {
    mdl_names names = {MDL_OF_PHASE, l->graph, locals};
    return mdl_node_expr(l->arena, n, what, &names, l->err);
}

/* Binds a new variable in front of the locals. It may hide a let, so that a shared block's parameters are
 * free of its users' names, but no symbol. */
static bool bind(mdl_loader *l, const aic_node *name, const mdl_local **locals) {
    const char *text;
    if (!aic_node_text(name, "name", &text, l->err))
        return false;
    if (mdl_name_taken(text, NULL))
        return aic_node_fail(l->err, name, "\"%s\" already means something here; choose another name", text);
    mdl_local *local = aic_arena_alloc(l->arena, 1, sizeof *local);
    *local = (mdl_local){text, MDL_SYMBOL_COUNT + (int)l->graph->n_vars++, *locals};
    *locals = local;
    return true;
}

static bool compile_seq(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"seq", "when"};
    out->type = MDL_SEQ;
    return aic_map_check_keys(n, "seq", keys, 2, l->err) &&
           mdl_compile_items(l, aic_map_get(n, "seq"), locals, &out->a);
}

static const mdl_block *find_block(mdl_loader *l, const aic_node *name) {
    const char *text;
    if (!aic_node_text(name, "use", &text, l->err))
        return NULL;
    for (size_t i = 0; i < l->n_blocks; i++)
        if (strcmp(l->blocks[i].name, text) == 0)
            return &l->blocks[i];
    aic_node_fail(l->err, name, "no block is called \"%s\"", text);
    return NULL;
}

/* Values for a block's parameters, each compiled in the caller's scope; the block sees its parameters and no
 * other local. */
static bool compile_arguments(mdl_loader *l, const aic_node *n, const mdl_block *block,
                              const mdl_local *caller, const mdl_local **inner, mdl_item *out) {
    const aic_node *with = aic_map_get(n, "with");
    size_t given = with && with->kind == AIC_K_MAP ? with->count : 0,
           wanted = block->params ? block->params->count : 0;
    if (with && with->kind != AIC_K_MAP)
        return aic_node_fail(l->err, with, "with: expected a mapping of parameter to expression");
    out->first_slot = MDL_SYMBOL_COUNT + (int)l->graph->n_vars;
    out->n_slots = wanted;
    out->values = aic_arena_alloc(l->arena, wanted, sizeof *out->values);
    for (size_t i = 0; i < wanted; i++) {
        const char *name = block->params->items[i]->text;
        const aic_node *value = aic_map_get(with, name);
        if (!value)
            return aic_node_fail(l->err, n, "block %s needs its parameter \"%s\" (with:)", block->name, name);
        out->values[i] = compile_expr(l, value, name, caller);
        if (!out->values[i] || !bind(l, block->params->items[i], inner))
            return false;
    }
    for (size_t i = 0; i < given; i++) {
        bool known = false;
        for (size_t k = 0; k < wanted; k++)
            known = known || strcmp(block->params->items[k]->text, with->keys[i]->text) == 0;
        if (!known)
            return aic_node_fail(l->err, with->keys[i], "block %s has no parameter \"%s\"", block->name,
                                 with->keys[i]->text);
    }
    return true;
}

static bool compile_use(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"use", "with", "when"};
    out->type = MDL_SEQ;
    if (!aic_map_check_keys(n, "use", keys, 3, l->err))
        return false;
    const mdl_block *block = find_block(l, aic_map_get(n, "use"));
    const mdl_local *inner = NULL;
    return block && compile_arguments(l, n, block, locals, &inner, out) &&
           mdl_compile_items(l, block->ops, inner, &out->a);
}

static bool compile_for(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"for", "in", "do", "when"};
    const aic_node *names = aic_map_get(n, "for");
    out->type = MDL_FOR;
    if (!aic_map_check_keys(n, "for", keys, 4, l->err))
        return false;
    out->values = aic_arena_alloc(l->arena, 1, sizeof *out->values);
    out->values[0] = compile_expr(l, aic_map_get(n, "in"), "in", locals);
    if (!out->values[0])
        return false;
    out->first_slot = MDL_SYMBOL_COUNT + (int)l->graph->n_vars;
    out->n_slots = names->kind == AIC_K_LIST ? names->count : 1;
    if (out->n_slots == 0)
        return aic_node_fail(l->err, names, "for: expected a name or a list of names");
    for (size_t i = 0; i < out->n_slots; i++)
        if (!bind(l, names->kind == AIC_K_LIST ? names->items[i] : names, &locals))
            return false;
    return mdl_compile_items(l, aic_map_get(n, "do"), locals, &out->a);
}

static bool compile_group_name(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    const char *text;
    if (!aic_node_text(n, "name", &text, l->err))
        return false;
    mdl_names names = {MDL_OF_PHASE, l->graph, locals};
    out->name =
        mdl_template(l->arena, text, n->file, n->line, n->column + (n->quoted ? 1 : 0), &names, l->err);
    return out->name != NULL;
}

static bool compile_overlap(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"overlap", "a", "b", "when"};
    out->type = MDL_OVERLAP;
    return aic_map_check_keys(n, "overlap", keys, 4, l->err) &&
           compile_group_name(l, aic_map_get(n, "overlap"), locals, out) &&
           mdl_compile_items(l, aic_map_get(n, "a"), locals, &out->a) &&
           mdl_compile_items(l, aic_map_get(n, "b"), locals, &out->b);
}

static bool compile_fallback(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"fallback", "primary", "else", "when"};
    out->type = MDL_FALLBACK;
    if (!aic_map_check_keys(n, "fallback", keys, 4, l->err) ||
        !compile_group_name(l, aic_map_get(n, "fallback"), locals, out))
        return false;
    const aic_node *primary = aic_map_get(n, "primary");
    if (!primary || primary->kind != AIC_K_TEXT)
        return aic_node_fail(l->err, primary ? primary : n, "primary: expected one row");
    out->a.items = aic_arena_alloc(l->arena, 1, sizeof *out->a.items);
    out->a.count = 1;
    return mdl_compile_row(l, primary, locals, out->a.items) &&
           mdl_compile_items(l, aic_map_get(n, "else"), locals, &out->b);
}

static bool compile_refuse(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    static const char *const keys[] = {"refuse", "when"};
    out->type = MDL_REFUSE;
    return aic_map_check_keys(n, "refuse", keys, 2, l->err) &&
           compile_group_name(l, aic_map_get(n, "refuse"), locals, out);
}

/* X(key, compiler): a group is known by the key it has. */
#define GROUPS(X)                                                                                            \
    X("seq", compile_seq)                                                                                    \
    X("use", compile_use)                                                                                    \
    X("for", compile_for)                                                                                    \
    X("overlap", compile_overlap) X("fallback", compile_fallback) X("refuse", compile_refuse)

static const struct {
    const char *key;
    bool (*compile)(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out);
} groups[] = {
#define GROUP_ROW(key, compile) {key, compile},
    GROUPS(GROUP_ROW)
#undef GROUP_ROW
};

static bool compile_item(mdl_loader *l, const aic_node *n, const mdl_local *locals, mdl_item *out) {
    if (n->kind == AIC_K_TEXT)
        return mdl_compile_row(l, n, locals, out);
    *out = (mdl_item){.at = n};
    for (size_t i = 0; n->kind == AIC_K_MAP && i < sizeof groups / sizeof *groups; i++) {
        if (!aic_map_get(n, groups[i].key))
            continue;
        const aic_node *when = aic_map_get(n, "when");
        if (when && !(out->when = compile_expr(l, when, "when", locals)))
            return false;
        return groups[i].compile(l, n, locals, out);
    }
    return aic_node_fail(l->err, n,
                         "expected a row, or a group with seq:, use:, for:, overlap:, fallback: or refuse:");
}
