/* Parsing of command lines from the tables of options. */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(cli_args, member)

const cli_option cli_common_options[] = {
    {"help", 'h', CLI_FLAG, NULL, AT(help), "show this help"},
};
const size_t cli_n_common_options = sizeof cli_common_options / sizeof *cli_common_options;

const cli_option cli_data_options[] = {
    {"perfdb", 0, CLI_TEXTS, "DIR", AT(perfdb),
     "folder of measured tables; may be given several times, searched in this order, the embedded ones last"},
    {"release", 0, CLI_TEXT, "NAME", AT(release),
     "data release to use where a folder holds several; default: the newest"},
    {"systems", 0, CLI_TEXTS, "DIR", AT(systems),
     "folder of system spec sheets, searched before the embedded ones"},
    {"models", 0, CLI_TEXTS, "DIR", AT(models),
     "folder with a catalogue.json, architectures.yaml or graphs/, before those of AICFG_MODELS and the "
     "embedded one"},
    {"ops", 0, CLI_TEXTS, "DIR", AT(ops),
     "folder of op kinds declared in data, read before the embedded ones"},
    {"unlisted", 0, CLI_FLAG, NULL, AT(unlisted),
     "accept backend versions that have data but are no current, previous or next"},
};
const size_t cli_n_data_options = sizeof cli_data_options / sizeof *cli_data_options;

/* ---- finding
 * -----------------------------------------------------------------------------------------------------------
 */

/* The i-th option of a command over its three tables, NULL past the end. */
static const cli_option *option_at(const cli_command *c, size_t i) {
    if (i < c->n_options)
        return &c->options[i];
    i -= c->n_options;
    if (c->data && i < cli_n_data_options)
        return &cli_data_options[i];
    i -= c->data ? cli_n_data_options : 0;
    return i < cli_n_common_options ? &cli_common_options[i] : NULL;
}

static size_t option_count(const cli_command *c) {
    return c->n_options + (c->data ? cli_n_data_options : 0) + cli_n_common_options;
}

static const cli_option *find_long(const cli_command *c, const char *name, size_t len) {
    for (size_t i = 0; i < option_count(c); i++) {
        const cli_option *o = option_at(c, i);
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

static const cli_option *find_letter(const cli_command *c, char letter) {
    for (size_t i = 0; i < option_count(c); i++)
        if (option_at(c, i)->letter == letter)
            return option_at(c, i);
    return NULL;
}

/* --moe-tp is the field moe_tp. */
static int find_field(const cli_command *c, const char *name, size_t len) {
    char field[64];
    if (!c->fields || len >= sizeof field || memchr(name, '_', len))
        return -1;
    for (size_t i = 0; i < len; i++)
        field[i] = name[i] == '-' ? '_' : name[i];
    field[len] = '\0';
    return swp_field_find(field);
}

static const char *known_name(const void *ctx, size_t i) {
    const cli_command *c = ctx;
    if (i < option_count(c))
        return option_at(c, i)->name;
    return swp_field_at(i - option_count(c))->name; /* '_' against '-' costs one edit */
}

static bool unknown_option(const cli_command *c, const char *shown, const char *name, aic_error *err) {
    const char *near =
        aic_nearest(name, option_count(c) + (c->fields ? swp_field_count() : 0), known_name, c);
    char dashed[64] = "";
    for (size_t i = 0; near && i + 1 < sizeof dashed && near[i]; i++)
        dashed[i] = near[i] == '_' ? '-' : near[i];
    if (near)
        return aic_fail(err, AIC_BAD_INPUT, "%s: unknown option \"%s\"; did you mean \"--%s\"?", c->name,
                        shown, dashed);
    return aic_fail(err, AIC_BAD_INPUT, "%s: unknown option \"%s\"; see 'aicfg-sweep help %s'", c->name,
                    shown, c->name);
}

/* ---- setting
 * --------------------------------------------------------------------------------------------------------------
 */

static void add_text(cli_texts *t, const char *value) {
    AIC_GROW(t->v, t->n, t->cap);
    t->v[t->n++] = value;
}

static bool set_count(const cli_option *o, const char *value, uint64_t *out, aic_error *err) {
    int64_t v;
    if (!aic_parse_i64(value, &v) || v < 0)
        return aic_fail(err, AIC_BAD_INPUT, "--%s: expected a whole number, found \"%s\"", o->name, value);
    *out = (uint64_t)v;
    return true;
}

static bool set(const cli_option *o, const char *value, cli_args *args, aic_error *err) {
    void *at = (char *)args + o->offset;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)at = true;
        return true;
    case CLI_TEXT:
        *(const char **)at = value;
        return true;
    case CLI_TEXTS:
        add_text(at, value);
        return true;
    case CLI_TOP:
        args->top_given = true;
        return set_count(o, value, at, err);
    case CLI_COUNT:
        return set_count(o, value, at, err);
    }
    return true;
}

/* One option at argv[*i], with its value from "=value" or from the next argument. */
static bool take_option(const cli_command *c, int argc, char **argv, int *i, cli_args *args, aic_error *err) {
    const char *text = argv[*i], *value = NULL, *name = text + 2;
    const cli_option *o = NULL;
    int field = -1;
    if (text[1] == '-') {
        size_t len = strcspn(name, "=");
        value = name[len] ? name + len + 1 : NULL;
        o = find_long(c, name, len);
        field = o ? -1 : find_field(c, name, len);
        if (!o && field < 0) {
            char bare[64];
            snprintf(bare, sizeof bare, "%.*s", (int)(len > 63 ? 63 : len), name);
            return unknown_option(c, text, bare, err);
        }
    } else {
        o = find_letter(c, text[1]);
        value = text[2] ? text + 2 : NULL;
        if (!o)
            return unknown_option(c, text, text + 1, err);
    }
    bool wants = field >= 0 || o->kind != CLI_FLAG;
    if (!wants && value)
        return aic_fail(err, AIC_BAD_INPUT, "%s takes no value", text);
    if (wants && !value && *i + 1 < argc)
        value = argv[++*i];
    if (wants && !value)
        return aic_fail(err, AIC_BAD_INPUT, "%s: a value is missing", text);
    if (field >= 0) {
        args->fields[field] = value;
        return true;
    }
    return set(o, value, args, err);
}

bool cli_parse(const cli_command *c, int argc, char **argv, cli_args *args, aic_error *err) {
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0')
            add_text(&args->operands, argv[i]);
        else if (!take_option(c, argc, argv, &i, args, err))
            return false;
    }
    if (args->help)
        return true;
    if (args->operands.n < c->min_operands)
        return aic_fail(err, AIC_BAD_INPUT, "%s: expected %s; see 'aicfg-sweep help %s'", c->name,
                        c->operands, c->name);
    if (args->operands.n > c->max_operands)
        return aic_fail(err, AIC_BAD_INPUT, "%s: \"%s\" is one argument too many; see 'aicfg-sweep help %s'",
                        c->name, args->operands.v[c->max_operands], c->name);
    return true;
}

void cli_args_free(cli_args *args) {
    free(args->operands.v);
    free(args->perfdb.v);
    free(args->systems.v);
    free(args->models.v);
    free(args->ops.v);
    free(args->sets.v);
    free(args->for_b.v);
    free(args->dbs.v);
}
