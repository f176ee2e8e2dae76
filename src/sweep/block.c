/* Reads one block of a spec: its deployment axes and workloads, with names checked against what exists. */
#include "sweep/internal.h"
#include <math.h>
#include <string.h>

typedef struct reader {
    aic_arena *a;
    const aic_node *block, *defaults;
    const srv_env *env;
    aic_error *err;
    swp_block *out;
} reader;

static const char *const layout_axes[] = {"tp", "pp", "dp", "moe_tp", "moe_ep", "cp"};
enum { N_LAYOUT_AXES = sizeof layout_axes / sizeof *layout_axes };

/* ---- where a value comes from
 * ------------------------------------------------------------------------------------------ */

static bool gives_any(const aic_node *map, const swp_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        if (aic_map_get(map, keys->keys[i].name))
            return true;
    return false;
}

static bool names(const swp_keys *keys, const char *key) {
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->keys[i].name, key) == 0)
            return true;
    return false;
}

/* A block that says how its layouts (or workloads) come about replaces all the defaults say about them. */
static bool replaced(const reader *r, const char *key) {
    if (strcmp(key, "layouts") == 0)
        return gives_any(r->block, &swp_layout_keys);
    if (strcmp(key, "workloads") == 0)
        return gives_any(r->block, &swp_load_keys);
    if (names(&swp_layout_keys, key))
        return swp_get(r->block, &swp_block_keys, "layouts") != NULL;
    return false;
}

/* The node of a key, from the block or from the defaults; NULL when neither has it. */
static const aic_node *pick(const reader *r, const char *key) {
    const aic_node *n = swp_get(r->block, &swp_block_keys, key);
    if (!n && !replaced(r, key))
        n = swp_get(r->defaults, &swp_block_keys, key);
    return n;
}

/* The map that pick() finds a key in. */
static const aic_node *owner(const reader *r, const char *key) {
    return swp_get(r->block, &swp_block_keys, key) ? r->block : r->defaults;
}

static uint32_t field_default(const char *name) {
    uint32_t v = 0;
    const char *text = swp_field_at((size_t)swp_field_find(name))->def;
    aic_parse_u32(text, &v);
    return v;
}

/* ---- names
 * ------------------------------------------------------------------------------------------------------------------
 */

/* A text axis; absent: the default of the field, or an error when it has none. */
static bool read_texts(reader *r, const char *key, const char *field, swp_texts *out) {
    const aic_node *n = pick(r, key);
    const char *def = swp_field_at((size_t)swp_field_find(field))->def;
    if (n)
        return swp_axis_text(r->a, n, field, out, r->err);
    if (!def)
        return aic_node_fail(r->err, r->block, "%s is missing: name at least one %s", key, field);
    out->n = 1;
    out->v = aic_arena_alloc(r->a, 1, sizeof *out->v);
    out->at = aic_arena_alloc(r->a, 1, sizeof *out->at);
    out->v[0] = def;
    out->at[0] = r->block;
    return true;
}

/* Hands on what another module says about a name, at the name's position. */
static bool fail_named(reader *r, const aic_node *at, const aic_error *cause) {
    aic_node_fail(r->err, at, "%s", cause->text);
    if (r->err)
        r->err->code = cause->code;
    return false;
}

static bool check_models(reader *r) {
    aic_error e = {0};
    swp_block *b = r->out;
    b->facts = aic_arena_alloc(r->a, b->models.n, sizeof *b->facts);
    if (!r->env || !r->env->models)
        return true;
    for (size_t i = 0; i < b->models.n; i++)
        if (!(b->facts[i] = mdl_get(r->env->models, b->models.v[i], &e)))
            return fail_named(r, b->models.at[i], &e);
    return true;
}

static bool any_view(const reader *r, const char *backend, const char *version, aic_error *e) {
    const swp_texts *systems = &r->out->systems;
    for (size_t i = 0; i < systems->n; i++)
        if (pdb_view_get(r->env->db, systems->v[i], backend, version, true, r->env->allow_unlisted, e))
            return true;
    return false;
}

