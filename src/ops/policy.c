/* Transfer policies: what an estimate may be calibrated from (docs/model/modes.md). */
#include "ops/internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    unsigned bits;
} presets[] = {
    {"off", OP_POLICY_NONE},
    {"conservative", 1u << OP_TIER_xshape},
    {"balanced", 1u << OP_TIER_xshape | 1u << OP_TIER_xquant},
    {"aggressive", OP_POLICY_ALL},
};

static bool parse_word(const char *word, size_t len, unsigned *bits) {
    for (size_t i = 0; i < OP_COUNT(presets); i++)
        if (strlen(presets[i].name) == len && strncasecmp(word, presets[i].name, len) == 0) {
            *bits |= presets[i].bits;
            return true;
        }
    for (op_tier t = OP_TIER_xshape; t < OP_TIER_COUNT; t++)
        if (strlen(op_tier_name(t)) == len && strncasecmp(word, op_tier_name(t), len) == 0) {
            *bits |= 1u << t;
            return true;
        }
    return false;
}

bool op_policy_parse(const char *text, unsigned *out) {
    unsigned bits = OP_POLICY_NONE;
    if (!text) {
        *out = OP_POLICY_ALL;
        return true;
    }
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        const char *from = at, *to = at + len;
        while (from < to && isspace((unsigned char)*from))
            from++;
        while (to > from && isspace((unsigned char)to[-1]))
            to--;
        if (!parse_word(from, (size_t)(to - from), &bits))
            return false;
        at += len;
        if (!*at)
            break;
    }
    *out = bits;
    return true;
}

bool op_policy_allows(const op_binder *binder, op_tier t) {
    return binder->policy >> t & 1;
}

/* ---- profiles ------------------------------------------------------------------------------------------ */

/* Share of the speed of light that kernels of a profile reach, for ratios only. */
static const struct {
    double bytes;
    int compute;
    double gemm, moe;
} levels[] = {
    {2.0, 1, 0.70, 0.53}, {1.0, 1, 0.55, 0.45}, {0.5625, 1, 0.45, 0.07},
    {0.5, 1, 0.45, 0.07}, {1.0, 2, 0.45, 0.40}, {0.5, 2, 0.35, 0.15},
    {1.0, 4, 0.30, 0.30}, {0.5, 4, 0.30, 0.23}, {0.5625, 4, 0.30, 0.23},
};

static double level(pdb_quant q, unsigned kind) {
    const pdb_quant_info *info = pdb_quant_get(q);
    for (size_t i = 0; i < OP_COUNT(levels); i++)
        if (levels[i].bytes == info->bytes && levels[i].compute == info->compute)
            return kind == PDB_MOE ? levels[i].moe : levels[i].gemm;
    return kind == PDB_MOE ? 0.30 : 0.45;
}

double op_profile_ratio(pdb_quant query, pdb_quant reference, unsigned kind) {
    return level(query, kind) / level(reference, kind);
}

bool op_same_profile(pdb_quant a, pdb_quant b) {
    const pdb_quant_info *x = pdb_quant_get(a), *y = pdb_quant_get(b);
    return x->bytes == y->bytes && x->compute == y->compute;
}

static double profile_distance(pdb_quant a, pdb_quant b, double weight) {
    const pdb_quant_info *x = pdb_quant_get(a), *y = pdb_quant_get(b);
    return fabs((double)(x->compute - y->compute)) * weight + fabs(x->bytes - y->bytes);
}

size_t op_other_profiles(pdb_quant q, double weight, const pdb_quant *modes, size_t n, pdb_quant *out) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (op_same_profile(q, modes[i]))
            continue;
        size_t at = count++;
        double d = profile_distance(q, modes[i], weight);
        for (; at > 0 && d < profile_distance(q, out[at - 1], weight); at--)
            out[at] = out[at - 1];
        out[at] = modes[i];
    }
    return count;
}

size_t op_modes_of(const op_bound *b, const pdb_table *t, int c, const uint64_t *before, unsigned kind,
                   pdb_quant *out) {
    size_t n = 0;
    uint64_t last = 0; /* no text: no mode */
    for (size_t i = 0; i < pdb_slice_count(t); i++) {
        const uint64_t *cat = pdb_slice_at(t, i)->cat;
        if (cat[c] == last || (c && memcmp(cat, before, (size_t)c * sizeof *cat) != 0))
            continue;
        last = cat[c];
        pdb_quant q = pdb_quant_parse(pdb_text(b->view, last), kind);
        size_t k = 0;
        while (k < n && out[k] != q)
            k++;
        if (k == n && q != PDB_Q_UNSET)
            out[n++] = q;
    }
    return n;
}
