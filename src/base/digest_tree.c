/* The digest of a folder: of the names and contents of its data files (.yaml, .json), wherever it lies and in
 * whatever order the file system lists them. */
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 16 };

typedef struct tree {
    aic_arena *arena;
    const char **paths; /* relative to the root */
    size_t n, cap;
} tree;

static bool is_data(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0);
}

/* Data files below root/inside; names that begin with a dot are passed over. */
static bool collect(tree *t, const char *root, const char *inside, int depth, aic_error *err) {
    const char *folder = aic_arena_printf(t->arena, "%s/%s", root, inside);
    DIR *d = depth < DEPTH_MAX ? opendir(folder) : NULL;
    if (!d)
        return aic_fail(err, AIC_IO, "%s: %s", folder,
                        depth < DEPTH_MAX ? strerror(errno) : "too many folders deep");
    bool ok = true;
    for (const struct dirent *e; ok && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        const char *path = aic_arena_printf(t->arena, "%s%s%s", inside, *inside ? "/" : "", e->d_name);
        struct stat st;
        if (stat(aic_arena_printf(t->arena, "%s/%s", root, path), &st) != 0)
            continue; /* a link to nowhere */
        if (S_ISDIR(st.st_mode)) {
            ok = collect(t, root, path, depth + 1, err);
        } else if (S_ISREG(st.st_mode) && is_data(e->d_name)) {
            AIC_GROW(t->paths, t->n, t->cap);
            t->paths[t->n++] = path;
        }
    }
    closedir(d);
    return ok;
}

static int by_path(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool aic_sha256_tree(const char *folder, char out[65], aic_error *err) {
    tree t = {.arena = aic_arena_new()};
    aic_sha256 *h = aic_sha256_new();
    bool ok = collect(&t, folder, "", 0, err);
    if (t.n)
        qsort(t.paths, t.n, sizeof *t.paths, by_path);
    for (size_t i = 0; ok && i < t.n; i++) {
        char file[65];
        ok = aic_sha256_file(aic_arena_printf(t.arena, "%s/%s", folder, t.paths[i]), file, err);
        aic_sha256_add(h, t.paths[i], strlen(t.paths[i]) + 1);
        aic_sha256_add(h, file, ok ? 64 : 0);
    }
    aic_sha256_hex(h, out);
    free(t.paths);
    aic_arena_free(t.arena);
    return ok;
}
