/* The request that produced a point, so that it can be evaluated again. */
#include "results/file.h"

typedef struct place {
    const res_file *f;
    size_t deployment;
} place;

static const res_table *table(const place *p) {
    return &p->f->deployments;
}

static uint32_t number(const place *p, size_t field) {
    return res_table_get_u32(table(p), field, p->deployment);
}

static double real(const place *p, size_t field) {
    return res_table_get_f64(table(p), field, p->deployment);
}

static const char *text(const place *p, res_column_id column) {
    return res_text_at(p->f, (int)column, number(p, column));
}

/* A mode that was inferred is inferred again. */
static bool quant(const place *p, res_column_id column, size_t origin, unsigned kind, pdb_quant *out,
                  aic_error *err) {
    *out = PDB_Q_UNSET;
    if (res_table_get_u8(table(p), origin, p->deployment) == RES_INFERRED)
        return true;
    *out = pdb_quant_parse(text(p, column), kind);
    return *out != PDB_Q_UNSET ||
           res_damaged(err, p->f->in.path, "/axes/quant", "a mode this program does not know");
}

static bool quants(const place *p, mdl_quants *q, aic_error *err) {
    return quant(p, RES_C_gemm_quant, RES_DEP_gemm_origin, PDB_GEMM, &q->gemm, err) &&
           quant(p, RES_C_moe_quant, RES_DEP_moe_origin, PDB_MOE, &q->moe, err) &&
           quant(p, RES_C_kvcache_quant, RES_DEP_kvcache_origin, PDB_KV, &q->kvcache, err) &&
           quant(p, RES_C_fmha_quant, RES_DEP_fmha_origin, PDB_FMHA, &q->fmha, err) &&
           quant(p, RES_C_comm_quant, RES_DEP_comm_origin, PDB_COMM, &q->comm, err);
}

/* A text that may be absent: stored as the empty one. */
static const char *text_or_null(const place *p, res_column_id column) {
    const char *t = text(p, column);
    return *t ? t : NULL;
}

static srv_options options_of(const place *p) {
    return (srv_options){.attention_backend = text_or_null(p, RES_C_attention_backend),
                         .moe_backend = text_or_null(p, RES_C_moe_backend),
                         .distribution = text_or_null(p, RES_C_distribution),
                         .eplb = number(p, RES_C_eplb),
                         .slots = number(p, RES_C_slots),
                         .sms = number(p, RES_C_sms),
                         .layers = number(p, RES_C_override_layers),
                         .encoder_tp = number(p, RES_C_encoder_tp)};
}

static bool request_of(const place *p, srv_request *r, aic_error *err) {
    srv_request_init(r);
    if (!srv_mode_parse(text(p, RES_C_mode), &r->mode))
        return res_damaged(err, p->f->in.path, "/axes/mode", "a mode this program does not know");
    if (!op_mode_parse(text(p, RES_C_database_mode), &r->database_mode))
        return res_damaged(err, p->f->in.path, "/axes/database_mode", "a mode this program does not know");
    r->transfer_policy = text_or_null(p, RES_C_transfer_policy);
    r->model = text(p, RES_C_model);
    r->system = text(p, RES_C_system);
    r->backend = text(p, RES_C_backend);
    r->version = text(p, RES_C_version);
    r->par = (mdl_parallel){number(p, RES_C_tp),     number(p, RES_C_pp),     number(p, RES_C_dp),
                            number(p, RES_C_moe_tp), number(p, RES_C_moe_ep), number(p, RES_C_cp)};
    r->nextn = number(p, RES_C_nextn);
    r->nextn_accepted = real(p, RES_C_nextn_accepted);
    r->free_gpu_memory_fraction = real(p, RES_C_free_gpu_memory_fraction);
    r->max_seq_len = number(p, RES_C_max_seq_len);
    r->options = options_of(p);
    return quants(p, &r->quants, err);
}

bool res_point_request(res_file *f, uint64_t row, srv_request *req, srv_workload *load, aic_error *err) {
    static const int columns[] = {RES_C_batch,  RES_C_isl,          RES_C_osl,         RES_C_prefix,
                                  RES_C_images, RES_C_image_height, RES_C_image_width, RES_C_image_tokens,
                                  RES_C_model /* brings the deployment */};
    enum { N = sizeof columns / sizeof *columns };
    uint32_t d;
    res_window *w = res_window_new(f);
    bool ok = res_window_load(w, row, 1, columns, N, false, err) &&
              res_file_rows(f, f->codec, RES_G_POINTS, RES_P_DEPLOYMENT, row, 1, &d, err);
    if (ok) {
        uint32_t v[N - 1];
        for (int i = 0; i < N - 1; i++)
            v[i] = (uint32_t)res_window_number(w, 0, columns[i]);
        *load = (srv_workload){v[0], v[1], v[2], v[3], {v[4], v[5], v[6], v[7]}};
        ok = request_of(&(place){f, d}, req, err);
    }
    res_window_free(w);
    return ok;
}
