/* Groups and datasets of a result file, as tables (docs/formats/results.md). */
#include "results/internal.h"
#include <string.h>

static const char *const status_names[] = {
#define NAME(name, meaning) #name,
    SRV_STATUSES(NAME)
#undef NAME
};
static const char *const source_names[] = {
#define NAME(name) #name,
    OP_SOURCES(NAME)
#undef NAME
};
static const char *const phase_names[] = {
#define NAME(name) #name,
    SRV_PHASES(NAME)
#undef NAME
};
static const char *const origin_names[] = {
#define NAME(name) #name,
    RES_ORIGINS(NAME)
#undef NAME
};

static const char *const tier_names[] = {
#define NAME(name) #name,
    OP_TIERS(NAME)
#undef NAME
};
static const char *const carried_names[] = {
#define NAME(name, meaning) #name,
    SRV_CARRIED(NAME)
#undef NAME
};

static const struct {
    size_t width;
    bool shuffled;
    size_t members;
    const char *const *names;
} types[] = {
    [RES_D_U8] = {1, false, 0, NULL},
    [RES_D_U16] = {2, true, 0, NULL},
    [RES_D_U32] = {4, true, 0, NULL},
    [RES_D_U64] = {8, true, 0, NULL},
    [RES_D_F64] = {8, true, 0, NULL},
    [RES_D_F64_RUNS] = {8, false, 0, NULL},
    [RES_D_F32_RUNS] = {4, false, 0, NULL},
    [RES_D_STATUS] = {1, false, SRV_STATUS_COUNT, status_names},
    [RES_D_SOURCE] = {1, false, OP_SOURCE_COUNT, source_names},
    [RES_D_PHASE] = {1, false, SRV_PHASE_COUNT, phase_names},
    [RES_D_ORIGIN] = {1, false, RES_ORIGIN_COUNT, origin_names},
    [RES_D_TIER] = {1, false, OP_TIER_COUNT, tier_names},
    [RES_D_CARRIED] = {1, false, SRV_CARRIED_COUNT, carried_names},
    [RES_D_TEXT] = {0, false, 0, NULL},
};

size_t res_width(res_dtype t) {
    return types[t].width;
}

size_t res_enum_count(res_dtype t) {
    return types[t].members;
}

const char *res_enum_name(res_dtype t, size_t i) {
    return types[t].names[i];
}

res_dtype res_enum_stored(res_type t) {
    static const res_dtype stored[] = {
        [RES_STATUS] = RES_D_STATUS, [RES_CARRIED] = RES_D_CARRIED, [RES_TIER] = RES_D_TIER};
    return stored[t];
}

const char *res_enum_text(res_type t, size_t value) {
    return res_enum_name(res_enum_stored(t), value);
}

bool res_shuffled(res_dtype t) {
    return types[t].shuffled;
}

/* How point columns of each column type are stored: a text is 1 + its row in /reasons, 0 = none. */
#define STORED_U32     RES_D_U32
#define STORED_F64     RES_D_F64
#define STORED_STATUS  RES_D_STATUS
#define STORED_CARRIED RES_D_CARRIED
#define STORED_TIER    RES_D_TIER
#define STORED_TEXT    RES_D_U32

static const res_field point_fields[] = {
    {"point", RES_D_U64, "", "index of the point"},
    {"deployment", RES_D_U32, "", "row of /deployments"},
#define FIELD(name, type, unit, higher, member, meaning) {#name, STORED_##type, unit, meaning},
    RES_POINT_COLUMNS(FIELD)
#undef FIELD
        {"breakdown_first", RES_D_U64, "", "first row of the point in /breakdown"},
    {"breakdown_rows", RES_D_U16, "",
     "rows of the point in /breakdown: those of its deployment in /ops (without images: of the phases behind "
     "the encoder), or none"},
};

/* X(name, type, unit, meaning); reals: type of latencies and energies. */
#define BREAKDOWN_FIELDS(X, reals)                                                                           \
    X(latency_ms, reals, "ms", "latency of the op in this point, all layers and decode steps")               \
    X(energy_wms, reals, "W*ms", "energy of the op in this point")                                           \
    X(source, RES_D_SOURCE, "", "where the latency came from")                                               \
    X(tier, RES_D_TIER, "", "weakest calibration of the estimates that went in")                             \
    X(carried, RES_D_CARRIED, "", "whose rows went in besides those of the version asked for")
#define FIELD(name, type, unit, meaning) {#name, type, unit, meaning},
static const res_field breakdown_fields[] = {BREAKDOWN_FIELDS(FIELD, RES_D_F64_RUNS)};
static const res_field narrow_fields[] = {BREAKDOWN_FIELDS(FIELD, RES_D_F32_RUNS)};
#undef FIELD

