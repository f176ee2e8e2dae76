/* How commands show numbers, and one evaluated point as JSON. */
#include "cli/cli.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void cli_bytes(double bytes, char out[32]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* ---- one point
 * ------------------------------------------------------------------------------------------------------------
 */

void cli_effective(const srv_deployment *d, const srv_workload *load, swp_row *row) {
    swp_row_init(row);
    row->request = d->request;
    row->load = *load;
    if (d->view)
        row->request.version = d->view->version;
    if (d->refused != SRV_ST_ok)
        return;
    row->request.par = d->built.par;
    row->request.quants = d->built.quants;
    row->request.nextn = d->built.nextn;
}

aic_value cli_column(const res_column *c, const swp_row *row, const srv_point *p) {
    int field = swp_field_find(c->name);
    if (c->offset != SIZE_MAX) {
        const void *at = (const char *)p + c->offset;
        double real;
        switch (c->type) {
        case RES_F64:
            real = *(const double *)at;
            return isfinite(real) ? aic_real(real) : AIC_NULL_VALUE;
        case RES_U32:
            return aic_int(*(const uint32_t *)at);
        case RES_STATUS:
        case RES_CARRIED:
        case RES_TIER:
            return aic_str(res_enum_text(c->type, *(const unsigned *)at)); /* every enumeration's type */
        default:
            return *(const char *const *)at ? aic_str(*(const char *const *)at) : AIC_NULL_VALUE;
        }
    }
    if (strcmp(c->name, "num_gpus") == 0)
        return aic_int(mdl_gpus(&row->request.par));
    if (field < 0)
        return AIC_NULL_VALUE;
    aic_value v = swp_row_value(row, (size_t)field);
    if (c->type == RES_U32 && v.type == AIC_V_NULL)
        return aic_int(0); /* stored as 0 when a mode has none */
    bool no_text = v.type == AIC_V_STR && !*v.u.s;
    return no_text ? AIC_NULL_VALUE : v;
}

void cli_json_value(aic_buf *out, const aic_value *v) {
    switch (v->type) {
    case AIC_V_INT:
        aic_buf_printf(out, "%lld", (long long)v->u.i);
        break;
    case AIC_V_REAL:
        aic_buf_json_number(out, v->u.r);
        break;
    case AIC_V_BOOL:
        aic_buf_add(out, v->u.b ? "true" : "false");
        break;
    case AIC_V_STR:
        aic_buf_json_string(out, v->u.s);
        break;
    default:
        aic_buf_add(out, "null");
    }
}

static void json_phase(const srv_deployment *d, const srv_block *b, size_t first_row, srv_phase phase,
                       aic_buf *out) {
    bool first = true;
    aic_buf_printf(out, ", \"%s\": [", srv_phase_name(phase));
    for (size_t i = first_row; b->priced[0] && i < d->n_rows; i++) {
        if (d->rows[i].phase != phase)
            continue;
        aic_buf_add(out, first ? "[" : ", [");
        first = false;
        aic_buf_json_string(out, d->rows[i].name);
        aic_buf_add(out, ", ");
        aic_buf_json_number(out, b->latency[i]);
        aic_buf_add(out, ", ");
        aic_buf_json_number(out, b->energy[i]);
        aic_buf_printf(out, ", \"%s\", \"%s\", \"%s\"]", op_source_name((op_source)b->source[i]),
                       op_tier_name(srv_basis_tier(b->basis[i])),
                       srv_carried_name(srv_basis_carried(b->basis[i])));
    }
    aic_buf_add(out, "]");
}

void cli_point_json(const srv_deployment *d, const srv_block *block, aic_buf *out) {
    swp_row row;
    const char *comma = "{";
    const srv_point point = srv_points_get(&block->points, 0);
    const size_t first = srv_first_row(d, point.encodes);
    cli_effective(d, &point.load, &row);
    for (size_t i = 0; i < res_column_count(); i++) {
        const res_column *c = res_column_at(i);
        if (c->type == RES_POINT)
            continue;
        aic_value v = cli_column(c, &row, &point);
        aic_buf_printf(out, "%s\"%s\": ", comma, c->name);
        cli_json_value(out, &v);
        comma = ", ";
    }
    if (block->priced[0] && point.encodes)
        json_phase(d, block, first, SRV_PH_encoder, out);
    json_phase(d, block, first, SRV_PH_context, out);
    json_phase(d, block, first, SRV_PH_generation, out);
    aic_buf_add(out, "}\n");
}
