/* Decode steps of one op and one batch, asked for, or taken from what another deployment with that op was
 * answered, before their own repeats go in. */
#include "serving/answers.h"
#include "serving/cargo.h"
#include "serving/steps.h"
#include <string.h>

/* As many steps are as fast asked as found. */
enum { MIN_STEPS = 16 };

static size_t steps_of(const srv_batch *b) {
    size_t n = 0;
    for (size_t i = 0; i < b->n_ranges; i++)
        n += b->ranges[i].to - b->ranges[i].from;
    return n;
}

/* The batch that ops see, the stride, and of each range its first position and length. */
static srv_question question_of(const srv_deployment *d, srv_block *b, const srv_steps *s,
                                const srv_batch *batch, uint32_t seen, const srv_identity *who) {
    uint32_t *words = srv_take(b, 2 + 2 * batch->n_ranges, sizeof *words);
    size_t n = 0;
    words[n++] = seen;
    words[n++] = d->tuning.stride;
    for (size_t i = 0; i < batch->n_ranges; i++) {
        words[n++] = s->positions[batch->ranges[i].from];
        words[n++] = batch->ranges[i].to - batch->ranges[i].from;
    }
    return (srv_question){
        .who = who, .bytes = words, .len = n * sizeof *words, .queries = (uint32_t)steps_of(batch)};
}

/* ---- columns as bytes --------------------------------------------------------------------------------- */

/* The kinds of evidence, the columns that fans of this op have, and the parts of steps that have some.
 * Doubles come first, but for the parts. */
enum { COLUMNS = 4 };
typedef struct columns {
    unsigned char *at[COLUMNS]; /* NULL: the fan has none */
    size_t size[COLUMNS];
} columns;

static columns columns_of(const op_fan *f) {
    return (columns){.at = {(void *)f->latency, (void *)f->energy, (void *)f->from, f->cover},
                     .size = {sizeof *f->latency, sizeof *f->energy, sizeof *f->from, sizeof *f->cover}};
}

/* The next step from `at` on within a range that has parts, or its end. */
static uint32_t next_parted(const op_fan *f, uint32_t at, uint32_t end) {
    const uint8_t *found = memchr(f->cover + at, OP_COVERS, end - at);
    return found ? (uint32_t)(found - f->cover) : end;
}

static void carry_columns(srv_cargo *to, op_fan *f, const srv_batch *b) {
    const columns c = columns_of(f);
    for (int k = 0; k < COLUMNS; k++)
        for (size_t i = 0; c.at[k] && i < b->n_ranges; i++) {
            const srv_range r = b->ranges[i];
            srv_carry(to, c.at[k] + r.from * c.size[k], (r.to - r.from) * c.size[k]);
        }
    for (size_t i = 0; i < b->n_ranges; i++) {
        const srv_range r = b->ranges[i];
        for (uint32_t at = r.from; (at = next_parted(f, at, r.to)) < r.to; at++)
            for (int kind = 0; kind < OP_COVERS; kind++)
                srv_carry(to, &f->parts[kind][at], sizeof(double));
    }
    srv_carry(to, &f->kinds, sizeof f->kinds);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static bool ask_once(const op_shape *shape, const srv_batch *b, op_fan *f) {
    f->kinds = 0;
    for (size_t i = 0; i < b->n_ranges; i++)
        if (!op_fan_ask(f, shape, b->ranges[i].from, b->ranges[i].to))
            return false;
    return true;
}

/* From what others found out, or for them to find. */
static bool share(srv_answers *shared, const srv_question *q, const op_shape *shape, const srv_batch *b,
                  op_fan *f) {
    srv_answer *a = srv_answers_find(shared, q);
    if (a) {
        srv_cargo from = {.way = SRV_UNPACK, .at = a->value};
        carry_columns(&from, f, b);
        srv_answers_release(a);
        return true;
    }
    if (!ask_once(shape, b, f))
        return false;
    srv_cargo to = {.way = SRV_COUNT};
    carry_columns(&to, f, b);
    a = srv_answers_draft(shared, q, to.size);
    if (a) {
        to = (srv_cargo){.way = SRV_PACK, .at = a->value};
        carry_columns(&to, f, b);
        srv_answers_put(shared, a);
    }
    return true;
}

bool srv_ask_fan(const srv_deployment *d, srv_block *b, const srv_steps *s, const srv_batch *batch,
                 const srv_identity *who, op_fan *fan) {
    const op_shape shape = srv_decode_shape(d, batch->batch, 1);
    bool ok;
    if (who && steps_of(batch) >= MIN_STEPS) {
        const srv_question q = question_of(d, b, s, batch, shape.batch, who);
        ok = share(srv_plan_of(d)->answers, &q, &shape, batch, fan);
    } else {
        ok = ask_once(&shape, batch, fan);
    }
    for (size_t i = 0; ok && i < batch->n_ranges; i++)
        op_fan_repeat(fan, batch->ranges[i].from, batch->ranges[i].to);
    return ok;
}
