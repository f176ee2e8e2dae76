/* Point lists: a CSV file whose row i is point i. Rows of one deployment share a record, whatever their
 * order. */
#include "sweep/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 64, KEPT_TEXT = 1 << 20 };

typedef struct list_reader {
    swp_sweep *s;
    aic_csv *csv;
    aic_error *err;
    int field[MAX_COLUMNS]; /* of each column */
    size_t n_columns;
    aic_intern *texts; /* values of text fields */
    aic_intern *deps;  /* deployment records by their bytes; id - 1 = index */
    size_t cap_rows, cap_deps;
} list_reader;

static bool fail_line(list_reader *r, const char *fmt, ...) AIC_PRINTF(2, 3);
static bool fail_line(list_reader *r, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return aic_fail_at(r->err, aic_csv_path(r->csv), aic_csv_line(r->csv), 0, "%s", text);
}

static const char *field_name(const void *ctx, size_t i) {
    (void)ctx;
    return swp_field_at(i)->name;
}

static bool read_header(list_reader *r) {
    static const char *const required[] = {"model", "system", "backend"};
    char **names;
    bool seen[MAX_COLUMNS] = {false};
    int got = aic_csv_next(r->csv, &names, &r->n_columns, r->err);
    if (got < 0)
        return false;
    if (got == 0)
        return aic_fail_at(r->err, aic_csv_path(r->csv), 1, 0,
                           "the point list is empty: its first line names the columns");
    if (r->n_columns > MAX_COLUMNS)
        return fail_line(r, "more than %d columns", MAX_COLUMNS);
    for (size_t i = 0; i < r->n_columns; i++) {
        r->field[i] = swp_field_find(names[i]);
        if (r->field[i] < 0) {
            const char *near = aic_nearest(names[i], swp_field_count(), field_name, NULL);
            return fail_line(r, "unknown column \"%.60s\"%s%s%s", names[i], near ? "; did you mean \"" : "",
                             near ? near : "", near ? "\"?" : "");
        }
        if (seen[r->field[i]])
            return fail_line(r, "column \"%s\" is there twice", names[i]);
        seen[r->field[i]] = true;
    }
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!seen[swp_field_find(required[i])])
            return fail_line(r, "column \"%s\" is missing (model, system and backend are required)",
                             required[i]);
    return true;
}

/* What makes two rows the same deployment: plain bytes without padding, texts by id. */
typedef struct dep_key {
    uint64_t accepted, fraction; /* bits of the doubles */
    uint32_t model, system, backend, version, refused;
    uint32_t mode, database_mode, nextn, max_seq_len;
    uint32_t policy, attention_backend, moe_backend, distribution;
    uint32_t eplb, slots, sms, layers;
    uint32_t encoder_tp, zero; /* zero: keeps the size a multiple of 8 */
    mdl_parallel par;
    mdl_quants quants;
} dep_key;
_Static_assert(sizeof(dep_key) == 2 * 8 + 19 * 4 + sizeof(mdl_parallel) + sizeof(mdl_quants),
               "dep_key has no padding");

