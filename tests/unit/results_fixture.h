/* Deployments and points made by hand, for the tests of result files: shaped like a sweep's, figures from a
 * hash. */
#ifndef TESTS_RESULTS_FIXTURE_H
#define TESTS_RESULTS_FIXTURE_H

#include "results/results.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* HDF5 loses memory of its own when it refuses a damaged file or cannot write one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

enum { FIX_ROWS = 32, FIX_CONTEXT_ROWS = 15, FIX_WORKLOADS = 320, FIX_NAME = 24 };

typedef struct fix_sweep {
    size_t n_deployments;
    size_t base; /* deployment in row 0 of the file being written */
    srv_deployment *deployments;
    srv_row rows[2][FIX_ROWS]; /* two op lists */
    char names[2][FIX_ROWS][FIX_NAME];
} fix_sweep;

static inline double fix_random(uint64_t k) {
    k ^= k >> 33;
    k *= UINT64_C(0xff51afd7ed558ccd);
    k ^= k >> 33;
    k *= UINT64_C(0xc4ceb9fe1a85ec53);
    k ^= k >> 33;
    return (double)(k >> 11) * 0x1p-53;
}

static inline void fix_deployment(fix_sweep *s, size_t i) {
    static const char *const models[] = {"Qwen/Qwen3-32B-FP8", "meta-llama/Llama-3.1-8B",
                                         "Qwen/Qwen3-30B-A3B"};
    static const char *const backends[] = {"trtllm", "sglang", "vllm"};
    srv_deployment *d = &s->deployments[i];
    memset(d, 0, sizeof *d);
    d->request.mode = SRV_static;
    d->request.model = models[i % 3];
    d->request.system = "h200_sxm";
    d->request.backend = backends[i / 3 % 3];
    d->request.version = "1.3.0rc20";
    d->request.database_mode = OP_SILICON;
    d->request.nextn_accepted = NAN;
    d->request.free_gpu_memory_fraction = i % 4 == 3 ? 0.85 : (double)NAN;
    d->request.par = (mdl_parallel){.tp = 1u << (i / 9 % 4), .pp = 1, .dp = 1, .cp = 1};
    d->built.par = d->request.par;
    d->built.quants = (mdl_quants){PDB_Q_fp8, PDB_Q_fp8, PDB_Q_fp8, PDB_Q_bfloat16, PDB_Q_half};
    if (i % 2)
        d->request.quants.gemm = PDB_Q_fp8;
    d->built.weight_bytes = 1e9 * (double)(1 + i % 7);
    d->n_rows = FIX_ROWS;
    d->n_context_rows = FIX_CONTEXT_ROWS;
    d->rows = s->rows[i % 2];
    if (i % 17 == 16) { /* refused as a whole */
        d->refused = SRV_ST_missing;
        snprintf(d->why.text, sizeof d->why.text,
                 "op moe: table moe_perf has no rows for \"w4afp8\" (deployment %zu)", i % 34);
        d->n_rows = d->n_context_rows = 0;
        memset(&d->built, 0, sizeof d->built);
    }
}

static inline fix_sweep *fix_new(size_t n_deployments) {
    fix_sweep *s = AIC_NEW(fix_sweep);
    s->n_deployments = n_deployments;
    s->deployments = AIC_NEW_ARRAY(srv_deployment, n_deployments);
    for (int list = 0; list < 2; list++)
        for (size_t r = 0; r < FIX_ROWS; r++) {
            snprintf(s->names[list][r], FIX_NAME, "%s_op_%zu%s",
                     r < FIX_CONTEXT_ROWS ? "context" : "generation", r, list ? "_moe" : "");
            s->rows[list][r] = (srv_row){.phase = r < FIX_CONTEXT_ROWS ? SRV_PH_context : SRV_PH_generation,
                                         .name = s->names[list][r],
                                         .kind = r % 4 ? "Gemm" : "ContextAttention",
                                         .repeat = r ? 64.0 : 1.0};
        }
    for (size_t i = 0; i < n_deployments; i++)
        fix_deployment(s, i);
    return s;
}

static inline void fix_free(fix_sweep *s) {
    free(s->deployments);
    free(s);
}

static inline uint64_t fix_count(const fix_sweep *s) {
    return (uint64_t)s->n_deployments * FIX_WORKLOADS;
}

/* Workload w of a deployment: batch outermost, osl innermost, as sweeps order them. */
static inline srv_workload fix_workload(size_t w) {
    return (srv_workload){
        .batch = 1u << (w / 32), .isl = 128u << (w / 4 % 8), .osl = 32u << (w % 4), .prefix = 0};
}

