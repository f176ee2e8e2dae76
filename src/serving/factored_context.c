/* Context walks of a block: distinct (batch, s, prefix) tables, each op asked once per distinct set of the
 * fields it reads. */
#include "serving/folded.h"

/* The points of a line share their shape. firsts: a line of each shape. */
static size_t number_context_shapes(srv_block *b, const srv_live *l, uint32_t *shape_of, uint32_t *firsts,
                                    srv_key *keys) {
    uint32_t *ids = srv_take(b, l->n_lines, sizeof *ids);
    for (size_t i = 0; i < l->n_lines; i++) {
        const size_t k = l->line[i];
        keys[i] =
            (srv_key){.hi = (uint64_t)l->batch[k] << 32 | (l->isl[k] - l->prefix[k]), .lo = l->prefix[k]};
    }
    size_t count = srv_number_keys(b, keys, l->n_lines, ids, firsts);
    for (size_t i = 0; i < l->n_lines; i++)
        for (size_t k = l->line[i]; k < l->line[i + 1]; k++)
            shape_of[k] = ids[i];
    return count;
}

srv_shapes srv_distinct_shapes(const srv_deployment *d, srv_block *b, const srv_key_class *class,
                               const srv_workload *loads, size_t count, srv_key *keys) {
    srv_shapes k = {.of = srv_take(b, count, sizeof(uint32_t))};
    unsigned reads = class->reads;
    for (size_t i = 0; i < count; i++) {
        op_shape s = srv_context_shape(d, &loads[i], class->logits);
        uint64_t batch = reads & OP_READS_BATCH ? s.batch : 0, length = reads & OP_READS_S ? s.s : 0;
        uint64_t prefix = reads & OP_READS_PREFIX ? s.prefix : 0, x = reads & OP_READS_X ? s.x : 0;
        keys[i] = (srv_key){.hi = batch << 32 | length, .lo = prefix << 32 | x};
    }
    uint32_t *firsts = srv_take(b, count, sizeof *firsts);
    k.count = srv_number_keys(b, keys, count, k.of, firsts);
    k.shapes = srv_take(b, k.count, sizeof *k.shapes);
    k.fields = srv_take(b, k.count, sizeof *k.fields);
    for (size_t i = 0; i < k.count; i++) {
        const srv_key *key = &keys[firsts[i]];
        k.shapes[i] = srv_context_shape(d, &loads[firsts[i]], class->logits);
        k.fields[i][0] = key->hi;
        k.fields[i][1] = key->lo;
    }
    return k;
}

srv_folded srv_context_tables(const srv_deployment *d, srv_block *b, const srv_live *l, uint32_t *shape_of,
                              size_t *count) {
    const srv_plan *plan = srv_plan_of(d);
    srv_key *keys = srv_take(b, l->n_lines, sizeof *keys);
    uint32_t *firsts = srv_take(b, l->n_lines, sizeof *firsts);
    *count = number_context_shapes(b, l, shape_of, firsts, keys);
    srv_workload *loads = srv_take(b, *count, sizeof *loads);
    srv_folded tables = srv_folded_take(b, *count, plan->context.n_rows);
    for (size_t t = 0; t < *count; t++)
        loads[t] = srv_walked_at(b, l->at[l->line[firsts[t]]]);
    srv_folded_clear_all(&tables, *count);
    srv_shapes *by_key = srv_take(b, plan->n_keys, sizeof *by_key);
    for (size_t k = 0; k < plan->n_keys; k++)
        by_key[k] = srv_distinct_shapes(d, b, &plan->keys[k], loads, *count, keys);
    srv_replies replies = srv_replies_take(b, *count);
    for (uint32_t i = 0; i < plan->context.n_bound; i++) {
        const srv_op *o = &plan->context.ops[i];
        srv_ask_shapes(d, b, o, i, &by_key[o->key], &replies);
        srv_folded_replies(&tables, *count, by_key[o->key].of, o->row, o->opens, &replies);
    }
    return tables;
}
