/* Gives what two result files name the same id, so that points are compared by numbers alone. */
#include "results/compare.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char default_groups[] = "model,system,backend";

void cmp_workload_columns(res_columns *out) {
    const size_t first = offsetof(srv_point, load), end = first + sizeof(srv_workload);
    *out = (res_columns){0};
    for (size_t c = RES_C_batch; c < RES_COLUMN_COUNT; c++) {
        const res_column *column = res_column_at(c);
        if (column->type == RES_U32 && column->offset >= first && column->offset < end)
            res_columns_add(out, (int)c);
    }
}

/* ---- deployments ------------------------------------------------------------------------------------- */

/* The value of a deployment column as text. */
static void add_value(const res_file *f, size_t column, size_t row, aic_buf *b) {
    char number[32];
    switch (res_column_at(column)->type) {
    case RES_TEXT:
        aic_buf_add(b, res_text_at(f, (int)column, res_table_get_u32(&f->deployments, column, row)));
        break;
    case RES_U32:
        aic_buf_printf(b, "%" PRIu32, res_table_get_u32(&f->deployments, column, row));
        break;
    default: {
        double v = res_table_get_f64(&f->deployments, column, row);
        if (!isnan(v)) {
            aic_shortest(v, number);
            aic_buf_add(b, number);
        }
    }
    }
}

/* Where a quantisation column says whether its mode was inferred; 0 for other columns. */
static size_t origin_field(size_t column) {
    switch (column) {
#define ORIGIN(kind)                                                                                         \
    case RES_C_##kind##_quant:                                                                               \
        return RES_DEP_##kind##_origin;
        RES_QUANTS(ORIGIN)
#undef ORIGIN
    default:
        return 0;
    }
}

/* What was asked for. A mode that was inferred stands as such: what it came to depends on the measured data,
 * and it is unknown where the deployment was refused before. */
static void add_key(const res_file *f, size_t row, bool versions, aic_buf *b) {
    for (size_t c = 0; c < RES_C_batch; c++) {
        size_t origin = origin_field(c);
        bool inferred = origin && res_table_get_u8(&f->deployments, origin, row) == RES_INFERRED;
        if (!res_column_at(c)->of_deployment || (c == RES_C_version && !versions))
            continue;
        if (inferred)
            aic_buf_add(b, "\x01");
        else
            add_value(f, c, row, b);
        aic_buf_addn(b, "", 1);
    }
}

static const char *deployment_text(const res_file *f, size_t column, size_t row) {
    return res_text_at(f, (int)column, res_table_get_u32(&f->deployments, column, row));
}

static uint32_t site_of(cmp_ids *ids, const res_file *f, size_t row, aic_buf *b) {
    cmp_site s = {deployment_text(f, RES_C_system, row), deployment_text(f, RES_C_backend, row),
                  deployment_text(f, RES_C_version, row)};
    aic_buf_clear(b);
    aic_buf_printf(b, "%s%c%s%c%s", s.system, '\0', s.backend, '\0', s.version);
    uint32_t id = aic_intern_add(ids->site_keys, b->data, b->len) - 1;
    if (id == ids->n_sites) {
        AIC_GROW(ids->sites, ids->n_sites, ids->cap_sites);
        ids->sites[ids->n_sites++] = s;
    }
    return id;
}

static uint32_t label_of(const cmp_grouping *g, const res_file *f, size_t row, aic_buf *b) {
    aic_buf_clear(b);
    aic_buf_add(b, "");
    for (size_t c = 0; c < g->columns.n; c++) {
        aic_buf_add(b, c ? " + " : "");
        add_value(f, (size_t)g->columns.items[c], row, b);
    }
    if (b->len == 0)
        aic_buf_add(b, "-");
    return aic_intern_add(g->labels, b->data, b->len) - 1;
}

