/* Algebra of results and the names of modes, sources and classes (docs/model/results.md,
 * docs/model/modes.md). */
#include "ops/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/* ---- names --------------------------------------------------------------------------------------------- */

static const char *const mode_names[] = {
#define MODE_NAME(name) #name,
    OP_MODES(MODE_NAME)
#undef MODE_NAME
};

static const char *const source_names[] = {
#define SOURCE_NAME(name) #name,
    OP_SOURCES(SOURCE_NAME)
#undef SOURCE_NAME
};

const char *op_mode_name(op_mode m) {
    return mode_names[m];
}

bool op_mode_parse(const char *text, op_mode *out) {
    for (int i = 0; i < OP_MODE_COUNT; i++)
        if (strcasecmp(text, mode_names[i]) == 0) {
            *out = (op_mode)i;
            return true;
        }
    return false;
}

bool op_mode_shares(op_mode m) {
    return m == OP_SILICON || m == OP_HYBRID;
}

const char *op_source_name(op_source s) {
    return source_names[s];
}

static const char *const tier_names[] = {
#define TIER_NAME(name) #name,
    OP_TIERS(TIER_NAME)
#undef TIER_NAME
};

const char *op_tier_name(op_tier t) {
    return tier_names[t];
}

const char *op_class_name(op_class c) {
    switch (c) {
    case OP_OK:
        return "answered";
    case OP_MISSING:
        return "missing data";
    case OP_NO_FLOPS:
        return "missing FLOPS";
    case OP_NO_EMPIRICAL:
        return "no empirical estimate";
    case OP_NO_SOL:
        return "no speed-of-light decomposition";
    case OP_INVALID:
        return "invalid configuration";
    }
    return "unknown";
}

op_class op_refuse(op_refusal *why, op_class cls, const char *fmt, ...) {
    if (!why)
        return cls;
    why->cls = cls;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    return cls;
}

/* ---- algebra ------------------------------------------------------------------------------------------- */

op_result op_zero(op_source s) {
    return (op_result){.source = s};
}

op_result op_seed(void) {
    return op_zero(OP_SRC_empirical);
}

void op_cover_all(op_result *r, op_cover cover) {
    for (int i = 0; i < OP_COVERS; i++)
        r->cover[i] = 0.0;
    r->cover[cover] = r->latency;
}

op_result op_sol_pair(double math, double mem) {
    op_result r = op_formula(op_max(math, mem), OP_SRC_sol);
    r.has_sol = true;
    r.sol_math = math;
    r.sol_mem = mem;
    return r;
}

op_result op_formula(double latency, op_source source) {
    op_result r = {.latency = latency, .source = source};
    r.cover[OP_FORMULA] = latency;
    return r;
}

op_result op_estimated(double latency, op_tier tier) {
    op_result r = op_formula(latency, OP_SRC_empirical);
    r.tier = tier;
    return r;
}

void op_scale(op_result *r, double f) {
    r->latency *= f;
    r->energy *= f;
    r->sol_math *= f;
    r->sol_mem *= f;
    for (int i = 0; i < OP_COVERS; i++)
        r->cover[i] *= f;
}

static bool is_zero(const op_result *r) {
    return r->latency == 0.0 && r->energy == 0.0;
}

op_result op_plus(const op_result *a, const op_result *b) {
    op_result r = is_zero(a) ? *b : *a;
    if (!is_zero(a) && !is_zero(b)) {
        r.source = a->source == b->source ? a->source : OP_SRC_mixed;
        r.has_sol = a->has_sol && b->has_sol;
        r.sol_math = r.has_sol ? a->sol_math + b->sol_math : 0.0;
        r.sol_mem = r.has_sol ? a->sol_mem + b->sol_mem : 0.0;
    }
    r.tier = a->tier > b->tier ? a->tier : b->tier;
    r.from = a->from | b->from;
    r.latency = a->latency + b->latency;
    r.energy = a->energy + b->energy;
    for (int i = 0; i < OP_COVERS; i++)
        r.cover[i] = a->cover[i] + b->cover[i];
    return r;
}

void op_clamp(op_result *r) {
    r->latency = op_max(r->latency, 0.0);
    r->energy = op_max(r->energy, 0.0);
    r->sol_math = op_max(r->sol_math, 0.0);
    r->sol_mem = op_max(r->sol_mem, 0.0);
    for (int i = 0; i < OP_COVERS; i++)
        r->cover[i] = op_max(r->cover[i], 0.0);
}

op_result op_mem(const pdb_system *sys, op_mode mode, double bytes) {
    double bw = op_max(sys->mem_bw, 1.0);
    if (mode == OP_SOL)
        return op_sol_pair(0.0, bytes / bw * 1000.0);
    double ms = (bytes / (bw * op_max(sys->mem_bw_factor, 1e-9)) + sys->mem_latency_s) * 1000.0;
    return op_formula(ms, OP_SRC_empirical);
}
