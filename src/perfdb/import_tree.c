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
    const char *known = pdb_table_family(f->table);
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

static bool add_table(walk *w, int depth, const char *path, const char *name) {
    const char *const *at = w->parts + (depth == 4);
    pdb_tree_file f = {.path = path, .backend = at[0], .version = at[1]};
    aic_buf source = {0};
    for (int i = 0; i + 1 < depth; i++)
        aic_buf_printf(&source, "%s/", w->parts[i]);
    aic_buf_add(&source, name);
    f.source = aic_arena_strdup(w->arena, source.data);
    aic_buf_free(&source);
    f.table = aic_arena_strndup(w->arena, name, strlen(name) - strlen(".txt"));
    f.family = depth == 4 ? w->parts[0] : pdb_table_family(f.table);
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
static bool list_names(const walk *w, const char *dir, const char ***names, size_t *n) {
    DIR *d = opendir(dir);
    if (!d)
        return aic_fail(w->err, AIC_IO, "cannot read the folder %s: %s", dir, strerror(errno));
    const char **found = NULL;
    size_t cap = 0;
    *n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        AIC_GROW(found, *n, cap);
        found[(*n)++] = aic_arena_strdup(w->arena, e->d_name);
    }
    closedir(d);
    if (*n)
        qsort(found, *n, sizeof *found, by_bytes);
    *names = found;
    return true;
}

static bool holds(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A collector that gave up says so, and its tables are not to be read. */
static bool is_vetoed(const char *const *names, size_t n) {
    return holds(names, n, "INCOMPLETE.txt") && !holds(names, n, "collection_meta.yaml");
}

static bool visit(walk *w, const char *dir, int depth);

static bool visit_name(walk *w, const char *dir, const char *name, int depth) {
    const char *path = aic_arena_printf(w->arena, "%s/%s", dir, name);
    struct stat st;
    if (stat(path, &st) != 0)
        return aic_fail(w->err, AIC_IO, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        if (depth == DEPTH_MAX || name[0] == '_')
            return true;
        w->parts[depth - 1] = name;
        return visit(w, path, depth + 1);
    }
    if (S_ISREG(st.st_mode) && is_table(name) && depth >= 3)
        return add_table(w, depth, path, name);
    w->tree->ignored++;
    return true;
}

/* depth: 1 for the tree itself; its files have that many names on their path. */
static bool visit(walk *w, const char *dir, int depth) {
    const char **names = NULL;
    size_t n = 0;
    if (!list_names(w, dir, &names, &n))
        return false;
    bool ok = true, vetoed = depth >= 3 && is_vetoed(names, n);
    w->tree->vetoed += vetoed;
    if (vetoed)
        aic_warn("%s: left out, its collector marked it as incomplete (INCOMPLETE.txt)", dir);
    for (size_t i = 0; ok && !vetoed && i < n; i++)
        ok = visit_name(w, dir, names[i], depth);
    free(names);
    return ok;
}

/* ---- the tree --------------------------------------------------------------------------------- */

static int by_group(const void *a, const void *b) {
    return strcmp(((const pdb_tree_file *)a)->group, ((const pdb_tree_file *)b)->group);
}

bool pdb_tree_find(aic_arena *a, const char *dir, pdb_tree *out, aic_error *err) {
    *out = (pdb_tree){0};
    walk w = {.arena = a, .tree = out, .err = err};
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