static void number_deployments(cmp_ids *ids, cmp_side *s, bool versions) {
    const res_file *f = s->f;
    size_t n = f->deployments.rows;
    aic_buf b = {0};
    s->key = AIC_NEW_ARRAY(uint32_t, n);
    s->site = AIC_NEW_ARRAY(uint32_t, n);
    for (size_t g = 0; g < ids->n_groupings; g++)
        s->label[g] = AIC_NEW_ARRAY(uint32_t, n);
    for (size_t i = 0; i < n; i++) {
        aic_buf_clear(&b);
        add_key(f, i, versions, &b);
        s->key[i] = aic_intern_add(ids->keys, b.data, b.len);
        s->site[i] = site_of(ids, f, i, &b);
        for (size_t g = 0; g < ids->n_groupings; g++)
            s->label[g][i] = label_of(&ids->groupings[g], f, i, &b);
    }
    aic_buf_free(&b);
}

/* ---- ops --------------------------------------------------------------------------------------------- */

static void number_ops(cmp_ids *ids, cmp_side *s) {
    const res_file *f = s->f;
    aic_buf b = {0};
    s->op = AIC_NEW_ARRAY(uint32_t, f->ops.rows);
    for (size_t i = 0; i < f->ops.rows; i++) {
        cmp_op op = {(srv_phase)res_table_get_u8(&f->ops, RES_OP_PHASE, i),
                     f->axes[RES_AXIS_op].items[res_table_get_u32(&f->ops, RES_OP_NAME, i)],
                     f->axes[RES_AXIS_kind].items[res_table_get_u32(&f->ops, RES_OP_KIND, i)]};
        aic_buf_clear(&b);
        aic_buf_printf(&b, "%d%s%c%s", (int)op.phase, op.name, '\0', op.kind);
        s->op[i] = aic_intern_add(ids->op_keys, b.data, b.len) - 1;
        if (s->op[i] == ids->n_ops) {
            AIC_GROW(ids->ops, ids->n_ops, ids->cap_ops);
            ids->ops[ids->n_ops++] = op;
        }
    }
    aic_buf_free(&b);
}

/* ---- reasons ----------------------------------------------------------------------------------------- */

static void add_names(aic_intern *names, const res_file *f, res_axis axis) {
    for (size_t i = 0; i < f->axes[axis].n; i++)
        aic_intern_add(names, f->axes[axis].items[i], strlen(f->axes[axis].items[i]));
}

/* Names of framework versions and data releases of a file: they differ between any two releases, and a reason
 * that differs in nothing else is the same one. */
static aic_intern *release_names(const res_file *f) {
    aic_intern *names = aic_intern_new();
    const char *lines = res_attribute(f, "databases");
    add_names(names, f, RES_AXIS_version);
    for (const char *at = lines ? lines : ""; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *name = at + strcspn(at, " \n"); /* "system release digest ..." */
        name += *name == ' ';
        aic_intern_add(names, name, strcspn(name, " \n"));
    }
    return names;
}

/* The text with every word that is one of the names replaced. */
static void add_blanked(const char *text, const aic_intern *names, aic_buf *b) {
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    for (const char *at = text; *at;) {
        size_t len = strspn(at, word), used = len;
        while (used > 0 && at[used - 1] == '.')
            used--;
        bool known = false;
        if (used > 0)
            aic_intern_find(names, at, used, &known);
        if (known)
            aic_buf_add(b, "\x01");
        else
            aic_buf_addn(b, at, used);
        aic_buf_addn(b, at + used, len - used);
        at += len;
        if (len == 0)
            aic_buf_addn(b, at++, 1);
    }
}

/* Numbers the reason texts of a side, those alike but for the names alike. */
static uint32_t *number_texts(const res_file *f, const aic_intern *names, aic_intern *ids) {
    aic_buf b = {0};
    uint32_t *id = AIC_NEW_ARRAY(uint32_t, f->reason_texts.n);
    for (size_t i = 0; i < f->reason_texts.n; i++) {
        aic_buf_clear(&b);
        aic_buf_add(&b, "");
        add_blanked(f->reason_texts.items[i], names, &b);
        id[i] = aic_intern_add(ids, b.data, b.len);
    }
    aic_buf_free(&b);
    return id;
}