/* What row r of point k rests on: nothing but own measurements in most deployments. */
static inline srv_basis fix_basis(uint64_t k, size_t r) {
    if (k / FIX_WORKLOADS % 3 == 0)
        return 0;
    return srv_basis_of((op_tier)((k + r) % OP_TIER_COUNT), (pdb_origins)(k / 5 % 4));
}

/* Figures of point k; its rows go to latency, energy, source (FIX_ROWS each). Returns the number of rows. */
static inline uint32_t fix_point(const fix_sweep *s, uint64_t k, srv_point *p, double *latency,
                                 double *energy, uint8_t *source) {
    size_t d = (size_t)(k / FIX_WORKLOADS), w = (size_t)(k % FIX_WORKLOADS), b = w / 32, i = w / 4 % 8,
           o = w % 4;
    memset(p, 0, sizeof *p);
    p->load = fix_workload(w);
    bool refused = s->deployments[d].refused != SRV_ST_ok, invalid = !refused && k % 97 == 96;
    if (refused || invalid) {
        p->status = refused ? SRV_ST_missing : SRV_ST_invalid;
        p->reason = refused ? s->deployments[d].why.text : "prefix must be shorter than isl";
        double *figures = &p->ttft;
        for (size_t f = 0; f < 20 + OP_COVERS; f++)
            figures[f] = NAN;
        return 0;
    }
    double sums[2] = {0, 0};
    srv_basis basis = 0;
    for (size_t r = 0; r < FIX_ROWS; r++) {
        bool generation = r >= FIX_CONTEXT_ROWS, attention = r % 4 == 0;
        uint64_t shape = generation ? (attention ? b * 64 + i * 8 + o : 1000 + b)
                                    : (attention ? 2000 + b * 8 + i : 3000 + b + i);
        double unit = 0.0132 * (1 + fix_random(d * 1000003 + r * 7919 + shape * 31));
        latency[r] =
            unit * (generation ? (double)p->load.osl * (double)(b + 1) : (double)(1u << ((b + i) / 2)) * 64);
        energy[r] = d % 5 == 4 ? latency[r] * 700 : 0;
        source[r] = (uint8_t)(attention ? OP_SRC_mixed : OP_SRC_silicon);
        sums[generation] += latency[r];
        basis |= fix_basis(k, r);
    }
    p->carried = srv_basis_carried(basis);
    p->tier = srv_basis_tier(basis);
    p->ttft = p->context_latency = sums[0];
    p->generation_latency = sums[1];
    p->tpot = sums[1] / (double)(p->load.osl - 1);
    p->request_latency = sums[0] + sums[1];
    p->seq_per_s = (double)p->load.batch / p->request_latency * 1000;
    p->tokens_per_s = p->seq_per_s * (double)p->load.osl;
    p->tokens_per_s_per_gpu = p->tokens_per_s / (double)s->deployments[d].request.par.tp;
    p->tokens_per_s_per_user = 1000 / p->tpot;
    p->concurrency = (double)p->load.batch;
    p->weights = 32.5 / (double)s->deployments[d].request.par.tp;
    p->activations = 0.1 * (double)p->load.batch;
    p->kvcache = 1e-5 * (double)p->load.batch * (double)(p->load.isl + p->load.osl);
    p->nccl = 0.25;
    p->others = 2;
    p->memory = p->weights + p->activations + p->kvcache + p->nccl + p->others;
    p->power = d % 5 == 4 ? 700 : (double)NAN;
    p->cover[OP_MEASURED] = 0.25 + 0.5 * fix_random(k);
    p->cover[OP_INTERPOLATED] = 1 - p->cover[OP_MEASURED];
    if (p->memory > 60) {
        p->status = SRV_ST_oom;
        p->reason = "weights, activations and KV cache exceed the GPU's memory";
    }
    return FIX_ROWS;
}

/* Points first .. first+n-1 as a writer takes them. */
typedef struct fix_block {
    res_points points;
    res_placement at;
    srv_points of;
    uint32_t *deployment, *rows;
    double *latency, *energy;
    uint8_t *source;
    srv_basis *basis;
} fix_block;

