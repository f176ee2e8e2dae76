/* Encoder walks of a block: one table per distinct set of images that a rank encodes. */
#include "serving/folded.h"

size_t srv_number_images(const srv_deployment *d, srv_block *b, const uint32_t *live, size_t n,
                         uint32_t *images_of, uint32_t *firsts) {
    srv_key *keys = srv_take(b, n, sizeof *keys);
    uint32_t *ids = srv_take(b, n, sizeof *ids);
    size_t encoding = 0;
    for (size_t k = 0; k < n; k++) {
        if (!SRV_AT(&b->points, encodes, live[k]))
            continue;
        const srv_workload load = srv_points_load(&b->points, live[k]);
        srv_images images = srv_images_of(d, &load);
        keys[encoding++] = (srv_key){
            .hi = images.count, .lo = (uint64_t)images.inside << 32 | images.behind, .item = (uint32_t)k};
    }
    size_t count = srv_number_keys(b, keys, encoding, ids, firsts);
    for (size_t i = 0; i < encoding; i++)
        images_of[keys[i].item] = ids[i];
    for (size_t i = 0; i < count; i++)
        firsts[i] = keys[firsts[i]].item;
    return count;
}

static void fill_table(const srv_deployment *d, srv_block *b, const srv_images *images, srv_folded *tables,
                       size_t t) {
    const srv_plan *plan = srv_plan_of(d);
    srv_folded_clear(tables, t);
    for (uint32_t i = 0; i < plan->encoder.n_bound && tables->gap[t].cls == OP_OK; i++) {
        const srv_op *o = &plan->encoder.ops[i];
        const op_shape shape = srv_encoder_shape(images, o->behind);
        srv_folded_ask(tables, t, o->row, o, i, plan->mode, &shape, b);
    }
}

srv_folded srv_encoder_tables(const srv_deployment *d, srv_block *b, const uint32_t *live, size_t n,
                              uint32_t *images_of, size_t *count) {
    uint32_t *firsts = srv_take(b, n, sizeof *firsts);
    *count = srv_number_images(d, b, live, n, images_of, firsts);
    srv_folded tables = srv_folded_take(b, *count, srv_plan_of(d)->encoder.n_rows);
    for (size_t t = 0; t < *count; t++) {
        const srv_workload load = srv_points_load(&b->points, live[firsts[t]]);
        srv_images images = srv_images_of(d, &load);
        fill_table(d, b, &images, &tables, t);
    }
    return tables;
}
