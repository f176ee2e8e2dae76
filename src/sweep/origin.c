/* What a sweep is made from beside its spec and its databases, by digest. */
#include "sweep/internal.h"
#include <string.h>

/* A model given as a folder: its config files, where it has them. A folder goes before a catalogue entry of
 * its name. */
static void add_folder_model(const char *id, aic_buf *out) {
    static const char *const files[] = {"config.json", "hf_quant_config.json"};
    aic_arena *a = aic_arena_new();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char sha256[65];
        const char *path = aic_arena_printf(a, "%s/%s", id, files[i]);
        if (aic_sha256_file(path, sha256, NULL))
            aic_buf_printf(out, "%smodel %s %s", out->len ? "\n" : "", path, sha256);
    }
    aic_arena_free(a);
}

void swp_data_lines(const swp_sweep *s, const srv_env *env, const char *folders, aic_buf *out) {
    aic_intern *seen = aic_intern_new();
    aic_buf_add(out, folders ? folders : "");
    for (size_t i = 0; i < s->n_deps; i++) {
        srv_request q;
        swp_request_at(s, i, &q);
        size_t before = aic_intern_count(seen);
        aic_intern_add(seen, q.system, strlen(q.system) + 1); /* with its NUL: apart from models */
        const pdb_system *sheet =
            aic_intern_count(seen) > before ? pdb_system_get(env->db, q.system, NULL) : NULL;
        if (sheet)
            aic_buf_printf(out, "%ssystem %s %s", out->len ? "\n" : "", sheet->name, sheet->sha256);
        before = aic_intern_count(seen);
        aic_intern_add(seen, q.model, strlen(q.model));
        if (aic_intern_count(seen) > before)
            add_folder_model(q.model, out);
    }
    aic_intern_free(seen);
}
