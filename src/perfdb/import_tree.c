/* Finding tables in the folders of a collector: <backend>/<version>/<table>.txt, or the same below a folder
 * of a family. */
#include "perfdb/rows.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 4, NAME_MAX_BYTES = 120, FILES_MAX = 100000 };

typedef struct walk {
    aic_arena *arena;
    const pdb_import_facts *facts;
    const char *parts[DEPTH_MAX]; /* names on the way down */
    pdb_tree *tree;
    aic_error *err;
} walk;

/* ---- names ------------------------------------------------------------------------------------ */

static bool is_backend(const char *name) {
    static const char *const names[] = {"trtllm", "sglang", "vllm", "nccl", "oneccl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_table(const char *name) {
    static const char end[] = "_perf.txt";
    size_t n = strlen(name);
    return n > sizeof end - 1 && strcmp(name + n - (sizeof end - 1), end) == 0;
}

/* Names become groups of an HDF5 file. */
static bool check_name(const walk *w, const char *path, const char *name) {
    if (strlen(name) > NAME_MAX_BYTES)
        return aic_fail(w->err, AIC_BAD_INPUT, "%s: the name '%.40s...' is longer than %d bytes", path, name,
                        NAME_MAX_BYTES);
    for (const char *p = name; *p; p++)
        if (*p < ' ' || *p > '~')
            return aic_fail(w->err, AIC_BAD_INPUT, "%s: names of tables and folders are printable ASCII",
                            path);
    return true;
}

/* ---- files ------------------------------------------------------------------------------------ */

/* A known table in another family's folder is most often the sign of a folder that holds several systems. */
static bool check_family(const walk *w, const pdb_tree_file *f) {
    const char *known = pdb_import_family(w->facts, f->table);
    if (is_backend(f->family))
        return aic_fail(w->err, AIC_BAD_INPUT,
                        "%s: a backend where a family's folder is expected; expected "
                        "<backend>/<version>/<table>.txt or <family>/<backend>/<version>/<table>.txt",
                        f->path);
    if (!known || strcmp(known, f->family) == 0)
        return true;
    return aic_fail(w->err, AIC_BAD_INPUT,
                    "%s: table %s belongs to family %s, not '%s'; give the folder of one system", f->path,
                    f->table, known, f->family);
}

/* One folder on the walk: depth 1 for the tree itself, whose files have that many names on their path. */
typedef struct folder {
    const char *path;
    int depth;
    const char **names; /* what it holds, in byte order */
    size_t n;
} folder;

/* Where tables are filed by family they have the names of today. */
static const char *name_table(walk *w, const folder *at, const pdb_tree_file *f, const char *name) {
    const char *table = aic_arena_strndup(w->arena, name, strlen(name) - strlen(".txt"));
    if (at->depth == 4)
        return table;
    const char *today = pdb_import_table(w->facts, table, f->backend, f->version, at->names, at->n);
    w->tree->renamed += strcmp(today, table) != 0;
    return today;
}

static bool add_table(walk *w, const folder *in, const char *path, const char *name) {
    int depth = in->depth;
    const char *const *at = w->parts + (depth == 4);
    pdb_tree_file f = {.path = path, .backend = at[0], .version = at[1]};
    aic_buf source = {0};
    for (int i = 0; i + 1 < depth; i++)
        aic_buf_printf(&source, "%s/", w->parts[i]);
    aic_buf_add(&source, name);
    f.source = aic_arena_strdup(w->arena, source.data);
    aic_buf_free(&source);
    f.table = name_table(w, in, &f, name);
    f.family = depth == 4 ? w->parts[0] : pdb_import_family(w->facts, f.table);
    f.family = f.family ? f.family : "";
    f.group = aic_arena_printf(w->arena, "/%s/%s/%s", f.table, f.backend, f.version);
    if (!check_name(w, path, name) || !check_name(w, path, f.backend) || !check_name(w, path, f.version) ||
        !check_name(w, path, f.family) || (depth == 4 && !check_family(w, &f)))
        return false;
    if (w->tree->n == FILES_MAX)
        return aic_fail(w->err, AIC_BAD_INPUT, "more than %d tables", FILES_MAX);
    AIC_GROW(w->tree->files, w->tree->n, w->tree->cap);
    w->tree->files[w->tree->n++] = f;
    return true;
}

/* ---- folders ---------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Visible names of a folder in byte order, so that messages do not depend on the file system. */
static bool list_names(const walk *w, folder *f) {
    DIR *d = opendir(f->path);
    if (!d)
        return aic_fail(w->err, AIC_IO, "cannot read the folder %s: %s", f->path, strerror(errno));
    size_t cap = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        AIC_GROW(f->names, f->n, cap);
        f->names[f->n++] = aic_arena_strdup(w->arena, e->d_name);
    }
    closedir(d);
    if (f->n)
        qsort(f->names, f->n, sizeof *f->names, by_bytes);
    return true;
}

static bool holds(const folder *f, const char *name) {
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->names[i], name) == 0)
            return true;
    return false;
}

/* A collector that gave up says so, and its tables are not to be read. */
static bool is_vetoed(const folder *f) {
    return holds(f, "INCOMPLETE.txt") && !holds(f, "collection_meta.yaml");
}

static bool visit(walk *w, const char *dir, int depth);

static bool visit_name(walk *w, const folder *in, const char *name) {
    const char *path = aic_arena_printf(w->arena, "%s/%s", in->path, name);
    struct stat st;
    if (stat(path, &st) != 0)
        return aic_fail(w->err, AIC_IO, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        if (in->depth == DEPTH_MAX || name[0] == '_')
            return true;
        w->parts[in->depth - 1] = name;
        return visit(w, path, in->depth + 1);
    }
    if (S_ISREG(st.st_mode) && is_table(name) && in->depth >= 3)
        return add_table(w, in, path, name);
    w->tree->ignored++;
    return true;
}

static bool visit(walk *w, const char *dir, int depth) {
    folder f = {.path = dir, .depth = depth};
    if (!list_names(w, &f))
        return false;
    bool ok = true, vetoed = depth >= 3 && is_vetoed(&f);
    w->tree->vetoed += vetoed;
    if (vetoed)
        aic_warn("%s: left out, its collector marked it as incomplete (INCOMPLETE.txt)", dir);
    for (size_t i = 0; ok && !vetoed && i < f.n; i++)
        ok = visit_name(w, &f, f.names[i]);
    free(f.names);
    return ok;
}

/* ---- the tree --------------------------------------------------------------------------------- */

static int by_group(const void *a, const void *b) {
    return strcmp(((const pdb_tree_file *)a)->group, ((const pdb_tree_file *)b)->group);
}

bool pdb_tree_find(aic_arena *a, const char *dir, const pdb_import_facts *facts, pdb_tree *out,
                   aic_error *err) {
    *out = (pdb_tree){0};
    walk w = {.arena = a, .facts = facts, .tree = out, .err = err};
    if (!visit(&w, dir, 1))
        return false;
    if (!out->n)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s holds no measured table: expected <backend>/<version>/<table>_perf.txt or "
                        "<family>/<backend>/<version>/<table>_perf.txt",
                        dir);
    qsort(out->files, out->n, sizeof *out->files, by_group);
    for (size_t i = 1; i < out->n; i++)
        if (strcmp(out->files[i - 1].group, out->files[i].group) == 0)
            return aic_fail(err, AIC_BAD_INPUT, "%s and %s are one table", out->files[i - 1].source,
                            out->files[i].source);
    return true;
}
