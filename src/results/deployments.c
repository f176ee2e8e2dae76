/* Deployments as rows: their columns, the axes they point into, and their breakdown rows. */
#include "results/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void res_deployments_init(res_deployments *d) {
    *d = (res_deployments){.runs = aic_intern_new(), .hashes = aic_intern_new()};
    for (int a = 0; a < RES_AXIS_COUNT; a++)
        d->axes.of[a] = aic_intern_new();
    res_table_init(&d->table, res_group_get(RES_G_DEPLOYMENTS), 0, SRV_INPUTS_DIGITS);
    res_table_init(&d->ops, res_group_get(RES_G_OPS), 0, 0);
    AIC_GROW(d->run_first, d->n_runs, d->cap_runs);
    d->run_first[d->n_runs++] = 0; /* id 0 is the empty run */
    AIC_GROW(d->hash_first, d->n_hashes, d->cap_hashes);
    d->hash_first[d->n_hashes++] = 0; /* and no rows have the empty hash */
}

void res_deployments_free(res_deployments *d) {
    for (int a = 0; a < RES_AXIS_COUNT; a++)
        aic_intern_free(d->axes.of[a]);
    aic_intern_free(d->runs);
    aic_intern_free(d->hashes);
    free(d->hash_first);
    res_table_free(&d->table);
    res_table_free(&d->ops);
    free(d->run_first);
    *d = (res_deployments){0};
}

/* Values of the deployment columns, one member per column. */
typedef struct values {
#define MEMBER_TEXT(name, axis, meaning) const char *name;
#define MEMBER_U32(name, unit, meaning)  uint32_t name;
#define MEMBER_F64(name, unit, meaning)  double name;
    RES_DEPLOYMENT_COLUMNS(MEMBER_TEXT, MEMBER_U32, MEMBER_F64)
#undef MEMBER_TEXT
#undef MEMBER_U32
#undef MEMBER_F64
} values;

static const char *quant_name(pdb_quant effective, pdb_quant given) {
    pdb_quant q = effective != PDB_Q_UNSET ? effective : given;
    return q != PDB_Q_UNSET ? pdb_quant_get(q)->name : "";
}

/* What was not resolved before the deployment was refused stands as it was asked for. */
static values values_of(const srv_deployment *dep) {
    const srv_request *r = &dep->request;
    const mdl_deployment *b = &dep->built;
    const mdl_parallel *par = b->par.tp ? &b->par : &r->par;
    values v = {
        .mode = srv_mode_name(r->mode),
        .model = r->model,
        .system = r->system,
        .backend = r->backend,
        .version = dep->view ? dep->view->version : r->version,
        .database_mode = op_mode_name(r->database_mode),
        .transfer_policy = r->transfer_policy,
        .tp = par->tp,
        .pp = par->pp,
        .dp = par->dp,
        .moe_tp = par->moe_tp,
        .moe_ep = par->moe_ep,
        .cp = par->cp,
        .num_gpus = mdl_gpus(par),
        .nextn = r->nextn,
        .nextn_accepted = r->nextn_accepted,
        .free_gpu_memory_fraction = r->free_gpu_memory_fraction,
        .max_seq_len = r->max_seq_len,
        .attention_backend = r->options.attention_backend,
        .moe_backend = r->options.moe_backend,
        .distribution = r->options.distribution,
        .eplb = r->options.eplb,
        .slots = r->options.slots,
        .sms = r->options.sms,
        .override_layers = r->options.layers,
        .encoder_tp = r->options.encoder_tp,
    };
#define QUANT(kind) v.kind##_quant = quant_name(b->quants.kind, r->quants.kind);
    RES_QUANTS(QUANT)
#undef QUANT
    return v;
}

static uint32_t axis_id(res_deployments *d, res_axis a, const char *text) {
    return text ? aic_intern_add(d->axes.of[a], text, strlen(text)) : 0;
}

/* A row of /ops as it stands in the key of its run. */
typedef struct op_key {
    uint64_t phase, name, kind;
    double repeat;
} op_key;

/* The number of the run with these rows, which is the next number when it is new. */
static uint32_t run_id(res_deployments *d, const op_key *rows, size_t n, uint64_t first) {
    uint32_t run = aic_intern_add(d->runs, (const char *)rows, n * sizeof *rows);
    if (run == d->n_runs) {
        AIC_GROW(d->run_first, d->n_runs, d->cap_runs);
        d->run_first[d->n_runs++] = first;
    }
    return run;
}

