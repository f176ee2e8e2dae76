/* Latency per layer and per call. */
#include "cli/layers.h"
#include <math.h>

cli_layers cli_layers_of(const mdl_model *m, uint32_t osl) {
    return (cli_layers){.layers = (double)m->layers, .steps = osl > 1 ? (double)(osl - 1) : 1.0};
}

void cli_layers_see(cli_layers *l, srv_phase phase, double repeat) {
    if (phase == SRV_PH_encoder)
        l->encoder = fmax(l->encoder, repeat);
}

static double layers_of(const cli_layers *l, srv_phase phase) {
    return phase == SRV_PH_encoder ? l->encoder : l->layers;
}

double cli_calls(const cli_layers *l, srv_phase phase, double repeat) {
    return repeat / layers_of(l, phase);
}

static double per_step(const cli_layers *l, srv_phase phase, double ms) {
    return 1000.0 * ms / (phase == SRV_PH_generation ? l->steps : 1.0);
}

double cli_per_layer(const cli_layers *l, srv_phase phase, double ms) {
    return per_step(l, phase, ms) / layers_of(l, phase);
}

double cli_per_call(const cli_layers *l, srv_phase phase, double ms, double repeat) {
    return repeat > 0 ? per_step(l, phase, ms) / repeat : NAN;
}
