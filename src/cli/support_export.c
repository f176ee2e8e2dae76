/* Situations as records, and the list of shapes to measure (docs/adding-a-model.md). */
#include "cli/support.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

const char *const sup_evidence[OP_COVERS] = {"measured", "interpolated", "extrapolated", "formula"};

/* ---- CSV ------------------------------------------------------------------------------------------------
 */

static void csv_text(const char *text, FILE *out) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            fputc('"', out);
        fputc(*p, out);
    }
    fputc('"', out);
}

static void csv_texts(const char *const *texts, size_t n, const char *separator, FILE *out) {
    aic_buf joined = {0};
    aic_buf_add(&joined, "");
    for (size_t i = 0; i < n; i++) {
        aic_buf_add(&joined, i ? separator : "");
        aic_buf_add(&joined, texts[i]);
    }
    csv_text(joined.data, out);
    aic_buf_free(&joined);
}

static void csv_cell_name(const swp_cell *c, FILE *out) {
    const char *names[] = {c->model, c->system, c->backend, c->version};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (i)
            fputc(',', out);
        csv_text(names[i], out);
    }
}

void sup_export_csv(const swp_support *s, FILE *out) {
    fprintf(out, "model,system,backend,version,situation,layouts_covered,layouts_admitted,layouts_tried");
    for (int c = 0; c < OP_COVERS; c++)
        fprintf(out, ",%s", sup_evidence[c]);
    fprintf(out, ",reason\n");
    for (size_t i = 0; i < s->n; i++) {
        const swp_cell *c = &s->cells[i];
        csv_cell_name(c, out);
        fprintf(out, ",%s,%zu,%zu,%zu", swp_situation_name(c->situation), c->n_covered, c->n_admitted,
                c->n_layouts);
        for (int k = 0; k < OP_COVERS; k++)
            fprintf(out, c->n_covered ? ",%.4f" : ",", c->cover[k]);
        fputc(',', out);
        csv_text(c->reason ? c->reason : "", out);
        fputc('\n', out);
    }
}

/* ---- JSON -----------------------------------------------------------------------------------------------
 */

static void json_member(aic_buf *b, const char *name, const char *text) {
    aic_buf_printf(b, "\"%s\": ", name);
    if (text)
        aic_buf_json_string(b, text);
    else
        aic_buf_add(b, "null");
}

static void json_texts(aic_buf *b, const char *name, const char *const *texts, size_t n) {
    aic_buf_printf(b, ", \"%s\": [", name);
    for (size_t i = 0; i < n; i++) {
        aic_buf_add(b, i ? ", " : "");
        aic_buf_json_string(b, texts[i]);
    }
    aic_buf_add(b, "]");
}

static void json_gap(aic_buf *b, const swp_gap *g) {
    aic_buf_add(b, "{");
    json_member(b, "kind", g->kind);
    aic_buf_add(b, ", ");
    json_member(b, "table", g->table);
    aic_buf_add(b, ", ");
    json_member(b, "reason", g->reason);
    aic_buf_printf(b, ", \"alternative\": %s", g->alternative ? "true" : "false");
    json_texts(b, "ops", g->ops, g->n_ops);
    json_texts(b, "layouts", g->layouts, g->n_layouts);
    aic_buf_add(b, "}");
}

static void json_layouts(aic_buf *b, const swp_cell *c) {
    aic_buf_add(b, ", \"layouts\": [");
    for (size_t i = 0; i < c->n_layouts; i++) {
        const swp_layout *l = &c->layouts[i];
        aic_buf_add(b, i ? ", {" : "{");
        json_member(b, "layout", l->text);
        aic_buf_printf(b, ", \"situation\": \"%s\", ", swp_situation_name(l->situation));
        json_member(b, "reason", l->why);
        aic_buf_add(b, "}");
    }
    aic_buf_add(b, "]");
}

static void json_cell(aic_buf *b, const swp_cell *c) {
    aic_buf_add(b, "{");
    const struct {
        const char *key, *text;
    } heads[] = {{"model", c->model},
                 {"system", c->system},
                 {"backend", c->backend},
                 {"version", c->version},
                 {"situation", swp_situation_name(c->situation)},
                 {"reason", c->reason}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        aic_buf_add(b, i ? ", " : "");
        json_member(b, heads[i].key, heads[i].text);
    }
    for (int k = 0; k < OP_COVERS; k++) {
        aic_buf_printf(b, ", \"%s\": ", sup_evidence[k]);
        if (c->n_covered)
            aic_buf_printf(b, "%.4f", c->cover[k]);
        else
            aic_buf_add(b, "null");
    }
    json_layouts(b, c);
    aic_buf_add(b, ", \"gaps\": [");
    for (size_t i = 0; i < c->n_gaps; i++) {
        aic_buf_add(b, i ? ", " : "");
        json_gap(b, &c->gaps[i]);
    }
    aic_buf_add(b, "]}\n");
}

void sup_export_jsonl(const swp_support *s, FILE *out) {
    aic_buf b = {0};
    for (size_t i = 0; i < s->n; i++) {
        aic_buf_clear(&b);
        json_cell(&b, &s->cells[i]);
        fputs(b.data, out);
    }
    aic_buf_free(&b);
}

/* ---- shapes to measure ----------------------------------------------------------------------------------
 */

