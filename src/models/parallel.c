/* Parallel widths: what a request must satisfy before a graph is looked at (docs/model/parallel.md). */
#include "models/internal.h"
#include <inttypes.h>
#include <string.h>

enum { MAX_WIDTH = 1 << 20 }; /* GPUs of one parallel group: far above any system, and products stay small */

uint32_t mdl_gpus(const mdl_parallel *p) {
    uint64_t gpus = 1;
    const uint32_t sizes[] = {p->tp, p->pp, p->dp, p->cp};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        gpus = gpus * sizes[i] > UINT32_MAX ? UINT32_MAX : gpus * sizes[i];
    return (uint32_t)gpus;
}

static bool refuse_if(bool broken, op_refusal *why, const char *text) {
    if (broken)
        op_refuse(why, OP_INVALID, "%s", text);
    return !broken;
}

static bool check_sizes(const mdl_parallel *p, op_refusal *why) {
    const struct {
        const char *name;
        uint32_t size, min;
    } sizes[] = {{"tp", p->tp, 1}, {"pp", p->pp, 1},         {"dp", p->dp, 1},
                 {"cp", p->cp, 1}, {"moe_tp", p->moe_tp, 0}, {"moe_ep", p->moe_ep, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].size >= sizes[i].min && sizes[i].size <= MAX_WIDTH)
            continue;
        op_refuse(why, OP_INVALID, "%s must be from %" PRIu32 " to %d, not %" PRIu32, sizes[i].name,
                  sizes[i].min, MAX_WIDTH, sizes[i].size);
        return false;
    }
    return true;
}

/* The expert size nobody gave, from the width and the other one. */
static bool infer_other(uint64_t width, const char *name, const char *given_name, uint32_t given,
                        uint32_t *out, op_refusal *why) {
    if (width % given != 0) {
        op_refuse(why, OP_INVALID,
                  "%s cannot be inferred: %s %" PRIu32 " does not divide tp x dp x cp = %" PRIu64, name,
                  given_name, given, width);
        return false;
    }
    *out = (uint32_t)(width / given);
    return true;
}

bool mdl_check_width(const mdl_model *m, mdl_parallel *p, op_refusal *why) {
    if (!check_sizes(p, why))
        return false;
    uint64_t width = (uint64_t)p->tp * p->dp * p->cp; /* below 2^60 */
    if (!refuse_if(width > MAX_WIDTH, why, "tp x dp x cp is more GPUs than any system has"))
        return false;
    if (!m->is_moe)
        return true;
    if (!refuse_if(p->moe_tp == 0 && p->moe_ep == 0, why, "a MoE model needs moe_tp or moe_ep (or both)"))
        return false;
    if (p->moe_tp == 0 && !infer_other(width, "moe_tp", "moe_ep", p->moe_ep, &p->moe_tp, why))
        return false;
    if (p->moe_ep == 0 && !infer_other(width, "moe_ep", "moe_tp", p->moe_tp, &p->moe_ep, why))
        return false;
    uint64_t experts = (uint64_t)p->moe_tp * p->moe_ep;
    if (experts == width)
        return true;
    op_refuse(why, OP_INVALID,
              "widths differ: attention spans tp %" PRIu32 " x dp %" PRIu32 " x cp %" PRIu32 " = %" PRIu64
              " GPUs, the experts moe_tp %" PRIu32 " x moe_ep %" PRIu32 " = %" PRIu64 "; they must be equal",
              p->tp, p->dp, p->cp, width, p->moe_tp, p->moe_ep, experts);
    return false;
}

bool mdl_check_context_parallel(const mdl_model *m, const mdl_parallel *p, const char *backend,
                                const op_texts *supported, op_refusal *why) {
    if (p->cp == 1)
        return true;
    if (!mdl_texts_have(supported, backend)) {
        op_refuse(why, OP_INVALID, "context parallelism (cp %" PRIu32 ") is not modelled for family %s on %s",
                  p->cp, m->family, backend);
        return false;
    }
    if (strcmp(backend, "sglang") == 0 && (p->tp != 1 || p->dp != 1)) {
        op_refuse(why, OP_INVALID,
                  "sglang shares a prefill either over cp or over tp and dp: cp %" PRIu32
                  " needs tp 1 and dp 1, not tp %" PRIu32 ", dp %" PRIu32,
                  p->cp, p->tp, p->dp);
        return false;
    }
    return true;
}

bool mdl_check_heads(const mdl_model *m, const mdl_parallel *p, op_refusal *why) {
    if (m->heads % p->tp == 0)
        return true;
    op_refuse(why, OP_INVALID, "tp %" PRIu32 " does not divide the %" PRId64 " attention heads", p->tp,
              m->heads);
    return false;
}
