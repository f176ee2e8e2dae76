/* One reference record under one check: what is compiled, and what is compared with it. */
#include "parity/golden_serving_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static srv_tuning tuning_of(const aic_node *record) {
    const aic_node *runtime = aic_map_get(record, "runtime"), *args = aic_map_get(record, "args");
    srv_tuning t;
    srv_tuning_init(&t);
    t.beam = golden_size(runtime, "beam_width", 1);
    t.stride = golden_size(args, "stride", 32);
    t.imbalance_ctx = golden_real(runtime, "seq_imbalance_correction_scale", 1.0);
    t.imbalance_gen = golden_real(runtime, "gen_seq_imbalance_correction_scale", 1.0);
    t.latency_scale = golden_real(args, "latency_correction_scale", 1.0);
    t.honour_memory_args = true;
    t.project = false;
    return t;
}

static srv_request request_of(const aic_node *record, const aic_node *build) {
    const aic_node *args = aic_map_get(record, "args");
    const char *mode = golden_text(aic_map_get(record, "mode"));
    srv_request q;
    srv_request_init(&q);
    if (mode)
        srv_mode_parse(mode, &q.mode);
    q.model = golden_text(aic_map_get(build, "model"));
    q.system = golden_text(aic_map_get(build, "system"));
    q.backend = golden_text(aic_map_get(build, "backend"));
    q.par = (mdl_parallel){.tp = golden_size(build, "tp", 1),
                           .pp = golden_size(build, "pp", 1),
                           .dp = golden_size(build, "dp", 1),
                           .moe_tp = golden_size(build, "moe_tp", 0),
                           .moe_ep = golden_size(build, "moe_ep", 0),
                           .cp = 1};
    q.nextn = golden_size(build, "nextn", 0);
    q.free_gpu_memory_fraction = golden_real(args, "free_gpu_memory_fraction", NAN);
    q.max_seq_len = golden_size(args, "max_seq_len", 0);
    return q;
}

/* ---- through op lists ---------------------------------------------------------------------------------- */

static double linear_kv(const void *ctx, double tokens) {
    return tokens * *(const double *)ctx;
}

/* Bytes per token when the recorded lengths show a linear cache, else 0. */
static double kv_per_token(const aic_node *facts) {
    const aic_node *map = aic_map_get(facts, "kv_bytes");
    double one = golden_real(map, "1", 0);
    for (size_t i = 0; map && i < map->count; i++)
        if (map->items[i]->r != one * strtod(map->keys[i]->text, NULL))
            return 0;
    return one;
}

static bool read_lists(golden_record *r, const aic_node *node, mdl_deployment *built) {
    aic_error err = {0};
    const aic_node *encoder = aic_map_get(node, "encoder_ops");
    return op_list_from_json(r->arena, aic_map_get(node, "context_ops"), &built->context, &err) &&
           op_list_from_json(r->arena, aic_map_get(node, "generation_ops"), &built->generation, &err) &&
           (!encoder || op_list_from_json(r->arena, encoder, &built->encoder, &err));
}

/* What the encoder makes of images, as recorded. */
static mdl_vision vision_of(const aic_node *facts) {
    const aic_node *encoder = aic_map_get(facts, "encoder");
    return (mdl_vision){.patch = golden_size(encoder, "patch_size", 0),
                        .merge = golden_size(encoder, "spatial_merge_size", 0),
                        .width = golden_size(encoder, "hidden_size", 0),
                        .out = (int64_t)golden_size(encoder, "out_hidden_size", 0) *
                               golden_size(encoder, "projector_n_instances", 0)};
}

