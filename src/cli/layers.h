/* Latency per layer and per call: what tells whether an op's granularity is right. Private to cli. */
#ifndef AICFG_CLI_LAYERS_H
#define AICFG_CLI_LAYERS_H

#include "cli/cli.h"

/* What a row's total stands for: layers of its phase's model, and in decode `steps` steps. */
typedef struct cli_layers {
    double layers;
    double encoder; /* layers of the vision encoder: what its ops repeat at most */
    double steps;
} cli_layers;

cli_layers cli_layers_of(const mdl_model *m, uint32_t osl);
/* Learns the depth of the encoder from its rows; to be told of every row of a point first. */
void cli_layers_see(cli_layers *l, srv_phase phase, double repeat);
/* Calls in one layer (of one step): 1 for an op that every layer runs once. */
double cli_calls(const cli_layers *l, srv_phase phase, double repeat);
/* Microseconds of a row's total latency (ms) per layer, per call; a call of a row without repeat is NaN. */
double cli_per_layer(const cli_layers *l, srv_phase phase, double ms);
double cli_per_call(const cli_layers *l, srv_phase phase, double ms, double repeat);

#endif
