/* Modes, statuses and defaults: what a caller fills in before anything is compiled. */
#include "serving/serving.h"
#include <math.h>
#include <string.h>

static const char *const MODE_NAMES[SRV_MODE_COUNT] = {
#define MODE_NAME(name) #name,
    SRV_MODES(MODE_NAME)
#undef MODE_NAME
};

static const char *const STATUS_NAMES[SRV_STATUS_COUNT] = {
#define STATUS_NAME(name, meaning) #name,
    SRV_STATUSES(STATUS_NAME)
#undef STATUS_NAME
};

static const char *const PHASE_NAMES[SRV_PHASE_COUNT] = {
#define PHASE_NAME(name) #name,
    SRV_PHASES(PHASE_NAME)
#undef PHASE_NAME
};

const srv_phase srv_phases[SRV_PHASE_COUNT] = {SRV_PH_encoder, SRV_PH_context, SRV_PH_generation};

const char *srv_phase_name(srv_phase p) {
    return PHASE_NAMES[p];
}

static int find_name(const char *const *names, int n, const char *text) {
    for (int i = 0; text && i < n; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

const char *srv_mode_name(srv_mode m) {
    return MODE_NAMES[m];
}

bool srv_mode_parse(const char *text, srv_mode *out) {
    int i = find_name(MODE_NAMES, SRV_MODE_COUNT, text);
    if (i >= 0)
        *out = (srv_mode)i;
    return i >= 0;
}

const char *srv_status_name(srv_status s) {
    return STATUS_NAMES[s];
}

bool srv_status_parse(const char *text, srv_status *out) {
    int i = find_name(STATUS_NAMES, SRV_STATUS_COUNT, text);
    if (i >= 0)
        *out = (srv_status)i;
    return i >= 0;
}

void srv_request_init(srv_request *r) {
    *r = (srv_request){
        .mode = SRV_static,
        .backend = "trtllm",
        .database_mode = OP_SILICON,
        .par = {.tp = 1, .pp = 1, .dp = 1, .cp = 1},
        .nextn_accepted = NAN,
        .free_gpu_memory_fraction = NAN,
        .options = {.distribution = "power_law", .sms = 20},
    };
}

void srv_tuning_init(srv_tuning *t) {
    *t = (srv_tuning){
        .beam = 1,
        .stride = 32,
        .imbalance_ctx = 1.0,
        .imbalance_gen = 1.0,
        .latency_scale = 1.0,
        .project = true,
    };
}

double srv_round3(double v) {
    return rint(v * 1000.0) / 1000.0;
}
