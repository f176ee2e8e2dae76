/* Context walks of a block: distinct (batch, s, prefix) tables, each op asked once per distinct set of the
 * fields it reads. */
#include "serving/layout.h"

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

srv_folded srv_context_tables(const srv_deployment *d, srv_block *b, const srv_live *l) {
    const srv_plan *plan = srv_plan_of(d);
    srv_layout_context(b, l);
    const srv_workload *loads = l->layout->shapes;
    const size_t count = l->layout->n_shapes;
    srv_key *keys = srv_take(b, count, sizeof *keys);
    srv_folded tables = srv_folded_take(b, count, plan->context.n_rows);
    srv_folded_clear_all(&tables, count);
    srv_shapes *by_key = srv_take(b, plan->n_keys, sizeof *by_key);
    for (size_t k = 0; k < plan->n_keys; k++)
        by_key[k] = srv_distinct_shapes(d, b, &plan->keys[k], loads, count, keys);
    srv_replies replies = srv_replies_take(b, count);
    for (uint32_t i = 0; i < plan->context.n_bound; i++) {
        const srv_op *o = &plan->context.ops[i];
        srv_ask_shapes(d, b, o, i, &by_key[o->key], &replies);
        srv_folded_replies(&tables, count, by_key[o->key].of, o->row, o->opens, &replies);
    }
    return tables;
}
