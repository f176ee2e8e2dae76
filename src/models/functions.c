/* Functions of graph files and architecture rules (docs/formats/graph.md). What a graph cannot say with them
 * becomes one more line in the table at the end. */
#include "models/internal.h"
#include <string.h>

#define FN(name)                                                                                             \
    static bool fn_##name(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out,             \
                          aic_error *err)
#define UNUSED(x) ((void)(x))

aic_value mdl_list(aic_arena *a, const aic_value *items, size_t n) {
    aic_value *copy = aic_arena_alloc(a, n, sizeof *copy);
    if (n)
        memcpy(copy, items, n * sizeof *copy);
    aic_list *list = aic_arena_alloc(a, 1, sizeof *list);
    *list = (aic_list){n, copy};
    return (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
}

/* ---- the config ---- */

static bool list_value(const aic_node *n, aic_arena *a, aic_value *out, aic_error *err);

/* A config value as the language sees it. */
static bool node_value(const aic_node *n, aic_arena *a, aic_value *out, aic_error *err) {
    if (aic_node_scalar(n, out))
        return true;
    if (n->kind == AIC_K_LIST)
        return list_value(n, a, out, err);
    return aic_fail(err, AIC_BAD_INPUT, "config holds a mapping here; name one of its keys");
}

static bool list_value(const aic_node *n, aic_arena *a, aic_value *out, aic_error *err) {
    aic_value *items = aic_arena_alloc(a, n->count, sizeof *items);
    for (size_t i = 0; i < n->count; i++)
        if (!node_value(n->items[i], a, &items[i], err))
            return false;
    aic_list *list = aic_arena_alloc(a, 1, sizeof *list);
    *list = (aic_list){n->count, items};
    *out = (aic_value){.type = AIC_V_LIST, .u = {.list = list}};
    return true;
}

/* config('a.b', default): a value of the map facts are read from. Absent: the default, or null. An explicit
 * null stays null. */
static bool look_up(const aic_node *map, aic_arena *a, const aic_value *args, int n, aic_value *out,
                    aic_error *err) {
    if (args[0].type != AIC_V_STR)
        return aic_fail(err, AIC_BAD_INPUT, "config takes the path of a config key in quotes");
    const aic_node *found = mdl_path(map, args[0].u.s);
    if (found)
        return node_value(found, a, out, err);
    *out = n > 1 ? args[1] : AIC_NULL_VALUE;
    return true;
}

FN(config) {
    return look_up(((mdl_frame *)ctx)->model->pub.text, a, args, n, out, err);
}

/* required('a.b'): the same of a key that must be there. */
FN(required) {
    const mdl_model *m = &((mdl_frame *)ctx)->model->pub;
    if (!look_up(m->text, a, args, n, out, err))
        return false;
    return out->type != AIC_V_NULL ||
           aic_fail(err, AIC_BAD_INPUT, "the config of %s has no \"%s\"", m->id, args[0].u.s);
}

FN(top_config) {
    return look_up(((mdl_frame *)ctx)->model->pub.config, a, args, n, out, err);
}

/* table('blocks', 'a.b', 'c'): for each mapping of a list of the config, the values of some of its keys. */
FN(table) {
    const mdl_model *m = &((mdl_frame *)ctx)->model->pub;
    for (int k = 0; k < n; k++)
        if (args[k].type != AIC_V_STR)
            return aic_fail(err, AIC_BAD_INPUT, "table takes paths of config keys in quotes");
    const aic_node *rows = mdl_path(m->text, args[0].u.s);
    size_t count = rows && rows->kind == AIC_K_LIST ? rows->count : 0, columns = (size_t)n - 1;
    aic_value *items = aic_arena_alloc(a, count, sizeof *items),
              *cells = aic_arena_alloc(a, columns, sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < columns; k++) {
            const aic_node *found = mdl_path(rows->items[i], args[k + 1].u.s);
            cells[k] = AIC_NULL_VALUE;
            if (found && !node_value(found, a, &cells[k], err))
                return false;
        }
        items[i] = mdl_list(a, cells, columns);
    }
    *out = mdl_list(a, items, count);
    return true;
}

/* listed(v): a list, or the integers of a text with commas between them; empty for null and blank text. */
FN(listed) {
    UNUSED(ctx), UNUSED(n);
    if (args[0].type == AIC_V_LIST) {
        *out = args[0];
        return true;
    }
    *out = mdl_list(a, NULL, 0);
    if (args[0].type == AIC_V_NULL)
        return true;
    if (args[0].type != AIC_V_STR)
        return aic_fail(err, AIC_BAD_INPUT, "listed takes a list or a text, not %s",
                        aic_vtype_name(args[0].type));
    const char *s = args[0].u.s;
    if (!s[strspn(s, " \t\r\n")])
        return true;
    aic_value *items = aic_arena_alloc(a, aic_add(strlen(s), 1), sizeof *items);
    size_t count = 0;
    for (const char *end;; s = end + 1) {
        char *word = aic_arena_strndup(a, s, strcspn(s, ","));
        end = s + strlen(word);
        word += strspn(word, " \t\r\n");
        word[strcspn(word, " \t\r\n")] = '\0';
        int64_t i;
        if (!aic_parse_i64(word, &i))
            return aic_fail(err, AIC_BAD_INPUT, "listed: \"%s\" is not an integer", word);
        items[count++] = aic_int(i);
        if (!*end)
            break;
    }
    *out = mdl_list(a, items, count);
    return true;
}

