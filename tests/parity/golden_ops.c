/* Evaluation of reference records of single ops (golden_ops.h). */
#include "parity/golden_ops.h"

#include <math.h>
#include <string.h>

/* ---- one record ---------------------------------------------------------------------------------------- */

typedef struct record {
    const aic_node *node;
    size_t line;
    aic_arena *arena;
    pdb *db;
    golden_report *report;
    golden_row *row;
} record;

static golden_row *row_of(golden_report *report, const char *kind, const char *mode) {
    for (size_t i = 0; i < report->n_rows; i++)
        if (strcmp(report->rows[i].kind, kind) == 0 && strcmp(report->rows[i].mode, mode) == 0)
            return &report->rows[i];
    size_t last = sizeof report->rows / sizeof report->rows[0] - 1;
    golden_row *row = &report->rows[report->n_rows < last ? report->n_rows++ : last];
    snprintf(row->kind, sizeof row->kind, "%s", kind);
    snprintf(row->mode, sizeof row->mode, "%s", mode);
    return row;
}

static void skip(record *r, const char *why) {
    r->row->skipped++;
    r->row->skipped_why = why;
}

static void agree(record *r, bool refused) {
    *(refused ? &r->row->refused : &r->row->compared) += 1;
    *(refused ? &r->report->refused : &r->report->compared) += 1;
}

static void differ(record *r, const char *fmt, ...) AIC_PRINTF(2, 3);
static void differ(record *r, const char *fmt, ...) {
    r->row->different++;
    r->report->different++;
    if (r->report->n_first == sizeof r->report->first / sizeof r->report->first[0])
        return;
    char *text = r->report->first[r->report->n_first++];
    const char *system = golden_text(golden_any(r->node, "system", "sys"));
    const char *backend = golden_text(golden_any(r->node, "backend", "be"));
    int n = snprintf(text, sizeof r->report->first[0], "line %zu, %s/%s %s %s: ", r->line,
                     system ? system : "-", backend ? backend : "-", r->row->kind, r->row->mode);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof r->report->first[0] - (size_t)n, fmt, ap);
    va_end(ap);
}

static bool close_to(record *r, double got, double expected) {
    double error = got == expected ? 0.0 : fabs(got - expected) / fmax(fabs(expected), 1e-300);
    if (!(error <= r->row->worst))
        r->row->worst = error;
    return error <= GOLDEN_TOLERANCE;
}

static const pdb_view *view_of(const record *r, bool shared) {
    const aic_node *n = r->node;
    return pdb_view_get(r->db, golden_text(golden_any(n, "system", "sys")),
                        golden_text(golden_any(n, "backend", "be")),
                        golden_text(golden_any(n, "version", "ver")), shared, true, NULL);
}

/* ---- op queries ---------------------------------------------------------------------------------------- */

static op_class class_of(const char *error) {
    static const struct {
        const char *name;
        op_class cls;
    } classes[] = {{"PerfDataNotAvailableError", OP_MISSING},
                   {"Miss", OP_MISSING},
                   {"MissingSystemFlopsError", OP_NO_FLOPS},
                   {"NoFlops", OP_NO_FLOPS},
                   {"EmpiricalNotImplementedError", OP_NO_EMPIRICAL},
                   {"NoEmp", OP_NO_EMPIRICAL},
                   {"SolNotImplementedError", OP_NO_SOL}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i].name, error) == 0)
            return classes[i].cls;
    return OP_INVALID;
}

static op_shape shape_of(const aic_node *n, const op *o) {
    const aic_node *x = aic_map_get(n, "x"), *phase = aic_map_get(n, "phase"), *ctx = aic_map_get(n, "ctx");
    op_shape s = {.batch = golden_u32(golden_any(n, "batch", "b")),
                  .s = golden_u32(aic_map_get(n, "s")),
                  .prefix = golden_u32(golden_any(n, "prefix", "p")),
                  .imbalance = golden_number(aic_map_get(n, "scale"), 1.0)};
    bool generation = (phase && strcmp(phase->text, "gen") == 0) || (ctx && !ctx->b);
    if (x && x->kind == AIC_K_INT)
        s.x = golden_u32(x);
    else
        s.x = generation || op_is_logits(o) ? s.batch : s.batch * s.s;
    if (!aic_map_get(n, "s"))
        s.batch = s.s = 1; /* token-major ops alone */
    return s;
}

