/* Latency per layer and per call: what tells whether an op's granularity is right. Private to cli. */
#ifndef AICFG_CLI_LAYERS_H
#define AICFG_CLI_LAYERS_H

#include "cli/cli.h"

/* What a row's total stands for: `layers` layers, and in decode `steps` steps. */
typedef struct cli_layers {
    double layers;
    double steps;
} cli_layers;

cli_layers cli_layers_of(const mdl_model *m, uint32_t osl);
/* Calls in one layer (of one step): 1 for an op that every layer runs once. */
double cli_calls(const cli_layers *l, double repeat);
/* Microseconds of a row's total latency (ms) per layer, per call; a call of a row without repeat is NaN. */
double cli_per_layer(const cli_layers *l, bool generation, double ms);
double cli_per_call(const cli_layers *l, bool generation, double ms, double repeat);

#endif
