/* Evaluation of reference records of whole-model tables (golden_fpm.h). */
#include "parity/golden_fpm.h"

#include "unit/perfdb_maker.h"

#define BACKEND "trtllm"
#define VERSION "1.0"

/* ---- tables -------------------------------------------------------------------------------------------- */

/* One text per row: an enumeration of the distinct ones. */
static void write_texts(hid_t g, const char *column, size_t n, const char *const *cells) {
    const char *members[257] = {0};
    uint8_t *codes = AIC_NEW_ARRAY(uint8_t, n);
    for (size_t i = 0; i < n; i++) {
        uint8_t at = 0;
        while (members[at] && strcmp(members[at], cells[i]) != 0)
            at++;
        members[at] = cells[i];
        codes[i] = at;
    }
    maker_texts(g, column, members, n, codes);
    free(codes);
}

static void write_same_text(hid_t g, const char *column, size_t n, const char *text) {
    const char **cells = AIC_NEW_ARRAY(const char *, n);
    for (size_t i = 0; i < n; i++)
        cells[i] = text;
    write_texts(g, column, n, cells);
    free(cells);
}

static void write_same_int(hid_t g, const char *column, size_t n, uint32_t value) {
    uint32_t *cells = AIC_NEW_ARRAY(uint32_t, n);
    for (size_t i = 0; i < n; i++)
        cells[i] = value;
    maker_ints(g, column, n, cells);
    free(cells);
}

static void write_text_column(hid_t g, const char *column, const aic_node *rows, size_t cell) {
    const char **cells = AIC_NEW_ARRAY(const char *, rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        const aic_node *n = rows->items[i]->items[cell];
        cells[i] = n->kind == AIC_K_TEXT ? n->text : "";
    }
    write_texts(g, column, rows->count, cells);
    free(cells);
}