/* What a record gives: (latency, energy, source) and, for speed of light, (time, math, mem). */
typedef struct expected {
    double latency, energy;
    const char *source; /* NULL: not given */
    const char *tier;   /* NULL: not given */
    bool has_sol;
    double math, mem;
} expected;

static expected expected_of(const aic_node *n) {
    const aic_node *result = aic_map_get(n, "result"), *sol = aic_map_get(n, "sol"),
                   *sol_time = aic_map_get(n, "sol_time");
    if (sol_time)
        return (expected){.latency = sol_time->r,
                          .source = "sol",
                          .has_sol = true,
                          .math = golden_number(aic_map_get(n, "sol_math"), NAN),
                          .mem = golden_number(aic_map_get(n, "sol_mem"), NAN)};
    bool triple = result && aic_map_get(n, "kind");
    const aic_node *ms = aic_map_get(n, "ms"), *wms = aic_map_get(n, "wms");
    expected e = {.latency = golden_number(ms ? ms : golden_any(n, "lat", "latency_ms"), NAN),
                  .energy = golden_number(wms ? wms : golden_any(n, "en", "energy_wms"), NAN),
                  .source = golden_text(golden_any(n, "src", "source")),
                  .has_sol = triple || sol};
    if (result) {
        e.latency = result->items[1]->r;
        e.energy = triple ? 0.0 : result->items[2]->r;
        e.source = triple ? NULL : golden_text(result->items[3]);
    }
    if (e.has_sol) {
        const aic_node *list = triple ? result : sol;
        e.math = list->items[list->count - 2]->r;
        e.mem = list->items[list->count - 1]->r;
    }
    return e;
}

/* The tier a record gives: null is "none"; an answer that names none is not compared. */
static const char *tier_of(const aic_node *n) {
    const aic_node *tier = golden_any(n, "provenance", "prov");
    if (!tier)
        return NULL;
    return tier->kind == AIC_K_NULL ? op_tier_name(OP_TIER_none) : golden_text(tier);
}

static void compare(record *r, const op_result *got, const expected *e) {
    double cover = 0.0;
    for (int i = 0; i < OP_COVERS; i++)
        cover += got->cover[i];
    if (!close_to(r, got->latency, e->latency) || !close_to(r, got->energy, e->energy))
        differ(r, "latency %.17g, energy %.17g; expected %.17g, %.17g", got->latency, got->energy, e->latency,
               e->energy);
    else if (e->source && strcmp(op_source_name(got->source), e->source) != 0)
        differ(r, "source %s, expected %s", op_source_name(got->source), e->source);
    else if (e->tier && strcmp(op_tier_name(got->tier), e->tier) != 0)
        differ(r, "calibrated by %s, expected %s", op_tier_name(got->tier), e->tier);
    else if (e->has_sol &&
             !(got->has_sol && close_to(r, got->sol_math, e->math) && close_to(r, got->sol_mem, e->mem)))
        differ(r, "speed of light (%.17g, %.17g), expected (%.17g, %.17g)", got->sol_math, got->sol_mem,
               e->math, e->mem);
    else if (fabs(cover - got->latency) > 1e-9 * fabs(got->latency))
        differ(r, "cover sums to %.17g, latency is %.17g", cover, got->latency);
    else
        agree(r, false);
}

/* "policy": a text or null for all; "transfer": a list of kinds, absent for all. */
static bool policy_of(const aic_node *n, unsigned *out) {
    const aic_node *kinds = aic_map_get(n, "transfer");
    if (!kinds)
        return op_policy_parse(golden_text(aic_map_get(n, "policy")), out);
    *out = OP_POLICY_NONE;
    for (size_t i = 0; i < kinds->count; i++) {
        unsigned bits;
        if (!op_policy_parse(golden_text(kinds->items[i]), &bits))
            return false;
        *out |= bits;
    }
    return true;
}

/* "substitution": [phase of the engine, comm_backend, asked ep, nodes, measured ep, nodes]; absent = none. */
static bool same_substitution(const aic_node *wanted, const op_substitution *got) {
    if (!wanted || wanted->kind != AIC_K_LIST)
        return !got;
    aic_node *const *part = wanted->items;
    return got && !got->next && strcmp(got->comm_backend, part[1]->text) == 0 &&
           got->ep == golden_u32(part[2]) && got->nodes == golden_u32(part[3]) &&
           got->measured_ep == golden_u32(part[4]) && got->measured_nodes == golden_u32(part[5]);
}

