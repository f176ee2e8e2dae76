/* aicfg-sweep model: the catalogue, the facts of a model, the op list of a deployment. */
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

static aic_code list(const srv_env *env, aic_error *err) {
    printf("%-50s %-14s %-5s %7s %8s %8s  %s\n", "model", "family", "moe", "layers", "hidden", "experts",
           "architecture");
    for (size_t i = 0; i < mdl_count(env->models); i++) {
        aic_error why = {0};
        const mdl_model *m = mdl_get(env->models, mdl_id_at(env->models, i), &why);
        if (!m) {
            printf("%-50s cannot be used: %s\n", mdl_id_at(env->models, i), why.text);
            continue;
        }
        printf("%-50s %-14s %-5s %7lld %8lld %8lld  %s\n", m->id, m->family, m->is_moe ? "yes" : "no",
               (long long)m->layers, (long long)m->hidden, (long long)m->experts, m->architecture);
    }
    return err->code;
}

static void print_quants(const char *title, const mdl_quants *q) {
    const struct {
        const char *name;
        pdb_quant mode;
    } modes[] = {
        {"gemm", q->gemm}, {"moe", q->moe}, {"kvcache", q->kvcache}, {"fmha", q->fmha}, {"comm", q->comm}};
    printf("%-16s", title);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        printf("%s%s %s", i ? ", " : "", modes[i].name,
               modes[i].mode == PDB_Q_UNSET ? "-" : pdb_quant_get(modes[i].mode)->name);
    printf("\n");
}

static void print_facts(const mdl_model *m) {
    const struct {
        const char *name;
        int64_t value;
    } facts[] = {
        {"layers", m->layers},         {"heads", m->heads},           {"kv_heads", m->kv_heads},
        {"head_dim", m->head_dim},     {"hidden", m->hidden},         {"ffn", m->ffn},
        {"vocab", m->vocab},           {"context", m->context},       {"topk", m->topk},
        {"experts", m->experts},       {"expert_ffn", m->expert_ffn}, {"shared_experts", m->shared_experts},
        {"moe_layers", m->moe_layers}, {"nextn_auto", m->nextn_auto}};
    printf("%-16s%s\n%-16s%s\n%-16s%s%s\n", "model", m->id, "architecture", m->architecture, "family",
           m->family, m->is_moe ? " (mixture of experts)" : "");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        printf("%-16s%lld\n", facts[i].name, (long long)facts[i].value);
    if (m->quant_algo)
        printf("%-16s%s\n", "quant_algo", m->quant_algo);
    print_quants("modes inferred", &m->inferred);
}

static void print_list(const char *phase, const op_list *ops) {
    for (size_t i = 0; i < ops->count; i++)
        printf("%-10s %-36s %-24s %8.6g %14.0f\n", phase, ops->items[i]->name, ops->items[i]->desc->kind,
               ops->items[i]->repeat, op_weight_bytes(ops->items[i]));
}

static void json_list(const char *name, const op_list *ops, aic_buf *out) {
    aic_buf_printf(out, "\"%s\": [", name);
    for (size_t i = 0; i < ops->count; i++) {
        aic_buf_add(out, i ? ",\n  " : "\n  ");
        op_to_json(ops->items[i], out);
    }
    aic_buf_add(out, "\n]");
}

static void print_deployment(const srv_deployment *d) {
    const mdl_parallel *p = &d->built.par;
    printf("\ndeployment      %s %s %s, tp %u, pp %u, dp %u, moe_tp %u, moe_ep %u\n", d->view->system->name,
           d->view->backend, d->view->version, p->tp, p->pp, p->dp, p->moe_tp, p->moe_ep);
    print_quants("modes in effect", &d->built.quants);
    printf("%-16s%.3f GiB per GPU\n\n", "weights", d->built.weight_bytes / p->pp / 1073741824.0);
    printf("%-10s %-36s %-24s %8s %14s\n", "phase", "op", "kind", "repeat", "weight bytes");
    print_list("context", &d->built.context);
    print_list("generation", &d->built.generation);
}

static void print_json(const srv_deployment *d) {
    aic_buf out = {0};
    aic_buf_add(&out, "{");
    json_list("context_ops", &d->built.context, &out);
    aic_buf_add(&out, ",\n");
    json_list("generation_ops", &d->built.generation, &out);
    aic_buf_add(&out, "}\n");
    fputs(out.data, stdout);
    aic_buf_free(&out);
}

/* The op list is what the deployment would run, also when an op of it lacks data. */
static aic_code show(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    const mdl_model *m = mdl_get(env->models, row->request.model, err);
    if (!m)
        return err->code;
    srv_deployment *d = row->request.system ? srv_compile(env, &row->request, NULL, err) : NULL;
    if (row->request.system && !d)
        return err->code;
    bool built = d && d->built.context.count + d->built.generation.count > 0;
    if (!args->json)
        print_facts(m);
    if (built && args->json)
        print_json(d);
    else if (built)
        print_deployment(d);
    aic_code code = AIC_OK;
    if (d && d->refused != SRV_ST_ok) {
        fprintf(stderr, "refused: %s\n", d->why.text);
        code = AIC_FINDING;
    }
    srv_free(d);
    return code;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    swp_row row;
    const char *what = args->operands.v[0];
    bool all = strcmp(what, "list") == 0;
    if (!cli_row(args, &row, err))
        return err->code;
    if (!all && strcmp(what, "show") != 0)
        aic_fail(err, AIC_BAD_INPUT, "model: expected list or show, found \"%s\"", what);
    else if (!all && args->operands.n < 2)
        aic_fail(err, AIC_BAD_INPUT, "model show: expected a model ('model list' prints them)");
    else if (all && args->operands.n > 1)
        aic_fail(err, AIC_BAD_INPUT, "model list: \"%s\" is one argument too many", args->operands.v[1]);
    else if (args->json && !row.request.system)
        aic_fail(err, AIC_BAD_INPUT, "model show: --json prints op lists, which need --system");
    if (err->code != AIC_OK || !cli_data_open(args, &data, err))
        return err->code;
    if (!all)
        row.request.model = args->operands.v[1];
    aic_code code = all ? list(&data.env, err) : show(args, &row, &data.env, err);
    cli_data_close(&data);
    return code;
}

static const cli_option options[] = {
    {"json", 0, CLI_FLAG, NULL, offsetof(cli_args, json),
     "show: op lists of the deployment as JSON, every parameter"},
};

const cli_command cli_model = {
    .name = "model",
    .operands = "list|show MODEL",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "print the catalogue, or a model's facts, modes and op list",
    .details =
        "show prints facts; with --system it also prints the modes in effect and the op list of the "
        "deployment\n"
        "that the point options describe. MODEL is an id of the catalogue or a folder with a config.json.",
    .examples = "model list\nmodel show Qwen/Qwen3-32B-FP8\nmodel show Qwen/Qwen3-30B-A3B --system h200_sxm "
                "--tp 4 --moe-ep 4",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .fields = true,
    .data = true,
    .run = run,
};
