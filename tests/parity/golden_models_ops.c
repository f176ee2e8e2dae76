/* Op lists, weights and KV cache of deployments, compared with the reference's. */
#include "parity/golden_models_internal.h"
#include <stdlib.h>
#include <string.h>

static bool same_node(const aic_node *a, const aic_node *b);

static bool same_map(const aic_node *a, const aic_node *b) {
    for (size_t i = 0; i < a->count; i++)
        if (!same_node(a->items[i], aic_map_get(b, a->keys[i]->text)))
            return false;
    return a->count == b->count;
}

/* Equal documents; 62 and 62.0 are one number, the order of keys does not matter. */
static bool same_node(const aic_node *a, const aic_node *b) {
    if (!a || !b)
        return false;
    bool a_number = a->kind == AIC_K_INT || a->kind == AIC_K_REAL,
         b_number = b->kind == AIC_K_INT || b->kind == AIC_K_REAL;
    if (a_number || b_number)
        return a_number && b_number && a->r == b->r;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case AIC_K_BOOL:
        return a->b == b->b;
    case AIC_K_TEXT:
        return strcmp(a->text, b->text) == 0;
    case AIC_K_MAP:
        return same_map(a, b);
    case AIC_K_LIST:
        for (size_t i = 0; i < a->count && i < b->count; i++)
            if (!same_node(a->items[i], b->items[i]))
                return false;
        return a->count == b->count;
    default:
        return true;
    }
}

static void compare_list(record *r, const char *key, const op_list *have) {
    const aic_node *want = aic_map_get(r->n, key);
    if (!want || want->count != have->count) {
        differs(r, "%s: %zu ops instead of %zu", key, have->count, want ? want->count : 0);
        return;
    }
    for (size_t i = 0; i < have->count; i++) {
        aic_buf text = {0};
        aic_error err = {0};
        op_to_json(have->items[i], &text);
        const aic_node *ours = aic_doc_json_text(r->arena, "op", text.data, text.len, &err);
        if (!same_node(want->items[i], ours))
            differs(r, "%s[%zu] is %s", key, i, text.data);
        aic_buf_free(&text);
        r->count->ops++;
    }
}

/* One of the figures of a record: keys of a mapping, or pairs in a list. */
static size_t pair_count(const aic_node *n) {
    return n ? n->count : 0;
}

static void pair_at(const aic_node *n, size_t i, double *key, double *value) {
    bool map = n->kind == AIC_K_MAP;
    *key = map ? strtod(n->keys[i]->text, NULL) : golden_number(n->items[i]->items[0], -1.0);
    *value = golden_number(map ? n->items[i] : n->items[i]->items[1], -1.0);
}

static void compare_kv(record *r, const mdl_deployment *d, const aic_node *kv, const aic_node *fits) {
    double key, value;
    for (size_t i = 0; i < pair_count(kv); i++) {
        pair_at(kv, i, &key, &value);
        if (mdl_kv_bytes(d, key) != value)
            differs(r, "KV bytes of %g tokens: %.17g, not %.17g", key, mdl_kv_bytes(d, key), value);
    }
    for (size_t i = 0; i < pair_count(fits); i++) {
        pair_at(fits, i, &key, &value);
        if (mdl_kv_max_tokens(d, key) != value)
            differs(r, "tokens within %g bytes: %.17g, not %.17g", key, mdl_kv_max_tokens(d, key), value);
    }
}

static double weights_of(const op_list *list) {
    double sum = 0.0;
    for (size_t i = 0; i < list->count; i++)
        sum += op_weight_bytes(list->items[i]);
    return sum;
}

static void compare_weights(record *r, const mdl_deployment *d) {
    const aic_node *weights = aic_map_get(r->n, "weights");
    if (weights && weights->kind == AIC_K_MAP) {
        if (golden_number(aic_map_get(weights, "context"), -1.0) != d->weight_bytes)
            differs(r, "weights are %.17g", d->weight_bytes);
        if (golden_number(aic_map_get(weights, "generation"), -1.0) != weights_of(&d->generation))
            differs(r, "weights of the generation list are %.17g", weights_of(&d->generation));
        if (golden_number(aic_map_get(weights, "encoder"), 0.0) != d->encoder_weight_bytes)
            differs(r, "weights of the encoder are %.17g", d->encoder_weight_bytes);
        return;
    }
    for (size_t i = 0; weights && i < weights->count && i < d->context.count; i++)
        if (weights->items[i]->r != op_weight_bytes(d->context.items[i]))
            differs(r, "weight of %s is %.17g", d->context.items[i]->name,
                    op_weight_bytes(d->context.items[i]));
    if (golden_number(aic_map_get(r->n, "weights_total"), -1.0) != d->weight_bytes)
        differs(r, "weights are %.17g", d->weight_bytes);
}

