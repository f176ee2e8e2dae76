/* Reads architectures.yaml of every folder: which family an architecture runs, and the rules that hang on it.
 * Folders go first to last: what an earlier one says of a name hides what a later one says, and its rules
 * come before the later one's. */
#include "models/internal.h"
#include <string.h>

typedef struct reader {
    aic_arena *arena;
    const aic_node **docs; /* the folders' files */
    size_t n_docs;
    mdl_archs *out;
    aic_error *err;
} reader;

/* Room for one section of all files together. */
static void *room_for(const reader *r, const char *key, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_docs; i++) {
        const aic_node *section = aic_map_get(r->docs[i], key);
        n = aic_add(n, section ? section->count : 0);
    }
    return aic_arena_alloc(r->arena, n, size);
}

static bool read_text(const reader *r, const aic_node *map, const char *key, const char **out) {
    const aic_node *n = aic_map_get(map, key);
    *out = NULL;
    return !n || aic_node_text(n, key, out, r->err);
}

static bool read_list(const reader *r, const aic_node *n, const char *what, op_texts *out) {
    *out = (op_texts){0};
    if (!n)
        return true;
    if (n->kind != AIC_K_LIST)
        return aic_node_fail(r->err, n, "%s: expected a list of names, found %s", what,
                             aic_kind_name(n->kind));
    const char **items = aic_arena_alloc(r->arena, n->count, sizeof *items);
    for (size_t i = 0; i < n->count; i++)
        if (!aic_node_text(n->items[i], what, &items[i], r->err))
            return false;
    *out = (op_texts){n->count, items};
    return true;
}

static bool read_mode(const reader *r, const aic_node *n, unsigned kind, pdb_quant *out) {
    const char *name;
    *out = PDB_Q_UNSET;
    if (!n)
        return true;
    if (!aic_node_text(n, "mode", &name, r->err))
        return false;
    *out = pdb_quant_parse(name, kind);
    return *out != PDB_Q_UNSET || aic_node_fail(r->err, n, "\"%s\" is not a %s mode; the modes are: %s", name,
                                                pdb_quant_kind_name(kind), pdb_quant_names(kind));
}

static const aic_expr *read_rule(const reader *r, const aic_node *n, const char *what, mdl_level latest) {
    mdl_names names = {.latest = latest};
    return mdl_node_expr(r->arena, n, what, &names, r->err);
}

static const mdl_family *find_family(const mdl_archs *archs, const char *name) {
    for (size_t i = 0; i < archs->n_families; i++)
        if (strcmp(archs->families[i].name, name) == 0)
            return &archs->families[i];
    return NULL;
}

static bool read_families(const reader *r, const aic_node *map) {
    if (map && !mdl_map(map))
        return aic_node_fail(r->err, map, "families: expected a mapping of family to rule");
    for (size_t i = 0; map && i < map->count; i++) {
        mdl_family f = {map->keys[i]->text, read_rule(r, map->items[i], map->keys[i]->text, MDL_OF_MODEL)};
        if (!f.is_moe)
            return false;
        if (!find_family(r->out, f.name))
            r->out->families[r->out->n_families++] = f;
    }
    return true;
}

static bool read_arch(const reader *r, const aic_node *key, const aic_node *map, mdl_arch *out) {
    static const char *const keys[] = {"family", "text", "moe_layers", "kvcache", "fp4_experts"};
    const char *family;
    out->name = key->text;
    if (!aic_map_check_keys(map, out->name, keys, sizeof keys / sizeof *keys, r->err) ||
        !aic_node_text(aic_map_get(map, "family"), "family", &family, r->err) ||
        !read_text(r, map, "text", &out->text_key) ||
        !read_mode(r, aic_map_get(map, "kvcache"), PDB_KV, &out->kvcache) ||
        !read_mode(r, aic_map_get(map, "fp4_experts"), PDB_MOE, &out->fp4_experts))
        return false;
    out->family = find_family(r->out, family);
    if (!out->family)
        return aic_node_fail(r->err, aic_map_get(map, "family"),
                             "family \"%s\" is not among families:", family);
    const aic_node *rule = aic_map_get(map, "moe_layers");
    if (rule)
        out->moe_layers = read_rule(r, rule, "moe_layers", MDL_OF_MODEL);
    return !rule || out->moe_layers;
}

