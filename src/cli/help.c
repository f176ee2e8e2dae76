/* aicfg-sweep help: overview, commands, columns, fields, and the manual page, all from the tables. */
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

static const char exit_codes[] =
    "0 done, 1 done and something was found, 2 usage or bad input, 3 input or output failed, "
    "10 and 11 situations S2 and S3 of support, 130 or 143 interrupted (finished points are kept)";

/* Calls visit for every option of a command: its own, data options, common ones. */
static void each_option(const cli_command *c, void (*visit)(const cli_option *o, FILE *out), FILE *out) {
    for (size_t i = 0; i < c->n_options; i++)
        visit(&c->options[i], out);
    for (size_t i = 0; c->data && i < cli_n_data_options; i++)
        visit(&cli_data_options[i], out);
    for (size_t i = 0; i < cli_n_common_options; i++)
        visit(&cli_common_options[i], out);
}

/* "-o, --output OUT.h5" */
static void option_label(const cli_option *o, char out[96]) {
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(out, 96, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

static void field_label(const swp_field *f, char out[96]) {
    snprintf(out, 96, "--%s %s", f->name, f->arg);
    for (char *p = out; *p && *p != ' '; p++)
        if (*p == '_')
            *p = '-';
}

static void field_help(const swp_field *f, char out[256]) {
    bool shown = f->def && *f->def;
    snprintf(out, 256, "%s%s%s", f->meaning, shown ? "; default: " : "", shown ? f->def : "");
}

/* ---- text
 * ----------------------------------------------------------------------------------------------------------------
 */

static void print_option(const cli_option *o, FILE *out) {
    char label[96];
    option_label(o, label);
    fprintf(out, "  %-26s %s\n", label, o->help);
}

static void print_fields(FILE *out) {
    char label[96], help[256];
    for (size_t i = 0; i < swp_field_count(); i++) {
        field_label(swp_field_at(i), label);
        field_help(swp_field_at(i), help);
        fprintf(out, "  %-26s %s\n", label, help);
    }
}

static void print_lines(const char *text, const char *before, const char *after, FILE *out) {
    while (*text) {
        size_t len = strcspn(text, "\n");
        fprintf(out, "%s%.*s%s\n", before, (int)len, text, after);
        text += len + (text[len] == '\n');
    }
}

void cli_help_command(const cli_command *c, FILE *out) {
    fprintf(out, "aicfg-sweep %s %s%s[options]\n\n%c%s.\n", c->name, c->operands, *c->operands ? " " : "",
            c->summary[0] - 'a' + 'A', c->summary + 1);
    if (*c->details) {
        fputc('\n', out);
        print_lines(c->details, "", "", out);
    }
    fputs("\noptions\n", out);
    each_option(c, print_option, out);
    if (c->fields) {
        fputs("\npoint\n", out);
        print_fields(out);
    }
    fputs("\nexamples\n", out);
    print_lines(c->examples, "  aicfg-sweep ", "", out);
}

void cli_help_overview(FILE *out) {
    fputs("aicfg-sweep: sweeps of statically modelled LLM-serving points over measured tables\n\n"
          "  aicfg-sweep SPEC.yaml          the same as run SPEC.yaml\n"
          "  aicfg-sweep COMMAND [options]\n\ncommands\n",
          out);
    for (size_t i = 0; i < cli_command_count(); i++)
        fprintf(out, "  %-10s %s\n", cli_command_at(i)->name, cli_command_at(i)->summary);
    fprintf(out,
            "\n'aicfg-sweep help COMMAND' shows options and examples, 'aicfg-sweep --version' the version.\n"
            "exit codes: %s\n",
            exit_codes);
}

static void print_columns(FILE *out) {
    for (size_t i = 0; i < res_column_count(); i++) {
        const res_column *c = res_column_at(i);
        fprintf(out, "%-26s %-10s %s\n", c->name, c->unit, c->meaning);
    }
}

/* ---- markdown (docs/cli.md)
 * ------------------------------------------------------------------------------------------------- */

/* Cells of a table: '|' would end one. */
static void markdown_row(const char *label, const char *help, FILE *out) {
    fputs("| `", out);
    for (const char *p = label; *p; p++)
        fputs(*p == '|' ? "\\|" : (char[]){*p, '\0'}, out);
    fputs("` | ", out);
    for (const char *p = help; *p; p++)
        fputs(*p == '|' ? "\\|" : (char[]){*p, '\0'}, out);
    fputs(" |\n", out);
}

static void markdown_option(const cli_option *o, FILE *out) {
    char label[96];
    option_label(o, label);
    markdown_row(label, o->help, out);
}

static void markdown_fields(FILE *out) {
    char label[96], help[256];
    for (size_t i = 0; i < swp_field_count(); i++) {
        field_label(swp_field_at(i), label);
        field_help(swp_field_at(i), help);
        markdown_row(label, help, out);
    }
}

static void print_markdown(FILE *out) {
    fprintf(
        out,
        "# Command line\n\nWritten by `aicfg-sweep help --markdown`; the program's tables are the source.\n\n"
        "Exit codes: %s.\n",
        exit_codes);
    for (size_t i = 0; i < cli_command_count(); i++) {
        const cli_command *c = cli_command_at(i);
        fprintf(out, "\n## %s\n\n`aicfg-sweep %s %s%s[options]`: %s.\n", c->name, c->name, c->operands,
                *c->operands ? " " : "", c->summary);
        if (*c->details) {
            fputc('\n', out);
            print_lines(c->details, "", "", out);
        }
        fputs("\n| option | |\n|---|---|\n", out);
        each_option(c, markdown_option, out);
        if (c->fields)
            markdown_fields(out);
        fputs("\n```\n", out);
        print_lines(c->examples, "aicfg-sweep ", "", out);
        fputs("```\n", out);
    }
}

/* ---- manual page (docs/man/aicfg-sweep.1)
 * ------------------------------------------------------------------------------------- */

static void man_text(const char *text, FILE *out) {
    for (const char *p = text; *p; p++)
        fputs(*p == '-' ? "\\-" : *p == '\\' ? "\\e" : (char[]){*p, '\0'}, out);
}

static void man_item(const char *label, const char *help, FILE *out) {
    fputs(".TP\n.B ", out);
    man_text(label, out);
    fputc('\n', out);
    man_text(help, out);
    fputc('\n', out);
}

static void man_option(const cli_option *o, FILE *out) {
    char label[96];
    option_label(o, label);
    man_item(label, o->help, out);
}

static void print_man(FILE *out) {
    char label[96], help[256];
    fputs(".TH AICFG-SWEEP 1 \"\" \"aicfg-sweep " AICFG_VERSION "\"\n.SH NAME\n"
          "aicfg\\-sweep \\- sweeps of statically modelled LLM\\-serving points over measured tables\n"
          ".SH SYNOPSIS\n.B aicfg\\-sweep\nSPEC.yaml\n.br\n.B aicfg\\-sweep\nCOMMAND [options]\n",
          out);
    for (size_t i = 0; i < cli_command_count(); i++) {
        const cli_command *c = cli_command_at(i);
        fprintf(out, ".SH \"%s %s\"\n", c->name, c->operands);
        man_text(c->summary, out);
        fputs(".\n", out);
        if (*c->details) {
            fputs(".PP\n", out);
            man_text(c->details, out);
            fputc('\n', out);
        }
        each_option(c, man_option, out);
        for (size_t j = 0; c->fields && j < swp_field_count(); j++) {
            field_label(swp_field_at(j), label);
            field_help(swp_field_at(j), help);
            man_item(label, help, out);
        }
        fputs(".PP\nExamples:\n.nf\n", out);
        print_lines(c->examples, "aicfg\\-sweep ", "", out);
        fputs(".fi\n", out);
    }
    fprintf(out, ".SH EXIT STATUS\n%s\n", exit_codes);
}

/* ---- command
 * ----------------------------------------------------------------------------------------------------------------------
 */

static aic_code run(const cli_args *args, aic_error *err) {
    const char *topic = args->operands.n ? args->operands.v[0] : NULL;
    const cli_command *c = topic ? cli_command_find(topic) : NULL;
    if (args->man)
        print_man(stdout);
    else if (args->markdown)
        print_markdown(stdout);
    else if (!topic)
        cli_help_overview(stdout);
    else if (c)
        cli_help_command(c, stdout);
    else if (strcmp(topic, "columns") == 0)
        print_columns(stdout);
    else if (strcmp(topic, "point") == 0)
        print_fields(stdout);
    else {
        const char *near = cli_command_nearest(topic);
        aic_fail(err, AIC_BAD_INPUT, "help: no command or topic \"%s\"%s%s%s", topic,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return err->code;
}

static const cli_option options[] = {
    {"man", 0, CLI_FLAG, NULL, offsetof(cli_args, man), "the manual page, as troff"},
    {"markdown", 0, CLI_FLAG, NULL, offsetof(cli_args, markdown), "all commands, as Markdown"},
};

const cli_command cli_help = {
    .name = "help",
    .operands = "[COMMAND|columns|point]",
    .max_operands = 1,
    .summary = "show commands, one command, the columns of a result, or the fields of a point",
    .details = "",
    .examples = "help run\nhelp columns\nhelp --man > aicfg-sweep.1",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .run = run,
};