static void write_int_column(hid_t g, const char *column, const aic_node *rows, size_t cell) {
    uint32_t *cells = AIC_NEW_ARRAY(uint32_t, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        cells[i] = golden_u32(rows->items[i]->items[cell]);
    maker_ints(g, column, rows->count, cells);
    free(cells);
}

static void write_latency(hid_t g, const aic_node *rows) {
    double *cells = AIC_NEW_ARRAY(double, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        cells[i] = rows->items[i]->items[4]->r;
    maker_reals(g, "latency_ms", rows->count, cells);
    free(cells);
}

static void write_table(hid_t g, const aic_node *head, const char *system, const aic_node *rows) {
    const aic_node *identity = aic_map_get(head, "identity");
    size_t n = rows->count;
    for (size_t i = 0; i < identity->count; i++) {
        const aic_node *v = identity->items[i];
        if (v->kind == AIC_K_TEXT)
            write_same_text(g, identity->keys[i]->text, n, v->text);
        else
            write_same_int(g, identity->keys[i]->text, n, v->kind == AIC_K_BOOL ? v->b : golden_u32(v));
    }
    write_same_text(g, "model_path", n, golden_text(aic_map_get(head, "model_path")));
    write_same_text(g, "system", n, system);
    write_same_text(g, "backend", n, BACKEND);
    write_same_text(g, "backend_version", n, VERSION);
    write_same_text(g, "partition_policy", n, "balanced_v1");
    write_same_text(g, "cell_id", n, "c");
    write_same_text(g, "weight_quantization", n, "");
    write_text_column(g, "workload_kind", rows, 0);
    write_int_column(g, "batch_size", rows, 1);
    write_int_column(g, "total_prefill_tokens", rows, 2);
    write_int_column(g, "total_kv_read_tokens", rows, 3);
    write_latency(g, rows);
    write_text_column(g, "kv_seed_regime", rows, 5);
}

/* The table being asked. */
typedef struct table {
    maker m;
    pdb *db;
    char system[64];
} table;

static void close_table(table *t) {
    if (!t->db)
        return;
    pdb_close(t->db);
    maker_end(&t->m);
    t->db = NULL;
}

static bool open_table(table *t, const aic_node *head, const aic_node *line, const char *sheets) {
    const char *hardware = golden_text(aic_map_get(line, "hardware"));
    const aic_node *rows = aic_map_get(line, "rows");
    char release[512];
    aic_error err = {0};
    snprintf(t->system, sizeof t->system, "%s", hardware ? hardware : "b200_sxm");
    snprintf(release, sizeof release,
             "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\ndirectories: {%s: {" BACKEND
             ": [\"" VERSION "\"]}}\n",
             t->system);
    maker_start(&t->m);
    maker_text(t->m.release, "release.yaml", release);
    maker_file(&t->m, t->system);
    maker_head(&t->m, "aicfg-perfdb", 1, t->system, "r1");
    hid_t g = maker_group(&t->m, "/fpm_forward_perf/" BACKEND "/" VERSION, "fpm", (long long)rows->count);
    write_table(g, head, t->system, rows);
    H5Gclose(g);
    maker_close(&t->m);
    const char *dirs[] = {t->m.dir}, *folders[] = {sheets};
    t->db = pdb_open(dirs, 1, NULL, folders, 1, &err);
    return t->db != NULL;
}

/* ---- queries as records of golden_ops.h ---------------------------------------------------------------- */

static aic_node *text_node(aic_arena *a, const char *text) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = (aic_node){.kind = AIC_K_TEXT, .text = aic_arena_strdup(a, text)};
    return n;
}

static aic_node *new_node(aic_arena *a, aic_kind kind, size_t room) {
    aic_node *n = aic_arena_alloc(a, 1, sizeof *n);
    *n = (aic_node){.kind = kind,
                    .items = aic_arena_alloc(a, room, sizeof *n->items),
                    .keys = aic_arena_alloc(a, room, sizeof *n->keys)};
    return n;
}

/* Adds an entry unless there is no value. */
static void put(aic_arena *a, aic_node *map, const char *key, aic_node *value) {
    if (!value)
        return;
    map->keys[map->count] = text_node(a, key);
    map->items[map->count++] = value;
}

static aic_node *identity_node(aic_arena *a, const aic_node *head) {
    const aic_node *identity = aic_map_get(head, "identity");
    aic_node *list = new_node(a, AIC_K_LIST, identity->count);
    for (size_t i = 0; i < identity->count; i++) {
        const aic_node *v = identity->items[i];
        const char *text = v->kind == AIC_K_BOOL ? (v->b ? "True" : "False") : v->text;
        list->items[list->count++] = text_node(a, text);
    }
    return list;
}

static aic_node *record_node(aic_arena *a, const aic_node *head, const char *system, const char *mode,
                             const aic_node *line) {
    static const char *const kept[] = {"b", "s", "prefix", "ms", "src", "error"};
    aic_node *fields = new_node(a, AIC_K_MAP, 5), *op = new_node(a, AIC_K_MAP, 1),
             *record = new_node(a, AIC_K_MAP, 16), *none = aic_arena_alloc(a, 1, sizeof *none);
    *none = (aic_node){.kind = AIC_K_REAL};
    put(a, fields, "name", text_node(a, "pass"));
    put(a, fields, "phase", aic_map_get(line, "phase"));
    put(a, fields, "model_path", aic_map_get(head, "model_path"));
    put(a, fields, "match_identity", identity_node(a, head));
    put(a, fields, "sol_ops", aic_map_get(line, "sol_ops"));
    put(a, op, "FpmForward", fields);
    put(a, record, "op", op);
    put(a, record, "sys", text_node(a, system));
    put(a, record, "be", text_node(a, BACKEND));
    put(a, record, "ver", text_node(a, VERSION));
    put(a, record, "mode", text_node(a, mode));
    put(a, record, "wms", none);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        put(a, record, kept[i], aic_map_get(line, kept[i]));
    return record;
}

/* ---- files --------------------------------------------------------------------------------------------- */

bool golden_fpm_holds(const char *path) {
    golden_lines *lines = golden_open(path);
    if (!lines)
        return false;
    aic_arena *a = aic_arena_new();
    const char *text = golden_next(lines);
    const aic_node *n = text ? aic_doc_json_text(a, path, text, strlen(text), NULL) : NULL;
    bool holds = n && aic_map_get(n, "identity");
    aic_arena_free(a);
    golden_close(lines);
    return holds;
}

bool golden_fpm_run(const char *path, const char *sheets, const char *mode, golden_report *report) {
    golden_lines *lines = golden_open(path);
    if (!lines)
        return false;
    aic_arena *head_arena = aic_arena_new();
    const aic_node *head = NULL;
    table t = {0};
    bool ok = true;
    for (char *text; ok && (text = golden_next(lines));) {
        aic_arena *a = aic_arena_new();
        aic_error err = {0};
        const aic_node *n = aic_doc_json_text(head ? a : head_arena, path, text, strlen(text), &err);
        if (!n) {
            ok = false;
        } else if (!head) {
            head = n;
        } else if (aic_map_get(n, "rows")) {
            close_table(&t);
            ok = open_table(&t, head, n, sheets);
        } else {
            golden_ops_record(record_node(a, head, t.system, mode, n), golden_line(lines), a, t.db, report);
        }
        aic_arena_free(a);
    }
    close_table(&t);
    aic_arena_free(head_arena);
    golden_close(lines);
    return ok && head;
}
