/* Kernel lanes of the attention tables: which kernel's measurements answer first (docs/model/attention.md).
 */
#include "ops/attention_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- names --------------------------------------------------------------------------------------------- */

/* Lanes every backend may take over, ascending. */
static const char *const known_lanes[] = {"fa3", "fla", "flashinfer", "triton", "trtllm_mha"};

/* What a model configuration may ask for, and the lanes it means on a backend. */
typedef struct override_rule {
    const char *backend, *name;
    const char *lanes[4]; /* NULL-terminated */
} override_rule;

static const override_rule overrides[] = {
    {"sglang", "fa3", {"fa3"}},
    {"sglang", "fla", {"fla"}},
    {"sglang", "flashinfer", {"flashinfer"}},
    {"sglang", "triton", {"triton"}},
    {"sglang", "trtllm_mha", {"trtllm_mha"}},
    {"vllm",
     "flashinfer",
     {"vllm_flashinfer_trtllmprefill", "vllm_flashinfer_trtllmdecode", "vllm_flashinfer"}},
    {"vllm", "triton", {"vllm_triton_attn"}},
};

/* ---- how much a lane has measured ---------------------------------------------------------------------- */

typedef struct lane {
    const char *name;
    size_t slices, leaves;
} lane;

typedef struct lanes {
    size_t n;
    lane *items;
} lanes;

static lane *find_lane(const lanes *l, const char *name) {
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return &l->items[i];
    return NULL;
}

/* items has room for every lane that can be added. */
static void add_lane(lanes *l, lane x) {
    l->items[l->n++] = x;
}

static lanes with_room(aic_arena *a, size_t room) {
    return (lanes){0, aic_arena_alloc(a, room, sizeof(lane))};
}

static const char *lane_name(const pdb_view *view, const pdb_slice *s) {
    uint64_t id = s->cat[ATTENTION_LANE];
    return id ? pdb_text(view, id) : "default";
}

static size_t leaves_of(const pdb_view *view, const pdb_table *t, const char *name) {
    size_t leaves = 0;
    for (size_t i = 0; i < pdb_slice_count(t); i++)
        if (strcmp(lane_name(view, pdb_slice_at(t, i)), name) == 0)
            leaves += pdb_slice_leaves(pdb_slice_at(t, i));
    return leaves;
}

/* Slices per lane, in the order met, and leaves where slices are a tie; none when the table cannot be read.
 */
static lanes density(const pdb_view *view, const pdb_schema *schema, aic_arena *a) {
    const char *why;
    const pdb_table *t = pdb_table_get(view, schema, &why);
    lanes found = with_room(a, t ? pdb_slice_count(t) : 0);
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const char *name = lane_name(view, pdb_slice_at(t, i));
        lane *l = find_lane(&found, name);
        if (!l) {
            add_lane(&found, (lane){.name = name});
            l = &found.items[found.n - 1];
        }
        l->slices++;
    }
    for (size_t i = 0; i < found.n; i++)
        for (size_t j = 0; j < i; j++)
            if (found.items[i].slices ==
                found.items[j].slices) { /* leaves cost a grid each: only where they decide */
                found.items[i].leaves = leaves_of(view, t, found.items[i].name);
                found.items[j].leaves = leaves_of(view, t, found.items[j].name);
            }
    return found;
}

/* ---- order --------------------------------------------------------------------------------------------- */

