/* Tokens of images, the share of a rank, what each encoder op sees, and the encoder's memory. */
#include "parity/golden_models_internal.h"
#include <math.h>

#define GIB 1073741824.0

static void expect(record *r, const char *what, const aic_node *want, double have) {
    double number = golden_number(want, 0.0); /* null: none */
    if (fabs(number - have) > 1e-12)
        differs(r, "%s: %.17g, not %.17g", what, have, number);
}

static void compare_ops_seen(record *r, const mdl_deployment *d, const mdl_image_tokens *t) {
    const aic_node *want = aic_map_get(r->n, "eff_s");
    if (want->count != d->encoder.count)
        differs(r, "%zu encoder ops, not %zu", d->encoder.count, want->count);
    for (size_t i = 0; i < d->encoder.count; i++)
        expect(r, d->encoder.items[i]->name, aic_map_get(want, d->encoder.items[i]->name),
               (double)mdl_tokens_of_op(d->encoder.items[i], t));
}

static void compare_memory(record *r, const mdl_deployment *d, const mdl_images *images, uint32_t batch) {
    const aic_node *want = aic_map_get(r->n, "memory_gib");
    double activations = mdl_encoder_activations(d, images, batch);
    expect(r, "activations", aic_map_get(want, "activations"), activations / GIB);
    expect(r, "weights", aic_map_get(want, "weights"),
           activations > 0.0 ? d->encoder_weight_bytes / GIB : 0.0);
}

void compare_images(record *r) {
    r->count = count_of(r->g, "images", NULL);
    const mdl_model *m = get_model(r, golden_text(aic_map_get(r->n, "model")));
    if (!m)
        return;
    uint32_t tp = golden_u32(aic_map_get(r->n, "tp_size")),
             batch = golden_u32(aic_map_get(r->n, "batch_size"));
    mdl_images images = {.count = golden_u32(aic_map_get(r->n, "num_images_per_request")),
                         .height = golden_u32(aic_map_get(r->n, "image_height")),
                         .width = golden_u32(aic_map_get(r->n, "image_width")),
                         .tokens = golden_u32(aic_map_get(r->n, "num_image_tokens"))};
    mdl_request req = {.backend = golden_text(aic_map_get(r->n, "backend")),
                       .par = {tp, 1, 1, m->is_moe ? tp : 0, m->is_moe ? 1 : 0, 1},
                       .encoder_tp = !aic_map_get(r->n, "enable_encoder_dp")->b};
    aic_error err = {0};
    op_refusal why = {0};
    mdl_deployment d;
    if (!mdl_build(m, &req, r->arena, &d, &why, &err)) {
        differs(r, "%s%s", why.text, err.text);
        return;
    }
    mdl_image_tokens t = mdl_tokens_of_image(m, &images);
    expect(r, "tokens inside", aic_map_get(r->n, "pre_merge_per_image"), (double)t.inside);
    expect(r, "tokens behind", aic_map_get(r->n, "post_merge_per_image"), (double)t.behind);
    expect(r, "tokens of a request", aic_map_get(r->n, "visual_context_tokens"),
           (double)t.behind * images.count);
    if (!aic_map_get(r->n, "phase_skipped")->b) {
        expect(r, "images of a rank", aic_map_get(r->n, "images_local"),
               (double)mdl_images_of_rank(&d, &images, batch));
        compare_ops_seen(r, &d, &t);
    }
    compare_memory(r, &d, &images, batch);
    r->count->same += !r->failed;
}
