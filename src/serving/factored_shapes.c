/* One op asked for the distinct shapes of a block; what deployments with the same op find out is
 * shared, before their own repeats go in. */
#include "serving/answers.h"
#include "serving/cargo.h"
#include "serving/folded.h"
#include <string.h>

/* As many lookups cost as much as so many questions. */
enum { MIN_SHAPES = 3 };

srv_replies srv_replies_take(srv_block *b, size_t count) {
    return (srv_replies){.latency = srv_take(b, count, sizeof(double)),
                         .energy = srv_take(b, count, sizeof(double)),
                         .kind = srv_take(b, count, 1),
                         .parts = srv_take(b, count, sizeof(double[OP_COVERS])),
                         .source = srv_take(b, count, 1),
                         .basis = srv_take(b, count, sizeof(srv_basis)),
                         .gap = srv_take(b, count, sizeof(srv_gap))};
}

/* ---- asking ------------------------------------------------------------------------------------------ */

/* The one kind of evidence that is all of the latency, or OP_COVERS. */
static uint8_t kind_of(const op_result *r) {
    uint8_t kind = OP_COVERS;
    for (uint8_t c = 0; c < OP_COVERS; c++) {
        if (r->cover[c] == 0.0)
            continue;
        if (kind != OP_COVERS || r->cover[c] != r->latency)
            return OP_COVERS;
        kind = c;
    }
    return kind;
}

static void put_reply(srv_replies *r, size_t i, const op_result *from) {
    r->latency[i] = from->latency;
    r->energy[i] = from->energy;
    r->kind[i] = kind_of(from);
    if (r->kind[i] == OP_COVERS)
        memcpy(r->parts[i], from->cover, sizeof from->cover);
    r->source[i] = (uint8_t)from->source;
    r->basis[i] = srv_basis_of(from->tier, from->from);
    r->gap[i].cls = OP_OK;
    r->any_energy = r->any_energy || from->energy != 0.0;
    r->any_basis = r->any_basis || r->basis[i];
}

static void put_gap(srv_replies *r, size_t i, op_class cls, uint32_t op, const char *text) {
    static const op_result none = {0};
    put_reply(r, i, &none);
    r->gap[i] = (srv_gap){.cls = cls, .op = op, .text = text};
    r->any_gap = true;
}

static void ask_alone(const srv_deployment *d, srv_block *b, const srv_op *o, uint32_t index,
                      const op_shape *shape, size_t i, srv_replies *r) {
    op_result result;
    op_refusal why;
    op_class cls = op_query_once(&o->bound, srv_plan_of(d)->mode, shape, &result, &why);
    if (cls == OP_OK)
        put_reply(r, i, &result);
    else
        put_gap(r, i, cls, index, srv_block_text(b, why.text));
}

static void ask_once(const srv_deployment *d, srv_block *b, const srv_op *o, uint32_t index,
                     const srv_shapes *shapes, srv_replies *r) {
    enum { SOME = 64 };
    const op_mode mode = srv_plan_of(d)->mode;
    const op_shape *shape = shapes->shapes;
    op_result results[SOME];
    r->any_energy = r->any_basis = r->any_gap = false;
    for (size_t i = 0; i < shapes->count;) {
        size_t most = shapes->count - i < SOME ? shapes->count - i : SOME;
        size_t n = op_query_many(&o->bound, mode, shape + i, most, results);
        for (size_t k = 0; k < n; k++, i++)
            put_reply(r, i, &results[k]);
        if (n == 0) {
            ask_alone(d, b, o, index, &shape[i], i, r);
            i++;
        }
    }
}

/* ---- replies as bytes -------------------------------------------------------------------------------- */

/* Behind a word of flags the columns that are not all 0, then the parts of replies that have some, then,
 * where there are gaps, a class for each reply and the reasons, each ended by a 0. */
enum { ENERGY = 1, BASIS = 2, GAPS = 4, COLUMNS = 5 };
typedef struct columns {
    unsigned char *at[COLUMNS]; /* NULL: all 0 */
    size_t size[COLUMNS];
} columns;