static bool read_archs(const reader *r, const aic_node *map) {
    if (map && !mdl_map(map))
        return aic_node_fail(r->err, map, "architectures: expected a mapping of class name to family");
    for (size_t i = 0; map && i < map->count; i++) {
        mdl_arch arch = {0};
        if (!read_arch(r, map->keys[i], map->items[i], &arch))
            return false;
        if (!mdl_arch_find(r->out, arch.name))
            r->out->archs[r->out->n_archs++] = arch;
    }
    return true;
}

static bool read_fmha_rule(const reader *r, const aic_node *map, mdl_fmha_rule *out) {
    static const char *const keys[] = {"families", "backends", "tables"};
    op_texts tables;
    if (!aic_map_check_keys(map, "fmha_tables", keys, 3, r->err) ||
        !read_list(r, aic_map_get(map, "families"), "families", &out->families) ||
        !read_list(r, aic_map_get(map, "backends"), "backends", &out->backends) ||
        !read_list(r, aic_map_get(map, "tables"), "tables", &tables))
        return false;
    if (tables.count > MDL_FMHA_TABLES)
        return aic_node_fail(r->err, map, "at most %d tables", MDL_FMHA_TABLES);
    for (size_t i = 0; i < tables.count; i++) {
        out->tables[i] = mdl_fmha_table(tables.items[i]);
        if (!out->tables[i])
            return aic_node_fail(r->err, map, "\"%s\" is not a table of attention modules", tables.items[i]);
    }
    out->n_tables = tables.count;
    return true;
}

static bool read_fmha(const reader *r, const aic_node *list) {
    if (!list)
        return true;
    if (list->kind != AIC_K_LIST)
        return aic_node_fail(r->err, list, "fmha_tables: expected a list");
    for (size_t i = 0; i < list->count; i++)
        if (!read_fmha_rule(r, list->items[i], &r->out->fmha[r->out->n_fmha++]))
            return false;
    return true;
}

static bool read_correction(const reader *r, const aic_node *map, const char *where, mdl_correction *out) {
    static const char *const keys[] = {"mode", "to", "when"};
    const char *mode;
    if (!aic_map_check_keys(map, where, keys, 3, r->err) ||
        !aic_node_text(aic_map_get(map, "mode"), "mode", &mode, r->err))
        return false;
    out->kind = strcmp(mode, "moe") == 0       ? PDB_MOE
                : strcmp(mode, "fmha") == 0    ? PDB_FMHA
                : strcmp(mode, "kvcache") == 0 ? PDB_KV
                                               : 0;
    if (!out->kind)
        return aic_node_fail(r->err, aic_map_get(map, "mode"),
                             "mode: expected moe, fmha or kvcache, found \"%s\"", mode);
    if (!aic_map_get(map, "to"))
        return aic_node_fail(r->err, map, "%s: \"to\" is missing", where);
    out->when = read_rule(r, aic_map_get(map, "when"), "when", MDL_OF_DEPLOYMENT);
    return out->when && read_mode(r, aic_map_get(map, "to"), out->kind, &out->to);
}

static bool read_corrections(const reader *r, const aic_node *list, const char *where, mdl_corrections *out) {
    if (!list)
        return true;
    if (list->kind != AIC_K_LIST)
        return aic_node_fail(r->err, list, "%s: expected a list of corrections", where);
    for (size_t i = 0; i < list->count; i++)
        if (!read_correction(r, list->items[i], where, &out->items[out->count++]))
            return false;
    return true;
}

static bool check_format(const reader *r, const aic_node *doc) {
    static const char *const keys[] = {"format",      "version",           "families",  "architectures",
                                       "fmha_tables", "on_nodes",          "on_system", "on_build",
                                       "on_search",   "banned_from_search"};
    const char *format;
    int64_t version;
    if (!aic_map_check_keys(doc, "architectures file", keys, sizeof keys / sizeof *keys, r->err) ||
        !aic_node_text(aic_map_get(doc, "format"), "format", &format, r->err))
        return false;
    if (strcmp(format, "aicfg-architectures") != 0)
        return aic_node_fail(r->err, doc, "format: expected aicfg-architectures, found \"%s\"", format);
    return aic_node_i64(aic_map_get(doc, "version"), "version", 1, 1, &version, r->err);
}