static void run_query(record *r, const op *o, op_mode mode) {
    const pdb_view *view = view_of(r, r->report->shared || op_mode_shares(mode));
    if (!view) {
        skip(r, "no such database");
        return;
    }
    op_binder binder = {.arena = r->arena, .view = view, .mode = mode};
    if (!policy_of(r->node, &binder.policy)) {
        differ(r, "transfer policy not understood");
        return;
    }
    op_bound bound;
    op_result got;
    op_refusal why = {0};
    op_bind(&binder, o, &bound);
    op_shape shape = shape_of(r->node, o);
    op_class cls = op_query(&bound, mode, &shape, &got, &why);
    const char *error = golden_text(aic_map_get(r->node, "error"));
    op_class wanted = error ? class_of(error) : OP_OK;
    if (cls != wanted) {
        differ(r, "%s, expected %s; %s", op_class_name(cls), op_class_name(wanted), cls ? why.text : "");
    } else if (cls != OP_OK) {
        if (why.cls == cls && why.text[0])
            agree(r, true);
        else
            differ(r, "refused without a reason");
    } else if (!same_substitution(aic_map_get(r->node, "substitution"), bound.substitutions)) {
        differ(r, "another substitution of the topology");
    } else {
        expected e = expected_of(r->node);
        e.tier = tier_of(r->node);
        compare(r, &got, &e);
    }
}

/* The mode of a record; a speed-of-light decomposition is an answer of the SOL mode. */
static bool mode_of(const char *text, op_mode *out) {
    return text && op_mode_parse(strcmp(text, "SOL_FULL") == 0 ? "SOL" : text, out);
}

/* An op the catalogue cannot hold is an invalid configuration. */
static void run_op(record *r, const aic_node *wire) {
    const char *mode_text = golden_text(aic_map_get(r->node, "mode")), *kind = wire->keys[0]->text;
    op_mode mode;
    r->row = row_of(r->report, kind, mode_text ? mode_text : "-");
    if (!mode_of(mode_text, &mode)) {
        skip(r, "no such mode");
        return;
    }
    if (!op_desc_find(kind)) {
        skip(r, "kind not supported");
        return;
    }
    aic_error err = {0};
    const op *o = op_from_json(r->arena, wire, &err);
    const char *error = golden_text(aic_map_get(r->node, "error"));
    if (o)
        run_query(r, o, mode);
    else if (error && class_of(error) == OP_INVALID)
        agree(r, true);
    else
        differ(r, "%s", err.text);
}

/* ---- weights ------------------------------------------------------------------------------------------- */

static void run_weights(record *r, const aic_node *wire, double bytes) {
    aic_error err = {0};
    r->row = row_of(r->report, wire->keys[0]->text, "weights");
    if (!op_desc_find(wire->keys[0]->text)) {
        skip(r, "kind not supported");
        return;
    }
    const op *o = op_from_json(r->arena, wire, &err);
    if (!o)
        differ(r, "%s", err.text);
    else if (!close_to(r, op_weight_bytes(o), bytes))
        differ(r, "%.17g bytes, expected %.17g", op_weight_bytes(o), bytes);
    else
        agree(r, false);
}

/* {"kind": "Moe", "hidden_size": ...}: only the fields that weights depend on. */
static void run_flat_weights(record *r, const aic_node *fields) {
    static const struct {
        const char *field, *value, *kind; /* kind NULL: of all */
    } rest[] = {{"topk", "1", NULL},
                {"workload_distribution", "\"balanced\"", NULL},
                {"attention_dp_size", "1", NULL},
                {"inference_phase", "\"context\"", "MoeExpertCompute"}};
    const char *kind = golden_text(aic_map_get(fields, "kind"));
    r->row = row_of(r->report, kind, "weights");
    if (!op_desc_find(kind)) {
        skip(r, "kind not supported");
        return;
    }
    aic_buf wire = {0};
    aic_buf_printf(&wire, "{\"%s\": {", kind);
    for (size_t i = 0; i < fields->count; i++) {
        const aic_node *v = fields->items[i];
        if (strcmp(fields->keys[i]->text, "kind") == 0)
            continue;
        aic_buf_printf(&wire, "\"%s\": ", fields->keys[i]->text);
        if (v->kind == AIC_K_TEXT)
            aic_buf_json_string(&wire, v->text);
        else if (v->kind == AIC_K_BOOL)
            aic_buf_add(&wire, v->b ? "true" : "false");
        else
            aic_buf_json_number(&wire, v->r);
        aic_buf_add(&wire, ", ");
    }
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        if (!rest[i].kind || strcmp(rest[i].kind, kind) == 0)
            aic_buf_printf(&wire, "\"%s\": %s, ", rest[i].field, rest[i].value);
    aic_buf_add(&wire, "\"name\": \"w\"}}");
    aic_error err = {0};
    const aic_node *n = aic_doc_json_text(r->arena, "weights", wire.data, wire.len, &err);
    aic_buf_free(&wire);
    if (n)
        run_weights(r, n, golden_number(aic_map_get(r->node, "bytes"), NAN));
    else
        differ(r, "%s", err.text);
}