static bool build(record *r, const mdl_model *m, const mdl_request *req, const char *error,
                  mdl_deployment *d) {
    op_refusal why = {0};
    aic_error err = {0};
    double start = aic_now();
    bool built = mdl_build(m, req, r->arena, d, &why, &err);
    r->count->seconds += built ? aic_now() - start : 0.0;
    if (!built && why.cls == OP_OK)
        differs(r, "%s", err.text);
    else if (!built)
        compare_refusal(r, error, &why);
    else if (error)
        differs(r, "not refused; reference: %s", error);
    return built && !error;
}

static const mdl_model *find_model(record *r, const char *id, const char *what) {
    r->count = count_of(r->g, what, NULL);
    const mdl_model *m = get_model(r, id);
    if (!m)
        return NULL;
    r->count = count_of(r->g, what, m->family);
    if (!m->graph) {
        skip(r, "the family has no graph");
        return NULL;
    }
    return m;
}

static bool flag(const aic_node *n, bool otherwise) {
    return n && n->kind == AIC_K_BOOL ? n->b : otherwise;
}

/* Experts across nodes, as both kinds of record name it. */
static void read_large_ep(const aic_node *n, const aic_node *a2a, const char *node, mdl_request *req) {
    req->a2a_context = golden_text(aic_map_get(a2a, "context"));
    req->a2a_generation = golden_text(aic_map_get(a2a, "generation"));
    req->gpus_per_node = golden_u32(aic_map_get(n, node));
    req->system = golden_text(aic_map_get(n, "system"));
}

void compare_ops(record *r) {
    const mdl_model *m = find_model(r, golden_text(aic_map_get(r->n, "model")), "ops");
    if (!m)
        return;
    const aic_node *par = aic_map_get(r->n, "parallel");
    mdl_request req = {.backend = golden_text(aic_map_get(r->n, "backend")),
                       .par = {golden_u32(aic_map_get(par, "tp")), golden_u32(aic_map_get(par, "pp")),
                               golden_u32(aic_map_get(par, "dp")), golden_u32(aic_map_get(par, "mtp")),
                               golden_u32(aic_map_get(par, "mep")), golden_u32(aic_map_get(par, "cp"))},
                       .nextn = golden_u32(aic_map_get(par, "nextn")),
                       .given = read_modes(aic_map_get(r->n, "explicit"), "kvcache"),
                       .context_role = true,
                       .distribution = golden_text(aic_map_get(r->n, "distribution")),
                       .eplb = flag(aic_map_get(r->n, "eplb"), false),
                       .slots = golden_u32(aic_map_get(r->n, "slots"))};
    read_large_ep(r->n, aic_map_get(r->n, "a2a"), "gpn", &req);
    mdl_deployment d;
    if (!build(r, m, &req, golden_text(aic_map_get(aic_map_get(r->n, "error"), "text")), &d))
        return;
    mdl_quants want = read_modes(aic_map_get(r->n, "modes"), "kvcache");
    compare_modes(r, "effective", &want, &d.quants);
    compare_list(r, "context_ops", &d.context);
    compare_list(r, "generation_ops", &d.generation);
    compare_weights(r, &d);
    compare_kv(r, &d, aic_map_get(r->n, "kv"), aic_map_get(r->n, "max_tokens"));
    r->count->same += !r->failed;
}

static uint32_t size_or_1(const aic_node *n) {
    return n ? golden_u32(n) : 1;
}

