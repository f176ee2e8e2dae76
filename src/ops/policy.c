/* Transfer policies: what an estimate may be calibrated from (docs/model/modes.md). */
#include "ops/internal.h"

#include <ctype.h>
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