static void number_reasons(cmp_ids *ids, cmp_side *s, bool versions) {
    aic_intern *names = versions ? aic_intern_new() : release_names(s->f);
    s->reason = number_texts(s->f, names, ids->reasons);
    add_names(names, s->f, RES_AXIS_system);
    add_names(names, s->f, RES_AXIS_backend);
    s->cause = number_texts(s->f, names, ids->causes);
    aic_intern_free(names);
}

/* ---- groupings --------------------------------------------------------------------------------------- */

static bool add_grouping(cmp_ids *ids, const char *name, size_t len, aic_error *err) {
    char text[256];
    if (len >= sizeof text || ids->n_groupings == CMP_GROUPINGS_MAX)
        return aic_fail(err, AIC_BAD_INPUT, "--group: at most %d tables", CMP_GROUPINGS_MAX);
    for (size_t i = 0; i < len; i++)
        text[i] = name[i] == '+' ? ',' : name[i];
    text[len] = '\0';
    cmp_grouping *g = &ids->groupings[ids->n_groupings];
    if (!res_columns_parse(text, "--group", &g->columns, err))
        return false;
    ids->n_groupings++;
    g->labels = aic_intern_new();
    for (size_t i = 0; i < g->columns.n; i++)
        if (!res_column_at((size_t)g->columns.items[i])->of_deployment)
            return aic_fail(err, AIC_BAD_INPUT,
                            "--group: %s differs from point to point; expected columns of deployments",
                            res_column_at((size_t)g->columns.items[i])->name);
    return true;
}

static bool add_groupings(cmp_ids *ids, const char *text, aic_error *err) {
    for (const char *at = text ? text : default_groups;; at++) {
        size_t len = strcspn(at, ",");
        if (!add_grouping(ids, at, len, err))
            return false;
        at += len;
        if (!*at)
            return true;
    }
}

/* ---- both -------------------------------------------------------------------------------------------- */

bool cmp_ids_init(cmp_ids *ids, res_file *a, res_file *b, const res_compare_options *opt, aic_error *err) {
    *ids = (cmp_ids){.keys = aic_intern_new(),
                     .site_keys = aic_intern_new(),
                     .op_keys = aic_intern_new(),
                     .reasons = aic_intern_new(),
                     .causes = aic_intern_new()};
    ids->side[CMP_A].f = a;
    ids->side[CMP_B].f = b;
    if (!add_groupings(ids, opt->group, err))
        return false;
    for (int i = 0; i < CMP_SIDES; i++) {
        number_deployments(ids, &ids->side[i], opt->match_version);
        number_ops(ids, &ids->side[i]);
        number_reasons(ids, &ids->side[i], opt->match_version);
    }
    return true;
}

void cmp_ids_free(cmp_ids *ids) {
    for (int i = 0; i < CMP_SIDES; i++) {
        cmp_side *s = &ids->side[i];
        free(s->key);
        free(s->site);
        free(s->op);
        free(s->reason);
        free(s->cause);
        for (size_t g = 0; g < CMP_GROUPINGS_MAX; g++)
            free(s->label[g]);
    }
    for (size_t g = 0; g < CMP_GROUPINGS_MAX; g++) {
        res_columns_free(&ids->groupings[g].columns);
        aic_intern_free(ids->groupings[g].labels);
    }
    aic_intern_free(ids->keys);
    aic_intern_free(ids->site_keys);
    aic_intern_free(ids->op_keys);
    aic_intern_free(ids->reasons);
    aic_intern_free(ids->causes);
    free(ids->ops);
    free(ids->sites);
}