static const char *nth_backend(const void *ctx, size_t i) {
    return srv_backend_name(ctx, i);
}

static bool fail_choice(reader *r, const aic_node *at, const char *what, const char *text,
                        const char *names_list, const char *near) {
    return aic_node_fail(r->err, at, "%s \"%.60s\" is not one of %s%s%s%s", what, text, names_list,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static bool check_backends(reader *r) {
    const srv_backends *known = r->env ? r->env->backends : NULL;
    const swp_texts *backends = &r->out->backends;
    for (size_t i = 0; known && i < backends->n; i++) {
        aic_buf all = {0};
        bool found = false;
        for (size_t j = 0; j < srv_backend_count(known); j++) {
            found = found || strcmp(srv_backend_name(known, j), backends->v[i]) == 0;
            aic_buf_printf(&all, "%s%s", j ? ", " : "", srv_backend_name(known, j));
        }
        if (!found)
            fail_choice(r, backends->at[i], "backend", backends->v[i], all.data ? all.data : "(none)",
                        aic_nearest(backends->v[i], srv_backend_count(known), nth_backend, known));
        aic_buf_free(&all);
        if (!found)
            return false;
    }
    return true;
}

/* Every system has a sheet; every version exists for one of the block's pairs of system and backend. What
 * lacks for single combinations becomes refused points. */
static bool check_places(reader *r) {
    aic_error e = {0};
    const swp_texts *systems = &r->out->systems, *backends = &r->out->backends, *versions = &r->out->versions;
    if (!check_backends(r))
        return false;
    if (!r->env || !r->env->db)
        return true;
    for (size_t i = 0; i < systems->n; i++)
        if (!pdb_system_get(r->env->db, systems->v[i], &e))
            return fail_named(r, systems->at[i], &e);
    for (size_t i = 0; i < versions->n; i++) {
        bool found = false;
        for (size_t j = 0; !found && j < backends->n; j++)
            found = any_view(r, backends->v[j], versions->v[i], &e);
        if (!found)
            return fail_named(r, versions->at[i], &e);
    }
    return true;
}

static const char *nth_mode(const void *ctx, size_t i) {
    (void)ctx;
    return srv_mode_name((srv_mode)i);
}

static const char *nth_database_mode(const void *ctx, size_t i) {
    (void)ctx;
    return op_mode_name((op_mode)i);
}

static bool read_modes(reader *r) {
    swp_texts modes, database;
    char list[256];
    swp_block *b = r->out;
    if (!read_texts(r, "modes", "mode", &modes) ||
        !read_texts(r, "database_modes", "database_mode", &database))
        return false;
    b->n[SWP_MODE] = modes.n;
    b->modes = aic_arena_alloc(r->a, modes.n, sizeof *b->modes);
    for (size_t i = 0; i < modes.n; i++)
        if (!srv_mode_parse(modes.v[i], &b->modes[i]))
            return fail_choice(r, modes.at[i], "mode", modes.v[i], swp_mode_names(list, sizeof list),
                               aic_nearest(modes.v[i], SRV_MODE_COUNT, nth_mode, NULL));
    b->n[SWP_DATABASE_MODE] = database.n;
    b->database_modes = aic_arena_alloc(r->a, database.n, sizeof *b->database_modes);
    for (size_t i = 0; i < database.n; i++)
        if (!op_mode_parse(database.v[i], &b->database_modes[i]))
            return fail_choice(r, database.at[i], "database mode", database.v[i],
                               swp_database_mode_names(list, sizeof list),
                               aic_nearest(database.v[i], OP_MODE_COUNT, nth_database_mode, NULL));
    return true;
}

static bool read_policies(reader *r) {
    swp_texts *policies = &r->out->policies;
    unsigned bits;
    if (!read_texts(r, "transfer_policies", "transfer_policy", policies))
        return false;
    for (size_t i = 0; i < policies->n; i++)
        if (*policies->v[i] && !op_policy_parse(policies->v[i], &bits))
            return fail_choice(r, policies->at[i], "transfer policy", policies->v[i], OP_POLICY_NAMES, NULL);
    r->out->n[SWP_POLICY] = policies->n;
    return true;
}

static bool read_names(reader *r) {
    swp_block *b = r->out;
    if (!read_modes(r) || !read_policies(r) || !read_texts(r, "models", "model", &b->models) ||
        !read_texts(r, "systems", "system", &b->systems) ||
        !read_texts(r, "backends", "backend", &b->backends) ||
        !read_texts(r, "versions", "version", &b->versions))
        return false;
    b->n[SWP_MODEL] = b->models.n;
    b->n[SWP_SYSTEM] = b->systems.n;
    b->n[SWP_BACKEND] = b->backends.n;
    b->n[SWP_VERSION] = b->versions.n;
    return check_models(r) && check_places(r);
}

/* ---- lists of mappings
 * ---------------------------------------------------------------------------------------------------- */

static size_t item_count(const aic_node *n) {
    return n->kind == AIC_K_LIST ? n->count : 1;
}

static const aic_node *item_at(const aic_node *n, size_t i) {
    return n->kind == AIC_K_LIST ? n->items[i] : n;
}

static bool check_list(reader *r, const aic_node *n, const char *what) {
    if (item_count(n) == 0)
        return aic_node_fail(r->err, n, "%s: expected at least one", what);
    if (item_count(n) > SWP_MAX_AXIS)
        return aic_node_fail(r->err, n, "%s: more than %d", what, SWP_MAX_AXIS);
    return true;
}

static bool check_item(reader *r, const aic_node *item, const swp_keys *keys) {
    if (item->kind != AIC_K_MAP)
        return aic_node_fail(r->err, item, "%s: expected a mapping, found %s", keys->where,
                             aic_kind_name(item->kind));
    return swp_check_keys(item, keys, r->err);
}

/* Items compare by their bytes: none of the structs has padding. */
static bool check_twins(reader *r, const aic_node *n, const char *what, const void *items, size_t size) {
    aic_intern *seen = aic_intern_new();
    bool ok = true;
    for (size_t i = 0; ok && i < item_count(n); i++) {
        const char *item = (const char *)items + i * size;
        bool found;
        aic_intern_find(seen, item, size, &found);
        if (found)
            ok = aic_node_fail(r->err, item_at(n, i), "%s: the same one stands in the list before", what);
        else
            aic_intern_add(seen, item, size);
    }
    aic_intern_free(seen);
    return ok;
}

/* ---- layouts
 * -----------------------------------------------------------------------------------------------------------------
 */

static uint32_t *layout_field(mdl_parallel *p, size_t i) {
    uint32_t *const at[N_LAYOUT_AXES] = {&p->tp, &p->pp, &p->dp, &p->moe_tp, &p->moe_ep, &p->cp};
    return at[i];
}

static const mdl_parallel one_gpu = {.tp = 1, .pp = 1, .dp = 1, .moe_tp = 0, .moe_ep = 0, .cp = 1};

static bool read_layout_list(reader *r, const aic_node *n) {
    swp_block *b = r->out;
    if (!check_list(r, n, "layouts"))
        return false;
    b->n[SWP_LAYOUT] = item_count(n);
    b->layouts = aic_arena_alloc(r->a, item_count(n), sizeof *b->layouts);
    for (size_t i = 0; i < item_count(n); i++) {
        const aic_node *item = item_at(n, i);
        b->layouts[i] = one_gpu;
        if (!check_item(r, item, &swp_layout_keys))
            return false;
        for (size_t j = 0; j < N_LAYOUT_AXES; j++) {
            const aic_node *value = aic_map_get(item, layout_axes[j]);
            if (value && !aic_node_u32(value, layout_axes[j], 1, SWP_MAX_PARALLEL,
                                       layout_field(&b->layouts[i], j), r->err))
                return false;
        }
    }
    return check_twins(r, n, "layouts", b->layouts, sizeof *b->layouts);
}

/* tp, pp, ... each an axis of its own: their product, last fastest. */
static bool read_layout_axes(reader *r) {
    swp_u32s axis[N_LAYOUT_AXES];
    swp_block *b = r->out;
    uint64_t n = 1;
    for (size_t j = 0; j < N_LAYOUT_AXES; j++) {
        const aic_node *node = pick(r, layout_axes[j]);
        axis[j] = (swp_u32s){0};
        if (node && !swp_axis_u32(r->a, node, layout_axes[j], 1, SWP_MAX_PARALLEL, &axis[j], r->err))
            return false;
        n *= axis[j].n ? axis[j].n : 1;
        if (n > SWP_MAX_AXIS)
            return aic_node_fail(r->err, node, "tp, pp, dp, moe_tp, moe_ep and cp give more than %d layouts",
                                 SWP_MAX_AXIS);
    }
    b->n[SWP_LAYOUT] = (size_t)n;
    b->layouts = aic_arena_alloc(r->a, (size_t)n, sizeof *b->layouts);
    for (size_t i = 0; i < n; i++) {
        size_t rest = i;
        b->layouts[i] = one_gpu;
        for (size_t j = N_LAYOUT_AXES; j-- > 0;) {
            if (!axis[j].n)
                continue;
            *layout_field(&b->layouts[i], j) = axis[j].v[rest % axis[j].n];
            rest /= axis[j].n;
        }
    }
    return true;
}

static bool read_layouts(reader *r) {
    const aic_node *list = pick(r, "layouts");
    if (list && gives_any(owner(r, "layouts"), &swp_layout_keys))
        return aic_node_fail(
            r->err, list,
            "layouts and tp, pp, dp, moe_tp, moe_ep, cp exclude each other: give one or the other");
    return list ? read_layout_list(r, list) : read_layout_axes(r);
}

/* ---- quantisation and speculation
 * ---------------------------------------------------------------------------------------------- */

static bool read_quant(reader *r, const aic_node *item, mdl_quants *q) {
    const struct {
        const char *key;
        unsigned kind;
        pdb_quant *at;
    } modes[] = {{"gemm", PDB_GEMM, &q->gemm},
                 {"moe", PDB_MOE, &q->moe},
                 {"kvcache", PDB_KV, &q->kvcache},
                 {"fmha", PDB_FMHA, &q->fmha},
                 {"comm", PDB_COMM, &q->comm}};
    const char *text;
    *q = (mdl_quants){PDB_Q_UNSET, PDB_Q_UNSET, PDB_Q_UNSET, PDB_Q_UNSET, PDB_Q_UNSET};
    if (item->kind == AIC_K_TEXT && strcmp(item->text, "auto") == 0)
        return true;
    if (item->kind != AIC_K_MAP)
        return aic_node_fail(r->err, item,
                             "quants: expected auto or a mapping such as {gemm: fp8, kvcache: fp8}, found %s",
                             aic_kind_name(item->kind));
    if (!swp_check_keys(item, &swp_quant_keys, r->err))
        return false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const aic_node *value = aic_map_get(item, modes[i].key);
        if (!value)
            continue;
        if (!aic_node_text(value, modes[i].key, &text, r->err))
            return false;
        *modes[i].at = pdb_quant_parse(text, modes[i].kind);
        if (*modes[i].at == PDB_Q_UNSET && strcmp(text, "auto") != 0)
            return aic_node_fail(r->err, value, "%s: \"%.60s\" is no %s mode; expected auto, %s",
                                 modes[i].key, text, pdb_quant_kind_name(modes[i].kind),
                                 pdb_quant_names(modes[i].kind));
    }
    return true;
}

static bool read_quants(reader *r) {
    const aic_node *n = pick(r, "quants");
    swp_block *b = r->out;
    if (n && !check_list(r, n, "quants"))
        return false;
    b->n[SWP_QUANT] = n ? item_count(n) : 1;
    b->quants = aic_arena_alloc(r->a, b->n[SWP_QUANT], sizeof *b->quants); /* zero: PDB_Q_UNSET, inferred */
    for (size_t i = 0; n && i < item_count(n); i++)
        if (!read_quant(r, item_at(n, i), &b->quants[i]))
            return false;
    return !n || check_twins(r, n, "quants", b->quants, sizeof *b->quants);
}

/* nextn x nextn_accepted, where nextn 0 stands alone. */
static bool read_drafts(reader *r) {
    const aic_node *depth_at = pick(r, "nextn"), *accepted_at = pick(r, "nextn_accepted");
    swp_u32s depth = {0};
    swp_f64s accepted = {0};
    swp_block *b = r->out;
    if (depth_at && !swp_axis_u32(r->a, depth_at, "nextn", 0, SWP_MAX_NEXTN, &depth, r->err))
        return false;
    if (accepted_at &&
        !swp_axis_f64(r->a, accepted_at, "nextn_accepted", 0, SWP_MAX_NEXTN, &accepted, r->err))
        return false;
    size_t n = 0, most = (depth.n ? depth.n : 1) * (accepted.n ? accepted.n : 1);
    if (most > SWP_MAX_AXIS)
        return aic_node_fail(r->err, depth_at, "nextn and nextn_accepted give more than %d combinations",
                             SWP_MAX_AXIS);
    b->drafts = aic_arena_alloc(r->a, most, sizeof *b->drafts);
    for (size_t i = 0; i < (depth.n ? depth.n : 1); i++) {
        uint32_t nextn = depth.n ? depth.v[i] : 0;
        if (nextn == 0) {
            b->drafts[n++] = (swp_draft){0, NAN};
            continue;
        }
        if (!accepted.n)
            return aic_node_fail(r->err, depth_at,
                                 "nextn: %u needs nextn_accepted, the draft tokens accepted per step", nextn);
        for (size_t j = 0; j < accepted.n; j++) {
            if (accepted.v[j] > nextn)
                return aic_node_fail(r->err, accepted_at, "nextn_accepted: %g is more than nextn, %u",
                                     accepted.v[j], nextn);
            b->drafts[n++] = (swp_draft){nextn, accepted.v[j]};
        }
    }
    b->n[SWP_DRAFT] = n;
    return true;
}

/* ---- options ------------------------------------------------------------------------------------------- */

static bool read_option(reader *r, const aic_node *item, srv_options *out, aic_buf *text) {
    swp_row row;
    swp_row_init(&row);
    if (!check_item(r, item, &swp_option_keys))
        return false;
    for (size_t i = 0; i < swp_option_keys.n; i++) {
        const char *key = swp_option_keys.keys[i].name;
        size_t field = (size_t)swp_field_find(key);
        const aic_node *value = aic_map_get(item, key);
        if (value && !swp_row_set_node(&row, field, value, r->err))
            return false;
        aic_value v = swp_row_value(&row, field);
        if (v.type == AIC_V_STR)
            aic_buf_printf(text, "%s;", v.u.s);
        else
            aic_buf_printf(text, "%lld;", (long long)v.u.i);
    }
    *out = row.request.options;
    return true;
}

/* Items are the same when their values are, given or not. */
static bool read_options(reader *r) {
    const aic_node *n = pick(r, "options");
    swp_block *b = r->out;
    if (n && !check_list(r, n, "options"))
        return false;
    b->n[SWP_OPTION] = n ? item_count(n) : 1;
    b->options = aic_arena_alloc(r->a, b->n[SWP_OPTION], sizeof *b->options);
    srv_request defaults;
    srv_request_init(&defaults);
    b->options[0] = defaults.options;
    aic_intern *seen = aic_intern_new();
    bool ok = true;
    for (size_t i = 0; ok && n && i < item_count(n); i++) {
        aic_buf text = {0};
        bool found = false;
        ok = read_option(r, item_at(n, i), &b->options[i], &text);
        if (ok)
            aic_intern_find(seen, text.data, text.len, &found);
        if (found)
            ok = aic_node_fail(r->err, item_at(n, i), "options: the same ones stand in the list before");
        else if (ok)
            aic_intern_add(seen, text.data, text.len);
        aic_buf_free(&text);
    }
    aic_intern_free(seen);
    return ok;
}

/* ---- workloads
 * --------------------------------------------------------------------------------------------------------------------
 */

static uint32_t load_min(size_t column) {
    return column == SWP_BATCH || column == SWP_ISL;
}

static uint32_t load_max(size_t column) {
    return column == SWP_IMAGE_HEIGHT || column == SWP_IMAGE_WIDTH ? SRV_MAX_SIDE - 1 : UINT32_MAX;
}

static bool read_tuples(reader *r, const aic_node *n) {
    swp_block *b = r->out;
    if (!check_list(r, n, "workloads"))
        return false;
    b->n_tuples = item_count(n);
    srv_workload *tuples = aic_arena_alloc(r->a, b->n_tuples, sizeof *tuples);
    b->tuples = tuples;
    for (size_t i = 0; i < b->n_tuples; i++) {
        const aic_node *item = item_at(n, i);
        if (!check_item(r, item, &swp_load_keys))
            return false;
        if (item->count == 0)
            return aic_node_fail(r->err, item,
                                 "a workload gives at least one of its columns, batch or isl for example");
        for (size_t j = 0; j < SWP_LOAD_COLUMNS; j++) {
            const char *column = swp_load_keys.keys[j].name;
            const aic_node *value = aic_map_get(item, column);
            if (i > 0 && (value != NULL) != b->in_tuple[j])
                return aic_node_fail(r->err, item, "workloads vary together: all of them give %s or none",
                                     column);
            b->in_tuple[j] = value != NULL;
            if (value && !aic_node_u32(value, column, load_min(j), load_max(j),
                                       swp_load_column_of(&tuples[i], j), r->err))
                return false;
        }
    }
    return check_twins(r, n, "workloads", tuples, sizeof *tuples);
}

static bool read_loads(reader *r) {
    const aic_node *tuples = pick(r, "workloads");
    swp_block *b = r->out;
    b->n_tuples = 1;
    if (tuples && !read_tuples(r, tuples))
        return false;
    b->n_loads = b->n_tuples;
    for (size_t j = 0; j < SWP_LOAD_COLUMNS; j++) {
        const char *column = swp_load_keys.keys[j].name;
        swp_u32s *axis = &b->load[j];
        if (b->in_tuple[j]) {
            const aic_node *twice = aic_map_get(owner(r, "workloads"), column);
            if (twice)
                return aic_node_fail(r->err, twice, "%s is given by the workloads: leave it out here",
                                     column);
            continue;
        }
        const aic_node *n = pick(r, column);
        if (n && !swp_axis_u32(r->a, n, column, load_min(j), load_max(j), axis, r->err))
            return false;
        if (!n) {
            axis->n = 1;
            axis->v = aic_arena_alloc(r->a, 1, sizeof *axis->v);
            axis->v[0] = field_default(column);
        }
        b->n_loads *= axis->n;
        if (b->n_loads > UINT32_MAX)
            return aic_node_fail(r->err, n, "the block has more than 2^32 workloads per deployment");
    }
    return true;
}

bool swp_block_read(swp_sweep *s, const aic_node *block, const aic_node *defaults, const srv_env *env,
                    swp_block *out, aic_error *err) {
    reader r = {s->arena, block, defaults, env, err, out};
    memset(out, 0, sizeof *out);
    out->at = block;
    if (block->kind != AIC_K_MAP)
        return aic_node_fail(err, block, "a sweep block: expected a mapping, found %s",
                             aic_kind_name(block->kind));
    if (!swp_check_keys(block, &swp_block_keys, err) || !read_names(&r) || !read_layouts(&r) ||
        !read_quants(&r) || !read_drafts(&r) || !read_options(&r) || !read_loads(&r))
        return false;
    const aic_node *where = pick(&r, "where");
    return !where || swp_filters_read(s->arena, where, out, err);
}