/* Members of a shape by the names that users see. */
static const struct {
    const char *name;
    unsigned bit;
    size_t offset;
} members[] = {{"batch", OP_READS_BATCH, offsetof(op_shape, batch)},
               {"length", OP_READS_S, offsetof(op_shape, s)},
               {"prefix", OP_READS_PREFIX, offsetof(op_shape, prefix)},
               {"tokens", OP_READS_X, offsetof(op_shape, x)}};
enum { N_MEMBERS = sizeof members / sizeof *members };

static uint32_t member(const op_shape *s, size_t i) {
    uint32_t v;
    memcpy(&v, (const char *)s + members[i].offset, sizeof v);
    return v;
}

static const char *phase_name(const swp_need *n) {
    return srv_phase_name(n->phase);
}

static void shapes_csv(const swp_cell *cell, const swp_gap *g, FILE *out) {
    for (size_t i = 0; i < g->n_needs; i++) {
        const swp_need *n = &g->needs[i];
        csv_cell_name(cell, out);
        fprintf(out, ",%s,%s,%s", g->table, g->kind, phase_name(n));
        for (size_t k = 0; k < N_MEMBERS; k++) {
            fputc(',', out);
            if (n->reads & members[k].bit)
                fprintf(out, "%u", member(&n->shape, k));
        }
        fputc(',', out);
        csv_text(n->op, out);
        fputc(',', out);
        csv_texts(g->ops, g->n_ops, " ", out);
        fputc(',', out);
        csv_texts(g->layouts, g->n_layouts, "; ", out);
        fprintf(out, ",%s,", g->alternative ? "true" : "false");
        csv_text(g->reason, out);
        fputc('\n', out);
    }
}

/* JSON is YAML, too: lists and ops are written as such. */
static void shapes_yaml(const swp_cell *cell, const swp_gap *g, FILE *out) {
    aic_buf b = {0};
    const struct {
        const char *key, *text;
    } heads[] = {{"model", cell->model},     {"system", cell->system}, {"backend", cell->backend},
                 {"version", cell->version}, {"table", g->table},      {"kind", g->kind},
                 {"reason", g->reason}};
    if (g->n_needs == 0)
        return;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        aic_buf_printf(&b, "%s %s: ", i ? " " : "-", heads[i].key);
        aic_buf_json_string(&b, heads[i].text);
        aic_buf_add(&b, "\n");
    }
    aic_buf_printf(&b, "  alternative: %s\n  names: {\"ops\": [", g->alternative ? "true" : "false");
    for (size_t i = 0; i < g->n_ops; i++) {
        aic_buf_add(&b, i ? ", " : "");
        aic_buf_json_string(&b, g->ops[i]);
    }
    aic_buf_add(&b, "]");
    json_texts(&b, "layouts", g->layouts, g->n_layouts);
    aic_buf_add(&b, "}\n  shapes:\n");
    for (size_t i = 0; i < g->n_needs; i++) {
        const swp_need *n = &g->needs[i];
        aic_buf_printf(&b, "  - {phase: %s, ", phase_name(n));
        for (size_t k = 0; k < N_MEMBERS; k++)
            if (n->reads & members[k].bit)
                aic_buf_printf(&b, "%s: %u, ", members[k].name, member(&n->shape, k));
        aic_buf_printf(&b, "op: %s}\n", n->op);
    }
    fputs(b.data, out);
    aic_buf_free(&b);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool any_needs(const swp_support *s) {
    for (size_t i = 0; i < s->n; i++)
        for (size_t g = 0; g < s->cells[i].n_gaps; g++)
            if (s->cells[i].gaps[g].n_needs)
                return true;
    return false;
}

static bool write_file(const char *path, const char *text, size_t size, aic_error *err) {
    int fd = aic_io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    bool ok = fd >= 0 && aic_io_write(fd, text, size);
    if (!ok)
        aic_fail(err, AIC_IO, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0 && !aic_io_close(fd) && ok)
        ok = aic_fail(err, AIC_IO, "cannot write %s: %s", path, strerror(errno));
    return ok;
}

bool sup_write_shapes(const swp_support *s, const char *path, aic_error *err) {
    bool yaml = ends_with(path, ".yaml") || ends_with(path, ".yml");
    if (!yaml && !ends_with(path, ".csv"))
        return aic_fail(err, AIC_BAD_INPUT, "--shapes %s: the name must end in .csv or .yaml", path);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return aic_fail(err, AIC_IO, "out of memory");
    if (yaml)
        fprintf(out,
                "# Shapes without measurements, as `aicfg-sweep support --shapes` found them.\n"
                "format: aicfg-shapes\nversion: 1\ngaps:%s\n",
                any_needs(s) ? "" : " []");
    else
        fprintf(out,
                "model,system,backend,version,table,kind,phase,batch,length,prefix,tokens,op,ops,layouts,"
                "alternative,reason\n");
    for (size_t i = 0; i < s->n; i++)
        for (size_t g = 0; g < s->cells[i].n_gaps; g++)
            (yaml ? shapes_yaml : shapes_csv)(&s->cells[i], &s->cells[i].gaps[g], out);
    bool ok = ferror(out) == 0;
    ok = fclose(out) == 0 && ok;
    ok = ok ? write_file(path, text, size, err) : aic_fail(err, AIC_IO, "out of memory");
    free(text);
    return ok;
}