/* ---- lanes --------------------------------------------------------------------------------------------- */

static void run_lanes(record *r) {
    const char *phase = golden_text(aic_map_get(r->node, "phase")),
               *error = golden_text(aic_map_get(r->node, "error"));
    const aic_node *wanted = aic_map_get(r->node, "order");
    r->row = row_of(r->report, "lanes", phase);
    const pdb_view *view = view_of(r, true);
    if (!view) {
        skip(r, "no such database");
        return;
    }
    aic_error err = {0};
    op_texts got = {0};
    bool ok = op_lane_order(view, strcmp(phase, "ctx") == 0, golden_text(aic_map_get(r->node, "override")),
                            &got, &err);
    if (!ok || error) {
        if (!ok && error)
            agree(r, true);
        else
            differ(r, "%s", ok ? "an order, expected a refusal" : err.text);
        return;
    }
    bool same = got.count == wanted->count;
    for (size_t i = 0; same && i < got.count; i++)
        same = strcmp(got.items[i], wanted->items[i]->text) == 0;
    if (same)
        agree(r, false);
    else
        differ(r, "another order of %zu lanes, first %s", got.count, got.count ? got.items[0] : "-");
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* A line that describes the file; its note may say that inherited rows were on throughout. */
static bool read_header(record *r) {
    const char *note = golden_text(aic_map_get(r->node, "note"));
    if (!aic_map_get(r->node, "header"))
        return false;
    r->report->shared = note && strncmp(note, "shared layer on,", 16) == 0;
    return true;
}

static void run_record(record *r) {
    const aic_node *n = r->node, *op = aic_map_get(n, "op"), *kind = aic_map_get(n, "kind"),
                   *bytes = aic_map_get(n, "weight_bytes");
    if (read_header(r))
        return;
    if (aic_map_get(n, "weights"))
        run_flat_weights(r, aic_map_get(n, "weights"));
    else if (op && kind && strcmp(kind->text, "weights") == 0)
        run_weights(r, op, golden_number(aic_map_get(n, "result"), NAN));
    else if (bytes)
        run_weights(r, op, golden_number(bytes, NAN));
    else if (op)
        run_op(r, op);
    else if (aic_map_get(n, "override"))
        run_lanes(r);
}

void golden_ops_record(const aic_node *n, size_t line, aic_arena *a, pdb *db, golden_report *report) {
    record r = {.node = n, .line = line, .arena = a, .db = db, .report = report};
    run_record(&r);
}

bool golden_ops_run(const char *path, pdb *db, golden_report *report) {
    golden_lines *lines = golden_open(path);
    if (!lines)
        return false;
    bool ok = true;
    for (char *text; ok && (text = golden_next(lines));) {
        aic_arena *arena = aic_arena_new();
        aic_error err = {0};
        const aic_node *n = aic_doc_json_text(arena, path, text, strlen(text), &err);
        if (n)
            golden_ops_record(n, golden_line(lines), arena, db, report);
        ok = n != NULL;
        aic_arena_free(arena);
    }
    golden_close(lines);
    return ok;
}

void golden_ops_print(const golden_report *report, FILE *out) {
    fprintf(out, "%-20s %-10s %9s %8s %10s %8s %12s\n", "kind", "mode", "compared", "refused", "different",
            "skipped", "worst error");
    for (size_t i = 0; i < report->n_rows; i++) {
        const golden_row *r = &report->rows[i];
        fprintf(out, "%-20s %-10s %9zu %8zu %10zu %8zu %12.3g %s\n", r->kind, r->mode, r->compared,
                r->refused, r->different, r->skipped, r->worst, r->skipped ? r->skipped_why : "");
    }
    for (size_t i = 0; i < report->n_first; i++)
        fprintf(out, "  %s\n", report->first[i]);
}