void golden_check_static_lists(golden_record *r, const golden_spec *s) {
    const aic_node *facts = aic_map_get(s->node, "facts"), *shared = aic_map_get(facts, "enable_encoder_dp");
    const mdl_model seeing = {.vision = vision_of(facts)};
    mdl_deployment built = {.model = &seeing,
                            .encoder_ranks = shared && !shared->b ? 1 : golden_size(facts, "tp", 1),
                            .par = {.tp = golden_size(facts, "tp", 1),
                                    .pp = golden_size(facts, "pp", 1),
                                    .dp = golden_size(facts, "dp", 1),
                                    .cp = golden_size(facts, "cp", 1),
                                    .moe_tp = golden_size(facts, "moe_tp", 0),
                                    .moe_ep = golden_size(facts, "moe_ep", 0)},
                            .nextn = golden_size(facts, "nextn", 0)};
    if (!read_lists(r, s->node, &built)) {
        golden_skip(r, "op kinds not implemented");
        return;
    }
    for (size_t i = 0; i < built.context.count; i++)
        built.weight_bytes += op_weight_bytes(built.context.items[i]);
    for (size_t i = 0; i < built.encoder.count; i++)
        built.encoder_weight_bytes += op_weight_bytes(built.encoder.items[i]);
    golden_expect_number(r, "weight bytes", built.weight_bytes, aic_map_get(facts, "context_weights_bytes"));
    srv_facts f = {.family = golden_text(aic_map_get(facts, "family")),
                   .heads = golden_real(facts, "num_heads", 0),
                   .head_dim = golden_real(facts, "head_size", 0),
                   .hidden = golden_real(facts, "hidden_size", 0),
                   .experts = golden_real(facts, "num_experts", 0),
                   .topk = golden_real(facts, "topk", 0)};
    double per_token = kv_per_token(facts);
    srv_request q = request_of(r->node, aic_map_get(s->node, "build"));
    q.version = golden_text(aic_map_get(facts, "version"));
    srv_tuning t = tuning_of(r->node);
    aic_error err = {0};
    srv_deployment *d = srv_compile_ops(r->c->env, &q, &t, &built, &f, linear_kv, &per_token, &err);
    if (d)
        golden_compare_static(r, d, false, per_token > 0);
    else
        golden_skip(r, "no database of this system here");
    srv_free(d);
}

/* ---- through the model builder ------------------------------------------------------------------------- */

static bool lacks_graph(const srv_deployment *d) {
    return d->refused != SRV_ST_ok && d->model && !d->model->graph;
}

/* Refused for want of the system's file: nothing to compare here. */
static bool lacks_system(const srv_deployment *d, const srv_env *env) {
    return !d->view && !pdb_system_has_data(env->db, d->request.system);
}

static bool is_aggregated(const golden_spec *s) {
    const char *role = golden_text(aic_map_get(s->node, "role"));
    return role && strcmp(role, "agg") == 0;
}

/* The role that a configuration was built for; its records run in any mode. The aggregated role lets experts
 * span nodes on ordinary kernels, static roles choose an exchange. */
static srv_role role_of(const golden_spec *s) {
    srv_mode mode;
    if (is_aggregated(s))
        return (srv_role){.prefills = true};
    if (!srv_mode_parse(golden_text(aic_map_get(s->node, "role")), &mode))
        mode = SRV_static;
    return (srv_role){.prefills = srv_has_context(mode),
                      .exchanges =
                          MDL_A2A_CONTEXT | (srv_has_generation(mode) ? (unsigned)MDL_A2A_GENERATION : 0u)};
}

static void compare_lists(golden_record *r, const op_list *got, const aic_node *node, const char *what) {
    op_list want;
    aic_error err = {0};
    if (!op_list_from_json(r->arena, node, &want, &err)) {
        golden_differ(r, "%s", err.text);
        return;
    }
    if (got->count != want.count)
        golden_differ(r, "%s: %zu ops, expected %zu", what, got->count, want.count);
    for (size_t i = 0; i < got->count && i < want.count; i++) {
        aic_buf a = {0}, b = {0};
        op_to_json(got->items[i], &a);
        op_to_json(want.items[i], &b);
        if (strcmp(a.data, b.data) != 0)
            golden_differ(r, "%s: %s, expected %s", what, a.data, b.data);
        aic_buf_free(&a);
        aic_buf_free(&b);
    }
}

/* The op lists of a configuration, as built. */
void golden_check_lists(golden_record *r, const golden_spec *s) {
    const aic_node *facts = aic_map_get(s->node, "facts");
    srv_request q = request_of(r->node, aic_map_get(s->node, "build"));
    aic_error err = {0};
    op_refusal why;
    mdl_deployment built;
    const char *version = golden_text(aic_map_get(facts, "version"));
    const pdb_view *view = pdb_view_get(r->c->env->db, q.system, q.backend, version, true, true, &err);
    const mdl_model *m = view ? mdl_get(r->c->env->models, q.model, &err) : NULL;
    if (!m || !m->graph) {
        golden_skip(r, !view ? "no database of this system here" : "family not implemented");
        return;
    }
    mdl_request ask = {.backend = q.backend,
                       .view = view,
                       .par = q.par,
                       .nextn = q.nextn,
                       .context_role = true,
                       .a2a_phases = is_aggregated(s) ? 0 : MDL_A2A_CONTEXT | MDL_A2A_GENERATION};
    if (!mdl_build(m, &ask, r->arena, &built, &why, &err)) {
        golden_differ(r, "%s%s", why.cls != OP_OK ? why.text : "", err.text);
    } else {
        if (aic_map_get(s->node, "encoder_ops"))
            compare_lists(r, &built.encoder, aic_map_get(s->node, "encoder_ops"), "encoder");
        compare_lists(r, &built.context, aic_map_get(s->node, "context_ops"), "context");
        compare_lists(r, &built.generation, aic_map_get(s->node, "generation_ops"), "generation");
        golden_expect_number(r, "weight bytes", built.weight_bytes,
                             aic_map_get(facts, "context_weights_bytes"));
    }
    golden_finish(r, false);
}

