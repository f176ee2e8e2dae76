/* aicfg-sweep model: the catalogue, the facts of a model, the op list of a deployment. */
#include "cli/model.h"
#include <stdio.h>
#include <string.h>

static aic_code list(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    (void)args;
    (void)row;
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
    print_list("encoder", &d->built.encoder);
    print_list("context", &d->built.context);
    print_list("generation", &d->built.generation);
}

static void print_json(const srv_deployment *d) {
    aic_buf out = {0};
    aic_buf_add(&out, "{");
    if (d->built.encoder.count > 0) {
        json_list("encoder_ops", &d->built.encoder, &out);
        aic_buf_add(&out, ",\n");
    }
    json_list("context_ops", &d->built.context, &out);
    aic_buf_add(&out, ",\n");
    json_list("generation_ops", &d->built.generation, &out);
    aic_buf_add(&out, "}\n");
    fputs(out.data, stdout);
    aic_buf_free(&out);
}

/* The op list is what the deployment would run, also when an op of it lacks data. */
static aic_code show(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err) {
    bool deployed = row->request.system != NULL;
    if (args->json && !deployed) {
        aic_fail(err, AIC_BAD_INPUT, "model show: --json prints op lists, which need --system");
        return err->code;
    }
    const mdl_model *m = mdl_get(env->models, row->request.model, err);
    srv_deployment *d = m && deployed ? srv_compile(env, &row->request, NULL, err) : NULL;
    if (!m || (deployed && !d))
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

static const struct subcommand {
    const char *name, *operands;
    size_t n_operands; /* after the name */
    aic_code (*run)(const cli_args *args, const swp_row *row, const srv_env *env, aic_error *err);
} subcommands[] = {{"list", "nothing", 0, list},
                   {"show", "a model", 1, show},
                   {"diff", "two models", 2, model_diff},
                   {"check", "a model", 1, model_check}};

static const struct subcommand *find_subcommand(const cli_args *args, aic_error *err) {
    const char *name = args->operands.v[0];
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        const struct subcommand *s = &subcommands[i];
        if (strcmp(name, s->name) != 0)
            continue;
        if (args->operands.n - 1 == s->n_operands)
            return s;
        aic_fail(err, AIC_BAD_INPUT,
                 "model %s: expected %s after it, found %zu words ('model list' prints models)", name,
                 s->operands, args->operands.n - 1);
        return NULL;
    }
    aic_fail(err, AIC_BAD_INPUT, "model: expected list, show, diff or check, found \"%s\"", name);
    return NULL;
}

static aic_code run(const cli_args *args, aic_error *err) {
    cli_data data;
    swp_row row;
    const struct subcommand *s = find_subcommand(args, err);
    if (!s || !cli_row(args, &row, err) || !cli_data_open(args, &data, err))
        return err->code;
    row.request.model = s->n_operands ? args->operands.v[1] : NULL;
    aic_code code = s->run(args, &row, &data.env, err);
    cli_data_close(&data);
    return code;
}

static const cli_option options[] = {
    {"json", 0, CLI_FLAG, NULL, offsetof(cli_args, json),
     "show: op lists of the deployment as JSON, every parameter"},
    {"b", 0, CLI_TEXTS, "NAME=VALUE,...", offsetof(cli_args, for_b),
     "diff: point options that differ in the second deployment, tp=8,moe_ep=8 for example"},
};

const cli_command cli_model = {
    .name = "model",
    .operands = "list|show MODEL|diff A B|check MODEL",
    .min_operands = 1,
    .max_operands = 3,
    .summary = "print the catalogue, a model's facts, modes and op list; compare two, check one",
    .details =
        "show prints facts; with --system it also prints the modes in effect and the op list of the "
        "deployment\n"
        "that the point options describe. MODEL is an id of the catalogue or a folder with a config.json.\n"
        "diff prints the latency of every op of two deployments side by side, in total, per layer and calls "
        "per "
        "layer;\n"
        "the point options hold for both, --b overrides them for B. Exit code 1 when one has no figures.\n"
        "check warns of work that is counted twice (a module beside an op it contains), of ops that never "
        "count "
        "and of\n"
        "names shared by several kinds, over a few layouts. Exit code 1 when something was found.",
    .examples =
        "model list\nmodel show Qwen/Qwen3-32B-FP8\nmodel show Qwen/Qwen3-30B-A3B --system h200_sxm "
        "--tp 4 --moe-ep 4\nmodel diff Qwen/Qwen3-32B Qwen/Qwen3-32B --system h200_sxm --tp 4 --b tp=8\n"
        "model check Qwen/Qwen3-32B --system h200_sxm",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .fields = true,
    .data = true,
    .run = run,
};
