/* See golden_models.h. */
#include "parity/golden_models_internal.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- counting ------------------------------------------------------------------------------------------ */

golden_count *count_of(golden_models *g, const char *what, const char *family) {
    char name[48];
    snprintf(name, sizeof name, "%s%s%s", what, family ? " " : "", family ? family : "");
    for (size_t i = 0; i < g->n_counts; i++)
        if (strcmp(g->counts[i].what, name) == 0)
            return &g->counts[i];
    golden_count *c = &g->counts[g->n_counts < 63 ? g->n_counts++ : 63];
    snprintf(c->what, sizeof c->what, "%s", name);
    return c;
}

void differs(record *r, const char *fmt, ...) {
    if (r->failed)
        return;
    r->failed = true;
    r->count->different++;
    r->g->different++;
    if (r->g->n_first == sizeof r->g->first / sizeof *r->g->first)
        return;
    char text[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(r->g->first[r->g->n_first++], sizeof *r->g->first, "line %zu, %s: %s", r->line, r->count->what,
             text);
}

void skip(record *r, const char *why) {
    r->count->skipped++;
    r->count->skipped_why = why;
}

/* ---- reading a record ---------------------------------------------------------------------------------- */

mdl_quants read_modes(const aic_node *n, const char *kv_key) {
    const char *gemm = golden_text(aic_map_get(n, "gemm")), *moe = golden_text(aic_map_get(n, "moe"));
    const char *kv = golden_text(aic_map_get(n, kv_key)), *fmha = golden_text(aic_map_get(n, "fmha"));
    const char *comm = golden_text(aic_map_get(n, "comm"));
    return (mdl_quants){.gemm = gemm ? pdb_quant_parse(gemm, PDB_GEMM) : PDB_Q_UNSET,
                        .moe = moe ? pdb_quant_parse(moe, PDB_MOE) : PDB_Q_UNSET,
                        .kvcache = kv ? pdb_quant_parse(kv, PDB_KV) : PDB_Q_UNSET,
                        .fmha = fmha ? pdb_quant_parse(fmha, PDB_FMHA) : PDB_Q_UNSET,
                        .comm = comm ? pdb_quant_parse(comm, PDB_COMM) : PDB_Q_UNSET};
}

static const char *mode_name(pdb_quant q) {
    return q == PDB_Q_UNSET ? "-" : pdb_quant_get(q)->name;
}

void compare_modes(record *r, const char *what, const mdl_quants *want, const mdl_quants *have) {
    const struct {
        const char *name;
        pdb_quant want, have;
    } all[] = {{"gemm", want->gemm, have->gemm},
               {"moe", want->moe, have->moe},
               {"kvcache", want->kvcache, have->kvcache},
               {"fmha", want->fmha, have->fmha},
               {"comm", want->comm, have->comm}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].want != all[i].have)
            differs(r, "%s: %s %s should be %s", what, all[i].name, mode_name(all[i].have),
                    mode_name(all[i].want));
}

const mdl_model *get_model(record *r, const char *id) {
    aic_error err = {0};
    const mdl_model *m = mdl_get(r->g->catalogue, id ? id : "", &err);
    if (!m)
        differs(r, "%s", err.text);
    return m;
}

