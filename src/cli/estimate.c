/* aicfg-sweep estimate: one point from options. */
#include "cli/cli.h"
#include <math.h>
#include <stdio.h>

static void print_figures(const srv_deployment *d, const srv_point *p) {
    swp_row row;
    cli_effective(d, &p->load, &row);
    for (size_t i = 0; i < res_column_count(); i++) {
        const res_column *c = res_column_at(i);
        aic_value v = c->type == RES_POINT ? AIC_NULL_VALUE : cli_column(c, &row, p);
        if (v.type == AIC_V_REAL)
            printf("%-26s%.6g", c->name, v.u.r);
        else if (v.type == AIC_V_INT)
            printf("%-26s%lld", c->name, (long long)v.u.i);
        else if (v.type == AIC_V_STR && *v.u.s)
            printf("%-26s%s", c->name, v.u.s);
        else
            continue;
        printf("%s%s\n", *c->unit ? " " : "", c->unit);
    }
}

static void print_ops(const srv_deployment *d, const srv_block *b, const srv_point *p) {
    double total = 0;
    if (!b->priced[0])
        return;
    size_t first = srv_first_row(d, p->encodes);
    for (size_t i = first; i < d->n_rows; i++)
        total += b->latency[i];
    printf("\n%-10s %-32s %-20s %12s %6s  %-9s  %-9s  %s\n", "phase", "op", "kind", "ms", "%", "source",
           "tier", "carried");
    for (size_t i = first; i < d->n_rows; i++)
        printf("%-10s %-32s %-20s %12.6f %6.2f  %-9s  %-9s  %s\n", srv_phase_name(d->rows[i].phase),
               d->rows[i].name, d->rows[i].kind, b->latency[i], total > 0 ? 100 * b->latency[i] / total : 0.0,
               op_source_name((op_source)b->source[i]), op_tier_name(srv_basis_tier(b->basis[i])),
               srv_carried_name(srv_basis_carried(b->basis[i])));
}

static aic_code estimate(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    srv_deployment *d = srv_compile(env, &row->request, NULL, err);
    srv_block block = {0};
    if (!d)
        return err->code;
    srv_evaluate(d, &row->load, 1, &block);
    const srv_point point = srv_points_get(&block.points, 0);
    if (args->json) {
        aic_buf text = {0};
        cli_point_json(d, &block, &text);
        fputs(text.data, stdout);
        aic_buf_free(&text);
    } else {
        print_figures(d, &point);
        print_ops(d, &block, &point);
    }
    srv_block_free(&block);
    srv_free(d);
    return point.status == SRV_ST_ok ? AIC_OK : AIC_FINDING;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    swp_row row;
    if (!cli_row(args, &row, err))
        return err->code;
    if (!row.request.model || !row.request.system) {
        aic_fail(err, AIC_BAD_INPUT, "estimate: --%s is missing", row.request.model ? "system" : "model");
        return err->code;
    }
    if (!cli_data_open(args, &data, err))
        return err->code;
    aic_code code = estimate(args, &row, &data.env, err);
    cli_data_close(&data);
    return code;
}

static const cli_option options[] = {
    {"json", 0, CLI_FLAG, NULL, offsetof(cli_args, json),
     "one JSON object, as a line of export --format jsonl --breakdown"},
};

const cli_command cli_estimate = {
    .name = "estimate",
    .operands = "",
    .summary = "evaluate one point given by options; print its figures and every op",
    .details = "Exit code 1 when the point is not ok: the status and the reason say why.",
    .examples =
        "estimate --model Qwen/Qwen3-32B --system h200_sxm --tp 4 --batch 64 --isl 4096 --osl 512\n"
        "estimate --model Qwen/Qwen3-30B-A3B --system h200_sxm --backend sglang --tp 8 --moe-ep 8 --json",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .fields = true,
    .data = true,
    .run = run,
};
