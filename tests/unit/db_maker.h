/* Collectors' trees in a temporary folder, beside what perfdb_maker.h makes. */
#ifndef AICFG_TESTS_DB_MAKER_H
#define AICFG_TESTS_DB_MAKER_H

#include "perfdb_maker.h"

#define DB_FACTS AICFG_DATA_DIR "/import.yaml"

/* Writes dir/path with every folder on its way. */
static inline void db_write(const char *dir, const char *path, const char *text) {
    char full[600];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    for (char *p = full + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(full, 0700);
            *p = '/';
        }
    FILE *f = fopen(full, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static inline char *db_read(const char *dir, const char *path) {
    char full[600], why[200];
    aic_buf text = {0};
    snprintf(full, sizeof full, "%s/%s", dir, path);
    if (!aic_read_file(full, 1 << 20, &text, why, sizeof why))
        abort();
    return text.data;
}

static inline bool db_exists(const char *dir, const char *path) {
    char full[600];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    return access(full, F_OK) == 0;
}

static inline bool db_import(const char *tree, const char *file, pdb_import_summary *sum, aic_error *err) {
    pdb_import_options o = {.dir = tree, .file = file, .facts = DB_FACTS};
    *err = (aic_error){0};
    return pdb_import(&o, sum, err);
}

/* What pdb_export prints, to be freed; NULL = it failed. */
static inline char *db_export(const char *file, const char *group, aic_error *err) {
    char path[] = "/tmp/aicfg-export-XXXXXX", why[200];
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    aic_buf text = {0};
    if (!f)
        abort();
    *err = (aic_error){0};
    bool ok = pdb_export(file, group, f, err);
    if (fclose(f) != 0 || (ok && !aic_read_file(path, 1 << 24, &text, why, sizeof why)))
        abort();
    unlink(path);
    return text.data;
}

#define DB_GEMM "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"

#endif