/* X(words of the reference's refusal, words of ours): one line per condition. */
#define CONDITIONS(X)                                                                                        \
    X("Parallelism width mismatch", "widths differ")                                                         \
    X("should be divisible by tp_size", "does not divide the")                                               \
    X("Context parallelism (cp_size", "is not modelled for family")                                          \
    X("sglang CP requires", "sglang shares a prefill")                                                       \
    X("ep size cannot be larger", "larger than the number of experts")                                       \
    X("Invalid quantized MoE configuration", "FP8 weight blocks")                                            \
    X("unknown FMHA quant mode", "float16 is not modelled")                                                  \
    X("fmha_quant_mode=fp8 has no", "no prefill attention with fp8 math")                                    \
    X("dense Gemma 4 variants require", "have no experts to spread")                                         \
    X("is not supported on Hopper", "not supported on Hopper")                                               \
    X("does not support MTP", "does not model multi-token prediction")                                       \
    X("does not model moe_backend='megamoe'", "has no megamoe kernels")                                      \
    X("has no native variant", "deepep_moe is not modelled")                                                 \
    X("ep size cannot exceed", "larger than the number of experts")                                          \
    X("MegaMoE modeling is only supported with", "megamoe kernels run on sglang only")                       \
    X("MegaMoE requires moe_tp_size=1", "megamoe kernels need moe_tp 1")                                     \
    X("MegaMoE requires moe_ep_size > 1", "megamoe kernels need moe_ep")                                     \
    X("moe_comm_backend is set but", "GPUs of a node are not known")                                         \
    X("requires attention_dp_size > 1", "needs dp")                                                          \
    X("requires moe_ep_size > 1", "needs moe_ep")                                                            \
    X("must be >= num_experts", "slots are fewer than")                                                      \
    X("must equal num_experts", "slots without eplb")                                                        \
    X("no serving MoE communication dtype", "no all-to-all format")                                          \
    X("large-EP is not wired", "does not model experts across nodes")                                        \
    X("Cross-node EP requires pure expert", "needs moe_tp 1")                                                \
    X("Cross-node EP requires DeepEP A2A data", "needs an all-to-all exchange")

void compare_refusal(record *r, const char *text, const op_refusal *why) {
    static const char *const conditions[][2] = {
#define CONDITION_ROW(theirs, ours) {theirs, ours},
        CONDITIONS(CONDITION_ROW)
#undef CONDITION_ROW
    };
    if (!text) {
        differs(r, "refused: %s", why->text);
        return;
    }
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        if (strstr(text, conditions[i][0]) && strstr(why->text, conditions[i][1])) {
            r->count->refused++;
            return;
        }
    }
    differs(r, "refused for another reason: \"%s\", reference \"%s\"", why->text, text);
}

/* ---- facts --------------------------------------------------------------------------------------------- */

static void compare_fact(record *r, const aic_node *facts, const char *name, int64_t have, bool null) {
    const aic_node *n = aic_map_get(facts, name);
    bool want_null = !n || n->kind == AIC_K_NULL;
    if (want_null != null || (!null && n->i != have))
        differs(r, "%s is %lld", name, (long long)have);
}

static void compare_algo(record *r, const char *name, const char *have) {
    const char *want = golden_text(aic_map_get(aic_map_get(r->n, "quant"), name));
    if ((want == NULL) != (have == NULL) || (want && strcmp(want, have) != 0))
        differs(r, "%s is %s", name, have ? have : "none");
}