/* Appends the rows unless an earlier deployment has the same ones; returns the first. */
static uint64_t add_run(res_deployments *d, const srv_deployment *dep) {
    op_key *rows = aic_calloc(dep->n_rows, sizeof *rows);
    for (size_t i = 0; i < dep->n_rows; i++) {
        const srv_row *r = &dep->rows[i];
        rows[i] = (op_key){r->phase, axis_id(d, RES_AXIS_op, r->name), axis_id(d, RES_AXIS_kind, r->kind),
                           r->repeat};
    }
    size_t before = d->n_runs;
    uint32_t run = run_id(d, rows, dep->n_rows, d->ops.rows);
    for (size_t i = 0; d->n_runs > before && i < dep->n_rows; i++) {
        size_t row = res_table_add(&d->ops);
        res_table_u8(&d->ops, RES_OP_PHASE, row, (uint8_t)rows[i].phase);
        res_table_u32(&d->ops, RES_OP_NAME, row, (uint32_t)rows[i].name);
        res_table_u32(&d->ops, RES_OP_KIND, row, (uint32_t)rows[i].kind);
        res_table_f64(&d->ops, RES_OP_REPEAT, row, rows[i].repeat);
    }
    free(rows);
    return d->run_first[run];
}

/* The same by the hash of the rows, where the deployment has it: most have rows that were met before. */
static uint64_t op_run(res_deployments *d, const srv_deployment *dep) {
    static const uint64_t none[2];
    if (memcmp(dep->rows_hash, none, sizeof none) == 0)
        return add_run(d, dep);
    uint32_t id = aic_intern_add(d->hashes, (const char *)dep->rows_hash, sizeof dep->rows_hash);
    if (id == d->n_hashes) {
        AIC_GROW(d->hash_first, d->n_hashes, d->cap_hashes);
        d->hash_first[d->n_hashes++] = add_run(d, dep);
    }
    return d->hash_first[id];
}

void res_deployments_run(res_deployments *d, size_t first, size_t n) {
    op_key *rows = aic_calloc(n, sizeof *rows);
    for (size_t i = 0; i < n; i++)
        rows[i] = (op_key){res_table_get_u8(&d->ops, RES_OP_PHASE, first + i),
                           res_table_get_u32(&d->ops, RES_OP_NAME, first + i),
                           res_table_get_u32(&d->ops, RES_OP_KIND, first + i),
                           res_table_get_f64(&d->ops, RES_OP_REPEAT, first + i)};
    run_id(d, rows, n, first);
    free(rows);
}

void res_deployments_add(res_deployments *d, size_t index, const srv_deployment *dep) {
    values v = values_of(dep);
    res_table *t = &d->table;
    size_t row = res_table_add(t), f = 0;
    res_table_u32(t, f++, row, (uint32_t)index);
#define PUT_TEXT(name, axis, meaning) res_table_u32(t, f++, row, axis_id(d, RES_AXIS_##axis, v.name));
#define PUT_U32(name, unit, meaning)  res_table_u32(t, f++, row, v.name);
#define PUT_F64(name, unit, meaning)  res_table_f64(t, f++, row, v.name);
    RES_DEPLOYMENT_COLUMNS(PUT_TEXT, PUT_U32, PUT_F64)
#undef PUT_TEXT
#undef PUT_U32
#undef PUT_F64
#define PUT_ORIGIN(kind)                                                                                     \
    res_table_u8(t, f++, row, dep->request.quants.kind != PDB_Q_UNSET ? RES_EXPLICIT : RES_INFERRED);
    RES_QUANTS(PUT_ORIGIN)
#undef PUT_ORIGIN
    res_table_f64(t, f++, row, dep->built.weight_bytes > 0 ? dep->built.weight_bytes : (double)NAN);
    res_table_u64(t, f++, row, op_run(d, dep));
    res_table_u32(t, f++, row, (uint32_t)dep->n_rows);
    res_table_u32(t, f++, row, dep->refused != SRV_ST_ok ? axis_id(d, RES_AXIS_refusal, dep->why.text) : 0);
    uint8_t *inputs = t->data[f] + row * SRV_INPUTS_DIGITS;
    memset(inputs, 0, SRV_INPUTS_DIGITS);
    memcpy(inputs, dep->inputs, strlen(dep->inputs));
}

bool res_rows_fit(const res_table *deployments, const res_table *ops, size_t d, size_t n) {
    size_t count = res_table_get_u32(deployments, RES_DEP_op_count, d), encoder = 0;
    size_t first = (size_t)res_table_get_u64(deployments, RES_DEP_first_op, d);
    if (n == 0 || n == count)
        return true;
    while (encoder < count && res_table_get_u8(ops, RES_OP_PHASE, first + encoder) == SRV_PH_encoder)
        encoder++;
    return n == count - encoder;
}
