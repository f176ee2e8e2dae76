/* Images of a multimodal model: how many tokens they are, and who encodes them (docs/model/images.md). */
#include "models/internal.h"
#include <math.h>
#include <string.h>

#define LEAST_ACTIVATIONS (32.0 * 1048576.0) /* byte */

/* Pixels of a side after scaling to whole tokens: the nearest multiple (halves to even), at least one. */
static uint64_t scaled(uint32_t pixels, int64_t token) {
    double tokens = nearbyint((double)pixels / (double)token); /* the rounding mode is never changed */
    return (uint64_t)fmax(tokens, 1.0) * (uint64_t)token;
}

mdl_image_tokens mdl_tokens_of_image(const mdl_model *m, const mdl_images *images) {
    const mdl_vision *v = &m->vision;
    if (v->patch == 0)
        return (mdl_image_tokens){0, 0};
    if (images->height == 0 || images->width == 0)
        return (mdl_image_tokens){(uint64_t)images->tokens * (uint64_t)(v->merge * v->merge), images->tokens};
    int64_t token = v->patch * v->merge;
    uint64_t height = scaled(images->height, token), width = scaled(images->width, token);
    uint64_t patch = (uint64_t)v->patch;
    return (mdl_image_tokens){(height / patch) * (width / patch),
                              (height / (uint64_t)token) * (width / (uint64_t)token)};
}

uint64_t mdl_images_of_rank(const mdl_deployment *d, const mdl_images *images, uint32_t batch) {
    uint64_t all = (uint64_t)batch * images->count;
    return (all + d->encoder_ranks - 1) / d->encoder_ranks;
}

/* Attention and layers work on patches; projectors and what gathers their output on merged ones. */
uint64_t mdl_tokens_of_op(const op *o, const mdl_image_tokens *tokens) {
    bool attention = strstr(o->name, "encoder_attention") != NULL;
    bool merged = strstr(o->name, "encoder_projector") || strstr(o->name, "all_gather");
    return merged && !attention ? tokens->behind : tokens->inside;
}

double mdl_encoder_activations(const mdl_deployment *d, const mdl_images *images, uint32_t batch) {
    mdl_image_tokens t = mdl_tokens_of_image(d->model, images);
    if (d->encoder.count == 0 || images->count == 0 || t.inside == 0)
        return 0.0;
    double patches = (double)mdl_images_of_rank(d, images, batch) * (double)t.inside;
    double merged = (double)batch * images->count * (double)t.behind;
    double bytes =
        2.0 * patches * (double)d->model->vision.width * 3.0 + 2.0 * merged * (double)d->model->vision.out;
    return fmax(bytes, LEAST_ACTIVATIONS);
}