static void compare_facts(record *r) {
    r->count = count_of(r->g, "facts", NULL);
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    if (!m)
        return;
    const aic_node *f = aic_map_get(r->n, "facts");
    const struct {
        const char *name;
        int64_t have;
        bool null;
    } facts[] = {{"L", m->layers, false},
                 {"nq", m->heads, false},
                 {"nkv", m->kv_heads, false},
                 {"hd", m->head_dim, false},
                 {"h", m->hidden, false},
                 {"I", m->ffn, false},
                 {"V", m->vocab, false},
                 {"ctx", m->context, false},
                 {"K", m->topk, false},
                 {"E", m->experts, m->experts_null},
                 {"Im", m->expert_ffn, m->expert_ffn_null},
                 {"S", m->shared_experts, false},
                 {"Lm", m->moe_layers, false}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        compare_fact(r, f, facts[i].name, facts[i].have, facts[i].null);
    compare_fact(r, r->n, "nextn_auto", m->nextn_auto, false);
    const char *family = golden_text(aic_map_get(r->n, "family")),
               *arch = golden_text(aic_map_get(r->n, "architecture"));
    if (!family || strcmp(family, m->family) != 0 || !arch || strcmp(arch, m->architecture) != 0)
        differs(r, "family %s of %s", m->family, m->architecture);
    if (aic_map_get(r->n, "is_moe")->b != m->is_moe)
        differs(r, "is_moe is %d", m->is_moe);
    const aic_node *dynamic = aic_map_get(aic_map_get(r->n, "quant"), "quant_dynamic");
    if ((dynamic->kind == AIC_K_NULL ? -1 : dynamic->b) != m->quant_dynamic)
        differs(r, "quant_dynamic is %d", m->quant_dynamic);
    compare_algo(r, "quant_algo", m->quant_algo);
    compare_algo(r, "kv_cache_quant_algo", m->kv_algo);
    mdl_quants want = read_modes(aic_map_get(r->n, "inferred"), "kvcache");
    compare_modes(r, "inferred", &want, &m->inferred);
    r->count->same += !r->failed;
}

/* ---- modes --------------------------------------------------------------------------------------------- */

static void compare_resolved(record *r, const mdl_model *m, const mdl_request *req) {
    mdl_resolved have;
    op_refusal why = {0};
    aic_error err = {0};
    const char *error = golden_text(golden_any(aic_map_get(r->n, "error"), "text", "text"));
    if (!mdl_resolve(m, req, r->arena, &have, &why, &err)) {
        if (why.cls == OP_OK)
            differs(r, "%s", err.text);
        else
            compare_refusal(r, error, &why);
        return;
    }
    if (error) {
        differs(r, "not refused; reference: %s", error);
        return;
    }
    mdl_quants want = read_modes(aic_map_get(r->n, "modes"), "kvcache");
    compare_modes(r, req->backend, &want, &have.modes);
    const aic_node *given = aic_map_get(r->n, "gemm_explicit");
    if (given && given->b != have.gemm_given)
        differs(r, "gemm counts as %s", have.gemm_given ? "given" : "not given");
    r->count->same += !r->failed;
}

static mdl_request base_request(const record *r) {
    mdl_request req = {.backend = golden_text(aic_map_get(r->n, "backend")),
                       .par = {1, 1, 1, 0, 0, 1},
                       .context_role = true};
    req.given = read_modes(aic_map_get(r->n, "explicit"), "kvcache");
    return req;
}

static void compare_compile(record *r) {
    r->count = count_of(r->g, "modes, library", NULL);
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    mdl_request req = base_request(r);
    if (m)
        compare_resolved(r, m, &req);
}

static void compare_estimate(record *r) {
    r->count = count_of(r->g, "modes, single point", NULL);
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    mdl_request req = base_request(r);
    const char *system = golden_text(aic_map_get(r->n, "system"));
    aic_error err = {0};
    if (!m)
        return;
    if (!r->g->db || !pdb_system_has_data(r->g->db, system)) {
        skip(r, "no measured tables of the system");
        return;
    }
    const char *version = golden_text(aic_map_get(r->n, "version"));
    req.view = pdb_view_get(r->g->db, system, req.backend, version, true, false, &err);
    if (!req.view)
        differs(r, "%s", err.text);
    else
        compare_resolved(r, m, &req);
}

/* ---- modes of a search, lanes ---------------------------------------------------------------------------
 */

/* The view a record names; NULL when its system is not at hand (skipped) or the view cannot be opened. */
static const pdb_view *view_of(record *r) {
    const char *system = golden_text(aic_map_get(r->n, "system")),
               *version = golden_text(aic_map_get(r->n, "version"));
    aic_error err = {0};
    if (!r->g->db || !pdb_system_has_data(r->g->db, system)) {
        skip(r, "no measured tables of the system");
        return NULL;
    }
    const pdb_view *view =
        pdb_view_get(r->g->db, system, golden_text(aic_map_get(r->n, "backend")), version, true, false, &err);
    if (!view)
        differs(r, "%s", err.text);
    return view;
}

static void compare_search(record *r) {
    r->count = count_of(r->g, "modes, search", NULL);
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    const char *error = golden_text(aic_map_get(aic_map_get(r->n, "error"), "text"));
    mdl_request req = base_request(r);
    if (!m || !(req.view = view_of(r)))
        return;
    mdl_quants have, want = read_modes(aic_map_get(r->n, "modes"), "kvcache");
    op_refusal why = {0};
    aic_error err = {0};
    if (!mdl_resolve_search(m, &req, r->arena, &have, &why, &err)) {
        if (why.cls == OP_OK)
            differs(r, "%s", err.text);
        else
            compare_refusal(r, error, &why);
        return;
    }
    if (error)
        differs(r, "not refused; reference: %s", error);
    else
        compare_modes(r, req.backend, &want, &have);
    r->count->same += !r->failed;
}

static void compare_lanes(record *r) {
    r->count = count_of(r->g, "lanes", NULL);
    const char *phase = golden_text(aic_map_get(r->n, "phase"));
    const aic_node *want = aic_map_get(r->n, "lane_order");
    const pdb_view *view = view_of(r);
    op_texts have = {0};
    aic_error err = {0};
    if (!view)
        return;
    bool ok = op_lane_order(view, strcmp(phase, "context") == 0, golden_text(aic_map_get(r->n, "override")),
                            &have, &err);
    if (!ok && !want) {
        r->count->refused++;
        return;
    }
    bool same = ok && want && have.count == want->count;
    for (size_t i = 0; same && i < have.count; i++)
        same = strcmp(have.items[i], want->items[i]->text) == 0;
    if (!same)
        differs(r, "%s lanes: %s", phase, ok ? "another order" : err.text);
    r->count->same += same;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void pass_header(record *r) {
    (void)r;
}

static void skip_other(record *r) {
    skip(r, "records of a kind this program does not know");
}

/* X(type, key that tells the file, comparison): the first row that fits. */
#define RECORDS(X)                                                                                           \
    X("facts", "type", compare_facts)                                                                        \
    X("modes_compile", "type", compare_compile)                                                              \
    X("modes_estimate", "type", compare_estimate)                                                            \
    X("modes_sweep", "type", compare_search)                                                                 \
    X("lane", "type", compare_lanes)                                                                         \
    X("header", "type", pass_header)                                                                         \
    X("", "header", pass_header)                                                                             \
    X("", "records", pass_header)                                                                            \
    X("ops", "type", compare_ops)                                                                            \
    X("ops", "t", compare_case)                                                                              \
    X("comm_select", "t", compare_choice)                                                                    \
    X("encoder", "t", compare_images)                                                                        \
    X("error", "t", compare_case)                                                                            \
    X("", "role", compare_spec)

static void (*compare_of(const record *r, const char *type))(record *r) {
    static const struct {
        const char *type, *key;
        void (*compare)(record *r);
    } all[] = {
#define RECORD_ROW(type, key, compare) {type, key, compare},
        RECORDS(RECORD_ROW)
#undef RECORD_ROW
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].type, type) == 0 && aic_map_get(r->n, all[i].key))
            return all[i].compare;
    return skip_other;
}