static const res_field deployment_fields[] = {
    {"deployment", RES_D_U32, "", "index of the deployment"},
#define FIELD_TEXT(name, axis, meaning) {#name, RES_D_U32, "", meaning "; row of /axes/" #axis},
#define FIELD_U32(name, unit, meaning)  {#name, RES_D_U32, unit, meaning},
#define FIELD_F64(name, unit, meaning)  {#name, RES_D_F64, unit, meaning},
    RES_DEPLOYMENT_COLUMNS(FIELD_TEXT, FIELD_U32, FIELD_F64)
#undef FIELD_TEXT
#undef FIELD_U32
#undef FIELD_F64
#define FIELD(quant)                                                                                         \
    {#quant "_quant_origin", RES_D_ORIGIN, "", "was the mode given, or inferred from model and data?"},
        RES_QUANTS(FIELD)
#undef FIELD
            {"weight_bytes", RES_D_F64, "byte",
             "weights of one GPU before division by pp; NaN when refused before they were known"},
    {"first_op", RES_D_U64, "", "first row of the deployment in /ops"},
    {"op_count", RES_D_U32, "", "rows of the deployment in /ops"},
    {"refusal", RES_D_U32, "",
     "why every point of the deployment is refused; row of /axes/refusal, 0 = it is not"},
    {"inputs", RES_D_TEXT, "",
     "XXH3-128 of all that the figures of its points depend on, workloads apart; empty where "
     "refused"},
};

static const res_field op_fields[] = {
    {"phase", RES_D_PHASE, "", "phase of the ops folded into the row"},
    {"name", RES_D_U32, "", "row of /axes/op"},
    {"kind", RES_D_U32, "", "row of /axes/kind: the kind of the first op folded into the row"},
    {"repeat", RES_D_F64, "", "sum of the folded ops' repeats"},
};

static const res_field reason_fields[] = {
    {"status", RES_D_STATUS, "", "status of the points"},
    {"text", RES_D_TEXT, "", "the reason"},
    {"count", RES_D_U64, "point", "points with this status and reason"},
    {"example", RES_D_U64, "", "first of them"},
};

#define FIELDS(list) sizeof list / sizeof *list, list
#define BREAKDOWN_GROUP(list)                                                                                \
    { "breakdown", 32768, true, false, FIELDS(list) }
static const res_group groups[RES_GROUPS] = {
    [RES_G_POINTS] = {"points", 16384, false, true, FIELDS(point_fields)},
    [RES_G_BREAKDOWN] = BREAKDOWN_GROUP(breakdown_fields),
    [RES_G_DEPLOYMENTS] = {"deployments", 1024, false, true, FIELDS(deployment_fields)},
    [RES_G_OPS] = {"ops", 1024, false, false, FIELDS(op_fields)},
    [RES_G_REASONS] = {"reasons", 256, false, false, FIELDS(reason_fields)},
};
static const res_group narrow_breakdown = BREAKDOWN_GROUP(narrow_fields);
_Static_assert((int)(sizeof point_fields / sizeof *point_fields) == (int)RES_P_ROWS + 1,
               "the enumeration numbers these fields");
_Static_assert((int)(sizeof deployment_fields / sizeof *deployment_fields) == (int)RES_DEP_FIELDS,
               "the enumeration numbers these fields");
_Static_assert((int)RES_P_ROWS < (int)RES_MAX_FIELDS && (int)RES_DEP_FIELDS <= (int)RES_MAX_FIELDS,
               "tables hold RES_MAX_FIELDS columns");

const res_group *res_group_in(res_group_id g, res_precision breakdown) {
    return g == RES_G_BREAKDOWN && breakdown == RES_PRECISION_f32 ? &narrow_breakdown : &groups[g];
}

const res_group *res_group_get(res_group_id g) {
    return &groups[g];
}

static const char *const precision_names[] = {
#define NAME(name) #name,
    RES_PRECISIONS(NAME)
#undef NAME
};

const char *res_precision_name(res_precision p) {
    return precision_names[p];
}

bool res_precision_find(const char *name, res_precision *out) {
    for (int p = 0; p < RES_PRECISION_COUNT; p++)
        if (strcmp(name, precision_names[p]) == 0) {
            *out = (res_precision)p;
            return true;
        }
    return false;
}

int res_field_axis(res_group_id g, size_t field) {
    if (g == RES_G_DEPLOYMENTS)
        return field <= RES_DEP_BEFORE    ? res_column_axis(field)
               : field == RES_DEP_refusal ? RES_AXIS_refusal
                                          : -1;
    if (g == RES_G_OPS)
        return field == RES_OP_NAME ? RES_AXIS_op : field == RES_OP_KIND ? RES_AXIS_kind : -1;
    return -1;
}

static const res_field axis_fields[] = {
#define AXIS(name, meaning) {#name, RES_D_TEXT, "", meaning},
    RES_AXES(AXIS)
#undef AXIS
};

static const res_group axis_groups[] = {
#define AXIS(name, meaning) {"axes", RES_AXIS_CHUNK, false, false, 1, &axis_fields[RES_AXIS_##name]},
    RES_AXES(AXIS)
#undef AXIS
};

const res_group *res_axis_group(res_axis a) {
    return &axis_groups[a];
}

const char *res_axis_name(res_axis a) {
    return axis_fields[a].name;
}

const char *res_axis_meaning(res_axis a) {
    return axis_fields[a].meaning;
}
