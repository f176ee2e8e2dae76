/* Fans of ops beside op_query. */
#ifndef AICFG_TESTS_FAN_CASES_H
#define AICFG_TESTS_FAN_CASES_H

#include "ops/ops.h"
#include <stdlib.h>
#include <string.h>

static inline bool fan_same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Does the fan say at length i what the op says, repeat included? */
static inline bool fan_agrees(const op_bound *b, op_mode mode, const op_fan *f, op_shape shape, size_t i,
                              uint32_t length) {
    op_result r;
    shape.s = length;
    if (op_query(b, mode, &shape, &r, NULL) != OP_OK)
        return false;
    bool same = fan_same(r.latency, f->latency[i]) && fan_same(r.energy, f->energy ? f->energy[i] : 0.0) &&
                r.from == (f->from ? f->from[i] : 0) && r.source == OP_SRC_silicon && r.tier == OP_TIER_none;
    for (unsigned c = 0; c < OP_COVERS; c++) {
        double part = f->cover[i] == OP_COVERS ? f->parts[c][i] : f->cover[i] == c ? f->latency[i] : 0.0;
        same = same && fan_same(r.cover[c], part) && (r.cover[c] == 0.0 || f->kinds & 1u << c);
    }
    return same;
}

/* Asks an op for decode steps of many batches, measured and not, within its table and beyond. Returns how
 * many steps agree with op_query, 0 when one does not. */
static inline size_t fan_steps_agree(const op_bound *b, op_mode mode) {
    enum { LENGTHS = 300, STEP = 97 };
    static const uint32_t batches[] = {1, 2, 3, 5, 8, 31, 32, 200, 1024, 5000};
    uint32_t lengths[LENGTHS];
    size_t agreed = 0;
    op_fan f;
    for (uint32_t i = 0; i < LENGTHS; i++)
        lengths[i] = i < 40 ? i : i < 60 ? 1u << (i - 40) : STEP * i;
    if (!op_has_fan(b, mode))
        return 0;
    void *memory = aic_alloc(1, op_fan_bytes(b, mode, LENGTHS));
    bool same = op_fan_open(&f, b, mode, lengths, LENGTHS, memory);
    for (size_t k = 0; same && k < sizeof batches / sizeof *batches; k++) {
        op_shape shape = {.batch = batches[k], .x = batches[k], .imbalance = 1.0};
        f.kinds = 0;
        if (!op_fan_ask(&f, &shape, 0, LENGTHS))
            continue;
        op_fan_repeat(&f, 0, LENGTHS);
        for (size_t i = 0; i < LENGTHS; i++, agreed++)
            same = same && fan_agrees(b, mode, &f, shape, i, lengths[i]);
    }
    free(memory);
    return same ? agreed : 0;
}

#endif