void golden_check_static_model(golden_record *r, const golden_spec *s) {
    srv_request q = request_of(r->node, aic_map_get(s->node, "build"));
    q.version = golden_text(aic_map_get(aic_map_get(s->node, "facts"), "version"));
    srv_tuning t = tuning_of(r->node);
    srv_role role = role_of(s);
    aic_error err = {0};
    t.role = &role;
    srv_deployment *d = srv_compile(r->c->env, &q, &t, &err);
    if (!d) {
        golden_differ(r, "%s", err.text);
        golden_finish(r, false);
        return;
    }
    if (lacks_graph(d))
        golden_skip(r, "family not implemented");
    else if (lacks_system(d, r->c->env))
        golden_skip(r, "no database of this system here");
    else
        golden_compare_static(r, d, true, true);
    srv_free(d);
}

/* ---- estimates and refused builds ---------------------------------------------------------------------- */

void golden_check_estimate(golden_record *r, const golden_spec *none) {
    (void)none;
    const aic_node *args = aic_map_get(r->node, "args"), *raw = aic_map_get(r->node, "raw");
    srv_request q = request_of(args, NULL);
    q.model = golden_text(aic_map_get(r->node, "model"));
    q.system = golden_text(aic_map_get(r->node, "system"));
    q.backend = golden_text(aic_map_get(args, "backend_name"));
    q.par = (mdl_parallel){.tp = golden_size(args, "tp_size", 1),
                           .pp = golden_size(args, "pp_size", 1),
                           .dp = golden_size(args, "attention_dp_size", 1),
                           .moe_tp = golden_size(args, "moe_tp_size", 0),
                           .moe_ep = golden_size(args, "moe_ep_size", 0),
                           .cp = 1};
    q.nextn = golden_size(args, "nextn", 0);
    q.nextn_accepted = golden_real(args, "nextn_accepted", NAN);
    srv_workload w = golden_load(args, (srv_workload){.batch = 128, .isl = 1024, .osl = 1024});
    aic_error err = {0};
    srv_deployment *d = srv_compile(r->c->env, &q, NULL, &err);
    if (!d) {
        golden_differ(r, "%s", err.text);
    } else if (lacks_graph(d) || lacks_system(d, r->c->env)) {
        golden_skip(r, "family or system not here");
        srv_free(d);
        return;
    } else if (d->refused != SRV_ST_ok) {
        golden_differ(r, "%s", d->why.text);
    } else {
        const srv_point *p = golden_evaluate(r, d, &w);
        golden_expect_figures(r, d, p, raw);
        golden_expect_modes(r, d, raw);
        golden_expect_number(r, "power", p->power, aic_map_get(raw, "power_w"));
        golden_check_grid(r, d, &w);
    }
    srv_free(d);
    golden_finish(r, false);
}

void golden_check_build_error(golden_record *r, const golden_spec *none) {
    (void)none;
    srv_request q = request_of(r->node, aic_map_get(r->node, "build"));
    q.nextn_accepted = 0;
    aic_error err = {0};
    srv_deployment *d = srv_compile(r->c->env, &q, NULL, &err);
    if (!d)
        golden_differ(r, "%s", err.text);
    else if (lacks_graph(d) || lacks_system(d, r->c->env))
        golden_skip(r, "family or system not here");
    else
        golden_expect_refusal(r, d->refused, d->why.text, golden_text(aic_map_get(r->node, "error")));
    if (!d || !(lacks_graph(d) || lacks_system(d, r->c->env)))
        golden_finish(r, true);
    srv_free(d);
}

/* ---- encoders alone ------------------------------------------------------------------------------------ */

