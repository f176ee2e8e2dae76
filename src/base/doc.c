#include "base/doc.h"
#include "base/doc_internal.h"
#include "base/error_internal.h"
#include "base/text_internal.h"
#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool aic_doc_read_file(const char *path, aic_buf *text, aic_error *err) {
    char why[512];
    if (aic_read_file(path, AIC_DOC_MAX_BYTES, text, why, sizeof why))
        return true;
    return aic_fail(err, AIC_IO, "%s", why);
}

void aic_node_list_add(aic_node_list *l, aic_node *n) {
    AIC_GROW(l->nodes, l->count, l->cap);
    l->nodes[l->count++] = n;
}

aic_node **aic_node_list_take(aic_node_list *l, aic_arena *a) {
    aic_node **nodes = aic_arena_alloc(a, l->count, sizeof *nodes);
    if (l->count)
        memcpy(nodes, l->nodes, l->count * sizeof *nodes);
    free(l->nodes);
    *l = (aic_node_list){0};
    return nodes;
}

const char *aic_kind_name(aic_kind k) {
    static const char *const names[] = {"null", "a boolean", "an integer", "a real number",
                                        "text", "a list",    "a mapping"};
    return names[k];
}

aic_node *aic_map_get(const aic_node *map, const char *key) {
    if (!map || map->kind != AIC_K_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

bool aic_node_fail(aic_error *err, const aic_node *n, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    aic_vfail_at(err, n ? n->file : NULL, n ? n->line : 0, n ? n->column : 0, fmt, ap);
    va_end(ap);
    return false;
}

/* What stands in the document, for "expected ..., found ...". */
static void describe(const aic_node *n, char out[160]) {
    char shown[AIC_SHOWN];
    if (!n)
        snprintf(out, 160, "nothing");
    else if (n->kind == AIC_K_TEXT)
        snprintf(out, 160, "the text \"%s\"", aic_shown(n->text, shown));
    else if (n->kind == AIC_K_BOOL || n->kind == AIC_K_INT || n->kind == AIC_K_REAL)
        snprintf(out, 160, "%s", aic_shown(n->text, shown));
    else
        snprintf(out, 160, "%s", aic_kind_name(n->kind));
}

/* Helps whoever wrote what other YAML rules, or a careless eye, would take for the value wanted. */
static const char *hint(const aic_node *n, aic_kind wanted) {
    if (!n || n->kind != AIC_K_TEXT)
        return "";
    if (n->quoted && wanted == AIC_K_BOOL && (!strcmp(n->text, "true") || !strcmp(n->text, "false")))
        return "; leave the quotes out";
    if (n->quoted && wanted != AIC_K_BOOL && aic_shape_of_number(n->text) != AIC_NOT_A_NUMBER)
        return "; leave the quotes out";
    if (!n->lookalike)
        return "";
    if (wanted == AIC_K_BOOL)
        return "; booleans are written true or false";
    return "; numbers are written in plain decimal, without leading zeros, underscores or prefixes, and "
           "within 64 bits";
}

static bool fail_expected(const aic_node *n, const char *what, const char *wanted, aic_kind kind,
                          aic_error *err) {
    char found[160];
    describe(n, found);
    return aic_node_fail(err, n, "%s: expected %s, found %s%s", what, wanted, found, hint(n, kind));
}

bool aic_node_i64(const aic_node *n, const char *what, int64_t min, int64_t max, int64_t *out,
                  aic_error *err) {
    if (n && n->kind == AIC_K_INT && n->i >= min && n->i <= max) {
        *out = n->i;
        return true;
    }
    char wanted[96];
    if (min == INT64_MIN && max == INT64_MAX)
        snprintf(wanted, sizeof wanted, "an integer");
    else if (max == INT64_MAX)
        snprintf(wanted, sizeof wanted, "an integer of at least %" PRId64, min);
    else if (min == INT64_MIN)
        snprintf(wanted, sizeof wanted, "an integer of at most %" PRId64, max);
    else
        snprintf(wanted, sizeof wanted, "an integer from %" PRId64 " to %" PRId64, min, max);
    return fail_expected(n, what, wanted, AIC_K_INT, err);
}

bool aic_node_u32(const aic_node *n, const char *what, uint32_t min, uint32_t max, uint32_t *out,
                  aic_error *err) {
    int64_t v = 0;
    if (!aic_node_i64(n, what, min, max, &v, err))
        return false;
    *out = (uint32_t)v;
    return true;
}

bool aic_node_f64(const aic_node *n, const char *what, double min, double max, double *out, aic_error *err) {
    if (n && (n->kind == AIC_K_INT || n->kind == AIC_K_REAL) && n->r >= min && n->r <= max) {
        *out = n->r;
        return true;
    }
    char wanted[96];
    if (min <= -DBL_MAX && max >= DBL_MAX)
        snprintf(wanted, sizeof wanted, "a number");
    else if (max >= DBL_MAX)
        snprintf(wanted, sizeof wanted, "a number of at least %g", min);
    else if (min <= -DBL_MAX)
        snprintf(wanted, sizeof wanted, "a number of at most %g", max);
    else
        snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
    return fail_expected(n, what, wanted, AIC_K_REAL, err);
}

bool aic_node_bool(const aic_node *n, const char *what, bool *out, aic_error *err) {
    if (!n || n->kind != AIC_K_BOOL)
        return fail_expected(n, what, "true or false", AIC_K_BOOL, err);
    *out = n->b;
    return true;
}

bool aic_node_text(const aic_node *n, const char *what, const char **out, aic_error *err) {
    if (!n || (n->kind != AIC_K_TEXT && n->kind != AIC_K_INT && n->kind != AIC_K_REAL)) {
        char found[160];
        describe(n, found);
        const char *help = n && n->kind == AIC_K_BOOL ? "; put it in quotes if text is meant" : "";
        return aic_node_fail(err, n, "%s: expected text, found %s%s", what, found, help);
    }
    *out = n->text;
    return true;
}

static const char *known_name(const void *ctx, size_t i) {
    return ((const char *const *)ctx)[i];
}

static bool is_known(const char *key, const char *const *known, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    return false;
}

static bool fail_unknown_key(const aic_node *key, const char *where, const char *const *known, size_t n,
                             aic_error *err) {
    char shown[AIC_SHOWN];
    aic_shown(key->text, shown);
    const char *nearest = aic_nearest(key->text, n, known_name, known);
    if (nearest)
        return aic_node_fail(err, key, "%s: unknown key \"%s\"; did you mean \"%s\"?", where, shown, nearest);
    aic_buf all = {0};
    for (size_t i = 0; i < n; i++)
        aic_buf_printf(&all, "%s%s", i ? ", " : "", known[i]);
    aic_node_fail(err, key, "%s: unknown key \"%s\"; the keys are: %s", where, shown, n ? all.data : "none");
    aic_buf_free(&all);
    return false;
}

bool aic_map_check_keys(const aic_node *map, const char *where, const char *const *known, size_t n,
                        aic_error *err) {
    if (!map || map->kind != AIC_K_MAP)
        return fail_expected(map, where, "a mapping", AIC_K_MAP, err);
    for (size_t i = 0; i < map->count; i++)
        if (!is_known(map->keys[i]->text, known, n))
            return fail_unknown_key(map->keys[i], where, known, n, err);
    return true;
}