/* More slices first, then more leaves, then by name. */
static int by_density(const void *x, const void *y) {
    const lane *a = x, *b = y;
    if (a->slices != b->slices)
        return a->slices > b->slices ? -1 : 1;
    if (a->leaves != b->leaves)
        return a->leaves > b->leaves ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Everything behind the pinned lanes: known lanes by density, "default", then the table's other lanes by
 * density. */
static lanes expand(const lanes *pinned, const lanes *have, aic_arena *a) {
    lanes out = with_room(a, OP_COUNT(known_lanes) + 1 + have->n);
    for (size_t i = 0; i < OP_COUNT(known_lanes); i++) {
        const lane *measured = find_lane(have, known_lanes[i]);
        if (!find_lane(pinned, known_lanes[i]))
            add_lane(&out, measured ? *measured : (lane){.name = known_lanes[i]});
    }
    qsort(out.items, out.n, sizeof(lane), by_density);
    add_lane(&out, (lane){.name = "default"});
    size_t rest = out.n;
    for (size_t i = 0; i < have->n; i++)
        if (!find_lane(pinned, have->items[i].name) && !find_lane(&out, have->items[i].name))
            add_lane(&out, have->items[i]);
    qsort(out.items + rest, out.n - rest, sizeof(lane), by_density);
    return out;
}

/* Pinned lanes, then those the version itself has measured, then those it inherits. */
static lanes order_of(const lanes *pinned, const lanes *own, const lanes *all, aic_arena *a) {
    lanes by_own = expand(pinned, own, a), by_all = expand(pinned, all, a);
    lanes out = with_room(a, pinned->n + by_own.n + by_all.n);
    for (size_t i = 0; i < pinned->n; i++)
        add_lane(&out, pinned->items[i]);
    for (size_t i = 0; i < by_own.n; i++)
        if (find_lane(own, by_own.items[i].name))
            add_lane(&out, by_own.items[i]);
    for (size_t i = 0; i < by_all.n; i++)
        if (!find_lane(own, by_all.items[i].name))
            add_lane(&out, by_all.items[i]);
    return out;
}

static void to_texts(const lanes *l, aic_arena *a, op_texts *out) {
    const char **items = aic_arena_alloc(a, l->n, sizeof *items);
    for (size_t i = 0; i < l->n; i++)
        items[i] = aic_arena_strdup(a, l->items[i].name);
    *out = (op_texts){l->n, items};
}

/* ---- overrides ----------------------------------------------------------------------------------------- */

/* Lanes an override names; "default" names none. */
static bool pin_override(const char *backend, const char *override, lanes *pinned, aic_error *err) {
    if (!override || strcmp(override, "default") == 0)
        return true;
    aic_buf known = {0};
    aic_buf_add(&known, "default");
    for (size_t i = 0; i < OP_COUNT(overrides); i++) {
        const override_rule *r = &overrides[i];
        if (strcmp(r->backend, backend) != 0)
            continue;
        aic_buf_printf(&known, ", %s", r->name);
        for (int j = 0; strcmp(r->name, override) == 0 && r->lanes[j]; j++)
            add_lane(pinned, (lane){.name = r->lanes[j]});
    }
    if (!pinned->n)
        aic_fail(err, AIC_BAD_INPUT, "attention_backend \"%s\" is not supported on backend %s; supported: %s",
                 override, backend, known.data);
    aic_buf_free(&known);
    return pinned->n > 0;
}

/* At least one of the lanes that the override names has rows. */
static bool check_measured(const pdb_view *view, bool context, const char *override, const lanes *named,
                           const lanes *all, aic_error *err) {
    for (size_t i = 0; i < named->n; i++)
        if (find_lane(all, named->items[i].name))
            return true;
    aic_buf text = {0};
    aic_buf_printf(
        &text, "attention_backend \"%s\" has no %s attention measurements on %s/%s/%s; its lanes:", override,
        context ? "context" : "generation", view->system->name, view->backend, view->version);
    for (size_t i = 0; i < named->n; i++)
        aic_buf_printf(&text, " %s", named->items[i].name);
    aic_buf_add(&text, "; measured:");
    for (size_t i = 0; i < all->n; i++)
        aic_buf_printf(&text, " %s", all->items[i].name);
    aic_fail(err, AIC_BAD_INPUT, "%s", text.data);
    aic_buf_free(&text);
    return false;
}

/* ---- public -------------------------------------------------------------------------------------------- */

static bool lane_order(const pdb_view *view, bool context, const char *override, aic_arena *scratch,
                       aic_arena *a, op_texts *out, aic_error *err) {
    const pdb_schema *schema = context ? &attention_context_schema : &attention_generation_schema;
    lanes pinned = with_room(scratch, 5);
    if (!pin_override(view->backend, override, &pinned, err))
        return false;
    lanes named = pinned;
    const char *framework = pdb_lane_default(view);
    if (framework && framework[0] && !find_lane(&pinned, framework))
        add_lane(&pinned, (lane){.name = framework});
    if (!pinned.n && !framework) {
        lane only = {.name = "default"};
        to_texts(&(lanes){1, &only}, a, out);
        return true;
    }
    lanes all = density(view, schema, scratch);
    if (named.n && !check_measured(view, context, override, &named, &all, err))
        return false;
    aic_error ignored = {0};
    const pdb_view *own_view =
        pdb_view_get(view->db, view->system->name, view->backend, view->version, false, true, &ignored);
    lanes own = own_view ? density(own_view, schema, scratch) : (lanes){0};
    lanes order = order_of(&pinned, &own, &all, scratch);
    to_texts(&order, a, out);
    return true;
}

/* One order per view, phase and override serves all deployments. */
typedef struct order_key {
    uint64_t context;
    char override[56]; /* "" = none */
} order_key;

typedef struct order_made {
    bool ok;
    op_texts order;
    aic_error err;
} order_made;

static const void *build_order(const pdb_view *view, const void *identity, aic_arena *a, const char **why) {
    const order_key *k = identity;
    (void)why;
    order_made *m = aic_arena_alloc(a, 1, sizeof *m);
    aic_arena *scratch = aic_arena_new();
    m->ok = lane_order(view, k->context != 0, k->override[0] ? k->override : NULL, scratch, a, &m->order,
                       &m->err);
    aic_arena_free(scratch);
    return m;
}

bool op_lane_order(const pdb_view *view, bool context, const char *override, op_texts *out, aic_error *err) {
    static const char identity;
    order_key k = {.context = context};
    if (override && strlen(override) >= sizeof k.override)
        return aic_fail(err, AIC_BAD_INPUT, "attention_backend \"%.60s...\" is not supported on backend %s",
                        override, view->backend);
    if (override)
        memcpy(k.override, override, strlen(override));
    const order_made *m = pdb_derived_keyed(view, &identity, &k, sizeof k, build_order, NULL);
    *out = m->order;
    if (!m->ok && err)
        *err = m->err;
    return m->ok;
}

bool op_lane_orders(const pdb_view *view, const char *override, op_texts orders[2], aic_error *err) {
    for (int context = 0; context < 2; context++)
        if (!op_lane_order(view, context, override, &orders[context], err))
            return false;
    return true;
}

bool op_chooses_lane(const op *o) {
    return o->desc == &op_desc_context_attention || o->desc == &op_desc_generation_attention;
}

void op_set_lanes(op *o, const op_texts orders[2]) {
    if (!op_chooses_lane(o))
        return;
    for (size_t i = 0; i < o->desc->n_fields; i++)
        if (o->desc->fields[i].type == OP_F_TEXTS)
            *(op_texts *)op_member(o, &o->desc->fields[i]) = orders[o->desc == &op_desc_context_attention];
}

op *op_with_lanes(const op *o, const op_texts orders[2], aic_arena *a) {
    op *copy = aic_arena_alloc(a, 1, sizeof *copy);
    *copy = *o;
    copy->params = aic_arena_alloc(a, 1, o->desc->params_size);
    memcpy(copy->params, o->params, o->desc->params_size);
    op_set_lanes(copy, orders);
    return copy;
}

static const void *build_fmha_modes(const pdb_view *view, const void *identity, aic_arena *a,
                                    const char **why) {
    const pdb_quant kv = *(const pdb_quant *)identity;
    const pdb_table *t = pdb_table_get(view, &attention_context_schema, why);
    uint64_t wanted = kv == PDB_Q_UNSET ? 0 : pdb_text_id(view, pdb_quant_get(kv)->name);
    uint64_t *modes = aic_arena_alloc(a, 1, sizeof *modes);
    for (size_t i = 0; t && i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        pdb_quant fmha = pdb_quant_parse(pdb_text(view, cat[ATTENTION_CONTEXT_FMHA]), PDB_FMHA);
        if (fmha != PDB_Q_UNSET && (kv == PDB_Q_UNSET || cat[ATTENTION_CONTEXT_KV] == wanted))
            *modes |= UINT64_C(1) << fmha;
    }
    return modes;
}

uint64_t op_context_fmha_modes(const pdb_view *view, pdb_quant kv) {
    static const char identity;
    const uint64_t *modes = pdb_derived_keyed(view, &identity, &kv, sizeof kv, build_fmha_modes, NULL);
    return *modes;
}