/* What a worker that only encodes takes: the encoder phase of a prefill worker. */
void golden_check_encoder(golden_record *r, const golden_spec *none) {
    (void)none;
    const aic_node *build = aic_map_get(r->node, "build"), *memory = aic_map_get(r->node, "memory");
    const aic_node *shared = aic_map_get(build, "enable_encoder_dp");
    srv_request q = request_of(r->node, build);
    srv_workload w = golden_load(aic_map_get(r->node, "runtime"), (srv_workload){0});
    w.batch = golden_size(r->node, "batch_size", 1);
    q.mode = SRV_static_ctx;
    q.options.encoder_tp = shared && !shared->b;
    aic_error err = {0};
    srv_deployment *d = srv_compile(r->c->env, &q, NULL, &err);
    if (!d) {
        golden_differ(r, "%s", err.text);
    } else if (lacks_system(d, r->c->env)) {
        golden_skip(r, "no database of this system here");
        srv_free(d);
        return;
    } else if (d->refused != SRV_ST_ok) {
        golden_differ(r, "%s", d->why.text);
    } else {
        const srv_point *p = golden_evaluate(r, d, &w);
        double latency = p->encoder_latency;
        golden_expect_number(r, "latency", latency * golden_real(r->node, "scale", 1.0),
                             aic_map_get(r->node, "latency_ms"));
        golden_expect_number(r, "power", latency > 0 ? p->encoder_energy / latency : 0,
                             aic_map_get(r->node, "power_w"));
        golden_expect_number(r, "memory", p->encoder_memory, aic_map_get(memory, "total"));
        golden_expect_number(r, "weights", d->built.encoder_weight_bytes / SRV_GIB,
                             aic_map_get(memory, "weights"));
        golden_check_grid(r, d, &w);
    }
    srv_free(d);
    golden_finish(r, false);
}

/* ---- phase drivers over ad-hoc lists ------------------------------------------------------------------- */

void golden_check_phase(golden_record *r, const golden_spec *none) {
    (void)none;
    static const srv_facts facts = {.family = "LLAMA", .heads = 1, .head_dim = 1, .hidden = 1};
    static const double per_token = 1;
    const aic_node *args = aic_map_get(r->node, "static"), *sums = aic_map_get(r->node, "run_static");
    op_mode mode;
    mdl_deployment built = {.par = {.tp = 1, .pp = 1, .dp = 1, .cp = 1},
                            .nextn = golden_size(r->node, "nextn", 0)};
    if (!op_mode_parse(golden_text(aic_map_get(r->node, "mode")), &mode) || !read_lists(r, r->node, &built)) {
        golden_skip(r, "database mode or op kinds not implemented");
        return;
    }
    srv_request q;
    srv_request_init(&q);
    q.system = golden_text(aic_map_get(r->node, "system"));
    q.backend = golden_text(aic_map_get(r->node, "backend"));
    q.version = golden_text(aic_map_get(r->node, "version"));
    q.database_mode = mode;
    srv_tuning t;
    srv_tuning_init(&t);
    t.beam = golden_size(args, "beam_width", 1);
    t.stride = golden_size(args, "stride", 32);
    t.project = false;
    aic_error err = {0};
    srv_deployment *d = srv_compile_ops(r->c->env, &q, &t, &built, &facts, linear_kv, &per_token, &err);
    if (!d) {
        golden_skip(r, "no database of this system here");
        return;
    }
    srv_workload w = golden_load(args, (srv_workload){0});
    const srv_point *p = golden_evaluate(r, d, &w);
    const char *error = golden_text(aic_map_get(sums, "error"));
    if (error) {
        golden_expect_refusal(r, p->status, p->reason, error);
    } else if (!r->c->fast.priced[0]) {
        golden_differ(r, "%s", p->reason);
    } else {
        size_t n = d->n_context_rows;
        golden_expect_rows(r, d, aic_map_get(r->node, "ctx_per_op"), 0, n);
        golden_expect_rows(r, d, aic_map_get(r->node, "gen_per_op"), n, d->n_rows - n);
        /* The driver's totals go over unfolded ops: their last bits may differ, so they have an error of
         * their own. */
        golden_serving_row *rows = r->row;
        r->row = golden_row_of(r->c->report, "phase totals", rows->family);
        golden_expect_number(r, "context total", p->context_latency, sums->items[0]);
        golden_expect_number(r, "generation total", p->generation_latency, sums->items[1]);
        r->row->compared++;
        r->row = rows;
    }
    golden_check_grid(r, d, &w);
    srv_free(d);
    golden_finish(r, error != NULL);
}