static inline void fix_block_make(const fix_sweep *s, uint64_t first, size_t n, fix_block *b) {
    *b = (fix_block){.deployment = aic_calloc(n, sizeof *b->deployment),
                     .rows = aic_calloc(n, sizeof *b->rows),
                     .latency = aic_calloc(n * FIX_ROWS, sizeof *b->latency),
                     .energy = aic_calloc(n * FIX_ROWS, sizeof *b->energy),
                     .source = aic_calloc(n * FIX_ROWS, 1),
                     .basis = aic_calloc(n * FIX_ROWS, 1)};
    size_t used = 0;
    srv_points_reserve(&b->of, n);
    for (size_t i = 0; i < n; i++) {
        srv_point p;
        b->deployment[i] = (uint32_t)((first + i) / FIX_WORKLOADS - s->base);
        b->rows[i] = fix_point(s, first + i, &p, b->latency + used, b->energy + used, b->source + used);
        srv_points_put(&b->of, i, &p);
        for (size_t r = 0; r < b->rows[i]; r++)
            b->basis[used + r] = fix_basis(first + i, r);
        used += b->rows[i];
    }
    b->points = (res_points){.n = n,
                             .deployment = b->deployment,
                             .points = &b->of,
                             .rows = b->rows,
                             .n_rows = used,
                             .latency = b->latency,
                             .energy = b->energy,
                             .source = b->source,
                             .basis = b->basis};
}

static inline void fix_block_free(fix_block *b) {
    srv_points_free(&b->of);
    free(b->deployment);
    free(b->rows);
    free(b->latency);
    free(b->energy);
    free(b->source);
    free(b->basis);
    res_placement_free(&b->at);
}

/* The same handed to a writer in one call. */
static inline bool fix_write(const fix_sweep *s, res_writer *w, uint64_t first, size_t n, aic_error *err) {
    fix_block b;
    fix_block_make(s, first, n, &b);
    bool ok = res_writer_points(w, &b.points, err);
    fix_block_free(&b);
    return ok;
}

static inline res_origin fix_origin(const fix_sweep *s) {
    static const char *const databases[] = {"h200_sxm 0.12.0 0123456789abcdef"};
    return (res_origin){.spec_text = "models: [a, b]\n",
                        .spec_name = "sweeps/test.yaml",
                        .overrides = "output=x",
                        .command_line = "aicfg-sweep run sweeps/test.yaml",
                        .databases = databases,
                        .n_databases = 1,
                        .total_points = fix_count(s),
                        .threads = 2,
                        .program = "aicfg-sweep test"};
}

static inline res_writer_options fix_options(const char *path) {
    return (res_writer_options){.path = path, .breakdown = true, .deflate = 1, .checkpoint_s = 1e9};
}

/* Hands the writer what it does not have yet, up to `count` points, `block` per call. */
static inline bool fix_continue(const fix_sweep *s, res_writer *w, size_t block, uint64_t count,
                                aic_error *err) {
    uint64_t by_status[SRV_STATUS_COUNT];
    size_t known;
    uint64_t at = res_writer_resumed(w, &known, by_status);
    for (; at < count; at += block) {
        size_t n = count - at < block ? (size_t)(count - at) : block;
        for (; known <= (at + n - 1) / FIX_WORKLOADS; known++)
            if (!res_writer_deployment(w, known, &s->deployments[known], err))
                return false;
        if (!fix_write(s, w, at, n, err))
            return false;
    }
    return true;
}

/* A whole file, `block` points per call. */
static inline bool fix_file(const fix_sweep *s, const res_writer_options *opt, size_t block, uint64_t count,
                            bool complete, res_summary *out, aic_error *err) {
    res_origin origin = fix_origin(s);
    res_writer *w = res_writer_open(opt, &origin, err);
    if (!w)
        return false;
    if (!fix_continue(s, w, block, count, err)) {
        res_writer_abandon(w);
        return false;
    }
    return res_writer_finish(w, complete, out, err);
}

/* Equal but for what lies in the object header of /run, the last object of a file (at `run`). */
static inline bool fix_same_but_run(const char *a, const char *b, uint64_t run) {
    aic_buf x = {0}, y = {0};
    char why[256];
    bool same = aic_read_file(a, SIZE_MAX / 2, &x, why, sizeof why) &&
                aic_read_file(b, SIZE_MAX / 2, &y, why, sizeof why) && x.len == y.len && run < x.len &&
                x.len - run < 16384 && memcmp(x.data, y.data, run) == 0;
    aic_buf_free(&x);
    aic_buf_free(&y);
    return same;
}

/* A fresh folder under the system's temporary one. */
static inline void fix_folder(char out[256]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, 256, "%.200s/aicfg-results-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(out))
        abort();
}

#endif
