/* Reads a sweep spec: the top level of the file, its blocks and its ranking defaults (docs/formats/spec.md).
 */
#include "sweep/internal.h"
#include <stdlib.h>
#include <string.h>

#define SPEC_FORMAT  "aicfg-sweep-spec"
#define SPEC_VERSION 1

/* "sweeps/h200.yaml" -> "h200" */
static const char *base_name(aic_arena *a, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t len = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    return aic_arena_strndup(a, name, len);
}

/* A path as the spec means it: relative to the spec's folder. */
static const char *beside(aic_arena *a, const char *spec, const char *path) {
    const char *slash = strrchr(spec, '/');
    if (*path == '/' || !slash)
        return path;
    return aic_arena_printf(a, "%.*s/%s", (int)(slash - spec), spec, path);
}

static bool optional_text(const aic_node *map, const char *key, const char **out, aic_error *err) {
    const aic_node *n = aic_map_get(map, key);
    return !n || aic_node_text(n, key, out, err);
}

/* ---- rank:
 * ------------------------------------------------------------------------------------------------------------------
 */

static bool check_column(const aic_node *at, const char *name, size_t len, aic_error *err) {
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)len, name);
    if (res_column_find(text) >= 0)
        return true;
    const char *near = res_column_nearest(text);
    return aic_node_fail(err, at, "\"%s\" is no column of a result%s%s%s", text,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* "a,b" or a list of names, as comma-separated text; every name is a column. */
static bool read_columns(aic_arena *a, const aic_node *map, const char *key, const char **out,
                         aic_error *err) {
    const aic_node *n = aic_map_get(map, key);
    const char *text = "";
    if (!n)
        return true;
    if (n->kind == AIC_K_LIST) {
        for (size_t i = 0; i < n->count; i++) {
            const char *item;
            if (!aic_node_text(n->items[i], key, &item, err))
                return false;
            text = i ? aic_arena_printf(a, "%s,%s", text, item) : item;
        }
    } else if (!aic_node_text(n, key, &text, err)) {
        return false;
    }
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        if (!check_column(n, p, len, err))
            return false;
        p += len;
        if (!*p)
            break;
    }
    *out = text;
    return true;
}

static bool read_order(const aic_node *map, int *descending, aic_error *err) {
    const char *order = NULL;
    if (!optional_text(map, "order", &order, err))
        return false;
    if (order && strcmp(order, "ascending") != 0 && strcmp(order, "descending") != 0)
        return aic_node_fail(err, aic_map_get(map, "order"),
                             "order: expected ascending or descending, found \"%s\"", order);
    *descending = !order ? -1 : strcmp(order, "descending") == 0;
    return true;
}

static void init_rank(res_rank_options *r) {
    *r = (res_rank_options){.descending = -1, .format = "table", .top = 20};
}

static bool read_rank(aic_arena *a, const aic_node *n, res_rank_options *r, aic_error *err) {
    uint32_t top = 0;
    init_rank(r);
    if (n->kind != AIC_K_MAP)
        return aic_node_fail(err, n,
                             "rank: expected a mapping such as {by: tokens_per_s_per_gpu, top: 10}, found %s",
                             aic_kind_name(n->kind));
    const aic_node *top_at = aic_map_get(n, "top"), *where = aic_map_get(n, "where");
    if (!swp_check_keys(n, &swp_rank_keys, err) || !read_order(n, &r->descending, err) ||
        !read_columns(a, n, "by", &r->by, err) || !read_columns(a, n, "group", &r->group, err) ||
        !read_columns(a, n, "pareto", &r->pareto, err) || !read_columns(a, n, "columns", &r->columns, err) ||
        !optional_text(n, "where", &r->where, err))
        return false;
    if (r->by && strchr(r->by, ','))
        return aic_node_fail(err, aic_map_get(n, "by"), "by: expected one column");
    if (r->pareto && (!strchr(r->pareto, ',') || strchr(strchr(r->pareto, ',') + 1, ',')))
        return aic_node_fail(err, aic_map_get(n, "pareto"), "pareto: expected two columns, x and y");
    if (where && !aic_expr_compile(a, where->text, where->file, where->line, where->column + where->quoted,
                                   res_column_scope(), err))
        return false;
    if (top_at && !aic_node_u32(top_at, "top", 0, UINT32_MAX, &top, err))
        return false;
    if (top_at)
        r->top = top;
    return true;
}

bool swp_rank_defaults(aic_arena *a, const char *spec_text, const char *overrides, res_rank_options *out,
                       aic_error *err) {
    aic_node *root = aic_doc_yaml_text(a, "the stored spec", spec_text, strlen(spec_text), NULL);
    init_rank(out);
    if (!root || root->kind != AIC_K_MAP)
        return true;
    for (const char *line = overrides ? overrides : ""; *line;) {
        size_t len = strcspn(line, "\n");
        if (!swp_set_apply(a, &root, aic_arena_strndup(a, line, len), err))
            return false;
        line += len + (line[len] == '\n');
    }
    const aic_node *rank = aic_map_get(root, "rank");
    return !rank || read_rank(a, rank, out, err);
}

