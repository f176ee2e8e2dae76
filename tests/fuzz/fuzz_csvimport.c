/* links: perfdb. Import of any bytes as a collector's CSV, and the way out and back; seeds in
 * seeds/csvimport. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[48];
static char table[2][96], file[2][96],
    tree[2][64]; /* the table given, and what was made of it printed again */

static void clean_up(void) {
    static const char *const names[] = {"/0/vllm/1.0/gemm_perf.txt",
                                        "/1/vllm/1.0/gemm_perf.txt",
                                        "/out/0/box.h5",
                                        "/out/1/box.h5",
                                        "/out/0/release.yaml",
                                        "/out/1/release.yaml",
                                        "/0/vllm/1.0",
                                        "/1/vllm/1.0",
                                        "/0/vllm",
                                        "/1/vllm",
                                        "/0",
                                        "/1",
                                        "/out/0",
                                        "/out/1",
                                        "/out",
                                        ""};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        remove(path);
    }
}

static void make_folders(void) {
    static const char *const names[] = {"/0",          "/1",   "/0/vllm", "/1/vllm", "/0/vllm/1.0",
                                        "/1/vllm/1.0", "/out", "/out/0",  "/out/1"};
    char path[128];
    bool memory = access("/dev/shm", W_OK) == 0; /* a disk would be the slowest part of a run */
    snprintf(folder, sizeof folder, "%s/aicfg-fuzz-import-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    atexit(clean_up);
    aic_quiet(true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        if (mkdir(path, 0700) != 0)
            abort();
    }
    for (int i = 0; i < 2; i++) {
        snprintf(tree[i], sizeof tree[i], "%s/%d", folder, i);
        snprintf(table[i], sizeof table[i], "%s/%d/vllm/1.0/gemm_perf.txt", folder, i);
        snprintf(file[i], sizeof file[i], "%s/out/%d/box.h5", folder, i);
    }
}

static bool import(int which, aic_error *err) {
    pdb_import_options o = {
        .dir = tree[which], .file = file[which], .facts = AICFG_DATA_DIR "/import.yaml", .replace = true};
    pdb_import_summary sum;
    return pdb_import(&o, &sum, err);
}

static void digest_of(const char *path, char digest[65]) {
    pdb_file *f = pdb_file_open(path, NULL);
    if (!f)
        abort();
    memcpy(digest, pdb_file_head(f)->digest, 65);
    pdb_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*table[0])
        make_folders();
    FILE *f = fopen(table[0], "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    aic_error err = {0};
    if (!import(0, &err)) {
        if (err.code != AIC_BAD_INPUT || !*err.text)
            abort();
        return 0;
    }
    f = fopen(table[1], "wb");
    if (!f || !pdb_export(file[0], "gemm_perf/vllm/1.0", f, &err) || fclose(f) != 0 || !import(1, &err))
        abort();
    char first[65], second[65];
    digest_of(file[0], first);
    digest_of(file[1], second);
    if (strcmp(first, second) != 0)
        abort();
    return 0;
}
