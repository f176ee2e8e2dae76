/* See golden_models.h. */
#include "parity/golden_models.h"
#include "models/internal.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- counting ------------------------------------------------------------------------------------------ */

static golden_count *count_of(golden_models *g, const char *what, const char *family) {
    char name[48];
    snprintf(name, sizeof name, "%s%s%s", what, family ? " " : "", family ? family : "");
    for (size_t i = 0; i < g->n_counts; i++)
        if (strcmp(g->counts[i].what, name) == 0)
            return &g->counts[i];
    golden_count *c = &g->counts[g->n_counts < 63 ? g->n_counts++ : 63];
    snprintf(c->what, sizeof c->what, "%s", name);
    return c;
}

typedef struct record {
    golden_models *g;
    const aic_node *n;
    size_t line;
    golden_count *count;
    bool failed;
    aic_arena *arena;
} record;

static void differs(record *r, const char *fmt, ...) AIC_PRINTF(2, 3);
static void differs(record *r, const char *fmt, ...) {
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

static void skip(record *r, const char *why) {
    r->count->skipped++;
    r->count->skipped_why = why;
}

/* ---- reading a record ---------------------------------------------------------------------------------- */

static mdl_quants read_modes(const aic_node *n) {
    const char *gemm = golden_text(aic_map_get(n, "gemm")), *moe = golden_text(aic_map_get(n, "moe"));
    const char *kv = golden_text(aic_map_get(n, "kvcache")), *fmha = golden_text(aic_map_get(n, "fmha"));
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

static void compare_modes(record *r, const char *what, const mdl_quants *want, const mdl_quants *have) {
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

static const mdl_model *get_model(record *r) {
    aic_error err = {0};
    const char *id = golden_text(aic_map_get(r->n, "model"));
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
    X("fmha_quant_mode=fp8 has no", "no prefill attention with fp8 math")

static void compare_refusal(record *r, const aic_node *want, const op_refusal *why) {
    static const char *const conditions[][2] = {
#define CONDITION_ROW(theirs, ours) {theirs, ours},
        CONDITIONS(CONDITION_ROW)
#undef CONDITION_ROW
    };
    const char *text = golden_text(aic_map_get(want, "text"));
    if (!want || !text) {
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
    const mdl_model *m = get_model(r);
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
    mdl_quants want = read_modes(aic_map_get(r->n, "inferred"));
    compare_modes(r, "inferred", &want, &m->inferred);
    r->count->same += !r->failed;
}

/* ---- modes --------------------------------------------------------------------------------------------- */

static void compare_resolved(record *r, const mdl_model *m, const mdl_request *req) {
    mdl_resolved have;
    op_refusal why = {0};
    aic_error err = {0};
    const aic_node *error = aic_map_get(r->n, "error");
    if (!mdl_resolve(m, req, r->arena, &have, &why, &err)) {
        if (why.cls == OP_OK)
            differs(r, "%s", err.text);
        else
            compare_refusal(r, error, &why);
        return;
    }
    if (error) {
        differs(r, "not refused; reference: %s", golden_text(aic_map_get(error, "text")));
        return;
    }
    mdl_quants want = read_modes(aic_map_get(r->n, "modes"));
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
    req.given = read_modes(aic_map_get(r->n, "explicit"));
    return req;
}

static void compare_compile(record *r) {
    r->count = count_of(r->g, "modes, library", NULL);
    const mdl_model *m = get_model(r);
    mdl_request req = base_request(r);
    if (m)
        compare_resolved(r, m, &req);
}

static void compare_estimate(record *r) {
    r->count = count_of(r->g, "modes, single point", NULL);
    const mdl_model *m = get_model(r);
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

/* ---- op lists ------------------------------------------------------------------------------------------ */

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

static void compare_figures(record *r, const mdl_deployment *d) {
    const aic_node *weights = aic_map_get(r->n, "weights");
    for (size_t i = 0; weights && i < weights->count && i < d->context.count; i++)
        if (weights->items[i]->r != op_weight_bytes(d->context.items[i]))
            differs(r, "weight of %s is %.17g", d->context.items[i]->name,
                    op_weight_bytes(d->context.items[i]));
    if (golden_number(aic_map_get(r->n, "weights_total"), -1.0) != d->weight_bytes)
        differs(r, "weights are %.17g", d->weight_bytes);
    const aic_node *kv = aic_map_get(r->n, "kv"), *fits = aic_map_get(r->n, "max_tokens");
    for (size_t i = 0; kv && i < kv->count; i++)
        if (kv->items[i]->r != mdl_kv_bytes(d, strtod(kv->keys[i]->text, NULL)))
            differs(r, "KV bytes of %s tokens", kv->keys[i]->text);
    for (size_t i = 0; fits && i < fits->count; i++)
        if (fits->items[i]->r != mdl_kv_max_tokens(d, strtod(fits->keys[i]->text, NULL)))
            differs(r, "tokens within %s bytes: %g", fits->keys[i]->text,
                    mdl_kv_max_tokens(d, strtod(fits->keys[i]->text, NULL)));
}

static void compare_deployment(record *r, const mdl_model *m, const mdl_request *req) {
    mdl_deployment d;
    op_refusal why = {0};
    aic_error err = {0};
    const aic_node *error = aic_map_get(r->n, "error");
    double start = aic_now();
    bool built = mdl_build(m, req, r->arena, &d, &why, &err);
    r->count->seconds += built ? aic_now() - start : 0.0;
    if (!built && why.cls == OP_OK) {
        differs(r, "%s", err.text);
    } else if (!built) {
        compare_refusal(r, error, &why);
    } else if (error) {
        differs(r, "not refused; reference: %s", golden_text(aic_map_get(error, "text")));
    } else {
        mdl_quants want = read_modes(aic_map_get(r->n, "modes"));
        compare_modes(r, "effective", &want, &d.quants);
        compare_list(r, "context_ops", &d.context);
        compare_list(r, "generation_ops", &d.generation);
        compare_figures(r, &d);
        r->count->same += !r->failed;
    }
}

static void compare_ops(record *r) {
    r->count = count_of(r->g, "ops", NULL);
    const mdl_model *m = get_model(r);
    if (!m)
        return;
    r->count = count_of(r->g, "ops", m->family);
    if (!m->graph) {
        skip(r, "the family has no graph");
        return;
    }
    if (aic_map_get(r->n, "a2a")) {
        skip(r, "expert parallelism across nodes");
        return;
    }
    const aic_node *par = aic_map_get(r->n, "parallel");
    mdl_request req = base_request(r);
    req.par = (mdl_parallel){golden_u32(aic_map_get(par, "tp")),  golden_u32(aic_map_get(par, "pp")),
                             golden_u32(aic_map_get(par, "dp")),  golden_u32(aic_map_get(par, "mtp")),
                             golden_u32(aic_map_get(par, "mep")), golden_u32(aic_map_get(par, "cp"))};
    req.nextn = golden_u32(aic_map_get(par, "nextn"));
    req.distribution = golden_text(aic_map_get(r->n, "distribution"));
    compare_deployment(r, m, &req);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void compare_record(golden_models *g, const char *text, size_t line) {
    aic_error err = {0};
    record r = {.g = g, .line = line, .arena = aic_arena_new()};
    r.n = aic_doc_json_text(r.arena, "golden", text, strlen(text), &err);
    const char *type = golden_text(aic_map_get(r.n, "type"));
    r.count = count_of(g, "other", NULL);
    if (!type)
        differs(&r, "not a record: %s", err.text);
    else if (strcmp(type, "facts") == 0)
        compare_facts(&r);
    else if (strcmp(type, "modes_compile") == 0)
        compare_compile(&r);
    else if (strcmp(type, "modes_estimate") == 0)
        compare_estimate(&r);
    else if (strcmp(type, "ops") == 0)
        compare_ops(&r);
    else
        skip(&r, "other records");
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