static uint64_t bits(double v) {
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static uint32_t text_id(list_reader *r, const char *text) {
    return text ? aic_intern_add(r->texts, text, strlen(text)) : 0;
}

static const char *keep(swp_sweep *s, const char *text) {
    return text ? aic_arena_strdup(s->arena, text) : NULL;
}

/* Index of the row's deployment, a new one at its first row. Texts move into the sweep's arena then. */
static uint32_t dep_index(list_reader *r, const swp_row *row) {
    const srv_request *q = &row->request;
    const srv_options *o = &q->options;
    dep_key key = {.accepted = bits(q->nextn_accepted),
                   .fraction = bits(q->free_gpu_memory_fraction),
                   .model = text_id(r, q->model),
                   .system = text_id(r, q->system),
                   .backend = text_id(r, q->backend),
                   .version = text_id(r, q->version),
                   .refused = text_id(r, row->refused),
                   .mode = (uint32_t)q->mode,
                   .database_mode = (uint32_t)q->database_mode,
                   .policy = text_id(r, q->transfer_policy),
                   .attention_backend = text_id(r, o->attention_backend),
                   .moe_backend = text_id(r, o->moe_backend),
                   .distribution = text_id(r, o->distribution),
                   .eplb = o->eplb,
                   .slots = o->slots,
                   .sms = o->sms,
                   .layers = o->layers,
                   .encoder_tp = o->encoder_tp,
                   .nextn = q->nextn,
                   .max_seq_len = q->max_seq_len,
                   .par = q->par,
                   .quants = q->quants};
    swp_sweep *s = r->s;
    uint32_t id = aic_intern_add(r->deps, (const char *)&key, sizeof key);
    if (id <= s->n_deps)
        return id - 1;
    AIC_GROW(s->list_deps, s->n_deps, r->cap_deps);
    swp_list_dep *d = &s->list_deps[s->n_deps++];
    *d = (swp_list_dep){.request = *q};
    d->request.model = keep(s, q->model);
    d->request.system = keep(s, q->system);
    d->request.backend = keep(s, q->backend);
    d->request.version = keep(s, q->version);
    d->request.transfer_policy = keep(s, q->transfer_policy);
    d->request.options.attention_backend = keep(s, o->attention_backend);
    d->request.options.moe_backend = keep(s, o->moe_backend);
    d->request.options.distribution = keep(s, o->distribution);
    d->refused = *row->refused ? aic_arena_strdup(s->arena, row->refused) : NULL;
    return id - 1;
}

static bool read_row(list_reader *r, char **values, size_t n) {
    swp_sweep *s = r->s;
    swp_row row;
    aic_error e = {0};
    if (n != r->n_columns)
        return fail_line(r, "%zu fields, but the first line names %zu columns", n, r->n_columns);
    swp_row_init(&row);
    for (size_t i = 0; i < n; i++)
        if (!swp_row_set(&row, (size_t)r->field[i], values[i], &e))
            return fail_line(r, "%s", e.text);
    if (!row.request.model || !row.request.system)
        return fail_line(r, "%s is empty", row.request.model ? "system" : "model");
    AIC_GROW(s->rows, s->points, r->cap_rows);
    uint32_t dep = dep_index(r, &row);
    s->rows[s->points++] = (swp_list_row){row.load, dep};
    s->list_deps[dep].points++;
    return true;
}

static bool read_rows(list_reader *r) {
    char **values;
    size_t n;
    int got;
    while ((got = aic_csv_next(r->csv, &values, &n, r->err)) > 0)
        if (!read_row(r, values, n))
            return false;
    if (got < 0)
        return false;
    return r->s->points > 0 || fail_line(r, "the point list has no rows");
}

/* The text kept with the results: a list in full while it is small, else its name, size and digest. */
static bool keep_text(swp_sweep *s, const char *path, aic_error *err) {
    char piece[1 << 16], hex[65];
    aic_buf text = {0};
    int fd = aic_io_open(path, O_RDONLY, 0);
    aic_sha256 *h = aic_sha256_new();
    uint64_t bytes = 0;
    ssize_t got = -1;
    while (fd >= 0 && (got = aic_io_read(fd, piece, sizeof piece)) > 0) {
        aic_sha256_add(h, piece, (size_t)got);
        bytes += (uint64_t)got;
        if (bytes <= KEPT_TEXT)
            aic_buf_addn(&text, piece, (size_t)got);
    }
    bool ok = got == 0;
    aic_sha256_hex(h, hex);
    if (fd >= 0)
        aic_io_close(fd);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *gap = *s->text ? "\n" : "";
    if (ok && bytes <= KEPT_TEXT && !*s->text)
        s->text = aic_arena_strndup(s->arena, text.data ? text.data : "", text.len);
    else if (ok)
        s->text = aic_arena_printf(s->arena, "%s%s# points: %s, %llu bytes, SHA-256 %s\n", s->text, gap, name,
                                   (unsigned long long)bytes, hex);
    aic_buf_free(&text);
    return ok || aic_fail(err, AIC_IO, "cannot read %s", path);
}

bool swp_list_read(swp_sweep *s, const char *path, aic_error *err) {
    list_reader r = {.s = s, .err = err};
    s->listed = true;
    if (!keep_text(s, path, err) || !(r.csv = aic_csv_open(path, err)))
        return false;
    r.texts = aic_intern_new();
    r.deps = aic_intern_new();
    bool ok = read_header(&r) && read_rows(&r);
    aic_csv_close(r.csv);
    aic_intern_free(r.texts);
    aic_intern_free(r.deps);
    return ok;
}
