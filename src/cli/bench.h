/* What `bench` measures (bench.c) and prints (bench_print.c). Private to cli. */
#ifndef AICFG_CLI_BENCH_H
#define AICFG_CLI_BENCH_H

#include "cli/cli.h"

typedef struct bench_stage {
    swp_timing best; /* of the fastest repetition */
    uint64_t bytes;  /* of the file */
} bench_stage;

typedef struct bench_result {
    uint64_t points;
    size_t deployments;
    unsigned threads;
    uint64_t repeat;
    double data_s, spec_s; /* opening data; reading and checking the spec */
    swp_costs costs;
    bench_stage evaluate, write;
    res_roofline store; /* of the file written */
} bench_result;

void bench_print_text(const bench_result *r, FILE *out);
void bench_print_json(const bench_result *r, FILE *out);

#endif