static mdl_request case_request(const aic_node *c) {
    mdl_request req = {
        .backend = golden_text(aic_map_get(c, "backend")),
        .par = {size_or_1(aic_map_get(c, "tp_size")), size_or_1(aic_map_get(c, "pp_size")),
                size_or_1(aic_map_get(c, "attention_dp_size")), size_or_1(aic_map_get(c, "moe_tp_size")),
                size_or_1(aic_map_get(c, "moe_ep_size")), size_or_1(aic_map_get(c, "cp_size"))},
        .nextn = golden_u32(aic_map_get(c, "nextn")),
        .given = read_modes(c, "kv"),
        .context_role = true,
        .distribution = golden_text(aic_map_get(c, "workload_distribution")),
        .attention_backend = golden_text(aic_map_get(c, "attention_backend")),
        .moe_backend = golden_text(aic_map_get(c, "moe_backend")),
        .eplb = flag(aic_map_get(c, "enable_eplb"), false),
        .slots = golden_u32(aic_map_get(c, "wideep_num_slots")),
        .sms = golden_u32(aic_map_get(c, "sms")),
        .encoder_tp = !flag(aic_map_get(c, "enable_encoder_dp"), true),
        .language_only = flag(aic_map_get(c, "language_only"), false),
        .layers = golden_u32(aic_map_get(c, "overwrite_num_layers"))};
    read_large_ep(c, aic_map_get(c, "moe_comm_backend"), "num_gpus_per_node", &req);
    return req;
}

void compare_case(record *r) {
    const aic_node *c = aic_map_get(r->n, "case");
    const mdl_model *m = find_model(r, golden_text(aic_map_get(c, "model")), "ops");
    if (!m)
        return;
    mdl_request req = case_request(c);
    mdl_deployment d;
    if (!build(r, m, &req, golden_text(aic_map_get(r->n, "message")), &d))
        return;
    mdl_quants want = read_modes(aic_map_get(r->n, "resolved"), "kv");
    compare_modes(r, "effective", &want, &d.quants);
    compare_list(r, "context_ops", &d.context);
    compare_list(r, "generation_ops", &d.generation);
    compare_list(r, "encoder_ops", &d.encoder);
    compare_weights(r, &d);
    compare_kv(r, &d, aic_map_get(r->n, "kv_bytes"), aic_map_get(r->n, "max_tokens"));
    r->count->same += !r->failed;
}

/* A deployment as the static path builds it, with its database: kernel lanes and corrected modes included. */
void compare_spec(record *r) {
    const aic_node *b = aic_map_get(r->n, "build"), *facts = aic_map_get(r->n, "facts");
    const mdl_model *m = find_model(r, golden_text(aic_map_get(b, "model")), "spec");
    const char *system = golden_text(aic_map_get(facts, "system"));
    aic_error err = {0};
    if (!m)
        return;
    if (!r->g->db || !pdb_system_has_data(r->g->db, system)) {
        skip(r, "no measured tables of the system");
        return;
    }
    const char *role = golden_text(aic_map_get(r->n, "role"));
    mdl_request req = {.backend = golden_text(aic_map_get(facts, "backend")),
                       .par = {size_or_1(aic_map_get(b, "tp")), size_or_1(aic_map_get(b, "pp")),
                               size_or_1(aic_map_get(b, "dp")), golden_u32(aic_map_get(b, "moe_tp")),
                               golden_u32(aic_map_get(b, "moe_ep")), 1},
                       .nextn = golden_u32(aic_map_get(b, "nextn")),
                       .context_role = !role || strcmp(role, "static_gen") != 0,
                       .encoder_tp = !flag(aic_map_get(facts, "enable_encoder_dp"), true)};
    if (!role || strcmp(role, "agg") != 0)
        req.a2a_phases = MDL_A2A_CONTEXT | (role && strcmp(role, "static_ctx") == 0 ? 0 : MDL_A2A_GENERATION);
    req.view = pdb_view_get(r->g->db, system, req.backend, golden_text(aic_map_get(facts, "version")), true,
                            false, &err);
    mdl_deployment d;
    if (!req.view)
        differs(r, "%s", err.text);
    else if (build(r, m, &req, NULL, &d)) {
        compare_list(r, "context_ops", &d.context);
        compare_list(r, "generation_ops", &d.generation);
        compare_list(r, "encoder_ops", &d.encoder);
        compare_kv(r, &d, aic_map_get(facts, "kv_bytes"), aic_map_get(facts, "kv_max_tokens"));
        r->count->same += !r->failed;
    }
}
