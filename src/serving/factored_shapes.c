/* One context op asked for the distinct shapes of a block; what deployments with the same op find out is
 * shared, before their own repeats go in. */
#include "serving/answers.h"
#include "serving/folded.h"
#include <string.h>

/* As many lookups cost as much as so many questions. */
enum { MIN_SHAPES = 3 };

/* One shape's answer as it is kept; the reasons stand behind all of them, each ended by a 0. */
typedef struct kept {
    double latency, energy, cover[OP_COVERS];
    uint32_t text; /* place among the reasons */
    pdb_origins from;
    uint8_t source, tier, cls;
} kept;

static void ask_once(const srv_deployment *d, srv_block *b, uint32_t index, const srv_shapes *shapes,
                     op_result *results, srv_gap *gaps) {
    const srv_plan *plan = srv_plan_of(d);
    const op_bound *bound = &plan->context.ops[index].bound;
    for (size_t i = 0; i < shapes->count; i++) {
        op_refusal why;
        op_class cls = op_query_once(bound, plan->mode, &shapes->shapes[i], &results[i], &why);
        gaps[i] = (srv_gap){.cls = cls, .op = index};
        if (cls != OP_OK)
            gaps[i].text = srv_block_text(b, why.text);
    }
}

static void take_kept(srv_block *b, uint32_t index, const void *value, size_t n, op_result *results,
                      srv_gap *gaps) {
    const kept *all = value;
    const char *texts = (const char *)(all + n);
    for (size_t i = 0; i < n; i++) {
        const kept *k = &all[i];
        results[i] = (op_result){.latency = k->latency,
                                 .energy = k->energy,
                                 .source = (op_source)k->source,
                                 .tier = (op_tier)k->tier,
                                 .from = k->from};
        memcpy(results[i].cover, k->cover, sizeof k->cover);
        gaps[i] = (srv_gap){.cls = (op_class)k->cls, .op = index};
        if (k->cls != OP_OK)
            gaps[i].text = srv_block_text(b, texts + k->text);
    }
}

static void keep(srv_answers *shared, const srv_question *q, size_t n, const op_result *results,
                 const srv_gap *gaps) {
    size_t texts = 0;
    for (size_t i = 0; i < n; i++)
        texts += gaps[i].cls != OP_OK ? strlen(gaps[i].text) + 1 : 0;
    srv_answer *a = srv_answers_draft(shared, q, n * sizeof(kept) + texts);
    if (!a)
        return;
    kept *all = a->value;
    char *text = (char *)(all + n);
    for (size_t i = 0; i < n; i++) {
        const op_result *r = &results[i];
        all[i] = (kept){.cls = (uint8_t)gaps[i].cls};
        if (gaps[i].cls != OP_OK) {
            size_t len = strlen(gaps[i].text) + 1;
            all[i].text = (uint32_t)(text - (char *)(all + n));
            memcpy(text, gaps[i].text, len);
            text += len;
            continue;
        }
        all[i] = (kept){.latency = r->latency,
                        .energy = r->energy,
                        .from = r->from,
                        .source = (uint8_t)r->source,
                        .tier = (uint8_t)r->tier};
        memcpy(all[i].cover, r->cover, sizeof r->cover);
    }
    srv_answers_put(shared, a);
}

void srv_ask_shapes(const srv_deployment *d, srv_block *b, uint32_t index, const srv_shapes *shapes,
                    op_result *results, srv_gap *gaps) {
    const srv_plan *plan = srv_plan_of(d);
    const srv_op *o = &plan->context.ops[index];
    const srv_question q = {.who = o->who,
                            .bytes = shapes->fields,
                            .len = shapes->count * sizeof *shapes->fields,
                            .queries = (uint32_t)shapes->count};
    if (!o->who || shapes->count < MIN_SHAPES) {
        ask_once(d, b, index, shapes, results, gaps);
    } else {
        srv_answer *a = srv_answers_find(plan->answers, &q);
        if (a) {
            take_kept(b, index, a->value, shapes->count, results, gaps);
            srv_answers_release(a);
        } else {
            ask_once(d, b, index, shapes, results, gaps);
            keep(plan->answers, &q, shapes->count, results, gaps);
        }
    }
    for (size_t i = 0; i < shapes->count && !o->bound.op->desc->composite; i++)
        if (gaps[i].cls == OP_OK)
            op_scale(&results[i], o->bound.op->repeat);
}