/* ---- top level
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool check_format(const aic_node *root, aic_error *err) {
    const aic_node *version = aic_map_get(root, "version");
    const char *format = NULL;
    int64_t v = SPEC_VERSION;
    if (!optional_text(root, "format", &format, err))
        return false;
    if (format && strcmp(format, SPEC_FORMAT) != 0)
        return aic_node_fail(err, aic_map_get(root, "format"), "format: expected %s, found \"%.60s\"",
                             SPEC_FORMAT, format);
    if (version && !aic_node_i64(version, "version", 1, INT64_MAX, &v, err))
        return false;
    return v == SPEC_VERSION ||
           aic_node_fail(err, version, "version: this program reads version %d of the format, not %lld",
                         SPEC_VERSION, (long long)v);
}

static bool read_blocks(swp_sweep *s, const aic_node *root, const srv_env *env, aic_error *err) {
    const aic_node *sweep = aic_map_get(root, "sweep"), *defaults = aic_map_get(root, "defaults");
    size_t n = sweep->kind == AIC_K_LIST ? sweep->count : 1;
    if (defaults && defaults->kind != AIC_K_MAP)
        return aic_node_fail(err, defaults, "defaults: expected a mapping, found %s",
                             aic_kind_name(defaults->kind));
    if (defaults && !swp_check_keys(defaults, &swp_block_keys, err))
        return false;
    if (n == 0)
        return aic_node_fail(err, sweep, "sweep: expected at least one block");
    s->blocks = aic_arena_alloc(s->arena, n, sizeof *s->blocks);
    for (s->n_blocks = 0; s->n_blocks < n; s->n_blocks++) {
        const aic_node *block = sweep->kind == AIC_K_LIST ? sweep->items[s->n_blocks] : sweep;
        if (!swp_block_read(s, block, defaults, env, &s->blocks[s->n_blocks], err))
            return false;
    }
    return swp_grid_build(s, err);
}

static bool read_root(swp_sweep *s, const char *path, const aic_node *root, const srv_env *env,
                      aic_error *err) {
    const aic_node *sweep = aic_map_get(root, "sweep"), *points = aic_map_get(root, "points");
    const aic_node *rank = aic_map_get(root, "rank"), *defaults = aic_map_get(root, "defaults");
    const char *list;
    if (root->kind != AIC_K_MAP)
        return aic_node_fail(err, root, "a spec: expected a mapping with the key sweep, found %s",
                             aic_kind_name(root->kind));
    if (!swp_check_keys(root, &swp_spec_keys, err) || !check_format(root, err) ||
        !optional_text(root, "name", &s->name, err) || !optional_text(root, "output", &s->output, err))
        return false;
    if (!sweep == !points)
        return aic_node_fail(err, points ? points : root,
                             "a spec has either sweep (blocks) or points (a CSV file)%s",
                             points ? ", not both" : "");
    res_rank_options checked;
    if (rank && !read_rank(s->arena, rank, &checked, err))
        return false;
    if (sweep)
        return read_blocks(s, root, env, err);
    if (defaults)
        return aic_node_fail(err, defaults,
                             "defaults belong to sweep; a point list gives every value itself");
    return aic_node_text(points, "points", &list, err) && swp_list_read(s, beside(s->arena, path, list), err);
}

static bool load_spec(swp_sweep *s, const char *path, const char *const *sets, size_t n_sets,
                      const srv_env *env, aic_error *err) {
    aic_buf text = {0};
    char why[512];
    if (!aic_read_file(path, SWP_MAX_SPEC_BYTES, &text, why, sizeof why))
        return aic_fail(err, AIC_IO, "%s", why);
    s->text = aic_arena_strndup(s->arena, text.data ? text.data : "", text.len);
    aic_node *root = aic_doc_yaml_text(s->arena, aic_arena_strdup(s->arena, path), s->text, text.len, err);
    aic_buf_free(&text);
    if (!root)
        return false;
    for (size_t i = 0; i < n_sets; i++)
        if (!swp_set_apply(s->arena, &root, sets[i], err))
            return false;
    return read_root(s, path, root, env, err);
}

static swp_sweep *new_sweep(const char *path) {
    swp_sweep *s = AIC_NEW(swp_sweep);
    s->arena = aic_arena_new();
    s->name = base_name(s->arena, path);
    s->text = "";
    return s;
}

swp_sweep *swp_load(const char *path, const char *const *sets, size_t n_sets, const srv_env *env,
                    aic_error *err) {
    swp_sweep *s = new_sweep(path);
    if (load_spec(s, path, sets, n_sets, env, err))
        return s;
    swp_free(s);
    return NULL;
}

swp_sweep *swp_load_points(const char *path, aic_error *err) {
    swp_sweep *s = new_sweep(path);
    if (swp_list_read(s, path, err))
        return s;
    swp_free(s);
    return NULL;
}

void swp_free(swp_sweep *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n_blocks; i++)
        free(s->blocks[i].kept);
    free(s->deps);
    free(s->list_deps);
    free(s->rows);
    aic_arena_free(s->arena);
    free(s);
}

uint64_t swp_points(const swp_sweep *s) {
    return s->points;
}

size_t swp_deployments(const swp_sweep *s) {
    return s->n_deps;
}

const char *swp_output(const swp_sweep *s) {
    return s->output;
}

const char *swp_text(const swp_sweep *s) {
    return s->text;
}

const char *swp_name(const swp_sweep *s) {
    return s->name;
}
