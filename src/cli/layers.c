/* Latency per layer and per call. */
#include "cli/layers.h"
#include <math.h>

cli_layers cli_layers_of(const mdl_model *m, uint32_t osl) {
    return (cli_layers){.layers = (double)m->layers, .steps = osl > 1 ? (double)(osl - 1) : 1.0};
}

double cli_calls(const cli_layers *l, double repeat) {
    return repeat / l->layers;
}

static double per_step(const cli_layers *l, bool generation, double ms) {
    return 1000.0 * ms / (generation ? l->steps : 1.0);
}

double cli_per_layer(const cli_layers *l, bool generation, double ms) {
    return per_step(l, generation, ms) / l->layers;
}

double cli_per_call(const cli_layers *l, bool generation, double ms, double repeat) {
    return repeat > 0 ? per_step(l, generation, ms) / repeat : NAN;
}