static columns columns_of(const srv_replies *r) {
    return (columns){.at = {(void *)r->latency, r->any_energy ? (void *)r->energy : NULL, r->kind, r->source,
                            r->any_basis ? r->basis : NULL},
                     .size = {sizeof(double), sizeof(double), 1, 1, sizeof(srv_basis)}};
}

static void carry_columns(srv_cargo *to, srv_replies *r, size_t n) {
    uint64_t flags = (r->any_energy ? ENERGY : 0u) | (r->any_basis ? BASIS : 0u) | (r->any_gap ? GAPS : 0u);
    srv_carry(to, &flags, sizeof flags);
    r->any_energy = flags & ENERGY;
    r->any_basis = flags & BASIS;
    r->any_gap = flags & GAPS;
    const columns c = columns_of(r);
    for (int k = 0; k < COLUMNS; k++)
        if (c.at[k])
            srv_carry(to, c.at[k], n * c.size[k]);
    for (size_t i = 0; i < n; i++)
        if (r->kind[i] == OP_COVERS)
            srv_carry(to, r->parts[i], sizeof *r->parts);
}

static void carry_gaps(srv_cargo *to, srv_replies *r, size_t n, uint32_t op, srv_block *b) {
    for (size_t i = 0; i < n; i++) {
        unsigned char cls = (unsigned char)r->gap[i].cls;
        srv_carry(to, &cls, 1);
        if (to->way == SRV_UNPACK)
            r->gap[i] = (srv_gap){.cls = (op_class)cls, .op = cls == OP_OK ? 0 : op};
    }
    for (size_t i = 0; i < n; i++)
        if (r->gap[i].cls != OP_OK)
            srv_carry_text(to, &r->gap[i].text, b);
}

static void carry(srv_cargo *to, srv_replies *r, size_t n, uint32_t op, srv_block *b) {
    carry_columns(to, r, n);
    if (r->any_gap)
        carry_gaps(to, r, n, op, b);
}

/* ---- from what others found out, or for them to find --------------------------------------------------- */

static void share(const srv_deployment *d, srv_block *b, const srv_op *o, uint32_t index,
                  const srv_shapes *shapes, srv_replies *r) {
    const srv_plan *plan = srv_plan_of(d);
    const srv_question q = {.who = o->who,
                            .bytes = shapes->fields,
                            .len = shapes->count * sizeof *shapes->fields,
                            .queries = (uint32_t)shapes->count};
    srv_answer *a = srv_answers_find(plan->answers, &q);
    if (a) {
        srv_cargo from = {.way = SRV_UNPACK, .at = a->value};
        carry(&from, r, shapes->count, index, b);
        srv_answers_release(a);
        return;
    }
    ask_once(d, b, o, index, shapes, r);
    srv_cargo to = {.way = SRV_COUNT};
    carry(&to, r, shapes->count, index, b);
    a = srv_answers_draft(plan->answers, &q, to.size);
    if (a) {
        to = (srv_cargo){.way = SRV_PACK, .at = a->value};
        carry(&to, r, shapes->count, index, b);
        srv_answers_put(plan->answers, a);
    }
}

static void repeat_replies(srv_replies *r, size_t n, double repeat) {
    for (size_t i = 0; i < n; i++)
        r->latency[i] *= repeat;
    for (size_t i = 0; r->any_energy && i < n; i++)
        r->energy[i] *= repeat;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; r->kind[i] == OP_COVERS && c < OP_COVERS; c++)
            r->parts[i][c] *= repeat;
}

void srv_ask_shapes(const srv_deployment *d, srv_block *b, const srv_op *o, uint32_t index,
                    const srv_shapes *shapes, srv_replies *r) {
    if (o->who && shapes->count >= MIN_SHAPES)
        share(d, b, o, index, shapes, r);
    else
        ask_once(d, b, o, index, shapes, r);
    if (!o->bound.op->desc->composite)
        repeat_replies(r, shapes->count, o->bound.op->repeat);
}