/* One section of every file, in order. */
static bool read_all(const reader *r, const char *key,
                     bool (*read)(const reader *r, const aic_node *section)) {
    for (size_t i = 0; i < r->n_docs; i++)
        if (!read(r, aic_map_get(r->docs[i], key)))
            return false;
    return true;
}

static bool read_on_nodes(const reader *r, const aic_node *list) {
    return read_corrections(r, list, "on_nodes", &r->out->on_nodes);
}

static bool read_on_system(const reader *r, const aic_node *list) {
    return read_corrections(r, list, "on_system", &r->out->on_system);
}

static bool read_on_build(const reader *r, const aic_node *list) {
    return read_corrections(r, list, "on_build", &r->out->on_build);
}

static bool read_on_search(const reader *r, const aic_node *list) {
    return read_corrections(r, list, "on_search", &r->out->on_search);
}

static bool read_bans(const reader *r, const aic_node *list) {
    static const char *const keys[] = {"when", "refuse"};
    if (list && list->kind != AIC_K_LIST)
        return aic_node_fail(r->err, list, "banned_from_search: expected a list");
    for (size_t i = 0; list && i < list->count; i++) {
        const aic_node *map = list->items[i];
        mdl_ban *ban = &r->out->banned_from_search[r->out->n_banned++];
        if (!aic_map_check_keys(map, "banned_from_search", keys, 2, r->err) ||
            !aic_node_text(aic_map_get(map, "refuse"), "refuse", &ban->text, r->err))
            return false;
        ban->when = read_rule(r, aic_map_get(map, "when"), "when", MDL_OF_DEPLOYMENT);
        if (!ban->when)
            return false;
    }
    return true;
}

bool mdl_archs_load(aic_arena *a, const char *const *paths, size_t n, mdl_archs *out, aic_error *err) {
    reader r = {a, aic_arena_alloc(a, n, sizeof *r.docs), n, out, err};
    for (size_t i = 0; i < n; i++) {
        r.docs[i] = aic_doc_yaml_file(a, paths[i], err);
        if (!r.docs[i] || !check_format(&r, r.docs[i]))
            return false;
    }
    *out = (mdl_archs){.families = room_for(&r, "families", sizeof *out->families),
                       .archs = room_for(&r, "architectures", sizeof *out->archs),
                       .fmha = room_for(&r, "fmha_tables", sizeof *out->fmha),
                       .on_nodes.items = room_for(&r, "on_nodes", sizeof *out->on_nodes.items),
                       .on_system.items = room_for(&r, "on_system", sizeof *out->on_system.items),
                       .on_build.items = room_for(&r, "on_build", sizeof *out->on_build.items),
                       .on_search.items = room_for(&r, "on_search", sizeof *out->on_search.items),
                       .banned_from_search =
                           room_for(&r, "banned_from_search", sizeof *out->banned_from_search)};
    return read_all(&r, "families", read_families) && read_all(&r, "architectures", read_archs) &&
           read_all(&r, "fmha_tables", read_fmha) && read_all(&r, "on_nodes", read_on_nodes) &&
           read_all(&r, "on_system", read_on_system) && read_all(&r, "on_build", read_on_build) &&
           read_all(&r, "on_search", read_on_search) && read_all(&r, "banned_from_search", read_bans);
}

const mdl_arch *mdl_arch_find(const mdl_archs *archs, const char *name) {
    for (size_t i = 0; i < archs->n_archs; i++)
        if (strcmp(archs->archs[i].name, name) == 0)
            return &archs->archs[i];
    return NULL;
}

const mdl_fmha_rule *mdl_fmha_rule_find(const mdl_archs *archs, const char *family, const char *backend) {
    for (size_t i = 0; i < archs->n_fmha; i++) {
        const mdl_fmha_rule *r = &archs->fmha[i];
        if (mdl_texts_have(&r->families, family) &&
            (r->backends.count == 0 || mdl_texts_have(&r->backends, backend)))
            return r;
    }
    return NULL;
}