static void compare_record(golden_models *g, const char *text, size_t line) {
    aic_error err = {0};
    record r = {.g = g, .line = line, .arena = aic_arena_new()};
    r.n = aic_doc_json_text(r.arena, "golden", text, strlen(text), &err);
    const char *type = golden_text(golden_any(r.n, "type", "t"));
    r.count = count_of(g, "other", NULL);
    if (!r.n)
        differs(&r, "not a record: %s", err.text);
    else
        compare_of(&r, type ? type : "")(&r);
    aic_arena_free(r.arena);
}

bool golden_models_run(const char *path, golden_models *g) {
    golden_lines *lines = golden_open(path);
    if (!lines)
        return false;
    for (const char *text; (text = golden_next(lines));)
        compare_record(g, text, golden_line(lines));
    golden_close(lines);
    return true;
}

void golden_models_print(const golden_models *g, FILE *out) {
    fprintf(out, "%-22s %8s %8s %8s %9s %9s %10s\n", "what", "same", "refused", "skipped", "different", "ops",
            "us/build");
    for (size_t i = 0; i < g->n_counts; i++) {
        const golden_count *c = &g->counts[i];
        if (c->same + c->refused + c->skipped + c->different == 0)
            continue;
        fprintf(out, "%-22s %8zu %8zu %8zu %9zu %9zu", c->what, c->same, c->refused, c->skipped, c->different,
                c->ops);
        if (c->seconds > 0.0 && c->same)
            fprintf(out, " %10.1f", c->seconds * 1e6 / (double)c->same);
        fprintf(out, "%s%s\n", c->skipped ? "  skipped: " : "", c->skipped ? c->skipped_why : "");
    }
    for (size_t i = 0; i < g->n_first; i++)
        fprintf(out, "  %s\n", g->first[i]);
    fprintf(out, "%zu different\n", g->different);
}