/* per_layer(v): a list as it is, anything else once for each layer. */
FN(per_layer) {
    UNUSED(n), UNUSED(err);
    *out = args[0];
    if (args[0].type == AIC_V_LIST)
        return true;
    size_t count = (size_t)((mdl_frame *)ctx)->model->pub.layers;
    aic_value *items = aic_arena_alloc(a, count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = args[0];
    *out = mdl_list(a, items, count);
    return true;
}

/* ---- counting ---- */

static bool same_value(const aic_value *x, const aic_value *y) {
    double a = 0, b = 0;
    if (x->type == AIC_V_LIST && y->type == AIC_V_LIST) {
        bool same = x->u.list->count == y->u.list->count;
        for (size_t i = 0; same && i < x->u.list->count; i++)
            same = same_value(&x->u.list->items[i], &y->u.list->items[i]);
        return same;
    }
    if (x->type == AIC_V_STR || y->type == AIC_V_STR)
        return x->type == y->type && strcmp(x->u.s, y->u.s) == 0;
    if (aic_as_real(x, &a) && aic_as_real(y, &b))
        return a == b;
    return x->type == y->type && (x->type == AIC_V_NULL || (x->type == AIC_V_BOOL && x->u.b == y->u.b));
}

/* count(all, what, ...): items of a list, or characters of a text, that equal one of the others. */
FN(count) {
    UNUSED(ctx), UNUSED(a);
    int64_t found = 0;
    if (args[0].type == AIC_V_STR) {
        for (const char *c = args[0].u.s; *c; c++) {
            char one[2] = {*c, '\0'};
            aic_value v = aic_str(one);
            for (int k = 1; k < n; k++)
                found += same_value(&v, &args[k]);
        }
    } else if (args[0].type == AIC_V_LIST) {
        for (size_t i = 0; i < args[0].u.list->count; i++)
            for (int k = 1; k < n; k++)
                found += same_value(&args[0].u.list->items[i], &args[k]);
    } else {
        return aic_fail(err, AIC_BAD_INPUT, "count takes a list or a text first, not %s",
                        aic_vtype_name(args[0].type));
    }
    *out = aic_int(found);
    return true;
}

/* runs(rows): equal neighbours of a list of lists become one row, which ends with how many they are. */
FN(runs) {
    UNUSED(ctx), UNUSED(n);
    if (args[0].type != AIC_V_LIST)
        return aic_fail(err, AIC_BAD_INPUT, "runs takes a list of lists, not %s",
                        aic_vtype_name(args[0].type));
    const aic_list *rows = args[0].u.list;
    aic_value *items = aic_arena_alloc(a, rows->count, sizeof *items);
    size_t count = 0;
    for (size_t i = 0, next; i < rows->count; i = next) {
        if (rows->items[i].type != AIC_V_LIST)
            return aic_fail(err, AIC_BAD_INPUT, "runs takes a list of lists, but an item is %s",
                            aic_vtype_name(rows->items[i].type));
        for (next = i + 1; next < rows->count && same_value(&rows->items[i], &rows->items[next]);)
            next++;
        const aic_list *row = rows->items[i].u.list;
        aic_value *cells = aic_arena_alloc(a, aic_add(row->count, 1), sizeof *cells);
        if (row->count)
            memcpy(cells, row->items, row->count * sizeof *cells);
        cells[row->count] = aic_int((int64_t)(next - i));
        items[count++] = mdl_list(a, cells, row->count + 1);
    }
    *out = mdl_list(a, items, count);
    return true;
}

/* ---- modes ---- */

FN(bytes) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    pdb_quant q = PDB_Q_UNSET;
    if (args[0].type == AIC_V_STR)
        q = pdb_quant_parse(args[0].u.s, PDB_GEMM | PDB_MOE | PDB_FMHA | PDB_KV | PDB_COMM);
    if (q == PDB_Q_UNSET)
        return aic_fail(err, AIC_BAD_INPUT, "bytes takes the name of a quantisation mode");
    *out = aic_real(pdb_quant_get(q)->bytes);
    return true;
}

/* a2a_format(backend, expert mode, phase, 'dispatch' or 'combine', system): what an exchange carries; null
 * when nothing serves the mode. */
FN(a2a_format) {
    UNUSED(ctx), UNUSED(a), UNUSED(n);
    for (int i = 0; i < 4; i++)
        if (args[i].type != AIC_V_STR)
            return aic_fail(err, AIC_BAD_INPUT, "a2a_format takes texts, not %s",
                            aic_vtype_name(args[i].type));
    pdb_quant moe = pdb_quant_parse(args[1].u.s, PDB_MOE);
    if (moe == PDB_Q_UNSET)
        return aic_fail(err, AIC_BAD_INPUT, "a2a_format: \"%s\" is no expert mode", args[1].u.s);
    const char *format =
        mdl_a2a_format(args[0].u.s, moe, strcmp(args[2].u.s, "context") == 0,
                       strcmp(args[3].u.s, "combine") == 0, args[4].type == AIC_V_STR ? args[4].u.s : NULL);
    *out = format ? aic_str(format) : AIC_NULL_VALUE;
    return true;
}

const aic_fn mdl_functions[] = {
    {"config", 1, 2, fn_config},
    {"required", 1, 1, fn_required},
    {"top_config", 1, 2, fn_top_config},
    {"table", 2, 16, fn_table},
    {"listed", 1, 1, fn_listed},
    {"count", 2, 16, fn_count},
    {"runs", 1, 1, fn_runs},
    {"bytes", 1, 1, fn_bytes},
    {"per_layer", 1, 1, fn_per_layer},
    {"a2a_format", 5, 5, fn_a2a_format},
};
const size_t mdl_n_functions = sizeof mdl_functions / sizeof *mdl_functions;
